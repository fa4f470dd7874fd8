//! `sweep::` many runs.

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::script::diagnostic::a;
use crate::script::table::{from_cell, to_cell};
use crate::script::{ScriptResult, fault, options};
use crate::sweep::{Draw, Point};

/// Many runs: every combination of some parameters, random ones, a list, or a search for the best.
///
/// `pedesis run script.rhai --workers 8` shares the points out to processes, `--executor slurm` to a cluster; `--resume` goes on with a sweep that was killed.
#[export_module(manifest)]
pub mod api {
    use rhai::FnPtr;

    use crate::script::{Table, sweep};
    use crate::sweep::Minimize;

    /// Calls a closure for every combination of the given values: a table with a row for each.
    ///
    /// * `parameters`: a map from the name of each parameter to an array of its values (numbers, strings, true, false), or a range of whole numbers;
    /// * `closure`: `|p| …`, of a map with one value for each parameter.
    ///
    /// The columns are the parameters, then the entries of the map that the closure gives: numbers, strings, true, false, or `()`, an empty cell. A
    /// single value is the column `value`; a number that is not finite becomes an empty cell.
    ///
    /// The order never changes: parameters are sorted by name, the last varies fastest, values keep their order. An empty array of values is an error, and so are
    /// more than a million combinations.
    ///
    /// Each point sees what the closure uses as it was when the sweep began: what it does to variables around it is lost. A point in which the closure
    /// throws has a row with the reason in the column `error`; the others go on, a message says so, and the exit status of the run is 1. Where all points fail the sweep fails.
    ///
    /// `pedesis run` keeps what each point gave in the folder SCRIPT.sweep-1 (2, …) within `out`, or the current directory, until the script has ended well. After a kill
    /// `--resume` does the points that are left, those that failed, and those that have read a file which has changed since. With `--workers N` the points are done in N processes, which share the threads; the
    /// table is the same. Prints come in the order in which they happen. What the closure uses must be such as `checkpoint` keeps. A worker that dies
    /// loses its point alone; after three deaths that has failed. `pedesis info FOLDER` says how far a sweep is.
    ///
    /// With `--executor slurm` they are done by a SLURM job array, N tasks at a time (default 25), each with `--threads` CPUs (default 1); what else `sbatch` is to know is said
    /// as `--sbatch=--partition=long`, `--sbatch=--time=2:00:00`, …. Program, script and folder are on a file system that all computers share. The table is the same. The run waits for it: Ctrl-C
    /// cancels the job, and a run that dies otherwise leaves it at work, for `--resume` to find.
    ///
    /// Without a closure: the combinations, as an array of maps.
    ///
    /// ```rhai
    /// let t = sweep::grid(#{ low_pass: [1.0, 1.5], seed: 0..5 }, |p| #{ rmsd_pm: 2 * p.low_pass + 0.1 * p.seed });
    /// print(t.group("low_pass"));
    /// for p in sweep::grid(#{ low_pass: [1.0, 1.2], seed: [1, 2] }) {
    ///     print(`low_pass ${p.low_pass}, seed ${p.seed}`);
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn grid(call: NativeCallContext, parameters: Map, closure: FnPtr) -> ScriptResult<Table> {
        sweep::run(&call, super::combinations(&parameters)?, &closure)
    }

    #[rhai_fn(name = "grid", return_raw)]
    pub fn grid_alone(parameters: Map) -> ScriptResult<Array> {
        Ok(super::combinations(&parameters)?.iter().map(|point| super::map(point).into()).collect())
    }

    /// Calls a closure for points drawn at random: a table with a row for each.
    ///
    /// * `parameters`: a map from the name of each parameter to `[low, high]`, numbers between two bounds, or to a range, `1..10`, of whole numbers;
    /// * `count`: of points; the first ones are the same for any count;
    /// * options: `seed` (default 1);
    /// * `closure`: as in `sweep::grid`, and the same is true of the table and of `--workers` and `--resume`.
    ///
    /// ```rhai
    /// let t = sweep::random(#{ low_pass: [1.0, 2.0], starts: 1..4 }, 5, #{ seed: 3 }, |p| #{ cost: p.starts / p.low_pass });
    /// print(t.sort("cost"));
    /// print(sweep::random(#{ x: [0, 1] }, 3, |p| p.x ** 2));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn random(
        call: NativeCallContext,
        parameters: Map,
        count: i64,
        options: Map,
        closure: FnPtr,
    ) -> ScriptResult<Table> {
        let super::Seed { seed } = options::parse(&call, &options)?;
        let count =
            usize::try_from(count).map_err(|_| fault(format!("a count of points is not negative, as {count} is")))?;
        let points = crate::sweep::random(&super::draws(&parameters)?, count, seed).map_err(fault)?;
        sweep::run(&call, points, &closure)
    }

    #[rhai_fn(name = "random", return_raw)]
    pub fn random_default(call: NativeCallContext, parameters: Map, count: i64, closure: FnPtr) -> ScriptResult<Table> {
        random(call, parameters, count, Map::new(), closure)
    }

    /// Calls a closure for each of some points: a table with a row for each.
    ///
    /// * `points`: an array of maps with the same names (numbers, strings, true, false);
    /// * `closure`: as in `sweep::grid`, and the same is true of the table and of `--workers` and `--resume`.
    ///
    /// ```rhai
    /// let t = sweep::list([#{ pair: "Fe, Pt", snr: 0.5 }, #{ pair: "Pb, Se", snr: 0.1 }], |p| #{ length: p.pair.len() });
    /// print(t);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(call: NativeCallContext, points: Array, closure: FnPtr) -> ScriptResult<Table> {
        sweep::run(&call, super::listed(&points)?, &closure)
    }

    /// Looks for the parameters at which a closure gives the smallest number.
    ///
    /// * `bounds`: a map from the name of each parameter to `[low, high]`; the search begins in the middle;
    /// * options: `evaluations` (default 100), how many at most; `tolerance` (default 0.001), steps below this share of a parameter's range end it;
    ///   `step` (default 0.25), share of the range that the first steps take;
    /// * `closure`: `|p| …`, gives a number, or a map with the number `value`.
    ///
    /// Gives a map: `best`, the parameters; `value`; `table` of all evaluations. COBYLA (Powell 1994): a few continuous parameters, no derivatives; let the
    /// bounds be such that the value changes by similar amounts over each. A point in
    /// which the closure throws, or gives `()`, counts as a very bad one. One point follows from the last, so that workers have nothing to share; `--resume` works as in `sweep::grid`.
    ///
    /// ```rhai
    /// let found = sweep::minimize(#{ defocus: [-100, 100], c3: [-1, 1] }, |p| (p.defocus - 60) ** 2 / 1000 + (p.c3 - 0.2) ** 2);
    /// print(found.best.defocus);
    /// print(found.table.sort("value").row(0));
    /// print(sweep::minimize(#{ x: [0, 2] }, #{ evaluations: 20 }, |p| (p.x - 0.5) ** 2).best.x);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn minimize(call: NativeCallContext, bounds: Map, options: Map, closure: FnPtr) -> ScriptResult<Map> {
        let options: Minimize = options::parse(&call, &options)?;
        let bounds = super::bounds(&bounds)?;
        let found = sweep::minimize(&call, &bounds, &options, &closure)?;
        Ok(Map::from([
            ("best".into(), super::map(&found.best).into()),
            ("value".into(), found.value.into()),
            ("table".into(), Dynamic::from(found.table)),
        ]))
    }

    #[rhai_fn(name = "minimize", return_raw)]
    pub fn minimize_default(call: NativeCallContext, bounds: Map, closure: FnPtr) -> ScriptResult<Map> {
        minimize(call, bounds, Map::new(), closure)
    }
}

