//! Thermal vibration: how far atoms are from their places when an electron passes.
//!
//! Atoms are taken as independent, their displacements as Gaussian and alike in all directions (the frozen-phonon picture; Loane, Xu and Silcox, Acta
//! Cryst. A47 (1991) 267–278). The r.m.s. displacement u along one axis is √(B/8π²); B is tabulated for 280 K and grows in proportion to the
//! temperature, as it does above about a third of the Debye temperature.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::OnceLock;

use nalgebra::Vector3;
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::random;
use crate::structure::{Atom, Element};

/// Temperature of the tabulated factors \[K\].
const TABULATED: f64 = 280.0;

/// Debye–Waller factor B \[Å²\] of an element at `temperature` \[K\]; none if it is not tabulated.
fn b_factor(element: Element, temperature: f64) -> Option<f64> {
    static TABLE: OnceLock<BTreeMap<Element, f64>> = OnceLock::new();
    let parse = || {
        let row = |line: &str| {
            let mut words = line.split(',');
            let symbol = words.next()?.parse().ok()?;
            Some((symbol, words.next()?.parse().ok()?))
        };
        include_str!("../../stdlib/debye_waller.csv").lines().filter_map(row).collect()
    };
    TABLE.get_or_init(parse).get(&element).map(|b| b * temperature / TABULATED)
}

/// R.m.s. displacement along an axis \[Å\] of each element.
#[derive(Debug, Clone, PartialEq)]
pub struct Vibration {
    displacements: BTreeMap<Element, f64>,
}

impl Vibration {
    /// Of `elements` at `temperature` \[K\], with those in `given` \[Å\] as they are. Gives back an element of which nothing is known.
    pub fn new(elements: &[Element], temperature: f64, given: &BTreeMap<Element, f64>) -> Result<Self, Element> {
        let displacement = |element: &Element| {
            let known = given.get(element).copied();
            let still = (temperature == 0.0).then_some(0.0);
            let tabulated = || b_factor(*element, temperature).map(|b| (b / (8.0 * PI * PI)).sqrt());
            known.or(still).or_else(tabulated).map(|u| (*element, u)).ok_or(*element)
        };
        Ok(Self { displacements: elements.iter().map(displacement).collect::<Result<_, _>>()? })
    }

    /// Whether all atoms keep still.
    pub fn is_none(&self) -> bool {
        self.displacements.values().all(|&u| u == 0.0)
    }

    /// The atoms where they are at one moment: draw `index` under `seed`.
    pub fn displace(&self, atoms: &[Atom], seed: u64, index: u64, out: &mut Vec<Atom>) {
        let mut rng = random::stream(seed, "vibration", index);
        out.clear();
        out.extend(atoms.iter().map(|atom| {
            let u = self.displacements.get(&atom.element).copied().unwrap_or(0.0);
            let deviates: [f64; 3] = std::array::from_fn(|_| rng.sample(StandardNormal));
            Atom { position: atom.position + u * Vector3::from(deviates), ..*atom }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabulated_factors_give_the_displacements_that_diffraction_finds() {
        let u = |symbol: &str, temperature| {
            (b_factor(symbol.parse().unwrap(), temperature).unwrap() / (8.0 * PI * PI)).sqrt()
        };
        // Peng et al. 1996: B = 0.3557 Å² for platinum at 280 K, and 0.1082 Å² at 85 K.
        assert!((u("Pt", 280.0) - 0.0671).abs() < 1e-4);
        assert!((b_factor("Pt".parse().unwrap(), 85.0).unwrap() / 0.1082 - 1.0).abs() < 0.01);
        assert!(u("Pb", 273.0) > 2.0 * u("Pt", 273.0));
        assert!(b_factor("Lr".parse().unwrap(), 273.0).is_none());
    }

    #[test]
    fn displacements_have_the_spread_that_is_asked_for() {
        let gold: Element = "Au".parse().unwrap();
        let vibration = Vibration::new(&[gold], 273.0, &BTreeMap::from([(gold, 0.2)])).unwrap();
        let atoms = vec![Atom { element: gold, position: nalgebra::Point3::new(1.0, 2.0, 3.0) }; 20_000];
        let mut moved = Vec::new();
        vibration.displace(&atoms, 1, 2, &mut moved);
        for axis in 0..3 {
            let squares = moved.iter().map(|atom| (atom.position[axis] - atoms[0].position[axis]).powi(2)).sum::<f64>();
            assert!(((squares / 20_000.0).sqrt() / 0.2 - 1.0).abs() < 0.02);
        }
    }
}
