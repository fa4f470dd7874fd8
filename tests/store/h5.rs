use std::collections::BTreeMap;
use std::fs;

use nalgebra::{Point3, Vector2};
use ndarray::{Array2, Array3};
use pedesis::images::Images;
use pedesis::pose::{Pose, Poses};
use pedesis::random;
use pedesis::store::{self, Provenance, StoredModel, Value};
use pedesis::structure::{Atom, Element, Structure};
use pedesis::task::Task;
use pedesis::volume::Volume;
use proptest::prelude::*;

fn texts<const N: usize>(texts: [(&str, &str); N]) -> BTreeMap<String, String> {
    BTreeMap::from(texts.map(|(name, text)| (name.to_owned(), text.to_owned())))
}

fn provenance() -> Provenance {
    Provenance {
        script: "let a = args(#{});\n// Å".to_owned(),
        script_path: "scripts/a.rhai".to_owned(),
        arguments: serde_json::json!({ "seed": 7, "out": "out" }),
        options: serde_json::json!({ "search": { "low_pass": 1.0 } }),
        version: "0.1.0".to_owned(),
        seed: Some(u64::MAX),
        threads: Some(2),
        modules: texts([("scripts/lib.rhai", "fn f() { 1 }\n"), ("scripts/../more.rhai", "")]),
        given: Some(texts([("seed", "7")])),
        inputs: texts([("stack.mrcs", "00ff"), ("truth.xyz", Provenance::ABSENT)]),
        start: "2025-01-31T12:00:00Z".to_owned(),
        end: "2025-01-31T12:01:00Z".to_owned(),
    }
}

fn poses(count: usize, seed: u64) -> Poses {
    let mut rng = random::stream(seed, "test", 0);
    let poses: Vec<Pose> = (0..count)
        .map(|i| Pose { rotation: random::rotation(&mut rng), shift: Vector2::new(0.1 * i as f64, -0.3) })
        .collect();
    Poses::new(poses, (0..count).map(|i| i as f64 / 3.0).collect())
}

fn images(count: usize, size: usize, with_poses: bool) -> Images {
    let data = Array3::from_shape_fn((count, size, size), |(n, y, x)| (0.7 * (n + 5 * y + 17 * x) as f32).sin());
    let images = Images::new(data, 0.25);
    if with_poses { images.with_true_poses(poses(count, 3)) } else { images }
}

fn structure(count: usize) -> Structure {
    let atom = |i: usize| Atom {
        element: Element::from_atomic_number(1 + (i % 103) as u8).unwrap(),
        position: Point3::new(i as f64 / 7.0, -1.5, 1e-9),
    };
    Structure::new("a name", (0..count).map(atom).collect())
}

fn model(count: usize) -> StoredModel {
    let columns = |count: usize| {
        let numbers = |step: f64| (0..count).map(|i| step * i as f64).collect();
        BTreeMap::from([("intensity".to_owned(), numbers(0.1)), ("radius_A".to_owned(), numbers(1.5))])
    };
    StoredModel { structure: structure(count), columns: columns(count), rejected: columns(2) }
}

