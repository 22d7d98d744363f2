//! FAIL-14 to FAIL-24, FAIL-26, FAIL-27, FAIL-42 to FAIL-60, FAIL-68 and FAIL-69: a store that keeps two copies, on
//! servers of which one fails.
//!
//! One fault at a time, of whatever extent: what two servers cannot promise under two faults is FAIL-16 and FAIL-19, which
//! ask that it is counted and not hidden. Most cases strike each server in turn, because on a ring each is the first for
//! some sessions, and run under a load whose ledger is audited once everything is healed and settled.

mod cost;
mod cuts;
mod deaths;
mod limits;
mod logouts;
mod order;
mod ring;
mod tools;
mod touches;
mod writes;

use tools::{of_several_kinds, on_a_ring, with_copies, written_first};

use crate::case::Case;

/// The cases on copies.
pub(super) fn cases() -> Vec<Case> {
    [deaths(), losses(), absences(), logouts(), writes(), orders(), limits(), rings()].concat()
}

/// A server dies, and comes back empty.
fn deaths() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-14",
            title: "the_first_server_dies_and_nobody_notices",
            explain: "The first server is killed under load. Reads and writes go on, nobody is logged out, and every \
                acknowledged write is there (I2). Whoever writes the second copy after the answer loses the newest \
                writes here (memcached-session-manager).",
            applies: with_copies,
            run: |trial| Box::pin(deaths::one_dies(trial, 0)),
        },
        Case {
            id: "FAIL-15",
            title: "a_server_that_comes_back_empty_logs_nobody_out",
            explain: "A server restarts empty and nothing is written meanwhile. Its answer \"I have no such session\" \
                is not the truth: the other one has it, and reading alone seeds the empty one again \
                (memcached-session-manager#267, #300).",
            applies: with_copies,
            run: |trial| Box::pin(deaths::cold_restart(trial)),
        },
        Case {
            id: "FAIL-42",
            title: "the_second_server_dies_and_nobody_notices",
            explain: "As FAIL-14 for the server that holds the second copy: writes must not wait for it.",
            applies: with_copies,
            run: |trial| Box::pin(deaths::one_dies(trial, 1)),
        },
        Case {
            id: "FAIL-45",
            title: "sessions_move_there_and_back_through_two_failovers",
            explain: "One server dies and comes back empty, then the other, then the first again, under load. No \
                server has been up all the time, and no session is lost (I2).",
            applies: with_copies,
            run: |trial| Box::pin(deaths::there_and_back(trial)),
        },
        Case {
            id: "FAIL-46",
            title: "a_server_that_dies_again_at_once_changes_nothing",
            explain: "A server comes back and dies before anybody has filled it. What was half way back on it is \
                still on the other (I2).",
            applies: with_copies,
            run: |trial| Box::pin(deaths::dies_again_at_once(trial)),
        },
    ]
}

/// Nobody is left who could know.
fn losses() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-16",
            title: "sessions_that_no_server_has_any_more_are_counted_as_lost",
            explain: "Both servers restart empty: the sessions are gone. The store says so, or that it is \
                unavailable; it counts the loss, brings no husk back (I1), and serves new sessions.",
            applies: with_copies,
            run: |trial| Box::pin(deaths::both_cold(trial)),
        },
        Case {
            id: "FAIL-43",
            title: "with_every_server_down_the_store_is_unavailable_and_nothing_else",
            explain: "No server can be reached, then none answers, then all are dead. No operation says that a \
                session is absent, and no login is acknowledged.",
            applies: with_copies,
            run: |trial| Box::pin(deaths::all_down(trial)),
        },
        Case {
            id: "FAIL-58",
            title: "an_empty_server_by_itself_cannot_say_that_a_session_is_gone",
            explain: "A server has come back empty, and before anybody has filled it the other one is cut off. That \
                the empty one has no such session proves nothing: the store is unavailable until the other is back, \
                and nobody is logged out.",
            applies: with_copies,
            run: |trial| Box::pin(deaths::empty_and_alone(trial)),
        },
    ]
}

