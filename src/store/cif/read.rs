//! The atoms of a unit cell from a CIF.

use std::fs;
use std::path::Path;

use nalgebra::{Point3, Vector3};

use super::symmetry::{Operation, images};
use super::syntax::{Block, Value, parse};
use crate::store::Error;
use crate::store::pdb::isotope;
use crate::store::structure::stem;
use crate::store::unit_cell::{Crystal, UnitCell};
use crate::store::words::Fault;
use crate::structure::{Atom, Element, Structure, within};

const FRACTIONAL: [&str; 3] = ["_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"];
const CARTESIAN: [&str; 3] = ["_atom_site_cartn_x", "_atom_site_cartn_y", "_atom_site_cartn_z"];
const LENGTHS: [&str; 3] = ["_cell_length_a", "_cell_length_b", "_cell_length_c"];
const ANGLES: [&str; 3] = ["_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"];
const OPERATIONS: [&str; 2] = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"];
const GROUP_NAMES: [&str; 2] = ["_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m"];
const GROUP_NUMBERS: [&str; 2] = ["_space_group_it_number", "_symmetry_int_tables_number"];
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
    let not_particle = |path, problem| Error::NotParticle { path, problem };
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

fn crystal(text: &str) -> Result<(Vec<Atom>, Option<UnitCell>), Fault> {
    let blocks = parse(text)?;
    let block = with_sites(&blocks)?;
    let sites = sites(block)?;
    let cell = cell(block)?;
    let operations = operations(block)?;
    let is_plain = operations.iter().all(Operation::is_identity);
    let cartesian = coordinates(block, CARTESIAN, sites.len())?.filter(|_| is_plain);
    let atom = |site: &Site, position| Atom { element: site.element, position };
    if let Some(places) = cartesian {
        let atoms: Vec<Atom> = sites.iter().zip(places).map(|(site, place)| atom(site, Point3::from(place))).collect();
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
        for image in if is_plain { vec![place] } else { images(place, &operations, &cell) } {
            atoms.push(atom(site, cell.place(image)));
            near.extend(cell.with_copies(image, SHARED).into_iter().map(|place| (place, i)));
        }
    }
    check_apart(near, &sites)?;
    Ok((atoms, Some(cell)))
}

/// The only block with positions of atoms.
fn with_sites<'a, 'b>(blocks: &'a [Block<'b>]) -> Result<&'a Block<'b>, Fault> {
    let has_sites = |block: &&Block| block.first_of(&[FRACTIONAL[0], CARTESIAN[0]]).is_some();
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
    let (symbols, labels) = (block.first_of(&[SYMBOL]), block.first_of(&[LABEL]));
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

/// Of "Fe1", "O12A" or "Ow"; of two capitals only if they cannot be one element as well as the first of them another ("CO1").
fn of_label(text: &str) -> Option<Element> {
    let mut letters = text.chars().take_while(char::is_ascii_alphabetic);
    let (first, second) = (letters.next()?, letters.next());
    let one = isotope(&first.to_string()).parse().ok();
    match second {
        None => one,
        Some(second) => {
            let two = format!("{first}{second}").parse().ok();
            if second.is_ascii_uppercase() && one.is_some() && two.is_some() { None } else { two.or(one) }
        }
    }
}

/// The places of the sites, if these columns are there and every row has numbers in them or, of Cartesian ones, none has.
fn coordinates(block: &Block, names: [&str; 3], count: usize) -> Result<Option<Vec<Vector3<f64>>>, Fault> {
    let columns = names.map(|name| block.first_of(&[name]));
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
    let value = |name: &str| block.first_of(&[name]).map(|values| values[0]).filter(|value| value.known().is_some());
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
    if let Some(values) = block.first_of(&OPERATIONS) {
        let read = |value: &Value| Operation::read(value.text).map_err(|problem| value.fault(problem));
        return values.iter().map(read).collect();
    }
    let known = |names: &[&str]| block.first_of(names).map(|values| values[0]).filter(|value| value.known().is_some());
    let is_p1 = |value: &Value| ["P1", "1"].contains(&value.text.replace(' ', "").to_ascii_uppercase().as_str());
    match [known(&GROUP_NAMES), known(&GROUP_NUMBERS)].into_iter().flatten().find(|value| !is_p1(value)) {
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
    let neighbours = within(&positions, SHARED);
    let Some((i, j)) = neighbours.iter().enumerate().find_map(|(i, near)| near.first().map(|&j| (i, j))) else {
        return Ok(());
    };
    let (first, second) = (&sites[origins[i].min(origins[j])], &sites[origins[i].max(origins[j])]);
    let distance = (positions[i] - positions[j]).norm();
    let problem = format!(
        "atoms of the sites {} and {} are {distance:.2} Å apart: where elements or places share a site (partial occupancy), leave one of them in the file; \
         alloyed(…) draws the elements of an alloy",
        first.label, second.label
    );
    Err(Fault::at(second.line, problem))
}
