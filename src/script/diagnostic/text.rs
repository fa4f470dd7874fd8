//! What can be read off the text of a script that Rhai could not run, or not even parse.

use std::borrow::Cow;

use rhai::Position;

/// Text of a script for a screen: signs that would steer a terminal are shown, not obeyed.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(steers) {
        return text.into();
    }
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

use crate::script::lex::{Kind, is_of_name, lex, partner};

/// Line `number`, counted from 1.
pub fn line(text: &str, number: usize) -> &str {
    text.lines().nth(number.saturating_sub(1)).unwrap_or("")
}

/// All identifiers of a script.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !is_of_name(c));
    words.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// Whether `word` stands in `text` as a word of its own.
pub fn has_word(text: &str, word: &str) -> bool {
    words(text).any(|other| other == word)
}

/// The functions of a script: `name` and `name(parameters)`.
pub fn functions(text: &str) -> Vec<(String, String)> {
    let starts = text.lines().filter_map(|line| line.trim_start().trim_start_matches("private ").strip_prefix("fn "));
    let function = |start: &str| {
        let (name, rest) = start.split_once('(')?;
        let (parameters, _) = rest.split_once(')')?;
        Some((name.trim().to_owned(), format!("{}({})", name.trim(), parameters.trim())))
    };
    starts.filter_map(function).collect()
}

/// What a script imports: path and the name it is known by.
pub fn imports(text: &str) -> Vec<(String, String)> {
    let import = |start: &str| {
        let (path, rest) = start.split_once('"')?;
        let alias = rest.trim_start().strip_prefix("as ")?;
        Some((path.to_owned(), words(alias).next()?.to_owned()))
    };
    text.split("import \"").skip(1).filter_map(import).collect()
}

/// A bracket that is open.
struct Open<'a> {
    bracket: &'a str,
    line: usize,
    column: usize,
    /// Of the line that it is in.
    indent: usize,
}

/// A bracket that is never closed, or is closed by one of another kind, and where it is; texts and comments are left out.
///
/// A brace further to the left than the line of the one that it would close tells which of several it is.
pub fn unclosed(text: &str) -> Option<(&str, Position)> {
    let mut open: Vec<Open> = Vec::new();
    for token in lex(text).iter().filter(|token| matches!(token.kind, Kind::Open | Kind::Close)) {
        // the brace of `#{`
        let bracket = token.text(text).trim_start_matches('#');
        let before = &text[..token.range.end - 1];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count());
        let indent = text[start..].chars().take_while(|letter| letter.is_whitespace()).count();
        if token.kind == Kind::Open {
            open.push(Open { bracket, line, column: column + 1, indent });
        } else {
            let opened = open.pop()?;
            let left = column == indent && column < opened.indent;
            if left || partner(opened.bracket) != bracket {
                return Some(place(&opened));
            }
        }
    }
    open.pop().as_ref().map(place)
}

fn place<'a>(open: &Open<'a>) -> (&'a str, Position) {
    (open.bracket, position_of(open.line, open.column))
}

/// Line and column, counted from 1.
pub fn position_of(line: usize, column: usize) -> Position {
    let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    Position::new(short(line), short(column))
}

/// The end of the code that stands before a place.
pub fn end_before(text: &str, position: Position) -> Option<Position> {
    let (line, column) = (position.line()?, position.position().unwrap_or(1));
    let before = |number: usize| {
        let whole: String = self::line(text, number).chars().collect();
        let length = if number == line { column - 1 } else { whole.chars().count() };
        let code: String = whole.chars().take(length).collect();
        let code = code.split("//").next().unwrap_or("").trim_end();
        (!code.is_empty()).then(|| (number, code.chars().count()))
    };
    let (number, column) = (1..=line).rev().find_map(before)?;
    Some(position_of(number, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(&str, Option<usize>, Option<usize>)> {
        unclosed(text).map(|(bracket, place)| (bracket, place.line(), place.position()))
    }

    #[test]
    fn a_script_does_not_steer_the_terminal() {
        assert_eq!(harmless("\u{1b}]0;x\u{7}a\tb\n"), "\\u{1b}]0;x\\u{7}a\tb\n");
        assert_eq!(harmless("Å ± 1"), "Å ± 1");
    }

    #[test]
    fn brackets_in_texts_and_comments_are_no_brackets() {
        assert_eq!(at("f(\"(\"); // (\ng(`[${1}`);"), None);
        assert_eq!(at("/* ( */ let x = [1;"), Some(("[", Some(1), Some(17))));
        assert_eq!(at("f(1);\n  g([1, 2);"), Some(("[", Some(2), Some(5))));
        assert_eq!(at("fn f() {\n  if x {\n}\n"), Some(("{", Some(2), Some(8))));
        assert_eq!(at("fn f() {\n  if x {\n  }\n"), Some(("{", Some(1), Some(8))));
    }

    #[test]
    fn functions_and_imports_are_found() {
        let text = "import \"two_step\" as ts;\nprivate fn f(a, b) { a }\n";
        assert_eq!(imports(text), [("two_step".to_owned(), "ts".to_owned())]);
        assert_eq!(functions(text), [("f".to_owned(), "f(a, b)".to_owned())]);
    }
}
