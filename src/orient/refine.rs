//! Continuous pose refinement: Levenberg–Marquardt on rotation and shift of each image against the spectrum of a density.
//!
//! The residual at image frequency k is F(k) − V(Rᵀk)·e^(−2πi k·t), weighted by the noise. With the rotation varied in the body
//! frame, R → R·exp(w), the sample's place q = Rᵀk moves by −w × q, so that ∂V/∂w = −(q × ∇V); the slope ∇V is that of the
//! trilinear interpolant, exact within a cell of the grid (Marquardt, SIAM J. 11 (1963) 431).

use std::f64::consts::TAU;

use nalgebra::{SMatrix, SVector, UnitQuaternion, Vector2, Vector3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Error;
use super::search::check_not_negative;
use crate::fourier::Complex32;
use crate::images::{Particles, Samples};
use crate::pose::{Pose, Poses};
use crate::statistics::{median, robust};
use crate::task::{Cancelled, Task};
use crate::volume::{Spectrum, Volume};

/// Parameters of a pose: three of the rotation, two of the shift.
const PARAMETERS: usize = 5;
/// Samples taken together, so that sums run in vector registers.
const BLOCK: usize = 16;
/// Largest rotation of one step \[rad\]: beyond it the linear model means nothing.
const LONGEST_TURN: f64 = 0.1;

/// Steps at most; few need more than ten.
const MOST_STEPS: usize = 1000;
/// Robust standard deviations within which an image's residual is like the others'.
const TYPICAL: f64 = 3.0;

pub(crate) type Vector5 = SVector<f64, PARAMETERS>;
pub(crate) type Matrix5 = SMatrix<f64, PARAMETERS, PARAMETERS>;

/// Options of [`refine`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefineOptions {
    /// Resolution to which images and density are compared \[Å\]; default 2.0.
    pub low_pass: f64,
    /// Steps of Levenberg–Marquardt; 0 only scores the poses as they are; default 4.
    pub steps: usize,
    /// Refines the shifts as well as the rotations; default true.
    pub shifts: bool,
    /// Largest shift allowed \[Å\], farther ones are pulled back to it; default 2.0.
    pub max_shift: f64,
    /// Gives every image a contrast of its own; default false: all are as strong as the density.
    pub scales: bool,
    /// Part of the intensity that an atom gains with its height along the beam [1/Å], at all frequencies; default none: found from all images, for each
    /// frequency. Scores compare only where it was the same.
    pub depth: Option<f64>,
}

impl Default for RefineOptions {
    fn default() -> Self {
        Self { low_pass: 2.0, steps: 4, shifts: true, max_shift: 2.0, scales: false, depth: None }
    }
}

/// Refined poses, and how well they explain the images.
#[derive(Debug, Clone)]
pub struct Refinement {
    /// Poses; scores are log-likelihood gains over an empty image.
    pub poses: Poses,
    /// Mean |residual|² of each image in units of the expected noise: 1 where nothing is left but noise.
    pub chi2: Vec<f64>,
    /// Contrast of each image, in units of the median image's; all 1 unless they were asked for.
    pub scales: Vec<f64>,
    /// Weight of each image by its residual: 1 for most, falling to 0 for outliers.
    pub weights: Vec<f64>,
    /// Share of the particle's signal, noise subtracted, that the densities leave unexplained.
    pub unexplained: f64,
    /// Part of the intensity that an atom gains with its height along the beam, mean over the frequencies by their power [1/Å].
    pub depth: f64,
}

