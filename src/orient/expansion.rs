//! Fourier–Bessel expansion of images and of reference slices.
//!
//! For each angular frequency m ≥ 0 the ring values F\[s, m\] are given by their coefficients in the radial basis of m, which carries the rings'
//! weights: inner products of coefficients are log-likelihoods. For real images F\[s, −m\] = (−1)ᵐ conj F\[s, m\].

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use nalgebra::Matrix3;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use super::bessel::bessel_j;
use super::radial::RadialBasis;
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::images::{MASK_EDGE, Particles, soft_disc};
use crate::product::{multiply, times_transposed};
use crate::volume::Spectrum;

/// Items kept together: what two tiles have in common is worked out with all they need in the second-level cache.
pub const TILE: usize = COLUMNS / 2;
/// Columns of a tile: two an item.
pub const COLUMNS: usize = crate::product::WIDTH;

/// The two numbers by which the coefficient F\[s, m\] = a + ib of angular frequency `m` is held: (a − b, a + b), the second with the sign of
/// (−1)ᵐ. The products of two such pairs are correlations without further arithmetic (see [`super::correlate`]).
fn held(value: Complex32, m: usize) -> [f32; 2] {
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
}

impl Expansion {
    /// All zero.
    pub fn zeros(rings: &Rings, items: usize) -> Self {
        let starts = rings.starts();
        let data = vec![0.0; items.div_ceil(TILE) * starts[starts.len() - 1] * COLUMNS];
        Self { data, starts, items }
    }

    /// Bytes that the coefficients of `items` items take.
    pub fn bytes(rings: &Rings, items: usize) -> usize {
        let coefficients: usize = rings.radial.iter().map(RadialBasis::rank).sum();
        size_of::<f32>() * coefficients * items.div_ceil(TILE) * COLUMNS
    }

    /// Expansion of masked particles: for each m one matrix product with the functions (−i)ᵐ J_m(2πsr) e^(−imφ), joined to the radial basis.
    pub fn of_particles(rings: &Rings, particles: &Particles) -> Self {
        let pairs = PixelPairs::new(particles, rings);
        let (even, odd) = pairs.sums_and_differences(particles);
        let mut out = Self::zeros(rings, particles.len());
        for m in 0..rings.orders() {
            let values = pairs.project(rings, m, if m % 2 == 0 { &even } else { &odd });
            for (item, row) in values.rows().into_iter().enumerate() {
                let mut block = out.matrix_mut(item / TILE, m);
                for (j, value) in row.to_slice().expect("standard layout").chunks_exact(2).enumerate() {
                    let [p, q] = held(Complex32::new(value[0], value[1]), m);
                    block[[j, 2 * (item % TILE)]] = p;
                    block[[j, 2 * (item % TILE) + 1]] = q;
                }
            }
        }
        out
    }

