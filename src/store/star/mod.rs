//! Poses as RELION STAR files (layout of RELION 3.1 and later; that of 3.0 is read too).
//!
//! | column | is |
//! | --- | --- |
//! | `rlnAngleRot`, `rlnAngleTilt`, `rlnAnglePsi` | Euler angles \[°\] of [`pose`](crate::pose): A = P_z(psi)·P_y(tilt)·P_z(rot) = R, image x, y = rows 0 and 1 of A applied to a body point |
//! | `rlnOriginXAngst`, `rlnOriginYAngst` | −shift \[Å\]: what moves the particle back to the centre, pixel N/2 |
//! | `rlnLogLikeliContribution` | the score, where poses are scored |
//! | `rlnImageName` | `000001@stack.mrcs`, counted from 1 |
//!
//! The convention needs no change of hand or order: RELION reads the slice of an image at A⁻¹·(kx, ky, 0) in the reference's transform, so that image
//! coordinates are A·body, in volumes `[z][y][x]` and images `[y][x]` whose origin is pixel N/2 as here. `tests/interop.py` checks it with a projector of
//! its own. Pixel size and microscope stand in `data_optics` (one group).

mod mtf;
mod syntax;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use nalgebra::Vector2;
use serde::{Deserialize, Serialize};

use self::syntax::{Block, Row};
use super::images::check_pixel_size;
use super::structure::text;
use super::words::Fault;
use super::{Error, atomic};
use crate::pose::{Pose, Poses, euler_angles, from_euler_angles};

pub use mtf::read_mtf;

const ANGLES: [&str; 3] = ["_rlnAngleRot", "_rlnAngleTilt", "_rlnAnglePsi"];
const ORIGIN: [&str; 2] = ["_rlnOriginXAngst", "_rlnOriginYAngst"];
const ORIGIN_IN_PIXELS: [&str; 2] = ["_rlnOriginX", "_rlnOriginY"];
const PIXEL_SIZES: [&str; 2] = ["_rlnImagePixelSize", "_rlnPixelSize"];
const SCORE: &str = "_rlnLogLikeliContribution";
const IMAGE: &str = "_rlnImageName";
const GROUP: &str = "_rlnOpticsGroup";

/// Options of [`write_star`]; what is not given is not written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StarOptions {
    /// Name of the stack that the poses belong to, as a program that reads the STAR file finds it.
    pub images: Option<String>,
    /// Edge of a pixel \[Å\].
    pub pixel_size: Option<f64>,
    /// Pixels along the edge of an image.
    pub size: Option<usize>,
    /// Accelerating voltage \[kV\].
    pub energy: Option<f64>,
    /// Spherical aberration of third order \[mm\].
    pub c3: Option<f64>,
}

/// Poses as they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct StarPoses {
    /// In the order of the stack if the rows are its images 1…n, each once; else in the order of the rows.
    pub poses: Poses,
    /// The stack that all rows name, if they name one.
    pub stack: Option<String>,
    /// Edge of a pixel \[Å\], if it was given or the file says it.
    pub pixel_size: Option<f64>,
    /// Whether the file has scores.
    pub scored: bool,
    /// What the user should know about the order.
    pub warning: Option<String>,
}

