//! What an operation comes to over the newest copy: its answer, or what has to be written first. What a write means is
//! `judge`'s to say, here as everywhere.

use std::sync::Arc;

use holdover_api::{
    InstallVerdict, LINEAGE_DEPTH, Lineage, Record, Stamp, Stored, Timestamp, Tombstone, Verdict, Write,
    judge, judge_install, judge_touch,
};

use super::chain::Chain;
use super::protocol::{Answer, Ask, Step, is_exact};

impl Chain {
    /// What the answer is, or what has to be written first, given the newest copy, which all reachable nodes hold.
    pub(super) fn plan(&mut self, now: Timestamp, newest: Option<Arc<Stored>>) -> Step {
        let stored = newest.as_deref();
        let new = match &self.ask {
            Ask::Load => {
                let live = newest.filter(|newest| newest.as_live(now).is_some());
                return Step::Done(Answer::Found(live, self.is_settled()));
            }
            Ask::Inspect => return Step::Done(Answer::Found(newest, self.is_settled())),
            Ask::Save(write) => match self.plan_save(now, newest.as_ref(), &Arc::clone(write)) {
                Ok(record) => record,
                Err(end) => return end,
            },
            Ask::Touch(deadline, stamp) => {
                let (deadline, stamp) = (*deadline, *stamp);
                match self.plan_touch(now, stored, deadline, stamp) {
                    Ok(record) => record,
                    Err(end) => return end,
                }
            }
            Ask::Delete(stamp) => match self.tombstone(now, stored, *stamp) {
                Some(tombstone) => tombstone,
                None => return self.done(Answer::Deleted),
            },
            Ask::Install(over, new) => match judge_install(now, stored, *over, new) {
                InstallVerdict::Apply => Stored::clone(new),
                InstallVerdict::Repeated => return self.done(Answer::Installed),
                InstallVerdict::Refused => return Step::Done(Answer::Refused(newest)),
            },
        };
        self.shortening = self.shortens(stored, &new);
        if self.shortening && !self.sight.is_whole() {
            // The copy that cannot be reached would outlive what is written now, and be taken for the session again.
            return Step::Done(Answer::Unavailable);
        }
        let new = Arc::new(new);
        self.writing = Some(Arc::clone(&new));
        self.next_write(&new)
    }

    /// The record that a save makes, or its end.
    fn plan_save(
        &mut self,
        now: Timestamp,
        newest: Option<&Arc<Stored>>,
        write: &Write,
    ) -> Result<Stored, Step> {
        let stored = newest.map(|newest| &**newest);
        let before = || stored.and_then(|stored| stored.lineage().before(write.stamp));
        match judge(now, stored, write) {
            // The copy that cannot be reached may stand for longer than was asked.
            Verdict::Repeated { .. } if is_exact(write) && !self.sight.is_whole() => {
                Err(Step::Done(Answer::Unavailable))
            }
            Verdict::Repeated { previous } if self.conduct.rules.recognises_own => {
                Err(self.done(Answer::Saved(previous)))
            }
            Verdict::Apply { .. } | Verdict::Conflict if self.is_beyond_memory(stored) => {
                Err(Step::Done(Answer::Unknown))
            }
            Verdict::Apply { record, .. } => {
                let lineage = self.past_the_head(record.lineage);
                Ok(Stored::Record(Record { lineage, ..record }))
            }
            Verdict::Conflict | Verdict::Repeated { .. } => {
                let live = newest.filter(|newest| newest.as_live(now).is_some()).cloned();
                Err(Step::Done(Answer::Conflict(live)))
            }
            // It took effect just now, somebody else read it, and somebody destroyed the session before the answer.
            Verdict::Gone if self.partly_written.is_some() && self.has_happened(stored, write.stamp) => {
                Err(self.done(Answer::Saved(before())))
            }
            Verdict::Gone => Err(Step::Done(Answer::Gone)),
        }
    }

