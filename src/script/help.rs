//! The reference manual: every function that a script can call, from the comments on the functions themselves.

use std::sync::OnceLock;

use rhai::{Engine, FnNamespace, FuncInfo, Module};

use super::bind::Namespace as Native;
use super::{api, options, stdlib};

/// One function: all its forms, and what its comment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// `images::normalize(images: Images, options: map) -> Images`, one a form.
    pub signatures: Vec<String>,
    /// The comment, in Markdown.
    pub doc: String,
    /// Whether it can be called without its prefix, and so behind a point.
    pub is_global: bool,
}

impl Entry {
    /// The first sentence of the comment.
    pub fn summary(&self) -> &str {
        self.doc.lines().next().unwrap_or("")
    }

    /// How many arguments each form takes.
    pub fn arities(&self) -> impl Iterator<Item = usize> {
        self.signatures.iter().map(|signature| parameters(signature).count())
    }

    /// The examples in the comment: its `rhai` code blocks.
    pub fn examples(&self) -> Vec<String> {
        let blocks = self.doc.split("```rhai\n").skip(1);
        blocks.filter_map(|block| block.split("```").next()).map(str::to_owned).collect()
    }
}

/// A function as it is called after a value and a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Method {
    /// Type of the value (`"Images"`, `"array"`).
    pub of: String,
    pub name: String,
    /// Without the value: `add_noise(options: map) -> Images`.
    pub signature: String,
    /// Where help finds it; empty for Rhai's own.
    pub namespace: String,
}

/// What can be called after a dot, with what Rhai itself brings, by type and name.
pub fn methods() -> &'static [Method] {
    static METHODS: OnceLock<Vec<Method>> = OnceLock::new();
    METHODS.get_or_init(all_methods)
}

fn all_methods() -> Vec<Method> {
    let mut engine = Engine::new();
    for native in api::namespaces() {
        engine.register_static_module(native.name, native.documented().into());
    }
    let mut methods = engine.collect_fn_metadata(None, |info| method(&info), true);
    methods.sort();
    methods.dedup();
    methods
}

fn method(info: &FuncInfo) -> Option<Method> {
    let name = info.metadata.name.as_str();
    let is_shown = name.starts_with(|c: char| c.is_alphabetic()) && !name.contains('$') && !HIDDEN.contains(&name);
    // Rhai's own are in no namespace, and can all be called so
    if !is_shown || !info.namespace.is_empty() && info.metadata.namespace != FnNamespace::Global {
        return None;
    }
    let mut parameters = info.metadata.params_info.iter().map(|parameter| in_words(parameter));
    let first = parameters.next()?;
    let (_, of) = first.split_once(": ")?;
    let rest: Vec<String> = parameters.collect();
    let signature = format!("{name}({}){}", rest.join(", "), result(info));
    Some(Method { of: of.into(), name: name.into(), signature, namespace: info.namespace.to_string() })
}

/// What a function gives, as the end of its signature.
fn result(info: &FuncInfo) -> String {
    match in_words(&info.metadata.return_type).as_str() {
        "()" => String::new(),
        result => format!(" -> {result}"),
    }
}

/// The functions that share a prefix; the prefix of the global ones is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// Whether it is there without an import.
    pub is_native: bool,
    pub entries: Vec<Entry>,
}

/// Everything a script can call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    pub namespaces: Vec<Namespace>,
}

/// A name that no namespace and no function bears.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manual has no namespace or function {name:?}{}", .nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
pub struct UnknownName {
    pub name: String,
    pub nearest: Option<String>,
}

/// Words of which the manual says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing in the manual has {words:?} in it{}", .nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
pub struct NothingFound {
    pub words: String,
    pub nearest: Option<String>,
}

/// The name under which the functions without a prefix are listed.
pub const GLOBAL: &str = "global";

/// The parameters of a signature, `name: type` or, in a strategy, `name`.
pub fn parameters(signature: &str) -> impl Iterator<Item = &str> {
    let list = signature.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(list, _)| list);
    list.split(", ").filter(|parameter| !parameter.is_empty())
}

