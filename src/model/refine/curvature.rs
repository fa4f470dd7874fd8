//! The curvature of the likelihood in all that is to be known of the atoms: for Newton's step, and for how well it can be known.
//!
//! The particle is seen from all sides, so that the curvature of the atoms alone is its mean over directions, which has a closed form (`rings`). What the transfers take
//! up is taken off: a loss at high frequencies, or a growth of the particle, that all atoms share alike; and what the poses give way to, from some of the images
//! (Schur complements). Without either, steps of the whole particle would hardly arrive. The inverse is the Cramér–Rao bound (Kay, Fundamentals of Statistical Signal
//! Processing, vol. 1 (1993), section 3.7).

use nalgebra::{Cholesky, DMatrix, DVector, Dyn, SMatrix, SVector, Vector3};
use rayon::prelude::*;

use super::forward::Coupling;
use super::rings::{AMPLITUDE, B_FACTOR, Rings, SLOTS};
use super::waves::Atoms;
use crate::orient::Matrix5;

/// Part of the curvature that is added: directions of which the images say nothing stay where they are.
const RIDGE: f64 = 1e-4;
/// What all atoms do alike is held by this many times the mean curvature: poses and transfers make up for it.
const HOLD: f64 = 10.0;

/// What is sought of each atom, in this order.
pub type Unknowns = &'static [usize];
pub const WITH_AMPLITUDES: Unknowns = &[0, 1, 2, AMPLITUDE];
pub const WITH_B_FACTORS: Unknowns = &[0, 1, 2, B_FACTOR];
pub const SHAPES: Unknowns = &[AMPLITUDE, B_FACTOR];

/// The curvature, atom by atom.
pub struct Matrix {
    unknowns: Unknowns,
    values: DMatrix<f64>,
}

/// The same made ready for steps.
#[derive(Clone)]
pub struct Curvature {
    unknowns: Unknowns,
    factors: Cholesky<f64, Dyn>,
    /// Units in which the diagonal is 1.
    units: DVector<f64>,
    deviations: Vec<f64>,
}

impl Matrix {
    /// As all rings together see the atoms.
    pub fn mean(atoms: &Atoms, rings: &Rings, unknowns: Unknowns) -> Self {
        let (count, width) = (atoms.len(), unknowns.len());
        let group_of = atoms.group_of();
        let heights = heights(atoms, rings);
        let with_groups: Vec<Vec<GroupSums>> =
            (0..count).into_par_iter().map(|a| group_sums(atoms, rings, &group_of, &heights, a)).collect();
        let answered = answers(atoms, rings, &group_of, &with_groups);
        let block = |a: usize, b: usize| {
            let apart = atoms.positions[a] - atoms.positions[b];
            let mut block = SMatrix::<f64, SLOTS, SLOTS>::zeros();
            for (ring, of_ring) in rings.rings.iter().enumerate() {
                let of_pair = heights[ring][a] * heights[ring][b].transpose();
                let mut common = of_ring.common(&apart).component_mul(&of_pair);
                for (sums, answers) in with_groups[a][ring].iter().zip(&answered[b][ring]) {
                    common -= sums * answers.transpose();
                }
                block += common * rings.strength(ring, group_of[a], group_of[b]);
            }
            block
        };
        let rows: Vec<Vec<_>> = (0..count).into_par_iter().map(|a| (0..=a).map(|b| block(a, b)).collect()).collect();
        let mut values = DMatrix::zeros(width * count, width * count);
        for (a, row) in rows.iter().enumerate() {
            for (b, block) in row.iter().enumerate() {
                for (i, &of_a) in unknowns.iter().enumerate() {
                    for (j, &of_b) in unknowns.iter().enumerate() {
                        values[(width * a + i, width * b + j)] = block[(of_a, of_b)];
                        values[(width * b + j, width * a + i)] = block[(of_a, of_b)];
                    }
                }
            }
        }
        Self { unknowns, values }
    }

