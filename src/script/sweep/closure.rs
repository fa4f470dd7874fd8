//! A closure by itself: what it has captured, and where in the scripts it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rhai::{Dynamic, FnPtr, Map, NativeCallContext, ScriptFuncDef};
use serde::{Deserialize, Serialize};

use crate::script::{ScriptResult, fault};

/// The closure with what it has captured as it is now: neither does it change what is outside, nor is it changed from there.
///
/// # Errors
/// If it does not take one parameter.
pub fn detached(call: &NativeCallContext, closure: &FnPtr) -> ScriptResult<FnPtr> {
    let captured = closure.curry().len();
    let takes = definition(call, closure).map(|(_, definition)| definition.params.len() - captured);
    if let Some(takes) = takes.filter(|takes| *takes != 1) {
        return Err(fault(format!(
            "a sweep calls its closure with one map of parameters; write it as |p| …, not with {takes} parameters"
        )));
    }
    let mut own = closure.clone();
    own.set_curry(closure.iter_curry().map(Dynamic::flatten_clone).collect::<Vec<_>>());
    Ok(own)
}

/// The function behind a closure, and the name of the script that it is in.
fn definition<'a>(call: &'a NativeCallContext, closure: &FnPtr) -> Option<(&'a str, &'a Arc<ScriptFuncDef>)> {
    let mut found = None;
    for module in call.iter_namespaces() {
        for (_, _, name, parameters, definition) in module.iter_script_fn_info() {
            // the script that calls last has its functions last
            if name == closure.fn_name() && parameters > closure.curry().len() {
                found = Some((module.id().unwrap_or_default(), definition));
            }
        }
    }
    found
}

/// All that another process needs to find a closure again, beside what it has captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Name of the script.
    pub script: String,
    pub function: String,
    pub parameters: usize,
    /// What `import` names, by alias.
    pub imports: BTreeMap<String, String>,
}

impl Place {
    /// Where `closure` is.
    ///
    /// # Errors
    /// If it is not of a script.
    pub fn of(call: &NativeCallContext, closure: &FnPtr) -> ScriptResult<Self> {
        let (script, definition) = definition(call, closure).ok_or_else(|| {
            fault("workers call closures of a script alone: write it as |p| … in the call of the sweep")
        })?;
        // the last of one name hides those before
        let mut imports = BTreeMap::new();
        for (alias, module) in call.iter_imports() {
            imports.entry(alias.to_owned()).or_insert_with(|| import_path(script, module.id().unwrap_or_default()));
        }
        let (function, parameters) = (definition.name.to_string(), definition.params.len());
        Ok(Self { script: script.to_owned(), function, parameters, imports })
    }
}

/// What `import` in the script `from` names to get the module of this name.
fn import_path(from: &str, name: &str) -> String {
    let stem = name.strip_suffix(".rhai").unwrap_or(name);
    if crate::script::stdlib::STRATEGIES
        .iter()
        .any(|(strategy, _)| crate::script::stdlib::source_name(strategy) == name)
    {
        return stem.strip_prefix("stdlib/").unwrap_or(stem).to_owned();
    }
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    Path::new(stem).strip_prefix(folder).map_or(stem.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// The constants of the script that calls, which functions see as `global::NAME`.
pub fn constants(call: &NativeCallContext) -> Map {
    let constants = call.global_runtime_state().constants.as_ref();
    let read = constants.and_then(|constants| constants.read().ok());
    read.iter().flat_map(|all| all.iter()).map(|(name, value)| (name.as_str().into(), value.clone())).collect()
}
