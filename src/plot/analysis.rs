//! What the analysis of atoms found, as histograms and as curves with error bars.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::atoms::elements_of;
use super::style::{self, Area, Chart, FAINT, INK, LABEL, Symbol, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};
use crate::model::analysis::{CoreShell, Neighbours, PairDistribution, Shell, ShortRangeOrder, pair_name};
use crate::structure::{Element, Structure};

/// Options of figures that have only a title.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Titled {
    /// Default: what the figure shows, with its main numbers.
    pub title: String,
}

impl Titled {
    fn or(&self, title: String) -> String {
        if self.title.is_empty() { title } else { self.title.clone() }
    }
}

const PANEL: (u32, u32) = (760, 860);
const SINGLE: (u32, u32) = (1600, 1000);
/// Free space above a panel, for its name, and to the right of it \[pixels\].
const ABOVE: u32 = 56;
const RIGHT: u32 = 30;

/// One panel of a row: its name and legend, then what `draw` adds to the axes.
struct Panel<'a> {
    name: &'a str,
    legend: Vec<(Symbol, RGBColor, String)>,
    ranges: [Range<f64>; 2],
    titles: [&'a str; 2],
}

impl Panel<'_> {
    fn draw(&self, place: &Area, draw: impl FnOnce(&mut Chart) -> Result<(), Error>) -> Result<(), Error> {
        let middle = (place.dim_in_pixel().0 as i32 / 2 + 40, ABOVE as i32 / 2);
        place.draw_text(self.name, &anchored(LABEL, INK, HPos::Center, VPos::Center), middle).map_err(drawing)?;
        let (_, below) = place.split_vertically(ABOVE);
        let below = if self.legend.is_empty() { below } else { style::legend(&below, &self.legend)? };
        let mut chart = style::axes(&below, self.ranges.clone(), self.titles, [10, RIGHT], true)?;
        draw(&mut chart)
    }
}

/// The n-th of the panels side by side.
fn panel<'b>(area: &Area<'b>, n: usize) -> Area<'b> {
    area.clone().shrink((n as u32 * PANEL.0, 0), PANEL)
}

fn row_size(panels: u32) -> (u32, u32) {
    (panels * PANEL.0, TITLE_STRIP + PANEL.1)
}

/// A bar of a histogram.
fn bar(from: f64, to: f64, [low, high]: [f64; 2], color: RGBColor) -> Rectangle<(f64, f64)> {
    Rectangle::new([(from, low), (to, high)], color.filled())
}

/// A point with its error above and below.
struct Point {
    x: f64,
    y: f64,
    error: f64,
}

/// Draws points with error bars, joined by a thin line.
fn with_errors(chart: &mut Chart, points: &[Point], color: RGBColor) -> Result<(), Error> {
    let line = points.iter().map(|point| (point.x, point.y));
    chart.draw_series(LineSeries::new(line, color.mix(0.5).stroke_width(2))).map_err(drawing)?;
    let span = chart.x_range();
    let cap = 0.008 * (span.end - span.start);
    for &Point { x, y, error } in points {
        let area = chart.plotting_area();
        area.draw(&Circle::new((x, y), 9, color.filled())).map_err(drawing)?;
        if !error.is_finite() {
            continue;
        }
        let ends = [y - error, y + error];
        let lines = [
            [(x, ends[0]), (x, ends[1])],
            [(x - cap, ends[0]), (x + cap, ends[0])],
            [(x - cap, ends[1]), (x + cap, ends[1])],
        ];
        for line in lines {
            area.draw(&PathElement::new(line.to_vec(), color.stroke_width(3))).map_err(drawing)?;
        }
    }
    Ok(())
}

/// How far the n-th of some series stands aside, so that no point hides another's.
fn aside(n: usize, series: usize, step: f64) -> f64 {
    step * (n as f64 - 0.5 * (series.saturating_sub(1)) as f64)
}

/// From the lowest to the highest point with its error, and some room.
fn span(points: impl Iterator<Item = (f64, f64)>) -> Range<f64> {
    let bounds =
        points.filter(|(y, _)| y.is_finite()).map(|(y, error)| if error.is_finite() { (y, error) } else { (y, 0.0) });
    let (low, high) = bounds
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (y, error)| (low.min(y - error), high.max(y + error)));
    if low > high {
        return 0.0..1.0;
    }
    let room = (0.12 * (high - low)).max(1e-3 * high.abs()).max(1e-6);
    low - room..high + room
}

