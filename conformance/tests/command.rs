//! The command as people and pipelines meet it: its forms, its errors, and the codes with which it ends.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn ran(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_holdover-conformance")).args(arguments).output();
    command.expect("the command starts")
}

fn rendered(file: &str, form: &str) -> String {
    let file = golden(file);
    let output = ran(&["render", file.to_str().expect("a path"), "--report", form]);
    String::from_utf8(output.stdout).expect("text")
}

fn compared(files: &[&str], form: &str) -> Output {
    let files: Vec<PathBuf> = files.iter().map(|file| golden(file)).collect();
    let mut arguments = vec!["matrix"];
    arguments.extend(files.iter().map(|file| file.to_str().expect("a path")));
    arguments.extend(["--report", form]);
    ran(&arguments)
}

fn is_golden(text: &str, name: &str) {
    let expected = fs::read_to_string(golden(name)).expect("a golden file");
    assert!(text == expected, "{name} differs from what the command tells:\n{text}");
}

fn fails_with(arguments: &[&str], code: i32, words: &str) {
    let output = ran(arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(words), "{arguments:?} told {told}");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
}

#[test]
fn each_form_of_a_report_is_as_it_was() {
    is_golden(&rendered("hostile.json", "json"), "hostile.json");
    is_golden(&rendered("hostile.json", "html"), "hostile.html");
    is_golden(&rendered("hostile.json", "junit"), "hostile.xml");
    is_golden(&rendered("hostile.json", "markdown"), "hostile.md");
}

#[test]
fn the_matrix_is_as_it_was_and_ends_as_the_worst_of_its_stores() {
    for (form, name) in [("html", "matrix.html"), ("markdown", "matrix.md")] {
        let output = compared(&["sound.json", "hostile.json", "sound.json"], form);
        is_golden(&String::from_utf8(output.stdout).expect("text"), name);
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(compared(&["sound.json"], "markdown").status.code(), Some(0));
}

#[test]
fn text_of_a_store_is_never_markup() {
    for form in ["html", "junit", "markdown"] {
        let text = rendered("hostile.json", form);
        for tag in ["<script", "<b>", "<i>", "<em>", "<nothing>"] {
            assert!(!text.contains(tag), "{form} passes {tag} on");
        }
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{form} passes control characters on");
    }
    let matrix = compared(&["hostile.json"], "html");
    assert!(!String::from_utf8_lossy(&matrix.stdout).contains("<script"));
}

#[test]
fn the_exit_code_is_the_word() {
    let conformant = ran(&["--store", "memory:", "--case", "con-07", "--report", "json"]);
    assert_eq!(conformant.status.code(), Some(0));
    let json = String::from_utf8(conformant.stdout).expect("text");
    assert!(json.starts_with("{\n  \"schema\": 1,"), "only the report is on the standard output: {json}");
    assert!(String::from_utf8_lossy(&conformant.stderr).contains("passed 1 of 1 decided"));
    let failed = compared(&["hostile.json"], "markdown");
    assert_eq!(failed.status.code(), Some(1));
    let nothing_decided = ran(&["--store", "memory:", "--suite", "rot"]);
    assert_eq!(nothing_decided.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing_decided.stdout).ends_with("incomplete\n"));
    fails_with(&["--store", "redis://127.0.0.1:1", "--case", "CON-07"], 3, "no handle could be opened");
}

#[test]
fn several_reports_go_to_several_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, page) = (path("a.json"), path("a.html"));
    let run = ["--store", "memory:", "--case", "CON-07", "--seed", "7"];
    let reports = ["--report", "json", "--out", &json, "--report", "html", "--out", &page];
    let output = ran(&[&run[..], &reports[..]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("conformant"),
        "the table is where it always is"
    );
    assert!(fs::read_to_string(&json).expect("a report").contains("0x0000000000000007"));
    assert!(fs::read_to_string(&page).expect("a report").starts_with("<!doctype html>"));
    assert_eq!(ran(&["matrix", &json]).status.code(), Some(0));
}

#[test]
fn what_there_is_not_is_refused_with_its_name() {
    fails_with(&["--store", "memory:", "--suite", "speed"], 3, "there is no suite speed; they are con, race");
    fails_with(&["--store", "memory:", "--case", "CON-999"], 3, "there is no case con-999");
    fails_with(&["--store", "memory:", "--seed", "seven"], 3, "a seed is a number");
    fails_with(&["--store", "memory:", "--report", "pdf"], 3, "possible values: html, json, junit, markdown");
    fails_with(&["--store", "memory:", "--out", "a"], 3, "--report <FORM>");
    fails_with(&["--store", "memory:", "--soak", "0"], 3, "0 is not in 1..");
    fails_with(&["--store", "memory:", "--soak", "1", "--suite", "con"], 3, "cannot be used with");
    fails_with(&["--store", "memory:", "--soak", "1"], 3, "it keeps one copy");
    fails_with(&["--report", "json"], 3, "name a store with --store");
    fails_with(
        &["--store", "memory:", "--report", "json", "--out", "no/such/a"],
        3,
        "in a folder that is there",
    );
    fails_with(&["explain", "CON-999"], 3, "there is no case CON-999");
    fails_with(&["matrix"], 3, "<FILE>...");
    fails_with(&["matrix", "no-such.json"], 3, "no-such.json: it could not be read");
    let page = golden("hostile.md");
    fails_with(&["matrix", page.to_str().expect("a path")], 3, "it is not a transcript");
}

#[test]
fn help_names_every_suite_and_is_no_failure() {
    let help = ran(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for suite in holdover_conformance::suites::NAMES {
        assert!(text.contains(suite), "the help does not name {suite}");
    }
    assert!(text.contains("Exit codes: 0 conformant, 1 non-conformant, 2 incomplete"));
}
