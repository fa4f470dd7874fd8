//! `model::` what the atoms are like: bonds, lattice, strain, core and surface, pair distribution, order.

use nalgebra::{Point3, Quaternion, UnitQuaternion};
use rhai::plugin::*;
use rhai::{Array, Map};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{array, atoms_of};
use crate::model::analysis::{
    self, COMPONENTS, CoreShell, Estimate, LatticeFit, LatticeOptions, LocalStrain, NeighbourOptions, Neighbours,
    PairDistribution, Shell, ShortRangeOrder, SiteOfAtom, StrainField, Summary, pair_name,
};
use crate::script::options::Both;
use crate::script::{ScriptResult, Table, fault, options, run};
use crate::structure::Structure;

#[export_module(manifest)]
pub mod api {
    use crate::model::analysis::{CoreShellOptions, OrderOptions, PairOptions, StrainOptions};

    /// Finds bonds: nearest neighbours, coordination numbers, bond lengths and angles.
    ///
    /// * `atoms`: a Model or a Structure;
    /// * `cutoff` (Å, default: between the first and the second shell of neighbours, where the pair distances leave a gap or have their first minimum);
    /// * `unlike` (default: as the neighbours are): bonds are between unlike atoms only, as in a compound.
    ///
    /// Gives a map: `cutoff`, `unlike`, `like_pairs` (pairs of like atoms within the cutoff that were left out), `pairs` (`[i, j]` of each bond), `lengths`
    /// (Å), `coordination` (one an atom), `mean_coordination`, `by_pair` (a table: pair of elements, count, mean and standard deviation of the length in Å),
    /// `angle` and `angle_count` (histogram in steps of 1°), `mean_angle`, `angle_deviation` (°), `by_element` (a table: coordination and angles at the atoms of
    /// each element) and `text`.
    ///
    /// Fewer than two atoms, two at one place and a cutoff far from the nearest distance are errors.
    ///
    /// ```rhai
    /// let bonds = structure::bundled("cdse_zb_2.5nm").neighbours();
    /// print(bonds.text);
    /// print(bonds.by_pair);
    /// print(structure::bundled("cdse_zb_2.5nm").neighbours(#{ cutoff: 3.2 }).text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn neighbours(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Map> {
        let (atoms, options) = (atoms_of(&atoms)?, options::parse::<NeighbourOptions>(&call, &options)?);
        let bonds = run(&call, |_| analysis::neighbours(&atoms, &options))?;
        super::neighbours_map(&atoms, &bonds)
    }

    #[rhai_fn(global, name = "neighbours", return_raw)]
    pub fn neighbours_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Map> {
        neighbours(call, atoms, Map::new())
    }

    /// Fits a lattice to atoms in any orientation: constants, orientation, the site of each atom and how far it is from it.
    ///
    /// * `atoms`: a Model or a Structure;
    /// * `lattice` (default `"find"`): `"fcc"`, `"rocksalt"`, `"zincblende"`, `"wurtzite"`, or the one with the least mean square displacement per degree of freedom;
    /// * `tolerance` (Å, default 0.35 of a bond): how far an atom may be from where its neighbours say its site is.
    ///
    /// Gives a map: `lattice`, `a`, `a_error`, `c`, `c_error` (Å), `u`, `u_error` (`()` in cubic lattices), `rotation` (unit quaternion `[w, x, y, z]` from the lattice's axes
    /// to the frame of the atoms), `axes` (the lattice's x, y, z in that frame), `origin` (Å), `species` (of the sublattices), `on_sites`, `share` (0 to 1),
    /// `agreement` (share of atoms on sites whose element is right; `()` for fcc), `rms_pm` (displacement, all axes together), `displacements` (from site to atom, `[x, y, z]`
    /// in Å; `()` for an atom on no site), `table` (all of it by atoms, displacements in pm) and `text`.
    ///
    /// Standard errors take the displacements for independent. Fewer than eight atoms, a compound's lattice for other than two elements, and less than a quarter of the
    /// atoms on a common lattice are errors.
    ///
    /// ```rhai
    /// let particle = structure::bundled("pbse_2.5nm").rotated([1, 2, 3], 40);
    /// let fit = particle.fit_lattice(#{ lattice: "rocksalt" });
    /// print(`${fit.a} ± ${fit.a_error} Å`);
    /// print(particle.fit_lattice().text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn fit_lattice(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Map> {
        let (atoms, options) = (atoms_of(&atoms)?, options::parse::<LatticeOptions>(&call, &options)?);
        let fit = run(&call, |_| analysis::fit_lattice(&atoms, &options))?;
        super::lattice_map(&atoms, &fit)
    }

    #[rhai_fn(global, name = "fit_lattice", return_raw)]
    pub fn fit_lattice_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Map> {
        fit_lattice(call, atoms, Map::new())
    }

    /// Strain around each atom, from the vectors to its neighbours and between their lattice sites.
    ///
    /// * `atoms`: a Model or a Structure;
    /// * `lattice`: a name as of `fit_lattice`, with its `tolerance`; or the map that it gave for these atoms, which then is not found again;
    /// * `a`, `c` (Å, default: the fitted ones): constants of the lattice that strain is against, for instance the bulk's;
    /// * `shells` (default 2, in wurtzite 3): shells of neighbours that are used; `min_neighbours` (default 6): an atom with fewer has no strain;
    /// * `sigma` (Å, default not known): standard deviation of a position along an axis, for that of the strain.
    ///
    /// Gives a map with one value an atom in `xx`, `yy`, `zz`, `xy`, `xz`, `yz` (tensor components along the lattice's axes: cubic ones, in wurtzite x along a₁ and z along c; 0.01 is 1 %),
    /// `volumetric` and `rotation` (°, against the lattice of all atoms). An atom without a site, with too few neighbours, or with all of them near one plane has `()` there. Also
    /// `axes` (the lattice's x, y, z in the frame of the atoms), `a`, `c` (of the reference), `strained` (number of atoms), `summary` (a table: mean and standard deviation of each
    /// component), `table` (by atoms; with `sigma` also standard deviations, as `xx_deviation`) and `text`.
    ///
    /// ```rhai
    /// let particle = structure::bundled("pt_2.5nm");
    /// let field = particle.strain(#{ lattice: "fcc", a: 3.924, sigma: 0.005 });
    /// print(field.summary);
    /// print(particle.strain(#{ lattice: particle.fit_lattice() }).text);
    /// print(particle.strain().text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn strain(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Map> {
        let atoms = atoms_of(&atoms)?;
        let (fit, options) = super::on_lattice::<StrainOptions>(&call, &atoms, options)?;
        let field = run(&call, |_| analysis::strain(&atoms, &fit, &options))?;
        super::strain_map(&atoms, &field)
    }

    #[rhai_fn(global, name = "strain", return_raw)]
    pub fn strain_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Map> {
        strain(call, atoms, Map::new())
    }

    /// Core against surface: depth of each atom, and composition, bond length and displacement by depth.
    ///
    /// * `atoms`: a Model or a Structure;
    /// * `width` (Å, default 1.1 bonds): thickness of a shell; `cutoff` (Å): of the bonds, as of `neighbours`;
    /// * `lattice` (default none), `tolerance`: as of `strain`; gives the displacements from its sites.
    ///
    /// At the surface is an atom that sees an empty cone of 50° to all sides of its axis. The depth is the distance from the nearest surface atom.
    ///
    /// Gives a map: `surface` (true or false for each atom), `depths` (Å), `width`, `shells` (a table from the surface inwards: depths, atoms, share of each element with its binomial
    /// standard error, coordination, bond length with its standard error, and with a lattice displacements in pm: RMS, and mean component outwards, away from the centroid, with its standard
    /// error), `table` (by atoms) and `text`.
    ///
    /// ```rhai
    /// let layers = structure::bundled("fept_2.0nm_fe50pt50").core_shell(#{ lattice: "fcc" });
    /// print(layers.shells);
    /// print(structure::bundled("pt_2.5nm").core_shell().text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn core_shell(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Map> {
        let atoms = atoms_of(&atoms)?;
        let (fit, options) = super::lattice_of::<CoreShellOptions>(&call, &atoms, options)?;
        let layers = run(&call, |_| analysis::core_shell(&atoms, fit.as_ref(), &options))?;
        super::core_shell_map(&atoms, &layers)
    }

    #[rhai_fn(global, name = "core_shell", return_raw)]
    pub fn core_shell_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Map> {
        core_shell(call, atoms, Map::new())
    }

    /// Pair distribution g(r), total and by pairs of elements, corrected for the particle's finite size.
    ///
    /// * `atoms`: a Model or a Structure;
    /// * `step` (Å, default 0.05): width of a bin; `max` (Å, default 12, or 0.8 of the diameter if that is less): largest distance, rounded to whole bins;
    /// * `sigma` (Å, default 0): Gaussian that every distance is smeared with.
    ///
    /// g(r) is over what a gas of the same density would give in a sphere of the same radius of gyration.
    ///
    /// Gives a map: `r` (Å, middle of each bin), `g`, `coordination` (mean number of atoms up to there, surface included), `partials` (a map from names such as `"Fe–Pt"` to
    /// maps of `g` and `coordination`), `diameter` (Å, of the sphere), `density` (atoms in Å³ of it), `first_shell` (a map: `end` and `mean_distance` in Å, `coordination`, the integral of the first peak,
    /// which is that of an atom inside, and `coordination_with_surface`) and `text`.
    ///
    /// ```rhai
    /// let pairs = structure::bundled("fept_2.0nm_fe50pt50").pair_distribution(#{ step: 0.1, max: 10, sigma: 0.05 });
    /// print(pairs.partials.keys());
    /// print(structure::bundled("pt_2.5nm").pair_distribution().text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn pair_distribution(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Map> {
        let (atoms, options) = (atoms_of(&atoms)?, options::parse::<PairOptions>(&call, &options)?);
        run(&call, |_| analysis::pair_distribution(&atoms, &options)).map(|pairs| super::pairs_map(&pairs))
    }

    #[rhai_fn(global, name = "pair_distribution", return_raw)]
    pub fn pair_distribution_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Map> {
        pair_distribution(call, atoms, Map::new())
    }

    /// Short-range order of an alloy: Warren–Cowley parameters α by shell of neighbours.
    ///
    /// * `atoms`: a Model or a Structure;
    /// * `shells` (default 3): how many; `lattice`, `tolerance`: as of `strain`;
    /// * `interior` (default false): count only atoms with a full shell; else each with the neighbours that it has;
    /// * `permutations` (default 400), `seed` (default 0): random exchanges of the elements, for mean and standard deviation of a random alloy.
    ///
    /// α is 0 in a random alloy, negative where two elements seek each other, positive where they avoid each other.
    ///
    /// Gives a map: `orders`, a table of `shell`, `distance_A`, `pair`, `pairs` (their number), `alpha`, `random_mean`, `random_deviation` and `z` (how many of these standard deviations α is from
    /// that mean); and `text`.
    ///
    /// Atoms of one element, and atoms on no common lattice, are errors.
    ///
    /// ```rhai
    /// let order = structure::bundled("fept_2.0nm_fe50pt50").short_range_order(#{ shells: 2, seed: 1 });
    /// print(order.orders);
    /// print(structure::bundled("fept_1.8nm_disordered").short_range_order().text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn short_range_order(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Map> {
        let atoms = atoms_of(&atoms)?;
        let (fit, options) = super::on_lattice::<OrderOptions>(&call, &atoms, options)?;
        let order = run(&call, |task| analysis::short_range_order(&atoms, &fit, &options, task))?;
        super::order_map(&order)
    }

    #[rhai_fn(global, name = "short_range_order", return_raw)]
    pub fn short_range_order_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Map> {
        short_range_order(call, atoms, Map::new())
    }
}

