//! Drift and smooth deformation of frames, found and taken back.

mod common;

use common::run_script;

/// Root mean square of what is left of a known motion within the particle, in Å, at a frame's SNR.
fn residual(snr: f64, seed: u64, options: &str) -> [f64; 2] {
    let script = format!(
        r#"
        let still = microscope::trajectory(#{{ n: 30, rotational_diffusion: 0, seed: {seed} }});
        let options = #{{ method: "kinematic", poses: still, size: 90, pixel_size: 0.35 }};
        let film = microscope::simulate(structure::bundled("pbse_2.5nm"), microscope::paper(#{{ cell_height: 50 }}), options).invert();
        let moved = film.deformed(#{{ amplitude: 2, seed: {seed} }});
        let found = moved.images.add_noise(#{{ snr: {snr}, seed: {seed} }}).align_frames(#{{ {options} }});
        let before = 0.0;
        let after = 0.0;
        let n = 0;
        for (true_ones, t) in moved.displacements {{
            for (p, i) in moved.positions {{
                if p[0] * p[0] + p[1] * p[1] > 150.0 {{ continue; }}
                let d = true_ones[i];
                let f = found.displacements[t][i];
                before += d[0] ** 2 + d[1] ** 2;
                after += (d[0] - f[0]) ** 2 + (d[1] - f[1]) ** 2;
                n += 1;
            }}
        }}
        print((before / n).sqrt());
        print((after / n).sqrt());
        "#
    );
    let run = run_script(&script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let found: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    found.try_into().unwrap_or_else(|_| panic!("{}", run.stderr))
}

#[test]
fn a_deformation_of_two_angstrom_is_found_to_a_tenth_at_an_snr_of_a_fifth() {
    for seed in [1, 2] {
        let [before, after] = residual(0.2, seed, "");
        assert!(before > 0.6 && after <= 0.1, "{seed}: {after} Å left of {before} Å");
    }
}

#[test]
fn a_deformation_of_two_angstrom_is_found_to_a_fifth_at_an_snr_of_a_twentieth() {
    for seed in [1, 2] {
        let [before, after] = residual(0.05, seed, "");
        assert!(before > 0.6 && after <= 0.2, "{seed}: {after} Å left of {before} Å");
    }
}

#[test]
fn drift_alone_leaves_the_deformation() {
    let [_, drift_alone] = residual(0.2, 1, "order: 0");
    let [_, all] = residual(0.2, 1, "");
    assert!(drift_alone > 2.0 * all, "{drift_alone} Å without, {all} Å with deformation");
}
