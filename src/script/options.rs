//! Options of a kernel: from the map in a script to the kernel's own struct, strictly.
//!
//! The struct's `Serialize`, `Deserialize` and `Default` say everything: which names exist, which types they take, what
//! is used when nothing is said. A name that does not exist, or a value of a wrong type, is an error that names the
//! nearest option, or what was expected and what was found. Integers are taken wherever a float is expected.

use std::fmt::Display;

use rhai::{Dynamic, Map, NativeCallContext};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::diagnostic::a;
use super::stored::type_of;
use super::{ScriptResult, Session, api, fault};

/// What is wrong with a map of options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("unknown option {name:?}{}", suggestion(.name, .known, "options"))]
    Unknown { name: String, known: Vec<String> },
    #[error("option {name:?}: {reason}")]
    Value { name: String, reason: String },
    #[error("{name} must be {expected}, not {found}")]
    Argument { name: String, expected: &'static str, found: String },
}

/// Reads the options of the native function that `call` is for, and keeps them for the provenance of its results.
///
/// # Errors
/// If a name is unknown or a value has a wrong type.
pub fn parse<T: Serialize + DeserializeOwned + Default>(call: &NativeCallContext, map: &Map) -> ScriptResult<T> {
    let options: T = from_map(map).map_err(|error| fault(completed(error, call.fn_name())))?;
    if let Ok(used) = serde_json::to_value(&options) {
        Session::of(call).record(call.fn_name(), used);
    }
    Ok(options)
}

/// Reads options from a map; names left out keep their default.
///
/// # Errors
/// If a name is unknown or a value has a wrong type.
pub fn from_map<T: Serialize + DeserializeOwned + Default>(map: &Map) -> Result<T, OptionError> {
    let known: Vec<String> = defaults_of::<T>().into_iter().map(|(name, _)| name).collect();
    let mut fields = serde_json::Map::new();
    for (name, value) in map {
        let name = name.to_string();
        if !known.contains(&name) {
            return Err(OptionError::Unknown { name, known });
        }
        let wrong = |reason: String| OptionError::Value { name: name.clone(), reason };
        let value = to_json(value).map_err(wrong)?;
        // One option at a time, so that the message can name the one that is wrong.
        let alone = serde_json::Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(alone)).map_err(|error| wrong(plain(&error)))?;
        fields.insert(name, value);
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| OptionError::Value { name: "options".into(), reason: plain(&error) })
}

/// The options that a function takes.
pub struct Accepted {
    /// Its full name.
    pub function: &'static str,
    read: fn() -> serde_json::Map<String, Value>,
    taken: &'static [&'static str],
}

impl Accepted {
    /// Those that [`parse`] reads into a `T`.
    pub const fn of<T: Serialize + Default>(function: &'static str) -> Self {
        Self { function, read: defaults_of::<T>, taken: &[] }
    }

    /// Those that [`take`] takes before, too.
    #[must_use]
    pub const fn and(self, taken: &'static [&'static str]) -> Self {
        Self { taken, ..self }
    }

    /// The options of the function with this full name, if it takes any.
    pub fn by(function: &str) -> Option<&'static Self> {
        api::ACCEPTED.iter().find(|accepted| accepted.function == function)
    }

    /// Names and defaults of the options that are plain values: numbers, texts, lists, maps.
    pub fn defaults(&self) -> serde_json::Map<String, Value> {
        (self.read)()
    }

    /// All names.
    pub fn names(&self) -> Vec<String> {
        self.taken
            .iter()
            .map(|name| (*name).to_owned())
            .chain(self.defaults().into_iter().map(|(name, _)| name))
            .collect()
    }
}

