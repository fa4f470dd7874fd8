//! The lines that worked, as a script.

use std::path::{Path, PathBuf};

use rhai::{AST, Engine};

use crate::script::lex::words;
use crate::store;

/// A function by name and number of parameters.
type Signature = (String, usize);

/// Lines that worked, in order.
#[derive(Debug, Default)]
pub struct Kept {
    lines: Vec<Line>,
    /// Files that this sitting has written, and may write again.
    written: Vec<PathBuf>,
}

#[derive(Debug)]
struct Line {
    text: String,
    functions: Vec<Signature>,
    /// Whether it does nothing but define functions.
    only_functions: bool,
}

impl Kept {
    /// Adds a line, which `ast` is compiled from.
    pub fn push(&mut self, text: &str, ast: &AST) {
        let functions: Vec<Signature> =
            ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len())).collect();
        // a script has one function of a name: the last one
        self.lines.retain(|line| {
            !(line.only_functions && line.functions.iter().all(|function| functions.contains(function)))
        });
        let only_functions = ast.statements().is_empty() && !functions.is_empty();
        self.lines.push(Line { text: as_statement(text), functions, only_functions });
    }

    /// The script.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| line.text.clone() + "\n").collect()
    }

    /// Writes the script to a file; gives what to tell of it.
    ///
    /// # Errors
    /// If nothing worked so far, or the file is there already, or cannot be written.
    pub fn save(&mut self, file: &str, engine: &Engine) -> Result<String, String> {
        if self.lines.is_empty() {
            return Err("there is nothing to save: no line has worked so far".into());
        }
        let path =
            if Path::new(file).extension().is_none() { PathBuf::from(format!("{file}.rhai")) } else { file.into() };
        if path.exists() && !self.written.contains(&path) {
            return Err(format!("{} is there already: remove it, or choose another name", path.display()));
        }
        let text = self.text();
        store::write_text(&path, &text).map_err(|error| error.to_string())?;
        self.written.push(path.clone());
        let told =
            format!("{} lines saved as {}: pedesis run {}", text.lines().count(), path.display(), path.display());
        match engine.compile(&text) {
            Ok(_) => Ok(told),
            Err(error) => Ok(format!("{told}\nwarning: together they are not a script yet: {error}")),
        }
    }
}

/// A line as a statement, which needs a `;` where others follow.
fn as_statement(line: &str) -> String {
    let line = line.trim_end();
    match words(line).last() {
        Some(last) if last.text(line) != ";" => {
            let (statement, comment) = line.split_at(last.range.end);
            format!("{statement};{comment}")
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: &[&str]) -> Kept {
        let engine = Engine::new();
        let mut kept = Kept::default();
        for line in lines {
            kept.push(line, &engine.compile(line).unwrap());
        }
        kept
    }

    #[test]
    fn lines_become_a_script_that_runs() {
        let kept = kept(&[
            "let a = 1 // one",
            "fn f() { 1 }",
            "a + 1",
            "if a > 0 { a += 1 }",
            "fn f() { 2 }",
            "let b = #{ x: f() }",
            "b.x",
        ]);
        let text = kept.text();
        assert!(text.starts_with("let a = 1; // one\n"), "{text}");
        assert!(!text.contains("{ 1 }"), "{text}");
        Engine::new().run(&text).unwrap();
    }

    #[test]
    fn files_of_others_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines").to_string_lossy().into_owned();
        let mut kept = kept(&["let a = 1"]);
        assert!(kept.save(&file, &Engine::new()).unwrap().contains("lines.rhai"));
        assert!(kept.save(&file, &Engine::new()).is_ok());
        std::fs::write(folder.path().join("other.rhai"), "").unwrap();
        let other = folder.path().join("other.rhai").to_string_lossy().into_owned();
        assert!(kept.save(&other, &Engine::new()).unwrap_err().contains("already"));
        assert!(Kept::default().save(&file, &Engine::new()).is_err());
    }
}
