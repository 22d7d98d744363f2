//! Replies as a server of version 1.6.18 sends them, in every cut, and everything else.

use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::*;

fn encoded(command: Command<'_>) -> String {
    let mut out = Vec::new();
    command.encode(7, &mut out);
    String::from_utf8(out).unwrap()
}

fn taken(bytes: &[u8]) -> Result<Option<Numbered>, Garbled> {
    take_reply(&mut BytesMut::from(bytes))
}

fn reply(text: &str) -> (Reply, Option<u64>) {
    let mut received = BytesMut::from(text.as_bytes());
    let numbered = take_reply(&mut received).unwrap().unwrap();
    assert!(received.is_empty(), "{text:?} leaves {received:?}");
    (numbered.reply, numbered.number)
}

#[test]
fn commands_are_written_with_their_number() {
    assert_eq!(encoded(Command::Get { key: "a:b" }), "mg a:b v c O7\r\n");
    assert_eq!(encoded(Command::Delete { key: "a", cas: None }), "md a O7\r\n");
    assert_eq!(encoded(Command::Delete { key: "a", cas: Some(5) }), "md a C5 O7\r\n");
    assert_eq!(encoded(Command::Ask("mn")), "mn\r\n");
    let add = Command::Set { key: "a", value: b"x y\r\n ", exptime: 9, on: Condition::Nothing };
    assert_eq!(encoded(add), "ms a 6 T9 ME c O7\r\nx y\r\n \r\n");
    let swap = Command::Set { key: "a", value: b"", exptime: 9, on: Condition::Exactly(3) };
    assert_eq!(encoded(swap), "ms a 0 T9 C3 c O7\r\n\r\n");
}

#[test]
fn replies_are_read() {
    assert_eq!(reply("EN O77\r\n"), (Reply::Missing, Some(77)));
    assert_eq!(reply("HD c12 O1\r\n"), (Reply::Done { cas: 12 }, Some(1)));
    assert_eq!(reply("HD O4\r\n"), (Reply::Done { cas: 0 }, Some(4)));
    assert_eq!(reply("NS c0 O1\r\n"), (Reply::NotStored, Some(1)));
    assert_eq!(reply("EX c0 O2\r\n"), (Reply::Exists, Some(2)));
    assert_eq!(reply("NF O4\r\n"), (Reply::NotFound, Some(4)));
    assert_eq!(reply("MN\r\n"), (Reply::Alive, None));
    let report = |lines: &[(&str, &str)]| {
        let lines = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Reply::Report(lines.collect())
    };
    assert_eq!(reply("VERSION 1.6.18 b\r\n").0, report(&[("version", "1.6.18 b")]));
    assert_eq!(reply("STAT pid 7\r\nSTAT empty \r\nEND\r\n").0, report(&[("pid", "7"), ("empty", "")]));
    assert_eq!(reply("END\r\n").0, report(&[]));
}

#[test]
fn values_are_kept_to_the_byte() {
    for value in [&b""[..], b" trailing \t ", b"\r\n", b"END\r\n", b"VA 1 c1 O2\r\n", &[0, 255, 13]] {
        let text = [format!("VA {} c9 O3\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
        let numbered = taken(&text).unwrap().unwrap();
        assert_eq!(numbered.number, Some(3));
        assert_eq!(numbered.reply, Reply::Value { value: Bytes::copy_from_slice(value), cas: 9 });
    }
}

#[test]
fn refusals_are_told_apart_and_their_words_dropped() {
    let refused = |text: &str| match reply(text).0 {
        Reply::Refused(refusal) => refusal,
        other => panic!("{text:?}: {other:?}"),
    };
    assert_eq!(refused("SERVER_ERROR out of memory storing object\r\n"), Refusal::OutOfMemory);
    assert_eq!(refused("SERVER_ERROR out of memory writing get response\r\n"), Refusal::OutOfMemory);
    assert_eq!(refused("SERVER_ERROR object too large for cache\r\n"), Refusal::TooLarge);
    assert_eq!(refused("SERVER_ERROR internal error\r\n"), Refusal::Server);
    assert_eq!(refused("CLIENT_ERROR bad data chunk\r\n"), Refusal::Client);
    assert_eq!(refused("CLIENT_ERROR unauthenticated\r\n"), Refusal::Unauthenticated);
    assert_eq!(refused("ERROR\r\n"), Refusal::UnknownCommand);
    assert_eq!(refused("ERROR Too many open connections\r\n"), Refusal::TooManyConnections);
}

#[test]
fn what_is_not_a_reply_is_garbled() {
    let texts = [
        "HTTP/1.1 400 Bad Request\r\n",
        "-ERR unknown command\r\n",
        "\r\n",
        "\n",
        "HD\n",
        "HD cx O1\r\n",
        "HD c1 Oone\r\n",
        "VA\r\n",
        "VA x c1 O1\r\n",
        "VA -1 c1 O1\r\n",
        "VA 1 O1\r\nx\r\n",
        "VA 1 c1 O1\r\nxyz",
        "VA 18446744073709551615 c1 O1\r\n",
        "VA 1073741825 c1 O1\r\n",
        "STAT a b\r\nHD\r\n",
        "va 1 c1 O1\r\nx\r\n",
    ];
    for text in texts {
        assert_eq!(taken(text.as_bytes()), Err(Garbled), "{text:?}");
    }
    assert_eq!(taken(&[b'x'; LONGEST_LINE]), Err(Garbled));
    assert_eq!(taken(b"HD \xff\r\n"), Err(Garbled));
}

proptest! {
    #[test]
    fn replies_cut_anywhere_are_waited_for_and_then_read_in_order(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stream = Vec::new();
        for (number, value) in values.iter().enumerate() {
            stream.extend_from_slice(format!("VA {} c{number} O{number}\r\n", value.len()).as_bytes());
            stream.extend_from_slice(value);
            stream.extend_from_slice(format!("\r\nHD c1 O{number}\r\n").as_bytes());
        }
        let (first, second) = stream.split_at(cut.index(stream.len()));
        let mut received = BytesMut::from(first);
        let mut replies = Vec::new();
        while let Some(numbered) = take_reply(&mut received).unwrap() {
            replies.push(numbered);
        }
        received.extend_from_slice(second);
        while let Some(numbered) = take_reply(&mut received).unwrap() {
            replies.push(numbered);
        }
        prop_assert!(received.is_empty());
        prop_assert_eq!(replies.len(), values.len() * 2);
        for (number, (pair, value)) in replies.chunks(2).zip(&values).enumerate() {
            let cas = number as u64;
            prop_assert_eq!(pair[0].number, Some(cas));
            prop_assert_eq!(&pair[0].reply, &Reply::Value { value: Bytes::copy_from_slice(value), cas });
            prop_assert_eq!(pair[1].number, Some(cas));
        }
    }

    #[test]
    fn any_bytes_are_a_reply_or_an_error_and_cost_no_more_than_they_are(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        code in prop::sample::select(vec!["VA ", "HD ", "STAT ", "END\r", "SERVER_ERROR", ""]),
    ) {
        let mut received = BytesMut::from(&[code.as_bytes(), &bytes].concat()[..]);
        let before = received.len();
        if let Ok(Some(_)) = take_reply(&mut received) {
            prop_assert!(received.len() < before);
        }
    }
}
