//! What all figures have in common: canvas, font, colours, ticks.

use std::sync::{Arc, Once};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{Canvas, Shapes};
use super::scale::Scale;
use super::{Error, Figure};
use crate::structure::Element;

static FONT: &[u8] = include_bytes!("../../stdlib/fonts/DejaVuSans-subset.ttf");
const FAMILY: &str = "pedesis";

/// Heights of letters \[pixels\].
pub(super) const TITLE: u32 = 40;
pub(super) const LABEL: u32 = 30;
pub(super) const TICK: u32 = 26;
pub(super) const NOTE: u32 = 26;

/// Height of the strip with the title \[pixels\].
pub(super) const TITLE_STRIP: u32 = 70;

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const FAINT: RGBColor = RGBColor(160, 160, 160);
pub(super) const GRID: RGBColor = RGBColor(230, 230, 230);
pub(super) const ALARM: RGBColor = RGBColor(213, 0, 50);

/// Okabe and Ito's colours, the ones that stand out on white first.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 130, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

pub(super) type Area<'a> = DrawingArea<Canvas<'a>, Shift>;

/// Whatever plotters has to complain about.
pub(super) fn drawing(error: impl std::fmt::Display) -> Error {
    Error::Drawing(error.to_string())
}

/// The n-th colour.
pub(super) fn color(n: usize) -> RGBColor {
    COLORS[n % COLORS.len()]
}

/// Colour of an element among those of a figure: the lightest is orange, the heaviest blue.
pub(super) fn element_color(element: Element, all: &[Element]) -> RGBColor {
    let heavier = all.iter().filter(|other| other.atomic_number() > element.atomic_number()).count();
    color(heavier)
}

/// Viridis, from dark (0) to light (1).
pub(super) fn viridis(level: f32) -> [u8; 3] {
    let RGBColor(red, green, blue) = ViridisRGB.get_color(level);
    [red, green, blue]
}

/// From blue (0) over white to vermilion (1).
pub(super) fn diverging(level: f32) -> [u8; 3] {
    let end = if level < 0.5 { [0.0, 90.0, 170.0] } else { [200.0, 70.0, 0.0f32] };
    let part = (2.0 * level - 1.0).abs();
    end.map(|channel| (255.0 + (channel - 255.0) * part).round() as u8)
}

/// Text in the figures' font.
pub(super) fn text(size: u32, color: RGBColor) -> TextStyle<'static> {
    (FAMILY, size).into_font().color(&color)
}

/// The same, placed by a point of it.
pub(super) fn anchored(size: u32, color: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    text(size, color).pos(Pos::new(h, v))
}

/// Draws a figure: a white canvas, the title in a strip on top, `draw` in what is left below.
pub(super) fn render(
    size: (u32, u32),
    title: &str,
    draw: impl FnOnce(&Area) -> Result<(), Error>,
) -> Result<Figure, Error> {
    let titled = |root: &Area| {
        let (strip, below) = root.split_vertically(TITLE_STRIP);
        head(&strip, title)?;
        draw(&below)
    };
    paint(size, title, &[], titled)
}

/// As [`render`], above other figures at their places; without a title there is no strip.
pub(super) fn render_over(
    size: (u32, u32),
    title: &str,
    under: &[((u32, u32), &Figure)],
    draw: impl FnOnce(&Area) -> Result<(), Error>,
) -> Result<Figure, Error> {
    let titled = |root: &Area| {
        if title.is_empty() {
            return draw(root);
        }
        let (strip, below) = root.split_vertically(TITLE_STRIP);
        head(&strip, title)?;
        draw(&below)
    };
    paint(size, title, under, titled)
}

fn head(strip: &Area, title: &str) -> Result<(), Error> {
    let middle = (strip.dim_in_pixel().0 as i32 / 2, TITLE_STRIP as i32 / 2 + 4);
    strip.draw_text(title, &anchored(TITLE, INK, HPos::Center, VPos::Center), middle).map_err(drawing)
}

