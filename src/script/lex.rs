//! The words of a script, for completion, colours and the question whether a line is whole.
//!
//! Rhai's own tokens lose white space and comments and end at the first mistake; a line that is being typed is one mistake after the other.

use std::ops::Range;

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Space,
    Comment,
    Keyword,
    /// A name of anything.
    Name,
    Number,
    /// A string or a character, quotes included.
    Text,
    /// `(`, `[`, `{` or `#{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// Anything else: operators, `,`, `;`, `::`, `.`.
    Sign,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Bytes of the text it is in.
    pub range: Range<usize>,
    /// Whether a string or a comment is closed; true for all else.
    pub closed: bool,
}

impl Token {
    pub fn text<'a>(&self, line: &'a str) -> &'a str {
        &line[self.range.clone()]
    }
}

pub const KEYWORDS: [&str; 26] = [
    "as", "break", "catch", "const", "continue", "do", "else", "export", "false", "fn", "for", "global", "if",
    "import", "in", "let", "loop", "private", "return", "switch", "this", "throw", "true", "try", "until", "while",
];

/// Signs of more than one character that mean something to the prompt.
const SIGNS: [&str; 8] = ["::", "..=", "..", "?.", "=>", "||", "++", "--"];

/// Every word of a line, white space included.
pub fn lex(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let (kind, length, closed) = first(&line[at..]);
        tokens.push(Token { kind, range: at..at + length, closed });
        at += length;
    }
    tokens
}

/// Every word that means something.
pub fn words(line: &str) -> Vec<Token> {
    lex(line).into_iter().filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment)).collect()
}

/// Whether more must follow: a bracket, a template or a comment is open, or the last word is an operator.
pub fn is_unfinished(line: &str) -> bool {
    let tokens = lex(line);
    if let Some(last) = tokens.last().filter(|last| !last.closed) {
        // a string in quotes ends on its line, and the parser says so
        return last.kind == Kind::Comment || last.text(line).starts_with(['`', '#']);
    }
    let mut open = Vec::new();
    for token in &tokens {
        match (token.kind, token.text(line)) {
            (Kind::Open, text) => open.push(text),
            // a bracket too many is a mistake that the parser explains better
            (Kind::Close, text) if open.pop().is_none_or(|opened| partner(opened) != text) => return false,
            _ => {}
        }
    }
    let last = tokens.iter().rfind(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    let awaits = |text: &str| matches!(text, "=" | "+" | "-" | "*" | "/" | "%" | "." | "&" | "::" | "=>");
    !open.is_empty() || last.is_some_and(|last| last.kind == Kind::Sign && awaits(last.text(line)))
}

/// The bracket that closes what another opens.
pub fn partner(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

/// The first word of a text that is not empty: what it is, its length in bytes, whether it is closed.
fn first(rest: &str) -> (Kind, usize, bool) {
    let start = rest.chars().next().unwrap_or(' ');
    let run = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
    match start {
        _ if start.is_whitespace() => (Kind::Space, run(char::is_whitespace), true),
        '/' if rest.starts_with("//") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), true),
        '/' if rest.starts_with("/*") => ended(Kind::Comment, rest, comment(rest)),
        '"' | '\'' => ended(Kind::Text, rest, quoted(rest, start)),
        '`' => ended(Kind::Text, rest, template(rest)),
        '#' if rest.starts_with("#{") => (Kind::Open, 2, true),
        '#' if rest.trim_start_matches('#').starts_with('"') => ended(Kind::Text, rest, raw(rest)),
        '(' | '[' | '{' => (Kind::Open, 1, true),
        ')' | ']' | '}' => (Kind::Close, 1, true),
        _ if start.is_ascii_digit() => (Kind::Number, number(rest), true),
        _ if is_of_name(start) => {
            let length = run(is_of_name);
            (if KEYWORDS.contains(&&rest[..length]) { Kind::Keyword } else { Kind::Name }, length, true)
        }
        _ => {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            (Kind::Sign, sign.map_or(start.len_utf8(), |sign| sign.len()), true)
        }
    }
}

