//! Fourier transforms on one convention: forward e^(−2πi s·r), unnormalised forward, 1/N inverse, origin at pixel N/2.
//!
//! [`Fft2`] and [`Fft3`] transform real squares and cubes of even or odd edge (cubes: even) with the origin at pixel N/2
//! on both sides, and keep the half x ≥ 0 of the spectrum (the other half is its complex conjugate). [`resample`] changes the
//! pixel size of a square by cropping or padding its spectrum.

use std::sync::Arc;

use ndarray::{Array3, ArrayView2, Axis};
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

pub use rustfft::num_complex::{Complex32, Complex64};

/// Smallest number ≥ `n` whose only prime factors are 2, 3 and 5: sizes at which an FFT is fast.
pub fn fast_size(n: usize) -> usize {
    let smooth = |mut n: usize| {
        for p in [2, 3, 5] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    (n.max(1)..).find(|&n| smooth(n)).expect("there is always a larger power of two")
}

/// Smallest even number ≥ `n` at which an FFT is fast.
pub fn fast_even_size(n: usize) -> usize {
    2 * fast_size(n.div_ceil(2))
}

/// Signed frequency index of position `i` in a transform of length `n` in the usual order 0, 1, …, −1.
pub fn signed_index(i: usize, n: usize) -> isize {
    if i < n.div_ceil(2) { i as isize } else { i as isize - n as isize }
}

/// Plans of the 1D transforms that images and cubes of one edge are transformed by.
#[derive(Clone)]
struct Plans {
    size: usize,
    rows: Arc<dyn RealToComplex<f32>>,
    rows_back: Arc<dyn ComplexToReal<f32>>,
    lines: Arc<dyn Fft<f32>>,
    lines_back: Arc<dyn Fft<f32>>,
}

impl Plans {
    fn new(size: usize) -> Self {
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        Self {
            size,
            rows: real.plan_fft_forward(size),
            rows_back: real.plan_fft_inverse(size),
            lines: complex.plan_fft_forward(size),
            lines_back: complex.plan_fft_inverse(size),
        }
    }
}

/// Transform of real square images, origin at pixel N/2.
///
/// The spectrum has N rows in the usual order of frequencies (0, 1, …, −1) and N/2 + 1 columns (0 … N/2).
#[derive(Clone)]
pub struct Fft2(Plans);

impl Fft2 {
    /// Plans for images of `size` × `size` pixels.
    pub fn new(size: usize) -> Self {
        Self(Plans::new(size))
    }

    /// Columns of the half spectrum.
    pub fn columns(&self) -> usize {
        self.0.size / 2 + 1
    }

    /// Half spectrum of `image` (row-major, size²), origin at pixel N/2.
    pub fn forward(&self, image: &[f32]) -> Vec<Complex32> {
        let (n, m, h) = (self.0.size, self.columns(), self.0.size / 2);
        assert_eq!(image.len(), n * n, "an image of the planned size");
        // Transposed between the two passes, so that each 1D transform runs over contiguous memory.
        let mut turned = vec![Complex32::default(); n * m];
        let (mut row, mut out) = (self.0.rows.make_input_vec(), self.0.rows.make_output_vec());
        for y in 0..n {
            // pixel N/2 goes to index 0
            let source = &image[(y + h) % n * n..][..n];
            row[..n - h].copy_from_slice(&source[h..]);
            row[n - h..].copy_from_slice(&source[..h]);
            self.0.rows.process(&mut row, &mut out).expect("buffers of the planned size");
            for (x, value) in out.iter().enumerate() {
                turned[x * n + y] = *value;
            }
        }
        self.0.lines.process(&mut turned);
        transpose(&turned, m, n)
    }

    /// Real image of the half spectrum that [`Fft2::forward`] gives, divided by the number of pixels.
    pub fn inverse(&self, spectrum: &[Complex32]) -> Vec<f32> {
        let (n, m, h) = (self.0.size, self.columns(), self.0.size / 2);
        assert_eq!(spectrum.len(), n * m, "a spectrum of the planned size");
        let mut turned = transpose(spectrum, n, m);
        self.0.lines_back.process(&mut turned);
        let mut image = vec![0.0; n * n];
        let (mut row, mut out) = (self.0.rows_back.make_input_vec(), self.0.rows_back.make_output_vec());
        let scale = 1.0 / (n * n) as f32;
        for y in 0..n {
            for (x, value) in row.iter_mut().enumerate() {
                *value = turned[x * n + y];
            }
            row[0].im = 0.0;
            if n % 2 == 0 {
                row[m - 1].im = 0.0;
            }
            self.0.rows_back.process(&mut row, &mut out).expect("buffers of the planned size");
            let target = &mut image[(y + h) % n * n..][..n];
            for (x, value) in out.iter().enumerate() {
                target[(x + h) % n] = value * scale;
            }
        }
        image
    }
}

/// Row-major `rows` × `columns` turned into `columns` × `rows`.
fn transpose(a: &[Complex32], rows: usize, columns: usize) -> Vec<Complex32> {
    let mut out = vec![Complex32::default(); a.len()];
    for (r, row) in a.chunks_exact(columns).enumerate() {
        for (c, value) in row.iter().enumerate() {
            out[c * rows + r] = *value;
        }
    }
    out
}

/// Square image of `size` pixels over the same field of view: the spectrum is cropped or zero-padded, so that band-limited
/// images keep their values.
///
/// The field keeps its edge, the origin stays at pixel N/2 of either grid.
pub fn resample(image: ArrayView2<f32>, from: &Fft2, to: &Fft2) -> Vec<f32> {
    let contiguous = image.as_standard_layout();
    let spectrum = from.forward(contiguous.as_slice().expect("standard layout"));
    let (n, m) = (from.0.size, to.0.size);
    let mut out = vec![Complex32::default(); m * to.columns()];
    let scale = (m * m) as f32 / (n * n) as f32;
    let kept = (n.min(m) - 1) as isize / 2; // without the unpaired frequency of even sizes
    for ky in -kept..=kept {
        let (row_in, row_out) = (ky.rem_euclid(n as isize) as usize, ky.rem_euclid(m as isize) as usize);
        for kx in 0..=kept as usize {
            out[row_out * to.columns() + kx] = spectrum[row_in * from.columns() + kx] * scale;
        }
    }
    to.inverse(&out)
}

/// Transform of real cubes of even edge, origin at voxel N/2, spectrum centred on y and z.
///
/// The spectrum is `[z][y][x]` with frequency (z − N/2, y − N/2, x), x = 0 … N/2.
pub struct Fft3(Plans);

impl Fft3 {
    /// Plans for cubes of `size` voxels an edge.
    ///
    /// # Panics
    /// If `size` is odd: the shifts of origin used here are exact for even sizes only.
    pub fn new(size: usize) -> Self {
        assert!(size.is_multiple_of(2), "the edge of a transformed cube is even, got {size}");
        Self(Plans::new(size))
    }

    /// Centred half spectrum `[z][y][x]` of a real cube.
    pub fn forward(&self, volume: &Array3<f32>) -> Array3<Complex32> {
        let n = self.0.size;
        assert_eq!(volume.dim(), (n, n, n), "a cube of the planned size");
        self.forward_padded(volume, n / 2)
    }

    /// The low frequencies of a cube that holds `inner` in its middle and is zero elsewhere, as [`Fft3::forward`] gives them: −`reach` … `reach` − 1 along
    /// z and y, 0 … `reach` along x.
    ///
    /// # Panics
    /// If `inner` is no cube that fits, or `reach` is more than half the size.
    pub fn forward_padded(&self, inner: &Array3<f32>, reach: usize) -> Array3<Complex32> {
        let (size, edge) = (self.0.size, inner.dim().0);
        assert!(
            inner.dim() == (edge, edge, edge) && edge <= size && reach <= size / 2,
            "a cube within the planned one"
        );
        let (start, first) = (size / 2 - edge / 2, size / 2 - reach);
        let columns = reach + 1;
        // transforms along x and y of the planes that hold anything, then along z
        let mut planes = Array3::zeros((edge, 2 * reach, columns));
        planes.axis_iter_mut(Axis(0)).into_par_iter().zip(inner.axis_iter(Axis(0))).enumerate().for_each(
            |(z, (mut plane, source))| {
                let (mut row, mut out) = (self.0.rows.make_input_vec(), self.0.rows.make_output_vec());
                let mut turned = vec![Complex32::default(); columns * size];
                for (y, values) in source.rows().into_iter().enumerate() {
                    // (−1)^(y+z) in real space centres the spectrum on y and z
                    let sign = parity(y + start + z + start);
                    row.fill(0.0);
                    row[start..start + edge].iter_mut().zip(values).for_each(|(to, from)| *to = from * sign);
                    self.0.rows.process(&mut row, &mut out).expect("buffers of the planned size");
                    out.iter().take(columns).enumerate().for_each(|(x, value)| turned[x * size + start + y] = *value);
                }
                self.0.lines.process(&mut turned);
                for (y, mut row) in plane.rows_mut().into_iter().enumerate() {
                    row.iter_mut().enumerate().for_each(|(x, value)| *value = turned[x * size + first + y]);
                }
            },
        );
        let mut spectrum = Array3::zeros((2 * reach, 2 * reach, columns));
        let lines = planes.axis_iter(Axis(1)).into_par_iter();
        spectrum.axis_iter_mut(Axis(1)).into_par_iter().zip(lines).enumerate().for_each(|(y, (mut plane, source))| {
            let mut turned = vec![Complex32::default(); columns * size];
            for (z, row) in source.rows().into_iter().enumerate() {
                row.iter().enumerate().for_each(|(x, value)| turned[x * size + start + z] = *value);
            }
            self.0.lines.process(&mut turned);
            for (z, mut row) in plane.rows_mut().into_iter().enumerate() {
                // the origin of real space is at voxel N/2
                let sign = |x: usize| parity(z + first + y + first + x);
                row.iter_mut().enumerate().for_each(|(x, value)| *value = turned[x * size + first + z] * sign(x));
            }
        });
        spectrum
    }

    /// Real cube of a centred half spectrum, divided by the number of voxels.
    pub fn inverse(&self, mut spectrum: Array3<Complex32>) -> Array3<f32> {
        let n = self.0.size;
        assert_eq!(spectrum.dim(), (n, n, n / 2 + 1), "a spectrum of the planned size");
        shift_origin(&mut spectrum, 1.0 / (n * n * n) as f32);
        self.along_y_and_z(&mut spectrum, &self.0.lines_back);
        let mut volume = Array3::zeros((n, n, n));
        volume.axis_iter_mut(Axis(0)).into_par_iter().zip(spectrum.axis_iter(Axis(0))).enumerate().for_each(
            |(z, (mut plane, source))| {
                let (mut row, mut out) = (self.0.rows_back.make_input_vec(), self.0.rows_back.make_output_vec());
                for (y, (mut target, values)) in plane.rows_mut().into_iter().zip(source.rows()).enumerate() {
                    for (to, from) in row.iter_mut().zip(values) {
                        *to = *from;
                    }
                    row[0].im = 0.0;
                    row[n / 2].im = 0.0;
                    self.0.rows_back.process(&mut row, &mut out).expect("buffers of the planned size");
                    let sign = parity(y + z);
                    for (to, from) in target.iter_mut().zip(&out) {
                        *to = from * sign;
                    }
                }
            },
        );
        volume
    }

    fn along_y_and_z(&self, spectrum: &mut Array3<Complex32>, fft: &Arc<dyn Fft<f32>>) {
        spectrum.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut plane| lines_of_first_axis(&mut plane, fft));
        spectrum.axis_iter_mut(Axis(1)).into_par_iter().for_each(|mut plane| lines_of_first_axis(&mut plane, fft));
    }
}

