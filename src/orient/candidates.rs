//! Several poses an image that a density explains well, far apart from each other.
//!
//! The lattice of a particle makes quite different directions look nearly alike, so that at the coarse limit of a global search, shifts not yet
//! refined, the right pose is often not the best but among the best. Which it is shows after refinement.

use nalgebra::{UnitQuaternion, Vector2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::best::{Match, peaks};
use super::correlate::Correlator;
use super::expansion::{Expansion, TILE};
use super::pixels::PixelBasis;
use super::rings::Rings;
use super::search::{check_count, check_not_negative, direction_count, expanded_at, in_plane, mirror, shift_grid};
use super::{Error, directions};
use crate::images::Particles;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::task::Task;
use crate::volume::{Spectrum, Volume};

/// Options of [`candidates`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CandidateOptions {
    /// Resolution to which images and density are compared \[Å\]; default 2.2.
    pub low_pass: f64,
    /// Directions on half the sphere; 0 (default) puts them half the limit apart at the particle's rim.
    pub directions: usize,
    /// Poses an image; default 8.
    pub count: usize,
    /// Least angle between two poses of an image \[°\]; default 8.
    pub apart: f64,
    /// Largest shift tried \[Å\]; default 0: images are taken as centred.
    pub max_shift: f64,
    /// Distance between the shifts tried \[Å\]; default 0.5.
    pub shift_step: f64,
}

impl Default for CandidateOptions {
    fn default() -> Self {
        Self { low_pass: 2.2, directions: 0, count: 8, apart: 8.0, max_shift: 0.0, shift_step: 0.5 }
    }
}

/// Matches of an image that are looked through for distinct ones, an asked pose.
const KEPT: usize = 32;

/// The best poses of every image that are `apart` from each other, best first: element r holds every image's pose of rank r.
///
/// Where an image has fewer distinct ones the last is repeated.
///
/// # Errors
/// If the limit is finer than particles or density carry, or an option makes no sense.
pub fn candidates(
    particles: &Particles,
    density: &Volume,
    options: &CandidateOptions,
    task: &Task,
) -> Result<Vec<Poses>, Error> {
    particles.check_limit(options.low_pass)?;
    density.check_limit(options.low_pass)?;
    check_count("count", options.count, 1000, "from 1 to 1000")?;
    let shifts = shift_grid(particles, options.max_shift, options.shift_step)?;
    check_not_negative("apart", options.apart)?;
    let rings = Rings::new(particles, options.low_pass);
    let count = direction_count(particles, options.directions, options.low_pass)?;
    let kept = KEPT * options.count;
    let matches = particles.len() * (2 * kept + 2 * TILE) * size_of::<(Match, usize)>();
    let needed = Expansion::bytes(&rings, particles.len() + count) + matches;
    memory::require(needed as f64, "the coefficients of this search")?;
    let rotations = directions(count);
    let matrices: Vec<_> = rotations.iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
    let references = Expansion::of_slices(&rings, &Spectrum::new(density, rings.finest()), &matrices, task)?;
    let basis = PixelBasis::new(&rings, particles);
    let stage = task.stage("search candidates", particles.len() * shifts.len());
    // the best matches of each image with the index of their shift
    let mut found: Vec<Vec<(Match, usize)>> = vec![Vec::new(); particles.len()];
    for (index, shift) in shifts.iter().enumerate() {
        let images = expanded_at(&basis, particles, shift, task)?;
        let correlator = Correlator::new(&rings, &images, &references);
        let half_norms = correlator.half_norms();
        found.par_chunks_mut(TILE).enumerate().try_for_each_init(
            || correlator.workspace(),
            |work, (tile, found)| {
                for block in 0..references.tiles() {
                    stage.task().check()?;
                    correlator.tile(tile, block, work, |image, reference, line| {
                        let matches = peaks(line, reference, half_norms[reference]);
                        found[image % TILE].extend(matches.map(|found| (found, index)));
                    });
                    // memory stays the same for any number of directions
                    for matches in found.iter_mut().filter(|matches| matches.len() > 2 * kept) {
                        keep_best(matches, kept);
                    }
                }
                found.iter_mut().for_each(|matches| keep_best(matches, kept));
                stage.advance(found.len())
            },
        )?;
    }
    let ranked: Vec<Vec<(Pose, f64)>> =
        found.into_par_iter().map(|matches| distinct(&matches, &rotations, &shifts, rings.angles, options)).collect();
    let rank = |rank: usize| {
        let of_image = ranked.iter().map(|poses| poses[rank.min(poses.len() - 1)]);
        let (poses, scores) = of_image.unzip();
        Poses::new(poses, scores)
    };
    Ok((0..options.count).map(rank).collect())
}

/// Sorts matches, best first, and keeps `count` of them.
fn keep_best(matches: &mut Vec<(Match, usize)>, count: usize) {
    let better = |a: &(Match, usize), b: &(Match, usize)| b.0.score.total_cmp(&a.0.score);
    if matches.len() > count {
        matches.select_nth_unstable_by(count - 1, better);
        matches.truncate(count);
    }
    matches.sort_by(better);
}

/// The best poses among sorted matches of which no two are nearer than asked.
fn distinct(
    matches: &[(Match, usize)],
    rotations: &[UnitQuaternion<f64>],
    shifts: &[Vector2<f64>],
    angles: usize,
    options: &CandidateOptions,
) -> Vec<(Pose, f64)> {
    let mut chosen: Vec<(Pose, f64)> = Vec::new();
    for (found, shift) in matches {
        let turn = in_plane(found.angle, angles) * mirror(found.mirrored);
        let pose = Pose { rotation: turn * rotations[found.reference], shift: shifts[*shift] };
        let near = |(other, _): &(Pose, f64)| other.rotation.angle_to(&pose.rotation).to_degrees() < options.apart;
        if !chosen.iter().any(near) {
            chosen.push((pose, f64::from(found.score)));
        }
        if chosen.len() == options.count {
            break;
        }
    }
    chosen
}
