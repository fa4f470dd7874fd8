//! Images beside what the density says they should show.

use ndarray::{Array2, Axis};
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::gray::{blit, gray, not_finite, percentiles, scale_bar, short};
use super::style::{self, Area, INK, LABEL, NOTE, TICK, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};
use crate::orient::{ReprojectOptions, Reprojector, Stack, correlations};
use crate::pose::Poses;
use crate::task::Task;
use crate::volume::Volume;

/// Options of [`reprojections`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReprojectionsOptions {
    /// How many images, from the best to the worst; default 5.
    pub count: usize,
    /// Resolution of the comparison \[Å\]; default 2.0, or the finest that images and density carry if that is coarser.
    pub low_pass: Option<f64>,
    /// Diameter of the disc in which image and projection are compared \[Å\]; default: the particles' mask, or all of an image.
    pub diameter: Option<f64>,
    /// Title; default: what is compared.
    pub title: String,
}

impl Default for ReprojectionsOptions {
    fn default() -> Self {
        Self { count: 5, low_pass: None, diameter: None, title: String::new() }
    }
}

const WIDTH: u32 = 1600;
/// Room for what is said of each image \[pixels\].
const SIDE: u32 = 260;
const GAP: u32 = 14;
/// Room for the heads of the columns and for the grey scales \[pixels\].
const HEADS: u32 = 50;
const SCALES: u32 = 56;
/// Most images in one figure.
const MOST: usize = 20;
const COLUMNS: [&str; 4] = ["image", "low-passed", "reprojection", "difference"];

/// One row of the figure.
struct Shown {
    words: [String; 4],
    /// As [`COLUMNS`].
    pictures: [Array2<f32>; 4],
}

/// Some images, from the best score to the worst: as it is, low-passed, the projection of `volume` at its pose on the image's scale, and the
/// difference of the last two. The first column has a grey scale of its own, the others share one. Poses that nothing has scored are ranked by
/// their correlation.
pub fn reprojections(
    stack: &Stack,
    volume: &Volume,
    poses: &Poses,
    options: &ReprojectionsOptions,
    task: &Task,
) -> Result<Figure, Error> {
    let stack = &with_diameter(*stack, options.diameter)?;
    if stack.is_empty() || options.count == 0 {
        return Err(Error::Empty("no images"));
    }
    let compare = ReprojectOptions { low_pass: options.low_pass };
    let reprojector = Reprojector::new(stack, volume, poses, &compare)?;
    let is_scored = poses.scores().iter().any(|score| *score != poses.scores()[0]);
    let (kind, ranked_by) = match is_scored {
        true => ("score", poses.scores().to_vec()),
        false => ("correlation", correlations(stack, volume, poses, &compare, task)?),
    };
    let chosen = by_quantile(&ranked_by, options.count.min(MOST));
    let rows: Vec<Shown> = chosen
        .into_iter()
        .map(|(index, rank)| {
            let image = stack.data.index_axis(Axis(0), index);
            let found = reprojector.compare(image, &poses.as_slice()[index]);
            let score = if is_scored { format!("score {}", short(ranked_by[index], 100.0)) } else { String::new() };
            let words = [format!("image {index}"), rank, format!("CC {}", short(found.correlation, 0.5)), score];
            let difference = &found.image - &found.projection;
            Shown { words, pictures: [image.to_owned(), found.image, found.projection, difference] }
        })
        .collect();
    let title = match options.title.as_str() {
        "" => format!("Images and density to {} Å, by {kind}", short(reprojector.low_pass(), 1.0)),
        given => given.to_owned(),
    };
    draw(&rows, stack, &title)
}

fn with_diameter(stack: Stack, diameter: Option<f64>) -> Result<Stack, Error> {
    match diameter {
        None => Ok(stack),
        Some(value) if value.is_finite() && value >= 4.0 * stack.pixel_size => {
            Ok(Stack { radius: value / 2.0, ..stack })
        }
        Some(value) => {
            Err(Error::OutOfRange { name: "diameter", value, requirement: "a number of Å, at least four pixels" })
        }
    }
}

