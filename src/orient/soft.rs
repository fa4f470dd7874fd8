//! Expectation–maximisation over orientations: soft weights of all hypotheses, and the averages they give.
//!
//! A hypothesis is a direction, its mirror image or not, and an in-plane angle. With scores S = ⟨F, R⟩ − ½‖R‖² its weight for an
//! image is e^(βS) over the sum of all; β < 1 is a temperature that keeps many hypotheses alive. The expectation of each direction's
//! slice is the weighted sum of the images turned to it, taken in the angular frequencies.

use ndarray::ArrayView2;
use rayon::prelude::*;
use rustfft::FftPlanner;

use super::correlate::{Correlator, Workspace};
use super::expansion::{COLUMNS, Expansion, TILE};
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::product::multiply;
use crate::task::{Cancelled, Stage};

/// Parts of the stack that are averaged side by side; fixed, so that sums do not depend on threads.
const PARTS: usize = 8;
/// Weights below e^−20 of the best are nothing in single precision.
const FAINTEST: f32 = -20.0;
/// A direction whose whole weight for an image is below this is left out of its average.
const NEGLIGIBLE: f32 = 1e-6;

/// The best hypothesis of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hypothesis {
    pub score: f32,
    pub reference: usize,
    pub mirrored: bool,
    pub angle: usize,
}

/// What one round of expectation gives.
pub struct Expectation {
    /// Weighted sums of turned images for each direction.
    pub sums: Expansion,
    /// Sum of the weights each direction received.
    pub occupancy: Vec<f64>,
    /// Best hypothesis of every image.
    pub best: Vec<Hypothesis>,
}

/// Bytes that [`expectation`] takes for `references` directions, the averages of all parts included.
pub fn bytes(rings: &Rings, references: usize) -> usize {
    let hypotheses = TILE * references * rings.angles * size_of::<Complex32>();
    PARTS * Expansion::bytes(rings, references) + rayon::current_num_threads().min(PARTS) * hypotheses
}

/// Scores of a tile of images against all hypotheses, `[image][reference][angle]`: direct in the real part, mirrored in the imaginary.
fn scores(correlator: &Correlator, tile: usize, half_norms: &[f32], work: &mut Workspace, out: &mut Vec<Complex32>) {
    let (angles, references) = (correlator.rings().angles, correlator.references().len());
    out.resize(correlator.images().items_of(tile) * references * angles, Complex32::default());
    for block in 0..correlator.references().tiles() {
        correlator.tile(tile, block, work, |image, reference, line| {
            let to = &mut out[(image % TILE * references + reference) * angles..][..angles];
            let norm = Complex32::new(half_norms[reference], half_norms[reference]);
            to.iter_mut().zip(line).for_each(|(to, from)| *to = from - norm);
        });
    }
}

/// The temperature at which the mean log-perplexity of some images is that of `target` equally likely hypotheses.
///
/// Bisection on log β; the images are those of the correlator's first tile.
pub fn temperature_for(correlator: &Correlator, target: f64) -> f32 {
    let half_norms = correlator.half_norms();
    let mut all = Vec::new();
    scores(correlator, 0, &half_norms, &mut correlator.workspace(), &mut all);
    let sample = correlator.images().items_of(0);
    let per_image = all.len() / sample;
    let entropy = |beta: f32| -> f64 {
        all.par_chunks_exact(per_image).map(|scores| entropy_of(scores, beta)).collect::<Vec<_>>().iter().sum::<f64>()
            / sample as f64
    };
    let (mut low, mut high) = (-14.0f64, 0.5f64);
    for _ in 0..22 {
        let middle = 0.5 * (low + high);
        if entropy(10f64.powf(middle) as f32) > target.ln() { low = middle } else { high = middle }
    }
    10f64.powf(low) as f32
}

/// Entropy of the weights e^(βS) over their sum: ln Z − β⟨S⟩.
fn entropy_of(scores: &[Complex32], beta: f32) -> f64 {
    let top = top_score(scores);
    let (mut total, mut moment) = (0.0f64, 0.0f64);
    for chunk in scores.chunks(1024) {
        let (z, m) = partition(chunk, top, beta);
        total += f64::from(z);
        moment += f64::from(m);
    }
    total.ln() - moment / total
}

