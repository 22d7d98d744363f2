//! FAIL-61 to FAIL-67: a store on servers that choose among themselves which one takes writes, and choose another.
//!
//! The stores of a private set wait for longer than a choice takes, so that no error may tell of one: every operation is
//! idempotent, and whatever a change of the primary interrupts can be tried again within that time. Two application nodes
//! work on the whole set while it is broken; their ledger is audited once everybody is back.

mod changes;
mod copies;
mod majority;
mod tools;

use tools::{with_replica_reads, with_set};

use crate::case::Case;

/// The cases on elections.
pub(super) fn cases() -> Vec<Case> {
    [changes(), copies(), majorities()].concat()
}

/// The primary goes, in one way or another.
fn changes() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-61",
            title: "a_primary_that_hands_over_is_missed_by_nobody",
            explain: "Three times the primary steps down under load, as in every upgrade. No error comes out, since a \
                second attempt within the store's time reaches the next one; no acknowledged write is lost (I2), none \
                happens twice (I3), no logout is undone (I1).",
            applies: with_set,
            run: |trial| Box::pin(changes::handed_over(trial)),
        },
        Case {
            id: "FAIL-62",
            title: "a_primary_that_dies_under_load_takes_nothing_with_it",
            explain: "The primary is killed under load, another one is chosen, and the dead one comes back with what it \
                knew. As FAIL-61: no error, nothing acknowledged is lost, nothing happens twice.",
            applies: with_set,
            run: |trial| Box::pin(changes::killed(trial)),
        },
        Case {
            id: "FAIL-63",
            title: "a_primary_that_wakes_up_late_is_believed_by_nobody",
            explain: "The primary freezes under load until another one is chosen, then goes on and is kept from \
                noticing, so that both think that they are it. As FAIL-61; and as long as that lasts no node reads \
                anything older than what was acknowledged while it slept (S2).",
            applies: with_set,
            run: |trial| Box::pin(changes::frozen(trial)),
        },
    ]
}

/// A copy lags, and may be read.
fn copies() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-64",
            title: "a_replica_that_lags_is_no_older_than_its_reader_allows",
            explain: "One replica stands still, and reads may go to it. Who asks for a write that it lacks is not answered \
                from it (S3), nor is who asks for the latest (S2), and no session is absent because a replica has never \
                heard of it.",
            applies: with_replica_reads,
            run: |trial| Box::pin(copies::no_older_than_asked_for(trial)),
        },
        Case {
            id: "FAIL-65",
            title: "a_replica_that_lags_knows_no_deadline",
            explain: "One replica stands still while deadlines move. A session that was extended is found though its old \
                copy is over (I5); one that was shortened is not served past its deadline to anybody who knows of that \
                write, or asks for the latest (I4); what nobody moved ends when every copy says so.",
            applies: with_replica_reads,
            run: |trial| Box::pin(copies::deadlines_have_moved(trial)),
        },
    ]
}

/// Nobody but the primary has it.
fn majorities() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-66",
            title: "a_write_that_no_majority_has_is_not_acknowledged",
            explain: "Every replica stands still: what is written, the primary alone has, and the next election undoes it. \
                No write is acknowledged, not even when it is tried again and finds itself there already (I2), and no \
                error swears that nothing happened. Once the replicas go on each write is there or not, for everybody \
                alike, and trying it again works.",
            applies: with_set,
            run: |trial| Box::pin(majority::not_acknowledged(trial)),
        },
        Case {
            id: "FAIL-67",
            title: "a_primary_that_dies_with_what_nobody_else_has_dies_with_nothing_acknowledged",
            explain: "Every replica stands still while sessions are created, written to and logged out, then the primary is \
                killed and another one is chosen without it. Whatever was acknowledged, before or after, is there (I2), \
                and stays when the dead one is back; a logout stays one (I1).",
            applies: with_set,
            run: |trial| Box::pin(majority::dies_alone(trial)),
        },
    ]
}
