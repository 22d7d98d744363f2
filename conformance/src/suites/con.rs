//! CON: the contract, one client at a time and no faults. The promises S1 to S17 are those of
//! [`SessionStore`](holdover_api::SessionStore); each case says which it puts to the test.

use holdover_api::{SaveAnswer, Stamp};

use crate::case::{Applies, Case, Ending, Scope};

/// A case whose title is the name of the function that asks the question.
macro_rules! case {
    ($id:literal, $name:ident, $applies:expr, $explain:literal) => {
        $crate::case::Case {
            id: $id,
            title: stringify!($name),
            explain: $explain,
            applies: $applies,
            run: |trial| Box::pin($name(trial)),
        }
    };
}

mod cancel;
mod deadlines;
mod handle;
mod heads;
mod install;
mod life;
mod limits;
mod model;
mod places;
mod repeats;
mod shapes;
mod stored;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    [
        life::cases(),
        heads::cases(),
        shapes::cases(),
        limits::cases(),
        deadlines::cases(),
        repeats::cases(),
        install::cases(),
        stored::cases(),
        handle::cases(),
        places::cases(),
        cancel::cases(),
        model::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn always(_: &Scope) -> Applies {
    Applies::Yes
}

fn below_the_store(scope: &Scope) -> Applies {
    if scope.raw {
        return Applies::Yes;
    }
    if scope.capabilities.shared {
        return Applies::NotRun("the harness does not reach below this store: give it a `raw`");
    }
    Applies::No("sessions live in this process, and nobody else can put bytes there")
}

/// The write has to have taken effect; answers the head that it replaced.
fn saved(answer: &SaveAnswer, what: &str) -> Result<Option<Stamp>, Ending> {
    match answer {
        SaveAnswer::Saved { previous } => Ok(*previous),
        other => Err(Ending::Failed(format!("{what} has to be saved, and it answered {other:?}"))),
    }
}

/// Nothing live may have been there.
fn gone(answer: &SaveAnswer, what: &str) -> Result<(), Ending> {
    match answer {
        SaveAnswer::Gone => Ok(()),
        other => {
            Err(Ending::Failed(format!("{what} has to find the session gone, and it answered {other:?}")))
        }
    }
}

/// Something else has to have been there.
fn conflict(answer: &SaveAnswer, what: &str) -> Result<(), Ending> {
    match answer {
        SaveAnswer::Conflict { .. } => Ok(()),
        other => Err(Ending::Failed(format!("{what} has to conflict, and it answered {other:?}"))),
    }
}
