//! FAIL: faults, of a server and of the network before it.
//!
//! Every operation gets [`tools::BOUND`] to end and every store [`tools::RECOVERY`] to be of use again: both are far more
//! than a store needs, so that a busy machine fails nothing. What is asserted is what happened, not how fast.
//!
//! Not in here: FAIL-13 (a server that asks for less) has no form that every protocol shares, so each backend tests its
//! own mapping table. FAIL-30 to FAIL-34 need peers: they come with those.

mod cluster;
mod copies;
mod down;
mod durable;
mod effect;
mod elections;
mod heal;
mod lost;
mod nodes;
mod slow;
mod tools;
mod wire;

use tools::{with_proxy, with_server};

use crate::case::Case;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    [away(), unanswered(), network(), late(), beyond(), cluster::cases(), elections::cases()].concat()
}

/// Those of them that only a store with copies on several servers can be asked.
pub(super) fn on_copies() -> Vec<Case> {
    cluster::cases()
}

/// Those that only a store on servers that choose their primary can be asked.
pub(super) fn on_sets() -> Vec<Case> {
    elections::cases()
}

/// The server cannot be reached, or dies.
fn away() -> Vec<Case> {
    vec![
        Case {
            id: "CON-26",
            title: "an_unreachable_server_is_an_error_and_never_an_answer",
            explain: "Nothing listens where the server should be. An error that is read as \"no session\" logs \
                everybody out, or writes an empty session over the real one (django-redis-sessions#60, \
                sourcegraph#37016).",
            applies: with_proxy,
            run: |trial| Box::pin(down::unreachable(trial)),
        },
        Case {
            id: "FAIL-01",
            title: "a_server_that_is_down_is_an_error_not_an_absence",
            explain: "The server dies under open connections. Cookies have to outlive that: every operation \
                says that the store is unavailable, none says that there is no session.",
            applies: with_server,
            run: |trial| Box::pin(down::killed(trial)),
        },
        Case {
            id: "FAIL-02",
            title: "a_restart_keeps_what_the_store_claims_to_keep",
            explain: "What a store says of itself is what operators plan with. A session that comes back comes \
                back whole: attributes, lineage and deadline.",
            applies: with_server,
            run: |trial| Box::pin(durable::restart_keeps_what_is_claimed(trial)),
        },
        Case {
            id: "FAIL-03",
            title: "an_acknowledged_write_outlives_a_crash",
            explain: "The server is killed in the middle of a stream of writes. If sessions survive a restart \
                at all, then every write that was acknowledged does (I2).",
            applies: with_server,
            run: |trial| Box::pin(durable::acknowledged_means_durable(trial)),
        },
    ]
}

/// It did what was asked, and nobody heard.
fn unanswered() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-04",
            title: "a_save_whose_answer_is_lost_is_neither_refused_nor_repeated",
            explain: "The write took effect and the answer was cut off. A retry that compares versions reports \
                the writer's own success as a conflict; one that forgets undoes what somebody else wrote \
                meanwhile (I3).",
            applies: with_proxy,
            run: |trial| Box::pin(lost::save(trial)),
        },
        Case {
            id: "FAIL-05",
            title: "a_create_whose_answer_is_lost_is_recognised",
            explain: "A login whose answer was cut off is tried again: it must find its own session, not a \
                stranger's, and not make a second one (I3).",
            applies: with_proxy,
            run: |trial| Box::pin(lost::create(trial)),
        },
        Case {
            id: "FAIL-06",
            title: "an_error_that_swears_no_effect_had_none",
            explain: "Callers build on it: what had no effect may be shown to the user as not done. Under \
                every fault of the network, an operation whose error says \"no effect\" has had none.",
            applies: with_proxy,
            run: |trial| Box::pin(effect::an_oath_is_kept(trial)),
        },
    ]
}

