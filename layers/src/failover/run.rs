//! One operation on two nodes, step by step.

use std::borrow::Cow;
use std::time::Duration;

use holdover_api::{
    Age, Effect, Error, ErrorKind, Operation, SessionKey, Standing, Stopwatch, Stored, Timestamp, frame,
    pause, within,
};

use super::chain::Chain;
use super::pair::Pair;
use super::protocol::{Answer, Outcome, Place, Seen, Sight, Step};
use super::shared::Turn;
use crate::node::Miss;

/// After so many refusals other writers are given room.
const POLITE_AFTER: u32 = 1;

/// How long a write that is under way is waited for at first; doubled each time.
const FIRST_WAIT: Duration = Duration::from_micros(250);

/// The last and longest such wait: 32 ms in all, once a session, if its writer is gone. Not for some time after a node has
/// come back: then the tail has rather missed a write.
const LAST_WAIT: Duration = Duration::from_millis(16);

/// The longest that a writer steps aside.
const MOST_POLITE: Duration = Duration::from_millis(8);

/// One operation under way.
pub(super) struct Run<'a> {
    pair: &'a Pair,
    operation: Operation,
    key: &'a SessionKey,
    wrote: bool,
    refusals: u32,
    started: Stopwatch,
}

impl<'a> Run<'a> {
    pub(super) fn new(pair: &'a Pair, operation: Operation, key: &'a SessionKey) -> Self {
        Self { pair, operation, key, wrote: false, refusals: 0, started: Stopwatch::start() }
    }

    /// Writers of one application node on one session go one after the other: side by side they would only refuse each
    /// other, and a lineage remembers no more than eight writes. Readers need no turn.
    pub(super) async fn turn(&self) -> Result<Option<Turn>, Error> {
        if matches!(self.operation, Operation::Load | Operation::Inspect) {
            return Ok(None);
        }
        let turn = within(self.pair.settings().limit, self.pair.shared().turn(self.key)).await;
        let late = || {
            self.error(ErrorKind::Unavailable, "other writes to the session did not end in time; try again")
        };
        turn.map(Some).ok_or_else(late)
    }

    /// Whether a node may have been changed in the operation's own name.
    pub(super) const fn wrote(&self) -> bool {
        self.wrote
    }

    /// Goes from step to step to the end.
    pub(super) async fn go(&mut self, chain: &mut Chain, first: Step) -> Result<Answer, Error> {
        let mut step = first;
        loop {
            step = match step {
                Step::Read => {
                    self.step_aside().await?;
                    let sight = self.read_settled().await?;
                    chain.seen(self.pair.now(), sight)
                }
                Step::Install { place, over, new, repair } => {
                    let outcome = self.install(place, over, &new, repair).await?;
                    chain.installed(self.pair.now(), place, outcome)
                }
                Step::AskAge(place) => {
                    let complete = self.is_complete(place).await?;
                    chain.aged(self.pair.now(), complete)
                }
                Step::Done(Answer::Unavailable) => {
                    let message = "no node that could know of the session can be reached; try again later";
                    return Err(self.error(ErrorKind::Unavailable, message));
                }
                Step::Done(Answer::Unknown) => {
                    let message = "other writes came while it was on its way, so that its outcome is not known; load again";
                    return Err(self.error(ErrorKind::Unavailable, message));
                }
                Step::Done(answer) => return Ok(answer),
            };
        }
    }

    /// Gives other writers room after a refusal, and ends what takes too long.
    async fn step_aside(&mut self) -> Result<(), Error> {
        if self.started.elapsed() >= self.pair.settings().limit {
            let message = "no end was reached in time: other writers or faults came between; try again";
            return Err(self.error(ErrorKind::Unavailable, message));
        }
        if self.refusals > POLITE_AFTER {
            let most = MOST_POLITE.min(Duration::from_micros(250) * self.refusals);
            pause(most.mul_f64(fastrand::f64())).await;
        }
        Ok(())
    }

    /// Reads both nodes. A write that is between the head and the tail gets a moment to come to its end: a reader that
    /// completes it at once makes its writer look again, and lets others overtake it.
    async fn read_settled(&self) -> Result<Sight, Error> {
        let mut sight = self.read().await?;
        let mut wait = FIRST_WAIT;
        while self.pair.waits_for_writers() && wait <= LAST_WAIT && is_under_way(&sight) {
            pause(wait).await;
            sight = self.read().await?;
            wait *= 2;
        }
        Ok(sight)
    }

