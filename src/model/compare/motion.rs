//! Rigid motions of either hand, and the one that superposes pairs of points.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};

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
        let rotation = Rotation3::from_matrix_unchecked(if mirrored { -matrix } else { matrix });
        Self { rotation: UnitQuaternion::from_rotation_matrix(&rotation), translation: to - matrix * from, mirrored }
    }

    /// The motion of the given hand with the least sum of squared distances between moved and fixed points (Kabsch). Where the points
    /// leave the rotation open (fewer than three, or on a line), one of the best.
    pub fn superposing(pairs: &[(Vector3<f64>, Vector3<f64>)], mirrored: bool) -> Self {
        let count = pairs.len().max(1) as f64;
        let from = pairs.iter().map(|pair| pair.0).sum::<Vector3<f64>>() / count;
        let to = pairs.iter().map(|pair| pair.1).sum::<Vector3<f64>>() / count;
        let covariance: Matrix3<f64> = pairs.iter().map(|(a, b)| (b - to) * (a - from).transpose()).sum();
        let svd = covariance.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return Self::identity() };
        let hand = if mirrored { -1.0 } else { 1.0 };
        let mut signs = Vector3::repeat(1.0);
        signs[svd.singular_values.imin()] = hand * (u * v_t).determinant().signum();
        Self::from_matrix(u * Matrix3::from_diagonal(&signs) * v_t, &from, &to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use rand::RngExt;

    #[test]
    fn superposition_recovers_a_motion_of_either_hand() {
        for index in 0..20 {
            let mut rng = random::stream(3, "motion", index);
            let mirrored = index % 2 == 1;
            let truth =
                Motion { rotation: random::rotation(&mut rng), translation: Vector3::new(1.0, -2.0, 0.5), mirrored };
            let pairs: Vec<_> = (0..6)
                .map(|_| Vector3::from_fn(|_, _| rng.random::<f64>() * 10.0))
                .map(|point| (point, truth.apply(&point)))
                .collect();
            let found = Motion::superposing(&pairs, mirrored);
            assert!(found.rotation.angle_to(&truth.rotation) < 1e-6);
            assert!((found.translation - truth.translation).norm() < 1e-6);
        }
    }
}
