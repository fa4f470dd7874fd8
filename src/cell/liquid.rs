//! Liquids: periodic boxes of molecules, from molecular dynamics.
//!
//! One box makes many liquids: its snapshots, shifted by any amount, mirrored and turned by quarters, are as good as those the simulation gave, and
//! independent of one another as seen by a beam.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use nalgebra::{Point3, Vector3};
use rand::RngExt;

use super::Error;
use crate::random;
use crate::structure::{Atom, Element};

/// A box of molecules, periodic in all directions, at one or more times. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Liquid {
    name: Arc<str>,
    size: [f64; 3],
    elements: Arc<Vec<Element>>,
    /// First atom of each molecule, and the number of atoms.
    molecules: Arc<Vec<usize>>,
    /// Positions at each time \[Å\], molecules whole, their centres within the box.
    snapshots: Arc<Vec<Vec<Point3<f64>>>>,
}

impl Liquid {
    /// From the edges of the box \[Å\], the element of each atom, how many atoms each molecule has, and positions \[Å\] at some times.
    ///
    /// Molecules that the file has cut at the box's faces are made whole.
    ///
    /// # Errors
    /// If the box has no volume, there are no atoms or no times, the numbers do not add up, or a coordinate is not finite.
    pub fn new(
        name: &str,
        size: [f64; 3],
        elements: Vec<Element>,
        molecule_sizes: &[usize],
        snapshots: Vec<Vec<Point3<f64>>>,
    ) -> Result<Self, Error> {
        if !size.iter().all(|edge| edge.is_finite() && *edge > 0.0) {
            return Err(Error::Box(size));
        }
        let mut molecules = vec![0];
        molecules.extend(molecule_sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        }));
        let fits = |positions: &Vec<Point3<f64>>| positions.len() == elements.len();
        if elements.is_empty() || molecules.last() != Some(&elements.len()) || !snapshots.iter().all(fits) {
            return Err(Error::Molecules { name: name.to_owned(), atoms: elements.len() });
        }
        if snapshots.is_empty() || !snapshots.iter().flatten().all(|position| position.iter().all(|x| x.is_finite())) {
            return Err(Error::Positions(name.to_owned()));
        }
        let mut liquid = Self {
            name: name.into(),
            size,
            elements: Arc::new(elements),
            molecules: Arc::new(molecules),
            snapshots: Arc::new(Vec::new()),
        };
        let whole = snapshots.into_iter().map(|positions| liquid.whole(positions)).collect();
        liquid.snapshots = Arc::new(whole);
        Ok(liquid)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Edges of the box \[Å\].
    pub fn size(&self) -> [f64; 3] {
        self.size
    }

    /// Element of each atom.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Positions at each time \[Å\].
    pub fn snapshots(&self) -> &[Vec<Point3<f64>>] {
        &self.snapshots
    }

    /// The atoms of each molecule.
    pub fn molecules(&self) -> impl Iterator<Item = Range<usize>> {
        self.molecules.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// Molecules in the box.
    pub fn molecule_count(&self) -> usize {
        self.molecules.len() - 1
    }

    /// Density [g/cm³].
    pub fn density(&self) -> f64 {
        density(self.elements.iter().copied(), self.size.iter().product())
    }

    /// An independent liquid of one snapshot: draw `index` under `seed`.
    pub fn snapshot(&self, seed: u64, index: u64) -> Self {
        let mut rng = random::stream(seed, "liquid", index);
        let snapshot = &self.snapshots[rng.random_range(0..self.snapshots.len())];
        let shift = Vector3::from(self.size.map(|edge| edge * rng.random::<f64>()));
        let mirrors: [bool; 3] = std::array::from_fn(|_| rng.random());
        let turn = rng.random::<bool>() && (self.size[0] - self.size[1]).abs() < 1e-9;
        let moved = snapshot.iter().map(|position| {
            let mut position = *position;
            (0..3).filter(|&axis| mirrors[axis]).for_each(|axis| position[axis] = -position[axis]);
            if turn {
                // with the mirrors, one quarter gives all of them
                position = Point3::new(-position.y, position.x, position.z);
            }
            position + shift
        });
        let snapshots = vec![self.whole(moved.collect())];
        Self { snapshots: Arc::new(snapshots), ..self.clone() }
    }

    /// Molecules whole, their centres within the box.
    fn whole(&self, mut positions: Vec<Point3<f64>>) -> Vec<Point3<f64>> {
        for molecule in self.molecules() {
            let atoms = &mut positions[molecule];
            let first = atoms[0];
            for axis in 0..3 {
                let edge = self.size[axis];
                atoms.iter_mut().for_each(|atom| atom[axis] -= ((atom[axis] - first[axis]) / edge).round() * edge);
                let centre = atoms.iter().map(|atom| atom[axis]).sum::<f64>() / atoms.len() as f64;
                let cells = (centre / edge).floor() * edge;
                atoms.iter_mut().for_each(|atom| atom[axis] -= cells);
            }
        }
        positions
    }

    /// Whole molecules whose centres are in a box of `size` \[Å\]: the liquid repeated where it is smaller, cut where it is larger.
    pub(super) fn fill(&self, size: [f64; 3]) -> Vec<Vec<Atom>> {
        let repeats: [usize; 3] =
            std::array::from_fn(|axis| (size[axis] / self.size[axis] - 1e-9).ceil().max(1.0) as usize);
        let mut filled = Vec::new();
        let positions = &self.snapshots[0];
        for molecule in self.molecules() {
            let centre = positions[molecule.clone()].iter().map(|atom| atom.coords).sum::<Vector3<f64>>()
                / molecule.len() as f64;
            for cell in 0..repeats.iter().product() {
                let cell = [cell % repeats[0], cell / repeats[0] % repeats[1], cell / repeats[0] / repeats[1]];
                let offset = Vector3::from_fn(|axis, _| cell[axis] as f64 * self.size[axis]);
                if (0..3).all(|axis| centre[axis] + offset[axis] < size[axis]) {
                    let atom = |i: usize| Atom { element: self.elements[i], position: positions[i] + offset };
                    filled.push(molecule.clone().map(atom).collect());
                }
            }
        }
        filled
    }
}

