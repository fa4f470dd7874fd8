//! XYZ text: plain (`species x y z`) and extended (a `Properties=` entry in the comment line says what the columns are).
//!
//! Positions are in Å. One frame a text: a trajectory is refused rather than cut silently.

use std::collections::BTreeMap;
use std::fmt::Write;

use nalgebra::Point3;

use super::{Atom, Element, FAR, Structure};

/// What is wrong with an XYZ text; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XyzError {
    #[error("line 1 must be the number of atoms, got \"{0}\"")]
    Count(String),
    #[error("the text ends before line 2, where the comment must be")]
    NoComment,
    #[error("there are no atoms: line 1 says 0")]
    NoAtoms,
    #[error("line 1 announces {announced} atoms, but the text ends after {found}")]
    TooFew { announced: usize, found: usize },
    #[error("line 1 announces {announced} atoms, but line {line} goes on with \"{text}\" (one frame a file)")]
    TooMany { announced: usize, line: usize, text: String },
    #[error("line 2: Properties=\"{properties}\" is not a list of name:type:columns with species:S:1 and pos:R:3")]
    Properties { properties: String },
    #[error("line {line} has {found} columns, at least {expected} are needed: \"{text}\"")]
    Columns { line: usize, found: usize, expected: usize, text: String },
    #[error("line {line}: \"{text}\" is not the symbol or the atomic number of an element")]
    Species { line: usize, text: String },
    #[error("line {line}: {axis} = \"{text}\" is not a finite number")]
    Coordinate { line: usize, axis: char, text: String },
    #[error(
        "line {line}: {axis} of the atom is {text} Å: an atom must be nearer than {FAR:e} Å to the origin, correct its coordinates"
    )]
    Far { line: usize, axis: char, text: String },
}

/// Where species and position stand in a row.
struct Columns {
    species: usize,
    position: usize,
    /// Columns a row must have at least.
    width: usize,
}

impl Columns {
    const PLAIN: Self = Self { species: 0, position: 1, width: 4 };

    /// From the value of `Properties=`, for instance `species:S:1:pos:R:3:forces:R:3`.
    fn from_properties(properties: &str) -> Option<Self> {
        let fields: Vec<&str> = properties.split(':').collect();
        let (mut species, mut position, mut width) = (None, None, 0usize);
        for field in fields.chunks(3) {
            let &[name, kind, count] = field else { return None };
            let count: usize = count.parse().ok().filter(|&n| n > 0)?;
            match name {
                "species" if kind == "S" && count == 1 => species = Some(width),
                "pos" if kind == "R" && count == 3 => position = Some(width),
                "species" | "pos" => return None,
                _ => {}
            }
            width = width.checked_add(count)?;
        }
        Some(Self { species: species?, position: position?, width })
    }

    fn read(&self, line: usize, text: &str) -> Result<Atom, XyzError> {
        let row: Vec<&str> = text.split_whitespace().collect();
        if row.len() < self.width {
            let (found, expected) = (row.len(), self.width);
            return Err(XyzError::Columns { line, found, expected, text: text.trim().to_owned() });
        }
        let symbol = row[self.species];
        let element = symbol.parse::<Element>().ok();
        let element = element.or_else(|| symbol.parse().ok().and_then(Element::from_atomic_number));
        let element = element.ok_or_else(|| XyzError::Species { line, text: symbol.to_owned() })?;
        let mut position = Point3::origin();
        for (i, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
            let text = row[self.position + i];
            let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
            let value = value.ok_or_else(|| XyzError::Coordinate { line, axis, text: text.to_owned() })?;
            if value.abs() >= FAR {
                return Err(XyzError::Far { line, axis, text: text.to_owned() });
            }
            position[i] = value;
        }
        Ok(Atom { element, position })
    }
}

impl Structure {
    /// Reads plain or extended XYZ text. The name is that of `name=` in the comment line, else "particle".
    ///
    /// # Errors
    /// If the text is not XYZ; the message names the line.
    pub fn from_xyz(text: &str) -> Result<Self, XyzError> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or("").trim().trim_start_matches('\u{feff}');
        let announced: usize = first.parse().map_err(|_| XyzError::Count(first.to_owned()))?;
        let comment = lines.next().ok_or(XyzError::NoComment)?;
        if announced == 0 {
            return Err(XyzError::NoAtoms);
        }
        let columns = match entry(comment, "Properties") {
            Some(properties) => Columns::from_properties(&properties).ok_or(XyzError::Properties { properties })?,
            None => Columns::PLAIN,
        };
        let mut atoms = Vec::new();
        for (line, text) in (3..).zip(lines) {
            if atoms.len() < announced && !text.trim().is_empty() {
                atoms.push(columns.read(line, text)?);
            } else if !text.trim().is_empty() {
                return Err(XyzError::TooMany { announced, line, text: text.trim().to_owned() });
            } else if atoms.len() < announced {
                return Err(XyzError::TooFew { announced, found: atoms.len() });
            }
        }
        if atoms.len() < announced {
            return Err(XyzError::TooFew { announced, found: atoms.len() });
        }
        Ok(Self::new(entry(comment, "name").unwrap_or_else(|| "particle".to_owned()), atoms))
    }

    /// Extended XYZ text: every row is `species x y z`, in Å to 10⁻⁶ Å.
    pub fn to_xyz(&self) -> String {
        self.to_xyz_with(&BTreeMap::new())
    }

    /// As [`Structure::to_xyz`], with further columns: each has one number an atom, written in single precision.
    ///
    /// # Panics
    /// If a column has not one number an atom.
    pub fn to_xyz_with(&self, columns: &BTreeMap<String, Vec<f64>>) -> String {
        assert!(columns.values().all(|column| column.len() == self.len()), "one number an atom in every column");
        let name: String = self.name().chars().map(|c| if c == '"' || c.is_control() { '_' } else { c }).collect();
        let further: String = columns.keys().map(|column| format!(":{column}:R:1")).collect();
        let count = self.len();
        let mut text = format!("{count}\nProperties=species:S:1:pos:R:3{further} pbc=\"F F F\" name=\"{name}\"\n");
        for (i, Atom { element, position: p }) in self.atoms().iter().enumerate() {
            write!(text, "{:<2} {:13.6} {:13.6} {:13.6}", element.symbol(), p.x, p.y, p.z)
                .expect("writing to a string");
            for column in columns.values() {
                write!(text, " {:13}", column[i] as f32).expect("writing to a string");
            }
            text.push('\n');
        }
        text
    }
}

