//! Sweeps: one run for every point in a space of parameters.
//!
//! [`grid`] lists every combination of some values, [`random`] draws points, [`minimize`] looks for the point with the smallest value.
//! The order of points is fixed, so that point 17 of a sweep means the same today and tomorrow: in a grid the parameters are sorted by name, the last of
//! them varies fastest, and values keep the order they are given in.
//!
//! What is done with a point is decided elsewhere (a script's closure); here is what keeps a long sweep going. A [`Journal`] holds each point's
//! [`Record`] from the moment it is done, so that a sweep that was killed continues. [`work`] gives points to worker processes, and outlives
//! their death: a [`Record`] comes back for each point, whatever happens to the process that was at it. [`work_in_cluster`] does the same with job arrays of SLURM.

mod array;
mod array_folder;
mod journal;
mod lines;
mod minimize;
mod protocol;
mod slurm;
mod workers;

use rand::RngExt;
use serde_json::Value;

pub use array::{Cluster, work_in_cluster};
pub use array_folder::{Chunk, abandon};
pub use journal::{FILE as JOURNAL, Header, Journal, Kept, forget, info, is_journal};
pub use minimize::{Best, Minimize, minimize};
pub use protocol::{Order, Outcome, Record, Report, listen};
pub use slurm::{Job, Slurm, SlurmError};
pub use workers::{News, WorkError, Workers, work};

use crate::random::stream;

/// The parameters of one run: numbers, texts, true or false, by name.
pub type Point = serde_json::Map<String, Value>;

/// A point as messages show it: `low_pass 1.5, seed 2`.
pub fn describe(point: &Point) -> String {
    let entry = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!("{name} {text}"),
        None => format!("{name} {value}"),
    };
    point.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// Why points cannot be listed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("parameter {0:?} has no values; give it at least one")]
    NoValues(String),
    #[error("the grid has more than {} combinations; take fewer values", MAX_COMBINATIONS)]
    TooMany,
    #[error(
        "parameter {name:?} cannot be drawn from {low} to {high}: the first must be less than the second, and both finite"
    )]
    Bounds { name: String, low: f64, high: f64 },
    #[error("there is no parameter to vary")]
    NoParameters,
}

/// A larger grid is a mistake, and would only fill the memory.
pub const MAX_COMBINATIONS: usize = 1_000_000;

/// Every combination of the values of `parameters` (name, values), as lists of (name, value).
///
/// Parameters come sorted by name, the last varies fastest. No parameters give one empty combination.
///
/// # Errors
/// If a parameter has no values, or there are more than [`MAX_COMBINATIONS`].
pub fn grid<T: Clone>(parameters: &[(String, Vec<T>)]) -> Result<Vec<Vec<(String, T)>>, Error> {
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut combinations = vec![Vec::new()];
    for (name, values) in sorted {
        if values.is_empty() {
            return Err(Error::NoValues(name.clone()));
        }
        if combinations.len() * values.len() > MAX_COMBINATIONS {
            return Err(Error::TooMany);
        }
        combinations =
            combinations.iter().flat_map(|start| values.iter().map(|value| extended(start, name, value))).collect();
    }
    Ok(combinations)
}

fn extended<T: Clone>(start: &[(String, T)], name: &str, value: &T) -> Vec<(String, T)> {
    let mut combination = start.to_vec();
    combination.push((name.to_owned(), value.clone()));
    combination
}

/// What a parameter is drawn from, each value as likely as any other.
#[derive(Debug, Clone, PartialEq)]
pub enum Draw {
    /// Numbers between two bounds.
    Between(f64, f64),
    /// Whole numbers, both ends included.
    Whole(i64, i64),
}

/// Draws `count` points; the n-th is the same whatever the count.
///
/// # Errors
/// If the bounds of a parameter enclose nothing, or there are more than [`MAX_COMBINATIONS`].
pub fn random(parameters: &[(String, Draw)], count: usize, seed: u64) -> Result<Vec<Point>, Error> {
    if count > MAX_COMBINATIONS {
        return Err(Error::TooMany);
    }
    for (name, draw) in parameters {
        let (low, high, is_sound) = match *draw {
            Draw::Between(low, high) => (low, high, low < high && low.is_finite() && high.is_finite()),
            Draw::Whole(low, high) => (low as f64, high as f64, low <= high),
        };
        if !is_sound {
            return Err(Error::Bounds { name: name.clone(), low, high });
        }
    }
    let point = |index| {
        let mut rng = stream(seed, "sweep", index);
        let value = |draw: &Draw| -> Value {
            match *draw {
                Draw::Between(low, high) => (low + (high - low) * rng.random::<f64>()).into(),
                Draw::Whole(low, high) => rng.random_range(low..=high).into(),
            }
        };
        let values: Vec<Value> = parameters.iter().map(|(_, draw)| draw).map(value).collect();
        parameters.iter().map(|(name, _)| name.clone()).zip(values).collect()
    };
    Ok((0..count as u64).map(point).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_bounds_and_do_not_depend_on_their_number() {
        let parameters = [("low_pass".to_owned(), Draw::Between(1.0, 2.0)), ("starts".to_owned(), Draw::Whole(1, 3))];
        let points = random(&parameters, 300, 4).unwrap();
        let numbers = |name: &str| points.iter().map(|point| point[name].as_f64().unwrap()).collect::<Vec<_>>();
        assert!(numbers("low_pass").iter().all(|x| (1.0..2.0).contains(x)));
        let mean = numbers("low_pass").iter().sum::<f64>() / 300.0;
        // five standard deviations of the mean of a uniform draw
        assert!((mean - 1.5).abs() < 5.0 / (12.0f64 * 300.0).sqrt(), "{mean}");
        for whole in [1.0, 2.0, 3.0] {
            assert!((60..140).contains(&numbers("starts").iter().filter(|x| **x == whole).count()));
        }
        assert_eq!(random(&parameters, 7, 4).unwrap(), points[..7]);
        assert_ne!(random(&parameters, 7, 5).unwrap(), points[..7]);
        let reversed = [("x".to_owned(), Draw::Between(2.0, 1.0))];
        assert!(random(&reversed, 1, 1).unwrap_err().to_string().contains("\"x\" cannot be drawn from 2 to 1"));
    }

    fn parameters(list: &[(&str, &[i32])]) -> Vec<(String, Vec<i32>)> {
        list.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect()
    }

    #[test]
    fn the_last_parameter_by_name_varies_fastest() {
        let all = grid(&parameters(&[("seed", &[1, 2]), ("low_pass", &[10, 12, 14])])).unwrap();
        let values: Vec<(i32, i32)> = all.iter().map(|run| (run[0].1, run[1].1)).collect();
        assert_eq!(values, [(10, 1), (10, 2), (12, 1), (12, 2), (14, 1), (14, 2)]);
        assert!(all.iter().all(|run| run[0].0 == "low_pass" && run[1].0 == "seed"));
    }

    #[test]
    fn empty_and_endless_grids_are_refused() {
        assert_eq!(grid(&parameters(&[("seed", &[])])), Err(Error::NoValues("seed".into())));
        let many = vec![0; 2000];
        assert_eq!(grid(&parameters(&[("a", &many), ("b", &many)])), Err(Error::TooMany));
        assert_eq!(grid::<i32>(&[]).unwrap(), vec![Vec::new()]);
    }
}
