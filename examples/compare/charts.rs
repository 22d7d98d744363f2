//! Where the marks of each chart are; the template draws them. All charts are 360 wide, so that a phone shows them as they are.

use crate::load::CLIENTS;
use crate::requests::Request;
use crate::result::{Calls, Fault, Found, Run};
use crate::tables::{has_wire, load};
use crate::text::{grouped, ms, short};

pub(crate) const WIDTH: f64 = 360.0;
/// Room for what stands at the end of a bar.
const END: f64 = 34.0;
const ROW: f64 = 34.0;
/// Room for the numbers of the scale above the first row.
const TOP: f64 = 14.0;

/// One mark: its place, its shape as a letter, what it is, and what it says when it is pointed at.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) shape: &'static str,
    pub(crate) class: &'static str,
    pub(crate) title: String,
}

/// A name, a line from the first to the last mark, and the marks.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) y: f64,
    pub(crate) title: String,
    pub(crate) marks: Vec<Mark>,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) end: String,
}

/// A line across the chart, with its number.
#[derive(Clone, Debug)]
pub(crate) struct Tick {
    pub(crate) x: f64,
    pub(crate) text: String,
    pub(crate) first: bool,
    pub(crate) last: bool,
}

/// Marks on a logarithmic scale, a row for each stack.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    pub(crate) height: f64,
    pub(crate) rows: Vec<Row>,
    pub(crate) ticks: Vec<Tick>,
}

/// A scale on which each step to the right is ten times as much.
#[derive(Clone, Copy, Debug)]
struct Decades {
    from: i32,
    to: i32,
}

impl Decades {
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let least = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if logs.is_empty() {
            return Self { from: 0, to: 1 };
        }
        #[allow(clippy::cast_possible_truncation, reason = "a logarithm of a measured number is small")]
        let (from, to) = (least.floor() as i32, most.ceil() as i32);
        Self { from, to: to.max(from + 1) }
    }

    fn x(self, value: f64) -> f64 {
        if value <= 0.0 {
            return 8.0;
        }
        let share = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        8.0 + share.clamp(0.0, 1.0) * (WIDTH - 16.0)
    }

    fn ticks(self, name: impl Fn(f64) -> String) -> Vec<Tick> {
        let tick = |power: i32| {
            let value = 10_f64.powi(power);
            Tick { x: self.x(value), text: name(value), first: power == self.from, last: power == self.to }
        };
        (self.from..=self.to).map(tick).collect()
    }
}

const SHAPES: [(&str, &str); 3] = [("●", "one"), ("■", "two"), ("▲", "three")];

fn rows_of(
    run: &Run,
    three: impl Fn(&Found) -> Option<[(f64, String); 3]>,
    name: impl Fn(f64) -> String,
) -> Marks {
    let all: Vec<(&Found, [(f64, String); 3])> =
        run.stacks.iter().filter_map(|found| Some((found, three(found)?))).collect();
    let scale = Decades::around(all.iter().flat_map(|(_, three)| three.iter().map(|(value, _)| *value)));
    let mut rows = Vec::new();
    for (number, (found, three)) in all.iter().enumerate() {
        let marks: Vec<Mark> = three
            .iter()
            .zip(SHAPES)
            .map(|((value, title), (shape, class))| Mark {
                x: scale.x(*value),
                shape,
                class,
                title: title.clone(),
            })
            .collect();
        let xs = || marks.iter().map(|mark| mark.x);
        let (from, to) = (xs().fold(WIDTH, f64::min), xs().fold(0.0, f64::max));
        let end = three.iter().map(|(value, _)| name(*value)).collect::<Vec<_>>().join(" · ");
        rows.push(Row { y: TOP + ROW * number as f64, title: found.title.clone(), marks, from, to, end });
    }
    Marks { height: TOP + ROW * rows.len() as f64 + 18.0, rows, ticks: scale.ticks(axis) }
}

fn axis(value: f64) -> String {
    match value {
        large if large >= 1e6 => format!("{}M", large / 1e6),
        large if large >= 1e3 => format!("{}k", large / 1e3),
        value => format!("{value}"),
    }
}

