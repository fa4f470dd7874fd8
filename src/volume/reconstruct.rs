//! From posed images to a density, with two half sets to judge it by.

use nalgebra::Point3;
use ndarray::Array3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::least_squares::NormalEquations;
use super::{CorrectedFsc, Error, FscOptions, Gridding, Volume};
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

/// How a density is made of the images' Fourier samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Samples are averaged where they lie: fast, and as good as any where directions cover the sphere.
    Gridding,
    /// The density within the mask that explains the samples best: fills small gaps between directions, at several times the cost.
    LeastSquares,
}

/// Options of [`reconstruct`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconstructOptions {
    /// Resolution to which frequencies are kept \[Å\]; default 1.0.
    pub low_pass: f64,
    /// Sets to zero what lies outside the particles' mask; default true. Least squares cannot do without.
    pub mask: bool,
    /// Fraction of the images that is left out, those with the lowest scores; default 0.
    pub reject: f64,
    /// Default: gridding.
    pub method: Method,
    /// Conjugate gradient iterations of least squares; default 10.
    pub iterations: usize,
    /// Least squares: λ as a fraction of the mean diagonal of the normal equations; default 0.01.
    pub ridge: f64,
    /// Weight of each image, 0 leaves it out; default: all 1.
    #[serde(skip)]
    pub weights: Option<Vec<f64>>,
    /// Amplitude aᵢ of each image: image = aᵢ × projection; default: all 1.
    #[serde(skip)]
    pub scales: Option<Vec<f64>>,
}

impl Default for ReconstructOptions {
    fn default() -> Self {
        Self {
            low_pass: 1.0,
            mask: true,
            reject: 0.0,
            method: Method::Gridding,
            iterations: 10,
            ridge: 0.01,
            weights: None,
            scales: None,
        }
    }
}

/// A density, the densities of the even and the odd images alone, and how well these two agree.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    pub volume: Volume,
    pub halves: [Volume; 2],
    pub fsc: CorrectedFsc,
    /// Least squares: ‖residual‖/‖right-hand side‖ of the normal equations of all images after each iteration. Empty for gridding.
    pub residuals: Vec<f64>,
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
/// If the numbers of images, poses, weights or scales differ, a half set has no image left, an option is out of range, or the limit
/// is finer than the particles' pixels allow.
pub fn reconstruct(
    particles: &Particles,
    poses: &Poses,
    options: &ReconstructOptions,
    task: &Task,
) -> Result<Reconstruction, Error> {
    particles.check_limit(options.low_pass)?;
    let shares = shares(particles.len(), poses, options)?;
    check_least_squares(options)?;
    let size = grid_size(particles.edge(), options.low_pass);
    let pixel_size = particles.edge() / size as f64;
    let samples = Samples::new(particles, options.low_pass, task)?;
    let radius = particles.mask_radius();
    let masked = |volume: Volume| volume.masked(radius, DENSITY_MASK_EDGE);

    let (full, halves, residuals) = match options.method {
        Method::Gridding => {
            // the parts, the sums of the halves and of all, and the spectrum that one of them becomes
            let bytes = (2 * PARTS + 4) * Gridding::bytes(size);
            memory::require(bytes as f64, "the grids of this reconstruction")?;
            let [even, odd] = half_sets(|| Gridding::new(size, pixel_size), &samples, poses, &shares, task)?;
            let mut all = even.clone();
            all.add(&odd);
            let [full, even, odd] = [all, even, odd].map(|grid| grid.density(options.low_pass));
            (full, [even, odd], Vec::new())
        }
        Method::LeastSquares => {
            let bytes = (2 * PARTS + 2) * Gridding::bytes(2 * size) + NormalEquations::bytes(size);
            memory::require(bytes as f64, "the grids of this reconstruction")?;
            let halves = half_sets(|| NormalEquations::grid(size, pixel_size), &samples, poses, &shares, task)?;
            let equations = halves.map(|grid| NormalEquations::new(grid, size, pixel_size));
            let mask = masked(Volume::new(Array3::ones((size, size, size)), pixel_size));
            solve(&equations, &mask, options, task)?
        }
    };
    let fsc_options = FscOptions { radius: Some(radius), edge: DENSITY_MASK_EDGE, ..FscOptions::default() };
    let fsc = CorrectedFsc::between(&halves[0], &halves[1], &fsc_options)?;
    let shown = |volume: Volume| if options.mask { masked(volume) } else { volume };
    Ok(Reconstruction { volume: shown(full), halves: halves.map(shown), fsc, residuals })
}

