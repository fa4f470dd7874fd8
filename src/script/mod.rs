//! The script language: Rhai with the kernels of pedesis as functions.
//!
//! A script sees namespaces (`structure::`, `images::`, …) of native functions, strategies written in Rhai that are built
//! into the binary (`import "two_step" as two_step;`), and a few global functions (`args`, `warn`, `fail`, …). This module
//! makes the interpreter ([`engine`]), checks options ([`options`]) and declared arguments ([`args`]), turns every error
//! into one message with file, line, column and what to do ([`diagnostic`]), finds mistakes without running ([`check`]), and
//! serves the reference manual from the comments of the functions themselves: as text ([`help`]), and as web pages
//! ([`manual`]). What files a script may touch is decided in one place ([`permit`]), and how large it may become in another
//! (`limits`). [`lex`] tells the words of a script apart for colours and completion.
//!
//! What a run owns (threads, cancellation, the script's text, the options used) is a [`Session`]; the functions in
//! [`api`] reach it through the call they were made by, so nothing is global and two sessions can live side by side.

pub mod api;
pub mod args;
mod bind;
mod builtins;
pub mod check;
mod checkpoint;
pub mod diagnostic;
mod exact;
pub mod help;
pub mod lex;
mod limits;
pub mod manual;
pub mod options;
mod owners;
pub mod permit;
mod reads;
mod session;
pub mod stdlib;
mod stored;
pub mod sweep;
mod table;

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, NativeCallContext, Position};

use crate::store::{self, Value};
use crate::task::Task;

pub use limits::{is_script_length, read_script};
pub use session::{KernelCall, Script, Session, SessionError, Setup};
pub use stored::type_of;
pub use sweep::{Executor, Plan};
pub use table::{Table, TableError};

/// What a native function returns to a script.
pub type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// An interpreter with all namespaces, whose functions work for `session`.
///
/// `print` and `debug` go where Rhai sends them by default; the caller may redirect them.
pub fn engine(session: &Arc<Session>) -> Engine {
    let mut engine = Engine::new();
    engine
        .set_default_tag(Dynamic::from(session.clone()))
        .set_strict_variables(true)
        .set_module_resolver(stdlib::Resolver::default());
    limits::set(&mut engine, session);
    builtins::register(&mut engine);
    api::register(&mut engine);
    engine
}

/// Turns any error, or a plain message, into a script error; Rhai adds the place of the call.
pub fn fault(message: impl Display) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.to_string().into(), Position::NONE).into()
}

/// The path, if the script that made `call` may read what is there, which is an input of its results then; every native function that reads a file asks this.
///
/// # Errors
/// If it may not; see [`permit`].
pub fn readable(call: &NativeCallContext, path: &str) -> ScriptResult<PathBuf> {
    let session = Session::of(call);
    let file = session.permit().read(path).map_err(fault)?;
    let noted = session.reads().read(&file, session.task());
    session.check()?;
    noted.map_err(fault)?;
    Ok(file)
}

/// The path, if the script that made `call` may write, make or remove what is there; every native function that does so asks this.
///
/// # Errors
/// If it may not; see [`permit`].
pub fn writable(call: &NativeCallContext, path: &str) -> ScriptResult<PathBuf> {
    let session = Session::of(call);
    let path = session.permit().write(path).map_err(fault)?;
    session.reads().write(&path);
    Ok(path)
}

/// Writes a value to the file `path` of the script that made `call`, in the format that the name tells.
fn saved(call: &NativeCallContext, path: &str, value: Value) -> ScriptResult<()> {
    let (file, provenance) = (writable(call, path)?, Session::of(call).provenance());
    run(call, |task| store::save(&file, &value, &provenance, task))
}

/// Runs a kernel for the script that made `call`: in the session's threads, with its progress and cancellation.
///
/// The kernel's error becomes a script error; if the user has asked to stop, the script ends at once instead.
pub fn run<T: Send, E: Display + Send>(
    call: &NativeCallContext,
    kernel: impl FnOnce(&Task) -> Result<T, E> + Send,
) -> ScriptResult<T> {
    Session::of(call).run(kernel)
}
