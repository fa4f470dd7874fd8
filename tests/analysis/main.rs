//! What the analysis of atoms finds, against what is known of crystals, of noise and of chance.
//!
//! With `PEDESIS_FIGURES=DIR` the figures are kept there, to be looked at.

#[path = "../common/mod.rs"]
mod common;
mod lattice;
mod surroundings;

use std::path::Path;
use std::time::Instant;

use common::{folder_with, pedesis, run_script};
use nalgebra::{Matrix3, Point3, UnitQuaternion, Vector3};
use pedesis::model::analysis::{
    CoreShellOptions, Error, LatticeFit, LatticeOptions, NeighbourOptions, OrderOptions, PairOptions, SiteOfAtom,
    StrainField, StrainOptions, core_shell, fit_lattice, neighbours, pair_distribution, short_range_order, strain,
};
use pedesis::plot::DisplacementsPlot;
use pedesis::random::{self, stream};
use pedesis::structure::{Alloy, Atom, Element, Lattice, LatticeKind, Sphere, Structure, bundled, bundled_names};
use pedesis::task::Task;
use rand::RngExt;
use rand_distr::StandardNormal;

/// A machine that does other things at the same time takes this many times longer.
const BUSY: f64 = 5.0;

fn element(symbol: &str) -> Element {
    symbol.parse().unwrap()
}

const KINDS: [LatticeKind; 4] =
    [LatticeKind::Fcc, LatticeKind::Rocksalt, LatticeKind::ZincBlende, LatticeKind::Wurtzite];

/// A crystal of each kind; wurtzite with constants that are not ideal.
fn crystal(kind: LatticeKind) -> (Lattice, [f64; 3]) {
    let (species, a, c, u) = match kind {
        LatticeKind::Fcc => (vec!["Pt"], 3.924, None, None),
        LatticeKind::Rocksalt => (vec!["Pb", "Se"], 6.124, None, None),
        LatticeKind::ZincBlende => (vec!["Cd", "Se"], 6.077, None, None),
        LatticeKind::Wurtzite => (vec!["Cd", "Se"], 4.30, Some(6.95), Some(0.379)),
    };
    let species: Vec<Element> = species.into_iter().map(element).collect();
    (Lattice::new(kind, &species, a, c, u).unwrap(), [a, c.unwrap_or(0.0), u.unwrap_or(0.0)])
}

fn sphere(kind: LatticeKind, diameter: f64) -> Structure {
    let options = Sphere { random_centre: true, min_neighbours: 2, seed: 5, ..Sphere::default() };
    crystal(kind).0.sphere(diameter, &options).unwrap()
}

fn mapped(structure: &Structure, map: impl Fn(Vector3<f64>) -> Vector3<f64>) -> Structure {
    let atoms = structure.atoms().iter().map(|atom| Atom { position: map(atom.position.coords).into(), ..*atom });
    Structure::new(structure.name(), atoms.collect())
}

fn shaken(structure: &Structure, sigma: f64, seed: u64) -> Structure {
    let mut rng = stream(seed, "analysis noise", 0);
    let atoms = structure.atoms().iter().map(|atom| {
        let noise = Vector3::from_fn(|_, _| sigma * rng.sample::<f64, _>(StandardNormal));
        Atom { position: atom.position + noise, ..*atom }
    });
    Structure::new(structure.name(), atoms.collect())
}

fn fit(structure: &Structure, lattice: &str) -> LatticeFit {
    fit_lattice(structure, &LatticeOptions { lattice: lattice.to_owned(), ..LatticeOptions::default() }).unwrap()
}

fn spread(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (values.len() - 1) as f64).sqrt())
}

/// What a script prints, one number a word.
fn printed(script: &str) -> Vec<f64> {
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    run.stdout
        .split_whitespace()
        .map(|word| word.parse().unwrap_or_else(|_| panic!("{word} in {}", run.stdout)))
        .collect()
}

#[test]
fn a_traced_model_is_analysed_like_a_structure() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
        print(`${atoms.neighbours().lengths.len()} ${truth.neighbours().lengths.len()}`);
        print(`${atoms.fit_lattice().a} ${truth.fit_lattice().a} ${atoms.strain().strained} ${truth.strain().strained}`);
        print(`${atoms.core_shell().depths.len()} ${atoms.pair_distribution().r.len()} ${atoms.short_range_order().text.len()}`);
    "#;
    let numbers = printed(script);
    assert!((numbers[0] - numbers[1]).abs() < 4.0 && (numbers[2] - numbers[3]).abs() < 0.003, "{numbers:?}");
    assert!((numbers[4] - numbers[5]).abs() < 4.0 && numbers[6] == 124.0, "{numbers:?}");
}

