//! Files that appear under their name only when they are complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Error;
use crate::task::{Cancelled, Task};

/// Bytes that wait for the disk at most, so that the end of a large file is as near as its last part.
const WAITING: usize = 32 << 20;

/// How the names of files that are being written begin and end.
const PREFIX: &str = ".pedesis-";
const SUFFIX: &str = ".part";

/// Whether this is the name of a file that is being written, or that a killed program has left half written.
pub fn is_half_written(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Writes the file `path` in one step: `fill` writes a temporary file in the same folder, which is then forced to the
/// disk and given its name. If anything fails the temporary file is removed, and a file that was there before stays.
///
/// # Errors
/// If the folder does not exist, if `path` is something other than a regular file, or what `fill` returns.
pub(super) fn write(path: &Path, fill: impl FnOnce(&mut NamedTempFile) -> Result<(), Error>) -> Result<(), Error> {
    let failed = |cause| Error::Write { path: path.to_owned(), cause };
    let (target, folder) = target(path)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .make_in(&folder, |name| OpenOptions::new().read(true).write(true).create_new(true).open(name))
        .map_err(|error| failed(bare(error)))?;
    fill(&mut temporary)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(&target).map_err(|error| failed(error.error))?;
    // The new name is only safe once the folder is on the disk too; not every file system can be asked for that.
    let _ = File::open(&folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The file that writing `path` makes or replaces (a symbolic link stays one: what it points to), and its folder.
///
/// # Errors
/// If the folder does not exist, or if `path` is something other than a regular file.
pub(super) fn target(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
    if fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return Err(Error::NotRegular { path: path.to_owned() });
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    if folder.is_dir() { Ok((target, folder)) } else { Err(Error::NoFolder { path: path.to_owned(), folder }) }
}

/// Writes the file `path` in one step; `fill` writes its bytes.
///
/// # Errors
/// If the file cannot be written, or when interrupted; then a file that was there before is as it was.
pub fn write_bytes(path: &Path, task: &Task, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    write(path, |temporary| {
        let watch = Watch::new(temporary.as_file(), task);
        let mut writer = io::BufWriter::with_capacity(1 << 20, watch);
        fill(&mut writer)
            .and_then(|()| writer.flush())
            .map_err(|cause| interrupted(task).unwrap_or(Error::Write { path: path.to_owned(), cause }))
    })
}

/// The reason why a write failed, if it is that the user wished it.
pub(super) fn interrupted(task: &Task) -> Option<Error> {
    task.check().err().map(Error::from)
}

/// Sees to it that a large file goes to the disk while it is written, and that writing ends when the user wishes it.
pub(super) struct Watch<'a> {
    file: &'a File,
    task: &'a Task,
    waiting: usize,
}

impl<'a> Watch<'a> {
    pub fn new(file: &'a File, task: &'a Task) -> Self {
        Self { file, task, waiting: 0 }
    }

    /// Tells that so many bytes more have been written.
    ///
    /// # Errors
    /// When interrupted, or if the disk does not take them.
    pub fn wrote(&mut self, bytes: usize) -> io::Result<()> {
        self.task.check().map_err(|Cancelled| io::Error::other(Cancelled))?;
        self.waiting += bytes;
        if self.waiting > WAITING {
            self.waiting = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl Write for Watch<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.wrote(written)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `text` to the file `path` in one step.
///
/// # Errors
/// If the file cannot be written; then a file that was there before is as it was.
pub fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    write_bytes(path, &Task::silent(), |writer| writer.write_all(text.as_bytes()))
}

/// Writes `value` as JSON, indented for people, in one step.
///
/// # Errors
/// As [`write_text`].
pub fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), Error> {
    write_text(path, &format!("{value:#}\n"))
}

/// The operating system's error without the name of the temporary file, which would mean nothing to the user.
fn bare(error: io::Error) -> io::Error {
    match error.get_ref().and_then(std::error::Error::source).and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) => cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_text(&path, "old").unwrap();
        let failed = write_bytes(&path, &Task::silent(), |writer| {
            writer.write_all(b"half of the n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().to_string(), format!("cannot write {}: no storage space", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_text(&path, "a longer text than the next one").unwrap();
        write_json(&path, &serde_json::json!({ "seed": 1 })).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"seed\": 1\n}\n");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_missing_folder_is_named_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not there");
        let message = write_text(&missing.join("a.txt"), "x").unwrap_err().to_string();
        assert!(message.ends_with(&format!("there is no folder {}; make it first", missing.display())), "{message}");
        assert!(!missing.exists());
    }

    #[test]
    fn a_folder_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let message = write_text(folder.path(), "x").unwrap_err().to_string();
        assert!(message.ends_with("it exists and is not a regular file"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_keeps_pointing_to_the_file_that_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write_text(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_text(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
