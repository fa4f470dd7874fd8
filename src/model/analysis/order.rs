//! Short-range order: whether unlike atoms seek each other, avoid each other, or do not care.
//!
//! The Warren–Cowley parameter of a shell of neighbours (Cowley 1950, Phys. Rev. 77, 669) is α = 1 − P/c, where P is the probability that a neighbour in that
//! shell of an atom of one element is of the other one, and c its share of all atoms: 0 in a random alloy, negative where the two seek each other, positive where
//! they avoid each other. For a pair of like elements α is positive where they avoid each other too.
//!
//! A particle is mostly surface. Shells are those of the fitted lattice, and every atom is counted with the neighbours that it has: with B pairs of elements A and
//! B in the shell, and Z_A, Z_B places in it around the atoms of each that are occupied at all, α = 1 − 2B/(Z_A·c_B + Z_B·c_A), c_B = N_B/(N − 1) since an atom is not its own
//! neighbour (for A = B: α = 1 − 2B/(Z_A·c_A), c_A = (N_A − 1)/(N − 1)). The neighbours that surface atoms lack are thus not taken for
//! order; a composition that changes with depth is one, and shows as a positive α of unlike atoms. With `interior` only atoms count whose shell is full.
//!
//! What a random alloy of the same atoms on the same sites would give, mean and standard deviation, is found by exchanging the elements at random.

use std::fmt;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::lattice::{FARTHEST, LatticeFit, Nearby, Template};
use super::{Error, elements, kind_pairs, kinds, pair_name};
use crate::random::stream;
use crate::structure::{Element, Structure};
use crate::task::{Cancelled, Task};

/// Options of [`short_range_order`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderOptions {
    /// Number of shells of neighbours; default 3.
    pub shells: usize,
    /// Count only atoms whose shell is full; default false.
    pub interior: bool,
    /// Random exchanges of the elements; default 400.
    pub permutations: usize,
    /// Of the exchanges; default 0.
    pub seed: u64,
}

impl Default for OrderOptions {
    fn default() -> Self {
        Self { shells: 3, interior: false, permutations: 400, seed: 0 }
    }
}

/// Order of one pair of elements in one shell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShellOrder {
    /// From 1.
    pub shell: usize,
    /// Distance of the sites \[Å\].
    pub distance: f64,
    /// In alphabetical order.
    pub elements: [Element; 2],
    /// Number of pairs of these elements in the shell; with `interior` each counts half for either of its atoms whose shell is full.
    pub pairs: usize,
    /// Warren–Cowley parameter; NaN if there are no neighbours.
    pub alpha: f64,
    /// Mean and standard deviation in random alloys of the same atoms.
    pub random: [f64; 2],
}

impl ShellOrder {
    /// How many standard deviations of random alloys α is from their mean.
    pub fn z(&self) -> f64 {
        (self.alpha - self.random[0]) / self.random[1]
    }
}

/// Short-range order of a particle.
#[derive(Debug, Clone, PartialEq)]
pub struct ShortRangeOrder {
    /// By shells, and in each by pairs of elements.
    pub orders: Vec<ShellOrder>,
}

impl fmt::Display for ShortRangeOrder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Warren–Cowley parameters (random alloy: 0 ± s.d.)")?;
        for order in self.orders.iter().filter(|order| order.elements[0] != order.elements[1]) {
            let ShellOrder { shell, distance, alpha, random, .. } = order;
            let pair = pair_name(order.elements);
            write!(f, "; shell {shell} ({distance:.2} Å) {pair}: α = {alpha:.3} ({:.3})", random[1])?;
        }
        Ok(())
    }
}

const MAX_SHELLS: usize = 10;
const MAX_PERMUTATIONS: usize = 100_000;

/// A shell of a particle: for every atom that counts, its neighbours in it.
type Members = Vec<(usize, Vec<usize>)>;

