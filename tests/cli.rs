//! The command line as a user meets it: the real binary, its exit status, its two streams.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, folder_with, pedesis, run_script};

const ARGUMENTS: &str = r#"let a = args(#{ images: required("file"), pixel_size: 0.25, seed: 1, strategy: choice(["two_step", "single_step"]) });
print(`${a.pixel_size} ${a.seed} ${a.strategy}`);
"#;

fn assert_fails(run: &Run, status: i32, parts: &[&str]) {
    assert_eq!(run.status, Some(status), "{}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{part:?} is missing in:\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn results_go_to_standard_output_and_messages_to_standard_error() {
    let run = run_script("print(1 + 1); warn(\"careful\"); debug(3);", &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "2\n"));
    assert!(run.stderr.contains("warning: careful") && run.stderr.contains("script.rhai:1:"), "{}", run.stderr);
}

#[test]
fn declared_arguments_take_their_type_from_the_declaration() {
    let run = run_script(ARGUMENTS, &["images=script.rhai", "pixel_size=1", "strategy=single_step"]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "1.0 1 single_step\n"), "{}", run.stderr);
}

#[test]
fn a_bad_argument_is_the_fault_of_the_command_line_and_stops_before_any_work() {
    let script = format!("{ARGUMENTS}path::make_dirs(\"out\");");
    assert_fails(&run_script(&script, &["pixelsize=1"]), 2, &["unknown argument \"pixelsize\"", "\"pixel_size\"?"]);
    assert_fails(&run_script(&script, &[]), 2, &["missing argument images=", "path of a file"]);
    let file = "images=script.rhai";
    assert_fails(&run_script(&script, &[file, "pixel_size=big"]), 2, &["pixel_size=big", "expected a number"]);
    assert_fails(&run_script(&script, &[file, "seed=1.5"]), 2, &["seed=1.5", "expected a whole number"]);
    assert_fails(&run_script(&script, &[file, "strategy=one"]), 2, &["one of two_step, single_step"]);
    assert_fails(&run_script(&script, &[file, file]), 2, &["twice"]);
    assert_fails(&run_script(&script, &["images"]), 2, &["name=value"]);
    assert_fails(&run_script("print(1);", &["seed=1"]), 2, &["takes no arguments", "seed"]);
}

#[test]
fn no_script_can_catch_a_fault_of_the_command_line() {
    let script = "try { args(#{ seed: 1 }); } catch (error) { print(error); }";
    assert_fails(&run_script(script, &["sed=1"]), 2, &["did you mean \"seed\"?"]);
}

#[test]
fn a_missing_input_file_is_the_fault_of_the_input() {
    assert_fails(
        &run_script(ARGUMENTS, &["images=none.mrc"]),
        1,
        &["script.rhai:1:9", "images=none.mrc", "does not exist"],
    );
    assert_fails(&run_script(ARGUMENTS, &["images=."]), 1, &["is a folder"]);
}

#[test]
fn arguments_are_declared_once() {
    assert_fails(&run_script("args(#{});\nargs(#{});", &[]), 1, &["script.rhai:2:1", "called before"]);
}

#[test]
fn a_missing_script_or_command_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Run::from(pedesis(folder.path()).args(arguments).output().unwrap());
    assert_fails(&run(&["run", "none.rhai"]), 1, &["none.rhai"]);
    assert_fails(&run(&["run"]), 2, &["SCRIPT"]);
    assert_fails(&run(&["rum", "x"]), 2, &["run"]);
    assert_fails(&run(&["run", "x.rhai", "--threads", "0"]), 2, &["--threads"]);
}

#[test]
fn a_syntax_error_shows_its_place_and_runs_nothing() {
    let run = run_script("print(1);\nlet x = ;\n", &[]);
    assert_fails(&run, 1, &["script.rhai:2:9", "let x = ;", "syntax error"]);
    assert_eq!(run.stdout, "");
}

#[test]
fn a_runtime_error_shows_file_line_column_and_the_calls_around_it() {
    let script = "fn outer(x) {\n    inner(x)\n}\nfn inner(x) { fail(`no ${x}`) }\nouter(3);\n";
    assert_fails(&run_script(script, &[]), 1, &["no 3", "script.rhai:4:15", "inner, called at script.rhai:2:5"]);
}

