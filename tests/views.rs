//! What a user asks of poses and sees of a result: grids of directions, coverage, projections, images beside reprojections.
//!
//! With `PEDESIS_FIGURES=DIR` the figures are saved there, to be looked at.

mod common;

use std::f64::consts::TAU;
use std::path::Path;

use common::run_script;
use nalgebra::{Point3, Vector2, Vector3};
use ndarray::{Array3, Axis};
use pedesis::images::Images;
use pedesis::orient::{self, Layout, ReprojectOptions, Stack, direction_grid};
use pedesis::plot::{self, CoverageOptions, Figure, ReprojectionsOptions};
use pedesis::pose::{Pose, Poses};
use pedesis::random;
use pedesis::task::Task;
use pedesis::volume::{self, ProjectOptions, Volume, density_of_atoms};
use rand::RngExt;
use rand_distr::StandardNormal;

fn keep(figure: &Figure, name: &str) {
    if let Some(folder) = std::env::var_os("PEDESIS_FIGURES") {
        figure.save(&Path::new(&folder).join(name)).unwrap();
    }
}

fn grid(count: usize, layout: Layout, half: bool) -> Poses {
    Poses::unscored(direction_grid(count, layout, half).into_iter().map(Pose::from_rotation).collect())
}

fn views(poses: &Poses) -> Vec<Vector3<f64>> {
    poses.as_slice().iter().map(Pose::viewing_direction).collect()
}

const LAYOUTS: [Layout; 2] = [Layout::Spiral, Layout::EqualArea];

#[test]
fn directions_of_both_layouts_are_even_and_none_comes_twice() {
    for layout in LAYOUTS {
        for half in [true, false] {
            let poses = grid(3000, layout, half);
            let views = views(&poses);
            let area = if half { TAU } else { 2.0 * TAU } / 3000.0;
            let nearest = |i: usize| {
                let distance = |j: &usize| (views[i] - views[*j]).norm();
                (0..3000).filter(|j| *j != i).map(|j| distance(&j)).fold(f64::MAX, f64::min)
            };
            let gaps: Vec<f64> = (0..3000).map(|i| nearest(i) / area.sqrt()).collect();
            let (least, most) = gaps.iter().fold((f64::MAX, 0.0f64), |(a, b), &gap| (a.min(gap), b.max(gap)));
            assert!(
                least > 0.5 && most < 1.3,
                "{layout:?}, half {half}: neighbours {least:.2} to {most:.2} spacings apart"
            );
            let moment = |axis: usize| views.iter().map(|v| v[axis] * v[axis]).sum::<f64>() / 3000.0;
            assert!((0..3).all(|axis| (moment(axis) - 1.0 / 3.0).abs() < 2e-3), "{layout:?}, half {half}");
            assert_eq!(views.iter().any(|v| v.z < 0.0), !half);
        }
    }
}

#[test]
fn each_direction_stands_for_as_much_of_the_sphere_as_any_other() {
    for layout in LAYOUTS {
        let views = views(&grid(300, layout, true));
        let mut shares = vec![0.0f64; 300];
        let mut rng = random::stream(2, "views test", 0);
        for _ in 0..150_000 {
            let v = random::rotation(&mut rng) * Vector3::z();
            let nearest = (0..300).max_by(|&a, &b| v.dot(&views[a]).abs().total_cmp(&v.dot(&views[b]).abs()));
            shares[nearest.unwrap()] += 1.0 / 500.0;
        }
        let spread = (shares.iter().map(|share| (share - 1.0).powi(2)).sum::<f64>() / 300.0).sqrt();
        // counting alone gives 0.045; random directions 0.53
        assert!(spread < 0.15, "{layout:?}: {spread:.3}");
        assert!(shares.iter().all(|share| (0.6..1.6).contains(share)), "{layout:?}");
    }
}

