//! Errors in units of their uncertainties.

use std::f64::consts::TAU;

use plotters::prelude::*;

use super::style::{self, ALARM, INK, Symbol, drawing};
use super::{Error, Figure};
use crate::model::analysis::Summary;

const BIN: f64 = 0.5;
/// Pulls beyond this are counted, not drawn.
const FARTHEST: f64 = 8.0;

/// A histogram of pulls, as from [`model::pulls`](crate::model::pulls), with the normal curve that right uncertainties give; mean and standard deviation
/// with their errors are in the legend.
///
/// # Errors
/// If there are none, or one is not finite.
pub fn pulls(pulls: &[f64]) -> Result<Figure, Error> {
    if pulls.is_empty() {
        return Err(Error::Empty("no pulls"));
    }
    if pulls.iter().any(|pull| !pull.is_finite()) {
        return Err(Error::NotFinite("a pull".to_owned()));
    }
    let count = pulls.len() as f64;
    let spread = Summary::of(pulls.iter().copied());
    let largest = pulls.iter().map(|pull| pull.abs()).fold(0.0, f64::max);
    let reach = (largest / BIN).ceil().mul_add(BIN, BIN).clamp(4.0, FARTHEST);
    let mut bins = vec![0usize; (2.0 * reach / BIN).round() as usize];
    for pull in pulls.iter().filter(|pull| pull.abs() < reach) {
        bins[((pull + reach) / BIN) as usize] += 1;
    }
    let beyond = pulls.len() - bins.iter().sum::<usize>();
    let height = |bin: usize| bins[bin] as f64 / (count * BIN);
    let normal = |x: f64| (-0.5 * x * x).exp() / TAU.sqrt();
    let highest = (0..bins.len()).map(height).fold(normal(0.0), f64::max);
    let number = |value: f64| format!("{value:.2}").replace('-', "−");
    let found = format!(
        "{} pulls: mean {} ± {}, s.d. {} ± {}",
        pulls.len(),
        number(spread.mean),
        number(spread.error()),
        number(spread.deviation),
        number(spread.error() / 2f64.sqrt())
    );
    let blue = style::color(0);
    let mut items = vec![(Symbol::Disc, blue, found), (Symbol::Line, INK, "normal, s.d. 1".to_owned())];
    if beyond > 0 {
        items.push((Symbol::Cross, ALARM, format!("{beyond} beyond ±{reach}")));
    }
    style::render((1600, 1000), "Errors of the positions over their uncertainties", |area| {
        let below = style::legend(area, &items)?;
        let titles = ["(found − true) / σ, along x, y and z", "part of the pulls, per unit"];
        let mut chart = style::axes(&below, [-reach..reach, 0.0..1.1 * highest], titles, [10, 40], true)?;
        for bin in (0..bins.len()).filter(|&bin| bins[bin] > 0) {
            let left = bin as f64 * BIN - reach;
            let corners = [(left + 0.02 * BIN, 0.0), (left + 0.98 * BIN, height(bin))];
            chart.plotting_area().draw(&Rectangle::new(corners, blue.filled())).map_err(drawing)?;
        }
        let curve = (0..=120).map(|i| (f64::from(i) / 60.0 - 1.0) * reach).map(|x| (x, normal(x)));
        chart.draw_series(LineSeries::new(curve, INK.stroke_width(5))).map_err(drawing)?;
        Ok(())
    })
}
