//! The page: made from a result and nothing else.

use askama::Template;
use holdover_conformance::suites;

use crate::charts::{self, Marks, Slope, Strip, Trips};
use crate::load::CLIENTS_OF_SIZES;
use crate::requests::Request;
use crate::result::{Found, Run};
use crate::stacks::Fallible;
use crate::tables::{self, Table};
use crate::text::{grouped, moment, percent, span};

/// A case of the exam, explained.
struct Explained {
    id: &'static str,
    title: String,
    explain: &'static str,
}

#[derive(Template)]
#[template(path = "page.html", config = "examples/compare/askama.toml")]
struct Page<'a> {
    run: &'a Run,
    when: String,
    took: String,
    busy: String,
    parts: Vec<String>,
    requests: [Request; 6],
    glance: Table,
    claims: Table,
    trips: Trips,
    calls: Table,
    bytes: Table,
    latencies: Vec<(Marks, Table)>,
    throughput: Marks,
    sizes: [Table; 2],
    slopes: Vec<Slope>,
    delays: [Table; 2],
    strips: Vec<Strip>,
    faults: Table,
    /// Titles of those without a server that could fail.
    unbreakable: String,
    expiry: Table,
    /// Sessions that could not be watched as they ended, and why.
    unwatched: Vec<String>,
    money: Table,
    verdicts: Table,
    remarked: Vec<&'a Found>,
    cases: Vec<Explained>,
    noted: Vec<&'a Found>,
}

/// The whole page.
pub(crate) fn of(run: &Run) -> Fallible<String> {
    let put = |suite: &str| run.stacks.iter().flat_map(|found| &found.verdicts).any(|put| put.suite == suite);
    let asked = |case: &holdover_conformance::Case| put(&case.suite());
    let cases = suites::all().into_iter().filter(asked).map(|case| Explained {
        id: case.id,
        title: case.title.replace('_', " "),
        explain: case.explain,
    });
    let latency = |request| (charts::latency(run, request, CLIENTS_OF_SIZES), tables::latency(run, request));
    let part =
        |part: &crate::result::Part| format!("{} {}, load {:.1}", part.name, span(part.seconds), part.load);
    let unbreakable = run.stacks.iter().filter(|found| found.faults.is_empty());
    let page = Page {
        run,
        when: moment(run.began),
        took: span(run.seconds),
        busy: busy(run),
        parts: run.machine.parts.iter().map(part).collect(),
        requests: Request::ALL,
        glance: tables::glance(run),
        claims: tables::claims(run),
        trips: charts::trips(run),
        calls: tables::calls(run),
        bytes: tables::bytes(run),
        latencies: vec![latency(Request::Read), latency(Request::Modify)],
        throughput: charts::throughput(run, Request::Modify),
        sizes: [tables::sizes(run, Request::Read), tables::sizes(run, Request::Modify)],
        slopes: charts::slopes(run),
        delays: [tables::delays(run, Request::Read), tables::delays(run, Request::Modify)],
        strips: charts::strips(run),
        faults: tables::faults(run),
        unbreakable: unbreakable.map(|found| found.title.clone()).collect::<Vec<_>>().join("; "),
        expiry: tables::expiry(run),
        unwatched: run.stacks.iter().flat_map(unwatched).collect(),
        money: tables::money(run),
        verdicts: tables::verdicts(run),
        remarked: run.stacks.iter().filter(|found| has_remarks(found)).collect(),
        cases: cases.collect(),
        noted: run.stacks.iter().filter(|found| !found.notes.is_empty()).collect(),
    };
    Ok(page.render()?)
}

fn has_remarks(found: &Found) -> bool {
    found.verdicts.iter().any(|verdicts| !verdicts.remarks.is_empty())
}

fn unwatched(found: &Found) -> impl Iterator<Item = String> {
    let each = found.unwatched.iter();
    each.map(|(count, why)| format!("{}, {} sessions: {why}.", found.title, grouped(*count as f64)))
}