pub fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn ended(kind: Kind, rest: &str, length: Option<usize>) -> (Kind, usize, bool) {
    (kind, length.unwrap_or(rest.len()), length.is_some())
}

/// Length of a comment, in which others may stand.
fn comment(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let step = if rest[at..].starts_with("/*") {
            depth += 1;
            2
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Length of a string between quotes.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Length of a string between backticks, with `${…}` in it.
fn template(rest: &str) -> Option<usize> {
    let mut at = 1;
    while at < rest.len() {
        if rest[at..].starts_with('`') {
            return Some(at + 1);
        }
        if rest[at..].starts_with("${") {
            at += 2;
            let mut depth = 1;
            while depth > 0 {
                let (kind, length, closed) = if at < rest.len() { first(&rest[at..]) } else { return None };
                depth += i32::from(kind == Kind::Open) - i32::from(kind == Kind::Close);
                if !closed {
                    return None;
                }
                at += length;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// Length of `#"…"#`, with as many `#` on either side.
fn raw(rest: &str) -> Option<usize> {
    let signs = rest.find('"')?;
    let end = format!("\"{}", "#".repeat(signs));
    rest[signs + 1..].find(&end).map(|at| signs + 1 + at + end.len())
}

/// Length of a number: `0x1f`, `1_000`, `1.5e-3`; the dots of `0..3` and `3.max(4)` are not part of it.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next_is_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let goes_on = match bytes[at] {
            b'.' => next_is_digit && !rest[..at].contains('.'),
            b'+' | b'-' => next_is_digit && matches!(bytes[at - 1], b'e' | b'E') && !rest.starts_with("0x"),
            byte => byte.is_ascii_alphanumeric() || byte == b'_',
        };
        if !goes_on {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(line: &str) -> Vec<(Kind, &str)> {
        words(line).iter().map(|token| (token.kind, token.text(line))).collect()
    }

    #[test]
    fn words_of_a_line_are_told_apart() {
        use Kind::{Close, Keyword, Name, Number, Open, Sign, Text};
        let expected = [
            (Keyword, "let"),
            (Name, "größe"),
            (Sign, "="),
            (Name, "f"),
            (Open, "("),
            (Text, "\"a \\\" ( b\""),
            (Sign, ","),
            (Open, "#{"),
            (Name, "x"),
            (Sign, ":"),
            (Number, "1.5e-3"),
            (Close, "}"),
            (Close, ")"),
            (Sign, "."),
            (Name, "g"),
            (Sign, ";"),
        ];
        assert_eq!(kinds("let größe = f(\"a \\\" ( b\", #{ x: 1.5e-3 }).g; // [ ("), expected);
        assert_eq!(kinds("0..3"), [(Number, "0"), (Sign, ".."), (Number, "3")]);
        assert_eq!(kinds("3.max(`a ${f(\"}\")} b`)").len(), 6);
        assert_eq!(kinds("#\"a \" b\"#"), [(Text, "#\"a \" b\"#")]);
    }

    #[test]
    fn more_lines_follow_only_what_is_open() {
        for open in [
            "f(",
            "#{ a: 1",
            "fn f() {",
            "`text",
            "`${f(",
            "/* a /* b */",
            "let a =",
            "a +",
            "images.",
            "#\"raw",
            "[1, // ]",
        ] {
            assert!(is_unfinished(open), "{open}");
        }
        for whole in [
            "",
            "f()",
            "\"(",
            "// (",
            "a)",
            "(a]",
            "`(`",
            "/* ( */",
            "let a = 1;",
            "f(\"[\")",
            "'('",
            "a..",
            "|x| x",
            "x++",
        ] {
            assert!(!is_unfinished(whole), "{whole}");
        }
    }

    #[test]
    fn every_byte_of_any_text_belongs_to_one_word() {
        for text in ["é`${\"", "\"\\", "0x", "'", "#", "##\"", "a\u{301}::", "/*/", "1e+", "\n\t ", "∑ Å²", "`${`${`"]
        {
            let tokens = lex(text);
            let joined: String = tokens.iter().map(|token| token.text(text)).collect();
            assert_eq!(joined, text);
        }
    }
}
