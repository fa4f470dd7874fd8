//! Modulation transfer functions as detectors' makers give them to RELION.

use std::path::Path;

use super::super::{Error, structure::text};
use super::syntax;
use crate::store::words::Fault;

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
    read().map_err(|fault| fault.in_file(path, |path, problem| Error::NotMtf { path, problem }))
}
