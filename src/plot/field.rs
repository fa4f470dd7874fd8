//! Displacements and strains as maps: atoms in slices through the particle, seen along the axes of its lattice.

use nalgebra::Vector3;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::atoms::{VIEWS, elements_of};
use super::gray::color_bar;
use super::style::{
    self, Area, BOTTOM, FAINT, INK, LABEL, LEFT, LEGEND_ROW, Symbol, TICK, TITLE_STRIP, anchored, diverging, drawing,
    viridis,
};
use super::{Error, Figure};
use crate::model::analysis::{COMPONENTS, LatticeFit, LocalStrain, StrainField};
use crate::structure::{Element, LatticeKind, Structure};

/// Options of [`displacements`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DisplacementsPlot {
    /// Thickness of the slices \[Å\]; default: the lattice constant a (half of it in rock salt).
    pub thickness: Option<f64>,
    /// How many times as long the arrows are; default: 1, 2, 5, 10, …, so that the median one is about a third of a bond long. None is drawn longer than five bonds.
    pub scale: Option<f64>,
    /// Displacement of the brightest colour \[pm\]; default: of the 98th percentile.
    pub range: Option<f64>,
    /// Default: lattice and RMS displacement.
    pub title: String,
}

/// Options of [`strain`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrainPlot {
    /// `"xx"`, `"yy"`, `"zz"`, `"xy"`, `"xz"`, `"yz"`, `"volumetric"` (default) or `"rotation"`.
    pub component: String,
    /// Thickness of the slices \[Å\]; default: the lattice constant a (half of it in rock salt).
    pub thickness: Option<f64>,
    /// Strain of the strongest colours \[%\], or rotation \[°\]; default: of the 98th percentile.
    pub range: Option<f64>,
    /// Default: component, its mean and standard deviation.
    pub title: String,
}

impl Default for StrainPlot {
    fn default() -> Self {
        Self { component: "volumetric".to_owned(), thickness: None, range: None, title: String::new() }
    }
}

const SIDE: u32 = 560;
const CAPTION: u32 = 56;
const RIGHT: u32 = 24;
const BAR: u32 = 150;
/// Radius of an atom [bond lengths].
const RADIUS: f64 = 0.24;

/// Length of a typical arrow, and the longest that is drawn [bond lengths].
const TYPICAL: f64 = 0.35;
const LONGEST: f64 = 5.0;
/// Displacements \[pm\] and strains \[%, °\] below this are rounding.
const NEGLIGIBLE: f64 = 0.01;

/// An atom of a map, in the lattice's axes from the origin of the fit, a site near the centroid \[Å\].
struct Mark {
    place: Vector3<f64>,
    /// Depth of its site, by which slices are cut: the planes of the lattice stay whole.
    site: Vector3<f64>,
    element: Element,
    /// 0 … 1; none for an atom without a value.
    level: Option<f64>,
    /// Arrow from the place \[Å\].
    arrow: Vector3<f64>,
}

/// What the marks are drawn with.
struct Map<'a> {
    kind: LatticeKind,
    marks: Vec<Mark>,
    elements: Vec<Element>,
    thickness: f64,
    /// Radius of an atom \[Å\].
    radius: f64,
    color: &'a dyn Fn(f32) -> [u8; 3],
    /// Values at both ends of the colours.
    scale: (f64, f64),
    unit: &'a str,
    title: String,
}

/// Displacements of the atoms from their sites: arrows, enlarged, and their length as a colour.
pub fn displacements(atoms: &Structure, fit: &LatticeFit, options: &DisplacementsPlot) -> Result<Figure, Error> {
    let lengths: Vec<f64> = fit.sites.iter().flatten().map(|site| 100.0 * site.displacement.norm()).collect();
    let top = positive("range", options.range, "a positive number of pm")?.unwrap_or_else(|| strongest(&lengths));
    // where most atoms are on their sites, those that are not say how long arrows are
    let typical = 0.01 * percentile(&lengths, 0.5).max(0.1 * strongest(&lengths));
    let scale = positive("scale", options.scale, "a positive number")?
        .unwrap_or_else(|| style::round_down((TYPICAL * fit.bond / typical).max(1.0)));
    let title = if options.title.is_empty() {
        format!("{}, RMS displacement {:.1} pm (arrows × {})", name(fit), 100.0 * fit.rms(), style::tick_label(scale))
    } else {
        options.title.clone()
    };
    let mark = |i: usize, frame: &Frame| {
        let atom = &atoms.atoms()[i];
        let site = fit.sites[i];
        let way = site.map_or(Vector3::zeros(), |site| frame.turned(&site.displacement));
        let place = frame.at(&site.map_or(atom.position, |site| site.position).coords);
        let level = site.map(|site| (100.0 * site.displacement.norm() / top).min(1.0));
        Mark {
            place,
            site: place,
            element: atom.element,
            level,
            arrow: (way * scale).cap_magnitude(LONGEST * fit.bond),
        }
    };
    let color = |level: f32| viridis(level);
    draw(atoms, fit, options.thickness, mark, (&color, (0.0, top), "pm"), title)
}

