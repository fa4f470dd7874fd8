//! Liquids from the trajectories of molecular dynamics programs: LAMMPS dumps, extended XYZ, PDB and GRO.
//!
//! Every frame is a snapshot. The frames must have the same atoms in the same rectangular box, periodic in all directions: a run at constant
//! volume. Lengths are read in Å, or turned into Å where the format has others.
//!
//! A reader of one format is a [`Trajectory`]; what follows is the same for all: [`names`] says which element an atom is, [`molecules`] which atoms
//! belong together.

mod gro;
mod lammps;
mod molecules;
mod names;
mod pdb;
mod xyz;

use std::fs;
use std::path::Path;

use nalgebra::Point3;
use serde::{Deserialize, Serialize};

use super::lines::Lines;
use super::structure::{check_near, stem};
use super::words::{number, numbers, position};
use super::{Error, Format, atomic};
use crate::cell::Liquid;
use crate::memory;
use crate::structure::Element;
use names::Names;

pub use names::Elements;

/// How the file of a liquid is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiquidOptions {
    /// Elements of types or atom names, where the file does not say them. Default: none.
    pub elements: Elements,
    /// One frame in this many is kept, the first of them. Default: 1.
    pub every: usize,
}

impl Default for LiquidOptions {
    fn default() -> Self {
        Self { elements: Elements::default(), every: 1 }
    }
}

/// A frame of a trajectory.
struct Frame {
    /// Edges of the box \[Å\].
    size: [f64; 3],
    atoms: Vec<Site>,
}

impl Frame {
    /// Fails if an atom is too far away.
    fn check_near(&self) -> Result<(), String> {
        self.atoms.iter().try_for_each(|atom| check_near(atom.position))
    }
}

/// An atom of a frame.
struct Site {
    element: Element,
    /// \[Å\].
    position: Point3<f64>,
    /// Atoms with other labels are of other molecules.
    label: u64,
}

/// Labels of atoms that come residue by residue: a new one wherever the residue is another than that of the atom before.
#[derive(Default)]
struct Residues {
    last: String,
    label: u64,
}

impl Residues {
    fn label(&mut self, residue: &str) -> u64 {
        if residue != self.last {
            residue.clone_into(&mut self.last);
            self.label += 1;
        }
        self.label
    }
}

/// The frames of a file, one after another.
trait Trajectory {
    /// The next frame; none at the end of the file. What is wrong is told of the line that was read last.
    fn next(&mut self, lines: &mut Lines) -> Result<Option<Frame>, String>;
}

/// Reads a liquid from a LAMMPS dump (.lammpstrj, .dump), extended XYZ (.xyz, .extxyz), PDB (.pdb) or GRO (.gro); its name is the file's.
///
/// # Errors
/// If the file cannot be read or is malformed (the message names the line), an element is not known, the box is not rectangular and periodic, or
/// the frames do not belong together.
pub fn read_liquid(path: &Path, options: &LiquidOptions) -> Result<Liquid, Error> {
    if options.every == 0 {
        return Err(Error::Every);
    }
    let names = Names::new(&options.elements);
    let mut trajectory: Box<dyn Trajectory> = match Format::of(path) {
        Format::Dump => Box::new(lammps::Dump::new(names)),
        Format::Xyz => Box::new(xyz::ExtendedXyz),
        Format::Pdb => Box::new(pdb::Pdb::new(names)),
        Format::Gro => Box::new(gro::Gro::new(names)),
        _ => {
            let known = ".lammpstrj, .dump, .xyz, .extxyz, .pdb or .gro";
            return Err(Error::Extension { path: path.to_owned(), verb: "read a liquid from", known });
        }
    };
    let read = |cause| Error::Read { path: path.to_owned(), cause };
    // a position takes at least as much room in a text as in memory
    let bytes = fs::metadata(path).map_err(read)?.len() as f64;
    memory::require(bytes, "the frames of the liquid")
        .map_err(|cause| Error::Memory { path: path.to_owned(), cause })?;
    let mut lines = Lines::open(path).map_err(read)?;
    let frames = frames(trajectory.as_mut(), &mut lines, options.every);
    let not_liquid = |path, problem| Error::NotLiquid { path, problem };
    let frames = frames.map_err(|problem| lines.fault(problem).in_file(path, not_liquid))?;
    liquid(&stem(path), frames).map_err(|problem| not_liquid(path.to_owned(), problem))
}

