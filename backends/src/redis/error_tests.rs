use redis::ServerError;
use rustls::{InvalidMessage, PeerIncompatible};

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
fn every_failure_of_tls_has_its_row() {
    use CertificateError as Certificate;

    let rows = [
        (TlsError::InvalidCertificate(Certificate::UnknownIssuer), ErrorKind::Misconfigured, "authority"),
        (TlsError::InvalidCertificate(Certificate::BadSignature), ErrorKind::Misconfigured, "authority"),
        (
            TlsError::InvalidCertificate(Certificate::NotValidForName),
            ErrorKind::Misconfigured,
            "another host",
        ),
        (TlsError::InvalidCertificate(Certificate::Expired), ErrorKind::Misconfigured, "renew it"),
        (TlsError::InvalidCertificate(Certificate::NotValidYet), ErrorKind::Misconfigured, "clock"),
        (TlsError::InvalidCertificate(Certificate::Revoked), ErrorKind::Misconfigured, "replace it"),
        (
            TlsError::AlertReceived(AlertDescription::CertificateRequired),
            ErrorKind::Denied,
            "tls-auth-clients",
        ),
        (TlsError::AlertReceived(AlertDescription::ProtocolVersion), ErrorKind::Misconfigured, "1.2 or 1.3"),
        (PeerIncompatible::NoCipherSuitesInCommon.into(), ErrorKind::Misconfigured, "1.2 or 1.3"),
        (InvalidMessage::InvalidContentType.into(), ErrorKind::Misconfigured, "does not speak tls"),
        (TlsError::DecryptError, ErrorKind::Unavailable, "tls connection"),
    ];
    for (cause, kind, part) in rows {
        let text = format!("{cause:?}");
        let certainly_nothing = matches!(
            cause,
            TlsError::InvalidCertificate(_) | TlsError::AlertReceived(AlertDescription::CertificateRequired)
        );
        let effect = if certainly_nothing { Effect::None } else { Effect::Unknown };
        let error = mapped(io::Error::new(io::ErrorKind::InvalidData, cause).into());
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{text}");
        assert!(error.message().contains(part), "{text}: {error}");
    }
    let unreadable = mapped(TlsError::InvalidCertificate(Certificate::BadEncoding).into());
    assert_eq!((unreadable.kind(), unreadable.effect()), (ErrorKind::Misconfigured, Effect::None));
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
