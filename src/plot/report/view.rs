//! Atoms for the script of the page: a canvas with its controls, and the numbers as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use plotters::style::RGBColor;
use serde_json::{Value, json};

use super::AtomsView;
use super::html::{escape, heading};
use crate::plot::spheres::OF_COVALENT;
use crate::plot::style::{diverging, element_color, viridis};
use crate::structure::Element;

/// Steps of a colour map.
const LEVELS: usize = 64;

/// The canvas, what is around it, and the data; `number` tells the views of a page apart.
pub(super) fn html(atoms: &AtomsView, number: usize) -> String {
    let elements = elements(atoms);
    let mut options = String::new();
    for (i, (name, _)) in atoms.columns.iter().enumerate() {
        let _ = write!(options, "<option value=\"{i}\">{}</option>", escape(&heading(name)));
    }
    let mut legend = String::new();
    for (element, count) in elements.iter().rev() {
        let _ = writeln!(
            legend,
            "<button type=\"button\" class=\"element\" data-element=\"{0}\" aria-pressed=\"true\" title=\"show or hide {0}\"><span class=\"disc\"></span>{0} <span class=\"count\">{count}</span></button>",
            element.symbol()
        );
    }
    let hidden = if atoms.columns.is_empty() { " hidden" } else { "" };
    format!(
        "<div class=\"atoms\" id=\"atoms-{number}\">\n<div class=\"controls\">\n\
         <label{hidden}>Colour <select class=\"colour\"><option value=\"-1\">element</option>{options}</select></label>\n\
         <span class=\"bar\" hidden><input class=\"low\" type=\"number\" step=\"any\" aria-label=\"lower end of the colours\">\
         <canvas class=\"ramp\" width=\"128\" height=\"12\"></canvas>\
         <input class=\"high\" type=\"number\" step=\"any\" aria-label=\"upper end of the colours\"> <span class=\"unit\"></span></span>\n\
         <span class=\"legend\">{legend}</span>\n\
         <span class=\"views\">View along <button type=\"button\" data-axis=\"x\">x</button><button type=\"button\" data-axis=\"y\">y</button><button type=\"button\" data-axis=\"z\">z</button></span>\n\
         <label>Cut <input class=\"cut\" type=\"range\" min=\"0\" max=\"100\" value=\"0\" title=\"takes atoms away from the front\"></label>\n\
         <label>Size <input class=\"size\" type=\"range\" min=\"20\" max=\"160\" value=\"100\" title=\"of the atoms\"></label>\n\
         </div>\n<div class=\"stage\">\n<canvas class=\"view\" tabindex=\"0\" role=\"img\" aria-label=\"{count} atoms in three dimensions\"></canvas>\n\
         <div class=\"tip\" hidden></div>\n</div>\n\
         <p class=\"hint\">{count} atoms. Drag or arrow keys turn, the wheel or + − zooms, a double click goes back; point at an atom for its values.</p>\n\
         <script type=\"application/json\" class=\"data\">{data}</script>\n</div>\n",
        count = atoms.structure.len(),
        data = in_page(&data(atoms, &elements)),
    )
}

/// Elements with their numbers of atoms, the lightest first.
fn elements(atoms: &AtomsView) -> Vec<(Element, usize)> {
    let mut counts = BTreeMap::new();
    for atom in atoms.structure.atoms() {
        counts.entry(atom.element.atomic_number()).or_insert((atom.element, 0)).1 += 1;
    }
    counts.into_values().collect()
}

fn data(atoms: &AtomsView, elements: &[(Element, usize)]) -> Value {
    let all: Vec<Element> = elements.iter().map(|(element, _)| *element).collect();
    let element = |&element: &Element| {
        let RGBColor(red, green, blue) = element_color(element, &all);
        json!({ "symbol": element.symbol(), "color": [red, green, blue], "radius": OF_COVALENT * element.covalent_radius() })
    };
    let map = |color: fn(f32) -> [u8; 3]| -> Value {
        (0..LEVELS).map(|i| json!(color(i as f32 / (LEVELS - 1) as f32))).collect()
    };
    let species = atoms.structure.atoms().iter().map(|atom| all.iter().position(|element| *element == atom.element));
    let positions = atoms.structure.atoms().iter().flat_map(|atom| [atom.position.x, atom.position.y, atom.position.z]);
    let columns = atoms.columns.iter().map(|(name, values)| {
        json!({ "label": heading(name), "values": values.iter().map(|&value| significant(value)).collect::<Value>() })
    });
    json!({
        "elements": all.iter().map(element).collect::<Value>(),
        "species": species.collect::<Vec<_>>(),
        "positions": positions.map(|x| (1e4 * x).round() / 1e4).collect::<Vec<f64>>(),
        "columns": columns.collect::<Value>(),
        "viridis": map(viridis),
        "diverging": map(diverging),
    })
}

/// A number with six digits; null for one that is not finite.
fn significant(value: f64) -> Value {
    let short = format!("{value:.5e}").parse::<f64>().unwrap_or(value);
    serde_json::Number::from_f64(short).map_or(Value::Null, Value::Number)
}

/// JSON that cannot end the element it stands in.
fn in_page(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::bundled;

    #[test]
    fn names_of_columns_cannot_end_the_data() {
        let structure = bundled("fept_1.5nm").unwrap();
        let columns = vec![("</script><b>".to_owned(), vec![f64::NAN; structure.len()])];
        let html = html(&AtomsView { structure, columns }, 0);
        assert_eq!(html.matches("</script>").count(), 1);
        assert!(html.contains("\\u003c/script>\\u003cb>") || html.contains("\\u003c/script"), "{html}");
        assert!(html.contains("[null,null,"));
    }

    #[test]
    fn numbers_keep_six_digits() {
        assert_eq!(significant(0.123_456_789), json!(0.123457));
        assert_eq!(significant(-1_234_567.0), json!(-1_234_570.0));
        assert_eq!(significant(f64::INFINITY), Value::Null);
    }
}
