//! The whole run, part by part: nothing is measured while something else is.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use holdover::api::{Capabilities, CheapReads, Clock, Expiry, Stopwatch, Survives, SystemClock, Writes};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::extent::{Arguments, shown};
use crate::load::{self, Loaded};
use crate::machine::{Ticks, load_average};
use crate::result::{Claims, Expiry as Ended, Extent, Found, Part, Run};
use crate::stacks::{self, Fallible, Stack, Stand};
use crate::text::long;
use crate::{exam, expiry, failure, given, money, wire};

/// How many stores are examined at a time, mostly waiting.
const EXAMINED_AT_ONCE: usize = 3;

/// One stack on its way through the run.
struct Course {
    stack: Stack,
    found: Found,
    bar: ProgressBar,
}

impl Course {
    fn new(stack: Stack, bars: &MultiProgress, steps: usize) -> Self {
        let bar = bars.add(ProgressBar::new(steps as u64));
        if let Ok(style) = ProgressStyle::with_template("{prefix:32} {bar:24} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(stack.title.clone());
        let found = Found {
            name: stack.name.clone(),
            title: stack.title.clone(),
            about: stack.about.to_owned(),
            ..Found::default()
        };
        Self { stack, found, bar }
    }

    /// What was found, or a note of why it was not: one store that fails must not end the run.
    fn noted<T: Default>(&mut self, what: &str, outcome: Fallible<T>) -> T {
        self.bar.inc(1);
        outcome.unwrap_or_else(|error| {
            self.found.notes.push(format!("Not measured, {what}: {error}."));
            T::default()
        })
    }

    async fn be_examined(&mut self, suites: &[String], seed: u64) {
        self.bar.set_message("exam");
        if let Some(why) = exam::not_examined(&self.stack).filter(|_| !suites.is_empty()) {
            self.found.notes.push(why.to_owned());
        }
        let verdicts = exam::examine(&self.stack, suites, seed).await;
        self.found.verdicts = self.noted("exam", verdicts);
    }

    /// So many sessions have ended, or could not be watched as they did.
    fn ended(&mut self, count: usize, outcome: Fallible<Ended>) {
        self.bar.inc(1);
        match outcome {
            Ok(ended) => self.found.expiries.push(ended),
            Err(why) => self.found.unwatched.push((count, why.to_string())),
        }
    }
}

/// Parts of the run, with how long each took and how busy the machine was at its end.
struct Parts {
    watch: Stopwatch,
    before: Duration,
    done: Vec<Part>,
}

impl Parts {
    fn end(&mut self, name: &str) {
        let now = self.watch.elapsed();
        let seconds = (now - self.before).as_secs_f64();
        self.done.push(Part { name: name.to_owned(), seconds, load: load_average() });
        // Where there are no bars, because nobody watches.
        if !stderr().is_terminal() {
            eprintln!("{name}: {seconds:.0} s");
        }
        self.before = now;
    }
}

/// Measures all stacks that can be, and are wanted.
pub(crate) async fn everything(arguments: &Arguments, seed: u64) -> Fallible<Run> {
    let extent = arguments.extent();
    let began = SystemClock.now().as_millis();
    let ticks = Ticks::read()?;
    let mut parts = Parts { watch: Stopwatch::start(), before: Duration::ZERO, done: Vec::new() };
    let (mut courses, absent, stands) = set_out(arguments, &extent).await?;
    parts.end("servers started");

    let added = wire::calibrate().await?;
    for (course, stand) in courses.iter_mut().zip(&stands) {
        one_at_a_time(course, stand, &extent, &added).await;
    }
    parts.end("round trips, bytes, delay");
    loads(&mut courses, &stands, &extent).await;
    parts.end("latency and throughput");
    drop(stands);

    for course in &mut courses {
        course.bar.set_message("a server is killed, one hangs");
        let faults = failure::measure(&course.stack, seed, Duration::from_millis(extent.fault_ms)).await;
        course.found.faults = course.noted("failure", faults);
    }
    parts.end("failure");
    expiries(&mut courses, &extent, seed).await;
    parts.end("expiry");
    verdicts(&mut courses, &extent, seed).await;
    parts.end("exam");

    let mut machine = ticks.until(Ticks::read()?);
    machine.parts = parts.done;
    let finish = |course: Course| {
        course.bar.finish_with_message("done");
        course.found
    };
    Ok(Run {
        command: arguments.command(seed),
        began,
        seconds: parts.watch.elapsed().as_secs_f64(),
        seed: shown(seed),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        machine,
        extent,
        stacks: courses.into_iter().map(finish).collect(),
        absent,
    })
}

/// The stacks that are asked for, in the order of the page.
async fn wanted(arguments: &Arguments) -> Fallible<Vec<Stack>> {
    let known = stacks::all();
    let given = arguments.store.iter().enumerate().map(|(number, url)| Stack::given(number + 1, url));
    let given: Vec<Stack> = given.collect();
    let names = || known.iter().map(|stack| stack.name.as_str()).chain([stacks::GIVEN]);
    if arguments.only.iter().any(|name| !names().any(|known| known == name)) {
        let names: Vec<&str> = names().collect();
        return Err(format!("--only takes one of {}", names.join(", ")).into());
    }
    given::answer(&given).await?;
    let is_wanted = |stack: &Stack| arguments.only.is_empty() || arguments.only.contains(&stack.name);
    let wanted: Vec<Stack> = known.into_iter().filter(is_wanted).chain(given).collect();
    if wanted.is_empty() {
        return Err("--only given measures the stores of --store and nothing else: name one".into());
    }
    Ok(wanted)
}

/// Starts what is wanted and can be started.
async fn set_out(
    arguments: &Arguments,
    extent: &Extent,
) -> Fallible<(Vec<Course>, Vec<(String, String)>, Vec<Stand>)> {
    let wanted = wanted(arguments).await?;
    let bars = MultiProgress::new();
    let steps = 4 + load::cells().len() * (extent.rounds + 1) + extent.expiring.len();
    let (mut courses, mut absent, mut stands) = (Vec::new(), Vec::new(), Vec::new());
    for stack in wanted {
        match Stand::start(&stack).await? {
            Ok(stand) => {
                stands.push(stand);
                courses.push(Course::new(stack, &bars, steps));
            }
            Err(why) => absent.push((stack.title, why)),
        }
    }
    Ok((courses, absent, stands))
}

/// What is measured with one request at a time.
async fn one_at_a_time(course: &mut Course, stand: &Stand, extent: &Extent, added: &[f64]) {
    course.bar.set_message("one request at a time");
    match stand.open().await {
        Ok(store) => course.found.claims = claims(store.capabilities()),
        Err(error) => course.found.notes.push(format!("Could not be opened: {error}.")),
    }
    let calls = wire::measure(stand, extent.repeats, added).await;
    course.found.calls = course.noted("calls", calls);
    let units = money::measure(stand).await;
    course.found.units = course.noted("units", units);
}

fn claims(claimed: Capabilities) -> Claims {
    let expiry = match claimed.expiry {
        Expiry::Native { max_lag } => {
            format!("by the store, at most {} late", long(max_lag.as_secs_f64()))
        }
        Expiry::OnDemand => "when room is needed".to_owned(),
    };
    let reads = match claimed.cheap_reads {
        CheapReads::None => "always the latest".to_owned(),
        CheapReads::Replica => "may be from a replica".to_owned(),
        CheapReads::Eventual => "may be eventually consistent, for less".to_owned(),
        CheapReads::Cached { max_age } => {
            format!("may be a copy {} old", long(max_age.as_secs_f64()))
        }
    };
    let survives = match claimed.survives {
        Survives::Nothing => "nothing",
        Survives::Restart => "a restart",
        Survives::NodeLoss => "the loss of a node",
    };
    let writes = match claimed.writes {
        Writes::ByAttribute => "merged by the store",
        Writes::WholeRecord => "whole record, compared",
    };
    Claims {
        writes: writes.to_owned(),
        expiry,
        reads,
        survives: survives.to_owned(),
        shared: claimed.shared,
        max_bytes: claimed.max_bytes,
    }
}

/// The grid of latency and throughput, in rounds: every stack in turn at each point, the next round the other way round.
async fn loads(courses: &mut [Course], stands: &[Stand], extent: &Extent) {
    let length = Duration::from_millis(extent.round_ms);
    let mut loaded = Vec::new();
    for (course, stand) in courses.iter_mut().zip(stands) {
        course.bar.set_message("clients in a closed loop");
        let over = Loaded::over(stand).await.map(Some);
        loaded.push(course.noted("latency and throughput", over));
    }
    for cell in load::cells() {
        let mut rounds = vec![Vec::new(); courses.len()];
        // The first round is a warm-up.
        for round in 0..=extent.rounds {
            let mut order: Vec<usize> = (0..courses.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for number in order {
                let Some(loaded) = &loaded[number] else { continue };
                let what = format!("{} clients, {} KB", cell.clients, cell.kilobytes);
                let measured = load::run(loaded, cell, length).await.map(Some);
                if let Some(measured) = courses[number].noted(&what, measured).filter(|_| round > 0) {
                    rounds[number].push(measured);
                }
            }
        }
        let memory = courses.iter().position(|course| course.stack.name == "memory");
        for (number, course) in courses.iter_mut().enumerate() {
            if !rounds[number].is_empty() {
                let memory = memory.map(|memory| &rounds[memory][..]);
                course.found.loads.push(load::sum(cell, &rounds[number], memory));
            }
        }
    }
}

/// Ended sessions disappear: some on all stores at the same time, because it is mostly waiting, and many on one after the
/// other.
async fn expiries(courses: &mut [Course], extent: &Extent, seed: u64) {
    let limits = expiry::Limits {
        making: Duration::from_secs(extent.making_limit_s),
        going: Duration::from_secs(extent.expiry_limit_s),
    };
    let (some, many): (Vec<usize>, Vec<usize>) =
        extent.expiring.iter().partition(|count| **count <= expiry::SIDE_BY_SIDE);
    let steps = extent.expiring.len() as u64;
    let mut watched: Vec<&mut Course> =
        courses.iter_mut().filter_map(|course| watched_or_noted(course, steps)).collect();
    let side_by_side = watched.iter_mut().map(|course| async {
        let each = some.iter().map(|count| expiry::measure(&course.stack, *count, seed, limits));
        for (count, outcome) in some.iter().zip(join_all(each).await) {
            course.ended(*count, outcome);
        }
    });
    join_all(side_by_side).await;
    for count in many {
        for course in &mut watched {
            let outcome = expiry::measure(&course.stack, count, seed, limits).await;
            course.ended(count, outcome);
        }
    }
}

fn watched_or_noted(course: &mut Course, steps: u64) -> Option<&mut Course> {
    if let Some(why) = expiry::not_watched(&course.stack) {
        course.bar.inc(steps);
        course.found.notes.push(format!("Expiry: {why}"));
        return None;
    }
    course.bar.set_message("sessions end");
    Some(course)
}

async fn verdicts(courses: &mut [Course], extent: &Extent, seed: u64) {
    let suites = &extent.suites;
    let (alone, together): (Vec<&mut Course>, Vec<&mut Course>) =
        courses.iter_mut().partition(|course| exam::takes_long(&course.stack));
    let examining = together.into_iter().map(|course| course.be_examined(suites, seed));
    stream::iter(examining).buffer_unordered(EXAMINED_AT_ONCE).collect::<Vec<()>>().await;
    for course in alone {
        course.be_examined(suites, seed).await;
    }
}
