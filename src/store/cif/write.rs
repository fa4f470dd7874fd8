//! A particle as CIF.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use nalgebra::{Point3, Vector3};

use crate::store::structure::{PROBABILITY, SIGMA};
use crate::store::{Error, atomic};
use crate::structure::{Atom, Structure};
use crate::task::Task;

/// Empty space between the outermost atoms and the faces of the cell \[Å\].
const MARGIN: f64 = 5.0;
/// Widest cell in which nine decimals of fractional coordinates are 10⁻⁴ Å \[Å\].
const WIDEST: f64 = 1e5;

/// Writes atoms as a CIF without symmetry, in a rectangular cell 5 Å wider on each side. Of the columns of a model, `probability` is the occupancy and the square of
/// `sigma_A` is U.
///
/// # Errors
/// If there are no atoms, a position is not finite, they are spread over more than 10⁵ Å, or the file cannot be written.
///
/// # Panics
/// If one of these columns has fewer numbers than there are atoms.
pub fn write_cif(path: &Path, structure: &Structure, columns: &BTreeMap<String, Vec<f64>>) -> Result<(), Error> {
    let placed = Placed::new(structure).map_err(|problem| Error::Unwritable { path: path.to_owned(), problem })?;
    let (probability, sigma) = (columns.get(PROBABILITY), columns.get(SIGMA));
    atomic::write_bytes(path, &Task::silent(), |writer| {
        placed.write_heading(writer, structure.name(), probability.is_some(), sigma.is_some())?;
        let mut counts = BTreeMap::new();
        for (i, atom) in structure.atoms().iter().enumerate() {
            let number = counts.entry(atom.element).and_modify(|count| *count += 1).or_insert(1usize);
            let known = |column: Option<&Vec<f64>>| column.map(|column| column[i]);
            placed.write_row(writer, atom, *number, known(probability), known(sigma))?;
        }
        Ok(())
    })
}

/// Where the particle is in its cell.
struct Placed {
    /// Edges \[Å\].
    edges: Vector3<f64>,
    /// The cell's corner in the particle's frame \[Å\].
    corner: Vector3<f64>,
}

impl Placed {
    fn new(structure: &Structure) -> Result<Self, String> {
        let positions = || structure.atoms().iter().map(|atom| atom.position.coords);
        let first = positions().next().ok_or("there are no atoms")?;
        if let Some(i) = positions().position(|position| !position.iter().all(|x| x.is_finite())) {
            return Err(format!("the position of atom {} is not finite", i + 1));
        }
        let (low, high) = positions().fold((first, first), |(low, high), p| (low.inf(&p), high.sup(&p)));
        // as many digits as are written
        let rounded = |x: f64| (1e4 * x).round() / 1e4;
        let corner = low.map(|x| rounded(x - MARGIN));
        let edges = (high - corner).map(|x| rounded(x + MARGIN));
        if edges.max() > WIDEST {
            return Err(format!(
                "the atoms are spread over {:.0} Å, and a cell is at most {WIDEST} Å wide: save as .xyz",
                edges.max()
            ));
        }
        Ok(Self { edges, corner })
    }

    fn fractional(&self, position: Point3<f64>) -> Vector3<f64> {
        (position.coords - self.corner).component_div(&self.edges)
    }

    fn write_heading(
        &self,
        writer: &mut dyn Write,
        name: &str,
        has_probability: bool,
        has_sigma: bool,
    ) -> io::Result<()> {
        write_comments(writer, has_probability, has_sigma)?;
        writeln!(writer, "data_{}", block_name(name))?;
        writeln!(writer, "_audit_creation_method 'pedesis {}'", env!("CARGO_PKG_VERSION"))?;
        self.write_cell(writer)?;
        let names = "label type_symbol fract_x fract_y fract_z Cartn_x Cartn_y Cartn_z occupancy";
        writeln!(writer, "loop_")?;
        for name in names.split(' ').chain(has_sigma.then_some("U_iso_or_equiv")) {
            writeln!(writer, "_atom_site_{name}")?;
        }
        Ok(())
    }

