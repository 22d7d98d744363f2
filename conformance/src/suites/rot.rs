//! ROT-01 to ROT-35: sessions in tables that follow each other.
//!
//! Each case has a server of its own whose clock moves by hand, and nodes whose clocks follow it, a little ahead or behind.

mod boundary;
mod clocks;
mod gated;
mod orders;
mod stage;
mod tables;

use crate::case::{Case, Running};
use crate::trial::Trial;

/// The cases on rotation.
pub(super) fn cases() -> Vec<Case> {
    [at_the_boundary(), of_moves(), of_clocks(), of_tables(), of_others()].concat()
}

fn case(id: &'static str, title: &'static str, explain: &'static str, run: fn(Trial) -> Running) -> Case {
    Case { id, title, explain, applies: stage::on_tables, run }
}

fn at_the_boundary() -> Vec<Case> {
    vec![
        case(
            "ROT-01",
            "a_session_in_use_follows_its_user_from_table_to_table",
            "Touched through three periods it is alive, whole, and each touch promises a full lease (I5).",
            |trial| Box::pin(boundary::follows_its_user(trial)),
        ),
        case(
            "ROT-02",
            "an_idle_session_ends_at_its_deadline_and_its_table_soon_after",
            "Alive to the last millisecond, dead at the deadline (I4), and no room is taken long after.",
            |trial| Box::pin(boundary::idle_sessions_end(trial)),
        ),
        case(
            "ROT-03",
            "a_request_that_only_reads_leaves_no_husk_on_the_other_side_of_a_boundary",
            "Loaded before, touched after. An update that creates what is missing leaves a session without content there: \
             one user on one node was logged out (dynamodb-session-manager).",
            |trial| Box::pin(boundary::read_only_astride(trial)),
        ),
        case(
            "ROT-04",
            "a_write_astride_of_a_boundary_is_read_by_everybody",
            "Loaded before, saved after: the new data, and the rest of the session with it (I2).",
            |trial| Box::pin(boundary::writing_astride(trial)),
        ),
        case(
            "ROT-05",
            "a_reader_does_not_carry_an_old_copy_over_a_new_one",
            "One request reads the old table, another one saves, the first one ends with a touch. A reader that moves what \
             it has read undoes the save (I2).",
            |trial| Box::pin(boundary::reader_against_writer(trial)),
        ),
        case(
            "ROT-06",
            "writers_at_a_boundary_lose_nothing_whatever_the_order_of_their_accesses",
            "Stopped before every access, in every order of those who have loaded the session, and in some drawn of those \
             who have not: of two on one head one wins and the other is told, and two merges are both there (I2).",
            |trial| Box::pin(gated::writer_against_writer(trial)),
        ),
        case(
            "ROT-07",
            "a_slow_writer_into_the_old_table_meets_what_has_happened_since",
            "It holds a copy from the old table, and its clock still shows the old period; the session has been carried on \
             and written to. It gets a conflict, and not an acknowledgement that nobody sees (I2).",
            |trial| Box::pin(boundary::slow_writer_into_the_old_table(trial)),
        ),
        case(
            "ROT-08",
            "a_save_on_a_slow_node_is_not_shadowed_by_a_copy_in_the_new_table",
            "One user, whose requests go to a fast node, a slow node and the fast one again (I2).",
            |trial| Box::pin(boundary::save_on_the_slow_node(trial)),
        ),
        case(
            "ROT-09",
            "a_slow_node_reads_what_a_fast_node_has_written",
            "The fast node writes to a table that the slow node's clock has not reached.",
            |trial| Box::pin(boundary::load_on_the_slow_node(trial)),
        ),
        case(
            "ROT-10",
            "a_login_on_a_fast_node_is_known_on_a_slow_one",
            "Otherwise a user is logged out right after the login, for as long as clocks differ (I5).",
            |trial| Box::pin(boundary::login_on_the_fast_node(trial)),
        ),
    ]
}

