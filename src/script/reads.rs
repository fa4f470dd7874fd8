//! Which files a session has read, and the point of a sweep in it: their digests say whether they have changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::permit::Permit;
use crate::store::{Digest, Provenance};

/// What is known of a file without reading it.
type Looks = (u64, Option<SystemTime>);

/// The files that a session has read so far.
#[derive(Default)]
pub struct Reads {
    session: Noted,
    /// Since a point of a sweep was begun.
    point: Option<Noted>,
    /// Large files are read by every point.
    known: BTreeMap<PathBuf, (Looks, String)>,
}

#[derive(Default)]
struct Noted {
    /// Digest of each as it was when it was first opened, by the name that the script gave.
    read: BTreeMap<String, String>,
    /// What it writes itself is no input.
    written: BTreeSet<String>,
}

impl Noted {
    fn wants(&self, name: &str) -> bool {
        !self.written.contains(name) && !self.read.contains_key(name)
    }

    fn read(&mut self, name: &str, digest: &str) {
        if self.wants(name) {
            self.read.insert(name.to_owned(), digest.to_owned());
        }
    }
}

impl Reads {
    /// Takes note of a file that is about to be read; folders do not count.
    pub fn read(&mut self, path: &Path) {
        let name = path.to_string_lossy().into_owned();
        if !path.is_dir() && self.noted().any(|noted| noted.wants(&name)) {
            let digest = self.digest(path);
            self.noted().for_each(|noted| noted.read(&name, &digest));
        }
    }

    /// Takes note of a file that is about to be written; that it was not there before is no input.
    pub fn write(&mut self, path: &Path) {
        let name = path.to_string_lossy().into_owned();
        for noted in self.noted() {
            if noted.read.get(&name).is_some_and(|digest| digest == Provenance::ABSENT) {
                noted.read.remove(&name);
            }
            noted.written.insert(name.clone());
        }
    }

    /// Takes note of files that were read elsewhere, or by an earlier run, for this session.
    pub fn add(&mut self, files: &BTreeMap<String, String>) {
        files.iter().for_each(|(name, digest)| self.session.read(name, digest));
    }

    /// Digests of the files that the session has read, by name.
    pub fn inputs(&self) -> &BTreeMap<String, String> {
        &self.session.read
    }

    /// A point of a sweep begins.
    pub fn begin_point(&mut self) {
        self.point = Some(Noted::default());
    }

    /// The point is done: the files that it has read.
    pub fn end_point(&mut self) -> BTreeMap<String, String> {
        let Noted { mut read, written } = self.point.take().unwrap_or_default();
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
        let Ok(looks) = look() else { return Provenance::ABSENT.into() };
        if let Some((before, digest)) = self.known.get(path)
            && *before == looks
        {
            return digest.clone();
        }
        let Ok(digest) = Digest::of_file(path) else { return Provenance::ABSENT.into() };
        self.known.insert(path.to_owned(), (looks, digest.clone()));
        digest
    }

    fn noted(&mut self) -> impl Iterator<Item = &mut Noted> {
        std::iter::once(&mut self.session).chain(&mut self.point)
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
        reads.begin_point();
        [&data, &own, &absent].into_iter().for_each(|file| reads.read(file));
        reads.write(&own);
        fs::write(&own, "2").unwrap();
        reads.read(&own);
        reads.read(folder.path());
        let files = reads.end_point();
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
        reads.begin_point();
        assert!(reads.end_point().is_empty());
        assert_eq!(reads.inputs(), &files);
    }
}
