//! `images::` films: consecutive frames made into images.

use rhai::plugin::*;
use rhai::{Array, Map};

use super::array;
use crate::images::{Choice, Images, LagCorrelation, Motion, Trade};
use crate::script::{ScriptResult, Table, fault};

/// A table of numbers, one array a lag.
fn rows(values: &ndarray::Array2<f64>) -> Array {
    values.outer_iter().map(|row| array(&row.to_vec()).into()).collect()
}

fn lag_map(lag: &LagCorrelation) -> Map {
    Map::from([
        ("frequency".into(), array(&lag.frequencies).into()),
        ("signal".into(), rows(&lag.signal).into()),
        ("noise".into(), rows(&lag.noise).into()),
        ("coefficients".into(), array(&lag.coefficients).into()),
    ])
}

fn trades_table(trades: &[Trade]) -> ScriptResult<Table> {
    let names = ["width", "signal", "halo", "snr", "pose_error", "told", "rmsd"];
    let row = |trade: &Trade| {
        let Trade { width, signal, halo, snr, pose_error, told, rmsd } = *trade;
        let mut cells = vec![serde_json::json!(width)];
        cells.extend([signal, halo, snr, pose_error, told, rmsd].map(|number| serde_json::json!(number)));
        cells
    };
    Table::from_cells(names.map(str::to_owned).to_vec(), trades.iter().map(row).collect()).map_err(fault)
}

fn choice_map(choice: &Choice) -> ScriptResult<Map> {
    let turn = (2.0 * choice.rotational_diffusion).sqrt().to_degrees();
    Ok(Map::from([
        ("width".into(), Dynamic::from(choice.width as i64)),
        ("rotational_diffusion".into(), Dynamic::from(choice.rotational_diffusion)),
        ("translational_diffusion".into(), Dynamic::from(choice.translational_diffusion)),
        ("turn".into(), Dynamic::from(turn)),
        ("power".into(), array(&choice.power).into()),
        ("trades".into(), Dynamic::from(trades_table(&choice.trades)?)),
        ("lag".into(), lag_map(&choice.lag).into()),
    ]))
}

/// Points along an edge at which a motion is told.
const POINTS: usize = 9;

/// Frames and their motion, told on a square of points.
fn motion_map(images: Images, motion: &Motion) -> Map {
    let at = |i: usize| ((i as f64 + 0.5) / POINTS as f64 - 0.5) * motion.edge;
    let points: Vec<[f64; 2]> = (0..POINTS * POINTS).map(|i| [at(i % POINTS), at(i / POINTS)]).collect();
    let of_frame = |frame: usize| -> Array {
        points.iter().map(|&[x, y]| Dynamic::from(array(&motion.at(frame, x, y)))).collect()
    };
    Map::from([
        ("images".into(), Dynamic::from(images)),
        ("positions".into(), points.iter().map(|point| Dynamic::from(array(point))).collect::<Array>().into()),
        (
            "displacements".into(),
            (0..motion.len()).map(|frame| Dynamic::from(of_frame(frame))).collect::<Array>().into(),
        ),
    ])
}

/// Frames of a film: averages, how fast the particle moves, which window to average over.
#[export_module(manifest)]
pub mod api {
    use rhai::Map;

    use crate::images::{
        AlignOptions, Choice, ChooseOptions, DeformOptions, Images, LagCorrelation, LagOptions, RemoveLatticeOptions,
        RepairOptions, WindowOptions,
    };
    use crate::script::{ScriptResult, fault, options, run};

