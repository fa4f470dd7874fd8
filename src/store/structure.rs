//! Atoms and poses as input and output.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nalgebra::{Point3, Quaternion, UnitQuaternion, Vector2};
use serde::Deserialize;

use super::{Error, Format, Value, atomic, cif, h5, pdb, poscar, star};
use crate::pose::{Pose, Poses};
use crate::structure::{Atom, Element, FAR, Structure};

/// What a simulated stack was made from. For evaluation only: no reconstruction reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    pub structure: Structure,
    /// One pose an image, where the file gives them.
    pub poses: Option<Poses>,
    /// Edge of a pixel of the stack \[Å\], where the file gives it.
    pub pixel_size: Option<f64>,
}

/// The fields of a truth file that are read; it may have others.
#[derive(Deserialize)]
struct TruthFile {
    #[serde(rename = "atoms_A")]
    atoms: Vec<[f64; 3]>,
    species: Vec<String>,
    #[serde(default)]
    quaternions: Vec<[f64; 4]>,
    #[serde(default, rename = "shifts_A")]
    shifts: Vec<[f64; 2]>,
    #[serde(rename = "dx_A")]
    pixel_size: Option<f64>,
}

/// Reads the JSON beside a simulated stack: `atoms_A` and `species`, and where there are some `quaternions` (w, x, y, z;
/// active), `shifts_A` (x, y) and `dx_A`.
///
/// # Errors
/// If the file is not JSON with these fields, or their lengths or values do not fit together.
pub fn read_truth(path: &Path) -> Result<Truth, Error> {
    let truth = serde_json::from_str::<TruthFile>(&text(path)?).map_err(|error| error.to_string());
    truth.and_then(|truth| truth.check(&stem(path))).map_err(|problem| Error::Truth { path: path.to_owned(), problem })
}

impl TruthFile {
    fn check(self, name: &str) -> Result<Truth, String> {
        let (atoms, species) = (self.atoms.len(), self.species.len());
        if atoms != species || atoms == 0 {
            return Err(format!("it has {atoms} positions (atoms_A) and {species} elements (species)"));
        }
        let atoms = (1..).zip(&self.atoms).zip(&self.species).map(|((i, &position), symbol)| {
            let element = symbol.parse::<Element>().map_err(|error| error.to_string())?;
            atom(element, Point3::from(position)).map_err(|problem| format!("atom {i}: {problem}"))
        });
        let structure = Structure::new(name, atoms.collect::<Result<_, String>>()?);
        let (rotations, shifts) = (self.quaternions.len(), self.shifts.len());
        if rotations != shifts && shifts != 0 {
            return Err(format!("it has {rotations} quaternions and {shifts} shifts (shifts_A)"));
        }
        let shifts = self.shifts.into_iter().chain(std::iter::repeat([0.0; 2]));
        let poses = self.quaternions.iter().zip(shifts).map(|(&quaternion, shift)| pose(quaternion, shift));
        let poses: Vec<Pose> = poses.collect::<Result<_, String>>()?;
        let poses = (!poses.is_empty()).then(|| Poses::unscored(poses));
        Ok(Truth { structure, poses, pixel_size: self.pixel_size })
    }
}

/// A pose from the quaternion (w, x, y, z) and the shift (x, y) \[Å\] as files hold them.
///
/// # Errors
/// If the quaternion is not of length 1 to a thousandth, or the shift is not finite.
pub fn pose([w, x, y, z]: [f64; 4], [shift_x, shift_y]: [f64; 2]) -> Result<Pose, String> {
    let quaternion = Quaternion::new(w, x, y, z);
    let norm = quaternion.norm();
    if norm.is_nan() || (norm - 1.0).abs() > 1e-3 {
        return Err(format!("the quaternion ({w}, {x}, {y}, {z}) has the length {norm}, not 1"));
    }
    if !(shift_x.is_finite() && shift_y.is_finite()) {
        return Err(format!("the shift ({shift_x}, {shift_y}) is not finite"));
    }
    // A quaternion that is already of length 1 to the rounding of many rotations keeps its bits.
    let rotation = if (norm - 1.0).abs() < 1e-12 {
        UnitQuaternion::new_unchecked(quaternion)
    } else {
        UnitQuaternion::from_quaternion(quaternion)
    };
    Ok(Pose { rotation, shift: Vector2::new(shift_x, shift_y) })
}

/// Columns of a model that PDB and CIF have a place for: the probability of an atom's element, and the uncertainty of its position \[Å\].
pub(super) const PROBABILITY: &str = "probability";
pub(super) const SIGMA: &str = "sigma_A";

