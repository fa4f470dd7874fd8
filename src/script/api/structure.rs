//! `structure::` particles as lists of atoms.

use std::path::Path;

use rhai::plugin::*;

use rhai::{Array, Map};

use crate::script::{ScriptResult, Session, fault, options, run};
use crate::store;
use crate::structure::{Element, Lattice, LatticeKind, Sphere, Structure};

/// Particles as lists of atoms: bundled, cut from a crystal, changed.
#[export_module(manifest)]
pub mod api {
    /// Gives a particle that comes with the program.
    ///
    /// * `name`: its name in any case, or a beginning of it that leaves no choice; `bundled_names` lists them.
    ///
    /// A name that fits none or several is an error.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// print(truth);                               // FePt_1.5nm_Fe50Pt50: 124 atoms …
    /// ```
    #[rhai_fn(return_raw)]
    pub fn bundled(name: &str) -> ScriptResult<Structure> {
        crate::structure::bundled(name).map_err(fault)
    }

    /// Lists the particles that come with the program.
    ///
    /// `NAME` is relaxed, `NAME_ideal` has the same atoms on the sites of the perfect lattice.
    ///
    /// ```rhai
    /// for name in structure::bundled_names() { print(name); }
    /// ```
    pub fn bundled_names() -> Array {
        crate::structure::bundled_names().into_iter().map(Dynamic::from).collect()
    }

