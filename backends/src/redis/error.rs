//! What the server's and the client's failures mean: one table.
//!
//! A server's text may name a user or a key, so none of it is repeated: messages are ours, and all that is kept of the
//! cause is the kind of an I/O error or the code of a refusal that this table does not know.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use holdover_api::{Effect, Error, ErrorKind, Operation};
use redis::{ErrorKind as Cause, RedisError, ServerErrorKind};
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::NAME;
use crate::row::{Row, refused, unclear};

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

const LATE: Row = unclear(
    ErrorKind::Unavailable,
    "the server did not answer in time; is it running and reachable, and is response_timeout long enough?",
);

/// The library reads the system's certificates for each connection, before a byte is sent.
const CERTIFICATES_UNREADABLE: Row = refused(
    ErrorKind::Misconfigured,
    "the certificates that the system trusts cannot be read, or the host of the url is not one that a certificate can \
     name; check SSL_CERT_FILE, SSL_CERT_DIR and the url",
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
        Cause::Io => io_row(error),
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
        Cause::Client if is_of_rustls(error) => CERTIFICATES_UNREADABLE,
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

fn io_row(error: &RedisError) -> Row {
    let broken = unclear(
        ErrorKind::Unavailable,
        "the connection to the server failed; is it running, and is the url right about whether it speaks tls?",
    );
    let Some(cause) = cause_of(error) else {
        return broken;
    };
    match cause.downcast_ref::<io::Error>() {
        Some(io_error) => match tls_error(io_error) {
            Some(error) => tls_row(error),
            None => broken,
        },
        None => CERTIFICATES_UNREADABLE,
    }
}

/// Why there is no TLS with the server. Only somebody who changes a setting or a certificate can help, so hardly any
/// of it is `Unavailable`. There is no way round it: a connection that should be private is never made without TLS.
fn tls_row(error: &TlsError) -> Row {
    match error {
        TlsError::InvalidCertificate(error) => certificate_row(error),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => refused(
            ErrorKind::Denied,
            "the server asks clients for a certificate, which the store does not have; set tls-auth-clients no, and \
             give it a password",
        ),
        TlsError::AlertReceived(_) | TlsError::PeerIncompatible(_) => unclear(
            ErrorKind::Misconfigured,
            "the server and this program have no common way to speak tls; let the server take tls 1.2 or 1.3",
        ),
        TlsError::InvalidMessage(_) => unclear(
            ErrorKind::Misconfigured,
            "the server does not speak tls at this port; write the port that does, or a url without tls",
        ),
        _ => unclear(ErrorKind::Unavailable, "the tls connection to the server failed"),
    }
}

/// Nothing is sent to a server before its certificate has been accepted.
fn certificate_row(error: &CertificateError) -> Row {
    let message = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is from an authority that this system does not trust; add the authority to the \
             system's certificates, or name its file by SSL_CERT_FILE"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host; write the host that it names into the url"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid today; renew it, or set the clock of this machine"
        }
        _ => "the server's certificate is not acceptable; replace it",
    };
    refused(ErrorKind::Misconfigured, message)
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
    Some(cause_of(error)?.downcast_ref::<io::Error>()?.kind())
}

/// The error underneath. The library keeps it in an `Arc`, and hands out the `Arc`.
fn cause_of(error: &RedisError) -> Option<&(dyn StdError + Send + Sync + 'static)> {
    let shared = error.source()?.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?;
    Some(shared.as_ref())
}

/// Whether rustls itself refused, outside of a connection: a certificate that the system trusts is not one.
fn is_of_rustls(error: &RedisError) -> bool {
    let Some(cause) = cause_of(error) else { return false };
    cause.is::<TlsError>()
}

/// Why TLS failed; rustls hides it in an I/O error.
fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
