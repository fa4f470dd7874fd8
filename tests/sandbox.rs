//! Running a script that one did not write: what it may touch and use, and every way round that we could think of.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, folder_with, pedesis, run_script};
use pedesis::script::help::Reference;
use tempfile::TempDir;

/// A particle of two atoms.
const XYZ: &str = "2\nsecret\nFe 0 0 0\nPt 0 0 2\n";

/// A folder with `work`, where scripts run, `scripts`, where one may lie, and `outside`, which is closed to them.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        for folder in ["work/inside", "work2", "scripts/data", "outside/folder"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        for folder in ["work", "work2", "scripts", "outside"] {
            fs::write(place.path(folder).join("secret.xyz"), XYZ).unwrap();
            fs::write(place.path(folder).join("secret.rhai"), "fn f() { 42 }\n").unwrap();
        }
        fs::write(place.path("outside/other.json"), "{}").unwrap();
        fs::write(
            place.path("outside/mtf.star"),
            "data_\nloop_\n_rlnResolutionInversePixel #1\n_rlnMtfValue #2\n0 1\n0.5 0.5\n",
        )
        .unwrap();
        hdf5_file(&place.path("outside/secret.h5"));
        symlink(place.path("outside"), place.path("work/folder_link")).unwrap();
        symlink(place.path("outside/secret.xyz"), place.path("work/link.xyz")).unwrap();
        symlink("link.xyz", place.path("work/link_to_link.xyz")).unwrap();
        symlink(place.path("outside/new.h5"), place.path("work/dangling.h5")).unwrap();
        symlink(place.path("outside/pixels"), place.path("work/raw.h5.partial")).unwrap();
        symlink("/proc/self/root", place.path("work/root_link")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text_of(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Runs a script that lies in `work` from there; `OUTSIDE` and `ROOT` stand for the folders.
    fn run(&self, script: &str, arguments: &[&str]) -> Run {
        fs::write(self.path("work/script.rhai"), self.filled(script)).unwrap();
        self.run_file("script.rhai", arguments)
    }

    fn run_file(&self, script: &str, arguments: &[&str]) -> Run {
        let arguments = arguments.iter().map(|argument| self.filled(argument));
        let mut command = pedesis(&self.path("work"));
        // programs that other tests start meanwhile keep the locks of HDF5 files made here
        command.env("HDF5_USE_FILE_LOCKING", "FALSE");
        command.args(["run", &self.filled(script)]).args(arguments).output().expect("the binary starts").into()
    }

    fn filled(&self, text: &str) -> String {
        text.replace("OUTSIDE", &self.text_of("outside")).replace("ROOT", &self.root.path().to_string_lossy())
    }

    /// Every file outside with its bytes, every folder without.
    fn outside(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = ["outside", "work2", "scripts"].map(|name| self.path(name)).to_vec();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
        found
    }

    /// Runs a script that must be refused with all of `parts` in the message, and change nothing outside.
    fn refuses(&self, script: &str, arguments: &[&str], parts: &[&str]) {
        let before = self.outside();
        let run = self.run(script, arguments);
        assert_refused(script, &run, parts);
        assert_eq!(self.outside(), before, "{script} changed what is outside");
    }
}

fn assert_refused(what: &str, run: &Run, parts: &[&str]) {
    assert_eq!(run.status, Some(1), "{what}: {}{}", run.stdout, run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{what}: no {part:?} in\n{}", run.stderr);
    }
    for sign in ["panicked", "overflowed", "internal error"] {
        assert!(!run.stderr.contains(sign), "{what}: {}", run.stderr);
    }
    assert!(!run.stdout.contains("REACHED"), "{what} went on");
}

fn assert_done(run: &Run, stdout: &str) {
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), stdout), "{}", run.stderr);
}

fn hdf5_file(path: &Path) {
    let file = hdf5::File::create(path).unwrap();
    file.new_dataset_builder().with_data(&[1.0, 2.0, 3.0]).create("numbers").unwrap();
}

/// Makes images, a particle and the like for attempts to write them.
const IMAGES: &str = r#"let particle = structure::bundled("fept_1.5nm");
       let options = #{ method: "kinematic", n: 2, size: 80 };
       let images = microscope::simulate(particle, microscope::paper(), options); "#;

