//! Fourier–Bessel expansion of images and of reference slices.
//!
//! For each angular frequency m ≥ 0 the ring values F\[s, m\] are given by their coefficients in the radial basis of m, which carries the rings'
//! weights: inner products of coefficients are log-likelihoods. For real images F\[s, −m\] = (−1)ᵐ conj F\[s, m\].

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use nalgebra::Matrix3;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use super::radial::RadialBasis;
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::product::multiply;
use crate::task::{Cancelled, Task};
use crate::volume::Spectrum;

/// Items kept together: what two tiles have in common is worked out with all they need in the second-level cache.
pub const TILE: usize = COLUMNS / 2;
/// Columns of a tile: two an item.
pub const COLUMNS: usize = crate::product::WIDTH;

/// The two numbers by which the coefficient F\[s, m\] = a + ib of angular frequency `m` is held: (a − b, a + b), the second with the sign of
/// (−1)ᵐ. The products of two such pairs are correlations without further arithmetic (see [`super::correlate`]).
pub(super) fn held(value: Complex32, m: usize) -> [f32; 2] {
    let sum = value.re + value.im;
    [value.re - value.im, if m.is_multiple_of(2) { sum } else { -sum }]
}

/// The coefficient that two numbers hold.
fn released([p, q]: [f32; 2], m: usize) -> Complex32 {
    let q = if m.is_multiple_of(2) { q } else { -q };
    Complex32::new(0.5 * (p + q), 0.5 * (q - p))
}

/// Coefficients of several items (images or references), in tiles of [`TILE`] items: for each m a matrix of rank × 2 columns an item
/// that hold a coefficient. What the last tile has beyond the items is zero.
#[derive(Debug, Clone)]
pub struct Expansion {
    /// `[tile][m][function][column]`
    data: Vec<f32>,
    /// Where each m begins in one item's coefficients.
    starts: Vec<usize>,
    items: usize,
    /// ‖R‖² of every item, if they are slices.
    norms: Vec<f32>,
}

impl Expansion {
    /// All zero.
    pub fn zeros(rings: &Rings, items: usize) -> Self {
        let starts = rings.starts();
        let data = vec![0.0; items.div_ceil(TILE) * starts[starts.len() - 1] * COLUMNS];
        Self { data, starts, items, norms: Vec::new() }
    }

    /// Bytes that the coefficients of `items` items take.
    pub fn bytes(rings: &Rings, items: usize) -> usize {
        let coefficients: usize = rings.radial.iter().map(RadialBasis::rank).sum();
        size_of::<f32>() * coefficients * items.div_ceil(TILE) * COLUMNS
    }

    /// Expansion of the central slices of `spectrum` seen at `rotations`.
    pub fn of_slices(
        rings: &Rings,
        spectrum: &Spectrum,
        rotations: &[Matrix3<f64>],
        task: &Task,
    ) -> Result<Self, Cancelled> {
        let circles = Circles::new(rings);
        let mut out = Self::zeros(rings, rotations.len());
        out.norms = vec![0.0; rotations.len()];
        let (starts, tile) = (&out.starts, out.data.len() / rotations.len().div_ceil(TILE).max(1));
        let tiles = out.data.par_chunks_mut(tile.max(1)).zip(out.norms.par_chunks_mut(TILE));
        tiles.zip(rotations.par_chunks(TILE)).try_for_each(|((tile, norms), rotations)| {
            circles.expand(rings, spectrum, rotations, starts, tile, norms);
            task.check()
        })?;
        Ok(out)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Number of tiles.
    pub fn tiles(&self) -> usize {
        self.items.div_ceil(TILE)
    }

    /// Items in tile `tile`.
    pub fn items_of(&self, tile: usize) -> usize {
        TILE.min(self.items - tile * TILE)
    }

    fn range(&self, tile: usize, m: usize) -> Range<usize> {
        let first = tile * self.starts[self.starts.len() - 1];
        (first + self.starts[m]) * COLUMNS..(first + self.starts[m + 1]) * COLUMNS
    }

    fn rank(&self, m: usize) -> usize {
        self.starts[m + 1] - self.starts[m]
    }

    /// Coefficients of one tile at angular frequency `m`, rank × [`COLUMNS`], row-major.
    pub fn block(&self, tile: usize, m: usize) -> &[f32] {
        &self.data[self.range(tile, m)]
    }

    /// [`Expansion::block`] as a matrix.
    pub fn matrix(&self, tile: usize, m: usize) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rank(m), COLUMNS), self.block(tile, m)).expect("a block of a tile")
    }

    /// The same, to be changed.
    pub fn matrix_mut(&mut self, tile: usize, m: usize) -> ArrayViewMut2<'_, f32> {
        let (rank, range) = (self.rank(m), self.range(tile, m));
        ArrayViewMut2::from_shape((rank, COLUMNS), &mut self.data[range]).expect("a block of a tile")
    }

    /// Adds the coefficients of as many other items.
    pub fn add(&mut self, other: &Self) {
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += b);
    }

    /// Samples of item `item` on the first half of every ring, ring after ring: the inverse of the expansion.
    pub fn polar(&self, rings: &Rings, item: usize, planner: &mut FftPlanner<f32>) -> Vec<Complex32> {
        let coefficients = self.ring_values(rings, item);
        let mut samples = Vec::with_capacity(rings.half_samples());
        for (ring, &n) in rings.samples.iter().enumerate() {
            let mut turn = vec![Complex32::default(); n];
            for m in 0..rings.orders_of(ring) {
                let value = coefficients[m][ring - rings.first_ring[m]];
                turn[m] = value;
                if m > 0 {
                    turn[n - m] = if m % 2 == 0 { value.conj() } else { -value.conj() };
                }
            }
            planner.plan_fft_inverse(n).process(&mut turn);
            samples.extend_from_slice(&turn[..n / 2]);
        }
        samples
    }

    /// F\[s, m\] of one item, `[m][ring − first ring of m]`.
    fn ring_values(&self, rings: &Rings, item: usize) -> Vec<Vec<Complex32>> {
        let column = 2 * (item % TILE);
        let values = |(m, basis): (usize, &RadialBasis)| {
            let coefficients = self.matrix(item / TILE, m).slice_move(s![.., column..column + 2]);
            let rows = basis.synthesis.dot(&coefficients);
            rows.rows().into_iter().map(|row| released([row[0], row[1]], m)).collect()
        };
        rings.radial.iter().enumerate().map(values).collect()
    }

    /// Mean power of the items on every ring.
    pub fn ring_power(&self, rings: &Rings) -> Vec<f64> {
        let mut power = vec![0.0f64; rings.frequencies.len()];
        for (m, basis) in rings.radial.iter().enumerate() {
            for tile in 0..self.tiles() {
                let values = basis.synthesis.dot(&self.matrix(tile, m));
                for (k, row) in values.rows().into_iter().enumerate() {
                    let sum: f64 = row.iter().map(|v| f64::from(v * v)).sum();
                    power[k + rings.first_ring[m]] += signs_of(m) * sum;
                }
            }
        }
        power.iter().map(|sum| sum / self.items.max(1) as f64).collect()
    }

    /// ‖R‖² of every slice in the rings' weights: the integral of |R|² over the whole plane, over the noise. Taken from the samples on all rings, not from
    /// coefficients, of which scores would else lack what interpolation puts beyond the particle's mask. Empty for images.
    pub fn norms(&self) -> &[f32] {
        &self.norms
    }
}

