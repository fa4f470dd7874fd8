//! A 3D Gaussian on a constant, fitted to one atom by Levenberg–Marquardt.

use nalgebra::{SMatrix, SVector, Vector3};

/// `height·exp(−|r − center|²/(2·width²)) + background`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gaussian {
    pub center: Vector3<f64>,
    pub height: f64,
    pub width: f64,
    pub background: f64,
}

/// A value of the density, and how much it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub position: Vector3<f64>,
    pub value: f64,
    pub weight: f64,
}

type Parameters = SVector<f64, 6>;

const ITERATIONS: usize = 40;
/// Widths outside this range \[Å\] are not atoms: the fit has run away.
const WIDTHS: std::ops::Range<f64> = 0.1..1.5;

/// Least squares from `start`; `None` if the fit leaves the neighbourhood (`reach` \[Å\]) or stops being a peak.
pub(super) fn gaussian(samples: &[Sample], start: Gaussian, reach: f64) -> Option<Gaussian> {
    let mut best = start;
    let mut cost = squares(samples, &best);
    let mut damping = 1e-3;
    for _ in 0..ITERATIONS {
        let (curvature, gradient) = normal_equations(samples, &best);
        let mut damped = curvature;
        for i in 0..6 {
            damped[(i, i)] += damping * curvature[(i, i)] + 1e-300;
        }
        let step = damped.cholesky()?.solve(&gradient);
        let trial = stepped(&best, &step);
        let trial_cost = if WIDTHS.contains(&trial.width) { squares(samples, &trial) } else { f64::INFINITY };
        if trial_cost <= cost {
            let moved = (trial.center - best.center).norm();
            (best, damping) = (trial, damping * 0.2);
            let settled = cost - trial_cost <= 1e-12 * cost && moved < 1e-6;
            cost = trial_cost;
            if settled {
                break;
            }
        } else {
            damping *= 8.0;
            if damping > 1e8 {
                break;
            }
        }
    }
    let inside = (best.center - start.center).norm() <= reach;
    (inside && best.height > 0.0).then_some(best)
}

/// Root of the weighted mean square misfit.
pub(super) fn misfit(samples: &[Sample], gaussian: &Gaussian) -> f64 {
    let weight: f64 = samples.iter().map(|sample| sample.weight).sum();
    (squares(samples, gaussian) / weight.max(1e-300)).sqrt()
}

impl Gaussian {
    fn at(&self, position: Vector3<f64>) -> f64 {
        let squared = (position - self.center).norm_squared();
        self.height * (-0.5 * squared / (self.width * self.width)).exp() + self.background
    }
}

fn squares(samples: &[Sample], gaussian: &Gaussian) -> f64 {
    samples.iter().map(|s| s.weight * (s.value - gaussian.at(s.position)).powi(2)).sum()
}

/// JᵀWJ and JᵀW(data − model) in the order x, y, z, height, width, background.
fn normal_equations(samples: &[Sample], gaussian: &Gaussian) -> (SMatrix<f64, 6, 6>, Parameters) {
    let (mut curvature, mut gradient) = (SMatrix::zeros(), Parameters::zeros());
    let variance = gaussian.width * gaussian.width;
    for sample in samples {
        let offset = sample.position - gaussian.center;
        let bell = (-0.5 * offset.norm_squared() / variance).exp();
        let peak = gaussian.height * bell;
        let along = offset * (peak / variance);
        let widen = peak * offset.norm_squared() / (variance * gaussian.width);
        let row = Parameters::new(along.x, along.y, along.z, bell, widen, 1.0);
        curvature += row * row.transpose() * sample.weight;
        gradient += row * (sample.weight * (sample.value - peak - gaussian.background));
    }
    (curvature, gradient)
}

fn stepped(from: &Gaussian, step: &Parameters) -> Gaussian {
    Gaussian {
        center: from.center + step.fixed_rows::<3>(0),
        height: from.height + step[3],
        width: from.width + step[4],
        background: from.background + step[5],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_gaussian_is_recovered() {
        let truth = Gaussian { center: Vector3::new(0.07, -0.11, 0.05), height: 2.0, width: 0.45, background: -0.3 };
        let grid = (0..9 * 9 * 9)
            .map(|i| Vector3::new((i % 9) as f64, (i / 9 % 9) as f64, (i / 81) as f64) * 0.25 - Vector3::repeat(1.0));
        let samples: Vec<_> =
            grid.map(|position| Sample { position, value: truth.at(position), weight: 1.0 }).collect();
        let start = Gaussian { center: Vector3::zeros(), height: 1.0, width: 0.6, background: 0.0 };
        let found = gaussian(&samples, start, 0.5).unwrap();
        assert!((found.center - truth.center).norm() < 1e-6);
        assert!((found.height - truth.height).abs() < 1e-5 && (found.width - truth.width).abs() < 1e-6);
        assert!(misfit(&samples, &found) < 1e-6);
    }

    #[test]
    fn a_pit_is_not_a_peak() {
        let grid = (-4..=4).map(|i| Vector3::new(f64::from(i) * 0.25, 0.1, -0.1));
        let samples: Vec<_> =
            grid.map(|position| Sample { position, value: position.x * position.x, weight: 1.0 }).collect();
        let start = Gaussian { center: Vector3::zeros(), height: 1.0, width: 0.5, background: 0.0 };
        assert!(gaussian(&samples, start, 0.5).is_none());
    }
}
