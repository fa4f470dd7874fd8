//! Columns of a table as curves: one value against another.

use serde_json::Value;

use super::group::{Spread, alike};
use super::{Table, TableError};
use crate::plot::Curve;

impl Table {
    /// The column `y` against the column `x`: one curve, or one for each value of the column `by`; rows that have no number in
    /// one of the two are left out.
    ///
    /// Of several rows with one `x` in a curve it is the mean, with the standard deviation of the sample; of a single one the deviation is that of
    /// the column `y_sd`, if there is one.
    ///
    /// # Errors
    /// If a column is not there.
    pub fn curves(&self, x: &str, y: &str, by: Option<&str>) -> Result<Vec<Curve>, TableError> {
        let (x, y_place) = (self.place(x)?, self.place(y)?);
        let deviation = self.place(&format!("{y}_sd")).ok();
        let by = by.map(|name| self.place(name)).transpose()?;
        let mut curves: Vec<(Value, Vec<Point>)> = Vec::new();
        for row in self.rows.iter() {
            let (Some(x), Some(y)) = (row[x].as_f64(), row[y_place].as_f64()) else { continue };
            let known = deviation.and_then(|place| row[place].as_f64());
            let label = by.map(|place| row[place].clone()).unwrap_or_default();
            let place =
                curves.iter().position(|(other, _)| alike(std::slice::from_ref(other), std::slice::from_ref(&label)));
            let place = place.unwrap_or_else(|| {
                curves.push((label, Vec::new()));
                curves.len() - 1
            });
            let points = &mut curves[place].1;
            match points.iter_mut().find(|point| point.x == x) {
                Some(point) => point.values.push(y),
                None => points.push(Point { x, values: vec![y], known }),
            }
        }
        let name = by.map(|place| self.columns[place].as_str()).unwrap_or_default();
        Ok(curves.into_iter().map(|(label, points)| averages(name, &label, points)).collect())
    }
}

/// All that is known at one place of a curve.
struct Point {
    x: f64,
    values: Vec<f64>,
    /// The standard deviation that the table itself gives.
    known: Option<f64>,
}

fn averages(name: &str, label: &Value, mut points: Vec<Point>) -> Curve {
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let spreads: Vec<Spread> = points.iter().filter_map(|point| Spread::of(&point.values)).collect();
    let deviation = |(point, spread): (&Point, &Spread)| spread.deviation.or(point.known).unwrap_or(0.0);
    let label = match label {
        Value::Null if name.is_empty() => String::new(),
        Value::Null => format!("no {name}"),
        Value::String(text) => text.clone(),
        other => format!("{name} {other}"),
    };
    Curve {
        label,
        x: points.iter().map(|point| point.x).collect(),
        y: spreads.iter().map(|spread| spread.mean).collect(),
        error: points.iter().zip(&spreads).map(deviation).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[f64]]) -> Table {
        let rows = rows.iter().map(|row| row.iter().map(|&cell| cell.into()).collect()).collect();
        Table::from_cells(columns.iter().map(|&name| name.to_owned()).collect(), rows).unwrap()
    }

    #[test]
    fn rows_at_one_place_are_averaged_and_groups_are_curves() {
        let table = table(&["x", "y", "seed"], &[&[2.0, 5.0, 1.0], &[1.0, 3.0, 1.0], &[2.0, 7.0, 2.0]]);
        let [all] = &table.curves("x", "y", None).unwrap()[..] else { panic!("one curve") };
        assert_eq!((&all.x, &all.y), (&vec![1.0, 2.0], &vec![3.0, 6.0]));
        assert_eq!(all.error, [0.0, 2.0f64.sqrt()]);
        let by_seed = table.curves("x", "y", Some("seed")).unwrap();
        let labels: Vec<&str> = by_seed.iter().map(|curve| curve.label.as_str()).collect();
        assert_eq!(labels, ["seed 1.0", "seed 2.0"]);
        assert!(matches!(table.curves("x", "z", None), Err(TableError::Unknown { .. })));
    }

    #[test]
    fn deviations_that_a_grouped_table_holds_are_used() {
        let table = table(&["x", "y", "y_sd", "n"], &[&[1.0, 3.0, 0.5, 4.0], &[2.0, 5.0, 0.25, 4.0]]);
        assert_eq!(table.curves("x", "y", None).unwrap()[0].error, [0.5, 0.25]);
    }
}
