//! `pedesis check`: mistakes in a script, found without running it.
//!
//! The script and the modules it imports are parsed; then every call is held against the functions that exist, native ones, those of
//! the language and of modules: their names, how many arguments they take, the types of arguments that are written out, and the names of options
//! in a map that is written out. Variables must be there when they are used, and should be used when they are there. What cannot be
//! known without running the script is not complained about.

mod calls;
mod known;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rhai::{AST, Engine, EvalAltResult, OptimizationLevel, Position, Scope};

use super::diagnostic::{Diagnostic, Severity};
use super::owners::Owners;
use super::stdlib::{self, Found};
use super::{ScriptResult, Session, Setup, limits};
use known::{Known, Module};
use walk::{Walker, function_bodies};

/// What was found in a script.
#[derive(Debug, Default)]
pub struct Findings {
    /// In the order of their places, those of the script first.
    pub found: Vec<Diagnostic>,
    /// The texts of the scripts that were read, by name.
    pub sources: BTreeMap<String, String>,
}

impl Findings {
    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.found.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// How many are warnings.
    pub fn warnings(&self) -> usize {
        self.found.len() - self.errors()
    }

    fn add(&mut self, error: EvalAltResult, file: &str) {
        self.found.push(Diagnostic::new(error, file, &self.sources));
    }
}

/// Checks the script at `path` and those that it imports.
///
/// # Errors
/// If it cannot be read.
pub fn check(path: &Path) -> std::io::Result<Findings> {
    let text = limits::read_script(path)?;
    Ok(check_text(&path.to_string_lossy(), text))
}

/// Checks a script of this name and text.
///
/// # Panics
/// If no thread can be started.
pub fn check_text(name: &str, text: String) -> Findings {
    let setup = Setup { threads: Some(1), ..Setup::default() };
    let session: Arc<Session> = Session::new(setup).expect("one thread can be started");
    let mut engine = super::engine(&session);
    engine.set_strict_variables(false).set_optimization_level(OptimizationLevel::None);
    let mut checker = Checker {
        engine,
        known: Known::new(),
        modules: BTreeMap::new(),
        owners: Owners::default(),
        findings: Findings::default(),
    };
    if let Some(ast) = checker.parse(name, text) {
        checker.script(name, &ast);
    }
    checker.findings
}

struct Checker {
    engine: Engine,
    known: Known,
    /// By [`Found::key`]; `None` while one is read, and if it cannot be.
    modules: BTreeMap<String, Option<Arc<Module>>>,
    owners: Owners,
    findings: Findings,
}

impl Checker {
    /// Parses a script; what the parser refuses becomes a finding.
    fn parse(&mut self, name: &str, text: String) -> Option<AST> {
        let parsed = self.engine.compile_with_scope(&Scope::new(), &text);
        self.findings.sources.insert(name.to_owned(), text);
        match parsed {
            Ok(ast) => Some(ast),
            Err(error) => {
                let error: Box<EvalAltResult> = error.into();
                self.findings.add(*error, name);
                None
            }
        }
    }

    /// Checks a script; gives what it offers to those that import it.
    fn script(&mut self, name: &str, ast: &AST) -> Arc<Module> {
        let bodies = function_bodies(ast);
        let mut found = Walker::walk(name, ast, &bodies, self);
        found.sort_by_key(|finding| finding.place.as_ref().map(|place| (place.line, place.column)));
        found.dedup();
        self.findings.found.extend(found);
        Arc::new(Module::of(ast, &bodies))
    }

    /// What `import "path"` in `importer` brings, or `None` if that is not known; a script that is not there is an error.
    fn module(&mut self, importer: &str, path: &str) -> ScriptResult<Option<Arc<Module>>> {
        let Found { name, key, text, is_strategy } = stdlib::find(None, Some(importer), path, Position::NONE)?;
        if let Some(module) = self.modules.get(&key) {
            return Ok(module.clone());
        }
        self.modules.insert(key.clone(), None);
        let parsed = if is_strategy { self.engine.compile(text).ok() } else { self.parse(&name, text) };
        let Some(ast) = parsed else { return Ok(None) };
        let module = if is_strategy {
            for path in stdlib::imports_of(&ast) {
                self.module(&name, &path)?;
            }
            Arc::new(Module::of(&ast, &function_bodies(&ast)))
        } else {
            self.script(&name, &ast)
        };
        self.modules.insert(key, Some(module.clone()));
        self.owners.add(&name, &ast)?;
        Ok(Some(module))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let findings = check_text("script.rhai", text.to_owned());
        let said = |finding: &Diagnostic| {
            let place = finding.place.as_ref().expect("a place");
            let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            format!("{:?} {}:{} {}{help}", finding.severity, place.line, place.column.unwrap_or(0), finding.message)
        };
        findings.found.iter().map(said).collect()
    }

