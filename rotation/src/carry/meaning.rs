//! What an operation comes to over the session that was found, or where nothing was. What a write means is `judge`'s to
//! say, here as everywhere.

use std::sync::Arc;

use holdover_api::{
    InstallVerdict, LINEAGE_DEPTH, Lineage, On, Stamp, Standing, Stored, Timestamp, Tombstone, Verdict,
    judge, judge_install, judge_touch,
};

use super::steps::Carry;
use super::words::{Change, Outcome, Request, Sighting, Stamped, Step};
use crate::Generation;

impl Carry {
    /// What the operation comes to over the unsealed copy in `table`.
    pub(super) fn over(&mut self, table: Generation, stored: Arc<Stored>) -> Step {
        let is_live = stored.as_live(self.now()).is_some();
        // Of an earlier operation with the same stamp, a tombstone says more than its seal.
        if self.committed.is_some() && (self.wrote || is_live) {
            return self.finished();
        }
        match self.request.clone() {
            Request::Load { .. } => {
                let found = is_live.then_some(Sighting { table, stored });
                Step::Done(Outcome::Found(found))
            }
            Request::Inspect => Step::Done(Outcome::Found(Some(Sighting { table, stored }))),
            Request::Save(write) => self.save_over(table, stored, write),
            Request::Touch(deadline) => self.touch_over(table, &stored, deadline),
            Request::Delete { stamp, .. } => match *stored {
                Stored::Record(_) => self.change(table, Change::Bury(stamp)),
                Stored::Tombstone(_) => Step::Done(Outcome::Deleted),
            },
            Request::Install { over, new } => self.install_over(table, stored, over, new),
        }
    }

    fn save_over(&mut self, table: Generation, stored: Arc<Stored>, write: Stamped) -> Step {
        match judge(self.now(), Some(&stored), &write) {
            Verdict::Repeated { previous } => Step::Done(Outcome::Saved(previous)),
            Verdict::Apply { .. } | Verdict::Conflict if self.is_beyond_memory(&stored) => {
                Step::Done(Outcome::Unknown)
            }
            Verdict::Apply { previous: Some(_), .. } => {
                self.writes_before = Some(stored.lineage().writes());
                self.change(table, Change::Write(write))
            }
            // What is there has passed its deadline: it is nothing, but it is in the way.
            Verdict::Apply { record, previous: None } => {
                let new = Arc::new(Stored::Record(record));
                self.replace(table, stored.standing(), new)
            }
            Verdict::Conflict => Step::Done(Outcome::Conflict(Sighting { table, stored })),
            // It has happened, somebody has read it, and somebody has destroyed the session before the answer.
            Verdict::Gone if self.wrote && stored.lineage().contains(write.stamp) => {
                Step::Done(Outcome::Saved(stored.lineage().before(write.stamp)))
            }
            Verdict::Gone => Step::Done(Outcome::Gone),
        }
    }

    fn touch_over(&mut self, table: Generation, stored: &Stored, deadline: Timestamp) -> Step {
        match judge_touch(self.now(), Some(stored), deadline) {
            Some(later) if later > stored.deadline() => self.change(table, Change::Touch(deadline)),
            Some(_) => Step::Done(Outcome::Touched(true)),
            // A burial keeps the deadline: this may be the very one that was asked for.
            None if self.wrote && stored.deadline() >= deadline => Step::Done(Outcome::Unknown),
            None => Step::Done(Outcome::Touched(false)),
        }
    }

