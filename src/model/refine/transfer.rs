//! From atoms to images: what of each spatial frequency the microscope lets through, for atoms at any height.
//!
//! A thin object's image is 2 sin χ(k) times its projected potential (kinematic, Kirkland 2010, section 3.1), and an atom at height z has its own defocus: χ
//! differs by πλk²z. The sine of a sum makes P(k)·cos(πλk²z) + Q(k)·sin(πλk²z) of it, whatever aberrations, defocus spread and scattering factor are: two
//! functions of |k| for each element, that are found from the images ring by ring, by least squares. Where the potential is not weak, atoms of one
//! element still look much alike, and P and Q take up what they have in common.

use nalgebra::{DMatrix, DVector, Vector2};
use ndarray::Array2;

use super::views::Views;
use crate::fourier::Complex32;

/// P and Q of each group of atoms on each ring.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfers {
    /// `[ring][group]`.
    pub even: Array2<f64>,
    /// `[ring][group]`.
    pub odd: Array2<f64>,
    /// Standard deviations of both, infinite where the images say nothing.
    pub deviations: [Array2<f64>; 2],
    /// How strong each group is; their mean is 1.
    pub strengths: Vec<f64>,
}

/// Least squares for the transfers of some images: matrix and right side of each ring.
#[derive(Clone)]
pub struct Equations {
    groups: usize,
    /// `[ring][row, column]`, the even functions first.
    matrices: Vec<f64>,
    /// `[ring][row]`.
    targets: Vec<f64>,
}

/// Each function is drawn to zero with this part of the mean weight of its ring: rings that say nothing stay empty.
const RIDGE: f64 = 1e-6;
/// Standard deviation that the transfer of one element is expected to have from the common one times the element's strength, as a part of its root mean square.
/// Where atoms of all elements scatter alike, at the lowest frequencies, the images do not tell one transfer from another.
const DIFFERENCE: f64 = 0.3;
/// Turns of common transfer and strengths.
const TURNS: usize = 5;

impl Equations {
    pub fn new(views: &Views, groups: usize) -> Self {
        let (rings, unknowns) = (views.ring_count(), 2 * groups);
        Self { groups, matrices: vec![0.0; rings * unknowns * unknowns], targets: vec![0.0; rings * unknowns] }
    }

    /// Adds an image whose groups scatter `factors` `[group][square]`, with a contrast `scale` and a weight of its own.
    pub fn add(&mut self, views: &Views, image: usize, factors: &[Vec<Complex32>], scale: f64, weight: f64) {
        let unknowns = 2 * self.groups;
        let mut basis = vec![Complex32::default(); unknowns];
        for (sample, value) in views.image(image).iter().enumerate() {
            let place = views.places[sample];
            let mirror = views.mirror(place);
            for (group, factor) in factors.iter().enumerate() {
                let (ahead, behind) = (factor[place], factor[mirror].conj());
                basis[group] = (ahead + behind) * (0.5 * scale as f32);
                let odd = (ahead - behind) * (0.5 * scale as f32);
                basis[self.groups + group] = Complex32::new(odd.im, -odd.re);
            }
            let weight = weight * f64::from(views.weights[sample]);
            let ring = views.rings[sample];
            let matrix = &mut self.matrices[ring * unknowns * unknowns..][..unknowns * unknowns];
            let target = &mut self.targets[ring * unknowns..][..unknowns];
            for (i, a) in basis.iter().enumerate() {
                target[i] += weight * f64::from((value * a.conj()).re);
                for (j, b) in basis.iter().enumerate() {
                    matrix[i * unknowns + j] += weight * f64::from((a * b.conj()).re);
                }
            }
        }
    }

    /// Adds what other images say.
    pub fn merge(mut self, other: &Self) -> Self {
        self.matrices.iter_mut().zip(&other.matrices).for_each(|(a, b)| *a += b);
        self.targets.iter_mut().zip(&other.targets).for_each(|(a, b)| *a += b);
        self
    }

