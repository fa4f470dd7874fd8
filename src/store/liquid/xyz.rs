//! Extended XYZ with `Lattice=` in every comment line: <https://github.com/libAtoms/extxyz>.

use std::fmt::Write;

use super::{Frame, Site, Trajectory, numbers, rectangular};
use crate::cell::Liquid;
use crate::store::lines::Lines;
use crate::structure::{Atom, Structure, xyz_entry};

pub struct ExtendedXyz;

impl Trajectory for ExtendedXyz {
    fn next(&mut self, lines: &mut Lines) -> Result<Option<Frame>, String> {
        let count = loop {
            match lines.next()? {
                None => return Ok(None),
                Some(line) if line.trim().is_empty() => {}
                Some(line) => break line.to_owned(),
            }
        };
        let begin = lines.number();
        let atoms: usize = count.trim().parse().map_err(|_| format!("\"{count}\" is not a number of atoms"))?;
        let comment = lines.needed("the comment with Lattice=")?.to_owned();
        let size = size(&comment)?;
        let mut text = format!("{count}\n{comment}\n");
        for atom in 0..atoms {
            text.push_str(lines.needed(format_args!("atom {} of {atoms}", atom + 1))?);
            text.push('\n');
        }
        let structure = Structure::from_xyz(&text)
            .map_err(|cause| format!("in the frame that begins in line {begin} of the file, {cause}"))?;
        let site = |atom: &Atom| Site { element: atom.element, position: atom.position, label: 0 };
        Ok(Some(Frame { size, atoms: structure.atoms().iter().map(site).collect() }))
    }
}

/// The box of a comment line.
fn size(comment: &str) -> Result<[f64; 3], String> {
    let no_box = "the comment has no Lattice=\"a 0 0 0 b 0 0 0 c\": the edges of the box (Å) are needed";
    let lattice = xyz_entry(comment, "Lattice").ok_or(no_box)?;
    let entries = numbers(&lattice, "an entry of Lattice")?;
    if entries.len() != 9 {
        return Err(format!("Lattice has 9 numbers, not {}", entries.len()));
    }
    if xyz_entry(comment, "pbc").is_some_and(|pbc| pbc.contains('F')) {
        return Err("the box is not periodic (pbc): a liquid must fill a box with pbc=\"T T T\"".to_owned());
    }
    rectangular([0, 3, 6].map(|i: usize| [entries[i], entries[i + 1], entries[i + 2]]))
}

/// The text of a liquid, a frame a snapshot.
pub fn text(liquid: &Liquid) -> String {
    let mut text = String::new();
    let [x, y, z] = liquid.size();
    for snapshot in liquid.snapshots() {
        let lattice = format!("Lattice=\"{x} 0 0 0 {y} 0 0 0 {z}\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"");
        write!(text, "{}\n{lattice}\n", snapshot.len()).expect("writing to a string");
        for (element, p) in liquid.elements().iter().zip(snapshot) {
            writeln!(text, "{:<2} {:11.5} {:11.5} {:11.5}", element.symbol(), p.x, p.y, p.z)
                .expect("writing to a string");
        }
    }
    text
}
