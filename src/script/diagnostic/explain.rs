//! Rhai's errors in the words of a script's author, with what to do about them.

use std::collections::BTreeMap;
use std::path::Path;

use rhai::{EvalAltResult, ParseErrorType, Position};

use super::calls::{self, a};
use super::syntax::{self, habit};
use super::text::{imports, line, position_of, words};
use crate::script::help::{Reference, type_in_words};
use crate::script::lex::is_of_name;
use crate::script::options::nearest;
use crate::script::{limits, stdlib};

/// What is said of an error.
pub struct Explained {
    pub message: String,
    /// What to do about it, where we know.
    pub help: Option<String>,
    /// Where it shows, if that is not where Rhai has it.
    pub position: Option<Position>,
}

impl Explained {
    pub fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Self { message: message.into(), help, position: None }
    }
}

/// Explains the innermost error, which happened in `file`.
pub fn explain(error: &EvalAltResult, file: &str, sources: &BTreeMap<String, String>) -> Explained {
    use EvalAltResult as E;
    let text = sources.get(file).map_or("", String::as_str);
    let here = line(text, error.position().line().unwrap_or(0));
    match error {
        E::ErrorParsing(ParseErrorType::VariableUndefined(name), _) | E::ErrorVariableNotFound(name, _) => {
            unknown_variable(name, text, here)
        }
        E::ErrorParsing(ParseErrorType::ModuleUndefined(name), _) | E::ErrorModuleNotFound(name, _) => {
            unknown_module(name, text, here, error.position())
        }
        E::ErrorParsing(what, position) => syntax::explain(what, *position, text),
        E::ErrorFunctionNotFound(signature, position) => calls::explain(signature, *position, file, sources),
        E::ErrorStackOverflow(_) => Explained::new("the script's functions call each other too deeply", {
            Some("a function that calls itself must come to an end; use a loop for long repetitions".into())
        }),
        E::ErrorRuntime(value, position) | E::ErrorTerminated(value, position) => {
            let message = value.to_string();
            Explained { position: option_named(&message, text, *position), ..split_help(&message) }
        }
        E::ErrorDataTooLarge(what, _) => Explained::new(limits::too_large(what), None),
        E::ErrorDotExpr(what, _) => property(what),
        E::ErrorMismatchDataType(expected, found, _) => mismatch(expected, found),
        E::ErrorIndexingType(what, _) => indexing(what),
        E::ErrorArrayBounds(length, index, _) => bounds("an array", "items", *length, *index),
        E::ErrorStringBounds(length, index, _) => bounds("a string", "letters", *length, *index),
        E::ErrorFor(_) => Explained::new("this value cannot be gone through with for", {
            Some("for goes over arrays, ranges (for i in 0..10) and strings".into())
        }),
        E::ErrorArithmetic(what, _) => arithmetic(what),
        E::ErrorAssignmentToConstant(name, _) => constant(name),
        other => {
            let mut other = other.to_string();
            if let Some(end) = other.rfind(" (line ") {
                other.truncate(end);
            }
            Explained::new(lower(&other), None)
        }
    }
}

/// A message as ours begin: small.
pub fn lower(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean {near:?}?"))
}

pub fn constant(name: &str) -> Explained {
    Explained::new(
        format!("{name} is a const and keeps its value"),
        Some(format!("let {name} = … makes it a variable")),
    )
}

fn unknown_variable(name: &str, text: &str, here: &str) -> Explained {
    if name.contains("::") && Reference::get().entries().any(|(full, _)| full == name) {
        let help = format!("call it, {name}(…), or pass it on in a closure, |x| {name}(x)");
        return Explained::new(format!("{name} is a function and no value"), Some(help));
    }
    let assigned = here.trim_start().strip_prefix(name).is_some_and(|rest| {
        let rest = rest.trim_start();
        rest.starts_with('=') && !rest.starts_with("==")
    });
    let help = if assigned {
        Some(format!("a new variable begins with let: let {}", here.trim()))
    } else {
        habit(name, here).or_else(|| near(name, words(text).filter(|word| *word != name)))
    };
    let help = help.or_else(|| {
        let reference = Reference::get();
        let full = reference.entries().find(|(_, entry)| entry.name == name).map(|(full, _)| full);
        full.map(|full| format!("{full} is a function: it is called as {full}(…)"))
    });
    Explained::new(format!("there is no variable {name:?} here"), help)
}

fn unknown_module(name: &str, text: &str, here: &str, position: Position) -> Explained {
    let strategies = || stdlib::STRATEGIES.iter().map(|(strategy, _)| *strategy);
    let reference = Reference::get();
    let known = || reference.namespaces.iter().map(|namespace| namespace.name.as_str());
    let is_import = here.chars().nth(position.position().unwrap_or(1) - 1) == Some('"');
    if is_import {
        let other = "an import names a built-in strategy or a script beside this one, \"lib\" for lib.rhai";
        let help = near(name, strategies()).or_else(|| Some(other.into()));
        return Explained::new(format!("there is no script {name:?}"), help);
    }
    let path = imports(text).into_iter().find(|(_, alias)| alias == name).map(|(path, _)| path);
    let message = format!("there is no namespace or script {name:?}");
    if let Some(path) = path {
        let help = format!("an import stands before its use: import {path:?} as {name};");
        return Explained::new(format!("{message} yet"), Some(help));
    }
    if stdlib::is_strategy(name) {
        return Explained::new(message, Some(format!("it is to be imported first: import {name:?} as {name};")));
    }
    Explained::new(message, near(name, known()).or_else(|| Some("pedesis help lists the namespaces".into())))
}

