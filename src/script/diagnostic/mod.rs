//! What went wrong in a script, where, and what to do: one message for a person.
//!
//! Rhai wraps an error once for every function and module it passes on its way out. [`Diagnostic::new`] goes to the
//! innermost one, which says what happened, and keeps the calls around it as a trace; [`Diagnostic::render`] draws it.
//!
//! `explain` turns Rhai's errors into the words of a script's author; `calls` sees to functions that do not exist or take
//! other arguments, `syntax` to what the parser refuses, habits from Python above all.

mod calls;
mod explain;
mod syntax;
mod text;

use std::collections::BTreeMap;

use ariadne::{Config, Label, Report, ReportKind, Source};
use rhai::{EvalAltResult, Position};

use super::lex::is_of_name;
pub(super) use calls::a;
use explain::{Explained, explain};
pub use text::harmless;
pub(super) use text::position_of;

/// A place in a script: lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the script, as the user wrote it.
    pub file: String,
    pub line: usize,
    /// `None` where only the line is known.
    pub column: Option<usize>,
}

impl Place {
    fn new(file: &str, position: Position) -> Option<Self> {
        Some(Self { file: file.to_owned(), line: position.line()?, column: position.position() })
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One error, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    /// What to do about it, where we know.
    pub help: Option<String>,
    pub place: Option<Place>,
    /// What led there (`"f, called"` or `"lib.rhai, imported"`, and where), innermost first.
    pub trace: Vec<(String, Place)>,
}

impl Diagnostic {
    /// Describes `error`, which ended the script named `script`; `sources` holds the texts of the scripts.
    pub fn new(error: EvalAltResult, script: &str, sources: &BTreeMap<String, String>) -> Self {
        let mut file = script.to_owned();
        let mut trace = Vec::new();
        let mut error = error;
        let position = loop {
            let position = error.position();
            match error {
                EvalAltResult::ErrorInFunctionCall(function, source, inner, _) => {
                    trace.extend(
                        Place::new(&file, position)
                            .map(|place| (format!("{}, called", function_in_words(&function)), place)),
                    );
                    if !source.is_empty() {
                        file = source;
                    }
                    error = *inner;
                }
                EvalAltResult::ErrorInModule(module, inner, _) => {
                    trace.extend(Place::new(&file, position).map(|place| (format!("{module}, imported"), place)));
                    file = module;
                    error = *inner;
                }
                _ => break position,
            }
        };
        trace.reverse();
        let Explained { message, help, position: moved } = explain(&error, &file, sources);
        // a script that throws a text does not steer the terminal with it
        let (message, help) = (harmless(&message).into_owned(), help.map(|help| harmless(&help).into_owned()));
        let place = Place::new(&file, moved.unwrap_or(position));
        Self { severity: Severity::Error, message, help, place, trace }
    }

    /// What is wrong at a place, found without running the script.
    pub(super) fn at(
        severity: Severity,
        file: &str,
        position: Position,
        message: String,
        help: Option<String>,
    ) -> Self {
        Self { severity, message, help, place: Place::new(file, position), trace: Vec::new() }
    }

    /// Draws the message with the line it is about; `sources` holds the texts of the scripts.
    pub fn render(&self, sources: &BTreeMap<String, String>, color: bool) -> String {
        let text = self.place.as_ref().and_then(|place| sources.get(&place.file));
        let (Some(place), Some(text)) = (&self.place, text) else { return self.render_plainly() };
        let span = (place.file.clone(), characters_at(text, place));
        let kind = match self.severity {
            Severity::Error => ReportKind::Error,
            Severity::Warning => ReportKind::Warning,
        };
        let mut report = Report::build(kind, span.clone())
            .with_config(Config::default().with_color(color))
            .with_message(&self.message)
            .with_label(Label::new(span).with_message("here"));
        for (call, place) in &self.trace {
            report.add_note(format!("in {call} at {}", written(place)));
        }
        if let Some(help) = &self.help {
            report.set_help(help);
        }
        let mut drawn = Vec::new();
        match report.finish().write((place.file.clone(), Source::from(text.as_str())), &mut drawn) {
            Ok(()) => String::from_utf8_lossy(&drawn).lines().map(|line| line.trim_end().to_owned() + "\n").collect(),
            Err(_) => self.render_plainly(),
        }
    }

    /// The message and its place, on one line.
    pub fn line(&self) -> String {
        let place = self.place.as_ref().map(|place| format!(" ({})", written(place))).unwrap_or_default();
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}{help}{place}", self.message).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn render_plainly(&self) -> String {
        let place = self.place.as_ref().map(|place| format!("{}: ", written(place))).unwrap_or_default();
        let help = self.help.as_ref().map(|help| format!("Help: {help}\n")).unwrap_or_default();
        format!("{:?}: {place}{}\n{help}", self.severity, self.message)
    }
}

fn written(place: &Place) -> String {
    let column = place.column.map(|column| format!(":{column}")).unwrap_or_default();
    format!("{}:{}{column}", place.file, place.line)
}

fn function_in_words(function: &str) -> String {
    if function.starts_with("anon$") { "a closure".into() } else { function.to_owned() }
}

/// The range of characters to underline: the word at `place`, or one character.
fn characters_at(text: &str, place: &Place) -> std::ops::Range<usize> {
    let before: usize = text.split_inclusive('\n').take(place.line - 1).map(|line| line.chars().count()).sum();
    let line: Vec<char> = text.lines().nth(place.line - 1).unwrap_or("").chars().collect();
    let column = place.column.unwrap_or(1).saturating_sub(1).min(line.len().saturating_sub(1));
    let is_word = |c: &&char| is_of_name(**c);
    let length = line.iter().skip(column).take_while(is_word).count().max(1).min(line.len().max(1));
    before + column..before + column + length
}
