//! Whether the uncertainties of refined atoms are true: their errors in units of them.

use super::{CompareOptions, Error, Model, compare};
use crate::structure::Structure;
use crate::task::Task;

/// Coordinates that laying one structure on another uses up: three of the rotation, three of the shift.
const MOTION: f64 = 6.0;

/// (found − true)/σ along x, y and z of the truth's frame for every pair of atoms, after the best rigid motion: three numbers a pair, in the order of
/// the truth's atoms. With right uncertainties they are normally distributed with a standard deviation of 1.
///
/// The motion itself is fitted to the N pairs and takes 6 of their 3N coordinates, for which every number is multiplied by √(3N/(3N − 6)).
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
    let coordinates = 3.0 * comparison.found as f64;
    if coordinates <= MOTION {
        return Err(Error::TooFewPairs(comparison.found));
    }
    let freedom = (coordinates / (coordinates - MOTION)).sqrt();
    let of_pair = |pair: &super::Pair| {
        let found = comparison.to_reference(&model.atoms()[pair.found].peak.position);
        let error = found - truth.atoms()[pair.truth].position;
        let pull = error * (freedom / sigmas[pair.found]);
        [pull.x, pull.y, pull.z]
    };
    Ok(comparison.pairs.iter().flat_map(of_pair).collect())
}
