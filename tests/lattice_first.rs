//! Particles of a known lattice, from images to atoms: the lattice's operations are told apart by what sits on its sites.

mod common;

use common::run_script;

/// A script that begins with a random alloy on fcc sites, `truth`, and `count` noisy kinematic `images` of it.
fn with_alloy(count: usize, script: &str) -> String {
    format!(
        r#"
        let truth = structure::fcc(["Fe", "Pt"], 3.82).sphere(14, #{{ composition: [1, 1], seed: 3 }});
        let images = microscope::simulate(truth, microscope::paper(#{{ cell_height: 50 }}), #{{ method: "kinematic", n: {count}, size: 100, seed: 5 }})
            .invert().normalize().add_noise(#{{ snr: 1.0, seed: 6 }});
        {script}
    "#
    )
}

/// Finds the alloy by its lattice; prints what was found.
const SOLVED: &str = r#"
    import "lattice_first" as lattice_first;
    let run = lattice_first::reconstruct(images, #{
        diameter: 14, lattice: "fcc", a: 3.82, species: ["Fe", "Pt"], low_pass: 1.2, starts: 2,
    });
    let found = model::trace(run.volume, #{ species: ["Fe", "Pt"] }).compare(truth);
    let poses = orient::errors(run.poses, images.true_poses(), truth);
    print(`${found.found} ${found.missing} ${found.extra} ${found.species_accuracy} ${poses.within_5} ${run.chi2} ${run.score}`);
"#;

#[test]
fn an_alloy_of_known_lattice_is_found_atom_by_atom_the_same_on_any_number_of_threads() {
    let outputs = ["1", "3"].map(|threads| {
        let run = run_script(&with_alloy(150, SOLVED), &["--threads", threads]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        run.stdout
    });
    assert_eq!(outputs[0], outputs[1], "the number of threads changes the result");
    let numbers: Vec<f64> = outputs[0].split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [found, missing, extra, species, within_5] = numbers[..5] else { panic!("{numbers:?}") };
    assert_eq!((found, missing, extra), (87.0, 0.0, 0.0), "{numbers:?}");
    assert!(species > 0.97 && within_5 > 0.95, "{numbers:?}");
}

/// Spheres of compounds off centre, which nearly have operations of their lattice.
#[test]
fn compounds_of_known_lattice_are_found_atom_by_atom() {
    for (lattice, species, cell) in
        [("rocksalt", r#"["Pb", "Se"]"#, "a: 6.12"), ("wurtzite", r#"["Cd", "Se"]"#, "a: 4.30, c: 7.01")]
    {
        let script = format!(
            r#"
            import "lattice_first" as lattice_first;
            let cell = #{{ {cell} }};
            let truth = structure::lattice("{lattice}", {species}, cell).sphere(15, #{{ centre: [0.1, 0.2, 0.05] }});
            let images = microscope::simulate(truth, microscope::paper(#{{ cell_height: 50 }}), #{{ method: "kinematic", n: 120, size: 100, seed: 5 }})
                .invert().normalize().add_noise(#{{ snr: 1.0, seed: 6 }});
            let run = lattice_first::reconstruct(images, cell + #{{
                diameter: 15, lattice: "{lattice}", species: {species}, low_pass: 1.4, starts: 2,
            }});
            let found = model::trace(run.volume, #{{ species: {species} }}).compare(truth);
            print(`${{found.missing}} ${{found.extra}} ${{found.species_accuracy}}`);
            "#
        );
        let run = run_script(&script, &[]);
        assert_eq!(run.stdout, "0 0 1.0\n", "{lattice}: {}", run.stderr);
    }
}

#[test]
fn auto_takes_the_lattice_where_random_starts_leave_a_doubt() {
    let script = r#"
        import "auto" as auto;
        // a first limit at the lattice's resolution, which leads astray
        let run = auto::reconstruct(images, #{
            diameter: 14, lattice: "fcc", a: 3.82, species: ["Fe", "Pt"], low_pass: 1.6, first_low_pass: 2.0, starts: 1,
        });
        print(run.tried.map(|tried| `${tried.strategy} ${tried.verdict}`).to_string());
        print(run.strategy);
        print(orient::errors(run.poses, images.true_poses(), truth).within_5);
    "#;
    let run = run_script(&with_alloy(120, script), &[]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let [tried, strategy, within_5] = lines[..] else { panic!("{} {}", run.stdout, run.stderr) };
    assert_eq!(tried, r#"["two_step doubtful", "lattice_first converged"]"#);
    assert_eq!(strategy, "lattice_first");
    assert!(within_5.parse::<f64>().unwrap() > 0.95, "{within_5}");
}

#[test]
fn the_operations_of_a_lattice_are_told_apart() {
    let script = r#"
        import "lattice_start" as lattice_start;
        let particles = images.prepare(#{ diameter: 14, low_pass: 1.67 });
        let o = #{
            diameter: 14, lattice: "fcc", a: 3.82, c: 0.0, species: ["Fe"], first_low_pass: 1.8, max_shift: 0.5, seed: 1,
        };
        let ideal = lattice_start::find(particles, o);
        let sites = lattice_start::sphere_of(o, 16, ideal.centre);
        let broken = orient::break_symmetry(particles, sites, ideal.poses, #{ starts: 2 });
        let ball = lattice_start::sphere_of(o, 10, [0.0, 0.0, 0.0]);
        let up_to_operations = orient::errors(ideal.poses, images.true_poses(), ball).within_5;
        let before = orient::errors(ideal.poses, images.true_poses(), truth).within_5;
        let after = orient::errors(broken.poses, images.true_poses(), truth).within_5;
        print(`${broken.operations} ${up_to_operations} ${before} ${after} ${broken.amplitudes.len()} ${sites.len()} ${broken.agreement}`);
    "#;
    let run = run_script(&with_alloy(150, script), &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let numbers: Vec<f64> = run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [operations, up_to_operations, before, after, amplitudes, sites, agreement] = numbers[..] else {
        panic!("{numbers:?}")
    };
    assert_eq!((operations, amplitudes), (48.0, sites), "{numbers:?}");
    assert!(up_to_operations > 0.9 && before < 0.2 && after > 0.9, "{numbers:?}");
    assert!(agreement > 0.8, "{numbers:?}");
}

#[test]
fn starts_from_wrong_poses_do_not_agree_and_all_are_made() {
    let script = r#"
        let truth = structure::fcc(["Fe", "Pt"], 3.82).sphere(14, #{ composition: [1, 1], seed: 3 });
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 150, size: 100, seed: 5 })
            .invert().normalize().add_noise(#{ snr: 0.5, seed: 6 });
        let particles = images.prepare(#{ diameter: 14, low_pass: 1.67 });
        let sites = structure::fcc(["Pt"], 3.82).sphere(16);
        let broken = orient::break_symmetry(particles, sites, orient::random(150, 7), #{ starts: 3 });
        print(`${broken.agreement} ${broken.starts.len()}`);
    "#;
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let numbers: Vec<f64> = run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [agreement, starts] = numbers[..] else { panic!("{numbers:?}") };
    assert!(agreement < 0.7 && starts == 3.0, "{numbers:?}");
}

/// Each lattice that pedesis knows, off centre, with the constant that it is given here.
#[test]
fn lattice_type_and_constants_are_found() {
    for (lattice, species, cell) in [
        ("fcc", r#"["Fe", "Pt"]"#, "a: 3.82"),
        ("rocksalt", r#"["Pb", "Se"]"#, "a: 6.12"),
        ("zincblende", r#"["Cd", "Se"]"#, "a: 6.05"),
        ("wurtzite", r#"["Cd", "Se"]"#, "a: 4.30, c: 7.01"),
    ] {
        let script = format!(
            r#"
            import "lattice_start" as lattice_start;
            let cell = #{{ {cell} }};
            let truth = structure::lattice("{lattice}", {species}, cell).sphere(15, #{{ centre: [0.1, 0.2, 0.05], seed: 3 }});
            let images = microscope::simulate(truth, microscope::paper(#{{ cell_height: 50 }}), #{{ method: "kinematic", n: 60, size: 100, seed: 5 }})
                .invert().normalize().add_noise(#{{ snr: 0.5, seed: 6 }});
            let particles = images.prepare(#{{ diameter: 15, low_pass: 1.67 }});
            let o = #{{ diameter: particles.diameter(), species: {species}, first_low_pass: 1.8, seed: 1 }};
            let found = lattice_start::recognize(particles, o);
            print(`${{found.lattice}} ${{found.a / cell.a}}`);
            "#
        );
        let run = run_script(&script, &[]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let words: Vec<&str> = run.stdout.split_whitespace().collect();
        let [found, ratio] = words[..] else { panic!("{}", run.stdout) };
        let ratio: f64 = ratio.parse().unwrap();
        assert!(
            found == lattice && (ratio - 1.0).abs() < 0.015,
            "{lattice}: {found}, constant wrong by a factor of {ratio}"
        );
    }
}

#[test]
fn single_step_finds_every_atom_of_an_ideal_lattice() {
    let script = r#"
        import "single_step" as single_step;
        let truth = structure::rocksalt(["Pb", "Se"], 6.12).sphere(15, #{ centre: [0.25, 0.25, 0.25] });
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 150, size: 100, seed: 5 })
            .invert().normalize().add_noise(#{ snr: 1.0, seed: 6 });
        let run = single_step::reconstruct(images, #{
            diameter: 15, lattice: "rocksalt", a: 6.12, species: ["Pb", "Se"], low_pass: 1.2,
        });
        let found = model::trace(run.volume, #{ species: ["Pb", "Se"] }).compare(truth);
        print(`${found.found} ${found.missing} ${found.extra} ${found.species_accuracy} ${truth.len()}`);
    "#;
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let numbers: Vec<f64> = run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [found, missing, extra, species, atoms] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!((found, missing), (atoms, 0.0), "{numbers:?}");
    assert!(extra <= 2.0 && species > 0.97, "{numbers:?}");
}

#[test]
fn sites_and_poses_that_do_not_fit_the_images_are_refused() {
    let script = |call: &str| {
        format!(
            r#"
            let lattice = structure::fcc(["Pt"], 3.92);
            let truth = lattice.sphere(12);
            let images = microscope::simulate(truth, microscope::paper(), #{{ method: "kinematic", n: 30, size: 80 }}).invert();
            let particles = images.prepare(#{{ diameter: 12, low_pass: 2 }});
            {call}
        "#
        )
    };
    for (call, part) in [
        ("orient::break_symmetry(particles, truth, orient::random(7, 1), #{ low_pass: 2 });", "30 images but 7 poses"),
        ("orient::break_symmetry(particles.subset(5, 1), truth, orient::random(5, 1), #{ low_pass: 2 });", "from 5"),
        ("orient::break_symmetry(particles, truth, images.true_poses(), #{ low_pass: 0.5 });", "0.5 Å"),
        ("orient::break_symmetry(particles, truth, images.true_poses(), #{ low_pass: 2, starts: 0 });", "starts"),
        (
            "orient::break_symmetry(particles, truth, images.true_poses(), #{ low_pass: 2, start: 3 });",
            "did you mean \"starts\"",
        ),
        (
            "orient::search(particles, volume::of_structure(truth), #{ low_pass: 2, symmetry: \"tetragonal\" });",
            "tetragonal",
        ),
        ("particles.with_model_error(-1);", "zero or more"),
        ("lattice.sphere(12, #{ centered: false });", "did you mean \"centred\""),
    ] {
        let run = run_script(&script(call), &[]);
        assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{call}: no {part:?} in\n{}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
}

#[test]
fn poses_of_a_symmetric_particle_are_judged_modulo_its_symmetry() {
    let script = r#"
        let particle = structure::rocksalt(["Pb", "Se"], 6.12).sphere(15);
        let poses = orient::random(60, 1);
        print(orient::errors(poses, poses, particle).operations);
        print(orient::errors(poses, poses, structure::bundled("fept_1.5nm")).operations);
    "#;
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    // a sphere about a site has all 48 operations of rock salt; the random alloy none but the identity
    assert_eq!(run.stdout.split_whitespace().collect::<Vec<_>>(), ["48", "1"]);
}
