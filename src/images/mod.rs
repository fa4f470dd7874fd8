//! Image stacks: many pictures of one particle, all square and of one size.
//!
//! [`Images`] is what a file holds or a simulation makes; noise is added to them, or a [`Detector`] records them. [`Particles`] are images made
//! ready for reconstruction: cropped to the particle, on the pixels that the wanted resolution needs, with their noise measured. [`Samples`] are the
//! Fourier coefficients of particles, in the order that orientation refinement and gridding read them.

mod detector;
mod extent;
mod film;
mod particles;
mod power;
mod prepare;
mod samples;
mod spectrum;

use std::sync::Arc;

use ndarray::{Array3, ArrayView2, Axis};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::pose::Poses;
use crate::task::{Cancelled, Task};

pub use detector::{Detector, Readout};
pub use film::{
    AlignOptions, Aligned, Choice, ChooseOptions, DeformOptions, LagCorrelation, LagOptions, LatticeRemoved, Motion,
    Order, RemoveLatticeOptions, RepairOptions, Repaired, Shape, Sheet, Trade, WindowOptions,
};
pub use particles::{MASK_EDGE, Measures, NoiseSpectrum, Particles, PrepareOptions, soft_disc};
pub use power::RadialPower;
pub use prepare::{Noise, NoiseReport, Region};
pub use samples::Samples;
pub use spectrum::{LineOptions, PowerProfile, PowerSpectrum};

