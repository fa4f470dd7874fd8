//! The prompt: lines of a script, one after the other, in one scope.
//!
//! [`sitting`] does what a line asks for, [`commands`] tells what that is, [`echo`] and [`thumbnail`] show what comes of it. While a line is typed the
//! [`assistant`] looks at its words ([`crate::script::lex`]), where the cursor is among them ([`context`]), and what could stand there ([`complete`]).

mod assistant;
mod commands;
mod complete;
mod context;
mod echo;
mod highlight;
mod kept;
mod knowledge;
mod options;
mod sitting;
mod thumbnail;

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rhai::{AST, Scope};
use rustyline::config::{ColorMode, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};

use super::watch::{self, Limits};
use super::{Console, FAULT, output};
use crate::script::{Script, Setup};
use assistant::{Assistant, Lazy};
use complete::Made;
use knowledge::Knowledge;
use sitting::{Next, Sitting};

pub use sitting::PROMPT;
use thumbnail::{Color, Screen};

type Reader = Editor<Assistant, DefaultHistory>;

/// Who presses Ctrl-C twice in haste does not mean to lose what hours have made.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lines that history remembers.
const HISTORY: usize = 10_000;

/// Columns and rows of what is no terminal.
const NO_TERMINAL: (usize, usize) = (100, 24);

/// Reads and runs lines until Ctrl-D; returns the exit status.
pub fn repl() -> u8 {
    let script = Script { path: PROMPT.into(), ..Script::default() };
    // Who types himself may do what he may; only the sizes of values are bounded.
    let mut console = match Console::new(Setup { script, ..Setup::default() }) {
        Ok(console) => console,
        Err(error) => return output::fail(&error, FAULT),
    };
    // An import on an earlier line is not known to the parser, which would take its name for a mistake.
    console.engine.set_strict_variables(false);
    super::listen_to_interrupts(&console.cancel, PATIENCE);
    watch::watch(&console.session, Limits::default(), None);
    let knowledge: Lazy = Arc::new(LazyLock::new(Knowledge::new));
    let made = Rc::new(RefCell::new(Made { scope: Scope::new(), kept: AST::empty() }));
    let color = Color::of_terminal();
    let screen = Rc::new(Cell::new(Screen { columns: NO_TERMINAL.0, rows: NO_TERMINAL.1, color }));
    let mut reader = match reader(color) {
        Ok(reader) => reader,
        Err(error) => return output::fail(&error, FAULT),
    };
    reader.set_helper(Some(Assistant::new(knowledge.clone(), made.clone(), screen.clone())));
    let mut history = History::new();
    if std::io::stdin().is_terminal() {
        history.load(&mut reader);
        output::complain("pedesis: help lists what there is, :help what can be typed, Ctrl-D leaves");
        let knowledge = knowledge.clone();
        std::thread::spawn(move || {
            LazyLock::force(&knowledge);
        });
    }
    let mut sitting = Sitting::new(&console, made, knowledge, screen.clone());
    loop {
        let (columns, rows) = reader.dimensions().map_or(NO_TERMINAL, |(columns, rows)| (columns.into(), rows.into()));
        screen.set(Screen { columns, rows, color });
        match reader.readline("> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                history.add(&mut reader, &line);
                if sitting.obey(&line) == Next::Leave {
                    return 0;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return 0,
            Err(error) => return output::fail(&error, FAULT),
        }
    }
}

fn reader(color: Color) -> rustyline::Result<Reader> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .max_history_size(HISTORY)?
        .color_mode(if color == Color::None { ColorMode::Disabled } else { ColorMode::Enabled })
        .build();
    Editor::with_config(config)
}

/// The lines of earlier sittings.
struct History {
    /// `None` once it is known that they cannot be kept, or where they are none to be kept.
    file: Option<PathBuf>,
}

impl History {
    fn new() -> Self {
        Self { file: None }
    }

    /// Reads the lines of earlier sittings.
    fn load(&mut self, reader: &mut Reader) {
        self.file = history_file();
        if let Some(file) = &self.file {
            // There is none before the first sitting.
            let _ = reader.load_history(file);
        }
    }

    /// Keeps a line, in the file at once: a sitting may end in any way.
    fn add(&mut self, reader: &mut Reader, line: &str) {
        let _ = reader.add_history_entry(line);
        let Some(file) = &self.file else { return };
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(ReadlineError::from);
        if let Err(error) = folder.and_then(|()| reader.append_history(file)) {
            output::complain(&format!("warning: cannot keep the history in {}: {error}", file.display()));
            self.file = None;
        }
    }
}

/// `pedesis/history` in the user's data folder (`XDG_DATA_HOME`, else `~/.local/share`).
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("pedesis").join("history"))
}
