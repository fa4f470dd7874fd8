//! Whether the uncertainties of refined atoms are true: their errors in units of them.

use super::{CompareOptions, Error, Model, compare};
use crate::structure::Structure;
use crate::task::Task;

/// Pairs without which no motion lays one particle on the other.
const FEWEST_PAIRS: usize = 3;

/// (found − true)/σ along x, y and z of the truth's frame for every pair of atoms, after the best rigid motion: three numbers a pair, in the order of
/// the truth's atoms. With right uncertainties they are normally distributed with a standard deviation of 1.
///
/// Motions of the whole particle, which the comparison takes off the errors, are not in the uncertainties of a refinement either: 6 of the 3N coordinates are
/// missing from both, and nothing has to be made up for.
///
/// # Errors
/// If an atom has no uncertainty, or fewer than three are paired.
pub fn pulls(model: &Model, truth: &Structure, task: &Task) -> Result<Vec<f64>, Error> {
    let known = |sigma: &f64| sigma.is_finite() && *sigma > 0.0;
    let sigmas: Vec<f64> = model.atoms().iter().filter_map(|atom| atom.peak.deviation.filter(known)).collect();
    if model.is_empty() || sigmas.len() < model.len() {
        return Err(Error::NoUncertainties { atoms: model.len(), without: model.len() - sigmas.len() });
    }
    let comparison = compare(&model.structure(), truth, &CompareOptions::default(), task)?;
    if comparison.found < FEWEST_PAIRS {
        return Err(Error::TooFewPairs(comparison.found));
    }
    let of_pair = |pair: &super::Pair| {
        let found = comparison.to_reference(&model.atoms()[pair.found].peak.position);
        let error = found - truth.atoms()[pair.truth].position;
        let pull = error / sigmas[pair.found];
        [pull.x, pull.y, pull.z]
    };
    Ok(comparison.pairs.iter().flat_map(of_pair).collect())
}