/// The grids of the even and of the odd images.
fn half_sets(
    empty: impl Fn() -> Gridding + Sync,
    samples: &Samples,
    poses: &Poses,
    shares: &[Share],
    task: &Task,
) -> Result<[Gridding; 2], Error> {
    let stage = task.stage("reconstruct", samples.images());
    // part p takes images p, p + 2·PARTS, …: even parts make the first half
    let parts: Vec<Gridding> = (0..2 * PARTS)
        .into_par_iter()
        .map(|part| -> Result<Gridding, Error> {
            let mut grid = empty();
            for image in (part..samples.images()).step_by(2 * PARTS) {
                if shares[image].weight > 0.0 {
                    insert_image(&mut grid, samples, image, &poses.as_slice()[image], shares[image]);
                }
                stage.advance(1)?;
            }
            Ok(grid)
        })
        .collect::<Result<_, _>>()?;
    let mut parts = parts.into_iter();
    let mut halves = [parts.next(), parts.next()].map(|part| part.expect("two halves have a part each"));
    for (i, part) in parts.enumerate() {
        halves[i % 2].add(&part);
    }
    Ok(halves)
}

/// The least-squares densities of all images and of the two halves, without frequencies beyond the limit, and how the first converged.
fn solve(
    [even, odd]: &[NormalEquations; 2],
    mask: &Volume,
    options: &ReconstructOptions,
    task: &Task,
) -> Result<(Volume, [Volume; 2], Vec<f64>), Error> {
    let stage = task.stage("solve", 3 * options.iterations);
    let solve = |equations: &NormalEquations| equations.solve(mask.data(), options.iterations, options.ridge, &stage);
    let mut all = even.clone();
    all.add(odd);
    let (full, even, odd) = (solve(&all)?, solve(even)?, solve(odd)?);
    let limited = |volume: Volume| volume.filtered(|s| if s <= 1.0 / options.low_pass { 1.0 } else { 0.0 });
    Ok((limited(full.volume), [limited(even.volume), limited(odd.volume)], full.residuals))
}

fn check_least_squares(options: &ReconstructOptions) -> Result<(), Error> {
    if options.method == Method::LeastSquares && !options.mask {
        return Err(Error::NeedsMask);
    }
    let bad = |name, range, value| Err(Error::Option { name, range, value });
    if !(1..=1000).contains(&options.iterations) {
        return bad("iterations", "from 1 to 1000", options.iterations as f64);
    }
    if !(options.ridge >= 0.0 && options.ridge.is_finite()) {
        return bad("ridge", "zero or a positive number", options.ridge);
    }
    Ok(())
}

/// What an image contributes: `weight` × its deviation from `scale` × a projection.
#[derive(Debug, Clone, Copy)]
struct Share {
    weight: f32,
    scale: f32,
}

/// Weight and scale of each image, those left out with weight 0.
fn shares(images: usize, poses: &Poses, options: &ReconstructOptions) -> Result<Vec<Share>, Error> {
    if images != poses.len() {
        return Err(Error::PoseCount { images, poses: poses.len() });
    }
    if !(0.0..=0.9).contains(&options.reject) {
        return Err(Error::Reject(options.reject));
    }
    let weights = per_image("weights", options.weights.as_deref(), images)?;
    let scales = per_image("scales", options.scales.as_deref(), images)?;
    let kept = best_scored(poses, options.reject);
    let share = |i: usize| {
        let weight = if kept[i] && scales[i] > 0.0 { weights[i] } else { 0.0 };
        Share { weight: weight as f32, scale: scales[i] as f32 }
    };
    let shares: Vec<Share> = (0..images).map(share).collect();
    for (half, name) in ["even", "odd"].into_iter().enumerate() {
        if images > half && shares.iter().skip(half).step_by(2).all(|share| share.weight == 0.0) {
            return Err(Error::EmptyHalf(name));
        }
    }
    Ok(shares)
}

/// One number an image, or 1 for each.
fn per_image(name: &'static str, values: Option<&[f64]>, images: usize) -> Result<Vec<f64>, Error> {
    let Some(values) = values else { return Ok(vec![1.0; images]) };
    if values.len() != images {
        return Err(Error::PerImage { name, images, count: values.len() });
    }
    match values.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(index) => Err(Error::BadPerImage { name, index, value: values[index] }),
        None => Ok(values.to_vec()),
    }
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
fn insert_image(grid: &mut Gridding, samples: &Samples, image: usize, pose: &Pose, share: Share) {
    let plane = grid.plane(&pose.matrix());
    let shift = pose.shift.map(|t| (t * std::f64::consts::TAU) as f32);
    let values = samples.image(image);
    let (part, weight) = (share.weight * share.scale, share.weight * share.scale * share.scale);
    for (&[kx, ky], &value) in samples.frequencies.iter().zip(values) {
        let phase = kx * shift.x + ky * shift.y;
        let back = Complex32::new(phase.cos(), phase.sin()) * part;
        grid.insert(&plane, [kx, ky], value * back, weight);
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
