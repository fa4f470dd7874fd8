//! The power spectrum of images: in two dimensions, and its mean over all directions.

use ndarray::s;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::gray::{blit, color_bar, gray, percentiles};
use super::style::{self, BOTTOM, FAINT, INK, LABEL, LEFT, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure, gray as pictures};
use crate::images::{LineOptions, PowerSpectrum};
use plotters::prelude::*;

/// Options of [`power_spectrum`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerOptions {
    /// Highest frequency shown [Å⁻¹]; default 1.3, a little beyond what the paper's aperture lets through.
    pub to: f64,
    /// Direction of the line profile \[°\]; default 0.
    pub angle: f64,
    /// Title; default: what it is.
    pub title: String,
}

impl Default for PowerOptions {
    fn default() -> Self {
        Self { to: 1.3, angle: 0.0, title: String::new() }
    }
}

const SIZE: (u32, u32) = (1600, 860);

/// Mean power spectrum of images in decades, with circles at round distances, beside its radial mean and a profile through the centre.
pub fn power_spectrum(spectrum: &PowerSpectrum, options: &PowerOptions) -> Result<Figure, Error> {
    if !(options.to > 4.0 * spectrum.step && options.to.is_finite()) {
        let requirement = "a frequency [1/Å] of more than four pixels of the spectrum";
        return Err(Error::OutOfRange { name: "to", value: options.to, requirement });
    }
    let size = spectrum.power.dim().0;
    let half = ((options.to / spectrum.step).round() as usize).min((size - 1) / 2);
    let reach = half as f64 * spectrum.step;
    let part = s![size / 2 - half..=size / 2 + half, size / 2 - half..=size / 2 + half];
    let decades = spectrum.power.slice(part).mapv(|power| power.max(f64::MIN_POSITIVE).log10() as f32);
    let shown = decades.iter().copied().filter(|value| *value > -20.0).collect();
    let range = percentiles(shown, 0.05, 0.9995).ok_or(pictures::not_finite("the spectrum"))?;
    let title = if options.title.is_empty() { "Mean power spectrum" } else { &options.title };
    style::render((SIZE.0, SIZE.1 + TITLE_STRIP), title, |area| {
        let (caption, bar) = (60, 150);
        let side = SIZE.1 - caption - BOTTOM;
        let left = area.clone().shrink((0, 0), (side + LEFT + bar, SIZE.1));
        let edges = -reach..reach;
        let titles = ["kx [1/Å]", "ky [1/Å]"];
        let mut chart = style::axes(&left, [edges.clone(), edges], titles, [caption, bar], false)?;
        let (px, py) = chart.plotting_area().get_pixel_range();
        let frame = ((px.end - px.start) as u32, (py.end - py.start) as u32);
        let base = left.get_base_pixel();
        let corner = (px.start - base.0, py.start - base.1);
        blit(&left, corner, frame, gray(decades.view(), frame, range, true))?;
        for distance in [4.0, 2.0, 1.0].into_iter().filter(|distance| 1.0 / distance < 0.95 * reach) {
            let at = |i: i32| f64::from(i).to_radians();
            let circle = (0..=360).map(|i| (at(i).cos() / distance, at(i).sin() / distance));
            chart.draw_series(LineSeries::new(circle, WHITE.mix(0.45))).map_err(drawing)?;
            let middle = (corner.0 + frame.0 as i32 / 2, corner.1 + frame.1 as i32 / 2);
            let place = (middle.0, middle.1 - (f64::from(frame.1) / 2.0 / (distance * reach)) as i32 - 4);
            let label = format!("{distance} Å");
            left.draw_text(&label, &anchored(LABEL, WHITE, HPos::Center, VPos::Bottom), place).map_err(drawing)?;
        }
        style::frame(&chart)?;
        let bar_at = (corner.0 + frame.0 as i32 + 24, corner.1);
        color_bar(&left, bar_at, frame.1, range, |level| [(255.0 * level) as u8; 3])?;
        let above = (bar_at.0, corner.1 - 10);
        left.draw_text("log10", &anchored(LABEL, INK, HPos::Left, VPos::Bottom), above).map_err(drawing)?;
        let right = area.clone().shrink((side + LEFT + bar, 0), (SIZE.0 - side - LEFT - bar, SIZE.1));
        profiles(&right, spectrum, options, reach)
    })
}

/// The radial mean and the profile, in decades.
fn profiles(area: &style::Area, spectrum: &PowerSpectrum, options: &PowerOptions, reach: f64) -> Result<(), Error> {
    let decades = |frequencies: &[f64], power: &[f64]| -> Vec<(f64, f64)> {
        let shown = |(frequency, power): (&f64, &f64)| {
            (*frequency > 0.0 && *frequency <= reach && *power > 0.0).then(|| (*frequency, power.log10()))
        };
        frequencies.iter().zip(power).filter_map(shown).collect()
    };
    let radial = spectrum.radial();
    let line = spectrum.line(&LineOptions { angle: options.angle, width: 0.0 });
    let curves = [decades(&line.frequencies, &line.power), decades(&radial.frequencies, &radial.power)];
    let names = [format!("along {}°", style::tick_label(options.angle)), "mean of all directions".to_owned()];
    let colors = [FAINT, style::color(0)];
    let all = curves.iter().flatten().map(|point| point.1);
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)));
    let low = low.max(high - 6.0);
    let legend: Vec<_> =
        names.iter().zip(colors).map(|(name, color)| (style::Symbol::Line, color, name.clone())).collect();
    let below = style::legend(area, &legend)?;
    let titles = ["spatial frequency [1/Å]", "log10 of the power"];
    let margin = 0.05 * (high - low);
    let mut chart = style::axes(&below, [0.0..reach, low - margin..high + margin], titles, [20, 40], true)?;
    for (curve, color) in curves.into_iter().zip(colors) {
        let curve = curve.into_iter().map(|(x, y)| (x, y.max(low - margin)));
        chart.draw_series(LineSeries::new(curve, color.stroke_width(3))).map_err(drawing)?;
    }
    Ok(())
}
