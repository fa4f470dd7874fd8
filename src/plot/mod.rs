//! Pictures of what goes in and what comes out, as PNG or SVG files that can be read at first glance.
//!
//! | figure | shows |
//! | --- | --- |
//! | [`images`] | some images of a stack, with their numbers and a scale bar |
//! | [`slices`] | a density in three slices and a projection |
//! | [`local_resolution`] | resolution around each voxel in three slices, in colour |
//! | [`fsc`], [`corrected_fsc`] | Fourier shell correlation, with the resolution where it falls through 0.5 and 0.143 |
//! | [`radial_intensity`] | intensity of each traced atom against its distance from the centre of mass, by element |
//! | [`against_truth`] | traced atoms on the true ones, along x, y and z |
//! | [`spheres`] | atoms as shaded spheres along zone axes, above the true ones |
//! | [`atoms_in_density`] | slices through a density with the atoms in them |
//! | [`residuals`] | images, what refined atoms predict, the difference; by spatial frequency too |
//! | [`pulls`] | errors of positions in units of their uncertainties |
//! | [`coverage`] | how many images look from where |
//! | [`power_spectrum`] | mean power spectrum of images, its radial mean and a profile |
//! | [`reprojections`] | images beside the projections of a density at their poses |
//! | [`neighbours`] | coordination numbers, bond lengths, bond angles |
//! | [`displacements`], [`strain`] | slices of the particle along the axes of its lattice, atoms coloured by displacement or strain |
//! | [`core_shell`] | composition, bond length and displacement against depth |
//! | [`pair_distribution`], [`short_range_order`] | g(r) and Warren–Cowley parameters by pairs of elements |
//! | [`lines`] | any curves, with bars of their errors, on linear or logarithmic axes |
//! | [`panels`] | figures beside and below each other |
//!
//! A [`Report`] puts figures, tables and atoms that can be turned on one web page.
//!
//! A [`Figure`] is finished: a bitmap, and the shapes and words in it for SVG. Text is set in a subset of DejaVu Sans that is part of the binary, so that figures
//! look alike on every machine; colours are those of Okabe and Ito, and viridis where they stand for numbers: colour-blind readers can tell them apart.

mod analysis;
mod atoms;
mod balls;
mod canvas;
mod coverage;
mod curves;
mod field;
mod gray;
mod local;
mod panels;
mod power;
mod pulls;
mod report;
mod reprojections;
mod residuals;
mod scale;
mod sections;
mod spheres;
mod style;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store;
use crate::task::Task;

pub use analysis::{Titled, core_shell, neighbours, pair_distribution, short_range_order};
pub use atoms::{against_truth, radial_intensity};
pub use coverage::{CoverageOptions, coverage};
pub use curves::{Curve, LinesOptions, corrected_fsc, fsc, lines};
pub use field::{DisplacementsPlot, StrainPlot, displacements, strain};
pub use gray::{ImagesOptions, SlicesOptions, images, slices};
pub use local::{LocalResolutionPlot, local_resolution};
pub use panels::{PanelsOptions, panels};
pub use power::{PowerOptions, power_spectrum};
pub use pulls::pulls;
pub use report::{AtomsView, Report, Section, Sheet, Verdict, escape, heading};
pub use reprojections::{ReprojectionsOptions, reprojections};
pub use residuals::{ResidualsOptions, residuals};
pub use sections::{SectionAxis, SectionsOptions, atoms_in_density};
pub use spheres::{SpheresOptions, spheres};

/// Why a figure cannot be drawn or saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is nothing to draw: {0}")]
    Empty(&'static str),
    #[error("{0} holds NaN or infinite values and cannot be drawn")]
    NotFinite(String),
    #[error("curve \"{label}\" has {x} x values and {y} y values; they must be as many")]
    Lengths { label: String, x: usize, y: usize },
    #[error("curve \"{label}\" has {x} x values and {errors} errors; they must be as many, or none")]
    Errors { label: String, x: usize, errors: usize },
    #[error("a logarithmic {axis} axis cannot show {value}; leave it out, or leave out {axis}_log")]
    NotPositive { axis: &'static str, value: f64 },
    #[error("{name} is {value}; it must be {requirement}")]
    OutOfRange { name: &'static str, value: f64, requirement: &'static str },
    #[error("{name} is \"{value}\"; it must be {requirement}")]
    Choice { name: &'static str, value: String, requirement: &'static str },
    #[error("the comparison is of other structures: it names atom {index}, the structure has {len}")]
    OtherStructures { index: usize, len: usize },
    #[error("{} does not end in .png or .svg, as figures do", .0.display())]
    NotAFigure(PathBuf),
    #[error("{} does not end in .html; reports are web pages", .0.display())]
    NotHtml(PathBuf),
    #[error("\"{name}\" has {values} values for {atoms} atoms; it must have one an atom")]
    PerAtom { name: String, values: usize, atoms: usize },
    #[error(transparent)]
    Orient(#[from] crate::orient::Error),
    #[error(transparent)]
    Model(#[from] crate::model::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the figure could not be drawn: {0}")]
    Drawing(String),
}

/// A finished picture. Immutable and cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Figure {
    title: Arc<str>,
    width: u32,
    height: u32,
    /// Red, green, blue, row by row from the top.
    pixels: Arc<Vec<u8>>,
    shapes: Arc<canvas::Shapes>,
}

impl Figure {
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Width and height \[pixels\].
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Red, green, blue of each pixel, row by row from the top.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The picture as a PNG file, of grey values where it has no colours.
    pub fn to_png(&self) -> Result<Vec<u8>, Error> {
        png_of(&self.pixels, self.size())
    }

    /// The picture as an SVG file: words as words, lines and areas as such, images as PNG inside.
    pub fn to_svg(&self) -> Result<String, Error> {
        self.shapes.to_svg(&self.title, self.size())
    }

    /// Writes the picture to a file ending in `.png` or `.svg`, which appears under its name only when complete.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let ending = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let bytes = match ending.as_deref() {
            Some("png") => self.to_png()?,
            Some("svg") => self.to_svg()?.into_bytes(),
            _ => return Err(Error::NotAFigure(path.to_owned())),
        };
        Ok(store::write_bytes(path, &Task::silent(), |file| file.write_all(&bytes))?)
    }
}

/// Red, green, blue of each pixel as a PNG file, of grey values where there are no colours.
fn png_of(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, Error> {
    let drawing = |error: png::EncodingError| Error::Drawing(error.to_string());
    let is_gray = pixels.chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(if is_gray { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
    let mut writer = encoder.write_header().map_err(drawing)?;
    if is_gray {
        let levels: Vec<u8> = pixels.iter().step_by(3).copied().collect();
        writer.write_image_data(&levels).map_err(drawing)?;
    } else {
        writer.write_image_data(pixels).map_err(drawing)?;
    }
    writer.finish().map_err(drawing)?;
    Ok(bytes)
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Figure of {}×{} pixels, \"{}\"", self.width, self.height, self.title)
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
