//! How native functions come into the interpreter.
//!
//! A binding file lists its functions in a module marked `#[export_module(manifest)]`. Each goes into the interpreter
//! through a [`Bound`], which does what every binding needs and none should have to think of: an integer is taken where
//! the function asks for a float, an error says at which call it happened, and a panic in native code (a fault of
//! pedesis itself) becomes an error, since at the prompt it must not take hours of results with it.

use std::any::TypeId;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rhai::plugin::{FnManifestEntry, FuncRegistration, ModuleManifest, PluginFunc, RhaiResult};
use rhai::{Dynamic, Module, NativeCallContext};

use super::fault;

/// The functions that share a prefix.
pub struct Namespace {
    pub name: &'static str,
    pub parts: Vec<Part>,
}

/// The functions of one binding file.
pub struct Part {
    /// The functions with their comments, for the manual.
    pub documented: fn() -> Module,
    /// The functions to call.
    pub functions: &'static ModuleManifest,
}

impl Namespace {
    /// The functions with their comments, for the manual.
    pub fn documented(&self) -> Module {
        let mut all = Module::new();
        for part in &self.parts {
            all.combine((part.documented)());
        }
        all
    }

    /// The functions as the interpreter calls them.
    pub fn bound(&self) -> Module {
        let mut module = Module::new();
        for part in &self.parts {
            part.functions.init_eager(&mut module);
        }
        let functions = || self.parts.iter().flat_map(|part| part.functions.functions());
        // What asks for an integer is bound last, and so goes before what would take one for a float.
        for entry in functions() {
            for integers in combinations(&float_positions(entry)).into_iter().filter(|integers| !integers.is_empty()) {
                bind(&mut module, entry, integers);
            }
        }
        for entry in functions() {
            bind(&mut module, entry, Vec::new());
        }
        module.build_index();
        module
    }
}

/// Binds one function, for calls that have integers at the places `integers` where it asks for floats.
fn bind(module: &mut Module, entry: &FnManifestEntry, integers: Vec<usize>) {
    let mut types = Vec::new();
    (entry.param_types)(&mut |declared| types = declared.to_vec());
    for &i in &integers {
        types[i] = TypeId::of::<i64>();
    }
    let registration = FuncRegistration::new(entry.name).with_namespace(entry.namespace);
    registration.set_into_module_raw(module, types, Bound { function: entry.func, integers }.into());
}

fn float_positions(entry: &FnManifestEntry) -> Vec<usize> {
    let mut floats = Vec::new();
    (entry.param_types)(&mut |types| {
        floats = (0..types.len()).filter(|&i| types[i] == TypeId::of::<f64>()).collect();
    });
    floats
}

/// Every subset of a few positions.
fn combinations(positions: &[usize]) -> Vec<Vec<usize>> {
    positions.iter().fold(vec![Vec::new()], |subsets, &position| {
        let with = subsets.iter().map(|subset| subset.iter().copied().chain([position]).collect());
        subsets.iter().cloned().chain(with).collect()
    })
}

/// A native function as the interpreter calls it.
struct Bound {
    function: &'static (dyn PluginFunc + Send + Sync),
    /// Arguments that are integers in this form of the function, and floats for the function itself.
    integers: Vec<usize>,
}

impl PluginFunc for Bound {
    fn call(&self, context: Option<NativeCallContext>, args: &mut [&mut Dynamic]) -> RhaiResult {
        let position = context.as_ref().map(NativeCallContext::call_position);
        // The conversion must not reach the script's own variables, which `args` may refer to.
        let mut floats: Vec<Dynamic> =
            self.integers.iter().map(|&i| Dynamic::from(args[i].as_int().unwrap_or_default() as f64)).collect();
        let mut converted = floats.iter_mut();
        let mut given: Vec<&mut Dynamic> = Vec::with_capacity(args.len());
        for (i, argument) in args.iter_mut().enumerate() {
            match self.integers.contains(&i).then(|| converted.next()).flatten() {
                Some(float) => given.push(float),
                None => given.push(argument),
            }
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.function.call(context, &mut given)));
        let internal = || fault("internal error in native code (a fault of pedesis, not of the script); see above");
        outcome.unwrap_or_else(|_| Err(internal())).map_err(|mut error| {
            if let Some(position) = position.filter(|_| error.position().is_none()) {
                error.set_position(position);
            }
            error
        })
    }

    fn is_method_call(&self) -> bool {
        self.function.is_method_call()
    }

    fn has_context(&self) -> bool {
        true
    }

    fn is_pure(&self) -> bool {
        self.function.is_pure()
    }

    fn is_volatile(&self) -> bool {
        self.function.is_volatile()
    }
}

#[cfg(test)]
mod tests {
    use rhai::plugin::*;

    use super::*;

    #[export_module(manifest)]
    mod api {
        #[rhai_fn(global)]
        pub fn ratio(a: f64, b: f64) -> f64 {
            a / b
        }

        pub fn kind(_x: f64) -> String {
            "float".into()
        }

        #[rhai_fn(name = "kind")]
        pub fn kind_of_integer(_x: i64) -> String {
            "integer".into()
        }

        #[rhai_fn(return_raw)]
        pub fn refuse() -> RhaiResult {
            Err("no".into())
        }

        pub fn collapse() {
            panic!("a fault on purpose")
        }
    }

    fn interpreter() -> Engine {
        let namespace = Namespace {
            name: "test",
            parts: vec![Part { documented: || exported_module!(api), functions: exported_manifest!(api) }],
        };
        let mut engine = Engine::new();
        engine.register_static_module(namespace.name, namespace.bound().into());
        engine
    }

    #[test]
    fn integers_are_taken_as_floats_without_changing_the_variable() {
        let engine = interpreter();
        for call in ["test::ratio(3, 2)", "test::ratio(3, 2.0)", "test::ratio(3.0, 2)", "3.ratio(2)", "ratio(3.0, 2.0)"]
        {
            assert_eq!(engine.eval::<f64>(call).unwrap(), 1.5, "{call}");
        }
        assert_eq!(engine.eval::<i64>("let x = 3; x.ratio(2); test::ratio(x, 2); x").unwrap(), 3);
    }

    #[test]
    fn a_function_for_integers_goes_first() {
        assert_eq!(interpreter().eval::<String>("test::kind(3)").unwrap(), "integer");
        assert_eq!(interpreter().eval::<String>("test::kind(3.0)").unwrap(), "float");
    }

    #[test]
    fn errors_and_panics_are_located_at_the_call() {
        let error = interpreter().run("let x = 1;\n  test::refuse();").unwrap_err();
        assert_eq!((error.position().line(), error.position().position()), (Some(2), Some(9)));
        let error = interpreter().run("test::collapse();").unwrap_err();
        assert!(error.to_string().contains("internal error") && !error.position().is_none(), "{error}");
    }
}
