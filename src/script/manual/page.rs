//! The pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, Options, Parser, html};
use serde_json::Value;

use super::code::highlighted;
use super::{MARK, Outcome};
use crate::plot::escape;
use crate::script::help::{Entry, GLOBAL, Namespace, Reference};
use crate::script::options::Accepted;

const STYLE: &str = include_str!("style.css");
const SEARCH: &str = include_str!("search.js");

/// All pages, and what their examples came to.
pub struct Site<'a> {
    reference: &'a Reference,
    /// By full name and number of the example.
    pub outcomes: BTreeMap<(String, usize), Outcome>,
    /// Full names of the functions.
    names: Vec<String>,
}

impl<'a> Site<'a> {
    pub fn new(reference: &'a Reference) -> Self {
        let names = reference.entries().map(|(full, _)| full).collect();
        Self { reference, outcomes: BTreeMap::new(), names }
    }

    /// Name and text of each file.
    pub fn pages(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("index.html".to_owned(), self.index()),
            ("style.css".to_owned(), STYLE.to_owned()),
            ("search.js".to_owned(), format!("const FUNCTIONS = {};\n{SEARCH}", self.list())),
        ];
        let pages = self.reference.namespaces.iter();
        files.extend(pages.map(|namespace| (format!("{}.html", namespace.name), self.namespace(namespace))));
        files
    }

    /// What is searched: name, first sentence, address, all words.
    fn list(&self) -> Value {
        let row = |(full, entry): (String, &Entry)| {
            let address = self.address(&full).unwrap_or_default();
            serde_json::json!([full, entry.summary(), address, entry.doc.to_lowercase()])
        };
        self.reference.entries().map(row).collect()
    }

    /// Where a function is explained, or a namespace.
    fn address(&self, full: &str) -> Option<String> {
        if let Some(namespace) = self.reference.namespaces.iter().find(|namespace| namespace.name == full) {
            return Some(format!("{}.html", namespace.name));
        }
        self.names.iter().find(|name| *name == full)?;
        Some(match full.split_once("::") {
            Some((namespace, name)) => format!("{namespace}.html#{name}"),
            None => format!("{GLOBAL}.html#{full}"),
        })
    }

    /// The address of a name in a text or a script of the page of `namespace`; `.name` is that of a method.
    fn link(&self, name: &str, namespace: &str) -> Option<String> {
        if let Some(method) = name.strip_prefix('.') {
            let same: Vec<String> = self.methods(method).collect();
            let [only] = same.as_slice() else { return None };
            return self.address(only);
        }
        if name.contains("::") {
            return self.address(name);
        }
        self.address(&format!("{namespace}::{name}")).or_else(|| self.address(name).filter(|to| to.contains('#')))
    }

    /// Full names of the methods of this name.
    fn methods(&self, name: &str) -> impl Iterator<Item = String> {
        let entries = self.reference.entries().filter(move |(_, entry)| entry.is_global && entry.name == name);
        entries.map(|(full, _)| full)
    }

    fn index(&self) -> String {
        let rows = |native: bool| -> String {
            let namespaces = self.reference.namespaces.iter().filter(|namespace| namespace.is_native == native);
            let row = |namespace: &Namespace| {
                let first = namespace.doc.split("\n\n").next().unwrap_or("");
                let text = self.inline(first, GLOBAL);
                format!("<tr><td><a href=\"{0}.html\"><code>{0}</code></a></td><td>{text}</td></tr>\n", namespace.name)
            };
            namespaces.map(row).collect()
        };
        let content = format!(
            "<h1>pedesis {}</h1>\n<p>What a script can call. Type in the box at the left to search, or press <kbd>/</kbd>.</p>\n\
             <h2>Namespaces</h2>\n<table class=\"list\">{}</table>\n\
             <h2>Strategies</h2>\n<p>Written in the script language; imported before they are used: <code>import \"two_step\" as two_step;</code></p>\n\
             <table class=\"list\">{}</table>\n",
            env!("CARGO_PKG_VERSION"),
            rows(true),
            rows(false)
        );
        self.frame("pedesis", "", &content)
    }

    /// A page with the names of all namespaces at its side.
    fn frame(&self, title: &str, current: &str, content: &str) -> String {
        let link = |namespace: &Namespace| {
            let class = if namespace.name == current { " class=\"current\"" } else { "" };
            format!("<a href=\"{0}.html\"{class}>{0}</a>\n", namespace.name)
        };
        let links = |native: bool| -> String {
            self.reference.namespaces.iter().filter(|namespace| namespace.is_native == native).map(link).collect()
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{MARK}\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n<nav>\n<a class=\"home\" href=\"index.html\">pedesis</a>\n\
             <input id=\"search\" type=\"search\" placeholder=\"Search\" aria-label=\"Search\" autocomplete=\"off\">\n\
             <div class=\"group\">Namespaces</div>\n{}<div class=\"group\">Strategies</div>\n{}</nav>\n\
             <main>\n<div id=\"found\" hidden></div>\n<div id=\"page\">\n{content}</div>\n</main>\n<script src=\"search.js\"></script>\n</body>\n</html>\n",
            links(true),
            links(false)
        )
    }

    fn namespace(&self, namespace: &Namespace) -> String {
        let name = &namespace.name;
        let mut content = format!("<h1>{name}</h1>\n{}", self.markdown(&namespace.doc, name));
        if !namespace.is_native {
            let import = format!("import \"{name}\" as {name};");
            let _ = writeln!(content, "<pre class=\"code\">{}</pre>", highlighted(&import, &|_| None));
        }
        content.push_str("<table class=\"list\">\n");
        for entry in &namespace.entries {
            let summary = self.inline(entry.summary(), name);
            let _ = writeln!(
                content,
                "<tr><td><a href=\"#{0}\"><code>{0}</code></a></td><td>{summary}</td></tr>",
                entry.name
            );
        }
        content.push_str("</table>\n");
        for entry in &namespace.entries {
            content.push_str(&self.entry(namespace, entry));
        }
        self.frame(&format!("{name} – pedesis"), name, &content)
    }

    fn entry(&self, namespace: &Namespace, entry: &Entry) -> String {
        let full =
            if namespace.name == GLOBAL { entry.name.clone() } else { format!("{}::{}", namespace.name, entry.name) };
        let accepted = Accepted::by(&full);
        let options = accepted.map(|accepted| table_of(&entry.doc, accepted));
        let doc = options.as_ref().map_or(entry.doc.as_str(), |options| &options.rest);
        let mut parts = doc.split("```rhai\n");
        let mut html = format!("<section id=\"{0}\">\n<h2><a href=\"#{0}\">{0}</a></h2>\n", entry.name);
        let _ = writeln!(html, "<pre class=\"signature\">{}</pre>", escape(&entry.signatures.join("\n")));
        html.push_str(&self.markdown(parts.next().unwrap_or(""), &namespace.name));
        if let Some(options) = &options {
            html.push_str(&self.options(options, &namespace.name));
        }
        for (number, part) in parts.enumerate() {
            let (example, after) = part.split_once("```").unwrap_or((part, ""));
            let link = |name: &str| self.link(name, "");
            let _ = writeln!(html, "<pre class=\"code\">{}</pre>", highlighted(example.trim_end(), &link));
            if let Some(outcome) = self.outcomes.get(&(full.clone(), number)) {
                html.push_str(&shown(outcome));
            }
            html.push_str(&self.markdown(after, &namespace.name));
        }
        html + "</section>\n"
    }

    fn options(&self, table: &Table, namespace: &str) -> String {
        let mut html =
            "<table class=\"options\">\n<tr><th>option</th><th>default</th><th>meaning</th></tr>\n".to_owned();
        for Row { name, default, meaning } in &table.rows {
            let meaning = self.inline(meaning, namespace);
            let _ = writeln!(
                html,
                "<tr><td><code>{name}</code></td><td><code>{}</code></td><td>{meaning}</td></tr>",
                escape(default)
            );
        }
        html + "</table>\n"
    }

    /// A comment as HTML, with names of functions as links.
    fn markdown(&self, text: &str, namespace: &str) -> String {
        let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
            Event::Code(code) => match self.link(code.trim_end_matches("(…)"), namespace) {
                Some(to) => Event::Html(CowStr::from(format!("<a href=\"{to}\"><code>{}</code></a>", escape(&code)))),
                None => Event::Code(code),
            },
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            other => other,
        });
        let mut out = String::new();
        html::push_html(&mut out, events);
        out
    }

    /// As [`Self::markdown`], for part of a paragraph.
    fn inline(&self, text: &str, namespace: &str) -> String {
        let html = self.markdown(text, namespace);
        html.trim().replace("<p>", "").replace("</p>", " ").trim_end().to_owned()
    }
}

