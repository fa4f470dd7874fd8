//! Pixels that are broken, and frames that are not like the others.
//!
//! What is looked at is how far a pixel is from the median of its eight neighbours: of one frame for a spike, as an X-ray leaves it; the mean over all frames for a pixel that is always too bright or
//! too dark; the variance over frames, beside that of the neighbours, for one that changes too much or not at all. Each is compared with the same number of all other
//! pixels by median and median deviation, which the broken ones do not move. A particle that tumbles is not mistaken for one: its atoms are wider than a pixel, and stay nowhere.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::images::{Error, Images};
use crate::statistics::{median, robust};
use crate::task::Task;

/// Fewest frames of which it can be told that a pixel is broken.
const FEWEST: usize = 8;
/// A spike is this many times as far from its neighbours as a broken pixel's mean needs to be from others' means, in standard deviations: there are many more of them to be wrong about.
const RARER: f64 = 1.25;

/// An atom is seen in neighbouring pixels too: what is broken differs from them by this many times what they differ by.
const ALONE: f32 = 3.0;
/// A pixel that changes less than this part of what its neighbours do is dead.
const STILL: f64 = 0.05;
/// Least standard deviation of the logarithm of a pixel's variance beside its neighbours': where there is no noise, the particle's own.
const NOISELESS: f64 = 0.3;

/// Options of [`Images::repair`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepairOptions {
    /// Robust standard deviations from which a pixel is broken. Default: 8.
    pub threshold: f64,
    /// Robust standard deviations from which a frame is not like the others. Default: 6.
    pub frame_threshold: f64,
}

impl Default for RepairOptions {
    fn default() -> Self {
        Self { threshold: 8.0, frame_threshold: 6.0 }
    }
}

/// Frames without broken pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    pub images: Images,
    /// (y, x) of pixels that are broken in all frames.
    pub pixels: Vec<[usize; 2]>,
    /// Single pixels of single frames that were replaced beside.
    pub spikes: usize,
    /// Frames that are not like the others in mean or variance; they are left as they are.
    pub frames: Vec<usize>,
}

impl Images {
    /// Frames with broken pixels and spikes replaced by the median of what is whole around them, and the numbers of frames that are not like the others.
    ///
    /// # Errors
    /// If there are fewer than eight frames, or a threshold is not positive; or when interrupted.
    pub fn repair(&self, options: &RepairOptions, task: &Task) -> Result<Repaired, Error> {
        for (name, value) in [("threshold", options.threshold), ("frame_threshold", options.frame_threshold)] {
            if !(value.is_finite() && value >= 1.0) {
                return Err(Error::Option { name, range: "at least 1 standard deviation", value });
            }
        }
        if self.len() < FEWEST {
            return Err(Error::TooFewFrames(self.len(), FEWEST));
        }
        let stage = task.stage("find broken pixels", self.len());
        let odd: Vec<Array2<f32>> = self
            .data()
            .axis_iter(Axis(0))
            .into_par_iter()
            .map(|image| stage.advance(1).map(|()| from_neighbours(image)))
            .collect::<Result<_, _>>()?;
        let broken = broken(&odd, self, options.threshold);
        drop(stage);
        let (images, spikes) = self.remade("repair", task, |frame, image, pixels| {
            let mut bad = spikes(&odd[frame], image, RARER * options.threshold);
            let of_frame = bad.iter().zip(&broken).filter(|(spike, broken)| **spike && !**broken).count();
            bad.iter_mut().zip(&broken).for_each(|(bad, broken)| *bad |= broken);
            for ((at, &is_bad), pixel) in bad.indexed_iter().zip(pixels) {
                *pixel = if is_bad { of_whole_neighbours(image, &bad, at.0, at.1) } else { image[at] };
            }
            Ok(of_frame)
        })?;
        Ok(Repaired {
            frames: images.odd_frames(options.frame_threshold),
            pixels: broken.indexed_iter().filter(|(_, broken)| **broken).map(|((y, x), _)| [y, x]).collect(),
            spikes: spikes.iter().sum::<usize>(),
            images,
        })
    }

    /// Frames whose mean or logarithm of variance is not like the others'.
    fn odd_frames(&self, threshold: f64) -> Vec<usize> {
        let of_frame = |image: ArrayView2<f32>| {
            let count = image.len() as f64;
            let mean = image.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
            let variance = image.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
            [mean, variance.max(f64::MIN_POSITIVE).ln(), variance]
        };
        let numbers: Vec<[f64; 3]> = self.data().axis_iter(Axis(0)).into_par_iter().map(of_frame).collect();
        let column = |which: usize| numbers.iter().map(|all| all[which]).collect::<Vec<f64>>();
        let of = |which: usize| robust(&column(which)).unwrap_or_default();
        let ((mean, of_mean), (power, of_power)) = (of(0), of(1));
        // frames that were normalised have one mean: what is left is rounding
        let noise = median(&column(2)).unwrap_or_default().sqrt();
        let (of_mean, of_power) = (f64::max(of_mean, 1e-3 * noise), of_power.max(1e-3));
        let is_odd = |all: &[f64; 3]| {
            (all[0] - mean).abs() > threshold * of_mean || (all[1] - power).abs() > threshold * of_power
        };
        (0..numbers.len()).filter(|&frame| is_odd(&numbers[frame])).collect()
    }
}

