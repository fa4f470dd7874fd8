//! The simulated cell: where the particle sits between the entrance and the exit face.
//!
//! Simulations of a liquid cell count the defocus from the plane where the electrons leave it, z = height, while the
//! particle floats in the middle. An atom further up the beam is therefore seen at another defocus than the one set at
//! the microscope: with 60 Å and a cell of 100 Å the particle's centre sees +10 Å, and each atom differs from it by its own height.

use serde::{Deserialize, Serialize};

/// A cell that the beam crosses along +z, the particle's centre at half its height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Distance from the entrance face to the exit face \[Å\].
    pub height: f64,
}

impl Cell {
    /// The defocus \[Å\] (positive = underfocus) at an atom `z` \[Å\] above the particle's centre (towards the exit face), for a
    /// microscope focused `defocus` \[Å\] with respect to the exit face: defocus − (height − height of the atom).
    pub fn defocus_at(&self, defocus: f64, z: f64) -> f64 {
        defocus - (self.height - (self.height / 2.0 + z))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_of_the_paper_s_cell_is_ten_angstrom_underfocus() {
        let cell = Cell { height: 100.0 };
        assert_eq!(cell.defocus_at(60.0, 0.0), 10.0);
        assert_eq!(cell.defocus_at(60.0, 50.0), 60.0);
        assert_eq!(Cell { height: 50.0 }.defocus_at(60.0, 0.0), 35.0);
    }
}
