//! Thermal vibration: how far atoms are from their places when an electron passes.
//!
//! Atoms are taken as independent, their displacements as Gaussian and alike in all directions (the frozen-phonon picture; Loane, Xu and Silcox, Acta
//! Cryst. A47 (1991) 267–278). The r.m.s. displacement u along one axis is √(B/8π²); B is tabulated for 280 K and grows in proportion to the
//! temperature, as it does above about a third of the Debye temperature.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::OnceLock;

use nalgebra::{Matrix3, Vector3};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{Error, within};
use crate::random;
use crate::structure::{Atom, Element, Structure};

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

/// More vibration near a particle's surface, where neighbours are missing: displacements are multiplied by 1 + (factor − 1)·e^(−d/depth), d the
/// distance from the sphere through the outermost atom.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Surface {
    /// At the surface. Default: 1.5.
    pub factor: f64,
    /// Depth at which the excess has fallen to 1/e \[Å\]. Default: 2.
    pub depth: f64,
}

impl Default for Surface {
    fn default() -> Self {
        Self { factor: 1.5, depth: 2.0 }
    }
}

impl Surface {
    /// Fails, naming the option, if one is out of range.
    pub fn check(&self) -> Result<(), Error> {
        within("surface.factor", self.factor, "", (0.0, 20.0), "from 0 to 20")?;
        within("surface.depth", self.depth, "Å", (0.1, 1000.0), "from 0.1 to 1000 Å")
    }
}

/// How far an atom of the particle vibrates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected r.m.s. displacements (Å), or tensors [U11, U22, U33, U23, U13, U12] (Å²)")]
pub enum AtomDisplacement {
    /// R.m.s. along every axis \[Å\].
    Isotropic(f64),
    /// Mean squares and products \[Å²\] in the particle's axes: U11, U22, U33, U23, U13, U12.
    Tensor([f64; 6]),
}

impl AtomDisplacement {
    /// Fails if it is out of range.
    pub fn check(&self) -> Result<(), Error> {
        const NAME: &str = "atom_displacements";
        match self {
            Self::Isotropic(u) => within(NAME, *u, "Å", (0.0, 2.0), "from 0 to 2 Å"),
            Self::Tensor(u) => u.iter().try_for_each(|&u| within(NAME, u, "Å²", (-4.0, 4.0), "at most 4 Å²")),
        }
    }

    /// What three independent standard deviates are multiplied by; none if a mean square would be negative.
    fn root(&self) -> Option<Matrix3<f64>> {
        match *self {
            Self::Isotropic(u) => Some(Matrix3::from_diagonal_element(u)),
            Self::Tensor([u11, u22, u33, u23, u13, u12]) => {
                let eigen = Matrix3::new(u11, u12, u13, u12, u22, u23, u13, u23, u33).symmetric_eigen();
                if eigen.eigenvalues.min() < -1e-9 {
                    return None;
                }
                let roots = eigen.eigenvalues.map(|square| square.max(0.0).sqrt());
                Some(eigen.eigenvectors * Matrix3::from_diagonal(&roots))
            }
        }
    }
}

