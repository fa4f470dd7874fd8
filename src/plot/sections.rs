//! Slices through a density with the atoms that lie in them.

use ndarray::{Array2, Axis as Direction, s};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::atoms::elements_of;
use super::gray::{blit, color_bar, gray, not_finite, percentiles, scale_bar};
use super::style::{self, INK, LABEL, LEGEND_ROW, Symbol, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};
use crate::structure::{Atom, Structure};
use crate::volume::Volume;

/// Options of [`atoms_in_density`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SectionsOptions {
    /// The axis that the slices lie across; default z.
    pub axis: SectionAxis,
    /// How many slices; default 6.
    pub planes: usize,
    /// Spread the slices evenly through the particle; default false: they go where most atoms lie.
    pub even: bool,
    /// Heights of the slices from the centre \[Å\], in place of `planes`.
    pub at: Vec<f64>,
    /// Title; default: what is shown.
    pub title: String,
}

impl Default for SectionsOptions {
    fn default() -> Self {
        Self { axis: SectionAxis::Z, planes: 6, even: false, at: Vec::new(), title: String::new() }
    }
}

/// An axis of the density.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionAxis {
    X,
    Y,
    Z,
}

impl SectionAxis {
    /// Coordinates that run right, up and across the slices.
    fn coordinates(self) -> [usize; 3] {
        match self {
            Self::X => [1, 2, 0],
            Self::Y => [0, 2, 1],
            Self::Z => [0, 1, 2],
        }
    }
}

const NAMES: [&str; 3] = ["x", "y", "z"];
/// Most slices.
const MOST: usize = 24;
const WIDTH: u32 = 1600;
const GAP: u32 = 16;
const CAPTION: u32 = 48;
const BAR: u32 = 150;
/// Radius of the ring about an atom \[Å\].
const RING: f64 = 0.6;
/// Free space around the outermost atoms \[Å\].
const MARGIN: f64 = 2.0;
/// Least distance of two slices through layers of atoms, and the standard deviation of the heights of atoms in a layer \[Å\].
const APART: f64 = 1.2;
const SPREAD: f64 = 0.3;
/// An atom farther from a slice than this does not show in it \[Å\].
const FARTHEST: f64 = 1.0;

/// Slices through a density, all on one grey scale, with a ring, coloured by element, about each atom that lies within half the distance between
/// slices, at most 1 Å.
///
/// # Errors
/// If no atom lies in the density, a value is not finite, or an option is out of its range.
pub fn atoms_in_density(volume: &Volume, atoms: &Structure, options: &SectionsOptions) -> Result<Figure, Error> {
    if volume.size() < 2 {
        return Err(Error::Empty("the volume has fewer than two voxels along an edge"));
    }
    if volume.data().iter().any(|value| !value.is_finite()) {
        return Err(not_finite("the volume"));
    }
    let half = volume.edge() / 2.0;
    let inside = |atom: &&Atom| atom.position.iter().all(|x| x.abs() < half);
    let shown: Vec<Atom> = atoms.atoms().iter().filter(inside).copied().collect();
    if shown.is_empty() {
        return Err(Error::Empty("no atom lies within the density; are both of one reconstruction?"));
    }
    let axes = options.axis.coordinates();
    let heights: Vec<f64> = shown.iter().map(|atom| atom.position[axes[2]]).collect();
    let (planes, reach) = planes(&heights, half, options)?;
    let sections: Vec<Section> = planes.iter().map(|&height| section(volume, &shown, axes, height, reach)).collect();
    let title = match options.title.as_str() {
        "" => {
            let [right, up, across] = axes.map(|axis| NAMES[axis]);
            let within = heights.iter().filter(|height| planes.iter().any(|plane| (*height - plane).abs() <= reach));
            let part = format!("{} of {}", within.count(), heights.len());
            format!("Slices across {across} with {part} atoms within ±{reach:.1} Å; {right} to the right, {up} up")
        }
        given => given.to_owned(),
    };
    draw(&sections, &shown, volume, axes, &title)
}

