//! Peaks fitted by turns, each with all the others subtracted, until neighbours agree.

use nalgebra::Vector3;
use ndarray::Array3;
use rayon::prelude::*;

use super::doublet;
use super::fit::{self, Gaussian, Sample};
use super::peaks::Maximum;
use super::profile::{Profile, Source, Spectrum};
use super::{Peak, species};
use crate::fourier::Fft3;
use crate::task::{Cancelled, Task};

/// After the first sweep, peaks below this part of the bright ones are dropped: they are ringing and faint noise.
const NEGLIGIBLE: f64 = 0.02;
/// How far a fit may move from where its peak was \[Å\].
pub(super) const REACH: f64 = 0.5;
/// Most voxels an edge of the interpolated grid, 1 GB.
const LARGEST_GRID: usize = 640;

/// The grid that peaks are sought and fitted on.
pub(super) struct Grid {
    pub size: usize,
    /// Edge of a voxel \[Å\].
    pub voxel: f64,
    pub fft: Fft3,
}

impl Grid {
    /// A box of `size` voxels of `pixel_size` \[Å\], interpolated until its voxels are at most `voxel` wide \[Å\].
    pub fn new(pixel_size: f64, size: usize, voxel: f64) -> Self {
        let factor = ((pixel_size / voxel).ceil() as usize).clamp(1, (LARGEST_GRID / size).max(1));
        Self { voxel: pixel_size / factor as f64, fft: Fft3::new(size * factor), size: size * factor }
    }
}

/// A peak on its way to being fitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub start: Vector3<f64>,
    pub gaussian: Gaussian,
    /// Height of the shared shape that fits best.
    pub intensity: f64,
    pub residual: f64,
    /// The atom that was subtracted for it; of amplitude 0 if it was none.
    pub subtracted: Source,
}

/// Width of an atom before anything is fitted \[Å\].
const TYPICAL_WIDTH: f64 = 0.5;

impl Candidate {
    pub fn new(maximum: &Maximum) -> Self {
        let gaussian =
            Gaussian { center: maximum.position, height: maximum.height, width: TYPICAL_WIDTH, background: 0.0 };
        let subtracted = Source { position: maximum.position, amplitude: 0.0 };
        Self { start: maximum.position, gaussian, intensity: maximum.height, residual: 0.0, subtracted }
    }

    fn source(&self) -> Source {
        Source { position: self.gaussian.center, amplitude: self.intensity }
    }

    pub fn peak(&self) -> Peak {
        Peak {
            position: self.gaussian.center.into(),
            intensity: self.intensity,
            width: self.gaussian.width,
            residual: self.residual,
            deviation: None,
            intensity_deviation: None,
            b_factor: None,
            halves: None,
        }
    }
}

/// Fits every candidate once, with all other atoms subtracted; drops those with nothing left to fit. Of two nearer than `separation` the brighter one stays, at the place of
/// both where one atom explains them as well. The brightest comes first.
///
/// Only candidates above the noise cut are atoms that shape the profile and are subtracted: noise would make the profile its own.
pub(super) fn sweep(
    spectrum: &Spectrum,
    grid: &Grid,
    mut candidates: Vec<Candidate>,
    separation: f64,
    reach: f64,
    task: &Task,
) -> Result<Vec<Candidate>, Cancelled> {
    let cut = cut_of(&candidates);
    let surroundings = Surroundings::new(spectrum, grid, &mut candidates, cut, reach);
    let fitted = candidates.par_iter().map(|candidate| task.check().map(|()| surroundings.refit(candidate)));
    let fitted: Vec<Candidate> = fitted.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let faint = NEGLIGIBLE * species::bright(&fitted.iter().map(|c| c.intensity).collect::<Vec<_>>());
    let bright: Vec<Candidate> = fitted.into_iter().filter(|candidate| candidate.intensity > faint).collect();
    Ok(apart(bright, separation, |one, two| if two.intensity > cut { surroundings.merged(one, two) } else { None }))
}

