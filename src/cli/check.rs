//! `pedesis check`: mistakes in a script, shown as those of a run are.

use std::path::Path;

use super::{FAULT, output};
use crate::script::check;

/// Checks the script at `path`; returns the exit status: 0 if there are no errors, warnings or not.
pub fn check(path: &Path) -> u8 {
    let findings = match check::check(path) {
        Ok(findings) => findings,
        Err(error) => return output::fail(&format!("cannot read the script {}: {error}", path.display()), FAULT),
    };
    for finding in &findings.found {
        output::complain(&finding.render(&findings.sources, output::color()));
    }
    let (errors, warnings) = (findings.errors(), findings.warnings());
    output::say(&format!("{}: {}, {}", path.display(), count(errors, "error"), count(warnings, "warning")));
    if errors > 0 { FAULT } else { 0 }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
