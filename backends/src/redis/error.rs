//! What the server's and the client's failures mean: one table.
//!
//! A server's text may name a user or a key, so none of it is repeated: messages are ours, and all that is kept of the
//! cause is the kind of an I/O error or the code of a refusal that this table does not know.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use holdover_api::{Effect, Error, ErrorKind, Operation};
use redis::{ErrorKind as Cause, RedisError, ServerErrorKind};

use super::NAME;

/// Whether a command had been handed to a connection when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No: there was no connection to hand it to, so it certainly did nothing.
    Connecting,
    /// Yes, once.
    Sent,
    /// Yes, and the client of a cluster may have handed it over before, to another node or in vain: what the last
    /// node refused an earlier one may have done.
    SentRepeatedly,
}

/// A failure of one exchange with the server.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) phase: Phase,
    pub(super) cause: FailureCause,
}

#[derive(Clone, Debug)]
pub(super) enum FailureCause {
    /// What the client library says.
    Client(RedisError),
    /// Our own limit: no answer in time.
    Late,
}

impl Failure {
    pub(super) fn connecting(error: RedisError) -> Self {
        Self { phase: Phase::Connecting, cause: FailureCause::Client(error) }
    }

    pub(super) fn sent(phase: Phase, error: RedisError) -> Self {
        Self { phase, cause: FailureCause::Client(error) }
    }

    pub(super) fn late(phase: Phase) -> Self {
        Self { phase, cause: FailureCause::Late }
    }

    /// Whether the server does not know the script: it was restarted, or is new.
    pub(super) fn is_missing_script(&self) -> bool {
        matches!(&self.cause, FailureCause::Client(error) if error.kind() == ServerErrorKind::NoScript.into())
    }

    /// Whether the user may not run the command.
    pub(super) fn is_not_permitted(&self) -> bool {
        matches!(&self.cause, FailureCause::Client(error) if server_code(error) == Some("NOPERM"))
    }

    /// Whether the connection is of no use any more: broken, silent, out of step, or to a server that has become a
    /// replica.
    pub(super) fn spoils_connection(&self) -> bool {
        let FailureCause::Client(error) = &self.cause else {
            return true;
        };
        error.is_io_error()
            || error.is_unrecoverable_error()
            || matches!(server_code(error), Some("READONLY" | "MASTERDOWN" | "NOAUTH"))
    }