/// Transforms every column of `plane` in place.
fn lines_of_first_axis(plane: &mut ndarray::ArrayViewMut2<Complex32>, fft: &Arc<dyn Fft<f32>>) {
    let (n, m) = plane.dim();
    let mut turned = vec![Complex32::default(); n * m];
    for (y, row) in plane.rows().into_iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            turned[x * n + y] = *value;
        }
    }
    fft.process(&mut turned);
    for (y, mut row) in plane.rows_mut().into_iter().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = turned[x * n + y];
        }
    }
}

/// Moves the real-space origin between voxel 0 and voxel N/2: (−1)^(kx+ky+kz), and a common factor.
fn shift_origin(spectrum: &mut Array3<Complex32>, scale: f32) {
    spectrum.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(z, mut plane)| {
        for (y, mut row) in plane.rows_mut().into_iter().enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                *value *= scale * parity(z + y + x);
            }
        }
    });
}

fn parity(i: usize) -> f32 {
    if i.is_multiple_of(2) { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;
    use rand::RngExt;
    use std::f64::consts::TAU;

    fn noise(len: usize, index: u64) -> Vec<f32> {
        let mut rng = crate::random::stream(3, "fourier test", index);
        (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn image_spectrum_is_the_sum_of_its_definition() {
        for n in [6, 7] {
            let image = noise(n * n, n as u64);
            let fft = Fft2::new(n);
            let spectrum = fft.forward(&image);
            for row in 0..n {
                for kx in 0..fft.columns() {
                    let ky = signed_index(row, n);
                    let mut sum = Complex64::default();
                    for y in 0..n {
                        for x in 0..n {
                            let r = (kx as f64) * (x as f64 - (n / 2) as f64) + ky as f64 * (y as f64 - (n / 2) as f64);
                            sum += Complex64::from_polar(f64::from(image[y * n + x]), -TAU * r / n as f64);
                        }
                    }
                    let got = spectrum[row * fft.columns() + kx];
                    assert!((f64::from(got.re) - sum.re).abs() + (f64::from(got.im) - sum.im).abs() < 1e-4);
                }
            }
            let back = fft.inverse(&spectrum);
            assert!(image.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn cube_spectrum_is_the_sum_of_its_definition() {
        let n = 6;
        let volume = Array3::from_shape_vec((n, n, n), noise(n * n * n, 9)).unwrap();
        let fft = Fft3::new(n);
        let spectrum = fft.forward(&volume);
        for ((z, y, x), got) in spectrum.indexed_iter() {
            let k = [z as f64 - 3.0, y as f64 - 3.0, x as f64];
            let sum: Complex64 = volume
                .indexed_iter()
                .map(|((c, b, a), v)| {
                    let r = k[0] * (c as f64 - 3.0) + k[1] * (b as f64 - 3.0) + k[2] * (a as f64 - 3.0);
                    Complex64::from_polar(f64::from(*v), -TAU * r / n as f64)
                })
                .sum();
            assert!((f64::from(got.re) - sum.re).abs() + (f64::from(got.im) - sum.im).abs() < 1e-4);
        }
        let back = fft.inverse(spectrum);
        assert!(volume.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn a_padded_cube_has_the_middle_of_the_whole_spectrum() {
        for (edge, size, reach) in [(4, 10, 5), (5, 12, 3), (6, 6, 2)] {
            let inner = Array3::from_shape_vec((edge, edge, edge), noise(edge * edge * edge, 11)).unwrap();
            let (start, first) = (size / 2 - edge / 2, size / 2 - reach);
            let mut whole = Array3::zeros((size, size, size));
            whole.slice_mut(s![start..start + edge, start..start + edge, start..start + edge]).assign(&inner);
            let fft = Fft3::new(size);
            let wanted = fft.forward(&whole);
            let found = fft.forward_padded(&inner, reach);
            assert_eq!(found, wanted.slice(s![first..first + 2 * reach, first..first + 2 * reach, ..=reach]));
        }
    }

    #[test]
    fn resampling_keeps_a_band_limited_image() {
        let wave = |n: usize| -> Vec<f32> {
            let phase = |i: usize, k: f64| TAU * k * (i as f64 - (n / 2) as f64) / n as f64;
            (0..n * n).map(|i| (phase(i % n, 2.0) - phase(i / n, 1.0) + 0.4).cos() as f32).collect()
        };
        let image = ndarray::Array2::from_shape_vec((15, 15), wave(15)).unwrap();
        for m in [10, 11, 24] {
            let out = resample(image.view(), &Fft2::new(15), &Fft2::new(m));
            assert!(out.iter().zip(&wave(m)).all(|(a, b)| (a - b).abs() < 1e-5), "size {m}");
        }
    }

    #[test]
    fn fast_sizes_have_small_factors() {
        assert_eq!(fast_size(97), 100);
        assert_eq!(fast_even_size(97), 100);
        assert_eq!(fast_even_size(15), 16);
    }
}