/// One slice.
struct Section {
    height: f64,
    /// `[up][right]`.
    density: Array2<f32>,
    atoms: Vec<Atom>,
}

/// Heights of the slices in ascending order, and how far from one an atom may be.
fn planes(heights: &[f64], half: f64, options: &SectionsOptions) -> Result<(Vec<f64>, f64), Error> {
    let refuse = |name, value, requirement| Err(Error::OutOfRange { name, value, requirement });
    let count = if options.at.is_empty() { options.planes } else { options.at.len() };
    if !(1..=MOST).contains(&count) {
        return refuse("the number of planes", count as f64, "from 1 to 24");
    }
    if let Some(&value) = options.at.iter().find(|value| !value.is_finite() || value.abs() >= half) {
        return refuse("at", value, "a height [Å] inside the density");
    }
    let (low, high) = heights.iter().fold((f64::MAX, f64::MIN), |(low, high), &h| (low.min(h), high.max(h)));
    let step = (high - low) / count as f64;
    let mut planes = match (options.at.is_empty(), options.even) {
        (false, _) => options.at.clone(),
        (true, true) => (0..count).map(|i| low + (i as f64 + 0.5) * step).collect(),
        (true, false) => layers(heights, count, (low, high)),
    };
    planes.sort_by(f64::total_cmp);
    let nearest = planes.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0).fold(f64::MAX, f64::min);
    Ok((planes, (nearest / 2.0).min(FARTHEST)))
}

/// Heights where most atoms lie, at most `count`, the fullest first.
fn layers(heights: &[f64], count: usize, (low, high): (f64, f64)) -> Vec<f64> {
    let crowd = |at: f64| heights.iter().map(|h| (-0.5 * ((h - at) / SPREAD).powi(2)).exp()).sum::<f64>();
    let steps = ((high - low) / 0.05).ceil() as usize;
    let grid: Vec<f64> = (0..=steps).map(|i| low + (high - low) * i as f64 / steps.max(1) as f64).collect();
    let crowds: Vec<f64> = grid.iter().map(|&at| crowd(at)).collect();
    let is_peak = |i: usize| (i == 0 || crowds[i] >= crowds[i - 1]) && (i == steps || crowds[i] > crowds[i + 1]);
    let mut peaks: Vec<usize> = (0..=steps).filter(|&i| is_peak(i)).collect();
    peaks.sort_by(|&a, &b| crowds[b].total_cmp(&crowds[a]));
    let mut chosen: Vec<f64> = Vec::new();
    for peak in peaks {
        if chosen.len() < count && chosen.iter().all(|other| (other - grid[peak]).abs() >= APART) {
            chosen.push(grid[peak]);
        }
    }
    chosen
}

fn section(volume: &Volume, atoms: &[Atom], axes: [usize; 3], height: f64, reach: f64) -> Section {
    let place = (height / volume.pixel_size() + (volume.size() / 2) as f64).clamp(0.0, (volume.size() - 1) as f64);
    let (below, part) = (place.floor() as usize, place.fract() as f32);
    let above = (below + 1).min(volume.size() - 1);
    // volumes are [z][y][x]
    let plane = |index: usize| volume.data().index_axis(Direction(2 - axes[2]), index);
    let density = &plane(below) * (1.0 - part) + &plane(above) * part;
    let near = |atom: &&Atom| (atom.position[axes[2]] - height).abs() <= reach;
    Section { height, density, atoms: atoms.iter().filter(near).copied().collect() }
}