/// Σ e^x and Σ x·e^x with x = β(S − top), over both parts.
#[multiversion::multiversion(targets("x86_64+avx2+fma", "x86_64+avx512f"))]
fn partition(scores: &[Complex32], top: f32, beta: f32) -> (f32, f32) {
    let mut lanes = [[0.0f32; 2]; 8];
    for chunk in scores.chunks(8) {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            let (x, y) = ((score.re - top) * beta, (score.im - top) * beta);
            let (ex, ey) = (exp_of_negative(x), exp_of_negative(y));
            lane[0] += ex + ey;
            lane[1] += x.max(-100.0) * ex + y.max(-100.0) * ey;
        }
    }
    lanes.iter().fold((0.0, 0.0), |(z, m), lane| (z + lane[0], m + lane[1]))
}

/// Replaces scores by weights e^(β(S − top)), and gives their sum.
#[multiversion::multiversion(targets("x86_64+avx2+fma", "x86_64+avx512f"))]
fn exponentiate(scores: &mut [Complex32], top: f32, beta: f32) -> f32 {
    let mut lanes = [0.0f32; 8];
    for chunk in scores.chunks_mut(8) {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            score.re = exp_of_negative((score.re - top) * beta);
            score.im = exp_of_negative((score.im - top) * beta);
            *lane += score.re + score.im;
        }
    }
    lanes.iter().sum()
}

/// e^x for x ≤ 0, to 1e−6 relative; 0 below [`FAINTEST`]. Straight-line code that the compiler turns into vector instructions.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    /// 1.5·2²³: adding it rounds to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let y = x.max(FAINTEST) * std::f32::consts::LOG2_E;
    let shifted = y + ROUND;
    let f = (y - (shifted - ROUND)) * std::f32::consts::LN_2;
    // Taylor series of e^f for |f| ≤ ½ ln 2, six terms
    let p = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f * (1.0 / 720.0))))));
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < FAINTEST { 0.0 } else { p * power }
}

fn top_score(scores: &[Complex32]) -> f32 {
    let mut lanes = [f32::MIN; 8];
    for chunk in scores.chunks(8) {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(score.re).max(score.im);
        }
    }
    lanes.into_iter().fold(f32::MIN, f32::max)
}

/// Weighs every hypothesis of every image at temperature `beta` and averages the images over them.
pub fn expectation(correlator: &Correlator, beta: f32, stage: &Stage) -> Result<Expectation, Cancelled> {
    let half_norms = correlator.half_norms();
    let tiles = correlator.images().tiles();
    let per_part = tiles.div_ceil(PARTS);
    let parts: Vec<Expectation> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut average = Averager::new(correlator, beta);
            for tile in (part * per_part).min(tiles)..((part + 1) * per_part).min(tiles) {
                average.add_tile(tile, &half_norms);
                stage.advance(0)?;
            }
            Ok(average.result)
        })
        .collect::<Result<_, Cancelled>>()?;
    let mut parts = parts.into_iter();
    let mut sum = parts.next().expect("there are parts");
    for part in parts {
        sum.sums.add(&part.sums);
        sum.occupancy.iter_mut().zip(&part.occupancy).for_each(|(a, b)| *a += b);
        sum.best.extend(part.best);
    }
    Ok(sum)
}

/// The running averages of one part of the stack, with its buffers.
struct Averager<'a> {
    correlator: &'a Correlator<'a>,
    beta: f32,
    work: Workspace,
    scores: Vec<Complex32>,
    fft: std::sync::Arc<dyn rustfft::Fft<f32>>,
    /// For each angular frequency, the real matrix (2 rows an image × 2 columns a direction) that takes a tile's images to a tile of
    /// directions' sums.
    mixing: Vec<f32>,
    result: Expectation,
}

impl<'a> Averager<'a> {
    fn new(correlator: &'a Correlator<'a>, beta: f32) -> Self {
        let (rings, references) = (correlator.rings(), correlator.references().len());
        Self {
            correlator,
            beta,
            work: correlator.workspace(),
            scores: Vec::new(),
            fft: FftPlanner::new().plan_fft_forward(rings.angles),
            mixing: vec![0.0; rings.orders() * COLUMNS * COLUMNS],
            result: Expectation {
                sums: Expansion::zeros(rings, references),
                occupancy: vec![0.0; references],
                best: Vec::new(),
            },
        }
    }

