//! What the parser refuses, and habits from other languages, Python above all.

use rhai::{LexError, ParseErrorType, Position};

use super::explain::{Explained, constant, lower};
use super::text::{end_before, has_word, line, position_of, unclosed};
use crate::script::lex::{Kind, lex, partner};

/// Explains what the parser did not accept at `position`.
pub fn explain(what: &ParseErrorType, position: Position, text: &str) -> Explained {
    use ParseErrorType as P;
    let here = line(text, position.line().unwrap_or(0));
    let lines = text.lines().count();
    let is_end = || end_before(text, position) == end_before(text, position_of(lines + 1, 1));
    if matches!(what, P::MissingToken(..) | P::UnexpectedEOF)
        && is_end()
        && let Some((bracket, place)) = unclosed(text)
    {
        let message = format!("syntax error: the {bracket} here has no {}", partner(bracket));
        return Explained { position: Some(place), ..Explained::new(message, None) };
    }
    let said = match what {
        P::MissingToken(token, purpose) if token == ";" => return missing_semicolon(purpose, position, text, here),
        P::MissingToken(token, purpose) => format!("expected {token} {purpose}"),
        P::UnexpectedEOF => "the script ends too early".into(),
        P::Reserved(word) if word.starts_with(char::is_alphabetic) => {
            format!("{word} is a word of the language and cannot be a name")
        }
        P::Reserved(symbol) => format!("{symbol} means nothing here"),
        P::AssignmentToConstant(name) if !name.is_empty() => return constant(name),
        P::MismatchedType(expected, found) => mismatch(expected, found),
        P::BadInput(LexError::MalformedChar(_)) => "a text stands in double quotes".into(),
        P::BadInput(LexError::UnterminatedString) => "the text that begins here has no closing quote".into(),
        P::FnDuplicatedDefinition(name, 1) => format!("there are two functions {name} with 1 parameter"),
        P::FnDuplicatedDefinition(name, n) => format!("there are two functions {name} with {n} parameters"),
        P::ExprTooDeep => "brackets, blocks or operators stand too deep in each other".into(),
        P::TooManyFunctions => "the script has too many functions".into(),
        P::WrongFnDefinition => "a function cannot be made inside a block or another function".into(),
        P::WrongDocComment => "a comment with /// belongs right before a function; // is for any other".into(),
        P::LoopBreak => "break and continue belong into a loop".into(),
        other => lower(&other.to_string()).replace("expecting", "expected"),
    };
    let help = habit_of(what, here).or_else(|| match what {
        P::MissingToken(..) | P::UnexpectedEOF | P::BadInput(LexError::UnexpectedInput(_)) => open_bracket(text),
        P::WrongFnDefinition => Some("move it out; a closure can be made anywhere: let f = |x| x + 1;".into()),
        _ => None,
    });
    Explained::new(format!("syntax error: {said}"), help)
}

fn missing_semicolon(purpose: &str, position: Position, text: &str, here: &str) -> Explained {
    let message = format!("syntax error: expected ; {purpose}");
    if let Some(help) = habit("", here) {
        return Explained::new(message, Some(help));
    }
    let before: String = here.chars().take(position.position().unwrap_or(1) - 1).collect();
    let moved = if before.trim().is_empty() { end_before(text, position) } else { None };
    let help = match moved {
        Some(_) => "put a ; at the end of this line",
        None if before.contains("let ") && here.contains("==") => "a variable gets its value with one =",
        None => "put a ; before this, if a new statement begins here",
    };
    Explained { position: moved, ..Explained::new(message, Some(help.into())) }
}

fn mismatch(expected: &str, found: &str) -> String {
    match expected {
        "a boolean expression" => format!("expected true or false, not {found}"),
        "an iterable value" => format!("for goes over arrays, ranges (0..10) and strings, not over {found}"),
        _ => format!("expected {expected}, not {found}"),
    }
}

