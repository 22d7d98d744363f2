//! Each kind of request, on one table with a time to live and on tables that follow each other.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, CookieChange, ManualClock, OsEntropy, Session, SessionId, SessionPolicy, SessionStore, Stored,
    SystemClock, Timestamp, frame,
};
use holdover_backends::dynamodb::{Consumed, DynamoDb};

use crate::Outcome;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR_MILLIS: u64 = 3_600_000;

const URLS: [&str; 2] = [
    "dynamodb://local/sessions?expiry=ttl",
    "dynamodb://local/sessions?expiry=rotation&period=1h&max_lease=30m&keeper=off",
];

/// Bytes in the attribute that makes the session as large as it is.
pub(crate) const SIZES: [usize; 3] = [100, 1_000, 9_000];

/// What a kind of request consumed.
pub(crate) struct Bill {
    pub(crate) kind: &'static str,
    pub(crate) spent: Consumed,
}

/// A store, and the hand on its clock.
struct Stage {
    store: Arc<DynamoDb>,
    policy: SessionPolicy,
    clock: Arc<ManualClock>,
    value: String,
    bills: Vec<Bill>,
}

/// Answers what was consumed on tables that follow each other, in a column for each size.
pub(crate) async fn print() -> Outcome<Vec<Vec<Bill>>> {
    let mut columns = Vec::new();
    let mut sizes = Vec::new();
    for url in URLS {
        for size in SIZES {
            let mut stage = Stage::set(url, size).await?;
            sizes.push(stage.in_one_period().await?);
            stage.over_a_boundary().await?;
            columns.push(stage.bills);
        }
    }
    let rotation = columns.split_off(SIZES.len());
    let ttl = columns;
    print!("| request | calls: ttl / rotation |");
    for bytes in &sizes[..SIZES.len()] {
        print!(" {bytes} bytes: ttl | rotation |");
    }
    println!("\n|---|---|{}", "---|---|".repeat(SIZES.len()));
    for (row, bill) in ttl[0].iter().enumerate() {
        print!("| {} | {} / {} |", bill.kind, calls(&bill.spent), calls(&rotation[0][row].spent));
        for size in 0..SIZES.len() {
            print!(" {} | {} |", told(&ttl[size][row].spent), told(&rotation[size][row].spent));
        }
        println!();
    }
    Ok(rotation)
}

pub(crate) fn calls(spent: &Consumed) -> String {
    match spent.unreported {
        0 => spent.requests.to_string(),
        refused => format!("{} ({refused} refused)", spent.requests),
    }
}

/// The units of a bill, in words.
pub(crate) fn told(spent: &Consumed) -> String {
    match (spent.read_units, spent.write_units) {
        (0.0, 0.0) => "–".to_owned(),
        (reads, 0.0) => format!("{reads} R"),
        (0.0, writes) => format!("{writes} W"),
        (reads, writes) => format!("{reads} R + {writes} W"),
    }
}

