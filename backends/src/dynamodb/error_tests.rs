//! A test a row.

use std::error::Error as _;

use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::types::error::ProvisionedThroughputExceededException;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;

use super::*;

fn seen(failure: Failure) -> (ErrorKind, Effect) {
    let error = failure.into_error(Operation::Save);
    assert_eq!((error.operation(), error.store()), (Operation::Save, NAME));
    assert!(error.message().starts_with(|letter: char| letter.is_lowercase()), "{error}");
    assert_eq!(error.suggested_delay().is_some(), error.kind() == ErrorKind::Throttled, "{error}");
    (error.kind(), error.effect())
}

fn refusal(code: &str, status: u16, message: &str) -> SdkError<GetItemError, HttpResponse> {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let raw = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
    SdkError::service_error(GetItemError::generic(metadata), raw)
}

#[test]
fn every_refusal_has_its_row() {
    let rows = [
        ("ProvisionedThroughputExceededException", ErrorKind::Throttled, Effect::None),
        ("ThrottlingException", ErrorKind::Throttled, Effect::None),
        ("Throttling", ErrorKind::Throttled, Effect::None),
        ("RequestLimitExceeded", ErrorKind::Throttled, Effect::None),
        ("LimitExceededException", ErrorKind::Throttled, Effect::None),
        ("AccessDeniedException", ErrorKind::Denied, Effect::None),
        ("UnrecognizedClientException", ErrorKind::Denied, Effect::None),
        ("InvalidSignatureException", ErrorKind::Denied, Effect::None),
        ("IncompleteSignatureException", ErrorKind::Denied, Effect::None),
        ("MissingAuthenticationTokenException", ErrorKind::Denied, Effect::None),
        ("MissingAuthenticationToken", ErrorKind::Denied, Effect::None),
        ("InvalidClientTokenId", ErrorKind::Denied, Effect::None),
        ("ExpiredTokenException", ErrorKind::Denied, Effect::None),
        ("ResourceNotFoundException", ErrorKind::Unavailable, Effect::None),
        ("ResourceInUseException", ErrorKind::Unavailable, Effect::None),
        ("TransactionConflictException", ErrorKind::Unavailable, Effect::None),
        ("TransactionInProgressException", ErrorKind::Unavailable, Effect::None),
        ("ReplicatedWriteConflictException", ErrorKind::Unavailable, Effect::None),
        ("ItemCollectionSizeLimitExceededException", ErrorKind::TooLarge, Effect::None),
        ("RequestEntityTooLarge", ErrorKind::TooLarge, Effect::None),
        ("ValidationException", ErrorKind::Unexpected, Effect::None),
        ("UnknownOperationException", ErrorKind::Misconfigured, Effect::None),
        ("InternalServerError", ErrorKind::Unavailable, Effect::Unknown),
        ("ServiceUnavailable", ErrorKind::Unavailable, Effect::Unknown),
        ("SomethingNew", ErrorKind::Unexpected, Effect::Unknown),
        ("", ErrorKind::Unexpected, Effect::Unknown),
    ];
    for (code, kind, effect) in rows {
        assert_eq!(seen(Failure::of(&refusal(code, 400, ""))), (kind, effect), "{code}");
    }
    for status in [500, 502, 503] {
        let failed = seen(Failure::of(&refusal("SomethingNew", status, "")));
        assert_eq!(failed, (ErrorKind::Unavailable, Effect::Unknown), "{status}");
    }
}

#[test]
fn what_a_validation_is_about_decides() {
    let rows = [
        ("Item size has exceeded the maximum allowed size", ErrorKind::TooLarge),
        ("Item size to update has exceeded the maximum allowed size", ErrorKind::TooLarge),
        ("The document path provided in the update expression is invalid for update", ErrorKind::Corrupt),
        ("An operand in the update expression has an incorrect data type", ErrorKind::Corrupt),
        (
            "The provided expression refers to an attribute that does not exist in the item",
            ErrorKind::Corrupt,
        ),
        ("Expression size has exceeded the maximum allowed size", ErrorKind::Unexpected),
    ];
    for (text, kind) in rows {
        assert_eq!(
            seen(Failure::of(&refusal("ValidationException", 400, text))),
            (kind, Effect::None),
            "{text}"
        );
    }
}

