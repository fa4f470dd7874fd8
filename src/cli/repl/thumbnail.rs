//! Pictures in a terminal: each character is two pixels, one above the other, the upper half block in two colours.

use std::fmt::Write;

use ndarray::{ArrayView2, Axis};
use rhai::Dynamic;

use crate::images::Images;
use crate::plot::Figure;
use crate::volume::Volume;

/// Rows of characters that a picture takes at most.
const MOST_ROWS: usize = 40;
/// Columns of characters that a picture takes at most.
const MOST_COLUMNS: usize = 160;
/// Images of a stack are at least so wide, in characters.
const LEAST_WIDE: usize = 24;
/// And at most.
const MOST_WIDE: usize = 48;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    pub columns: usize,
    pub rows: usize,
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    None,
    /// The 256 of xterm.
    Palette,
    True,
}

impl Color {
    /// Of the terminal that results go to.
    pub fn of_terminal() -> Self {
        let says = std::env::var("COLORTERM").unwrap_or_default();
        match says.as_str() {
            _ if !super::super::output::color_of_results() => Self::None,
            "truecolor" | "24bit" => Self::True,
            _ => Self::Palette,
        }
    }
}

/// A small picture, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

/// The picture of a figure, of the first images of a stack, or of the central slices of a density, drawn for `screen`;
/// `None` for other values, and where there are no colours.
pub fn drawn(value: &Dynamic, screen: Screen) -> Option<String> {
    if screen.color == Color::None {
        return None;
    }
    let columns = screen.columns.min(MOST_COLUMNS);
    let rows = screen.rows.saturating_sub(3).clamp(4, MOST_ROWS);
    let picture = if let Some(figure) = value.read_lock::<Figure>() {
        of_figure(&figure, columns, rows)
    } else if let Some(images) = value.read_lock::<Images>() {
        of_grey(images.data().axis_iter(Axis(0)), columns, rows)
    } else {
        let volume = value.read_lock::<Volume>()?;
        let middle = volume.size() / 2;
        let slices = (0..3).map(|axis| volume.data().index_axis(Axis(axis), middle));
        of_grey(slices, columns, rows)
    };
    Some(written(&picture?, screen.color))
}

fn of_figure(figure: &Figure, columns: usize, rows: usize) -> Option<Picture> {
    let (width, height) = (figure.size().0 as usize, figure.size().1 as usize);
    let scale = (columns as f64 / width as f64).min(2.0 * rows as f64 / height as f64).min(1.0);
    let (to_width, to_height) = ((width as f64 * scale) as usize, (height as f64 * scale) as usize / 2 * 2);
    if to_width == 0 || to_height == 0 {
        return None;
    }
    let pixels = figure.pixels();
    let mean = |y: usize, x: usize| {
        let ((y0, y1), (x0, x1)) = (share(y, height, to_height), share(x, width, to_width));
        let mut sum = [0_usize; 3];
        for y in y0..y1 {
            for x in x0..x1 {
                for (sum, value) in sum.iter_mut().zip(&pixels[3 * (y * width + x)..]) {
                    *sum += usize::from(*value);
                }
            }
        }
        sum.map(|sum| (sum / ((y1 - y0) * (x1 - x0))) as u8)
    };
    let pixels = (0..to_height).flat_map(|y| (0..to_width).map(move |x| (y, x))).map(|(y, x)| mean(y, x)).collect();
    Some(Picture { width: to_width, pixels })
}

