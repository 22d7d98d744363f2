//! The command line of the demonstration application.

#[path = "../../examples/server/arguments.rs"]
mod arguments;

use std::sync::Arc;
use std::time::Duration;

use arguments::Arguments;
use clap::Parser;
use clap::error::ErrorKind;
use holdover::{Memory, SessionLayer};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn parse(options: &str) -> Arguments {
    let words = format!("server --store memory: {options}");
    Arguments::try_parse_from(words.split_whitespace()).expect("the command line is valid")
}

fn refusal(options: &str) -> ErrorKind {
    let words = format!("server {options}");
    let parsed = Arguments::try_parse_from(words.split_whitespace());
    parsed.expect_err("the command line is refused").kind()
}

#[test]
fn only_the_store_has_to_be_named() {
    let arguments = parse("");
    assert_eq!(arguments.store, "memory:");
    assert_eq!(arguments.listen, "127.0.0.1:8080");
    assert_eq!(arguments.timeouts(), (HOUR / 2, 24 * HOUR));
    assert_eq!(refusal(""), ErrorKind::MissingRequiredArgument);
}

#[test]
fn each_timeout_makes_room_for_the_other() {
    let seconds = Duration::from_secs;
    let expected = [
        ("--idle-seconds 2", (seconds(2), 24 * HOUR)),
        ("--max-seconds 3", (seconds(3), seconds(3))),
        ("--idle-seconds 2 --max-seconds 3", (seconds(2), seconds(3))),
        ("--idle-seconds 60 --max-seconds 3", (seconds(3), seconds(3))),
        ("--idle-seconds 172800", (48 * HOUR, 48 * HOUR)),
    ];
    for (options, timeouts) in expected {
        let arguments = parse(options);
        assert_eq!(arguments.timeouts(), timeouts, "{options}");
        let layer = arguments.apply(SessionLayer::builder(Arc::new(Memory::new()))).build();
        assert_eq!(layer.expect("the settings work").policy().idle_timeout(), timeouts.0, "{options}");
    }
}

#[test]
fn the_cookie_is_secure_unless_that_is_given_up_by_name() {
    for (options, name) in [("", "__Host-id"), ("--insecure-cookies", "id")] {
        let layer = parse(options).apply(SessionLayer::builder(Arc::new(Memory::new()))).build();
        assert_eq!(layer.expect("the settings work").cookie_name(), name);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert_eq!(refusal("--store memory: --idle-seconds 0"), ErrorKind::ValueValidation);
    assert_eq!(refusal("--store memory: --max-seconds 0"), ErrorKind::ValueValidation);
    assert_eq!(refusal("--store memory: --secure-cookies"), ErrorKind::UnknownArgument);
}
