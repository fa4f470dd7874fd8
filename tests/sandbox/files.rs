//! Files and folders: what a script may read and write, and ways round that.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;

use pedesis::script::help::Reference;

use crate::place::{IMAGES, Place, XYZ, assert_done, assert_refused};

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
