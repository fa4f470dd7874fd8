//! Densities on a cubic grid: how they come from images, how their projections are read, how well two of them agree.
//!
//! [`reconstruct`] makes of posed images a density and two half-set densities, with their Fourier shell correlation ([`Fsc`], and
//! [`CorrectedFsc`] without what the mask adds); [`local_resolution`] says how well the halves agree around each voxel.
//! [`Spectrum`] is the way back: the transform of a density, read along central slices, from which [`project`] makes images.
//! Methods: direct Fourier gridding with trilinear interpolation and kernel correction (Penczek, Methods Enzymol. 482 (2010) 1–33), or
//! least squares within a mask by conjugate gradients (Wang, Shkolnisky & Singer, SIAM J. Imaging Sci. 6 (2013) 2434);
//! FSC (Harauz & van Heel, Optik 73 (1986) 146–156), its correction for the mask (Chen et al., Ultramicroscopy 135 (2013) 24–35);
//! local resolution (Cardone, Heymann & Steven, J. Struct. Biol. 184 (2013) 226–236).

mod fsc;
mod gridding;
mod least_squares;
mod local;
mod project;
mod reconstruct;
mod resample;
mod spectrum;

use std::sync::Arc;

use ndarray::Array3;

use crate::fourier::Fft3;
use crate::task::Cancelled;

pub use fsc::{CorrectedFsc, Fsc, FscOptions};
pub use gridding::{Gridding, Plane};
pub use local::{LocalResolutionOptions, local_resolution};
pub use project::{ProjectOptions, Projector, project};
pub use reconstruct::{Method, ReconstructOptions, Reconstruction, density_of_atoms, grid_size, reconstruct};
pub(crate) use resample::correlation;
pub use spectrum::{Gradient, Slice, Spectrum};

