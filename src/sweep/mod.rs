//! Sweeps: one run for every combination of parameters.
//!
//! [`grid`] lists the combinations. Their order is fixed, so that run 17 of a sweep means the same today and tomorrow:
//! the parameters are sorted by name, the last of them varies fastest, and values keep the order they are given in.

/// Why a grid cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("parameter {0:?} has no values; give it at least one")]
    NoValues(String),
    #[error("the grid has more than {} combinations; take fewer values", MAX_COMBINATIONS)]
    TooMany,
}

/// A larger grid is a mistake, and would only fill the memory.
pub const MAX_COMBINATIONS: usize = 1_000_000;

/// Every combination of the values of `parameters` (name, values), as lists of (name, value).
///
/// Parameters come sorted by name, the last varies fastest. No parameters give one empty combination.
///
/// # Errors
/// If a parameter has no values, or there are more than [`MAX_COMBINATIONS`].
pub fn grid<T: Clone>(parameters: &[(String, Vec<T>)]) -> Result<Vec<Vec<(String, T)>>, Error> {
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut combinations = vec![Vec::new()];
    for (name, values) in sorted {
        if values.is_empty() {
            return Err(Error::NoValues(name.clone()));
        }
        if combinations.len() * values.len() > MAX_COMBINATIONS {
            return Err(Error::TooMany);
        }
        combinations =
            combinations.iter().flat_map(|start| values.iter().map(|value| extended(start, name, value))).collect();
    }
    Ok(combinations)
}

fn extended<T: Clone>(start: &[(String, T)], name: &str, value: &T) -> Vec<(String, T)> {
    let mut combination = start.to_vec();
    combination.push((name.to_owned(), value.clone()));
    combination
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(list: &[(&str, &[i32])]) -> Vec<(String, Vec<i32>)> {
        list.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect()
    }

    #[test]
    fn the_last_parameter_by_name_varies_fastest() {
        let all = grid(&parameters(&[("seed", &[1, 2]), ("low_pass", &[10, 12, 14])])).unwrap();
        let values: Vec<(i32, i32)> = all.iter().map(|run| (run[0].1, run[1].1)).collect();
        assert_eq!(values, [(10, 1), (10, 2), (12, 1), (12, 2), (14, 1), (14, 2)]);
        assert!(all.iter().all(|run| run[0].0 == "low_pass" && run[1].0 == "seed"));
    }

    #[test]
    fn empty_and_endless_grids_are_refused() {
        assert_eq!(grid(&parameters(&[("seed", &[])])), Err(Error::NoValues("seed".into())));
        let many = vec![0; 2000];
        assert_eq!(grid(&parameters(&[("a", &many), ("b", &many)])), Err(Error::TooMany));
        assert_eq!(grid::<i32>(&[]).unwrap(), vec![Vec::new()]);
    }
}
