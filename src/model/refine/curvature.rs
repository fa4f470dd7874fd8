//! The curvature of the likelihood in the positions of all atoms: for Newton's step, and for how well they can be known.
//!
//! The particle is seen from all sides, so that the curvature of the atoms alone is its mean over directions, which has a closed form: for two atoms d apart,
//! with u = 2πk·d, the mean of n nᵀ e^(2πi k n·d) over unit vectors n is (j₁(u)/u)·I + (j₀(u) − 3j₁(u)/u)·d̂d̂ᵀ. What the poses give way to is taken
//! off (Schur complement), from some of the images. The inverse is the Cramér–Rao bound of the positions (Kay, Fundamentals of Statistical Signal
//! Processing, vol. 1 (1993), section 3.7).

use std::f64::consts::{PI, TAU};

use nalgebra::{Cholesky, DMatrix, DVector, Dyn, Matrix3, Vector3};
use rayon::prelude::*;

use super::forward::Coupling;
use super::transfer::Transfers;
use super::views::Views;
use super::waves::Atoms;
use crate::orient::Matrix5;

/// Part of the mean curvature that is added: directions of which the images say nothing stay where they are.
const RIDGE: f64 = 1e-4;
/// Motions of the whole particle are held by this many times the mean curvature; poses make up for them.
const HOLD: f64 = 10.0;

/// The curvatures of positions, 3 coordinates an atom, and of amplitudes.
pub struct Matrices {
    positions: DMatrix<f64>,
    amplitudes: DMatrix<f64>,
}

/// The same made ready for steps.
#[derive(Clone)]
pub struct Curvature {
    positions: Cholesky<f64, Dyn>,
    amplitudes: Cholesky<f64, Dyn>,
    deviations: Vec<f64>,
}

impl Matrices {
    /// Of images whose squared contrasts, weighted, add up to `images`.
    pub fn mean(views: &Views, atoms: &Atoms, transfers: &Transfers, wavelength: f64, images: f64) -> Self {
        let count = atoms.len();
        let spread = atoms.positions.iter().map(|p| p.norm_squared()).sum::<f64>() / count.max(1) as f64;
        let groups = atoms.groups.len();
        let rings: Vec<Ring> = views
            .ring_weights()
            .iter()
            .enumerate()
            .map(|(ring, weight)| {
                let k = ring as f64 / views.edge;
                let phase = PI * wavelength * k * k * spread.sqrt();
                let product = |pair: usize| {
                    2.0 * weight * images * transfers.mean_product(ring, (pair / groups, pair % groups), phase)
                };
                Ring { wave_number: TAU * k, strengths: (0..groups * groups).map(product).collect() }
            })
            .collect();
        let group_of = atoms.group_of();
        let columns: Vec<(Vec<Matrix3<f64>>, Vec<f64>)> = (0..count)
            .into_par_iter()
            .map(|a| {
                let with = |b: usize| {
                    let apart = atoms.positions[b] - atoms.positions[a];
                    let (block, overlap) = pair(&rings, group_of[a] * groups + group_of[b], &apart);
                    (block * (atoms.amplitudes[a] * atoms.amplitudes[b]), overlap)
                };
                (0..=a).map(with).unzip()
            })
            .collect();
        let mut matrices =
            Self { positions: DMatrix::zeros(3 * count, 3 * count), amplitudes: DMatrix::zeros(count, count) };
        for (a, (blocks, overlaps)) in columns.iter().enumerate() {
            for (b, (block, overlap)) in blocks.iter().zip(overlaps).enumerate() {
                matrices.positions.fixed_view_mut::<3, 3>(3 * a, 3 * b).copy_from(block);
                matrices.positions.fixed_view_mut::<3, 3>(3 * b, 3 * a).copy_from(block);
                matrices.amplitudes[(a, b)] = *overlap;
                matrices.amplitudes[(b, a)] = *overlap;
            }
        }
        matrices
    }

    /// Takes off what poses give way to, from some images that stand for `share` times as many: their couplings and the poses' own normal matrices.
    pub fn giving_way(mut self, images: &[(Coupling, Matrix5)], share: f64) -> Self {
        let rows = self.positions.nrows();
        let mut columns = DMatrix::zeros(rows, 5 * images.len());
        for (i, (coupling, normal)) in images.iter().enumerate() {
            // C M⁻¹ Cᵀ = (C L⁻ᵀ)(C L⁻ᵀ)ᵀ with M = L Lᵀ
            let Some(factor) = normal.cholesky() else { continue };
            let Some(inverse) = factor.l().try_inverse() else { continue };
            for (atom, block) in coupling.iter().enumerate() {
                columns.fixed_view_mut::<3, 5>(3 * atom, 5 * i).copy_from(&(block * inverse.transpose()));
            }
        }
        self.positions.gemm(-share, &columns, &columns.transpose(), 1.0);
        self
    }