/// The lattice of an analysis.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Lattice {
    lattice: Option<String>,
    tolerance: Option<f64>,
}

/// The lattice of the atoms and the other options; without one, any is looked for.
pub(super) fn on_lattice<A: Serialize + DeserializeOwned + Default>(
    call: &NativeCallContext,
    atoms: &Structure,
    mut map: Map,
) -> ScriptResult<(LatticeFit, A)> {
    if map.get("lattice").is_none_or(Dynamic::is_unit) {
        map.insert("lattice".into(), LatticeOptions::default().lattice.into());
    }
    let (fit, options) = lattice_of(call, atoms, map)?;
    Ok((fit.expect("a lattice was asked for"), options))
}

/// The lattice of the atoms, fitted as the options say or as `fit_lattice` has given it, and the other options.
pub(super) fn lattice_of<A: Serialize + DeserializeOwned + Default>(
    call: &NativeCallContext,
    atoms: &Structure,
    mut map: Map,
) -> ScriptResult<(Option<LatticeFit>, A)> {
    let given = map.get("lattice").and_then(|value| value.clone().try_cast::<Map>());
    if let Some(given) = &given {
        // its name is what the provenance needs
        map.insert("lattice".into(), given.get("lattice").cloned().unwrap_or_default());
    }
    let Both { first: Lattice { lattice, tolerance }, second } = options::parse::<Both<Lattice, A>>(call, &map)?;
    let fit = match (given, lattice, tolerance) {
        (Some(given), _, None) => Some(fit_again(atoms, &given)?),
        (None, Some(lattice), tolerance) => {
            Some(run(call, |_| analysis::fit_lattice(atoms, &LatticeOptions { lattice, tolerance }))?)
        }
        (None, None, None) => None,
        _ => return Err(fault("option \"tolerance\" is for a lattice that is to be fitted; give the name of one")),
    };
    Ok((fit, second))
}

