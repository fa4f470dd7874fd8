//! `pedesis run run.h5`: what a file remembers is enough to make it again, to the bit.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{Run, pedesis, run_script};
use pedesis::store::{self, Digest, Provenance, read_h5};
use pedesis::task::Task;
use tempfile::TempDir;

/// Imports modules at its beginning, at its end when results are written, and where another module is.
const SCRIPT: &str = r#"import "lib" as lib;
let a = args(#{ images: required("file"), seed: 1, out: "out", stop: false, sweep: false });
if a.stop { fail("stopped as asked") }
path::make_dirs(a.out);
let stack = lib::noisy(store::images(a.images), a.seed);
stack.save(a.out + "/own.mrcs");
let own = store::images(a.out + "/own.mrcs");

let rows = [[a.seed, own.len()]];
if a.sweep {
    let t = sweep::grid(#{ snr: [0.5, 1.0] }, |p| {
        import "in_point" as in_point;
        in_point::of(stack.add_noise(#{ snr: p.snr, seed: 3 }))
    });
    t.save(a.out + "/sweep.csv");
}
table::from_rows(["seed", "images"], rows).save(a.out + "/table.csv");
store::write(a.out + "/run.h5", #{ stack: stack, own: own, numbers: [0.1 * a.seed, 1.0 / 3.0] });
import "late" as late;
print(late::word());
"#;
const LIB: &str = r#"fn noisy(images, seed) {
    import "deep/snr" as snr;
    images.invert().normalize().add_noise(#{ snr: snr::value(), seed: seed })
}
"#;
const MODULES: [(&str, &str); 5] = [
    ("lib.rhai", LIB),
    ("deep/snr.rhai", "fn value() { import \"../base\" as base; base::half() * 3.0 }\n"),
    ("base.rhai", "fn half() { 0.5 }\n"),
    ("late.rhai", "fn word() { \"done\" }\n"),
    ("in_point.rhai", "fn of(images) { import \"base\" as base; #{ x: images.len() * base::half() } }\n"),
];

fn run(folder: &Path, arguments: &[&str]) -> Run {
    pedesis(folder).arg("run").args(arguments).output().expect("the binary starts").into()
}

/// A folder with `scripts/run.rhai`, its modules, `stack.mrcs` and what a run with `more` has left in `out`.
fn place(more: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir_all(folder.path().join("scripts/deep")).unwrap();
    script("scripts/run.rhai", SCRIPT);
    MODULES.iter().for_each(|(name, text)| script(&format!("scripts/{name}"), text));
    script(
        "make.rhai",
        r#"microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 6, size: 64, seed: 3 }).save("stack.mrcs");"#,
    );
    assert_done(&run(folder.path(), &["make.rhai"]), "");
    let arguments = ["scripts/run.rhai", "images=stack.mrcs", "seed=5"];
    assert_done(&run(folder.path(), &[&arguments[..], more].concat()), "done\n");
    folder
}

fn assert_done(run: &Run, stdout: &str) {
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), stdout), "{}", run.stderr);
}

fn assert_refused(run: &Run, parts: &[&str]) {
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{part:?} is not in: {}", run.stderr);
    }
    assert!(!run.stderr.contains("repeating"), "{}", run.stderr);
}

/// Digests of all values of a file: no two that differ in one bit are equal.
fn values(file: &Path) -> Vec<(String, String)> {
    let values = read_h5(file).unwrap().values;
    assert_eq!(values.len(), 3);
    values.iter().map(|(name, value)| (name.clone(), Digest::of(value))).collect()
}

fn provenance(file: &Path) -> Provenance {
    store::read_provenance(file).unwrap().unwrap()
}

fn assert_same_results(folder: &Path, one: &str, other: &str, files: &[&str]) {
    let at = |out: &str, name: &str| folder.join(out).join(name);
    assert_eq!(values(&at(one, "run.h5")), values(&at(other, "run.h5")));
    for name in files {
        assert_eq!(fs::read(at(one, name)).unwrap(), fs::read(at(other, name)).unwrap(), "{name}");
    }
}

