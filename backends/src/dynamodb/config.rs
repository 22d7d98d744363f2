//! What a URL says: the region or the server, the table, how sessions expire, and the settings of the store.

use std::fmt;
use std::time::Duration;

use holdover_api::{Error, Survives};
use holdover_rotation::{Rules, Schedule};

use super::NAME;
use super::capacity::Capacity;
use super::layout::LARGEST;
use crate::host::{self, Wrong};
use crate::parameters::{Parameters, decoded, misconfigured};
use crate::url::Parts;

const KNOWN: &[&str] = &[
    "expiry",
    "period",
    "max_lease",
    "max_skew",
    "keeper",
    "endpoint",
    "create",
    "billing",
    "read_units",
    "write_units",
    "prefix",
    "max_bytes",
    "connect_timeout",
    "response_timeout",
    "prepare_timeout",
    "session_token",
    "survives",
];

/// An operation takes at most one connection and twice the time for an answer: together below the second that a
/// session's own call time-out has by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(300);

/// A table takes "a while" to be made: a minute has been seen.
const DEFAULT_PREPARE_TIMEOUT: Duration = Duration::from_secs(120);

/// What stands for a region and is a server inside this process.
const EMBEDDED: &str = "local";

/// Where the tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At AWS, or at a server that stands in for it.
    Region {
        /// The region, which is also part of what requests are signed with.
        region: String,
        /// Where to connect instead of to AWS.
        endpoint: Option<String>,
    },
    /// Inside this process.
    Embedded,
}

/// Explicit credentials.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) access_key: String,
    pub(super) secret: String,
    pub(super) session_token: Option<String>,
}

/// Who removes what has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpiryBy {
    /// DynamoDB's own time to live.
    TimeToLive,
    /// Nobody: for servers without it.
    Nobody,
    /// The keeper, who drops whole tables.
    Rotation(Schedule),
}

/// How a table that is created is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Billing {
    /// For what is used.
    OnDemand,
    /// For so many units a second, used or not.
    Provisioned {
        /// Read units.
        read_units: i64,
        /// Write units.
        write_units: i64,
    },
    /// As the table before it; where there is none, for what is used.
    Inherited,
}

impl Billing {
    /// What is asked for where no table comes before.
    pub(super) const fn stated(self) -> Capacity {
        match self {
            Self::OnDemand | Self::Inherited => Capacity::OnDemand(None),
            Self::Provisioned { read_units, write_units } => {
                Capacity::Provisioned { read_units, write_units }
            }
        }
    }
}

/// A checked URL. Its `Debug` leaves out credentials.
pub(super) struct Config {
    pub(super) place: Place,
    pub(super) login: Option<Login>,
    pub(super) table: String,
    pub(super) expiry: ExpiryBy,
    pub(super) create: bool,
    /// Whether the store runs the keeper of its tables.
    pub(super) keeper: bool,
    pub(super) billing: Billing,
    pub(super) prefix: String,
    pub(super) max_bytes: usize,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) prepare_timeout: Duration,
    pub(super) survives: Survives,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("place", &self.place)
            .field("has_login", &self.login.is_some())
            .field("table", &self.table)
            .field("expiry", &self.expiry)
            .field("create", &self.create)
            .field("keeper", &self.keeper)
            .field("billing", &self.billing)
            .field("prefix", &self.prefix)
            .field("max_bytes", &self.max_bytes)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("prepare_timeout", &self.prepare_timeout)
            .field("survives", &self.survives)
            .finish()
    }
}

