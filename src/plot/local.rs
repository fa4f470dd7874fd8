//! Resolution around each voxel, in colour.

use std::ops::Range;

use ndarray::{ArrayView2, Axis, s};
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::gray::{blit, color_bar, colored, not_finite, percentiles};
use super::style::{self, Area, BOTTOM, INK, LABEL, LEFT, TITLE_STRIP, anchored, drawing, viridis};
use super::{Error, Figure};
use crate::volume::Volume;

/// Options of [`local_resolution`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalResolutionPlot {
    /// Radius of the particle \[Å\]: what lies outside is left white; default: all is shown.
    pub radius: Option<f64>,
    /// Edge of the part shown, about the centre \[Å\]; default: 2.2 radii, or the whole box.
    pub width: Option<f64>,
    /// Finest and coarsest resolution of the colours \[Å\]; default: of what is shown.
    pub range: Option<[f64; 2]>,
    /// Title; default: the median of what is shown.
    pub title: String,
}

const WIDTH: u32 = 1900;
/// Free space around a panel: above for its name, to the right between panels; and for the colour bar \[pixels\].
const CAPTION: u32 = 60;
const GAP: u32 = 24;
const BAR: u32 = 190;

/// A map of resolutions \[Å\], as from [`volume::local_resolution`](crate::volume::local_resolution), in three slices through its centre.
///
/// Fine resolution is dark, coarse is light (viridis).
pub fn local_resolution(volume: &Volume, options: &LocalResolutionPlot) -> Result<Figure, Error> {
    let (n, voxel) = (volume.size(), volume.pixel_size());
    if n < 2 {
        return Err(Error::Empty("the volume has fewer than two voxels along an edge"));
    }
    let half = half_width(volume, options)?;
    let center = n / 2;
    let (from, to) = (center - half, (center + half + 1).min(n));
    let part = volume.data().slice(s![from..to, from..to, from..to]);
    let sections = [2, 1, 0].map(|axis| part.index_axis(Axis(2 - axis), center - from));
    let radius = options.radius.map_or(f64::INFINITY, |radius| radius / voxel);
    let shown = |section: &ArrayView2<f32>| -> Vec<f32> {
        let near = |i: usize| (i + from) as f64 - center as f64;
        section.indexed_iter().filter(|((a, b), _)| near(*a).hypot(near(*b)) <= radius).map(|(_, &v)| v).collect()
    };
    let values: Vec<f32> = sections.iter().flat_map(shown).collect();
    let measured = percentiles(values.clone(), 0.0, 1.0).ok_or(not_finite("the volume"))?;
    let (median, _) = percentiles(values, 0.5, 1.0).ok_or(not_finite("the volume"))?;
    let scale = match options.range {
        None => measured,
        Some([low, high]) if low.is_finite() && high.is_finite() && low < high => (low as f32, high as f32),
        Some([value, _]) => {
            let requirement = "the finest resolution, and below the coarsest [Å]";
            return Err(Error::OutOfRange { name: "range", value, requirement });
        }
    };
    let title = if options.title.is_empty() {
        format!("Local resolution, median {} Å", style::tick_label((f64::from(median) * 100.0).round() / 100.0))
    } else {
        options.title.clone()
    };
    // pixel edges, not centres, are the ends of the axes
    let ends = [from, to].map(|i| (i as f64 - center as f64 - 0.5) * voxel);
    let panel = (WIDTH - BAR) / 3;
    let height = TITLE_STRIP + CAPTION + (panel - LEFT - GAP) + BOTTOM;
    style::render((WIDTH, height), &title, |area| {
        let names = [("z", ["x", "y"]), ("y", ["x", "z"]), ("x", ["y", "z"])];
        for (i, (section, (across, axes))) in sections.iter().zip(names).enumerate() {
            let place = area.clone().shrink((i as u32 * panel, 0), (panel, height - TITLE_STRIP));
            let limit = options.radius.unwrap_or(f64::INFINITY);
            let corner = draw_section(&place, section, scale, ends[0]..ends[1], axes, limit)?;
            let middle = (corner.0 + (panel - LEFT - GAP) as i32 / 2, corner.1 - 10);
            let name = format!("slice {across} = 0 Å");
            place.draw_text(&name, &anchored(LABEL, INK, HPos::Center, VPos::Bottom), middle).map_err(drawing)?;
        }
        let left = 3 * panel as i32 + 12;
        color_bar(area, (left, CAPTION as i32), panel - LEFT - GAP, scale, viridis)?;
        let below = (left, (CAPTION + panel - LEFT - GAP) as i32 + 14);
        area.draw_text("resolution [Å]", &anchored(style::TICK, INK, HPos::Left, VPos::Top), below).map_err(drawing)
    })
}

/// Draws one slice with its axes, white beyond `radius` \[Å\]; the upper left corner of the plot in the area.
fn draw_section(
    place: &Area,
    section: &ArrayView2<f32>,
    scale: (f32, f32),
    range: Range<f64>,
    axes: [&str; 2],
    radius: f64,
) -> Result<(i32, i32), Error> {
    let titles = axes.map(|axis| format!("{axis} [Å]"));
    let chart = style::axes(place, [range.clone(), range.clone()], [&titles[0], &titles[1]], [CAPTION, GAP], false)?;
    let (px, py) = chart.plotting_area().get_pixel_range();
    let size = ((px.end - px.start) as u32, (py.end - py.start) as u32);
    let (left, top) = (px.start - place.get_base_pixel().0, py.start - place.get_base_pixel().1);
    let mut pixels = colored(section.view(), size, scale, true, viridis);
    let at = |i: u32, count: u32| range.start + (f64::from(i) + 0.5) / f64::from(count) * (range.end - range.start);
    for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = (i as u32 % size.0, size.1 - 1 - i as u32 / size.0);
        if at(x, size.0).hypot(at(y, size.1)) > radius {
            pixel.fill(255);
        }
    }
    blit(place, (left, top), size, pixels)?;
    style::frame(&chart)?;
    Ok((left, top))
}

/// Voxels from the centre to the rim of the part that is shown.
fn half_width(volume: &Volume, options: &LocalResolutionPlot) -> Result<usize, Error> {
    let voxel = volume.pixel_size();
    for (name, value) in [("radius", options.radius), ("width", options.width)] {
        if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 2.0 * voxel)) {
            return Err(Error::OutOfRange { name, value, requirement: "a number of Å, more than two voxels" });
        }
    }
    let width = options.width.or(options.radius.map(|radius| 2.2 * radius)).unwrap_or(volume.edge());
    Ok(((0.5 * width / voxel).ceil() as usize).clamp(1, volume.size() / 2))
}
