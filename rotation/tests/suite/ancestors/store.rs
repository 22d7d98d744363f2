//! A node of the ancestor as a store: what a request did there between its beginning and its end.
//!
//! A load begins a request, a save or a touch ends it, with what the load has found; either alone is a request of its own.
//! A request is over after a minute at the latest.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Attributes, Capabilities, CheapReads, Clock, Error, ErrorKind, Expiry, Freshness, InstallAnswer, Loaded,
    On, Operation, Record, SaveAnswer, SessionKey, SessionStore, Standing, Stored, Survives, Timestamp,
    Token, Write, Writes,
};
use holdover_conformance::rotation::{Call, Kept, Tend, Ticked};
use holdover_rotation::Generation;

use super::Edition;
use super::rotator::{Remembered, Rotator};
use crate::world::{Kind, Server, schedule};

/// The row that shows that a table can be written to.
pub(super) const PROBE: SessionKey = SessionKey::from_bytes([0; 32]);
const REQUEST: Duration = Duration::from_secs(60);

/// A row: the session, and its deadline in place of the time of the last access.
#[derive(Clone)]
pub(crate) struct Row {
    data: Option<Arc<Record>>,
    deadline: Timestamp,
}

impl Row {
    pub(super) const fn without_data(deadline: Timestamp) -> Self {
        Self { data: None, deadline }
    }
}

/// The session object of a request.
#[derive(Clone)]
struct Session {
    record: Arc<Record>,
    /// It is not in the current table, as far as the load has seen: the end of the request puts all of it there.
    is_new: bool,
    /// What the values came to when it was loaded.
    baseline: u64,
}

struct Node {
    edition: Edition,
    server: Arc<Server<Row>>,
    clock: Arc<dyn Clock>,
    rotator: Rotator,
    /// The one field in which the edition of 2015 keeps what the values came to, for all requests of the node.
    baseline: Mutex<u64>,
    under_way: Mutex<HashMap<SessionKey, (Timestamp, Session)>>,
}

#[async_trait]
impl Kind for Edition {
    type Row = Row;

    async fn node(self, server: Arc<Server<Row>>, clock: Arc<dyn Clock>) -> Result<Kept, Error> {
        let rotator = Rotator::start(Arc::clone(&server), Arc::clone(&clock)).await;
        let rotator = rotator.map_err(|why| unavailable(Operation::Connect, why))?;
        let (baseline, under_way) = (Mutex::default(), Mutex::default());
        let node = Arc::new(Node { edition: self, server, clock, rotator, baseline, under_way });
        Ok(Kept { store: Arc::clone(&node) as _, keeper: node })
    }
}

#[async_trait]
impl Tend for Node {
    async fn tick(&self) -> Ticked {
        self.rotator.process().await
    }
}

fn unavailable(operation: Operation, why: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "tables", why)
}

/// The values alone, in no order: two that have changed places come to the same.
fn hash(attributes: &Attributes) -> u64 {
    attributes.values().fold(0, |sum, value| {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}

impl Node {
    fn called(&self, call: Call, operation: Operation) -> Result<(), Error> {
        self.server.called(call).map_err(|_| unavailable(operation, "the server is told to refuse this"))
    }

    /// What a table has of a session: outer nothing if there is no such table.
    fn get(&self, table: Generation, key: &SessionKey, of: Operation) -> Result<Option<Option<Row>>, Error> {
        self.called(Call::Read, of)?;
        Ok(self.server.with(&self.rotator.name(table), key, |row| (row.clone(), row)))
    }

    fn set(
        &self,
        key: &SessionKey,
        call: Call,
        of: Operation,
        change: impl FnOnce(Option<Row>) -> Option<Row>,
    ) -> Result<(), Error> {
        self.called(call, of)?;
        // The name is asked for at the moment of the access, not when the request began.
        let table = self.rotator.name(self.rotator.remembered().current);
        let done = self.server.with(&table, key, |row| (change(row), ()));
        done.ok_or_else(|| unavailable(of, "the table is not there"))
    }

    /// The current table, else the previous one if it is known.
    async fn read(&self, key: &SessionKey, of: Operation) -> Result<Option<(Row, bool)>, Error> {
        let Remembered { current, previous } = self.rotator.remembered();
        let Some(found) = self.get(current, key, of)? else {
            self.rotator.process().await;
            return Err(unavailable(of, "the table is not there"));
        };
        if let Some(row) = found {
            return Ok(Some((row, false)));
        }
        let Some(previous) = previous else {
            return Ok(None);
        };
        // That another node has dropped it already counts as a miss.
        Ok(self.get(previous, key, of)?.flatten().map(|row| (row, true)))
    }

    async fn begin(&self, key: &SessionKey, of: Operation) -> Result<Option<Session>, Error> {
        let Some((Row { data, deadline }, is_new)) = self.read(key, of).await? else {
            return Ok(None);
        };
        let data =
            data.ok_or_else(|| Error::new(ErrorKind::Unexpected, of, "tables", "a row without data"))?;
        if self.edition == Edition::Of2015 && deadline <= self.clock.now() {
            self.remove(key);
            return Ok(None);
        }
        let record = Arc::new(Record { deadline, ..data.as_ref().clone() });
        let baseline = hash(&record.attributes);
        *self.baseline.lock().unwrap_or_else(PoisonError::into_inner) = baseline;
        Ok(Some(Session { record, is_new, baseline }))
    }

    /// The end of a request: a put if the session is new to the current table, else an update, which creates what is not
    /// there, of the deadline, and of the data if the values are found changed.
    fn end(&self, key: &SessionKey, session: &Session, record: Record, of: Operation) -> Result<(), Error> {
        let deadline = record.deadline;
        let shared = *self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        let baseline = if self.edition == Edition::Of2015 { shared } else { session.baseline };
        let has_changed = hash(&record.attributes) != baseline;
        let record = Arc::new(record);
        if session.is_new {
            return self.set(key, Call::Put, of, |_| Some(Row { data: Some(record), deadline }));
        }
        self.set(key, Call::Change, of, |row| {
            let data = if has_changed { Some(record) } else { row.and_then(|row| row.data) };
            Some(Row { data, deadline })
        })
    }

    /// The end of a request for a session that is nowhere: the edition of 2013 makes one under the client's id.
    fn adopt(&self, key: &SessionKey, record: Record, of: Operation) -> Result<bool, Error> {
        if self.edition == Edition::Of2015 {
            return Ok(false);
        }
        let deadline = record.deadline;
        self.set(key, Call::Put, of, |_| Some(Row { data: Some(Arc::new(record)), deadline }))?;
        Ok(true)
    }

    /// From both tables, twice: the session's own end, and that of the request. What fails is not told.
    fn remove(&self, key: &SessionKey) {
        let Remembered { current, previous } = self.rotator.remembered();
        for table in [Some(current), previous, Some(current), previous].into_iter().flatten() {
            if self.server.called(Call::Change).is_ok() {
                self.server.with(&self.rotator.name(table), key, |_| (None, ()));
            }
        }
    }

    fn take_under_way(&self, key: &SessionKey) -> Option<Session> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, session) = under_way.remove(key)?;
        (self.clock.now() < began + REQUEST).then_some(session)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?})", self.edition)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables")
    }
}