#[test]
fn nothing_outside_is_read() {
    let place = Place::new();
    let mut made = Command::new("mkfifo").arg(place.path("work/fifo.xyz")).spawn().unwrap();
    assert!(made.wait().unwrap().success());
    fs::write(place.path("work/inner.rhai"), place.filled(r#"import "OUTSIDE/secret" as s;"#)).unwrap();
    let closed =
        &["cannot read", "closed to this script", "script.rhai:1:", "--allow-read", "the current directory"][..];
    let attempts: &[(&str, &[&str])] = &[
        (r#"store::structure("OUTSIDE/secret.xyz")"#, closed),
        (r#"store::structure("../outside/secret.xyz")"#, closed),
        (r#"store::structure("inside/../../outside/secret.xyz")"#, closed),
        (r#"store::structure("missing/../../outside/secret.xyz")"#, closed),
        (r#"store::structure(path::join("inside", "OUTSIDE/secret.xyz"))"#, closed),
        // a folder whose name begins like that of the open one
        (r#"store::structure("ROOT/work2/secret.xyz")"#, closed),
        (r#"store::structure("link.xyz")"#, &["cannot read link.xyz", "since it leads to", "outside/secret.xyz"]),
        (r#"store::structure("link_to_link.xyz")"#, &["cannot read", "closed to this script", "it leads to"]),
        (r#"store::structure("folder_link/secret.xyz")"#, &["cannot read", "closed to this script", "it leads to"]),
        (r#"store::structure("folder_link/../outside/secret.xyz")"#, closed),
        (r#"store::structure("root_linkOUTSIDE/secret.xyz")"#, closed),
        (r#"store::structure("/proc/self/cwd/../outside/secret.xyz")"#, closed),
        (r#"store::read("OUTSIDE/secret.h5")"#, closed),
        (r#"store::info("/etc/passwd")"#, closed),
        (r#"store::images("/dev/zero")"#, closed),
        (r#"store::poses("OUTSIDE/other.json")"#, closed),
        (r#"store::structure("fifo.xyz")"#, &["neither a file nor a folder"]),
        // whether something is there is not told either
        (r#"if path::exists("OUTSIDE/secret.xyz") { print("REACHED"); }"#, closed),
        (r#"if path::exists("OUTSIDE/nothing") { print("REACHED"); }"#, closed),
        (r#"cell::liquid("OUTSIDE/secret.xyz")"#, closed),
        (r#"cell::build(#{ liquid: "OUTSIDE/secret.xyz" })"#, closed),
        (r#"["OUTSIDE/secret.xyz"].map(|name| store::structure(name))"#, closed),
        (r#"checkpoints("kept", #{ a: 1 }); checkpoint("a", || store::structure("OUTSIDE/secret.xyz"))"#, closed),
        (r#"let a = args(#{ truth: "OUTSIDE/secret.xyz" }); store::structure(a.truth)"#, closed),
        (r#"import "OUTSIDE/secret" as s; print("REACHED");"#, closed),
        (r#"import "../outside/secret" as s; print("REACHED");"#, closed),
        (
            r#"import "folder_link/secret" as s; print("REACHED");"#,
            &["cannot read", "closed to this script", "it leads to"],
        ),
        (r#"let name = "OUTSIDE/" + "secret.rhai"; import name as s; print("REACHED");"#, closed),
        (r#"import "inner" as inner; print("REACHED");"#, &["cannot read", "closed to this script", "inner.rhai:1:8"]),
        (r#"eval("store::structure(\"OUTSIDE/secret.xyz\")")"#, &["eval", "disabled"]),
    ];
    for (script, parts) in attempts {
        place.refuses(script, &[], parts);
    }
    let detector = format!("{IMAGES} images.detect(#{{ mtf: \"OUTSIDE/mtf.star\" }})");
    place.refuses(&detector, &[], &["cannot read", "closed to this script", "mtf.star"]);
}

#[test]
fn nothing_outside_is_written_made_or_removed() {
    let place = Place::new();
    let closed =
        &["cannot write", "closed to this script", "script.rhai:", "--allow-write", "the current directory"][..];
    let attempts: &[(&str, &[&str])] = &[
        (r#"store::write("OUTSIDE/new.h5", #{ a: 1 })"#, closed),
        (r#"store::write("../outside/secret.h5", #{ a: 1 })"#, closed),
        (r#"store::write("folder_link/new.h5", #{ a: 1 })"#, &["cannot write", "closed to this script", "it leads to"]),
        (
            r#"store::write("dangling.h5", #{ a: 1 })"#,
            &["cannot write", "closed to this script", "it leads to", "new.h5"],
        ),
        (r#"store::write_json("OUTSIDE/other.json", #{ a: 1 })"#, closed),
        (r#"path::make_dirs("OUTSIDE/made")"#, closed),
        (r#"path::make_dirs("missing/../../outside/made")"#, closed),
        (r#"path::make_dirs("folder_link/made")"#, closed),
        (r#"path::remove("OUTSIDE/secret.xyz")"#, closed),
        (r#"path::remove("folder_link/secret.xyz")"#, closed),
        (r#"checkpoints("OUTSIDE/kept", #{ a: 1 })"#, &["cannot keep checkpoints in", "closed to this script"]),
        (r#"checkpoints("folder_link", #{ a: 1 })"#, &["cannot keep checkpoints in", "it leads to"]),
        (r#"structure::bundled("fept_1.5nm").save("link.xyz")"#, closed),
        (r#"table::from_rows(["a"], [[1]]).save("OUTSIDE/table.csv")"#, closed),
        (r#"plot::lines(#{ a: #{ x: [1, 2], y: [1, 4] } }).save("../outside/lines.png")"#, closed),
        (r#"let a = args(#{ out: "OUTSIDE" }); path::make_dirs(path::join(a.out, "made"))"#, closed),
        // the current directory may be a home
        (r#"path::make_dirs(".ssh")"#, &["cannot write .ssh", "closed to this script, as hidden names are"]),
        (r#"store::write_json("inside/.hidden/a.json", #{ a: 1 })"#, &["closed to this script, as hidden names are"]),
    ];
    for (script, parts) in attempts {
        place.refuses(script, &[], parts);
    }
    place.refuses(&format!("{IMAGES} images.save(\"OUTSIDE/images.mrcs\")"), &[], closed);
    // the pixels wait in a file beside the target, which is a link here
    let partial = format!("{IMAGES} microscope::simulate_to(\"raw.h5\", particle, microscope::paper(), options)");
    place.refuses(&partial, &[], &["raw.h5.partial", "not a regular file"]);
}

#[test]
fn arguments_open_what_they_name_and_no_more() {
    let place = Place::new();
    let read = r#"let a = args(#{ file: optional("file"), list: optional("list"), text: "" }); print(store::structure("OUTSIDE/NAME").len());"#;
    let reading = |name: &str| read.replace("NAME", name);
    fs::write(place.path("outside/secret.v2.xyz"), XYZ).unwrap();
    fs::write(place.path("outside/secrets.xyz"), XYZ).unwrap();
    fs::write(place.path("outside/folder/a.xyz"), XYZ).unwrap();
    assert_done(&place.run(&reading("secret.xyz"), &["file=OUTSIDE/secret.xyz"]), "2\n");
    assert_done(&place.run(&reading("secret.xyz"), &["text=../outside/secret.xyz"]), "2\n");
    assert_done(&place.run(&reading("secret.xyz"), &["list=OUTSIDE/other.json, OUTSIDE/secret.xyz"]), "2\n");
    assert_done(&place.run(&reading("folder/a.xyz"), &["text=OUTSIDE/folder"]), "2\n");
    // companions: the same name with another ending
    assert_done(&place.run(&reading("secret.xyz"), &["file=OUTSIDE/secret.h5"]), "2\n");
    assert_done(&place.run(&reading("secret.v2.xyz"), &["file=OUTSIDE/secret.h5"]), "2\n");
    assert_done(&place.run(&reading("secret.xyz"), &["file=folder_link/secret.h5"]), "2\n");
    let closed = &["cannot read", "closed to this script", "file="][..];
    place.refuses(&reading("secrets.xyz"), &["file=OUTSIDE/secret.h5"], closed);
    place.refuses(&reading("folder/a.xyz"), &["file=OUTSIDE/secret.h5"], closed);
    place.refuses(&reading("secret.xyz"), &["file=OUTSIDE/other.json"], closed);
    place.refuses(&reading("secret.xyz"), &["text=/"], &["cannot read", "closed to this script"]);
    // to be read is not to be written, and only `out` is
    let write = r#"args(#{ text: "", out: "out" }); store::write_json("OUTSIDE/folder/new.json", #{ a: 1 });"#;
    place.refuses(write, &["text=OUTSIDE/folder"], &["cannot write", "closed to this script"]);
    place.refuses(write, &["out=OUTSIDE/folder/below"], &["cannot write", "closed to this script", "out="]);
    assert_done(&place.run(write, &["out=OUTSIDE/folder"]), "");
    assert!(place.path("outside/folder/new.json").is_file());
    let hidden = r#"let a = args(#{ out: "out" }); path::make_dirs(path::join(a.out, ".config"))"#;
    place.refuses(hidden, &["out=OUTSIDE/folder"], &["closed to this script, as hidden names are"]);
}

#[test]
fn what_is_written_can_be_read_again() {
    let place = Place::new();
    let script = r#"let a = args(#{ out: "out" });
        path::make_dirs(path::join(a.out, "deep/er"));
        let file = path::join(a.out, "deep/er/a.h5");
        store::write(file, #{ a: 7 });
        print(store::read(file).a);
        path::remove(file);
        print(path::exists(file));"#;
    for out in ["out", "OUTSIDE/new/results", "folder_link/results"] {
        assert_done(&place.run(script, &[&format!("out={out}")]), "7\nfalse\n");
    }
    assert!(place.path("outside/new/results/deep/er").is_dir() && place.path("outside/results/deep/er").is_dir());
}

#[test]
fn flags_open_more() {
    let place = Place::new();
    let read = r#"print(store::structure("OUTSIDE/secret.xyz").len());"#;
    assert_done(&place.run(read, &["--allow-read", "OUTSIDE"]), "2\n");
    assert_done(&place.run(read, &["--allow-read", "OUTSIDE/folder", "--allow-read", "../outside/secret.xyz"]), "2\n");
    assert_done(&place.run(read, &["--allow-write", "folder_link"]), "2\n");
    let import = r#"import "OUTSIDE/secret" as s; print(s::f());"#;
    assert_done(&place.run(import, &["--allow-read", "OUTSIDE/secret.rhai"]), "42\n");
    let write = r#"path::make_dirs("OUTSIDE/.hidden"); store::write("dangling.h5", #{ a: 1 });"#;
    place.refuses(write, &["--allow-read", "OUTSIDE"], &["cannot write", "closed to this script"]);
    assert_done(&place.run(write, &["--allow-write", "OUTSIDE"]), "");
    assert!(place.path("outside/.hidden").is_dir());
    let one = r#"store::write_json("OUTSIDE/folder/one.json", #{ a: 1 }); store::write_json("OUTSIDE/folder/two.json", #{ a: 1 });"#;
    let run = place.run(one, &["--allow-write", "OUTSIDE/folder/one.json"]);
    assert_refused(one, &run, &["cannot write", "closed to this script", "two.json", "--allow-write"]);
    assert!(place.path("outside/folder/one.json").is_file());
}

#[test]
fn odd_flags_are_the_fault_of_the_command_line() {
    let place = Place::new();
    let attempts: &[(&[&str], &[&str])] = &[
        (&["--allow-read", "OUTSIDE/nothing"], &["--allow-read", "outside/nothing", "No such file"]),
        (&["--allow-read", ""], &["--allow-read"]),
        (&["--allow-write", "OUTSIDE/no/where"], &["--allow-write", "there is no folder"]),
        (&["--allow-write", ""], &["--allow-write"]),
        (&["--allow-write"], &["--allow-write", "PATH"]),
        (&["out=/"], &["out=/", "whole file system"]),
        (&["out=../../../../../../../../.."], &["whole file system"]),
        (&["--max-time", "0"], &["--max-time", "positive"]),
        (&["--max-time", "soon"], &["--max-time", "positive"]),
        (&["--max-memory", "nan"], &["--max-memory", "positive"]),
    ];
    for (arguments, parts) in attempts {
        let run = place.run(r#"args(#{ out: "out" }); print("REACHED");"#, arguments);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", run.stderr);
        for part in *parts {
            assert!(run.stderr.contains(part), "{arguments:?}: no {part:?} in\n{}", run.stderr);
        }
    }
}

#[test]
fn what_lies_beside_the_script_is_read_but_not_written() {
    let place = Place::new();
    let script = |text: &str| fs::write(place.path("scripts/script.rhai"), text).unwrap();
    fs::write(place.path("scripts/data/a.xyz"), XYZ).unwrap();
    fs::write(place.path("scripts/data/deeper.rhai"), "import \"../secret\" as s; fn g() { s::f() }\n").unwrap();
    script(&place.filled(
        r#"import "secret" as s; import "data/deeper" as d; print(s::f() + d::g() + store::structure("ROOT/scripts/data/a.xyz").len());"#,
    ));
    assert_done(&place.run_file("ROOT/scripts/script.rhai", &[]), "86\n");
    assert_done(&place.run_file("../scripts/script.rhai", &[]), "86\n");
    script(&place.filled(r#"store::write_json("ROOT/scripts/new.json", #{ a: 1 });"#));
    assert_refused(
        "beside",
        &place.run_file("../scripts/script.rhai", &[]),
        &["cannot write", "closed to this script"],
    );
    script(r#"import "../work2/secret" as s;"#);
    let run = place.run_file("../scripts/script.rhai", &[]);
    assert_refused("import", &run, &["cannot read", "closed to this script", "the script's folder"]);
    assert!(!place.path("scripts/new.json").exists());
}

#[test]
fn hdf5_files_do_not_lead_to_others() {
    let place = Place::new();
    let secret = place.text_of("outside/secret.h5");
    let make = |name: &str, fill: &dyn Fn(&hdf5::File)| {
        fill(&hdf5::File::create(place.path("work").join(name)).unwrap());
    };
    make("link.h5", &|file| file.link_external(&secret, "/numbers", "numbers").unwrap());
    make("deep.h5", &|file| {
        file.create_group("a/b").unwrap().link_external(&secret, "/", "c").unwrap();
        file.link_soft("/a/b/c/numbers", "numbers").unwrap();
    });
    make("stored.h5", &|file| {
        let mut builder = file.new_dataset_builder();
        builder = builder.external(&secret, 0, 24);
        builder.empty::<f64>().shape(3).create("numbers").unwrap();
    });
    make("virtual.h5", &|file| {
        let builder = file.new_dataset_builder().virtual_map(&secret, "/numbers", 3, 0..3, 3, 0..3);
        builder.empty::<f64>().shape(3).create("numbers").unwrap();
    });
    for (file, what) in [
        ("link.h5", "numbers is a link to another file"),
        ("deep.h5", "/a/b/c is a link to another file"),
        ("stored.h5", "numbers is stored in another file"),
        ("virtual.h5", "virtual"),
    ] {
        for call in ["read", "info", "images", "volume", "poses", "structure"] {
            place.refuses(&format!("print(store::{call}(\"{file}\")); print(\"REACHED\");"), &[], &[file, what]);
        }
    }
    make("inside.h5", &|file| {
        let group = file.create_group("a").unwrap();
        group.new_dataset_builder().with_data(&[1.0, 2.0]).create("numbers").unwrap();
        file.link_soft("/a/numbers", "again").unwrap();
        file.link_hard("/a/numbers", "once_more").unwrap();
    });
    assert_done(
        &place.run(r#"let r = store::read("inside.h5"); print(r.again[1] + r.once_more[0] + r.a.numbers[0]);"#, &[]),
        "4.0\n",
    );
}

#[test]
fn files_that_announce_more_than_memory_holds_are_refused() {
    let place = Place::new();
    {
        let file = hdf5::File::create(place.path("work/huge.h5")).unwrap();
        let huge = file.new_dataset_builder().chunk((64, 64)).empty::<f64>().shape((10_000_000, 10_000_000));
        huge.create("matrix").unwrap();
    }
    place.refuses(r#"store::read("huge.h5")"#, &[], &["huge.h5", "GiB of memory"]);
    let mut header = vec![0_u8; 1024];
    for (word, value) in [(0, 12_000_i32), (1, 12_000), (2, 12_000), (3, 2), (16, 1), (17, 2), (18, 3), (22, 1)] {
        header[4 * word..4 * word + 4].copy_from_slice(&value.to_le_bytes());
    }
    header[208..216].copy_from_slice(b"MAP \x44\x44\0\0");
    let mut volume = fs::File::create(place.path("work/huge.mrc")).unwrap();
    volume.write_all(&header).unwrap();
    volume.set_len(1024 + 4 * 12_000_u64.pow(3)).unwrap();
    place.refuses(r#"store::volume("huge.mrc", #{ pixel_size: 1.0 })"#, &[], &["huge.mrc", "GiB of memory"]);
}

#[test]
fn a_checkpoint_that_became_a_link_leads_nowhere() {
    let place = Place::new();
    let script = r#"let a = args(#{ stop: true });
        checkpoints("kept", #{ seed: 1 });
        print(checkpoint("sum", || 1 + 1));
        if a.stop { fail("stopped"); }
        checkpoints_done();"#;
    assert_eq!(place.run(script, &[]).status, Some(1));
    let kept = fs::read_dir(place.path("work/kept")).unwrap().next().unwrap().unwrap().path();
    fs::rename(&kept, place.path("outside/kept.h5")).unwrap();
    symlink(place.path("outside/kept.h5"), &kept).unwrap();
    let before = place.outside();
    let run = place.run(script, &["stop=true"]);
    assert!(run.stdout == "2\n" && run.stderr.contains("closed to this script"), "{}", run.stderr);
    assert_eq!(place.outside(), before);
}

/// Every native function that takes a path, called with one outside.
#[test]
fn every_function_with_a_path_asks() {
    let values = BTreeMap::from([
        ("Images", "images"),
        ("Structure", "particle"),
        ("Volume", "density"),
        ("Poses", "images.true_poses()"),
        ("Model", "model::trace(density, #{ species: [\"Fe\", \"Pt\"] })"),
        ("Figure", "plot::lines(#{ a: #{ x: [1, 2], y: [1, 4] } })"),
        ("Report", "plot::report([particle])"),
        ("Table", "table::from_rows([\"a\"], [[1]])"),
        ("Liquid", "cell::liquid(\"water\")"),
        ("Microscope", "microscope::paper()"),
        ("map", "#{}"),
    ]);
    // they look at the name alone
    let harmless = ["path::join", "path::stem", "path::extension"];
    let reference = Reference::get();
    let mut script = format!("{IMAGES} let density = volume::of_structure(particle);\n");
    let mut calls = Vec::new();
    for (name, entry) in reference.entries().filter(|(name, _)| !harmless.contains(&name.as_str())) {
        for signature in &entry.signatures {
            let parameters = signature.split_once('(').unwrap().1.split_once(')').unwrap().0;
            let parameters: Vec<(&str, &str)> = parameters.split(", ").filter_map(|one| one.split_once(": ")).collect();
            if !parameters.iter().any(|parameter| matches!(parameter, ("path" | "folder", "string"))) {
                continue;
            }
            let given = parameters.iter().map(|(name, kind)| match *name {
                "path" | "folder" => "\"OUTSIDE/secret.h5\"".to_owned(),
                _ => (*values.get(kind).unwrap_or_else(|| panic!("a value of the type {kind} for {signature}")))
                    .to_owned(),
            });
            let call = format!("{name}({})", given.collect::<Vec<_>>().join(", "));
            script += &format!("try {{ {call}; print(`OPEN`); }} catch (error) {{ print(error); }}\n");
            calls.push(call);
        }
    }
    assert!(calls.len() >= 20, "{calls:#?}");
    let place = Place::new();
    let before = place.outside();
    let run = place.run(&script, &[]);
    let answers: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(answers.len(), calls.len(), "{}{}", run.stdout, run.stderr);
    for (call, answer) in calls.iter().zip(answers) {
        assert!(answer.contains("closed to this script"), "{call}: {answer}");
    }
    assert_eq!(place.outside(), before);
}

#[test]
fn values_are_bounded() {
    let place = Place::new();
    let strings = "the texts of one value together have more than 16 MiB";
    let arrays = "has more than 4000000 items";
    let maps = "has more than 4000000 entries";
    let attempts: &[(&str, &str)] = &[
        (r#"let s = "x"; loop { s += s; }"#, strings),
        (r#"let s = "x"; loop { s = s + s; }"#, strings),
        (r#"let s = "x"; loop { s = `${s}${s}${s}`; }"#, strings),
        (r#"let s = ""; s.pad(100000000000, 'x');"#, strings),
        (r#"let s = "a"; s.pad(1000000, 'a'); let t = s; t.replace("a", s);"#, strings),
        (r#"let s = "a"; s.pad(1000000, 'a'); let t = s; t.replace('a', s);"#, strings),
        (r#"let s = "a"; s.pad(10000000, 'a'); let all = [s]; loop { all += all; }"#, strings),
        (r#"let s = "a"; s.pad(10000000, 'a'); print([s, s, s]);"#, strings),
        ("let a = [1]; loop { a += a; }", arrays),
        ("let a = [1]; loop { a = [a, a]; }", arrays),
        ("let a = []; a.pad(1000000000000, 0);", arrays),
        ("let a = [1, 2]; a.pad(3000, 0); let b = []; b.pad(3000, a);", arrays),
        ("let b = blob(1000000000000);", arrays),
        ("let m = #{ a: 1 }; loop { m = #{ a: m, b: m }; }", maps),
        ("fn f(x) { f(x) + 1 } f(1);", "too deeply"),
        ("let f = |g| g.call(g); f.call(f);", "too deeply"),
        ("fn f(x) { [x].map(|y| f(y)) } f(1);", "too deeply"),
        (r#"let s = "eval(s)"; eval(s);"#, "disabled"),
        (r#"let s = "["; s.pad(1000000, '['); parse_json(s);"#, "recursion limit"),
        (r#"volume::of_structure(structure::bundled("fept_1.5nm"), #{ edge: 1e6 });"#, "must have 4 to 1000 an edge"),
        (
            r#"microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 1000000000 });"#,
            "GiB",
        ),
        ("set_threads(1000000);", "from 1 to"),
    ];
    for (script, part) in attempts {
        place.refuses(script, &[], &[part]);
    }
}

#[test]
fn texts_of_scripts_are_bounded() {
    let place = Place::new();
    let n = 100_000;
    let nested = "too deep in each other";
    let attempts = [
        (["(".repeat(n), ")".repeat(n)].concat(), nested),
        (["{".repeat(n), "}".repeat(n)].concat(), nested),
        (["[".repeat(n), "]".repeat(n)].concat(), nested),
        (format!("let x = {}true;", "!".repeat(n)), nested),
        (format!("let x = 1{};", " + 1".repeat(n)), nested),
        (format!("let x = 1; x{};", ".a".repeat(n)), nested),
        (format!("if false {{}}{}", " else if false {}".repeat(n)), nested),
        (format!("let x = {}1{};", "`${".repeat(n), "}`".repeat(n)), nested),
        ((0..20_000).map(|i| format!("let v{i} = 1;\n")).collect(), "too many variables"),
        ((0..20_000).map(|i| format!("fn f{i}() {{}}\n")).collect(), "too many functions"),
        (format!("// {}", "x".repeat(5 << 20)), "more than 4 MiB"),
    ];
    for (script, part) in attempts {
        place.refuses(&script, &[], &[part]);
    }
    fs::write(place.path("work/long.rhai"), format!("// {}", "x".repeat(5 << 20))).unwrap();
    place.refuses("import \"long\" as long;", &[], &["long.rhai", "more than 4 MiB"]);
}

#[test]
fn imports_come_to_an_end() {
    let place = Place::new();
    let write = |name: &str, text: &str| fs::write(place.path("work").join(name), text).unwrap();
    // every name is another, the file is the same
    write("again.rhai", "import \"./again\" as again;");
    place.refuses("import \"again\" as again;", &[], &["imports itself"]);
    write("round.rhai", "import \"turn\" as turn;");
    symlink("round.rhai", place.path("work/turn.rhai")).unwrap();
    place.refuses("import \"round\" as round;", &[], &["imports itself"]);
    for i in 0..100 {
        write(&format!("m{i}.rhai"), &format!("import \"m{}\" as next;", i + 1));
    }
    place.refuses("import \"m0\" as m;", &[], &["more than 32 deep"]);
    symlink("loop_b", place.path("work/loop_a")).unwrap();
    symlink("loop_a", place.path("work/loop_b")).unwrap();
    place.refuses(r#"store::structure("loop_a/x.xyz")"#, &[], &["go in circles"]);
}

#[test]
fn time_is_bounded_if_asked() {
    let place = Place::new();
    let scripts = [
        "loop { let x = 1; }",
        "loop { try { let x = 1; } catch { } }",
        "for i in 0..9223372036854775807 { let x = i; }",
        "sleep(1000000000);",
        "sleep(1e300);",
        "loop { print(1); }",
        "let a = []; loop { a = [a]; }",
        "let f = || 0; loop { let g = f; f = || g.call(); }",
        r#"let f = Fn("x"); loop { f = Fn("y").curry(f); }"#,
        r#"let s = "a"; s.pad(1000, 'a'); let a = []; a.pad(1000, s); loop { a.sort(|x, y| 0); }"#,
        r#"microscope::simulate(structure::bundled("pbse_2.5nm"), microscope::paper(), #{ method: "kinematic", n: 20000, size: 200 });"#,
    ];
    for script in scripts {
        let start = Instant::now();
        place.refuses(script, &["--max-time", "0.5"], &["stopped after 0.5 s", "--max-time", "script.rhai:1:"]);
        assert!(start.elapsed() < Duration::from_secs(5), "{script}: {:?}", start.elapsed());
    }
    assert_done(&place.run("sleep(0.1); print(1);", &["--max-time", "60"]), "1\n");
}

/// A reader that does not read, and so keeps the script from looking at the clock.
#[test]
fn time_is_bounded_while_nobody_reads_the_results() {
    let folder = folder_with("script.rhai", "loop { print(\"a line of a few words\"); }");
    let start = Instant::now();
    let mut child =
        pedesis(folder.path()).args(["run", "script.rhai", "--max-time", "0.5"]).spawn().expect("the binary starts");
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn memory_is_bounded_if_asked() {
    let place = Place::new();
    let scripts = [
        r#"let all = #{}; let i = 0; loop { let a = []; a.pad(3000000, 0); all["a" + i] = || a; i += 1; }"#,
        "let f = || 0; loop { let g = f; let a = []; a.pad(10000, 0); f = || a.len() + g.call(); }",
        r#"let p = structure::bundled("fept_1.5nm"); let all = []; loop { all.push(volume::of_structure(p)); }"#,
    ];
    for script in scripts {
        place.refuses(
            script,
            &["--max-memory", "0.3"],
            &["0.3 GiB of memory that --max-memory says", "script.rhai:1:"],
        );
    }
    assert_done(&run_script("print(1);", &["--max-memory", "1"]), "1\n");
}

#[test]
fn sleep_ends_with_an_interrupt() {
    let folder = folder_with("script.rhai", "print(1); sleep(1000);");
    let mut child = pedesis(folder.path()).args(["run", "script.rhai"]).spawn().unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let start = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn at_the_prompt_everything_is_open_but_values_are_bounded() {
    let place = Place::new();
    let lines = place.filled(
        "print(store::structure(\"OUTSIDE/secret.xyz\").len())\nimport \"OUTSIDE/secret\" as s;\ns::f()\nlet t = \"x\"; loop { t += t; }\npath::make_dirs(\"OUTSIDE/made\")\nprint(\"still here\")\n",
    );
    let mut child = pedesis(&place.path("work")).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "2\n42\nstill here\n"), "{}", run.stderr);
    assert!(run.stderr.contains("more than 16 MiB"), "{}", run.stderr);
    assert!(place.path("outside/made").is_dir());
}

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
