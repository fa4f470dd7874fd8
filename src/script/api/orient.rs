//! `orient::` from which direction each image shows the particle.

use std::path::Path;

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use crate::images::Particles;
use crate::orient::{
    self, AbInitioOptions, AgreementOptions, BreakOptions, BrokenSymmetry, RandomStart, RefineOptions, SearchOptions,
    SymmetryOperation, TiltSeriesOptions,
};
use crate::pose::Poses;
use crate::script::{ScriptResult, Session, fault, options, run};
use crate::store;
use crate::structure::Structure;
use crate::volume::Volume;

/// Options of `match_power`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MatchOptions {
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
    ///   all), images drawn anew that take part in a round, all of them in the last rounds; `directions` on half the sphere in the last round (default 0: 0.3 `low_pass` apart at the particle's rim); `first_spread` (default 0.02), share of all
    ///   hypotheses the weights spread over at first; `last_perplexity` (default 3), their number in the end; `max_shift` (Å, default 0.8) of the
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
    ///   `low_pass` apart at the particle's rim); `max_shift` (Å, default 0), tried in steps of `shift_step` (Å, default 0.5);
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

    /// Moves every pose to the best agreement with a density, by Levenberg–Marquardt on rotation and shift.
    ///
    /// * `densities`: an array with one Volume, or with the two `halves` of `volume::reconstruct`: each image then meets the half it
    ///   has not contributed to.
    /// * options: `low_pass` (Å, default 2.0), resolution of the comparison; `steps` (default 4; 0 only scores); `shifts` (default
    ///   true) refines them too; `max_shift` (Å, default 2.0); `scales` (default false) gives every image a contrast of its own.
    ///
    /// Gives a map: `poses`; `score`, the mean log-likelihood gain over an empty image; `chi2`, the mean squared residual in units of the
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
        let densities = super::volumes(densities)?;
        let refined = run(&call, |task| orient::refine(&particles, &densities, &poses, &options, task))?;
        let chi2 = refined.chi2.iter().sum::<f64>() / refined.chi2.len().max(1) as f64;
        let numbers = |values: Vec<f64>| Dynamic::from(values.into_iter().map(Dynamic::from).collect::<Array>());
        Ok(Map::from([
            ("score".into(), refined.poses.mean_score().into()),
            ("poses".into(), Dynamic::from(refined.poses)),
            ("chi2".into(), chi2.into()),
            ("unexplained".into(), refined.unexplained.into()),
            ("weights".into(), numbers(refined.weights)),
            ("scales".into(), numbers(refined.scales)),
            ("residuals".into(), numbers(refined.chi2)),
        ]))
    }

    /// Tells the operations of a lattice apart: from poses that are right up to them to poses that belong together.
    ///
    /// By expectation–maximisation of one amplitude a lattice site. Each image is weighed over the operations that map the sites onto themselves, whatever
    /// element sits there.
    ///
    /// * `particles`: from `images.prepare`. `sites`: a Structure, the ideal lattice in a sphere somewhat wider than the particle.
    /// * `poses`: one an image, found against the ideal lattice about the same centre.
    /// * options: `low_pass` (Å, default 1.67); `starts` (default 6), the worse half of which is given up on the way; `iterations` (default 14); `images`
    ///   (default 400), those with the best scores; `first_beta` (default 0.06) and `last_beta` (default 0.6), the inverse temperatures;
    ///   `max_offset` (Å, default 1.0), largest translation that an operation may bring; `seed` (default 1).
    ///
    /// Gives a map: `poses` (of all images, refined), `volume`, `amplitudes` (one a site), `operations` (their number), `score` (mean log-likelihood gain
    /// over an empty image), `gain` (score over that of the symmetric model), `starts` (`seed`, `score`, `gain`, `rounds` of each).
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
        run(&call, |_| orient::match_power(&particles, &density, options.low_pass))
    }

    /// Says whether two independent solutions for the same images are one: poses and densities compared in a common frame and hand.
    ///
    /// * `poses_a`, `volume_a`, `poses_b`, `volume_b`: the two solutions.
    /// * options: `low_pass` (Å, default 3.0), resolution to which densities are compared; `angle` (°, default 10) within which poses agree.
    ///
    /// Gives a map: `poses`, the share of images whose poses agree; `density`, the Fourier shell correlation, mean over the shells by their volume;
    /// `mirrored`. A symmetric particle's densities agree where the poses of some images do not; so do two averages over one symmetry.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let poses = orient::random(50, 1);
    /// print(orient::agreement(poses, density, poses, density, #{ low_pass: 2 }).density);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn agreement(
        call: NativeCallContext,
        poses_a: Poses,
        volume_a: Volume,
        poses_b: Poses,
        volume_b: Volume,
        options: Map,
    ) -> ScriptResult<Map> {
        let options: AgreementOptions = options::parse(&call, &options)?;
        let found = run(&call, |_| orient::agreement((&poses_a, &volume_a), (&poses_b, &volume_b), &options))?;
        Ok(Map::from([
            ("poses".into(), found.poses.into()),
            ("density".into(), found.density.into()),
            ("mirrored".into(), found.mirrored.into()),
        ]))
    }

    /// For each image the better scored of two poses; both must have been scored at one limit (`orient::refine`).
    ///
    /// ```rhai
    /// print(orient::best_of(orient::random(5, 1), orient::random(5, 2)));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn best_of(a: Poses, b: Poses) -> ScriptResult<Poses> {
        if a.len() != b.len() {
            return Err(fault(format!("{} poses cannot be compared with {}", a.len(), b.len())));
        }
        Ok(a.best_of(&b))
    }

    /// Draws poses with uniformly random rotations and no shift.
    ///
    /// ```rhai
    /// print(orient::random(100, 1));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn random(count: i64, seed: i64) -> ScriptResult<Poses> {
        let seed = options::seed(seed)?;
        match usize::try_from(count) {
            Ok(count @ 1..=10_000_000) => Ok(orient::random_poses(count, seed)),
            _ => Err(fault(format!("the number of poses must be from 1 to 10000000, not {count}"))),
        }
    }

    /// Poses of a tilt series, of which the angles of the stage are known.
    ///
    /// * `angles`: degrees, one an image, positive as the right hand turns about the tilt axis;
    /// * options: `axis` (degrees, default 0 = x), azimuth of the tilt axis in the image, from x towards y; `shifts` (default: none),
    ///   an array of `[x, y]` in Å, one an image.
    ///
    /// No angles, or another number of shifts, are errors. Views of one hemisphere leave a gap: `volume::reconstruct` with
    /// `method: "least_squares"` makes the most of them.
    ///
    /// ```rhai
    /// let angles = [];
    /// for step in 0..41 { angles.push(3 * step - 60); }
    /// print(orient::tilt_series(angles, #{ axis: 90 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn tilt_series(call: NativeCallContext, angles: Array, options: Map) -> ScriptResult<Poses> {
        let angles = options::numbers(&angles, "a tilt angle")?;
        let mut options = options;
        let shifts = options::take::<Array>(&mut options, "shifts", "an array of [x, y]")?;
        let shifts = shifts.map(super::pairs).transpose()?;
        let options = TiltSeriesOptions { shifts, ..options::parse(&call, &options)? };
        orient::tilt_series(&angles, &options).map_err(fault)
    }

    #[rhai_fn(name = "tilt_series", return_raw)]
    pub fn tilt_series_default(call: NativeCallContext, angles: Array) -> ScriptResult<Poses> {
        tilt_series(call, angles, Map::new())
    }

    /// Compares poses with the true ones, after the rotation between the two frames, in the better hand.
    ///
    /// Gives a map: `median` (°), `within_5` and `within_10` (fractions of the images nearer than that), `mirrored`, `operations`. For evaluation only.
    ///
    /// ```rhai
    /// let poses = orient::random(50, 1);
    /// print(orient::errors(poses, poses).median);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn errors(found: Poses, truth: Poses) -> ScriptResult<Map> {
        error_map(&found, &truth, &[])
    }

    /// Compares poses with the true ones as above, modulo the symmetry of the true particle.
    ///
    /// Operations of a cubic or hexagonal lattice along x, y and z count that take every atom of `particle` to one of its element.
    ///
    /// ```rhai
    /// let poses = orient::random(50, 1);
    /// print(orient::errors(poses, poses, structure::bundled("pbse_2.5nm")).median);
    /// ```
    #[rhai_fn(name = "errors", return_raw)]
    pub fn errors_modulo(found: Poses, truth: Poses, particle: Structure) -> ScriptResult<Map> {
        error_map(&found, &truth, &orient::symmetry_of(&particle))
    }

    /// Number of poses.
    ///
    /// ```rhai
    /// print(orient::random(10, 1).len());
    /// ```
    #[rhai_fn(global)]
    pub fn len(poses: Poses) -> i64 {
        poses.len() as i64
    }

    /// Mean score of the poses; higher is better.
    ///
    /// ```rhai
    /// print(orient::random(10, 1).mean_score());
    /// ```
    #[rhai_fn(global)]
    pub fn mean_score(poses: Poses) -> f64 {
        poses.mean_score()
    }

    /// One line: number of poses and their mean score.
    #[rhai_fn(global)]
    pub fn to_string(poses: Poses) -> String {
        format!("{} poses, mean score {:.1}", poses.len(), poses.mean_score())
    }

    /// A few lines: number, mean score, spread of the shifts.
    ///
    /// ```rhai
    /// print(orient::random(10, 1).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(poses: Poses) -> String {
        let square: f64 = poses.as_slice().iter().map(|pose| pose.shift.norm_squared()).sum();
        let rms = (square / poses.len().max(1) as f64).sqrt();
        format!("{} poses\nmean score {:.1}\nr.m.s. shift {rms:.3} Å", poses.len(), poses.mean_score())
    }

    /// Saves poses as HDF5 (`.h5`): quaternions (w, x, y, z), shifts (Å) and scores.
    ///
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error.
    ///
    /// ```rhai
    /// let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// images.true_poses().save("poses.h5");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, poses: Poses, path: &str) -> ScriptResult<()> {
        let provenance = Session::of(&call).provenance();
        store::save(Path::new(path), &store::Value::Poses(poses), &provenance).map_err(fault)
    }
}

