//! The definition files that language servers of Rhai read: signatures and comments, a file for each namespace.

use rhai::Engine;

use crate::script::help::{Entry, GLOBAL, Namespace, Reference, parameters};

/// The file of what needs no prefix.
pub const STATIC: &str = "__static__.d.rhai";
/// How our files begin.
pub const MARK: &str = "module static;\n\n// written by pedesis docs";

/// Name and text of each file: those of the language itself, of functions and methods without a prefix, and one for each namespace.
pub fn definitions(reference: &Reference) -> Vec<(String, String)> {
    let language = Engine::new();
    let language = language.definitions();
    let standard = language.iter_files().map(|(name, text)| (name.replace(STATIC, "__standard__.d.rhai"), text));
    let mut files: Vec<(String, String)> = standard.collect();
    let mut free = format!("{MARK}\n");
    for namespace in &reference.namespaces {
        let is_global = namespace.name == GLOBAL;
        for entry in namespace.entries.iter().filter(|entry| is_global || entry.is_global) {
            free.push_str(&definition(entry, true));
        }
        if !is_global {
            files.push((format!("{}.d.rhai", namespace.name), module(namespace)));
        }
    }
    files.push((STATIC.into(), free));
    files
}

fn module(namespace: &Namespace) -> String {
    let head: String = namespace.doc.lines().map(|line| format!("//! {line}").trim_end().to_owned() + "\n").collect();
    let entries: String = namespace.entries.iter().map(|entry| definition(entry, namespace.is_native)).collect();
    format!("{head}\nmodule {};\n{entries}", namespace.name)
}

/// All forms of a function, each with the comment.
fn definition(entry: &Entry, is_native: bool) -> String {
    // what a function of a strategy gives is not declared
    let without = if is_native { "()" } else { "?" };
    let comment: String = entry.doc.lines().map(|line| format!("/// {line}").trim_end().to_owned() + "\n").collect();
    let form = |signature: &String| {
        let parameter = |parameter: &str| match parameter.split_once(": ") {
            Some((name, kind)) => format!("{name}: {}", as_defined(kind)),
            None => format!("{parameter}: ?"),
        };
        let list: Vec<String> = parameters(signature).map(parameter).collect();
        let result = signature.rsplit_once(") -> ").map_or(without, |(_, result)| as_defined(result));
        format!("\n{comment}fn {}({}) -> {result};\n", entry.name, list.join(", "))
    };
    entry.signatures.iter().map(form).collect()
}

/// A type as definition files write it.
fn as_defined(kind: &str) -> &str {
    match kind {
        "string" => "String",
        "map" => "Map",
        "array" => "Array",
        "any" => "?",
        "closure" => "FnPtr",
        other => other,
    }
}