/// What can be wrong with densities or with the options that work on them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{images} images but {poses} poses; give one pose an image")]
    PoseCount { images: usize, poses: usize },
    #[error(
        "two densities of different shape cannot be compared: {a} voxels of {a_pixel} Å and {b} of {b_pixel} Å; bring one to the other's grid with `resampled`"
    )]
    Shapes { a: usize, a_pixel: f64, b: usize, b_pixel: f64 },
    #[error(
        "a limit of {low_pass} Å is finer than this density carries ({finest:.2} Å); reconstruct it with a smaller low_pass"
    )]
    BeyondDensity { low_pass: f64, finest: f64 },
    #[error("{name} must be {range}, got {value}")]
    Option { name: &'static str, range: &'static str, value: f64 },
    #[error("the density holds a value that is not a number")]
    NotFinite,
    #[error("the fraction of images left out must be from 0 to 0.9, got {0}")]
    Reject(f64),
    #[error("{images} images but {count} {name}; give one an image")]
    PerImage { name: &'static str, images: usize, count: usize },
    #[error("{name} must be finite and not negative; that of image {index} is {value}")]
    BadPerImage { name: &'static str, index: usize, value: f64 },
    #[error("weights, scales and reject leave no image with an {0} index; each half set needs at least one")]
    EmptyHalf(&'static str),
    #[error("least squares needs the mask; leave out mask: false, or use method \"gridding\"")]
    NeedsMask,
    #[error("a density that is the same everywhere has no correlation")]
    Flat,
    #[error("a mask needs a radius and an edge of more than 0 Å, got {radius} and {edge}")]
    Mask { radius: f64, edge: f64 },
    #[error(transparent)]
    Memory(#[from] crate::memory::NotEnough),
    #[error(transparent)]
    Images(#[from] crate::images::Error),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A density on a cubic grid `[z][y][x]`, its centre at voxel N/2. Immutable and cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    data: Arc<Array3<f32>>,
    pixel_size: f64,
}

impl Volume {
    /// A volume from its values and the edge of a voxel \[Å\].
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

    /// Edge of a voxel \[Å\].
    pub fn pixel_size(&self) -> f64 {
        self.pixel_size
    }

    /// Voxels along one edge.
    pub fn size(&self) -> usize {
        self.data.dim().0
    }

    /// Smallest and largest value.
    pub fn range(&self) -> (f32, f32) {
        crate::images::range(&self.data)
    }

    /// Edge of the cube \[Å\].
    pub fn edge(&self) -> f64 {
        self.size() as f64 * self.pixel_size
    }

    /// The density within `radius` Å of the centre, with a soft edge `edge` Å wide; zero outside.
    pub fn masked(&self, radius: f64, edge: f64) -> Self {
        let centre = (self.size() / 2) as f64;
        let mut data = self.data.as_ref().clone();
        ndarray::Zip::indexed(&mut data).par_for_each(|(z, y, x), value| {
            let square = |i: usize| (i as f64 - centre).powi(2);
            let r = (square(z) + square(y) + square(x)).sqrt() * self.pixel_size;
            *value *= ((radius + edge / 2.0 - r) / edge).clamp(0.0, 1.0) as f32;
        });
        Self::new(data, self.pixel_size)
    }

    /// The mirror image: z reversed about the centre, voxel N/2. Of an even number of voxels the first layer has no mirror image and stays where it is.
    pub fn mirrored(&self) -> Self {
        let n = self.size();
        let order: Vec<usize> = (0..n).map(|z| (2 * (n / 2) + n - z) % n).collect();
        Self::new(self.data.select(ndarray::Axis(0), &order), self.pixel_size)
    }

    /// The density with its transform multiplied by `transfer(s)`, a real function of spatial frequency [1/Å].
    pub fn filtered(&self, transfer: impl Fn(f64) -> f64 + Sync) -> Self {
        let (n, even) = (self.size(), self.size().next_multiple_of(2));
        let fft = Fft3::new(even);
        let mut spectrum = fft.forward(&centred_in(self, even));
        let (half, edge) = ((even / 2) as f64, even as f64 * self.pixel_size);
        ndarray::Zip::indexed(&mut spectrum).par_for_each(|(z, y, x), value| {
            let s = ((z as f64 - half).powi(2) + (y as f64 - half).powi(2) + (x as f64).powi(2)).sqrt() / edge;
            *value *= transfer(s) as f32;
        });
        let start = even / 2 - n / 2;
        let inner = ndarray::s![start..start + n, start..start + n, start..start + n];
        Self::new(fft.inverse(spectrum).slice(inner).to_owned(), self.pixel_size)
    }

    /// Fails where frequencies of 1/`low_pass` [1/Å] lie beyond the density's grid.
    pub fn check_limit(&self, low_pass: f64) -> Result<(), Error> {
        // interpolation reads the next point of the padded grid too
        let padded = spectrum::padded_size(self.size()) as f64;
        let finest = (2.2 * self.pixel_size).max(padded * self.pixel_size / (padded / 2.0 - 2.0).max(0.5));
        if !(low_pass.is_finite() && low_pass >= finest) {
            return Err(Error::BeyondDensity { low_pass, finest });
        }
        self.check_finite()
    }

    /// Fails where a value is not a finite number.
    fn check_finite(&self) -> Result<(), Error> {
        if self.data.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(Error::NotFinite) }
    }

    /// Fails where `other` has another number of voxels, or voxels of another edge.
    fn check_same_grid(&self, other: &Self) -> Result<(), Error> {
        if self.size() == other.size() && (self.pixel_size / other.pixel_size - 1.0).abs() <= 1e-3 {
            return Ok(());
        }
        let (a_pixel, b_pixel) = (self.pixel_size, other.pixel_size);
        Err(Error::Shapes { a: self.size(), a_pixel, b: other.size(), b_pixel })
    }
}

/// The density in a larger cube of edge `n`, centre on centre.
fn centred_in(volume: &Volume, n: usize) -> Array3<f32> {
    let size = volume.size();
    let start = n / 2 - size / 2;
    let inner = ndarray::s![start..start + size, start..start + size, start..start + size];
    let mut cube = Array3::zeros((n, n, n));
    cube.slice_mut(inner).assign(volume.data());
    cube
}
