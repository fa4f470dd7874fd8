//! The pair distribution of a finite particle.
//!
//! g(r) is the number of pairs of atoms a distance r apart over the number there would be in a gas of the same density in the particle's shape: N_A·N_B
//! times the probability that two points at random in it are so far apart, for ordered pairs of elements A and B. That is N_A² for like ones, not
//! N_A(N_A − 1): partials add up to the whole, and g is 1 where nothing is known of the atoms but their density.
//!
//! The shape is a sphere of the particle's radius of gyration, of diameter D = 2·√(5/3)·R_g: two random points in it are r apart with the density
//! 4πr²γ(r)/V, where γ(r) = 1 − 3r/(2D) + r³/(2D³) is the autocorrelation of the sphere (Guinier & Fournet 1955, Small-angle scattering of X-rays, section
//! 2.2; Gilbert 2008, J. Appl. Cryst. 41, 1030). Without γ the surface would make g fall towards 0 at D. For particles far from round g is not 1 between
//! the peaks at large r.
//!
//! The coordination number is the integral of the first peak, 4πρ∫r²g dr: that of an atom inside. The mean number of neighbours of the atoms that there are, surface
//! included, is given beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::neighbours::{NeighbourOptions, neighbours};
use super::{Error, elements, kind_pairs, kinds, positions, smear_reach, smeared};
use crate::structure::{Element, Structure, within};

/// Options of [`pair_distribution`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairOptions {
    /// Width of a bin \[Å\]; default 0.05.
    pub step: f64,
    /// Largest distance, rounded to whole bins \[Å\]; default: 12, or 0.8 of the particle's diameter if that is less.
    pub max: Option<f64>,
    /// Standard deviation of a Gaussian that every distance is smeared with \[Å\]; default 0.
    pub sigma: f64,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self { step: 0.05, max: None, sigma: 0.0 }
    }
}

/// The pair distribution between two elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// In alphabetical order.
    pub elements: [Element; 2],
    /// One value a bin.
    pub g: Vec<f64>,
    /// Mean number of atoms of the second element within the upper edge of each bin around one of the first, surface included.
    pub coordination: Vec<f64>,
}

/// The pair distribution of a particle.
#[derive(Debug, Clone, PartialEq)]
pub struct PairDistribution {
    /// Middle of each bin \[Å\].
    pub r: Vec<f64>,
    /// Of all atoms.
    pub g: Vec<f64>,
    /// Mean number of atoms within the upper edge of each bin around an atom, surface included.
    pub coordination: Vec<f64>,
    pub partials: Vec<Partial>,
    /// Diameter of the sphere that stands for the shape \[Å\].
    pub diameter: f64,
    /// Atoms per Å³ of it.
    pub density: f64,
    /// Where the first peak ends \[Å\].
    pub shell_end: f64,
    /// Mean distance in the first peak \[Å\]; its integral, the coordination of an atom inside; and the mean coordination, surface included.
    pub first_shell: [f64; 3],
}

impl fmt::Display for PairDistribution {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [mean, inside, with_surface] = self.first_shell;
        write!(
            f,
            "first shell up to {:.2} Å: mean distance {mean:.3} Å, coordination {inside:.2} inside, {with_surface:.2} with the \
             surface; {:.4} atoms/Å³ in a sphere of {:.1} Å",
            self.shell_end, self.density, self.diameter
        )
    }
}

/// More bins than this are a slip of the pen.
const MAX_BINS: f64 = 1e5;
/// Fewer atoms have no distribution.
const FEWEST: usize = 8;

