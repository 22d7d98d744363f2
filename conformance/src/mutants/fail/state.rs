//! What the small server knows: the sessions, the questions and answers beside the wire, what is on its disk.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdover_api::{
    Clock, Error, ErrorKind, Freshness, InstallAnswer, Loaded, On, Operation, SaveAnswer, SessionKey,
    SessionStore, Standing, Stored, Survives, Timestamp, Token, Write,
};
use tokio::sync::watch;

use super::server::WORD;
use crate::harness::{Harness, Node, Raw};

/// How much of the newest is lost by a server that acknowledges before it writes to disk.
const LOST_AT_A_CRASH: usize = 3;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerFlaw {
    None,
    /// The newest operations of this kind are acknowledged before they are durable.
    Forgets(Operation),
    /// Compare tokens are numbers that begin at one with the process, and are all that is compared.
    NumbersFromOne,
}

/// What a server is like.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Makes the stores that judge: sound, or with one flaw in the rules.
    pub(super) rules: fn() -> Arc<dyn Harness>,
    pub(super) flaw: ServerFlaw,
    /// What it really keeps when it is killed.
    pub(super) keeps: Survives,
}

/// One question.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Load(SessionKey),
    Save(SessionKey, Write),
    Touch(SessionKey, Timestamp),
    Delete(SessionKey),
    Inspect(SessionKey),
    Install(SessionKey, Option<Standing>, Stored),
    Lock(SessionKey),
    Unlock(SessionKey),
}

/// One answer.
pub(super) enum Answer {
    Load(Option<Loaded>),
    Save(SaveAnswer),
    Touch(bool),
    Delete,
    Inspect(Option<Stored>),
    Install(InstallAnswer),
    Lock(bool),
    Unlock,
}

/// A question as a node asks it.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) place: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) call: Call,
    /// A script that only the process which compiled it knows, by the number of its start.
    pub(super) script: Option<usize>,
}

pub(super) type Reply = Result<Answer, Error>;

/// The state that outlives connections.
pub(super) struct Shared {
    plan: Plan,
    state: Mutex<State>,
    pub(super) paused: watch::Sender<bool>,
}

struct State {
    stores: Arc<dyn Harness>,
    starts: usize,
    next_ticket: u64,
    requests: HashMap<u64, Request>,
    replies: HashMap<u64, Reply>,
    /// Every change, in order: what a durable server finds on its disk.
    log: Vec<Request>,
    locks: HashSet<(String, SessionKey)>,
    numbers: HashMap<(String, SessionKey), u64>,
    next_number: u64,
}

