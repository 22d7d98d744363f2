//! Deaths in a random run, and tombstones: EXP-25 and EXP-26.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Deadline, InstallAnswer, On, SaveAnswer, SessionKey, SessionStoreExt, Timestamp, Write};

use super::support::{at, outrun_the_server};
use crate::case::{Case, Ending};
use crate::random::Random;
use crate::require;
use crate::suites::race::support::{case, on_head, on_live, require_dead, step_aside, together, two_nodes};
use crate::trial::{Subject, Trial};

const CLIENTS: usize = 4;
const SESSIONS: usize = 50;
const CALLS: usize = 600;
const SHORTEST: u64 = 10;
const LONGEST: usize = 300;
const LONGEST_MOVE: usize = 6;
const ENOUGH: usize = 20;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "EXP-25",
            "a_tombstone_stands_until_the_deadline_of_what_it_buried",
            "A session is buried early in its life, and an old write is tried again and again: it is Gone until \
             the deadline and after it (I1). A tombstone that is forgotten too soon lets the session come back.",
            |trial| Box::pin(tombstone(trial)),
        ),
        case(
            "EXP-26",
            "in_a_random_run_every_session_lives_exactly_as_long_as_it_was_granted",
            "Two hundred sessions with random lifetimes, touched, saved, shortened, loaded, deleted and created anew \
             by four clients while the clock moves. Whatever began and ended before a deadline found the session \
             alive, whatever began at it or later found it dead.",
            |trial| Box::pin(random_run(trial)),
        ),
    ]
}

async fn tombstone(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let start = trial.now();
    let key = one.create(&[("user", b"ada")]).await?;
    let read = one.load_live(&key).await?;
    let old_writes = [on_live(&two, &read, &[("late", b"1")]), on_head(&two, &read, &[("late", b"1")])];
    at(&trial, start, 0.1);
    let buried = one.store.bury(&key, &read, trial.stamp()).await;
    require!(matches!(buried, Ok(InstallAnswer::Installed)), "a burial of what was read answered {buried:?}");
    for share in [0.1, 0.5, 0.7, 0.99, 1.0, 1.5] {
        at(&trial, start, share);
        for write in &old_writes {
            let answer = two.save(&key, write).await?;
            require!(
                matches!(answer, SaveAnswer::Gone),
                "at {share} of its life an old write answered {answer:?}"
            );
        }
        for node in [&one, &two] {
            require_dead(node, &key, read.record.head()).await?;
        }
        if share < 1.0 {
            let answer = two.save(&key, &two.creation(&[("user", b"eve")])).await?;
            require!(!matches!(answer, SaveAnswer::Saved { .. }), "a create over a tombstone succeeded");
        }
    }
    Ok(())
}

/// What clients saw, to prove that the run was worth anything.
#[derive(Default)]
struct Seen {
    deaths: usize,
    extensions: usize,
}

async fn random_run(trial: Trial) -> Result<(), Ending> {
    outrun_the_server(&trial);
    let nodes = Arc::new([trial.node().await?, trial.node().await?]);
    let clients = (0..CLIENTS).map(|client| {
        let random = Random::new(trial.seed().wrapping_add(client as u64));
        let (trial, nodes) = (trial.clone(), Arc::clone(&nodes));
        async move { live_and_let_die(trial, &nodes, random).await }
    });
    let mut seen = Seen::default();
    for of_client in together(clients).await? {
        seen.deaths += of_client.deaths;
        seen.extensions += of_client.extensions;
    }
    if seen.deaths < ENOUGH || seen.extensions < ENOUGH {
        let Seen { deaths, extensions } = seen;
        return Err(Ending::Vacuous(format!("only {deaths} deaths and {extensions} extensions were seen")));
    }
    Ok(())
}

