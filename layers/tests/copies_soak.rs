//! A short soak, from a fixed seed: load while servers die, freeze and are cut off, one at a time, with an audit after
//! each. `holdover-conformance --soak` does the same for hours.

#[allow(dead_code, reason = "each of the tests that share the rig uses a part of it")]
mod rig;

use std::sync::Arc;

use holdover_conformance::{Copies, Ending, Harness, SoakLength, SoakReport, soak};
use holdover_layers::failover::{FailoverSettings, Rules};
use holdover_layers::ring::RingSettings;
use rig::stores;

const SEED: u64 = 0x50a4;
const FAULTS: usize = 8;

async fn soaked(harness: Arc<dyn Harness>) -> Result<SoakReport, Ending> {
    soak(&harness, SEED, SoakLength::Faults(FAULTS), |_| {}).await
}

async fn is_sound(harness: Arc<dyn Harness>) {
    let report = soaked(harness).await.expect("the store goes on and settles");
    assert!(report.is_sound(), "{report}: {:#?}", report.told);
    assert_eq!(report.faults, FAULTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_keeps_every_promise_through_a_soak() {
    is_sound(rig::Pairs::over("pair", Copies::PAIR, |members, clock| {
        stores::pair(members, clock, stores::settings())
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_is_backed_up_later_keeps_what_it_promises_through_a_soak() {
    let later = Copies { before_the_answer: false, ..Copies::PAIR };
    is_sound(rig::Pairs::over("backed up later", later, stores::backed_up_later)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_keeps_every_promise_through_a_soak() {
    let many = Copies { ring: true, ..Copies::PAIR };
    is_sound(rig::Pairs::over("ring", many, |members, clock| {
        let settings = RingSettings { failover: stores::settings(), ..RingSettings::default() };
        stores::ring(members, &clock, &settings)
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_notices_sessions_that_come_back() {
    let rules = Rules { tombstones: false, ..Rules::ALL };
    let broken = rig::Pairs::over("pair", Copies::PAIR, move |members, clock| {
        stores::pair(members, clock, FailoverSettings { rules, ..stores::settings() })
    });
    let report = soaked(broken).await.expect("the store goes on and settles");
    assert!(!report.is_sound() && report.resurrected > 0, "{report}");
}