fn draw(sections: &[Section], atoms: &[Atom], volume: &Volume, axes: [usize; 3], title: &str) -> Result<Figure, Error> {
    let elements = elements_of(atoms.iter());
    let across = |atom: &Atom| atom.position[axes[0]].abs().max(atom.position[axes[1]].abs());
    let voxel = volume.pixel_size();
    let center = volume.size() / 2;
    let wide = atoms.iter().map(across).fold(0.0, f64::max) + MARGIN;
    let half = ((wide / voxel).ceil() as usize).clamp(1, center.min(volume.size() - 1 - center).max(1));
    let (from, to) = (center - half, (center + half + 1).min(volume.size()));
    let part = |section: &Section| section.density.slice(s![from..to, from..to]).to_owned();
    let values: Vec<f32> = sections.iter().flat_map(|section| part(section).into_iter()).collect();
    let range = percentiles(values, 0.01, 0.998).ok_or(not_finite("the volume"))?;

    let columns = match sections.len() as u32 {
        count @ 1..=3 => count,
        4 => 2,
        5..=9 => 3,
        _ => 4,
    };
    let side = ((WIDTH - BAR - GAP) / columns - GAP).min(720);
    let rows = (sections.len() as u32).div_ceil(columns);
    let size = (WIDTH, TITLE_STRIP + LEGEND_ROW + rows * (CAPTION + side) + GAP);
    let items: Vec<_> = elements
        .iter()
        .rev()
        .map(|&element| (Symbol::Ring, style::element_color(element, &elements), element.to_string()))
        .collect();
    // edges of voxels, not their centres
    let edge = (to - from) as f64 * voxel;
    let (start, scale) = ((from as f64 - center as f64 - 0.5) * voxel, f64::from(side) / edge);
    let stroke = (0.13 * scale).clamp(2.0, 4.0) as u32;
    let margin = (WIDTH - BAR - columns * (side + GAP)) / 2;
    style::render(size, title, |area| {
        let below = style::legend(area, &items)?;
        for (i, section) in sections.iter().enumerate() {
            let x = (margin + i as u32 % columns * (side + GAP)) as i32;
            let y = (i as u32 / columns * (CAPTION + side) + CAPTION) as i32;
            blit(&below, (x, y), (side, side), gray(part(section).view(), (side, side), range, true))?;
            let tile = below.clone().shrink((x as u32, y as u32), (side, side));
            for atom in &section.atoms {
                let [right, up] = [axes[0], axes[1]].map(|axis| (atom.position[axis] - start) * scale);
                let at = (right.round() as i32, side as i32 - up.round() as i32);
                let color = style::element_color(atom.element, &elements);
                tile.draw(&Circle::new(at, (RING * scale) as i32, color.stroke_width(stroke))).map_err(drawing)?;
            }
            if i == 0 {
                scale_bar(&below, (x, y), side, edge)?;
            }
            let height = format!("{:.1}", section.height).replace('-', "−");
            let name = format!("{} = {height} Å: {} atoms", NAMES[axes[2]], section.atoms.len());
            let style = anchored(LABEL, INK, HPos::Center, VPos::Bottom);
            below.draw_text(&name, &style, (x + side as i32 / 2, y - 6)).map_err(drawing)?;
        }
        let bar = ((margin + columns * (side + GAP)) as i32 + 8, CAPTION as i32);
        color_bar(&below, bar, side, range, |level| [(255.0 * level) as u8; 3])?;
        let above = (bar.0, bar.1 - 6);
        below.draw_text("density", &anchored(LABEL, INK, HPos::Left, VPos::Bottom), above).map_err(drawing)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_go_through_the_fullest_layers() {
        // 30 atoms at −2 Å, 10 at 0, 20 at 2, and single ones above
        let heights: Vec<f64> =
            [(30, -2.0), (10, 0.0), (20, 2.0), (1, 4.0), (1, 6.0)].iter().flat_map(|&(n, h)| vec![h; n]).collect();
        let two = SectionsOptions { planes: 2, ..SectionsOptions::default() };
        let (planes, reach) = planes(&heights, 10.0, &two).unwrap();
        assert!((planes[0] + 2.0).abs() < 0.03 && (planes[1] - 2.0).abs() < 0.03, "{planes:?}");
        assert_eq!(reach, 1.0);
    }

    #[test]
    fn even_slices_divide_the_particle() {
        let even = SectionsOptions { planes: 4, even: true, ..SectionsOptions::default() };
        let (planes, reach) = planes(&[-3.0, 1.0, 3.0], 10.0, &even).unwrap();
        assert_eq!(planes, [-2.25, -0.75, 0.75, 2.25]);
        assert_eq!(reach, 0.75);
    }
}