/// One component of the strain as the colour of each atom, white at 0; atoms without strain are grey.
pub fn strain(atoms: &Structure, field: &StrainField, options: &StrainPlot) -> Result<Figure, Error> {
    let wanted = options.component.as_str();
    let Some(component) = COMPONENTS.iter().position(|name| *name == wanted) else {
        let requirement = "one of xx, yy, zz, xy, xz, yz, volumetric and rotation";
        return Err(Error::Choice { name: "component", value: wanted.to_owned(), requirement });
    };
    let is_rotation = wanted == "rotation";
    let value = |strain: &LocalStrain| {
        let value = strain.components()[component];
        if is_rotation { value.to_degrees() } else { 100.0 * value }
    };
    let values: Vec<f64> = field.atoms.iter().flatten().map(value).collect();
    if values.is_empty() {
        return Err(Error::Empty("no atom has enough neighbours for a strain"));
    }
    let sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    let range = positive("range", options.range, "a positive number")?;
    let top = range.unwrap_or_else(|| strongest(&sizes));
    let scale = if is_rotation { (0.0, top) } else { (-top, top) };
    let fit = &field.fit;
    let mark = |i: usize, frame: &Frame| {
        let atom = &atoms.atoms()[i];
        let level = field.atoms[i].map(|strain| ((value(&strain) - scale.0) / (scale.1 - scale.0)).clamp(0.0, 1.0));
        let site = frame.at(&fit.sites[i].map_or(atom.position, |site| site.position).coords);
        Mark { place: frame.at(&atom.position.coords), site, element: atom.element, level, arrow: Vector3::zeros() }
    };
    let unit = if is_rotation { "°" } else { "%" };
    let title = if options.title.is_empty() {
        let summary = crate::model::analysis::Summary::of(values.iter().copied());
        let what = if is_rotation { "rotation" } else { "strain" };
        let component = if is_rotation { String::new() } else { format!(" {wanted}") };
        let mean = format!("{:.2}", summary.mean).replace('-', "−");
        format!("{}, {what}{component} {mean} ± {:.2} {unit}", name(fit), summary.deviation)
    } else {
        options.title.clone()
    };
    let color = |level: f32| if is_rotation { viridis(level) } else { diverging(level) };
    draw(atoms, fit, options.thickness, mark, (&color, scale, unit), title)
}

fn name(fit: &LatticeFit) -> String {
    let species: String = fit.species.iter().map(|element| element.symbol()).collect();
    format!("{species} {}", fit.kind)
}

fn positive(name: &'static str, value: Option<f64>, requirement: &'static str) -> Result<Option<f64>, Error> {
    match value {
        Some(value) if !(value.is_finite() && value > 0.0) => Err(Error::OutOfRange { name, value, requirement }),
        value => Ok(value),
    }
}

/// What the ends of the colours stand for: what 98 % of the values are below, or the largest where those are rounding.
fn strongest(values: &[f64]) -> f64 {
    let strongest = percentile(values, 0.98);
    if strongest > NEGLIGIBLE { strongest } else { percentile(values, 1.0).max(NEGLIGIBLE) }
}

/// The value that a part (0 … 1) of all are below; 0 without values.
fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((part * sorted.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0.0)
}

/// From the frame of the atoms to the lattice's axes about the origin of the fit.
struct Frame<'a> {
    fit: &'a LatticeFit,
    centre: Vector3<f64>,
}

impl Frame<'_> {
    fn turned(&self, vector: &Vector3<f64>) -> Vector3<f64> {
        self.fit.rotation.inverse() * vector
    }

    fn at(&self, position: &Vector3<f64>) -> Vector3<f64> {
        self.turned(&(position - self.centre))
    }
}

type Colors<'a> = (&'a dyn Fn(f32) -> [u8; 3], (f64, f64), &'a str);

fn draw(
    atoms: &Structure,
    fit: &LatticeFit,
    thickness: Option<f64>,
    mark: impl Fn(usize, &Frame) -> Mark,
    (color, scale, unit): Colors,
    title: String,
) -> Result<Figure, Error> {
    let thickness = positive("thickness", thickness, "a positive number of Å")?;
    let period = if fit.kind == LatticeKind::Rocksalt { 0.5 * fit.a.value } else { fit.a.value };
    // the origin is that of a cell near the centroid: planes of atoms go through it
    let frame = Frame { fit, centre: fit.origin.coords };
    let map = Map {
        kind: fit.kind,
        marks: (0..atoms.len()).map(|i| mark(i, &frame)).collect(),
        elements: elements_of(atoms.atoms().iter()),
        thickness: thickness.unwrap_or(period),
        radius: RADIUS * fit.bond,
        color,
        scale,
        unit,
        title,
    };
    map.draw()
}

