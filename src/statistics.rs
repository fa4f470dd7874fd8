//! Middles and widths that a few odd values do not move.

/// The middle of some values, the upper one of two; none of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// Median and robust standard deviation: 1.4826 median deviations, which is that of normal numbers (Hampel, J. Am. Stat. Assoc. 69 (1974) 383); none of none.
pub fn robust(values: &[f64]) -> Option<(f64, f64)> {
    let middle = median(values)?;
    let deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    Some((middle, 1.4826 * median(&deviations)?))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::random;

    #[test]
    fn odd_values_do_not_move_middle_and_width() {
        let mut rng = random::stream(1, "sample", 0);
        let mut values: Vec<f64> = (0..10_000).map(|_| 3.0 + 2.0 * rng.sample::<f64, _>(StandardNormal)).collect();
        values.extend([1e9; 100]);
        let (middle, deviation) = robust(&values).unwrap();
        assert!((middle - 3.0).abs() < 0.1 && (deviation - 2.0).abs() < 0.1, "{middle} {deviation}");
        assert_eq!((median(&[4.0, 1.0, 3.0, 2.0]), median(&[]), robust(&[])), (Some(3.0), None, None));
    }
}
