//! The functions that a script can call.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, Engine, Expr, FnCallExpr, Stmt};

use super::walk::Body;
use crate::script::help::{GLOBAL, Reference};

/// Words that are called like functions, with any number of arguments.
const WORDS: [&str; 9] = ["print", "debug", "type_of", "Fn", "call", "curry", "is_def_var", "is_def_fn", "is_shared"];

/// The functions that every script can call.
pub struct Known {
    pub reference: &'static Reference,
    /// Names of the functions of the language, and with how many arguments.
    simple: BTreeSet<(String, usize)>,
}

impl Known {
    pub fn new() -> Self {
        let form = |info: rhai::FuncInfo| Some((info.metadata.name.to_string(), info.metadata.num_params));
        let simple = Engine::new().collect_fn_metadata(None, form, true).into_iter().collect();
        Self { reference: Reference::get(), simple }
    }

    /// Whether the language itself has the function.
    pub fn is_simple(&self, name: &str, arguments: usize) -> bool {
        WORDS.contains(&name) || self.simple.contains(&(name.to_owned(), arguments))
    }

    /// Whether there is a namespace of this name that needs no import.
    pub fn is_namespace(&self, name: &str) -> bool {
        let native = |namespace: &&crate::script::help::Namespace| namespace.is_native && namespace.name != GLOBAL;
        self.reference.namespaces.iter().filter(native).any(|namespace| namespace.name == name)
    }

    /// Full names and forms of the native functions of this name that a call with or without a prefix can mean.
    pub fn native(&self, prefix: &str, name: &str) -> Vec<(String, Vec<String>)> {
        let namespaces = self.reference.namespaces.iter().filter(|namespace| namespace.is_native);
        let mut found = Vec::new();
        for namespace in namespaces {
            let bare = prefix.is_empty();
            for entry in namespace.entries.iter().filter(|entry| entry.name == name) {
                if bare && (entry.is_global || namespace.name == GLOBAL) {
                    found.push((format!("{}::{name}", namespace.name), entry.signatures.clone()));
                } else if !bare && namespace.name == prefix {
                    found.push((format!("{prefix}::{name}"), entry.signatures.clone()));
                }
            }
        }
        found
    }
}

/// What a script offers to those that import it.
#[derive(Debug, Default)]
pub struct Module {
    /// How many parameters the functions have that can be called from outside.
    pub functions: BTreeMap<String, Vec<usize>>,
    /// Options of the functions that hand their last parameter to `with_defaults`.
    pub options: BTreeMap<String, Vec<String>>,
}

impl Module {
    /// Of a script and the bodies of its functions.
    pub fn of(ast: &AST, bodies: &[Body]) -> Self {
        let mut module = Self::default();
        let shown =
            ast.iter_functions().filter(|function| !function.access.is_private() && !function.name.contains('$'));
        for function in shown {
            module.functions.entry(function.name.to_owned()).or_default().push(function.params.len());
        }
        module.options = options_of_functions(bodies);
        module
    }
}

/// Which options the functions of a script take, as far as `with_defaults(parameter, defaults)` says so.
pub fn options_of_functions(bodies: &[Body]) -> BTreeMap<String, Vec<String>> {
    let last_map = |name: &str| {
        let (.., body) = bodies.iter().find(|(function, parameters, _)| function == name && parameters.is_empty())?;
        match body.last()? {
            Stmt::Expr(expression) => names_in(expression),
            _ => None,
        }
    };
    let options_of = |(function, parameters, body): &Body| {
        let parameter = parameters.last()?;
        let names = body.iter().filter_map(call_in).find_map(|call| merged(call, parameter, &last_map))?;
        Some((function.clone(), names))
    };
    bodies.iter().filter_map(options_of).collect()
}

/// The call whose value a statement keeps or gives.
fn call_in(statement: &Stmt) -> Option<&FnCallExpr> {
    let value = match statement {
        Stmt::FnCall(call, _) => return Some(call),
        Stmt::Var(declared, ..) => &declared.1,
        Stmt::Expr(value) | Stmt::Return(Some(value), ..) => value,
        _ => return None,
    };
    if let Expr::FnCall(call, _) = value { Some(call) } else { None }
}

/// The names in `with_defaults(parameter, defaults)`.
fn merged(call: &FnCallExpr, parameter: &str, last_map: &impl Fn(&str) -> Option<Vec<String>>) -> Option<Vec<String>> {
    let [Expr::Variable(given, ..), defaults] = call.args.as_slice() else { return None };
    if call.name != "with_defaults" || given.1 != parameter {
        return None;
    }
    match defaults {
        Expr::FnCall(inner, _) if inner.args.is_empty() && inner.namespace.is_empty() => last_map(&inner.name),
        literal => names_in(literal),
    }
}

/// The names in a map that is written out.
fn names_in(expression: &Expr) -> Option<Vec<String>> {
    match expression {
        Expr::Map(map, _) => Some(map.0.iter().map(|(name, _)| name.name.to_string()).collect()),
        _ => None,
    }
}
