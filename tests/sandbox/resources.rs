//! Values, texts, time and memory are bounded.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Run, folder_with, pedesis, run_script};
use crate::place::{Place, assert_done};

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