fn paint(
    (width, height): (u32, u32),
    title: &str,
    under: &[((u32, u32), &Figure)],
    draw: impl FnOnce(&Area) -> Result<(), Error>,
) -> Result<Figure, Error> {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // cannot fail: the file is part of the binary, and every test that draws would show it
        let _ = register_font(FAMILY, FontStyle::Normal, FONT);
    });
    let mut pixels = vec![255u8; width as usize * height as usize * 3];
    let mut shapes = Shapes::default();
    for ((x, y), figure) in under {
        let row = 3 * figure.width as usize;
        for (i, colors) in figure.pixels.chunks(row).enumerate() {
            let start = 3 * ((*y as usize + i) * width as usize + *x as usize);
            pixels[start..start + row].copy_from_slice(colors);
        }
        shapes.push_figure((*x, *y), figure);
    }
    {
        let root = Canvas::new(&mut pixels, (width, height), &mut shapes).into_drawing_area();
        draw(&root)?;
        root.present().map_err(drawing)?;
    }
    Ok(Figure { title: title.into(), width, height, pixels: Arc::new(pixels), shapes: Arc::new(shapes) })
}

/// Axes of all charts: from plain numbers to pixels.
pub(super) type Axes = Cartesian2d<Scale, Scale>;
pub(super) type Chart<'a, 'b> = ChartContext<'a, Canvas<'b>, Axes>;
/// What a chart's curves are drawn on.
pub(super) type Plane<'a> = DrawingArea<Canvas<'a>, Axes>;

/// Room around the plot for tick labels and axis titles \[pixels\].
pub(super) const LEFT: u32 = 132;
pub(super) const BOTTOM: u32 = 92;

const TITLE_OVERHANG: u32 = 24;

/// An empty chart with a frame, ticks and titles of the axes; `top` and `right` pixels stay free.
pub(super) fn axes<'a, 'b>(
    area: &'a Area<'b>,
    [x, y]: [impl Into<Scale>; 2],
    [x_title, y_title]: [&str; 2],
    [top, right]: [u32; 2],
    grid: bool,
) -> Result<Chart<'a, 'b>, Error> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(top)
        .margin_right(right)
        // the axis title stands half outside of its area
        .margin_left(TITLE_OVERHANG)
        .set_label_area_size(LabelAreaPosition::Left, LEFT - TITLE_OVERHANG)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .build_cartesian_2d(x.into(), y.into())
        .map_err(drawing)?;
    let label = |value: &f64| tick_label(*value);
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x_title)
        .y_desc(y_title)
        .x_labels(9)
        .y_labels(8)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .label_style(text(TICK, INK))
        .axis_desc_style(text(LABEL, INK))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT);
    if !grid {
        mesh.disable_mesh();
    }
    mesh.draw().map_err(drawing)?;
    Ok(chart)
}

/// Draws a frame around the plot, over what it holds.
pub(super) fn frame(chart: &Chart) -> Result<(), Error> {
    let (x, y) = (chart.x_range(), chart.y_range());
    let corners = [(x.start, y.start), (x.end, y.end)];
    chart.plotting_area().draw(&Rectangle::new(corners, INK)).map_err(drawing)
}

/// What a legend shows before a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Symbol {
    Disc,
    Ring,
    Cross,
    Square,
    Line,
    Dashes,
}

/// Height of a row of a legend \[pixels\].
pub(super) const LEGEND_ROW: u32 = 48;

