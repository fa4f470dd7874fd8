//! A closure by itself: what it has captured, and where in the scripts it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rhai::{Dynamic, FnPtr, Map, Module, NativeCallContext, ScriptFuncDef};
use serde::{Deserialize, Serialize};

use crate::script::{ScriptResult, fault};

/// The closure with what it has captured as it is now: neither does it change what is outside, nor is it changed from there.
///
/// # Errors
/// If it does not take one parameter.
pub fn detached(call: &NativeCallContext, closure: &FnPtr) -> ScriptResult<FnPtr> {
    let takes = definition(call, closure).map(|(_, definition)| definition.params.len() - closure.curry().len());
    if let Some(takes) = takes.filter(|takes| *takes != 1) {
        let not = format!("not with {takes} parameters");
        return Err(fault(format!("a sweep calls its closure with one map of parameters; write it as |p| …, {not}")));
    }
    let mut own = closure.clone();
    own.set_curry(closure.iter_curry().map(Dynamic::flatten_clone).collect::<Vec<_>>());
    Ok(own)
}

/// The function behind a closure, and the script that it is in.
pub(super) fn definition<'a>(
    call: &'a NativeCallContext,
    closure: &FnPtr,
) -> Option<(&'a Module, &'a Arc<ScriptFuncDef>)> {
    let captured = closure.curry().len();
    let mut found: Option<(&Module, &Arc<ScriptFuncDef>)> = None;
    for module in call.iter_namespaces() {
        for (_, _, name, parameters, definition) in module.iter_script_fn_info() {
            // of one name that which fits; the script that calls last has its functions last
            let fits = parameters == captured + 1 || found.is_none_or(|(_, other)| other.params.len() != captured + 1);
            if name == closure.fn_name() && parameters >= captured && fits {
                found = Some((module, definition));
            }
        }
    }
    found
}

/// The closures of a script, in the order of their text: their names are drawn anew in every process.
fn closures(module: &Module) -> Vec<&Arc<ScriptFuncDef>> {
    let functions = module.iter_script_fn_info().map(|(.., definition)| definition);
    let mut closures: Vec<_> = functions.filter(|definition| definition.name.starts_with(ANONYMOUS)).collect();
    closures.sort_by_key(|definition| (definition.body.start_position(), definition.params.clone()));
    closures
}

/// How the names of closures begin.
const ANONYMOUS: &str = "anon$";

/// Which function of a script it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Function {
    /// By its place among the closures, from 0.
    Closure(usize),
    Named(String),
}

/// All that another process needs to find a closure again, beside what it has captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Name of the script.
    pub script: String,
    pub function: Function,
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
        let (module, definition) = definition(call, closure).ok_or_else(|| {
            fault(
                "only closures of a script can be kept or given to workers: write it as |p| … in the call of the sweep",
            )
        })?;
        let script = module.id().unwrap_or_default();
        // the last of one name hides those before
        let mut imports = BTreeMap::new();
        for (alias, module) in call.iter_imports() {
            imports.entry(alias.to_owned()).or_insert_with(|| import_path(script, module.id().unwrap_or_default()));
        }
        let function = match closures(module).iter().position(|other| Arc::ptr_eq(other, definition)) {
            Some(place) => Function::Closure(place),
            None => Function::Named(definition.name.to_string()),
        };
        Ok(Self { script: script.to_owned(), function, parameters: definition.params.len(), imports })
    }

    /// The closure, without what it has captured, in its script as it was compiled by this process.
    pub fn find(&self, script: &Module) -> Option<FnPtr> {
        let definition = match &self.function {
            Function::Closure(place) => closures(script).get(*place).copied(),
            Function::Named(name) => {
                let mut functions = script.iter_script_fn_info();
                functions
                    .find(|(_, _, other, count, _)| other == name && *count == self.parameters)
                    .map(|(.., found)| found)
            }
        };
        definition
            .filter(|definition| definition.params.len() == self.parameters)
            .map(|found| FnPtr::from(found.clone()))
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
