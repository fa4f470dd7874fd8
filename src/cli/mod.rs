//! The command line: the prompt, `run`, `help`, `info`.
//!
//! Standard output carries results only; messages and progress go to standard error. Exit status: 0 done, 1 the script
//! or an input is at fault, 2 the command line is, 130 interrupted.

mod output;
mod progress;
mod repl;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};
use rhai::Engine;

use crate::script::help::Reference;
use crate::script::{self, Script, Session, SessionError, Setup};
use crate::store;
use progress::Bars;

const FAULT: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

/// From images of one tumbling nanoparticle to the position and element of each of its atoms.
///
/// Without a command: a prompt at which scripts are typed line by line.
#[derive(Parser)]
#[command(name = "pedesis", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script.
    Run {
        /// The script, such as scripts/quickstart.rhai.
        script: PathBuf,
        /// Arguments that the script declares.
        #[arg(value_name = "NAME=VALUE", value_parser = pair)]
        arguments: Vec<(String, String)>,
        /// Number of threads that kernels run on [default: one a core].
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=Session::MAX_THREADS as i64))]
        threads: Option<u16>,
    },
    /// Say what a namespace or function of the script language does.
    Help {
        /// A namespace (images) or a function (images::normalize); all namespaces if left out.
        name: Option<String>,
    },
    /// Say what a file holds: HDF5, MRC, STAR, XYZ, PDB, CIF, POSCAR, liquids.
    Info {
        /// The file.
        file: PathBuf,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let status = match Cli::parse().command {
        None => repl::repl(),
        Some(Command::Run { script, arguments, threads }) => run::run(&script, arguments, threads.map(usize::from)),
        Some(Command::Help { name }) => help(name.as_deref().unwrap_or("")),
        Some(Command::Info { file }) => info(&file),
    };
    ExitCode::from(status)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("arguments of a script are written name=value".into()),
    }
}

fn help(name: &str) -> u8 {
    match Reference::new().text(name) {
        Ok(text) => {
            output::say(text.trim_end());
            0
        }
        Err(error) => output::fail(&error, USAGE),
    }
}

fn info(file: &Path) -> u8 {
    match store::info(file) {
        Ok(text) => {
            output::say(text.trim_end());
            0
        }
        Err(error) => output::fail(&error, FAULT),
    }
}

/// An interpreter connected to this process: Ctrl-C, progress bars, standard output and error.
struct Console {
    engine: Engine,
    session: Arc<Session>,
    cancel: Arc<AtomicBool>,
}

impl Console {
    fn new(threads: Option<usize>, script: Script, given: Vec<(String, String)>) -> Result<Self, SessionError> {
        let cancel = Arc::new(AtomicBool::new(false));
        let bars = Arc::new(Bars::default());
        let below = bars.clone();
        let tell = Box::new(move |text: &str| below.suspend(|| output::complain(text)));
        let session = Session::new(Setup { task: bars.task(cancel.clone()), tell, threads, script, given })?;
        let mut engine = script::engine(&session);
        let above = bars.clone();
        engine.on_print(move |text| above.suspend(|| output::say(text)));
        engine.on_debug(move |text, source, position| {
            let place = source.map(|source| format!("{source}:")).unwrap_or_default();
            bars.suspend(|| output::complain(&format!("{place}{position:?}: {text}")));
        });
        Ok(Self { engine, session, cancel })
    }

    /// Lets Ctrl-C stop what runs, and a second one, should a kernel not listen, end the process.
    fn listen_to_interrupts(&self) {
        let cancel = self.cancel.clone();
        let handler = move || {
            if cancel.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(INTERRUPTED));
            }
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            output::complain(&format!("warning: Ctrl-C will end the program at once: {error}"));
        }
    }
}