impl Config {
    pub(super) fn parse(parts: &Parts<'_>) -> Result<Self, Error> {
        let parameters = Parameters::parse(NAME, KNOWN, parts.query)?;
        let Some(authority) = parts.authority else {
            return Err(wrong("write the url as dynamodb://region/table?expiry=ttl"));
        };
        let (login, region) = match authority.rsplit_once('@') {
            Some((login, region)) => (Some(parse_login(login, &parameters)?), region),
            None => (None, authority),
        };
        if login.is_none() && parameters.text("session_token").is_some() {
            return Err(wrong("session_token belongs to an access key; write key:secret@region"));
        }
        let place = parse_place(region, &parameters)?;
        if place == Place::Embedded && login.is_some() {
            return Err(wrong("dynamodb://local is inside this process and has no login"));
        }
        let max_bytes = parameters.count("max_bytes", LARGEST)?;
        if max_bytes > LARGEST {
            return Err(parameters.refuse("max_bytes", &format!("at most {LARGEST}: an item has 400 kb")));
        }
        let prefix = parameters.text("prefix").unwrap_or_default().to_owned();
        if prefix.len() > LONGEST_PREFIX {
            return Err(parameters.refuse("prefix", "at most 256 bytes long"));
        }
        let expiry = parse_expiry(&parameters)?;
        let keeper = parse_keeper(expiry, &parameters)?;
        Ok(Self {
            keeper,
            survives: parse_survives(&place, &parameters)?,
            create: parse_switch("create", &parameters)?.unwrap_or(place == Place::Embedded),
            place,
            login,
            table: parse_table(parts.path)?,
            expiry,
            billing: parse_billing(expiry, &parameters)?,
            prefix,
            max_bytes,
            connect_timeout: parameters.duration("connect_timeout", DEFAULT_TIMEOUT)?,
            response_timeout: parameters.duration("response_timeout", DEFAULT_TIMEOUT)?,
            prepare_timeout: parameters.duration("prepare_timeout", DEFAULT_PREPARE_TIMEOUT)?,
        })
    }
}

/// A key may have 2048 bytes; this leaves the room of a session at the size that [`LARGEST`] reckons with.
pub(super) const LONGEST_PREFIX: usize = 256;

fn wrong(message: &'static str) -> Error {
    misconfigured(NAME, message)
}

fn parse_login(login: &str, parameters: &Parameters) -> Result<Login, Error> {
    let decode = |text: &str| {
        decoded(text).filter(|text| !text.is_empty()).ok_or_else(|| {
            wrong("the access key or the secret of the url is empty, or not percent-encoded utf-8")
        })
    };
    let Some((access_key, secret)) = login.split_once(':') else {
        return Err(wrong("the url has an access key without a secret; write key:secret@region"));
    };
    Ok(Login {
        access_key: decode(access_key)?,
        secret: decode(secret)?,
        session_token: parameters.text("session_token").map(Into::into),
    })
}

fn parse_place(region: &str, parameters: &Parameters) -> Result<Place, Error> {
    let endpoint = parameters.text("endpoint");
    if region == EMBEDDED {
        return match endpoint {
            None => Ok(Place::Embedded),
            Some(_) => Err(wrong("dynamodb://local is inside this process; with an endpoint, name a region")),
        };
    }
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if region.is_empty() || !region.chars().all(allowed) {
        return Err(wrong("the host of the url must be a region, such as eu-central-1, or local"));
    }
    let endpoint = endpoint.map(|endpoint| parse_endpoint(endpoint, parameters)).transpose()?;
    Ok(Place::Region { region: region.to_owned(), endpoint })
}

fn parse_endpoint(endpoint: &str, parameters: &Parameters) -> Result<String, Error> {
    let refused = || parameters.refuse("endpoint", "a server, such as http://127.0.0.1:8000");
    let (scheme, server) = endpoint.split_once("://").ok_or_else(refused)?;
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(refused()),
    };
    match host::parse(server.trim_end_matches('/'), default_port) {
        Ok(_) => Ok(endpoint.trim_end_matches('/').to_owned()),
        Err(Wrong::Host | Wrong::Port) => Err(refused()),
    }
}

fn parse_table(path: &str) -> Result<String, Error> {
    let table = path.strip_prefix('/').unwrap_or_default();
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !(3..=255).contains(&table.len()) || !table.chars().all(allowed) {
        return Err(wrong(
            "the path of the url must be a table's name: 3 to 255 of a-z, A-Z, 0-9, _, . and -; write \
             dynamodb://region/table",
        ));
    }
    Ok(table.to_owned())
}

fn parse_expiry(parameters: &Parameters) -> Result<ExpiryBy, Error> {
    let expiry = match parameters.text("expiry") {
        Some("ttl") => ExpiryBy::TimeToLive,
        Some("none") => ExpiryBy::Nobody,
        Some("rotation") => return parse_rotation(parameters).map(ExpiryBy::Rotation),
        Some(_) => return Err(parameters.refuse("expiry", EXPIRY_CHOICES)),
        None => {
            let choices = format!("expiry must be {EXPIRY_CHOICES}");
            return Err(misconfigured(
                NAME,
                format!("the url has to say who removes expired sessions: {choices}"),
            ));
        }
    };
    match ["period", "max_lease", "max_skew", "keeper"]
        .into_iter()
        .find(|name| parameters.text(name).is_some())
    {
        Some(name) => {
            Err(misconfigured(NAME, format!("the parameter {name} of the url belongs to expiry=rotation")))
        }
        None => Ok(expiry),
    }
}

