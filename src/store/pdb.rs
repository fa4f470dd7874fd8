//! Particles as PDB files, version 3.3: <https://www.wwpdb.org/documentation/file-format>.
//!
//! Every atom is written as a residue of its own, `UNX` (the format's name for an unknown atom or ion): within a residue the names of atoms would have to
//! differ, and a name has four columns. Columns are:
//!
//! | columns | hold |
//! | --- | --- |
//! | 13–16 | name: the symbol in capitals, right-justified in 13–14 |
//! | 31–54 | x, y, z \[Å\] to 10⁻³ Å, from −999.999 to 9999.999 |
//! | 55–60 | occupancy: the probability that the atom is of its element; 1.00 where it is not known |
//! | 61–66 | B factor: 8π²σ² \[Å²\] of `sigma_A`, the uncertainty of the position along an axis, and no thermal motion; 0.00 where it is not known |
//! | 77–78 | element: the symbol in capitals, right-justified |
//!
//! There is no `CRYST1`: a particle has no cell. What does not fit into the columns is refused, not cut.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::path::Path;

use nalgebra::Point3;

use super::structure::{PROBABILITY, SIGMA, atom, not_particle, stem, text};
use super::words::{Fault, position};
use super::{Error, atomic};
use crate::structure::{Atom, Element, Structure};
use crate::task::Task;

/// Largest serial number that five columns hold.
const MOST_ATOMS: usize = 99_999;
/// Largest residue number that four columns hold; the next chain begins after it.
const RESIDUES: usize = 9999;
const INSTEAD: &str = "save as .xyz or .cif";

/// Writes atoms as PDB. Of the columns of a model, `probability` is the occupancy and `sigma_A` gives the B factor.
///
/// # Errors
/// If there are no atoms or more than 99,999, a number does not fit into its columns or is not finite, or the file cannot be written.
///
/// # Panics
/// If one of these columns has fewer numbers than there are atoms.
pub fn write_pdb(path: &Path, structure: &Structure, columns: &BTreeMap<String, Vec<f64>>) -> Result<(), Error> {
    let unwritable = |problem| Error::Unwritable { path: path.to_owned(), problem };
    if structure.is_empty() {
        return Err(unwritable("there are no atoms".to_owned()));
    }
    if structure.len() > MOST_ATOMS {
        let count = structure.len();
        return Err(unwritable(format!("a PDB file numbers at most {MOST_ATOMS} atoms, these are {count}: {INSTEAD}")));
    }
    let known = |name| move |i: usize| columns.get(name).map(|column: &Vec<f64>| column[i]);
    let (probability, sigma) = (known(PROBABILITY), known(SIGMA));
    let rows = structure.atoms().iter().enumerate().map(|(i, atom)| row(i, atom, probability(i), sigma(i)));
    let rows: Vec<String> = rows.collect::<Result<_, _>>().map_err(unwritable)?;
    atomic::write_bytes(path, &Task::silent(), |writer| {
        for line in heading(structure.name(), columns.contains_key(PROBABILITY), columns.contains_key(SIGMA)) {
            writeln!(writer, "{line:<80}")?;
        }
        for row in &rows {
            writeln!(writer, "{row}")?;
        }
        writeln!(writer, "{:<80}", "END")
    })
}

fn heading(name: &str, has_probability: bool, has_sigma: bool) -> Vec<String> {
    let name: String = name.chars().map(|c| if c.is_ascii() && !c.is_control() { c } else { '_' }).take(70).collect();
    let occupancy: &[&str] = match has_probability {
        true => &["OCCUPANCY: PROBABILITY THAT THE ATOM IS OF ITS ELEMENT."],
        false => &["OCCUPANCY: 1.00, THE ATOMS ARE GIVEN."],
    };
    let b_factor: &[&str] = match has_sigma {
        true => &[
            "B FACTOR: 8 PI**2 SIGMA**2; SIGMA IS THE UNCERTAINTY OF THE POSITION,",
            "ITS STANDARD DEVIATION ALONG AN AXIS, AND NO THERMAL MOTION.",
        ],
        false => &["B FACTOR: 0.00, THE UNCERTAINTY OF THE POSITIONS IS NOT KNOWN."],
    };
    let written = format!("WRITTEN BY PEDESIS {}; POSITIONS IN ANGSTROM.", env!("CARGO_PKG_VERSION"));
    let remarks = std::iter::once(written.as_str()).chain(occupancy.iter().copied()).chain(b_factor.iter().copied());
    let mut lines = vec![format!("TITLE     {name}")];
    // wwPDB leaves remarks 6 to 99 to free text
    lines.extend(remarks.map(|remark| format!("REMARK   6 {remark}")));
    lines
}

