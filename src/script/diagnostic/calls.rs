//! Functions that do not exist, or not for such arguments.

use std::collections::BTreeMap;

use rhai::Position;

use super::explain::{Explained, near};
use super::text::{functions, has_word, imports, line};
use crate::script::help::{self, Method, Reference, builtins, kind_of, parameters, takes, type_in_words};
use crate::script::stdlib;

/// What is said where a value is `()`.
pub const NOTHING: &str = "() is nothing: a name that its map does not have, an option left out, or what a function gives that gives no value";

/// Functions that other languages have, and what a script writes instead.
const FOREIGN: [(&str, &str); 18] = [
    ("range", "a range is written 0..3, in steps range(0, 10, 2)"),
    ("str", "x.to_string() makes a string of a value"),
    ("format", "values go into a text between backticks: `x is ${x}`"),
    ("println", "print(x) prints a line"),
    ("int", "x.to_int() makes an int of a float, parse_int(text) of a string"),
    ("float", "x.to_float() makes a float of an int, parse_float(text) of a string"),
    ("append", "list.push(x) puts a value at the end of a list, list.append(more) a whole list"),
    ("enumerate", "for (x, i) in list { … } gives the items and their numbers"),
    ("zip", "for i in 0..a.len() { … } goes through two lists together"),
    ("dict", "a map is written #{ name: value }"),
    ("list", "a list is written [1, 2, 3]"),
    ("linspace", "(0..n).map(|i| first + i * step) makes evenly spaced numbers"),
    ("arange", "(0..n).map(|i| first + i * step) makes evenly spaced numbers"),
    ("length", "it is called len()"),
    ("size", "it is called len()"),
    ("type", "type_of(x) names the type of a value"),
    ("open", "store::images, store::volume, store::poses and store::structure read files"),
    ("power", "x ** 2 is the square of x"),
];

/// What a script writes instead of another language's function.
fn foreign(name: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(foreign, _)| *foreign == name).map(|(_, instead)| *instead)
}

/// A type with its article, in the words of a script's author.
pub fn a(kind: &str) -> String {
    let kind = type_in_words(kind);
    match kind {
        "()" => "()".into(),
        "any" => "anything".into(),
        // plural in themselves
        "Images" | "Particles" | "Poses" => kind.to_owned(),
        _ if kind.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// The types in Rhai's list of those of arguments.
fn types_in_words(list: &str) -> Vec<&str> {
    let mut kinds = Vec::new();
    for kind in list.split(", ").filter(|kind| !kind.is_empty()) {
        kinds.push(if kind.contains("ImmutableString") { "string" } else { type_in_words(kind) });
    }
    kinds
}

/// Explains Rhai's `images::normalize (Images, i64)`.
pub fn explain(signature: &str, position: Position, file: &str, sources: &BTreeMap<String, String>) -> Explained {
    let Some((name, list)) = signature.strip_suffix(')').and_then(|rest| rest.split_once('(')) else {
        return Explained::new(format!("there is no function {signature}"), None);
    };
    let (name, given) = (name.trim(), types_in_words(list));
    let text = sources.get(file).map_or("", String::as_str);
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return operator(name, &given);
    }
    let here = line(text, position.line().unwrap_or(0));
    let before = here.chars().nth(position.position().unwrap_or(1).wrapping_sub(2));
    let called = Called { name, given: &given, is_method: before == Some('.') };
    let forms = forms_of(name, text, sources);
    if forms.is_empty() { called.unknown(text, sources) } else { called.other_arguments(&forms) }
}

fn operator(sign: &str, given: &[&str]) -> Explained {
    let message = match given {
        [left, right] => format!("{left} {sign} {right} has no meaning"),
        [only] => format!("{sign}{only} has no meaning"),
        _ => format!("{sign} has no meaning here"),
    };
    let takes = match sign {
        "+" => "+ joins two numbers, two strings, two arrays or two maps",
        "-" | "*" | "/" | "%" | "**" => "it takes two numbers; parse_float(text) reads a number from a string",
        "<" | ">" | "<=" | ">=" => "it compares two numbers or two strings",
        _ => "",
    };
    let help = match given.contains(&"()") {
        true => Some(NOTHING.to_owned()),
        false if given.contains(&"array") && sign != "+" => Some("do it for each item: list.map(|x| 2 * x)".into()),
        false => Some(takes.to_owned()).filter(|takes| !takes.is_empty()),
    };
    Explained::new(message, help)
}

/// The forms of a function that exist: `name(parameter: type, …)`.
fn forms_of(name: &str, text: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let reference = Reference::get();
    let (prefix, short) = name.rsplit_once("::").unwrap_or(("", name));
    let module = module_of(prefix, text);
    let of_reference = |wanted: &dyn Fn(&str, &str) -> bool| -> Vec<String> {
        let found = reference.entries().filter(|(full, entry)| wanted(full, &entry.name));
        found.flat_map(|(_, entry)| entry.signatures.clone()).collect()
    };
    if prefix.is_empty() {
        let own = functions(text).into_iter().filter(|(own, _)| own == name).map(|(_, form)| form);
        let methods = of_reference(&|full, entry| entry == name && !is_strategy(full));
        let simple = builtins().iter().filter(|(builtin, _)| builtin == name).map(|(_, form)| form.clone());
        return own.chain(methods).chain(simple).collect();
    }
    let native = of_reference(&|full, _| full.split_once("::") == Some((module.as_str(), short)));
    let own = functions_of(&module, sources).into_iter().filter(|(own, _)| own == short && native.is_empty());
    native.iter().cloned().chain(own.map(|(_, form)| format!("{prefix}::{form}"))).collect()
}

/// Whether a full name is that of a function of a strategy.
fn is_strategy(full: &str) -> bool {
    full.split_once("::").is_some_and(|(prefix, _)| stdlib::is_strategy(prefix))
}

/// The module that a script knows by the name `prefix`.
fn module_of(prefix: &str, text: &str) -> String {
    imports(text).into_iter().find(|(_, alias)| alias == prefix).map_or_else(|| prefix.to_owned(), |(path, _)| path)
}

/// The functions of a script that was read: name and form.
fn functions_of(module: &str, sources: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let file = sources.iter().find(|(file, _)| file_stem(file) == file_stem(module));
    file.map(|(_, text)| functions(text)).unwrap_or_default()
}

/// `lib` for `scripts/lib.rhai`.
fn file_stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".rhai").unwrap_or(name)
}

