//! Orientation search, refinement and reconstruction against images from an independent real-space projector.

use nalgebra::{Point3, UnitQuaternion, Vector2, Vector3};
use ndarray::{Array3, Axis};
use pedesis::images::{Images, Particles, PrepareOptions};
use pedesis::orient::{self, AbInitioOptions, CandidateOptions, Method, RefineOptions, SearchOptions};
use pedesis::pose::{Pose, Poses};
use pedesis::random;
use pedesis::task::Task;
use pedesis::volume::{self, Fsc, ReconstructOptions};
use rand::RngExt;
use rand_distr::StandardNormal;

const PIXEL: f64 = 0.5;
const SIZE: usize = 64;
const WIDTH: f64 = 0.6;
const DIAMETER: f64 = 16.0;

/// Forty Gaussian atoms of different weight, without symmetry.
fn atoms() -> Vec<(Point3<f64>, f64)> {
    let mut rng = random::stream(11, "orient test atoms", 0);
    let mut atoms: Vec<(Point3<f64>, f64)> = Vec::new();
    while atoms.len() < 40 {
        let place = Point3::from(Vector3::from_fn(|_, _| rng.random_range(-7.5..7.5)));
        let apart = atoms.iter().all(|(other, _)| (other - place).norm() > 2.2);
        if place.coords.norm() < 7.5 && apart {
            atoms.push((place, rng.random_range(0.5..1.5)));
        }
    }
    atoms
}

/// Projections of the atoms: R·r + shift, integrated along z, with white noise.
fn project(poses: &Poses, noise: f64) -> Images {
    project_by_height(poses, noise, 0.0)
}

/// The same, of atoms whose weight grows by `depth` an Å of height along the beam.
fn project_by_height(poses: &Poses, noise: f64, depth: f64) -> Images {
    let (atoms, centre) = (atoms(), (SIZE / 2) as f64);
    let mut data = Array3::<f32>::zeros((poses.len(), SIZE, SIZE));
    for (i, pose) in poses.as_slice().iter().enumerate() {
        let mut rng = random::stream(5, "orient test noise", i as u64);
        let seen = |(place, weight): &(Point3<f64>, f64)| {
            let place = pose.rotation * place;
            (place, weight * (1.0 + depth * place.z))
        };
        let places: Vec<_> = atoms.iter().map(seen).collect();
        for y in 0..SIZE {
            for x in 0..SIZE {
                let at = Vector2::new(x as f64 - centre, y as f64 - centre) * PIXEL - pose.shift;
                let sum: f64 = places
                    .iter()
                    .map(|(p, weight)| weight * (-(at - p.xy().coords).norm_squared() / (2.0 * WIDTH * WIDTH)).exp())
                    .sum();
                data[[i, y, x]] = (sum + noise * rng.sample::<f64, _>(StandardNormal)) as f32;
            }
        }
    }
    Images::new(data, PIXEL)
}

fn shifted_poses(count: usize, max_shift: f64) -> Poses {
    let random = orient::random_poses(count, 21);
    let poses = random.as_slice().iter().enumerate().map(|(i, pose)| {
        let mut rng = random::stream(22, "orient test shifts", i as u64);
        Pose { shift: Vector2::from_fn(|_, _| rng.random_range(-max_shift..=max_shift)), ..*pose }
    });
    Poses::unscored(poses.collect())
}

fn prepare(images: &Images) -> Particles {
    let options = PrepareOptions { diameter: DIAMETER, low_pass: 1.5, ..PrepareOptions::default() };
    Particles::prepare(images, &options, &Task::silent()).unwrap()
}

fn reconstruct(particles: &Particles, poses: &Poses, low_pass: f64) -> volume::Reconstruction {
    let options = ReconstructOptions { low_pass, ..ReconstructOptions::default() };
    volume::reconstruct(particles, poses, &options, &Task::silent()).unwrap()
}

#[test]
fn known_poses_give_the_density_back() {
    let poses = shifted_poses(400, 0.6);
    let particles = prepare(&project(&poses, 0.02));
    let map = reconstruct(&particles, &poses, 2.0).volume;
    let truth = volume::density_of_atoms(&atoms(), WIDTH, map.size(), map.pixel_size());
    let fsc = Fsc::between(&map, &truth).unwrap();
    for (s, correlation) in fsc.frequencies.iter().zip(&fsc.correlations) {
        if (0.08..0.48).contains(s) {
            assert!(*correlation > 0.98, "at {s:.2}/Å: {correlation:.3}");
        }
    }
}