    /// Adds what keeps the particle as a whole in its place.
    pub fn held(mut self, atoms: &Atoms) -> Self {
        let count = atoms.len();
        let center = atoms.positions.iter().sum::<Vector3<f64>>() / count.max(1) as f64;
        let mut motions = DMatrix::zeros(3 * count, 6);
        for (a, position) in atoms.positions.iter().enumerate() {
            for axis in 0..3 {
                let along = Vector3::ith(axis, 1.0);
                motions.fixed_view_mut::<3, 1>(3 * a, axis).copy_from(&along);
                motions.fixed_view_mut::<3, 1>(3 * a, 3 + axis).copy_from(&along.cross(&(position - center)));
            }
        }
        let motions = motions.qr().q();
        let mean = self.positions.trace() / (3 * count).max(1) as f64;
        self.positions.gemm(HOLD * mean, &motions, &motions.transpose(), 1.0);
        self
    }

    /// Newton's step of the amplitudes, and the standard deviation of each.
    pub fn amplitude_step(self, gradient: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let factors = factored(self.amplitudes);
        let step = factors.solve(&DVector::from_row_slice(gradient));
        (step.as_slice().to_vec(), factors.inverse().diagonal().iter().map(|variance| variance.sqrt()).collect())
    }

    pub fn solved(self) -> Curvature {
        let positions = factored(self.positions);
        let inverse = positions.inverse();
        let variance = |atom: usize| (0..3).map(|axis| inverse[(3 * atom + axis, 3 * atom + axis)]).sum::<f64>() / 3.0;
        Curvature {
            deviations: (0..inverse.nrows() / 3).map(|atom| variance(atom).sqrt()).collect(),
            amplitudes: factored(self.amplitudes),
            positions,
        }
    }
}

/// A matrix with as much added to its diagonal as it needs to be positive, at least [`RIDGE`] of the mean; in the end the diagonal alone.
fn factored(matrix: DMatrix<f64>) -> Cholesky<f64, Dyn> {
    let mean = (matrix.trace() / matrix.nrows().max(1) as f64).abs().max(f64::MIN_POSITIVE);
    let raised = |ridge: f64| {
        let mut raised = matrix.clone();
        (0..raised.nrows()).for_each(|i| raised[(i, i)] += ridge * mean);
        raised.cholesky()
    };
    let ridges = (0..6).map(|power| RIDGE * 10f64.powi(power));
    ridges.into_iter().find_map(raised).unwrap_or_else(|| {
        let diagonal = DMatrix::from_diagonal_element(matrix.nrows(), matrix.nrows(), mean.max(f64::MIN_POSITIVE));
        diagonal.cholesky().expect("a positive diagonal")
    })
}

impl Curvature {
    /// Newton's step for a gradient with respect to the positions, and if there is more of it also to the amplitudes.
    pub fn step(&self, gradient: &DVector<f64>) -> DVector<f64> {
        let coordinates = self.positions.l_dirty().nrows();
        let positions = self.positions.solve(&gradient.rows(0, coordinates).into_owned());
        let rest = gradient.rows(coordinates, gradient.len() - coordinates).into_owned();
        let amplitudes = if rest.is_empty() { rest } else { self.amplitudes.solve(&rest) };
        DVector::from_iterator(gradient.len(), positions.iter().chain(amplitudes.iter()).copied())
    }

    /// Standard deviation of each atom's position along an axis, mean of the three \[Å\], the particle as a whole at rest.
    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }
}

/// What a ring of frequencies adds.
struct Ring {
    /// 2πk.
    wave_number: f64,
    /// Weight times transfers, for each pair of groups.
    strengths: Vec<f64>,
}

/// Curvature between two atoms in their positions and in their amplitudes.
fn pair(rings: &[Ring], groups: usize, apart: &Vector3<f64>) -> (Matrix3<f64>, f64) {
    let distance = apart.norm();
    let (mut across, mut along, mut overlap) = (0.0, 0.0, 0.0);
    for ring in rings {
        let u = ring.wave_number * distance;
        // j₀(u) and j₁(u)/u
        let (j0, j1) = if u < 1e-2 {
            (1.0 - u * u / 6.0, 1.0 / 3.0 - u * u / 30.0)
        } else {
            let sinc = u.sin() / u;
            (sinc, (sinc - u.cos()) / (u * u))
        };
        let strength = ring.strengths[groups];
        let squared = strength * ring.wave_number * ring.wave_number;
        across += squared * j1;
        along += squared * (j0 - 3.0 * j1);
        overlap += strength * j0;
    }
    let direction = if distance > 0.0 { apart / distance } else { Vector3::zeros() };
    (Matrix3::identity() * across + direction * direction.transpose() * along, overlap)
}
