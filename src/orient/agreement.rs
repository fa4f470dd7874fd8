//! Whether two independent reconstructions of the same images found the same particle.
//!
//! Each has a frame and a hand of its own. The rotation between the two frames is the one that most images vote for; through it the two densities
//! are compared, shell by shell. The densities of a particle that is symmetric agree also where images took different, equivalent
//! poses; those of two wrong solutions do not, but for one trap: two averages over the same symmetry.

use serde::{Deserialize, Serialize};

use super::search::check_positive;
use super::{Error, directions, evaluate};
use crate::pose::Poses;
use crate::volume::{Spectrum, Volume};

/// Options of [`agreement`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgreementOptions {
    /// Resolution to which densities are compared \[Å\]; default 3.0.
    pub low_pass: f64,
    /// Angle within which two poses agree \[°\]; default 10.
    pub angle: f64,
}

impl Default for AgreementOptions {
    fn default() -> Self {
        Self { low_pass: 3.0, angle: 10.0 }
    }
}

/// How far two reconstructions agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Share of the images whose poses agree.
    pub poses: f64,
    /// Fourier shell correlation of the densities, mean over the shells by their volume.
    pub density: f64,
    /// True if one is the mirror image of the other.
    pub mirrored: bool,
}

/// Directions along whose slices two densities are compared.
const VIEWS: usize = 300;
/// Frequencies below this show the particle's outline, about which wrong solutions agree too [1/Å].
const OUTLINE: f64 = 0.1;

/// Agreement of two solutions `(poses, density)` for the same images.
///
/// # Errors
/// If the numbers of poses differ, a density does not carry the limit, or the limit leaves nothing but outlines.
pub fn agreement(a: (&Poses, &Volume), b: (&Poses, &Volume), options: &AgreementOptions) -> Result<Agreement, Error> {
    check_positive("angle", options.angle)?;
    if a.0.len() != b.0.len() {
        return Err(crate::volume::Error::PoseCount { images: a.0.len(), poses: b.0.len() }.into());
    }
    a.1.check_limit(options.low_pass)?;
    b.1.check_limit(options.low_pass)?;
    let step = 1.0 / a.1.edge();
    let rings = (1.0 / options.low_pass / step * (1.0 + 1e-6)) as usize;
    if (rings as f64) * step < OUTLINE {
        return Err(Error::Option {
            name: "low_pass",
            range: "finer than 10 Å, or only outlines are compared",
            value: options.low_pass,
        });
    }
    let errors = evaluate(b.0, a.0, &[]);
    let spectra = [a.1, b.1].map(|density| Spectrum::new(density, options.low_pass));
    let mut shells = vec![[0.0f64; 3]; rings + 1];
    for view in directions(VIEWS) {
        let here = spectra[0].slice(&view.to_rotation_matrix().into_inner());
        let there = spectra[1].slice(&(view * errors.frame).to_rotation_matrix().into_inner());
        for (ring, shell) in shells.iter_mut().enumerate().skip(1) {
            let s = ring as f64 * step;
            for i in 0..4 * ring {
                let (sin, cos) = (std::f64::consts::PI * i as f64 / (4 * ring) as f64).sin_cos();
                let at = ((s * cos) as f32, (s * sin) as f32);
                let (p, q) = (here.value(at.0, at.1), there.value(at.0, at.1));
                // the mirror image about the centre has the conjugate spectrum
                let q = if errors.mirrored { q.conj() } else { q };
                shell[0] += f64::from(p.re * q.re + p.im * q.im);
                shell[1] += f64::from(p.norm_sqr());
                shell[2] += f64::from(q.norm_sqr());
            }
        }
    }
    let (mut sum, mut volume) = (0.0, 0.0);
    for (ring, [cross, a, b]) in shells.iter().enumerate().filter(|(ring, _)| *ring as f64 * step >= OUTLINE) {
        let weight = (ring * ring) as f64;
        sum += weight * cross / (a * b).sqrt().max(f64::MIN_POSITIVE);
        volume += weight;
    }
    Ok(Agreement { poses: errors.within(options.angle), density: sum / volume, mirrored: errors.mirrored })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::random_poses;
    use crate::pose::Pose;
    use crate::volume::density_of_atoms;
    use nalgebra::{Point3, UnitQuaternion, Vector3};

    #[test]
    fn a_turned_and_mirrored_solution_agrees_and_another_particle_does_not() {
        let atoms: Vec<Point3<f64>> =
            [[1.0, 2.0, 3.0], [-3.0, 0.5, 1.0], [2.0, -3.0, -2.0], [0.0, 4.0, -1.0]].map(Point3::from).to_vec();
        let density = |place: &dyn Fn(&Point3<f64>) -> Point3<f64>| {
            let placed: Vec<_> = atoms.iter().map(|atom| (place(atom), 1.0)).collect();
            density_of_atoms(&placed, 0.7, 40, 0.8)
        };
        let frame = UnitQuaternion::from_scaled_axis(Vector3::new(0.4, -1.0, 0.7));
        let poses = random_poses(60, 3);
        let seen_from = |flip: UnitQuaternion<f64>| {
            Poses::unscored(poses.as_slice().iter().map(|p| Pose::from_rotation(flip * p.rotation * frame)).collect())
        };
        let original = density(&|atom| *atom);
        let options = AgreementOptions { low_pass: 2.5, ..AgreementOptions::default() };
        // lab = R·body = (R·frame)·(frame⁻¹·body)
        let turned = density(&|atom| frame.inverse() * atom);
        let same = agreement((&poses, &original), (&seen_from(UnitQuaternion::identity()), &turned), &options).unwrap();
        assert!(same.poses == 1.0 && same.density > 0.95 && !same.mirrored, "{same:?}");
        let mirror = density(&|atom| -(frame.inverse() * atom));
        let flipped = seen_from(crate::orient::mirrored_in_plane());
        let other_hand = agreement((&poses, &original), (&flipped, &mirror), &options).unwrap();
        assert!(other_hand.poses == 1.0 && other_hand.density > 0.95 && other_hand.mirrored, "{other_hand:?}");
        let stranger = agreement((&poses, &original), (&random_poses(60, 4), &original), &options).unwrap();
        assert!(stranger.poses < 0.3 && stranger.density < 0.8, "{stranger:?}");
    }
}