/// p50, p99 and p99.9 of one kind of request.
pub(crate) fn latency(run: &Run, request: Request, clients: usize) -> Marks {
    let three = |found: &Found| {
        let load = load(found, request, clients, 1)?;
        let of = |name: &str, value: f64| (value, format!("{name}: {} ms", ms(value)));
        Some([of("p50", load.p50_ms.median), of("p99", load.p99_ms.median), of("p99.9", load.p999_ms.median)])
    };
    rows_of(run, three, ms)
}

/// Requests a second with each number of clients.
pub(crate) fn throughput(run: &Run, request: Request) -> Marks {
    let three = |found: &Found| {
        let of = |clients: usize| {
            let load = load(found, request, clients, 1)?;
            let value = load.per_second.median;
            Some((value, format!("{clients} clients: {}/s", grouped(value))))
        };
        Some([of(CLIENTS[0])?, of(CLIENTS[1])?, of(CLIENTS[2])?])
    };
    rows_of(run, three, grouped)
}

/// Bars of round trips: those that are seen are outlined, those that are waited for are filled.
#[derive(Clone, Debug)]
pub(crate) struct Trips {
    pub(crate) height: f64,
    pub(crate) rows: Vec<TripsRow>,
}

#[derive(Clone, Debug)]
pub(crate) struct TripsRow {
    pub(crate) y: f64,
    pub(crate) title: String,
    pub(crate) bars: Vec<TripsBar>,
}

#[derive(Clone, Debug)]
pub(crate) struct TripsBar {
    pub(crate) y: f64,
    pub(crate) name: &'static str,
    pub(crate) seen: f64,
    pub(crate) waited: f64,
    pub(crate) end: f64,
    pub(crate) text: String,
}

const TRIPS_LEFT: f64 = 58.0;
const TRIPS_BAR: f64 = 15.0;

pub(crate) fn trips(run: &Run) -> Trips {
    let shown = [Request::Read, Request::Modify, Request::LogIn];
    let found: Vec<&Found> = run.stacks.iter().filter(|found| has_wire(found)).collect();
    let pair = |calls: &Calls| {
        let wire = calls.wire.as_ref()?;
        Some((wire.exchanges, wire.slope.unwrap_or_default().max(0.0)))
    };
    let most = found.iter().flat_map(|found| &found.calls).filter_map(pair);
    let most = most.fold(1.0, |most: f64, (seen, waited)| most.max(seen).max(waited));
    let scale = (WIDTH - TRIPS_LEFT - END * 2.0) / most;
    let height = 18.0 + TRIPS_BAR * shown.len() as f64 + 8.0;
    let row = |(number, found): (usize, &&Found)| {
        let bar = |(place, request): (usize, Request)| {
            let calls = found.calls.iter().find(|calls| calls.request == request)?;
            let (seen, waited) = pair(calls)?;
            Some(TripsBar {
                y: 18.0 + TRIPS_BAR * place as f64,
                name: request.name(),
                seen: seen * scale,
                waited: waited * scale,
                end: TRIPS_LEFT + seen.max(waited) * scale + 5.0,
                text: format!("{} / {}", short(waited), short(seen)),
            })
        };
        TripsRow {
            y: height * number as f64,
            title: found.title.clone(),
            bars: shown.into_iter().enumerate().filter_map(bar).collect(),
        }
    };
    let rows: Vec<TripsRow> = found.iter().enumerate().map(row).collect();
    Trips { height: height * rows.len() as f64, rows }
}

/// How long a read and a modify take by added delay, for one stack.
#[derive(Clone, Debug)]
pub(crate) struct Slope {
    pub(crate) title: String,
    pub(crate) read: Line,
    pub(crate) modify: Line,
    pub(crate) top: String,
    pub(crate) right: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) slope: String,
}

