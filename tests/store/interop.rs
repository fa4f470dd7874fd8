//! Python's own readers open what pedesis writes and find the same numbers, and pedesis reads what Python writes.
//!
//! Both sides compute the numbers from the formulas in `tests/interop.py`; nothing is copied from one to the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nalgebra::{Point3, Quaternion, UnitQuaternion, Vector2};
use ndarray::Array3;
use pedesis::images::Images;
use pedesis::microscope::{Method, Microscope, Simulation, random_poses, simulate};
use pedesis::pose::{Pose, Poses};
use pedesis::store::{self, LiquidOptions, Provenance, StarOptions, StoredModel, Value};
use pedesis::structure::{Atom, Structure};
use pedesis::task::Task;
use pedesis::volume::Volume;

fn wave(n: usize, y: usize, x: usize) -> f32 {
    (0.1 * n as f64 + 0.2 * y as f64 + 0.3 * x as f64).sin() as f32
}

fn atoms() -> Structure {
    let atoms = (0..10u32).map(|i| {
        let element = if i.is_multiple_of(3) { "Pt" } else { "Fe" }.parse().unwrap();
        let i = f64::from(i);
        Atom { element, position: Point3::new(1.5 * i, -0.25 * i, 0.001 * i * i) }
    });
    Structure::new("ten atoms", atoms.collect())
}

fn poses() -> Poses {
    let poses = (0..5).map(|i| {
        let half_turn = UnitQuaternion::from_quaternion(Quaternion::new(1.0, 0.0, f64::from(i), 2.0));
        Pose { rotation: half_turn, shift: Vector2::new(0.5 * f64::from(i), -1.0) }
    });
    Poses::new(poses.collect(), (0..5).map(|i| 0.1 * f64::from(i)).collect())
}

fn python(arguments: &[&str]) -> Option<String> {
    let output = Command::new("python3").args(arguments).output().ok()?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether Python has what the checks need. In CI it must.
fn has_python() -> bool {
    let found = python(&["-c", "import h5py, mrcfile, ase"]).is_some();
    assert!(found || std::env::var_os("CI").is_none(), "CI must have Python with h5py, mrcfile and ase");
    if !found {
        println!("skipped: there is no Python with h5py, mrcfile and ase");
    }
    found
}

fn interop(task: &str, folder: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop.py");
    let said = python(&[script, task, folder.to_str().unwrap()]).expect("interop.py fails");
    assert_eq!(said.trim(), "ok");
}

#[test]
fn python_finds_in_our_files_what_we_wrote() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let images = Images::new(Array3::from_shape_fn((5, 12, 12), |(n, y, x)| wave(n, y, x)), 0.25);
    let volume = Volume::new(Array3::from_shape_fn((9, 9, 9), |(z, y, x)| wave(z, y, x)), 0.3);
    let provenance = Provenance {
        script: "print(\"Å\");".to_owned(),
        script_path: "a.rhai".to_owned(),
        arguments: serde_json::json!({ "seed": 7 }),
        version: "0.1.0".to_owned(),
        seed: Some(7),
        ..Provenance::default()
    };
    let inner = [("fsc", Value::Numbers(vec![1.0, 0.5, 0.25])), ("note", Value::Text("pm: 1e-12 m".to_owned()))];
    let values = [
        ("images", Value::Images(images.clone().with_true_poses(poses()))),
        ("volume", Value::Volume(volume.clone())),
        ("atoms", Value::Structure(atoms())),
        ("run", Value::Group(inner.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())),
        ("rmsd_pm", Value::Number(7.5)),
        ("found", Value::Integer(124)),
        ("doubtful", Value::Boolean(true)),
        ("species", Value::Texts(vec!["Fe".to_owned(), "Pt".to_owned()])),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    store::write_images(&at("images.mrcs"), &images, &Task::silent()).unwrap();
    store::write_volume(&at("volume.mrc"), &volume, &Task::silent()).unwrap();
    let columns = [("intensity".to_owned(), (0..10).map(|i| 0.5 + 0.1 * f64::from(i)).collect())].into();
    store::write_xyz(&at("atoms.xyz"), &atoms(), &columns).unwrap();
    store::write_h5(&at("run.h5"), &values, &provenance, &Task::silent()).unwrap();
    interop("check", folder.path());
}

/// Seven atoms without symmetry, all apart in most views.
fn few_atoms() -> Structure {
    let places = [
        [0.5, -0.3, 0.2],
        [4.1, 0.6, -1.0],
        [-1.2, 5.0, 0.9],
        [0.8, -1.9, 6.1],
        [-4.7, -2.2, -3.0],
        [2.6, 3.3, -4.4],
        [-2.9, 1.5, 4.0],
    ];
    let elements = ["Pt", "Fe", "Pt", "Fe", "Fe", "Pt", "Fe"];
    let atom = |(place, element): (&[f64; 3], &str)| Atom {
        element: element.parse().unwrap(),
        position: Point3::from(*place),
    };
    Structure::new("seven atoms", places.iter().zip(elements).map(atom).collect())
}

#[test]
fn a_projector_of_its_own_makes_the_images_again_from_the_star_file() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // the particle's centre sees 35 Å underfocus, at which an atom is one spot
    let microscope = Microscope { cell_height: 20.0, defocus: 45.0, ..Microscope::default() };
    let options = Simulation {
        method: Some(Method::Kinematic),
        poses: Some(random_poses(24, 2.0, 9)),
        size: 81,
        pixel_size: 0.25,
        b_factor: 5.0,
        ..Simulation::default()
    };
    let images = simulate(&few_atoms(), &microscope, &options, &Task::silent()).unwrap();
    let images = images.invert(&Task::silent()).unwrap();
    store::write_images(&at("images.mrcs"), &images, &Task::silent()).unwrap();
    store::write_xyz(&at("atoms.xyz"), &few_atoms(), &BTreeMap::new()).unwrap();
    let star = StarOptions { images: Some("images.mrcs".into()), pixel_size: Some(0.25), ..StarOptions::default() };
    store::write_star(&at("poses.star"), images.true_poses().unwrap(), &star).unwrap();
    interop("project", folder.path());
}

