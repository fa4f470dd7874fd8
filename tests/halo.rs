//! The ring of a liquid in the power spectrum of its images, against the structure of the liquid itself.

use std::f64::consts::PI;

use nalgebra::{Point3, Vector3};
use pedesis::cell::{Cell, Liquid, bundled};
use pedesis::images::PowerSpectrum;
use pedesis::microscope::{self, Dynamics, Method, Microscope, ScatteringFactors, Simulation, electron};
use pedesis::structure::{Atom, Structure};
use pedesis::task::Task;
use rayon::prelude::*;

/// Mean of |Σ V_j(k) e^(−2πi k·r_j)|² over the volume [V² Å], over directions of k \[Å⁻¹\] with a period of the box, and over snapshots.
fn structure_factor(liquid: &Liquid, k: f64) -> f64 {
    const DIRECTIONS: usize = 60;
    let size = Vector3::from(liquid.size());
    let potential = |element| ScatteringFactors::Kirkland.projected_potential(element, k);
    let potentials: Vec<f64> = liquid.elements().iter().map(|&element| potential(element)).collect();
    let mut rng = pedesis::random::stream(1, "directions of k", (k * 1e4) as u64);
    let mut sum = 0.0;
    for snapshot in liquid.snapshots() {
        for _ in 0..DIRECTIONS {
            let direction = pedesis::random::rotation(&mut rng) * Vector3::z();
            let wave = (direction * k).component_mul(&size).map(f64::round).component_div(&size);
            let (mut re, mut im) = (0.0, 0.0);
            for (place, potential) in snapshot.iter().zip(&potentials) {
                let (sine, cosine) = (2.0 * PI * wave.dot(&place.coords)).sin_cos();
                re += potential * cosine;
                im += potential * sine;
            }
            sum += re * re + im * im;
        }
    }
    sum / (DIRECTIONS * liquid.snapshots().len()) as f64 / size.product()
}

/// Mean over the heights of a cell of (Σ_δ w_δ·2 sin χ)², from the aberrations as they are written down.
fn transfer(microscope: &Microscope, k: f64) -> f64 {
    let wavelength = electron::wavelength(microscope.energy);
    let alpha = wavelength * k;
    let contrast = |defocus: f64| {
        let round = -defocus * alpha.powi(2) / 2.0 + microscope.c3 * 1e7 * alpha.powi(4) / 4.0;
        2.0 * (2.0 * PI / wavelength * (round + microscope.c5 * 1e7 * alpha.powi(6) / 6.0)).sin()
    };
    let defoci: Vec<(f64, f64)> = (-10..=10)
        .map(|i| 10.0 * f64::from(i))
        .map(|offset| ((-0.5 * (offset / microscope.defocus_spread).powi(2)).exp(), offset))
        .collect();
    let total: f64 = defoci.iter().map(|(weight, _)| weight).sum();
    let heights = (0..200).map(|i| (f64::from(i) + 0.5) / 200.0 * microscope.cell_height);
    let of_height = |height: f64| {
        let below_exit = microscope.cell_height - height;
        let sum = |(weight, offset): &(f64, f64)| weight * contrast(microscope.defocus - below_exit + offset);
        defoci.iter().map(sum).sum::<f64>() / total
    };
    heights.map(|height| of_height(height).powi(2)).sum::<f64>() / 200.0
}

/// Thick enough to scatter twice now and then, a liquid is still weak: power = (σ·2 sin χ)²·S(k)·thickness/area. Scattering twice takes some power from
/// the ring (5 % of toluene's; a quarter as thick, it is 1 %) and gives it to frequencies below, where there is little else to see.
#[test]
fn the_halo_is_the_structure_factor_times_the_transfer_function() {
    let hydrogen = Atom { element: "H".parse().unwrap(), position: Point3::origin() };
    let nothing_much = Structure::new("hydrogen", vec![hydrogen]);
    let microscope = Microscope { illumination: 0.0, ..microscope::paper() };
    for (name, ring) in [("water", 0.32), ("toluene", 0.21)] {
        let liquid = bundled(name).unwrap();
        let cell = Cell { liquid: Some(liquid.clone()), ..Cell::default() };
        let filled = cell.fill(nothing_much.atoms(), [25.0; 2], 1, 0).unwrap();
        let boxes = filled.counts[1] as f64 / liquid.elements().len() as f64;
        let thickness = boxes * liquid.size().iter().product::<f64>() / 2500.0;
        let still = Dynamics { temperature: 0.0, ..Dynamics::default() };
        let options = Simulation {
            method: Some(Method::Multislice),
            n: Some(24),
            size: 200,
            seed: 1,
            dynamics: still,
            cell: Some(cell),
            ..Simulation::default()
        };
        let images = microscope::simulate(&nothing_much, &microscope, &options, &Task::silent()).unwrap();
        let found = PowerSpectrum::of(&images, &Task::silent()).unwrap().radial();
        let sigma = electron::interaction_parameter(microscope.energy);
        let rings = 12..30;
        let k = |ring: usize| found.frequencies[ring];
        let expected: Vec<f64> = rings
            .clone()
            .into_par_iter()
            .map(|ring| {
                sigma * sigma * transfer(&microscope, k(ring)) * structure_factor(&liquid, k(ring)) * thickness / 2500.0
            })
            .collect();
        for (ring, expected) in rings.clone().zip(&expected) {
            let ratio = found.power[ring] / expected;
            eprintln!("{name} {:.3} {ratio:.3}", k(ring));
            assert!((0.75..1.25).contains(&ratio), "{name} at {:.2}: {ratio} times what is expected", k(ring));
        }
        let sum: f64 = expected.iter().sum();
        let all = found.power[rings.clone()].iter().sum::<f64>() / sum;
        eprintln!("all {all}");
        assert!((0.9..1.1).contains(&all), "{name}: {all} times what is expected");
        // the ring of the liquid, freed of the transfer function
        let structure = |ring: usize| found.power[ring] / transfer(&microscope, k(ring));
        let peak = rings.max_by(|&a, &b| structure(a).total_cmp(&structure(b))).unwrap();
        eprintln!("peak {}", k(peak));
        assert!((k(peak) - ring).abs() < 0.035, "{name}: a ring at {} Å⁻¹", k(peak));
    }
}
