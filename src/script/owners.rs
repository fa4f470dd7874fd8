//! Which module each function belongs to that a module calls by its bare name.
//!
//! Rhai 1.27 keeps what such a name was last resolved to when a call enters another module, so that two modules with a function of one
//! name and number of parameters would call each other's, now and then. Such modules are not imported together.

use std::collections::BTreeMap;

use rhai::{AST, ASTNode, Expr, Stmt};

use super::{ScriptResult, fault};

/// Name and number of parameters of a function.
type Signature = (String, usize);

/// Which module owns each function that a module calls without naming the module.
#[derive(Debug, Default)]
pub struct Owners(BTreeMap<Signature, String>);

impl Owners {
    /// Takes the functions that a module calls by their bare names for its own.
    ///
    /// # Errors
    /// If another module has one.
    pub fn add(&mut self, module: &str, ast: &AST) -> ScriptResult<()> {
        for call in own_calls(ast) {
            let owner = self.0.entry(call.clone()).or_insert_with(|| module.to_owned());
            if owner != module {
                return Err(fault(shared_name(&call, module, owner)));
            }
        }
        Ok(())
    }

    /// Looks at the functions, name and number of parameters, of a script that has imported modules.
    ///
    /// # Errors
    /// If one has a name that an imported module calls as its own.
    pub fn check_importer<'a>(
        &self,
        importer: &str,
        functions: impl Iterator<Item = (&'a str, usize)>,
    ) -> ScriptResult<()> {
        for (name, parameters) in functions {
            let function = (name.to_owned(), parameters);
            match self.0.get(&function) {
                Some(owner) if owner != importer => return Err(fault(shared_name(&function, importer, owner))),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The functions of a script that it calls without naming a module.
fn own_calls(ast: &AST) -> Vec<Signature> {
    let defined: Vec<Signature> =
        ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len())).collect();
    let mut called = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = path.last() {
            let signature = (call.name.to_string(), call.args.len());
            if call.namespace.is_empty() && defined.contains(&signature) && !called.contains(&signature) {
                called.push(signature);
            }
        }
        true
    });
    called
}

fn shared_name((name, parameters): &Signature, one: &str, other: &str) -> String {
    format!(
        "{one} and {other} both have a function {name} with {parameters} parameters, and calls of one could reach the other: rename one of them"
    )
}