/// As many square images as fit side by side, on one grey scale.
fn of_grey<'a>(images: impl Iterator<Item = ArrayView2<'a, f32>>, columns: usize, rows: usize) -> Option<Picture> {
    let images: Vec<_> = images.take((columns / (LEAST_WIDE + 1)).max(1)).collect();
    let size = images.first()?.nrows();
    let to = (columns / images.len()).saturating_sub(1).min(MOST_WIDE).min(2 * rows).min(size) / 2 * 2;
    if to == 0 {
        return None;
    }
    let small: Vec<Vec<f32>> = images.iter().map(|image| shrunk(image, to)).collect();
    let mut sorted: Vec<f32> = small.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    // a few bright atoms must not leave the rest black
    let (low, high) = (*sorted.get(sorted.len() / 200)?, sorted[sorted.len() - 1 - sorted.len() / 200]);
    let grey = |value: f32| [(255.0 * (value - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 255.0) as u8; 3];
    let mut pixels = Vec::new();
    for y in 0..to {
        for (i, image) in small.iter().enumerate() {
            // a black column between images
            pixels.extend((i > 0).then_some([0; 3]));
            pixels.extend(image[y * to..(y + 1) * to].iter().map(|&value| grey(value)));
        }
    }
    Some(Picture { width: images.len() * (to + 1) - 1, pixels })
}

/// A square image with `to` pixels along an edge, each the mean of those it covers.
fn shrunk(image: &ArrayView2<f32>, to: usize) -> Vec<f32> {
    let size = image.nrows();
    let mean = |(y, x): (usize, usize)| {
        let ((y0, y1), (x0, x1)) = (share(y, size, to), share(x, size, to));
        let sum: f32 = (y0..y1).flat_map(|y| (x0..x1).map(move |x| (y, x))).map(|place| image[place]).sum();
        sum / ((y1 - y0) * (x1 - x0)) as f32
    };
    (0..to).flat_map(|y| (0..to).map(move |x| (y, x))).map(mean).collect()
}

/// The pixels of `from` that pixel `i` of `to` covers.
fn share(i: usize, from: usize, to: usize) -> (usize, usize) {
    let start = i * from / to;
    (start, ((i + 1) * from / to).max(start + 1))
}

/// The characters of a picture, in lines.
fn written(picture: &Picture, color: Color) -> String {
    let mut text = String::new();
    for rows in picture.pixels.chunks(2 * picture.width) {
        let (upper, lower) = rows.split_at(picture.width.min(rows.len()));
        let mut before = None;
        for (&above, &below) in upper.iter().zip(lower) {
            if before != Some((above, below)) {
                // writing to a string cannot fail
                let _ = write!(text, "\u{1b}[38;{}m\u{1b}[48;{}m", code(above, color), code(below, color));
            }
            before = Some((above, below));
            text.push('▀');
        }
        text.push_str("\u{1b}[0m\n");
    }
    text.pop();
    text
}

/// A colour in the terminal's words.
fn code([red, green, blue]: [u8; 3], color: Color) -> String {
    if color == Color::True {
        return format!("2;{red};{green};{blue}");
    }
    let level = |value: u8| (usize::from(value) * 5 + 127) / 255;
    let number = if red == green && green == blue && (8..=238).contains(&red) {
        // the ramp of 24 greys, from 8 in steps of 10
        232 + (usize::from(red) - 8 + 5) / 10
    } else {
        16 + 36 * level(red) + 6 * level(green) + level(blue)
    };
    format!("5;{}", number.min(255))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    const SCREEN: Screen = Screen { columns: 80, rows: 24, color: Color::True };

    fn stack() -> Dynamic {
        let data = Array3::from_shape_fn((5, 64, 64), |(_, y, _)| if y < 32 { 0.0 } else { 1.0 });
        Dynamic::from(Images::new(data, 0.25))
    }

    #[test]
    fn a_stack_is_drawn_as_a_strip_that_fits() {
        let text = drawn(&stack(), SCREEN).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12, "{text}");
        assert!(lines.iter().all(|line| line.matches('▀').count() <= 80), "{text}");
        assert!(lines[0].contains("38;2;0;0;0m") && lines[11].contains("48;2;255;255;255m"), "{text:?}");
    }

    #[test]
    fn colours_fit_the_terminal() {
        assert_eq!(drawn(&stack(), Screen { color: Color::None, ..SCREEN }), None);
        let text = drawn(&stack(), Screen { color: Color::Palette, ..SCREEN }).unwrap();
        assert!(text.contains("38;5;16m") && text.contains("48;5;231m"), "{text:?}");
        assert_eq!(code([128, 128, 128], Color::Palette), "5;244");
        assert_eq!(code([255, 0, 0], Color::Palette), "5;196");
    }

    #[test]
    fn small_screens_and_empty_stacks_are_survived() {
        assert_eq!(drawn(&Dynamic::from(Images::new(Array3::zeros((0, 8, 8)), 1.0)), SCREEN), None);
        for columns in [0, 1, 3] {
            drawn(&stack(), Screen { columns, rows: 1, color: Color::True });
        }
        assert_eq!(drawn(&Dynamic::from(1_i64), SCREEN), None);
        let nan = Images::new(Array3::from_elem((1, 8, 8), f32::NAN), 1.0);
        assert_eq!(drawn(&Dynamic::from(nan), SCREEN), None);
    }
}
