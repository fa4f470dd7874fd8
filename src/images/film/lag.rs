//! How alike frames are that were taken some time apart, at each frequency: what the particle keeps and what the liquid forgets.
//!
//! C(τ, k) = ⟨Re F_t(q)·F*_{t+τ}(q)⟩, the mean over frames t and over all |q| = k. White noise correlates at lag 0 only, a liquid for its own time, sheets of
//! graphene and faults of the camera always, the particle until it has turned or moved away. Particle and surroundings are told apart by place: F is the
//! transform of a frame within a disc about the particle, and again within all that is well outside; per area the second is the noise, and what
//! the first has beyond it is the signal. Decay of such a correlation by frequency is what differential dynamic microscopy measures (Cerbino & Trappe, Phys.
//! Rev. Lett. 100 (2008) 188102).

use std::f64::consts::TAU;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::fourier::{Complex32, Fft2, signed_index};
use crate::images::{Error, Images, soft_disc};
use crate::task::{Cancelled, Task};

/// Rim between the disc of the particle and the surroundings, for what the lens delocalises \[Å\].
const RIM: f64 = 1.5;
/// The disc is wider than the particle by this on either side \[Å\].
const MARGIN: f64 = 1.0;
/// Fewest frames.
const FEWEST: usize = 8;
/// Frames that are transformed together; fixed, so that sums do not depend on threads.
const BLOCK: usize = 64;

/// Options of [`LagCorrelation::of`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LagOptions {
    /// Diameter of the particle \[Å\]; must be given.
    pub diameter: f64,
    /// Finest resolution looked at \[Å\]. Default: 1.0, or three pixels where that is coarser.
    pub low_pass: Option<f64>,
    /// Largest lag, in frames. Default: 32, or a quarter of the film where that is shorter.
    pub max_lag: Option<usize>,
}

impl Default for LagOptions {
    fn default() -> Self {
        Self { diameter: f64::NAN, low_pass: None, max_lag: None }
    }
}

/// Correlation of frames against lag and frequency, as power per area: of the squares of grey values, in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct LagCorrelation {
    /// Of each ring [1/Å].
    pub frequencies: Vec<f64>,
    /// `[lag][ring]`, lag 0 first: of the particle, its surroundings taken off.
    pub signal: Array2<f64>,
    /// `[lag][ring]`: of the surroundings.
    pub noise: Array2<f64>,
    /// Number of frames.
    pub frames: usize,
    /// Of the particle, as given \[Å\].
    pub diameter: f64,
    /// Area of the disc, and of the surroundings \[Å²\].
    pub areas: [f64; 2],
    /// Independent complex coefficients of a frame's disc in each ring, one of each ± pair.
    pub coefficients: Vec<f64>,
}

impl LagCorrelation {
    /// Of a film.
    ///
    /// # Errors
    /// If there are too few frames, the diameter is not that of a particle with room around it, or limit or lag are out of range; or when interrupted.
    pub fn of(frames: &Images, options: &LagOptions, task: &Task) -> Result<Self, Error> {
        let (count, pixel) = (frames.len(), frames.pixel_size());
        if count < FEWEST {
            return Err(Error::TooFewFrames(count, FEWEST));
        }
        let low_pass = options.low_pass.unwrap_or((3.0 * pixel).max(1.0));
        if !(low_pass.is_finite() && low_pass >= 2.0 * pixel) {
            return Err(Error::LowPass { low_pass, finest: 2.0 * pixel });
        }
        let lags = options.max_lag.unwrap_or((count / 4).min(32)).max(1);
        if lags > count / 2 {
            let range = "at most half the number of frames";
            return Err(Error::Option { name: "max_lag", range, value: lags as f64 });
        }
        let regions = Regions::new(frames, options.diameter)?;
        let grid = Grid::new(frames, low_pass);
        let sums = correlations(frames, &regions, &grid, lags, task)?;
        let density = |region: usize| {
            Array2::from_shape_fn((lags + 1, grid.counts.len()), |(lag, ring)| {
                sums[region][lag][ring]
                    / (grid.counts[ring].max(1) as f64 * (count - lag) as f64 * regions.pixels[region])
            })
        };
        let (inside, noise) = (density(0), density(1));
        let areas = regions.pixels.map(|pixels| pixels * pixel * pixel);
        let share = areas[0] / (frames.size() as f64 * pixel).powi(2);
        Ok(Self {
            frequencies: (0..grid.counts.len()).map(|ring| ring as f64 * grid.step).collect(),
            signal: inside - &noise,
            noise,
            frames: count,
            diameter: options.diameter,
            areas,
            coefficients: grid.counts.iter().map(|&samples| samples as f64 * share).collect(),
        })
    }
}

