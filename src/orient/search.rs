//! Global search: every image against every direction, its mirror image and every in-plane angle of a known density.

use std::f64::consts::TAU;

use nalgebra::{UnitQuaternion, Vector2, Vector3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::correlate::{Correlator, TILE_IMAGES, TILE_REFERENCES, Workspace};
use super::rings::{Expansion, Rings};
use super::{Error, directions, recentred};
use crate::images::Particles;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::task::{Stage, Task};
use crate::volume::{Spectrum, Volume};

/// Options of [`search`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// Resolution to which images and density are compared \[Å\]; default 2.7.
    pub low_pass: f64,
    /// Directions on half the sphere, their mirror images come with them; 0 (default) puts them half the
    /// limit apart at the particle's rim.
    pub directions: usize,
    /// Largest shift tried \[Å\]; default 0: images are taken as centred.
    pub max_shift: f64,
    /// Distance between the shifts tried \[Å\]; default 0.5.
    pub shift_step: f64,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { low_pass: 2.7, directions: 0, max_shift: 0.0, shift_step: 0.5 }
    }
}

/// Distance of directions at the particle's rim, in units of the limit.
const SPACING: f64 = 0.5;
/// References held in memory at a time.
const BLOCK: usize = 2048;

/// The best match of one image so far.
#[derive(Debug, Clone, Copy)]
struct Match {
    score: f32,
    rotation: UnitQuaternion<f64>,
    shift: Vector2<f64>,
}

/// The best pose of every particle over all directions, in-plane angles and shifts.
///
/// Scores are log-likelihood gains over an empty image, ⟨F, R⟩ − ½‖R‖² in units of the noise.
///
/// # Errors
/// If the limit is finer than particles or density carry, or an option makes no sense.
pub fn search(particles: &Particles, density: &Volume, options: &SearchOptions, task: &Task) -> Result<Poses, Error> {
    particles.check_limit(options.low_pass)?;
    density.check_limit(options.low_pass)?;
    check_positive("shift_step", options.shift_step)?;
    check_not_negative("max_shift", options.max_shift)?;
    let rings = Rings::new(particles, options.low_pass, ring_step(particles));
    let count = match options.directions {
        0 => spaced_directions(particles.diameter(), SPACING * options.low_pass),
        given => given,
    };
    // images moved, expanded and weighted; one block of references
    let pixels = size_of::<f32>() * particles.data().len();
    let needed = pixels + 2 * Expansion::bytes(&rings, particles.len()) + Expansion::bytes(&rings, count.min(BLOCK));
    memory::require(needed as f64, "the coefficients of this search")?;
    let rotations = directions(count);
    let spectrum = Spectrum::new(density);
    let shifts = shift_grid(options.max_shift, options.shift_step);
    let nothing = Match { score: f32::MIN, rotation: UnitQuaternion::identity(), shift: Vector2::zeros() };
    let mut best = vec![nothing; particles.len()];
    let stage = task.stage("search", particles.len() * shifts.len() * count.div_ceil(BLOCK));
    for block in rotations.chunks(BLOCK) {
        let matrices: Vec<_> = block.iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
        let mut references = Some(Expansion::of_slices(&rings, &spectrum, &matrices));
        let mut correlator: Option<Correlator> = None;
        for shift in &shifts {
            let moved = recentred(particles, &vec![*shift; particles.len()]);
            let images = Expansion::of_particles(&rings, &moved);
            match &mut correlator {
                Some(correlator) => correlator.set_images(&images),
                None => {
                    correlator = references.take().map(|references| Correlator::new(&rings, &images, references));
                }
            }
            let correlator = correlator.as_ref().expect("made at the first shift");
            let found = best_matches(correlator, block, *shift, &stage)?;
            for (best, found) in best.iter_mut().zip(found) {
                if found.score > best.score {
                    *best = found;
                }
            }
        }
    }
    let poses = best.iter().map(|m| Pose { rotation: m.rotation, shift: m.shift }).collect();
    Ok(Poses::new(poses, best.iter().map(|m| f64::from(m.score)).collect()))
}

/// Distance between rings [1/Å]: as far apart as the mask's transform is smooth, never above the grid's own spacing.
pub(super) fn ring_step(particles: &Particles) -> f64 {
    if particles.edge() >= 4.0 * particles.mask_radius() { 1.0 / particles.edge() } else { 0.5 / particles.edge() }
}

/// Number of directions on half the sphere that lie about `distance` Å apart at the rim of a particle of `diameter` Å.
pub(super) fn spaced_directions(diameter: f64, distance: f64) -> usize {
    let angle = distance / (diameter / 2.0);
    (TAU / (angle * angle)).ceil().max(50.0) as usize
}

