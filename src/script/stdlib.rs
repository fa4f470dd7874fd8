//! Strategies written in Rhai, built into the binary, and how `import` finds them and the user's own files.
//!
//! `import "two_step" as two_step;` takes the built-in strategy of that name; any other name is a file, with or without
//! `.rhai`, in the folder of the script that imports it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rhai::{AST, Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared};

use super::{ScriptResult, Session, fault};

/// The built-in strategies: name, and text of `stdlib/NAME.rhai`.
pub const STRATEGIES: &[(&str, &str)] = &[
    ("auto", include_str!("../../stdlib/auto.rhai")),
    ("lattice_first", include_str!("../../stdlib/lattice_first.rhai")),
    ("lattice_start", include_str!("../../stdlib/lattice_start.rhai")),
    ("marching", include_str!("../../stdlib/marching.rhai")),
    ("report", include_str!("../../stdlib/report.rhai")),
    ("single_step", include_str!("../../stdlib/single_step.rhai")),
    ("two_step", include_str!("../../stdlib/two_step.rhai")),
];

/// The name under which messages show a built-in strategy.
pub fn source_name(strategy: &str) -> String {
    format!("stdlib/{strategy}.rhai")
}

/// Compiles a script so that its errors can be shown: they carry `name`, and the session keeps the text.
///
/// # Errors
/// If the text is not a script.
pub fn compile(engine: &Engine, scope: &Scope, name: &str, text: &str) -> ScriptResult<AST> {
    if let Some(session) = session_of(engine) {
        session.add_source(name, text);
    }
    let mut ast = engine.compile_with_scope(scope, text).map_err(Box::<EvalAltResult>::from)?;
    ast.set_source(name);
    Ok(ast)
}

fn session_of(engine: &Engine) -> Option<std::sync::Arc<Session>> {
    engine.default_tag().clone().try_cast()
}

/// Finds what `import` names.
#[derive(Default)]
pub struct Resolver {
    modules: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Clone)]
enum Entry {
    /// Being read: an import that meets it again would never end.
    Loading,
    Loaded(Shared<Module>),
}

impl Resolver {
    fn entry(&self, name: &str) -> Option<Entry> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn keep(&self, name: &str, entry: Option<Entry>) {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Some(entry) => modules.insert(name.to_owned(), entry),
            None => modules.remove(name),
        };
    }
}

impl ModuleResolver for Resolver {
    fn resolve(&self, engine: &Engine, source: Option<&str>, path: &str, at: Position) -> ScriptResult<Shared<Module>> {
        let (name, text) = find(source, path, at)?;
        match self.entry(&name) {
            Some(Entry::Loaded(module)) => return Ok(module),
            Some(Entry::Loading) => return Err(located(fault(format!("{name} imports itself")), at)),
            None => self.keep(&name, Some(Entry::Loading)),
        }
        let module = compile(engine, &Scope::new(), &name, &text)
            .and_then(|ast| Module::eval_ast_as_new(Scope::new(), &ast, engine))
            .map(Shared::new);
        self.keep(&name, module.as_ref().ok().cloned().map(Entry::Loaded));
        module.map_err(|error| EvalAltResult::ErrorInModule(name, error, at).into())
    }

    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        _scope: &mut Scope,
        path: &str,
        at: Position,
    ) -> ScriptResult<Shared<Module>> {
        self.resolve(engine, global.source(), path, at)
    }
}

/// Name and text of what `import` asks for.
fn find(source: Option<&str>, path: &str, at: Position) -> ScriptResult<(String, String)> {
    let stem = path.strip_suffix(".rhai").unwrap_or(path);
    if let Some((name, text)) = STRATEGIES.iter().find(|(name, _)| *name == stem) {
        return Ok((source_name(name), (*text).to_owned()));
    }
    let folder = source.and_then(|source| Path::new(source).parent()).unwrap_or(Path::new(""));
    let file = folder.join(format!("{stem}.rhai"));
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok((file.to_string_lossy().into_owned(), text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(EvalAltResult::ErrorModuleNotFound(path.to_owned(), at).into())
        }
        Err(error) => Err(located(fault(format!("cannot read {}: {error}", file.display())), at)),
    }
}

fn located(mut error: Box<EvalAltResult>, at: Position) -> Box<EvalAltResult> {
    error.set_position(at);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_share_no_name_but_those_that_are_called_by_module() {
        // An unqualified call inside one imported module has been seen to reach a function of the same name in another.
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for (strategy, text) in STRATEGIES {
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let name =
                    line.trim_start_matches("private ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                if let Some(name) = name.filter(|name| !["defaults", "reconstruct"].contains(name)) {
                    assert_eq!(owners.insert(name, strategy), None, "{strategy} has another {name}");
                }
                let qualified = line.replace("::defaults(", "").replace("::reconstruct(", "");
                let called = ["defaults(", "reconstruct("].iter().any(|call| qualified.contains(call));
                let defined = line.starts_with("fn ") || qualified.contains("with_defaults(");
                assert!(!called || defined, "{strategy} calls {line:?} without its module");
            }
        }
    }
}
