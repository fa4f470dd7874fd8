//! Curves against one axis.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::scale::Scale;
use super::style::{self, Area, FAINT, INK, Symbol, TICK, anchored, drawing};
use super::{Error, Figure};
use crate::volume::{CorrectedFsc, Fsc};

/// A named curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    pub label: String,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    /// Half the length of each point's bar, usually a standard deviation; zero: no bar. Empty: no bars at all.
    pub error: Vec<f64>,
}

/// Options of [`lines`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinesOptions {
    pub title: String,
    /// Name and unit of the x axis, as in `"spatial frequency [1/Å]"`.
    pub x_label: String,
    /// Name and unit of the y axis.
    pub y_label: String,
    /// Mark the points; default false.
    pub points: bool,
    /// Logarithmic axes; default false.
    pub x_log: bool,
    pub y_log: bool,
}

const SIZE: (u32, u32) = (1600, 1000);

/// Half the width of the ends of a bar \[pixels\].
const CAP: i32 = 9;

/// Any curves on common axes, with bars where errors are known.
///
/// # Errors
/// If there are no points, numbers are not finite or not as many as there should be, or a logarithmic axis would have to show what is not positive.
pub fn lines(curves: &[Curve], options: &LinesOptions) -> Result<Figure, Error> {
    check(curves)?;
    let x: Vec<f64> = curves.iter().flat_map(|curve| &curve.x).copied().collect();
    let y: Vec<f64> = curves.iter().flat_map(|curve| &curve.y).copied().collect();
    let ends: Vec<f64> = curves.iter().flat_map(bars).flat_map(|(_, low, high)| [low, high]).collect();
    let x = scale(&x, &[], if options.points { 0.03 } else { 0.0 }, options.x_log, "x")?;
    let y = scale(&y, &ends, 0.05, options.y_log, "y")?;
    style::render(SIZE, &options.title, |area| {
        let below = if curves.len() > 1 || !curves[0].label.is_empty() {
            style::legend(area, &legend_of(curves.iter().map(|curve| curve.label.clone())))?
        } else {
            area.clone()
        };
        let titles = [options.x_label.as_str(), options.y_label.as_str()];
        let mut chart = style::axes(&below, [x, y], titles, [10, 40], true)?;
        for (i, curve) in curves.iter().enumerate() {
            draw(&mut chart, &curve.x, &curve.y, style::color(i))?;
            if options.points {
                let mark = |(&x, &y)| Circle::new((x, y), 7, style::color(i).filled());
                chart.draw_series(curve.x.iter().zip(&curve.y).map(mark)).map_err(drawing)?;
            }
            for (x, low, high) in bars(curve) {
                bar(&chart, x, [low, high], style::color(i))?;
            }
        }
        Ok(())
    })
}

/// An axis that shows `values`, and as much of the ends of bars as it can.
fn scale(values: &[f64], ends: &[f64], margin: f64, is_log: bool, name: &'static str) -> Result<Scale, Error> {
    let all = values.iter().chain(ends);
    if !is_log {
        return Ok(padded(all, margin).into());
    }
    if let Some(&value) = values.iter().find(|&&value| value <= 0.0) {
        return Err(Error::NotPositive { axis: name, value });
    }
    let logarithms: Vec<f64> = all.filter(|&&value| value > 0.0).map(|value| value.log10()).collect();
    let decades = padded(logarithms.iter(), margin);
    // beyond these there are no numbers
    Ok(Scale::log(10f64.powf(decades.start.max(-323.0))..10f64.powf(decades.end.min(308.0))))
}

/// Place and ends of each bar.
fn bars(curve: &Curve) -> impl Iterator<Item = (f64, f64, f64)> {
    let points = curve.x.iter().zip(&curve.y).zip(&curve.error).filter(|(_, error)| **error > 0.0);
    points.map(|((&x, &y), &error)| (x, y - error, y + error))
}

/// Draws a bar; one that goes on below the axis has no end there.
fn bar(chart: &style::Chart, x: f64, [low, high]: [f64; 2], color: RGBColor) -> Result<(), Error> {
    let stroke = color.stroke_width(3);
    let plane = chart.plotting_area();
    let lowest = chart.y_range().start;
    plane.draw(&PathElement::new(vec![(x, low.max(lowest)), (x, high)], stroke)).map_err(drawing)?;
    for end in [low, high].into_iter().filter(|end| *end >= lowest) {
        let cap = EmptyElement::at((x, end)) + PathElement::new(vec![(-CAP, 0), (CAP, 0)], stroke);
        plane.draw(&cap).map_err(drawing)?;
    }
    Ok(())
}

