//! Bonds: nearest neighbours, coordination, bond lengths and angles.
//!
//! Two atoms are bonded if they are nearer than a cutoff between the first and the second shell of neighbours. Where the shells end shows in the data:
//! the pair distances, over r² and smoothed with a Gaussian of 4 % of the nearest distance, have a first peak; the cutoff is the middle of the lowest
//! stretch behind it, before the distribution rises again. For separate shells that is the middle of the gap, for ones that run into each
//! other the first minimum.
//!
//! In a compound of two elements neighbours are unlike: if more than nine of ten pairs within the cutoff are, the like pairs that are left (antisites,
//! dimers of a relaxed surface) are counted, but are no bonds.

use std::fmt;

use nalgebra::Point3;
use serde::{Deserialize, Serialize};

use super::{Error, Summary, elements, kind_pairs, kinds, pair_name, positions, smeared};
use crate::statistics::median;
use crate::structure::{Element, Structure, within};

/// Options of [`neighbours`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeighbourOptions {
    /// Atoms nearer than this are neighbours \[Å\]; default: between the first and the second shell, as the pair distances show.
    pub cutoff: Option<f64>,
    /// Whether bonds are between unlike atoms only; default: as the neighbours are.
    pub unlike: Option<bool>,
}

/// Two atoms, by their indices, and their distance \[Å\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bond {
    pub atoms: [usize; 2],
    pub length: f64,
}

/// Bond lengths between two elements \[Å\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLengths {
    /// In alphabetical order.
    pub elements: [Element; 2],
    pub lengths: Summary,
}

/// The bonds of a particle.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// \[Å\]
    pub cutoff: f64,
    /// Whether like atoms were not taken for bonded.
    pub unlike: bool,
    /// Pairs of like atoms within the cutoff that were therefore left out.
    pub like_pairs: usize,
    /// Each once, first atom below the second, in this order.
    pub bonds: Vec<Bond>,
    /// Of every atom, the atoms it is bonded to, in order.
    pub lists: Vec<Vec<usize>>,
    /// Pairs of elements that are bonded somewhere.
    pub by_pair: Vec<PairLengths>,
    /// Number of bond angles nearest to 0°, 1° … 180°.
    pub angle_counts: Vec<usize>,
    /// All bond angles \[°\].
    pub angles: Summary,
    /// The same at the atoms of each element, in alphabetical order.
    pub angles_at: Vec<(Element, Summary)>,
}

impl Neighbours {
    /// Number of neighbours of each atom.
    pub fn coordination(&self) -> Vec<usize> {
        self.lists.iter().map(Vec::len).collect()
    }

    /// Mean, and standard deviation, of the number of neighbours.
    pub fn mean_coordination(&self) -> Summary {
        Summary::of(self.lists.iter().map(|list| list.len() as f64))
    }

    /// All bond lengths \[Å\].
    pub fn lengths(&self) -> Summary {
        Summary::of(self.bonds.iter().map(|bond| bond.length))
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (coordination, angles) = (self.mean_coordination(), self.angles);
        write!(f, "{} bonds up to {:.2} Å, {:.2} an atom", self.bonds.len(), self.cutoff, coordination.mean)?;
        for PairLengths { elements, lengths } in &self.by_pair {
            write!(f, "; {} {} Å", pair_name(*elements), lengths.text(3))?;
        }
        if angles.count > 0 {
            write!(f, "; angles {}°", angles.text(1))?;
        }
        if self.like_pairs > 0 {
            write!(f, "; {} pairs of like atoms as near", self.like_pairs)?;
        }
        Ok(())
    }
}

/// Share of unlike pairs from which a substance of two elements is a compound whose bonds are between unlike atoms. L1₀ and L1₂ alloys have two thirds and half.
const COMPOUND: f64 = 0.9;
/// Cutoffs that make sense, in units of the nearest distance.
const CUTOFFS: [f64; 2] = [0.5, 4.0];

/// Finds the bonds of a particle.
///
/// # Errors
/// If there are fewer than two atoms, two at one place, or the cutoff makes no sense.
pub fn neighbours(structure: &Structure, options: &NeighbourOptions) -> Result<Neighbours, Error> {
    let points = positions(structure, 2, "looking for neighbours")?;
    let nearest = nearest_distance(structure, &points)?;
    let cutoff = match options.cutoff {
        Some(value) if value >= CUTOFFS[0] * nearest && value <= CUTOFFS[1] * nearest => value,
        Some(value) => {
            let requirement = "from half the distance of the nearest neighbours to four times that [Å]";
            return Err(Error::OutOfRange { name: "cutoff", value, requirement });
        }
        None => shell_end(&points, nearest),
    };
    let elements = elements(structure);
    let kinds = kinds(structure, &elements);
    let mut lists = within(&points, cutoff);
    let (mut pairs, mut like) = (0, 0);
    for (i, list) in lists.iter().enumerate() {
        pairs += list.len();
        like += list.iter().filter(|&&j| kinds[j] == kinds[i]).count();
    }
    let compound = elements.len() == 2 && like as f64 <= (1.0 - COMPOUND) * pairs as f64;
    let unlike = options.unlike.unwrap_or(compound);
    for (i, list) in lists.iter_mut().enumerate() {
        list.retain(|&j| !unlike || kinds[j] != kinds[i]);
        list.sort_unstable();
    }
    let bonds = bonds_of(&points, &lists);
    let (angle_counts, angles, angles_at) = angles(&points, &lists, &kinds, &elements);
    let lengths_of = |pair: [usize; 2]| {
        let of_pair = |bond: &&Bond| {
            let [first, second] = bond.atoms.map(|i| kinds[i]);
            [first.min(second), first.max(second)] == pair
        };
        let lengths = Summary::of(bonds.iter().filter(of_pair).map(|bond| bond.length));
        PairLengths { elements: pair.map(|kind| elements[kind]), lengths }
    };
    let by_pair =
        kind_pairs(elements.len()).into_iter().map(lengths_of).filter(|pair| pair.lengths.count > 0).collect();
    let like_pairs = if unlike { like / 2 } else { 0 };
    Ok(Neighbours { cutoff, unlike, like_pairs, bonds, lists, by_pair, angle_counts, angles, angles_at })
}

