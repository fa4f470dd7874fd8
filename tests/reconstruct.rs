//! The contract of scripts/reconstruct.rhai: what it writes, what it refuses, and that threads change nothing.

mod common;
#[path = "common/h5.rs"]
mod h5;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::{Run, pedesis};
use h5::datasets;
use tempfile::TempDir;

/// The script of this repository.
fn script() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reconstruct.rhai").to_string_lossy().into_owned()
}

/// A folder with `stack.mrcs`, 280 kinematic images of 80 pixels of 0.25 Å, and `truth.xyz`; made once for all tests.
fn input() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let text = r#"
            let truth = structure::bundled("fept_1.5nm");
            truth.save("truth.xyz");
            let raw = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 280, size: 80, seed: 3 });
            raw.invert().normalize().add_noise(#{ snr: 2.0, seed: 4 }).save("stack.mrcs");
        "#;
        let folder = common::folder_with("make.rhai", text);
        let run: Run = pedesis(folder.path()).args(["run", "make.rhai"]).output().expect("the binary starts").into();
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        folder
    });
    folder.path()
}

/// Runs the script in `folder` on the common stack; `changes` replace arguments of a good run or add to them.
fn reconstruct(folder: &Path, changes: &[(&str, &str)]) -> Run {
    let stack = input().join("stack.mrcs").to_string_lossy().into_owned();
    let mut arguments = vec![
        ("images", stack.as_str()),
        ("pixel_size", "0.25"),
        ("species", "Fe,Pt"),
        ("diameter", "15"),
        ("out", "out"),
        ("first_low_pass", "3.3"),
        ("starts", "1"),
    ];
    for change in changes {
        arguments.retain(|(name, _)| name != &change.0);
        arguments.push(*change);
    }
    let pairs: Vec<String> = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pedesis(folder).arg("run").arg(script()).args(&pairs).output().expect("the binary starts").into()
}

