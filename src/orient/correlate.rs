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