/// A value of any kind; groups and lists of them up to three deep.
fn value() -> impl Strategy<Value = Value> {
    let number = -1e300..1e300f64;
    let leaf = prop_oneof![
        number.clone().prop_map(Value::Number),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        "[a-zÅ\\n ]{0,20}".prop_map(Value::Text),
        prop::collection::vec(number, 0..20).prop_map(Value::Numbers),
        prop::collection::vec(any::<i64>(), 0..20).prop_map(Value::Integers),
        prop::collection::vec("[a-zÅ]{0,5}", 0..5).prop_map(Value::Texts),
        (0..4usize, 0..4usize)
            .prop_map(|shape| Value::Matrix(Array2::from_shape_fn(shape, |(i, j)| i as f64 - j as f64))),
        (0..4usize, 1..6usize, any::<bool>())
            .prop_map(|(count, size, poses)| Value::Images(images(count, size, poses))),
        (1..6usize).prop_map(|size| Value::Volume(Volume::new(images(size, size, false).data().clone(), 0.3))),
        (0..5usize, any::<u64>()).prop_map(|(count, seed)| Value::Poses(poses(count, seed))),
        (0..5usize).prop_map(|count| Value::Structure(structure(count))),
        (0..5usize).prop_map(|count| Value::Model(model(count))),
        Just(Value::Nothing),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[a-zA-Z0-9_ é]{1,8}", inner.clone(), 0..4).prop_map(Value::Group),
            prop::collection::btree_map("[a-z]{1,8}", inner, 0..4)
                .prop_map(|parts| Value::Record(store::RECORDS[0], parts)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_comes_back(values in prop::collection::btree_map("[a-z_]{1,8}", value(), 0..5)) {
        prop_assume!(!values.contains_key("provenance"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.h5");
        store::write_h5(&path, &values, &provenance(), &Task::silent()).unwrap();
        let contents = store::read_h5(&path).unwrap();
        prop_assert_eq!(contents.values, values);
        prop_assert_eq!(contents.provenance, Some(provenance()));
        prop_assert!(store::info(&path).is_ok());
    }
}

/// One value of every kind that a file can hold as a whole.
fn run() -> BTreeMap<String, Value> {
    [
        ("images", Value::Images(images(5, 8, true))),
        ("map", Value::Volume(Volume::new(images(8, 8, false).data().clone(), 0.3))),
        ("poses", Value::Poses(poses(5, 1))),
        ("atoms", Value::Structure(structure(4))),
        ("rmsd_pm", Value::Number(7.5)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

#[test]
fn the_same_values_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = folder.path().join(name);
        store::write_h5(&path, &run(), &provenance(), &Task::silent()).unwrap();
        fs::read(&path).unwrap()
    };
    let first = write("a.h5");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == write("b.h5"), "the files differ");
}

#[test]
fn a_stack_a_volume_atoms_and_poses_are_found_in_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    store::write_h5(&path, &run(), &provenance(), &Task::silent()).unwrap();
    let stack = store::read_images(&path, None, &Task::silent()).unwrap();
    assert_eq!(stack.images.data(), images(5, 8, false).data());
    assert_eq!((stack.images.pixel_size(), stack.header_pixel_size), (0.25, Some(0.25)));
    assert_eq!(store::read_volume(&path, None).unwrap().pixel_size(), 0.3);
    assert_eq!(store::read_volume(&path, Some(0.5)).unwrap().pixel_size(), 0.5);
    assert_eq!(store::read_structure(&path).unwrap(), structure(4));
    // There are two sets: the images keep the poses that they were simulated at.
    let said = store::read_poses(&path).unwrap_err().to_string();
    assert!(said.contains("/images/true_poses, /poses"), "{said}");
}

#[test]
fn the_only_stack_of_another_programs_file_is_read_whatever_its_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.h5");
    let data = Array3::from_shape_fn((7, 6, 6), |(n, y, x)| (100 * n + 10 * y + x) as i16);
    let file = hdf5::File::create(&path).unwrap();
    file.create_group("entry").unwrap();
    let stack = file.new_dataset_builder().chunk((3, 2, 6)).with_data(&data).create("entry/frames").unwrap();
    stack.new_attr::<f64>().create("pixel_size").unwrap().write_scalar(&0.5).unwrap();
    file.close().unwrap();
    let stack = store::read_images(&path, None, &Task::silent()).unwrap();
    assert_eq!(stack.images.data(), &data.mapv(f32::from));
    assert_eq!(stack.images.pixel_size(), 0.5);
}

#[test]
fn the_atoms_of_a_model_are_a_structure_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.h5");
    store::save(&path, &Value::Model(model(3)), &provenance(), &Task::silent()).unwrap();
    assert_eq!(store::read_structure(&path).unwrap(), structure(3));
    let path = folder.path().join("model.xyz");
    store::save(&path, &Value::Model(model(3)), &provenance(), &Task::silent()).unwrap();
    assert_eq!(store::read_structure(&path).unwrap().len(), 3);
    assert!(fs::read_to_string(&path).unwrap().contains("pos:R:3:intensity:R:1:radius_A:R:1 "));
}

#[test]
fn a_value_is_saved_in_the_format_that_its_name_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, value: Value| {
        let path = folder.path().join(name);
        store::save(&path, &value, &provenance(), &Task::silent()).map_err(|error| error.to_string()).map(|()| path)
    };
    let stack = Value::Images(images(3, 4, false));
    for name in ["a.mrcs", "a.MRC", "a.h5", "a.hdf5"] {
        let path = save(name, stack.clone()).unwrap();
        assert_eq!(store::read_images(&path, None, &Task::silent()).unwrap().images, images(3, 4, false), "{name}");
    }
    assert!(save("a.png", stack).unwrap_err().ends_with("a.png: the name must end in .mrcs, .mrc or .h5"));
    assert!(save("a", Value::Structure(structure(2))).unwrap_err().ends_with("must end in .xyz, .pdb, .cif or .h5"));
    assert!(save("a.mrc", Value::Poses(poses(2, 1))).unwrap_err().ends_with("must end in .star or .h5"));
}