    /// Cuts a sphere from a rock salt crystal (PbSe).
    ///
    /// * `species`: two symbols, the first on the site at the origin.
    /// * `a`: lattice constant in Å. `diameter`: of the sphere, in Å.
    /// * options: `centre` of the sphere in fractional coordinates (default `[0, 0, 0]`); `random_centre` (default false);
    ///   `min_neighbours` an atom must have to stay (default 0); `seed` of the random centre (default 0).
    ///
    /// It is an error if a length is not positive, or a symbol or an option is unknown.
    ///
    /// ```rhai
    /// print(structure::rocksalt(["Pb", "Se"], 6.12, 25));
    /// print(structure::rocksalt(["Pb", "Se"], 6.12, 25, #{ random_centre: true, seed: 3 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn rocksalt(
        call: NativeCallContext,
        species: Array,
        a: f64,
        diameter: f64,
        options: Map,
    ) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::Rocksalt, &species, [a, diameter], None, &options)
    }

    #[rhai_fn(name = "rocksalt", return_raw)]
    pub fn rocksalt_default(call: NativeCallContext, species: Array, a: f64, diameter: f64) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::Rocksalt, &species, [a, diameter], None, &Map::new())
    }

    /// Cuts a sphere from a zinc blende crystal (cubic CdSe); arguments and options as for `rocksalt`.
    ///
    /// ```rhai
    /// print(structure::zincblende(["Cd", "Se"], 6.05, 25));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn zincblende(
        call: NativeCallContext,
        species: Array,
        a: f64,
        diameter: f64,
        options: Map,
    ) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::ZincBlende, &species, [a, diameter], None, &options)
    }

    #[rhai_fn(name = "zincblende", return_raw)]
    pub fn zincblende_default(
        call: NativeCallContext,
        species: Array,
        a: f64,
        diameter: f64,
    ) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::ZincBlende, &species, [a, diameter], None, &Map::new())
    }

    /// Cuts a sphere from a wurtzite crystal (hexagonal CdSe) with four equal bonds (u = 3/8).
    ///
    /// * `a`, `c`: lattice constants in Å; the other arguments and the options are those of `rocksalt`.
    ///
    /// ```rhai
    /// print(structure::wurtzite(["Cd", "Se"], 4.30, 7.01, 25));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wurtzite(
        call: NativeCallContext,
        species: Array,
        a: f64,
        c: f64,
        diameter: f64,
        options: Map,
    ) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::Wurtzite, &species, [a, diameter], Some(c), &options)
    }

    #[rhai_fn(name = "wurtzite", return_raw)]
    pub fn wurtzite_default(
        call: NativeCallContext,
        species: Array,
        a: f64,
        c: f64,
        diameter: f64,
    ) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::Wurtzite, &species, [a, diameter], Some(c), &Map::new())
    }

    /// Cuts a sphere from a face-centred cubic crystal: an element, or a random alloy of several (FePt).
    ///
    /// * `species`: one symbol or more. The other arguments and the options are those of `rocksalt`, and `composition`:
    ///   the fractions of the species in any unit (default: equal); `seed` draws the alloy, too.
    ///
    /// ```rhai
    /// print(structure::fcc(["Pt"], 3.92, 20));
    /// print(structure::fcc(["Fe", "Pt"], 3.82, 20, #{ composition: [0.4, 0.6], seed: 1 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fcc(
        call: NativeCallContext,
        species: Array,
        a: f64,
        diameter: f64,
        options: Map,
    ) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::Fcc, &species, [a, diameter], None, &options)
    }

    #[rhai_fn(name = "fcc", return_raw)]
    pub fn fcc_default(call: NativeCallContext, species: Array, a: f64, diameter: f64) -> ScriptResult<Structure> {
        cut(&call, LatticeKind::Fcc, &species, [a, diameter], None, &Map::new())
    }

    /// Moves every atom at random.
    ///
    /// * `rms`: root mean square of the displacement, in Å, all three axes together. `seed`: of the random numbers.
    ///
    /// ```rhai
    /// print(structure::bundled("pbse_2.5nm").displaced(0.1, 1));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn displaced(structure: Structure, rms: f64, seed: i64) -> ScriptResult<Structure> {
        structure.displaced(rms, options::seed(seed)?).map_err(fault)
    }

    /// Gives the same positions other species, drawn at random.
    ///
    /// * `species`: symbols. `fractions`: one number a species, in any unit; empty for equal parts. `seed`: of the random numbers.
    ///
    /// ```rhai
    /// print(structure::fcc(["Pt"], 3.82, 20).alloyed(["Fe", "Pt"], [1, 1], 1));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn alloyed(structure: Structure, species: Array, fractions: Array, seed: i64) -> ScriptResult<Structure> {
        let fractions = options::numbers(&fractions, "a fraction")?;
        structure.alloyed(&elements_from(&species)?, &fractions, options::seed(seed)?).map_err(fault)
    }

    /// Moves the particle so that the mean of its atoms is the origin.
    ///
    /// ```rhai
    /// print(structure::bundled("pbse_2.5nm").centred());
    /// ```
    #[rhai_fn(global)]
    pub fn centred(structure: Structure) -> Structure {
        structure.centred()
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

    /// Name of the particle.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").name());
    /// ```
    #[rhai_fn(global)]
    pub fn name(structure: Structure) -> String {
        structure.name().to_owned()
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

    /// Position `[x, y, z]` of every atom, in Å.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").positions()[0]);
    /// ```
    #[rhai_fn(global)]
    pub fn positions(structure: Structure) -> Array {
        let coordinates = |x: f64| Dynamic::from(x);
        structure
            .atoms()
            .iter()
            .map(|atom| Dynamic::from_array(atom.position.iter().copied().map(coordinates).collect()))
            .collect()
    }

    /// Twice the largest distance of an atom from the mean of all, in Å.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").diameter());
    /// ```
    #[rhai_fn(global)]
    pub fn diameter(structure: Structure) -> f64 {
        structure.diameter()
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

    /// One line: name, atoms, formula, size.
    #[rhai_fn(global)]
    pub fn to_string(structure: Structure) -> String {
        structure.to_string()
    }

    /// A few lines: name, atoms, formula, size, smallest distance.
    ///
    /// ```rhai
    /// print(structure::bundled("fept_1.5nm").info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(structure: Structure) -> String {
        format!("{structure}\nsmallest distance between atoms: {:.3} Å", structure.min_distance())
    }

    /// Reads a particle from a file.
    ///
    /// * `path`: XYZ, plain or extended (`.xyz`), HDF5 that holds one particle (`.h5`), or the JSON beside a simulated stack.
    ///
    /// A file that is missing or malformed is an error that names the line.
    ///
    /// ```rhai
    /// structure::bundled("fept_1.5nm").save("fept.xyz");
    /// print(structure::read("fept.xyz"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(path: &str) -> ScriptResult<Structure> {
        store::read_structure(Path::new(path)).map_err(fault)
    }

    /// Saves the particle as extended XYZ (`.xyz`) or HDF5 (`.h5`), as the name of the file ends.
    ///
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error.
    ///
    /// ```rhai
    /// structure::bundled("fept_1.5nm").save("fept.xyz");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, structure: Structure, path: &str) -> ScriptResult<()> {
        let provenance = Session::of(&call).provenance();
        store::save(Path::new(path), &store::Value::Structure(structure), &provenance).map_err(fault)
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

/// A sphere of `diameter` cut from a crystal with lattice constants `a` and, if hexagonal, `c` [Å].
fn cut(
    call: &NativeCallContext,
    kind: LatticeKind,
    species: &Array,
    [a, diameter]: [f64; 2],
    c: Option<f64>,
    map: &Map,
) -> ScriptResult<Structure> {
    let sphere: Sphere = options::parse(call, map)?;
    let lattice = Lattice::new(kind, &elements_from(species)?, a, c, None).map_err(fault)?;
    run(call, |_| lattice.sphere(diameter, &sphere))
}

/// Elements from an array of symbols.
fn elements_from(symbols: &Array) -> ScriptResult<Vec<Element>> {
    let element = |symbol: &Dynamic| match symbol.as_immutable_string_ref() {
        Ok(symbol) => symbol.parse().map_err(|error: crate::structure::UnknownElement| fault(error)),
        Err(_) => Err(fault(format!("a species is the symbol of an element, not {}", options::describe(symbol)))),
    };
    symbols.iter().map(element).collect()
}
