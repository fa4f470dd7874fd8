//! Which atoms are near each other, by sorting them into cubes of one edge.

use std::collections::HashMap;

use nalgebra::Point3;

/// Points by the cube they lie in.
struct Grid<'a> {
    points: &'a [Point3<f64>],
    edge: f64,
    cubes: HashMap<[i64; 3], Vec<usize>>,
}

impl<'a> Grid<'a> {
    fn new(points: &'a [Point3<f64>], edge: f64) -> Self {
        let mut cubes: HashMap<_, Vec<usize>> = HashMap::new();
        for (i, point) in points.iter().enumerate() {
            cubes.entry(cube(point, edge)).or_default().push(i);
        }
        Self { points, edge, cubes }
    }

    /// Indices of the points in the cube of point `i` and the 26 cubes around it, `i` excepted.
    fn around(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        let [x, y, z] = cube(&self.points[i], self.edge);
        let offsets = (0..27).map(move |n| [x + n % 3 - 1, y + n / 3 % 3 - 1, z + n / 9 - 1]);
        offsets.filter_map(|key| self.cubes.get(&key)).flatten().copied().filter(move |&j| j != i)
    }
}

fn cube(point: &Point3<f64>, edge: f64) -> [i64; 3] {
    std::array::from_fn(|axis| (point[axis] / edge).floor() as i64)
}

/// For every point, the indices of the others within `cutoff` \[Å\].
pub fn within(points: &[Point3<f64>], cutoff: f64) -> Vec<Vec<usize>> {
    let grid = Grid::new(points, cutoff);
    let near = |i: usize, j: usize| (points[i] - points[j]).norm() <= cutoff;
    (0..points.len()).map(|i| grid.around(i).filter(|&j| near(i, j)).collect()).collect()
}

/// Two points within `cutoff` \[Å\] of each other, if there are such; the index of the first is the lowest of all that have one so near.
pub fn pair_within(points: &[Point3<f64>], cutoff: f64) -> Option<(usize, usize)> {
    let grid = Grid::new(points, cutoff);
    let near = |i: usize, j: usize| (points[i] - points[j]).norm() <= cutoff;
    (0..points.len()).find_map(|i| grid.around(i).find(|&j| near(i, j)).map(|j| (i, j)))
}

/// Smallest distance between two points; infinite if there are fewer than two.
pub fn smallest_distance(points: &[Point3<f64>]) -> f64 {
    let mut order: Vec<&Point3<f64>> = points.iter().collect();
    order.sort_by(|p, q| p.x.total_cmp(&q.x));
    let mut smallest = f64::INFINITY;
    for (i, p) in order.iter().enumerate() {
        let reach = smallest;
        for q in order[i + 1..].iter().take_while(|q| q.x - p.x < reach) {
            smallest = smallest.min((*q - *p).norm());
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::stream;

    #[test]
    fn sorting_into_cubes_finds_the_pairs_of_a_double_loop() {
        let mut rng = stream(3, "test", 0);
        let points: Vec<_> =
            (0..300).map(|_| Point3::from(std::array::from_fn(|_| 12.0 * rng.random::<f64>() - 6.0))).collect();
        let lists = within(&points, 1.7);
        let mut smallest = f64::INFINITY;
        for (i, p) in points.iter().enumerate() {
            let expected: Vec<_> = (0..points.len()).filter(|&j| j != i && (points[j] - p).norm() <= 1.7).collect();
            let mut found = lists[i].clone();
            found.sort_unstable();
            assert_eq!(found, expected);
            smallest = (0..i).map(|j| (points[j] - p).norm()).fold(smallest, f64::min);
        }
        assert_eq!(smallest_distance(&points), smallest);
        let (i, j) = pair_within(&points, 1.7).unwrap();
        assert!(lists[..i].iter().all(Vec::is_empty) && lists[i].contains(&j));
        assert_eq!(pair_within(&points, 0.999 * smallest), None);
        let (i, j) = pair_within(&points, 1.001 * smallest).unwrap();
        assert_eq!((points[i] - points[j]).norm(), smallest);
    }

    #[test]
    fn a_pair_of_very_many_points_in_one_place_is_found_at_once() {
        assert_eq!(pair_within(&vec![Point3::origin(); 1_000_000], 0.5), Some((0, 1)));
        assert_eq!(pair_within(&[Point3::origin()], 0.5), None);
    }
}
