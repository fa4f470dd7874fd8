//! One-to-one pairs between two sets of points.

use nalgebra::Vector3;
use std::collections::HashMap;

/// Edge of a cell \[Å\]: at least the largest distance ever asked for.
const CELL: f64 = 2.0;

/// Fixed points sorted into cubic cells, to find those near a place.
pub(super) struct Neighbours {
    points: Vec<Vector3<f64>>,
    cells: HashMap<[i32; 3], Vec<usize>>,
}

fn cell(point: &Vector3<f64>) -> [i32; 3] {
    [0, 1, 2].map(|axis| (point[axis] / CELL).floor() as i32)
}

impl Neighbours {
    pub fn new(points: &[Vector3<f64>]) -> Self {
        let mut cells: HashMap<[i32; 3], Vec<usize>> = HashMap::new();
        for (i, point) in points.iter().enumerate() {
            cells.entry(cell(point)).or_default().push(i);
        }
        Self { points: points.to_vec(), cells }
    }

    /// Indices and squared distances of the points within `reach` ≤ 2 Å of `place`.
    fn near(&self, place: &Vector3<f64>, reach: f64) -> Vec<(usize, f64)> {
        let mut found = Vec::new();
        let range = |axis: usize| {
            let from = ((place[axis] - reach) / CELL).floor() as i32;
            from..=((place[axis] + reach) / CELL).floor() as i32
        };
        for x in range(0) {
            for y in range(1) {
                for z in range(2) {
                    for &i in self.cells.get(&[x, y, z]).into_iter().flatten() {
                        let squared = (self.points[i] - place).norm_squared();
                        if squared <= reach * reach {
                            found.push((i, squared));
                        }
                    }
                }
            }
        }
        found.sort_by_key(|&(i, _)| i);
        found
    }

    /// Pairs (index in `moved`, index of a fixed point) within `reach` \[Å\] that are each other's nearest.
    pub fn mutual(&self, moved: &[Vector3<f64>], reach: f64) -> Vec<(usize, usize)> {
        let nearest_fixed = |place| self.near(place, reach).into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let mut nearest_moved: HashMap<usize, (usize, f64)> = HashMap::new();
        for (i, place) in moved.iter().enumerate() {
            let Some((j, squared)) = nearest_fixed(place) else { continue };
            let known = nearest_moved.get(&j).is_some_and(|&(_, known)| known <= squared);
            if !known {
                nearest_moved.insert(j, (i, squared));
            }
        }
        let mut pairs: Vec<_> = nearest_moved.into_iter().map(|(j, (i, _))| (i, j)).collect();
        pairs.sort_unstable();
        pairs
    }

    /// Pairs (index in `moved`, index of a fixed point) within `reach` \[Å\]: as many as possible, each point in one pair at most, and of all
    /// such pairings one with the least sum of squared distances.
    pub fn pairs(&self, moved: &[Vector3<f64>], reach: f64) -> Vec<(usize, usize)> {
        let edges: Vec<Vec<(usize, f64)>> = moved.iter().map(|place| self.near(place, reach)).collect();
        let mut demand = vec![0usize; self.points.len()];
        for &(j, _) in edges.iter().flatten() {
            demand[j] += 1;
        }
        let mut pairs = Vec::new();
        let mut contested = Vec::new();
        for (i, near) in edges.iter().enumerate() {
            match near[..] {
                [] => {}
                [(j, _)] if demand[j] == 1 => pairs.push((i, j)),
                _ => contested.push(i),
            }
        }
        if !contested.is_empty() {
            pairs.extend(cheapest_matching(&contested, &edges));
        }
        pairs.sort_unstable();
        pairs
    }
}

