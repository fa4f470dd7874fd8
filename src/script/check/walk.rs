//! A walk over a script with the variables that are in reach at each place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{AST, ASTFlags, ASTNode, EvalAltResult, Expr, FlowControl, Ident, Position, Stmt, StmtBlock};

use super::known::{Module, options_of_functions};
use super::{Checker, Diagnostic, Severity};
use crate::script::diagnostic::position_of;
use crate::script::options::suggestion;

/// Methods after which a map has other names.
const CHANGING: [&str; 7] = ["set", "remove", "clear", "mixin", "fill_with", "drain", "retain"];

/// Name, parameters and statements of a function; a closure's name has a `$` in it.
pub type Body = (String, Vec<String>, Vec<Stmt>);

/// All functions of a script.
pub fn function_bodies(ast: &AST) -> Vec<Body> {
    let functions = ast.iter_functions().map(|function| {
        let (name, count) = (function.name.to_owned(), function.params.len());
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, other, parameters| other == name && parameters == count);
        let mut statements = Vec::new();
        alone.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        (name, function.params.iter().map(|&parameter| parameter.to_owned()).collect(), statements)
    });
    functions.collect()
}

/// A variable, or the name of an import.
pub(super) struct Local {
    name: String,
    position: Position,
    used: bool,
    /// Whether it is a fault not to use it.
    should_be_used: bool,
    pub(super) holds: Holds,
}

/// What is known of a variable's value.
pub(super) enum Holds {
    Anything,
    /// The arguments of the script, of these names.
    Arguments(Vec<String>),
    /// A map that was written out, with these names at these places.
    Literal(Vec<(String, Position)>),
    /// A module, if it is known what is in it.
    Import(Option<Arc<Module>>),
}

pub(super) struct Walker<'a> {
    pub(super) file: &'a str,
    pub(super) checker: &'a mut Checker,
    pub(super) found: Vec<Diagnostic>,
    /// Innermost last.
    scopes: Vec<Vec<Local>>,
    /// The imports of the script itself, which its functions see too.
    imports: Vec<Local>,
    /// The script's functions, with the places they are defined at, and whether they are called.
    pub(super) own: Vec<Own>,
    pub(super) own_options: BTreeMap<String, Vec<String>>,
    /// Names in maps that are written out: a closure in a map is called like a method.
    pub(super) map_names: Vec<String>,
    /// The script's constants that are read as `global::NAME`, as functions do.
    constants: BTreeSet<String>,
}

/// A function of the script.
pub(super) struct Own {
    pub(super) name: String,
    pub(super) parameters: usize,
    pub(super) called: bool,
}

impl<'a> Walker<'a> {
    /// What is found in `file`, parsed to `ast`.
    pub(super) fn walk(file: &'a str, ast: &AST, bodies: &[Body], checker: &'a mut Checker) -> Vec<Diagnostic> {
        let own = ast.iter_functions().filter(|function| !function.name.contains('$'));
        let own = own.map(|function| Own {
            name: function.name.to_owned(),
            parameters: function.params.len(),
            called: false,
        });
        let mut walker = Walker {
            file,
            own: own.collect(),
            own_options: options_of_functions(bodies),
            map_names: map_names(ast),
            checker,
            found: Vec::new(),
            scopes: vec![Vec::new()],
            imports: Vec::new(),
            constants: BTreeSet::new(),
        };
        walker.statements(ast.statements());
        // what is left in reach at the end is looked at after the functions, which may use it
        let globals = walker.scopes.pop().unwrap_or_default();
        let (imports, mut variables): (Vec<Local>, Vec<Local>) =
            globals.into_iter().partition(|local| matches!(local.holds, Holds::Import(_)));
        walker.imports = imports;
        for (_, parameters, body) in bodies {
            let parameter = |name: &String| Local {
                name: name.clone(),
                position: Position::NONE,
                used: true,
                should_be_used: false,
                holds: Holds::Anything,
            };
            walker.scopes = vec![parameters.iter().map(parameter).collect()];
            walker.statements(body);
            let locals = walker.scopes.pop().unwrap_or_default();
            walker.leave(locals);
        }
        variables.retain(|local| !walker.constants.contains(&local.name));
        walker.leave(variables);
        let imports = std::mem::take(&mut walker.imports);
        walker.leave(imports);
        walker.uncalled(ast);
        walker.found
    }

