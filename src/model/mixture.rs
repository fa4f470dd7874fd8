//! How sure the element of each atom is: a mixture of one bell curve a class.
//!
//! The noise of an intensity is that of the images, the same for all atoms, but errors of poses and contrasts grow with the intensity: bells are equally wide, or those of
//! brighter atoms wider, and none is narrower than the noise but by chance.
//! Where bells overlap, a hundred atoms do not tell exactly where each is; the best ones claim more certainty than there is. So the probabilities are means over
//! all bells that the atoms allow, drawn by turns with the classes (Gibbs sampling; Diebolt and Robert, J. R. Stat. Soc. B 56 (1994) 363).
//!
//! How wide a peak is tells elements apart too, where it says more than the intensity does: p(a, w | class) = p(a | class)·p(w | a, class), and w given a is a straight
//! line in the intensity and in what the trend depends on, one level a class. Without clear evidence that the levels differ widths take no part at all.

use nalgebra::{DMatrix, DVector};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};

use crate::random;

/// Draws of bells and classes, and how many of them are left out at the beginning.
const DRAWS: usize = 600;
const FORGOTTEN: usize = 100;
/// Least standard deviation, as a part of the mean: what is nearer than that is not told apart by chance.
const LEAST_DEVIATION: f64 = 0.005;
/// As many atoms speak for all bells being equally wide.
const PRIOR_DEVIATIONS: f64 = 40.0;
/// What is known of the classes' sizes beforehand, as this many atoms in each: none is empty.
const PRIOR_ATOMS: f64 = 5.0;
/// Widths count if they gain this many times ln n of log-likelihood a class but one; Schwarz's criterion asks for half of it.
const WIDTH_GAIN: f64 = 1.0;
/// Steps of the search for what widths say; fewest atoms a class from which they are asked.
const WIDTH_STEPS: usize = 50;
const ATOMS_FOR_WIDTHS: usize = 12;
/// Least deviation of a width within its class, as a part of that of all; and how many atoms with the mean width each class is thought to have
/// beforehand, for one that has become empty.
const LEAST_WIDTH: f64 = 1e-3;
/// Widths that are farther from the mean count as if they were that far, in standard deviations.
const FARTHEST_WIDTH: f64 = 3.0;
const PRIOR_WIDTHS: f64 = 0.1;

/// What is known of the bells before they are drawn.
#[derive(Default)]
pub(super) struct Bells<'a> {
    /// Parts of the classes in all atoms, any scale; drawn if not given.
    pub weights: Option<&'a [f64]>,
    /// What the noise alone makes of their width; 0 if it is not known.
    pub least_deviation: f64,
}

/// Widths of the atoms' peaks beside the intensities.
pub(super) struct Widths {
    /// In standard deviations from their mean.
    values: DVector<f64>,
    /// What a width may depend on beside the class, a column each: the intensity, and the exposure that the trend follows.
    others: DMatrix<f64>,
}

/// Widths given everything else: a level for each class, then slopes along [`Widths::others`].
struct Line {
    coefficients: DVector<f64>,
    deviation: f64,
}

impl Widths {
    /// `exposures` are zero where intensities follow no trend.
    pub fn new(values: &[f64], intensities: &[f64], exposures: &[f64]) -> Self {
        let columns = [standardised(intensities), standardised(exposures)];
        let others = DMatrix::from_fn(values.len(), 2, |row, column| columns[column][row]);
        let values = standardised(values).into_iter().map(|value| value.clamp(-FARTHEST_WIDTH, FARTHEST_WIDTH));
        Self { values: DVector::from_iterator(columns[0].len(), values), others }
    }

    /// The levels and slopes of least squares, where each atom belongs to classes by `shares`.
    fn line(&self, shares: &[Vec<f64>]) -> (Line, DMatrix<f64>) {
        let classes = shares.first().map_or(0, Vec::len);
        let unknowns = classes + self.others.ncols();
        let (mut matrix, mut target) = (DMatrix::identity(unknowns, unknowns) * PRIOR_WIDTHS, DVector::zeros(unknowns));
        for (atom, shares) in shares.iter().enumerate() {
            for (class, &share) in shares.iter().enumerate() {
                let row = self.row(atom, class, classes);
                matrix.ger(share, &row, &row, 1.0);
                target.axpy(share * self.values[atom], &row, 1.0);
            }
        }
        let inverse = matrix.try_inverse().unwrap_or_else(|| DMatrix::zeros(unknowns, unknowns));
        let mut line = Line { coefficients: &inverse * target, deviation: LEAST_WIDTH };
        let square = |(atom, shares): (usize, &Vec<f64>)| {
            let of_class = |(class, share): (usize, &f64)| share * self.off(atom, class, classes, &line).powi(2);
            shares.iter().enumerate().map(of_class).sum::<f64>()
        };
        let squares: f64 = shares.iter().enumerate().map(square).sum();
        line.deviation = (squares / shares.len().max(1) as f64).sqrt().max(LEAST_WIDTH);
        (line, inverse)
    }

