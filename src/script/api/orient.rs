//! `orient::` how each image is turned: from nothing, by search, by refinement.

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use super::array;
use crate::images::Particles;
use crate::orient::{
    self, AbInitioOptions, BreakOptions, BrokenSymmetry, CandidateOptions, PseudoSymmetryOptions, RandomStart,
    RefineOptions, SearchOptions,
};
use crate::pose::Poses;
use crate::script::{ScriptResult, fault, options, run};
use crate::structure::Structure;
use crate::volume::Volume;

/// Options of `match_power`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MatchOptions {
    low_pass: f64,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self { low_pass: 1.0 }
    }
}

/// Orientations: from nothing, by search against a density, by continuous refinement.
#[export_module(manifest)]
pub mod api {
    /// Finds poses and a first density from random starts, by annealed expectation–maximisation or stochastic hill climbing.
    ///
    /// * `particles`: from `images.prepare`.
    /// * options: `low_pass` (Å, default 3.0), the resolution of the first density, coarser than the particle's first lattice spacing;
    ///   `method`, "annealing" (default) or "hill_climbing"; `starts` (default 1), run side by side, those that score lower than the best by more
    ///   than `give_up` (default 0.03) near the end are given up; `seed` (default 1) of the first; `iterations` (default 100); `batch` (default 100, 0 for
    ///   all), images drawn anew that take part in a round, all of them in the last rounds; `directions` on half the sphere in the last round (default
    ///   0: 0.3 `low_pass` apart at the particle's rim); `first_spread` (default 0.02), share of all hypotheses the weights spread over at
    ///   first; `last_perplexity` (default 3), their number in the end; `max_shift` (Å, default 0.8) of the
    ///   recentring; `images` (default 1000), used at most.
    ///
    /// Gives a map: `volume`, `poses` of the images used, `score` (mean log-likelihood gain, higher is better) and `history` of the score, all of the
    /// best start; `images` (indices of those used); `starts`, best first, each with `seed`, `score`, `history`, `given_up`, `volume`, `poses`. It is an
    /// error if there are fewer than 20 images or the limit is finer than they carry.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2.7 });
    /// let found = orient::ab_initio(particles, #{ low_pass: 3.3, iterations: 5, starts: 2, seed: 2 });
    /// print(found.starts.map(|start| start.score));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ab_initio(call: NativeCallContext, particles: Particles, options: Map) -> ScriptResult<Map> {
        let options: AbInitioOptions = options::parse(&call, &options)?;
        let found = run(&call, |task| orient::ab_initio(&particles, &options, task))?;
        let starts: Vec<Map> = found.starts.into_iter().map(start_map).collect();
        let mut map = starts[0].clone();
        map.insert("images".into(), found.images.iter().map(|&i| Dynamic::from(i as i64)).collect::<Array>().into());
        map.insert("starts".into(), starts.into_iter().map(Dynamic::from).collect::<Array>().into());
        Ok(map)
    }

    /// Finds the best pose of every image over all directions and in-plane angles of a density.
    ///
    /// * `particles`: from `images.prepare`. `density`: a Volume in the same units, from `volume::reconstruct` or `orient::ab_initio`.
    /// * options: `low_pass` (Å, default 2.7), resolution of the comparison; `directions` on half the sphere (default 0: half
    ///   `low_pass` apart at the particle's rim), in a `layout` ("spiral" or "equal_area", see `orient::directions`); `max_shift` (Å, default 0), tried in steps of `shift_step` (Å, default 0.5);
    ///   `symmetry` ("none", "cubic" or "hexagonal") of a lattice along the axes, of whose equivalent directions one is tried: no density can be
    ///   made of such poses before `orient::break_symmetry`.
    ///
    /// Scores of the poses are log-likelihood gains over an empty image.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 10, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2.7 });
    /// let density = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2.7 }).volume;
    /// let poses = orient::search(particles, density, #{ low_pass: 3.3, directions: 200 });
    /// print(orient::errors(poses, images.true_poses()));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn search(call: NativeCallContext, particles: Particles, density: Volume, options: Map) -> ScriptResult<Poses> {
        let options: SearchOptions = options::parse(&call, &options)?;
        run(&call, |task| orient::search(&particles, &density, &options, task))
    }

    /// Finds several poses of every image, far apart from each other, that a density explains well: for particles whose directions look alike.
    ///
    /// * `particles`, `density`: as for `search`.
    /// * options: `low_pass` (Å, default 2.2); `directions` on half the sphere (default 0: half `low_pass` apart at the particle's rim); `count` (default
    ///   8) poses an image; `apart` (°, default 8), least angle between two; `max_shift` (Å, default 0), tried in steps of `shift_step` (Å, default 0.5).
    ///
    /// Gives an array of Poses, the best of all images first, then the second best, and so on.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 10, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2.2 });
    /// let density = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2.2 }).volume;
    /// let ranks = orient::candidates(particles, density, #{ low_pass: 3, directions: 200, count: 3 });
    /// print(ranks[0].mean_score() - ranks[2].mean_score());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn candidates(
        call: NativeCallContext,
        particles: Particles,
        density: Volume,
        options: Map,
    ) -> ScriptResult<Array> {
        let options: CandidateOptions = options::parse(&call, &options)?;
        let ranks = run(&call, |task| orient::candidates(&particles, &density, &options, task))?;
        Ok(ranks.into_iter().map(Dynamic::from).collect())
    }

    /// Moves every pose to the best agreement with a density, by Levenberg–Marquardt on rotation and shift.
    ///
    /// * `densities`: an array with one Volume, or with the two `halves` of `volume::reconstruct`: each image then meets the half it
    ///   has not contributed to.
    /// * options: `low_pass` (Å, default 2.0), resolution of the comparison; `steps` (default 4; 0 only scores); `shifts` (default
    ///   true) refines them too; `max_shift` (Å, default 2.0); `scales` (default false) gives every image a contrast of its own;
    ///   `depth` (1/Å, default: found from all images at the poses given, for each frequency), part of the intensity that an atom gains with its height along
    ///   the beam; scores compare only where it was the same.
    ///
    /// Gives a map: `poses`; `depth`, its mean; `score`, the mean log-likelihood gain over an empty image; `chi2`, the mean squared residual in units of the
    /// noise (1 where only noise is left); `unexplained`, the share of the particle's signal that is left; and one number an image: `residuals` (χ²),
    /// `weights` (1 for most, falling to 0 for images that fit much worse than the others), `scales` (contrast in units of the median image's).
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 10, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2 });
    /// print(orient::refine(particles, [map.volume], images.true_poses(), #{ low_pass: 2 }).chi2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn refine(
        call: NativeCallContext,
        particles: Particles,
        densities: Array,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Map> {
        let options: RefineOptions = options::parse(&call, &options)?;
        let densities = volumes(densities)?;
        let refined = run(&call, |task| orient::refine(&particles, &densities, &poses, &options, task))?;
        let chi2 = refined.chi2.iter().sum::<f64>() / refined.chi2.len().max(1) as f64;
        Ok(Map::from([
            ("score".into(), refined.poses.mean_score().into()),
            ("poses".into(), Dynamic::from(refined.poses)),
            ("chi2".into(), chi2.into()),
            ("unexplained".into(), refined.unexplained.into()),
            ("depth".into(), refined.depth.into()),
            ("weights".into(), array(&refined.weights).into()),
            ("scales".into(), array(&refined.scales).into()),
            ("residuals".into(), array(&refined.chi2).into()),
        ]))
    }

    /// Tells the operations of a lattice apart: from poses that are right up to them to poses that belong together.
    ///
    /// By expectation–maximisation of one amplitude a lattice site. Each image is weighed over the operations that map the sites onto themselves, whatever
    /// element sits there, so that all viewing directions receive their share.
    ///
    /// * `particles`: from `images.prepare`. `sites`: a Structure, the ideal lattice in a sphere somewhat wider than the particle.
    /// * `poses`: one an image, found against the ideal lattice about the same centre.
    /// * options: `low_pass` (Å, default 1.67); `starts` (default 6) at most, none after one agrees with the best; `iterations` (default 14); `images`
    ///   (default 400), those with the best scores; `first_beta` (default 0.06) and `last_beta` (default 0.6), the inverse temperatures;
    ///   `max_offset` (Å, default 1.0), largest translation that an operation may bring, and `closure` (default 0.85), the share of the inner sites that it
    ///   has to take to sites; `seed` (default 1).
    ///
    /// Gives a map: `poses` (of all images, refined), `volume`, `amplitudes` (one a site), `operations` (their number), `score` (mean log-likelihood gain
    /// over an empty image), `gain` (score over that of the symmetric model), `starts` (`seed`, `score`, `gain` of each), `agreement` (correlation of what breaks
    /// the symmetry in the best start and in the one most like it, from one half of the images each; `()` if there was one start only).
    ///
    /// ```rhai
    /// let lattice = structure::fcc(["Fe", "Pt"], 3.82);
    /// let truth = lattice.sphere(15, #{ composition: [1, 1], seed: 3 });
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 30, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let broken = orient::break_symmetry(particles, lattice.sphere(16), images.true_poses(), #{ low_pass: 2, starts: 2, iterations: 4 });
    /// print(broken.operations);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn break_symmetry(
        call: NativeCallContext,
        particles: Particles,
        sites: Structure,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Map> {
        let options: BreakOptions = options::parse(&call, &options)?;
        let broken = run(&call, |task| orient::break_symmetry(&particles, &sites, &poses, &options, task))?;
        Ok(broken_map(broken, options.seed))
    }

    /// Finds the rotations and rotoinversions about the origin that a particle has, or almost has, whatever its elements.
    ///
    /// Poses of a particle that almost has an operation are easily wrong by it. What it takes to a place without an atom is then seen at both,
    /// fainter; `break_symmetry` on the `sites` tells which is right.
    ///
    /// * `atoms`: a Structure.
    /// * options: `closure` (default 0.85), the share of the inner atoms that an operation has to take to atoms; `max_offset` (Å, default 1.0), the largest
    ///   translation that it may bring.
    ///
    /// Gives a map: `operations`, their number, 1 for the identity alone; `closure`, the least share that one of them takes to atoms; `sites`, a
    /// Structure: the atoms, and the places without one that the operations take them to.
    ///
    /// ```rhai
    /// let sphere = structure::fcc(["Pt"], 3.92).sphere(15);
    /// print(orient::pseudo_symmetry(sphere, #{ closure: 0.9 }).operations);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pseudo_symmetry(call: NativeCallContext, atoms: Structure, options: Map) -> ScriptResult<Map> {
        let options: PseudoSymmetryOptions = options::parse(&call, &options)?;
        let found = orient::pseudo_symmetry(&atoms, &options).map_err(fault)?;
        Ok(Map::from([
            ("operations".into(), (found.operations as i64).into()),
            ("closure".into(), found.closure.into()),
            ("sites".into(), Dynamic::from(found.sites)),
        ]))
    }

    /// Scales a density's frequency shells to the power of the images, their noise subtracted.
    ///
    /// It gives a lattice model the contrast that the microscope gave the particle.
    ///
    /// * options: `low_pass` (Å, default 1.0), nothing is kept beyond it.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 10, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// print(orient::match_power(particles, volume::of_structure(truth), #{ low_pass: 2 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn match_power(
        call: NativeCallContext,
        particles: Particles,
        density: Volume,
        options: Map,
    ) -> ScriptResult<Volume> {
        let options: MatchOptions = options::parse(&call, &options)?;
        run(&call, |task| orient::match_power(&particles, &density, options.low_pass, task))
    }

    /// The poses that each operation which a particle almost has makes of given ones: an array of Poses, the first those given.
    ///
    /// * `poses`; `atoms`: a Structure, in the frame of the poses. Options as for `pseudo_symmetry`.
    ///
    /// ```rhai
    /// let sphere = structure::fcc(["Pt"], 3.92).sphere(15);
    /// print(orient::equivalents(orient::random(10, 1), sphere, #{}).len());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn equivalents(call: NativeCallContext, poses: Poses, atoms: Structure, options: Map) -> ScriptResult<Array> {
        let options: PseudoSymmetryOptions = options::parse(&call, &options)?;
        let found = orient::equivalents(&poses, &atoms, &options).map_err(fault)?;
        Ok(found.into_iter().map(Dynamic::from).collect())
    }
}

