//! The pixels of a simulated frame, and Fourier transforms that leave out what a band limit removes anyway.
//!
//! A wave is held as rows `[y][x]`, its spectrum as columns `[kx][ky]`, for the |kx| within the band limit alone. Between the two passes
//! of a transform the array is turned, so that each 1D transform runs over contiguous memory; beyond the limit there is nothing to turn
//! or to transform, which saves a sixth of the work at two thirds of the Nyquist frequency.

use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::fourier::signed_index;

/// A frame of `nx` × `ny` pixels over `lx` × `ly` Å, periodic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub nx: usize,
    pub ny: usize,
    pub lx: f64,
    pub ly: f64,
}

impl Grid {
    /// Pixels in the frame.
    pub fn pixels(&self) -> usize {
        self.nx * self.ny
    }

    /// Spatial frequency [Å⁻¹] of column `ix` and row `iy` of a transform in the usual order.
    pub fn frequency(&self, ix: usize, iy: usize) -> (f64, f64) {
        (signed_index(ix, self.nx) as f64 / self.lx, signed_index(iy, self.ny) as f64 / self.ly)
    }

    /// Lower of the two Nyquist frequencies [Å⁻¹].
    pub fn nyquist(&self) -> f64 {
        (0.5 * self.nx as f64 / self.lx).min(0.5 * self.ny as f64 / self.ly)
    }
}

/// Forward and inverse transforms of a frame that keep the columns |kx| ≤ a limit; neither is normalised.
#[derive(Clone)]
pub struct BandFft {
    pub grid: Grid,
    /// Index of each kept column in the usual order: 0, 1, …, then the negative ones.
    pub columns: Vec<usize>,
    rows: [Arc<dyn Fft<f32>>; 2],
    lines: [Arc<dyn Fft<f32>>; 2],
}

const FORWARD: usize = 0;
const INVERSE: usize = 1;

impl BandFft {
    /// Plans for columns up to `limit` [Å⁻¹].
    pub fn new(grid: Grid, limit: f64) -> Self {
        let mut planner = FftPlanner::new();
        let mut plan = |n| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)];
        let columns = (0..grid.nx).filter(|&ix| grid.frequency(ix, 0).0.abs() <= limit).collect();
        Self { grid, columns, rows: plan(grid.nx), lines: plan(grid.ny) }
    }

    /// The same transforms for columns up to `limit` [Å⁻¹], which are fewer.
    pub fn narrower(&self, limit: f64) -> Self {
        let columns = self.columns.iter().copied().filter(|&ix| self.grid.frequency(ix, 0).0.abs() <= limit).collect();
        Self { columns, ..self.clone() }
    }

    /// Numbers in a spectrum.
    pub fn spectrum_len(&self) -> usize {
        self.columns.len() * self.grid.ny
    }

    /// Scratch that both directions need.
    pub fn scratch(&self) -> Vec<Complex32> {
        let plans = self.rows.iter().chain(&self.lines);
        vec![Complex32::ZERO; plans.map(|plan| plan.get_inplace_scratch_len()).max().unwrap_or(0)]
    }

    /// Tables on the kept columns: `value` of (kx, ky) [Å⁻¹] at `[kx][ky]`.
    pub fn table<T>(&self, mut value: impl FnMut(f64, f64) -> T) -> Vec<T> {
        let all = self.columns.iter().flat_map(|&ix| (0..self.grid.ny).map(move |iy| (ix, iy)));
        all.map(|(ix, iy)| self.grid.frequency(ix, iy)).map(|(kx, ky)| value(kx, ky)).collect()
    }

    /// Spectrum of `rows`, which are overwritten.
    pub fn forward(&self, rows: &mut [Complex32], spectrum: &mut [Complex32], scratch: &mut [Complex32]) {
        let Grid { nx, ny, .. } = self.grid;
        self.rows[FORWARD].process_with_scratch(rows, scratch);
        for (from, to, column) in self.runs() {
            turn(&rows[from..], nx, ny, &mut spectrum[column * ny..], ny, to - from);
        }
        self.lines[FORWARD].process_with_scratch(spectrum, scratch);
    }

    /// Wave of `spectrum`, which is overwritten.
    pub fn inverse(&self, spectrum: &mut [Complex32], rows: &mut [Complex32], scratch: &mut [Complex32]) {
        let Grid { nx, ny, .. } = self.grid;
        self.lines[INVERSE].process_with_scratch(spectrum, scratch);
        let [(_, gap_from, _), (gap_to, ..)] = self.runs();
        rows.chunks_exact_mut(nx).for_each(|row| row[gap_from..gap_to].fill(Complex32::ZERO));
        for (from, to, column) in self.runs() {
            turn(&spectrum[column * ny..], ny, to - from, &mut rows[from..], nx, ny);
        }
        self.rows[INVERSE].process_with_scratch(rows, scratch);
    }

    /// The kept columns as two runs `from..to` of the usual order, with the place of the first in the spectrum.
    fn runs(&self) -> [(usize, usize, usize); 2] {
        let Grid { nx, .. } = self.grid;
        let positive = self.columns.iter().take_while(|&&ix| ix < nx.div_ceil(2)).count();
        let negative = self.columns.len() - positive;
        [(0, positive, 0), (nx - negative, nx, positive)]
    }
}

/// Edge of the square blocks by which arrays are turned: a line of the nearest cache.
const BLOCK: usize = 8;

/// The transpose of the first `height` rows and `width` columns of an array with rows `from_stride` long, into one with rows `to_stride` long.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn turn(from: &[Complex32], from_stride: usize, height: usize, to: &mut [Complex32], to_stride: usize, width: usize) {
    let (whole_height, whole_width) = (height - height % BLOCK, width - width % BLOCK);
    for y in (0..whole_height).step_by(BLOCK) {
        for x in (0..whole_width).step_by(BLOCK) {
            let block: [&[Complex32; BLOCK]; BLOCK] = std::array::from_fn(|i| {
                from[(y + i) * from_stride + x..][..BLOCK].try_into().expect("a row of the block")
            });
            for j in 0..BLOCK {
                let line: [Complex32; BLOCK] = std::array::from_fn(|i| block[i][j]);
                to[(x + j) * to_stride + y..][..BLOCK].copy_from_slice(&line);
            }
        }
    }
    let mut copy = |x: usize, y: usize| to[x * to_stride + y] = from[y * from_stride + x];
    for y in 0..height {
        (if y < whole_height { whole_width } else { 0 }..width).for_each(|x| copy(x, y));
    }
}
