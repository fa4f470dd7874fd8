//! A table of results: columns with names, rows of values.

mod csv;
mod curves;
mod group;
mod markdown;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use rhai::{Dynamic, Map};
use serde_json::Value;

use super::diagnostic::a;
use super::options::{suggestion, to_json};
use super::{ScriptResult, fault};
use crate::plot::Sheet;

/// What a table cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("there is no column {name:?}{}", suggestion(.name, .known, "columns"))]
    Unknown { name: String, known: Vec<String> },
    #[error("the column {0:?} is there twice; give each a name of its own")]
    Twice(String),
    #[error("row {row} has {found} values, but there are {wanted} columns")]
    Width { row: usize, found: usize, wanted: usize },
    #[error("the column {name:?} has {found} values, but the table has {wanted} rows")]
    Length { name: String, found: usize, wanted: usize },
    #[error("{0}")]
    Csv(String),
}

/// Named columns and rows of values. Immutable and cheap to clone.
///
/// A value is a finite number, a text, true or false, or null: an empty cell.
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
            let cells = row.as_array_ref().map_err(|kind| fault(format!("row {i} is an array, not {}", a(kind))))?;
            cells.iter().map(|cell| to_cell(cell).map_err(fault)).collect()
        });
        Self::from_cells(columns, rows.collect::<ScriptResult<_>>()?).map_err(fault)
    }

    /// A table from the names of its columns and the values of each row.
    ///
    /// # Errors
    /// If a name is there twice, or a row has another number of values than there are columns.
    pub fn from_cells(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Result<Self, TableError> {
        let wanted = columns.len();
        if let Some(twice) = (1..wanted).find(|&i| columns[..i].contains(&columns[i])) {
            return Err(TableError::Twice(columns[twice].clone()));
        }
        match rows.iter().enumerate().find(|(_, cells)| cells.len() != wanted) {
            Some((row, cells)) => Err(TableError::Width { row, found: cells.len(), wanted }),
            None => Ok(Self { columns: Arc::new(columns), rows: Arc::new(rows) }),
        }
    }

    /// A table of rows that name their values; a column that a row does not name is empty there.
    ///
    /// The columns are `first`, then the others in the order in which they are met.
    pub fn from_records(first: Vec<String>, records: &[serde_json::Map<String, Value>]) -> Self {
        let mut columns = first;
        for name in records.iter().flat_map(|record| record.keys()) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let cell = |record: &serde_json::Map<_, _>, name: &String| record.get(name).cloned().unwrap_or_default();
        let row = |record| columns.iter().map(|name| cell(record, name)).collect();
        let rows = records.iter().map(row).collect();
        Self { columns: Arc::new(columns), rows: Arc::new(rows) }
    }

    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    pub fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    /// The values of a column, from the first row to the last.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn column(&self, name: &str) -> Result<impl Iterator<Item = &Value> + Clone, TableError> {
        let place = self.place(name)?;
        Ok(self.rows.iter().map(move |row| &row[place]))
    }

    /// Where a column is.
    fn place(&self, name: &str) -> Result<usize, TableError> {
        let place = self.columns.iter().position(|column| column == name);
        place.ok_or_else(|| TableError::Unknown { name: name.to_owned(), known: self.columns.to_vec() })
    }

    /// Whether a column holds numbers, and nothing else but empty cells.
    fn is_numeric(&self, place: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[place]);
        cells.clone().any(Value::is_number) && cells.all(|cell| cell.is_number() || cell.is_null())
    }

    /// A row as a script's map from the names of the columns to its values.
    pub fn row(&self, row: usize) -> Option<Map> {
        let cells = self.rows.get(row)?;
        Some(self.columns.iter().zip(cells).map(|(name, cell)| (name.into(), from_cell(cell))).collect())
    }

    /// The rows for which `keep` is true.
    ///
    /// # Errors
    /// What `keep` fails with.
    pub fn filtered(&self, mut keep: impl FnMut(Map) -> ScriptResult<bool>) -> ScriptResult<Self> {
        let mut rows = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            if keep(self.row(i).unwrap_or_default())? {
                rows.push(row.clone());
            }
        }
        Ok(Self { columns: self.columns.clone(), rows: Arc::new(rows) })
    }

    /// The rows by the values of a column: numbers from small to large, then texts by the alphabet, then false and true,
    /// empty cells last. Rows of one value keep their order.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn sorted(&self, column: &str) -> Result<Self, TableError> {
        let place = self.place(column)?;
        let mut rows = self.rows.to_vec();
        rows.sort_by(|a, b| order(&a[place], &b[place]));
        Ok(Self { columns: self.columns.clone(), rows: Arc::new(rows) })
    }

    /// The table with one column more, or with other values in one that it has.
    ///
    /// # Errors
    /// If there are not as many values as rows.
    pub fn with_column(&self, name: &str, values: Vec<Value>) -> Result<Self, TableError> {
        if values.len() != self.rows.len() {
            return Err(TableError::Length { name: name.to_owned(), found: values.len(), wanted: self.rows.len() });
        }
        let (mut columns, mut rows) = (self.columns.to_vec(), self.rows.to_vec());
        let place = self.place(name).unwrap_or(columns.len());
        if place == columns.len() {
            columns.push(name.to_owned());
            rows.iter_mut().for_each(|row| row.push(Value::Null));
        }
        rows.iter_mut().zip(values).for_each(|(row, value)| row[place] = value);
        Ok(Self { columns: Arc::new(columns), rows: Arc::new(rows) })
    }

    /// The rows of this table, then those of another; a column that only one of them has is empty in the other's rows.
    pub fn appended(&self, other: &Self) -> Self {
        let records: Vec<_> = self.records().chain(other.records()).collect();
        let columns = self.columns.iter().chain(other.columns.iter().filter(|name| !self.columns.contains(name)));
        Self::from_records(columns.cloned().collect(), &records)
    }

    /// The rows, each with the names of its values.
    fn records(&self) -> impl Iterator<Item = serde_json::Map<String, Value>> {
        self.rows.iter().map(|row| self.columns.iter().cloned().zip(row.iter().cloned()).collect())
    }

    /// Names of the columns with whether they hold numbers, and rows, as a reader wants to see them.
    pub fn to_sheet(&self) -> Sheet {
        let column = |(i, name): (usize, &String)| (name.clone(), self.is_numeric(i));
        Sheet {
            columns: self.columns.iter().enumerate().map(column).collect(),
            rows: self.rows.iter().map(|row| row.iter().map(written).collect()).collect(),
        }
    }

    /// The rows as JSON objects.
    pub fn to_json(&self) -> Value {
        self.records().map(Value::Object).collect()
    }
}

