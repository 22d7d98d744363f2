//! What a run found, as it is written down and read again: JSON with a version.

use std::collections::BTreeMap;
use std::fmt;

use holdover_api::Capabilities;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Ending, Verdict};
use crate::report::{Report, Status};

/// The version of the form. It changes when a reader of the old one would misread the new one.
pub const TRANSCRIPT_SCHEMA: u32 = 1;

/// The results of an exam: what was asked of which store, and what came of it.
///
/// Its JSON is the form that programs rely on; every other form is made from the same value. Nothing in it names a place:
/// no URL, no address, no session.
///
/// ```
/// use std::sync::Arc;
///
/// use holdover_conformance::{Harness, MemoryHarness, Transcript, examine, suites};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let harness: Arc<dyn Harness> = Arc::new(MemoryHarness::default());
/// let cases = suites::all().into_iter().filter(|case| case.id == "CON-07").collect();
/// let (scope, report) = examine(&harness, cases, 42).await.map_err(|ending| ending.text().to_owned())?;
/// let transcript = Transcript::of(&harness.name(), &scope.capabilities, 42, &report);
/// assert_eq!(Transcript::parse(&transcript.to_json())?, transcript);
/// # Ok::<(), String>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// [`TRANSCRIPT_SCHEMA`].
    pub schema: u32,
    /// The version of the suite that asked.
    pub suite_version: String,
    /// The name of the store.
    pub store: String,
    /// What the store claims, by the names under which it is told to people.
    pub capabilities: BTreeMap<String, String>,
    /// The seed, as it is printed: JSON's numbers do not hold all of them.
    pub seed: String,
    /// What has to be known about how some cases were put.
    pub notes: Vec<String>,
    /// The cases, in the order of the catalogue.
    pub cases: Vec<Graded>,
    /// How much passed, was decided and can be asked.
    pub score: Score,
    /// The run in one word.
    pub status: Status,
}

/// One case and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graded {
    /// The id of the catalogue.
    pub id: String,
    /// The suite, in lower case.
    pub suite: String,
    /// What the case shows, as a sentence.
    pub title: String,
    /// The verdict.
    pub verdict: Grade,
    /// Why, unless it passed.
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What it means for users.
    pub explain: String,
}

impl Graded {
    /// Whether there is something that has to be seen to: it neither passed nor is without meaning for the store.
    pub const fn is_open(&self) -> bool {
        !matches!(self.verdict, Grade::Pass | Grade::NotApplicable)
    }
}

/// A verdict without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// The promise held.
    Pass,
    /// It was broken.
    Fail,
    /// The interleaving that the case is about never happened.
    Vacuous,
    /// A checker gave up.
    Unknown,
    /// The bench broke.
    Error,
    /// The question cannot be put to this store.
    NotApplicable,
    /// The harness lacks what the case needs.
    NotRun,
}

impl Grade {
    /// All of them; what weighs most in the judgement of a suite comes first.
    const BY_WEIGHT: [Self; 7] = [
        Self::Fail,
        Self::Error,
        Self::Unknown,
        Self::Vacuous,
        Self::NotRun,
        Self::Pass,
        Self::NotApplicable,
    ];

    /// What weighs most among these: a suite in one word. Of nothing, that it cannot be asked.
    pub fn heaviest(grades: impl IntoIterator<Item = Self>) -> Self {
        let grades: Vec<Self> = grades.into_iter().collect();
        Self::BY_WEIGHT.into_iter().find(|grade| grades.contains(grade)).unwrap_or(Self::NotApplicable)
    }

    /// One sign, for tables: colour alone says nothing to many readers.
    pub const fn letter(self) -> char {
        match self {
            Self::Pass => 'P',
            Self::Fail => 'F',
            Self::Vacuous => 'V',
            Self::Unknown => 'U',
            Self::Error => 'E',
            Self::NotApplicable => '-',
            Self::NotRun => 'N',
        }
    }

    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Vacuous => "vacuous",
            Self::Unknown => "unknown",
            Self::Error => "error",
            Self::NotApplicable => "n/a",
            Self::NotRun => "not run",
        }
    }

    /// Whether the question was answered.
    pub const fn is_decided(self) -> bool {
        matches!(self, Self::Pass | Self::Fail)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<&Verdict> for Grade {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Ended(Ending::Failed(_)) => Self::Fail,
            Verdict::Ended(Ending::Vacuous(_)) => Self::Vacuous,
            Verdict::Ended(Ending::Unknown(_)) => Self::Unknown,
            Verdict::Ended(Ending::Error(_)) => Self::Error,
            Verdict::NotApplicable(_) => Self::NotApplicable,
            Verdict::NotRun(_) => Self::NotRun,
        }
    }
}

/// How much passed of what was decided, and how much was decided of what can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that passed or failed.
    pub decided: usize,
    /// Cases that can be put to such a store.
    pub applicable: usize,
}

