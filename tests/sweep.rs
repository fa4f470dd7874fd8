//! Sweeps: tables of results, worker processes, and what a kill leaves behind.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, folder_with, pedesis, run_script};

/// Runs `script.rhai` of a folder.
fn run(folder: &Path, arguments: &[&str]) -> Run {
    pedesis(folder).args(["run", "script.rhai"]).args(arguments).output().expect("the binary starts").into()
}

fn assert_prints(script: &str, expected: &[&str]) {
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected, "{}", run.stderr);
}

/// Runs a script that is to fail, and looks for words in what it says.
fn assert_fails(script: &str, arguments: &[&str], parts: &[&str]) {
    let run = run_script(script, arguments);
    assert_eq!(run.status, Some(1), "{script}: {}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{script}: no {part:?} in\n{}", run.stderr);
    }
}

const TABLE: &str = r#"let t = table::from_rows(["low_pass", "seed", "rmsd_pm", "good"],
    [[1.5, 1, 2.0, true], [1.0, 1, 5.0, false], [1.0, 2, 7.0, true], [1.5, 2, (), ()]]);
"#;

#[test]
fn tables_are_filtered_sorted_averaged_and_widened() {
    let script = TABLE.to_owned()
        + r#"
        print(t.filter(|row| row.rmsd_pm != () && row.rmsd_pm < 6).sort("rmsd_pm").column("low_pass"));
        print(t.group(["low_pass"]));
        print(t.row(-1));
        print(t.rows().len());
        print(t.with_column("twice", |row| if row.rmsd_pm == () { () } else { 2 * row.rmsd_pm }).column("twice"));
        print(t.append(table::from_rows(["seed", "found"], [[9, 124]])).row(4));
    "#;
    assert_prints(
        &script,
        &[
            "[1.5, 1.0]",
            "low_pass  seed   seed_sd  rmsd_pm  rmsd_pm_sd  n",
            "     1.5   1.5  0.707107        2              2",
            "       1   1.5  0.707107        6     1.41421  2",
            r##"#{"good": (), "low_pass": 1.5, "rmsd_pm": (), "seed": 2}"##,
            "4",
            "[4.0, 10.0, 14.0, ()]",
            r##"#{"found": 124, "good": (), "low_pass": (), "rmsd_pm": (), "seed": 9}"##,
        ],
    );
}