/// Largest matching of least cost between the points `rows` and those their `edges` lead to: successive shortest
/// augmenting paths, found by Bellman–Ford. The sets are small: points that compete for the same partner.
fn cheapest_matching(rows: &[usize], edges: &[Vec<(usize, f64)>]) -> Vec<(usize, usize)> {
    let mut row_of: HashMap<usize, usize> = HashMap::new();
    let mut column_of: HashMap<usize, usize> = HashMap::new();
    while let Some(path) = shortest_path(rows, edges, &row_of, &column_of) {
        for (row, column) in path {
            row_of.insert(column, row);
            column_of.insert(row, column);
        }
    }
    column_of.into_iter().collect()
}

/// The cheapest path from a free row to a free column: each step takes (row, column) into the matching, and the column's
/// former row looks for another.
fn shortest_path(
    rows: &[usize],
    edges: &[Vec<(usize, f64)>],
    row_of: &HashMap<usize, usize>,
    column_of: &HashMap<usize, usize>,
) -> Option<Vec<(usize, usize)>> {
    let mut cost_of_row: HashMap<usize, f64> =
        rows.iter().filter(|row| !column_of.contains_key(row)).map(|&row| (row, 0.0)).collect();
    let mut reached_from: HashMap<usize, (usize, f64)> = HashMap::new();
    let mut changed = true;
    while changed {
        changed = false;
        for &row in rows {
            let Some(&cost) = cost_of_row.get(&row) else { continue };
            for &(column, squared) in &edges[row] {
                let through = cost + squared;
                if reached_from.get(&column).is_some_and(|&(_, known)| known <= through + 1e-12) {
                    continue;
                }
                if column_of.get(&row) == Some(&column) {
                    continue;
                }
                reached_from.insert(column, (row, through));
                changed = true;
                if let Some(&owner) = row_of.get(&column) {
                    let own = edges[owner].iter().find(|edge| edge.0 == column).map_or(0.0, |edge| edge.1);
                    cost_of_row.insert(owner, through - own);
                }
            }
        }
    }
    let free = reached_from.iter().filter(|(column, _)| !row_of.contains_key(column));
    let (&end, _) = free.min_by(|a, b| a.1.1.total_cmp(&b.1.1).then(a.0.cmp(b.0)))?;
    let mut path = Vec::new();
    let mut column = end;
    loop {
        let (row, _) = reached_from[&column];
        path.push((row, column));
        match column_of.get(&row) {
            Some(&previous) => column = previous,
            None => return Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use rand::RngExt;

    /// Best (pairs, −cost) by trying everything.
    fn exhaustive(moved: &[Vector3<f64>], fixed: &[Vector3<f64>], used: &mut Vec<bool>, reach: f64) -> (usize, f64) {
        let Some((first, rest)) = moved.split_first() else { return (0, 0.0) };
        let mut best = exhaustive(rest, fixed, used, reach);
        for j in 0..fixed.len() {
            let squared = (first - fixed[j]).norm_squared();
            if !used[j] && squared <= reach * reach {
                used[j] = true;
                let (pairs, cost) = exhaustive(rest, fixed, used, reach);
                used[j] = false;
                if (pairs + 1, -(cost + squared)) > (best.0, -best.1) {
                    best = (pairs + 1, cost + squared);
                }
            }
        }
        best
    }

    #[test]
    fn crowded_points_are_paired_as_by_trying_everything() {
        for index in 0..200 {
            let mut rng = random::stream(5, "crowd", index);
            let mut cloud = |n: usize| -> Vec<Vector3<f64>> {
                (0..n).map(|_| Vector3::from_fn(|_, _| rng.random::<f64>() * 1.6)).collect()
            };
            let (moved, fixed) = (cloud(6), cloud(7));
            let pairs = Neighbours::new(&fixed).pairs(&moved, 0.7);
            let cost: f64 = pairs.iter().map(|&(i, j)| (moved[i] - fixed[j]).norm_squared()).sum();
            let (count, least) = exhaustive(&moved, &fixed, &mut vec![false; fixed.len()], 0.7);
            assert_eq!(pairs.len(), count, "cloud {index}");
            assert!((cost - least).abs() < 1e-9, "cloud {index}: {cost} against {least}");
        }
    }
}
