//! `pedesis run`: a script from a file.

use std::path::Path;
use std::time::Duration;

use rhai::{AST, ASTNode, EvalAltResult, Expr, Scope, Stmt};

use super::watch::{self, Limits};
use super::{Console, FAULT, INTERRUPTED, USAGE, listen_to_interrupts, output};
use crate::script::args::{ArgumentError, command_line_fault};
use crate::script::diagnostic::{Diagnostic, Place};
use crate::script::permit::{Flags, Permit};
use crate::script::{Script, Setup, read_script, stdlib};

/// Runs the script at `path` with the `k=v` arguments `given`; returns the exit status.
pub fn run(path: &Path, given: Vec<(String, String)>, threads: Option<usize>, flags: &Flags, limits: Limits) -> u8 {
    let permit = match Permit::of_run(path, &given, flags) {
        Ok(permit) => permit,
        Err(error) => return output::fail(&error, USAGE),
    };
    let text = match read_script(path) {
        Ok(text) => text,
        Err(error) => return output::fail(&format!("cannot read the script {}: {error}", path.display()), FAULT),
    };
    let script = Script { path: path.to_string_lossy().into_owned(), text };
    let console = match Console::new(Setup { threads, script, given, permit, ..Setup::default() }) {
        Ok(console) => console,
        Err(error) => return output::fail(&error, USAGE),
    };
    listen_to_interrupts(&console.cancel, Duration::ZERO);
    watch::watch(&console.session, limits, Some(watch::GRACE));
    match console.run_script() {
        Ok(()) => 0,
        Err(error) => console.report(*error, |_| ()),
    }
}

impl Console {
    fn run_script(&self) -> Result<(), Box<EvalAltResult>> {
        let Script { path, text } = self.session.script();
        let ast = stdlib::compile(&self.engine, &Scope::new(), path, text)?;
        check_given(&self.session.given(), path, &ast)?;
        let mut scope = Scope::new();
        let result = self.engine.run_ast_with_scope(&mut scope, &ast);
        // The process ends, and closures nested millions deep would overflow the stack on their way out.
        std::mem::forget(scope);
        result
    }

    /// Tells the user what ended a script or a line at the prompt, at places as `mend` sees them; returns the exit status.
    pub(super) fn report(&self, error: EvalAltResult, mend: impl Fn(&mut Place)) -> u8 {
        if let Some(fault) = command_line_fault(&error) {
            return output::fail(fault, USAGE);
        }
        if self.session.task().check().is_err() && self.session.exceeded().is_none() {
            output::complain("interrupted");
            return INTERRUPTED;
        }
        let sources = self.session.sources();
        let mut diagnostic = Diagnostic::new(error, &self.session.script().path, &sources);
        diagnostic.place.iter_mut().chain(diagnostic.trace.iter_mut().map(|(_, place)| place)).for_each(mend);
        output::complain(&diagnostic.render(&sources, output::color()));
        FAULT
    }
}

/// Refuses arguments for a script that declares none.
pub(super) fn check_given(given: &[(String, String)], path: &str, ast: &AST) -> Result<(), Box<EvalAltResult>> {
    match given.first() {
        Some((name, _)) if !declares_arguments(ast) => {
            let error = ArgumentError::NoneDeclared { script: path.to_owned(), name: name.clone() };
            Err(EvalAltResult::ErrorSystem(String::new(), Box::new(error)).into())
        }
        _ => Ok(()),
    }
}

/// Whether the script calls `args` anywhere: only then can `k=v` mean something to it.
fn declares_arguments(ast: &AST) -> bool {
    let mut found = false;
    ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = path.last() {
            found |= call.name.as_str() == "args" && call.namespace.is_empty();
        }
        !found
    });
    found
}