/// What [`lattice_map`] was made from.
fn fit_again(atoms: &Structure, map: &Map) -> ScriptResult<LatticeFit> {
    let wrong = || fault("option \"lattice\" is a name or the map that fit_lattice gave for these atoms");
    let value = |name: &str| map.get(name).and_then(|value| value.as_float().ok());
    let estimate =
        |name: &str| Some(Estimate { value: value(name)?, error: value(&format!("{name}_error")).unwrap_or(f64::NAN) });
    let list = |name: &str| {
        let values = map.get(name).and_then(|value| value.clone().try_cast::<Array>()).ok_or_else(wrong)?;
        options::numbers(&values, name)
    };
    let name = map.get("lattice").and_then(|name| name.clone().into_immutable_string().ok()).ok_or_else(wrong)?;
    let [w, x, y, z] = list("rotation")?[..] else { return Err(wrong()) };
    let [at_x, at_y, at_z] = list("origin")?[..] else { return Err(wrong()) };
    let rotation = UnitQuaternion::new_unchecked(Quaternion::new(w, x, y, z));
    let table = map.get("table").and_then(|table| table.clone().try_cast::<Table>()).ok_or_else(wrong)?;
    let column = |name: &str| table.columns().iter().position(|column| column == name).ok_or_else(wrong);
    let columns = [column("cell_1")?, column("cell_2")?, column("cell_3")?, column("site")?];
    let place = |row: &Vec<serde_json::Value>| {
        let [cell_1, cell_2, cell_3, site] = columns.map(|column| row[column].as_i64().map(i32::try_from)?.ok());
        Some(([cell_1?, cell_2?, cell_3?], usize::try_from(site?).ok()?))
    };
    let places: Vec<_> = table.rows().iter().map(place).collect();
    let motion = (rotation, Point3::new(at_x, at_y, at_z));
    let constants = [estimate("a"), estimate("c"), estimate("u")];
    LatticeFit::again(atoms, name.parse().map_err(fault)?, constants, motion, &places).map_err(fault)
}