/// Shifts on a square grid within a disc, the centre first.
pub(super) fn shift_grid(max_shift: f64, step: f64) -> Vec<Vector2<f64>> {
    let reach = (max_shift / step + 1e-9) as i32;
    let mut shifts: Vec<Vector2<f64>> = (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| Vector2::new(f64::from(x), f64::from(y)) * step))
        .filter(|shift| shift.norm() <= max_shift + 1e-9)
        .collect();
    shifts.sort_by(|a, b| a.norm().total_cmp(&b.norm()));
    shifts
}

pub(super) fn check_positive(name: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(Error::Option { name, range: "positive", value }) }
}

pub(super) fn check_not_negative(name: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::Option { name, range: "zero or positive", value })
    }
}

/// Best direction, mirror image and angle of every image among the correlator's references.
fn best_matches(
    correlator: &Correlator,
    rotations: &[UnitQuaternion<f64>],
    shift: Vector2<f64>,
    stage: &Stage,
) -> Result<Vec<Match>, Error> {
    let half_norms = correlator.half_norms();
    let tiles: Vec<usize> = (0..correlator.images()).step_by(TILE_IMAGES).collect();
    let found: Vec<Vec<Match>> = tiles
        .par_iter()
        .map_init(
            || correlator.workspace(),
            |work, &first| -> Result<Vec<Match>, Error> {
                let images = first..(first + TILE_IMAGES).min(correlator.images());
                let best = best_of_tile(correlator, images.clone(), &half_norms, work);
                stage.advance(images.len())?;
                let finish = |best: Best| Match {
                    score: best.score,
                    rotation: in_plane(best.angle, correlator.rings().angles)
                        * mirror(best.mirrored)
                        * rotations[best.reference],
                    shift,
                };
                Ok(best.into_iter().map(finish).collect())
            },
        )
        .collect::<Result<_, _>>()?;
    Ok(found.concat())
}

#[derive(Clone, Copy)]
struct Best {
    score: f32,
    reference: usize,
    mirrored: bool,
    /// Index of the in-plane angle, refined between samples.
    angle: f32,
}

fn best_of_tile(
    correlator: &Correlator,
    images: std::ops::Range<usize>,
    half_norms: &[f32],
    work: &mut Workspace,
) -> Vec<Best> {
    let angles = correlator.rings().angles;
    let mut best = vec![Best { score: f32::MIN, reference: 0, mirrored: false, angle: 0.0 }; images.len()];
    for first in (0..correlator.references()).step_by(TILE_REFERENCES) {
        let references = first..(first + TILE_REFERENCES).min(correlator.references());
        correlator.tile(images.clone(), references.clone(), work);
        let pairs = work.correlations.chunks_exact(angles).take(images.len() * references.len());
        for (pair, values) in pairs.enumerate() {
            let (image, reference) = (pair / references.len(), first + pair % references.len());
            let (direct, mirrored) = maxima(values);
            let best = &mut best[image];
            let floor = best.score + half_norms[reference];
            if direct.max(mirrored) > floor {
                let is_mirror = mirrored > direct;
                let at = |i: usize| if is_mirror { values[i % angles].im } else { values[i % angles].re };
                let peak = direct.max(mirrored);
                let index = (0..angles).find(|&i| at(i) == peak).expect("the maximum is one of the values");
                let angle = index as f32 + parabola(at(index + angles - 1), peak, at(index + 1));
                *best = Best { score: peak - half_norms[reference], reference, mirrored: is_mirror, angle };
            }
        }
    }
    best
}

/// Largest real part and largest imaginary part.
fn maxima(values: &[crate::fourier::Complex32]) -> (f32, f32) {
    let mut lanes = [[f32::MIN; 2]; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            lane[0] = lane[0].max(value.re);
            lane[1] = lane[1].max(value.im);
        }
    }
    let rest = chunks.remainder().iter().map(|value| [value.re, value.im]);
    lanes.into_iter().chain(rest).fold((f32::MIN, f32::MIN), |(a, b), [re, im]| (a.max(re), b.max(im)))
}

/// Place of the top of the parabola through three values around a maximum, −½ … ½.
fn parabola(before: f32, peak: f32, after: f32) -> f32 {
    let curvature = before - 2.0 * peak + after;
    if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
}

/// Rotation about the beam by `angle` steps of a full turn divided in `angles`.
pub(super) fn in_plane(angle: f32, angles: usize) -> UnitQuaternion<f64> {
    UnitQuaternion::from_axis_angle(&Vector3::z_axis(), TAU * f64::from(angle) / angles as f64)
}

/// Half turn about the image's x axis: the view from the opposite direction.
pub(super) fn mirror(mirrored: bool) -> UnitQuaternion<f64> {
    if mirrored {
        UnitQuaternion::from_axis_angle(&Vector3::x_axis(), std::f64::consts::PI)
    } else {
        UnitQuaternion::identity()
    }
}
