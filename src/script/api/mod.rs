//! What a script can call: one file a namespace, listed in [`namespaces`].
//!
//! # Adding a function
//!
//! Write it in the file of its namespace, inside the `#[export_module]`, a few lines long; the work is done in the kernel
//! module. Its comment is the manual: one line on what it does, then arguments with units, defaults, errors, and
//! an example in a `rhai` code block that a test runs in an empty folder.
//!
//! ```ignore
//! /// Scales every image to mean 0 and standard deviation 1 inside the particle's mask.
//! ///
//! /// * `diameter` (Å, default 0: the whole frame): …
//! ///
//! /// ```rhai
//! /// let images = …;
//! /// print(images.normalize(#{ diameter: 15 }));
//! /// ```
//! #[rhai_fn(global, return_raw)]
//! pub fn normalize(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Images> {
//!     let options: Normalize = options::parse(&call, &options)?;
//!     run(&call, |task| crate::images::normalize(&images, &options, task))
//! }
//! ```
//!
//! * `global` makes `images.normalize(…)` work beside `images::normalize(images, …)`; `return_raw` belongs to every
//!   function that returns a [`ScriptResult`].
//! * Take values by value (they are cheap to clone), or by `&mut` with `pure`: otherwise a `const` in a script has no methods.
//! * A form without options is a function of its own, `#[rhai_fn(global, name = "normalize", return_raw)] pub fn
//!   normalize_default(…)`, with the one-line comment `` See `normalize`. `` or none.
//! * [`options::parse`](super::options::parse) reads a kernel's options struct (strictly) and records it for provenance;
//!   [`options::take`](super::options::take) takes a `Volume` or the like out of the map before;
//!   [`options::number`](super::options::number) reads a plain float argument of type `Dynamic`, so that `1` will do for `1.0`.
//! * [`run`](super::run) runs a kernel in the session's threads with its [`Task`](crate::task::Task) and turns its
//!   error into a located one; short work that cannot fail needs neither; [`fault`](super::fault) turns any error into a
//!   script error.
//! * A new type is named in [`register`] and gets `to_string`, `info` and `save` in the file of its namespace.

mod global;
mod path;
mod structure;
mod sweep;
mod table;

use rhai::{Engine, Module, exported_module};

use super::Table;
use super::args::Declaration;
use crate::structure::Structure;

/// The native namespaces, in the order of the way of the data.
pub fn namespaces() -> Vec<(&'static str, Module)> {
    vec![
        ("structure", exported_module!(structure::api)),
        ("sweep", exported_module!(sweep::api)),
        ("table", exported_module!(table::api)),
        ("path", exported_module!(path::api)),
    ]
}

/// Gives `engine` all types, namespaces and global functions.
pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Structure>("Structure")
        .register_type_with_name::<Table>("Table")
        .register_type_with_name::<Declaration>("Declaration");
    engine.register_global_module(exported_module!(global::api).into());
    for (name, module) in namespaces() {
        engine.register_static_module(name, module.into());
    }
}
