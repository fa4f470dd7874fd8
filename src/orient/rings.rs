//! The rings and angular frequencies on which images and references are compared.
//!
//! A masked image of radius R has on the ring of frequency s no angular frequencies beyond m ≈ 2πsR. Orders are kept for
//! 0 ≤ m ≤ 2πsR + 1 only, a triangle in (s, m).

use std::f64::consts::TAU;

use super::radial::{NEGLIGIBLE, RadialBasis, radial_bases};
use crate::fourier::fast_size;
use crate::images::{MASK_EDGE, Particles};

/// Angular frequencies kept beyond the particle's band limit: scores change by less than 1e-4 for those farther beyond.
const MARGIN: usize = 1;
/// The same where rings are sampled: what interpolation puts beyond the limit must not fold back.
const SAMPLED_MARGIN: usize = 3;

/// The rings and angular frequencies on which images and references are compared.
#[derive(Debug, Clone)]
pub struct Rings {
    /// Spatial frequency of each ring [1/Å].
    pub frequencies: Vec<f64>,
    /// Area of Fourier space that a ring stands for, over the noise density there: makes sums log-likelihoods.
    pub weights: Vec<f64>,
    /// For each angular frequency m, the first ring that reaches it.
    pub first_ring: Vec<usize>,
    /// In-plane angles compared, enough for all angular frequencies: half the limit or less apart at the particle's rim; even.
    pub angles: usize,
    /// Samples around each ring, enough for the angular frequencies that it reaches; even.
    pub samples: Vec<usize>,
    /// For each angular frequency, the radial basis of its coefficients.
    pub radial: Vec<RadialBasis>,
    mask_radius: f64,
}

/// Smallest number ≥ `n` of the form 2ᵃ, 3·2ᵃ or 9·2ᵃ, at least 18: transforms of these lengths take the least time, even longer ones.
fn fast_turn(n: usize) -> usize {
    let double = n.next_power_of_two().max(32);
    [9, 12].map(|parts| double / 16 * parts).into_iter().find(|&length| length >= n).unwrap_or(double)
}

impl Rings {
    /// Rings up to 1/`low_pass` for these particles.
    ///
    /// |F|² of an image masked at radius R is band-limited to 2R: rings 1/(4R) apart make sums integrals.
    pub fn new(particles: &Particles, low_pass: f64) -> Self {
        Self::with_basis(particles, low_pass, MARGIN, NEGLIGIBLE)
    }

    /// The same with all coefficients that the rings' samples have.
    #[cfg(test)]
    pub fn uncompressed(particles: &Particles, low_pass: f64) -> Self {
        Self::with_basis(particles, low_pass, SAMPLED_MARGIN, -1.0)
    }

    fn with_basis(particles: &Particles, low_pass: f64, margin: usize, negligible: f64) -> Self {
        let step = 0.25 / (particles.mask_radius() + MASK_EDGE);
        let count = (1.0 / low_pass / step + 1e-6) as usize;
        let frequencies: Vec<f64> = (1..=count).map(|ring| ring as f64 * step).collect();
        let radius = particles.mask_radius();
        let limit = |s: f64| (TAU * s * radius) as usize;
        let highest = |s: f64| limit(s) + margin;
        // even, for the kernels take angular frequencies in pairs
        let orders = frequencies.last().map_or(0, |&s| (highest(s) + 1).next_multiple_of(2));
        let first_ring: Vec<usize> = (0..orders).map(|m| frequencies.partition_point(|&s| highest(s) < m)).collect();
        let weights: Vec<f64> = frequencies.iter().map(|&s| TAU * s * step / particles.noise_density(s)).collect();
        let radial = radial_bases(&frequencies, &weights, &first_ring, radius + MASK_EDGE / 2.0, negligible);
        let samples = frequencies.iter().map(|&s| 2 * fast_size(limit(s) + SAMPLED_MARGIN + 1)).collect();
        let angles = fast_turn(2 * orders);
        Self { frequencies, weights, first_ring, angles, samples, radial, mask_radius: radius }
    }

    /// Resolution of the outermost ring \[Å\].
    pub fn finest(&self) -> f64 {
        self.frequencies.last().map_or(f64::INFINITY, |s| 1.0 / s)
    }

    /// Number of angular frequencies m ≥ 0.
    pub fn orders(&self) -> usize {
        self.first_ring.len()
    }

    /// Where the coefficients of each angular frequency begin among all of an item, and their number at the end.
    pub fn starts(&self) -> Vec<usize> {
        let mut starts = vec![0];
        for basis in &self.radial {
            starts.push(starts[starts.len() - 1] + basis.rank());
        }
        starts
    }

    /// Samples on all rings, half a turn of each.
    pub fn half_samples(&self) -> usize {
        self.samples.iter().sum::<usize>() / 2
    }

    /// Radius of the images' mask, to the middle of its soft edge \[Å\].
    pub fn mask_radius(&self) -> f64 {
        self.mask_radius
    }

    /// Angular frequencies that ring `ring` reaches.
    pub fn orders_of(&self, ring: usize) -> usize {
        self.first_ring.partition_point(|&first| first <= ring)
    }
}
