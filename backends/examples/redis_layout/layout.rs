//! The four layouts that were tried: how each creates, loads and merges one session.

use std::sync::LazyLock;

use bytes::Bytes;
use holdover_api::{Attributes, Deadline, Lineage, On, Record, SessionKey, Stored, Timestamp, Write, frame};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisResult, Script, Value};

use crate::script;

/// A session as it was loaded.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) record: Record,
    frame: Bytes,
}

/// The limit that every script checks.
const MAX_BYTES: usize = 1024 * 1024;

/// A way to keep a session in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One string; the client merges, the script compares the head and sets; tried again when the head has moved.
    ClientMerges,
    /// One string; the script merges: what the library does without a base.
    ScriptMerges,
    /// One string; the script sets the client's frame if the head is the expected one, and merges if not: what the
    /// library does with a base.
    Hybrid,
    /// One hash; the script sets fields.
    Hash,
}

pub(crate) const ALL: [Layout; 4] =
    [Layout::ClientMerges, Layout::ScriptMerges, Layout::Hybrid, Layout::Hash];

struct Text {
    source: String,
    hash: String,
}

fn text(parts: &[&str]) -> Text {
    let source = parts.concat();
    let hash = Script::new(&source).get_hash().to_owned();
    Text { source, hash }
}

const FRAME: &str = include_str!("../../src/redis/frame.lua");
const SAVE: &str = include_str!("../../src/redis/save.lua");
static CLIENT_MERGES: LazyLock<Text> = LazyLock::new(|| text(&[FRAME, include_str!("cas.lua")]));
static SCRIPT_MERGES: LazyLock<Text> = LazyLock::new(|| text(&[FRAME, SAVE]));
static HASH: LazyLock<Text> = LazyLock::new(|| text(&[FRAME, include_str!("hash.lua")]));

impl Layout {
    /// A column's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClientMerges => "string, client merges",
            Self::ScriptMerges => "string, script merges",
            Self::Hybrid => "string, hybrid",
            Self::Hash => "hash, script merges",
        }
    }

    fn text(self) -> &'static Text {
        match self {
            Self::ClientMerges => &CLIENT_MERGES,
            Self::ScriptMerges | Self::Hybrid => &SCRIPT_MERGES,
            Self::Hash => &HASH,
        }
    }

    /// Makes the script known to the server.
    pub(crate) async fn prepare(self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("LOAD").arg(&self.text().source);
        cmd.query_async(connection).await
    }

    /// Creates a session.
    pub(crate) async fn create(
        self,
        connection: &mut MultiplexedConnection,
        key: &SessionKey,
        record: &Record,
    ) -> RedisResult<()> {
        let mut cmd;
        if self == Self::Hash {
            cmd = redis::cmd("HSET");
            cmd.arg(self.key(key)).arg("m").arg(hash_meta(record));
            for (name, value) in &record.attributes {
                cmd.arg(format!("a{name}")).arg(&value[..]);
            }
        } else {
            cmd = redis::cmd("SET");
            cmd.arg(self.key(key)).arg(frame::encode_record(record));
        }
        cmd.query_async(connection).await
    }

    /// Loads a session, decoded.
    pub(crate) async fn load(
        self,
        connection: &mut MultiplexedConnection,
        key: &SessionKey,
    ) -> RedisResult<Base> {
        if self == Self::Hash {
            let mut cmd = redis::cmd("HGETALL");
            cmd.arg(self.key(key));
            let record = record_of_hash(&send(connection, &cmd).await?);
            return Ok(Base { record, frame: Bytes::new() });
        }
        let mut cmd = redis::cmd("GET");
        cmd.arg(self.key(key));
        let Value::BulkString(frame) = send(connection, &cmd).await? else {
            panic!("a session that was created is missing");
        };
        Ok(base_of_frame(frame.into()))
    }

    /// Merges a write into a live session; answers how often it had to be tried again.
    pub(crate) async fn merge(
        self,
        connection: &mut MultiplexedConnection,
        key: &SessionKey,
        base: &Base,
        write: &Write,
        now: Timestamp,
    ) -> RedisResult<usize> {
        let mut base = base.clone();
        let mut retries = 0;
        loop {
            let mut cmd = redis::cmd("EVALSHA");
            cmd.arg(&self.text().hash).arg(1).arg(self.key(key));
            match self {
                Self::ClientMerges => {
                    let merged = merged(&base.record, write);
                    cmd.arg(numbers(&[now.as_millis(), merged.deadline.as_millis()]));
                    cmd.arg(write.stamp.as_bytes()).arg(base.record.head().as_bytes());
                    cmd.arg(frame::encode_record(&merged));
                }
                Self::ScriptMerges => {
                    push_all(&mut cmd, &script::save_arguments(write, None, now, MAX_BYTES));
                }
                Self::Hybrid => {
                    push_all(&mut cmd, &script::save_arguments(write, Some(&base.frame), now, MAX_BYTES));
                }
                Self::Hash => {
                    let deadline = write.deadline.moment().as_millis();
                    cmd.arg(numbers(&[now.as_millis(), deadline, MAX_BYTES as u64]));
                    cmd.arg(write.stamp.as_bytes());
                    for (name, value) in write.delta.sets() {
                        cmd.arg(format!("a{name}")).arg(&value[..]);
                    }
                }
            }
            let Value::BulkString(answer) = send(connection, &cmd).await? else {
                panic!("a script answers a string");
            };
            match answer.first() {
                Some(b'S') => return Ok(retries),
                Some(b'C') => base = base_of_frame(Bytes::from(answer).slice(1..)),
                other => panic!("a merge into a live session answered {other:?}"),
            }
            retries += 1;
        }
    }

    fn key(self, key: &SessionKey) -> String {
        format!("layout-{self:?}:{key}")
    }
}

