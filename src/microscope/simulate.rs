//! Image stacks of one particle in many poses.

use std::f64::consts::PI;
use std::ops::Range;

use nalgebra::Vector2;
use ndarray::Array3;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::dynamical::{self, Dynamics};
use super::lens::Cone;
use super::{Error, Microscope, ScatteringFactors, kinematic, within};
use crate::cell::Cell;
use crate::images::Images;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::random;
use crate::structure::Structure;
use crate::task::{Stage, Task};

/// How the passage of the beam through the particle is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Weak phase: every electron scatters at most once, and contrast is linear in the potential. Fast.
    Kinematic,
    /// Every electron scatters as often as it does: the wave passes the cell slice by slice.
    Multislice,
}

/// What images are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Simulation {
    /// How; must be named.
    pub method: Option<Method>,
    /// Number of images; needed unless `poses` are given.
    pub n: Option<usize>,
    /// Seed of the random poses. Default: 0.
    pub seed: u64,
    /// Shifts are drawn uniformly from ± this along x and y \[Å\]. Default: 0.
    pub max_shift: f64,
    /// Pixels along the edge of an image. Default: 160.
    pub size: usize,
    /// Edge of a pixel \[Å\]. Default: 0.25.
    pub pixel_size: f64,
    /// Kinematic images: isotropic B factor of all atoms \[Å²\]: amplitudes fall by exp(−Bk²/4). Default: 0.
    pub b_factor: f64,
    /// Table of scattering factors. Default: Kirkland's.
    pub scattering_factors: ScatteringFactors,
    /// Multislice images: how they are computed.
    #[serde(flatten)]
    pub dynamics: Dynamics,
    /// Multislice images: what is around the particle, as wide as the image. Default: nothing.
    #[serde(skip)]
    pub cell: Option<Cell>,
    /// Poses to use instead of random ones.
    #[serde(skip)]
    pub poses: Option<Poses>,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            method: None,
            n: None,
            seed: 0,
            max_shift: 0.0,
            size: 160,
            pixel_size: 0.25,
            b_factor: 0.0,
            scattering_factors: ScatteringFactors::default(),
            dynamics: Dynamics::default(),
            cell: None,
            poses: None,
        }
    }
}

impl Simulation {
    /// The given poses, or `n` random ones.
    fn poses(&self, n: usize) -> Poses {
        self.poses.clone().unwrap_or_else(|| random_poses(n, self.max_shift, self.seed))
    }
}

/// `n` poses: rotations uniform over SO(3), shifts uniform in a square of ±`max_shift` \[Å\].
pub fn random_poses(n: usize, max_shift: f64, seed: u64) -> Poses {
    let pose = |i: usize| {
        let mut rng = random::stream(seed, "pose", i as u64);
        let rotation = random::rotation(&mut rng);
        let mut coordinate = || max_shift * (2.0 * rng.random::<f64>() - 1.0);
        Pose { rotation, shift: Vector2::new(coordinate(), coordinate()) }
    };
    Poses::unscored((0..n).map(pose).collect())
}

/// A simulation made ready: any range of its images, the same bits however they are divided.
pub struct Simulator {
    poses: Poses,
    method: Plan,
}

enum Plan {
    Kinematic(Box<kinematic::Plan>),
    Multislice(Box<dynamical::Plan>),
}

impl Simulator {
    /// For images of `structure` under `microscope`.
    ///
    /// # Errors
    /// If the method or the number of images is not given, a setting is out of range or of the other method, or the particle does not fit the frame
    /// or the cell.
    pub fn new(structure: &Structure, microscope: &Microscope, options: &Simulation) -> Result<Self, Error> {
        let (method, n) = check(structure, microscope, options)?;
        memory::require(64.0 * n as f64, &format!("the poses of {n} images"))?;
        let method = match method {
            Method::Kinematic => Plan::Kinematic(Box::new(kinematic::Plan::new(structure, microscope, options))),
            Method::Multislice => Plan::Multislice(Box::new(dynamical::Plan::new(structure, microscope, options)?)),
        };
        Ok(Self { poses: options.poses(n), method })
    }

    /// The pose of every image.
    pub fn poses(&self) -> &Poses {
        &self.poses
    }

    /// Intensities `[n][y][x]` of the images in `range`, each counted by `stage`.
    ///
    /// # Errors
    /// If the particle does not fit between the sheets of its cell; or when interrupted.
    ///
    /// # Panics
    /// If there are not as many images.
    pub fn render(&self, range: Range<usize>, stage: &Stage) -> Result<Array3<f32>, Error> {
        let poses = &self.poses.as_slice()[range.clone()];
        match &self.method {
            Plan::Kinematic(plan) => Ok(plan.render(poses, stage)?),
            Plan::Multislice(plan) => plan.render(poses, range.start, stage),
        }
    }
}

/// Images of `structure` under `microscope`: intensities, 1 where there is no contrast, without noise, with their true poses.
///
/// The frame is periodic: what delocalises beyond one edge comes back at the other.
///
/// # Errors
/// As for [`Simulator`], and if the images do not fit into memory.
pub fn simulate(
    structure: &Structure,
    microscope: &Microscope,
    options: &Simulation,
    task: &Task,
) -> Result<Images, Error> {
    let simulator = Simulator::new(structure, microscope, options)?;
    let n = simulator.poses.len();
    let bytes = 4.0 * n as f64 * (options.size as f64).powi(2);
    memory::require(bytes, &format!("{n} images of {0}×{0} pixels", options.size))?;
    let pixels = simulator.render(0..n, &task.stage("simulate images", n))?;
    Ok(Images::new(pixels, options.pixel_size).with_true_poses(simulator.poses))
}