/// A script's value as that of a cell.
///
/// # Errors
/// If it is not a finite number, a string, true, false or `()`.
pub fn to_cell(value: &Dynamic) -> Result<Value, String> {
    match to_json(value)? {
        Value::Array(_) => Err("an array does not fit into a cell of a table".into()),
        Value::Object(_) => Err("a map does not fit into a cell of a table".into()),
        cell => Ok(cell),
    }
}

/// The value of a cell as a script sees it.
pub fn from_cell(cell: &Value) -> Dynamic {
    match cell {
        Value::Bool(boolean) => (*boolean).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.into(),
        _ => Dynamic::UNIT,
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        _ => 3,
    };
    let numbers = || Some(a.as_f64()?.total_cmp(&b.as_f64()?));
    let texts = || Some(a.as_str()?.cmp(b.as_str()?));
    let booleans = || Some(a.as_bool()?.cmp(&b.as_bool()?));
    kind(a).cmp(&kind(b)).then_with(|| numbers().or_else(texts).or_else(booleans).unwrap_or(Ordering::Equal))
}

/// Numbers are right-aligned, text is left-aligned.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Sheet { columns, rows: cells } = self.to_sheet();
        let width = |column: usize| {
            let longest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            longest.max(self.columns[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &[String]| {
            let aligned =
                row.iter().zip(&widths).zip(&columns).map(|((cell, &width), (_, is_number))| match is_number {
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
pub(super) fn written(value: &Value) -> String {
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
    fn a_short_row_is_refused() {
        let row = Dynamic::from_array(vec![1_i64.into()]);
        let error = Table::new(vec!["a".into(), "b".into()], &[row]).unwrap_err();
        assert!(error.to_string().contains("row 0 has 1 values, but there are 2 columns"));
    }

    #[test]
    fn rows_sort_by_kind_and_value_and_keep_their_order() {
        let cells = [Value::Null, 2.into(), "b".into(), 1.5.into(), true.into(), "a".into(), 2.0.into(), false.into()];
        let rows = cells.iter().enumerate().map(|(i, cell)| vec![cell.clone(), i.into()]).collect();
        let table = Table::from_cells(vec!["x".into(), "i".into()], rows).unwrap().sorted("x").unwrap();
        let order: Vec<_> = table.column("i").unwrap().map(|i| i.as_u64().unwrap()).collect();
        assert_eq!(order, [3, 1, 6, 5, 2, 7, 4, 0]);
    }

    #[test]
    fn a_column_that_is_not_there_brings_the_nearest_to_mind() {
        let message = table().sorted("rmsd").unwrap_err().to_string();
        assert_eq!(message, "there is no column \"rmsd\"; did you mean \"rmsd_pm\"? (columns: particle, rmsd_pm)");
    }

    #[test]
    fn tables_of_other_columns_are_appended_with_empty_cells() {
        let other = Table::from_cells(vec!["found".into(), "particle".into()], vec![vec![124.into(), "FePt".into()]]);
        let both = table().appended(&other.unwrap());
        assert_eq!(both.columns(), ["particle", "rmsd_pm", "found"]);
        assert_eq!(both.rows()[2], ["FePt".into(), Value::Null, Value::from(124)]);
        assert_eq!(both.rows()[0][2], Value::Null);
    }
}
