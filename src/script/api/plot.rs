//! `plot::` figures as PNG and SVG files: images, densities, curves.

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use crate::images::{Images, Particles, PowerSpectrum};
use crate::orient::Stack;
use crate::plot::{
    self, CoverageOptions, Curve, Figure, ImagesOptions, LinesOptions, LocalResolutionPlot, PanelsOptions,
    ReprojectionsOptions, SlicesOptions,
};
use crate::pose::Poses;
use crate::script::{ScriptResult, Table, fault, options, run, writable};
use crate::volume::{CorrectedFsc, Fsc, Volume};

/// Figures as PNG and SVG files (images, densities, curves, atoms), and whole runs as a web page.
#[export_module(manifest)]
pub mod api {
    /// Some images of a stack, with their numbers and a scale bar.
    ///
    /// * `count` (default 12), `first` (default 0): which images; `title`.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 6, size: 100 }).invert();
    /// plot::images(images, #{ count: 6 }).save("images.png");
    /// print(plot::images(images));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn images(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Figure> {
        let options: ImagesOptions = options::parse(&call, &options)?;
        plot::images(&images, &options).map_err(fault)
    }

    #[rhai_fn(name = "images", return_raw)]
    pub fn images_default(call: NativeCallContext, images: Images) -> ScriptResult<Figure> {
        self::images(call, images, Map::new())
    }

    /// The mean power spectrum of images in decades, with circles at 4, 2 and 1 Å, beside its radial mean and a profile through the centre.
    ///
    /// * `to` (Å⁻¹, default 1.3): highest frequency; `angle` (°, default 0): of the profile; `title`.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 20, size: 100 });
    /// plot::power_spectrum(images, #{ to: 1.2 }).save("power.png");
    /// print(plot::power_spectrum(images));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn power_spectrum(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Figure> {
        let options: plot::PowerOptions = options::parse(&call, &options)?;
        let spectrum = run(&call, |task| PowerSpectrum::of(&images, task))?;
        plot::power_spectrum(&spectrum, &options).map_err(fault)
    }

    #[rhai_fn(name = "power_spectrum", return_raw)]
    pub fn power_spectrum_default(call: NativeCallContext, images: Images) -> ScriptResult<Figure> {
        self::power_spectrum(call, images, Map::new())
    }

    /// A density in three slices and a projection.
    ///
    /// * `width` (Å, default: what holds the bright part): edge of the part shown;
    /// * `at` (Å, default: the brightest planes within 1.6 Å of the centre): where the slices lie, `[x, y, z]`; `title`.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// plot::slices(density, #{ width: 20, at: [0, 0, 0] }).save("density.png");
    /// print(plot::slices(density));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn slices(call: NativeCallContext, volume: Volume, options: Map) -> ScriptResult<Figure> {
        let options: SlicesOptions = options::parse(&call, &options)?;
        plot::slices(&volume, &options).map_err(fault)
    }

    #[rhai_fn(name = "slices", return_raw)]
    pub fn slices_default(call: NativeCallContext, volume: Volume) -> ScriptResult<Figure> {
        slices(call, volume, Map::new())
    }

    /// Fourier shell correlation, with the resolution at 0.5 and 0.143.
    ///
    /// * `curves`: what `volume::fsc` gives, or a map of several such under their names. One that is corrected for its mask (the `fsc` of
    ///   `volume::reconstruct`, or `volume::fsc` with options) is drawn with its parts if it is alone: corrected, masked, unmasked, random phases.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// plot::fsc(volume::fsc(density, density)).save("fsc.png");
    /// plot::fsc(#{ "half sets": volume::fsc(density, density) }).save("fsc.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fsc(curves: Map) -> ScriptResult<Figure> {
        match super::corrected(&curves)? {
            Some(corrected) => plot::corrected_fsc(&corrected, ""),
            None => plot::fsc(&super::correlations(curves)?, ""),
        }
        .map_err(fault)
    }

    /// Resolution around each voxel, as from `volume::local_resolution`, in three slices through the centre: fine is dark, coarse is light.
    ///
    /// * `radius` (Å, default: the whole box): of the particle, outside of which nothing is drawn; `width` (Å, default 2.2 radii), edge of
    ///   the part shown; `range` (Å, `[finest, coarsest]`, default: of what is shown), of the colours; `title`.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"), #{ edge: 24 });
    /// let map = volume::local_resolution(density, density, #{ window: 6, shells: 4 });
    /// plot::local_resolution(map, #{ radius: 9 }).save("local_resolution.png");
    /// print(plot::local_resolution(map));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn local_resolution(call: NativeCallContext, map: Volume, options: Map) -> ScriptResult<Figure> {
        let options: LocalResolutionPlot = options::parse(&call, &options)?;
        plot::local_resolution(&map, &options).map_err(fault)
    }

    #[rhai_fn(name = "local_resolution", return_raw)]
    pub fn local_resolution_default(call: NativeCallContext, map: Volume) -> ScriptResult<Figure> {
        local_resolution(call, map, Map::new())
    }

    /// A map of the viewing directions of poses: how many images look from where, on patches of equal area.
    ///
    /// * `fold` (default false: both half spheres): counts a view and the opposite one, its mirror image, as one, on one half sphere;
    /// * `patches` on half the sphere (default 0: about ten images a patch); `title`.
    ///
    /// Lambert's equal-area projection; distance from the middle is tilt, the angle around it rot (°), as `poses.euler()` gives them.
    ///
    /// ```rhai
    /// let poses = orient::random(600, 1);
    /// plot::coverage(poses).save("coverage.png");
    /// plot::coverage(poses, #{ fold: true, patches: 30 }).save("coverage.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn coverage(call: NativeCallContext, poses: Poses, options: Map) -> ScriptResult<Figure> {
        let options: CoverageOptions = options::parse(&call, &options)?;
        plot::coverage(&poses, &options).map_err(fault)
    }

    #[rhai_fn(name = "coverage", return_raw)]
    pub fn coverage_default(call: NativeCallContext, poses: Poses) -> ScriptResult<Figure> {
        coverage(call, poses, Map::new())
    }

    /// Images beside the projections of a density at their poses, from the best score to the worst.
    ///
    /// * `particles`: from `images.prepare`, or Images with white atoms; `density`: a Volume; `poses`: one an image.
    /// * options: `count` of images (default 5); `low_pass` (Å, default 2.0, or the finest that both carry), resolution of the comparison; `diameter` (Å,
    ///   default: the particles' mask, all of an image) of the disc in which they are compared; `title`.
    ///
    /// A row shows the image, the image low-passed, the projection fitted to its grey values (factor and offset), and the difference of these two, on one grey
    /// scale but for the first. CC is their correlation in the disc. Poses without scores are ranked by it.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 10, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2 });
    /// plot::reprojections(particles, map.volume, images.true_poses(), #{ count: 3 }).save("reprojections.png");
    /// print(plot::reprojections(particles, map.volume, images.true_poses()));
    /// print(plot::reprojections(images, map.volume, images.true_poses()));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn reprojections(
        call: NativeCallContext,
        particles: Particles,
        density: Volume,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Figure> {
        let options: ReprojectionsOptions = options::parse(&call, &options)?;
        let stack = Stack::of_particles(&particles);
        run(&call, |task| plot::reprojections(&stack, &density, &poses, &options, task))
    }

    #[rhai_fn(name = "reprojections", return_raw)]
    pub fn reprojections_default(
        call: NativeCallContext,
        particles: Particles,
        density: Volume,
        poses: Poses,
    ) -> ScriptResult<Figure> {
        reprojections(call, particles, density, poses, Map::new())
    }

    #[rhai_fn(name = "reprojections", return_raw)]
    pub fn reprojections_of_images(
        call: NativeCallContext,
        images: Images,
        density: Volume,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Figure> {
        let options: ReprojectionsOptions = options::parse(&call, &options)?;
        let stack = Stack::of_images(&images);
        run(&call, |task| plot::reprojections(&stack, &density, &poses, &options, task))
    }

    #[rhai_fn(name = "reprojections", return_raw)]
    pub fn reprojections_of_images_default(
        call: NativeCallContext,
        images: Images,
        density: Volume,
        poses: Poses,
    ) -> ScriptResult<Figure> {
        reprojections_of_images(call, images, density, poses, Map::new())
    }

    /// Curves on common axes.
    ///
    /// * `curves`: a map from names to maps with `x` and `y`, arrays of as many numbers, and `error`, if known: half the length of each point's bar;
    /// * `title`, `x_label`, `y_label` (with units); `points` (default false): mark the points; `x_log`, `y_log` (default false): logarithmic axes, on
    ///   which what is not positive is an error.
    ///
    /// ```rhai
    /// let curves = #{ rising: #{ x: [1, 2, 3], y: [1, 4, 9] }, falling: #{ x: [1, 3], y: [5, 0.5] } };
    /// plot::lines(curves, #{ x_label: "time [s]", y_label: "signal" }).save("lines.png");
    /// let measured = #{ x: [0.1, 1, 10], y: [40.0, 4.2, 0.5], error: [5.0, 0.8, 0.2] };
    /// plot::lines(#{ measured: measured }, #{ points: true, x_log: true, y_log: true, x_label: "SNR", y_label: "RMSD [pm]" }).save("noise.svg");
    /// print(plot::lines(curves));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn lines(call: NativeCallContext, curves: Map, options: Map) -> ScriptResult<Figure> {
        let options: LinesOptions = options::parse(&call, &options)?;
        plot::lines(&super::curves(curves)?, &options).map_err(fault)
    }

    #[rhai_fn(name = "lines", return_raw)]
    pub fn lines_default(call: NativeCallContext, curves: Map) -> ScriptResult<Figure> {
        lines(call, curves, Map::new())
    }

    /// One column of a table against another, with bars of one standard deviation where rows are averaged.
    ///
    /// * `x`, `y`: names of columns of numbers; `group` (default: none): name of a column, one curve for each of its values;
    /// * `title`; `x_label`, `y_label` (default: the names of the columns); `x_log`, `y_log` (default false): logarithmic axes.
    ///
    /// Rows with the same `x` in a curve are averaged. Of a table that `group` has made, the bars are its column `y_sd`. Rows with an empty cell are left out.
    ///
    /// ```rhai
    /// let t = sweep::grid(#{ low_pass: [1.0, 1.5, 2.0], seed: 0..5 }, |p| #{ rmsd_pm: 2 * p.low_pass + 0.1 * p.seed });
    /// plot::table(t, #{ x: "low_pass", y: "rmsd_pm", x_label: "low pass [Å]", y_label: "RMSD [pm]" }).save("sweep.png");
    /// plot::table(t, #{ x: "low_pass", y: "rmsd_pm", group: "seed" }).save("seeds.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn table(call: NativeCallContext, table: Table, options: Map) -> ScriptResult<Figure> {
        let TablePlot { x, y, group, title, x_label, y_label, x_log, y_log } = options::parse(&call, &options)?;
        let group = Some(group.as_str()).filter(|name| !name.is_empty());
        let curves = table.curves(&x, &y, group).map_err(fault)?;
        let [x_label, y_label] = [(x_label, x), (y_label, y)]
            .map(|(label, name)| if label.is_empty() { plot::heading(&name) } else { label });
        if curves.is_empty() {
            return Err(fault("there is nothing to draw: no row has numbers in both columns"));
        }
        plot::lines(&curves, &LinesOptions { title, x_label, y_label, points: true, x_log, y_log }).map_err(fault)
    }

    /// Figures beside and below each other, as one figure.
    ///
    /// * `rows`: an array of arrays of Figures, or one array for a single row;
    /// * `title`; `letters` (default true): panels are called a, b, c, ….
    ///
    /// Columns are as wide as their widest panel and rows as high as their highest; axes of figures of one size are in line.
    ///
    /// ```rhai
    /// let rising = plot::lines(#{ rising: #{ x: [1, 2, 3], y: [1, 4, 9] } });
    /// let falling = plot::lines(#{ falling: #{ x: [1, 3], y: [5, 0.5] } });
    /// plot::panels([[rising, falling], [falling]], #{ title: "Up and down" }).save("panels.png");
    /// print(plot::panels([rising, falling]));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn panels(call: NativeCallContext, rows: Array, options: Map) -> ScriptResult<Figure> {
        let options: PanelsOptions = options::parse(&call, &options)?;
        plot::panels(&super::rows_of_figures(&rows)?, &options).map_err(fault)
    }

    #[rhai_fn(name = "panels", return_raw)]
    pub fn panels_default(call: NativeCallContext, rows: Array) -> ScriptResult<Figure> {
        panels(call, rows, Map::new())
    }

    /// Saves the figure to a file that ends in `.png` or `.svg`; it appears only when complete.
    ///
    /// In SVG words stay words, to be found and changed, lines stay sharp at any size, and images are PNG inside.
    ///
    /// ```rhai
    /// plot::lines(#{ rising: #{ x: [1, 2, 3], y: [1, 4, 9] } }).save("lines.png");
    /// plot::lines(#{ rising: #{ x: [1, 2, 3], y: [1, 4, 9] } }).save("lines.svg");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, figure: Figure, path: &str) -> ScriptResult<()> {
        figure.save(&writable(&call, path)?).map_err(fault)
    }

    /// One line: size and title.
    ///
    /// ```rhai
    /// print(plot::lines(#{ rising: #{ x: [1, 2, 3], y: [1, 4, 9] } }).to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(figure: Figure) -> String {
        figure.to_string()
    }

    /// The same line as `to_string`.
    ///
    /// ```rhai
    /// print(plot::lines(#{ rising: #{ x: [1, 2, 3], y: [1, 4, 9] } }).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(figure: Figure) -> String {
        figure.to_string()
    }
}

