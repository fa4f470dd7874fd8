//! `store::` files: image stacks, volumes, atoms, whole runs.

use rhai::plugin::*;

/// Files: image stacks (MRC, HDF5), volumes (MRC, HDF5), atoms (XYZ, PDB, CIF, POSCAR), poses (STAR, HDF5), whole runs (HDF5).
#[export_module(manifest)]
pub mod api {
    use rhai::Map;
    use serde::{Deserialize, Serialize};

    use crate::images::Images;
    use crate::pose::Poses;
    use crate::script::{ScriptResult, Session, fault, options, readable, run, stored, writable};
    use crate::store;
    use crate::structure::Structure;
    use crate::volume::Volume;

    /// What can be said about a file beyond its name.
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Reading {
        /// Edge of a pixel \[Å\]; as in the file if it is not given.
        pub pixel_size: Option<f64>,
    }

    /// Reads a stack of square images from MRC or HDF5.
    ///
    /// * `pixel_size` (Å, default: as in the file): takes the place of the one in the file; a warning says so if they
    ///   differ by more than 1 %.
    ///
    /// Images whose pixels are all equal are left out with a warning. A file that is truncated, a volume, images that
    /// are not square, pixels that are not numbers, and fewer than two images are errors.
    ///
    /// ```rhai
    /// let simulated = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 3 });
    /// simulated.save("stack.mrcs");
    /// print(store::images("stack.mrcs"));
    /// print(store::images("stack.mrcs", #{ pixel_size: 0.26 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn images(call: NativeCallContext, path: &str, options: Map) -> ScriptResult<Images> {
        let reading: Reading = options::parse(&call, &options)?;
        let readable = readable(&call, path)?;
        let stack = run(&call, |task| store::read_images(&readable, reading.pixel_size, task))?;
        for warning in stack.warnings() {
            Session::of(&call).tell(&format!("warning: {path}: {warning}"));
        }
        Ok(stack.images)
    }

    #[rhai_fn(name = "images", return_raw)]
    pub fn images_default(call: NativeCallContext, path: &str) -> ScriptResult<Images> {
        images(call, path, Map::new())
    }

    /// Reads a cubic volume from MRC, or from HDF5 that holds exactly one.
    ///
    /// * `pixel_size` (Å, default: as in the file): takes the place of the one in the file.
    ///
    /// ```rhai
    /// volume::of_structure(structure::bundled("fept_1.5nm")).save("density.mrc");
    /// print(store::volume("density.mrc"));
    /// print(store::volume("density.mrc", #{ pixel_size: 0.41 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn volume(call: NativeCallContext, path: &str, options: Map) -> ScriptResult<Volume> {
        let reading: Reading = options::parse(&call, &options)?;
        store::read_volume(&readable(&call, path)?, reading.pixel_size).map_err(fault)
    }

    #[rhai_fn(name = "volume", return_raw)]
    pub fn volume_default(call: NativeCallContext, path: &str) -> ScriptResult<Volume> {
        volume(call, path, Map::new())
    }

    /// Reads the atoms of a particle.
    ///
    /// * `path`: XYZ, plain or extended (`.xyz`); PDB (`.pdb`); CIF (`.cif`); POSCAR of VASP 5 (`.vasp`, `.poscar`, or a name that begins with `POSCAR` or `CONTCAR`); the
    ///   truth beside a simulated stack (`.json`); or HDF5 that holds exactly one structure or model (`.h5`).
    ///
    /// Positions are those of the file (`centred()` moves their centroid to the origin). Of a CIF or POSCAR it is the atoms of one unit cell, a CIF's symmetry operations
    /// applied; of a PDB the atoms it lists. Occupancies are not looked at; in a CIF two atoms on one site are an error. Files with several models or structures are errors too.
    ///
    /// A file that is missing or malformed is an error; it names the line of a text.
    ///
    /// ```rhai
    /// structure::bundled("fept_1.5nm").save("particle.cif");
    /// print(store::structure("particle.cif").centred());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn structure(call: NativeCallContext, path: &str) -> ScriptResult<Structure> {
        store::read_structure(&readable(&call, path)?).map_err(fault)
    }

    /// Reads poses.
    ///
    /// * `path`: RELION STAR (`.star`), HDF5 that holds exactly one set (`.h5`), or the truth beside a simulated stack (`.json`).
    /// * `pixel_size` (Å, default: as in the file): takes the place of the one in a STAR file whose origins are in pixels.
    ///
    /// Rows of a STAR file that are the images of one stack in another order come in the order of the stack; a warning says so where they are not a
    /// whole stack. Missing angles, numbers that are none and truncated rows are errors that name the line.
    ///
    /// ```rhai
    /// orient::random(3, 1).save("poses.star", #{ images: "stack.mrcs", pixel_size: 0.25 });
    /// print(store::poses("poses.star"));
    /// print(store::poses("poses.star", #{ pixel_size: 0.25 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn poses(call: NativeCallContext, path: &str, options: Map) -> ScriptResult<Poses> {
        let reading: Reading = options::parse(&call, &options)?;
        let file = readable(&call, path)?;
        if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("star")) {
            return store::read_poses(&file).map_err(fault);
        }
        let read = store::read_star(&file, reading.pixel_size).map_err(fault)?;
        if let Some(warning) = read.warning {
            Session::of(&call).tell(&format!("warning: {path}: {warning}"));
        }
        Ok(read.poses)
    }

    #[rhai_fn(name = "poses", return_raw)]
    pub fn poses_default(call: NativeCallContext, path: &str) -> ScriptResult<Poses> {
        poses(call, path, Map::new())
    }

    /// Writes values under their names to one HDF5 file, with the script, its modules and arguments, the options used, and checksums of the files that were read.
    ///
    /// * `values`: a map of images, volumes, poses, structures, models, tables, numbers, strings, arrays, and maps of
    ///   such values.
    ///
    /// The file appears under its name only when it is complete; until then an older one stays. `pedesis run run.h5` repeats the run.
    ///
    /// ```rhai
    /// store::write("run.h5", #{ atoms: structure::bundled("fept_1.5nm"), result: #{ rmsd_pm: 7.5, fsc: [1.0, 0.9] } });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write(call: NativeCallContext, path: &str, values: Map) -> ScriptResult<()> {
        let values = stored::map_to_stored(&values).map_err(fault)?;
        let (file, provenance) = (writable(&call, path)?, Session::of(&call).provenance());
        run(&call, |task| store::write_h5(&file, &values, &provenance, task))
    }

    /// Reads what `store::write` wrote, as a map from names to values.
    ///
    /// A model comes back as a map of its `atoms`, `columns` and `rejected` peaks.
    ///
    /// ```rhai
    /// store::write("run.h5", #{ rmsd_pm: 7.5 });
    /// print(store::read("run.h5").rmsd_pm);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(call: NativeCallContext, path: &str) -> ScriptResult<Map> {
        let contents = store::read_h5(&readable(&call, path)?).map_err(fault)?;
        Ok(stored::map_from_stored(contents.values))
    }

    /// Writes a map as JSON, in one step as `store::write` does.
    ///
    /// A table becomes an array of rows. Numbers that are not finite become null. A value that JSON does not have, such as a volume, is an error.
    ///
    /// ```rhai
    /// store::write_json("summary.json", #{ seed: 1, atoms: #{ Fe: 62, Pt: 62 } });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write_json(call: NativeCallContext, path: &str, map: Map) -> ScriptResult<()> {
        let json = stored::map_to_json(&map).map_err(fault)?;
        store::write_json(&writable(&call, path)?, &json).map_err(fault)
    }

    /// Says what a file holds (HDF5, MRC, STAR, XYZ, PDB, CIF, POSCAR, truth, liquids): sizes, pixel size, range of the values, atoms of each element, the cell.
    ///
    /// ```rhai
    /// structure::bundled("fept_1.5nm").save("particle.xyz");
    /// print(store::info("particle.xyz"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn info(call: NativeCallContext, path: &str) -> ScriptResult<String> {
        store::info(&readable(&call, path)?).map_err(fault)
    }
}
