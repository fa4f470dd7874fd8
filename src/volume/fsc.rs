//! Fourier shell correlation of two densities, plain and corrected for a mask.
//!
//! A mask makes two densities agree that have nothing in common but the mask. How much is measured by giving both random
//! phases beyond a frequency where they no longer agree well (Chen et al., Ultramicroscopy 135 (2013) 24–35): what correlation is
//! left under the mask, FSCₙ, is the mask's, and FSC = (FSCₜ − FSCₙ)/(1 − FSCₙ) without it.
//!
//! No correction helps two halves that are not independent: where the poses of both come from one start or one reference, they
//! share its errors, and their correlation says nothing about the truth.

use ndarray::{Array3, Axis, Zip};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Error, Volume, centred_in};
use crate::fourier::{Complex32, Fft3};
use crate::random;

/// Fourier shell correlation: agreement of two densities against spatial frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Fsc {
    /// Spatial frequency of each shell [1/Å].
    pub frequencies: Vec<f64>,
    /// Correlation of each shell, −1 … 1.
    pub correlations: Vec<f64>,
}

impl Fsc {
    /// Correlation of `a` and `b` in shells one box frequency wide.
    ///
    /// # Errors
    /// If the two do not share size and pixel size.
    pub fn between(a: &Volume, b: &Volume) -> Result<Self, Error> {
        a.check_same_grid(b)?;
        let n = a.size().next_multiple_of(2);
        let fft = Fft3::new(n);
        Ok(Self::of_spectra(&fft.forward(&centred_in(a, n)), &fft.forward(&centred_in(b, n)), a.pixel_size()))
    }

    /// The same of two transforms from [`Fft3`].
    fn of_spectra(fa: &Array3<Complex32>, fb: &Array3<Complex32>, pixel_size: f64) -> Self {
        let n = fa.dim().0;
        let half = n as f64 / 2.0;
        let shells = n / 2;
        let (mut cross, mut power_a, mut power_b) = (vec![0.0; shells], vec![0.0; shells], vec![0.0; shells]);
        for (((z, y, x), va), vb) in fa.indexed_iter().zip(fb) {
            let shell =
                ((z as f64 - half).powi(2) + (y as f64 - half).powi(2) + (x as f64).powi(2)).sqrt().round() as usize;
            if shell < shells {
                // columns x > 0 stand for their mirror images too
                let count = if x == 0 { 1.0 } else { 2.0 };
                let dot = |p: &Complex32, q: &Complex32| count * f64::from(p.re * q.re + p.im * q.im);
                cross[shell] += dot(va, vb);
                power_a[shell] += dot(va, va);
                power_b[shell] += dot(vb, vb);
            }
        }
        let edge = n as f64 * pixel_size;
        Self {
            frequencies: (0..shells).map(|shell| shell as f64 / edge).collect(),
            correlations: (0..shells)
                .map(|i| cross[i] / (power_a[i] * power_b[i]).sqrt().max(f64::MIN_POSITIVE))
                .collect(),
        }
    }

    /// Resolution \[Å\] at which the correlation first falls below `threshold`, linear between shells; none if it does not.
    pub fn resolution(&self, threshold: f64) -> Option<f64> {
        let below = self.first_below(threshold)?;
        let (c0, c1) = (self.correlations[below - 1], self.correlations[below]);
        let fraction = if c0 >= threshold { (c0 - threshold) / (c0 - c1) } else { 1.0 };
        let (s0, s1) = (self.frequencies[below - 1], self.frequencies[below]);
        Some(1.0 / (s0 + fraction * (s1 - s0)))
    }

    /// The first shell below `threshold`.
    fn first_below(&self, threshold: f64) -> Option<usize> {
        // The first shells hold a handful of coefficients and say nothing.
        let first = 3.min(self.correlations.len());
        (first..self.correlations.len()).find(|&i| self.correlations[i] < threshold)
    }
}

/// Options of [`CorrectedFsc::between`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FscOptions {
    /// Radius of the spherical mask \[Å\]; default 0.4 edges of the box.
    pub radius: Option<f64>,
    /// Width of its soft edge \[Å\]; default 1.5.
    pub edge: f64,
    /// Phases become random beyond the frequency where the unmasked correlation first falls below this; default 0.8.
    pub randomize_below: f64,
    /// Seed of the random phases; default 0.
    pub seed: u64,
}

