//! `pedesis run`: a script from a file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use rhai::{AST, ASTNode, EvalAltResult, Expr, Scope, Stmt};

use super::repeat::Recorded;
use super::watch::{self, Limits};
use super::{Console, FAULT, INTERRUPTED, USAGE, listen_to_interrupts, output};
use crate::script::args::{ArgumentError, command_line_fault};
use crate::script::diagnostic::{Diagnostic, Place};
use crate::script::permit::{Flags, Permit};
use crate::script::{Executor, Plan, Script, Setup, read_script, stdlib};

/// A script and what the command line says of it.
pub struct Request {
    /// Its file, or one that holds it among its results.
    pub script: PathBuf,
    /// The `k=v` arguments.
    pub given: Vec<(String, String)>,
    pub threads: Option<usize>,
    pub flags: Flags,
    pub limits: Limits,
}

impl Request {
    /// The program and arguments of a process that does points of this run's sweeps for it.
    fn of_worker(&self, executor: &Executor) -> Vec<OsString> {
        // that which runs, though its file may be replaced in the meantime; another computer knows its file alone
        let own = PathBuf::from("/proc/self/exe");
        let is_here = !matches!(executor, Executor::Slurm(_));
        let program = if is_here && own.exists() { Ok(own) } else { std::env::current_exe() };
        let mut command: Vec<OsString> = vec![program.unwrap_or_else(|_| "pedesis".into()).into(), "run".into()];
        let paths = [("--allow-read", &self.flags.read), ("--allow-write", &self.flags.write)];
        for (flag, path) in paths.iter().flat_map(|(flag, paths)| paths.iter().map(move |path| (flag, path))) {
            command.extend([OsString::from(flag), path.into()]);
        }
        if let Some(memory) = self.limits.memory {
            let sharers = if let Executor::Workers(count) = executor { *count } else { 1 };
            command.extend(["--max-memory".into(), (memory / sharers as f64).to_string().into()]);
        }
        command.push(self.script.clone().into());
        command.extend(self.given.iter().map(|(name, value)| format!("{name}={value}").into()));
        command
    }

    /// The run that is to be repeated, if the script is in a file of results, or the exit status if it cannot be.
    pub fn recorded(&self) -> Result<Option<Recorded>, u8> {
        Recorded::open(&self.script).map_err(|error| output::fail(&error, FAULT))
    }

    /// The setup of a session, or the exit status if there is none.
    pub fn setup(&self, recorded: Option<&Recorded>) -> Result<Setup, u8> {
        // what a file of results names is not what the user names
        let permit =
            Permit::of_run(&self.script, &self.given, &self.flags).map_err(|error| output::fail(&error, USAGE))?;
        let (script, given) = match recorded {
            Some(recorded) => (recorded.script(), recorded.given(&self.given)),
            None => {
                let unreadable =
                    |error| output::fail(&format!("cannot read the script {}: {error}", self.script.display()), FAULT);
                let text = read_script(&self.script).map_err(unreadable)?;
                let path = self.script.to_string_lossy().into_owned();
                (Script { path, text, modules: None }, self.given.clone())
            }
        };
        Ok(Setup { threads: self.threads, script, given, permit, ..Setup::default() })
    }
}

/// Runs a script; returns the exit status.
pub fn run(request: Request, executor: Executor, resume: bool) -> u8 {
    if let Executor::Slurm(slurm) = &executor
        && let Err(error) = slurm.check()
    {
        return output::fail(&format!("--executor slurm: {error}"), USAGE);
    }
    let setup = match first_setup(&request) {
        Ok(setup) => setup,
        Err(status) => return status,
    };
    let sweeps = Some(Plan { command: request.of_worker(&executor), executor, resume });
    let console = match Console::new(Setup { sweeps, ..setup }) {
        Ok(console) => console,
        Err(error) => return output::fail(&error, USAGE),
    };
    listen_to_interrupts(&console.cancel, Duration::ZERO);
    watch::watch(&console.session, request.limits, Some(watch::GRACE));
    if let Err(error) = console.run_script() {
        return console.report(*error, |_| ());
    }
    let failures = console.session.failures();
    if failures.is_empty() {
        console.session.forget_sweeps();
        return 0;
    }
    failures.iter().for_each(|failure| output::complain(&format!("error: {failure}")));
    output::complain("--resume does the points that failed again, and no others");
    FAULT
}

/// The setup of a run; says what is repeated, once it is known that it can be.
fn first_setup(request: &Request) -> Result<Setup, u8> {
    let recorded = request.recorded()?;
    let setup = request.setup(recorded.as_ref())?;
    if let Some(recorded) = recorded {
        recorded.check(&request.given, &setup.permit).map_err(|error| output::fail(&error, FAULT))?;
        recorded.announce(&setup.given);
    }
    Ok(setup)
}

impl Console {
    fn run_script(&self) -> Result<(), Box<EvalAltResult>> {
        let Script { path, text, .. } = self.session.script();
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