/// What an example printed, and its figures.
fn shown(outcome: &Outcome) -> String {
    const LINES: usize = 24;
    let mut html = String::new();
    let printed: Vec<&str> = outcome.printed.lines().collect();
    if !printed.is_empty() {
        let more = if printed.len() > LINES { "\n…" } else { "" };
        let text = printed[..printed.len().min(LINES)].join("\n");
        let _ = writeln!(html, "<pre class=\"output\">{}{more}</pre>", escape(&text));
    }
    for figure in &outcome.figures {
        let address = figure.to_string_lossy();
        let name = address.rsplit('-').next().unwrap_or(&address);
        let _ = writeln!(html, "<figure><img src=\"{address}\" alt=\"{name}\" loading=\"lazy\"></figure>");
    }
    html
}

/// A comment with its options taken out of the lists.
struct Table {
    rest: String,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    default: String,
    meaning: String,
}

/// Takes the options out of a comment's lists: points that begin with the name of one.
fn table_of(doc: &str, accepted: &Accepted) -> Table {
    let names = accepted.names();
    let defaults = accepted.defaults();
    let mut meanings: BTreeMap<String, String> = BTreeMap::new();
    let mut rest: Vec<String> = Vec::new();
    let (text, examples) = doc.split_once("```rhai").unwrap_or((doc, ""));
    for block in points(text) {
        let point = block.strip_prefix("* ").map(|point| point.strip_prefix("options: ").unwrap_or(point));
        match point.filter(|point| names.iter().any(|name| point.starts_with(&format!("`{name}`")))) {
            Some(point) => meanings.extend(segments(point, &names)),
            None => rest.push(block),
        }
    }
    let mut order: Vec<&String> = names.iter().collect();
    // in the order of the comment
    order.sort_by_key(|name| text.find(&format!("`{name}`")).unwrap_or(usize::MAX));
    let row = |name: &String| Row {
        name: name.clone(),
        default: defaults.get(name).map_or("–".into(), short),
        meaning: meanings.get(name).cloned().unwrap_or_default(),
    };
    let rows = order.into_iter().map(row).collect();
    let examples = if examples.is_empty() { String::new() } else { format!("```rhai{examples}") };
    Table { rest: format!("{}\n\n{examples}", rest.join("\n")), rows }
}

