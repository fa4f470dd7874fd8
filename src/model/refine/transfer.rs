//! From atoms to images: what of each spatial frequency the microscope lets through, for atoms at any height.
//!
//! A thin object's image is 2 sin χ(k) times its projected potential (kinematic, Kirkland 2010, section 3.1), and an atom at height z has its own defocus: χ
//! differs by πλk²z. The sine of a sum makes P(k)·cos(πλk²z) + Q(k)·sin(πλk²z) of it, whatever aberrations, defocus spread and scattering factor are: two
//! functions of |k| for each element, that are found from the images ring by ring, by least squares. Where the potential is not weak, atoms of one
//! element still look much alike, and P and Q take up what they have in common.

use nalgebra::{DMatrix, DVector};
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

    pub fn solve(&self) -> Transfers {
        let unknowns = 2 * self.groups;
        let rings = self.targets.len() / unknowns;
        let mut even = Array2::zeros((rings, self.groups));
        let mut odd = Array2::zeros((rings, self.groups));
        for ring in 0..rings {
            let square = unknowns * unknowns;
            let mut matrix = DMatrix::from_row_slice(unknowns, unknowns, &self.matrices[ring * square..][..square]);
            let ridge = RIDGE * matrix.trace() / unknowns as f64 + f64::MIN_POSITIVE;
            (0..unknowns).for_each(|i| matrix[(i, i)] += ridge);
            let target = DVector::from_row_slice(&self.targets[ring * unknowns..][..unknowns]);
            let Some(factors) = matrix.cholesky() else { continue };
            let found = factors.solve(&target);
            for group in 0..self.groups {
                even[[ring, group]] = found[group];
                odd[[ring, group]] = found[self.groups + group];
            }
        }
        Transfers { even, odd }
    }
}

impl Transfers {
    /// (P − iQ)/2 of a group, for each sample of the views.
    pub fn factors(&self, views: &Views, group: usize) -> Vec<Complex32> {
        let factor = |&ring: &usize| {
            Complex32::new(0.5 * self.even[[ring, group]] as f32, -0.5 * self.odd[[ring, group]] as f32)
        };
        views.rings.iter().map(factor).collect()
    }

    /// How strong each group is in the units of the mean one, over rings of these weights.
    pub fn strengths(&self, weights: &[f64]) -> Vec<f64> {
        let groups = self.even.dim().1;
        let mut products = vec![0.0; groups];
        for (ring, weight) in weights.iter().enumerate() {
            for of in [&self.even, &self.odd] {
                let mean = of.row(ring).sum() / groups as f64;
                products.iter_mut().zip(of.row(ring)).for_each(|(sum, value)| *sum += weight * value * mean);
            }
        }
        let mean = products.iter().sum::<f64>() / groups as f64;
        products.iter().map(|product| product / mean).collect()
    }

    /// Mean of (P cos + Q sin)·(P′ cos + Q′ sin) of two groups on a ring, over heights spread evenly up to those of
    /// ±`phase` = πλk²z.
    pub fn mean_product(&self, ring: usize, groups: (usize, usize), phase: f64) -> f64 {
        let wobble = if phase.abs() > 1e-6 { (2.0 * phase).sin() / (2.0 * phase) } else { 1.0 };
        let product = |of: &Array2<f64>| of[[ring, groups.0]] * of[[ring, groups.1]];
        0.5 * (product(&self.even) * (1.0 + wobble) + product(&self.odd) * (1.0 - wobble))
    }
}
