//! Whether a bright spot is one atom or two.
//!
//! Both are fitted to the spot, as one or two copies of the shape that all atoms of the density share, on a constant. Two have four numbers more; they are needed if the squared
//! misfit falls by more than Schwarz's criterion asks for these (Ann. Stat. 6 (1978) 461), where a density has as many independent values as Fourier coefficients within its limit.

use nalgebra::{DMatrix, DVector, Matrix3, Vector3};

use super::fit::Sample;
use super::profile::{Profile, Source};
use crate::statistics::robust;

/// Numbers that describe an atom: its position and its height.
const NUMBERS: usize = 4;
const ITERATIONS: usize = 60;
/// A residual is clearly worse than the others if it is this many of their standard deviations above their median, by the median deviation.
const CLEARLY_WORSE: f64 = 4.0;

/// One or two atoms, their amplitudes as heights, and the weighted squared misfit that they leave.
pub(super) struct Fitted {
    pub atoms: Vec<Source>,
    pub squares: f64,
}

/// Where residuals begin to be clearly worse than most; nothing if there are too few to tell.
pub(super) fn worse_than(residuals: &[f64]) -> Option<f64> {
    let (middle, deviation) = robust(residuals).filter(|_| residuals.len() >= 8)?;
    Some(middle + CLEARLY_WORSE * deviation)
}

/// Whether two atoms explain so much more than one, with `independent` values of the density, that it is no accident.
pub(super) fn two_are_needed(one: &Fitted, two: &Fitted, independent: f64) -> bool {
    let gain = independent * (one.squares / two.squares.max(f64::MIN_POSITIVE)).ln();
    gain > NUMBERS as f64 * independent.max(2.0).ln()
}

/// The direction in which the positive density around a place reaches farthest.
pub(super) fn long_axis(samples: &[Sample], center: &Vector3<f64>) -> Vector3<f64> {
    let mut moments = Matrix3::zeros();
    for sample in samples {
        let offset = sample.position - center;
        moments += offset * offset.transpose() * (sample.weight * sample.value.max(0.0));
    }
    let eigen = moments.symmetric_eigen();
    eigen.eigenvectors.column(eigen.eigenvalues.imax()).into_owned()
}

/// Least squares from `start` (Levenberg–Marquardt); `None` if it leads nowhere or to a pit.
pub(super) fn fit(samples: &[Sample], profile: &Profile, start: &[Source]) -> Option<Fitted> {
    let unknowns = NUMBERS * start.len() + 1;
    let (mut atoms, mut background, mut damping) = (start.to_vec(), 0.0, 1e-3);
    let mut squares = misfit(samples, profile, &atoms, background);
    for _ in 0..ITERATIONS {
        let (mut curvature, mut gradient) = (DMatrix::zeros(unknowns, unknowns), DVector::zeros(unknowns));
        let mut row = DVector::zeros(unknowns);
        for sample in samples {
            let mut off = sample.value - background;
            for (i, atom) in atoms.iter().enumerate() {
                let offset = sample.position - atom.position;
                let distance = offset.norm();
                let shape = profile.at(distance);
                off -= atom.amplitude * shape;
                let along = offset * (-atom.amplitude * profile.slope(distance) / distance.max(1e-9));
                row.fixed_rows_mut::<3>(NUMBERS * i).copy_from(&along);
                row[NUMBERS * i + 3] = shape;
            }
            row[unknowns - 1] = 1.0;
            curvature.ger(sample.weight, &row, &row, 1.0);
            gradient.axpy(sample.weight * off, &row, 1.0);
        }
        for i in 0..unknowns {
            curvature[(i, i)] *= 1.0 + damping;
            curvature[(i, i)] += 1e-300;
        }
        let step = curvature.cholesky()?.solve(&gradient);
        let trial: Vec<Source> = atoms
            .iter()
            .enumerate()
            .map(|(i, atom)| Source {
                position: atom.position + step.fixed_rows::<3>(NUMBERS * i),
                amplitude: atom.amplitude + step[NUMBERS * i + 3],
            })
            .collect();
        let then = misfit(samples, profile, &trial, background + step[unknowns - 1]);
        if then <= squares {
            let settled = squares - then <= 1e-9 * squares;
            (atoms, background, squares, damping) = (trial, background + step[unknowns - 1], then, 0.2 * damping);
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
    atoms.iter().all(|atom| atom.amplitude > 0.0).then_some(Fitted { atoms, squares })
}

fn misfit(samples: &[Sample], profile: &Profile, atoms: &[Source], background: f64) -> f64 {
    let off = |sample: &Sample| {
        let of = |atom: &Source| atom.amplitude * profile.at((sample.position - atom.position).norm());
        sample.value - background - atoms.iter().map(of).sum::<f64>()
    };
    samples.iter().map(|sample| sample.weight * off(sample).powi(2)).sum()
}