/// The lines of a text, those of one point of a list together.
fn points(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        let continues = line.starts_with("  ") && blocks.last().is_some_and(|block| block.starts_with("* "));
        match blocks.last_mut() {
            Some(block) if continues => {
                block.push(' ');
                block.push_str(line.trim());
            }
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks
}

/// What a point says of each option in it; names in a row share what is said.
fn segments(point: &str, names: &[String]) -> Vec<(String, String)> {
    let begins = |at: usize| at == 0 || [", ", "; ", "and ", "or "].iter().any(|before| point[..at].ends_with(before));
    let mut starts: Vec<(usize, &String)> = Vec::new();
    for name in names {
        let quoted = format!("`{name}`");
        let place = point.match_indices(&quoted).map(|(at, _)| at).find(|&at| begins(at) && depth(&point[..at]) == 0);
        starts.extend(place.map(|at| (at, name)));
    }
    starts.sort();
    let mut found: Vec<(String, String)> = Vec::new();
    for (i, (at, name)) in starts.iter().enumerate().rev() {
        let end = starts.get(i + 1).map_or(point.len(), |(next, _)| *next);
        let said = point[at + name.len() + 2..end]
            .trim()
            .trim_end_matches(" and")
            .trim_end_matches(" or")
            .trim_end_matches([';', ',', '.'])
            .trim();
        let said = said.trim_start_matches(':').trim();
        let shared = found.last().filter(|_| said.is_empty()).map(|(_, said)| said.clone());
        found.push(((*name).clone(), shared.unwrap_or_else(|| said.to_owned())));
    }
    found
}

/// How many brackets are open at the end of a text.
fn depth(text: &str) -> i64 {
    let count = |c: char| text.matches(c).count() as i64;
    count('(') - count(')')
}

/// A default as a script writes it, or its kind if that is long.
fn short(value: &Value) -> String {
    const LONGEST: usize = 28;
    let text = in_script(value);
    match value {
        Value::Object(_) if text.len() > LONGEST => "#{ … }".into(),
        Value::Array(_) if text.len() > LONGEST => "[ … ]".into(),
        _ => text,
    }
}

/// A value as a script writes it.
fn in_script(value: &Value) -> String {
    match value {
        Value::Null => "()".into(),
        Value::Object(map) if map.is_empty() => "#{}".into(),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}: {}", in_script(value))).collect();
            format!("#{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(in_script).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