/// Moves every pose to the best agreement with the densities: image i is compared with `densities[(i + 1) % count]`.
///
/// Given the two half-set densities of a reconstruction (even images made the first), each image so meets the density that it
/// has not contributed to; given one density, all meet that.
///
/// # Errors
/// If numbers of images and poses differ, no density is given, or the limit is finer than what particles or densities carry.
pub fn refine(
    particles: &Particles,
    densities: &[Volume],
    poses: &Poses,
    options: &RefineOptions,
    task: &Task,
) -> Result<Refinement, Error> {
    particles.check_limit(options.low_pass)?;
    check_not_negative("max_shift", options.max_shift)?;
    if options.steps > MOST_STEPS {
        return Err(Error::Option { name: "steps", range: "at most 1000", value: options.steps as f64 });
    }
    if let Some(depth) = options.depth.filter(|depth| !depth.is_finite()) {
        return Err(Error::Option { name: "depth", range: "finite", value: depth });
    }
    for density in densities {
        density.check_limit(options.low_pass)?;
    }
    if particles.len() != poses.len() || densities.is_empty() {
        return Err(crate::volume::Error::PoseCount { images: particles.len(), poses: poses.len() }.into());
    }
    let spectra: Vec<Spectrum> = densities.iter().map(|density| Spectrum::new(density, options.low_pass)).collect();
    let samples = Samples::new(particles, options.low_pass, task)?;
    let sampling = Sampling::new(particles, &samples);
    let nothing = Depth::same(&sampling, 0.0);
    let fit_at = |image: usize, scale: f64, depth| Fit {
        spectrum: &spectra[(image + 1) % spectra.len()],
        sampling: &sampling,
        values: samples.values.row(image).to_slice().expect("standard layout"),
        scale: scale as f32,
        depth,
    };
    let depth = match options.depth {
        None => {
            let fits = poses.as_slice().iter().enumerate().map(|(i, pose)| (fit_at(i, 1.0, &nothing), pose));
            Depth::of(&sampling, fits, task)?
        }
        Some(depth) => Depth::same(&sampling, depth),
    };
    let fit = |image, scale| fit_at(image, scale, &depth);
    let scales = match options.scales {
        true => {
            let contrast = |i| task.check().map(|()| fit(i, 1.0).contrast(&poses.as_slice()[i]));
            contrasts((0..particles.len()).into_par_iter().map(contrast).collect::<Result<_, Cancelled>>()?)
        }
        false => vec![1.0; particles.len()],
    };
    let stage = task.stage("refine poses", particles.len());
    let refined: Vec<Refined> = (0..particles.len())
        .into_par_iter()
        .map(|image| -> Result<_, Error> {
            let result = fit(image, scales[image]).minimise(&poses.as_slice()[image], options, task)?;
            stage.advance(1)?;
            Ok(result)
        })
        .collect::<Result<_, _>>()?;
    let scores = refined.iter().map(|refined| refined.score).collect();
    let chi2: Vec<f64> = refined.iter().map(|refined| refined.chi2).collect();
    let powers: Vec<f64> = refined.iter().map(|refined| refined.power).collect();
    Ok(Refinement {
        poses: Poses::new(refined.iter().map(|refined| refined.pose).collect(), scores),
        weights: robust_weights(&chi2),
        unexplained: unexplained(&powers, &chi2),
        chi2,
        scales,
        depth: depth.mean,
    })
}

/// Share of the images' signal that is left, from the mean power of each and that of its residual, in units of the noise.
pub(crate) fn unexplained(powers: &[f64], chi2: &[f64]) -> f64 {
    let beyond_noise = |values: &[f64]| values.iter().map(|value| value - 1.0).sum::<f64>();
    let signal = beyond_noise(powers);
    if signal > 0.0 { (beyond_noise(chi2) / signal).max(0.0) } else { 1.0 }
}

/// Contrasts relative to their median, none far from it: what is beyond is no contrast but a wrong pose.
pub(crate) fn contrasts(found: Vec<f64>) -> Vec<f64> {
    let typical = median(&found).unwrap_or(1.0).max(f64::MIN_POSITIVE);
    found.iter().map(|contrast| (contrast / typical).clamp(0.5, 2.0)).collect()
}

/// Weights that fall from 1 to 0 as an image's residual leaves those of the others behind: Tukey's biweight of its logarithm beyond
/// [`TYPICAL`] robust standard deviations (Beaton & Tukey, Technometrics 16 (1974) 147). Small residuals are no fault.
pub(crate) fn robust_weights(chi2: &[f64]) -> Vec<f64> {
    let logs: Vec<f64> = chi2.iter().map(|chi2| chi2.max(f64::MIN_POSITIVE).ln()).collect();
    // copies of an image do not tell how images scatter
    let mut distinct = logs.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let (middle, deviation) = robust(&distinct).unwrap_or_default();
    let width = deviation.max(1e-9);
    let weight = |log: &f64| {
        let beyond = ((log - middle) / width - TYPICAL).max(0.0) / TYPICAL;
        if beyond < 1.0 { (1.0 - beyond * beyond).powi(2) } else { 0.0 }
    };
    logs.iter().map(weight).collect()
}

/// What became of one image.
struct Refined {
    pose: Pose,
    score: f64,
    chi2: f64,
    /// Mean |value|² in units of the expected noise.
    power: f64,
}

