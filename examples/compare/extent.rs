//! How much is measured: the arguments, and what they come to.

use std::path::PathBuf;

use clap::Parser;
use holdover_conformance::parse_seed;

use crate::result::Extent;

/// What each session store costs and risks, measured on this machine, as one page
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Less of everything, and no exam: a look at the page in a few minutes
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More of everything: all suites, up to a million sessions that end, longer rounds
    #[arg(long)]
    full: bool,
    /// Repeats a run's choices, as far as they are random
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(crate) seed: Option<u64>,
    /// Where compare.html and compare.json are written
    #[arg(long, value_name = "DIR", default_value = "target/compare")]
    pub(crate) out: PathBuf,
    /// A store that runs already, besides; may be repeated. Test data is written to it
    #[arg(long, value_name = "URL")]
    pub(crate) store: Vec<String>,
    /// Only this stack, by its name such as redis-pair, or given for those of --store alone; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Makes the page anew from a compare.json, and measures nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) page_of: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn extent(&self) -> Extent {
        let suites = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        if self.quick {
            return Extent {
                name: "quick".to_owned(),
                repeats: 5,
                rounds: 1,
                round_ms: 100,
                fault_ms: 2_000,
                suites: Vec::new(),
                expiring: vec![1_000],
                making_limit_s: 30,
                expiry_limit_s: 5,
            };
        }
        if self.full {
            return Extent {
                name: "full".to_owned(),
                repeats: 31,
                rounds: 5,
                round_ms: 500,
                fault_ms: 5_000,
                suites: suites(&["con", "race", "exp", "fail"]),
                expiring: vec![1_000, 10_000, 100_000, 1_000_000],
                making_limit_s: 180,
                expiry_limit_s: 180,
            };
        }
        Extent {
            name: "default".to_owned(),
            repeats: 15,
            rounds: 3,
            round_ms: 250,
            fault_ms: 3_000,
            suites: suites(&["con", "race"]),
            expiring: vec![1_000, 10_000],
            making_limit_s: 60,
            expiry_limit_s: 70,
        }
    }

    /// The command that repeats this run. URLs may hold passwords, and are left for the reader to put in.
    pub(crate) fn command(&self, seed: u64) -> String {
        let mut words =
            vec!["cargo run --release --example compare --features full,dynamodb-local --".to_owned()];
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.full.then(|| "--full".to_owned()));
        words.push(format!("--seed {}", shown(seed)));
        words.extend(self.only.iter().map(|name| format!("--only {name}")));
        words.extend(self.store.iter().map(|_| "--store URL".to_owned()));
        words.join(" ")
    }
}

/// A seed in the one form in which everything shows it, and `--seed` takes it.
pub(crate) fn shown(seed: u64) -> String {
    format!("{seed:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_repeats_the_run_and_tells_no_url() {
        let words = ["compare", "--quick", "--only", "redis", "--store", "redis://:secret@host"];
        let arguments = Arguments::parse_from(words);
        let command = arguments.command(7);
        assert!(command.ends_with("-- --quick --seed 0x7 --only redis --store URL"), "{command}");
        assert!(!command.contains("secret"));
        assert_eq!(arguments.extent().name, "quick");
    }

    #[test]
    fn a_run_is_not_both_quick_and_full() {
        assert!(Arguments::try_parse_from(["compare", "--quick", "--full"]).is_err());
    }
}