/// Writes poses as a RELION 3.1 STAR file.
///
/// # Errors
/// If the pixel size or another option is not positive, the stack's name has white space or quotes in it, which RELION does not read, or the
/// file cannot be written.
pub fn write_star(path: &Path, poses: &Poses, options: &StarOptions) -> Result<(), Error> {
    check(options)?;
    let mut text = format!("# written by pedesis {}\n", env!("CARGO_PKG_VERSION"));
    let mut optics = vec![(GROUP, "1".to_owned()), ("_rlnOpticsGroupName", "opticsGroup1".to_owned())];
    let mut given = |label, value: Option<String>| optics.extend(value.map(|value| (label, value)));
    given("_rlnImagePixelSize", options.pixel_size.map(|value| value.to_string()));
    given("_rlnImageSize", options.size.map(|value| value.to_string()));
    given("_rlnVoltage", options.energy.map(|value| value.to_string()));
    given("_rlnSphericalAberration", options.c3.map(|value| value.to_string()));
    given("_rlnImageDimensionality", Some("2".to_owned()));
    let (labels, values): (Vec<&str>, Vec<String>) = optics.into_iter().unzip();
    head(&mut text, "optics", &labels);
    text += &format!("{}\n", values.join(" "));

    let image = options.images.as_ref().map(|_| IMAGE);
    let score = poses.scores().iter().any(|score| *score != 0.0).then_some(SCORE);
    let labels: Vec<&str> = image.into_iter().chain(ANGLES).chain(ORIGIN).chain(score).chain([GROUP]).collect();
    head(&mut text, "particles", &labels);
    let scored = |value: f64| score.map_or(String::new(), |_| format!(" {value:?}"));
    for (i, (pose, value)) in poses.as_slice().iter().zip(poses.scores()).enumerate() {
        if let Some(stack) = &options.images {
            let _ = write!(text, "{:06}@{stack} ", i + 1);
        }
        let [rot, tilt, psi] = euler_angles(&pose.rotation);
        let [x, y] = [-pose.shift.x, -pose.shift.y];
        // formatting into a string cannot fail
        let _ = writeln!(text, "{rot:14.9} {tilt:14.9} {psi:14.9} {x:12.7} {y:12.7}{} 1", scored(*value));
    }
    text += "\n";
    atomic::write_text(path, &text)
}

fn check(options: &StarOptions) -> Result<(), Error> {
    let problem = |problem: String| Err(Error::StarOption { problem });
    options.pixel_size.map(check_pixel_size).transpose()?;
    if let Some(value) = options.energy.filter(|value| !(value.is_finite() && *value > 0.0)) {
        return problem(format!("energy must be a positive number of kV, not {value}"));
    }
    if let Some(value) = options.c3.filter(|value| !value.is_finite()) {
        return problem(format!("c3 must be a number of mm, not {value}"));
    }
    match &options.images {
        Some(name) if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "\"'#@".contains(c)) => problem(
            format!("\"{name}\" cannot name a stack in a STAR file: it is empty, or has spaces, quotes, # or @ in it"),
        ),
        _ => Ok(()),
    }
}

/// The lines that begin a block with one table.
fn head(text: &mut String, name: &str, labels: &[&str]) {
    // RELION takes the layout of the file from this comment
    *text += &format!("\n# version 30001\n\ndata_{name}\n\nloop_\n");
    for (i, label) in labels.iter().enumerate() {
        *text += &format!("{label} #{}\n", i + 1);
    }
}

/// Reads poses from a STAR file with `data_optics` and `data_particles`, or with one block (RELION 3.0 and before).
///
/// `pixel_size` \[Å\] takes the place of the one in the file; it matters where origins are in pixels.
///
/// # Errors
/// If the file has no table with the three angles, a row is truncated or holds something that is not a number, or origins are in pixels of unknown
/// size; the message names the line.
pub fn read_star(path: &Path, pixel_size: Option<f64>) -> Result<StarPoses, Error> {
    let pixel_size = pixel_size.map(check_pixel_size).transpose()?;
    let text = text(path)?;
    let read = || {
        let blocks = syntax::parse(&text)?;
        let particles = particles(&blocks)?;
        poses_of(particles, &PixelSizes::new(&blocks, particles, pixel_size)?)
    };
    read().map_err(|fault| fault.in_file(path, not_star))
}

fn not_star(path: PathBuf, problem: String) -> Error {
    Error::NotStar { path, problem }
}

/// The block with the poses: `data_particles`, or the only one with angles.
fn particles<'a, 'b>(blocks: &'a [Block<'b>]) -> Result<&'a Block<'b>, Fault> {
    if let Some(block) = blocks.iter().find(|block| block.name == "particles") {
        return Ok(block);
    }
    let with_angles: Vec<&Block> = blocks.iter().filter(|block| block.column(ANGLES[0]).is_some()).collect();
    match with_angles[..] {
        [block] => Ok(block),
        [] => Err(Fault::of_file(format!("none of its {} blocks has a column {}", blocks.len(), ANGLES[0]))),
        _ => Err(Fault::of_file("several blocks have angles, and none of them is data_particles")),
    }
}