pub(crate) fn slopes(run: &Run) -> Vec<Slope> {
    let wires = || {
        run.stacks
            .iter()
            .flat_map(|found| &found.calls)
            .filter(is_drawn)
            .filter_map(|calls| calls.wire.as_ref())
    };
    let points = || wires().flat_map(|wire| &wire.delayed);
    let most_x = points().map(|point| point.added_ms).fold(1.0, f64::max);
    let most_y = points().map(|point| point.took_ms.median).fold(1.0, f64::max);
    let line = |found: &Found, request: Request| {
        let calls = found.calls.iter().find(|calls| calls.request == request)?;
        let wire = calls.wire.as_ref()?;
        let place = |added: f64, took: f64| (14.0 + added / most_x * 140.0, 98.0 - took / most_y * 84.0);
        let points: Vec<(f64, f64)> =
            wire.delayed.iter().map(|point| place(point.added_ms, point.took_ms.median)).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let slope = format!("{:.1}", wire.slope.unwrap_or_default().max(0.0));
        Some(Line { path: path.join(" "), points, slope })
    };
    let slope = |found: &Found| {
        Some(Slope {
            title: found.title.clone(),
            read: line(found, Request::Read)?,
            modify: line(found, Request::Modify)?,
            top: format!("{most_y:.0} ms"),
            right: format!("+{most_x:.1} ms"),
        })
    };
    run.stacks.iter().filter_map(slope).collect()
}

fn is_drawn(calls: &&Calls) -> bool {
    matches!(calls.request, Request::Read | Request::Modify)
}

/// What was answered around a fault, from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) struck: f64,
    pub(crate) bars: Vec<StripBar>,
    pub(crate) said: String,
}

#[derive(Clone, Debug)]
pub(crate) struct StripBar {
    pub(crate) x: f64,
    pub(crate) width: f64,
    pub(crate) served: f64,
    pub(crate) failed: f64,
}

const STRIP_HALF: f64 = 24.0;

pub(crate) fn strips(run: &Run) -> Vec<Strip> {
    let of = |found: &Found| -> Vec<Strip> {
        found.faults.iter().map(|fault| strip(&found.title, fault)).collect()
    };
    run.stacks.iter().flat_map(of).collect()
}

fn strip(title: &str, fault: &Fault) -> Strip {
    let most = fault.pieces.iter().map(|(served, failed)| served.max(failed)).max();
    let most = most.copied().unwrap_or(1).max(1) as f64;
    let width = WIDTH / fault.pieces.len().max(1) as f64;
    // Little must still be seen beside much: heights are square roots.
    let height = |count: usize| (count as f64 / most).sqrt() * STRIP_HALF;
    let bar = |(number, (served, failed)): (usize, &(usize, usize))| StripBar {
        x: number as f64 * width,
        width: width * 0.8,
        served: height(*served),
        failed: height(*failed).min(14.0),
    };
    let served = match fault.first_served_ms {
        Some(first) => format!("first served after {} ms", ms(first)),
        None => "nothing served any more".to_owned(),
    };
    let said = format!(
        "{served}; {} errors; {} of {} acknowledged writes lost; {} of {} sessions lost",
        grouped(fault.errors as f64),
        grouped(fault.lost as f64),
        grouped(fault.acknowledged as f64),
        fault.sessions_lost,
        fault.sessions,
    );
    Strip {
        title: title.to_owned(),
        what: fault.what.clone(),
        struck: fault.before_ms as f64 / fault.piece_ms.max(1) as f64 * width,
        bars: fault.pieces.iter().enumerate().map(bar).collect(),
        said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_of_decades_holds_everything_and_puts_ten_times_as_much_one_step_on() {
        let scale = Decades::around([0.02, 3.0, 0.0].into_iter());
        assert_eq!((scale.from, scale.to), (-2, 1));
        let step = scale.x(1.0) - scale.x(0.1);
        assert!((scale.x(10.0) - scale.x(1.0) - step).abs() < 1e-9);
        assert_eq!(scale.ticks(axis).len(), 4);
        assert_eq!((scale.x(0.01), scale.x(10.0)), (8.0, WIDTH - 8.0));
    }

    #[test]
    fn a_strip_marks_the_fault_where_it_struck() {
        let pieces = vec![(4, 0), (4, 0), (0, 1), (1, 0)];
        let fault =
            Fault { pieces, piece_ms: 50, before_ms: 100, what: "killed".to_owned(), ..Fault::default() };
        let strip = strip("Redis", &fault);
        assert_eq!(strip.struck, WIDTH / 2.0);
        assert_eq!((strip.bars[0].served, strip.bars[2].served), (STRIP_HALF, 0.0));
        assert!(strip.bars[2].failed > 0.0);
        assert!(strip.said.starts_with("nothing served any more"), "{}", strip.said);
    }
}
