//! Atoms as points: by intensity, and against the truth.

use nalgebra::Point3;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::style::{
    self, ALARM, Area, BOTTOM, FAINT, INK, LABEL, LEFT, LEGEND_ROW, Symbol, TITLE_STRIP, anchored, drawing,
};
use super::{Error, Figure};
use crate::model::{Comparison, Model};
use crate::structure::{Element, Structure};

/// The intensity of each traced atom against its distance from the centre of mass, coloured by element; what was taken for
/// noise in grey, the noise cut dashed, and for each element the mean with its decline towards the surface.
pub fn radial_intensity(model: &Model) -> Result<Figure, Error> {
    if model.is_empty() {
        return Err(Error::Empty("the model has no atoms"));
    }
    let elements: Vec<Element> = model.classes().iter().map(|class| class.element).collect();
    let outermost = model.atoms().iter().map(|atom| atom.radius).fold(0.0, f64::max);
    let intensities = model.levelled_intensities();
    let brightest = intensities.iter().copied().fold(0.0, f64::max);
    let ranges = [0.0..1.15 * outermost.max(1.0), 0.0..1.08 * brightest];
    let rejected: Vec<(f64, f64)> = model
        .rejected()
        .iter()
        .map(|peak| ((peak.position - model.center()).norm(), peak.intensity))
        .filter(|&(radius, intensity)| ranges[0].contains(&radius) && ranges[1].contains(&intensity))
        .collect();
    let mut items: Vec<_> = model
        .classes()
        .iter()
        .rev()
        .map(|class| {
            (Symbol::Disc, style::element_color(class.element, &elements), format!("{} {}", class.count, class.element))
        })
        .collect();
    if !rejected.is_empty() {
        items.push((Symbol::Disc, FAINT, "rejected".to_owned()));
    }
    items.push((Symbol::Dashes, ALARM, "noise cut".to_owned()));
    style::render((1600, 1000), "Intensity of the traced atoms", |area| {
        let below = style::legend(area, &items)?;
        let intensity = if model.slope().norm() > 0.0 { "intensity, without its slope" } else { "intensity" };
        let titles = ["distance from the centre of mass [Å]", intensity];
        let mut chart = style::axes(&below, ranges.clone(), titles, [10, 40], true)?;
        chart.draw_series(rejected.iter().map(|&point| Circle::new(point, 5, FAINT.filled()))).map_err(drawing)?;
        for class in model.classes() {
            let color = style::element_color(class.element, &elements);
            let decline = (0..=24).map(|i| f64::from(i) / 24.0 * outermost).map(|radius| {
                (radius, class.mean * (1.0 - model.radial_trend() * (radius / outermost.max(1e-9)).powi(2)))
            });
            chart.draw_series(LineSeries::new(decline, color.mix(0.5).stroke_width(3))).map_err(drawing)?;
            let members = model.atoms().iter().zip(&intensities).filter(|(atom, _)| atom.element == class.element);
            let disc = |point| Circle::new(point, 9, color.mix(0.75).filled());
            chart.draw_series(members.map(|(atom, &intensity)| disc((atom.radius, intensity)))).map_err(drawing)?;
        }
        let cut = [(0.0, model.noise_cut()), (ranges[0].end, model.noise_cut())];
        chart.draw_series(DashedLineSeries::new(cut, 14, 10, ALARM.stroke_width(3))).map_err(drawing)?;
        Ok(())
    })
}

/// Views of [`against_truth`]: name, and the coordinates that run right, up and towards the viewer.
const VIEWS: [(&str, [usize; 3]); 3] = [("along z", [0, 1, 2]), ("along x", [1, 2, 0]), ("along y", [2, 0, 1])];
const AXES: [&str; 3] = ["x [Å]", "y [Å]", "z [Å]"];
/// Radii of the circles that stand for true and for traced atoms \[Å\].
const TRUE_RADIUS: f64 = 0.85;
const TRACED_RADIUS: f64 = 0.58;

/// A mark at an atom, with the colour of its element.
struct Mark {
    position: Point3<f64>,
    kind: Kind,
    color: RGBColor,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
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
    let mut elements: Vec<Element> = truth.atoms().iter().chain(found.atoms()).map(|atom| atom.element).collect();
    elements.sort_unstable();
    elements.dedup();
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
    for (kind, symbol, words) in [
        (Kind::Missing, Symbol::Cross, "missing"),
        (Kind::Extra, Symbol::Square, "extra"),
        (Kind::Wrong, Symbol::Ring, "wrong element"),
    ] {
        let count = marks.iter().filter(|mark| mark.kind == kind).count();
        if count > 0 {
            items.push((symbol, ALARM, format!("{count} {words}")));
        }
    }
    let (side, caption, right) = (560, 56, 24);
    let panel = (LEFT + side + right, caption + side + BOTTOM);
    let size = (3 * panel.0, TITLE_STRIP + 2 * LEGEND_ROW + panel.1);
    style::render(size, &comparison.to_string(), |area| {
        let below = style::legend(area, &items)?;
        for (i, (name, axes)) in VIEWS.into_iter().enumerate() {
            let place = below.clone().shrink((i as u32 * panel.0, 0), panel);
            let titles = [AXES[axes[0]], AXES[axes[1]]];
            let chart = style::axes(&place, [-reach..reach, -reach..reach], titles, [caption, right], false)?;
            draw_view(&chart, &marks, axes, f64::from(side) / (2.0 * reach))?;
            style::frame(&chart)?;
            heading(&place, name, (LEFT + side / 2, caption))?;
        }
        Ok(())
    })
}

fn heading(area: &Area, name: &str, (x, y): (u32, u32)) -> Result<(), Error> {
    let style = anchored(LABEL, INK, HPos::Center, VPos::Bottom);
    area.draw_text(name, &style, (x as i32, y as i32 - 10)).map_err(drawing)
}

fn marks(
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
        marks.push(Mark {
            position: atom.position - center,
            kind,
            color: style::element_color(atom.element, elements),
        });
    }
    for (atom, partner) in found.atoms().iter().zip(&partner_of_found) {
        let kind = match partner {
            None => Kind::Extra,
            Some(partner) if truth.atoms()[*partner].element != atom.element => Kind::Wrong,
            Some(_) => Kind::Traced,
        };
        let position = comparison.to_reference(&atom.position) - center;
        marks.push(Mark { position, kind, color: style::element_color(atom.element, elements) });
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
    // faults last, so that nothing hides them
    let red = ALARM.stroke_width(4);
    for mark in &order {
        let at = (mark.position[axes[0]], mark.position[axes[1]]);
        let r = disc as f64 / scale;
        match mark.kind {
            Kind::Missing => {
                for hand in [1.0, -1.0] {
                    let ends = vec![(at.0 - r, at.1 - hand * r), (at.0 + r, at.1 + hand * r)];
                    area.draw(&PathElement::new(ends, red)).map_err(drawing)?;
                }
            }
            Kind::Extra => {
                let corners = [(at.0 - r, at.1 - r), (at.0 + r, at.1 + r)];
                area.draw(&Rectangle::new(corners, red)).map_err(drawing)?;
            }
            Kind::Wrong => area.draw(&Circle::new(at, disc, red)).map_err(drawing)?,
            Kind::True | Kind::Traced => {}
        }
    }
    Ok(())
}