#[test]
fn search_and_refinement_find_the_poses_again() {
    let truth = shifted_poses(60, 0.6);
    let particles = prepare(&project(&truth, 0.3));
    let density = volume::density_of_atoms(&atoms(), WIDTH, 64, particles.edge() / 64.0);
    let density = orient::match_power(&particles, &density, 2.0, &Task::silent()).unwrap();
    let options = SearchOptions { low_pass: 2.5, max_shift: 0.5, ..SearchOptions::default() };
    let found = orient::search(&particles, &density, &options, &Task::silent()).unwrap();
    let coarse = orient::evaluate(&found, &truth, &[]);
    assert!(coarse.within(12.0) > 0.98, "search: {} within 12°", coarse.within(12.0));
    assert!(!coarse.mirrored);

    let options = RefineOptions { low_pass: 2.0, steps: 10, ..RefineOptions::default() };
    let refined = orient::refine(&particles, &[density], &found, &options, &Task::silent()).unwrap().poses;
    let fine = orient::evaluate(&refined, &truth, &[]);
    assert!(fine.median() < 0.6, "refined: median {:.2}°", fine.median());
    let worst =
        refined.as_slice().iter().zip(truth.as_slice()).filter(|(a, b)| (a.shift - b.shift).norm() > 0.1).count();
    assert!(worst <= 2, "{worst} shifts are off by more than 0.1 Å");
}

#[test]
fn a_mirrored_particle_fits_as_well_in_the_other_hand() {
    let truth = shifted_poses(20, 0.0);
    let half_turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI);
    let other = truth.as_slice().iter().map(|pose| Pose { rotation: half_turn * pose.rotation, ..*pose }).collect();
    let errors = orient::evaluate(&Poses::unscored(other), &truth, &[]);
    assert!(errors.mirrored && errors.median() < 1e-6);
}

#[test]
fn a_random_start_finds_an_asymmetric_particle() {
    let truth = shifted_poses(300, 0.3);
    let particles = prepare(&project(&truth, 0.5));
    let found = |method| {
        let options =
            AbInitioOptions { low_pass: 3.5, method, starts: 2, iterations: 60, ..AbInitioOptions::default() };
        let mut found = orient::ab_initio(&particles, &options, &Task::silent()).unwrap();
        let best = found.starts.swap_remove(0);
        let known = Poses::unscored(found.images.iter().map(|&i| truth.as_slice()[i]).collect());
        orient::evaluate(&best.poses, &known, &[]).within(15.0)
    };
    for method in [Method::Annealing, Method::HillClimbing] {
        let right = found(method);
        assert!(right > 0.9, "{method:?}: {right} within 15°");
    }
}

#[test]
fn limits_that_images_or_densities_do_not_carry_are_refused() {
    let particles = prepare(&project(&shifted_poses(4, 0.0), 0.1));
    let density = volume::density_of_atoms(&atoms(), WIDTH, 32, particles.edge() / 32.0);
    let search = |low_pass| {
        let options = SearchOptions { low_pass, ..SearchOptions::default() };
        orient::search(&particles, &density, &options, &Task::silent()).unwrap_err().to_string()
    };
    assert!(search(0.5).contains("finer than these particles"));
    assert!(search(1.3).contains("finer than this density"), "{}", search(1.3));
    assert!(search(f64::NAN).contains("NaN"));
    let few = AbInitioOptions::default();
    let error = orient::ab_initio(&particles, &few, &Task::silent()).unwrap_err().to_string();
    assert!(error.contains("not from 4"), "{error}");
}

