//! `plot::` figures of what the analysis of atoms finds.

use rhai::Map;
use rhai::plugin::*;

use super::analysis::{lattice_of, on_lattice};
use super::atoms_of;
use crate::model::analysis::{self, CoreShellOptions, NeighbourOptions, OrderOptions, PairOptions, StrainOptions};
use crate::plot::{self, DisplacementsPlot, Figure, StrainPlot, Titled};
use crate::script::options::{self, Both};
use crate::script::{ScriptResult, fault, run};

#[export_module(manifest)]
pub mod api {
    /// Coordination numbers by element, bond lengths by pair of elements, and bond angles, as histograms.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::neighbours`, and `title`.
    ///
    /// ```rhai
    /// plot::neighbours(structure::bundled("cdse_zb_2.5nm"), #{ cutoff: 3.2 }).save("neighbours.png");
    /// print(plot::neighbours(structure::bundled("cdse_zb_2.5nm")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn neighbours(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let options = options::parse::<Both<Titled, NeighbourOptions>>(&call, &options)?;
        let atoms = atoms_of(&atoms)?;
        let bonds = run(&call, |_| analysis::neighbours(&atoms, &options.second))?;
        plot::neighbours(&atoms, &bonds, &options.first).map_err(fault)
    }

    #[rhai_fn(name = "neighbours", return_raw)]
    pub fn neighbours_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        neighbours(call, atoms, Map::new())
    }

    /// Displacements of the atoms from their lattice sites: arrows on slices seen along the lattice's axes, length as colour in pm.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::fit_lattice`, `lattice` also the map that it gave; and
    /// * `thickness` (Å, default the lattice constant, half of it in rock salt): of the slices, from a plane near the centroid towards the viewer;
    /// * `scale` (default: as fits): how many times as long the arrows are, though none is longer than five bonds; `range` (pm, default 98th percentile): of the colours; `title`.
    ///
    /// ```rhai
    /// plot::displacements(structure::bundled("pt_2.5nm"), #{ lattice: "fcc", scale: 10 }).save("displacements.png");
    /// print(plot::displacements(structure::bundled("pt_2.5nm")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn displacements(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let atoms = atoms_of(&atoms)?;
        let (fit, figure) = on_lattice::<DisplacementsPlot>(&call, &atoms, options)?;
        plot::displacements(&atoms, &fit, &figure).map_err(fault)
    }

    #[rhai_fn(name = "displacements", return_raw)]
    pub fn displacements_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        displacements(call, atoms, Map::new())
    }

    /// A component of the strain as the colour of each atom (white at 0, in %), on slices seen along the lattice's axes.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::strain`, and
    /// * `component` (default `"volumetric"`): or `"xx"`, `"yy"`, `"zz"`, `"xy"`, `"xz"`, `"yz"`, `"rotation"` (in °);
    /// * `thickness` (Å): of the slices, as of `displacements`; `range` (%, default 98th percentile): strain of the strongest colours; `title`.
    ///
    /// ```rhai
    /// plot::strain(structure::bundled("pt_2.5nm"), #{ lattice: "fcc", a: 3.924, component: "xx" }).save("strain.png");
    /// print(plot::strain(structure::bundled("pt_2.5nm")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn strain(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let atoms = atoms_of(&atoms)?;
        let (fit, options) = on_lattice::<Both<StrainPlot, StrainOptions>>(&call, &atoms, options)?;
        let field = run(&call, |_| analysis::strain(&atoms, &fit, &options.second))?;
        plot::strain(&atoms, &field, &options.first).map_err(fault)
    }

    #[rhai_fn(name = "strain", return_raw)]
    pub fn strain_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        strain(call, atoms, Map::new())
    }

    /// Composition and bond length against depth below the surface, with error bars; with a lattice also the displacements.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::core_shell`, and `title`.
    ///
    /// ```rhai
    /// plot::core_shell(structure::bundled("fept_2.0nm_fe50pt50"), #{ lattice: "fcc" }).save("core_shell.png");
    /// print(plot::core_shell(structure::bundled("fept_2.0nm_fe50pt50")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn core_shell(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let atoms = atoms_of(&atoms)?;
        let (fit, options) = lattice_of::<Both<Titled, CoreShellOptions>>(&call, &atoms, options)?;
        let layers = run(&call, |_| analysis::core_shell(&atoms, fit.as_ref(), &options.second))?;
        plot::core_shell(&atoms, &layers, &options.first).map_err(fault)
    }

    #[rhai_fn(name = "core_shell", return_raw)]
    pub fn core_shell_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        core_shell(call, atoms, Map::new())
    }

    /// The pair distribution g(r), of all atoms and by pairs of elements.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::pair_distribution`, and `title`.
    ///
    /// ```rhai
    /// plot::pair_distribution(structure::bundled("fept_2.0nm_fe50pt50"), #{ sigma: 0.05 }).save("pairs.png");
    /// print(plot::pair_distribution(structure::bundled("fept_2.0nm_fe50pt50")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pair_distribution(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let options = options::parse::<Both<Titled, PairOptions>>(&call, &options)?;
        let atoms = atoms_of(&atoms)?;
        let pairs = run(&call, |_| analysis::pair_distribution(&atoms, &options.second))?;
        plot::pair_distribution(&atoms, &pairs, &options.first).map_err(fault)
    }

    #[rhai_fn(name = "pair_distribution", return_raw)]
    pub fn pair_distribution_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        pair_distribution(call, atoms, Map::new())
    }

    /// Warren–Cowley parameters by shell of neighbours, with the standard deviation of a random alloy as error bars.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::short_range_order`, and `title`.
    ///
    /// ```rhai
    /// plot::short_range_order(structure::bundled("fept_2.0nm_fe50pt50"), #{ shells: 4 }).save("order.png");
    /// print(plot::short_range_order(structure::bundled("fept_2.0nm_fe50pt50")));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn short_range_order(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let atoms = atoms_of(&atoms)?;
        let (fit, options) = on_lattice::<Both<Titled, OrderOptions>>(&call, &atoms, options)?;
        let order = run(&call, |task| analysis::short_range_order(&atoms, &fit, &options.second, task))?;
        plot::short_range_order(&atoms, &order, &options.first).map_err(fault)
    }

    #[rhai_fn(name = "short_range_order", return_raw)]
    pub fn short_range_order_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        short_range_order(call, atoms, Map::new())
    }
}
