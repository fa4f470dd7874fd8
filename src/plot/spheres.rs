//! Atoms as shaded spheres, seen along zone axes.

use nalgebra::{Matrix3, Vector3};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use serde::{Deserialize, Serialize};

use super::atoms::{Kind, Mark, draw_faults, elements_of, fault_items, marks};
use super::balls::{self, Ball};
use super::gray::{blit, scale_bar};
use super::scale::Scale;
use super::style::{self, Area, FAINT, INK, LABEL, LEGEND_ROW, Plane, Symbol, TICK, TITLE_STRIP, anchored, drawing};
use super::{Error, Figure};
use crate::model::Comparison;
use crate::structure::{Element, Structure};

/// Options of [`spheres`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpheresOptions {
    /// Directions towards the viewer, in the frame of the particle, or of the truth if there is one; default z, x and y.
    pub views: Vec<[f64; 3]>,
    /// Radius of the spheres \[Å\]; default: 0.8 of each element's covalent radius.
    pub radius: Option<f64>,
    /// Title; default: what is shown.
    pub title: String,
}

impl Default for SpheresOptions {
    fn default() -> Self {
        Self { views: vec![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], radius: None, title: String::new() }
    }
}

/// Part of the covalent radius at which neighbours almost touch and the rows behind still show.
pub(super) const OF_COVALENT: f64 = 0.8;
/// Half the edge of a picture over the radius of the particle.
const ROOM: f64 = 1.1;
/// Most views in a figure.
const MOST: usize = 6;
const WIDTH: u32 = 1660;
const GAP: u32 = 20;
const CAPTION: u32 = 52;
/// Length of the arrows that show where x, y and z point \[pixels\], and room for them with their letters.
const ARROW: f64 = 46.0;
const TRIAD: i32 = 76;

/// A row of pictures: what it is called, and its atoms.
struct Row<'a> {
    name: &'a str,
    marks: Vec<&'a Mark>,
}

/// Atoms as spheres coloured by element, one picture a direction; far ones are paler.
///
/// With a truth, its atoms are in a second row, both in the frame of the truth by the motion of the comparison; extra atoms and wrong elements are marked
/// in the first row, missing atoms in the second.
///
/// # Errors
/// If there are no atoms, a position is not finite, an option is out of its range, or the comparison is of other structures.
pub fn spheres(
    found: &Structure,
    truth: Option<(&Structure, &Comparison)>,
    options: &SpheresOptions,
) -> Result<Figure, Error> {
    let frames = options.check()?;
    if found.is_empty() && truth.is_none_or(|(truth, _)| truth.is_empty()) {
        return Err(Error::Empty("there are no atoms"));
    }
    let elements = elements_of(found.atoms().iter().chain(truth.iter().flat_map(|(truth, _)| truth.atoms())));
    let all = match truth {
        Some((truth, comparison)) => marks(found, truth, comparison, &elements)?,
        None => alone(found, &elements),
    };
    let radius = |element: Element| options.radius.unwrap_or(OF_COVALENT * element.covalent_radius());
    let largest = elements.iter().map(|&element| radius(element)).fold(0.0, f64::max);
    let outermost = all.iter().map(|mark| mark.position.coords.norm()).fold(0.0, f64::max);
    // the corners stay free for what else is in a picture
    let reach = ROOM * (outermost + largest);
    if !all.iter().all(|mark| mark.position.iter().all(|x| x.is_finite())) {
        return Err(Error::NotFinite("an atom's position".to_owned()));
    }
    let of = |kinds: &[Kind]| all.iter().filter(|mark| kinds.contains(&mark.kind)).collect();
    let mut rows = vec![Row { name: "found", marks: of(&[Kind::Traced, Kind::Extra, Kind::Wrong]) }];
    if truth.is_some() {
        rows.push(Row { name: "true", marks: of(&[Kind::True, Kind::Missing]) });
    }
    let title = match (options.title.as_str(), truth) {
        ("", None) => format!("{} atoms", found.len()),
        ("", Some((truth, comparison))) if comparison.found > 0 => {
            format!("{} of {} atoms found, RMSD {:.1} pm", comparison.found, truth.len(), comparison.rmsd_pm)
        }
        ("", Some((truth, _))) => format!("none of {} atoms found", truth.len()),
        (given, _) => given.to_owned(),
    };
    let mut items: Vec<_> = elements.iter().rev().map(|&element| item(found, element, &elements)).collect();
    items.extend(fault_items(&all));
    let ball = |mark: &Mark, frame: &Matrix3<f64>| Ball {
        center: frame * mark.position.coords,
        radius: radius(mark.element),
        color: mark.color,
    };
    draw(&rows, &options.views, &frames, &title, &items, reach, ball)
}

