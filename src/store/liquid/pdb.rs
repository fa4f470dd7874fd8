//! PDB files, version 3.3: <https://www.wwpdb.org/documentation/file-format>. Frames are models, or end at `END`.

use super::names::Names;
use super::{Frame, Residues, Site, Trajectory, edges_of, number};
use crate::store::lines::Lines;
use crate::store::pdb::{Row, record};

pub struct Pdb {
    names: Names,
    /// The box said last \[Å\].
    size: Option<[f64; 3]>,
}

impl Pdb {
    pub fn new(names: Names) -> Self {
        Self { names, size: None }
    }
}

impl Trajectory for Pdb {
    fn next(&mut self, lines: &mut Lines) -> Result<Option<Frame>, String> {
        let mut atoms = Vec::new();
        let mut residues = Residues::default();
        while let Some(line) = lines.next()? {
            match record(line) {
                "CRYST1" => self.size = Some(edges(line)?),
                "ATOM" | "HETATM" => {
                    let row = Row::read(line)?;
                    let label = residues.label(row.residue);
                    let element = match row.element {
                        "" => self.names.atom(row.name.trim(), row.residue.get(..3).unwrap_or("").trim())?,
                        symbol => self.names.symbol(symbol)?,
                    };
                    atoms.extend(element.map(|element| Site { element, position: row.position, label }));
                }
                "ENDMDL" | "END" if !atoms.is_empty() => break,
                _ => {}
            }
        }
        if atoms.is_empty() {
            return Ok(None);
        }
        let size = self.size.ok_or("the atoms have no CRYST1 before them: the edges of the box are needed")?;
        Ok(Some(Frame { size, atoms }))
    }
}

/// The edges of `CRYST1` \[Å\].
fn edges(line: &str) -> Result<[f64; 3], String> {
    let column = |from: usize, to: usize| {
        let text = line.get(from..to).ok_or("CRYST1 has three edges and three angles; this line is too short")?;
        number(text, "an edge or angle of CRYST1")
    };
    let angles = [column(33, 40)?, column(40, 47)?, column(47, 54)?];
    if angles.iter().any(|angle| (angle - 90.0).abs() > 0.01) {
        return Err(format!("the box has the angles {angles:?}: run the liquid in a rectangular one"));
    }
    let edges = [column(6, 15)?, column(15, 24)?, column(24, 33)?];
    if edges == [1.0; 3] {
        return Err("CRYST1 says 1 × 1 × 1 Å, which stands for no box: its edges are needed".to_owned());
    }
    edges_of(edges)
}
