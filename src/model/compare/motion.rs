//! Rigid motions of either hand, and the one that superposes pairs of points.

use nalgebra::{Matrix3, UnitQuaternion, Vector3};

use crate::rotation::{quaternion_of, superposing};

/// r → rotation·(±r) + translation, − if mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Motion {
    pub rotation: UnitQuaternion<f64>,
    /// \[Å\]
    pub translation: Vector3<f64>,
    pub mirrored: bool,
}

impl Motion {
    pub fn identity() -> Self {
        Self { rotation: UnitQuaternion::identity(), translation: Vector3::zeros(), mirrored: false }
    }

    pub fn apply(&self, point: &Vector3<f64>) -> Vector3<f64> {
        let point = if self.mirrored { -point } else { *point };
        self.rotation * point + self.translation
    }

    /// The matrix in front of r, determinant −1 if mirrored.
    pub fn matrix(&self) -> Matrix3<f64> {
        let rotation = self.rotation.to_rotation_matrix().into_inner();
        if self.mirrored { -rotation } else { rotation }
    }

    /// The motion with this orthogonal matrix that takes `from` to `to`.
    pub fn from_matrix(matrix: Matrix3<f64>, from: &Vector3<f64>, to: &Vector3<f64>) -> Self {
        let mirrored = matrix.determinant() < 0.0;
        let rotation = quaternion_of(&if mirrored { -matrix } else { matrix });
        Self { rotation, translation: to - matrix * from, mirrored }
    }

    /// The motion of the given hand that lays the first points of the pairs on the second ones best.
    pub fn superposing(pairs: &[(Vector3<f64>, Vector3<f64>)], mirrored: bool) -> Self {
        let (matrix, translation) = superposing(pairs, if mirrored { -1.0 } else { 1.0 });
        Self::from_matrix(matrix, &Vector3::zeros(), &translation)
    }
}
