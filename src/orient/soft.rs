//! Expectation–maximisation over orientations: soft weights of all hypotheses, and the averages they give.
//!
//! A hypothesis is a direction, its mirror image or not, and an in-plane angle. With scores S = ⟨F, R⟩ − ½‖R‖² its weight for an
//! image is e^(βS) over the sum of all; β < 1 is a temperature that keeps many hypotheses alive. The expectation of each direction's
//! slice is the weighted sum of the images turned to it, taken in the angular frequencies.
//!
//! In the limit of one hypothesis an image there is stochastic hill climbing: any hypothesis better than the image's last one will do, drawn at random
//! (Elmlund, Elmlund & Bengio, Structure 21 (2013) 1299).

use ndarray::ArrayView2;
use rand::RngExt;
use rayon::prelude::*;
use rustfft::FftPlanner;

use super::correlate::{Correlator, ORDER, Workspace};
use super::expansion::{COLUMNS, Expansion, TILE};
use super::rings::Rings;
use crate::fourier::Complex32;
use crate::product::multiply;
use crate::random;
use crate::task::{Cancelled, Stage};

/// Parts of the stack that are averaged side by side; fixed, so that sums do not depend on threads.
const PARTS: usize = 8;
/// Weights below e^−20 of the best are nothing in single precision.
const FAINTEST: f32 = -20.0;
/// A direction whose whole weight for an image is below this is left out of its average.
const NEGLIGIBLE: f32 = 1e-6;

/// How images choose among their hypotheses.
#[derive(Debug, Clone, Copy)]
pub enum Choice<'a> {
    /// All of them, weighed by e^(βS).
    Soft { beta: f32 },
    /// One, drawn at random from those that score higher than the image's last; the best if there is none.
    Climb { last: &'a [f32], seed: u64, round: usize },
}

/// One hypothesis of an image.
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
    /// Hypothesis of every image that took part: the best, or the one drawn.
    pub taken: Vec<Option<Hypothesis>>,
}

/// Bytes that [`expectation`] takes for `references` directions, the averages of all parts included.
pub fn bytes(rings: &Rings, references: usize) -> usize {
    let hypotheses = TILE * references * rings.angles * size_of::<Complex32>();
    PARTS * Expansion::bytes(rings, references) + rayon::current_num_threads().min(PARTS) * hypotheses
}

/// Scores of a tile of images against all hypotheses.
#[derive(Default)]
struct Scores {
    /// `[image][reference][angle]`: direct in the real part, mirrored in the imaginary.
    all: Vec<Complex32>,
    /// The best of each image and reference, `[image][reference]`.
    best: Vec<f32>,
    references: usize,
    angles: usize,
}

impl Scores {
    /// Takes the scores of tile `tile` of the images.
    fn take(&mut self, correlator: &Correlator, tile: usize, half_norms: &[f32], work: &mut Workspace) {
        let images = correlator.images().items_of(tile);
        (self.references, self.angles) = (correlator.references().len(), correlator.rings().angles);
        let (references, angles) = (self.references, self.angles);
        self.all.resize(images * references * angles, Complex32::default());
        self.best.resize(images * references, 0.0);
        for block in 0..correlator.references().tiles() {
            correlator.tile(tile, block, work, |image, reference, line| {
                let index = image % TILE * references + reference;
                let to = &mut self.all[index * angles..][..angles];
                self.best[index] = scores_of_line(line, half_norms[reference], to);
            });
        }
    }

    /// Number of images.
    fn images(&self) -> usize {
        self.best.len() / self.references
    }

    /// The best scores of image `image` for each reference.
    fn best_of(&self, image: usize) -> &[f32] {
        &self.best[image * self.references..][..self.references]
    }

    /// The best score of image `image`.
    fn top(&self, image: usize) -> f32 {
        self.best_of(image).iter().copied().fold(f32::MIN, f32::max)
    }

    fn line_mut(&mut self, image: usize, reference: usize) -> &mut [Complex32] {
        &mut self.all[(image * self.references + reference) * self.angles..][..self.angles]
    }

    /// Scores of one image whose weight at temperature `beta` is not negligible, line by line.
    fn lines(&self, image: usize, beta: f32) -> impl Iterator<Item = &[Complex32]> {
        let (top, all) = (self.top(image), &self.all[image * self.references * self.angles..]);
        let lines = all.chunks_exact(self.angles).zip(self.best_of(image));
        lines.filter(move |(_, best)| beta * (*best - top) > FAINTEST).map(|(line, _)| line)
    }

