//! Load for as long as wanted while faults strike.

use std::time::Duration;

use holdover_api::Stopwatch;
use holdover_conformance::{Ending, SoakLength, SoakReport, Status, Transcript, fresh_seed, soak};

use crate::args::Run;
use crate::output::Outputs;
use crate::store;

pub(crate) async fn soaked(run: Run) -> Result<Status, String> {
    let outputs = Outputs::of(&run.report, &run.out)?;
    let Some(url) = &run.store else {
        return Err("name a store with --store <url>: --soak has to know what to break".to_owned());
    };
    let seed = run.seed.map_or_else(fresh_seed, Ok)?;
    let minutes = run.soak.unwrap_or_default();
    let examined = store::examined(url, fresh_seed()?)?;
    // A report that takes the standard output has it for itself.
    let tell = |line: &str| {
        if outputs.take_stdout() {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    };
    let name = examined.harness.name();
    tell(&format!("store  {name}\nseed   {seed:#018x}  (--seed)\n"));
    let length = SoakLength::Time(Duration::from_secs(minutes.saturating_mul(60)));
    let since = Stopwatch::start();
    let ended = soak(&examined.harness, seed, length, &tell).await;
    if let Err(Ending::Error(why)) = ended {
        return Err(why);
    }
    tell(&summary(&ended));
    let transcript = Transcript::of_soak(&name, seed, &ended, since.elapsed());
    outputs.write(&transcript)?;
    Ok(transcript.status)
}

fn summary(ended: &Result<SoakReport, Ending>) -> String {
    match ended {
        Ok(report) => {
            let told: String = report.told.iter().map(|told| format!("\n  {told}")).collect();
            format!("\n{report}{told}")
        }
        Err(ending) => format!("\n{}", ending.text()),
    }
}
