//! Where a particle is in an image: its rotation and its in-plane shift.
//!
//! A pose is **active**: a point of the particle at `body` \[Å\] lies in the laboratory frame at
//! `R·body + (shift_x, shift_y, 0)`; the beam runs along +z and the image is the projection along z.

use std::sync::Arc;

use nalgebra::{Matrix3, UnitQuaternion, Vector2};

/// Rotation and shift of the particle in one image.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pose {
    /// Active rotation, laboratory = R·body.
    pub rotation: UnitQuaternion<f64>,
    /// In-plane shift (x, y) applied after the rotation \[Å\].
    pub shift: Vector2<f64>,
}

impl Pose {
    /// A pose without a shift.
    pub fn from_rotation(rotation: UnitQuaternion<f64>) -> Self {
        Self { rotation, shift: Vector2::zeros() }
    }

    /// The rotation as a matrix, laboratory = R·body.
    pub fn matrix(&self) -> Matrix3<f64> {
        self.rotation.to_rotation_matrix().into_inner()
    }

    /// The direction in the particle's own frame that points along the beam.
    pub fn viewing_direction(&self) -> nalgebra::Vector3<f64> {
        self.rotation.inverse() * nalgebra::Vector3::z()
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

    /// For each image the better scored of two poses.
    ///
    /// # Panics
    /// If the numbers of poses differ.
    pub fn best_of(&self, other: &Self) -> Self {
        assert_eq!(self.len(), other.len(), "the same number of poses");
        let take = |i: usize| if other.scores[i] > self.scores[i] { other } else { self };
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
