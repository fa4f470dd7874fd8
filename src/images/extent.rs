//! How large the particle is, as its images show it.

use ndarray::Axis;
use rayon::prelude::*;

use super::Images;
use super::particles::{normalized_by_border, outside_mask};

/// Share of the mean excess within the particle at which it ends.
const FAINTEST: f64 = 0.01;
/// Standard deviations by which a ring of pixels must exceed the border to be part of the particle.
const SIGNIFICANT: f64 = 4.0;
/// Distance from the centre of the outermost atoms to where their images end \[Å\].
const HALF_ATOM: f64 = 1.3;
/// Width of a ring \[Å\].
const RING: f64 = 0.5;
/// Images that are looked at, spread through the stack.
const MOST_IMAGES: usize = 400;

/// Diameter of the particle \[Å\]: where the variance of the images falls to that of their border, within `tolerance` of `given`, and at most what the
/// images hold with a border.
///
/// The border is what lies more than `radius` Å from the centre. Gives `given` back where the images show no particle.
pub fn measured_diameter(images: &Images, given: f64, tolerance: f64, radius: f64) -> f64 {
    let (size, pixel) = (images.size(), images.pixel_size());
    let outside = outside_mask(size, pixel, radius);
    let centre = (size / 2) as f64;
    let ring_of = |index: usize| {
        let (y, x) = ((index / size) as f64 - centre, (index % size) as f64 - centre);
        (y.hypot(x) * pixel / RING) as usize
    };
    let ring_of: Vec<usize> = (0..size * size).map(ring_of).collect();
    let rings = ring_of[0] + 1;
    let stride = images.len().div_ceil(MOST_IMAGES).max(1);
    let chosen: Vec<usize> = (0..images.len()).step_by(stride).collect();
    let sums: Vec<Vec<f64>> = chosen
        .par_iter()
        .filter_map(|&image| normalized_by_border(images.data().index_axis(Axis(0), image), &outside))
        .map(|flat| {
            let mut squares = vec![0.0; rings];
            ring_of.iter().zip(&flat).for_each(|(&ring, &value)| squares[ring] += f64::from(value * value));
            squares
        })
        .collect();
    let mut pixels = vec![0.0; rings];
    ring_of.iter().for_each(|&ring| pixels[ring] += sums.len() as f64);
    let squares = |ring: usize| sums.iter().map(|image| image[ring]).sum::<f64>();
    let widest = (size as f64 * pixel / 1.3).max(given);
    let (smallest, largest) = (given * (1.0 - tolerance), (given * (1.0 + tolerance)).min(widest));

    let within = ((0.5 * smallest / RING) as usize + 1).min(rings);
    let inner = (0..within).map(squares).sum::<f64>() / pixels[..within].iter().sum::<f64>() - 1.0;
    let excess = |ring: usize| squares(ring) / pixels[ring] - 1.0;
    let is_seen = |ring: usize| {
        // of white noise
        let error = (2.0 / pixels[ring]).sqrt();
        pixels[ring] > 0.0 && excess(ring) > (FAINTEST * inner).max(SIGNIFICANT * error)
    };
    let outermost = ((0.5 * largest + HALF_ATOM) / RING) as usize;
    match (0..=outermost.min(rings - 1)).rev().find(|&ring| is_seen(ring)) {
        Some(ring) => (2.0 * ((ring + 1) as f64 * RING - HALF_ATOM)).clamp(smallest, largest),
        None => given,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::random;

    /// Unit noise, and more of it in a disc of `radius` Å.
    fn discs(radius: f64, signal: f32) -> Images {
        let mut rng = random::stream(3, "extent test", 0);
        let pixel = |(_, y, x): (usize, usize, usize)| {
            let inside = (y as f64 - 60.0).hypot(x as f64 - 60.0) * 0.25 < radius;
            let scale = if inside { 1.0 + signal } else { 1.0 };
            scale * rng.sample::<f32, _>(StandardNormal)
        };
        Images::new(Array3::from_shape_fn((50, 120, 120), pixel), 0.25)
    }

    #[test]
    fn a_disc_of_more_variance_is_measured_whatever_diameter_is_given() {
        let images = discs(8.0, 0.5);
        for given in [11.5, 13.4, 15.0] {
            let found = measured_diameter(&images, given, 0.2, 0.6 * given + 2.5);
            assert!((found - 2.0 * (8.0 - HALF_ATOM)).abs() <= 2.0 * RING, "{given}: {found}");
        }
    }

    #[test]
    fn what_is_found_stays_within_the_tolerance_and_noise_alone_changes_nothing() {
        assert_eq!(measured_diameter(&discs(8.0, 0.5), 10.0, 0.1, 9.5), 11.0);
        assert_eq!(measured_diameter(&discs(8.0, 0.5), 18.0, 0.1, 13.0), 0.9 * 18.0);
        assert_eq!(measured_diameter(&discs(8.0, 0.0), 13.0, 0.2, 11.0), 13.0);
    }
}
