//! `volume::` densities on a cubic grid.

use nalgebra::Point3;
use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use super::array;
use crate::images::{Images, Particles};
use crate::model::Model;
use crate::pose::Poses;
use crate::script::{ScriptResult, fault, options, run, saved};
use crate::store;
use crate::structure::Structure;
use crate::volume::{
    self, CorrectedFsc, Fsc, FscOptions, LocalResolutionOptions, ProjectOptions, ReconstructOptions, Volume,
};

/// Options of `of_structure` and `of_model`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DensityOptions {
    edge: f64,
    pixel_size: f64,
    width: f64,
}

impl Default for DensityOptions {
    fn default() -> Self {
        Self { edge: 0.0, pixel_size: 0.4, width: 0.45 }
    }
}

/// Most voxels along an edge: beyond it a density and its padded transform take tens of GiB.
const LARGEST: f64 = 1000.0;

/// Densities: from posed images, from atoms; how well two of them agree.
#[export_module(manifest)]
pub mod api {
    /// Reconstructs the density whose projections the images show, with two half sets and their Fourier shell correlation.
    ///
    /// * `particles`: from `images.prepare`. `poses`: one an image.
    /// * options: `low_pass` (Å, default 1.0), resolution to which frequencies are kept; `mask` (default true) sets to zero what lies
    ///   outside the particle; `reject` (default 0), fraction of images with the lowest scores to leave out;
    /// * `weights` (default: all 1), one an image: 0 leaves an outlier out; `scales` (default: all 1), amplitude of each image, where an
    ///   image is its scale × a projection. Numbers that are negative or not finite, or not one an image, are errors;
    /// * `method`: `"gridding"` (default), or `"least_squares"`: the density within the mask that explains the images best, by conjugate
    ///   gradients; better where views are few or leave gaps, at several times the time and memory; with `iterations` (default 10) and
    ///   `ridge` (default 0.01), the penalty on the density's square as a fraction of the mean weight of a frequency: raise it for noisy images.
    ///
    /// Gives a map: `volume`; `halves`, the densities of the even and the odd images; `residuals` of least squares after each
    /// iteration, relative to the data; `fsc` of the halves within the mask: `frequencies` (1/Å), `correlations`, `resolution` and
    /// `resolution_half` (Å, at 0.143 and 0.5), with `unmasked`, `masked`, `randomized` and `corrected` as from `volume::fsc` with options,
    /// and the resolutions of the last, `resolution_corrected` and `resolution_half_corrected`. Halves whose poses come
    /// from one start share its errors: their correlation proves nothing about the truth.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 20, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2 });
    /// print(map.volume);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn reconstruct(call: NativeCallContext, particles: Particles, poses: Poses, options: Map) -> ScriptResult<Map> {
        let mut options = options;
        let weights = super::per_image(&mut options, "weights")?;
        let scales = super::per_image(&mut options, "scales")?;
        let options = ReconstructOptions { weights, scales, ..options::parse(&call, &options)? };
        let result = run(&call, |task| volume::reconstruct(&particles, &poses, &options, task))?;
        Ok(Map::from([
            ("volume".into(), Dynamic::from(result.volume)),
            ("halves".into(), result.halves.into_iter().map(Dynamic::from).collect::<Array>().into()),
            ("residuals".into(), array(&result.residuals).into()),
            ("fsc".into(), super::half_sets_map(result.fsc).into()),
        ]))
    }

    /// Fourier shell correlation of two densities of one shape.
    ///
    /// Gives a map: `frequencies` (1/Å), `correlations`, `resolution` and `resolution_half` (Å), where the curve falls below 0.143 and
    /// 0.5 (`()` if it does not).
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(volume::fsc(density, density).correlations[3]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fsc(a: Volume, b: Volume) -> ScriptResult<Map> {
        Fsc::between(&a, &b).map(|fsc| super::fsc_map(&fsc)).map_err(fault)
    }

    /// Fourier shell correlation of two half-set densities within a mask, corrected for what the mask adds.
    ///
    /// The mask's part is measured on the same densities with random phases (Chen et al., Ultramicroscopy 135 (2013) 24).
    ///
    /// * `half_1`, `half_2`: of one shape, not masked yet (`volume::reconstruct` with `mask: false`);
    /// * options: `radius` of the mask (Å, default 0.4 edges of the box) and `edge`, the width of its soft edge (Å, default 1.5);
    ///   `randomize_below` (default 0.8): phases are random from where the unmasked correlation first falls below; `seed` (default 0).
    ///
    /// Gives a map: `frequencies` (1/Å); `correlations` without the mask, under the name `unmasked` too; `masked`; `randomized`; `corrected`;
    /// `randomized_from` (1/Å, `()` if nowhere); `resolution` and `resolution_half` (Å), where `corrected` falls below 0.143 and 0.5. It
    /// corrects for the mask only: halves whose poses come from one start or one reference share its errors, and agree on them.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 20, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2, mask: false });
    /// print(volume::fsc(map.halves[0], map.halves[1], #{ radius: 10 }).resolution);
    /// ```
    #[rhai_fn(name = "fsc", return_raw)]
    pub fn fsc_masked(call: NativeCallContext, half_1: Volume, half_2: Volume, options: Map) -> ScriptResult<Map> {
        let options: FscOptions = options::parse(&call, &options)?;
        run(&call, |_| CorrectedFsc::between(&half_1, &half_2, &options)).map(super::corrected_map)
    }

    /// Resolution around each voxel: a density whose values are in Å.
    ///
    /// The halves are compared band by band within a moving window (Cardone et al., J. Struct. Biol. 184 (2013) 226). Values go from `low_pass`,
    /// where they agree throughout, to `window`, where they do not agree at all. The halves must be independent and not masked tightly.
    ///
    /// * options: `window` (Å, default 6 × `low_pass`), full width at half maximum; `threshold` (default 0.5), the correlation at which
    ///   they cease to agree; `low_pass` (Å, default 2.5 voxels), finest resolution looked at; `shells` (default 20), number of bands.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 20, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2, mask: false });
    /// print(volume::local_resolution(map.halves[0], map.halves[1], #{ window: 8, shells: 8 }).info());
    /// print(volume::local_resolution(map.halves[0], map.halves[1]));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn local_resolution(
        call: NativeCallContext,
        half_1: Volume,
        half_2: Volume,
        options: Map,
    ) -> ScriptResult<Volume> {
        let options: LocalResolutionOptions = options::parse(&call, &options)?;
        run(&call, |task| volume::local_resolution(&half_1, &half_2, &options, task))
    }

    #[rhai_fn(name = "local_resolution", return_raw)]
    pub fn local_resolution_default(call: NativeCallContext, half_1: Volume, half_2: Volume) -> ScriptResult<Volume> {
        local_resolution(call, half_1, half_2, Map::new())
    }

    /// Pearson's correlation coefficient of two densities of one shape over all voxels, from −1 to 1.
    ///
    /// It depends on their strengths at each frequency (`orient::match_power`), as `volume::fsc` does not. A density that is the
    /// same everywhere is an error.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let sharp = volume::of_structure(truth, #{ edge: 24 });
    /// print(volume::correlation(sharp, volume::of_structure(truth, #{ edge: 24, width: 0.6 })));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn correlation(call: NativeCallContext, a: Volume, b: Volume) -> ScriptResult<f64> {
        run(&call, |_| a.correlation(&b))
    }

    /// A density on another grid, centre on centre.
    ///
    /// * `size`: voxels along an edge; `pixel_size`: edge of a voxel (Å). Or `like`: a Volume whose grid to take.
    ///
    /// Interpolation is trigonometric: frequencies that the new voxels carry are kept, others left out. Beyond the old box is zero.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"), #{ edge: 24 });
    /// let finer = density.resampled(100, 0.3);
    /// print(volume::fsc(density, finer.resampled(density)).resolution);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn resampled(call: NativeCallContext, volume: Volume, size: i64, pixel_size: f64) -> ScriptResult<Volume> {
        let size = usize::try_from(size).unwrap_or(0);
        run(&call, |_| volume.resampled(size, pixel_size))
    }

    #[rhai_fn(global, name = "resampled", return_raw)]
    pub fn resampled_like(call: NativeCallContext, volume: Volume, like: Volume) -> ScriptResult<Volume> {
        run(&call, |_| volume.resampled(like.size(), like.pixel_size()))
    }

    /// Projections of a density along the beam, one a pose, at its rotation and shift.
    ///
    /// * options: `pixel_size` (Å, default: that of the voxels); `size` of an image in pixels (default: as wide as the density); `low_pass` (Å, default: all
    ///   that voxels and pixels carry).
    ///
    /// Gives Images of ∫ density dz (density · Å). A size below 4 or above 8192 pixels, or a density that holds no numbers, is an error.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let images = volume::project(density, orient::random(3, 1), #{ size: 80, pixel_size: 0.3, low_pass: 1.0 });
    /// print(volume::project(density, orient::random(3, 1)));
    /// print(images);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn project(call: NativeCallContext, volume: Volume, poses: Poses, options: Map) -> ScriptResult<Images> {
        let options: ProjectOptions = options::parse(&call, &options)?;
        run(&call, |task| volume::project(&volume, &poses, &options, task))
    }

    #[rhai_fn(name = "project", return_raw)]
    pub fn project_default(call: NativeCallContext, volume: Volume, poses: Poses) -> ScriptResult<Images> {
        project(call, volume, poses, Map::new())
    }

    /// A density with a Gaussian of weight Z (atomic number) at each atom of a structure.
    ///
    /// * options: `edge` of the cube (Å, default 0: 1.6 × the structure's extent); `pixel_size` (Å, default 0.4); `width`, the
    ///   Gaussians' standard deviation (Å, default 0.45).
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm"), #{ edge: 24, pixel_size: 0.5 }));
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn of_structure(call: NativeCallContext, structure: Structure, options: Map) -> ScriptResult<Volume> {
        let options: DensityOptions = options::parse(&call, &options)?;
        super::density(&super::by_number(&structure), &options)
    }

    #[rhai_fn(name = "of_structure", return_raw)]
    pub fn of_structure_default(structure: Structure) -> ScriptResult<Volume> {
        super::density(&super::by_number(&structure), &DensityOptions::default())
    }

    /// A density with a Gaussian at each atom of a Model, its weight the intensity of the atom.
    ///
    /// It has no noise, and no element need be known for it.
    ///
    /// * options: as for `of_structure`.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"), #{ edge: 24, pixel_size: 0.25 });
    /// let atoms = model::trace(density, #{ species: ["C"] });
    /// let again = volume::of_model(atoms, #{ edge: 24, pixel_size: 0.25 });
    /// print(volume::correlation(again, density));
    /// print(volume::of_model(atoms));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn of_model(call: NativeCallContext, atoms: Model, options: Map) -> ScriptResult<Volume> {
        let options: DensityOptions = options::parse(&call, &options)?;
        super::density(&super::by_intensity(&atoms), &options)
    }

    #[rhai_fn(name = "of_model", return_raw)]
    pub fn of_model_default(atoms: Model) -> ScriptResult<Volume> {
        super::density(&super::by_intensity(&atoms), &DensityOptions::default())
    }

    /// Voxels along an edge.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).size());
    /// ```
    #[rhai_fn(global)]
    pub fn size(volume: Volume) -> i64 {
        volume.size() as i64
    }

    /// Edge of a voxel in Å.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).pixel_size());
    /// ```
    #[rhai_fn(global)]
    pub fn pixel_size(volume: Volume) -> f64 {
        volume.pixel_size()
    }

    /// Keeps what lies within `radius` Å of the centre, with a soft edge of 1.5 Å.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).masked(5));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn masked(volume: Volume, radius: f64) -> ScriptResult<Volume> {
        if radius > 0.0 && radius.is_finite() {
            Ok(volume.masked(radius, 1.5))
        } else {
            Err(fault(format!("the radius of a mask must be a positive number of Å, not {radius}")))
        }
    }

    /// The mirror image: z reversed.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).mirrored());
    /// ```
    #[rhai_fn(global)]
    pub fn mirrored(volume: Volume) -> Volume {
        volume.mirrored()
    }

    /// One line: size, voxel and range of values.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(volume: Volume) -> String {
        let (low, high) = volume.range();
        let (size, pixel_size) = (volume.size(), volume.pixel_size());
        format!("density of {size} × {size} × {size} voxels of {pixel_size:.3} Å, values {low:.3} to {high:.3}")
    }

    /// A few lines: size, voxel, range of values.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(volume: Volume) -> String {
        let (low, high) = volume.range();
        let mean = volume.data().iter().map(|&v| f64::from(v)).sum::<f64>() / volume.data().len() as f64;
        format!(
            "{0} × {0} × {0} voxels of {1:.3} Å ({2:.1} Å an edge)\nvalues {low:.3} … {high:.3}, mean {mean:.4}",
            volume.size(),
            volume.pixel_size(),
            volume.edge()
        )
    }

    /// Saves a density as MRC (`.mrc`) or HDF5 (`.h5`), as the name of the file ends.
    ///
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error.
    ///
    /// ```rhai
    /// volume::of_structure(structure::bundled("fept_1.5nm")).save("density.mrc");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, volume: Volume, path: &str) -> ScriptResult<()> {
        saved(&call, path, store::Value::Volume(volume))
    }
}