/// What all images share: where their samples are and how much they weigh.
struct Sampling {
    frequencies: Vec<[f32; 2]>,
    /// Place of each sample on the grid of the image's spectrum, in units of 1/edge.
    grid: Vec<[i16; 2]>,
    edge: f64,
    /// 1/√(expected |noise|²) of each sample.
    inverse_noise: Vec<f32>,
    /// Distance of each sample from the origin, in units of 1/edge, rounded.
    rings: Vec<u16>,
    /// Independent share of each sample: the mask fills only part of the image, so that neighbouring samples agree.
    independence: f64,
}

impl Sampling {
    fn new(particles: &Particles, samples: &Samples) -> Self {
        let edge = particles.edge();
        let grid = |[x, y]: &[f32; 2]| [(f64::from(*x) * edge).round() as i16, (f64::from(*y) * edge).round() as i16];
        let masked_area = std::f64::consts::PI * particles.mask_radius().powi(2);
        Self {
            frequencies: samples.frequencies.clone(),
            grid: samples.frequencies.iter().map(grid).collect(),
            edge,
            rings: samples.lengths.iter().map(|&length| (f64::from(length) * edge).round() as u16).collect(),
            inverse_noise: samples.noise.iter().map(|noise| 1.0 / noise.sqrt()).collect(),
            independence: masked_area / (edge * edge),
        }
    }
}

/// One image to be explained by one spectrum.
struct Fit<'a> {
    spectrum: &'a Spectrum,
    sampling: &'a Sampling,
    values: &'a [Complex32],
    /// Contrast of the image.
    scale: f32,
    depth: &'a Depth,
}

/// How the intensity of atoms changes with their height z along the beam: by the factor 1 + γ·z, γ a function of frequency.
///
/// Atoms at different heights are seen at different defocus, and the beam has been scattered by those above. To first order in z that adds γ times the
/// transform of z·ρ, which is (i/2π)·∂V/∂q along the beam (curvature of the Ewald sphere: DeRosier, Ultramicroscopy 81 (2000) 83).
struct Depth {
    /// γ/2π on each ring \[1/Å\].
    slopes: Vec<f32>,
    mean: f64,
}

impl Depth {
    /// The same at all frequencies.
    fn same(sampling: &Sampling, depth: f64) -> Self {
        let rings = sampling.rings.iter().max().map_or(0, |&ring| usize::from(ring) + 1);
        Self { slopes: vec![(depth / TAU) as f32; rings], mean: depth }
    }

    /// The slopes that explain images best at given poses, by least squares ring by ring.
    fn of<'a>(
        sampling: &Sampling,
        images: impl Iterator<Item = (Fit<'a>, &'a Pose)>,
        task: &Task,
    ) -> Result<Self, Cancelled> {
        let images: Vec<_> = images.collect();
        let rings = Self::same(sampling, 0.0).slopes.len();
        let sums = images.par_iter().map(|(fit, pose)| task.check().map(|()| fit.depth_sums(pose, rings)));
        let sums = sums.collect::<Result<Vec<Vec<[f64; 2]>>, Cancelled>>()?;
        let mut total = vec![[0.0; 2]; rings];
        for of_image in &sums {
            total.iter_mut().zip(of_image).for_each(|(a, b)| (a[0], a[1]) = (a[0] + b[0], a[1] + b[1]));
        }
        // rings that show next to nothing take no part
        let least = 1e-4 * total.iter().map(|sum| sum[1]).sum::<f64>() / rings.max(1) as f64;
        let slopes = total.iter().map(|[overlap, power]| if *power > least { (overlap / power) as f32 } else { 0.0 });
        let (overlap, power) = total.iter().fold((0.0, 0.0), |sum, ring| (sum.0 + ring[0], sum.1 + ring[1]));
        Ok(Self { slopes: slopes.collect(), mean: TAU * overlap / power.max(f64::MIN_POSITIVE) })
    }
}

/// Weighted squared residual at a pose, its gradient and the normal matrix.
pub(crate) struct Normal {
    pub cost: f64,
    pub gradient: Vector5,
    pub matrix: Matrix5,
}

