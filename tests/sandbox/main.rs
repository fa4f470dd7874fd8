//! Running a script that one did not write: what it may touch and use, and every way round that we could think of.

#[path = "../common/mod.rs"]
mod common;
mod files;
mod place;
mod resources;

use std::fs;
use std::path::Path;

use place::{Place, assert_done};

#[test]
fn a_reconstruction_reads_and_writes_outside_the_current_directory() {
    let place = Place::new();
    let make = r#"
        let truth = structure::bundled("fept_1.5nm");
        truth.save("OUTSIDE/truth.xyz");
        let raw = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 280, size: 80, seed: 3 });
        raw.invert().normalize().add_noise(#{ snr: 2.0, seed: 4 }).save("OUTSIDE/stack.mrcs");"#;
    assert_done(&place.run(make, &["--allow-write", "OUTSIDE"]), "");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reconstruct.rhai");
    let arguments = [
        "images=OUTSIDE/stack.mrcs",
        "truth=OUTSIDE/truth.xyz",
        "out=ROOT/results/run_1",
        "pixel_size=0.25",
        "species=Fe,Pt",
        "diameter=15",
        "first_low_pass=3.3",
        "starts=1",
    ];
    let run = place.run_file(&script.to_string_lossy(), &arguments);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("124 of 124 atoms found"), "{}", run.stdout);
    for name in ["atoms.xyz", "run.h5", "summary.json", "density.png"] {
        assert!(place.path("results/run_1").join(name).is_file(), "{name}");
    }
    assert!(fs::read_dir(place.path("work")).unwrap().all(|entry| entry.unwrap().file_name() != "out"));
}
