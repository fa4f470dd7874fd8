//! The beam: relativistic electrons of a given accelerating voltage (Kirkland 2010, equations 2.5 and 5.6).

use std::f64::consts::PI;

/// h·c [eV Å] (CODATA 2018).
const HC: f64 = 12_398.419_843_320;

/// Rest energy m·c² of the electron \[eV\] (CODATA 2018).
const REST_ENERGY: f64 = 510_998.950_00;

/// h²/(2π m e) [V Å²], 47.8776: turns a scattering factor \[Å\] into the Fourier transform of an atom's projected potential [V Å³].
pub const POTENTIAL_PER_SCATTERING_FACTOR: f64 = HC * HC / (2.0 * PI * REST_ENERGY);

/// Wavelength λ \[Å\] at `energy` \[kV\].
pub fn wavelength(energy: f64) -> f64 {
    let energy = energy * 1e3;
    HC / (energy * (2.0 * REST_ENERGY + energy)).sqrt()
}

/// Interaction parameter σ [rad/(V Å)] at `energy` \[kV\]: a projected potential of V [V Å] advances the phase of the wave by σV.
pub fn interaction_parameter(energy: f64) -> f64 {
    let volts = energy * 1e3;
    2.0 * PI / (wavelength(energy) * volts) * (REST_ENERGY + volts) / (2.0 * REST_ENERGY + volts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavelength_and_interaction_agree_with_another_program_at_200_kv() {
        assert!((wavelength(200.0) / 0.025_079_340_317_328_468 - 1.0).abs() < 1e-6);
        assert!((interaction_parameter(200.0) / 7.288_401_085_927_866e-4 - 1.0).abs() < 1e-6);
        assert!((POTENTIAL_PER_SCATTERING_FACTOR / 47.87764 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn slow_electrons_have_the_wavelength_of_de_broglie() {
        // λ = 12.2643 Å/√(V/volt) without relativity.
        assert!((wavelength(0.1) / (12.264_26 / 10.0) - 1.0).abs() < 1e-4);
    }
}