/// The line of atom `i`, from 0.
fn row(i: usize, atom: &Atom, probability: Option<f64>, sigma: Option<f64>) -> Result<String, String> {
    let serial = i + 1;
    let symbol = atom.element.symbol().to_ascii_uppercase();
    let fits = |what: &str, value: f64, width: usize, decimals: usize| {
        let text = format!("{value:width$.decimals$}");
        if value.is_finite() && text.len() == width {
            return Ok(text);
        }
        let symbol = atom.element;
        Err(format!(
            "{what} of atom {serial} ({symbol}) is {value}, which the columns of a PDB file cannot hold: {INSTEAD}"
        ))
    };
    let p = atom.position;
    let place = [fits("x", p.x, 8, 3)?, fits("y", p.y, 8, 3)?, fits("z", p.z, 8, 3)?].concat();
    let occupancy = fits("the probability of the element", probability.unwrap_or(1.0), 6, 2)?;
    let b_factor = fits("the B factor", sigma.map_or(0.0, |sigma| 8.0 * PI.powi(2) * sigma * sigma), 6, 2)?;
    let chain = char::from(b'A' + (i / RESIDUES) as u8);
    let residue = i % RESIDUES + 1;
    Ok(format!(
        "HETATM{serial:5} {symbol:>2}   UNX {chain}{residue:4}    {place}{occupancy}{b_factor}          {symbol:>2}  "
    ))
}

/// Reads the atoms of a PDB file, `ATOM` and `HETATM`, as they are placed in it; `CRYST1` does not matter.
///
/// # Errors
/// If there are none, or there is more than one model or location of an atom, or a line cannot be read.
pub fn read(path: &Path) -> Result<Structure, Error> {
    let atoms = atoms(&text(path)?).map_err(|fault| fault.in_file(path, not_particle))?;
    Ok(Structure::new(stem(path), atoms))
}

fn atoms(text: &str) -> Result<Vec<Atom>, Fault> {
    let mut atoms = Vec::new();
    let mut has_ended = false;
    for (number, line) in (1..).zip(text.lines()) {
        match record(line) {
            "ATOM" | "HETATM" if has_ended => {
                let problem = "a second model begins here, and a particle has one: leave one of them in the file";
                return Err(Fault::at(number, problem));
            }
            "ATOM" | "HETATM" => {
                let atom = Row::read(line).and_then(|row| row.atom());
                atoms.push(atom.map_err(|problem| Fault::at(number, problem))?);
            }
            "ENDMDL" | "END" => has_ended = !atoms.is_empty(),
            _ => {}
        }
    }
    if atoms.is_empty() {
        return Err(Fault::of_file("no line begins with ATOM or HETATM"));
    }
    Ok(atoms)
}

/// The name of a line's record.
pub fn record(line: &str) -> &str {
    line.get(..6).unwrap_or(line).trim_end()
}

/// What is read of an `ATOM` or `HETATM`.
pub struct Row<'a> {
    /// The four columns of the atom's name.
    pub name: &'a str,
    /// Letter of one of several locations of the atom, or a space.
    location: &'a str,
    /// Name, chain, number and insertion code.
    pub residue: &'a str,
    /// \[Å\].
    pub position: Point3<f64>,
    /// May be empty.
    pub element: &'a str,
}

