//! Which tables a node of the ancestor uses: those that it remembers. Every other table of its own is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use holdover_api::{Clock, Timestamp};
use holdover_conformance::rotation::{Call, Ticked};
use holdover_rotation::{Generation, Names};

use super::store::{PROBE, Row};
use crate::world::{BASE, PAGE, Server, names, schedule};

/// A node that starts looks back over so many periods for a table that it can use.
const LOOKS_BACK: u64 = 10;

pub(crate) struct Rotator {
    server: Arc<Server<Row>>,
    clock: Arc<dyn Clock>,
    names: Names,
    remembered: Mutex<Remembered>,
}

/// The two tables that a node knows. After a restart it knows one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    pub(crate) current: Generation,
    pub(crate) previous: Option<Generation>,
}

impl Rotator {
    /// Takes the newest table of the last ten periods for the current one, or makes the first. What came before it is not
    /// known.
    pub(crate) async fn start(server: Arc<Server<Row>>, clock: Arc<dyn Clock>) -> Result<Self, &'static str> {
        let present = schedule().generation(clock.now());
        let names = names();
        let there = server.names();
        let past = (0..LOOKS_BACK).map(|back| Generation::new(present.number().saturating_sub(back)));
        let found = past.into_iter().find(|generation| there.contains(&names.name(*generation)));
        let current = found.unwrap_or(present);
        let remembered = Mutex::new(Remembered { current, previous: None });
        let rotator = Self { server, clock, names, remembered };
        rotator.ensure(current).await?;
        Ok(rotator)
    }

    pub(crate) fn remembered(&self) -> Remembered {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self, generation: Generation) -> String {
        self.names.name(generation)
    }

    /// The first page of the list is all of it.
    fn list(&self) -> Result<Vec<String>, &'static str> {
        self.server.called(Call::List).map_err(|_| "the list was refused")?;
        Ok(self.server.names().into_iter().take(PAGE).collect())
    }

    /// That another node was faster is an error that nobody expects.
    async fn create(&self, generation: Generation) -> Result<(), &'static str> {
        self.server.called(Call::Create).map_err(|_| "the table was refused")?;
        // Others may be as far.
        tokio::task::yield_now().await;
        if self.server.create(&self.name(generation)) { Ok(()) } else { Err("the table is there already") }
    }

    /// Creates a table unless it is in the list, and writes a row for trial, which stays.
    async fn ensure(&self, generation: Generation) -> Result<bool, &'static str> {
        let name = self.name(generation);
        let is_missing = !self.list()?.contains(&name);
        if is_missing {
            self.create(generation).await?;
        }
        let _ = (self.server.called(Call::Put), self.server.called(Call::Read));
        self.server.with(&name, &PROBE, |_| (Some(Row::without_data(Timestamp::MAX)), ()));
        Ok(is_missing)
    }

    /// What the container's background thread does, or a request that has met a table that is gone.
    pub(crate) async fn process(&self) -> Ticked {
        let mut ticked = Ticked::default();
        if let Err(why) = self.look(&mut ticked).await {
            ticked.failures.push(why.to_owned());
        }
        ticked
    }

    async fn look(&self, ticked: &mut Ticked) -> Result<(), &'static str> {
        let now = self.clock.now();
        let present = schedule().generation(now);
        // A minute at the time. What tables took then is no fault: it has as long as ours.
        let is_due = schedule().begins(present.next()).since(now) < schedule().rules().lead;
        if is_due && !self.list()?.contains(&self.name(present.next())) {
            self.create(present.next()).await?;
            ticked.created = true;
        }
        let Remembered { current, .. } = self.remembered();
        if present == current {
            return Ok(());
        }
        let listed = self.list()?;
        ticked.created |= self.ensure(present).await?;
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) =
            Remembered { current: present, previous: Some(current) };
        let kept = [current, present, present.next()].map(|generation| self.name(generation));
        // A table is the store's own if it begins like one and is as long: the names of others are safe.
        let is_own = |name: &String| name.starts_with(BASE) && name.len() == kept[0].len();
        for name in listed.iter().filter(|name| is_own(name) && !kept.contains(name)) {
            self.server.called(Call::Drop).map_err(|_| "a drop was refused")?;
            ticked.dropped += usize::from(self.server.drop_table(name));
        }
        Ok(())
    }
}
