//! Keeps the tables: sees what exists, and does what the plan says.

mod control;
mod look;
mod report;

use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use holdover_api::{Clock, ErrorKind, within};

pub use control::{ControlError, ControlPlane, Created, Description, Dropped, Page, ServerTime};
pub use report::{Attempt, Failure, Report};

use crate::names::Names;
use crate::plan::{Offset, plan};
use crate::schedule::{Schedule, TableState, Tables};
use look::{Look, Looked};

/// The longest that a call to the store is waited for, whatever its own time-outs.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The first pause after a tick that failed; each later one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A store that asks for more time gets so much at the most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// While a table is on its way, or going, it is looked at so often.
const SOON: Duration = Duration::from_secs(1);

/// Keeps the tables of one base: creates them ahead of their time and drops them when nobody can miss them.
///
/// Every node has one and all of them do the same, so that it does not matter which are up: what another node has done is
/// seen, or met as an answer. It holds no lock and leads nobody. It starts no task: somebody calls [`Keeper::tick`], or
/// spawns [`Keeper::run`].
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::SystemClock;
/// use holdover_rotation::{ControlPlane, Keeper, Names, Schedule};
///
/// # #[allow(dead_code)]
/// async fn keep(schedule: Schedule, names: Names, control: Arc<dyn ControlPlane>) {
///     let keeper = Arc::new(Keeper::new(schedule, names, control, Arc::new(SystemClock)));
///     let stopped = std::future::pending();
///     keeper
///         .run(stopped, |report| {
///             for failure in &report.failures {
///                 eprintln!("{}: {}", failure.attempt.name(), failure.error);
///             }
///         })
///         .await;
/// }
/// ```
#[derive(Debug)]
pub struct Keeper {
    schedule: Schedule,
    names: Names,
    control: Arc<dyn ControlPlane>,
    clock: Arc<dyn Clock>,
    /// How far into the lead this node creates.
    jitter: Duration,
    known: RwLock<Arc<Tables>>,
    look: Look,
}

impl Keeper {
    /// A keeper that has not looked yet.
    pub fn new(
        schedule: Schedule,
        names: Names,
        control: Arc<dyn ControlPlane>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let jitter = (schedule.rules().lead / 4).mul_f64(fastrand::f64());
        let known = RwLock::new(Arc::new(Tables::unknown()));
        Self { schedule, names, control, clock, jitter, known, look: Look::default() }
    }

    /// The schedule.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The names.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// The tables as they were seen last. It asks nobody.
    pub fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the tables, or waits for somebody else's look that began after this call did.
    ///
    /// # Errors
    ///
    /// That of the list, if the tables cannot be looked at by their names either.
    pub async fn refresh(&self) -> Result<Arc<Tables>, ControlError> {
        match self.look_again().await {
            Ok(_) => Ok(self.tables()),
            Err(failures) => Err(failures.into_iter().next().map_or_else(no_answer, |failure| failure.error)),
        }
    }

    /// Looks at the tables, and does what the plan says. Whatever fails is reported, and tried again by the next tick.
    pub async fn tick(&self) -> Report {
        let mut report = Report::default();
        let offset = self.measure(&mut report).await;
        report.offset = offset;
        match self.look_again().await {
            Ok(looked) => {
                report.tables = Some(looked.tables);
                report.of_other_periods = looked.of_other_periods;
                report.by_name = looked.refused.is_some();
                report.failures.extend(looked.refused);
            }
            Err(failures) => {
                report.failures.extend(failures);
                return report;
            }
        }
        let plan = plan(&self.schedule, self.clock.now(), offset, &self.tables(), self.jitter);
        report.held = plan.held;
        if let Some(generation) = plan.create {
            let name = self.names.name(generation);
            match in_time(self.control.create(&name)).await {
                Ok(created) => report.created = Some((generation, created)),
                Err(error) => report.failures.push(Failure { attempt: Attempt::Create(generation), error }),
            }
        }
        for generation in plan.drop {
            let name = self.names.name(generation);
            match in_time(self.control.drop_table(&name)).await {
                Ok(dropped) => report.dropped.push((generation, dropped)),
                Err(error) => report.failures.push(Failure { attempt: Attempt::Drop(generation), error }),
            }
        }
        report
    }

    /// By how much the server's clock is ahead; nothing if that cannot be told.
    async fn measure(&self, report: &mut Report) -> Option<Offset> {
        let before = self.clock.now();
        match in_time(self.control.time()).await {
            Ok(time) => {
                let time = time?;
                Offset::measured(before, self.clock.now(), time.at, time.resolution)
            }
            Err(error) => {
                report.failures.push(Failure { attempt: Attempt::Time, error });
                None
            }
        }
    }

    async fn look_again(&self) -> Result<Looked, Vec<Failure>> {
        self.look.again(self).await
    }

    fn know(&self, tables: Tables) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables);
    }

    /// Ticks until `until` has come, which is noticed between ticks, and shows each report to `watch`.
    ///
    /// What is known of the tables stays fresh meanwhile ([`Rules::refresh`](crate::Rules::refresh)). After a failure it
    /// comes back sooner, and then less and less often; never less often than otherwise, unless the store asks for it.
    pub async fn run(&self, until: impl Future<Output = ()> + Send, mut watch: impl FnMut(&Report) + Send) {
        let mut until = pin!(until);
        let mut failed = 0;
        loop {
            let report = self.tick().await;
            watch(&report);
            failed = if report.failures.is_empty() { 0 } else { failed + 1 };
            if within(self.pause_after(&report, failed), &mut until).await.is_some() {
                return;
            }
        }
    }

    /// Nodes that began together do not stay together: a pause is drawn from its longer half.
    fn pause_after(&self, report: &Report, failed: u32) -> Duration {
        let usual = self.schedule.rules().refresh / 2;
        let longest = if failed > 0 {
            FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failed - 1)).min(usual)
        } else if report.is_under_way() || self.is_creating() {
            SOON.min(usual)
        } else {
            usual
        };
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        pause.max(report.suggested_delay().min(LONGEST_PAUSE))
    }

    fn is_creating(&self) -> bool {
        self.tables().iter().any(|table| table.state == TableState::Creating)
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, ControlError>> + Send) -> Result<T, ControlError> {
    within(CALL_LIMIT, call).await.unwrap_or_else(|| Err(no_answer()))
}

fn no_answer() -> ControlError {
    let message = format!("the store did not answer within {} s", CALL_LIMIT.as_secs());
    ControlError::new(ErrorKind::Unavailable, message)
}
