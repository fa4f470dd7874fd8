//! How large a script and its values may become.
//!
//! These bounds keep a script that has gone wild, or was made to, from taking the computer down; values of pedesis itself (images, densities) are not
//! under them, since kernels ask for their memory before they begin ([`crate::memory`]). Of a value all that is in it counts together.
//! A clock and the memory of the whole run are watched from outside; see [`Session::stop`].

use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use rhai::{Engine, ImmutableString};

use super::{ScriptResult, Session, fault};

/// Depth of nested script calls at which recursion is taken to be endless.
const CALL_LEVELS: usize = 64;
/// Depth of nested expressions that the parser accepts; long method chains need more than Rhai's default.
const EXPRESSION_DEPTH: usize = 128;
/// Bytes of the strings of a value.
const STRING_BYTES: usize = 16 << 20;
/// Items of an array, with those of the arrays in it.
const ARRAY_ITEMS: usize = 4_000_000;
/// Entries of a map, with those of the maps in it.
const MAP_ENTRIES: usize = 4_000_000;
/// Bytes of the text of a script.
const SCRIPT_BYTES: u64 = 4 << 20;
/// Variables in reach at one time.
const VARIABLES: usize = 10_000;
const FUNCTIONS: usize = 10_000;
/// Modules that are imported, each as often as it is.
const MODULES: usize = 1_000;

/// Sets the bounds of an interpreter, which stops when `session` does.
pub(super) fn set(engine: &mut Engine, session: &Arc<Session>) {
    engine
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH)
        .set_max_string_size(STRING_BYTES)
        .set_max_array_size(ARRAY_ITEMS)
        .set_max_map_size(MAP_ENTRIES)
        .set_max_variables(VARIABLES)
        .set_max_functions(FUNCTIONS)
        .set_max_modules(MODULES)
        // it calls itself without a bound on its depth
        .disable_symbol("eval");
    let session = session.clone();
    engine.on_progress(move |_| session.stopped().map(Into::into));
    // Rhai's own makes the new text before it looks at its length.
    engine
        .register_fn("replace", |text: &mut ImmutableString, old: &str, new: &str| replace(text, old, new))
        .register_fn("replace", |text: &mut ImmutableString, old: &str, new: char| replace(text, old, &new.to_string()))
        .register_fn("replace", |text: &mut ImmutableString, old: char, new: &str| replace(text, &old.to_string(), new))
        .register_fn("replace", |text: &mut ImmutableString, old: char, new: char| {
            replace(text, &old.to_string(), &new.to_string())
        });
}

/// Puts `new` in the place of every `old` in a text.
fn replace(text: &mut ImmutableString, old: &str, new: &str) -> ScriptResult<()> {
    let places = text.matches(old).count();
    if (text.len() - places * old.len()).saturating_add(places.saturating_mul(new.len())) > STRING_BYTES {
        return Err(fault(too_large("Length of string")));
    }
    *text = text.replace(old, new).into();
    Ok(())
}

/// What is said of a value that is too large, by Rhai's words for what is too much of it.
pub(super) fn too_large(what: &str) -> String {
    match what {
        what if what.contains("string") => {
            format!("the texts of one value together have more than {} MiB, which is the most", STRING_BYTES >> 20)
        }
        what if what.contains("map") => {
            format!("one map, with the maps in it, has more than {MAP_ENTRIES} entries, which is the most")
        }
        _ => format!("one array, with the arrays in it, has more than {ARRAY_ITEMS} items, which is the most"),
    }
}

/// Reads the text of a script.
///
/// # Errors
/// If it cannot be read, is not UTF-8, or is longer than 4 MiB.
pub fn read_script(path: &Path) -> io::Result<String> {
    read(path, SCRIPT_BYTES)
}

/// Whether a text is as short as that of a script must be.
pub fn is_script_length(text: &str) -> bool {
    text.len() as u64 <= SCRIPT_BYTES
}

/// Reads a text that a script works with, as long as a string of it may be.
///
/// # Errors
/// If it cannot be read, is not UTF-8, or is longer than 16 MiB.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    read(path, STRING_BYTES as u64)
}

fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::other(format!("it has more than {} MiB, which is the most", most >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}