/// Finds how often atoms are a distance apart.
///
/// # Errors
/// If there are fewer than eight atoms, or an option is out of range.
pub fn pair_distribution(structure: &Structure, options: &PairOptions) -> Result<PairDistribution, Error> {
    let points = positions(structure, FEWEST, "a pair distribution")?;
    let bonds = neighbours(structure, &NeighbourOptions { cutoff: None, unlike: Some(false) })?;
    let centre = structure.centroid();
    let count = points.len() as f64;
    let gyration = (points.iter().map(|point| (point - centre).norm_squared()).sum::<f64>() / count).sqrt();
    let diameter = 2.0 * (5.0f64 / 3.0).sqrt() * gyration;
    let bins = check(options, diameter)?;
    let elements = elements(structure);
    let kinds = kinds(structure, &elements);
    // ordered pairs by kind of the first and of the second atom; what is smeared in from beyond the last bin is counted too
    let beyond = smear_reach(options.sigma / options.step);
    let mut counts = vec![vec![vec![0.0; bins + beyond]; elements.len()]; elements.len()];
    for (i, list) in within(&points, (bins + beyond) as f64 * options.step).iter().enumerate() {
        for &j in list {
            let bin = ((points[i] - points[j]).norm() / options.step) as usize;
            if let Some(count) = counts[kinds[i]][kinds[j]].get_mut(bin) {
                *count += 1.0;
            }
        }
    }
    let volume = std::f64::consts::PI / 6.0 * diameter.powi(3);
    let shape = Shape { bins, step: options.step, sigma: options.sigma, diameter, volume };
    let of_kind = |kind: usize| kinds.iter().filter(|&&other| other == kind).count() as f64;
    let partials = kind_pairs(elements.len()).into_iter().map(|[first, second]| {
        let (g, coordination) = shape.curves(&counts[first][second], of_kind(first), of_kind(second));
        Partial { elements: [elements[first], elements[second]], g, coordination }
    });
    let partials = partials.collect();
    let mut all = vec![0.0; bins + beyond];
    counts.iter().flatten().for_each(|one| all.iter_mut().zip(one).for_each(|(sum, count)| *sum += count));
    let (g, coordination) = shape.curves(&all, count, count);
    let inside = 2.0 * bonds.bonds.iter().map(|bond| 1.0 / shape.overlap(bond.length)).sum::<f64>() / count;
    let r = (0..bins).map(|bin| (bin as f64 + 0.5) * options.step).collect();
    let first_shell = [bonds.lengths().mean, inside, bonds.mean_coordination().mean];
    Ok(PairDistribution {
        r,
        g,
        coordination,
        partials,
        diameter,
        density: count / volume,
        shell_end: bonds.cutoff,
        first_shell,
    })
}

/// Number of bins.
fn check(options: &PairOptions, diameter: f64) -> Result<usize, Error> {
    let out = |name, value, requirement| Err(Error::OutOfRange { name, value, requirement });
    let max = options.max.unwrap_or_else(|| (0.8 * diameter).min(12.0));
    if !(max > 0.0 && max <= 0.95 * diameter) {
        return out("max", max, "above 0, at most 0.95 of the particle's diameter [Å]");
    }
    if !(options.step > 0.0 && options.step <= max && max / options.step <= MAX_BINS) {
        return out("step", options.step, "above 0 and at most max, with no more than 100,000 bins [Å]");
    }
    if !(options.sigma >= 0.0 && options.sigma <= 0.25 * max) {
        return out("sigma", options.sigma, "from 0 to a quarter of max [Å]");
    }
    Ok((max / options.step).round() as usize)
}

struct Shape {
    bins: usize,
    step: f64,
    sigma: f64,
    diameter: f64,
    volume: f64,
}

impl Shape {
    /// Autocorrelation of the sphere, 1 at r = 0.
    fn overlap(&self, r: f64) -> f64 {
        let part = (r / self.diameter).min(1.0);
        1.0 - 1.5 * part + 0.5 * part.powi(3)
    }

    /// g(r) and running coordination number from counts of ordered pairs between `first` and `second` atoms.
    fn curves(&self, counts: &[f64], first: f64, second: f64) -> (Vec<f64>, Vec<f64>) {
        let smeared = smeared(counts, self.sigma / self.step, self.bins);
        let edge = |bin: usize| (bin as f64 * self.step).powi(3);
        let expected = |bin: usize| {
            let shell = 4.0 / 3.0 * std::f64::consts::PI * (edge(bin + 1) - edge(bin));
            first * second / self.volume * shell * self.overlap((bin as f64 + 0.5) * self.step)
        };
        let g = smeared.iter().enumerate().map(|(bin, &count)| count / expected(bin)).collect();
        let mut sum = 0.0;
        let coordination = smeared.iter().map(|&count| {
            sum += count / first;
            sum
        });
        (g, coordination.collect())
    }
}
