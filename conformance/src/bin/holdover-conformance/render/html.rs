//! One page that needs nothing else: no script, no network.

use askama::Template;
use holdover_conformance::{Status, Transcript};

use super::{Suite, suites};
use crate::matrix::Matrix;

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    transcript: &'a Transcript,
    suites: Vec<Suite<'a>>,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "matrix.html")]
struct MatrixPage<'a> {
    matrix: &'a Matrix,
}

/// The page of one run.
pub(super) fn report(transcript: &Transcript) -> Result<String, String> {
    let page = ReportPage { transcript, suites: suites(transcript), class: class(transcript.status) };
    page.render().map_err(|error| format!("the page could not be made: {error}"))
}

/// The page that compares several runs.
pub(crate) fn matrix(matrix: &Matrix) -> Result<String, String> {
    MatrixPage { matrix }.render().map_err(|error| format!("the page could not be made: {error}"))
}

/// The class that colours a status: the word beside it says the same.
pub(crate) const fn class(status: Status) -> &'static str {
    match status {
        Status::Conformant => "conformant",
        Status::NonConformant => "non-conformant",
        Status::Incomplete => "incomplete",
        Status::HarnessError => "harness-error",
    }
}