    /// A hypothesis of image `image` drawn from those that score higher than `last`; none if there are none.
    fn better(&self, image: usize, last: f32, rng: &mut impl rand::Rng) -> Option<Hypothesis> {
        let (per_image, angles) = (self.references * self.angles, self.angles);
        let all = &self.all[image * per_image..][..per_image];
        let counts: Vec<u32> = all.chunks_exact(angles).map(|line| higher(line, last)).collect();
        let count = counts.iter().sum::<u32>();
        if count == 0 {
            return None;
        }
        let mut rank = rng.random_range(0..count);
        let reference = counts.iter().position(|&count| {
            let here = rank < count;
            rank -= if here { 0 } else { count };
            here
        })?;
        let scores = all[reference * angles..][..angles].iter().flat_map(|score| [score.re, score.im]);
        let (index, score) = scores.enumerate().filter(|(_, score)| *score > last).nth(rank as usize)?;
        Some(Hypothesis { score, reference, mirrored: index % 2 == 1, angle: index / 2 })
    }

    /// The best hypothesis of image `image`.
    fn hypothesis(&self, image: usize) -> Hypothesis {
        let score = self.top(image);
        let reference = self.best_of(image).iter().position(|&best| best == score).unwrap_or(0);
        let line = &self.all[(image * self.references + reference) * self.angles..][..self.angles];
        let angle = line.iter().position(|value| value.re == score || value.im == score).unwrap_or(0);
        Hypothesis { score, reference, mirrored: line[angle].re != score, angle }
    }
}

/// Writes `line` − `half_norm` to `to`, and gives its maximum over both parts.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn scores_of_line(line: &[Complex32], half_norm: f32, to: &mut [Complex32]) -> f32 {
    let mut lanes = [[f32::MIN; 2]; 8];
    for (to, line) in to.chunks_mut(8).zip(line.chunks(8)) {
        for ((to, value), lane) in to.iter_mut().zip(line).zip(&mut lanes) {
            *to = Complex32::new(value.re - half_norm, value.im - half_norm);
            lane[0] = lane[0].max(to.re);
            lane[1] = lane[1].max(to.im);
        }
    }
    lanes.iter().fold(f32::MIN, |top, lane| top.max(lane[0]).max(lane[1]))
}

/// How many scores of a line are higher than `last`.
fn higher(line: &[Complex32], last: f32) -> u32 {
    line.iter().map(|score| u32::from(score.re > last) + u32::from(score.im > last)).sum()
}

/// The temperature at which the mean log-perplexity of some images is that of `target` equally likely hypotheses.
///
/// Newton's method on log β, kept within a shrinking bracket; the images are those of the correlator's first tile.
pub fn temperature_for(correlator: &Correlator, target: f64) -> f32 {
    let mut scores = Scores::default();
    scores.take(correlator, 0, &correlator.half_norms(), &mut correlator.workspace());
    let wanted = target.ln();
    let (mut low, mut high) = (-32.0f64, 1.0f64);
    // at the spread of the scores themselves the weights begin to choose
    let spread = (0..scores.images()).map(|image| f64::from(scores.top(image)).abs()).fold(1.0, f64::max);
    let mut log_beta = (1.0 / spread).ln().clamp(low, high);
    for _ in 0..40 {
        let (entropy, slope) = mean_entropy(&scores, log_beta.exp() as f32);
        if (entropy - wanted).abs() < 1e-3 {
            break;
        }
        if entropy > wanted {
            low = log_beta
        } else {
            high = log_beta
        }
        let newton = log_beta - (entropy - wanted) / slope;
        log_beta = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
    }
    log_beta.exp() as f32
}

/// Mean entropy of the images' weights, and its derivative with respect to log β.
fn mean_entropy(scores: &Scores, beta: f32) -> (f64, f64) {
    let of_image = |image: usize| {
        let top = scores.top(image);
        let [mut z, mut first, mut second] = [0.0f64; 3];
        for line in scores.lines(image, beta) {
            let moments = partition(line, top, beta);
            z += f64::from(moments[0]);
            first += f64::from(moments[1]);
            second += f64::from(moments[2]);
        }
        let mean = first / z;
        (z.ln() - mean, mean * mean - second / z)
    };
    let all: Vec<(f64, f64)> = (0..scores.images()).into_par_iter().map(of_image).collect();
    let count = all.len() as f64;
    let (entropy, slope) = all.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (entropy / count, slope / count)
}

