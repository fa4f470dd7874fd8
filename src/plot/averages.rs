//! Means with their standard deviations against one axis.

use plotters::prelude::*;

use super::curves::{draw, legend_of, padded};
use super::style::{self, drawing};
use super::{Error, Figure, LinesOptions};

/// A named curve of means.
#[derive(Debug, Clone, PartialEq)]
pub struct Averages {
    pub label: String,
    pub x: Vec<f64>,
    pub mean: Vec<f64>,
    /// Zero where nothing is known of it: no bar is drawn.
    pub deviation: Vec<f64>,
}

const SIZE: (u32, u32) = (1600, 1000);
/// Half the width of the ends of a bar \[pixels\].
const CAP: i32 = 9;

/// Curves with marked points and bars of one standard deviation up and down, on common axes.
pub fn averages(curves: &[Averages], options: &LinesOptions) -> Result<Figure, Error> {
    check(curves)?;
    let x = padded(curves.iter().flat_map(|curve| &curve.x), 0.03);
    let ends: Vec<f64> = curves.iter().flat_map(bars).flat_map(|(_, low, high)| [low, high]).collect();
    let y = padded(ends.iter(), 0.05);
    style::render(SIZE, &options.title, |area| {
        let below = if curves.len() > 1 || !curves[0].label.is_empty() {
            style::legend(area, &legend_of(curves.iter().map(|curve| curve.label.clone())))?
        } else {
            area.clone()
        };
        let titles = [options.x_label.as_str(), options.y_label.as_str()];
        let mut chart = style::axes(&below, [x, y], titles, [10, 40], true)?;
        for (i, curve) in curves.iter().enumerate() {
            let color = style::color(i);
            draw(&mut chart, &curve.x, &curve.mean, color)?;
            let mark = |(&x, &y)| Circle::new((x, y), 7, color.filled());
            chart.draw_series(curve.x.iter().zip(&curve.mean).map(mark)).map_err(drawing)?;
            for (x, low, high) in bars(curve).filter(|(_, low, high)| high > low) {
                bar(&chart, [low, high].map(|y| (x, y)), color)?;
            }
        }
        Ok(())
    })
}

/// Place and ends of each bar.
fn bars(curve: &Averages) -> impl Iterator<Item = (f64, f64, f64)> {
    let points = curve.x.iter().zip(&curve.mean).zip(&curve.deviation);
    points.map(|((&x, &mean), &deviation)| (x, mean - deviation, mean + deviation))
}

fn bar(chart: &style::Chart, ends: [(f64, f64); 2], color: RGBColor) -> Result<(), Error> {
    let stroke = color.stroke_width(3);
    let plane = chart.plotting_area();
    plane.draw(&PathElement::new(ends.to_vec(), stroke)).map_err(drawing)?;
    for end in ends {
        let cap = EmptyElement::at(end) + PathElement::new(vec![(-CAP, 0), (CAP, 0)], stroke);
        plane.draw(&cap).map_err(drawing)?;
    }
    Ok(())
}

fn check(curves: &[Averages]) -> Result<(), Error> {
    if curves.iter().all(|curve| curve.x.is_empty()) {
        return Err(Error::Empty("no row has numbers in both columns"));
    }
    for Averages { label, x, mean, deviation } in curves {
        if x.len() != mean.len() || x.len() != deviation.len() {
            return Err(Error::Lengths { label: label.clone(), x: x.len(), y: mean.len().min(deviation.len()) });
        }
        if x.iter().chain(mean).chain(deviation).any(|value| !value.is_finite()) {
            return Err(Error::NotFinite(format!("curve \"{label}\"")));
        }
    }
    Ok(())
}
