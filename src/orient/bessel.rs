//! Bessel functions of the first kind, all orders at once.

/// J₀(x) … J_`orders−1`(x) by Miller's downward recurrence, normalised with J₀ + 2ΣJ₂ₘ = 1 (Abramowitz & Stegun 9.12).
pub fn bessel_j(orders: usize, x: f64) -> Vec<f64> {
    let mut values = vec![0.0; orders];
    if x.abs() < 1e-12 {
        if let Some(first) = values.first_mut() {
            *first = 1.0;
        }
        return values;
    }
    // Start far enough above both the orders and the argument that the wanted solution has died out.
    let top = (orders as f64).max(x.abs());
    let start = (top + 15.0 + 6.0 * top.sqrt()) as usize / 2 * 2;
    let (mut above, mut here, mut norm) = (0.0f64, 1e-300f64, 0.0f64);
    for order in (1..=start).rev() {
        let below = 2.0 * order as f64 / x * here - above;
        (above, here) = (here, below);
        if here.abs() > 1e200 {
            above *= 1e-200;
            here *= 1e-200;
            norm *= 1e-200;
            values.iter_mut().for_each(|value| *value *= 1e-200);
        }
        // `here` is now the value of order − 1
        if order - 1 < orders {
            values[order - 1] = here;
        }
        if (order - 1).is_multiple_of(2) {
            norm += if order == 1 { here } else { 2.0 * here };
        }
    }
    values.iter_mut().for_each(|value| *value /= norm);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bessel_functions_match_their_integral() {
        // J_m(x) = 1/π ∫₀^π cos(mτ − x sin τ) dτ; the midpoint rule is exact to rounding for periodic integrands.
        for x in [0.0, 0.3, 1.0, 7.5, 31.0, 90.0] {
            let values = bessel_j(110, x);
            for (m, value) in values.iter().enumerate() {
                let n = 400;
                let sum: f64 = (0..n)
                    .map(|i| {
                        let tau = std::f64::consts::PI * (f64::from(i) + 0.5) / f64::from(n);
                        (m as f64 * tau - x * tau.sin()).cos()
                    })
                    .sum();
                assert!((value - sum / f64::from(n)).abs() < 1e-12, "J_{m}({x})");
            }
        }
    }
}