#[test]
fn a_name_that_hdf5_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let values = [(name.to_owned(), Value::Integer(1))].into_iter().collect();
        let nested = [("group".to_owned(), Value::Group(values))].into_iter().collect();
        store::write_h5(&folder.path().join("a.h5"), &nested, &provenance(), &Task::silent()).unwrap_err().to_string()
    };
    assert_eq!(write("a/b"), "\"a/b\" cannot name a value in a file: it has a / in it, or a zero");
    assert_eq!(write(""), "\"\" cannot name a value in a file: it is empty");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_failed_write_leaves_the_last_complete_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    store::write_h5(&path, &run(), &provenance(), &Task::silent()).unwrap();
    let before = fs::read(&path).unwrap();
    let bad = [("text".to_owned(), Value::Text("a\0b".to_owned()))].into_iter().collect();
    let said = store::write_h5(&path, &bad, &provenance(), &Task::silent()).unwrap_err().to_string();
    assert!(said.starts_with(&format!("cannot write {}: HDF5 cannot hold", path.display())), "{said}");
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn atoms_that_are_nowhere_or_too_far_away_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("atoms.h5");
    let element: Element = "Pt".parse().unwrap();
    for (x, said) in [(f64::NAN, "atom 2: x of the atom is NaN Å"), (-1e9, "atom 2: x of the atom is -1e9 Å")] {
        let atoms = [0.0, x].map(|x| Atom { element, position: Point3::new(x, 0.0, 0.0) });
        let value = Value::Structure(Structure::new("pair", atoms.to_vec()));
        store::write_h5(&path, &[("atoms".to_owned(), value)].into_iter().collect(), &provenance(), &Task::silent())
            .unwrap();
        let error = store::read_structure(&path).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_description_of_a_run_lists_its_values_and_their_origin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let values = [("result".to_owned(), Value::Group(run()))].into_iter().collect();
    store::write_h5(&path, &values, &provenance(), &Task::silent()).unwrap();
    let text = store::info(&path).unwrap();
    for line in [
        "script         scripts/a.rhai",
        "seed           18446744073709551615",
        "arguments      {\"out\":\"out\",\"seed\":7}",
        "module         scripts/lib.rhai",
        "input          stack.mrcs, BLAKE3 00ff",
        "input          truth.xyz, which was not there",
        "/result/images images 5×8×8, 0.25 Å a pixel, -0.98",
        "/result/map    volume 8×8×8, 0.3 Å a pixel, -0.98",
        "/result/poses  poses 5",
        "/result/atoms  structure of 4 atoms",
        "/result/rmsd_pm 7.5",
    ] {
        assert!(text.contains(&format!("\n  {line}")), "\"{line}\" is not in:\n{text}");
    }
    assert!(!text.contains("/provenance"), "{text}");
    assert!(!text.contains("quaternions"), "the parts of a value are not listed:\n{text}");
}
