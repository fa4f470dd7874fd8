//! From a density to its projections, by central slices.
//!
//! The transform of the projection at pose (R, shift) is the slice of the density's transform through R (see [`Spectrum`]), times e^(−2πi k·shift).
//! Slices are read on a field wide enough that what an inverse FFT wraps around its edges stays outside of the image.

use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Error, Spectrum, Volume};
use crate::fourier::{Complex32, Fft2, fast_size, signed_index};
use crate::images::Images;
use crate::memory;
use crate::pose::{Pose, Poses};
use crate::task::Task;

/// Options of [`project`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectOptions {
    /// Edge of a pixel \[Å\]; default: that of the density's voxels.
    pub pixel_size: Option<f64>,
    /// Pixels along the edge of an image; default: as wide as the density.
    pub size: Option<usize>,
    /// Resolution to which frequencies are kept \[Å\]; default: all that voxels and pixels carry.
    pub low_pass: Option<f64>,
}

/// Most pixels along the edge of a projection.
const LARGEST: usize = 8192;

/// Projects one density at any pose, into images of one geometry.
pub struct Projector {
    spectrum: Spectrum,
    fft: Fft2,
    /// Pixels along the edge of an image, and of the field that it is cut from.
    size: usize,
    field: usize,
    pixel_size: f64,
    /// Largest frequency kept [1/Å].
    limit: f64,
}

impl Projector {
    /// For images of `size` pixels of `pixel_size` Å, shifts up to `max_shift` Å, and frequencies up to 1/`low_pass`.
    pub fn new(volume: &Volume, size: usize, pixel_size: f64, max_shift: f64, low_pass: f64) -> Self {
        let spectrum = Spectrum::new(volume, low_pass);
        let image_edge = size as f64 * pixel_size;
        // a point of the density's copy next door must not reach into the image
        let needed = image_edge / 2.0 + reach(volume) + max_shift + pixel_size;
        let field = fast_size((needed / pixel_size).ceil() as usize).max(size);
        let limit = spectrum.limit().min(1.0 / low_pass);
        Self { spectrum, fft: Fft2::new(field), size, field, pixel_size, limit }
    }

    /// Writes the projection ∫ density dz \[density · Å\] at `pose` into `image`.
    pub fn project(&self, pose: &Pose, mut image: ArrayViewMut2<f32>) {
        let (n, columns) = (self.field, self.fft.columns());
        let edge = n as f64 * self.pixel_size;
        let slice = self.spectrum.slice(&pose.matrix());
        let most = ((self.limit * edge) as usize).min((n - 1) / 2);
        let ramp = |k: isize, shift: f64| {
            let angle = -std::f64::consts::TAU * k as f64 * shift / edge;
            Complex32::new(angle.cos() as f32, angle.sin() as f32)
        };
        let along_x: Vec<Complex32> = (0..=most).map(|kx| ramp(kx as isize, pose.shift.x)).collect();
        // from Å² to sums over pixels
        let scale = (1.0 / (self.pixel_size * self.pixel_size)) as f32;
        let mut spectrum = vec![Complex32::default(); n * columns];
        for (row, values) in spectrum.chunks_exact_mut(columns).enumerate() {
            let ky = signed_index(row, n);
            let rest = (self.limit * edge).powi(2) - (ky * ky) as f64;
            if rest < 0.0 || ky.unsigned_abs() > most {
                continue;
            }
            let along_y = ramp(ky, pose.shift.y) * scale;
            let reach = (rest.sqrt() as usize).min(most);
            for (kx, (value, ramp)) in values.iter_mut().zip(&along_x).take(reach + 1).enumerate() {
                *value = slice.value((kx as f64 / edge) as f32, (ky as f64 / edge) as f32) * along_y * ramp;
            }
        }
        let wide = self.fft.inverse(&spectrum);
        let start = n / 2 - self.size / 2;
        for (y, mut row) in image.rows_mut().into_iter().enumerate() {
            row.iter_mut().zip(&wide[(start + y) * n + start..]).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Distance from the centre to the farthest voxel that is not zero \[Å\].
fn reach(volume: &Volume) -> f64 {
    let centre = (volume.size() / 2) as f64;
    let square = |i: usize| (i as f64 - centre).powi(2);
    let occupied = volume.data().indexed_iter().filter(|(_, value)| **value != 0.0);
    let farthest = occupied.map(|((z, y, x), _)| square(z) + square(y) + square(x)).fold(0.0, f64::max);
    farthest.sqrt() * volume.pixel_size()
}

/// Projections of `volume` along the beam, one a pose: ∫ density dz \[density · Å\], the particle's shift applied.
///
/// # Errors
/// If a size or limit makes no sense, a voxel is not a number, the images would not fit into memory, or the work is interrupted.
pub fn project(volume: &Volume, poses: &Poses, options: &ProjectOptions, task: &Task) -> Result<Images, Error> {
    let pixel_size = positive("pixel_size", options.pixel_size.unwrap_or(volume.pixel_size()))?;
    let low_pass = options.low_pass.map(|limit| positive("low_pass", limit)).transpose()?;
    let size = options.size.unwrap_or((volume.edge() / pixel_size).round().min(1e9) as usize);
    if !(4..=LARGEST).contains(&size) {
        return Err(Error::Option { name: "the edge of an image", range: "from 4 to 8192 pixels", value: size as f64 });
    }
    if volume.data().iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite);
    }
    memory::require(
        4.0 * poses.len() as f64 * (size * size) as f64,
        &format!("{} projections of {size}×{size} pixels", poses.len()),
    )?;
    let max_shift = poses.as_slice().iter().map(|pose| pose.shift.norm()).fold(0.0, f64::max);
    if max_shift >= LARGEST as f64 * pixel_size {
        return Err(Error::Option { name: "a shift", range: "less than 8192 pixels", value: max_shift });
    }
    let projector = Projector::new(volume, size, pixel_size, max_shift, low_pass.unwrap_or(pixel_size));
    let mut data = Array3::zeros((poses.len(), size, size));
    let stage = task.stage("project", poses.len());
    data.axis_iter_mut(Axis(0)).into_par_iter().zip(poses.as_slice()).try_for_each(|(image, pose)| {
        projector.project(pose, image);
        stage.advance(1)
    })?;
    drop(stage);
    Ok(Images::new(data, pixel_size))
}

fn positive(name: &'static str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(Error::Option { name, range: "a positive number of Å", value })
    }
}
