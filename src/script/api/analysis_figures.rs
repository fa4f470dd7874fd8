//! `plot::` figures of what the analysis of atoms finds.

use rhai::plugin::*;
use rhai::{Array, Map};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::atoms_of;
use crate::model::analysis::{
    self, CoreShellOptions, LatticeOptions, NeighbourOptions, OrderOptions, PairOptions, StrainOptions,
};
use crate::plot::{self, DisplacementsPlot, Figure, StrainPlot, Titled};
use crate::script::{ScriptResult, fault, options, run};

/// The options of a figure, and those of the analysis that it shows, out of one map.
fn split<F, A>(call: &NativeCallContext, map: Map) -> ScriptResult<(F, A)>
where
    F: Serialize + DeserializeOwned + Default,
    A: Serialize + DeserializeOwned + Default,
{
    let Both { figure, analysis } = options::parse(call, &map)?;
    Ok((figure, analysis))
}

/// The options of two structs as those of one.
#[derive(Default, Serialize)]
struct Both<F, A> {
    #[serde(flatten)]
    figure: F,
    #[serde(flatten)]
    analysis: A,
}

impl<'de, F, A> Deserialize<'de> for Both<F, A>
where
    F: Serialize + DeserializeOwned + Default,
    A: DeserializeOwned,
{
    /// Each name goes to the struct that has it: both refuse names that they do not know, and flattened ones see all.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let of_figure = serde_json::to_value(F::default()).map_err(D::Error::custom)?;
        let (figure, analysis): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            serde_json::Map::deserialize(deserializer)?
                .into_iter()
                .partition(|(name, _)| of_figure.get(name).is_some());
        Ok(Self { figure: read(figure)?, analysis: read(analysis)? })
    }
}

fn read<T: DeserializeOwned, E: serde::de::Error>(fields: serde_json::Map<String, Value>) -> Result<T, E> {
    serde_json::from_value(Value::Object(fields)).map_err(E::custom)
}

#[export_module(manifest)]
pub mod api {
    /// Coordination numbers by element, bond lengths by pair of elements, and bond angles, as histograms.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::neighbours`, and `title`.
    ///
    /// ```rhai
    /// plot::neighbours(structure::bundled("cdse_zb_2.5nm"), #{ cutoff: 3.2 }).save("neighbours.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn neighbours(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (figure, options) = split::<Titled, NeighbourOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let bonds = run(&call, |_| analysis::neighbours(&atoms, &options))?;
        plot::neighbours(&atoms, &bonds, &figure).map_err(fault)
    }

    #[rhai_fn(name = "neighbours", return_raw)]
    pub fn neighbours_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        neighbours(call, atoms, Map::new())
    }

    /// Displacements of the atoms from their lattice sites: arrows on slices seen along the lattice's axes, length as colour in pm.
    ///
    /// * `atoms`: a Model or a Structure; options as of `model::fit_lattice`, and
    /// * `thickness` (Å, default the lattice constant, half of it in rock salt): of the slices, from a plane near the centroid towards the viewer;
    /// * `scale` (default: as fits): how many times as long the arrows are, though none is longer than five bonds; `range` (pm, default 98th percentile): of the colours; `title`.
    ///
    /// ```rhai
    /// plot::displacements(structure::bundled("pt_2.5nm"), #{ lattice: "fcc", scale: 10 }).save("displacements.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn displacements(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (figure, options) = split::<DisplacementsPlot, LatticeOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let fit = run(&call, |_| analysis::fit_lattice(&atoms, &options))?;
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
    /// With an array of components before the options, for which the strain is found once, it gives an array of figures.
    ///
    /// ```rhai
    /// let atoms = structure::bundled("pt_2.5nm");
    /// plot::strain(atoms, #{ lattice: "fcc", a: 3.924, component: "xx" }).save("strain.png");
    /// for figure in plot::strain(atoms, ["xx", "rotation"], #{ lattice: "fcc" }) { print(figure); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn strain(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (figure, options) = split::<StrainPlot, StrainOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let field = run(&call, |_| analysis::strain(&atoms, &options))?;
        plot::strain(&atoms, &field, &figure).map_err(fault)
    }

    #[rhai_fn(name = "strain", return_raw)]
    pub fn strain_components(
        call: NativeCallContext,
        atoms: Dynamic,
        components: Array,
        options: Map,
    ) -> ScriptResult<Array> {
        let (figure, options) = split::<StrainPlot, StrainOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let field = run(&call, |_| analysis::strain(&atoms, &options))?;
        let draw = |component: Dynamic| {
            let figure = StrainPlot { component: component.to_string(), ..figure.clone() };
            plot::strain(&atoms, &field, &figure).map(Dynamic::from).map_err(fault)
        };
        components.into_iter().map(draw).collect()
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
    /// ```
    #[rhai_fn(return_raw)]
    pub fn core_shell(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (figure, options) = split::<Titled, CoreShellOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let layers = run(&call, |_| analysis::core_shell(&atoms, &options))?;
        plot::core_shell(&atoms, &layers, &figure).map_err(fault)
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
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pair_distribution(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (figure, options) = split::<Titled, PairOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let pairs = run(&call, |_| analysis::pair_distribution(&atoms, &options))?;
        plot::pair_distribution(&atoms, &pairs, &figure).map_err(fault)
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
    /// ```
    #[rhai_fn(return_raw)]
    pub fn short_range_order(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (figure, options) = split::<Titled, OrderOptions>(&call, options)?;
        let atoms = atoms_of(&atoms)?;
        let order = run(&call, |task| analysis::short_range_order(&atoms, &options, task))?;
        plot::short_range_order(&atoms, &order, &figure).map_err(fault)
    }

    #[rhai_fn(name = "short_range_order", return_raw)]
    pub fn short_range_order_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        short_range_order(call, atoms, Map::new())
    }
}