/// Σ e^x, Σ x·e^x and Σ x²·e^x with x = β(S − top), over both parts.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn partition(scores: &[Complex32], top: f32, beta: f32) -> [f32; 3] {
    let mut lanes = [[0.0f32; 3]; 8];
    for chunk in scores.chunks(8) {
        for (lane, score) in lanes.iter_mut().zip(chunk) {
            // below the faintest e^x is zero, and x only has to be finite
            let (x, y) = (((score.re - top) * beta).max(-100.0), ((score.im - top) * beta).max(-100.0));
            let (ex, ey) = (exp_of_negative(x), exp_of_negative(y));
            lane[0] += ex + ey;
            lane[1] += x * ex + y * ey;
            lane[2] += x * x * ex + y * y * ey;
        }
    }
    lanes.iter().fold([0.0; 3], |sum, lane| [sum[0] + lane[0], sum[1] + lane[1], sum[2] + lane[2]])
}

/// Replaces scores by weights e^(β(S − top)), and gives their sum.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
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

/// Weighs the hypotheses of the images, and averages the images over them; only tiles for which `takes_part` is true do.
pub fn expectation(
    correlator: &Correlator,
    choice: Choice,
    takes_part: &[bool],
    stage: &Stage,
) -> Result<Expectation, Cancelled> {
    let half_norms = correlator.half_norms();
    let tiles = correlator.images().tiles();
    let per_part = tiles.div_ceil(PARTS);
    let parts: Vec<Expectation> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut average = Averager::new(correlator, choice);
            for (tile, &takes_part) in takes_part.iter().enumerate().skip(part * per_part).take(per_part) {
                if takes_part {
                    average.add_tile(tile, &half_norms);
                } else {
                    let images = correlator.images().items_of(tile);
                    average.result.taken.extend(std::iter::repeat_n(None, images));
                }
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
        sum.taken.extend(part.taken);
    }
    Ok(sum)
}

/// The running averages of one part of the stack, with its buffers.
struct Averager<'a> {
    correlator: &'a Correlator<'a>,
    choice: Choice<'a>,
    work: Workspace,
    scores: Scores,
    fft: std::sync::Arc<dyn rustfft::Fft<f32>>,
    /// For each angular frequency, the real matrix (2 rows an image × 2 columns a direction) that takes a tile's images to a tile of
    /// directions' sums.
    mixing: Vec<f32>,
    result: Expectation,
}

impl<'a> Averager<'a> {
    fn new(correlator: &'a Correlator<'a>, choice: Choice<'a>) -> Self {
        let (rings, references) = (correlator.rings(), correlator.references().len());
        Self {
            correlator,
            choice,
            work: correlator.workspace(),
            scores: Scores::default(),
            fft: FftPlanner::new().plan_fft_forward(rings.angles),
            mixing: vec![0.0; rings.orders() * ORDER],
            result: Expectation {
                sums: Expansion::zeros(rings, references),
                occupancy: vec![0.0; references],
                taken: Vec::new(),
            },
        }
    }

    fn add_tile(&mut self, tile: usize, half_norms: &[f32]) {
        self.scores.take(self.correlator, tile, half_norms, &mut self.work);
        let shares: Vec<Shares> = (0..self.scores.images())
            .map(|image| {
                let (taken, shares) = self.choose(tile, image);
                self.result.taken.push(Some(taken));
                shares
            })
            .collect();
        let references = self.correlator.references();
        for block in 0..references.tiles() {
            let columns = block * TILE..block * TILE + references.items_of(block);
            if !shares.iter().any(|shares| columns.clone().any(|reference| shares.counts(reference))) {
                continue;
            }
            self.mix(block, &shares);
            for (m, matrix) in self.mixing.chunks_exact(ORDER).enumerate() {
                let matrix = &matrix[..COLUMNS * COLUMNS];
                let matrix = ArrayView2::from_shape((COLUMNS, COLUMNS), matrix).expect("two rows an image");
                multiply(self.correlator.images().matrix(tile, m), matrix, self.result.sums.matrix_mut(block, m), true);
            }
        }
    }

    /// The hypothesis of an image of a tile, and how its weight is shared.
    fn choose(&mut self, tile: usize, image: usize) -> (Hypothesis, Shares) {
        let best = self.scores.hypothesis(image);
        match self.choice {
            Choice::Soft { beta } => (best, Shares::weigh(&mut self.scores, image, beta)),
            Choice::Climb { last, seed, round } => {
                let index = tile * TILE + image;
                let mut rng = random::stream(seed, "hill climbing", (round as u64) << 32 | index as u64);
                let taken = self.scores.better(image, last[index], &mut rng).unwrap_or(best);
                (taken, Shares::only(&mut self.scores, image, &taken))
            }
        }
    }