#[test]
fn candidates_are_apart_and_the_first_is_what_a_search_finds() {
    let truth = shifted_poses(40, 0.0);
    let particles = prepare(&project(&truth, 0.2));
    let density = reconstruct(&particles, &truth, 2.5).volume;
    let task = Task::silent();
    // so many directions that matches are thrown away on the way
    let directions = 1000;
    let options = CandidateOptions { low_pass: 2.5, directions, count: 4, apart: 20.0, ..CandidateOptions::default() };
    let ranks = orient::candidates(&particles, &density, &options, &task).unwrap();
    let search = SearchOptions { low_pass: 2.5, directions, ..SearchOptions::default() };
    let found = orient::search(&particles, &density, &search, &task).unwrap();
    // of so many poses an image that all matches are kept
    let many = orient::candidates(&particles, &density, &CandidateOptions { count: 100, ..options }, &task).unwrap();
    assert_eq!(ranks.len(), 4);
    for image in 0..particles.len() {
        let pose = |rank: usize| ranks[rank].as_slice()[image].rotation;
        assert_eq!(pose(0), found.as_slice()[image].rotation, "image {image}");
        for (rank, poses) in many.iter().take(4).enumerate() {
            assert_eq!(pose(rank), poses.as_slice()[image].rotation, "image {image}, rank {rank}");
        }
        for (a, b) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            assert!(pose(a).angle_to(&pose(b)).to_degrees() >= 20.0, "image {image}: ranks {a} and {b}");
            assert!(ranks[a].scores()[image] >= ranks[b].scores()[image], "image {image}: ranks {a} and {b}");
        }
    }
}

#[test]
fn contrasts_are_found_and_outliers_lose_their_weight() {
    let truth = shifted_poses(60, 0.0);
    let particles = prepare(&project(&truth, 0.2));
    let density = reconstruct(&particles, &truth, 2.0).volume;
    let mut data = particles.data().clone();
    data.index_axis_mut(Axis(0), 7).mapv_inplace(|value| 1.4 * value);
    let mut poses = truth.as_slice().to_vec();
    poses[9] = poses[30];
    let options = RefineOptions { low_pass: 2.0, steps: 0, scales: true, ..RefineOptions::default() };
    let scored = Poses::unscored(poses);
    let refined = orient::refine(&particles.with_data(data), &[density], &scored, &options, &Task::silent()).unwrap();
    assert!((refined.scales[7] - 1.4).abs() < 0.05, "{}", refined.scales[7]);
    assert!(refined.weights[9] < 0.1, "{}", refined.weights[9]);
    let kept = (0..60).filter(|&image| image != 9 && image != 7).all(|image| refined.weights[image] > 0.5);
    assert!(kept, "{:?}", refined.weights);
}

#[test]
fn copies_of_an_image_take_no_weight_from_the_others() {
    let truth = shifted_poses(24, 0.0);
    let copied: Vec<usize> = (0..24).map(|image| if image < 14 { 0 } else { image }).collect();
    let particles = prepare(&project(&truth, 0.2)).select(&copied);
    let poses = truth.select(&copied);
    let density = volume::density_of_atoms(&atoms(), WIDTH, 64, particles.edge() / 64.0);
    let options = RefineOptions { low_pass: 2.0, steps: 0, ..RefineOptions::default() };
    let refined = orient::refine(&particles, &[density], &poses, &options, &Task::silent()).unwrap();
    assert!(refined.weights.iter().all(|&weight| weight > 0.0), "{:?}", refined.weights);
}

#[test]
fn the_change_of_intensity_along_the_beam_is_found_and_explained() {
    let poses = orient::random_poses(150, 8);
    let particles = prepare(&project_by_height(&poses, 0.3, 0.04));
    let density = reconstruct(&particles, &poses, 2.0).volume;
    let refined = |depth| {
        let options = RefineOptions { steps: 0, depth, ..RefineOptions::default() };
        orient::refine(&particles, std::slice::from_ref(&density), &poses, &options, &Task::silent()).unwrap()
    };
    let (found, without) = (refined(None), refined(Some(0.0)));
    assert!((found.depth - 0.04).abs() < 0.006, "{}", found.depth);
    assert!(found.unexplained < 0.6 * without.unexplained, "{} {}", found.unexplained, without.unexplained);
    // of the other hand it is the other way round
    let half_turn = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI);
    let turned = |pose: &Pose| Pose { rotation: half_turn * pose.rotation, ..*pose };
    let other = Poses::unscored(poses.as_slice().iter().map(turned).collect());
    let inverted = reconstruct(&particles, &other, 2.0).volume;
    let options = RefineOptions { steps: 0, ..RefineOptions::default() };
    let of_other = orient::refine(&particles, &[inverted], &other, &options, &Task::silent()).unwrap();
    assert!((of_other.depth + 0.04).abs() < 0.006, "{}", of_other.depth);
}
