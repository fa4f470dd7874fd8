//! `cell::` what is around the particle: liquid and graphene.

use rhai::Map;
use rhai::plugin::*;

use crate::cell::{Cell, Liquid, bundled};
use crate::script::{ScriptResult, fault, options, readable};
use crate::store::{self, LiquidOptions};

/// A liquid by its name, or from its file.
fn liquid_named(call: &NativeCallContext, name: &str, options: &LiquidOptions) -> ScriptResult<Liquid> {
    // elements and the like are said of files alone
    if store::is_liquid_file(name.as_ref()) || *options != LiquidOptions::default() {
        store::read_liquid(&readable(call, name)?, options).map_err(fault)
    } else {
        bundled(name).map_err(fault)
    }
}

/// A liquid given as itself, by its name or by its file.
fn liquid_of(call: &NativeCallContext, map: &mut Map) -> ScriptResult<Option<Liquid>> {
    match map.remove("liquid") {
        None => Ok(None),
        Some(value) if value.is_unit() => Ok(None),
        Some(value) => match value.clone().into_immutable_string() {
            Ok(name) => liquid_named(call, &name, &LiquidOptions::default()).map(Some),
            Err(_) => {
                options::take(&mut Map::from([("liquid".into(), value)]), "liquid", "a Liquid, its name or its file")
            }
        },
    }
}

/// A cell from options, checked.
fn cell_of(call: &NativeCallContext, mut map: Map) -> ScriptResult<Cell> {
    let liquid = liquid_of(call, &mut map)?;
    let cell = Cell { liquid, ..options::parse(call, &map)? };
    cell.check().map_err(fault)?;
    Ok(cell)
}

/// Cells for simulation: a box with liquid and graphene around a particle.
#[export_module(manifest)]
pub mod api {

    use rhai::Map;

    use super::super::array;

    use super::{cell_of, liquid_named};
    use crate::cell::{self, Cell, Liquid};
    use crate::script::{ScriptResult, fault, options, writable};
    use crate::store::{self, LiquidOptions};
    use crate::structure::{Element, Structure};

