//! Which files a script may read and write.
//!
//! Whoever runs the script of a colleague opens to it what he names on the command line, and no more. Every native function that takes a path, and
//! `import`, asks the [`Permit`] of its session; it is the only place that decides.
//!
//! | place | read | write |
//! | --- | --- | --- |
//! | the current directory and all below | yes | yes, but hidden names |
//! | the folder given as `out=`, and all below | yes | yes, but hidden names |
//! | `--allow-write PATH`, and all below | yes | yes |
//! | `--allow-read PATH`, and all below | yes | no |
//! | the script's folder and all below: modules, data | yes | no |
//! | a folder given as `name=folder`, and all below | yes | no |
//! | a file given as `name=file`, and files beside it of the same name with another ending | yes | no |
//!
//! Where a run is repeated from a file of its results, the script's folder is that of the file, and arguments are those of the command line alone.
//!
//! What counts is where a path leads: symbolic links, dangling ones too, and `..` are followed before the places are compared. The values of `k=v` count as they
//! were typed, whatever the script declares them to be; of a list each item does. Hidden names (`.ssh`, `.bashrc`) are closed to writing because the
//! current directory may be a home folder. The root of the file system is opened by a flag alone, never by being the current
//! directory or an argument. Stacks that a STAR file names are not opened with it.
//!
//! Nothing is promised against another program that changes links between the question and the use; a script itself cannot make links.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// More links than this in one path go in circles.
const MOST_LINKS: usize = 40;

/// Paths that the command line opens to a script beside its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// Of `--allow-read`.
    pub read: Vec<PathBuf>,
    /// Of `--allow-write`.
    pub write: Vec<PathBuf>,
}

/// Why the command line opens nothing sensible.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    #[error("--allow-{what} {path:?}: {cause}")]
    Flag { what: &'static str, path: PathBuf, cause: io::Error },
    #[error("--allow-write {path:?}: there is no folder {folder:?}; make it first")]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("out={0} would open the whole file system to the script: name a folder for its results")]
    Root(String),
}

/// What a session may read and write.
#[derive(Debug, Clone, Default)]
pub struct Permit {
    /// `None`: whatever the user may, as at the prompt, where he types himself.
    places: Option<Vec<Place>>,
}

