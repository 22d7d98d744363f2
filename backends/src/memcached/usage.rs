//! How full the server is, and what it has thrown out to make room.

use holdover_api::{Error, ErrorKind, Operation};

use super::NAME;
use super::link::Link;
use super::wire::{Command, Reply};

/// What the server says of its memory, since it was started. Others may use it as well: it does not tell whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What it has thrown out before its time to make room. Each may have been a live session, which then is `Gone`:
    /// watch that this does not grow.
    pub evictions: u64,
    /// How many values it holds.
    pub stored: u64,
    /// How many bytes they take up.
    pub bytes: u64,
    /// How many bytes it may use (its option `-m`).
    pub limit_bytes: u64,
}

/// Asks the server.
pub(super) async fn usage(link: &Link) -> Result<Usage, Error> {
    let failed = |failure: super::error::Failure| failure.of_a_read().into_error(Operation::Inspect);
    let line = link.line().await.map_err(failed)?;
    let Reply::Report(lines) = line.ask(&Command::Ask("stats")).await.map_err(failed)? else {
        return Err(failed(line.out_of_step()));
    };
    read(&lines).ok_or_else(|| {
        let message = "the server does not say how full it is; is it a memcached server?";
        Error::new(ErrorKind::Unexpected, Operation::Inspect, NAME, message).without_effect()
    })
}

fn read(lines: &[(String, String)]) -> Option<Usage> {
    let number = |name: &str| {
        let (_, value) = lines.iter().find(|(given, _)| given == name)?;
        value.parse::<u64>().ok()
    };
    Some(Usage {
        evictions: number("evictions")?,
        stored: number("curr_items")?,
        bytes: number("bytes")?,
        limit_bytes: number("limit_maxbytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_or_refused_as_a_whole() {
        let mut lines: Vec<(String, String)> = [
            ("pid", "7"),
            ("evictions", "3"),
            ("curr_items", "2"),
            ("bytes", "99"),
            ("limit_maxbytes", "100"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let expected = Usage { evictions: 3, stored: 2, bytes: 99, limit_bytes: 100 };
        assert_eq!(read(&lines), Some(expected));
        lines.retain(|(name, _)| name != "evictions");
        assert_eq!(read(&lines), None);
    }
}
