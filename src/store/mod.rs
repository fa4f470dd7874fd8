//! Reading and writing: image stacks, densities, atoms and whole runs, in the formats the field's other tools use.
//!
//! | what | format | read | write |
//! | --- | --- | --- | --- |
//! | image stacks | MRC (space group 0) | [`read_images`] | [`write_images`] |
//! | densities | MRC (space group 1) | [`read_volume`] | [`write_volume`] |
//! | atoms | XYZ, plain and extended | [`read_structure`] | [`write_xyz`] |
//! | atoms | PDB 3.3 | [`read_structure`] | [`write_pdb`] |
//! | atoms | core CIF, with symmetry | [`read_structure`] | [`write_cif`] (P1) |
//! | atoms | POSCAR, CONTCAR of VASP 5 | [`read_structure`] | |
//! | poses | RELION STAR | [`read_star`] | [`write_star`] |
//! | liquids from molecular dynamics | LAMMPS dump, extended XYZ, PDB, GRO | [`read_liquid`] | [`write_liquid`] (XYZ) |
//! | modulation transfer functions | RELION STAR | [`read_mtf`] | |
//! | atoms and poses that simulated images were made from | JSON beside the stack | [`read_truth`] | |
//! | a run: every value and where it came from | HDF5 | [`read_h5`] | [`write_h5`] |
//!
//! Of a CIF or POSCAR the atoms of one unit cell are read, a CIF's symmetry operations applied; of a PDB the atoms it lists. Occupancies are not looked at; in a CIF two
//! atoms on one site are an error. PDB and CIF carry what is known of a traced atom where crystallographers look for it: occupancy is the probability of its element,
//! B and U are the uncertainty of its position.
//!
//! The stack and structure readers also look into HDF5 files, ours and those of other programs with one stack in them.
//! MRC is the format of MRC2014 (Cheng et al., J. Struct. Biol. 192, 146, 2015); the layout of our HDF5 files is
//! described in [`h5`].
//!
//! Two rules hold for all of them. What is read is checked before anything is computed from it: a file that is
//! truncated, or holds NaN pixels, or images that are not square is refused with a sentence that says which file and
//! what is wrong. And a file appears under its name only when it is complete: it is written beside its target, forced to
//! the disk, and renamed, so that a crash or a full disk leaves the last complete file as it was.

mod atomic;
mod cif;
mod digest;
mod error;
pub mod h5;
mod images;
mod info;
mod lines;
mod liquid;
mod mrc;
mod pdb;
mod poscar;
mod provenance;
mod star;
mod statistics;
mod structure;
mod unit_cell;
mod value;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use crate::task::Task;

pub use atomic::{is_half_written, write_bytes, write_json, write_text};
pub use cif::write_cif;
pub use digest::Digest;
pub use error::Error;
pub use h5::{Contents, StackPlan, StackWriter, read_h5, read_provenance, write_h5};
pub use images::{ImageStack, read_images, read_volume};
pub use info::info;
pub use liquid::{LiquidOptions, is_liquid_file, read_liquid, write_liquid};
pub use mrc::{write_images, write_volume};
pub use pdb::write_pdb;
pub use provenance::{Provenance, timestamp};
pub use star::{StarOptions, StarPoses, read_mtf, read_star, write_star};
pub use structure::{Truth, pose, read_poses, read_structure, read_truth, write_xyz};
pub use value::{RECORDS, StoredModel, Value};

/// The kinds of files that a name's extension can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Mrc,
    H5,
    Xyz,
    Json,
    Star,
    /// Trajectories of molecular dynamics, of LAMMPS and others.
    Dump,
    Pdb,
    Cif,
    Poscar,
    Gro,
    Other,
}

impl Format {
    fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "mrc" | "mrcs" | "map" => Self::Mrc,
            "h5" | "hdf5" => Self::H5,
            "xyz" | "extxyz" => Self::Xyz,
            "json" => Self::Json,
            "star" => Self::Star,
            "lammpstrj" | "dump" => Self::Dump,
            "pdb" => Self::Pdb,
            "cif" => Self::Cif,
            "vasp" | "poscar" => Self::Poscar,
            "gro" => Self::Gro,
            _ if is_poscar(path) => Self::Poscar,
            _ => Self::Other,
        }
    }
}

/// Whether a file has the name that VASP gives, perhaps with more behind it.
fn is_poscar(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["POSCAR", "CONTCAR"].iter().any(|known| name.starts_with(known))
}

/// Reads the columns of the only table in an HDF5 file, in order.
///
/// # Errors
/// As [`read_h5`], and if the file has no table or more than one.
pub fn read_table(path: &Path) -> Result<Vec<(String, Value)>, Error> {
    h5::read_only(path, &["table"], |value| if let Value::Table(columns) = value { Some(columns) } else { None })
}

/// Writes one value in the format that the extension of `path` names; in HDF5 it is stored under the name of its type.
///
/// # Errors
/// If the extension is not one for this type of value (the message lists those that are), if the file cannot be written, or when interrupted.
pub fn save(path: &Path, value: &Value, provenance: &Provenance, task: &Task) -> Result<(), Error> {
    match (value, Format::of(path)) {
        (Value::Images(images), Format::Mrc) => write_images(path, images, task),
        (Value::Volume(volume), Format::Mrc) => write_volume(path, volume, task),
        (Value::Structure(structure), Format::Xyz) => write_xyz(path, structure, &BTreeMap::new()),
        (Value::Model(model), Format::Xyz) => write_xyz(path, &model.structure, &model.columns),
        (Value::Structure(structure), Format::Pdb) => write_pdb(path, structure, &BTreeMap::new()),
        (Value::Model(model), Format::Pdb) => write_pdb(path, &model.structure, &model.columns),
        (Value::Structure(structure), Format::Cif) => write_cif(path, structure, &BTreeMap::new()),
        (Value::Model(model), Format::Cif) => write_cif(path, &model.structure, &model.columns),
        (Value::Poses(poses), Format::Star) => write_star(path, poses, &StarOptions::default()),
        (value, Format::H5) => {
            write_h5(path, &BTreeMap::from([(value.kind().to_owned(), value.clone())]), provenance, task)
        }
        (value, _) => {
            let known = match value {
                Value::Images(_) => ".mrcs, .mrc or .h5",
                Value::Volume(_) => ".mrc or .h5",
                Value::Structure(_) | Value::Model(_) => ".xyz, .pdb, .cif or .h5",
                Value::Poses(_) => ".star or .h5",
                Value::Table(_) => ".csv, .md, .json or .h5",
                _ => ".h5",
            };
            Err(Error::Extension { path: path.to_owned(), verb: "write", known })
        }
    }
}