/// As [`sweep`], but peaks that are clearly worse explained by one atom than others are tried as two atoms `separation` apart or more.
pub(super) fn split(
    spectrum: &Spectrum,
    grid: &Grid,
    mut candidates: Vec<Candidate>,
    separation: f64,
    reach: f64,
) -> Vec<Candidate> {
    let cut = cut_of(&candidates);
    let residuals: Vec<f64> = candidates.iter().filter(|c| c.intensity > cut).map(|c| c.residual).collect();
    let limit = doublet::worse_than(&residuals).unwrap_or(f64::INFINITY);
    if residuals.iter().all(|&residual| residual <= limit) {
        return candidates;
    }
    let surroundings = Surroundings::new(spectrum, grid, &mut candidates, cut, reach);
    let is_free = |place: &Vector3<f64>, but: usize| {
        let far = |other: &Candidate| (other.gaussian.center - place).norm() >= separation;
        candidates.iter().enumerate().all(|(i, other)| i == but || other.intensity <= cut || far(other))
    };
    let as_two = |(i, candidate): (usize, &Candidate)| {
        if candidate.intensity <= cut || candidate.residual <= limit {
            return None;
        }
        let two = surroundings.two(candidate, separation)?;
        two.iter().all(|atom| atom.intensity > cut && is_free(&atom.gaussian.center, i)).then_some(two)
    };
    let pairs: Vec<Option<[Candidate; 2]>> = candidates.par_iter().enumerate().map(as_two).collect();
    let mut all: Vec<Candidate> = Vec::with_capacity(candidates.len());
    for (candidate, pair) in candidates.iter().zip(pairs) {
        match pair {
            Some(pair) => all.extend(pair),
            None => all.push(*candidate),
        }
    }
    all
}

/// Intensity below which candidates are no atoms.
fn cut_of(candidates: &[Candidate]) -> f64 {
    species::noise_cut(&candidates.iter().map(|c| c.intensity).collect::<Vec<_>>())
}

/// What the candidates of one sweep are fitted to.
pub(super) struct Surroundings<'a> {
    /// The density without the atoms.
    left_over: Array3<f32>,
    profile: Profile,
    /// Density at the centre of an atom of amplitude one.
    height: f64,
    grid: &'a Grid,
    /// Radius of the neighbourhood \[Å\].
    reach: f64,
    /// Independent values of the density in 1 Å³.
    freedom: f64,
}

impl<'a> Surroundings<'a> {
    /// Subtracts the candidates above `cut`, and tells them so.
    pub fn new(spectrum: &Spectrum, grid: &'a Grid, candidates: &mut [Candidate], cut: f64, reach: f64) -> Self {
        for candidate in candidates.iter_mut() {
            let amplitude = if candidate.intensity > cut { candidate.intensity } else { 0.0 };
            candidate.subtracted = Source { position: candidate.gaussian.center, amplitude };
        }
        let sources: Vec<Source> =
            candidates.iter().map(|c| c.subtracted).filter(|source| source.amplitude > 0.0).collect();
        let factor = spectrum.structure_factor(&sources);
        let transfer = spectrum.transfer(&factor);
        let (profile, height) = spectrum.profile(&transfer);
        let left_over = spectrum.residual(&factor, &transfer, grid.size, &grid.fft);
        Self { left_over, profile, height, grid, reach, freedom: spectrum.freedom() }
    }

    /// The candidate, fitted to what is left of the density with its atom put back.
    pub fn refit(&self, candidate: &Candidate) -> Option<Candidate> {
        let samples = self.samples(&candidate.gaussian.center, self.reach, &[candidate.subtracted]);
        let gaussian =
            fit::gaussian(&samples, candidate.gaussian, REACH).or_else(|| self.of_usual_shape(&samples, candidate))?;
        let intensity = self.height_at(&samples, &gaussian.center);
        let residual = fit::misfit(&samples, &gaussian) / intensity;
        let moved = (gaussian.center - candidate.start).norm();
        (moved <= 2.0 * REACH && intensity > 0.0).then_some(Candidate { gaussian, intensity, residual, ..*candidate })
    }

    /// An atom too blurred for a width of its own: where the shape that all share fits best. Noise is no atom.
    fn of_usual_shape(&self, samples: &[Sample], candidate: &Candidate) -> Option<Gaussian> {
        let start = candidate.subtracted;
        if start.amplitude <= 0.0 {
            return None;
        }
        let center = doublet::fit(samples, &self.profile, &[start])?.atoms[0].position;
        Some(Gaussian { center, ..candidate.gaussian })
    }

