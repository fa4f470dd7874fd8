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

/// `values` become e^(i·scale·values), to 10⁻⁵ for phases and absorptions of a few radians.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn exp_i(values: &mut [Complex32], scale: f32) {
    // the series of the exponential is needed for an eighth, and the result squared three times
    let scale = 0.125 * scale;
    for value in values {
        let Complex32 { re: a, im: b } = *value * Complex32::new(0.0, scale);
        let decay = 1.0 + a * (1.0 + a * (0.5 + a * (1.0 / 6.0 + a * (1.0 / 24.0 + a * (1.0 / 120.0)))));
        let b2 = b * b;
        let sine = b * (1.0 + b2 * (-1.0 / 6.0 + b2 * (1.0 / 120.0 + b2 * (-1.0 / 5040.0))));
        let cosine = 1.0 + b2 * (-0.5 + b2 * (1.0 / 24.0 + b2 * (-1.0 / 720.0 + b2 * (1.0 / 40320.0))));
        let mut result = Complex32::new(decay * cosine, decay * sine);
        for _ in 0..3 {
            result = result * result;
        }
        *value = result;
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
    fn exponentials_are_right_for_absorption_too() {
        let values: Vec<Complex32> =
            (-100..100).flat_map(|i| (-10..10).map(move |j| Complex32::new(i as f32 * 0.03, j as f32 * 0.1))).collect();
        let mut got = values.clone();
        exp_i(&mut got, 1.0);
        for (value, got) in values.iter().zip(got) {
            let expected = (Complex32::I * value).exp();
            assert!((got - expected).norm() < 1e-5 * expected.norm().max(1.0), "{value}: {got} {expected}");
        }
    }

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
