//! What tests of several kernels begin with: particles that are noise, and a density without symmetry.

use nalgebra::Matrix3;
use ndarray::Array3;
use rand::RngExt;

use super::expansion::Expansion;
use super::pixels::PixelBasis;
use super::rings::Rings;
use crate::images::{Images, Particles, PrepareOptions};
use crate::task::Task;
use crate::volume::{Spectrum, density_of_atoms};

/// `count` particles that are noise, of `size` pixels of 0.5 Å an edge before they are cropped.
pub fn noise(rng: &mut impl rand::Rng, count: usize, size: usize) -> Particles {
    let pixels = Array3::from_shape_simple_fn((count, size, size), || rng.random_range(-1.0f32..1.0));
    let options = PrepareOptions { diameter: 12.0, low_pass: 2.0, ..PrepareOptions::default() };
    Particles::prepare(&Images::new(pixels, 0.5), &options, &Task::silent()).unwrap()
}

/// Spectrum of three atoms of intensities 1, 2 and 1.5 times `intensity`, in a box of `size` voxels of `pixel_size` Å.
pub fn three_atoms(intensity: f64, size: usize, pixel_size: f64) -> Spectrum {
    let atoms = [([1.0, 2.0, 3.0].into(), 1.0), ([-3.0, 0.5, 1.0].into(), 2.0), ([2.0, -3.0, -2.0].into(), 1.5)];
    let atoms = atoms.map(|(place, relative)| (place, relative * intensity));
    Spectrum::new(&density_of_atoms(&atoms, 0.6, size, pixel_size), 0.0)
}

/// Particles and slices of a spectrum at five directions, on rings to 2.5 Å.
pub struct Expanded {
    pub rings: Rings,
    pub views: Vec<Matrix3<f64>>,
    pub images: Expansion,
    pub references: Expansion,
}

impl Expanded {
    pub fn new(particles: &Particles, spectrum: &Spectrum) -> Self {
        let rings = Rings::new(particles, 2.5);
        let views: Vec<_> = super::directions(5).iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
        let images = PixelBasis::new(&rings, particles).expand(particles, &Task::silent()).unwrap();
        let references = Expansion::of_slices(&rings, spectrum, &views, &Task::silent()).unwrap();
        Self { rings, views, images, references }
    }
}
