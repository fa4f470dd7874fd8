//! Dumps of LAMMPS (`dump … custom` with id, and element or type): <https://docs.lammps.org/dump.html>.
//!
//! Columns are found by name. Atoms may come in any order; id says which is which, mol which molecule they are of.

use nalgebra::Point3;

use super::names::Names;
use super::{Frame, NOT_RECTANGULAR, Site, Trajectory, number, numbers, rectangular};
use crate::store::lines::Lines;

pub struct Dump {
    names: Names,
    /// Å a unit of length. The file says it once, if at all.
    unit: f64,
}

impl Dump {
    pub fn new(names: Names) -> Self {
        Self { names, unit: 1.0 }
    }
}

/// Where the columns are that are read.
struct Columns {
    id: usize,
    molecule: Option<usize>,
    element: Option<usize>,
    kind: Option<usize>,
    position: [usize; 3],
    /// Whether positions are in parts of the box.
    is_scaled: bool,
    count: usize,
}

impl Trajectory for Dump {
    fn next(&mut self, lines: &mut Lines) -> Result<Option<Frame>, String> {
        let (mut atoms, mut size) = (None, None);
        loop {
            let Some(line) = lines.next()? else {
                return match (atoms, size) {
                    (None, None) => Ok(None),
                    _ => Err("the file ends before the atoms of its last frame".to_owned()),
                };
            };
            if line.trim().is_empty() {
                continue;
            }
            let item = line.strip_prefix("ITEM:").map(str::trim);
            let item = item.ok_or_else(|| format!("\"ITEM: …\" must come here, not \"{line}\""))?.to_owned();
            match item.as_str() {
                "UNITS" => self.unit = unit(lines.needed("the units")?)?,
                "TIMESTEP" | "TIME" => {
                    lines.needed("the time")?;
                }
                "NUMBER OF ATOMS" => {
                    let text = lines.needed("the number of atoms")?.trim();
                    atoms = Some(text.parse().map_err(|_| format!("\"{text}\" is not a number of atoms"))?);
                }
                _ if item.starts_with("BOX BOUNDS") => size = Some(edges(&item, lines, self.unit)?),
                _ if item.starts_with("ATOMS") => {
                    let atoms: usize = atoms.ok_or("\"ITEM: NUMBER OF ATOMS\" must come before the atoms")?;
                    let size = size.ok_or("\"ITEM: BOX BOUNDS\" must come before the atoms")?;
                    let columns = Columns::read(&item)?;
                    let atoms = self.atoms(lines, &columns, size, atoms)?;
                    return Ok(Some(Frame { size, atoms }));
                }
                _ => return Err(format!("\"ITEM: {item}\" is not known of a dump of atoms")),
            }
        }
    }
}

impl Dump {
    fn atoms(&self, lines: &mut Lines, columns: &Columns, size: [f64; 3], count: usize) -> Result<Vec<Site>, String> {
        let mut atoms: Vec<(u64, Option<Site>)> = Vec::new();
        while atoms.len() < count {
            let row: Vec<&str> =
                lines.needed(format_args!("atom {} of {count}", atoms.len() + 1))?.split_whitespace().collect();
            if row.len() < columns.count {
                return Err(format!("an atom has {} columns, this line has {}", columns.count, row.len()));
            }
            let whole = |column: usize| {
                row[column].parse::<u64>().map_err(|_| format!("\"{}\" is not a whole number", row[column]))
            };
            let element = match (columns.element, columns.kind) {
                (Some(column), _) => self.names.symbol(row[column])?,
                (None, Some(column)) => self.names.kind(row[column])?,
                (None, None) => {
                    return Err("the atoms have neither element nor type: dump id, type, x, y, z".to_owned());
                }
            };
            let scale = if columns.is_scaled { size } else { [self.unit; 3] };
            let coordinate = |axis: usize| {
                let value = number(row[columns.position[axis]], ["x", "y", "z"][axis])?;
                Ok::<f64, String>(scale[axis] * value)
            };
            let position = Point3::new(coordinate(0)?, coordinate(1)?, coordinate(2)?);
            let label = columns.molecule.map_or(Ok(0), whole)?;
            atoms.push((whole(columns.id)?, element.map(|element| Site { element, position, label })));
        }
        atoms.sort_by_key(|(id, _)| *id);
        if let Some(pair) = atoms.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("two atoms of the frame that ends here have the id {}", pair[0].0));
        }
        Ok(atoms.into_iter().filter_map(|(_, site)| site).collect())
    }
}

/// Å a unit of length of a style of LAMMPS.
fn unit(style: &str) -> Result<f64, String> {
    match style.trim() {
        "real" | "metal" => Ok(1.0),
        "electron" => Ok(0.529_177_210_9),
        "nano" => Ok(10.0),
        "micro" => Ok(1e4),
        "cgs" => Ok(1e8),
        "si" => Ok(1e10),
        other => Err(format!("units \"{other}\" have no length in Å")),
    }
}

/// Edges of the box \[Å\]. `item` is as `BOX BOUNDS pp pp pp`; the lines `low high`, and in a slanted box the slant.
fn edges(item: &str, lines: &mut Lines, unit: f64) -> Result<[f64; 3], String> {
    if item.contains("abc") {
        return Err(NOT_RECTANGULAR.to_owned());
    }
    let flags = item.split_whitespace().skip(2).filter(|word| word.len() == 2);
    if let Some((axis, flag)) = ["x", "y", "z"].iter().zip(flags).find(|(_, flag)| *flag != "pp") {
        return Err(format!(
            "the box is not periodic along {axis} (\"{flag}\"): a liquid must fill a box with boundaries p p p; graphene and particle are added here"
        ));
    }
    let mut vectors = [[0.0; 3]; 3];
    for (axis, vector) in vectors.iter_mut().enumerate() {
        let line = lines.needed("an edge of the box")?;
        let numbers = numbers(line, "a bound of the box")?;
        let &[low, high, ref slant @ ..] = numbers.as_slice() else {
            return Err(format!("a bound of the box is \"low high\", not \"{}\"", line.trim()));
        };
        vector[axis] = unit * (high - low);
        vector[(axis + 1) % 3] = unit * slant.first().copied().unwrap_or(0.0);
    }
    rectangular(vectors)
}

impl Columns {
    /// From `ATOMS id mol type x y z`.
    fn read(item: &str) -> Result<Self, String> {
        let names: Vec<&str> = item.split_whitespace().skip(1).collect();
        let find = |name: &str| names.iter().position(|known| *known == name);
        let sets = [["x", "y", "z"], ["xu", "yu", "zu"], ["xs", "ys", "zs"], ["xsu", "ysu", "zsu"]];
        let found = sets.iter().find_map(|set| Some((set, [find(set[0])?, find(set[1])?, find(set[2])?])));
        let missing = |what: &str| format!("the atoms have no {what} (they have: {})", names.join(" "));
        let (set, position) = found.ok_or_else(|| missing("positions x y z"))?;
        Ok(Self {
            id: find("id").ok_or_else(|| missing("id"))?,
            molecule: find("mol"),
            element: find("element"),
            kind: find("type"),
            position,
            is_scaled: set[0].starts_with("xs"),
            count: names.len(),
        })
    }
}