impl Fit<'_> {
    /// Contrast that explains the image best at a pose.
    fn contrast(&self, pose: &Pose) -> f64 {
        let (phases, matrix) = (PhaseTable::new(self.sampling, &pose.shift), pose.matrix());
        let slice = self.spectrum.slice(&matrix);
        let (mut overlap, mut power) = (0.0f64, 0.0f64);
        for (index, value) in self.values.iter().enumerate() {
            let ([kx, ky], weight) = (self.sampling.frequencies[index], self.sampling.inverse_noise[index]);
            let model = slice.value(kx, ky) * phases.at(self.sampling.grid[index]) * weight;
            overlap += f64::from((value * weight * model.conj()).re);
            power += f64::from(model.norm_sqr());
        }
        (overlap / power.max(f64::MIN_POSITIVE)).max(0.0)
    }

    /// For each ring, what the slope along the beam and the residual have in common, and the slope's power.
    fn depth_sums(&self, pose: &Pose, rings: usize) -> Vec<[f64; 2]> {
        let (phases, matrix) = (PhaseTable::new(self.sampling, &pose.shift), pose.matrix());
        let slice = self.spectrum.slice(&matrix);
        let beam = [0, 1, 2].map(|axis| matrix[(2, axis)] as f32);
        let mut sums = vec![[0.0; 2]; rings];
        for (index, value) in self.values.iter().enumerate() {
            let ([kx, ky], weight) = (self.sampling.frequencies[index], self.sampling.inverse_noise[index]);
            let phase = phases.at(self.sampling.grid[index]) * weight;
            let here = slice.gradient(kx, ky);
            let along = along_beam(&here.slope, &beam) * phase;
            let residual = value * weight - here.value * phase;
            let sum = &mut sums[usize::from(self.sampling.rings[index])];
            sum[0] += f64::from((residual * along.conj()).re);
            sum[1] += f64::from(along.norm_sqr());
        }
        sums
    }

    /// The pose of least residual near `start`.
    fn minimise(&self, start: &Pose, options: &RefineOptions, task: &Task) -> Result<Refined, Cancelled> {
        let mut best_pose = *start;
        let mut best = self.normal(start);
        let mut damping = 1e-3;
        for _ in 0..options.steps {
            task.check()?;
            let step = damped_step(&best, damping, options.shifts);
            let Some(pose) = step.map(|step| moved(&best_pose, &step, options.max_shift)) else { break };
            let trial = self.normal(&pose);
            if trial.cost < best.cost {
                let gain = best.cost - trial.cost;
                (best_pose, best) = (pose, trial);
                damping *= 0.3;
                if gain < 1e-6 * best.cost {
                    break;
                }
            } else {
                damping *= 10.0;
            }
        }
        let power: f64 = self.values.iter().zip(&self.sampling.inverse_noise).map(weighted_power).sum();
        let score = (power - best.cost) * self.sampling.independence;
        let samples = self.values.len().max(1) as f64;
        Ok(Refined { pose: best_pose, score, chi2: best.cost / samples, power: power / samples })
    }

    /// Cost, gradient and normal matrix at `pose`; how the depth's part turns with the pose is left out of the derivatives, being small.
    fn normal(&self, pose: &Pose) -> Normal {
        let phases = PhaseTable::new(self.sampling, &pose.shift);
        let matrix = pose.matrix();
        let slice = self.spectrum.slice(&matrix);
        let [right, up, beam] = [0, 1, 2].map(|row| [0, 1, 2].map(|axis| matrix[(row, axis)] as f32));
        let mut sums = Sums::default();
        let mut block = Block::default();
        let shared = self.sampling;
        for (index, value) in self.values.iter().enumerate() {
            let lane = index % BLOCK;
            let [kx, ky] = shared.frequencies[index];
            let weight = shared.inverse_noise[index];
            let phase = phases.at(shared.grid[index]) * (weight * self.scale);
            let here = slice.gradient(kx, ky);
            let depth = self.depth.slopes[usize::from(shared.rings[index])];
            let model = (here.value + along_beam(&here.slope, &beam) * depth) * phase;
            let [x, y, z] = [0, 1, 2].map(|axis| right[axis] * kx + up[axis] * ky);
            let [gx, gy, gz] = here.slope;
            let derivatives = [
                (gy * z - gz * y) * phase,
                (gz * x - gx * z) * phase,
                (gx * y - gy * x) * phase,
                turned(model, kx),
                turned(model, ky),
            ];
            block.set(lane, value * weight - model, &derivatives);
            if lane == BLOCK - 1 {
                sums.add(&block);
            }
        }
        if !self.values.len().is_multiple_of(BLOCK) {
            for lane in self.values.len() % BLOCK..BLOCK {
                block.set(lane, Complex32::default(), &[Complex32::default(); PARAMETERS]);
            }
            sums.add(&block);
        }
        sums.normal()
    }
}

