//! The part of a URL behind the question mark: every parameter is used, or the URL is refused.

use std::time::Duration;

use holdover_api::{Error, ErrorKind, Operation};
use percent_encoding::percent_decode_str;

/// A URL that cannot work. The message must never repeat any of it: a password may stand anywhere in a wrong one.
pub(crate) fn misconfigured(store: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, Operation::Connect, store, message.into()).without_effect()
}

/// Undoes percent-encoding; nothing if that gives no text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// The parameters of a URL. Not `Debug`: a parameter may be a password.
pub(crate) struct Parameters {
    store: &'static str,
    known: &'static [&'static str],
    given: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Reads `name=value&…`. A name that is not known or comes twice is refused.
    pub(crate) fn parse(
        store: &'static str,
        known: &'static [&'static str],
        query: &str,
    ) -> Result<Self, Error> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        for (index, pair) in pairs.enumerate() {
            let number = index + 1;
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = known.iter().copied().find(|known| *known == name) else {
                let list = known.join(", ");
                let message =
                    format!("parameter {number} of the url is not known; the known ones are: {list}");
                return Err(misconfigured(store, message));
            };
            if given.iter().any(|(earlier, _)| *earlier == name) {
                return Err(misconfigured(
                    store,
                    format!("the url has the parameter {name} twice; drop one"),
                ));
            }
            let Some(value) = decoded(value) else {
                let message = format!("the parameter {name} of the url is not percent-encoded utf-8");
                return Err(misconfigured(store, message));
            };
            given.push((name, value));
        }
        Ok(Self { store, known, given })
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &'static str) -> Option<&str> {
        debug_assert!(self.known.contains(&name), "{name} is asked for but not declared");
        let (_, value) = self.given.iter().find(|(given, _)| *given == name)?;
        Some(value)
    }

    /// A whole number above zero.
    pub(crate) fn count(&self, name: &'static str, default: usize) -> Result<usize, Error> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(self.refuse(name, "a whole number above zero, such as 1048576")),
        }
    }

    /// A time above zero, with its unit.
    #[cfg_attr(
        not(any(feature = "dynamodb", feature = "memcached", feature = "mongodb", feature = "redis")),
        allow(dead_code, reason = "only stores with a server have time-outs")
    )]
    pub(crate) fn duration(&self, name: &'static str, default: Duration) -> Result<Duration, Error> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let duration = match text.strip_suffix("ms") {
            Some(millis) => millis.parse().map(Duration::from_millis),
            None => text.strip_suffix('s').unwrap_or_default().parse().map(Duration::from_secs),
        };
        match duration {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(self.refuse(name, "a time above zero with its unit, such as 500ms or 2s")),
        }
    }

    /// Says what a parameter must be.
    pub(crate) fn refuse(&self, name: &'static str, expected: &str) -> Error {
        misconfigured(self.store, format!("the parameter {name} of the url must be {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["prefix", "max_bytes", "timeout"];

    fn parse(query: &str) -> Result<Parameters, Error> {
        Parameters::parse("store", KNOWN, query)
    }

    fn message(result: Result<impl Sized, Error>) -> String {
        let error = result.err().expect("it has to be refused");
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert_eq!(error.effect(), holdover_api::Effect::None);
        assert_eq!(error.operation(), Operation::Connect);
        error.message().to_owned()
    }

    #[test]
    fn parameters_are_read_and_decoded() {
        let parameters = parse("prefix=a%3Ab%26&max_bytes=7&timeout=500ms&").unwrap();
        assert_eq!(parameters.text("prefix"), Some("a:b&"));
        assert_eq!(parameters.count("max_bytes", 1).unwrap(), 7);
        assert_eq!(parameters.duration("timeout", Duration::ZERO).unwrap(), Duration::from_millis(500));
        let none = parse("").unwrap();
        assert_eq!(none.text("prefix"), None);
        assert_eq!(none.count("max_bytes", 1).unwrap(), 1);
        let two_seconds = parse("timeout=2s").unwrap();
        assert_eq!(two_seconds.duration("timeout", Duration::ZERO).unwrap(), Duration::from_secs(2));
    }

    #[test]
    fn unknown_parameters_are_refused_with_the_known_ones_and_not_repeated() {
        let message = message(parse("prefix=a&hunter2=b"));
        assert_eq!(
            message,
            "parameter 2 of the url is not known; the known ones are: prefix, max_bytes, timeout"
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert!(message(parse("prefix=a&prefix=b")).contains("prefix twice"));
    }

    #[test]
    fn values_that_make_no_sense_are_refused_and_not_repeated() {
        for value in ["", "0", "-1", "x", "1.5", "99999999999999999999999"] {
            let parameters = parse(&format!("max_bytes={value}")).unwrap();
            assert!(
                message(parameters.count("max_bytes", 1)).contains("max_bytes of the url must be a whole")
            );
        }
        for value in ["", "0s", "0ms", "5", "s", "ms", "-1s", "1.5s", "1m", "1h", "99999999999999999999s"] {
            let parameters = parse(&format!("timeout={value}")).unwrap();
            assert!(
                message(parameters.duration("timeout", Duration::ZERO)).contains("500ms or 2s"),
                "{value}"
            );
        }
        assert!(message(parse("prefix=%ff")).contains("utf-8"));
    }
}
