//! What cases on rotation share: a world in the middle of a period, and nodes whose clocks follow the server's.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, Deadline, On, SaveAnswer, SessionKey, Timestamp, Write};

use crate::case::{Applies, Ending, Scope};
use crate::require;
use crate::rotation::{Call, Gates, NodeClock, Tend, Terms, Ticked, World};
use crate::suites::race::support::must_save;
use crate::trial::{Subject, Trial};

/// For cases on tables that follow each other.
pub(super) fn on_tables(scope: &Scope) -> Applies {
    match (scope.rotates, scope.worlds) {
        (false, _) => Applies::No("its sessions are not in tables that follow each other"),
        (true, false) => Applies::NotRun("the harness makes no worlds for cases on tables"),
        (true, true) => Applies::Yes,
    }
}

/// A world in the middle of a period.
pub(super) struct Stage {
    pub(super) world: Arc<dyn World>,
    pub(super) terms: Terms,
    trial: Trial,
}

/// An application node, and the keeper that it has.
pub(super) struct Seat {
    pub(super) node: Subject,
    pub(super) keeper: Arc<dyn Tend>,
    pub(super) clock: Arc<NodeClock>,
}

impl Stage {
    /// A world without tables in which a period is half over.
    pub(super) async fn set(trial: &Trial) -> Result<Self, Ending> {
        let Some(rotation) = trial.harness().rotation() else {
            return Err(Ending::Error("the harness no longer makes worlds for cases on tables".into()));
        };
        let terms = rotation.terms();
        let period = terms.period.as_millis().try_into().unwrap_or(u64::MAX);
        let begins = Timestamp::from_millis(trial.now().as_millis() / period * period);
        let world = rotation.world(begins + terms.period / 2).await.map_err(Ending::Error)?;
        Ok(Self { world, terms, trial: trial.clone() })
    }

    /// A node whose clock is so many milliseconds ahead of the server's, or behind.
    pub(super) async fn seat(&self, ahead: i64) -> Result<Seat, Ending> {
        let clock = Arc::new(NodeClock::new(self.world.clock(), ahead));
        let kept = self.world.node(Arc::clone(&clock) as Arc<dyn Clock>).await;
        let kept = kept.map_err(|error| Ending::Failed(format!("a node could not be opened: {error}")))?;
        let node = self.trial.subject(kept.store, Arc::clone(&clock) as Arc<dyn Clock>);
        Ok(Seat { node, keeper: kept.keeper, clock })
    }

    /// Two nodes whose clocks are as far apart as they may be, nearly: one is slow, one is fast.
    pub(super) async fn slow_and_fast(&self) -> Result<(Seat, Seat), Ending> {
        let skew = self.skew();
        Ok((self.seat(-skew).await?, self.seat(skew).await?))
    }

    /// Three quarters of what clocks may be off by, in milliseconds.
    pub(super) fn skew(&self) -> i64 {
        i64::try_from(self.terms.max_skew.as_millis()).unwrap_or(i64::MAX) / 4 * 3
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    /// The beginning of the present period, by the server's clock.
    pub(super) fn begins(&self) -> Timestamp {
        let period = self.terms.period.as_millis().try_into().unwrap_or(u64::MAX);
        Timestamp::from_millis(self.now().as_millis() / period * period)
    }

    /// The next boundary.
    pub(super) fn boundary(&self) -> Timestamp {
        self.begins() + self.terms.period
    }

    /// How often keepers come by.
    pub(super) fn step(&self) -> Duration {
        self.terms.lead / 5
    }

    /// Goes on until then; the keepers of these nodes come by meanwhile, and have no trouble.
    pub(super) async fn until(&self, moment: Timestamp, seats: &[&Seat]) -> Result<(), Ending> {
        while self.now() < moment {
            self.world.clock().set(moment.min(self.now() + self.step()));
            for ticked in tick(seats).await {
                let well = ticked.failures.is_empty() && ticked.held.is_none();
                require!(well, "a keeper was in trouble where there is none: {ticked:?}");
            }
        }
        Ok(())
    }

    /// The same, whatever the keepers report.
    pub(super) async fn until_whatever(&self, moment: Timestamp, seats: &[&Seat]) -> Vec<Ticked> {
        let mut all = Vec::new();
        while self.now() < moment {
            self.world.clock().set(moment.min(self.now() + self.step()));
            all.extend(tick(seats).await);
        }
        all
    }

    /// To a moment before the boundary at which every node is still in the old period.
    pub(super) async fn until_the_eve(&self, seats: &[&Seat]) -> Result<(), Ending> {
        self.until(self.boundary() - self.terms.max_skew * 2, seats).await
    }

    /// From there to well after the boundary, where every node is in the new one.
    pub(super) async fn over_the_boundary(&self, seats: &[&Seat]) -> Result<(), Ending> {
        self.until(self.boundary() + self.terms.max_skew * 2, seats).await
    }

    /// From the boundary itself to where every node is in the new period.
    pub(super) async fn begin_the_period(&self, seats: &[&Seat]) -> Result<(), Ending> {
        self.until(self.begins() + self.terms.max_skew * 2, seats).await
    }

    /// What requests are stopped by.
    pub(super) fn gates(&self) -> Result<Arc<Gates>, Ending> {
        self.world
            .gates()
            .ok_or_else(|| Ending::Vacuous("this world cannot stop a request on its way".into()))
    }

    /// Whether there is a table of this name.
    pub(super) async fn is_there(&self, name: &str) -> Result<bool, Ending> {
        let tables = self.world.tables().await.map_err(Ending::Error)?;
        Ok(tables.iter().any(|table| table == name))
    }

    /// How many requests have written, or tried to.
    pub(super) fn writes(&self) -> usize {
        self.world.asked(Call::Put) + self.world.asked(Call::Change)
    }
}

/// Before a boundary, where every node is still in the old period, with a session in the old table.
pub(super) struct Eve {
    pub(super) stage: Stage,
    /// The node that has created it; the slow one, if their clocks are apart.
    pub(super) creator: Seat,
    pub(super) other: Seat,
    pub(super) key: SessionKey,
}

impl Eve {
    /// With two nodes that know the time.
    pub(super) async fn of_the_boundary(trial: &Trial) -> Result<Self, Ending> {
        let stage = Stage::set(trial).await?;
        let seats = (stage.seat(0).await?, stage.seat(0).await?);
        Self::reached(stage, seats).await
    }

