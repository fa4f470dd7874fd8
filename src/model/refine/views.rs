//! The images as the model meets them: their Fourier coefficients with the weights of the noise, and the square of frequencies that they are taken from.

use ndarray::{Array2, ArrayView1};

use crate::fourier::Complex32;
use crate::images::{Particles, Samples};
use crate::task::{Cancelled, Task};

/// Fourier coefficients of all images up to a limit of resolution, one of each ± pair.
pub struct Views {
    /// Largest index of a frequency along an axis.
    pub reach: usize,
    /// Edge of an image \[Å\].
    pub edge: f64,
    /// Spatial frequency (x, y) of each sample [1/Å].
    pub frequencies: Vec<[f32; 2]>,
    /// Place of each sample in a square of frequencies `[ky][kx]`, −reach to reach along both axes.
    pub places: Vec<usize>,
    /// Distance of each sample from the origin, in units of 1/edge, rounded.
    pub rings: Vec<usize>,
    /// 1/(expected |noise|²) of each sample.
    pub weights: Vec<f32>,
    /// How many times as many images there are as independent ones.
    pub redundancy: f64,
    values: Array2<Complex32>,
}

impl Views {
    /// Of particles up to `low_pass` \[Å\].
    pub fn new(particles: &Particles, low_pass: f64, task: &Task) -> Result<Self, Cancelled> {
        let edge = particles.edge();
        let samples = Samples::unmasked(particles, low_pass, task)?;
        let index = |k: f32| (f64::from(k) * edge).round() as isize;
        let reach = samples.frequencies.iter().flatten().map(|&k| index(k).unsigned_abs()).max().unwrap_or(0);
        let width = 2 * reach + 1;
        let place = |[kx, ky]: &[f32; 2]| {
            let along = |k| (index(k) + reach as isize) as usize;
            along(*ky) * width + along(*kx)
        };
        Ok(Self {
            reach,
            edge,
            places: samples.frequencies.iter().map(place).collect(),
            rings: samples.lengths.iter().map(|&length| (f64::from(length) * edge).round() as usize).collect(),
            weights: samples.noise.iter().map(|noise| 1.0 / noise).collect(),
            frequencies: samples.frequencies,
            redundancy: particles.redundancy(),
            values: samples.values,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.values.dim().0
    }

    /// Coefficients of one image.
    pub fn image(&self, index: usize) -> ArrayView1<'_, Complex32> {
        self.values.row(index)
    }

    /// Frequencies along an edge of the square.
    pub fn width(&self) -> usize {
        2 * self.reach + 1
    }

    /// Place of −k in the square, for the place of k.
    pub fn mirror(&self, place: usize) -> usize {
        self.width() * self.width() - 1 - place
    }

    /// Number of rings, the origin's among them.
    pub fn ring_count(&self) -> usize {
        self.rings.iter().max().map_or(0, |ring| ring + 1)
    }

    /// Mean |coefficient|² of each image in units of the noise.
    pub fn powers(&self) -> Vec<f64> {
        let power = |values: ArrayView1<Complex32>| {
            let sum: f64 = values.iter().zip(&self.weights).map(|(v, weight)| f64::from(v.norm_sqr() * weight)).sum();
            sum / values.len().max(1) as f64
        };
        self.values.outer_iter().map(power).collect()
    }

    /// Σ of the weights of one image's samples on each ring.
    pub fn ring_weights(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.ring_count()];
        for (&ring, &weight) in self.rings.iter().zip(&self.weights) {
            sums[ring] += f64::from(weight);
        }
        sums
    }
}