impl Shared {
    pub(super) fn new(plan: Plan) -> Self {
        let state = State {
            stores: (plan.rules)(),
            starts: 1,
            next_ticket: 0,
            requests: HashMap::new(),
            replies: HashMap::new(),
            log: Vec::new(),
            locks: HashSet::new(),
            numbers: HashMap::new(),
            next_number: 0,
        };
        Self { plan, state: Mutex::new(state), paused: watch::Sender::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the server has been started.
    pub(super) fn starts(&self) -> usize {
        self.state().starts
    }

    /// What it keeps, past the wire.
    pub(super) fn raw(&self) -> Option<Arc<dyn Raw>> {
        self.state().stores.raw()
    }

    /// Leaves a question beside the wire.
    pub(super) fn ask(&self, request: Request) -> u64 {
        let mut state = self.state();
        state.next_ticket += 1;
        let ticket = state.next_ticket;
        state.requests.insert(ticket, request);
        ticket
    }

    /// Takes the answer that the wire named.
    pub(super) fn collect(&self, ticket: u64) -> Option<Reply> {
        self.state().replies.remove(&ticket)
    }

    /// Answers a question; how long the answer is on the wire.
    pub(super) async fn answer(&self, ticket: u64) -> Option<usize> {
        let request = self.state().requests.remove(&ticket)?;
        let reply = self.execute(&request).await;
        let length = match &reply {
            Ok(Answer::Load(Some(loaded))) => holdover_api::frame::size(&loaded.record),
            _ => 2 * WORD,
        };
        let mut state = self.state();
        let changes =
            !matches!(request.call, Call::Load(_) | Call::Inspect(_) | Call::Lock(_) | Call::Unlock(_));
        if changes && reply.is_ok() {
            state.log.push(request);
        }
        state.replies.insert(ticket, reply);
        Some(length)
    }

    async fn execute(&self, request: &Request) -> Reply {
        let stores = {
            let state = self.state();
            if request.script.is_some_and(|start| start != state.starts) {
                let error = Error::new(ErrorKind::Unexpected, Operation::Save, "wire", "no such script");
                return Err(error.without_effect());
            }
            Arc::clone(&state.stores)
        };
        if let Call::Lock(key) | Call::Unlock(key) = &request.call {
            return Ok(self.lock(request, *key));
        }
        let node = Node { place: request.place.clone(), clock: Arc::clone(&request.clock), via: None };
        let store = stores.open(node).await?;
        let by_number = self.plan.flaw == ServerFlaw::NumbersFromOne;
        match &request.call {
            Call::Save(key, write) if by_number => self.save_by_number(request, &*store, key, write).await,
            Call::Load(key) if by_number => self.load_with_number(request, &*store, key).await,
            call => put(call, &*store).await,
        }
    }

    fn lock(&self, request: &Request, key: SessionKey) -> Answer {
        let mut state = self.state();
        let name = (request.place.clone(), key);
        if matches!(request.call, Call::Lock(_)) {
            return Answer::Lock(state.locks.insert(name));
        }
        state.locks.remove(&name);
        Answer::Unlock
    }

    async fn load_with_number(&self, request: &Request, store: &dyn SessionStore, key: &SessionKey) -> Reply {
        let loaded = store.load(key, Freshness::Latest).await?;
        let number = self.state().numbers.get(&(request.place.clone(), *key)).copied();
        Ok(Answer::Load(loaded.map(|loaded| Loaded { token: number.map(Token::new), ..loaded })))
    }

    async fn save_by_number(
        &self,
        request: &Request,
        store: &dyn SessionStore,
        key: &SessionKey,
        write: &Write,
    ) -> Reply {
        let name = (request.place.clone(), *key);
        let mut write = write.clone();
        let token = write.base.as_ref().and_then(|base| base.token.as_ref()?.get::<u64>().copied());
        if let (On::Head(_), Some(token)) = (write.on, token)
            && self.state().numbers.get(&name) == Some(&token)
        {
            write.on = On::Live;
        }
        let answer = store.save(key, &write).await?;
        if matches!(answer, SaveAnswer::Saved { .. }) {
            let mut state = self.state();
            state.next_number += 1;
            let number = state.next_number;
            state.numbers.insert(name, number);
        }
        Ok(Answer::Save(answer))
    }

    /// The process begins anew, with what it finds on its disk.
    pub(super) async fn start_again(&self) {
        let log = {
            let mut state = self.state();
            state.starts += 1;
            state.stores = (self.plan.rules)();
            state.locks.clear();
            state.numbers.clear();
            state.next_number = 0;
            std::mem::take(&mut state.log)
        };
        if self.plan.keeps == Survives::Nothing {
            return;
        }
        let kept = surviving(log, self.plan.flaw);
        for request in kept {
            // A write that was acknowledged once is judged the same way again.
            let replayed = self.execute(&Request { script: None, ..request.clone() }).await;
            if replayed.is_ok() {
                self.state().log.push(request);
            }
        }
    }
}

fn surviving(mut log: Vec<Request>, flaw: ServerFlaw) -> Vec<Request> {
    let ServerFlaw::Forgets(kind) = flaw else { return log };
    for _ in 0..LOST_AT_A_CRASH {
        let Some(newest) = log.iter().rposition(|request| operation(&request.call) == kind) else { break };
        log.remove(newest);
    }
    log
}

fn operation(call: &Call) -> Operation {
    match call {
        Call::Load(_) => Operation::Load,
        Call::Save(..) | Call::Lock(_) | Call::Unlock(_) => Operation::Save,
        Call::Touch(..) => Operation::Touch,
        Call::Delete(_) => Operation::Delete,
        Call::Inspect(_) => Operation::Inspect,
        Call::Install(..) => Operation::Install,
    }
}

async fn put(call: &Call, store: &dyn SessionStore) -> Reply {
    Ok(match call {
        Call::Load(key) => Answer::Load(store.load(key, Freshness::Latest).await?),
        Call::Save(key, write) => Answer::Save(store.save(key, write).await?),
        Call::Touch(key, deadline) => Answer::Touch(store.touch(key, *deadline).await?),
        Call::Delete(key) => {
            store.delete(key).await?;
            Answer::Delete
        }
        Call::Inspect(key) => Answer::Inspect(store.inspect(key).await?),
        Call::Install(key, over, new) => Answer::Install(store.install(key, *over, new).await?),
        Call::Lock(_) | Call::Unlock(_) => Answer::Unlock,
    })
}
