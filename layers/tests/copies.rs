//! The exam for stores that keep two copies, over small real servers in this process:
//! `cargo test -p holdover-layers --test copies [filter]`.

mod rig;

use std::process::ExitCode;

use holdover_conformance::{Copies, main_of};
use holdover_layers::ring::RingSettings;
use rig::stores;

fn main() -> ExitCode {
    let later = Copies { before_the_answer: false, ..Copies::PAIR };
    let many = Copies { ring: true, ..Copies::PAIR };
    main_of(vec![
        rig::Pairs::over("pair", Copies::PAIR, |members, clock| {
            stores::pair(members, clock, stores::settings())
        }),
        rig::Pairs::over("backed up later", later, stores::backed_up_later),
        rig::Pairs::over("ring", many, |members, clock| {
            let settings = RingSettings { failover: stores::settings(), ..RingSettings::default() };
            stores::ring(members, &clock, &settings)
        }),
    ])
}