    /// Functions that nothing calls, in a script that does something itself.
    fn uncalled(&mut self, ast: &AST) {
        let is_module = ast.statements().iter().all(|statement| {
            matches!(statement, Stmt::Import(..) | Stmt::Noop(_))
                || matches!(statement, Stmt::Var(_, flags, _) if flags.contains(ASTFlags::CONSTANT))
        });
        let text = self.checker.findings.sources.get(self.file).cloned().unwrap_or_default();
        let private = |name: &str| ast.iter_functions().any(|own| own.name == name && own.access.is_private());
        let uncalled: Vec<String> = self
            .own
            .iter()
            .filter(|own| !own.called && (!is_module || private(&own.name)))
            .map(|own| own.name.clone())
            .collect();
        for name in uncalled {
            let position = place_of_function(&text, &name);
            self.say(Severity::Warning, position, format!("{name} is never called"), None);
        }
    }

    pub(super) fn say(&mut self, severity: Severity, position: Position, message: String, help: Option<String>) {
        self.found.push(Diagnostic::at(severity, self.file, position, message, help));
    }

    /// Says what Rhai's error says when the script runs.
    pub(super) fn fail(&mut self, error: EvalAltResult) {
        self.found.push(Diagnostic::new(error, self.file, &self.checker.findings.sources));
    }

    fn leave(&mut self, locals: Vec<Local>) {
        let unused = |local: &Local| local.should_be_used && !local.used && !local.name.starts_with('_');
        for local in locals.into_iter().filter(unused) {
            self.say(Severity::Warning, local.position, format!("{} is never used", local.name), None);
        }
    }

