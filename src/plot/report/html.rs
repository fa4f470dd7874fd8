//! The page: from sections to text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::view;
use super::{Section, Sheet, Verdict};
use crate::plot::{Error, Figure};
use crate::store::Provenance;

const STYLE: &str = include_str!("style.css");
const VIEW: &str = include_str!("view.js");

/// Text without the signs that HTML reads.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Endings of names that say a unit, and how a reader writes it.
const UNITS: [(&str, &str); 6] = [("A", "Å"), ("pm", "pm"), ("nm", "nm"), ("deg", "°"), ("kV", "kV"), ("seconds", "s")];

/// A name of a column or value as a heading: `rmsd_pm` is `rmsd [pm]`, `rmsd_pm_sd` is `rmsd sd [pm]`. Other names stay as they are.
pub fn heading(name: &str) -> String {
    if name.contains([' ', '[']) {
        return name.to_owned();
    }
    let mut words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let unit_of = |word: &str| UNITS.iter().find(|(ending, _)| *ending == word).map(|(_, unit)| unit);
    let place = (1..words.len()).rev().find(|&i| unit_of(words[i]).is_some());
    let unit = place.and_then(|i| unit_of(words.remove(i)));
    let words = words.join(" ");
    unit.map_or(words.clone(), |unit| format!("{words} [{unit}]"))
}

/// The whole page.
pub(super) fn page(title: &str, sections: &[Section], provenance: &Provenance) -> Result<String, Error> {
    let mut body = format!("<header>\n<h1>{}</h1>\n{}</header>\n<main>\n", escape(title), byline(provenance));
    body.push_str(&contents(sections));
    let mut views = 0;
    for (number, section) in sections.iter().enumerate() {
        body.push_str(&section_html(section, number, &mut views)?);
    }
    body.push_str(&origin(provenance));
    body.push_str("</main>\n");
    // only what bears this mark runs: no text of a section can know it
    let mark = blake3::hash(body.as_bytes()).to_hex();
    let script = if views > 0 { format!("<script nonce=\"{mark}\">\n{VIEW}</script>\n") } else { String::new() };
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'nonce-{mark}'; script-src 'nonce-{mark}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"pedesis {}\">\n<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style nonce=\"{mark}\">\n{STYLE}</style>\n</head>\n<body>\n{body}{script}</body>\n</html>\n",
        escape(&provenance.version),
        escape(title),
    ))
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// A time as people write it.
fn time(text: &str) -> String {
    escape(&text.replace('T', " ").replace('Z', " UTC"))
}

/// When and by what the page was made.
fn byline(provenance: &Provenance) -> String {
    let script = match provenance.script_path.as_str() {
        "" => String::new(),
        path => format!(" · {}", code(path)),
    };
    format!(
        "<p class=\"byline\"><time datetime=\"{0}\">{1}</time>{script} · pedesis {2}</p>\n",
        escape(&provenance.end),
        time(&provenance.end),
        escape(&provenance.version)
    )
}

/// Links to the sections, where there are several with titles.
fn contents(sections: &[Section]) -> String {
    let titled = sections.iter().enumerate().filter(|(_, section)| !section.title.is_empty());
    let link = |(number, section): (usize, &Section)| {
        format!("<a href=\"#section-{number}\">{}</a>\n", escape(&section.title))
    };
    let links: Vec<String> = titled.map(link).collect();
    if links.len() < 3 {
        return String::new();
    }
    format!("<nav>\n{}<a href=\"#provenance\">Provenance</a>\n</nav>\n", links.concat())
}

fn section_html(section: &Section, number: usize, views: &mut usize) -> Result<String, Error> {
    let mut html = format!("<section id=\"section-{number}\">\n");
    if !section.title.is_empty() {
        let _ = writeln!(html, "<h2>{}</h2>", escape(&section.title));
    }
    let text = paragraphs(&section.text);
    match section.verdict {
        Some(verdict) => html.push_str(&banner(verdict, &text)),
        None => html.push_str(&text),
    }
    if !section.values.is_empty() {
        html.push_str(&pairs(section.values.iter().map(|(name, value)| (heading(name), escape(value)))));
    }
    section.tables.iter().for_each(|sheet| html.push_str(&table(sheet)));
    for atoms in &section.views {
        html.push_str(&view::html(atoms, *views));
        *views += 1;
    }
    for figure in &section.figures {
        html.push_str(&image(figure)?);
    }
    Ok(html + "</section>\n")
}

fn banner(verdict: Verdict, text: &str) -> String {
    let sign = match verdict {
        Verdict::Converged => "✓",
        Verdict::Doubtful => "!",
        Verdict::Failed => "✕",
    };
    let name = verdict.name();
    format!(
        "<div class=\"verdict {name}\">\n<p class=\"word\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span> {name}</p>\n{text}</div>\n"
    )
}

/// Paragraphs and lists of a plain text.
fn paragraphs(text: &str) -> String {
    let mut html = String::new();
    for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        let (mut words, mut points) = (Vec::new(), Vec::new());
        for line in paragraph.lines() {
            match line.strip_prefix("* ") {
                Some(point) => points.push(format!("<li>{}</li>\n", escape(point))),
                None => words.push(escape(line)),
            }
        }
        if !words.is_empty() {
            let _ = writeln!(html, "<p>{}</p>", words.join("\n"));
        }
        if !points.is_empty() {
            let _ = writeln!(html, "<ul>\n{}</ul>", points.concat());
        }
    }
    html
}