/// A number, or `()` for one that is none.
fn number(value: f64) -> Dynamic {
    if value.is_finite() { value.into() } else { Dynamic::UNIT }
}

fn table(columns: &[String], rows: impl Iterator<Item = Array>) -> ScriptResult<Table> {
    Table::new(columns.to_vec(), &rows.map(Dynamic::from_array).collect::<Vec<_>>())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn integers(values: impl Iterator<Item = usize>) -> Array {
    values.map(|value| Dynamic::from(value as i64)).collect()
}

fn neighbours_map(atoms: &Structure, bonds: &Neighbours) -> ScriptResult<Map> {
    let by_pair = bonds.by_pair.iter().map(|pair| -> Array {
        let Summary { count, mean, deviation } = pair.lengths;
        vec![pair_name(pair.elements).into(), (count as i64).into(), mean.into(), number(deviation)]
    });
    let by_pair = table(&names(&["pair", "bonds", "length_A", "deviation_A"]), by_pair)?;
    let by_element = bonds.angles_at.iter().map(|(element, angles)| -> Array {
        let lists = atoms.atoms().iter().zip(&bonds.lists).filter(|(atom, _)| atom.element == *element);
        let neighbours = Summary::of(lists.map(|(_, list)| list.len() as f64));
        let numbers = [neighbours.mean, neighbours.deviation, angles.mean, angles.deviation].map(number);
        [element.symbol().into(), (neighbours.count as i64).into()].into_iter().chain(numbers).collect()
    });
    let columns = ["element", "atoms", "coordination", "coordination_deviation", "angle_deg", "angle_deviation_deg"];
    let by_element = table(&names(&columns), by_element)?;
    let pairs = bonds.bonds.iter().map(|bond| Dynamic::from_array(integers(bond.atoms.into_iter())));
    Ok(Map::from([
        ("cutoff".into(), bonds.cutoff.into()),
        ("unlike".into(), bonds.unlike.into()),
        ("like_pairs".into(), (bonds.like_pairs as i64).into()),
        ("pairs".into(), pairs.collect::<Array>().into()),
        ("lengths".into(), array(&bonds.bonds.iter().map(|bond| bond.length).collect::<Vec<_>>()).into()),
        ("coordination".into(), integers(bonds.coordination().into_iter()).into()),
        ("mean_coordination".into(), bonds.mean_coordination().mean.into()),
        ("by_pair".into(), Dynamic::from(by_pair)),
        ("by_element".into(), Dynamic::from(by_element)),
        ("angle".into(), integers(0..bonds.angle_counts.len()).into()),
        ("angle_count".into(), integers(bonds.angle_counts.iter().copied()).into()),
        ("mean_angle".into(), number(bonds.angles.mean)),
        ("angle_deviation".into(), number(bonds.angles.deviation)),
        ("text".into(), bonds.to_string().into()),
    ]))
}

fn vector(values: impl IntoIterator<Item = f64>) -> Dynamic {
    values.into_iter().map(Dynamic::from).collect::<Array>().into()
}

/// The lattice's axes in the frame of the atoms.
fn axes(fit: &LatticeFit) -> Array {
    let rotation = fit.rotation.to_rotation_matrix().into_inner();
    rotation.column_iter().map(|axis| vector(axis.iter().copied())).collect()
}

fn lattice_map(atoms: &Structure, fit: &LatticeFit) -> ScriptResult<Map> {
    let value = |estimate: Option<Estimate>| estimate.map_or(Dynamic::UNIT, |estimate| number(estimate.value));
    let error = |estimate: Option<Estimate>| estimate.map_or(Dynamic::UNIT, |estimate| number(estimate.error));
    let displacement =
        |site: &Option<SiteOfAtom>| site.map_or(Dynamic::UNIT, |site| vector(site.displacement.iter().copied()));
    let q = fit.rotation;
    Ok(Map::from([
        ("lattice".into(), fit.kind.to_string().into()),
        ("a".into(), fit.a.value.into()),
        ("a_error".into(), number(fit.a.error)),
        ("c".into(), value(fit.c)),
        ("c_error".into(), error(fit.c)),
        ("u".into(), value(fit.u)),
        ("u_error".into(), error(fit.u)),
        ("rotation".into(), vector([q.w, q.i, q.j, q.k])),
        ("axes".into(), axes(fit).into()),
        ("origin".into(), vector(fit.origin.iter().copied())),
        ("species".into(), fit.species.iter().map(|element| element.symbol().into()).collect::<Array>().into()),
        ("on_sites".into(), (fit.on_sites() as i64).into()),
        ("share".into(), fit.share().into()),
        ("agreement".into(), fit.agreement().map_or(Dynamic::UNIT, number)),
        ("rms_pm".into(), (100.0 * fit.rms()).into()),
        ("displacements".into(), fit.sites.iter().map(displacement).collect::<Array>().into()),
        ("table".into(), Dynamic::from(site_table(atoms, fit)?)),
        ("text".into(), fit.to_string().into()),
    ]))
}

fn site_table(atoms: &Structure, fit: &LatticeFit) -> ScriptResult<Table> {
    let columns = [
        "atom",
        "element",
        "x_A",
        "y_A",
        "z_A",
        "cell_1",
        "cell_2",
        "cell_3",
        "site",
        "sublattice",
        "agrees",
        "dx_pm",
        "dy_pm",
        "dz_pm",
        "displacement_pm",
    ];
    let row = |(i, site): (usize, &Option<SiteOfAtom>)| -> Array {
        let atom = &atoms.atoms()[i];
        let mut row: Array = vec![(i as i64).into(), atom.element.symbol().into()];
        row.extend(atom.position.iter().map(|&x| Dynamic::from(x)));
        let Some(site) = site else {
            row.resize(columns.len(), Dynamic::UNIT);
            return row;
        };
        row.extend(site.cell.map(|n| Dynamic::from(i64::from(n))));
        row.extend(integers([site.basis, site.sublattice].into_iter()));
        row.push(site.agrees.map_or(Dynamic::UNIT, Dynamic::from));
        row.extend(site.displacement.iter().map(|&x| Dynamic::from(100.0 * x)));
        row.push((100.0 * site.displacement.norm()).into());
        row
    };
    table(&names(&columns), fit.sites.iter().enumerate().map(row))
}

/// Components as a script has them: strains as they are, the rotation in degrees.
fn components(strain: &LocalStrain) -> [f64; 8] {
    let mut components = strain.components();
    components[7] = components[7].to_degrees();
    components
}

fn strain_map(atoms: &Structure, field: &StrainField) -> ScriptResult<Map> {
    let mut map = Map::from([
        ("axes".into(), axes(&field.fit).into()),
        ("a".into(), field.reference[0].into()),
        ("c".into(), if field.fit.c.is_some() { field.reference[1].into() } else { Dynamic::UNIT }),
        ("strained".into(), (field.atoms.iter().flatten().count() as i64).into()),
        ("text".into(), field.to_string().into()),
    ]);
    let mut rows = Vec::new();
    for (i, name) in COMPONENTS.iter().enumerate() {
        let of_atom =
            |strain: &Option<LocalStrain>| strain.map_or(Dynamic::UNIT, |strain| components(&strain)[i].into());
        map.insert((*name).into(), field.atoms.iter().map(of_atom).collect::<Array>().into());
        let summary = Summary::of(field.atoms.iter().flatten().map(|strain| components(strain)[i]));
        rows.push(vec![(*name).into(), number(summary.mean), number(summary.deviation)]);
    }
    let summary = table(&names(&["component", "mean", "deviation"]), rows.into_iter())?;
    map.insert("summary".into(), Dynamic::from(summary));
    map.insert("table".into(), Dynamic::from(strain_table(atoms, field)?));
    Ok(map)
}

fn strain_table(atoms: &Structure, field: &StrainField) -> ScriptResult<Table> {
    let mut columns = names(&["atom", "element", "x_A", "y_A", "z_A", "neighbours"]);
    columns.extend(names(&COMPONENTS[..7]));
    columns.push("rotation_deg".into());
    let has_deviations = field.atoms.iter().flatten().any(|strain| strain.deviation.is_some());
    if has_deviations {
        columns.extend(COMPONENTS[..6].iter().map(|name| format!("{name}_deviation")));
    }
    let row = |(i, strain): (usize, &Option<LocalStrain>)| -> Array {
        let atom = &atoms.atoms()[i];
        let mut row: Array = vec![(i as i64).into(), atom.element.symbol().into()];
        row.extend(atom.position.iter().map(|&x| Dynamic::from(x)));
        if let Some(strain) = strain {
            row.push((strain.neighbours as i64).into());
            row.extend(components(strain).map(Dynamic::from));
            let places = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)];
            row.extend(strain.deviation.iter().flat_map(|matrix| places.map(|place| Dynamic::from(matrix[place]))));
        }
        row.resize(columns.len(), Dynamic::UNIT);
        row
    };
    let rows: Vec<Array> = field.atoms.iter().enumerate().map(row).collect();
    table(&columns, rows.into_iter())
}