    fn row(&self, atom: usize, class: usize, classes: usize) -> DVector<f64> {
        DVector::from_fn(classes + self.others.ncols(), |i, _| match i.checked_sub(classes) {
            Some(other) => self.others[(atom, other)],
            None => f64::from(u8::from(i == class)),
        })
    }

    /// By how much an atom's width is off, if it is of a class.
    fn off(&self, atom: usize, class: usize, classes: usize, line: &Line) -> f64 {
        let slopes = (0..self.others.ncols()).map(|i| self.others[(atom, i)] * line.coefficients[classes + i]);
        self.values[atom] - line.coefficients[class] - slopes.sum::<f64>()
    }

    /// Whether the classes, known by intensity to `probabilities`, clearly differ in width.
    fn tell(&self, probabilities: &[Vec<f64>]) -> bool {
        let (count, classes) = (probabilities.len(), probabilities.first().map_or(0, Vec::len));
        if classes < 2 || count < ATOMS_FOR_WIDTHS * classes {
            return false;
        }
        let alike = self.line(&vec![vec![1.0]; count]).0;
        let without: f64 = (0..count).map(|atom| log_bell(self.off(atom, 0, 1, &alike), alike.deviation)).sum();
        let (mut shares, mut with) = (probabilities.to_vec(), f64::NEG_INFINITY);
        for _ in 0..WIDTH_STEPS {
            let line = self.line(&shares).0;
            with = 0.0;
            for (atom, (shares, probabilities)) in shares.iter_mut().zip(probabilities).enumerate() {
                let log = |class: usize| log_bell(self.off(atom, class, classes, &line), line.deviation);
                let highest = (0..classes).map(log).fold(f64::NEG_INFINITY, f64::max);
                for (class, share) in shares.iter_mut().enumerate() {
                    *share = probabilities[class] * (log(class) - highest).exp();
                }
                let total = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                shares.iter_mut().for_each(|share| *share /= total);
                with += highest + total.ln();
            }
        }
        with - without > WIDTH_GAIN * (classes - 1) as f64 * (count as f64).ln()
    }
}

/// Values with a mean of 0 and a standard deviation of 1; 0 if all are the same.
fn standardised(values: &[f64]) -> Vec<f64> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scale = if deviation > 1e-9 * mean.abs().max(f64::MIN_POSITIVE) { 1.0 / deviation } else { 0.0 };
    values.iter().map(|value| scale * (value - mean)).collect()
}

/// Logarithm of a bell curve of area √(2π).
fn log_bell(off: f64, deviation: f64) -> f64 {
    -0.5 * (off / deviation).powi(2) - deviation.ln()
}