#[test]
fn an_error_in_an_imported_file_shows_that_file() {
    let folder = folder_with("lib.rhai", "fn f() {\n    fail(\"here\")\n}\n");
    std::fs::write(folder.path().join("script.rhai"), "import \"lib\" as lib;\nlib::f();\n").unwrap();
    let run = Run::from(pedesis(folder.path()).args(["run", "script.rhai"]).output().unwrap());
    assert_fails(&run, 1, &["lib.rhai:2:5", "script.rhai:2:6"]);
    let circle = run_script("import \"script\" as script;", &[]);
    assert_fails(&circle, 1, &["imports itself"]);
}

#[test]
fn misspelt_names_come_with_the_nearest() {
    let option = "let p = structure::rocksalt([\"Pb\", \"Se\"], 6.12).sphere(20, #{ random_center: true });";
    assert_fails(
        &run_script(option, &[]),
        1,
        &["unknown option \"random_center\"", "did you mean \"random_centre\"?", "script.rhai:1:63"],
    );
    let ill_typed = "structure::rocksalt([\"Pb\", \"Se\"], 6.12).sphere(20, #{ seed: \"one\" });";
    assert_fails(&run_script(ill_typed, &[]), 1, &["option \"seed\"", "expected a whole number", "\"one\""]);
    assert_fails(&run_script("structure::bundle(\"x\");", &[]), 1, &["did you mean \"structure::bundled\"?"]);
    assert_fails(&run_script("structre::bundled(\"x\");", &[]), 1, &["did you mean \"structure\"?"]);
    assert_fails(
        &run_script("two_step::defaults();", &[]),
        1,
        &["it is to be imported first: import \"two_step\" as two_step;"],
    );
    assert_fails(
        &run_script("let images = 1;\nprint(imges);", &[]),
        1,
        &["script.rhai:2:7", "did you mean \"images\"?"],
    );
    assert_fails(
        &run_script("structure::bundled(3);", &[]),
        1,
        &["must be a string, not an int", "bundled(name: string)"],
    );
}

#[test]
fn endless_recursion_is_an_error_and_not_a_crash() {
    assert_fails(&run_script("fn f(x) { 1 + f(x + 1) }\nf(1);", &[]), 1, &["too deeply"]);
    let closures = "fn f(x) { [x].map(|y| f(y + 1)) }\nf(1);";
    assert_fails(&run_script(closures, &[]), 1, &["too deeply"]);
    let brackets = format!("print({}1{});", "(".repeat(5000), ")".repeat(5000));
    assert_fails(&run_script(&brackets, &[]), 1, &["script.rhai:1"]);
}

#[test]
fn threads_come_from_the_command_line_or_the_script() {
    assert_eq!(run_script("print(threads());", &["--threads", "3"]).stdout, "3\n");
    let script = "let a = args(#{ threads: 1 });\nset_threads(a.threads);\nprint(threads());";
    assert_eq!(run_script(script, &["threads=2"]).stdout, "2\n");
    assert_fails(&run_script("set_threads(0);", &[]), 1, &["from 1 to"]);
}

#[test]
fn help_lists_explains_and_corrects() {
    let folder = tempfile::tempdir().unwrap();
    let help =
        |name: &str| Run::from(pedesis(folder.path()).args(["help"]).args(name.split_whitespace()).output().unwrap());
    assert!(help("").stdout.contains("structure"));
    assert!(help("structure").stdout.contains("bundled "));
    let page = help("structure::bundled").stdout;
    assert!(page.contains("structure::bundled(name: string) -> Structure") && page.contains("```rhai"), "{page}");
    assert_fails(&help("structure::bundeld"), 2, &["did you mean \"structure::bundled\"?"]);
}

#[test]
fn info_says_what_a_file_holds() {
    let folder = folder_with("script.rhai", "structure::bundled(\"fept_1.5nm\").save(\"fept.xyz\");");
    let run = |arguments: &[&str]| Run::from(pedesis(folder.path()).args(arguments).output().unwrap());
    assert_eq!(run(&["run", "script.rhai"]).status, Some(0));
    let info = run(&["info", "fept.xyz"]);
    assert!(info.status == Some(0) && info.stdout.contains("62 Fe, 62 Pt"), "{}{}", info.stdout, info.stderr);
    assert_fails(&run(&["info", "none.mrc"]), 1, &["none.mrc"]);
}

