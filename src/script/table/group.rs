//! Rows that agree in some columns as one row of means.

use serde_json::Value;

use super::{Table, TableError};

/// Mean and standard deviation of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// Of the sample, with n − 1 in the denominator; `None` for one number.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Of some numbers; `None` if there are none.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let count = numbers.len() as f64;
        if numbers.is_empty() {
            return None;
        }
        let mean = numbers.iter().sum::<f64>() / count;
        let squares = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
        Some(Self { mean, deviation: (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) })
    }
}

impl Table {
    /// One row for all rows that have the same values in the columns `by`, in the order in which they are met: these values, then of every other
    /// column of numbers `x` the mean `x` and the standard deviation `x_sd`, then `n`, how many rows there were.
    ///
    /// Empty cells do not count in a mean; the deviation of a single number is empty.
    ///
    /// # Errors
    /// If a column is not there, or the names of the new ones collide.
    pub fn grouped(&self, by: &[String]) -> Result<Self, TableError> {
        let by = by.iter().map(|name| self.place(name)).collect::<Result<Vec<_>, _>>()?;
        let averaged: Vec<usize> = (0..self.columns.len())
            .filter(|place| !by.contains(place))
            .filter(|&place| self.is_numeric(place))
            .collect();
        let mut groups: Vec<(Vec<Value>, Vec<&Vec<Value>>)> = Vec::new();
        for row in self.rows.iter() {
            let key: Vec<Value> = by.iter().map(|&place| row[place].clone()).collect();
            match groups.iter_mut().find(|(other, _)| alike(other, &key)) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        let name = |&place: &usize| self.columns[place].clone();
        let mut columns: Vec<String> = by.iter().map(name).collect();
        columns.extend(averaged.iter().flat_map(|place| [name(place), name(place) + "_sd"]));
        columns.push("n".into());
        let row = |(key, rows): (Vec<Value>, Vec<&Vec<Value>>)| {
            let mut cells = key;
            for &place in &averaged {
                let numbers: Vec<f64> = rows.iter().filter_map(|row| row[place].as_f64()).collect();
                let spread = Spread::of(&numbers);
                cells.push(spread.map(|spread| spread.mean).into());
                cells.push(spread.and_then(|spread| spread.deviation).into());
            }
            cells.push(rows.len().into());
            cells
        };
        Self::from_cells(columns, groups.into_iter().map(row).collect())
    }
}

/// Whether cells are the same: 1 and 1.0 are.
pub(super) fn alike(some: &[Value], others: &[Value]) -> bool {
    let same = |(a, b): (&Value, &Value)| a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b);
    some.iter().zip(others).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_means_deviations_and_counts() {
        let columns = ["low_pass", "seed", "rmsd_pm", "verdict"].map(str::to_owned).to_vec();
        let row = |low_pass: f64, seed: i64, rmsd: Option<f64>| {
            vec![low_pass.into(), seed.into(), rmsd.into(), "good".into()]
        };
        let rows = vec![
            row(2.0, 1, Some(5.0)),
            row(1.5, 1, Some(2.0)),
            row(2.0, 2, Some(7.0)),
            vec![2.into(), 3.into(), 9.0.into(), "bad".into()],
            row(3.0, 1, None),
        ];
        let grouped = Table::from_cells(columns, rows).unwrap().grouped(&["low_pass".into()]).unwrap();
        assert_eq!(grouped.columns(), ["low_pass", "seed", "seed_sd", "rmsd_pm", "rmsd_pm_sd", "n"]);
        assert_eq!(grouped.rows()[0], [2.0.into(), 2.0.into(), 1.0.into(), 7.0.into(), 2.0.into(), Value::from(3)]);
        assert_eq!(grouped.rows()[1], [1.5.into(), 1.0.into(), Value::Null, 2.0.into(), Value::Null, Value::from(1)]);
        assert_eq!(grouped.rows()[2][3..], [Value::Null, Value::Null, Value::from(1)]);
    }
}
