//! `pedesis docs`: the manual as web pages, or as definition files for language servers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::progress::Bars;
use super::{FAULT, INTERRUPTED, listen_to_interrupts, output};
use crate::script::manual;

/// What is written.
pub enum What {
    /// Pages with the figures and output of the examples.
    Pages,
    /// Pages alone.
    PagesWithoutFigures,
    Definitions,
}

/// Writes the manual to `folder`; returns the exit status.
pub fn docs(folder: &Path, what: What) -> u8 {
    // what is half written is removed on the way out
    let cancel = Arc::new(AtomicBool::new(false));
    listen_to_interrupts(&cancel, Duration::ZERO);
    let task = Arc::new(Bars::default()).task(cancel.clone());
    let written = match what {
        What::Pages => manual::write(folder, Some(&run_example), &task),
        What::PagesWithoutFigures => manual::write(folder, None, &task),
        What::Definitions => manual::write_definitions(folder),
    };
    match written {
        Ok(()) => 0,
        // an example that was at work is interrupted too, and seems to fail
        Err(_) if cancel.load(Ordering::Relaxed) => {
            output::complain("interrupted");
            INTERRUPTED
        }
        Err(error) => output::fail(&error, FAULT),
    }
}

/// Runs an example in `folder`, as a script of its own in a process of its own; gives what it prints.
fn run_example(example: &str, folder: &Path) -> Result<String, String> {
    const SCRIPT: &str = "example.rhai";
    std::fs::write(folder.join(SCRIPT), example).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["run", SCRIPT]).current_dir(folder).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