    fn install_over(
        &mut self,
        table: Generation,
        stored: Arc<Stored>,
        over: Option<Standing>,
        new: Arc<Stored>,
    ) -> Step {
        match judge_install(self.now(), Some(&stored), over, &new) {
            InstallVerdict::Apply => {
                self.writes_before = Some(stored.lineage().writes());
                self.replace(table, stored.standing(), new)
            }
            InstallVerdict::Repeated => Step::Done(Outcome::Installed),
            // It has happened, and others have built on it.
            InstallVerdict::Refused if self.wrote && stored.lineage().contains(new.head()) => {
                Step::Done(Outcome::Installed)
            }
            InstallVerdict::Refused if self.is_beyond_memory(&stored) => Step::Done(Outcome::Unknown),
            InstallVerdict::Refused => {
                let stands = !stored.is_over(self.now());
                Step::Done(Outcome::Refused(stands.then_some(Sighting { table, stored })))
            }
        }
    }

    /// What the operation comes to where no table holds anything.
    pub(super) fn absent(&mut self) -> Step {
        if self.committed.is_some() {
            return Step::Done(Outcome::Unknown);
        }
        match self.request.clone() {
            Request::Load { .. } | Request::Inspect => Step::Done(Outcome::Found(None)),
            Request::Save(write) => match judge(self.now(), None, &write) {
                Verdict::Apply { record, .. } => {
                    self.plant(self.bearings.write, Arc::new(Stored::Record(record)))
                }
                _ if self.wrote => Step::Done(Outcome::Unknown),
                _ => Step::Done(Outcome::Gone),
            },
            Request::Touch(_) if self.wrote => Step::Done(Outcome::Unknown),
            Request::Touch(_) => Step::Done(Outcome::Touched(false)),
            Request::Delete { bury_absent: None, .. } => Step::Done(Outcome::Deleted),
            Request::Delete { stamp, bury_absent: Some(until) } => {
                // Above every table that a sleeping helper could aim at.
                let newest = self.bearings.read.iter().copied().max().unwrap_or(self.bearings.write);
                self.plant(newest, Arc::new(Self::history_less(stamp, until)))
            }
            Request::Install { over: None, new } => self.plant(self.bearings.write, new),
            Request::Install { .. } if self.wrote => Step::Done(Outcome::Unknown),
            Request::Install { .. } => Step::Done(Outcome::Refused(None)),
        }
    }

    /// The end of a change or a put of its own.
    pub(super) fn ended(&mut self, previous: Option<Stamp>) -> Step {
        self.committed = Some(previous);
        self.finished()
    }

    pub(super) fn finished(&mut self) -> Step {
        let previous = self.committed.flatten();
        Step::Done(match &self.request {
            Request::Save(_) => Outcome::Saved(previous),
            Request::Touch(_) => Outcome::Touched(true),
            Request::Delete { .. } => Outcome::Deleted,
            Request::Install { .. } => Outcome::Installed,
            Request::Load { .. } | Request::Inspect => Outcome::Mismatch,
        })
    }

    /// Notices that what was sealed is the operation's own doing.
    ///
    /// Not of what was put where nothing is: its seal is a note, and what counts is who came first in the table that it
    /// names.
    pub(super) fn recognise(&mut self, sealed: &Stored) {
        let lineage = sealed.lineage();
        match &self.request {
            Request::Save(write) if matches!(write.on, On::Absent { .. }) => {}
            Request::Save(write) if lineage.contains(write.stamp) => {
                self.committed = Some(lineage.before(write.stamp));
            }
            Request::Install { over: Some(_), new } if self.wrote && lineage.contains(new.head()) => {
                self.committed = Some(None);
            }
            _ => {}
        }
    }

    /// Whether so many other writes have come since this operation may have written that nobody can tell whether it has.
    fn is_beyond_memory(&self, stored: &Stored) -> bool {
        let writes = stored.lineage().writes();
        let reach = LINEAGE_DEPTH as u64;
        self.wrote && self.writes_before.is_some_and(|before| writes >= before.saturating_add(reach))
    }

    /// A tombstone of what nobody knows.
    pub(super) fn history_less(stamp: Stamp, deadline: Timestamp) -> Stored {
        Stored::Tombstone(Tombstone { lineage: Lineage::new(stamp), deadline })
    }
}
