//! How many groups of intensity the atoms show, whatever they are called.
//!
//! One to three bell curves, equally wide, are fitted to the intensities (expectation–maximisation), and the number is that of the largest integrated completed likelihood (Biernacki, Celeux
//! and Govaert, IEEE Trans. PAMI 22 (2000) 719): the likelihood, less what Schwarz asks for each parameter, less how unsure it leaves which atom is of which bell. It counts groups that can be
//! told apart, where the likelihood alone would take two bells for one that is not quite a bell.

use super::species;
use super::{Class, Model, mixture};

/// Most groups that are looked for.
const MOST: usize = 3;
/// A group of fewer atoms is a few outliers.
const FEWEST: f64 = 5.0;
const STEPS: usize = 100;
/// Least standard deviation of a group, as a part of the mean intensity.
const LEAST_DEVIATION: f64 = 0.005;

/// The groups of intensity that atoms show.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// How many there are.
    pub count: usize,
    /// Integrated completed log-likelihood of one, two and three groups, less that of `count`; −∞ where a group would be empty.
    pub evidence: Vec<f64>,
}

/// Bells of one width, and what belongs to each.
struct Bells {
    weights: Vec<f64>,
    means: Vec<f64>,
    deviation: f64,
}

impl Model {
    /// How many groups of intensity the atoms show, up to three; the trend that the atoms were told apart with is fitted anew for each number.
    pub fn groups(&self) -> Groups {
        let (intensities, exposures) = (self.levelled_intensities(), [self.exposure()]);
        let noise = |atom: &super::TracedAtom| atom.peak.intensity_deviation.unwrap_or(0.0).powi(2);
        let noise = (self.atoms().iter().map(noise).sum::<f64>() / self.len().max(1) as f64).sqrt();
        let most = MOST.min(self.len()).max(1);
        let evidence: Vec<f64> = (1..=most)
            .map(|count| {
                let partition = species::partition(&intensities, &exposures, count, None);
                let parameters = 2 * count + usize::from(partition.trend.amount != 0.0);
                // intensities are spread by the trend that is taken off
                let spread: f64 = intensities.iter().zip(&partition.corrected).map(|(a, c)| (a / c).abs().ln()).sum();
                completed(&partition.corrected, &partition.classes, count, noise)
                    - spread
                    - 0.5 * parameters as f64 * (self.len().max(1) as f64).ln()
            })
            .collect();
        let best = (0..most).fold(0, |best, i| if evidence[i] > evidence[best] { i } else { best });
        let highest = evidence[best];
        Groups { count: best + 1, evidence: evidence.into_iter().map(|value| value - highest).collect() }
    }

    /// That fewer groups can be told apart than there are species, in words; nothing if there are as many or more.
    pub(super) fn fewer_groups(&self) -> Option<String> {
        let (found, species) =
            (self.groups().count, self.classes().iter().filter(|class: &&Class| class.count > 0).count());
        (found < species)
            .then(|| format!("the intensities show {found} group{}, not {species}", if found == 1 { "" } else { "s" }))
    }
}

/// Log-likelihood of bells for values, less the entropy of which value is of which bell; −∞ if a bell has too few.
fn completed(values: &[f64], classes: &[usize], count: usize, noise: f64) -> f64 {
    let total = values.len().max(1) as f64;
    let least = noise.max(LEAST_DEVIATION * values.iter().sum::<f64>().abs() / total).max(f64::MIN_POSITIVE);
    let member = |&class: &usize| (0..count).map(|i| f64::from(u8::from(i == class))).collect();
    let mut shares: Vec<Vec<f64>> = classes.iter().map(member).collect();
    let (mut likelihood, mut bells) = (f64::NEG_INFINITY, None);
    for _ in 0..STEPS {
        let fitted = Bells::of(values, &shares, count, least);
        likelihood = values.iter().zip(&mut shares).map(|(value, shares)| fitted.share_out(*value, shares)).sum();
        bells = Some(fitted);
    }
    if bells.is_none_or(|bells| count > 1 && bells.weights.iter().any(|weight| weight * total < FEWEST)) {
        return f64::NEG_INFINITY;
    }
    let order = |share: &f64| if *share > 0.0 { share * share.ln() } else { 0.0 };
    likelihood + shares.iter().flatten().map(order).sum::<f64>()
}

impl Bells {
    fn of(values: &[f64], shares: &[Vec<f64>], count: usize, least: f64) -> Self {
        let total = values.len().max(1) as f64;
        let sum = |class: usize, of: &dyn Fn(f64) -> f64| -> f64 {
            values.iter().zip(shares).map(|(&value, shares)| shares[class] * of(value)).sum()
        };
        let sizes: Vec<f64> = (0..count).map(|class| sum(class, &|_| 1.0).max(f64::MIN_POSITIVE)).collect();
        let means: Vec<f64> = (0..count).map(|class| sum(class, &|value| value) / sizes[class]).collect();
        let squares: f64 = (0..count).map(|class| sum(class, &|value| (value - means[class]).powi(2))).sum();
        let weights = sizes.iter().map(|size| size / total).collect();
        Self { weights, means, deviation: (squares / total).sqrt().max(least) }
    }

    /// The shares of the bells in a value; gives the logarithm of its density.
    fn share_out(&self, value: f64, shares: &mut [f64]) -> f64 {
        let log =
            |class: usize| self.weights[class].ln() - 0.5 * ((value - self.means[class]) / self.deviation).powi(2);
        mixture::share_out(log, shares) - (self.deviation * (2.0 * std::f64::consts::PI).sqrt()).ln()
    }
}