fn zero_line(chart: &mut Chart, y: f64) -> Result<(), Error> {
    let x = chart.x_range();
    let ends = [(x.start, y), (x.end, y)];
    chart.draw_series(DashedLineSeries::new(ends, 12, 8, FAINT.stroke_width(3))).map_err(drawing)?;
    Ok(())
}

fn name_of(atoms: &Structure) -> String {
    if atoms.name().is_empty() { String::new() } else { format!("{}: ", atoms.name()) }
}

/// Coordination numbers by element, bond lengths by pair of elements, and bond angles.
pub fn neighbours(atoms: &Structure, bonds: &Neighbours, options: &Titled) -> Result<Figure, Error> {
    if bonds.bonds.is_empty() {
        return Err(Error::Empty("there are no bonds"));
    }
    let (count, mean) = (bonds.bonds.len(), bonds.mean_coordination().mean);
    let title = options.or(format!("{}{count} bonds up to {:.2} Å, {mean:.2} an atom", name_of(atoms), bonds.cutoff));
    style::render(row_size(3), &title, |area| {
        coordination(&panel(area, 0), atoms, bonds)?;
        lengths(&panel(area, 1), atoms, bonds)?;
        angles(&panel(area, 2), bonds)
    })
}

fn coordination(place: &Area, atoms: &Structure, bonds: &Neighbours) -> Result<(), Error> {
    let elements = elements_of(atoms.atoms().iter());
    let most = bonds.lists.iter().map(Vec::len).max().unwrap_or(0);
    let mut counts = vec![vec![0usize; elements.len()]; most + 1];
    for (atom, list) in atoms.atoms().iter().zip(&bonds.lists) {
        let element = elements.iter().position(|&element| element == atom.element);
        counts[list.len()][element.unwrap_or(0)] += 1;
    }
    let highest = counts.iter().map(|counts| counts.iter().sum::<usize>()).max().unwrap_or(1);
    let color = |element: Element| style::element_color(element, &elements);
    let panel = Panel {
        name: "coordination",
        legend: elements.iter().map(|&element| (Symbol::Disc, color(element), element.to_string())).collect(),
        ranges: [-0.6..most as f64 + 0.6, 0.0..1.08 * highest as f64],
        titles: ["number of neighbours", "atoms"],
    };
    panel.draw(place, |chart| {
        for (number, counts) in counts.iter().enumerate() {
            let mut below = 0.0;
            for (&element, &count) in elements.iter().zip(counts) {
                let (x, heights) = (number as f64, [below, below + count as f64]);
                chart.plotting_area().draw(&bar(x - 0.38, x + 0.38, heights, color(element))).map_err(drawing)?;
                below = heights[1];
            }
        }
        Ok(())
    })
}

/// Bins of the bond lengths.
const LENGTH_BINS: usize = 60;

fn lengths(place: &Area, atoms: &Structure, bonds: &Neighbours) -> Result<(), Error> {
    let lengths = || bonds.bonds.iter().map(|bond| bond.length);
    let (low, high) = lengths().fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    let room = (0.1 * (high - low)).max(0.02);
    let (low, step) = (low - room, (high - low + 2.0 * room) / LENGTH_BINS as f64);
    let mut histograms = vec![vec![0.0f64; LENGTH_BINS]; bonds.by_pair.len()];
    for bond in &bonds.bonds {
        let mut pair = bond.atoms.map(|i| atoms.atoms()[i].element);
        pair.sort_by_key(|element| element.symbol());
        let bin = (((bond.length - low) / step) as usize).min(LENGTH_BINS - 1);
        if let Some(n) = bonds.by_pair.iter().position(|known| known.elements == pair) {
            histograms[n][bin] += 1.0;
        }
    }
    let highest = histograms.iter().flatten().copied().fold(1.0, f64::max);
    let label =
        |pair: &crate::model::analysis::PairLengths| format!("{} {:.3} Å", pair_name(pair.elements), pair.lengths.mean);
    let panel = Panel {
        name: "bond lengths",
        legend: bonds
            .by_pair
            .iter()
            .enumerate()
            .map(|(i, pair)| (Symbol::Line, style::color(i), label(pair)))
            .collect(),
        ranges: [low..low + step * LENGTH_BINS as f64, 0.0..1.08 * highest],
        titles: ["length [Å]", "bonds"],
    };
    panel.draw(place, |chart| {
        for (i, histogram) in histograms.iter().enumerate() {
            let edge = |bin: usize| low + bin as f64 * step;
            let steps =
                histogram.iter().enumerate().flat_map(|(bin, &count)| [(edge(bin), count), (edge(bin + 1), count)]);
            let color = style::color(i);
            chart.draw_series(AreaSeries::new(steps.clone(), 0.0, color.mix(0.25))).map_err(drawing)?;
            chart.draw_series(LineSeries::new(steps, color.stroke_width(3))).map_err(drawing)?;
        }
        Ok(())
    })
}

