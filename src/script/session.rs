//! What one run of a script, or one sitting at the prompt, owns.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rayon::{ThreadPool, ThreadPoolBuilder};
use rhai::{EvalAltResult, Map, NativeCallContext, Position};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoints;
use super::permit::Permit;
use super::reads::Reads;
use super::stdlib::{self, Found};
use super::sweep::{Plan, Sweeps};
use super::{ScriptResult, args, fault};
use crate::store::{Provenance, timestamp};
use crate::task::Task;

/// Why a session, or its threads, could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the number of threads must be from 1 to {max}, not {0}", max = Session::MAX_THREADS)]
    Threads(i64),
    #[error("cannot start {threads} threads: {reason}")]
    Start { threads: usize, reason: String },
}

/// A script as it was read, kept for messages and for the provenance of results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Where it came from, as the user wrote it.
    pub path: String,
    /// Its whole text; at the prompt empty, since what is typed is kept with [`Session::add_source`].
    pub text: String,
    /// Texts of its own modules by their names, if they came with it, as from a results file; `None`: they are files beside it.
    pub modules: Option<BTreeMap<String, String>>,
}

/// A native function that took options, with all the options it used, defaults included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelCall {
    /// Name of the function (`"search"`).
    pub function: String,
    pub options: serde_json::Value,
    /// How often it was called with exactly these options.
    pub count: u64,
}

/// What a session begins with.
pub struct Setup {
    /// Progress and cancellation. Default: nobody watches, nobody stops it.
    pub task: Task,
    /// Where messages go, one a line. Default: standard error.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Number of threads that kernels run on. Default: one a core.
    pub threads: Option<usize>,
    /// Default: none, as at the prompt.
    pub script: Script,
    /// The `k=v` arguments of the command line, for the script's own declaration to judge. Default: none.
    pub given: Vec<(String, String)>,
    /// The files that may be read and written. Default: all that the user may.
    pub permit: Permit,
    /// How sweeps are kept and shared out. Default: nothing is kept, and all is done in this process.
    pub sweeps: Option<Plan>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            task: Task::silent(),
            // Nothing can be done if there is no standard error.
            tell: Box::new(|text| drop(writeln!(std::io::stderr(), "{text}"))),
            threads: None,
            script: Script::default(),
            given: Vec::new(),
            permit: Permit::all(),
            sweeps: None,
        }
    }
}

/// Threads, cancellation, script, arguments and options of one run. Functions reach it with [`Session::of`].
pub struct Session {
    task: Task,
    tell: Box<dyn Fn(&str) + Send + Sync>,
    script: Script,
    given: Mutex<Vec<(String, String)>>,
    permit: Permit,
    /// Why the session itself has stopped its work.
    exceeded: Mutex<Option<String>>,
    started: SystemTime,
    clock: Instant,
    pool: Mutex<Arc<ThreadPool>>,
    arguments: Mutex<Option<Map>>,
    calls: Mutex<Vec<KernelCall>>,
    sources: Mutex<BTreeMap<String, String>>,
    /// Names and texts of modules that are, or may be, imported, by where their paths lead.
    modules: Mutex<BTreeMap<String, (String, String)>>,
    reads: Mutex<Reads>,
    checkpoints: Mutex<Option<Checkpoints>>,
    sweeps: Mutex<Sweeps>,
}

impl Session {
    /// More threads than this are surely a slip of the pen.
    pub const MAX_THREADS: usize = 1024;

