//! Strategies written in Rhai, built into the binary, and how `import` finds them and the user's own files.
//!
//! `import "two_step" as two_step;` takes the built-in strategy of that name; any other name is a file, with or without
//! `.rhai`, in the folder of the script that imports it, as far as the session may read it. Where a script came with its modules
//! ([`Script::modules`](super::Script)), they take the place of all files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rhai::{
    AST, ASTNode, Engine, EvalAltResult, Expr, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared,
    Stmt,
};

use super::limits::read_script;
use super::owners::Owners;
use super::permit::resolve;
use super::{ScriptResult, Session, fault};

/// The built-in strategies: name, and text of `stdlib/NAME.rhai`.
pub const STRATEGIES: &[(&str, &str)] = &[
    ("auto", include_str!("../../stdlib/auto.rhai")),
    ("averaging", include_str!("../../stdlib/averaging.rhai")),
    ("lattice_first", include_str!("../../stdlib/lattice_first.rhai")),
    ("lattice_start", include_str!("../../stdlib/lattice_start.rhai")),
    ("lost", include_str!("../../stdlib/lost.rhai")),
    ("marching", include_str!("../../stdlib/marching.rhai")),
    ("multislice_model", include_str!("../../stdlib/multislice_model.rhai")),
    ("report", include_str!("../../stdlib/report.rhai")),
    ("single_step", include_str!("../../stdlib/single_step.rhai")),
    ("symmetry", include_str!("../../stdlib/symmetry.rhai")),
    ("two_step", include_str!("../../stdlib/two_step.rhai")),
    ("verdict", include_str!("../../stdlib/verdict.rhai")),
];

/// Whether a built-in strategy has this name.
pub fn is_strategy(name: &str) -> bool {
    STRATEGIES.iter().any(|(strategy, _)| *strategy == name)
}

/// Whether what messages call `name` is a built-in strategy.
pub(super) fn is_built_in(name: &str, text: &str) -> bool {
    STRATEGIES.iter().any(|(strategy, own)| source_name(strategy) == name && *own == text)
}

/// Modules that import each other in a longer row than this do so without end.
const DEEPEST_IMPORT: usize = 32;

/// The name under which messages show a built-in strategy.
pub fn source_name(strategy: &str) -> String {
    format!("stdlib/{strategy}.rhai")
}

/// The text of a script by the name under which messages show it, as it is now, if `session` may read it.
pub fn text_of(session: &Session, name: &str) -> Option<String> {
    let built_in = STRATEGIES.iter().find(|(strategy, _)| source_name(strategy) == name);
    let own = || match &session.script().modules {
        Some(modules) => modules.get(name).cloned(),
        None => read_script(&session.permit().read(name).ok()?).ok(),
    };
    built_in.map(|(_, text)| (*text).to_owned()).or_else(own)
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
    if let Some(session) = session_of(engine) {
        keep_modules(engine, &session, name, &ast);
    }
    Ok(ast)
}

/// Has the session keep the texts of all modules that the script `name` would import, and those that they would: results are repeated with
/// them, also where an import comes after the results, in another process, or in what a checkpoint spares.
fn keep_modules(engine: &Engine, session: &Session, name: &str, ast: &AST) {
    for path in imports_of(ast) {
        // what cannot be read is said when it is imported
        let Ok(found) = find(Some(session), Some(name), &path, Position::NONE) else { continue };
        if !found.is_strategy
            && session.keep_module(&found)
            && let Ok(ast) = engine.compile(&found.text)
        {
            keep_modules(engine, session, &found.name, &ast);
        }
    }
}

/// The paths of the imports in a script, where they are written out.
pub(super) fn imports_of(ast: &AST) -> Vec<String> {
    let mut imports = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, _))) = path.last()
            && let Expr::StringConstant(path, _) = &import.0
        {
            imports.push(path.to_string());
        }
        true
    });
    imports
}

fn session_of(engine: &Engine) -> Option<std::sync::Arc<Session>> {
    engine.default_tag().clone().try_cast()
}

/// Finds what `import` names.
#[derive(Default)]
pub struct Resolver {
    modules: Mutex<BTreeMap<String, Entry>>,
    owners: Mutex<Owners>,
}

