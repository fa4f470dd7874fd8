//! Atoms refined against images, through scripts: as exact as the noise allows, and beyond what a density shows.

mod common;

use common::run_script;

/// Numbers that a script prints.
fn numbers(script: &str, arguments: &[&str]) -> Vec<f64> {
    let run = run_script(script, arguments);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// Kinematic images, of which the refinement's model is exact: nothing but their noise limits the positions.
const KINEMATIC: &str = r#"
    // about a degree and a tenth of an Å from where they belong
    fn astray(poses) {
        let quaternions = poses.quaternions();
        let shifts = poses.shifts();
        for i in 0..poses.len() {
            for j in 0..4 { quaternions[i][j] += 0.008 * (7.0 * i + 2.0 * j).sin(); }
            let length = 0.0;
            for q in quaternions[i] { length += q * q; }
            for j in 0..4 { quaternions[i][j] /= length.sqrt(); }
            for j in 0..2 { shifts[i][j] += 0.1 * (3.0 * i + j).sin(); }
        }
        orient::from_quaternions(quaternions, shifts)
    }
    let truth = structure::bundled("fept_1.5nm");
    for seed in [1, 2] {
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{
            method: "kinematic", n: 160, size: 120, seed: seed, max_shift: 0.5,
        }).invert().normalize().add_noise(#{ snr: 0.5, seed: seed });
        let particles = images.prepare(#{ diameter: 15 });
        let poses = astray(images.true_poses());
        let atoms = model::trace(volume::reconstruct(particles, poses, #{ low_pass: 1 }).volume, #{ species: ["Fe", "Pt"] });
        let refined = model::refine(atoms, particles, poses, #{});
        let found = refined.atoms.compare(truth);
        let sigma = 0.0;
        for value in refined.atoms.columns().sigma_A { sigma += 3 * value * value / refined.atoms.len(); }
        print(`${found.found} ${found.extra} ${found.species_accuracy} ${found.rmsd_pm} ${refined.bound_pm} ${100 * sigma.sqrt()} ${refined.chi2} ${atoms.compare(truth).rmsd_pm}`);
    }
"#;

#[test]
fn noise_alone_limits_the_positions_the_same_on_any_number_of_threads() {
    let results = ["1", "3"].map(|threads| numbers(KINEMATIC, &["--threads", threads]));
    assert_eq!(results[0], results[1], "the number of threads changes the result");
    for result in results[0].chunks(8) {
        let [found, extra, species, rmsd, bound, sigma, chi2, traced] = result[..] else { panic!("{result:?}") };
        assert_eq!((found, extra, species), (124.0, 0.0, 1.0), "{result:?}");
        assert!((0.8..1.3).contains(&(rmsd / bound)), "{result:?}");
        assert!((sigma / bound - 1.0).abs() < 0.01, "{result:?}");
        assert!((chi2 - 1.0).abs() < 0.02, "{result:?}");
        assert!(rmsd < 0.4 * traced, "{result:?}");
    }
}