impl Bells<'_> {
    /// Probability of each class for each intensity, beginning from a division into classes; the means of the classes rise. By the widths too, where they clearly tell classes apart.
    pub fn probabilities(&self, values: &[f64], classes: &[usize], widths: Option<&Widths>) -> Vec<Vec<f64>> {
        let by_intensity = self.sampled(values, classes, None);
        let Some(widths) = widths.filter(|widths| widths.tell(&by_intensity)) else { return by_intensity };
        let by_both = self.sampled(values, classes, Some(widths));
        if agree(&by_both, &by_intensity) { by_both } else { by_intensity }
    }

    fn sampled(&self, values: &[f64], classes: &[usize], widths: Option<&Widths>) -> Vec<Vec<f64>> {
        let count = classes.iter().max().map_or(0, |class| class + 1);
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let least = self.least_deviation.max(LEAST_DEVIATION * mean.abs()).max(f64::MIN_POSITIVE);
        let mut rng = random::stream(0, "mixture", 0);
        let mut classes = classes.to_vec();
        let mut sums = vec![vec![0.0; count]; values.len()];
        let mut shares = vec![0.0; count];
        for draw in 0..DRAWS {
            let bells = self.drawn(values, &classes, count, least, &mut rng);
            let line = widths.map(|widths| (widths, drawn_line(widths, &classes, count, &mut rng)));
            for (atom, (&value, sums)) in values.iter().zip(&mut sums).enumerate() {
                let width = |class: usize| {
                    let (widths, line) = line.as_ref()?;
                    Some(log_bell(widths.off(atom, class, count, line), line.deviation))
                };
                bells.share_out(value, |class| width(bells.order[class]).unwrap_or(0.0), &mut shares);
                classes[atom] = drawn_of(&shares, rng.random());
                if draw >= FORGOTTEN {
                    sums.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share / (DRAWS - FORGOTTEN) as f64);
                }
            }
        }
        sums
    }

    /// Bells as the values of each class allow them.
    fn drawn(&self, values: &[f64], classes: &[usize], count: usize, least: f64, rng: &mut ChaCha8Rng) -> Drawn {
        let (mut sizes, mut means, mut squares) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        for (value, &class) in values.iter().zip(classes) {
            sizes[class] += 1.0;
            means[class] += value;
        }
        means.iter_mut().zip(&sizes).for_each(|(mean, size)| *mean /= f64::max(*size, 1.0));
        for (value, &class) in values.iter().zip(classes) {
            squares[class] += (value - means[class]).powi(2);
        }
        let deviations = deviations(&sizes, &means, &squares);
        let mut bells: Vec<(f64, f64, f64, usize)> = Vec::with_capacity(count);
        for (class, (mean, size)) in means.into_iter().zip(sizes).enumerate() {
            // as few atoms scatter less than the noise by chance
            let by_chance = 1.0 - (2.0 * size.max(1.0)).sqrt().recip();
            let deviation = deviations[class].max(by_chance * least);
            let off = deviation / size.max(1.0).sqrt() * rng.sample::<f64, _>(StandardNormal);
            let weight = Gamma::new(size + PRIOR_ATOMS, 1.0).expect("a positive shape").sample(rng);
            bells.push((mean + off, deviation, weight, class));
        }
        // a class that has become brighter than the next changes places with it, with all its atoms
        bells.sort_by(|a, b| a.0.total_cmp(&b.0));
        let weights = bells.iter().map(|bell| bell.2).collect();
        Drawn {
            means: bells.iter().map(|bell| bell.0).collect(),
            deviations: bells.iter().map(|bell| bell.1).collect(),
            weights: self.weights.map_or(weights, <[f64]>::to_vec),
            order: bells.iter().map(|bell| bell.3).collect(),
        }
    }
}

/// Standard deviations of classes with sums of squares about their means: in proportion to a power of the mean, from the 0th, the noise of images, to the 1st, errors of
/// contrast.
fn deviations(sizes: &[f64], means: &[f64], squares: &[f64]) -> Vec<f64> {
    let total = sizes.iter().sum::<f64>().max(1.0);
    let common = squares.iter().sum::<f64>() / total;
    let single = |class: usize| (squares[class] + PRIOR_DEVIATIONS * common) / (sizes[class] + PRIOR_DEVIATIONS);
    let by_mean = |&a: &usize, &b: &usize| means[a].total_cmp(&means[b]);
    let (faintest, brightest) = ((0..means.len()).min_by(by_mean), (0..means.len()).max_by(by_mean));
    let power = match (faintest, brightest) {
        (Some(faintest), Some(brightest)) if means[faintest] > 0.0 && means[brightest] > means[faintest] => {
            let rise = 0.5 * (single(brightest) / single(faintest)).ln();
            (rise / (means[brightest] / means[faintest]).ln()).clamp(0.0, 1.0)
        }
        _ => 0.0,
    };
    // a power that is no number, of classes without any spread, is none
    let power = if power.is_nan() { 0.0 } else { power };
    let scale = |class: usize| if power > 0.0 { means[class].max(0.0).powf(power).max(f64::MIN_POSITIVE) } else { 1.0 };
    let square: f64 = (0..means.len()).map(|class| squares[class] / scale(class).powi(2)).sum::<f64>() / total;
    (0..means.len()).map(|class| square.sqrt() * scale(class)).collect()
}

/// Whether one set of probabilities changes no more atoms' most probable class than the `others` say are wrong: two standard deviations more than expected are another
/// division, not a better one.
fn agree(probabilities: &[Vec<f64>], others: &[Vec<f64>]) -> bool {
    let changed = probabilities.iter().zip(others).filter(|(one, other)| best(one) != best(other)).count() as f64;
    let expected: f64 = others.iter().map(|shares| 1.0 - shares[best(shares)]).sum();
    changed <= expected + 2.0 * expected.sqrt()
}

/// The most probable class.
fn best(shares: &[f64]) -> usize {
    (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0)
}

/// Levels and slopes of the widths as the atoms of each class allow them.
fn drawn_line(widths: &Widths, classes: &[usize], count: usize, rng: &mut ChaCha8Rng) -> Line {
    let member = |&class: &usize| (0..count).map(|i| f64::from(u8::from(i == class))).collect();
    let members: Vec<Vec<f64>> = classes.iter().map(member).collect();
    let (mut line, inverse) = widths.line(&members);
    let normal = DVector::from_fn(inverse.nrows(), |_, _| rng.sample::<f64, _>(StandardNormal));
    if let Some(root) = inverse.cholesky() {
        line.coefficients += root.l() * normal * line.deviation;
    }
    line
}

