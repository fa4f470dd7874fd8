//! The command line: the prompt, `run`, `check`, `help`, `docs`, `info`.
//!
//! Standard output carries results only; messages and progress go to standard error. Exit status: 0 done, 1 the script
//! or an input is at fault, 2 the command line is, 130 interrupted.

mod check;
mod docs;
mod output;
mod progress;
mod repeat;
mod repl;
mod run;
mod watch;
mod worker;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};
use rhai::Engine;

use crate::script::help::Reference;
use crate::script::permit::Flags;
use crate::script::{self, Executor, Session, SessionError, Setup};
use crate::sweep::Slurm;
use crate::{store, sweep};
use docs::What;
use progress::Bars;
use run::Request;
use watch::Limits;

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
    /// Run a script, or repeat the run that made an HDF5 file.
    Run {
        /// The script, such as scripts/quickstart.rhai; or an HDF5 file that a script has written, such as run.h5.
        ///
        /// Of an HDF5 file the script, its modules and its arguments as they were then run in the current directory, if the files that it read are unchanged.
        /// NAME=VALUE takes the place of a recorded argument, such as out=again. What the recorded arguments name is not opened to the
        /// script as what NAME=VALUE names is.
        script: PathBuf,
        /// Arguments that the script declares.
        #[arg(value_name = "NAME=VALUE", value_parser = pair)]
        arguments: Vec<(String, String)>,
        /// Number of threads that kernels run on [default: one a core].
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=Session::MAX_THREADS as i64))]
        threads: Option<u16>,
        /// File or folder that the script may read too; may be given several times.
        ///
        /// Open without it: the current directory, the script's folder, what NAME=VALUE names, and what may be written.
        #[arg(long, value_name = "PATH")]
        allow_read: Vec<PathBuf>,
        /// File or folder that the script may write and read too; may be given several times.
        ///
        /// Open without it: the current directory and the folder out=FOLDER, all but hidden names.
        #[arg(long, value_name = "PATH")]
        allow_write: Vec<PathBuf>,
        /// Stop when the script holds more memory than this, in GiB [default: when the computer has less than 3 % left].
        #[arg(long, value_name = "GIB", value_parser = positive)]
        max_memory: Option<f64>,
        /// Stop when the script has run for this long, in seconds [default: never].
        #[arg(long, value_name = "SECONDS", value_parser = positive)]
        max_time: Option<f64>,
        /// Do the points of sweeps in this many processes, which share the threads [default: in this one].
        ///
        /// With --executor slurm: in this many tasks at a time, each with --threads CPUs [default: 25, with one].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=Session::MAX_THREADS as i64))]
        workers: Option<u16>,
        /// Go on with sweeps that were broken off, without doing again what is done.
        #[arg(long)]
        resume: bool,
        /// Where the points of sweeps are done.
        #[arg(long, value_enum, default_value_t = Place::Local)]
        executor: Place,
        /// Option of sbatch for --executor slurm, such as --sbatch=--time=2:00:00; may be given several times.
        #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
        sbatch: Vec<String>,
        /// Do points of the sweep in this folder, as ordered through standard input.
        #[arg(long, hide = true, value_name = "FOLDER")]
        worker: Option<PathBuf>,
        /// Do those of this task of the job array in that folder.
        #[arg(long, hide = true, value_name = "N", requires = "worker")]
        task: Option<usize>,
    },
    /// Find mistakes in a script without running it: unknown functions, options, variables, arguments; and what is not used.
    Check {
        /// The script; those that it imports are checked too.
        script: PathBuf,
    },
    /// Say what a namespace or function of the script language does.
    Help {
        /// A namespace (images) or a function (images::normalize); all namespaces if left out.
        name: Option<String>,
        /// List the functions that have this word in their names or texts, best first.
        #[arg(long, value_name = "WORD", conflicts_with = "name")]
        search: Option<String>,
    },
    /// Write the manual of the script language as web pages, with what the examples print and draw.
    Docs {
        /// The folder: new, empty, or a manual, which is replaced. Begin with its index.html.
        folder: PathBuf,
        /// Do not run the examples.
        #[arg(long)]
        no_figures: bool,
        /// Write definition files for language servers of Rhai instead, which complete and explain in an editor.
        #[arg(long, conflicts_with = "no_figures")]
        definitions: bool,
    },
    /// Say what a file holds: HDF5, MRC, STAR, XYZ, PDB, CIF, POSCAR, liquids; or how far a sweep is.
    Info {
        /// The file, or the folder of a sweep.
        file: PathBuf,
    },
}

/// Where the points of sweeps are done.
#[derive(Clone, Copy, ValueEnum)]
enum Place {
    /// On this computer.
    Local,
    /// On the cluster that this computer submits jobs to, as a SLURM job array.
    Slurm,
}

