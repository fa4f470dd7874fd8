//! Orientations: from which direction each image shows the particle, and where in the image it lies.
//!
//! The kernels, in the order a reconstruction uses them. [`ab_initio`] finds poses and a first density from nothing, by
//! expectation–maximisation whose weights are soft at first and harden slowly. [`search`] compares every image with every
//! direction and every in-plane angle of a known density, [`candidates`] keeps several poses an image. [`refine`] moves poses continuously, by Levenberg–Marquardt, to the best
//! agreement with a density. [`break_symmetry`] tells the operations of a lattice apart, where poses are known up to them. [`match_power`]
//! gives a density the strength that the images show at each frequency. [`tilt_series`] writes down the poses of a stage whose angles are known.
//!
//! Three judge what came out: [`agreement`] says whether two independent solutions are one, [`correlations`] how like each image the density looks
//! from its pose, [`coverage`] from which directions nobody has looked.
//!
//! The first two share one engine. Images and reference slices are expanded in Fourier–Bessel functions,
//! F(k, φ) = Σₘ F\[k, m\] e^(imφ); for every m one real matrix product over the rings k gives that angular frequency
//! of all (image × direction) correlations, for the direction and its mirror image together, and an inverse FFT over m gives all in-plane
//! angles at once (Rangan et al., Inverse Problems 36 (2020) 124003; Barnett et al., SIAM J. Imaging Sci. 10 (2017) 1590).

mod ab_initio;
mod agreement;
mod bessel;
mod best;
mod candidates;
mod correlate;
mod coverage;
mod directions;
mod draw;
mod evaluate;
mod even;
mod expansion;
mod partition;
mod pixels;
mod power;
mod radial;
mod recentre;
mod refine;
mod reproject;
mod rings;
mod search;
mod sites;
mod soft;
mod start;
#[cfg(test)]
mod testing;
mod tilt;

use std::f64::consts::PI;

use nalgebra::{UnitQuaternion, Vector3};

use crate::task::Cancelled;

pub use ab_initio::{AbInitio, AbInitioOptions, Method, RandomStart, ab_initio};
pub use agreement::{Agreement, AgreementOptions, agreement};
pub use best::{Match, best_matches};
pub use candidates::{CandidateOptions, candidates};
pub use correlate::Correlator;
pub use coverage::{Coverage, coverage, default_patches};
pub use directions::{Layout, direction_grid, directions, random_poses};
pub use draw::{DrawOptions, draw};
pub use evaluate::{PoseErrors, SymmetryOperation, evaluate, symmetry_of};
pub use expansion::{COLUMNS, Expansion, TILE};
pub use partition::Partition;
pub use pixels::PixelBasis;
pub use power::match_power;
pub use recentre::recentred;
pub(crate) use refine::{Matrix5, Normal, Vector5, contrasts, damped_step, moved, robust_weights, unexplained};
pub use refine::{RefineOptions, Refinement, refine};
pub use reproject::{ReprojectOptions, Reprojected, Reprojector, Stack, correlations};
pub use rings::Rings;
pub use search::{SearchOptions, Symmetry, search};
pub use sites::{
    BreakOptions, BrokenSymmetry, PseudoSymmetry, PseudoSymmetryOptions, break_symmetry, equivalents, pseudo_symmetry,
};
pub use tilt::{TiltSeriesOptions, tilt_series};

/// What can be wrong with a search for orientations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{name} must be {range}, got {value}")]
    Option { name: &'static str, range: &'static str, value: f64 },
    #[error("orientations are found from at least {needed} images, not from {images}")]
    TooFewImages { images: usize, needed: usize },
    #[error("a tilt series needs at least one angle")]
    NoAngles,
    #[error("{angles} tilt angles but {shifts} shifts; give one an angle")]
    ShiftCount { angles: usize, shifts: usize },
    #[error(transparent)]
    Images(#[from] crate::images::Error),
    #[error(transparent)]
    Volume(#[from] crate::volume::Error),
    #[error(transparent)]
    Memory(#[from] crate::memory::NotEnough),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Half a turn about the beam: what it does to an image is what inversion of the particle does.
fn mirrored_in_plane() -> UnitQuaternion<f64> {
    UnitQuaternion::from_axis_angle(&Vector3::z_axis(), PI)
}