#[derive(Clone)]
enum Entry {
    /// Being read: an import that meets it again would never end.
    Loading,
    Loaded(Shared<Module>),
}

impl Resolver {
    /// Fails if one of an importing script's functions has a name that an imported module calls as its own.
    fn check_importer(&self, global: &GlobalRuntimeState) -> ScriptResult<()> {
        let importer = global.source().unwrap_or("this script");
        let functions = global.lib.iter().flat_map(|functions| functions.iter_script_fn_info());
        let signatures = functions.map(|(_, _, name, parameters, _)| (name, parameters));
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).check_importer(importer, signatures)
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// How many modules are being read, each imported by the one before.
    fn depth(&self) -> usize {
        let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.values().filter(|entry| matches!(entry, Entry::Loading)).count()
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
        let Found { name, key, text, .. } = find(session_of(engine).as_deref(), source, path, at)?;
        match self.entry(&key) {
            Some(Entry::Loaded(module)) => return Ok(module),
            Some(Entry::Loading) => return Err(located(fault(format!("{name} imports itself")), at)),
            None if self.depth() >= DEEPEST_IMPORT => {
                return Err(located(fault(format!("scripts import each other more than {DEEPEST_IMPORT} deep")), at));
            }
            None => self.keep(&key, Some(Entry::Loading)),
        }
        let module = compile(engine, &Scope::new(), &name, &text)
            .and_then(|ast| {
                self.owners.lock().unwrap_or_else(PoisonError::into_inner).add(&name, &ast)?;
                Module::eval_ast_as_new(Scope::new(), &ast, engine)
            })
            .map(Shared::new);
        self.keep(&key, module.as_ref().ok().cloned().map(Entry::Loaded));
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
        let module = self.resolve(engine, global.source(), path, at)?;
        self.check_importer(global).map_err(|error| located(error, at))?;
        Ok(module)
    }
}

/// What `import` asks for.
pub(super) struct Found {
    /// As messages show it.
    pub name: String,
    /// The same for every way to write its path.
    pub key: String,
    pub text: String,
    pub is_strategy: bool,
}

/// What `import "path"` in the script `source` means, as far as the session, if there is one, may read it.
pub(super) fn find(session: Option<&Session>, source: Option<&str>, path: &str, at: Position) -> ScriptResult<Found> {
    let stem = path.strip_suffix(".rhai").unwrap_or(path);
    if let Some((name, text)) = STRATEGIES.iter().find(|(name, _)| *name == stem) {
        let name = source_name(name);
        return Ok(Found { key: name.clone(), name, text: (*text).to_owned(), is_strategy: true });
    }
    let folder = source.and_then(|source| Path::new(source).parent()).unwrap_or(Path::new(""));
    let file = folder.join(format!("{stem}.rhai"));
    let key = resolve(&file).unwrap_or_else(|_| file.clone());
    if let Some(modules) = session.and_then(|session| session.script().modules.as_ref()) {
        return kept(modules, &file, &key).map_err(|error| located(error, at));
    }
    if let Some(session) = session {
        session.permit().read(&file).map_err(|refusal| located(fault(refusal), at))?;
    }
    match read_script(&file) {
        Ok(text) => {
            let [name, key] = [&file, &key].map(|path| path.to_string_lossy().into_owned());
            Ok(Found { name, key, text, is_strategy: false })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(EvalAltResult::ErrorModuleNotFound(path.to_owned(), at).into())
        }
        Err(error) => Err(located(fault(format!("cannot read {}: {error}", file.display())), at)),
    }
}

/// The module among `modules` whose path leads to `key`: it may be imported by several.
fn kept(modules: &BTreeMap<String, String>, file: &Path, key: &Path) -> ScriptResult<Found> {
    let leads_there = |(name, _): &(&String, &String)| resolve(Path::new(name)).is_ok_and(|path| path == key);
    let (name, text) = modules.iter().find(leads_there).ok_or_else(|| {
        fault(format!(
            "the module {} was not known when the results were written: a script that is to be repeated names its modules in quotes",
            file.display()
        ))
    })?;
    let key = key.to_string_lossy().into_owned();
    Ok(Found { name: name.clone(), key, text: text.clone(), is_strategy: false })
}

fn located(mut error: Box<EvalAltResult>, at: Position) -> Box<EvalAltResult> {
    error.set_position(at);
    error
}
