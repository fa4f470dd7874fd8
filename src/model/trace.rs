//! The way from a density to a [`Model`], and the options of it.

use std::sync::Arc;

use nalgebra::{Point3, Vector3};
use ndarray::Array3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::fit::{self, Gaussian, Sample};
use super::mixture::{self, Bells, Widths};
use super::peaks::{self, Maximum};
use super::profile::{Profile, Source, Spectrum};
use super::trend::{Exposure, TrendChoice};
use super::{Class, Error, Inner, Model, Peak, TracedAtom, center_of_mass, species};
use crate::fourier::Fft3;
use crate::structure::Element;
use crate::task::Task;
use crate::volume::Volume;

/// Options of [`trace`]; [`classify`] reads those about noise and species.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceOptions {
    /// The elements of the particle, one to three, in any order. Required.
    pub species: Vec<Element>,
    /// Peaks nearer than this to a brighter one are dropped \[Å\]; default 1.4.
    pub min_separation: f64,
    /// Atoms are sought within this distance of the centre \[Å\]; default: as far as the box allows.
    pub radius: Option<f64>,
    /// Parts of the species, in their order, any scale (`[1, 1]`); default: left to the intensities.
    pub composition: Option<Vec<f64>>,
    /// Peaks below this part of the bright ones (95th percentile) are noise (0 … 1); default: the largest gap between 0.06 and 0.38.
    pub noise_cut: Option<f64>,
    /// An atom farther than this from all others is not part of the particle \[Å\]; default 4.
    pub largest_gap: f64,
    /// Decline or growth of intensity towards the surface that is fitted together with the species; default: the radial one, or another that is clearly better.
    pub trend: TrendChoice,
    /// The density is interpolated until its voxels are at most this wide \[Å\]; default 0.25.
    pub voxel: f64,
    /// Radius of the neighbourhood that the Gaussian is fitted to \[Å\]; default 1.
    pub fit_radius: f64,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self {
            species: Vec::new(),
            min_separation: 1.4,
            radius: None,
            composition: None,
            noise_cut: None,
            largest_gap: 4.0,
            trend: TrendChoice::Auto,
            voxel: 0.25,
            fit_radius: 1.0,
        }
    }
}

/// Rounds of fitting all atoms with the others subtracted: positions settle to 0.1 pm.
const SWEEPS: usize = 5;
/// After the first sweep, peaks below this part of the bright ones are dropped: they are ringing and faint noise.
const NEGLIGIBLE: f64 = 0.02;
/// How far a fit may move from where its peak was \[Å\].
const REACH: f64 = 0.5;
/// Most voxels an edge of the interpolated grid, 1 GB.
const LARGEST_GRID: usize = 640;
/// Fewest voxels an edge in which anything can be traced.
const SMALLEST_VOLUME: usize = 8;

/// Fails unless `species` are one to three different elements.
pub fn check_species(species: &[Element]) -> Result<(), Error> {
    match species.len() {
        0 => return Err(Error::NoSpecies),
        1..=3 => {}
        many => return Err(Error::TooManySpecies(many)),
    }
    match (1..species.len()).find(|&i| species[..i].contains(&species[i])) {
        Some(i) => Err(Error::RepeatedSpecies(species[i])),
        None => Ok(()),
    }
}

/// Reads the atoms of a density: peaks, Gaussian fits with the neighbours subtracted, noise cut, species by intensity.
///
/// Takes 1–3 s for 300 atoms in a box of 40 Å on two cores.
pub fn trace(volume: &Volume, options: &TraceOptions, task: &Task) -> Result<Model, Error> {
    options.check()?;
    if volume.data().iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite);
    }
    let edge = volume.size() as f64 * volume.pixel_size();
    let reachable = 0.5 * edge - options.fit_radius - volume.pixel_size();
    if volume.size() < SMALLEST_VOLUME || reachable <= 0.0 {
        return Err(Error::TooSmall { edge });
    }
    let stage = task.stage("trace atoms", SWEEPS + 1);
    let spectrum = Spectrum::of(volume);
    let factor = (volume.pixel_size() / options.voxel).ceil() as usize;
    let factor = factor.clamp(1, (LARGEST_GRID / spectrum.size()).max(1));
    let size = spectrum.size() * factor;
    let grid = Grid { voxel: volume.pixel_size() / factor as f64, fft: Fft3::new(size), size };
    let radius = options.radius.unwrap_or(f64::INFINITY).min(reachable);
    let maxima = peaks::find(&spectrum.density(size, &grid.fft), grid.voxel, radius, options.min_separation);
    if maxima.is_empty() {
        return Err(Error::NoPeaks { radius });
    }
    stage.advance(1)?;

    let mut fitted: Vec<Candidate> = maxima.iter().map(Candidate::new).collect();
    for _ in 0..SWEEPS {
        fitted = sweep(&spectrum, &grid, fitted, options);
        stage.advance(1)?;
    }
    classify(fitted.iter().map(Candidate::peak).collect(), options)
}

