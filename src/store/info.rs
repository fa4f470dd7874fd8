//! What a file holds, in words: the answer to `pedesis info FILE`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use hdf5::{Dataset, Group};

use super::h5::{self, Member, Problem};
use super::mrc::MrcFile;
use super::statistics::Statistics;
use super::unit_cell::Crystal;
use super::{
    Error, Format, LiquidOptions, Provenance, Value, cif, pdb, poscar, read_liquid, read_structure, read_truth, star,
};
use crate::structure::Structure;

/// Describes an HDF5, MRC or STAR file, atoms (XYZ, PDB, CIF, POSCAR, truth JSON), or a liquid (LAMMPS dump, PDB, GRO): sizes, pixel size, range of the values, atoms of
/// each element, the unit cell, and of an HDF5 file all it holds and where it came from. One line a fact, no line break at the end.
///
/// A PDB file that can be read as a liquid is described as one.
///
/// HDF5 and MRC are recognised by their first bytes, the others by their names.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn info(path: &Path) -> Result<String, Error> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(212).read_to_end(&mut start))
        .map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
    let lines = if start.starts_with(b"\x89HDF") {
        info_h5(path)?
    } else if start.get(208..211) == Some(b"MAP") {
        info_mrc(path)?
    } else {
        match Format::of(path) {
            Format::Mrc => info_mrc(path)?,
            Format::H5 => info_h5(path)?,
            Format::Json => info_truth(path)?,
            Format::Star => {
                let facts = star::describe(path)?;
                facts.iter().fold(Lines::new("STAR"), |lines, (name, fact)| lines.and(name, fact))
            }
            Format::Xyz => info_structure("XYZ", &read_structure(path)?),
            Format::Pdb => info_pdb(path)?,
            Format::Cif => info_crystal("CIF", &cif::read(path)?),
            Format::Poscar => info_crystal("POSCAR", &poscar::read(path)?),
            Format::Dump | Format::Gro => info_liquid(path)?,
            Format::Other => {
                let known = ".h5, .mrc, .mrcs, .star, .xyz, .pdb, .cif, .vasp, .poscar, .json, .lammpstrj, .dump or .gro, or begin with POSCAR or CONTCAR";
                return Err(Error::Extension { path: path.to_owned(), verb: "describe", known });
            }
        }
    };
    Ok(format!("{}: {}", path.display(), lines.0))
}

/// A headline and below it lines with a name and a fact.
struct Lines(String);

impl Lines {
    fn new(headline: &str) -> Self {
        Self(headline.to_owned())
    }

    fn and(mut self, name: &str, fact: impl AsRef<str>) -> Self {
        self.push(name, fact.as_ref());
        self
    }

    fn push(&mut self, name: &str, fact: &str) {
        write!(self.0, "\n  {name:<14} {fact}").expect("writing to a string");
    }
}

fn info_structure(format: &str, structure: &Structure) -> Lines {
    Lines::new(&format!("{format} structure")).and("name", structure.name()).and("atoms", atoms(structure))
}

fn info_crystal(format: &str, crystal: &Crystal) -> Lines {
    let mut lines = info_structure(format, &crystal.structure);
    if let Some(cell) = &crystal.cell {
        lines.push("cell", &cell.to_string());
    }
    lines
}

fn info_pdb(path: &Path) -> Result<Lines, Error> {
    let liquid = match info_liquid(path) {
        Err(error @ (Error::Line { .. } | Error::NotLiquid { .. })) => error,
        described_or_unreadable => return described_or_unreadable,
    };
    match pdb::read(path) {
        Ok(structure) => Ok(info_structure("PDB", &structure)),
        Err(particle) => Err(Error::Neither { particle: Box::new(particle), liquid: Box::new(liquid) }),
    }
}

fn info_liquid(path: &Path) -> Result<Lines, Error> {
    let liquid = read_liquid(path, &LiquidOptions::default())?;
    Ok(Lines::new("liquid").and("holds", liquid.to_string()))
}