/// The type of a parameter, `any` if it takes all.
pub fn kind_of(parameter: &str) -> &str {
    parameter.split_once(": ").map_or("any", |(_, kind)| kind)
}

/// Whether a parameter takes a value of the type `given`; of one of type `any` nothing is known.
pub fn takes(parameter: &str, given: &str) -> bool {
    let kind = kind_of(parameter);
    kind == "any" || given == "any" || kind == given || (kind == "float" && given == "int")
}

impl Reference {
    /// The manual, read at the first call from the comments of all native functions and of the built-in strategies.
    pub fn get() -> &'static Self {
        static REFERENCE: OnceLock<Reference> = OnceLock::new();
        REFERENCE.get_or_init(Self::new)
    }

    fn new() -> Self {
        let mut reader = Engine::new_raw();
        let described = |namespace: &Native, module: &Module| Namespace {
            name: namespace.name.into(),
            doc: without_slashes([module.doc()]),
            is_native: true,
            entries: Vec::new(),
        };
        let mut namespaces = Vec::new();
        for native in api::namespaces().into_iter().chain([api::global()]) {
            let module = native.documented();
            namespaces.push(described(&native, &module));
            reader.register_static_module(native.name, module.into());
        }
        let mut reference = Self { namespaces };
        let mut forms = reader.collect_fn_metadata(None, |info| native(&info), false);
        forms.sort_by_cached_key(|(_, form)| (form.signatures[0].len(), form.signatures[0].clone()));
        for (namespace, form) in forms {
            reference.add(&namespace, form);
        }
        reference.namespaces.extend(stdlib::STRATEGIES.iter().filter_map(|(name, text)| strategy(name, text)));
        for namespace in &mut reference.namespaces {
            namespace.entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
        reference
    }

    fn add(&mut self, namespace: &str, form: Entry) {
        if let Some(namespace) = self.namespaces.iter_mut().find(|known| known.name == namespace) {
            namespace.add(form);
        }
    }

    /// Every function with its full name.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Entry)> {
        let full = |namespace: &Namespace, entry: &Entry| match namespace.name.as_str() {
            GLOBAL => entry.name.clone(),
            prefix => format!("{prefix}::{}", entry.name),
        };
        self.namespaces
            .iter()
            .flat_map(move |namespace| namespace.entries.iter().map(move |entry| (full(namespace, entry), entry)))
    }

    /// The manual on `name`: a namespace, a function with or without its prefix; empty for the list of namespaces.
    ///
    /// # Errors
    /// If nothing bears this name.
    pub fn text(&self, name: &str) -> Result<String, UnknownName> {
        if name.is_empty() {
            return Ok(self.overview());
        }
        if let Some(namespace) = self.namespaces.iter().find(|namespace| namespace.name == name) {
            return Ok(namespace.text());
        }
        let found: Vec<String> = self
            .entries()
            .filter(|(full, entry)| full == name || entry.name == name)
            .map(|(_, entry)| page(entry))
            .collect();
        if !found.is_empty() {
            return Ok(found.join("\n"));
        }
        let known: Vec<String> = self
            .namespaces
            .iter()
            .map(|namespace| namespace.name.clone())
            .chain(self.entries().flat_map(|(full, entry)| [full, entry.name.clone()]))
            .collect();
        let nearest = options::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        Err(UnknownName { name: name.to_owned(), nearest })
    }

    /// Every function that has all words of `wanted` in its name, its namespace or its text, best first; one a line.
    ///
    /// # Errors
    /// If there is none.
    pub fn search(&self, wanted: &str) -> Result<String, NothingFound> {
        let words: Vec<String> = wanted.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<(u32, String, &Entry)> = self
            .entries()
            .filter_map(|(full, entry)| {
                let worth: Option<Vec<u32>> = words.iter().map(|word| worth(word, &full, entry)).collect();
                Some((worth?.iter().sum(), full, entry))
            })
            .collect();
        if words.is_empty() || found.is_empty() {
            let names = self.entries().map(|(_, entry)| entry.name.clone()).collect::<Vec<_>>();
            let nearest = options::nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(NothingFound { words: wanted.to_owned(), nearest });
        }
        found.sort_by(|(a, name_a, _), (b, name_b, _)| b.cmp(a).then_with(|| name_a.cmp(name_b)));
        Ok(columns(found.iter().map(|(_, full, entry)| (full.as_str(), entry.summary()))))
    }

    fn overview(&self) -> String {
        let sentences: Vec<String> = self.namespaces.iter().map(|namespace| first_sentence(&namespace.doc)).collect();
        let names = self.namespaces.iter().map(|namespace| namespace.name.as_str());
        let rows = names.zip(sentences.iter().map(String::as_str));
        let more =
            "help NAMESPACE lists its functions, help NAMESPACE::FUNCTION explains one, help --search WORD finds one.";
        format!("{}\n{more}\n", columns(rows))
    }
}