/// Weights of pixels: the particle's disc and its surroundings.
struct Regions {
    weights: [Vec<f32>; 2],
    /// Σ of squared weights.
    pixels: [f64; 2],
}

impl Regions {
    fn new(frames: &Images, diameter: f64) -> Result<Self, Error> {
        let (size, pixel) = (frames.size(), frames.pixel_size());
        let edge = size as f64 * pixel;
        if !(diameter.is_finite() && diameter >= 4.0) {
            return Err(Error::Diameter { diameter, smallest: 4.0 });
        }
        let radius = diameter / 2.0 + MARGIN;
        // corners alone are surroundings enough
        let needed = 2.0 * (radius + RIM) + 1.0;
        if needed > edge * 1.1 {
            return Err(Error::BoxTooSmall { diameter, edge, needed: needed / 1.1 });
        }
        let pixels = || (0..size * size).map(|i| (i / size, i % size));
        let inside = pixels().map(|(y, x)| soft_disc(y, x, size, pixel, radius)).collect::<Vec<f32>>();
        let outside = pixels().map(|(y, x)| 1.0 - soft_disc(y, x, size, pixel, radius + RIM)).collect::<Vec<f32>>();
        let power = |weights: &[f32]| weights.iter().map(|w| f64::from(w * w)).sum();
        Ok(Self { pixels: [power(&inside), power(&outside)], weights: [inside, outside] })
    }

    /// A frame within each region, the mean of the surroundings subtracted.
    fn of(&self, frame: ArrayView2<f32>) -> [Vec<f32>; 2] {
        let outside = &self.weights[1];
        let (sum, weight) = frame.iter().zip(outside).fold((0.0, 0.0), |(sum, weight), (&value, &w)| {
            (sum + f64::from(value) * f64::from(w), weight + f64::from(w))
        });
        let mean = (sum / weight) as f32;
        std::array::from_fn(|region| {
            frame.iter().zip(&self.weights[region]).map(|(value, weight)| (value - mean) * weight).collect()
        })
    }
}

/// The coefficients that are looked at: one of each ± pair, up to the limit, by rings one step wide.
struct Grid {
    fft: Fft2,
    /// Place in the half spectrum, and ring.
    samples: Vec<(usize, usize)>,
    counts: Vec<usize>,
    step: f64,
}

impl Grid {
    fn new(frames: &Images, low_pass: f64) -> Self {
        let size = frames.size();
        let fft = Fft2::new(size);
        let step = 1.0 / (size as f64 * frames.pixel_size());
        let rings = (1.0 / (low_pass * step) + 1e-6) as usize + 1;
        let mut counts = vec![0; rings];
        let mut samples = Vec::new();
        for place in 0..size * fft.columns() {
            let (ky, kx) = (signed_index(place / fft.columns(), size), place % fft.columns());
            let ring = (ky as f64).hypot(kx as f64).round() as usize;
            // of the column kx = 0 the upper half stands for the lower
            if ring < rings && ring > 0 && (kx > 0 || ky > 0) {
                samples.push((place, ring));
                counts[ring] += 1;
            }
        }
        Self { fft, samples, counts, step }
    }

    fn transformed(&self, pixels: &[f32]) -> Vec<Complex32> {
        let spectrum = self.fft.forward(pixels);
        self.samples.iter().map(|&(place, _)| spectrum[place]).collect()
    }
}