/// A server is away, and comes back with what it had.
fn absences() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-17",
            title: "a_server_that_was_cut_off_is_not_believed",
            explain: "Writes go on without a server that is cut off. When it is back, its old copies are neither \
                read nor written over the newer ones, and are brought up to date (memcached-session-manager#300).",
            applies: with_copies,
            run: |trial| Box::pin(cuts::stale_after_a_cut(trial)),
        },
        Case {
            id: "FAIL-18",
            title: "a_server_that_one_node_has_lost_splits_nothing",
            explain: "One application node cannot reach a server and all others can. Both go on, and what either \
                has acknowledged is there for both.",
            applies: written_first,
            run: |trial| Box::pin(cuts::for_one_node_only(trial)),
        },
        Case {
            id: "FAIL-19",
            title: "what_two_faults_in_a_row_lose_is_counted",
            explain: "First one server is alone, then the other, and nobody has read the session in between: two \
                servers cannot keep both writes. The loss is counted as a divergence and not hidden.",
            applies: with_copies,
            run: |trial| Box::pin(cuts::one_then_the_other(trial)),
        },
        Case {
            id: "FAIL-26",
            title: "a_second_store_of_another_kind_takes_over_and_gives_back",
            explain: "As FAIL-17 where the copies are kept by stores of different kinds: the copies are compared by \
                what was written, not by what one kind of server counts.",
            applies: of_several_kinds,
            run: |trial| Box::pin(cuts::stale_after_a_cut(trial)),
        },
        Case {
            id: "FAIL-27",
            title: "a_server_that_comes_and_goes_rolls_nothing_back",
            explain: "A server is reachable and not, again and again. No value oscillates between old and new, and \
                nothing that was acknowledged is lost (I2).",
            applies: with_copies,
            run: |trial| Box::pin(cuts::flapping(trial)),
        },
        Case {
            id: "FAIL-44",
            title: "a_server_that_slept_is_not_believed",
            explain: "As FAIL-17 with a server that is frozen (`SIGSTOP`): it accepts connections, and when it wakes \
                up it works through requests that everybody has given up.",
            applies: with_copies,
            run: |trial| Box::pin(cuts::stale_after_a_sleep(trial)),
        },
    ]
}

/// A logout reaches one server only.
fn logouts() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-20",
            title: "a_logout_without_the_second_server_stays_a_logout",
            explain: "Security: a logout is acknowledged while the second server is away. The copy that slept \
                through it does not revive the session, not even once it is the only one (I1).",
            applies: with_copies,
            run: |trial| Box::pin(logouts::while_away(trial, 1)),
        },
        Case {
            id: "FAIL-21",
            title: "a_logout_without_the_first_server_stays_a_logout",
            explain: "As FAIL-20 while the first server is away.",
            applies: with_copies,
            run: |trial| Box::pin(logouts::while_away(trial, 0)),
        },
        Case {
            id: "FAIL-50",
            title: "a_logout_in_the_middle_of_a_failover_stays_a_logout",
            explain: "Security: the logout itself is what finds out that a server is dead. Once acknowledged, the \
                session is dead on the server that is left and on the one that comes back (I1).",
            applies: with_copies,
            run: |trial| Box::pin(logouts::during_a_failover(trial)),
        },
        Case {
            id: "FAIL-69",
            title: "a_logout_of_a_session_that_one_server_threw_out_stays_a_logout",
            explain: "Security: one server has thrown a session out to make room, and the other, which holds it, is \
                cut off when the user logs out. Nobody can tell how old the session was. If the logout is \
                acknowledged, the copy that comes back is dead (I1).",
            applies: with_copies,
            run: |trial| Box::pin(logouts::of_a_session_thrown_out(trial)),
        },
    ]
}

/// A write reaches one copy and not the other.
fn writes() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-22",
            title: "a_copy_that_was_evicted_is_served_from_the_other_and_put_back",
            explain: "A server has thrown one session out to make room. It looks like an expiry and is none: the \
                other copy is served, and the first one made again.",
            applies: with_copies,
            run: |trial| Box::pin(writes::evicted(trial)),
        },
        Case {
            id: "FAIL-24",
            title: "a_write_that_failed_on_one_server_is_not_smuggled_in_by_the_other",
            explain: "One server fails in the middle of a write. What was acknowledged is in both copies, and what \
                was refused or sworn to be without effect is in neither.",
            applies: with_copies,
            run: |trial| Box::pin(writes::failed_on_one(trial)),
        },
        Case {
            id: "FAIL-49",
            title: "a_write_in_flight_when_its_server_dies_happens_once",
            explain: "The server is killed with the write on its way, or with the answer on its way back. If it was \
                acknowledged it is on the other server; the same write once more takes effect once (I2, I3).",
            applies: written_first,
            run: |trial| Box::pin(writes::killed_in_a_write(trial)),
        },
        Case {
            id: "FAIL-56",
            title: "an_answer_lost_between_two_copies_is_neither_refused_nor_repeated",
            explain: "As FAIL-04, FAIL-05 and FAIL-38, where one of two servers did what was asked and its answer \
                was cut off: nobody meets his own write as a stranger's (I3).",
            applies: with_copies,
            run: |trial| Box::pin(writes::answer_lost(trial)),
        },
        Case {
            id: "FAIL-57",
            title: "an_extension_that_one_server_missed_is_kept",
            explain: "A touch changes no content, so that copies look the same after it. The one that missed it is \
                extended all the same, or the user is logged out early once it is the only one (S12).",
            applies: with_copies,
            run: |trial| Box::pin(writes::extended_on_one(trial)),
        },
    ]
}

