//! From which directions the images look: a map of the sphere.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2, TAU};

use nalgebra::Vector3;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::gray::blit;
use super::style::{self, Area, INK, LABEL, NOTE, TICK, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};
use crate::orient::{Partition, default_patches};
use crate::pose::Poses;

/// Options of [`coverage`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoverageOptions {
    /// Counts opposite directions as one, on one half sphere; default false: both halves.
    pub fold: bool,
    /// Patches of equal area on each half sphere; default 0: about ten images a patch, 10 to 1000.
    pub patches: usize,
    /// Title; default: how many images.
    pub title: String,
}

/// Most patches on half the sphere: a patch must be several pixels wide.
const MOST_PATCHES: usize = 5000;
/// Radius of a map, rim around it for labels, width of the strip with the colour bar \[pixels\].
const RADIUS: i32 = 330;
const RIM: i32 = 84;
const BAR: i32 = 230;
/// Heading above a map, notes below it \[pixels\].
const HEADING: i32 = 60;
const NOTES: i32 = 96;
/// Colour of a patch that no image looks through.
const NOBODY: [u8; 3] = [222, 222, 222];
/// Viridis (van der Walt and Smith), nine of its colours, dark to light.
const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Viewing directions as counts on patches of equal area, in Lambert's equal-area projection (Snyder, USGS Prof. Paper 1395 (1987)): distance from
/// the middle is tilt, the angle around it rot.
pub fn coverage(poses: &Poses, options: &CoverageOptions) -> Result<Figure, Error> {
    if poses.is_empty() {
        return Err(Error::Empty("there are no poses"));
    }
    let on_each = if options.fold { poses.len() } else { poses.len().div_ceil(2) };
    let patches = if options.patches == 0 { default_patches(on_each) } else { options.patches };
    if patches > MOST_PATCHES {
        let requirement = "at most 5000 on half a sphere";
        return Err(Error::OutOfRange { name: "patches", value: patches as f64, requirement });
    }
    let partition = Partition::new(patches, true);
    let maps: &[Half] = if options.fold { &[Half::Both] } else { &[Half::Upper, Half::Lower] };
    let views: Vec<Vector3<f64>> = poses.as_slice().iter().map(|pose| pose.viewing_direction()).collect();
    let counts: Vec<Vec<usize>> = maps.iter().map(|half| half.counts(&partition, &views)).collect();
    let largest = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let empty = counts.iter().flatten().filter(|count| **count == 0).count();
    let even = poses.len() as f64 / (patches * maps.len()) as f64;

    let side = 2 * (RADIUS + RIM);
    let size = ((side * maps.len() as i32 + BAR) as u32, TITLE_STRIP + (HEADING + side + NOTES) as u32);
    let title = match options.title.as_str() {
        "" => format!("Viewing directions of {} images", poses.len()),
        given => given.to_owned(),
    };
    let opposite = if options.fold { ", opposite views counted as one" } else { "" };
    let notes = [
        format!("{} patches of {:.4} sr; {empty} empty (grey){opposite}", patches * maps.len(), partition.cell_area()),
        "from the middle: tilt [°], around it: rot [°], of the view in the particle's frame".to_owned(),
    ];
    style::render(size, &title, |area| {
        for (i, (half, counts)) in maps.iter().zip(&counts).enumerate() {
            let middle = (i as i32 * side + side / 2, HEADING + side / 2);
            draw_map(area, middle, *half, &partition, counts, largest)?;
            let heading = anchored(LABEL, INK, HPos::Center, VPos::Center);
            area.draw_text(half.heading(), &heading, (middle.0, HEADING / 2)).map_err(drawing)?;
        }
        let top = HEADING + RIM;
        color_bar(area, (side * maps.len() as i32 + 10, top), 2 * RADIUS, largest, even)?;
        for (i, note) in notes.iter().enumerate() {
            let place = (size.0 as i32 / 2, HEADING + side + 20 + 40 * i as i32);
            area.draw_text(note, &anchored(NOTE, INK, HPos::Center, VPos::Center), place).map_err(drawing)?;
        }
        Ok(())
    })
}

/// What one map shows.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    Upper,
    Lower,
    Both,
}

