//! Local maxima of a density.

use nalgebra::Vector3;
use ndarray::Array3;
use rayon::prelude::*;

/// A local maximum: where [Å from the centre] and how high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Maximum {
    pub position: Vector3<f64>,
    pub height: f64,
}

/// Positive voxels higher than their 26 neighbours, within `radius` of the centre, at least `separation` apart (the higher
/// one stays), highest first. Lengths in Å; `voxel` is the edge of a voxel.
pub(super) fn find(density: &Array3<f32>, voxel: f64, radius: f64, separation: f64) -> Vec<Maximum> {
    let n = density.dim().0;
    let center = (n / 2) as f64;
    let planes: Vec<Vec<Maximum>> = (1..n - 1)
        .into_par_iter()
        .map(|z| {
            let mut found = Vec::new();
            for y in 1..n - 1 {
                for x in 1..n - 1 {
                    let position = (Vector3::new(x as f64, y as f64, z as f64) - Vector3::repeat(center)) * voxel;
                    if position.norm() <= radius && is_maximum(density, z, y, x) {
                        found.push(Maximum { position, height: f64::from(density[[z, y, x]]) });
                    }
                }
            }
            found
        })
        .collect();
    let mut maxima = planes.concat();
    // a stable sort: equal heights stay in the order of the grid
    maxima.sort_by(|a, b| b.height.total_cmp(&a.height));
    apart(&maxima, |_| separation)
}

/// Maxima, highest first, without those that are nearer to a higher one than their `separation` \[Å\].
pub(super) fn apart(maxima: &[Maximum], separation: impl Fn(&Maximum) -> f64) -> Vec<Maximum> {
    let mut kept: Vec<Maximum> = Vec::new();
    for &maximum in maxima {
        let least = separation(&maximum);
        if kept.iter().all(|other| (other.position - maximum.position).norm() >= least) {
            kept.push(maximum);
        }
    }
    kept
}

/// Higher than every neighbour; of equal neighbours the last in the order of the grid counts.
fn is_maximum(density: &Array3<f32>, z: usize, y: usize, x: usize) -> bool {
    let value = density[[z, y, x]];
    value > 0.0
        && (0..27).all(|i| {
            let neighbour = density[[z + i / 9 - 1, y + i / 3 % 3 - 1, x + i % 3 - 1]];
            if i <= 13 { value >= neighbour } else { value > neighbour }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_close_maxima_the_higher_stays() {
        let mut density = Array3::zeros((16, 16, 16));
        density[[8, 8, 8]] = 1.0;
        density[[8, 8, 10]] = 2.0;
        density[[4, 8, 8]] = 0.5;
        let peaks = find(&density, 0.5, 4.0, 1.4);
        let at: Vec<_> = peaks.iter().map(|peak| (peak.position.x, peak.position.z, peak.height)).collect();
        assert_eq!(at, [(1.0, 0.0, 2.0), (0.0, -2.0, 0.5)]);
    }

    #[test]
    fn a_flat_top_counts_once() {
        let mut density = Array3::zeros((8, 8, 8));
        density[[4, 4, 3]] = 1.0;
        density[[4, 4, 4]] = 1.0;
        assert_eq!(find(&density, 1.0, 3.0, 0.0).len(), 1);
    }
}