fn of_moves() -> Vec<Case> {
    vec![
        case(
            "ROT-11",
            "a_logout_on_a_slow_node_reaches_the_session_in_the_new_table",
            "A node that deletes only where its clock looks leaves the session alive (I1).",
            |trial| Box::pin(boundary::logout_on_the_slow_node(trial)),
        ),
        case(
            "ROT-12",
            "a_logout_in_the_old_table_ends_the_session_in_the_new",
            "Neither a touch nor a save of what was loaded before carries it on, whatever the order of their accesses and \
             the logout's (I1).",
            |trial| Box::pin(boundary::logout_before_a_move(trial)),
        ),
        case(
            "ROT-13",
            "what_is_left_in_the_old_table_does_not_bring_a_session_back",
            "The old copy is still there when the new one is logged out. Without a tombstone a reader carries it on again; \
             or one does that has read the old copy before the logout, and puts it where the tombstone is (I1).",
            |trial| Box::pin(boundary::logout_after_a_move(trial)),
        ),
        case(
            "ROT-14",
            "a_session_whose_mover_died_is_served_as_it_was_left",
            "The old table says that it went and the new one does not have it. Whoever comes next completes the move, with \
             the dead mover's write, once (I3, I5).",
            |trial| Box::pin(boundary::mover_dies(trial)),
        ),
        case(
            "ROT-15",
            "two_who_complete_the_move_of_a_dead_mover_make_one_session",
            "Both have found what it left and are stopped before they put it: together they make one session with one \
             history, and whoever comes last undoes nothing (I2, I3).",
            |trial| Box::pin(gated::two_helpers(trial)),
        ),
        case(
            "ROT-16",
            "a_move_is_no_write",
            "A request that holds the head writes on it, though a touch has carried the session on meanwhile.",
            |trial| Box::pin(boundary::version_is_carried(trial)),
        ),
    ]
}

fn of_clocks() -> Vec<Case> {
    vec![
        case(
            "ROT-17",
            "a_session_that_moves_behind_a_reader_is_found",
            "It has found nothing in the new table and is stopped before the old one; the session is carried on, and the \
             old table goes. A table that is not there is not an empty one (I5).",
            |trial| Box::pin(gated::moved_behind_a_reader(trial)),
        ),
        case(
            "ROT-18",
            "a_table_that_is_gone_too_early_costs_nothing_but_what_was_in_it",
            "Other sessions are served, unknown keys are unknown, and no write is acknowledged into what is gone (I2).",
            |trial| Box::pin(clocks::dropped_too_early(trial)),
        ),
        case(
            "ROT-19",
            "a_node_that_starts_just_after_a_boundary_finds_sessions_in_the_old_table",
            "A rotation that is remembered instead of computed begins with one table (I5).",
            |trial| Box::pin(clocks::restart_after_a_boundary(trial)),
        ),
        case(
            "ROT-20",
            "a_node_that_slept_over_boundaries_drops_no_live_table",
            "Over one, two and five. Its own history is not what exists: the table that it does not remember is where \
             everybody's sessions are (I5).",
            |trial| Box::pin(clocks::asleep(trial)),
        ),
        case(
            "ROT-21",
            "a_node_whose_clock_is_periods_off_keeps_its_hands_off_the_tables",
            "Ahead and behind: it neither creates nor drops, and says why.",
            |trial| Box::pin(clocks::a_clock_far_ahead(trial)),
        ),
        case(
            "ROT-22",
            "a_clock_that_steps_back_over_a_boundary_writes_to_no_older_copy",
            "What it wrote before and after the step is there, once each (I2).",
            |trial| Box::pin(clocks::a_clock_steps_back(trial)),
        ),
        case(
            "ROT-23",
            "a_lease_that_is_longer_than_tables_are_kept_is_refused",
            "Anything else would drop sessions alive (I5).",
            |trial| Box::pin(clocks::too_long_a_lease(trial)),
        ),
        case(
            "ROT-24",
            "a_touch_in_the_last_moment_of_a_period_keeps_a_session_for_a_whole_lease",
            "In the old table, by the clock of every node (I5).",
            |trial| Box::pin(clocks::touched_at_the_last_moment(trial)),
        ),
        case(
            "ROT-25",
            "a_touch_that_is_held_up_over_a_boundary_keeps_what_it_promises",
            "It chose the old table and arrives there long after the boundary. With a deadline by a second look at the \
             clock it promises more than the table is kept for (I5).",
            |trial| Box::pin(gated::touch_held_over_the_boundary(trial)),
        ),
        case(
            "ROT-33",
            "no_table_comes_back_below_the_newest",
            "A node that is behind would acknowledge writes there that nobody else looks for (I2).",
            |trial| Box::pin(clocks::no_table_below_the_newest(trial)),
        ),
        case(
            "ROT-35",
            "sessions_that_were_written_late_into_an_old_table_live_to_their_deadline",
            "The next table was late by a quarter of a period. The old one was written to until then, and is kept and read \
             for so much longer (I5).",
            |trial| Box::pin(clocks::written_late_into_the_old_table(trial)),
        ),
    ]
}

