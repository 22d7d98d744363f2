//! One connection for many operations at once.
//!
//! Commands are gathered while the socket is busy and leave in one write; replies come back in the order of the
//! commands and are handed out in that order, each checked against the number of its command. Whoever stops waiting
//! leaves a place in the queue behind, so that the reply is dropped there and reaches nobody else. What cannot be told
//! apart any more ends the connection, and with it everything that waits.
//!
//! The two tasks end when the connection is dropped.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;

use super::error::{Cause, Failure, Phase};
use super::memo::Memo;
use super::wire::{Command, Garbled, Numbered, Refusal, Reply, take_reply};

/// How many operations are under way on one connection at most; more wait, within their time-outs.
const MAX_UNDER_WAY: usize = 1024;

/// How much is read at a time.
const READ_AT_ONCE: usize = 64 * 1024;

/// A buffer that has grown beyond this is not kept.
const BUFFER_KEPT: usize = 1024 * 1024;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(PathBuf),
}

/// A connection, and what has been learnt on it.
pub(super) struct Connection {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    tasks: [AbortHandle; 2],
    /// What was read and written here lately. Compare tokens belong to the connection that returned them: they begin
    /// again at one when the server does, so none may outlive it.
    pub(super) memo: Memo,
    /// The largest value that the server takes, as it said when it was asked.
    pub(super) largest_value: usize,
}

/// Beside a value the server counts the key and some sixty bytes of its own; this much is kept free for them.
const BESIDE_A_VALUE: usize = 1024;

impl Connection {
    /// Connects, and makes sure that a server answers that knows the protocol: a process that is stopped still accepts
    /// connections.
    pub(super) async fn open(address: &Address) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io(Phase::Unsent, &error);
        let mut connection = match address {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                let (reading, writing) = stream.into_split();
                Self::over(reading, writing)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                let (reading, writing) = stream.into_split();
                Self::over(reading, writing)
            }
        };
        connection.largest_value = connection.introduce().await.map_err(Failure::of_a_read)?;
        Ok(connection)
    }

    /// A connection over any pair of streams.
    fn over(
        reading: impl AsyncRead + Send + Unpin + 'static,
        writing: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let reader = tokio::spawn(read(Task(Arc::clone(&shared)), reading));
        let writer = tokio::spawn(write(Task(Arc::clone(&shared)), writing));
        Self {
            shared,
            permits: Arc::new(Semaphore::new(MAX_UNDER_WAY)),
            tasks: [reader.abort_handle(), writer.abort_handle()],
            memo: Memo::default(),
            largest_value: 0,
        }
    }

    async fn introduce(&self) -> Result<usize, Failure> {
        let sent = AtomicBool::default();
        let alive = self.ask(&Command::Ask("mn"), &sent).await;
        match alive {
            Ok(Reply::Alive) => {}
            Ok(Reply::Refused(Refusal::UnknownCommand)) => return Err(Failure::sent(Cause::TooOld)),
            Ok(Reply::Refused(refusal)) => return Err(Failure::sent(Cause::Refused(refusal))),
            Ok(_) => return Err(Failure::sent(Cause::OutOfStep)),
            Err(failure) => return Err(failure),
        }
        match self.ask(&Command::Ask("stats settings"), &sent).await? {
            Reply::Report(lines) => largest_value(&lines).ok_or(Failure::sent(Cause::OutOfStep)),
            Reply::Refused(refusal) => Err(Failure::sent(Cause::Refused(refusal))),
            _ => Err(Failure::sent(Cause::OutOfStep)),
        }
    }

    /// Sends a command and waits for its reply. `handed_over` becomes true when the command can no longer be taken
    /// back: whoever drops this future can tell by it.
    pub(super) async fn ask(
        &self,
        command: &Command<'_>,
        handed_over: &AtomicBool,
    ) -> Result<Reply, Failure> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Failure::unsent(Cause::Closed))?
            }
        };
        let reply = self.shared.push(command, permit)?;
        handed_over.store(true, Ordering::Relaxed);
        // No sender is dropped without a word while the connection is held, which it is here.
        reply.await.unwrap_or_else(|_| Err(Failure::sent(Cause::Closed)))
    }

    /// Whether it has ended: nothing sent on it would arrive.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.lock().closed.is_some()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("largest_value", &self.largest_value).finish_non_exhaustive()
    }
}

fn largest_value(settings: &[(String, String)]) -> Option<usize> {
    let (_, size) = settings.iter().find(|(name, _)| name == "item_size_max")?;
    Some(size.parse::<usize>().ok()?.saturating_sub(BESIDE_A_VALUE))
}

/// What the operations and the two tasks have in common.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake_writer: Notify,
}

#[derive(Default)]
struct State {
    /// Commands that nobody has begun to write yet, and how many of those who wait they belong to: the last ones.
    outbox: Vec<u8>,
    in_outbox: usize,
    waiting: VecDeque<Waiting>,
    last_number: u64,
    closed: Option<Cause>,
}

