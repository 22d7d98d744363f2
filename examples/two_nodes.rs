//! Two nodes of the demonstration application over one store, put to the test: `cargo run --example two_nodes
//! --features redis`.
//!
//! Without `--store <url>` it starts a server of its own, a Redis or what `--start` names (`memcached`, `mongodb`,
//! `dynamodb`, with the feature of that name), which it removes afterwards. On a store inside this process, such as
//! `dynamodb://local/sessions?expiry=ttl`, both nodes use the same one. It ends with an exit code other than 0 if a promise
//! is not kept.

#[allow(dead_code, reason = "the tests use more of it")]
mod common;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use common::{Answer, Browser, Node};
use futures_util::future::join_all;
use holdover::SessionLayerBuilder;
use holdover::api::DEFAULT_CALL_TIMEOUT;
use holdover_conformance::servers::{self, Server};
use serde_json::json;

const PARALLEL: usize = 60;
const WORK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_millis(1500);

/// What is started in place of DynamoDB answers one request after the other, and 60 parallel changes of one session wait for
/// each other on top of that.
const PATIENT: Duration = Duration::from_secs(15);

/// What was seen, or what was seen instead of what was promised.
type Seen = Result<String, String>;

/// Two nodes over one store, put to the test.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the sessions are kept; without it, in a server that is started for the purpose
    #[arg(long, value_name = "URL", conflicts_with = "start")]
    store: Option<String>,
    /// What is started
    #[arg(long, value_enum, default_value_t = Start::Redis)]
    start: Start,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Start {
    Redis,
    Memcached,
    Mongodb,
    Dynamodb,
}