    fn only(text: &str, parts: &[&str]) {
        let found = found(text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        for part in parts {
            assert!(found[0].contains(part), "{part:?} is missing in {}", found[0]);
        }
    }

    #[test]
    fn functions_that_do_not_exist_are_found_wherever_they_are_called() {
        only("structure::bundle(\"x\");", &["Error 1:12", "did you mean \"structure::bundled\"?"]);
        only("let s = structure::bundled(\"x\");\ns.savee(\"x.xyz\");", &["Error 2:3", "\"save\""]);
        only("fn f(x) { g(x) }\nf(1);", &["Error 1:11", "there is no function g"]);
        only("[1].map(|x| sqroot(x));", &["Error 1:13", "sqroot"]);
        only("import \"two_step\" as ts;\nts::reconstrct(1, #{});", &["Error 2:5", "ts::reconstruct"]);
        only("two_step::defaults();", &["Error 1:1", "import \"two_step\" as two_step;"]);
        only("import \"none\" as none;\nnone::f();", &["Error 1:8", "there is no script \"none\""]);
        // verdict, imported by what is imported, calls a function of its own by this name
        only(
            "import \"two_step\" as ts;\nfn thresholds() { ts::defaults() }\nthresholds();",
            &["Error 1:8", "both have a function thresholds with 0 parameters"],
        );
    }

    #[test]
    fn the_number_and_kinds_of_arguments_are_looked_at() {
        only("structure::fcc([\"Pt\"]);", &["takes 2 arguments, not 1"]);
        only("structure::fcc(\"Pt\", 3.92);", &["argument 1", "species", "must be an array, not a string"]);
        only("fn f(x) { x }\nf(1, 2);", &["f takes 1 argument, not 2"]);
        assert!(found("structure::fcc([\"Pt\"], 4).sphere(20).save(\"x.xyz\");").is_empty());
    }

    #[test]
    fn options_are_held_against_those_of_the_function() {
        only("structure::fcc([\"Pt\"], 3.92).sphere(20, #{ sed: 1 });", &["Error 1:44", "\"sed\"", "\"seed\""]);
        only("let o = #{ sed: 1 };\nstructure::fcc([\"Pt\"], 3.92).sphere(20, o);", &["Error 1:12", "\"seed\""]);
        let strategy =
            "import \"two_step\" as two_step;\nfn f(images) { two_step::reconstruct(images, #{ diamter: 15 }) }\nf(1);";
        only(strategy, &["Error 2:49", "\"diameter\""]);
        let own = "fn f(options) { with_defaults(options, #{ a: 1 }) }\nf(#{ b: 1 });";
        only(own, &["Error 2:6", "unknown option \"b\"", "options: a"]);
        let removed =
            "let o = #{ note: 1, seed: 2 };\no.remove(\"note\");\nstructure::fcc([\"Pt\"], 3.9).sphere(9, o);";
        assert!(found(removed).is_empty());
        assert!(found("print(plot::lines(#{ rising: #{ x: [1], y: [1] } }));").is_empty());
        assert!(found("plot::spheres(structure::bundled(\"x\"), #{ truth: 1, comparison: 2 });").is_empty());
    }

    #[test]
    fn variables_must_be_there_and_should_be_used() {
        only("print(x);", &["Error 1:7", "there is no variable \"x\""]);
        only("let x = 1;", &["Warning 1:5", "x is never used"]);
        only("let x = 1;\nx = 2;", &["Warning 1:5", "x is never used"]);
        only("import \"two_step\" as ts;", &["Warning 1:22", "ts is never used"]);
        only("import \"two_step\" as ts;\nlet ts = 1;\nprint(ts::defaults());", &["Warning 2:5", "ts is never used"]);
        only("fn f() { 1 }\nprint(2);", &["Warning 1:4", "f is never called"]);
        only("{ let y = 1; print(y); }\nprint(y);", &["Error 2:7"]);
        assert!(found("const LIMIT = 2;\nfn f() { global::LIMIT }\nprint(f());").is_empty());
        only("const LIMIT = 2;\nfn f() { global::OTHER }\nprint(f());", &["Warning 1:7", "LIMIT is never used"]);
        assert!(found("let x = [orient::random(2, 1)];\nprint(x[0].mean_score());").is_empty());
        assert!(found("let x = 1;\nlet f = |a| a + x;\nprint(`${f.call(1)}`);").is_empty());
    }

    #[test]
    fn arguments_must_be_declared() {
        let text = "let a = args(#{ seed: 1 });\nprint(a.sed);";
        only(text, &["Error 2:9", "declares no argument \"sed\"", "\"seed\""]);
        assert!(found("let a = args(#{ seed: 1 });\na.more = 2;\nprint(a.more + a.seed + a.len());").is_empty());
        assert!(found("let a = args(#{ seed: 1 });\na[\"more\"] = 2;\nprint(a.more);").is_empty());
        assert!(found("let a = args(#{ seed: 1 });\na.mixin(#{ more: 2 });\nprint(a.more);").is_empty());
    }

    #[test]
    fn whole_numbers_that_are_cut_are_warned_about() {
        only("print(1 / 2);", &["Warning 1:9", "1 / 2 is 0"]);
        assert!(found("print(4 / 2);").is_empty());
    }
}
