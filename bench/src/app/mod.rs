//! The applications that are measured: the same seven routes over each kind of session.
//!
//! | route | what it does |
//! |---|---|
//! | `POST /seed` | begins a session of eleven attributes |
//! | `GET /untouched` | leaves the session alone |
//! | `GET /read` | reads one attribute |
//! | `GET /rolling` | the same; where extending is not the layer's business, the handler does it |
//! | `POST /modify` | reads one attribute and changes it |
//! | `POST /update` | the same, atomically, where there is such a thing |
//! | `/race/…` | see `races` |

mod actix;
mod holdover;
mod raw;
mod tower;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};

use axum::Router;
use clap::ValueEnum;

use crate::Failure;

/// What keeps the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// GET and SET EX in axum handlers, JSON of a struct that the compiler knows.
    Raw,
    /// The same, with a map of JSON values.
    RawMap,
    /// The same as `raw`, in actix-web handlers.
    ActixRaw,
    /// tower-sessions over its Redis store, as its README sets it up.
    Tower,
    /// The same, saving on every request.
    TowerAlwaysSave,
    /// The same, with one connection instead of six.
    TowerAlwaysSaveOneConnection,
    /// actix-session over Redis.
    Actix,
    /// The same, extending the session on every request.
    ActixRolling,
    /// Holdover with its defaults.
    Holdover,
    /// Holdover, extending the session on every request, with a persistent cookie.
    HoldoverEveryTouch,
}

impl Kind {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Serves until it is killed. Says where it listens on its first line of output.
pub fn serve(kind: Kind, redis: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    match kind {
        Kind::ActixRaw | Kind::Actix | Kind::ActixRolling => actix::serve(kind, redis, listener),
        _ => serve_axum(kind, redis, listener),
    }
}

fn serve_axum(kind: Kind, redis: &str, listener: TcpListener) -> Result<(), Failure> {
    // One worker, because there is one processor for it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let router: Router = match kind {
            Kind::Raw => raw::router::<crate::shape::Typed>(redis).await?,
            Kind::RawMap => raw::router::<serde_json::Map<String, serde_json::Value>>(redis).await?,
            Kind::Tower => tower::router(redis, tower::Save::OnChange, tower::DOCUMENTED_POOL).await?,
            Kind::TowerAlwaysSave => {
                tower::router(redis, tower::Save::Always, tower::DOCUMENTED_POOL).await?
            }
            Kind::TowerAlwaysSaveOneConnection => tower::router(redis, tower::Save::Always, 1).await?,
            Kind::Holdover => holdover::router(redis, holdover::Touch::Default).await?,
            Kind::HoldoverEveryTouch => holdover::router(redis, holdover::Touch::Every).await?,
            Kind::ActixRaw | Kind::Actix | Kind::ActixRolling => unreachable!("served by actix"),
        };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        announce(listener.local_addr()?)?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}

/// Called when the application accepts connections, or is about to: whoever connects waits in the queue.
fn announce(address: std::net::SocketAddr) -> Result<(), Failure> {
    println!("{address}");
    std::io::stdout().flush()?;
    Ok(())
}

/// The work between load and save.
async fn hold(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
    }
}
