//! The scale of an axis: linear, or logarithmic.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::Ranged;

/// What is between the ends of an axis, and where.
#[derive(Clone)]
pub(super) struct Scale {
    ends: Range<f64>,
    /// The ends, or their decimal logarithms.
    inner: RangedCoordf64,
    is_log: bool,
}

impl From<Range<f64>> for Scale {
    fn from(ends: Range<f64>) -> Self {
        Self { inner: ends.clone().into(), ends, is_log: false }
    }
}

impl Scale {
    /// A logarithmic one; both ends are positive.
    pub(super) fn log(ends: Range<f64>) -> Self {
        Self { inner: (ends.start.log10()..ends.end.log10()).into(), ends, is_log: true }
    }

    /// Where a logarithmic axis is labelled: at decades, at 1, 2 and 5 or at all digits, whatever gives most labels that have room.
    fn decades(&self, most: usize) -> Vec<f64> {
        let exponents = self.ends.start.log10().floor() as i32..=self.ends.end.log10().ceil() as i32;
        let within = |digits: &[f64], step: i32| -> Vec<f64> {
            let decades = exponents.clone().filter(|exponent| exponent.rem_euclid(step) == 0);
            let points = decades.flat_map(|exponent| digits.iter().map(move |digit| digit * 10f64.powi(exponent)));
            // an end that is a decade is labelled although rounding may have moved it
            points.filter(|x| (self.ends.start / 1.000_001..=self.ends.end * 1.000_001).contains(x)).collect()
        };
        let digits: [&[f64]; 3] = [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 5.0], &[1.0]];
        let candidates = digits.into_iter().map(|digits| (digits, 1)).chain((2..100).map(|step| (digits[2], step)));
        candidates.map(|(digits, step)| within(digits, step)).find(|points| points.len() <= most).unwrap_or_default()
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(&if self.is_log { value.log10() } else { *value }, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if self.is_log { self.decades(hint.max_num_points()) } else { self.inner.key_points(hint) }
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_are_equally_far_apart_and_labelled_where_there_is_room() {
        let scale = Scale::log(0.01..100.0);
        assert_eq!([0.01, 0.1, 1.0, 10.0, 100.0].map(|x| scale.map(&x, (0, 400))), [0, 100, 200, 300, 400]);
        assert_eq!(scale.key_points(8).len(), 5);
        let labels = Scale::log(0.3..7.0).key_points(8);
        assert!(labels.iter().zip([0.5, 1.0, 2.0, 5.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{labels:?}");
        assert_eq!(Scale::log(2.5..6.5).key_points(8), [3.0, 4.0, 5.0, 6.0]);
        assert!((4..=8).contains(&Scale::log(1e-30..1e12).key_points(8).len()));
        assert_eq!(Scale::from(0.0..4.0).map(&1.0, (0, 400)), 100);
    }
}
