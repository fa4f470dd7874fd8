//! The syntax of CIF 1.1: names with one value, loops with many, values in quotes or between lines that begin with a semicolon.

use std::collections::HashMap;

use crate::store::words::{Fault, number, words};

/// A data block: values by their names in small letters, for CIF does not tell capitals apart.
pub struct Block<'a> {
    /// What follows `data_`.
    pub name: &'a str,
    pub line: usize,
    items: HashMap<String, Vec<Value<'a>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value<'a> {
    pub text: &'a str,
    pub line: usize,
    /// Without quotes, so that it may be a keyword, a name, or the sign of a missing value.
    is_bare: bool,
}

impl<'a> Value<'a> {
    /// The text, unless it is `?` (unknown) or `.` (of no meaning here).
    pub fn known(&self) -> Option<&'a str> {
        (!self.is_bare || !matches!(self.text, "?" | ".")).then_some(self.text)
    }

    /// The finite number it must be, being `what`; an uncertainty in parentheses is left out.
    pub fn number(&self, what: &str) -> Result<f64, Fault> {
        let digits = self.text.split_once('(').map_or(self.text, |(digits, _)| digits);
        number(digits, what).map_err(|_| self.fault(format!("{what} must be a number, not \"{}\"", self.text)))
    }

    pub fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault::at(self.line, problem)
    }

    fn is_name(&self) -> bool {
        self.is_bare && self.text.starts_with('_')
    }

    /// What follows `prefix`, in small letters, if it is the word's beginning in letters of any size.
    fn after(&self, prefix: &str) -> Option<&'a str> {
        let start = self.text.get(..prefix.len()).filter(|start| self.is_bare && start.eq_ignore_ascii_case(prefix))?;
        Some(&self.text[start.len()..])
    }

    fn is_keyword(&self) -> bool {
        ["data_", "loop_", "save_", "global_", "stop_"].iter().any(|word| self.after(word).is_some())
    }
}

impl<'a> Block<'a> {
    /// The values of a name in small letters, if the block has it.
    pub fn values(&self, name: &str) -> Option<&[Value<'a>]> {
        self.items.get(name).map(Vec::as_slice)
    }

    /// Whether a name with this beginning is in the block.
    pub fn has_names(&self, beginning: &str) -> bool {
        self.items.keys().any(|name| name.starts_with(beginning))
    }

    fn insert(&mut self, name: Value, values: Vec<Value<'a>>) -> Result<(), Fault> {
        match self.items.insert(name.text.to_ascii_lowercase(), values) {
            None => Ok(()),
            Some(_) => Err(name.fault(format!("{} is in data_{} twice: leave one of them", name.text, self.name))),
        }
    }
}

/// The blocks of a file, in its order.
///
/// # Errors
/// If a loop is truncated, a value is missing or not closed, or something stands where it cannot; the fault names the line.
pub fn parse(text: &str) -> Result<Vec<Block<'_>>, Fault> {
    let values = values(text.trim_start_matches('\u{feff}'))?;
    let mut blocks: Vec<Block> = Vec::new();
    let mut rest = values.as_slice();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let Some(name) = first.after("data_") {
            blocks.push(Block { name, line: first.line, items: HashMap::new() });
            continue;
        }
        let before = || first.fault(format!("\"{}\" stands before the first data_ block", first.text));
        let block = blocks.last_mut().ok_or_else(before)?;
        if first.after("loop_") == Some("") {
            rest = read_loop(block, *first, rest)?;
        } else if first.is_name() {
            let value = rest.first().filter(|value| !value.is_name() && !value.is_keyword());
            let value = value.ok_or_else(|| first.fault(format!("{} has no value", first.text)))?;
            block.insert(*first, vec![*value])?;
            rest = &rest[1..];
        } else {
            return Err(first.fault(format!("\"{}\" belongs to no name", first.text)));
        }
    }
    Ok(blocks)
}

