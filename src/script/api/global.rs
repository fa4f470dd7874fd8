//! Functions without a prefix.

use rhai::plugin::*;

/// Functions without a prefix: arguments, messages, checkpoints, time, threads.
#[export_module(manifest)]
pub mod api {
    use std::time::Duration;

    use rhai::{Array, FnPtr, Map};

    use crate::script::args::{self, Declaration, Kind, Presence};
    use crate::script::help::Reference;
    use crate::script::{ScriptResult, Session, checkpoint, fault, options};

    /// Declares the arguments of the script and gives their values, from `k=v` on the command line or by default.
    ///
    /// * `declared`: a map from names to default values, or to `required(…)`, `optional(…)`, `choice(…)`. A default
    ///   says the type; an integer is accepted for a float; an array takes a list separated by commas.
    ///
    /// Call it once, first: an unknown, missing or ill-typed argument then stops the script before any work.
    ///
    /// ```rhai
    /// let a = args(#{ pixel_size: 0.25, out: "out", seed: 1, truth: optional("file") });
    /// print(a.pixel_size);
    /// ```
    #[rhai_fn(name = "args", return_raw)]
    pub fn declare_args(call: NativeCallContext, declared: Map) -> ScriptResult<Map> {
        args::declare(&Session::of(&call), &declared)
    }

