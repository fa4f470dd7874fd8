//! Where in a line the cursor is: what could be meant there.

use crate::script::lex::{Kind, Token, lex, partner, words};

/// A function that is being called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    /// `images` of `images::normalize(`.
    pub namespace: Option<String>,
    /// The value before the dot of `value.normalize(`.
    pub receiver: Option<Receiver>,
    /// Which argument the cursor is in, from 0.
    pub argument: usize,
}

/// A value that something is asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// A variable, or what is in it by these names: `run.volume`.
    Path(Vec<String>),
    /// What a function gives.
    Result(Box<Call>),
    /// A literal of this type.
    Literal(&'static str),
}

/// What is expected at the end of a text; `start` is where the word there begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Inside a comment, or right behind a number.
    Nothing,
    /// Inside a string: of which argument, of which option.
    Text { start: usize, call: Option<Call>, option: Option<String>, import: bool },
    /// After a dot.
    Member { start: usize, receiver: Option<Receiver> },
    /// After `namespace::`.
    Path { start: usize, namespace: String },
    /// The name of an option; `taken` are those that the map has already.
    Option { start: usize, call: Call, taken: Vec<String> },
    /// Anything else: a variable, a function, a keyword; as the value of an option, if it is one.
    Word { start: usize, call: Option<Call>, option: Option<String> },
}

/// What is expected at the end of `line`.
pub fn place_at(line: &str) -> Place {
    let all = lex(line);
    let tokens = words(line);
    match all.last() {
        Some(last) if last.kind == Kind::Comment => return Place::Nothing,
        Some(last) if last.kind == Kind::Number => return Place::Nothing,
        Some(last) if last.kind == Kind::Text && !last.closed => {
            let before = &tokens[..tokens.len() - 1];
            let import = before.last().is_some_and(|token| token.text(line) == "import");
            let (call, option, _) = surroundings(before, line);
            let quote = line[last.range.start..].chars().take_while(|c| *c == '#').count() + 1;
            return Place::Text { start: (last.range.start + quote).min(line.len()), call, option, import };
        }
        _ => {}
    }
    let typing =
        tokens.last().filter(|last| last.range.end == line.len() && matches!(last.kind, Kind::Name | Kind::Keyword));
    let start = typing.map_or(line.len(), |word| word.range.start);
    let before = &tokens[..tokens.len() - usize::from(typing.is_some())];
    let previous = before.last().map_or("", |token| token.text(line));
    match previous {
        "::" => match before.iter().rev().nth(1) {
            Some(name) => Place::Path { start, namespace: name.text(line).to_owned() },
            None => Place::Nothing,
        },
        "." | "?." => Place::Member { start, receiver: receiver(before, before.len().checked_sub(2), line) },
        _ => match surroundings(before, line) {
            (Some(call), None, Some(taken)) if matches!(previous, "#{" | ",") => Place::Option { start, call, taken },
            (call, option, _) => Place::Word { start, call, option },
        },
    }
}

/// The call around the end of `tokens`, the option whose value is due there, and the options before it if it is in a map of options.
fn surroundings(tokens: &[Token], line: &str) -> (Option<Call>, Option<String>, Option<Vec<String>>) {
    let mut open: Vec<usize> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => open.push(i),
            Kind::Close => drop(open.pop()),
            _ => {}
        }
    }
    let Some(&inner) = open.last() else { return (None, None, None) };
    let call_at = |index: usize| match tokens[index].text(line) {
        "(" => call(tokens, index, tokens.len(), line),
        _ => None,
    };
    if tokens[inner].text(line) != "#{" {
        return (call_at(inner), None, None);
    }
    let outer = open.len().checked_sub(2).and_then(|i| call_at(open[i]));
    let Some(outer) = outer else { return (None, None, None) };
    let mut names = names_of_map(&tokens[inner + 1..], line);
    let due = match tokens.last().map(|last| last.text(line)) {
        Some("#{" | ",") => None,
        _ => names.pop(),
    };
    (Some(outer), due, Some(names))
}

/// The names in a map that is being typed.
fn names_of_map(tokens: &[Token], line: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let mut names = Vec::new();
    for (token, next) in tokens.iter().zip(&tokens[1.min(tokens.len())..]) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            Kind::Name if depth == 0 && next.text(line) == ":" => names.push(token.text(line).to_owned()),
            _ => {}
        }
    }
    names
}

/// The call whose bracket opens at `open`, as far as `end`; `None` if the bracket is of another kind.
fn call(tokens: &[Token], open: usize, end: usize, line: &str) -> Option<Call> {
    let name = open.checked_sub(1).filter(|&name| tokens[name].kind == Kind::Name)?;
    let before = name.checked_sub(1).map_or("", |i| tokens[i].text(line));
    let (mut depth, mut argument) = (0_i32, 0);
    for token in &tokens[open + 1..end] {
        match (token.kind, token.text(line)) {
            (Kind::Open, _) => depth += 1,
            (Kind::Close, _) => depth -= 1,
            (_, ",") if depth == 0 => argument += 1,
            _ => {}
        }
    }
    let namespace = (before == "::").then(|| name.checked_sub(2)).flatten();
    Some(Call {
        name: tokens[name].text(line).to_owned(),
        namespace: namespace.map(|i| tokens[i].text(line).to_owned()),
        receiver: matches!(before, "." | "?.").then(|| receiver(tokens, name.checked_sub(2), line)).flatten(),
        argument,
    })
}