/// The network loses, breaks, delays.
fn network() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-07",
            title: "a_lost_request_ends_in_time",
            explain: "A firewall drops packets silently. Without a time-out every request of the application \
                hangs with it.",
            applies: with_proxy,
            run: |trial| Box::pin(slow::requests_lost(trial)),
        },
        Case {
            id: "FAIL-08",
            title: "a_hundred_resets_are_survived",
            explain: "Connections are reset a hundred times, sometimes in the middle of an operation. The next \
                operation works on a fresh connection and sees its own session.",
            applies: with_proxy,
            run: |trial| Box::pin(wire::resets(trial)),
        },
        Case {
            id: "FAIL-09",
            title: "a_stray_answer_never_reaches_another_operation",
            explain: "Security: an answer that was cut, came late or was abandoned must not be read by the \
                next operation on that connection, or one user sees another's session.",
            applies: with_proxy,
            run: |trial| Box::pin(wire::stray_answers(trial)),
        },
        Case {
            id: "FAIL-10",
            title: "late_answers_do_not_pile_up",
            explain: "The server takes for ever. Many operations at once all end in time, not one after the \
                other, and the store is of use again when the server is.",
            applies: with_proxy,
            run: |trial| Box::pin(slow::late_answers(trial)),
        },
        Case {
            id: "FAIL-11",
            title: "a_paused_server_is_unavailable_until_it_resumes",
            explain: "A frozen server still accepts connections, so that a health check by connecting is \
                blind. Every operation ends in time, and works again soon after.",
            applies: with_server,
            run: |trial| Box::pin(slow::paused(trial)),
        },
        Case {
            id: "FAIL-12",
            title: "a_large_write_through_a_narrow_line_is_whole_or_absent",
            explain: "A write that is cut short by a time-out takes effect as a whole or not at all (S4).",
            applies: with_proxy,
            run: |trial| Box::pin(slow::narrow(trial)),
        },
    ]
}

/// Somebody comes back from the dead, or from sleep.
fn late() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-25",
            title: "a_version_from_before_a_restart_is_refused",
            explain: "Compare tokens that begin again at one with the process let a write from before the \
                restart overwrite a newer value (Memcached).",
            applies: with_server,
            run: |trial| Box::pin(durable::stale_write_after_a_restart(trial)),
        },
        Case {
            id: "FAIL-28",
            title: "a_node_killed_in_a_save_leaves_old_or_new_and_no_lock",
            explain: "An application node dies with a save on its way. The session is as before or as wanted, \
                and nobody waits for what the dead node held.",
            applies: with_proxy,
            run: |trial| Box::pin(nodes::killed_in_a_save(trial)),
        },
        Case {
            id: "FAIL-29",
            title: "a_node_that_slept_undoes_nothing",
            explain: "An application node is paused in the middle of a request while others write and log out. \
                When it wakes up its write is refused: nothing newer is undone (I2), nobody is logged in \
                again (I1).",
            applies: with_proxy,
            run: |trial| Box::pin(nodes::asleep_in_a_save(trial)),
        },
        Case {
            id: "FAIL-35",
            title: "an_outage_makes_no_copy_younger_than_it_is",
            explain: "The store is away. A copy is served to readers that accept its age, and to nobody else: not \
                to a reader of the latest, not past the bound (I7), and an absence to nobody. What another node \
                has ended meanwhile stays ended (I1).",
            applies: with_proxy,
            run: |trial| Box::pin(copies::through_an_outage(trial)),
        },
        Case {
            id: "FAIL-36",
            title: "it_heals_and_settles_after_every_fault",
            explain: "After each fault everything works again without help, all nodes see the same, and no \
                acknowledged write is missing (I2).",
            applies: with_proxy,
            run: |trial| Box::pin(heal::settles(trial)),
        },
    ]
}

/// Beyond the catalogue: the other operations, and two things that a restart must not do.
fn beyond() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-37",
            title: "a_touch_whose_answer_is_lost_extends_once",
            explain: "A touch that is tried again asks for the same moment: the deadline does not creep.",
            applies: with_proxy,
            run: |trial| Box::pin(lost::touch(trial)),
        },
        Case {
            id: "FAIL-38",
            title: "a_delete_whose_answer_is_lost_is_tried_again_safely",
            explain: "A logout whose answer was cut off is tried again: it succeeds, though nothing is there \
                any more (S14).",
            applies: with_proxy,
            run: |trial| Box::pin(lost::delete(trial)),
        },
        Case {
            id: "FAIL-39",
            title: "an_install_whose_answer_is_lost_is_recognised",
            explain: "Repair and migration try again, too: an installation that has happened answers so (S17). \
                Repair and migration try again, too: an installation that has happened answers so (S17).",
            applies: with_proxy,
            run: |trial| Box::pin(lost::install(trial)),
        },
        Case {
            id: "FAIL-40",
            title: "a_restart_while_idle_goes_unnoticed",
            explain: "The server is restarted at night. The store finds out by itself that its connections and \
                its prepared scripts are gone.",
            applies: with_server,
            run: |trial| Box::pin(down::restarted_while_idle(trial)),
        },
        Case {
            id: "FAIL-41",
            title: "a_logout_outlives_a_crash",
            explain: "A logout was acknowledged, then the server died. The session does not come back with it \
                (I1).",
            applies: with_server,
            run: |trial| Box::pin(durable::logout_outlives_a_crash(trial)),
        },
    ]
}
