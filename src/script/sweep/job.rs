//! What workers are told once: a file with the closure, what it has captured, and the scripts.

use std::collections::BTreeMap;
use std::path::Path;

use rhai::{Dynamic, FnPtr, Map, NativeCallContext};

use super::closure::{Place, constants, definition};
use crate::script::exact::{from_exact, map_to_exact, to_exact};
use crate::script::{ScriptResult, Session, fault};
use crate::store::{self, Digest, Value};

/// Name of the file in a sweep's folder.
pub const FILE: &str = "captured.h5";

/// A job as a worker reads it.
pub struct Job {
    pub place: Place,
    /// The text of the script with the closure.
    pub text: String,
    pub captured: Vec<Dynamic>,
    pub constants: Map,
    /// Digest of each script that had been read.
    pub scripts: BTreeMap<String, String>,
}

/// What a closure has captured, and the constants that it sees; each may be what cannot be kept.
pub struct Captured {
    pub values: Value,
    pub constants: Value,
}

impl Captured {
    /// # Errors
    /// If a value cannot be kept; the message names it.
    pub fn of(call: &NativeCallContext, closure: &FnPtr) -> Result<Self, String> {
        // the variables that it has captured come first among its parameters
        let names = definition(call, closure).map(|(_, found)| found.params.to_vec()).unwrap_or_default();
        let value = |(i, value): (usize, &Dynamic)| {
            let name = names.get(i).map_or("a value", |name| name.as_str());
            to_exact(value).map_err(|problem| format!("what the closure uses cannot be stored: {name}: {problem}"))
        };
        let values = closure.iter_curry().enumerate().map(value).collect::<Result<Vec<_>, _>>()?;
        let constants = map_to_exact(&constants(call))
            .map_err(|problem| format!("a constant that the closure may use cannot be stored: {problem}"))?;
        Ok(Self { values: Value::List(values), constants })
    }
}

/// Writes the job of a sweep into its folder.
///
/// # Errors
/// If a value cannot be kept, or the file not be written.
pub fn write(call: &NativeCallContext, closure: &FnPtr, folder: &Path) -> ScriptResult<()> {
    let session = Session::of(call);
    let captured = Captured::of(call, closure).map_err(fault)?;
    let place = Place::of(call, closure)?;
    let sources = session.sources();
    let text = sources.get(&place.script).cloned().unwrap_or_default();
    let scripts: BTreeMap<_, _> = sources.iter().map(|(name, text)| (name, Digest::of_text(text))).collect();
    let texts = [
        ("place", serde_json::json!(place).to_string()),
        ("text", text),
        ("scripts", serde_json::json!(scripts).to_string()),
        ("program", Digest::of_program().finish()),
    ];
    let mut values: BTreeMap<_, _> =
        texts.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text))).collect();
    values.insert("captured".into(), captured.values);
    values.insert("constants".into(), captured.constants);
    session.run(|task| store::write_h5(&folder.join(FILE), &values, &session.provenance(), task))
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// If it is not there, damaged, or of another build of the program.
pub fn read(folder: &Path) -> Result<Job, String> {
    let mut values = store::read_h5(&folder.join(FILE)).map_err(|error| error.to_string())?.values;
    let mut take = |name: &str| values.remove(name).ok_or_else(|| format!("{FILE} has no {name}"));
    let text = |value: Value| if let Value::Text(text) = value { Ok(text) } else { Err(format!("{FILE} is damaged")) };
    let broken = |error: serde_json::Error| format!("{FILE}: {error}");
    if text(take("program")?)? != Digest::of_program().finish() {
        return Err("the program is another one than that of the sweep".into());
    }
    let captured = match take("captured")? {
        Value::List(values) => values.into_iter().map(from_exact).collect::<Result<_, _>>()?,
        _ => return Err(format!("{FILE} is damaged")),
    };
    Ok(Job {
        place: serde_json::from_str(&text(take("place")?)?).map_err(broken)?,
        scripts: serde_json::from_str(&text(take("scripts")?)?).map_err(broken)?,
        text: text(take("text")?)?,
        captured,
        constants: from_exact(take("constants")?)?.try_cast().ok_or_else(|| format!("{FILE} is damaged"))?,
    })
}
