//! Breaking the symmetry of a lattice: poses that are known up to the lattice's own operations are told apart by what sits on its sites.
//!
//! Compared with an ideal lattice, every image has as many equally good poses as the lattice has operations. Which of them belong together shows
//! only in what breaks the symmetry: the particle's outline, its elements, its vacancies. Expectation–maximisation finds out: the particle is
//! described by one amplitude a lattice site (a few hundred numbers instead of 10⁵ voxels, whose noise would drown the small
//! differences), each image is weighed over the operations, and the amplitudes are solved for with those weights, on a schedule of falling
//! temperature. The weights obey the condition that all viewing directions are equally likely ([`super::even`]). Each half of the images is
//! weighed against the amplitudes that the other half gave.
//!
//! The operations permute the sites. What an image shows at the sites' places therefore serves all of them: a hypothesis' correlation is a dot
//! product of that list with the permuted amplitudes.

mod model;
mod operations;
mod pseudo;

use nalgebra::{Point3, UnitQuaternion};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Error;
use super::draw::index_at;
use super::even::Sphere;
use super::refine::{RefineOptions, refine};
use super::search::{check_count, check_not_negative, check_positive};
use crate::images::Particles;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::random;
use crate::structure::Structure;
use crate::task::{Cancelled, Task};
use crate::volume::{Spectrum, Volume, correlation};

use model::{Data, Equations, Filter, Model, Shown};
use operations::{Operation, operations};

pub use pseudo::{PseudoSymmetry, PseudoSymmetryOptions, equivalents, pseudo_symmetry};

/// Options of [`break_symmetry`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakOptions {
    /// Resolution of the comparison \[Å\]; default 1.67.
    pub low_pass: f64,
    /// Independent starts, at most; no more are made once one agrees with the best; default 6.
    pub starts: usize,
    /// Rounds of expectation and maximisation; default 14.
    pub iterations: usize,
    /// Images used, those with the best scores; default 400.
    pub images: usize,
    /// Inverse temperature of the first round; default 0.06.
    pub first_beta: f64,
    /// Inverse temperature from four fifths of the rounds on; default 0.6.
    pub last_beta: f64,
    /// Largest translation of the particle that an operation may bring \[Å\]; default 1.0.
    pub max_offset: f64,
    /// Share of the inner sites that an operation has to take to sites; default 0.85.
    pub closure: f64,
    /// Seed of the first start; default 1.
    pub seed: u64,
}

impl Default for BreakOptions {
    fn default() -> Self {
        Self {
            low_pass: 1.67,
            starts: 6,
            iterations: 14,
            images: 400,
            first_beta: 0.06,
            last_beta: 0.6,
            max_offset: 1.0,
            closure: 0.85,
            seed: 1,
        }
    }
}

/// Outcome of [`break_symmetry`].
#[derive(Debug, Clone)]
pub struct BrokenSymmetry {
    /// Poses of all images.
    pub poses: Poses,
    /// The best start's density.
    pub volume: Volume,
    /// Amplitude of each site, in the best start.
    pub amplitudes: Vec<f32>,
    /// Number of operations the poses were known up to.
    pub operations: usize,
    /// Mean score after each round of each start: log-likelihood gain over an empty image.
    pub histories: Vec<Vec<f64>>,
    /// Index of the best start.
    pub best: usize,
    /// Highest correlation of what breaks the symmetry in the best start with what does in another, each found with one half of the images in the end;
    /// none if there was one start only, or nothing breaks the symmetry.
    pub agreement: Option<f64>,
}

/// Fraction of the rounds after which the temperature stays.
const COLDEST_AT: f64 = 0.8;
/// Fraction of the rounds after which poses are refined in every second round.
const REFINE_AT: f64 = 0.85;
/// Correlation of what breaks the symmetry from which two starts have found the same.
const SAME: f64 = 0.9;
/// Width of the soft rim of the first amplitudes \[Å\].
const RIM: f64 = 0.8;
/// Fewest images from which anything can be found.
const FEWEST_IMAGES: usize = 20;
/// More sites than this need more memory and time than a start is worth.
const MOST_SITES: usize = 8000;

