//! Reconstruction by gridding: every Fourier coefficient of every image goes to the eight grid points around its place in
//! the padded spectrum, weighted trilinearly; the sums are divided by the summed weights, and the density by the kernel's transform.
//!
//! The division is regularised by a hundredth of the mean weight, no more: a stronger floor shrinks the high frequencies and makes
//! poses drift onto planes that are already covered.

use nalgebra::Matrix3;
use ndarray::{Array3, s};
use rayon::prelude::*;

use super::Volume;
use super::spectrum::{kernel_transform, padded_size};
use crate::fourier::{Complex32, Fft3};

/// Floor of the weights, as a fraction of their mean over the sampled grid points.
const FLOOR: f32 = 0.01;

/// Weighted sums of coefficients on a padded grid, `[z][y][x ≥ 0]`, centred on y and z.
#[derive(Clone)]
pub struct Gridding {
    sums: Vec<Complex32>,
    weights: Vec<f32>,
    padded: usize,
    /// Voxels along the edge of the density.
    size: usize,
    pixel_size: f64,
}

/// The central slice on which an image's coefficients are laid.
pub struct Plane {
    x: [f32; 3],
    y: [f32; 3],
}

impl Gridding {
    /// An empty grid for a density of `size` voxels of `pixel_size` Å an edge.
    pub fn new(size: usize, pixel_size: f64) -> Self {
        let padded = padded_size(size);
        let points = padded * padded * (padded / 2 + 1);
        Self { sums: vec![Complex32::default(); points], weights: vec![0.0; points], padded, size, pixel_size }
    }

    /// Bytes that a grid for a density of `size` voxels an edge takes.
    pub fn bytes(size: usize) -> usize {
        let padded = padded_size(size);
        padded * padded * (padded / 2 + 1) * (size_of::<Complex32>() + size_of::<f32>())
    }

    /// The plane of an image with rotation `rotation` (laboratory = R·body).
    pub fn plane(&self, rotation: &Matrix3<f64>) -> Plane {
        let edge = self.padded as f64 * self.pixel_size;
        Plane {
            x: [0, 1, 2].map(|axis| (rotation[(0, axis)] * edge) as f32),
            y: [0, 1, 2].map(|axis| (rotation[(1, axis)] * edge) as f32),
        }
    }

    /// Adds a coefficient at image frequency (kx, ky) [1/Å]: `sum` = weight × coefficient.
    #[inline]
    pub fn insert(&mut self, plane: &Plane, [kx, ky]: [f32; 2], sum: Complex32, weight: f32) {
        let mut q = [0, 1, 2].map(|axis| plane.x[axis] * kx + plane.y[axis] * ky);
        let mut sum = sum;
        if q[0] < 0.0 {
            q = q.map(|v| -v);
            sum = sum.conj();
        }
        let half = (self.padded / 2) as f32;
        let (qy, qz) = (q[1] + half, q[2] + half);
        let (ix, iy, iz) = (q[0] as usize, qy as usize, qz as usize);
        let (fx, fy, fz) = (q[0] - ix as f32, qy - iy as f32, qz - iz as f32);
        let row = self.padded / 2 + 1;
        let corner = (iz * self.padded + iy) * row + ix;
        for (dz, wz) in [(0, 1.0 - fz), (self.padded * row, fz)] {
            for (dy, wy) in [(0, wz * (1.0 - fy)), (row, wz * fy)] {
                let start = corner + dz + dy;
                let (low, high) = (wy * (1.0 - fx), wy * fx);
                let sums = &mut self.sums[start..start + 2];
                sums[0] += sum * low;
                sums[1] += sum * high;
                let weights = &mut self.weights[start..start + 2];
                weights[0] += weight * low;
                weights[1] += weight * high;
            }
        }
    }

    /// Adds the sums of another grid of the same shape.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.sums.len(), other.sums.len(), "grids of one shape");
        self.sums.par_iter_mut().zip(&other.sums).for_each(|(a, b)| *a += b);
        self.weights.par_iter_mut().zip(&other.weights).for_each(|(a, b)| *a += b);
    }

    /// The density whose projections these coefficients are, without frequencies beyond 1/`low_pass`.
    pub fn density(mut self, low_pass: f64) -> Volume {
        self.symmetrize_origin_plane();
        let (padded, row) = (self.padded, self.padded / 2 + 1);
        let (mut total, mut sampled) = (0.0f64, 0u64);
        for &weight in self.weights.iter().filter(|&&weight| weight > 0.0) {
            total += f64::from(weight);
            sampled += 1;
        }
        let floor = FLOOR * (total / sampled.max(1) as f64) as f32;
        let limit = padded as f64 * self.pixel_size / low_pass;
        let half = (padded / 2) as f64;
        let mut spectrum = Array3::zeros((padded, padded, row));
        ndarray::Zip::indexed(&mut spectrum).par_for_each(|(z, y, x), value: &mut Complex32| {
            let square = (z as f64 - half).powi(2) + (y as f64 - half).powi(2) + (x as f64).powi(2);
            let index = (z * padded + y) * row + x;
            if square <= limit * limit && self.weights[index] > 0.0 {
                *value = self.sums[index] / (self.weights[index] + floor);
            }
        });
        let cube = Fft3::new(padded).inverse(spectrum);
        let (n, start) = (self.size, padded / 2 - self.size / 2);
        let kernel = kernel_transform(n, padded);
        let voxel = self.pixel_size.powi(3) as f32;
        let mut data = cube.slice(s![start..start + n, start..start + n, start..start + n]).to_owned();
        ndarray::Zip::indexed(&mut data)
            .par_for_each(|(z, y, x), value| *value /= kernel[z] * kernel[y] * kernel[x] * voxel);
        Volume::new(data, self.pixel_size)
    }

    /// The sums Σ w·F·e^(2πi k·r) over all coefficients and their mirror images, and Σ w·e^(2πi k·r), at the voxels r of the box: what the
    /// adjoint of the projections makes of the images, and the point spread function of projecting and adjoining.
    pub fn adjoint(mut self) -> [Array3<f32>; 2] {
        self.symmetrize_origin_plane();
        let shape = (self.padded, self.padded, self.padded / 2 + 1);
        let (n, padded) = (self.size, self.padded);
        let weights = self.weights.par_iter().map(|&weight| Complex32::new(weight, 0.0)).collect();
        let fft = Fft3::new(padded);
        let kernel = kernel_transform(n, padded);
        let points = (padded as f32).powi(3);
        [self.sums, weights].map(|values| {
            let cube = fft.inverse(Array3::from_shape_vec(shape, values).expect("a half spectrum"));
            let start = padded / 2 - n / 2;
            let mut inner = cube.slice(s![start..start + n, start..start + n, start..start + n]).to_owned();
            ndarray::Zip::indexed(&mut inner)
                .par_for_each(|(z, y, x), value| *value *= points / (kernel[z] * kernel[y] * kernel[x]));
            inner
        })
    }

    /// Adds to each point of the plane x = 0 the conjugate of its mirror image, which other coefficients have filled.
    fn symmetrize_origin_plane(&mut self) {
        let (n, row) = (self.padded, self.padded / 2 + 1);
        let index = |z: usize, y: usize| (z * n + y) * row;
        for z in 1..n {
            for y in 1..n {
                let (here, there) = (index(z, y), index(n - z, n - y));
                if here <= there {
                    let sum = self.sums[here] + self.sums[there].conj();
                    let weight = self.weights[here] + self.weights[there];
                    (self.sums[here], self.sums[there]) = (sum, sum.conj());
                    (self.weights[here], self.weights[there]) = (weight, weight);
                }
            }
        }
    }
}
