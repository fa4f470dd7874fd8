//! Power spectra of images: where in frequency there is structure, of the particle and of the liquid around it.
//!
//! The power is the mean over the images of |F(I − mean)|²/N², N the number of pixels: its sum over all frequencies is the variance of a pixel.

use std::f64::consts::PI;

use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Error, Images};
use crate::fourier::Fft2;
use crate::task::{Cancelled, Task};

/// Mean power spectrum of images, the frequency 0 at pixel N/2.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerSpectrum {
    /// `[ky][kx]`.
    pub power: Array2<f64>,
    /// Frequency from one pixel to the next [Å⁻¹].
    pub step: f64,
}

/// Power against frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerProfile {
    /// [Å⁻¹].
    pub frequencies: Vec<f64>,
    pub power: Vec<f64>,
}

/// Options of [`PowerSpectrum::line`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LineOptions {
    /// Direction from x towards y \[°\]. Default: 0.
    pub angle: f64,
    /// Width over which the power is averaged [Å⁻¹]. Default: one pixel.
    pub width: f64,
}

impl PowerSpectrum {
    /// Of all images.
    ///
    /// # Errors
    /// If there are no images, or when interrupted.
    pub fn of(images: &Images, task: &Task) -> Result<Self, Error> {
        if images.is_empty() {
            return Err(Error::Empty);
        }
        let size = images.size();
        let fft = Fft2::new(size);
        let (columns, pixels) = (fft.columns(), (size * size) as f64);
        // sums of fixed blocks, so that the number of threads changes nothing
        let stage = task.stage("power spectrum", images.len());
        let blocks = images
            .data()
            .axis_chunks_iter(Axis(0), 64)
            .into_par_iter()
            .map(|block| {
                let mut sum = vec![0.0; size * columns];
                for image in block.outer_iter() {
                    stage.advance(1)?;
                    let mean = image.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / pixels;
                    let flat: Vec<f32> = image.iter().map(|&pixel| (f64::from(pixel) - mean) as f32).collect();
                    let spectrum = fft.forward(&flat);
                    sum.iter_mut().zip(spectrum).for_each(|(sum, value)| *sum += f64::from(value.norm_sqr()));
                }
                Ok(sum)
            })
            .collect::<Result<Vec<Vec<f64>>, Cancelled>>()?;
        let scale = 1.0 / (images.len() as f64 * pixels * pixels);
        let half = |iy: usize, ix: usize| blocks.iter().map(|block| block[iy * columns + ix]).sum::<f64>() * scale;
        let power = Array2::from_shape_fn((size, size), |(y, x)| {
            let [ky, kx] = [y, x].map(|i| i as isize - (size / 2) as isize);
            let (ky, kx) = if kx < 0 { (-ky, -kx) } else { (ky, kx) };
            half(ky.rem_euclid(size as isize) as usize, kx as usize)
        });
        Ok(Self { power, step: 1.0 / (size as f64 * images.pixel_size()) })
    }

    /// Mean over all directions, in rings one step wide, up to the Nyquist frequency.
    pub fn radial(&self) -> PowerProfile {
        let size = self.power.dim().0;
        let rings = size / 2 + 1;
        let (mut sums, mut counts) = (vec![0.0; rings], vec![0usize; rings]);
        for ((y, x), value) in self.power.indexed_iter() {
            let [ky, kx] = [y, x].map(|i| i as f64 - (size / 2) as f64);
            if let Some(sum) = sums.get_mut(ky.hypot(kx).round() as usize) {
                *sum += value;
                counts[ky.hypot(kx).round() as usize] += 1;
            }
        }
        PowerProfile {
            frequencies: (0..rings).map(|ring| ring as f64 * self.step).collect(),
            power: sums.iter().zip(&counts).map(|(sum, &count)| sum / count.max(1) as f64).collect(),
        }
    }

    /// Along a line through the frequency 0, from the negative to the positive Nyquist frequency.
    pub fn line(&self, options: &LineOptions) -> PowerProfile {
        let size = self.power.dim().0;
        let half = (size / 2) as f64;
        let (sine, cosine) = (options.angle * PI / 180.0).sin_cos();
        let across = (options.width / self.step / 2.0).max(0.0);
        let reach = across.floor() as i64;
        let at = |along: f64| {
            let sum: f64 = (-reach..=reach)
                .map(|side| {
                    self.at(along * cosine - side as f64 * sine + half, along * sine + side as f64 * cosine + half)
                })
                .sum();
            sum / (2 * reach + 1) as f64
        };
        let places: Vec<f64> = (0..size).map(|i| i as f64 - half).collect();
        PowerProfile {
            frequencies: places.iter().map(|place| place * self.step).collect(),
            power: places.iter().map(|&place| at(place)).collect(),
        }
    }

    /// Power at a place between the pixels; 0 outside.
    fn at(&self, x: f64, y: f64) -> f64 {
        let pixel = |x: f64, y: f64| {
            let inside = x >= 0.0 && y >= 0.0;
            if inside { self.power.get((y as usize, x as usize)).copied().unwrap_or(0.0) } else { 0.0 }
        };
        let (x0, y0) = (x.floor(), y.floor());
        let (tx, ty) = (x - x0, y - y0);
        let row = |y: f64| (1.0 - tx) * pixel(x0, y) + tx * pixel(x0 + 1.0, y);
        (1.0 - ty) * row(y0) + ty * row(y0 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_wave_has_its_power_at_its_frequency_and_the_mean_power_is_the_variance() {
        for size in [32, 33] {
            let wave = |_: usize, y: usize, x: usize| {
                (2.0 * PI * (3.0 * x as f64 + 5.0 * y as f64) / size as f64).cos() as f32 + 2.0
            };
            let images = Images::new(Array3::from_shape_fn((3, size, size), |(n, y, x)| wave(n, y, x)), 0.5);
            let spectrum = PowerSpectrum::of(&images, &Task::silent()).unwrap();
            let centre = size / 2;
            assert!((spectrum.power[[centre + 5, centre + 3]] - 0.25).abs() < 1e-6);
            assert!((spectrum.power[[centre - 5, centre - 3]] - 0.25).abs() < 1e-6);
            assert!((spectrum.power.sum() - 0.5).abs() < 1e-6, "half of the square of the amplitude");
            let radial = spectrum.radial();
            let top = (0..radial.power.len()).max_by(|&a, &b| radial.power[a].total_cmp(&radial.power[b])).unwrap();
            assert_eq!(top, 6, "√34 steps");
            let line = spectrum.line(&LineOptions { angle: (5.0f64).atan2(3.0).to_degrees(), width: 0.0 });
            let peak = line.power.iter().copied().fold(0.0, f64::max);
            assert!(peak > 0.1, "the line goes through the peak: {peak}");
        }
    }
}
