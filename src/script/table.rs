//! A small table of results: columns with names, rows of values.

use std::fmt;
use std::sync::Arc;

use rhai::Dynamic;
use serde_json::Value;

use super::diagnostic::a;
use super::help::type_in_words;
use super::options::to_json;
use super::{ScriptResult, fault};

/// Named columns and rows of values, to be printed or saved. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: Arc<Vec<String>>,
    rows: Arc<Vec<Vec<Value>>>,
}

impl Table {
    /// A table from the names of its columns and its rows.
    ///
    /// # Errors
    /// If a row is not an array with one value a column, or a value is not a number, a string, true, false or `()`.
    pub fn new(columns: Vec<String>, rows: &[Dynamic]) -> ScriptResult<Self> {
        let rows = rows.iter().enumerate().map(|(i, row)| {
            let cells = row
                .as_array_ref()
                .map_err(|kind| fault(format!("row {i} is an array, not {}", a(type_in_words(kind)))))?;
            if cells.len() != columns.len() {
                let (found, wanted) = (cells.len(), columns.len());
                return Err(fault(format!("row {i} has {found} values, but there are {wanted} columns")));
            }
            cells.iter().map(|cell| to_json(cell).map_err(fault)).collect()
        });
        let rows = rows.collect::<ScriptResult<Vec<Vec<Value>>>>()?;
        Ok(Self { columns: Arc::new(columns), rows: Arc::new(rows) })
    }

    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    pub fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    /// The rows as JSON objects.
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<Value>| Value::Object(self.columns.iter().cloned().zip(row.iter().cloned()).collect());
        self.rows.iter().map(object).collect()
    }

    /// The table as comma-separated values with a header.
    pub fn to_csv(&self) -> String {
        let quoted = |text: String| {
            if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
        };
        let line = |cells: Vec<String>| cells.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
        let plain = |value: &Value| value.as_str().map_or_else(|| written(value), str::to_owned);
        let rows = self.rows.iter().map(|row| line(row.iter().map(plain).collect()));
        std::iter::once(line(self.columns.to_vec())).chain(rows).collect()
    }
}

/// Numbers are right-aligned, text is left-aligned.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(written).collect()).collect();
        let width = |column: usize| {
            let longest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            longest.max(self.columns[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_number = |column: usize| self.rows.iter().all(|row| row[column].is_number());
        let line = |row: &[String]| {
            let aligned = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match is_number(column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        write!(f, "{}", line(&self.columns))?;
        for row in &cells {
            write!(f, "\n{}", line(row))?;
        }
        Ok(())
    }
}

/// A value as a reader wants to see it: six significant digits, nothing for `()`.
fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let x = number.as_f64().unwrap_or_default();
            let digits = (5 - x.abs().max(1e-9).log10().floor() as i32).clamp(0, 9) as usize;
            let text = format!("{x:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |name: &str, x: f64| Dynamic::from_array(vec![name.into(), x.into()]);
        Table::new(vec!["particle".into(), "rmsd_pm".into()], &[row("FePt, small", 2.1), row("PbSe", 10.0)]).unwrap()
    }

    #[test]
    fn numbers_stand_under_each_other() {
        assert_eq!(table().to_string(), "particle     rmsd_pm\nFePt, small      2.1\nPbSe              10");
    }

    #[test]
    fn a_comma_in_a_cell_is_quoted() {
        assert_eq!(table().to_csv(), "particle,rmsd_pm\n\"FePt, small\",2.1\nPbSe,10\n");
    }

    #[test]
    fn a_short_row_is_refused() {
        let row = Dynamic::from_array(vec![1_i64.into()]);
        let error = Table::new(vec!["a".into(), "b".into()], &[row]).unwrap_err();
        assert!(error.to_string().contains("row 0 has 1 values, but there are 2 columns"));
    }
}