/// Names (plain) and values (HTML) as a table of two columns.
fn pairs(values: impl Iterator<Item = (String, String)>) -> String {
    let row = |(name, value): (String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{value}</td></tr>\n", escape(&name))
    };
    format!("<table class=\"values\">\n{}</table>\n", values.map(row).collect::<String>())
}

fn table(sheet: &Sheet) -> String {
    let class = |i: usize| if sheet.columns.get(i).is_some_and(|column| column.1) { " class=\"number\"" } else { "" };
    let mut html = "<div class=\"wide\"><table class=\"sheet\">\n<thead><tr>".to_owned();
    for (i, (name, _)) in sheet.columns.iter().enumerate() {
        let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(i), escape(&heading(name)));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &sheet.rows {
        html.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(i), escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table></div>\n"
}

fn image(figure: &Figure) -> Result<String, Error> {
    let (width, height) = figure.size();
    let bytes = STANDARD.encode(figure.to_png()?);
    let name = if figure.title().is_empty() { "figure" } else { figure.title() };
    Ok(format!(
        "<figure><img width=\"{width}\" height=\"{height}\" alt=\"{}\" src=\"data:image/png;base64,{bytes}\"></figure>\n",
        escape(name)
    ))
}

/// What must be known to make the run again.
fn origin(provenance: &Provenance) -> String {
    let mut facts = vec![("pedesis".to_owned(), escape(&provenance.version))];
    if !provenance.script_path.is_empty() {
        facts.push(("script".into(), code(&provenance.script_path)));
    }
    facts.extend(provenance.seed.map(|seed| ("seed".into(), seed.to_string())));
    facts.extend(provenance.threads.map(|threads| ("threads".into(), threads.to_string())));
    facts.push(("begun".into(), time(&provenance.start)));
    facts.push(("written".into(), time(&provenance.end)));
    let files: Vec<String> = provenance.inputs.keys().map(|path| code(path)).collect();
    facts.push(("files read".into(), if files.is_empty() { "none".into() } else { files.join("<br>") }));
    let mut html = format!("<section id=\"provenance\">\n<h2>Provenance</h2>\n{}", pairs(facts.into_iter()));
    if let Some(arguments) = provenance.arguments.as_object().filter(|arguments| !arguments.is_empty()) {
        let rows = arguments.iter().map(|(name, value)| (name.clone(), code(&short(value))));
        let _ = writeln!(html, "<details open>\n<summary>Arguments</summary>\n{}</details>", pairs(rows));
    }
    let calls = provenance.options.as_array().map(Vec::as_slice).unwrap_or_default();
    if !calls.is_empty() {
        let calls = calls.iter().map(call).collect::<String>();
        let _ = writeln!(
            html,
            "<details>\n<summary>Options of all functions, with their defaults</summary>\n{calls}</details>"
        );
    }
    let modules = provenance.modules.iter().map(|(path, text)| (format!("Module {path}"), text));
    let script = Some(("Script".to_owned(), &provenance.script)).filter(|(_, text)| !text.is_empty());
    for (title, text) in script.into_iter().chain(modules) {
        let (title, text) = (escape(&title), escape(text));
        let _ = writeln!(html, "<details>\n<summary>{title}</summary>\n<pre>{text}</pre>\n</details>");
    }
    html + "</section>\n"
}

/// One function with the options it used.
fn call(call: &Value) -> String {
    let name = call.get("function").and_then(Value::as_str).unwrap_or_default();
    let times = match call.get("count").and_then(Value::as_u64) {
        Some(count) if count > 1 => format!(" <span class=\"faint\">{count} times</span>"),
        _ => String::new(),
    };
    let options = call.get("options").and_then(Value::as_object);
    let rows = options.into_iter().flatten().map(|(name, value)| (name.clone(), code(&short(value))));
    format!("<h3>{}{times}</h3>\n{}", code(name), pairs(rows))
}

/// A value of an argument or option on one line.
fn short(value: &Value) -> String {
    const LONGEST: usize = 400;
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_end_in_a_unit_have_it_in_brackets() {
        let cases = [
            ("rmsd_pm", "rmsd [pm]"),
            ("rmsd_pm_sd", "rmsd sd [pm]"),
            ("width_A", "width [Å]"),
            ("A", "A"),
            ("species_accuracy", "species accuracy"),
            ("wall_seconds", "wall [s]"),
            ("u_xx [%]", "u_xx [%]"),
            ("Debye_Waller B", "Debye_Waller B"),
        ];
        for (name, wanted) in cases {
            assert_eq!(heading(name), wanted);
        }
    }

    #[test]
    fn texts_are_paragraphs_and_lists_without_markup() {
        let html = paragraphs("One <b>\nline.\n\nReasons:\n* first & last\n* second\n");
        assert_eq!(
            html,
            "<p>One &lt;b&gt;\nline.</p>\n<p>Reasons:</p>\n<ul>\n<li>first &amp; last</li>\n<li>second</li>\n</ul>\n"
        );
    }
}