/// The methods of a type, or of all.
pub fn methods_of(kind: &str) -> Vec<&'static Method> {
    help::methods().iter().filter(|method| kind == "any" || method.of == kind).collect()
}

struct Called<'a> {
    name: &'a str,
    given: &'a [&'a str],
    /// Written behind a point: the first argument stands before it.
    is_method: bool,
}

impl Called<'_> {
    fn other_arguments(&self, forms: &[String]) -> Explained {
        let misses = |form: &&String| {
            let pairs = parameters(form).zip(self.given);
            pairs.filter(|(parameter, given)| !takes(parameter, given)).count()
        };
        let same_count = forms.iter().filter(|form| parameters(form).count() == self.given.len());
        let mut same_count: Vec<&String> = same_count.collect();
        same_count.sort_by_key(misses);
        let message = match same_count.first() {
            Some(form) => self.wrong_type(form, &same_count),
            None => self.wrong_count(forms),
        };
        let mut listed: Vec<&String> = forms.iter().collect();
        listed.sort_by_key(misses);
        let more = listed.len().saturating_sub(4);
        listed.truncate(4);
        let listed: Vec<String> = listed.into_iter().cloned().collect();
        let more = if more > 0 { format!(" or {more} more, see help") } else { String::new() };
        let help = match self.given.first() {
            Some(&"()") if self.is_method => NOTHING.to_owned(),
            _ if self.name == "append" => foreign("append").unwrap_or_default().to_owned(),
            _ if self.name == "print" => "values go into a text between backticks: print(`x is ${x}`)".into(),
            _ => format!("it is {}{more}", listed.join("\n or ")),
        };
        Explained::new(message, Some(help))
    }

    /// The first argument that `form` does not take.
    fn wrong_type(&self, form: &str, forms: &[&String]) -> String {
        let mut pairs = parameters(form).zip(self.given).enumerate();
        let name = self.name;
        match pairs.find(|(_, (parameter, given))| !takes(parameter, given)) {
            Some((0, _)) if self.is_method => {
                format!("{name} is for {}, not for {}", self.receivers(forms), a(self.given[0]))
            }
            Some((i, (parameter, given))) => {
                let parameter_name = parameter.split(':').next().unwrap_or(parameter);
                let number = if self.is_method { i } else { i + 1 };
                let expected = a(kind_of(parameter));
                format!("argument {number} of {name}, {parameter_name}, must be {expected}, not {}", a(given))
            }
            None => format!("{name} cannot be called with ({})", self.given.join(", ")),
        }
    }

    /// What a method is for.
    fn receivers(&self, forms: &[&String]) -> String {
        let mut kinds: Vec<String> =
            forms.iter().filter_map(|form| Some(a(kind_of(parameters(form).next()?)))).collect();
        kinds.sort();
        kinds.dedup();
        kinds.join(" or ")
    }

    fn wrong_count(&self, forms: &[String]) -> String {
        let own = usize::from(self.is_method);
        let mut counts: Vec<usize> = forms.iter().map(|form| parameters(form).count().saturating_sub(own)).collect();
        counts.sort_unstable();
        counts.dedup();
        let given = self.given.len().saturating_sub(own);
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        let arguments = if counts == ["1"] { "argument" } else { "arguments" };
        format!("{} takes {} {arguments}, not {given}", self.name, counts.join(" or "))
    }

    fn unknown(&self, text: &str, sources: &BTreeMap<String, String>) -> Explained {
        let types = if self.given.contains(&"any") { "…".to_owned() } else { self.given.join(", ") };
        let message = format!("there is no function {}({types})", self.name);
        let (prefix, short) = self.name.rsplit_once("::").unwrap_or(("", self.name));
        let is_variable = prefix.is_empty() && !self.is_method && has_word(text, short) && {
            ["let", "const"].iter().any(|word| text.contains(&format!("{word} {short} =")))
        };
        if is_variable {
            return Explained::new(
                message,
                Some(format!("{short} is a variable; a closure is called with {short}.call(…)")),
            );
        }
        if let Some(instead) = foreign(short).filter(|_| prefix.is_empty()) {
            return Explained::new(message, Some(instead.to_owned()));
        }
        let help = if prefix.is_empty() { self.near_method(text) } else { near_in(prefix, short, text, sources) };
        Explained::new(message, help)
    }

    /// A name like this among what the first argument can do, or else anywhere.
    fn near_method(&self, text: &str) -> Option<String> {
        let methods = self.given.first().map(|kind| methods_of(kind)).unwrap_or_default();
        let own = functions(text);
        let own = own.iter().map(|(name, _)| name.as_str());
        let reference = Reference::get();
        let all: Vec<(String, String)> = reference.entries().map(|(full, entry)| (entry.name.clone(), full)).collect();
        let simple = builtins().iter().map(|(name, _)| name.as_str());
        if self.is_method {
            let first = self.given.first().copied().unwrap_or_default();
            let nothing = (first == "()").then(|| NOTHING.to_owned());
            let near = near(self.name, methods.iter().map(|method| method.name.as_str()).chain(own));
            let spaces = methods.iter().map(|method| method.namespace.as_str());
            let space = spaces.filter(|space| !space.is_empty()).find(|_| first != "any");
            let listed = || space.map(|space| format!("pedesis help {space} lists what {} can do", a(first)));
            return nothing.or(near).or_else(|| self.elsewhere(&all)).or_else(listed);
        }
        let prefixed = self.elsewhere(&all);
        prefixed.or_else(|| near(self.name, own.chain(simple).chain(all.iter().map(|(name, _)| name.as_str()))))
    }

    /// Where a function of this very name is.
    fn elsewhere(&self, all: &[(String, String)]) -> Option<String> {
        let found: Vec<&str> =
            all.iter().filter(|(name, _)| name == self.name).map(|(_, full)| full.as_str()).collect();
        (!found.is_empty()).then(|| format!("did you mean {}?", found.join(" or ")))
    }
}

/// A name like this one in a namespace or module.
fn near_in(prefix: &str, short: &str, text: &str, sources: &BTreeMap<String, String>) -> Option<String> {
    let module = module_of(prefix, text);
    let reference = Reference::get();
    let own = functions_of(&module, sources);
    let native: Vec<String> = reference.entries().map(|(full, _)| full).collect();
    let full = native.iter().filter_map(|full| full.split_once("::").filter(|(space, _)| *space == module.as_str()));
    let here: Vec<&str> = full.map(|(_, name)| name).chain(own.iter().map(|(name, _)| name.as_str())).collect();
    if let Some(near) = crate::script::options::nearest(short, here.iter().copied()) {
        return Some(format!("did you mean \"{prefix}::{near}\"?"));
    }
    let same: Vec<&String> = native.iter().filter(|full| full.rsplit("::").next() == Some(short)).collect();
    match same.first() {
        Some(full) => Some(format!("did you mean {full:?}?")),
        None if reference.namespaces.iter().any(|namespace| namespace.name == module) => {
            Some(format!("help {module} lists its functions"))
        }
        None => None,
    }
}
