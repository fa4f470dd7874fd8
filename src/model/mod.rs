//! From density to atoms, and from atoms to a verdict.
//!
//! A reconstruction ends with a density in which each atom is a bright spot about 1 Å wide. This module turns the spots
//! into atoms: where each one is (to about a picometre where the density allows it), how bright it is, and which element it must
//! be. Then it can lay the result over a known structure and say what was found, missed and invented.
//!
//! [`trace`] goes through four steps, each in its own file:
//!
//! 1. `peaks`: local maxima of the density on a finer grid (zero padding in Fourier space), farther apart than about half the distance that
//!    bright ones have from each other, the brighter one kept.
//! 2. `profile` and `fit`: all atoms of a map share one shape: the Fourier transform of the contrast transfer and of the limit of
//!    resolution, with negative rings that reach the neighbours. The shape is measured from the map itself (one regression a Fourier
//!    shell, as PSF photometry does with stars: Stetson 1987, PASP 99, 191), everybody else is subtracted, and a 3D Gaussian
//!    plus a constant is fitted to what is left of each atom (Levenberg–Marquardt): its centre is the position, the height of the shared
//!    shape there the intensity. Repeated until neighbours agree (`candidates`). A spot that one atom explains clearly worse than two becomes two, two near each other that one
//!    explains as well become one (`doublet`).
//! 3. `species`, noise: peaks are cut off at the largest gap in log intensity between 6 and 38 % of the bright
//!    peaks, and what hangs together without gaps wider than 4 Å is the particle.
//! 4. `species`, elements: one to three classes of intensity (Otsu 1979, IEEE Trans. SMC 9, 62, with more classes and jointly with a
//!    decline or growth of intensity towards the surface, `trend`); the heavier the element, the brighter. `mixture`: how sure that is, by the widths too where these clearly
//!    tell more. `groups`: how many classes the intensities show by themselves.
//!
//! [`with_halves`] adds what two maps of half the images say of each atom.
//!
//! [`refine`] then fits the atoms to the raw images, with the poses and the transfer functions of the elements; [`corrected`] takes off what several
//! scatterings of one electron do to the positions. [`Predictor`] shows the images as the refined atoms explain them.
//!
//! [`compare`] finds the rigid motion, of either hand, that lays one structure best on another; [`pulls`] are the errors in units of what the
//! refinement says they are. [`analysis`] says what the atoms are like: bonds, lattice, strain, surface, order.
//!
//! Positions are in Å from voxel N/2 of the density, intensities in its units.

pub mod analysis;
mod candidates;
mod compare;
mod doublet;
mod fit;
mod groups;
mod halves;
mod mixture;
mod parts;
mod peaks;
mod profile;
mod pulls;
mod refine;
mod species;
mod trace;
mod trend;

use std::fmt;
use std::sync::Arc;

use nalgebra::{Point3, Vector3};

use crate::structure::{Atom, Element, Structure};
use crate::task::Cancelled;

pub use compare::{CompareOptions, Comparison, Pair, compare};
pub use groups::Groups;
pub use halves::with_halves;
pub use parts::Parts;
pub use pulls::pulls;
pub use refine::{
    Fitted, Hand, Predicted, Predictor, RefineOptions, Refinement, Residuals, TransferCurve, corrected, hand, refine,
};
pub use trace::{TraceOptions, check_species, classify, trace};
use trace::{by_intensity, reclassify};
pub use trend::{Exposure, Trend, TrendChoice, Variable};

