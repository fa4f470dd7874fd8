//! Fourier–Bessel expansion of images and of reference slices.
//!
//! A masked image of radius R has on the ring of frequency s no angular frequencies beyond m ≈ 2πsR. Coefficients
//! are kept for 0 ≤ m ≤ 2πsR + 3 only, a triangle in (s, m), m-major: for each m the rings that reach it, real parts and
//! imaginary parts in separate rows. For real images F\[s, −m\] = (−1)ᵐ conj F\[s, m\].

use std::f64::consts::TAU;

use nalgebra::Matrix3;
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use rustfft::FftPlanner;

use super::bessel::bessel_j;
use super::correlate::product;
use crate::fourier::{Complex32, fast_size};
use crate::images::{MASK_EDGE, Particles, soft_disc};
use crate::volume::Spectrum;

/// Angular frequencies kept beyond the particle's band limit.
const MARGIN: usize = 3;

/// The rings and angular frequencies on which images and references are compared.
#[derive(Debug, Clone)]
pub struct Rings {
    /// Spatial frequency of each ring [1/Å].
    pub frequencies: Vec<f64>,
    /// Area of Fourier space that a ring stands for, over the noise density there: makes sums log-likelihoods.
    pub weights: Vec<f64>,
    /// For each angular frequency m, the first ring that reaches it.
    pub first_ring: Vec<usize>,
    /// Samples around a full ring, enough for all angular frequencies; even.
    pub angles: usize,
    mask_radius: f64,
}

impl Rings {
    /// Rings `step` apart [1/Å] up to 1/`low_pass` for these particles.
    pub fn new(particles: &Particles, low_pass: f64, step: f64) -> Self {
        let count = (1.0 / low_pass / step + 1e-6) as usize;
        let frequencies: Vec<f64> = (1..=count).map(|ring| ring as f64 * step).collect();
        let radius = particles.mask_radius();
        let highest = |s: f64| (TAU * s * radius) as usize + MARGIN;
        let orders = frequencies.last().map_or(0, |&s| highest(s) + 1);
        let first_ring = (0..orders).map(|m| frequencies.partition_point(|&s| highest(s) < m)).collect();
        let weights = frequencies.iter().map(|&s| TAU * s * step / particles.noise_density(s)).collect();
        Self { frequencies, weights, first_ring, angles: 2 * fast_size(orders), mask_radius: radius }
    }

    /// Number of angular frequencies m ≥ 0.
    pub fn orders(&self) -> usize {
        self.first_ring.len()
    }

    /// Rings that reach angular frequency `m`.
    pub fn rings_at(&self, m: usize) -> usize {
        self.frequencies.len() - self.first_ring[m]
    }

    /// Angular frequencies that ring `ring` reaches.
    fn orders_of(&self, ring: usize) -> usize {
        self.first_ring.partition_point(|&first| first <= ring)
    }
}

/// Coefficients of several items (images or references): for each m a matrix of 2 rows an item (real, imaginary) × rings.
#[derive(Debug, Clone)]
pub struct Expansion {
    pub orders: Vec<Array2<f32>>,
    pub items: usize,
}

impl Expansion {
    /// All zero.
    pub fn zeros(rings: &Rings, items: usize) -> Self {
        let orders = (0..rings.orders()).map(|m| Array2::zeros((2 * items, rings.rings_at(m)))).collect();
        Self { orders, items }
    }

    /// Bytes that the coefficients of `items` items take.
    pub fn bytes(rings: &Rings, items: usize) -> usize {
        let coefficients: usize = (0..rings.orders()).map(|m| rings.rings_at(m)).sum();
        2 * size_of::<f32>() * coefficients * items
    }

    /// Expansion of masked particles: for each m one matrix product with the functions (−i)ᵐ J_m(2πsr) e^(−imφ).
    pub fn of_particles(rings: &Rings, particles: &Particles) -> Self {
        let pairs = PixelPairs::new(particles, rings);
        let (even, odd) = pairs.sums_and_differences(particles);
        let orders =
            (0..rings.orders()).map(|m| pairs.project(rings, m, if m % 2 == 0 { &even } else { &odd })).collect();
        Self { orders, items: particles.len() }
    }

    /// Expansion of the central slices of `spectrum` seen at `rotations`.
    pub fn of_slices(rings: &Rings, spectrum: &Spectrum, rotations: &[Matrix3<f64>]) -> Self {
        let half = rings.angles / 2;
        let turn: Vec<[f32; 2]> = (0..half)
            .map(|i| (TAU * i as f64 / rings.angles as f64).sin_cos())
            .map(|(sin, cos)| [cos as f32, sin as f32])
            .collect();
        let fft = FftPlanner::new().plan_fft_forward(rings.angles);
        let per_item: Vec<Vec<Complex32>> = rotations
            .par_iter()
            .map(|rotation| {
                let slice = spectrum.slice(rotation);
                let mut grid = vec![Complex32::default(); rings.frequencies.len() * rings.angles];
                for (ring, samples) in rings.frequencies.iter().zip(grid.chunks_exact_mut(rings.angles)) {
                    let s = *ring as f32;
                    for (angle, [cos, sin]) in turn.iter().enumerate() {
                        let value = slice.value(s * cos, s * sin);
                        samples[angle] = value;
                        samples[angle + half] = value.conj();
                    }
                }
                fft.process(&mut grid);
                grid
            })
            .collect();
        let scale = 1.0 / rings.angles as f32;
        let mut out = Self::zeros(rings, rotations.len());
        for (m, matrix) in out.orders.iter_mut().enumerate() {
            for (item, grid) in per_item.iter().enumerate() {
                for k in 0..rings.rings_at(m) {
                    let value = grid[(k + rings.first_ring[m]) * rings.angles + m] * scale;
                    matrix[[2 * item, k]] = value.re;
                    matrix[[2 * item + 1, k]] = value.im;
                }
            }
        }
        out
    }

