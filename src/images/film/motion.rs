//! Smooth motion of what a frame shows: drift, and a deformation that is a polynomial of the place, one for each frame.
//!
//! d(x, y) = Σ c_ab·P_a(x/h)·P_b(y/h) over a + b ≤ order, P Legendre polynomials and h half the edge of a frame: order 0 is drift alone, 1 has rotation,
//! stretch and shear, 2 also bends.

use std::f64::consts::TAU;

use ndarray::{Array3, Axis};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::warp::Warp;
use crate::images::{Error, Images};
use crate::random::stream;
use crate::task::Task;

/// Largest order of a polynomial of place or time.
pub(super) const HIGHEST_ORDER: usize = 6;

/// Where what a frame shows at rest is in each frame: from (x, y) it has moved to (x, y) + d(x, y).
#[derive(Debug, Clone, PartialEq)]
pub struct Motion {
    /// Edge of a frame \[Å\].
    pub edge: f64,
    /// Highest order of the polynomials of place.
    pub order: usize,
    /// Coefficients `[frame][axis][term]` \[Å\], axis 0 is x.
    pub coefficients: Array3<f64>,
}

/// Orders (a, b) of the terms.
pub(super) fn terms(order: usize) -> Vec<(usize, usize)> {
    (0..=order).flat_map(|sum| (0..=sum).map(move |b| (sum - b, b))).collect()
}

/// P₀(x) … P_order(x) (Bonnet's recurrence).
pub(super) fn legendre(order: usize, x: f64) -> Vec<f64> {
    let mut values = vec![1.0, x];
    for n in 1..order {
        let n_f = n as f64;
        values.push(((2.0 * n_f + 1.0) * x * values[n] - n_f * values[n - 1]) / (n_f + 1.0));
    }
    values.truncate(order + 1);
    values
}

impl Motion {
    /// No motion.
    pub(super) fn none(frames: usize, edge: f64, order: usize) -> Self {
        Self { edge, order, coefficients: Array3::zeros((frames, 2, terms(order).len())) }
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.coefficients.dim().0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Displacement (x, y) \[Å\] in a frame of what is at rest at (x, y) \[Å\] from the centre.
    pub fn at(&self, frame: usize, x: f64, y: f64) -> [f64; 2] {
        let half = self.edge / 2.0;
        let (of_x, of_y) = (legendre(self.order, x / half), legendre(self.order, y / half));
        let coefficients = self.coefficients.index_axis(Axis(0), frame);
        let sum = |axis: usize| {
            let products = terms(self.order).into_iter().map(|(a, b)| of_x[a] * of_y[b]);
            coefficients.row(axis).iter().zip(products).map(|(c, product)| c * product).sum()
        };
        [sum(0), sum(1)]
    }

    /// Displacements \[pixels\] of all pixels (y, x) of a frame of `size` pixels.
    pub(super) fn of_pixels(&self, frame: usize, size: usize) -> Vec<[f32; 2]> {
        let pixel = self.edge / size as f64;
        let place = |i: usize| (i as f64 - (size / 2) as f64) * pixel / (self.edge / 2.0);
        let along: Vec<Vec<f64>> = (0..size).map(|i| legendre(self.order, place(i))).collect();
        let coefficients = self.coefficients.index_axis(Axis(0), frame);
        let terms = terms(self.order);
        let mut all = Vec::with_capacity(size * size);
        for of_y in &along {
            // a polynomial of x for this row
            let mut of_row = vec![[0.0; 2]; self.order + 1];
            for (term, &(a, b)) in terms.iter().enumerate() {
                for (axis, sum) in of_row[a].iter_mut().enumerate() {
                    *sum += coefficients[[axis, term]] * of_y[b] / pixel;
                }
            }
            for of_x in &along {
                let sum = |axis: usize| of_row.iter().zip(of_x).map(|(c, p)| c[axis] * p).sum::<f64>() as f32;
                all.push([sum(0), sum(1)]);
            }
        }
        all
    }

    /// The same motion seen from the mean of all frames.
    pub(super) fn about_its_mean(mut self) -> Self {
        if let Some(mean) = self.coefficients.mean_axis(Axis(0)) {
            self.coefficients.outer_iter_mut().for_each(|mut frame| frame -= &mean);
        }
        self
    }
}

/// Options of [`Images::deformed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeformOptions {
    /// Largest displacement in any frame within a circle that touches the frame's edges \[Å\]. Default: 2.
    pub amplitude: f64,
    /// Highest order of the polynomials of place. Default: 2.
    pub order: usize,
    /// Highest order of the polynomials of time. Default: 3.
    pub time_order: usize,
    /// Seed. Default: 0.
    pub seed: u64,
}

