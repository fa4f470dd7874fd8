//! Pictures in grey: images of a stack, sections through a density.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::style::{self, Area, BOTTOM, INK, LABEL, LEFT, NOTE, TICK, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};
use crate::images::Images;
use crate::volume::Volume;

/// Options of [`images`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesOptions {
    /// How many images; default 12.
    pub count: usize,
    /// The first of them; default 0.
    pub first: usize,
    /// Title; default: how many images of what size.
    pub title: String,
}

impl Default for ImagesOptions {
    fn default() -> Self {
        Self { count: 12, first: 0, title: String::new() }
    }
}

/// Options of [`slices`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlicesOptions {
    /// Edge of the part shown, about the centre \[Å\]; default: what holds the bright part of the density.
    pub width: Option<f64>,
    /// Where the slices lie, `[x, y, z]` from the centre \[Å\]; default: the brightest planes within 1.6 Å of it, because a plane
    /// between the atoms shows little.
    pub at: Option<[f64; 3]>,
    /// Title; default: size and voxel.
    pub title: String,
}

const WIDTH: u32 = 1600;
/// Half the distance between planes of atoms, at most \[Å\].
const NEAR_CENTER: f64 = 1.6;
/// Most images in one figure.
const MOST_IMAGES: usize = 400;

/// Some images of a stack with their numbers and a scale bar; grey from the 1st to the 99th percentile of all that are shown.
pub fn images(images: &Images, options: &ImagesOptions) -> Result<Figure, Error> {
    let last = images.len().min(options.first.saturating_add(options.count.min(MOST_IMAGES)));
    if options.first >= last || images.size() == 0 {
        return Err(Error::Empty("no image has a number in the range asked for"));
    }
    let shown = images.data().slice(s![options.first..last, .., ..]);
    let range = percentiles(shown.iter().copied().collect(), 0.01, 0.99).ok_or(not_finite("an image"))?;
    let count = last - options.first;
    let columns = ((count as f64 * 4.0 / 3.0).sqrt().ceil() as usize).min(count);
    let width = if count == 1 { WIDTH * 5 / 8 } else { WIDTH };
    let (gap, caption) = (14, 38);
    let tile = (width - gap) / columns as u32 - gap;
    let height = TITLE_STRIP + count.div_ceil(columns) as u32 * (tile + caption + gap) + gap;
    let (size, pixel) = (images.size(), images.pixel_size());
    let title = if options.title.is_empty() {
        let label = style::tick_label(pixel);
        format!("{count} of {} images, {size} × {size} pixels of {label} Å", images.len())
    } else {
        options.title.clone()
    };
    style::render((width, height), &title, |area| {
        for (i, image) in shown.axis_iter(Axis(0)).enumerate() {
            let x = (gap + (i % columns) as u32 * (tile + gap)) as i32;
            let y = ((i / columns) as u32 * (tile + caption + gap) + caption) as i32;
            let number = format!("{}", options.first + i);
            area.draw_text(&number, &anchored(NOTE, INK, HPos::Left, VPos::Bottom), (x, y - 4)).map_err(drawing)?;
            blit(area, (x, y), (tile, tile), gray(image, (tile, tile), range, false))?;
            if i == 0 {
                scale_bar(area, (x, y), tile, size as f64 * pixel)?;
            }
        }
        Ok(())
    })
}

/// A bar of a round length, about a quarter of the `edge` \[Å\], in the lower left corner of a tile.
pub(super) fn scale_bar(area: &Area, (x, y): (i32, i32), tile: u32, edge: f64) -> Result<(), Error> {
    let length = style::round_down(0.3 * edge);
    let pixels = (length / edge * f64::from(tile)).round() as i32;
    let (left, bottom) = (x + 16, y + tile as i32 - 16);
    let plate = [(left - 10, bottom - 50), (left + pixels.max(70) + 10, bottom + 10)];
    area.draw(&Rectangle::new(plate, BLACK.mix(0.55).filled())).map_err(drawing)?;
    area.draw(&Rectangle::new([(left, bottom - 8), (left + pixels, bottom)], WHITE.filled())).map_err(drawing)?;
    let label = format!("{} Å", style::tick_label(length));
    area.draw_text(&label, &anchored(TICK, WHITE, HPos::Left, VPos::Bottom), (left, bottom - 14)).map_err(drawing)
}

