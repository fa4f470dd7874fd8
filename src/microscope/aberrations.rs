//! Aberrations without rotational symmetry, to fifth order.
//!
//! χ(α, φ) = 2π/λ·Σ α^(n+1)/(n+1)·C_nm·cos(m(φ − φ_nm)) in the notation of O. L. Krivanek, N. Dellby and A. R. Lupini, Ultramicroscopy 78 (1999)
//! 1–11; n is the order, m the symmetry. The round ones, C_10 = −defocus, C_30 and C_50, are the microscope's own settings.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Magnitudes C_nm \[Å\] and azimuths φ_nm \[°\]; all 0 by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aberrations {
    /// Twofold astigmatism.
    pub c12: f64,
    pub phi12: f64,
    /// Axial coma.
    pub c21: f64,
    pub phi21: f64,
    /// Threefold astigmatism.
    pub c23: f64,
    pub phi23: f64,
    /// Star aberration.
    pub c32: f64,
    pub phi32: f64,
    /// Fourfold astigmatism.
    pub c34: f64,
    pub phi34: f64,
    /// Fourth-order coma, three-lobe aberration and fivefold astigmatism.
    pub c41: f64,
    pub phi41: f64,
    pub c43: f64,
    pub phi43: f64,
    pub c45: f64,
    pub phi45: f64,
    /// Fifth-order star aberration, rosette and sixfold astigmatism.
    pub c52: f64,
    pub phi52: f64,
    pub c54: f64,
    pub phi54: f64,
    pub c56: f64,
    pub phi56: f64,
}

impl Aberrations {
    /// Order n, symmetry m, C_nm and φ_nm \[rad\] of those that are not 0.
    fn terms(&self) -> impl Iterator<Item = (i32, f64, f64, f64)> {
        let all = [
            (1, 2, self.c12, self.phi12),
            (2, 1, self.c21, self.phi21),
            (2, 3, self.c23, self.phi23),
            (3, 2, self.c32, self.phi32),
            (3, 4, self.c34, self.phi34),
            (4, 1, self.c41, self.phi41),
            (4, 3, self.c43, self.phi43),
            (4, 5, self.c45, self.phi45),
            (5, 2, self.c52, self.phi52),
            (5, 4, self.c54, self.phi54),
            (5, 6, self.c56, self.phi56),
        ];
        all.into_iter().filter(|term| term.2 != 0.0).map(|(n, m, c, phi)| (n, f64::from(m), c, phi.to_radians()))
    }

    /// Whether there are any.
    pub fn is_none(&self) -> bool {
        self.terms().next().is_none()
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.terms().all(|(_, _, c, phi)| c.is_finite() && phi.is_finite())
    }

    /// Their share of χ \[rad\] at the frequency (kx, ky) [Å⁻¹].
    pub fn chi(&self, wavelength: f64, (kx, ky): (f64, f64)) -> f64 {
        let (alpha, azimuth) = (wavelength * kx.hypot(ky), ky.atan2(kx));
        let term = |(n, m, c, phi): (i32, f64, f64, f64)| {
            alpha.powi(n + 1) / f64::from(n + 1) * c * (m * (azimuth - phi)).cos()
        };
        2.0 * PI / wavelength * self.terms().map(term).sum::<f64>()
    }

    /// Their share of ∇χ [rad Å], along the frequency and across it.
    pub fn gradient(&self, wavelength: f64, (kx, ky): (f64, f64)) -> (f64, f64) {
        let (alpha, azimuth) = (wavelength * kx.hypot(ky), ky.atan2(kx));
        let term = |(along, across): (f64, f64), (n, m, c, phi): (i32, f64, f64, f64)| {
            let (sine, cosine) = (m * (azimuth - phi)).sin_cos();
            let size = 2.0 * PI * c * alpha.powi(n);
            (along + size * cosine, across - size * m / f64::from(n + 1) * sine)
        };
        self.terms().fold((0.0, 0.0), term)
    }
}
