//! Tables as comma-separated values (RFC 4180).

use serde_json::Value;

use super::{Table, TableError};

impl Table {
    /// The table as comma-separated values with a header; numbers with all their digits, empty cells as nothing.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let cell = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let lines = std::iter::once(self.columns.to_vec())
            .chain(self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>()));
        for line in lines {
            writer.write_record(&line).expect("every row is as long as the header, and memory takes all");
        }
        let bytes = writer.into_inner().expect("memory takes all");
        String::from_utf8(bytes).expect("it was made of texts")
    }

    /// Reads comma-separated values with a header. Of a column whose cells are all numbers, or empty, these are read as such; so are `true` and `false`.
    /// Numbers that are not finite become empty cells.
    ///
    /// # Errors
    /// If a row is longer or shorter than the header, or a name is there twice.
    pub fn from_csv(text: &str) -> Result<Self, TableError> {
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let broken = |error: csv::Error| TableError::Csv(error.to_string());
        let columns: Vec<String> =
            reader.headers().map_err(broken)?.iter().map(|name| name.trim().to_owned()).collect();
        let lines = reader.into_records().collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let mut rows = vec![Vec::with_capacity(columns.len()); lines.len()];
        for i in 0..columns.len() {
            let texts: Vec<&str> = lines.iter().map(|line| &line[i]).collect();
            rows.iter_mut().zip(cells(&texts)).for_each(|(row, cell)| row.push(cell));
        }
        Self::from_cells(columns, rows)
    }
}

/// The values of one column.
fn cells(texts: &[&str]) -> Vec<Value> {
    fn all(texts: &[&str], read: impl Fn(&str) -> Option<Value>) -> Option<Vec<Value>> {
        texts.iter().map(|text| if text.trim().is_empty() { Some(Value::Null) } else { read(text.trim()) }).collect()
    }
    let integer = |text: &str| text.parse::<i64>().ok().map(Value::from);
    let number = |text: &str| integer(text).or_else(|| text.parse::<f64>().ok().map(Value::from));
    let boolean = |text: &str| text.parse::<bool>().ok().map(Value::from);
    let text = |text: &&str| if text.is_empty() { Value::Null } else { (*text).into() };
    all(texts, number).or_else(|| all(texts, boolean)).unwrap_or_else(|| texts.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let columns = ["name", "x", "n", "good"].map(str::to_owned).to_vec();
        let rows = vec![
            vec!["a, \"b\"\nc".into(), (1.0 / 3.0).into(), 1.into(), true.into()],
            vec!["7".into(), 1e-300.into(), (-2).into(), Value::Null],
            vec!["Å".into(), 10.0.into(), Value::Null, false.into()],
        ];
        let table = Table::from_cells(columns, rows).unwrap();
        let text = table.to_csv();
        assert!(text.starts_with("name,x,n,good\n\"a, \"\"b\"\"\nc\",0.3333333333333333,1,true\n"), "{text}");
        assert_eq!(Table::from_csv(&text).unwrap(), table);
    }

    #[test]
    fn broken_rows_are_refused_and_spaces_and_nan_are_not() {
        let message = Table::from_csv("a,b\n1,2\n3\n").unwrap_err().to_string();
        assert!(message.contains("line: 3") && message.contains("1 fields"), "{message}");
        assert_eq!(Table::from_csv("a,a\n1,2\n"), Err(TableError::Twice("a".into())));
        let table = Table::from_csv("\u{feff}a , b\r\n 1, nan\r\n2.5,3\r\n").unwrap();
        assert_eq!(table.to_json().to_string(), r#"[{"a":1,"b":null},{"a":2.5,"b":3}]"#);
    }
}
