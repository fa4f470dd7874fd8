//! Where a particle is in an image: its rotation and its in-plane shift.
//!
//! A pose is **active**: a point of the particle at `body` \[Å\] lies in the laboratory frame at
//! `R·body + (shift_x, shift_y, 0)`; the beam runs along +z and the image is the projection along z.
//!
//! # Euler angles
//!
//! [`euler_angles`] gives rot, tilt and psi as RELION, Xmipp and their kin define them (Heymann, Chagoyen & Belnap, J. Struct. Biol. 151
//! (2005) 196). There the coordinate axes turn: by rot about z, by tilt about the new y, by psi about the new z, and a body point has the
//! image coordinates A·body with A = P_z(psi)·P_y(tilt)·P_z(rot), where P_z(θ) = [[cos θ, sin θ, 0], [−sin θ, cos θ, 0], [0, 0, 1]] and
//! P_y(θ) = [[cos θ, 0, −sin θ], [0, 1, 0], [sin θ, 0, cos θ]]. Rows 0 and 1 of A are the image's x and y axes in the body frame, row 2 is the
//! viewing direction (sin tilt·cos rot, sin tilt·sin rot, cos tilt). That is our R itself: A = R. As turning the axes by θ is turning the body by −θ, in
//! active rotations R = R_z(−psi)·R_y(−tilt)·R_z(−rot). At tilt 0° and 180° only psi + rot or psi − rot has a meaning; rot is then 0.

use std::sync::Arc;

use nalgebra::{Matrix3, Quaternion, UnitQuaternion, Vector2, Vector3};

/// Half tilt \[rad\] nearer than this to 0 or 90° is rounding, and leaves rot and psi undetermined.
const DEGENERATE: f64 = 1e-14;

/// The angles (rot, tilt, psi) \[°\] of an active rotation; rot and psi in −180…180, tilt in 0…180.
///
/// Taken from the quaternion, whose components are the cosine or sine of half the tilt times those of (psi ± rot)/2: well conditioned at every tilt.
pub fn euler_angles(rotation: &UnitQuaternion<f64>) -> [f64; 3] {
    let q = rotation.quaternion();
    let (cosine, sine) = (q.w.hypot(q.k), q.i.hypot(q.j));
    let half_sum = (-q.k).atan2(q.w);
    let half_difference = (-q.i).atan2(-q.j);
    let (rot, psi) = if sine < DEGENERATE {
        (0.0, 2.0 * half_sum)
    } else if cosine < DEGENERATE {
        (0.0, 2.0 * half_difference)
    } else {
        (half_sum - half_difference, half_sum + half_difference)
    };
    [wrapped(rot), 2.0 * sine.atan2(cosine).to_degrees(), wrapped(psi)]
}

/// The active rotation of the angles (rot, tilt, psi) \[°\], which may have any value.
pub fn from_euler_angles([rot, tilt, psi]: [f64; 3]) -> UnitQuaternion<f64> {
    let about = |axis, degrees: f64| UnitQuaternion::from_axis_angle(&axis, -degrees.to_radians());
    about(Vector3::z_axis(), psi) * about(Vector3::y_axis(), tilt) * about(Vector3::z_axis(), rot)
}

/// An angle \[rad\] in degrees from −180 to 180, never −0.
fn wrapped(angle: f64) -> f64 {
    let degrees = angle.to_degrees();
    degrees - 360.0 * (degrees / 360.0).round() + 0.0
}

/// Rotation and shift of the particle in one image.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pose {
    /// Active rotation, laboratory = R·body.
    pub rotation: UnitQuaternion<f64>,
    /// In-plane shift (x, y) applied after the rotation \[Å\].
    pub shift: Vector2<f64>,
}

impl Pose {
    /// The pose at which the mirror image of the particle, z reversed, has the same projection.
    pub fn mirrored(&self) -> Self {
        let q = self.rotation.quaternion();
        let rotation = UnitQuaternion::new_unchecked(Quaternion::new(q.w, -q.i, -q.j, q.k));
        Self { rotation, shift: self.shift }
    }

    /// A pose without a shift.
    pub fn from_rotation(rotation: UnitQuaternion<f64>) -> Self {
        Self { rotation, shift: Vector2::zeros() }
    }

    /// The rotation as a matrix, laboratory = R·body.
    pub fn matrix(&self) -> Matrix3<f64> {
        self.rotation.to_rotation_matrix().into_inner()
    }

    /// The direction in the particle's own frame that points along the beam.
    pub fn viewing_direction(&self) -> Vector3<f64> {
        self.rotation.inverse() * Vector3::z()
    }
}

/// One pose an image, with the score each was given (higher is better; zero where nothing has scored it).
///
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Poses {
    poses: Arc<Vec<Pose>>,
    scores: Arc<Vec<f64>>,
}

impl Poses {
    /// Poses with their scores.
    ///
    /// # Panics
    /// If the two lengths differ.
    pub fn new(poses: Vec<Pose>, scores: Vec<f64>) -> Self {
        assert_eq!(poses.len(), scores.len(), "one score a pose");
        Self { poses: Arc::new(poses), scores: Arc::new(scores) }
    }

    /// The poses at which the mirror image of the particle, z reversed, has the same projections.
    pub fn mirrored(&self) -> Self {
        Self { poses: Arc::new(self.poses.iter().map(Pose::mirrored).collect()), scores: self.scores.clone() }
    }

    /// Poses that nothing has scored yet.
    pub fn unscored(poses: Vec<Pose>) -> Self {
        let scores = vec![0.0; poses.len()];
        Self::new(poses, scores)
    }