/// A density in three slices through or near its centre and its projection along z, each with its own grey scale.
pub fn slices(volume: &Volume, options: &SlicesOptions) -> Result<Figure, Error> {
    let n = volume.size();
    let data = volume.data();
    if n < 2 {
        return Err(Error::Empty("the volume has fewer than two voxels along an edge"));
    }
    if data.iter().any(|value| !value.is_finite()) {
        return Err(not_finite("the volume"));
    }
    let half = half_width(volume, options.width)?;
    let center = n / 2;
    let (from, to) = (center - half, (center + half + 1).min(n));
    let part = data.slice(s![from..to, from..to, from..to]);
    let projection = data.sum_axis(Axis(0)).mapv(|sum| sum * volume.pixel_size() as f32);
    let slice = |axis: usize| -> Result<(Array2<f32>, String), Error> {
        let index = plane(volume, part, 2 - axis, options.at.map(|at| at[axis]), center - from)?;
        let position = (index as f64 - (center - from) as f64) * volume.pixel_size();
        let label = format!("slice {} = {} Å", ["x", "y", "z"][axis], short(position, 1.0));
        Ok((part.index_axis(Axis(2 - axis), index).to_owned(), label))
    };
    let (along_z, along_y, along_x) = (slice(2)?, slice(1)?, slice(0)?);
    let sections: [(Array2<f32>, String, [&str; 2]); 4] = [
        (along_z.0, along_z.1, ["x", "y"]),
        (along_y.0, along_y.1, ["x", "z"]),
        (along_x.0, along_x.1, ["y", "z"]),
        (projection.slice(s![from..to, from..to]).to_owned(), "projection along z".to_owned(), ["x", "y"]),
    ];
    // pixel edges, not centres, are the ends of the axes
    let edges = |i: usize| (i as f64 - center as f64 - 0.5) * volume.pixel_size();
    let range = edges(from)..edges(to);
    let title = if options.title.is_empty() {
        format!("Density, {n} × {n} × {n} voxels of {} Å", style::tick_label(volume.pixel_size()))
    } else {
        options.title.clone()
    };
    let (caption, bar) = (60, 180);
    let side = WIDTH / 2 - LEFT - bar;
    let panel = side + caption + BOTTOM;
    style::render((WIDTH, TITLE_STRIP + 2 * panel + 20), &title, |area| {
        for (i, (section, name, [x, y])) in sections.iter().enumerate() {
            let corner = (i as u32 % 2 * (WIDTH / 2), i as u32 / 2 * panel);
            let place = area.clone().shrink(corner, (WIDTH / 2, panel));
            let scale = percentiles(section.iter().copied().collect(), 0.001, 0.999).ok_or(not_finite("the volume"))?;
            let titles = [format!("{x} [Å]"), format!("{y} [Å]")];
            let chart =
                style::axes(&place, [range.clone(), range.clone()], [&titles[0], &titles[1]], [caption, bar], false)?;
            let (px, py) = chart.plotting_area().get_pixel_range();
            let size = ((px.end - px.start) as u32, (py.end - py.start) as u32);
            let (left, top) = (px.start - place.get_base_pixel().0, py.start - place.get_base_pixel().1);
            blit(&place, (left, top), size, gray(section.view(), size, scale, true))?;
            style::frame(&chart)?;
            let middle = (left + size.0 as i32 / 2, top - 10);
            place.draw_text(name, &anchored(LABEL, INK, HPos::Center, VPos::Bottom), middle).map_err(drawing)?;
            color_bar(&place, (left + size.0 as i32 + 24, top), size.1, scale, |level| [(255.0 * level) as u8; 3])?;
        }
        Ok(())
    })
}

