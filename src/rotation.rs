//! Rotation matrices: the nearest to a matrix, the motion that lays points on points, and those of the crystal systems.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};

/// The quaternion of a matrix that is a rotation but for rounding.
pub fn quaternion_of(matrix: &Matrix3<f64>) -> UnitQuaternion<f64> {
    UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(*matrix))
}

/// The orthogonal matrix R with the largest tr(Rᵀ·`matrix`), of all of determinant `hand` (1 or −1) the nearest, from the singular values (Kabsch 1976,
/// Acta Cryst. A32, 922; Horn, Hilden & Negahdaripour 1988, J. Opt. Soc. Am. A 5, 1127). Where the matrix leaves it open, one of the nearest.
pub fn nearest(matrix: &Matrix3<f64>, hand: f64) -> Matrix3<f64> {
    let svd = matrix.svd(true, true);
    let (u, v_t) = svd.u.zip(svd.v_t).expect("both were asked for");
    let mut signs = Vector3::repeat(1.0);
    signs[svd.singular_values.imin()] = hand * (u * v_t).determinant().signum();
    u * Matrix3::from_diagonal(&signs) * v_t
}

/// The motion r → matrix·r + offset of the given hand that leaves the least sum of squared distances between the first points of the pairs, moved, and the
/// second ones (Kabsch). Where they leave the rotation open (fewer than three, or on a line), one of the best.
pub fn superposing(pairs: &[(Vector3<f64>, Vector3<f64>)], hand: f64) -> (Matrix3<f64>, Vector3<f64>) {
    let count = pairs.len().max(1) as f64;
    let from = pairs.iter().map(|pair| pair.0).sum::<Vector3<f64>>() / count;
    let to = pairs.iter().map(|pair| pair.1).sum::<Vector3<f64>>() / count;
    let spread: Matrix3<f64> = pairs.iter().map(|(a, b)| (b - to) * (a - from).transpose()).sum();
    let matrix = nearest(&spread, hand);
    (matrix, to - matrix * from)
}

/// The 48 matrices of m3̄m, along the axes; the identity is the first.
pub fn cubic() -> Vec<Matrix3<f64>> {
    let mut all = Vec::new();
    for permutation in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8 {
            let sign = |axis: usize| if signs >> axis & 1 == 0 { 1.0 } else { -1.0 };
            all.push(Matrix3::from_fn(|row, column| if permutation[row] == column { sign(row) } else { 0.0 }));
        }
    }
    all
}

/// The 24 matrices of 6/mmm, the sixfold axis along z.
pub fn hexagonal() -> Vec<Matrix3<f64>> {
    let mut all = Vec::new();
    for sixth in 0..6 {
        let (sin, cos) = (std::f64::consts::FRAC_PI_3 * f64::from(sixth)).sin_cos();
        for mirror in [1.0, -1.0] {
            for up in [1.0, -1.0] {
                all.push(Matrix3::new(cos, -sin * mirror, 0.0, sin, cos * mirror, 0.0, 0.0, 0.0, up));
            }
        }
    }
    all
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
            let hand = if index % 2 == 1 { -1.0 } else { 1.0 };
            let truth = random::rotation(&mut rng).to_rotation_matrix().into_inner() * hand;
            let offset = Vector3::new(1.0, -2.0, 0.5);
            let pairs: Vec<_> = (0..6)
                .map(|_| Vector3::from_fn(|_, _| rng.random::<f64>() * 10.0))
                .map(|point| (point, truth * point + offset))
                .collect();
            let (matrix, found) = superposing(&pairs, hand);
            assert!((matrix - truth).norm() < 1e-9 && (found - offset).norm() < 1e-9);
            // the best of the other hand is a motion too, and leaves more
            let (other, _) = superposing(&pairs, -hand);
            assert!((other.determinant() + hand).abs() < 1e-9);
        }
    }

    #[test]
    fn matrices_of_crystal_systems_are_groups() {
        for (group, order) in [(cubic(), 48), (hexagonal(), 24)] {
            assert_eq!((group.len(), group[0]), (order, Matrix3::identity()));
            let has = |matrix: &Matrix3<f64>| group.iter().filter(|one| (*one - matrix).norm() < 1e-9).count() == 1;
            assert!(group.iter().all(|one| group.iter().all(|two| has(&(one * two)))));
        }
    }
}
