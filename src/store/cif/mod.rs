//! Atoms as CIF, the crystallographic information file: Hall, Allen and Brown, Acta Cryst. A47 (1991) 655; version 1.1 and the core dictionary,
//! <https://www.iucr.org/resources/cif>.
//!
//! **Read** are the atoms of one unit cell. `syntax` takes a text apart; `symmetry` applies the operations that the file lists
//! (`_space_group_symop_operation_xyz` or `_symmetry_equiv_pos_as_xyz`) to its sites. The images of a site go into the cell, those that coincide count once.
//! Where there is no symmetry, sites stay where they are, and `_atom_site_Cartn_x`, `_y`, `_z` go before fractional coordinates. Occupancies are not looked at, but
//! two atoms in one place are refused.
//!
//! **Written** is a particle in a box of its own (P1). Programs fold fractional coordinates into the cell, which would cut a particle at the cell's corner
//! into eight: so it stands in the middle of the cell, and who reads `_atom_site_fract_x`, `_y`, `_z` (ASE, VESTA) has it moved as a whole. The move is
//! `_atom_sites_Cartn_tran_vector`, and `_atom_site_Cartn_x`, `_y`, `_z` are the positions in the particle's own frame, which come back here unmoved.

mod read;
mod symmetry;
mod syntax;
mod write;

pub use read::read;
pub use write::write_cif;