/// Draws a legend in one or more centred rows at the top of the area; the area below it.
pub(super) fn legend<'b>(area: &Area<'b>, items: &[(Symbol, RGBColor, String)]) -> Result<Area<'b>, Error> {
    let style = text(NOTE, INK);
    let (symbol_width, gap) = (50, 36);
    let mut widths = Vec::new();
    for (_, _, words) in items {
        let (width, _) = area.estimate_text_size(words, &style).map_err(drawing)?;
        widths.push(symbol_width + width as i32 + gap);
    }
    let available = area.dim_in_pixel().0 as i32;
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    let mut used = 0;
    for (i, width) in widths.iter().enumerate() {
        if used + width > available && used > 0 {
            rows.push(Vec::new());
            used = 0;
        }
        used += width;
        rows.last_mut().expect("there is a row").push(i);
    }
    for (row, members) in rows.iter().enumerate() {
        let total: i32 = members.iter().map(|&i| widths[i]).sum::<i32>() - gap;
        let mut x = (available - total) / 2;
        let y = row as i32 * LEGEND_ROW as i32 + LEGEND_ROW as i32 / 2;
        for &i in members {
            let (symbol, color, words) = &items[i];
            // letters stand a little above the middle of their line
            draw_symbol(area, *symbol, *color, (x + symbol_width / 2 - 6, y - 4))?;
            let left = anchored(NOTE, INK, HPos::Left, VPos::Center);
            area.draw_text(words, &left, (x + symbol_width, y)).map_err(drawing)?;
            x += widths[i];
        }
    }
    Ok(area.split_vertically(rows.len() as u32 * LEGEND_ROW).1)
}

fn draw_symbol(area: &Area, symbol: Symbol, color: RGBColor, (x, y): (i32, i32)) -> Result<(), Error> {
    let thick = color.stroke_width(4);
    let line = |from: (i32, i32), to: (i32, i32)| {
        area.draw(&PathElement::new(vec![(x + from.0, y + from.1), (x + to.0, y + to.1)], thick))
    };
    match symbol {
        Symbol::Disc => area.draw(&Circle::new((x, y), 11, color.filled())),
        Symbol::Ring => area.draw(&Circle::new((x, y), 11, color.stroke_width(3))),
        Symbol::Cross => line((-9, -9), (9, 9)).and_then(|()| line((-9, 9), (9, -9))),
        Symbol::Square => area.draw(&Rectangle::new([(x - 10, y - 10), (x + 10, y + 10)], color.stroke_width(3))),
        Symbol::Line => line((-20, 0), (20, 0)),
        Symbol::Dashes => line((-20, 0), (-6, 0)).and_then(|()| line((6, 0), (20, 0))),
    }
    .map_err(drawing)
}

/// The largest of 1, 2 and 5 times powers of ten that is not above `length`.
pub(super) fn round_down(length: f64) -> f64 {
    let power = 10f64.powf(length.max(f64::MIN_POSITIVE).log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|factor| factor * power).find(|&step| step <= length * 1.0001).unwrap_or(power)
}

/// A number as a tick label: no digits that say nothing, a true minus sign.
pub(super) fn tick_label(value: f64) -> String {
    // sums of steps miss zero by their rounding
    let value = if value.abs() < 1e-12 { 0.0 } else { value };
    let text = if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        format!("{value:.1e}")
    } else {
        let digits = format!("{value:.4}");
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if text == "-0" { "0".to_owned() } else { text.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_is_white() {
        assert_eq!(diverging(0.5), [255; 3]);
        assert_eq!([diverging(0.0), diverging(1.0)], [[0, 90, 170], [200, 70, 0]]);
    }

    #[test]
    fn ticks_and_scale_bars_are_round_numbers() {
        assert_eq!([0.3, 1.0, 7.0, 23.0].map(round_down), [0.2, 1.0, 5.0, 20.0]);
        assert_eq!([-0.2, 20.0, 0.0, -0.0, 0.143, 2e-5].map(tick_label), ["−0.2", "20", "0", "0", "0.143", "2.0e−5"]);
        assert_eq!(tick_label(-0.3 + 0.1 + 0.2), "0");
    }

    #[test]
    fn every_sign_the_figures_use_is_in_the_font() {
        use ab_glyph::Font;
        let font = ab_glyph::FontRef::try_from_slice(FONT).unwrap();
        let signs = "ABCxyz0189 ÅåÄöé×·±°−–—…²³⁻¹₀₁αβγδχλμσφωΔΣ≤≥≈→∞√“”";
        for sign in signs.chars() {
            assert_ne!(font.glyph_id(sign).0, 0, "{sign} is missing");
        }
    }
}