fn core_shell_map(atoms: &Structure, layers: &CoreShell) -> ScriptResult<Map> {
    let row = |(i, (&depth, &outer)): (usize, (&f64, &bool))| -> Array {
        vec![(i as i64).into(), atoms.atoms()[i].element.symbol().into(), depth.into(), outer.into()]
    };
    let by_atom = layers.depths.iter().zip(&layers.surface).enumerate().map(row);
    Ok(Map::from([
        ("surface".into(), layers.surface.iter().map(|&outer| outer.into()).collect::<Array>().into()),
        ("depths".into(), array(&layers.depths).into()),
        ("width".into(), layers.width.into()),
        ("shells".into(), Dynamic::from(shell_table(layers)?)),
        ("table".into(), Dynamic::from(table(&names(&["atom", "element", "depth_A", "surface"]), by_atom)?)),
        ("text".into(), layers.to_string().into()),
    ]))
}

fn shell_table(layers: &CoreShell) -> ScriptResult<Table> {
    let mut columns = names(&["from_A", "to_A", "atoms"]);
    for (element, _, _) in layers.shells.iter().take(1).flat_map(|shell| &shell.composition) {
        columns.extend([element.symbol().to_owned(), format!("{element}_error")]);
    }
    columns.extend(names(&["coordination", "bond_A", "bond_error_A"]));
    let has_displacements = layers.shells.iter().any(|shell| shell.displacement_rms.is_some());
    if has_displacements {
        columns.extend(names(&["displacement_rms_pm", "outward_pm", "outward_error_pm"]));
    }
    let row = |shell: &Shell| -> Array {
        let mut row: Array = shell.depth.map(Dynamic::from).to_vec();
        row.push((shell.atoms as i64).into());
        row.extend(shell.composition.iter().flat_map(|&(_, share, error)| [share, error].map(Dynamic::from)));
        row.extend([shell.coordination.mean, shell.bond_length.mean, shell.bond_length.error()].map(number));
        if let (Some(rms), Some(outward)) = (shell.displacement_rms, shell.outward) {
            row.extend([rms, outward.mean, outward.error()].map(|value| number(100.0 * value)));
        }
        row
    };
    table(&columns, layers.shells.iter().map(row))
}

