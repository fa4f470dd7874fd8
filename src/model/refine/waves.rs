//! Plane waves from the atoms of one image, and the sums over atoms that are products of matrices.
//!
//! An atom at (x, y) in the image and at height z along the beam sends e^(−2πi(kx·x + ky·y) + iπλ(kx² + ky²)z) into the frequency k: a product of a factor
//! in kx and one in ky. Sums over atoms at all frequencies are then one product of matrices, and so are sums over frequencies for all atoms.

use std::f64::consts::{PI, TAU};
use std::ops::Range;

use nalgebra::{Matrix3, Vector3};
use ndarray::{Array2, s};

use super::views::Views;
use crate::fourier::{Complex32, Complex64};
use crate::pose::Pose;
use crate::product::multiply;

/// Atoms that share a transfer function lie side by side.
#[derive(Debug, Clone)]
pub struct Atoms {
    /// From the centre of the particle \[Å\].
    pub positions: Vec<Vector3<f64>>,
    /// Strength of each atom in units of its group's.
    pub amplitudes: Vec<f64>,
    /// B factor of each atom above what its group's transfer holds already \[Å²\].
    pub b_factors: Vec<f64>,
    /// Where the atoms of each group are.
    pub groups: Vec<Range<usize>>,
}

impl Atoms {
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// The group of each atom.
    pub fn group_of(&self) -> Vec<usize> {
        self.groups.iter().enumerate().flat_map(|(group, range)| range.clone().map(move |_| group)).collect()
    }
}

/// The factors of all atoms for one pose, and room for products.
pub struct Waves {
    wavelength: f64,
    /// Factors in kx `[atom][kx]`, then the same times kx, and times kx².
    along_x: Array2<Complex32>,
    /// Factors in ky `[atom][ky]`.
    along_y: Array2<Complex32>,
    /// Factors in ky times amplitudes and more: `[atom][weight, ky]`.
    weighted: Array2<Complex32>,
    /// Sums over atoms `[weight, ky][kx]`.
    pub sums: Array2<Complex32>,
    /// Sums over frequencies `[power of kx, atom][ky]`.
    contracted: Array2<Complex32>,
    /// Places in the image's frame, without the shift \[Å\].
    turned: Vec<Vector3<f64>>,
}

/// Weights of the atoms in [`Waves::sum`]: 1, x, y and z.
pub const MOMENTS: usize = 4;

impl Waves {
    pub fn new(atoms: usize, views: &Views, wavelength: f64) -> Self {
        let width = views.width();
        Self {
            wavelength,
            along_x: Array2::zeros((3 * atoms, width)),
            along_y: Array2::zeros((atoms, width)),
            weighted: Array2::zeros((atoms, MOMENTS * width)),
            sums: Array2::zeros((MOMENTS * width, width)),
            contracted: Array2::zeros((3 * atoms, width)),
            turned: vec![Vector3::zeros(); atoms],
        }
    }

    /// Takes up the atoms as a pose shows them.
    pub fn set(&mut self, atoms: &Atoms, pose: &Pose, views: &Views) {
        let rotation: Matrix3<f64> = pose.matrix();
        let (reach, count) = (views.reach, atoms.len());
        for (i, position) in atoms.positions.iter().enumerate() {
            let place = rotation * position;
            self.turned[i] = place;
            let curvature = PI * self.wavelength * place.z / (views.edge * views.edge);
            let angles = [place.x + pose.shift.x, place.y + pose.shift.y].map(|x| -TAU * x / views.edge);
            fill(self.along_x.row_mut(i).as_slice_mut().expect("contiguous"), angles[0], curvature);
            fill(self.along_y.row_mut(i).as_slice_mut().expect("contiguous"), angles[1], curvature);
            if atoms.b_factors[i] != 0.0 {
                let fall = 0.25 * atoms.b_factors[i] / (views.edge * views.edge);
                blur(self.along_x.row_mut(i).as_slice_mut().expect("contiguous"), fall);
                blur(self.along_y.row_mut(i).as_slice_mut().expect("contiguous"), fall);
            }
            for ix in 0..views.width() {
                let k = (ix as f64 - reach as f64) / views.edge;
                self.along_x[[count + i, ix]] = self.along_x[[i, ix]] * k as f32;
                self.along_x[[2 * count + i, ix]] = self.along_x[[i, ix]] * (k * k) as f32;
            }
        }
    }

