//! Frames read between their pixels: cubic B-splines on a grid of half the pixel size.
//!
//! The spectrum is padded to twice the frequencies, which is exact, and divided by that of the spline, so that the spline passes through the pixels (Unser, IEEE Signal
//! Process. Mag. 16 (1999) 22). Beyond an edge a frame goes on at the other one.

use std::f64::consts::TAU;

use crate::fourier::{Fft2, signed_index};

/// Pixels of the finer grid along a pixel.
const FINER: usize = 2;

/// Plans for frames of one size.
pub(super) struct Warp {
    size: usize,
    coarse: Fft2,
    fine: Fft2,
}

/// A frame, as coefficients of splines.
pub(super) struct Prepared {
    size: usize,
    coefficients: Vec<f32>,
}

impl Warp {
    pub fn new(size: usize) -> Self {
        Self { size, coarse: Fft2::new(size), fine: Fft2::new(FINER * size) }
    }

    /// A frame whose frequencies, in cycles a pixel, are multiplied by `filter`.
    pub fn prepared(&self, pixels: &[f32], filter: impl Fn(f64) -> f64) -> Prepared {
        let (n, m) = (self.size, FINER * self.size);
        let spectrum = self.coarse.forward(pixels);
        let mut padded = vec![Default::default(); m * self.fine.columns()];
        let of_spline = |k: isize| (2.0 + (TAU * k as f64 / m as f64).cos()) / 3.0;
        for (place, value) in spectrum.iter().enumerate() {
            let (ky, kx) = (signed_index(place / self.coarse.columns(), n), (place % self.coarse.columns()) as isize);
            let factor = filter((ky as f64).hypot(kx as f64) / n as f64) * (FINER * FINER) as f64;
            // the unpaired frequency of an even size belongs to both signs
            let unpaired = |k: isize| n.is_multiple_of(2) && k.unsigned_abs() == n / 2;
            let share = if unpaired(kx) { 0.5 } else { 1.0 } * if unpaired(ky) { 0.5 } else { 1.0 };
            let value = *value * (share * factor / (of_spline(ky) * of_spline(kx))) as f32;
            let row = |ky: isize| ky.rem_euclid(m as isize) as usize;
            padded[row(ky) * self.fine.columns() + kx as usize] = value;
            if unpaired(ky) {
                padded[row(-ky) * self.fine.columns() + kx as usize] = value;
            }
        }
        Prepared { size: n, coefficients: self.fine.inverse(&padded) }
    }
}

impl Prepared {
    /// The frame's value at each pixel (y, x) moved by its displacement (x, y) \[pixels\].
    pub fn warped(&self, displacements: &[[f32; 2]]) -> Vec<f32> {
        let of_pixel = |(index, [dx, dy]): (usize, &[f32; 2])| {
            let (y, x) = (index / self.size, index % self.size);
            self.at(y as f32 + dy, x as f32 + dx)
        };
        displacements.iter().enumerate().map(of_pixel).collect()
    }

    fn at(&self, y: f32, x: f32) -> f32 {
        let m = (FINER * self.size) as isize;
        // the centre, pixel N/2, is at twice N/2 of either grid, which for odd sizes is one less than half of the finer one
        let offset = (FINER * self.size / 2 - FINER * (self.size / 2)) as f32;
        let along = |position: f32| {
            let position = position * FINER as f32 + offset;
            let first = position.floor();
            let (t, s) = (position - first, 1.0 - (position - first));
            let weights = [
                s * s * s / 6.0,
                2.0 / 3.0 - t * t * (2.0 - t) / 2.0,
                2.0 / 3.0 - s * s * (2.0 - s) / 2.0,
                t * t * t / 6.0,
            ];
            (first as isize - 1, weights)
        };
        let ((y, of_y), (x, of_x)) = (along(y), along(x));
        let columns: [usize; 4] = std::array::from_fn(|i| (x + i as isize).rem_euclid(m) as usize);
        let mut sum = 0.0;
        for (i, weight) in of_y.iter().enumerate() {
            let row = &self.coefficients[(y + i as isize).rem_euclid(m) as usize * m as usize..][..m as usize];
            sum += weight * columns.iter().zip(&of_x).map(|(&column, w)| row[column] * w).sum::<f32>();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_read_between_pixels_to_a_part_in_a_hundred_at_worst() {
        for size in [32, 45] {
            let centre = (size / 2) as f64;
            for (waves, tolerance) in [(3.0, 1e-4), (8.0, 2e-3), (13.0, 1.5e-2)] {
                let value =
                    |y: f64, x: f64| (TAU * (waves * (x - centre) - 2.0 * (y - centre)) / size as f64 + 0.3).cos();
                let pixels: Vec<f32> =
                    (0..size * size).map(|i| value((i / size) as f64, (i % size) as f64) as f32).collect();
                let moved: Vec<[f32; 2]> =
                    (0..size * size).map(|i| [(i % 7) as f32 / 5.0 - 0.6, (i % 11) as f32 / 9.0 - 0.5]).collect();
                let found = Warp::new(size).prepared(&pixels, |_| 1.0).warped(&moved);
                for (i, (found, [dx, dy])) in found.iter().zip(&moved).enumerate() {
                    let expected = value((i / size) as f64 + f64::from(*dy), (i % size) as f64 + f64::from(*dx));
                    assert!((f64::from(*found) - expected).abs() < tolerance, "{size} {waves}: {found} {expected}");
                }
            }
        }
    }
}
