//! How far poses are from others, once the rotation between the two frames is found. For evaluation only.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion};

use crate::pose::Poses;

/// Distances between two sets of poses after the best common rotation of the body frame, in the better hand.
#[derive(Debug, Clone)]
pub struct PoseErrors {
    /// Angle between the two rotations of each image [°].
    pub degrees: Vec<f64>,
    /// True if the poses agree better as those of the mirror image.
    pub mirrored: bool,
}

impl PoseErrors {
    /// Median angle [°].
    pub fn median(&self) -> f64 {
        let mut sorted = self.degrees.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Fraction of images within `degrees` of the true rotation.
    pub fn within(&self, degrees: f64) -> f64 {
        let right = self.degrees.iter().filter(|&&angle| angle < degrees).count();
        right as f64 / self.degrees.len().max(1) as f64
    }
}

/// Rotations that count as agreeing while the common one is sought [°].
const AGREEING: f64 = 10.0;
/// Images from which the common rotation is guessed.
const VOTERS: usize = 400;

/// Errors of `found` against `truth`, which may be in another body frame and of the other hand.
///
/// A reconstruction fixes neither its frame nor its hand: with F = diag(−1, −1, 1) the rotations F·R of the mirrored
/// particle give the same projections as R.
///
/// # Panics
/// If the numbers of poses differ.
pub fn evaluate(found: &Poses, truth: &Poses) -> PoseErrors {
    assert_eq!(found.len(), truth.len(), "the same number of poses");
    let hands = [false, true].map(|mirrored| errors_in_hand(found, truth, mirrored));
    let [same, mirror] = hands;
    if mirror.within(AGREEING) > same.within(AGREEING) { mirror } else { same }
}

fn errors_in_hand(found: &Poses, truth: &Poses, mirrored: bool) -> PoseErrors {
    let flip = UnitQuaternion::from_axis_angle(&nalgebra::Vector3::z_axis(), std::f64::consts::PI);
    let between: Vec<UnitQuaternion<f64>> = found
        .as_slice()
        .iter()
        .zip(truth.as_slice())
        .map(|(found, truth)| {
            let truth = if mirrored { flip * truth.rotation } else { truth.rotation };
            truth.inverse() * found.rotation
        })
        .collect();
    let voters = &between[..between.len().min(VOTERS)];
    let votes = |q: &UnitQuaternion<f64>| voters.iter().filter(|p| p.angle_to(q).to_degrees() < AGREEING).count();
    let Some(mut common) = voters.iter().max_by_key(|q| votes(q)).copied() else {
        return PoseErrors { degrees: Vec::new(), mirrored };
    };
    for _ in 0..5 {
        let near = between.iter().filter(|q| q.angle_to(&common).to_degrees() < AGREEING);
        let sum = near.fold(Matrix3::zeros(), |sum, q| sum + q.to_rotation_matrix().into_inner());
        common = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix(&sum));
    }
    PoseErrors { degrees: between.iter().map(|q| q.angle_to(&common).to_degrees()).collect(), mirrored }
}
