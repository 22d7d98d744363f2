//! Web sessions that hold: through races, logout, expiry and restarts.
//!
//! - Parallel requests never lose each other's attributes: a commit merges by attribute, and
//!   [`Session::update`] is an atomic read-modify-write.
//! - Nothing brings a destroyed session back, on any node: not a slow request, not a retry.
//! - A response moves the cookie only if its own request created, renewed or destroyed the session.
//! - A store that cannot answer is an error, never an empty session.
//! - A session that a request does not touch costs no store call; one that it reads costs one, one that it changes two.
//!
#![cfg_attr(feature = "axum", doc = "```no_run")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use std::sync::Arc;
//! use axum::{Router, routing::get};
//! use holdover::{Memory, Session, SessionError, SessionLayer};
//!
//! async fn visits(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
//!     Ok(format!("visit number {visits}"))
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // Or a store that several nodes share: `holdover::connect("redis://127.0.0.1:6379").await?`.
//! let store = Arc::new(Memory::new());
//! let app: Router = Router::new().route("/", get(visits)).layer(SessionLayer::new(store));
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `axum` (default) | [`SessionLayer`] for tower and axum, and [`Session`] as an extractor |
//! | `dynamodb` | the store behind `dynamodb://region/table` |
//! | `dynamodb-local` | `dynamodb://local/table`, inside this process: for examples and quick tests |
//! | `memcached` | the store behind `memcached://` and `memcached+unix://` |
//! | `mongodb` | the store behind `mongodb://` and `mongodb+srv://` |
//! | `near-cache` | the layer that keeps loaded records at hand |
//! | `redis` | the store behind `redis://` and its relatives |
//! | `messagepack`, `bincode` | further codecs for attributes, beside JSON |
//! | `full` | all of them |
//!
//! Primary and backup, rings, retry, metrics and the other layers are in [`layers`]; authors of stores and layers start at
//! [`api`].

use std::sync::Arc;

pub use holdover_api as api;
pub use holdover_api::{
    Codec, Error, ErrorKind, FailurePolicy, Memory, PolicyError, Session, SessionError, SessionId,
    SessionPolicy, SessionStore, Timestamp,
};
#[cfg(feature = "axum")]
pub use holdover_http::{
    ConfigError, SameSite, SessionDegraded, SessionLayer, SessionLayerBuilder, SessionService,
};
pub use holdover_layers as layers;

/// Opens the store that a URL names, with what its features allow: `memory:` always, `redis://…` with `redis`,
/// `memcached://…` with `memcached`, `mongodb://…` with `mongodb`, `dynamodb://…` with `dynamodb`, and `dynamodb://local/…`
/// with `dynamodb-local`.
///
/// An unknown scheme is refused with the known ones, a scheme whose feature is missing with that feature's name, and
/// an unknown parameter with the known ones, all as [`ErrorKind::Misconfigured`]. Each backend's README lists its
/// parameters.
///
/// Several hosts are a ring, of single nodes or of pairs (`memcached://a,b,c?copies=2`), `failover:?head=…&tail=…` is a pair
/// of any two stores, and `retry=on`, `timeout=on`, `metrics=on` and their like put layers around whatever it is: the forms
/// are those of [`layers::url`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let store = holdover::connect("memory:").await?;
/// assert_eq!(store.to_string(), "memory");
/// # Ok::<(), holdover::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn connect(url: &str) -> Result<Arc<dyn SessionStore>, Error> {
    Ok(connect_watched(url).await?.store)
}

/// As [`connect`], with a hand on what a store with two copies notices: repairs, divergences, losses.
pub async fn connect_watched(url: &str) -> Result<layers::url::Opened, Error> {
    let open: layers::url::Opener = Arc::new(|url, clock| {
        Box::pin(async move { holdover_backends::connect_with_clock(&url, clock).await })
    });
    layers::url::connect(url, Arc::new(api::SystemClock), &open).await
}