/// Makes a model of the peaks of a density: noise cut, the largest cluster, species by intensity and width.
pub fn classify(peaks: Vec<Peak>, options: &TraceOptions) -> Result<Model, Error> {
    divided(peaks, true, options)
}

/// The same for peaks whose intensities something better than a density has refined, which says nothing of their widths.
pub(super) fn by_intensity(peaks: Vec<Peak>, options: &TraceOptions) -> Result<Model, Error> {
    divided(peaks, false, options)
}

fn divided(mut peaks: Vec<Peak>, by_width: bool, options: &TraceOptions) -> Result<Model, Error> {
    options.check()?;
    peaks.sort_by(|a, b| b.intensity.total_cmp(&a.intensity));
    let intensities: Vec<f64> = peaks.iter().map(|peak| peak.intensity).collect();
    let noise_cut = match options.noise_cut {
        Some(part) => part * species::bright(&intensities),
        None => species::noise_cut(&intensities),
    };
    let bright = intensities.iter().filter(|&&intensity| intensity > noise_cut).count();
    let noise_gap = match (intensities[..bright].last(), intensities.get(bright)) {
        (Some(weakest), Some(&strongest)) if strongest > 0.0 => weakest / strongest,
        _ => f64::INFINITY,
    };
    let points: Vec<Point3<f64>> = peaks[..bright].iter().map(|peak| peak.position).collect();
    let in_particle = species::largest_cluster(&points, options.largest_gap);
    let (mut kept, mut rejected) = (Vec::new(), Vec::new());
    for (i, peak) in peaks.into_iter().enumerate() {
        if in_particle.binary_search(&i).is_ok() { kept.push(peak) } else { rejected.push(peak) }
    }
    if kept.len() < options.species.len() {
        return Err(Error::TooFewAtoms { atoms: kept.len(), species: options.species.len() });
    }
    Ok(with_species(kept, rejected, [noise_cut, noise_gap], by_width, options))
}

/// Makes a model of refined peaks of which it is known already which are atoms: their species by intensity. `noise_cut` is where they were divided.
pub(super) fn reclassify(kept: Vec<Peak>, rejected: Vec<Peak>, noise_cut: f64, options: &TraceOptions) -> Model {
    let weakest = kept.iter().map(|peak| peak.intensity).fold(f64::INFINITY, f64::min);
    let noise = rejected.iter().map(|peak| peak.intensity).filter(|&intensity| intensity <= noise_cut);
    let strongest = noise.fold(0.0, f64::max);
    let noise_gap = if strongest > 0.0 { weakest / strongest } else { f64::INFINITY };
    with_species(kept, rejected, [noise_cut, noise_gap], false, options)
}

