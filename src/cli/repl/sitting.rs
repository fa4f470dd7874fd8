//! One sitting at the prompt: what is typed, what it makes, and what is told of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use cpu_time::ProcessTime;
use rhai::{AST, Dynamic, EvalAltResult, Expr, Module, Position, Scope, Stmt};

use super::super::run::check_given;
use super::super::{Console, output};
use super::assistant::{Lazy, cut};
use super::commands::{self, Request, request, unquoted};
use super::complete::Made;
use super::echo;
use super::kept::Kept;
use super::thumbnail::{Screen, drawn};
use crate::plot::Figure;
use crate::script::diagnostic::Place;
use crate::script::help::{GLOBAL, Reference};
use crate::script::{ScriptResult, fault, read_script, stdlib, type_of};

/// The name of what is typed, in messages.
pub const PROMPT: &str = "prompt";

/// How values that are no figures are drawn as one.
const FIGURES: [(&str, &str); 5] = [
    ("Images", "plot::images(value)"),
    ("Volume", "plot::slices(value)"),
    ("Poses", "plot::coverage(value)"),
    ("Model", "plot::spheres(value)"),
    ("Structure", "plot::spheres(value)"),
];

/// Whether the prompt goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Line,
    Leave,
}

/// What the lines so far have made: variables, functions and imports.
pub struct Sitting<'a> {
    console: &'a Console,
    made: Rc<RefCell<Made>>,
    knowledge: Lazy,
    screen: Rc<Cell<Screen>>,
    /// All that was typed and loaded: messages count its lines, so that a function of an earlier line is found again.
    transcript: String,
    /// Scripts that were loaded: their name, and their first line and number of lines in the transcript.
    loaded: Vec<(String, usize, usize)>,
    kept: Kept,
}

impl<'a> Sitting<'a> {
    pub fn new(console: &'a Console, made: Rc<RefCell<Made>>, knowledge: Lazy, screen: Rc<Cell<Screen>>) -> Self {
        Self { console, made, knowledge, screen, transcript: String::new(), loaded: Vec::new(), kept: Kept::default() }
    }

    /// Does what a line asks for.
    pub fn obey(&mut self, line: &str) -> Next {
        self.console.session.go_on();
        self.console.cancel.store(false, Ordering::Relaxed);
        let done = match request(line) {
            Request::Quit => return Next::Leave,
            Request::Script(line) => self.run(&line, &line).map(|value| self.answer(&value)),
            Request::Time(expression) => self.time(&expression),
            Request::Plot(expression) => self.plot(&expression),
            Request::Load { file, given } => self.load(&file, given),
            Request::Help(name) => self.help(&name),
            Request::Vars => {
                self.list_variables();
                Ok(())
            }
            Request::Commands => {
                output::say(commands::list().trim_end());
                Ok(())
            }
            Request::Save(file) => {
                self.save(&file);
                Ok(())
            }
            Request::Fault(fault) => {
                output::complain(&format!("error: {fault}"));
                Ok(())
            }
        };
        if let Err(error) = done {
            self.console.report(*error, |place| self.in_its_script(place));
        }
        self.console.cancel.store(false, Ordering::Relaxed);
        Next::Line
    }

    /// Evaluates `text`; if it works, `kept` is a line of the script that `:save` writes.
    fn run(&mut self, text: &str, kept: &str) -> ScriptResult<Dynamic> {
        let lines_before = self.transcript.lines().count();
        let ast = self.compile(text)?;
        let result = self.evaluate(&ast);
        match &result {
            Ok(_) => self.kept.push(kept, &ast),
            Err(error) => self.keep_what_worked(text, lines_before, &ast, error.position()),
        }
        result
    }

    /// Keeps the statements of a line before the one that failed at `end`.
    fn keep_what_worked(&mut self, text: &str, lines_before: usize, ast: &AST, end: Position) {
        let Some(failed) = failed_at(ast, end) else { return };
        let start = ast.statements()[failed].position();
        let Some((line, column)) = start.line().zip(start.position()) else { return };
        let before: usize = text.split_inclusive('\n').take(line - 1 - lines_before).map(str::len).sum();
        let on_line = text[before..].char_indices().nth(column - 1).map_or(0, |(i, _)| i);
        let worked = &text[..before + on_line];
        if !worked.trim().is_empty()
            && let Ok(ast) = self.console.engine.compile(worked)
        {
            self.kept.push(worked, &ast);
        }
    }

    /// Compiles `text` at the end of the transcript.
    fn compile(&mut self, text: &str) -> ScriptResult<AST> {
        let lines_before = self.transcript.lines().count();
        self.transcript.push_str(text.trim_end());
        self.transcript.push('\n');
        let made = self.made.borrow();
        let ast = stdlib::compile(&self.console.engine, &made.scope, PROMPT, &("\n".repeat(lines_before) + text));
        self.console.session.add_source(PROMPT, &self.transcript);
        ast
    }

