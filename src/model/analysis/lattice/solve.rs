//! One rigid lattice through atoms whose sites are known: orientation, origin and constants by least squares.

use nalgebra::{DMatrix, DVector, Matrix3, Point3, UnitQuaternion, Vector3};

use super::super::Error;
use super::template::{IDEAL_RATIO, Place, Template, described};
use crate::rotation::{nearest, quaternion_of};
use crate::structure::{IDEAL_U, LatticeKind};

/// A lattice in space: a site of fractional coordinates f is at rotation·(vectors·f) + origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rigid {
    pub kind: LatticeKind,
    pub rotation: UnitQuaternion<f64>,
    /// \[Å\]
    pub origin: Vector3<f64>,
    /// a, and in wurtzite c \[Å\] and u.
    pub constants: [f64; 3],
}

impl Rigid {
    /// Vectors of the cell as columns, in the lattice's axes \[Å\].
    pub fn vectors(&self) -> Result<Matrix3<f64>, Error> {
        let [a, c, u] = self.constants;
        let hexagonal = self.kind == LatticeKind::Wurtzite;
        Ok(described(self.kind, a, hexagonal.then_some(c), hexagonal.then_some(u))?.vectors())
    }

    /// How many numbers describe it: rotation, origin, constants.
    pub fn freedom(kind: LatticeKind) -> usize {
        if kind == LatticeKind::Wurtzite { 9 } else { 7 }
    }

    /// Fractional coordinates of a site with this u.
    pub fn fractional(&self, template: &Template, place: &Place) -> Vector3<f64> {
        let mut fractional = template.fractional(place);
        if self.kind == LatticeKind::Wurtzite && template.sublattice(place) == 1 {
            fractional.z += self.constants[2] - IDEAL_U;
        }
        fractional
    }
}

/// The lattice, and the standard errors of its constants.
pub struct Solution {
    pub rigid: Rigid,
    pub errors: [f64; 3],
}

/// Steps of Gauss and Newton at most, and the largest change of a coordinate after which they end \[Å\].
const MAX_STEPS: usize = 60;
const SETTLED: f64 = 1e-11;

/// The lattice with the least sum of squared distances from the atoms; none if the sites leave it open.
pub fn solve(template: &Template, atoms: &[(Point3<f64>, Place)], bond: f64) -> Option<Solution> {
    let mut rigid = start(template, atoms, bond)?;
    let count = Rigid::freedom(rigid.kind);
    let mut normal = DMatrix::zeros(count, count);
    for _ in 0..MAX_STEPS {
        let (matrix, right, _) = equations(&rigid, template, atoms)?;
        let step = matrix.clone().cholesky()?.solve(&right);
        let largest = apply(&mut rigid, &step, atoms.len());
        normal = matrix;
        if largest < SETTLED {
            break;
        }
    }
    let (_, _, squares) = equations(&rigid, template, atoms)?;
    let spare = (3 * atoms.len()).saturating_sub(count).max(1);
    let variances = normal.try_inverse()?.diagonal() * (squares / spare as f64);
    let mut errors = [f64::NAN; 3];
    for (error, variance) in errors.iter_mut().zip(variances.iter().skip(6)) {
        *error = variance.max(0.0).sqrt();
    }
    Some(Solution { rigid, errors })
}

/// Rotation and constant from the least-squares affine map of the sites to the atoms.
fn start(template: &Template, atoms: &[(Point3<f64>, Place)], bond: f64) -> Option<Rigid> {
    let count = atoms.len() as f64;
    let site = |place: &Place| template.vectors * template.fractional(place);
    let (mut from, mut to) = (Vector3::zeros(), Vector3::zeros());
    for (point, place) in atoms {
        from += site(place) / count;
        to += point.coords / count;
    }
    let (mut vu, mut uu) = (Matrix3::zeros(), Matrix3::zeros());
    for (point, place) in atoms {
        let u = site(place) - from;
        vu += (point.coords - to) * u.transpose();
        uu += u * u.transpose();
    }
    // sites on a plane or a line leave the lattice open
    if uu.symmetric_eigenvalues().min() < 0.05 * count.cbrt() {
        return None;
    }
    let turn = nearest(&vu, 1.0);
    let scale = ((turn.transpose() * vu).trace() / uu.trace()).clamp(0.5 * bond, 2.0 * bond);
    let a = template.vectors[(0, 0)] * scale;
    let constants = [a, a * IDEAL_RATIO, IDEAL_U];
    let (rotation, origin) = (quaternion_of(&turn), to - turn * from * scale);
    Some(Rigid { kind: template.kind, rotation, origin, constants })
}

/// Normal equations of the change in (rotation, origin, a, c, u), and the sum of squared distances \[Å²\].
fn equations(
    rigid: &Rigid,
    template: &Template,
    atoms: &[(Point3<f64>, Place)],
) -> Option<(DMatrix<f64>, DVector<f64>, f64)> {
    let count = Rigid::freedom(rigid.kind);
    let vectors = rigid.vectors().ok()?;
    let turn = rigid.rotation.to_rotation_matrix().into_inner();
    let [a, c, _] = rigid.constants;
    let (mut matrix, mut right, mut squares) = (DMatrix::zeros(count, count), DVector::zeros(count), 0.0);
    let mut columns = vec![Vector3::zeros(); count];
    for (point, place) in atoms {
        let fractional = rigid.fractional(template, place);
        let site = vectors * fractional;
        let turned = turn * site;
        let residual = point.coords - rigid.origin - turned;
        for axis in 0..3 {
            columns[axis] = Vector3::ith(axis, 1.0).cross(&turned);
            columns[3 + axis] = Vector3::ith(axis, 1.0);
        }
        if count == 7 {
            columns[6] = turned / a;
        } else {
            columns[6] = turn * Vector3::new(site.x, site.y, 0.0) / a;
            columns[7] = turn * Vector3::new(0.0, 0.0, fractional.z);
            columns[8] = turn * Vector3::new(0.0, 0.0, c * template.sublattice(place) as f64);
        }
        for i in 0..count {
            right[i] += columns[i].dot(&residual);
            for j in 0..count {
                matrix[(i, j)] += columns[i].dot(&columns[j]);
            }
        }
        squares += residual.norm_squared();
    }
    Some((matrix, right, squares))
}

/// Changes the lattice by a step; the largest change of a coordinate of an atom, roughly \[Å\].
fn apply(rigid: &mut Rigid, step: &DVector<f64>, atoms: usize) -> f64 {
    let size = (atoms as f64).cbrt() * rigid.constants[0];
    let turn = Vector3::new(step[0], step[1], step[2]);
    rigid.rotation = UnitQuaternion::from_scaled_axis(turn) * rigid.rotation;
    let shift = Vector3::new(step[3], step[4], step[5]);
    rigid.origin += shift;
    let mut largest = (turn.norm() * size).max(shift.norm());
    for (constant, change) in rigid.constants.iter_mut().zip(step.iter().skip(6)) {
        *constant += change;
        largest = largest.max(change.abs());
    }
    if rigid.kind != LatticeKind::Wurtzite {
        rigid.constants[1] = rigid.constants[0] * IDEAL_RATIO;
    }
    largest
}