/// Correlations below which two half sets are said not to agree, and against which a map of all images is judged.
const THRESHOLDS: [f64; 2] = [0.5, 0.143];
/// Distances marked on the upper axis of a correlation, where they fit \[Å\].
const DISTANCES: [f64; 12] = [10.0, 5.0, 3.0, 2.0, 1.5, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5];

/// Fourier shell correlations by name; the resolutions at 0.5 and 0.143 are in the legend, and marked where the curve is alone.
pub fn fsc(curves: &[(String, Fsc)], title: &str) -> Result<Figure, Error> {
    let highest = highest_frequency(curves.iter().map(|(_, fsc)| fsc));
    let labels: Vec<String> = curves.iter().map(|(label, fsc)| with_resolutions(label, fsc, highest)).collect();
    let shells: Vec<&Fsc> = curves.iter().map(|(_, fsc)| fsc).collect();
    let marked = if let [alone] = shells[..] { Some(alone) } else { None };
    draw_correlations(&shells, &labels, marked, title)
}

/// The four curves of a correlation that is corrected for its mask; the resolutions are those of the corrected one.
pub fn corrected_fsc(fsc: &CorrectedFsc, title: &str) -> Result<Figure, Error> {
    let highest = highest_frequency([&fsc.corrected].into_iter());
    let corrected = with_resolutions("corrected", &fsc.corrected, highest);
    let labels = [corrected, "masked".to_owned(), "unmasked".to_owned(), "masked, random phases".to_owned()];
    let shells = [&fsc.corrected, &fsc.masked, &fsc.unmasked, &fsc.randomized];
    draw_correlations(&shells, &labels, Some(&fsc.corrected), title)
}

fn highest_frequency<'a>(curves: impl Iterator<Item = &'a Fsc>) -> f64 {
    curves.flat_map(|fsc| &fsc.frequencies).copied().fold(1e-6, f64::max)
}

/// A label with the resolutions at both thresholds.
fn with_resolutions(label: &str, fsc: &Fsc, highest: f64) -> String {
    let at = |threshold| match fsc.resolution(threshold) {
        Some(resolution) => format!("{resolution:.2} Å"),
        // the curve stays above the threshold
        None => format!("below {:.2} Å", 1.0 / highest),
    };
    let separator = if label.is_empty() { "" } else { ": " };
    format!("{label}{separator}{} at 0.5, {} at 0.143", at(0.5), at(0.143))
}

/// Correlations on common axes, the first above the others; `marked` has its resolutions marked.
fn draw_correlations(curves: &[&Fsc], labels: &[String], marked: Option<&Fsc>, title: &str) -> Result<Figure, Error> {
    let as_curve = |(fsc, label): (&&Fsc, &String)| Curve {
        label: label.clone(),
        x: fsc.frequencies.clone(),
        y: fsc.correlations.clone(),
        error: Vec::new(),
    };
    let drawn: Vec<Curve> = curves.iter().zip(labels).map(as_curve).collect();
    check(&drawn)?;
    let highest = highest_frequency(curves.iter().copied());
    let lowest = drawn.iter().flat_map(|curve| &curve.y).copied().fold(-0.1, f64::min);
    let title = if title.is_empty() { "Fourier shell correlation" } else { title };
    style::render(SIZE, title, |area| {
        let below = style::legend(area, &legend_of(labels.iter().cloned()))?;
        let titles = ["spatial frequency [1/Å]", "correlation"];
        let ranges = [0.0..highest, 1.05 * lowest..1.05];
        let mut chart = style::axes(&below, ranges, titles, [70, 40], true)?;
        for threshold in THRESHOLDS {
            let ends = [(0.0, threshold), (highest, threshold)];
            chart.draw_series(DashedLineSeries::new(ends, 12, 8, FAINT.stroke_width(3))).map_err(drawing)?;
            let (x, y) = chart.backend_coord(&(highest, threshold));
            say(&below, &style::tick_label(threshold), (x - 8, y - 6), HPos::Right)?;
        }
        for (i, curve) in drawn.iter().enumerate().rev() {
            draw(&mut chart, &curve.x, &curve.y, style::color(i))?;
        }
        if let Some(fsc) = marked {
            mark_resolutions(&below, &mut chart, fsc)?;
        }
        upper_axis(&below, &chart, highest)
    })
}

