//! The table of a drill: what each application node saw in each phase.

use std::collections::BTreeMap;
use std::time::Duration;

use holdover_layers::failover::FailoverCounts;

use super::record::{Done, Phase};
use crate::figures::quantile;

/// The default node time-out, which the drill leaves as it is. A timer may fire a moment early.
const NODE_TIMEOUT: Duration = Duration::from_millis(249);

pub(crate) fn print(phases: &[Phase], log: &[Done]) {
    println!(
        "| phase | node | requests | errors | p50 ms | p99 ms | longest ms | waited a node time-out: under way / began before / \
         after the breaker opened | the last of them ended ms | first success ms | one copy until ms |"
    );
    println!("|---|---|--:|---|--:|--:|--:|---|--:|--:|--:|");
    for (number, phase) in phases.iter().enumerate() {
        for node in [0, 1] {
            // What was under way when a fault struck ended after it.
            let is_here = |done: &&Done| done.node == node && is_within(phase, done.ended);
            let here: Vec<&Done> = log.iter().filter(is_here).collect();
            let earlier = log.iter().filter(|done| done.node == node && done.ended < phase.began);
            let half_copies_before = earlier.map(|done| done.half_copies_after).max().unwrap_or_default();
            let name = if node == 0 { format!("{}. {}", number + 1, phase.name) } else { String::new() };
            print_row(&name, phase, node, &here, half_copies_before);
        }
    }
    println!(
        "\nEvery moment is counted from the beginning of its phase, which is the fault. A request belongs to the phase in which it ended. *First success*: the end of the first \
         request that began after the fault and was served. *One copy until*: the last write in the \
         phase that was acknowledged with one copy. *gone*: the session was logged out while the request ran, as promised."
    );
}

/// What the application nodes noticed in each phase, both together.
pub(crate) fn print_counts(phases: &[Phase], at_the_end: [FailoverCounts; 2]) {
    println!(
        "\n| phase | breaker openings | failovers | half copies | repairs | divergences | losses |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let ends = phases.iter().skip(1).map(|phase| phase.counts).chain([at_the_end]);
    for (number, (phase, end)) in phases.iter().zip(ends).enumerate() {
        let more = |pick: fn(&FailoverCounts) -> u64| -> u64 {
            let both = end.iter().zip(&phase.counts);
            both.map(|(end, begin)| pick(end) - pick(begin)).sum()
        };
        println!(
            "| {}. {} | {} | {} | {} | {} | {} | {} |",
            number + 1,
            phase.name,
            more(|counts| counts.breaker_openings),
            more(|counts| counts.failovers),
            more(|counts| counts.half_copies),
            more(|counts| counts.repairs),
            more(|counts| counts.divergences),
            more(|counts| counts.losses),
        );
    }
}

fn is_within(phase: &Phase, moment: Duration) -> bool {
    (phase.began..phase.ended).contains(&moment)
}

fn print_row(name: &str, phase: &Phase, node: usize, here: &[&Done], half_copies_before: u64) {
    let took: Vec<f64> = here.iter().map(|done| millis(done.took())).collect();
    let served = here.iter().filter(|done| done.error.is_none());
    let first = served.filter(|done| done.began >= phase.began).map(|done| done.ended).min();
    let first = first.map_or("–".to_owned(), |ended| format!("{:.1}", millis(ended - phase.began)));
    println!(
        "| {name} | {} | {} | {} | {:.1} | {:.1} | {:.0} | {} | {first} | {} |",
        ["a", "b"][node],
        here.len(),
        errors(here),
        quantile(took.clone(), 0.5),
        quantile(took.clone(), 0.99),
        quantile(took, 1.0),
        waits(phase, node, here),
        one_copy_until(phase, here, half_copies_before),
    );
}

fn errors(here: &[&Done]) -> String {
    let mut kinds = BTreeMap::new();
    for error in here.iter().filter_map(|done| done.error) {
        *kinds.entry(error).or_insert(0) += 1;
    }
    if kinds.is_empty() {
        return "0".to_owned();
    }
    let shown: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    shown.join(", ")
}

/// Requests that took a node time-out or longer: those that were under way when the phase began, those that began
/// before the breaker of their application node opened, and those that began after it.
fn waits(phase: &Phase, node: usize, here: &[&Done]) -> String {
    let slow = here.iter().filter(|done| done.took() >= NODE_TIMEOUT);
    let (mut under_way, mut before, mut after) = (0, 0, 0);
    let mut last = None;
    for done in slow {
        last = last.max(Some(done.ended - phase.began));
        if done.began < phase.began {
            under_way += 1;
        } else if done.openings_before <= phase.counts[node].breaker_openings {
            before += 1;
        } else {
            after += 1;
        }
    }
    let last = last.map_or("–".to_owned(), |last| format!("{:.0}", millis(last)));
    format!("{under_way} / {before} / {after} | {last}")
}

fn one_copy_until(phase: &Phase, here: &[&Done], before: u64) -> String {
    let mut by_end: Vec<&&Done> = here.iter().collect();
    by_end.sort_by_key(|done| done.ended);
    let mut count = before;
    let mut until = None;
    for done in by_end {
        if done.half_copies_after > count {
            count = done.half_copies_after;
            until = Some(done.ended - phase.began);
        }
    }
    until.map_or("–".to_owned(), |until| format!("{:.0}", millis(until)))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
