//! The exam, on a real MongoDB by itself: `cargo test -p holdover-backends --features mongodb --test mongodb [filter]`.

#[path = "support/mongodb.rs"]
mod below;
#[path = "support/exam.rs"]
mod exam;
// The command reaches below a MongoDB in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/mongodb.rs"]
mod raw;

use std::process::ExitCode;

fn main() -> ExitCode {
    exam::examine::<raw::RawMongodb>()
}
