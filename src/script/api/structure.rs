//! `structure::` particles as lists of atoms.

use rhai::plugin::*;

/// Particles as lists of atoms.
#[export_module]
pub mod api {
    use crate::structure::Structure;

    /// Number of atoms.
    #[rhai_fn(global)]
    pub fn len(structure: Structure) -> i64 {
        structure.len() as i64
    }

    /// One line: name and number of atoms.
    #[rhai_fn(global)]
    pub fn to_string(structure: Structure) -> String {
        format!("{}: {} atoms", structure.name(), structure.len())
    }
}
