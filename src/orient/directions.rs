//! Viewing directions spread evenly over half the sphere.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion, Vector3};

use crate::pose::{Pose, Poses};
use crate::random;

/// Rotations that view the particle from `count` directions spread evenly over the half sphere z > 0 (spherical
/// Fibonacci lattice; Swinbank & Purser, Q. J. R. Meteorol. Soc. 132 (2006) 1769), in-plane angle 0.
///
/// The other half sphere shows their mirror images. The mean distance between neighbours is √(2π/`count`) rad.
pub fn directions(count: usize) -> Vec<UnitQuaternion<f64>> {
    let golden = std::f64::consts::PI * (1.0 + 5f64.sqrt());
    (0..count)
        .map(|i| {
            let z = (i as f64 + 0.5) / count as f64;
            let azimuth = golden * (i as f64 + 0.5);
            let ring = (1.0 - z * z).sqrt();
            let view = Vector3::new(ring * azimuth.cos(), ring * azimuth.sin(), z);
            let x = Vector3::new(-azimuth.sin(), azimuth.cos(), 0.0);
            // rows are the image's axes in the body frame
            let rows = Matrix3::from_rows(&[x.transpose(), view.cross(&x).transpose(), view.transpose()]);
            UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(rows))
        })
        .collect()
}

/// `count` poses with uniformly random rotations and no shift.
pub fn random_poses(count: usize, seed: u64) -> Poses {
    let draw = |i| Pose::from_rotation(random::rotation(&mut random::stream(seed, "random poses", i as u64)));
    Poses::unscored((0..count).map(draw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_cover_the_half_sphere_evenly() {
        let views: Vec<_> = directions(500).iter().map(|q| q.inverse() * Vector3::z()).collect();
        assert!(views.iter().all(|v| v.z > 0.0 && (v.norm() - 1.0).abs() < 1e-12));
        // Second moments of an even distribution over the (half) sphere: 1/3 an axis.
        for axis in 0..3 {
            let moment = views.iter().map(|v| v[axis] * v[axis]).sum::<f64>() / 500.0;
            assert!((moment - 1.0 / 3.0).abs() < 0.01, "axis {axis}: {moment}");
        }
        // No point of the sphere is farther than about the lattice spacing from a direction.
        let mut rng = random::stream(1, "directions test", 0);
        for _ in 0..200 {
            let v = random::rotation(&mut rng) * Vector3::z();
            let nearest = views.iter().map(|d| d.dot(&v).abs().min(1.0).acos()).fold(f64::MAX, f64::min);
            assert!(nearest < (std::f64::consts::TAU / 500.0).sqrt());
        }
    }
}