fn item(found: &Structure, element: Element, all: &[Element]) -> (Symbol, RGBColor, String) {
    let count = found.atoms().iter().filter(|atom| atom.element == element).count();
    (Symbol::Disc, style::element_color(element, all), format!("{count} {element}"))
}

/// The atoms of one structure about their centroid.
fn alone(found: &Structure, elements: &[Element]) -> Vec<Mark> {
    let center = found.centroid().coords;
    let mark = |atom: &crate::structure::Atom| Mark {
        position: atom.position - center,
        kind: Kind::Traced,
        element: atom.element,
        color: style::element_color(atom.element, elements),
    };
    found.atoms().iter().map(mark).collect()
}

impl SpheresOptions {
    /// For each view the rows right, up and towards the viewer.
    fn check(&self) -> Result<Vec<Matrix3<f64>>, Error> {
        let refuse = |name, value, requirement| Err(Error::OutOfRange { name, value, requirement });
        if let Some(value) = self.radius.filter(|radius| !(0.05..=10.0).contains(radius)) {
            return refuse("radius", value, "from 0.05 to 10 Å");
        }
        if !(1..=MOST).contains(&self.views.len()) {
            return refuse("the number of views", self.views.len() as f64, "from 1 to 6");
        }
        let mut frames = Vec::new();
        for view in &self.views {
            let length = Vector3::from(*view).norm();
            if !(length > 1e-9 && length.is_finite()) {
                return refuse("the length of a view", length, "that of a direction, as [1, 1, 0]");
            }
            frames.push(frame(&(Vector3::from(*view) / length)));
        }
        Ok(frames)
    }
}

/// Right, up and towards the viewer: z is up, seen from above or below y is.
fn frame(towards: &Vector3<f64>) -> Matrix3<f64> {
    let upward = if towards.z.abs() > 0.999 { Vector3::y() } else { Vector3::z() };
    let right = upward.cross(towards).normalize();
    let up = towards.cross(&right);
    Matrix3::from_rows(&[right.transpose(), up.transpose(), towards.transpose()])
}

