//! What figures are drawn on: a bitmap, and at the same time the shapes, texts and images of an SVG file.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plotters::backend::BitMapBackend;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use super::{Error, Figure, escape, png_of};

/// Height from the lowest descender to the highest ascender of the figures' font over its em; a font of plotters has the former as its size.
const HEIGHT_OF_EM: f64 = 1.164;

/// A figure as SVG knows it, from back to front.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shapes(Vec<Shape>);

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// One element.
    Element(String),
    /// Red, green, blue of each pixel, row by row from the top.
    Image { place: BackendCoord, size: (u32, u32), pixels: Vec<u8> },
    /// Another figure at its place.
    Figure((u32, u32), Arc<Shapes>),
}

impl Shapes {
    /// The SVG file; images are PNG inside of it.
    ///
    /// # Errors
    /// If an image cannot be encoded.
    pub(super) fn to_svg(&self, title: &str, (width, height): (u32, u32)) -> Result<String, Error> {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"DejaVu Sans, Verdana, sans-serif\">\n<title>{}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
            of_xml(title)
        );
        self.write(&mut svg)?;
        Ok(svg + "</svg>\n")
    }

    /// Puts another figure above what is there.
    pub(super) fn push_figure(&mut self, place: (u32, u32), figure: &Figure) {
        self.0.push(Shape::Figure(place, figure.shapes.clone()));
    }

    fn write(&self, svg: &mut String) -> Result<(), Error> {
        for shape in &self.0 {
            match shape {
                Shape::Element(element) => svg.push_str(element),
                Shape::Figure((x, y), shapes) => {
                    let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
                    shapes.write(svg)?;
                    svg.push_str("</g>\n");
                }
                Shape::Image { place: (x, y), size, pixels } => {
                    let bytes = STANDARD.encode(png_of(pixels, *size)?);
                    let _ = writeln!(
                        svg,
                        "<image x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" href=\"data:image/png;base64,{bytes}\"/>",
                        size.0, size.1
                    );
                }
            }
        }
        Ok(())
    }
}

/// Draws on a bitmap, and remembers what was drawn.
pub(super) struct Canvas<'a> {
    bitmap: BitMapBackend<'a>,
    shapes: &'a mut Shapes,
}

type Drawn<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> Canvas<'a> {
    pub(super) fn new(pixels: &'a mut [u8], size: (u32, u32), shapes: &'a mut Shapes) -> Self {
        Self { bitmap: BitMapBackend::with_buffer(pixels, size), shapes }
    }

    /// Keeps an element, unless nothing is to be seen of it.
    fn keep(&mut self, color: BackendColor, element: String) {
        if color.alpha > 0.0 {
            self.shapes.0.push(Shape::Element(element + "/>\n"));
        }
    }
}

/// The attributes of a filled area.
fn filled(color: BackendColor) -> String {
    let (red, green, blue) = color.rgb;
    format!("fill=\"#{red:02x}{green:02x}{blue:02x}\" fill-opacity=\"{}\"", color.alpha)
}

/// The attributes of a line.
fn stroked(style: &impl BackendStyle) -> String {
    let BackendColor { rgb: (red, green, blue), alpha } = style.color();
    format!(
        "fill=\"none\" stroke=\"#{red:02x}{green:02x}{blue:02x}\" stroke-opacity=\"{alpha}\" stroke-width=\"{}\"",
        style.stroke_width()
    )
}

fn painted(style: &impl BackendStyle, fill: bool) -> String {
    if fill { filled(style.color()) } else { stroked(style) }
}

fn points(path: &[BackendCoord]) -> String {
    path.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}

impl<'a> DrawingBackend for Canvas<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.bitmap.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn<'a> {
        self.bitmap.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<'a> {
        self.bitmap.present()
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn<'a> {
        self.keep(color, format!("<rect x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" {}", filled(color)));
        self.bitmap.draw_pixel((x, y), color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn<'a> {
        let ends = format!("x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"", from.0, from.1, to.0, to.1);
        self.keep(style.color(), format!("<line {ends} {}", stroked(style)));
        self.bitmap.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        corner: BackendCoord,
        opposite: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        let (x, y) = (corner.0.min(opposite.0), corner.1.min(opposite.1));
        let (width, height) = (corner.0.abs_diff(opposite.0), corner.1.abs_diff(opposite.1));
        let place = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        self.keep(style.color(), format!("<rect {place} {}", painted(style, fill)));
        self.bitmap.draw_rect(corner, opposite, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn<'a> {
        let path: Vec<BackendCoord> = path.into_iter().collect();
        let element = format!("<polyline points=\"{}\" stroke-linejoin=\"round\" {}", points(&path), stroked(style));
        self.keep(style.color(), element);
        self.bitmap.draw_path(path, style)
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn<'a> {
        let place = format!("cx=\"{}\" cy=\"{}\" r=\"{radius}\"", center.0, center.1);
        self.keep(style.color(), format!("<circle {place} {}", painted(style, fill)));
        self.bitmap.draw_circle(center, radius, style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn<'a> {
        let corners: Vec<BackendCoord> = corners.into_iter().collect();
        self.keep(style.color(), format!("<polygon points=\"{}\" {}", points(&corners), filled(style.color())));
        self.bitmap.fill_polygon(corners, style)
    }

    /// The words stay words. They stand where plotters puts them in the bitmap: its box is as high as its size over 1.24, the baseline half of the size
    /// below its upper edge.
    fn draw_text<S: BackendTextStyle>(&mut self, words: &str, style: &S, place: BackendCoord) -> Drawn<'a> {
        let ((left, top), (right, bottom)) =
            style.layout_box(words).map_err(|error| DrawingErrorKind::FontError(Box::new(error)))?;
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        let lift = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => (bottom - top) / 2,
            VPos::Bottom => bottom - top,
        };
        let angle = match style.transform() {
            FontTransform::None => 0,
            FontTransform::Rotate90 => 90,
            FontTransform::Rotate180 => 180,
            FontTransform::Rotate270 => 270,
        };
        let turned = if angle == 0 { String::new() } else { format!(" rotate({angle})") };
        let color = style.color();
        if color.alpha > 0.0 && !words.is_empty() {
            // in another font the words take as much room
            self.shapes.0.push(Shape::Element(format!(
                "<text transform=\"translate({} {}){turned}\" y=\"{:.1}\" font-size=\"{:.2}\" text-anchor=\"{anchor}\" textLength=\"{}\" \
                 lengthAdjust=\"spacingAndGlyphs\" {}>{}</text>\n",
                place.0,
                place.1,
                style.size() / 2.0 - f64::from(lift),
                style.size() / HEIGHT_OF_EM,
                right - left,
                filled(color),
                of_xml(words)
            )));
        }
        self.bitmap.draw_text(words, style, place)
    }

    fn blit_bitmap(&mut self, place: BackendCoord, size: (u32, u32), pixels: &[u8]) -> Drawn<'a> {
        self.shapes.0.push(Shape::Image { place, size, pixels: pixels.to_vec() });
        self.bitmap.blit_bitmap(place, size, pixels)
    }
}

/// Text as XML holds it, which most control characters are not.
fn of_xml(text: &str) -> String {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    escape(&text.replace(is_odd, "\u{fffd}"))
}
