//! Atoms as points: by intensity, and against the truth.

use nalgebra::Point3;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::gray::{BAR_WIDTH, bar, color_bar};
use super::style::{
    self, ALARM, Area, BOTTOM, FAINT, INK, LABEL, LEFT, LEGEND_ROW, NOTE, Symbol, TITLE_STRIP, anchored, drawing,
};
use super::{Error, Figure};
use crate::model::{Class, Comparison, Exposure, Model, TracedAtom, Variable};
use crate::structure::{Atom, Element, Structure};

/// Atoms whose element is less probable than this are marked.
const SURE: f64 = 0.9;
/// Multiples of it are evenly spread between whole numbers.
const GOLDEN: f64 = 0.618_033_988_749_895;
/// Room beside the plot for the colour bars of probability \[pixels\].
const BARS: u32 = 240;

/// The intensity of each traced atom against what its trend follows: distance from the centre of mass, distance from the surface, or number of
/// neighbours. Coloured by element; what was taken for noise in grey (where its distance from the centre counts), the noise cut dashed, and for each element the mean with
/// its trend.
///
/// Atoms whose element is less than 90 % sure have a dark edge, and the greyer a colour the less probable it is.
pub fn radial_intensity(model: &Model) -> Result<Figure, Error> {
    if model.is_empty() {
        return Err(Error::Empty("the model has no atoms"));
    }
    let elements: Vec<Element> = model.classes().iter().map(|class| class.element).collect();
    let exposure = Exposure { values: places(model), ..model.exposure() };
    let variable = exposure.variable;
    let largest = exposure.values.iter().copied().fold(0.0, f64::max);
    let intensities = model.levelled_intensities();
    let brightest = intensities.iter().copied().fold(0.0, f64::max);
    let least = if variable == Variable::Radial { 0.0 } else { -0.05 * largest };
    let ranges = [least..1.15 * largest.max(1.0), 0.0..1.08 * brightest];
    let rejected: Vec<(f64, f64)> = model
        .rejected()
        .iter()
        .filter(|_| variable == Variable::Radial)
        .map(|peak| ((peak.position - model.center()).norm(), peak.intensity))
        .filter(|&(radius, intensity)| ranges[0].contains(&radius) && ranges[1].contains(&intensity))
        .collect();
    let unsure = model.atoms().iter().filter(|atom| atom.probability < SURE).count();
    let items = radial_items(model, &elements, unsure, !rejected.is_empty());
    let along = match variable {
        Variable::Radial => "distance from the centre of mass [Å]",
        Variable::Surface => "distance from the surface [Å]",
        Variable::Coordination => "number of neighbours",
    };
    style::render((1600, 1000), "Intensity of the traced atoms", |area| {
        let below = style::legend(area, &items)?;
        let intensity = if model.slope().norm() > 0.0 { "intensity, without its slope" } else { "intensity" };
        let right = if unsure > 0 { BARS } else { 40 };
        let mut chart = style::axes(&below, ranges.clone(), [along, intensity], [10, right], true)?;
        chart.draw_series(rejected.iter().map(|&point| Circle::new(point, 5, FAINT.filled()))).map_err(drawing)?;
        for class in model.classes() {
            let color = style::element_color(class.element, &elements);
            let trend = (0..=24)
                .map(|i| f64::from(i) / 24.0 * largest)
                .map(|value| (value, class.mean * (1.0 - model.trend().amount * exposure.at(value))));
            chart.draw_series(LineSeries::new(trend, color.mix(0.5).stroke_width(3))).map_err(drawing)?;
        }
        // doubtful ones last, so that no sure one hides them
        for doubtful in [false, true] {
            for (i, atom) in model.atoms().iter().enumerate().filter(|(_, atom)| (atom.probability < SURE) == doubtful)
            {
                draw_atom(&chart, atom, (exposure.values[i], intensities[i]), &elements)?;
            }
        }
        let cut = [(ranges[0].start, model.noise_cut()), (ranges[0].end, model.noise_cut())];
        chart.draw_series(DashedLineSeries::new(cut, 14, 10, ALARM.stroke_width(3))).map_err(drawing)?;
        if unsure > 0 { probability_bars(&below, &chart, &elements) } else { Ok(()) }
    })
}

