//! A process that does points of a sweep for another.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Engine, EvalAltResult, NativeCallContext, Scope};

use super::evaluate;
use super::job::{self, Job};
use crate::script::{ScriptResult, Session, fault, stdlib};
use crate::store::Digest;
use crate::sweep::{Order, Report};

/// The function that the worker's own script calls.
const SERVE: &str = "serve_points_of_a_sweep";
/// The variable that holds the script's constants.
const CONSTANTS: &str = "constants_of_the_sweep";

/// Does the points of the sweep in `folder` that are ordered, until there are no more; `say` tells what comes of them.
///
/// The script is not run. Its functions and imports are there as they were where the sweep began, and its constants.
///
/// # Errors
/// If the job cannot be read, or does not fit the program and scripts as they are now; or if the run is stopped.
pub fn serve(
    mut engine: Engine,
    session: &Session,
    folder: &Path,
    orders: impl IntoIterator<Item = Order> + Send + 'static,
    say: impl Fn(Report) + Send + Sync + 'static,
) -> ScriptResult<()> {
    let Job { place, text, captured, constants, scripts } = job::read(folder).map_err(fault)?;
    let own = stdlib::compile(&engine, &Scope::new(), &place.script, &text)?.clone_functions_only();
    let mut closure =
        place.find(own.shared_lib()).ok_or_else(|| fault("the closure of the sweep is not where it was"))?;
    closure.set_curry(captured);
    let mut scope = Scope::new();
    let mut prelude = String::new();
    for (alias, path) in &place.imports {
        prelude += &format!("import {path:?} as {alias};\n");
    }
    for name in constants.keys() {
        prelude += &format!("const {name} = {CONSTANTS}.{name};\n");
    }
    scope.push_constant(CONSTANTS, constants);
    prelude += &format!("{SERVE}();");
    // one at a time: a script has a single thread
    let served = Arc::new(Mutex::new((Some(orders), closure, scripts)));
    engine.register_fn(SERVE, move |call: NativeCallContext| -> ScriptResult<()> {
        let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
        let (orders, closure, scripts) = &mut *served;
        check_scripts(&Session::of(&call), scripts).map_err(fault)?;
        say(Report::Ready);
        for Order { index, point } in orders.take().into_iter().flatten() {
            say(Report::Done(evaluate(&call, closure, index, point)?));
            say(Report::Ready);
        }
        Ok(())
    });
    let mut script = engine.compile_with_scope(&scope, prelude).map_err(Box::<EvalAltResult>::from)?;
    script.set_source(place.script.as_str());
    let mut whole = script.merge(&own);
    whole.set_source(place.script.as_str());
    session.add_source(&place.script, &text);
    engine.run_ast_with_scope(&mut scope, &whole)
}

/// Fails if a script that was read has another text than that of the sweep.
fn check_scripts(session: &Session, known: &std::collections::BTreeMap<String, String>) -> Result<(), String> {
    for (name, text) in session.sources() {
        if known.get(&name).is_some_and(|digest| *digest != Digest::of_text(&text)) {
            return Err(format!("{name} has changed since the sweep began"));
        }
    }
    Ok(())
}