#[test]
fn a_refusal_that_the_client_knows_by_type_has_the_same_row() {
    let typed = GetItemError::ProvisionedThroughputExceededException(
        ProvisionedThroughputExceededException::builder()
            .meta(ErrorMetadata::builder().code("ProvisionedThroughputExceededException").build())
            .build(),
    );
    let raw = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
    let failure = Failure::of(&SdkError::service_error(typed, raw));
    assert_eq!(seen(failure), (ErrorKind::Throttled, Effect::None));
}

#[test]
fn every_other_cause_has_its_row() {
    let rows = [
        (Cause::Io(io::ErrorKind::ConnectionRefused), ErrorKind::Unavailable, Effect::None),
        (Cause::Io(io::ErrorKind::ConnectionReset), ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Late, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Outrun, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::Garbled, ErrorKind::Unavailable, Effect::Unknown),
        (Cause::NoCredentials, ErrorKind::Denied, Effect::None),
        (Cause::Unmade, ErrorKind::Unexpected, Effect::None),
        (Cause::TooLarge, ErrorKind::TooLarge, Effect::None),
        (Cause::Unreadable(Unreadable::Newer), ErrorKind::Corrupt, Effect::None),
        (Cause::Unreadable(Unreadable::Malformed), ErrorKind::Corrupt, Effect::None),
    ];
    for (cause, kind, effect) in rows {
        assert_eq!(seen(Failure::sent(cause.clone())), (kind, effect), "{cause:?}");
        assert_eq!(seen(Failure::sent(cause.clone()).of_a_read()).1, Effect::None, "{cause:?}");
    }
}

type Sdk = SdkError<GetItemError, HttpResponse>;

#[test]
fn what_the_client_says_is_told_apart() {
    let reset = ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into());
    let reset = Failure::of(&Sdk::dispatch_failure(reset));
    assert_eq!(reset, Failure::sent(Cause::Io(io::ErrorKind::ConnectionReset)));
    let timeout = ConnectorError::timeout("HTTP read timeout occurred after 1s".into());
    assert_eq!(Failure::of(&Sdk::dispatch_failure(timeout)), Failure::sent(Cause::Late));
    let connecting = ConnectorError::timeout("client error (Connect)".into());
    assert_eq!(Failure::of(&Sdk::dispatch_failure(connecting)).phase, Phase::Unsent);
    let none = ConnectorError::other(CredentialsError::not_loaded("none").into(), None);
    assert_eq!(Failure::of(&Sdk::dispatch_failure(none)), Failure::unsent(Cause::NoCredentials));
    assert_eq!(Failure::of(&Sdk::timeout_error("late")), Failure::sent(Cause::Late));
    assert_eq!(Failure::of(&Sdk::construction_failure("odd")), Failure::unsent(Cause::Unmade));
    let raw = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty());
    assert_eq!(Failure::of(&Sdk::response_error("odd", raw)), Failure::sent(Cause::Garbled));
}

#[test]
fn no_text_of_dynamodbs_is_repeated_and_an_unknown_name_is_told_if_it_is_one() {
    let text = "User: arn:aws:iam::123456789012:user/ada is not authorized on table hunter2";
    for code in ["AccessDeniedException", "SomethingNew", "hunter2 is odd"] {
        let error = Failure::of(&refusal(code, 400, text)).into_error(Operation::Load);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("ada") && !shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.contains("SomethingNew"), code == "SomethingNew", "{shown}");
    }
}

#[test]
fn the_kind_of_an_io_error_is_kept_as_the_source() {
    let error = Failure::sent(Cause::Late).into_error(Operation::Load);
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::TimedOut);
}
