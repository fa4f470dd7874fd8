//! Kinematic images against a plain double loop, against another program's multislice, and against physics.

use std::f64::consts::PI;
use std::path::PathBuf;

use nalgebra::{Quaternion, UnitQuaternion, Vector2};
use ndarray::{Array2, ArrayView2, Axis, s};
use pedesis::microscope::{
    Error, Method, Microscope, ScatteringFactors, Simulation, Transfer, electron, paper, random_poses, simulate,
};
use pedesis::pose::{Pose, Poses};
use pedesis::structure::{Element, Structure, bundled};
use pedesis::task::Task;

fn kinematic() -> Simulation {
    Simulation { method: Some(Method::Kinematic), ..Simulation::default() }
}

fn images_of(structure: &Structure, microscope: &Microscope, options: &Simulation) -> ndarray::Array3<f32> {
    simulate(structure, microscope, options, &Task::silent()).unwrap().data().clone()
}

fn still() -> Pose {
    Pose::from_rotation(UnitQuaternion::identity())
}

/// The definition, atom by atom and frequency by frequency, in double precision.
fn brute_force(structure: &Structure, microscope: &Microscope, pose: &Pose, options: &Simulation) -> Array2<f64> {
    let n = options.size as i64;
    let edge = n as f64 * options.pixel_size;
    let limit = microscope.aperture_frequency().min(0.5 / options.pixel_size);
    let centre = Transfer::new(microscope, microscope.defocus - microscope.cell_height / 2.0);
    let mut image = Array2::ones((options.size, options.size));
    for atom in structure.atoms() {
        let lab = pose.rotation * atom.position.coords;
        let own = Transfer::new(microscope, microscope.defocus - (microscope.cell_height / 2.0 - lab.z));
        for (ny, nx) in (-n / 2 + 1..n / 2).flat_map(|ny| (-n / 2 + 1..n / 2).map(move |nx| (ny, nx))) {
            let (kx, ky) = (nx as f64 / edge, ny as f64 / edge);
            let k = kx.hypot(ky);
            if k > limit {
                continue;
            }
            let amplitude = 2.0
                * electron::interaction_parameter(microscope.energy)
                * ScatteringFactors::Kirkland.projected_potential(atom.element, k)
                * own.chi((k, 0.0)).sin()
                * centre.temporal_envelope((k, 0.0))
                * centre.spatial_envelope((k, 0.0))
                * (-options.b_factor * k * k / 4.0).exp()
                / (edge * edge);
            for ((y, x), pixel) in image.indexed_iter_mut() {
                let dx = (x as f64 - (n / 2) as f64) * options.pixel_size - lab.x - pose.shift.x;
                let dy = (y as f64 - (n / 2) as f64) * options.pixel_size - lab.y - pose.shift.y;
                *pixel += amplitude * (2.0 * PI * (kx * dx + ky * dy)).cos();
            }
        }
    }
    image
}

fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, sum) = values.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    (values.map(|value| (value - sum / count).powi(2)).sum::<f64>() / count).sqrt()
}

#[test]
fn fast_images_are_the_plain_sum_over_atoms_and_frequencies() {
    let structure = Structure::from_xyz("4\n\nPb 1.1 -2.3 3.9\nSe -2.2 0.4 -4.2\nPb 0.3 2.6 0.7\nC 0 0 -1\n").unwrap();
    for (size, pixel_size, b_factor) in [(32, 0.41, 0.0), (33, 0.37, 1.5), (44, 0.25, 0.0)] {
        let options = Simulation { size, pixel_size, b_factor, poses: Some(random_poses(3, 0.5, 9)), ..kinematic() };
        let microscope = Microscope { defocus: 75.0, ..paper() };
        let images = images_of(&structure, &microscope, &options);
        for (image, pose) in images.axis_iter(Axis(0)).zip(options.poses.as_ref().unwrap().as_slice()) {
            let expected = brute_force(&structure, &microscope, pose, &options);
            let scatter = spread(expected.iter().copied());
            let difference = ndarray::Zip::from(&image)
                .and(&expected)
                .fold(0f64, |worst, &p, &q| worst.max((f64::from(p) - q).abs()));
            assert!(difference < 2e-5 * scatter, "{size} pixels: {difference:e} of {scatter:e}");
        }
    }
}

#[test]
fn projected_potentials_agree_with_another_program() {
    for line in include_str!("data/projected_potentials.csv").lines().skip(1) {
        let [table, element, k, value] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let table = if table == "kirkland" { ScatteringFactors::Kirkland } else { ScatteringFactors::Lobato };
        let found = table.projected_potential(element.parse::<Element>().unwrap(), k.parse().unwrap());
        let expected: f64 = value.parse().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-6, "{line}: {found}");
    }
}

