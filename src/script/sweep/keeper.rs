//! What is known of the points of one sweep, and where it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rhai::{FnPtr, NativeCallContext};
use serde_json::Value;

use super::closure::Place;
use super::job::Captured;
use super::{ERROR, Executor, Plan, VALUE, take_over};
use crate::script::{ScriptResult, Session, Table, fault};
use crate::store::Digest;
use crate::sweep::{self, Header, Journal, Kept, Outcome, Point, Record, describe};
use crate::task::Cancelled;

/// The records of a sweep, in memory and in its journal.
pub struct Keeper {
    /// What the sweep is called while it runs.
    pub title: String,
    parameters: Vec<String>,
    records: BTreeMap<usize, Record>,
    folder: Option<PathBuf>,
    journal: Option<Journal>,
    plan: Option<Plan>,
    /// Points that an earlier run has done.
    before: BTreeSet<usize>,
}

impl Keeper {
    /// Begins a sweep, or goes on with it, as the session's plan says; `points`, if they are known before.
    ///
    /// # Errors
    /// If what an earlier run has left does not fit, or cannot be read; if values cannot be stored that workers need.
    pub fn open(
        call: &NativeCallContext,
        closure: &FnPtr,
        parameters: Vec<String>,
        points: Option<&[Point]>,
    ) -> ScriptResult<Self> {
        let session = Session::of(call);
        let plan = {
            let mut sweeps = session.sweeps();
            sweeps.met += usize::from(!sweeps.in_point());
            if sweeps.in_point() { None } else { sweeps.plan.clone() }
        };
        let title = format!("sweep {}", session.sweeps().met);
        let mut keeper = Self {
            title,
            parameters,
            records: BTreeMap::new(),
            folder: None,
            journal: None,
            plan: plan.clone(),
            before: BTreeSet::new(),
        };
        let Some(plan) = plan else { return Ok(keeper) };
        // Without workers and without --resume nothing is asked of the journal that would be worth an error.
        let must = plan.executor != Executor::Own || plan.resume;
        let opened = keeper.open_journal(call, closure, points, &plan);
        session.check()?;
        match opened {
            Ok(()) => Ok(keeper),
            Err(problem) if must => Err(fault(problem)),
            Err(problem) => {
                session.tell(&format!("warning: {}: not kept for a later run: {problem}", keeper.title));
                Ok(keeper)
            }
        }
    }

    fn open_journal(
        &mut self,
        call: &NativeCallContext,
        closure: &FnPtr,
        points: Option<&[Point]>,
        plan: &Plan,
    ) -> Result<(), String> {
        let session = Session::of(call);
        let captured = Captured::of(call, closure)?;
        let folder = folder(&session)?;
        let header = Header {
            run: digest(&session, &Place::of(call, closure).map_err(|error| error.to_string())?, &captured, points),
            script: session.script().path.clone(),
            parameters: self.parameters.clone(),
            points: points.map(<[Point]>::len),
        };
        let (journal, Kept { records, message }) = Journal::open(&folder, &header, plan.resume)?;
        let goes_on = plan.resume && matches!(plan.executor, Executor::Slurm(_));
        for job in if goes_on { Vec::new() } else { sweep::abandon(&folder) } {
            session.tell(&format!("{}: SLURM job {job} of the last run is cancelled", self.title));
        }
        if let Some(message) = message {
            session.tell(&message);
        }
        let records = self.unchanged(&session, records).map_err(|cancelled| cancelled.to_string())?;
        if !records.is_empty() {
            let of = points.map(|points| format!(" of {}", points.len())).unwrap_or_default();
            session.tell(&format!("{}: {}{of} points kept from the last run", self.title, records.len()));
        }
        for record in records {
            take_over(&session, &record);
            self.before.insert(record.index);
            self.records.insert(record.index, record);
        }
        session.sweeps().folders.push(folder.clone());
        (self.folder, self.journal) = (Some(folder), Some(journal));
        Ok(())
    }

    /// The records of points that have read nothing that has changed since.
    fn unchanged(&self, session: &Session, records: Vec<Record>) -> Result<Vec<Record>, Cancelled> {
        let (count, mut changed, mut kept) = (records.len(), None, Vec::new());
        for record in records {
            match session.reads().changed(&record.files, session.permit(), session.task())? {
                Some(file) => changed = changed.or(Some(file.to_owned())),
                None => kept.push(record),
            }
        }
        if let Some(file) = changed {
            let again = count - kept.len();
            session
                .tell(&format!("{}: {file} has changed since it was read; {again} points are done again", self.title));
        }
        Ok(kept)
    }

    /// The plan, and the folder of the sweep, if other processes are to do the points.
    pub fn elsewhere(&self) -> Option<(Plan, PathBuf)> {
        let plan = self.plan.clone().filter(|plan| plan.executor != Executor::Own)?;
        Some((plan, self.folder.clone()?))
    }

    /// Whether a point is done.
    pub fn has(&self, index: usize) -> bool {
        self.records.contains_key(&index)
    }