    fn add_tile(&mut self, tile: usize, half_norms: &[f32]) {
        let mut all = std::mem::take(&mut self.scores);
        scores(self.correlator, tile, half_norms, &mut self.work, &mut all);
        let (references, angles) = (self.correlator.references(), self.correlator.rings().angles);
        let mut shares = Vec::with_capacity(TILE);
        for scores in all.chunks_exact_mut(references.len() * angles) {
            let top = top_score(scores);
            self.result.best.push(locate(scores, top, angles));
            let weights = scores.chunks_exact_mut(angles).map(|line| exponentiate(line, top, self.beta)).collect();
            shares.push(Shares::new(weights));
        }
        for block in 0..references.tiles() {
            self.mix(block, &mut all, &shares);
            for (m, matrix) in self.mixing.chunks_exact(COLUMNS * COLUMNS).enumerate() {
                let matrix = ArrayView2::from_shape((COLUMNS, COLUMNS), matrix).expect("two rows an image");
                multiply(self.correlator.images().matrix(tile, m), matrix, self.result.sums.matrix_mut(block, m), true);
            }
        }
        self.scores = all;
    }

    /// Transforms the weights that the tile's images give to a tile of directions, and enters them in the mixing matrices.
    fn mix(&mut self, block: usize, weights: &mut [Complex32], shares: &[Shares]) {
        let (references, angles) = (self.correlator.references(), self.correlator.rings().angles);
        self.mixing.fill(0.0);
        for (image, shares) in shares.iter().enumerate() {
            for column in (0..references.items_of(block)).filter(|column| shares.counts(block * TILE + column)) {
                let reference = block * TILE + column;
                self.result.occupancy[reference] += f64::from(shares.weights[reference] / shares.total);
                let spectrum = &mut weights[(image * references.len() + reference) * angles..][..angles];
                self.fft.process_with_scratch(spectrum, self.work.scratch());
                let scale = 1.0 / shares.total;
                for (m, matrix) in self.mixing.chunks_exact_mut(COLUMNS * COLUMNS).enumerate() {
                    let [[p_to_p, q_to_p], [p_to_q, q_to_q]] = mixing_block(m, spectrum, scale);
                    let at = 2 * image * COLUMNS + 2 * column;
                    matrix[at] = p_to_p;
                    matrix[at + COLUMNS] = q_to_p;
                    matrix[at + 1] = p_to_q;
                    matrix[at + COLUMNS + 1] = q_to_q;
                }
            }
        }
    }
}

/// How the weight of one image is shared among the directions.
struct Shares {
    weights: Vec<f32>,
    total: f32,
}

impl Shares {
    fn new(weights: Vec<f32>) -> Self {
        let total = weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() as f32;
        Self { weights, total }
    }

    /// Whether a direction's share is worth adding.
    #[inline]
    fn counts(&self, reference: usize) -> bool {
        self.weights[reference] >= NEGLIGIBLE * self.total
    }
}

/// What angular frequency `m` of an image's weights for one direction does to the two numbers that hold the image's coefficient z, as a real 2 × 2
/// matrix: conj Ŵ·F for the direction itself plus (−1)ᵐ conj(conj Ŵ′·F) for its mirror image, which for z, with F turned by an
/// eighth and conjugated where m is odd, is conj Ŵ·z + iŴ′·conj z, the weights' spectra conjugated where m is odd.
#[inline]
fn mixing_block(m: usize, spectrum: &[Complex32], scale: f32) -> [[f32; 2]; 2] {
    let (here, there) = (spectrum[m], spectrum[(spectrum.len() - m) % spectrum.len()].conj());
    // transforms of the two real functions in the real and the imaginary part; i times the second
    let direct = (here + there) * (0.5 * scale);
    let mirrored = (here - there) * (0.5 * scale);
    let (direct, mirrored) = if m.is_multiple_of(2) { (direct.conj(), mirrored) } else { (direct, -mirrored.conj()) };
    [[direct.re + mirrored.re, mirrored.im - direct.im], [direct.im + mirrored.im, direct.re - mirrored.re]]
}

/// The hypothesis whose score is `top`.
fn locate(scores: &[Complex32], top: f32, angles: usize) -> Hypothesis {
    let index = scores.iter().position(|score| score.re == top || score.im == top).unwrap_or(0);
    Hypothesis { score: top, reference: index / angles, mirrored: scores[index].re != top, angle: index % angles }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_exponential_is_right_to_a_millionth() {
        for i in 0..=2000 {
            let x = -f64::from(i) / 100.0;
            let got = f64::from(exp_of_negative(x as f32));
            assert!((got / f64::from(x as f32).exp() - 1.0).abs() < 2e-6, "{x}: {got}");
        }
        assert_eq!(exp_of_negative(-20.1), 0.0);
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), 0.0);
    }
}
