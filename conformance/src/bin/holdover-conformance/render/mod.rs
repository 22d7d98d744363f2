//! The forms in which results are told, all made from the same transcript.

mod html;
mod junit;
mod markdown;

use clap::ValueEnum;
use holdover_conformance::{Graded, Score, Transcript};

pub(crate) use html::{class as class_of, matrix as matrix_html};
pub(crate) use markdown::matrix as matrix_markdown;

/// A form of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// One page that needs nothing else.
    Html,
    /// The form that programs rely on, and `matrix` reads.
    Json,
    /// For CI servers.
    Junit,
    /// For documents and comments.
    Markdown,
}

/// Tells results in a form.
pub(crate) fn render(transcript: &Transcript, form: Form) -> Result<String, String> {
    match form {
        Form::Html => html::report(&printable(transcript.clone())),
        Form::Json => Ok(transcript.to_json()),
        Form::Junit => junit::report(transcript),
        Form::Markdown => Ok(markdown::report(transcript)),
    }
}

/// The cases of one suite.
pub(crate) struct Suite<'a> {
    pub(crate) name: &'a str,
    pub(crate) cases: Vec<&'a Graded>,
    pub(crate) score: Score,
    /// What weighs most in it.
    pub(crate) verdict: holdover_conformance::Grade,
}

/// The suites that were asked.
pub(crate) fn suites(transcript: &Transcript) -> Vec<Suite<'_>> {
    let suite = |name| {
        let cases: Vec<&Graded> = transcript.cases.iter().filter(|case| case.suite == name).collect();
        let grades = || cases.iter().map(|case| case.verdict);
        let verdict = holdover_conformance::Grade::heaviest(grades());
        Suite { name, score: Score::of(grades()), verdict, cases }
    };
    transcript.suites().into_iter().map(suite).collect()
}

/// The results without the control characters that a terminal would obey and a page must not hold.
pub(crate) fn printable(mut transcript: Transcript) -> Transcript {
    let clean = |text: &mut String| {
        let hidden = |character: char| character.is_control() && character != '\n';
        if text.contains(hidden) {
            *text = text.replace(hidden, " ");
        }
    };
    clean(&mut transcript.store);
    transcript.capabilities.values_mut().chain(&mut transcript.notes).for_each(clean);
    for case in &mut transcript.cases {
        case.reason.as_mut().map(clean);
        [&mut case.title, &mut case.explain].into_iter().for_each(clean);
    }
    transcript
}