fn draw(
    rows: &[Row],
    views: &[[f64; 3]],
    frames: &[Matrix3<f64>],
    title: &str,
    items: &[(Symbol, RGBColor, String)],
    reach: f64,
    ball: impl Fn(&Mark, &Matrix3<f64>) -> Ball,
) -> Result<Figure, Error> {
    let columns = match views.len() as u32 {
        count @ 1..=3 => count,
        4 => 2,
        _ => 3,
    };
    let side = ((WIDTH - GAP) / columns - GAP).min(900);
    let width = WIDTH.min(columns * (side + GAP) + GAP).max(1000);
    let margin = (width - columns * (side + GAP) + GAP) / 2;
    let legend = if items.len() > 4 && width < 1400 { 2 } else { 1 };
    let lines = (views.len() as u32).div_ceil(columns) * rows.len() as u32;
    let height = TITLE_STRIP + legend * LEGEND_ROW + lines * (CAPTION + side) + GAP;
    let scale = f64::from(side) / (2.0 * reach);
    style::render((width, height), title, |area| {
        let below = style::legend(area, items)?;
        for (i, row) in rows.iter().enumerate() {
            for (j, (view, frame)) in views.iter().zip(frames).enumerate() {
                let (column, line) = (j as u32 % columns, j as u32 / columns * rows.len() as u32 + i as u32);
                let corner = (margin + column * (side + GAP), line * (CAPTION + side) + CAPTION);
                let at = (corner.0 as i32, corner.1 as i32);
                let balls: Vec<Ball> = row.marks.iter().map(|mark| ball(mark, frame)).collect();
                blit(&below, at, (side, side), balls::render(&balls, side, scale))?;
                let tile = below.clone().shrink(corner, (side, side));
                let places =
                    row.marks.iter().zip(&balls).map(|(mark, ball)| (mark.kind, (ball.center.x, ball.center.y)));
                let smallest = balls.iter().map(|ball| ball.radius).fold(f64::INFINITY, f64::min);
                draw_faults(&in_angstrom(&tile, reach), places, 0.8 * smallest, scale)?;
                triad(&tile, frame, side as i32)?;
                let edges = [(0, 0), (side as i32 - 1, side as i32 - 1)];
                tile.draw(&Rectangle::new(edges, FAINT.stroke_width(1))).map_err(drawing)?;
                if j == 0 {
                    scale_bar(&below, at, side, 2.0 * reach)?;
                }
                let name = if rows.len() > 1 {
                    format!("{}, along {}", row.name, axis(view))
                } else {
                    format!("along {}", axis(view))
                };
                let style = anchored(LABEL, INK, HPos::Center, VPos::Bottom);
                below.draw_text(&name, &style, (at.0 + side as i32 / 2, at.1 - 8)).map_err(drawing)?;
            }
        }
        Ok(())
    })
}

/// The square tile in Å from its middle.
fn in_angstrom<'a>(tile: &Area<'a>, reach: f64) -> Plane<'a> {
    tile.apply_coord_spec(style::Axes::new(
        Scale::from(-reach..reach),
        Scale::from(-reach..reach),
        tile.get_pixel_range(),
    ))
}

/// Arrows in the lower right corner of a tile, along the axes of the particle's frame.
fn triad(tile: &Area, frame: &Matrix3<f64>, side: i32) -> Result<(), Error> {
    let origin = (side - TRIAD, side - TRIAD);
    for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
        let (right, up) = (frame[(0, axis)], frame[(1, axis)]);
        let length = right.hypot(up);
        if length < 0.2 {
            // it points to or from the viewer
            tile.draw(&Circle::new(origin, 5, INK.filled())).map_err(drawing)?;
            continue;
        }
        let at = |part: f64| (origin.0 + (part * ARROW * right) as i32, origin.1 - (part * ARROW * up) as i32);
        tile.draw(&PathElement::new(vec![origin, at(1.0)], INK.stroke_width(3))).map_err(drawing)?;
        let beyond = 1.0 + 15.0 / (ARROW * length);
        let style = anchored(TICK, INK, HPos::Center, VPos::Center);
        tile.draw_text(letter, &style, at(beyond)).map_err(drawing)?;
    }
    Ok(())
}

/// A direction as "[1 1 0]".
fn axis(view: &[f64; 3]) -> String {
    let [x, y, z] = view.map(style::tick_label);
    format!("[{x} {y} {z}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_turn_to_the_right() {
        for view in [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -2.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, -1.0]] {
            let frame = frame(&Vector3::from(view).normalize());
            assert!((frame.determinant() - 1.0).abs() < 1e-12, "{view:?}");
            assert!((frame * Vector3::from(view)).normalize().z > 1.0 - 1e-12, "{view:?}");
        }
        assert_eq!(frame(&Vector3::z()), Matrix3::identity());
    }

    #[test]
    fn directions_are_written_as_zone_axes() {
        assert_eq!(axis(&[1.0, -1.0, 0.5]), "[1 −1 0.5]");
    }
}
