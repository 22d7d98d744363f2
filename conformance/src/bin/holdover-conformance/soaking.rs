//! Load for as long as wanted while faults strike.

use std::time::Duration;

use holdover_conformance::{Ending, SoakLength, Status, fresh_seed, soak};

use crate::args::Run;
use crate::store;

pub(crate) async fn soaked(run: Run) -> Result<Status, String> {
    let Some(url) = &run.store else {
        return Err("name a store with --store <url>: --soak has to know what to break".to_owned());
    };
    let seed = run.seed.map_or_else(fresh_seed, Ok)?;
    let minutes = run.soak.unwrap_or_default();
    let examined = store::examined(url, fresh_seed()?)?;
    println!("store  {}", examined.harness.name());
    println!("seed   {seed:#018x}  (--seed)\n");
    let length = SoakLength::Time(Duration::from_secs(minutes.saturating_mul(60)));
    let ended = soak(&examined.harness, seed, length, |fault| println!("{fault}")).await;
    let report = match ended {
        Ok(report) => report,
        Err(Ending::Error(why)) => return Err(why),
        Err(ending) => {
            println!("\n{}", ending.text());
            return Ok(Status::NonConformant);
        }
    };
    println!("\n{report}");
    for told in &report.told {
        println!("  {told}");
    }
    Ok(if report.is_sound() { Status::Conformant } else { Status::NonConformant })
}
