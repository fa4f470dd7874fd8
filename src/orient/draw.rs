//! One of several poses for each image, at random but by their scores.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Error;
use super::even::Sphere;
use super::search::check_not_negative;
use crate::pose::Poses;
use crate::random;

/// Options of [`draw`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrawOptions {
    /// Inverse temperature; default 0: all alike.
    pub beta: f64,
    /// Whether weights are scaled until all parts of the sphere of viewing directions receive their share; default true.
    pub even: bool,
    /// Seed; default 1.
    pub seed: u64,
}

impl Default for DrawOptions {
    fn default() -> Self {
        Self { beta: 0.0, even: true, seed: 1 }
    }
}

/// For each image one of several poses, drawn with the weights e^(β·score).
///
/// # Errors
/// If there are no poses to draw from, their numbers differ, or an option makes no sense.
pub fn draw(from: &[Poses], options: &DrawOptions) -> Result<Poses, Error> {
    check_not_negative("beta", options.beta)?;
    let Some(first) = from.first() else { return Err(Error::TooFewImages { images: 0, needed: 1 }) };
    if let Some(other) = from.iter().find(|poses| poses.len() != first.len()) {
        return Err(crate::volume::Error::PoseCount { images: first.len(), poses: other.len() }.into());
    }
    let sphere = if options.even { Sphere::new() } else { Sphere::whole() };
    let hypotheses: Vec<Vec<(f32, usize)>> = (0..first.len())
        .map(|image| {
            let top = from.iter().map(|poses| poses.scores()[image]).fold(f64::MIN, f64::max);
            let of = |poses: &Poses| {
                let view = poses.as_slice()[image].viewing_direction();
                ((poses.scores()[image] - top) as f32, sphere.cell_of(&view))
            };
            from.iter().map(of).collect()
        })
        .collect();
    let weights = sphere.weights(&hypotheses, options.beta as f32);
    let taken = weights.iter().enumerate().map(|(image, weights)| {
        let mark: f32 = random::stream(options.seed, "draw poses", image as u64).random();
        let poses = &from[index_at(weights, mark)];
        (poses.as_slice()[image], poses.scores()[image])
    });
    let (poses, scores) = taken.unzip();
    Ok(Poses::new(poses, scores))
}

/// The index at which the running sum of `weights`, which add up to 1, passes `mark`.
pub fn index_at(weights: &[f32], mark: f32) -> usize {
    let mut sum = 0.0;
    let passed = weights.iter().position(|weight| {
        sum += weight;
        sum > mark
    });
    passed.unwrap_or_else(|| weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0))
}
