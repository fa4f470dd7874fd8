//! Colours of a line: only the sixteen that every terminal has, so that they fit its background.

use crate::script::lex::{Kind, Token, lex, partner};

pub const PLAIN: &str = "\u{1b}[0m";
pub const GREY: &str = "\u{1b}[90m";
const KEYWORD: &str = "\u{1b}[35m";
const TEXT: &str = "\u{1b}[32m";
const NUMBER: &str = "\u{1b}[36m";
const FUNCTION: &str = "\u{1b}[34m";
const NAMESPACE: &str = "\u{1b}[33m";
const COMMAND: &str = "\u{1b}[1;35m";
const BRACKETS: &str = "\u{1b}[1;4m";

/// The line in colours; at `cursor` a bracket and its partner stand out.
pub fn coloured(line: &str, cursor: Option<usize>) -> String {
    let command = if line.starts_with(':') { line.find(' ').unwrap_or(line.len()) } else { 0 };
    let (command, rest) = line.split_at(command);
    let tokens = lex(rest);
    let pair = cursor.and_then(|cursor| pair_at(&tokens, rest, cursor.checked_sub(command.len())?));
    let mut drawn = String::with_capacity(2 * line.len());
    let mut draw = |colour: &str, text: &str| match colour {
        "" => drawn.push_str(text),
        // white space at the end of a line of several must not carry colour over to the next
        _ => drawn.extend([colour, text, PLAIN]),
    };
    draw(if command.is_empty() { "" } else { COMMAND }, command);
    for (i, token) in tokens.iter().enumerate() {
        let next = tokens[i + 1..].iter().find(|next| next.kind != Kind::Space).map_or("", |next| next.text(rest));
        let colour = match token.kind {
            _ if pair.is_some_and(|(one, other)| i == one || i == other) => BRACKETS,
            Kind::Comment => GREY,
            Kind::Keyword => KEYWORD,
            Kind::Text => TEXT,
            Kind::Number => NUMBER,
            Kind::Name if next == "::" => NAMESPACE,
            Kind::Name if next == "(" => FUNCTION,
            _ => "",
        };
        draw(colour, token.text(rest));
    }
    drawn
}

/// The bracket under the cursor, or the one before it, and its partner, as places among `tokens`.
fn pair_at(tokens: &[Token], line: &str, cursor: usize) -> Option<(usize, usize)> {
    let is_bracket = |token: &Token| matches!(token.kind, Kind::Open | Kind::Close);
    let at = |byte: usize| tokens.iter().position(|token| is_bracket(token) && token.range.contains(&byte));
    let one = at(cursor).or_else(|| at(cursor.checked_sub(1)?))?;
    let mut depth = 0_i32;
    let mut closes = |i: &usize| {
        match tokens[*i].kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ => {}
        }
        depth == 0
    };
    let (open, close) = match tokens[one].kind {
        Kind::Open => (one, (one..tokens.len()).find(&mut closes)?),
        _ => ((0..=one).rev().find(&mut closes)?, one),
    };
    (partner(tokens[open].text(line)) == tokens[close].text(line)).then_some((open, close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_nothing_but_colours() {
        for line in ["let a = images::f(\"x\", 1.5) // é", ":time f(1)", "`open", "f((", "é)", ""] {
            for cursor in [None, Some(0), Some(line.len())] {
                let drawn = coloured(line, cursor);
                let mut bare = drawn.clone();
                for colour in [PLAIN, GREY, KEYWORD, TEXT, NUMBER, FUNCTION, NAMESPACE, COMMAND, BRACKETS] {
                    bare = bare.replace(colour, "");
                }
                assert_eq!(bare, line, "{drawn:?}");
            }
        }
        assert_eq!(coloured("let x", None), format!("{KEYWORD}let{PLAIN} x"));
    }

    #[test]
    fn a_bracket_and_its_partner_stand_out() {
        let line = "f(a[1], \")\")";
        let drawn = coloured(line, Some(line.len()));
        assert_eq!(drawn.matches(BRACKETS).count(), 2);
        assert!(drawn.contains(&format!("{BRACKETS}({PLAIN}a")), "{drawn:?}");
        assert!(!coloured("f(]", Some(3)).contains(BRACKETS));
    }
}
