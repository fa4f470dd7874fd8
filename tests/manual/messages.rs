//! What a newcomer reads who makes a common mistake: where it is, in the words of the language, and what to do.

use crate::common::{Run, pedesis};

/// A script, the place of the mistake in it, and parts of what is said.
type Case = (&'static str, &'static str, &'static [&'static str]);

const PARTICLE: &str = "let s = structure::bundled(\"fept_1.5nm\");\n";
const TWO_STEP: &str = "import \"two_step\" as two_step;\n";

/// Functions: misspelt, on the wrong value, with wrong arguments.
const CALLS: &[Case] = &[
    (
        "structure::bundel(\"x\");",
        "1:12",
        &["there is no function structure::bundel(string)", "\"structure::bundled\"?"],
    ),
    ("images::normalise(3);", "1:9", &["did you mean \"images::normalize\"?"]),
    (
        "PARTICLE s.savee(\"x.xyz\");",
        "2:4",
        &["there is no function savee(Structure, string)", "did you mean \"save\"?"],
    ),
    ("PARTICLE s.quux();", "2:4", &["there is no function quux(Structure)", "pedesis help structure lists"]),
    ("PARTICLE s.sphere(20);", "2:4", &["sphere is for a Lattice, not for a Structure", "it is structure::sphere("]),
    ("PARTICLE print(s.len);", "2:10", &["a Structure has no property len", "called with brackets"]),
    ("PARTICLE s.centre = 3;", "2:4", &["a Structure has no property centre that could be set"]),
    ("let n = 3; n.sphere(20);", "1:14", &["sphere is for a Lattice, not for an int"]),
    ("structure::fcc([\"Pt\"]);", "1:12", &["takes 2 arguments, not 1", "fcc(species: array, a: float) -> Lattice"]),
    (
        "structure::fcc(\"Pt\", 3.92);",
        "1:12",
        &["argument 1 of structure::fcc, species, must be an array, not a string"],
    ),
    (
        "structure::fcc([\"Pt\"], \"3.92\");",
        "1:12",
        &["argument 2 of structure::fcc, a, must be a float, not a string"],
    ),
    ("model::trace(3, #{});", "1:8", &["must be a Volume, not an int", "model::trace(volume: Volume, options: map)"]),
    ("sqrt(\"a\");", "1:1", &["must be a float, not a string", "sqrt(x: float)"]),
    ("print(1, 2);", "1:1", &["print takes 0 or 1 arguments, not 2", "between backticks"]),
    ("fn f(x) { x }\nprint(f(1, 2));", "2:7", &["f takes 1 argument, not 2", "it is f(x)"]),
    ("fn double(x) { 2 * x }\nprint(doubel(1));", "2:7", &["did you mean \"double\"?"]),
    ("let f = |x| x; f(1);", "1:16", &["f is a variable; a closure is called with f.call"]),
    ("let x = ();\nx.len();", "2:3", &["len is for", "not for ()", "() is nothing"]),
    ("TWO_STEP two_step::recnstruct(3);", "2:12", &["did you mean \"two_step::reconstruct\"?"]),
    ("TWO_STEP two_step::reconstruct(3);", "2:12", &["takes 2 arguments, not 1", "reconstruct(images, options)"]),
];

