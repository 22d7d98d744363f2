//! One connection through the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdover_api::pause;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Behaviour, Break, Conduct, Cut, Direction, Shared};

const PIECE: usize = 64 * 1024;
/// A slow direction passes so many pieces a second.
const SLOW_TICKS: usize = 20;
const SLOW_TICK: Duration = Duration::from_millis(50);

/// How a connection came to its end.
enum End {
    /// A peer closed it, or one of the sockets failed.
    Peer,
    Cut(Break),
    Broken(Break),
}

/// Serves one client until either side, or a fault, ends the connection. It is broken once there have been more
/// `breaks` than these.
pub(super) async fn serve(mut client: TcpStream, shared: Arc<Shared>, breaks: usize) {
    let _open = Open::new(Arc::clone(&shared));
    let Ok(mut server) = TcpStream::connect(shared.target).await else {
        finish(client, Break::Reset);
        return;
    };
    // Without it, pieces that the kernel collects would make delays of their own.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    match pass(&mut client, &mut server, &shared, breaks).await {
        End::Peer => {}
        End::Cut(how) => {
            // Counted first: who sees the connection end may rely on the count.
            shared.count(|counts| counts.cuts += 1);
            finish(client, how);
        }
        End::Broken(how) => {
            shared.count(|counts| counts.broken += 1);
            finish(client, how);
        }
    }
}

/// Counted as open until dropped, even if the task is aborted.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.count(|counts| {
            counts.connections += 1;
            counts.open += 1;
        });
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.count(|counts| counts.open -= 1);
    }
}

/// A reset needs a linger of zero and the whole stream: owned halves would send `FIN` first when they are dropped.
fn finish(client: TcpStream, how: Break) {
    if how == Break::Reset {
        let _ = client.set_zero_linger();
    }
    drop(client);
}

async fn pass(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared, breaks: usize) -> End {
    let mut conduct = shared.conduct.subscribe();
    let broken = async {
        let signal = conduct.wait_for(|conduct| conduct.breaks > breaks).await;
        signal.map_or(Break::Close, |conduct| conduct.how)
    };
    let answered = AtomicBool::new(true);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = Pump::new(shared, Direction::Requests, &answered);
    let responses = Pump::new(shared, Direction::Responses, &answered);
    tokio::select! {
        how = broken => End::Broken(how),
        end = responses.run(from_server, to_client) => end,
        end = requests.run(from_client, to_server) => end,
    }
}

/// Moves the bytes of one direction.
struct Pump<'a> {
    shared: &'a Shared,
    direction: Direction,
    /// Whether the last bytes on this connection came from the server, so that the next from the client are a request.
    answered: &'a AtomicBool,
    conduct: watch::Receiver<Conduct>,
    /// The response that is passing will be cut off after so many more bytes.
    doomed: Option<(usize, Break)>,
    /// Whether bytes have been swallowed. TCP delivers all or nothing, so that none may follow them: whoever lost the
    /// connection's state answers the next with a reset, as a firewall does.
    hole: bool,
}

impl<'a> Pump<'a> {
    fn new(shared: &'a Shared, direction: Direction, answered: &'a AtomicBool) -> Self {
        Self { shared, direction, answered, conduct: shared.conduct.subscribe(), doomed: None, hole: false }
    }

    async fn run(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> End {
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            match from.read_buf(&mut piece).await {
                Ok(0) | Err(_) => return End::Peer,
                Ok(_) => {}
            }
            self.arrived();
            let (passing, cut) = self.cut_off(piece.len());
            if let Err(end) = self.forward(&piece[..passing], &mut to).await {
                return end;
            }
            if let Some(how) = cut {
                return End::Cut(how);
            }
        }
    }

    /// Counts the beginning of a request or a response, and dooms the response whose turn it is.
    fn arrived(&mut self) {
        let responses = self.direction == Direction::Responses;
        let answered = self.answered.swap(responses, Ordering::SeqCst);
        let begins = answered != responses;
        if !begins {
            return;
        }
        self.shared.count(|counts| match self.direction {
            Direction::Requests => counts.requests += 1,
            Direction::Responses => {
                counts.responses += 1;
                counts.last_response_bytes = 0;
            }
        });
        if responses && self.doomed.is_none() {
            self.doomed = self.take_cut();
        }
    }

    fn take_cut(&self) -> Option<(usize, Break)> {
        let mut armed = self.shared.cut();
        let cut = armed.take()?;
        if cut.after_responses > 0 {
            let after_responses = cut.after_responses - 1;
            *armed = Some(Cut { after_responses, ..cut });
            return None;
        }
        Some((cut.after_bytes, cut.how))
    }

    /// How many bytes of a piece still pass, and whether the connection ends then.
    fn cut_off(&mut self, arrived: usize) -> (usize, Option<Break>) {
        let Some((left, how)) = &mut self.doomed else {
            return (arrived, None);
        };
        let passing = arrived.min(*left);
        *left -= passing;
        let over = *left == 0;
        (passing, over.then_some(*how))
    }

    /// Does to a piece what the behaviour says, and what it says next if it changes meanwhile.
    async fn forward(&mut self, piece: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> Result<(), End> {
        let mut left = piece;
        let mut faulty = false;
        while !left.is_empty() {
            let behaviour = self.conduct.borrow_and_update().of(self.direction);
            if behaviour == Behaviour::Swallow {
                self.shared.count(|counts| counts.swallowed_bytes += left.len());
                self.hole = true;
                return Ok(());
            }
            if self.hole {
                return Err(End::Broken(Break::Reset));
            }
            if behaviour != Behaviour::Pass && !faulty {
                faulty = true;
                self.shared.count(|counts| counts.delayed += 1);
            }
            let due = match behaviour {
                Behaviour::Delay(delay) => self.unless_changed(delay).await?.then_some(left.len()),
                Behaviour::Slow(rate) => {
                    let part = (rate / SLOW_TICKS).clamp(1, left.len());
                    self.unless_changed(SLOW_TICK).await?.then_some(part)
                }
                Behaviour::Hold => {
                    self.conduct.changed().await.map_err(|_| End::Peer)?;
                    None
                }
                Behaviour::Pass | Behaviour::Swallow => Some(left.len()),
            };
            if let Some(due) = due {
                let (now, later) = left.split_at(due);
                self.write(now, to).await?;
                left = later;
            }
        }
        Ok(())
    }

    /// Lets time pass; false if the behaviour changed before it was over.
    async fn unless_changed(&mut self, time: Duration) -> Result<bool, End> {
        tokio::select! {
            () = pause(time) => Ok(true),
            changed = self.conduct.changed() => changed.map(|()| false).map_err(|_| End::Peer),
        }
    }

    async fn write(&self, piece: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> Result<(), End> {
        // Counted first: who has received the bytes may rely on the count.
        self.shared.count(|counts| match self.direction {
            Direction::Requests => counts.request_bytes += piece.len(),
            Direction::Responses => {
                counts.response_bytes += piece.len();
                counts.last_response_bytes += piece.len();
            }
        });
        to.write_all(piece).await.map_err(|_| End::Peer)
    }
}