/// Finds which of the lattice's operations each image's pose needs.
///
/// `sites` are the lattice's sites in a sphere somewhat larger than the particle, with the elements that an ideal lattice has there; `poses`, one an
/// image, are right up to the operations that map the sites onto themselves.
///
/// # Errors
/// If numbers of images and poses differ, there are too few images or sites, the limit is finer than the images carry, or an option makes no sense.
pub fn break_symmetry(
    particles: &Particles,
    sites: &Structure,
    poses: &Poses,
    options: &BreakOptions,
    task: &Task,
) -> Result<BrokenSymmetry, Error> {
    check(particles, sites, poses, options)?;
    memory::require(Equations::bytes(sites.len()) as f64, "the equations of so many sites")?;
    let known = Known::new(particles, sites, poses, options, task)?;
    let chosen = known.best_images(options.images);
    let first = known.first_model(particles, sites, poses);
    // where nothing has to be told apart one start is as good as many
    let most = if known.operations.len() > 1 { options.starts } else { 1 };
    let stage = task.stage("break symmetry", most * options.iterations);
    let mut starts: Vec<Start> = Vec::new();
    let (mut best, mut agreement) = (0, None);
    for seed in (options.seed..).take(most) {
        let mut start = Start::new(&known, &first, &chosen, seed);
        for round in 0..options.iterations {
            start.round(&known, round, options, task)?;
            stage.advance(1)?;
        }
        starts.push(start);
        best = (0..starts.len()).max_by(|&a, &b| starts[a].score().total_cmp(&starts[b].score())).expect("one was run");
        agreement = known.agreement(&starts, best);
        if agreement.is_some_and(|agreement| agreement > SAME) {
            stage.advance((most - starts.len()) * options.iterations)?;
            break;
        }
    }
    let (poses, volume) = starts[best].conclude(&known, options, task)?;
    Ok(BrokenSymmetry {
        poses,
        volume,
        amplitudes: starts[best].models[0].amplitudes.clone(),
        operations: known.operations.len(),
        histories: starts.into_iter().map(|start| start.history).collect(),
        best,
        agreement,
    })
}

fn check_operations(max_offset: f64, closure: f64) -> Result<(), Error> {
    check_not_negative("max_offset", max_offset)?;
    if closure > 0.0 && closure <= 1.0 {
        return Ok(());
    }
    Err(Error::Option { name: "closure", range: "above 0 and at most 1", value: closure })
}

fn check_sites(sites: &Structure) -> Result<(), Error> {
    if (2..=MOST_SITES).contains(&sites.len()) {
        return Ok(());
    }
    Err(Error::Option { name: "the number of sites", range: "from 2 to 8000", value: sites.len() as f64 })
}

fn check(particles: &Particles, sites: &Structure, poses: &Poses, options: &BreakOptions) -> Result<(), Error> {
    particles.check_limit(options.low_pass)?;
    if particles.len() != poses.len() {
        return Err(crate::volume::Error::PoseCount { images: particles.len(), poses: poses.len() }.into());
    }
    let images = particles.len().min(options.images);
    if images < FEWEST_IMAGES {
        return Err(Error::TooFewImages { images, needed: FEWEST_IMAGES });
    }
    check_sites(sites)?;
    check_count("starts", options.starts, 1000, "from 1 to 1000")?;
    check_count("iterations", options.iterations, 100_000, "from 1 to 100000")?;
    check_positive("first_beta", options.first_beta)?;
    check_positive("last_beta", options.last_beta)?;
    check_operations(options.max_offset, options.closure)
}

/// What all starts share.
struct Known<'a> {
    particles: &'a Particles,
    data: Data,
    filter: Filter,
    equations: Equations,
    sites: Vec<Point3<f64>>,
    operations: Vec<Operation>,
    /// The proper rotations among the operations, and which of them each operation has: what is seen through it has the same strength.
    rotations: Vec<UnitQuaternion<f64>>,
    rotation_of: Vec<usize>,
    poses: Poses,
    sphere: Sphere,
}

