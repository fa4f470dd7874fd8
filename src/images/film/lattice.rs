//! Graphene found in frames, and taken off them.
//!
//! A sheet is a set of plane waves over the whole frame, at the vectors of its reciprocal lattice: six at 1/2.13 Å, six at 1/1.23 Å, and so on. It is found outside the particle as the angle
//! at which all three pairs of the first six stand out of what is at other angles, one sheet after the other, its angle and constant then refined. In each frame the waves
//! are fitted by least squares to what is outside the particle and subtracted everywhere, their amplitudes plain functions of the place (1, x, y), for a sheet that is
//! tilted or not quite at its angle: so the particle, which the fit does not see, keeps what it scatters at the same frequencies.
//! Lattice and particle overlap in frequency, not in place: subtraction of graphene from frames of liquid cells is described by Park et al., Science 349 (2015)
//! 290–295; a mask on the peaks would take what the particle scatters there.

use std::f64::consts::{PI, TAU};

use nalgebra::{DMatrix, DVector};
use ndarray::Axis;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::images::{Error, Images, soft_disc};
use crate::statistics::robust;
use crate::task::{Cancelled, Task};

/// Constant of graphene's lattice \[Å\].
const CONSTANT: f64 = 2.46;
/// Share by which the constant may differ: strain, and the calibration of the microscope.
const STRETCH: f64 = 0.02;
/// Step between angles at which a sheet is looked for \[°\].
const STEP: f64 = 0.25;
/// Angles this near to a sheet are of the same sheet \[°\].
const SAME: f64 = 2.0;
/// Frames that are looked at.
const MOST_FRAMES: usize = 48;
/// Rim around the particle that belongs to neither, for what the lens delocalises \[Å\].
const RIM: f64 = 2.5;
/// Part of the diagonal that is added to the normal equations.
const RIDGE: f64 = 1e-3;

/// Options of [`Images::without_lattice`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveLatticeOptions {
    /// Diameter of the particle \[Å\]; must be given.
    pub diameter: f64,
    /// Most sheets that are looked for. Default: 4.
    pub sheets: usize,
    /// Robust standard deviations by which a sheet stands out. Default: 8.
    pub threshold: f64,
    /// Finest spacing of the lattice that is taken off \[Å\]. Default: 1.0, or two pixels where that is coarser.
    pub low_pass: Option<f64>,
}

impl Default for RemoveLatticeOptions {
    fn default() -> Self {
        Self { diameter: f64::NAN, sheets: 4, threshold: 8.0, low_pass: None }
    }
}

/// A sheet that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sheet {
    /// Of a first reciprocal vector from x towards y, 0 to 60 \[°\].
    pub angle: f64,
    /// Of the lattice \[Å\].
    pub constant: f64,
    /// Robust standard deviations by which it stands out.
    pub significance: f64,
}

/// Frames without a lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct LatticeRemoved {
    pub images: Images,
    /// The most evident first.
    pub sheets: Vec<Sheet>,
}

