//! Smallest and largest value, mean and standard deviation, gathered piece by piece.

/// Statistics of all values added so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    count: u64,
    min: f32,
    max: f32,
    mean: f64,
    /// Sum of the squared deviations from the mean.
    squares: f64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { count: 0, min: f32::INFINITY, max: f32::NEG_INFINITY, mean: 0.0, squares: 0.0 }
    }
}

impl Statistics {
    /// Adds a piece. Pieces are joined by their means and squared deviations (Chan, Golub & LeVeque, Am. Stat. 37, 242,
    /// 1983), since a difference of two large sums would lose the digits of a small deviation.
    pub fn add(&mut self, values: impl Iterator<Item = f32> + Clone) {
        let (mut count, mut sum) = (0, 0.0);
        for value in values.clone() {
            (count, sum) = (count + 1, sum + f64::from(value));
            (self.min, self.max) = (self.min.min(value), self.max.max(value));
        }
        if count == 0 {
            return;
        }
        let mean = sum / count as f64;
        let squares: f64 = values.map(|value| (f64::from(value) - mean).powi(2)).sum();
        let total = self.count + count;
        let (step, share) = (mean - self.mean, count as f64 / total as f64);
        self.squares += squares + step * step * self.count as f64 * share;
        self.mean += step * share;
        self.count = total;
    }

    /// Smallest value; infinity if there are none.
    pub fn min(&self) -> f32 {
        self.min
    }

    /// Largest value; minus infinity if there are none.
    pub fn max(&self) -> f32 {
        self.max
    }

    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Root mean square of the deviation from the mean.
    pub fn deviation(&self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_what_the_whole_gives_even_far_from_zero() {
        let values: Vec<f32> = (0..1000).map(|i| 1e6 + (i % 7) as f32).collect();
        let mut pieces = Statistics::default();
        values.chunks(13).for_each(|piece| pieces.add(piece.iter().copied()));
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / 1000.0;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / 1000.0;
        assert!((pieces.mean() - mean).abs() < 1e-8);
        assert!((pieces.deviation() - variance.sqrt()).abs() < 1e-9);
        assert_eq!((pieces.min(), pieces.max()), (1e6, 1e6 + 6.0));
    }
}
