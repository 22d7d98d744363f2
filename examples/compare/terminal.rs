//! The table for the terminal: the page in one line for each store.

use comfy_table::{ContentArrangement, Table, presets};

use crate::requests::Request;
use crate::result::{Found, Run};
use crate::tables::load;
use crate::text::{grouped, ms, short};

const NONE: &str = "–";

pub(crate) fn table(run: &Run) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "store",
        "read: trips, p50 ms",
        "modify: trips, p50 ms",
        "modify/s, 64 clients",
        "killed: writes lost",
        "served again after",
        "hung: writes lost",
        "served again after",
        "exam",
    ]);
    for found in &run.stacks {
        table.add_row(row(found));
    }
    let absent: Vec<String> =
        run.absent.iter().map(|(title, why)| format!("\nnot measured: {title}: {why}")).collect();
    format!("{table}{}", absent.concat())
}

fn row(found: &Found) -> Vec<String> {
    let request = |request: Request| {
        let calls = found.calls.iter().find(|calls| calls.request == request);
        let trips = calls.and_then(|calls| calls.wire.as_ref()).map_or(0.0, |wire| wire.exchanges);
        let p50 = load(found, request, 8, 1).map_or(NONE.to_owned(), |load| ms(load.p50_ms.median));
        format!("{}, {p50}", short(trips))
    };
    let throughput = load(found, Request::Modify, 64, 1);
    let fault = |what: &str| {
        let Some(fault) = found.faults.iter().find(|fault| fault.what == what) else {
            return [NONE.to_owned(), NONE.to_owned()];
        };
        let served = fault.first_served_ms.map_or("never".to_owned(), |first| format!("{} ms", ms(first)));
        [format!("{} of {}", grouped(fault.lost as f64), grouped(fault.acknowledged as f64)), served]
    };
    let [killed, killed_served] = fault("killed");
    let [hung, hung_served] = fault("hung");
    vec![
        found.title.clone(),
        request(Request::Read),
        request(Request::Modify),
        throughput.map_or(NONE.to_owned(), |load| grouped(load.per_second.median)),
        killed,
        killed_served,
        hung,
        hung_served,
        exam(found),
    ]
}

fn exam(found: &Found) -> String {
    let (passed, failed) = found
        .verdicts
        .iter()
        .fold((0, 0), |(passed, failed), verdicts| (passed + verdicts.passed, failed + verdicts.failed));
    if found.verdicts.is_empty() { NONE.to_owned() } else { format!("{passed} passed, {failed} failed") }
}