impl Default for FscOptions {
    fn default() -> Self {
        Self { radius: None, edge: 1.5, randomize_below: 0.8, seed: 0 }
    }
}

/// Correlations of two densities without and within a mask, on the same shells.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrectedFsc {
    /// Of the densities as they are.
    pub unmasked: Fsc,
    /// Within the mask.
    pub masked: Fsc,
    /// Within the mask, with random phases beyond `randomized_from`.
    pub randomized: Fsc,
    /// Within the mask, without what the mask itself contributes.
    pub corrected: Fsc,
    /// Frequency beyond which phases were random [1/Å]; none if the unmasked densities agree up to the last shell.
    pub randomized_from: Option<f64>,
}

/// Shells after the first random one that are left as they are: the mask mixes phases across the border.
const MIXED_SHELLS: usize = 2;

impl CorrectedFsc {
    /// Correlations of `a` and `b`.
    ///
    /// # Errors
    /// If the two do not share size and pixel size, hold values that are not finite, or an option is out of range.
    pub fn between(a: &Volume, b: &Volume, options: &FscOptions) -> Result<Self, Error> {
        let FscOptions { radius, edge, randomize_below, seed } = *options;
        let radius = radius.unwrap_or(0.4 * a.edge());
        if !(radius > 0.0 && radius.is_finite() && edge > 0.0 && edge.is_finite()) {
            return Err(Error::Mask { radius, edge });
        }
        if !(0.0..=1.0).contains(&randomize_below) {
            let (name, range) = ("randomize_below", "a correlation from 0 to 1");
            return Err(Error::Option { name, range, value: randomize_below });
        }
        a.check_same_grid(b)?;
        a.check_finite()?;
        b.check_finite()?;
        let masked = Fsc::between(&a.masked(radius, edge), &b.masked(radius, edge))?;
        let n = a.size().next_multiple_of(2);
        let fft = Fft3::new(n);
        let spectra = [a, b].map(|volume| fft.forward(&centred_in(volume, n)));
        let unmasked = Fsc::of_spectra(&spectra[0], &spectra[1], a.pixel_size());
        let Some(first) = unmasked.first_below(randomize_below) else {
            let (randomized, corrected) = (masked.clone(), masked.clone());
            return Ok(Self { unmasked, masked, randomized, corrected, randomized_from: None });
        };
        let mut half = 0;
        let random = spectra.map(|spectrum| {
            half += 1;
            let cube = fft.inverse(random_phases(spectrum, first, &fft, seed, half));
            Volume::new(cube, a.pixel_size()).masked(radius, edge)
        });
        let randomized = Fsc::between(&random[0], &random[1])?;
        let pairs = masked.correlations.iter().zip(&randomized.correlations).enumerate();
        let corrected = pairs.map(|(shell, (&with, &by_mask))| {
            // where even random phases agree, the mask leaves nothing to be said
            let left = (1.0 - by_mask).max(1e-6);
            if shell < first + MIXED_SHELLS { with } else { ((with - by_mask) / left).clamp(-1.0, 1.0) }
        });
        let corrected = Fsc { frequencies: masked.frequencies.clone(), correlations: corrected.collect() };
        let randomized_from = Some(masked.frequencies[first]);
        Ok(Self { unmasked, masked, randomized, corrected, randomized_from })
    }
}

/// `spectrum` with random phases from shell `first` on, those of white noise: a real cube's, as the half spectrum must be.
fn random_phases(mut spectrum: Array3<Complex32>, first: usize, fft: &Fft3, seed: u64, half: u64) -> Array3<Complex32> {
    let n = spectrum.dim().0;
    let mut noise = Array3::<f32>::zeros((n, n, n));
    noise.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(z, mut plane)| {
        let mut rng = random::stream(seed, "random phases", half * n as u64 + z as u64);
        plane.iter_mut().for_each(|value| *value = rng.sample(StandardNormal));
    });
    let (middle, limit) = (n as f64 / 2.0, first as f64 - 0.5);
    Zip::indexed(&mut spectrum).and(&fft.forward(&noise)).par_for_each(|(z, y, x), value, noise| {
        let square = (z as f64 - middle).powi(2) + (y as f64 - middle).powi(2) + (x as f64).powi(2);
        if square >= limit * limit {
            *value = *noise * (value.norm() / noise.norm().max(f32::MIN_POSITIVE));
        }
    });
    spectrum
}