    /// With a slow and a fast one.
    pub(super) async fn with_clocks_apart(trial: &Trial) -> Result<Self, Ending> {
        let stage = Stage::set(trial).await?;
        let seats = stage.slow_and_fast().await?;
        Self::reached(stage, seats).await
    }

    async fn reached(stage: Stage, (creator, other): (Seat, Seat)) -> Result<Self, Ending> {
        stage.until_the_eve(&[&creator, &other]).await?;
        let key = creator.create(&stage).await?;
        Ok(Self { stage, creator, other, key })
    }
}

/// One tick of each.
pub(super) async fn tick(seats: &[&Seat]) -> Vec<Ticked> {
    let mut all = Vec::new();
    for seat in seats {
        all.push(seat.keeper.tick().await);
    }
    all
}

impl Seat {
    /// A write that keeps the session for as long as tables allow.
    pub(super) fn write(&self, stage: &Stage, on: On, value: &[u8]) -> Write {
        let deadline = Deadline::AtLeast(self.node.now() + stage.terms.max_lease);
        Write { deadline, ..self.node.write(on, &[("n", value)]) }
    }

    /// A session with two attributes.
    pub(super) async fn create(&self, stage: &Stage) -> Result<SessionKey, Ending> {
        let key = self.node.trial().key();
        let mut write = self.write(stage, On::Absent { created: self.node.now() }, b"0");
        write.delta.set("user", &b"ada"[..]);
        must_save(&self.node, &key, &write).await?;
        Ok(key)
    }

    /// A merge, which has to succeed.
    pub(super) async fn save(&self, stage: &Stage, key: &SessionKey, value: &[u8]) -> Result<(), Ending> {
        must_save(&self.node, key, &self.write(stage, On::Live, value)).await
    }

    /// A touch to the longest lease, which has to find the session.
    pub(super) async fn touch(&self, stage: &Stage, key: &SessionKey) -> Result<(), Ending> {
        let touched = self.node.touch(key, self.node.now() + stage.terms.max_lease).await?;
        require!(touched, "a touch of a live session found none");
        Ok(())
    }
}

/// Every node reads exactly that.
pub(super) async fn all_read(seats: &[&Seat], key: &SessionKey, value: &[u8]) -> Result<(), Ending> {
    for seat in seats {
        let record = seat.node.load_live(key).await?.record;
        let read = record.attributes.get("n").map(AsRef::as_ref);
        require!(
            read == Some(value),
            "a node reads {:?} where {:?} was acknowledged",
            read.map(String::from_utf8_lossy),
            String::from_utf8_lossy(value)
        );
        require!(record.attributes.get("user").is_some_and(|user| user == "ada"), "an attribute is lost");
    }
    Ok(())
}

/// No node reads it, and none can write to it (I1).
pub(super) async fn dead_on(stage: &Stage, seats: &[&Seat], key: &SessionKey) -> Result<(), Ending> {
    for seat in seats {
        require!(seat.node.load(key).await?.is_none(), "a session that was logged out is alive (I1)");
        let touched = seat.node.touch(key, seat.node.now() + stage.terms.max_lease).await?;
        require!(!touched, "a touch found a session that was logged out (I1)");
        let answer = seat.node.save(key, &seat.write(stage, On::Live, b"zombie")).await?;
        require!(matches!(answer, SaveAnswer::Gone), "a write after a logout answered {answer:?} (I1)");
    }
    Ok(())
}