/// Reads a structure from XYZ (plain or extended), PDB, CIF (one unit cell), POSCAR (VASP 5), a truth file (JSON), or HDF5 that holds exactly one (or one model).
///
/// # Errors
/// If the file cannot be read or is malformed; the message names the line of a text.
pub fn read_structure(path: &Path) -> Result<Structure, Error> {
    match Format::of(path) {
        Format::Xyz => Structure::from_xyz(&text(path)?).map_err(|cause| Error::Xyz { path: path.to_owned(), cause }),
        Format::Pdb => pdb::read(path),
        Format::Cif => Ok(cif::read(path)?.structure),
        Format::Poscar => Ok(poscar::read(path)?.structure),
        Format::Json => Ok(read_truth(path)?.structure),
        Format::H5 => h5::read_only(path, &["structure", "model"], |value| match value {
            Value::Structure(structure) => Some(structure),
            Value::Model(model) => Some(model.structure),
            _ => None,
        }),
        _ => {
            let known = ".xyz, .pdb, .cif, .vasp, .poscar, .json or .h5, or begin with POSCAR or CONTCAR";
            Err(Error::Extension { path: path.to_owned(), verb: "read atoms from", known })
        }
    }
}

/// Reads poses from a truth file (JSON), RELION STAR, or HDF5 that holds exactly one set.
///
/// # Errors
/// If the file cannot be read or holds no poses.
pub fn read_poses(path: &Path) -> Result<Poses, Error> {
    match Format::of(path) {
        Format::Json => read_truth(path)?
            .poses
            .ok_or_else(|| Error::Truth { path: path.to_owned(), problem: "it has no quaternions".to_owned() }),
        Format::H5 => h5::read_only(path, &["poses"], |value| match value {
            Value::Poses(poses) => Some(poses),
            _ => None,
        }),
        Format::Star => Ok(star::read_star(path, None)?.poses),
        _ => Err(Error::Extension { path: path.to_owned(), verb: "read poses from", known: ".star, .json or .h5" }),
    }
}

/// Writes atoms as extended XYZ, one row an atom: `species x y z` \[Å\], then its number of each of `columns`.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If a column has not one number an atom.
pub fn write_xyz(path: &Path, structure: &Structure, columns: &BTreeMap<String, Vec<f64>>) -> Result<(), Error> {
    atomic::write_text(path, &structure.to_xyz_with(columns))
}

/// An atom of a file at a position \[Å\].
///
/// # Errors
/// If a coordinate is not finite or 10⁹ Å or more.
pub(super) fn atom(element: Element, position: Point3<f64>) -> Result<Atom, String> {
    check_near(position).map(|()| Atom { element, position })
}

/// Fails if a coordinate is not finite or 10⁹ Å or more.
pub(super) fn check_near(position: Point3<f64>) -> Result<(), String> {
    let mut coordinates = position.iter().zip(["x", "y", "z"]);
    match coordinates.find(|(x, _)| !(0.0..FAR).contains(&x.abs())) {
        None => Ok(()),
        Some((x, axis)) => Err(format!(
            "{axis} of the atom is {x:e} Å: an atom must be nearer than {FAR:e} Å to the origin, correct its coordinates"
        )),
    }
}

/// The error of a file that has no particle in it.
pub(super) fn not_particle(path: PathBuf, problem: String) -> Error {
    Error::NotParticle { path, problem }
}

/// A file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file's text.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(json: &str) -> Result<Truth, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pair.json");
        fs::write(&path, json).unwrap();
        read_truth(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_truth_file_gives_atoms_and_poses() {
        let truth = truth(
            r#"{"atoms_A": [[1.5, 0, -2], [0, 0, 0]], "species": ["Fe", "Pt"], "dx_A": 0.25, "note": "more",
                "quaternions": [[0.5, 0.5, 0.5, 0.5]], "shifts_A": [[0.1, -0.2]]}"#,
        )
        .unwrap();
        assert_eq!(truth.structure.name(), "pair");
        assert_eq!(truth.structure.atoms()[0].position, Point3::new(1.5, 0.0, -2.0));
        let pose = truth.poses.unwrap().as_slice()[0];
        // (1 + i + j + k)/2 turns x into y, y into z, z into x.
        assert!((pose.matrix() * nalgebra::Vector3::x() - nalgebra::Vector3::y()).norm() < 1e-12);
        assert_eq!(pose.shift, Vector2::new(0.1, -0.2));
    }

    #[test]
    fn mistakes_in_a_truth_file_are_named() {
        let message = |json: &str| truth(json).unwrap_err();
        assert!(message("{").contains("pair.json is not a truth file: EOF"), "{}", message("{"));
        assert!(message(r#"{"species": []}"#).contains("atoms_A"));
        assert!(message(r#"{"atoms_A": [[0,0,0]], "species": []}"#).contains("1 positions (atoms_A) and 0 elements"));
        assert!(message(r#"{"atoms_A": [[0,0,0]], "species": ["Xx"]}"#).contains("\"Xx\""));
        let far = r#"{"atoms_A": [[0,0,-1e9]], "species": ["Fe"]}"#;
        assert!(message(far).contains("atom 1: z of the atom is -1e9 Å: an atom must be nearer"));
        let quaternion = r#"{"atoms_A": [[0,0,0]], "species": ["Fe"], "quaternions": [[1,1,0,0]]}"#;
        assert!(message(quaternion).contains("length 1.41"));
    }
}
