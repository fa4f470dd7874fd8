//! From posed images to densities, and what two half sets say about them: weights, least squares, corrected correlation, local
//! resolution, tilt series; through scripts where a user would.

use std::sync::Arc;

use nalgebra::{Point3, Vector3};
use ndarray::{Array3, Axis};
use pedesis::images::{Particles, PrepareOptions};
use pedesis::microscope::{self, Microscope, Simulation};
use pedesis::orient::{self, TiltSeriesOptions};
use pedesis::random;
use pedesis::script::{Session, Setup, engine};
use pedesis::structure::bundled;
use pedesis::task::Task;
use pedesis::volume::{
    CorrectedFsc, FscOptions, LocalResolutionOptions, Method, ReconstructOptions, Reconstruction, Volume,
    density_of_atoms, local_resolution, reconstruct,
};
use rand::RngExt;
use rand_distr::StandardNormal;
use rhai::Dynamic;

/// The value of a script, or its error.
fn evaluate(text: &str) -> Result<Dynamic, String> {
    let session: Arc<Session> = Session::new(Setup { tell: Box::new(|_| {}), ..Setup::default() }).unwrap();
    engine(&session).eval::<Dynamic>(text).map_err(|error| error.to_string())
}

/// The numbers in the array that a script ends with.
fn numbers(text: &str) -> Vec<f64> {
    let array = evaluate(text).unwrap_or_else(|error| panic!("{error}\n{text}")).into_array().unwrap();
    array.iter().map(|value| value.as_float().or(value.as_int().map(|i| i as f64)).unwrap()).collect()
}

/// Forty noise-free particles of the bundled 1.5 nm FePt and their poses.
fn particles() -> (Particles, pedesis::pose::Poses) {
    let options =
        Simulation { method: Some(microscope::Method::Kinematic), n: Some(40), size: 100, ..Simulation::default() };
    let truth = bundled("fept_1.5nm").unwrap();
    let images = microscope::simulate(&truth, &Microscope::default(), &options, &Task::silent()).unwrap();
    let prepare = PrepareOptions { diameter: 15.0, low_pass: 2.0, ..PrepareOptions::default() };
    let particles = Particles::prepare(&images, &prepare, &Task::silent()).unwrap();
    (particles, images.true_poses().unwrap().clone())
}

fn reconstructed(particles: &Particles, poses: &pedesis::pose::Poses, options: ReconstructOptions) -> Reconstruction {
    let options = ReconstructOptions { low_pass: 2.0, ..options };
    reconstruct(particles, poses, &options, &Task::silent()).unwrap()
}

/// Largest difference of two densities, as a part of the largest value.
fn difference(a: &Volume, b: &Volume) -> f32 {
    let largest = a.data().iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let apart = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    apart / largest
}