/// Where each atom is drawn: what the trend follows; numbers of neighbours a little apart, so that atoms do not hide each other.
fn places(model: &Model) -> Vec<f64> {
    let exposure = model.exposure();
    let apart = |(i, value): (usize, f64)| match exposure.variable {
        Variable::Radial => model.atoms()[i].radius,
        Variable::Surface => value,
        Variable::Coordination => value + 0.5 * ((i as f64 * GOLDEN).fract() - 0.5),
    };
    exposure.values.iter().copied().enumerate().map(apart).collect()
}

fn radial_items(
    model: &Model,
    elements: &[Element],
    unsure: usize,
    has_rejected: bool,
) -> Vec<(Symbol, RGBColor, String)> {
    let of_class = |class: &Class| {
        (Symbol::Disc, style::element_color(class.element, elements), format!("{} {}", class.count, class.element))
    };
    let mut items: Vec<_> = model.classes().iter().rev().map(of_class).collect();
    items.push((Symbol::Ring, INK, format!("{unsure} unsure (p < {SURE})")));
    let change = -100.0 * model.trend().amount;
    let trend = match style::tick_label(change.round()).as_str() {
        "0" => "fitted trend (flat)".to_owned(),
        percent if change > 0.0 => format!("fitted trend (+{percent} % outwards)"),
        percent => format!("fitted trend ({percent} % outwards)"),
    };
    items.push((Symbol::Line, style::color(0), trend));
    if has_rejected {
        items.push((Symbol::Disc, FAINT, "rejected".to_owned()));
    }
    items.push((Symbol::Dashes, ALARM, "noise cut".to_owned()));
    items
}

/// A disc: in full colour if its element is sure, else with a dark edge and grey by its doubt.
fn draw_atom(chart: &style::Chart, atom: &TracedAtom, at: (f64, f64), elements: &[Element]) -> Result<(), Error> {
    let color = style::element_color(atom.element, elements);
    let area = chart.plotting_area();
    if atom.probability >= SURE {
        return area.draw(&Circle::new(at, 9, color.mix(0.75).filled())).map_err(drawing);
    }
    let [red, green, blue] = faded(color, level_of(atom.probability, elements.len()));
    area.draw(&Circle::new(at, 11, RGBColor(red, green, blue).filled())).map_err(drawing)?;
    area.draw(&Circle::new(at, 11, INK.stroke_width(3))).map_err(drawing)
}

/// Least probability that the most probable of some elements can have.
fn guess(elements: usize) -> f64 {
    1.0 / elements.max(2) as f64
}

/// Where a probability lies between that of a guess (0) and certainty (1).
fn level_of(probability: f64, elements: usize) -> f32 {
    let lowest = guess(elements);
    ((probability - lowest) / (1.0 - lowest)).clamp(0.0, 1.0) as f32
}

/// From light grey to the full colour.
fn faded(RGBColor(red, green, blue): RGBColor, level: f32) -> [u8; 3] {
    [red, green, blue].map(|channel| (225.0 + (f32::from(channel) - 225.0) * level).round() as u8)
}

/// A bar of colours for each element beside the plot, with the probabilities that they stand for.
fn probability_bars(area: &Area, chart: &style::Chart, elements: &[Element]) -> Result<(), Error> {
    let (x, y) = chart.plotting_area().get_pixel_range();
    let base = area.get_base_pixel();
    let (left, top, height) = (x.end - base.0 + 30, y.start - base.1 + 90, 360);
    let step = BAR_WIDTH as i32 + 10;
    for (i, &element) in elements.iter().rev().enumerate() {
        let color = style::element_color(element, elements);
        let at = (left + i as i32 * step, top);
        if i + 1 < elements.len() {
            bar(area, at, height, |level| faded(color, level))?;
        } else {
            color_bar(area, at, height, (guess(elements.len()) as f32, 1.0), |level| faded(color, level))?;
        }
        let middle = (at.0 + BAR_WIDTH as i32 / 2, top - 8);
        let style = anchored(NOTE, INK, HPos::Center, VPos::Bottom);
        area.draw_text(element.symbol(), &style, middle).map_err(drawing)?;
    }
    let style = anchored(NOTE, INK, HPos::Left, VPos::Bottom);
    area.draw_text("probability", &style, (left - 6, top - 44)).map_err(drawing)
}

