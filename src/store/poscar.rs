//! Atoms from the POSCAR and CONTCAR files of VASP 5 and later: <https://www.vasp.at/wiki/index.php/POSCAR>.
//!
//! A comment; a scale, which if negative is minus the cell's volume \[Å³\], or one for each axis; the three edges of the cell; the symbols of the elements;
//! how many atoms each has; perhaps `Selective dynamics`; `Direct` or `Cartesian`; and a position a line. What follows (velocities) does not matter.

use std::path::Path;

use nalgebra::{Point3, Vector3};

use super::Error;
use super::lines::Lines;
use super::structure::{atom, not_particle, stem, text};
use super::unit_cell::{Crystal, UnitCell};
use super::words::{Fault, numbers, position};
use crate::structure::{Atom, Element, Structure};

/// Reads the atoms of the cell, as they are placed in it.
///
/// # Errors
/// If a line is missing or cannot be read, or elements have no names.
pub fn read(path: &Path) -> Result<Crystal, Error> {
    let (atoms, cell) = parse(&text(path)?).map_err(|fault| fault.in_file(path, not_particle))?;
    Ok(Crystal { structure: Structure::new(stem(path), atoms), cell: Some(cell) })
}

fn parse(text: &str) -> Result<(Vec<Atom>, UnitCell), Fault> {
    let mut lines = Lines::of(text.as_bytes());
    atoms_and_cell(&mut lines).map_err(|problem| lines.fault(problem))
}

/// What is wrong is told of the line that was read last.
fn atoms_and_cell(lines: &mut Lines) -> Result<(Vec<Atom>, UnitCell), String> {
    lines.needed("a comment")?;
    let scale = Scale::read(lines.needed("the scale")?)?;
    let mut edges = [Vector3::zeros(); 3];
    for (edge, name) in edges.iter_mut().zip(["the first edge of the cell", "the second", "the third"]) {
        *edge = vector(lines.needed(name)?)?.coords;
    }
    let scale = scale.factors(UnitCell::from_vectors(edges)?.volume());
    let cell = UnitCell::from_vectors(edges.map(|edge| edge.component_mul(&scale)))?;
    let elements = elements(lines)?;
    let mut mode = lines.needed("\"Direct\" or \"Cartesian\"")?;
    if mode.trim_start().starts_with(['S', 's']) {
        mode = lines.needed("\"Direct\" or \"Cartesian\"")?;
    }
    let place: &dyn Fn(Point3<f64>) -> Point3<f64> = match mode.trim_start().chars().next() {
        Some('D' | 'd') => &|fractional| cell.place(fractional.coords),
        Some('C' | 'c' | 'K' | 'k') => &|position| Point3::from(position.coords.component_mul(&scale)),
        _ => return Err(format!("\"Direct\" or \"Cartesian\" must stand here, not \"{}\"", mode.trim())),
    };
    let total: usize = elements.iter().map(|(_, count)| *count).fold(0, usize::saturating_add);
    let mut atoms = Vec::new();
    for (element, count) in elements {
        for _ in 0..count {
            let position = vector(lines.needed(format_args!("atom {} of {total}", atoms.len() + 1))?)?;
            atoms.push(atom(element, place(position))?);
        }
    }
    if atoms.is_empty() {
        return Err("there are no atoms: every count is 0".to_owned());
    }
    Ok((atoms, cell))
}

/// Elements and how many atoms each has, from two lines.
fn elements(lines: &mut Lines) -> Result<Vec<(Element, usize)>, String> {
    let names: Vec<&str> = lines.needed("the symbols of the elements")?.split_whitespace().collect();
    if names.iter().all(|name| name.parse::<usize>().is_ok()) {
        let problem = "counts stand here, where VASP 5 names the elements: write a line with their symbols above, as in \"Fe Pt\"";
        return Err(problem.to_owned());
    }
    // VASP adds the kind of the potential, as in Fe_pv or Fe/5a1b
    let symbol = |name: &&str| name.split(['_', '/']).next().unwrap_or(name).parse::<Element>();
    let elements: Vec<Element> =
        names.iter().map(symbol).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let counts = lines.needed("the numbers of atoms")?.split_whitespace();
    let count = |word: &str| word.parse().map_err(|_| format!("\"{word}\" is not a number of atoms"));
    let counts: Vec<usize> = counts.map(count).collect::<Result<_, _>>()?;
    if counts.len() != elements.len() {
        let (elements, counts) = (elements.len(), counts.len());
        return Err(format!("there are {elements} elements, and {counts} numbers of atoms"));
    }
    Ok(elements.into_iter().zip(counts).collect())
}

/// What the second line says of the size of the cell.
enum Scale {
    /// By what its axes are multiplied.
    Factors(Vector3<f64>),
    /// Its volume \[Å³\].
    Volume(f64),
}