impl Images {
    /// Frames with sheets of graphene subtracted that keep still over the film.
    ///
    /// # Errors
    /// If there are no images, the diameter leaves nothing around the particle, or an option is out of range; or when interrupted.
    pub fn without_lattice(&self, options: &RemoveLatticeOptions, task: &Task) -> Result<LatticeRemoved, Error> {
        if self.is_empty() {
            return Err(Error::Empty);
        }
        let (size, pixel) = (self.size(), self.pixel_size());
        let edge = size as f64 * pixel;
        let RemoveLatticeOptions { diameter, sheets, threshold, low_pass } = *options;
        if !(diameter.is_finite() && diameter >= 4.0) {
            return Err(Error::Diameter { diameter, smallest: 4.0 });
        }
        let radius = diameter / 2.0 + RIM;
        // half of the frame is enough to know what is in the other half
        let needed = radius * (2.0 * PI).sqrt();
        if needed > edge {
            return Err(Error::BoxTooSmall { diameter, edge, needed });
        }
        if !(threshold.is_finite() && threshold >= 1.0) {
            return Err(Error::Option { name: "threshold", range: "at least 1 standard deviation", value: threshold });
        }
        if !(1..=12).contains(&sheets) {
            return Err(Error::Option { name: "sheets", range: "from 1 to 12", value: sheets as f64 });
        }
        let finest = low_pass.unwrap_or((2.0 * pixel).max(1.0));
        if !(finest.is_finite() && finest >= 2.0 * pixel && finest < first_spacing(CONSTANT)) {
            return Err(Error::LowPass { low_pass: finest, finest: 2.0 * pixel });
        }
        let stage = task.stage("find lattice", MOST_FRAMES);
        let outside: Vec<f32> =
            (0..size * size).map(|i| 1.0 - soft_disc(i / size, i % size, size, pixel, radius)).collect();
        let mut some = Sample::new(self, &outside);
        let mut found: Vec<Sheet> = Vec::new();
        while found.len() < sheets {
            stage.advance(MOST_FRAMES / sheets)?;
            let Some(sheet) = some.strongest(threshold, task)? else { break };
            // what is left of a sheet that is known is no other
            if found.iter().any(|known| apart(known.angle, sheet.angle) < SAME) {
                break;
            }
            found.push(sheet);
            let waves = Waves::new(&found, size, pixel, finest, &outside);
            some = Sample::new(self, &outside);
            some.subtract(&waves, &outside);
        }
        if found.is_empty() {
            return Ok(LatticeRemoved { images: self.clone(), sheets: found });
        }
        let waves = Waves::new(&found, size, pixel, finest, &outside);
        drop(stage);
        let (images, _) = self.remade("remove lattice", task, |_, image, pixels| {
            let lattice = waves.fitted(image.as_slice().expect("images are contiguous"), &outside);
            pixels.iter_mut().zip(image.iter().zip(lattice)).for_each(|(to, (value, wave))| *to = value - wave);
            Ok(())
        })?;
        Ok(LatticeRemoved { images, sheets: found })
    }
}

/// Spacing of the first reciprocal vectors of a lattice of that constant \[Å\].
fn first_spacing(constant: f64) -> f64 {
    constant * 3f64.sqrt() / 2.0
}

/// Angle between two sheets \[°\].
fn apart(one: f64, other: f64) -> f64 {
    ((one - other + 30.0).rem_euclid(60.0) - 30.0).abs()
}

/// Some frames, looked at outside the particle, through a window that falls to 0 at the edges so that peaks have no wings.
struct Sample {
    frames: Vec<Vec<f32>>,
    window: Vec<f32>,
    size: usize,
    pixel: f64,
}

impl Sample {
    fn new(images: &Images, outside: &[f32]) -> Self {
        let size = images.size();
        let along = |i: usize| (0.5 - 0.5 * (TAU * (i as f64 + 0.5) / size as f64).cos()) as f32;
        let stride = images.len().div_ceil(MOST_FRAMES);
        let frame = |i: usize| images.data().index_axis(Axis(0), i).iter().copied().collect();
        let mut some = Self {
            frames: (0..images.len()).step_by(stride).map(frame).collect(),
            window: (0..size * size).map(|i| along(i / size) * along(i % size) * outside[i]).collect(),
            size,
            pixel: images.pixel_size(),
        };
        some.level();
        some
    }

    /// Takes off the mean, as the window sees it.
    fn level(&mut self) {
        let total: f64 = self.window.iter().map(|&w| f64::from(w)).sum();
        for frame in &mut self.frames {
            let sum: f64 = frame.iter().zip(&self.window).map(|(&value, &w)| f64::from(value) * f64::from(w)).sum();
            frame.iter_mut().for_each(|value| *value -= (sum / total) as f32);
        }
    }

