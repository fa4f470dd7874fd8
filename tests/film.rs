//! Films of a tumbling particle: the window to average over, half sets that share no frame, broken pixels, graphene.

mod common;

use common::{folder_with, pedesis, run_script};
use ndarray::{Array3, Axis};
use pedesis::images::{Error, Images, RepairOptions, WindowOptions};
use pedesis::random::stream;
use pedesis::task::Task;
use rand::RngExt;
use rand_distr::StandardNormal;

/// A film of a particle, `frames` of it.
const FILM: &str = r#"
    let film = |n, rate, snr| {
        let poses = microscope::trajectory(#{ n: n, rotational_diffusion: rate, translational_diffusion: 1, seed: 1 });
        let options = #{ method: "kinematic", poses: poses, size: 72, pixel_size: 0.5 };
        let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 50 }), options);
        film.invert().add_noise(#{ snr: snr, seed: 1 })
    };
"#;

fn numbers(line: &str) -> Vec<f64> {
    line.trim_matches(['[', ']']).split(", ").map(|number| number.parse().unwrap()).collect()
}

#[test]
fn diffusion_is_measured_on_noisy_frames_and_faster_particles_get_narrower_windows() {
    let script = format!(
        r#"{FILM}
        for rate in [0.1, 0.5, 2.0, 8.0] {{
            let choice = images::choose_window(film.call(1000, rate, 0.05), #{{ diameter: 15, max_width: 24 }});
            print([choice.rotational_diffusion / (0.0025 * rate), choice.width.to_float()]);
        }}"#
    );
    let run = run_script(&script, &[]);
    let found: Vec<Vec<f64>> = run.stdout.lines().map(numbers).collect();
    assert_eq!(found.len(), 4, "{}", run.stderr);
    for of_rate in &found {
        assert!((0.6..1.67).contains(&of_rate[0]), "measured over true diffusion: {found:?}");
    }
    assert!(found.windows(2).all(|pair| pair[1][1] <= pair[0][1]), "{found:?}");
    assert!(found[0][1] >= 3.0 && found[3][1] <= 2.0, "{found:?}");
}

#[test]
fn weaker_frames_get_wider_windows() {
    let script = format!(
        r#"{FILM}
        for snr in [0.4, 0.1, 0.025] {{
            print(images::choose_window(film.call(1000, 0.3, snr), #{{ diameter: 15, max_width: 24 }}).width);
        }}"#
    );
    let run = run_script(&script, &[]);
    let widths: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert!(widths.len() == 3 && widths[0] <= widths[1] && widths[1] < widths[2], "{widths:?} {}", run.stderr);
}

#[test]
fn power_kept_and_noise_left_are_those_of_the_averages() {
    // without noise an average's power is the signal kept and what other poses add; with noise alone it falls as the width
    let script = format!(
        r#"{FILM}
        let frames = film.call(1200, 1.0, 0.1);
        let trades = images::choose_window(frames, #{{ diameter: 15, max_width: 8 }}).trades.rows();
        print(trades[7].halo * 8);
        print(trades[3].halo * 4);
        print(trades[0].signal);
        print(trades[7].signal);
        let clean = film.call(1200, 1.0, 1e6);
        let power = |images| {{
            let profile = images.radial_power();
            let sum = 0.0;
            for (k, i) in profile.frequency {{ if k > 0.17 {{ sum += profile.power[i] * k; }} }}
            sum
        }};
        print(power.call(clean.average(8)) / power.call(clean));"#
    );
    let run = run_script(&script, &[]);
    let found: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), 5, "{}", run.stderr);
    assert!((0.95..1.05).contains(&found[0]) && (0.95..1.05).contains(&found[1]), "{found:?}");
    assert!((found[2] - 1.0).abs() < 1e-9);
    // of what the average shows, part is the middle pose's
    assert!(found[3] < found[4] && found[3] > 0.5 * found[4], "{found:?}");
}

#[test]
fn even_and_odd_windows_that_share_frames_agree_on_noise_and_blocks_do_not() {
    let script = format!(
        r#"{FILM}
        let frames = film.call(600, 2.0, 1e-5);
        for order in ["time", "halves"] {{
            let images = frames.average(#{{ width: 8, order: order }});
            let particles = images.prepare(#{{ diameter: 15, low_pass: 1.7, tolerance: 0 }});
            let fsc = volume::reconstruct(particles, images.true_poses(), #{{ low_pass: 1.7 }}).fsc;
            let sum = 0.0;
            let n = 0;
            for (c, i) in fsc.unmasked {{ if i >= 3 && fsc.frequencies[i] < 0.55 {{ sum += c; n += 1; }} }}
            print(sum / n);
        }}"#
    );
    let run = run_script(&script, &[]);
    let found: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), 2, "{}", run.stderr);
    assert!(found[0] > 0.6, "half sets that share seven frames of eight are inflated: {found:?}");
    assert!(found[1].abs() < 0.1, "blocks a window apart share nothing but noise of their own: {found:?}");
}

#[test]
fn uncertainties_count_each_frame_once() {
    let script = format!(
        r#"{FILM}
        let frames = film.call(480, 1.0, 0.3);
        let sigma = |images| {{
            let particles = images.prepare(#{{ diameter: 15, low_pass: 1.5, tolerance: 0 }});
            let map = volume::reconstruct(particles, images.true_poses(), #{{ low_pass: 1.5 }});
            let atoms = model::trace(map.volume, #{{ species: ["Fe", "Pt"] }});
            let refined = model::refine(atoms, particles, images.true_poses(), #{{ low_pass: 1.5, rounds: 1 }});
            refined.atoms.save("atoms.xyz");
            let sigmas = store::write("a.h5", #{{ atoms: refined.atoms }});
            let columns = store::read("a.h5").atoms.columns;
            columns.sigma_A.reduce(|sum, x| sum + x, 0.0) / columns.sigma_A.len()
        }};
        let apart = frames.average(4);
        let sharing = frames.average(#{{ width: 4, order: "time" }});
        print(apart.independent());
        print(sharing.independent());
        print(sharing.len());
        sharing.save("sharing.h5");
        print(store::images("sharing.h5").independent());
        print(sigma.call(sharing) / sigma.call(apart));"#
    );
    let run = run_script(&script, &[]);
    let found: Vec<f64> = run.stdout.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(found.len(), 5, "{} {}", run.stdout, run.stderr);
    assert_eq!((found[0], found[2]), (120.0, 477.0));
    assert!((found[1] - 120.0).abs() < 1.0 && found[1] == found[3], "{found:?}");
    assert!((0.85..1.15).contains(&found[4]), "four times as many images of the same frames say no more: {found:?}");
}

#[test]
fn averages_have_the_weights_and_the_poses_of_their_windows() {
    let data = Array3::from_shape_fn((9, 8, 8), |(n, y, x)| (n * n) as f32 + if (y, x) == (3, 4) { 1.0 } else { 0.0 });
    let frames = Images::new(data, 0.5);
    let value = |options: &WindowOptions| -> Vec<f32> {
        let means = frames.average(options, &Task::silent()).unwrap();
        means.data().outer_iter().map(|image| image[(0, 0)]).collect()
    };
    let options = WindowOptions { width: 3, stride: 3, ..WindowOptions::default() };
    assert!(value(&options).iter().zip([5.0 / 3.0, 50.0 / 3.0, 149.0 / 3.0]).all(|(a, b)| (a - b).abs() < 1e-4));
    let left_out = WindowOptions { leave_out: vec![1, 2, 8], ..options };
    assert!(value(&left_out).iter().zip([0.0, 50.0 / 3.0, 42.5]).all(|(a, b)| (a - b).abs() < 1e-4));
    let error = |options: WindowOptions| frames.average(&options, &Task::silent()).unwrap_err();
    assert_eq!(error(WindowOptions::default()), Error::Window { width: 0, frames: 9 });
    assert_eq!(
        error(WindowOptions { width: 2, stride: 2, leave_out: vec![4, 5], ..WindowOptions::default() }),
        Error::EmptyWindow(4)
    );
    let run = run_script(
        &format!(
            r#"{FILM}
            let poses = microscope::trajectory(#{{ n: 9, rotational_diffusion: 1, seed: 4 }});
            let options = #{{ method: "kinematic", poses: poses, size: 72, pixel_size: 0.5 }};
            let frames = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), options);
            let middle = poses.select([1, 4, 7]);
            print(orient::errors(frames.average(3).true_poses(), middle).median < 1e-4);
            let between = frames.average(2).true_poses().select([0]);
            let q = between.quaternions()[0];
            let near = |i| {{
                let p = poses.quaternions()[i];
                abs(p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3])
            }};
            print(abs(near.call(0) - near.call(1)) < 1e-9 && near.call(0) < 0.9999 && near.call(0) > 0.99);"#
        ),
        &[],
    );
    assert_eq!(run.stdout, "true\ntrue\n", "{}", run.stderr);
}

/// Frames of noise with a disc that moves, and what is broken in them.
fn broken_film() -> Images {
    let mut data = Array3::<f32>::zeros((30, 64, 64));
    for (n, mut image) in data.axis_iter_mut(Axis(0)).enumerate() {
        let mut rng = stream(7, "film test", n as u64);
        let scale = if n == 11 { 3.0 } else { 1.0 };
        for ((y, x), value) in image.indexed_iter_mut() {
            let off = (y as f32 - 32.0).hypot(x as f32 - 28.0 - (n % 9) as f32);
            *value = scale * rng.sample::<f32, _>(StandardNormal) + 3.0 * (-off * off / 8.0).exp();
        }
        image[(10, 20)] += 12.0; // hot
        if n == 5 {
            image[(50, 7)] += 60.0; // an X-ray
        }
        if n == 20 {
            image += 2.0; // a flash
        }
        image[(40, 41)] = 0.3; // dead
        image[(40, 42)] = 0.3;
    }
    Images::new(data, 0.5)
}

#[test]
fn what_is_broken_is_found_and_nothing_else() {
    let film = broken_film();
    let repaired = film.repair(&RepairOptions::default(), &Task::silent()).unwrap();
    assert_eq!(repaired.pixels, [[10, 20], [40, 41], [40, 42]]);
    assert_eq!(repaired.spikes, 1);
    assert_eq!(repaired.frames, [11, 20]);
    let changed = film.data().iter().zip(repaired.images.data()).filter(|(a, b)| a != b).count();
    assert_eq!(changed, 3 * 30 + 1);
    assert!(repaired.images.data()[(5, 50, 7)].abs() < 5.0 && repaired.images.data()[(3, 10, 20)].abs() < 5.0);
}

#[test]
fn a_clean_film_of_a_particle_is_left_as_it_is() {
    for snr in ["0.1", "1e6"] {
        let script = format!(
            r#"{FILM}
            let repaired = film.call(60, 2.0, {snr}).repair(#{{}});
            print(repaired.pixels.len() + repaired.spikes);
            print(repaired.frames.len());"#
        );
        let run = run_script(&script, &[]);
        assert_eq!(run.stdout, "0\n0\n", "{snr}: {}", run.stderr);
    }
}

#[test]
fn graphene_is_taken_off_and_the_particle_stays() {
    let script = r#"
        let particle = structure::bundled("fept_1.5nm");
        let scope = microscope::paper(#{ cell_height: 30 });
        let poses = microscope::trajectory(#{ n: 6, rotational_diffusion: 2, seed: 5 });
        let options = #{ method: "multislice", poses: poses, seed: 3, pixel_size: 0.4, slice_thickness: 2, configurations: 1,
            temperature: 0, spread: "envelope", size: 100 };
        let alone = microscope::simulate(particle, scope, options);
        let between = |rotation| microscope::simulate(particle, scope, options + #{ cell: cell::build(#{ size: [40, 40, 30], graphene: #{ rotation: rotation } }) });
        let one = between.call(17);
        // sheets at two angles: their contrasts add up
        let two = one.minus(alone.minus(between.call(41)));
        // power around the first peaks, and over as many rings beside them
        let around = |images| {
            let profile = images.radial_power();
            let sums = [0.0, 0.0];
            for (k, i) in profile.frequency {
                if abs(k - 0.4694) < 0.03 { sums[0] += profile.power[i]; }
                if abs(k - 0.4694) >= 0.03 && abs(k - 0.4694) < 0.09 { sums[1] += profile.power[i] / 2; }
            }
            sums
        };
        for film in [one, two] {
            for snr in [1e6, 0.5] {
                let noisy = film.add_noise(#{ snr: snr, seed: 2 });
                let clean = noisy.remove_lattice(#{ diameter: 15 });
                print(clean.sheets.len());
                let off = 0.0;
                for sheet in clean.sheets {
                    // the zigzag direction lies between two reciprocal vectors
                    off = max(off, min(abs(sheet.angle - 47.0), abs(sheet.angle - 11.0)));
                    off = max(off, abs(sheet.constant - 2.46) * 10.0);
                }
                print(off);
                // what is left beside particle and noise
                let left = around.call(clean.images.minus(noisy.minus(film)).minus(alone));
                print(around.call(film.minus(alone))[0] / left[0]);
                print(left[0] / left[1]);
                print(left[0] / around.call(alone)[0]);
            }
        }
        print(alone.add_noise(#{ snr: 0.5 }).remove_lattice(#{ diameter: 15 }).sheets.len());
        print(alone.remove_lattice(#{ diameter: 15 }).sheets.len());
    "#;
    let run = run_script(script, &[]);
    let found: Vec<f64> = run.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(found.len(), 22, "{} {}", run.stdout, run.stderr);
    for (i, of_film) in found[..20].chunks(5).enumerate() {
        let [sheets, off, fell, beside, of_particle] = of_film else { panic!() };
        let noisy = i % 2 == 1;
        assert_eq!(*sheets, (i / 2 + 1) as f64, "{found:?}");
        assert!(*off < 0.3, "angles [°] and constants: {found:?}");
        assert!(*fell > if noisy { 10.0 } else { 80.0 }, "power of the first peaks falls: {found:?}");
        assert!(noisy || *beside < 1.5, "to what is beside them: {found:?}");
        assert!(*of_particle < 0.1, "and the particle's stays: {found:?}");
    }
    assert_eq!(found[20..], [0.0, 0.0], "without graphene nothing is found");
}

#[test]
fn results_do_not_depend_on_threads() {
    let script = format!(
        r#"{FILM}
        let a = args(#{{ count: 1 }});
        set_threads(a.count);
        let frames = film.call(150, 0.5, 0.1);
        let choice = images::choose_window(frames, #{{ diameter: 15, max_width: 8 }});
        let still = microscope::trajectory(#{{ n: 8, rotational_diffusion: 0 }});
        let view = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{{ method: "kinematic", poses: still, size: 64, pixel_size: 0.4 }});
        let moved = view.add_noise(#{{ snr: 0.3 }}).deformed(#{{ amplitude: 1 }});
        let aligned = moved.images.align_frames(#{{}});
        store::write("all.h5", #{{ trades: choice.trades, signal: choice.lag.signal, means: frames.average(#{{ width: 5, weights: "gaussian" }}),
            aligned: aligned.images, repaired: frames.repair(#{{}}).images, clean: frames.remove_lattice(#{{ diameter: 15 }}).images }});"#
    );
    let folder = folder_with("film.rhai", &script);
    let values = |count: &str| {
        let run = pedesis(folder.path()).args(["run", "film.rhai", &format!("count={count}")]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let file = hdf5::File::open(folder.path().join("all.h5")).unwrap();
        ["aligned/data", "means/data", "repaired/data", "clean/data", "trades/rmsd", "signal"]
            .map(|name| file.dataset(name).unwrap().read_raw::<f64>().unwrap())
    };
    let one = values("1");
    assert!(one.iter().flatten().all(|value| value.is_finite()));
    assert_eq!(one, values("3"));
}

#[test]
fn mistakes_with_films_are_explained() {
    for (call, message) in [
        ("film.average(#{ width: 0 })", "a window of 0 frames"),
        ("film.average(#{ width: 13 })", "give a width from 1 to 12"),
        ("film.average(#{ width: 5 })", "at least 15; give a smaller width, a stride of 5"),
        ("film.average(#{ width: 3, stride: 0 })", "stride must be"),
        ("film.average(#{ width: 3, weight: 1 })", "did you mean \"weights\"?"),
        ("film.average(#{ width: 3, leave_out: [12] })", "there is no frame 12"),
        ("film.average(0)", "1 to 12 images"),
        ("images::choose_window(film, #{})", "diameter must be a positive number"),
        ("images::choose_window(film, #{ diameter: 60 })", "images at least"),
        ("images::lag_correlation(film, #{ diameter: 15, max_lag: 7 })", "max_lag must be at most half"),
        ("images::lag_correlation(film, #{ diameter: 15, low_pass: 0.1 })", "0.1 Å"),
        ("film.align_frames(#{ order: 9 })", "order must be from 0 to 6"),
        ("film.align_frames(#{ window: 0 })", "window must be"),
        ("film.align_frames(#{ low_pass: -1 })", "-1 Å"),
        ("film.deformed(#{ amplitude: 1e9 })", "amplitude must be"),
        ("film.repair(#{ threshold: 0 })", "threshold must be"),
        ("film.remove_lattice(#{})", "diameter must be"),
        ("film.remove_lattice(#{ diameter: 30 })", "images at least"),
    ] {
        let script = format!(
            "let film = microscope::simulate(structure::bundled(\"fept_1.5nm\"), microscope::paper(), #{{ method: \"kinematic\", n: 12, size: 72, pixel_size: 0.5 }});\n{call};"
        );
        let run = run_script(&script, &[]);
        assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
        assert!(run.stderr.contains(message) && run.stderr.contains("script.rhai:2:"), "{call}: {}", run.stderr);
    }
}
