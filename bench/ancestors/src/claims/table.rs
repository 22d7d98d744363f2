//! Everything in one table.

use super::calls::{by_kind, waits};
use super::failover::{lost as failover, returned};
use super::logout::resurrections;
use super::lost::updates;
use super::memory::{Use, lost as died};
use crate::job::{Failure, Work};
use crate::lab::{Lab, System};

pub(crate) async fn run() -> Result<(), Failure> {
    // Fails at once if a server is missing, and not after minutes.
    drop(Lab::of(System::OursMongodb).await?);
    drop(Lab::of(System::OursDynamodb).await?);
    println!(
        "\nOf 50 pairs of requests that overlap, 50 logouts under a request, 40 sessions under a fault; see the claims one by one\n"
    );
    println!(
        "| | calls: read, modify | waits for: read, modify | lost updates: own attribute, counter | alive after logout: reader, \
         writer | a store server dies: lost, logged out | believed when it is back: stale, logged out | lost when an application node dies |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for system in System::ALL {
        let calls = by_kind(system).await?;
        let (read, modify) = (waits(system, Work::Read).await?, waits(system, Work::Set("n", 1)).await?);
        let (each, counter) = (updates(system, false).await?, updates(system, true).await?);
        let reader = resurrections(system, Work::Read).await?.told("");
        let writer = resurrections(system, Work::Set("a", 1)).await?.told("");
        let (dies, back) = if system.has_two_copies() {
            let seen = failover(system).await?;
            let back = returned(system).await?;
            (format!("{}, {}", seen.lost, seen.logged_out), format!("{}, {}", back.stale, back.alive))
        } else {
            ("one copy".to_owned(), "one copy".to_owned())
        };
        let (died, _) = died(system, Use::Always).await?;
        println!(
            "| {} | {:.0}, {:.0} | {read:.1}, {modify:.1} | {each}, {counter} | {reader}, {writer} | {dies} | {back} | {died} |",
            system.name(),
            calls[1],
            calls[2]
        );
    }
    Ok(())
}