#[test]
fn a_run_is_repeated_to_the_bit_without_its_script() {
    let folder = place(&[]);
    let path = folder.path();
    fs::remove_dir_all(path.join("scripts")).unwrap();
    let first = path.join("out/run.h5");
    let again = run(path, &["out/run.h5", "out=again", "--threads", "1"]);
    assert_done(&again, "done\n");
    let day = &provenance(&first).start[..10];
    let said = format!("repeating scripts/run.rhai of {day} with images=stack.mrcs seed=5 out=again\n");
    assert!(again.stderr.contains(&said) && !again.stderr.contains("warning"), "{}", again.stderr);
    // and what was repeated can be, under a name that says nothing
    fs::rename(path.join("again/run.h5"), path.join("renamed")).unwrap();
    assert_done(&run(path, &["renamed", "out=third"]), "done\n");
    fs::rename(path.join("renamed"), path.join("again/run.h5")).unwrap();
    for other in ["again", "third"] {
        assert_same_results(path, "out", other, &["own.mrcs", "table.csv"]);
        let (first, other) = (provenance(&first), provenance(&path.join(other).join("run.h5")));
        assert_eq!(
            (&first.script, &first.script_path, &first.modules),
            (&other.script, &other.script_path, &other.modules)
        );
        assert_eq!((&first.options, &first.inputs, first.seed), (&other.options, &other.inputs, Some(5)));
    }
    // another seed gives other bits, so that the comparison can fail
    assert_done(&run(path, &["out/run.h5", "out=other", "seed=6"]), "done\n");
    assert_ne!(values(&first), values(&path.join("other/run.h5")));
    // in its own place too
    let before = values(&first);
    assert_done(&run(path, &["out/run.h5"]), "done\n");
    assert_eq!(values(&first), before);
}

#[test]
fn a_file_keeps_what_a_run_needs_and_info_shows_it() {
    let folder = place(&[]);
    let path = folder.path();
    let kept = provenance(&path.join("out/run.h5"));
    assert_eq!(kept.script, SCRIPT);
    let modules: Vec<(&str, &str)> = kept.modules.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    for (name, text) in MODULES {
        let found =
            modules.iter().filter(|(kept, _)| path.join(kept).canonicalize().is_ok_and(|file| file.ends_with(name)));
        assert!(found.clone().count() > 0 && found.clone().all(|(_, kept)| *kept == text), "{name} in {modules:?}");
    }
    let given = kept.given.unwrap();
    assert_eq!(given.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["images=stack.mrcs", "seed=5"]);
    assert_eq!(kept.inputs.keys().collect::<Vec<_>>(), ["stack.mrcs"]);
    let digest = Digest::of_file(&path.join("stack.mrcs"), &Task::silent()).unwrap();
    assert_eq!(kept.inputs["stack.mrcs"], digest);
    // BLAKE3 of nothing, as published with its test vectors
    fs::write(path.join("empty"), "").unwrap();
    let nothing = Digest::of_file(&path.join("empty"), &Task::silent()).unwrap();
    assert_eq!(nothing, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    let info: Run = pedesis(path).args(["info", "out/run.h5"]).output().unwrap().into();
    for line in [format!("input          stack.mrcs, BLAKE3 {digest}"), "module         scripts/lib.rhai".into()] {
        assert!(info.stdout.contains(&format!("\n  {line}\n")), "{line} is not in: {}", info.stdout);
    }
}

/// What would be read if it were there decides results too, but not what a script has written itself.
#[test]
fn a_file_that_was_not_there_is_an_input() {
    let text = "try { table::read(\"none.csv\"); } catch { } store::write(\"run.h5\", #{ a: 1 }); print(store::info(\"run.h5\")); store::write(\"two.h5\", #{}); print(store::info(\"two.h5\"));";
    let run = run_script(text, &[]);
    assert_eq!(run.stdout.matches("\n  input          none.csv, which was not there\n").count(), 2, "{}", run.stdout);
    assert_eq!(run.stdout.matches("\n  input ").count(), 2, "{}", run.stdout);
}

#[test]
fn inputs_must_be_what_they_were() {
    let folder = place(&[]);
    let path = folder.path();
    let refused = |arguments: &[&str], parts: &[&str]| {
        assert_refused(&run(path, &[&["out/run.h5", "out=again"], arguments].concat()), parts);
        assert!(!path.join("again").exists());
    };
    let stack = path.join("stack.mrcs");
    let whole = fs::read(&stack).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&stack, &changed).unwrap();
    let digest = Digest::of_file(&stack, &Task::silent()).unwrap();
    refused(&[], &["out/run.h5 cannot be repeated: its input stack.mrcs has changed", &digest[..16], "images=…"]);
    fs::rename(&stack, path.join("moved.mrcs")).unwrap();
    refused(&[], &["its input stack.mrcs is not there", "images=…"]);
    let moved = run(path, &["out/run.h5", "out=again", "images=moved.mrcs"]);
    assert_done(&moved, "done\n");
    fs::remove_dir_all(path.join("again")).unwrap();
    fs::write(&stack, &whole).unwrap();
    assert_done(&run(path, &["out/run.h5", "out=again"]), "done\n");
}

