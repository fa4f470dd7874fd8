//! Images beside what the refined atoms say they should show, and where in the spectrum the two differ.

use ndarray::{Array2, Axis};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::gray::{blit, color_bar, colored, gray, not_finite, percentiles, scale_bar, short};
use super::reprojections::{by_quantile, describe};
use super::style::{self, Area, FAINT, INK, LABEL, Symbol, TITLE_STRIP, anchored, diverging, drawing};
use super::{Error, Figure};
use crate::images::Particles;
use crate::model::{Fitted, Predictor, Residuals};
use crate::task::Task;

/// Options of [`residuals`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualsOptions {
    /// How many images, from the best explained to the worst; default 3.
    pub count: usize,
    /// Numbers of the images, in place of `count`.
    pub images: Vec<usize>,
    /// Title; default: χ² and the limit of resolution.
    pub title: String,
}

impl Default for ResidualsOptions {
    fn default() -> Self {
        Self { count: 3, images: Vec::new(), title: String::new() }
    }
}

const WIDTH: u32 = 1600;
/// Room for what is said of each image, for the colour bar, between pictures, and for the heads of the columns \[pixels\].
const SIDE: u32 = 230;
const BAR: u32 = 130;
const GAP: u32 = 14;
const HEADS: u32 = 50;
/// Height of the curves \[pixels\].
const CURVES: u32 = 560;
/// Most images in one figure.
const MOST: usize = 12;
/// Least and greatest end of the colour scale of differences, so that noise shows and does not look like more \[noise s.d.\].
const ENDS: (f32, f32) = (4.0, 6.0);
/// Rings whose signal is below this part of the noise have no share of it that is left.
const SIGNAL: f64 = 0.05;

/// One row of the figure.
struct Shown {
    words: [String; 4],
    /// Image, model, difference \[noise s.d.\].
    pictures: [Array2<f32>; 3],
}

/// Some images up to the limit of the refinement, what its model predicts, and the difference, in units of the noise's standard deviation; below, by
/// spatial frequency, the mean power of what is left over that of the noise, and which share of the signal that is.
///
/// # Errors
/// As [`Predictor::new`]; if an image does not exist, or too many or none are asked for.
pub fn residuals(
    particles: &Particles,
    fitted: &Fitted,
    options: &ResidualsOptions,
    task: &Task,
) -> Result<Figure, Error> {
    let count = if options.images.is_empty() { options.count } else { options.images.len() };
    if !(1..=MOST).contains(&count) {
        let requirement = "from 1 to 12";
        return Err(Error::OutOfRange { name: "the number of images", value: count as f64, requirement });
    }
    let predictor = Predictor::new(fitted, particles, task)?;
    predictor.check(&options.images)?;
    let left = predictor.residuals(task).map_err(crate::model::Error::from)?;
    if left.chi2.iter().chain(&left.residual).chain(&left.image).any(|value| !value.is_finite()) {
        return Err(not_finite("an image or the model of it"));
    }
    let chosen = match options.images.is_empty() {
        false => options.images.iter().map(|&image| (image, String::new())).collect(),
        true => by_quantile(&left.chi2.iter().map(|chi2| -chi2).collect::<Vec<_>>(), count),
    };
    let numbers: Vec<usize> = chosen.iter().map(|(image, _)| *image).collect();
    let predicted = predictor.pictures(&numbers, task)?;
    let in_noise = 1.0 / predicted.noise as f32;
    let rows: Vec<Shown> = chosen
        .into_iter()
        .enumerate()
        .map(|(i, (image, rank))| {
            let [observed, model] = [&predicted.observed, &predicted.predicted]
                .map(|images| images.data().index_axis(Axis(0), i).mapv(|value| value * in_noise));
            let chi2 = format!("χ² {:.2}", left.chi2[image]);
            let difference = &observed - &model;
            Shown {
                words: [format!("image {image}"), rank, chi2, String::new()],
                pictures: [observed, model, difference],
            }
        })
        .collect();
    let mean = left.chi2.iter().sum::<f64>() / left.chi2.len() as f64;
    let title = match options.title.as_str() {
        "" => format!("Images and refined atoms to {} Å, mean χ² {mean:.2}", short(fitted.low_pass, 1.0)),
        given => given.to_owned(),
    };
    draw(&rows, &left, particles.edge(), &title)
}

