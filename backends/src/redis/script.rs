//! The scripts, what they are asked and what they answer.
//!
//! Each is asked about one key, in one call, and answers one byte string: a letter, then what belongs to it.
//!
//! | answer | then | means |
//! |---|---|---|
//! | `S` | the head before, or nothing | saved, now or earlier |
//! | `C` | the frame that is there | conflict |
//! | `G` | | nothing live |
//! | `L` | | too large |
//! | `Y`, `N` | | touched, or nothing live |
//! | `I` | | installed, now or earlier |
//! | `R` | the frame that is there, or nothing | installation refused |
//! | `X` | the first byte that is there | what is stored is corrupt, or newer than this library |
//!
//! `ARGV[1]` is packed, so that a script gets its numbers with one call. Numbers are doubles: Lua has no others, they
//! hold every [`Timestamp`] exactly, and they need no 64-bit integers of the server.

use std::sync::LazyLock;

use bytes::Bytes;
use holdover_api::{Deadline, On, Stamp, Standing, Stored, Timestamp, Write, frame};
use redis::{Cmd, Script};

use super::merge;

/// In the place of a stamp that there is not.
const NO_STAMP: Stamp = Stamp::from_bytes([0; 16]);

macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| Text::new(concat!(include_str!("frame.lua"), include_str!($file))))
    };
}

/// [`judge`](holdover_api::judge) and the store.
pub(super) static SAVE: LazyLock<Text> = script!("save.lua");
/// [`judge_touch`](holdover_api::judge_touch) and the store.
pub(super) static TOUCH: LazyLock<Text> = script!("touch.lua");
/// [`judge_install`](holdover_api::judge_install) and the store.
pub(super) static INSTALL: LazyLock<Text> = script!("install.lua");

/// The text of a script, and the name by which a server that has seen it knows it.
pub(super) struct Text {
    source: &'static str,
    hash: String,
}

impl Text {
    fn new(source: &'static str) -> Self {
        let hash = Script::new(source).get_hash().to_owned();
        Self { source, hash }
    }

    /// Runs the script by its name: what every call does first.
    pub(super) fn by_name(&self, key: &str, arguments: &[Vec<u8>]) -> Cmd {
        call("EVALSHA", &self.hash, key, arguments)
    }

    /// Runs the script by its text, which makes its name known to the server: after a restart, on a new node.
    pub(super) fn by_text(&self, key: &str, arguments: &[Vec<u8>]) -> Cmd {
        call("EVAL", self.source, key, arguments)
    }
}

fn call(command: &str, script: &str, key: &str, arguments: &[Vec<u8>]) -> Cmd {
    let bytes = arguments.iter().map(Vec::len).sum::<usize>() + command.len() + script.len() + 1 + key.len();
    let mut cmd = Cmd::with_capacity(4 + arguments.len(), bytes);
    cmd.arg(command).arg(script).arg(1).arg(key);
    for argument in arguments {
        cmd.arg(&argument[..]);
    }
    cmd
}

/// What `save.lua` is asked: the packed numbers, flags and stamps, the attributes set as a frame holds them, the frame
/// that results over the base if there is one, and the names removed.
pub(super) fn save_arguments(
    write: &Write,
    base: Option<&Bytes>,
    now: Timestamp,
    max_bytes: usize,
) -> Vec<Vec<u8>> {
    let sets = write.delta.sets();
    let added_bytes = sets.iter().map(|(name, value)| frame::attribute_size(name.len(), value.len())).sum();
    // What alone is too large is not sent. The script still decides: nothing live, or a conflict, is said first.
    let mut added = Vec::new();
    if added_bytes <= max_bytes {
        added.reserve_exact(added_bytes);
        for (name, value) in sets {
            frame::push_attribute(&mut added, name, value);
        }
    }
    let merged = base.and_then(|base| merge::over(base, write, &added, max_bytes)).unwrap_or_default();

    let (on, expected, created) = match write.on {
        On::Absent { created } => (b'A', NO_STAMP, created),
        On::Live => (b'L', NO_STAMP, Timestamp::default()),
        On::Head(head) => (b'H', head, Timestamp::default()),
    };
    let rule = match write.deadline {
        Deadline::AtLeast(_) => b'>',
        Deadline::Exactly(_) => b'=',
    };
    let clear = if write.delta.clears() { b'c' } else { b'-' };
    let mut packed = Vec::with_capacity(83);
    push_moment(&mut packed, now);
    push_moment(&mut packed, write.deadline.moment());
    push_size(&mut packed, max_bytes);
    push_size(&mut packed, added_bytes);
    push_size(&mut packed, sets.len());
    packed.extend_from_slice(&[on, rule, clear]);
    packed.extend_from_slice(write.stamp.as_bytes());
    packed.extend_from_slice(expected.as_bytes());
    packed.extend_from_slice(&created.as_millis().to_le_bytes());

    let removed = write.delta.removes().iter().map(|name| name.clone().into_bytes());
    [packed, added, merged].into_iter().chain(removed).collect()
}

