//! For documents and comments.

use std::fmt::Write as _;

use holdover_conformance::{Grade, Transcript};

use super::suites;
use crate::matrix::{Cell, Matrix};

/// One run.
pub(super) fn report(transcript: &Transcript) -> String {
    let Transcript { score, status, .. } = transcript;
    let mut text = format!(
        "# {}: {status}\n\n{} of {} decided cases passed; {} of {} that apply were decided. Suite {}, seed `{}`.\n\n",
        plain(&transcript.store),
        score.passed,
        score.decided,
        score.decided,
        score.applicable,
        plain(&transcript.suite_version),
        transcript.seed,
    );
    let claims = transcript.capabilities.iter().map(|(name, value)| format!("{name}: {value}"));
    let _ = writeln!(text, "Claims: {}.\n", plain(&claims.collect::<Vec<_>>().join("; ")));
    for note in &transcript.notes {
        let _ = writeln!(text, "{}\n", plain(note));
    }
    text += "| suite | verdict | passed | decided | apply |\n|---|---|--:|--:|--:|\n";
    for suite in suites(transcript) {
        let (verdict, score) = (sign(suite.verdict), suite.score);
        let name = plain(suite.name);
        let row = format!("{} | {} | {}", score.passed, score.decided, score.applicable);
        let _ = writeln!(text, "| {name} | {verdict} | {row} |");
    }
    for suite in suites(transcript) {
        let _ =
            writeln!(text, "\n## {}\n\n| case | | verdict | reason |\n|---|---|---|---|", plain(suite.name));
        for case in suite.cases {
            let reason = plain(case.reason.as_deref().unwrap_or_default());
            let meaning = match case.verdict {
                Grade::Pass | Grade::NotApplicable => String::new(),
                _ => format!("<br>What it means: {}", plain(&case.explain)),
            };
            let (id, title, verdict) = (plain(&case.id), plain(&case.title), sign(case.verdict));
            let _ = writeln!(text, "| {id} | {title} | {verdict} | {reason}{meaning} |");
        }
    }
    text
}

/// Several runs side by side. The order is that of the files and of the catalogue, and no time is in it, so that two of them
/// differ only where verdicts do.
pub(crate) fn matrix(matrix: &Matrix) -> String {
    let labels: Vec<String> = matrix.columns.iter().map(|column| plain(&column.label)).collect();
    let rule = "|---".repeat(labels.len());
    let mut text = format!("| suite | {} |\n|---{rule}|\n", labels.join(" | "));
    let row = |name: &str, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
    let columns = |tell: fn(&crate::matrix::Column) -> String| matrix.columns.iter().map(tell).collect();
    text += &row(
        "all",
        columns(|column| {
            let score = column.score;
            let counts = format!("{} of {} decided, of {}", score.passed, score.decided, score.applicable);
            format!("{}: {counts} that apply", column.status)
        }),
    );
    for suite in &matrix.suites {
        let cells = suite.cells.iter().map(|cell| match cell {
            Some(cell) => format!("{}: {} of {}", sign(cell.verdict), cell.score.passed, cell.score.decided),
            None => "not asked".to_owned(),
        });
        text += &row(&plain(&suite.name), cells.collect());
    }
    text += &row("suite version", columns(|column| plain(&column.suite_version)));
    for suite in &matrix.suites {
        let _ =
            write!(text, "\n## {}\n\n| case | {} |\n|---{rule}|\n", plain(&suite.name), labels.join(" | "));
        for line in &suite.rows {
            let anchor = line.id.to_ascii_lowercase();
            let cell = |cell: &Option<Cell>| match cell {
                Some(cell) => format!("[{}](#{anchor})", sign(cell.verdict)),
                None => "not asked".to_owned(),
            };
            let name = format!("{} {}", plain(&line.id), plain(&line.title));
            text += &row(&name, line.cells.iter().map(cell).collect());
        }
    }
    text += "\n## What the cases mean\n";
    for line in matrix.suites.iter().flat_map(|suite| &suite.rows) {
        let (id, title, explain) = (plain(&line.id), plain(&line.title), plain(&line.explain));
        let _ = write!(text, "\n### {id}\n\n**{title}.** {explain}\n");
        for (number, (label, cell)) in line.reasons(matrix).into_iter().enumerate() {
            let gap = if number == 0 { "\n" } else { "" };
            let (label, verdict, reason) = (plain(label), sign(cell.verdict), plain(&cell.reason));
            let _ = writeln!(text, "{gap}- {label}: {verdict}: {reason}");
        }
    }
    for column in &matrix.columns {
        for note in &column.notes {
            let _ = write!(text, "\n{}: {}\n", plain(&column.label), plain(note));
        }
    }
    text
}

/// The letter and the word. A dash alone would begin a list.
fn sign(grade: Grade) -> String {
    format!("**{}** {grade}", if grade == Grade::NotApplicable { '–' } else { grade.letter() })
}

/// Text of others on one line, without a meaning in Markdown or HTML.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => plain.extend(['\\', character]),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            _ if character.is_control() => plain.push(' '),
            _ => plain.push(character),
        }
    }
    plain
}
