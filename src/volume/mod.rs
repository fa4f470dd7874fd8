//! Densities on a cubic grid.

use std::sync::Arc;

use ndarray::Array3;

/// A density on a cubic grid `[z][y][x]`, its centre at voxel N/2. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    data: Arc<Array3<f32>>,
    pixel_size: f64,
}

impl Volume {
    /// A volume from its values and the edge of a voxel [Å].
    ///
    /// # Panics
    /// If the grid is not cubic or `pixel_size` is not positive.
    pub fn new(data: Array3<f32>, pixel_size: f64) -> Self {
        let (nz, ny, nx) = data.dim();
        assert!(nz == ny && ny == nx, "a volume is cubic, got {nz}×{ny}×{nx}");
        assert!(pixel_size > 0.0, "pixel size must be positive, got {pixel_size}");
        Self { data: Arc::new(data), pixel_size }
    }

    /// Values `[z][y][x]`.
    pub fn data(&self) -> &Array3<f32> {
        &self.data
    }

    /// Edge of a voxel [Å].
    pub fn pixel_size(&self) -> f64 {
        self.pixel_size
    }

    /// Voxels along one edge.
    pub fn size(&self) -> usize {
        self.data.dim().0
    }
}
