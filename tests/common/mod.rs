//! What tests of the command line share: the real binary, run in a folder of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What a run of the binary left behind.
pub struct Run {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// The binary, ready to be given arguments; it runs in `folder` and reads nothing.
pub fn pedesis(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pedesis"));
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("XDG_DATA_HOME", folder.join("data"));
    // programs that other tests start meanwhile keep the locks of HDF5 files made by this one
    command.env("HDF5_USE_FILE_LOCKING", "FALSE");
    command
}

/// Runs a script of the given text as `script.rhai` in a new folder, with further arguments of the command line.
pub fn run_script(text: &str, arguments: &[&str]) -> Run {
    let folder = folder_with("script.rhai", text);
    pedesis(folder.path()).args(["run", "script.rhai"]).args(arguments).output().expect("the binary starts").into()
}

/// A new folder with one file in it.
pub fn folder_with(name: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(name), text).expect("a file in the temporary folder");
    folder
}