/// The pixels next to one, without it.
fn neighbours(size: usize, y: usize, x: usize, reach: usize) -> impl Iterator<Item = (usize, usize)> {
    let range = move |i: usize| i.saturating_sub(reach)..(i + reach + 1).min(size);
    range(y).flat_map(move |b| range(x).map(move |a| (b, a))).filter(move |&at| at != (y, x))
}

/// Each pixel less the median of its neighbours.
fn from_neighbours(image: ArrayView2<f32>) -> Array2<f32> {
    let size = image.nrows();
    Array2::from_shape_fn(image.dim(), |(y, x)| {
        let mut around = [0.0f32; 8];
        let mut count = 0;
        for at in neighbours(size, y, x, 1) {
            around[count] = image[at];
            count += 1;
        }
        let around = &mut around[..count];
        around.sort_unstable_by(f32::total_cmp);
        image[(y, x)] - 0.5 * (around[(count - 1) / 2] + around[count / 2])
    })
}

/// Pixels that are broken in all frames: too bright or dark beside their neighbours, with too much variance beside theirs, or with none.
fn broken(odd: &[Array2<f32>], frames: &Images, threshold: f64) -> Array2<bool> {
    let shape = odd[0].dim();
    let size = shape.0;
    let of_pixel = |i: usize| {
        let (y, x) = (i / size, i % size);
        let [mean, variance] = trimmed(odd.iter().map(|frame| f64::from(frame[(y, x)])).collect());
        let own = frames.data().slice(s![.., y, x]);
        let level = f64::from(own[0]);
        let square = own.iter().map(|&value| (f64::from(value) - level).powi(2)).sum::<f64>() / own.len() as f64;
        [mean, variance, square.sqrt()]
    };
    let moments: Vec<[f64; 3]> = (0..size * size).into_par_iter().map(of_pixel).collect();
    let column = |which: usize| moments.iter().map(move |moments| moments[which]);
    let means: Vec<f64> = column(0).collect();
    let largest = column(1).fold(f64::MIN_POSITIVE, f64::max);
    let logs =
        Array2::from_shape_vec(shape, column(1).map(|variance| (variance.max(1e-9 * largest)).ln() as f32).collect());
    let logs: Vec<f64> = from_neighbours(logs.expect("one a pixel").view()).iter().map(|&log| f64::from(log)).collect();
    let ((mean, of_mean), (log, of_log)) = (robust(&means).unwrap_or_default(), robust(&logs).unwrap_or_default());
    // without noise nothing can be told from the particle
    let of_mean = of_mean.max(1.5 * (means.iter().map(|mean| mean * mean).sum::<f64>() / means.len() as f64).sqrt());
    let of_log = of_log.max(NOISELESS);
    let most_around =
        |i: usize| neighbours(size, i / size, i % size, 1).map(|(y, x)| moments[y * size + x][1]).fold(0.0, f64::max);
    let is_broken = |i: usize| {
        let around: Vec<f64> = neighbours(size, i / size, i % size, 1).map(|(y, x)| moments[y * size + x][2]).collect();
        (means[i] - mean).abs() > threshold * of_mean
            || logs[i] - log > threshold * of_log && moments[i][1] > f64::from(ALONE) * most_around(i)
            || moments[i][2] < STILL * median(&around).unwrap_or_default()
    };
    let flags = (0..size * size).map(is_broken).collect();
    Array2::from_shape_vec(shape, flags).expect("one flag a pixel")
}

/// Mean and variance without the twentieth part, one at least, that is farthest from the median: a spike is no fault of its pixel.
fn trimmed(mut values: Vec<f64>) -> [f64; 2] {
    let middle = median(&values).unwrap_or_default();
    values.sort_unstable_by(|a, b| (a - middle).abs().total_cmp(&(b - middle).abs()));
    values.truncate(values.len() - (values.len() / 20).max(1));
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    [mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count]
}

/// Pixels of one frame that are far from their neighbours, farther than these are from each other.
fn spikes(odd: &Array2<f32>, image: ArrayView2<f32>, threshold: f64) -> Array2<bool> {
    let values: Vec<f64> = odd.iter().map(|&value| f64::from(value)).collect();
    let (middle, deviation) = robust(&values).unwrap_or_default();
    // without noise nothing can be told from the particle
    let root = (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
    let limit = threshold * deviation.max(root);
    let is_alone = |y: usize, x: usize, off: f32| {
        let around = || neighbours(image.nrows(), y, x, 1).map(|at| image[at]);
        let range = around().fold(f32::NEG_INFINITY, f32::max) - around().fold(f32::INFINITY, f32::min);
        off.abs() > ALONE * range
    };
    Array2::from_shape_fn(odd.dim(), |(y, x)| {
        let off = odd[(y, x)];
        (f64::from(off) - middle).abs() > limit && is_alone(y, x, off)
    })
}

/// Median of the nearest whole pixels.
fn of_whole_neighbours(image: ArrayView2<f32>, bad: &Array2<bool>, y: usize, x: usize) -> f32 {
    for reach in 1..image.nrows() {
        let whole: Vec<f64> =
            neighbours(image.nrows(), y, x, reach).filter(|&at| !bad[at]).map(|at| f64::from(image[at])).collect();
        if let Some(middle) = median(&whole) {
            return middle as f32;
        }
    }
    image[(y, x)]
}