    /// Takes off what poses give way to, from some images that stand for `share` times as many: their couplings and the poses' own normal matrices.
    pub fn giving_way(mut self, images: &[(Coupling, Matrix5)], share: f64) -> Self {
        let mut columns = DMatrix::zeros(self.values.nrows(), 5 * images.len());
        for (i, (coupling, normal)) in images.iter().enumerate() {
            // C M⁻¹ Cᵀ = (C L⁻ᵀ)(C L⁻ᵀ)ᵀ with M = L Lᵀ
            let Some(factor) = normal.cholesky() else { continue };
            let Some(inverse) = factor.l().try_inverse() else { continue };
            for (atom, block) in coupling.iter().enumerate() {
                columns.fixed_view_mut::<4, 5>(4 * atom, 5 * i).copy_from(&(block * inverse.transpose()));
            }
        }
        self.values.gemm(-share, &columns, &columns.transpose(), 1.0);
        self
    }

    /// Adds what keeps the particle as a whole in its place: poses make up for its motion.
    pub fn at_rest(mut self, atoms: &Atoms) -> Self {
        let (count, width) = (atoms.len(), self.unknowns.len());
        let center = atoms.positions.iter().sum::<Vector3<f64>>() / count.max(1) as f64;
        let mut motions = DMatrix::zeros(width * count, 6);
        for (a, position) in atoms.positions.iter().enumerate() {
            for axis in 0..3 {
                let along = Vector3::ith(axis, 1.0);
                motions.fixed_view_mut::<3, 1>(width * a, axis).copy_from(&along);
                motions.fixed_view_mut::<3, 1>(width * a, 3 + axis).copy_from(&along.cross(&(position - center)));
            }
        }
        let motions = motions.qr().q();
        let hold = HOLD * (0..3).map(|axis| self.mean_of(axis)).sum::<f64>() / 3.0;
        self.values.gemm(hold, &motions, &motions.transpose(), 1.0);
        self
    }

    /// Adds what keeps the mean of each group's amplitudes and B factors as it is: transfers make up for it.
    pub fn held(mut self, atoms: &Atoms) -> Self {
        let width = self.unknowns.len();
        let shapes = (0..width).filter(|&i| self.unknowns[i] >= AMPLITUDE);
        for i in shapes {
            let mean = self.mean_of(i);
            for group in atoms.groups.iter().filter(|group| !group.is_empty()) {
                let hold = HOLD * mean / group.len() as f64;
                for a in group.clone() {
                    for b in group.clone() {
                        self.values[(width * a + i, width * b + i)] += hold;
                    }
                }
            }
        }
        self
    }

    /// Adds that B factors are expected to be 0 with a standard deviation of `spread` \[Å²\].
    pub fn expecting(mut self, spread: f64) -> Self {
        let width = self.unknowns.len();
        for row in (0..self.values.nrows()).filter(|row| self.unknowns[row % width] == B_FACTOR) {
            self.values[(row, row)] += 1.0 / (spread * spread);
        }
        self
    }

    /// Mean of the diagonal for the unknown number `i`.
    fn mean_of(&self, i: usize) -> f64 {
        let diagonal = self.values.diagonal();
        let of_unknown = diagonal.iter().skip(i).step_by(self.unknowns.len());
        of_unknown.sum::<f64>() * self.unknowns.len() as f64 / diagonal.len().max(1) as f64
    }

    /// Ready for steps; deviations are those of images that say the same `redundancy` times.
    pub fn solved(mut self, redundancy: f64) -> Curvature {
        let width = self.unknowns.len();
        let means: Vec<f64> = (0..width).map(|i| self.mean_of(i).abs().max(f64::MIN_POSITIVE)).collect();
        let units = DVector::from_fn(self.values.nrows(), |row, _| means[row % width].sqrt().recip());
        self.values.row_iter_mut().zip(units.iter()).for_each(|(mut row, unit)| row *= *unit);
        self.values.column_iter_mut().zip(units.iter()).for_each(|(mut column, unit)| column *= *unit);
        let factors = raised(self.values);
        let variances = factors.inverse().diagonal();
        let deviation = |(variance, unit): (&f64, &f64)| (redundancy * variance).sqrt() * unit;
        let deviations = variances.iter().zip(units.iter()).map(deviation).collect();
        Curvature { unknowns: self.unknowns, factors, units, deviations }
    }
}

impl Curvature {
    /// Newton's step for a gradient, both atom by atom.
    pub fn step(&self, gradient: &DVector<f64>) -> DVector<f64> {
        self.factors.solve(&gradient.component_mul(&self.units)).component_mul(&self.units)
    }