impl<'a> Known<'a> {
    fn new(
        particles: &'a Particles,
        sites: &Structure,
        poses: &Poses,
        options: &BreakOptions,
        task: &Task,
    ) -> Result<Self, Cancelled> {
        let sites: Vec<Point3<f64>> = sites.atoms().iter().map(|atom| atom.position).collect();
        let operations = operations(&sites, options.max_offset, options.closure);
        let (mut rotations, mut rotation_of) = (Vec::<UnitQuaternion<f64>>::new(), Vec::new());
        for operation in &operations {
            let rotation = operation.rotation;
            let known = rotations.iter().position(|other| other.angle_to(&rotation) < 1e-4);
            rotation_of.push(known.unwrap_or_else(|| {
                rotations.push(rotation);
                rotations.len() - 1
            }));
        }
        let data = Data::new(particles, options.low_pass, task)?;
        let (filter, equations) = (Filter::new(&data), Equations::new(&sites));
        Ok(Self {
            particles,
            data,
            filter,
            equations,
            sites,
            operations,
            rotations,
            rotation_of,
            poses: poses.clone(),
            sphere: Sphere::new(),
        })
    }

    /// The images that the ideal lattice explains best, in the order of the stack.
    fn best_images(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.poses.len()).collect();
        order.sort_by(|&a, &b| self.poses.scores()[b].total_cmp(&self.poses.scores()[a]));
        order.truncate(count);
        order.sort_unstable();
        order
    }

    /// The ideal lattice within a soft sphere of the particle's diameter, as strong as the images.
    fn first_model(&self, particles: &Particles, sites: &Structure, poses: &Poses) -> Model {
        let radius = particles.diameter() / 2.0 + RIM;
        let amplitudes: Vec<f32> = sites
            .atoms()
            .iter()
            .map(|atom| {
                let rim = ((radius - atom.position.coords.norm()) / RIM).clamp(0.0, 1.0);
                (rim * f64::from(atom.element.atomic_number()) / 50.0) as f32
            })
            .collect();
        let spectrum = self.data.spectrum(&self.sites, &amplitudes);
        let transfer = self.data.transfer_by_power(&spectrum, poses.as_slice());
        Model { amplitudes, transfer }
    }

    /// Scores of all operations for an image at `pose`, and what it shows at the sites.
    fn scores(&self, seer: &Seer, image: usize, pose: &Pose) -> (Vec<f32>, Vec<f32>) {
        let seen = self.data.seen_at_sites(&self.sites, &seer.model.transfer, image, pose, &self.filter);
        let norms: Vec<f32> = self
            .rotations
            .iter()
            .map(|rotation| {
                let matrix = (pose.rotation * rotation).to_rotation_matrix().into_inner();
                self.data.norm(&seer.spectrum, &seer.model.transfer, &matrix)
            })
            .collect();
        let scores = seer.permuted.iter().zip(&self.rotation_of).map(|(amplitudes, &rotation)| {
            let overlap: f32 = amplitudes.iter().zip(&seen).map(|(a, b)| a * b).sum();
            2.0 * overlap - norms[rotation]
        });
        (scores.collect(), seen)
    }

    /// Amplitudes as each operation carries them: what sits at each place.
    fn permuted(&self, amplitudes: &[f32]) -> Vec<Vec<f32>> {
        let carried = |operation: &Operation| {
            let mut places = vec![0.0; amplitudes.len()];
            for (amplitude, image) in amplitudes.iter().zip(&operation.image) {
                if let Some(image) = image {
                    places[*image] += amplitude;
                }
            }
            places
        };
        self.operations.iter().map(carried).collect()
    }

    /// What of the amplitudes the operations change.
    fn breaking_part(&self, amplitudes: &[f32]) -> Vec<f32> {
        let (mut sums, mut counts) = (vec![0.0f32; amplitudes.len()], vec![0.0f32; amplitudes.len()]);
        for operation in &self.operations {
            for (amplitude, image) in amplitudes.iter().zip(&operation.image) {
                if let Some(image) = image {
                    sums[*image] += amplitude;
                    counts[*image] += 1.0;
                }
            }
        }
        amplitudes
            .iter()
            .zip(sums.iter().zip(counts))
            .map(|(amplitude, (sum, count))| amplitude - sum / count.max(1.0))
            .collect()
    }

    /// How well the best start's symmetry-breaking part agrees with any other's, carried by the operation that suits it best.
    fn agreement(&self, starts: &[Start], best: usize) -> Option<f64> {
        let found = self.breaking_part(&starts[best].models[0].amplitudes);
        let others = starts.iter().enumerate().filter(|(index, _)| *index != best);
        let agreements = others.flat_map(|(_, other)| {
            let carried = self.permuted(&self.breaking_part(&other.models[1].amplitudes));
            carried.into_iter().filter_map(|carried| correlation(found.iter(), carried.iter())).collect::<Vec<_>>()
        });
        agreements.max_by(f64::total_cmp)
    }
}