impl Default for DeformOptions {
    fn default() -> Self {
        Self { amplitude: 2.0, order: 2, time_order: 3, seed: 0 }
    }
}

impl Images {
    /// Frames moved and deformed as a beam may do it, smoothly in place and time and at random, and the motion.
    ///
    /// # Errors
    /// If there are fewer than two frames, or an option is out of range; or when interrupted.
    pub fn deformed(&self, options: &DeformOptions, task: &Task) -> Result<(Self, Motion), Error> {
        let DeformOptions { amplitude, order, time_order, seed } = *options;
        if self.len() < 2 {
            return Err(Error::TooFewFrames(self.len(), 2));
        }
        let edge = self.size() as f64 * self.pixel_size();
        if !(0.0..=edge / 8.0).contains(&amplitude) {
            let range = "from 0 to an eighth of a frame's edge [Å]";
            return Err(Error::Option { name: "amplitude", range, value: amplitude });
        }
        check_orders(order, time_order)?;
        let motion = random_motion(self.len(), edge, options, seed);
        let warp = Warp::new(self.size());
        let (images, _) = self.remade("deform", task, |frame, image, pixels| {
            let moved = motion.of_pixels(frame, self.size());
            let back = inverse(&motion, frame, self.size(), &moved);
            let prepared = warp.prepared(image.as_slice().expect("images are contiguous"), |_| 1.0);
            pixels.copy_from_slice(&prepared.warped(&back));
            Ok(())
        })?;
        Ok((images, motion))
    }
}

pub(super) fn check_orders(order: usize, time_order: usize) -> Result<(), Error> {
    if order > HIGHEST_ORDER {
        return Err(Error::Option { name: "order", range: "from 0 to 6", value: order as f64 });
    }
    if !(1..=HIGHEST_ORDER).contains(&time_order) {
        return Err(Error::Option { name: "time_order", range: "from 1 to 6", value: time_order as f64 });
    }
    Ok(())
}

/// Time of a frame from −1 to 1.
pub(super) fn time(frame: usize, frames: usize) -> f64 {
    2.0 * frame as f64 / (frames.max(2) - 1) as f64 - 1.0
}

fn random_motion(frames: usize, edge: f64, options: &DeformOptions, seed: u64) -> Motion {
    let DeformOptions { amplitude, order, time_order, .. } = *options;
    let mut motion = Motion::none(frames, edge, order);
    let mut rng = stream(seed, "deformation", 0);
    for axis in 0..2 {
        for (term, (a, b)) in terms(order).into_iter().enumerate() {
            for in_time in 1..=time_order {
                // rougher terms are weaker
                let deviate: f64 = rng.sample(StandardNormal);
                let weight = deviate / ((1 + a + b) * in_time) as f64;
                for frame in 0..frames {
                    motion.coefficients[[frame, axis, term]] +=
                        weight * legendre(in_time, time(frame, frames))[in_time];
                }
            }
        }
    }
    let mut motion = motion.about_its_mean();
    let mut largest = 0.0f64;
    for frame in 0..frames {
        for i in 0..240 {
            let (ring, angle) = ((i / 24 + 1) as f64 / 10.0, TAU * (i % 24) as f64 / 24.0);
            let [dx, dy] = motion.at(frame, ring * edge / 2.0 * angle.cos(), ring * edge / 2.0 * angle.sin());
            largest = largest.max(dx.hypot(dy));
        }
    }
    motion.coefficients *= amplitude / largest.max(f64::MIN_POSITIVE);
    motion
}

/// Displacements by which each pixel finds what has moved to it: −d(x) at the x with x + d(x) = the pixel, by fixed-point iteration.
fn inverse(motion: &Motion, frame: usize, size: usize, first: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let pixel = motion.edge / size as f64;
    let place = |i: usize| (i as f64 - (size / 2) as f64) * pixel;
    let of_pixel = |(index, guess): (usize, &[f32; 2])| {
        let (x, y) = (place(index % size), place(index / size));
        let mut d = guess.map(|d| f64::from(d) * pixel);
        for _ in 0..12 {
            d = motion.at(frame, x - d[0], y - d[1]);
        }
        d.map(|d| (-d / pixel) as f32)
    };
    first.iter().enumerate().map(of_pixel).collect()
}
