//! The cases over broken stores: each of these has been seen to fail.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt;

use crate::stage::Kind;
use crate::{cookies, expiry, interface, races};

type Scenario = fn(Kind) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! scenario {
    ($path:path) => {
        (|kind| Box::pin($path(kind))) as Scenario
    };
}

/// Broken stores of the conformance suite, and the case over HTTP that has to notice.
fn caught() -> Vec<(&'static str, Scenario)> {
    vec![
        // A writer's whole record wins.
        ("race-m02", scenario!(races::sixty_parallel_writes_on_two_nodes_with_work_between_are_all_kept)),
        // A write on a head merges without comparing.
        ("race-m03", scenario!(races::sixty_parallel_increments_count_each_number_once)),
        ("race-m03", scenario!(races::sixty_parallel_appends_are_all_kept)),
        // A save creates what is not there.
        ("race-m04", scenario!(races::a_slow_request_does_not_undo_a_logout)),
        // A tombstone that is written to is a session again.
        ("con-m25w", scenario!(races::a_slow_request_does_not_undo_a_login)),
        // A touch writes back what was loaded.
        ("race-m05", scenario!(expiry::slow_readers_never_undo_a_write)),
        // A touch creates what is not there.
        ("race-m06", scenario!(expiry::slow_readers_never_bring_back_a_session)),
        // A touch is acknowledged and not stored.
        ("exp-m19", scenario!(expiry::a_session_that_is_read_lives_on_until_its_absolute_end)),
        // Each node keeps its own sessions.
        ("con-m41", scenario!(races::a_write_on_one_node_is_read_on_the_other)),
        // A deletion is acknowledged and does nothing.
        ("con-m04d", scenario!(interface::a_logout_destroys_the_session)),
        // A burial is acknowledged and not made.
        ("con-m09b", scenario!(interface::a_login_renews_the_id_and_keeps_the_attributes)),
        // A record without attributes reads as no session.
        ("con-m53e", scenario!(interface::an_attribute_is_set_read_and_removed)),
        // An attribute that is there already keeps its value.
        ("con-m22v", scenario!(interface::every_json_value_comes_back_as_it_was)),
        // A load of an unknown key creates an empty session.
        ("con-m08-load", scenario!(cookies::a_foreign_id_is_looked_up_and_never_adopted)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_store_is_caught() {
    let mut missed = Vec::new();
    for (number, (id, scenario)) in caught().into_iter().enumerate() {
        // On the sound base first: what fails there would catch anything.
        scenario(Kind::Mutant("sound")).await;
        let outcome = AssertUnwindSafe(scenario(Kind::Mutant(id))).catch_unwind().await;
        if outcome.is_ok() {
            missed.push(format!("{id} by case {number}"));
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