/// A client has its sessions for itself; only the clock is moved by the others, too.
async fn live_and_let_die(trial: Trial, nodes: &[Subject; 2], random: Random) -> Result<Seen, Ending> {
    let keys = (0..SESSIONS).map(|_| Watched { key: trial.key(), deadline: None }).collect();
    let mut client = Client { trial, random, sessions: keys, seen: Seen::default() };
    for _ in 0..CALLS {
        if client.random.below(3) == 0 {
            let by = Duration::from_secs(client.random.below(LONGEST_MOVE) as u64);
            client.trial.clock().advance(by);
        }
        let node = &nodes[client.random.below(2)];
        client.call(node).await?;
        step_aside(client.random.below(3)).await;
    }
    Ok(client.seen)
}

/// A session, and until when it lives as far as its only client knows.
struct Watched {
    key: SessionKey,
    deadline: Option<Timestamp>,
}

struct Client {
    trial: Trial,
    random: Random,
    sessions: Vec<Watched>,
    seen: Seen,
}

impl Client {
    async fn call(&mut self, node: &Subject) -> Result<(), Ending> {
        let chosen = self.random.below(SESSIONS);
        let key = self.sessions[chosen].key;
        let granted = self.sessions[chosen].deadline;
        let began = self.trial.now();
        let lifetime = SHORTEST + self.random.below(LONGEST) as u64;
        let asked = began + Duration::from_secs(lifetime);
        let (alive, deadline) = match self.random.below(10) {
            0..4 => match node.load(&key).await? {
                Some(loaded) => {
                    let found = Some(loaded.record.deadline);
                    require!(found == granted, "a session has another deadline than it was granted");
                    (Some(true), found)
                }
                None => (Some(false), None),
            },
            4..6 => match node.touch(&key, asked).await? {
                true => (Some(true), granted.max(Some(asked))),
                false => (Some(false), None),
            },
            6 => save(node, &key, On::Live, Deadline::AtLeast(asked), granted).await?,
            7 => save(node, &key, On::Live, Deadline::Exactly(asked), granted).await?,
            8 => save(node, &key, On::Absent { created: began }, Deadline::AtLeast(asked), granted).await?,
            _ => {
                node.delete(&key).await?;
                (None, None)
            }
        };
        let ended = self.trial.now();
        self.check(granted, alive, (began, ended))?;
        if alive == Some(true) && deadline > granted {
            self.seen.extensions += 1;
        }
        if alive == Some(false) && granted.is_some() {
            self.seen.deaths += 1;
        }
        self.sessions[chosen].deadline = deadline;
        Ok(())
    }

    /// What the store said of life and death fits what it had granted.
    fn check(
        &self,
        granted: Option<Timestamp>,
        alive: Option<bool>,
        (began, ended): (Timestamp, Timestamp),
    ) -> Result<(), Ending> {
        let certainly_alive = granted.is_some_and(|deadline| ended < deadline);
        let certainly_dead = granted.is_none_or(|deadline| deadline <= began);
        let seed = self.trial.seed();
        require!(
            !(certainly_alive && alive == Some(false)),
            "a session was dead {:?} before its deadline (seed {seed:#x})",
            granted.unwrap_or_default().since(ended)
        );
        require!(
            !(certainly_dead && alive == Some(true)),
            "a session was alive {:?} after its deadline (seed {seed:#x})",
            began.since(granted.unwrap_or_default())
        );
        Ok(())
    }
}

/// Whether the save found a live session, and until when it lives from then on.
async fn save(
    node: &Subject,
    key: &SessionKey,
    on: On,
    asked: Deadline,
    granted: Option<Timestamp>,
) -> Result<(Option<bool>, Option<Timestamp>), Ending> {
    let write = Write { deadline: asked, ..node.write(on, &[("user", b"ada")]) };
    let creates = matches!(on, On::Absent { .. });
    Ok(match node.save(key, &write).await? {
        SaveAnswer::Saved { .. } if creates => (Some(false), Some(asked.moment())),
        SaveAnswer::Saved { .. } => (Some(true), granted.map(|deadline| asked.over(deadline))),
        SaveAnswer::Conflict { .. } => (Some(true), granted),
        SaveAnswer::Gone => (Some(false), None),
    })
}