#[test]
fn a_hole_in_the_views_is_found_where_it_is() {
    let centre = Vector3::new(0.3, -0.5, 0.6).normalize();
    let hole = |v: &Vector3<f64>| v.dot(&centre).abs().acos().to_degrees() < 25.0;
    let whole = grid(5000, Layout::Spiral, true);
    let left: Vec<usize> = (0..5000).filter(|&i| !hole(&whole.as_slice()[i].viewing_direction())).collect();
    let even = orient::coverage(&whole, &Task::silent()).unwrap();
    let holed = orient::coverage(&whole.select(&left), &Task::silent()).unwrap();
    assert!(even.largest_gap < 2.0 && even.evenness > 0.99 && even.empty == 0.0, "{even:?}");
    assert!(even.largest_gap < 0.6 * even.random_gap, "{even:?}");
    assert!((25.0..27.0).contains(&holed.largest_gap), "{holed:?}");
    assert!(holed.gap_at.dot(&centre).abs() > 0.999, "{holed:?}");
    // a cap of 25° is 1 − cos 25° of the half sphere
    assert!((holed.empty - (1.0 - 25f64.to_radians().cos())).abs() < 0.03 && holed.evenness < 0.9, "{holed:?}");
    assert!(orient::coverage(&Poses::unscored(vec![]), &Task::silent()).is_err());
}

/// Atoms without symmetry, their width, and the poses they are looked at.
fn atoms() -> Vec<(Point3<f64>, f64)> {
    let mut rng = random::stream(11, "views test atoms", 0);
    (0..30)
        .map(|_| (Point3::from(Vector3::from_fn(|_, _| rng.random_range(-4.5..4.5))), rng.random_range(0.5..1.5)))
        .collect()
}

const WIDTH: f64 = 0.6;

fn shifted(count: usize) -> Poses {
    let pose = |(i, pose): (usize, &Pose)| {
        let mut rng = random::stream(12, "views test shifts", i as u64);
        Pose { shift: Vector2::from_fn(|_, _| rng.random_range(-1.5..1.5)), ..*pose }
    };
    Poses::unscored(orient::random_poses(count, 13).as_slice().iter().enumerate().map(pose).collect())
}

/// The projection of the atoms by its formula.
fn direct(poses: &Poses, size: usize, pixel: f64) -> Array3<f32> {
    let centre = (size / 2) as f64;
    Array3::from_shape_fn((poses.len(), size, size), |(i, y, x)| {
        let pose = &poses.as_slice()[i];
        let at = Vector2::new(x as f64 - centre, y as f64 - centre) * pixel - pose.shift;
        let bell = |(place, weight): &(Point3<f64>, f64)| {
            let off = at - (pose.rotation * place).xy().coords;
            weight / (TAU * WIDTH * WIDTH) * (-off.norm_squared() / (2.0 * WIDTH * WIDTH)).exp()
        };
        atoms().iter().map(bell).sum::<f64>() as f32
    })
}

fn density() -> Volume {
    density_of_atoms(&atoms(), WIDTH, 60, 0.4)
}

#[test]
fn projections_match_the_integrals_of_gaussian_atoms() {
    let poses = shifted(6);
    // as wide as the density; wider and finer; narrower than the particle, odd
    for (size, pixel_size) in [(None, None), (Some(130), Some(0.25)), (Some(31), Some(0.4))] {
        let options = ProjectOptions { size, pixel_size, low_pass: None };
        let images = volume::project(&density(), &poses, &options, &Task::silent()).unwrap();
        assert_eq!((images.size(), images.pixel_size()), (size.unwrap_or(60), pixel_size.unwrap_or(0.4)));
        let expected = direct(&poses, images.size(), images.pixel_size());
        let highest = expected.iter().copied().fold(0.0f32, f32::max);
        let off = (images.data() - &expected).iter().map(|d| d.abs()).fold(0.0f32, f32::max);
        assert!(off < 0.01 * highest, "{size:?} {pixel_size:?}: {off} of {highest}");
    }
}

#[test]
fn low_passed_projections_hold_no_finer_frequencies() {
    let poses = shifted(2);
    let to = |low_pass| {
        // so wide that the slices are read on the grid of the image itself
        let options = ProjectOptions { low_pass, size: Some(200), ..ProjectOptions::default() };
        volume::project(&density(), &poses, &options, &Task::silent()).unwrap()
    };
    let (fine, coarse) = (to(None), to(Some(3.0)));
    let compare = ReprojectOptions { low_pass: Some(3.0) };
    let reprojector = orient::Reprojector::new(&Stack::of_images(&fine), &density(), &poses, &compare).unwrap();
    for (i, pose) in poses.as_slice().iter().enumerate() {
        let filtered = reprojector.compare(fine.data().index_axis(Axis(0), i), pose).image;
        let most = |images: &Images| {
            let off = &filtered - &images.data().index_axis(Axis(0), i);
            off.iter().map(|d| d.abs()).fold(0.0f32, f32::max)
        };
        assert!(most(&coarse) < 1e-4 && most(&fine) > 0.1, "{} {}", most(&coarse), most(&fine));
    }
}