/// Writes a liquid as extended XYZ, each snapshot a frame, to 10⁻⁵ Å.
///
/// # Errors
/// If the name does not end in .xyz or .extxyz, or the file cannot be written.
pub fn write_liquid(path: &Path, liquid: &Liquid) -> Result<(), Error> {
    if Format::of(path) != Format::Xyz {
        let known = ".xyz or .extxyz";
        return Err(Error::Extension { path: path.to_owned(), verb: "write a liquid to", known });
    }
    atomic::write_text(path, &xyz::text(liquid))
}

/// Whether a name is that of a file that [`read_liquid`] knows.
pub fn is_liquid_file(path: &Path) -> bool {
    matches!(Format::of(path), Format::Dump | Format::Xyz | Format::Pdb | Format::Gro)
}

/// One frame in `every`, all with the atoms and the box of the first.
fn frames(trajectory: &mut dyn Trajectory, lines: &mut Lines, every: usize) -> Result<Vec<Frame>, String> {
    let mut kept: Vec<Frame> = Vec::new();
    let mut number = 0usize;
    while let Some(frame) = trajectory.next(lines)? {
        frame.check_near().map_err(|problem| format!("in the frame that ends here, {problem}"))?;
        if let Some(first) = kept.first() {
            same_liquid(first, &frame).map_err(|problem| format!("frame {} of the file {problem}", number + 1))?;
        }
        if number.is_multiple_of(every) {
            kept.push(frame);
        }
        number += 1;
    }
    Ok(kept)
}

/// Fails if a frame has not the atoms and the box of the first.
fn same_liquid(first: &Frame, frame: &Frame) -> Result<(), String> {
    if frame.atoms.len() != first.atoms.len() {
        return Err(format!("has {} atoms, the first has {}", frame.atoms.len(), first.atoms.len()));
    }
    let mut pairs = first.atoms.iter().zip(&frame.atoms);
    if let Some(place) = pairs.position(|(first, atom)| first.element != atom.element) {
        return Err(format!("has other atoms than the first: {} are not the same element", place + 1));
    }
    if (0..3).any(|axis| (frame.size[axis] - first.size[axis]).abs() > 1e-3 * first.size[axis]) {
        let [old, new] = [first.size, frame.size].map(|[x, y, z]| format!("{x:.3} × {y:.3} × {z:.3} Å"));
        return Err(format!(
            "has a box of {new}, the first one of {old}: a liquid has one box; use a run at constant volume, or one frame a file"
        ));
    }
    Ok(())
}

/// A liquid of these frames, its molecules one after another.
fn liquid(name: &str, frames: Vec<Frame>) -> Result<Liquid, String> {
    let first = frames.first().filter(|frame| !frame.atoms.is_empty()).ok_or("it has no atoms")?;
    let molecules = molecules::of(first)?;
    let sizes: Vec<usize> = molecules.iter().map(Vec::len).collect();
    let order = molecules.concat();
    let elements = order.iter().map(|&i| first.atoms[i].element).collect();
    let size = first.size;
    let positions = |frame: &Frame| order.iter().map(|&i| frame.atoms[i].position).collect();
    let snapshots = frames.iter().map(positions).collect();
    Liquid::new(name, size, elements, &sizes, snapshots).map_err(|error| error.to_string())
}

const NOT_RECTANGULAR: &str = "the box is not rectangular; run the liquid in a box with edges along x, y and z";

/// The edges of a box from its three vectors, which must be along x, y and z.
fn rectangular(vectors: [[f64; 3]; 3]) -> Result<[f64; 3], String> {
    let edges = [vectors[0][0], vectors[1][1], vectors[2][2]];
    let longest = edges.iter().copied().fold(0.0, f64::max);
    let is_rectangular = (0..3).all(|row| (0..3).all(|axis| row == axis || vectors[row][axis].abs() <= 1e-6 * longest));
    if !is_rectangular {
        return Err(NOT_RECTANGULAR.to_owned());
    }
    edges_of(edges)
}

/// Edges of a box \[Å\] that can hold a liquid.
fn edges_of(edges: [f64; 3]) -> Result<[f64; 3], String> {
    if edges.iter().all(|edge| (1.0..1e5).contains(edge)) {
        return Ok(edges);
    }
    let [x, y, z] = edges;
    Err(format!("the box is {x} × {y} × {z} Å: every edge must be from 1 to 100000 Å"))
}
