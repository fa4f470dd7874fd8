//! Global search: every image against every direction, its mirror image and every in-plane angle of a known density.

use std::f64::consts::TAU;

use nalgebra::{UnitQuaternion, Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::best::best_matches;
use super::correlate::Correlator;
use super::expansion::Expansion;
use super::pixels::PixelBasis;
use super::rings::Rings;
use super::{Error, Layout, direction_grid, recentred};
use crate::images::Particles;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::task::{Cancelled, Task};
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
    /// How they are laid out; default a spiral.
    pub layout: Layout,
    /// Largest shift tried \[Å\]; default 0: images are taken as centred.
    pub max_shift: f64,
    /// Distance between the shifts tried \[Å\]; default 0.5.
    pub shift_step: f64,
    /// Symmetry of the density, of whose equivalent directions one is tried; default none. All poses then lie in one part of the sphere: tell the
    /// operations apart before a density is made of them, which needs views from everywhere.
    pub symmetry: Symmetry,
}

/// The symmetry of a lattice, axes along x, y and z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symmetry {
    #[default]
    None,
    /// m3̄m: 48 operations, of which projections show 24 directions alike on half the sphere.
    Cubic,
    /// 6/mmm, axis along z.
    Hexagonal,
}

impl Symmetry {
    /// Whether a viewing direction (body frame) is in the part of the sphere that stands for all equivalent ones; `margin` \[rad\] widens it.
    fn holds(self, view: &Vector3<f64>, margin: f64) -> bool {
        match self {
            Self::None => true,
            Self::Cubic => view.x >= view.y - margin && view.y >= view.z - margin && view.z >= -margin,
            Self::Hexagonal => {
                let azimuth = view.y.atan2(view.x);
                let margin_at = margin / view.x.hypot(view.y).max(margin);
                view.z >= -margin && (-margin_at..=std::f64::consts::FRAC_PI_6 + margin_at).contains(&azimuth)
            }
        }
    }
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            low_pass: 2.7,
            directions: 0,
            layout: Layout::Spiral,
            max_shift: 0.0,
            shift_step: 0.5,
            symmetry: Symmetry::None,
        }
    }
}

/// Distance of directions at the particle's rim, in units of the limit.
const SPACING: f64 = 0.5;
/// References held in memory at a time.
const BLOCK: usize = 8192;
/// Images expanded at a time: what they cost is small against comparing them with a block of references.
const CHUNK: usize = 4096;

/// Directions of a search at most: 0.14° apart.
const MOST_DIRECTIONS: usize = 1_000_000;
/// Steps of the shift from the centre at most.
const MOST_STEPS: f64 = 100.0;

/// The best pose of every particle over all directions, in-plane angles and shifts.
///
/// Scores are log-likelihood gains over an empty image, ⟨F, R⟩ − ½‖R‖² in units of the noise.
///
/// # Errors
/// If the limit is finer than particles or density carry, or an option makes no sense.
pub fn search(particles: &Particles, density: &Volume, options: &SearchOptions, task: &Task) -> Result<Poses, Error> {
    particles.check_limit(options.low_pass)?;
    density.check_limit(options.low_pass)?;
    search_on(&Rings::new(particles, options.low_pass), particles, density, options, task)
}

/// A search on given rings.
fn search_on(
    rings: &Rings,
    particles: &Particles,
    density: &Volume,
    options: &SearchOptions,
    task: &Task,
) -> Result<Poses, Error> {
    let shifts = shift_grid(particles, options.max_shift, options.shift_step)?;
    let count = direction_count(particles, options.directions, options.low_pass)?;
    // one chunk of images moved and expanded, one block of references
    let chunk = particles.len().min(CHUNK);
    let pixels = size_of::<f32>() * particles.size() * particles.size() * chunk;
    let needed = pixels + Expansion::bytes(rings, chunk + count.min(BLOCK));
    memory::require(needed as f64, "the coefficients of this search")?;
    let margin = (TAU / count as f64).sqrt() / 2.0;
    let rotations: Vec<_> = direction_grid(count, options.layout, true)
        .into_iter()
        .filter(|rotation| options.symmetry.holds(&(rotation.inverse() * Vector3::z()), margin))
        .collect();
    let spectrum = Spectrum::new(density, rings.finest());
    let basis = PixelBasis::new(rings, particles);
    let mut poses = vec![Pose::default(); particles.len()];
    let mut scores = vec![f64::MIN; particles.len()];
    let stage = task.stage("search", particles.len() * shifts.len() * rotations.len().div_ceil(BLOCK));
    let indices: Vec<usize> = (0..particles.len()).collect();
    for block in rotations.chunks(BLOCK) {
        let matrices: Vec<_> = block.iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
        let references = Expansion::of_slices(rings, &spectrum, &matrices, task)?;
        for chunk in indices.chunks(CHUNK) {
            let images = particles.select(chunk);
            for shift in &shifts {
                let images = expanded_at(&basis, &images, shift, task)?;
                let found = best_matches(&Correlator::new(rings, &images, &references), &stage)?;
                for (&image, found) in chunk.iter().zip(found) {
                    if f64::from(found.score) > scores[image] {
                        let turn = in_plane(found.angle, rings.angles) * mirror(found.mirrored);
                        scores[image] = f64::from(found.score);
                        poses[image] = Pose { rotation: turn * block[found.reference], shift: *shift };
                    }
                }
            }
        }
    }
    Ok(Poses::new(poses, scores))
}