    /// Options of a strategy: `defaults` with what is `given` in place of some, strictly.
    ///
    /// A name that is not among the defaults, or a value of another type, is an error; an integer will do for a float.
    ///
    /// ```rhai
    /// fn sweep(options) { with_defaults(options, #{ low_pass: 1.0, starts: 2 }) }
    /// print(sweep(#{ low_pass: 2 }));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn with_defaults(given: Map, defaults: Map) -> ScriptResult<Map> {
        options::with_defaults(&given, defaults).map_err(fault)
    }

    /// An argument that must be given, of kind `"file"`, `"float"`, `"int"`, `"string"`, `"bool"` or `"list"`.
    ///
    /// A `"file"` must exist.
    ///
    /// ```rhai
    /// let images = required("file");              // as in args(#{ images: required("file") })
    /// ```
    #[rhai_fn(return_raw)]
    pub fn required(kind: &str) -> ScriptResult<Declaration> {
        Ok(Declaration { kind: Kind::named(kind)?, presence: Presence::Required })
    }

    /// An argument that may be left out, of the same kinds as `required`; it is `()` then.
    ///
    /// ```rhai
    /// let a = args(#{ first_low_pass: optional("float") });
    /// if a.first_low_pass == () { print("chosen from the images"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn optional(kind: &str) -> ScriptResult<Declaration> {
        Ok(Declaration { kind: Kind::named(kind)?, presence: Presence::Optional })
    }

    /// An argument that is one of a few words; the first is the default.
    ///
    /// ```rhai
    /// print(args(#{ strategy: choice(["two_step", "single_step"]) }).strategy);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn choice(words: Array) -> ScriptResult<Declaration> {
        args::choice(&words)
    }

    /// Writes a warning to standard error and goes on.
    ///
    /// ```rhai
    /// warn("power at the rim of the mask: the diameter may be too small");
    /// ```
    pub fn warn(call: NativeCallContext, text: &str) {
        Session::of(&call).tell(&format!("warning: {text}"));
    }

    /// Ends the script with an error at this line.
    ///
    /// ```rhai
    /// let n = 3;
    /// if n < 2 { fail("at least two images are needed"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fail(text: &str) -> ScriptResult<()> {
        Err(fault(text))
    }

    /// Opens a folder in which `checkpoint` keeps results until `checkpoints_done`, so that a run that was killed continues when it is run again.
    ///
    /// * `folder`: made when there is something to keep.
    /// * `key`: a map of all that decides the results beside the scripts and the program: arguments, images. What does not decide them (the
    ///   number of threads, where results go) is left out.
    ///
    /// Checkpoints in the folder are used if key, scripts and program are the same, else removed; a message says so. It is an error if the
    /// folder cannot be written, or the key holds a closure or the like.
    ///
    /// ```rhai
    /// let a = args(#{ seed: 1, threads: optional("int") });
    /// let key = a;                                // a copy
    /// key.remove("threads");
    /// checkpoints("results/checkpoints", key);
    /// print(checkpoint("sum", || 1 + 1));
    /// checkpoints_done();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn checkpoints(call: NativeCallContext, folder: &str, key: Map) -> ScriptResult<()> {
        checkpoint::open(&Session::of(&call), folder, &key)
    }

    /// Gives what a closure gives, and keeps it in the folder that `checkpoints` has opened; what is kept there is given without a call.
    ///
    /// * `name`: what messages call it, such as "first density, seed 2". The same name again is another checkpoint, and so is one inside the
    ///   closure of another.
    /// * `closure`: without parameters, `|| …`. Only its value is kept, not what it does to variables around it: let it depend on what decides the
    ///   results, and change nothing.
    ///
    /// Values: numbers, strings, true, false, `()`, volumes, poses, images, particles, structures, lattices, models, microscopes, cells, liquids, tables, arrays and maps of them; each
    /// comes back in all its bits. Without an open folder the closure is called, and that is all. Where the closure throws or is
    /// interrupted, nothing is kept. A file that is damaged is not used; a message says so.
    ///
    /// ```rhai
    /// checkpoints("checkpoints", #{ seed: 3 });
    /// let seed = 3;
    /// let start = checkpoint(`start, seed ${seed}`, || #{ seed: seed, score: 0.5 });
    /// print(start.score);
    /// checkpoints_done();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn checkpoint(call: NativeCallContext, name: &str, closure: FnPtr) -> ScriptResult<Dynamic> {
        checkpoint::checkpoint(&call, name, &closure)
    }

    /// Ends a run that `checkpoints` began: removes what was kept, and the folder if nothing else is in it.
    ///
    /// Call it once all results are written. Without an open folder it does nothing.
    ///
    /// ```rhai
    /// checkpoints("checkpoints", #{ seed: 1 });
    /// print(checkpoint("sum", || 1 + 1));
    /// checkpoints_done();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn checkpoints_done(call: NativeCallContext) -> ScriptResult<()> {
        checkpoint::done(&Session::of(&call))
    }

    /// Seconds since the program began.
    ///
    /// ```rhai
    /// let start = wall_seconds();
    /// print(wall_seconds() - start < 60.0);
    /// ```
    pub fn wall_seconds(call: NativeCallContext) -> f64 {
        Session::of(&call).wall_seconds()
    }

    /// Waits so many seconds; Ctrl-C and `--max-time` end it.
    ///
    /// ```rhai
    /// sleep(0.01);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sleep(call: NativeCallContext, seconds: f64) -> ScriptResult<()> {
        let length = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        Session::of(&call).sleep(length)
    }

    /// CPU seconds that all threads of the program have used together.
    ///
    /// ```rhai
    /// print(cpu_seconds() >= 0.0);
    /// ```
    pub fn cpu_seconds() -> f64 {
        cpu_time::ProcessTime::now().as_duration().as_secs_f64()
    }

    /// Lets kernels run on this many threads from now on (1 to 1024). Results do not depend on it.
    ///
    /// ```rhai
    /// set_threads(2);
    /// print(threads());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn set_threads(call: NativeCallContext, count: i64) -> ScriptResult<()> {
        Session::of(&call).set_threads(count).map_err(fault)
    }

    /// Number of threads that kernels run on.
    ///
    /// ```rhai
    /// print(threads() >= 1);
    /// ```
    pub fn threads(call: NativeCallContext) -> i64 {
        Session::of(&call).threads() as i64
    }

    /// The sum of an array of numbers; 0 of an empty one.
    ///
    /// ```rhai
    /// print([1, 2.5].sum());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn sum(numbers: Array) -> ScriptResult<f64> {
        Ok(options::numbers(&numbers, "an item of the array")?.iter().sum())
    }

    /// The mean of an array of numbers, which must not be empty.
    ///
    /// ```rhai
    /// print([1, 2, 6].mean());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn mean(numbers: Array) -> ScriptResult<f64> {
        let numbers = options::numbers(&numbers, "an item of the array")?;
        if numbers.is_empty() {
            return Err(fault("an empty array has no mean"));
        }
        Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
    }

    #[rhai_fn(return_raw)]
    pub fn help() -> ScriptResult<String> {
        help_on("")
    }

    /// What a namespace or a function does, as text; without a name, the list of all namespaces.
    ///
    /// ```rhai
    /// print(help("sweep::grid"));
    /// print(help());
    /// ```
    #[rhai_fn(name = "help", return_raw)]
    pub fn help_on(name: &str) -> ScriptResult<String> {
        Reference::get().text(name).map_err(fault)
    }
}
