//! What went wrong in a script, where, and what to do: one message for a person.
//!
//! Rhai wraps an error once for every function and module it passes on its way out. [`Diagnostic::new`] goes to the
//! innermost one, which says what happened, and keeps the calls around it as a trace; [`Diagnostic::render`] draws it.

use std::collections::BTreeMap;

use ariadne::{Config, Label, Report, ReportKind, Source};
use rhai::{EvalAltResult, ParseErrorType, Position};

use super::help::{Reference, type_in_words};
use super::limits;
use super::options::nearest;

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

/// One error, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
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
        let (message, help) = message_and_help(&error, sources.get(&file).map_or("", String::as_str));
        Self { message, help, place: Place::new(&file, position), trace }
    }

    /// Draws the message with the line it is about; `sources` holds the texts of the scripts.
    pub fn render(&self, sources: &BTreeMap<String, String>, color: bool) -> String {
        let text = self.place.as_ref().and_then(|place| sources.get(&place.file));
        let (Some(place), Some(text)) = (&self.place, text) else { return self.render_plainly() };
        let span = (place.file.clone(), characters_at(text, place));
        let mut report = Report::build(ReportKind::Error, span.clone())
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
        format!("Error: {place}{}\n{help}", self.message)
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
    let is_word = |c: &&char| c.is_alphanumeric() || **c == '_';
    let length = line.iter().skip(column).take_while(is_word).count().max(1).min(line.len().max(1));
    before + column..before + column + length
}

/// The innermost error in plain words, and what to do about it.
fn message_and_help(error: &EvalAltResult, text: &str) -> (String, Option<String>) {
    use EvalAltResult as E;
    match error {
        E::ErrorParsing(ParseErrorType::VariableUndefined(name), _) | E::ErrorVariableNotFound(name, _) => {
            (format!("there is no variable {name:?} here"), near(name, words(text).filter(|word| word != name)))
        }
        E::ErrorParsing(ParseErrorType::ModuleUndefined(name), _) | E::ErrorModuleNotFound(name, _) => {
            (format!("there is no namespace or script {name:?}"), near(name, namespaces()))
        }
        E::ErrorParsing(what, _) => (format!("syntax error: {what}"), None),
        E::ErrorFunctionNotFound(signature, _) => {
            (format!("there is no function {}", signature_in_words(signature)), function_help(signature))
        }
        E::ErrorStackOverflow(_) => ("the script's functions call each other too deeply".into(), {
            Some("a function that calls itself must come to an end; use a loop for long repetitions".into())
        }),
        E::ErrorRuntime(value, _) | E::ErrorTerminated(value, _) => split_help(&value.to_string()),
        E::ErrorDataTooLarge(what, _) => (limits::too_large(what), None),
        other => {
            let mut other = other.to_string();
            if let Some(end) = other.rfind(" (line ") {
                other.truncate(end);
            }
            (other, None)
        }
    }
}

/// A kernel's suggestion stands behind a semicolon: it becomes the help line.
fn split_help(message: &str) -> (String, Option<String>) {
    let split =
        |start: &str| message.split_once(&format!("; {start}")).map(|(what, rest)| (what, format!("{start}{rest}")));
    match split("did you mean ").or_else(|| split("to allow it, ")) {
        Some((message, help)) => (message.to_owned(), Some(help)),
        None => (message.to_owned(), None),
    }
}

/// `images::normalize (Images, i64)` as a script's author would write it.
fn signature_in_words(signature: &str) -> String {
    let Some((name, types)) = signature.strip_suffix(')').and_then(|rest| rest.split_once('(')) else {
        return signature.to_owned();
    };
    let types = types.replace("&str | ImmutableString | String", "string");
    let types: Vec<&str> = types.split(", ").map(type_in_words).collect();
    format!("{}({})", name.trim(), types.join(", "))
}

fn near(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let known: Vec<String> = known.collect();
    nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean {near:?}?"))
}

/// All identifiers of a script.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(str::to_owned)
}

fn namespaces() -> impl Iterator<Item = String> {
    Reference::new().namespaces.into_iter().map(|namespace| namespace.name)
}

/// For `images::normalise (Images)`: how the function is called that exists, or the name of one that is near.
fn function_help(signature: &str) -> Option<String> {
    let name = signature.split('(').next().unwrap_or(signature).trim();
    let reference = Reference::new();
    let short = name.rsplit("::").next().unwrap_or(name);
    let same: Vec<String> = reference
        .entries()
        .filter(|(full, entry)| *full == name || entry.name == short && !name.contains("::"))
        .flat_map(|(_, entry)| entry.signatures.clone())
        .collect();
    if !same.is_empty() {
        return Some(format!("it takes other arguments: {}", same.join(" or ")));
    }
    let full: Vec<String> = reference.entries().map(|(full, _)| full).collect();
    let shorts = reference.entries().map(|(_, entry)| entry.name.clone());
    if name.contains("::") { near(name, full.into_iter()) } else { near(name, shorts) }
}