/// What the squares of the two numbers held count for: |F|² is half their sum, and stands for m and −m.
fn signs_of(m: usize) -> f64 {
    if m == 0 { 0.5 } else { 1.0 }
}

/// Where slices are sampled: points and transforms of every ring.
struct Circles {
    /// Cosine and sine of each sample on the first half of each ring.
    turns: Vec<Vec<[f32; 2]>>,
    ffts: Vec<Arc<dyn Fft<f32>>>,
}

impl Circles {
    fn new(rings: &Rings) -> Self {
        let mut planner = FftPlanner::new();
        Self {
            turns: rings.samples.iter().map(|&n| half_turn(n)).collect(),
            ffts: rings.samples.iter().map(|&n| planner.plan_fft_forward(n)).collect(),
        }
    }

    /// Writes the expansion of the slices of one tile's rotations, and their norms, to their places.
    fn expand(
        &self,
        rings: &Rings,
        spectrum: &Spectrum,
        rotations: &[Matrix3<f64>],
        starts: &[usize],
        tile: &mut [f32],
        norms: &mut [f32],
    ) {
        // ring values of each angular frequency, rings × 2 columns an item
        let mut values: Vec<Array2<f32>> =
            rings.radial.iter().map(|basis| Array2::zeros((basis.analysis.dim().0, COLUMNS))).collect();
        let mut circle = Vec::new();
        for (item, rotation) in rotations.iter().enumerate() {
            let slice = spectrum.slice(rotation);
            let mut norm = 0.0;
            for (ring, (turn, fft)) in self.turns.iter().zip(&self.ffts).enumerate() {
                let s = rings.frequencies[ring] as f32;
                circle.clear();
                circle.extend(turn.iter().map(|[cos, sin]| slice.value(s * cos, s * sin)));
                let power: f64 = circle.iter().map(|value| f64::from(value.norm_sqr())).sum();
                norm += rings.weights[ring] * power / turn.len() as f64;
                circle.extend_from_within(..);
                circle[turn.len()..].iter_mut().for_each(|value| *value = value.conj());
                fft.process(&mut circle);
                let scale = 1.0 / circle.len() as f32;
                for m in 0..rings.orders_of(ring) {
                    let row = ring - rings.first_ring[m];
                    let [p, q] = held(circle[m] * scale, m);
                    values[m][[row, 2 * item]] = p;
                    values[m][[row, 2 * item + 1]] = q;
                }
            }
            norms[item] = norm as f32;
        }
        for (m, (values, basis)) in values.iter().zip(&rings.radial).enumerate() {
            let block = &mut tile[starts[m] * COLUMNS..starts[m + 1] * COLUMNS];
            let block = ArrayViewMut2::from_shape((basis.rank(), COLUMNS), block).expect("a block of a tile");
            multiply(basis.analysis.t(), values.view(), block, false);
        }
    }
}

/// Cosine and sine of the first half of `n` angles around a circle.
pub fn half_turn(n: usize) -> Vec<[f32; 2]> {
    (0..n / 2).map(|i| unit(TAU * i as f64 / n as f64)).collect()
}

/// Cosine and sine.
pub(super) fn unit(angle: f64) -> [f32; 2] {
    [angle.cos() as f32, angle.sin() as f32]
}
