//! Projected potentials of slices, exact in the atoms' positions.
//!
//! V(r) = 1/(lx·ly) Σ_k V̂(k) e^(2πi k·r) with V̂(k) = Σ_atoms 47.88 V Å²·f_e(|k|)·e^(−2πi k·r_atom), over every frequency of the grid: an atom
//! keeps its shape wherever it sits between the pixels. Each phase factor is a product of one in kx and one in ky, so that the sum over the atoms of an
//! element is a *matrix product*, of cosines and sines for the quarter plane kx, ky ≥ 0; the other quarters are its signs.

use std::f64::consts::PI;
use std::sync::Arc;

use ndarray::{Array2, s};
use realfft::{ComplexToReal, RealFftPlanner};
use rustfft::num_complex::{Complex32, Complex64};
use rustfft::{Fft, FftPlanner};

use super::grid::Grid;
use crate::microscope::ScatteringFactors;
use crate::product::multiply;
use crate::structure::Element;

/// What turns atoms into potentials on one grid.
pub struct Potential {
    grid: Grid,
    /// Largest indices of frequencies along x and y.
    reach: [usize; 2],
    /// V̂ of one atom at the origin over the number of pixels and their area [V Å], `[kx][ky]` on the quarter plane, an element each.
    shapes: Vec<Array2<f32>>,
    lines: Arc<dyn Fft<f32>>,
    rows: Arc<dyn ComplexToReal<f32>>,
}

