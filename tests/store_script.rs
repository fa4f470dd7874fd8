//! Files as scripts read and write them, through the real binary; and what is left when the disk is full.

mod common;

use std::fs;
use std::path::Path;

use common::{Run, folder_with, pedesis, run_script};
use pedesis::store::{self, Value};

/// Runs a script in `folder`.
fn run(folder: &Path, text: &str, arguments: &[&str]) -> Run {
    fs::write(folder.join("script.rhai"), text).unwrap();
    pedesis(folder).args(["run", "script.rhai"]).args(arguments).output().unwrap().into()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_script_reads_back_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        let atoms = structure::bundled("fept_1.5nm");
        let written = #{
            atoms: atoms, count: 3, share: 0.5, good: true, note: "Å", none: (), curve: [1.0, 0.5], seeds: [1, 2],
            species: ["Fe", "Pt"], mixed: [1, "a", [()]], matrix: [[1, 2], [3, 4.5]], runs: [#{ rmsd: 1.5 }],
            nested: #{ table: table::from_rows(["name", "x"], [["a", 1], ["b", ()]]) },
        };
        store::write("run.h5", written);
        let read = store::read("run.h5");
        print(read.atoms.len() == atoms.len());
        print(store::structure("run.h5").len());
        read.remove("atoms");
        print(read);
        print(read.nested.table.rows());
    "#;
    let run = run(folder.path(), script, &[]);
    let expected = [
        "true",
        "124",
        r##"#{"count": 3, "curve": [1.0, 0.5], "good": true, "matrix": [[1.0, 2.0], [3.0, 4.5]], "mixed": [1, "a", [()]], "nested": #{"table": Table}, "none": (), "note": "Å", "runs": [#{"rmsd": 1.5}], "seeds": [1, 2], "share": 0.5, "species": ["Fe", "Pt"]}"##,
        r##"[#{"name": "a", "x": 1.0}, #{"name": "b", "x": ()}]"##,
    ];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected, "{}", run.stderr);
}

#[test]
fn the_values_of_a_whole_run_fit_into_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 20, size: 100 }).invert();
        let particles = images.prepare(#{ diameter: 15, low_pass: 2 });
        let run = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 2 });
        run.particles = particles;
        let atoms = model::trace(run.volume, #{ species: ["Fe", "Pt"] });
        store::write("run.h5", #{ images: images, run: run, atoms: atoms, comparison: atoms.compare(truth) });
        let read = store::read("run.h5");
        print(read.run.particles.len() == 20 && read.run.halves.len() == 2 && read.atoms.atoms.len() == atoms.len());
    "#;
    let run = run(folder.path(), script, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "true\n"), "{}", run.stderr);
}

#[test]
fn a_run_file_says_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"let a = args(#{ seed: 1, out: "run.h5" }); store::write(a.out, #{ x: 1 });"#;
    let run = run(folder.path(), script, &["seed=7"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let contents = store::read_h5(&folder.path().join("run.h5")).unwrap();
    assert_eq!(contents.values["x"], Value::Integer(1));
    let provenance = contents.provenance.unwrap();
    assert_eq!((provenance.script.as_str(), provenance.script_path.as_str()), (script, "script.rhai"));
    assert_eq!(provenance.arguments, serde_json::json!({ "seed": 7, "out": "run.h5" }));
    assert_eq!((provenance.seed, provenance.version.as_str()), (Some(7), env!("CARGO_PKG_VERSION")));
    assert!(provenance.start <= provenance.end && provenance.start.starts_with("20"), "{}", provenance.start);
}

#[test]
fn json_has_null_for_numbers_that_it_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), r#"store::write_json("s.json", #{ a: [1, 0.5, 0.0/0.0], b: #{ c: () } });"#, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let text = fs::read_to_string(folder.path().join("s.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json, serde_json::json!({ "a": [1, 0.5, null], "b": { "c": null } }));
}

#[test]
fn faults_are_located_in_the_script_and_leave_no_file() {
    let faults = [
        (r#"store::images("script.rhai");"#, "script.rhai is not an MRC file"),
        (r#"store::images("none.mrcs");"#, "cannot read none.mrcs: No such file"),
        (r#"store::images("none.mrcs", #{ pixelsize: 1 });"#, "did you mean \"pixel_size\"?"),
        (
            r#"store::images("script.rhai", #{ pixel_size: 0 });"#,
            "the pixel size must be a positive number of Å, got 0",
        ),
        (r#"store::read("script.rhai");"#, "cannot read script.rhai: it is not an HDF5 file"),
        (r#"store::write("no/run.h5", #{});"#, "there is no folder no; make it first"),
        (r#"store::write("run.h5", #{ a: [1, |x| x] });"#, "a: item 1: a closure cannot be stored"),
        (r#"store::write("run.h5", #{ "a/b": 1 });"#, "\"a/b\" cannot name a value in a file"),
        (
            r#"store::write_json("s.json", #{ a: #{ b: structure::bundled("fept_1.5nm") } });"#,
            "a: b: JSON cannot hold a Structure",
        ),
        (r#"structure::bundled("fept_1.5nm").save("a.png");"#, "a.png: the name must end in .xyz, .pdb, .cif or .h5"),
    ];
    for (call, message) in faults {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), &format!("// a line before\n{call}"), &[]);
        assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
        assert!(run.stderr.contains(message) && run.stderr.contains("script.rhai:2:"), "{call}: {}", run.stderr);
        assert_eq!(names(folder.path()), ["script.rhai"], "{call}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // Not even the superuser can make a file here.
    let run = run_script(r#"store::write("/proc/run.h5", #{ x: 1 });"#, &["--allow-write", "/proc"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("cannot write /proc/run.h5: "), "{}", run.stderr);
    assert!(!run.stderr.contains(".part"), "{}", run.stderr);
}

/// A limit on the size of files is to the program what a full disk is: a write fails half way.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_with_one_clear_error_and_the_last_complete_file() {
    let writes = [
        ("run.h5", r#"store::write("run.h5", #{ atoms: particle, more: [particle, particle] });"#),
        ("run.xyz", r#"particle.save("run.xyz");"#),
        ("run.json", r#"store::write_json("run.json", #{ text: particle.to_xyz() });"#),
    ];
    for (name, write) in writes {
        let script = format!("let particle = structure::bundled(\"pbse_2.5nm\");\n{write}");
        let folder = folder_with("script.rhai", &script);
        fs::write(folder.path().join(name), "the last complete file").unwrap();
        // Blocks of 512 bytes; the signal that comes with the error would end the program.
        let command = format!("trap '' XFSZ; ulimit -f 16; exec '{}' run script.rhai", env!("CARGO_BIN_EXE_pedesis"));
        let mut shell = std::process::Command::new("sh");
        let run: Run = shell.current_dir(folder.path()).args(["-c", &command]).output().unwrap().into();
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("cannot write {name}: File too large")), "{}", run.stderr);
        assert!(run.stderr.contains("script.rhai:2:"), "{}", run.stderr);
        for noise in ["panicked", "HDF5-DIAG", ".part"] {
            assert!(!run.stderr.contains(noise), "{}", run.stderr);
        }
        assert_eq!(names(folder.path()), [name, "script.rhai"]);
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "the last complete file");
    }
}
