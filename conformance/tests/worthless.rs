//! Stores that keep nothing, panic, hang or fail are never taken for conformant.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Memory, Operation, SaveAnswer,
    SessionKey, SessionStore, Standing, Stored, Timestamp, Write,
};
use holdover_conformance::{
    CASE_LIMIT, Case, Ending, Harness, Node, Outcome, Report, Status, Verdict, fresh_seed, run_case_in,
    scope_of, suites,
};
use tokio::task::JoinSet;

/// What a worthless store does when it is asked anything.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Says that all is well and nothing is there.
    Nods,
    Panics,
    Hangs,
    /// Fails each time.
    Errs,
}

impl Habit {
    async fn answer<T>(self, operation: Operation, nod: T) -> Result<T, Error> {
        match self {
            Self::Nods => Ok(nod),
            Self::Panics => panic!("the store lost its head"),
            Self::Hangs => pending().await,
            Self::Errs => {
                Err(Error::new(ErrorKind::Unexpected, operation, "worthless", "it is not a good day"))
            }
        }
    }
}

impl fmt::Display for Habit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worthless({self:?})")
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Habit {
    fn capabilities(&self) -> Capabilities {
        Memory::new().capabilities()
    }

    async fn load(&self, _: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        self.answer(Operation::Load, None).await
    }

    async fn save(&self, _: &SessionKey, _: &Write) -> Result<SaveAnswer, Error> {
        self.answer(Operation::Save, SaveAnswer::Saved { previous: None }).await
    }

    async fn touch(&self, _: &SessionKey, _: Timestamp) -> Result<bool, Error> {
        self.answer(Operation::Touch, true).await
    }

    async fn delete(&self, _: &SessionKey) -> Result<(), Error> {
        self.answer(Operation::Delete, ()).await
    }

    async fn inspect(&self, _: &SessionKey) -> Result<Option<Stored>, Error> {
        self.answer(Operation::Inspect, None).await
    }

    async fn install(&self, _: &SessionKey, _: Option<Standing>, _: &Stored) -> Result<InstallAnswer, Error> {
        self.answer(Operation::Install, InstallAnswer::Installed).await
    }
}

#[async_trait]
impl Harness for Habit {
    fn name(&self) -> String {
        self.to_string()
    }

    async fn open(&self, _: Node) -> Result<Arc<dyn SessionStore>, Error> {
        Ok(Arc::new(*self))
    }
}

async fn examined(habit: Habit, limit: Duration) -> Report {
    let harness: Arc<dyn Harness> = Arc::new(habit);
    let scope = scope_of(&harness).await.expect("it can be opened");
    let seed = fresh_seed().expect("a seed is drawn");
    let mut running = JoinSet::new();
    for case in suites::all() {
        let harness = Arc::clone(&harness);
        running.spawn(async move {
            let verdict = run_case_in(&harness, &scope, &case, seed, limit).await;
            Outcome { case, verdict, took: Duration::ZERO }
        });
    }
    Report { outcomes: running.join_all().await }
}

fn passed(report: &Report) -> Vec<&'static str> {
    let passed = |outcome: &&Outcome| outcome.verdict == Verdict::Pass;
    report.outcomes.iter().filter(passed).map(|outcome| outcome.case.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_nods_is_not_conformant() {
    let report = examined(Habit::Nods, CASE_LIMIT).await;
    assert_eq!(report.status(), Status::NonConformant);
    let passed = passed(&report);
    assert!(passed.is_empty(), "a store that keeps nothing passed {passed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_panics_is_not_conformant() {
    let report = examined(Habit::Panics, CASE_LIMIT).await;
    assert_eq!(report.status(), Status::NonConformant);
    assert!(passed(&report).is_empty());
    let told =
        |outcome: &Outcome| outcome.verdict.reason().is_some_and(|reason| reason.contains("lost its head"));
    assert!(report.outcomes.iter().any(told), "nobody tells what the panic said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_not_conformant() {
    let report = examined(Habit::Hangs, Duration::from_millis(300)).await;
    assert_eq!(report.status(), Status::NonConformant);
    assert!(passed(&report).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_not_conformant() {
    let report = examined(Habit::Errs, CASE_LIMIT).await;
    assert_eq!(report.status(), Status::NonConformant);
    assert!(passed(&report).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_is_an_error_of_the_bench() {
    struct Closed;

    #[async_trait]
    impl Harness for Closed {
        fn name(&self) -> String {
            "closed".to_owned()
        }

        async fn open(&self, _: Node) -> Result<Arc<dyn SessionStore>, Error> {
            Err(Error::new(ErrorKind::Unavailable, Operation::Connect, "closed", "nobody is at home"))
        }
    }

    let harness: Arc<dyn Harness> = Arc::new(Closed);
    assert!(matches!(scope_of(&harness).await, Err(Ending::Error(_))));
    let case: Case = suites::all()[0];
    let verdict = holdover_conformance::run_case(&harness, &case, 1).await;
    assert!(matches!(verdict, Verdict::Ended(Ending::Error(_))), "{verdict:?}");
}