fn with_species(
    kept: Vec<Peak>,
    rejected: Vec<Peak>,
    [noise_cut, noise_gap]: [f64; 2],
    by_width: bool,
    options: &TraceOptions,
) -> Model {
    let (elements, shares) = options.by_atomic_number();
    let points: Vec<Point3<f64>> = kept.iter().map(|peak| peak.position).collect();
    let centroid = points.iter().map(|point| point.coords).sum::<Vector3<f64>>() / kept.len() as f64;
    let column = |value: fn(&Peak) -> f64| kept.iter().map(value).collect::<Vec<f64>>();
    let places: Vec<Vector3<f64>> = points.iter().map(|point| point.coords - centroid).collect();
    let (intensities, exposures) = (column(|peak| peak.intensity), options.trend.exposures(&points));
    let partition = species::partition_on_slope(&intensities, &places, &exposures, elements.len(), shares.as_deref());
    let noise = column(|peak| peak.intensity_deviation.unwrap_or(0.0).powi(2)).iter().sum::<f64>() / kept.len() as f64;
    let bells = Bells { weights: shares.as_deref(), least_deviation: noise.sqrt() };
    let widths = by_width.then(|| {
        let exposed = exposures.iter().find(|exposure| exposure.variable == partition.trend.variable);
        let exposed = exposed.map_or_else(|| vec![0.0; kept.len()], Exposure::parts);
        Widths::new(&column(|peak| peak.width), &partition.corrected, &exposed)
    });
    let probabilities = bells.probabilities(&partition.corrected, &partition.classes, widths.as_ref());
    // how many there are of each is known exactly, if it is known
    let likely = if shares.is_none() { mixture::most_probable(&probabilities) } else { None };
    let members = likely.unwrap_or_else(|| partition.classes.clone());
    let element = |i: usize| elements[members[i]];
    let placed: Vec<_> = kept.iter().enumerate().map(|(i, peak)| (element(i), peak.position)).collect();
    let center = center_of_mass(&placed);
    let classes = elements.iter().enumerate().map(|(class, &element)| {
        let of_class = |i: &usize| members[*i] == class;
        let values: Vec<f64> = (0..kept.len()).filter(of_class).map(|i| partition.corrected[i]).collect();
        statistics(element, &values)
    });
    let atoms = kept.iter().enumerate().map(|(i, &peak)| TracedAtom {
        element: element(i),
        probability: probabilities[i][members[i]],
        peak,
        radius: (peak.position - center).norm(),
    });
    Model(Arc::new(Inner {
        atoms: atoms.collect(),
        center,
        classes: classes.collect(),
        rejected,
        noise_cut,
        noise_gap,
        trend: partition.trend,
        slope: partition.slope,
    }))
}

fn statistics(element: Element, values: &[f64]) -> Class {
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count.max(1) as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count.max(1) as f64;
    Class { element, count, mean, deviation: variance.sqrt() }
}

impl TraceOptions {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_species(&self.species)?;
        let above_zero = "above 0";
        for (name, value) in [
            ("min_separation", self.min_separation),
            ("radius", self.radius.unwrap_or(1.0)),
            ("largest_gap", self.largest_gap),
            ("voxel", self.voxel),
        ] {
            if value.is_nan() || value <= 0.0 {
                return Err(Error::OutOfRange { name, value, requirement: above_zero });
            }
        }
        if !(0.5..=2.0).contains(&self.fit_radius) {
            let requirement = "from 0.5 to 2 Å";
            return Err(Error::OutOfRange { name: "fit_radius", value: self.fit_radius, requirement });
        }
        if let Some(value) = self.noise_cut.filter(|cut| !(0.0..1.0).contains(cut)) {
            return Err(Error::OutOfRange { name: "noise_cut", value, requirement: "from 0 to below 1" });
        }
        match &self.composition {
            Some(parts) if parts.len() != self.species.len() => {
                Err(Error::Composition { got: parts.len(), species: self.species.len() })
            }
            Some(parts) => match parts.iter().find(|&&part| !(part > 0.0 && part.is_finite())) {
                Some(&value) => Err(Error::OutOfRange { name: "composition", value, requirement: above_zero }),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// The species from light to heavy, with their shares in the same order.
    fn by_atomic_number(&self) -> (Vec<Element>, Option<Vec<f64>>) {
        let mut order: Vec<usize> = (0..self.species.len()).collect();
        order.sort_by_key(|&i| self.species[i].atomic_number());
        let shares = self.composition.as_ref().map(|parts| order.iter().map(|&i| parts[i]).collect());
        (order.iter().map(|&i| self.species[i]).collect(), shares)
    }
}

/// The grid that peaks are sought and fitted on.
struct Grid {
    size: usize,
    /// Edge of a voxel \[Å\].
    voxel: f64,
    fft: Fft3,
}

/// A peak on its way to being fitted.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    start: Vector3<f64>,
    gaussian: Gaussian,
    /// Height of the shared shape that fits best.
    intensity: f64,
    residual: f64,
}

/// Width of an atom before anything is fitted \[Å\].
const TYPICAL_WIDTH: f64 = 0.5;

impl Candidate {
    fn new(maximum: &Maximum) -> Self {
        let gaussian =
            Gaussian { center: maximum.position, height: maximum.height, width: TYPICAL_WIDTH, background: 0.0 };
        Self { start: maximum.position, gaussian, intensity: maximum.height, residual: 0.0 }
    }

