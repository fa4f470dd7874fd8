//! The atoms of a unit cell from a CIF.

use std::fs;
use std::path::Path;

use nalgebra::{Point3, Vector3};

use super::symmetry::{Operation, images};
use super::syntax::{Block, Value, parse};
use crate::store::Error;
use crate::store::pdb::isotope;
use crate::store::structure::{atom, not_particle, stem};
use crate::store::unit_cell::{Crystal, UnitCell};
use crate::store::words::Fault;
use crate::structure::{Atom, Element, Structure, pair_within};

const FRACTIONAL: [&str; 3] = ["_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"];
const CARTESIAN: [&str; 3] = ["_atom_site_cartn_x", "_atom_site_cartn_y", "_atom_site_cartn_z"];
const LENGTHS: [&str; 3] = ["_cell_length_a", "_cell_length_b", "_cell_length_c"];
const ANGLES: [&str; 3] = ["_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"];
const OPERATIONS: [&str; 2] = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"];
const GROUPS: [&str; 6] = [
    "_space_group_name_h-m_alt",
    "_space_group_name_hall",
    "_space_group_it_number",
    "_symmetry_space_group_name_h-m",
    "_symmetry_space_group_name_hall",
    "_symmetry_int_tables_number",
];
const SYMBOL: &str = "_atom_site_type_symbol";
const LABEL: &str = "_atom_site_label";

/// Nearer than this no two atoms are \[Å\].
const SHARED: f64 = 0.5;

/// Reads the atoms of one unit cell.
///
/// # Errors
/// If the file is no CIF with one list of sites, symmetry or cell are needed and missing, a site's element or place is not known, or two atoms are in one
/// place; the message names the line where there is one.
pub fn read(path: &Path) -> Result<Crystal, Error> {
    // names of authors may be in any alphabet
    let bytes = fs::read(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
    let (atoms, cell) = crystal(&String::from_utf8_lossy(&bytes)).map_err(|fault| fault.in_file(path, not_particle))?;
    Ok(Crystal { structure: Structure::new(stem(path), atoms), cell })
}

/// A row of the list of atoms.
struct Site<'a> {
    element: Element,
    /// What the list calls it.
    label: &'a str,
    line: usize,
}

impl Site<'_> {
    /// The atom of this site at a position \[Å\].
    fn atom(&self, position: Point3<f64>) -> Result<Atom, Fault> {
        atom(self.element, position).map_err(|problem| Fault::at(self.line, problem))
    }
}

fn crystal(text: &str) -> Result<(Vec<Atom>, Option<UnitCell>), Fault> {
    let blocks = parse(text)?;
    let block = with_sites(&blocks)?;
    let sites = sites(block)?;
    let cell = cell(block)?;
    let operations = operations(block)?;
    let is_plain = operations.iter().all(Operation::is_identity);
    let cartesian = coordinates(block, CARTESIAN, sites.len())?.filter(|_| is_plain);
    if let Some(places) = cartesian {
        let atoms = sites.iter().zip(places).map(|(site, place)| site.atom(Point3::from(place)));
        let atoms: Vec<Atom> = atoms.collect::<Result<_, _>>()?;
        check_apart(atoms.iter().map(|atom| atom.position).zip(0..).collect(), &sites)?;
        return Ok((atoms, cell));
    }
    let places = coordinates(block, FRACTIONAL, sites.len())?;
    let no_fractions =
        "the atoms have no fractional coordinates (_atom_site_fract_x, _y, _z), which the symmetry needs";
    let places = places.ok_or_else(|| Fault::at(block.line, no_fractions))?;
    let no_cell = format!("data_{} has no cell (_cell_length_a, …, _cell_angle_gamma)", block.name);
    let cell = cell.ok_or_else(|| Fault::at(block.line, no_cell))?;
    let (mut atoms, mut near) = (Vec::new(), Vec::new());
    for (i, (site, place)) in sites.iter().zip(places).enumerate() {
        // folding into the cell would hide that a place is too far away
        site.atom(cell.place(place))?;
        for image in if is_plain { vec![place] } else { images(place, &operations, &cell) } {
            atoms.push(site.atom(cell.place(image))?);
            near.extend(cell.with_copies(image, SHARED).into_iter().map(|place| (place, i)));
        }
    }
    check_apart(near, &sites)?;
    Ok((atoms, Some(cell)))
}