fn poses_of(block: &Block, pixels: &PixelSizes) -> Result<StarPoses, Fault> {
    let mut angles = [0; 3];
    for (column, label) in angles.iter_mut().zip(ANGLES) {
        *column = block.needed(label)?;
    }
    let in_angstrom = pair(block, ORIGIN)?;
    let in_pixels = if in_angstrom.is_some() { None } else { pair(block, ORIGIN_IN_PIXELS)? };
    let score = block.column(SCORE);
    let (mut poses, mut scores) = (Vec::new(), Vec::new());
    for row in &block.rows {
        let number = |column| block.number(row, column);
        let rotation = from_euler_angles([number(angles[0])?, number(angles[1])?, number(angles[2])?]);
        let origin = match (in_angstrom, in_pixels) {
            (Some([x, y]), _) => Vector2::new(number(x)?, number(y)?),
            (None, Some([x, y])) => {
                let size = pixels.of(row)?.ok_or_else(|| {
                    Fault::at(block.line, "the origins are in pixels, and the file gives no pixel size; pass it in Å, as in #{ pixel_size: 0.25 }")
                })?;
                Vector2::new(number(x)?, number(y)?) * size
            }
            (None, None) => Vector2::zeros(),
        };
        poses.push(Pose { rotation, shift: -origin });
        scores.push(score.map_or(Ok(0.0), number)?);
    }
    let pixel_size = block.rows.first().map_or(Ok(None), |row| pixels.of(row))?;
    let order = Order::new(block)?;
    let read = Poses::new(poses, scores);
    let poses = order.moved.as_ref().map_or_else(|| read.clone(), |rows| read.select(rows));
    Ok(StarPoses { poses, stack: order.stack, pixel_size, scored: score.is_some(), warning: order.warning })
}

/// Two columns that come together or not at all.
fn pair(block: &Block, labels: [&str; 2]) -> Result<Option<[usize; 2]>, Fault> {
    match labels.map(|label| block.column(label)) {
        [None, None] => Ok(None),
        _ => Ok(Some([block.needed(labels[0])?, block.needed(labels[1])?])),
    }
}

/// Where the pixel size of a row stands.
struct PixelSizes<'a, 'b> {
    given: Option<f64>,
    block: &'a Block<'b>,
    /// Block, column of the group, column of the size.
    optics: Option<(&'a Block<'b>, usize, usize)>,
}

impl<'a, 'b> PixelSizes<'a, 'b> {
    fn new(blocks: &'a [Block<'b>], block: &'a Block<'b>, given: Option<f64>) -> Result<Self, Fault> {
        let size = |block: &Block| PIXEL_SIZES.iter().find_map(|label| block.column(label));
        let optics = match blocks.iter().find(|block| block.name == "optics").and_then(|o| Some((o, size(o)?))) {
            Some((optics, size)) => Some((optics, optics.needed(GROUP)?, size)),
            None => None,
        };
        Ok(Self { given, block, optics })
    }

    /// Pixel size \[Å\] of a row of particles, if it is known.
    fn of(&self, row: &Row) -> Result<Option<f64>, Fault> {
        if self.given.is_some() {
            return Ok(self.given);
        }
        let own = PIXEL_SIZES.iter().find_map(|label| self.block.column(label));
        let size = if let Some(column) = own {
            self.block.number(row, column)?
        } else if let (Some(detector), Some(magnification)) =
            (self.block.column("_rlnDetectorPixelSize"), self.block.column("_rlnMagnification"))
        {
            // detector pixels are in µm
            1e4 * self.block.number(row, detector)? / self.block.number(row, magnification)?
        } else if let Some((optics, group, size)) = self.optics {
            let wanted = row.values[self.block.needed(GROUP)?];
            let found = optics.rows.iter().find(|known| known.values[group] == wanted);
            let found =
                found.ok_or_else(|| Fault::at(row.line, format!("data_optics has no optics group {wanted}")))?;
            optics.number(found, size)?
        } else {
            return Ok(None);
        };
        match size.is_finite() && size > 0.0 {
            true => Ok(Some(size)),
            false => Err(Fault::at(row.line, format!("the pixel size must be positive, not {size} Å"))),
        }
    }
}

