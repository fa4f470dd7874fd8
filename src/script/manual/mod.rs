//! The reference manual as a folder of web pages: one for each namespace and each strategy, and an index that is searched without a server.
//!
//! What a page says comes from the comments on the functions ([`super::help`]); the tables of options have names and defaults
//! from the structs that the options are read into. Beneath an example is what it prints, and the figures it makes.

mod code;
mod definitions;
mod page;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

pub use definitions::definitions;
use page::Site;

use super::help::Reference;
use crate::task::{Cancelled, Task};

/// What an example printed, and the figures it made.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub printed: String,
    /// PNG files.
    pub figures: Vec<PathBuf>,
}

/// Runs an example in a folder; gives what it prints, or why it does not run.
pub type Runner = dyn Fn(&str, &Path) -> Result<String, String>;

/// Why there is no manual.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write {}: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },
    #[error("{} is not empty and not a manual: give another folder, or remove what is in it", .0.display())]
    Occupied(PathBuf),
    #[error("{} has no name of its own: give that of a folder, as in {}", .0.display(), .0.join("manual").display())]
    NoName(PathBuf),
    #[error("the example of {function} does not run: {reason}")]
    Example { function: String, reason: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Marks a folder as a manual that may be replaced.
const MARK: &str = "<meta name=\"generator\" content=\"pedesis docs\">";

/// Writes the manual to `folder`, which must be new, empty, or a manual that is replaced; it appears when it is complete.
///
/// `run` runs an example in an empty folder and gives what it printed; without it there are neither figures nor output. Progress
/// counts examples.
///
/// # Errors
/// If the folder holds something else or cannot be written, or an example does not run.
pub fn write(folder: &Path, run: Option<&Runner>, task: &Task) -> Result<(), Error> {
    in_one_step(folder, |new| {
        let reference = Reference::get();
        let figures = new.join("figures");
        fs::create_dir(&figures).map_err(wrong(&figures))?;
        let mut site = Site::new(reference);
        if let Some(run) = run {
            let count = reference.entries().map(|(_, entry)| entry.examples().len()).sum();
            let stage = task.stage("examples", count);
            for (full, entry) in reference.entries() {
                for (number, example) in entry.examples().iter().enumerate() {
                    let outcome = outcome(&full, number, example, run, &figures)?;
                    site.outcomes.insert((full.clone(), number), outcome);
                    stage.advance(1)?;
                }
            }
        }
        for (name, text) in site.pages() {
            let path = new.join(&name);
            fs::write(&path, text).map_err(wrong(&path))?;
        }
        Ok(())
    })
}

/// Writes the definition files that language servers of Rhai read to `folder`, in one step and as [`write()`] does.
///
/// # Errors
/// As [`write()`].
pub fn write_definitions(folder: &Path) -> Result<(), Error> {
    in_one_step(folder, |new| {
        for (name, text) in definitions(Reference::get()) {
            let path = new.join(&name);
            fs::write(&path, text).map_err(wrong(&path))?;
        }
        Ok(())
    })
}

fn wrong(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |reason| Error::Write { path, reason }
}

/// Fills a new folder and puts it in the place of `folder`.
fn in_one_step(folder: &Path, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let is_ours = |file: &str, mark: &str| fs::read_to_string(folder.join(file)).is_ok_and(|text| text.contains(mark));
    let is_empty = match fs::read_dir(folder) {
        Ok(mut files) => files.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(wrong(folder)(error)),
    };
    if !is_empty && !is_ours("index.html", MARK) && !is_ours(definitions::STATIC, definitions::MARK) {
        return Err(Error::Occupied(folder.to_owned()));
    }
    if folder.file_name().is_none() {
        return Err(Error::NoName(folder.to_owned()));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(wrong(parent))?;
    let beside = |purpose: &str| Builder::new().prefix(&format!(".pedesis-{purpose}-")).tempdir_in(parent);
    let new: TempDir = beside("new").map_err(wrong(parent))?;
    let content = new.path().join("content");
    fs::create_dir(&content).map_err(wrong(&content))?;
    fill(&content)?;
    let old = beside("old").map_err(wrong(parent))?;
    if folder.exists() {
        fs::rename(folder, old.path().join("content")).map_err(wrong(folder))?;
    }
    fs::rename(&content, folder).map_err(|error| {
        // nothing that was there is lost
        let _ = fs::rename(old.path().join("content"), folder);
        wrong(folder)(error)
    })
}

/// Runs an example and keeps its figures in `figures`.
fn outcome(full: &str, number: usize, example: &str, run: &Runner, figures: &Path) -> Result<Outcome, Error> {
    let place = tempfile::tempdir().map_err(wrong(figures))?;
    let failed = |reason| Error::Example { function: full.to_owned(), reason };
    let printed = run(example, place.path()).map_err(failed)?;
    let mut made: Vec<PathBuf> = fs::read_dir(place.path())
        .map_err(wrong(place.path()))?
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "png"))
        .collect();
    made.sort();
    let mut kept = Vec::new();
    for file in made {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("{}-{}-{name}", full.replace("::", "."), number + 1);
        fs::copy(&file, figures.join(&name)).map_err(wrong(figures))?;
        kept.push(Path::new("figures").join(name));
    }
    Ok(Outcome { printed, figures: kept })
}
