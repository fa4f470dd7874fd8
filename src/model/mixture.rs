//! How sure the element of each atom is: a mixture of one bell curve a class.
//!
//! The noise of an intensity is that of the images, the same for all atoms, whatever their element: all bells are equally wide, and not narrower than the noise.
//! Where bells overlap, a hundred atoms do not tell exactly where each is; the best ones claim more certainty than there is. So the probabilities are means over
//! all bells that the atoms allow, drawn by turns with the classes (Gibbs sampling; Diebolt and Robert, J. R. Stat. Soc. B 56 (1994) 363).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};

use crate::random;

/// Draws of bells and classes, and how many of them are left out at the beginning.
const DRAWS: usize = 600;
const FORGOTTEN: usize = 100;
/// Least standard deviation, as a part of the mean: what is nearer than that is not told apart by chance.
const LEAST_DEVIATION: f64 = 0.005;
/// What is known of the classes' sizes beforehand, as this many atoms in each: none is empty.
const PRIOR_ATOMS: f64 = 5.0;

/// What is known of the bells before they are drawn.
#[derive(Default)]
pub(super) struct Bells<'a> {
    /// Parts of the classes in all atoms, any scale; drawn if not given.
    pub weights: Option<&'a [f64]>,
    /// What the noise alone makes of their width; 0 if it is not known.
    pub least_deviation: f64,
}

impl Bells<'_> {
    /// Probability of each class for each value, beginning from a division into classes; the means of the classes rise.
    pub fn probabilities(&self, values: &[f64], classes: &[usize]) -> Vec<Vec<f64>> {
        let count = classes.iter().max().map_or(0, |class| class + 1);
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let least = self.least_deviation.max(LEAST_DEVIATION * mean.abs()).max(f64::MIN_POSITIVE);
        let mut rng = random::stream(0, "mixture", 0);
        let mut classes = classes.to_vec();
        let mut sums = vec![vec![0.0; count]; values.len()];
        let mut shares = vec![0.0; count];
        for draw in 0..DRAWS {
            let bells = self.drawn(values, &classes, count, least, &mut rng);
            for ((&value, class), sums) in values.iter().zip(&mut classes).zip(&mut sums) {
                bells.share_out(value, &mut shares);
                *class = drawn_of(&shares, rng.random());
                if draw >= FORGOTTEN {
                    sums.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share / (DRAWS - FORGOTTEN) as f64);
                }
            }
        }
        sums
    }

    /// Bells as the values of each class allow them.
    fn drawn(&self, values: &[f64], classes: &[usize], count: usize, least: f64, rng: &mut ChaCha8Rng) -> Drawn {
        let (mut sizes, mut means, mut squares) = (vec![0.0; count], vec![0.0; count], 0.0);
        for (value, &class) in values.iter().zip(classes) {
            sizes[class] += 1.0;
            means[class] += value;
        }
        means.iter_mut().zip(&sizes).for_each(|(mean, size)| *mean /= f64::max(*size, 1.0));
        for (value, &class) in values.iter().zip(classes) {
            squares += (value - means[class]).powi(2);
        }
        let deviation = (squares / values.len().max(1) as f64).sqrt().max(least);
        let mut bells: Vec<(f64, f64)> = Vec::with_capacity(count);
        for (mean, size) in means.into_iter().zip(sizes) {
            let off = deviation / size.max(1.0).sqrt() * rng.sample::<f64, _>(StandardNormal);
            let weight = Gamma::new(size + PRIOR_ATOMS, 1.0).expect("a positive shape").sample(rng);
            bells.push((mean + off, weight));
        }
        // a class that has become brighter than the next changes places with it, with all its atoms
        bells.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (means, drawn): (Vec<f64>, Vec<f64>) = bells.into_iter().unzip();
        Drawn { weights: self.weights.map_or(drawn, <[f64]>::to_vec), means, deviation }
    }
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
    let best = |shares: &Vec<f64>| (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
    let classes: Vec<usize> = probabilities.iter().map(best).collect();
    let count = probabilities.first().map_or(0, Vec::len);
    (0..count).all(|class| classes.contains(&class)).then_some(classes)
}

/// Bells of one draw.
struct Drawn {
    weights: Vec<f64>,
    means: Vec<f64>,
    deviation: f64,
}

impl Drawn {
    /// The shares that the classes have in a value.
    fn share_out(&self, value: f64, shares: &mut [f64]) {
        let log =
            |class: usize| self.weights[class].ln() - 0.5 * ((value - self.means[class]) / self.deviation).powi(2);
        let highest = (0..shares.len()).map(log).fold(f64::NEG_INFINITY, f64::max);
        shares.iter_mut().enumerate().for_each(|(class, share)| *share = (log(class) - highest).exp());
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values about 0 and about `apart`, with the class that each is from; classes of the sizes that are thought likely.
    fn drawn(count: usize, apart: f64, seed: u64) -> Vec<(f64, usize)> {
        let mut rng = random::stream(seed, "sample", 0);
        let mut part = || Gamma::new(PRIOR_ATOMS, 1.0).unwrap().sample(&mut rng);
        let (first, second) = (part(), part());
        let mut value = |_| {
            let class = usize::from(rng.random::<f64>() * (first + second) > first);
            (apart * class as f64 + rng.sample::<f64, _>(StandardNormal), class)
        };
        (0..count).map(&mut value).collect()
    }

    #[test]
    fn what_is_said_to_be_nine_tenths_sure_is_right_nine_times_of_ten() {
        let (mut said, mut right, mut count) = ([0.0; 5], [0.0; 5], [0.0; 5]);
        for seed in 0..200 {
            let sample = drawn(134, if seed % 2 == 0 { 2.0 } else { 3.0 }, seed);
            let values: Vec<f64> = sample.iter().map(|(value, _)| *value).collect();
            let cut: Vec<usize> = values.iter().map(|value| usize::from(*value > 1.2)).collect();
            let found = Bells::default().probabilities(&values, &cut);
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
            Bells { weights: Some(weights), ..Bells::default() }.probabilities(&values, &[0, 0, 0, 1, 1, 1, 0])
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
