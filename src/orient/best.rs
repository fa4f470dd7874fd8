//! The best match of every image: maxima over directions, mirror images and in-plane angles, taken as the correlations are made.

use rayon::prelude::*;

use super::correlate::{Correlator, Workspace};
use super::expansion::TILE;
use crate::fourier::Complex32;
use crate::task::{Cancelled, Stage};

/// The hypothesis that explains an image best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Log-likelihood gain over an empty image, ⟨F, R⟩ − ½‖R‖².
    pub score: f32,
    pub reference: usize,
    /// Whether it is the reference's mirror image, the view from the opposite direction.
    pub mirrored: bool,
    /// Index of the in-plane angle, refined between samples.
    pub angle: f32,
}

/// Best direction, mirror image and angle of every image among the correlator's references.
///
/// # Errors
/// If the user asks to stop.
pub fn best_matches(correlator: &Correlator, stage: &Stage) -> Result<Vec<Match>, Cancelled> {
    let half_norms = correlator.half_norms();
    let found: Vec<Vec<Match>> = (0..correlator.images().tiles())
        .into_par_iter()
        .map_init(
            || correlator.workspace(),
            |work, tile| {
                let best = best_of_tile(correlator, tile, &half_norms, work, stage)?;
                stage.advance(best.len())?;
                Ok(best)
            },
        )
        .collect::<Result<_, Cancelled>>()?;
    Ok(found.concat())
}

fn best_of_tile(
    correlator: &Correlator,
    tile: usize,
    half_norms: &[f32],
    work: &mut Workspace,
    stage: &Stage,
) -> Result<Vec<Match>, Cancelled> {
    let nothing = Match { score: f32::MIN, reference: 0, mirrored: false, angle: 0.0 };
    let mut best = vec![nothing; correlator.images().items_of(tile)];
    for references in 0..correlator.references().tiles() {
        stage.task().check()?;
        correlator.tile(tile, references, work, |image, reference, line| {
            let best = &mut best[image % TILE];
            let (direct, mirrored) = maxima(line);
            if direct.max(mirrored) > best.score + half_norms[reference] {
                *best = located(line, direct, mirrored, reference, half_norms[reference]);
            }
        });
    }
    Ok(best)
}

/// The best match with a reference and the best with its mirror image.
pub fn peaks(line: &[Complex32], reference: usize, half_norm: f32) -> impl Iterator<Item = Match> + use<> {
    let (direct, mirrored) = maxima(line);
    // what is looked for must exceed what is not
    [located(line, direct, f32::MIN, reference, half_norm), located(line, f32::MIN, mirrored, reference, half_norm)]
        .into_iter()
}

/// The match at the maximum of one pair's correlations.
fn located(line: &[Complex32], direct: f32, mirrored: f32, reference: usize, half_norm: f32) -> Match {
    let (angles, is_mirror, peak) = (line.len(), mirrored > direct, direct.max(mirrored));
    let at = |i: usize| if is_mirror { line[i % angles].im } else { line[i % angles].re };
    let index = (0..angles).find(|&i| at(i) == peak).expect("the maximum is one of the values");
    let angle = index as f32 + parabola(at(index + angles - 1), peak, at(index + 1));
    Match { score: peak - half_norm, reference, mirrored: is_mirror, angle }
}

/// Largest real part and largest imaginary part.
#[multiversion::multiversion(targets("x86_64+avx2+fma"))]
fn maxima(values: &[Complex32]) -> (f32, f32) {
    let mut lanes = [[f32::MIN; 2]; 16];
    let mut chunks = values.chunks_exact(16);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            lane[0] = lane[0].max(value.re);
            lane[1] = lane[1].max(value.im);
        }
    }
    let rest = chunks.remainder().iter().map(|value| [value.re, value.im]);
    lanes.into_iter().chain(rest).fold((f32::MIN, f32::MIN), |(a, b), [re, im]| (a.max(re), b.max(im)))
}

/// Place of the top of the parabola through three values around a maximum, −½ … ½.
fn parabola(before: f32, peak: f32, after: f32) -> f32 {
    let curvature = before - 2.0 * peak + after;
    if curvature < 0.0 { (0.5 * (before - after) / curvature).clamp(-0.5, 0.5) } else { 0.0 }
}
