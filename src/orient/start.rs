//! One start of a reconstruction from nothing: its random density, its rounds, its recentring.

use std::slice::from_ref;

use nalgebra::{Matrix3, UnitQuaternion, Vector2};
use ndarray::Array3;
use rand::RngExt;
use rand::seq::index::sample;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use rustfft::FftPlanner;

use super::ab_initio::{AbInitioOptions, Method};
use super::correlate::Correlator;
use super::expansion::{Expansion, TILE, half_turn};
use super::pixels::PixelBasis;
use super::power::match_rings;
use super::refine::{RefineOptions, refine};
use super::rings::Rings;
use super::search::{in_plane, mirror};
use super::soft::{Choice, Expectation, Hypothesis, expectation, temperature_for};
use super::{Error, directions, recentred};
use crate::images::Particles;
use crate::pose::{Pose, Poses};
use crate::random;
use crate::task::{Cancelled, Stage, Task};
use crate::volume::{Gridding, Spectrum, Volume, grid_size};

/// Fraction of the run after which the weights are as hard as they will be.
const HARDEST_AT: f64 = 0.87;
/// Fractions of the run at which images are recentred.
const RECENTRE_AT: [f64; 6] = [0.45, 0.55, 0.65, 0.75, 0.85, 0.93];
/// Fraction of the run from which all images take part in every round.
const FULL_FROM: f64 = 0.92;
/// Directions of the first round over those of the last.
const FIRST_DIRECTIONS: f64 = 0.6;
/// Width of the soft edge of the density's mask \[Å\].
const MASK_EDGE: f64 = 2.0;

/// The first of `rounds` in which all images take part.
pub fn first_full_round(rounds: usize) -> usize {
    (FULL_FROM * (rounds - 1) as f64).ceil() as usize
}

/// What all starts share.
pub struct Shared<'a> {
    pub particles: &'a Particles,
    pub options: &'a AbInitioOptions,
    pub rings: &'a Rings,
    pub basis: PixelBasis<'a>,
    /// Coefficients of the images as they are.
    pub images: Expansion,
    /// Directions in the last round.
    pub directions: usize,
}

/// One start on its way.
pub struct Start {
    pub seed: u64,
    pub volume: Volume,
    pub poses: Poses,
    /// Mean score after each round.
    pub history: Vec<f64>,
    pub given_up: bool,
    /// Coefficients of the images, moved back by `shifts`; none before the first recentring.
    moved: Option<Expansion>,
    shifts: Vec<Vector2<f64>>,
}

impl Start {
    /// Random phases within the mask, each ring as strong as the images' own.
    pub fn new(shared: &Shared, seed: u64, task: &Task) -> Result<Self, Cancelled> {
        let (particles, low_pass) = (shared.particles, shared.options.low_pass);
        let size = grid_size(particles.edge(), low_pass);
        let mut rng = random::stream(seed, "ab initio start", 0);
        let noise = Array3::from_shape_simple_fn((size, size, size), || rng.sample(StandardNormal));
        let volume = Volume::new(noise, particles.edge() / size as f64);
        let volume = volume.masked(particles.mask_radius(), MASK_EDGE);
        Ok(Self {
            seed,
            volume: match_rings(shared.rings, particles, &shared.images, &volume, task)?,
            // any pose is better than none
            poses: Poses::new(vec![Pose::default(); particles.len()], vec![f64::NEG_INFINITY; particles.len()]),
            history: Vec::new(),
            given_up: false,
            moved: None,
            shifts: vec![Vector2::zeros(); particles.len()],
        })
    }

    /// Mean score after the last round.
    pub fn score(&self) -> f64 {
        self.history.last().copied().unwrap_or(f64::MIN)
    }

