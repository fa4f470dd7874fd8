//! The way from a density to a [`Model`], and the options of it.

use std::sync::Arc;

use nalgebra::{Point3, Vector3};
use serde::{Deserialize, Serialize};

use super::candidates::{self, Candidate, Grid};
use super::mixture::{self, Bells, Widths};
use super::peaks::{self, Maximum};
use super::profile::Spectrum;
use super::trend::{Exposure, TrendChoice};
use super::{Class, Error, Inner, Model, Peak, TracedAtom, center_of_mass, species};
use crate::statistics::median;
use crate::structure::Element;
use crate::task::Task;
use crate::volume::Volume;

/// Options of [`trace`]; [`classify`] reads those about noise and species.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceOptions {
    /// The elements of the particle, one to three, in any order. Required.
    pub species: Vec<Element>,
    /// Peaks nearer than this to a brighter one are dropped, or merged with it \[Å\]; default: 0.55 of the distance between neighbours among the bright peaks.
    pub min_separation: Option<f64>,
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
            min_separation: None,
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
/// The sweep before which peaks are tried as two atoms: what is left to do places them.
const SPLIT_BEFORE: usize = 3;
/// The default of the minimum separation: a part of the median distance of bright peaks from the nearest other one, within limits \[Å\]; and what it is where nothing is
/// known of distances.
const PART_OF_DISTANCE: f64 = 0.55;
const SEPARATIONS: (f64, f64) = (1.0, 2.0);
const USUAL_SEPARATION: f64 = 1.4;
/// Parts of the bright peaks' height from which on peaks are bright, and from which on they are neighbours.
const BRIGHT: f64 = 0.5;
const NEIGHBOURS: f64 = 0.25;
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
    let grid = Grid::new(volume.pixel_size(), spectrum.size(), options.voxel);
    let radius = options.radius.unwrap_or(f64::INFINITY).min(reachable);
    let density = spectrum.density(grid.size, &grid.fft);
    let all = peaks::find(&density, grid.voxel, radius, 0.5 * SEPARATIONS.0);
    let separation = options.min_separation.unwrap_or_else(|| usual_separation(&all));
    // two that are no noise may be one atom: where it lies they tell together
    let cut = species::noise_cut(&all.iter().map(|maximum| maximum.height).collect::<Vec<_>>());
    let maxima = peaks::apart(&all, |maximum| if maximum.height > cut { 0.5 * separation } else { separation });
    let maxima = peaks::joined(&maxima, &density, grid.voxel, separation);
    if maxima.is_empty() {
        return Err(Error::NoPeaks { radius });
    }
    stage.advance(1)?;

    let mut fitted: Vec<Candidate> = maxima.iter().map(Candidate::new).collect();
    for number in 0..SWEEPS {
        if number == SPLIT_BEFORE {
            fitted = candidates::split(&spectrum, &grid, fitted, separation, options.fit_radius);
        }
        fitted = candidates::sweep(&spectrum, &grid, fitted, separation, options.fit_radius, task)?;
        stage.advance(1)?;
    }
    let options = TraceOptions { min_separation: Some(separation), ..options.clone() };
    classify(fitted.iter().map(Candidate::peak).collect(), &options)
}

/// The minimum separation that the distances between bright maxima suggest \[Å\].
fn usual_separation(maxima: &[Maximum]) -> f64 {
    let level = species::bright(&maxima.iter().map(|maximum| maximum.height).collect::<Vec<_>>());
    let above = |part: f64| maxima.iter().filter(move |maximum| maximum.height > part * level);
    let nearest = |maximum: &Maximum| {
        let distances = above(NEIGHBOURS).map(|other| (other.position - maximum.position).norm());
        distances.filter(|&distance| distance > 0.0).fold(f64::INFINITY, f64::min)
    };
    let distances: Vec<f64> = above(BRIGHT).map(nearest).filter(|distance| distance.is_finite()).collect();
    let (least, most) = SEPARATIONS;
    median(&distances).map_or(USUAL_SEPARATION, |distance| (PART_OF_DISTANCE * distance).clamp(least, most))
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
        min_separation: options.min_separation.unwrap_or(USUAL_SEPARATION),
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
            ("min_separation", self.min_separation.unwrap_or(1.0)),
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