impl Score {
    /// The score of these verdicts.
    pub fn of(grades: impl IntoIterator<Item = Grade>) -> Self {
        let mut score = Self::default();
        for grade in grades {
            score.passed += usize::from(grade == Grade::Pass);
            score.decided += usize::from(grade.is_decided());
            score.applicable += usize::from(grade != Grade::NotApplicable);
        }
        score
    }
}

impl Transcript {
    /// Writes down what a run found.
    pub fn of(store: &str, capabilities: &Capabilities, seed: u64, report: &Report) -> Self {
        let cases = report.outcomes.iter().map(Graded::from).collect();
        Self::with_cases(store, Some(capabilities), seed, cases)
    }

    /// What was asked, with the score and the status that follow from it.
    pub(crate) fn with_cases(
        store: &str,
        capabilities: Option<&Capabilities>,
        seed: u64,
        cases: Vec<Graded>,
    ) -> Self {
        // As they are told to people: one wording for all forms.
        let claims = capabilities.map(ToString::to_string).unwrap_or_default();
        let claims = claims.split("; ").filter_map(|claim| claim.split_once(": "));
        Self {
            schema: TRANSCRIPT_SCHEMA,
            suite_version: env!("CARGO_PKG_VERSION").to_owned(),
            store: store.to_owned(),
            capabilities: claims.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            seed: format!("{seed:#018x}"),
            notes: Vec::new(),
            score: Score::of(cases.iter().map(|case| case.verdict)),
            status: Status::of(cases.iter().map(|case| case.verdict)),
            cases,
        }
    }

    /// The JSON, with a line break at its end.
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with strings for keys: there is nothing that could not be written.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        json + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) has written.
    ///
    /// # Errors
    ///
    /// A text that is none, has another version, names a case twice, or whose score or status is not that of its cases.
    pub fn parse(json: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let broken = |error: serde_json::Error| format!("it is not a transcript: {error}");
        let Versioned { schema } = serde_json::from_str(json).map_err(broken)?;
        if schema != TRANSCRIPT_SCHEMA {
            return Err(format!("it has version {schema}, and this suite reads {TRANSCRIPT_SCHEMA}"));
        }
        let transcript: Self = serde_json::from_str(json).map_err(broken)?;
        transcript.agrees_with_itself()?;
        Ok(transcript)
    }

    fn agrees_with_itself(&self) -> Result<(), String> {
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = self.cases.iter().find(|case| !seen.insert(&case.id)) {
            return Err(format!("it names {} twice", twice.id));
        }
        let grades = || self.cases.iter().map(|case| case.verdict);
        if self.score != Score::of(grades()) || self.status != Status::of(grades()) {
            return Err("its score or its status is not that of its cases".to_owned());
        }
        Ok(())
    }

    /// The names of the suites that were asked, in the order of the catalogue.
    pub fn suites(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for case in &self.cases {
            if !names.contains(&case.suite.as_str()) {
                names.push(&case.suite);
            }
        }
        names
    }
}

impl From<&crate::report::Outcome> for Graded {
    fn from(outcome: &crate::report::Outcome) -> Self {
        let Case { id, title, explain, .. } = outcome.case;
        Self {
            id: id.to_owned(),
            suite: outcome.case.suite(),
            title: title.replace('_', " "),
            verdict: Grade::from(&outcome.verdict),
            reason: outcome.verdict.reason().map(str::to_owned),
            ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
            explain: explain.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdover_api::{Memory, SessionStore};

    use super::*;
    use crate::report::Outcome;
    use crate::suites;

    fn transcript() -> Transcript {
        let failed = Verdict::Ended(Ending::Failed("lost".into()));
        let verdicts = [Verdict::Pass, failed, Verdict::NotApplicable("no bytes".into())];
        let outcome = |(case, verdict)| Outcome { case, verdict, took: Duration::from_millis(3) };
        let report = Report { outcomes: suites::all().into_iter().zip(verdicts).map(outcome).collect() };
        Transcript::of("memory", &Memory::new().capabilities(), 7, &report)
    }

    #[test]
    fn what_was_written_down_is_read_again() {
        let transcript = transcript();
        assert_eq!(Transcript::parse(&transcript.to_json()), Ok(transcript.clone()));
        assert_eq!(transcript.score, Score { passed: 1, decided: 2, applicable: 2 });
        assert_eq!(transcript.status, Status::NonConformant);
        assert_eq!(transcript.capabilities["expiry"], "on demand");
        assert_eq!(transcript.seed, "0x0000000000000007");
    }

    #[test]
    fn what_is_no_transcript_or_contradicts_itself_is_refused() {
        let refused = |json: &str| Transcript::parse(json).expect_err("not a transcript");
        assert!(refused("{").contains("not a transcript"));
        assert!(refused("{\"schema\": 2}").contains("version 2"));
        let json = transcript().to_json();
        assert!(refused(&json.replace("\"passed\": 1", "\"passed\": 2")).contains("score"));
        assert!(refused(&json.replace("non-conformant", "conformant")).contains("status"));
        let mut doubled = transcript();
        doubled.cases.push(doubled.cases[0].clone());
        assert!(refused(&doubled.to_json()).contains("twice"));
    }
}