    /// A cell with what is said to be in it.
    ///
    /// * `size` (Å, default `[50, 50, 100]`): the box, z along the beam;
    /// * `liquid` (default none): a Liquid, the name of one that comes with pedesis (`"toluene"`, `"water"`), or the file of one;
    /// * `graphene` (default none): `#{ layers: 1, fit: "trimmed", rotation: 30 }`, on either face; `fit` is `"trimmed"` (its own lattice, cut at the
    ///   edges; at a random angle unless `rotation`, in degrees, is given) or `"commensurate"` (stretched to be periodic);
    /// * `clearance` (Å, default 2.5): molecules with an atom nearer than this to the particle are removed whole.
    ///
    /// ```rhai
    /// print(cell::build(#{ size: [40, 40, 60], liquid: "water" }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn build(call: NativeCallContext, options: Map) -> ScriptResult<Cell> {
        cell_of(&call, options)
    }

    /// The cell of the paper: 50 × 50 × 100 Å of toluene between single sheets of graphene; options as for `build` change it.
    ///
    /// ```rhai
    /// print(cell::paper(#{ liquid: "water" }));
    /// print(cell::paper());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn paper(call: NativeCallContext, options: Map) -> ScriptResult<Cell> {
        let mut options = options;
        options.entry("liquid".into()).or_insert_with(|| "toluene".into());
        options.entry("graphene".into()).or_insert_with(|| Map::new().into());
        cell_of(&call, options)
    }

    #[rhai_fn(name = "paper")]
    pub fn paper_default() -> Cell {
        cell::paper()
    }

    /// A liquid that comes with pedesis, or one's own from a trajectory of molecular dynamics.
    ///
    /// * `name`: `"toluene"` or `"water"`, boxes of 50 × 50 × 100 Å at 298 K; or a file: a LAMMPS dump (`.lammpstrj`, `.dump`, with id), extended XYZ
    ///   (`.xyz`, `.extxyz`, with Lattice), PDB (`.pdb`, with CRYST1) or GRO (`.gro`).
    ///
    /// Every frame of a file is a snapshot. The box must be rectangular, periodic and the same in all frames. Molecules are atoms connected by bonds,
    /// within one molecule or residue of the file.
    ///
    /// ```rhai
    /// print(cell::liquid("toluene"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn liquid(call: NativeCallContext, name: &str) -> ScriptResult<Liquid> {
        liquid_named(&call, name, &LiquidOptions::default())
    }

    /// A liquid from a trajectory of molecular dynamics, with what its file does not say.
    ///
    /// * `elements`: symbols in the order of the types of a LAMMPS dump, `["O", "H"]`; or by atom name, `#{ OW: "O", MW: () }`, where `()` leaves
    ///   a site out;
    /// * `every` (default 1): one frame in this many is kept.
    ///
    /// ```rhai
    /// cell::liquid("water").save("water.xyz");
    /// print(cell::liquid("water.xyz", #{ every: 7 }));
    /// ```
    #[rhai_fn(name = "liquid", return_raw)]
    pub fn liquid_with(call: NativeCallContext, name: &str, options: Map) -> ScriptResult<Liquid> {
        let options: LiquidOptions = options::parse(&call, &options)?;
        liquid_named(&call, name, &options)
    }

    /// An independent liquid: a snapshot, shifted, mirrored and turned at random.
    ///
    /// ```rhai
    /// print(cell::liquid("water").snapshot(7));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn snapshot(liquid: Liquid, seed: i64) -> ScriptResult<Liquid> {
        Ok(liquid.snapshot(options::seed(seed)?, 0))
    }

    /// Writes a liquid as extended XYZ with its box, each snapshot a frame.
    ///
    /// * `path`: must end in `.xyz` or `.extxyz`.
    ///
    /// ```rhai
    /// cell::liquid("water").snapshot(1).save("water.xyz");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, liquid: Liquid, path: &str) -> ScriptResult<()> {
        store::write_liquid(&writable(&call, path)?, &liquid).map_err(fault)
    }

    /// Density of a liquid (g/cm³).
    ///
    /// ```rhai
    /// print(cell::liquid("water").density());
    /// ```
    #[rhai_fn(global)]
    pub fn density(liquid: Liquid) -> f64 {
        liquid.density()
    }

    /// Number of molecules in a liquid's box.
    ///
    /// ```rhai
    /// print(cell::liquid("water").molecules());
    /// ```
    #[rhai_fn(global)]
    pub fn molecules(liquid: Liquid) -> i64 {
        liquid.molecule_count() as i64
    }

    /// Radial distribution function g(r) between the atoms of two elements, mean of all snapshots.
    ///
    /// * `r_max` (Å, default 12); `bin` (Å, default 0.1); `intermolecular` (default true): atoms of one molecule do not count.
    ///
    /// Gives a map: `r` (Å) and `g`.
    ///
    /// ```rhai
    /// let found = cell::liquid("water").snapshot(1).radial_distribution("O", "O", #{ r_max: 6 });
    /// print(found.g.len());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn radial_distribution(
        call: NativeCallContext,
        liquid: Liquid,
        first: &str,
        second: &str,
        options: Map,
    ) -> ScriptResult<Map> {
        let options: cell::RadialOptions = options::parse(&call, &options)?;
        let element = |symbol: &str| symbol.parse::<Element>().map_err(fault);
        let found = liquid.radial_distribution(element(first)?, element(second)?, &options).map_err(fault)?;
        Ok(Map::from([("r".into(), array(&found.r).into()), ("g".into(), array(&found.g).into())]))
    }

    /// Puts a particle into the middle of a cell, with an independent liquid.
    ///
    /// * `seed`, `index` (default 0): which liquid; the images of a simulation with this seed have the indices 0, 1, ….
    ///
    /// Gives a map: `structure` (all atoms, in the coordinates of the box), `particle`, `liquid`, `graphene` (numbers of atoms, in this order),
    /// `liquid_density` (g/cm³ in the room between the sheets that the particle leaves) and `molecules_removed`.
    ///
    /// ```rhai
    /// let filled = cell::paper().fill(structure::bundled("pbse_2.5nm"), #{ seed: 1 });
    /// print(filled.structure.len());
    /// filled.structure.save("cell.xyz");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn fill(call: NativeCallContext, cell: Cell, particle: Structure, options: Map) -> ScriptResult<Map> {
        let draw: super::Draw = options::parse(&call, &options)?;
        let centre = [0.5 * cell.size[0], 0.5 * cell.size[1]];
        let filled = cell.fill(particle.atoms(), centre, draw.seed, draw.index).map_err(fault)?;
        let [of_particle, of_liquid, of_graphene] = filled.counts.map(|count| Dynamic::from(count as i64));
        Ok(Map::from([
            ("structure".into(), Dynamic::from(filled.structure(particle.name()))),
            ("particle".into(), of_particle),
            ("liquid".into(), of_liquid),
            ("graphene".into(), of_graphene),
            ("liquid_density".into(), Dynamic::from(cell.liquid_density(&filled))),
            ("molecules_removed".into(), Dynamic::from(filled.molecules_removed as i64)),
        ]))
    }

    /// One line: size and what is in it.
    ///
    /// ```rhai
    /// print(cell::paper().to_string());
    /// ```
    #[rhai_fn(global, name = "to_string")]
    pub fn cell_to_string(cell: Cell) -> String {
        cell.to_string()
    }

    /// One line: size and what is in it, and the strain of commensurate graphene.
    ///
    /// ```rhai
    /// print(cell::paper().info());
    /// ```
    #[rhai_fn(global, name = "info")]
    pub fn cell_info(cell: Cell) -> String {
        let [x, y] = cell::strain(cell.size[0], cell.size[1]).map(|strain| 100.0 * strain);
        match cell.graphene {
            Some(graphene) if graphene.fit == cell::Fit::Commensurate => {
                format!("{cell}, strained by {x:.2} % along x and {y:.2} % along y")
            }
            _ => cell.to_string(),
        }
    }

    /// One line: molecules, box, density, snapshots.
    ///
    /// ```rhai
    /// print(cell::liquid("water").to_string());
    /// ```
    #[rhai_fn(global, name = "to_string")]
    pub fn liquid_to_string(liquid: Liquid) -> String {
        liquid.to_string()
    }

    /// One line: molecules, box, density, snapshots.
    ///
    /// ```rhai
    /// print(cell::liquid("toluene").info());
    /// ```
    #[rhai_fn(global, name = "info")]
    pub fn liquid_info(liquid: Liquid) -> String {
        liquid.to_string()
    }
}

/// Which liquid a cell is filled with.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Draw {
    seed: u64,
    index: u64,
}