fn open_bracket(text: &str) -> Option<String> {
    let (bracket, place) = unclosed(text)?;
    let closing = partner(bracket);
    Some(format!("the {bracket} at line {}, column {} has no {closing}", place.line()?, place.position()?))
}

fn habit_of(what: &ParseErrorType, here: &str) -> Option<String> {
    use ParseErrorType as P;
    match what {
        P::Reserved(symbol) if symbol == "#" => Some("comments begin with //".into()),
        P::UnknownOperator(sign) if sign == "++" || sign == "--" => Some("write x += 1 or x -= 1".into()),
        P::Reserved(word) if matches!(word.as_str(), "null" | "nil" | "void") => habit("None", here),
        P::Reserved(word) if word == "is" => Some("values are compared with ==: x == ()".into()),
        P::Reserved(word) if word == "new" => Some("take another name, such as new_one".into()),
        P::Reserved(word) if word == "eval" => Some("a text cannot be run as a script".into()),
        P::BadInput(LexError::MalformedChar(text)) => Some(format!("write \"{text}\"")),
        _ => habit("", here),
    }
}

/// How a script says what `word`, or a line of another language, means; the word may be empty.
pub fn habit(word: &str, here: &str) -> Option<String> {
    let here = &code_of(here);
    let start = here.trim_start();
    let first = start.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
    let help = match word {
        "True" => "write true",
        "False" => "write false",
        "None" | "NULL" | "nullptr" | "undefined" | "NaN" => "nothing is written ()",
        "def" | "function" | "func" => "a function is written fn name(x) { … }",
        "lambda" => "a closure is written |x| x + 1, and called f.call(1)",
        "elif" => "write else if … { … }",
        "not" => "write !x for not x",
        "pass" => "an empty block is written { }",
        "from" | "numpy" | "np" | "abtem" | "ase" => IMPORT,
        "class" => "there are no classes: a map #{ name: value } holds values, functions work on it",
        "var" => "a variable is written let x = 1;",
        "f" if here.contains("f\"") => "values go into a text between backticks: `x is ${x}`",
        _ if first == "import" && !start.contains('"') || first == "from" => IMPORT,
        _ if first == "def" => "a function is written fn name(x) { … }",
        _ if ["for", "while", "if", "else", "elif", "try", "with"].contains(&first) && ends_with_colon(here) => BLOCK,
        _ if has_word(here, "lambda") => "a closure is written |x| x + 1, and called f.call(1)",
        _ if here.contains('[') && has_word(here, "for") && has_word(here, "in") && first != "for" => {
            "a list is made with (0..5).map(|i| i * i) or list.map(|x| 2 * x)"
        }
        _ if has_word(here, "if") && has_word(here, "else") && !here.contains('{') => {
            "a choice is written if x > 0 { a } else { b }"
        }
        _ if has_word(here, "and") || has_word(here, "or") => "and is written &&, or is written ||",
        _ => return None,
    };
    Some(help.to_owned())
}

const IMPORT: &str =
    "an import names a script in quotes: import \"two_step\" as two_step; the namespaces of pedesis need none";
const BLOCK: &str = "a block stands in braces, without a colon: for i in 0..3 { print(i); }";

/// A line without its comments, and with nothing in its strings.
fn code_of(line: &str) -> String {
    let code = lex(line).into_iter().filter(|token| token.kind != Kind::Comment).map(|token| match token.kind {
        Kind::Text => "\"\"",
        _ => token.text(line),
    });
    code.collect()
}

/// Whether a colon ends the head of a block, as in Python.
fn ends_with_colon(here: &str) -> bool {
    let code = here.split('#').next().unwrap_or("");
    !code.contains('{') && code.contains(':') && !code.contains("::") || code.trim_end().ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::habit;

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(habit("", "let a = true and false;").as_deref(), Some("and is written &&, or is written ||"));
        assert_eq!(habit("", "/// this and that, or nothing"), None);
        assert_eq!(habit("", "print(\"salt and pepper\"; // for all or none:"), None);
        assert_eq!(habit("import", "import \"two_step\" as numpy_like"), None);
    }
}
