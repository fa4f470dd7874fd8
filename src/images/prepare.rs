//! Preparing images: contrast inverted, grey values normalised, noise added to a given signal-to-noise ratio.
//!
//! The signal-to-noise ratio of an image is the variance of its noise-free pixels over the variance of the noise. Over the
//! whole *frame* it depends on how much empty background there is; over the *particle* alone it is larger. Both are always given.

use std::fmt;

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Error, Images};
use crate::random::stream;
use crate::task::{Cancelled, Task};

/// Where the signal's variance is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// The whole image.
    #[default]
    Frame,
    /// A disc of the particle's diameter about the image's centre.
    Particle,
}

/// Noise to add.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Variance of the noise-free image in `region` / variance of the noise; must be given.
    pub snr: Option<f64>,
    /// "frame" (default) or "particle".
    pub region: Region,
    /// Diameter of the particle \[Å\]. Default: that of the disc about the centre with 95 % of the stack's squared contrast
    /// (give it where there is liquid around the particle).
    pub diameter: Option<f64>,
    /// Seed of the noise. Default: 0.
    pub seed: u64,
}

/// The signal-to-noise ratios of a stack after noise was added: means over its images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseReport {
    /// Over the whole image.
    pub snr_frame: f64,
    /// Over the disc of the particle.
    pub snr_particle: f64,
    /// Diameter of that disc \[Å\].
    pub diameter: f64,
}

impl fmt::Display for NoiseReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { snr_frame, snr_particle, diameter } = self;
        write!(f, "SNR {snr_frame:.3} over the frame, {snr_particle:.3} over the particle (a disc of {diameter:.1} Å)")
    }
}

impl Images {
    /// Mean and variance over all pixels of all images.
    pub fn moments(&self) -> (f64, f64) {
        moments(self.data().iter().copied())
    }

    /// Grey values with the opposite sign: black atoms become white.
    ///
    /// # Errors
    /// When interrupted.
    pub fn invert(&self, task: &Task) -> Result<Self, Error> {
        let (inverted, _) = self.remade("invert", task, |_, image, pixels| {
            pixels.iter_mut().zip(image).for_each(|(pixel, value)| *pixel = -value);
            Ok(())
        })?;
        Ok(inverted)
    }

    /// Every image with mean 0 and variance 1.
    ///
    /// # Errors
    /// If an image is constant, or when interrupted.
    pub fn normalize(&self, task: &Task) -> Result<Self, Error> {
        let (normalized, _) = self.remade("normalize", task, |i, image, pixels| {
            let (mean, variance) = moments(image.iter().copied());
            if variance.sqrt() <= f64::from(f32::EPSILON) * mean.abs() {
                return Err(Error::Constant(i));
            }
            let scale = variance.sqrt().recip();
            pixels
                .iter_mut()
                .zip(image)
                .for_each(|(pixel, value)| *pixel = ((f64::from(*value) - mean) * scale) as f32);
            Ok(())
        })?;
        Ok(normalized)
    }

    /// White Gaussian noise added to noise-free images, for each image at the same signal-to-noise ratio, and what the ratios are.
    ///
    /// # Errors
    /// If the ratio is missing or not positive, the diameter does not fit the images, or an image is constant; or when interrupted.
    pub fn add_noise(&self, options: &Noise, task: &Task) -> Result<(Self, NoiseReport), Error> {
        if self.is_empty() {
            return Err(Error::Empty);
        }
        let snr = options.snr.ok_or(Error::NoSnr)?;
        if !(snr.is_finite() && snr > 0.0) {
            return Err(Error::Snr(snr));
        }
        let width = self.size() as f64 * self.pixel_size();
        let diameter = match options.diameter {
            Some(diameter) => diameter,
            None => self.signal_diameter(task)?,
        };
        if !(diameter > 0.0 && diameter <= width) {
            return Err(Error::Disc { diameter, width });
        }
        let disc = self.disc(diameter);
        let (noisy, ratios) = self.remade("add noise", task, |i, image, pixels| {
            let (_, frame) = moments(image.iter().copied());
            let (_, particle) = moments(disc.iter().map(|&at| image[at]));
            let signal = if options.region == Region::Frame { frame } else { particle };
            if signal <= 0.0 {
                return Err(Error::Constant(i));
            }
            let noise = (signal / snr).sqrt();
            let mut rng = stream(options.seed, "noise", i as u64);
            let mut deviation = || (noise * rng.sample::<f64, _>(StandardNormal)) as f32;
            pixels.iter_mut().zip(image).for_each(|(pixel, value)| *pixel = value + deviation());
            Ok([frame / (noise * noise), particle / (noise * noise)])
        })?;
        let mean = |which: usize| ratios.iter().map(|ratio: &[f64; 2]| ratio[which]).sum::<f64>() / ratios.len() as f64;
        Ok((noisy, NoiseReport { snr_frame: mean(0), snr_particle: mean(1), diameter }))
    }

