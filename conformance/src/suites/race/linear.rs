//! Random histories against the sequential model: RACE-21.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Deadline, Delta, Loaded, On, SaveAnswer, SessionKey, Timestamp, Write};

use super::support::{case, nodes, together};
use crate::case::{Case, Ending};
use crate::history::{
    Action, Answer, Call, DEFAULT_BUDGET, Deletion, Linearizability, Outcome, Recorder, Who,
    check_linearizable_with, timeline,
};
use crate::random::Random;
use crate::trial::{LIFETIME, Subject, Trial};

const CLIENTS: usize = 5;
const NODES: usize = 3;
const SESSIONS: usize = 48;
const SESSIONS_AT_ONCE: usize = 8;
const CALLS: usize = 20;
const ROUNDS: usize = 3;

pub(super) fn cases() -> Vec<Case> {
    vec![case(
        "RACE-21",
        "every_session_is_linearizable",
        "Five clients on three nodes create, load, merge, compare and set, touch, delete and repeat writes at \
         random. For each session there is an order of all calls that respects real time and explains every answer \
         by the rules of `judge`. Which anomaly a violation is, the time-line shows.",
        |trial| Box::pin(linearizable(trial)),
    )]
}

async fn linearizable(trial: Trial) -> Result<(), Ending> {
    for _ in 0..ROUNDS {
        let met = round(&trial).await?;
        if met.overlaps > 0 && met.conflicts > 0 {
            return Ok(());
        }
    }
    Err(Ending::Vacuous(format!("in {ROUNDS} rounds the clients of a session did not meet and conflict")))
}

/// How often clients met.
#[derive(Default)]
struct Met {
    overlaps: usize,
    conflicts: usize,
}

async fn round(trial: &Trial) -> Result<Met, Ending> {
    let nodes = Arc::new(nodes(trial, NODES).await?);
    let deletion = deletion(&nodes[0]).await?;
    let recorder = Arc::new(Recorder::new());
    let mut met = Met::default();
    for batch in 0..SESSIONS / SESSIONS_AT_ONCE {
        let sessions = (0..SESSIONS_AT_ONCE).map(|number| batch * SESSIONS_AT_ONCE + number);
        let running = sessions.map(|session| {
            let plan = Plan {
                trial: trial.clone(),
                nodes: Arc::clone(&nodes),
                recorder: Arc::clone(&recorder),
                session,
                key: trial.key(),
                deletion,
            };
            async move { play(plan).await }
        });
        for of_session in together(running).await? {
            met.overlaps += of_session.overlaps;
            met.conflicts += of_session.conflicts;
        }
    }
    Ok(met)
}

/// What a delete of this store leaves: it may refuse a create under the same key (S5) or not, but always the same.
async fn deletion(node: &Subject) -> Result<Deletion, Ending> {
    let key = node.create(&[]).await?;
    node.delete(&key).await?;
    match node.save(&key, &node.creation(&[])).await? {
        SaveAnswer::Saved { .. } => Ok(Deletion::Nothing),
        SaveAnswer::Gone => {
            let unknown = node.trial().key();
            node.delete(&unknown).await?;
            let buried = matches!(node.save(&unknown, &node.creation(&[])).await?, SaveAnswer::Gone);
            Ok(if buried { Deletion::TombstoneAlways } else { Deletion::Tombstone })
        }
        SaveAnswer::Conflict { .. } => {
            Err(Ending::Failed("a create after a delete met a session that was destroyed (I1)".into()))
        }
    }
}

/// All clients of one session, then a load on every node, then the verdict.
async fn play(plan: Plan) -> Result<Met, Ending> {
    let plan = Arc::new(plan);
    let clients = (0..CLIENTS).map(|client| {
        let plan = Arc::clone(&plan);
        async move { plan.client(client).await }
    });
    together(clients).await?;
    for node in 0..NODES {
        plan.call(CLIENTS + node, node, Call::Load, 0).await?;
    }
    let history = plan.recorder.of_session(plan.session);
    match check_linearizable_with(plan.deletion, plan.trial.now(), None, &history, DEFAULT_BUDGET) {
        Linearizability::Linearizable(_) => Ok(count(&history)),
        Linearizability::Unknown => Err(Ending::Unknown(format!(
            "{DEFAULT_BUDGET} steps did not decide a history of {}",
            history.len()
        ))),
        Linearizability::Violated(stuck) => {
            let seed = plan.trial.seed();
            let shown = timeline(&history, &stuck);
            Err(Ending::Failed(format!(
                "session {} is not linearizable (seed {seed:#x}); {shown}",
                plan.session
            )))
        }
    }
}