fn draw(rows: &[Shown], left: &Residuals, edge: f64, title: &str) -> Result<Figure, Error> {
    let values = |columns: std::ops::Range<usize>| -> Vec<f32> {
        rows.iter().flat_map(|row| row.pictures[columns.clone()].iter().flatten().copied()).collect()
    };
    let grays = percentiles(values(0..2), 0.002, 0.998).ok_or(not_finite("an image"))?;
    let largest = percentiles(values(2..3).iter().map(|value| value.abs()).collect(), 0.0, 0.999);
    let reach = largest.ok_or(not_finite("an image"))?.1.clamp(ENDS.0, ENDS.1).ceil();
    let tile = (WIDTH - SIDE - 2 * BAR) / 3 - GAP;
    let height = TITLE_STRIP + HEADS + rows.len() as u32 * (tile + GAP) + CURVES;
    style::render((WIDTH, height), title, |area| {
        // the grey bar stands between the second and the third column
        let x = |column: usize| (SIDE + column as u32 * (tile + GAP) + if column == 2 { BAR } else { 0 }) as i32;
        for (column, head) in ["image", "model", "image − model"].into_iter().enumerate() {
            let place = (x(column) + tile as i32 / 2, HEADS as i32 / 2);
            area.draw_text(head, &anchored(LABEL, INK, HPos::Center, VPos::Center), place).map_err(drawing)?;
        }
        let top = |row: usize| (HEADS + row as u32 * (tile + GAP)) as i32;
        for (i, row) in rows.iter().enumerate() {
            describe(area, &row.words, top(i), tile)?;
            for (column, picture) in row.pictures.iter().enumerate() {
                let pixels = match column {
                    2 => colored(picture.view(), (tile, tile), (-reach, reach), false, diverging),
                    _ => gray(picture.view(), (tile, tile), grays, false),
                };
                blit(area, (x(column), top(i)), (tile, tile), pixels)?;
            }
            let corners = [(x(2), top(i)), (x(2) + tile as i32, top(i) + tile as i32)];
            area.draw(&Rectangle::new(corners, FAINT)).map_err(drawing)?;
        }
        scale_bar(area, (x(0), top(0)), tile, edge)?;
        color_bar(area, (x(1) + (tile + GAP) as i32, top(0)), tile, grays, |level| [(255.0 * level) as u8; 3])?;
        color_bar(area, (x(2) + (tile + GAP) as i32, top(0)), tile, (-reach, reach), diverging)?;
        for column in [1, 2] {
            let place = (x(column) + (tile + GAP) as i32, HEADS as i32 / 2);
            area.draw_text("noise s.d.", &anchored(style::TICK, INK, HPos::Left, VPos::Center), place)
                .map_err(drawing)?;
        }
        let below = area.clone().shrink((0, top(rows.len()) as u32), (WIDTH, CURVES));
        let (first, second) = below.split_horizontally(WIDTH / 2);
        power_left(&first, left)?;
        share_left(&second, left)
    })
}

/// Mean power of what is left over that of the noise, by spatial frequency.
fn power_left(area: &Area, left: &Residuals) -> Result<(), Error> {
    let items =
        [(Symbol::Line, style::color(0), "what is left".to_owned()), (Symbol::Dashes, FAINT, "noise alone".to_owned())];
    let below = style::legend(area, &items)?;
    let highest = left.residual.iter().copied().fold(1.0, f64::max);
    let lowest = left.residual.iter().copied().fold(1.0, f64::min);
    let margin = 0.15 * (highest - lowest).max(0.2);
    let end = left.frequencies.last().copied().unwrap_or(1.0);
    let titles = ["spatial frequency [1/Å]", "χ² (1: noise)"];
    let ranges = [0.0..end, (lowest - margin).max(0.0)..highest + margin];
    let mut chart = style::axes(&below, ranges, titles, [10, 30], true)?;
    let noise = DashedLineSeries::new([(0.0, 1.0), (end, 1.0)], 14, 10, FAINT.stroke_width(4));
    chart.draw_series(noise).map_err(drawing)?;
    let points = left.frequencies.iter().copied().zip(left.residual.iter().copied());
    chart.draw_series(LineSeries::new(points, style::color(0).stroke_width(5))).map_err(drawing)?;
    Ok(())
}

/// The share of the signal, noise subtracted, that the model leaves, by spatial frequency.
fn share_left(area: &Area, left: &Residuals) -> Result<(), Error> {
    let items = [(Symbol::Disc, style::color(1), "signal that the model leaves".to_owned())];
    let below = style::legend(area, &items)?;
    let rings = left.frequencies.iter().zip(&left.residual).zip(&left.image);
    let shares: Vec<(f64, f64)> = rings
        .filter(|(_, image)| **image - 1.0 > SIGNAL)
        .map(|((frequency, residual), image)| {
            (*frequency, (100.0 * (residual - 1.0) / (image - 1.0)).clamp(-20.0, 100.0))
        })
        .collect();
    let highest = shares.iter().map(|share| share.1).fold(10.0, f64::max);
    let lowest = shares.iter().map(|share| share.1).fold(0.0, f64::min);
    let end = left.frequencies.last().copied().unwrap_or(1.0);
    let titles = ["spatial frequency [1/Å]", "share of the signal [%]"];
    let mut chart = style::axes(&below, [0.0..end, 1.1 * lowest..1.1 * highest], titles, [10, 30], true)?;
    let axis = LineSeries::new([(0.0, 0.0), (end, 0.0)], FAINT.stroke_width(2));
    chart.draw_series(axis).map_err(drawing)?;
    let disc = |&point: &(f64, f64)| Circle::new(point, 7, style::color(1).filled());
    chart.draw_series(shares.iter().map(disc)).map_err(drawing)?;
    Ok(())
}