/// Noisy images of the atoms.
fn noisy(poses: &Poses, noise: f64) -> Images {
    let mut data = direct(poses, 64, 0.4);
    for (i, mut image) in data.axis_iter_mut(Axis(0)).enumerate() {
        let mut rng = random::stream(14, "views test noise", i as u64);
        image.mapv_inplace(|value| value + (noise * rng.sample::<f64, _>(StandardNormal)) as f32);
    }
    Images::new(data, 0.4)
}

#[test]
fn correlation_is_high_at_the_right_pose_and_falls_with_noise_and_wrong_poses() {
    let poses = shifted(12);
    let correlations = |noise, poses: &Poses| {
        let images = noisy(&shifted(12), noise);
        let options = ReprojectOptions { low_pass: Some(2.0) };
        orient::correlations(&Stack::of_images(&images), &density(), poses, &options, &Task::silent()).unwrap()
    };
    assert!(correlations(0.0, &poses).iter().all(|cc| *cc > 0.999));
    let noise = 1.0;
    let found = correlations(noise, &poses);
    // white noise that passes the limit: π·(0.4/2)² of its variance
    let kept = std::f64::consts::PI * (0.4f64 / 2.0).powi(2) * noise * noise;
    let images = noisy(&poses, 0.0);
    let expected = images.data().axis_iter(Axis(0)).map(|signal| {
        let mean = signal.iter().map(|v| f64::from(*v)).sum::<f64>() / 4096.0;
        let variance = signal.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 4096.0;
        (variance / (variance + kept)).sqrt()
    });
    let (found, expected) = (found.iter().sum::<f64>() / 12.0, expected.sum::<f64>() / 12.0);
    // some 500 independent coefficients in each of 12 images
    assert!((found - expected).abs() < 0.04, "{found:.3}, expected {expected:.3}");
    let shuffled = poses.select(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]);
    let wrong = correlations(0.0, &shuffled);
    assert!(wrong.iter().sum::<f64>() / 12.0 < 0.8, "{wrong:?}");
}

#[test]
fn the_coverage_map_shows_where_nobody_looks() {
    let poses = grid(20_000, Layout::Spiral, false);
    let some: Vec<usize> = (0..20_000).filter(|&i| poses.as_slice()[i].viewing_direction().x.abs() < 0.9).collect();
    let grey = |figure: &Figure| figure.pixels().chunks(3).filter(|pixel| **pixel == [222, 222, 222]).count();
    let whole = plot::coverage(&poses, &CoverageOptions::default()).unwrap();
    keep(&plot::coverage(&orient::random_poses(5000, 3), &CoverageOptions::default()).unwrap(), "coverage.png");
    let holed = plot::coverage(&poses.select(&some), &CoverageOptions::default()).unwrap();
    keep(&holed, "coverage_hole.png");
    // two caps of 1 − 0.9 of a half sphere, half of each on each map of radius 330, less the patches on their edges
    let foretold = 2.0 * 0.1 * std::f64::consts::PI * 330.0 * 330.0;
    let found = grey(&holed) as f64 - grey(&whole) as f64;
    assert!((0.75..1.02).contains(&(found / foretold)), "{found} grey pixels, not {foretold}");
    let folded = CoverageOptions { fold: true, ..CoverageOptions::default() };
    keep(&plot::coverage(&orient::random_poses(300, 1), &folded).unwrap(), "coverage_fold.png");
    assert!(plot::coverage(&Poses::unscored(vec![]), &folded).is_err());
    let too_many = CoverageOptions { patches: 9999, ..CoverageOptions::default() };
    assert!(plot::coverage(&poses, &too_many).unwrap_err().to_string().contains("at most 5000"));
}

