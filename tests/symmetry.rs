//! Particles that almost have a symmetry: poses that it joins.

mod common;

use common::run_script;

fn numbers(script: &str) -> Vec<f64> {
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// The wurtzite particle is almost threefold about its axis: each image takes one of the equivalent poses, as a coarse start leaves it.
#[test]
fn poses_that_a_near_symmetry_joins_are_told_apart() {
    let found = numbers(
        r#"
        import "symmetry" as symmetry;
        let truth = structure::bundled("CdSe_wz_2.5nm_sevennet");
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 300, size: 160, pixel_size: 0.25, seed: 5 })
            .invert().normalize().add_noise(#{ snr: 0.5, seed: 6 });
        let particles = images.prepare(#{ diameter: 25, low_pass: 2 });
        let all = orient::equivalents(images.true_poses(), truth, #{ max_offset: 0.5 });
        let mixed = orient::draw(all, #{ seed: 3 });
        let density = volume::reconstruct(particles, mixed, #{ low_pass: 2 }).volume;
        let found = symmetry::tell_apart(particles, density, mixed, 2.0, 1);
        let before = orient::errors(mixed, images.true_poses(), truth);
        let after = orient::errors(found.poses, images.true_poses(), truth);
        print(`${all.len()} ${found.operations} ${before.within_5} ${after.within_5}`);
        "#,
    );
    let [operations, told, before, after] = found[..] else { panic!("{found:?}") };
    assert!(operations >= 6.0 && told >= 6.0, "{found:?}");
    assert!(before < 0.4 && after > 0.85, "{found:?}");
}

#[test]
fn a_particle_without_symmetry_is_left_alone() {
    let found = numbers(
        r#"
        import "symmetry" as symmetry;
        let truth = structure::bundled("FePt_1.8nm_disordered");
        let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 30, size: 100 }).invert();
        let particles = images.prepare(#{ diameter: 18, low_pass: 2 });
        let poses = images.true_poses();
        let density = volume::reconstruct(particles, poses, #{ low_pass: 2 }).volume;
        let found = symmetry::tell_apart(particles, density, poses, 2.0, 1);
        print(`${found.operations} ${orient::errors(found.poses, poses).within_5}`);
        "#,
    );
    assert_eq!(found, [1.0, 1.0]);
}