#[test]
fn results_remember_script_arguments_and_options() {
    let text = "args(#{ seed: 7 });\nlet p = structure::rocksalt([\"Pb\", \"Se\"], 6.12).sphere(15, #{ min_neighbours: 2 });\np.save(\"p.h5\");\n";
    let folder = folder_with("script.rhai", text);
    let run = Run::from(pedesis(folder.path()).args(["run", "script.rhai", "seed=9"]).output().unwrap());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let written = pedesis::store::read_h5(&folder.path().join("p.h5")).unwrap().provenance.unwrap();
    assert_eq!((written.script.as_str(), written.seed), (text, Some(9)));
    assert_eq!(written.arguments, serde_json::json!({ "seed": 9 }));
    assert_eq!(written.options[0]["function"], "sphere");
    assert_eq!(written.options[0]["options"]["min_neighbours"], 2);
    assert_eq!(written.options[0]["options"]["random_centre"], false);
}

#[test]
fn colours_stay_out_of_files_and_pipes() {
    let folder = folder_with("script.rhai", "fail(\"x\")");
    for no_color in [None, Some("1")] {
        let mut command = pedesis(folder.path());
        command.args(["run", "script.rhai"]).envs(no_color.map(|value| ("NO_COLOR", value)));
        assert!(!Run::from(command.output().unwrap()).stderr.contains('\u{1b}'));
    }
}

#[test]
fn an_interrupt_ends_a_script_within_a_second() {
    let (status, elapsed, stderr) = interrupted("print(\"ready\");\nloop { try { let x = 1; } catch {} }");
    assert_eq!((status, stderr.as_str()), (Some(130), "interrupted\n"));
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
}

#[test]
fn an_interrupt_ends_a_kernel_within_a_second() {
    let script = "print(\"ready\");\nlet truth = structure::bundled(\"pbse_2.5nm\");\n\
                  microscope::simulate(truth, microscope::paper(), #{ method: \"kinematic\", n: 20000, size: 200 });";
    let (status, elapsed, stderr) = interrupted(script);
    assert_eq!((status, stderr.as_str()), (Some(130), "interrupted\n"));
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
}