/// Options of `plot::table`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TablePlot {
    pub x: String,
    pub y: String,
    /// Empty: one curve.
    pub group: String,
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub x_log: bool,
    pub y_log: bool,
}

/// Rows of figures, or one row of them.
fn rows_of_figures(rows: &[Dynamic]) -> ScriptResult<Vec<Vec<Figure>>> {
    let figure = |value: &Dynamic| {
        super::report::figure(value)
            .ok_or_else(|| fault(format!("panels are rows of Figures, not {}", options::describe(value))))
    };
    if rows.iter().any(|row| !row.is_array()) {
        return Ok(vec![rows.iter().map(figure).collect::<ScriptResult<_>>()?]);
    }
    let row = |row: &Dynamic| row.as_array_ref().map_err(fault)?.iter().map(figure).collect();
    rows.iter().map(row).collect()
}

/// A curve as a script gives it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Points {
    x: Vec<f64>,
    y: Vec<f64>,
    error: Vec<f64>,
}

fn curves(map: Map) -> ScriptResult<Vec<Curve>> {
    let curve = |(label, value): (rhai::Identifier, Dynamic)| {
        let label = label.to_string();
        let map = value.try_cast::<Map>().ok_or_else(|| fault(format!("curve \"{label}\" is a map with x and y")))?;
        let Points { x, y, error } =
            options::from_map(&map).map_err(|error| fault(format!("curve \"{label}\": {error}")))?;
        Ok(Curve { label, x, y, error })
    };
    map.into_iter().map(curve).collect()
}