struct Pair {
    a: Node,
    b: Node,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_broken) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("two_nodes: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers how many promises were broken.
async fn run(arguments: &Arguments) -> Result<usize, Box<dyn Error>> {
    let started = match &arguments.store {
        Some(_) => None,
        None => Some(started(arguments.start).await?),
    };
    let named = arguments.store.as_deref();
    let url = started.as_ref().map(Server::url).or(named).unwrap_or_default();
    let is_slow = started.is_some() && matches!(arguments.start, Start::Dynamodb);
    let pair = if is_slow {
        Pair::over(&format!("{url}&response_timeout=5s"), PATIENT).await?
    } else {
        Pair::over(url, DEFAULT_CALL_TIMEOUT).await?
    };

    let promises = [
        ("a write on one node is read on the other", pair.reads_the_others_write().await),
        ("60 parallel writes to different attributes, over both nodes", pair.parallel_writes(None).await),
        ("the same with work between load and save", pair.parallel_writes(Some(WORK)).await),
        ("60 parallel increments of one number, over both nodes", pair.parallel_increments().await),
        ("a slow request does not undo a logout", pair.slow_request_and_logout().await),
        ("a slow request does not move the cookie of a login", pair.slow_request_and_login().await),
    ];
    let mut broken = 0;
    for (promise, seen) in &promises {
        match seen {
            Ok(seen) => println!("  kept    {promise}: {seen}"),
            Err(seen) => {
                broken += 1;
                println!("  BROKEN  {promise}: {seen}");
            }
        }
    }
    println!("\n{} of {} promises kept", promises.len() - broken, promises.len());
    Ok(broken)
}

async fn started(what: Start) -> Result<Server, String> {
    let recipe = match what {
        Start::Redis => servers::redis(),
        Start::Memcached => servers::memcached(),
        Start::Mongodb => servers::mongodb(),
        Start::Dynamodb => servers::dynamodb(),
    };
    let started = Server::start(&recipe).await;
    started.map_err(|error| format!("{error}; or name a store with --store <url>"))
}

impl Pair {
    async fn over(url: &str, call_timeout: Duration) -> Result<Self, Box<dyn Error>> {
        let store = holdover::connect(url).await?;
        // Two nodes are two processes, each with its own connections, wherever the store allows that.
        let is_shared = store.capabilities().shared;
        let second = if is_shared { holdover::connect(url).await? } else { Arc::clone(&store) };
        let name = store.to_string();
        let configure = |builder: SessionLayerBuilder| {
            builder.insecure_development_cookies().with_call_timeout(call_timeout)
        };
        let a = Node::start("a", store, configure).await?;
        let b = Node::start("b", second, configure).await?;
        println!("store   {name}\nnode a  {}\nnode b  {}\n", a.url(), b.url());
        Ok(Self { a, b })
    }

    /// Requests alternate between the nodes.
    fn node(&self, number: usize) -> &Node {
        if number.is_multiple_of(2) { &self.a } else { &self.b }
    }

    async fn visitor(&self) -> Browser {
        let browser = Browser::new();
        browser.put(&self.a, "visitor", json!(true)).await;
        browser
    }

    async fn reads_the_others_write(&self) -> Seen {
        let browser = Browser::new();
        browser.put(&self.a, "greeting", json!("hello")).await;
        let answer = browser.get(&self.b, "/api/session/attributes/greeting").await;
        expect(answer.json() == json!("hello"), format!("node b answers {}", answer.text))
    }

    async fn parallel_writes(&self, work: Option<Duration>) -> Seen {
        let browser = self.visitor().await;
        let hold = work.map_or(String::new(), |work| format!("?hold_ms={}", work.as_millis()));
        let writes = (0..PARALLEL).map(|number| {
            let browser = browser.clone();
            let name = format!("attribute-{number}{hold}");
            async move { browser.put(self.node(number), &name, json!(number)).await }
        });
        let refused = join_all(writes).await.iter().filter(|answer| !answer.status.is_success()).count();
        let attributes = browser.attributes(&self.b).await;
        let is_there = |number: &usize| attributes[format!("attribute-{number}")] == json!(number);
        let there = (0..PARALLEL).filter(is_there).count();
        let seen = format!("{there} of {PARALLEL} are there, {refused} were refused");
        expect(there == PARALLEL && refused == 0, seen)
    }

    async fn parallel_increments(&self) -> Seen {
        let browser = self.visitor().await;
        let increments = (0..PARALLEL).map(|number| {
            let browser = browser.clone();
            async move { browser.post(self.node(number), "/api/session/attributes/n/increment").await }
        });
        let answers = join_all(increments).await;
        let refused = answers.iter().filter(|answer| !answer.status.is_success()).count();
        let number = browser.attributes(&self.b).await["n"].take();
        let seen = format!("{PARALLEL} times 1 makes {number}, {refused} were refused");
        expect(number == json!(PARALLEL) && refused == 0, seen)
    }

    async fn slow_request_and_logout(&self) -> Seen {
        let browser = self.visitor().await;
        let stolen = Browser::with_cookie(browser.cookie());
        let slow = self.a.slow_put(&browser, "late", json!(true), SLOW).await;
        browser.log_out(&self.b).await;
        let overlapped = !slow.is_finished();
        let refusal = slow.await.map_err(|error| error.to_string())?;
        let dead_on_a = stolen.get(&self.a, "/api/session").await.json()["new"] == json!(true);
        let dead_on_b = stolen.get(&self.b, "/api/session").await.json()["new"] == json!(true);
        let seen = format!(
            "the slow write is answered {}, the old cookie is {} on node a and {} on node b",
            describe(&refusal),
            dead_or_alive(dead_on_a),
            dead_or_alive(dead_on_b)
        );
        expect(overlapped && is_refusal(&refusal) && dead_on_a && dead_on_b, seen)
    }

    async fn slow_request_and_login(&self) -> Seen {
        let browser = self.visitor().await;
        let slow = self.a.slow_put(&browser, "late", json!(true), SLOW).await;
        browser.log_in(&self.b, "ada").await;
        let after_login = browser.cookie();
        let overlapped = !slow.is_finished();
        let refusal = slow.await.map_err(|error| error.to_string())?;
        let user = browser.attributes(&self.a).await["user"].take();
        let seen = format!("the slow write is answered {}, the user is {user}", describe(&refusal));
        let stays = browser.cookie() == after_login && user == json!("ada");
        expect(overlapped && is_refusal(&refusal) && stays, seen)
    }
}

fn expect(is_kept: bool, seen: String) -> Seen {
    if is_kept { Ok(seen) } else { Err(seen) }
}

fn is_refusal(answer: &Answer) -> bool {
    answer.status.as_u16() == 409 && !answer.sets_cookie()
}

fn describe(answer: &Answer) -> String {
    let cookie = if answer.sets_cookie() { "and moves the cookie" } else { "without a cookie" };
    format!("{} {cookie}", answer.status.as_u16())
}

fn dead_or_alive(is_dead: bool) -> &'static str {
    if is_dead { "dead" } else { "ALIVE" }
}