    /// Into `sums`, over the atoms of a group: Σ amplitude·wave, and if `moments` the same weighted by x, y and z in the image's frame.
    pub fn sum(&mut self, atoms: &Atoms, group: usize, moments: bool) {
        let range = atoms.groups[group].clone();
        let width = self.along_y.dim().1;
        let count = if moments { MOMENTS } else { 1 };
        for atom in range.clone() {
            let amplitude = atoms.amplitudes[atom] as f32;
            let place = self.turned[atom].map(|x| x as f32 * amplitude);
            let weights = [amplitude, place.x, place.y, place.z];
            let factors = self.along_y.row(atom);
            let mut row = self.weighted.row_mut(atom);
            let row = row.as_slice_mut().expect("contiguous");
            for (weight, row) in weights.iter().take(count).zip(row.chunks_exact_mut(width)) {
                row.iter_mut().zip(factors).for_each(|(to, from)| *to = from * *weight);
            }
        }
        let weighted = self.weighted.slice(s![range.clone(), ..count * width]);
        let along_x = self.along_x.slice(s![range, ..]);
        multiply(weighted.t(), along_x, self.sums.slice_mut(s![..count * width, ..]), false);
    }

    /// For the atoms of a group, Σ_k g(k)·wave(k) times 1, kx, ky and, if `squares`, kx² + ky², for `g` on the square `[ky][kx]`.
    pub fn contract(
        &mut self,
        g: &Array2<Complex32>,
        atoms: &Atoms,
        group: usize,
        edge: f64,
        squares: bool,
        out: &mut [[Complex64; 4]],
    ) {
        let range = atoms.groups[group].clone();
        let (count, width) = self.along_y.dim();
        let reach = (width / 2) as f32;
        let parts = if squares { 3 } else { 2 };
        for part in 0..parts {
            let rows = part * count + range.start..part * count + range.end;
            multiply(self.along_x.slice(s![rows.clone(), ..]), g.t(), self.contracted.slice_mut(s![rows, ..]), false);
        }
        for atom in range {
            let factors = self.along_y.row(atom);
            let (plain, times_kx) = (self.contracted.row(atom), self.contracted.row(count + atom));
            let mut sums = [Complex32::default(); 4];
            for iy in 0..width {
                let k = (iy as f32 - reach) / edge as f32;
                let value = plain[iy] * factors[iy];
                sums[0] += value;
                sums[1] += times_kx[iy] * factors[iy];
                sums[2] += value * k;
                sums[3] += value * (k * k);
            }
            if squares {
                let times_square = self.contracted.row(2 * count + atom);
                sums[3] += times_square.iter().zip(factors).map(|(value, factor)| value * factor).sum::<Complex32>();
            }
            out[atom] = sums.map(|sum| Complex64::new(f64::from(sum.re), f64::from(sum.im)));
        }
    }
}

/// e^(i(angle·n + curvature·n²)) for n = −reach … reach.
fn fill(row: &mut [Complex32], angle: f64, curvature: f64) {
    let reach = row.len() / 2;
    let turn = Complex64::cis(angle);
    // e^(ic(n + 1)²) = e^(icn²)·e^(ic(2n + 1)), whose second factor grows by e^(2ic)
    let (mut bend, mut bend_step, bend_growth) =
        (Complex64::ONE, Complex64::cis(curvature), Complex64::cis(2.0 * curvature));
    let mut linear = Complex64::ONE;
    for n in 0..=reach {
        let (ahead, behind) = (bend * linear, bend * linear.conj());
        row[reach + n] = Complex32::new(ahead.re as f32, ahead.im as f32);
        row[reach - n] = Complex32::new(behind.re as f32, behind.im as f32);
        linear *= turn;
        bend *= bend_step;
        bend_step *= bend_growth;
    }
}

/// Times e^(−fall·n²) for n = −reach … reach.
fn blur(row: &mut [Complex32], fall: f64) {
    let reach = row.len() / 2;
    // as in `fill`
    let (mut height, mut step, growth) = (1.0, (-fall).exp(), (-2.0 * fall).exp());
    for n in 1..=reach {
        height *= step;
        step *= growth;
        row[reach + n] *= height as f32;
        row[reach - n] *= height as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recurrences_keep_to_the_exponential() {
        let mut row = vec![Complex32::default(); 161];
        fill(&mut row, 1.234, -7e-4);
        blur(&mut row, 3e-4);
        for (i, value) in row.iter().enumerate() {
            let n = i as f64 - 80.0;
            let expected = Complex64::cis(1.234 * n - 7e-4 * n * n) * (-3e-4 * n * n).exp();
            assert!((f64::from(value.re) - expected.re).hypot(f64::from(value.im) - expected.im) < 1e-6);
        }
    }
}
