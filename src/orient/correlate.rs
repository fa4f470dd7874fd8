//! Correlations of images with reference slices at every in-plane angle, a tile at a time.
//!
//! For image coefficients A = a + ib and reference coefficients B = c + id of angular frequency m the four real products ac, ad, bc, bd, summed
//! over the radial functions, give both the direction's angular spectrum C\[m\] = Σ A·conj B and its mirror image's C′\[m\] = (−1)ᵐ Σ A·B. Both
//! belong to real functions of the angle, so that one complex FFT of C + iC′ returns the two of them. In the form in which an [`Expansion`]
//! holds coefficients, (p, q) = (a − b, ±(a + b)) and (x, y) = (c − d, ±(c + d)), these products need no further arithmetic:
//! px + iqx and qy + ipy are C + iC′ at m and −m where m is even, at −m and m where it is odd.

use std::sync::Arc;

use rustfft::{Fft, FftPlanner};

use super::expansion::{COLUMNS, Expansion, TILE};
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::product::product_of_columns;

/// Images whose angular spectra are gathered together: one cache line of products; their correlations stay in the first-level cache.
const LANES: usize = 8;

/// Numbers from one angular frequency to the next in a tile's products: not a power of two, at which they would share a cache set.
pub const ORDER: usize = COLUMNS * COLUMNS + 16;

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
    /// `[m][reference's x or y][image's p or q]`
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
        self.references.norms().iter().map(|norm| norm / 2.0).collect()
    }

    /// Buffers for tiles of this correlator.
    pub fn workspace(&self) -> Workspace {
        Workspace {
            products: vec![0.0; self.rings.orders() * ORDER],
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
        for (m, products) in work.products.chunks_exact_mut(ORDER).enumerate() {
            product_of_columns(self.references.block(references, m), self.images.block(images, m), products);
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
        for reference in 0..self.references.items_of(references) {
            for first in (0..self.images.items_of(images)).step_by(LANES) {
                gather(&work.products, reference, first, &mut work.correlations, angles);
                self.fft.process_with_scratch(&mut work.correlations, &mut work.scratch);
                let found = self.images.items_of(images) - first;
                for (lane, line) in work.correlations.chunks_exact(angles).take(found).enumerate() {
                    visit(images * TILE + first + lane, references * TILE + reference, line);
                }
            }
        }
    }
}

/// Puts the products of one reference and [`LANES`] images from `first` on at their angular frequencies.
#[multiversion::multiversion(targets("x86_64+avx2+fma"))]
fn gather(products: &[f32], reference: usize, first: usize, spectra: &mut [Complex32], angles: usize) {
    let orders = products.len() / ORDER;
    for spectrum in spectra.chunks_exact_mut(angles) {
        spectrum[orders..=angles - orders].fill(Complex32::default());
    }
    let row = |m: usize, xy: usize| -> &[f32; 2 * LANES] {
        let row = &products[m * ORDER + (2 * reference + xy) * COLUMNS + 2 * first..][..2 * LANES];
        row.try_into().expect("two numbers an image")
    };
    // Neighbouring orders are neighbours in the spectrum too: an even one and the odd one after it together.
    for even in (0..orders).step_by(2) {
        let odd = even + 1;
        let (x, y) = (row(even, 0), row(even, 1));
        let (odd_x, odd_y) = (row(odd, 0), row(odd, 1));
        for (lane, spectrum) in spectra.chunks_exact_mut(angles).enumerate() {
            let as_is = |row: &[f32; 2 * LANES]| Complex32::new(row[2 * lane], row[2 * lane + 1]);
            let swapped = |row: &[f32; 2 * LANES]| Complex32::new(row[2 * lane + 1], row[2 * lane]);
            spectrum[even..even + 2].copy_from_slice(&[as_is(x), swapped(odd_y)]);
            spectrum[angles - odd] = as_is(odd_x);
            if even > 0 {
                spectrum[angles - even] = swapped(y);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fourier::Complex64;
    use crate::images::{Particles, soft_disc};
    use crate::orient::testing::{self, Expanded};
    use crate::task::Task;
    use crate::volume::{Spectrum, Volume, density_of_atoms};
    use nalgebra::{Matrix3, Point3, Vector3};
    use ndarray::Axis;
    use rand::RngExt;
    use rayon::prelude::*;
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
    fn scores_match_direct_sums_over_the_rings() {
        let mut rng = crate::random::stream(8, "correlate test", 0);
        let particles = testing::noise(&mut rng, 3, 40);
        let spectrum = testing::three_atoms(1.0, 32, particles.edge() / 32.0);
        let Expanded { rings, views, images, references } = Expanded::new(&particles, &spectrum);
        let correlator = Correlator::new(&rings, &images, &references);
        let mut work = correlator.workspace();
        let mut lines = std::collections::HashMap::new();
        correlator.tile(0, 0, &mut work, |image, reference, line| {
            lines.insert((image, reference), line.to_vec());
        });
        // The definition: Σ over rings and angles of weight × F(θ)·conj R(θ − ψ), R(ψ − θ) in the mirror image; F is the image's transform
        // itself, R the Fourier series through as many samples of the slice as the kernel takes.
        let fine = 2 * rings.angles;
        let series = |slice: &crate::volume::Slice, ring: usize| -> Vec<(f64, Complex64)> {
            let (n, s) = (rings.samples[ring], rings.frequencies[ring]);
            let sample = |i: usize| {
                let (sin, cos) = (TAU * i as f64 / n as f64).sin_cos();
                slice.value((s * cos) as f32, (s * sin) as f32)
            };
            let samples: Vec<Complex64> =
                (0..n).map(sample).map(|v| Complex64::new(f64::from(v.re), f64::from(v.im))).collect();
            let highest = rings.orders_of(ring) as i64 - 1;
            let coefficient = |m: i64| {
                let term = |(i, v): (usize, &Complex64)| {
                    v * Complex64::from_polar(1.0 / n as f64, -TAU * (m * i as i64) as f64 / n as f64)
                };
                (m as f64, samples.iter().enumerate().map(term).sum())
            };
            (-highest..=highest).map(coefficient).collect()
        };
        let slices: Vec<Vec<_>> = views
            .iter()
            .map(|view| {
                let slice = spectrum.slice(view);
                (0..rings.frequencies.len()).map(|ring| series(&slice, ring)).collect()
            })
            .collect();
        // ‖R‖² on all rings: the other part of a score
        for (view, &norm) in views.iter().zip(references.norms()) {
            let slice = spectrum.slice(view);
            let power_of = |(ring, (&s, weight)): (usize, (&f64, &f64))| -> f64 {
                let n = rings.samples[ring];
                let at = |i: usize| (TAU * i as f64 / n as f64).sin_cos();
                let power = |(sin, cos): (f64, f64)| slice.value((s * cos) as f32, (s * sin) as f32).norm_sqr();
                (0..n).map(|i| f64::from(power(at(i)))).sum::<f64>() * weight / n as f64
            };
            let expected: f64 = rings.frequencies.iter().zip(&rings.weights).enumerate().map(power_of).sum();
            assert!((f64::from(norm) / expected - 1.0).abs() < 1e-5, "{norm} {expected}");
        }
        for image in 0..3 {
            let mut sums = vec![[[0.0f64; 2]; 5]; rings.angles];
            for (ring, (&s, weight)) in rings.frequencies.iter().zip(&rings.weights).enumerate() {
                // Σ over θ of F(θ)·e^(−imθ): what each term of a series meets
                let values: Vec<Complex64> = (0..fine)
                    .map(|angle| (TAU * angle as f64 / fine as f64).sin_cos())
                    .map(|(sin, cos)| transform(&particles, image, s * cos, s * sin) * (weight / fine as f64))
                    .collect();
                let met = |m: f64| -> Complex64 {
                    let phase = |angle: usize| Complex64::from_polar(1.0, -TAU * m * angle as f64 / fine as f64);
                    values.iter().enumerate().map(|(angle, value)| value * phase(angle)).sum()
                };
                for (reference, slice) in slices.iter().enumerate() {
                    for (m, r) in &slice[ring] {
                        let (direct, mirrored) = (met(*m) * r.conj(), met(-m) * r.conj());
                        for (turn, sums) in sums.iter_mut().enumerate() {
                            let psi = TAU * turn as f64 / rings.angles as f64;
                            sums[reference][0] += (direct * Complex64::from_polar(1.0, m * psi)).re;
                            sums[reference][1] += (mirrored * Complex64::from_polar(1.0, -m * psi)).re;
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
                            (f64::from(got) - expected).abs() < 1e-4 * f64::from(scale),
                            "{got} {expected} of {scale}"
                        );
                    }
                }
            }
        }
    }

    /// ‖R‖² on all rings of the slices of `density` at `views`, by its definition: a sum over voxels.
    fn exact_norms(rings: &Rings, density: &Volume, views: &[Matrix3<f64>]) -> Vec<f64> {
        let centre = (density.size() / 2) as f64;
        let occupied = density.data().indexed_iter().filter(|(_, value)| **value != 0.0);
        let voxels: Vec<(Vector3<f64>, f64)> = occupied
            .map(|((z, y, x), value)| {
                let place = Vector3::new(x as f64, y as f64, z as f64) - Vector3::repeat(centre);
                (place * density.pixel_size(), f64::from(*value) * density.pixel_size().powi(3))
            })
            .collect();
        let of_view = |view: &Matrix3<f64>| -> f64 {
            let on_ring = |(ring, (&s, weight)): (usize, (&f64, &f64))| {
                let n = rings.samples[ring];
                let power_at = |sample: usize| {
                    let (sin, cos) = (TAU * sample as f64 / n as f64).sin_cos();
                    let k = view.transpose() * Vector3::new(s * cos, s * sin, 0.0);
                    let term =
                        |(place, value): &(Vector3<f64>, f64)| Complex64::from_polar(*value, -TAU * k.dot(place));
                    voxels.iter().map(term).sum::<Complex64>().norm_sqr()
                };
                (0..n).map(power_at).sum::<f64>() * weight / n as f64
            };
            rings.frequencies.iter().zip(&rings.weights).enumerate().map(on_ring).sum()
        };
        views.par_iter().map(of_view).collect()
    }

    /// Norms are those of the exact slices, up to what interpolation between a spectrum's samples leaves: less the wider the box.
    #[test]
    fn norms_are_those_of_exact_slices() {
        let mut rng = crate::random::stream(9, "correlate test", 0);
        let particles = testing::noise(&mut rng, 3, 60);
        let rings = Rings::new(&particles, 2.5);
        let mut atom = |_| {
            let place = Vector3::from_fn(|_, _| rng.random_range(-1.0..1.0)).cap_magnitude(1.0);
            (Point3::from(3.0 * place), rng.random_range(1.0..2.0))
        };
        let atoms: Vec<_> = (0..20).map(&mut atom).collect();
        let views: Vec<_> = crate::orient::random_poses(24, 3).as_slice().iter().map(|pose| pose.matrix()).collect();
        for (size, bound) in [(40, 6e-4), (80, 2e-4)] {
            let density = density_of_atoms(&atoms, 0.6, size, 0.75);
            let references =
                Expansion::of_slices(&rings, &Spectrum::new(&density, 0.0), &views, &Task::silent()).unwrap();
            let exact = exact_norms(&rings, &density, &views);
            let errors = references.norms().iter().zip(exact).map(|(&norm, exact)| f64::from(norm) / exact - 1.0);
            let rms = (errors.map(|error| error * error).sum::<f64>() / views.len() as f64).sqrt();
            assert!(rms < bound, "in a box of {size} voxels: {rms:e}");
        }
    }
}