async fn send(connection: &mut MultiplexedConnection, cmd: &Cmd) -> RedisResult<Value> {
    connection.req_packed_command(cmd).await?.extract_error()
}

fn push_all(cmd: &mut Cmd, arguments: &[Vec<u8>]) {
    for argument in arguments {
        cmd.arg(&argument[..]);
    }
}

fn merged(base: &Record, write: &Write) -> Record {
    let mut attributes = base.attributes.clone();
    write.delta.apply(&mut attributes);
    Record {
        attributes,
        lineage: base.lineage.pushed(write.stamp),
        created: base.created,
        deadline: write.deadline.over(base.deadline),
    }
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    #[allow(clippy::cast_precision_loss, reason = "all of them are far below 2^53")]
    let packed = numbers.iter().flat_map(|number| (*number as f64).to_le_bytes());
    packed.collect()
}

fn hash_meta(record: &Record) -> Vec<u8> {
    let size = frame::size(record) as u64;
    let mut meta = numbers(&[record.deadline.as_millis(), record.created.as_millis(), size]);
    meta.extend(record.lineage.to_bytes());
    meta
}

fn base_of_frame(frame: Bytes) -> Base {
    match frame::decode(&frame) {
        Ok(Stored::Record(record)) => Base { record, frame },
        other => panic!("{other:?} is not a record"),
    }
}

fn record_of_hash(value: &Value) -> Record {
    let fields: Vec<(Vec<u8>, Vec<u8>)> = redis::from_redis_value_ref(value).expect("a hash has pairs");
    let mut attributes = Attributes::new();
    let mut meta = Vec::new();
    for (name, value) in fields {
        match name.split_first() {
            Some((b'a', name)) => {
                let name = String::from_utf8(name.to_vec()).expect("names are text");
                attributes.insert(name, value.into());
            }
            _ => meta = value,
        }
    }
    let number = |at: usize| f64::from_le_bytes(meta[at..at + 8].try_into().expect("eight bytes"));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers below 2^53")]
    let moment = |at: usize| Timestamp::from_millis(number(at) as u64);
    Record {
        attributes,
        lineage: Lineage::from_parts((meta.len() / 16) as u64, &meta[24..]).expect("a lineage"),
        created: moment(8),
        deadline: moment(0),
    }
}

/// A merging write of one attribute.
pub(crate) fn write_of(name: &str, value: &[u8], stamp: [u8; 16], deadline: Timestamp) -> Write {
    let mut delta = holdover_api::Delta::default();
    delta.set(name, value.to_vec());
    Write {
        on: On::Live,
        delta,
        stamp: holdover_api::Stamp::from_bytes(stamp),
        deadline: Deadline::AtLeast(deadline),
        base: None,
    }
}