fn start_map(start: RandomStart) -> Map {
    Map::from([
        ("seed".into(), (start.seed as i64).into()),
        ("score".into(), start.history.last().copied().unwrap_or_default().into()),
        ("history".into(), start.history.into_iter().map(Dynamic::from).collect::<Array>().into()),
        ("given_up".into(), start.given_up.into()),
        ("volume".into(), Dynamic::from(start.volume)),
        ("poses".into(), Dynamic::from(start.poses)),
    ])
}

fn error_map(found: &Poses, truth: &Poses, symmetry: &[SymmetryOperation]) -> ScriptResult<Map> {
    if found.len() != truth.len() {
        return Err(fault(format!("{} poses cannot be compared with {}", found.len(), truth.len())));
    }
    let errors = orient::evaluate(found, truth, symmetry);
    Ok(Map::from([
        ("median".into(), errors.median().into()),
        ("within_5".into(), errors.within(5.0).into()),
        ("within_10".into(), errors.within(10.0).into()),
        ("mirrored".into(), errors.mirrored.into()),
        ("operations".into(), (symmetry.len().max(1) as i64).into()),
    ]))
}

fn broken_map(broken: BrokenSymmetry, seed: u64) -> Map {
    let gain = |history: &[f64]| history.last().zip(history.first()).map_or(1.0, |(last, first)| last / first);
    let last = |history: &[f64]| history.last().copied().unwrap_or_default();
    let start = |(index, history): (usize, &Vec<f64>)| {
        Dynamic::from(Map::from([
            ("seed".into(), (seed as i64 + index as i64).into()),
            ("score".into(), last(history).into()),
            ("gain".into(), gain(history).into()),
            ("rounds".into(), (history.len() as i64).into()),
        ]))
    };
    let best = &broken.histories[broken.best];
    Map::from([
        ("score".into(), last(best).into()),
        ("gain".into(), gain(best).into()),
        ("starts".into(), broken.histories.iter().enumerate().map(start).collect::<Array>().into()),
        ("operations".into(), (broken.operations as i64).into()),
        ("amplitudes".into(), broken.amplitudes.iter().map(|&a| Dynamic::from(f64::from(a))).collect::<Array>().into()),
        ("poses".into(), Dynamic::from(broken.poses)),
        ("volume".into(), Dynamic::from(broken.volume)),
    ])
}

/// Pairs of numbers `[x, y]`, or an error that shows what else is there.
fn pairs(values: Array) -> ScriptResult<Vec<[f64; 2]>> {
    let pair = |value: Dynamic| {
        let found = options::describe(&value);
        let numbers = value.try_cast::<Array>().map(|pair| options::numbers(&pair, "a shift")).transpose()?;
        let pair: Option<[f64; 2]> = numbers.and_then(|numbers| numbers.try_into().ok());
        pair.ok_or_else(|| fault(format!("a shift must be [x, y] in Å, not {found}")))
    };
    values.into_iter().map(pair).collect()
}

/// The volumes in an array, or an error that names what else is there.
fn volumes(values: Array) -> ScriptResult<Vec<Volume>> {
    if !(1..=2).contains(&values.len()) {
        return Err(fault(format!("densities must be an array of one or two Volumes, not of {}", values.len())));
    }
    let volume = |value: Dynamic| {
        let found = value.type_name();
        value.try_cast().ok_or_else(|| fault(format!("densities must be Volumes, not {found}")))
    };
    values.into_iter().map(volume).collect()
}