fn angles(place: &Area, bonds: &Neighbours) -> Result<(), Error> {
    let highest = bonds.angle_counts.iter().copied().max().unwrap_or(1).max(1);
    let first = bonds.angle_counts.iter().position(|&count| count > 0).unwrap_or(30).saturating_sub(5);
    let panel = Panel {
        name: "bond angles",
        legend: if bonds.angles.count > 0 {
            vec![(Symbol::Line, style::color(0), format!("mean {}°", bonds.angles.text(2)))]
        } else {
            Vec::new()
        },
        ranges: [first as f64..182.0, 0.0..1.08 * highest as f64],
        titles: ["angle [°]", "angles in 1°"],
    };
    panel.draw(place, |chart| {
        for (angle, &count) in bonds.angle_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let x = angle as f64;
            chart
                .plotting_area()
                .draw(&bar(x - 0.5, x + 0.5, [0.0, count as f64], style::color(0)))
                .map_err(drawing)?;
        }
        Ok(())
    })
}

/// Composition and bond length against the depth below the surface, and displacements if they are known.
pub fn core_shell(atoms: &Structure, layers: &CoreShell, options: &Titled) -> Result<Figure, Error> {
    let surface = layers.surface.iter().filter(|outer| **outer).count();
    let title = options.or(format!("{}{surface} of {} atoms at the surface", name_of(atoms), atoms.len()));
    let has_displacements = layers.shells.iter().any(|shell| shell.outward.is_some());
    style::render(row_size(if has_displacements { 3 } else { 2 }), &title, |area| {
        composition(&panel(area, 0), layers)?;
        bond_lengths(&panel(area, 1), layers)?;
        if has_displacements { moved(&panel(area, 2), layers) } else { Ok(()) }
    })
}

fn middle(shell: &Shell) -> f64 {
    0.5 * (shell.depth[0] + shell.depth[1])
}

const DEPTH: &str = "depth below the surface [Å]";

fn depths(layers: &CoreShell) -> Range<f64> {
    let deepest = layers.shells.iter().map(middle).fold(0.0, f64::max).max(1.0);
    -0.08 * deepest..1.08 * deepest
}

fn composition(place: &Area, layers: &CoreShell) -> Result<(), Error> {
    let elements: Vec<Element> =
        layers.shells.iter().take(1).flat_map(|shell| &shell.composition).map(|(element, _, _)| *element).collect();
    let color = |element: Element| style::element_color(element, &elements);
    let panel = Panel {
        name: "composition",
        legend: elements.iter().map(|&element| (Symbol::Disc, color(element), element.to_string())).collect(),
        ranges: [depths(layers), -4.0..104.0],
        titles: [DEPTH, "share of the atoms [%]"],
    };
    panel.draw(place, |chart| {
        let deepest = chart.x_range().end;
        for (i, &element) in elements.iter().enumerate() {
            let aside = aside(i, elements.len(), 0.04 * deepest);
            let point = |shell: &Shell| {
                let (_, share, error) = shell.composition[i];
                Point { x: middle(shell) + aside, y: 100.0 * share, error: 100.0 * error }
            };
            with_errors(chart, &layers.shells.iter().map(point).collect::<Vec<_>>(), color(element))?;
        }
        Ok(())
    })
}

fn bond_lengths(place: &Area, layers: &CoreShell) -> Result<(), Error> {
    let bonded = || layers.shells.iter().filter(|shell| shell.bond_length.count > 0);
    let panel = Panel {
        name: "mean bond length",
        legend: vec![(Symbol::Disc, style::color(0), "mean ± standard error".to_owned())],
        ranges: [depths(layers), span(bonded().map(|shell| (shell.bond_length.mean, shell.bond_length.error())))],
        titles: [DEPTH, "bond length [Å]"],
    };
    let point = |shell: &Shell| Point { x: middle(shell), y: shell.bond_length.mean, error: shell.bond_length.error() };
    panel.draw(place, |chart| with_errors(chart, &bonded().map(point).collect::<Vec<_>>(), style::color(0)))
}