/// What can be wrong with a request to trace or compare atoms.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("no species given; name one to three elements, as in species: [\"Fe\", \"Pt\"]")]
    NoSpecies,
    #[error("{0} species given; intensity tells at most three elements apart, name one to three")]
    TooManySpecies(usize),
    #[error("species {0} is given twice; name each element once")]
    RepeatedSpecies(Element),
    #[error("{name} is {value}; it must be a number {requirement}")]
    OutOfRange { name: &'static str, value: f64, requirement: &'static str },
    #[error(
        "composition has {got} numbers for {species} species; give one positive number a species, in the same order"
    )]
    Composition { got: usize, species: usize },
    #[error("the density holds NaN or infinite values; nothing can be traced in it")]
    NotFinite,
    #[error(
        "a half map is {half} voxels of {half_voxel} Å wide and the density {size} of {voxel} Å; give the halves of the same reconstruction"
    )]
    OtherHalf { half: usize, half_voxel: f64, size: usize, voxel: f64 },
    #[error("the volume is {edge:.1} Å wide, too small to hold an atom and its surroundings; check its pixel size")]
    TooSmall { edge: f64 },
    #[error("no peak of the density lies within {radius:.1} Å of the centre; check the volume and the radius")]
    NoPeaks { radius: f64 },
    #[error(
        "{atoms} atoms were found, fewer than the {species} species given; check the volume, the radius and noise_cut"
    )]
    TooFewAtoms { atoms: usize, species: usize },
    #[error("there are {images} images and {poses} poses; give one pose an image, in the same order")]
    PoseCount { images: usize, poses: usize },
    #[error("the model has no atoms to refine")]
    NoAtoms,
    #[error("there are {images} images, numbered from 0, and none has number {number}")]
    ImageNumber { number: usize, images: usize },
    #[error(
        "there are atoms of {0}, but no transfer for them; give all that model::refine gave, with atoms of the same elements"
    )]
    NoTransfer(Element),
    #[error(
        "a transfer has {rings} rings, but these particles have {expected} at the refinement's limit; give the particles that were refined"
    )]
    OtherTransfers { rings: usize, expected: usize },
    #[error(
        "the transfers are of spatial frequencies up to {highest:.4}/Å, but these particles have {expected:.4}/Å at the refinement's limit; give the particles that were refined"
    )]
    OtherFrequencies { highest: f64, expected: f64 },
    #[error("the transfers are zero or not numbers, and no atom would show; give what model::refine gave")]
    EmptyTransfers,
    #[error("{without} of {atoms} atoms have no sigma_A, how uncertain they are; refine them first (model::refine)")]
    NoUncertainties { atoms: usize, without: usize },
    #[error("{0} atoms are paired with true ones, too few to lay one particle on another; pulls need three")]
    TooFewPairs(usize),
    #[error(transparent)]
    Images(#[from] crate::images::Error),
    #[error(transparent)]
    Memory(#[from] crate::memory::NotEnough),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A spot of the density, as the Gaussian fitted to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Position from the centre of the density \[Å\].
    pub position: Point3<f64>,
    /// Height of the atom shape that fits best here, neighbours subtracted [units of the density]. Spikes of noise, narrower than
    /// an atom, have little of it.
    pub intensity: f64,
    /// Standard deviation of the fitted Gaussian \[Å\].
    pub width: f64,
    /// Root mean square misfit of the Gaussian over the intensity; below 0.02 for a clean atom.
    pub residual: f64,
    /// Standard deviation of the position along an axis \[Å\], as the noise of the images allows it; known after [`refine`].
    pub deviation: Option<f64>,
    /// Standard deviation of the intensity, likewise [units of the density].
    pub intensity_deviation: Option<f64>,
    /// B factor above the mean of the atoms of its element, and its standard deviation \[Å²\]; known after [`refine`].
    pub b_factor: Option<[f64; 2]>,
    /// How well two half maps agree about it, if there were any.
    pub halves: Option<HalfMaps>,
}

/// What two maps of independent halves of the images say of one peak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfMaps {
    /// Distance between its places in both \[Å\]; 0.5 where one shows no peak within that.
    pub shift: f64,
    /// Difference of its intensities over their mean; 2 where one shows nothing.
    pub difference: f64,
}

/// One atom read from a density.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TracedAtom {
    pub element: Element,
    /// Probability of the element, by the intensities of all atoms (0 … 1).
    pub probability: f64,
    pub peak: Peak,
    /// Distance from the centre of mass \[Å\].
    pub radius: f64,
}

/// The atoms that were given one element, as a group of intensities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    pub element: Element,
    pub count: usize,
    /// Mean intensity without the slope, brought to the inside of the particle by the trend.
    pub mean: f64,
    /// Standard deviation of the same.
    pub deviation: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    atoms: Vec<TracedAtom>,
    rejected: Vec<Peak>,
    center: Point3<f64>,
    classes: Vec<Class>,
    noise_cut: f64,
    noise_gap: f64,
    min_separation: f64,
    trend: Trend,
    slope: Vector3<f64>,
}

/// The atomic model of a particle, with what it was decided by. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Model(Arc<Inner>);

