//! Operations that a particle almost has, found from its atoms, and what they make of poses.

use nalgebra::Point3;
use serde::{Deserialize, Serialize};

use super::operations::{Operation, completed, operations};
use super::{check_operations, check_sites};
use crate::orient::Error;
use crate::pose::Poses;
use crate::structure::{Atom, Structure};

/// Options of [`pseudo_symmetry`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PseudoSymmetryOptions {
    /// Largest translation that an operation may bring \[Å\]; default 1.0.
    pub max_offset: f64,
    /// Share of the inner atoms that an operation has to take to atoms; default 0.85.
    pub closure: f64,
}

impl Default for PseudoSymmetryOptions {
    fn default() -> Self {
        Self { max_offset: 1.0, closure: 0.85 }
    }
}

/// Operations that a particle has, or almost has, whatever its elements.
#[derive(Debug, Clone)]
pub struct PseudoSymmetry {
    /// Number of operations, the identity included.
    pub operations: usize,
    /// Smallest share of the atoms that one of them takes to atoms.
    pub closure: f64,
    /// The atoms, and the places without one that the operations take them to.
    pub sites: Structure,
}

/// Finds the rotations and rotoinversions about the origin that take most atoms to atoms.
///
/// Poses of a particle that almost has an operation are easily wrong by it, and its density the average over it: all atoms that the
/// operation takes to places without one are then seen at both, fainter.
///
/// # Errors
/// If there are too few atoms or too many, or an option makes no sense.
pub fn pseudo_symmetry(atoms: &Structure, options: &PseudoSymmetryOptions) -> Result<PseudoSymmetry, Error> {
    let found = operations_of(atoms, options)?;
    let places: Vec<Point3<f64>> = atoms.atoms().iter().map(|atom| atom.position).collect();
    let site = |(position, like): (Point3<f64>, usize)| Atom { position, ..atoms.atoms()[like] };
    let sites = completed(&places, &found).into_iter().map(site).collect();
    Ok(PseudoSymmetry {
        operations: found.len(),
        closure: found.iter().map(|operation| operation.closure).fold(1.0, f64::min),
        sites: Structure::new(atoms.name(), sites),
    })
}

/// The poses that each operation of `pseudo_symmetry` makes of given ones, element for element; the first are those given.
///
/// # Errors
/// As `pseudo_symmetry`.
pub fn equivalents(poses: &Poses, atoms: &Structure, options: &PseudoSymmetryOptions) -> Result<Vec<Poses>, Error> {
    let found = operations_of(atoms, options)?;
    let moved = |operation: &Operation| poses.as_slice().iter().map(|pose| operation.moved(pose)).collect();
    Ok(found.iter().map(|operation| Poses::unscored(moved(operation))).collect())
}

fn operations_of(atoms: &Structure, options: &PseudoSymmetryOptions) -> Result<Vec<Operation>, Error> {
    check_sites(atoms)?;
    check_operations(options.max_offset, options.closure)?;
    let places: Vec<Point3<f64>> = atoms.atoms().iter().map(|atom| atom.position).collect();
    Ok(operations(&places, options.max_offset, options.closure))
}
