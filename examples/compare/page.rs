//! The page: made from a result and nothing else.

use askama::Template;
use holdover_conformance::suites;

use crate::charts::{self, Marks, Slope, Strip, Trips};
use crate::load::CLIENTS_OF_SIZES;
use crate::requests::Request;
use crate::result::{Found, Run};
use crate::stacks::Fallible;
use crate::tables::{self, Table};
use crate::text::{moment, percent, span};

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
    money: Table,
    verdicts: Table,
    remarked: Vec<&'a Found>,
    cases: Vec<Explained>,
    noted: Vec<&'a Found>,
}

/// The whole page.
pub(crate) fn of(run: &Run) -> Fallible<String> {
    let asked = |case: &holdover_conformance::Case| run.extent.suites.contains(&case.suite());
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
