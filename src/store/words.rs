//! Words and numbers of text files, and what is wrong with them.

use std::path::{Path, PathBuf};

use nalgebra::Point3;

use super::Error;

/// What is wrong with a file, and in which line (from 1) if it is in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: Option<usize>,
    pub problem: String,
}

impl Fault {
    pub fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line: Some(line), problem: problem.into() }
    }

    pub fn of_file(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into() }
    }

    /// As the error of a file; `whole` makes it where no line is known.
    pub fn in_file(self, path: &Path, whole: fn(PathBuf, String) -> Error) -> Error {
        let (path, problem) = (path.to_owned(), self.problem);
        match self.line {
            Some(line) => Error::Line { path, line, problem },
            None => whole(path, problem),
        }
    }
}

/// The finite number that a text is.
pub fn number(text: &str, what: &str) -> Result<f64, String> {
    let value = text.trim().parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| format!("{what} must be a number, not \"{}\"", text.trim()))
}

/// The finite numbers of a line.
pub fn numbers(line: &str, what: &str) -> Result<Vec<f64>, String> {
    line.split_whitespace().map(|word| number(word, what)).collect()
}

/// A position from three numbers times `unit` \[Å\].
pub fn position(texts: [&str; 3], unit: f64) -> Result<Point3<f64>, String> {
    let [x, y, z] = texts;
    let coordinate = |text, axis| Ok::<f64, String>(unit * number(text, axis)?);
    Ok(Point3::new(coordinate(x, "x")?, coordinate(y, "y")?, coordinate(z, "z")?))
}

/// A word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// Without its quotes.
    pub text: &'a str,
    pub quoted: bool,
}

/// The words of a line of STAR or CIF up to a comment. Quotes count where a word begins, and end before white space.
///
/// # Errors
/// If a quote is not closed.
pub fn words(line: &str) -> Result<Vec<Word<'_>>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next().filter(|&first| first != '#') {
        let end = if matches!(first, '"' | '\'') {
            let ends = |at: &usize| rest[at + 1..].chars().next().is_none_or(char::is_whitespace);
            let closing = rest.match_indices(first).map(|(at, _)| at).skip(1).find(ends);
            let closing = closing.ok_or_else(|| format!("the quote {first} is not closed"))?;
            words.push(Word { text: &rest[1..closing], quoted: true });
            closing + 1
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Word { text: &rest[..end], quoted: false });
            end
        };
        rest = rest[end..].trim_start();
    }
    Ok(words)
}
