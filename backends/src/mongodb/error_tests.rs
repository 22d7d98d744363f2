//! A test a row, of those that can be made without a server; the others are in `tests/mongodb_server.rs`.

use std::error::Error as _;
use std::sync::Arc;

use mongodb::bson::{deserialize_from_document, doc};
use mongodb::options::ClientOptions;

use super::*;

fn refused_with(code: i32) -> Failure {
    let refusal = doc! { "code": code, "codeName": "Name", "errmsg": "hunter2" };
    Failure::Driver(Cause::Command(deserialize_from_document(refusal).expect("a refusal")).into())
}

fn unacknowledged_with(code: i32) -> Failure {
    let refusal = doc! { "code": code, "codeName": "Name", "errmsg": "hunter2" };
    let concern = deserialize_from_document(refusal).expect("a refusal");
    Failure::Driver(Cause::Write(WriteFailure::WriteConcernError(concern)).into())
}

fn broken_with(kind: io::ErrorKind) -> Failure {
    Failure::Driver(Cause::Io(Arc::new(io::Error::new(kind, "hunter2"))).into())
}

fn seen(failure: &Failure) -> (ErrorKind, Effect) {
    let error = failure.clone().into_error(Operation::Save);
    assert_eq!((error.operation(), error.store()), (Operation::Save, NAME));
    assert!(error.message().starts_with(|letter: char| letter.is_lowercase()), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    (error.kind(), failure.effect())
}

#[test]
fn every_code_has_its_row() {
    let rows = [
        (&[10058, 10107, 13435][..], ErrorKind::Unavailable, Effect::None),
        (&[91, 189, 11600, 11602, 13436], ErrorKind::Unavailable, Effect::Unknown),
        (&[50, 262, 202, 89], ErrorKind::Unavailable, Effect::Unknown),
        (&[13, 18, 8000], ErrorKind::Denied, Effect::None),
        (&[10334, 17280, 17419, 17420], ErrorKind::TooLarge, Effect::None),
        (&[67, 85, 86, 59, 115, 20], ErrorKind::Misconfigured, Effect::None),
        (&[79, 93, 100], ErrorKind::Misconfigured, Effect::Unknown),
        (&[64], ErrorKind::Unavailable, Effect::Unknown),
        (&[46, 112, 462, 16500], ErrorKind::Throttled, Effect::None),
        (&[14031], ErrorKind::Unavailable, Effect::None),
        (&[1, 9, 26], ErrorKind::Unexpected, Effect::Unknown),
    ];
    for (codes, kind, effect) in rows {
        for code in codes {
            assert_eq!(seen(&refused_with(*code)), (kind, effect), "{code}");
        }
    }
}

#[test]
fn a_write_that_only_lacks_its_acknowledgement_may_have_happened() {
    for code in [64, 91, 10107, 100] {
        assert_eq!(seen(&unacknowledged_with(code)).1, Effect::Unknown, "{code}");
    }
}

#[test]
fn a_code_that_is_not_known_is_named() {
    let error = refused_with(4_242).into_error(Operation::Save);
    assert_eq!(error.message(), "the server refused the operation; its code is 4242");
}

#[test]
fn connections_fail_by_kind_and_keep_nothing_but_it() {
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut, io::ErrorKind::UnexpectedEof] {
        let failure = broken_with(kind);
        assert_eq!(seen(&failure), (ErrorKind::Unavailable, Effect::Unknown));
        let error = failure.into_error(Operation::Load);
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).expect("a cause");
        assert_eq!((source.kind(), source.get_ref().is_none()), (kind, true));
    }
}

#[test]
fn only_what_passes_is_tried_again() {
    for failure in
        [refused_with(10107), refused_with(11602), refused_with(112), broken_with(io::ErrorKind::BrokenPipe)]
    {
        assert!(failure.is_passing(), "{failure:?}");
    }
    let lasting =
        [refused_with(13), refused_with(64), refused_with(10334), refused_with(4_242), Failure::Late];
    for failure in lasting {
        assert!(!failure.is_passing(), "{failure:?}");
    }
}

#[test]
fn a_duplicate_is_recognised() {
    assert!(refused_with(11000).is_duplicate());
    assert!(!refused_with(11001).is_duplicate());
}

#[test]
fn what_we_find_ourselves_has_no_effect() {
    let own = [
        (Failure::Unreadable(Unreadable::Newer), ErrorKind::Corrupt),
        (Failure::Unreadable(Unreadable::Malformed), ErrorKind::Corrupt),
        (Failure::TooLarge(7), ErrorKind::TooLarge),
        (Failure::Unfit(ErrorKind::Misconfigured, "so it is".to_owned()), ErrorKind::Misconfigured),
    ];
    for (failure, kind) in own {
        assert_eq!(seen(&failure), (kind, Effect::None));
    }
    assert_eq!(seen(&Failure::Late), (ErrorKind::Unavailable, Effect::Unknown));
}

#[tokio::test]
async fn a_url_that_the_driver_refuses_is_misconfigured_and_not_repeated() {
    let error = ClientOptions::parse("mongodb://host/?hunter2=1").await.expect_err("it is not known");
    assert_eq!(seen(&Failure::Driver(error)), (ErrorKind::Misconfigured, Effect::None));
}
