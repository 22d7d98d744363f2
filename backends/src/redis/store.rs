//! The store: one command an operation, on one key.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use holdover_api::frame::{self, FrameError};
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, ErrorKind, Expiry, Freshness, InstallAnswer, Loaded, Operation,
    SESSION_KEY_LENGTH, SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored, Survives, Timestamp,
    Token, Write, Writes,
};
use redis::{Cmd, Value};
use std::time::Duration;

use super::NAME;
use super::link::Link;
use super::script::{self, INSTALL, SAVE, TOUCH, Text};

/// How late a server removes what has expired: it looks at a sample ten times a second, and at every key it is asked
/// for. Reads never see it, whatever the server does.
const EXPIRY_LAG: Duration = Duration::from_secs(60);

/// Sessions in Redis or Valkey. [`connect`](crate::connect) makes one.
pub struct Redis {
    link: Link,
    clock: Arc<dyn Clock>,
    prefix: String,
    max_bytes: usize,
    survives: Survives,
}

impl Redis {
    pub(super) fn new(
        link: Link,
        clock: Arc<dyn Clock>,
        prefix: String,
        max_bytes: usize,
        survives: Survives,
    ) -> Self {
        Self { link, clock, prefix, max_bytes, survives }
    }

    fn name(&self, key: &SessionKey) -> String {
        let mut name = String::with_capacity(self.prefix.len() + SESSION_KEY_LENGTH);
        name.push_str(&self.prefix);
        // Writing to a string cannot fail.
        let _ = write!(name, "{key}");
        name
    }

    async fn run(&self, operation: Operation, cmd: &Cmd) -> Result<Value, Error> {
        self.link.query(cmd).await.map_err(|failure| failure.into_error(operation))
    }

    async fn get(&self, operation: Operation, key: &SessionKey) -> Result<Option<Bytes>, Error> {
        let mut cmd = redis::cmd("GET");
        cmd.arg(self.name(key));
        match self.run(operation, &cmd).await? {
            Value::Nil => Ok(None),
            Value::BulkString(frame) => Ok(Some(frame.into())),
            _ => Err(not_an_answer(operation)),
        }
    }

    /// Runs a script by its name; and by its text, one exchange more, if the server does not know it (yet, any more).
    async fn ask(
        &self,
        operation: Operation,
        text: &Text,
        key: &SessionKey,
        arguments: &[Vec<u8>],
    ) -> Result<(u8, Bytes), Error> {
        let name = self.name(key);
        let first = self.link.query(&text.by_name(&name, arguments)).await;
        let answer = match first {
            Err(failure) if failure.is_missing_script() => {
                self.link.query(&text.by_text(&name, arguments)).await
            }
            other => other,
        };
        let Value::BulkString(answer) = answer.map_err(|failure| failure.into_error(operation))? else {
            return Err(not_an_answer(operation));
        };
        let mut rest = Bytes::from(answer);
        if rest.is_empty() {
            return Err(not_an_answer(operation));
        }
        let letter = rest.split_to(1)[0];
        match letter {
            b'X' => Err(corrupt(operation, unreadable(&rest))),
            b'L' => Err(self.too_large(operation)),
            _ => Ok((letter, rest)),
        }
    }

    fn too_large(&self, operation: Operation) -> Error {
        let message = format!("the session would be larger than the limit of {} bytes", self.max_bytes);
        Error::new(ErrorKind::TooLarge, operation, NAME, message).without_effect()
    }
}

fn decode(operation: Operation, frame: &Bytes) -> Result<Stored, Error> {
    frame::decode(frame).map_err(|error| corrupt(operation, error))
}

/// Why a script could not read what is stored, by its first byte.
fn unreadable(first_byte: &[u8]) -> FrameError {
    match first_byte.first() {
        Some(&version) if version > frame::VERSION => FrameError::Newer { version },
        _ => FrameError::Malformed,
    }
}