impl Namespace {
    /// Joins the forms of a function; those without options have no comment of their own.
    fn add(&mut self, form: Entry) {
        match self.entries.iter_mut().find(|entry| entry.name == form.name) {
            Some(entry) => {
                entry.signatures.extend(form.signatures);
                entry.is_global |= form.is_global;
                let gap = if entry.doc.is_empty() || form.doc.is_empty() { "" } else { "\n\n" };
                entry.doc.push_str(gap);
                entry.doc.push_str(&form.doc);
            }
            None => self.entries.push(form),
        }
    }

    fn text(&self) -> String {
        format!("{}\n\n{}", self.doc, columns(self.entries.iter().map(|entry| (entry.name.as_str(), entry.summary()))))
    }
}

/// How well a function answers the question for a word in small letters; `None` if it does not.
fn worth(word: &str, full: &str, entry: &Entry) -> Option<u32> {
    let [name, full, doc] = [entry.name.as_str(), full, &entry.doc].map(str::to_lowercase);
    let summary = doc.lines().next().unwrap_or("");
    let is_word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|other| other == word);
    match word {
        _ if name == word || full == word => Some(32),
        _ if is_word(&name) => Some(16),
        _ if name.contains(word) => Some(8),
        _ if is_word(summary) => Some(7),
        _ if summary.contains(word) => Some(6),
        _ if full.contains(word) => Some(4),
        _ if is_word(&doc) => Some(2),
        _ if doc.contains(word) => Some(1),
        _ => None,
    }
}

/// Namespace and entry of one native function; `None` for operators, getters and what Rhai hides.
fn native(info: &FuncInfo) -> Option<(String, Entry)> {
    let name = info.metadata.name.as_str();
    if !name.starts_with(|c: char| c.is_alphabetic()) || name.contains('$') || HIDDEN.contains(&name) {
        return None;
    }
    let namespace = info.namespace.as_str();
    let prefix = if namespace == GLOBAL || namespace.is_empty() { String::new() } else { format!("{namespace}::") };
    let parameters: Vec<String> = info.metadata.params_info.iter().map(|parameter| in_words(parameter)).collect();
    let signature = format!("{prefix}{name}({}){}", parameters.join(", "), result(info));
    let doc = without_slashes(info.metadata.comments.iter().map(|comment| comment.as_str()));
    let is_global = info.metadata.namespace == FnNamespace::Global;
    Some((namespace.to_owned(), Entry { name: name.to_owned(), signatures: vec![signature], doc, is_global }))
}

/// What a parameter is called that takes options.
pub const OPTIONS: [&str; 3] = ["options", "settings", "constants"];

/// Which parameter of a form, from 0, takes options: a map that is called so.
pub fn options_at(signature: &str) -> Option<usize> {
    let names = |parameter: &str| parameter.strip_suffix(": map").is_some_and(|name| OPTIONS.contains(&name));
    parameters(signature).position(names)
}