    async fn read(&self) -> Result<Sight, Error> {
        let show = |place| self.pair.show(place, self.operation, self.key);
        let (head, tail) = tokio::join!(show(Place::Head), show(Place::Tail));
        // The time is asked after the answers: what expired on the way shows nothing (I4).
        let now = self.pair.now();
        let head = standing(head.map_err(|miss| self.failed(miss))?, now);
        let tail = standing(tail.map_err(|miss| self.failed(miss))?, now);
        if head == Seen::Nothing && tail == Seen::Nothing {
            self.notice_loss().await;
        }
        Ok(Sight { head, tail })
    }

    /// Neither node has it. If both have been restarted less than a lease ago it may have been there.
    async fn notice_loss(&self) {
        if self.operation == Operation::Inspect {
            return;
        }
        let births = tokio::join!(
            self.pair.node(Place::Head).recent_birth(),
            self.pair.node(Place::Tail).recent_birth()
        );
        if let (Ok(head), Ok(tail)) = births
            && !self.pair.is_complete(head)
            && !self.pair.is_complete(tail)
        {
            self.pair.counts().lost(self.pair.name());
        }
    }

    async fn install(
        &mut self,
        place: Place,
        over: Option<Standing>,
        new: &Stored,
        repair: bool,
    ) -> Result<Outcome, Error> {
        if !repair {
            self.fits(new)?;
            self.wrote = true;
        }
        let outcome = self.pair.install(place, self.key, over, new).await;
        let outcome = outcome.map_err(|miss| self.failed(miss))?;
        if repair && outcome == Outcome::Installed {
            self.pair.counts().repaired(self.pair.name());
        }
        if matches!(outcome, Outcome::Refused(_)) {
            self.refusals += 1;
        }
        Ok(outcome)
    }

    fn fits(&self, new: &Stored) -> Result<(), Error> {
        let limit = self.pair.max_bytes();
        if let Stored::Record(record) = new
            && frame::size(record) > limit
            && !self.wrote
        {
            let message = format!("the session would be larger than the limit of {limit} bytes");
            return Err(self.error(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    async fn is_complete(&self, place: Place) -> Result<bool, Error> {
        match self.pair.node(place).birth().await {
            Ok(birth) => Ok(self.pair.is_complete(birth)),
            Err(Miss::Unreachable) => Ok(false),
            Err(failed) => Err(self.failed(failed)),
        }
    }

    fn failed(&self, miss: Miss) -> Error {
        match miss {
            Miss::Unreachable => self.error(ErrorKind::Unavailable, "a node cannot be reached"),
            Miss::Failed(error) => {
                let mut failed = self.error(error.kind(), error.message().to_owned());
                if let Some(delay) = error.suggested_delay() {
                    failed = failed.retry_after(delay);
                }
                // Nothing may have been written in this operation's name; the node may know of an effect all the same.
                if error.effect() == Effect::Unknown {
                    failed = failed.with_unknown_effect();
                }
                failed.caused_by(error)
            }
        }
    }

    /// An error of this operation: without effect if no node was written to in its name.
    fn error(&self, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
        let error = Error::new(kind, self.operation, self.pair.name().to_owned(), message);
        if self.wrote { error } else { error.without_effect() }
    }
}

/// Whether the head is one write ahead of the tail: somebody is writing, or the tail has missed something.
fn is_under_way(sight: &Sight) -> bool {
    match (&sight.head, &sight.tail) {
        (Seen::Copy(head), Seen::Copy(tail)) => {
            let (head, tail) = (head.lineage(), tail.lineage());
            head.writes() == tail.writes().saturating_add(1) && head.age(tail) == Age::Newer
        }
        (Seen::Copy(head), Seen::Nothing) => head.lineage().writes() == 1,
        _ => false,
    }
}

/// What has reached its deadline shows nothing.
fn standing(seen: Seen, now: Timestamp) -> Seen {
    match seen {
        Seen::Copy(copy) if copy.is_over(now) => Seen::Nothing,
        seen => seen,
    }
}