    /// Transforms the weights that the tile's images give to a tile of directions, and enters them in the mixing matrices.
    fn mix(&mut self, block: usize, shares: &[Shares]) {
        self.mixing.fill(0.0);
        for (image, shares) in shares.iter().enumerate() {
            for column in 0..self.correlator.references().items_of(block) {
                let reference = block * TILE + column;
                if !shares.counts(reference) {
                    continue;
                }
                self.result.occupancy[reference] += f64::from(shares.weights[reference] / shares.total);
                let spectrum = self.scores.line_mut(image, reference);
                self.fft.process_with_scratch(spectrum, self.work.scratch());
                let scale = 1.0 / shares.total;
                for (m, matrix) in self.mixing.chunks_exact_mut(ORDER).enumerate() {
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
    /// Replaces the scores of image `image` by weights, where they are not negligible.
    fn weigh(scores: &mut Scores, image: usize, beta: f32) -> Self {
        let (top, references) = (scores.top(image), scores.references);
        let weights: Vec<f32> = (0..references)
            .map(|reference| match beta * (scores.best_of(image)[reference] - top) > FAINTEST {
                true => exponentiate(scores.line_mut(image, reference), top, beta),
                false => 0.0,
            })
            .collect();
        let total = weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() as f32;
        Self { weights, total }
    }

    /// All weight of image `image` on one hypothesis.
    fn only(scores: &mut Scores, image: usize, taken: &Hypothesis) -> Self {
        let line = scores.line_mut(image, taken.reference);
        line.fill(Complex32::default());
        line[taken.angle] = if taken.mirrored { Complex32::new(0.0, 1.0) } else { Complex32::new(1.0, 0.0) };
        let mut weights = vec![0.0; scores.references];
        weights[taken.reference] = 1.0;
        Self { weights, total: 1.0 }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::testing::{self, Expanded};
    use crate::task::Task;

    /// What the averages have in common with every reference, against sums over all hypotheses of what the images, turned, have in common with it.
    #[test]
    fn averages_are_the_images_turned_back_and_weighed() {
        let mut rng = random::stream(6, "soft test", 0);
        let particles = testing::noise(&mut rng, TILE + 3, 40);
        let spectrum = testing::three_atoms(1.0, 32, particles.edge() / 32.0);
        let Expanded { rings, images, references, .. } = Expanded::new(&particles, &spectrum);
        let common = |a: &Expansion| -> Vec<Vec<Vec<Complex32>>> {
            let correlator = Correlator::new(&rings, a, &references);
            let mut lines = vec![vec![Vec::new(); references.len()]; a.len()];
            for tile in 0..a.tiles() {
                let mut work = correlator.workspace();
                correlator.tile(tile, 0, &mut work, |item, reference, line| lines[item][reference] = line.to_vec());
            }
            lines
        };
        let correlator = Correlator::new(&rings, &images, &references);
        let beta = temperature_for(&correlator, 30.0);
        let takes_part = vec![true; images.tiles()];
        let task = Task::silent();
        let stage = task.stage("test", 1);
        let found = expectation(&correlator, Choice::Soft { beta }, &takes_part, &stage).unwrap();

        let (count, half_norms) = (references.len(), correlator.half_norms());
        let mut expected = vec![vec![0.0f64; count]; count];
        let mut occupancy = vec![0.0; count];
        for lines in common(&images) {
            let weight = |direction: usize, correlation: f32| {
                (f64::from(beta) * f64::from(correlation - half_norms[direction])).exp()
            };
            let parts = |value: &Complex32| [value.re, value.im];
            let all = lines.iter().enumerate();
            let total: f64 = all.flat_map(|(d, line)| line.iter().flat_map(parts).map(move |c| weight(d, c))).sum();
            for direction in 0..count {
                for (hypothesis, value) in lines[direction].iter().flat_map(parts).enumerate() {
                    let share = weight(direction, value) / total;
                    occupancy[direction] += share;
                    for (reference, line) in lines.iter().enumerate() {
                        let turned_back = parts(&line[hypothesis / 2])[hypothesis % 2];
                        expected[direction][reference] += share * f64::from(turned_back);
                    }
                }
            }
        }
        let lines = common(&found.sums);
        let scale = expected.iter().flatten().fold(0.0f64, |top, value| top.max(value.abs()));
        for direction in 0..count {
            assert!((found.occupancy[direction] / occupancy[direction] - 1.0).abs() < 1e-4);
            for reference in 0..count {
                let (got, expected) = (f64::from(lines[direction][reference][0].re), expected[direction][reference]);
                assert!((got - expected).abs() < 1e-4 * scale, "{direction} {reference}: {got} {expected} of {scale}");
            }
        }
    }

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