#[test]
fn tables_come_back_from_csv_and_hdf5_as_they_were() {
    let script = TABLE.to_owned()
        + r#"
        let t = t.with_column("third", |row| row.seed / 3.0).with_column("note", ["a, b", "\"Å\"", (), "7"]);
        for name in ["t.csv", "t.h5"] {
            t.save(name);
            let back = table::read(name);
            print(back.columns() == t.columns() && back.rows() == t.rows());
        }
        store::write("run.h5", #{ results: t });
        print(store::read("run.h5").results.rows() == t.rows());
        t.save("t.json");
        print(t.rows()[0].third == 1 / 3.0);
    "#;
    let folder = folder_with("script.rhai", &script);
    let ran = run(folder.path(), &[]);
    assert_eq!(ran.stdout, "true\ntrue\ntrue\ntrue\n", "{}", ran.stderr);
    let info: Run = pedesis(folder.path()).args(["info", "t.h5"]).output().unwrap().into();
    assert!(info.stdout.contains("table of 4 rows: low_pass, seed, rmsd_pm, good, third, note"), "{}", info.stdout);
    let python = r#"
import h5py, csv
with h5py.File("t.h5") as f:
    t = f["table"]
    print(t.attrs["pedesis_type"], t.attrs["columns"], list(t["seed"][:]), list(t["third"][:2]))
print(next(csv.DictReader(open("t.csv")))["note"])
"#;
    let python = Command::new("python3").args(["-c", python]).current_dir(folder.path()).output();
    let Ok(python) = python.map(Run::from) else { return eprintln!("skipped: no python3") };
    if python.stderr.contains("No module named 'h5py'") {
        return eprintln!("skipped: no h5py");
    }
    assert!(python.stdout.contains(r#"table ["low_pass","seed""#), "{}{}", python.stdout, python.stderr);
    assert!(python.stdout.ends_with("a, b\n"), "{}{}", python.stdout, python.stderr);
}

#[test]
fn a_wrong_name_or_row_of_a_table_is_told() {
    for (call, parts) in [
        ("t.sort(\"rmsd\")", &["there is no column \"rmsd\"", "did you mean \"rmsd_pm\"?", "script.rhai:3:"][..]),
        ("t.group([\"lowpass\"])", &["did you mean \"low_pass\"?"]),
        ("t.group([1])", &["the name of a column is a string, not an int"]),
        ("t.column(\"x\")", &["there is no column \"x\""]),
        ("t.row(4)", &["there is no row 4: the table has 4"]),
        ("t.filter(|row| 3)", &["gives true or false"]),
        ("t.with_column(\"x\", [1])", &["1 values, but the table has 4 rows"]),
        ("t.with_column(\"x\", |row| [1])", &["an array does not fit into a cell"]),
        ("t.save(\"t.txt\")", &[".csv, .md, .json or .h5"]),
        ("table::read(\"script.rhai\")", &["a table is read from .csv or .h5"]),
        ("table::read(\"none.csv\")", &["cannot read the table none.csv"]),
        ("plot::table(t, #{ x: \"low_pass\", y: \"rmsd\" })", &["did you mean \"rmsd_pm\"?"]),
        ("plot::table(t, #{ x: \"low_pass\", y: \"good\" })", &["no row has numbers in both columns"]),
        ("table::from_rows([\"a\", \"a\"], [])", &["the column \"a\" is there twice"]),
    ] {
        assert_fails(&format!("{TABLE}{call};"), &[], parts);
    }
}

#[test]
fn sweeps_give_a_row_for_each_point_in_a_fixed_order() {
    assert_prints(
        r#"
        print(sweep::grid(#{ seed: 1..=2, low_pass: [2, 1.5] }, |p| #{ z: p.seed * p.low_pass, a: "x", none: 0.0 / 0.0 }));
        print(sweep::list([#{ n: 1 }, #{ n: 2 }], |p| p.n > 1));
        let t = sweep::random(#{ x: [1, 2], n: 1..4 }, 50, #{ seed: 7 }, |p| p.x);
        print(t.filter(|row| row.x < 1 || row.x >= 2 || row.n < 1 || row.n > 3 || row.value != row.x).len());
        print(t.rows() == sweep::random(#{ x: [1, 2], n: 1..4 }, 50, #{ seed: 7 }, |p| p.x).rows());
        print(t.column("x") == sweep::random(#{ x: [1, 2], n: 1..4 }, 50, |p| p.x).column("x"));
        let count = 0;
        sweep::list([#{ n: 1 }, #{ n: 2 }], |p| { count += 1; print(count); });
        print(count);
        "#,
        &[
            "low_pass  seed  a  none    z",
            "       2     1  x          2",
            "       2     2  x          4",
            "     1.5     1  x        1.5",
            "     1.5     2  x          3",
            "n  value",
            "1  false",
            "2  true",
            "0",
            "true",
            "false",
            "1",
            "1",
            "0",
        ],
    );
}

#[test]
fn the_smallest_value_of_a_valley_is_found() {
    let script = r#"
        let found = sweep::minimize(#{ defocus: [-100, 100], c3: [-1.0, 1.0] },
            |p| if p.c3 > 0.9 { fail("too much") } else { (p.defocus - 60) ** 2 / 1000 + (p.c3 - 0.2) ** 2 });
        print(found.best.defocus > 59 && found.best.defocus < 61 && found.best.c3 > 0.15 && found.best.c3 < 0.25);
        print(found.value == found.table.sort("value").row(0).value && found.table.len() <= 100);
        print(found.table.columns());
    "#;
    let run = run_script(script, &[]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..2], ["true", "true"], "{}{}", run.stdout, run.stderr);
    assert!(
        lines[2].starts_with(r#"["defocus", "c3", "value""#) || lines[2].starts_with(r#"["c3", "defocus", "value""#)
    );
}

#[test]
fn what_a_sweep_cannot_do_is_told_before_the_first_point() {
    for (call, parts) in [
        ("sweep::grid(#{ a: 3 }, |p| 1)", &["parameter \"a\" needs an array of values or a range, not an int"][..]),
        ("sweep::grid(#{ a: [] }, |p| 1)", &["has no values"]),
        ("sweep::grid(#{ a: [[1]] }, |p| 1)", &["parameter \"a\" takes numbers"]),
        ("sweep::grid(#{ a: 0..2000, b: 0..2000 }, |p| 1)", &["more than 1000000 combinations"]),
        ("sweep::grid(#{ a: [1] }, || 1)", &["one map of parameters; write it as |p| …"]),
        ("sweep::grid(#{ a: [1] }, |a, b| 1)", &["not with 2 parameters"]),
        ("sweep::list([1], |p| 1)", &["point 0 is a map"]),
        ("sweep::list([#{ a: 1 }, #{ b: 1 }], |p| 1)", &["point 1 has other parameters"]),
        ("sweep::random(#{ a: [2, 1] }, 3, |p| 1)", &["cannot be drawn from 2 to 1"]),
        ("sweep::random(#{ a: [1, 2, 3] }, 3, |p| 1)", &["needs its bounds, [low, high]"]),
        ("sweep::random(#{ a: [1, 2] }, -1, |p| 1)", &["is not negative"]),
        ("sweep::random(#{ a: [1, 2] }, 1, #{ sed: 1 }, |p| 1)", &["did you mean \"seed\"?"]),
        ("sweep::minimize(#{}, |p| 1)", &["there is no parameter to vary"]),
        ("sweep::minimize(#{ a: [0, 1] }, |p| \"x\")", &["gives a number"]),
        ("sweep::minimize(#{ a: [0, 1] }, |p| ())", &["no point of the search has a number"]),
    ] {
        assert_fails(&format!("{call};"), &[], parts);
    }
    let captured = "let f = |x| x; sweep::grid(#{ a: [1] }, |p| { print(`point`); f.call(1) });";
    let run = run_script(captured, &["--workers", "2"]);
    assert!(run.status == Some(1) && run.stdout.is_empty(), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("what the closure uses cannot be stored: f: a closure cannot be kept"),
        "{}",
        run.stderr
    );
}

/// Captures values of several types, calls functions, constants and modules.
const RICH: &str = r#"
import "two_step" as two_step;
import "lib" as lib;
const OFFSET = 10;
fn shifted(x) { x + global::OFFSET }
let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 6, size: 64, seed: 3 });
let weights = #{ a: [1.0, 1.0 / 3.0], "b c": "Å" };
let t = sweep::grid(#{ n: 0..6, kind: ["x", "y"] }, |p| {
    if p.n == 2 && p.kind == "y" { lib::refuse(p.n) }
    let noisy = images.add_noise(#{ snr: 0.5, seed: p.n });
    #{ power: noisy.pixel_size() * weights.a[1], text: `${p.kind} ${weights["b c"]} ${noisy}`, shifted: shifted(p.n), lib: lib::twice(p.n), threads_do_not_matter: true }
});
t.save("t.csv");
t.save("t.h5");
print(lib::swept());
"#;
const LIB: &str = "const BASE = 100;\nfn twice(x) { 2 * x }\nfn helper(x) { x + global::BASE }\nfn refuse(n) {\n    fail(`no ${n}`)\n}\n\
    fn swept() { let by = 3; sweep::grid(#{ a: [1, 2] }, |p| helper(p.a) * by).column(\"value\") }\n";

#[test]
fn tables_are_the_same_for_any_number_of_workers() {
    let folder = folder_with("script.rhai", RICH);
    fs::write(folder.path().join("lib.rhai"), LIB).unwrap();
    let mut tables = Vec::new();
    for arguments in [&[][..], &["--workers", "1"], &["--workers", "3", "--threads", "2"]] {
        let ran = run(folder.path(), arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), "[303, 306]\n"), "{}", ran.stderr);
        for part in ["1 of 12 points failed; the first (kind y, n 2): no 2 (lib.rhai:5:5)", "--resume does the points"]
        {
            assert!(ran.stderr.contains(part), "{}", ran.stderr);
        }
        tables.push(fs::read_to_string(folder.path().join("t.csv")).unwrap());
        let options = |run: &Path| pedesis::store::read_h5(run).unwrap().provenance.unwrap().options;
        assert!(options(&folder.path().join("t.h5")).to_string().contains("add_noise"));
    }
    assert!(
        tables[0].lines().count() == 13
            && tables[0].starts_with("kind,n,lib,power,shifted,text,threads_do_not_matter,error\n"),
        "{}",
        tables[0]
    );
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[0], tables[2]);
}

#[test]
fn a_run_that_ends_well_leaves_no_journal_and_prints_of_workers_arrive() {
    let folder = folder_with(
        "script.rhai",
        "let a = args(#{ out: \"out\" });\nsweep::grid(#{ n: 0..5 }, |p| { print(p.n); warn(`w ${p.n}`); });",
    );
    let ran = run(folder.path(), &["--workers", "2"]);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!((ran.status, lines), (Some(0), vec!["0", "1", "2", "3", "4"]), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: w 3"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_worker_that_always_dies_loses_its_point_alone() {
    // memory of its own pid is not for scripts, so that the script asks the test to kill it
    let script = "let t = sweep::grid(#{ n: 0..4 }, |p| { if p.n == 1 { path::make_dirs(\"kill\"); sleep(60); } p.n });\nt.save(\"t.csv\");";
    let folder = folder_with("script.rhai", script);
    let mut child = start(folder.path(), &["--workers", "2"]);
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        if folder.path().join("kill").exists() {
            std::thread::sleep(Duration::from_millis(150));
            fs::remove_dir(folder.path().join("kill")).unwrap();
            workers(child.id()).into_iter().for_each(|pid| kill("-KILL", pid));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran: Run = child.wait_with_output().unwrap().into();
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("point 1 (n 1) failed: its worker died 3 times"), "{}", ran.stderr);
    let table = fs::read_to_string(folder.path().join("t.csv")).unwrap();
    assert!(
        table.starts_with("n,value,error\n0,0,\n1,,its worker died 3 times") && table.ends_with("2,2,\n3,3,\n"),
        "{table}"
    );
    let info: Run = pedesis(folder.path()).args(["info", "script.sweep-1"]).output().unwrap().into();
    assert!(info.stdout.contains("3 of 4 points") && info.stdout.contains("n 1: its worker died"), "{}", info.stdout);
}

/// Starts `script.rhai` of a folder.
fn start(folder: &Path, arguments: &[&str]) -> Child {
    pedesis(folder).args(["run", "script.rhai"]).args(arguments).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill(signal: &str, pid: u32) {
    // it may have ended in the meantime
    let _ = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// The processes that have `parent` for a parent.
fn workers(parent: u32) -> Vec<u32> {
    let children = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = children.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Forty points of about a tenth of a second, time for all kills, each of which says that it has begun; results with all bits.
const STORM: &str = r#"
let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 3, size: 64, seed: 3 });
let t = sweep::grid(#{ seed: 0..10, snr: [0.1, 0.2, 0.4, 0.8] }, |p| {
    print(`${p.seed} ${p.snr}`);
    sleep(0.1);
    #{ third: p.seed / 3.0 * p.snr, text: images.add_noise(#{ snr: p.snr, seed: p.seed }).info() }
});
t.save("t.csv");
"#;

/// Random enough for moments of kills, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }
}

/// Runs the storm script to its end through kills of the run, or of its workers; how often each point was begun.
fn through_kills(folder: &Path, arguments: &[&str], kills: usize) -> (usize, BTreeMap<String, usize>) {
    let mut dice = Dice(7);
    let (mut killed, mut begun) = (0, BTreeMap::new());
    for _ in 0..200 {
        let mut child = start(folder, arguments);
        while child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(30 + dice.roll(250)));
            if killed == kills || child.try_wait().unwrap().is_some() {
                continue;
            }
            let crew = workers(child.id());
            let victim = if crew.is_empty() || dice.roll(2) == 0 {
                child.id()
            } else {
                crew[dice.roll(crew.len() as u64) as usize]
            };
            kill("-KILL", victim);
            killed += 1;
        }
        let ran: Run = child.wait_with_output().unwrap().into();
        for line in ran.stdout.lines() {
            *begun.entry(line.to_owned()).or_default() += 1;
        }
        match ran.status {
            Some(0) => return (killed, begun),
            status => assert_eq!(status, None, "{}", ran.stderr),
        }
    }
    panic!("the sweep does not end");
}

#[test]
fn a_sweep_survives_a_storm_of_kills_and_ends_as_if_nothing_had_been() {
    let table = |folder: &Path| fs::read_to_string(folder.join("t.csv")).unwrap();
    let whole = folder_with("script.rhai", STORM);
    let ran = run(whole.path(), &[]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(table(whole.path()).lines().count(), 41);
    for arguments in [&["--resume", "--workers", "2"][..], &["--resume"]] {
        let broken = folder_with("script.rhai", STORM);
        let (killed, begun) = through_kills(broken.path(), arguments, 20);
        assert_eq!(table(whole.path()), table(broken.path()), "{arguments:?}");
        // what is done is not done again: a kill costs a point a worker at most
        let again: usize = begun.values().map(|times| times - 1).sum();
        assert!(
            killed >= 15 && begun.len() == 40 && again <= 2 * killed,
            "{arguments:?}: {killed} kills, {again} again"
        );
        assert!(!broken.path().join("script.sweep-1").exists());
    }
}

#[test]
fn what_has_changed_is_not_resumed_and_what_is_begun_anew_is_put_aside() {
    let script = |factor: &str| {
        format!(
            "let f = {factor};\nlet t = sweep::grid(#{{ n: 0..8 }}, |p| {{ print(p.n); sleep(0.05); p.n * f }});\nt.save(\"t.csv\");"
        )
    };
    let folder = folder_with("script.rhai", &script("2"));
    let mut child = start(folder.path(), &[]);
    let journal = folder.path().join("script.sweep-1/journal.jsonl");
    let lines = || fs::read_to_string(&journal).unwrap_or_default().lines().count();
    let begun = Instant::now();
    while lines() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(30) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done = lines() - 1;
    let info: Run = pedesis(folder.path()).args(["info", "script.sweep-1"]).output().unwrap().into();
    assert!(info.stdout.contains(&format!("{done} of 8 points")), "{}", info.stdout);

    fs::write(folder.path().join("script.rhai"), script("3")).unwrap();
    let refused = run(folder.path(), &["--resume"]);
    assert!(refused.status == Some(1) && refused.stdout.is_empty(), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("cannot resume the sweep in script.sweep-1: it is of another run"),
        "{}",
        refused.stderr
    );

    fs::write(folder.path().join("script.rhai"), script("2")).unwrap();
    let resumed = run(folder.path(), &["--resume"]);
    assert_eq!((resumed.status, resumed.stdout.lines().count()), (Some(0), 8 - done), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains(&format!("sweep 1: {done} of 8 points kept from the last run")),
        "{}",
        resumed.stderr
    );
    assert!(!journal.exists());

    // begun anew, the old points are put aside
    let fails = script("2") + "fail(\"later\");";
    fs::write(folder.path().join("script.rhai"), &fails).unwrap();
    assert_eq!(run(folder.path(), &[]).status, Some(1));
    let anew = run(folder.path(), &[]);
    assert!(anew.stderr.contains("8 points that an earlier run has finished are put aside"), "{}", anew.stderr);
    let kept = run(folder.path(), &["--resume"]);
    assert_eq!(kept.stdout, "", "what was done before the script failed is done: {}", kept.stderr);
}

#[test]
fn points_that_have_read_what_has_changed_are_done_again() {
    let script = r#"
        let t = sweep::grid(#{ n: 0..4 }, |p| { print(p.n); if p.n < 3 { table::read(`${p.n % 2}.csv`).len() } else { 0 } });
        t.save("t.csv");
        if !path::exists("well") { fail("later"); }
    "#;
    let folder = folder_with("script.rhai", script);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("0.csv", "a\n1\n");
    write("1.csv", "a\n1\n");
    for arguments in [&["--resume"][..], &["--resume", "--workers", "2"]] {
        assert_eq!(run(folder.path(), arguments).status, Some(1));
        assert_eq!(run(folder.path(), arguments).stdout, "");
        write("0.csv", "a\n1\n2\n");
        let ran = run(folder.path(), arguments);
        let mut lines: Vec<&str> = ran.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["0", "2"], "{}", ran.stderr);
        assert!(ran.stderr.contains("0.csv has changed since it was read; 2 points are done again"), "{}", ran.stderr);
        let table = fs::read_to_string(folder.path().join("t.csv")).unwrap();
        assert_eq!(table, "n,value\n0,2\n1,1\n2,2\n3,0\n");
        write("0.csv", "a\n1\n");
    }
}

#[test]
fn a_search_is_recorded_once_with_workers_too() {
    let script = r#"
        let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 3, size: 64, seed: 3 });
        sweep::minimize(#{ snr: [0.1, 1.0] }, #{ evaluations: 3 }, |p| { images.add_noise(#{ snr: 0.5, seed: 1 }); p.snr }).table.save("t.h5");
    "#;
    let folder = folder_with("script.rhai", script);
    let options = [&[][..], &["--workers", "2"]].map(|arguments| {
        assert_eq!(run(folder.path(), arguments).status, Some(0));
        pedesis::store::read_h5(&folder.path().join("t.h5")).unwrap().provenance.unwrap().options
    });
    assert_eq!(options[0], options[1]);
}

#[test]
fn workers_get_lattices_cells_and_liquids() {
    let script = r#"
        let lattice = structure::wurtzite(["Cd", "Se"], 4.3, 7.01);
        let cell = cell::paper(#{ size: [40, 40, 100.0 / 3.0] });
        let liquid = cell::liquid("water").snapshot(3);
        print(sweep::grid(#{ n: 1..3 }, |p| #{
            atoms: structure::sphere(lattice, 10.0 * p.n).len(), cell: cell.info(), liquid: liquid.info(),
            first: cell.fill(structure::bundled("fept_1.5nm"), #{ seed: p.n }).structure.info(),
        }).rows());
    "#;
    let [here, there] = [&[][..], &["--workers", "2"]].map(|arguments| run_script(script, arguments));
    assert!(here.status == Some(0) && here.stdout.contains("water"), "{}{}", here.stdout, here.stderr);
    assert_eq!(here.stdout, there.stdout, "{}", there.stderr);
}

#[test]
fn an_interrupt_or_the_death_of_the_run_ends_all_workers_at_once() {
    for signal in ["-INT", "-KILL"] {
        let folder = folder_with(
            "script.rhai",
            "print(\"ready\");\nsweep::grid(#{ n: 0..8 }, |p| { path::make_dirs(`at ${p.n}`); sleep(60); });",
        );
        let mut child = start(folder.path(), &["--workers", "3"]);
        let begun = Instant::now();
        while !(0..3).all(|n| folder.path().join(format!("at {n}")).exists()) {
            assert!(begun.elapsed() < Duration::from_secs(30) && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        let crew = workers(child.id());
        assert!(crew.len() == 3 && crew.iter().all(|pid| is_alive(*pid)));
        kill(signal, child.id());
        let start = Instant::now();
        let status = child.wait().unwrap();
        while crew.iter().any(|pid| is_alive(*pid)) {
            assert!(start.elapsed() < Duration::from_millis(500), "{signal}: a worker is left");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(start.elapsed() < Duration::from_millis(500));
        assert_eq!(status.code(), (signal == "-INT").then_some(130));
    }
}

#[test]
fn workers_stand_under_the_permissions_and_limits_of_the_run() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.csv");
    fs::write(&secret, "a\n1\n").unwrap();
    let script = format!(
        "print(sweep::list([#{{ n: 1 }}, #{{ n: 2 }}], |p| if p.n == 1 {{ 1 }} else {{ table::read({secret:?}).len() }}).column(\"value\"));"
    );
    let closed = run_script(&script, &["--workers", "2"]);
    assert!(closed.status == Some(1) && closed.stderr.contains("it is closed to this script"), "{}", closed.stderr);
    let open = run_script(&script, &["--workers", "2", "--allow-read", secret.to_str().unwrap()]);
    assert_eq!((open.status, open.stdout.as_str()), (Some(0), "[1, 1]\n"), "{}", open.stderr);
    let start = Instant::now();
    let late = run_script("sweep::grid(#{ n: 0..4 }, |p| sleep(60));", &["--workers", "2", "--max-time", "1"]);
    assert!(late.status == Some(1) && late.stderr.contains("--max-time"), "{}", late.stderr);
    assert!(start.elapsed() < Duration::from_secs(3));
    let large = "sweep::grid(#{ n: 0..4 }, |p| { let a = []; a.pad(3900000, 1); let b = a; let c = b; sleep(20); });";
    let large = run_script(large, &["--workers", "2", "--max-memory", "0.2"]);
    assert!(large.status == Some(1) && large.stderr.contains("--max-memory"), "{}", large.stderr);
}

#[test]
fn two_workers_do_fifty_trivial_points_a_second() {
    let folder = folder_with("script.rhai", "print(sweep::grid(#{ n: 0..200 }, |p| p.n).len());");
    let start = Instant::now();
    let ran = run(folder.path(), &["--workers", "2"]);
    assert_eq!(ran.stdout, "200\n", "{}", ran.stderr);
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < 4.0, "{seconds} s for 200 points");
}
