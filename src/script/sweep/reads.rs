//! Which files the points of a sweep have read: what a point gave is not used again when they have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::script::permit::Permit;
use crate::store::Digest;

/// Digits of a digest.
const DIGITS: usize = 16;
/// Stands for the digest of a file that is not there.
const NOTHING: &str = "none";

/// What is known of a file without reading it.
type Looks = (u64, Option<SystemTime>);

/// The files that a point has read so far.
#[derive(Default)]
pub struct Reads {
    /// Digest of each as it was when it was first opened, by the name that the script gave.
    read: BTreeMap<String, String>,
    /// What it writes itself is no input.
    written: BTreeSet<String>,
    /// Large files are read by every point.
    known: BTreeMap<PathBuf, (Looks, String)>,
}

impl Reads {
    /// Takes note of a file that is about to be read; folders do not count.
    pub fn read(&mut self, path: &Path) {
        // the truth beside a stack is read with it
        let beside = Some(path.with_extension("json")).filter(|file| file.is_file());
        for file in std::iter::once(path.to_owned()).chain(beside) {
            let name = file.to_string_lossy().into_owned();
            if !file.is_dir() && !self.written.contains(&name) && !self.read.contains_key(&name) {
                let digest = self.digest(&file);
                self.read.insert(name, digest);
            }
        }
    }

    /// Takes note of a file that is about to be written.
    pub fn write(&mut self, path: &Path) {
        self.written.insert(path.to_string_lossy().into_owned());
    }

    /// The files that were read, and nothing is known any more.
    pub fn take(&mut self) -> BTreeMap<String, String> {
        let written = std::mem::take(&mut self.written);
        let mut read = std::mem::take(&mut self.read);
        read.retain(|name, _| !written.contains(name));
        read
    }

    /// The first of these files that is not what it was, or may not be read.
    pub fn changed<'a>(&mut self, files: &'a BTreeMap<String, String>, permit: &Permit) -> Option<&'a str> {
        let is_other = |(name, digest): &(&String, &String)| {
            permit.read(name).is_err() || self.digest(Path::new(name)) != **digest
        };
        files.iter().find(is_other).map(|(name, _)| name.as_str())
    }

    fn digest(&mut self, path: &Path) -> String {
        let look = || fs::metadata(path).map(|known| (known.len(), known.modified().ok()));
        let Ok(looks) = look() else { return NOTHING.into() };
        if let Some((before, digest)) = self.known.get(path)
            && *before == looks
        {
            return digest.clone();
        }
        let digest = File::open(path).and_then(|file| Digest::default().and_bytes(io::BufReader::new(file)));
        let Ok(digest) = digest else { return NOTHING.into() };
        let digest = digest.finish()[..DIGITS].to_owned();
        self.known.insert(path.to_owned(), (looks, digest.clone()));
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_knows_what_it_has_read_but_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let [data, own, absent] = ["data.csv", "own.csv", "absent.csv"].map(|name| folder.path().join(name));
        fs::write(&data, "1").unwrap();
        let mut reads = Reads::default();
        [&data, &own, &absent].into_iter().for_each(|file| reads.read(file));
        reads.write(&own);
        fs::write(&own, "2").unwrap();
        reads.read(&own);
        reads.read(folder.path());
        let files = reads.take();
        let names: Vec<&str> = files.keys().map(|name| name.rsplit('/').next().unwrap()).collect();
        assert!(
            names.contains(&"data.csv") && names.contains(&"absent.csv") && !names.contains(&"own.csv"),
            "{names:?}"
        );
        assert_eq!(reads.changed(&files, &Permit::all()), None);
        fs::write(&data, "3, 4").unwrap();
        assert_eq!(reads.changed(&files, &Permit::all()), data.to_str());
        fs::write(&data, "1").unwrap();
        fs::write(&absent, "").unwrap();
        assert_eq!(reads.changed(&files, &Permit::all()), absent.to_str());
        assert!(reads.take().is_empty());
    }
}
