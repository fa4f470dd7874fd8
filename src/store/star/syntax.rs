//! The syntax of STAR files (Hall, J. Chem. Inf. Comput. Sci. 31 (1991) 326) as RELION and its kin use it: blocks with one table each,
//! one row a line.

use crate::store::words::{Fault, Word, number, words};

/// A data block: a table, or single values, which count as a table of one row.
#[derive(Debug)]
pub struct Block<'a> {
    /// What follows `data_`; may be empty.
    pub name: &'a str,
    pub line: usize,
    pub labels: Vec<&'a str>,
    pub rows: Vec<Row<'a>>,
    is_loop: bool,
}

#[derive(Debug)]
pub struct Row<'a> {
    pub line: usize,
    pub values: Vec<&'a str>,
}

impl Block<'_> {
    /// Index of the column `label` (with its underscore).
    pub fn column(&self, label: &str) -> Option<usize> {
        self.labels.iter().position(|known| *known == label)
    }

    /// Index of a column that must be there.
    pub fn needed(&self, label: &str) -> Result<usize, Fault> {
        self.column(label).ok_or_else(|| {
            let known = self.labels.join(", ");
            Fault::at(self.line, format!("data_{} has no column {label} (it has: {known})", self.name))
        })
    }

    /// The finite number at a column of a row.
    pub fn number(&self, row: &Row, column: usize) -> Result<f64, Fault> {
        number(row.values[column], self.labels[column]).map_err(|problem| Fault::at(row.line, problem))
    }
}

/// The blocks of a file, in its order.
///
/// # Errors
/// If a row has too few or too many values, a quote is not closed, or something stands where it cannot; the fault names the line.
pub fn parse(text: &str) -> Result<Vec<Block<'_>>, Fault> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, line_text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = index + 1;
        if line_text.starts_with(';') {
            return Err(Fault::at(line, "a text of several lines (;) cannot be read here"));
        }
        let words = words(line_text).map_err(|problem| Fault::at(line, problem))?;
        let Some(first) = words.first() else { continue };
        let keyword = |prefix: &str| !first.quoted && first.text.to_ascii_lowercase().starts_with(prefix);
        if keyword("data_") && words.len() == 1 {
            let name = &first.text["data_".len()..];
            blocks.push(Block { name, line, labels: Vec::new(), rows: Vec::new(), is_loop: false });
            continue;
        }
        let Some(block) = blocks.last_mut() else {
            return Err(Fault::at(line, format!("\"{}\" stands before the first data_ block", first.text)));
        };
        if keyword("loop_") && words.len() == 1 {
            if block.is_loop || !block.labels.is_empty() {
                return Err(Fault::at(line, format!("data_{} has more than one table", block.name)));
            }
            block.is_loop = true;
        } else if keyword("_") {
            label(block, line, &words)?;
        } else {
            row(block, line, &words)?;
        }
    }
    Ok(blocks)
}

/// Takes the name of a column of a table, or a name with its single value.
fn label<'a>(block: &mut Block<'a>, line: usize, words: &[Word<'a>]) -> Result<(), Fault> {
    let name = words[0].text;
    if block.column(name).is_some() {
        return Err(Fault::at(line, format!("data_{} has two columns {name}", block.name)));
    }
    match (block.is_loop, words) {
        (true, [_]) if block.rows.is_empty() => {}
        (true, [_]) => return Err(Fault::at(line, format!("column {name} is named after the first row"))),
        (false, [_, value]) => match block.rows.first_mut() {
            Some(row) => row.values.push(value.text),
            None => block.rows.push(Row { line, values: vec![value.text] }),
        },
        (is_loop, _) => {
            let wanted = if is_loop { "nothing" } else { "one value" };
            return Err(Fault::at(line, format!("{name} must be followed by {wanted}, not by {}", words.len() - 1)));
        }
    }
    block.labels.push(name);
    Ok(())
}

fn row<'a>(block: &mut Block<'a>, line: usize, words: &[Word<'a>]) -> Result<(), Fault> {
    if !block.is_loop || block.labels.is_empty() {
        return Err(Fault::at(line, format!("\"{}\" belongs to no column", words[0].text)));
    }
    let (found, wanted) = (words.len(), block.labels.len());
    if found != wanted {
        let kind = if found < wanted { "truncated" } else { "too long" };
        let number = block.rows.len() + 1;
        let problem = format!("row {number} of data_{} is {kind}: {found} values for {wanted} columns", block.name);
        return Err(Fault::at(line, problem));
    }
    block.rows.push(Row { line, values: words.iter().map(|word| word.text).collect() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_labels_and_rows() {
        let text = "# a comment\r\n\r\ndata_optics\r\n_rlnOpticsGroup 1\r\n_rlnOpticsGroupName 'group # one' # said\r\n\r\n\
                    data_\r\nloop_\r\n_a #1\r\n_b #2\r\n1 \"it's\"\r\n\r\n 2\tx#y\r\n";
        let blocks = parse(text).unwrap();
        assert_eq!(blocks.iter().map(|block| block.name).collect::<Vec<_>>(), ["optics", ""]);
        assert_eq!(blocks[0].rows[0].values, ["1", "group # one"]);
        assert_eq!(blocks[1].labels, ["_a", "_b"]);
        assert_eq!(
            blocks[1].rows.iter().map(|row| row.values.clone()).collect::<Vec<_>>(),
            [["1", "it's"], ["2", "x#y"]]
        );
        assert_eq!(blocks[1].rows[1].line, 13);
    }

    #[test]
    fn what_stands_in_a_wrong_place_is_named_with_its_line() {
        let fault = |text| parse(text).map(|_| ()).unwrap_err();
        for (text, line, said) in [
            ("hello\n", 1, "\"hello\" stands before the first data_ block"),
            ("data_a\nloop_\n_x\n_y\n1 2\n3\n", 6, "row 2 of data_a is truncated: 1 values for 2 columns"),
            ("data_a\nloop_\n_x\n1 2\n", 4, "row 1 of data_a is too long: 2 values for 1 columns"),
            ("data_a\nloop_\n_x\n1\n_y\n", 5, "column _y is named after the first row"),
            ("data_a\nloop_\n_x\n_x\n", 4, "data_a has two columns _x"),
            ("data_a\nloop_\n_x\n1\nloop_\n", 5, "data_a has more than one table"),
            ("data_a\n_x\n", 2, "_x must be followed by one value, not by 0"),
            ("data_a\n5\n", 2, "\"5\" belongs to no column"),
            ("data_a\nloop_\n_x\n'5\n", 4, "the quote ' is not closed"),
            ("data_a\n;text\n;\n", 2, "a text of several lines (;) cannot be read here"),
        ] {
            assert_eq!(fault(text), Fault::at(line, said), "{text}");
        }
    }
}
