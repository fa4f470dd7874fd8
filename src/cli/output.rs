//! Standard output and standard error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use crate::script::diagnostic::harmless;

/// What a script says, for a screen if `is_screen`.
pub fn said(text: &str, is_screen: bool) -> Cow<'_, str> {
    if is_screen { harmless(text) } else { text.into() }
}

/// Writes what a script prints to standard output, as [`say`] does.
pub fn print(text: &str) {
    say(&said(text, std::io::stdout().is_terminal()));
}

/// Writes one result to standard output. A reader that has gone away (`| head`) does not stop the computation.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        complain(&format!("warning: cannot write to standard output: {error}"));
    }
}

/// Writes a message to standard error; nothing can be done if that fails.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}

/// Reports an error that has no place in a script, and gives back the exit status.
pub fn fail(error: &impl Display, status: u8) -> u8 {
    complain(&format!("error: {error}"));
    status
}

/// Whether messages may be coloured: on a terminal, unless `NO_COLOR` is set to anything.
pub fn color() -> bool {
    std::io::stderr().is_terminal() && wanted()
}

/// Whether results may be coloured.
pub fn color_of_results() -> bool {
    std::io::stdout().is_terminal() && wanted() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
