//! `plot::report`: a run as one web page.

use rhai::plugin::*;
use rhai::{Array, Map};

use crate::model::Model;
use crate::plot::{AtomsView, Figure, Report, Section, Titled, Verdict, heading};
use crate::script::diagnostic::a;
use crate::script::options::{OptionError, describe};
use crate::script::{ScriptResult, Session, Table, fault, options, stored, writable};
use crate::structure::Structure;

#[export_module(manifest)]
pub mod api {
    /// Figures, tables, numbers and atoms that can be turned, with where they came from, as one web page that needs no network.
    ///
    /// * `sections`: an array, shown in its order, of maps with any of `title`; `verdict` (`"converged"`, `"doubtful"` or `"failed"`: the text is good news or
    ///   bad); `text`, paragraphs with empty lines between, lines that begin with `* ` as a list; `values`, a map, or an array of `[name, value]` in the order wanted;
    ///   `table`, a Table; `atoms`, a Model or a Structure; `per_atom`, a map of arrays with a number, or `()`, an atom; `figure`, a Figure. In place of one
    ///   table, figure or value for `atoms` an array of them will do. A Figure, Table, Model or Structure alone is a section too.
    /// * `title` (default "Report"): of the page.
    ///
    /// Atoms are coloured by element, by the columns of a Model, or by what `per_atom` says; they are turned with mouse, fingers or arrow keys, and tell their values under the
    /// mouse. Names that end in a unit, such as `rmsd_pm` or `width_A`, are shown with it in brackets. At its end the page has the script, its arguments, all options used,
    /// seed, threads, files read and times, as `store::write` keeps them.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
    /// let results = table::from_rows(["snr", "rmsd_pm"], [[0.5, 7.1], [1.0, 3.2]]);
    /// let page = plot::report([
    ///     #{ title: "Result", verdict: "converged", text: "* all atoms found", values: #{ atoms: atoms.len(), rmsd_pm: 3.2 } },
    ///     #{ title: "Atoms", atoms: atoms, per_atom: #{ height_A: atoms.structure().positions().map(|p| p[2]) } },
    ///     #{ title: "Noise", table: results, figure: plot::table(results, #{ x: "snr", y: "rmsd_pm" }) },
    /// ], #{ title: "FePt, 1.5 nm" });
    /// page.save("report.html");
    /// plot::report([truth]).save("particle.html");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn report(call: NativeCallContext, sections: Array, options: Map) -> ScriptResult<Report> {
        let Titled { title } = options::parse(&call, &options)?;
        let section = |(i, value): (usize, &Dynamic)| {
            super::section(value).map_err(|problem| fault(format!("section {i} of the report: {problem}")))
        };
        Report::new(&title, sections.iter().enumerate().map(section).collect::<ScriptResult<_>>()?).map_err(fault)
    }

    #[rhai_fn(name = "report", return_raw)]
    pub fn report_default(call: NativeCallContext, sections: Array) -> ScriptResult<Report> {
        report(call, sections, Map::new())
    }

    /// Saves the page to a file that ends in `.html`; it appears only when complete.
    ///
    /// ```rhai
    /// plot::report([structure::bundled("fept_1.5nm")]).save("particle.html");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, report: Report, path: &str) -> ScriptResult<()> {
        report.save(&writable(&call, path)?, &Session::of(&call).provenance()).map_err(fault)
    }

    /// One line: title, and how many sections, figures, tables and views there are.
    ///
    /// ```rhai
    /// print(plot::report([structure::bundled("fept_1.5nm")]).to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(report: Report) -> String {
        report.to_string()
    }

    /// The same line as `to_string`.
    ///
    /// ```rhai
    /// print(plot::report([structure::bundled("fept_1.5nm")]).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(report: Report) -> String {
        report.to_string()
    }
}

/// What a section may have.
const ENTRIES: [&str; 8] = ["title", "verdict", "text", "values", "table", "atoms", "per_atom", "figure"];

/// A section as a script gives it.
fn section(value: &Dynamic) -> Result<Section, String> {
    let Ok(map) = value.as_map_ref() else { return alone(value) };
    let known = || ENTRIES.map(str::to_owned).to_vec();
    if let Some(name) = map.keys().find(|name| !ENTRIES.contains(&name.as_str())) {
        return Err(OptionError::Unknown { name: name.to_string(), known: known() }.to_string());
    }
    let given = |name: &str| map.get(name).filter(|value| !value.is_unit());
    let text = |name: &str| match given(name) {
        None => Ok(String::new()),
        Some(value) => value.clone().into_string().map_err(|_| format!("{name} is a string, not {}", describe(value))),
    };
    let all = |name: &str| match given(name) {
        None => Vec::new(),
        Some(value) => value.as_array_ref().map_or_else(|_| vec![value.clone()], |items| items.to_vec()),
    };
    let verdict = match text("verdict")?.as_str() {
        "" => None,
        word => Some(
            Verdict::ALL
                .into_iter()
                .find(|verdict| verdict.name() == word)
                .ok_or_else(|| format!("verdict is \"converged\", \"doubtful\" or \"failed\", not {word:?}"))?,
        ),
    };
    let per_atom = given("per_atom").map(per_atom).transpose()?.unwrap_or_default();
    if !per_atom.is_empty() && given("atoms").is_none() {
        return Err("per_atom says nothing without atoms".into());
    }
    let of = |value: &Dynamic| atoms(value, &per_atom).ok_or_else(|| wrong("atoms", "a Model or a Structure", value));
    Ok(Section {
        title: text("title")?,
        verdict,
        text: text("text")?,
        values: given("values").map(values).transpose()?.unwrap_or_default(),
        tables: each(&all("table"), |value| table(value).ok_or_else(|| wrong("table", "a Table", value)))?,
        views: each(&all("atoms"), of)?,
        figures: each(&all("figure"), |value| figure(value).ok_or_else(|| wrong("figure", "a Figure", value)))?,
    })
}

