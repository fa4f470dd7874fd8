//! The point with the smallest value, without derivatives.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::Error;

/// Options of [`minimize`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Minimize {
    /// How often the function may be called. Default: 100.
    pub evaluations: usize,
    /// Steps below this share of a parameter's range end the search. Default: 0.001.
    pub tolerance: f64,
    /// First step, as a share of each parameter's range. Default: 0.25.
    pub step: f64,
}

impl Default for Minimize {
    fn default() -> Self {
        Self { evaluations: 100, tolerance: 1e-3, step: 0.25 }
    }
}

/// Where a function is smallest, of all places where it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    pub place: Vec<f64>,
    pub value: f64,
}

/// Looks for the smallest value of `function` within `bounds`, from their middle.
///
/// COBYLA: linear interpolation of the function on a simplex that shrinks (Powell 1994, in *Advances in Optimization and Numerical Analysis*, 51–67), each parameter scaled to
/// its range; begun again from the best place until that stays.
/// It suits functions that change by similar amounts over each range: where one parameter matters 20 times as much as another it is slow to find the other. `function` gives `None` where it has no value, which counts as a very large one; an error ends the search.
///
/// # Errors
/// What `function` fails with.
///
/// # Panics
/// If there are no bounds: see [`Minimize::check_bounds`].
pub fn minimize<E>(
    bounds: &[(f64, f64)],
    options: &Minimize,
    function: impl FnMut(&[f64]) -> Result<Option<f64>, E>,
) -> Result<Option<Best>, E> {
    /// Larger than any value that means something, and finite, as linear interpolation asks.
    const NOWHERE: f64 = 1e30;
    /// Share of its first step with which the search begins again.
    const RESTART: f64 = 0.5;
    struct Search<F, E> {
        function: F,
        calls: usize,
        best: Option<Best>,
        error: Option<E>,
    }
    let search = RefCell::new(Search { function, calls: 0, best: None, error: None });
    let place_of = |unit: &[f64]| -> Vec<f64> {
        unit.iter().zip(bounds).map(|(x, (low, high))| (low + (high - low) * x).clamp(*low, *high)).collect()
    };
    let objective = &|unit: &[f64], _: &mut ()| {
        let mut search = search.borrow_mut();
        if search.error.is_some() || search.calls >= options.evaluations {
            return NOWHERE;
        }
        search.calls += 1;
        let place = place_of(unit);
        match (search.function)(&place) {
            Ok(value) => {
                let value = value.filter(|value| value.is_finite());
                if let Some(value) = value.filter(|value| search.best.as_ref().is_none_or(|best| *value < best.value)) {
                    search.best = Some(Best { place, value });
                }
                value.unwrap_or(NOWHERE).min(NOWHERE)
            }
            Err(error) => {
                search.error = Some(error);
                NOWHERE
            }
        }
    };
    let mut start = vec![0.5; bounds.len()];
    let mut step = options.step;
    loop {
        let calls = search.borrow().calls;
        let stop = cobyla::StopTols { xtol_abs: vec![options.tolerance; bounds.len()], ..Default::default() };
        // how it ended does not matter: the best of all places is known
        let _ = cobyla::minimize(
            objective,
            &start,
            &vec![(0.0, 1.0); bounds.len()],
            &[] as &[fn(&[f64], &mut ()) -> f64],
            (),
            options.evaluations - calls,
            cobyla::RhoBeg::All(step),
            Some(stop),
        );
        let search = search.borrow();
        let Some(best) = &search.best else { break };
        let unit: Vec<f64> = best.place.iter().zip(bounds).map(|(x, (low, high))| (x - low) / (high - low)).collect();
        let moved = unit.iter().zip(&start).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if search.error.is_some() || search.calls >= options.evaluations || moved < options.tolerance {
            break;
        }
        // In a narrow valley the simplex shrinks before it is at the bottom: again from there.
        (start, step) = (unit, (RESTART * step).max(options.tolerance));
    }
    let Search { best, error, .. } = search.into_inner();
    error.map_or(Ok(best), Err)
}

impl Minimize {
    /// Fails if nothing can be looked for between the bounds.
    pub fn check_bounds<'a>(bounds: impl Iterator<Item = (&'a String, (f64, f64))>) -> Result<(), Error> {
        let mut any = false;
        for (name, (low, high)) in bounds {
            if !(low < high && low.is_finite() && high.is_finite()) {
                return Err(Error::Bounds { name: name.clone(), low, high });
            }
            any = true;
        }
        if any { Ok(()) } else { Err(Error::NoParameters) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilted_bowl_is_searched_to_its_bottom_and_to_its_rim() {
        let bowl =
            |x: &[f64]| (x[0] - 30.0).powi(2) / 1000.0 + (x[1] - 0.3).powi(2) + 0.01 * (x[0] - 30.0) * (x[1] - 0.3);
        let search = |bounds: [(f64, f64); 2]| {
            let mut calls = 0;
            let best = minimize(&bounds, &Minimize::default(), |x| {
                assert!(x.iter().zip(bounds).all(|(x, (low, high))| (low..=high).contains(x)), "{x:?}");
                calls += 1;
                Ok::<_, ()>(Some(bowl(x)))
            });
            (best.unwrap().unwrap(), calls)
        };
        let (inside, calls) = search([(-100.0, 100.0), (0.0, 1.0)]);
        assert!((inside.place[0] - 30.0).abs() < 0.5 && (inside.place[1] - 0.3).abs() < 0.02, "{inside:?}");
        assert!(calls <= 100);
        let (rim, _) = search([(-100.0, 20.0), (0.0, 1.0)]);
        assert!((rim.place[0] - 20.0).abs() < 0.5, "{rim:?}");
    }

    #[test]
    fn errors_end_the_search_and_places_without_value_do_not() {
        let mut calls = 0;
        let failed = minimize(&[(0.0, 1.0)], &Minimize::default(), |_| {
            calls += 1;
            if calls == 3 { Err("stop") } else { Ok(Some(f64::from(calls))) }
        });
        assert_eq!((failed, calls), (Err("stop"), 3));
        let half = minimize(&[(0.0, 1.0)], &Minimize::default(), |x| Ok::<_, ()>((x[0] > 0.2).then(|| x[0])));
        assert!((half.unwrap().unwrap().place[0] - 0.2).abs() < 0.05);
        assert_eq!(minimize(&[(0.0, 1.0)], &Minimize::default(), |_| Ok::<_, ()>(None)), Ok(None));
    }
}
