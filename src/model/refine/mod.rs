//! The atoms refined against the raw images, jointly with poses, contrasts and transfer functions.
//!
//! A density is where atoms are first seen; it is blurred by wrong poses and by the limit of resolution, and atoms in it lean on their neighbours. The images
//! themselves know better. Here each image is explained by the atoms directly, F(k) = s·Σ T(k, z)·A·e^(−2πi k·r) with the height z of each atom along the
//! beam (`transfer`), and the squared residual over the noise is minimised: in turn the transfer functions (least squares), every pose (Gauss–Newton, two
//! or five sums over atoms that are matrix products: `waves`, `forward`) and all positions at once (Newton, `curvature`).
//!
//! At first every atom has a strength of its own and all share one transfer. The strengths tell the elements apart once more, better than the density did;
//! then each element has its own transfer.

mod correct;
mod curvature;
mod forward;
mod predict;
mod rounds;
mod transfer;
mod views;
mod waves;

use serde::{Deserialize, Serialize};

pub use self::correct::corrected;
pub use self::predict::{Fitted, Predicted, Predictor, Residuals};
use self::rounds::State;
use self::views::Views;
use self::waves::Atoms;
use super::{Error, Model, Peak, TraceOptions, classify};
use crate::images::Particles;
use crate::orient::unexplained;
use crate::pose::Poses;
use crate::structure::Element;
use crate::task::Task;

/// Options of [`refine`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefineOptions {
    /// Resolution to which images and atoms are compared \[Å\]; default 1.0, or what the particles carry.
    pub low_pass: Option<f64>,
    /// Most rounds of transfers, poses and positions; default 12.
    pub rounds: usize,
    /// Energy of the electrons \[kV\]; default 200.
    pub energy: f64,
    /// Largest shift allowed \[Å\], farther ones are pulled back to it; default 2.0.
    pub max_shift: f64,
}

impl Default for RefineOptions {
    fn default() -> Self {
        Self { low_pass: None, rounds: 12, energy: 200.0, max_shift: 2.0 }
    }
}

/// Refined atoms, and all that was found with them.
#[derive(Debug, Clone)]
pub struct Refinement {
    /// The atoms, with uncertainties.
    pub model: Model,
    /// Poses; scores are log-likelihood gains over an empty image.
    pub poses: Poses,
    /// Mean |residual|² of each image in units of the expected noise: 1 where nothing is left but noise.
    pub chi2: Vec<f64>,
    /// Weight of each image by its residual: 1 for most, falling to 0 for outliers.
    pub weights: Vec<f64>,
    /// Share of the particle's signal, noise subtracted, that the atoms leave unexplained.
    pub unexplained: f64,
    /// Resolution to which images and atoms were compared \[Å\].
    pub low_pass: f64,
    /// Energy of the electrons \[kV\].
    pub energy: f64,
    /// What the microscope lets through of each element, lightest first.
    pub transfers: Vec<TransferCurve>,
    /// Root mean square error of the positions that the noise alone allows (Cramér–Rao) \[Å\].
    pub bound: f64,
    /// Rounds that it took.
    pub rounds: usize,
    /// Root mean square of the last change of the positions \[Å\].
    pub last_step: f64,
}

/// Transfer from atoms of one element to images: P·cos(πλk²z) + Q·sin(πλk²z) at height z.
#[derive(Debug, Clone)]
pub struct TransferCurve {
    pub element: Element,
    /// Spatial frequency of each ring [1/Å].
    pub frequencies: Vec<f64>,
    /// P [noise s.d. · Å²].
    pub even: Vec<f64>,
    /// Q [noise s.d. · Å²].
    pub odd: Vec<f64>,
}

/// Rounds in which each atom has a strength of its own and all one transfer, before the elements are told apart.
const FREE_ROUNDS: usize = 3;
/// Positions have settled when a round changes them by less than this part of their uncertainty.
const SETTLED: f64 = 0.2;
/// Resolution beyond which atoms show little \[Å\].
const FINEST: f64 = 1.0;

