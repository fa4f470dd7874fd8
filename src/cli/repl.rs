//! The prompt: lines of a script, one after the other, in one scope.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rhai::{AST, Dynamic, EvalAltResult, Module, Scope, Stmt};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::validate::{MatchingBracketValidator, ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper, Highlighter, Hinter};

use super::watch::{self, Limits};
use super::{Console, FAULT, listen_to_interrupts, output};
use crate::script::help::{GLOBAL, Reference};
use crate::script::{Script, Setup, stdlib};

/// The name of what is typed, in messages.
const PROMPT: &str = "prompt";

/// Reads and runs lines until Ctrl-D; returns the exit status.
pub fn repl() -> u8 {
    let script = Script { path: PROMPT.into(), text: String::new() };
    // Who types himself may do what he may; only the sizes of values are bounded.
    let mut console = match Console::new(Setup { script, ..Setup::default() }) {
        Ok(console) => console,
        Err(error) => return output::fail(&error, FAULT),
    };
    // An import on an earlier line is not known to the parser, which would take its name for a mistake.
    console.engine.set_strict_variables(false);
    listen_to_interrupts(&console.cancel);
    watch::watch(&console.session, Limits::default(), None);
    let mut editor = match Editor::<Assistant, DefaultHistory>::new() {
        Ok(editor) => editor,
        Err(error) => return output::fail(&error, FAULT),
    };
    editor.set_helper(Some(Assistant::new(Reference::get())));
    let history = history_file();
    if let Some(file) = &history {
        // There is none before the first sitting.
        let _ = editor.load_history(file);
    }
    if std::io::stdin().is_terminal() {
        output::complain("pedesis: help lists what there is, Ctrl-C stops what runs, Ctrl-D leaves");
    }
    let mut sitting = Sitting::new(&console);
    loop {
        match editor.readline("> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                sitting.run(&line);
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return output::fail(&error, FAULT),
        }
    }
    if let Some(file) = &history
        && let Err(error) = editor.save_history(file)
    {
        output::complain(&format!("warning: cannot keep the history in {}: {error}", file.display()));
    }
    0
}

/// What the lines so far have made: variables, functions and imports.
struct Sitting<'a> {
    console: &'a Console,
    scope: Scope<'static>,
    /// Functions, and the import statements, which Rhai forgets from one evaluation to the next.
    kept: AST,
    /// All that was typed: messages count its lines, so that a function of an earlier line is found again.
    transcript: String,
}

impl<'a> Sitting<'a> {
    fn new(console: &'a Console) -> Self {
        Self { console, scope: Scope::new(), kept: AST::empty(), transcript: String::new() }
    }

    fn run(&mut self, line: &str) {
        let line = as_call(line);
        self.console.session.go_on();
        self.console.cancel.store(false, Ordering::Relaxed);
        match self.evaluate(&line) {
            Ok(value) if value.is_unit() => {}
            Ok(value) => self.show(value),
            Err(error) => {
                self.console.report(*error);
            }
        }
    }

    fn evaluate(&mut self, line: &str) -> Result<Dynamic, Box<EvalAltResult>> {
        let engine = &self.console.engine;
        let lines_before = "\n".repeat(self.transcript.lines().count());
        self.transcript.push_str(line.trim_end());
        self.transcript.push('\n');
        let ast = stdlib::compile(engine, &self.scope, PROMPT, &(lines_before + line));
        self.console.session.add_source(PROMPT, &self.transcript);
        let ast = ast?;
        let before = self.scope.len();
        let result = engine.eval_ast_with_scope(&mut self.scope, &self.kept.merge(&ast));
        match &result {
            Ok(_) => {
                let imports = ast.statements().iter().filter(|statement| matches!(statement, Stmt::Import(..)));
                let functions = ast.clone_functions_only();
                self.kept.combine(AST::new(imports.cloned(), Module::new())).combine(functions);
            }
            Err(_) => {
                self.scope.rewind(before);
            }
        }
        result
    }

    /// Shows a value as `print` does.
    fn show(&self, value: Dynamic) {
        let text = value.to_string();
        let mut scope = Scope::new();
        scope.push_dynamic("value", value);
        if self.console.engine.run_with_scope(&mut scope, "print(value)").is_err() {
            output::say(&text);
        }
    }
}

/// `help` and `help images::normalize` are easier to type without brackets and quotes.
fn as_call(line: &str) -> String {
    match line.trim().strip_prefix("help") {
        Some("") => "help()".into(),
        Some(rest) if rest.starts_with(' ') && !rest.contains(['(', '"', '=']) => format!("help({:?})", rest.trim()),
        _ => line.to_owned(),
    }
}

/// `pedesis/history` in the user's data folder (`XDG_DATA_HOME`, else `~/.local/share`), which is made if need be.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    let folder = data.join("pedesis");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// Keeps reading while brackets are open; completes the names of namespaces and functions.
#[derive(Helper, Highlighter, Hinter)]
struct Assistant {
    brackets: MatchingBracketValidator,
    names: Vec<String>,
}

impl Assistant {
    fn new(reference: &Reference) -> Self {
        let namespaces = reference.namespaces.iter().filter(|namespace| namespace.name != GLOBAL);
        let mut names: Vec<String> = namespaces.map(|namespace| format!("{}::", namespace.name)).collect();
        names.extend(reference.entries().map(|(full, _)| full));
        Self { brackets: MatchingBracketValidator::new(), names }
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        match self.brackets.validate(context)? {
            // A bracket too many is a mistake that the parser explains better.
            ValidationResult::Invalid(_) => Ok(ValidationResult::Valid(None)),
            other => Ok(other),
        }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context) -> rustyline::Result<(usize, Vec<Pair>)> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let start =
            line[..at].rfind(|c| !is_name(c)).map_or(0, |i| i + line[i..].chars().next().map_or(1, char::len_utf8));
        let typed = &line[start..at];
        let matching = self.names.iter().filter(|name| name.starts_with(typed));
        let pair = |name: &String| Pair { display: name.clone(), replacement: name.clone() };
        Ok((start, matching.map(pair).collect()))
    }
}