    /// The next round: weighs all hypotheses against the density, and averages the images into the next one.
    pub fn round(&mut self, shared: &Shared, stage: &Stage, task: &Task) -> Result<(), Error> {
        let (options, index) = (shared.options, self.history.len());
        let at = |fraction: f64| (fraction * options.iterations as f64) as usize + 1 == index;
        if options.max_shift > 0.0 && RECENTRE_AT.iter().any(|&fraction| at(fraction)) {
            self.recentre(shared, task)?;
        }
        let progress = index as f64 / (options.iterations - 1).max(1) as f64;
        let views = directions((shared.directions as f64 * FIRST_DIRECTIONS.powf(1.0 - progress)).ceil() as usize);
        let matrices: Vec<_> = views.iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
        let references =
            Expansion::of_slices(shared.rings, &Spectrum::new(&self.volume, shared.rings.finest()), &matrices, task)?;
        let images = self.moved.as_ref().unwrap_or(&shared.images);
        let correlator = Correlator::new(shared.rings, images, &references);
        let last: Vec<f32> = self.poses.scores().iter().map(|&score| score as f32).collect();
        let choice = match options.method {
            Method::Annealing => {
                let hypotheses = 2.0 * (views.len() * shared.rings.angles) as f64;
                let widest = options.first_spread * hypotheses;
                let cooled = (options.last_perplexity / widest).powf((progress / HARDEST_AT).min(1.0));
                Choice::Soft { beta: temperature_for(&correlator, (widest * cooled).max(1.0)) }
            }
            Method::HillClimbing => Choice::Climb { last: &last, seed: self.seed, round: index },
        };
        let expected = expectation(&correlator, choice, &self.batch(shared), stage)?;
        self.take(&expected.taken, shared.rings.angles, &views);
        self.volume = density_of(shared, &expected, &matrices);
        Ok(())
    }

    /// Which tiles of images take part in the next round.
    fn batch(&self, shared: &Shared) -> Vec<bool> {
        let (tiles, batch, round) = (shared.images.tiles(), shared.options.batch, self.history.len());
        let count = batch.div_ceil(TILE);
        if batch == 0 || count >= tiles || round >= first_full_round(shared.options.iterations) {
            return vec![true; tiles];
        }
        let mut rng = random::stream(self.seed, "ab initio batch", round as u64);
        let mut takes_part = vec![false; tiles];
        sample(&mut rng, tiles, count).into_iter().for_each(|tile| takes_part[tile] = true);
        takes_part
    }

    /// Takes over the hypotheses of the images that took part.
    fn take(&mut self, taken: &[Option<Hypothesis>], angles: usize, views: &[UnitQuaternion<f64>]) {
        let (mut poses, mut scores) = (self.poses.as_slice().to_vec(), self.poses.scores().to_vec());
        let (mut sum, mut count) = (0.0, 0.0);
        for (image, taken) in taken.iter().enumerate() {
            if let Some(taken) = taken {
                let turn = in_plane(taken.angle as f32, angles) * mirror(taken.mirrored);
                poses[image] = Pose { rotation: turn * views[taken.reference], shift: self.shifts[image] };
                scores[image] = f64::from(taken.score);
                sum += scores[image];
                count += 1.0;
            }
        }
        self.poses = Poses::new(poses, scores);
        self.history.push(sum / count);
    }

    /// Finds each image's shift against the density and moves the image back by it.
    fn recentre(&mut self, shared: &Shared, task: &Task) -> Result<(), Error> {
        let options = RefineOptions {
            low_pass: shared.options.low_pass,
            steps: 5,
            max_shift: shared.options.max_shift,
            ..RefineOptions::default()
        };
        let refined = refine(shared.particles, from_ref(&self.volume), &self.poses, &options, &task.unseen())?;
        self.shifts = refined.poses.as_slice().iter().map(|pose| pose.shift).collect();
        self.moved = Some(shared.basis.expand(&recentred(shared.particles, &self.shifts), task)?);
        Ok(())
    }
}

/// The density of the directions' averages, each as heavy as the images it received.
fn density_of(shared: &Shared, expected: &Expectation, views: &[Matrix3<f64>]) -> Volume {
    /// Parts gridded side by side; fixed, so that sums do not depend on threads.
    const PARTS: usize = 2;
    let (rings, particles, low_pass) = (shared.rings, shared.particles, shared.options.low_pass);
    let size = grid_size(particles.edge(), low_pass);
    let pixel_size = particles.edge() / size as f64;
    let turns: Vec<Vec<[f32; 2]>> = rings.samples.iter().map(|&n| half_turn(n)).collect();
    let parts: Vec<Gridding> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut grid = Gridding::new(size, pixel_size);
            let mut planner = FftPlanner::new();
            for view in (part..views.len()).step_by(PARTS).filter(|&view| expected.occupancy[view] > 0.0) {
                let plane = grid.plane(&views[view]);
                let samples = expected.sums.polar(rings, view, &mut planner);
                let mut rest = samples.as_slice();
                for (ring, turn) in rings.frequencies.iter().zip(&turns) {
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
    sum.density(low_pass).masked(particles.mask_radius(), MASK_EDGE)
}