/// Index of the plane across `axis` of `part` that is shown: at `position` \[Å\] from `center`, or the brightest one near it.
fn plane(
    volume: &Volume,
    part: ArrayView3<f32>,
    axis: usize,
    position: Option<f64>,
    center: usize,
) -> Result<usize, Error> {
    let voxel = volume.pixel_size();
    let last = part.dim().0 - 1;
    if let Some(value) = position {
        let index = center as f64 + (value / voxel).round();
        if !(0.0..=last as f64).contains(&index) {
            let requirement = "a distance from the centre [Å] inside the part shown";
            return Err(Error::OutOfRange { name: "at", value, requirement });
        }
        return Ok(index as usize);
    }
    let reach = (NEAR_CENTER / voxel) as usize;
    let brightness = |index: usize| -> f64 {
        part.index_axis(Axis(axis), index).iter().map(|&value| f64::from(value.max(0.0)).powi(2)).sum()
    };
    // from the centre outwards, so that of equal planes the nearest is taken
    let mut best = (brightness(center), center);
    for step in 1..=reach {
        for index in [center.saturating_sub(step), (center + step).min(last)] {
            let value = brightness(index);
            if value > best.0 {
                best = (value, index);
            }
        }
    }
    Ok(best.1)
}

/// Voxels from the centre to the rim of the part that is shown.
fn half_width(volume: &Volume, width: Option<f64>) -> Result<usize, Error> {
    let center = volume.size() / 2;
    let pixel = volume.pixel_size();
    let half = match width {
        Some(width) if width.is_finite() && width > 2.0 * pixel => 0.5 * width / pixel,
        Some(value) => {
            let requirement = "a number of Å, more than two voxels";
            return Err(Error::OutOfRange { name: "width", value, requirement });
        }
        None => {
            let highest = volume.data().iter().copied().fold(0.0f32, f32::max);
            let bright = volume.data().indexed_iter().filter(|(_, value)| **value > 0.25 * highest);
            let farthest = bright.map(|((z, y, x), _)| [z, y, x].map(|i| i.abs_diff(center)).into_iter().max());
            farthest.flatten().max().unwrap_or(center) as f64 + 3.0 / pixel
        }
    };
    Ok((half.ceil() as usize).clamp(1, center))
}

/// Width of a colour bar \[pixels\].
pub(super) const BAR_WIDTH: u32 = 26;

/// A bar from the lowest to the highest colour, without values.
pub(super) fn bar(area: &Area, (x, y): (i32, i32), height: u32, color: impl Fn(f32) -> [u8; 3]) -> Result<(), Error> {
    let ramp = Array2::from_shape_fn((256, 1), |(i, _)| i as f32 / 255.0);
    blit(area, (x, y), (BAR_WIDTH, height), colored(ramp.view(), (BAR_WIDTH, height), (0.0, 1.0), true, color))?;
    let corners = [(x, y), (x + BAR_WIDTH as i32, y + height as i32)];
    area.draw(&Rectangle::new(corners, INK)).map_err(drawing)
}

/// The same with the values of its ends and its middle.
pub(super) fn color_bar(
    area: &Area,
    (x, y): (i32, i32),
    height: u32,
    (low, high): (f32, f32),
    color: impl Fn(f32) -> [u8; 3],
) -> Result<(), Error> {
    let width = BAR_WIDTH;
    bar(area, (x, y), height, color)?;
    for (part, vertical) in [(0.0, VPos::Bottom), (0.5, VPos::Center), (1.0, VPos::Top)] {
        let value = f64::from(low) + part * f64::from(high - low);
        let place = (x + width as i32 + 10, y + (f64::from(height) * (1.0 - part)) as i32);
        let style = anchored(TICK, INK, HPos::Left, vertical);
        area.draw_text(&short(value, f64::from(high - low)), &style, place).map_err(drawing)?;
    }
    Ok(())
}

/// A number with two digits of the range it lies in.
pub(super) fn short(value: f64, range: f64) -> String {
    let decimals = (1.0 - range.max(f64::MIN_POSITIVE).log10().floor()).clamp(0.0, 6.0) as i32;
    let unit = 10f64.powi(-decimals);
    style::tick_label((value / unit).round() * unit)
}

pub(super) fn not_finite(what: &str) -> Error {
    Error::NotFinite(what.to_owned())
}

/// Two percentiles (0 … 1) of the values, apart; none if a value is not finite.
pub(super) fn percentiles(mut values: Vec<f32>, low: f64, high: f64) -> Option<(f32, f32)> {
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    values.sort_by(f32::total_cmp);
    let at = |part: f64| values[(part * (values.len() - 1) as f64).round() as usize];
    let (low, high) = (at(low), at(high));
    Some(if high > low { (low, high) } else { (low - 0.5, high + 0.5) })
}