/// What disturbed the machine, in a sentence.
fn busy(run: &Run) -> String {
    let machine = &run.machine;
    let judged = match machine.others_share + machine.stolen_share {
        calm if calm < 0.05 => "The machine was quiet.",
        some if some < 0.2 => "The machine had other work, too: take milliseconds and rates as rough.",
        _ => "The machine was busy with something else: counts hold, milliseconds and rates do not.",
    };
    format!(
        "Of the time of {} processors this program and its servers used {}, others {}, and a hypervisor took {}. {judged}",
        machine.cores,
        percent(machine.own_share),
        percent(machine.others_share),
        percent(machine.stolen_share),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Spread;
    use crate::result::{Calls, Delayed, Extent, Fault, Load, Verdicts, Wire};

    fn spread(median: f64) -> Spread {
        Spread { median, least: median / 2.0, most: median * 2.0 }
    }

    fn calls(request: Request) -> Calls {
        let delayed =
            |asked_ms: f64| Delayed { asked_ms, added_ms: asked_ms, took_ms: spread(1.0 + asked_ms * 2.0) };
        let delayed = [0.0, 1.0, 5.0].map(delayed).into();
        let wire = Wire { exchanges: 2.0, bytes_out: 1652.0, bytes_in: 1300.0, delayed, slope: Some(2.0) };
        Calls { request, operations: 2.0, wire: Some(wire) }
    }

    fn load(request: Request, clients: usize) -> Load {
        Load {
            request,
            clients,
            kilobytes: 1,
            requests: 100,
            failed: 0,
            per_second: spread(1234.0),
            p50_ms: spread(0.5),
            p99_ms: spread(2.0),
            p999_ms: spread(9.0),
            ratio: Some(spread(0.25)),
        }
    }

    /// A run with one store whose name and notes are hostile.
    fn hostile() -> Run {
        let loads = [1, 8, 64]
            .into_iter()
            .flat_map(|clients| [Request::Read, Request::Modify].map(|request| load(request, clients)));
        let remarks = vec![("CON-01".to_owned(), "failed: <img src=x onerror=alert(1)>".to_owned())];
        let found = Found {
            name: "hostile".to_owned(),
            title: "<script>alert(1)</script> & \"Sons\"".to_owned(),
            calls: Request::ALL.map(calls).into(),
            loads: loads.collect(),
            faults: vec![Fault {
                what: "killed".to_owned(),
                pieces: vec![(1, 0), (0, 1)],
                ..Fault::default()
            }],
            verdicts: vec![Verdicts {
                suite: "con".to_owned(),
                passed: 61,
                failed: 1,
                remarks,
                ..Verdicts::default()
            }],
            notes: vec!["<b>bold</b>".to_owned()],
            unwatched: vec![(1_000_000, "<i>making</i> them takes too long".to_owned())],
            ..Found::default()
        };
        let extent = Extent { suites: vec!["con".to_owned()], ..Extent::default() };
        Run { stacks: vec![found], extent, ..Run::default() }
    }

    #[test]
    fn nothing_that_was_found_is_taken_for_markup() {
        let page = of(&hostile()).expect("a page");
        for markup in ["<script", "<img", "<b>bold", "<i>making"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&#60;script&#62;alert(1)"), "the name is shown as text");
    }

    #[test]
    fn what_was_left_out_is_said_with_its_reason() {
        let page = of(&hostile()).expect("a page");
        assert!(page.contains("1\u{202f}000\u{202f}000 sessions: "), "how many");
        assert!(page.contains("them takes too long"), "why");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = of(&hostile()).expect("a page");
        for outside in ["src=", "url(", "@import", "http://", "https://", "<link"] {
            assert!(!page.replace("&#60;img src=x", "").contains(outside), "{outside}");
        }
    }

    #[test]
    fn every_remark_leads_to_the_explanation_of_its_case() {
        let page = of(&hostile()).expect("a page");
        assert!(page.contains("href=\"#case-CON-01\"") && page.contains("id=\"case-CON-01\""));
    }

    #[test]
    fn a_result_that_is_read_back_makes_the_same_page() {
        let run = hostile();
        let text = serde_json::to_string(&run).expect("it is written");
        let back: Run = serde_json::from_str(&text).expect("it is read");
        assert_eq!(of(&back).expect("a page"), of(&run).expect("a page"));
    }

    #[test]
    fn a_run_of_nothing_is_a_page_all_the_same() {
        let page = of(&Run::default()).expect("a page");
        assert!(page.contains("This set runs no exam."));
    }
}
