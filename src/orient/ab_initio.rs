//! A first density and poses from nothing: expectation–maximisation with annealed entropy.
//!
//! A density of random phases, its ring power that of the images, is compared with all images; each image is averaged into all directions
//! with soft weights; the average is the next density. At first the weights are spread over a quarter of all hypotheses, in the end over a
//! few, on a geometric schedule; directions grow denser on the way. Images are recentred several times once the density has a shape.
//! (Deterministic annealing: Rose, Proc. IEEE 86 (1998) 2210; EM for unknown orientations: Scheres et al., Nat. Methods 4 (2007) 27.)

use nalgebra::{Matrix3, Vector2};
use ndarray::Array3;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use rustfft::FftPlanner;
use serde::{Deserialize, Serialize};

use super::correlate::Correlator;
use super::expansion::{Expansion, half_turn};
use super::pixels::PixelBasis;
use super::power::match_rings;
use super::refine::{RefineOptions, refine};
use super::rings::Rings;
use super::search::{check_not_negative, check_positive, in_plane, mirror, spaced_directions};
use super::soft::{Expectation, expectation, temperature_for};
use super::{Error, directions, recentred, soft};
use crate::images::Particles;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::random;
use crate::task::{Stage, Task};
use crate::volume::{Gridding, Spectrum, Volume, grid_size};

/// Options of [`ab_initio`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbInitioOptions {
    /// Resolution of the first density \[Å\]; default 3.0. Below the particle's first lattice spacing nothing tells directions apart.
    pub low_pass: f64,
    /// Rounds of expectation and maximisation; default 64. With fewer the temperature falls too fast for many starts.
    pub iterations: usize,
    /// Directions on half the sphere in the last round, 0.6 as many in the first; 0 (default) puts them 0.3 of the limit
    /// apart at the particle's rim.
    pub directions: usize,
    /// Share of all hypotheses that the weights spread over at first; default 0.25.
    pub first_spread: f64,
    /// Number of hypotheses that the weights spread over in the end; default 3.
    pub last_perplexity: f64,
    /// Largest shift that recentring may give an image \[Å\]; default 0.8, 0 keeps images where they are.
    pub max_shift: f64,
    /// Images used, drawn at random if there are more; default 1000.
    pub images: usize,
    /// Seed of the random start; default 1.
    pub seed: u64,
}

impl Default for AbInitioOptions {
    fn default() -> Self {
        Self {
            low_pass: 3.0,
            iterations: 64,
            directions: 0,
            first_spread: 0.25,
            last_perplexity: 3.0,
            max_shift: 0.8,
            images: 1000,
            seed: 1,
        }
    }
}

/// Outcome of one random start.
#[derive(Debug, Clone)]
pub struct AbInitio {
    /// The density, band-limited to the limit.
    pub volume: Volume,
    /// Indices of the images used.
    pub images: Vec<usize>,
    /// Poses of those images; scores are log-likelihood gains over an empty image.
    pub poses: Poses,
    /// Mean best score after each round.
    pub history: Vec<f64>,
}

/// Fraction of the run after which the weights are as hard as they will be.
const HARDEST_AT: f64 = 0.87;
/// Fractions of the run at which images are recentred.
const RECENTRE_AT: [f64; 6] = [0.45, 0.55, 0.65, 0.75, 0.85, 0.93];
/// Directions of the first round over those of the last.
const FIRST_DIRECTIONS: f64 = 0.6;
/// Distance of directions at the particle's rim, in units of the limit.
const SPACING: f64 = 0.3;
/// Most directions: their hypotheses for a tile of images still fit into memory many times.
const MOST_DIRECTIONS: usize = 20_000;
/// Fewest images from which anything can be found.
const FEWEST_IMAGES: usize = 20;
/// Width of the soft edge of the density's mask \[Å\].
const MASK_EDGE: f64 = 2.0;

