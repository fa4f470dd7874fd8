//! A first density and poses from nothing: expectation–maximisation with annealed entropy, or stochastic hill climbing.
//!
//! A density of random phases, its ring power that of the images, is compared with all images; each image is averaged into all directions
//! with soft weights; the average is the next density. At first the weights are spread over many hypotheses, in the end over a
//! few, on a geometric schedule; directions grow denser on the way. In all but the last rounds a fresh draw of images takes part: with all of them in
//! every round half the starts freeze in pseudo-lattices, and cost more. Images are recentred several times once the density has a shape.
//! (Deterministic annealing: Rose, Proc. IEEE 86 (1998) 2210; EM for unknown orientations: Scheres et al., Nat. Methods 4
//! (2007) 27; draws of images: Punjani et al., Nat. Methods 14 (2017) 290.)
//!
//! Not every start ends well. Several are run side by side; those that lag behind when all images begin to take part are hopeless, and given up.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::expansion::Expansion;
use super::pixels::PixelBasis;
use super::rings::Rings;
use super::search::{check_count, check_not_negative, check_positive, spaced_directions};
use super::start::{Shared, Start, first_full_round};
use super::{Error, soft};
use crate::images::Particles;
use crate::memory;
use crate::pose::Poses;
use crate::random;
use crate::task::Task;
use crate::volume::Volume;

/// How images choose among directions on the way to a first density.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All directions at once, with weights that harden slowly.
    #[default]
    Annealing,
    /// One direction, drawn at random from those better than the last.
    HillClimbing,
}

/// Options of [`ab_initio`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbInitioOptions {
    /// Resolution of the first density \[Å\]; default 3.0. Below the particle's first lattice spacing nothing tells directions apart.
    pub low_pass: f64,
    /// "annealing" (default) or "hill_climbing".
    pub method: Method,
    /// Independent starts, run side by side; default 1.
    pub starts: usize,
    /// Rounds of expectation and maximisation; default 100.
    pub iterations: usize,
    /// Directions on half the sphere in the last round, 0.6 as many in the first; 0 (default) puts them 0.3 of the limit
    /// apart at the particle's rim.
    pub directions: usize,
    /// Share of all hypotheses that the weights spread over at first; default 0.02.
    pub first_spread: f64,
    /// Number of hypotheses that the weights spread over in the end; default 3.
    pub last_perplexity: f64,
    /// Images that take part in a round, drawn anew for each of all but the last rounds; default 100, 0 takes all. What a density owes to the draw
    /// shakes it out of wrong solutions, as noise does in stochastic gradient descent.
    pub batch: usize,
    /// Starts that score lower than the best by more than this share when all images begin to take part are given up; default 0.03.
    pub give_up: f64,
    /// Largest shift that recentring may give an image \[Å\]; default 0.8, 0 keeps images where they are.
    pub max_shift: f64,
    /// Images used, drawn at random if there are more; default 1000.
    pub images: usize,
    /// Seed of the first start; default 1.
    pub seed: u64,
}

impl Default for AbInitioOptions {
    fn default() -> Self {
        Self {
            low_pass: 3.0,
            method: Method::Annealing,
            starts: 1,
            iterations: 100,
            directions: 0,
            first_spread: 0.02,
            last_perplexity: 3.0,
            batch: 100,
            give_up: 0.03,
            max_shift: 0.8,
            images: 1000,
            seed: 1,
        }
    }
}

/// Outcome of [`ab_initio`].
#[derive(Debug, Clone)]
pub struct AbInitio {
    /// Indices of the images used.
    pub images: Vec<usize>,
    /// The starts, the best first.
    pub starts: Vec<RandomStart>,
}

/// What became of one start.
#[derive(Debug, Clone)]
pub struct RandomStart {
    pub seed: u64,
    /// The density, band-limited to the limit.
    pub volume: Volume,
    /// Poses of the images used; scores are log-likelihood gains over an empty image.
    pub poses: Poses,
    /// Mean score after each round that was run.
    pub history: Vec<f64>,
    /// Whether it lagged behind and was not run to its end.
    pub given_up: bool,
}

/// Distance of directions at the particle's rim, in units of the limit.
const SPACING: f64 = 0.3;
/// Most directions: their hypotheses for a tile of images still fit into memory many times.
const MOST_DIRECTIONS: usize = 20_000;
/// Fewest images from which anything can be found.
const FEWEST_IMAGES: usize = 20;

/// Finds poses and a first density from random starts.
///
/// # Errors
/// If there are too few images, the limit is finer than they carry, or an option makes no sense.
pub fn ab_initio(particles: &Particles, options: &AbInitioOptions, task: &Task) -> Result<AbInitio, Error> {
    check(particles, options)?;
    let chosen = draw_images(particles.len(), options);
    let particles = particles.select(&chosen);
    let rings = Rings::new(&particles, options.low_pass);
    let directions = match options.directions {
        0 => spaced_directions(particles.diameter(), SPACING * options.low_pass).min(MOST_DIRECTIONS),
        given => given,
    };
    // images as they are and those of each start, references, and what the expectation needs
    let coefficients = Expansion::bytes(&rings, (1 + options.starts) * particles.len() + directions);
    memory::require((coefficients + soft::bytes(&rings, directions)) as f64, "the hypotheses of these starts")?;
    let basis = PixelBasis::new(&rings, &particles);
    let images = basis.expand(&particles, task)?;
    let shared = Shared { particles: &particles, options, rings: &rings, basis, images, directions };
    let seeds = (0..options.starts as u64).map(|start| options.seed + start);
    let mut starts = seeds.map(|seed| Start::new(&shared, seed, task)).collect::<Result<Vec<Start>, _>>()?;
    // the score over all images, not over those that happened to take part
    let give_up_after = first_full_round(options.iterations) + 1;
    let stage = task.stage("ab initio", options.starts * options.iterations);
    for round in 0..options.iterations {
        if round == give_up_after {
            let best = starts.iter().map(Start::score).fold(f64::MIN, f64::max);
            for start in starts.iter_mut().filter(|start| start.score() < best - options.give_up * best.abs()) {
                start.given_up = true;
                stage.advance(options.iterations - round)?;
            }
        }
        for start in starts.iter_mut().filter(|start| !start.given_up) {
            start.round(&shared, &stage, task)?;
            stage.advance(1)?;
        }
    }
    starts.sort_by(|a, b| a.given_up.cmp(&b.given_up).then(b.score().total_cmp(&a.score())));
    let starts = starts.into_iter().map(|start| RandomStart {
        seed: start.seed,
        volume: start.volume,
        poses: start.poses,
        history: start.history,
        given_up: start.given_up,
    });
    Ok(AbInitio { images: chosen, starts: starts.collect() })
}

fn check(particles: &Particles, options: &AbInitioOptions) -> Result<(), Error> {
    particles.check_limit(options.low_pass)?;
    let images = particles.len().min(options.images);
    if images < FEWEST_IMAGES {
        return Err(Error::TooFewImages { images, needed: FEWEST_IMAGES });
    }
    check_count("starts", options.starts, 1000, "from 1 to 1000")?;
    check_count("iterations", options.iterations, 100_000, "from 1 to 100000")?;
    check_not_negative("max_shift", options.max_shift)?;
    if !(options.first_spread > 0.0 && options.first_spread <= 1.0) {
        return Err(Error::Option {
            name: "first_spread",
            range: "above 0 and at most 1",
            value: options.first_spread,
        });
    }
    check_positive("last_perplexity", options.last_perplexity)?;
    check_not_negative("give_up", options.give_up)?;
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
