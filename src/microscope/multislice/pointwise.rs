//! What is done to every number of a frame, with the widest instructions of the processor.

use rustfft::num_complex::Complex32;

/// `out` = e^(i·scale·values), to 2·10⁻⁷ and the rounding of the phase for phases up to some thousand radians.
///
/// The phase is reduced to a quarter turn about 0, where the Taylor series of sine and cosine need five terms.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn cis(values: &[f32], scale: f32, out: &mut [Complex32]) {
    // π/2 in two parts, the first with few enough bits that its multiples are exact
    const HALF_PI: (f32, f32) = (1.570_312_5, 4.838_268e-4);
    // numbers of this size are integers, which their last bits count
    const INTEGERS: f32 = 12_582_912.0;
    for (value, out) in values.iter().zip(out) {
        let phase = scale * value;
        let shifted = phase * std::f32::consts::FRAC_2_PI + INTEGERS;
        let quarters = shifted - INTEGERS;
        let x = (phase - quarters * HALF_PI.0) - quarters * HALF_PI.1;
        let x2 = x * x;
        let sine = x + x * x2 * (-1.0 / 6.0 + x2 * (1.0 / 120.0 + x2 * (-1.0 / 5040.0 + x2 * (1.0 / 362_880.0))));
        let cosine = 1.0 - 0.5 * x2 + x2 * x2 * (1.0 / 24.0 + x2 * (-1.0 / 720.0 + x2 * (1.0 / 40320.0)));
        let quadrant = shifted.to_bits();
        let (a, b) = if quadrant & 1 == 0 { (cosine, sine) } else { (sine, cosine) };
        let sign = |bit: bool, value: f32| if bit { -value } else { value };
        *out = Complex32::new(sign((quadrant + 1) & 2 != 0, a), sign(quadrant & 2 != 0, b));
    }
}

/// `values` ×= `factors`.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn multiply(values: &mut [Complex32], factors: &[Complex32]) {
    values.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
}

/// `values` ×= `factors`.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn scale(values: &mut [Complex32], factors: &[f32]) {
    values.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_of_every_size_are_right_to_single_precision() {
        let values: Vec<f32> = (-40_000..40_000).map(|i| i as f32 * 1e-3).collect();
        let mut out = vec![Complex32::ZERO; values.len()];
        cis(&values, 2.0, &mut out);
        for (value, got) in values.iter().zip(out) {
            let (sine, cosine) = (2.0 * f64::from(*value)).sin_cos();
            let error = (f64::from(got.re) - cosine).abs().max((f64::from(got.im) - sine).abs());
            assert!(error < 1.5e-6 * 2.0 + 6e-8 * f64::from(value.abs()), "{value}: {error}");
        }
    }
}
