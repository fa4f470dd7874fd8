//! The manual is true: every function has a page, and every example on it runs.

use std::sync::Arc;

use pedesis::script::help::{Entry, Reference};
use pedesis::script::{Session, Setup, engine};
use rhai::Engine;

/// A new interpreter in a session of its own that prints nothing.
fn interpreter() -> Engine {
    let session: Arc<Session> = Session::new(Setup { tell: Box::new(|_| {}), ..Setup::default() }).unwrap();
    let mut engine = engine(&session);
    engine.on_print(|_| {});
    engine
}

fn complaint(name: &str, entry: &Entry) -> Option<String> {
    if entry.summary().is_empty() || !entry.summary().ends_with(['.', ':']) {
        return Some(format!("{name}: the comment does not begin with a sentence on one line: {:?}", entry.summary()));
    }
    if entry.examples().is_empty() {
        return Some(format!("{name}: the comment has no example"));
    }
    entry.examples().iter().find_map(|example| {
        let error = interpreter().run(example).err()?;
        Some(format!("{name}: the example fails: {error}\n{example}"))
    })
}

#[test]
fn every_function_has_a_page_whose_examples_run() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let reference = Reference::new();
    assert!(reference.namespaces.iter().all(|namespace| !namespace.doc.is_empty() && !namespace.entries.is_empty()));
    let complaints: Vec<String> = reference.entries().filter_map(|(name, entry)| complaint(&name, entry)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