/// The run with these changes fails with `status`, says all of `parts`, does not panic, and leaves no result behind.
fn assert_refused(changes: &[(&str, &str)], status: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let run = reconstruct(folder.path(), changes);
    assert_eq!(run.status, Some(status), "{changes:?}: {}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{changes:?}: no {part:?} in\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let left: Vec<PathBuf> = std::fs::read_dir(folder.path().join("out"))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    assert!(left.is_empty(), "{changes:?} left {left:?}");
}

#[test]
fn a_missing_stack_is_refused() {
    assert_refused(&[("images", "nowhere.mrcs")], 1, &["nowhere.mrcs"]);
}

#[test]
fn a_pixel_size_that_is_not_positive_is_refused() {
    assert_refused(&[("pixel_size", "0")], 1, &["pixel"]);
    assert_refused(&[("pixel_size", "-0.25")], 1, &["pixel"]);
}

#[test]
fn a_pixel_size_that_is_not_a_number_is_the_fault_of_the_command_line() {
    assert_refused(&[("pixel_size", "abc")], 2, &["pixel_size=abc"]);
}

#[test]
fn a_diameter_that_is_not_positive_is_refused() {
    assert_refused(&[("diameter", "0")], 1, &["diameter must be a positive"]);
    assert_refused(&[("diameter", "-15")], 1, &["diameter must be a positive"]);
}

#[test]
fn a_diameter_larger_than_the_box_is_refused() {
    assert_refused(&[("diameter", "18")], 1, &["18", "20.0 Å", "wider field"]);
}

#[test]
fn a_limit_finer_than_two_pixels_is_refused() {
    assert_refused(&[("low_pass", "0.4")], 1, &["0.4 Å", "two pixels"]);
    assert_refused(&[("first_low_pass", "0.3")], 1, &["0.3 Å"]);
}

#[test]
fn a_misspelt_argument_is_the_fault_of_the_command_line() {
    assert_refused(&[("diametr", "15")], 2, &["diametr", "diameter"]);
    assert_refused(&[("strategy", "twostep")], 2, &["two_step"]);
}

#[test]
fn a_misspelt_option_of_a_strategy_is_named() {
    let text = r#"
        import "two_step" as two_step;
        let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
        two_step::reconstruct(raw.invert(), #{ diametre: 15 });
    "#;
    let run = common::run_script(text, &[]);
    assert_eq!(run.status, Some(1));
    for part in ["unknown option \"diametre\"", "did you mean \"diameter\"?"] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn unknown_and_repeated_species_are_refused() {
    assert_refused(&[("species", "Fe,Xx")], 1, &["Xx"]);
    assert_refused(&[("species", "Fe,Fe")], 1, &["Fe"]);
    assert_refused(&[("species", "Fe,Pt,Pd,Au")], 1, &["three"]);
}

#[test]
fn a_lattice_without_its_constants_is_refused() {
    assert_refused(&[("strategy", "single_step"), ("lattice", "fcc")], 1, &["a=…"]);
    assert_refused(&[("strategy", "single_step"), ("lattice", "wurtzite"), ("a", "4.3")], 1, &["c=…"]);
    assert_refused(&[("strategy", "single_step")], 1, &["lattice="]);
    assert_refused(&[("lattice", "find"), ("a", "3.8")], 1, &["known lattice"]);
}

#[test]
fn a_microscope_that_cannot_be_or_is_not_asked_for_is_refused_before_the_long_work() {
    assert_refused(&[("defocus", "50")], 1, &["multislice=true"]);
    assert_refused(&[("multislice", "true"), ("cell_height", "-5")], 1, &["cell_height"]);
}

#[test]
fn the_wrong_contrast_is_refused_and_the_argument_named() {
    assert_refused(&[("contrast", "black")], 1, &["contrast=white"]);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_refused() {
    assert_refused(&[("out", "/proc/nowhere")], 1, &["/proc/nowhere"]);
}

#[test]
fn a_first_limit_too_coarse_and_no_start_at_all_are_refused() {
    assert_refused(&[("first_low_pass", "100")], 1, &["100 Å", "at most"]);
    assert_refused(&[("starts", "0")], 1, &["at least 1"]);
    assert_refused(&[("diameter", "1.5")], 1, &["1.5 nm"]);
}

#[test]
fn images_that_were_masked_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(input().join("stack.mrcs")).unwrap();
    // image 5 keeps a few pixels in its middle only
    let (header, pixels) = (1024, 80 * 80);
    for (i, value) in bytes[header + 5 * pixels * 4..][..pixels * 4].iter_mut().enumerate() {
        if !(3230..3250).contains(&(i / 4)) {
            *value = 0;
        }
    }
    let masked = folder.path().join("masked.mrcs");
    std::fs::write(&masked, &bytes).unwrap();
    assert_refused(&[("images", &masked.to_string_lossy())], 1, &["image 5", "flat outside"]);
}

#[test]
fn a_truth_that_cannot_be_read_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.xyz");
    std::fs::write(&truth, "not a structure").unwrap();
    let run = reconstruct(folder.path(), &[("truth", &truth.to_string_lossy())]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("truth.xyz"), "{}", run.stderr);
    for name in ["atoms.xyz", "run.h5", "summary.json", "intensity.png"] {
        assert!(folder.path().join("out").join(name).is_file(), "no {name}");
    }
}

#[test]
fn a_truncated_stack_is_refused() {
    let bytes = std::fs::read(input().join("stack.mrcs")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.mrcs");
    std::fs::write(&short, &bytes[..bytes.len() - 1000]).unwrap();
    assert_refused(&[("images", &short.to_string_lossy())], 1, &["short.mrcs", "bytes"]);
}

#[test]
fn results_are_complete_and_the_same_bits_on_any_number_of_threads() {
    let truth = input().join("truth.xyz").to_string_lossy().into_owned();
    let runs: Vec<TempDir> = ["1", "2", "3", "7"]
        .into_iter()
        .map(|threads| {
            let folder = tempfile::tempdir().unwrap();
            let changes = [("threads", threads), ("truth", &truth), ("out", "a/b"), ("low_pass", "1.6")];
            let run = reconstruct(folder.path(), &changes);
            assert_eq!(run.status, Some(0), "{threads} threads: {}", run.stderr);
            assert!(run.stdout.contains("against the truth"), "{}", run.stdout);
            folder
        })
        .collect();
    let out = runs[0].path().join("a/b");
    let pictures = ["images", "density", "fsc", "intensity", "sections", "spheres", "residuals", "atoms"];
    let pictures = pictures.map(|name| format!("{name}.png"));
    let others = ["report.html", "atoms.xyz", "run.h5", "summary.json"].map(str::to_owned);
    for name in others.iter().chain(&pictures) {
        assert!(out.join(name).is_file(), "no {name}");
    }
    let atoms = std::fs::read_to_string(out.join("atoms.xyz")).unwrap();
    let rows: Vec<&str> = atoms.lines().skip(2).collect();
    assert!(!rows.is_empty());
    for row in &rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        assert!(words[0] == "Fe" || words[0] == "Pt", "{row}");
        assert!(words[1..4].iter().all(|word| word.parse::<f64>().is_ok()), "{row}");
    }
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["atoms"]["Fe"].as_u64().unwrap() + summary["atoms"]["Pt"].as_u64().unwrap(), rows.len() as u64);
    assert!(summary["comparison"]["found"].is_u64(), "{summary}");
    assert!(summary["wall_seconds"].is_number() && summary["cpu_seconds"].is_number());

    for folder in &runs[1..] {
        for name in ["volume", "half_1", "half_2", "fsc", "poses", "atoms", "first"] {
            let read = |folder: &TempDir| datasets(&folder.path().join("a/b/run.h5"), name);
            assert_eq!(read(&runs[0]), read(folder), "{name} depends on the number of threads");
        }
    }
}

/// A kinematic stack of `size` pixels saved as `stack.mrcs` in a folder of its own.
fn other_input(size: usize) -> TempDir {
    let text = format!(
        r#"
        let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{{ cell_height: 50 }}), #{{ method: "kinematic", n: 280, size: {size} }});
        raw.normalize().add_noise(#{{ snr: 4.0, seed: 4 }}).save("stack.mrcs");
    "#
    );
    let folder = common::folder_with("make.rhai", &text);
    let run: Run = pedesis(folder.path()).args(["run", "make.rhai"]).output().expect("the binary starts").into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    folder
}

#[test]
fn boxes_of_odd_size_and_dark_atoms_are_read_as_they_are() {
    let folder = other_input(81);
    let stack = folder.path().join("stack.mrcs").to_string_lossy().into_owned();
    let summary = |contrast| {
        let changes = [("images", stack.as_str()), ("contrast", contrast), ("out", contrast), ("low_pass", "1.6")];
        let run = reconstruct(folder.path(), &changes);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        std::fs::read_to_string(folder.path().join(contrast).join("atoms.xyz")).unwrap()
    };
    // atoms are dark as the simulator makes them: both ways of turning them white give the same atoms
    let atoms = |text: String| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(atoms(summary("auto")), atoms(summary("black")));
    assert_refused(&[("images", &stack), ("contrast", "white")], 1, &["contrast=black"]);
}

#[test]
fn a_second_run_into_the_same_folder_leaves_nothing_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let truth = truth_as_json(folder.path());
    let first = reconstruct(folder.path(), &[("truth", &truth), ("low_pass", "1.6")]);
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    assert!(first.stdout.contains("against the truth"), "{}", first.stdout);
    let out = folder.path().join("out");
    std::fs::write(out.join("mine.txt"), "a file of the user").unwrap();
    let second = reconstruct(folder.path(), &[("seed", "2"), ("low_pass", "1.6")]);
    assert_eq!(second.status, Some(0), "{}", second.stderr);
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["seed"], 2);
    assert!(summary.get("comparison").is_none(), "{summary}");
    assert!(!out.join("atoms.png").exists(), "the picture of the first run's comparison is still there");
    assert!(out.join("mine.txt").is_file());
}