/// What is in a struct of options when nothing is said.
fn defaults_of<T: Serialize + Default>() -> serde_json::Map<String, Value> {
    match serde_json::to_value(T::default()) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

/// An error that lists all options of the function `short`, with those that were taken before.
fn completed(error: OptionError, short: &str) -> OptionError {
    let OptionError::Unknown { name, known } = error else { return error };
    let all = api::ACCEPTED
        .iter()
        .filter(|accepted| accepted.function.rsplit("::").next() == Some(short))
        .map(Accepted::names)
        .find(|names| known.iter().all(|name| names.contains(name)));
    OptionError::Unknown { name, known: all.unwrap_or(known) }
}

/// The options of two structs as those of one.
#[derive(Debug, Default, Serialize)]
pub struct Both<F, S> {
    #[serde(flatten)]
    pub first: F,
    #[serde(flatten)]
    pub second: S,
}

impl<'de, F, S> Deserialize<'de> for Both<F, S>
where
    F: Serialize + DeserializeOwned + Default,
    S: DeserializeOwned,
{
    /// Each name goes to the struct that has it: both refuse names that they do not know, and flattened ones see all.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let of_first = serde_json::to_value(F::default()).map_err(D::Error::custom)?;
        let (first, second): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            serde_json::Map::deserialize(deserializer)?.into_iter().partition(|(name, _)| of_first.get(name).is_some());
        let second = serde_json::from_value(Value::Object(second)).map_err(D::Error::custom)?;
        Ok(Self { first: serde_json::from_value(Value::Object(first)).map_err(D::Error::custom)?, second })
    }
}

/// Takes a native value (a `Structure`, a `Volume`, …) out of a map of options, before the rest is parsed.
///
/// # Errors
/// If the value is there but of another type; `expected` names the right one (`"a Volume"`).
pub fn take<T: Clone + Send + Sync + 'static>(
    map: &mut Map,
    name: &str,
    expected: &'static str,
) -> ScriptResult<Option<T>> {
    match map.remove(name) {
        None => Ok(None),
        Some(value) if value.is_unit() => Ok(None),
        Some(value) => {
            let found = describe(&value);
            let wrong = || fault(OptionError::Argument { name: format!("option {name:?}"), expected, found });
            value.try_cast().map(Some).ok_or_else(wrong)
        }
    }
}

/// Options of a strategy written in Rhai: `defaults` with what is `given` in place; the types of the defaults rule.
///
/// # Errors
/// If a name is not among the defaults, or a value is of another type than its default (an integer will do for a float;
/// a default of `()` takes anything).
pub fn with_defaults(given: &Map, defaults: Map) -> Result<Map, OptionError> {
    let known: Vec<String> = defaults.keys().map(ToString::to_string).collect();
    let mut merged = defaults;
    for (name, value) in given {
        let Some(place) = merged.get_mut(name) else {
            return Err(OptionError::Unknown { name: name.to_string(), known });
        };
        *place = match (place.type_name(), value.as_int()) {
            ("f64", Ok(integer)) => Dynamic::from(integer as f64),
            (expected, _) if expected != value.type_name() && !place.is_unit() => {
                let reason = format!("expected a value like {}, not {}", describe(place), describe(value));
                return Err(OptionError::Value { name: name.to_string(), reason });
            }
            _ => value.clone(),
        };
    }
    Ok(merged)
}

/// An array of numbers, integers or floats, given as a plain argument; `name` is what messages call one of them.
///
/// # Errors
/// If one of them is neither.
pub fn numbers(values: &[Dynamic], name: &str) -> ScriptResult<Vec<f64>> {
    let number = |value: &Dynamic| {
        let wrong =
            |_| fault(OptionError::Argument { name: name.into(), expected: "a number", found: describe(value) });
        value.as_float().or_else(|_| value.as_int().map(|integer| integer as f64)).map_err(wrong)
    };
    values.iter().map(number).collect()
}

/// A seed of random numbers given as a plain argument of a function.
///
/// # Errors
/// If it is negative.
pub fn seed(value: i64) -> ScriptResult<u64> {
    u64::try_from(value).map_err(|_| fault(format!("a seed is a whole number, zero or more, not {value}")))
}

/// A script's value as JSON.
///
/// # Errors
/// If it holds something that has no counterpart there: a number that is not finite, a `Volume`, …
pub fn to_json(value: &Dynamic) -> Result<Value, String> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(flag.into());
    }
    if let Ok(integer) = value.as_int() {
        return Ok(integer.into());
    }
    if let Ok(float) = value.as_float() {
        let number = serde_json::Number::from_f64(float);
        return number.map(Value::Number).ok_or_else(|| format!("expected a finite number, got {float}"));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(text.as_str().into());
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().map(to_json).collect();
    }
    if let Ok(map) = value.as_map_ref() {
        return map.iter().map(|(name, item)| Ok((name.to_string(), to_json(item)?))).collect();
    }
    Err(format!("a {} cannot be used here", type_of(value)))
}