fn corrupt(operation: Operation, error: FrameError) -> Error {
    Error::new(ErrorKind::Corrupt, operation, NAME, error.to_string()).without_effect().caused_by(error)
}

fn not_an_answer(operation: Operation) -> Error {
    let message = "the answer is not one that this command has; is it a redis server?";
    Error::new(ErrorKind::Unexpected, operation, NAME, message)
}

/// The frame that a load brought: the note on a record by which a write can be merged here. Values share its memory.
struct Base(Bytes);

/// Reads a frame that was answered, and keeps it as the note on its record.
fn live(operation: Operation, frame: Bytes, now: Timestamp) -> Result<Option<Loaded>, Error> {
    let stored = decode(operation, &frame)?;
    Ok(stored
        .into_live(now)
        .map(|record| Loaded { record: Arc::new(record), token: Some(Token::new(Base(frame))) }))
}

/// Only what this backend noted itself is merged into: a base is a hint, and its record may be anybody's.
fn base_of(write: &Write) -> Option<&Bytes> {
    let Base(frame) = write.base.as_ref()?.token.as_ref()?.get()?;
    Some(frame)
}

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .field("max_bytes", &self.max_bytes)
            .field("survives", &self.survives)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Redis {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: Expiry::Native { max_lag: EXPIRY_LAG },
            cheap_reads: CheapReads::None,
            survives: self.survives,
            shared: true,
            max_bytes: self.max_bytes,
        }
    }

    async fn load(&self, key: &SessionKey, _freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let operation = Operation::Load;
        let Some(frame) = self.get(operation, key).await? else {
            return Ok(None);
        };
        // The time is asked after the answer: what expired on the way is not handed out (I4).
        live(operation, frame, self.clock.now())
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let operation = Operation::Save;
        let arguments = script::save_arguments(write, base_of(write), self.clock.now(), self.max_bytes);
        let (letter, rest) = self.ask(operation, &SAVE, key, &arguments).await?;
        match letter {
            b'S' => match <[u8; 16]>::try_from(&rest[..]) {
                Ok(previous) => Ok(SaveAnswer::Saved { previous: Some(Stamp::from_bytes(previous)) }),
                Err(_) => Ok(SaveAnswer::Saved { previous: None }),
            },
            b'C' => {
                let current = live(operation, rest, self.clock.now())?;
                Ok(SaveAnswer::Conflict { current })
            }
            b'G' => Ok(SaveAnswer::Gone),
            _ => Err(not_an_answer(operation)),
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let arguments = script::touch_arguments(deadline, self.clock.now());
        let (letter, _) = self.ask(Operation::Touch, &TOUCH, key, &arguments).await?;
        match letter {
            b'Y' => Ok(true),
            b'N' => Ok(false),
            _ => Err(not_an_answer(Operation::Touch)),
        }
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        // One copy, and no write creates what is not alive: absence is proof enough, no tombstone is needed.
        let mut cmd = redis::cmd("UNLINK");
        cmd.arg(self.name(key));
        self.run(Operation::Delete, &cmd).await.map(drop)
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let operation = Operation::Inspect;
        let frame = self.get(operation, key).await?;
        frame.map(|frame| decode(operation, &frame)).transpose()
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let operation = Operation::Install;
        if let Stored::Record(record) = new
            && frame::size(record) > self.max_bytes
        {
            return Err(self.too_large(operation));
        }
        let arguments = script::install_arguments(over, new, self.clock.now());
        let (letter, rest) = self.ask(operation, &INSTALL, key, &arguments).await?;
        match letter {
            b'I' => Ok(InstallAnswer::Installed),
            b'R' if rest.is_empty() => Ok(InstallAnswer::Refused { stored: None }),
            b'R' => Ok(InstallAnswer::Refused { stored: Some(decode(operation, &rest)?) }),
            _ => Err(not_an_answer(operation)),
        }
    }
}