/// i times the slope of a spectrum along the beam.
#[inline]
fn along_beam(slope: &[Complex32; 3], beam: &[f32; 3]) -> Complex32 {
    let along = slope[0] * beam[0] + slope[1] * beam[1] + slope[2] * beam[2];
    Complex32::new(-along.im, along.re)
}

/// −2πi k · model: the derivative of a shifted coefficient with respect to the shift along k's axis.
#[inline]
fn turned(model: Complex32, k: f32) -> Complex32 {
    let factor = TAU as f32 * k;
    Complex32::new(model.im * factor, -model.re * factor)
}

fn weighted_power((value, inverse_noise): (&Complex32, &f32)) -> f64 {
    f64::from((value * inverse_noise).norm_sqr())
}

/// Solution of the damped normal equations; none if they are singular or not finite.
pub(crate) fn damped_step(normal: &Normal, damping: f64, shifts: bool) -> Option<Vector5> {
    let (mut matrix, mut gradient) = (normal.matrix, normal.gradient);
    for i in 0..PARAMETERS {
        matrix[(i, i)] *= 1.0 + damping;
        matrix[(i, i)] += 1e-12;
    }
    if !shifts {
        for i in 3..PARAMETERS {
            matrix.row_mut(i).fill(0.0);
            matrix.column_mut(i).fill(0.0);
            matrix[(i, i)] = 1.0;
            gradient[i] = 0.0;
        }
    }
    let step = matrix.cholesky()?.solve(&gradient);
    if !step.iter().all(|value| value.is_finite()) {
        return None;
    }
    let turn = step.fixed_rows::<3>(0).norm();
    Some(if turn > LONGEST_TURN { step * (LONGEST_TURN / turn) } else { step })
}

/// The pose after a step (rotation in the body frame, shift).
pub(crate) fn moved(pose: &Pose, step: &Vector5, max_shift: f64) -> Pose {
    let turn = UnitQuaternion::from_scaled_axis(Vector3::new(step[0], step[1], step[2]));
    let shift = pose.shift + Vector2::new(step[3], step[4]);
    let length = shift.norm();
    Pose {
        rotation: UnitQuaternion::new_normalize((pose.rotation * turn).into_inner()),
        shift: if length > max_shift { shift * (max_shift / length) } else { shift },
    }
}

/// e^(−2πi k·t) on the image's grid, as a product of one factor an axis.
struct PhaseTable {
    along_x: Vec<Complex32>,
    along_y: Vec<Complex32>,
    offset: i16,
}

impl PhaseTable {
    fn new(sampling: &Sampling, shift: &Vector2<f64>) -> Self {
        let reach = sampling.grid.iter().map(|[x, y]| x.abs().max(y.abs())).max().unwrap_or(0);
        let table = |t: f64| {
            (-reach..=reach)
                .map(|k| {
                    let (sin, cos) = (-TAU * f64::from(k) * t / sampling.edge).sin_cos();
                    Complex32::new(cos as f32, sin as f32)
                })
                .collect()
        };
        Self { along_x: table(shift.x), along_y: table(shift.y), offset: reach }
    }

    #[inline]
    fn at(&self, [x, y]: [i16; 2]) -> Complex32 {
        self.along_x[(x + self.offset) as usize] * self.along_y[(y + self.offset) as usize]
    }
}

/// Residuals and derivatives of a few samples: real parts, then imaginary parts.
#[derive(Default)]
struct Block {
    residual: [[f32; BLOCK]; 2],
    derivatives: [[[f32; BLOCK]; 2]; PARAMETERS],
}

impl Block {
    #[inline]
    fn set(&mut self, lane: usize, residual: Complex32, derivatives: &[Complex32; PARAMETERS]) {
        self.residual[0][lane] = residual.re;
        self.residual[1][lane] = residual.im;
        for (rows, value) in self.derivatives.iter_mut().zip(derivatives) {
            rows[0][lane] = value.re;
            rows[1][lane] = value.im;
        }
    }
}

/// Running sums over the samples, lane by lane.
#[derive(Default)]
struct Sums {
    cost: f64,
    gradient: [f64; PARAMETERS],
    matrix: [[f64; PARAMETERS]; PARAMETERS],
}