/// A model made ready to be compared with images.
struct Seer<'a> {
    model: &'a Model,
    spectrum: Spectrum,
    permuted: Vec<Vec<f32>>,
}

impl<'a> Seer<'a> {
    fn new(known: &Known, model: &'a Model) -> Self {
        let spectrum = known.data.spectrum(&known.sites, &model.amplitudes);
        Self { model, spectrum, permuted: known.permuted(&model.amplitudes) }
    }
}

/// What one half of the images gave in the last round.
#[derive(Clone, Default)]
struct Half {
    images: Vec<usize>,
    /// Poses known up to the operations.
    poses: Vec<Pose>,
    /// The poses that were taken for right.
    taken: Vec<Pose>,
    /// Sum over the images of what they show at the sites, weighed over the operations.
    seen: Vec<f32>,
    /// The transfer function with which they were looked at.
    transfer: Vec<f32>,
    /// Mean score of the heaviest operations, in the first round of those drawn.
    score: f64,
}

/// One independent start.
struct Start {
    seed: u64,
    halves: [Half; 2],
    /// Model that each half is compared with: made from the other.
    models: [Model; 2],
    mean: f32,
    history: Vec<f64>,
}

impl Start {
    fn new(known: &Known, first: &Model, chosen: &[usize], seed: u64) -> Self {
        let half = |first: usize| {
            let images: Vec<usize> = chosen.iter().copied().skip(first).step_by(2).collect();
            let poses: Vec<Pose> = images.iter().map(|&image| known.poses.as_slice()[image]).collect();
            Half { taken: poses.clone(), images, poses, ..Half::default() }
        };
        let mean = first.amplitudes.iter().sum::<f32>() / first.amplitudes.len() as f32;
        let models = [first.clone(), first.clone()];
        Self { seed, halves: [half(0), half(1)], models, mean, history: Vec::new() }
    }

    fn score(&self) -> f64 {
        self.history.last().copied().unwrap_or(f64::MIN)
    }

    fn round(&mut self, known: &Known, round: usize, options: &BreakOptions, task: &Task) -> Result<(), Error> {
        let progress = round as f64 / options.iterations as f64;
        let cooling = (progress / COLDEST_AT).min(1.0);
        let beta = options.first_beta * (options.last_beta / options.first_beta).powf(cooling);
        for half in 0..2 {
            let other = &self.halves[1 - half];
            if !other.seen.is_empty() {
                self.models[half] = self.model_of(known, other, &self.models[half]);
            }
            let model = &self.models[half];
            if progress >= REFINE_AT && round.is_multiple_of(2) {
                let refined = refined(known, &self.halves[half], model, options, task)?;
                self.halves[half].poses = refined;
            }
            let draw = (round == 0).then_some(self.seed);
            self.halves[half] = expect(known, &self.halves[half], model, beta as f32, draw, task)?;
        }
        self.history.push(0.5 * (self.halves[0].score + self.halves[1].score));
        Ok(())
    }

    /// The model that a half's images ask for.
    fn model_of(&self, known: &Known, half: &Half, last: &Model) -> Model {
        let (data, filter) = (&known.data, &known.filter);
        let shown = Shown { seen: &half.seen, images: half.images.len(), transfer: &half.transfer };
        let amplitudes = known.equations.solve(data, filter, &shown, &last.amplitudes, self.mean);
        let spectrum = data.spectrum(&known.sites, &amplitudes);
        let transfer = data.transfer_by_fit(&spectrum, &half.images, &half.taken);
        Model { amplitudes, transfer }
    }

