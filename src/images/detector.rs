//! What a camera makes of an image: shot noise, and contrast lost at high frequencies.
//!
//! Electrons arrive one by one, Poisson distributed about the intensity; the modulation transfer function (MTF) says how much of each frequency's
//! contrast is left. A counting detector places each electron near where it arrived, so that the noise stays white: the image is blurred first,
//! then counted. In an integrating one every electron leaves a blob: counted first, then blurred, noise and all.
//!
//! Source: G. McMullan et al., Ultramicroscopy 109 (2009) 1126–1143.

use rand_distr::{Distribution, Poisson};
use serde::{Deserialize, Serialize};

use super::{Error, Images};
use crate::fourier::{Fft2, signed_index};
use crate::random::stream;
use crate::task::Task;

/// How a detector turns electrons into an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// Every electron counts where it is found: white noise.
    #[default]
    Counting,
    /// Every electron's blob is added up: noise blurred as the image is.
    Integrating,
}

/// A detector and the dose on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detector {
    /// Electrons an Å² in an image, where its intensity is 1. Default: so many that there is no shot noise.
    pub dose: Option<f64>,
    /// Modulation transfer function: [frequency (cycles a pixel, from 0), contrast left], straight lines between. Default: 1 everywhere.
    pub mtf: Vec<[f64; 2]>,
    /// "counting" (default) or "integrating".
    pub readout: Readout,
    /// Seed of the shot noise. Default: 0.
    pub seed: u64,
}

impl Detector {
    fn check(&self) -> Result<(), Error> {
        if let Some(dose) = self.dose.filter(|dose| !(1e-9..=1e12).contains(dose)) {
            return Err(Error::Dose(dose));
        }
        let is_curve = self.mtf.first().is_none_or(|first| first[0] == 0.0)
            && self.mtf.windows(2).all(|pair| pair[0][0] < pair[1][0])
            && self.mtf.iter().all(|[frequency, value]| frequency.is_finite() && (0.0..=2.0).contains(value));
        if is_curve { Ok(()) } else { Err(Error::Mtf) }
    }

    /// Contrast left at a frequency, in cycles a pixel; beyond the last one given it stays.
    fn mtf_at(&self, frequency: f64) -> f64 {
        let after = self.mtf.partition_point(|point| point[0] <= frequency);
        match (after.checked_sub(1).map(|before| self.mtf[before]), self.mtf.get(after)) {
            (None, None) => 1.0,
            (Some([_, value]), None) | (None, Some(&[_, value])) => value,
            (Some([from, low]), Some(&[to, high])) => low + (high - low) * (frequency - from) / (to - from),
        }
    }
}

impl Images {
    /// The images as a detector records them: intensities still, 1 where there is no contrast.
    ///
    /// # Errors
    /// If there are no images, a setting is out of range, or pixels are negative although a dose is given; or when interrupted.
    pub fn detect(&self, detector: &Detector, task: &Task) -> Result<Self, Error> {
        if self.is_empty() {
            return Err(Error::Empty);
        }
        detector.check()?;
        let (lowest, _) = self.range();
        if detector.dose.is_some() && lowest < 0.0 {
            return Err(Error::NotIntensities(lowest));
        }
        let blur = (!detector.mtf.is_empty()).then(|| Blur::new(detector, self.size()));
        let electrons = detector.dose.map(|dose| dose * self.pixel_size() * self.pixel_size());
        let (detected, _) = self.remade("detect", task, |i, image, pixels| {
            pixels.iter_mut().zip(image).for_each(|(pixel, value)| *pixel = *value);
            let blurred = |pixels: &mut [f32]| blur.iter().for_each(|blur| blur.apply(pixels));
            if detector.readout == Readout::Counting {
                blurred(pixels);
            }
            if let Some(electrons) = electrons {
                count(pixels, electrons, detector.seed, i as u64);
            }
            if detector.readout == Readout::Integrating {
                blurred(pixels);
            }
            Ok(())
        })?;
        Ok(detected)
    }
}

/// Replaces intensities by numbers of electrons over their mean at intensity 1.
fn count(pixels: &mut [f32], electrons: f64, seed: u64, index: u64) {
    let mut rng = stream(seed, "shot noise", index);
    for pixel in pixels {
        // a mean of 0 has no distribution; blurring can leave less
        let arrived = Poisson::new(f64::from(*pixel) * electrons).map_or(0.0, |mean| mean.sample(&mut rng));
        *pixel = (arrived / electrons) as f32;
    }
}

/// An MTF for images of one size.
struct Blur {
    fft: Fft2,
    /// As the half spectrum of the transform.
    factors: Vec<f32>,
}

impl Blur {
    fn new(detector: &Detector, size: usize) -> Self {
        let fft = Fft2::new(size);
        let columns = fft.columns();
        let factor = |i: usize| {
            let [ky, kx] = [signed_index(i / columns, size) as f64, (i % columns) as f64];
            detector.mtf_at(ky.hypot(kx) / size as f64) as f32
        };
        Self { factors: (0..size * columns).map(factor).collect(), fft }
    }

    fn apply(&self, pixels: &mut [f32]) {
        let mut spectrum = self.fft.forward(pixels);
        spectrum.iter_mut().zip(&self.factors).for_each(|(value, factor)| *value *= factor);
        pixels.copy_from_slice(&self.fft.inverse(&spectrum));
    }
}
