//! Several runs side by side: rows are suites and cases, columns are stores.

use holdover_conformance::{Grade, Score, Status, Transcript, suites};

use crate::render::class_of;

/// What several transcripts say, in the order of the files and of the catalogue.
pub(crate) struct Matrix {
    pub(crate) columns: Vec<Column>,
    pub(crate) suites: Vec<SuiteRows>,
}

/// One store.
pub(crate) struct Column {
    /// Its name, with a number if another has the same.
    pub(crate) label: String,
    pub(crate) suite_version: String,
    pub(crate) status: Status,
    pub(crate) class: &'static str,
    pub(crate) score: Score,
    pub(crate) notes: Vec<String>,
}

/// One suite: what weighs most in it for each store, and its cases.
pub(crate) struct SuiteRows {
    pub(crate) name: String,
    pub(crate) cells: Vec<Option<SuiteCell>>,
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct SuiteCell {
    pub(crate) verdict: Grade,
    pub(crate) score: Score,
}

/// One case, with a cell for each store; none where it was not asked.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) explain: String,
    pub(crate) cells: Vec<Option<Cell>>,
}

pub(crate) struct Cell {
    pub(crate) verdict: Grade,
    pub(crate) reason: String,
}

impl Row {
    pub(crate) fn has_reasons(&self) -> bool {
        self.cells.iter().flatten().any(|cell| !cell.reason.is_empty())
    }

    /// Why it did not pass, store by store.
    pub(crate) fn reasons<'a>(&'a self, matrix: &'a Matrix) -> Vec<(&'a str, &'a Cell)> {
        let labels = matrix.columns.iter().map(|column| column.label.as_str());
        let cells = labels.zip(&self.cells).filter_map(|(label, cell)| Some((label, cell.as_ref()?)));
        cells.filter(|(_, cell)| !cell.reason.is_empty()).collect()
    }
}

impl Matrix {
    pub(crate) fn of(transcripts: &[Transcript]) -> Self {
        Self { columns: columns(transcripts), suites: rows(transcripts) }
    }

    /// The worst of the stores.
    pub(crate) fn status(&self) -> Status {
        let statuses = self.columns.iter().map(|column| column.status);
        statuses.reduce(Status::worse).unwrap_or(Status::Incomplete)
    }
}

fn columns(transcripts: &[Transcript]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (number, transcript) in transcripts.iter().enumerate() {
        let earlier = transcripts[..number].iter().filter(|other| other.store == transcript.store).count();
        let label = match earlier {
            0 => transcript.store.clone(),
            _ => format!("{} ({})", transcript.store, earlier + 1),
        };
        columns.push(Column {
            label,
            suite_version: transcript.suite_version.clone(),
            status: transcript.status,
            class: class_of(transcript.status),
            score: transcript.score,
            notes: transcript.notes.clone(),
        });
    }
    columns
}

fn rows(transcripts: &[Transcript]) -> Vec<SuiteRows> {
    let names = names(transcripts);
    let suite = |name: &String| {
        let cell = |transcript: &Transcript| {
            let mine = transcript.cases.iter().filter(|case| case.suite == *name);
            let grades: Vec<Grade> = mine.map(|case| case.verdict).collect();
            let score = Score::of(grades.iter().copied());
            (!grades.is_empty()).then(|| SuiteCell { verdict: Grade::heaviest(grades), score })
        };
        let cells = transcripts.iter().map(cell).collect();
        SuiteRows { name: name.clone(), cells, rows: cases(transcripts, name) }
    };
    names.iter().map(suite).collect()
}

/// The suites in the order of the catalogue; those that this one does not know come after it, by name.
fn names(transcripts: &[Transcript]) -> Vec<String> {
    let all = transcripts.iter().flat_map(|transcript| &transcript.cases).map(|case| &case.suite);
    let mut names: Vec<String> = all.cloned().collect();
    let rank = |name: &String| suites::NAMES.iter().position(|known| known == name);
    names.sort_by_key(|name| (rank(name).unwrap_or(usize::MAX), name.clone()));
    names.dedup();
    names
}

/// The cases of a suite that any of the runs has put, by id, in the words of the first that has.
fn cases(transcripts: &[Transcript], suite: &str) -> Vec<Row> {
    let all = transcripts.iter().flat_map(|transcript| &transcript.cases);
    let mut known: Vec<_> = all.filter(|case| case.suite == suite).collect();
    // The sort is stable: the first that has a case stays before the others.
    known.sort_by_key(|case| case.id.as_str());
    known.dedup_by_key(|case| case.id.as_str());
    let row = |case: &holdover_conformance::Graded| {
        let cell = |transcript: &Transcript| {
            let mine = transcript.cases.iter().find(|other| other.id == case.id)?;
            Some(Cell { verdict: mine.verdict, reason: mine.reason.clone().unwrap_or_default() })
        };
        let cells = transcripts.iter().map(cell).collect();
        Row { id: case.id.clone(), title: case.title.clone(), explain: case.explain.clone(), cells }
    };
    known.into_iter().map(row).collect()
}
