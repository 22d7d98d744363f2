//! How often, and for how long, an operation is tried.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Effect, Error, Operation, pause, within};

use super::error::Failure;
use super::place::{Place, Reached};

/// Attempts follow each other after such a pause, then after twice that, and so on up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);

const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// The bounds of one operation.
///
/// What an election interrupts is tried again here, beyond the one time that the driver does by itself: every operation
/// is idempotent, since the stamp of a write tells whether it has happened (I3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort<'a> {
    pub(super) place: &'a Place,
    pub(super) operation: Operation,
    /// For all attempts together.
    pub(super) patience: Duration,
}

impl Effort<'_> {
    /// Tries until there is an answer. An attempt without one has changed nothing: somebody else was faster.
    pub(super) async fn make<T, F>(self, attempt: impl Fn(Arc<Reached>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Option<T>, Failure>>,
    {
        let reached = self.place.current();
        let answers_before = reached.answers();
        let mut may_have_happened = false;
        let mut last = None;
        let tries = async {
            let mut rest = FIRST_PAUSE;
            loop {
                let outcome = attempt(Arc::clone(&reached)).await;
                match outcome {
                    Ok(answer) => {
                        reached.note_answer();
                        if let Some(answer) = answer {
                            return Ok(answer);
                        }
                    }
                    Err(failure) => {
                        if failure.is_answer() {
                            reached.note_answer();
                        }
                        may_have_happened |= failure.effect() == Effect::Unknown;
                        if !failure.is_passing() {
                            return Err(failure);
                        }
                        last = Some(failure);
                    }
                }
                pause(rest).await;
                rest = (rest * 2).min(LONGEST_PAUSE);
            }
        };
        let outcome = within(self.patience, tries).await;
        let failure = match outcome {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(failure)) => failure,
            None => {
                // The attempt that was given up may yet succeed.
                may_have_happened = true;
                self.place.give_up(&reached, answers_before);
                last.unwrap_or(Failure::Late)
            }
        };
        let error = failure.into_error(self.operation);
        Err(match may_have_happened && self.changes_something() {
            true => error.with_unknown_effect(),
            false => error.without_effect(),
        })
    }

    const fn changes_something(self) -> bool {
        !matches!(self.operation, Operation::Load | Operation::Inspect | Operation::Connect)
    }
}