/// Class distances below this many standard deviations are no evidence of two elements: cutting one bell curve in two gives 1.3,
/// wrong reconstructions have given 1.4, right ones from 3 to 100.
const CLEAR_SEPARATION: f64 = 2.0;
/// A noise cut is clear if the weakest atom is this much brighter than the strongest rejected peak.
const CLEAR_NOISE_GAP: f64 = 1.25;

impl Model {
    /// The atoms, brightest peak first.
    pub fn atoms(&self) -> &[TracedAtom] {
        &self.0.atoms
    }

    /// Number of atoms.
    pub fn len(&self) -> usize {
        self.0.atoms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.atoms.is_empty()
    }

    /// Peaks that were taken for noise, or that lie apart from the particle.
    pub fn rejected(&self) -> &[Peak] {
        &self.0.rejected
    }

    /// Centre of mass, atomic number standing in for mass \[Å\].
    pub fn center(&self) -> Point3<f64> {
        self.0.center
    }

    /// The groups of intensity, lightest element first.
    pub fn classes(&self) -> &[Class] {
        &self.0.classes
    }

    /// Intensity below which a peak is noise [units of the density].
    pub fn noise_cut(&self) -> f64 {
        self.0.noise_cut
    }

    /// Intensity of the weakest atom over that of the strongest peak taken for noise; infinite if there is none.
    pub fn noise_gap(&self) -> f64 {
        self.0.noise_gap
    }

    /// How far apart its peaks are at least \[Å\].
    pub fn min_separation(&self) -> f64 {
        self.0.min_separation
    }

    /// How the intensity changes towards the surface, as fitted to all atoms; of amount 0 unless it is clear.
    pub fn trend(&self) -> Trend {
        self.0.trend
    }

    /// What the trend follows, at every atom.
    pub fn exposure(&self) -> Exposure {
        let points: Vec<Point3<f64>> = self.0.atoms.iter().map(|atom| atom.peak.position).collect();
        let variable = self.0.trend.variable;
        let none = || Exposure { variable, values: vec![0.0; points.len()], largest: 0.0 };
        Exposure::of(&points, variable).unwrap_or_else(none)
    }

    /// Part of the intensity that is gained from side to side, along a vector, as fitted to all atoms [1/Å]; zero unless it is clear.
    pub fn slope(&self) -> Vector3<f64> {
        self.0.slope
    }

    /// Intensity of each atom without the slope, which is taken about the atoms' centroid.
    pub fn levelled_intensities(&self) -> Vec<f64> {
        let atoms = &self.0.atoms;
        let centroid =
            atoms.iter().map(|atom| atom.peak.position.coords).sum::<Vector3<f64>>() / atoms.len().max(1) as f64;
        let levelled = |atom: &TracedAtom| {
            atom.peak.intensity / species::rise(&self.0.slope, &(atom.peak.position.coords - centroid))
        };
        atoms.iter().map(levelled).collect()
    }

    /// Distance of neighbouring classes over the sum of their standard deviations, for the two that are worst told apart; infinite
    /// for one species.
    pub fn separation(&self) -> f64 {
        let apart = |pair: &[Class]| (pair[1].mean - pair[0].mean) / (pair[0].deviation + pair[1].deviation).max(1e-12);
        self.0.classes.windows(2).map(apart).fold(f64::INFINITY, f64::min)
    }

