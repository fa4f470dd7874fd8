//! Weights of hypotheses when all viewing directions are equally likely.
//!
//! A model that lacks something, such as the defocus that varies along the beam, fits better from one side. Expectation–maximisation takes
//! that bait: of a lattice's equivalent directions it chooses for all images those of one side, and the model becomes wrong enough to agree. A particle that
//! tumbles is seen from everywhere, so the weights are scaled until each part of the sphere receives its share (iterative proportional
//! fitting; Sinkhorn, Am. Math. Mon. 74 (1967) 402).

use nalgebra::Vector3;

use crate::orient::partition::Partition;

/// Cells of the sphere that directions are counted in.
const CELLS: usize = 200;
/// Directions nearer than about this count together \[rad\].
const WIDTH: f64 = 0.35;
/// Scalings of the weights; a dozen leave a few percent of unevenness.
const SCALINGS: usize = 12;
/// Weights below this of an image's whole are nothing.
const NEGLIGIBLE: f32 = 1e-4;

/// The sphere of directions, cut into cells.
pub struct Sphere {
    partition: Partition,
    cells: usize,
    /// Share of each cell in the count about each other, `[about][cell]`; rows add up to 1.
    nearness: Vec<f32>,
}

impl Sphere {
    pub fn new() -> Self {
        Self::of_cells(CELLS)
    }

    /// The sphere as one cell: all directions count together, and weights stay as the scores have them.
    pub fn whole() -> Self {
        Self::of_cells(1)
    }

    fn of_cells(cells: usize) -> Self {
        let partition = Partition::new(cells, false);
        let centre = |cell| {
            let (z, azimuth) = partition.centre(cell);
            let ring = (1.0 - z * z).sqrt();
            Vector3::new(ring * azimuth.cos(), ring * azimuth.sin(), z)
        };
        let centres: Vec<Vector3<f64>> = (0..cells).map(centre).collect();
        let mut nearness = Vec::with_capacity(cells * cells);
        for about in &centres {
            let near = |cell: &Vector3<f64>| ((about.dot(cell) - 1.0) / (WIDTH * WIDTH)).exp();
            let total: f64 = centres.iter().map(near).sum();
            nearness.extend(centres.iter().map(|cell| (near(cell) / total) as f32));
        }
        Self { partition, cells, nearness }
    }

    /// The cell of a viewing direction.
    pub fn cell_of(&self, view: &Vector3<f64>) -> usize {
        self.partition.cell_of(view)
    }

    /// Weights e^(β·score) of each image's hypotheses, scaled cell by cell until the directions are even; each image's add up to 1.
    /// `hypotheses`: score and cell of each, image by image.
    pub fn weights(&self, hypotheses: &[Vec<(f32, usize)>], beta: f32) -> Vec<Vec<f32>> {
        let mut scale = vec![0.0f32; self.cells];
        let mut weights = Vec::new();
        for scaling in 0..=SCALINGS {
            weights = hypotheses.iter().map(|of_image| softmax(of_image, &scale, beta)).collect();
            if scaling < SCALINGS {
                self.rescale(&mut scale, hypotheses, &weights);
            }
        }
        weights
    }

    /// Takes the logarithm of each cell's count, over what would be even, off its scale.
    fn rescale(&self, scale: &mut [f32], hypotheses: &[Vec<(f32, usize)>], weights: &[Vec<f32>]) {
        let mut counts = vec![0.0f32; self.cells];
        for ((_, cell), weight) in hypotheses.iter().flatten().zip(weights.iter().flatten()) {
            counts[*cell] += weight;
        }
        let even = hypotheses.len() as f32 / self.cells as f32;
        for (scale, nearness) in scale.iter_mut().zip(self.nearness.chunks_exact(self.cells)) {
            let count: f32 = nearness.iter().zip(&counts).map(|(near, count)| near * count).sum();
            // few images leave true gaps
            *scale -= (count / even).max(0.1).ln();
        }
    }
}

/// e^(β·score + scale of its cell) over the sum of all, negligible ones left out.
fn softmax(hypotheses: &[(f32, usize)], scale: &[f32], beta: f32) -> Vec<f32> {
    let exponents: Vec<f32> = hypotheses.iter().map(|(score, cell)| beta * score + scale[*cell]).collect();
    let top = exponents.iter().copied().fold(f32::MIN, f32::max);
    let mut weights: Vec<f32> = exponents.iter().map(|exponent| (exponent - top).exp()).collect();
    let least = NEGLIGIBLE * weights.iter().sum::<f32>();
    weights.iter_mut().filter(|weight| **weight < least).for_each(|weight| *weight = 0.0);
    let total: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::random_poses;

    #[test]
    fn weights_make_directions_even_that_the_scores_would_crowd() {
        let sphere = Sphere::new();
        let views: Vec<Vector3<f64>> = random_poses(600, 4).as_slice().iter().map(|p| p.viewing_direction()).collect();
        // each image could look from a direction or from its opposite; all scores prefer the upper half
        let hypotheses = |sphere: &Sphere| -> Vec<Vec<(f32, usize)>> {
            let hypothesis = |view: Vector3<f64>| (if view.z > 0.0 { 5.0 } else { 0.0 }, sphere.cell_of(&view));
            views.iter().map(|view| vec![hypothesis(*view), hypothesis(-view)]).collect()
        };
        let upper = |weights: &[Vec<f32>]| {
            let of_image = |(view, weights): (&Vector3<f64>, &Vec<f32>)| weights[usize::from(view.z < 0.0)];
            views.iter().zip(weights).map(of_image).sum::<f32>() / 600.0
        };
        let whole = Sphere::whole();
        assert!(upper(&whole.weights(&hypotheses(&whole), 1.0)) > 0.9);
        let even = sphere.weights(&hypotheses(&sphere), 1.0);
        assert!((upper(&even) - 0.5).abs() < 0.1, "{}", upper(&even));
        assert!(even.iter().all(|weights| (weights.iter().sum::<f32>() - 1.0).abs() < 1e-3));
    }
}
