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

/// Images of a random alloy at known poses, prepared and refined from the atoms that a density without noise shows.
const ALLOY: &str = r#"
    fn refined(truth, species, snr, seed, options) {
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 60, size: 120, seed: seed })
            .invert().normalize().add_noise(#{ snr: snr, seed: seed });
        let particles = images.prepare(#{ diameter: truth.diameter() + 1, tolerance: 0 });
        let atoms = model::trace(volume::of_structure(truth), #{ species: species });
        model::refine(atoms, particles, images.true_poses(), options)
    }
    // index of the true atom at a place, -1 where there is none
    fn atom_at(place, truth) {
        let places = truth.positions();
        for j in 0..places.len() {
            if (place[0] - places[j][0]) ** 2 + (place[1] - places[j][1]) ** 2 + (place[2] - places[j][2]) ** 2 < 1.0 { return j; }
        }
        -1
    }
"#;

#[test]
fn errors_are_as_large_as_they_are_said_to_be() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        for seed in 1..=10 {
            for pull in refined(truth, ["Fe", "Pt"], 0.5, seed, #{}).atoms.pulls(truth) { print(pull); }
        }
    "#;
    let pulls = numbers(&[ALLOY, script].concat(), &[]);
    assert_eq!(pulls.len(), 10 * 3 * 124);
    let mean = |value: fn(f64) -> f64| pulls.iter().map(|&pull| value(pull)).sum::<f64>() / pulls.len() as f64;
    let deviation = mean(|pull| pull * pull).sqrt();
    assert!(mean(|pull| pull).abs() < 0.1 && (0.9..1.2).contains(&deviation), "{deviation}");
}

/// At a noise where palladium and platinum, or cadmium and selenium, overlap.
#[test]
fn elements_are_as_sure_as_they_are_said_to_be() {
    let script = r#"
        for pair in [[["Pd", "Pt"], 0.006], [["Cd", "Se"], 0.008]] {
            for seed in 1..=8 {
                let truth = structure::fcc([pair[0][0]], 3.9).sphere(15).alloyed(pair[0], #{ seed: seed });
                let atoms = refined(truth, pair[0], pair[1], seed, #{}).atoms;
                let found = atoms.structure();
                let probability = atoms.columns().probability;
                for (place, i) in found.positions() {
                    let j = atom_at(place, truth);
                    if j >= 0 { print(`${probability[i]} ${if found.species()[i] == truth.species()[j] { 1 } else { 0 }}`); }
                }
            }
        }
    "#;
    let pairs = numbers(&[ALLOY, script].concat(), &[]);
    let (mut said, mut right, mut count) = ([0.0; 3], [0.0; 3], [0.0; 3]);
    for pair in pairs.chunks(2) {
        let bin = [0.8, 0.95].iter().filter(|&&edge| pair[0] > edge).count();
        (said[bin], right[bin], count[bin]) = (said[bin] + pair[0], right[bin] + pair[1], count[bin] + 1.0);
    }
    let curve: Vec<[f64; 3]> =
        (0..3).map(|bin| [said[bin] / count[bin], right[bin] / count[bin], count[bin]]).collect();
    assert!(curve.iter().all(|[said, right, count]| *count > 100.0 && (said - right).abs() < 0.05), "{curve:?}");
}

/// Images so faint that a nickel atom is a few times as strong as the noise: at poses that are known they show more, and no atom gains from the noise about it.
#[test]
fn poses_that_are_known_are_kept_and_faint_atoms_are_as_strong_as_bright_ones() {
    let script = r#"
        // mean squares of the intensities of nickel and platinum, the noise taken off, and how many atoms are taken for the right element
        fn seen(snr, seeds, options) {
            let squares = #{ Ni: 0.0, Pt: 0.0 };
            let right = 0;
            for seed in seeds {
                let truth = structure::fcc(["Pt"], 3.9).sphere(15).alloyed(["Ni", "Pt"], #{ seed: seed });
                let atoms = refined(truth, ["Ni", "Pt"], snr, seed, options).atoms;
                let columns = atoms.columns();
                let species = atoms.structure().species();
                for (place, i) in atoms.structure().positions() {
                    let j = atom_at(place, truth);
                    if j < 0 { continue; }
                    squares[truth.species()[j]] += (columns.intensity[i] ** 2 - columns.sigma_intensity[i] ** 2) / truth.composition()[truth.species()[j]];
                    if species[i] == truth.species()[j] { right += 1; }
                }
            }
            `${(squares.Ni / squares.Pt).sqrt()} ${right}`
        }
        let known = #{ refine_poses: false };
        print(seen(0.05, [1], known));
        print(seen(0.003, 1..=4, known));
        print(seen(0.003, 1..=4, #{}));
        let truth = structure::bundled("fept_1.5nm");
        let kept = refined(truth, ["Fe", "Pt"], 0.1, 1, known).poses;
        let moved = refined(truth, ["Fe", "Pt"], 0.1, 1, #{}).poses;
        let given = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 60, size: 120, seed: 1 }).true_poses();
        print(`${if kept.quaternions() == given.quaternions() { 1 } else { 0 }} ${if moved.quaternions() == given.quaternions() { 1 } else { 0 }}`);
    "#;
    let result = numbers(&[ALLOY, script].concat(), &[]);
    let [bright, _, faint, with_known, _, with_refined, kept, moved] = result[..] else { panic!("{result:?}") };
    assert!((faint / bright - 1.0).abs() < 0.045, "{result:?}");
    assert!(with_known > with_refined, "{result:?}");
    assert_eq!((kept, moved), (1.0, 0.0), "{result:?}");
}

/// Faint atoms beside bright ones: a density of few noisy images leaves some of them below its noise cut.
#[test]
fn atoms_that_the_density_left_in_doubt_are_found() {
    let script = r#"
        for seed in [1, 6] {
            let truth = structure::fcc(["Pt"], 3.9).sphere(15).alloyed(["Ni", "Pt"], #{ seed: seed });
            let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 60, seed: seed, max_shift: 0.5 })
                .invert().normalize().add_noise(#{ snr: 0.04, seed: seed });
            let particles = images.prepare(#{ diameter: truth.diameter() + 1, tolerance: 0 });
            let atoms = model::trace(volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1 }).volume, #{ species: ["Ni", "Pt"] });
            let refined = model::refine(atoms, particles, images.true_poses(), #{});
            let found = refined.atoms.compare(truth);
            print(`${atoms.compare(truth).missing} ${found.missing} ${found.extra} ${found.species_accuracy}`);
        }
    "#;
    let results = numbers(script, &[]);
    for result in results.chunks(4) {
        assert!(result[0] >= 1.0 && result[1..] == [0.0, 0.0, 1.0], "{results:?}");
    }
}

#[test]
fn the_depth_of_focus_tells_a_particle_from_its_mirror_image() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let scope = microscope::paper(#{ cell_height: 50 });
        let images = microscope::simulate(truth, scope, #{ method: "kinematic", n: 60, size: 120, seed: 5 })
            .invert().normalize().add_noise(#{ snr: 0.5, seed: 5 });
        let particles = images.prepare(#{ diameter: 15 });
        for poses in [images.true_poses(), images.true_poses().mirrored()] {
            let density = volume::reconstruct(particles, poses, #{ low_pass: 1 }).volume;
            let refined = model::refine(model::trace(density, #{ species: ["Fe", "Pt"] }), particles, poses, #{});
            let is_mirrored = |found| if found.compare(truth).mirrored { 1 } else { 0 };
            let density_atoms = model::trace(density.mirrored(), #{ species: ["Fe", "Pt"] });
            print(`${is_mirrored.call(refined.atoms)} ${is_mirrored.call(refined.atoms.mirrored())} ${is_mirrored.call(density_atoms)}`);
            for defocus in [45, 60, 75] {
                let hand = model::hand(refined, microscope::paper(#{ cell_height: 50, defocus: defocus }));
                print(`${if hand.mirrored { 1 } else { 0 }} ${(hand.chi2 - hand.chi2_mirrored).abs()}`);
            }
        }
    "#;
    for (hand, result) in [0.0, 1.0].into_iter().zip(numbers(script, &[]).chunks(9)) {
        assert_eq!(result[..3], [hand, 1.0 - hand, 1.0 - hand], "{result:?}");
        for decision in result[3..].chunks(2) {
            assert!(decision[0] == hand && decision[1] > 1000.0, "{result:?}");
        }
    }
}

/// Atoms that vibrate more towards the surface are fainter there at high resolution: B rises fourfold from the centre to the surface of a random alloy.
#[test]
fn elements_are_told_apart_where_the_surface_vibrates_more() {
    let script = r#"
        let pair = ["Pd", "Pt"];
        let truth = structure::fcc(["Pt"], 3.85).sphere(20).alloyed(pair, #{ seed: 1 });
        let outermost = 0.5 * truth.diameter();
        let displacements = truth.positions().map(|p| 0.1 * (1 + 3 * (p[0] ** 2 + p[1] ** 2 + p[2] ** 2) / outermost ** 2).sqrt());
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{
            method: "multislice", n: 100, size: 160, seed: 1, atom_displacements: displacements,
        }).invert().normalize().add_noise(#{ snr: 0.5, seed: 1 });
        let particles = images.prepare(#{ diameter: truth.diameter() + 1, tolerance: 0 });
        let density = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1 }).volume;
        for trend in ["auto", "none"] {
            let traced = model::trace(density, #{ species: pair, trend: trend });
            let atoms = model::refine(traced, particles, images.true_poses(), #{ trend: trend }).atoms;
            let found = atoms.compare(truth);
            let classes = traced.classes();
            let apart = (classes[1].mean - classes[0].mean) / (classes[0].deviation + classes[1].deviation);
            print(`${found.missing} ${found.extra} ${found.species_accuracy} ${apart}`);
        }
    "#;
    let results = numbers(script, &[]);
    let [with, without] = [&results[..4], &results[4..]];
    assert!(with[..2] == [0.0, 0.0] && with[2] >= 0.99, "{results:?}");
    assert!(with[3] > 1.3 * without[3], "the trend separates the elements: {results:?}");
}

/// Atoms of one kind, whose B rises from 0.3 to 1.0 Å² from the centre to the surface.
#[test]
fn b_factors_rise_where_atoms_vibrate_more() {
    let script = r#"
        import "multislice_model" as multislice_model;
        let truth = structure::fcc(["Al"], 4.05).sphere(13);
        let squares = truth.positions().map(|p| 0.004 + 0.0002 * (p[0] ** 2 + p[1] ** 2 + p[2] ** 2));
        let scope = microscope::paper(#{ cell_height: 50 });
        let images = microscope::simulate(truth, scope, #{
            method: "multislice", n: 120, size: 100, seed: 3, atom_displacements: squares.map(|u2| u2.sqrt()),
        }).invert().normalize().add_noise(#{ snr: 2, seed: 3 });
        let poses = images.true_poses();
        let particles = images.prepare(#{ diameter: truth.diameter() + 1, tolerance: 0 });
        let atoms = model::trace(volume::reconstruct(particles, poses, #{ low_pass: 1 }).volume, #{ species: ["Al"] });
        let refined = multislice_model::refine(atoms, images, particles, poses, scope, #{}).atoms;
        let columns = refined.columns();
        let found = refined.structure().positions();
        let known = truth.positions();
        for i in 0..found.len() {
            for j in 0..known.len() {
                if (found[i][0] - known[j][0]) ** 2 + (found[i][1] - known[j][1]) ** 2 + (found[i][2] - known[j][2]) ** 2 < 0.25 {
                    print(`${columns.relative_B_A2[i]} ${columns.sigma_B_A2[i]} ${8 * PI() ** 2 * squares[j]}`);
                }
            }
        }
    "#;
    let numbers = numbers(script, &[]);
    let atoms: Vec<[f64; 3]> = numbers.as_chunks::<3>().0.to_vec();
    assert_eq!(atoms.len(), 79);
    let mean = |of: &dyn Fn(&[f64; 3]) -> f64| atoms.iter().map(of).sum::<f64>() / atoms.len() as f64;
    let center = mean(&|atom| atom[2]);
    let covariance = mean(&|atom| atom[0] * (atom[2] - center));
    let [of_found, of_known] = [mean(&|atom| atom[0] * atom[0]), mean(&|atom| (atom[2] - center).powi(2))];
    let correlation = covariance / (of_found * of_known).sqrt();
    let error = mean(&|atom| (atom[0] - (atom[2] - center)).powi(2)).sqrt();
    let slope = covariance / of_known;
    assert!(correlation > 0.65 && (0.65..1.35).contains(&slope), "{correlation} {slope}");
    // five configurations of vibrating atoms an image are a noise of their own
    assert!(error < 2.0 * mean(&|atom| atom[1]), "{error}");
}

#[test]
fn it_says_whether_the_atoms_have_settled() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 60, size: 100, seed: 1 })
            .invert().normalize().add_noise(#{ snr: 0.5, seed: 1 });
        let particles = images.prepare(#{ diameter: 15, tolerance: 0 });
        let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1 });
        let traced = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
        for options in [#{ rounds: 4 }, #{}] {
            let refined = model::refine(traced, particles, images.true_poses(), options);
            print(`${if refined.settled { 1 } else { 0 }} ${refined.rounds}`);
        }
    "#;
    let result = numbers(script, &[]);
    assert_eq!(result[..3], [0.0, 4.0, 1.0], "{result:?}");
    assert!(result[3] > 4.0 && result[3] < 30.0, "{result:?}");
}

/// Each half has √2 the noise of all images, and two differ by √2 of that: atoms lie twice as far apart in them as they are from the truth.
#[test]
fn half_maps_differ_by_twice_the_error_of_the_whole() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let scope = microscope::paper(#{ cell_height: 50 });
        let images = microscope::simulate(truth, scope, #{ method: "kinematic", n: 100, size: 100, seed: 2 })
            .invert().normalize().add_noise(#{ snr: 0.1, seed: 2 });
        let particles = images.prepare(#{ diameter: 15, tolerance: 0 });
        let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1 });
        let species = ["Fe", "Pt"];
        let traced = model::trace(map.volume, #{ species: species, halves: map.halves });
        let same = model::trace(map.volume, #{ species: species, halves: [map.volume, map.volume] }).columns();
        let refined = model::refine(traced, particles, images.true_poses(), #{ rounds: 4 }).atoms.columns();
        let columns = traced.columns();
        let square = 0.0;
        for shift in columns.half_shift_A { square += shift * shift / columns.half_shift_A.len(); }
        print(`${square.sqrt()} ${traced.compare(truth).rmsd_pm / 100}`);
        print(`${columns.half_difference.reduce(|sum, x| sum + x, 0.0) / traced.len()}`);
        print(`${same.half_shift_A.reduce(|most, x| max(most, x), 0.0)} ${same.half_difference.reduce(|most, x| max(most, x), 0.0)}`);
        print(`${refined.half_shift_A.len() / refined.intensity.len()}`);
        print(if "half_shift_A" in model::trace(map.volume, #{ species: species }).columns() { 1 } else { 0 });
        for halves in [[map.volume], [map.volume, 3], [map.volume, volume::of_structure(truth)]] {
            try {
                model::trace(map.volume, #{ species: species, halves: halves });
                print(0);
            } catch (error) {
                let error = error.to_string();
                print(if error.contains("two Volumes") || error.contains("halves of the same reconstruction") { 1 } else { 0 });
            }
        }
    "#;
    let [shift, error, difference, same_shift, same_difference, kept, unasked, refused @ ..] =
        &numbers(script, &[])[..]
    else {
        panic!("too few numbers")
    };
    println!("shift {shift}, error {error}, difference {difference}");
    assert!((1.5..2.6).contains(&(shift / error)), "{shift} {error}");
    assert!((0.005..0.3).contains(difference), "{difference}");
    assert_eq!([*same_shift, *same_difference, *kept, *unasked], [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(refused, [1.0; 3]);
}