/// How the rows go with the images of a stack.
#[derive(Default)]
struct Order {
    stack: Option<String>,
    /// Row of each image, where the rows are a stack's images in another order.
    moved: Option<Vec<usize>>,
    warning: Option<String>,
}

impl Order {
    fn new(block: &Block) -> Result<Self, Fault> {
        let Some(column) = block.column(IMAGE) else { return Ok(Self::default()) };
        let mut images = Vec::with_capacity(block.rows.len());
        for row in &block.rows {
            let name = row.values[column];
            let parts = name.split_once('@').and_then(|(number, stack)| Some((number.parse::<usize>().ok()?, stack)));
            let wrong = || Fault::at(row.line, format!("{IMAGE} must be like 000001@stack.mrcs, not \"{name}\""));
            images.push(parts.filter(|(number, _)| *number > 0).ok_or_else(wrong)?);
        }
        let Some(&(_, stack)) = images.first() else { return Ok(Self::default()) };
        let one = images.iter().all(|(_, other)| *other == stack).then(|| stack.to_owned());
        let mut rows = vec![usize::MAX; images.len()];
        for (row, (number, _)) in images.iter().enumerate() {
            if let Some(place) = rows.get_mut(number - 1) {
                *place = row;
            }
        }
        if one.is_some() && rows.iter().all(|&row| row != usize::MAX) {
            let moved = rows.iter().enumerate().any(|(image, &row)| image != row).then_some(rows);
            return Ok(Self { stack: one, moved, warning: None });
        }
        let (count, [first, last]) =
            (images.len(), [&block.rows[0], &block.rows[images.len() - 1]].map(|row| row.values[column]));
        let warning = format!(
            "the {count} rows (from {first} to {last}) are not the images 1 to {count} of one stack; the poses are in the order of the rows"
        );
        Ok(Self { stack: one, moved: None, warning: Some(warning) })
    }
}

/// Facts about a STAR file for people: names and what to say of each.
pub(super) fn describe(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let text = text(path)?;
    let blocks = syntax::parse(&text).map_err(|fault| fault.in_file(path, not_star))?;
    let mut facts: Vec<(String, String)> = blocks
        .iter()
        .map(|block| {
            (format!("data_{}", block.name), format!("{} rows of {} columns", block.rows.len(), block.labels.len()))
        })
        .collect();
    if blocks.iter().all(|block| block.column(ANGLES[0]).is_none()) {
        return Ok(facts);
    }
    let read = |given| {
        let particles = particles(&blocks)?;
        poses_of(particles, &PixelSizes::new(&blocks, particles, given)?)
    };
    // origins in pixels of unknown size are told in pixels
    let (read, unit) = match read(None) {
        Ok(read) => (read, "Å"),
        Err(_) => (read(Some(1.0)).map_err(|fault| fault.in_file(path, not_star))?, "pixels of unknown size"),
    };
    let count = read.poses.len();
    facts.push(("poses".to_owned(), if read.scored { format!("{count}, with scores") } else { count.to_string() }));
    let mut fact = |name: &str, what: Option<String>| facts.extend(what.map(|what| (name.to_owned(), what)));
    fact("stack", read.stack);
    let known = read.pixel_size.filter(|_| unit == "Å");
    fact("pixel size", Some(known.map_or("not given".to_owned(), |size| format!("{size} Å"))));
    let largest = read.poses.as_slice().iter().map(|pose| pose.shift.norm()).fold(0.0, f64::max);
    fact("shifts", Some(format!("up to {largest:.3} {unit}")));
    fact("note", read.warning);
    Ok(facts)
}
