//! Which element an atom of a trajectory is, from a symbol, a type or a name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::structure::Element;

/// Elements as a script gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected symbols in the order of the types, as in [\"O\", \"H\"], or by name, as in #{ OW: \"O\", MW: () }"
)]
pub enum Elements {
    /// Of types 1, 2, …
    Ordered(Vec<Element>),
    /// Of names or types; none: not an atom, left out.
    Named(BTreeMap<String, Option<Element>>),
}

impl Default for Elements {
    fn default() -> Self {
        Self::Named(BTreeMap::new())
    }
}

/// Elements that are met as ions, and whose symbol an atom's name may have by accident ("CA", an aromatic carbon).
const MISTAKABLE: [&str; 19] =
    ["Li", "Na", "Mg", "Al", "Si", "Ca", "Fe", "Co", "Ni", "Cu", "Zn", "Rb", "Sr", "Ag", "Cs", "Ba", "Pt", "Au", "Pb"];

/// Resolves the names of a file.
pub struct Names {
    given: BTreeMap<String, Option<Element>>,
}

impl Names {
    pub fn new(elements: &Elements) -> Self {
        let given = match elements {
            Elements::Named(given) => given.clone(),
            Elements::Ordered(list) => {
                list.iter().enumerate().map(|(i, element)| ((i + 1).to_string(), Some(*element))).collect()
            }
        };
        Self { given }
    }

    /// Of a symbol in a column of elements.
    pub fn symbol(&self, symbol: &str) -> Result<Option<Element>, String> {
        if let Some(given) = self.given.get(symbol) {
            return Ok(*given);
        }
        let unknown = |_| format!("\"{symbol}\" is not the symbol of an element; {}", hint(symbol));
        symbol.parse().map(Some).map_err(unknown)
    }

    /// Of a number that stands for a kind of atom.
    pub fn kind(&self, kind: &str) -> Result<Option<Element>, String> {
        let unknown = || {
            format!(
                "which element is type {kind}? Say those of all types in their order, as in elements: [\"O\", \"H\"]"
            )
        };
        self.given.get(kind).copied().ok_or_else(unknown)
    }

    /// Of an atom's name in a residue's, as "HW1" in "SOL". An ion has the name of its residue; of others the first letter counts, or both of Cl
    /// and Br.
    pub fn atom(&self, name: &str, residue: &str) -> Result<Option<Element>, String> {
        if let Some(given) = self.given.get(name) {
            return Ok(*given);
        }
        let letters: String =
            name.chars().skip_while(char::is_ascii_digit).take_while(char::is_ascii_alphabetic).collect();
        let (first, two) = (letters.get(..1).unwrap_or(""), letters.get(..2).unwrap_or(""));
        let is_own_residue = name == residue;
        let is_symbol = two.chars().nth(1).is_some_and(|second| second.is_ascii_lowercase());
        let long = two.parse::<Element>().ok();
        let found = match long {
            Some(element) if ["Cl", "Br"].contains(&element.symbol()) => Some(element),
            Some(element) if is_symbol || (is_own_residue && letters.len() == 2) => Some(element),
            Some(element) if MISTAKABLE.contains(&element.symbol()) => None,
            _ if is_own_residue && letters.len() > 1 => None,
            _ => first.parse().ok(),
        };
        found.map(Some).ok_or_else(|| format!("which element is atom \"{name}\" of \"{residue}\"? {}", hint(name)))
    }
}

fn hint(name: &str) -> String {
    format!("Say it, as in elements: #{{ \"{name}\": \"C\" }}, or leave such sites out, as in #{{ \"{name}\": () }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_atoms_in_force_fields_give_their_elements() {
        let names = Names::new(&Elements::default());
        let symbol = |name, residue| names.atom(name, residue).ok().map(|element| element.unwrap().symbol());
        for (name, residue, expected) in [
            ("OW", "SOL", Some("O")),
            ("HW1", "SOL", Some("H")),
            ("OH2", "TIP3", Some("O")),
            ("1HB", "TOL", Some("H")),
            ("CD1", "TOL", Some("C")),
            ("CL1", "CHCL3", Some("Cl")),
            ("Cl1", "DCM", Some("Cl")),
            ("NA", "NA", Some("Na")),
            ("NA1", "BMIM", None),
            ("NA", "ION", None),
            ("SOD", "SOD", None),
            ("CLA", "CLA", Some("Cl")),
            ("K", "K", Some("K")),
            ("MW", "SOL", None),
            ("12", "X", None),
        ] {
            assert_eq!(symbol(name, residue), expected, "{name} of {residue}");
        }
    }

    #[test]
    fn what_is_given_goes_before_what_is_guessed() {
        let given = BTreeMap::from([("MW".to_owned(), None), ("NA1".to_owned(), "N".parse().ok())]);
        let names = Names::new(&Elements::Named(given));
        assert_eq!(names.atom("MW", "SOL"), Ok(None));
        assert_eq!(names.atom("NA1", "BMIM").unwrap().unwrap().symbol(), "N");
        let names = Names::new(&Elements::Ordered(vec!["O".parse().unwrap(), "H".parse().unwrap()]));
        assert_eq!(names.kind("2").unwrap().unwrap().symbol(), "H");
        assert!(names.kind("3").unwrap_err().contains("type 3"));
    }
}