/// The value of `key=value` in a comment line, where a value in quotes may hold spaces.
pub(crate) fn entry(comment: &str, key: &str) -> Option<String> {
    let mut rest = comment.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let Some(tail) = tail.strip_prefix('=') else {
            rest = tail.trim_start();
            continue;
        };
        let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, tail) = match quote {
            Some(quote) => tail[1..].split_once(quote)?,
            None => tail.split_at(tail.find(char::is_whitespace).unwrap_or(tail.len())),
        };
        if name == key {
            return Some(value.to_owned());
        }
        rest = tail.trim_start();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_come_in_any_order() {
        let text = "2\nLattice=\"1 0 0 0 1 0 0 0 1\" Properties=id:I:1:pos:R:3:forces:R:3:species:S:1 name='a b'\n\
                    1 0.5 -1e0 2 9 9 9 Pt\n2 1 2 3 9 9 9 Fe\n\n";
        let structure = Structure::from_xyz(text).unwrap();
        assert_eq!(structure.name(), "a b");
        assert_eq!(structure.atoms()[0].element.symbol(), "Pt");
        assert_eq!(structure.atoms()[0].position, Point3::new(0.5, -1.0, 2.0));
        assert_eq!(structure.atoms()[1].position, Point3::new(1.0, 2.0, 3.0));
    }

    #[test]
    fn plain_xyz_is_read_with_symbols_or_atomic_numbers_and_further_columns() {
        let structure = Structure::from_xyz("2\r\nwater, no name\r\nO 0 0 0.1 -0.8\r\n1 0 0.9 0 0.4\r\n").unwrap();
        assert_eq!(structure.atoms()[1].element.symbol(), "H");
        assert_eq!((structure.len(), structure.name()), (2, "particle"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "2\nname=pair\nPb 0.123456 -7 1e3\nSe 1 2 3\n";
        let structure = Structure::from_xyz(text).unwrap();
        assert_eq!(Structure::from_xyz(&structure.to_xyz()).unwrap(), structure);
    }

    #[test]
    fn further_columns_follow_the_position() {
        let structure = Structure::from_xyz("2\nname=pair\nPb 0.5 -7 1e3\nSe 1 2 3\n").unwrap();
        let columns = [("intensity".to_owned(), vec![0.25, 1e-7]), ("radius_A".to_owned(), vec![3.0, f64::NAN])];
        let text = structure.to_xyz_with(&columns.into_iter().collect());
        assert_eq!(Structure::from_xyz(&text).unwrap(), structure);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1][0], "Properties=species:S:1:pos:R:3:intensity:R:1:radius_A:R:1");
        assert_eq!(lines[2], ["Pb", "0.500000", "-7.000000", "1000.000000", "0.25", "3"]);
        assert_eq!(lines[3][4..], ["0.0000001", "NaN"]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let message = |text: &str| Structure::from_xyz(text).unwrap_err().to_string();
        assert!(message("").contains("line 1"));
        assert!(message("x\n").contains("\"x\""));
        assert!(message("3").contains("line 2"));
        assert!(message("0\n\n").contains("no atoms"));
        assert!(message("2\n\nPt 0 0 0\n").contains("announces 2 atoms, but the text ends after 1"));
        assert!(message("1\n\nPt 0 0 0\nPt 1 1 1\n").contains("line 4"));
        assert!(message("1\n\nPt 0 0\n").contains("line 3 has 3 columns"));
        assert!(message("1\n\nQq 0 0 0\n").contains("line 3: \"Qq\""));
        assert!(message("1\n\nPt 0 NaN 0\n").contains("line 3: y = \"NaN\""));
        assert!(message("1\n\nPt 0 0 inf\n").contains("z = \"inf\""));
        assert!(message("1\n\nPt 0 -1e9 0\n").contains("line 3: y of the atom is -1e9 Å: an atom must be nearer"));
        assert!(Structure::from_xyz("1\n\nPt 0 -9.9e8 0\n").is_ok());
        assert!(message("1\nProperties=pos:R:3\n0 0 0\n").contains("species:S:1"));
        assert!(message("1\nProperties=species:S:1:pos:R:2\nPt 0 0\n").contains("pos:R:2"));
    }
}
