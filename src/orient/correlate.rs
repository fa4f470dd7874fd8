//! Correlations of images with reference slices at every in-plane angle, a tile at a time.
//!
//! For image coefficients A = a + ib and reference coefficients B = c + id the four real products ac, ad, bc, bd, summed over the rings,
//! give both the direction's angular spectrum C\[m\] = Σ A·conj B and its mirror image's C′\[m\] = (−1)ᵐ Σ A·B. Both belong to real
//! functions of the angle, so that one complex FFT of C + iC′ returns the two of them.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, Axis, s};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use super::rings::{Expansion, Rings};
use crate::fourier::Complex32;
use crate::product::multiply;

/// Images of one tile.
pub const TILE_IMAGES: usize = 8;
/// References of one tile: a multiple of [`LANES`]; the products of a tile stay in the second-level cache.
pub const TILE_REFERENCES: usize = 32;
/// References whose angular spectra are gathered together: one cache line of products.
const LANES: usize = 8;

/// A × Bᵀ of two row-major matrices, blocks of rows of A side by side on all threads.
pub fn product(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    /// Rows a thread takes at a time; fixed, so that sums do not depend on threads.
    const ROWS: usize = 64;
    let mut out = Array2::zeros((a.dim().0, b.dim().0));
    out.axis_chunks_iter_mut(Axis(0), ROWS)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), ROWS))
        .for_each(|(out, rows)| multiply(rows, b.t(), out, false));
    out
}

/// Images and references ready to be correlated.
pub struct Correlator {
    rings: Rings,
    /// Image coefficients times the rings' weights.
    images: Expansion,
    references: Expansion,
    fft: Arc<dyn Fft<f32>>,
    /// Length of the scratch that FFTs over the angles need, in either direction.
    scratch: usize,
}

/// Buffers of one thread.
pub struct Workspace {
    products: Vec<f32>,
    scratch: Vec<Complex32>,
    /// Correlations of the last tile, `[image][reference][angle]`: the direction itself in the real part, its
    /// mirror image in the imaginary part.
    pub correlations: Vec<Complex32>,
}

impl Workspace {
    /// Scratch for one FFT over the angles.
    pub fn scratch(&mut self) -> &mut [Complex32] {
        &mut self.scratch
    }
}

impl Correlator {
    /// Joins image coefficients (unweighted) and references on the same rings.
    pub fn new(rings: &Rings, images: &Expansion, references: Expansion) -> Self {
        let mut planner = FftPlanner::new();
        let fft = planner.plan_fft_inverse(rings.angles);
        let forward = planner.plan_fft_forward(rings.angles);
        let scratch = fft.get_inplace_scratch_len().max(forward.get_inplace_scratch_len());
        Self { rings: rings.clone(), images: images.clone().weighted(rings), references, fft, scratch }
    }

    /// Other images for the same references.
    pub fn set_images(&mut self, images: &Expansion) {
        self.images = images.clone().weighted(&self.rings);
    }

    pub fn images(&self) -> usize {
        self.images.items
    }

    pub fn references(&self) -> usize {
        self.references.items
    }

    /// The rings that images and references are given on.
    pub fn rings(&self) -> &Rings {
        &self.rings
    }

    /// ½‖R‖² of every reference: what a correlation must exceed to explain an image better than nothing does.
    pub fn half_norms(&self) -> Vec<f32> {
        self.references.norms(&self.rings).into_iter().map(|norm| norm / 2.0).collect()
    }

    /// Buffers for tiles of this correlator.
    pub fn workspace(&self) -> Workspace {
        let pairs = TILE_IMAGES * TILE_REFERENCES;
        Workspace {
            products: vec![0.0; self.rings.orders() * 4 * pairs],
            scratch: vec![Complex32::default(); self.scratch],
            correlations: vec![Complex32::default(); pairs * self.rings.angles],
        }
    }

    /// Correlates `images` with `references` (at most a tile of each) at all in-plane angles.
    ///
    /// Angle index ψ means the rotation Rz(2πψ/angles) after the reference's own.
    pub fn tile(&self, images: Range<usize>, references: Range<usize>, work: &mut Workspace) {
        let (rows, columns) = (2 * images.len(), 2 * references.len());
        let orders = self.images.orders.iter().zip(&self.references.orders);
        for (products, (a, b)) in work.products.chunks_exact_mut(rows * columns).zip(orders) {
            let a = a.slice(s![2 * images.start..2 * images.end, ..]);
            let b = b.slice(s![2 * references.start..2 * references.end, ..]);
            let out = ndarray::ArrayViewMut2::from_shape((rows, columns), products).expect("room for the products");
            multiply(a, b.t(), out, false);
        }
        let angles = self.rings.angles;
        for image in 0..images.len() {
            for first in (0..references.len()).step_by(LANES) {
                let lanes = LANES.min(references.len() - first);
                let start = (image * references.len() + first) * angles;
                let spectra = &mut work.correlations[start..start + lanes * angles];
                spectra.fill(Complex32::default());
                for (m, products) in work.products.chunks_exact(rows * columns).take(self.rings.orders()).enumerate() {
                    let real = &products[2 * image * columns + 2 * first..][..2 * lanes];
                    let imaginary = &products[(2 * image + 1) * columns + 2 * first..][..2 * lanes];
                    gather(m, real, imaginary, spectra, angles);
                }
                self.fft.process_with_scratch(spectra, &mut work.scratch);
            }
        }
    }
}

