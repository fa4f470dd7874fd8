//! How far poses are from others, once the rotation between the two frames is found. For evaluation only.

use nalgebra::{Matrix3, UnitQuaternion};

use super::mirrored_in_plane;
use crate::pose::Poses;
use crate::rotation::{cubic, hexagonal, nearest, quaternion_of};
use crate::statistics::median;
use crate::structure::Structure;

/// Distances between two sets of poses after the best common rotation of the body frame, in the better hand.
#[derive(Debug, Clone)]
pub struct PoseErrors {
    /// Angle between the two rotations of each image [°].
    pub degrees: Vec<f64>,
    /// True if the poses agree better as those of the mirror image.
    pub mirrored: bool,
    /// Rotation between the two body frames: found = true rotation · frame, the mirror image taken first where `mirrored`.
    pub frame: UnitQuaternion<f64>,
}

impl PoseErrors {
    /// Median angle [°].
    pub fn median(&self) -> f64 {
        median(&self.degrees).unwrap_or(f64::NAN)
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

/// Atoms that an operation takes nearer than this to one of the same element are taken to it \[Å\].
const SAME_PLACE: f64 = 0.6;
/// Share of the atoms for which an operation has to find a partner.
const SYMMETRIC: f64 = 0.99;

/// A proper rotation, and whether an inversion follows it: something that leaves a particle as it is.
#[derive(Debug, Clone, Copy)]
pub struct SymmetryOperation {
    pub rotation: UnitQuaternion<f64>,
    pub inverts: bool,
}

/// The operations of the cubic and hexagonal holohedries along x, y and z, about its centroid, that leave a particle as it is, atoms and elements.
pub fn symmetry_of(structure: &Structure) -> Vec<SymmetryOperation> {
    let centre = structure.centroid();
    let atoms: Vec<_> = structure.atoms().iter().map(|atom| (atom.position - centre, atom.element)).collect();
    let mut found: Vec<SymmetryOperation> = Vec::new();
    for matrix in cubic().into_iter().chain(hexagonal()) {
        let partnered = |(place, element): &&(nalgebra::Vector3<f64>, _)| {
            let taken = matrix * place;
            atoms.iter().any(|(other, kind)| kind == element && (other - taken).norm() < SAME_PLACE)
        };
        let inverts = matrix.determinant() < 0.0;
        let rotation = quaternion_of(&(matrix * matrix.determinant().signum()));
        let known = |other: &SymmetryOperation| other.inverts == inverts && other.rotation.angle_to(&rotation) < 1e-6;
        if !found.iter().any(known) && atoms.iter().filter(partnered).count() as f64 >= SYMMETRIC * atoms.len() as f64 {
            found.push(SymmetryOperation { rotation, inverts });
        }
    }
    found
}

/// Errors of `found` against `truth`, which may be in another body frame and of the other hand, modulo the operations that leave the true particle as
/// it is (none: the identity alone).
///
/// A reconstruction fixes neither its frame nor its hand: with F = diag(−1, −1, 1) the rotations F·R of the mirrored
/// particle give the same projections as R.
///
/// # Panics
/// If the numbers of poses differ.
pub fn evaluate(found: &Poses, truth: &Poses, symmetry: &[SymmetryOperation]) -> PoseErrors {
    assert_eq!(found.len(), truth.len(), "the same number of poses");
    let identity = [SymmetryOperation { rotation: UnitQuaternion::identity(), inverts: false }];
    let symmetry = if symmetry.is_empty() { &identity } else { symmetry };
    let hands = [false, true].map(|mirrored| errors_in_hand(found, truth, symmetry, mirrored));
    let [same, mirror] = hands;
    if mirror.within(AGREEING) > same.within(AGREEING) { mirror } else { same }
}

fn errors_in_hand(found: &Poses, truth: &Poses, symmetry: &[SymmetryOperation], mirrored: bool) -> PoseErrors {
    let flip = mirrored_in_plane();
    // for each image the rotation between the two frames, for each operation
    let between: Vec<Vec<UnitQuaternion<f64>>> = found
        .as_slice()
        .iter()
        .zip(truth.as_slice())
        .map(|(found, truth)| {
            let equivalent = |operation: &SymmetryOperation| {
                let turned = truth.rotation * operation.rotation;
                let turned = if mirrored == operation.inverts { turned } else { flip * turned };
                turned.inverse() * found.rotation
            };
            symmetry.iter().map(equivalent).collect()
        })
        .collect();
    let nearest = |rotations: &[UnitQuaternion<f64>], q: &UnitQuaternion<f64>| {
        let all = rotations.iter().map(|p| (p.angle_to(q).to_degrees(), *p));
        all.min_by(|a, b| a.0.total_cmp(&b.0)).expect("the identity is an operation")
    };
    let voters = &between[..between.len().min(VOTERS)];
    let votes = |q: &UnitQuaternion<f64>| voters.iter().filter(|p| nearest(p, q).0 < AGREEING).count();
    let Some(mut common) = voters.iter().map(|rotations| rotations[0]).max_by_key(votes) else {
        return PoseErrors { degrees: Vec::new(), mirrored, frame: UnitQuaternion::identity() };
    };
    for _ in 0..5 {
        let near = between.iter().map(|rotations| nearest(rotations, &common)).filter(|(angle, _)| *angle < AGREEING);
        let sum = near.fold(Matrix3::zeros(), |sum, (_, q)| sum + q.to_rotation_matrix().into_inner());
        common = nearest_rotation(&sum).unwrap_or(common);
    }
    let degrees = between.iter().map(|rotations| nearest(rotations, &common).0).collect();
    PoseErrors { degrees, mirrored, frame: common }
}

/// The rotation nearest to a sum of rotation matrices; none if they cancel.
fn nearest_rotation(sum: &Matrix3<f64>) -> Option<UnitQuaternion<f64>> {
    (sum.norm() > 1e-6).then(|| quaternion_of(&nearest(sum, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::random_poses;

    #[test]
    fn random_poses_are_judged_too_and_right_ones_found_in_either_hand() {
        let (truth, other) = (random_poses(200, 1), random_poses(200, 2));
        let particle = crate::structure::bundled("pbse_2.5nm").unwrap();
        for symmetry in [Vec::new(), symmetry_of(&particle)] {
            assert!(evaluate(&other, &truth, &symmetry).within(5.0) < 0.2);
            assert!(evaluate(&truth, &truth, &symmetry).within(0.01) > 0.99);
            let mirrored: Vec<_> = truth
                .as_slice()
                .iter()
                .map(|pose| crate::pose::Pose { rotation: mirrored_in_plane() * pose.rotation, ..*pose })
                .collect();
            let errors = evaluate(&Poses::unscored(mirrored), &truth, &symmetry);
            assert!(errors.within(0.01) > 0.99);
        }
        assert!(nearest_rotation(&Matrix3::zeros()).is_none());
    }
}