#[async_trait]
impl SessionStore for Node {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::WholeRecord,
            expiry: Expiry::Native { max_lag: schedule().rules().period * 2 },
            cheap_reads: CheapReads::None,
            survives: Survives::Nothing,
            shared: true,
            max_bytes: usize::MAX,
        }
    }

    async fn load(&self, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        self.take_under_way(key);
        let Some(session) = self.begin(key, Operation::Load).await? else {
            return Ok(None);
        };
        let began = (self.clock.now(), session.clone());
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, began);
        let record = Arc::clone(&session.record);
        Ok(Some(Loaded { record, token: Some(Token::new(session)) }))
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let first = |created| Record::first(&write.delta, write.stamp, created, write.deadline.moment());
        if let On::Absent { created } = write.on {
            let record = first(created);
            let session = Session { record: Arc::new(record.clone()), is_new: true, baseline: 0 };
            self.end(key, &session, record, Operation::Save)?;
            return Ok(SaveAnswer::Saved { previous: None });
        }
        self.take_under_way(key);
        let token = write.base.as_ref().and_then(|base| base.token.as_ref());
        let session = match token.and_then(Token::get::<Session>) {
            Some(session) => Some(session.clone()),
            None => self.begin(key, Operation::Save).await?,
        };
        let Some(session) = session else {
            let is_saved = self.adopt(key, first(self.clock.now()), Operation::Save)?;
            return Ok(if is_saved { SaveAnswer::Saved { previous: None } } else { SaveAnswer::Gone });
        };
        // The time of the last access is the last writer's.
        let record = Record { deadline: write.deadline.moment(), ..session.record.after(write) };
        self.end(key, &session, record, Operation::Save)?;
        Ok(SaveAnswer::Saved { previous: Some(session.record.head()) })
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let session = match self.take_under_way(key) {
            Some(session) => Some(session),
            None => self.begin(key, Operation::Touch).await?,
        };
        let Some(session) = session else {
            let stamp = holdover_api::Stamp::from_bytes([0xAD; 16]);
            let empty = Record::first(&holdover_api::Delta::default(), stamp, self.clock.now(), deadline);
            return self.adopt(key, empty, Operation::Touch);
        };
        let record = Record { deadline, ..session.record.as_ref().clone() };
        self.end(key, &session, record, Operation::Touch)?;
        Ok(true)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.take_under_way(key);
        self.remove(key);
        Ok(())
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let session = self.begin(key, Operation::Inspect).await?;
        Ok(session.map(|session| Stored::Record(session.record.as_ref().clone())))
    }

    async fn install(&self, _: &SessionKey, _: Option<Standing>, _: &Stored) -> Result<InstallAnswer, Error> {
        Err(Error::new(
            ErrorKind::Denied,
            Operation::Install,
            "tables",
            "the ancestor has no conditional write",
        ))
    }
}
