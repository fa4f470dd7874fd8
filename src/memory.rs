//! Whether a result fits into memory, asked before the work begins; and how much memory there is.

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
    from_system("/proc/meminfo", "MemAvailable:").unwrap_or(ASSUMED_FREE)
}

/// Memory of the computer, how much of it is free, and how much this program holds \[GiB\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    pub total: f64,
    pub free: f64,
    pub held: f64,
}

impl Memory {
    /// As it is now; `None` where the system does not tell.
    pub fn now() -> Option<Self> {
        Some(Self {
            total: from_system("/proc/meminfo", "MemTotal:")?,
            free: from_system("/proc/meminfo", "MemAvailable:")?,
            held: from_system("/proc/self/status", "VmRSS:")?,
        })
    }
}

/// A number of KiB in a file of the Linux kernel, in GiB.
fn from_system(file: &str, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib = line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()?;
    Some(kib * 1024.0 / GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_and_free_is_within_what_there_is() {
        let Some(Memory { total, free, held }) = Memory::now() else { return };
        assert!(0.0 < held && held < total && 0.0 < free && free < total, "{held} {free} {total}");
    }

    #[test]
    fn a_petabyte_is_refused_with_the_number_and_a_kilobyte_is_not() {
        assert!(require(1024.0, "images").is_ok());
        let message = require(1e15, "1e9 images").unwrap_err().to_string();
        assert!(message.starts_with("1e9 images need 931322.6 GiB"), "{message}");
    }
}
