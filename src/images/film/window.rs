//! Moving averages: each image the weighted mean of a window of consecutive frames.
//!
//! Windows that begin less than their width apart share frames, and with them noise: of N such images only N²/Σcᵢⱼ are independent, cᵢⱼ the correlation of
//! their noise, which is that of their weights (the variance of a mean of correlated numbers: Bayley & Hammersley, Suppl. J. R. Stat. Soc. 8 (1946)
//! 184). Two half sets that share frames agree on their noise. So the film is cut into blocks, by turns of one half and of the other,
//! with as many frames left out between two as a window has; the images come in an order in which every second one belongs to the same half.

use ndarray::{Array3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::images::{Error, Images};
use crate::pose::{Pose, Poses};
use crate::task::Task;

/// How the frames of a window weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// All alike.
    #[default]
    Flat,
    /// Falling in proportion to the distance from the middle, 0 one frame beyond the last.
    Triangular,
    /// As a Gaussian of which ± 2 standard deviations fit in.
    Gaussian,
}

/// In what order the images come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Where windows overlap: even images from the first, third, … block of frames, odd ones from the others, so that half sets share no frame.
    #[default]
    Halves,
    /// As the frames were taken.
    Time,
}

/// Options of [`Images::average`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowOptions {
    /// Frames in a window; must be given.
    pub width: usize,
    /// "flat" (default), "triangular" or "gaussian".
    pub weights: Shape,
    /// Frames from the beginning of one window to that of the next. Default: 1.
    pub stride: usize,
    /// "halves" (default) or "time".
    pub order: Order,
    /// Frames, counted from 0, that have no weight. Default: none.
    pub leave_out: Vec<usize>,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self { width: 0, weights: Shape::Flat, stride: 1, order: Order::Halves, leave_out: Vec::new() }
    }
}

/// Most blocks that a film is cut into: enough for both halves to see all directions that it shows.
const MOST_BLOCKS: usize = 16;
/// Windows in a block, where there are frames enough: one in so many is lost between blocks.
const BLOCK: usize = 10;

impl Shape {
    /// Weights of `width` frames, their sum 1.
    pub fn weights(self, width: usize) -> Vec<f64> {
        let middle = (width as f64 - 1.0) / 2.0;
        let weight = |j: usize| {
            let off = j as f64 - middle;
            match self {
                Self::Flat => 1.0,
                Self::Triangular => 1.0 - off.abs() / (middle + 1.0),
                Self::Gaussian => (-0.5 * (4.0 * off / width as f64).powi(2)).exp(),
            }
        };
        let weights: Vec<f64> = (0..width).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }
}

impl Images {
    /// Weighted means of windows of consecutive frames, each with the true pose of its middle. Windows that would reach beyond the film are none.
    ///
    /// # Errors
    /// If width or stride are 0, there are too few frames, or a window holds left-out frames alone; or when interrupted.
    pub fn average(&self, options: &WindowOptions, task: &Task) -> Result<Self, Error> {
        let &WindowOptions { width, stride, .. } = options;
        let frames = self.len();
        if !(1..=frames).contains(&width) {
            return Err(Error::Window { width, frames });
        }
        if !(1..=frames).contains(&stride) {
            return Err(Error::Option {
                name: "stride",
                range: "from 1 to the number of frames",
                value: stride as f64,
            });
        }
        if let Some(&frame) = options.leave_out.iter().find(|&&frame| frame >= frames) {
            return Err(Error::NoFrame { frame, frames });
        }
        let starts = starts(frames, options)?;
        let weights = options.weights.weights(width);
        let mut counts = vec![true; frames];
        options.leave_out.iter().for_each(|&frame| counts[frame] = false);
        let size = self.size();
        let mut data = Array3::zeros((starts.len(), size, size));
        let stage = task.stage("average", starts.len());
        data.outer_iter_mut().into_par_iter().zip(&starts).try_for_each(|(mut mean, &start)| {
            let total: f64 = weights.iter().zip(&counts[start..]).filter(|(_, counts)| **counts).map(|(w, _)| w).sum();
            if total <= 0.0 {
                return Err(Error::EmptyWindow(start));
            }
            for (j, weight) in weights.iter().enumerate().filter(|(j, _)| counts[start + j]) {
                mean.scaled_add((weight / total) as f32, &self.data().index_axis(Axis(0), start + j));
            }
            Ok(stage.advance(1)?)
        })?;
        let poses = self.true_poses().map(|poses| {
            Poses::unscored(starts.iter().map(|&start| middle(&poses.as_slice()[start..start + width])).collect())
        });
        let redundancy = self.redundancy() * starts.len() as f64 / independent(&starts, &weights);
        let means = Self::new(data, self.pixel_size()).with_redundancy(redundancy);
        Ok(match poses {
            Some(poses) => means.with_true_poses(poses),
            None => means,
        })
    }
}