#[test]
fn weak_phase_images_are_the_limit_of_exact_ones() {
    // The wave behind a faint atom, 1 + iεσV, taken through the lenses exactly: |1 + ψ|² without envelopes, ε → 0.
    let structure = Structure::from_xyz("1\n\nC 0.3 -0.2 2\n").unwrap();
    let microscope = Microscope { defocus_spread: 0.0, illumination: 0.0, ..paper() };
    let options = Simulation { size: 24, pixel_size: 0.4, poses: Some(Poses::unscored(vec![still()])), ..kinematic() };
    let image = images_of(&structure, &microscope, &options);
    let (edge, epsilon) = (9.6, 1e-6);
    let transfer = Transfer::new(&microscope, 60.0 - 48.0);
    for ((y, x), &pixel) in image.index_axis(Axis(0), 0).indexed_iter() {
        let (mut re, mut im) = (0.0, 0.0);
        for (ny, nx) in (-11..12).flat_map(|ny| (-11..12).map(move |nx| (ny, nx))) {
            let (kx, ky) = (f64::from(nx) / edge, f64::from(ny) / edge);
            let k = kx.hypot(ky);
            if k > microscope.aperture_frequency() {
                continue;
            }
            let place = 2.0 * PI * (kx * ((x as f64 - 12.0) * 0.4 - 0.3) + ky * ((y as f64 - 12.0) * 0.4 + 0.2));
            let potential = ScatteringFactors::Kirkland.projected_potential("C".parse().unwrap(), k);
            let amplitude = epsilon * electron::interaction_parameter(200.0) * potential / (edge * edge);
            // i·e^(−iχ)·e^(i place)
            re += amplitude * -(place - transfer.chi((k, 0.0))).sin();
            im += amplitude * (place - transfer.chi((k, 0.0))).cos();
        }
        let exact = ((1.0 + re).powi(2) + im * im - 1.0) / epsilon;
        assert!((f64::from(pixel) - 1.0 - exact).abs() < 2e-5, "({y}, {x}): {pixel} and {exact}");
    }
}

#[test]
fn atoms_are_black_with_the_paper_s_settings() {
    for defocus in [60.0, 85.0] {
        let structure = Structure::from_xyz("1\n\nPt 0 0 0\n").unwrap();
        let options = Simulation { poses: Some(Poses::unscored(vec![still()])), ..kinematic() };
        let image = images_of(&structure, &Microscope { defocus, ..paper() }, &options);
        let centre = image[(0, 80, 80)];
        assert!(centre < 0.95 && image.iter().all(|&pixel| pixel >= centre), "{centre}");
    }
}

#[test]
fn contrast_is_additive_and_its_mean_is_zero() {
    let whole = bundled("fept_1.5nm").unwrap();
    let (first, second) = whole.atoms().split_at(50);
    let options = Simulation { size: 100, poses: Some(random_poses(1, 0.4, 2)), ..kinematic() };
    let part = |atoms: &[_]| images_of(&Structure::new("part", atoms.to_vec()), &paper(), &options) - 1.0;
    let (sum, all) = (part(first) + part(second), part(whole.atoms()));
    let scatter = spread(all.iter().map(|&value| f64::from(value)));
    assert!(scatter > 0.01);
    assert!((&sum - &all).iter().all(|&difference| f64::from(difference).abs() < 2e-5 * scatter + 3e-7));
    assert!(all.mean().unwrap().abs() < 1e-6);
}

#[test]
fn a_shift_by_whole_pixels_moves_the_image_by_them() {
    let structure = bundled("fept_1.5nm").unwrap();
    let rotation = UnitQuaternion::from_euler_angles(0.3, 1.1, -0.7);
    let shifted = Pose { rotation, shift: Vector2::new(0.75, -1.25) };
    let options = Simulation {
        size: 96,
        poses: Some(Poses::unscored(vec![Pose::from_rotation(rotation), shifted])),
        ..kinematic()
    };
    let images = images_of(&structure, &paper(), &options);
    let moved = images.slice(s![1, 5..85, 5..85]).to_owned();
    let expected = images.slice(s![0, 10..90, 2..82]).to_owned();
    assert!((moved - expected).iter().all(|difference| difference.abs() < 1e-5));
}

#[test]
fn images_do_not_depend_on_the_number_of_threads() {
    let structure = bundled("pbse_2.5nm").unwrap();
    let options = Simulation { n: Some(7), seed: 4, max_shift: 0.5, ..kinematic() };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| simulate(&structure, &paper(), &options, &Task::silent()).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(3));
    assert_eq!(one.true_poses().unwrap(), &random_poses(7, 0.5, 4));
}

#[test]
fn impossible_requests_are_refused_with_the_reason() {
    let structure = bundled("fept_1.5nm").unwrap();
    let ask = |microscope: Microscope, options: Simulation| {
        simulate(&structure, &microscope, &options, &Task::silent()).unwrap_err()
    };
    let message = |options| ask(paper(), options).to_string();
    assert_eq!(ask(paper(), Simulation { n: Some(1), ..Simulation::default() }), Error::NoMethod);
    assert_eq!(ask(paper(), kinematic()), Error::NoImages);
    assert!(message(Simulation { n: Some(1), size: 40, ..kinematic() }).contains("too small"));
    assert!(message(Simulation { n: Some(1), pixel_size: -1.0, ..kinematic() }).contains("pixel_size = -1"));
    assert!(message(Simulation { n: Some(1), pixel_size: f64::NAN, ..kinematic() }).contains("NaN"));
    assert!(message(Simulation { n: Some(1_000_000_000_000), ..kinematic() }).contains("GiB"));
    assert!(
        message(Simulation { n: Some(2), poses: Some(random_poses(3, 0.0, 0)), ..kinematic() }).contains("3 poses")
    );
    let one = Simulation { n: Some(1), ..kinematic() };
    assert!(ask(Microscope { energy: 0.0, ..paper() }, one.clone()).to_string().contains("energy = 0 kV"));
    assert!(ask(Microscope { defocus: f64::NAN, ..paper() }, one.clone()).to_string().contains("defocus = NaN"));
    let nothing = Structure::new("nothing", Vec::new());
    assert!(matches!(simulate(&nothing, &paper(), &one, &Task::silent()), Err(Error::NoAtoms(_))));
}

