//! `volume::` densities on a cubic grid.

use std::path::Path;

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use crate::images::{Images, Particles};
use crate::pose::Poses;
use crate::script::{ScriptResult, Session, fault, options, run};
use crate::store;
use crate::structure::Structure;
use crate::volume::{self, Fsc, ProjectOptions, ReconstructOptions, Volume};

/// Options of `of_structure`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DensityOptions {
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
    ///   outside the particle; `reject` (default 0), fraction of images with the lowest scores to leave out.
    ///
    /// Gives a map: `volume`; `halves`, the densities of the even and the odd images; `fsc` as from `volume::fsc`.
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
        let options: ReconstructOptions = options::parse(&call, &options)?;
        let result = run(&call, |task| volume::reconstruct(&particles, &poses, &options, task))?;
        Ok(Map::from([
            ("volume".into(), Dynamic::from(result.volume)),
            ("halves".into(), result.halves.into_iter().map(Dynamic::from).collect::<Array>().into()),
            ("fsc".into(), super::fsc_map(result.fsc).into()),
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
        Fsc::between(&a, &b).map(super::fsc_map).map_err(fault)
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
    /// ```
    #[rhai_fn(return_raw)]
    pub fn of_structure(call: NativeCallContext, structure: Structure, options: Map) -> ScriptResult<Volume> {
        let options: DensityOptions = options::parse(&call, &options)?;
        super::density(&structure, &options)
    }

    #[rhai_fn(name = "of_structure", return_raw)]
    pub fn of_structure_default(structure: Structure) -> ScriptResult<Volume> {
        super::density(&structure, &DensityOptions::default())
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

    /// One line: size and voxel.
    #[rhai_fn(global)]
    pub fn to_string(volume: Volume) -> String {
        format!("density of {0} × {0} × {0} voxels of {1:.3} Å", volume.size(), volume.pixel_size())
    }

    /// A few lines: size, voxel, range of values.
    ///
    /// ```rhai
    /// print(volume::of_structure(structure::bundled("fept_1.5nm")).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(volume: Volume) -> String {
        let (low, high) = volume.data().iter().fold((f32::MAX, f32::MIN), |(a, b), &v| (a.min(v), b.max(v)));
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
        let provenance = Session::of(&call).provenance();
        store::save(Path::new(path), &store::Value::Volume(volume), &provenance).map_err(fault)
    }
}

fn fsc_map(fsc: Fsc) -> Map {
    let at = |threshold| fsc.resolution(threshold).map_or(Dynamic::UNIT, Dynamic::from);
    Map::from([
        ("resolution".into(), at(0.143)),
        ("resolution_half".into(), at(0.5)),
        ("frequencies".into(), array(&fsc.frequencies).into()),
        ("correlations".into(), array(&fsc.correlations).into()),
    ])
}

fn array(values: &[f64]) -> Array {
    values.iter().map(|&value| Dynamic::from(value)).collect()
}

fn density(structure: &Structure, options: &DensityOptions) -> ScriptResult<Volume> {
    let DensityOptions { edge, pixel_size, width } = *options;
    for (name, value) in [("pixel_size", pixel_size), ("width", width)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(fault(format!("{name} must be a positive number of Å, not {value}")));
        }
    }
    let radius = structure.atoms().iter().map(|atom| atom.position.coords.norm()).fold(0.0, f64::max);
    let edge = if edge == 0.0 { 1.6 * 2.0 * radius.max(1.0) } else { edge };
    let voxels = edge / pixel_size;
    if !(4.0..=LARGEST).contains(&voxels) {
        return Err(fault(format!(
            "a cube of {edge} Å with voxels of {pixel_size} Å must have 4 to {LARGEST} an edge"
        )));
    }
    let atoms: Vec<_> =
        structure.atoms().iter().map(|atom| (atom.position, f64::from(atom.element.atomic_number()))).collect();
    let size = voxels.round() as usize;
    Ok(volume::density_of_atoms(&atoms, width, size, edge / size as f64))
}