    /// The cell, that it has no symmetry, and where the particle's own frame is in it.
    fn write_cell(&self, writer: &mut dyn Write) -> io::Result<()> {
        for (axis, edge) in ["a", "b", "c"].iter().zip(&self.edges) {
            writeln!(writer, "_cell_length_{axis} {edge:.4}")?;
        }
        for angle in ["alpha", "beta", "gamma"] {
            writeln!(writer, "_cell_angle_{angle} 90")?;
        }
        writeln!(writer, "_space_group_name_H-M_alt 'P 1'\n_space_group_IT_number 1")?;
        writeln!(writer, "loop_\n_space_group_symop_operation_xyz\n'x, y, z'")?;
        writeln!(writer, "_atom_sites_Cartn_transform_axes 'x along a, y along b, z along c'")?;
        for (row, edge) in self.edges.iter().enumerate() {
            for column in 0..3 {
                let entry = if row == column { *edge } else { 0.0 };
                writeln!(writer, "_atom_sites_Cartn_tran_matrix_{}{} {entry:.4}", row + 1, column + 1)?;
            }
        }
        for (row, x) in self.corner.iter().enumerate() {
            writeln!(writer, "_atom_sites_Cartn_tran_vector_{} {x:.4}", row + 1)?;
        }
        Ok(())
    }

    /// The row of an atom, the `number`th of its element.
    fn write_row(
        &self,
        writer: &mut dyn Write,
        atom: &Atom,
        number: usize,
        probability: Option<f64>,
        sigma: Option<f64>,
    ) -> io::Result<()> {
        let (symbol, p) = (atom.element.symbol(), atom.position);
        let f = self.fractional(p);
        let label = format!("{symbol}{number}");
        write!(
            writer,
            "{label:<8} {symbol:<2} {:.9} {:.9} {:.9} {:11.6} {:11.6} {:11.6}",
            f.x, f.y, f.z, p.x, p.y, p.z
        )?;
        let known = |value: f64, decimals: usize| match value.is_finite() {
            true => format!("{value:.decimals$}"),
            false => "?".to_owned(),
        };
        write!(writer, " {}", known(probability.unwrap_or(1.0), 4))?;
        if let Some(sigma) = sigma {
            write!(writer, " {}", known(sigma * sigma, 8))?;
        }
        writeln!(writer)
    }
}

/// What someone who opens the file must know.
fn write_comments(writer: &mut dyn Write, has_probability: bool, has_sigma: bool) -> io::Result<()> {
    writeln!(
        writer,
        "#\\#CIF_1.1\n\
         # A particle, not a crystal: the cell is an empty box around it, {MARGIN} Angstrom wider on each\n\
         # side, and periodic only because a CIF has a cell.\n\
         # Programs that read fract_x, fract_y, fract_z have the particle in the middle of the cell; in its own\n\
         # frame positions are Cartn_x, Cartn_y, Cartn_z = cell edges * fract + _atom_sites_Cartn_tran_vector."
    )?;
    let occupancy = match has_probability {
        true => "probability that the atom is of its element, no share of a site.",
        false => "1, the atoms are given.",
    };
    writeln!(writer, "# occupancy: {occupancy}")?;
    if has_sigma {
        writeln!(
            writer,
            "# U_iso_or_equiv: square of the uncertainty of the position (standard deviation along an axis),\n\
             # no thermal motion."
        )?;
    }
    Ok(())
}

/// A name for a data block: letters, digits, and what else a word may have; at most 75 characters with `data_`.
fn block_name(name: &str) -> String {
    let sign = |c: char| if c.is_ascii_alphanumeric() || "-.+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(sign).take(70).collect();
    if name.is_empty() { "particle".to_owned() } else { name }
}
