//! Files of lines that show whether they are whole: 16 digits of a digest, a space, JSON.
//!
//! They are appended to, and a kill at any moment leaves them readable: a line that was cut off, or does not fit its digest, ends what is read.
//! Numbers have all their bits: JSON holds the shortest text that gives each again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::Digest;

const DIGITS: usize = 16;
/// A power cut may cost the lines of this time; a kill costs none.
const SYNC: Duration = Duration::from_secs(1);
/// So long a process that is being started may have the files, and the locks, of its parent.
const MOMENT: Duration = Duration::from_millis(300);

/// A file that lines are added to.
pub struct Lines {
    file: File,
    synced: Instant,
}

impl Lines {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// If it cannot be written, or another process has it open.
    pub fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        let begun = Instant::now();
        while let Err(TryLockError::WouldBlock) = file.try_lock() {
            if begun.elapsed() > MOMENT {
                return Err(io::Error::other("another run is at work on it"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        // not every file system has locks: any other error is none
        Ok(Self { file, synced: Instant::now() })
    }

    /// Removes all behind the first `whole` bytes.
    pub fn cut(&self, whole: u64) -> io::Result<()> {
        self.file.set_len(whole)
    }

    /// Adds a line.
    pub fn add(&mut self, value: &impl Serialize) -> io::Result<()> {
        // One write, so that a kill falls before or after it; should it be cut in two after all, the digest shows it.
        self.file.write_all(line(value).as_bytes())?;
        if self.synced.elapsed() > SYNC {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }
}

/// A value as a line.
pub fn line(value: &impl Serialize) -> String {
    let text = serde_json::json!(value).to_string();
    format!("{} {text}\n", &Digest::of_text(&text)[..DIGITS])
}

/// The text of a line that is as it was written.
pub fn whole(line: &[u8]) -> Option<&str> {
    let (digest, text) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    (digest == &Digest::of_text(text)[..DIGITS]).then_some(text)
}

/// A reader of a file that another process adds lines to.
pub struct Tail {
    path: PathBuf,
    /// Bytes of the lines that were read.
    pub at: u64,
}

impl Tail {
    pub fn new(path: PathBuf) -> Self {
        Self { path, at: 0 }
    }

    /// What was added since the last time.
    pub fn read<T: DeserializeOwned>(&mut self) -> io::Result<Vec<T>> {
        // opened anew, since only that shows what was written by another computer
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut values = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(value) = whole(line).and_then(|text| serde_json::from_str(text).ok()) else { break };
            values.push(value);
            self.at += line.len() as u64;
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_waits_for_the_end_of_a_line_and_reads_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let [first, second] = [line(&1), line(&2)];
        let mut tail = Tail::new(path.clone());
        let mut read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            tail.read::<i32>().unwrap()
        };
        assert!(read(&first[..9]).is_empty());
        assert_eq!(read(&format!("{first}{}", &second[..18])), [1]);
        assert_eq!(read(&format!("{first}{second}")), [2]);
    }
}
