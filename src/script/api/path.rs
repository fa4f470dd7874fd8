//! `path::` names of files.

use std::path::Path;
use std::{fs, io};

use rhai::plugin::*;

/// A name that is only looked at: nothing of its place is read or written.
#[allow(clippy::disallowed_methods)]
fn name_of(path: &str) -> &Path {
    Path::new(path)
}

/// Makes the folder of a script that may write there.
#[allow(clippy::disallowed_methods)]
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Removes the file of a script that may do so.
#[allow(clippy::disallowed_methods)]
fn unlink(file: &Path) -> io::Result<()> {
    fs::remove_file(file)
}

/// Names of files and folders.
#[export_module(manifest)]
pub mod api {
    use super::{make, name_of, unlink};
    use crate::script::{ScriptResult, Session, fault, writable};

    /// Joins a folder and a name into a path.
    ///
    /// ```rhai
    /// print(path::join("results", "run.h5"));
    /// ```
    pub fn join(folder: &str, name: &str) -> String {
        name_of(folder).join(name).to_string_lossy().into_owned()
    }

    /// Whether a file or folder of this name exists; an error where the script may not read.
    ///
    /// ```rhai
    /// if !path::exists("run.h5") { print("not yet computed"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn exists(call: NativeCallContext, path: &str) -> ScriptResult<bool> {
        Ok(Session::of(&call).permit().read(path).map_err(fault)?.exists())
    }

    /// The name of a file without its folder and its last extension.
    ///
    /// ```rhai
    /// print(path::stem("stacks/fept.mrcs"));      // fept
    /// ```
    pub fn stem(name: &str) -> String {
        name_of(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The last extension of a file's name, without the dot and in lower case; empty if it has none.
    ///
    /// ```rhai
    /// print(path::extension("stacks/fept.MRCS"));  // mrcs
    /// ```
    pub fn extension(name: &str) -> String {
        name_of(name).extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
    }

    /// Makes a folder with all its parents; does nothing if it is there.
    ///
    /// It is an error if a file is in the way or the place cannot be written.
    ///
    /// ```rhai
    /// path::make_dirs("results/seed_1");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn make_dirs(call: NativeCallContext, folder: &str) -> ScriptResult<()> {
        let path = writable(&call, folder)?;
        make(&path).map_err(|error| fault(format!("cannot make the folder {folder}: {error}")))?;
        // A file that is gone at once shows now, not after hours of work, whether results can be written.
        tempfile::tempfile_in(&path)
            .map(drop)
            .map_err(|error| fault(format!("cannot write into the folder {folder}: {error}")))
    }

    /// Removes a file; does nothing if it is not there.
    ///
    /// ```rhai
    /// path::remove("old.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn remove(call: NativeCallContext, path: &str) -> ScriptResult<()> {
        match unlink(&writable(&call, path)?) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(fault(format!("cannot remove {path}: {error}")))
            }
            _ => Ok(()),
        }
    }
}