    /// What speaks against the result, one sentence each; empty if nothing does.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let separation = self.separation();
        if separation < CLEAR_SEPARATION {
            let fewer = self.fewer_groups().map_or_else(String::new, |fewer| format!("; {fewer}"));
            doubts.push(format!(
                "the species are hardly told apart by intensity (classes {separation:.1} standard deviations apart, clear above {CLEAR_SEPARATION}{fewer})"
            ));
        }
        if self.noise_gap() < CLEAR_NOISE_GAP {
            doubts.push(format!(
                "atoms and noise run into each other (the weakest atom is {:.2} times as bright as the strongest noise, clear above {CLEAR_NOISE_GAP})",
                self.noise_gap()
            ));
        }
        doubts
    }

    /// B factors counted from the mean of each element.
    fn with_relative_b_factors(mut self) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        for class in &inner.classes {
            let members = inner.atoms.iter_mut().filter(|atom| atom.element == class.element);
            let mut factors: Vec<&mut f64> =
                members.filter_map(|atom| atom.peak.b_factor.as_mut()).map(|[factor, _]| factor).collect();
            let mean = factors.iter().map(|factor| **factor).sum::<f64>() / factors.len().max(1) as f64;
            factors.iter_mut().for_each(|factor| **factor -= mean);
        }
        self
    }

    /// The mirror image: z reversed.
    pub fn mirrored(&self) -> Self {
        let mut inner = (*self.0).clone();
        let turn = |position: &mut Point3<f64>| position.z = -position.z;
        inner.atoms.iter_mut().for_each(|atom| turn(&mut atom.peak.position));
        inner.rejected.iter_mut().for_each(|peak| turn(&mut peak.position));
        turn(&mut inner.center);
        inner.slope.z = -inner.slope.z;
        Self(Arc::new(inner))
    }

    /// The atoms as a structure, in the frame of the density.
    pub fn structure(&self) -> Structure {
        let atom = |traced: &TracedAtom| Atom { element: traced.element, position: traced.peak.position };
        Structure::new("traced", self.0.atoms.iter().map(atom).collect())
    }

    /// What is known of each atom beyond element and position, by the name a file gives it.
    pub fn columns(&self) -> Vec<(&'static str, Vec<f64>)> {
        let column = |value: fn(&TracedAtom) -> f64| self.0.atoms.iter().map(value).collect();
        let mut columns = vec![
            ("probability", column(|atom| atom.probability)),
            ("intensity", column(|atom| atom.peak.intensity)),
            ("width_A", column(|atom| atom.peak.width)),
            ("radius_A", column(|atom| atom.radius)),
            ("fit_residual", column(|atom| atom.peak.residual)),
        ];
        if self.0.atoms.iter().all(|atom| atom.peak.deviation.is_some()) {
            columns.push(("sigma_A", column(|atom| atom.peak.deviation.unwrap_or(f64::NAN))));
        }
        if self.0.atoms.iter().all(|atom| atom.peak.intensity_deviation.is_some()) {
            columns.push(("sigma_intensity", column(|atom| atom.peak.intensity_deviation.unwrap_or(f64::NAN))));
        }
        if self.0.atoms.iter().all(|atom| atom.peak.b_factor.is_some()) {
            columns.push(("relative_B_A2", column(|atom| atom.peak.b_factor.map_or(f64::NAN, |factor| factor[0]))));
            columns.push(("sigma_B_A2", column(|atom| atom.peak.b_factor.map_or(f64::NAN, |factor| factor[1]))));
        }
        if self.0.atoms.iter().all(|atom| atom.peak.halves.is_some()) {
            columns.push(("half_shift_A", column(|atom| atom.peak.halves.map_or(f64::NAN, |half| half.shift))));
            columns.push(("half_difference", column(|atom| atom.peak.halves.map_or(f64::NAN, |half| half.difference))));
        }
        columns
    }

    /// The rejected peaks' positions \[Å\] and intensities, by the names of [`Model::columns`].
    pub fn rejected_columns(&self) -> Vec<(&'static str, Vec<f64>)> {
        let column = |value: &dyn Fn(&Peak) -> f64| self.0.rejected.iter().map(value).collect();
        vec![
            ("x", column(&|peak| peak.position.x)),
            ("y", column(&|peak| peak.position.y)),
            ("z", column(&|peak| peak.position.z)),
            ("intensity", column(&|peak| peak.intensity)),
            ("radius_A", column(&|peak| (peak.position - self.0.center).norm())),
        ]
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Model of {} atoms (", self.len())?;
        for (i, class) in self.0.classes.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(
                f,
                "{comma}{} {}: intensity {:.3} ± {:.3}",
                class.count, class.element, class.mean, class.deviation
            )?;
        }
        write!(f, "), {} peaks rejected below {:.3}", self.0.rejected.len(), self.0.noise_cut)
    }
}

/// Centre of mass, atomic number standing in for mass.
fn center_of_mass(atoms: &[(Element, Point3<f64>)]) -> Point3<f64> {
    let mass = |element: Element| f64::from(element.atomic_number());
    let total: f64 = atoms.iter().map(|(element, _)| mass(*element)).sum();
    let sum: Vector3<f64> = atoms.iter().map(|(element, position)| position.coords * mass(*element)).sum();
    Point3::from(sum / total.max(1.0))
}
