//! Where results are written.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use holdover_conformance::Transcript;

use crate::matrix::Matrix;
use crate::render::{Form, matrix_html, matrix_markdown, render};

/// A form of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixForm {
    /// One page that needs nothing else.
    Html,
    /// For documents.
    Markdown,
}

/// Tells a matrix in a form.
pub(crate) fn tell(matrix: &Matrix, form: MatrixForm) -> Result<String, String> {
    match form {
        MatrixForm::Html => matrix_html(matrix),
        MatrixForm::Markdown => Ok(matrix_markdown(matrix)),
    }
}

/// A place for one report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    File(PathBuf),
}

impl Place {
    /// The place that was named, if one was. A file that could never be written is refused before the run, not after it.
    pub(crate) fn of(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stdout);
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            return Err(format!("{} is not a file in a folder that is there", path.display()));
        }
        Ok(Self::File(path.to_owned()))
    }

    pub(crate) fn write(&self, text: &str) -> Result<(), String> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
                written.map_err(|error| format!("the report could not be printed: {error}"))
            }
            Self::File(path) => fs::write(path, text)
                .map_err(|error| format!("{} could not be written: {error}", path.display())),
        }
    }
}

/// The reports that were asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outputs(Vec<(Form, Place)>);

impl Outputs {
    /// Each form with its place, in the order in which they were given.
    pub(crate) fn of(forms: &[Form], paths: &[PathBuf]) -> Result<Self, String> {
        let only = forms.len() == 1 && paths.is_empty();
        if forms.len() != paths.len() && !only {
            return Err("give an --out for each --report, in the same order".to_owned());
        }
        let mut outputs: Vec<(Form, Place)> = Vec::new();
        for (number, form) in forms.iter().enumerate() {
            let place = Place::of(paths.get(number).map(PathBuf::as_path))?;
            if outputs.iter().any(|(_, taken)| *taken == place) {
                return Err("two reports would be written to the same place".to_owned());
            }
            outputs.push((*form, place));
        }
        Ok(Self(outputs))
    }

    /// Whether one of them takes the standard output for itself.
    pub(crate) fn take_stdout(&self) -> bool {
        self.0.iter().any(|(_, place)| *place == Place::Stdout)
    }

    pub(crate) fn write(&self, transcript: &Transcript) -> Result<(), String> {
        self.0.iter().try_for_each(|(form, place)| place.write(&render(transcript, *form)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_report_has_a_place_of_its_own() {
        let path = PathBuf::from;
        let alone = Outputs::of(&[Form::Json], &[]).expect("one report");
        assert!(alone.take_stdout());
        let two = Outputs::of(&[Form::Json, Form::Html], &[path("-"), path("a.html")]).expect("two reports");
        assert_eq!(two.0[1], (Form::Html, Place::File(path("a.html"))));
        assert!(two.take_stdout());
        assert!(!Outputs::of(&[], &[]).expect("none").take_stdout());
        assert!(Outputs::of(&[Form::Json, Form::Html], &[path("a")]).is_err(), "one is without a place");
        assert!(Outputs::of(&[Form::Json, Form::Html], &[path("-"), path("-")]).is_err(), "twice the same");
        assert!(Outputs::of(&[Form::Json], &[path("no-such-folder/a")]).is_err(), "no folder");
        assert!(Outputs::of(&[Form::Json], &[path("/")]).is_err(), "a folder");
    }
}