    /// A session that begins with `setup`.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn new(setup: Setup) -> Result<Arc<Self>, SessionError> {
        let sources = BTreeMap::from([(setup.script.path.clone(), setup.script.text.clone())]);
        Ok(Arc::new(Self {
            pool: Mutex::new(start_threads(setup.threads, true)?),
            task: setup.task,
            tell: setup.tell,
            script: setup.script,
            given: Mutex::new(setup.given),
            permit: setup.permit,
            exceeded: Mutex::new(None),
            started: SystemTime::now(),
            clock: Instant::now(),
            arguments: Mutex::new(None),
            calls: Mutex::new(Vec::new()),
            sources: Mutex::new(sources),
            modules: Mutex::new(BTreeMap::new()),
            reads: Mutex::new(Reads::default()),
            checkpoints: Mutex::new(None),
            sweeps: Mutex::new(Sweeps::new(setup.sweeps)),
        }))
    }

    /// The session that the caller of a native function belongs to.
    ///
    /// # Panics
    /// If the engine was not made by [`super::engine`].
    pub fn of(call: &NativeCallContext) -> Arc<Self> {
        call.tag().and_then(|tag| tag.clone().try_cast()).expect("script::engine gives every engine its session")
    }

    /// Progress and cancellation of this session.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The files that may be read and written.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Stops the work because a bound is exceeded, said in words; nothing runs until [`Self::go_on`].
    pub fn stop(&self, exceeded: &str) {
        lock(&self.exceeded).get_or_insert_with(|| exceeded.to_owned());
        self.task.stop();
    }

    /// Forgets that a bound was exceeded.
    pub fn go_on(&self) {
        *lock(&self.exceeded) = None;
    }

    /// Which bound is exceeded, if that has stopped the work.
    pub fn exceeded(&self) -> Option<String> {
        lock(&self.exceeded).clone()
    }

    /// Waits, until the work is to stop.
    pub(super) fn sleep(&self, length: Duration) -> ScriptResult<()> {
        const NAP: Duration = Duration::from_millis(20);
        let start = Instant::now();
        while let Some(left) = length.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            self.check()?;
            std::thread::sleep(left.min(NAP));
        }
        self.check()
    }

    /// Why the work is to stop, if it is.
    pub(super) fn stopped(&self) -> Option<String> {
        let cancelled = self.task.check().err()?;
        Some(self.exceeded().unwrap_or_else(|| cancelled.to_string()))
    }

    /// The error that ends a script at once, which it cannot catch, if the work is to stop.
    pub(super) fn check(&self) -> ScriptResult<()> {
        match self.stopped() {
            None => Ok(()),
            Some(why) => Err(EvalAltResult::ErrorTerminated(why.into(), Position::NONE).into()),
        }
    }

    /// Shows the user a message that is not a result.
    pub fn tell(&self, text: &str) {
        (self.tell)(text);
    }

    /// The script that runs.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// When the session began.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Seconds since the session began.
    pub fn wall_seconds(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    /// The `k=v` pairs of the command line.
    pub fn given(&self) -> Vec<(String, String)> {
        lock(&self.given).clone()
    }

    /// Lets another script declare its arguments, which are `given` as the command line would.
    pub fn begin_script(&self, given: Vec<(String, String)>) {
        *lock(&self.given) = given;
        *lock(&self.arguments) = None;
    }

    /// The arguments as the script sees them, once it has declared them.
    pub fn arguments(&self) -> Option<Map> {
        lock(&self.arguments).clone()
    }

    /// Keeps the arguments; false if they were declared before.
    pub(super) fn set_arguments(&self, arguments: Map) -> bool {
        let mut place = lock(&self.arguments);
        let first = place.is_none();
        place.get_or_insert(arguments);
        first
    }

    /// Every native function that took options, in the order of its first call.
    pub fn calls(&self) -> Vec<KernelCall> {
        lock(&self.calls).clone()
    }

    pub(super) fn record(&self, function: &str, options: serde_json::Value) {
        self.record_call(KernelCall { function: function.to_owned(), options, count: 1 });
    }

    /// As [`Self::record`], for a function called `made.count` times.
    pub(super) fn record_call(&self, made: KernelCall) {
        let mut calls = lock(&self.calls);
        match calls.iter_mut().find(|call| call.function == made.function && call.options == made.options) {
            Some(call) => call.count += made.count,
            None => calls.push(made),
        }
    }

    /// The folder that results are kept in while the script runs, if it has opened one.
    pub(super) fn checkpoints(&self) -> MutexGuard<'_, Option<Checkpoints>> {
        lock(&self.checkpoints)
    }

    /// What is known of sweeps.
    pub(super) fn sweeps(&self) -> MutexGuard<'_, Sweeps> {
        lock(&self.sweeps)
    }

    /// What failed in sweeps so far, in words, though the script went on.
    pub fn failures(&self) -> Vec<String> {
        self.sweeps().failures.clone()
    }

    /// Removes what sweeps have kept for a run that would go on.
    pub fn forget_sweeps(&self) {
        self.sweeps().forget();
    }

    /// What must be known to make this run's results again, for the files they are written to.
    pub fn provenance(&self) -> Provenance {
        let arguments = self.arguments().as_ref().map(args::as_json).unwrap_or_default();
        let seed = arguments.get("seed").and_then(serde_json::Value::as_u64);
        let calls = self.calls();
        let mut sources = self.sources();
        let script = sources.remove(&self.script.path).unwrap_or_default();
        // those that came with the script are all that it can import
        let modules = self.script.modules.clone().unwrap_or_else(|| {
            sources.retain(|name, text| !stdlib::is_built_in(name, text));
            lock(&self.modules).values().cloned().chain(sources).collect()
        });
        Provenance {
            script,
            script_path: self.script.path.clone(),
            modules,
            given: Some(self.given().into_iter().collect()),
            arguments,
            options: serde_json::to_value(calls).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").into(),
            seed,
            threads: Some(self.threads() as u64),
            inputs: self.reads().inputs().clone(),
            start: timestamp(self.started),
            end: timestamp(SystemTime::now()),
        }
    }

    /// The files that were read.
    pub(super) fn reads(&self) -> MutexGuard<'_, Reads> {
        lock(&self.reads)
    }

    /// The text of every script seen so far, by name, for error messages.
    pub fn sources(&self) -> BTreeMap<String, String> {
        lock(&self.sources).clone()
    }

    /// Keeps the text of a script under its name.
    pub fn add_source(&self, name: &str, text: &str) {
        lock(&self.sources).insert(name.to_owned(), text.to_owned());
    }

    /// Keeps a module for the provenance of results; false if it was kept before.
    pub(super) fn keep_module(&self, found: &Found) -> bool {
        let text = (found.name.clone(), found.text.clone());
        lock(&self.modules).insert(found.key.clone(), text).is_none()
    }

    /// Number of threads that kernels run on.
    pub fn threads(&self) -> usize {
        lock(&self.pool).current_num_threads()
    }

    /// Lets kernels run on `threads` threads from now on.
    ///
    /// # Errors
    /// If `threads` is not from 1 to [`Self::MAX_THREADS`], or they cannot be started.
    pub fn set_threads(&self, threads: i64) -> Result<(), SessionError> {
        let count = usize::try_from(threads).map_err(|_| SessionError::Threads(threads))?;
        *lock(&self.pool) = start_threads(Some(count), false)?;
        Ok(())
    }

    /// Runs a kernel in the session's threads; see [`super::run`].
    pub fn run<T: Send, E: Display + Send>(
        &self,
        kernel: impl FnOnce(&Task) -> Result<T, E> + Send,
    ) -> ScriptResult<T> {
        let pool = lock(&self.pool).clone();
        let result = pool.install(|| kernel(&self.task));
        self.check()?;
        result.map_err(fault)
    }
}

/// The threads of kernels; `with_caller`, the one that calls them is one of these, so that a kernel begins at once. It can be one of a single session's.
fn start_threads(threads: Option<usize>, with_caller: bool) -> Result<Arc<ThreadPool>, SessionError> {
    let count = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    if !(1..=Session::MAX_THREADS).contains(&count) {
        return Err(SessionError::Threads(count as i64));
    }
    let builder = || ThreadPoolBuilder::new().num_threads(count);
    if with_caller && let Ok(pool) = builder().use_current_thread().build() {
        return Ok(Arc::new(pool));
    }
    let pool = builder().build();
    pool.map(Arc::new).map_err(|error| SessionError::Start { threads: count, reason: error.to_string() })
}

/// A lock whose holder died still guards a whole value: every change here is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
