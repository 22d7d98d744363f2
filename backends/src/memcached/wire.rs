//! The meta protocol of Memcached: commands into bytes, bytes into replies. Nothing in here touches a socket.
//!
//! A command that names a key carries a number, which the server gives back in its reply (the flag `O`): so a reply
//! says which command it answers, and is never taken for another's.

use std::io::Write as _;

use bytes::{Buf, Bytes, BytesMut};

/// The longest line that a server sends outside of a report; no honest reply comes near it.
const LONGEST_LINE: usize = 2048;

/// The largest value that a server can be told to take.
const LARGEST_VALUE: usize = 1024 * 1024 * 1024;

/// The largest report. A server's own is some 4 KB.
const LARGEST_REPORT: usize = 1024 * 1024;

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// Reads a value and its compare token.
    Get {
        /// The key as the server has it.
        key: &'a str,
    },
    /// Stores a value under a condition, and asks for the new compare token. There is no unconditional form.
    Set {
        /// The key as the server has it.
        key: &'a str,
        /// The bytes.
        value: &'a [u8],
        /// When the server is to forget it, as it reads such numbers.
        exptime: i32,
        /// What has to be there.
        on: Condition,
    },
    /// Removes a value.
    Delete {
        /// The key as the server has it.
        key: &'a str,
        /// Only if this is its compare token.
        cas: Option<u64>,
    },
    /// A question about the server itself: its words.
    Ask(&'static str),
}

/// What a [`Command::Set`] stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing is there.
    Nothing,
    /// Exactly what had this compare token.
    Exactly(u64),
}

impl Command<'_> {
    /// Appends the command as it goes over the wire. `number` comes back in the reply.
    pub(super) fn encode(&self, number: u64, out: &mut Vec<u8>) {
        // Writing to memory cannot fail.
        let _ = match self {
            Self::Get { key } => write!(out, "mg {key} v c O{number}\r\n"),
            Self::Delete { key, cas: None } => write!(out, "md {key} O{number}\r\n"),
            Self::Delete { key, cas: Some(cas) } => write!(out, "md {key} C{cas} O{number}\r\n"),
            Self::Ask(words) => write!(out, "{words}\r\n"),
            Self::Set { key, value, exptime, on } => {
                out.reserve(key.len() + value.len() + 96);
                let _ = match on {
                    Condition::Nothing => {
                        write!(out, "ms {key} {} T{exptime} ME c O{number}\r\n", value.len())
                    }
                    Condition::Exactly(cas) => {
                        write!(out, "ms {key} {} T{exptime} C{cas} c O{number}\r\n", value.len())
                    }
                };
                out.extend_from_slice(value);
                out.write_all(b"\r\n")
            }
        };
    }

    /// Whether its reply repeats the number: refusals and answers to questions do not.
    pub(super) const fn is_numbered(&self) -> bool {
        !matches!(self, Self::Ask(_))
    }
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `VA`: the value, and its compare token.
    Value {
        /// The bytes, in memory of their own.
        value: Bytes,
        /// The compare token, of this connection only.
        cas: u64,
    },
    /// `HD`: done, with the new compare token if something was stored.
    Done {
        /// The compare token, of this connection only; 0 after a removal.
        cas: u64,
    },
    /// `EN`: nothing is there to read.
    Missing,
    /// `NS`: something was there already.
    NotStored,
    /// `EX`: something else was there.
    Exists,
    /// `NF`: nothing was there.
    NotFound,
    /// `MN`: the server is there and knows the meta protocol.
    Alive,
    /// What the server reports of itself: names and values.
    Report(Vec<(String, String)>),
    /// It will not.
    Refused(Refusal),
}

/// Why a server will not. Its own words are not kept: they may name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `SERVER_ERROR out of memory …`.
    OutOfMemory,
    /// `SERVER_ERROR object too large for cache`.
    TooLarge,
    /// Any other `SERVER_ERROR`.
    Server,
    /// `ERROR Too many open connections`.
    TooManyConnections,
    /// `CLIENT_ERROR unauthenticated`.
    Unauthenticated,
    /// Any other `CLIENT_ERROR`: it could not make sense of the command.
    Client,
    /// `ERROR`: it does not know the command.
    UnknownCommand,
}

impl Refusal {
    /// Whether the server has read the command to its end, so that what follows is read as what it is.
    pub(super) const fn is_in_step(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::TooLarge | Self::Server)
    }

    fn of(line: &str) -> Option<Self> {
        if let Some(text) = line.strip_prefix("SERVER_ERROR") {
            return Some(match text.trim_start() {
                text if text.starts_with("out of memory") => Self::OutOfMemory,
                text if text.starts_with("object too large") => Self::TooLarge,
                _ => Self::Server,
            });
        }
        if let Some(text) = line.strip_prefix("CLIENT_ERROR") {
            let needs_login = text.contains("unauthenticated");
            return Some(if needs_login { Self::Unauthenticated } else { Self::Client });
        }
        let text = line.strip_prefix("ERROR")?;
        Some(if text.contains("Too many open") { Self::TooManyConnections } else { Self::UnknownCommand })
    }
}

