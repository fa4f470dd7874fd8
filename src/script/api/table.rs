//! `table::` small tables of results.

use rhai::plugin::*;

/// Small tables of results, to print or to save.
#[export_module(manifest)]
pub mod api {

    use rhai::Array;

    use crate::script::diagnostic::a;
    use crate::script::help::type_in_words;
    use crate::script::{ScriptResult, Table, fault, writable};

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
        let names = columns.into_iter().map(|name| name.into_string());
        let names = names.collect::<Result<Vec<_>, _>>();
        let wrong = |kind| fault(format!("the name of a column is a string, not {}", a(type_in_words(kind))));
        Table::new(names.map_err(wrong)?, &rows)
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

    /// Saves a table as comma-separated values (`.csv`) or as JSON (`.json`), as the name of the file ends.
    ///
    /// Any other ending is an error, and so is a folder that does not exist or cannot be written.
    ///
    /// ```rhai
    /// table::from_rows(["seed", "rmsd_pm"], [[1, 2.1], [2, 2.2]]).save("seeds.csv");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, table: Table, path: &str) -> ScriptResult<()> {
        let file = writable(&call, path)?;
        let text = match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => table.to_csv(),
            Some("json") => format!("{:#}\n", table.to_json()),
            _ => return Err(fault(format!("a table is saved as .csv or .json, not as {path:?}"))),
        };
        crate::store::write_text(&file, &text).map_err(fault)
    }
}
