//! Whether a result fits into memory, asked before the work begins; and how much memory there is.

use std::fs;

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

/// What Linux tells of the memory of the computer, and its name there for what is free.
const COMPUTER: &str = "/proc/meminfo";
const AVAILABLE: &str = "MemAvailable:";

/// Taken to be free where the system does not tell [GiB].
const ASSUMED_FREE: f64 = 16.0;

/// Fails if `bytes` for `what` (plural: "600 images") are more than is free now.
pub fn require(bytes: f64, what: &str) -> Result<(), NotEnough> {
    let (needed, available) = (bytes / GIB, free());
    if needed <= available { Ok(()) } else { Err(NotEnough { what: what.to_owned(), needed, available }) }
}

/// Free memory [GiB]: what Linux calls available.
fn free() -> f64 {
    fs::read_to_string(COMPUTER).ok().and_then(|text| gib(&text, AVAILABLE)).unwrap_or(ASSUMED_FREE)
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
        let computer = fs::read_to_string(COMPUTER).ok()?;
        let program = fs::read_to_string("/proc/self/status").ok()?;
        Some(Self {
            total: gib(&computer, "MemTotal:")?,
            free: gib(&computer, AVAILABLE)?,
            held: gib(&program, "VmRSS:")?,
        })
    }
}

/// A number of KiB in the text of a file of the Linux kernel, in GiB.
fn gib(text: &str, name: &str) -> Option<f64> {
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
