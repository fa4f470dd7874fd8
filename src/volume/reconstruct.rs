//! From posed images to a density, with two half sets to judge it by.

use nalgebra::Point3;
use ndarray::Array3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Error, Fsc, Gridding, Volume};
use crate::fourier::{Complex32, fast_size};
use crate::images::{Particles, Samples};
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::task::Task;

/// Width of the soft edge of a density's mask \[Å\].
const DENSITY_MASK_EDGE: f64 = 1.5;
/// Fewest voxels along the edge of a density.
const SMALLEST_GRID: usize = 16;
/// Parts into which each half set is cut to be gridded side by side; fixed, so that sums do not depend on threads.
const PARTS: usize = 2;

/// Options of [`reconstruct`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconstructOptions {
    /// Resolution to which frequencies are kept \[Å\]; default 1.0.
    pub low_pass: f64,
    /// Sets to zero what lies outside the particles' mask; default true.
    pub mask: bool,
    /// Fraction of the images that is left out, those with the lowest scores; default 0.
    pub reject: f64,
}

impl Default for ReconstructOptions {
    fn default() -> Self {
        Self { low_pass: 1.0, mask: true, reject: 0.0 }
    }
}

/// A density, the densities of the even and the odd images alone, and how well these two agree.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    pub volume: Volume,
    pub halves: [Volume; 2],
    pub fsc: Fsc,
}

/// Voxels along the edge of a density of `edge` Å that carries frequencies up to 1/`low_pass` with room for interpolation.
pub fn grid_size(edge: f64, low_pass: f64) -> usize {
    fast_size(((2.5 * edge / low_pass - 1e-6).ceil() as usize).max(SMALLEST_GRID))
}

/// The density whose projections at `poses` the particles show.
///
/// Even images make the first half, odd ones the second. The box is that of the particles, its voxels 0.4 of the limit or less.
///
/// # Errors
/// If the numbers of images and poses differ, or the limit is finer than the particles' pixels allow.
pub fn reconstruct(
    particles: &Particles,
    poses: &Poses,
    options: &ReconstructOptions,
    task: &Task,
) -> Result<Reconstruction, Error> {
    particles.check_limit(options.low_pass)?;
    if particles.len() != poses.len() {
        return Err(Error::PoseCount { images: particles.len(), poses: poses.len() });
    }
    if !(0.0..=0.9).contains(&options.reject) {
        return Err(Error::Reject(options.reject));
    }
    let samples = Samples::new(particles, options.low_pass);
    let size = grid_size(particles.edge(), options.low_pass);
    let pixel_size = particles.edge() / size as f64;
    let kept = best_scored(poses, options.reject);
    // the parts, the sums of the halves and of all, and the spectrum that one of them becomes
    let grids = 2 * PARTS + 4;
    memory::require((grids * Gridding::bytes(size)) as f64, "the grids of this reconstruction")?;

    let stage = task.stage("reconstruct", particles.len());
    // part p takes images p, p + 2·PARTS, …: even parts make the first half
    let parts: Vec<Gridding> = (0..2 * PARTS)
        .into_par_iter()
        .map(|part| -> Result<Gridding, Error> {
            let mut grid = Gridding::new(size, pixel_size);
            for image in (part..samples.images()).step_by(2 * PARTS) {
                if kept[image] {
                    insert_image(&mut grid, &samples, image, &poses.as_slice()[image]);
                }
                stage.advance(1)?;
            }
            Ok(grid)
        })
        .collect::<Result<_, _>>()?;
    let half = |first: usize| {
        let mut sum = parts[first].clone();
        (first + 2..parts.len()).step_by(2).for_each(|part| sum.add(&parts[part]));
        sum
    };
    let (even, odd) = (half(0), half(1));
    let mut all = even.clone();
    all.add(&odd);
    let radius = particles.mask_radius();
    let masked = |volume: Volume| volume.masked(radius, DENSITY_MASK_EDGE);
    let halves = [even.density(options.low_pass), odd.density(options.low_pass)];
    let inside = halves.clone().map(masked);
    let fsc = Fsc::between(&inside[0], &inside[1])?;
    let full = all.density(options.low_pass);
    Ok(if options.mask {
        Reconstruction { volume: masked(full), halves: inside, fsc }
    } else {
        Reconstruction { volume: full, halves, fsc }
    })
}

/// Which images are kept when the fraction `reject` with the lowest scores is left out.
fn best_scored(poses: &Poses, reject: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..poses.len()).collect();
    order.sort_by(|&a, &b| poses.scores()[a].total_cmp(&poses.scores()[b]));
    let dropped = (reject * poses.len() as f64) as usize;
    let mut kept = vec![true; poses.len()];
    order[..dropped].iter().for_each(|&i| kept[i] = false);
    kept
}

/// Lays all coefficients of an image on its plane, its shift taken back.
fn insert_image(grid: &mut Gridding, samples: &Samples, image: usize, pose: &Pose) {
    let plane = grid.plane(&pose.matrix());
    let shift = pose.shift.map(|t| (t * std::f64::consts::TAU) as f32);
    let values = samples.image(image);
    for (&[kx, ky], &value) in samples.frequencies.iter().zip(values) {
        let phase = kx * shift.x + ky * shift.y;
        let back = Complex32::new(phase.cos(), phase.sin());
        grid.insert(&plane, [kx, ky], value * back, 1.0);
    }
}

/// A density of Gaussian atoms, each `(position \[Å\], weight)`, of standard deviation `width` Å, in a box of `size` voxels.
pub fn density_of_atoms(atoms: &[(Point3<f64>, f64)], width: f64, size: usize, pixel_size: f64) -> Volume {
    let centre = (size / 2) as f64;
    let reach = 4.5 * width;
    let norm = (std::f64::consts::TAU * width * width).powf(-1.5);
    let line = |position: f64| -> Vec<(usize, f64)> {
        let middle = position / pixel_size + centre;
        let span = reach / pixel_size;
        let (low, high) = ((middle - span).ceil().max(0.0), (middle + span).floor().min(size as f64 - 1.0));
        (low as usize..=high.max(0.0) as usize)
            .filter(|&i| (i as f64 - middle).abs() <= span)
            .map(|i| (i, (-((i as f64 - middle) * pixel_size / width).powi(2) / 2.0).exp()))
            .collect()
    };
    let mut data = Array3::<f32>::zeros((size, size, size));
    for (position, weight) in atoms {
        let [xs, ys, zs] = [line(position.x), line(position.y), line(position.z)];
        for &(z, gz) in &zs {
            for &(y, gy) in &ys {
                for &(x, gx) in &xs {
                    data[[z, y, x]] += (weight * norm * gx * gy * gz) as f32;
                }
            }
        }
    }
    Volume::new(data, pixel_size)
}