impl Stage {
    /// In the middle of an hour that has not begun by the system's time: the database says by that when a table was made.
    async fn set(url: &str, size: usize) -> Outcome<Self> {
        let hours = SystemClock.now().as_millis() / HOUR_MILLIS + 1;
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(hours * HOUR_MILLIS + HOUR_MILLIS / 2)));
        let store = DynamoDb::connect_with_clock(url, Arc::clone(&clock) as Arc<dyn Clock>).await?;
        let policy = SessionPolicy::new(Arc::clone(&store) as Arc<dyn SessionStore>)
            .with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Ok(Self { store, policy, clock, value: "x".repeat(size), bills: Vec::new() })
    }

    fn open(&self, id: &SessionId) -> Session {
        self.policy.open(Some(id.clone()))
    }

    /// Ends a request, and writes down what the store has consumed since `before`.
    async fn end(
        &mut self,
        kind: &'static str,
        before: Consumed,
        session: &Session,
    ) -> Outcome<Option<SessionId>> {
        let cookie = session.commit().await?.cookie;
        let after = self.store.consumed();
        let spent = Consumed {
            requests: after.requests - before.requests,
            unreported: after.unreported - before.unreported,
            read_units: after.read_units - before.read_units,
            write_units: after.write_units - before.write_units,
        };
        self.bills.push(Bill { kind, spent });
        Ok(if let CookieChange::Set { id, .. } = cookie { Some(id) } else { None })
    }

    async fn read(&mut self, kind: &'static str, id: &SessionId) -> Outcome<()> {
        let (before, session) = (self.store.consumed(), self.open(id));
        session.get::<u64>("count").await?;
        self.end(kind, before, &session).await?;
        Ok(())
    }

    async fn modify(&mut self, kind: &'static str, id: &SessionId) -> Outcome<()> {
        let (before, session) = (self.store.consumed(), self.open(id));
        let count = session.get::<u64>("count").await?.ok_or("a session is not there")?;
        session.insert("count", count + 1).await?;
        self.end(kind, before, &session).await?;
        Ok(())
    }

    async fn create(&mut self, kind: &'static str) -> Outcome<SessionId> {
        let (before, session) = (self.store.consumed(), self.policy.open(None));
        session.insert("count", 0_u64).await?;
        session.insert("value", &self.value).await?;
        let created = self.end(kind, before, &session).await?;
        created.ok_or_else(|| "a session was not created".into())
    }

    async fn log_in(&mut self, kind: &'static str, id: &SessionId) -> Outcome<SessionId> {
        let (before, session) = (self.store.consumed(), self.open(id));
        session.cycle_id().await?;
        session.insert("user", "ada").await?;
        let renewed = self.end(kind, before, &session).await?;
        renewed.ok_or_else(|| "a session was not renewed".into())
    }

    async fn log_out(&mut self, kind: &'static str, id: &SessionId) -> Outcome<()> {
        let (before, session) = (self.store.consumed(), self.open(id));
        session.flush().await?;
        self.end(kind, before, &session).await?;
        Ok(())
    }

    /// Answers how many bytes the session has.
    async fn in_one_period(&mut self) -> Outcome<usize> {
        let id = self.create("create").await?;
        let bytes = match self.store.inspect(&id.key()).await? {
            Some(Stored::Record(record)) => frame::size(&record),
            _ => return Err("a session is not there".into()),
        };
        let (before, session) = (self.store.consumed(), self.open(&id));
        self.end("session not touched", before, &session).await?;
        self.read("read", &id).await?;
        self.clock.advance(4 * MINUTE);
        self.read("read that extends the session", &id).await?;
        self.modify("modify", &id).await?;
        let id = self.log_in("log in", &id).await?;
        self.log_out("log out", &id).await?;
        let unknown = SessionId::draw(&OsEntropy)?;
        self.read("id that leads nowhere", &unknown).await?;
        Ok(bytes)
    }

    async fn over_a_boundary(&mut self) -> Outcome<()> {
        self.keep(25).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(self.create("").await?);
        }
        self.bills.retain(|bill| !bill.kind.is_empty());
        self.keep(2).await;
        self.read("first read after a boundary", &ids[0]).await?;
        self.modify("first modify after a boundary", &ids[1]).await?;
        self.modify("second modify after a boundary", &ids[1]).await?;
        self.log_in("first log in after a boundary", &ids[2]).await?;
        self.log_out("log out by who was there before it", &ids[3]).await?;
        let unknown = SessionId::draw(&OsEntropy)?;
        self.read("id that leads nowhere, after a boundary", &unknown).await?;
        self.keep(2).await;
        self.read("first read after a boundary, which extends", &ids[4]).await
    }

    /// Lets so many minutes pass, in which the keeper comes by.
    async fn keep(&self, minutes: u32) {
        for _ in 0..minutes {
            self.clock.advance(MINUTE);
            if let Some(keeper) = self.store.keeper() {
                keeper.tick().await;
            }
        }
    }
}
