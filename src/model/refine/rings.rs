//! What two atoms have in common on each ring of frequencies, as a mean over all directions of view.

use std::f64::consts::{PI, TAU};

use nalgebra::{SMatrix, SVector, Vector3};

use super::transfer::Transfers;
use super::views::Views;
use super::waves::Atoms;

/// What is to be known of an atom: x, y and z, amplitude, B factor.
pub const SLOTS: usize = 5;
pub const AMPLITUDE: usize = 3;
pub const B_FACTOR: usize = 4;

/// All rings.
pub struct Rings {
    pub rings: Vec<Ring>,
    /// Groups of atoms.
    pub groups: usize,
}

/// A ring of frequencies.
pub struct Ring {
    /// 2πk.
    wave_number: f64,
    /// −k²/4: what a B factor does to a wave.
    fall: f64,
    /// Weight times transfers, for each pair of groups.
    strengths: Vec<f64>,
}

impl Rings {
    /// Of images whose squared contrasts, weighted, add up to `images`.
    pub fn new(views: &Views, atoms: &Atoms, transfers: &Transfers, wavelength: f64, images: f64) -> Self {
        let spread = atoms.positions.iter().map(|p| p.norm_squared()).sum::<f64>() / atoms.len().max(1) as f64;
        let groups = atoms.groups.len();
        let ring = |(ring, weight): (usize, &f64)| {
            let k = ring as f64 / views.edge;
            let phase = PI * wavelength * k * k * spread.sqrt();
            let product = |pair: usize| {
                2.0 * weight * images * transfers.mean_product(ring, (pair / groups, pair % groups), phase)
            };
            let strengths = (0..groups * groups).map(product).collect();
            Ring { wave_number: TAU * k, fall: -0.25 * k * k, strengths }
        };
        Self { rings: views.ring_weights().iter().enumerate().map(ring).collect(), groups }
    }

    /// Weight times transfers of two groups on a ring.
    pub fn strength(&self, ring: usize, a: usize, b: usize) -> f64 {
        self.rings[ring].strengths[a * self.groups + b]
    }
}

impl Ring {
    /// Re⟨∂w/∂p · ∂w′*/∂p′⟩ of the waves w = e^(−2πi k·r) of two atoms of amplitude one, `apart` = r − r′, for each pair of what is to be known.
    ///
    /// With u = 2πk|r − r′|, the means over directions n of 1, n and n nᵀ times e^(−iu n·d̂) are j₀(u), −i j₁(u) d̂ and (j₁(u)/u)·I + (j₀(u) − 3j₁(u)/u)·d̂d̂ᵀ.
    pub fn common(&self, apart: &Vector3<f64>) -> SMatrix<f64, SLOTS, SLOTS> {
        let distance = apart.norm();
        let (q, u) = (self.wave_number, self.wave_number * distance);
        let (j0, j1_over_u) = if u < 1e-2 {
            (1.0 - u * u / 6.0, 1.0 / 3.0 - u * u / 30.0)
        } else {
            let sinc = u.sin() / u;
            (sinc, (sinc - u.cos()) / (u * u))
        };
        let direction = if distance > 0.0 { apart / distance } else { Vector3::zeros() };
        let mut common = SMatrix::<f64, SLOTS, SLOTS>::zeros();
        for i in 0..3 {
            for j in 0..3 {
                common[(i, j)] = q * q * (j0 - 3.0 * j1_over_u) * direction[i] * direction[j];
            }
            common[(i, i)] += q * q * j1_over_u;
            let mixed = q * j1_over_u * u * direction[i];
            for (slot, factor) in [(AMPLITUDE, 1.0), (B_FACTOR, self.fall)] {
                common[(i, slot)] = -mixed * factor;
                common[(slot, i)] = mixed * factor;
            }
        }
        common[(AMPLITUDE, AMPLITUDE)] = j0;
        common[(AMPLITUDE, B_FACTOR)] = j0 * self.fall;
        common[(B_FACTOR, AMPLITUDE)] = j0 * self.fall;
        common[(B_FACTOR, B_FACTOR)] = j0 * self.fall * self.fall;
        common
    }

    /// What the derivatives of an atom's wave are multiplied by: amplitude and blur.
    pub fn heights(&self, amplitude: f64, b_factor: f64) -> SVector<f64, SLOTS> {
        let blur = (self.fall * b_factor).exp();
        let mut heights = SVector::repeat(amplitude * blur);
        heights[AMPLITUDE] = blur;
        heights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fourier::Complex64;

    /// The same by a sum over many directions, derivatives by small differences.
    fn summed(ring: &Ring, apart: &Vector3<f64>) -> SMatrix<f64, SLOTS, SLOTS> {
        const DIRECTIONS: usize = 20_000;
        let k = ring.wave_number / TAU;
        let mut sum = SMatrix::zeros();
        for i in 0..DIRECTIONS {
            let z = (2.0 * i as f64 + 1.0) / DIRECTIONS as f64 - 1.0;
            let (sin, cos) = (2.399_963_229_728_653 * i as f64).sin_cos();
            let n = Vector3::new((1.0 - z * z).sqrt() * cos, (1.0 - z * z).sqrt() * sin, z);
            let wave = |p: &SVector<f64, SLOTS>| {
                let phase = Complex64::cis(-TAU * k * n.dot(&p.fixed_rows::<3>(0)));
                phase * p[AMPLITUDE] * (-0.25 * k * k * p[B_FACTOR]).exp()
            };
            let slopes = |place: &Vector3<f64>| {
                let at = SVector::from([place.x, place.y, place.z, 1.0, 0.0]);
                std::array::from_fn::<Complex64, SLOTS, _>(|slot| {
                    let step = SVector::<f64, SLOTS>::ith(slot, 1e-4);
                    (wave(&(at + step)) - wave(&(at - step))) / 2e-4
                })
            };
            let (here, there) = (slopes(apart), slopes(&Vector3::zeros()));
            sum += SMatrix::from_fn(|a, b| (here[a] * there[b].conj()).re / DIRECTIONS as f64);
        }
        sum
    }

    #[test]
    fn closed_forms_are_means_over_directions() {
        for (k, apart) in [(0.6, Vector3::new(0.8, -1.1, 2.0)), (0.3, Vector3::new(0.0, 0.0, 0.0))] {
            let ring = Ring { wave_number: TAU * k, fall: -0.25 * k * k, strengths: Vec::new() };
            let (common, summed) = (ring.common(&apart), summed(&ring, &apart));
            assert!((common - summed).amax() < 2e-3, "{common}{summed}");
        }
    }
}
