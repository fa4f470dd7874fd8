//! Which atoms of a frame are one molecule: those connected by bonds, within what the file calls one molecule or residue where it does.
//!
//! Two atoms are bonded that are no farther apart than the sum of their covalent radii and 0.45 Å; alkali and alkaline earth metals are ions, bonded
//! to nothing. Hydrogen bonds are longer.

use std::collections::{BTreeMap, HashMap};

use nalgebra::Point3;

use super::{Frame, Site};
use crate::structure::Element;

/// How much longer than the sum of the covalent radii a bond can be while it vibrates \[Å\].
const STRETCH: f64 = 0.45;

/// The atoms of each molecule, in the order of their first atoms.
///
/// # Errors
/// If a molecule is too large for its box to say which way its bonds go.
pub fn of(frame: &Frame) -> Result<Vec<Vec<usize>>, String> {
    let mut groups = Groups { parent: (0..frame.atoms.len()).collect() };
    let bins = Bins::new(frame);
    for (i, atom) in frame.atoms.iter().enumerate() {
        for &j in bins.around(&atom.position) {
            if j < i && frame.are_bonded(atom, &frame.atoms[j]) {
                groups.join(i, j);
            }
        }
    }
    let mut molecules: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for i in 0..frame.atoms.len() {
        molecules.entry(groups.root(i)).or_default().push(i);
    }
    let molecules: Vec<Vec<usize>> = molecules.into_values().collect();
    molecules.iter().try_for_each(|molecule| frame.check_extent(molecule))?;
    Ok(molecules)
}

impl Frame {
    fn are_bonded(&self, a: &Site, b: &Site) -> bool {
        if a.label != b.label || [a, b].iter().any(|site| is_ion(site.element)) {
            return false;
        }
        let longest = a.element.covalent_radius() + b.element.covalent_radius() + STRETCH;
        (0..3).map(|axis| self.apart(a, b, axis).powi(2)).sum::<f64>() < longest * longest
    }

    /// From atom to atom along an axis, the shorter way \[Å\].
    fn apart(&self, a: &Site, b: &Site, axis: usize) -> f64 {
        let apart = b.position[axis] - a.position[axis];
        apart - (apart / self.size[axis]).round() * self.size[axis]
    }

    /// A molecule must span less than half of the box from its first atom on, or it is not known where it begins.
    fn check_extent(&self, molecule: &[usize]) -> Result<(), String> {
        let first = &self.atoms[molecule[0]];
        for axis in 0..3 {
            let along = molecule.iter().map(|&i| self.apart(first, &self.atoms[i], axis));
            let (low, high) = along.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
            if high - low > 0.5 * self.size[axis] {
                return Err(format!(
                    "atom {} and {} others are one molecule {:.0} Å long, in a box {:.0} Å wide: this is not a liquid of small molecules",
                    molecule[0] + 1,
                    molecule.len() - 1,
                    high - low,
                    self.size[axis]
                ));
            }
        }
        Ok(())
    }
}

/// Whether an element is found in liquids as an ion only.
fn is_ion(element: Element) -> bool {
    ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba"].contains(&element.symbol())
}

/// Atoms by the bin of the periodic box that they are in, bins as wide as the longest bond.
struct Bins {
    size: [f64; 3],
    counts: [i64; 3],
    bins: HashMap<[i64; 3], Vec<usize>>,
}

impl Bins {
    fn new(frame: &Frame) -> Self {
        let largest = frame.atoms.iter().map(|atom| atom.element.covalent_radius()).fold(0.0, f64::max);
        let width = 2.0 * largest + STRETCH;
        let counts = frame.size.map(|edge| ((edge / width).floor() as i64).max(1));
        let mut bins = Self { size: frame.size, counts, bins: HashMap::new() };
        for (i, atom) in frame.atoms.iter().enumerate() {
            bins.bins.entry(bins.of(&atom.position)).or_default().push(i);
        }
        bins
    }

    fn of(&self, place: &Point3<f64>) -> [i64; 3] {
        std::array::from_fn(|axis| {
            let part = (place[axis] / self.size[axis]).rem_euclid(1.0);
            ((part * self.counts[axis] as f64) as i64).min(self.counts[axis] - 1)
        })
    }

    /// Atoms in the bin of a place and those beside it; in a box of few bins some come more than once.
    fn around(&self, place: &Point3<f64>) -> impl Iterator<Item = &usize> {
        let home = self.of(place);
        let offsets = (0..27).map(|n| [n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1]);
        let bins = offsets.map(move |offset: [i64; 3]| {
            std::array::from_fn(|axis| (home[axis] + offset[axis]).rem_euclid(self.counts[axis]))
        });
        bins.filter_map(|bin| self.bins.get(&bin)).flatten()
    }
}

/// Atoms joined into groups, each named by its first atom.
struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    fn root(&mut self, mut i: usize) -> usize {
        while self.parent[i] != i {
            self.parent[i] = self.parent[self.parent[i]];
            i = self.parent[i];
        }
        i
    }

    fn join(&mut self, i: usize, j: usize) {
        let (i, j) = (self.root(i), self.root(j));
        self.parent[i.max(j)] = i.min(j);
    }
}