/// One result of `volume::fsc`, or several by name.
fn correlations(map: Map) -> ScriptResult<Vec<(String, Fsc)>> {
    if map.contains_key("frequencies") {
        return Ok(vec![(String::new(), correlation(&map)?)]);
    }
    let named = |(label, value): (rhai::Identifier, Dynamic)| {
        let curve = value.try_cast::<Map>();
        let curve = curve.ok_or_else(|| fault(format!("\"{label}\" is not what volume::fsc gives")))?;
        Ok((label.to_string(), correlation(&curve)?))
    };
    map.into_iter().map(named).collect()
}

fn correlation(map: &Map) -> ScriptResult<Fsc> {
    Ok(Fsc { frequencies: column(map, "frequencies")?, correlations: column(map, "correlations")? })
}

/// The parts of one result that is corrected for its mask.
fn corrected(map: &Map) -> ScriptResult<Option<CorrectedFsc>> {
    if !map.contains_key("frequencies") || !map.contains_key("corrected") {
        return Ok(None);
    }
    let frequencies = column(map, "frequencies")?;
    let part =
        |name| -> ScriptResult<Fsc> { Ok(Fsc { frequencies: frequencies.clone(), correlations: column(map, name)? }) };
    Ok(Some(CorrectedFsc {
        unmasked: part("unmasked")?,
        masked: part("masked")?,
        randomized: part("randomized")?,
        corrected: part("corrected")?,
        randomized_from: map.get("randomized_from").and_then(|value| value.as_float().ok()),
    }))
}

fn column(map: &Map, name: &str) -> ScriptResult<Vec<f64>> {
    let values = map.get(name).and_then(|value| value.clone().try_cast::<Array>());
    let values = values.ok_or_else(|| fault(format!("a correlation has no {name}; volume::fsc gives one")))?;
    options::numbers(&values, name)
}
