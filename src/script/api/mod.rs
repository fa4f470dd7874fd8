//! What a script can call: one file a namespace (more of `orient`, `model` and `plot`), listed in [`namespaces`].
//!
//! # Adding a function
//!
//! Write it in the file of its namespace, inside the `#[export_module(manifest)]`, a few lines long; the work is done in the kernel
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
//!   normalize_default(…)`, without a comment: help shows all forms of a name under one.
//! * [`options::parse`] reads a kernel's options struct (strictly) and records it for provenance; name function and struct
//!   in `accepted.rs`;
//!   [`options::take`] takes a `Volume` or the like out of the map before;
//!   [`options::numbers`] and [`options::seed`] read plain arguments.
//! * A plain argument of type `f64` takes an integer too (`bind.rs` sees to it).
//! * [`run`](super::run) runs a kernel in the session's threads with its [`Task`](crate::task::Task) and turns its
//!   error into a located one; short work that cannot fail needs neither; [`fault`] turns any error into a
//!   script error.
//! * A path goes through [`readable`](super::readable) or [`writable`](super::writable), which ask what the script may touch; such a parameter
//!   is called `path` or `folder`. Clippy refuses other ways from a string to a path here.
//! * [`Session::tell`](super::Session::tell) shows a message that is not a result; `eprintln!` would tear the progress bars.
//! * A new type is named in [`register`] and gets `to_string`, `info` and `save` in the file of its namespace.

#![deny(clippy::disallowed_methods)]

mod accepted;
mod analysis;
mod analysis_figures;
mod cell;
mod film;
mod global;
mod images;
mod microscope;
mod model;
mod model_figures;
mod orient;
mod path;
mod pixels;
mod plot;
mod poses;
mod report;
mod store;
mod structure;
mod sweep;
mod table;
mod volume;

use rhai::plugin::{exported_manifest, exported_module};
use rhai::{Array, Dynamic, Engine};

use super::args::Declaration;
use super::bind::{Namespace, Part};
use super::{ScriptResult, Table, fault, options};
use crate::cell::{Cell, Liquid};
use crate::images::{Images, Particles};
use crate::microscope::Microscope;
use crate::model::Model;
use crate::plot::{Figure, Report};
use crate::pose::Poses;
use crate::structure::{Lattice, Structure};
use crate::volume::Volume;

pub use accepted::ACCEPTED;

/// A namespace of the functions in the first file, whose name it bears, and in the others.
macro_rules! namespace {
    ($name:ident $(, $more:ident)*) => {
        Namespace { name: stringify!($name), parts: vec![part!($name) $(, part!($more))*] }
    };
}

macro_rules! part {
    ($file:ident) => {
        Part { documented: || exported_module!($file::api), functions: exported_manifest!($file::api) }
    };
}

/// The functions without a prefix.
pub fn global() -> Namespace {
    namespace!(global)
}

/// The namespaces, in the order of the way of the data.
pub fn namespaces() -> Vec<Namespace> {
    vec![
        namespace!(structure),
        namespace!(cell),
        namespace!(microscope),
        namespace!(images, pixels, film),
        namespace!(orient, poses),
        namespace!(volume),
        namespace!(model, analysis),
        namespace!(store),
        namespace!(plot, model_figures, analysis_figures, report),
        namespace!(sweep),
        namespace!(table),
        namespace!(path),
    ]
}

/// Gives `engine` all types, namespaces and global functions.
pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Lattice>("Lattice")
        .register_type_with_name::<Structure>("Structure")
        .register_type_with_name::<Liquid>("Liquid")
        .register_type_with_name::<Cell>("Cell")
        .register_type_with_name::<Microscope>("Microscope")
        .register_type_with_name::<Images>("Images")
        .register_type_with_name::<Particles>("Particles")
        .register_type_with_name::<Poses>("Poses")
        .register_type_with_name::<Volume>("Volume")
        .register_type_with_name::<Model>("Model")
        .register_type_with_name::<Figure>("Figure")
        .register_type_with_name::<Report>("Report")
        .register_type_with_name::<Table>("Table")
        .register_type_with_name::<Declaration>("Declaration");
    engine.register_global_module(global().bound().into());
    for namespace in namespaces() {
        engine.register_static_module(namespace.name, namespace.bound().into());
    }
}

/// Atoms given as a Model or as a Structure.
///
/// # Errors
/// If the value is neither.
fn atoms_of(value: &Dynamic) -> ScriptResult<Structure> {
    if let Some(model) = value.read_lock::<Model>() {
        return Ok(model.structure());
    }
    let structure = value.read_lock::<Structure>().map(|structure| structure.clone());
    structure.ok_or_else(|| fault(format!("atoms are a Model or a Structure, not {}", options::describe(value))))
}

/// The number, from 0, of one of `count` things, each called `what`.
fn index(number: &Dynamic, count: usize, what: &str) -> ScriptResult<usize> {
    let wanted = number.as_int().ok().and_then(|number| usize::try_from(number).ok()).filter(|&number| number < count);
    wanted.ok_or_else(|| fault(format!("there is no {what} {number}: there are {count}, counted from 0")))
}

/// The numbers of several of them.
fn indices(numbers: &[Dynamic], count: usize, what: &str) -> ScriptResult<Vec<usize>> {
    numbers.iter().map(|number| index(number, count, what)).collect()
}

/// Numbers as a script's array.
fn array(values: &[f64]) -> Array {
    values.iter().map(|&value| Dynamic::from(value)).collect()
}