    fn evaluate(&mut self, ast: &AST) -> ScriptResult<Dynamic> {
        let made = &mut *self.made.borrow_mut();
        let whole = made.kept.merge(ast);
        let result = self.console.engine.eval_ast_with_scope(&mut made.scope, &whole);
        // As in Python, what was done before a mistake stays: variables, functions, imports.
        let done = match &result {
            Ok(_) => ast.statements(),
            Err(error) => &ast.statements()[..failed_at(ast, error.position()).unwrap_or(0)],
        };
        let imports = done.iter().filter(|statement| matches!(statement, Stmt::Import(..)));
        made.kept.combine(AST::new(imports.cloned(), Module::new())).combine(ast.clone_functions_only());
        result
    }

    fn answer(&self, value: &Dynamic) {
        if value.is_unit() {
            return;
        }
        let screen = self.screen.get();
        output::say(&echo::answer(&self.console.engine, value, screen.columns));
        self.show_picture(value);
    }

    /// Draws a value that has a picture; false if it has none, or the terminal no colours.
    fn show_picture(&self, value: &Dynamic) -> bool {
        let picture = drawn(value, self.screen.get());
        if let Some(picture) = &picture {
            output::say(picture);
        }
        picture.is_some()
    }

    fn time(&mut self, expression: &str) -> ScriptResult<()> {
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        let value = self.run(expression, expression)?;
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
        self.answer(&value);
        output::say(&format!("{wall:.3} s, CPU {cpu:.3} s"));
        Ok(())
    }

    /// Shows what an expression gives as a picture; saves the figure if a file follows.
    fn plot(&mut self, text: &str) -> ScriptResult<()> {
        let engine = &self.console.engine;
        let split =
            || text.rsplit_once(char::is_whitespace).map(|(expression, file)| (expression, Some(unquoted(file))));
        let (expression, file) =
            if engine.compile(text).is_ok() { (text, None) } else { split().unwrap_or((text, None)) };
        let value = self.run(expression, &format!("let plotted = {expression}"))?;
        if file.is_none() && self.show_picture(&value) {
            return Ok(());
        }
        let figure = self.figure(&value)?;
        if let Some(file) = file {
            figure.save(Path::new(file)).map_err(fault)?;
            output::complain(&format!("saved {figure} as {file}"));
        }
        let shown = self.show_picture(&value) || self.show_picture(&Dynamic::from(figure));
        if !shown && file.is_none() {
            output::complain("a picture needs a terminal with colours, or a FILE.png");
        }
        Ok(())
    }

    /// A value as a figure.
    fn figure(&self, value: &Dynamic) -> ScriptResult<Figure> {
        if let Some(figure) = value.read_lock::<Figure>() {
            return Ok(figure.clone());
        }
        let kind = type_of(value);
        let draw = FIGURES.iter().find(|(of, _)| *of == kind).map(|(_, draw)| *draw).ok_or_else(|| {
            fault(format!(
                "{kind} has no picture of its own: give a Figure from plot::, Images, Volume, Poses, Model or Structure"
            ))
        })?;
        let mut scope = Scope::new();
        scope.push_dynamic("value", value.clone());
        self.console.engine.eval_with_scope(&mut scope, draw).map_err(nowhere)
    }

    /// Runs a script in this sitting.
    fn load(&mut self, file: &str, given: Vec<(String, String)>) -> ScriptResult<()> {
        let text =
            read_script(Path::new(file)).map_err(|error| fault(format!("cannot read the script {file}: {error}")))?;
        // what follows is counted from its last line, so that empty ones must not
        let text = text.trim_end();
        self.console.session.add_source(file, text);
        self.loaded.push((file.to_owned(), self.transcript.lines().count(), text.lines().count()));
        let ast = self.compile(text)?;
        check_given(&given, file, &ast)?;
        self.console.session.begin_script(given);
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let ast = with_imports_of(&ast, folder);
        let value = self.evaluate(&ast);
        self.console.session.begin_script(Vec::new());
        drop(value?);
        self.kept.push(&format!("// {file}\n{text}"), &ast);
        Ok(())
    }

    fn save(&mut self, file: &str) {
        match self.kept.save(file, &self.console.engine) {
            Ok(told) => output::complain(&told),
            Err(error) => output::complain(&format!("error: {error}")),
        }
    }