    /// The transfers that explain the images best, for rings of these weights ([`Views::ring_weights`]).
    pub fn solve(&self, weights: &[f64]) -> Transfers {
        let (strengths, common) = self.alike();
        let rings = common.len();
        let square: f64 = common.iter().zip(weights).map(|(ring, weight)| ring.norm_squared() * weight).sum();
        let square = square / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let pull = 0.5 / (DIFFERENCE * DIFFERENCE * square).max(f64::MIN_POSITIVE);
        let mut transfers = Transfers {
            even: Array2::zeros((rings, self.groups)),
            odd: Array2::zeros((rings, self.groups)),
            deviations: std::array::from_fn(|_| Array2::from_elem((rings, self.groups), f64::INFINITY)),
            strengths,
        };
        for (ring, common) in common.iter().enumerate() {
            let (mut matrix, mut target) = self.ring(ring);
            let pull = if self.groups > 1 { pull } else { 0.0 };
            for row in 0..2 * self.groups {
                matrix[(row, row)] += pull;
                target[row] += pull * transfers.strengths[row % self.groups] * common[row / self.groups];
            }
            let Some(factors) = raised(matrix).cholesky() else { continue };
            let (found, inverse) = (factors.solve(&target), factors.inverse());
            for group in 0..self.groups {
                transfers.even[[ring, group]] = found[group];
                transfers.odd[[ring, group]] = found[self.groups + group];
                for (part, deviations) in transfers.deviations.iter_mut().enumerate() {
                    let row = part * self.groups + group;
                    // the sum of squares is −log-likelihood, not half of that
                    deviations[[ring, group]] = (0.5 * inverse[(row, row)]).sqrt();
                }
            }
        }
        transfers
    }

    /// Matrix and right side of a ring.
    fn ring(&self, ring: usize) -> (DMatrix<f64>, DVector<f64>) {
        let unknowns = 2 * self.groups;
        let square = unknowns * unknowns;
        let matrix = DMatrix::from_row_slice(unknowns, unknowns, &self.matrices[ring * square..][..square]);
        (matrix, DVector::from_row_slice(&self.targets[ring * unknowns..][..unknowns]))
    }

    /// How strong each group is, mean 1, and P and Q of each ring, if the transfers differ in strength alone: by turns, each by least squares.
    fn alike(&self) -> (Vec<f64>, Vec<Vector2<f64>>) {
        let groups = self.groups;
        let rings: Vec<_> = (0..self.targets.len() / (2 * groups)).map(|ring| self.ring(ring)).collect();
        let mut strengths = DVector::from_element(groups, 1.0);
        let mut common = vec![Vector2::zeros(); rings.len()];
        for _ in 0..TURNS {
            for ((matrix, target), common) in rings.iter().zip(&mut common) {
                let of_part =
                    |row: usize, part: usize| if row / groups == part { strengths[row % groups] } else { 0.0 };
                let spread = DMatrix::from_fn(2 * groups, 2, of_part);
                let of_ring = solved(spread.transpose() * matrix * &spread, &(spread.transpose() * target));
                *common = of_ring.map_or(Vector2::zeros(), |found| Vector2::new(found[0], found[1]));
            }
            let (mut matrix, mut target) = (DMatrix::zeros(groups, groups), DVector::zeros(groups));
            for ((of_ring, wanted), common) in rings.iter().zip(&common) {
                let of_group =
                    |row: usize, group: usize| if row % groups == group { common[row / groups] } else { 0.0 };
                let gather = DMatrix::from_fn(2 * groups, groups, of_group);
                matrix += gather.transpose() * of_ring * &gather;
                target += gather.transpose() * wanted;
            }
            let Some(found) = solved(matrix, &target) else { break };
            let mean = found.mean();
            if mean > 0.0 {
                strengths = found / mean;
            }
        }
        (strengths.as_slice().to_vec(), common)
    }
}

/// A symmetric matrix with a little more on its diagonal.
fn raised(mut matrix: DMatrix<f64>) -> DMatrix<f64> {
    let unknowns = matrix.nrows();
    let ridge = RIDGE * matrix.trace() / unknowns as f64 + f64::MIN_POSITIVE;
    (0..unknowns).for_each(|i| matrix[(i, i)] += ridge);
    matrix
}

fn solved(matrix: DMatrix<f64>, target: &DVector<f64>) -> Option<DVector<f64>> {
    Some(raised(matrix).cholesky()?.solve(target))
}

impl Transfers {
    /// (P − iQ)/2 of a group, for each sample of the views.
    pub fn factors(&self, views: &Views, group: usize) -> Vec<Complex32> {
        let factor = |&ring: &usize| {
            Complex32::new(0.5 * self.even[[ring, group]] as f32, -0.5 * self.odd[[ring, group]] as f32)
        };
        views.rings.iter().map(factor).collect()
    }

    /// Mean of (P cos + Q sin)·(P′ cos + Q′ sin) of two groups on a ring, over heights spread evenly up to those of
    /// ±`phase` = πλk²z.
    pub fn mean_product(&self, ring: usize, groups: (usize, usize), phase: f64) -> f64 {
        let wobble = if phase.abs() > 1e-6 { (2.0 * phase).sin() / (2.0 * phase) } else { 1.0 };
        let product = |of: &Array2<f64>| of[[ring, groups.0]] * of[[ring, groups.1]];
        0.5 * (product(&self.even) * (1.0 + wobble) + product(&self.odd) * (1.0 - wobble))
    }
}
