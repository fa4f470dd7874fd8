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

/// Part of the lower of two maxima that the density between them keeps if they are one flat top.
const FLAT: f64 = 0.9;

/// Maxima, highest first, of which those of one flat top are one in their middle: nearer to each other than `separation` \[Å\], and hardly a dip between them.
///
/// Fitted one by one, each with the others subtracted, none of them would be an atom.
pub(super) fn joined(maxima: &[Maximum], density: &Array3<f32>, voxel: f64, separation: f64) -> Vec<Maximum> {
    let center = (density.dim().0 / 2) as f64;
    let at = |place: Vector3<f64>| {
        let [x, y, z] = (place / voxel).map(|along| (along + center).round() as usize).into();
        f64::from(density[[z, y, x]])
    };
    let mut kept: Vec<(Maximum, f64)> = Vec::new();
    for maximum in maxima {
        let is_same = |(other, _): &(Maximum, f64)| {
            let apart = (other.position - maximum.position).norm();
            apart < separation && at(0.5 * (other.position + maximum.position)) >= FLAT * maximum.height
        };
        match kept.iter().position(is_same) {
            Some(top) => {
                let (other, count) = &mut kept[top];
                *count += 1.0;
                other.position += (maximum.position - other.position) / *count;
            }
            None => kept.push((*maximum, 1.0)),
        }
    }
    kept.into_iter().map(|(maximum, _)| maximum).collect()
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
    fn maxima_of_one_flat_top_are_one_and_those_with_a_dip_between_them_are_not() {
        let three = [[6, 8, 8], [10, 8, 8], [8, 10, 8]];
        let tops = |between: f32| {
            let mut density = Array3::from_elem((17, 17, 17), between);
            for (place, height) in three.into_iter().zip([1.0, 0.98, 0.97]) {
                density[place] = height;
            }
            let maxima = find(&density, 0.25, 1.5, 0.0);
            joined(&maxima, &density, 0.25, 1.2)
        };
        let [one] = tops(0.93)[..] else { panic!("{:?}", tops(0.93)) };
        assert!((one.position - Vector3::new(0.0, 0.5 / 3.0, 0.0)).norm() < 1e-12 && one.height == 1.0, "{one:?}");
        assert_eq!(tops(0.8).len(), 3);
    }

    #[test]
    fn a_flat_top_counts_once() {
        let mut density = Array3::zeros((8, 8, 8));
        density[[4, 4, 3]] = 1.0;
        density[[4, 4, 4]] = 1.0;
        assert_eq!(find(&density, 1.0, 3.0, 0.0).len(), 1);
    }
}