    fn declare(&mut self, ident: &Ident, should_be_used: bool, holds: Holds) {
        let local = Local { name: ident.name.to_string(), position: ident.pos, used: false, should_be_used, holds };
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(local);
        }
    }

    /// All that is in reach, the innermost first.
    fn locals(&mut self) -> impl Iterator<Item = &mut Local> {
        let inner = self.scopes.iter_mut().rev().flat_map(|scope| scope.iter_mut().rev());
        inner.chain(self.imports.iter_mut().rev())
    }

    /// The variable of this name that is in reach.
    pub(super) fn local(&mut self, name: &str) -> Option<&mut Local> {
        self.locals().find(|local| local.name == name)
    }

    /// The import of this name that is in reach, and it is used: a variable of its name does not hide it.
    pub(super) fn used_import(&mut self, name: &str) -> Option<&mut Local> {
        let import = self.locals().find(|local| local.name == name && matches!(local.holds, Holds::Import(_)))?;
        import.used = true;
        Some(import)
    }

    /// As [`Self::local`], and it is used.
    pub(super) fn used(&mut self, name: &str) -> Option<&mut Local> {
        let local = self.local(name)?;
        local.used = true;
        Some(local)
    }

    fn block(&mut self, block: &StmtBlock) {
        self.within(|walker| walker.statements(block.statements()));
    }

    fn within(&mut self, walk: impl FnOnce(&mut Self)) {
        self.scopes.push(Vec::new());
        walk(self);
        let locals = self.scopes.pop().unwrap_or_default();
        self.leave(locals);
    }

    fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(declared, flags, _) => {
                let (ident, value, _) = &**declared;
                self.expression(value);
                let holds = self.holds(value);
                self.declare(ident, !flags.contains(ASTFlags::EXPORTED), holds);
            }
            Stmt::If(flow, _) | Stmt::While(flow, _) | Stmt::Do(flow, ..) => self.flow(flow),
            Stmt::Switch(switch, _) => {
                self.expression(&switch.0);
                for case in &switch.1.expressions {
                    self.expression(&case.lhs);
                    self.expression(&case.rhs);
                }
            }
            Stmt::For(parts, _) => {
                let (item, counter, flow) = &**parts;
                self.expression(&flow.expr);
                self.within(|walker| {
                    walker.declare(item, false, Holds::Anything);
                    if let Some(counter) = counter {
                        walker.declare(counter, false, Holds::Anything);
                    }
                    walker.block(&flow.body);
                });
            }
            Stmt::Assignment(parts) => self.assignment(&parts.1.lhs, &parts.1.rhs),
            Stmt::FnCall(call, position) => self.call(call, *position),
            Stmt::Block(block) => self.block(block),
            Stmt::TryCatch(flow, _) => {
                self.block(&flow.body);
                self.within(|walker| {
                    if let Expr::Variable(name, _, pos) = &flow.expr {
                        walker.declare(&Ident { name: name.1.clone(), pos: *pos }, false, Holds::Anything);
                    }
                    walker.block(&flow.branch);
                });
            }
            Stmt::Expr(expression) => self.expression(expression),
            Stmt::Return(Some(value), ..) | Stmt::BreakLoop(Some(value), ..) => self.expression(value),
            Stmt::Import(import, position) => self.import(&import.0, &import.1, *position),
            Stmt::Export(export, _) => {
                self.used(&export.0.name);
            }
            _ => {}
        }
    }

    fn flow(&mut self, flow: &FlowControl) {
        self.expression(&flow.expr);
        self.block(&flow.body);
        self.block(&flow.branch);
    }

    fn import(&mut self, path: &Expr, alias: &Ident, position: Position) {
        let Expr::StringConstant(path, at) = path else {
            self.expression(path);
            self.declare(alias, true, Holds::Import(None));
            return;
        };
        let functions = || self.own.iter().map(|own| (own.name.as_str(), own.parameters));
        let module = self.checker.module(self.file, path).and_then(|module| {
            self.checker.owners.check_importer(self.file, functions())?;
            Ok(module)
        });
        let module = match module {
            Ok(module) => module,
            Err(mut error) => {
                error.set_position(if at.is_none() { position } else { *at });
                self.fail(*error);
                None
            }
        };
        if alias.name.is_empty() {
            return;
        }
        // an import that failed is complained about once
        let found = module.is_some();
        self.declare(alias, found, Holds::Import(module));
    }

    /// What is known of a value.
    fn holds(&self, value: &Expr) -> Holds {
        match value {
            Expr::FnCall(call, _) if call.name == "args" && call.namespace.is_empty() => match call.args.first() {
                Some(Expr::Map(map, _)) => {
                    Holds::Arguments(map.0.iter().map(|(name, _)| name.name.to_string()).collect())
                }
                _ => Holds::Anything,
            },
            Expr::Map(map, _) => {
                Holds::Literal(map.0.iter().map(|(name, _)| (name.name.to_string(), name.pos)).collect())
            }
            _ => Holds::Anything,
        }
    }

    fn assignment(&mut self, place: &Expr, value: &Expr) {
        self.expression(value);
        match place {
            Expr::Variable(name, _, position) if name.2.is_empty() => match self.local(&name.1) {
                Some(local) => local.holds = Holds::Anything,
                None => self.fail(EvalAltResult::ErrorVariableNotFound(name.1.to_string(), *position)),
            },
            Expr::Dot(parts, ..) => {
                if let (Expr::Variable(name, ..), Expr::Property(property, _)) = (&parts.lhs, &parts.rhs)
                    && let Some(local) = self.used(&name.1)
                {
                    match &mut local.holds {
                        Holds::Arguments(names) => names.push(property.2.to_string()),
                        Holds::Anything | Holds::Literal(_) | Holds::Import(_) => {}
                    }
                    return;
                }
                self.expression(place);
            }
            Expr::Index(parts, ..) => {
                self.expression(place);
                self.forget(&parts.lhs);
            }
            _ => self.expression(place),
        }
    }

    /// A map is no longer what was written out.
    fn forget(&mut self, place: &Expr) {
        if let Expr::Variable(name, ..) = place
            && let Some(local) = self.local(&name.1)
            && matches!(local.holds, Holds::Literal(_) | Holds::Arguments(_))
        {
            local.holds = Holds::Anything;
        }
    }

    pub(super) fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Variable(name, _, position) => self.variable(&name.1, &name.2, *position),
            Expr::InterpolatedString(parts, _) | Expr::Array(parts, _) => {
                parts.iter().for_each(|part| self.expression(part));
            }
            Expr::Map(map, _) => map.0.iter().for_each(|(_, value)| self.expression(value)),
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                parts.iter().for_each(|part| self.expression(part));
            }
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::MethodCall(call, position) => self.method(call, *position, None),
            Expr::Dot(parts, ..) => self.dot(&parts.lhs, &parts.rhs),
            Expr::Index(parts, ..) => {
                self.expression(&parts.lhs);
                self.behind_index(&parts.rhs);
            }
            Expr::Stmt(block) => self.block(block),
            Expr::Custom(custom, _) => custom.inputs.iter().for_each(|input| self.expression(input)),
            _ => {}
        }
    }

    /// What stands in the brackets of an index, and in Rhai's tree what follows them: `list[i].name` is `list` at (`i`, then `name`).
    fn behind_index(&mut self, index: &Expr) {
        match index {
            Expr::Dot(parts, ..) => {
                self.expression(&parts.lhs);
                self.expression(&parts.rhs);
            }
            other => self.expression(other),
        }
    }

    fn dot(&mut self, left: &Expr, right: &Expr) {
        self.expression(left);
        let first = match right {
            Expr::Dot(parts, ..) | Expr::Index(parts, ..) => &parts.lhs,
            other => other,
        };
        if let (Expr::Variable(name, ..), Expr::Property(property, position)) = (left, first)
            && let Some(Local { holds: Holds::Arguments(names), .. }) = self.local(&name.1)
            && !names.iter().any(|declared| *declared == property.2)
        {
            let known = suggestion(&property.2, names, "arguments");
            let message = format!("the script declares no argument {:?}{known}", property.2);
            self.say(Severity::Error, *position, message, None);
        }
        match right {
            Expr::MethodCall(call, position) => self.method(call, *position, Some(left)),
            other => self.expression(other),
        }
        // the script's own functions may change `this`
        if let Expr::MethodCall(call, _) = first
            && (CHANGING.contains(&call.name.as_str()) || self.own.iter().any(|own| own.name == call.name.as_str()))
        {
            self.forget(left);
        }
    }

    fn variable(&mut self, name: &str, namespace: &rhai::Namespace, position: Position) {
        if !namespace.is_empty() {
            if namespace.root() == "global" {
                self.constants.insert(name.to_owned());
                return;
            }
            let known = self.used_import(namespace.root()).is_some();
            if !known && self.checker.known.is_namespace(namespace.root()) {
                self.fail(EvalAltResult::ErrorVariableNotFound(format!("{}::{name}", namespace.root()), position));
            } else if !known {
                self.fail(EvalAltResult::ErrorModuleNotFound(namespace.root().to_owned(), namespace.position()));
            }
            return;
        }
        if self.used(name).is_some() {
            return;
        }
        let mut own = self.own.iter_mut().filter(|own| own.name == name).peekable();
        if own.peek().is_none() {
            self.fail(EvalAltResult::ErrorVariableNotFound(name.to_owned(), position));
            return;
        }
        own.for_each(|own| own.called = true);
    }
}

/// Names in all maps that are written out.
fn map_names(ast: &AST) -> Vec<String> {
    let mut names = Vec::new();
    ast.walk(&mut |path| {
        match path.last() {
            Some(ASTNode::Expr(Expr::Map(map, _))) => names.extend(map.0.iter().map(|(name, _)| name.name.to_string())),
            Some(ASTNode::Expr(Expr::Property(property, _))) => names.push(property.2.to_string()),
            _ => {}
        }
        true
    });
    names
}

/// Where the name of a function stands that is defined in `text`.
fn place_of_function(text: &str, name: &str) -> Position {
    for (number, line) in text.lines().enumerate() {
        let start = line.find("fn ").map(|at| at + 3);
        if let Some(start) = start
            && line[start..].split('(').next().map(str::trim) == Some(name)
        {
            let column = line[..start].chars().count() + 1;
            return position_of(number + 1, column);
        }
    }
    Position::NONE
}