    /// Whether the point of this number is done, and was this one; what is known of another is forgotten.
    pub fn has_at(&mut self, index: usize, point: &Point) -> bool {
        let same = self.records.get(&index).is_some_and(|record| record.point == *point);
        if !same {
            self.records.remove(&index);
        }
        same
    }

    /// The single number that a point has given, if it has given anything.
    pub fn number(&self, index: usize) -> ScriptResult<Option<f64>> {
        match self.records.get(&index).map(|record| &record.outcome) {
            Some(Outcome::Values(values)) => match values.get(VALUE) {
                Some(Value::Null) => Ok(None),
                None if values.is_empty() => Ok(None),
                Some(value) if value.is_number() => Ok(value.as_f64()),
                _ => Err(fault(format!("the closure of minimize gives a number, or a map with the number {VALUE:?}"))),
            },
            _ => Ok(None),
        }
    }

    /// Keeps what is known of a point, and tells the user if it has failed.
    pub fn add(&mut self, session: &Session, record: Record) -> ScriptResult<()> {
        if let Some(journal) = &mut self.journal {
            let cannot = |error: io::Error| fault(format!("cannot keep the results of the sweep: {error}"));
            journal.add(&record).map_err(cannot)?;
        }
        if let Outcome::Failed(why) = &record.outcome {
            let (index, point) = (record.index, describe(&record.point));
            session.tell(&format!("warning: {}: point {index} ({point}) failed: {why}", self.title));
        }
        self.records.insert(record.index, record);
        Ok(())
    }

    /// Has the session know what points have called and read that other processes have done.
    pub fn record_done_elsewhere(&self, session: &Session) {
        let done = self.records.values().filter(|record| !self.before.contains(&record.index));
        done.for_each(|record| take_over(session, record));
    }

    /// The table of all points in their order.
    ///
    /// # Errors
    /// If all points have failed.
    pub fn finish(self, session: &Session) -> ScriptResult<Table> {
        let failures: Vec<(&Record, &String)> = self.records.values().filter_map(failure).collect();
        match failures.first() {
            Some((record, why)) if failures.len() == self.records.len() => {
                let point = describe(&record.point);
                return Err(fault(format!("no point of the sweep has succeeded; the first ({point}) failed: {why}")));
            }
            Some((record, why)) => {
                let (failed, all, point) = (failures.len(), self.records.len(), describe(&record.point));
                let text = format!("{}: {failed} of {all} points failed; the first ({point}): {why}", self.title);
                session.sweeps().failures.push(text);
            }
            None => {}
        }
        let mut columns = self.parameters;
        let mut rows = Vec::new();
        for Record { point, outcome, .. } in self.records.into_values() {
            let mut row = point;
            match outcome {
                Outcome::Values(values) => {
                    columns.extend(values.keys().filter(|name| !columns.contains(name)).cloned().collect::<Vec<_>>());
                    row.extend(values);
                }
                Outcome::Failed(why) => drop(row.insert(ERROR.into(), why.into())),
            }
            rows.push(row);
        }
        Ok(Table::from_records(columns, &rows))
    }
}

fn failure(record: &Record) -> Option<(&Record, &String)> {
    match &record.outcome {
        Outcome::Failed(why) => Some((record, why)),
        Outcome::Values(_) => None,
    }
}

/// Digest of all that decides what the points of a sweep give.
fn digest(session: &Session, place: &Place, captured: &Captured, points: Option<&[Point]>) -> String {
    let scripts: BTreeSet<String> = session.sources().values().map(|text| Digest::of_text(text)).collect();
    let digest = scripts.iter().fold(Digest::of_program(), |digest, script| digest.and_text(script));
    let digest = digest.and_text(&serde_json::json!(place).to_string()).and(&captured.values).and(&captured.constants);
    digest.and_text(&serde_json::json!(points).to_string()).finish()
}

/// The folder of the sweep that was met last: beside the other results, or in the current directory.
fn folder(session: &Session) -> Result<PathBuf, String> {
    let declared = session.arguments().and_then(|arguments| arguments.get("out")?.clone().into_string().ok());
    let out = PathBuf::from(declared.unwrap_or_default());
    // `out` may be the file that the results go to
    let is_folder = out.is_dir() || out.extension().is_none() && !out.exists();
    let parent = if is_folder { out.as_path() } else { out.parent().unwrap_or(Path::new("")) };
    let stem = Path::new(&session.script().path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = parent.join(format!("{stem}.sweep-{}", session.sweeps().met));
    session.permit().write(&folder).map_err(|refusal| refusal.to_string())
}

/// Starts a worker of a sweep.
pub fn start_worker(plan: &Plan, folder: &Path, threads: usize) -> io::Result<Child> {
    let (program, arguments) = plan.command.split_first().ok_or(io::ErrorKind::NotFound)?;
    Command::new(program)
        .args(arguments)
        .args(["--threads", &threads.to_string(), "--worker"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}