    pub fn len(&self) -> usize {
        self.poses.len()
    }

    pub fn is_empty(&self) -> bool {
        self.poses.is_empty()
    }

    pub fn as_slice(&self) -> &[Pose] {
        &self.poses
    }

    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The poses whose indices are given, in that order, with their scores.
    ///
    /// # Panics
    /// If there is no pose of that index.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self::new(indices.iter().map(|&i| self.poses[i]).collect(), indices.iter().map(|&i| self.scores[i]).collect())
    }

    /// The poses with those of `indices` replaced by `others`, in that order, and their scores.
    ///
    /// # Panics
    /// If there is no pose of an index, or the numbers differ.
    pub fn replaced(&self, indices: &[usize], others: &Self) -> Self {
        assert_eq!(indices.len(), others.len(), "a pose for each index");
        let (mut poses, mut scores) = (self.poses.to_vec(), self.scores.to_vec());
        for (&index, (pose, score)) in indices.iter().zip(others.poses.iter().zip(others.scores.iter())) {
            (poses[index], scores[index]) = (*pose, *score);
        }
        Self::new(poses, scores)
    }

    /// For each image its pose here, or the other one where that is scored better by more than `margin`.
    ///
    /// # Panics
    /// If the numbers of poses differ.
    pub fn best_of(&self, other: &Self, margin: f64) -> Self {
        assert_eq!(self.len(), other.len(), "the same number of poses");
        let take = |i: usize| if other.scores[i] > self.scores[i] + margin { other } else { self };
        Self::new(
            (0..self.len()).map(|i| take(i).poses[i]).collect(),
            (0..self.len()).map(|i| take(i).scores[i]).collect(),
        )
    }

    /// Mean score over the images.
    pub fn mean_score(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    /// The matrix as the module's comment writes it out.
    fn by_formula([rot, tilt, psi]: [f64; 3]) -> Matrix3<f64> {
        let about_z = |degrees: f64| {
            let (s, c) = degrees.to_radians().sin_cos();
            Matrix3::new(c, s, 0.0, -s, c, 0.0, 0.0, 0.0, 1.0)
        };
        let (s, c) = tilt.to_radians().sin_cos();
        about_z(psi) * Matrix3::new(c, 0.0, -s, 0.0, 1.0, 0.0, s, 0.0, c) * about_z(rot)
    }

    #[test]
    fn euler_angles_give_the_rotation_back_at_every_tilt() {
        let mut rng = random::stream(3, "euler test", 0);
        let mut rotations: Vec<_> = (0..2000).map(|_| random::rotation(&mut rng)).collect();
        for tilt in [0.0, 1e-14, 1e-10, 1e-6, 1e-3, 90.0, 179.999, 180.0 - 1e-6, 180.0 - 1e-10, 180.0] {
            for (rot, psi) in [(0.0, 0.0), (10.0, -170.0), (-179.0, 33.0), (180.0, 180.0)] {
                rotations.push(from_euler_angles([rot, tilt, psi]));
            }
        }
        for rotation in rotations {
            let angles = euler_angles(&rotation);
            let back = from_euler_angles(angles);
            // the angle between the two, from the sine: a cosine cannot tell 1e-6° from 0
            let off = 2.0 * (back.inverse() * rotation).imag().norm().asin().to_degrees();
            assert!(off < 1e-11, "{angles:?}: {off}°");
            assert!((by_formula(angles) - rotation.to_rotation_matrix().into_inner()).norm() < 1e-12, "{angles:?}");
            assert!((0.0..=180.0).contains(&angles[1]) && angles[0].abs() <= 180.0 && angles[2].abs() <= 180.0);
        }
        let upright = euler_angles(&from_euler_angles([40.0, 0.0, 20.0]));
        assert!(upright[0] == 0.0 && upright[1] == 0.0 && (upright[2] - 60.0).abs() < 1e-12, "{upright:?}");
        let inverted = euler_angles(&from_euler_angles([40.0, 180.0, 20.0]));
        assert!(inverted[0] == 0.0 && (inverted[2] + 20.0).abs() < 1e-12, "{inverted:?}");
    }

    #[test]
    fn tilt_and_rot_are_the_colatitude_and_longitude_of_the_view() {
        let view = Pose::from_rotation(from_euler_angles([30.0, 60.0, -50.0])).viewing_direction();
        let (s, c) = 60f64.to_radians().sin_cos();
        let (sr, cr) = 30f64.to_radians().sin_cos();
        assert!((view - Vector3::new(s * cr, s * sr, c)).norm() < 1e-14, "{view}");
    }

    #[test]
    fn another_pose_is_taken_where_it_is_better_by_more_than_the_margin() {
        let poses = |angle: f64, scores: &[f64]| {
            let pose = Pose::from_rotation(from_euler_angles([angle, 0.0, 0.0]));
            Poses::new(vec![pose; scores.len()], scores.to_vec())
        };
        let (a, b) = (poses(0.0, &[1.0, 1.0, 1.0]), poses(40.0, &[0.5, 3.5, 4.5]));
        let taken = |margin| -> Vec<f64> { a.best_of(&b, margin).scores().to_vec() };
        assert_eq!(taken(0.0), [1.0, 3.5, 4.5]);
        assert_eq!(taken(3.0), [1.0, 1.0, 4.5]);
        assert_eq!(a.best_of(&b, 3.0).as_slice()[2], b.as_slice()[2]);
    }
}