/// A value as a message shows it: itself if it is short, else its type.
pub fn describe(value: &Dynamic) -> String {
    match to_json(value) {
        Ok(json) if json.to_string().len() <= 40 => match json {
            Value::String(_) => format!("the string {json}"),
            Value::Null => "()".into(),
            _ => json.to_string(),
        },
        _ => a(type_of(value)),
    }
}

/// `; did you mean "x"? (options: …)`, or the list alone if nothing is near.
pub fn suggestion(name: &str, known: &[String], what: &str) -> String {
    let list = if known.is_empty() { "none".into() } else { known.join(", ") };
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean {near:?}? ({what}: {list})"),
        None => format!(" ({what}: {list})"),
    }
}

/// The known name that a misspelt one most likely stands for, if any is near enough: a slip of one letter (swapped,
/// missing, too many), or a long common beginning.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let similarity = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        // of a single letter every other is a slip
        let slip = if lower.chars().count() > 1 && strsim::osa_distance(&lower, &candidate) == 1 { 0.85 } else { 0.0 };
        strsim::jaro_winkler(&lower, &candidate).max(slip)
    };
    known
        .into_iter()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Serde's complaint in the words of a script.
fn plain(error: &impl Display) -> String {
    let text = error.to_string();
    if let Some((found, expected)) = text.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("expected {}, got {}", type_in_words(expected), found.replace("floating point", "the number"));
    }
    if let Some((found, expected)) =
        text.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("expected {}, got {}", type_in_words(expected), found);
    }
    if let Some((found, expected)) =
        text.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected "))
    {
        let known: Vec<String> = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        return format!("there is no {found:?}{}", suggestion(found, &known, "choices"));
    }
    text
}

fn type_in_words(rust: &str) -> &str {
    match rust {
        "f64" | "f32" => "a number",
        "u64" | "usize" | "u32" | "u8" | "u16" => "a whole number, zero or more",
        "i64" | "isize" | "i32" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Search {
        low_pass: f64,
        directions: usize,
        method: Method,
        limits: Vec<f64>,
        first: Option<f64>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Method {
        Kinematic,
        Multislice,
    }

    impl Default for Search {
        fn default() -> Self {
            Self { low_pass: 1.0, directions: 500, method: Method::Kinematic, limits: vec![3.3], first: None }
        }
    }

    fn map(entries: &[(&str, Dynamic)]) -> Map {
        entries.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()
    }

    fn complaint(name: &str, value: impl Into<Dynamic>) -> String {
        from_map::<Search>(&map(&[(name, value.into())])).unwrap_err().to_string()
    }

    #[test]
    fn integers_are_taken_as_floats_and_the_rest_keeps_its_default() {
        let limits = Dynamic::from_array(vec![Dynamic::from(3_i64), Dynamic::from(2.5)]);
        let options: Search = from_map(&map(&[
            ("low_pass", Dynamic::from(2_i64)),
            ("method", Dynamic::from("multislice")),
            ("limits", limits),
            ("first", Dynamic::from(4_i64)),
        ]))
        .unwrap();
        let expected = Search {
            low_pass: 2.0,
            directions: 500,
            method: Method::Multislice,
            limits: vec![3.0, 2.5],
            first: Some(4.0),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn a_misspelt_option_names_the_nearest_and_lists_all() {
        let message = complaint("low_pas", 1.0);
        assert!(message.starts_with("unknown option \"low_pas\"; did you mean \"low_pass\"? (options: "), "{message}");
        assert!(message.contains("directions"), "{message}");
        assert!(!complaint("quux", 1.0).contains("did you mean"));
    }

    #[test]
    fn a_wrong_value_says_what_was_expected_and_found() {
        assert_eq!(complaint("low_pass", "x"), "option \"low_pass\": expected a number, got string \"x\"");
        assert!(complaint("directions", -3_i64).contains("expected a whole number, zero or more, got integer `-3`"));
        assert!(complaint("directions", 2.5).contains("expected a whole number, zero or more"));
        assert!(complaint("low_pass", f64::NAN).contains("expected a finite number, got NaN"));
        assert!(complaint("method", "multislise").contains("did you mean \"multislice\"?"));
        assert!(complaint("limits", 3.0).contains("expected an array"));
    }
}
