//! The tower layer of Holdover: it finds the session's id in the cookie, hands the handler a
//! [`Session`](holdover_api::Session), commits what the handler changed before the response head leaves, and tells the
//! browser and the caches no more than they need.
//!
//! [`SessionLayer::new`] is enough for production:
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::{get, post}};
//! use holdover_api::{Memory, Session, SessionError};
//! use holdover_http::SessionLayer;
//!
//! async fn visit(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
//!     Ok(format!("visit number {visits}"))
//! }
//!
//! async fn login(session: Session) -> Result<(), SessionError> {
//!     // The password has been checked by now. A new id, because the rights of the session change.
//!     session.cycle_id().await?;
//!     session.insert("user", "ada").await
//! }
//!
//! async fn logout(session: Session) -> Result<(), SessionError> {
//!     session.flush().await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app: Router = Router::new()
//!     .route("/", get(visit))
//!     .route("/login", post(login))
//!     .route("/logout", post(logout))
//!     .layer(SessionLayer::new(Arc::new(Memory::new())));
//! # use tower::ServiceExt;
//! # let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
//! # let response = app.oneshot(request).await.unwrap();
//! # assert!(response.headers()["set-cookie"].to_str().unwrap().starts_with("__Host-id="));
//! # }
//! ```
//!
//! # The cookie
//!
//! `__Host-id=<43 characters>; HttpOnly; SameSite=Lax; Secure; Path=/`, which ends with the browser. The
//! [builder](SessionLayerBuilder) changes that; a configuration that browsers would drop does not build. `HttpOnly` and
//! an explicit `SameSite` are always there.
//!
//! | this request has… | `Set-Cookie` |
//! |---|---|
//! | created the session, or renewed its id | the new id |
//! | destroyed it | cleared, with the attributes that it was set with |
//! | changed or extended it, and the cookie is persistent | the same id with a new `Max-Age` |
//! | changed, extended, read or ignored it otherwise | nothing |
//! | found it dead, renewed or destroyed by another request | nothing: that other response moves the cookie |
//! | failed to commit | nothing, nor any cookie of the handler |
//!
//! An id that the client made up is never adopted (I8). A malformed, foreign, truncated or oversized cookie is no id at
//! all, and neither is one of two cookies of our name: the store is not asked, and the handler sees a new session. No
//! more than 64 KiB of `Cookie` headers are searched.
//!
//! # Caches
//!
//! | the handler has… | headers |
//! |---|---|
//! | left the session alone | untouched |
//! | looked at it | `Vary` gains `Cookie` |
//! | done what sets or clears the cookie | the same, and `Cache-Control: no-store` in the place of whatever was there |
//!
//! # Store calls
//!
//! | request | calls |
//! |---|---|
//! | leaves the session alone, or reads without a cookie | 0 |
//! | reads | 1, and a touch when a set share of the idle time has passed |
//! | reads and changes, or updates | 2 |
//! | sets what it did not read (`insert_unread`) | 1 |
//! | creates, or destroys | 1 |
//! | renews the id (log-in) | 3 |
//!
//! # When something fails
//!
//! The response of the handler is committed **whatever its status**: an error page does not undo what the handler
//! changed; [`Session::revert`](holdover_api::Session::revert) does. If the commit fails, nothing may look like a
//! success:
//!
//! | what failed | the client gets |
//! |---|---|
//! | a load or the commit: the store cannot answer | 503 with `Retry-After`, even if the handler ignored the error |
//! | the session was destroyed or renewed by another request | 409; nothing is brought back (I1) |
//! | the session would be too large | 413 |
//! | anything else | 500 |
//!
//! The text is generic and never the store's; the `Arc<SessionError>` is in the response's extensions, so that a
//! middleware further out can say it in its own way. A response that carries that very status already, or is a server
//! error, is the handler's own way of saying it: it stays, without cookies.
//!
//! With another [`FailurePolicy`](holdover_api::FailurePolicy) some of these responses go out as the handler made
//! them. They are never silent: a warning is logged, the response carries [`SessionDegraded`] in its extensions and is
//! not cached.
//!
//! | the request ends because | of its changes there are then |
//! |---|---|
//! | the client hung up while the handler ran, the handler panicked, or the inner service failed | none, except what `update` had committed |
//! | the client hung up during the commit | all |
//! | the commit itself panicked | unknown: 500, and an error is logged |
//!
//! Changes made after the response head has left, by a body that streams for instance, are not committed: call
//! [`Session::commit`](holdover_api::Session::commit).

mod commit;
mod config;
mod cookie;
mod future;
mod headers;
mod layer;
mod uncut;

pub use commit::SessionDegraded;
pub use config::{ConfigError, SessionLayerBuilder};
pub use cookie::SameSite;
pub use future::ResponseFuture;
pub use layer::{SessionLayer, SessionService};
