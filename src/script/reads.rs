//! Which files a session has read, and the point of a sweep in it: their digests say whether they have changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::permit::Permit;
use crate::store::Provenance;
use crate::task::{Cancelled, Task};

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
    ///
    /// # Errors
    /// When interrupted.
    pub fn read(&mut self, path: &Path, task: &Task) -> Result<(), Cancelled> {
        let name = path.to_string_lossy().into_owned();
        if !path.is_dir() && self.noted().any(|noted| noted.wants(&name)) {
            let digest = self.digest(path, task)?;
            self.noted().for_each(|noted| noted.read(&name, &digest));
        }
        Ok(())
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

    /// The first of these files that is not what it was, as far as that is known, or may not be read.
    ///
    /// # Errors
    /// When interrupted.
    pub fn changed<'a>(
        &mut self,
        files: &'a BTreeMap<String, String>,
        permit: &Permit,
        task: &Task,
    ) -> Result<Option<&'a str>, Cancelled> {
        for (name, digest) in files {
            let is_known = digest != Provenance::UNKNOWN && permit.read(name).is_ok();
            if !is_known || self.digest(Path::new(name), task)? != *digest {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn digest(&mut self, path: &Path, task: &Task) -> Result<String, Cancelled> {
        let look = || fs::metadata(path).map(|known| (known.len(), known.modified().ok()));
        let Ok(looks) = look() else { return Provenance::digest_of(path, task) };
        if let Some((before, digest)) = self.known.get(path)
            && *before == looks
        {
            return Ok(digest.clone());
        }
        let digest = Provenance::digest_of(path, task)?;
        self.known.insert(path.to_owned(), (looks, digest.clone()));
        Ok(digest)
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
        let (mut reads, task) = (Reads::default(), Task::silent());
        reads.begin_point();
        [&data, &own, &absent].into_iter().for_each(|file| reads.read(file, &task).unwrap());
        reads.write(&own);
        fs::write(&own, "2").unwrap();
        reads.read(&own, &task).unwrap();
        reads.read(folder.path(), &task).unwrap();
        let files = reads.end_point();
        let names: Vec<&str> = files.keys().map(|name| name.rsplit('/').next().unwrap()).collect();
        assert!(
            names.contains(&"data.csv") && names.contains(&"absent.csv") && !names.contains(&"own.csv"),
            "{names:?}"
        );
        assert_eq!(reads.changed(&files, &Permit::all(), &task).unwrap(), None);
        fs::write(&data, "3, 4").unwrap();
        assert_eq!(reads.changed(&files, &Permit::all(), &task).unwrap(), data.to_str());
        fs::write(&data, "1").unwrap();
        fs::write(&absent, "").unwrap();
        assert_eq!(reads.changed(&files, &Permit::all(), &task).unwrap(), absent.to_str());
        reads.begin_point();
        assert!(reads.end_point().is_empty());
        assert_eq!(reads.inputs(), &files);
    }

    #[test]
    fn what_is_not_known_is_not_the_same_and_an_interrupt_says_nothing_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data.csv");
        fs::write(&data, "1").unwrap();
        let (mut reads, task) = (Reads::default(), Task::silent());
        let name = data.to_string_lossy().into_owned();
        let unknown = BTreeMap::from([(name.clone(), Provenance::UNKNOWN.to_owned())]);
        assert_eq!(reads.changed(&unknown, &Permit::all(), &task), Ok(Some(name.as_str())));
        reads.read(Path::new("/dev/null"), &task).unwrap();
        assert_eq!(reads.inputs()["/dev/null"], Provenance::UNKNOWN);
        task.stop();
        let mut reads = Reads::default();
        assert_eq!(reads.read(&data, &task), Err(Cancelled));
        assert!(reads.inputs().is_empty());
    }
}
