//! The script language: Rhai with the kernels of pedesis as functions.
//!
//! A script sees namespaces (`structure::`, `images::`, …) of native functions, strategies written in Rhai that are built
//! into the binary (`import "two_step" as two_step;`), and a few global functions (`args`, `warn`, `fail`, …). This module
//! makes the interpreter ([`engine`]), checks options ([`options`]) and declared arguments ([`args`]), turns every error
//! into one message with file, line, column and what to do ([`diagnostic`]), and serves the reference manual from the
//! comments of the functions themselves ([`help`]).
//!
//! What a run owns (threads, cancellation, the script's text, the options used) is a [`Session`]; the functions in
//! [`api`] reach it through the call they were made by, so nothing is global and two sessions can live side by side.

pub mod api;
pub mod args;
mod bind;
mod checkpoint;
pub mod diagnostic;
mod exact;
pub mod help;
pub mod options;
mod session;
pub mod stdlib;
mod stored;
mod table;

use std::fmt::Display;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, NativeCallContext, Position};

use crate::task::Task;

pub use session::{KernelCall, Script, Session, SessionError, Setup};
pub use table::Table;

/// Depth of nested script calls at which recursion is taken to be endless.
const MAX_CALL_LEVELS: usize = 64;
/// Depth of nested expressions that the parser accepts; long method chains need more than Rhai's default.
const MAX_EXPRESSION_DEPTH: usize = 128;

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
        .set_max_call_levels(MAX_CALL_LEVELS)
        .set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH)
        .set_module_resolver(stdlib::Resolver::default());
    let task = session.task().clone();
    engine.on_progress(move |_| task.check().err().map(|cancelled| cancelled.to_string().into()));
    api::register(&mut engine);
    engine
}

/// Turns any error, or a plain message, into a script error; Rhai adds the place of the call.
pub fn fault(message: impl Display) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.to_string().into(), Position::NONE).into()
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
