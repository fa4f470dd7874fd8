//! Correlations of images with reference slices at every in-plane angle, a tile at a time.
//!
//! For image coefficients A = a + ib and reference coefficients B = c + id the four real products ac, ad, bc, bd, summed over the rings,
//! give both the direction's angular spectrum C\[m\] = Σ A·conj B and its mirror image's C′\[m\] = (−1)ᵐ Σ A·B. Both belong to real
//! functions of the angle, so that one complex FFT of C + iC′ returns the two of them.

use std::sync::Arc;

use ndarray::ArrayViewMut2;
use rustfft::{Fft, FftPlanner};

use super::expansion::{COLUMNS, Expansion, TILE};
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::product::multiply;

/// References whose angular spectra are gathered together: one cache line of products; their correlations stay in the first-level cache.
const LANES: usize = 8;

/// Images and references ready to be correlated.
pub struct Correlator<'a> {
    rings: &'a Rings,
    images: &'a Expansion,
    references: &'a Expansion,
    fft: Arc<dyn Fft<f32>>,
    /// Length of the scratch that FFTs over the angles need, in either direction.
    scratch: usize,
}

/// Buffers of one thread.
pub struct Workspace {
    /// `[m][image's real or imaginary part][reference's]`
    products: Vec<f32>,
    correlations: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Workspace {
    /// Scratch for one FFT over the angles.
    pub fn scratch(&mut self) -> &mut [Complex32] {
        &mut self.scratch
    }
}

impl<'a> Correlator<'a> {
    /// Joins images and references expanded on the same rings.
    pub fn new(rings: &'a Rings, images: &'a Expansion, references: &'a Expansion) -> Self {
        let mut planner = FftPlanner::new();
        let fft = planner.plan_fft_inverse(rings.angles);
        let forward = planner.plan_fft_forward(rings.angles);
        let scratch = fft.get_inplace_scratch_len().max(forward.get_inplace_scratch_len());
        Self { rings, images, references, fft, scratch }
    }

    /// The rings that images and references are given on.
    pub fn rings(&self) -> &'a Rings {
        self.rings
    }

