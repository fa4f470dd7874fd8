//! Symmetry operations as CIF lists them: "-x+1/2, y, z-0.5".

use nalgebra::{Matrix3, Vector3};

use crate::store::unit_cell::UnitCell;

/// Images of a site nearer than this are one atom \[Å\]: thirds are written with as few as three digits.
const SAME: f64 = 0.1;

/// A motion of fractional coordinates: `turn`·f + `shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    turn: Matrix3<f64>,
    shift: Vector3<f64>,
}

impl Operation {
    /// # Errors
    /// If the text is not an operation of a space group.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a symmetry operation such as \"-x+1/2, y, z-0.5\"");
        let parts: Vec<&str> = text.split(',').collect();
        let [x, y, z] = parts[..] else { return Err(wrong()) };
        let (mut turn, mut shift) = (Matrix3::zeros(), Vector3::zeros());
        for (row, part) in [x, y, z].into_iter().enumerate() {
            let (factors, constant) = component(part).ok_or_else(wrong)?;
            turn.set_row(row, &factors.transpose());
            shift[row] = constant;
        }
        if turn.determinant().abs() != 1.0 {
            return Err(wrong());
        }
        Ok(Self { turn, shift })
    }

    pub fn identity() -> Self {
        Self { turn: Matrix3::identity(), shift: Vector3::zeros() }
    }

    /// Whether it moves nothing.
    pub fn is_identity(&self) -> bool {
        *self == Self::identity()
    }
}

/// Factors of x, y, z and the constant of one coordinate, as "1/2-x+y".
fn component(text: &str) -> Option<(Vector3<f64>, f64)> {
    let (mut factors, mut constant) = (Vector3::zeros(), 0.0);
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // a sign before each term
    let text = text.replace('-', "+-");
    for term in text.strip_prefix('+').unwrap_or(&text).split('+') {
        let (sign, size) = term.strip_prefix('-').map_or((1.0, term), |size| (-1.0, size));
        match size {
            "x" | "X" => factors.x += sign,
            "y" | "Y" => factors.y += sign,
            "z" | "Z" => factors.z += sign,
            _ => constant += sign * fraction(size)?,
        }
    }
    Some((factors, constant))
}

/// As "1/2" or "0.5".
fn fraction(text: &str) -> Option<f64> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    match text.split_once('/') {
        None => number(text),
        Some((above, below)) => Some(number(above)? / number(below).filter(|below| *below != 0.0)?),
    }
}

/// The images of a site in the cell, each once, the first where the first operation puts it.
pub fn images(site: Vector3<f64>, operations: &[Operation], cell: &UnitCell) -> Vec<Vector3<f64>> {
    let mut images: Vec<Vector3<f64>> = Vec::new();
    for operation in operations {
        let image = (operation.turn * site + operation.shift).map(into_cell);
        if images.iter().all(|known| cell.distance(*known, image) > SAME) {
            images.push(image);
        }
    }
    images
}

/// A fractional coordinate from 0 to 1; what is 1 to rounding is 0.
fn into_cell(part: f64) -> f64 {
    let part = part - part.floor();
    if part > 1.0 - 1e-6 { 0.0 } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_as_programs_write_them() {
        let operation = Operation::read("-x+1/2, 0.5 +Y, x - z").unwrap();
        assert_eq!(operation.turn, Matrix3::new(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0));
        assert_eq!(operation.shift, Vector3::new(0.5, 0.5, 0.0));
        assert_eq!(Operation::read("1/2-x,-1/2+y,+z").unwrap().shift, Vector3::new(0.5, -0.5, 0.0));
        assert!(Operation::read("x,y,z").unwrap().is_identity());
        assert!(!Operation::read("x,y,z+1/2").unwrap().is_identity());
        for wrong in ["", "x,y", "x,y,z,x", "x,y,y", "x,y,w", "x,y,2*z", "x,y,z+1/0", "x,y,z+", "x,,z", "x,y,z+nan"] {
            assert!(Operation::read(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_site_on_an_axis_has_fewer_images() {
        let cell = UnitCell::from_parameters([4.0, 4.0, 6.0], [90.0, 90.0, 120.0]).unwrap();
        let threefold = ["x,y,z", "-y,x-y,z", "y-x,-x,z"].map(|text| Operation::read(text).unwrap());
        let count = |x, y, z| images(Vector3::new(x, y, z), &threefold, &cell).len();
        assert_eq!(count(0.1, 0.2, 0.3), 3);
        assert_eq!(count(0.0, 1.0, -0.3), 1);
        assert_eq!(count(0.333, 0.667, 0.0), 1);
        let found = images(Vector3::new(0.1, 0.2, -0.25), &threefold, &cell);
        for (image, expected) in found.iter().zip([[0.1, 0.2, 0.75], [0.8, 0.9, 0.75], [0.1, 0.9, 0.75]]) {
            assert!((image - Vector3::from(expected)).norm() < 1e-12, "{image}");
        }
    }
}