/// How far the atoms of a cell vibrate.
#[derive(Debug, Clone, PartialEq)]
pub struct Vibration {
    /// R.m.s. displacement along an axis \[Å\] of each element.
    displacements: BTreeMap<Element, f64>,
    /// Of the particle's atoms, in its axes; empty: that of their elements.
    particle: Vec<Matrix3<f64>>,
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
        let displacements = elements.iter().map(displacement).collect::<Result<_, _>>()?;
        Ok(Self { displacements, particle: Vec::new() })
    }

    /// The same with the particle's atoms vibrating as is said of each, or as their elements do, and more near the surface.
    ///
    /// # Errors
    /// If there is not one displacement an atom, or a tensor is not positive.
    pub fn of_particle(
        self,
        structure: &Structure,
        surface: Option<Surface>,
        atoms: &[AtomDisplacement],
    ) -> Result<Self, Error> {
        if surface.is_none() && atoms.is_empty() {
            return Ok(self);
        }
        if !atoms.is_empty() && atoms.len() != structure.len() {
            return Err(Error::AtomDisplacements { given: atoms.len(), atoms: structure.len() });
        }
        let centre =
            structure.atoms().iter().map(|atom| atom.position.coords).sum::<Vector3<f64>>() / structure.len() as f64;
        let from_centre = |atom: &Atom| (atom.position.coords - centre).norm();
        let radius = structure.atoms().iter().map(from_centre).fold(0.0, f64::max);
        let root = |(i, atom): (usize, &Atom)| {
            let of_element = AtomDisplacement::Isotropic(self.of_element(atom.element));
            let root = atoms.get(i).unwrap_or(&of_element).root().ok_or(Error::Tensor(i))?;
            let excess = surface.map_or(0.0, |s| (s.factor - 1.0) * ((from_centre(atom) - radius) / s.depth).exp());
            Ok(root * (1.0 + excess))
        };
        let particle = structure.atoms().iter().enumerate().map(root).collect::<Result<_, Error>>()?;
        Ok(Self { particle, ..self })
    }

    fn of_element(&self, element: Element) -> f64 {
        self.displacements.get(&element).copied().unwrap_or(0.0)
    }

    /// Whether all atoms keep still.
    pub fn is_none(&self) -> bool {
        self.displacements.values().all(|&u| u == 0.0) && self.particle.iter().all(|root| *root == Matrix3::zeros())
    }

    /// The atoms where they are at one moment: draw `index` under `seed`. The particle's come first, turned by `rotation`.
    pub fn displace(&self, atoms: &[Atom], rotation: &Matrix3<f64>, seed: u64, index: u64, out: &mut Vec<Atom>) {
        let mut rng = random::stream(seed, "vibration", index);
        out.clear();
        out.extend(atoms.iter().enumerate().map(|(i, atom)| {
            let deviates = Vector3::from([(); 3].map(|()| rng.sample::<f64, _>(StandardNormal)));
            let displacement = match self.particle.get(i) {
                Some(root) => rotation * (root * deviates),
                None => self.of_element(atom.element) * deviates,
            };
            Atom { position: atom.position + displacement, ..*atom }
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
        vibration.displace(&atoms, &Matrix3::identity(), 1, 2, &mut moved);
        for axis in 0..3 {
            let squares = moved.iter().map(|atom| (atom.position[axis] - atoms[0].position[axis]).powi(2)).sum::<f64>();
            assert!(((squares / 20_000.0).sqrt() / 0.2 - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_tensor_turns_with_the_particle_and_the_surface_moves_more() {
        let gold: Element = "Au".parse().unwrap();
        let atom = |x: f64| Atom { element: gold, position: nalgebra::Point3::new(x, 0.0, 0.0) };
        let pair = Structure::new("gold", vec![atom(-8.0), atom(0.0), atom(8.0)]);
        let alike = Vibration::new(&[gold], 273.0, &BTreeMap::from([(gold, 0.1)])).unwrap();
        let mean_squares = |vibration: &Vibration, rotation: &Matrix3<f64>| {
            let mut sums = [Vector3::zeros(); 3];
            let mut moved = Vec::new();
            for index in 0..4000 {
                vibration.displace(pair.atoms(), rotation, 1, index, &mut moved);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += (moved[i].position - pair.atoms()[i].position).map(|x| x * x / 4000.0);
                }
            }
            sums
        };
        let tensor = AtomDisplacement::Tensor([0.04, 0.01, 0.0, 0.0, 0.0, 0.0]);
        let given = [tensor, AtomDisplacement::Isotropic(0.2), AtomDisplacement::Isotropic(0.0)];
        let vibration = alike.clone().of_particle(&pair, None, &given).unwrap();
        // a quarter turn about z: what moved along x moves along y
        let quarter = Matrix3::new(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0);
        let [first, second, third] = mean_squares(&vibration, &quarter);
        assert!((first - Vector3::new(0.01, 0.04, 0.0)).amax() < 0.003, "{first}");
        assert!((second - Vector3::repeat(0.04)).amax() < 0.004, "{second}");
        assert_eq!(third, Vector3::zeros());
        let surface = Surface { factor: 2.0, depth: 2.0 };
        let vibration = alike.clone().of_particle(&pair, Some(surface), &[]).unwrap();
        let [outer, core, _] = mean_squares(&vibration, &Matrix3::identity());
        assert!((outer.x / 0.04 - 1.0).abs() < 0.1 && (core.x / 0.01 - 1.0).abs() < 0.1, "{outer} {core}");
        assert!(alike.clone().of_particle(&pair, None, &given[..2]).is_err());
        let impossible = AtomDisplacement::Tensor([0.01, 0.01, 0.01, 0.0, 0.0, 0.05]);
        assert_eq!(alike.of_particle(&pair, None, &[impossible; 3]), Err(Error::Tensor(0)));
    }
}