/// Views along z, x and y: coordinates that run right, up and towards the viewer.
pub(super) const VIEWS: [[usize; 3]; 3] = [[0, 1, 2], [1, 2, 0], [2, 0, 1]];
const AXES: [&str; 3] = ["x", "y", "z"];
/// Radii of the circles that stand for true and for traced atoms \[Å\].
const TRUE_RADIUS: f64 = 0.85;
const TRACED_RADIUS: f64 = 0.58;

/// A mark at an atom, with the colour of its element; the position is from the centroid of the truth.
pub(super) struct Mark {
    pub position: Point3<f64>,
    pub kind: Kind,
    pub element: Element,
    pub color: RGBColor,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    True,
    Missing,
    Traced,
    Extra,
    Wrong,
}

/// Traced atoms (discs) laid on the true ones (rings) by the motion of `comparison`, seen along z, x and y; atoms that are missing,
/// extra or of the wrong element are marked in red.
pub fn against_truth(found: &Structure, truth: &Structure, comparison: &Comparison) -> Result<Figure, Error> {
    if found.is_empty() && truth.is_empty() {
        return Err(Error::Empty("neither structure has any atoms"));
    }
    let elements = elements_of(truth.atoms().iter().chain(found.atoms()));
    let marks = marks(found, truth, comparison, &elements)?;
    let reach = marks.iter().flat_map(|mark| mark.position.iter().map(|x| x.abs())).fold(1.0, f64::max) + 1.5;
    if !reach.is_finite() {
        return Err(Error::NotFinite("an atom's position".to_owned()));
    }
    let mut items = Vec::new();
    for &element in elements.iter().rev() {
        items.push((Symbol::Disc, style::element_color(element, &elements), format!("{element} traced")));
        items.push((Symbol::Ring, style::element_color(element, &elements), format!("{element} true")));
    }
    items.extend(fault_items(&marks));
    let (side, caption, right) = (560, 56, 24);
    let panel = (LEFT + side + right, caption + side + BOTTOM);
    let size = (3 * panel.0, TITLE_STRIP + 2 * LEGEND_ROW + panel.1);
    style::render(size, &comparison.to_string(), |area| {
        let below = style::legend(area, &items)?;
        for (i, axes) in VIEWS.into_iter().enumerate() {
            let place = below.clone().shrink((i as u32 * panel.0, 0), panel);
            let titles = [axes[0], axes[1]].map(|axis| format!("{} [Å]", AXES[axis]));
            let ranges = [-reach..reach, -reach..reach];
            let chart = style::axes(&place, ranges, [&titles[0], &titles[1]], [caption, right], false)?;
            draw_view(&chart, &marks, axes, f64::from(side) / (2.0 * reach))?;
            style::frame(&chart)?;
            heading(&place, &format!("along {}", AXES[axes[2]]), (LEFT + side / 2, caption))?;
        }
        Ok(())
    })
}

/// The elements of some atoms, each once, lightest first.
pub(super) fn elements_of<'a>(atoms: impl Iterator<Item = &'a Atom>) -> Vec<Element> {
    let mut elements: Vec<Element> = atoms.map(|atom| atom.element).collect();
    elements.sort_unstable();
    elements.dedup();
    elements
}

/// What a legend says of the faults that there are.
pub(super) fn fault_items(marks: &[Mark]) -> Vec<(Symbol, RGBColor, String)> {
    let faults = [
        (Kind::Missing, Symbol::Cross, "missing"),
        (Kind::Extra, Symbol::Square, "extra"),
        (Kind::Wrong, Symbol::Ring, "wrong element"),
    ];
    let count = |kind: Kind| marks.iter().filter(|mark| mark.kind == kind).count();
    let counted = faults.into_iter().map(|(kind, symbol, words)| (count(kind), symbol, words));
    counted.filter(|(count, ..)| *count > 0).map(|(n, symbol, words)| (symbol, ALARM, format!("{n} {words}"))).collect()
}