    /// Means of consecutive frames, which show the particle in nearly the same direction: liquid and noise get less.
    ///
    /// * `count`: frames in a mean, each used once; or a map of options for moving averages, whose windows overlap:
    /// * `width` (must be given): frames in a window; `weights`: `"flat"` (default), `"triangular"` or `"gaussian"` (± 2 standard deviations fit in);
    /// * `stride` (default 1): frames from one window to the next; `leave_out` (default none): frames, counted from 0, that have no weight;
    /// * `order`: `"halves"` (default) or `"time"`. Overlapping windows share frames, and two half sets that did would agree on their noise: so the film is cut into blocks, a
    ///   window apart, for even and odd images by turns, and images do not come in the order of the film. `"time"` keeps that order and divides nothing.
    ///
    /// What is left over at the end is left out. A true pose is that of the middle of a window. How many of the images are independent is known
    /// to `independent`, and counts in the uncertainties of `model::refine`.
    ///
    /// ```rhai
    /// let poses = microscope::trajectory(#{ n: 60, rotational_diffusion: 0.1 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: poses, size: 100 });
    /// print(film.average(3));
    /// print(film.average(#{ width: 5, weights: "gaussian", stride: 2 }));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn average(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Images> {
        let options: WindowOptions = options::parse(&call, &options)?;
        run(&call, |task| images.average(&options, task))
    }

    #[rhai_fn(global, name = "average", return_raw)]
    pub fn average_of(call: NativeCallContext, images: Images, count: i64) -> ScriptResult<Images> {
        let count = usize::try_from(count).ok().filter(|count| (1..=images.len()).contains(count));
        let count = count.ok_or_else(|| fault(format!("average takes 1 to {} images at a time", images.len())))?;
        let options = WindowOptions { width: count, stride: count, ..WindowOptions::default() };
        run(&call, |task| images.average(&options, task))
    }

    /// How many independent images these are worth: fewer than there are, if they are means of windows that share frames.
    ///
    /// Of N images it is N²/Σcᵢⱼ, cᵢⱼ the correlation of the noise of two of them.
    ///
    /// ```rhai
    /// let poses = microscope::trajectory(#{ n: 60, rotational_diffusion: 0.1 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: poses, size: 100 });
    /// print(film.average(#{ width: 6 }).independent());
    /// ```
    #[rhai_fn(global)]
    pub fn independent(images: Images) -> f64 {
        images.len() as f64 / images.redundancy()
    }

    /// How alike frames are that were taken some time apart, at each spatial frequency, in the particle and around it.
    ///
    /// White noise correlates at lag 0 only, the liquid for its own time, graphene always, the particle until it has turned away.
    ///
    /// * `diameter` of the particle (Å, must be given); `low_pass` (Å, default 1.0, or 3 pixels where that is coarser);
    /// * `max_lag` in frames (default 32, or a quarter of the film).
    ///
    /// Gives a map: `frequency` of each ring (1/Å); `signal`, an array of rings for each lag, from lag 0: mean product of transforms per area in the particle's disc, less
    /// that of the surroundings, which is `noise`; `coefficients`, the number of independent ones in each ring.
    ///
    /// ```rhai
    /// let poses = microscope::trajectory(#{ n: 60, rotational_diffusion: 0.1 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: poses, size: 120 });
    /// let lag = images::lag_correlation(film.add_noise(#{ snr: 0.2 }), #{ diameter: 15, max_lag: 8 });
    /// print(lag.signal[8][13] / lag.signal[1][13]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn lag_correlation(call: NativeCallContext, frames: Images, options: Map) -> ScriptResult<Map> {
        let options: LagOptions = options::parse(&call, &options)?;
        Ok(super::lag_map(&run(&call, |task| LagCorrelation::of(&frames, &options, task))?))
    }

    /// The window to average a film over, from the film itself: liquid and noise against the blur of a particle that turns.
    ///
    /// How fast the particle turns and moves is fitted to the correlation of frames against lag (see `lag_correlation`). A window is good if many images are left, each with signal enough to
    /// find its pose, and little of the atoms' scattering is blurred away.
    ///
    /// * `diameter` of the particle (Å, must be given); `low_pass` (Å), resolution wanted (default 1.0, or 3 pixels where that is coarser);
    /// * `first_low_pass` (Å, default 2.7), at which directions are first told apart;
    /// * `weights`: of the frames in a window, as in `average`; `max_width` tried (default 64, or a third of the film);
    /// * `max_lag` in frames (default 32, or a quarter of the film).
    ///
    /// Gives a map: `width`, in frames; `rotational_diffusion` (rad² a frame), `translational_diffusion` (Å² a frame) and `turn` (°, r.m.s. about an axis from one frame to the next);
    /// `trades`, a table of what each `width` does: `signal`, the particle's power that is kept, and `halo`, power of the surroundings from 0.12 to 0.42 1/Å, as shares
    /// of a single frame's; `snr`; `pose_error` (°, of a rotation about an axis across the beam, at best); `told`, the share of images whose direction can be told; `rmsd`, the expected
    /// error of positions in units of the best window's; `power` of the particle in each ring; and `lag`, as from `lag_correlation`.
    ///
    /// ```rhai
    /// let poses = microscope::trajectory(#{ n: 200, rotational_diffusion: 0.1 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: poses, size: 120 });
    /// let frames = film.invert().add_noise(#{ snr: 0.1, seed: 1 });
    /// let choice = images::choose_window(frames, #{ diameter: 15, max_width: 20 });
    /// print(choice.width);
    /// print(choice.trades);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn choose_window(call: NativeCallContext, frames: Images, options: Map) -> ScriptResult<Map> {
        let options: ChooseOptions = options::parse(&call, &options)?;
        super::choice_map(&run(&call, |task| Choice::of(&frames, &options, task))?)
    }

    /// Takes back the drift of frames and a deformation that is smooth in place and time, as a beam causes it.
    ///
    /// Coefficients of a polynomial of place and time are found together from all frames, as those by which they agree best; jumps of single frames by cross-correlation with the mean of the
    /// others. Do this before averaging.
    ///
    /// * `order` (default 2): of the polynomial of place; 0 is drift alone; `time_order` (default 3): of its course in time;
    /// * `window` (default: all): frames on either side that each is compared with; give it where the particle turns: so many as show the same view;
    /// * `low_pass` (Å, default 2.0, or 3 pixels where that is coarser): finest resolution that is used;
    /// * `max_jump` (Å, default 1.0): of a frame from the smooth course; more than half a lattice spacing may be taken for less, 0 allows none.
    ///
    /// Gives a map: `images`, the frames at rest; `positions`, points `[x, y]` (Å from the centre) all over the frame; `displacements`, for every frame an array with where each of
    /// these points had moved to, `[dx, dy]` (Å), mean 0 over the frames. It is an error if there are fewer frames than `time_order` + 2.
    ///
    /// ```rhai
    /// let still = microscope::trajectory(#{ n: 12, rotational_diffusion: 0, seed: 1 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: still, size: 96 });
    /// let moved = film.deformed(#{ amplitude: 1.5, seed: 3 });
    /// let found = moved.images.align_frames(#{});
    /// print(found.displacements[0][40]);
    /// print(moved.displacements[0][40]);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn align_frames(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Map> {
        let options: AlignOptions = options::parse(&call, &options)?;
        let aligned = run(&call, |task| images.aligned(&options, task))?;
        Ok(super::motion_map(aligned.images, &aligned.motion))
    }

    /// Frames moved and deformed as a beam may do it, at random, smoothly in place and time: to try `align_frames` on.
    ///
    /// * `amplitude` (Å, default 2): largest displacement in any frame, within a circle that touches its edges;
    /// * `order` (default 2) and `time_order` (default 3): of the polynomials of place and time; `seed` (default 0).
    ///
    /// Gives a map as `align_frames`: `images`, `positions` and `displacements`.
    ///
    /// ```rhai
    /// let still = microscope::trajectory(#{ n: 12, rotational_diffusion: 0, seed: 1 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: still, size: 96 });
    /// print(film.deformed(#{ amplitude: 1, seed: 2 }).images);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn deformed(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Map> {
        let options: DeformOptions = options::parse(&call, &options)?;
        let (moved, motion) = run(&call, |task| images.deformed(&options, task))?;
        Ok(super::motion_map(moved, &motion))
    }

    /// Replaces broken pixels and spikes by the median of what is whole around them, and tells which frames are not like the others.
    ///
    /// A pixel is broken that is always too bright or dark beside its neighbours, never changes, or changes too much; a spike is one pixel of one frame. For films of
    /// a particle that tumbles.
    ///
    /// * `threshold` (default 8): robust standard deviations from which a pixel is broken (a spike: 1.25 times as many);
    /// * `frame_threshold` (default 6): those from which the mean of a frame, or the logarithm of its variance, is not like the others'.
    ///
    /// Gives a map: `images`; `pixels`, `[y, x]` of those broken in all frames; `spikes`, their number; `frames`, the numbers of those that are not like the others, which are left as they are:
    /// give them to `average` as `leave_out`. It is an error if there are fewer than 8 frames.
    ///
    /// ```rhai
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 12, size: 96 });
    /// let repaired = film.add_noise(#{ snr: 0.2 }).repair(#{});
    /// print(repaired.pixels);
    /// print(repaired.images.average(#{ width: 3, leave_out: repaired.frames }));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn repair(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Map> {
        let options: RepairOptions = options::parse(&call, &options)?;
        let repaired = run(&call, |task| images.repair(&options, task))?;
        let pair = |[y, x]: &[usize; 2]| Dynamic::from(Array::from([(*y as i64).into(), (*x as i64).into()]));
        Ok(Map::from([
            ("pixels".into(), repaired.pixels.iter().map(pair).collect::<Array>().into()),
            ("spikes".into(), Dynamic::from(repaired.spikes as i64)),
            ("frames".into(), repaired.frames.iter().map(|&i| Dynamic::from(i as i64)).collect::<Array>().into()),
            ("images".into(), Dynamic::from(repaired.images)),
        ]))
    }

    /// Subtracts the sheets of graphene that close the cell: found by their peaks at 1/2.13 Å and finer, at any angle.
    ///
    /// The sheets' waves are fitted in each frame to what is outside the particle, and subtracted everywhere: what the particle itself scatters at these frequencies stays.
    /// The sheets must keep still over the film.
    ///
    /// * `diameter` of the particle (Å, must be given); `sheets` (default 4), looked for at most;
    /// * `threshold` (default 8): robust standard deviations by which a sheet stands out of other angles;
    /// * `low_pass` (Å, default 1.0, or 2 pixels where that is coarser): finest spacing that is taken off.
    ///
    /// Gives a map: `images`, and `sheets`, each with `angle` (° from x towards y, 0 to 60), `constant` of its lattice (Å) and `significance` (standard deviations). Where none
    /// is found, the images are as they were.
    ///
    /// ```rhai
    /// let cell = cell::build(#{ size: [32, 32, 30], graphene: #{ rotation: 17 } });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 30 }),
    ///     #{ method: "multislice", n: 4, cell: cell, slice_thickness: 2, configurations: 1, spread: "envelope" });
    /// let clean = film.remove_lattice(#{ diameter: 15 });
    /// print(clean.sheets);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn remove_lattice(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Map> {
        let options: RemoveLatticeOptions = options::parse(&call, &options)?;
        let removed = run(&call, |task| images.without_lattice(&options, task))?;
        let sheet = |sheet: &crate::images::Sheet| {
            Dynamic::from_map(Map::from([
                ("angle".into(), sheet.angle.into()),
                ("constant".into(), sheet.constant.into()),
                ("significance".into(), sheet.significance.into()),
            ]))
        };
        Ok(Map::from([
            ("sheets".into(), removed.sheets.iter().map(sheet).collect::<Array>().into()),
            ("images".into(), Dynamic::from(removed.images)),
        ]))
    }
}