/// The only block with positions of atoms.
fn with_sites<'a, 'b>(blocks: &'a [Block<'b>]) -> Result<&'a Block<'b>, Fault> {
    let has_sites = |block: &&Block| [FRACTIONAL[0], CARTESIAN[0]].iter().any(|name| block.values(name).is_some());
    let found: Vec<&Block> = blocks.iter().filter(has_sites).collect();
    match found[..] {
        [block] => Ok(block),
        [] if blocks.iter().any(|block| block.has_names("_atom_site.")) => Err(Fault::of_file(
            "this is mmCIF, the format of macromolecules; save the atoms as core CIF (names such as _atom_site_fract_x), PDB or XYZ",
        )),
        [] => Err(Fault::of_file("no data_ block has atoms (_atom_site_fract_x, or _atom_site_Cartn_x)")),
        [_, second, ..] => {
            let names: Vec<String> = found.iter().map(|block| format!("data_{}", block.name)).collect();
            let problem = format!("{} have atoms: leave one of them in the file", names.join(", "));
            Err(Fault::at(second.line, problem))
        }
    }
}

fn sites<'a>(block: &Block<'a>) -> Result<Vec<Site<'a>>, Fault> {
    let (symbols, labels) = (block.values(SYMBOL), block.values(LABEL));
    let names = symbols.or(labels).ok_or_else(|| {
        Fault::at(block.line, "the atoms have neither elements (_atom_site_type_symbol) nor labels (_atom_site_label)")
    })?;
    let labels = labels.filter(|labels| labels.len() == names.len()).unwrap_or(names);
    let site = |(name, label): (&Value<'a>, &Value<'a>)| {
        let element = if symbols.is_some() { of_symbol(name.text) } else { of_label(name.text) };
        let unknown = || {
            let list = if symbols.is_some() { SYMBOL } else { LABEL };
            name.fault(format!(
                "\"{}\" ({list}) names no element: write its symbol in _atom_site_type_symbol",
                name.text
            ))
        };
        Ok(Site { element: element.ok_or_else(unknown)?, label: label.text, line: name.line })
    };
    names.iter().zip(labels).map(site).collect()
}

/// Of "Fe", "Fe3+" or "Fe+3".
fn of_symbol(text: &str) -> Option<Element> {
    isotope(text.trim_end_matches(|c: char| !c.is_alphabetic())).parse().ok()
}

/// Of "Fe1", "O12A", or "Ow" of water; of two capitals only if they cannot be one element as well as the first of them another ("CO1"). A word such as "Wat" or
/// "DUM" says no element, nor does "T1", a site in a tetrahedron.
fn of_label(text: &str) -> Option<Element> {
    let mut letters = text.chars().take_while(char::is_ascii_alphabetic);
    let (first, second, third) = (letters.next()?, letters.next(), letters.next());
    let known = |symbol: &str| symbol.parse::<Element>().ok();
    let one = if first == 'D' { known("H") } else { known(&first.to_string()) };
    let Some(second) = second else { return one };
    if third.is_some_and(|third| third.is_ascii_uppercase() == second.is_ascii_uppercase()) {
        return None;
    }
    match (one, known(&format!("{first}{second}"))) {
        (Some(_), Some(_)) if second.is_ascii_uppercase() => None,
        (_, Some(two)) => Some(two),
        // "DU1" is a dummy as well as a deuterium
        (one, None) => one.filter(|_| "wW".contains(second) || second.is_ascii_uppercase() && first != 'D'),
    }
}

/// The places of the sites, if these columns are there and every row has numbers in them or, of Cartesian ones, none has.
fn coordinates(block: &Block, names: [&str; 3], count: usize) -> Result<Option<Vec<Vector3<f64>>>, Fault> {
    let columns = names.map(|name| block.values(name));
    let [Some(x), Some(y), Some(z)] = columns else { return Ok(None) };
    if [x, y, z].iter().all(|column| column.iter().all(|value| value.known().is_none())) {
        return Ok(None);
    }
    if [x, y, z].iter().any(|column| column.len() != count) {
        return Err(x[0].fault(format!("{} and the elements of the atoms are not in one loop", names[0])));
    }
    let number = |value: &Value, name: &str| match value.known() {
        Some(_) => value.number(name),
        None => Err(value.fault(format!("the site has no {name}: add it, or leave the site out"))),
    };
    let place =
        |i: usize| Ok(Vector3::new(number(&x[i], names[0])?, number(&y[i], names[1])?, number(&z[i], names[2])?));
    (0..count).map(place).collect::<Result<_, _>>().map(Some)
}