/// What `debug` calls; it says what `to_string` does.
const HIDDEN: [&str; 1] = ["to_debug"];

/// The name a script knows a Rust type by.
pub fn type_in_words(rust: &str) -> &str {
    match rust.rsplit("::").next().unwrap_or(rust) {
        "f64" | "FLOAT" => "float",
        "i64" | "INT" => "int",
        "str" | "ImmutableString" | "String" => "string",
        "Map" => "map",
        "Array" => "array",
        "Dynamic" => "any",
        "FnPtr" | "Fn" => "closure",
        "range=" | "Range<i64>" | "RangeInclusive<i64>" | "ExclusiveRange" | "InclusiveRange" => "range",
        other => other,
    }
}

/// The types that a script's author knows beside those of pedesis.
const SIMPLE: [&str; 10] = ["int", "float", "string", "bool", "char", "array", "map", "closure", "range", "any"];

/// The functions of the language itself, such as `sqrt` and `push`: name and signature.
pub fn builtins() -> &'static [(String, String)] {
    static BUILTINS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    BUILTINS.get_or_init(all_builtins)
}

fn all_builtins() -> Vec<(String, String)> {
    let form = |info: FuncInfo| {
        let (_, form) = native(&info)?;
        let signature = form.signatures.into_iter().next()?;
        let known = |parameter: &str| parameter.split_once(": ").is_none_or(|(_, kind)| SIMPLE.contains(&kind));
        let simple = parameters(&signature).all(known);
        simple.then_some((form.name, signature))
    };
    let mut forms = Engine::new().collect_fn_metadata(None, form, true);
    forms.sort();
    forms.dedup();
    forms
}

/// A parameter or result as a script's author thinks of it.
fn in_words(rust: &str) -> String {
    let (name, kind) = match rust.split_once(':') {
        Some((name, kind)) if !kind.starts_with(':') => (format!("{}: ", name.trim()), kind.trim()),
        _ => (String::new(), rust.trim()),
    };
    let kind: String = kind.trim_start_matches("&mut ").chars().filter(|c| !c.is_whitespace() && *c != '&').collect();
    let inner = |outer: &str| kind.strip_prefix(outer).and_then(|rest| rest.strip_suffix('>'));
    let kind = inner("ScriptResult<").or_else(|| inner("RhaiResultOf<")).unwrap_or(&kind);
    format!("{name}{}", type_in_words(kind))
}

/// A comment without the slashes it was written with.
fn without_slashes<'a>(comments: impl IntoIterator<Item = &'a str>) -> String {
    let lines = comments.into_iter().flat_map(str::lines);
    let text: Vec<&str> = lines
        .map(|line| line.trim_start().trim_start_matches("///").trim_start_matches("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    text.join("\n").trim().to_owned()
}

/// The first sentence of a text, on one line.
fn first_sentence(text: &str) -> String {
    let paragraph: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => paragraph,
    }
}

fn page(entry: &Entry) -> String {
    format!("{}\n\n{}\n", entry.signatures.join("\n"), entry.doc)
}

/// Two columns, the first as wide as its widest word.
fn columns<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, text)| format!("{name:width$}  {text}").trim_end().to_owned() + "\n").collect()
}

/// The public functions of a built-in strategy.
fn strategy(name: &str, text: &str) -> Option<Namespace> {
    let ast = Engine::new().compile(text).ok()?;
    // A closure is a function too, with a name that no script can write.
    let shown = ast.iter_functions().filter(|function| !function.access.is_private() && !function.name.contains('$'));
    let entries = shown.map(|function| Entry {
        name: function.name.to_owned(),
        signatures: vec![format!("{name}::{}({})", function.name, function.params.join(", "))],
        doc: without_slashes(function.comments.iter().copied()),
        is_global: false,
    });
    let doc = without_slashes([ast.doc()]);
    Some(Namespace { name: name.to_owned(), doc, is_native: false, entries: entries.collect() })
}