fn count(history: &[Action]) -> Met {
    let mut met = Met::default();
    for (position, action) in history.iter().enumerate() {
        if matches!(action.outcome, Outcome::Answered(Answer::Conflict(_))) {
            met.conflicts += 1;
        }
        let later = &history[position + 1..];
        met.overlaps += later.iter().take(CLIENTS).filter(|other| action.overlaps(other)).count();
    }
    met
}

struct Plan {
    trial: Trial,
    nodes: Arc<Vec<Subject>>,
    recorder: Arc<Recorder>,
    session: usize,
    key: SessionKey,
    deletion: Deletion,
}

/// A client: its own random numbers, so that a seed repeats its plan however the clients interleave, and what it
/// remembers between its calls.
struct Client {
    random: Random,
    seen: Option<Loaded>,
    last: Option<Write>,
}

impl Plan {
    async fn client(&self, number: usize) -> Result<(), Ending> {
        let mine = (self.session * CLIENTS + number) as u64;
        let random = Random::new(self.trial.seed().wrapping_add(mine));
        let mut client = Client { random, seen: None, last: None };
        for turn in 0..CALLS {
            let node = client.random.below(NODES);
            let call = self.choose(&mut client, &format!("{number}.{turn}"));
            if let Call::Save(write) = &call {
                client.last = Some(write.clone());
            }
            let around = client.random.below(3);
            match self.call(number, node, call, around).await? {
                Answer::Loaded(Some(record)) | Answer::Conflict(Some(record)) => {
                    client.seen = Some(Loaded::from(record));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn choose(&self, client: &mut Client, token: &str) -> Call {
        let base = client.seen.clone();
        match (client.random.below(100), &base, &client.last) {
            (0..25, _, _) => Call::Load,
            (25..36, _, _) => {
                self.save(&mut client.random, On::Absent { created: self.trial.now() }, None, token)
            }
            (36..66, Some(seen), _) => {
                let on = On::Head(seen.record.head());
                self.save(&mut client.random, on, base, token)
            }
            (66..76, _, _) => Call::Touch(self.moment(&mut client.random)),
            (76..80, _, _) => Call::Delete,
            (80..86, _, Some(last)) => Call::Save(last.clone()),
            _ => self.save(&mut client.random, On::Live, base, token),
        }
    }

    /// A write of a value that nobody else writes.
    fn save(&self, random: &mut Random, on: On, base: Option<Loaded>, token: &str) -> Call {
        let mut delta = Delta::default();
        match random.below(8) {
            0 => delta.clear(),
            1 => delta.remove("b"),
            _ => {}
        }
        let name = ["a", "b", "c"][random.below(3)];
        delta.set(name, token.as_bytes().to_vec());
        let moment = self.moment(random);
        let deadline =
            if random.below(6) == 0 { Deadline::Exactly(moment) } else { Deadline::AtLeast(moment) };
        Call::Save(Write { on, delta, stamp: self.trial.stamp(), deadline, base })
    }

    fn moment(&self, random: &mut Random) -> Timestamp {
        self.trial.now() + LIFETIME + Duration::from_secs(random.below(100) as u64)
    }

    async fn call(&self, client: usize, node: usize, call: Call, around: usize) -> Result<Answer, Ending> {
        let store = &*self.nodes[node].store;
        let who = Who { client, node, store, session: self.session, key: &self.key };
        let outcome = self.recorder.call(who, call, around).await;
        let Outcome::Answered(answer) = outcome else {
            return Err(Ending::Failed(format!("without any fault, a call ended as {outcome:?}")));
        };
        Ok(answer)
    }
}