/// The cell, if the block says any of it.
fn cell(block: &Block) -> Result<Option<UnitCell>, Fault> {
    let value = |name: &str| block.values(name).map(|values| values[0]).filter(|value| value.known().is_some());
    let names = || LENGTHS.into_iter().chain(ANGLES);
    let Some(first) = names().find_map(value) else { return Ok(None) };
    let number = |name: &str| match value(name) {
        Some(value) => value.number(name),
        None => Err(Fault::at(first.line, format!("the cell that begins here has no {name}"))),
    };
    let three = |names: [&str; 3]| Ok::<_, Fault>([number(names[0])?, number(names[1])?, number(names[2])?]);
    UnitCell::from_parameters(three(LENGTHS)?, three(ANGLES)?).map(Some).map_err(|problem| first.fault(problem))
}

/// The symmetry operations of a block; the identity alone if it has none and none is needed.
fn operations(block: &Block) -> Result<Vec<Operation>, Fault> {
    let mut listed = OPERATIONS.iter().filter_map(|name| block.values(name));
    if let Some(values) = listed.find(|values| values.iter().any(|value| value.known().is_some())) {
        let read = |value: &Value| Operation::read(value.text).map_err(|problem| value.fault(problem));
        return values.iter().map(read).collect();
    }
    let known = GROUPS.iter().filter_map(|name| block.values(name)).map(|values| values[0]);
    let mut known = known.filter(|value| value.known().is_some());
    let is_p1 = |value: &Value| ["P1", "1"].contains(&value.text.replace(' ', "").to_ascii_uppercase().as_str());
    match known.find(|value| !is_p1(value)) {
        None => Ok(vec![Operation::identity()]),
        Some(group) => Err(group.fault(format!(
            "the space group is \"{}\", but its operations are not listed: save the file with _symmetry_equiv_pos_as_xyz, or in P1 with all atoms",
            group.text
        ))),
    }
}