#[test]
fn reprojections_are_drawn_from_the_best_image_to_the_worst() {
    let poses = shifted(40);
    let images = noisy(&poses, 0.6);
    let options = ReprojectionsOptions { diameter: Some(20.0), ..ReprojectionsOptions::default() };
    let figure =
        plot::reprojections(&Stack::of_images(&images), &density(), &poses, &options, &Task::silent()).unwrap();
    keep(&figure, "reprojections.png");
    assert_eq!(figure.title(), "Images and density to 2 Å, by correlation");
    let draw = |options: &ReprojectionsOptions, poses: &Poses| {
        plot::reprojections(&Stack::of_images(&images), &density(), poses, options, &Task::silent())
            .unwrap_err()
            .to_string()
    };
    assert!(draw(&options, &shifted(3)).contains("40 images but 3 poses"));
    let fine = ReprojectionsOptions { low_pass: Some(0.5), ..options.clone() };
    assert!(draw(&fine, &poses).contains("0.5 Å"));
    let thin = ReprojectionsOptions { diameter: Some(-1.0), ..options };
    assert!(draw(&thin, &poses).contains("diameter is -1"));
}

#[test]
fn a_script_takes_poses_apart_and_puts_them_together() {
    let script = r#"
        let poses = orient::random(5, 1);
        let again = orient::from_quaternions(poses.quaternions(), [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9.5]]);
        print(again.quaternions() == poses.quaternions());
        print(again.select([4, 0]).shifts());
        print(poses.select([]).len());
        print(again.replaced([1, 3], again.select([4, 0])).shifts());
        let euler = orient::from_quaternions([[1, 0, 0, 0], [0, 1, 0, 0]]).euler();
        print(euler);
        print(orient::from_quaternions([[1, 0, 0, 0]]).views());
        let rad = 3.14159265358979 / 180;
        let worst = 0.0;
        for i in 0..5 {
            let [a, v] = [poses.euler()[i], poses.views()[i]];
            worst = max(worst, abs(v[0] - (a[1] * rad).sin() * (a[0] * rad).cos()));
            worst = max(worst, abs(v[1] - (a[1] * rad).sin() * (a[0] * rad).sin()));
            worst = max(worst, abs(v[2] - (a[1] * rad).cos()));
        }
        print(worst < 1e-9);
        poses.save("p.star");
        print(orient::errors(store::poses("p.star"), poses).median < 1e-5);
        again.save("p.star", #{ images: "s.mrcs", pixel_size: 0.25 });
        print(store::poses("p.star", #{ pixel_size: 0.5 }).shifts()[4]);
        print(orient::directions(7, #{ layout: "equal_area", half: false }).len());
        print(orient::coverage(orient::directions(1000)).largest_gap < 4);
    "#
    .replace(
        "let [a, v] = [poses.euler()[i], poses.views()[i]];",
        "let a = poses.euler()[i]; let v = poses.views()[i];",
    );
    let run = run_script(&script, &[]);
    let expected = [
        "true",
        "[[8.0, 9.5], [0.0, 1.0]]",
        "0",
        "[[0.0, 1.0], [8.0, 9.5], [4.0, 5.0], [0.0, 1.0], [8.0, 9.5]]",
        "[[0.0, 0.0, 0.0], [0.0, 180.0, 180.0]]",
        "[[0.0, 0.0, 1.0]]",
        "true",
        "true",
        "[8.0, 9.5]",
        "7",
        "true",
    ];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected, "{}", run.stderr);
}

#[test]
fn a_search_takes_either_layout_and_finds_the_poses() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{ method: "kinematic", n: 30, size: 100, seed: 2 }).invert();
        let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
        let density = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 }).volume;
        let found = [];
        for layout in ["spiral", "equal_area"] {
            let poses = orient::search(particles, density, #{ low_pass: 1.7, directions: 600, layout: layout });
            print(orient::errors(poses, images.true_poses()).median < 3);
            found.push(poses.views());
        }
        print(found[0] == found[1]);
    "#;
    let run = run_script(script, &[]);
    assert_eq!(run.stdout, "true\ntrue\nfalse\n", "{}", run.stderr);
}