/// Puts angular frequencies ±m of C + iC′ of a few pairs in their places.
#[inline]
fn gather(m: usize, real: &[f32], imaginary: &[f32], spectra: &mut [Complex32], angles: usize) {
    let sign = if m.is_multiple_of(2) { 1.0 } else { -1.0 };
    for (lane, (ac_ad, bc_bd)) in real.chunks_exact(2).zip(imaginary.chunks_exact(2)).enumerate() {
        let (ac, ad, bc, bd) = (ac_ad[0], ac_ad[1], bc_bd[0], bc_bd[1]);
        let (direct_re, direct_im) = (ac + bd, bc - ad);
        let (mirror_re, mirror_im) = (sign * (ac - bd), sign * (bc + ad));
        let spectrum = &mut spectra[lane * angles..][..angles];
        spectrum[m] = Complex32::new(direct_re - mirror_im, direct_im + mirror_re);
        if m > 0 {
            spectrum[angles - m] = Complex32::new(direct_re + mirror_im, mirror_re - direct_im);
        } else {
            // angular frequency 0 of a real function is real
            spectrum[0] = Complex32::new(direct_re, mirror_re);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Images, Particles, PrepareOptions};
    use crate::task::Task;
    use crate::volume::{Spectrum, density_of_atoms};
    use ndarray::Array3;
    use rand::RngExt;

    /// Σ over the rings of weight × mean over a full turn of F(θ)·conj R(θ − ψ), from samples on the rings.
    fn direct_sum(rings: &Rings, image: &[Complex32], reference: &[Complex32], turn: usize, mirrored: bool) -> f64 {
        let (n, half) = (rings.angles, rings.angles / 2);
        let at = |samples: &[Complex32], ring: usize, angle: usize| {
            let value = samples[ring * half + angle % half];
            if angle % n < half { value } else { value.conj() }
        };
        let mut sum = 0.0;
        for (ring, weight) in rings.weights.iter().enumerate() {
            for angle in 0..n {
                let turned = (angle + n - turn) % n;
                let other = at(reference, ring, if mirrored { (n - turned) % n } else { turned });
                sum += weight * f64::from((at(image, ring, angle) * other.conj()).re) / n as f64;
            }
        }
        sum
    }

    #[test]
    fn correlations_match_direct_sums_over_the_rings() {
        let mut rng = crate::random::stream(8, "correlate test", 0);
        let pixels = Array3::from_shape_simple_fn((3, 40, 40), || rng.random_range(-1.0f32..1.0));
        let options = PrepareOptions { diameter: 12.0, low_pass: 2.0, crop: 1.6 };
        let particles = Particles::prepare(&Images::new(pixels, 0.5), &options, &Task::silent()).unwrap();
        let rings = Rings::new(&particles, 2.5, 0.5 / particles.edge());
        let atoms = [([1.0, 2.0, 3.0].into(), 1.0), ([-3.0, 0.5, 1.0].into(), 2.0), ([2.0, -3.0, -2.0].into(), 1.5)];
        let spectrum = Spectrum::new(&density_of_atoms(&atoms, 0.6, 32, particles.edge() / 32.0));
        let views: Vec<_> = crate::orient::directions(5).iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
        let images = Expansion::of_particles(&rings, &particles);
        let references = Expansion::of_slices(&rings, &spectrum, &views);
        let correlator = Correlator::new(&rings, &images, references.clone());
        let mut work = correlator.workspace();
        correlator.tile(0..3, 0..5, &mut work);
        let mut planner = FftPlanner::new();
        for image in 0..3 {
            let samples = images.polar(&rings, image, &mut planner);
            for reference in 0..5 {
                let slice = references.polar(&rings, reference, &mut planner);
                let line = &work.correlations[(image * 5 + reference) * rings.angles..][..rings.angles];
                let scale = line.iter().map(|v| v.norm()).fold(0.0, f32::max);
                for (turn, value) in line.iter().enumerate() {
                    for (got, mirrored) in [(value.re, false), (value.im, true)] {
                        let expected = direct_sum(&rings, &samples, &slice, turn, mirrored);
                        assert!((f64::from(got) - expected).abs() < 1e-4 * f64::from(scale), "{got} {expected}");
                    }
                }
            }
        }
    }
}
