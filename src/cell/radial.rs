//! Radial distribution functions: how often two kinds of atoms are a distance apart, over how often they would be in a gas.

use nalgebra::Point3;
use serde::{Deserialize, Serialize};

use super::{Error, Liquid};
use crate::structure::Element;

/// Options of [`Liquid::radial_distribution`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RadialOptions {
    /// Largest distance \[Å\], at most half the shortest edge of the box. Default: 12.
    pub r_max: f64,
    /// Width of a bin \[Å\]. Default: 0.1.
    pub bin: f64,
    /// Whether atoms of one molecule do not count. Default: true.
    pub intermolecular: bool,
}

impl Default for RadialOptions {
    fn default() -> Self {
        Self { r_max: 12.0, bin: 0.1, intermolecular: true }
    }
}

/// A radial distribution function g(r).
#[derive(Debug, Clone, PartialEq)]
pub struct RadialDistribution {
    /// Middle of each bin \[Å\].
    pub r: Vec<f64>,
    pub g: Vec<f64>,
}

impl Liquid {
    /// g(r) between the atoms of two elements, mean of all snapshots.
    ///
    /// # Errors
    /// If there are no atoms of an element, or an option is out of range.
    pub fn radial_distribution(
        &self,
        first: Element,
        second: Element,
        options: &RadialOptions,
    ) -> Result<RadialDistribution, Error> {
        let half = 0.5 * self.size().into_iter().fold(f64::MAX, f64::min);
        if !(options.r_max > 0.0 && options.r_max <= half) {
            return Err(Error::Setting {
                name: "r_max",
                value: options.r_max,
                range: "above 0, at most half the shortest edge of the box",
            });
        }
        if !(options.bin > 0.001 && options.bin <= options.r_max) {
            return Err(Error::Setting { name: "bin", value: options.bin, range: "from 0.001 Å to r_max" });
        }
        let kinds = [first, second].map(|kind| self.indices(kind));
        for (kind, indices) in [first, second].iter().zip(&kinds) {
            if indices.is_empty() {
                return Err(Error::NoSuchAtom(kind.symbol().to_owned()));
            }
        }
        let bins = (options.r_max / options.bin).floor() as usize;
        let mut counts = vec![0u64; bins];
        for positions in self.snapshots() {
            self.count(positions, [&kinds[0], &kinds[1]], options, &mut counts);
        }
        let volume: f64 = self.size().iter().product();
        let pairs = kinds[0].len() as f64 * kinds[1].len() as f64 * self.snapshots().len() as f64;
        let shell = |bin: usize| {
            let edge = |i: usize| (i as f64 * options.bin).powi(3);
            4.0 / 3.0 * std::f64::consts::PI * (edge(bin + 1) - edge(bin))
        };
        Ok(RadialDistribution {
            r: (0..bins).map(|bin| (bin as f64 + 0.5) * options.bin).collect(),
            g: counts.iter().enumerate().map(|(bin, &count)| count as f64 * volume / (pairs * shell(bin))).collect(),
        })
    }

    fn indices(&self, element: Element) -> Vec<usize> {
        (0..self.elements().len()).filter(|&i| self.elements()[i] == element).collect()
    }

    /// Adds the pairs of one snapshot, found by sorting the second kind into periodic cubes.
    fn count(&self, positions: &[Point3<f64>], kinds: [&[usize]; 2], options: &RadialOptions, counts: &mut [u64]) {
        let size = self.size();
        let cubes = size.map(|edge| (edge / options.r_max).floor().max(1.0) as usize);
        let cube_of = |place: &Point3<f64>| -> [usize; 3] {
            std::array::from_fn(|axis| {
                let share = (place[axis] / size[axis]).rem_euclid(1.0);
                ((share * cubes[axis] as f64) as usize).min(cubes[axis] - 1)
            })
        };
        let flat = |cube: [usize; 3]| (cube[2] * cubes[1] + cube[1]) * cubes[0] + cube[0];
        let mut sorted: Vec<Vec<usize>> = vec![Vec::new(); cubes.iter().product()];
        kinds[1].iter().for_each(|&j| sorted[flat(cube_of(&positions[j]))].push(j));
        let molecule = self.molecule_of();
        for &i in kinds[0] {
            for cube in neighbours(cube_of(&positions[i]), cubes) {
                for &j in &sorted[flat(cube)] {
                    if i == j || options.intermolecular && molecule[i] == molecule[j] {
                        continue;
                    }
                    let mut step = positions[i] - positions[j];
                    (0..3).for_each(|axis| step[axis] -= (step[axis] / size[axis]).round() * size[axis]);
                    if let Some(count) = counts.get_mut((step.norm() / options.bin) as usize) {
                        *count += 1;
                    }
                }
            }
        }
    }

    /// Number of the molecule of each atom.
    fn molecule_of(&self) -> Vec<usize> {
        self.molecules().enumerate().flat_map(|(number, atoms)| atoms.map(move |_| number)).collect()
    }
}

/// A cube and those around it, each once.
fn neighbours(cube: [usize; 3], cubes: [usize; 3]) -> Vec<[usize; 3]> {
    let along = |axis: usize| {
        let n = cubes[axis];
        let mut all = vec![(cube[axis] + n - 1) % n, cube[axis], (cube[axis] + 1) % n];
        all.sort_unstable();
        all.dedup();
        all
    };
    let [x, y, z] = [0, 1, 2].map(along);
    let pairs = x.iter().flat_map(|&x| y.iter().map(move |&y| (x, y)));
    pairs.flat_map(|(x, y)| z.iter().map(move |&z| [x, y, z])).collect()
}