/// Takes a loop's names and values; gives what follows it.
fn read_loop<'a, 'b>(block: &mut Block<'a>, begin: Value, rest: &'b [Value<'a>]) -> Result<&'b [Value<'a>], Fault> {
    let end = rest.iter().position(|value| !value.is_name()).unwrap_or(rest.len());
    let (names, rest) = rest.split_at(end);
    let end = rest.iter().position(|value| value.is_name() || value.is_keyword()).unwrap_or(rest.len());
    let (values, rest) = rest.split_at(end);
    let (columns, count) = (names.len(), values.len());
    let Some(first) = names.first() else { return Err(begin.fault("loop_ has no names")) };
    if count == 0 {
        return Err(begin.fault(format!("the loop of {} has no values", first.text)));
    }
    if !count.is_multiple_of(columns) {
        let last = values[count - 1];
        let problem = format!(
            "the loop of {} ends here in the middle of a row: {count} values for {columns} columns; the file is truncated, or a value is \
             missing or not in quotes",
            first.text
        );
        return Err(last.fault(problem));
    }
    for (column, name) in names.iter().enumerate() {
        block.insert(*name, values.iter().copied().skip(column).step_by(columns).collect())?;
    }
    Ok(rest)
}

/// Everything in a text but its comments.
fn values(text: &str) -> Result<Vec<Value<'_>>, Fault> {
    let mut values = Vec::new();
    // where a text of several lines began: its line and first byte
    let mut long: Option<(usize, usize)> = None;
    let mut offset = 0;
    for (line, full) in (1..).zip(text.split_inclusive('\n')) {
        let begin = offset;
        offset += full.len();
        let mut rest = full;
        if let Some(after) = full.strip_prefix(';') {
            match long.take() {
                None => long = Some((line, begin + 1)),
                Some((first, from)) => {
                    values.push(Value { text: text[from..begin].trim(), line: first, is_bare: false });
                    rest = after;
                }
            }
        }
        if long.is_none() {
            let words = words(rest).map_err(|problem| Fault::at(line, problem))?;
            values.extend(words.iter().map(|word| Value { text: word.text, line, is_bare: !word.quoted }));
        }
    }
    match long {
        Some((line, _)) => Err(Fault::at(line, "the text that begins here with ; is not closed by a line with ;")),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_single_values_and_loops() {
        let text = "#\\#CIF_1.1\r\n# a comment\r\nDATA_a\r\n_Cell_Length_a 4.30(1) # said\r\n_title\r\n; two\r\nlines\r\n; _empty ?\n\
                    loop_ _x\n_y\n1 'it's'\n\n\"?\" .\nLOOP_\n_z\n data_\ndata_b\n_w '_no name'\n";
        // a bare data_ ends the loop, which is then empty
        assert_eq!(parse(text).map(drop).unwrap_err().problem, "the loop of _z has no values");
        let text = text.replace(" data_\n", " 5 #\n");
        let blocks = parse(&text).unwrap();
        assert_eq!(blocks.iter().map(|block| (block.name, block.line)).collect::<Vec<_>>(), [("a", 3), ("b", 17)]);
        let texts =
            |name: &str| -> Vec<Option<&str>> { blocks[0].values(name).unwrap().iter().map(Value::known).collect() };
        assert_eq!(texts("_title"), [Some("two\r\nlines")]);
        assert_eq!(texts("_empty"), [None]);
        assert_eq!(texts("_x"), [Some("1"), Some("?")]);
        assert_eq!(texts("_y"), [Some("it's"), None]);
        assert_eq!(texts("_z"), [Some("5")]);
        assert_eq!(blocks[1].values("_w").unwrap()[0].known(), Some("_no name"));
        let length = blocks[0].values("_cell_length_a").unwrap()[0];
        assert_eq!((length.number("a").unwrap(), length.line), (4.3, 4));
    }

    #[test]
    fn what_stands_in_a_wrong_place_is_named_with_its_line() {
        for (text, line, said) in [
            ("hello\n", 1, "\"hello\" stands before the first data_ block"),
            ("data_a\n5\n", 2, "\"5\" belongs to no name"),
            ("data_a\nsave_frame\n", 2, "\"save_frame\" belongs to no name"),
            ("data_a\n_x\n_y 1\n", 2, "_x has no value"),
            ("data_a\n_x", 2, "_x has no value"),
            ("data_a\n_x 1\n_X 2\n", 3, "_X is in data_a twice: leave one of them"),
            ("data_a\nloop_\n1 2\n", 2, "loop_ has no names"),
            ("data_a\nloop_\n_x\n_y\n", 2, "the loop of _x has no values"),
            ("data_a\n_x '5\n", 2, "the quote ' is not closed"),
            ("data_a\n_x\n;text\n", 3, "the text that begins here with ; is not closed by a line with ;"),
        ] {
            assert_eq!(parse(text).map(drop).unwrap_err(), Fault::at(line, said), "{text}");
        }
        let cut = parse("data_a\nloop_\n_x\n_y\n1 2\n3\n").map(drop).unwrap_err();
        assert_eq!(cut.line, Some(6));
        assert!(cut.problem.starts_with("the loop of _x ends here in the middle of a row: 3 values for 2 columns"));
    }
}
