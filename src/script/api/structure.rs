//! `structure::` particles as lists of atoms.

use rhai::Array;
use rhai::plugin::*;

use serde::{Deserialize, Serialize};

use crate::script::diagnostic::a;
use crate::script::{ScriptResult, fault};
use crate::structure::{Element, Lattice, LatticeKind};

/// The elements that an array of symbols names.
///
/// # Errors
/// If an item is not a string, or not the symbol of an element.
pub fn elements(species: Array) -> ScriptResult<Vec<Element>> {
    let symbols = species.into_iter().map(Dynamic::into_string).collect::<Result<Vec<_>, _>>();
    let symbols =
        symbols.map_err(|kind| fault(format!("species are symbols as in [\"Pb\", \"Se\"], not {}", a(kind))))?;
    symbols.iter().map(|symbol| symbol.parse().map_err(fault)).collect()
}

/// A cubic lattice from the arguments of its function.
fn cubic(kind: LatticeKind, species: Array, a: f64) -> ScriptResult<Lattice> {
    Lattice::new(kind, &elements(species)?, a, None, None).map_err(fault)
}

/// Constants of a lattice as a script gives them to `lattice`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Constants {
    a: f64,
    c: Option<f64>,
    u: Option<f64>,
}

/// Particles as lists of atoms: crystals, spheres cut from them, and the particles that come with pedesis.
#[export_module(manifest)]
pub mod api {

    use nalgebra::{UnitQuaternion, UnitVector3, Vector3};
    use rhai::{Array, Map};

    use super::{Constants, cubic, elements};
    use crate::script::{ScriptResult, fault, options, saved};
    use crate::store;
    use crate::structure::{self, Alloy, Atom, Displacement, Lattice, LatticeKind, Sphere, Structure};

