//! The lost-update checker examined: one hand-made log for each anomaly, and a sound one.

use holdover_conformance::history::AppendOutcome::{self, Refused, Saved};
use holdover_conformance::history::{AppendLog, AppendRequest, AppendToken};

fn request(client: usize, read: &[AppendToken], token: AppendToken, outcome: AppendOutcome) -> AppendRequest {
    AppendRequest { client, session: 0, read: read.to_vec(), token, outcome }
}

fn log(requests: Vec<AppendRequest>, last: &[AppendToken]) -> AppendLog {
    AppendLog { requests, finals: vec![last.to_vec()] }
}

#[test]
fn a_sound_log_passes_every_check() {
    let requests = vec![
        request(0, &[], 1, Saved),
        request(1, &[], 2, Refused),
        request(1, &[1], 3, Saved),
        request(0, &[1, 3], 4, Saved),
    ];
    let log = log(requests, &[1, 3, 4]);
    assert_eq!(log.check_updates(), Ok(()));
    assert_eq!(log.check_session_guarantees(), Ok(()));
    assert_eq!(log.check_order(), Ok(()));
    assert_eq!(log.refusals(), 1);
}

#[test]
fn a_lost_append_is_found() {
    let requests = vec![request(0, &[], 1, Saved), request(1, &[], 2, Saved)];
    let error = log(requests, &[2]).check_updates().unwrap_err();
    assert!(error.contains("lost update: token 1"), "{error}");
}

#[test]
fn an_append_that_took_effect_twice_is_found() {
    let error = log(vec![request(0, &[], 1, Saved)], &[1, 1]).check_updates().unwrap_err();
    assert!(error.contains("2 times"), "{error}");
}

#[test]
fn an_effect_of_a_refused_append_is_found() {
    let requests = vec![request(0, &[], 1, Saved), request(1, &[], 2, Refused)];
    let error = log(requests, &[1, 2]).check_updates().unwrap_err();
    assert!(error.contains("was refused and yet it is there"), "{error}");
}

#[test]
fn an_append_over_what_its_writer_had_not_read_is_found() {
    let requests = vec![request(0, &[], 1, Saved), request(1, &[], 2, Saved)];
    let error = log(requests, &[1, 2]).check_updates().unwrap_err();
    assert!(error.contains("over exactly what it had read"), "{error}");
}

#[test]
fn a_read_of_what_never_was_is_found() {
    let requests = vec![request(0, &[], 1, Saved), request(1, &[9], 2, Refused)];
    let error = log(requests, &[1]).check_updates().unwrap_err();
    assert!(error.contains("read [9]"), "{error}");
}

#[test]
fn a_client_that_misses_its_own_write_is_found() {
    let requests = vec![request(0, &[], 1, Saved), request(0, &[], 2, Refused)];
    let log = log(requests, &[1]);
    assert_eq!(log.check_updates(), Ok(()), "nothing is lost");
    assert!(log.check_session_guarantees().unwrap_err().contains("token 1"));
}

#[test]
fn a_client_whose_reads_go_back_is_found() {
    let requests = vec![
        request(0, &[], 1, Saved),
        request(0, &[1], 2, Saved),
        request(1, &[1, 2], 3, Refused),
        request(1, &[1], 4, Refused),
    ];
    let log = log(requests, &[1, 2]);
    assert_eq!(log.check_updates(), Ok(()), "nothing is lost");
    assert!(log.check_session_guarantees().unwrap_err().contains("client 1"));
}

#[test]
fn writes_out_of_program_order_are_found() {
    let requests = vec![request(0, &[], 1, Saved), request(0, &[], 2, Saved)];
    let error = log(requests, &[2, 1]).check_order().unwrap_err();
    assert!(error.contains("before its older one"), "{error}");
}

#[test]
fn a_write_without_what_its_writer_had_read_before_it_is_found() {
    let requests = vec![request(0, &[], 1, Saved), request(1, &[1], 2, Saved)];
    let error = log(requests, &[2, 1]).check_order().unwrap_err();
    assert!(error.contains("client 1 read 1 and then wrote 2"), "{error}");
}