    /// Expansion of the central slices of `spectrum` seen at `rotations`.
    pub fn of_slices(rings: &Rings, spectrum: &Spectrum, rotations: &[Matrix3<f64>]) -> Self {
        let circles = Circles::new(rings);
        let mut out = Self::zeros(rings, rotations.len());
        let (starts, tile) = (&out.starts, out.data.len() / rotations.len().div_ceil(TILE).max(1));
        out.data
            .par_chunks_mut(tile.max(1))
            .zip(rotations.par_chunks(TILE))
            .for_each(|(tile, rotations)| circles.expand(rings, spectrum, rotations, starts, tile));
        out
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

    /// ‖R‖² of every item in the rings' weights: the integral of |R|² over the whole plane, over the noise.
    pub fn norms(&self) -> Vec<f32> {
        let mut norms = vec![0.0f64; self.tiles() * TILE];
        for (tile, norms) in norms.chunks_exact_mut(TILE).enumerate() {
            for m in 0..self.starts.len() - 1 {
                for row in self.block(tile, m).chunks_exact(COLUMNS) {
                    for (norm, pair) in norms.iter_mut().zip(row.chunks_exact(2)) {
                        *norm += signs_of(m) * f64::from(pair[0] * pair[0] + pair[1] * pair[1]);
                    }
                }
            }
        }
        norms.iter().take(self.items).map(|&norm| norm as f32).collect()
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

    /// Writes the expansion of the slices of one tile's rotations to its place.
    fn expand(
        &self,
        rings: &Rings,
        spectrum: &Spectrum,
        rotations: &[Matrix3<f64>],
        starts: &[usize],
        tile: &mut [f32],
    ) {
        // ring values of each angular frequency, rings × 2 columns an item
        let mut values: Vec<Array2<f32>> =
            rings.radial.iter().map(|basis| Array2::zeros((basis.analysis.dim().0, COLUMNS))).collect();
        let mut circle = Vec::new();
        for (item, rotation) in rotations.iter().enumerate() {
            let slice = spectrum.slice(rotation);
            for (ring, (turn, fft)) in self.turns.iter().zip(&self.ffts).enumerate() {
                let s = rings.frequencies[ring] as f32;
                circle.clear();
                circle.extend(turn.iter().map(|[cos, sin]| slice.value(s * cos, s * sin)));
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
fn unit(angle: f64) -> [f32; 2] {
    [angle.cos() as f32, angle.sin() as f32]
}

/// A pixel within the mask and the one opposite to it.
struct Pair {
    pixel: usize,
    opposite: usize,
    mask: f32,
    /// Index of its distance from the centre among the distinct ones.
    radius: usize,
    azimuth: f64,
}

/// The pixels within the mask in pairs at opposite sides of the centre: even angular frequencies see their sums,
/// odd ones their differences, which halves the work.
struct PixelPairs {
    pairs: Vec<Pair>,
    /// Distinct distances from the centre \[Å\].
    radii: Vec<f64>,
    /// J_m(2πsr) × pixel area for each radius, `[ring][m]`.
    bessel: Vec<Vec<Vec<f64>>>,
}

impl PixelPairs {
    fn new(particles: &Particles, rings: &Rings) -> Self {
        let (n, pixel, mask_radius) = (particles.size(), particles.pixel_size(), rings.mask_radius());
        let centre = (n / 2) as i64;
        let reach = ((mask_radius + MASK_EDGE) / pixel) as i64 + 1;
        let on_grid = |v: i64| (0..n as i64).contains(&(centre + v)) && (0..n as i64).contains(&(centre - v));
        let mut found = Vec::new();
        for y in 0..=reach {
            for x in -reach..=reach {
                if (y > 0 || x >= 0) && on_grid(x) && on_grid(y) {
                    let mask = soft_disc((centre + y) as usize, (centre + x) as usize, n, pixel, mask_radius);
                    if mask > 0.0 {
                        found.push((x, y, mask));
                    }
                }
            }
        }
        let mut squares: Vec<i64> = found.iter().map(|(x, y, _)| x * x + y * y).collect();
        squares.sort_unstable();
        squares.dedup();
        let index = |x: i64, y: i64| ((centre + y) * n as i64 + centre + x) as usize;
        let pairs = found
            .iter()
            .map(|&(x, y, mask)| Pair {
                pixel: index(x, y),
                opposite: index(-x, -y),
                // the centre is its own opposite
                mask: if (x, y) == (0, 0) { mask / 2.0 } else { mask },
                radius: squares.binary_search(&(x * x + y * y)).expect("every distance is listed"),
                azimuth: (y as f64).atan2(x as f64),
            })
            .collect();
        let radii: Vec<f64> = squares.iter().map(|&square| (square as f64).sqrt() * pixel).collect();
        let bessel = radii
            .par_iter()
            .map(|r| {
                let row = |(ring, s): (usize, &f64)| {
                    let values = bessel_j(rings.orders_of(ring), TAU * s * r);
                    values.into_iter().map(|value| value * pixel * pixel).collect()
                };
                rings.frequencies.iter().enumerate().map(row).collect()
            })
            .collect();
        Self { pairs, radii, bessel }
    }

    /// Masked sums and differences of opposite pixels, each image × pair.
    fn sums_and_differences(&self, particles: &Particles) -> (Array2<f32>, Array2<f32>) {
        let shape = (particles.len(), self.pairs.len());
        let (mut even, mut odd) = (Array2::zeros(shape), Array2::zeros(shape));
        let rows = even.axis_iter_mut(Axis(0)).into_par_iter().zip(odd.axis_iter_mut(Axis(0)));
        rows.zip(particles.data().axis_iter(Axis(0))).for_each(|((mut even, mut odd), image)| {
            let pixels = image.to_slice().expect("standard layout");
            for (i, pair) in self.pairs.iter().enumerate() {
                let (a, b) = (pixels[pair.pixel], pixels[pair.opposite]);
                even[i] = (a + b) * pair.mask;
                odd[i] = (a - b) * pair.mask;
            }
        });
        (even, odd)
    }

    /// Radial functions of angular frequency `m` at the distinct radii, `[function][radius]`.
    fn radial(&self, rings: &Rings, m: usize) -> Array2<f32> {
        let (analysis, first) = (&rings.radial[m].analysis, rings.first_ring[m]);
        let mut functions = Array2::zeros((analysis.dim().1, self.radii.len()));
        for (i, mut values) in functions.columns_mut().into_iter().enumerate() {
            for (k, weights) in analysis.rows().into_iter().enumerate() {
                let bessel = self.bessel[i][first + k][m] as f32;
                values.iter_mut().zip(weights).for_each(|(value, weight)| *value += weight * bessel);
            }
        }
        functions
    }

    /// Coefficients of angular frequency `m` of all images, each image × 2 columns a function.
    fn project(&self, rings: &Rings, m: usize, pixels: &Array2<f32>) -> Array2<f32> {
        let functions = self.radial(rings, m);
        // (−i)ᵐ e^(−imφ)
        let turn: Vec<[f32; 2]> =
            self.pairs.iter().map(|pair| unit(-(m as f64) * (pair.azimuth + TAU / 4.0))).collect();
        let rank = functions.dim().0;
        let mut basis = Array2::<f32>::zeros((2 * rank, self.pairs.len()));
        basis.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut values)| {
            let function = functions.row(row / 2);
            for ((value, pair), turn) in values.iter_mut().zip(&self.pairs).zip(&turn) {
                *value = function[pair.radius] * turn[row % 2];
            }
        });
        times_transposed(pixels, &basis)
    }
}