/// The class that a number from 0 to 1 falls into.
fn drawn_of(shares: &[f64], mut number: f64) -> usize {
    let falls = |share: &f64| {
        number -= share;
        number < 0.0
    };
    shares.iter().position(falls).unwrap_or(shares.len() - 1)
}

/// The class that is most probable for each value; nothing if that leaves a class without any.
pub(super) fn most_probable(probabilities: &[Vec<f64>]) -> Option<Vec<usize>> {
    let classes: Vec<usize> = probabilities.iter().map(|shares| best(shares)).collect();
    let count = probabilities.first().map_or(0, Vec::len);
    (0..count).all(|class| classes.contains(&class)).then_some(classes)
}

/// Bells of one draw.
struct Drawn {
    weights: Vec<f64>,
    means: Vec<f64>,
    /// Which class each bell was before the means were put in order.
    order: Vec<usize>,
    deviations: Vec<f64>,
}

impl Drawn {
    /// The shares that the classes have in a value; `other` is what else is known, a log-likelihood a class.
    fn share_out(&self, value: f64, other: impl Fn(usize) -> f64, shares: &mut [f64]) {
        let log = |class: usize| {
            self.weights[class].ln() + log_bell(value - self.means[class], self.deviations[class]) + other(class)
        };
        share_out(log, shares);
    }
}

/// Shares of classes in proportion to numbers of which `log` gives the logarithms; gives that of their sum.
pub(super) fn share_out(log: impl Fn(usize) -> f64, shares: &mut [f64]) -> f64 {
    let highest = (0..shares.len()).map(&log).fold(f64::NEG_INFINITY, f64::max);
    shares.iter_mut().enumerate().for_each(|(class, share)| *share = (log(class) - highest).exp());
    let total: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= total);
    highest + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values about 5 and about 5 + `apart`, with the class that each is from; classes of the sizes that are thought likely.
    fn drawn(count: usize, apart: f64, seed: u64) -> Vec<(f64, usize)> {
        let mut rng = random::stream(seed, "sample", 0);
        let mut part = || Gamma::new(PRIOR_ATOMS, 1.0).unwrap().sample(&mut rng);
        let (first, second) = (part(), part());
        let mut value = |_| {
            let class = usize::from(rng.random::<f64>() * (first + second) > first);
            (5.0 + apart * class as f64 + rng.sample::<f64, _>(StandardNormal), class)
        };
        (0..count).map(&mut value).collect()
    }

    #[test]
    fn what_is_said_to_be_nine_tenths_sure_is_right_nine_times_of_ten() {
        let (mut said, mut right, mut count) = ([0.0; 5], [0.0; 5], [0.0; 5]);
        for seed in 0..200 {
            let sample = drawn(134, if seed % 2 == 0 { 2.0 } else { 3.0 }, seed);
            let values: Vec<f64> = sample.iter().map(|(value, _)| *value).collect();
            let cut: Vec<usize> = values.iter().map(|value| usize::from(*value > 6.2)).collect();
            let found = Bells::default().sampled(&values, &cut, None);
            let classes = most_probable(&found).unwrap();
            for ((shares, class), (_, truth)) in found.iter().zip(classes).zip(&sample) {
                let bin = ((10.0 * shares[class] - 5.0) as usize).min(4);
                said[bin] += shares[class];
                right[bin] += f64::from(u8::from(class == *truth));
                count[bin] += 1.0;
            }
        }
        for ((said, right), count) in said.iter().zip(&right).zip(&count) {
            assert!((said - right).abs() < 0.05 * count, "{said} said, {right} right of {count}");
        }
    }

    #[test]
    fn known_parts_take_the_place_of_found_ones() {
        let values = [0.0, 0.1, -0.1, 1.0, 1.1, 0.9, 0.5];
        let of = |weights: &[f64]| {
            Bells { weights: Some(weights), ..Bells::default() }.sampled(&values, &[0, 0, 0, 1, 1, 1, 0], None)
        };
        let (even, uneven) = (of(&[1.0, 1.0]), of(&[1.0, 9.0]));
        assert!((even[6][0] - 0.5).abs() < 0.05 && uneven[6][1] > 0.85, "{even:?} {uneven:?}");
    }

    #[test]
    fn a_class_that_is_never_the_most_probable_is_noticed() {
        assert_eq!(most_probable(&[vec![0.9, 0.1], vec![0.2, 0.8]]), Some(vec![0, 1]));
        assert_eq!(most_probable(&[vec![0.9, 0.1], vec![0.6, 0.4]]), None);
    }
}
