//! The unit cell of a crystal, and atoms that were read with one.

use std::fmt;

use nalgebra::{Matrix3, Point3, Vector3};

use crate::structure::Structure;

/// Atoms as a file holds them, with their cell where it has one.
pub struct Crystal {
    pub structure: Structure,
    pub cell: Option<UnitCell>,
}

/// The edges of a cell, as columns \[Å\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitCell(Matrix3<f64>);

impl UnitCell {
    /// From the edges' vectors \[Å\].
    ///
    /// # Errors
    /// If the cell has no volume.
    pub fn from_vectors(vectors: [Vector3<f64>; 3]) -> Result<Self, String> {
        let cell = Self(Matrix3::from_columns(&vectors));
        let volume = cell.volume();
        if volume.is_finite() && volume > 1e-6 * vectors.iter().map(Vector3::norm).product::<f64>() {
            return Ok(cell);
        }
        Err("the three edges of the cell lie in a plane or are zero: the cell has no volume".to_owned())
    }

    /// From the lengths a, b, c \[Å\] and the angles α, β, γ \[°\], a along x and b in the plane of x and y.
    ///
    /// # Errors
    /// If they are not those of a cell.
    pub fn from_parameters(lengths: [f64; 3], angles: [f64; 3]) -> Result<Self, String> {
        let [a, b, c] = lengths;
        let [alpha, beta, gamma] = angles.map(cosine);
        let sine = (1.0 - gamma * gamma).sqrt();
        let across = (alpha - beta * gamma) / sine;
        let upwards = 1.0 - beta * beta - across * across;
        let are_angles = angles.iter().all(|angle| *angle > 0.0 && *angle < 180.0);
        if lengths.iter().any(|length| *length <= 0.0) || !are_angles || upwards.is_nan() || upwards <= 1e-12 {
            return Err(format!("no cell has the edges {lengths:?} Å and the angles {angles:?}°"));
        }
        Self::from_vectors([
            Vector3::new(a, 0.0, 0.0),
            b * Vector3::new(gamma, sine, 0.0),
            c * Vector3::new(beta, across, upwards.sqrt()),
        ])
    }

    /// The place \[Å\] at fractional coordinates.
    pub fn place(&self, fractional: Vector3<f64>) -> Point3<f64> {
        Point3::from(self.0 * fractional)
    }

    /// How far apart two places are, by their fractional coordinates, over the faces of the cell too \[Å\]; right if they are near.
    pub fn distance(&self, from: Vector3<f64>, to: Vector3<f64>) -> f64 {
        (self.0 * (to - from).map(|part| part - part.round())).norm()
    }

    /// The place \[Å\] at fractional coordinates, moved into the cell, and if it is nearer than `reach` \[Å\] to the faces at 0, its copies at the faces at 1.
    pub fn with_copies(&self, fractional: Vector3<f64>, reach: f64) -> Vec<Point3<f64>> {
        let fractional = fractional.map(|part| part - part.floor());
        let inverse = self.0.try_inverse().expect("a cell has a volume");
        let is_near = [0, 1, 2].map(|axis| (0.0..reach * inverse.row(axis).norm()).contains(&fractional[axis]));
        let steps = (0..8).map(|n| [n & 1, n >> 1 & 1, n >> 2]);
        let steps = steps.filter(|step| (0..3).all(|axis| step[axis] == 0 || is_near[axis]));
        steps.map(|step| self.place(fractional + Vector3::from(step.map(f64::from)))).collect()
    }

    /// \[Å³\].
    pub fn volume(&self) -> f64 {
        self.0.determinant().abs()
    }
}

/// Of an angle in degrees; of a right one exactly 0.
fn cosine(angle: f64) -> f64 {
    if angle == 90.0 { 0.0 } else { angle.to_radians().cos() }
}

impl fmt::Display for UnitCell {
    /// As in "4.300 × 4.300 × 7.010 Å, 90.0°, 90.0°, 120.0°".
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [a, b, c] = [0, 1, 2].map(|i| self.0.column(i).into_owned());
        let angle = |p: &Vector3<f64>, q: &Vector3<f64>| p.angle(q).to_degrees();
        let (alpha, beta, gamma) = (angle(&b, &c), angle(&a, &c), angle(&a, &b));
        write!(f, "{:.3} × {:.3} × {:.3} Å, {alpha:.1}°, {beta:.1}°, {gamma:.1}°", a.norm(), b.norm(), c.norm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_edges_angles_and_volume_it_was_made_from() {
        let cell = UnitCell::from_parameters([3.0, 4.0, 5.0], [70.0, 80.0, 110.0]).unwrap();
        assert_eq!(cell.to_string(), "3.000 × 4.000 × 5.000 Å, 70.0°, 80.0°, 110.0°");
        // International Tables A, 5.1: V = abc √(1 − cos²α − cos²β − cos²γ + 2 cosα cosβ cosγ)
        let [p, q, r] = [70f64, 80.0, 110.0].map(|angle| angle.to_radians().cos());
        let volume = 60.0 * (1.0 - p * p - q * q - r * r + 2.0 * p * q * r).sqrt();
        assert!((cell.volume() - volume).abs() < 1e-9);
        let right = UnitCell::from_parameters([2.0; 3], [90.0; 3]).unwrap();
        assert_eq!(right.place(Vector3::new(0.5, 0.25, -1.0)), Point3::new(1.0, 0.5, -2.0));
        let copies = |x, y, z| right.with_copies(Vector3::new(x, y, z), 0.5).len();
        assert_eq!(
            [copies(0.26, 0.5, 0.99), copies(0.24, 0.5, 0.5), copies(0.0, 0.2, 0.5), copies(0.0, 0.1, 0.2)],
            [1, 2, 4, 8]
        );
        assert_eq!([copies(-0.74, 3.5, 0.99), copies(1.0, -0.8, 0.5), copies(-1.0, 2.1, 9.2)], [1, 4, 8]);
        let folded = right.with_copies(Vector3::new(-0.25, 1.25, 0.5), 0.4);
        assert_eq!(folded, [Point3::new(1.5, 0.5, 1.0)]);
        assert!((right.distance(Vector3::new(0.99, 0.0, 0.0), Vector3::new(0.01, 0.0, 3.0)) - 0.04).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_cell_is_refused() {
        for (lengths, angles) in [
            ([0.0, 1.0, 1.0], [90.0; 3]),
            ([1.0, -1.0, 1.0], [90.0; 3]),
            ([1.0; 3], [0.0, 90.0, 90.0]),
            ([1.0; 3], [90.0, 90.0, 180.0]),
            ([1.0; 3], [120.0; 3]),
            ([1.0; 3], [f64::NAN, 90.0, 90.0]),
            ([1.0; 3], [270.0, 90.0, 90.0]),
            ([1.0; 3], [90.0, -90.0, 90.0]),
            ([1.0; 3], [90.0, 90.0, 300.0]),
        ] {
            assert!(UnitCell::from_parameters(lengths, angles).is_err(), "{lengths:?} {angles:?}");
        }
        assert!(UnitCell::from_vectors([Vector3::x(), Vector3::y(), Vector3::x()]).is_err());
    }
}