fn of_tables() -> Vec<Case> {
    vec![
        case(
            "ROT-26",
            "no_table_is_dropped_before_its_last_lease_has_ended_by_every_clock",
            "By the server's clock: the end of the period, the longest lease, twice the skew and the longest operation (I5).",
            |trial| Box::pin(tables::dropped_not_too_early(trial)),
        ),
        case(
            "ROT-27",
            "tables_do_not_pile_up",
            "After five periods there are four at most: room is taken back.",
            |trial| Box::pin(tables::dropped_in_the_end(trial)),
        ),
        case(
            "ROT-28",
            "a_table_that_is_late_or_slow_to_be_ready_loses_nothing",
            "A quarter of a period late: writes stay where they can be, and the later boundaries are none the worse. One \
             that is there in time and not ready for longer than its period loses nothing: sessions are read, what cannot \
             be written is refused without effect, and the next table ends it (I2, I5).",
            |trial| Box::pin(tables::the_next_table_is_late(trial)),
        ),
        case(
            "ROT-29",
            "nodes_that_create_a_table_at_the_same_time_make_one",
            "That another one was faster is no failure.",
            |trial| Box::pin(tables::many_create_at_once(trial)),
        ),
        case(
            "ROT-30",
            "requests_go_on_while_tables_can_be_neither_listed_nor_created",
            "For three periods. Nothing is dropped, every keeper says what it may not do, and nothing is lost (I2, I5).",
            |trial| Box::pin(tables::tables_cannot_be_kept(trial)),
        ),
        case(
            "ROT-36",
            "users_at_work_over_many_boundaries_lose_nothing",
            "Ours. Three nodes whose clocks differ, ten boundaries, one table in ten late: every load sees what was \
             acknowledged (I2), nobody is logged out (I5), and nobody who logged out comes back (I1).",
            |trial| Box::pin(tables::many_boundaries(trial)),
        ),
        case(
            "ROT-34",
            "a_boundary_costs_one_write_more",
            "Twenty requests in a period write 21 times at most, and read as often.",
            |trial| Box::pin(tables::cost(trial)),
        ),
    ]
}

fn of_others() -> Vec<Case> {
    vec![
        case(
            "ROT-31",
            "tables_are_found_behind_more_than_a_page_of_others",
            "A list has a hundred names to a page. Who reads the first one alone does not see its own tables \
             (dynamodb-session-manager).",
            |trial| Box::pin(tables::more_than_a_page(trial)),
        ),
        case(
            "ROT-32",
            "tables_with_names_like_ours_are_left_alone",
            "A base that is the beginning of another's, other dates, other lengths.",
            |trial| Box::pin(tables::names_like_ours(trial)),
        ),
    ]
}
