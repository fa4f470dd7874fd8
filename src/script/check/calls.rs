//! Calls held against the functions that exist.

use rhai::{EvalAltResult, Expr, FnCallExpr, Position};

use super::known::Module;
use super::walk::{Holds, Walker};
use super::{Diagnostic, Severity};
use crate::script::help::{GLOBAL, options_at, parameters, takes};
use crate::script::options::{Accepted, suggestion};

impl Walker<'_> {
    /// A call `f(…)` or `space::f(…)`.
    pub(super) fn call(&mut self, call: &FnCallExpr, position: Position) {
        call.args.iter().for_each(|argument| self.expression(argument));
        self.warn_of_division(call, position);
        if call.op_token.is_some() || !call.name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return;
        }
        if call.namespace.is_empty() {
            self.bare(call, position);
            return;
        }
        let root = call.namespace.root();
        if call.namespace.path.len() > 1 || root == GLOBAL {
            return;
        }
        if let Some(local) = self.used_import(root) {
            if let Holds::Import(Some(module)) = &local.holds {
                let module = module.clone();
                self.of_module(&module, call, position);
            }
        } else if self.checker.known.is_namespace(root) {
            let forms = self.checker.known.native(root, &call.name);
            self.native(call, position, &forms, None);
        } else {
            self.fail(EvalAltResult::ErrorModuleNotFound(root.to_owned(), call.namespace.position()));
        }
    }

    /// A call of a module's function.
    fn of_module(&mut self, module: &Module, call: &FnCallExpr, position: Position) {
        let name = call.name.as_str();
        if !module.functions.get(name).is_some_and(|counts| counts.contains(&call.args.len())) {
            self.not_found(call, position, None);
        } else if let Some(names) = module.options.get(name) {
            self.options(call.args.last(), std::slice::from_ref(names));
        }
    }

    /// A call without a prefix.
    fn bare(&mut self, call: &FnCallExpr, position: Position) {
        let (name, count) = (call.name.as_str(), call.args.len());
        if let ("Fn", Some(Expr::StringConstant(named, _))) = (name, call.args.first()) {
            self.own.iter_mut().filter(|own| own.name == *named).for_each(|own| own.called = true);
        }
        if let Some(own) = self.own.iter_mut().find(|own| own.name == name && own.parameters == count) {
            own.called = true;
            if let Some(names) = self.own_options.get(name).cloned() {
                self.options(call.args.last(), &[names]);
            }
            return;
        }
        self.own.iter_mut().filter(|own| own.name == name).for_each(|own| own.called = true);
        // a closure, called without call
        if self.used(name).is_some() {
            self.not_found(call, position, None);
            return;
        }
        if self.checker.known.is_simple(name, count) {
            return;
        }
        let forms = self.checker.known.native("", name);
        self.native(call, position, &forms, None);
    }

    /// A call behind a point; `receiver` is what stands before it, where that is simple.
    pub(super) fn method(&mut self, call: &FnCallExpr, position: Position, receiver: Option<&Expr>) {
        call.args.iter().for_each(|argument| self.expression(argument));
        let (name, count) = (call.name.as_str(), call.args.len());
        let mut own = self.own.iter_mut().filter(|own| own.name == name).peekable();
        if own.peek().is_some() {
            own.for_each(|own| own.called = true);
            return;
        }
        if self.map_names.iter().any(|known| known == name) || self.checker.known.is_simple(name, count + 1) {
            return;
        }
        let forms = self.checker.known.native("", name);
        self.native(call, position, &forms, Some(receiver.map_or("any", kind_of)));
    }

    /// A call of a native function, of which these are known by full name and forms; `receiver` is the type of what stands before the point.
    fn native(
        &mut self,
        call: &FnCallExpr,
        position: Position,
        known: &[(String, Vec<String>)],
        receiver: Option<&'static str>,
    ) {
        let kinds: Vec<&str> = receiver.into_iter().chain(call.args.iter().map(kind_of)).collect();
        let fits = |form: &&String| {
            let all: Vec<&str> = parameters(form).collect();
            all.len() == kinds.len() && all.iter().zip(&kinds).all(|(parameter, given)| takes(parameter, given))
        };
        let mut accepted = Vec::new();
        let mut options = None;
        let mut found = false;
        for (full, forms) in known {
            let Some(form) = forms.iter().find(fits) else { continue };
            found = true;
            match Accepted::by(full).zip(options_at(form)) {
                Some((taken, at)) => {
                    options = at.checked_sub(receiver.iter().len()).and_then(|at| call.args.get(at));
                    accepted.push(taken.names());
                }
                // one that may be meant has a map of another kind
                None => return,
            }
        }
        if !found {
            self.not_found(call, position, receiver);
        } else {
            self.options(options, &accepted);
        }
    }

    /// Says what is said of a function that is not there when the script runs.
    fn not_found(&mut self, call: &FnCallExpr, position: Position, receiver: Option<&'static str>) {
        let kinds: Vec<&str> = receiver.into_iter().chain(call.args.iter().map(kind_of)).collect();
        let prefix = if call.namespace.is_empty() { String::new() } else { format!("{}::", call.namespace.root()) };
        let signature = format!("{prefix}{} ({})", call.name, kinds.join(", "));
        self.fail(EvalAltResult::ErrorFunctionNotFound(signature, position));
    }

    /// Holds the options of a call, where they are written out, against those of the functions that may be meant.
    fn options(&mut self, given: Option<&Expr>, accepted: &[Vec<String>]) {
        let Some(given) = given else { return };
        for (name, position) in self.names_in(given) {
            if accepted.iter().any(|names| names.contains(&name)) {
                continue;
            }
            let message = format!("unknown option {name:?}{}", suggestion(&name, &accepted[0], "options"));
            let (message, help) = match message.split_once("; ") {
                Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
                None => (message, None),
            };
            self.found.push(Diagnostic::at(Severity::Error, self.file, position, message, help));
        }
    }

    /// The names of a map that is written out here, or where its variable is declared, or in a sum of maps.
    fn names_in(&mut self, expression: &Expr) -> Vec<(String, Position)> {
        match expression {
            Expr::Map(map, _) => map.0.iter().map(|(name, _)| (name.name.to_string(), name.pos)).collect(),
            Expr::FnCall(call, _) if call.name == "+" => {
                call.args.iter().flat_map(|part| self.names_in(part)).collect()
            }
            Expr::Variable(name, ..) => match self.local(&name.1).map(|local| &local.holds) {
                Some(Holds::Literal(names)) => names.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn warn_of_division(&mut self, call: &FnCallExpr, position: Position) {
        let [Expr::IntegerConstant(left, _), Expr::IntegerConstant(right, _)] = call.args.as_slice() else { return };
        if call.name != "/" || left.checked_rem(*right).is_none_or(|rest| rest == 0) {
            return;
        }
        let message = format!("{left} / {right} is {}: both are whole numbers", left / right);
        let help = format!("write {left}.0 / {right} for a number with a point");
        self.say(Severity::Warning, position, message, Some(help));
    }
}

/// The type of a value that is written out, else `any`.
fn kind_of(value: &Expr) -> &'static str {
    match value {
        Expr::BoolConstant(..) => "bool",
        Expr::IntegerConstant(..) => "int",
        Expr::FloatConstant(..) => "float",
        Expr::CharConstant(..) => "char",
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => "string",
        Expr::Array(..) => "array",
        Expr::Map(..) => "map",
        Expr::Unit(_) => "()",
        _ => "any",
    }
}