struct Waiting {
    number: u64,
    is_numbered: bool,
    reply: oneshot::Sender<Result<Reply, Failure>>,
    /// Given back when the reply has come, even if nobody waits for it any more.
    _permit: OwnedSemaphorePermit,
}

type Answer = oneshot::Receiver<Result<Reply, Failure>>;

impl Shared {
    fn push(&self, command: &Command<'_>, permit: OwnedSemaphorePermit) -> Result<Answer, Failure> {
        let (sender, receiver) = oneshot::channel();
        let was_empty = {
            let mut state = self.lock();
            if let Some(cause) = state.closed {
                return Err(Failure::unsent(cause));
            }
            state.last_number += 1;
            let number = state.last_number;
            let was_empty = state.outbox.is_empty();
            command.encode(number, &mut state.outbox);
            state.in_outbox += 1;
            let is_numbered = command.is_numbered();
            state.waiting.push_back(Waiting { number, is_numbered, reply: sender, _permit: permit });
            was_empty
        };
        if was_empty {
            self.wake_writer.notify_one();
        }
        Ok(receiver)
    }

    /// Takes what is to be written; false when the connection has ended.
    fn take_outbox(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        std::mem::swap(&mut state.outbox, batch);
        state.in_outbox = 0;
        state.closed.is_none()
    }

    /// Hands replies to those who wait, in order; false when the connection has ended over it.
    fn deliver(&self, replies: &mut Vec<Numbered>) -> bool {
        let mut ended = None;
        {
            let mut state = self.lock();
            for Numbered { reply, number } in replies.drain(..) {
                let refusal = if let Reply::Refused(refusal) = reply { Some(refusal) } else { None };
                let sent = state.waiting.len() - state.in_outbox;
                let Some(waiting) = (sent > 0).then(|| state.waiting.pop_front()).flatten() else {
                    ended = Some(refusal.map_or(Cause::OutOfStep, Cause::Refused));
                    break;
                };
                if refusal.is_none() && number != waiting.is_numbered.then_some(waiting.number) {
                    let _ = waiting.reply.send(Err(Failure::sent(Cause::OutOfStep)));
                    ended = Some(Cause::OutOfStep);
                    break;
                }
                // Nobody may be there any more to take it.
                let _ = waiting.reply.send(Ok(reply));
                if refusal.is_some_and(|refusal| !refusal.is_in_step()) {
                    ended = Some(Cause::Closed);
                    break;
                }
            }
        }
        if let Some(cause) = ended {
            self.close(cause);
        }
        ended.is_none()
    }

    /// Ends the connection: everybody who waits is told why, and whether the command may have arrived.
    fn close(&self, cause: Cause) {
        let (waiting, sent) = {
            let mut state = self.lock();
            state.closed.get_or_insert(cause);
            let sent = state.waiting.len() - state.in_outbox;
            state.in_outbox = 0;
            state.outbox = Vec::new();
            (std::mem::take(&mut state.waiting), sent)
        };
        for (position, waiting) in waiting.into_iter().enumerate() {
            let phase = if position < sent { Phase::Sent } else { Phase::Unsent };
            let _ = waiting.reply.send(Err(Failure { phase, cause }));
        }
        self.wake_writer.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the locked sections can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the connection when the task does, however that happens: nobody may wait for a task that is no more.
struct Task(Arc<Shared>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.close(Cause::Closed);
    }
}

async fn write(task: Task, mut writing: impl AsyncWrite + Unpin) {
    let shared = &task.0;
    let mut batch = Vec::new();
    loop {
        shared.wake_writer.notified().await;
        // Whoever else is about to ask gets to do so first: what was woken by one batch of replies leaves as one write.
        tokio::task::yield_now().await;
        if !shared.take_outbox(&mut batch) {
            return;
        }
        if let Err(error) = writing.write_all(&batch).await {
            shared.close(Cause::Io(error.kind()));
            return;
        }
        batch.clear();
        batch.shrink_to(BUFFER_KEPT);
    }
}

async fn read(task: Task, mut reading: impl AsyncRead + Unpin) {
    let shared = &task.0;
    let mut received = BytesMut::new();
    let mut replies = Vec::new();
    loop {
        received.reserve(READ_AT_ONCE);
        match reading.read_buf(&mut received).await {
            Ok(0) => return shared.close(Cause::Closed),
            Ok(_) => {}
            Err(error) => return shared.close(Cause::Io(error.kind())),
        }
        let understood = take_replies(&mut received, &mut replies);
        if !shared.deliver(&mut replies) {
            return;
        }
        if understood.is_err() {
            return shared.close(Cause::Garbled);
        }
        if received.is_empty() && received.capacity() > BUFFER_KEPT {
            received = BytesMut::new();
        }
    }
}

fn take_replies(received: &mut BytesMut, replies: &mut Vec<Numbered>) -> Result<(), Garbled> {
    while let Some(numbered) = take_reply(received)? {
        replies.push(numbered);
    }
    Ok(())
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