    /// Poses of all images, those that took no part as well, and the density.
    fn conclude(&self, known: &Known, options: &BreakOptions, task: &Task) -> Result<(Poses, Volume), Error> {
        let mut poses = known.poses.as_slice().to_vec();
        let mut half_of = vec![0; poses.len()];
        for (index, half) in self.halves.iter().enumerate() {
            for (&image, pose) in half.images.iter().zip(&half.poses) {
                (poses[image], half_of[image]) = (*pose, index);
            }
        }
        let seers = [Seer::new(known, &self.models[0]), Seer::new(known, &self.models[1])];
        let best: Vec<Pose> = poses
            .par_iter()
            .enumerate()
            .map(|(image, pose)| {
                let scores = known.scores(&seers[half_of[image]], image, pose).0;
                known.operations[highest(&scores)].moved(pose)
            })
            .collect();
        let volume = known.data.volume(&known.sites, &self.models[0]);
        let options = RefineOptions { low_pass: options.low_pass, steps: 6, ..RefineOptions::default() };
        let densities = [volume.clone()];
        let refined = refine(known.particles, &densities, &Poses::unscored(best), &options, &task.unseen())?;
        Ok((refined.poses, volume))
    }
}

/// Poses of a half's images, those that were taken for right, refined against a model.
fn refined(known: &Known, half: &Half, model: &Model, options: &BreakOptions, task: &Task) -> Result<Vec<Pose>, Error> {
    let volume = known.data.volume(&known.sites, model);
    let options = RefineOptions { low_pass: options.low_pass, ..RefineOptions::default() };
    let particles = known.particles.select(&half.images);
    let poses = Poses::unscored(half.taken.clone());
    Ok(refine(&particles, &[volume], &poses, &options, &task.unseen())?.poses.as_slice().to_vec())
}

/// Weighs the operations for every image of a half; with `draw` one operation is drawn at random for each.
fn expect(known: &Known, half: &Half, model: &Model, beta: f32, draw: Option<u64>, task: &Task) -> Result<Half, Error> {
    let seer = Seer::new(known, model);
    let of_image = |(&image, pose): (&usize, &Pose)| {
        task.check()?;
        let (scores, seen) = known.scores(&seer, image, pose);
        let cell = |operation: &Operation| known.sphere.cell_of(&operation.moved(pose).viewing_direction());
        let hypotheses: Vec<(f32, usize)> = scores.into_iter().zip(known.operations.iter().map(cell)).collect();
        Ok((hypotheses, seen))
    };
    let compared = half.images.par_iter().zip(&half.poses).map(of_image).collect::<Result<Vec<_>, Cancelled>>()?;
    let (hypotheses, shown): (Vec<_>, Vec<_>) = compared.into_iter().unzip();
    let mut weights = known.sphere.weights(&hypotheses, beta);
    if let Some(seed) = draw {
        for (weights, &image) in weights.iter_mut().zip(&half.images) {
            let taken = index_at(weights, random::stream(seed, "break symmetry", image as u64).random());
            weights.iter_mut().enumerate().for_each(|(index, weight)| *weight = f32::from(index == taken));
        }
    }
    let mut seen = vec![0.0f32; known.sites.len()];
    let (mut taken, mut score) = (Vec::new(), 0.0);
    for (((weights, shown), hypotheses), pose) in weights.iter().zip(&shown).zip(&hypotheses).zip(&half.poses) {
        for (operation, &weight) in known.operations.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            for (sum, image) in seen.iter_mut().zip(&operation.image) {
                if let Some(image) = image {
                    *sum += weight * shown[*image];
                }
            }
        }
        let heaviest = highest(weights);
        taken.push(known.operations[heaviest].moved(pose));
        score += f64::from(hypotheses[heaviest].0);
    }
    Ok(Half {
        images: half.images.clone(),
        poses: half.poses.clone(),
        taken,
        seen,
        transfer: model.transfer.clone(),
        score: score / half.images.len().max(1) as f64,
    })
}

/// Index of the highest score.
fn highest(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("the identity is an operation")
}
