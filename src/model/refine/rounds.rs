//! The rounds of a refinement: transfers, poses and positions in turn.

use std::ops::Range;

use nalgebra::DVector;
use rayon::prelude::*;

use super::curvature::{Curvature, Matrix, SHAPES, Unknowns, WITH_AMPLITUDES, WITH_B_FACTORS};
use super::forward::{Coupling, Forward, Request, Workspace, stepped};
use super::quasi_newton::QuasiNewton;
use super::rings::{AMPLITUDE, B_FACTOR, Rings};
use super::transfer::{Equations, Transfers};
use super::views::Views;
use super::waves::Atoms;
use super::{RefineOptions, TransferCurve, together};
use crate::fourier::Complex32;
use crate::microscope::electron::wavelength;
use crate::model::Peak;
use crate::orient::{Matrix5, contrasts, robust_weights};
use crate::pose::{Pose, Poses};
use crate::structure::Element;
use crate::task::{Cancelled, Task};

/// Images that tell how much the poses give way to.
const GIVING_WAY: usize = 128;
/// Images a thread takes at a time; fixed, so that sums do not depend on threads.
const CHUNK: usize = 8;
/// Farthest an atom moves in one round \[Å\].
const LONGEST_STEP: f64 = 0.3;
/// Largest change of a B factor in one round, and largest B factor above the others' \[Å²\].
const LARGEST_B: (f64, f64) = (1.0, 5.0);
/// Standard deviation of the B factors of all atoms from each other, before the images are asked \[Å²\], where strengths are to tell the elements apart: atoms at a
/// surface have up to a few times the B of those in the core, which is 0.3 to 0.8 Å² in most metals.
const LIKELY_B: f64 = 0.5;
/// And where the elements are known: it only keeps back those of which the images say nothing. A narrow one for each atom would speak against a slow rise from core to
/// surface more than any image could.
const POSSIBLE_B: f64 = 5.0;
/// Steps of amplitudes and B factors that [`State::strengths`] takes.
const SHAPE_STEPS: usize = 2;

/// What is refined.
#[derive(Clone)]
pub struct State<'a> {
    views: &'a Views,
    task: &'a Task,
    wavelength: f64,
    refine_poses: bool,
    max_shift: f64,
    atoms: Atoms,
    unknowns: Unknowns,
    transfers: Transfers,
    /// Of the positions, as it was when last asked for.
    curvature: Option<Curvature>,
    memory: QuasiNewton,
    pub poses: Vec<Pose>,
    scales: Vec<f64>,
    pub weights: Vec<f64>,
    pub chi2: Vec<f64>,
}

/// What a round has done.
pub struct Round {
    /// Change of the positions, root mean square over the atoms \[Å\].
    pub step: f64,
    /// Log-likelihood that it promised to gain, where what the model leaves of the images, noise or not, is taken for noise.
    pub gain: f64,
}

/// An image after its pose was improved.
struct Improved {
    pose: Pose,
    scale: f64,
    chi2: f64,
}

impl<'a> State<'a> {
    pub fn new(views: &'a Views, atoms: Atoms, poses: &Poses, options: &RefineOptions, task: &'a Task) -> Self {
        let images = views.len();
        Self {
            views,
            task,
            wavelength: wavelength(options.energy),
            refine_poses: options.refine_poses,
            max_shift: options.max_shift,
            transfers: Equations::new(views, atoms.groups.len()).solve(&views.ring_weights()),
            atoms,
            unknowns: WITH_AMPLITUDES,
            curvature: None,
            memory: QuasiNewton::default(),
            poses: poses.as_slice().to_vec(),
            scales: vec![1.0; images],
            weights: vec![1.0; images],
            chi2: vec![1.0; images],
        }
    }

    /// Goes on with these atoms, and finds their B factors.
    pub fn take(&mut self, atoms: Atoms) {
        self.atoms = atoms;
        self.unknowns = WITH_B_FACTORS;
        self.curvature = None;
        self.memory = QuasiNewton::default();
    }