/// Waves at the exit face of the cell, of one frozen configuration in each pose: real and imaginary parts as images.
///
/// # Errors
/// As for [`simulate`] with the multislice method.
pub fn exit_waves(
    structure: &Structure,
    microscope: &Microscope,
    options: &Simulation,
    task: &Task,
) -> Result<[Images; 2], Error> {
    if options.method == Some(Method::Kinematic) {
        return Err(Error::NoExitWave);
    }
    let options = Simulation { method: Some(Method::Multislice), ..options.clone() };
    let (_, n) = check(structure, microscope, &options)?;
    let bytes = 8.0 * n as f64 * (options.size as f64).powi(2);
    memory::require(bytes, &format!("{n} waves of {0}×{0} pixels", options.size))?;
    let poses = options.poses(n);
    let plan = dynamical::Plan::new(structure, microscope, &options)?;
    let parts = plan.exit_waves_of(poses.as_slice(), &task.stage("simulate exit waves", n))?;
    Ok(parts.map(|part| Images::new(part, options.pixel_size).with_true_poses(poses.clone())))
}

/// The method and the number of images, once everything that can be known to be wrong has been refused.
fn check(structure: &Structure, microscope: &Microscope, options: &Simulation) -> Result<(Method, usize), Error> {
    let method = options.method.ok_or(Error::NoMethod)?;
    microscope.check()?;
    within("pixel_size", options.pixel_size, "Å", (1e-3, 100.0), "from 0.001 to 100 Å")?;
    within("size", options.size as f64, "pixels", (4.0, 16384.0), "from 4 to 16384 pixels")?;
    within("max_shift", options.max_shift, "Å", (0.0, 1e4), "from 0 to 10000 Å")?;
    within("b_factor", options.b_factor, "Å²", (0.0, 1e3), "from 0 to 1000 Å²")?;
    options.dynamics.check()?;
    match method {
        Method::Kinematic if options.dynamics != Dynamics::default() || options.cell.is_some() => {
            return Err(Error::NotKinematic);
        }
        Method::Kinematic if microscope.beam_tilt != [0.0; 2] => return Err(Error::TiltedKinematic),
        Method::Multislice if options.b_factor != 0.0 => return Err(Error::NotMultislice),
        _ => {}
    }
    if structure.is_empty() {
        return Err(Error::NoAtoms(structure.name().to_owned()));
    }
    let n = match (&options.poses, options.n) {
        (Some(poses), Some(n)) if n != poses.len() => return Err(Error::CountMismatch { n, poses: poses.len() }),
        (Some(poses), _) => poses.len(),
        (None, n) => n.unwrap_or(0),
    };
    if n == 0 {
        return Err(Error::NoImages);
    }
    let reach = check_frame(structure, options)?;
    if let Some(cell) = &options.cell {
        check_cell(cell, microscope, options)?;
    }
    if method == Method::Multislice {
        if 2.0 * reach > microscope.cell_height {
            return Err(Error::CellTooThin { height: microscope.cell_height, reach });
        }
        check_work(microscope, options)?;
    }
    Ok((method, n))
}

/// What one image takes must be within reason.
fn check_work(microscope: &Microscope, options: &Simulation) -> Result<(), Error> {
    const MOST_SLICES: f64 = 1e5;
    const MOST_BEAMS: f64 = 1e3;
    /// Of potential, transmission function, wave, spectrum and their tables.
    const BYTES_PER_PIXEL: f64 = 80.0;
    let slices = microscope.cell_height / options.dynamics.slice_thickness;
    within("cell_height over slice_thickness", slices, "slices", (0.0, MOST_SLICES), "at most 100000 slices")?;
    if options.dynamics.coherence.cone == Cone::Tilts {
        let radius = microscope.illumination * 1e-3 / microscope.wavelength();
        let band = 1.0 / (3.0 * options.pixel_size);
        let beams = PI * (radius * options.size as f64 * options.pixel_size).powi(2);
        let most = if radius < 0.9 * band { MOST_BEAMS } else { 0.0 };
        within(
            "the cone of illumination",
            beams,
            "beams",
            (0.0, most),
            "few beams within the band limit: cone: \"envelope\" takes any",
        )?;
    }
    let bytes = BYTES_PER_PIXEL * (options.size as f64).powi(2) * rayon::current_num_threads() as f64;
    Ok(memory::require(bytes, &format!("waves of {0}×{0} pixels on every thread", options.size))?)
}

/// The cell must be as wide as the image, and as high as the microscope is told.
fn check_cell(cell: &Cell, microscope: &Microscope, options: &Simulation) -> Result<(), Error> {
    cell.check()?;
    let [x, y, height] = cell.size;
    let edge = options.size as f64 * options.pixel_size;
    if [x, y].iter().any(|width| (width - edge).abs() > 1e-6 * edge) {
        return Err(Error::Width { x, y });
    }
    if (height - microscope.cell_height).abs() > 1e-6 * height {
        return Err(Error::Height { cell: height, microscope: microscope.cell_height });
    }
    Ok(())
}

/// The particle, turned about its origin and shifted, must stay within the frame. Gives how far it reaches from its origin.
fn check_frame(structure: &Structure, options: &Simulation) -> Result<f64, Error> {
    let reach = structure.atoms().iter().map(|atom| atom.position.coords.norm()).fold(0.0, f64::max);
    let largest = |poses: &Poses| poses.as_slice().iter().map(|pose| pose.shift.amax()).fold(0.0, f64::max);
    let shift = options.poses.as_ref().map_or(options.max_shift, largest);
    let frame = options.size as f64 * options.pixel_size;
    let needed = 2.0 * (reach + shift);
    if needed <= frame {
        return Ok(reach);
    }
    Err(Error::FrameTooSmall { frame, reach, shift, least: (needed / options.pixel_size).ceil() as usize })
}
