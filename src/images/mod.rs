//! Image stacks: many pictures of one particle, all square and of one size.

mod prepare;

use std::sync::Arc;

use ndarray::Array3;

use crate::pose::Poses;

pub use prepare::{Noise, NoiseReport, PrepareError, Region};

/// A stack of square images `[n][y][x]`, the particle's centre near pixel N/2. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    data: Arc<Array3<f32>>,
    pixel_size: f64,
    true_poses: Option<Poses>,
}

impl Images {
    /// A stack from its pixels and the edge of a pixel [Å].
    ///
    /// # Panics
    /// If the images are not square or `pixel_size` is not positive.
    pub fn new(data: Array3<f32>, pixel_size: f64) -> Self {
        let (_, ny, nx) = data.dim();
        assert!(ny == nx, "images are square, got {ny}×{nx}");
        assert!(pixel_size > 0.0, "pixel size must be positive, got {pixel_size}");
        Self { data: Arc::new(data), pixel_size, true_poses: None }
    }

    /// The same images with the poses they were simulated at; for evaluation, never read by a reconstruction.
    pub fn with_true_poses(mut self, poses: Poses) -> Self {
        assert_eq!(poses.len(), self.len(), "one pose an image");
        self.true_poses = Some(poses);
        self
    }

    /// Other pixels in place of these, same pixel size and true poses.
    pub fn with_data(&self, data: Array3<f32>) -> Self {
        assert_eq!(data.dim(), self.data.dim(), "the same shape");
        Self { data: Arc::new(data), ..self.clone() }
    }

    /// Pixels `[n][y][x]`.
    pub fn data(&self) -> &Array3<f32> {
        &self.data
    }

    /// Edge of a pixel [Å].
    pub fn pixel_size(&self) -> f64 {
        self.pixel_size
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.data.dim().0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels along one edge of an image.
    pub fn size(&self) -> usize {
        self.data.dim().1
    }

    /// The poses the images were simulated at, if they were simulated here.
    pub fn true_poses(&self) -> Option<&Poses> {
        self.true_poses.as_ref()
    }
}
