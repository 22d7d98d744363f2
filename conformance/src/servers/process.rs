//! A server process: started, asked whether it is ready, killed, paused, restarted, cleaned up.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{pause, within};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::recipe::{Launch, Recipe};
use super::watchdog::Watchdog;
use super::{ServerError, find, port};
use crate::harness::ServerControl;

/// How long a server may take until it answers: generous, for a busy machine. It is polled, so nobody waits that long.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// A server that is loading answers, but not what is wanted: then it is asked again, each time with more patience.
const PATIENCE_FIRST: Duration = Duration::from_millis(50);
const PATIENCE_AT_MOST: Duration = Duration::from_secs(2);
const BETWEEN_PARTS: Duration = Duration::from_millis(50);
const POLL_FIRST: Duration = Duration::from_millis(2);
const POLL_AT_MOST: Duration = Duration::from_millis(50);
const PORTS_TO_TRY: usize = 8;
const LOG_SHOWN: usize = 2_000;

/// A real server on a port of 127.0.0.1, with a temporary directory of its own.
///
/// Dropping it kills it, even if it is paused, and removes the directory. If this process dies first, a watchdog does
/// the same.
pub struct Server {
    recipe: Recipe,
    program: PathBuf,
    launch: Launch,
    url: String,
    process: Mutex<Option<Process>>,
    /// Dropped after the process: see `Drop`.
    _directory: TempDir,
}

struct Process {
    child: Child,
    watchdog: Option<Watchdog>,
}

impl Server {
    /// Starts a server and returns when it answers.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotFound`] if this machine has no program for it, else [`ServerError::Failed`].
    pub async fn start(recipe: &Recipe) -> Result<Self, ServerError> {
        let program = find::program(recipe)?;
        let mut last = String::from("no free port");
        for _ in 0..PORTS_TO_TRY {
            let Some(port) = port::free() else { break };
            let directory = tempfile::Builder::new()
                .prefix("holdover-")
                .tempdir()
                .map_err(|error| ServerError::Failed(format!("make a directory: {error}")))?;
            let launch = Launch::new(recipe, port, directory.path());
            let server = Self {
                url: (recipe.url)(&launch),
                recipe: recipe.clone(),
                program: program.clone(),
                launch,
                process: Mutex::new(None),
                _directory: directory,
            };
            match server.launch().await {
                Ok(()) => return Ok(server),
                Err(why) => last = why,
            }
        }
        let name = recipe.name;
        Err(ServerError::Failed(format!("start a {name} server: {last}")))
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.launch.port))
    }

    /// Where to connect, as a URL that a store understands. May hold a password: never print it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The directory for everything the server writes.
    pub fn directory(&self) -> &std::path::Path {
        &self.launch.directory
    }

    /// The id of its process while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.lock().as_ref().map(|process| process.child.id())
    }

    /// Asks it to end in good order (`SIGTERM`) and returns when it has.
    ///
    /// # Errors
    ///
    /// It was not running, or had not ended within 30 s.
    pub async fn stop(&self) -> Result<(), String> {
        self.signal(Signal::SIGTERM)?;
        let ended = within(READY_WITHIN, self.until_exited()).await;
        self.end();
        ended.ok_or_else(|| "stop the server: it did not end when it was asked to, and was killed".to_owned())
    }

    async fn until_exited(&self) {
        let mut delay = POLL_FIRST;
        while !self.has_exited() {
            pause(delay).await;
            delay = (delay * 2).min(POLL_AT_MOST);
        }
    }

    async fn launch(&self) -> Result<(), String> {
        let process = self.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?;
        let id = process.child.id();
        *self.lock() = Some(process);
        match within(READY_WITHIN, self.until_ready(id)).await {
            Some(ready) => ready,
            None => {
                self.end();
                Err(format!("no answer within {} s; {}", READY_WITHIN.as_secs(), self.log()))
            }
        }
    }

    fn spawn(&self) -> io::Result<Process> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let errors = log.try_clone()?;
        let child = Command::new(&self.program)
            .args(self.launch.command_line(&self.recipe))
            .current_dir(&self.launch.directory)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // A terminal's ctrl-c is for the test process; the watchdog then ends the server.
            .process_group(0)
            .spawn()?;
        let mut process = Process { child, watchdog: None };
        process.watchdog = Some(Watchdog::over(process.child.id(), &self.launch.directory)?);
        Ok(process)
    }

    async fn until_ready(&self, id: u32) -> Result<(), String> {
        let wanted = (self.recipe.ready)(&self.launch, id);
        let mut delay = POLL_FIRST;
        let mut patience = PATIENCE_FIRST;
        loop {
            if self.has_exited() {
                self.end();
                return Err(format!("it ended by itself; {}", self.log()));
            }
            let between_parts = BETWEEN_PARTS.max(patience / 8);
            if within(patience, self.answers(&wanted, between_parts)).await == Some(true) {
                return Ok(());
            }
            pause(delay).await;
            delay = (delay * 2).min(POLL_AT_MOST);
            patience = (patience * 2).min(PATIENCE_AT_MOST);
        }
    }

    /// Asks through a read: a paused process still accepts connections, so that connecting proves nothing.
    async fn answers(&self, wanted: &[Vec<u8>], between_parts: Duration) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()).await else {
            return false;
        };
        let question = (self.recipe.question)(&self.launch);
        if stream.write_all(&question).await.is_err() {
            return false;
        }
        let mut answer = Vec::new();
        let mut read = stream.read_buf(&mut answer).await;
        while let Ok(1..) = read {
            if wanted.iter().all(|part| answer.windows(part.len()).any(|window| window == part)) {
                return true;
            }
            // It has said something else, and will not take it back: ask again, instead of waiting for more.
            let Some(more) = within(between_parts, stream.read_buf(&mut answer)).await else {
                return false;
            };
            read = more;
        }
        false
    }

    fn has_exited(&self) -> bool {
        match self.lock().as_mut() {
            Some(process) => !matches!(process.child.try_wait(), Ok(None)),
            None => true,
        }
    }

    /// Kills and reaps what runs, if anything does.
    fn end(&self) {
        drop(self.lock().take());
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let process = self.lock();
        let Some(process) = process.as_ref() else {
            return Err(format!("send {signal}: the server is not running"));
        };
        let id = process.id();
        kill(id, signal).map_err(|error| format!("send {signal}: {error}"))?;
        if signal == Signal::SIGSTOP {
            // The signal is delivered a moment later; until then the server might still answer.
            match waitpid(id, Some(WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Stopped(..)) => {}
                other => return Err(format!("wait for the server to stop: {other:?}")),
            }
        }
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.launch.directory.join("server.log")
    }

    fn log(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let end = &log[log.len().saturating_sub(LOG_SHOWN)..];
        format!("the end of its log: {}", String::from_utf8_lossy(end))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process, too. Reaping comes before the watchdog is called off.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.watchdog = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} on port {})", self.recipe.name, self.launch.port)
    }
}

#[async_trait]
impl ServerControl for Server {
    async fn kill(&self) -> Result<(), String> {
        // Reaping a killed process takes no time worth leaving the thread for.
        self.end();
        Ok(())
    }

    async fn restart(&self) -> Result<(), String> {
        self.end();
        let restarted = self.launch().await;
        restarted.map_err(|why| format!("restart the {} server: {why}", self.recipe.name))
    }

    async fn pause(&self) -> Result<(), String> {
        self.signal(Signal::SIGSTOP)
    }

    async fn resume(&self) -> Result<(), String> {
        self.signal(Signal::SIGCONT)
    }
}