#[test]
fn images_of_weight_zero_leave_no_trace_in_map_and_halves() {
    let text = r#"
        let truth = structure::bundled("fept_1.5nm");
        let made = |n| microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: n, size: 100 }).invert();
        let weights = [];
        for i in 0..24 { weights.push(if i < 16 { 1 } else { 0 }); }
        let difference = [];
        for method in ["gridding", "least_squares"] {
            let few = made.call(16);
            let many = made.call(24);
            let options = #{ low_pass: 2, method: method, iterations: 3 };
            let a = volume::reconstruct(few.prepare(#{ diameter: 15, tolerance: 0, low_pass: 2 }), few.true_poses(), options);
            let all = volume::reconstruct(many.prepare(#{ diameter: 15, tolerance: 0, low_pass: 2 }), many.true_poses(), options);
            let b = volume::reconstruct(many.prepare(#{ diameter: 15, tolerance: 0, low_pass: 2 }), many.true_poses(), options + #{ weights: weights });
            for pair in [[a.volume, b.volume], [a.halves[0], b.halves[0]], [a.halves[1], b.halves[1]]] {
                difference.push(1.0 - volume::correlation(pair[0], pair[1]));
            }
            for i in range(3, 10) { difference.push(a.fsc.corrected[i] - b.fsc.corrected[i]); }
            if volume::correlation(all.volume, b.volume) > 0.9999 { difference.push(1.0); }
        }
        difference
    "#;
    assert!(numbers(text).iter().all(|difference| difference.abs() < 1e-6), "{:?}", numbers(text));
}

#[test]
fn scales_undo_the_amplitudes_of_the_images() {
    let (particles, poses) = particles();
    let scales: Vec<f64> = (0..40).map(|i| 0.5 + f64::from(i) / 20.0).collect();
    let mut data = particles.data().clone();
    for (mut image, &scale) in data.axis_iter_mut(Axis(0)).zip(&scales) {
        image *= scale as f32;
    }
    // image = a·P with weight 1 says of P what P with weight a² does
    let squares: Vec<f64> = scales.iter().map(|scale| scale * scale).collect();
    for method in [Method::Gridding, Method::LeastSquares] {
        let base = ReconstructOptions { method, iterations: 3, ..ReconstructOptions::default() };
        let weighted = ReconstructOptions { weights: Some(squares.clone()), ..base.clone() };
        let scaled = ReconstructOptions { scales: Some(scales.clone()), ..base.clone() };
        let wanted = reconstructed(&particles, &poses, weighted);
        let found = reconstructed(&particles.with_data(data.clone()), &poses, scaled);
        assert!(difference(&wanted.volume, &found.volume) < 1e-4);
        let unscaled = reconstructed(&particles.with_data(data.clone()), &poses, base);
        assert!(difference(&wanted.volume, &unscaled.volume) > 0.05, "the scales make no difference");
    }
}

#[test]
fn bad_weights_and_options_are_refused_in_words() {
    let refused = |options: &str, parts: &[&str]| {
        let text = format!(
            r#"
            let truth = structure::bundled("fept_1.5nm");
            let images = microscope::simulate(truth, microscope::paper(), #{{ method: "kinematic", n: 4, size: 100 }}).invert();
            let particles = images.prepare(#{{ diameter: 15, low_pass: 2 }});
            volume::reconstruct(particles, images.true_poses(), #{{ low_pass: 2, {options} }})
        "#
        );
        let message = evaluate(&text).expect_err(options);
        assert!(parts.iter().all(|part| message.contains(part)), "{options}: {message}");
    };
    refused("weights: [1, 1, 1]", &["4 images but 3 weights"]);
    refused("weights: []", &["4 images but 0 weights"]);
    refused("weights: [1, 1, -1, 1]", &["weights must be finite and not negative", "image 2 is -1"]);
    refused("scales: [1, 0.0/0.0, 1, 1]", &["scales must be finite and not negative", "image 1 is NaN"]);
    refused("weights: [1, \"a\", 1, 1]", &["one of the weights must be a number"]);
    refused("weights: 3", &["\"weights\"", "an array of numbers"]);
    refused("weights: [1, 0, 1, 0]", &["no image with an odd index"]);
    refused("method: \"least_squares\", mask: false", &["least squares needs the mask"]);
    refused("method: \"least_squares\", iterations: 0", &["iterations must be from 1 to 1000"]);
    refused("method: \"least_squares\", ridge: -1", &["ridge must be zero or a positive number"]);
    refused("method: \"least_square\"", &["did you mean \"least_squares\"?"]);
}

/// Mean Fourier shell correlation of gridding and of least squares with a map of 1500 noise-free images, for a tilt series.
fn against_reference(highest: i64, snr: &str) -> Vec<f64> {
    numbers(&format!(
        r#"
        let truth = structure::bundled("fept_1.5nm");
        let scope = microscope::paper(#{{ cell_height: 50 }});
        let base = #{{ method: "kinematic", size: 112 }};
        let many = microscope::simulate(truth, scope, base + #{{ n: 1500, seed: 9 }}).invert();
        let limit = 1.2;
        let prepare = #{{ diameter: 15, tolerance: 0, low_pass: limit }};
        let reference = volume::reconstruct(many.prepare(prepare), many.true_poses(), #{{ low_pass: limit }}).volume;
        let angles = [];
        for angle in range(-{highest}, {highest} + 1, 3) {{ angles.push(angle); }}
        let poses = orient::tilt_series(angles, #{{ axis: 30 }});
        let images = microscope::simulate(truth, scope, base + #{{ poses: poses }}).invert(){snr};
        let means = [];
        for method in ["gridding", "least_squares"] {{
            let map = volume::reconstruct(images.prepare(prepare), poses, #{{ low_pass: limit, method: method }});
            let fsc = volume::fsc(map.volume, reference);
            let sum = 0.0;
            let count = 0;
            for i in range(2, fsc.frequencies.len()) {{
                if fsc.frequencies[i] < 0.97 / limit {{ sum += fsc.correlations[i]; count += 1; }}
            }}
            means.push(sum / count);
            means.push(volume::correlation(map.volume, reference));
        }}
        means
    "#
    ))
}

#[test]
fn least_squares_is_nearer_the_truth_than_gridding_on_a_tilt_series_with_a_gap() {
    let [fsc_g, cc_g, fsc_l, cc_l] = against_reference(60, "")[..] else { panic!("four numbers") };
    println!("±60°: gridding fsc {fsc_g:.4} cc {cc_g:.4}, least squares fsc {fsc_l:.4} cc {cc_l:.4}");
    assert!(fsc_l > fsc_g + 0.01 && cc_l > cc_g + 0.01);
    let noise = r#".normalize().add_noise(#{ snr: 1, seed: 3 })"#;
    let [fsc_g, cc_g, fsc_l, cc_l] = against_reference(60, noise)[..] else { panic!("four numbers") };
    println!("±60°, SNR 1: gridding fsc {fsc_g:.4} cc {cc_g:.4}, least squares fsc {fsc_l:.4} cc {cc_l:.4}");
    assert!(fsc_l > fsc_g && cc_l > cc_g);
}

#[test]
fn least_squares_is_the_same_bits_on_any_number_of_threads() {
    let (particles, poses) = particles();
    let options = ReconstructOptions { method: Method::LeastSquares, iterations: 4, ..ReconstructOptions::default() };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| reconstructed(&particles, &poses, options.clone()))
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one.volume, three.volume);
    assert_eq!(one.fsc, three.fsc);
    assert_eq!(one.residuals, three.residuals);
    assert!(one.residuals.len() == 4 && one.residuals[3] < 0.5 * one.residuals[0], "{:?}", one.residuals);
}

#[test]
fn atoms_of_a_full_tilt_series_are_where_they_are() {
    let text = r#"
        let truth = structure::bundled("fept_1.5nm");
        let angles = [];
        let shifts = [];
        for step in 0..61 { angles.push(3 * step - 90); shifts.push([0.01 * step, -0.3]); }
        let poses = orient::tilt_series(angles, #{ axis: 20, shifts: shifts });
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", poses: poses }).invert();
        let map = volume::reconstruct(images.prepare(#{ diameter: 15 }), poses, #{});
        let found = model::trace(map.volume, #{ species: ["Fe", "Pt"] }).compare(truth);
        [found.found, found.missing, found.extra, found.rmsd_pm]
    "#;
    let [found, missing, extra, rmsd] = numbers(text)[..] else { panic!("four numbers") };
    assert!(found == 124.0 && missing == 0.0 && extra == 0.0 && rmsd < 5.0, "{found} {missing} {extra} {rmsd}");
}

#[test]
fn a_tilt_turns_by_the_right_hand_about_its_axis() {
    let pose = |angle: f64, options: TiltSeriesOptions| orient::tilt_series(&[angle], &options).unwrap().as_slice()[0];
    let turned = pose(90.0, TiltSeriesOptions::default()).rotation * Vector3::y();
    assert!((turned - Vector3::z()).norm() < 1e-12);
    let options = TiltSeriesOptions { axis: 90.0, shifts: Some(vec![[1.0, -2.0]]) };
    let pose = pose(90.0, options);
    assert!((pose.rotation * Vector3::z() - Vector3::x()).norm() < 1e-12);
    assert_eq!((pose.shift.x, pose.shift.y), (1.0, -2.0));
    let message = |text: &str| evaluate(text).unwrap_err();
    assert!(message("orient::tilt_series([])").contains("at least one angle"));
    assert!(message("orient::tilt_series([1, 2], #{ shifts: [[0, 0]] })").contains("2 tilt angles but 1 shifts"));
    assert!(message("orient::tilt_series([1], #{ shifts: [0.5] })").contains("[x, y] in Å, not 0.5"));
    assert!(message("orient::tilt_series([0.0/0.0])").contains("finite"));
}

/// A density of forty Gaussian atoms within 7 Å, without frequencies beyond 1/`limit`.
fn signal(limit: f64) -> Volume {
    let mut rng = random::stream(2, "volume test atoms", 0);
    let atoms: Vec<(Point3<f64>, f64)> = (0..40)
        .map(|_| (Point3::from(random::rotation(&mut rng) * Vector3::x() * 7.0 * rng.random::<f64>().cbrt()), 1.0))
        .collect();
    density_of_atoms(&atoms, 0.6, 64, 0.5).filtered(|s| if s < 1.0 / limit { 1.0 } else { 0.0 })
}

fn with_noise(volume: &Volume, index: u64, deviation: impl Fn(usize) -> f32) -> Volume {
    let mut rng = random::stream(3, "volume test noise", index);
    let mut data = volume.data().clone();
    data.indexed_iter_mut().for_each(|((.., x), v)| *v += deviation(x) * rng.sample::<f32, _>(StandardNormal));
    Volume::new(data, volume.pixel_size())
}

#[test]
fn correction_takes_away_the_agreement_that_a_sharp_mask_makes() {
    let truth = signal(3.0);
    let halves = [0, 1].map(|i| with_noise(&truth, i, |_| 0.02));
    let options = FscOptions { radius: Some(7.5), edge: 0.2, ..FscOptions::default() };
    let fsc = CorrectedFsc::between(&halves[0], &halves[1], &options).unwrap();
    let beyond = |curve: &pedesis::volume::Fsc| {
        let shells = curve.frequencies.iter().zip(&curve.correlations).filter(|(s, _)| (0.42..0.8).contains(*s));
        let values: Vec<f64> = shells.map(|(_, c)| *c).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let [unmasked, masked, corrected] = [&fsc.unmasked, &fsc.masked, &fsc.corrected].map(beyond);
    assert!(unmasked.abs() < 0.02, "there is no signal beyond 1/3 Å: {unmasked}");
    assert!(masked > 0.15, "the mask spreads signal beyond 1/3 Å: {masked}");
    assert!(corrected.abs() < 0.05, "corrected: {corrected}, masked: {masked}");
    let from = fsc.randomized_from.unwrap();
    assert!((0.2..0.36).contains(&from), "random from {from}");
    for (i, s) in fsc.masked.frequencies.iter().enumerate() {
        assert!(*s > from || fsc.masked.correlations[i] == fsc.corrected.correlations[i]);
    }
    // within the mask there is less noise and the same signal
    assert!((3..8).all(|i| fsc.masked.correlations[i] > fsc.unmasked.correlations[i]));
}

#[test]
fn scripts_get_all_curves_and_the_resolution_of_the_corrected_one() {
    let text = r#"
        let truth = structure::bundled("fept_1.5nm");
        let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 60, size: 100 })
            .invert().normalize().add_noise(#{ snr: 0.1, seed: 2 });
        let particles = images.prepare(#{ diameter: 15, tolerance: 0, low_pass: 1.5 });
        let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5, mask: false });
        let fsc = volume::fsc(map.halves[0], map.halves[1], #{ radius: 10, seed: 3 });
        plot::fsc(fsc);
        plot::fsc(map.fsc);
        let plain = volume::fsc(map.halves[0], map.halves[1]);
        let shells = fsc.frequencies.len();
        for curve in ["correlations", "unmasked", "masked", "randomized", "corrected"] {
            if fsc[curve].len() != shells || curve != "correlations" && map.fsc[curve].len() != shells { throw curve; }
        }
        if fsc.correlations != plain.correlations || map.fsc.correlations != map.fsc.masked { throw "other curves"; }
        [fsc.resolution, plain.resolution, map.fsc.resolution, map.fsc.resolution_corrected]
    "#;
    let [corrected, unmasked, masked, of_map] = numbers(text)[..] else { panic!("four numbers") };
    assert!(corrected <= unmasked && masked <= corrected + 1e-9, "{corrected} {unmasked} {masked}");
    assert!((of_map / corrected - 1.0).abs() < 0.1, "{of_map} {corrected}");
    let wrong = |options: &str| {
        let text =
            format!("let d = volume::of_structure(structure::bundled(\"fept_1.5nm\")); volume::fsc(d, d, {options})");
        evaluate(&text).unwrap_err()
    };
    assert!(wrong("#{ radius: -1 }").contains("a mask needs a radius"));
    assert!(wrong("#{ randomize_below: 2 }").contains("a correlation from 0 to 1"));
    assert!(wrong("#{ radus: 1 }").contains("did you mean \"radius\"?"));
}

/// Two halves with one signal, whose spectrum falls as exp(−s²/c²), and white noise: `noise` of either side.
fn two_sided(noise: [f32; 2]) -> ([Volume; 2], f64) {
    const FALL: f64 = 0.3;
    let empty = Volume::new(Array3::zeros((80, 80, 80)), 0.5);
    let flat = with_noise(&empty, 7, |_| 1.0);
    // amplitude exp(−s²/2c²) on white noise of unit variance
    let signal = flat.filtered(|s| (-0.5 * (s / FALL).powi(2)).exp());
    let halves = [8, 9].map(|i| with_noise(&signal, i, |x| if x < 40 { noise[0] } else { noise[1] }));
    (halves, FALL)
}

#[test]
fn local_resolution_tells_a_noisy_side_from_a_clean_one() {
    let noise = [0.1f32, 0.4];
    let (halves, fall) = two_sided(noise);
    let options =
        LocalResolutionOptions { window: Some(8.0), low_pass: Some(1.2), ..LocalResolutionOptions::default() };
    let map = local_resolution(&halves[0], &halves[1], &options, &Task::silent()).unwrap();
    for (side, deviation) in [(8..32, noise[0]), (48..72, noise[1])] {
        let mut values: Vec<f32> =
            map.data().indexed_iter().filter(|((.., x), _)| side.contains(x)).map(|(_, &v)| v).collect();
        values.sort_by(f32::total_cmp);
        let median = f64::from(values[values.len() / 2]);
        // S/(S + v) = ½ where exp(−s²/c²) = v
        let expected = 1.0 / (fall * (-2.0 * f64::from(deviation).ln()).sqrt());
        assert!((median / expected - 1.0).abs() < 0.08, "noise {deviation}: {median:.2} Å, expected {expected:.2} Å");
    }
    assert!(map.data().iter().all(|value| (1.19..=8.01).contains(value)));
}

#[test]
fn local_resolution_refuses_what_it_cannot_do() {
    let message = |options: &str| {
        let text = format!(
            r#"
            let truth = structure::bundled("fept_1.5nm");
            let a = volume::of_structure(truth, #{{ edge: 24 }});
            volume::local_resolution(a, a, {options})
        "#
        );
        evaluate(&text).unwrap_err()
    };
    assert!(message("#{ window: 20 }").contains("window must be from 2 × low_pass to half the box"));
    assert!(message("#{ low_pass: 0.5 }").contains("low_pass must be at least 2 voxels"));
    assert!(message("#{ threshold: 1 }").contains("threshold must be a correlation"));
    assert!(message("#{ shells: 1 }").contains("shells must be from 2 to 200"));
    let other = r#"
        let truth = structure::bundled("fept_1.5nm");
        volume::local_resolution(volume::of_structure(truth), volume::of_structure(truth, #{ pixel_size: 0.5 }))
    "#;
    assert!(evaluate(other).unwrap_err().contains("bring one to the other's grid"));
}

#[test]
fn a_density_on_another_grid_is_that_of_the_same_atoms() {
    let text = r#"
        let truth = structure::bundled("fept_1.5nm");
        let coarse = volume::of_structure(truth, #{ edge: 24, pixel_size: 0.4, width: 0.6 });
        let fine = volume::of_structure(truth, #{ edge: 27, pixel_size: 0.27, width: 0.6 });
        let odd = volume::of_structure(truth, #{ edge: 20.25, pixel_size: 0.45, width: 0.6 });
        [
            1.0 - volume::correlation(coarse.resampled(fine), fine),
            1.0 - volume::correlation(fine.resampled(coarse.size(), 0.4), coarse),
            1.0 - volume::correlation(fine.resampled(odd), odd),
            1.0 - volume::correlation(coarse.resampled(coarse), coarse),
            1.0 - volume::fsc(coarse.resampled(fine), fine).correlations[20],
        ]
    "#;
    assert!(numbers(text).iter().all(|difference| difference.abs() < 2e-4), "{:?}", numbers(text));
    let message = |call: &str| {
        evaluate(&format!("let d = volume::of_structure(structure::bundled(\"fept_1.5nm\")); {call}")).unwrap_err()
    };
    assert!(message("d.resampled(0, 0.4)").contains("size must be from 1 to 1000 voxels"));
    assert!(message("d.resampled(10, -1)").contains("pixel_size must be a positive number"));
    assert!(message("volume::correlation(d, d.resampled(10, 0.4))").contains("resampled"));
}