/// One number an image, taken out of a map of options.
fn per_image(options: &mut Map, name: &str) -> ScriptResult<Option<Vec<f64>>> {
    let values = options::take::<Array>(options, name, "an array of numbers")?;
    values.map(|values| options::numbers(&values, &format!("one of the {name}"))).transpose()
}

/// The four curves of a corrected correlation.
fn curves_map(fsc: &CorrectedFsc) -> Map {
    Map::from([
        ("unmasked".into(), array(&fsc.unmasked.correlations).into()),
        ("masked".into(), array(&fsc.masked.correlations).into()),
        ("randomized".into(), array(&fsc.randomized.correlations).into()),
        ("corrected".into(), array(&fsc.corrected.correlations).into()),
        ("randomized_from".into(), fsc.randomized_from.map_or(Dynamic::UNIT, Dynamic::from)),
    ])
}

/// The plain correlation is that without the mask, the resolutions are those of the corrected one.
fn corrected_map(fsc: CorrectedFsc) -> Map {
    let mut map = fsc_map(&fsc.corrected);
    map.extend(curves_map(&fsc));
    map.insert("correlations".into(), array(&fsc.unmasked.correlations).into());
    map
}

/// The plain correlation and its resolutions are those within the mask.
fn half_sets_map(fsc: CorrectedFsc) -> Map {
    let mut map = fsc_map(&fsc.masked);
    map.extend(curves_map(&fsc));
    let corrected = fsc_map(&fsc.corrected);
    map.insert("resolution_corrected".into(), corrected["resolution"].clone());
    map.insert("resolution_half_corrected".into(), corrected["resolution_half"].clone());
    map
}