/// Finds poses and a first density from a random start.
///
/// # Errors
/// If there are too few images, the limit is finer than they carry, or an option makes no sense.
pub fn ab_initio(particles: &Particles, options: &AbInitioOptions, task: &Task) -> Result<AbInitio, Error> {
    check(particles, options)?;
    let chosen = draw_images(particles.len(), options);
    let particles = particles.select(&chosen);
    let mut run = Run::new(&particles, options)?;
    let stage = task.stage("ab initio", options.iterations);
    let mut round = run.round(&run.random_density(), 0, &stage)?;
    let mut history = vec![round.poses.mean_score()];
    for index in 1..options.iterations {
        if run.recentres_after(index - 1) {
            run.recentre(&round, &task.unseen())?;
        }
        round = run.round(&Spectrum::new(&round.volume), index, &stage)?;
        history.push(round.poses.mean_score());
    }
    Ok(AbInitio { volume: round.volume, images: chosen, poses: round.poses, history })
}

fn check(particles: &Particles, options: &AbInitioOptions) -> Result<(), Error> {
    particles.check_limit(options.low_pass)?;
    let images = particles.len().min(options.images);
    if images < FEWEST_IMAGES {
        return Err(Error::TooFewImages { images, needed: FEWEST_IMAGES });
    }
    check_positive("iterations", options.iterations as f64)?;
    check_not_negative("max_shift", options.max_shift)?;
    check_positive("first_spread", options.first_spread)?;
    check_positive("last_perplexity", options.last_perplexity)?;
    if options.directions > MOST_DIRECTIONS {
        return Err(Error::Option { name: "directions", range: "at most 20000", value: options.directions as f64 });
    }
    Ok(())
}

/// Indices of the images used, in random order so that any few of them are a fair sample.
fn draw_images(count: usize, options: &AbInitioOptions) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..count).collect();
    indices.shuffle(&mut random::stream(options.seed, "ab initio images", 0));
    indices.truncate(options.images);
    indices
}

/// One round: the density and the best hypotheses it came from.
struct Round {
    volume: Volume,
    poses: Poses,
}

/// What stays through the rounds of one start.
struct Run<'a> {
    particles: &'a Particles,
    options: &'a AbInitioOptions,
    rings: Rings,
    /// Coefficients of the images, moved back by `shifts`.
    images: Expansion,
    shifts: Vec<Vector2<f64>>,
    /// Rounds after which images are recentred.
    recentre_after: Vec<usize>,
    /// Directions in the last round.
    directions: f64,
}

impl<'a> Run<'a> {
    fn new(particles: &'a Particles, options: &'a AbInitioOptions) -> Result<Self, Error> {
        let rings = Rings::new(particles, options.low_pass);
        let directions = match options.directions {
            0 => spaced_directions(particles.diameter(), SPACING * options.low_pass).min(MOST_DIRECTIONS),
            given => given,
        };
        // images, references, and what the expectation needs
        let coefficients = Expansion::bytes(&rings, particles.len() + directions);
        memory::require((coefficients + soft::bytes(&rings, directions)) as f64, "the hypotheses of this start")?;
        let images = PixelBasis::new(&rings, particles).expand(particles);
        let recentre_after = if options.max_shift > 0.0 {
            RECENTRE_AT.iter().map(|fraction| (fraction * options.iterations as f64) as usize).collect()
        } else {
            Vec::new()
        };
        let shifts = vec![Vector2::zeros(); particles.len()];
        Ok(Self { particles, options, rings, images, shifts, recentre_after, directions: directions as f64 })
    }

    /// Random phases within the mask, each ring as strong as the images' own.
    fn random_density(&self) -> Spectrum {
        let size = grid_size(self.particles.edge(), self.options.low_pass);
        let mut rng = random::stream(self.options.seed, "ab initio start", 0);
        let noise = Array3::from_shape_simple_fn((size, size, size), || rng.sample(StandardNormal));
        let volume = Volume::new(noise, self.particles.edge() / size as f64);
        let volume = volume.masked(self.particles.mask_radius(), MASK_EDGE);
        Spectrum::new(&match_rings(&self.rings, self.particles, &self.images, &volume))
    }