/// Fails if two of these places, each of the site of that index, are the same.
fn check_apart(places: Vec<(Point3<f64>, usize)>, sites: &[Site]) -> Result<(), Fault> {
    let (positions, origins): (Vec<Point3<f64>>, Vec<usize>) = places.into_iter().unzip();
    let Some((i, j)) = pair_within(&positions, SHARED) else { return Ok(()) };
    let (first, second) = (&sites[origins[i].min(origins[j])], &sites[origins[i].max(origins[j])]);
    let distance = (positions[i] - positions[j]).norm();
    let problem = format!(
        "atoms of the sites {} and {} are {distance:.2} Å apart: where elements or places share a site (partial occupancy), leave one of them in the file; \
         alloyed(…) draws the elements of an alloy",
        first.label, second.label
    );
    Err(Fault::at(second.line, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "_cell_length_a 6\n_cell_length_b 6\n_cell_length_c 6\n_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n";
    const FRACT: &str = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n";
    const CARTN: &str = "loop_\n_atom_site_label\n_atom_site_Cartn_x\n_atom_site_Cartn_y\n_atom_site_Cartn_z\n";

    /// Positions of the atoms of a cubic cell of 6 Å; of its lines the rows of the sites are the thirteenth and those that follow, and more if something is said before.
    fn positions(said: &str, names: &str, rows: &str) -> Result<Vec<[f64; 3]>, Fault> {
        let (atoms, _) = crystal(&format!("data_a\n{CELL}{said}{names}{rows}"))?;
        Ok(atoms.iter().map(|atom| atom.position.coords.into()).collect())
    }

    #[test]
    fn labels_name_an_element_only_where_there_is_one_way_to_read_them() {
        for (label, element) in [
            ("Fe1", Some("Fe")),
            ("O12A", Some("O")),
            ("Ow", Some("O")),
            ("Hw2", Some("H")),
            ("OW1", Some("O")),
            ("AL1", Some("Al")),
            ("TI2", Some("Ti")),
            ("Te1", Some("Te")),
            ("W1", Some("W")),
            ("D1", Some("H")),
            ("H1A", Some("H")),
            ("CO1", None),
            ("PT1", None),
            ("T1", None),
            ("T", None),
            ("FeA1", Some("Fe")),
            ("OwA", Some("O")),
            ("OH1", Some("O")),
            ("Dw1", Some("H")),
            ("Wat", None),
            ("WAT1", None),
            ("DUM", None),
            ("Du1", None),
            ("DU1", None),
            ("DY1", None),
            ("Om1", None),
            ("Q1", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(of_label(label).map(Element::symbol), element, "{label}");
        }
        let fault = positions("", FRACT, "Fe1 0 0 0\nT1 0.5 0 0\n").unwrap_err();
        assert_eq!(fault.line, Some(14));
        assert!(
            fault.problem.contains("\"T1\" (_atom_site_label) names no element: write its symbol in _atom_site_type")
        );
    }

    #[test]
    fn a_space_group_without_operations_is_found_under_any_of_its_names() {
        let read = |said: &str| positions(said, FRACT, "Fe1 0.1 0 0\n").map(|atoms| atoms.len());
        for said in [
            "",
            "_space_group_name_H-M_alt 'P 1'\n_space_group_name_Hall 'P 1'\n_space_group_IT_number 1\n",
            "_symmetry_space_group_name_H-M P1\n_symmetry_space_group_name_Hall ?\n_symmetry_Int_Tables_number .\n",
        ] {
            assert_eq!(read(said), Ok(1), "{said}");
        }
        for (said, line, group) in [
            ("_space_group_name_H-M_alt ?\n_symmetry_space_group_name_H-M 'P -1'\n", 9, "P -1"),
            ("_space_group_name_Hall '-P 1'\n", 8, "-P 1"),
            ("_symmetry_space_group_name_H-M .\n_symmetry_space_group_name_Hall '-P 1'\n", 9, "-P 1"),
            ("_space_group_IT_number ?\n_symmetry_Int_Tables_number 2\n", 9, "2"),
            ("_space_group_name_H-M_alt 'P 1'\n_space_group_IT_number 2\n", 9, "2"),
            ("_symmetry_equiv_pos_as_xyz ?\n_space_group_IT_number 2\n", 9, "2"),
        ] {
            let fault = read(said).unwrap_err();
            let expected = format!("the space group is \"{group}\", but its operations are not listed");
            assert!(fault.line == Some(line) && fault.problem.contains(&expected), "{said}: {fault:?}");
        }
        let listed = "_space_group_symop_operation_xyz ?\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'\n";
        assert_eq!(read(listed), Ok(2));
    }

    #[test]
    fn sites_of_other_cells_in_one_place_are_refused_and_others_stay_where_they_are() {
        for (first, second) in [("-0.001 0 0", "0.999 0 0"), ("1.3 0.5 0", "0.3 0.5 0"), ("0.1 -2 0.99", "0.1 0 0.01")]
        {
            let fault = positions("", FRACT, &format!("Fe1 {first}\nPt2 {second}\n")).unwrap_err();
            assert!(fault.line == Some(14) && fault.problem.contains("sites Fe1 and Pt2 are"), "{first}: {fault:?}");
        }
        let found = positions("", FRACT, "Fe1 -0.25 0 0\nFe2 1.25 0 0\n").unwrap();
        assert_eq!(found, [[-1.5, 0.0, 0.0], [7.5, 0.0, 0.0]]);
    }

    #[test]
    fn places_too_far_away_for_an_atom_are_refused() {
        let inversion = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'\n";
        for (said, names, rows, line) in [
            ("", CARTN, "Fe1 0 0 0\nFe2 1e30 0 0\n", 14),
            ("", CARTN, "Fe1 0 -1e9 0\n", 13),
            ("", FRACT, "Fe1 0 0 0\nFe2 1 1 1e308\n", 14),
            ("", FRACT, "Fe1 0 -2e8 0\n", 13),
            (inversion, FRACT, "Fe1 0 0 0\nFe2 1e308 1 1\n", 18),
        ] {
            let fault = positions(said, names, rows).unwrap_err();
            let is_told = fault.problem.contains("an atom must be nearer than 1e9 Å to the origin");
            assert!(fault.line == Some(line) && is_told, "{rows}: {fault:?}");
        }
        assert_eq!(positions("", CARTN, "Fe1 0 -9.9e8 0\n"), Ok(vec![[0.0, -9.9e8, 0.0]]));
    }
}
