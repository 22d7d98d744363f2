//! The demonstration application: one node on any store. Any number of processes on one store are nodes of one
//! application.
//!
//! ```text
//! cargo run --release --example server --features redis -- \
//!     --store redis://127.0.0.1:6379 --listen 127.0.0.1:8080 --insecure-cookies
//! cargo run --release --example server --features dynamodb-local -- \
//!     --store 'dynamodb://local/sessions?expiry=rotation&period=1h&keeper=on' --insecure-cookies
//! ```
//!
//! There is a page at `/`; the JSON interface below it is described in `node/mod.rs`. Warnings and errors go to the
//! standard error output.

mod arguments;
mod node;

use std::error::Error;
use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(LevelFilter::WARN).init();
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let store = holdover::connect(&arguments.store).await?;
    let bound = TcpListener::bind(&arguments.listen).await;
    let listener = bound.map_err(|error| format!("listening on {} failed: {error}", arguments.listen))?;
    let address = listener.local_addr()?;
    let name = format!("{}@{address}", std::process::id());
    let app = node::app(&name, store, |builder| arguments.apply(builder))?;

    let mut terminated = signal(SignalKind::terminate())?;
    let told_to_stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    };
    println!("listening on http://{address}");
    axum::serve(listener, app).with_graceful_shutdown(told_to_stop).await?;
    Ok(())
}