/// Buffers of one thread.
pub struct PotentialWorkspace {
    /// Cosines, then sines `[atom][kx]` and `[atom][ky]`.
    along: [Array2<f32>; 2],
    /// Their products, summed over atoms.
    products: Array2<f32>,
    /// V̂ `[kx][ky]`, kx ≥ 0.
    spectrum: Vec<Complex32>,
    row: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Potential {
    /// Plans for atoms of these `elements`.
    pub fn new(grid: Grid, elements: &[Element], factors: ScatteringFactors) -> Self {
        let reach = [grid.nx / 2, grid.ny / 2];
        let shape = |element| {
            let value = |(ix, iy): (usize, usize)| {
                let k = (ix as f64 / grid.lx).hypot(iy as f64 / grid.ly);
                (factors.projected_potential(element, k) / (grid.lx * grid.ly)) as f32
            };
            Array2::from_shape_fn((reach[0] + 1, reach[1] + 1), value)
        };
        Self {
            grid,
            reach,
            shapes: elements.iter().map(|&element| shape(element)).collect(),
            lines: FftPlanner::new().plan_fft_inverse(grid.ny),
            rows: RealFftPlanner::new().plan_fft_inverse(grid.nx),
        }
    }

    pub fn workspace(&self) -> PotentialWorkspace {
        let [x, y] = self.reach.map(|reach| 2 * (reach + 1));
        PotentialWorkspace {
            along: [Array2::zeros((0, x)), Array2::zeros((0, y))],
            products: Array2::zeros((x, y)),
            spectrum: vec![Complex32::ZERO; (self.reach[0] + 1) * self.grid.ny],
            row: self.rows.make_input_vec(),
            scratch: vec![Complex32::ZERO; self.lines.get_inplace_scratch_len().max(self.rows.get_scratch_len())],
        }
    }

    /// The projected potential [V Å] `[y][x]` of the atoms at `places` (x, y in Å), which are sorted by element: those of the i-th one, as
    /// given to [`Potential::new`], are `counts[i]` many.
    pub fn project(&self, places: &[[f64; 2]], counts: &[usize], workspace: &mut PotentialWorkspace, out: &mut [f32]) {
        workspace.spectrum.fill(Complex32::ZERO);
        let mut rest = places;
        for (shape, &count) in self.shapes.iter().zip(counts) {
            let (atoms, others) = rest.split_at(count);
            rest = others;
            if !atoms.is_empty() {
                self.multiply_phases(atoms, workspace);
                self.add(shape, workspace);
            }
        }
        self.transform(workspace, out);
    }

    /// Sums of products of the phase factors of some atoms.
    fn multiply_phases(&self, atoms: &[[f64; 2]], workspace: &mut PotentialWorkspace) {
        let PotentialWorkspace { along, products, .. } = workspace;
        for (axis, along) in along.iter_mut().enumerate() {
            let width = 2 * (self.reach[axis] + 1);
            if along.dim().0 < atoms.len() {
                *along = Array2::zeros((atoms.len().next_power_of_two(), width));
            }
            let length = if axis == 0 { self.grid.lx } else { self.grid.ly };
            for (atom, mut row) in atoms.iter().zip(along.rows_mut()) {
                let (cosines, sines) = row.as_slice_mut().expect("rows are contiguous").split_at_mut(width / 2);
                fill_phases(2.0 * PI * atom[axis] / length, cosines, sines);
                if self.pixels(axis).is_multiple_of(2) {
                    // the Nyquist frequency is its own negative: half of each, as a real potential demands
                    sines[width / 2 - 1] = 0.0;
                }
            }
        }
        let [x, y] = &*along;
        multiply(x.slice(s![..atoms.len(), ..]).t(), y.slice(s![..atoms.len(), ..]), products.view_mut(), false);
    }

    /// Pixels along an axis.
    fn pixels(&self, axis: usize) -> usize {
        if axis == 0 { self.grid.nx } else { self.grid.ny }
    }

    /// Adds an element's share to V̂: from cosines and sines of a quarter plane to the half plane kx ≥ 0.
    fn add(&self, shape: &Array2<f32>, workspace: &mut PotentialWorkspace) {
        let products = workspace.products.as_slice().expect("contiguous");
        let (cosines, sines) = products.split_at(products.len() / 2);
        let width = 2 * (self.reach[1] + 1);
        let products = cosines.chunks_exact(width).zip(sines.chunks_exact(width));
        let columns = workspace.spectrum.chunks_exact_mut(self.grid.ny).zip(shape.rows());
        for ((column, shape), (cosines, sines)) in columns.zip(products) {
            add_column(column, shape.to_slice().expect("contiguous"), cosines, sines);
        }
    }

    /// From V̂ to the potential.
    fn transform(&self, workspace: &mut PotentialWorkspace, out: &mut [f32]) {
        let PotentialWorkspace { spectrum, row, scratch, .. } = workspace;
        let Grid { nx, ny, .. } = self.grid;
        self.lines.process_with_scratch(spectrum, scratch);
        for (iy, out) in out.chunks_exact_mut(nx).enumerate() {
            for (value, column) in row.iter_mut().zip(spectrum.chunks_exact(ny)) {
                *value = column[iy];
            }
            row[0].im = 0.0;
            if nx % 2 == 0 {
                row[nx / 2].im = 0.0;
            }
            let scratch = &mut scratch[..self.rows.get_scratch_len()];
            self.rows.process_with_scratch(row, out, scratch).expect("lengths come from the plan");
        }
    }
}

/// Adds Σ e^(−2πi k·r)·shape at one kx, from Σ cos(x)·(cos(y), sin(y)) and Σ sin(x)·(cos(y), sin(y)) at ky ≥ 0.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_column(column: &mut [Complex32], shape: &[f32], cosines: &[f32], sines: &[f32]) {
    let (positive, pairs) = (shape.len(), (column.len() - 1) / 2);
    let ((cc, cs), (sc, ss)) = (cosines.split_at(positive), sines.split_at(positive));
    for i in 0..positive {
        column[i] += Complex32::new(cc[i] - ss[i], -(sc[i] + cs[i])) * shape[i];
    }
    let first = column.len() - pairs;
    for (j, value) in column[first..].iter_mut().enumerate() {
        let i = pairs - j;
        *value += Complex32::new(cc[i] + ss[i], cs[i] - sc[i]) * shape[i];
    }
}

/// cos(n·angle) and sin(n·angle) for n = 0, 1, …: products of a few factors that are exact.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn fill_phases(angle: f64, cosines: &mut [f32], sines: &mut [f32]) {
    const BLOCK: usize = 16;
    let turn = Complex64::cis(angle);
    let mut powers = [Complex64::ONE; BLOCK];
    let mut stride = turn;
    let mut known = 1;
    while known < BLOCK {
        let (low, high) = powers.split_at_mut(known);
        low.iter().zip(high).for_each(|(low, high)| *high = low * stride);
        stride *= stride;
        known *= 2;
    }
    let fine = [powers.map(|power| power.re as f32), powers.map(|power| power.im as f32)];
    let mut coarse = Complex64::ONE;
    for (cosines, sines) in cosines.chunks_mut(BLOCK).zip(sines.chunks_mut(BLOCK)) {
        let (re, im) = (coarse.re as f32, coarse.im as f32);
        for (i, (cosine, sine)) in cosines.iter_mut().zip(sines).enumerate() {
            *cosine = re * fine[0][i] - im * fine[1][i];
            *sine = re * fine[1][i] + im * fine[0][i];
        }
        coarse *= stride;
    }
}