#[test]
fn mistakes_with_poses_are_explained() {
    for (call, message) in [
        ("orient::from_quaternions([[1, 1, 0, 0]]);", "pose 0: the quaternion (1, 1, 0, 0) has the length 1.41"),
        ("orient::from_quaternions([[1, 0, 0]]);", "quaternion 0 must be an array of 4 numbers"),
        ("orient::from_quaternions([[1, 0, 0, 0]], []);", "1 quaternions, but 0 shifts"),
        ("orient::random(3, 1).select([3]);", "there is no pose 3: there are 3, counted from 0"),
        (
            "orient::random(3, 1).replaced([3], orient::random(1, 1));",
            "there is no pose 3: there are 3, counted from 0",
        ),
        ("orient::random(3, 1).replaced([0, 1], orient::random(1, 1));", "1 poses cannot take the places of 2"),
        ("orient::directions(0);", "the number of directions must be from 1 to 10000000, not 0"),
        ("orient::directions(9, #{ layout: \"healpix\" });", "option \"layout\""),
        ("orient::random(3, 1).save(\"p.h5\", #{ images: \"a.mrcs\" });", "options are for names that end in .star"),
        ("orient::random(3, 1).save(\"p.star\", #{ image: \"a.mrcs\" });", "did you mean \"images\"?"),
        ("orient::random(3, 1).save(\"p.star\", #{ pixel_size: 0 });", "the pixel size must be a positive number of Å"),
        ("orient::random(3, 1).save(\"p.png\");", "the name must end in .star or .h5"),
        ("store::poses(\"none.star\");", "cannot read none.star: No such file"),
        (
            "volume::project(volume::of_structure(structure::bundled(\"fept_1.5nm\")), orient::random(1, 1), #{ size: 2 });",
            "from 4 to 8192 pixels",
        ),
    ] {
        assert_explained("// a line before", call, message);
    }
}

/// The line `call` after those `before` it ends the script with exit status 1, a message, and its place.
fn assert_explained(before: &str, call: &str, message: &str) {
    let run = run_script(&format!("{before}\n{call};"), &[]);
    let place = format!("script.rhai:{}:", before.lines().count() + 1);
    assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
    assert!(run.stderr.contains(message) && run.stderr.contains(&place), "{call}: {}", run.stderr);
}

#[test]
fn absurd_options_of_searches_are_refused_before_they_take_the_computer() {
    let before = r#"
        let truth = structure::bundled("fept_1.5nm");
        let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 20, size: 100, seed: 1 }).invert();
        let particles = images.prepare(#{ diameter: 15, low_pass: 3 });
        let poses = images.true_poses();
        let density = volume::reconstruct(particles, poses, #{ low_pass: 3 }).volume;
    "#;
    for (call, message) in [
        ("orient::search(particles, density, #{ low_pass: 3, directions: 1000000000 })", "at most 1000000"),
        (
            "orient::search(particles, density, #{ low_pass: 3, max_shift: 1e6 })",
            "at most half the width of the images",
        ),
        (
            "orient::search(particles, density, #{ low_pass: 3, max_shift: 2, shift_step: 1e-6 })",
            "a hundredth of max_shift",
        ),
        ("orient::candidates(particles, density, #{ low_pass: 3, count: 9223372036854775807 })", "from 1 to 1000"),
        ("orient::ab_initio(particles, #{ low_pass: 4, starts: 9223372036854775807 })", "from 1 to 1000"),
        ("orient::ab_initio(particles, #{ low_pass: 4, iterations: 9223372036854775807 })", "from 1 to 100000"),
        ("orient::ab_initio(particles, #{ low_pass: 4, first_spread: 5 })", "at most 1"),
        ("orient::refine(particles, [density], poses, #{ low_pass: 3, steps: 9223372036854775807 })", "at most 1000"),
        ("orient::agreement(poses, density, poses, density, #{ low_pass: 15 })", "finer than 10 Å"),
    ] {
        assert_explained(before, call, message);
    }
}

#[test]
fn frequencies_that_no_image_shows_leave_a_doubt_that_atoms_do_not_lift() {
    let script = r#"
        import "verdict" as verdict;
        let poses = orient::random(3000, 1);
        let near = [];
        for (view, i) in poses.views() { if view[2].abs() > 0.87 { near.push(i); } }
        for some in [poses.select(near), poses] {
            let coverage = orient::coverage(some);
            // all else speaks for it, even the directions, chosen anew
            let same = #{ density: 0.98, poses: 0.99, mirrored: false };
            let run = #{ unexplained: 0.05, score: 900.0, agreement: same, retold: same, coverage: coverage };
            run += verdict::of_run(run);
            print(`${coverage.missing_cone > 15.0} ${run.verdict} ${verdict::of_atoms(run, #{ unexplained: 0.0, weights: [1.0] }).verdict}`);
        }
    "#;
    let run = run_script(script, &[]);
    assert_eq!(run.stdout, "true doubtful doubtful\nfalse converged converged\n", "{}", run.stderr);
}