    /// The manual on a function or a namespace; of a variable, what it is.
    fn help(&self, name: &str) -> ScriptResult<()> {
        let is_path = name.split('.').all(|part| !part.is_empty() && !part.contains(':'));
        let first = name.split('.').next().unwrap_or("");
        if is_path && self.made.borrow().scope.contains(first) {
            return self.help_on_value(name);
        }
        if let Some(words) = name.strip_prefix("--search ") {
            output::say(Reference::get().search(words.trim()).map_err(fault)?.trim_end());
            return Ok(());
        }
        let name = if name == GLOBAL { name } else { name.trim_end_matches("::") };
        let (prefix, function) = name.split_once("::").map_or((name, None), |(prefix, name)| (prefix, Some(name)));
        let name = match (self.imported_as(prefix), function) {
            (Some(module), Some(function)) => format!("{module}::{function}"),
            (Some(module), None) => module,
            (None, _) => name.to_owned(),
        };
        output::say(Reference::get().text(&name).map_err(fault)?.trim_end());
        Ok(())
    }

    /// What a variable, or a part of one, is, and what can stand behind its dot.
    fn help_on_value(&self, name: &str) -> ScriptResult<()> {
        let (engine, screen) = (&self.console.engine, self.screen.get());
        let value: Dynamic = engine.eval_with_scope(&mut self.made.borrow_mut().scope, name).map_err(nowhere)?;
        let room = screen.columns.saturating_sub(name.len() + 2);
        let shown = format!("{}, {}", type_of(&value), echo::short(engine, &value, room));
        output::say(&format!("{name}: {}", cut(&shown, room)));
        let native = self.knowledge.methods_of(type_of(&value)).filter(|method| !method.namespace.is_empty());
        let mut methods: Vec<&str> = native.map(|method| method.name.as_str()).collect();
        methods.dedup();
        if !methods.is_empty() {
            output::say(&format!("after a dot: {}", methods.join(", ")));
        }
        if self.knowledge.is_namespace(name) {
            output::say(&format!("{name} is a namespace too: help(\"{name}\")"));
        }
        Ok(())
    }

    /// The strategy that was imported under this name.
    fn imported_as(&self, alias: &str) -> Option<String> {
        let made = self.made.borrow();
        made.kept.statements().iter().rev().find_map(|statement| match statement {
            Stmt::Import(import, _) if import.1.name == alias => match &import.0 {
                Expr::StringConstant(path, _) => Some(path.trim_end_matches(".rhai").to_owned()),
                _ => None,
            },
            _ => None,
        })
    }

    fn list_variables(&self) {
        let made = self.made.borrow();
        let mut seen = BTreeSet::new();
        // the last comes first, and hides others of its name
        let mut shown: Vec<_> = made.scope.iter_raw().filter(|(name, ..)| seen.insert(*name)).collect();
        shown.reverse();
        if shown.is_empty() {
            output::complain("there are no variables yet");
        }
        let width = shown.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let kinds = shown.iter().map(|(_, _, value)| type_of(value).chars().count()).max().unwrap_or(0);
        let room = self.screen.get().columns.saturating_sub(width + kinds + 4).max(20);
        for (name, _, value) in shown {
            let text = echo::short(&self.console.engine, value, room);
            output::say(&format!("{name:width$}  {:kinds$}  {text}", type_of(value)));
        }
    }

    /// A place in a script that was loaded is told by the lines of its file.
    fn in_its_script(&self, place: &mut Place) {
        if place.file != PROMPT {
            return;
        }
        let holds = |(_, before, lines): &&(String, usize, usize)| (before + 1..=before + lines).contains(&place.line);
        if let Some((file, before, _)) = self.loaded.iter().find(holds) {
            place.line -= before;
            place.file = file.clone();
        }
    }
}

/// An error in what nobody typed.
fn nowhere(mut error: Box<EvalAltResult>) -> Box<EvalAltResult> {
    error.clear_position();
    error
}

/// Which statement failed, if something in it did at `end`.
fn failed_at(ast: &AST, end: Position) -> Option<usize> {
    ast.statements().iter().rposition(|statement| !is_before(end, statement.position()))
}

fn is_before(one: Position, other: Position) -> bool {
    let place = |position: Position| Some((position.line()?, position.position()?));
    place(one).zip(place(other)).is_some_and(|(one, other)| one < other)
}

/// A script whose imports are found from here: those of files are beside the script, in `folder`.
fn with_imports_of(ast: &AST, folder: &Path) -> AST {
    let statements = ast.statements().iter().cloned().map(|statement| match statement {
        Stmt::Import(mut import, at) => {
            if let Expr::StringConstant(path, _) = &mut import.0
                && !stdlib::is_strategy(path.trim_end_matches(".rhai"))
            {
                *path = folder.join(path.as_str()).to_string_lossy().into_owned().into();
            }
            Stmt::Import(import, at)
        }
        other => other,
    });
    let mut found = AST::new(statements, Module::new());
    found.set_source(PROMPT);
    found.combine(ast.clone_functions_only());
    found
}