    /// The failure as callers see it.
    pub(super) fn into_error(self, operation: Operation) -> Error {
        let row = match &self.cause {
            FailureCause::Late => LATE,
            FailureCause::Client(error) => row(error),
        };
        let mut message = row.message.to_owned();
        if let (FailureCause::Client(error), ErrorKind::Unexpected) = (&self.cause, row.kind)
            && let Some(code) = server_code(error).filter(|code| is_plain(code))
        {
            message = format!("{message}; its code is {code}");
        }
        let mut mapped = Error::new(row.kind, operation, NAME, message);
        let certainly_nothing = match self.phase {
            Phase::Connecting => true,
            Phase::Sent => row.effect == Effect::None,
            Phase::SentRepeatedly => false,
        };
        if certainly_nothing {
            mapped = mapped.without_effect();
        }
        match &self.cause {
            FailureCause::Client(error) => match io_kind(error) {
                Some(kind) => mapped.caused_by(io::Error::from(kind)),
                None => mapped,
            },
            FailureCause::Late => mapped.caused_by(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    kind: ErrorKind,
    effect: Effect,
    message: &'static str,
}

const fn refused(kind: ErrorKind, message: &'static str) -> Row {
    Row { kind, effect: Effect::None, message }
}

const fn unclear(kind: ErrorKind, message: &'static str) -> Row {
    Row { kind, effect: Effect::Unknown, message }
}

const LATE: Row = unclear(
    ErrorKind::Unavailable,
    "the server did not answer in time; is it running and reachable, and is response_timeout long enough?",
);

fn row(error: &RedisError) -> Row {
    if let Some(code) = server_code(error) {
        return server_row(code);
    }
    match error.kind() {
        Cause::Io if error.is_timeout() => LATE,
        Cause::Io if error.is_connection_refusal() => refused(
            ErrorKind::Unavailable,
            "the server refused the connection; is it running at this address?",
        ),
        Cause::Io => unclear(ErrorKind::Unavailable, "the connection to the server failed"),
        Cause::AuthenticationFailed => {
            refused(ErrorKind::Denied, "the server refused the user or the password; check those of the url")
        }
        Cause::MasterNameNotFoundBySentinel | Cause::NoValidReplicasFoundBySentinel => refused(
            ErrorKind::Unavailable,
            "no sentinel names a master; check the service's name and whether a failover is under way",
        ),
        Cause::ClusterConnectionNotFound => {
            refused(ErrorKind::Unavailable, "no node of the cluster serves this slot and can be reached")
        }
        Cause::InvalidClientConfig | Cause::EmptySentinelList | Cause::RESP3NotSupported => {
            refused(ErrorKind::Misconfigured, "the client library refuses the configuration; check the url")
        }
        Cause::UnexpectedReturnType => unclear(
            ErrorKind::Unexpected,
            "the answer is not one that this command has; is it a redis server?",
        ),
        Cause::Parse => unclear(
            ErrorKind::Unavailable,
            "the answer broke off, or is not redis protocol; is it a redis server?",
        ),
        _ => unclear(ErrorKind::Unexpected, "the client library failed"),
    }
}

/// What the server said by a code. It refused before it wrote anything, unless the row says otherwise: each operation
/// writes at most once, at its end.
fn server_row(code: &str) -> Row {
    match code {
        "LOADING" => {
            refused(ErrorKind::Unavailable, "the server is loading its sessions from disk; try again soon")
        }
        "BUSY" => refused(ErrorKind::Unavailable, "the server is busy with another script; try again soon"),
        "READONLY" => refused(
            ErrorKind::Unavailable,
            "the server is a replica and takes no writes; connect to the master, or through sentinel",
        ),
        "MASTERDOWN" => refused(ErrorKind::Unavailable, "the server is a replica that has lost its master"),
        "NOREPLICAS" => {
            refused(ErrorKind::Unavailable, "the server has fewer replicas than its configuration asks for")
        }
        "CLUSTERDOWN" => {
            refused(ErrorKind::Unavailable, "the cluster does not serve this slot; try again soon")
        }
        "TRYAGAIN" => refused(ErrorKind::Unavailable, "the cluster is moving this slot; try again soon"),
        "MOVED" | "ASK" => {
            refused(ErrorKind::Misconfigured, "the server is a node of a cluster; use a redis+cluster:// url")
        }
        "MISCONF" => refused(
            ErrorKind::Unavailable,
            "the server cannot save to disk and takes no writes; look at its log",
        ),
        "OOM" => {
            refused(ErrorKind::Throttled, "the server is at its maxmemory; give it more, or end sessions")
        }
        "MAXCLIENTS" => refused(ErrorKind::Throttled, "the server has as many clients as it takes"),
        "NOAUTH" => refused(ErrorKind::Denied, "the server asks for a password; put it into the url"),
        "WRONGPASS" => {
            refused(ErrorKind::Denied, "the server refused the user or the password; check those of the url")
        }
        "NOPERM" => refused(
            ErrorKind::Denied,
            "the user may not do this; allow the commands and keys that the backend's readme lists",
        ),
        "DENIED" => refused(ErrorKind::Denied, "the server is in protected mode and refuses this client"),
        "WRONGTYPE" => refused(
            ErrorKind::Corrupt,
            "something else than a session is stored there; give sessions a prefix of their own",
        ),
        "NOSCRIPT" => {
            refused(ErrorKind::Unavailable, "the server forgot the script between two calls; try again")
        }
        "CROSSSLOT" => refused(ErrorKind::Unexpected, "the server refused the operation"),
        // A script that was killed, or a defect: nothing is known.
        _ => unclear(ErrorKind::Unexpected, "the server refused the operation"),
    }
}

/// The code of a refusal. Before Redis 7 a script's failure is an `ERR` whose text holds the code of the command that
/// failed: the last that looks like one is looked up in the text.
fn server_code(error: &RedisError) -> Option<&str> {
    const INSIDE: [&str; 9] =
        ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "WRONGTYPE", "NOPERM", "LOADING", "MASTERDOWN", "BUSY"];
    let code = error.code()?;
    let detail = error.detail().unwrap_or_default();
    if code == "ERR" && detail.contains("max number of clients") {
        return Some("MAXCLIENTS");
    }
    if code == "ERR" && detail.contains("invalid password") {
        return Some("WRONGPASS");
    }
    if code == "ERR" && detail.starts_with("Error running script") {
        let inner = detail
            .split(|letter: char| !letter.is_ascii_uppercase())
            .find_map(|word| INSIDE.iter().find(|known| **known == word));
        return Some(inner.copied().unwrap_or(code));
    }
    Some(code)
}

fn is_plain(code: &str) -> bool {
    code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn io_kind(error: &RedisError) -> Option<io::ErrorKind> {
    // The library keeps the error underneath in an `Arc`, and hands out the `Arc`.
    let shared = error.source()?.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?;
    Some(shared.downcast_ref::<io::Error>()?.kind())
}

#[cfg(test)]
mod tests {
    use redis::ServerError;

    use super::*;

    fn server(line: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        let error: ServerError = match answer {
            redis::Value::ServerError(error) => error,
            other => panic!("{other:?} is not an error"),
        };
        error.into()
    }

    fn mapped(error: RedisError) -> Error {
        Failure::sent(Phase::Sent, error).into_error(Operation::Save)
    }

    #[test]
    fn every_code_of_a_server_has_its_row() {
        let rows = [
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Unavailable, Effect::None),
            ("BUSY Redis is busy running a script.", ErrorKind::Unavailable, Effect::None),
            ("READONLY You can't write against a read only replica.", ErrorKind::Unavailable, Effect::None),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::Unavailable, Effect::None),
            ("NOREPLICAS Not enough good replicas to write.", ErrorKind::Unavailable, Effect::None),
            ("CLUSTERDOWN The cluster is down", ErrorKind::Unavailable, Effect::None),
            ("TRYAGAIN Multiple keys request during rehashing", ErrorKind::Unavailable, Effect::None),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Misconfigured, Effect::None),
            ("ASK 3999 127.0.0.1:6381", ErrorKind::Misconfigured, Effect::None),
            ("MISCONF Redis is configured to save RDB snapshots", ErrorKind::Unavailable, Effect::None),
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Throttled, Effect::None),
            ("ERR max number of clients reached", ErrorKind::Throttled, Effect::None),
            ("NOAUTH Authentication required.", ErrorKind::Denied, Effect::None),
            ("WRONGPASS invalid username-password pair", ErrorKind::Denied, Effect::None),
            ("ERR invalid password", ErrorKind::Denied, Effect::None),
            ("NOPERM User ada has no permissions to run the 'get' command", ErrorKind::Denied, Effect::None),
            ("DENIED Redis is running in protected mode", ErrorKind::Denied, Effect::None),
            ("WRONGTYPE Operation against a key", ErrorKind::Corrupt, Effect::None),
            ("NOSCRIPT No matching script.", ErrorKind::Unavailable, Effect::None),
            ("CROSSSLOT Keys in request don't hash to the same slot", ErrorKind::Unexpected, Effect::None),
            ("ERR value is not an integer", ErrorKind::Unexpected, Effect::Unknown),
            ("SURPRISE of a later version", ErrorKind::Unexpected, Effect::Unknown),
        ];
        for (line, kind, effect) in rows {
            let error = mapped(server(line));
            assert_eq!((error.kind(), error.effect()), (kind, effect), "{line}");
        }
    }

    #[test]
    fn before_redis_7_the_code_is_found_inside_the_failure_of_a_script() {
        let rows = [
            ("-OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Throttled),
            ("-READONLY You can't write against a read only replica.", ErrorKind::Unavailable),
            ("-MISCONF Redis is configured to save RDB snapshots", ErrorKind::Unavailable),
            ("-NOPERM this user has no permissions to run the 'get' command", ErrorKind::Denied),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::Corrupt),
            ("attempt to index a nil value", ErrorKind::Unexpected),
        ];
        for (text, kind) in rows {
            let line = format!("ERR Error running script (call to f_0123abcd): @user_script:3: {text}");
            assert_eq!(mapped(server(&line)).kind(), kind, "{line}");
        }
    }

    #[test]
    fn every_failure_of_the_client_has_its_row() {
        let io_rows = [
            (io::ErrorKind::ConnectionRefused, Effect::None),
            (io::ErrorKind::ConnectionReset, Effect::Unknown),
            (io::ErrorKind::BrokenPipe, Effect::Unknown),
            (io::ErrorKind::UnexpectedEof, Effect::Unknown),
            (io::ErrorKind::TimedOut, Effect::Unknown),
        ];
        for (io_kind, effect) in io_rows {
            let error = mapped(io::Error::from(io_kind).into());
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, effect), "{io_kind:?}");
            let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
            assert_eq!(source.map(io::Error::kind), Some(io_kind));
        }
        let rows = [
            (Cause::AuthenticationFailed, ErrorKind::Denied),
            (Cause::MasterNameNotFoundBySentinel, ErrorKind::Unavailable),
            (Cause::NoValidReplicasFoundBySentinel, ErrorKind::Unavailable),
            (Cause::ClusterConnectionNotFound, ErrorKind::Unavailable),
            (Cause::InvalidClientConfig, ErrorKind::Misconfigured),
            (Cause::EmptySentinelList, ErrorKind::Misconfigured),
            (Cause::RESP3NotSupported, ErrorKind::Misconfigured),
            (Cause::Parse, ErrorKind::Unavailable),
            (Cause::UnexpectedReturnType, ErrorKind::Unexpected),
            (Cause::Client, ErrorKind::Unexpected),
        ];
        for (cause, kind) in rows {
            assert_eq!(mapped((cause, "text of the library").into()).kind(), kind, "{cause:?}");
        }
        let late = Failure::late(Phase::Sent).into_error(Operation::Load);
        assert_eq!((late.kind(), late.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    }

    #[test]
    fn the_effect_depends_on_what_was_sent() {
        let reset = || RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        let error = Failure::connecting(reset()).into_error(Operation::Save);
        assert_eq!(error.effect(), Effect::None, "nothing was sent");
        let error = Failure::sent(Phase::SentRepeatedly, server("LOADING")).into_error(Operation::Save);
        assert_eq!(error.effect(), Effect::Unknown, "another node may have done it before");
    }

    #[test]
    fn no_text_of_the_server_is_repeated() {
        let lines = [
            "NOPERM User ada has no permissions to access one of the keys used as arguments",
            "MOVED 3999 10.0.0.1:6381",
            "ERR unknown command 'get', with args beginning with: 'holdover:secret'",
            "SECRETSECRETSECRETSECRET with a long code",
        ];
        for line in lines {
            let error = mapped(server(line));
            let text = format!("{error} {error:?}");
            for leak in ["ada", "10.0.0.1", "secret", "SECRET"] {
                assert!(!text.contains(leak), "{text}");
            }
        }
        assert!(mapped(server("SURPRISE x")).message().ends_with("its code is SURPRISE"));
    }

    #[test]
    fn a_connection_is_given_up_when_it_is_of_no_use() {
        let spoiled = [
            io::Error::from(io::ErrorKind::ConnectionReset).into(),
            io::Error::from(io::ErrorKind::TimedOut).into(),
            server("READONLY You can't write against a read only replica."),
            (Cause::Parse, "garbage").into(),
        ];
        for error in spoiled {
            assert!(Failure::sent(Phase::Sent, error.clone()).spoils_connection(), "{error}");
        }
        assert!(Failure::late(Phase::Sent).spoils_connection());
        for line in ["OOM x", "NOSCRIPT x", "LOADING x", "NOPERM x"] {
            assert!(!Failure::sent(Phase::Sent, server(line)).spoils_connection(), "{line}");
        }
    }
}
