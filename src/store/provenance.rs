//! Where the values in a file came from.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Digest;
use crate::memory;
use crate::task::{Cancelled, Task};

/// What must be known to make a run again. Written to `/provenance` of every HDF5 file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// Text of the script; empty if there was none (the REPL, the library).
    pub script: String,
    /// Name under which the script was called.
    pub script_path: String,
    /// Texts of the user's own modules that the script had imported, by name: their paths, as the script's own path is written.
    pub modules: BTreeMap<String, String>,
    /// The `k=v` arguments as they were given; `None` in files of versions that did not keep all that a run needs to be repeated.
    pub given: Option<BTreeMap<String, String>>,
    /// The script's arguments, all of them, defaults included.
    pub arguments: serde_json::Value,
    /// Options of the kernels that made the values.
    pub options: serde_json::Value,
    /// Version of pedesis.
    pub version: String,
    /// Seed of every random draw, where the script has one.
    pub seed: Option<u64>,
    /// Number of threads; results do not depend on it.
    pub threads: Option<u64>,
    /// The files that the script had read and not written itself, as it names them: BLAKE3 of what was in each, 64 hexadecimal digits,
    /// or [`Self::ABSENT`], or [`Self::UNKNOWN`], as in files without [`Self::given`].
    pub inputs: BTreeMap<String, String>,
    /// When the run began, and when this file was written: ISO 8601, UTC, see [`timestamp`].
    pub start: String,
    pub end: String,
}

impl Provenance {
    /// Stands for the digest of a file that was not there.
    pub const ABSENT: &str = "none";
    /// Stands for the digest of what is no file or larger than the memory, or cannot be read.
    pub const UNKNOWN: &str = "";

    /// What [`Self::inputs`] says of the file at `path`.
    ///
    /// # Errors
    /// When interrupted.
    pub fn digest_of(path: &Path, task: &Task) -> Result<String, Cancelled> {
        let known = fs::metadata(path);
        if known.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Self::ABSENT.into());
        }
        // a pipe gives its bytes once, and a small file on the disk can announce more than any disk holds
        let is_sound = known.is_ok_and(|known| known.is_file() && memory::require(known.len() as f64, "it").is_ok());
        let digest = if is_sound { Digest::of_file(path, task).ok() } else { None };
        task.check()?;
        Ok(digest.unwrap_or_else(|| Self::UNKNOWN.into()))
    }
}

/// A time as ISO 8601 in UTC, to the second, as in `2025-01-31T12:00:00Z`.
///
/// Days are turned into a date of the Gregorian calendar by counting years from 1 March 0000, so that the leap day is
/// the last of its year: 146097 days make 400 years.
pub fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    const DAYS_TO_1970: u64 = 719_468;
    let days = seconds / 86_400 + DAYS_TO_1970;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months make 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        // From `date -u -d @SECONDS`.
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
