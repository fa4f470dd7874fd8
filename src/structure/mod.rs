//! Particles as lists of atoms: what an element is, where each atom sits.
//!
//! Positions are in Å, in the particle's own frame, with its centre at the origin.

mod element;
mod xyz;

use std::sync::Arc;

use nalgebra::{Point3, Vector3};

pub use element::{Element, UnknownElement};
pub use xyz::XyzError;

/// One atom of a particle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Atom {
    pub element: Element,
    /// Position in the particle's frame [Å].
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

    /// Mean position of the atoms [Å]; the origin if there are none.
    pub fn centroid(&self) -> Point3<f64> {
        let sum: Vector3<f64> = self.atoms.iter().map(|atom| atom.position.coords).sum();
        Point3::from(sum / self.len().max(1) as f64)
    }
}
