//! A particle that tumbles: poses of consecutive frames, related by rotational and translational diffusion.
//!
//! In a frame time Δt a small turn has a Gaussian rotation vector of variance 2·D_r·Δt about each axis of the laboratory, a step a variance of
//! 2·D_t·Δt along each axis of the image. A viewing direction is forgotten as ⟨n(0)·n(t)⟩ = e^(−2·D_r·t). Long frame times are made of smaller
//! turns, so that this holds for any. What diffuses beyond the largest shift is reflected: the camera follows the particle.
//!
//! Source: P. Debye, *Polar Molecules* (1929), chapter V; W. H. Furry, Phys. Rev. 107 (1957) 7–13.

use nalgebra::{UnitQuaternion, Vector2, Vector3};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{Error, within};
use crate::pose::{Pose, Poses};
use crate::random;

/// How a particle diffuses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brownian {
    /// Number of frames; needed.
    pub n: usize,
    /// Rotational diffusion coefficient [rad²/s]. Default: 1, about 4° about each axis in a frame of the default time.
    pub rotational_diffusion: f64,
    /// Translational diffusion coefficient in the plane of the image [Å²/s]. Default: 0.
    pub translational_diffusion: f64,
    /// Time from one frame to the next \[s\]. Default: 0.0025, a camera of 400 frames a second.
    pub frame_time: f64,
    /// Shifts beyond ± this along x and y are reflected \[Å\]. Default: 1.
    pub max_shift: f64,
    /// Seed. Default: 0.
    pub seed: u64,
}

impl Default for Brownian {
    fn default() -> Self {
        Self {
            n: 0,
            rotational_diffusion: 1.0,
            translational_diffusion: 0.0,
            frame_time: 0.0025,
            max_shift: 1.0,
            seed: 0,
        }
    }
}

/// Largest r.m.s. turn about an axis in one step \[rad\]: below it the order of turns does not matter.
const STEP: f64 = 0.1;

/// Poses of consecutive frames, the first drawn from all rotations, at the centre.
///
/// # Errors
/// If there are no frames, or an option is out of range.
pub fn trajectory(options: &Brownian) -> Result<Poses, Error> {
    within("n", options.n as f64, "frames", (1.0, 1e8), "from 1 to 100 million")?;
    within("rotational_diffusion", options.rotational_diffusion, "rad²/s", (0.0, 1e9), "from 0 to 10⁹ rad²/s")?;
    within("translational_diffusion", options.translational_diffusion, "Å²/s", (0.0, 1e15), "from 0 to 10¹⁵ Å²/s")?;
    within("frame_time", options.frame_time, "s", (1e-12, 1e6), "from 10⁻¹² to 10⁶ s")?;
    within("max_shift", options.max_shift, "Å", (0.0, 1e4), "from 0 to 10000 Å")?;
    let turn = (2.0 * options.rotational_diffusion * options.frame_time).sqrt();
    let step = (2.0 * options.translational_diffusion * options.frame_time).sqrt();
    // beyond a few hundred the direction is forgotten anyway
    let parts = (turn / STEP).powi(2).ceil().clamp(1.0, 400.0);
    let mut pose =
        Pose { rotation: random::rotation(&mut random::stream(options.seed, "trajectory", 0)), ..Pose::default() };
    let mut poses = vec![pose];
    for frame in 1..options.n {
        let mut rng = random::stream(options.seed, "trajectory", frame as u64);
        for _ in 0..parts as usize {
            let axis: [f64; 3] = std::array::from_fn(|_| rng.sample(StandardNormal));
            pose.rotation = UnitQuaternion::new(Vector3::from(axis) * (turn / parts.sqrt())) * pose.rotation;
        }
        pose.rotation.renormalize();
        let moved: [f64; 2] = std::array::from_fn(|axis| {
            let deviate: f64 = rng.sample(StandardNormal);
            reflected(pose.shift[axis] + step * deviate, options.max_shift)
        });
        pose.shift = Vector2::from(moved);
        poses.push(pose);
    }
    Ok(Poses::unscored(poses))
}

/// A coordinate folded back into ± `limit`.
fn reflected(x: f64, limit: f64) -> f64 {
    if limit == 0.0 {
        return 0.0;
    }
    let turn = (x + limit).rem_euclid(4.0 * limit);
    if turn > 2.0 * limit { 3.0 * limit - turn } else { turn - limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_forgotten_at_the_rate_of_rotational_diffusion() {
        for (rotational_diffusion, lag) in [(0.5, 40), (8.0, 4), (300.0, 1)] {
            let options =
                Brownian { n: 40_000, rotational_diffusion, frame_time: 0.004, seed: 3, ..Brownian::default() };
            let poses = trajectory(&options).unwrap();
            let views: Vec<_> = poses.as_slice().iter().map(|pose| pose.rotation * Vector3::z()).collect();
            let mean = views.iter().zip(&views[lag..]).map(|(a, b)| a.dot(b)).sum::<f64>() / (views.len() - lag) as f64;
            let expected = (-2.0 * rotational_diffusion * 0.004 * lag as f64).exp();
            assert!((mean - expected).abs() < 0.03, "{rotational_diffusion}: {mean} {expected}");
        }
    }

    #[test]
    fn steps_have_their_variance_and_stay_where_the_camera_follows() {
        let options = Brownian {
            n: 20_000,
            translational_diffusion: 2.0,
            frame_time: 0.0025,
            max_shift: 3.0,
            ..Brownian::default()
        };
        let poses = trajectory(&options).unwrap();
        let shifts: Vec<f64> = poses.as_slice().iter().map(|pose| pose.shift.x).collect();
        let squares = shifts.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f64>() / 19_999.0;
        assert!((squares / 0.01 - 1.0).abs() < 0.05, "{squares}");
        assert!(shifts.iter().all(|x| x.abs() <= 3.0) && shifts.iter().any(|x| x.abs() > 2.5));
        assert_eq!(reflected(3.5, 3.0), 2.5);
        assert_eq!(reflected(-3.5, 3.0), -2.5);
    }
}