/// Indices of images at even steps of rank, from the best, with the words for it.
pub(super) fn by_quantile(values: &[f64], count: usize) -> Vec<(usize, String)> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let count = count.min(order.len());
    let last = order.len() - 1;
    (0..count)
        .map(|i| {
            let part = if count == 1 { 0.0 } else { i as f64 / (count - 1) as f64 };
            let rank = (part * last as f64).round() as usize;
            let place = match (i, count) {
                (0, _) => "best".to_owned(),
                (i, count) if i + 1 == count => "worst".to_owned(),
                (i, count) if 2 * i + 1 == count => "median".to_owned(),
                _ => format!("rank {}", rank + 1),
            };
            (order[rank], format!("{place} of {}", order.len()))
        })
        .collect()
}

fn draw(rows: &[Shown], stack: &Stack, title: &str) -> Result<Figure, Error> {
    let scale = |columns: std::ops::Range<usize>, low, high| {
        let values = rows.iter().flat_map(|row| row.pictures[columns.clone()].iter().flatten().copied());
        percentiles(values.collect(), low, high).ok_or(not_finite("an image or the density"))
    };
    let (own, shared) = (scale(0..1, 0.005, 0.995)?, scale(1..4, 0.001, 0.999)?);
    let tile = (WIDTH - SIDE) / 4 - GAP;
    let height = TITLE_STRIP + HEADS + rows.len() as u32 * (tile + GAP) + SCALES;
    let edge = stack.data.dim().1 as f64 * stack.pixel_size;
    style::render((WIDTH, height), title, |area| {
        let left = |column: usize| (SIDE + column as u32 * (tile + GAP)) as i32;
        for (column, head) in COLUMNS.iter().enumerate() {
            let place = (left(column) + tile as i32 / 2, HEADS as i32 / 2);
            area.draw_text(head, &anchored(LABEL, INK, HPos::Center, VPos::Center), place).map_err(drawing)?;
        }
        for (i, row) in rows.iter().enumerate() {
            let top = (HEADS + i as u32 * (tile + GAP)) as i32;
            describe(area, &row.words, top, tile)?;
            for (column, picture) in row.pictures.iter().enumerate() {
                let range = if column == 0 { own } else { shared };
                let pixels = gray(picture.view(), (tile, tile), range, false);
                blit(area, (left(column), top), (tile, tile), pixels)?;
            }
            if i == 0 {
                scale_bar(area, (left(0), top), tile, edge)?;
            }
        }
        let say = |(low, high): (f32, f32)| {
            let [low, high] = [low, high].map(|value| short(f64::from(value), f64::from(high - low)));
            format!("black {low}, white {high}")
        };
        let bottom = (HEADS + rows.len() as u32 * (tile + GAP)) as i32 + SCALES as i32 / 2 - 6;
        let style = anchored(TICK, INK, HPos::Center, VPos::Center);
        area.draw_text(&say(own), &style, (left(0) + tile as i32 / 2, bottom)).map_err(drawing)?;
        let words = format!("all three: {}", say(shared));
        area.draw_text(&words, &style, (left(2) + tile as i32 / 2, bottom)).map_err(drawing)
    })
}

/// Writes what is said of an image to the left of its row.
pub(super) fn describe(area: &Area, words: &[String; 4], top: i32, tile: u32) -> Result<(), Error> {
    for (line, words) in words.iter().enumerate() {
        let place = (24, top + tile as i32 / 2 + 42 * (line as i32 - 1) - 21);
        area.draw_text(words, &anchored(NOTE, INK, HPos::Left, VPos::Center), place).map_err(drawing)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_chosen_from_the_best_to_the_worst() {
        let named = |values: &[f64], count| by_quantile(values, count);
        let three = named(&[0.1, 0.9, 0.5, 0.3, 0.7], 3);
        assert_eq!(three, [(1, "best of 5".to_owned()), (2, "median of 5".to_owned()), (0, "worst of 5".to_owned())]);
        let words: Vec<String> = named(&[5.0, 4.0, 3.0, 2.0, 1.0], 5).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["best of 5", "rank 2 of 5", "median of 5", "rank 4 of 5", "worst of 5"]);
        assert_eq!(named(&[1.0, 2.0], 9).len(), 2);
        assert_eq!(named(&[1.0], 3), [(0, "best of 1".to_owned())]);
    }
}
