//! What half maps say of each atom: noise and wrong poses make two halves of the images differ, atoms do not.

use std::sync::Arc;

use rayon::prelude::*;

use super::candidates::{Candidate, Grid, REACH, Surroundings};
use super::peaks::Maximum;
use super::profile::Spectrum;
use super::{Error, HalfMaps, Model, Peak, TraceOptions};
use crate::task::Task;
use crate::volume::Volume;

/// Atoms of a density with what two maps of half the images each say of them: each atom is fitted in both as in the density, all others subtracted.
///
/// `options` are those that `model` was traced with in `volume`.
///
/// # Errors
/// If a half has another size than the density, or holds values that are no numbers.
pub fn with_halves(
    model: Model,
    volume: &Volume,
    halves: [&Volume; 2],
    options: &TraceOptions,
    task: &Task,
) -> Result<Model, Error> {
    for half in halves {
        let (size, voxel) = (volume.size(), volume.pixel_size());
        if half.size() != size || (half.pixel_size() - voxel).abs() > 1e-6 * voxel {
            return Err(Error::OtherHalf { half: half.size(), half_voxel: half.pixel_size(), size, voxel });
        }
        if half.data().iter().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite);
        }
    }
    let stage = task.stage("compare half maps", halves.len());
    let mut found = Vec::with_capacity(halves.len());
    for half in halves {
        found.push(in_half(&model, half, options));
        stage.advance(1)?;
    }
    let mut model = model;
    let [one, two] = [&found[0], &found[1]];
    let means = [one, two].map(|half| half.iter().map(|(_, intensity)| intensity).sum::<f64>() / half.len() as f64);
    for (i, atom) in Arc::make_mut(&mut model.0).atoms.iter_mut().enumerate() {
        let [first, second] = [one[i].1 / means[0], two[i].1 / means[1]].map(|intensity| intensity.max(0.0));
        let shift = one[i].0.zip(two[i].0).map_or(REACH, |(a, b)| (a.position - b.position).norm().min(REACH));
        let difference = (first - second).abs() / (0.5 * (first + second)).max(f64::MIN_POSITIVE);
        atom.peak.halves = Some(HalfMaps { shift, difference: difference.min(2.0) });
    }
    Ok(model)
}

/// Each atom's peak in one half, if there is one, and its intensity.
fn in_half(model: &Model, half: &Volume, options: &TraceOptions) -> Vec<(Option<Peak>, f64)> {
    let spectrum = Spectrum::of(half);
    let grid = Grid::new(half.pixel_size(), spectrum.size(), options.voxel);
    let maximum = |peak: &Peak| Maximum { position: peak.position.coords, height: peak.intensity };
    let mut candidates: Vec<Candidate> =
        model.atoms().iter().map(|atom| Candidate::new(&maximum(&atom.peak))).collect();
    let surroundings = Surroundings::new(&spectrum, &grid, &mut candidates, 0.0, options.fit_radius);
    candidates
        .par_iter()
        .map(|candidate| match surroundings.refit(candidate) {
            Some(fitted) => (Some(fitted.peak()), fitted.intensity),
            None => (None, surroundings.intensity(candidate)),
        })
        .collect()
}
