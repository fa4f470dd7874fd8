//! The manual is true: every function has a page, and every example on it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pedesis::script::check::check_text;
use pedesis::script::help::{Entry, Reference, options_at};
use pedesis::script::options::Accepted;
use pedesis::script::{Session, Setup, api, engine};
use rhai::{ASTNode, Engine, Expr, Stmt};

/// A new interpreter that prints nothing, and its session.
fn interpreter() -> (Engine, Arc<Session>) {
    let session: Arc<Session> = Session::new(Setup { tell: Box::new(|_| {}), ..Setup::default() }).unwrap();
    let mut engine = engine(&session);
    engine.on_print(|_| {});
    (engine, session)
}

/// Names of options, by the name of the function that read them.
type Read = BTreeMap<String, Vec<BTreeSet<String>>>;

fn complaint(name: &str, entry: &Entry, read: &mut Read) -> Option<String> {
    if entry.summary().is_empty() || !entry.summary().ends_with(['.', ':']) {
        return Some(format!("{name}: the comment does not begin with a sentence on one line: {:?}", entry.summary()));
    }
    if entry.examples().is_empty() {
        return Some(format!("{name}: the comment has no example"));
    }
    entry.examples().iter().find_map(|example| {
        let (engine, session) = interpreter();
        let result = engine.run(example);
        for call in session.calls() {
            let names = call.options.as_object().into_iter().flatten().map(|(name, _)| name.clone());
            read.entry(call.function).or_default().push(names.collect());
        }
        let error = result.err()?;
        Some(format!("{name}: the example fails: {error}\n{example}"))
    })
}

#[test]
fn every_function_has_a_page_whose_examples_run() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let reference = Reference::get();
    assert!(reference.namespaces.iter().all(|namespace| !namespace.doc.is_empty() && !namespace.entries.is_empty()));
    let mut read = Read::new();
    let mut complaints: Vec<String> =
        reference.entries().filter_map(|(name, entry)| complaint(&name, entry, &mut read)).collect();
    complaints.extend(options_that_differ(&read));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(reference.entries().count() > 215);
}

/// The options that functions read against those that the table has.
fn options_that_differ(read: &Read) -> Vec<String> {
    let is_of = |of: &Accepted, short: &str| of.function.rsplit("::").next() == Some(short);
    let parsed = |of: &Accepted| of.defaults().into_iter().map(|(name, _)| name).collect::<BTreeSet<String>>();
    let mut complaints = Vec::new();
    for (function, calls) in read.iter().filter(|(function, _)| *function != "signal_to_noise") {
        for names in
            calls.iter().filter(|names| !api::ACCEPTED.iter().any(|of| is_of(of, function) && parsed(of) == **names))
        {
            complaints.push(format!("{function} reads options that the table does not have: {names:?}"));
        }
    }
    for of in api::ACCEPTED {
        let short = of.function.rsplit("::").next().unwrap_or_default();
        if !read.get(short).is_some_and(|calls| calls.contains(&parsed(of))) {
            complaints.push(format!("no example gives options to {}", of.function));
        }
    }
    complaints
}

#[test]
fn every_form_of_a_function_stands_in_an_example_on_its_page() {
    let mut missing = Vec::new();
    for (name, entry) in Reference::get().entries() {
        let calls: BTreeSet<(bool, usize)> =
            entry.examples().iter().flat_map(|example| calls_of(&entry.name, example)).collect();
        let stands = |count: usize| calls.contains(&(false, count)) || count > 0 && calls.contains(&(true, count - 1));
        missing.extend(entry.arities().filter(|count| !stands(*count)).map(|count| format!("{name}/{count}")));
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn check_finds_no_errors_in_examples() {
    for (name, entry) in Reference::get().entries() {
        for example in entry.examples() {
            let findings = check_text("example.rhai", example.clone());
            assert_eq!(findings.errors(), 0, "{name}: {:#?}\n{example}", findings.found);
        }
    }
}

/// How a script calls the functions of this name: as a method?, with how many arguments?
fn calls_of(name: &str, script: &str) -> Vec<(bool, usize)> {
    let mut engine = Engine::new();
    engine.set_max_expr_depths(256, 256).set_optimization_level(rhai::OptimizationLevel::None);
    let mut calls = Vec::new();
    engine.compile(script).unwrap().walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) if call.name == name => {
                calls.push((false, call.args.len()));
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, _))) if call.name == name => calls.push((true, call.args.len())),
            _ => {}
        }
        true
    });
    calls
}

#[test]
fn options_of_functions_are_known_and_described() {
    let reference = Reference::get();
    let docs: BTreeMap<String, &Entry> = reference.entries().collect();
    let mut complaints = Vec::new();
    for of in api::ACCEPTED {
        let Some(entry) = docs.get(of.function) else {
            complaints.push(format!("there is no function {}", of.function));
            continue;
        };
        if !entry.signatures.iter().any(|form| options_at(form).is_some()) {
            complaints.push(format!("{} takes no map of options", of.function));
        }
        // a comment may leave options to that of another function, which it names
        let named = |other: &str| entry.doc.contains(&format!("`{other}`"));
        let others = docs.iter().filter(|(full, other)| named(full) || named(&other.name));
        let told: String = others.map(|(_, other)| other.doc.as_str()).chain([entry.doc.as_str()]).collect();
        let untold: Vec<String> = of.names().into_iter().filter(|name| !told.contains(&format!("`{name}`"))).collect();
        if !untold.is_empty() {
            complaints.push(format!("the comment on {} does not tell of {untold:?}", of.function));
        }
    }
    for (name, entry) in docs.iter().filter(|(name, _)| Accepted::by(name).is_none()) {
        if entry.signatures.iter().any(|form| options_at(form).is_some()) {
            complaints.push(format!("{name} takes options that the table does not have"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