    /// Strength of each atom in units of its group's.
    pub fn amplitudes(&self) -> &[f64] {
        &self.atoms.amplitudes
    }

    /// Transfers, poses, contrasts, then positions; and strengths, while all atoms share one transfer, B factors after that.
    pub fn round(&mut self) -> Result<Round, Cancelled> {
        let request = self.follow()?;
        // the curvature hardly changes from round to round
        let curvature = match self.curvature.take() {
            Some(curvature) => curvature,
            None => self.curved()?,
        };
        let count = self.atoms.len();
        let shape_slopes = match self.unknowns {
            WITH_AMPLITUDES => request.amplitudes,
            _ => self.b_slopes(&request, POSSIBLE_B),
        };
        let slopes =
            request.positions.iter().zip(shape_slopes).flat_map(|(slope, shape)| [slope.x, slope.y, slope.z, shape]);
        let gradient = DVector::from_vec(slopes.collect());
        let mut step = self.memory.step(&gradient, |gradient| curvature.step(gradient));
        let square = |step: &DVector<f64>, atom: usize| step.fixed_rows::<3>(4 * atom).norm_squared();
        let longest = (0..count).map(|atom| square(&step, atom)).fold(0.0, f64::max).sqrt();
        if longest > LONGEST_STEP {
            step *= LONGEST_STEP / longest;
        }
        let gain = 0.5 * gradient.dot(&step) / self.left().max(1.0);
        for (atom, position) in self.atoms.positions.iter_mut().enumerate() {
            *position += step.fixed_rows::<3>(4 * atom);
        }
        let shapes: Vec<f64> = step.iter().skip(3).step_by(4).copied().collect();
        let taken = match self.unknowns {
            WITH_AMPLITUDES => self.strengthen(&shapes),
            _ => self.blur(&shapes),
        };
        // what was held back would tell the next steps of a curvature that is not there
        taken.iter().enumerate().for_each(|(atom, shape)| step[4 * atom + 3] = *shape);
        let mean = (0..count).map(|atom| square(&step, atom)).sum::<f64>() / count as f64;
        self.memory.taken(step, gradient);
        self.curvature = Some(curvature);
        Ok(Round { step: mean.sqrt(), gain })
    }

    /// Mean square of what is left of the images, in units of the expected noise.
    fn left(&self) -> f64 {
        let sum: f64 = self.chi2.iter().zip(&self.weights).map(|(chi2, weight)| chi2 * weight).sum();
        sum / self.weights.iter().sum::<f64>()
    }

    /// Brings all but the positions to where they belong, and gives the bound of the positions [Å].
    pub fn settle(&mut self) -> Result<f64, Cancelled> {
        self.follow()?;
        self.curvature = Some(self.curved()?);
        Ok(self.bound())
    }

    /// How strong each atom is by the images alone, in units of their mean, with standard deviations. All share one transfer again and begin as they were `before`
    /// they were told apart: what an atom was taken for says nothing. Nor does the noise towards which its place was moved (`without_gain_of_place`).
    pub fn strengths(&self, before: &[Peak]) -> Result<(Vec<f64>, Vec<f64>), Cancelled> {
        let mut alike = self.clone();
        alike.take(Atoms { positions: self.atoms.positions.clone(), ..together(before) });
        let mut known = None;
        for _ in 0..SHAPE_STEPS {
            alike.transfers = alike.equations()?.solve(&self.views.ring_weights());
            let request = alike.asked()?;
            let curvature = known.get_or_insert_with(|| {
                Matrix::mean(&alike.atoms, &alike.rings(), SHAPES)
                    .held(&alike.atoms)
                    .expecting(LIKELY_B)
                    .solved(self.views.redundancy)
            });
            let b_slopes = alike.b_slopes(&request, LIKELY_B);
            let gradient = request.amplitudes.iter().zip(b_slopes).flat_map(|(a, b)| [*a, b]).collect();
            let step = curvature.step(&DVector::from_vec(gradient));
            let of = |i: usize| step.iter().skip(i).step_by(2).copied().collect::<Vec<f64>>();
            alike.strengthen(&of(0));
            alike.blur(&of(1));
        }
        let deviations = known.map(|curvature| curvature.deviations(AMPLITUDE)).unwrap_or_default();
        let found = alike.atoms.amplitudes.iter().zip(&deviations);
        Ok((found.map(|(&strength, &deviation)| without_gain_of_place(strength, deviation)).collect(), deviations))
    }