impl Half {
    fn heading(self) -> &'static str {
        match self {
            Self::Upper => "half sphere z > 0",
            Self::Lower => "half sphere z < 0",
            Self::Both => "half sphere z > 0, with the opposite one on it",
        }
    }

    /// Directions in each patch. The lower half has the patches of the upper one mirrored in the equator.
    fn counts(self, partition: &Partition, views: &[Vector3<f64>]) -> Vec<usize> {
        let mut counts = vec![0; partition.len()];
        for view in views {
            let shown = match self {
                Self::Upper if view.z < 0.0 => continue,
                Self::Lower if view.z >= 0.0 => continue,
                Self::Lower => Vector3::new(view.x, view.y, -view.z),
                _ => *view,
            };
            counts[partition.cell_of(&shown)] += 1;
        }
        counts
    }

    /// Tilt of a circle of the map at `degrees` from its middle.
    fn tilt(self, degrees: i32) -> i32 {
        if self == Self::Lower { 180 - degrees } else { degrees }
    }
}

/// Distance from the middle of a map of radius 1 at an angle \[°\] from its pole.
fn lambert(degrees: f64) -> f64 {
    SQRT_2 * (degrees.to_radians() / 2.0).sin()
}

fn draw_map(
    area: &Area,
    middle: (i32, i32),
    half: Half,
    partition: &Partition,
    counts: &[usize],
    largest: usize,
) -> Result<(), Error> {
    let edge = 2 * RADIUS + 1;
    let mut pixels = Vec::with_capacity((edge * edge * 3) as usize);
    for row in -RADIUS..=RADIUS {
        for column in -RADIUS..=RADIUS {
            // rot grows against the clock, from x on the right
            let (x, y) = (f64::from(column) / f64::from(RADIUS), f64::from(-row) / f64::from(RADIUS));
            let square = x * x + y * y;
            if square > 1.0 {
                pixels.extend([255; 3]);
                continue;
            }
            // ρ = √2 sin(θ/2): cos θ = 1 − ρ², sin θ = ρ·√(2 − ρ²)
            let stretch = (2.0 - square).sqrt();
            let direction = Vector3::new(x * stretch, y * stretch, 1.0 - square);
            pixels.extend(color(counts[partition.cell_of(&direction)], largest));
        }
    }
    blit(area, (middle.0 - RADIUS, middle.1 - RADIUS), (edge as u32, edge as u32), pixels)?;
    graticule(area, middle, half)
}

/// Circles of equal tilt, spokes of equal rot, and their numbers.
fn graticule(area: &Area, middle: (i32, i32), half: Half) -> Result<(), Error> {
    let thin = WHITE.mix(0.55).stroke_width(1);
    let at = |radius: f64, turns: f64| {
        let (sin, cos) = (TAU * turns).sin_cos();
        let r = f64::from(RADIUS) * radius;
        (middle.0 + (r * cos).round() as i32, middle.1 - (r * sin).round() as i32)
    };
    for spoke in 0..8 {
        let turns = f64::from(spoke) / 8.0;
        area.draw(&PathElement::new(vec![at(lambert(10.0), turns), at(1.0, turns)], thin)).map_err(drawing)?;
        let (sin, cos) = (TAU * turns).sin_cos();
        let h = if cos > 0.3 {
            HPos::Left
        } else if cos < -0.3 {
            HPos::Right
        } else {
            HPos::Center
        };
        let v = if sin > FRAC_1_SQRT_2 + 0.1 {
            VPos::Bottom
        } else if sin < -FRAC_1_SQRT_2 - 0.1 {
            VPos::Top
        } else {
            VPos::Center
        };
        let place = at(1.0 + 12.0 / f64::from(RADIUS), turns);
        area.draw_text(&format!("{}°", 45 * spoke), &anchored(TICK, INK, h, v), place).map_err(drawing)?;
    }
    for degrees in [30, 60] {
        circle(area, middle, lambert(f64::from(degrees)), thin)?;
    }
    circle(area, middle, 1.0, INK.stroke_width(2))?;
    for degrees in [0, 30, 60, 90] {
        // beside the spoke, on a plate that keeps them readable on any colour
        let (x, y) =
            if degrees == 90 { at(lambert(82.0), 1.0 / 16.0) } else { at(lambert(f64::from(degrees)), 1.0 / 16.0) };
        let words = format!("{}°", half.tilt(degrees));
        let style = anchored(TICK, INK, HPos::Center, VPos::Center);
        let (width, height) = area.estimate_text_size(&words, &style).map_err(drawing)?;
        let (w, h) = (width as i32 / 2 + 4, height as i32 / 2 + 1);
        area.draw(&Rectangle::new([(x - w, y - h), (x + w, y + h)], WHITE.mix(0.75).filled())).map_err(drawing)?;
        area.draw_text(&words, &style, (x, y)).map_err(drawing)?;
    }
    Ok(())
}

