//! Viewing directions spread evenly over the sphere or half of it.

use std::f64::consts::PI;

use nalgebra::{Matrix3, UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};

use super::partition::Partition;
use crate::pose::{Pose, Poses};
use crate::random;
use crate::rotation::quaternion_of;

/// How viewing directions are laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Spherical Fibonacci lattice: one spiral from pole to pole (or to the equator).
    #[default]
    Spiral,
    /// Centres of the cells of an equal-area partition in rings about z ([`Partition`]).
    EqualArea,
}

/// Rotations that view the particle from `count` directions spread evenly over the half sphere z > 0 (spherical
/// Fibonacci lattice; Swinbank & Purser, Q. J. R. Meteorol. Soc. 132 (2006) 1769), in-plane angle 0.
///
/// The other half sphere shows their mirror images. The mean distance between neighbours is √(2π/`count`) rad.
pub fn directions(count: usize) -> Vec<UnitQuaternion<f64>> {
    direction_grid(count, Layout::Spiral, true)
}

/// The same in a layout of choice, on the half sphere z > 0 or on all of it.
pub fn direction_grid(count: usize, layout: Layout, half: bool) -> Vec<UnitQuaternion<f64>> {
    match layout {
        Layout::Spiral => {
            let golden = PI * (1.0 + 5f64.sqrt());
            let height = |part: f64| if half { part } else { 1.0 - 2.0 * part };
            let place = |i: usize| (height((i as f64 + 0.5) / count as f64), golden * (i as f64 + 0.5));
            (0..count).map(place).map(|(z, azimuth)| looking_from(z, azimuth)).collect()
        }
        Layout::EqualArea => {
            let partition = Partition::new(count, half);
            (0..partition.len()).map(|i| partition.centre(i)).map(|(z, azimuth)| looking_from(z, azimuth)).collect()
        }
    }
}

/// The rotation under which the beam runs along the body direction of height `z` and `azimuth` \[rad\], in-plane angle 0.
fn looking_from(z: f64, azimuth: f64) -> UnitQuaternion<f64> {
    let ring = (1.0 - z * z).sqrt();
    let view = Vector3::new(ring * azimuth.cos(), ring * azimuth.sin(), z);
    let x = Vector3::new(-azimuth.sin(), azimuth.cos(), 0.0);
    // rows are the image's axes in the body frame
    let rows = Matrix3::from_rows(&[x.transpose(), view.cross(&x).transpose(), view.transpose()]);
    quaternion_of(&rows)
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