/// Refines atoms and poses against the images.
///
/// `model` and `poses` come from the same reconstruction.
///
/// # Errors
/// If numbers of images and poses differ, the limit is finer than what the particles carry, an option is out of its range, or the model has no atoms.
pub fn refine(
    model: &Model,
    particles: &Particles,
    poses: &Poses,
    options: &RefineOptions,
    task: &Task,
) -> Result<Refinement, Error> {
    options.check()?;
    let low_pass = options.low_pass.unwrap_or(f64::max(FINEST, 2.0 * particles.pixel_size()));
    particles.check_limit(low_pass)?;
    if particles.len() != poses.len() {
        return Err(Error::PoseCount { images: particles.len(), poses: poses.len() });
    }
    if model.is_empty() {
        return Err(Error::NoAtoms);
    }
    let views = Views::new(particles, low_pass);
    let stage = task.stage("refine atoms", options.rounds);
    let elements: Vec<Element> = model.classes().iter().map(|class| class.element).collect();
    let trace = TraceOptions { species: elements.clone(), ..TraceOptions::default() };

    let peaks: Vec<Peak> = model.atoms().iter().map(|atom| atom.peak).collect();
    let mut state = State::new(&views, together(&peaks), poses, options, task);
    let (mut rounds, mut last_step) = (0, 0.0);
    while rounds < FREE_ROUNDS.min(options.rounds) {
        (rounds, last_step) = (rounds + 1, state.round()?.step);
        stage.advance(1)?;
    }
    let strong = classify(with_rejected(state.peaks(&peaks), &peaks, model), &trace)?;
    let (atoms, peaks) = apart(&strong, &elements);
    state.take(atoms);
    while rounds < options.rounds {
        let round = state.round()?;
        (rounds, last_step) = (rounds + 1, round.step);
        stage.advance(1)?;
        if round.step < SETTLED * round.bound {
            break;
        }
    }
    let bound = state.settle()?;
    let model = classify(with_rejected(state.peaks(&peaks), &peaks, &strong), &trace)?;
    let transfers = state.curves(&elements);
    let State { poses: refined, chi2, weights, .. } = state;
    let powers = views.powers();
    let scores = powers.iter().zip(&chi2).map(|(power, chi2)| (power - chi2) * views.places.len() as f64).collect();
    Ok(Refinement {
        model,
        poses: Poses::new(refined, scores),
        unexplained: unexplained(&powers, &chi2),
        chi2,
        weights,
        low_pass,
        energy: options.energy,
        transfers,
        bound,
        rounds,
        last_step,
    })
}

/// Peaks as atoms of one group, each with its own strength.
fn together(peaks: &[Peak]) -> Atoms {
    let mean = peaks.iter().map(|peak| peak.intensity).sum::<f64>() / peaks.len().max(1) as f64;
    Atoms {
        positions: peaks.iter().map(|peak| peak.position.coords).collect(),
        amplitudes: peaks.iter().map(|peak| peak.intensity / mean).collect(),
        groups: std::iter::once(0..peaks.len()).collect(),
    }
}

/// The atoms of a model with each of `elements` in a group of its own, all equally strong, and their peaks in the same order.
fn apart(model: &Model, elements: &[Element]) -> (Atoms, Vec<Peak>) {
    let mut peaks: Vec<Peak> = Vec::new();
    let mut groups = Vec::new();
    for element in elements {
        let start = peaks.len();
        peaks.extend(model.atoms().iter().filter(|atom| atom.element == *element).map(|atom| atom.peak));
        groups.push(start..peaks.len());
    }
    let positions = peaks.iter().map(|peak| peak.position.coords).collect();
    (Atoms { positions, amplitudes: vec![1.0; peaks.len()], groups }, peaks)
}

/// `refined` peaks, and those that a model had rejected, whose intensities are brought to the same scale: `before` are the refined ones as they were.
fn with_rejected(refined: Vec<Peak>, before: &[Peak], model: &Model) -> Vec<Peak> {
    let sum = |peaks: &[Peak]| peaks.iter().map(|peak| peak.intensity).sum::<f64>();
    let scale = sum(&refined) / sum(before);
    let rejected = model.rejected().iter().map(|peak| Peak { intensity: peak.intensity * scale, ..*peak });
    refined.iter().copied().chain(rejected).collect()
}

impl RefineOptions {
    fn check(&self) -> Result<(), Error> {
        let refuse = |name, value, requirement| Err(Error::OutOfRange { name, value, requirement });
        if !(1.0..=2000.0).contains(&self.energy) {
            return refuse("energy", self.energy, "from 1 to 2000 kV");
        }
        if !(self.max_shift >= 0.0 && self.max_shift.is_finite()) {
            return refuse("max_shift", self.max_shift, "of at least 0");
        }
        if !(1..=100).contains(&self.rounds) {
            return refuse("rounds", self.rounds as f64, "from 1 to 100");
        }
        Ok(())
    }
}
