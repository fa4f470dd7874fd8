//! `orient::` poses as values: where they come from, what they say, how they compare with others and with images.

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use super::array;
use crate::images::{Images, Particles};
use crate::orient::{
    self, AgreementOptions, DrawOptions, Layout, ReprojectOptions, Stack, SymmetryOperation, TiltSeriesOptions,
};
use crate::pose::{Pose, Poses, euler_angles};
use crate::script::{ScriptResult, fault, options, run, saved, writable};
use crate::store::{self, StarOptions};
use crate::structure::Structure;
use crate::volume::Volume;

/// Options of `directions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DirectionOptions {
    layout: Layout,
    half: bool,
}

impl Default for DirectionOptions {
    fn default() -> Self {
        Self { layout: Layout::Spiral, half: true }
    }
}

#[export_module(manifest)]
pub mod api {
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
        better(&a, &b, 0.0)
    }

    /// Likewise, but the second only where it is scored better by more than `margin`: among many places of an image one scores a little better by chance.
    ///
    /// ```rhai
    /// print(orient::best_of(orient::random(5, 1), orient::random(5, 2), 3.0));
    /// ```
    #[rhai_fn(name = "best_of", return_raw)]
    pub fn best_of_by(a: Poses, b: Poses, margin: f64) -> ScriptResult<Poses> {
        better(&a, &b, margin)
    }

    /// Draws one of several poses for each image, with the weights e^(β·score); all must have been scored at one limit (`orient::refine`).
    ///
    /// * `poses`: an array of Poses.
    /// * options: `beta` (default 0: all alike), the inverse temperature; `even` (default true) scales the weights until all parts of the sphere of
    ///   viewing directions receive their share, as the directions of a tumbling particle do; `seed` (default 1).
    ///
    /// ```rhai
    /// print(orient::draw([orient::random(5, 1), orient::random(5, 2)], #{ beta: 0.1 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn draw(call: NativeCallContext, poses: Array, options: Map) -> ScriptResult<Poses> {
        let options: DrawOptions = options::parse(&call, &options)?;
        let sets = poses.into_iter().map(|value| {
            let found = options::describe(&value);
            value.try_cast::<Poses>().ok_or_else(|| fault(format!("there must be Poses in the array, not {found}")))
        });
        orient::draw(&sets.collect::<ScriptResult<Vec<_>>>()?, &options).map_err(fault)
    }

    /// Draws poses with uniformly random rotations and no shift.
    ///
    /// ```rhai
    /// print(orient::random(100, 1));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn random(count: i64, seed: i64) -> ScriptResult<Poses> {
        let seed = options::seed(seed)?;
        Ok(orient::random_poses(super::count(count, "poses")?, seed))
    }

    /// Poses that look from evenly spread directions, in-plane angle 0, no shift.
    ///
    /// * options: `layout` (default "spiral"), a Fibonacci spiral, or "equal_area", the centres of a partition into cells of equal area in rings about z;
    ///   `half` (default true): over the half sphere z > 0, whose mirror images the other half shows, or over all of it.
    ///
    /// ```rhai
    /// print(orient::directions(5000, #{ layout: "equal_area" }));
    /// print(orient::directions(100, #{ half: false }));
    /// print(orient::directions(100));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn directions(call: NativeCallContext, count: i64, options: Map) -> ScriptResult<Poses> {
        let DirectionOptions { layout, half } = options::parse(&call, &options)?;
        let grid = orient::direction_grid(super::count(count, "directions")?, layout, half);
        Ok(Poses::unscored(grid.into_iter().map(Pose::from_rotation).collect()))
    }

    #[rhai_fn(name = "directions", return_raw)]
    pub fn directions_default(call: NativeCallContext, count: i64) -> ScriptResult<Poses> {
        directions(call, count, Map::new())
    }

    /// Poses from quaternions `[w, x, y, z]` of the active rotation (laboratory = R·body), and shifts `[x, y]` (Å) if there are any.
    ///
    /// A quaternion whose length is not 1 to a thousandth is an error.
    ///
    /// ```rhai
    /// print(orient::from_quaternions([[1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]]));
    /// print(orient::from_quaternions([[1, 0, 0, 0]], [[0.5, -1]]).shifts());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_quaternions(quaternions: Array) -> ScriptResult<Poses> {
        super::poses_from(&quaternions, None)
    }

    #[rhai_fn(name = "from_quaternions", return_raw)]
    pub fn from_quaternions_and_shifts(quaternions: Array, shifts: Array) -> ScriptResult<Poses> {
        super::poses_from(&quaternions, Some(&shifts))
    }

    /// How evenly poses look at the particle, opposite views counted as one.
    ///
    /// Gives a map: `largest_gap` (°), radius of the largest cap of the sphere that nobody looks through, `gap_at` the direction at its centre, `random_gap`
    /// (°) what as many random views leave; `missing_cone` (°), half-angle of the largest cone of frequencies that no image shows: a view along v shows the
    /// plane across v, so that a hole among the views need not leave one, and a tilt series of ±60° leaves 30°; `evenness`, smallest over largest second
    /// moment of the views (1 if even, 0 if they lie in a plane); `empty`, fraction of `patches` of equal area on half the sphere (about ten images each, 10 to 1000) without a view; `chi2`, that of the numbers of views in the
    /// patches against even ones, per degree of freedom (about 1 if random).
    ///
    /// ```rhai
    /// let found = orient::coverage(orient::random(600, 1));
    /// if found.largest_gap > 2 * found.random_gap { warn("few images from around " + found.gap_at); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn coverage(call: NativeCallContext, poses: Poses) -> ScriptResult<Map> {
        let found = run(&call, |task| orient::coverage(&poses, task))?;
        Ok(Map::from([
            ("largest_gap".into(), found.largest_gap.into()),
            ("gap_at".into(), array(found.gap_at.as_slice()).into()),
            ("random_gap".into(), found.random_gap.into()),
            ("missing_cone".into(), found.missing_cone.into()),
            ("evenness".into(), found.evenness.into()),
            ("chi2".into(), found.chi2.into()),
            ("empty".into(), found.empty.into()),
            ("patches".into(), (found.patches as i64).into()),
        ]))
    }

    /// Correlation of each image with the projection of a density at its pose, both low-passed: an array of numbers from −1 to 1.
    ///
    /// * `particles`: from `images.prepare`, compared within their mask, or Images, compared as they are.
    /// * options: `low_pass` (Å, default 2.0, or the finest that both carry if that is coarser).
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 10, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2 });
    /// print(orient::correlations(particles, map.volume, images.true_poses(), #{ low_pass: 2 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn correlations(
        call: NativeCallContext,
        particles: Particles,
        density: Volume,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Array> {
        let options: ReprojectOptions = options::parse(&call, &options)?;
        let stack = Stack::of_particles(&particles);
        let found = run(&call, |task| orient::correlations(&stack, &density, &poses, &options, task))?;
        Ok(array(&found))
    }

    #[rhai_fn(name = "correlations", return_raw)]
    pub fn correlations_of_images(
        call: NativeCallContext,
        images: Images,
        density: Volume,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Array> {
        let options: ReprojectOptions = options::parse(&call, &options)?;
        let stack = Stack::of_images(&images);
        let found = run(&call, |task| orient::correlations(&stack, &density, &poses, &options, task))?;
        Ok(array(&found))
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
    /// print(orient::tilt_series(angles));
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

    /// Poses at which the mirror image of the particle, z reversed, has the same projections.
    ///
    /// ```rhai
    /// print(orient::random(2, 1).mirrored().views());
    /// ```
    #[rhai_fn(global)]
    pub fn mirrored(poses: Poses) -> Poses {
        poses.mirrored()
    }

    /// Viewing directions: for each pose the direction `[x, y, z]` in the particle's frame that the beam runs along.
    ///
    /// ```rhai
    /// print(orient::random(2, 1).views());
    /// ```
    #[rhai_fn(global)]
    pub fn views(poses: Poses) -> Array {
        poses.as_slice().iter().map(|pose| array(pose.viewing_direction().as_slice()).into()).collect()
    }

    /// Shifts `[x, y]` in Å, one a pose.
    ///
    /// ```rhai
    /// print(orient::random(2, 1).shifts());
    /// ```
    #[rhai_fn(global)]
    pub fn shifts(poses: Poses) -> Array {
        poses.as_slice().iter().map(|pose| array(pose.shift.as_slice()).into()).collect()
    }

    /// Scores, one a pose; higher is better, 0 where nothing has scored it.
    ///
    /// ```rhai
    /// print(orient::random(2, 1).scores());
    /// ```
    #[rhai_fn(global)]
    pub fn scores(poses: Poses) -> Array {
        array(poses.scores())
    }

    /// Quaternions `[w, x, y, z]` of the active rotations (laboratory = R·body), one a pose.
    ///
    /// ```rhai
    /// print(orient::random(2, 1).quaternions());
    /// ```
    #[rhai_fn(global)]
    pub fn quaternions(poses: Poses) -> Array {
        let quaternion = |pose: &Pose| array(&[pose.rotation.w, pose.rotation.i, pose.rotation.j, pose.rotation.k]);
        poses.as_slice().iter().map(|pose| quaternion(pose).into()).collect()
    }

    /// Euler angles `[rot, tilt, psi]` in degrees (ZYZ, as in RELION), one a pose.
    ///
    /// Image x and y are the first two rows of P_z(psi)·P_y(tilt)·P_z(rot) applied to a point of the particle, P_z(θ) = [[cos θ, sin θ, 0], [−sin θ, cos θ, 0], [0, 0,
    /// 1]], P_y(θ) = [[cos θ, 0, −sin θ], [0, 1, 0], [sin θ, 0, cos θ]].
    ///
    /// ```rhai
    /// print(orient::random(2, 1).euler());
    /// ```
    #[rhai_fn(global)]
    pub fn euler(poses: Poses) -> Array {
        poses.as_slice().iter().map(|pose| array(&euler_angles(&pose.rotation)).into()).collect()
    }

    /// The poses whose indices (from 0) are given, in that order, with their scores.
    ///
    /// An index that there is not is an error.
    ///
    /// ```rhai
    /// print(orient::random(10, 1).select([0, 2, 4]));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn select(poses: Poses, indices: Array) -> ScriptResult<Poses> {
        Ok(poses.select(&crate::script::api::indices(&indices, poses.len(), "pose")?))
    }

    /// The poses with some of them replaced, and their scores.
    ///
    /// * `indices`: from 0, which ones; `others`: what takes their places, as many.
    ///
    /// ```rhai
    /// let poses = orient::random(10, 1);
    /// print(poses.replaced([0, 4], orient::random(2, 5)));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn replaced(poses: Poses, indices: Array, others: Poses) -> ScriptResult<Poses> {
        let indices = crate::script::api::indices(&indices, poses.len(), "pose")?;
        if indices.len() != others.len() {
            return Err(fault(format!("{} poses cannot take the places of {}", others.len(), indices.len())));
        }
        Ok(poses.replaced(&indices, &others))
    }

    /// One line: number of poses and their mean score.
    ///
    /// ```rhai
    /// print(orient::random(10, 1).to_string());
    /// ```
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

    /// Saves poses as RELION STAR (`.star`) or HDF5 (`.h5`: quaternions (w, x, y, z), shifts (Å) and scores), as the name of the file ends.
    ///
    /// * options, of a STAR file, each written only if it is given: `images`, name of the stack, for rlnImageName; `pixel_size` (Å) and `size` (pixels) of
    ///   the images; `energy` (kV) and `c3` (mm) of the microscope. RELION itself asks for all five.
    ///
    /// A STAR file holds rot, tilt, psi as `poses.euler()` gives them, origins (−shift, Å) and, where there are any, scores (rlnLogLikeliContribution).
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error.
    ///
    /// ```rhai
    /// let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// images.true_poses().save("poses.h5");
    /// images.save("stack.mrcs");
    /// images.true_poses().save("poses.star", #{ images: "stack.mrcs", pixel_size: 0.25, size: 160, energy: 200, c3: -0.01 });
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, poses: Poses, path: &str) -> ScriptResult<()> {
        saved(&call, path, store::Value::Poses(poses))
    }

    #[rhai_fn(global, name = "save", return_raw)]
    pub fn save_star(call: NativeCallContext, poses: Poses, path: &str, options: Map) -> ScriptResult<()> {
        let options: StarOptions = options::parse(&call, &options)?;
        let file = writable(&call, path)?;
        if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("star")) {
            return Err(fault(format!("{path}: options are for names that end in .star")));
        }
        store::write_star(&file, &poses, &options).map_err(fault)
    }
}