impl fmt::Display for Liquid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [x, y, z] = self.size;
        let times = self.snapshots.len();
        write!(
            f,
            "{}: {} molecules in {x:.1} × {y:.1} × {z:.1} Å, {:.3} g/cm³, {times} snapshot{}",
            self.name,
            self.molecule_count(),
            self.density(),
            if times == 1 { "" } else { "s" }
        )
    }
}

/// Density [g/cm³] of atoms in a volume \[Å³\].
pub(super) fn density(atoms: impl Iterator<Item = Element>, volume: f64) -> f64 {
    /// Grams of an atomic mass unit, over cm³ of an Å³.
    const GRAM_PER_CM3: f64 = 1.660_539_066_60;
    GRAM_PER_CM3 * atoms.map(Element::mass).sum::<f64>() / volume
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atom_of_a_moved_liquid_can_be_anywhere_in_the_box() {
        let element: Element = "O".parse().unwrap();
        let atom = vec![Point3::new(1.0, 2.0, 3.0)];
        let liquid = Liquid::new("one", [10.0, 10.0, 20.0], vec![element], &[1], vec![atom]).unwrap();
        for axis in 0..3 {
            let edge = liquid.size()[axis];
            let places: Vec<f64> = (0..2000).map(|i| liquid.snapshot(1, i).snapshots()[0][0][axis] / edge).collect();
            let tenths = (0..10).map(|tenth| places.iter().filter(|x| (**x * 10.0) as usize == tenth).count());
            assert!(tenths.into_iter().all(|count| (140..260).contains(&count)), "axis {axis}");
        }
    }

    #[test]
    fn molecules_cut_by_the_box_are_made_whole() {
        let element: Element = "O".parse().unwrap();
        let pair = vec![Point3::new(9.8, 5.0, 5.0), Point3::new(0.3, 5.0, 5.0)];
        let liquid = Liquid::new("pair", [10.0; 3], vec![element; 2], &[2], vec![pair]).unwrap();
        let atoms = &liquid.snapshots()[0];
        assert!(((atoms[0] - atoms[1]).norm() - 0.5).abs() < 1e-9, "{atoms:?}");
        assert!(Liquid::new("odd", [10.0; 3], vec![element; 2], &[3], vec![atoms.clone()]).is_err());
        assert!(Liquid::new("flat", [10.0, 10.0, 0.0], vec![element; 2], &[2], vec![atoms.clone()]).is_err());
    }
}