    fn peak(&self) -> Peak {
        Peak {
            position: self.gaussian.center.into(),
            intensity: self.intensity,
            width: self.gaussian.width,
            residual: self.residual,
            deviation: None,
            intensity_deviation: None,
            b_factor: None,
        }
    }
}

/// Fits every candidate once, with all other atoms subtracted; drops those with nothing left to fit.
///
/// Only candidates above the noise cut are atoms that shape the profile and are subtracted: noise would make the profile its own.
fn sweep(spectrum: &Spectrum, grid: &Grid, candidates: Vec<Candidate>, options: &TraceOptions) -> Vec<Candidate> {
    let cut = species::noise_cut(&candidates.iter().map(|c| c.intensity).collect::<Vec<_>>());
    let is_atom = |candidate: &&Candidate| candidate.intensity > cut;
    let source = |c: &Candidate| Source { position: c.gaussian.center, amplitude: c.intensity };
    let sources: Vec<Source> = candidates.iter().filter(is_atom).map(source).collect();
    let factor = spectrum.structure_factor(&sources);
    let transfer = spectrum.transfer(&factor);
    let (profile, height) = spectrum.profile(&transfer);
    let left_over = spectrum.residual(&factor, &transfer, grid.size, &grid.fft);
    let surroundings = Surroundings { left_over, profile, grid, reach: options.fit_radius };
    let fitted: Vec<Candidate> = candidates
        .par_iter()
        .filter_map(|candidate| {
            let subtracted = if is_atom(&candidate) { height * candidate.intensity } else { 0.0 };
            surroundings.refit(candidate, subtracted)
        })
        .collect();
    let faint = NEGLIGIBLE * species::bright(&fitted.iter().map(|c| c.intensity).collect::<Vec<_>>());
    apart(fitted.into_iter().filter(|candidate| candidate.intensity > faint).collect(), options.min_separation)
}

/// What the candidates of one sweep are fitted to.
struct Surroundings<'a> {
    /// The density without the atoms.
    left_over: Array3<f32>,
    profile: Profile,
    grid: &'a Grid,
    /// Radius of the neighbourhood \[Å\].
    reach: f64,
}

impl Surroundings<'_> {
    /// The candidate, fitted to what is left of the density with an atom of height `subtracted` put back.
    fn refit(&self, candidate: &Candidate, subtracted: f64) -> Option<Candidate> {
        let samples = self.samples(&candidate.gaussian.center, subtracted);
        let gaussian = fit::gaussian(&samples, candidate.gaussian, REACH)?;
        let (mut product, mut square) = (0.0, 0.0);
        for sample in &samples {
            let shape = self.profile.at((sample.position - gaussian.center).norm());
            product += sample.weight * shape * sample.value;
            square += sample.weight * shape * shape;
        }
        let intensity = product / square;
        let residual = fit::misfit(&samples, &gaussian) / intensity;
        let moved = (gaussian.center - candidate.start).norm();
        (moved <= 2.0 * REACH && intensity > 0.0).then_some(Candidate { gaussian, intensity, residual, ..*candidate })
    }

    /// Voxels around `center`, with weights that fall smoothly to zero: which are just inside must not move the fit.
    fn samples(&self, center: &Vector3<f64>, subtracted: f64) -> Vec<Sample> {
        let Grid { size, voxel, .. } = *self.grid;
        let middle = (size / 2) as f64;
        let bounds = |x: f64| {
            let (low, high) = ((x - self.reach) / voxel + middle, (x + self.reach) / voxel + middle);
            low.ceil().max(0.0) as usize..(high.floor() as usize + 1).min(size)
        };
        let mut samples = Vec::new();
        for z in bounds(center.z) {
            for y in bounds(center.y) {
                for x in bounds(center.x) {
                    let position = (Vector3::new(x as f64, y as f64, z as f64) - Vector3::repeat(middle)) * voxel;
                    let distance = (position - center).norm();
                    let weight = (1.0 - (distance / self.reach).powi(2)).max(0.0).powi(2);
                    if weight > 0.0 {
                        let value = f64::from(self.left_over[[z, y, x]]) + subtracted * self.profile.at(distance);
                        samples.push(Sample { position, value, weight });
                    }
                }
            }
        }
        samples
    }
}

/// Drops candidates that the fit has brought too near to a brighter one; the brightest comes first.
fn apart(mut candidates: Vec<Candidate>, separation: f64) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.intensity.total_cmp(&a.intensity));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.iter().all(|other| (other.gaussian.center - candidate.gaussian.center).norm() >= separation) {
            kept.push(candidate);
        }
    }
    kept
}
