//! Slices merged into planes: faster where only liquid is, at a small error.
//!
//! One plane stands for several slices. An atom between two planes is shared by them, the nearer one taking the larger part: this interpolates
//! e^(−iπλz|k|²), the way from the atom to the exit, linearly in z. Instead of its potential v each atom brings the w for which e^(iσw) is the band-limited
//! transmission function of the atom alone; w is complex, since electrons that the band limit stops are lost. Sums of w need no
//! band limit afterwards, but for what neighbours do together, which is little in a liquid.
//!
//! Atoms reach the grid through a narrow kernel whose transform is divided out: e^(β(√(1−t²)−1)), 6 pixels wide, good to 10⁻⁴ up to two thirds of
//! the Nyquist frequency (A. H. Barnett, J. Magland and L. af Klinteberg, SIAM J. Sci. Comput. 41 (2019) C479–C504).

use std::f64::consts::PI;

use rustfft::num_complex::Complex32;

use super::grid::{BandFft, Grid};

/// Pixels that an atom is spread over along each axis.
const WIDTH: usize = 6;
/// Steepness β of the kernel: 0.97π(1 − 1/2s) for each pixel of its width, on a grid that is s = 1.5 times as fine as the band limit demands.
const STEEPNESS: f64 = 0.97 * PI * 2.0 / 3.0 * WIDTH as f64;

/// Part of an atom in a plane.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// Place (x, y) \[Å\].
    pub place: [f64; 2],
    /// Which of the planned elements.
    pub element: usize,
    /// Between 0 and 1.
    pub weight: f32,
}

/// What turns shares of atoms into the complex potential of a plane.
pub(super) struct Merged {
    grid: Grid,
    /// Two elements share a transform, one as its real and one as its imaginary part.
    pairs: Vec<Pair>,
    /// Place of the column −kx of each kept column.
    mirror: Vec<usize>,
}

/// Potentials w_a and w_b of two elements `[kx][ky]`, over the kernel's transform: with Z the transform of a + ib, that of
/// w_a∗a + w_b∗b is `direct`·Z(k) + `mirrored`·Z(−k)*.
struct Pair {
    direct: Vec<Complex32>,
    mirrored: Vec<Complex32>,
}

impl Merged {
    /// From the spectra `[kx][ky]` over the number of pixels of each element's w [V Å], for an atom at the origin.
    pub fn new(fft: &BandFft, mut shapes: Vec<Vec<Complex32>>) -> Self {
        let grid = fft.grid;
        let kernel = fft.table(|kx, ky| {
            kernel_transform(kx * grid.lx / grid.nx as f64) * kernel_transform(ky * grid.ly / grid.ny as f64)
        });
        for shape in &mut shapes {
            shape.iter_mut().zip(&kernel).for_each(|(value, kernel)| *value *= (1.0 / kernel) as f32);
        }
        let none = vec![Complex32::ZERO; fft.spectrum_len()];
        let pair = |shapes: &[Vec<Complex32>]| {
            let (first, second) = (&shapes[0], shapes.get(1).unwrap_or(&none));
            let mix = |sign: f32| {
                let half = |(a, b): (&Complex32, &Complex32)| (a + Complex32::new(0.0, sign) * b) * 0.5;
                first.iter().zip(second).map(half).collect()
            };
            Pair { direct: mix(-1.0), mirrored: mix(1.0) }
        };
        let place = |ix: usize| fft.columns.iter().position(|&column| column == (grid.nx - ix) % grid.nx);
        let mirror = fft.columns.iter().map(|&ix| place(ix).expect("the band limit is symmetric")).collect();
        Self { grid, pairs: shapes.chunks(2).map(pair).collect(), mirror }
    }

    /// Spectrum `[kx][ky]` of the complex potential [V Å] of some atoms, into `sum`; `rows` and `spectrum` are overwritten.
    pub fn project(
        &self,
        atoms: &[Share],
        fft: &BandFft,
        [spectrum, rows, scratch]: [&mut [Complex32]; 3],
        sum: &mut [Complex32],
    ) {
        sum.fill(Complex32::ZERO);
        for (index, pair) in self.pairs.iter().enumerate() {
            rows.fill(Complex32::ZERO);
            let mut any = false;
            for atom in atoms.iter().filter(|atom| atom.element / 2 == index) {
                let unit = if atom.element % 2 == 0 { Complex32::ONE } else { Complex32::I };
                self.spread(atom.place, unit * atom.weight, rows);
                any = true;
            }
            if any {
                fft.forward(rows, spectrum, scratch);
                self.add(pair, spectrum, sum);
            }
        }
    }

    fn spread(&self, place: [f64; 2], value: Complex32, rows: &mut [Complex32]) {
        let Grid { nx, ny, lx, ly } = self.grid;
        let (x, across) = kernel(place[0] / lx * nx as f64, nx);
        let (y, along) = kernel(place[1] / ly * ny as f64, ny);
        for (y, along) in y.into_iter().zip(along) {
            let row = &mut rows[y * nx..][..nx];
            let value = value * along;
            x.iter().zip(&across).for_each(|(&x, across)| row[x] += value * across);
        }
    }

    fn add(&self, pair: &Pair, spectrum: &[Complex32], sum: &mut [Complex32]) {
        let ny = self.grid.ny;
        let tables = pair.direct.chunks_exact(ny).zip(pair.mirrored.chunks_exact(ny));
        for (((sum, (direct, mirrored)), column), &opposite) in
            sum.chunks_exact_mut(ny).zip(tables).zip(spectrum.chunks_exact(ny)).zip(&self.mirror)
        {
            let opposite = &spectrum[opposite * ny..][..ny];
            sum[0] += direct[0] * column[0] + mirrored[0] * opposite[0].conj();
            for iy in 1..ny {
                sum[iy] += direct[iy] * column[iy] + mirrored[iy] * opposite[ny - iy].conj();
            }
        }
    }
}

/// The pixels about `position` (in pixels of a periodic line of `n`) and the kernel there.
fn kernel(position: f64, n: usize) -> ([usize; WIDTH], [f32; WIDTH]) {
    let half = WIDTH as f64 / 2.0;
    let first = (position - half).ceil();
    let start = (first as i64).rem_euclid(n as i64) as usize;
    let value = |i: usize| {
        let t = (first + i as f64 - position) / half;
        (STEEPNESS * ((1.0 - t * t).max(0.0).sqrt() - 1.0)).exp() as f32
    };
    (std::array::from_fn(|i| (start + i) % n), std::array::from_fn(value))
}

/// The transform of the kernel at `k` cycles a pixel, by Gauss–Chebyshev quadrature.
fn kernel_transform(k: f64) -> f64 {
    const NODES: usize = 60;
    let half = WIDTH as f64 / 2.0;
    let node = |i: usize| {
        let angle = PI * (i as f64 + 0.5) / NODES as f64;
        let (height, t) = angle.sin_cos();
        height * (STEEPNESS * (height - 1.0)).exp() * (2.0 * PI * k * half * t).cos()
    };
    half * PI / NODES as f64 * (0..NODES).map(node).sum::<f64>()
}
