//! Tables as Markdown, for notes and web pages.

use super::Table;
use crate::plot::Sheet;

impl Table {
    /// The table in Markdown, cells as they are printed; columns of numbers are aligned to the right.
    pub fn to_markdown(&self) -> String {
        let Sheet { columns, rows } = self.to_sheet();
        let cell = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let names = line(columns.iter().map(|(name, _)| cell(name)).collect());
        let rule = line(columns.iter().map(|(_, is_number)| if *is_number { "---:" } else { "---" }.into()).collect());
        let rows = rows.into_iter().map(|row| line(row.iter().map(|text| cell(text)).collect()));
        [names, rule].into_iter().chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Table;

    #[test]
    fn cells_do_not_break_the_table() {
        let rows = vec![vec![json!("Fe|Pt"), json!(2.125)], vec![json!("two\nlines"), json!(null)]];
        let table = Table::from_cells(vec!["particle".into(), "RMSD [pm]".into()], rows).unwrap();
        let expected = "| particle | RMSD [pm] |\n| --- | ---: |\n| Fe\\|Pt | 2.125 |\n| two lines |  |\n";
        assert_eq!(table.to_markdown(), expected);
    }
}
