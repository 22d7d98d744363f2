//! A violation as a person can read it.

use std::fmt::Write as _;

use bytes::Bytes;
use holdover_api::{Deadline, On, Record, Stamp, Stored, Write};

use super::action::{Action, Answer, Call, Outcome};
use super::wgl::Stuck;

/// How many calls of the longest explainable order are shown before the place where it ends.
const SHOWN_BEFORE: usize = 10;

/// The end of the longest order that explains the answers, what was stored then, and the calls that do not fit.
pub fn timeline(history: &[Action], stuck: &Stuck) -> String {
    let placed = stuck.longest.len();
    let shown_from = placed.saturating_sub(SHOWN_BEFORE);
    let mut text = format!("{placed} of {} calls can be put in an order", history.len());
    if shown_from > 0 {
        let _ = write!(text, "; the last {SHOWN_BEFORE} of them");
    }
    text.push_str(":\n");
    for position in &stuck.longest[shown_from..] {
        line(&mut text, &history[*position]);
    }
    let stored = stuck.stored.as_ref().map_or_else(|| "nothing".to_owned(), stored_text);
    let _ = writeln!(text, "  now stored: {stored}\nnone of these can come next:");
    for position in stuck.next.iter().rev() {
        line(&mut text, &history[*position]);
    }
    text
}

fn line(text: &mut String, action: &Action) {
    let Action { client, node, invoked, returned, .. } = action;
    let call = call_text(&action.call);
    let outcome = outcome_text(&action.outcome);
    let _ = writeln!(text, "  [{invoked:>5} {returned:>5}] client {client} node {node}: {call} -> {outcome}");
}

fn call_text(call: &Call) -> String {
    match call {
        Call::Load => "load".into(),
        Call::Save(write) => save_text(write),
        Call::Touch(deadline) => format!("touch until {}", deadline.as_millis()),
        Call::Delete => "delete".into(),
    }
}

fn save_text(write: &Write) -> String {
    let on = match write.on {
        On::Absent { .. } => "absent".to_owned(),
        On::Live => "live".to_owned(),
        On::Head(head) => format!("head {}", short(head)),
    };
    let clear = if write.delta.clears() { "clear " } else { "" };
    let sets = attributes_text(write.delta.sets().iter());
    let exactly = if matches!(write.deadline, Deadline::Exactly(_)) { "exactly" } else { "at least" };
    let until = write.deadline.moment().as_millis();
    format!("save {} on {on} {clear}set {{{sets}}} {exactly} until {until}", short(write.stamp))
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused(_) => "refused without effect".into(),
        Outcome::Unknown(_) => "unknown".into(),
        Outcome::Answered(Answer::Loaded(None)) => "nothing".into(),
        Outcome::Answered(Answer::Loaded(Some(record))) => record_text(record),
        Outcome::Answered(Answer::Saved(previous)) => {
            format!("saved over {}", previous.map_or_else(|| "nothing known".to_owned(), short))
        }
        Outcome::Answered(Answer::Conflict(None)) => "conflict".into(),
        Outcome::Answered(Answer::Conflict(Some(record))) => format!("conflict with {}", record_text(record)),
        Outcome::Answered(Answer::Gone) => "gone".into(),
        Outcome::Answered(Answer::Touched(there)) => format!("touched: {there}"),
        Outcome::Answered(Answer::Deleted) => "deleted".into(),
    }
}

fn stored_text(stored: &Stored) -> String {
    match stored {
        Stored::Record(record) => record_text(record),
        Stored::Tombstone(tombstone) => format!("tombstone {}", short(tombstone.lineage.head())),
    }
}

fn record_text(record: &Record) -> String {
    let lineage: Vec<String> = record.lineage.stamps().iter().map(|stamp| short(*stamp)).collect();
    let attributes = attributes_text(record.attributes.iter());
    let until = record.deadline.as_millis();
    format!("{{{attributes}}} by {} until {until}", lineage.join("<"))
}

fn attributes_text<'a>(attributes: impl Iterator<Item = (&'a String, &'a Bytes)>) -> String {
    let shown: Vec<String> =
        attributes.map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
    shown.join(", ")
}

/// Enough of a stamp to tell it from the others of one history.
fn short(stamp: Stamp) -> String {
    stamp.as_bytes()[..3].iter().map(|byte| format!("{byte:02x}")).collect()
}
