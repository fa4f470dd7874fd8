//! The atoms refined against the raw images, jointly with poses, contrasts and transfer functions.
//!
//! A density is where atoms are first seen; it is blurred by wrong poses and by the limit of resolution, and atoms in it lean on their neighbours. The images
//! themselves know better. Here each image is explained by the atoms directly, F(k) = s·Σ T(k, z)·A·e^(−2πi k·r) with the height z of each atom along the
//! beam (`transfer`), and the squared residual over the noise is minimised: in turn the transfer functions (least squares), every pose (Gauss–Newton, two
//! or five sums over atoms that are matrix products: `waves`, `forward`) and all positions at once (Newton, `curvature`).
//!
//! At first every atom has a strength of its own and all share one transfer, and peaks that the density left in doubt are tried as atoms. The strengths tell
//! atoms from noise and the elements apart once more, better than the density did; then each element has its own transfer.

mod correct;
mod curvature;
mod forward;
mod hand;
mod predict;
mod quasi_newton;
mod rings;
mod rounds;
mod transfer;
mod views;
mod waves;

use serde::{Deserialize, Serialize};

pub use self::correct::corrected;
pub use self::hand::{Hand, hand};
pub use self::predict::{Fitted, Predicted, Predictor, Residuals};
use self::rounds::State;
use self::views::Views;
use self::waves::Atoms;
use super::{Error, Model, Peak, TraceOptions, TrendChoice, by_intensity, reclassify};
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
    /// Most rounds of transfers, poses and positions; default 30. It ends sooner where the atoms have settled.
    pub rounds: usize,
    /// Energy of the electrons \[kV\]; default 200.
    pub energy: f64,
    /// Whether poses are refined too; default true. Where they are known, as those of a tilt series, faint images do not lead them astray.
    pub refine_poses: bool,
    /// Largest shift allowed \[Å\], farther ones are pulled back to it; default 2.0.
    pub max_shift: f64,
    /// Parts of the species, lightest first, any scale; default: left to the intensities.
    pub composition: Option<Vec<f64>>,
    /// Decline or growth of intensity towards the surface that is fitted together with the species; default: the radial one, or another that is clearly better.
    pub trend: TrendChoice,
}

impl Default for RefineOptions {
    fn default() -> Self {
        Self {
            low_pass: None,
            rounds: 30,
            energy: 200.0,
            refine_poses: true,
            max_shift: 2.0,
            composition: None,
            trend: TrendChoice::Auto,
        }
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
    /// Whether it ended because nothing was left to gain, not because the rounds did.
    pub settled: bool,
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
    /// Standard deviation of each P; infinite where the images say nothing.
    pub even_deviation: Vec<f64>,
    /// And of each Q.
    pub odd_deviation: Vec<f64>,
}

/// Rounds in which each atom has a strength of its own and all one transfer, before the elements are told apart.
const FREE_ROUNDS: usize = 3;
/// A rejected peak may be an atom if it is brighter than this part of the noise cut.
const POSSIBLE: f64 = 0.6;
/// Most of such peaks that are tried, as a part of the number of atoms.
const MOST_POSSIBLE: f64 = 0.25;
/// Atoms have settled when a round promises to gain less log-likelihood than this: nothing that could be asked of them is then farther off than about its
/// uncertainty. Steps of single atoms would not tell, for what all share, such as B factors that rise towards the surface, arrives late.
const SETTLED: f64 = 1.0;
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
    let views = Views::new(particles, low_pass, task)?;
    let stage = task.stage("refine atoms", options.rounds);
    let elements: Vec<Element> = model.classes().iter().map(|class| class.element).collect();
    let trace = TraceOptions { min_separation: Some(model.min_separation()), ..options.classes(&elements) };
    trace.check()?;

    let (possible, hopeless) = possible_atoms(model);
    let peaks: Vec<Peak> = model.atoms().iter().map(|atom| atom.peak).chain(possible).collect();
    let mut state = State::new(&views, together(&peaks), poses, options, task);
    let (mut rounds, mut last_step) = (0, 0.0);
    while rounds < FREE_ROUNDS.min(options.rounds) {
        (rounds, last_step) = (rounds + 1, state.round()?.step);
        stage.advance(1)?;
    }
    let freed = state.peaks(&peaks, state.amplitudes());
    let strong = by_intensity([&freed[..], &scaled(&hopeless, scale(&freed, &peaks))].concat(), &trace)?;
    let (atoms, peaks) = apart(&strong, &elements);
    state.take(atoms);
    let mut settled = false;
    while rounds < options.rounds && !settled {
        let round = state.round()?;
        (rounds, last_step, settled) = (rounds + 1, round.step, round.gain < SETTLED);
        stage.advance(1)?;
    }
    let bound = state.settle()?;
    let (strengths, deviations) = state.strengths(&peaks)?;
    let mut refined = state.peaks(&peaks, &strengths);
    refined.iter_mut().zip(&deviations).for_each(|(peak, &deviation)| peak.intensity_deviation = Some(deviation));
    let scale = scale(&refined, &peaks);
    let model = reclassify(refined, scaled(strong.rejected(), scale), scale * strong.noise_cut(), &trace);
    let model = model.with_relative_b_factors();
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
        settled,
    })
}

/// Peaks as atoms of one group, each with its own strength.
fn together(peaks: &[Peak]) -> Atoms {
    let mean = peaks.iter().map(|peak| peak.intensity).sum::<f64>() / peaks.len().max(1) as f64;
    Atoms {
        positions: peaks.iter().map(|peak| peak.position.coords).collect(),
        b_factors: vec![0.0; peaks.len()],
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
    let b_factors = peaks.iter().map(|peak| peak.b_factor.map_or(0.0, |[b, _]| b)).collect();
    (Atoms { positions, amplitudes: vec![1.0; peaks.len()], b_factors, groups }, peaks)
}

/// Rejected peaks that the images may still show to be atoms, and the others: in a gap of the particle, and not much fainter than what was taken for an atom.
fn possible_atoms(model: &Model) -> (Vec<Peak>, Vec<Peak>) {
    let TraceOptions { largest_gap, .. } = TraceOptions::default();
    let fits = |peak: &Peak| {
        let nearest = model.atoms().iter().map(|atom| (atom.peak.position - peak.position).norm());
        let nearest = nearest.fold(f64::INFINITY, f64::min);
        peak.intensity > POSSIBLE * model.noise_cut() && (model.min_separation()..largest_gap).contains(&nearest)
    };
    let (mut possible, mut hopeless): (Vec<Peak>, Vec<Peak>) = model.rejected().iter().partition(|peak| fits(peak));
    let most = (MOST_POSSIBLE * model.len() as f64).ceil() as usize;
    hopeless.extend(possible.drain(most.min(possible.len())..));
    (possible, hopeless)
}

/// The unit of intensity of peaks `before` in that of the same peaks `after`.
fn scale(after: &[Peak], before: &[Peak]) -> f64 {
    let sum = |peaks: &[Peak]| peaks.iter().map(|peak| peak.intensity).sum::<f64>();
    sum(after) / sum(before)
}

fn scaled(peaks: &[Peak], scale: f64) -> Vec<Peak> {
    peaks.iter().map(|peak| Peak { intensity: peak.intensity * scale, ..*peak }).collect()
}

impl RefineOptions {
    /// How elements are told apart.
    fn classes(&self, elements: &[Element]) -> TraceOptions {
        TraceOptions {
            species: elements.to_vec(),
            composition: self.composition.clone(),
            trend: self.trend,
            ..TraceOptions::default()
        }
    }

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