/// Folder with the large test data, or `None` with a note that the test is skipped.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("PEDESIS_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    if !root.join("data/stacks").is_dir() {
        eprintln!("skipped: {} is not there", root.display());
        return None;
    }
    Some(root.join("data"))
}

/// Pearson correlation.
fn correlation(p: &ArrayView2<f32>, q: &ArrayView2<f32>) -> f64 {
    let (mean_p, mean_q) = (p.mean().unwrap(), q.mean().unwrap());
    let (mut pq, mut pp, mut qq) = (0f64, 0f64, 0f64);
    for (&a, &b) in p.iter().zip(q) {
        let (a, b) = (f64::from(a - mean_p), f64::from(b - mean_q));
        (pq, pp, qq) = (pq + a * b, pp + a * a, qq + b * b);
    }
    pq / (pp * qq).sqrt()
}

#[test]
fn images_at_the_true_poses_resemble_another_program_s_multislice() {
    let Some(data) = shared() else { return };
    let text = std::fs::read_to_string(data.join("stacks/fept_1.5nm.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(data.join("stacks/fept_1.5nm.mrcs")).unwrap();
    let size = 160;
    let stack: Vec<f32> = bytes[1024..].iter().map(|&byte| f32::from(byte as i8)).collect();
    let stack = ndarray::Array3::from_shape_vec((600, size, size), stack).unwrap();

    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let rows = |key: &str| -> Vec<Vec<f64>> { truth[key].as_array().unwrap().iter().map(numbers).collect() };
    let pose = |(q, shift): (&Vec<f64>, &Vec<f64>)| Pose {
        rotation: UnitQuaternion::from_quaternion(Quaternion::new(q[0], q[1], q[2], q[3])),
        shift: Vector2::new(shift[0], shift[1]),
    };
    let poses: Vec<Pose> = rows("quaternions").iter().zip(&rows("shifts_A")).map(pose).take(60).collect();
    let species = truth["species"].as_array().unwrap().iter().map(|x| x.as_str().unwrap());
    let atoms: Vec<String> =
        species.zip(rows("atoms_A")).map(|(symbol, r)| format!("{symbol} {} {} {}", r[0], r[1], r[2])).collect();
    let structure = Structure::from_xyz(&format!("{}\n\n{}", atoms.len(), atoms.join("\n"))).unwrap();

    let microscope = Microscope { cell_height: 50.0, ..paper() };
    let mean = |change: &dyn Fn(&Pose) -> Pose, sign: f32| {
        let options = Simulation { poses: Some(Poses::unscored(poses.iter().map(change).collect())), ..kinematic() };
        let images = images_of(&structure, &microscope, &options) * sign;
        let pairs = images.axis_iter(Axis(0)).zip(stack.axis_iter(Axis(0)));
        pairs.map(|(p, q)| correlation(&p, &q)).sum::<f64>() / poses.len() as f64
    };
    // SNR 0.5 before the frame was cropped to 64 % of its area is about 0.78 after: a perfect simulation would reach √(0.78/1.78) = 0.66.
    let right = mean(&|pose| *pose, -1.0);
    eprintln!("mean correlation {right:.3}");
    assert!(right > 0.6, "{right}");
    let along = |x, y| move |pose: &Pose| Pose { shift: pose.shift + Vector2::new(x, y), ..*pose };
    for (what, other) in [
        ("contrast", mean(&|pose| *pose, 1.0)),
        ("passive rotations", mean(&|pose| Pose { rotation: pose.rotation.inverse(), ..*pose }, -1.0)),
        ("shifts of the other sign", mean(&|pose| Pose { shift: -pose.shift, ..*pose }, -1.0)),
        ("x and y shifts exchanged", mean(&|pose| Pose { shift: pose.shift.yx(), ..*pose }, -1.0)),
        ("+0.125 Å along x", mean(&along(0.125, 0.0), -1.0)),
        ("−0.125 Å along x", mean(&along(-0.125, 0.0), -1.0)),
        ("+0.125 Å along y", mean(&along(0.0, 0.125), -1.0)),
        ("−0.125 Å along y", mean(&along(0.0, -0.125), -1.0)),
    ] {
        eprintln!("{what}: {other:.3}");
        assert!(other < right - 0.01, "{what}: {other} is not worse than {right}");
    }
}
