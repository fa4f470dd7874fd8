//! Images beside the projections of a density at their poses.

use std::f64::consts::SQRT_2;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::fourier::{Fft2, signed_index};
use crate::images::{Images, Particles, soft_disc};
use crate::pose::{Pose, Poses};
use crate::task::Task;
use crate::volume::{Projector, Volume};

/// Options of [`correlations`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReprojectOptions {
    /// Resolution to which images and projections are compared \[Å\]; default 2.0, or the finest that both carry if that is coarser.
    pub low_pass: Option<f64>,
}

/// The limit where none is asked for \[Å\].
const LOW_PASS: f64 = 2.0;

/// Images `[n][y][x]` and the disc about pixel N/2 in which they are compared.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    pub data: ArrayView3<'a, f32>,
    /// Edge of a pixel \[Å\].
    pub pixel_size: f64,
    /// Radius of the disc \[Å\].
    pub radius: f64,
}

impl<'a> Stack<'a> {
    /// Prepared particles within their mask.
    pub fn of_particles(particles: &'a Particles) -> Self {
        Self { data: particles.data().view(), pixel_size: particles.pixel_size(), radius: particles.mask_radius() }
    }

    /// Whole images.
    pub fn of_images(images: &'a Images) -> Self {
        let edge = images.size() as f64 * images.pixel_size();
        Self { data: images.data().view(), pixel_size: images.pixel_size(), radius: edge / SQRT_2 }
    }

    pub fn len(&self) -> usize {
        self.data.dim().0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An image beside the projection of a density, both to the same resolution.
#[derive(Debug, Clone)]
pub struct Reprojected {
    pub image: Array2<f32>,
    /// On the image's scale: the least-squares factor and offset within the disc are applied.
    pub projection: Array2<f32>,
    /// Pearson's coefficient within the disc; NaN if one of the two is flat.
    pub correlation: f64,
}

/// Compares images of one geometry with one density.
pub struct Reprojector {
    projector: Projector,
    fft: Fft2,
    /// Weight of each pixel.
    disc: Array2<f32>,
    pixel_size: f64,
    low_pass: f64,
}

impl Reprojector {
    /// For the images of `stack`, at poses shifted by `max_shift` Å at most.
    ///
    /// # Errors
    /// If the limit asked for is finer than images or density carry, or a voxel is not a number.
    pub fn new(stack: &Stack, volume: &Volume, poses: &Poses, options: &ReprojectOptions) -> Result<Self, Error> {
        let (images, poses_len) = (stack.len(), poses.len());
        if images != poses_len {
            return Err(crate::volume::Error::PoseCount { images, poses: poses_len }.into());
        }
        let (n, pixel) = (stack.data.dim().1, stack.pixel_size);
        let finest = 2.0 * pixel.max(1.1 * volume.pixel_size()) * 1.05;
        let low_pass = options.low_pass.unwrap_or(LOW_PASS.max(finest));
        if !(low_pass.is_finite() && low_pass >= 2.0 * pixel) {
            return Err(crate::images::Error::LowPass { low_pass, finest: 2.0 * pixel }.into());
        }
        volume.check_limit(low_pass)?;
        let max_shift = poses.as_slice().iter().map(|pose| pose.shift.norm()).fold(0.0, f64::max);
        if max_shift > n as f64 * pixel {
            let range = "no larger than the image";
            return Err(Error::Option { name: "the shift of a pose", range, value: max_shift });
        }
        Ok(Self {
            // image and projection are low-passed on one grid, where a sharp limit rings alike in both
            projector: Projector::new(volume, n, pixel, max_shift, pixel),
            fft: Fft2::new(n),
            disc: Array2::from_shape_fn((n, n), |(y, x)| soft_disc(y, x, n, pixel, stack.radius)),
            pixel_size: pixel,
            low_pass,
        })
    }

    /// Resolution of the comparison \[Å\].
    pub fn low_pass(&self) -> f64 {
        self.low_pass
    }

    /// One image beside the projection at `pose`.
    pub fn compare(&self, image: ArrayView2<f32>, pose: &Pose) -> Reprojected {
        let image = self.filtered(image);
        let mut projected = Array2::zeros(image.dim());
        self.projector.project(pose, projected.view_mut());
        let mut projection = self.filtered(projected.view());
        let moment = |a: &Array2<f32>, b: &Array2<f32>| -> f64 {
            let terms = a.iter().zip(b).zip(&self.disc);
            terms.map(|((a, b), w)| f64::from(*a) * f64::from(*b) * f64::from(*w)).sum()
        };
        let one = Array2::ones(image.dim());
        let weight = moment(&one, &one);
        let (mean_i, mean_p) = (moment(&image, &one) / weight, moment(&projection, &one) / weight);
        let variance_i = moment(&image, &image) / weight - mean_i * mean_i;
        let variance_p = moment(&projection, &projection) / weight - mean_p * mean_p;
        let covariance = moment(&image, &projection) / weight - mean_i * mean_p;
        let factor = if variance_p > 0.0 { covariance / variance_p } else { 0.0 };
        projection.mapv_inplace(|value| (mean_i + factor * (f64::from(value) - mean_p)) as f32);
        Reprojected { image, projection, correlation: covariance / (variance_i * variance_p).sqrt() }
    }

    /// The image with frequencies up to the limit alone.
    fn filtered(&self, image: ArrayView2<f32>) -> Array2<f32> {
        let (n, columns) = (image.dim().0, self.fft.columns());
        let contiguous = image.as_standard_layout();
        let mut spectrum = self.fft.forward(contiguous.as_slice().expect("standard layout"));
        let limit = (n as f64 * self.pixel_size / self.low_pass).powi(2);
        for (index, value) in spectrum.iter_mut().enumerate() {
            let (ky, kx) = (signed_index(index / columns, n) as f64, (index % columns) as f64);
            if ky * ky + kx * kx > limit {
                *value = Default::default();
            }
        }
        Array1::from(self.fft.inverse(&spectrum)).into_shape_with_order((n, n)).expect("as many pixels")
    }
}

/// Normalised cross-correlation of each image with the projection of `volume` at its pose, both low-passed, within the disc.
///
/// # Errors
/// If the numbers of images and poses differ, the limit is finer than images or density carry; or when interrupted.
pub fn correlations(
    stack: &Stack,
    volume: &Volume,
    poses: &Poses,
    options: &ReprojectOptions,
    task: &Task,
) -> Result<Vec<f64>, Error> {
    let reprojector = Reprojector::new(stack, volume, poses, options)?;
    let stage = task.stage("correlations", stack.len());
    let images: Vec<_> = stack.data.axis_iter(Axis(0)).collect();
    images
        .into_par_iter()
        .zip(poses.as_slice())
        .map(|(image, pose)| {
            stage.advance(1)?;
            Ok(reprojector.compare(image, pose).correlation)
        })
        .collect()
}
