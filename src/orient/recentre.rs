//! Moving images by fractions of a pixel.

use std::f64::consts::TAU;

use nalgebra::Vector2;
use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::fourier::{Complex32, Fft2, signed_index};
use crate::images::Particles;

/// The particles with image i moved back by `shifts[i]` Å: a particle that was at `shifts[i]` is then at the centre.
///
/// Exact for band-limited images, by phase ramps; the field of view is periodic.
pub fn recentred(particles: &Particles, shifts: &[Vector2<f64>]) -> Particles {
    let n = particles.size();
    let fft = Fft2::new(n);
    let columns = fft.columns();
    let mut data = Array3::zeros(particles.data().dim());
    data.axis_iter_mut(Axis(0)).into_par_iter().zip(particles.data().axis_iter(Axis(0))).zip(shifts).for_each(
        |((mut target, image), shift)| {
            let mut spectrum = fft.forward(image.to_slice().expect("standard layout"));
            let turns = shift / particles.edge();
            let ramp = |k: isize, turn: f64| {
                // the unpaired frequency of even sizes cannot be moved by a fraction of a pixel
                let angle = if 2 * k.unsigned_abs() == n { 0.0 } else { TAU * k as f64 * turn };
                Complex32::new(angle.cos() as f32, angle.sin() as f32)
            };
            let along_x: Vec<Complex32> = (0..columns).map(|kx| ramp(kx as isize, turns.x)).collect();
            for (row, values) in spectrum.chunks_exact_mut(columns).enumerate() {
                let along_y = ramp(signed_index(row, n), turns.y);
                values.iter_mut().zip(&along_x).for_each(|(value, x)| *value *= along_y * x);
            }
            target.iter_mut().zip(fft.inverse(&spectrum)).for_each(|(to, from)| *to = from);
        },
    );
    particles.with_data(data)
}