    /// Share of the run that lies behind at round `index`.
    fn progress(&self, index: usize) -> f64 {
        index as f64 / (self.options.iterations - 1).max(1) as f64
    }

    fn recentres_after(&self, index: usize) -> bool {
        self.recentre_after.contains(&index)
    }

    fn round(&self, density: &Spectrum, index: usize, stage: &Stage) -> Result<Round, Error> {
        let progress = self.progress(index);
        let views = directions((self.directions * FIRST_DIRECTIONS.powf(1.0 - progress)).ceil() as usize);
        let matrices: Vec<_> = views.iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
        let references = Expansion::of_slices(&self.rings, density, &matrices);
        let correlator = Correlator::new(&self.rings, &self.images, &references);
        let hypotheses = 2.0 * (views.len() * self.rings.angles) as f64;
        let widest = self.options.first_spread * hypotheses;
        let perplexity = widest * (self.options.last_perplexity / widest).powf((progress / HARDEST_AT).min(1.0));
        let beta = temperature_for(&correlator, perplexity);
        let expected = expectation(&correlator, beta, stage)?;
        stage.advance(1)?;
        let poses = expected.best.iter().zip(&self.shifts).map(|(best, shift)| Pose {
            rotation: in_plane(best.angle as f32, self.rings.angles) * mirror(best.mirrored) * views[best.reference],
            shift: *shift,
        });
        let scores = expected.best.iter().map(|best| f64::from(best.score)).collect();
        Ok(Round { poses: Poses::new(poses.collect(), scores), volume: self.density_of(&expected, &matrices) })
    }

    /// The density of the directions' averages, each as heavy as the images it received.
    fn density_of(&self, expected: &Expectation, views: &[Matrix3<f64>]) -> Volume {
        /// Parts gridded side by side; fixed, so that sums do not depend on threads.
        const PARTS: usize = 2;
        let size = grid_size(self.particles.edge(), self.options.low_pass);
        let pixel_size = self.particles.edge() / size as f64;
        let turns: Vec<Vec<[f32; 2]>> = self.rings.samples.iter().map(|&n| half_turn(n)).collect();
        let parts: Vec<Gridding> = (0..PARTS)
            .into_par_iter()
            .map(|part| {
                let mut grid = Gridding::new(size, pixel_size);
                let mut planner = FftPlanner::new();
                for view in (part..views.len()).step_by(PARTS).filter(|&view| expected.occupancy[view] > 0.0) {
                    let plane = grid.plane(&views[view]);
                    let samples = expected.sums.polar(&self.rings, view, &mut planner);
                    let mut rest = samples.as_slice();
                    for (ring, turn) in self.rings.frequencies.iter().zip(&turns) {
                        let (samples, others) = rest.split_at(turn.len());
                        rest = others;
                        let s = *ring as f32;
                        // a sample stands for an area that grows with the radius
                        let area = s / turn.len() as f32;
                        let weight = area * expected.occupancy[view] as f32;
                        for ([cos, sin], sample) in turn.iter().zip(samples) {
                            grid.insert(&plane, [s * cos, s * sin], sample * area, weight);
                        }
                    }
                }
                grid
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut sum = parts.next().expect("there are parts");
        parts.for_each(|part| sum.add(&part));
        sum.density(self.options.low_pass).masked(self.particles.mask_radius(), MASK_EDGE)
    }

    /// Finds each image's shift against the density and moves the image back by it.
    fn recentre(&mut self, round: &Round, task: &Task) -> Result<(), Error> {
        let options = RefineOptions {
            low_pass: self.options.low_pass,
            steps: 5,
            max_shift: self.options.max_shift,
            ..RefineOptions::default()
        };
        let densities = [round.volume.clone()];
        let refined = refine(self.particles, &densities, &round.poses, &options, task)?;
        self.shifts = refined.poses.as_slice().iter().map(|pose| pose.shift).collect();
        let moved = recentred(self.particles, &self.shifts);
        self.images = PixelBasis::new(&self.rings, self.particles).expand(&moved);
        Ok(())
    }
}