    pub fn images(&self) -> &'a Expansion {
        self.images
    }

    pub fn references(&self) -> &'a Expansion {
        self.references
    }

    /// ½‖R‖² of every reference: what a correlation must exceed to explain an image better than nothing does.
    pub fn half_norms(&self) -> Vec<f32> {
        self.references.norms().into_iter().map(|norm| norm / 2.0).collect()
    }

    /// Buffers for tiles of this correlator.
    pub fn workspace(&self) -> Workspace {
        Workspace {
            products: vec![0.0; self.rings.orders() * COLUMNS * COLUMNS],
            correlations: vec![Complex32::default(); LANES * self.rings.angles],
            scratch: vec![Complex32::default(); self.scratch],
        }
    }

    /// Correlates a tile of images with a tile of references at all in-plane angles.
    ///
    /// `visit` sees for each pair the index of the image, the index of the reference, and the correlations at each angle: the direction itself
    /// in the real part, its mirror image in the imaginary part. Angle index ψ means the rotation Rz(2πψ/angles) after the reference's own.
    pub fn tile(
        &self,
        images: usize,
        references: usize,
        work: &mut Workspace,
        visit: impl FnMut(usize, usize, &[Complex32]),
    ) {
        self.multiply(images, references, work);
        self.transform(images, references, work, visit);
    }

    /// First half of [`Correlator::tile`]: the four real products of every angular frequency.
    pub fn multiply(&self, images: usize, references: usize, work: &mut Workspace) {
        for (m, products) in work.products.chunks_exact_mut(COLUMNS * COLUMNS).enumerate() {
            let out = ArrayViewMut2::from_shape((COLUMNS, COLUMNS), products).expect("room for the products");
            multiply(self.images.block(images, m).reversed_axes(), self.references.block(references, m), out, false);
        }
    }

    /// Second half of [`Correlator::tile`]: from the products to correlations at every angle.
    pub fn transform(
        &self,
        images: usize,
        references: usize,
        work: &mut Workspace,
        mut visit: impl FnMut(usize, usize, &[Complex32]),
    ) {
        let angles = self.rings.angles;
        for image in 0..self.images.items_of(images) {
            for first in (0..self.references.items_of(references)).step_by(LANES) {
                let spectra = &mut work.correlations[..LANES * angles];
                spectra.fill(Complex32::default());
                for (m, products) in work.products.chunks_exact(COLUMNS * COLUMNS).enumerate() {
                    let real = &products[2 * image * COLUMNS + 2 * first..][..2 * LANES];
                    let imaginary = &products[(2 * image + 1) * COLUMNS + 2 * first..][..2 * LANES];
                    gather(m, real, imaginary, spectra, angles);
                }
                self.fft.process_with_scratch(spectra, &mut work.scratch);
                let found = self.references.items_of(references) - first;
                for (lane, line) in spectra.chunks_exact(angles).take(found).enumerate() {
                    visit(images * TILE + image, references * TILE + first + lane, line);
                }
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
    use crate::fourier::Complex64;
    use crate::images::{Images, Particles, PrepareOptions, soft_disc};
    use crate::task::Task;
    use crate::volume::{Spectrum, density_of_atoms};
    use ndarray::{Array3, Axis};
    use rand::RngExt;
    use std::f64::consts::TAU;

    /// Transform of one masked image at frequency (kx, ky), by its definition.
    fn transform(particles: &Particles, image: usize, kx: f64, ky: f64) -> Complex64 {
        let (n, pixel) = (particles.size(), particles.pixel_size());
        let centre = (n / 2) as f64;
        let mut sum = Complex64::default();
        for ((y, x), value) in particles.data().index_axis(Axis(0), image).indexed_iter() {
            let mask = soft_disc(y, x, n, pixel, particles.mask_radius());
            let phase = -TAU * pixel * (kx * (x as f64 - centre) + ky * (y as f64 - centre));
            sum += Complex64::from_polar(f64::from(value * mask) * pixel * pixel, phase);
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
        let correlator = Correlator::new(&rings, &images, &references);
        let mut work = correlator.workspace();
        let mut lines = std::collections::HashMap::new();
        correlator.tile(0, 0, &mut work, |image, reference, line| {
            lines.insert((image, reference), line.to_vec());
        });
        // the definition, good to what interpolating the slices costs: Σ over rings and angles of weight × F(θ)·conj R(θ − ψ), R(ψ − θ) in the mirror image
        let fine = 2 * rings.angles;
        let circle = |ring: f64, angle: f64| (ring * angle.cos(), ring * angle.sin());
        let slices: Vec<_> = views.iter().map(|view| spectrum.slice(view)).collect();
        for image in 0..3 {
            let mut sums = vec![[[0.0f64; 2]; 5]; rings.angles];
            for (&ring, weight) in rings.frequencies.iter().zip(&rings.weights) {
                for angle in 0..fine {
                    let theta = TAU * angle as f64 / fine as f64;
                    let (kx, ky) = circle(ring, theta);
                    let value = transform(&particles, image, kx, ky) * (weight / fine as f64);
                    for (turn, sums) in sums.iter_mut().enumerate() {
                        let psi = TAU * turn as f64 / rings.angles as f64;
                        for (slice, sums) in slices.iter().zip(sums) {
                            for (sum, seen_at) in sums.iter_mut().zip([theta - psi, psi - theta]) {
                                let (kx, ky) = circle(ring, seen_at);
                                let r = slice.value(kx as f32, ky as f32);
                                *sum += value.re * f64::from(r.re) + value.im * f64::from(r.im);
                            }
                        }
                    }
                }
            }
            for reference in 0..5 {
                let line = &lines[&(image, reference)];
                let scale = line.iter().map(|v| v.norm()).fold(0.0, f32::max);
                for (value, sums) in line.iter().zip(&sums) {
                    for (got, expected) in [value.re, value.im].into_iter().zip(sums[reference]) {
                        assert!(
                            (f64::from(got) - expected).abs() < 1e-2 * f64::from(scale),
                            "{got} {expected} of {scale}"
                        );
                    }
                }
            }
        }
    }
}
