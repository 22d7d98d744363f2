//! What a URL says: the settings of the store, and the rest, which is the driver's.

use std::fmt;
use std::time::Duration;

use holdover_api::{DEFAULT_MAX_BYTES, Error, ErrorKind, Operation, Survives, within};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, WriteConcern};

use super::NAME;
use super::error::Failure;
use super::prepare::Deployment;
use crate::parameters::{Parameters, decoded, misconfigured};
use crate::url::Parts;

/// Ours; everything else behind the question mark is the driver's.
const KNOWN: &[&str] = &["collection", "create", "max_bytes", "connect_timeout", "response_timeout"];

const DEFAULT_DATABASE: &str = "holdover";
const DEFAULT_COLLECTION: &str = "sessions";

/// A document has at most 16 MiB; the rest of it beside the attributes needs less than this.
const LARGEST: usize = 16 * 1024 * 1024 - 64 * 1024;

/// For an operation with all its attempts: below the second that a session's own call time-out has by default.
const DEFAULT_RESPONSE_TIMEOUT: Duration = Duration::from_millis(900);

/// For a connection to one server.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How often the driver looks after each server: a silent connection of that watch is given up after this and a
/// `connect_timeout`, and a server is back in use within this of its return.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// More connections than this make an operation slower on a machine with few cores, not faster.
const CONNECTIONS: u32 = 10;

/// A checked URL. Its `Debug` leaves out the part that may hold a password.
pub(super) struct Config {
    /// The URL without our parameters.
    rest: String,
    pub(super) database: String,
    pub(super) collection: String,
    pub(super) create: bool,
    pub(super) max_bytes: usize,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("database", &self.database)
            .field("collection", &self.collection)
            .field("create", &self.create)
            .field("max_bytes", &self.max_bytes)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(super) fn parse(parts: &Parts<'_>) -> Result<Self, Error> {
        let Some(authority) = parts.authority.filter(|authority| !authority.is_empty()) else {
            return Err(wrong("write the url as mongodb://host/database"));
        };
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            parts.query.split('&').filter(|pair| !pair.is_empty()).partition(|pair| is_ours(pair));
        let parameters = Parameters::parse(NAME, KNOWN, &ours.join("&"))?;
        let database = database(parts.path)?;
        let collection = collection(parameters.text("collection").unwrap_or(DEFAULT_COLLECTION))?;
        let max_bytes = parameters.count("max_bytes", DEFAULT_MAX_BYTES)?;
        if max_bytes > LARGEST {
            return Err(
                parameters.refuse("max_bytes", &format!("at most {LARGEST}: a document has at most 16 MiB"))
            );
        }
        let create = match parameters.text("create") {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(parameters.refuse("create", "true or false")),
        };
        Ok(Self {
            rest: format!(
                "{}://{authority}/{}?{}",
                parts.scheme,
                parts.path.trim_matches('/'),
                theirs.join("&")
            ),
            database,
            collection,
            create,
            max_bytes,
            connect_timeout: parameters.duration("connect_timeout", DEFAULT_CONNECT_TIMEOUT)?,
            response_timeout: parameters.duration("response_timeout", DEFAULT_RESPONSE_TIMEOUT)?,
        })
    }

    /// How long the checks before the first operation may take: an index may have to be built by every member.
    pub(super) fn prepare_timeout(&self) -> Duration {
        self.connect_timeout + self.response_timeout * 5
    }

    /// What the driver makes of the URL, and our defaults where it says nothing. Looks up `mongodb+srv`.
    pub(super) async fn options(&self) -> Result<ClientOptions, Error> {
        let parsed = within(self.prepare_timeout(), async { ClientOptions::parse(&self.rest).await }).await;
        let mut options = match parsed {
            Some(Ok(options)) => options,
            Some(Err(error)) => {
                return Err(Failure::from(error).into_error(Operation::Connect).without_effect());
            }
            None => {
                let message = "the host of the url could not be looked up in time";
                return Err(
                    Error::new(ErrorKind::Unavailable, Operation::Connect, NAME, message).without_effect()
                );
            }
        };
        if options.write_concern.as_ref().and_then(|concern| concern.w.as_ref())
            == Some(&Acknowledgment::Nodes(0))
        {
            return Err(wrong(
                "the url has w=0; a session whose writes nobody acknowledges is lost without a word",
            ));
        }
        options.app_name.get_or_insert_with(|| "holdover".to_owned());
        options.connect_timeout.get_or_insert(self.connect_timeout);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        options.max_pool_size.get_or_insert(CONNECTIONS);
        // Less than an operation may take, so that it ends with what the driver knows and not merely late.
        options.server_selection_timeout.get_or_insert(self.response_timeout * 9 / 10);
        let concern = options.write_concern.get_or_insert_default();
        concern.w.get_or_insert(Acknowledgment::Majority);
        if concern.w == Some(Acknowledgment::Majority) {
            concern.journal.get_or_insert(true);
        }
        concern.w_timeout.get_or_insert(self.response_timeout * 9 / 10);
        options.read_concern.get_or_insert_with(ReadConcern::majority);
        Ok(options)
    }
}

/// What acknowledged writes outlive. On a replica set, what only some members have acknowledged is undone by an
/// election; without a journal, a killed server forgets the last tenth of a second.
pub(super) fn survives(deployment: Deployment, concern: &WriteConcern) -> Survives {
    let by_majority = concern.w == Some(Acknowledgment::Majority);
    match deployment {
        Deployment::Replicated if by_majority && concern.journal != Some(false) => Survives::NodeLoss,
        Deployment::Single if concern.journal == Some(true) => Survives::Restart,
        Deployment::Replicated | Deployment::Single => Survives::Nothing,
    }
}

fn wrong(message: &'static str) -> Error {
    misconfigured(NAME, message)
}

fn is_ours(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    KNOWN.contains(&name)
}

/// The database of the URL's path. The server refuses some names only when it has to write under them.
fn database(path: &str) -> Result<String, Error> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(DEFAULT_DATABASE.to_owned());
    }
    let name = decoded(path).ok_or_else(|| wrong("the database of the url is not percent-encoded utf-8"))?;
    let is_forbidden = |character: char| "/\\. \"$*<>:|?\0".contains(character);
    if name.len() > 63 || name.contains(is_forbidden) {
        return Err(wrong(
            "the path of the url is not a database's name: at most 63 bytes without / \\ . \" $ * < > : | ? and space",
        ));
    }
    Ok(name)
}

fn collection(name: &str) -> Result<String, Error> {
    let is_fit =
        !name.is_empty() && name.len() <= 120 && !name.contains(['$', '\0']) && !name.starts_with("system.");
    if is_fit {
        return Ok(name.to_owned());
    }
    Err(wrong("the parameter collection must be 1 to 120 bytes without $, and not begin with system."))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
