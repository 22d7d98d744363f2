//! How late the server removes what has expired.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdover_api::{Clock, Deadline, Delta, On, OsEntropy, SessionId, Stamp, SystemClock, Write};
use holdover_conformance::servers::{self, Server};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use tokio::task::JoinSet;

use crate::Failure;
use crate::measure::median;

const WRITERS: usize = 16;

/// How long after the last creation everything is over.
const AHEAD: Duration = Duration::from_secs(2);

const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub(crate) async fn lateness(sessions: usize, every: &[u32]) -> Result<(), Failure> {
    println!(
        "\n{sessions} sessions of 1 KB that expire at the same moment, after the deadline, in seconds\n"
    );
    println!("| the server looks every | first removed | median | last removed |\n|---|---|---|---|");
    for seconds in every {
        let recipe = servers::mongodb().with_argument(servers::mongodb_sweep(*seconds));
        let server = Server::start(&recipe).await?;
        let removed = removals(server.url(), sessions).await?;
        let (first, last) = (removed[0], removed[removed.len() - 1]);
        println!("| {seconds} s | {first:.1} | {:.1} | {last:.1} |", median(removed));
    }
    Ok(())
}

/// For each session, how long after its deadline it was seen to be gone.
async fn removals(url: &str, sessions: usize) -> Result<Vec<f64>, Failure> {
    let store = holdover_backends::connect(&format!("{url}?response_timeout=20s")).await?;
    // Long enough for all to be created first: then all of them get their deadline at once.
    let later = SystemClock.now() + Duration::from_secs(3600);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for _ in (writer..sessions).step_by(WRITERS) {
                let mut delta = Delta::default();
                delta.set("a", vec![b'x'; 1024]);
                let on = On::Absent { created: SystemClock.now() };
                let stamp = Stamp::draw(&OsEntropy)?;
                let write = Write { on, delta, stamp, deadline: Deadline::Exactly(later), base: None };
                store.save(&SessionId::draw(&OsEntropy)?.key(), &write).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    let documents = Client::with_uri_str(url).await?.database("holdover").collection::<Document>("sessions");
    let deadline = SystemClock.now() + AHEAD;
    let moment = mongodb::bson::DateTime::from_millis(i64::try_from(deadline.as_millis())?);
    documents.update_many(doc! {}, doc! { "$set": { "e": moment } }).await?;
    let over = Instant::now() + deadline.since(SystemClock.now());
    let mut removed = Vec::new();
    while removed.len() < sessions {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let left = usize::try_from(documents.count_documents(doc! {}).await?)?;
        let late = Instant::now().saturating_duration_since(over).as_secs_f64();
        removed.resize(sessions - left, late);
    }
    Ok(removed)
}
