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

impl Element {
    /// The element of atomic number `z`, if it is one of 1…103.
    pub fn from_atomic_number(z: u8) -> Option<Self> {
        (1..=SYMBOLS.len() as u8).contains(&z).then_some(Self(z))
    }

    /// Atomic number Z.
    pub fn atomic_number(self) -> u8 {
        self.0
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
