//! What a detector does to images: shot noise by the dose, contrast by the modulation transfer function.

mod common;

use std::f64::consts::PI;

use common::{Run, folder_with, pedesis, run_script};
use ndarray::Array3;
use pedesis::images::{Detector, Images, PowerSpectrum, Readout};
use pedesis::task::Task;

fn flat(count: usize) -> Images {
    Images::new(Array3::ones((count, 64, 64)), 0.25)
}

/// Mean and variance of all pixels.
fn recorded(images: &Images, detector: &Detector) -> (Images, f64, f64) {
    let recorded = images.detect(detector, &Task::silent()).unwrap();
    let (mean, variance) = recorded.moments();
    (recorded, mean, variance)
}

#[test]
fn electrons_arrive_as_poisson_s_law_has_it() {
    for (dose, seed) in [(16.0, 1), (1600.0, 2)] {
        let (images, mean, variance) = recorded(&flat(20), &Detector { dose: Some(dose), seed, ..Detector::default() });
        let electrons = dose / 16.0;
        assert!((mean - 1.0).abs() < 0.01, "{dose}: mean {mean}");
        assert!((variance * electrons - 1.0).abs() < 0.03, "{dose}: variance {variance}");
        let whole = images.data().iter().all(|&value| {
            (f64::from(value) * electrons).fract().min(1.0 - (f64::from(value) * electrons).fract()) < 1e-3
        });
        assert!(whole, "a number of electrons is whole");
    }
}

#[test]
fn counting_noise_is_white_and_integrated_noise_is_blurred() {
    let mtf = vec![[0.0, 1.0], [0.5, 0.2]];
    let noise = |readout| {
        let detector = Detector { dose: Some(160.0), mtf: mtf.clone(), readout, seed: 3 };
        let (images, _, variance) = recorded(&flat(60), &detector);
        (PowerSpectrum::of(&images, &pedesis::task::Task::silent()).unwrap().radial().power, variance * 10.0)
    };
    let (white, variance) = noise(Readout::Counting);
    assert!((variance - 1.0).abs() < 0.02, "{variance}");
    let (blurred, _) = noise(Readout::Integrating);
    for ring in [4, 16, 28] {
        let left = 1.0 - 0.8 * ring as f64 / 32.0;
        let ratio = blurred[ring] / white[ring];
        assert!((ratio / (left * left) - 1.0).abs() < 0.15, "ring {ring}: {ratio}, not {}", left * left);
    }
}

#[test]
fn the_mtf_takes_its_share_of_a_wave() {
    let wave = Array3::from_shape_fn((1, 64, 64), |(_, y, x)| {
        1.0 + 0.5 * (2.0 * PI * (x as f64 / 8.0 + y as f64 / 4.0)).cos() as f32
    });
    let frequency = (1.0f64 / 64.0 + 1.0 / 16.0).sqrt();
    let mtf = vec![[0.0, 1.0], [0.25, 0.9], [0.3, 0.4]];
    let left = 0.9 - 0.5 * (frequency - 0.25) / 0.05;
    let (images, ..) = recorded(&Images::new(wave.clone(), 0.25), &Detector { mtf, ..Detector::default() });
    for (found, wave) in images.data().iter().zip(&wave) {
        let expected = 1.0 + left * (f64::from(*wave) - 1.0);
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found}, not {expected}");
    }
}

const SIMULATE: &str = r#"
    let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2, size: 80 });
"#;

#[test]
fn an_mtf_is_read_from_a_star_file() {
    let star = "data_\n\nloop_\n_rlnResolutionInversePixel #1\n_rlnMtfValue #2\n0 1\n0.25 0.7\n0.5 0.3\n";
    let folder = folder_with("mtf.star", star);
    let script = format!(
        "{SIMULATE} let list = #{{ mtf: [[0, 1], [0.25, 0.7], [0.5, 0.3]], dose: 100, seed: 4 }};
        let file = list; file.mtf = \"mtf.star\";
        print(raw.detect(list).radial_power() == raw.detect(file).radial_power());
        print(raw.detect(#{{}}).radial_power() == raw.radial_power());"
    );
    std::fs::write(folder.path().join("script.rhai"), script).unwrap();
    let run = Run::from(pedesis(folder.path()).args(["run", "script.rhai"]).output().unwrap());
    assert_eq!(run.stdout, "true\ntrue\n", "{}", run.stderr);
}

#[test]
fn mistakes_are_named() {
    for (call, message) in [
        ("raw.detect(#{ dose: -1 })", "dose must be a positive number"),
        ("raw.detect(#{ mtf: [[0.1, 1]] })", "rising from 0"),
        ("raw.detect(#{ mtf: [[0, 1], [0.5, -3]] })", "contrasts from 0 to 2"),
        ("raw.detect(#{ mtf: \"none.star\" })", "none.star"),
        ("raw.detect(#{ readout: \"film\" })", "readout"),
        ("raw.normalize().detect(#{ dose: 100 })", "electrons are counted in intensities"),
        (
            "raw.minus(microscope::simulate(structure::bundled(\"fept_1.5nm\"), microscope::paper(), #{ method: \"kinematic\", n: 3, size: 80 }))",
            "cannot be subtracted",
        ),
    ] {
        let run = run_script(&format!("{SIMULATE} {call}"), &[]);
        let stderr = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(run.status == Some(1) && stderr.contains(message), "{call}: {}", run.stderr);
    }
}