    /// Height of the shared shape that fits best where a candidate lies.
    pub fn intensity(&self, candidate: &Candidate) -> f64 {
        let center = candidate.gaussian.center;
        self.height_at(&self.samples(&center, self.reach, &[candidate.subtracted]), &center)
    }

    fn height_at(&self, samples: &[Sample], center: &Vector3<f64>) -> f64 {
        let (mut product, mut square) = (0.0, 0.0);
        for sample in samples {
            let shape = self.profile.at((sample.position - center).norm());
            product += sample.weight * shape * sample.value;
            square += sample.weight * shape * shape;
        }
        product / square
    }

    /// One atom in place of two near each other, if it explains them as well.
    fn merged(&self, one: &Candidate, two: &Candidate) -> Option<Candidate> {
        let [first, second] = [one, two].map(Candidate::source);
        let distance = (first.position - second.position).norm();
        let amplitude = first.amplitude + second.amplitude;
        let middle = (first.position * first.amplitude + second.position * second.amplitude) / amplitude;
        let samples = self.samples(&middle, self.reach + distance, &[one.subtracted, two.subtracted]);
        let single = doublet::fit(&samples, &self.profile, &[Source { position: middle, amplitude }])?;
        let double = doublet::fit(&samples, &self.profile, &[first, second])?;
        if doublet::two_are_needed(&single, &double, self.independent(&samples)) {
            return None;
        }
        let Source { position, amplitude } = single.atoms[0];
        let near = (position - middle).norm() <= distance.max(REACH);
        near.then_some(Candidate {
            start: position,
            gaussian: Gaussian { center: position, ..one.gaussian },
            intensity: amplitude,
            ..*one
        })
    }

    /// Two atoms, `separation` apart or more, in place of one, if they are needed.
    fn two(&self, candidate: &Candidate, separation: f64) -> Option<[Candidate; 2]> {
        let whole = candidate.source();
        let samples = self.samples(&whole.position, self.reach + 0.5 * separation, &[candidate.subtracted]);
        let axis = doublet::long_axis(&samples, &whole.position);
        let half = |sign: f64| Source {
            position: whole.position + axis * (0.5 * sign * separation),
            amplitude: 0.5 * whole.amplitude,
        };
        let single = doublet::fit(&samples, &self.profile, &[whole])?;
        let double = doublet::fit(&samples, &self.profile, &[half(-1.0), half(1.0)])?;
        let [first, second] = double.atoms[..] else { return None };
        let distance = (first.position - second.position).norm();
        let is_near = |atom: &Source| (atom.position - whole.position).norm() <= separation;
        let possible = distance >= separation && is_near(&first) && is_near(&second);
        (possible && doublet::two_are_needed(&single, &double, self.independent(&samples))).then(|| {
            [first, second].map(|Source { position, amplitude }| Candidate {
                start: position,
                gaussian: Gaussian { center: position, width: TYPICAL_WIDTH, ..candidate.gaussian },
                intensity: amplitude,
                ..*candidate
            })
        })
    }

    /// Number of independent values among samples.
    fn independent(&self, samples: &[Sample]) -> f64 {
        samples.iter().map(|sample| sample.weight).sum::<f64>() * self.grid.voxel.powi(3) * self.freedom
    }

    /// Voxels within `reach` of `center`, some atoms put back, with weights that fall smoothly to zero: which are just inside must not move the fit.
    fn samples(&self, center: &Vector3<f64>, reach: f64, subtracted: &[Source]) -> Vec<Sample> {
        let Grid { size, voxel, .. } = *self.grid;
        let middle = (size / 2) as f64;
        let bounds = |x: f64| {
            let (low, high) = ((x - reach) / voxel + middle, (x + reach) / voxel + middle);
            low.ceil().max(0.0) as usize..(high.floor() as usize + 1).min(size)
        };
        let mut samples = Vec::new();
        for z in bounds(center.z) {
            for y in bounds(center.y) {
                for x in bounds(center.x) {
                    let position = (Vector3::new(x as f64, y as f64, z as f64) - Vector3::repeat(middle)) * voxel;
                    let distance = (position - center).norm();
                    let weight = (1.0 - (distance / reach).powi(2)).max(0.0).powi(2);
                    if weight > 0.0 {
                        let of = |atom: &Source| atom.amplitude * self.profile.at((position - atom.position).norm());
                        let put_back = self.height * subtracted.iter().map(of).sum::<f64>();
                        let value = f64::from(self.left_over[[z, y, x]]) + put_back;
                        samples.push(Sample { position, value, weight });
                    }
                }
            }
        }
        samples
    }
}

