//! Scaling a density so that its projections are as strong, at every frequency, as the particle in the images.

use super::expansion::Expansion;
use super::pixels::PixelBasis;
use super::rings::Rings;
use super::{Error, directions};
use crate::images::Particles;
use crate::task::{Cancelled, Task};
use crate::volume::{Spectrum, Volume};

/// Directions over which a density's power is averaged.
const VIEWS: usize = 200;
/// Least share of the images' power on a ring that is taken for signal.
const LEAST_SIGNAL: f64 = 0.02;

/// `density` with each frequency shell scaled to the power of the images, their noise subtracted; nothing beyond 1/`low_pass`.
///
/// A density of atoms, or of noise, so takes on the contrast transfer of the microscope, up to its signs.
///
/// # Errors
/// If the limit is finer than particles or density carry, or when interrupted.
pub fn match_power(particles: &Particles, density: &Volume, low_pass: f64, task: &Task) -> Result<Volume, Error> {
    particles.check_limit(low_pass)?;
    density.check_limit(low_pass)?;
    let rings = Rings::new(particles, low_pass);
    let images = PixelBasis::new(&rings, particles).expand(particles, task)?;
    Ok(match_rings(&rings, particles, &images, density, task)?)
}

/// [`match_power`] on rings and image coefficients that are known already.
pub(super) fn match_rings(
    rings: &Rings,
    particles: &Particles,
    images: &Expansion,
    density: &Volume,
    task: &Task,
) -> Result<Volume, Cancelled> {
    let views: Vec<_> = directions(VIEWS).iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
    let slices = Expansion::of_slices(rings, &Spectrum::new(density, rings.finest()), &views, task)?;
    let masked_area = std::f64::consts::PI * particles.mask_radius().powi(2);
    let (wanted, given) = (images.ring_power(rings), slices.ring_power(rings));
    let faintest = 1e-6 * given.iter().copied().fold(0.0, f64::max);
    let gains: Vec<f64> = rings
        .frequencies
        .iter()
        .zip(wanted.iter().zip(given))
        .map(|(&s, (&power, given))| {
            let signal = (power - particles.noise_density(s) * masked_area).max(LEAST_SIGNAL * power);
            (signal / given.max(faintest)).sqrt()
        })
        .collect();
    let step = rings.frequencies[0];
    Ok(density.filtered(|s| {
        let place = (s / step - 1.0).max(0.0);
        let ring = place as usize;
        match (gains.get(ring), gains.get(ring + 1)) {
            (Some(a), Some(b)) => a + (b - a) * (place - ring as f64),
            (Some(last), None) if place <= ring as f64 + 1e-6 => *last,
            _ => 0.0,
        }
    }))
}