    /// The record that a touch makes, or its end.
    ///
    /// It leaves no mark in a lineage by which it could recognise itself (S13). If others have written since it was
    /// installed on the first node, it may have been seen and moved back again, so that it is not made a second time.
    fn plan_touch(
        &mut self,
        now: Timestamp,
        stored: Option<&Stored>,
        deadline: Timestamp,
        stamp: Stamp,
    ) -> Result<Stored, Step> {
        let touched = judge_touch(now, stored, deadline);
        let (Some(deadline), Some(Stored::Record(record))) = (touched, stored) else {
            // As with a write: it may have been read from the head before the session was destroyed.
            return Err(Step::Done(Answer::Touched(self.partly_written.is_some())));
        };
        if deadline <= record.deadline || self.has_happened(stored, stamp) {
            return Err(Step::Done(Answer::Touched(true)));
        }
        if let Some(partly_written) = self.partly_written
            && record.lineage.writes() > partly_written
            && self.conduct.rules.touches_once
        {
            return Err(self.touched_before(&record.lineage));
        }
        self.extended = None;
        let lineage = self.touched(&record.lineage, stamp);
        Ok(Stored::Record(Record { lineage, deadline, ..record.clone() }))
    }

    /// The end of a touch that others have written over. Unless somebody went past the first node, all of them had read
    /// what the touch left there, and made the other node equal before: it was whole, and came first.
    fn touched_before(&self, lineage: &Lineage) -> Step {
        let nobody_leapt = self.extended.as_ref().is_some_and(|extended| lineage.reaches(extended));
        Step::Done(if nobody_leapt { Answer::Touched(true) } else { Answer::Unknown })
    }

    /// Whether so many other writes have come since this operation wrote to a node that nobody can tell whether it has
    /// happened.
    fn is_beyond_memory(&self, stored: Option<&Stored>) -> bool {
        let (Some(partly_written), Some(stored)) = (self.partly_written, stored) else {
            return false;
        };
        stored.lineage().writes() >= partly_written.saturating_add(LINEAGE_DEPTH as u64)
    }

    pub(super) fn has_happened(&self, stored: Option<&Stored>, stamp: Stamp) -> bool {
        self.conduct.rules.recognises_own && stored.is_some_and(|stored| stored.lineage().contains(stamp))
    }

    /// A touch leaves no mark in a lineage, except where only the tail can be reached. A writer that is between the head
    /// and the tail would otherwise write over it without knowing: it learns of other writes by the lineage.
    fn touched(&self, lineage: &Lineage, stamp: Stamp) -> Lineage {
        if self.reached_head() { lineage.clone() } else { self.past_the_head(lineage.pushed(stamp)) }
    }

    /// What is written while only the tail can be reached leaps: a touch that is between the head and the tail would
    /// otherwise take it for one that has read the head. The first write of a session goes past nothing.
    fn past_the_head(&self, lineage: Lineage) -> Lineage {
        let goes_past = !self.reached_head() && lineage.writes() > 1;
        if goes_past && self.conduct.rules.leaps { lineage.leapt() } else { lineage }
    }

    /// The tombstone to write; nothing if there is nothing to bury.
    fn tombstone(&self, now: Timestamp, stored: Option<&Stored>, stamp: Stamp) -> Option<Stored> {
        let (lineage, deadline) = match stored {
            Some(Stored::Tombstone(_)) => return None,
            Some(Stored::Record(record)) => (record.lineage.pushed(stamp), record.deadline),
            // The node that cannot be reached may hold it: a tombstone without a history buries whatever comes.
            None if !self.sight.is_whole() => (Lineage::new(stamp), now),
            None => return None,
        };
        let until = if self.conduct.rules.tombstones { deadline.max(self.conduct.bury_until) } else { now };
        Some(Stored::Tombstone(Tombstone { lineage, deadline: until }))
    }

    /// Whether a record's deadline moves back.
    fn shortens(&self, stored: Option<&Stored>, new: &Stored) -> bool {
        let may_shorten = match &self.ask {
            Ask::Save(write) => is_exact(write),
            Ask::Install(..) => true,
            _ => false,
        };
        may_shorten && stored.is_some_and(|stored| new.deadline() < stored.deadline())
    }
}
