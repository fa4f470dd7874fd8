//! The radial power of images: where in frequency the particle scatters.

use ndarray::Axis;
use rayon::prelude::*;

use super::{Particles, Samples};
use crate::task::{Cancelled, Task};

/// Mean power of masked particles against spatial frequency, in units of the noise: 1 where there is nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct RadialPower {
    /// Spatial frequency of each shell [1/Å].
    pub frequencies: Vec<f64>,
    pub power: Vec<f64>,
}

/// Frequencies below this are the particle's outline, not its lattice [1/Å].
const OUTLINE: f64 = 0.2;
/// A peak is strong if it has at least this share of the highest one's height.
const STRONG: f64 = 0.3;

impl RadialPower {
    /// Mean over the particles, in shells one box frequency wide, up to 1/`low_pass`.
    pub fn of(particles: &Particles, low_pass: f64, task: &Task) -> Result<Self, Cancelled> {
        let samples = Samples::new(particles, low_pass, task)?;
        let edge = particles.edge();
        let shell = |s: f32| (f64::from(s) * edge).round() as usize;
        let shells = samples.lengths.last().map_or(0, |&s| shell(s) + 1);
        let mean: Vec<f64> = samples
            .values
            .axis_iter(Axis(1))
            .into_par_iter()
            .map(|column| column.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>() / samples.images().max(1) as f64)
            .collect();
        let (mut power, mut counts) = (vec![0.0; shells], vec![0usize; shells]);
        for ((mean, &length), &noise) in mean.iter().zip(&samples.lengths).zip(&samples.noise) {
            power[shell(length)] += mean / f64::from(noise);
            counts[shell(length)] += 1;
        }
        power.iter_mut().zip(&counts).for_each(|(sum, &count)| *sum /= count.max(1) as f64);
        Ok(Self { frequencies: (0..shells).map(|shell| shell as f64 / edge).collect(), power })
    }

    /// Frequency [1/Å] of the first strong peak beyond the particle's outline: its first strong lattice spacing.
    ///
    /// None if nothing stands out of the noise. The place is that of a parabola through the three highest shells.
    pub fn first_peak(&self) -> Option<f64> {
        let from = self.frequencies.partition_point(|&s| s < OUTLINE).max(1);
        let signal = |i: usize| self.power[i] - 1.0;
        let highest = (from..self.power.len()).map(signal).fold(0.0, f64::max);
        if highest <= 0.1 {
            return None;
        }
        let last = self.power.len().saturating_sub(1);
        let peak = (from..last).find(|&i| {
            signal(i) >= STRONG * highest && self.power[i] >= self.power[i - 1] && self.power[i] > self.power[i + 1]
        })?;
        let (before, here, after) = (self.power[peak - 1], self.power[peak], self.power[peak + 1]);
        let curvature = before - 2.0 * here + after;
        let offset = if curvature < 0.0 { 0.5 * (before - after) / curvature } else { 0.0 };
        let step = self.frequencies[1] - self.frequencies[0];
        Some(self.frequencies[peak] + offset * step)
    }
}