    fn subtract(&mut self, waves: &Waves, outside: &[f32]) {
        self.frames.par_iter_mut().for_each(|frame| {
            let lattice = waves.fitted(frame, outside);
            frame.iter_mut().zip(lattice).for_each(|(value, of_lattice)| *value -= of_lattice);
        });
        self.level();
    }

    /// Mean power at a frequency (x, y) [1/Å].
    fn power(&self, [kx, ky]: [f64; 2]) -> f64 {
        let phases = |k: f64| -> Vec<[f32; 2]> {
            let phase = |i: usize| TAU * k * i as f64 * self.pixel;
            (0..self.size).map(|i| [phase(i).cos() as f32, -phase(i).sin() as f32]).collect()
        };
        let (of_x, of_y) = (phases(kx), phases(ky));
        let of_frame = |frame: &Vec<f32>| {
            let (mut re, mut im) = (0.0f64, 0.0f64);
            let rows = frame.chunks_exact(self.size).zip(self.window.chunks_exact(self.size));
            for ((row, window), [c, s]) in rows.zip(&of_y) {
                let (mut a, mut b) = (0.0f32, 0.0f32);
                for ((value, w), [c, s]) in row.iter().zip(window).zip(&of_x) {
                    a += value * w * c;
                    b += value * w * s;
                }
                re += f64::from(a * c - b * s);
                im += f64::from(a * s + b * c);
            }
            re * re + im * im
        };
        self.frames.iter().map(of_frame).sum::<f64>() / self.frames.len() as f64
    }

    /// Power of the three first pairs of a sheet.
    fn pairs(&self, angle: f64, constant: f64) -> [f64; 3] {
        let length = 1.0 / first_spacing(constant);
        [0.0, 60.0, 120.0].map(|turn| {
            let (sine, cosine) = (angle + turn).to_radians().sin_cos();
            self.power([length * cosine, length * sine])
        })
    }

    /// The sheet that stands out most of what is at other angles, if any does: by the weakest of its three pairs, for all must be there.
    fn strongest(&self, threshold: f64, task: &Task) -> Result<Option<Sheet>, Cancelled> {
        let angles: Vec<f64> = (0..(60.0 / STEP) as usize).map(|i| i as f64 * STEP).collect();
        let weakest = |angle: &f64| self.pairs(*angle, CONSTANT).into_iter().fold(f64::INFINITY, f64::min);
        let scores = angles.par_iter().map(|angle| task.check().map(|()| weakest(angle)));
        let scores = scores.collect::<Result<Vec<f64>, Cancelled>>()?;
        let (middle, deviation) = robust(&scores).unwrap_or_default();
        let Some(top) = (0..angles.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])) else { return Ok(None) };
        let significance = (scores[top] - middle) / deviation.max(f64::MIN_POSITIVE);
        let (angle, constant) = self.refined(angles[top], task)?;
        Ok((significance >= threshold).then(|| Sheet { angle: angle.rem_euclid(60.0), constant, significance }))
    }

    /// Angle and constant near `angle` at which a sheet is strongest.
    fn refined(&self, angle: f64, task: &Task) -> Result<(f64, f64), Cancelled> {
        let (mut at, mut steps) = ((angle, CONSTANT), (STEP, STRETCH * CONSTANT / 2.0));
        let score = |angle, constant| self.pairs(angle, constant).iter().sum::<f64>();
        let mut best = score(at.0, at.1);
        for _ in 0..9 {
            let grid = (0..25).map(|i| {
                (at.0 + steps.0 * (f64::from(i % 5) - 2.0) / 2.0, at.1 + steps.1 * (f64::from(i / 5) - 2.0) / 2.0)
            });
            let grid: Vec<(f64, f64)> =
                grid.filter(|(_, constant)| (constant / CONSTANT - 1.0).abs() <= STRETCH).collect();
            let scores = grid.par_iter().map(|&(angle, constant)| task.check().map(|()| score(angle, constant)));
            let scores = scores.collect::<Result<Vec<f64>, Cancelled>>()?;
            for (place, score) in grid.into_iter().zip(scores) {
                if score > best {
                    (best, at) = (score, place);
                }
            }
            steps = (0.55 * steps.0, 0.55 * steps.1);
        }
        Ok(at)
    }
}

