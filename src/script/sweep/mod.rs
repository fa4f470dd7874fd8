//! Sweeps of a script: a closure called for every point, its results a [`Table`].
//!
//! Each point is called with what the closure has captured as it was when the sweep began, so that points cannot see each other, and it does not
//! matter in which process, or after how many kills, one is done. Sweeps of a run that has a [`Plan`] are kept in a
//! journal (`keeper`) and shared out to worker processes, here or in a cluster (`job`, `worker`); those at the prompt, and inside a point of another, are not.

mod closure;
mod job;
mod keeper;
mod worker;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rhai::{Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext};
use serde_json::Value;

use self::closure::detached;
use self::keeper::Keeper;
use super::checkpoint::calls_since;
use super::diagnostic::Diagnostic;
use super::options::describe;
use super::table::{from_cell, to_cell};
use super::{KernelCall, ScriptResult, Session, Table, fault};
use crate::sweep::{self, Best, Cluster, Minimize, News, Order, Outcome, Point, Record, Slurm, WorkError, Workers};

pub use worker::serve;

/// The column that says why a point has no results.
const ERROR: &str = "error";
/// The column of results that are a single value.
const VALUE: &str = "value";

/// Who does the points of sweeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executor {
    /// This process.
    Own,
    /// So many processes beside it.
    Workers(usize),
    /// The tasks of a job array on a cluster.
    Slurm(Slurm),
}

/// How the sweeps of a run are kept and shared out.
#[derive(Debug, Clone)]
pub struct Plan {
    pub executor: Executor,
    /// Whether what an earlier run has finished is taken over.
    pub resume: bool,
    /// Program and arguments of a worker; the folder of the sweep comes behind.
    pub command: Vec<OsString>,
}

/// What a session knows of its sweeps.
pub(super) struct Sweeps {
    plan: Option<Plan>,
    /// How many there were.
    met: usize,
    folders: Vec<PathBuf>,
    pub(super) failures: Vec<String>,
    /// How many points are being called, each inside the one before.
    depth: usize,
}

impl Sweeps {
    pub(super) fn new(plan: Option<Plan>) -> Self {
        Self { plan, met: 0, folders: Vec::new(), failures: Vec::new(), depth: 0 }
    }

    /// Whether a point is being called.
    pub(super) fn in_point(&self) -> bool {
        self.depth > 0
    }

    pub(super) fn forget(&mut self) {
        self.folders.drain(..).for_each(|folder| sweep::forget(&folder, &[job::FILE]));
    }
}

/// Calls `closure` for every point; see [`super::api`] for what a script is told.
///
/// # Errors
/// If the closure cannot be called, or stored where that is needed; if all points fail; or if the run is stopped.
pub fn run(call: &NativeCallContext, points: Vec<Point>, closure: &FnPtr) -> ScriptResult<Table> {
    let session = Session::of(call);
    let closure = detached(call, closure)?;
    let names = points.first().map(|point| point.keys().cloned().collect()).unwrap_or_default();
    let mut keeper = Keeper::open(call, &closure, names, Some(&points))?;
    let orders: Vec<Order> = points.iter().cloned().enumerate().map(|(index, point)| Order { index, point }).collect();
    let orders: Vec<Order> = orders.into_iter().filter(|order| !keeper.has(order.index)).collect();
    let (task, title) = (session.task().clone(), keeper.title.clone());
    let stage = task.stage(&title, orders.len());
    match keeper.elsewhere() {
        Some((plan, folder)) if !orders.is_empty() => {
            job::write(call, &closure, &folder)?;
            share_out(&session, &plan, &folder, orders, |news| match news {
                News::Print(text) => call.call_native_fn::<()>("print", (text,)),
                News::Tell(text) => {
                    session.tell(&text);
                    Ok(())
                }
                News::Done(record) => {
                    keeper.add(&session, record)?;
                    // where the user has asked to stop, the next look at it ends the sweep
                    let _ = stage.advance(1);
                    Ok(())
                }
            })?;
            keeper.record_done_elsewhere(&session);
        }
        _ => {
            for Order { index, point } in orders {
                let record = evaluate(call, &closure, index, point)?;
                keeper.add(&session, record)?;
                let _ = stage.advance(1);
            }
        }
    }
    drop(stage);
    keeper.finish(&session)
}

/// Has all `orders` done by other processes, here or in a cluster, and tells `take` of what they say.
fn share_out(
    session: &Session,
    plan: &Plan,
    folder: &Path,
    orders: Vec<Order>,
    take: impl FnMut(News) -> ScriptResult<()>,
) -> ScriptResult<()> {
    let stopped = || session.stopped().is_some();
    let result = match &plan.executor {
        Executor::Slurm(slurm) => {
            let folder = std::path::absolute(folder).map_err(fault)?;
            let (command, resume) = (&plan.command, plan.resume);
            sweep::work_in_cluster(
                orders,
                &Cluster { slurm, folder: &folder, command, resume, stopped: &stopped },
                take,
            )
        }
        Executor::Workers(count) => {
            let threads = (session.threads() / count).max(1);
            let start = || keeper::start_worker(plan, folder, threads);
            sweep::work(orders, &Workers { count: *count, start: &start, stopped: &stopped }, take)
        }
        Executor::Own => return Ok(()),
    };
    result.map_err(|error| in_script(session, error))
}