    /// Samples of item `item` on the first half of every ring, `[ring][angle]`: the inverse of the expansion.
    pub fn polar(&self, rings: &Rings, item: usize, planner: &mut FftPlanner<f32>) -> Vec<Complex32> {
        let n = rings.angles;
        let mut grid = vec![Complex32::default(); rings.frequencies.len() * n];
        for (m, matrix) in self.orders.iter().enumerate() {
            let sign = if m % 2 == 0 { 1.0 } else { -1.0 };
            for k in 0..rings.rings_at(m) {
                let value = Complex32::new(matrix[[2 * item, k]], matrix[[2 * item + 1, k]]);
                let row = &mut grid[(k + rings.first_ring[m]) * n..][..n];
                row[m] = value;
                if m > 0 {
                    row[n - m] = value.conj() * sign;
                }
            }
        }
        planner.plan_fft_inverse(n).process(&mut grid);
        grid.chunks_exact(n).flat_map(|ring| ring[..n / 2].iter().copied()).collect()
    }

    /// ‖R‖² of every item in the rings' weights: the integral of |R|² over the whole plane, over the noise.
    pub fn norms(&self, rings: &Rings) -> Vec<f32> {
        let mut norms = vec![0.0f64; self.items];
        for (m, matrix) in self.orders.iter().enumerate() {
            let both_signs = if m == 0 { 1.0 } else { 2.0 };
            let weights = &rings.weights[rings.first_ring[m]..];
            for (row, values) in matrix.rows().into_iter().enumerate() {
                let sum: f64 = values.iter().zip(weights).map(|(v, w)| f64::from(v * v) * w).sum();
                norms[row / 2] += both_signs * sum;
            }
        }
        norms.into_iter().map(|norm| norm as f32).collect()
    }

    /// The same coefficients multiplied by the rings' weights.
    pub fn weighted(mut self, rings: &Rings) -> Self {
        for (m, matrix) in self.orders.iter_mut().enumerate() {
            let weights = &rings.weights[rings.first_ring[m]..];
            for mut row in matrix.rows_mut() {
                row.iter_mut().zip(weights).for_each(|(value, weight)| *value *= *weight as f32);
            }
        }
        self
    }
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
    /// J_m(2πsr) × pixel area for each ring, `[radius][m]`.
    bessel: Vec<Array2<f32>>,
}

impl PixelPairs {
    fn new(particles: &Particles, rings: &Rings) -> Self {
        let (n, pixel, mask_radius) = (particles.size(), particles.pixel_size(), rings.mask_radius);
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
        let bessel = (0..rings.frequencies.len())
            .into_par_iter()
            .map(|ring| {
                let orders = rings.orders_of(ring);
                let mut table = Array2::zeros((squares.len(), orders));
                for (mut row, &square) in table.rows_mut().into_iter().zip(&squares) {
                    let x = TAU * rings.frequencies[ring] * (square as f64).sqrt() * pixel;
                    for (to, from) in row.iter_mut().zip(bessel_j(orders, x)) {
                        *to = (from * pixel * pixel) as f32;
                    }
                }
                table
            })
            .collect();
        Self { pairs, bessel }
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

    /// Coefficients of angular frequency `m` of all images, 2 rows an image × rings.
    fn project(&self, rings: &Rings, m: usize, pixels: &Array2<f32>) -> Array2<f32> {
        let count = rings.rings_at(m);
        // (−i)ᵐ e^(−imφ) as [cosine, sine]
        let turn: Vec<[f32; 2]> = self
            .pairs
            .iter()
            .map(|pair| (-(m as f64) * (pair.azimuth + TAU / 4.0)).sin_cos())
            .map(|(sin, cos)| [cos as f32, sin as f32])
            .collect();
        let mut basis = Array2::<f32>::zeros((2 * count, self.pairs.len()));
        basis.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut values)| {
            let table = self.bessel[rings.first_ring[m] + row / 2].column(m);
            for ((value, pair), turn) in values.iter_mut().zip(&self.pairs).zip(&turn) {
                *value = table[pair.radius] * turn[row % 2];
            }
        });
        let product = product(pixels, &basis);
        Array2::from_shape_fn((2 * pixels.dim().0, count), |(row, k)| product[[row / 2, 2 * k + row % 2]])
    }
}
