//! What the lenses do: the phase that aberrations add, and the envelopes of partial coherence.
//!
//! For a weak phase object the image's Fourier transform is 2·sin χ(k)·E(k) times that of the phase (Kirkland 2010, section 3.1), with
//! E the product of two envelopes to first order in the spreads: temporal, exp(−½π²λ²Δ²k⁴), the mean of sin χ over a Gaussian
//! defocus spread of standard deviation Δ; and spatial, 2J₁(u)/u with u = k₀·|∇χ(k)|, the mean of e^(−i q·∇χ) over beam tilts
//! q in a disc of radius k₀ = (illumination half-angle)/λ. A tilted beam meets the lens off its axis: χ is then that at k and the tilt together, and
//! the envelopes are those of its differences from the beam's own.

use std::f64::consts::PI;

use super::{Aberrations, Microscope};

/// Aberrations and envelopes for electrons that leave at one defocus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    wavelength: f64,
    /// −C1 \[Å\].
    defocus: f64,
    /// C3 and C5 \[Å\].
    c3: f64,
    c5: f64,
    /// Standard deviation of the defocus \[Å\].
    spread: f64,
    /// Radius of the disc of illumination [Å⁻¹].
    illumination: f64,
    /// Of the beam about the lens's axis [Å⁻¹].
    tilt: (f64, f64),
    aberrations: Aberrations,
}

impl Transfer {
    /// The transfer of `microscope` at `defocus` \[Å\]: for an atom, that of its own height
    /// ([`defocus_at`](crate::cell::defocus_at)).
    pub fn new(microscope: &Microscope, defocus: f64) -> Self {
        const ANGSTROM_PER_MM: f64 = 1e7;
        Self {
            wavelength: microscope.wavelength(),
            defocus,
            c3: microscope.c3 * ANGSTROM_PER_MM,
            c5: microscope.c5 * ANGSTROM_PER_MM,
            spread: microscope.defocus_spread,
            illumination: microscope.illumination * 1e-3 / microscope.wavelength(),
            tilt: microscope.tilt_frequency().into(),
            aberrations: microscope.aberrations,
        }
    }

    /// A spatial frequency as counted from the lens's axis.
    fn off_axis(&self, (kx, ky): (f64, f64)) -> (f64, f64) {
        (kx + self.tilt.0, ky + self.tilt.1)
    }

    /// Aberration phase χ \[rad\] at the spatial frequency (kx, ky) [Å⁻¹], counted from the beam.
    pub fn chi(&self, k: (f64, f64)) -> f64 {
        let (kx, ky) = self.off_axis(k);
        let a2 = (self.wavelength * kx.hypot(ky)).powi(2);
        let round = 2.0 * PI / self.wavelength * a2 * (-self.defocus / 2.0 + a2 * (self.c3 / 4.0 + a2 * self.c5 / 6.0));
        round + self.aberrations.chi(self.wavelength, (kx, ky))
    }

    /// ∇χ [rad Å].
    fn chi_gradient(&self, k: (f64, f64)) -> (f64, f64) {
        let (kx, ky) = self.off_axis(k);
        let a = self.wavelength * kx.hypot(ky);
        let round = 2.0 * PI * (a * (-self.defocus + a * a * (self.c3 + a * a * self.c5)));
        let (along, across) = self.aberrations.gradient(self.wavelength, (kx, ky));
        let (sine, cosine) = ky.atan2(kx).sin_cos();
        ((round + along) * cosine - across * sine, (round + along) * sine + across * cosine)
    }

    /// Envelope of the defocus spread, 1 at k = 0.
    pub fn temporal_envelope(&self, k: (f64, f64)) -> f64 {
        let square = |(kx, ky): (f64, f64)| kx * kx + ky * ky;
        let apart = square(self.off_axis(k)) - square(self.tilt);
        (-0.5 * (PI * self.wavelength * self.spread * apart).powi(2)).exp()
    }

    /// Envelope of the illumination's angular width, 1 at k = 0.
    pub fn spatial_envelope(&self, k: (f64, f64)) -> f64 {
        let (here, beam) = (self.chi_gradient(k), self.chi_gradient((0.0, 0.0)));
        disc_average(self.illumination * (here.0 - beam.0).hypot(here.1 - beam.1))
    }
}