impl<'a> Row<'a> {
    /// # Errors
    /// If the line is too short, or a coordinate is not a finite number.
    pub fn read(line: &'a str) -> Result<Self, String> {
        let short = || format!("\"{line}\" is too short for an atom");
        let column = |from: usize, to: usize| line.get(from..to).ok_or_else(short);
        Ok(Self {
            name: column(12, 16)?,
            location: column(16, 17)?,
            residue: column(17, 27)?,
            position: position([column(30, 38)?, column(38, 46)?, column(46, 54)?], 1.0)?,
            element: line.get(76..78).or(line.get(76..)).unwrap_or("").trim(),
        })
    }

    fn atom(&self) -> Result<Atom, String> {
        if ![" ", "A", "1"].contains(&self.location) {
            return Err(format!(
                "this is location {} of an atom that has several: leave one of them in the file, its column 17 empty",
                self.location
            ));
        }
        atom(self.element()?, self.position)
    }

    /// By the columns of the element, or if they are empty by the name, in which the symbol is right-justified in the first two columns.
    fn element(&self) -> Result<Element, String> {
        let unknown = |symbol: &str| {
            format!("\"{symbol}\" is not the symbol of an element: write one into columns 77 and 78, right-justified")
        };
        if !self.element.is_empty() {
            return isotope(self.element).parse().map_err(|_| unknown(self.element));
        }
        // a hydrogen with a number of two digits begins one column early
        let is_hydrogen = self.name.starts_with('H') && !self.name.ends_with(' ');
        let symbol = self.name.get(..if is_hydrogen { 1 } else { 2 }).unwrap_or(self.name);
        let symbol = symbol.trim_matches(|c: char| c == ' ' || c.is_ascii_digit());
        isotope(symbol).parse().map_err(|_| unknown(self.name.trim()))
    }
}

/// The symbol of the element of a heavy hydrogen, which crystallographers give one of its own.
pub fn isotope(symbol: &str) -> &str {
    if matches!(symbol, "D" | "T") { "H" } else { symbol }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        atoms(text).unwrap_err().problem
    }

    /// A line with a name, a letter of location, a position along x, and an element.
    fn line(name: &str, location: char, x: &str, element: &str) -> String {
        format!("ATOM      1 {name}{location}UNX A   1    {x:>8}   0.000   0.000  1.00  0.00          {element:>2}\n")
    }

    #[test]
    fn elements_are_those_of_the_columns_or_else_of_the_name() {
        for (name, element, expected) in [
            ("FE1 ", "FE", "Fe"),
            (" CA ", "", "C"),
            ("CA  ", "", "Ca"),
            (" O12", "", "O"),
            ("HG11", "", "H"),
            ("1HB ", "", "H"),
            ("PT  ", "", "Pt"),
            (" D1 ", "D", "H"),
        ] {
            assert_eq!(atoms(&line(name, ' ', "1.5", element)).unwrap()[0].element.symbol(), expected, "{name}");
        }
        assert!(message(&line(" Q1 ", ' ', "0", "")).contains("\"Q1\" is not the symbol"));
        assert!(message(&line(" C  ", ' ', "0", "XX")).contains("\"XX\" is not the symbol"));
    }

    #[test]
    fn what_would_be_two_atoms_for_one_is_refused() {
        let one = line("PT  ", ' ', "0", "PT");
        assert_eq!(atoms(&format!("MODEL\n{one}ENDMDL\nEND\n")).unwrap().len(), 1);
        assert!(message(&format!("{one}ENDMDL\n{one}")).contains("a second model begins here"));
        assert!(message(&line("PT  ", 'B', "0", "PT")).contains("location B"));
        assert_eq!(atoms(&line("PT  ", 'A', "0", "PT")).unwrap().len(), 1);
    }

    #[test]
    fn lines_that_cannot_be_read_are_named() {
        let one = line("PT  ", ' ', "0", "PT");
        assert_eq!(atoms(&format!("{one}{}\n", &one[..50])).unwrap_err().line, Some(2));
        assert!(message(&one[..50]).contains("too short"));
        assert!(message(&line("PT  ", ' ', "NaN", "PT")).contains("x must be a number, not \"NaN\""));
        assert!(message(&line("PT  ", ' ', "1e30", "PT")).contains("x of the atom is 1e30"));
        assert!(message("REMARK\nEND\n").contains("no line begins with ATOM"));
        assert!(message("").contains("no line begins with ATOM"));
    }
}