/// Most poses that a script can make at once.
const MOST_POSES: i64 = 10_000_000;

/// A number of poses or directions given as a plain argument.
fn count(value: i64, what: &str) -> ScriptResult<usize> {
    match value {
        1..=MOST_POSES => Ok(value as usize),
        _ => Err(fault(format!("the number of {what} must be from 1 to {MOST_POSES}, not {value}"))),
    }
}

/// Poses from arrays of four and of two numbers.
fn poses_from(quaternions: &[Dynamic], shifts: Option<&[Dynamic]>) -> ScriptResult<Poses> {
    fn row<const N: usize>(value: &Dynamic, what: &str, index: usize) -> ScriptResult<[f64; N]> {
        let wrong = || fault(format!("{what} {index} must be an array of {N} numbers"));
        let items = value.as_array_ref().map_err(|_| wrong())?;
        options::numbers(&items, what)?.try_into().map_err(|_| wrong())
    }
    if let Some(shifts) = shifts.filter(|shifts| shifts.len() != quaternions.len()) {
        return Err(fault(format!("{} quaternions, but {} shifts", quaternions.len(), shifts.len())));
    }
    let pose = |(i, quaternion): (usize, &Dynamic)| {
        let shift = shifts.map_or(Ok([0.0; 2]), |shifts| row::<2>(&shifts[i], "shift", i))?;
        store::pose(row::<4>(quaternion, "quaternion", i)?, shift)
            .map_err(|problem| fault(format!("pose {i}: {problem}")))
    };
    Ok(Poses::unscored(quaternions.iter().enumerate().map(pose).collect::<ScriptResult<_>>()?))
}

fn better(a: &Poses, b: &Poses, margin: f64) -> ScriptResult<Poses> {
    if a.len() != b.len() {
        return Err(fault(format!("{} poses cannot be compared with {}", a.len(), b.len())));
    }
    if !margin.is_finite() {
        return Err(fault(format!("the margin of the scores must be a number, not {margin}")));
    }
    Ok(a.best_of(b, margin))
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
