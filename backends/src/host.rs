//! A host and a port, as URLs of several stores write them.

use std::net::Ipv6Addr;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The host is not one.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
}

/// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
pub(crate) fn parse(server: &str, default_port: u16) -> Result<(String, u16), Wrong> {
    let unbracketed = server.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match unbracketed {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        },
    };
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    let well_formed = match unbracketed {
        Some((host, rest)) => host.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || port.is_some()),
        None => !host.is_empty() && host.chars().all(allowed),
    };
    if !well_formed {
        return Err(Wrong::Host);
    }
    let port = match port {
        None => default_port,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(Wrong::Port)?,
    };
    Ok((host.to_owned(), port))
}
