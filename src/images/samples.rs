//! The Fourier coefficients of images, as the list of samples that refinement and gridding read.

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;

use super::particles::{Particles, soft_disc};
use crate::fourier::{Complex32, Fft2, signed_index};
use crate::task::{Cancelled, Task};

/// Coefficients of every image within a resolution limit, on the half plane that the other half mirrors, sorted by frequency.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Spatial frequency (x, y) of each sample [1/Å], in order of increasing length.
    pub frequencies: Vec<[f32; 2]>,
    /// Length of each of them [1/Å].
    pub lengths: Vec<f32>,
    /// Coefficient of each image at each frequency [noise s.d. · Å²], `[image][sample]`.
    pub values: Array2<Complex32>,
    /// Expected |noise|² of a coefficient at each frequency, the same for all images.
    pub noise: Vec<f32>,
}

impl Samples {
    /// Transforms masked particles and keeps the frequencies 0 < s ≤ 1/`low_pass`.
    pub fn new(particles: &Particles, low_pass: f64, task: &Task) -> Result<Self, Cancelled> {
        let (n, pixel) = (particles.size(), particles.pixel_size());
        let mask = |(y, x): (usize, usize)| soft_disc(y, x, n, pixel, particles.mask_radius());
        Self::through(&Array2::from_shape_fn((n, n), mask), particles, low_pass, task)
    }

    /// The same without the mask: there is more noise in them, but that of no two samples is related.
    pub fn unmasked(particles: &Particles, low_pass: f64, task: &Task) -> Result<Self, Cancelled> {
        Self::through(&Array2::ones((particles.size(), particles.size())), particles, low_pass, task)
    }

    fn through(mask: &Array2<f32>, particles: &Particles, low_pass: f64, task: &Task) -> Result<Self, Cancelled> {
        let (n, pixel, edge) = (particles.size(), particles.pixel_size(), particles.edge());
        let fft = Fft2::new(n);
        let columns = fft.columns();
        let limit = 1.0 / low_pass * edge + 1e-6;
        // (squared length, position in the half spectrum), without the origin, one of each ± pair
        let mut kept: Vec<(i64, usize)> = (0..n * columns)
            .filter_map(|index| {
                let (ky, kx) = (signed_index(index / columns, n) as i64, (index % columns) as i64);
                let square = ky * ky + kx * kx;
                let unique = kx > 0 || ky > 0;
                let unpaired = 2 * ky.unsigned_abs() == n as u64 || 2 * kx == n as i64;
                (unique && !unpaired && square as f64 <= limit * limit).then_some((square, index))
            })
            .collect();
        kept.sort_unstable();

        let area = mask.iter().map(|w| f64::from(w * w)).sum::<f64>() * pixel * pixel;
        let scale = (pixel * pixel) as f32;
        let mut values = Array2::zeros((particles.len(), kept.len()));
        values.axis_iter_mut(Axis(0)).into_par_iter().zip(particles.data().axis_iter(Axis(0))).try_for_each(
            |(mut row, image)| {
                let masked = &image * mask;
                let spectrum = fft.forward(masked.as_slice().expect("standard layout"));
                for (value, (_, index)) in row.iter_mut().zip(&kept) {
                    *value = spectrum[*index] * scale;
                }
                task.check()
            },
        )?;
        let frequencies: Vec<[f32; 2]> = kept
            .iter()
            .map(|&(_, index)| {
                let (ky, kx) = (signed_index(index / columns, n) as f64, (index % columns) as f64);
                [(kx / edge) as f32, (ky / edge) as f32]
            })
            .collect();
        let lengths: Vec<f32> = kept.iter().map(|&(square, _)| ((square as f64).sqrt() / edge) as f32).collect();
        let noise = lengths.iter().map(|&s| (particles.noise_density(f64::from(s)) * area) as f32).collect();
        Ok(Self { frequencies, lengths, values, noise })
    }

    /// Number of samples with a frequency up to 1/`low_pass`.
    pub fn up_to(&self, low_pass: f64) -> usize {
        let limit = (1.0 / low_pass * (1.0 + 1e-6)) as f32;
        self.lengths.partition_point(|&s| s <= limit)
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.values.dim().0
    }

    /// Coefficients of one image.
    pub fn image(&self, index: usize) -> ArrayView1<'_, Complex32> {
        self.values.row(index)
    }
}