fn fsc_map(fsc: &Fsc) -> Map {
    let at = |threshold| fsc.resolution(threshold).map_or(Dynamic::UNIT, Dynamic::from);
    Map::from([
        ("resolution".into(), at(0.143)),
        ("resolution_half".into(), at(0.5)),
        ("frequencies".into(), array(&fsc.frequencies).into()),
        ("correlations".into(), array(&fsc.correlations).into()),
    ])
}

/// A place and the weight of its Gaussian.
type Weighted = (Point3<f64>, f64);

fn by_number(structure: &Structure) -> Vec<Weighted> {
    structure.atoms().iter().map(|atom| (atom.position, f64::from(atom.element.atomic_number()))).collect()
}

fn by_intensity(atoms: &Model) -> Vec<Weighted> {
    atoms.atoms().iter().map(|atom| (atom.peak.position, atom.peak.intensity)).collect()
}

fn density(atoms: &[Weighted], options: &DensityOptions) -> ScriptResult<Volume> {
    let DensityOptions { edge, pixel_size, width } = *options;
    for (name, value) in [("pixel_size", pixel_size), ("width", width)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(fault(format!("{name} must be a positive number of Å, not {value}")));
        }
    }
    let radius = atoms.iter().map(|(place, _)| place.coords.norm()).fold(0.0, f64::max);
    let edge = if edge == 0.0 { 1.6 * 2.0 * radius.max(1.0) } else { edge };
    let voxels = edge / pixel_size;
    if !(4.0..=LARGEST).contains(&voxels) {
        return Err(fault(format!(
            "a cube of {edge} Å with voxels of {pixel_size} Å must have 4 to {LARGEST} an edge"
        )));
    }
    let size = voxels.round() as usize;
    Ok(volume::density_of_atoms(atoms, width, size, edge / size as f64))
}
