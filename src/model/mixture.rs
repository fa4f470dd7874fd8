//! How sure the element of each atom is: a mixture of one bell curve a class.
//!
//! The noise of an intensity is that of the images, the same for all atoms, whatever their element: all bells are equally wide. Bells with a width of their own each
//! fit a sample of a hundred atoms better than the truth does, and claim more certainty than there is; so do bells narrower than the noise. Found by
//! expectation and maximisation (Dempster, Laird and Rubin, J. R. Stat. Soc. B 39 (1977) 1).

/// Rounds of expectation and maximisation: classes that are apart settle in two, those that overlap in some ten.
const ROUNDS: usize = 100;
/// Least standard deviation, as a part of the mean: what is nearer than that is not told apart by chance.
const LEAST_DEVIATION: f64 = 0.005;

/// What is known of the bells before they are fitted.
#[derive(Default)]
pub(super) struct Bells<'a> {
    /// Parts of the classes in all atoms, any scale; fitted if not given.
    pub weights: Option<&'a [f64]>,
    /// What the noise alone makes of their width; 0 if it is not known.
    pub least_deviation: f64,
}

impl Bells<'_> {
    /// Probability of each class for each value, beginning from a division into classes.
    pub fn probabilities(&self, values: &[f64], classes: &[usize]) -> Vec<Vec<f64>> {
        let count = classes.iter().max().map_or(0, |class| class + 1);
        let one_of = |class: usize| (0..count).map(|other| f64::from(u8::from(other == class))).collect::<Vec<f64>>();
        let mut shares: Vec<Vec<f64>> = classes.iter().map(|&class| one_of(class)).collect();
        for _ in 0..ROUNDS {
            let fitted = self.fit(values, &shares);
            shares.iter_mut().zip(values).for_each(|(share, &value)| fitted.share_out(value, share));
        }
        shares
    }

    /// To values, each with its share in every class.
    fn fit(&self, values: &[f64], shares: &[Vec<f64>]) -> Fitted {
        let count = shares.first().map_or(0, Vec::len);
        let (mut sums, mut means) = (vec![f64::MIN_POSITIVE; count], vec![0.0; count]);
        for (value, share) in values.iter().zip(shares) {
            for class in 0..count {
                sums[class] += share[class];
                means[class] += share[class] * value;
            }
        }
        means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean /= sum);
        let square = |(value, share): (&f64, &Vec<f64>)| {
            means.iter().zip(share).map(|(mean, share)| share * (value - mean).powi(2)).sum::<f64>()
        };
        let variance = values.iter().zip(shares).map(square).sum::<f64>() / values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let least = self.least_deviation.max(LEAST_DEVIATION * mean.abs()).max(f64::MIN_POSITIVE);
        Fitted { weights: self.weights.map_or(sums, <[f64]>::to_vec), means, deviation: variance.sqrt().max(least) }
    }
}

/// The class that is most probable for each value; nothing if that leaves a class without any.
pub(super) fn most_probable(probabilities: &[Vec<f64>]) -> Option<Vec<usize>> {
    let best = |shares: &Vec<f64>| (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
    let classes: Vec<usize> = probabilities.iter().map(best).collect();
    let count = probabilities.first().map_or(0, Vec::len);
    (0..count).all(|class| classes.contains(&class)).then_some(classes)
}

/// Bells as they fit.
struct Fitted {
    weights: Vec<f64>,
    means: Vec<f64>,
    deviation: f64,
}

impl Fitted {
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
    use rand::RngExt;

    use super::*;

    /// Values about 0 and about `apart`, with the class that each is from.
    fn drawn(count: usize, apart: f64, seed: u64) -> Vec<(f64, usize)> {
        let mut rng = crate::random::stream(seed, "mixture", 0);
        let mut bell = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        (0..count).map(|i| (apart * (i % 2) as f64 + bell(), i % 2)).collect()
    }

    #[test]
    fn what_is_said_to_be_nine_tenths_sure_is_right_nine_times_of_ten() {
        let (mut said, mut right) = ([0.0; 5], [0.0; 5]);
        for seed in 0..100 {
            let sample = drawn(134, 3.0, seed);
            let values: Vec<f64> = sample.iter().map(|(value, _)| *value).collect();
            let cut: Vec<usize> = values.iter().map(|value| usize::from(*value > 1.5)).collect();
            let found = Bells::default().probabilities(&values, &cut);
            let classes = most_probable(&found).unwrap();
            for ((shares, class), (_, truth)) in found.iter().zip(classes).zip(&sample) {
                let bin = ((10.0 * shares[class] - 5.0) as usize).min(4);
                said[bin] += shares[class];
                right[bin] += f64::from(u8::from(class == *truth));
            }
        }
        for (said, right) in said.iter().zip(&right) {
            assert!((said / right - 1.0).abs() < 0.05, "{said} said, {right} right");
        }
    }

    #[test]
    fn known_parts_take_the_place_of_found_ones() {
        let values = [0.0, 0.1, -0.1, 1.0, 1.1, 0.9, 0.5];
        let of = |weights: &[f64]| {
            Bells { weights: Some(weights), ..Bells::default() }.probabilities(&values, &[0, 0, 0, 1, 1, 1, 0])
        };
        let (even, uneven) = (of(&[1.0, 1.0]), of(&[1.0, 9.0]));
        assert!((even[6][0] - 0.5).abs() < 0.01 && uneven[6][1] > 0.85, "{even:?} {uneven:?}");
    }

    #[test]
    fn a_class_that_is_never_the_most_probable_is_noticed() {
        assert_eq!(most_probable(&[vec![0.9, 0.1], vec![0.2, 0.8]]), Some(vec![0, 1]));
        assert_eq!(most_probable(&[vec![0.9, 0.1], vec![0.6, 0.4]]), None);
    }
}