fn start_map(start: RandomStart) -> Map {
    Map::from([
        ("seed".into(), (start.seed as i64).into()),
        ("score".into(), start.history.last().copied().unwrap_or_default().into()),
        ("history".into(), array(&start.history).into()),
        ("given_up".into(), start.given_up.into()),
        ("volume".into(), Dynamic::from(start.volume)),
        ("poses".into(), Dynamic::from(start.poses)),
    ])
}

fn broken_map(broken: BrokenSymmetry, seed: u64) -> Map {
    let gain = |history: &[f64]| history.last().zip(history.first()).map_or(1.0, |(last, first)| last / first);
    let last = |history: &[f64]| history.last().copied().unwrap_or_default();
    let start = |(index, history): (usize, &Vec<f64>)| {
        Dynamic::from(Map::from([
            ("seed".into(), (seed as i64 + index as i64).into()),
            ("score".into(), last(history).into()),
            ("gain".into(), gain(history).into()),
        ]))
    };
    let best = &broken.histories[broken.best];
    Map::from([
        ("score".into(), last(best).into()),
        ("gain".into(), gain(best).into()),
        ("starts".into(), broken.histories.iter().enumerate().map(start).collect::<Array>().into()),
        ("agreement".into(), broken.agreement.map_or(Dynamic::UNIT, Dynamic::from)),
        ("operations".into(), (broken.operations as i64).into()),
        ("amplitudes".into(), broken.amplitudes.iter().map(|&a| Dynamic::from(f64::from(a))).collect::<Array>().into()),
        ("poses".into(), Dynamic::from(broken.poses)),
        ("volume".into(), Dynamic::from(broken.volume)),
    ])
}

/// The volumes in an array, or an error that names what else is there.
fn volumes(values: Array) -> ScriptResult<Vec<Volume>> {
    if !(1..=2).contains(&values.len()) {
        return Err(fault(format!("densities must be an array of one or two Volumes, not of {}", values.len())));
    }
    let volume = |value: Dynamic| {
        let found = options::describe(&value);
        value.try_cast().ok_or_else(|| fault(format!("densities must be Volumes, not {found}")))
    };
    values.into_iter().map(volume).collect()
}