fn pairs_map(pairs: &PairDistribution) -> Map {
    let partials = pairs.partials.iter().map(|partial| {
        let curves = Map::from([
            ("g".into(), array(&partial.g).into()),
            ("coordination".into(), array(&partial.coordination).into()),
        ]);
        (pair_name(partial.elements).into(), Dynamic::from_map(curves))
    });
    let [mean, inside, with_surface] = pairs.first_shell;
    let first_shell = Map::from([
        ("end".into(), pairs.shell_end.into()),
        ("mean_distance".into(), mean.into()),
        ("coordination".into(), inside.into()),
        ("coordination_with_surface".into(), with_surface.into()),
    ]);
    Map::from([
        ("r".into(), array(&pairs.r).into()),
        ("g".into(), array(&pairs.g).into()),
        ("coordination".into(), array(&pairs.coordination).into()),
        ("partials".into(), partials.collect::<Map>().into()),
        ("diameter".into(), pairs.diameter.into()),
        ("density".into(), pairs.density.into()),
        ("first_shell".into(), first_shell.into()),
        ("text".into(), pairs.to_string().into()),
    ])
}

fn order_map(order: &ShortRangeOrder) -> ScriptResult<Map> {
    let columns = ["shell", "distance_A", "pair", "pairs", "alpha", "random_mean", "random_deviation", "z"];
    let rows = order.orders.iter().map(|one| -> Array {
        let mut row: Array = vec![(one.shell as i64).into(), number(one.distance), pair_name(one.elements).into()];
        row.push((one.pairs as i64).into());
        row.extend([one.alpha, one.random[0], one.random[1], one.z()].map(number));
        row
    });
    Ok(Map::from([
        ("orders".into(), Dynamic::from(table(&names(&columns), rows)?)),
        ("text".into(), order.to_string().into()),
    ]))
}
