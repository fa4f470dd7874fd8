//! The manual as web pages and as definition files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Run, pedesis};
use pedesis::script::help::Reference;
use pedesis::script::manual;
use pedesis::task::Task;

fn docs(folder: &Path, arguments: &[&str]) -> Run {
    pedesis(folder).arg("docs").args(arguments).output().unwrap().into()
}

/// The values of an attribute in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("{name}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_function_has_its_place_and_every_link_leads_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let run = docs(folder.path(), &["--no-figures", "new/manual"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let manual = folder.path().join("new/manual");
    let page = |name: &str| fs::read_to_string(manual.join(name)).unwrap();
    let reference = Reference::get();
    let mut count = 0;
    for namespace in &reference.namespaces {
        let text = page(&format!("{}.html", namespace.name));
        for entry in &namespace.entries {
            assert!(text.contains(&format!("<section id=\"{}\">", entry.name)), "{}::{}", namespace.name, entry.name);
        }
        for link in attributes(&text, "href") {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { text.clone() } else { page(file) };
            assert!(anchor.is_empty() || target.contains(&format!(" id=\"{anchor}\"")), "{}: {link}", namespace.name);
            count += 1;
        }
    }
    assert!(count > 1000, "{count} links");
    for file in fs::read_dir(&manual).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("http:") && !text.contains("https:"), "{} needs the network", file.display());
    }
    let search = page("search.js");
    assert!(reference.entries().all(|(full, _)| search.contains(&format!("[\"{full}\","))));
}

#[test]
fn options_are_a_table_with_the_defaults_that_hold() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(docs(folder.path(), &["--no-figures", "manual"]).status, Some(0));
    let page = fs::read_to_string(folder.path().join("manual/model.html")).unwrap();
    let section = page.split("<section id=\"trace\">").nth(1).unwrap().split("</section>").next().unwrap();
    let row = "<tr><td><code>voxel</code></td><td><code>0.25</code></td><td>(Å, default 0.25): of the grid";
    assert!(section.contains(row), "{section}");
    assert!(section.contains("<code>fit_radius</code></td><td><code>1.0</code></td><td>(Å, default 1)"), "{section}");
    assert!(!section.contains("<li>"), "options are told twice");
}

#[test]
fn examples_show_what_they_print_and_draw() {
    let folder = tempfile::tempdir().unwrap();
    let run = |example: &str, place: &Path| -> Result<String, String> {
        if example.contains("plot::slices(") {
            fs::write(place.join("density.png"), b"a figure").map_err(|error| error.to_string())?;
            fs::write(place.join("notes.txt"), b"no figure").map_err(|error| error.to_string())?;
        }
        Ok("printed <this>\n".into())
    };
    let manual = folder.path().join("manual");
    manual::write(&manual, Some(&run), &Task::silent()).unwrap();
    let page = fs::read_to_string(manual.join("plot.html")).unwrap();
    assert!(page.contains("<pre class=\"output\">printed &lt;this&gt;</pre>"));
    let figures: Vec<&str> = attributes(&page, "src").into_iter().filter(|file| file.ends_with(".png")).collect();
    assert_eq!(figures, ["figures/plot.slices-1-density.png"]);
    assert!(figures.iter().all(|figure| manual.join(figure).is_file()));
    let fails = |_: &str, _: &Path| Err("no such thing".to_owned());
    let error = manual::write(&manual, Some(&fails), &Task::silent()).unwrap_err().to_string();
    assert!(error.contains("the example of ") && error.contains("no such thing"), "{error}");
    assert!(manual.join("plot.html").is_file(), "the old manual stays until there is a new one");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_folder_of_other_things_is_left_alone_and_a_manual_is_replaced() {
    let folder = crate::common::folder_with("thesis.txt", "years of work");
    let run = docs(folder.path(), &["--no-figures", "."]);
    assert!(run.status == Some(1) && run.stderr.contains("not empty and not a manual"), "{}", run.stderr);
    let empty = tempfile::tempdir().unwrap();
    let run = docs(empty.path(), &["--no-figures", "."]);
    assert!(run.status == Some(1) && run.stderr.contains("has no name of its own"), "{}", run.stderr);
    assert_eq!(docs(folder.path(), &["--no-figures", "manual"]).status, Some(0));
    fs::write(folder.path().join("manual/old.html"), "").unwrap();
    assert_eq!(docs(folder.path(), &["--no-figures", "manual"]).status, Some(0));
    assert!(!folder.path().join("manual/old.html").exists());
    assert_eq!(fs::read_to_string(folder.path().join("thesis.txt")).unwrap(), "years of work");
}

#[test]
fn definition_files_have_every_function_with_its_comment() {
    let folder = tempfile::tempdir().unwrap();
    let run = docs(folder.path(), &["--definitions", ".rhai"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let file = |name: &str| fs::read_to_string(folder.path().join(".rhai").join(name)).unwrap();
    for namespace in &Reference::get().namespaces {
        let name = if namespace.name == "global" { "__static__".to_owned() } else { namespace.name.clone() };
        let text = file(&format!("{name}.d.rhai"));
        for entry in &namespace.entries {
            assert!(text.matches(&format!("\nfn {}(", entry.name)).count() >= entry.signatures.len(), "{}", entry.name);
            assert!(text.contains(&format!("/// {}", entry.summary())));
        }
    }
    let volume = file("volume.d.rhai");
    assert!(volume.contains("module volume;"));
    assert!(volume.contains("fn of_structure(structure: Structure, options: Map) -> Volume;"), "{volume}");
    assert!(file("__static__.d.rhai").contains("fn save(volume: Volume, path: String) -> ();"));
    assert!(file("two_step.d.rhai").contains("fn reconstruct(images: ?, options: ?) -> ?;"));
    let words: BTreeSet<String> = volume.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
    assert!(!words.contains("f64") && !words.contains("ImmutableString"));
    assert!(file("__standard__.d.rhai").contains("fn sqrt(x: float) -> float;"));
}