/// A whole reply, and the number of the command that it answers, if it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) reply: Reply,
    pub(super) number: Option<u64>,
}

/// What came is not a reply of this protocol: nothing behind it can be trusted either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// Takes one reply off the front of what has been received; nothing if it has not wholly arrived.
pub(super) fn take_reply(received: &mut BytesMut) -> Result<Option<Numbered>, Garbled> {
    let Some(line) = first_line(received, LONGEST_LINE)? else {
        return Ok(None);
    };
    if received.starts_with(b"STAT ") || received.starts_with(b"END\r") {
        return take_report(received);
    }
    let length = line.len() + 2;
    let line = std::str::from_utf8(line).map_err(|_| Garbled)?;
    let mut words = line.split(' ');
    let code = words.next().unwrap_or_default();
    if code == "VA" {
        return take_value(received, length);
    }
    let reply = match code {
        "HD" => Reply::Done { cas: flag(words.clone(), 'c')?.unwrap_or_default() },
        "EN" => Reply::Missing,
        "NS" => Reply::NotStored,
        "EX" => Reply::Exists,
        "NF" => Reply::NotFound,
        "MN" => Reply::Alive,
        "VERSION" => Reply::Report(vec![("version".to_owned(), words.collect::<Vec<_>>().join(" "))]),
        _ => Reply::Refused(Refusal::of(line).ok_or(Garbled)?),
    };
    let number = match reply {
        Reply::Report(_) | Reply::Refused(_) | Reply::Alive => None,
        _ => flag(line.split(' '), 'O')?,
    };
    received.advance(length);
    Ok(Some(Numbered { reply, number }))
}

fn take_value(received: &mut BytesMut, head: usize) -> Result<Option<Numbered>, Garbled> {
    let line = std::str::from_utf8(&received[..head - 2]).map_err(|_| Garbled)?;
    let mut words = line.split(' ').skip(1);
    let size: usize = words.next().and_then(|size| size.parse().ok()).ok_or(Garbled)?;
    if size > LARGEST_VALUE {
        return Err(Garbled);
    }
    let cas = flag(words.clone(), 'c')?.ok_or(Garbled)?;
    let number = flag(words, 'O')?;
    let end = head + size;
    let Some(tail) = received.get(end..).filter(|tail| tail.len() >= 2) else {
        return Ok(None);
    };
    if !tail.starts_with(b"\r\n") {
        return Err(Garbled);
    }
    // In memory of its own: a slice of a session must not hold on to everything that arrived with it.
    let value = Bytes::copy_from_slice(&received[head..end]);
    received.advance(end + 2);
    Ok(Some(Numbered { reply: Reply::Value { value, cas }, number }))
}

fn take_report(received: &mut BytesMut) -> Result<Option<Numbered>, Garbled> {
    let mut lines = Vec::new();
    let mut position = 0;
    loop {
        let Some(line) = first_line(&received[position..], LONGEST_LINE)? else {
            return if position > LARGEST_REPORT { Err(Garbled) } else { Ok(None) };
        };
        position += line.len() + 2;
        let line = std::str::from_utf8(line).map_err(|_| Garbled)?;
        if line == "END" {
            break;
        }
        let statement = line.strip_prefix("STAT ").ok_or(Garbled)?;
        let (name, value) = statement.split_once(' ').unwrap_or((statement, ""));
        lines.push((name.to_owned(), value.to_owned()));
    }
    received.advance(position);
    Ok(Some(Numbered { reply: Reply::Report(lines), number: None }))
}

/// The first line without its end, if it is whole.
fn first_line(bytes: &[u8], longest: usize) -> Result<Option<&[u8]>, Garbled> {
    let searched = &bytes[..bytes.len().min(longest)];
    match searched.iter().position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && bytes[end - 1] == b'\r' => Ok(Some(&bytes[..end - 1])),
        Some(_) => Err(Garbled),
        None if searched.len() == longest => Err(Garbled),
        None => Ok(None),
    }
}

/// The number behind a flag's letter.
fn flag<'a>(mut words: impl Iterator<Item = &'a str>, letter: char) -> Result<Option<u64>, Garbled> {
    match words.find_map(|word| word.strip_prefix(letter)) {
        Some(digits) => digits.parse().map(Some).map_err(|_| Garbled),
        None => Ok(None),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
