//! Particles as lists of atoms: what an element is, where each atom sits, and how particles come to be.
//!
//! A [`Structure`] is one nanoparticle: its atoms' elements and positions in Å, in the particle's own frame, with its
//! centre at the origin. It is cut as a sphere from a crystal ([`Lattice`]: rock salt, zinc blende, wurtzite, fcc and its
//! random alloys), taken from the particles that come with the program ([`bundled`]), or read from XYZ text
//! ([`Structure::from_xyz`]); it can be rotated, displaced at random and given other species. What goes in is a few numbers
//! in Å; what comes out goes to the microscope, or is the truth that a reconstruction is compared with.

mod bundled;
mod element;
mod lattice;
mod neighbours;
mod particle;
mod xyz;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nalgebra::{Point3, UnitQuaternion, Vector3};

pub use bundled::{UnknownBundle, bundled, bundled_names};
pub use element::{Element, UnknownElement};
pub use lattice::{IDEAL_U, Lattice, LatticeKind, Site};
pub(crate) use neighbours::{pair_within, within};
pub use particle::{Alloy, Displacement, Sphere};
pub use xyz::XyzError;
pub(crate) use xyz::entry as xyz_entry;

/// What cannot be built, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("\"{0}\" is not a lattice (there are \"rocksalt\", \"zincblende\", \"wurtzite\" and \"fcc\")")]
    UnknownLattice(String),
    #[error("the lattice constant {name} = {value} Å must be a positive number")]
    LatticeConstant { name: &'static str, value: f64 },
    #[error("{kind} has no lattice constant c: leave it out")]
    NoConstantC { kind: LatticeKind },
    #[error("wurtzite needs the lattice constant c [Å] as well as a")]
    MissingC,
    #[error("wurtzite's u = {0} must lie between 0 and 0.5 (3/8 is ideal)")]
    InternalParameter(f64),
    #[error("{kind} takes {expected} of species, got {found}")]
    SpeciesCount { kind: LatticeKind, expected: &'static str, found: usize },
    #[error("the diameter of the sphere, {0} Å, must be a positive number")]
    Diameter(f64),
    #[error("the centre of the sphere must be three finite fractional coordinates, got {0:?}")]
    Centre([f64; 3]),
    #[error(
        "a sphere of {diameter} Å would hold about {atoms:.3e} atoms, more than {limit}: choose a smaller diameter"
    )]
    TooManyAtoms { diameter: f64, atoms: f64, limit: usize },
    #[error("no atom is left in a sphere of {diameter} Å with at least {min_neighbours} neighbours an atom")]
    Empty { diameter: f64, min_neighbours: usize },
    #[error(
        "a composition needs one fraction a species, none negative, with a positive sum; got {fractions:?} for {species} species"
    )]
    Composition { fractions: Vec<f64>, species: usize },
    #[error("a composition is for fcc alloys; {0} has its two species on fixed sites")]
    FixedComposition(LatticeKind),
    #[error("the r.m.s. displacement, {0} Å, must be a number that is not negative")]
    Displacement(f64),
    #[error(transparent)]
    Element(#[from] UnknownElement),
}

/// No atom is so far from the origin along an axis \[Å\]: nearer ones are told apart to 10⁻⁶ Å, and the cube that each lies in can be counted.
pub(crate) const FAR: f64 = 1e9;

/// One atom of a particle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Atom {
    pub element: Element,
    /// Position in the particle's frame \[Å\].
    pub position: Point3<f64>,
}

/// A particle: its atoms, and a name to show. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Structure {
    name: Arc<str>,
    atoms: Arc<Vec<Atom>>,
}

impl Structure {
    pub fn new(name: impl Into<Arc<str>>, atoms: Vec<Atom>) -> Self {
        Self { name: name.into(), atoms: Arc::new(atoms) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn atoms(&self) -> &[Atom] {
        &self.atoms
    }

    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// Mean position of the atoms \[Å\]; the origin if there are none.
    pub fn centroid(&self) -> Point3<f64> {
        let sum: Vector3<f64> = self.atoms.iter().map(|atom| atom.position.coords).sum();
        Point3::from(sum / self.len().max(1) as f64)
    }

    /// Twice the largest distance of an atom from the centroid \[Å\].
    pub fn diameter(&self) -> f64 {
        let centre = self.centroid();
        2.0 * self.atoms.iter().map(|atom| (atom.position - centre).norm()).fold(0.0, f64::max)
    }

    /// Smallest distance between two atoms \[Å\]; infinite if there are fewer than two.
    pub fn min_distance(&self) -> f64 {
        neighbours::smallest_distance(&self.positions())
    }

    /// How many atoms there are of each element, in alphabetical order of the symbols.
    pub fn composition(&self) -> Vec<(Element, usize)> {
        let mut counts = BTreeMap::new();
        for atom in self.atoms.iter() {
            counts.entry(atom.element.symbol()).or_insert((atom.element, 0)).1 += 1;
        }
        counts.into_values().collect()
    }

    /// The composition as text, for instance "Fe62Pt62".
    pub fn formula(&self) -> String {
        self.composition().into_iter().map(|(element, count)| format!("{element}{count}")).collect()
    }

    /// The same particle with its centroid at the origin.
    pub fn centred(&self) -> Self {
        let shift = self.centroid().coords;
        self.moved(|position| position - shift)
    }

    /// The particle rotated about the origin, position = R·position.
    pub fn rotated(&self, rotation: UnitQuaternion<f64>) -> Self {
        self.moved(|position| rotation * position)
    }

    fn moved(&self, motion: impl Fn(Point3<f64>) -> Point3<f64>) -> Self {
        let atoms = self.atoms.iter().map(|atom| Atom { position: motion(atom.position), ..*atom }).collect();
        Self { name: self.name.clone(), atoms: Arc::new(atoms) }
    }

    fn positions(&self) -> Vec<Point3<f64>> {
        self.atoms.iter().map(|atom| atom.position).collect()
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} atoms ({}), {:.1} Å across", self.name, self.len(), self.formula(), self.diameter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Structure {
        Structure::from_xyz("3\nname=t\nSe 0 0 0\nPb 2 0 0\nSe 1 3 0\n").unwrap()
    }

    #[test]
    fn centre_diameter_and_formula_describe_the_particle() {
        let structure = pair();
        assert_eq!(structure.formula(), "Pb1Se2");
        assert_eq!(structure.centroid(), Point3::new(1.0, 1.0, 0.0));
        assert_eq!(structure.diameter(), 4.0);
        assert_eq!(structure.min_distance(), 2.0);
        assert_eq!(structure.centred().centroid(), Point3::origin());
    }

    #[test]
    fn rotation_is_active() {
        let quarter = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::FRAC_PI_2);
        let turned = pair().rotated(quarter);
        assert!((turned.atoms()[1].position - Point3::new(0.0, 2.0, 0.0)).norm() < 1e-12);
    }
}