/// 2J₁(u)/u, the mean of cos(u·x) over the unit disc, as 2/π ∫ √(1−x²) cos(ux) dx by Gauss–Chebyshev quadrature of the second
/// kind: exact to rounding up to u ≈ 80, beyond which the envelope is below 0.003 and is set to 0.
fn disc_average(u: f64) -> f64 {
    const NODES: usize = 64;
    if u > 80.0 {
        return 0.0;
    }
    let node = |j: usize| {
        let angle = PI * j as f64 / (NODES + 1) as f64;
        angle.sin().powi(2) * (u * angle.cos()).cos()
    };
    2.0 / (NODES + 1) as f64 * (1..=NODES).map(node).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::microscope::paper;

    #[test]
    fn disc_average_is_the_bessel_function() {
        // 2·J₁(u)/u from tables of J₁; the first zero of J₁ is at 3.8317.
        for (u, j1) in [(1.0, 0.440_050_585_744_934), (10.0, 0.043_472_746_168_861), (50.0, -0.097_511_828_125_175)] {
            assert!((disc_average(u) - 2.0 * j1 / u).abs() < 1e-12, "u = {u}");
        }
        assert!(disc_average(3.831_705_970_207_512).abs() < 1e-14);
        assert!((disc_average(0.0) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn underfocus_makes_chi_negative_and_its_gradient_is_its_derivative() {
        let transfer = Transfer::new(&paper(), 35.0);
        assert!(transfer.chi((0.4, 0.0)) < 0.0);
        for k in [0.1, 0.5, 0.9, 1.15] {
            let derivative = (transfer.chi((k + 1e-5, 0.0)) - transfer.chi((k - 1e-5, 0.0))) / 2e-5;
            assert!((transfer.chi_gradient((k, 0.0)).0 - derivative).abs() < 1e-6);
        }
    }

    #[test]
    fn the_gradient_of_every_aberration_is_its_derivative() {
        let aberrations = Aberrations {
            c12: 30.0,
            phi12: 20.0,
            c21: 500.0,
            phi21: 75.0,
            c23: 400.0,
            c32: 3e4,
            phi32: 10.0,
            c34: 2e4,
            c41: 1e6,
            c43: 2e6,
            phi43: 5.0,
            c45: 1e6,
            c52: 2e7,
            c54: 3e7,
            phi54: 33.0,
            c56: 3e7,
            ..Aberrations::default()
        };
        let transfer = Transfer::new(&Microscope { aberrations, ..paper() }, 35.0);
        for (kx, ky) in [(0.3, 0.1), (-0.5, 0.7), (0.2, -0.9)] {
            let h = 1e-5;
            let slope =
                |dx: f64, dy: f64| (transfer.chi((kx + dx, ky + dy)) - transfer.chi((kx - dx, ky - dy))) / (2.0 * h);
            let (x, y) = transfer.chi_gradient((kx, ky));
            let size = x.hypot(y);
            assert!((x - slope(h, 0.0)).abs() < 1e-6 * size && (y - slope(0.0, h)).abs() < 1e-6 * size);
        }
        let even = |m: f64| {
            Transfer::new(&Microscope { aberrations: Aberrations { c12: m, ..Aberrations::default() }, ..paper() }, 0.0)
        };
        // twofold astigmatism is one defocus along its axis and the opposite across it
        let round = Transfer::new(&paper(), -40.0);
        assert!((even(40.0).chi((0.5, 0.0)) - round.chi((0.5, 0.0))).abs() < 1e-9);
    }

    #[test]
    fn temporal_envelope_is_the_mean_over_a_gaussian_spread_of_defocus() {
        let microscope = paper();
        let centre = Transfer::new(&microscope, 10.0);
        for k in [0.3, 0.6, 0.9] {
            let (mut sum, mut weights) = (0.0, 0.0);
            for i in -600..=600 {
                let t = f64::from(i) / 100.0;
                let weight = (-0.5 * t * t).exp();
                sum += weight * Transfer::new(&microscope, 10.0 + t * microscope.defocus_spread).chi((k, 0.0)).sin();
                weights += weight;
            }
            assert!((sum / weights - centre.chi((k, 0.0)).sin() * centre.temporal_envelope((k, 0.0))).abs() < 1e-6);
        }
    }

    #[test]
    fn spatial_envelope_is_the_mean_over_beam_tilts() {
        // The linear image term of a tilted beam, exactly: ½i(e^(−i[χ(k+q)−χ(q)]) − e^(+i[χ(q−k)−χ(q)])), against its first order.
        let transfer = Transfer::new(&paper(), 60.0);
        for k in [0.3, 0.6, 0.9] {
            let (mut sum, mut count) = (0.0, 0.0);
            for (i, j) in (-40..=40).flat_map(|i| (-40..=40).map(move |j| (i, j))) {
                let (x, y) = (f64::from(i) / 40.0 * transfer.illumination, f64::from(j) / 40.0 * transfer.illumination);
                if x.hypot(y) <= transfer.illumination {
                    let (plus, minus) = (transfer.chi((k + x, y)), transfer.chi((k - x, y)));
                    let zero = transfer.chi((x, y));
                    sum += 0.5 * ((plus - zero).sin() + (minus - zero).sin());
                    count += 1.0;
                }
            }
            let expected = transfer.chi((k, 0.0)).sin() * transfer.spatial_envelope((k, 0.0));
            assert!((sum / count - expected).abs() < 0.01, "{k}: {} and {expected}", sum / count);
        }
    }
}