/// First frames of the windows, in the order of their images.
fn starts(frames: usize, options: &WindowOptions) -> Result<Vec<usize>, Error> {
    let &WindowOptions { width, stride, order, .. } = options;
    if order == Order::Time || stride >= width {
        return Ok((0..=frames - width).step_by(stride).collect());
    }
    // two blocks of a window each, and one window between
    if frames < 3 * width {
        return Err(Error::FilmTooShort { frames, needed: 3 * width, width });
    }
    let blocks = (frames / (BLOCK * width)).clamp(2, MOST_BLOCKS) / 2 * 2;
    let gaps = (blocks - 1) * width;
    let begin = |block: usize| block * (frames - gaps) / blocks + block * width;
    let windows = |block: usize| {
        let end = begin(block + 1) - width;
        (begin(block)..=end - width).step_by(stride)
    };
    let half = |first: usize| (first..blocks).step_by(2).flat_map(windows);
    Ok(half(0).zip(half(1)).flat_map(|(one, other)| [one, other]).collect())
}

/// How many independent images so many windows are worth.
fn independent(starts: &[usize], weights: &[f64]) -> f64 {
    let power: f64 = weights.iter().map(|weight| weight * weight).sum();
    let correlations: Vec<f64> = (0..weights.len())
        .map(|lag| weights.iter().zip(&weights[lag..]).map(|(a, b)| a * b).sum::<f64>() / power)
        .collect();
    let mut sorted = starts.to_vec();
    sorted.sort_unstable();
    let beyond = |i: usize| {
        let near = sorted[i + 1..].iter().map(|start| start - sorted[i]).take_while(|&lag| lag < weights.len());
        near.map(|lag| correlations[lag]).sum::<f64>()
    };
    let count = starts.len() as f64;
    count * count / (count + 2.0 * (0..sorted.len()).map(beyond).sum::<f64>())
}

/// The pose in the middle of some: halfway between the middle two of an even number.
fn middle(poses: &[Pose]) -> Pose {
    let (a, b) = (poses[(poses.len() - 1) / 2], poses[poses.len() / 2]);
    if a == b {
        return a;
    }
    let rotation = a.rotation.try_slerp(&b.rotation, 0.5, 1e-9).unwrap_or(a.rotation);
    Pose { rotation, shift: (a.shift + b.shift) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_blocks_that_are_a_window_apart() {
        for (frames, width, stride) in [(30, 10, 1), (31, 10, 1), (400, 7, 2), (5000, 12, 1), (5001, 5, 3)] {
            let options = WindowOptions { width, stride, ..WindowOptions::default() };
            let starts = starts(frames, &options).unwrap();
            let of_half = |half: usize| starts.iter().skip(half).step_by(2).copied().collect::<Vec<_>>();
            let (even, odd) = (of_half(0), of_half(1));
            assert!(even.len() == odd.len() && !even.is_empty());
            assert!(starts.iter().all(|start| start + width <= frames));
            let nearest = even.iter().flat_map(|a| odd.iter().map(|b| a.abs_diff(*b))).min().unwrap();
            assert!(nearest >= 2 * width, "{frames} {width}: {nearest}: the frames between two windows are one window");
            let lost = 1.0 - (starts.len() * stride) as f64 / frames as f64;
            assert!(frames < 20 * width || lost < 0.25, "{frames} {width} {stride}: {lost}");
        }
        assert!(matches!(
            starts(29, &WindowOptions { width: 10, ..WindowOptions::default() }),
            Err(Error::FilmTooShort { needed: 30, .. })
        ));
    }

    #[test]
    fn independent_images_are_as_many_as_the_variance_of_their_mean_says() {
        // white noise, its mean over overlapping windows, a thousand times
        use rand::RngExt;
        for (shape, stride) in [(Shape::Flat, 1), (Shape::Gaussian, 2), (Shape::Triangular, 3), (Shape::Flat, 8)] {
            let (width, frames) = (8, 60);
            let weights = shape.weights(width);
            let starts: Vec<usize> = (0..=frames - width).step_by(stride).collect();
            let mut squares = 0.0;
            for trial in 0..4000 {
                let mut rng = crate::random::stream(5, "window test", trial);
                let noise: Vec<f64> = (0..frames).map(|_| rng.sample(rand_distr::StandardNormal)).collect();
                let image = |start: &usize| weights.iter().zip(&noise[*start..]).map(|(w, n)| w * n).sum::<f64>();
                squares += (starts.iter().map(image).sum::<f64>() / starts.len() as f64).powi(2);
            }
            let of_one: f64 = weights.iter().map(|w| w * w).sum();
            let found = independent(&starts, &weights);
            let expected = of_one / (squares / 4000.0);
            assert!((found / expected - 1.0).abs() < 0.07, "{shape:?} {stride}: {found}, {expected}");
        }
    }
}
