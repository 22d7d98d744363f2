//! What a URL says: where the server is, and the settings of the store.

use std::time::Duration;

use holdover_api::{Error, SESSION_KEY_LENGTH};

use super::NAME;
use super::connection::Address;
use crate::host::{self, Wrong};
use crate::parameters::{Parameters, decoded, misconfigured};
use crate::url::Parts;

const KNOWN: &[&str] = &["prefix", "max_bytes", "connect_timeout", "response_timeout"];

const DEFAULT_PREFIX: &str = "holdover:";

/// What a server takes that was not told otherwise (its option `-I`), and room for the key and its own bookkeeping.
pub(super) const DEFAULT_MAX_BYTES: usize = 1024 * 1024 - 1024;

/// An operation takes at most one connection and twice the time for an answer: together below the second that a
/// session's own call time-out has by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);

const DEFAULT_PORT: u16 = 11211;

/// The longest key that the server takes.
const LONGEST_KEY: usize = 250;

/// A checked URL.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) address: Address,
    pub(super) prefix: String,
    /// The limit on a session's size, if the URL states one.
    pub(super) max_bytes: Option<usize>,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
}

impl Config {
    pub(super) fn parse(parts: &Parts<'_>) -> Result<Self, Error> {
        let parameters = Parameters::parse(NAME, KNOWN, parts.query)?;
        let Some(authority) = parts.authority else {
            return Err(wrong("write the url as memcached://host"));
        };
        let address = if parts.scheme.ends_with("+unix") {
            parse_socket(authority, parts.path)?
        } else {
            parse_server(authority, parts.path)?
        };
        let prefix = parameters.text("prefix").unwrap_or(DEFAULT_PREFIX).to_owned();
        check_prefix(&prefix)?;
        let max_bytes = match parameters.text("max_bytes") {
            Some(_) => Some(parameters.count("max_bytes", DEFAULT_MAX_BYTES)?),
            None => None,
        };
        Ok(Self {
            address,
            prefix,
            max_bytes,
            connect_timeout: parameters.duration("connect_timeout", DEFAULT_TIMEOUT)?,
            response_timeout: parameters.duration("response_timeout", DEFAULT_TIMEOUT)?,
        })
    }
}

fn wrong(message: &'static str) -> Error {
    misconfigured(NAME, message)
}

/// A prefix goes over the wire as it is: one with a space or a line's end would be read as a command.
fn check_prefix(prefix: &str) -> Result<(), Error> {
    if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("the parameter prefix must be ascii without spaces and control characters"));
    }
    if prefix.len() + SESSION_KEY_LENGTH > LONGEST_KEY {
        return Err(wrong("the parameter prefix must have at most 186 characters"));
    }
    Ok(())
}

fn parse_socket(authority: &str, path: &str) -> Result<Address, Error> {
    if !authority.is_empty() || path.len() < 2 {
        return Err(wrong(
            "write the path of a socket with three slashes: memcached+unix:///run/memcached.sock",
        ));
    }
    let path = decoded(path).ok_or_else(|| wrong("the socket's path is not percent-encoded utf-8"))?;
    Ok(Address::Unix(path.into()))
}

fn parse_server(server: &str, path: &str) -> Result<Address, Error> {
    if server.contains('@') {
        return Err(wrong(
            "the url has a user; the store has no login, so run the server on a private network",
        ));
    }
    if server.contains(',') {
        return Err(wrong("the url has several hosts; a memcached store has one server"));
    }
    if !path.trim_start_matches('/').is_empty() {
        return Err(wrong("the url has a path; a memcached server has no databases"));
    }
    let (host, port) = host::parse(server, DEFAULT_PORT).map_err(|what| match what {
        Wrong::Host => wrong("the host of the url is not one; write host:port or [ipv6]:port"),
        Wrong::Port => wrong("the port of the url is not a number from 1 to 65535"),
    })?;
    Ok(Address::Tcp(host, port))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