/// The truth of the common stack in the form of the JSON files beside simulated stacks.
fn truth_as_json(folder: &Path) -> String {
    let text = std::fs::read_to_string(input().join("truth.xyz")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|row| row.split_whitespace().collect()).collect();
    let positions: Vec<Vec<f64>> =
        rows.iter().map(|row| row[1..4].iter().map(|word| word.parse().unwrap()).collect()).collect();
    let species: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let path = folder.join("truth.json");
    std::fs::write(&path, serde_json::json!({ "atoms_A": positions, "species": species }).to_string()).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn graphene_is_taken_off_unless_it_is_to_stay() {
    let text = r#"
        let particle = structure::bundled("fept_1.5nm");
        let scope = microscope::paper(#{ cell_height: 30 });
        let frame = #{ method: "multislice", n: 1, size: 120, seed: 3, slice_thickness: 2, configurations: 1, spread: "envelope" };
        let cell = cell::build(#{ size: [30, 30, 30], graphene: #{ rotation: 17 } });
        let sheet = microscope::simulate(particle, scope, frame + #{ cell: cell }).minus(microscope::simulate(particle, scope, frame));
        let images = microscope::simulate(particle, scope, #{ method: "kinematic", n: 40, size: 120, seed: 3 });
        images = images.minus(sheet.select((0..40).map(|i| 0)).invert());
        images.invert().normalize().add_noise(#{ snr: 2.0, seed: 4 }).save("stack.mrcs");
    "#;
    let folder = common::folder_with("make.rhai", text);
    let run: Run = pedesis(folder.path()).args(["run", "make.rhai"]).output().expect("the binary starts").into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    // a first limit that is refused ends the run when this is done; the coarsest one is by the measured diameter, which graphene enlarges
    let stopped = [("images", "stack.mrcs"), ("first_low_pass", "20")];
    let taken_off = reconstruct(folder.path(), &stopped);
    assert!(
        taken_off.stdout.contains("sheets of graphene found and subtracted: 1\n"),
        "{}{}",
        taken_off.stdout,
        taken_off.stderr
    );
    let left = reconstruct(folder.path(), &[&stopped[..], &[("graphene", "false")]].concat());
    assert!(!left.stdout.contains("graphene"), "{}", left.stdout);
    assert!(taken_off.stderr.contains("at most 6.0 Å"), "{}", taken_off.stderr);
    assert!(left.stderr.contains("at most 7.5 Å"), "{}", left.stderr);
}

#[test]
fn where_nothing_comes_near_the_particle_patient_starts_follow_nearer_to_the_lattice() {
    // far too few and too noisy images to find anything
    let text = r#"
        import "two_step" as two_step;
        let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 24, size: 80, seed: 1 });
        let images = raw.invert().normalize().add_noise(#{ snr: 0.1, seed: 1 });
        let run = two_step::reconstruct(images, #{ diameter: 15, low_pass: 2.4, method: "hill_climbing", starts: 1, patient: 1 });
        for start in run.starts { print(start.low_pass); }
        print(run.unexplained);
    "#;
    let run = common::run_script(text, &[]);
    let numbers: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    let [limits @ .., patient, again, unexplained] = &numbers[..] else { panic!("{} {}", run.stdout, run.stderr) };
    assert!(*unexplained > 0.2, "the case is hopeless: {numbers:?}");
    assert_eq!((*patient, *again), (2.4, 2.4), "one of each half, at no finer limit than was asked for: {numbers:?}");
    assert!(limits.len() >= 4 && limits.iter().all(|limit| limit > patient), "{numbers:?}");
}

#[test]
fn images_in_a_wrong_place_are_found_again_in_the_density_that_they_spoil() {
    // most of them turned at random, and out of the centre too
    let text = r#"
        import "marching" as marching;
        let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 50 }), #{
            method: "kinematic", n: 150, size: 80, max_shift: 0.8, seed: 3,
        }).invert().normalize().add_noise(#{ snr: 1.0, seed: 4 });
        let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
        let right = images.true_poses();
        let poses = right.replaced((0..90).map(|i| i), orient::random(90, 5));
        let map = volume::reconstruct(particles, poses, #{ low_pass: 3.3 });
        let run = marching::march(particles, map, poses, 3.3, 2.0);
        let found = [1.0, 0.25].map(|share| marching::settle(particles, run, 3.3, 2.0, share).poses);
        for poses in [run.poses] + found { print(orient::errors(poses, right).within_5); }
    "#;
    let run = common::run_script(text, &[]);
    let shares: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    let [before, all_tried, worst_tried] = shares[..] else { panic!("{} {}", run.stdout, run.stderr) };
    assert!(before < 0.5 && all_tried > 0.9 && worst_tried > 0.9, "{shares:?}");
}

#[test]
fn a_failed_run_claims_no_atoms() {
    // forty images in the paper's nearly focused geometry are too few to find anything
    let folder = common::folder_with(
        "make.rhai",
        r#"
            let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 40, size: 80, seed: 3 });
            raw.invert().normalize().add_noise(#{ snr: 1.0, seed: 4 }).save("stack.mrcs");
        "#,
    );
    let made: Run = pedesis(folder.path()).args(["run", "make.rhai"]).output().expect("the binary starts").into();
    assert_eq!(made.status, Some(0), "{}", made.stderr);
    let run = reconstruct(folder.path(), &[("images", &folder.path().join("stack.mrcs").to_string_lossy())]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let out = folder.path().join("out");
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["verdict"], "failed", "{summary}");
    assert!(summary["atoms"].as_object().unwrap().is_empty() && !out.join("atoms.xyz").exists(), "{summary}");
    assert!(run.stderr.contains("failed") && out.join("density.png").is_file(), "{}", run.stderr);
}

#[test]
fn a_diameter_that_is_wrong_by_15_percent_prepares_the_same_particles() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let raw = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 40, seed: 3 });
        let images = raw.invert().normalize().add_noise(#{ snr: 0.5, seed: 4 });
        let small = images.prepare(#{ diameter: 0.85 * 15.1, low_pass: 2 });
        let large = images.prepare(#{ diameter: 1.15 * 15.1, low_pass: 2 });
        let given = images.prepare(#{ diameter: 20, tolerance: 0, low_pass: 2 });
        print(`${small.diameter()} ${large.diameter()} ${given.diameter()} ${small.first_peak() - large.first_peak()}`);
    "#;
    let run = common::run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let numbers: Vec<f64> = run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [small, large, given, difference] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!((small, given, difference), (large, 20.0, 0.0), "{numbers:?}");
    assert!((small - 15.1).abs() < 1.5, "{numbers:?}");
}

#[test]
fn refined_atoms_decide_where_starts_leave_a_doubt_and_bring_lost_images_back() {
    // Poses that are right, of which a quarter belong to other images, and of which nearly all do.
    let script = r#"
        import "report" as report;
        let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 50 }), #{
            method: "kinematic", n: 120, size: 80, seed: 3,
        }).invert().normalize().add_noise(#{ snr: 1.0, seed: 4 });
        let particles = images.prepare(#{ diameter: 15, low_pass: 1.2 });
        let right = images.true_poses();
        for tried in [[120, "doubtful"], [90, "doubtful"], [10, "converged"]] {
            let kept = tried[0];
            let poses = right.select((0..120).map(|i| if i < kept { i } else { 119 + kept - i }));
            let run = volume::reconstruct(particles, poses, #{ low_pass: 1.2 });
            run += #{ poses: poses, particles: particles, coverage: orient::coverage(poses), verdict: tried[1], reasons: ["starts"], low_pass: 1.2 };
            let found = report::modelled(images, run, #{ species: ["Fe", "Pt"] });
            print(`${found.verdict};${orient::errors(found.run.poses, right).within_5};${found.doubts.len()}`);
        }
    "#;
    let run = common::run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let rows: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split(';').collect()).collect();
    let verdicts: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(verdicts, ["converged", "converged", "doubtful"], "{}", run.stdout);
    let right: Vec<f64> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
    assert!(right[0] > 0.98 && right[1] > 0.98 && right[2] < 0.5, "{}", run.stdout);
}