    /// Diameter \[Å\] of the disc about the centre that holds 95 % of the stack's squared deviation from the mean of each image's edge.
    fn signal_diameter(&self, task: &Task) -> Result<f64, Cancelled> {
        const SHARE: f64 = 0.95;
        let size = self.size();
        let rings = Array2::from_shape_fn((size, size), |(y, x)| self.radius(y, x).round() as usize);
        let of_image = |image: ArrayView2<f32>| {
            let edges = [s![0, ..], s![-1, ..]].map(|edge| image.slice(edge));
            let (background, _) = moments(edges.iter().flatten().copied());
            let mut power = vec![0.0; size];
            for (&ring, &value) in rings.iter().zip(image) {
                power[ring] += (f64::from(value) - background).powi(2);
            }
            task.check().map(|()| power)
        };
        let of_images = self.data().axis_iter(Axis(0)).into_par_iter().map(of_image);
        let of_images = of_images.collect::<Result<Vec<Vec<f64>>, Cancelled>>()?;
        // added in order, so that threads make no difference
        let power: Vec<f64> = (0..size).map(|ring| of_images.iter().map(|power| power[ring]).sum()).collect();
        let total: f64 = power.iter().sum();
        let mut inside = 0.0;
        let within = power.iter().take_while(|&&ring| {
            inside += ring;
            inside < SHARE * total
        });
        let radius = (within.count() as f64 + 0.5).min(size as f64 / 2.0);
        Ok(2.0 * radius * self.pixel_size())
    }

    /// Distance of a pixel from the image's centre \[pixels\].
    fn radius(&self, y: usize, x: usize) -> f64 {
        let centre = (self.size() / 2) as f64;
        (y as f64 - centre).hypot(x as f64 - centre)
    }

    /// The pixels (y, x) within `diameter`/2 \[Å\] of the centre.
    fn disc(&self, diameter: f64) -> Vec<(usize, usize)> {
        let radius = diameter / 2.0 / self.pixel_size();
        let pixels = (0..self.size()).flat_map(|y| (0..self.size()).map(move |x| (y, x)));
        pixels.filter(|&(y, x)| self.radius(y, x) <= radius).collect()
    }
}

/// Mean and variance, in double precision.
fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    (mean, values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    /// Gaussian blobs of width 3 pixels on a background of 7, each image with another amplitude.
    fn blobs(n: usize) -> Images {
        let pixel = |(i, y, x): (usize, usize, usize)| {
            let r2 = (y as f32 - 32.0).powi(2) + (x as f32 - 32.0).powi(2);
            7.0 + (1 + i) as f32 * (-r2 / 18.0).exp()
        };
        Images::new(Array3::from_shape_fn((n, 64, 64), pixel), 0.5)
    }

    #[test]
    fn normalised_images_have_mean_zero_and_variance_one() {
        let images = blobs(5).normalize(&Task::silent()).unwrap();
        for image in images.data().axis_iter(Axis(0)) {
            let (mean, variance) = moments(image.iter().copied());
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5);
        }
        let flat = Images::new(Array3::from_elem((1, 8, 8), 0.3), 1.0);
        assert!(matches!(flat.normalize(&Task::silent()), Err(Error::Constant(0))));
    }

    #[test]
    fn noise_has_the_asked_ratio_in_either_region() {
        let clean = blobs(40);
        for region in [Region::Frame, Region::Particle] {
            let options = Noise { snr: Some(0.5), region, diameter: Some(9.0), seed: 3 };
            let (noisy, report) = clean.add_noise(&options, &Task::silent()).unwrap();
            let mut measured = [0.0; 2];
            for (clean_image, noisy_image) in clean.data().axis_iter(Axis(0)).zip(noisy.data().axis_iter(Axis(0))) {
                let noise = &noisy_image - &clean_image;
                let variance = moments(noise.iter().copied()).1;
                measured[0] += moments(clean_image.iter().copied()).1 / variance / 40.0;
                let disc: Vec<f32> = clean_image
                    .indexed_iter()
                    .filter(|((y, x), _)| (*y as f64 - 32.0).hypot(*x as f64 - 32.0) * 0.5 <= 4.5)
                    .map(|(_, &value)| value)
                    .collect();
                measured[1] += moments(disc.iter().copied()).1 / variance / 40.0;
            }
            let asked = if region == Region::Frame { measured[0] } else { measured[1] };
            assert!((asked / 0.5 - 1.0).abs() < 0.01, "{region:?}: {measured:?}");
            assert!((report.snr_frame / measured[0] - 1.0).abs() < 0.01);
            assert!((report.snr_particle / measured[1] - 1.0).abs() < 0.01);
        }
    }

    #[test]
    fn the_particle_s_diameter_is_found_from_its_signal() {
        // 95 % of a squared Gaussian of width 3 pixels lies within 3·√(−ln 0.05) = 5.2 pixels.
        let (_, report) = blobs(3).add_noise(&Noise { snr: Some(1.0), ..Noise::default() }, &Task::silent()).unwrap();
        assert!((report.diameter - 5.2).abs() < 0.6, "{}", report.diameter);
        assert!(report.snr_particle > 5.0 * report.snr_frame);
    }

    #[test]
    fn impossible_noise_is_refused_with_the_reason() {
        let message = |options: Noise| blobs(1).add_noise(&options, &Task::silent()).unwrap_err().to_string();
        assert!(message(Noise::default()).contains("give the signal-to-noise ratio"));
        assert!(message(Noise { snr: Some(0.0), ..Noise::default() }).contains("got 0"));
        assert!(message(Noise { snr: Some(f64::NAN), ..Noise::default() }).contains("NaN"));
        assert!(message(Noise { snr: Some(1.0), diameter: Some(99.0), ..Noise::default() }).contains("99 Å"));
    }
}