/// Options of `sweep::random`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    pub seed: u64,
}

impl Default for Seed {
    fn default() -> Self {
        Self { seed: 1 }
    }
}

/// A point as a script sees it.
fn map(point: &Point) -> Map {
    point.iter().map(|(name, value)| (name.into(), from_cell(value))).collect()
}

/// The whole numbers of a range, from the first to the last.
fn range(value: &Dynamic) -> Option<(i64, i64)> {
    let exclusive = value.read_lock::<std::ops::Range<i64>>().map(|range| (range.start, range.end.saturating_sub(1)));
    exclusive.or_else(|| value.read_lock::<std::ops::RangeInclusive<i64>>().map(|range| (*range.start(), *range.end())))
}

fn combinations(parameters: &Map) -> ScriptResult<Vec<Point>> {
    let parameters = parameters
        .iter()
        .map(|(name, values)| {
            if let Some((first, last)) = range(values) {
                if last.saturating_sub(first) >= crate::sweep::MAX_COMBINATIONS as i64 {
                    return Err(fault(crate::sweep::Error::TooMany));
                }
                return Ok((name.to_string(), (first..=last).map(Value::from).collect()));
            }
            let wrong =
                |kind| fault(format!("parameter {name:?} needs an array of values or a range, not {}", a(kind)));
            let values = values.as_array_ref().map_err(wrong)?;
            let values = values.iter().map(|value| parameter(name, value)).collect::<ScriptResult<Vec<_>>>()?;
            Ok((name.to_string(), values))
        })
        .collect::<ScriptResult<Vec<_>>>()?;
    let combinations = crate::sweep::grid(&parameters).map_err(fault)?;
    Ok(combinations.into_iter().map(|run| run.into_iter().collect()).collect())
}

fn parameter(name: &str, value: &Dynamic) -> ScriptResult<Value> {
    let wrong = |problem| fault(format!("parameter {name:?} takes numbers, strings, true and false: {problem}"));
    to_cell(value).map_err(wrong)
}

fn listed(points: &Array) -> ScriptResult<Vec<Point>> {
    let mut listed: Vec<Point> = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let wrong = |kind| fault(format!("point {i} is a map of parameters, not {}", a(kind)));
        let map = point.as_map_ref().map_err(wrong)?;
        let cells = map.iter().map(|(name, value)| Ok((name.to_string(), parameter(name, value)?)));
        let point = cells.collect::<ScriptResult<Point>>()?;
        if listed.first().is_some_and(|first| !first.keys().eq(point.keys())) {
            return Err(fault(format!("point {i} has other parameters than point 0; give each the same names")));
        }
        listed.push(point);
    }
    Ok(listed)
}

/// Two numbers, low and high.
fn bounds_of(name: &str, value: &Dynamic) -> ScriptResult<(f64, f64)> {
    let numbers = value.as_array_ref().ok().and_then(|ends| options::numbers(&ends, name).ok());
    match numbers.as_deref() {
        Some(&[low, high]) => Ok((low, high)),
        _ => Err(fault(format!("parameter {name:?} needs its bounds, [low, high], not {}", options::describe(value)))),
    }
}

fn bounds(parameters: &Map) -> ScriptResult<Vec<(String, (f64, f64))>> {
    parameters.iter().map(|(name, value)| Ok((name.to_string(), bounds_of(name, value)?))).collect()
}

fn draws(parameters: &Map) -> ScriptResult<Vec<(String, Draw)>> {
    let draw = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let draw = match range(value) {
            Some((first, last)) => Draw::Whole(first, last),
            None => bounds_of(name, value).map(|(low, high)| Draw::Between(low, high))?,
        };
        Ok((name.to_string(), draw))
    };
    parameters.iter().map(draw).collect()
}
