//! What can be wrong with a file.

use std::io;
use std::path::PathBuf;

use crate::memory::NotEnough;
use crate::structure::XyzError;
use crate::task::Cancelled;

/// Why a file could not be read or written. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("cannot read {path}: {cause}")]
    Read { path: PathBuf, cause: io::Error },
    #[error("cannot write {path}: {cause}")]
    Write { path: PathBuf, cause: io::Error },
    #[error("cannot write {path}: there is no folder {folder}; make it first")]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("cannot write {path}: it exists and is not a regular file")]
    NotRegular { path: PathBuf },
    #[error("cannot {verb} {path}: the name must end in {known}")]
    Extension { path: PathBuf, verb: &'static str, known: &'static str },

    #[error("{path} is not an MRC file: {problem}")]
    NotMrc { path: PathBuf, problem: String },
    #[error(
        "{path} is {}: its header announces {sections} images of {columns}×{rows} pixels in mode {mode}, \
         {expected} bytes with the header, but the file has {found}",
        if found < expected { "truncated" } else { "longer than it says" }
    )]
    Length { path: PathBuf, columns: usize, rows: usize, sections: usize, mode: i32, expected: u64, found: u64 },
    #[error("{path}: images must be square, these have {columns}×{rows} pixels; crop or pad them")]
    NotSquare { path: PathBuf, columns: usize, rows: usize },
    #[error(
        "{path} is a volume (space group {space_group} in its header), not a stack of images: read it with \
         store::volume, or, if it is a stack whose header is wrong, set the space group (ISPG) to 0"
    )]
    VolumeAsStack { path: PathBuf, space_group: i32 },
    #[error("{path}: a volume must be cubic, this grid has {columns}×{rows}×{sections} voxels")]
    NotCubic { path: PathBuf, columns: usize, rows: usize, sections: usize },
    #[error("{path}: image {image} (counted from 0) has a pixel that is {value}, at x = {column}, y = {row}")]
    NotFinitePixel { path: PathBuf, image: usize, row: usize, column: usize, value: f32 },
    #[error("{path}: there is nothing in it: in each of its {count} images all pixels are equal")]
    AllEqual { path: PathBuf, count: usize },
    #[error("{path} holds no images")]
    NoImages { path: PathBuf },

    #[error("{path}: {cause}")]
    Memory { path: PathBuf, cause: NotEnough },
    #[error("the pixel size must be a positive number of Å, got {value}")]
    PixelSize { value: f64 },
    #[error("{path} does not give a pixel size; pass it in Å, as in #{{ pixel_size: 0.25 }}")]
    NoPixelSize { path: PathBuf },
    #[error(
        "{path}: the pixels of its header are {x:.4} Å wide and {y:.4} Å high; if they are square, pass their size, as \
         in #{{ pixel_size: 0.25 }}"
    )]
    OblongPixels { path: PathBuf, x: f64, y: f64 },

    #[error("{path}: {cause}")]
    Xyz { path: PathBuf, cause: XyzError },
    #[error("{path}, line {line}: {problem}")]
    Line { path: PathBuf, line: usize, problem: String },
    #[error("cannot write {path}: {problem}")]
    Unwritable { path: PathBuf, problem: String },
    #[error("{path} does not hold a particle: {problem}")]
    NotParticle { path: PathBuf, problem: String },
    #[error("{path} is not a STAR file with poses: {problem}")]
    NotStar { path: PathBuf, problem: String },
    #[error("{path} is not the MTF of a detector: {problem}")]
    NotMtf { path: PathBuf, problem: String },
    #[error("{problem}")]
    StarOption { problem: String },
    #[error("every must be at least 1: one frame in this many is kept")]
    Every,
    #[error("{path} is not a liquid: {problem}")]
    NotLiquid { path: PathBuf, problem: String },
    #[error("{particle} (read as a liquid: {liquid})")]
    Neither { particle: Box<Error>, liquid: Box<Error> },
    #[error("{path} is not a truth file: {problem}")]
    Truth { path: PathBuf, problem: String },

    #[error("cannot read {path}: {problem}")]
    Hdf5Read { path: PathBuf, problem: String },
    #[error("cannot write {path}: {problem}")]
    Hdf5Write { path: PathBuf, problem: String },
    #[error("\"{name}\" cannot name a value in a file: {why}")]
    Name { name: String, why: &'static str },
}
