//! Fourier shell correlation of two densities.

use super::{Error, Volume, centred_in};
use crate::fourier::{Complex32, Fft3};

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
        if a.size() != b.size() || (a.pixel_size() / b.pixel_size() - 1.0).abs() > 1e-3 {
            let (a_pixel, b_pixel) = (a.pixel_size(), b.pixel_size());
            return Err(Error::Shapes { a: a.size(), a_pixel, b: b.size(), b_pixel });
        }
        let n = a.size().next_multiple_of(2);
        let fft = Fft3::new(n);
        let (fa, fb) = (fft.forward(&centred_in(a, n)), fft.forward(&centred_in(b, n)));
        let half = n as f64 / 2.0;
        let shells = n / 2;
        let (mut cross, mut power_a, mut power_b) = (vec![0.0; shells], vec![0.0; shells], vec![0.0; shells]);
        for (((z, y, x), va), vb) in fa.indexed_iter().zip(&fb) {
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
        let edge = n as f64 * a.pixel_size();
        Ok(Self {
            frequencies: (0..shells).map(|shell| shell as f64 / edge).collect(),
            correlations: (0..shells)
                .map(|i| cross[i] / (power_a[i] * power_b[i]).sqrt().max(f64::MIN_POSITIVE))
                .collect(),
        })
    }

    /// Resolution \[Å\] at which the correlation first falls below `threshold`, linear between shells; none if it does not.
    pub fn resolution(&self, threshold: f64) -> Option<f64> {
        // The first shells hold a handful of coefficients and say nothing.
        let first = 3.min(self.correlations.len());
        let below = (first..self.correlations.len()).find(|&i| self.correlations[i] < threshold)?;
        let (c0, c1) = (self.correlations[below - 1], self.correlations[below]);
        let fraction = if c0 >= threshold { (c0 - threshold) / (c0 - c1) } else { 1.0 };
        let (s0, s1) = (self.frequencies[below - 1], self.frequencies[below]);
        Some(1.0 / (s0 + fraction * (s1 - s0)))
    }
}
