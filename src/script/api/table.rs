//! `table::` tables of results.

use rhai::plugin::*;

use crate::script::diagnostic::a;

/// Tables of results: to filter, sort and average, to print, to plot, to save.
#[export_module(manifest)]
pub mod api {
    use rhai::{Array, FnPtr, Map};

    use crate::script::diagnostic::a;
    use crate::script::table::{from_cell, to_cell};
    use crate::script::{ScriptResult, Table, fault, limits, readable, saved, stored, writable};
    use crate::store::{self, Value};

    /// Makes a table from the names of its columns and its rows.
    ///
    /// Every row is an array with one value a column: a number, a string, true, false or `()` (an empty cell).
    ///
    /// ```rhai
    /// let t = table::from_rows(["particle", "rmsd_pm"], [["FePt", 2.1], ["PbSe", 2.7]]);
    /// print(t);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_rows(columns: Array, rows: Array) -> ScriptResult<Table> {
        Table::new(super::names(columns)?, &rows)
    }

    /// Reads a table that was saved: `.csv` with a header, or `.h5` that holds exactly one.
    ///
    /// In CSV a column whose cells are all numbers, all true or false, or empty is read as such, any other as strings. A row that is longer or shorter than the
    /// header is an error.
    ///
    /// ```rhai
    /// table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 2.2]]).save("seeds.csv");
    /// print(table::read("seeds.csv").column("rmsd_pm"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(call: NativeCallContext, path: &str) -> ScriptResult<Table> {
        let file = readable(&call, path)?;
        let broken = |problem| fault(format!("cannot read the table {path}: {problem}"));
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => {
                let text = limits::read_text(&file).map_err(|error| broken(error.to_string()))?;
                Table::from_csv(&text).map_err(|error| broken(error.to_string()))
            }
            Some("h5" | "hdf5") => stored::table(store::read_table(&file).map_err(fault)?).map_err(broken),
            _ => Err(fault(format!("a table is read from .csv or .h5, not from {path:?}"))),
        }
    }

    /// The number of rows.
    ///
    /// ```rhai
    /// print(table::from_rows(["a"], [[1], [2]]).len());
    /// ```
    #[rhai_fn(global)]
    pub fn len(table: Table) -> i64 {
        table.rows().len() as i64
    }

    /// The names of the columns, in order.
    ///
    /// ```rhai
    /// print(table::from_rows(["seed", "rmsd_pm"], [[1, 2.1]]).columns());
    /// ```
    #[rhai_fn(global)]
    pub fn columns(table: Table) -> Array {
        table.columns().iter().map(|name| name.into()).collect()
    }

    /// The values of one column, as an array; an empty cell is `()`.
    ///
    /// A name that no column has is an error that names the nearest.
    ///
    /// ```rhai
    /// print(table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 2.2]]).column("rmsd_pm"));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn column(table: Table, name: &str) -> ScriptResult<Array> {
        Ok(table.column(name).map_err(fault)?.map(from_cell).collect())
    }

    /// One row, as a map from the names of the columns to its values.
    ///
    /// * `index`: from 0; −1 is the last.
    ///
    /// ```rhai
    /// let best = table::from_rows(["seed", "rmsd_pm"], [[1, 2.3], [2, 2.2]]).sort("rmsd_pm").row(0);
    /// print(best.seed);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn row(table: Table, index: i64) -> ScriptResult<Map> {
        let count = table.rows().len();
        let place = usize::try_from(if index < 0 { index.saturating_add(count as i64) } else { index });
        let row = place.ok().and_then(|place| table.row(place));
        row.ok_or_else(|| fault(format!("there is no row {index}: the table has {count}")))
    }

    /// All rows, each as a map from the names of the columns to its values.
    ///
    /// ```rhai
    /// for row in table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 2.2]]).rows() { print(`${row.seed}: ${row.rmsd_pm}`); }
    /// ```
    #[rhai_fn(global)]
    pub fn rows(table: Table) -> Array {
        (0..table.rows().len()).filter_map(|i| table.row(i)).map(Dynamic::from_map).collect()
    }

    /// The rows for which a closure gives true.
    ///
    /// * `closure`: `|row| …`, of a map from the names of the columns to the values of the row.
    ///
    /// ```rhai
    /// let t = table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 22.0], [3, ()]]);
    /// print(t.filter(|row| row.rmsd_pm != () && row.rmsd_pm < 10));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn filter(call: NativeCallContext, table: Table, closure: FnPtr) -> ScriptResult<Table> {
        table.filtered(|row| {
            let kept = closure.call_within_context::<Dynamic>(&call, (row,))?;
            kept.as_bool().map_err(|kind| fault(format!("the closure of filter gives true or false, not {}", a(kind))))
        })
    }

    /// The rows by the values of a column, the smallest first.
    ///
    /// Numbers stand before strings, these before true and false, empty cells last; rows of one value keep their order.
    ///
    /// ```rhai
    /// print(table::from_rows(["seed", "rmsd_pm"], [[1, 2.3], [2, 2.2]]).sort("rmsd_pm"));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn sort(table: Table, column: &str) -> ScriptResult<Table> {
        table.sorted(column).map_err(fault)
    }

    /// One row for all rows that agree in some columns, with means and standard deviations of the others.
    ///
    /// * `columns`: names, such as `["low_pass"]`.
    ///
    /// Of every other column of numbers, say `rmsd_pm`, there are the mean `rmsd_pm` and the standard deviation of the sample `rmsd_pm_sd` (empty for a single
    /// number); empty cells do not count. `n` is the number of rows. Columns of other values are left out. Groups stand in the order in which they are met.
    ///
    /// ```rhai
    /// let t = table::from_rows(["low_pass", "seed", "rmsd_pm"], [[1.0, 1, 2.1], [1.0, 2, 2.3], [1.5, 1, 4.0]]);
    /// print(t.group(["low_pass"]));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn group(table: Table, columns: Array) -> ScriptResult<Table> {
        table.grouped(&super::names(columns)?).map_err(fault)
    }

    #[rhai_fn(global, name = "group", return_raw)]
    pub fn group_by_one(table: Table, column: &str) -> ScriptResult<Table> {
        table.grouped(&[column.to_owned()]).map_err(fault)
    }

    /// The table with one column more, or with other values in one that it has.
    ///
    /// * `values`: an array with one value a row, or a closure `|row| …` that gives it.
    ///
    /// ```rhai
    /// let t = table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 22.0]]);
    /// print(t.with_column("rmsd_A", |row| row.rmsd_pm / 100).with_column("good", [true, false]));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn with_column(table: Table, name: &str, values: Array) -> ScriptResult<Table> {
        let cells = values.iter().map(|value| to_cell(value).map_err(fault)).collect::<ScriptResult<_>>()?;
        table.with_column(name, cells).map_err(fault)
    }

    #[rhai_fn(global, name = "with_column", return_raw)]
    pub fn with_computed_column(
        call: NativeCallContext,
        table: Table,
        name: &str,
        closure: FnPtr,
    ) -> ScriptResult<Table> {
        let values = rows(table.clone()).into_iter();
        let values = values.map(|row| closure.call_within_context::<Dynamic>(&call, (row,)));
        with_column(table, name, values.collect::<ScriptResult<_>>()?)
    }

    /// The rows of one table, then those of another.
    ///
    /// A column that only one of them has is empty in the rows of the other.
    ///
    /// ```rhai
    /// let t = table::from_rows(["seed", "rmsd_pm"], [[1, 2.1]]);
    /// print(t.append(table::from_rows(["seed", "found"], [[2, 124]])));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn append(table: Table, other: Table) -> ScriptResult<Table> {
        Ok(table.appended(&other))
    }

    /// The table as text, with aligned columns.
    ///
    /// ```rhai
    /// print(table::from_rows(["particle", "rmsd_pm"], [["FePt", 2.1]]).to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(table: Table) -> String {
        table.to_string()
    }

    /// One line: how many rows, and the names of the columns.
    ///
    /// ```rhai
    /// print(table::from_rows(["a"], [[1], [2]]).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(table: Table) -> String {
        format!("table of {} rows: {}", table.rows().len(), table.columns().join(", "))
    }

    /// Saves a table as comma-separated values (`.csv`), Markdown (`.md`), JSON (`.json`) or HDF5 (`.h5`), as the name of the file ends.
    ///
    /// Numbers keep all their digits, six of them in Markdown, which is for readers. Any other ending is an error, and so is a folder that does not exist or cannot be written.
    ///
    /// ```rhai
    /// table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 2.2]]).save("seeds.csv");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, table: Table, path: &str) -> ScriptResult<()> {
        let file = writable(&call, path)?;
        let saved = match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => store::write_text(&file, &table.to_csv()),
            Some("md") => store::write_text(&file, &table.to_markdown()),
            Some("json") => store::write_text(&file, &format!("{:#}\n", table.to_json())),
            _ => return saved(&call, path, Value::Table(stored::columns(&table))),
        };
        saved.map_err(fault)
    }
}

/// The names of columns.
fn names(columns: rhai::Array) -> crate::script::ScriptResult<Vec<String>> {
    let wrong = |kind| crate::script::fault(format!("the name of a column is a string, not {}", a(kind)));
    columns.into_iter().map(|name| name.into_string().map_err(wrong)).collect()
}