    /// Root mean square error in space that the noise allows \[Å\]; not a number if it is not known.
    fn bound(&self) -> f64 {
        let Some(curvature) = &self.curvature else { return f64::NAN };
        let deviations = curvature.position_deviations();
        (3.0 * deviations.iter().map(|sigma| sigma * sigma).sum::<f64>() / deviations.len() as f64).sqrt()
    }

    /// Adds to the strengths, whose mean in each group stays 1; gives how much they changed.
    fn strengthen(&mut self, change: &[f64]) -> Vec<f64> {
        let Atoms { amplitudes, groups, .. } = &mut self.atoms;
        let before = amplitudes.clone();
        amplitudes.iter_mut().zip(change).for_each(|(amplitude, change)| *amplitude = (*amplitude + change).max(0.0));
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let strengths = &mut amplitudes[group.clone()];
            let mean = strengths.iter().sum::<f64>() / strengths.len() as f64;
            if mean > 0.0 {
                strengths.iter_mut().for_each(|strength| *strength /= mean);
            }
        }
        amplitudes.iter().zip(before).map(|(after, before)| after - before).collect()
    }

    /// Gradient with respect to the B factors, which are expected to be 0 with a standard deviation of `spread`.
    fn b_slopes(&self, request: &Request, spread: f64) -> Vec<f64> {
        request.b_factors.iter().zip(&self.atoms.b_factors).map(|(asked, b)| asked - b / (spread * spread)).collect()
    }

    /// Adds to the B factors, whose mean in each group stays 0; gives how much they changed.
    fn blur(&mut self, change: &[f64]) -> Vec<f64> {
        let Atoms { b_factors, groups, .. } = &mut self.atoms;
        let before = b_factors.clone();
        let (step, largest) = LARGEST_B;
        for (b, change) in b_factors.iter_mut().zip(change) {
            *b = (*b + change.clamp(-step, step)).clamp(-largest, largest);
        }
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let mean = b_factors[group.clone()].iter().sum::<f64>() / group.len() as f64;
            b_factors[group.clone()].iter_mut().for_each(|b| *b -= mean);
        }
        b_factors.iter().zip(before).map(|(after, before)| after - before).collect()
    }

    fn workspace(&self) -> Workspace {
        Workspace::new(self.atoms.len(), self.views, self.wavelength)
    }

    /// Transfers for the atoms, then poses and contrasts. Gives what all images together ask of the atoms.
    fn follow(&mut self) -> Result<Request, Cancelled> {
        self.transfers = self.equations()?.solve(&self.views.ring_weights());
        let (improved, request) = self.improved()?;
        self.poses = improved.iter().map(|image| image.pose).collect();
        self.chi2 = improved.iter().map(|image| image.chi2).collect();
        self.scales = contrasts(improved.iter().map(|image| image.scale).collect());
        self.weights = robust_weights(&self.chi2);
        Ok(request)
    }

    /// What `work` makes of the images, some at a time, in their order; sums within do not depend on threads.
    fn in_chunks<T: Send>(&self, work: impl Fn(&mut Workspace, Range<usize>) -> T + Sync) -> Result<Vec<T>, Cancelled> {
        let images = self.views.len();
        let of_chunk = |workspace: &mut Workspace, chunk: usize| {
            self.task.check()?;
            Ok(work(workspace, chunk * CHUNK..images.min((chunk + 1) * CHUNK)))
        };
        (0..images.div_ceil(CHUNK)).into_par_iter().map_init(|| self.workspace(), of_chunk).collect()
    }

    fn equations(&self) -> Result<Equations, Cancelled> {
        let groups = self.atoms.groups.len();
        let square = self.views.width() * self.views.width();
        let parts = self.in_chunks(|workspace, images| {
            let mut equations = Equations::new(self.views, groups);
            let mut factors = vec![vec![Complex32::default(); square]; groups];
            for image in images {
                workspace.waves.set(&self.atoms, &self.poses[image], self.views);
                for (group, factors) in factors.iter_mut().enumerate() {
                    workspace.waves.sum(&self.atoms, group, false);
                    factors.copy_from_slice(&workspace.waves.sums.as_slice().expect("contiguous")[..square]);
                }
                equations.add(self.views, image, &factors, self.scales[image], self.weights[image]);
            }
            equations
        })?;
        Ok(parts.iter().fold(Equations::new(self.views, groups), Equations::merge))
    }

    /// Every image at a better pose, or the same where a step does not make it better; and what they ask of the atoms.
    fn improved(&self) -> Result<(Vec<Improved>, Request), Cancelled> {
        let model = Forward::new(self.views, &self.atoms, &self.transfers);
        let blurred = self.unknowns == WITH_B_FACTORS;
        let improve = |workspace: &mut Workspace, image: usize, sum: &mut Request| {
            let mut pose = self.poses[image];
            model.show(&pose, self.refine_poses, workspace);
            let scale = model.contrast(image, workspace).max(0.0);
            let mut chi2 = model.subtract(image, scale, workspace);
            let step = || stepped(&pose, &model.normal(scale, workspace), self.max_shift);
            if let Some(better) = self.refine_poses.then(step).flatten() {
                model.show(&better, false, workspace);
                let then = model.subtract(image, scale, workspace);
                if then < chi2 {
                    (pose, chi2) = (better, then);
                } else {
                    model.show(&pose, false, workspace);
                    model.subtract(image, scale, workspace);
                }
            }
            sum.add(&model.request(&pose, scale, blurred, workspace), self.weights[image]);
            Improved { pose, scale, chi2 }
        };
        let parts = self.in_chunks(|workspace, images| {
            let mut sum = Request::nothing(self.atoms.len());
            let improved: Vec<Improved> = images.map(|image| improve(workspace, image, &mut sum)).collect();
            (improved, sum)
        })?;
        let mut request = Request::nothing(self.atoms.len());
        parts.iter().for_each(|(_, part)| request.add(part, 1.0));
        Ok((parts.into_iter().flat_map(|(improved, _)| improved).collect(), request))
    }

    /// What all images together ask of the atoms, with their B factors, at the poses as they are.
    fn asked(&self) -> Result<Request, Cancelled> {
        let model = Forward::new(self.views, &self.atoms, &self.transfers);
        let parts = self.in_chunks(|workspace, images| {
            let mut sum = Request::nothing(self.atoms.len());
            for image in images {
                let pose = &self.poses[image];
                model.show(pose, false, workspace);
                let scale = model.contrast(image, workspace).max(0.0);
                model.subtract(image, scale, workspace);
                sum.add(&model.request(pose, scale, true, workspace), self.weights[image]);
            }
            sum
        })?;
        let mut request = Request::nothing(self.atoms.len());
        parts.iter().for_each(|part| request.add(part, 1.0));
        Ok(request)
    }

    /// Curvature of the likelihood at the atoms and poses as they are.
    fn curved(&self) -> Result<Curvature, Cancelled> {
        let mut matrix = Matrix::mean(&self.atoms, &self.rings(), self.unknowns);
        if self.refine_poses {
            let (coupled, share) = self.coupled()?;
            matrix = matrix.giving_way(&coupled, share).at_rest(&self.atoms);
        }
        Ok(matrix.held(&self.atoms).expecting(POSSIBLE_B).solved(self.views.redundancy))
    }

    /// How atoms and poses hang together in some images, and for how many times as many they stand.
    fn coupled(&self) -> Result<(Vec<(Coupling, Matrix5)>, f64), Cancelled> {
        let model = Forward::new(self.views, &self.atoms, &self.transfers);
        let stride = self.views.len().div_ceil(GIVING_WAY).max(1);
        let chosen: Vec<usize> = (0..self.views.len()).step_by(stride).collect();
        let couple = |workspace: &mut Workspace, image: usize| -> Result<(Coupling, Matrix5), Cancelled> {
            self.task.check()?;
            model.show(&self.poses[image], true, workspace);
            let normal = model.normal(self.scales[image], workspace).matrix;
            Ok((
                model.coupling(&self.poses[image], self.scales[image], self.unknowns[3] == B_FACTOR, workspace),
                normal,
            ))
        };
        let coupled: Vec<_> = chosen
            .par_iter()
            .map_init(|| self.workspace(), |workspace, &image| couple(workspace, image))
            .collect::<Result<_, _>>()?;
        let chosen: f64 = chosen.iter().map(|&image| self.scales[image] * self.scales[image]).sum();
        Ok((coupled, self.power() / chosen))
    }

    /// Sum of all images' squared contrasts, weighted.
    fn power(&self) -> f64 {
        self.weights.iter().zip(&self.scales).map(|(weight, scale)| weight * scale * scale).sum()
    }

    fn rings(&self) -> Rings {
        Rings::new(self.views, &self.atoms, &self.transfers, self.wavelength, self.power())
    }

    /// The atoms as peaks of these intensities; what is not refined is from `before`.
    pub fn peaks(&self, before: &[Peak], intensities: &[f64]) -> Vec<Peak> {
        let known = self.curvature.as_ref();
        let places = known.map(Curvature::position_deviations);
        let b_factors = known.filter(|_| self.unknowns == WITH_B_FACTORS).map(|known| known.deviations(B_FACTOR));
        let peak = |(i, before): (usize, &Peak)| Peak {
            position: self.atoms.positions[i].into(),
            intensity: intensities[i],
            deviation: places.as_ref().map(|sigmas| sigmas[i]),
            b_factor: b_factors.as_ref().map(|sigmas| [self.atoms.b_factors[i], sigmas[i]]),
            ..*before
        };
        before.iter().enumerate().map(peak).collect()
    }

    /// The transfer of each element.
    pub fn curves(&self, elements: &[Element]) -> Vec<TransferCurve> {
        let rings = self.views.ring_count();
        let redundancy = self.views.redundancy.sqrt();
        let deviations = |part: usize, group: usize| {
            self.transfers.deviations[part].column(group).iter().map(|deviation| deviation * redundancy).collect()
        };
        let curve = |(group, &element): (usize, &Element)| TransferCurve {
            element,
            frequencies: (0..rings).map(|ring| ring as f64 / self.views.edge).collect(),
            even: self.transfers.even.column(group).to_vec(),
            odd: self.transfers.odd.column(group).to_vec(),
            even_deviation: deviations(0, group),
            odd_deviation: deviations(1, group),
        };
        elements.iter().enumerate().map(curve).collect()
    }
}

/// The strength of an atom without what it gains from the noise by being where it seems strongest.
///
/// Twice the log-likelihood that an atom gains is its strength over the deviation, squared. Three coordinates that are fitted raise it by 3 in the mean (Wilks, Ann.
/// Math. Stat. 9 (1938) 60): nothing for bright atoms, but faint ones would seem to be of a heavier element.
fn without_gain_of_place(strength: f64, deviation: f64) -> f64 {
    (strength * strength - 3.0 * deviation * deviation).max(0.0).sqrt()
}
