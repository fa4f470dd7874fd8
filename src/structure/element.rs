//! Chemical elements by symbol and atomic number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A chemical element, hydrogen (1) to lawrencium (103): those with tabulated electron scattering factors. Its symbol in files and options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Element(u8);

/// The text is not the symbol of a known element.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the symbol of an element (write \"Pt\", \"Se\", …)")]
pub struct UnknownElement(pub String);

/// Symbols in order of atomic number, from 1.
#[rustfmt::skip]
const SYMBOLS: [&str; 103] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar",
    "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
    "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe",
    "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf",
    "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th",
    "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr",
];

/// Standard atomic weights, abridged (IUPAC 2021), in order of atomic number; of radioactive elements the mass number of the longest-lived isotope.
#[rustfmt::skip]
const MASSES: [f64; 103] = [
    1.008, 4.0026, 6.94, 9.0122, 10.81, 12.011, 14.007, 15.999, 18.998, 20.180, 22.990, 24.305, 26.982, 28.085, 30.974, 32.06, 35.45, 39.95,
    39.098, 40.078, 44.956, 47.867, 50.942, 51.996, 54.938, 55.845, 58.933, 58.693, 63.546, 65.38, 69.723, 72.630, 74.922, 78.971, 79.904, 83.798,
    85.468, 87.62, 88.906, 91.224, 92.906, 95.95, 97.0, 101.07, 102.91, 106.42, 107.87, 112.41, 114.82, 118.71, 121.76, 127.60, 126.90, 131.29,
    132.91, 137.33, 138.91, 140.12, 140.91, 144.24, 145.0, 150.36, 151.96, 157.25, 158.93, 162.50, 164.93, 167.26, 168.93, 173.05, 174.97, 178.49,
    180.95, 183.84, 186.21, 190.23, 192.22, 195.08, 196.97, 200.59, 204.38, 207.2, 208.98, 209.0, 210.0, 222.0, 223.0, 226.0, 227.0, 232.04,
    231.04, 238.03, 237.0, 244.0, 243.0, 247.0, 247.0, 251.0, 252.0, 257.0, 258.0, 259.0, 262.0,
];

/// Covalent radii \[Å\] of hydrogen to curium; of carbon sp³, of manganese, iron and cobalt with low spin. B. Cordero et al., Dalton Trans. (2008)
/// 2832–2838, table 2.
#[rustfmt::skip]
const COVALENT_RADII: [f64; 96] = [
    0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05, 1.02, 1.06,
    2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.20, 1.19, 1.20, 1.20, 1.16,
    2.20, 1.95, 1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44, 1.42, 1.39, 1.39, 1.38, 1.39, 1.40,
    2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96, 1.94, 1.92, 1.92, 1.89, 1.90, 1.87, 1.87,
    1.75, 1.70, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32, 1.45, 1.46, 1.48, 1.40, 1.50, 1.50, 2.60, 2.21, 2.15, 2.06,
    2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
];

impl Element {
    /// The element of atomic number `z`, if it is one of 1…103.
    pub fn from_atomic_number(z: u8) -> Option<Self> {
        (1..=SYMBOLS.len() as u8).contains(&z).then_some(Self(z))
    }

    /// Atomic number Z.
    pub fn atomic_number(self) -> u8 {
        self.0
    }

    /// Atomic mass \[u\].
    pub fn mass(self) -> f64 {
        MASSES[usize::from(self.0) - 1]
    }

    /// Covalent radius \[Å\]; beyond curium that of curium.
    pub fn covalent_radius(self) -> f64 {
        COVALENT_RADII[usize::from(self.0).min(COVALENT_RADII.len()) - 1]
    }

    /// Symbol, as in "Pt".
    pub fn symbol(self) -> &'static str {
        SYMBOLS[usize::from(self.0) - 1]
    }
}

impl FromStr for Element {
    type Err = UnknownElement;

    fn from_str(symbol: &str) -> Result<Self, Self::Err> {
        let index = SYMBOLS.iter().position(|known| known.eq_ignore_ascii_case(symbol));
        index.map(|i| Self(i as u8 + 1)).ok_or_else(|| UnknownElement(symbol.to_owned()))
    }
}

impl TryFrom<String> for Element {
    type Error = UnknownElement;

    fn try_from(symbol: String) -> Result<Self, Self::Error> {
        symbol.parse()
    }
}

impl From<Element> for String {
    fn from(element: Element) -> Self {
        element.symbol().to_owned()
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_numbers_agree() {
        for z in 1..=103 {
            let element = Element::from_atomic_number(z).unwrap();
            assert_eq!(element.symbol().parse::<Element>().unwrap().atomic_number(), z);
        }
        assert_eq!("pt".parse::<Element>().unwrap().atomic_number(), 78);
        assert!("Xx".parse::<Element>().is_err());
    }
}