fn each<T>(values: &[Dynamic], read: impl Fn(&Dynamic) -> Result<T, String>) -> Result<Vec<T>, String> {
    values.iter().map(read).collect()
}

fn wrong(name: &str, expected: &str, found: &Dynamic) -> String {
    format!("{name} is {expected}, not {}", describe(found))
}

/// A value that is a section of itself.
fn alone(value: &Dynamic) -> Result<Section, String> {
    let mut section = Section::default();
    if let Some(figure) = figure(value) {
        section.figures.push(figure);
    } else if let Some(table) = table(value) {
        section.tables.push(table);
    } else if let Some(atoms) = atoms(value, &[]) {
        section.views.push(atoms);
    } else {
        return Err(format!("it is a map, a Figure, a Table, a Model or a Structure, not {}", describe(value)));
    }
    Ok(section)
}

/// A value that is a figure.
pub(super) fn figure(value: &Dynamic) -> Option<Figure> {
    value.read_lock::<Figure>().map(|figure| figure.clone())
}

fn table(value: &Dynamic) -> Option<crate::plot::Sheet> {
    value.read_lock::<Table>().map(|table| table.to_sheet())
}

/// Atoms with the numbers of a model, then those that a script has.
fn atoms(value: &Dynamic, per_atom: &[(String, Vec<f64>)]) -> Option<AtomsView> {
    let (structure, mut columns) = if let Some(model) = value.read_lock::<Model>() {
        let columns = model.columns().into_iter().map(|(name, numbers)| (name.to_owned(), numbers));
        (model.structure(), columns.collect())
    } else {
        (value.read_lock::<Structure>()?.clone(), Vec::new())
    };
    columns.retain(|(name, _)| per_atom.iter().all(|(other, _)| other != name));
    columns.extend(per_atom.iter().cloned());
    Some(AtomsView { structure, columns })
}

fn per_atom(value: &Dynamic) -> Result<Vec<(String, Vec<f64>)>, String> {
    let map = value.as_map_ref().map_err(|kind| format!("per_atom is a map of arrays, not {}", a(kind)))?;
    let number = |name: &str, item: &Dynamic| match item.is_unit() {
        true => Ok(f64::NAN),
        false => item
            .as_float()
            .or_else(|_| item.as_int().map(|integer| integer as f64))
            .map_err(|_| format!("per_atom, {name}: expected a number or (), not {}", describe(item))),
    };
    let column = |(name, value): (&rhai::Identifier, &Dynamic)| {
        let items =
            value.as_array_ref().map_err(|kind| format!("per_atom, {name}: expected an array, not {}", a(kind)))?;
        Ok((name.to_string(), items.iter().map(|item| number(name, item)).collect::<Result<_, String>>()?))
    };
    map.iter().map(column).collect()
}

/// Names and values from a map, or from an array of pairs.
fn values(value: &Dynamic) -> Result<Vec<(String, String)>, String> {
    let entry = |name: &str, value: &Dynamic| {
        let json = stored::json_of(value).map_err(|problem| format!("values, {name}: {problem}"))?;
        Ok((name.to_owned(), in_words(&json)))
    };
    if let Ok(map) = value.as_map_ref() {
        return map.iter().map(|(name, value)| entry(name, value)).collect();
    }
    let expected = || wrong("values", "a map, or an array of [name, value]", value);
    let pairs = value.as_array_ref().map_err(|_| expected())?;
    let pair = |pair: &Dynamic| match pair.as_array_ref().map_err(|_| expected())?.as_slice() {
        [name, value] => entry(&name.clone().into_string().map_err(|_| expected())?, value),
        _ => Err(expected()),
    };
    pairs.iter().map(pair).collect()
}

/// A value on one line.
fn in_words(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "–".into(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let words: Vec<String> =
                map.iter().map(|(name, value)| format!("{} {}", heading(name), in_words(value))).collect();
            words.join(", ")
        }
        plain => crate::script::table::written(plain),
    }
}
