//! For CI servers. What was not decided is an error there, so that a pipeline goes red; nothing but what cannot be asked is
//! skipped.

use std::time::Duration;

use holdover_conformance::{Grade, Graded, Transcript};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::suites;

/// The results as a JUnit report: a test suite for each suite, a test case for each case.
pub(super) fn report(transcript: &Transcript) -> Result<String, String> {
    let mut report = Report::new(format!("holdover-conformance: {}", transcript.store));
    for suite in suites(transcript) {
        let mut cases = TestSuite::new(suite.name);
        cases.add_property(("seed", transcript.seed.as_str()));
        cases.add_property(("suite version", transcript.suite_version.as_str()));
        for (name, value) in &transcript.capabilities {
            cases.add_property((name.as_str(), value.as_str()));
        }
        cases.add_test_cases(suite.cases.into_iter().map(case));
        report.add_test_suite(cases);
    }
    let mut text = report.to_string().map_err(|error| format!("the report could not be made: {error}"))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn case(case: &Graded) -> TestCase {
    let reason = case.reason.as_deref().unwrap_or_default();
    let status = match case.verdict {
        Grade::Pass => TestCaseStatus::success(),
        Grade::NotApplicable => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(format!("not applicable: {reason}"));
            skipped
        }
        verdict => {
            let kind = if verdict == Grade::Fail { NonSuccessKind::Failure } else { NonSuccessKind::Error };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(verdict.word()).set_message(reason);
            status.set_description(format!("{reason}\nwhat it means: {}", case.explain));
            status
        }
    };
    let mut test = TestCase::new(format!("{} {}", case.id, case.title), status);
    test.set_classname(case.suite.as_str()).set_time(Duration::from_millis(case.ms));
    test
}
