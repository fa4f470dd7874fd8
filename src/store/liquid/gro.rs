//! GRO files of GROMACS, in nm: <https://manual.gromacs.org/current/reference-manual/file-formats.html#gro>.
//!
//! The format has no elements: they follow from the names of the atoms.

use super::names::Names;
use super::{Frame, Residues, Site, Trajectory, numbers, position, rectangular};
use crate::store::lines::Lines;

/// Å a nm.
const UNIT: f64 = 10.0;

pub struct Gro {
    names: Names,
}

impl Gro {
    pub fn new(names: Names) -> Self {
        Self { names }
    }
}

impl Trajectory for Gro {
    fn next(&mut self, lines: &mut Lines) -> Result<Option<Frame>, String> {
        loop {
            // empty lines may follow the last frame; a title may be empty too
            let Some(title) = lines.next()? else { return Ok(None) };
            let is_empty = title.trim().is_empty();
            match lines.next()? {
                None if is_empty => return Ok(None),
                Some(count) if is_empty && count.trim().is_empty() => {}
                Some(count) => {
                    let count = count.to_owned();
                    return self.frame(&count, lines).map(Some);
                }
                None => return Err("the file ends before the number of atoms".to_owned()),
            }
        }
    }
}

impl Gro {
    /// Atoms and box of a frame that has `count` of them.
    fn frame(&self, count: &str, lines: &mut Lines) -> Result<Frame, String> {
        let count: usize =
            count.trim().parse().map_err(|_| format!("\"{}\" is not a number of atoms", count.trim()))?;
        let mut atoms = Vec::new();
        let mut residues = Residues::default();
        for atom in 0..count {
            let line = lines.needed(format_args!("atom {} of {count}", atom + 1))?;
            let row = Row::read(line).ok_or_else(|| format!("\"{line}\" is not a line of an atom"))?;
            let label = residues.label(row.residue);
            let position = position(row.position, UNIT)?;
            let residue = row.residue.get(5..).unwrap_or("").trim();
            if let Some(element) = self.names.atom(row.name, residue)? {
                atoms.push(Site { element, position, label });
            }
        }
        let mut entries = numbers(lines.needed("the box")?, "an edge of the box")?;
        if entries.len() != 3 && entries.len() != 9 {
            return Err(format!("the box has 3 numbers, or 9, not {}", entries.len()));
        }
        entries.resize(9, 0.0);
        // xx yy zz, then xy xz yx yz zx zy
        let vectors = [[0, 3, 4], [5, 1, 6], [7, 8, 2]].map(|row| row.map(|i: usize| UNIT * entries[i]));
        Ok(Frame { size: rectangular(vectors)?, atoms })
    }
}

/// What is read of a line.
struct Row<'a> {
    /// Number and name.
    residue: &'a str,
    name: &'a str,
    position: [&'a str; 3],
}

impl<'a> Row<'a> {
    /// Residue number (5 columns) and name (5), atom name (5) and number (5), then the position, with any number of decimals: columns are as wide
    /// as the points are apart.
    fn read(line: &'a str) -> Option<Self> {
        let numbers = line.get(20..)?;
        let mut points = numbers.match_indices('.').map(|(place, _)| place);
        let width = points.next().zip(points.next()).map(|(first, second)| second - first)?;
        let column = |i: usize| numbers.get(i * width..(i + 1) * width);
        Some(Self {
            residue: line.get(..10)?,
            name: line.get(10..15)?.trim(),
            position: [column(0)?, column(1)?, column(2)?],
        })
    }
}