const EXPIRY_CHOICES: &str = "ttl (dynamodb's time to live), rotation (whole tables, with period), or none (for servers \
                              that have no time to live)";

fn parse_rotation(parameters: &Parameters) -> Result<Schedule, Error> {
    let Some(period) = parse_span("period", parameters)? else {
        return Err(parameters.refuse("period", SPAN));
    };
    let mut rules = Rules::new(period, parse_span("max_lease", parameters)?.unwrap_or(period));
    if let Some(max_skew) = parse_span("max_skew", parameters)? {
        rules.max_skew = max_skew;
    }
    Schedule::new(rules).map_err(|error| misconfigured(NAME, error.to_string()))
}

const SPAN: &str = "a time with its unit, such as 500ms, 30s, 15m, 1h or 7d";

/// A time, in longer units than those of time-outs.
fn parse_span(name: &'static str, parameters: &Parameters) -> Result<Option<Duration>, Error> {
    let Some(text) = parameters.text(name) else {
        return Ok(None);
    };
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let span = millis.zip(digits.parse::<u64>().ok()).and_then(|(millis, many)| millis.checked_mul(many));
    match span {
        Some(span) if span > 0 => Ok(Some(Duration::from_millis(span))),
        _ => Err(parameters.refuse(name, SPAN)),
    }
}

fn parse_keeper(expiry: ExpiryBy, parameters: &Parameters) -> Result<bool, Error> {
    match (expiry, parameters.text("keeper")) {
        (ExpiryBy::Rotation(_), Some("on")) => Ok(true),
        (ExpiryBy::Rotation(_), Some("off")) => Ok(false),
        (ExpiryBy::Rotation(_), _) => Err(parameters.refuse(
            "keeper",
            "on (this store creates and drops tables in the background) or off (another process does, or this one by \
             DynamoDb::keeper)",
        )),
        _ => Ok(false),
    }
}

fn parse_switch(name: &'static str, parameters: &Parameters) -> Result<Option<bool>, Error> {
    match parameters.text(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(parameters.refuse(name, "true or false")),
    }
}

fn parse_billing(expiry: ExpiryBy, parameters: &Parameters) -> Result<Billing, Error> {
    let units = |name: &'static str| -> Result<Option<i64>, Error> {
        let Some(_) = parameters.text(name) else { return Ok(None) };
        let units = parameters.count(name, 1)?;
        i64::try_from(units).map(Some).map_err(|_| parameters.refuse(name, "a whole number of units"))
    };
    match (parameters.text("billing"), units("read_units")?, units("write_units")?) {
        (None | Some("on-demand"), None, None) => Ok(Billing::OnDemand),
        (Some("inherited"), None, None) if matches!(expiry, ExpiryBy::Rotation(_)) => Ok(Billing::Inherited),
        (Some("inherited"), None, None) => {
            Err(parameters
                .refuse("billing", "on-demand or provisioned: inherited belongs to expiry=rotation"))
        }
        (Some("provisioned"), Some(read_units), Some(write_units)) => {
            Ok(Billing::Provisioned { read_units, write_units })
        }
        _ => {
            let choices =
                "on-demand, or provisioned with read_units and write_units, or inherited (expiry=rotation)";
            Err(parameters.refuse("billing", choices))
        }
    }
}

/// AWS keeps what it has acknowledged in three places. Of a server that stands in for it nothing is known.
fn parse_survives(place: &Place, parameters: &Parameters) -> Result<Survives, Error> {
    match parameters.text("survives") {
        None => Ok(match place {
            Place::Region { endpoint: None, .. } => Survives::NodeLoss,
            Place::Region { endpoint: Some(_), .. } | Place::Embedded => Survives::Nothing,
        }),
        Some("nothing") => Ok(Survives::Nothing),
        Some("restart") => Ok(Survives::Restart),
        Some("node-loss") => Ok(Survives::NodeLoss),
        Some(_) => Err(parameters.refuse("survives", "nothing, restart or node-loss")),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
