//! Flaws in what a server makes of a request that it has seen before, or that comes too late.

use holdover_api::{On, Stamp, Stored, Timestamp, Verdict, Write, judge, judge_touch};

use crate::mutants::Flaw;

/// A compare-and-set that is tried again meets its own result and calls it a conflict.
pub(super) struct RetriedHeadConflicts;

impl Flaw for RetriedHeadConflicts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), write.on) {
            (Verdict::Repeated { .. }, On::Head(_)) => Verdict::Conflict,
            (verdict, _) => verdict,
        }
    }
}

/// A merge that is tried again is made again.
pub(super) struct RetriedMergeAppliesAgain;

impl Flaw for RetriedMergeAppliesAgain {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), write.on) {
            (Verdict::Repeated { .. }, On::Live) => {
                let mut stamp = *write.stamp.as_bytes();
                stamp[0] ^= 0xFF;
                judge(now, stored, &Write { stamp: Stamp::from_bytes(stamp), ..write.clone() })
            }
            (verdict, _) => verdict,
        }
    }
}

/// A create that is tried again meets its own session and calls it a stranger's.
pub(super) struct RetriedCreateConflicts;

impl Flaw for RetriedCreateConflicts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), write.on) {
            (Verdict::Repeated { .. }, On::Absent { .. }) => Verdict::Conflict,
            (verdict, _) => verdict,
        }
    }
}

/// A touch adds what it asks for to what is there.
pub(super) struct TouchAdds;

impl Flaw for TouchAdds {
    fn judge_touch(&self, now: Timestamp, stored: Option<&Stored>, deadline: Timestamp) -> Option<Timestamp> {
        let extended = judge_touch(now, stored, deadline)?;
        let before = stored?.deadline();
        Some(if extended == before { extended + deadline.since(now) } else { extended })
    }
}