pub(super) fn blit(area: &Area, place: (i32, i32), size: (u32, u32), pixels: Vec<u8>) -> Result<(), Error> {
    let bitmap: BitMapElement<(i32, i32)> =
        BitMapElement::with_owned_buffer(place, size, pixels).ok_or_else(|| drawing("a bitmap of a wrong size"))?;
    area.draw(&bitmap).map_err(drawing)
}

/// `data` in grey (red, green, blue alike) at another size, cubic between pixels; `up` puts row 0 at the bottom.
pub(super) fn gray(data: ArrayView2<f32>, size: (u32, u32), range: (f32, f32), up: bool) -> Vec<u8> {
    colored(data, size, range, up, |level| [(255.0 * level).round() as u8; 3])
}

/// As [`gray`], in the colours (red, green, blue) that a map has for levels from 0 to 1.
pub(super) fn colored(
    data: ArrayView2<f32>,
    (width, height): (u32, u32),
    (low, high): (f32, f32),
    up: bool,
    color: impl Fn(f32) -> [u8; 3],
) -> Vec<u8> {
    let (rows, columns) = data.dim();
    let across = Taps::new(columns, width as usize);
    let down = Taps::new(rows, height as usize);
    // rows first: rows × width, then height × width
    let wide = Array2::from_shape_fn((rows, width as usize), |(y, x)| across.sum(x, |i| data[[y, i]]));
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height as usize {
        let y = if up { height as usize - 1 - y } else { y };
        for x in 0..width as usize {
            let value = down.sum(y, |i| wide[[i, x]]);
            pixels.extend(color(((value - low) / (high - low)).clamp(0.0, 1.0)));
        }
    }
    pixels
}

/// For each target pixel the source pixels it is made of and their weights: Catmull–Rom cubic, stretched to average where the
/// target is smaller.
struct Taps(Vec<Vec<(usize, f32)>>);

impl Taps {
    fn new(source: usize, target: usize) -> Self {
        let step = source as f64 / target as f64;
        let stretch = step.max(1.0);
        let taps = (0..target).map(|i| {
            let place = (i as f64 + 0.5) * step - 0.5;
            let reach = (2.0 * stretch).ceil() as i64;
            let near = (place.floor() as i64 - reach)..=(place.floor() as i64 + reach + 1);
            let weighted: Vec<(usize, f64)> = near
                .map(|j| (j.clamp(0, source as i64 - 1) as usize, cubic((j as f64 - place) / stretch)))
                .filter(|(_, weight)| *weight != 0.0)
                .collect();
            let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
            weighted.into_iter().map(|(j, weight)| (j, (weight / total) as f32)).collect()
        });
        Self(taps.collect())
    }

    fn sum(&self, target: usize, value: impl Fn(usize) -> f32) -> f32 {
        self.0[target].iter().map(|&(i, weight)| weight * value(i)).sum()
    }
}

/// Catmull–Rom kernel.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        1.5 * x * x * x - 2.5 * x * x + 1.0
    } else if x < 2.0 {
        -0.5 * x * x * x + 2.5 * x * x - 4.0 * x + 2.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_keeps_a_constant_and_the_ends() {
        let flat = Array2::from_elem((5, 5), 0.4f32);
        assert!(gray(flat.view(), (13, 3), (0.0, 1.0), false).iter().all(|&level| level == 102));
        let ramp = Array2::from_shape_fn((2, 4), |(_, x)| x as f32);
        let same = gray(ramp.view(), (4, 2), (0.0, 3.0), false);
        assert_eq!(same.iter().step_by(3).copied().collect::<Vec<_>>(), [0, 85, 170, 255, 0, 85, 170, 255]);
    }

    #[test]
    fn rows_go_up_where_axes_do() {
        let rows = Array2::from_shape_fn((2, 1), |(y, _)| y as f32);
        assert_eq!(gray(rows.view(), (1, 2), (0.0, 1.0), true)[0], 255);
        assert_eq!(gray(rows.view(), (1, 2), (0.0, 1.0), false)[0], 0);
    }
}