impl Sums {
    fn add(&mut self, block: &Block) {
        self.cost += f64::from(dot(&block.residual, &block.residual));
        for (i, a) in block.derivatives.iter().enumerate() {
            self.gradient[i] += f64::from(dot(a, &block.residual));
            for (j, b) in block.derivatives.iter().enumerate().take(i + 1) {
                self.matrix[i][j] += f64::from(dot(a, b));
            }
        }
    }

    fn normal(&self) -> Normal {
        let matrix = Matrix5::from_fn(|i, j| self.matrix[i.max(j)][i.min(j)]);
        Normal { cost: self.cost, gradient: Vector5::from_row_slice(&self.gradient), matrix }
    }
}

/// Sum over both parts and all lanes, in a fixed order that vector registers follow.
#[inline]
fn dot(a: &[[f32; BLOCK]; 2], b: &[[f32; BLOCK]; 2]) -> f32 {
    let mut lanes = [0.0f32; BLOCK];
    for part in 0..2 {
        for lane in 0..BLOCK {
            lanes[lane] += a[part][lane] * b[part][lane];
        }
    }
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::{random_poses, testing};

    /// An image that is noise, and a density about as strong.
    struct Scene {
        spectrum: Spectrum,
        samples: Samples,
        sampling: Sampling,
        depth: Depth,
    }

    impl Scene {
        fn new() -> Self {
            let particles = testing::noise(&mut crate::random::stream(7, "refine test", 0), 1, 60);
            let spectrum = testing::three_atoms(8.0, 80, particles.edge() / 40.0);
            let samples = Samples::new(&particles, 2.0, &Task::silent()).unwrap();
            let sampling = Sampling::new(&particles, &samples);
            let depth = Depth::same(&sampling, 0.0);
            Self { spectrum, samples, sampling, depth }
        }

        fn fit<'a>(&'a self, values: &'a [Complex32], scale: f32) -> Fit<'a> {
            Fit { spectrum: &self.spectrum, sampling: &self.sampling, values, scale, depth: &self.depth }
        }
    }

    /// Random poses, off the centre too.
    fn off_centre(count: usize) -> Vec<Pose> {
        let shift = Vector2::new(0.3, -0.5);
        random_poses(count, 1).as_slice().iter().map(|pose| Pose { shift, ..*pose }).collect()
    }

    #[test]
    fn derivatives_are_differences_of_the_residual() {
        let scene = Scene::new();
        let fit = scene.fit(scene.samples.values.row(0).to_slice().unwrap(), 0.7);
        for pose in off_centre(4) {
            let normal = fit.normal(&pose);
            for parameter in 0..PARAMETERS {
                let cost = |by: f64| {
                    let mut step = Vector5::zeros();
                    step[parameter] = by;
                    fit.normal(&moved(&pose, &step, 2.0)).cost
                };
                let slope = (cost(2e-3) - cost(-2e-3)) / 4e-3;
                // of Σ|residual|², whose gradient is −2 times what a step is solved from
                let error = (slope + 2.0 * normal.gradient[parameter]).abs();
                let scale = 2.0 * (normal.matrix[(parameter, parameter)] * normal.cost).sqrt();
                assert!(error < 2e-3 * scale, "parameter {parameter}: {slope} {} {scale}", normal.gradient[parameter]);
            }
        }
    }

    #[test]
    fn the_normal_matrix_is_how_the_residual_grows_around_the_right_pose() {
        let scene = Scene::new();
        let pose = off_centre(1)[0];
        let phases = PhaseTable::new(&scene.sampling, &pose.shift);
        let matrix = pose.matrix();
        let slice = scene.spectrum.slice(&matrix);
        let grid = scene.sampling.frequencies.iter().zip(&scene.sampling.grid);
        let values: Vec<Complex32> = grid.map(|([kx, ky], place)| slice.value(*kx, *ky) * phases.at(*place)).collect();
        let fit = scene.fit(&values, 1.0);
        let normal = fit.normal(&pose);
        for step in [[1.0, -2.0, 0.5, 3.0, -1.0], [-1.5, 0.5, 2.0, 1.0, 4.0], [0.5, 1.0, -1.0, -4.0, 2.0]] {
            let step = Vector5::from_row_slice(&step) * 2e-3;
            let (grown, expected) = (fit.normal(&moved(&pose, &step, 2.0)).cost, step.dot(&(normal.matrix * step)));
            assert!((grown / expected - 1.0).abs() < 0.03, "{grown} {expected}");
        }
    }
}
