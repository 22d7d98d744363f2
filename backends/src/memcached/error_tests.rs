//! A test a row.

use std::error::Error as _;

use super::*;

fn seen(failure: Failure) -> (ErrorKind, Effect) {
    let error = failure.into_error(Operation::Save);
    assert_eq!((error.operation(), error.store()), (Operation::Save, NAME));
    assert!(error.message().starts_with(|letter: char| letter.is_lowercase()), "{error}");
    (error.kind(), error.effect())
}

#[test]
fn every_cause_has_its_row() {
    let rows = [
        (Cause::Io(io::ErrorKind::ConnectionRefused), ErrorKind::Unavailable, Effect::None),
        (Cause::Io(io::ErrorKind::NotFound), ErrorKind::Unavailable, Effect::None),
        (Cause::Io(io::ErrorKind::PermissionDenied), ErrorKind::Denied, Effect::None),
        (Cause::Io(io::ErrorKind::ConnectionReset), ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Io(io::ErrorKind::BrokenPipe), ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Closed, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Late, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Outrun, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Garbled, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::OutOfStep, ErrorKind::Unexpected, Effect::Unknown),
        (Cause::TooOld, ErrorKind::Misconfigured, Effect::None),
        (Cause::Refused(Refusal::OutOfMemory), ErrorKind::Throttled, Effect::Unknown),
        (Cause::Refused(Refusal::TooLarge), ErrorKind::TooLarge, Effect::Unknown),
        (Cause::Refused(Refusal::TooManyConnections), ErrorKind::Throttled, Effect::None),
        (Cause::Refused(Refusal::Unauthenticated), ErrorKind::Denied, Effect::None),
        (Cause::Refused(Refusal::Server), ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Refused(Refusal::Client), ErrorKind::Unexpected, Effect::Unknown),
        (Cause::Refused(Refusal::UnknownCommand), ErrorKind::Unexpected, Effect::Unknown),
    ];
    for (cause, kind, effect) in rows {
        assert_eq!(seen(Failure::sent(cause)), (kind, effect), "{cause:?}");
    }
}

#[test]
fn what_was_not_sent_or_only_reads_has_no_effect() {
    for cause in [Cause::Closed, Cause::Late, Cause::Garbled, Cause::Io(io::ErrorKind::ConnectionReset)] {
        assert_eq!(seen(Failure::unsent(cause)).1, Effect::None, "{cause:?}");
        assert_eq!(seen(Failure::sent(cause).of_a_read()).1, Effect::None, "{cause:?}");
        assert_eq!(seen(Failure::sent(cause)).1, Effect::Unknown, "{cause:?}");
    }
}

#[test]
fn a_connection_is_kept_only_while_it_is_certainly_in_step() {
    let kept = [Refusal::OutOfMemory, Refusal::TooLarge, Refusal::Server];
    for refusal in kept {
        assert!(!Failure::sent(Cause::Refused(refusal)).spoils_connection(), "{refusal:?}");
    }
    assert!(!Failure::sent(Cause::Outrun).spoils_connection());
    let dropped = [
        Cause::Refused(Refusal::Client),
        Cause::Refused(Refusal::UnknownCommand),
        Cause::Refused(Refusal::Unauthenticated),
        Cause::Refused(Refusal::TooManyConnections),
        Cause::Late,
        Cause::Closed,
        Cause::Garbled,
        Cause::OutOfStep,
        Cause::Io(io::ErrorKind::ConnectionReset),
    ];
    for cause in dropped {
        assert!(Failure::sent(cause).spoils_connection(), "{cause:?}");
    }
}

#[test]
fn the_kind_of_an_io_error_is_kept_as_the_source() {
    let error = Failure::sent(Cause::Late).into_error(Operation::Load);
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::TimedOut);
    let reset = Failure::io(Phase::Sent, &io::Error::from(io::ErrorKind::ConnectionReset));
    let source = reset.into_error(Operation::Load);
    let source = source.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
}