/// Number of directions that a search asks for: as given, or (0) [`SPACING`] of the limit apart at the particle's rim.
///
/// # Errors
/// If there are more than [`MOST_DIRECTIONS`].
pub(super) fn direction_count(particles: &Particles, given: usize, low_pass: f64) -> Result<usize, Error> {
    let count = if given == 0 { spaced_directions(particles.diameter(), SPACING * low_pass) } else { given };
    check_count("directions", count, MOST_DIRECTIONS, "at most 1000000")?;
    Ok(count)
}

/// Coefficients of the images moved back by one shift.
pub(super) fn expanded_at(
    basis: &PixelBasis,
    images: &Particles,
    shift: &Vector2<f64>,
    task: &Task,
) -> Result<Expansion, Cancelled> {
    if shift.norm() == 0.0 {
        return basis.expand(images, task);
    }
    basis.expand(&recentred(images, &vec![*shift; images.len()]), task)
}

/// Number of directions on half the sphere that lie about `distance` Å apart at the rim of a particle of `diameter` Å.
pub(super) fn spaced_directions(diameter: f64, distance: f64) -> usize {
    let angle = distance / (diameter / 2.0);
    (TAU / (angle * angle)).ceil().max(50.0) as usize
}

/// Shifts on a square grid within a disc, the centre first.
///
/// # Errors
/// If they would leave the images (a shift of half their width comes in again from the other side), or there are too many.
pub(super) fn shift_grid(particles: &Particles, max_shift: f64, step: f64) -> Result<Vec<Vector2<f64>>, Error> {
    check_positive("shift_step", step)?;
    check_not_negative("max_shift", max_shift)?;
    if max_shift > particles.edge() / 2.0 {
        return Err(Error::Option {
            name: "max_shift",
            range: "at most half the width of the images",
            value: max_shift,
        });
    }
    if max_shift / step > MOST_STEPS {
        return Err(Error::Option { name: "shift_step", range: "at least a hundredth of max_shift", value: step });
    }
    let reach = (max_shift / step + 1e-9) as i32;
    let mut shifts: Vec<Vector2<f64>> = (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| Vector2::new(f64::from(x), f64::from(y)) * step))
        .filter(|shift| shift.norm() <= max_shift + 1e-9)
        .collect();
    shifts.sort_by(|a, b| a.norm().total_cmp(&b.norm()));
    Ok(shifts)
}

/// Fails unless a count is within `1..=most`, which `range` says in words.
pub(super) fn check_count(name: &'static str, value: usize, most: usize, range: &'static str) -> Result<(), Error> {
    if (1..=most).contains(&value) { Ok(()) } else { Err(Error::Option { name, range, value: value as f64 }) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Noise, PrepareOptions};
    use crate::orient::random_poses;
    use crate::volume::{ProjectOptions, density_of_atoms, project};

    /// Less arithmetic, equal answers: against the same search with all that the rings hold.
    #[test]
    fn the_radial_basis_finds_what_whole_rings_find() {
        let atoms: Vec<_> = (0..60)
            .map(|i| {
                let along = f64::from(i) * 2.4;
                let height = 6.0 * (1.0 - (2.0 * f64::from(i) + 1.0) / 60.0);
                let ring = (36.0 - height * height).sqrt() * (0.4 + 0.6 * f64::from(i % 3) / 2.0);
                ([ring * along.cos(), ring * along.sin(), height].into(), 1.0 + f64::from(i % 2))
            })
            .collect();
        let density = density_of_atoms(&atoms, 0.6, 64, 0.5);
        let views = random_poses(1000, 4);
        let task = Task::silent();
        let clean = project(&density, &views, &ProjectOptions::default(), &task).unwrap();
        let (images, _) = clean.add_noise(&Noise { snr: Some(0.3), ..Noise::default() }, &task).unwrap();
        let particles =
            Particles::prepare(&images, &PrepareOptions { diameter: 14.0, low_pass: 1.5, ..Default::default() }, &task)
                .unwrap();
        let options = SearchOptions { low_pass: 1.5, directions: 300, ..SearchOptions::default() };
        let all = Rings::uncompressed(&particles, 1.5);
        // at the same angles: scores are taken there
        let mut few = Rings::new(&particles, 1.5);
        few.angles = all.angles;
        let [found, whole] = [&few, &all].map(|rings| search_on(rings, &particles, &density, &options, &task).unwrap());
        let same = |(a, b): &(&Pose, &Pose)| (a.viewing_direction() - b.viewing_direction()).norm() < 1e-6;
        let share = found.as_slice().iter().zip(whole.as_slice()).filter(same).count() as f64 / 1000.0;
        let worst = found.scores().iter().zip(whole.scores()).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        assert!(share >= 0.999 && worst < 1e-4, "{share} of the directions, scores within {worst}");
    }
}
