//! What the prompt knows of the functions that can be called: read from the manual when it is first needed.

use super::options::{self, Choice};
use crate::script::help::{self, GLOBAL, Method, OPTIONS, Reference};
use crate::script::options::Accepted;

/// One function of the manual.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// With its prefix: `images::normalize`.
    pub full: String,
    pub name: String,
    /// Empty for the global ones.
    pub namespace: String,
    /// One a form.
    pub signatures: Vec<String>,
    pub summary: String,
    pub options: Vec<Choice>,
}

impl Function {
    /// Type of what it gives, where its signature says so.
    pub fn result(&self) -> Option<&str> {
        self.signatures.first()?.rsplit_once(" -> ").map(|(_, result)| result)
    }

    /// Whether its argument of this number, from 0, is a map of options.
    pub fn takes_options_at(&self, index: usize) -> bool {
        self.signatures.iter().any(|form| parameters(form).get(index).is_some_and(|name| OPTIONS.contains(name)))
    }

    /// Its signature with most parameters.
    pub fn longest(&self) -> &str {
        self.signatures.iter().max_by_key(|signature| signature.len()).map_or("", String::as_str)
    }
}

/// All functions, and what can be called after a dot.
#[derive(Debug)]
pub struct Knowledge {
    /// With what they are for.
    pub namespaces: Vec<(String, String)>,
    pub functions: Vec<Function>,
    pub methods: &'static [Method],
}

impl Knowledge {
    pub fn new() -> Self {
        Self::of(Reference::get(), help::methods())
    }

    fn of(reference: &Reference, methods: &'static [Method]) -> Self {
        let mut functions: Vec<(Function, Vec<String>)> = Vec::new();
        for namespace in &reference.namespaces {
            let prefix = if namespace.name == GLOBAL { "" } else { &namespace.name };
            for entry in &namespace.entries {
                let parameters: Vec<&str> = entry.signatures.iter().flat_map(|form| parameters(form)).collect();
                let function = Function {
                    full: if prefix.is_empty() { entry.name.clone() } else { format!("{prefix}::{}", entry.name) },
                    name: entry.name.clone(),
                    namespace: prefix.to_owned(),
                    signatures: entry.signatures.clone(),
                    summary: entry.summary().to_owned(),
                    options: options::listed(&entry.doc, &parameters),
                };
                let inherited = options::inherited(&entry.doc).into_iter().map(str::to_owned).collect();
                functions.push((function, inherited));
            }
        }
        let listed: Vec<Function> = functions.iter().map(|(function, _)| function.clone()).collect();
        let namespaces = reference.namespaces.iter().filter(|namespace| namespace.name != GLOBAL);
        Self {
            namespaces: namespaces
                .map(|namespace| (namespace.name.clone(), namespace.doc.lines().next().unwrap_or("").to_owned()))
                .collect(),
            functions: functions.into_iter().map(|(function, from)| with_inherited(function, &from, &listed)).collect(),
            methods,
        }
    }

    /// The function of this name: with its prefix, or a global one.
    pub fn function(&self, full: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.full == full)
    }

    pub fn functions_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Function> {
        self.functions.iter().filter(move |function| function.namespace == namespace)
    }

    pub fn methods_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Method> {
        self.methods.iter().filter(move |method| method.of == kind)
    }

    pub fn is_namespace(&self, name: &str) -> bool {
        self.namespaces.iter().any(|(namespace, _)| namespace == name)
    }
}

/// The names of a form's parameters.
fn parameters(form: &str) -> Vec<&str> {
    help::parameters(form).map(|parameter| parameter.split(':').next().unwrap_or("").trim()).collect()
}

/// A function with the options that are as of others.
fn with_inherited(mut function: Function, from: &[String], all: &[Function]) -> Function {
    for name in from {
        let full = if name.contains("::") { name.clone() } else { format!("{}::{name}", function.namespace) };
        let Some(other) = all.iter().find(|other| other.full == full) else { continue };
        for choice in &other.options {
            if !function.options.iter().any(|known| known.name == choice.name) {
                function.options.push(choice.clone());
            }
        }
    }
    // of native functions the names are known without their comments, which have them in the order of use
    if let Some(accepted) = Accepted::by(&function.full) {
        let names = accepted.names();
        function.options.retain(|choice| names.contains(&choice.name));
        for name in names {
            if !function.options.iter().any(|choice| choice.name == name) {
                function.options.push(Choice { name, ..Choice::default() });
            }
        }
    }
    function
}

#[cfg(test)]
mod tests {
    use super::super::context::{Place, place_at};
    use super::*;
    use crate::script::lex::{Kind, words};

    /// Every option that an example of the manual gives must be among those that are completed.
    #[test]
    fn options_in_the_examples_of_the_manual_are_known() {
        let knowledge = Knowledge::new();
        let reference = Reference::get();
        let mut unknown = Vec::new();
        let mut seen = 0;
        for example in reference.entries().flat_map(|(_, entry)| entry.examples()) {
            for token in words(&example).iter().filter(|token| token.kind == Kind::Name) {
                let Place::Option { call, start, .. } = place_at(&example[..token.range.end]) else { continue };
                let functions: Vec<&Function> = match &call.namespace {
                    Some(namespace) => knowledge.function(&format!("{namespace}::{}", call.name)).into_iter().collect(),
                    None => knowledge.functions.iter().filter(|function| function.name == call.name).collect(),
                };
                let index = call.argument + usize::from(call.receiver.is_some());
                let functions: Vec<&Function> =
                    functions.into_iter().filter(|function| function.takes_options_at(index)).collect();
                if functions.is_empty() {
                    continue;
                }
                let option = &example[start..token.range.end];
                seen += 1;
                if !functions.iter().any(|function| function.options.iter().any(|choice| choice.name == option)) {
                    unknown.push(format!("{}: {option}", functions[0].full));
                }
            }
        }
        assert!(seen > 100, "{seen}");
        assert!(unknown.is_empty(), "{seen} {unknown:#?}");
    }

    #[test]
    fn methods_and_results_are_known() {
        let knowledge = Knowledge::new();
        let of = |kind: &str, name: &str| knowledge.methods_of(kind).any(|method| method.name == name);
        assert!(of("Images", "add_noise") && of("array", "push") && of("string", "len") && of("map", "keys"));
        assert!(!of("Volume", "add_noise") && !of("string", "required"));
        assert_eq!(knowledge.function("images::normalize").unwrap().result(), Some("Images"));
    }
}