fn in_script(session: &Session, error: WorkError<Box<EvalAltResult>>) -> Box<EvalAltResult> {
    match error {
        WorkError::Other(error) => error,
        WorkError::Stopped => session.check().err().unwrap_or_else(|| fault("the sweep was stopped")),
        other => fault(format!("the sweep cannot go on: {other}")),
    }
}

/// The best of all points that [`minimize`] has looked at, and their table.
pub struct Minimum {
    pub best: Point,
    pub value: f64,
    pub table: Table,
}

/// Looks for the point at which `closure` gives the smallest number.
///
/// # Errors
/// As [`run`], and if no point has a number.
pub fn minimize(
    call: &NativeCallContext,
    bounds: &[(String, (f64, f64))],
    options: &Minimize,
    closure: &FnPtr,
) -> ScriptResult<Minimum> {
    let session = Session::of(call);
    Minimize::check_bounds(bounds.iter().map(|(name, bounds)| (name, *bounds))).map_err(fault)?;
    let closure = detached(call, closure)?;
    let names: Vec<String> = bounds.iter().map(|(name, _)| name.clone()).collect();
    let mut keeper = Keeper::open(call, &closure, names.clone(), None)?;
    let (task, title) = (session.task().clone(), keeper.title.clone());
    let stage = task.stage(&title, options.evaluations);
    let point_at =
        |place: &[f64]| -> Point { names.iter().cloned().zip(place.iter().map(|x| Value::from(*x))).collect() };
    let ranges: Vec<(f64, f64)> = bounds.iter().map(|(_, bounds)| *bounds).collect();
    let mut index = 0;
    let found: ScriptResult<_> = sweep::minimize(&ranges, options, |place| {
        let point = point_at(place);
        if !keeper.has_at(index, &point) {
            let record = evaluate(call, &closure, index, point)?;
            keeper.add(&session, record)?;
        }
        let value = keeper.number(index)?;
        index += 1;
        let _ = stage.advance(1);
        Ok(value)
    });
    drop(stage);
    let found = found?;
    let table = keeper.finish(&session)?;
    let Best { place, value } = found.ok_or_else(|| fault("no point of the search has a number"))?;
    Ok(Minimum { best: point_at(&place), value, table })
}

/// Calls a detached `closure` for one point.
///
/// # Errors
/// If the run is stopped; what the closure throws is the outcome of the point.
fn evaluate(call: &NativeCallContext, closure: &FnPtr, index: usize, point: Point) -> ScriptResult<Record> {
    let session = Session::of(call);
    let (before, start) = (session.calls(), Instant::now());
    let parameters: Map = point.iter().map(|(name, value)| (name.into(), from_cell(value))).collect();
    // what a point inside another reads is the other's
    let is_inside = session.sweeps().in_point();
    if !is_inside {
        session.reads().begin_point();
    }
    session.sweeps().depth += 1;
    // each call works on a copy of what a detached closure has
    let result = closure.call_within_context::<Dynamic>(call, (parameters,));
    session.sweeps().depth -= 1;
    let files = if is_inside { BTreeMap::new() } else { session.reads().end_point() };
    session.check()?;
    let outcome = result.and_then(|value| results(value, &point)).map_or_else(
        |error| {
            let diagnostic = Diagnostic::new(*error, &session.script().path, &session.sources());
            Outcome::Failed(diagnostic.line())
        },
        Outcome::Values,
    );
    let calls = calls_since(&before, &session.calls());
    let calls = if calls.is_empty() { Value::Null } else { serde_json::json!(calls) };
    Ok(Record { index, point, outcome, seconds: start.elapsed().as_secs_f64(), files, calls })
}

/// What a closure gave, as the cells of a row.
fn results(value: Dynamic, point: &Point) -> ScriptResult<Point> {
    let value = value.flatten();
    if value.is_unit() {
        return Ok(Point::new());
    }
    let Ok(map) = value.as_map_ref() else {
        return Ok(Point::from_iter([(VALUE.to_owned(), cell(VALUE, &value)?)]));
    };
    let mut cells = Point::new();
    for (name, value) in map.iter() {
        let cell = cell(name, value)?;
        match point.get(name.as_str()) {
            _ if name == ERROR => {
                return Err(fault(format!(
                    "a result cannot be called {ERROR}: that column says why a point has failed"
                )));
            }
            Some(parameter) if *parameter != cell => {
                return Err(fault(format!("the result {name} has the name of a parameter; give it another")));
            }
            Some(_) => {}
            None => drop(cells.insert(name.to_string(), cell)),
        }
    }
    Ok(cells)
}

/// One value; a number that is not finite says that nothing is known.
fn cell(name: &str, value: &Dynamic) -> ScriptResult<Value> {
    if value.as_float().is_ok_and(|number| !number.is_finite()) {
        return Ok(Value::Null);
    }
    let wrong = |_| {
        let found = describe(value);
        fault(format!("the result {name} of a point is a number, a string, true, false or (), not {found}"))
    };
    to_cell(value).map_err(wrong)
}

/// Has the session know what kernels were called with, and which files read, in a point that was done elsewhere, or before.
fn take_over(session: &Session, record: &Record) {
    let calls: Vec<KernelCall> = serde_json::from_value(record.calls.clone()).unwrap_or_default();
    calls.into_iter().for_each(|call| session.record_call(call));
    session.reads().add(&record.files);
}