fn heading(area: &Area, name: &str, (x, y): (u32, u32)) -> Result<(), Error> {
    let style = anchored(LABEL, INK, HPos::Center, VPos::Bottom);
    area.draw_text(name, &style, (x as i32, y as i32 - 10)).map_err(drawing)
}

/// All atoms of both, in the frame of the truth about its centroid, and what is wrong with them.
pub(super) fn marks(
    found: &Structure,
    truth: &Structure,
    comparison: &Comparison,
    elements: &[Element],
) -> Result<Vec<Mark>, Error> {
    let center = truth.centroid().coords;
    let mut partner_of_truth = vec![None; truth.len()];
    let mut partner_of_found = vec![None; found.len()];
    for pair in &comparison.pairs {
        for (index, len) in [(pair.truth, truth.len()), (pair.found, found.len())] {
            if index >= len {
                return Err(Error::OtherStructures { index, len });
            }
        }
        partner_of_truth[pair.truth] = Some(pair.found);
        partner_of_found[pair.found] = Some(pair.truth);
    }
    let mut marks = Vec::new();
    for (atom, partner) in truth.atoms().iter().zip(&partner_of_truth) {
        let kind = if partner.is_some() { Kind::True } else { Kind::Missing };
        let color = style::element_color(atom.element, elements);
        marks.push(Mark { position: atom.position - center, kind, element: atom.element, color });
    }
    for (atom, partner) in found.atoms().iter().zip(&partner_of_found) {
        let kind = match partner {
            None => Kind::Extra,
            Some(partner) if truth.atoms()[*partner].element != atom.element => Kind::Wrong,
            Some(_) => Kind::Traced,
        };
        let position = comparison.to_reference(&atom.position) - center;
        let color = style::element_color(atom.element, elements);
        marks.push(Mark { position, kind, element: atom.element, color });
    }
    Ok(marks)
}

/// Draws the marks from back to front; `scale` is in pixels per Å.
fn draw_view(chart: &style::Chart, marks: &[Mark], axes: [usize; 3], scale: f64) -> Result<(), Error> {
    let area = chart.plotting_area();
    let (ring, disc) = ((TRUE_RADIUS * scale) as i32, (TRACED_RADIUS * scale) as i32);
    let mut order: Vec<&Mark> = marks.iter().collect();
    let depth = |mark: &Mark| mark.position[axes[2]];
    order.sort_by(|a, b| depth(a).total_cmp(&depth(b)));
    for mark in &order {
        let at = (mark.position[axes[0]], mark.position[axes[1]]);
        match mark.kind {
            Kind::True | Kind::Missing => area.draw(&Circle::new(at, ring, mark.color.stroke_width(2))),
            Kind::Traced | Kind::Extra | Kind::Wrong => {
                area.draw(&Circle::new(at, disc, mark.color.filled())).map_err(drawing)?;
                area.draw(&Circle::new(at, disc, WHITE.stroke_width(1)))
            }
        }
        .map_err(drawing)?;
    }
    let places = order.iter().map(|mark| (mark.kind, (mark.position[axes[0]], mark.position[axes[1]])));
    draw_faults(area, places, TRACED_RADIUS, scale)
}

/// Marks faults in red at places in Å: crosses on what is missing, squares about what is extra, rings about wrong elements. After all else, so that nothing
/// hides them. `radius` in Å, `scale` in pixels per Å.
pub(super) fn draw_faults(
    area: &style::Plane,
    places: impl Iterator<Item = (Kind, (f64, f64))>,
    radius: f64,
    scale: f64,
) -> Result<(), Error> {
    let red = ALARM.stroke_width(4);
    for (kind, (x, y)) in places {
        match kind {
            Kind::Missing => {
                for hand in [1.0, -1.0] {
                    let ends = vec![(x - radius, y - hand * radius), (x + radius, y + hand * radius)];
                    area.draw(&PathElement::new(ends, red)).map_err(drawing)?;
                }
            }
            Kind::Extra => {
                let corners = [(x - radius, y - radius), (x + radius, y + radius)];
                area.draw(&Rectangle::new(corners, red)).map_err(drawing)?;
            }
            Kind::Wrong => area.draw(&Circle::new((x, y), (radius * scale) as i32, red)).map_err(drawing)?,
            Kind::True | Kind::Traced => {}
        }
    }
    Ok(())
}
