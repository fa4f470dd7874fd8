//! The liquids that come with the program: boxes of 50 × 50 × 100 Å in `stdlib/solvents`, whose README says where they are from.
//!
//! A file is, in little-endian numbers: the line `PEDESIS LIQUID 1`; u32 atoms a molecule, molecules, snapshots; f32 edges of the box (3), offset (3),
//! unit, in Å; u8 atomic number of each atom of the molecule; i16 x, y, z of every atom of every snapshot. Position = number · unit + offset.

use std::sync::OnceLock;

use nalgebra::Point3;

use super::{Error, Liquid};
use crate::structure::Element;

const NAMES: [&str; 2] = ["toluene", "water"];

/// A liquid that comes with the program: "toluene" or "water".
///
/// # Errors
/// If there is none of that name.
pub fn bundled(name: &str) -> Result<Liquid, Error> {
    static READ: [OnceLock<Liquid>; 2] = [OnceLock::new(), OnceLock::new()];
    let files: [&[u8]; 2] =
        [include_bytes!("../../stdlib/solvents/toluene.liquid"), include_bytes!("../../stdlib/solvents/water.liquid")];
    let unknown = || Error::UnknownLiquid { name: name.to_owned(), known: NAMES.join(", ") };
    let index = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).ok_or_else(unknown)?;
    Ok(READ[index].get_or_init(|| read(NAMES[index], files[index])).clone())
}

/// A liquid from the bytes of its file, which is part of the program.
fn read(name: &str, bytes: &[u8]) -> Liquid {
    const MAGIC: &[u8] = b"PEDESIS LIQUID 1\n";
    let mut rest = bytes.strip_prefix(MAGIC).expect("a liquid's file");
    let mut take = |count: usize| {
        let (taken, others) = rest.split_at(count);
        rest = others;
        taken
    };
    let mut number = || u32::from_le_bytes(take(4).try_into().expect("four bytes"));
    let [atoms, molecules, snapshots] = [(); 3].map(|()| number() as usize);
    let floats: [f64; 7] = std::array::from_fn(|_| f64::from(f32::from_bits(number())));
    let [x, y, z, dx, dy, dz, unit] = floats;
    let molecule: Vec<Element> =
        take(atoms).iter().map(|&z| Element::from_atomic_number(z).expect("an element")).collect();
    let mut snapshot = || {
        let numbers: Vec<f64> = take(6 * atoms * molecules)
            .chunks_exact(2)
            .map(|pair| f64::from(i16::from_le_bytes(pair.try_into().expect("two bytes"))) * unit)
            .collect();
        numbers.chunks_exact(3).map(|p| Point3::new(p[0] + dx, p[1] + dy, p[2] + dz)).collect()
    };
    let snapshots = (0..snapshots).map(|_| snapshot()).collect();
    let elements = molecule.repeat(molecules);
    Liquid::new(name, [x, y, z], elements, &vec![atoms; molecules], snapshots).expect("a valid liquid")
}