    /// Standard deviation of each atom's position along an axis, mean of the three \[Å\].
    pub fn position_deviations(&self) -> Vec<f64> {
        let mean = |of_atom: &[f64]| (of_atom[..3].iter().map(|sigma| sigma * sigma).sum::<f64>() / 3.0).sqrt();
        self.deviations.chunks_exact(self.unknowns.len()).map(mean).collect()
    }

    /// Standard deviation of each atom's `unknown`.
    ///
    /// # Panics
    /// If it is not among the unknowns.
    pub fn deviations(&self, unknown: usize) -> Vec<f64> {
        let i = self.unknowns.iter().position(|&other| other == unknown).expect("one of the unknowns");
        self.deviations.iter().skip(i).step_by(self.unknowns.len()).copied().collect()
    }
}

/// What the derivatives of an atom's wave have in common with the sum over each group.
type GroupSums = Vec<SVector<f64, SLOTS>>;

/// Amplitude and blur of each atom on each ring `[ring][atom]`.
fn heights(atoms: &Atoms, rings: &Rings) -> Vec<Vec<SVector<f64, SLOTS>>> {
    let of_atoms = || atoms.amplitudes.iter().zip(&atoms.b_factors);
    rings.rings.iter().map(|ring| of_atoms().map(|(&amplitude, &b)| ring.heights(amplitude, b)).collect()).collect()
}

/// For an atom, on each ring.
fn group_sums(
    atoms: &Atoms,
    rings: &Rings,
    group_of: &[usize],
    heights: &[Vec<SVector<f64, SLOTS>>],
    a: usize,
) -> Vec<GroupSums> {
    let mut sums = vec![vec![SVector::zeros(); rings.groups]; rings.rings.len()];
    for b in 0..atoms.len() {
        let apart = atoms.positions[a] - atoms.positions[b];
        for ((ring, sums), heights) in rings.rings.iter().zip(&mut sums).zip(heights) {
            sums[group_of[b]] += ring.common(&apart).column(AMPLITUDE) * heights[b][0];
        }
    }
    for (sums, heights) in sums.iter_mut().zip(heights) {
        sums.iter_mut().for_each(|sum| sum.component_mul_assign(&heights[a]));
    }
    sums
}

/// What the transfers answer to each atom on each ring: its sums with the groups, times the inverse of what the groups have in common.
fn answers(atoms: &Atoms, rings: &Rings, group_of: &[usize], with_groups: &[Vec<GroupSums>]) -> Vec<Vec<GroupSums>> {
    let inverse_of = |ring: usize| {
        let mut common = DMatrix::zeros(rings.groups, rings.groups);
        for (atom, sums) in with_groups.iter().enumerate() {
            for (group, sum) in sums[ring].iter().enumerate() {
                common[(group_of[atom], group)] += atoms.amplitudes[atom] * sum[AMPLITUDE];
            }
        }
        raised(common).inverse()
    };
    let inverses: Vec<DMatrix<f64>> = (0..rings.rings.len()).map(inverse_of).collect();
    let of_atom = |sums: &Vec<GroupSums>| {
        let of_ring = |(sums, inverse): (&GroupSums, &DMatrix<f64>)| {
            let answer = |group: usize| sums.iter().enumerate().map(|(other, sum)| sum * inverse[(group, other)]).sum();
            (0..sums.len()).map(answer).collect()
        };
        sums.iter().zip(&inverses).map(of_ring).collect()
    };
    with_groups.iter().map(of_atom).collect()
}

/// A matrix with as much added to its diagonal as it needs to be positive, at least [`RIDGE`] of the mean; in the end the diagonal alone.
fn raised(matrix: DMatrix<f64>) -> Cholesky<f64, Dyn> {
    let mean = (matrix.trace() / matrix.nrows().max(1) as f64).abs().max(f64::MIN_POSITIVE);
    let with = |ridge: f64| {
        let mut raised = matrix.clone();
        (0..raised.nrows()).for_each(|i| raised[(i, i)] += ridge * mean);
        raised.cholesky()
    };
    let ridges = (0..6).map(|power| RIDGE * 10f64.powi(power));
    ridges.into_iter().find_map(with).unwrap_or_else(|| {
        let diagonal = DMatrix::from_diagonal_element(matrix.nrows(), matrix.nrows(), mean.max(f64::MIN_POSITIVE));
        diagonal.cholesky().expect("a positive diagonal")
    })
}
