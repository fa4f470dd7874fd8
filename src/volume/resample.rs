//! Bringing a density to another grid, and comparing two on one.

use ndarray::Array2;

use super::{Error, Volume};

/// Most voxels along an edge.
const LARGEST: usize = 1000;

impl Volume {
    /// The density on a grid of `size` voxels of `pixel_size` Å an edge, centre on centre, by trigonometric interpolation.
    ///
    /// Frequencies that the new voxels cannot carry are left out; what lies beyond the old box is zero.
    ///
    /// # Errors
    /// If the new grid is empty or has more than 1000 voxels an edge.
    pub fn resampled(&self, size: usize, pixel_size: f64) -> Result<Self, Error> {
        if !(1..=LARGEST).contains(&size) {
            return Err(Error::Option { name: "size", range: "from 1 to 1000 voxels", value: size as f64 });
        }
        if !(pixel_size > 0.0 && pixel_size.is_finite()) {
            return Err(Error::Option { name: "pixel_size", range: "a positive number of Å", value: pixel_size });
        }
        let n = self.size();
        let weights = interpolation(n, size, pixel_size / self.pixel_size());
        let mut data = self.data().clone();
        // each turn replaces the first axis and puts it last, so that three restore the order
        for _ in 0..3 {
            let (first, second, third) = data.dim();
            let flat = data.into_shape_with_order((first, second * third)).expect("standard layout");
            let turned = weights.dot(&flat).reversed_axes().as_standard_layout().into_owned();
            data = turned.into_shape_with_order((second, third, size)).expect("standard layout");
        }
        Ok(Self::new(data, pixel_size))
    }

    /// Pearson's correlation coefficient of the values of two densities over all voxels, −1 … 1.
    ///
    /// # Errors
    /// If the two do not share size and pixel size, hold values that are not finite, or one has the same value everywhere.
    pub fn correlation(&self, other: &Self) -> Result<f64, Error> {
        self.check_same_grid(other)?;
        self.check_finite()?;
        other.check_finite()?;
        correlation(self.data().iter(), other.data().iter()).ok_or(Error::Flat)
    }
}

/// Pearson's correlation coefficient of as many numbers each; none if one has the same value everywhere.
pub(crate) fn correlation<'a>(
    a: impl ExactSizeIterator<Item = &'a f32> + Clone,
    b: impl ExactSizeIterator<Item = &'a f32> + Clone,
) -> Option<f64> {
    let count = a.len() as f64;
    let mean_a = a.clone().map(|&value| f64::from(value)).sum::<f64>() / count;
    let mean_b = b.clone().map(|&value| f64::from(value)).sum::<f64>() / count;
    let (mut cross, mut power_a, mut power_b) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        cross += a * b;
        power_a += a * a;
        power_b += b * b;
    }
    (power_a > 0.0 && power_b > 0.0).then(|| cross / (power_a * power_b).sqrt())
}

/// Weights `[new][old]` of the old values in each new one; `step` is the new voxel in units of the old.
fn interpolation(old: usize, new: usize, step: f64) -> Array2<f32> {
    let n = old as f64;
    // strictly below the Nyquist frequency of either grid, but for what an even old grid has there itself
    let highest = ((old - 1) / 2).min((0.5 * n / step * (1.0 - 1e-9)) as usize);
    let at_nyquist = if old.is_multiple_of(2) && step <= 1.0 + 1e-9 { 1.0 } else { 0.0 };
    Array2::from_shape_fn((new, old), |(i, j)| {
        let place = (i as f64 - (new / 2) as f64) * step;
        let from_start = place + (old / 2) as f64;
        if !(-0.5..=n - 0.5).contains(&from_start) {
            return 0.0;
        }
        let angle = std::f64::consts::TAU * (from_start - j as f64) / n;
        let waves: f64 = (1..=highest).map(|k| 2.0 * (k as f64 * angle).cos()).sum();
        ((1.0 + waves + at_nyquist * (0.5 * n * angle).cos()) / n) as f32
    })
}