impl Map<'_> {
    fn draw(&self) -> Result<Figure, Error> {
        let reach = self.marks.iter().flat_map(|mark| mark.place.iter().map(|x| x.abs())).fold(1.0, f64::max) + 1.5;
        let mut items = Vec::new();
        if self.elements.len() > 1 {
            let item =
                |&element: &Element| (Symbol::Ring, style::element_color(element, &self.elements), element.to_string());
            items.extend(self.elements.iter().map(item));
        }
        if self.marks.iter().any(|mark| mark.level.is_none()) {
            items.push((Symbol::Disc, FAINT, "no value".to_owned()));
        }
        let panel = (LEFT + SIDE + RIGHT, CAPTION + SIDE + BOTTOM);
        let legend = if items.is_empty() { 0 } else { LEGEND_ROW };
        style::render((3 * panel.0 + BAR, TITLE_STRIP + legend + panel.1), &self.title, |area| {
            let below = if items.is_empty() { area.clone() } else { style::legend(area, &items)? };
            for (i, axes) in VIEWS.into_iter().enumerate() {
                self.view(&below.clone().shrink((i as u32 * panel.0, 0), panel), axes, reach)?;
            }
            let left = 3 * panel.0 as i32 + 6;
            let ends = (self.scale.0 as f32, self.scale.1 as f32);
            color_bar(&below, (left, CAPTION as i32), SIDE, ends, |level| (self.color)(level))?;
            let foot = (left, (CAPTION + SIDE) as i32 + 20);
            below.draw_text(self.unit, &anchored(LABEL, INK, HPos::Left, VPos::Top), foot).map_err(drawing)
        })
    }

    fn view(&self, place: &Area, axes: [usize; 3], reach: f64) -> Result<(), Error> {
        let titles = [axes[0], axes[1]].map(|axis| format!("{} [Å]", self.axis(axis)));
        let ranges = [-reach..reach, -reach..reach];
        let chart = style::axes(place, ranges, [&titles[0], &titles[1]], [CAPTION, RIGHT], false)?;
        let area = chart.plotting_area();
        let pixels = f64::from(SIDE) / (2.0 * reach);
        // the planes from the one through the centre upwards, as many as the thickness holds
        let depth = |mark: &Mark| mark.site[axes[2]] / self.thickness;
        let mut shown: Vec<&Mark> = self.marks.iter().filter(|mark| (-0.1..0.9).contains(&depth(mark))).collect();
        shown.sort_by(|a, b| depth(a).total_cmp(&depth(b)));
        let on_page = |place: &Vector3<f64>| (place[axes[0]], place[axes[1]]);
        for mark in &shown {
            let at = on_page(&mark.place);
            let radius = ((self.radius * pixels) as i32).max(3);
            let fill = mark.level.map_or(FAINT, |level| {
                let [red, green, blue] = (self.color)(level as f32);
                RGBColor(red, green, blue)
            });
            area.draw(&Circle::new(at, radius, fill.filled())).map_err(drawing)?;
            let rim = if self.elements.len() > 1 { style::element_color(mark.element, &self.elements) } else { INK };
            area.draw(&Circle::new(at, radius, rim.stroke_width(2))).map_err(drawing)?;
        }
        // no atom may hide an arrow
        for mark in &shown {
            draw_arrow(&chart, on_page(&mark.place), on_page(&(mark.place + mark.arrow)), 9.0 / pixels)?;
        }
        style::frame(&chart)?;
        let name = format!(
            "along {}, {} Å thick",
            self.axis(axes[2]),
            style::tick_label((self.thickness * 10.0).round() / 10.0)
        );
        let style = anchored(TICK, INK, HPos::Center, VPos::Bottom);
        place.draw_text(&name, &style, ((LEFT + SIDE / 2) as i32, CAPTION as i32 - 10)).map_err(drawing)
    }

    /// An axis as crystallographers call it; y of wurtzite is normal to a₁ and c.
    fn axis(&self, axis: usize) -> &'static str {
        let names = if self.kind == LatticeKind::Wurtzite { ["a₁", "y", "c"] } else { ["[100]", "[010]", "[001]"] };
        names[axis]
    }
}

/// A line with a head of a given length, if it is long enough for one.
fn draw_arrow(chart: &style::Chart, from: (f64, f64), to: (f64, f64), head: f64) -> Result<(), Error> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < 0.5 * head {
        return Ok(());
    }
    let area = chart.plotting_area();
    // white around it, so that it shows on dark atoms too
    area.draw(&PathElement::new(vec![from, to], WHITE.stroke_width(7))).map_err(drawing)?;
    area.draw(&PathElement::new(vec![from, to], INK.stroke_width(3))).map_err(drawing)?;
    let (ux, uy) = (dx / length * head, dy / length * head);
    let barb = |side: f64| (to.0 - ux + side * 0.5 * uy, to.1 - uy - side * 0.5 * ux);
    area.draw(&Polygon::new(vec![to, barb(1.0), barb(-1.0)], INK.filled())).map_err(drawing)
}
