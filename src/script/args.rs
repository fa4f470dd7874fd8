//! Arguments that a script declares: `let a = args(#{ images: required("file"), pixel_size: 0.25, out: "out" });`
//!
//! A default says the type (an integer is accepted for a float); [`required`](Presence::Required) and
//! [`optional`](Presence::Optional) arguments name a kind. The `k=v` pairs of the command line are held against the
//! declaration before any work is done. What is wrong with them is the fault of the command line (exit status 2), but a
//! file that does not exist is that of the input (1).

use std::collections::BTreeMap;
use std::path::Path;

use rhai::{Dynamic, EvalAltResult, ImmutableString, Map};

use super::options::{describe, suggestion, to_json};
use super::{ScriptResult, Session, fault};

/// What the command line got wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    #[error("unknown argument {name:?}{}", suggestion(.name, .known, "arguments"))]
    Unknown { name: String, known: Vec<String> },
    #[error("missing argument {name}=…: {what}")]
    Missing { name: String, what: String },
    #[error("argument {name}={value}: expected {expected}")]
    Value { name: String, value: String, expected: String },
    #[error("argument {0:?} is given twice")]
    Twice(String),
    #[error("{script} takes no arguments, but {name}=… was given")]
    NoneDeclared { script: String, name: String },
}

/// What values an argument takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Path of a file that exists.
    File,
    /// A finite number; an integer will do.
    Float,
    /// A whole number.
    Int,
    /// Any text.
    String,
    /// `true` or `false`.
    Bool,
    /// Texts separated by commas.
    List,
    /// One of a few words.
    Choice(Vec<String>),
}

impl Kind {
    const NAMES: [&'static str; 6] = ["file", "float", "int", "string", "bool", "list"];

    /// The kind a script names.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn named(name: &str) -> ScriptResult<Self> {
        Ok(match name {
            "file" => Self::File,
            "float" => Self::Float,
            "int" => Self::Int,
            "string" => Self::String,
            "bool" => Self::Bool,
            "list" => Self::List,
            _ => {
                let known = Self::NAMES.map(str::to_owned);
                return Err(fault(format!("unknown kind of argument {name:?}{}", suggestion(name, &known, "kinds"))));
            }
        })
    }

    /// The kind that a default value is of.
    fn of(default: &Dynamic) -> Option<Self> {
        Some(match default.type_name() {
            "f64" => Self::Float,
            "i64" => Self::Int,
            "string" => Self::String,
            "bool" => Self::Bool,
            "array" => Self::List,
            _ => return None,
        })
    }