/// The waves of all sheets on the pixels of a frame, and the equations of their amplitudes.
struct Waves {
    /// `[function][pixel]`: cos and sin of each wave, times 1, x and y.
    functions: Vec<Vec<f32>>,
    inverse: DMatrix<f64>,
}

impl Waves {
    fn new(sheets: &[Sheet], size: usize, pixel: f64, finest: f64, outside: &[f32]) -> Self {
        let mut functions = vec![vec![1.0f32; size * size]];
        let half = size as f64 / 2.0;
        for [kx, ky] in sheets.iter().flat_map(|sheet| vectors(sheet, 1.0 / finest)) {
            for (modulation, part) in (0..6).map(|i| (i / 2, i % 2)) {
                let of_pixel = |i: usize| {
                    let [y, x] = [i / size, i % size].map(|i| i as f64 - half);
                    let (sine, cosine) = (TAU * pixel * (kx * x + ky * y)).sin_cos();
                    (if part == 0 { cosine } else { sine } * [1.0, x / half, y / half][modulation]) as f32
                };
                functions.push((0..size * size).map(of_pixel).collect());
            }
        }
        let count = functions.len();
        let rows: Vec<Vec<f64>> = (0..count)
            .into_par_iter()
            .map(|a| (0..=a).map(|b| product(&functions[a], &functions[b], outside)).collect())
            .collect();
        let mut matrix = DMatrix::from_fn(count, count, |a, b| rows[a.max(b)][a.min(b)]);
        let ridge = RIDGE * matrix.diagonal().mean();
        (0..count).for_each(|i| matrix[(i, i)] += ridge);
        let inverse = matrix.cholesky().expect("positive definite by its ridge").inverse();
        Self { functions, inverse }
    }

    /// The lattice in a frame, without the constant that stands for its mean.
    fn fitted(&self, pixels: &[f32], outside: &[f32]) -> Vec<f32> {
        let right: Vec<f64> = self.functions.iter().map(|function| product(function, pixels, outside)).collect();
        let amplitudes = &self.inverse * DVector::from_vec(right);
        let mut lattice = vec![0.0f32; pixels.len()];
        for (function, amplitude) in self.functions.iter().zip(amplitudes.iter()).skip(1) {
            let amplitude = *amplitude as f32;
            lattice.iter_mut().zip(function).for_each(|(sum, value)| *sum += amplitude * value);
        }
        lattice
    }
}

fn product(a: &[f32], b: &[f32], weights: &[f32]) -> f64 {
    a.iter().zip(b).zip(weights).map(|((a, b), w)| f64::from(a * b * w)).sum()
}

/// Reciprocal vectors of a sheet up to a frequency [1/Å], one of each ± pair.
fn vectors(sheet: &Sheet, limit: f64) -> Vec<[f64; 2]> {
    let length = 1.0 / first_spacing(sheet.constant);
    let first = |turn: f64| {
        let (sine, cosine) = (sheet.angle + turn).to_radians().sin_cos();
        [length * cosine, length * sine]
    };
    let (a, b) = (first(0.0), first(60.0));
    let reach = (2.0 * limit / length) as i32 + 1;
    let pairs = (-reach..=reach).flat_map(|h| (-reach..=reach).map(move |k| (h, k)));
    pairs
        .filter(|&(h, k)| h > 0 || h == 0 && k > 0)
        .map(|(h, k)| [0, 1].map(|axis| f64::from(h) * a[axis] + f64::from(k) * b[axis]))
        .filter(|vector| vector[0].hypot(vector[1]) <= limit)
        .collect()
}