#[test]
fn sweeps_are_repeated_by_workers() {
    let folder = place(&["sweep=true", "--workers", "2"]);
    let path = folder.path();
    fs::remove_dir_all(path.join("scripts")).unwrap();
    assert_done(&run(path, &["out/run.h5", "out=again", "--workers", "2"]), "done\n");
    assert_done(&run(path, &["out/run.h5", "out=alone", "--resume"]), "done\n");
    for other in ["again", "alone"] {
        assert_same_results(path, "out", other, &["sweep.csv"]);
    }
    assert!(fs::read_to_string(path.join("out/sweep.csv")).unwrap().contains("1.0,3.0"));
}

#[test]
fn faults_are_at_the_lines_of_the_script_that_was() {
    let folder = place(&[]);
    // modules that lie there now are others
    fs::write(folder.path().join("scripts/lib.rhai"), "fail(\"from the disk\")").unwrap();
    let stopped = run(folder.path(), &["out/run.h5", "stop=true"]);
    assert_eq!(stopped.status, Some(1));
    assert!(
        stopped.stderr.contains("stopped as asked") && stopped.stderr.contains("scripts/run.rhai:3:"),
        "{}",
        stopped.stderr
    );
    let unknown = run(folder.path(), &["out/run.h5", "sed=2"]);
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.stderr.contains("did you mean \"seed\""), "{}", unknown.stderr);
}

#[test]
fn files_that_hold_no_run_are_refused() {
    let folder = place(&[]);
    let path = folder.path();
    let whole = fs::read(path.join("out/run.h5")).unwrap();
    for (length, part) in
        [(0, "is not an HDF5 file"), (6, "is not an HDF5 file"), (100, "damaged"), (whole.len() / 2, "damaged")]
    {
        fs::write(path.join("cut.h5"), &whole[..length]).unwrap();
        assert_refused(&run(path, &["cut.h5"]), &["cut.h5", part]);
    }
    hdf5::File::create(path.join("other.h5")).unwrap();
    assert_refused(&run(path, &["other.h5"]), &["other.h5 cannot be repeated: it does not say what made it"]);
    let values = std::collections::BTreeMap::new();
    let library = path.join("library.h5");
    store::write_h5(&library, &values, &Provenance::default(), &pedesis::task::Task::silent()).unwrap();
    assert_refused(&run(path, &["library.h5"]), &["it holds no script"]);
    let old = path.join("out/run.h5");
    let file = hdf5::File::open_rw(&old).unwrap();
    file.group("provenance").unwrap().delete_attr("given").unwrap();
    file.close().unwrap();
    assert_refused(&run(path, &["out/run.h5"]), &["by a version that did not keep all"]);
    assert_refused(&run(path, &["none.h5"]), &["cannot read the script none.h5"]);
}

