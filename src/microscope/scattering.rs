//! What one atom does to the beam: electron scattering factors f_e(k) in the first Born approximation.
//!
//! Two published fits to Hartree–Fock atoms are built in, Z = 1–103: E. J. Kirkland, *Advanced Computing in Electron Microscopy*,
//! 2nd ed. (2010), appendix C, and I. Lobato and D. Van Dyck, Acta Cryst. A70 (2014) 636–649. Frequencies k in Å⁻¹, f_e in Å.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::electron::POTENTIAL_PER_SCATTERING_FACTOR;
use crate::structure::Element;

/// A table of electron scattering factors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScatteringFactors {
    /// Kirkland 2010: three Lorentzians and three Gaussians.
    #[default]
    Kirkland,
    /// Lobato and Van Dyck 2014: five squared Lorentzians.
    Lobato,
}

impl ScatteringFactors {
    /// Scattering factor f_e \[Å\] of `element` at the spatial frequency `k` [Å⁻¹].
    pub fn f_e(self, element: Element, k: f64) -> f64 {
        let k2 = k * k;
        let row = self.row(element);
        match self {
            Self::Kirkland => {
                let (a, b, c, d) = (&row[0..3], &row[3..6], &row[6..9], &row[9..12]);
                (0..3).map(|i| a[i] / (k2 + b[i]) + c[i] * (-d[i] * k2).exp()).sum()
            }
            Self::Lobato => {
                let (a, b) = (&row[0..5], &row[5..10]);
                (0..5).map(|i| a[i] * (2.0 + b[i] * k2) / (1.0 + b[i] * k2).powi(2)).sum()
            }
        }
    }

    /// Fourier transform of the atom's projected potential [V Å³] at the spatial frequency `k` [Å⁻¹].
    pub fn projected_potential(self, element: Element, k: f64) -> f64 {
        POTENTIAL_PER_SCATTERING_FACTOR * self.f_e(element, k)
    }

    /// The numbers of the table for one element, in the order of its columns.
    fn row(self, element: Element) -> &'static [f64] {
        static KIRKLAND: OnceLock<Vec<Vec<f64>>> = OnceLock::new();
        static LOBATO: OnceLock<Vec<Vec<f64>>> = OnceLock::new();
        let (table, text) = match self {
            Self::Kirkland => (&KIRKLAND, include_str!("../../stdlib/scattering_factors/kirkland.csv")),
            Self::Lobato => (&LOBATO, include_str!("../../stdlib/scattering_factors/lobato.csv")),
        };
        &table.get_or_init(|| parse(text))[usize::from(element.atomic_number()) - 1]
    }
}

/// Rows of a built-in table after its formula and its heading: symbol, Z, numbers.
fn parse(text: &str) -> Vec<Vec<f64>> {
    let numbers = |line: &str| line.split(',').skip(2).map(|x| x.parse().expect("a number")).collect();
    text.lines().skip(2).map(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_hold_every_element_in_its_place() {
        for text in [
            include_str!("../../stdlib/scattering_factors/kirkland.csv"),
            include_str!("../../stdlib/scattering_factors/lobato.csv"),
        ] {
            for (z, line) in (1..).zip(text.lines().skip(2)) {
                let element = Element::from_atomic_number(z).unwrap();
                assert!(line.starts_with(&format!("{},{z},", element.symbol())), "{line}");
            }
            assert_eq!(parse(text).len(), 103);
        }
    }

    #[test]
    fn two_independent_fits_agree_for_every_element() {
        // They differ most for iridium and polonium at low frequencies, by 7 %.
        for (k, tolerance) in [(0.2, 0.08), (0.5, 0.03), (1.0, 0.02), (1.5, 0.02)] {
            for z in 1..=103 {
                let element = Element::from_atomic_number(z).unwrap();
                let ratio = ScatteringFactors::Kirkland.f_e(element, k) / ScatteringFactors::Lobato.f_e(element, k);
                assert!((ratio - 1.0).abs() < tolerance, "{element} at {k}/Å: {ratio}");
            }
        }
    }

    #[test]
    fn far_from_the_nucleus_screening_is_over_and_rutherford_scattering_is_left() {
        // Mott–Bethe with no electrons in the way: f_e = Z/(2π² a₀ k²), a₀ = 0.529177 Å.
        let platinum: Element = "Pt".parse().unwrap();
        let rutherford = 78.0 / (2.0 * std::f64::consts::PI.powi(2) * 0.529_177 * 36.0);
        let tabulated = ScatteringFactors::Lobato.f_e(platinum, 6.0);
        assert!((0.6..1.0).contains(&(tabulated / rutherford)), "{}", tabulated / rutherford);
    }
}
