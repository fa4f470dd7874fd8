//! `path::` names of files.

use rhai::plugin::*;

/// Names of files and folders.
#[export_module(manifest)]
pub mod api {
    use std::path::Path;

    use crate::script::{ScriptResult, fault};

    /// Joins a folder and a name into a path.
    ///
    /// ```rhai
    /// print(path::join("results", "run.h5"));
    /// ```
    pub fn join(folder: &str, name: &str) -> String {
        Path::new(folder).join(name).to_string_lossy().into_owned()
    }

    /// Whether a file or folder of this name exists.
    ///
    /// ```rhai
    /// if !path::exists("run.h5") { print("not yet computed"); }
    /// ```
    pub fn exists(name: &str) -> bool {
        Path::new(name).exists()
    }

    /// The name of a file without its folder and its last extension.
    ///
    /// ```rhai
    /// print(path::stem("stacks/fept.mrcs"));      // fept
    /// ```
    pub fn stem(name: &str) -> String {
        Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The last extension of a file's name, without the dot and in lower case; empty if it has none.
    ///
    /// ```rhai
    /// print(path::extension("stacks/fept.MRCS"));  // mrcs
    /// ```
    pub fn extension(name: &str) -> String {
        Path::new(name).extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
    }

    /// Makes a folder with all its parents; does nothing if it is there.
    ///
    /// It is an error if a file is in the way or the place cannot be written.
    ///
    /// ```rhai
    /// path::make_dirs("results/seed_1");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn make_dirs(folder: &str) -> ScriptResult<()> {
        std::fs::create_dir_all(folder).map_err(|error| fault(format!("cannot make the folder {folder}: {error}")))?;
        // A file that is gone at once shows now, not after hours of work, whether results can be written.
        tempfile::tempfile_in(folder)
            .map(drop)
            .map_err(|error| fault(format!("cannot write into the folder {folder}: {error}")))
    }

    /// Removes a file; does nothing if it is not there.
    ///
    /// ```rhai
    /// path::remove("old.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn remove(name: &str) -> ScriptResult<()> {
        match std::fs::remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(fault(format!("cannot remove {name}: {error}")))
            }
            _ => Ok(()),
        }
    }
}