/// What `touch.lua` is asked: now, and the moment to extend to.
pub(super) fn touch_arguments(deadline: Timestamp, now: Timestamp) -> Vec<Vec<u8>> {
    let mut packed = Vec::with_capacity(16);
    push_moment(&mut packed, now);
    push_moment(&mut packed, deadline);
    vec![packed]
}

/// What `install.lua` is asked: now, the expected head and deadline or nothing, and the new frame.
pub(super) fn install_arguments(over: Option<Standing>, new: &Stored, now: Timestamp) -> Vec<Vec<u8>> {
    let mut packed = Vec::with_capacity(8);
    push_moment(&mut packed, now);
    let expected = over.map(expected).unwrap_or_default();
    vec![packed, expected, frame::encode(new)]
}

/// The head and the deadline as a frame holds them.
fn expected(over: Standing) -> Vec<u8> {
    [over.head.as_bytes(), &over.deadline.as_millis().to_le_bytes()[..]].concat()
}

#[allow(clippy::cast_precision_loss, reason = "a timestamp is far below 2^53")]
fn push_moment(packed: &mut Vec<u8>, moment: Timestamp) {
    packed.extend_from_slice(&(moment.as_millis() as f64).to_le_bytes());
}

#[allow(clippy::cast_precision_loss, reason = "sizes in memory are far below 2^53; a huge limit may round")]
fn push_size(packed: &mut Vec<u8>, size: usize) {
    packed.extend_from_slice(&(size as f64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use holdover_api::{Delta, Lineage, Record};

    use super::*;

    #[test]
    fn attributes_are_sent_as_a_frame_holds_them() {
        let mut delta = Delta::default();
        delta.set("name", &b"value"[..]);
        delta.set("", &b""[..]);
        let stamp = Stamp::from_bytes([7; 16]);
        let moment = Timestamp::from_millis(5);
        let write = Write {
            on: On::Live,
            delta: delta.clone(),
            stamp,
            deadline: Deadline::AtLeast(moment),
            base: None,
        };
        let mut attributes = BTreeMap::new();
        delta.apply(&mut attributes);
        let record = Record { attributes, lineage: Lineage::new(stamp), created: moment, deadline: moment };
        let frame = frame::encode_record(&record);
        let arguments = save_arguments(&write, None, moment, 1000);
        assert!(frame.ends_with(&arguments[1]));
        assert_eq!(frame.len(), frame::HEAD_OFFSET + 16 + 8 + arguments[1].len());
    }

    #[test]
    fn what_alone_is_too_large_is_not_sent() {
        let mut delta = Delta::default();
        delta.set("name", vec![0; 100]);
        let write = Write {
            on: On::Live,
            delta,
            stamp: Stamp::from_bytes([7; 16]),
            deadline: Deadline::AtLeast(Timestamp::from_millis(5)),
            base: None,
        };
        assert!(save_arguments(&write, None, Timestamp::default(), 119)[1].is_empty());
        assert_eq!(save_arguments(&write, None, Timestamp::default(), 120)[1].len(), 120);
    }
}
