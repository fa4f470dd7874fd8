//! Modulation transfer functions as detectors' makers give them to RELION.

use std::path::Path;

use super::super::{Error, structure::text};
use super::syntax::{self, Fault};

/// Reads an MTF: [frequency (cycles a pixel), contrast left], from `_rlnResolutionInversePixel` and `_rlnMtfValue`.
///
/// # Errors
/// If the file cannot be read, or has no block with these columns.
pub fn read_mtf(path: &Path) -> Result<Vec<[f64; 2]>, Error> {
    const FREQUENCY: &str = "_rlnResolutionInversePixel";
    let text = text(path)?;
    let read = || {
        let blocks = syntax::parse(&text)?;
        let block = blocks.iter().find(|block| block.column(FREQUENCY).is_some());
        let block = block.ok_or_else(|| Fault::of_file(format!("no block has a column {FREQUENCY}")))?;
        let (frequency, value) = (block.needed(FREQUENCY)?, block.needed("_rlnMtfValue")?);
        block
            .rows
            .iter()
            .map(|row| Ok([block.number(row, frequency)?, block.number(row, value)?]))
            .collect::<Result<_, Fault>>()
    };
    let path = path.to_owned();
    read().map_err(|Fault { line, problem }| match line {
        Some(line) => Error::Line { path, line, problem },
        None => Error::NotMtf { path, problem },
    })
}
