//! Which of the two mirror images a particle is: what the projection approximation leaves open, the depth of focus decides.
//!
//! An atom at height z sees its own defocus, so that its transfer is W·sin(χ + πλk²z) in images with white atoms, up to a sign: P = −W sin χ, Q = W cos χ of
//! P·cos(πλk²z) + Q·sin(πλk²z), with χ < 0 for underfocus. Seen as its mirror image the particle has z reversed, and a refinement finds −Q for Q. If the
//! microscope is known, so is the direction of (P, Q) on each ring, and that of (P, −Q): the sum of squares that is left of each is its χ² above the best that
//! transfers can do (curvature of the Ewald sphere; DeRosier, Ultramicroscopy 81 (2000) 83).

use super::TransferCurve;
use crate::microscope::{Microscope, Transfer};

/// How well each of the two mirror images explains what the images show of the atoms' heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hand {
    /// χ² of the atoms as they are, above that of free transfers.
    pub chi2: f64,
    /// That of their mirror image.
    pub chi2_mirrored: f64,
}

impl Hand {
    /// Whether the mirror image explains the images better.
    pub fn is_mirrored(&self) -> bool {
        self.chi2_mirrored < self.chi2
    }
}

/// The hand of refined atoms, by the transfers that came with them, in images with white atoms from `microscope`.
pub fn hand(transfers: &[TransferCurve], microscope: &Microscope) -> Hand {
    let lens = Transfer::new(microscope, microscope.defocus_at_centre());
    let mut hand = Hand { chi2: 0.0, chi2_mirrored: 0.0 };
    for curve in transfers {
        for (ring, &k) in curve.frequencies.iter().enumerate() {
            let (sine, cosine) = lens.chi((k, 0.0)).sin_cos();
            let found = [curve.even[ring], curve.odd[ring]];
            let deviations = [curve.even_deviation[ring], curve.odd_deviation[ring]];
            if deviations.iter().all(|deviation| deviation.is_finite() && *deviation > 0.0) {
                hand.chi2 += left(found, deviations, [-sine, cosine]);
                hand.chi2_mirrored += left(found, deviations, [-sine, -cosine]);
            }
        }
    }
    hand
}

/// What is left of two numbers, each over its standard deviation and squared, off the line through the origin along `direction`.
fn left(found: [f64; 2], deviations: [f64; 2], direction: [f64; 2]) -> f64 {
    let scaled = |values: [f64; 2]| [values[0] / deviations[0], values[1] / deviations[1]];
    let ([p, q], [along_p, along_q]) = (scaled(found), scaled(direction));
    (p * along_q - q * along_p).powi(2) / (along_p * along_p + along_q * along_q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_off_the_line_counts_in_units_of_the_noise() {
        assert!(left([1.0, 2.0], [0.1, 0.1], [1.0, 2.0]) < 1e-20);
        assert!((left([2.0, -1.0], [1.0, 1.0], [1.0, 2.0]) - 5.0).abs() < 1e-12);
        assert!((left([0.0, 3.0], [1.0, 0.5], [1.0, 0.0]) - 36.0).abs() < 1e-12);
    }
}
