//! Whether a result fits into memory, asked before the work begins.

/// The computer has not enough free memory.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} need {needed:.1} GiB of memory, and {available:.1} GiB are free: ask for fewer or smaller ones")]
pub struct NotEnough {
    /// What would not fit, in the plural.
    pub what: String,
    /// GiB.
    pub needed: f64,
    /// GiB.
    pub available: f64,
}

const GIB: f64 = (1u64 << 30) as f64;

/// Taken to be free where the system does not tell [GiB].
const ASSUMED_FREE: f64 = 16.0;

/// Fails if `bytes` for `what` (plural: "600 images") are more than is free now.
pub fn require(bytes: f64, what: &str) -> Result<(), NotEnough> {
    let (needed, available) = (bytes / GIB, free());
    if needed <= available { Ok(()) } else { Err(NotEnough { what: what.to_owned(), needed, available }) }
}

/// Free memory [GiB]: what Linux calls available.
fn free() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map_or(ASSUMED_FREE, |kib| kib * 1024.0 / GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_petabyte_is_refused_with_the_number_and_a_kilobyte_is_not() {
        assert!(require(1024.0, "images").is_ok());
        let message = require(1e15, "1e9 images").unwrap_err().to_string();
        assert!(message.starts_with("1e9 images need 931322.6 GiB"), "{message}");
    }
}
