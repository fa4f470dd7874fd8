//! The surroundings of each site of a lattice, in units of the distance between nearest neighbours.

use nalgebra::{Matrix3, Vector3};

use super::super::Error;
use crate::structure::{Element, Lattice, LatticeKind, Site};

/// A site: the cell it is in, and which of the cell's sites it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub cell: [i32; 3],
    pub basis: usize,
}

impl Place {
    pub fn after(&self, step: &Step) -> Self {
        Self { cell: std::array::from_fn(|axis| self.cell[axis] + step.cell[axis]), basis: step.basis }
    }
}

/// The way from a site to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub cell: [i32; 3],
    /// Of the site it leads to.
    pub basis: usize,
    /// In the lattice's axes [nearest distances].
    pub vector: Vector3<f64>,
    /// 0 for the nearest neighbours, 1 for the next, …
    pub shell: usize,
}

/// A lattice of one kind with the ideal ratio of its constants (c/a = √(8/3), u = 3/8 in wurtzite) and unit distance of nearest neighbours.
#[derive(Debug, Clone)]
pub struct Template {
    pub kind: LatticeKind,
    pub basis: Vec<Site>,
    pub vectors: Matrix3<f64>,
    /// Of each site of the cell: the steps to all sites within reach, nearest first.
    pub steps: Vec<Vec<Step>>,
}

/// c/a of wurtzite with four equal bonds at tetrahedral angles: √(8/3).
pub const IDEAL_RATIO: f64 = 1.632_993_161_855_452;
/// Distances that differ by less are one shell [nearest distances].
const SAME_SHELL: f64 = 1e-3;
/// Farther sites are never asked for [nearest distances].
pub const FARTHEST: f64 = 6.0;

/// The lattice of a kind as it is described to [`Lattice`], with a = 1 and species that do not matter here.
pub fn described(kind: LatticeKind, a: f64, c: Option<f64>, u: Option<f64>) -> Result<Lattice, Error> {
    let species = if kind == LatticeKind::Fcc { 1 } else { 2 };
    let nameless = Element::from_atomic_number(1).expect("hydrogen is an element");
    Ok(Lattice::new(kind, &vec![nameless; species], a, c, u)?)
}

impl Template {
    /// The template of `kind` with the steps up to `reach` [nearest distances].
    pub fn new(kind: LatticeKind, reach: f64) -> Result<Self, Error> {
        let c = |a: f64| (kind == LatticeKind::Wurtzite).then_some(a * IDEAL_RATIO);
        let a = 1.0 / described(kind, 1.0, c(1.0), None)?.nearest_distance();
        let lattice = described(kind, a, c(a), None)?;
        let (basis, vectors) = (lattice.basis(), lattice.vectors());
        let cells = (reach / a + 2.0).ceil() as i32;
        let steps = (0..basis.len()).map(|from| steps_from(from, &basis, &vectors, cells, reach)).collect();
        Ok(Self { kind, basis, vectors, steps })
    }

    /// Fractional coordinates of a site.
    pub fn fractional(&self, place: &Place) -> Vector3<f64> {
        Vector3::from(place.cell.map(f64::from)) + self.basis[place.basis].fractional
    }

    pub fn sublattice(&self, place: &Place) -> usize {
        self.basis[place.basis].sublattice
    }
}

fn steps_from(from: usize, basis: &[Site], vectors: &Matrix3<f64>, cells: i32, reach: f64) -> Vec<Step> {
    let mut steps = Vec::new();
    let range = || -cells..=cells;
    for cell in range().flat_map(|i| range().flat_map(move |j| range().map(move |k| [i, j, k]))) {
        for (to, site) in basis.iter().enumerate() {
            let between = Vector3::from(cell.map(f64::from)) + site.fractional - basis[from].fractional;
            let vector = vectors * between;
            if (1e-6..=reach).contains(&vector.norm()) {
                steps.push(Step { cell, basis: to, vector, shell: 0 });
            }
        }
    }
    steps.sort_by(|a, b| a.vector.norm().total_cmp(&b.vector.norm()));
    let mut shell = 0;
    for i in 1..steps.len() {
        shell += usize::from(steps[i].vector.norm() - steps[i - 1].vector.norm() > SAME_SHELL);
        steps[i].shell = shell;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_hold_as_many_sites_as_the_crystal_says() {
        for (kind, expected) in [
            (LatticeKind::Fcc, &[12, 6, 24, 12][..]),
            (LatticeKind::Rocksalt, &[6, 12, 8, 6]),
            (LatticeKind::ZincBlende, &[4, 12, 12, 6]),
            (LatticeKind::Wurtzite, &[4, 12, 1, 9]),
        ] {
            let template = Template::new(kind, 2.5).unwrap();
            for steps in &template.steps {
                let count = |shell| steps.iter().filter(|step| step.shell == shell).count();
                let counts: Vec<usize> = (0..expected.len()).map(count).collect();
                assert_eq!(counts, expected, "{kind}");
                assert!((steps[0].vector.norm() - 1.0).abs() < 1e-12);
            }
        }
    }
}
