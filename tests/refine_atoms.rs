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

/// Metal atoms in rows scatter an electron more than once. A model of single scattering finds the outer ones too far out, by much more than the noise; what a
/// simulation by multislice shows of it is taken off.
#[test]
fn multiple_scattering_is_taken_off() {
    let script = r#"
        import "multislice_model" as multislice_model;
        let truth = structure::bundled("fept_1.5nm");
        let scope = microscope::paper(#{ cell_height: 50 });
        let images = microscope::simulate(truth, scope, #{ method: "multislice", n: 150, size: 120, seed: 5, max_shift: 0.5, temperature: 0 })
            .invert().normalize().add_noise(#{ snr: 2, seed: 5 });
        let particles = images.prepare(#{ diameter: 15 });
        let atoms = model::trace(volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1 }).volume, #{ species: ["Fe", "Pt"] });
        let single = model::refine(atoms, particles, images.true_poses(), #{});
        let multiple = multislice_model::refine(atoms, images, particles, images.true_poses(), scope, #{});
        let found = multiple.atoms.compare(truth);
        print(`${found.found} ${found.extra} ${found.species_accuracy} ${found.rmsd_pm} ${single.atoms.compare(truth).rmsd_pm} ${multiple.misled_pm}`);
    "#;
    let result = numbers(script, &[]);
    let [found, extra, species, multiple, single, misled] = result[..] else { panic!("{result:?}") };
    assert_eq!((found, extra, species), (124.0, 0.0, 1.0), "{result:?}");
    assert!(misled > 1.0 && single > 1.5, "{result:?}");
    assert!(multiple < 0.5 * single, "{result:?}");
}

#[test]
fn what_cannot_be_refined_is_said_in_words() {
    let script = |call: &str| {
        format!(
            r#"
            let truth = structure::bundled("fept_1.5nm");
            let images = microscope::simulate(truth, microscope::paper(), #{{ method: "kinematic", n: 4, size: 100 }}).invert();
            let particles = images.prepare(#{{ diameter: 15, low_pass: 2 }});
            let atoms = model::trace(volume::of_structure(truth), #{{ species: ["Fe", "Pt"] }});
            model::refine(atoms, particles, {call});
            "#
        )
    };
    for (call, message) in [
        ("orient::random(3, 1), #{}", "4 images and 3 poses"),
        ("images.true_poses(), #{ low_pass: 1.0 }", "finer than these particles were prepared for"),
        ("images.true_poses(), #{ rounds: 0 }", "rounds is 0; it must be a number from 1 to 100"),
        ("images.true_poses(), #{ energy: -200.0 }", "energy is -200"),
        ("images.true_poses(), #{ round: 3 }", "unknown option \"round\""),
    ] {
        let run = run_script(&script(call), &[]);
        assert_eq!(run.status, Some(1), "{call}");
        assert!(run.stderr.contains(message), "{call}: {}", run.stderr);
    }
}
