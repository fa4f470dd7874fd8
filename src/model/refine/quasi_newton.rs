//! Newton steps that learn from what earlier ones did.
//!
//! The curvature at hand is a mean over all directions of view. Few images see a particle from some sides more than from others, and steps by the mean alone overshoot
//! there, even farther each time. What the last steps did to the gradient corrects it (L-BFGS; Nocedal, Math. Comp. 35 (1980) 773).

use std::collections::VecDeque;

use nalgebra::DVector;

/// Steps that are remembered.
const MEMORY: usize = 6;

/// The last steps with what they took off the gradient.
#[derive(Clone, Default)]
pub struct QuasiNewton {
    pairs: VecDeque<(DVector<f64>, DVector<f64>)>,
    /// The step that was taken last, and the gradient before it.
    last: Option<(DVector<f64>, DVector<f64>)>,
}

impl QuasiNewton {
    /// The step uphill from a `gradient`; `newton` gives the one by the curvature at hand.
    pub fn step(&mut self, gradient: &DVector<f64>, newton: impl Fn(&DVector<f64>) -> DVector<f64>) -> DVector<f64> {
        if let Some((step, before)) = self.last.take() {
            let change = before - gradient;
            // a step along which the gradient did not fall says nothing of the curvature
            if step.dot(&change) > 1e-3 * step.norm() * change.norm() {
                self.pairs.push_back((step, change));
            }
        }
        if self.pairs.len() > MEMORY {
            self.pairs.pop_front();
        }
        let mut rest = gradient.clone();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (step, change) in self.pairs.iter().rev() {
            let share = step.dot(&rest) / step.dot(change);
            rest.axpy(-share, change, 1.0);
            shares.push(share);
        }
        let mut direction = newton(&rest);
        for ((step, change), share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let correction = share - change.dot(&direction) / step.dot(change);
            direction.axpy(correction, step, 1.0);
        }
        direction
    }

    /// Remembers that `step` was taken from where the gradient was `gradient`.
    pub fn taken(&mut self, step: DVector<f64>, gradient: DVector<f64>) {
        self.last = Some((step, gradient));
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::DMatrix;

    use super::*;

    /// Curvatures between a fifth and three times what is taken for them: plain steps diverge.
    #[test]
    fn a_curvature_that_is_wrong_by_factors_is_made_up_for() {
        let curvature = DMatrix::from_diagonal(&DVector::from_fn(20, |i, _| 0.2 + 2.8 * i as f64 / 19.0));
        let summit = DVector::from_fn(20, |i, _| (i as f64).sin());
        let climb = |remembers: bool| {
            let (mut place, mut memory) = (DVector::zeros(20), QuasiNewton::default());
            for _ in 0..12 {
                let gradient = &curvature * (&summit - &place);
                let step = memory.step(&gradient, DVector::clone);
                place += &step;
                if remembers {
                    memory.taken(step, gradient);
                }
            }
            (place - &summit).norm()
        };
        assert!(climb(true) < 0.05 && climb(false) > 1e3, "{} {}", climb(true), climb(false));
    }
}