impl Place {
    /// Who does the points, as the command line asks.
    fn executor(self, workers: Option<u16>, threads: Option<u16>, sbatch: Vec<String>) -> Result<Executor, String> {
        let workers = workers.map(usize::from);
        match self {
            Self::Local if !sbatch.is_empty() => Err("--sbatch is for --executor slurm alone".into()),
            Self::Local => Ok(workers.map_or(Executor::Own, Executor::Workers)),
            Self::Slurm => {
                let usual = Slurm::default();
                let threads = threads.map_or(usual.threads, usize::from);
                Ok(Executor::Slurm(Slurm { tasks: workers.unwrap_or(usual.tasks), threads, options: sbatch }))
            }
        }
    }
}

/// Stack of the thread that scripts run on: values nested a million deep are taken apart by functions that call themselves.
const STACK: usize = 1 << 30;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let spawned = thread::Builder::new().name("script".into()).stack_size(STACK).spawn(|| obey(command));
    let status = match spawned {
        // what it died of is on standard error already
        Ok(thread) => thread.join().unwrap_or(FAULT),
        Err(error) => output::fail(&format!("cannot start a thread: {error}"), FAULT),
    };
    ExitCode::from(status)
}

/// Does what the command line asks; returns the exit status.
fn obey(command: Option<Command>) -> u8 {
    match command {
        None => repl::repl(),
        Some(Command::Run {
            script,
            arguments,
            threads,
            allow_read,
            allow_write,
            max_memory,
            max_time,
            workers,
            resume,
            executor,
            sbatch,
            worker,
            task,
        }) => {
            let request = Request {
                script,
                given: arguments,
                threads: threads.map(usize::from),
                flags: Flags { read: allow_read, write: allow_write },
                limits: Limits { memory: max_memory, seconds: max_time },
            };
            match (worker, task) {
                (Some(folder), Some(task)) => worker::work_as_task(request, &folder, task),
                (Some(folder), None) => worker::work(request, &folder),
                (None, _) => match executor.executor(workers, threads, sbatch) {
                    Ok(executor) => run::run(request, executor, resume),
                    Err(why) => output::fail(&why, USAGE),
                },
            }
        }
        Some(Command::Check { script }) => check::check(&script),
        Some(Command::Help { search: Some(word), .. }) => explain(Reference::get().search(&word)),
        Some(Command::Help { name, search: None }) => explain(Reference::get().text(name.as_deref().unwrap_or(""))),
        Some(Command::Docs { folder, no_figures, definitions }) => docs::docs(
            &folder,
            match (definitions, no_figures) {
                (true, _) => What::Definitions,
                (false, true) => What::PagesWithoutFigures,
                (false, false) => What::Pages,
            },
        ),
        Some(Command::Info { file }) => info(&file),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a positive number".into())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("arguments of a script are written name=value".into()),
    }
}

/// Shows what the manual says.
fn explain(found: Result<String, impl std::fmt::Display>) -> u8 {
    match found {
        Ok(text) => {
            output::say(text.trim_end());
            0
        }
        Err(error) => output::fail(&error, USAGE),
    }
}

fn info(file: &Path) -> u8 {
    let text = if sweep::is_journal(file) { sweep::info(file) } else { store::info(file) };
    match text {
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
    /// `setup` without what the console itself sees to: progress and messages.
    fn new(setup: Setup) -> Result<Self, SessionError> {
        let cancel = Arc::new(AtomicBool::new(false));
        let bars = Arc::new(Bars::default());
        let below = bars.clone();
        let on_screen = std::io::stderr().is_terminal();
        let tell = Box::new(move |text: &str| below.suspend(|| output::complain(&output::said(text, on_screen))));
        let session = Session::new(Setup { task: bars.task(cancel.clone()), tell, ..setup })?;
        let mut engine = script::engine(&session);
        let above = bars.clone();
        engine.on_print(move |text| above.suspend(|| output::print(text)));
        engine.on_debug(move |text, source, position| {
            let place = source.map(|source| format!("{source}:")).unwrap_or_default();
            bars.suspend(|| output::complain(&format!("{place}{position:?}: {text}")));
        });
        Ok(Self { engine, session, cancel })
    }
}

/// Lets Ctrl-C set `cancel`; one that comes more than `patience` later, should a kernel not listen, ends the process.
fn listen_to_interrupts(cancel: &Arc<AtomicBool>, patience: Duration) {
    let cancel = cancel.clone();
    let mut first = Instant::now();
    let handler = move || {
        if !cancel.swap(true, Ordering::Relaxed) {
            first = Instant::now();
        } else if first.elapsed() >= patience {
            std::process::exit(i32::from(INTERRUPTED));
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        output::complain(&format!("warning: Ctrl-C will end the program at once: {error}"));
    }
}