#[test]
fn what_is_written_at_the_prompt_is_no_script() {
    let folder = place(&[]);
    let path = folder.path();
    let mut prompt = pedesis(path).stdin(Stdio::piped()).spawn().unwrap();
    let lines = b":load out/run.h5\nstore::write(\"typed.h5\", #{ a: 1 });\nprint(40 + 2)\n";
    prompt.stdin.take().unwrap().write_all(lines).unwrap();
    let typed: Run = prompt.wait_with_output().unwrap().into();
    assert!(typed.status == Some(0) && typed.stdout.contains("42"), "{}", typed.stderr);
    assert!(typed.stderr.contains("cannot read the script out/run.h5"), "{}", typed.stderr);
    assert_refused(&run(path, &["typed.h5"]), &["typed.h5 cannot be repeated: it was written at the prompt", ":save"]);
}

#[test]
fn another_version_is_told() {
    let folder = place(&[]);
    let file = hdf5::File::open_rw(folder.path().join("out/run.h5")).unwrap();
    let origin = file.group("provenance").unwrap();
    origin.delete_attr("version").unwrap();
    let version: hdf5::types::VarLenUnicode = "0.0.7".parse().unwrap();
    origin.new_attr::<hdf5::types::VarLenUnicode>().create("version").unwrap().write_scalar(&version).unwrap();
    drop(origin);
    file.close().unwrap();
    let run = run(folder.path(), &["out/run.h5", "out=again"]);
    assert_done(&run, "done\n");
    assert!(run.stderr.contains("warning: out/run.h5 was made by pedesis 0.0.7, this is "), "{}", run.stderr);
}

/// What a stranger's file names is not what the user names.
#[test]
fn a_file_opens_no_more_than_a_script() {
    let folder = place(&[]);
    let path = folder.path();
    let work = path.join("work");
    fs::create_dir(&work).unwrap();
    let at = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let (images, out) = (format!("images={}", at("stack.mrcs")), format!("out={}", at("far")));
    assert_done(&run(&work, &["../scripts/run.rhai", &images, &out]), "done\n");
    fs::copy(path.join("far/run.h5"), work.join("run.h5")).unwrap();
    let far: PathBuf = path.join("far");
    fs::remove_dir_all(&far).unwrap();
    let closed = "closed to this script";
    assert_refused(
        &run(&work, &["run.h5", "out=near"]),
        &["its input", "stack.mrcs", closed, "--allow-read", "images=…"],
    );
    assert_refused(&run(&work, &["run.h5", &images]), &["with its out=", closed, "--allow-write"]);
    assert!(!far.exists() && !work.join("near").exists());
    assert_done(&run(&work, &["run.h5", "out=near", "--allow-read", path.to_str().unwrap()]), "done\n");
    assert_done(&run(&work, &["run.h5", &images, &out]), "done\n");
    assert_eq!(values(&far.join("run.h5")), values(&work.join("near/run.h5")));
}

/// Data beside a script are open to it; beside a file of results they are those of the file.
#[test]
fn the_folder_of_the_script_that_was_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    ["scripts", "work"].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
    fs::write(at("scripts/data.csv"), "a\n1\n").unwrap();
    fs::write(at("scripts/s.rhai"), "store::write(\"run.h5\", #{ n: table::read(\"../scripts/data.csv\").len() });")
        .unwrap();
    assert_done(&run(&at("work"), &["../scripts/s.rhai"]), "");
    assert_refused(
        &run(&at("work"), &["run.h5"]),
        &["its input ../scripts/data.csv cannot be read: it is closed to this script"],
    );
    assert_done(&run(&at("work"), &["run.h5", "--allow-read", "../scripts"]), "");
    fs::rename(at("work/run.h5"), at("scripts/run.h5")).unwrap();
    assert_done(&run(&at("work"), &["../scripts/run.h5"]), "");
}