impl Scale {
    fn read(line: &str) -> Result<Self, String> {
        match numbers(line, "the scale")?[..] {
            [scale] if scale > 0.0 => Ok(Self::Factors(Vector3::repeat(scale))),
            [minus_volume] if minus_volume < 0.0 => Ok(Self::Volume(-minus_volume)),
            [x, y, z] if x > 0.0 && y > 0.0 && z > 0.0 => Ok(Self::Factors(Vector3::new(x, y, z))),
            ref numbers => {
                let problem =
                    "the scale is one number that is not 0, or three positive ones (1.0 leaves the cell as it is)";
                Err(format!("{problem}, not {numbers:?}"))
            }
        }
    }

    /// By what the axes of a cell of this volume \[Å³\] are multiplied.
    fn factors(&self, volume: f64) -> Vector3<f64> {
        match self {
            Self::Factors(factors) => *factors,
            Self::Volume(wanted) => Vector3::repeat((wanted / volume).cbrt()),
        }
    }
}

/// The three numbers that a line begins with.
fn vector(line: &str) -> Result<Point3<f64>, String> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(x), Some(y), Some(z)) => position([x, y, z], 1.0),
        _ => Err(format!("three numbers must stand here, not \"{}\"", line.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poscar(scale: &str, mode: &str, rows: &str) -> String {
        format!("comment\n{scale}\n2 0 0\n0 4 0\n0 1 5\nPt_pv Fe\n1 2\n{mode}\n{rows}")
    }

    const ROWS: &str = "0 0 0\n0.5 0.5 0.5 T F T\n0 -0.1 1.5 Fe\n\n0 0 0\n";

    fn positions(text: &str) -> Vec<[f64; 3]> {
        let (atoms, _) = parse(text).unwrap();
        assert_eq!(atoms.iter().map(|atom| atom.element.symbol()).collect::<Vec<_>>(), ["Pt", "Fe", "Fe"]);
        atoms.iter().map(|atom| atom.position.coords.into()).collect()
    }

    #[test]
    fn positions_are_direct_or_cartesian_and_scaled() {
        let direct = positions(&poscar("1.0", "Direct", ROWS));
        assert_eq!(direct, [[0.0, 0.0, 0.0], [1.0, 2.5, 2.5], [0.0, 1.1, 7.5]]);
        let doubled = positions(&poscar(" 2 ", "Selective dynamics\ndirect", ROWS));
        assert_eq!(doubled, [[0.0, 0.0, 0.0], [2.0, 5.0, 5.0], [0.0, 2.2, 15.0]]);
        // 8 times the volume of 40 Å³
        let by_volume = positions(&poscar("-320", "D", ROWS));
        assert!(by_volume.iter().flatten().zip(doubled.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(positions(&poscar("2", "Kartesian", ROWS)), [[0.0; 3], [1.0; 3], [0.0, -0.2, 3.0]]);
        assert_eq!(positions(&poscar("1 2 3", "cart", ROWS)), [[0.0; 3], [0.5, 1.0, 1.5], [0.0, -0.2, 4.5]]);
        assert_eq!(positions(&poscar("1 2 3", "Direct", ROWS))[1], [1.0, 5.0, 7.5]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let good = poscar("1", "Direct", ROWS);
        let fault = |text: &str| parse(text).map(drop).unwrap_err();
        for (from, to, line, said) in [
            ("comment\n1\n", "comment\n0\n", 2, "the scale is one number that is not 0"),
            ("comment\n1\n", "comment\n1 2\n", 2, "or three positive ones"),
            ("comment\n1\n", "comment\nx\n", 2, "the scale must be a number, not \"x\""),
            ("0 1 5\n", "0 1\n", 5, "three numbers must stand here"),
            ("0 1 5\n", "0 1 0\n", 5, "no volume"),
            ("Pt_pv Fe\n", "", 6, "write a line with their symbols above"),
            ("Pt_pv", "Xx_pv", 6, "\"Xx\" is not the symbol"),
            ("1 2\n", "1\n", 7, "2 elements, and 1 numbers"),
            ("1 2\n", "1 -2\n", 7, "\"-2\" is not a number of atoms"),
            ("1 2\n", "0 0\n", 8, "there are no atoms"),
            ("1 2\n", "1 18446744073709551615\n", 12, "three numbers must stand here, not \"\""),
            ("Direct", "Wrong", 8, "not \"Wrong\""),
            ("0.5 0.5 0.5", "0.5 nan 0.5", 10, "y must be a number, not \"nan\""),
            ("0.5 0.5 0.5", "0.5 1e308 0.5", 10, "an atom must be nearer than 1e9 Å"),
            ("0.5 0.5 0.5", "-1e9 0 0", 10, "x of the atom is -2e9"),
        ] {
            let found = fault(&good.replacen(from, to, 1));
            assert!(found.line == Some(line) && found.problem.contains(said), "{said} in {line}: {found:?}");
        }
        assert_eq!(fault(""), Fault::of_file("it is empty"));
        let cut: String = good.lines().take(9).map(|line| format!("{line}\n")).collect();
        assert_eq!(fault(&cut), Fault::at(9, "the file ends after this line, where atom 2 of 3 must follow"));
    }
}
