//! Fourier–Bessel expansion of masked images, by one matrix product an angular frequency.

use std::f64::consts::TAU;

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::bessel::bessel_j;
use super::expansion::{Expansion, TILE, held, unit};
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::images::{MASK_EDGE, Particles, soft_disc};
use crate::product::times_transposed;
use crate::task::{Cancelled, Task};

/// A pixel within the mask and the one opposite to it.
struct Pair {
    pixel: usize,
    opposite: usize,
    mask: f32,
    /// Index of its distance from the centre among the distinct ones.
    radius: usize,
    azimuth: f64,
}

/// The functions (−i)ᵐ J_m(2πsr) e^(−imφ), joined to the radial basis, on the pixels of particles.
///
/// The pixels within the mask are taken in pairs at opposite sides of the centre: even angular frequencies see their sums, odd ones their
/// differences, which halves the work.
pub struct PixelBasis<'a> {
    rings: &'a Rings,
    pairs: Vec<Pair>,
    /// For each m the radial functions × pixel area, `[function][radius]`, at the distinct distances from the centre.
    radial: Vec<Array2<f32>>,
}

impl<'a> PixelBasis<'a> {
    /// The basis for particles of this size, pixel and mask.
    pub fn new(rings: &'a Rings, particles: &Particles) -> Self {
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
        let area = pixel * pixel;
        // [ring][radius][m]
        let bessel: Vec<Vec<Vec<f64>>> = rings
            .frequencies
            .par_iter()
            .enumerate()
            .map(|(ring, s)| radii.iter().map(|r| bessel_j(rings.orders_of(ring), TAU * s * r)).collect())
            .collect();
        let radial = (0..rings.orders())
            .into_par_iter()
            .map(|m| {
                let first = rings.first_ring[m];
                let table = Array2::from_shape_fn((rings.frequencies.len() - first, radii.len()), |(k, i)| {
                    (bessel[first + k][i][m] * area) as f32
                });
                rings.radial[m].analysis.t().dot(&table)
            })
            .collect();
        Self { rings, pairs, radial }
    }

    /// Expansion of particles as the basis was made for.
    pub fn expand(&self, particles: &Particles, task: &Task) -> Result<Expansion, Cancelled> {
        let (even, odd) = self.sums_and_differences(particles);
        let mut out = Expansion::zeros(self.rings, particles.len());
        for m in 0..self.rings.orders() {
            task.check()?;
            let values = self.project(m, if m % 2 == 0 { &even } else { &odd });
            for (item, row) in values.rows().into_iter().enumerate() {
                let mut block = out.matrix_mut(item / TILE, m);
                for (j, value) in row.to_slice().expect("standard layout").chunks_exact(2).enumerate() {
                    let [p, q] = held(Complex32::new(value[0], value[1]), m);
                    block[[j, 2 * (item % TILE)]] = p;
                    block[[j, 2 * (item % TILE) + 1]] = q;
                }
            }
        }
        Ok(out)
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

    /// Coefficients of angular frequency `m` of all images, each image × 2 columns a function.
    fn project(&self, m: usize, pixels: &Array2<f32>) -> Array2<f32> {
        let functions = &self.radial[m];
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