/// An open place.
#[derive(Debug, Clone)]
struct Place {
    /// Where it is, links followed.
    path: PathBuf,
    /// As messages call it.
    name: String,
    reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It and all below it is read.
    Read,
    /// Files of its name with any ending are read, in its folder.
    Companions,
    /// It and all below it is read and written, but hidden names are not written.
    WriteVisible,
    /// It and all below it is read and written.
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Access {
    fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A path that a script may not use.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {} {}: {reason}", .access.verb(), .path.display())]
pub struct Refusal {
    access: Access,
    path: PathBuf,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl Permit {
    /// Everything the user may do himself.
    pub fn all() -> Self {
        Self::default()
    }

    /// What is open to the script at `script` that was given these `k=v` arguments and flags.
    ///
    /// # Errors
    /// If a path of a flag is not there or cannot be read, or `out=` is the root of the file system.
    pub fn of_run(script: &Path, given: &[(String, String)], flags: &Flags) -> Result<Self, PermitError> {
        let mut open = Self { places: Some(Vec::new()) };
        for path in &flags.write {
            open.add(writable_flag(path)?, format!("--allow-write {}", path.display()), Reach::Write);
        }
        for path in &flags.read {
            open.add(readable_flag(path)?, format!("--allow-read {}", path.display()), Reach::Read);
        }
        open.add_below_root(Path::new("."), "the current directory".into(), Reach::WriteVisible);
        for (_, value) in given.iter().filter(|(name, value)| name == "out" && !value.is_empty()) {
            if !open.add_below_root(Path::new(value), format!("out={value}"), Reach::WriteVisible) {
                return Err(PermitError::Root(value.clone()));
            }
        }
        let folder = script.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        open.add_below_root(folder, format!("the script's folder {}", folder.display()), Reach::Read);
        for (name, value) in given {
            let items = value.split(',').map(str::trim).filter(|item| *item != value);
            for item in std::iter::once(value.as_str()).chain(items).filter(|item| !item.is_empty()) {
                open.add_argument(name, item);
            }
        }
        Ok(open)
    }

    /// The path, if the script may read what is there.
    ///
    /// # Errors
    /// If it may not (the message names the open places, and the flag that opens this one), or if it is neither a file nor a folder.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<PathBuf, Refusal> {
        let path = self.check(path.as_ref(), Access::Read)?;
        let special = |known: fs::Metadata| !known.is_file() && !known.is_dir();
        if self.places.is_some() && fs::metadata(&path).is_ok_and(special) {
            return Err(Refusal { access: Access::Read, path, reason: "it is neither a file nor a folder".into() });
        }
        Ok(path)
    }

    /// The path, if the script may write, make or remove what is there.
    ///
    /// # Errors
    /// If it may not; as [`Self::read`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<PathBuf, Refusal> {
        self.check(path.as_ref(), Access::Write)
    }

    fn check(&self, path: &Path, access: Access) -> Result<PathBuf, Refusal> {
        let Some(places) = &self.places else { return Ok(path.to_owned()) };
        let refusal = |reason| Refusal { access, path: path.to_owned(), reason };
        let target = resolve(path).map_err(|error| refusal(error.to_string()))?;
        if places.iter().any(|place| place.opens(&target, access)) {
            return Ok(path.to_owned());
        }
        Err(refusal(closed(places, path, &target, access)))
    }

    fn add(&mut self, path: PathBuf, name: String, reach: Reach) {
        self.places.get_or_insert_default().push(Place { path, name, reach });
    }

    /// Opens where `path` leads, if that is not the root of the file system; says whether it did.
    fn add_below_root(&mut self, path: &Path, name: String, reach: Reach) -> bool {
        let Ok(target) = resolve(path) else { return false };
        let is_below = target.parent().is_some();
        let access = if reach == Reach::Read { Access::Read } else { Access::Write };
        // what is open already would only make the messages longer
        if is_below && !self.is_open(&target, access) {
            self.add(target, name, reach);
        }
        is_below
    }

    fn is_open(&self, target: &Path, access: Access) -> bool {
        self.places.iter().flatten().any(|place| place.reach != Reach::Companions && place.opens(target, access))
    }

    /// Opens a value of the command line, as far as it is the name of something.
    fn add_argument(&mut self, name: &str, value: &str) {
        let path = Path::new(value);
        let named = format!("{name}={value}");
        if path.is_dir() {
            self.add_below_root(path, named, Reach::Read);
            return;
        }
        // beside the file, and beside a link to it
        let link = path.file_name().and_then(|file| Some(resolve(&parent(path)).ok()?.join(file)));
        let mut files: Vec<PathBuf> = resolve(path).into_iter().chain(link).collect();
        files.dedup();
        files.retain(|file| file.parent().is_some_and(|folder| !self.is_open(folder, Access::Read)));
        for file in files {
            self.add(file, named.clone(), Reach::Companions);
        }
    }
}

impl Place {
    fn opens(&self, target: &Path, access: Access) -> bool {
        if self.reach == Reach::Companions {
            return access == Access::Read && is_companion(&self.path, target);
        }
        let Ok(rest) = target.strip_prefix(&self.path) else { return false };
        match (access, self.reach) {
            (Access::Read, _) | (Access::Write, Reach::Write) => true,
            (Access::Write, Reach::WriteVisible) => !has_hidden(rest),
            (Access::Write, _) => false,
        }
    }
}

fn has_hidden(path: &Path) -> bool {
    path.components().any(|component| component.as_os_str().as_encoded_bytes().starts_with(b"."))
}

/// Whether `other` stands beside `file` and has its name with another ending: `a.json` beside `a.mrcs`.
fn is_companion(file: &Path, other: &Path) -> bool {
    let (Some(stem), Some(name)) = (file.file_stem(), other.file_name()) else { return false };
    let rest = name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes());
    file.parent() == other.parent() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn readable_flag(path: &Path) -> Result<PathBuf, PermitError> {
    let failed = |cause| PermitError::Flag { what: "read", path: path.to_owned(), cause };
    let is_folder = fs::metadata(path).map_err(failed)?.is_dir();
    let readable = if is_folder { fs::read_dir(path).map(drop) } else { fs::File::open(path).map(drop) };
    readable.and_then(|()| resolve(path)).map_err(failed)
}

fn writable_flag(path: &Path) -> Result<PathBuf, PermitError> {
    let failed = |cause| PermitError::Flag { what: "write", path: path.to_owned(), cause };
    if path == Path::new("") {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    let target = resolve(path).map_err(failed)?;
    match target.parent() {
        Some(folder) if !folder.is_dir() => {
            Err(PermitError::NoFolder { path: path.to_owned(), folder: folder.to_owned() })
        }
        _ => Ok(target),
    }
}

/// Where a path leads: absolute, without links, `.` and `..`. What does not exist has no links either.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let whole = if path.is_absolute() { path.to_owned() } else { std::env::current_dir()?.join(path) };
    let mut left: Vec<OsString> = parts(&whole);
    let mut resolved = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => drop(resolved.pop()),
            Some(Component::CurDir) | None => {}
            // the root takes the place of all before
            Some(Component::RootDir | Component::Prefix(_)) => resolved.push(part),
            Some(Component::Normal(name)) => {
                resolved.push(name);
                let Ok(target) = fs::read_link(&resolved) else { continue };
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::other("its symbolic links go in circles"));
                }
                resolved.pop();
                left.extend(parts(&target));
            }
        }
    }
    Ok(resolved)
}

/// The components of a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|component| component.as_os_str().to_owned()).collect()
}

/// Why a path is closed, what is open, and how to open it.
fn closed(places: &[Place], path: &Path, target: &Path, access: Access) -> String {
    let within = |place: &&Place| place.reach == Reach::WriteVisible && target.starts_with(&place.path);
    let why = if access == Access::Write && places.iter().any(|place| within(&place)) {
        ", as hidden names are".to_owned()
    } else if leads_out(places, path, target) {
        format!(", since it leads to {}", target.display())
    } else {
        String::new()
    };
    let allows = |place: &&Place| access == Access::Read || matches!(place.reach, Reach::Write | Reach::WriteVisible);
    let mut open: Vec<&str> = places.iter().filter(allows).map(|place| place.name.as_str()).collect();
    open.dedup();
    let open = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
    let (verb, path) = (access.verb(), path.display());
    format!("it is closed to this script{why} (open: {open}); to allow it, run the script with --allow-{verb} {path}")
}

/// Whether a path seems to be in an open place, but leads out of it.
fn leads_out(places: &[Place], path: &Path, target: &Path) -> bool {
    let Ok(folder) = std::env::current_dir() else { return false };
    let mut written = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::ParentDir => drop(written.pop()),
            other => written.push(other),
        }
    }
    written != target && places.iter().any(|place| place.opens(&written, Access::Read))
}