fn circle(area: &Area, middle: (i32, i32), radius: f64, style: ShapeStyle) -> Result<(), Error> {
    let r = f64::from(RADIUS) * radius;
    let point = |i: i32| {
        let (sin, cos) = (PI * f64::from(i) / 90.0).sin_cos();
        (middle.0 + (r * cos).round() as i32, middle.1 - (r * sin).round() as i32)
    };
    area.draw(&PathElement::new((0..=180).map(point).collect::<Vec<_>>(), style)).map_err(drawing)
}

/// Colour of a patch with `count` of at most `largest` images.
fn color(count: usize, largest: usize) -> [u8; 3] {
    if count == 0 {
        return NOBODY;
    }
    let place = count as f64 / largest as f64 * (VIRIDIS.len() - 1) as f64;
    let low = (place as usize).min(VIRIDIS.len() - 2);
    let part = place - low as f64;
    std::array::from_fn(|i| {
        let [from, to] = [VIRIDIS[low][i], VIRIDIS[low + 1][i]].map(f64::from);
        (from + part * (to - from)).round() as u8
    })
}

/// A bar of the colours with whole numbers of images, and a mark where all patches would be if all were alike.
fn color_bar(area: &Area, (x, y): (i32, i32), height: i32, largest: usize, even: f64) -> Result<(), Error> {
    let width = 30;
    let pixels = (0..height).rev().flat_map(|row| {
        let count = row as usize * (largest + 1) / height as usize;
        std::iter::repeat_n(color(count, largest), width as usize).flatten()
    });
    blit(area, (x, y), (width as u32, height as u32), pixels.collect())?;
    area.draw(&Rectangle::new([(x, y), (x + width, y + height)], INK)).map_err(drawing)?;
    // a count has its place in the middle of its stretch of the bar
    let place = |count: f64| y + height - (f64::from(height) * (count + 0.5) / (largest as f64 + 1.0)).round() as i32;
    let step = (style::round_down(largest as f64 / 4.0) as usize).max(1);
    let marked = place(even);
    for count in (0..=largest).step_by(step) {
        if (place(count as f64) - marked).abs() > 30 {
            let style = anchored(TICK, INK, HPos::Left, VPos::Center);
            area.draw_text(&count.to_string(), &style, (x + width + 12, place(count as f64))).map_err(drawing)?;
        }
    }
    let mark = vec![(x - 6, marked), (x + width + 6, marked)];
    area.draw(&PathElement::new(mark, INK.stroke_width(3))).map_err(drawing)?;
    let words = format!("{even:.1} if even");
    area.draw_text(&words, &anchored(TICK, INK, HPos::Left, VPos::Center), (x + width + 12, marked))
        .map_err(drawing)?;
    let above = anchored(LABEL, INK, HPos::Left, VPos::Bottom);
    area.draw_text("images a patch", &above, (x - 20, y - 24)).map_err(drawing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::Layout;
    use crate::orient::direction_grid;

    #[test]
    fn every_view_is_counted_once() {
        let views: Vec<_> =
            direction_grid(777, Layout::Spiral, false).iter().map(|q| q.inverse() * Vector3::z()).collect();
        let partition = Partition::new(40, true);
        let total = |half: Half| half.counts(&partition, &views).iter().sum::<usize>();
        assert_eq!(total(Half::Upper) + total(Half::Lower), 777);
        assert_eq!(total(Half::Both), 777);
        // a view from below with the azimuth of x lies where x is on the right
        let below = [Vector3::new(0.6, 0.0, -0.8)];
        let cell = partition.cell_of(&Vector3::new(0.6, 0.0, 0.8));
        assert_eq!(Half::Lower.counts(&partition, &below)[cell], 1);
        // folded, it counts as its opposite
        let opposite = partition.cell_of(&Vector3::new(-0.6, 0.0, 0.8));
        assert_eq!(Half::Both.counts(&partition, &below)[opposite], 1);
    }
}