#[test]
fn we_find_in_pythons_files_what_it_wrote() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    interop("make", folder.path());
    for (name, scale) in
        [("int8.mrcs", 100.0), ("int16.mrcs", 1000.0), ("float32.mrcs", 1.0), ("float32_big.mrcs", 1.0)]
    {
        let stack = store::read_images(&folder.path().join(name), None, &Task::silent()).unwrap();
        let expected = Array3::from_shape_fn((5, 12, 12), |(n, y, x)| scale * wave(n, y, x));
        // Integers are rounded to the nearest.
        let tolerance = if scale == 1.0 { 1e-6 } else { 0.5 + 1e-3 };
        assert!((stack.images.data() - &expected).iter().all(|difference| difference.abs() < tolerance), "{name}");
        assert!((stack.images.pixel_size() - 0.25).abs() < 1e-6, "{name}");
    }
    let stack = store::read_images(&folder.path().join("stack.h5"), None, &Task::silent()).unwrap();
    assert!(stack.images.data().indexed_iter().all(|((n, y, x), pixel)| (pixel - wave(n, y, x)).abs() < 1e-6));
    let volume = store::read_volume(&folder.path().join("volume.mrc"), None).unwrap();
    assert!(volume.data().indexed_iter().all(|((z, y, x), value)| (value - wave(z, y, x)).abs() < 1e-6));
    let structure = store::read_structure(&folder.path().join("atoms.xyz")).unwrap();
    for (found, expected) in structure.atoms().iter().zip(atoms().atoms()) {
        assert_eq!(found.element, expected.element);
        assert!((found.position - expected.position).norm() < 1e-6);
    }
    assert_eq!(structure.len(), 10);
    // Foreign values that we have words for are read.
    let contents = store::read_h5(&folder.path().join("values.h5")).unwrap();
    assert_eq!(contents.values["text"], Value::Text("Å".to_owned()));
    assert_eq!(contents.values["fixed"], Value::Text("fixed".to_owned()));
    assert_eq!(contents.values["count"], Value::Integer(3));
    assert_eq!(contents.values["single"], Value::Number(0.5));
    assert_eq!(contents.provenance, None);
}

#[test]
fn atoms_go_to_ase_and_come_from_it_in_the_formats_of_crystallographers() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let column = |value: fn(f64) -> f64| (0..10).map(|i| value(f64::from(i))).collect();
    let columns =
        [("probability".to_owned(), column(|i| 1.0 - 0.05 * i)), ("sigma_A".to_owned(), column(|i| 0.01 * (i + 1.0)))];
    let model = StoredModel { structure: atoms(), columns: columns.into(), rejected: BTreeMap::new() };
    for (stem, value) in [("model", Value::Model(model)), ("given", Value::Structure(atoms()))] {
        for ending in ["pdb", "cif", "xyz"] {
            store::save(&at(&format!("{stem}.{ending}")), &value, &Provenance::default(), &Task::silent()).unwrap();
        }
    }
    interop("structures", folder.path());
    let names = "ase.pdb slanted.cif free.cif direct.vasp POSCAR_cartesian CONTCAR rocksalt.cif wurtzite.cif";
    for name in names.split(' ') {
        let structure = store::read_structure(&at(name)).unwrap();
        store::write_xyz(&at(&format!("{name}_read.xyz")), &structure, &BTreeMap::new()).unwrap();
    }
    interop("structures", folder.path());
}

#[test]
fn liquids_come_from_python_and_go_back() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    interop("liquids", folder.path());
    for (name, read) in [("film.xyz", "xyz_read.xyz"), ("film.pdb", "pdb_read.xyz"), ("still.gro", "gro_read.xyz")] {
        let liquid = store::read_liquid(&at(name), &LiquidOptions::default()).unwrap();
        store::write_liquid(&at(read), &liquid).unwrap();
    }
    interop("liquids", folder.path());
}