/// Runs a script that prints a line, interrupts it a little later; gives status, time it took to end, standard error.
fn interrupted(script: &str) -> (Option<i32>, Duration, String) {
    let folder = folder_with("script.rhai", script);
    let mut child = pedesis(folder.path()).args(["run", "script.rhai"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    let elapsed = start.elapsed();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (status.code(), elapsed, stderr)
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_work() {
    let folder = folder_with("script.rhai", "for i in 0..20000 { print(i); }\npath::make_dirs(\"done\");");
    let mut child = pedesis(folder.path()).args(["run", "script.rhai"]).spawn().unwrap();
    drop(child.stdout.take());
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    assert!(folder.path().join("done").is_dir());
}

#[test]
fn the_prompt_keeps_variables_functions_and_imports_and_survives_errors() {
    let folder = folder_with("lib.rhai", "fn twice(x) { 2 * x }\n");
    let lines = "let x = 20;\nfn next(n) {\n  n + 1\n}\nimport \"lib\" as lib;\nnope(x)\nlib::twice(next(x))\nhelp sweep::grid\nnope?\n";
    let mut child = pedesis(folder.path()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("42\n") && run.stdout.contains("sweep::grid(parameters: map)"), "{}", run.stdout);
    assert!(run.stderr.contains("there is no function nope(int)"), "{}", run.stderr);
    assert!(run.stderr.contains("prompt:6:1"), "{}", run.stderr);
    // nobody typed a call that could be pointed at
    assert!(run.stderr.contains("\"nope\"") && !run.stderr.contains("prompt:1:"), "{}", run.stderr);
}

#[test]
fn a_script_comes_from_a_pipe_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = pedesis(folder.path()).args(["run", "/dev/stdin"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"print(1 + 1);").unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "2\n", ""));
}

#[test]
fn functions_that_imported_modules_would_mix_up_are_refused() {
    let folder = common::folder_with("a.rhai", "fn run() { helper() }\nfn helper() { 1 }\n");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("b.rhai", "fn run() { helper() }\nfn helper() { 2 }\n");
    write("c.rhai", "fn run() { other() }\nfn other() { 3 }\nfn helper() { 4 }\n");
    let run = |text: &str| -> Run {
        write("main.rhai", text);
        pedesis(folder.path()).args(["run", "main.rhai"]).output().expect("the binary starts").into()
    };
    for (text, parts) in [
        (r#"import "a" as a; import "b" as b; print(a::run() + b::run());"#, ["a.rhai", "b.rhai", "helper"]),
        (r#"fn helper() { 5 } import "a" as a; print(a::run());"#, ["main.rhai", "a.rhai", "helper"]),
        (r#"fn limits() { [1] } import "two_step" as two_step;"#, ["main.rhai", "stdlib/marching.rhai", "limits"]),
    ] {
        let run = run(text);
        assert_eq!(run.status, Some(1), "{text}: {}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{text}: no {part:?} in\n{}", run.stderr);
        }
    }
    // a name that no module calls bare may stand in several
    let fine = run(
        r#"fn defaults() { 0 } import "a" as a; import "c" as c; import "auto" as auto; print(a::run() + c::run());"#,
    );
    assert_eq!((fine.status, fine.stdout.trim()), (Some(0), "4"), "{}", fine.stderr);
}

#[test]
fn the_language_s_own_functions_keep_no_errors_to_themselves() {
    let text = r#"
        let x = [3, 1, 2];
        for f in [|a, b| a.nosuch(), |a, b| throw "no order", |a, b| "x"] {
            for sorting in [|x| x.sort(f), |x| x.dedup(f)] {
                try { sorting.call(x); print("WENT ON"); } catch { }
            }
        }
        print(x);
        x.sort(|a, b| b - a);
        print(x);
        let pairs = [[1, "b"], [0, "c"], [1, "a"]];
        pairs.sort(|a, b| a[0] < b[0]);
        print(pairs);
        let mixed = [1.5, 2, -1];
        mixed.sort();
        print(mixed);
        let twice = [1, 1, 2, 2, 1];
        twice.dedup(|a, b| a == b);
        print(twice);
        print((0..3).map(|i| i * i) + (1..=2).map(|i| -i));
        print(sqrt(4) + ceiling(3) - 3.0 + [1, 2.5].sum() + [1, 3].mean());
    "#;
    let run = run_script(text, &[]);
    let expected =
        "[3, 1, 2]\n[3, 2, 1]\n[[0, \"c\"], [1, \"b\"], [1, \"a\"]]\n[-1, 1.5, 2]\n[1, 2, 1]\n[0, 1, 4, -1, -2]\n7.5\n";
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), expected), "{}", run.stderr);
    let run = run_script("[1, 2, 3].sort(|a, b| { loop { } })", &["--max-time", "0.3"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let run = run_script("fail(\"\\x1b[2J\")", &[]);
    assert!(!run.stderr.contains('\u{1b}') && run.stderr.contains("\\u{1b}[2J"), "{}", run.stderr);
    let run = run_script("[1, \"a\"].sort()", &[]);
    assert!(run.stderr.contains("cannot be sorted together"), "{}", run.stderr);
}

#[test]
fn pixels_go_out_and_come_back() {
    let text = r#"
        let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 3, size: 80 });
        let two = raw.select([2, 0]);
        print(two.len() + " " + two.true_poses().len());
        let again = images::from_pixels([two.pixels(0), two.pixels(1)], raw.pixel_size());
        let difference = again.minus(two);
        print(difference.info().contains("values 0.000 to 0.000"));
        two.select([1]).save("one.h5");
        print(store::images("one.h5").len());
        for wrong in [|| raw.select([3]), || raw.select([]), || raw.pixels(-1), || images::from_pixels([[[1, 2], [3]]], 0.25),
            || images::from_pixels([[[1, 2], [3, 1e300]]], 0.25), || images::from_pixels([[[1]]], 0)] {
            try { wrong.call(); print("WENT ON"); } catch (error) { print(error); }
        }
    "#;
    let run = run_script(text, &[]);
    let expected = "2 2\ntrue\n1\nthere is no image 3: there are 3, counted from 0\nno images are selected; give their numbers, as in [0, 1, 2]\n\
        there is no image -1: there are 3, counted from 0\nimage 0 is not 2 rows of 2 numbers; images are square and of one size\n\
        image 0 has a pixel that is no finite number\nthe pixel size must be a positive number of Å, not 0\n";
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), expected), "{}", run.stderr);
}
