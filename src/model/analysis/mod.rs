//! What the atoms say once they are traced: bonds, lattice, strain, core and surface, pair distribution, short-range order.
//!
//! | function | answers |
//! | --- | --- |
//! | [`neighbours`] | which atoms are bonded, how long the bonds are, at which angles they meet |
//! | [`fit_lattice`] | which lattice the atoms sit on, its orientation and constants, how far each atom is from its site |
//! | [`strain`] | how the lattice is stretched, sheared and turned around each atom |
//! | [`core_shell`] | which atoms are at the surface; composition, bond length and displacement against depth |
//! | [`pair_distribution`] | how often atoms are a distance apart, over how often they would be in a gas of the particle's shape |
//! | [`short_range_order`] | whether unlike atoms seek or avoid each other (Warren–Cowley) |
//!
//! Atoms go in as a [`Structure`] (for a traced model [`Model::structure`](super::Model::structure)); lengths are in Å, in the frame of
//! the atoms. Neighbours are found by sorting atoms into cubes; 5,000 atoms take less than a second.

mod depth;
mod lattice;
mod neighbours;
mod order;
mod pairs;
mod strain;

use nalgebra::Point3;

use crate::structure::{self, Element, Structure};
use crate::task::Cancelled;

pub use depth::{CoreShell, CoreShellOptions, Shell, core_shell};
pub use lattice::{Estimate, LatticeFit, LatticeOptions, SiteOfAtom, fit_lattice};
pub use neighbours::{Bond, NeighbourOptions, Neighbours, PairLengths, neighbours};
pub use order::{OrderOptions, ShellOrder, ShortRangeOrder, short_range_order};
pub use pairs::{PairDistribution, PairOptions, Partial, pair_distribution};
pub use strain::{COMPONENTS, LocalStrain, StrainField, StrainOptions, strain};

/// What keeps atoms from being analysed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("there are {atoms} atoms; {what} needs at least {needed}")]
    TooFewAtoms { atoms: usize, needed: usize, what: &'static str },
    #[error("atom {index} is at {position:?}; a position is three numbers of Å, none above {MAX_COORDINATE}")]
    Position { index: usize, position: [f64; 3] },
    #[error("atoms {first} and {second} are at the same place; leave one of them out")]
    SamePlace { first: usize, second: usize },
    #[error(
        "no two atoms are bonded up to {cutoff} Å, and without bonds there is no core and no surface; choose another cutoff"
    )]
    NoBonds { cutoff: f64 },
    #[error("{name} is {value}; it must be {requirement}")]
    OutOfRange { name: &'static str, value: f64, requirement: &'static str },
    #[error(
        "\"{0}\" is not a lattice (there are \"fcc\", \"rocksalt\", \"zincblende\", \"wurtzite\", and \"find\" to try all)"
    )]
    UnknownLattice(String),
    #[error("{lattice} has two elements, the atoms have {elements}; choose another lattice, or \"find\"")]
    Elements { lattice: &'static str, elements: usize },
    #[error(
        "only {on_sites} of {atoms} atoms lie on a common {lattice} lattice; try lattice: \"find\", or a larger tolerance"
    )]
    NoLattice { lattice: &'static str, on_sites: usize, atoms: usize },
    #[error("the atoms lie on none of the lattices fcc, rocksalt, zincblende and wurtzite")]
    NoLatticeAtAll,
    #[error("this lattice is not that of these atoms; fit it to them, or give the name of one")]
    OtherLattice,
    #[error(transparent)]
    Structure(#[from] structure::Error),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Farther from the origin no atom of a particle is \[Å\].
const MAX_COORDINATE: f64 = 1e5;

/// Number, mean and standard deviation of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub count: usize,
    /// NaN without values.
    pub mean: f64,
    /// Of the values, not of their mean; NaN for fewer than two.
    pub deviation: f64,
}

impl Summary {
    /// Of some values.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (count, sum) = values.clone().fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
        let mean = sum / count as f64;
        let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
        let deviation = if count < 2 { f64::NAN } else { (squares / (count - 1) as f64).sqrt() };
        Self { count, mean: if count == 0 { f64::NAN } else { mean }, deviation }
    }

    /// As "2.785 ± 0.012", with so many digits behind the point; one value alone has no deviation.
    pub fn text(&self, digits: usize) -> String {
        let Self { mean, deviation, .. } = self;
        if deviation.is_finite() {
            format!("{mean:.digits$} ± {deviation:.digits$}")
        } else {
            format!("{mean:.digits$}")
        }
    }

    /// Standard error of the mean; NaN for fewer than two values.
    pub fn error(&self) -> f64 {
        self.deviation / (self.count as f64).sqrt()
    }
}

/// The atoms' positions, checked.
fn positions(structure: &Structure, needed: usize, what: &'static str) -> Result<Vec<Point3<f64>>, Error> {
    if structure.len() < needed {
        return Err(Error::TooFewAtoms { atoms: structure.len(), needed, what });
    }
    let place = |(index, atom): (usize, &structure::Atom)| {
        let position: [f64; 3] = atom.position.coords.into();
        let possible = position.iter().all(|x| x.abs() <= MAX_COORDINATE);
        if possible { Ok(atom.position) } else { Err(Error::Position { index, position }) }
    };
    structure.atoms().iter().enumerate().map(place).collect()
}

/// The elements of a structure, in alphabetical order of the symbols.
fn elements(structure: &Structure) -> Vec<Element> {
    structure.composition().into_iter().map(|(element, _)| element).collect()
}

/// The place of every atom's element among `elements`.
fn kinds(structure: &Structure, elements: &[Element]) -> Vec<usize> {
    let kind = |atom: &structure::Atom| elements.iter().position(|&element| element == atom.element);
    structure.atoms().iter().map(|atom| kind(atom).expect("all elements are listed")).collect()
}

/// Every unordered pair of `count` kinds, (0, 0), (0, 1), … (1, 1), …
fn kind_pairs(count: usize) -> Vec<[usize; 2]> {
    (0..count).flat_map(|first| (first..count).map(move |second| [first, second])).collect()
}

/// Two elements as a name of their pair, as in "Fe–Pt".
pub fn pair_name(pair: [Element; 2]) -> String {
    format!("{}–{}", pair[0].symbol(), pair[1].symbol())
}

/// A histogram smeared with a Gaussian of `sigma` bins, up to four of them away, in its first `bins` bins; as many counts as before, but for those that are
/// smeared out of its ends.
fn smeared(counts: &[f64], sigma: f64, bins: usize) -> Vec<f64> {
    if sigma == 0.0 {
        return counts[..bins].to_vec();
    }
    let reach = smear_reach(sigma);
    let gauss: Vec<f64> = (0..=reach).map(|n| (-0.5 * (n as f64 / sigma).powi(2)).exp()).collect();
    let total = 2.0 * gauss.iter().sum::<f64>() - gauss[0];
    let at = |bin: usize| {
        let near = bin.saturating_sub(reach)..(bin + reach + 1).min(counts.len());
        near.map(|other| counts[other] * gauss[other.abs_diff(bin)]).sum::<f64>() / total
    };
    (0..bins).map(at).collect()
}

/// Bins from which [`smeared`] takes something.
fn smear_reach(sigma: f64) -> usize {
    (4.0 * sigma).ceil() as usize
}

/// An option that must be a positive number.
fn positive(name: &'static str, value: f64, requirement: &'static str) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(Error::OutOfRange { name, value, requirement }) }
}
