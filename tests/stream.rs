//! Images that are simulated into a file: the same as in memory, whatever happens on the way.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Run, folder_with, pedesis, run_script};

/// Four chunks of multislice images of a particle in water.
const FILM: &str = r#"
    let a = args(#{ threads: 1, seed: 1 });
    set_threads(a.threads);
    let particle = structure::bundled("fept_1.5nm");
    let cell = cell::build(#{ size: [20, 20, 30], liquid: "water" });
    let options = #{ method: "multislice", n: 1000, cell: cell, pixel_size: 0.5, seed: a.seed, slice_thickness: 2, configurations: 1, spread: "envelope" };
    microscope::simulate_to("film.h5", particle, microscope::paper(#{ cell_height: 30 }), options);
"#;

fn pixels(path: &Path) -> Vec<f32> {
    hdf5::File::open(path).unwrap().dataset("images/data").unwrap().read_raw().unwrap()
}

fn done(folder: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(folder.join("film.h5.partial.json")).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?["done"].as_u64()
}

#[test]
fn a_film_that_is_killed_goes_on_and_ends_with_the_same_bits() {
    let whole = folder_with("film.rhai", FILM);
    assert!(pedesis(whole.path()).args(["run", "film.rhai"]).status().unwrap().success());
    let broken = folder_with("film.rhai", FILM);
    let mut child = pedesis(broken.path()).args(["run", "film.rhai", "threads=2"]).spawn().unwrap();
    let start = Instant::now();
    while done(broken.path()).unwrap_or(0) == 0 {
        assert!(start.elapsed() < Duration::from_secs(120), "no image in two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = done(broken.path()).unwrap();
    assert!(kept > 0 && kept < 1000, "{kept} images were done");
    assert!(!broken.path().join("film.h5").exists(), "a file that is not complete has no name");
    assert!(pedesis(broken.path()).args(["run", "film.rhai", "threads=3"]).status().unwrap().success());
    assert!(pixels(&whole.path().join("film.h5")) == pixels(&broken.path().join("film.h5")), "the same bits");
    assert_eq!(done(broken.path()), None, "nothing is left lying about");
    assert!(!broken.path().join("film.h5.partial").exists());
}

#[test]
fn what_is_in_the_file_is_what_would_be_in_memory() {
    let folder = folder_with(
        "both.rhai",
        r#"
        let particle = structure::bundled("fept_1.5nm");
        let options = #{ method: "kinematic", n: 300, size: 72, seed: 5, max_shift: 0.5 };
        microscope::simulate_to("a.h5", particle, microscope::paper(), options);
        microscope::simulate(particle, microscope::paper(), options).save("b.h5");
        print(store::images("a.h5"));
        "#,
    );
    let run = pedesis(folder.path()).args(["run", "both.rhai"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stdout).contains("300 images of 72"));
    let [a, b] = ["a.h5", "b.h5"].map(|name| folder.path().join(name));
    assert!(pixels(&a) == pixels(&b));
    let quaternions = |path: &Path| -> Vec<f64> {
        hdf5::File::open(path).unwrap().dataset("images/true_poses/quaternions").unwrap().read_raw().unwrap()
    };
    assert_eq!(quaternions(&a), quaternions(&b));
}

#[test]
fn other_options_begin_anew() {
    let folder = folder_with("film.rhai", FILM);
    let mut child = pedesis(folder.path()).args(["run", "film.rhai"]).spawn().unwrap();
    let start = Instant::now();
    while done(folder.path()).unwrap_or(0) == 0 && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(pedesis(folder.path()).args(["run", "film.rhai", "seed=2"]).status().unwrap().success());
    let fresh = folder_with("film.rhai", FILM);
    assert!(pedesis(fresh.path()).args(["run", "film.rhai", "seed=2"]).status().unwrap().success());
    assert!(pixels(&folder.path().join("film.h5")) == pixels(&fresh.path().join("film.h5")));
}

#[test]
fn a_place_that_cannot_be_written_is_refused_at_once() {
    for (path, message) in [("film.mrcs", ".h5"), ("no/such/film.h5", "no folder")] {
        let run = run_script(&three_images(path), &[]);
        assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{path}");
        assert!(run.stderr.contains(message), "{path}: {}", run.stderr);
    }
    let folder = folder_with("three.rhai", &three_images("folder.h5"));
    std::fs::create_dir(folder.path().join("folder.h5")).unwrap();
    let run = Run::from(pedesis(folder.path()).args(["run", "three.rhai"]).output().unwrap());
    assert!(run.status == Some(1) && run.stderr.contains("not a regular file"), "{}", run.stderr);
}

fn three_images(path: &str) -> String {
    format!(
        r#"microscope::simulate_to("{path}", structure::bundled("fept_1.5nm"), microscope::paper(), #{{ method: "kinematic", n: 3 }});"#
    )
}
