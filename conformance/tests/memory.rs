//! The memory store is the specification: it passes everything that can be asked of it.

use std::process::ExitCode;

use holdover_conformance::MemoryHarness;

fn main() -> ExitCode {
    holdover_conformance::main(MemoryHarness::default())
}