/// The value whose last token is at `end`.
fn receiver(tokens: &[Token], end: Option<usize>, line: &str) -> Option<Receiver> {
    let end = end?;
    let token = tokens.get(end)?;
    let before = end.checked_sub(1).map_or("", |i| tokens[i].text(line));
    match (token.kind, token.text(line)) {
        (Kind::Name, name) => match before {
            "." | "?." => match receiver(tokens, end.checked_sub(2), line)? {
                Receiver::Path(mut path) => {
                    path.push(name.to_owned());
                    Some(Receiver::Path(path))
                }
                _ => None,
            },
            "::" => None,
            _ => Some(Receiver::Path(vec![name.to_owned()])),
        },
        (Kind::Text, _) => Some(Receiver::Literal("string")),
        (Kind::Number, number) => Some(Receiver::Literal(if number.contains('.') { "float" } else { "int" })),
        (Kind::Close, close) => {
            let open = opening(tokens, end, line)?;
            let is_index = open.checked_sub(1).is_some_and(|i| matches!(tokens[i].kind, Kind::Name | Kind::Close));
            match close {
                ")" => match call(tokens, open, end, line) {
                    Some(call) => Some(Receiver::Result(Box::new(call))),
                    None => receiver(&tokens[..end], end.checked_sub(1), line),
                },
                "]" if !is_index => Some(Receiver::Literal("array")),
                "}" if tokens[open].text(line) == "#{" => Some(Receiver::Literal("map")),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Where the bracket opens that closes at `end`.
fn opening(tokens: &[Token], end: usize, line: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let open = (0..=end).rev().find(|&i| {
        match tokens[i].kind {
            Kind::Open => depth -= 1,
            Kind::Close => depth += 1,
            _ => {}
        }
        depth == 0
    })?;
    (partner(tokens[open].text(line)) == tokens[end].text(line)).then_some(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> Option<Receiver> {
        Some(Receiver::Path(names.iter().map(|name| (*name).to_owned()).collect()))
    }

    #[test]
    fn names_of_options_and_their_values_are_told_apart() {
        let Place::Option { call, taken, start } = place_at("x.add_noise(#{ snr: f(1, 2), se") else { panic!() };
        assert_eq!(
            (call.name.as_str(), call.receiver, taken, start),
            ("add_noise", path(&["x"]), vec!["snr".into()], 29)
        );
        let Place::Word { option, .. } = place_at("images::add_noise(x, #{ snr: ") else { panic!() };
        assert_eq!(option.as_deref(), Some("snr"));
        let Place::Text { option, call, start, .. } = place_at("microscope::simulate(t, m, #{ n: 2, method: \"ki")
        else {
            panic!()
        };
        assert_eq!((option.as_deref(), call.unwrap().argument, start), (Some("method"), 2, 45));
        assert!(matches!(place_at("let m = #{ a"), Place::Word { call: None, .. }));
        assert!(matches!(place_at("f(#{ a: #{ b"), Place::Word { .. }));
    }

    #[test]
    fn the_value_before_a_dot_is_found() {
        let receiver_of = |line: &str| match place_at(line) {
            Place::Member { receiver, .. } => receiver,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(receiver_of("images."), path(&["images"]));
        assert_eq!(receiver_of("print(run.volume.ma"), path(&["run", "volume"]));
        assert_eq!(receiver_of("\"a\"."), Some(Receiver::Literal("string")));
        assert_eq!(receiver_of("[1, 2].le"), Some(Receiver::Literal("array")));
        assert_eq!(receiver_of("a[1].le"), None);
        assert_eq!(receiver_of("."), None);
        let Some(Receiver::Result(call)) = receiver_of("structure::bundled(\"x.y\").sph") else { panic!() };
        assert_eq!((call.name.as_str(), call.namespace.as_deref()), ("bundled", Some("structure")));
        let Some(Receiver::Result(call)) = receiver_of("images.invert().normalize().") else { panic!() };
        assert!(matches!(call.receiver, Some(Receiver::Result(_))));
    }

    #[test]
    fn any_beginning_of_a_line_has_a_place() {
        let line = "let é = f(#{ a: [1, \"x\"], b: `${g(1)}` }).h(a::b, 1.5) // }) ] (";
        for (end, _) in line.char_indices() {
            let _ = place_at(&line[..end]);
        }
        assert_eq!(place_at("1.5"), Place::Nothing);
        assert_eq!(place_at("a // b"), Place::Nothing);
        assert!(matches!(place_at("import \"two"), Place::Text { import: true, .. }));
        assert!(matches!(place_at("structure::bu"), Place::Path { start: 11, .. }));
    }
}
