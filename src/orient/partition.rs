//! The sphere, or the half of it with z > 0, cut into cells of equal area.

use std::f64::consts::{PI, TAU};

use nalgebra::Vector3;

/// Cells of equal area in rings about z: a cap at the pole, collars of nearly square cells, and on the whole sphere a second cap
/// (recursive zonal equal-area partition; Leopardi, Electron. Trans. Numer. Anal. 25 (2006) 309, on S²; for the half sphere the collars end at the equator).
#[derive(Debug, Clone)]
pub struct Partition {
    rings: Vec<Ring>,
    /// Height along z that a cell's area takes of the sphere: area = 2π·height.
    height: f64,
    len: usize,
}

#[derive(Debug, Clone)]
struct Ring {
    /// Index of its first cell.
    first: usize,
    cells: usize,
    /// Azimuth at which its first cell begins \[turns\].
    offset: f64,
    is_cap: bool,
}

impl Partition {
    /// `count` cells of the half sphere z > 0 or of all of it.
    pub fn new(count: usize, half: bool) -> Self {
        let extent = if half { 1.0 } else { 2.0 };
        let height = extent / count.max(1) as f64;
        let mut partition = Self { rings: Vec::new(), height, len: 0 };
        let caps = if half || count < 2 { count.min(1) } else { 2 };
        partition.push((caps > 0) as usize, true);
        for cells in collars(count - caps, caps, height, half) {
            partition.push(cells, false);
        }
        if caps == 2 {
            partition.push(1, true);
        }
        partition
    }

    fn push(&mut self, cells: usize, is_cap: bool) {
        if cells == 0 {
            return;
        }
        // turned so that the centres of neighbouring collars lie between each other
        let offset = match self.rings.last() {
            Some(above) if !above.is_cap && !is_cap => {
                let (top, bottom) = (above.cells as f64, cells as f64);
                let between = greatest_common_divisor(above.cells, cells) as f64 / (2.0 * top * bottom);
                (above.offset + (1.0 / top - 1.0 / bottom) / 2.0 + between).fract()
            }
            _ => 0.0,
        };
        self.rings.push(Ring { first: self.len, cells, offset, is_cap });
        self.len += cells;
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Solid angle of a cell \[sr\].
    pub fn cell_area(&self) -> f64 {
        TAU * self.height
    }

    /// Height z of the upper edge of what follows `cells` cells.
    fn edge(&self, cells: usize) -> f64 {
        (1.0 - cells as f64 * self.height).max(-1.0)
    }

    /// Height z and azimuth \[rad\] of the middle of a cell: halfway between its edges in angle; a cap's pole.
    pub fn centre(&self, cell: usize) -> (f64, f64) {
        let ring = &self.rings[self.rings.partition_point(|ring| ring.first <= cell) - 1];
        if ring.is_cap {
            return (if ring.first == 0 { 1.0 } else { -1.0 }, 0.0);
        }
        let colatitude = (self.edge(ring.first).acos() + self.edge(ring.first + ring.cells).acos()) / 2.0;
        let turns = ring.offset + ((cell - ring.first) as f64 + 0.5) / ring.cells as f64;
        (colatitude.cos(), TAU * turns)
    }

    /// The cell that holds a direction; on half a sphere a direction below the equator counts as the opposite one.
    ///
    /// # Panics
    /// If there are no cells.
    pub fn cell_of(&self, direction: &Vector3<f64>) -> usize {
        let folded = self.edge(self.len) > -0.5 && direction.z < 0.0;
        let v = if folded { -direction } else { *direction };
        let above = ((1.0 - v.z) / self.height) as usize;
        let ring = &self.rings[self.rings.partition_point(|ring| ring.first <= above.min(self.len - 1)) - 1];
        let turns = (v.y.atan2(v.x) / TAU - ring.offset).rem_euclid(1.0);
        ring.first + ((turns * ring.cells as f64) as usize).min(ring.cells - 1)
    }
}

/// Numbers of cells of the collars below the upper cap, `count` in all.
fn collars(count: usize, caps: usize, height: f64, half: bool) -> Vec<usize> {
    let cap = (1.0 - height).acos();
    let span = if half { PI / 2.0 - cap } else { PI - 2.0 * cap };
    if count == 0 || caps == 0 {
        return Vec::new();
    }
    let number = (span / (TAU * height).sqrt()).round().max(1.0) as usize;
    let angle = span / number as f64;
    let edge = |collar: usize| (cap + collar as f64 * angle).cos();
    let (mut carried, mut left) = (0.0, count);
    (0..number)
        .map(|collar| {
            let ideal = (edge(collar) - edge(collar + 1)) / height;
            let cells = if collar + 1 == number { left } else { ((ideal + carried).round() as usize).min(left) };
            carried += ideal - cells as f64;
            left -= cells;
            cells
        })
        .collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn every_count_is_met_and_every_centre_lies_in_its_cell() {
        for half in [true, false] {
            assert!(Partition::new(0, half).is_empty());
            for count in (1..200).chain([997, 3000, 10_000]) {
                let partition = Partition::new(count, half);
                assert_eq!(partition.len(), count);
                for cell in 0..count {
                    let (z, azimuth) = partition.centre(cell);
                    let ring = (1.0 - z * z).sqrt();
                    let centre = Vector3::new(ring * azimuth.cos(), ring * azimuth.sin(), z);
                    assert_eq!(partition.cell_of(&centre), cell, "{count} cells, half {half}");
                }
            }
        }
    }

    #[test]
    fn uniformly_random_directions_fall_into_all_cells_alike() {
        for half in [true, false] {
            let partition = Partition::new(100, half);
            let mut counts = vec![0usize; 100];
            let mut rng = random::stream(5, "partition test", 0);
            for _ in 0..100_000 {
                counts[partition.cell_of(&(random::rotation(&mut rng) * Vector3::z()))] += 1;
            }
            // 99 degrees of freedom: 99 ± 14
            let chi2: f64 = counts.iter().map(|&n| (n as f64 - 1000.0).powi(2) / 1000.0).sum();
            assert!((50.0..160.0).contains(&chi2), "half {half}: chi² {chi2}");
        }
    }
}