#[test]
fn what_cannot_be_analysed_is_refused_with_the_reason() {
    for (call, words) in [
        (r#"structure::bundled("pt_2.5nm").fit_lattice(#{ lattice: "bcc" })"#, "\"bcc\" is not a lattice"),
        (
            r#"structure::bundled("pt_2.5nm").fit_lattice(#{ lattice: "wurtzite" })"#,
            "wurtzite has two elements, the atoms have 1",
        ),
        (
            r#"structure::bundled("pbse_2.5nm").fit_lattice(#{ lattice: "wurtzite" })"#,
            "lie on a common wurtzite lattice",
        ),
        (r#"structure::bundled("pt_2.5nm").fit_lattice(#{ latice: "fcc" })"#, "did you mean \"lattice\""),
        (
            r#"structure::fcc(["Pt"], 3.92).sphere(2).neighbours()"#,
            "there are 1 atoms; looking for neighbours needs at least 2",
        ),
        (r#"structure::fcc(["Pt"], 3.92).sphere(2).core_shell()"#, "needs at least 4"),
        (r#"structure::bundled("pt_2.5nm").neighbours(#{ cutoff: 1e9 })"#, "cutoff is 1000000000"),
        (r#"structure::bundled("pt_2.5nm").strain(#{ a: 9 })"#, "a is 9; it must be within 20 %"),
        (r#"structure::bundled("pt_2.5nm").short_range_order()"#, "order is between elements"),
        (r#"structure::bundled("pt_2.5nm").pair_distribution(#{ max: 500 })"#, "max is 500"),
        (r#"structure::bundled("pt_2.5nm").pair_distribution(#{ step: 1e-9 })"#, "step is 0.000000001"),
        (r#"structure::bundled("fept_1.5nm").short_range_order(#{ shells: 0 })"#, "shells is 0"),
        (r#"structure::bundled("pt_2.5nm").core_shell(#{ width: -1 })"#, "width is -1"),
        (r#"plot::strain(structure::bundled("pt_2.5nm"), #{ component: "x" })"#, "one of xx, yy"),
        (r#"plot::strain(structure::bundled("pt_2.5nm"), #{ componen: "xx" })"#, "unknown option \"componen\""),
        (
            r#"plot::strain(structure::bundled("pt_2.5nm"), #{ componen: "xx" })"#,
            "did you mean \"component\"? (options: a, c, component, lattice, ",
        ),
        (r#"plot::displacements(structure::bundled("pt_2.5nm"), #{ latice: "fcc" })"#, "did you mean \"lattice\""),
        (r#"structure::bundled("pt_2.5nm").core_shell(#{ cutoff: 1.5 })"#, "no two atoms are bonded up to 1.5 Å"),
        (r#"model::neighbours(5)"#, "atoms are a Model or a Structure"),
    ] {
        let run = run_script(&format!("print({call});"), &[]);
        assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{call}: {}", run.stderr);
    }
    let at = |x: f64| Atom { element: element("Pt"), position: Point3::new(x, 0.0, 0.0) };
    let of = |places: &[f64]| {
        neighbours(&Structure::new("bad", places.iter().map(|&x| at(x)).collect()), &NeighbourOptions::default())
    };
    assert_eq!(of(&[1.0, 1.0, 3.0]).unwrap_err(), Error::SamePlace { first: 0, second: 1 });
    assert!(matches!(of(&[1.0, f64::NAN]).unwrap_err(), Error::Position { index: 1, .. }));
    assert!(matches!(of(&[1.0, 1e12]).unwrap_err(), Error::Position { index: 1, .. }));
    // atoms on a line, and atoms of no lattice
    let line = Structure::new("line", (0..40).map(|i| at(2.7 * f64::from(i))).collect());
    assert!(fit_lattice(&line, &LatticeOptions::default()).is_err());
    let mut rng = stream(9, "analysis", 0);
    let cloud = (0..200).map(|_| Atom {
        element: element("Pt"),
        position: Point3::from(Vector3::from_fn(|_, _| 16.0 * rng.random::<f64>())),
    });
    assert!(fit_lattice(&Structure::new("gas", cloud.collect()), &LatticeOptions::default()).is_err());
}

#[test]
fn what_a_figure_is_made_with_is_kept_once() {
    let script = r#"
        plot::strain(structure::bundled("pt_2.5nm"), #{ lattice: "fcc", component: "xx" });
        store::write("run.h5", #{ number: 1 });
    "#;
    let folder = folder_with("script.rhai", script);
    let run: common::Run = pedesis(folder.path()).args(["run", "script.rhai"]).output().unwrap().into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let options = pedesis::store::read_h5(&folder.path().join("run.h5")).unwrap().provenance.unwrap().options;
    let calls: Vec<_> = options.as_array().unwrap().iter().filter(|call| call["function"] == "strain").collect();
    assert_eq!(calls.len(), 1, "{options}");
    assert_eq!((&calls[0]["options"]["lattice"], &calls[0]["options"]["component"]), (&"fcc".into(), &"xx".into()));
}

#[test]
fn one_atom_off_its_site_does_not_draw_an_arrow_across_the_figure() {
    let particle = sphere(LatticeKind::Fcc, 40.0);
    let mut fit = fit(&particle, "fcc");
    // the one that the slices of all views go through
    let origin = fit.origin;
    let from_origin = |site: &SiteOfAtom| (site.position - origin).norm();
    let central = fit.sites.iter_mut().flatten().min_by(|a, b| from_origin(a).total_cmp(&from_origin(b))).unwrap();
    central.displacement.x += 0.4;
    let drawn = |scale: Option<f64>| {
        let options = DisplacementsPlot { scale, title: "arrows".into(), ..DisplacementsPlot::default() };
        pedesis::plot::displacements(&particle, &fit, &options).unwrap()
    };
    let without = drawn(Some(1e-9));
    // at most five bonds of 2.8 Å in pictures of 44 Å and 560 pixels, not half of one: the arrow is along x, which runs to the right in one view
    for scale in [None, Some(100.0)] {
        let with = drawn(scale);
        // dark now, and whether it was before: rims of atoms are
        let dark = |pixel: &[u8]| pixel == [34, 34, 34];
        let pixels = with.pixels().chunks(3).zip(without.pixels().chunks(3));
        let pixels: Vec<(bool, bool)> = pixels.map(|(with, without)| (dark(with), dark(without))).collect();
        let lines = pixels.split(|(now, _)| !now).filter(|line| line.iter().any(|(_, before)| !before));
        let longest = lines.map(<[_]>::len).max().unwrap();
        assert!((60..220).contains(&longest), "{scale:?}: {longest}");
    }
}

#[test]
fn the_script_writes_its_figures_and_tables() {
    let folder = folder_with(
        "read.rhai",
        r#"
        let run = store::read("out/analysis.h5");
        print(`${run.lattice.a} ${run.lattice.table.column("displacement_pm").len()} ${run.core_shell.shells.column("atoms").len()} ${run.atoms.len()}`);
    "#,
    );
    let particle = mapped(&bundled("cdse_zb_2.5nm").unwrap(), |r| {
        UnitQuaternion::from_scaled_axis(Vector3::new(1.0, 0.4, 0.2)) * r
    });
    std::fs::write(folder.path().join("atoms.xyz"), particle.to_xyz()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/analysis.rhai");
    let output = pedesis(folder.path())
        .arg("run")
        .arg(script)
        .args(["atoms=atoms.xyz", "a=6.077", "sigma=0.01", "out=out"])
        .output();
    let run: common::Run = output.unwrap().into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("CdSe zincblende: a = ") && run.stdout.contains("volumetric"), "{}", run.stdout);
    let figures = [
        "neighbours",
        "pair_distribution",
        "displacements",
        "strain_volumetric",
        "strain_xx",
        "strain_rotation",
        "short_range_order",
        "core_shell",
    ];
    for figure in figures.map(|name| format!("{name}.png")) {
        let path = folder.path().join("out").join(&figure);
        assert!(path.exists(), "{figure}");
        if let Some(kept) = std::env::var_os("PEDESIS_FIGURES") {
            std::fs::copy(path, Path::new(&kept).join(figure)).unwrap();
        }
    }
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("out/analysis.json")).unwrap()).unwrap();
    assert_eq!(json["lattice"]["lattice"], "zincblende");
    assert_eq!(json["lattice"]["table"].as_array().unwrap().len(), 278);
    let run: common::Run = pedesis(folder.path()).args(["run", "read.rhai"]).output().unwrap().into();
    let numbers: Vec<f64> = run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(
        (numbers[0] - json["lattice"]["a"].as_f64().unwrap()).abs() < 1e-9
            && numbers[1] == 278.0
            && numbers[3] == 278.0
    );
}

#[test]
fn five_thousand_atoms_take_less_than_a_second_each() {
    let atoms = sphere(LatticeKind::Fcc, 53.0).alloyed(&[element("Fe"), element("Pt")], &Alloy::default()).unwrap();
    assert!(atoms.len() > 5000);
    let timed = |what: &str, work: &dyn Fn()| {
        let start = Instant::now();
        work();
        let seconds = start.elapsed().as_secs_f64();
        println!("{what}: {seconds:.2} s");
        assert!(seconds < BUSY, "{what} took {seconds} s");
    };
    timed("neighbours", &|| drop(neighbours(&atoms, &NeighbourOptions::default())));
    timed("fit_lattice", &|| drop(fit_lattice(&atoms, &LatticeOptions::default())));
    let fit = fit(&atoms, "fcc");
    timed("strain", &|| drop(strain(&atoms, &fit, &StrainOptions::default())));
    timed("core_shell", &|| drop(core_shell(&atoms, Some(&fit), &CoreShellOptions::default())));
    timed("pair_distribution", &|| drop(pair_distribution(&atoms, &PairOptions::default())));
    timed("short_range_order", &|| drop(short_range_order(&atoms, &fit, &OrderOptions::default(), &Task::silent())));
}
