//! Appends to lists: RACE-19, RACE-20 and RACE-24, three questions to one kind of history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdover_api::{Record, SaveAnswer, SessionKey};

use super::support::{case, nodes, on_head, step_aside, text, together};
use crate::case::{Case, Ending};
use crate::history::{AppendLog, AppendOutcome, AppendRequest, AppendToken};
use crate::random::Random;
use crate::trial::{Subject, Trial};

const CLIENTS: usize = 6;
const NODES: usize = 3;
const SESSIONS: usize = 20;
const REQUESTS: usize = 150;
const ROUNDS: usize = 3;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-19",
            "no_append_is_lost_doubled_or_undone",
            "Six clients append tokens that nobody else has to twenty lists, each request by load, think, save on \
             the head that it read. Every acknowledged token is there exactly once and directly behind what its \
             writer had read; none that was refused is there (I2, I3, S7).",
            |trial| Box::pin(ask(trial, AppendLog::check_updates)),
        ),
        case(
            "RACE-20",
            "every_client_reads_its_own_writes_and_never_goes_back",
            "The same history, seen by each client, whose requests land on any of three nodes: it reads at least \
             what it has read and written before (read your writes, monotonic reads; S2).",
            |trial| Box::pin(ask(trial, AppendLog::check_session_guarantees)),
        ),
        case(
            "RACE-24",
            "writes_stand_in_program_order_behind_what_their_writer_had_read",
            "The same history, seen by everybody: a client's writes are in the order in which it made them, and \
             behind everything that it had read (monotonic writes, writes follow reads).",
            |trial| Box::pin(ask(trial, AppendLog::check_order)),
        ),
    ]
}

async fn ask(trial: Trial, check: fn(&AppendLog) -> Result<(), String>) -> Result<(), Ending> {
    for _ in 0..ROUNDS {
        let log = run(&trial).await?;
        check(&log).map_err(|anomaly| Ending::Failed(format!("{anomaly} (seed {:#x})", trial.seed())))?;
        if log.refusals() > 0 {
            return Ok(());
        }
    }
    Err(Ending::Vacuous(format!("in {ROUNDS} rounds no request met another: nothing was refused")))
}

async fn run(trial: &Trial) -> Result<AppendLog, Ending> {
    let nodes = nodes(trial, NODES).await?;
    let mut keys = Vec::new();
    for _ in 0..SESSIONS {
        keys.push(nodes[0].create(&[("list", b"")]).await?);
    }
    let lists = Arc::new(Lists { trial: trial.clone(), nodes, keys, tokens: AtomicU64::new(1) });
    let clients = (0..CLIENTS).map(|client| {
        let lists = Arc::clone(&lists);
        async move { lists.client(client).await }
    });
    let requests = together(clients).await?.into_iter().flatten().collect();
    let mut finals = Vec::new();
    for key in &lists.keys {
        finals.push(lists.last(key).await?);
    }
    Ok(AppendLog { requests, finals })
}

struct Lists {
    trial: Trial,
    nodes: Vec<Subject>,
    keys: Vec<SessionKey>,
    tokens: AtomicU64,
}

impl Lists {
    async fn client(&self, client: usize) -> Result<Vec<AppendRequest>, Ending> {
        // Its own random numbers, so that a seed repeats its plan however the clients interleave.
        let mut random = Random::new(self.trial.seed().wrapping_add(client as u64));
        let mut requests = Vec::new();
        for _ in 0..REQUESTS {
            requests.push(self.request(client, &mut random).await?);
        }
        Ok(requests)
    }

    async fn request(&self, client: usize, random: &mut Random) -> Result<AppendRequest, Ending> {
        let session = random.below(SESSIONS);
        let node = &self.nodes[random.below(NODES)];
        let key = &self.keys[session];
        let token = self.tokens.fetch_add(1, Ordering::SeqCst);
        let loaded = node.load_live(key).await?;
        let read = tokens(&loaded.record);
        step_aside(random.below(12)).await;
        let list = format!("{} {token}", text(&loaded.record, "list"));
        let outcome = match node.save(key, &on_head(node, &loaded, &[("list", list.as_bytes())])).await? {
            SaveAnswer::Saved { .. } => AppendOutcome::Saved,
            SaveAnswer::Conflict { .. } => AppendOutcome::Refused,
            SaveAnswer::Gone => {
                return Err(Ending::Failed("an append to a live session answered Gone".into()));
            }
        };
        step_aside(random.below(4)).await;
        Ok(AppendRequest { client, session, read, token, outcome })
    }

    /// The list in the end, on which all nodes have to agree.
    async fn last(&self, key: &SessionKey) -> Result<Vec<AppendToken>, Ending> {
        let first = tokens(&self.nodes[0].load_live(key).await?.record);
        for node in &self.nodes[1..] {
            let other = tokens(&node.load_live(key).await?.record);
            if other != first {
                return Err(Ending::Failed(format!(
                    "two nodes end with different lists: {first:?} {other:?}"
                )));
            }
        }
        Ok(first)
    }
}

fn tokens(record: &Record) -> Vec<AppendToken> {
    text(record, "list").split_whitespace().filter_map(|token| token.parse().ok()).collect()
}