fn info_mrc(path: &Path) -> Result<Lines, Error> {
    let file = MrcFile::open(path)?;
    let (columns, rows, sections) = file.shape();
    let mode = match file.mode() {
        0 => "int8",
        1 => "int16",
        6 => "uint16",
        12 => "float16",
        _ => "float32",
    };
    let mut lines = if file.space_group() == 0 {
        Lines::new("MRC image stack").and("images", format!("{sections} of {columns}×{rows} pixels, {mode}"))
    } else {
        Lines::new("MRC volume").and("voxels", format!("{columns}×{rows}×{sections}, {mode}"))
    };
    lines.push(
        "pixel size",
        &file.pixel().map_or("not given".to_owned(), |(x, y)| match x == y {
            true => format!("{} Å", short(x)),
            false => format!("{} × {} Å", short(x), short(y)),
        }),
    );
    let labels = file.labels();
    let mut seen = Seen::default();
    file.read_sections(|pixels| {
        seen.add(pixels);
        Ok(())
    })?;
    seen.describe(&mut lines);
    for label in labels {
        lines.push("label", &label.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(lines)
}

/// What the pixels of a stack are like.
#[derive(Default)]
struct Seen {
    statistics: Statistics,
    blank: usize,
    not_finite: usize,
}

impl Seen {
    fn add(&mut self, pixels: &[f32]) {
        if pixels.iter().any(|pixel| !pixel.is_finite()) {
            self.not_finite += 1;
            return;
        }
        self.blank += usize::from(pixels.iter().all(|pixel| *pixel == pixels[0]));
        self.statistics.add(pixels.iter().copied());
    }

    fn describe(&self, lines: &mut Lines) {
        lines.push("values", &range(&self.statistics));
        if self.blank > 0 {
            lines.push("all-equal", &format!("{} sections", self.blank));
        }
        if self.not_finite > 0 {
            lines.push("NaN or infinite", &format!("{} sections, not counted above", self.not_finite));
        }
    }
}

fn range(statistics: &Statistics) -> String {
    let [min, max] = [statistics.min(), statistics.max()].map(|value| short(value.into()));
    let [mean, deviation] = [statistics.mean(), statistics.deviation()].map(short);
    format!("{min} … {max}, mean {mean}, s.d. {deviation}")
}

/// A number to six significant digits.
fn short(value: f64) -> String {
    // Through the exponential form, whose digits are the significant ones.
    format!("{value:.5e}").parse::<f64>().unwrap_or(value).to_string()
}

fn info_truth(path: &Path) -> Result<Lines, Error> {
    let truth = read_truth(path)?;
    let mut lines = Lines::new("truth of a simulated stack").and("atoms", atoms(&truth.structure));
    if let Some(poses) = truth.poses {
        lines.push("poses", &poses.len().to_string());
    }
    if let Some(pixel_size) = truth.pixel_size {
        lines.push("pixel size", &format!("{pixel_size} Å"));
    }
    Ok(lines)
}

/// As in "124 (62 Fe, 62 Pt), within 8.1 Å of their centre".
fn atoms(structure: &Structure) -> String {
    let mut counts = BTreeMap::new();
    for atom in structure.atoms() {
        *counts.entry(atom.element).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(element, count)| format!("{count} {element}")).collect();
    let centre = structure.centroid();
    let radius = structure.atoms().iter().map(|atom| (atom.position - centre).norm()).fold(0.0, f64::max);
    format!("{} ({}), within {radius:.1} Å of their centre", structure.len(), counts.join(", "))
}

fn info_h5(path: &Path) -> Result<Lines, Error> {
    let file = h5::open(path)?;
    let describe = || {
        let mut lines = Lines::new("HDF5");
        // another program may have a group of this name
        if let Ok(Some(origin)) = h5::provenance_of(&file) {
            describe_provenance(&origin, &mut lines);
        }
        // Below a value that is described as a whole, its parts are not listed.
        let mut described: Option<String> = None;
        h5::walk(&file, "", 0, &mut |name, member| {
            let inside = described.as_ref().is_some_and(|whole| name.starts_with(whole));
            if inside || name == "/provenance" || name.starts_with("/provenance/") {
                return Ok(());
            }
            let fact = match member {
                Member::Dataset(dataset) => Some(describe_dataset(dataset)?),
                Member::Group(group) => describe_group(group)?,
            };
            match fact {
                Some(fact) => lines.push(name, &fact),
                None => return Ok(()),
            }
            described = Some(format!("{name}/"));
            Ok(())
        })?;
        Ok(lines)
    };
    describe().map_err(|Problem(problem)| Error::Hdf5Read { path: path.to_owned(), problem })
}

fn describe_provenance(origin: &Provenance, lines: &mut Lines) {
    let arguments = if origin.arguments.is_null() { String::new() } else { origin.arguments.to_string() };
    let facts = [
        ("pedesis", &origin.version),
        ("script", &origin.script_path),
        ("arguments", &arguments),
        ("start", &origin.start),
        ("end", &origin.end),
    ];
    for (title, fact) in facts.into_iter().filter(|(_, fact)| !fact.is_empty()) {
        lines.push(title, fact);
    }
    if let Some(seed) = origin.seed {
        lines.push("seed", &seed.to_string());
    }
    for path in origin.modules.keys() {
        lines.push("module", path);
    }
    for (name, digest) in &origin.inputs {
        let state = match digest.as_str() {
            Provenance::UNKNOWN => String::new(),
            Provenance::ABSENT => ", which was not there".to_owned(),
            digest => format!(", BLAKE3 {digest}"),
        };
        lines.push("input", &format!("{name}{state}"));
    }
}

/// One line for a group that is a value; none for a group of values.
fn describe_group(group: &Group) -> Result<Option<String>, Problem> {
    let Some(kind) = h5::text(group, "pedesis_type") else { return Ok(None) };
    let shape = |name: &str| group.dataset(name).map(|dataset| sizes(&dataset));
    let pixel_size = group.attr("pixel_size").and_then(|size| size.read_scalar::<f64>());
    Ok(Some(match kind.as_str() {
        "images" | "volume" => {
            let data = h5::sized(group, "data")?;
            let mut statistics = Statistics::default();
            statistics.add(data.read_raw::<f32>()?.into_iter());
            format!("{kind} {}, {} Å a pixel, {}", sizes(&data), pixel_size?, range(&statistics))
        }
        "poses" => format!("poses {}", shape("scores")?),
        "structure" | "model" => format!("{kind} of {} atoms", shape("atomic_numbers")?),
        "table" => describe_table(&h5::read_table(group, 0)?),
        "nothing" => kind,
        _ => return Ok(None),
    }))
}

/// As in "table of 40 rows: seed, rmsd_pm, error; 2 failed".
fn describe_table(columns: &[(String, Value)]) -> String {
    let rows = columns.first().and_then(|(_, column)| column.items()).unwrap_or(0);
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let failed = columns.iter().find_map(|(name, column)| match column {
        Value::Texts(texts) if name == "error" => Some(texts.iter().filter(|text| !text.is_empty()).count()),
        _ => None,
    });
    let failed = failed.filter(|failed| *failed > 0).map(|failed| format!("; {failed} failed")).unwrap_or_default();
    format!("table of {rows} rows: {}{failed}", names.join(", "))
}

fn describe_dataset(dataset: &Dataset) -> Result<String, Problem> {
    let kind = match h5::text(dataset, "pedesis_type") {
        Some(kind) => kind,
        None => format!("{:?}", dataset.dtype()?.to_descriptor()?),
    };
    Ok(match (kind.as_str(), dataset.ndim()) {
        ("number", 0) => format!("{}", dataset.read_scalar::<f64>()?),
        ("integer", 0) => format!("{}", dataset.read_scalar::<i64>()?),
        ("boolean", 0) => format!("{}", dataset.read_scalar::<bool>()?),
        (_, 0) => kind,
        _ => format!("{kind} {}", sizes(dataset)),
    })
}

/// As in "600×160×160".
fn sizes(dataset: &Dataset) -> String {
    dataset.shape().iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdb_that_is_neither_a_particle_nor_a_liquid_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pdb");
        let row = "HETATM    1 QQ   UNX A   1       1.000   2.000   3.000  1.00  0.00          QQ\n";
        std::fs::write(&path, row).unwrap();
        let message = info(&path).unwrap_err().to_string();
        assert!(message.contains("a.pdb, line 1: \"QQ\" is not the symbol of an element"), "{message}");
        // two frames, the second in another box
        let row = row.replace("QQ", "O ");
        let frame = |edge| format!("CRYST1   {edge}   12.000   12.000  90.00  90.00  90.00\n{row}END\n");
        std::fs::write(&path, [frame("12.000"), frame("15.000")].concat()).unwrap();
        let message = info(&path).unwrap_err().to_string();
        assert!(message.contains("a second model begins here"), "{message}");
        assert!(message.contains("frame 2 of the file has a box of 15.000"), "{message}");
    }

    #[test]
    fn a_liquid_too_large_for_the_memory_is_not_read_as_a_particle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pdb");
        // as sparse as a file can be
        File::create(&path).unwrap().set_len(1 << 43).unwrap();
        let message = info(&path).unwrap_err().to_string();
        assert!(message.contains("the frames of the liquid need 8192.0 GiB of memory"), "{message}");
        assert!(!message.contains("read as a liquid"), "{message}");
    }
}