/// Finds the short-range order of an alloy, on the lattice that was fitted to the atoms.
///
/// # Errors
/// If an option is out of range, all atoms are of one element, or the lattice is that of other atoms; and when interrupted.
pub fn short_range_order(
    structure: &Structure,
    fit: &LatticeFit,
    options: &OrderOptions,
    task: &Task,
) -> Result<ShortRangeOrder, Error> {
    fit.check(structure)?;
    let out = |name, value: usize, requirement| Err(Error::OutOfRange { name, value: value as f64, requirement });
    if !(1..=MAX_SHELLS).contains(&options.shells) {
        return out("shells", options.shells, "a whole number from 1 to 10");
    }
    if !(2..=MAX_PERMUTATIONS).contains(&options.permutations) {
        return out("permutations", options.permutations, "a whole number from 2 to 100,000");
    }
    let elements = elements(structure);
    if elements.len() < 2 {
        return out("the number of elements", elements.len(), "two or more: order is between elements");
    }
    let (shells, distances) = shells(fit, options)?;
    let kinds = kinds(structure, &elements);
    let on_sites: Vec<usize> = (0..kinds.len()).filter(|&atom| fit.sites[atom].is_some()).collect();
    let stage = task.stage("random alloys", options.permutations);
    let random_alphas = |drawn: &mut Vec<usize>, index: usize| -> Result<Vec<f64>, Cancelled> {
        stage.advance(1)?;
        let mut shuffled: Vec<usize> = on_sites.iter().map(|&atom| kinds[atom]).collect();
        shuffled.shuffle(&mut stream(options.seed, "short-range order", index as u64));
        on_sites.iter().zip(shuffled).for_each(|(&atom, kind)| drawn[atom] = kind);
        let numbers = Numbers::new(drawn, &on_sites, elements.len());
        Ok(shells.iter().flat_map(|shell| numbers.alphas(shell)).map(|(alpha, _)| alpha).collect())
    };
    let all: Vec<_> = (0..options.permutations)
        .into_par_iter()
        .map_init(|| kinds.clone(), random_alphas)
        .collect::<Result<_, Cancelled>>()?;
    let numbers = Numbers::new(&kinds, &on_sites, elements.len());
    let pairs = kind_pairs(elements.len());
    let measured = shells.iter().enumerate().flat_map(|(shell, members)| {
        numbers.alphas(members).into_iter().enumerate().map(move |(pair, value)| (shell, pair, value))
    });
    let orders = measured.enumerate().map(|(column, (shell, pair, (alpha, count)))| {
        let random = super::Summary::of(all.iter().map(|alphas| alphas[column]));
        ShellOrder {
            shell: shell + 1,
            distance: distances[shell],
            elements: pairs[pair].map(|kind| elements[kind]),
            pairs: count,
            alpha,
            random: [random.mean, random.deviation],
        }
    });
    Ok(ShortRangeOrder { orders: orders.collect() })
}

/// The shells, and their distances \[Å\].
fn shells(fit: &LatticeFit, options: &OrderOptions) -> Result<(Vec<Members>, Vec<f64>), Error> {
    let surroundings = fit.surroundings(options.shells)?;
    let steps = Template::new(fit.kind, FARTHEST)?.steps;
    let full = |shell: usize, basis: usize| steps[basis].iter().filter(|step| step.shell == shell).count();
    let members = |shell: usize| -> Members {
        let of_atom = |(atom, around): (usize, &Vec<Nearby>)| {
            let site = fit.sites[atom]?;
            let near: Vec<usize> = around.iter().filter(|near| near.shell == shell).map(|near| near.atom).collect();
            (!options.interior || near.len() == full(shell, site.basis)).then_some((atom, near))
        };
        surroundings.iter().enumerate().filter_map(of_atom).collect()
    };
    let distance = |shell: usize| {
        let all = surroundings.iter().flatten().filter(|near| near.shell == shell).map(|near| near.vector.norm());
        super::Summary::of(all).mean
    };
    Ok(((0..options.shells).map(members).collect(), (0..options.shells).map(distance).collect()))
}

/// Which element each atom is of, and how many there are of each.
struct Numbers<'a> {
    kinds: &'a [usize],
    counts: Vec<f64>,
    total: f64,
}

impl<'a> Numbers<'a> {
    fn new(kinds: &'a [usize], on_sites: &[usize], elements: usize) -> Self {
        let mut counts = vec![0.0; elements];
        on_sites.iter().for_each(|&atom| counts[kinds[atom]] += 1.0);
        Self { kinds, total: on_sites.len() as f64, counts }
    }

    /// Warren–Cowley parameter of each pair of elements in a shell, and the number of such pairs.
    fn alphas(&self, shell: &Members) -> Vec<(f64, usize)> {
        let elements = self.counts.len();
        let mut found = vec![vec![0usize; elements]; elements];
        for (atom, near) in shell {
            near.iter().for_each(|&other| found[self.kinds[*atom]][self.kinds[other]] += 1);
        }
        let around = |kind: usize| found[kind].iter().sum::<usize>() as f64;
        let share =
            |kind: usize, beside: usize| (self.counts[kind] - f64::from(u8::from(kind == beside))) / (self.total - 1.0);
        let alpha = |[one, two]: [usize; 2]| {
            let seen = (found[one][two] + found[two][one]) as f64;
            let expected = around(one) * share(two, one) + around(two) * share(one, two);
            let pairs = if one == two { found[one][two] } else { found[one][two] + found[two][one] } / 2;
            (1.0 - seen / expected, pairs)
        };
        kind_pairs(elements).into_iter().map(alpha).collect()
    }
}
