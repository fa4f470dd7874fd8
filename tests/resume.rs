//! Checkpoints: a run that was killed continues, and ends with the same bits as an unbroken one.

mod common;
#[path = "common/h5.rs"]
mod h5;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::{Run, folder_with, pedesis, run_script};
use pedesis::store;

const KEPT: &str = ": kept from the last run";

/// Runs `script.rhai` of a folder.
fn run(folder: &Path, arguments: &[&str]) -> Run {
    pedesis(folder).args(["run", "script.rhai"]).args(arguments).output().expect("the binary starts").into()
}

/// The complete checkpoints in a folder.
fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "h5")).collect();
    files.sort();
    files
}

/// What a run says it kept.
fn kept(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter_map(|line| line.strip_suffix(KEPT)).collect()
}

/// Waits until `ready`, while `child` runs.
fn wait_until(child: &mut Child, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be stopped");
        assert!(start.elapsed() < Duration::from_secs(120), "the run does not get there");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder with `stack.mrcs`, 200 kinematic images of 80 pixels.
fn stack() -> tempfile::TempDir {
    let folder = folder_with(
        "script.rhai",
        r#"
            let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 200, size: 80, seed: 3 });
            raw.invert().normalize().add_noise(#{ snr: 2.0, seed: 4 }).save("stack.mrcs");
        "#,
    );
    let made = run(folder.path(), &[]);
    assert_eq!(made.status, Some(0), "{}", made.stderr);
    folder
}

/// `scripts/reconstruct.rhai` on that stack, into the folder `out`.
fn reconstruct(folder: &Path, out: &str, more: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reconstruct.rhai");
    let mut command = pedesis(folder);
    command.arg("run").arg(script).arg(format!("out={out}")).args(more);
    command.args(["images=stack.mrcs", "pixel_size=0.25", "species=Fe,Pt", "diameter=15"]);
    command.args(["first_low_pass=3.3", "low_pass=1.6"]);
    command
}

#[test]
fn a_killed_reconstruction_continues_and_ends_with_the_bits_of_an_unbroken_one() {
    let folder = stack();
    let path = |name: &str| folder.path().join(name);
    // The checkpoints at which each is killed, by the beginning of a name; the second finds no atoms in so few images.
    let cases = [
        (&["starts=1"][..], &["", "", "atoms"][..]),
        (&["strategy=lattice_first", "lattice=find", "starts=2"], &["", ""]),
    ];
    for (case, (strategy, kills)) in cases.into_iter().enumerate() {
        let (whole, broken) = (format!("whole_{case}"), format!("broken_{case}"));
        let unbroken: Run = reconstruct(folder.path(), &whole, strategy).output().unwrap().into();
        assert_eq!(unbroken.status, Some(0), "{}", unbroken.stderr);
        assert!(kept(&unbroken).is_empty(), "{}", unbroken.stderr);
        assert!(!path(&whole).join("checkpoints").exists(), "checkpoints are removed in the end");

        // Killed again and again, on other numbers of threads; what one run has computed, the next one does not.
        let kept_in = path(&broken).join("checkpoints");
        let mut left = Vec::new();
        for (name, threads) in kills.iter().zip(["threads=1", "threads=3", "threads=2"]) {
            let mut child = reconstruct(folder.path(), &broken, strategy).arg(threads).spawn().unwrap();
            let begins = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(name);
            let is_awaited = |file: &PathBuf| !left.contains(file) && begins(file);
            wait_until(&mut child, || checkpoints(&kept_in).iter().any(is_awaited));
            child.kill().unwrap();
            let killed: Run = child.wait_with_output().unwrap().into();
            assert_eq!(killed.status, None, "{}", killed.stderr);
            assert!(!path(&broken).join("run.h5").exists());
            left = checkpoints(&kept_in);
        }
        let continued: Run = reconstruct(folder.path(), &broken, strategy).output().unwrap().into();
        assert_eq!(continued.status, Some(0), "{}", continued.stderr);
        assert!((2..=left.len()).contains(&kept(&continued).len()), "{left:?}:\n{}", continued.stderr);
        assert!(!kept_in.exists());

        // none where the run failed, as it may on so few images
        let read = |out: &str, name: &str| fs::read_to_string(path(out).join(name)).ok();
        assert_eq!(read(&whole, "atoms.xyz"), read(&broken, "atoms.xyz"));
        let atoms = if read(&whole, "atoms.xyz").is_some() { "atoms" } else { "volume" };
        let (whole, broken) = (path(&whole).join("run.h5"), path(&broken).join("run.h5"));
        for name in ["volume", "half_1", "half_2", "fsc", "poses", atoms, "first"] {
            assert_eq!(h5::datasets(&whole, name), h5::datasets(&broken, name), "{name} is not the same");
        }
        let options = |file: &Path| store::read_h5(file).unwrap().provenance.unwrap().options;
        assert_eq!(options(&whole), options(&broken), "the options of kernels that ran before the kill are told too");
    }
}

