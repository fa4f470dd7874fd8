//! Figures beside and below each other as one.

use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::style::{self, INK, TITLE, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};

/// Options of [`panels`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PanelsOptions {
    pub title: String,
    /// Whether panels are called a, b, c, …; default true.
    pub letters: bool,
}

impl Default for PanelsOptions {
    fn default() -> Self {
        Self { title: String::new(), letters: true }
    }
}

/// Room between panels, and of a letter from its corner \[pixels\].
const GAP: u32 = 30;
/// Largest edge of a figure \[pixels\].
const LARGEST: u32 = 16_000;

/// Rows of figures as one figure. Columns are as wide as their widest panel and rows as high as their highest, and panels lie at the upper left of their
/// places: the axes of figures of one size are in line.
///
/// # Errors
/// If there is no figure, or they are more than 16 000 pixels wide or high together.
pub fn panels(rows: &[Vec<Figure>], options: &PanelsOptions) -> Result<Figure, Error> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if columns == 0 {
        return Err(Error::Empty("panels are rows of figures"));
    }
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|figure| figure.size().0).max();
    let widths: Vec<u32> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    let heights: Vec<u32> =
        rows.iter().map(|row| row.iter().map(|figure| figure.size().1).max().unwrap_or(0)).collect();
    let strip = if options.title.is_empty() { 0 } else { TITLE_STRIP };
    let starts = |sizes: &[u32], first: u64| -> Vec<u64> {
        sizes.iter().scan(first, |at, &size| Some(std::mem::replace(at, *at + u64::from(size + GAP)))).collect()
    };
    let (left, top) = (starts(&widths, 0), starts(&heights, strip.into()));
    let end = |starts: &[u64], sizes: &[u32]| starts[starts.len() - 1] + u64::from(sizes[sizes.len() - 1]);
    let size = [end(&left, &widths), end(&top, &heights)];
    if let Some(&value) = size.iter().find(|&&edge| edge > LARGEST.into()) {
        let requirement = "at most 16000 pixels: take fewer panels";
        return Err(Error::OutOfRange { name: "the width or height of all panels", value: value as f64, requirement });
    }
    let mut under = Vec::new();
    for (row, &y) in rows.iter().zip(&top) {
        under.extend(row.iter().zip(&left).map(|(figure, &x)| ((x as u32, y as u32), figure)));
    }
    style::render_over((size[0] as u32, size[1] as u32), &options.title, &under, |area| {
        if !options.letters {
            return Ok(());
        }
        for (letter, ((x, y), _)) in ('a'..='z').zip(&under) {
            let style = anchored(TITLE + 8, INK, HPos::Left, VPos::Center);
            let place = ((x + GAP) as i32, (y + TITLE_STRIP / 2) as i32 + 4 - strip as i32);
            area.draw_text(&letter.to_string(), &style, place).map_err(drawing)?;
        }
        Ok(())
    })
}