/// Drops a line from where the curve falls through each threshold, with the resolution beside it.
fn mark_resolutions(area: &Area, chart: &mut style::Chart, fsc: &Fsc) -> Result<(), Error> {
    for threshold in THRESHOLDS {
        let Some(resolution) = fsc.resolution(threshold) else { continue };
        let foot = [(1.0 / resolution, chart.y_range().start), (1.0 / resolution, threshold)];
        chart.draw_series(DashedLineSeries::new(foot, 6, 8, INK.stroke_width(2))).map_err(drawing)?;
        let point = Circle::new((1.0 / resolution, threshold), 9, INK.filled());
        chart.plotting_area().draw(&point).map_err(drawing)?;
        let (x, y) = chart.backend_coord(&(1.0 / resolution, threshold));
        say(area, &format!("{resolution:.2} Å"), (x + 16, y - 12), HPos::Left)?;
    }
    Ok(())
}

/// Marks distances 1/frequency along the upper edge of the plot, as many as have room.
fn upper_axis(area: &Area, chart: &style::Chart, highest: f64) -> Result<(), Error> {
    let top = chart.y_range().end;
    let mut free = i32::MIN;
    for distance in DISTANCES {
        let (x, y) = chart.backend_coord(&(1.0 / distance, top));
        if 1.0 / distance > highest || x - 50 < free {
            continue;
        }
        free = x + 50;
        let tick = PathElement::new(vec![in_area(area, (x, y)), in_area(area, (x, y - 8))], INK.stroke_width(2));
        area.draw(&tick).map_err(drawing)?;
        say(area, &format!("{} Å", style::tick_label(distance)), (x, y - 14), HPos::Center)?;
    }
    style::frame(chart)
}

/// A point given in pixels of the whole figure, in those of the area.
fn in_area(area: &Area, (x, y): (i32, i32)) -> (i32, i32) {
    let (x0, y0) = area.get_base_pixel();
    (x - x0, y - y0)
}

/// Writes above a point given in pixels of the whole figure.
fn say(area: &Area, words: &str, point: (i32, i32), side: HPos) -> Result<(), Error> {
    area.draw_text(words, &anchored(TICK, INK, side, VPos::Bottom), in_area(area, point)).map_err(drawing)
}

pub(super) fn legend_of(labels: impl Iterator<Item = String>) -> Vec<(Symbol, RGBColor, String)> {
    labels.enumerate().map(|(i, label)| (Symbol::Line, style::color(i), label)).collect()
}

pub(super) fn draw(chart: &mut style::Chart, x: &[f64], y: &[f64], color: RGBColor) -> Result<(), Error> {
    let points = x.iter().copied().zip(y.iter().copied());
    chart.draw_series(LineSeries::new(points, color.stroke_width(5))).map_err(drawing)?;
    Ok(())
}

fn check(curves: &[Curve]) -> Result<(), Error> {
    if curves.iter().all(|curve| curve.x.is_empty()) {
        return Err(Error::Empty("no curve has any points"));
    }
    for Curve { label, x, y, error } in curves {
        if x.len() != y.len() {
            return Err(Error::Lengths { label: label.clone(), x: x.len(), y: y.len() });
        }
        if !error.is_empty() && error.len() != x.len() {
            return Err(Error::Errors { label: label.clone(), x: x.len(), errors: error.len() });
        }
        if let Some(&value) = error.iter().find(|error| **error < 0.0) {
            return Err(Error::OutOfRange { name: "an error", value, requirement: "zero or more" });
        }
        if x.iter().chain(y).chain(error).any(|value| !value.is_finite()) {
            return Err(Error::NotFinite(format!("curve \"{label}\"")));
        }
    }
    Ok(())
}

/// From the smallest to the largest value, with a margin; never empty.
pub(super) fn padded<'a>(values: impl Iterator<Item = &'a f64>, margin: f64) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    if high > low {
        let span = high - low;
        low - margin * span..high + margin * span
    } else {
        let span = 0.5 * low.abs().max(1.0);
        low - span..low + span
    }
}