    fn in_words(&self) -> String {
        match self {
            Self::File => "the path of a file".into(),
            Self::Float => "a number".into(),
            Self::Int => "a whole number".into(),
            Self::String => "a text".into(),
            Self::Bool => "true or false".into(),
            Self::List => "a list separated by commas, such as Fe,Pt".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// Reads what the command line gives; `None` if it is not of this kind.
    fn read(&self, text: &str) -> Option<Dynamic> {
        match self {
            Self::File | Self::String => Some(text.into()),
            Self::Float => text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Dynamic::from),
            Self::Int => text.parse::<i64>().ok().map(Dynamic::from),
            Self::Bool => text.parse::<bool>().ok().map(Dynamic::from),
            Self::List => {
                let items: Vec<Dynamic> = text.split(',').map(|item| item.trim().to_owned().into()).collect();
                Some(Dynamic::from_array(items))
            }
            Self::Choice(words) => words.iter().any(|word| word == text).then(|| text.into()),
        }
    }
}

/// Must an argument be there, and what holds if it is not?
#[derive(Debug, Clone)]
pub enum Presence {
    Required,
    /// `()` where it is not given.
    Optional,
    Default(Dynamic),
}

/// One declared argument; the value of `required("file")` and its like in a script.
#[derive(Debug, Clone)]
pub struct Declaration {
    pub kind: Kind,
    pub presence: Presence,
}

impl Declaration {
    fn from_value(name: &str, value: &Dynamic) -> ScriptResult<Self> {
        if let Some(declaration) = value.clone().try_cast::<Self>() {
            return Ok(declaration);
        }
        let kind = Kind::of(value).ok_or_else(|| {
            let found = describe(value);
            fault(format!("argument {name:?}: a default is a number, a string, true, false or an array, not {found}"))
        })?;
        Ok(Self { kind, presence: Presence::Default(value.clone()) })
    }
}

/// One word of a few, of which the first is the default.
///
/// # Errors
/// If there are no words, or one is not a string.
pub fn choice(words: &[Dynamic]) -> ScriptResult<Declaration> {
    let words: Option<Vec<String>> =
        words.iter().map(|word| word.as_immutable_string_ref().ok().map(|word| word.to_string())).collect();
    let words = words.filter(|words| !words.is_empty()).ok_or_else(|| fault("choice takes an array of strings"))?;
    let presence = Presence::Default(words[0].clone().into());
    Ok(Declaration { kind: Kind::Choice(words), presence })
}

/// Holds the command line of `session` against a script's declaration and gives the value of every argument.
///
/// # Errors
/// [`ArgumentError`] (wrapped, see [`command_line_fault`]) if the command line is at fault; a script error if the
/// declaration is, if it is the second, or if a file does not exist.
pub fn declare(session: &Session, declared: &Map) -> ScriptResult<Map> {
    let declarations: BTreeMap<String, Declaration> = declared
        .iter()
        .map(|(name, value)| Ok((name.to_string(), Declaration::from_value(name, value)?)))
        .collect::<ScriptResult<_>>()?;
    let values = judge(&session.given(), &declarations).map_err(wrap)?;
    for (name, value) in &values {
        let is_file = declarations.get(name.as_str()).is_some_and(|declaration| declaration.kind == Kind::File);
        if let Ok(path) = value.as_immutable_string_ref()
            && is_file
        {
            check_file(name, &path)?;
        }
    }
    if !session.set_arguments(values.clone()) {
        return Err(fault("args was called before; a script declares its arguments once, at its beginning"));
    }
    Ok(values)
}

/// The values of all declared arguments.
fn judge(given: &[(String, String)], declarations: &BTreeMap<String, Declaration>) -> Result<Map, ArgumentError> {
    for (i, (name, _)) in given.iter().enumerate() {
        if !declarations.contains_key(name) {
            return Err(ArgumentError::Unknown { name: name.clone(), known: declarations.keys().cloned().collect() });
        }
        if given[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(ArgumentError::Twice(name.clone()));
        }
    }
    let mut values = Map::new();
    for (name, Declaration { kind, presence }) in declarations {
        let value = match (given.iter().find(|(given, _)| given == name), presence) {
            (Some((_, text)), _) => kind.read(text).ok_or_else(|| ArgumentError::Value {
                name: name.clone(),
                value: text.clone(),
                expected: kind.in_words(),
            })?,
            (None, Presence::Required) => {
                return Err(ArgumentError::Missing { name: name.clone(), what: kind.in_words() });
            }
            (None, Presence::Optional) => Dynamic::UNIT,
            (None, Presence::Default(value)) => value.clone(),
        };
        values.insert(name.into(), value);
    }
    Ok(values)
}

fn check_file(name: &str, path: &ImmutableString) -> ScriptResult<()> {
    let file = Path::new(path.as_str());
    if file.is_file() {
        return Ok(());
    }
    let what = if file.is_dir() { "is a folder, not a file" } else { "does not exist" };
    Err(fault(format!("argument {name}={path}: this file {what}")))
}

/// An error that no `catch` in a script can swallow.
fn wrap(error: ArgumentError) -> Box<EvalAltResult> {
    EvalAltResult::ErrorSystem(String::new(), Box::new(error)).into()
}

/// What is wrong with the command line, if that is what ended a script.
pub fn command_line_fault(error: &EvalAltResult) -> Option<&ArgumentError> {
    match error {
        EvalAltResult::ErrorSystem(_, inner) => inner.downcast_ref(),
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            command_line_fault(inner)
        }
        _ => None,
    }
}

/// The arguments as JSON, for the provenance of results.
pub fn as_json(arguments: &Map) -> serde_json::Value {
    to_json(&Dynamic::from_map(arguments.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declarations() -> BTreeMap<String, Declaration> {
        let of = |kind, presence| Declaration { kind, presence };
        BTreeMap::from([
            ("images".into(), of(Kind::File, Presence::Required)),
            ("pixel_size".into(), of(Kind::Float, Presence::Default(0.25.into()))),
            ("species".into(), of(Kind::List, Presence::Optional)),
            ("seed".into(), of(Kind::Int, Presence::Default(1_i64.into()))),
        ])
    }

    fn judge_line(line: &str) -> Result<Map, ArgumentError> {
        let pairs: Vec<_> = line
            .split_whitespace()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        judge(&pairs, &declarations())
    }

    #[test]
    fn values_take_the_type_of_their_declaration() {
        let values = judge_line("images=a.mrc pixel_size=1 species=Fe,Pt").unwrap();
        assert_eq!(values["pixel_size"].as_float(), Ok(1.0));
        assert_eq!(values["seed"].as_int(), Ok(1));
        let species: Vec<String> = values["species"].clone().into_typed_array().unwrap();
        assert_eq!(species, ["Fe", "Pt"]);
        assert!(judge_line("images=a.mrc").unwrap()["species"].is_unit());
    }

    #[test]
    fn a_bad_command_line_is_named() {
        let complaint = |line| judge_line(line).unwrap_err().to_string();
        assert!(complaint("images=a pixelsize=1").contains("did you mean \"pixel_size\"?"));
        assert!(complaint("seed=2").contains("missing argument images=…: the path of a file"));
        assert!(complaint("images=a pixel_size=nan").contains("pixel_size=nan: expected a number"));
        assert!(complaint("images=a seed=1.5").contains("seed=1.5: expected a whole number"));
        assert!(complaint("images=a images=b").contains("twice"));
    }
}