fn moved(place: &Area, layers: &CoreShell) -> Result<(), Error> {
    let known = || layers.shells.iter().filter(|shell| shell.outward.is_some_and(|outward| outward.count > 0));
    let rms = |shell: &Shell| 100.0 * shell.displacement_rms.unwrap_or(f64::NAN);
    let outward = |shell: &Shell| {
        let (mean, error) = shell.outward.map_or((f64::NAN, f64::NAN), |outward| (outward.mean, outward.error()));
        Point { x: middle(shell), y: 100.0 * mean, error: 100.0 * error }
    };
    let bounds = known().flat_map(|shell| [(rms(shell), 0.0), (outward(shell).y, outward(shell).error), (0.0, 0.0)]);
    let panel = Panel {
        name: "displacement from the lattice",
        legend: vec![
            (Symbol::Disc, style::color(1), "RMS".to_owned()),
            (Symbol::Disc, style::color(0), "mean outward".to_owned()),
        ],
        ranges: [depths(layers), span(bounds)],
        titles: [DEPTH, "displacement [pm]"],
    };
    panel.draw(place, |chart| {
        zero_line(chart, 0.0)?;
        let lengths = known().map(|shell| Point { x: middle(shell), y: rms(shell), error: f64::NAN });
        with_errors(chart, &lengths.collect::<Vec<_>>(), style::color(1))?;
        with_errors(chart, &known().map(outward).collect::<Vec<_>>(), style::color(0))
    })
}

/// The pair distribution of all atoms and of each pair of elements.
pub fn pair_distribution(atoms: &Structure, pairs: &PairDistribution, options: &Titled) -> Result<Figure, Error> {
    let [mean, inside, _] = pairs.first_shell;
    let title = options.or(format!("{}first shell at {mean:.3} Å, coordination {inside:.1} inside", name_of(atoms)));
    let mut curves = vec![(INK, "all atoms".to_owned(), &pairs.g)];
    if pairs.partials.len() > 1 {
        let partials = pairs.partials.iter().enumerate();
        curves.extend(partials.map(|(i, partial)| (style::color(i), pair_name(partial.elements), &partial.g)));
    }
    let highest = curves.iter().flat_map(|(_, _, g)| g.iter()).copied().fold(1.0, f64::max);
    let last = pairs.r.last().copied().unwrap_or(1.0);
    style::render(SINGLE, &title, |area| {
        let items: Vec<_> = curves.iter().map(|(color, name, _)| (Symbol::Line, *color, name.clone())).collect();
        let below = style::legend(area, &items)?;
        let titles = ["distance r [Å]", "pair distribution g(r)"];
        let mut chart = style::axes(&below, [0.0..last, 0.0..1.05 * highest], titles, [10, 40], true)?;
        zero_line(&mut chart, 1.0)?;
        for (color, _, g) in curves.iter().rev() {
            let points = pairs.r.iter().copied().zip(g.iter().copied());
            chart.draw_series(LineSeries::new(points, color.stroke_width(3))).map_err(drawing)?;
        }
        Ok(())
    })
}

/// Warren–Cowley parameters by the distance of the shell; the bars are the standard deviation of a random alloy.
pub fn short_range_order(atoms: &Structure, order: &ShortRangeOrder, options: &Titled) -> Result<Figure, Error> {
    let title = options.or(format!("{}short-range order (bars: s.d. of a random alloy)", name_of(atoms)));
    let first = order.orders.iter().filter(|one| one.shell == 1);
    let pairs: Vec<[Element; 2]> = first.map(|one| one.elements).collect();
    let known = || order.orders.iter().filter(|one| one.alpha.is_finite() && one.distance.is_finite());
    let farthest = known().map(|one| one.distance).fold(1.0, f64::max);
    let nearest = known().map(|one| one.distance).fold(f64::INFINITY, f64::min).min(farthest);
    let room = (0.12 * (farthest - nearest)).max(0.2);
    let y = span(known().map(|one| (one.alpha, one.random[1])).chain([(0.0, 0.0)]));
    style::render(SINGLE, &title, |area| {
        let items: Vec<_> =
            pairs.iter().enumerate().map(|(i, pair)| (Symbol::Disc, style::color(i), pair_name(*pair))).collect();
        let below = style::legend(area, &items)?;
        let titles = ["distance of the shell [Å]", "Warren–Cowley α"];
        let mut chart = style::axes(&below, [nearest - room..farthest + room, y], titles, [10, 40], true)?;
        zero_line(&mut chart, 0.0)?;
        for (i, pair) in pairs.iter().enumerate() {
            let aside = aside(i, pairs.len(), 0.2 * room);
            let of_pair = known().filter(|one| one.elements == *pair);
            let points = of_pair.map(|one| Point { x: one.distance + aside, y: one.alpha, error: one.random[1] });
            with_errors(&mut chart, &points.collect::<Vec<_>>(), style::color(i))?;
        }
        Ok(())
    })
}