/// A kernel's suggestion stands behind a semicolon: it becomes the help line.
fn split_help(message: &str) -> Explained {
    let message = without_number(message);
    let split =
        |start: &str| message.split_once(&format!("; {start}")).map(|(what, rest)| (what, format!("{start}{rest}")));
    match split("did you mean ").or_else(|| split("to allow it, ")) {
        Some((what, help)) => Explained::new(what, Some(help)),
        None => Explained { help: missing_file(&message), ..Explained::new(message, None) },
    }
}

/// Where the option stands that a message names, if that is in the call at `position`.
fn option_named(message: &str, text: &str, position: Position) -> Option<Position> {
    let rest = message.strip_prefix("unknown ").unwrap_or(message).strip_prefix("option \"")?;
    let (name, _) = rest.split_once('"')?;
    let (first, column) = (position.line()?, position.position()?);
    for (number, line) in text.lines().enumerate().skip(first - 1) {
        let from = if number + 1 == first { column - 1 } else { 0 };
        let letters: Vec<char> = line.chars().collect();
        let is_word = |at: usize| letters.get(at).is_some_and(|c| is_of_name(*c));
        let wanted: Vec<char> = name.chars().collect();
        for at in from..letters.len() {
            let end = at + wanted.len();
            if letters[at..].starts_with(&wanted) && !is_word(end) && (at == 0 || !is_word(at - 1)) {
                let after: String = letters[end..].iter().collect();
                if after.trim_start().starts_with(':') && !after.trim_start().starts_with("::") {
                    return Some(position_of(number + 1, at + 1));
                }
            }
            if letters[at] == ';' {
                return None;
            }
        }
    }
    None
}

/// The computer's message without its number for it.
fn without_number(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" (os error ") else { return message.to_owned() };
    let after = rest.split_once(')').map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// The file that a missing one may stand for.
fn missing_file(message: &str) -> Option<String> {
    let path = message.strip_prefix("cannot read ")?.strip_suffix(": No such file or directory")?;
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(files) = std::fs::read_dir(folder) else {
        return Some(format!("there is no folder {}", folder.display()));
    };
    let names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    near(path.file_name()?.to_str()?, names.iter().map(String::as_str))
}

/// `Unknown property 'c' - a getter is not registered for type '()'`, and the like for setters.
fn property(what: &str) -> Explained {
    let mut quoted = what.split('\'').skip(1).step_by(2);
    let (Some(name), Some(kind)) = (quoted.next(), quoted.next()) else { return Explained::new(lower(what), None) };
    let kind = type_in_words(kind);
    let set = what.contains("writable");
    let message = if set {
        format!("{} has no property {name} that could be set", a(kind))
    } else {
        format!("{} has no property {name}", a(kind))
    };
    if kind == "()" {
        return Explained::new(message, Some(calls::NOTHING.into()));
    }
    let methods = calls::methods_of(kind);
    let help = match methods.iter().find(|method| method.name == name) {
        Some(method) if !set => Some(format!("{name} is a function, called with brackets: {}", method.signature)),
        _ => near(name, methods.iter().map(|method| method.name.as_str())),
    };
    Explained::new(message, help)
}

fn mismatch(expected: &str, found: &str) -> Explained {
    let (expected, found) = (type_in_words(expected), type_in_words(found));
    match (expected, found) {
        ("", found) => Explained::new(format!("{} cannot be used here", a(found)), None),
        (expected, "") => Explained::new(format!("expected {}", a(expected)), None),
        ("bool", found) => Explained::new(format!("expected true or false, not {}", a(found)), {
            Some("a condition compares: x != 0, x > 1.5, x != (), !list.is_empty()".into())
        }),
        ("int", "string") => Explained::new("expected an int, not a string", {
            Some("the items of an array are numbered: list[0]".into())
        }),
        ("string", "int") => Explained::new("expected a string, not an int", {
            Some("the entries of a map have names: map[\"name\"]".into())
        }),
        ("int", "float") => Explained::new("expected an int, not a float", {
            Some("x.to_int() cuts off what is behind the point, x.round().to_int() rounds".into())
        }),
        _ => Explained::new(format!("expected {}, not {}", a(expected), a(found)), None),
    }
}

/// `array [string]`
fn indexing(what: &str) -> Explained {
    let Some((kind, index)) = what.strip_suffix(']').and_then(|what| what.split_once(" [")) else {
        return Explained::new(format!("{} has no items", a(what)), None);
    };
    let (kind, index) = (type_in_words(kind), type_in_words(index));
    let help = match kind {
        "()" => Some(calls::NOTHING.to_owned()),
        "array" => Some("the items of an array are numbered: list[0]".into()),
        "map" => Some("the entries of a map have names: map.name or map[\"name\"]".into()),
        _ => None,
    };
    Explained::new(format!("{} has no items [{index}]", a(kind)), help)
}

fn bounds(what: &str, items: &str, length: usize, index: i64) -> Explained {
    if length == 0 {
        return Explained::new(format!("there is no item {index} in {what} of no {items}"), None);
    }
    let help = format!("the first is 0, the last {}", length - 1);
    Explained::new(format!("there is no item {index} in {what} of {length} {items}"), Some(help))
}

fn arithmetic(what: &str) -> Explained {
    let help = match what {
        what if what.starts_with("Division by zero") => {
            "whole numbers cannot be divided by 0, and 1 / 2 is 0: write 2.0 for a float"
        }
        what if what.contains("overflow") => "whole numbers end at ±9.2e18: write 2.0 for a float",
        _ => return Explained::new(lower(what), None),
    };
    Explained::new(lower(what), Some(help.into()))
}