/// Sums over pairs of frames and coefficients, `[region][lag][ring]`.
fn correlations(
    frames: &Images,
    regions: &Regions,
    grid: &Grid,
    lags: usize,
    task: &Task,
) -> Result<[Vec<Vec<f64>>; 2], Error> {
    let (count, rings) = (frames.len(), grid.counts.len());
    let stage = task.stage("correlate frames", count);
    let of_block = |first: usize| -> Result<[Vec<Vec<f64>>; 2], Cancelled> {
        let end = (first + BLOCK).min(count);
        let mut spectra: [Vec<Vec<Complex32>>; 2] = [Vec::new(), Vec::new()];
        for frame in first..(end + lags).min(count) {
            let parts = regions.of(frames.data().index_axis(Axis(0), frame));
            spectra.iter_mut().zip(&parts).for_each(|(spectra, part)| spectra.push(grid.transformed(part)));
            stage.advance(usize::from(frame < end))?;
        }
        let mut sums = [vec![vec![0.0; rings]; lags + 1], vec![vec![0.0; rings]; lags + 1]];
        for (sums, spectra) in sums.iter_mut().zip(&spectra) {
            for t in 0..end - first {
                stage.advance(0)?;
                for (sums, other) in sums.iter_mut().zip(&spectra[t..]) {
                    for ((&(_, ring), a), b) in grid.samples.iter().zip(&spectra[t]).zip(other) {
                        sums[ring] += f64::from(a.re * b.re + a.im * b.im);
                    }
                }
            }
        }
        Ok(sums)
    };
    let starts: Vec<usize> = (0..count).step_by(BLOCK).collect();
    let blocks: Vec<_> = starts.into_par_iter().map(of_block).collect::<Result<_, _>>()?;
    let mut total = [vec![vec![0.0; rings]; lags + 1], vec![vec![0.0; rings]; lags + 1]];
    for block in &blocks {
        let flat = total.iter_mut().flatten().flatten();
        flat.zip(block.iter().flatten().flatten()).for_each(|(sum, part)| *sum += part);
    }
    Ok(total)
}

/// Nodes of the integral over a ball.
const NODES: usize = 32;

/// Correlation of the images of a ball of `radius` Å after a time in which it turned with ⟨α²⟩ = 2·`turn` about each axis and moved with
/// ⟨x²⟩ = 2·`step` \[Å²\] along each, at frequency `k` [1/Å].
///
/// An atom at distance u from the axis that its displacement along q turns about moves by αu: ⟨e^(2πi q·δ)⟩ = e^(−(2πk)²(turn·u² + step)), averaged over the ball, in
/// which u/R is distributed as 3u√(1 − u²).
pub(super) fn kept(k: f64, radius: f64, turn: f64, step: f64) -> f64 {
    let square = (TAU * k).powi(2);
    let of_turn = square * turn * radius * radius;
    let node = |i: usize| {
        let (sine, cosine) = ((i as f64 + 0.5) / NODES as f64 * TAU / 4.0).sin_cos();
        3.0 * sine * cosine * cosine * (-of_turn * sine * sine).exp()
    };
    (0..NODES).map(node).sum::<f64>() * (TAU / 4.0 / NODES as f64) * (-square * step).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use nalgebra::{UnitQuaternion, Vector3};
    use rand::RngExt;
    use rand_distr::StandardNormal;

    #[test]
    fn a_ball_of_atoms_forgets_its_image_as_foretold() {
        let mut rng = random::stream(2, "lag test", 0);
        let radius = 7.5;
        for (k, turn, step) in [(0.2, 0.002_f64, 0.0_f64), (0.45, 0.001, 0.0), (0.45, 0.0004, 0.03), (0.8, 0.004, 0.0)]
        {
            let mut sum = 0.0;
            for _ in 0..60_000 {
                let distance = radius * rng.random::<f64>().cbrt();
                let mut normal = || -> f64 { rng.sample(StandardNormal) };
                let place = Vector3::from_fn(|_, _| normal()).normalize() * distance;
                let axis = Vector3::from_fn(|_, _| normal() * (2.0 * turn).sqrt());
                let moved = UnitQuaternion::new(axis) * place - place;
                sum += (TAU * k * (moved.x + normal() * (2.0 * step).sqrt())).cos();
            }
            let (found, expected) = (sum / 60_000.0, kept(k, radius, turn, step));
            assert!((found - expected).abs() < 0.015, "{k} {turn} {step}: {found}, {expected}");
        }
        assert!((kept(0.5, 7.0, 0.0, 0.0) - 1.0).abs() < 1e-3);
    }
}