/// What can be wrong with images or with the options that work on them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error(
        "the diameter must be a positive number of Å, at least {smallest} (15, not 1.5, for 1.5 nm){}",
        if diameter.is_nan() { ", and must be given".to_owned() } else { format!(", got {diameter}") }
    )]
    Diameter { diameter: f64, smallest: f64 },
    #[error(
        "image {0} (counted from 0) is flat outside the particle, so that its noise cannot be measured; give images that were not masked"
    )]
    FlatBorder(usize),
    #[error("a limit of {low_pass} Å leaves nothing of particles in images of this size; give at most {coarsest:.1} Å")]
    TooCoarse { low_pass: f64, coarsest: f64 },
    #[error(
        "a particle of {diameter} Å needs images at least {needed:.1} Å wide, these are {edge:.1} Å; give a smaller diameter, or images with a wider field"
    )]
    BoxTooSmall { diameter: f64, edge: f64, needed: f64 },
    #[error("a low-pass limit of {low_pass} Å is finer than two pixels; these images reach {finest} Å at best")]
    LowPass { low_pass: f64, finest: f64 },
    #[error(
        "a limit of {low_pass} Å is finer than these particles were prepared for ({finest:.2} Å); prepare them with a smaller low_pass"
    )]
    BeyondPrepared { low_pass: f64, finest: f64 },
    #[error("the share of the signal that counts as noise must be zero or more, got {0}")]
    ModelError(f64),
    #[error("the cropped square must be 1.3 to 10 diameters wide, got {0}")]
    Crop(f64),
    #[error("the share by which the diameter may be wrong must be 0 to 0.5, got {0}")]
    Tolerance(f64),
    #[error("there are no images")]
    Empty,
    #[error("all pixels of image {0} (counted from 0) are equal: there is nothing to normalise or to set noise by")]
    Constant(usize),
    #[error("the signal-to-noise ratio must be a positive number, got {0}")]
    Snr(f64),
    #[error("give the signal-to-noise ratio: snr (the paper's is 0.5)")]
    NoSnr,
    #[error("the disc of the particle, {diameter} Å, must be wider than 0 and at most as wide as the image, {width} Å")]
    Disc { diameter: f64, width: f64 },
    #[error("the dose must be a positive number of electrons an Å², got {0}")]
    Dose(f64),
    #[error(
        "an MTF is a list of [frequency, contrast], frequencies in cycles a pixel rising from 0 (0.5 is Nyquist), contrasts from 0 to 2; or the \
         name of a RELION STAR file"
    )]
    Mtf,
    #[error("a pixel is {0}: electrons are counted in intensities, before images are inverted or normalised")]
    NotIntensities(f32),
    #[error(
        "images of {first} and {second} pixels, or {first_count} and {second_count} of them, cannot be subtracted: give as many, or one"
    )]
    Subtract { first: usize, second: usize, first_count: usize, second_count: usize },
    #[error("a window of {width} frames cannot be cut from a film of {frames}; give a width from 1 to {frames}")]
    Window { width: usize, frames: usize },
    #[error("there is no frame {frame}: there are {frames}, counted from 0")]
    NoFrame { frame: usize, frames: usize },
    #[error("all frames of the window that begins at frame {0} are left out; give a larger width, or leave out fewer")]
    EmptyWindow(usize),
    #[error(
        "{frames} frames are too few for two half sets of overlapping windows of {width} that share none: at least {needed}; give a smaller \
         width, a stride of {width}, or order: \"time\" if nothing is to be divided"
    )]
    FilmTooShort { frames: usize, needed: usize, width: usize },
    #[error("{name} must be {range}, got {value}")]
    Option { name: &'static str, range: &'static str, value: f64 },
    #[error("{0} frames are too few to follow them: at least {1}")]
    TooFewFrames(usize, usize),
    #[error("the frames do not show how fast the particle moves: {0}")]
    NoMotion(&'static str),
    #[error(transparent)]
    Memory(#[from] crate::memory::NotEnough),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A stack of square images `[n][y][x]`, the particle's centre near pixel N/2. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    data: Arc<Array3<f32>>,
    pixel_size: f64,
    true_poses: Option<Poses>,
    redundancy: f64,
}

impl Images {
    /// A stack from its pixels and the edge of a pixel \[Å\].
    ///
    /// # Panics
    /// If the images are not square or `pixel_size` is not positive.
    pub fn new(data: Array3<f32>, pixel_size: f64) -> Self {
        let (_, ny, nx) = data.dim();
        assert!(ny == nx, "images are square, got {ny}×{nx}");
        assert!(pixel_size > 0.0, "pixel size must be positive, got {pixel_size}");
        Self { data: Arc::new(data), pixel_size, true_poses: None, redundancy: 1.0 }
    }

    /// The same images with the poses they were simulated at; for evaluation, never read by a reconstruction.
    pub fn with_true_poses(mut self, poses: Poses) -> Self {
        assert_eq!(poses.len(), self.len(), "one pose an image");
        self.true_poses = Some(poses);
        self
    }

    /// Other pixels in place of these, same pixel size and true poses.
    pub fn with_data(&self, data: Array3<f32>) -> Self {
        assert_eq!(data.dim(), self.data.dim(), "the same shape");
        Self { data: Arc::new(data), ..self.clone() }
    }

    /// Other pixels in place of these, and what else `make(i, image, pixels)` gives of each image; `pixels`, in rows and zero at first, become the new one.
    ///
    /// The images are shared out to all threads; `stage` is how the user calls the work.
    fn remade<R: Send>(
        &self,
        stage: &str,
        task: &Task,
        make: impl Fn(usize, ArrayView2<f32>, &mut [f32]) -> Result<R, Error> + Sync,
    ) -> Result<(Self, Vec<R>), Error> {
        let stage = task.stage(stage, self.len());
        let mut data = Array3::zeros(self.data.dim());
        let made = data.axis_iter_mut(Axis(0)).into_par_iter().zip(self.data.axis_iter(Axis(0))).enumerate();
        let told = made.map(|(i, (mut pixels, image))| {
            let told = make(i, image, pixels.as_slice_mut().expect("rows one after the other"))?;
            stage.advance(1)?;
            Ok(told)
        });
        let told = told.collect::<Result<_, Error>>()?;
        Ok((self.with_data(data), told))
    }

    /// These images less others: each less the one of its number, or all less the only one.
    ///
    /// # Errors
    /// If they are not of one size, or there are neither as many nor one; or when interrupted.
    pub fn minus(&self, other: &Self, task: &Task) -> Result<Self, Error> {
        if other.size() != self.size() || ![1, self.len()].contains(&other.len()) {
            return Err(Error::Subtract {
                first: self.size(),
                second: other.size(),
                first_count: self.len(),
                second_count: other.len(),
            });
        }
        let (difference, _) = self.remade("subtract", task, |i, image, pixels| {
            let other = other.data.index_axis(Axis(0), i % other.len());
            pixels.iter_mut().zip(image).zip(other).for_each(|((pixel, one), other)| *pixel = one - other);
            Ok(())
        })?;
        Ok(difference)
    }

    /// The same images, said to be worth only 1/`redundancy` as many independent ones: they share frames.
    ///
    /// # Panics
    /// If `redundancy` is not 1 or more.
    pub fn with_redundancy(self, redundancy: f64) -> Self {
        assert!(redundancy.is_finite() && redundancy >= 1.0 - 1e-9, "at least 1, got {redundancy}");
        Self { redundancy: redundancy.max(1.0), ..self }
    }

    /// How many times as many images there are as independent ones: 1 unless they are means of windows that share frames.
    pub fn redundancy(&self) -> f64 {
        self.redundancy
    }

    /// The images of these numbers, with their true poses.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn select(&self, numbers: &[usize]) -> Self {
        let true_poses = self.true_poses.as_ref().map(|poses| poses.select(numbers));
        Self { data: Arc::new(self.data.select(Axis(0), numbers)), true_poses, ..*self }
    }

    /// Pixels `[n][y][x]`.
    pub fn data(&self) -> &Array3<f32> {
        &self.data
    }

    /// Edge of a pixel \[Å\].
    pub fn pixel_size(&self) -> f64 {
        self.pixel_size
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.data.dim().0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels along one edge of an image.
    pub fn size(&self) -> usize {
        self.data.dim().1
    }

    /// Smallest and largest value of all pixels.
    pub fn range(&self) -> (f32, f32) {
        range(&self.data)
    }

    /// The poses the images were simulated at, if they were simulated here.
    pub fn true_poses(&self) -> Option<&Poses> {
        self.true_poses.as_ref()
    }
}

/// Smallest and largest of many numbers, in parallel; those that are none do not count.
pub(crate) fn range(data: &Array3<f32>) -> (f32, f32) {
    let of_section = |section: ArrayView2<f32>| {
        section.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)))
    };
    data.axis_iter(Axis(0))
        .into_par_iter()
        .map(of_section)
        .reduce(|| (f32::INFINITY, f32::NEG_INFINITY), |one, other| (one.0.min(other.0), one.1.max(other.1)))
}