/// Two writers meet half way.
fn orders() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-23",
            title: "copies_are_written_in_one_order",
            explain: "Two nodes write, and one of them is slow on its way to one server. Both copies end with both \
                writes and the same one last; two that are written side by side end apart.",
            applies: with_copies,
            run: |trial| Box::pin(order::overtaken(trial)),
        },
        Case {
            id: "FAIL-59",
            title: "a_write_that_is_half_way_gives_way_to_one_that_was_acknowledged",
            explain: "One node has written the first copy and not yet the second when another node, which reaches one \
                server only, writes there and is answered. What was answered counts, and the other write is made \
                after it (I2).",
            applies: written_first,
            run: |trial| Box::pin(order::overtaken_by_one_that_is_cut_off(trial)),
        },
        Case {
            id: "FAIL-60",
            title: "an_extension_that_meets_a_write_half_way_is_kept",
            explain: "As FAIL-59 where the other node extends the session: the write that is made after it does not \
                take the extension back, or the user is logged out early (S10, S12).",
            applies: written_first,
            run: |trial| Box::pin(order::extended_by_one_that_is_cut_off(trial)),
        },
        Case {
            id: "FAIL-68",
            title: "an_extension_that_was_seen_half_way_happens_once",
            explain: "One node has extended the first copy and not yet the second when another node sees it, and \
                writes that the session ends earlier. The extension was before that write, and is not made again \
                after it.",
            applies: written_first,
            run: |trial| Box::pin(touches::taken_back(trial)),
        },
    ]
}

/// What it costs, with and without faults.
fn limits() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-51",
            title: "every_lookup_ends_whatever_is_down",
            explain: "Each server is up, cut off or frozen, in every combination. Every lookup ends in time; a live \
                session is never absent, and an unknown id finds nothing.",
            applies: with_copies,
            run: |trial| Box::pin(limits::every_lookup_ends(trial)),
        },
        Case {
            id: "FAIL-52",
            title: "a_hung_server_costs_one_time_out",
            explain: "A frozen server is found out by a time-out. Once a node knows, its operations go on without \
                asking it, instead of waiting each time.",
            applies: with_copies,
            run: |trial| Box::pin(limits::a_hung_server_is_asked_once(trial)),
        },
        Case {
            id: "FAIL-53",
            title: "a_dead_server_costs_one_failed_connection",
            explain: "A dead server is found out by the first operation. The next ones do not knock again.",
            applies: with_copies,
            run: |trial| Box::pin(limits::a_dead_server_is_tried_once(trial)),
        },
        Case {
            id: "FAIL-54",
            title: "two_copies_cost_two_calls_to_read_and_two_to_write",
            explain: "Counted on the wire: a read asks both servers at the same time; a request that reads and writes \
                takes four calls, a login, an extension and a logout at most four.",
            applies: with_copies,
            run: |trial| Box::pin(cost::calls(trial)),
        },
        Case {
            id: "FAIL-55",
            title: "nobody_asks_behind_your_back",
            explain: "Without operations there are no calls: no pings, no sweeps, no queues that are worked off.",
            applies: with_copies,
            run: |trial| Box::pin(cost::quiet(trial)),
        },
    ]
}

/// Servers come and go for good.
fn rings() -> Vec<Case> {
    vec![
        Case {
            id: "FAIL-47",
            title: "a_server_that_is_added_takes_over_a_share_and_loses_nothing",
            explain: "A third server is configured. Some sessions move to it, the others stay, and each is found by \
                everybody, with two copies.",
            applies: on_a_ring,
            run: |trial| Box::pin(ring::added(trial)),
        },
        Case {
            id: "FAIL-48",
            title: "a_server_that_is_removed_leaves_everything_behind",
            explain: "One of three servers is taken out of the configuration and switched off. What it held is on \
                the others, twice.",
            applies: on_a_ring,
            run: |trial| Box::pin(ring::removed(trial)),
        },
    ]
}
