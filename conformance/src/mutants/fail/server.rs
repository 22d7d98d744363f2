//! A small real server for mutants: real sockets for the proxy to break, and a death and a return like a process's.
//!
//! Only tickets travel: a request is `[ticket, length]` and so many bytes of padding, as long as the record that it
//! stands for; the question itself waits beside the wire under its ticket, and the answer likewise. So a client gets
//! what the ticket *on the wire* names, whoever asked for it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::state::{Plan, Shared};
use crate::harness::ServerControl;
use crate::servers::free_port;

const PORTS_TO_TRY: usize = 8;
/// The length of a ticket, and of the length that follows it.
pub(super) const WORD: usize = 8;

enum Order {
    Kill,
    Restart,
}

/// The server: a thread of its own, so that it lives in no test's runtime. It ends when this value is dropped.
pub(super) struct WireServer {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    orders: mpsc::UnboundedSender<(Order, oneshot::Sender<()>)>,
}

impl WireServer {
    pub(super) fn start(plan: Plan) -> io::Result<Self> {
        let listener = bind()?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(plan));
        let (orders, received) = mpsc::unbounded_channel();
        let served = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || runtime.block_on(run(listener, received, served)));
        Ok(Self { address, shared, orders })
    }

    async fn order(&self, order: Order) -> Result<(), String> {
        let (done, ended) = oneshot::channel();
        let gone = "the thread of the server is gone";
        self.orders.send((order, done)).map_err(|_| gone)?;
        ended.await.map_err(|_| gone.to_owned())
    }
}

fn bind() -> io::Result<StdListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORTS_TO_TRY {
        let Some(port) = free_port() else { break };
        match StdListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[async_trait]
impl ServerControl for WireServer {
    async fn kill(&self) -> Result<(), String> {
        self.order(Order::Kill).await
    }

    async fn restart(&self) -> Result<(), String> {
        self.order(Order::Kill).await?;
        self.order(Order::Restart).await
    }

    async fn pause(&self) -> Result<(), String> {
        self.shared.paused.send_replace(true);
        Ok(())
    }

    async fn resume(&self) -> Result<(), String> {
        self.shared.paused.send_replace(false);
        Ok(())
    }
}

type Orders = mpsc::UnboundedReceiver<(Order, oneshot::Sender<()>)>;

async fn run(listener: StdListener, mut orders: Orders, shared: Arc<Shared>) {
    let Ok(address) = listener.local_addr() else { return };
    let mut listener = TcpListener::from_std(listener).ok();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((order, done)) = order else { return };
                match order {
                    Order::Kill => {
                        listener = None;
                        connections.shutdown().await;
                        // A frozen process dies like any other, and its successor is not frozen.
                        shared.paused.send_replace(false);
                    }
                    Order::Restart => {
                        shared.start_again().await;
                        listener = TcpListener::bind(address).await.ok();
                    }
                }
                let _ = done.send(());
            }
            Ok(client) = next(listener.as_ref()) => {
                connections.spawn(serve(client, Arc::clone(&shared)));
            }
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let _ = client.set_nodelay(true);
    let mut paused = shared.paused.subscribe();
    loop {
        let ticket = receive(&mut client).await?;
        let _ = paused.wait_for(|paused| !paused).await;
        let Some(length) = shared.answer(ticket).await else { return Ok(()) };
        send(&mut client, ticket, length).await?;
    }
}

/// Sends a ticket with so many bytes of padding.
pub(super) async fn send(stream: &mut TcpStream, ticket: u64, length: usize) -> io::Result<()> {
    let mut message = Vec::with_capacity(2 * WORD + length);
    message.extend(ticket.to_be_bytes());
    message.extend((length as u64).to_be_bytes());
    message.resize(2 * WORD + length, 0);
    stream.write_all(&message).await
}

/// Receives a ticket, and the padding that belongs to it.
pub(super) async fn receive(stream: &mut TcpStream) -> io::Result<u64> {
    let ticket = stream.read_u64().await?;
    let length = stream.read_u64().await?;
    let mut padding = vec![0; usize::try_from(length).unwrap_or_default()];
    stream.read_exact(&mut padding).await?;
    Ok(ticket)
}