    /// A particle that comes with pedesis.
    ///
    /// * `name`: as `structure::bundled_names()` lists it, in any case; a beginning that leaves no choice will do.
    ///   `NAME_ideal` has the lattice sites of the same atoms, `NAME_sevennet` is relaxed with another potential.
    ///
    /// An unknown or ambiguous name is an error that says which there are.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn bundled(name: &str) -> ScriptResult<Structure> {
        structure::bundled(name).map_err(fault)
    }

    /// Names of the particles that come with pedesis.
    ///
    /// ```rhai
    /// for name in structure::bundled_names() { print(name); }
    /// ```
    pub fn bundled_names() -> Array {
        structure::bundled_names().into_iter().map(Dynamic::from).collect()
    }

    /// The rock salt lattice.
    ///
    /// * `species`: two symbols; * `a` (Å): lattice constant.
    ///
    /// ```rhai
    /// let particle = structure::rocksalt(["Pb", "Se"], 6.124).sphere(25);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn rocksalt(species: Array, a: f64) -> ScriptResult<Lattice> {
        cubic(LatticeKind::Rocksalt, species, a)
    }

    /// The zinc blende lattice.
    ///
    /// * `species`: two symbols; * `a` (Å): lattice constant.
    ///
    /// ```rhai
    /// let particle = structure::zincblende(["Cd", "Se"], 6.077).sphere(25);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn zincblende(species: Array, a: f64) -> ScriptResult<Lattice> {
        cubic(LatticeKind::ZincBlende, species, a)
    }

    /// The face-centred cubic lattice of one element, or of a random alloy of several.
    ///
    /// * `species`: one symbol or more; * `a` (Å): lattice constant.
    ///
    /// ```rhai
    /// let particle = structure::fcc(["Fe", "Pt"], 3.816).sphere(20, #{ composition: [40, 60], seed: 1 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fcc(species: Array, a: f64) -> ScriptResult<Lattice> {
        cubic(LatticeKind::Fcc, species, a)
    }

    /// The wurtzite lattice, its c axis along z.
    ///
    /// * `species`: two symbols; * `a`, `c` (Å): lattice constants; the internal parameter u is 3/8 (`lattice` takes another).
    ///
    /// ```rhai
    /// let particle = structure::wurtzite(["Cd", "Se"], 4.30, 7.01).sphere(25);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wurtzite(species: Array, a: f64, c: f64) -> ScriptResult<Lattice> {
        Lattice::new(LatticeKind::Wurtzite, &elements(species)?, a, Some(c), None).map_err(fault)
    }

    /// A lattice whose kind is known only when the script runs.
    ///
    /// * `kind`: `"rocksalt"`, `"zincblende"`, `"wurtzite"` or `"fcc"`;
    /// * `species`: symbols, two or (fcc) one or more;
    /// * `a` (Å, needed), `c` (Å, for wurtzite), `u` (for wurtzite, default 3/8).
    ///
    /// ```rhai
    /// print(structure::lattice("wurtzite", ["Cd", "Se"], #{ a: 4.30, c: 7.01, u: 0.3755 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn lattice(call: NativeCallContext, kind: &str, species: Array, constants: Map) -> ScriptResult<Lattice> {
        let Constants { a, c, u } = options::parse(&call, &constants)?;
        let kind: LatticeKind = kind.parse().map_err(fault)?;
        Lattice::new(kind, &elements(species)?, a, c, u).map_err(fault)
    }

    /// One line: species, kind and constants.
    ///
    /// ```rhai
    /// print(structure::fcc(["Pt"], 3.92).to_string());
    /// ```
    #[rhai_fn(global, name = "to_string")]
    pub fn lattice_to_string(lattice: Lattice) -> String {
        lattice.to_string()
    }

    /// One line: species, kind, constants, distance between nearest neighbours and atoms in a cubic nanometre.
    ///
    /// ```rhai
    /// print(structure::fcc(["Pt"], 3.92).info());
    /// ```
    #[rhai_fn(global, name = "info")]
    pub fn lattice_info(lattice: Lattice) -> String {
        let (distance, density) = (lattice.nearest_distance(), 1000.0 * lattice.site_density());
        format!("{lattice}; nearest neighbours {distance:.3} Å apart, {density:.1} atoms in a nm³")
    }

    /// Cuts a sphere out of a lattice.
    ///
    /// * `diameter` (Å);
    /// * `centre` (fractional coordinates, default `[0, 0, 0]`): where the sphere's centre is in the cell;
    /// * `random_centre` (default false): draw it from the cell instead;
    /// * `min_neighbours` (default 0): atoms with fewer nearest neighbours are removed until none is left;
    /// * `centred` (default true): the origin is the centroid of the atoms; false: the sphere's centre;
    /// * `composition` (default: equal): fractions of the species of an fcc alloy, in any unit;
    /// * `seed` (default 0): of the random centre and the alloy.
    ///
    /// A diameter that is not positive, holds no atom, or holds millions of them is an error.
    ///
    /// ```rhai
    /// let pbse = structure::rocksalt(["Pb", "Se"], 6.124);
    /// print(pbse.sphere(25));
    /// print(pbse.sphere(25, #{ random_centre: true, seed: 3, min_neighbours: 2 }));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn sphere(call: NativeCallContext, lattice: Lattice, diameter: f64, options: Map) -> ScriptResult<Structure> {
        let options: Sphere = options::parse(&call, &options)?;
        lattice.sphere(diameter, &options).map_err(fault)
    }

    #[rhai_fn(global, name = "sphere", return_raw)]
    pub fn sphere_default(call: NativeCallContext, lattice: Lattice, diameter: f64) -> ScriptResult<Structure> {
        sphere(call, lattice, diameter, Map::new())
    }

    /// Draws the species of all atoms anew, at random, in counts as near to the composition as whole atoms allow.
    ///
    /// * `species`: symbols; * `composition` (default: equal): their fractions, in any unit; * `seed` (default 0).
    ///
    /// ```rhai
    /// let lattice_sites = structure::bundled("pt_2.5nm_ideal");
    /// print(lattice_sites.alloyed(["Fe", "Pt"], #{ composition: [1, 3], seed: 2 }));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn alloyed(
        call: NativeCallContext,
        structure: Structure,
        species: Array,
        options: Map,
    ) -> ScriptResult<Structure> {
        let options: Alloy = options::parse(&call, &options)?;
        structure.alloyed(&elements(species)?, &options).map_err(fault)
    }

    /// Moves every atom by a random Gaussian displacement.
    ///
    /// * `rms` (Å, default 0): root mean square length of the displacements, all axes together; * `seed` (default 0).
    ///
    /// ```rhai
    /// let ideal = structure::bundled("fept_2.0nm_fe50pt50_ideal");
    /// print(ideal.displaced(#{ rms: 0.1, seed: 1 }));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn displaced(call: NativeCallContext, structure: Structure, options: Map) -> ScriptResult<Structure> {
        let options: Displacement = options::parse(&call, &options)?;
        structure.displaced(&options).map_err(fault)
    }

    /// Turns a particle about the origin.
    ///
    /// * `axis`: three numbers; * `angle` (degrees, right-handed).
    ///
    /// ```rhai
    /// let lying = structure::bundled("cdse_wz_2.5nm").rotated([1, 0, 0], 90);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn rotated(structure: Structure, axis: Array, angle: f64) -> ScriptResult<Structure> {
        let numbers = options::numbers(&axis, "axis")?;
        let &[x, y, z] = &numbers[..] else { return Err(fault("axis must be three numbers")) };
        let axis = UnitVector3::try_new(Vector3::new(x, y, z), 1e-9);
        let axis = axis.ok_or_else(|| fault("axis must not be zero"))?;
        Ok(structure.rotated(UnitQuaternion::from_axis_angle(&axis, angle.to_radians())))
    }

    /// The particle with its centroid at the origin.
    ///
    /// ```rhai
    /// print(structure::bundled("pbse_2.5nm").centred().info());
    /// ```
    #[rhai_fn(global)]
    pub fn centred(structure: Structure) -> Structure {
        structure.centred()
    }

    /// Name of the particle.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").name());
    /// ```
    #[rhai_fn(global)]
    pub fn name(structure: Structure) -> String {
        structure.name().to_owned()
    }

    /// Number of atoms.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").len());
    /// ```
    #[rhai_fn(global)]
    pub fn len(structure: Structure) -> i64 {
        structure.len() as i64
    }

    /// Symbol of every atom.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").species()[0]);
    /// ```
    #[rhai_fn(global)]
    pub fn species(structure: Structure) -> Array {
        structure.atoms().iter().map(|atom| atom.element.symbol().into()).collect()
    }

    /// Position `[x, y, z]` of every atom (Å).
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").positions()[0]);
    /// ```
    #[rhai_fn(global)]
    pub fn positions(structure: Structure) -> Array {
        let position = |atom: &Atom| Dynamic::from_array(atom.position.iter().map(|&x| x.into()).collect());
        structure.atoms().iter().map(position).collect()
    }

    /// How many atoms there are of each element, as a map.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").composition().Fe);
    /// ```
    #[rhai_fn(global)]
    pub fn composition(structure: Structure) -> Map {
        let counts = structure.composition().into_iter();
        counts.map(|(element, count)| (element.symbol().into(), (count as i64).into())).collect()
    }

    /// The composition as text, for instance `"Fe62Pt62"`.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").formula());
    /// ```
    #[rhai_fn(global)]
    pub fn formula(structure: Structure) -> String {
        structure.formula()
    }

    /// Twice the largest distance of an atom from the centroid (Å).
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").diameter());
    /// ```
    #[rhai_fn(global)]
    pub fn diameter(structure: Structure) -> f64 {
        structure.diameter()
    }

    /// Smallest distance between two atoms (Å).
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").min_distance());
    /// ```
    #[rhai_fn(global)]
    pub fn min_distance(structure: Structure) -> f64 {
        structure.min_distance()
    }

    /// One line: name, number of atoms, composition and diameter.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(structure: Structure) -> String {
        structure.to_string()
    }

    /// One line: what `to_string` says, and the smallest distance between atoms.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(structure: Structure) -> String {
        format!("{structure}, atoms at least {:.2} Å apart", structure.min_distance())
    }

    /// Saves the particle as extended XYZ (`.xyz`), PDB (`.pdb`), CIF (`.cif`) or HDF5 (`.h5`), as the name of the file ends.
    ///
    /// PDB holds positions to 0.001 Å. The cell of the CIF is an empty box around the particle, whose middle programs move the particle to.
    ///
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error, and what a format has no room for (PDB: 99,999 atoms,
    /// positions from −999.999 to 9999.999 Å).
    ///
    /// ```rhai
    /// let particle = structure::bundled("fept_1.5nm");
    /// for ending in ["xyz", "pdb", "cif"] { particle.save(`fept.${ending}`); }
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, structure: Structure, path: &str) -> ScriptResult<()> {
        saved(&call, path, store::Value::Structure(structure))
    }

    /// The particle as extended XYZ text.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").to_xyz());
    /// ```
    #[rhai_fn(global)]
    pub fn to_xyz(structure: Structure) -> String {
        structure.to_xyz()
    }
}