/// Drops candidates that are too near to a brighter one, or puts what `merged` makes of both in place of it; the brightest comes first.
fn apart(
    mut candidates: Vec<Candidate>,
    separation: f64,
    merged: impl Fn(&Candidate, &Candidate) -> Option<Candidate>,
) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.intensity.total_cmp(&a.intensity));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let near = |other: &Candidate| (other.gaussian.center - candidate.gaussian.center).norm() < separation;
        match kept.iter().position(near) {
            None => kept.push(candidate),
            Some(brighter) => {
                if let Some(both) = merged(&kept[brighter], &candidate) {
                    kept[brighter] = both;
                }
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::density_of_atoms;

    /// What one sweep makes of candidates at `places` near the origin, in a density whose `atoms` there have weights.
    fn swept(atoms: &[([f64; 3], f64)], places: &[[f64; 3]]) -> Vec<Candidate> {
        let others =
            [[6.0, 0.0, 0.0], [-6.0, 1.0, 0.0], [0.0, 6.0, 1.0], [0.0, -6.0, 0.0], [1.0, 0.0, 6.0], [0.0, 0.0, -6.0]];
        let others_too = atoms.iter().copied().chain(others.map(|place| (place, 1.0)));
        let there: Vec<_> = others_too.map(|(place, weight)| (place.into(), weight)).collect();
        let volume = density_of_atoms(&there, 0.5, 60, 0.4);
        let (spectrum, grid) = (Spectrum::of(&volume), Grid::new(0.4, 60, 0.2));
        let candidate = |place: [f64; 3], height: f64| Candidate::new(&Maximum { position: place.into(), height });
        let mut candidates: Vec<_> = others.iter().map(|&place| candidate(place, 0.5)).collect();
        let weight = atoms.iter().map(|(_, weight)| weight).sum::<f64>() / places.len() as f64;
        candidates.extend(places.iter().map(|&place| candidate(place, 0.5 * weight)));
        let candidates = sweep(&spectrum, &grid, candidates, 1.5, 1.0, &Task::silent()).unwrap();
        candidates.into_iter().filter(|candidate| candidate.gaussian.center.norm() < 3.0).collect()
    }

    #[test]
    fn two_candidates_of_one_atom_become_one_where_it_is() {
        let found = swept(&[([0.1, 0.0, 0.0], 1.0)], &[[-0.4, 0.0, 0.0], [0.4, 0.0, 0.0]]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((found[0].gaussian.center.x - 0.1).abs() < 0.02, "{found:?}");
    }

    /// Of an atom that moves a flat top may be left, with a maximum at its edge.
    #[test]
    fn a_blurred_atom_is_found_from_its_edge() {
        let on_shell = |i: u32| {
            let height = 1.0 - f64::from(2 * i + 1) / 40.0;
            let ring = (1.0 - height * height).sqrt();
            let (sin, cos) = (2.4 * f64::from(i)).sin_cos();
            ([ring * cos, ring * sin, height].map(|x| 0.7 * x), 0.5 / 40.0)
        };
        let blurred: Vec<_> = (0..40).map(on_shell).collect();
        let [found] = swept(&blurred, &[[0.6, 0.0, 0.0]])[..] else { panic!("it is lost") };
        assert!(found.gaussian.center.norm() < 0.15, "{found:?}");
    }

    #[test]
    fn of_two_atoms_too_near_each_other_the_brighter_stays_where_it_is() {
        let sides = [[-0.6, 0.0, 0.0], [0.6, 0.0, 0.0]];
        let found = swept(&sides.map(|place| (place, 1.0)), &sides);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((found[0].gaussian.center.x.abs() - 0.6).abs() < 0.3, "{found:?}");
    }
}