/// Options and values.
const VALUES: &[Case] = &[
    ("structure::fcc([\"Pt\"], 4).sphere(9, #{ sed: 1 });", "1:40", &["unknown option \"sed\"", "\"seed\"?"]),
    (
        "structure::fcc([\"Pt\"], 4).sphere(9, #{ seed: \"one\" });",
        "1:40",
        &["a whole number, zero or more, got string"],
    ),
    ("structure::fcc([\"Pt\"], 4).sphere(9, #{ seed: 1.5 });", "1:40", &["got the number `1.5`"]),
    (
        "structure::fcc([\"Pt\"], 4).sphere(9, 5);",
        "1:27",
        &["argument 2 of sphere, options, must be a map, not an int"],
    ),
    ("PARTICLE plot::spheres(s, #{ trut: 1 });", "2:22", &["did you mean \"truth\"?", "comparison"]),
    ("PARTICLE plot::spheres(s, #{ truth: 1 });", "2:22", &["must be a Structure, not 1"]),
    ("let m = #{ a: 1 }; print(m.b.c);", "1:30", &["() has no property c", "a name that its map does not have"]),
    ("let m = #{ a: 1 }; print(m.b + 1);", "1:30", &["() + int has no meaning", "() is nothing"]),
    ("print(\"a\" * 3);", "1:11", &["string * int has no meaning", "parse_float(text)"]),
    ("let a = [1]; print(a * 2);", "1:22", &["array * int has no meaning", "list.map(|x| 2 * x)"]),
    ("let a = [1, 2];\nprint(a[5]);", "2:9", &["no item 5 in an array of 2 items", "the first is 0, the last 1"]),
    ("let a = [1]; a[1.5];", "1:16", &["expected an int, not a float", "round()"]),
    ("let a = [1]; a[\"x\"];", "1:16", &["expected an int, not a string", "list[0]"]),
    ("let x = 3; if x { print(2); }", "1:15", &["expected true or false, not an int", "x != 0"]),
    ("let n = 5; for i in n { print(i); }", "1:21", &["for goes over arrays, ranges"]),
    ("structure::fcc([1], 4);", "1:12", &["species are symbols", "not an int"]),
    ("orient::draw([1], #{});", "1:9", &["there must be Poses in the array, not 1"]),
    ("table::from_rows([1], []);", "1:8", &["the name of a column is a string, not an int"]),
    ("table::from_rows([\"a\"], [1]);", "1:8", &["row 0 is an array, not an int"]),
    ("print(1 / 0);", "1:9", &["division by zero", "1 / 2 is 0"]),
    ("const A = 1; A = 2;", "1:14", &["A is a const", "let A = "]),
    ("store::images(\"script.rhia\");", "1:8", &["No such file", "did you mean \"script.rhai\"?"]),
];

/// What the parser refuses.
const SYNTAX: &[Case] = &[
    ("let a = 1\nlet b = 2;", "1:9", &["expected ;", "at the end of this line"]),
    ("let y = 5 print(y);", "1:11", &["expected ;", "put a ; before this"]),
    ("print((1 + 2);", "1:14", &["the ( at line 1, column 6 has no )"]),
    ("let m = #{ a: 1, b: 2 ;\nprint(m);", "1:23", &["the { at line 1, column 10 has no }"]),
    ("fn f(x) {\n  if x > 1 {\n    print(x);\n}\nf(2);", "2:12", &["the { here has no }"]),
    ("print(\"abc);", "1:7", &["no closing quote"]),
    ("let new = 3;", "1:5", &["new is a word of the language"]),
    ("if 1 { print(2); }", "1:4", &["expected true or false, not a number"]),
];

/// Habits of Python.
const PYTHON: &[Case] = &[
    ("for i in range(3):\n    print(i)", "1:18", &["a block stands in braces", "for i in 0..3 {"]),
    ("while true: print(1)", "1:11", &["a block stands in braces"]),
    ("def f(x):\n    return x", "1:1", &["fn name(x) { … }"]),
    ("let x = True;", "1:9", &["there is no variable \"True\"", "write true"]),
    ("let x = None;", "1:9", &["nothing is written ()"]),
    ("import numpy as np", "1:8", &["an import names a script in quotes"]),
    ("from ase import Atoms", "1:1", &["an import names a script in quotes"]),
    ("x = 3;", "1:1", &["a new variable begins with let: let x = 3;"]),
    ("let s = 'abc';", "1:9", &["double quotes", "write \"abc\""]),
    ("# comment\nprint(1);", "1:1", &["comments begin with //"]),
    ("print(f\"x {3}\");", "1:7", &["between backticks: `x is ${x}`"]),
    ("let x = [i for i in 0..3];", "1:10", &["a list is made with"]),
    ("let y = 2 if true else 3;", "1:11", &["a choice is written if x > 0 { a } else { b }"]),
    ("let a = true and false;", "1:14", &["and is written &&"]),
    ("if true { print(1); } elif false { print(2); }", "1:23", &["else if"]),
    ("let f = lambda x: x;", "1:9", &["a closure is written |x| x + 1"]),
    ("let i = 1; i++;", "1:13", &["x += 1"]),
    ("print(str(3));", "1:7", &["to_string()"]),
    ("let l = [1]; l.append(2);", "1:16", &["list.push(x)"]),
];