fn bonds_of(points: &[Point3<f64>], lists: &[Vec<usize>]) -> Vec<Bond> {
    let bond = |i: usize, j: usize| Bond { atoms: [i, j], length: (points[i] - points[j]).norm() };
    lists
        .iter()
        .enumerate()
        .flat_map(|(i, list)| list.iter().filter(move |&&j| j > i).map(move |&j| bond(i, j)))
        .collect()
}

/// Histogram, summary and summaries by central element of the angles \[°\] between the bonds of each atom.
fn angles(
    points: &[Point3<f64>],
    lists: &[Vec<usize>],
    kinds: &[usize],
    elements: &[Element],
) -> (Vec<usize>, Summary, Vec<(Element, Summary)>) {
    let mut counts = vec![0; 181];
    let mut at: Vec<Vec<f64>> = vec![Vec::new(); elements.len()];
    for (i, list) in lists.iter().enumerate() {
        for (n, &j) in list.iter().enumerate() {
            for &k in &list[..n] {
                let angle = (points[j] - points[i]).angle(&(points[k] - points[i])).to_degrees();
                counts[angle.round() as usize] += 1;
                at[kinds[i]].push(angle);
            }
        }
    }
    let all = Summary::of(at.iter().flatten().copied());
    let by_element = elements.iter().zip(&at).map(|(&element, angles)| (element, Summary::of(angles.iter().copied())));
    (counts, all, by_element.collect())
}

/// Median distance of an atom from the nearest other one \[Å\].
///
/// # Errors
/// If two atoms are at one place.
fn nearest_distance(structure: &Structure, points: &[Point3<f64>]) -> Result<f64, Error> {
    let centre = structure.centroid();
    // A stray atom far away must not make the cubes large.
    let radii: Vec<f64> = points.iter().map(|point| (point - centre).norm()).collect();
    let radius = median(&radii).unwrap_or_default();
    let mut reach = (2.5 * radius / (points.len() as f64).cbrt()).max(1e-3);
    loop {
        let lists = within(points, reach);
        let mut distances = Vec::with_capacity(points.len());
        for (i, list) in lists.iter().enumerate() {
            let distance = |&j: &usize| ((points[i] - points[j]).norm(), j);
            if let Some((nearest, j)) = list.iter().map(distance).min_by(|a, b| a.0.total_cmp(&b.0)) {
                if nearest == 0.0 {
                    return Err(Error::SamePlace { first: i.min(j), second: i.max(j) });
                }
                distances.push(nearest);
            }
        }
        if let Some(nearest) = median(&distances).filter(|_| 10 * distances.len() >= 9 * points.len()) {
            return Ok(nearest);
        }
        reach *= 1.5;
    }
}

/// All numbers in units of the nearest distance: bins and reach of the pair distances, width of the Gaussian, and where the first peak lies.
const BIN: f64 = 0.005;
const REACH: f64 = 2.2;
const SMOOTH: f64 = 0.04;
const PEAK: [f64; 2] = [0.75, 1.35];
/// Of the height of the first peak: by how much the distribution has risen at the second shell, and how flat the floor of a valley is.
const RISE: f64 = 0.03;
const FLOOR: f64 = 0.01;

/// Distance between the first and the second shell of neighbours \[Å\].
fn shell_end(points: &[Point3<f64>], nearest: f64) -> f64 {
    let density = pair_density(points, nearest);
    let bins = |range: [f64; 2]| range.map(|r| (r / BIN) as usize);
    let [from, to] = bins(PEAK);
    let peak = (from..to).fold(from, |best, bin| if density[bin] > density[best] { bin } else { best });
    let height = density[peak];
    let mut lowest = peak;
    for bin in peak..density.len() {
        if density[bin] < density[lowest] {
            lowest = bin;
        } else if density[bin] > density[lowest] + RISE * height {
            break;
        }
    }
    let is_floor = |bin: &usize| density[*bin] <= density[lowest] + FLOOR * height;
    let first = (peak..=lowest).rev().take_while(is_floor).last().unwrap_or(lowest);
    let last = (lowest..density.len()).take_while(is_floor).last().unwrap_or(lowest);
    nearest * BIN * (0.5 * (first + last) as f64 + 0.5)
}

/// Smoothed number of pairs over r², by bins of the distance.
fn pair_density(points: &[Point3<f64>], nearest: f64) -> Vec<f64> {
    let count = (REACH / BIN) as usize;
    let mut pairs = vec![0.0; count];
    for (i, list) in within(points, REACH * nearest).iter().enumerate() {
        for &j in list.iter().filter(|&&j| j > i) {
            let bin = ((points[i] - points[j]).norm() / (BIN * nearest)) as usize;
            if let Some(pairs) = pairs.get_mut(bin) {
                *pairs += 1.0;
            }
        }
    }
    let smoothed = smeared(&pairs, SMOOTH / BIN, count);
    smoothed.iter().enumerate().map(|(bin, pairs)| pairs / (bin as f64 + 0.5).powi(2)).collect()
}