#[test]
fn a_folder_that_cannot_hold_checkpoints_stops_the_run_before_any_work() {
    let message = |folder: &str| format!("cannot keep checkpoints in {folder}: ");
    for folder in ["/proc/self", "/proc/nowhere", "file", "file/inside"] {
        let script =
            format!("store::write_json(\"file\", #{{}});\ncheckpoints(\"{folder}\", #{{ seed: 1 }});\nprint(1);");
        let run = run_script(&script, &["--allow-write", "/proc"]);
        assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        assert!(!run.stderr.contains("closed to this script"), "{}", run.stderr);
        for part in [message(folder).as_str(), "script.rhai:2:1"] {
            assert!(run.stderr.contains(part), "{folder}: {}", run.stderr);
        }
    }
    // Not even the superuser can write there.
    #[cfg(target_os = "linux")]
    {
        let folder = stack();
        fs::create_dir(folder.path().join("out")).unwrap();
        std::os::unix::fs::symlink("/proc/self", folder.path().join("out/checkpoints")).unwrap();
        let run: Run = reconstruct(folder.path(), "out", &["--allow-write", "/proc"]).output().unwrap().into();
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(&message("out/checkpoints")), "{}", run.stderr);
        assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 1, "nothing was written");
    }
}

/// Computes and prints with a module that is imported before the folder is opened and one that is imported after it, then stops.
const STOPPED: &str = r#"
    import "early" as early;
    let a = args(#{ seed: 1, threads: 1 });
    let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2, size: 64, seed: a.seed });
    checkpoints("kept", #{ seed: 1, images: images });
    print(checkpoint("one", || { print("computed"); early::one() }));
    print(checkpoint("two", || { import "late" as late; late::two() }));
    fail("stopped here");
"#;

fn stopped() -> tempfile::TempDir {
    let folder = folder_with("script.rhai", STOPPED);
    fs::write(folder.path().join("early.rhai"), "fn one() { 1.5 }").unwrap();
    fs::write(folder.path().join("late.rhai"), "fn two() { [2] }").unwrap();
    let first = run(folder.path(), &[]);
    assert_eq!((first.status, first.stdout.as_str()), (Some(1), "computed\n1.5\n[2]\n"), "{}", first.stderr);
    assert!(first.stderr.contains("stopped here") && kept(&first).is_empty(), "{}", first.stderr);
    assert_eq!(checkpoints(&folder.path().join("kept")).len(), 2);
    folder
}

#[test]
fn the_same_run_uses_what_was_kept() {
    let folder = stopped();
    for arguments in [&[][..], &["threads=2"]] {
        let again = run(folder.path(), arguments);
        assert_eq!(again.stdout, "1.5\n[2]\n", "{}", again.stderr);
        assert_eq!(kept(&again), ["one", "two"]);
    }
}

#[test]
fn other_images_and_changed_scripts_use_nothing_that_was_kept() {
    let changes: [(&str, &[&str]); 3] = [("script.rhai", &["seed=2"]), ("script.rhai", &[]), ("early.rhai", &[])];
    for (i, (file, arguments)) in changes.into_iter().enumerate() {
        let folder = stopped();
        let path = folder.path().join(file);
        if i > 0 {
            fs::write(&path, fs::read_to_string(&path).unwrap() + "\n// changed").unwrap();
        }
        let other = run(folder.path(), arguments);
        assert_eq!(other.stdout, "computed\n1.5\n[2]\n", "{file} {arguments:?}: {}", other.stderr);
        assert!(kept(&other).is_empty(), "{}", other.stderr);
        assert!(other.stderr.contains("checkpoints in kept are of another run"), "{}", other.stderr);
        assert_eq!(checkpoints(&folder.path().join("kept")).len(), 2, "those of the first run are gone");
    }
}

#[test]
fn a_module_that_was_imported_late_and_changed_is_run_again() {
    let folder = stopped();
    fs::write(folder.path().join("late.rhai"), "fn two() { [3] }").unwrap();
    let other = run(folder.path(), &[]);
    assert_eq!(other.stdout, "1.5\n[3]\n", "{}", other.stderr);
    assert_eq!(kept(&other), ["one"]);
    assert!(other.stderr.contains("late.rhai has changed"), "{}", other.stderr);
}

#[test]
fn a_damaged_checkpoint_is_computed_again() {
    // One bit of the number 1.5.
    let flip = |bytes: &mut Vec<u8>| {
        let number = 1.5f64.to_le_bytes();
        let at = bytes.windows(8).position(|window| window == number).expect("the value is in the file");
        bytes[at] ^= 1;
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    let damages: [fn(&mut Vec<u8>); 3] = [cut, Vec::clear, flip];
    for damage in damages {
        let folder = stopped();
        let path = checkpoints(&folder.path().join("kept")).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let again = run(folder.path(), &[]);
        assert_eq!(again.stdout, "computed\n1.5\n[2]\n", "{}", again.stderr);
        assert_eq!(kept(&again), ["two"]);
        let message = "one: computed again, its checkpoint cannot be used";
        assert!(again.stderr.contains(message) && !again.stderr.contains("HDF5-DIAG"), "{}", again.stderr);
        assert_eq!(kept(&run(folder.path(), &[])), ["one", "two"], "it is kept anew");
    }
}

#[test]
fn values_of_all_types_come_back_as_they_were() {
    let folder = folder_with(
        "script.rhai",
        r#"
        let truth = structure::bundled("fept_1.5nm");
        checkpoints("kept", #{ truth: truth, none: (), mixed: [1, 1.0, "a", true] });
        let v = checkpoint("values", || {
            let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 24, size: 100, seed: 5 }).invert();
            let particles = images.prepare(#{ diameter: 15, low_pass: 1.6 });
            let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.6 });
            #{
                integer: 3, float: 3.0, third: 1.0 / 3.0, minus_zero: -0.0, nan: 0.0 / 0.0, infinite: -1.0 / 0.0, yes: true, none: (), text: "Å\n",
                empty: [], nothing: #{}, integers: [1, 2], floats: [1.0, 2.0, 0.0 / 0.0], mixed: [1, 2.0], texts: ["a", ""], flags: [true, false],
                whole_rows: [[1, 2], [3, 4]], rows: [[1.0, 2.0], [3.0, 4.0]], mixed_rows: [[1, 2.0], [3.0, 4.0]], ragged: [[1.0], [1.0, 2.0]],
                deep: [#{ a: [[()]] }, "x"], table: table::from_rows(["name", "x"], [["a", 1], ["b", 1.0], [(), true]]),
                images: images, particles: particles, doubted: particles.with_model_error(0.1), map: map, poses: images.true_poses(), structure: truth,
                model: model::trace(map.volume, #{ species: ["Fe", "Pt"] }),
                scope: microscope::paper(#{ defocus: 100.0 / 3.0 }),
                lattice: structure::wurtzite(["Cd", "Se"], 4.3, 7.01 / 3.0 * 3.0), liquid: cell::liquid("water").snapshot(3),
                dry: cell::build(#{ size: [40.0, 40.0, 100.0 / 3.0], graphene: #{} }), wet: cell::paper(#{ liquid: cell::liquid("toluene").snapshot(2) }),
            }
        });
        for name in v.keys() { print(`${name} ${type_of(v[name])}`); }
        for name in ["images", "particles", "map", "poses", "structure"] {
            print(`${v[name]}`);
        }
        for name in v.keys() {
            if !(["images", "particles", "doubted", "map", "poses", "structure", "model"].contains(name)) { print(`${name}: ${v[name]}`); }
        }
        print(v.model); print(v.model.doubts()); print(v.model.classes()); print(v.model.compare(truth));
        print(v.particles.contrast()); print(v.particles.diameter()); print(v.particles.edge()); print(1.0 / v.minus_zero);
        // What all hidden parts of particles decide: noise, mask, pixels.
        let again = volume::reconstruct(v.particles, v.poses, #{ low_pass: 1.6 });
        let scored = [v.particles, v.doubted].map(|p| orient::refine(p, v.map.halves, v.poses, #{ low_pass: 1.6 }));
        let a = args(#{ out: "" });
        let filled = v.wet.fill(truth, #{ seed: 3 }).structure;
        let others = ["scope", "lattice", "liquid", "dry", "wet"];
        for name in others { v.remove(name); }
        store::write(a.out, v + #{ again: again, scored: scored, filled: filled });
        fail("stopped here");
    "#,
    );
    let (fresh, later) = (run(folder.path(), &["out=fresh.h5"]), run(folder.path(), &["out=later.h5"]));
    assert!(fresh.stderr.contains("stopped here") && kept(&fresh).is_empty(), "{}", fresh.stderr);
    assert_eq!(kept(&later), ["values"], "{}", later.stderr);
    assert_eq!(fresh.stdout, later.stdout);
    for part in [
        "integer i64",
        "float f64",
        "scope Microscope",
        "lattice Lattice",
        "liquid Liquid",
        "wet Cell",
        "integers array",
        "table Table",
        "particles Particles",
        "model Model",
        "-inf",
    ] {
        assert!(later.stdout.contains(part), "no {part:?} in\n{}", later.stdout);
    }
    let [fresh, later] = ["fresh.h5", "later.h5"].map(|name| h5::datasets(&folder.path().join(name), "/"));
    assert!(fresh.len() > 40 && fresh == later);
}

#[test]
fn what_cannot_be_kept_is_named() {
    for (value, problem) in [
        ("#{ a: [1, |x| x] }", "checkpoint \"bad\": a: item 1: a closure cannot be kept"),
        ("plot::lines(#{ a: #{ x: [1, 2], y: [1, 2] } })", "checkpoint \"bad\": a Figure cannot be kept"),
        ("#{ \"a/b\": 1 }", "checkpoint \"bad\": \"a/b\" cannot name a value in a file"),
        ("\"a\\x00b\"", "checkpoint \"bad\": a string with a zero in it cannot be kept"),
    ] {
        let folder =
            folder_with("script.rhai", &format!("checkpoints(\"kept\", #{{}});\ncheckpoint(\"bad\", || {value});"));
        let run = run(folder.path(), &[]);
        assert_eq!(run.status, Some(1), "{value}: {}", run.stderr);
        assert!(run.stderr.contains(problem) && run.stderr.contains("script.rhai:2:1"), "{value}: {}", run.stderr);
        assert!(checkpoints(&folder.path().join("kept")).is_empty());
    }
    let run = run_script("checkpoints(\"kept\", #{ f: |x| x });", &[]);
    assert!(run.stderr.contains("the key of the checkpoints: f: a closure cannot be kept"), "{}", run.stderr);
}

#[test]
fn a_closure_that_throws_keeps_nothing_and_the_error_is_in_it() {
    let text = "checkpoints(\"kept\", #{});\ncheckpoint(\"good\", || 1);\ncheckpoint(\"bad\", || {\n    let x = 1;\n    fail(`x is ${x}`)\n});";
    let folder = folder_with("script.rhai", text);
    let failed = run(folder.path(), &[]);
    assert_eq!(failed.status, Some(1));
    for part in ["x is 1", "script.rhai:5:5", "in a closure, called at script.rhai:3:1"] {
        assert!(failed.stderr.contains(part), "{}", failed.stderr);
    }
    let left = checkpoints(&folder.path().join("kept"));
    assert!(left.len() == 1 && left[0].to_string_lossy().contains("good"), "{left:?}");
}

#[test]
fn mistakes_in_the_use_of_checkpoints_are_explained() {
    for (call, message) in [
        ("checkpoint(\"a\", |x| x);", "a checkpoint calls its closure without parameters"),
        ("checkpoint(\"\", || 1);", "a checkpoint needs a name"),
        ("checkpoint(\"a\", || checkpoints_done());", "checkpoints cannot be removed inside one (\"a\")"),
        ("checkpoint(\"a\", || checkpoint(\"b\", || checkpoints(\"c\", #{})));", "opened inside one (\"a / b\")"),
    ] {
        let run = run_script(&format!("checkpoints(\"kept\", #{{}});\n{call}"), &[]);
        assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
        assert!(run.stderr.contains(message) && run.stderr.contains("script.rhai:2:"), "{call}: {}", run.stderr);
    }
}

/// Checkpoints of one name, in a loop and inside others, in modules that call each other; `stop` ends the second of the outer ones.
#[test]
fn checkpoints_in_loops_in_others_and_in_modules_are_told_apart() {
    let folder = folder_with(
        "script.rhai",
        r#"
        import "outer" as outer;
        let a = args(#{ stop: -1 });
        checkpoints("kept", #{});
        print(outer::all(3, a.stop));
        checkpoints_done();
    "#,
    );
    let outer = r#"
        import "inner" as inner;
        private fn half(x) { x / 2 }
        fn all(n, stop) {
            let found = [];
            for i in 0..n {
                found.push(checkpoint("item", || {
                    let first = checkpoint("part", || inner::square(i) + half(100));
                    let second = checkpoint("part", || if i == stop { fail("stopped") } else { first + 1 });
                    [first, second]
                }));
            }
            found + [inner::kept("through another module", || inner::square(7) + half(2))]
        }
    "#;
    fs::write(folder.path().join("outer.rhai"), outer).unwrap();
    fs::write(folder.path().join("inner.rhai"), "fn square(x) { x * x }\nfn kept(name, f) { checkpoint(name, f) }")
        .unwrap();
    let stopped = run(folder.path(), &["stop=1"]);
    assert!(stopped.stderr.contains("stopped") && stopped.stderr.contains("outer.rhai:9:"), "{}", stopped.stderr);
    // "item" stands for its parts.
    assert_eq!(checkpoints(&folder.path().join("kept")).len(), 2);
    let continued = run(folder.path(), &[]);
    assert_eq!(continued.stdout, "[[50, 51], [51, 52], [54, 55], 50]\n", "{}", continued.stderr);
    assert_eq!(kept(&continued), ["item", "item (2) / part"]);
    assert!(!folder.path().join("kept").exists());
    assert_eq!(run(folder.path(), &[]).stdout, continued.stdout);
}

#[test]
fn without_a_folder_the_closure_is_called_and_nothing_is_written() {
    let folder =
        folder_with("script.rhai", "print(checkpoint(\"a\", || checkpoint(\"a\", || 1) + 1)); checkpoints_done();");
    let run = run(folder.path(), &[]);
    assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "2\n", ""));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_run_goes_on_where_its_checkpoints_cannot_be_written_any_more() {
    let text = "checkpoints(\"kept\", #{});\nstore::write_json(\"kept\", #{});\nprint(checkpoint(\"a\", || 1));";
    let run = run_script(text, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "1\n"), "{}", run.stderr);
    assert!(run.stderr.contains("warning: a: not kept for a later run: "), "{}", run.stderr);
}

#[test]
fn files_of_others_stay_and_half_written_ones_do_not() {
    let folder = folder_with("script.rhai", "checkpoints(\"kept\", #{}); checkpoint(\"a\", || 1); checkpoints_done();");
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    for name in ["mine.h5", "a-b-c.h5", ".pedesis-x.part", "old-01234567-0123456789abcdef.h5"] {
        fs::write(kept.join(name), "text").unwrap();
    }
    assert_eq!(run(folder.path(), &[]).status, Some(0));
    let mut left: Vec<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a-b-c.h5", "mine.h5"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_closure_keeps_nothing() {
    let text =
        "checkpoints(\"kept\", #{});\ncheckpoint(\"a\", || 1);\ncheckpoint(\"b\", || { try { loop { } } catch { } });";
    let folder = folder_with("script.rhai", text);
    let mut child = pedesis(folder.path()).args(["run", "script.rhai"]).spawn().unwrap();
    let kept = folder.path().join("kept");
    wait_until(&mut child, || !checkpoints(&kept).is_empty());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.status, Some(130), "{}", run.stderr);
    assert_eq!(checkpoints(&kept).len(), 1);
}