/// Names and modules.
const NAMES: &[Case] = &[
    ("let images = 1;\nprint(imges);", "2:7", &["there is no variable \"imges\"", "did you mean \"images\"?"]),
    ("structre::bundled(\"x\");", "1:1", &["did you mean \"structure\"?"]),
    ("import \"two_stp\" as t;", "1:8", &["there is no script \"two_stp\"", "did you mean \"two_step\"?"]),
    ("two_step::defaults();", "1:1", &["to be imported first: import \"two_step\" as two_step;"]),
    ("lib::outer(3); import \"lib\" as lib;", "1:1", &["an import stands before its use"]),
    ("import \"lib\" as lib;\nlib::oter(\"x\");", "2:6", &["did you mean \"lib::outer\"?"]),
    ("let f = structure::fcc;", "1:9", &["structure::fcc is a function and no value"]),
];

/// Errors inside what was called: the innermost place, and the way there.
const CHAINS: &[Case] = &[
    (
        "import \"lib\" as lib;\nlib::outer(\"none\");",
        "lib.rhai:2:16",
        &["none", "in inner, called at lib.rhai:4:15", "in outer, called at script.rhai:2:6"],
    ),
    (
        "import \"lib\" as lib;\nlib::deep(3);",
        "stdlib/two_step.rhai:",
        &[
            "prepare is for Images, not for an int",
            "in reconstruct, called at lib.rhai:6:",
            "in deep, called at script.rhai:2:6",
        ],
    ),
    ("[1, 2].map(|x| x.nope());", "1:18", &["in a closure, called at script.rhai:1:8"]),
    (
        "TWO_STEP two_step::reconstruct(3, #{ diamter: 15 });",
        "stdlib/two_step.rhai:",
        &["did you mean \"diameter\"?", "in reconstruct, called at script.rhai:2:12"],
    ),
];

const LIB: &str = "fn inner(x) {\n    structure::bundled(x)\n}\nfn outer(x) { inner(x) }\n\
                   import \"two_step\" as two_step;\nfn deep(x) { two_step::reconstruct(x, #{ diameter: 15 }) }\n";

/// What no message may say: names of Rust, and Rhai's words for its own matters.
const FORBIDDEN: [&str; 14] = [
    "rhai::",
    "alloc::",
    "core::",
    "ImmutableString",
    "&str",
    "f64",
    "i64",
    "Dynamic",
    "usize",
    "panicked",
    "getter",
    "Data type",
    "os error",
    "indexer",
];

fn run(script: &str) -> Run {
    let folder = crate::common::folder_with("lib.rhai", LIB);
    std::fs::write(folder.path().join("script.rhai"), script).unwrap();
    pedesis(folder.path()).args(["run", "script.rhai"]).output().unwrap().into()
}

fn complaints(cases: &[Case]) -> Vec<String> {
    let complaint = |(script, place, parts): &Case| {
        let script = script.replace("PARTICLE", PARTICLE).replace("TWO_STEP", TWO_STEP);
        let run = run(&script);
        let place = if place.contains("rhai") { format!("[ {place}") } else { format!("[ script.rhai:{place} ]") };
        let missing: Vec<&str> =
            parts.iter().copied().chain([place.as_str(), "here"]).filter(|part| !run.stderr.contains(part)).collect();
        let forbidden: Vec<&str> = FORBIDDEN.into_iter().filter(|word| run.stderr.contains(word)).collect();
        let fine = run.status == Some(1) && missing.is_empty() && forbidden.is_empty();
        (!fine).then(|| format!("{script}\nmissing {missing:?}, forbidden {forbidden:?} in\n{}", run.stderr))
    };
    cases.iter().filter_map(complaint).collect()
}

fn assert_all(cases: &[Case]) {
    let complaints = complaints(cases);
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
}

#[test]
fn mistakes_in_calls_show_the_forms_that_exist() {
    assert_all(CALLS);
}

#[test]
fn wrong_options_and_values_show_what_is_expected() {
    assert_all(VALUES);
}

#[test]
fn what_the_parser_refuses_says_what_is_missing() {
    assert_all(SYNTAX);
}

#[test]
fn habits_of_python_are_answered_with_the_way_it_is_written_here() {
    assert_all(PYTHON);
}

#[test]
fn unknown_names_come_with_the_nearest() {
    assert_all(NAMES);
}

#[test]
fn errors_inside_modules_and_closures_show_the_way_there() {
    assert_all(CHAINS);
}
