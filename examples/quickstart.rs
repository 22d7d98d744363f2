//! The smallest application with sessions: `cargo run --example quickstart`.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use holdover::{Memory, Session, SessionError, SessionLayer};
use tokio::net::TcpListener;

/// Counts this browser's visits. `update` is atomic: parallel requests are all counted.
async fn visits(session: Session) -> Result<String, SessionError> {
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    Ok(format!("visit number {visits}\n"))
}

async fn log_out(session: Session) -> Result<&'static str, SessionError> {
    session.flush().await?;
    Ok("goodbye\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The sessions end with this process. `holdover::connect("redis://127.0.0.1:6379")` lets several nodes share them.
    let store = Arc::new(Memory::new());

    // Behind HTTPS this is `SessionLayer::new(store)`: its cookie is `Secure`, and curl and some browsers do not send
    // such a cookie over plain HTTP. The development mode does without, and has to be named.
    let sessions = SessionLayer::builder(store).insecure_development_cookies().build()?;

    let app = Router::new().route("/", get(visits)).route("/logout", post(log_out)).layer(sessions);

    let listener = match TcpListener::bind("127.0.0.1:3000").await {
        Ok(listener) => listener,
        Err(_taken) => TcpListener::bind("127.0.0.1:0").await?,
    };
    let address = listener.local_addr()?;
    println!("listening on http://{address}; open it in a browser, or try");
    println!("  curl -c jar -b jar http://{address}/             # once more, and it counts");
    println!("  curl -c jar -b jar -X POST http://{address}/logout");
    println!("  curl -c jar -b jar http://{address}/             # a new session begins at 1");
    axum::serve(listener, app).await?;
    Ok(())
}
