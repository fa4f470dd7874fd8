//! Figures of the atomic model, through scripts: what is drawn where, and what cannot be drawn.

mod common;

use std::path::Path;

use common::{Run, folder_with, pedesis, run_script};
use nalgebra::Point3;
use pedesis::structure::{Atom, Structure, bundled};
use tempfile::TempDir;

/// A saved figure.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn open(path: &Path) -> Self {
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels).unwrap();
        Self { width: info.width as usize, height: info.height as usize, pixels }
    }

    fn at(&self, x: f64, y: f64) -> [u8; 3] {
        let place = (y.round() as usize * self.width + x.round() as usize) * 3;
        self.pixels[place..place + 3].try_into().unwrap()
    }

    /// Number of pixels of exactly this colour in some rows and columns.
    fn count(&self, color: [u8; 3], rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> usize {
        let columns = &columns;
        rows.flat_map(|y| columns.clone().map(move |x| (x, y)))
            .filter(|&(x, y)| self.at(x as f64, y as f64) == color)
            .count()
    }
}

const BLUE: [u8; 3] = [0, 114, 178];
const ORANGE: [u8; 3] = [230, 130, 0];
const RED: [u8; 3] = [213, 0, 50];
const INK: [u8; 3] = [34, 34, 34];
/// Height of title and legend together, where the pictures begin.
const TOP: f64 = 70.0 + 48.0;

/// Runs a script in a folder that holds `atoms.xyz`; gives what it has saved and what it has printed.
fn drawn(atoms: &str, script: &str) -> (TempDir, String) {
    let folder = folder_with("atoms.xyz", atoms);
    std::fs::write(folder.path().join("script.rhai"), script).unwrap();
    let run: Run = pedesis(folder.path()).args(["run", "script.rhai"]).output().unwrap().into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    (folder, run.stdout)
}

/// An atom far from everything.
const FAR: &str = "1\n\nPt 500 0 0\n";

/// Kinematic images of a particle, reconstructed and refined: `atoms`, `particles`, `refined`, `truth`, `poses`, `map`.
const REFINED: &str = r#"
    let truth = structure::bundled("fept_1.5nm");
    let scope = microscope::paper(#{ cell_height: 50 });
    let how = #{ method: "kinematic", n: 60, size: 120, seed: 1 };
    let images = microscope::simulate(truth, scope, how).invert().normalize().add_noise(#{ snr: 0.5, seed: 1 });
    let particles = images.prepare(#{ diameter: 15, tolerance: 0, low_pass: 1.2 });
    let poses = images.true_poses();
    let map = volume::reconstruct(particles, poses, #{ low_pass: 1.2 });
    let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    let refined = model::refine(atoms, particles, poses, #{ rounds: 8 });
"#;

fn is_blue([red, _, blue]: [u8; 3]) -> bool {
    i32::from(blue) > i32::from(red) + 40
}

fn is_orange([red, _, blue]: [u8; 3]) -> bool {
    i32::from(red) > i32::from(blue) + 40
}

#[test]
fn spheres_lie_where_each_direction_shows_them_and_hide_what_is_behind() {
    let (folder, _) = drawn(
        "2\n\nPt 3 0 0\nFe -3 0 0\n",
        r#"
        let pair = store::structure("atoms.xyz");
        plot::spheres(pair, #{ radius: 1.0 }).save("spheres.png");
        plot::spheres(pair, #{ radius: 1.0, views: [[-1, 0, 0]] }).save("behind.png");
        "#,
    );
    let picture = Picture::open(&folder.path().join("spheres.png"));
    // three squares of 526 pixels, 20 apart, whose half edge is 1.1 times what the particle reaches
    let (side, reach) = (526.0, 1.1 * (3.0 + 1.0));
    let middle = |view: f64| (20.0 + view * (side + 20.0) + side / 2.0, TOP + 52.0 + side / 2.0);
    assert_eq!(picture.width, 1658);
    let off = 3.0 * side / (2.0 * reach);
    let (along_z, along_x, along_y) = (middle(0.0), middle(1.0), middle(2.0));
    assert!(is_blue(picture.at(along_z.0 + off, along_z.1)), "x is to the right, seen along z");
    assert!(is_orange(picture.at(along_z.0 - off, along_z.1)));
    assert!(is_blue(picture.at(along_x.0, along_x.1)), "Pt is nearer, seen along x");
    assert!(is_blue(picture.at(along_y.0 - off, along_y.1)), "x is to the left, seen along y");
    assert!(is_orange(picture.at(along_y.0 + off, along_y.1)));
    for place in [along_z, along_y] {
        assert_eq!(picture.at(place.0, place.1), [255; 3], "nothing is between the two");
    }
    // a sphere is as large as its radius says
    let rim = side / (2.0 * reach);
    assert!(is_blue(picture.at(along_z.0 + off, along_z.1 - 0.9 * rim)));
    assert_eq!(picture.at(along_z.0 + off, along_z.1 - 1.1 * rim), [255; 3]);
    let behind = Picture::open(&folder.path().join("behind.png"));
    assert!(is_orange(behind.at(behind.width as f64 / 2.0, TOP + 52.0 + 450.0)), "Fe is nearer, seen from −x");
}

#[test]
fn spheres_mark_what_the_truth_has_otherwise() {
    // one atom away, one of another element, one more outside
    let mut atoms = bundled("fept_1.5nm").unwrap().atoms()[1..].to_vec();
    atoms[0].element = if atoms[0].element.symbol() == "Fe" { "Pt" } else { "Fe" }.parse().unwrap();
    atoms.push(Atom { position: Point3::new(0.0, 0.0, 12.0), ..atoms[1] });
    let (folder, _) = drawn(
        &Structure::new("faulty", atoms).to_xyz(),
        r#"
        let truth = structure::bundled("fept_1.5nm");
        let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
        plot::spheres(atoms, #{ truth: truth }).save("right.png");
        plot::spheres(store::structure("atoms.xyz"), #{ truth: truth }).save("wrong.png");
        "#,
    );
    let right = Picture::open(&folder.path().join("right.png"));
    assert_eq!(right.count(RED, 0..right.height, 0..right.width), 0);
    let wrong = Picture::open(&folder.path().join("wrong.png"));
    let half = 118 + 52 + 526;
    let (found, missing) =
        (wrong.count(RED, 118..half, 0..wrong.width), wrong.count(RED, half..wrong.height, 0..wrong.width));
    // three views: a ring about the wrong element and a square about the extra atom above, a cross below
    assert!(found > 3 * 400, "{found}");
    assert!((3 * 100..found).contains(&missing), "{missing}");
}

#[test]
fn atoms_are_ringed_in_the_slice_that_they_lie_in() {
    let (folder, _) = drawn(
        "2\n\nPt 3 1 2\nFe -2 -3 -2\n",
        r#"
        let pair = store::structure("atoms.xyz");
        plot::atoms_in_density(volume::of_structure(pair, #{ edge: 24 }), pair, #{ planes: 2 }).save("z.png");
        plot::atoms_in_density(volume::of_structure(pair, #{ edge: 24 }), pair, #{ axis: "x", at: [3] }).save("x.png");
        "#,
    );
    let picture = Picture::open(&folder.path().join("z.png"));
    // two squares of 701 pixels, that hold 27 voxels of 0.4 Å; the lower slice first
    let (side, edge) = (701.0, 27.0 * 0.4);
    let scale = side / edge;
    let place = |tile: f64, right: f64, up: f64| {
        (8.0 + tile * (side + 16.0) + (right + edge / 2.0) * scale, TOP + 48.0 + side - (up + edge / 2.0) * scale)
    };
    let ring = |picture: &Picture, color, (x, y): (f64, f64)| {
        let (x, y, reach) = (x as usize, y as usize, (0.75 * scale) as usize);
        picture.count(color, y - reach..y + reach, x - reach..x + reach)
    };
    let (iron, platinum) = (place(0.0, -2.0, -3.0), place(1.0, 3.0, 1.0));
    let whole = 2.0 * std::f64::consts::PI * 0.6 * scale * 3.0;
    assert!(ring(&picture, ORANGE, iron) as f64 > 0.5 * whole);
    assert!(ring(&picture, BLUE, platinum) as f64 > 0.5 * whole);
    assert!(picture.at(platinum.0, platinum.1)[0] > 230, "the density is bright in the ring");
    assert!(
        picture.at(place(0.0, 3.0, 1.0).0, place(0.0, 3.0, 1.0).1)[0] < 30,
        "the atom of the other slice does not show"
    );
    let below = 118 + 48;
    assert_eq!(picture.count(BLUE, below..picture.height, 0..720), 0, "nor is it ringed");
    // across x: y to the right, z up; one slice alone is 720 pixels wide
    let picture = Picture::open(&folder.path().join("x.png"));
    let (side, left) = (720.0, f64::from((1600 - 150 - 736) / 2));
    let scale = side / edge;
    let center = (left + (1.0 + edge / 2.0) * scale, TOP + 48.0 + side - (2.0 + edge / 2.0) * scale);
    let (x, y, reach) = (center.0 as usize, center.1 as usize, (0.75 * scale) as usize);
    assert!(picture.count(BLUE, y - reach..y + reach, x - reach..x + reach) > 300);
    assert_eq!(picture.count(ORANGE, below..picture.height, 0..picture.width), 0);
}

#[test]
fn doubtful_elements_have_a_dark_edge() {
    let (folder, _) = drawn(
        FAR,
        r#"
        let truth = structure::fcc(["Pd", "Pt"], 3.9).sphere(15);
        let how = #{ method: "kinematic", n: 40, size: 120, seed: 3 };
        let draw = |snr, name| {
            let images = microscope::simulate(truth, microscope::paper(), how).invert().normalize().add_noise(#{ snr: snr, seed: 3 });
            let particles = images.prepare(#{ diameter: 15, low_pass: 1.2 });
            let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.2 });
            let atoms = model::trace(map.volume, #{ species: ["Pd", "Pt"] });
            plot::radial_intensity(atoms).save(name + ".png");
            print(atoms.columns().probability.filter(|p| p < 0.9).len());
        };
        draw.call(1.0, "sure");
        draw.call(0.05, "doubtful");
        "#,
    );
    let [sure, doubtful] = ["sure.png", "doubtful.png"].map(|name| Picture::open(&folder.path().join(name)));
    // inside the plot, without legend, axes and colour bars
    let edges = |picture: &Picture| picture.count(INK, 150..880, 150..1350);
    assert_eq!(edges(&sure), 0);
    assert!(edges(&doubtful) > 1000, "{}", edges(&doubtful));
}

/// Numbers that a script prints.
fn numbers(script: &str) -> Vec<f64> {
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn predicted_images_are_those_without_noise() {
    let script = String::from(REFINED)
        + r#"
        // the same images almost without noise: what the prediction is to be
        let clean = microscope::simulate(truth, scope, how).invert().normalize().add_noise(#{ snr: 1000, seed: 2 })
            .prepare(#{ diameter: 15, tolerance: 0, low_pass: 1.2 });
        let shown = model::predicted(refined, particles, #{ images: [3, 40] });
        let all = model::predicted(refined, particles);
        shown.predicted.save("predicted.mrcs");
        shown.observed.save("observed.mrcs");
        model::predicted(refined, clean, #{ images: [3, 40] }).observed.save("clean.mrcs");
        print(shown.noise);
        for i in [3, 40] { print(shown.chi2[i]); print(refined.residuals[i]); }
        let last = shown.frequencies.len() - 1;
        print(shown.frequencies[last] * refined.low_pass);
        print(all.predicted.len());
        "#;
    let (folder, printed) = drawn(FAR, &script);
    let printed: Vec<f64> = printed.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [noise, chi_3, refined_3, chi_40, refined_40, last, count] = printed[..] else { panic!("{printed:?}") };
    let stack = |name: &str| mrc_pixels(&folder.path().join(name));
    let (predicted, observed, clean) = (stack("predicted.mrcs"), stack("observed.mrcs"), stack("clean.mrcs"));
    assert_eq!(count, 60.0);
    assert!((0.9..=1.0 + 1e-6).contains(&last), "{last}");
    let half = predicted.len() / 2;
    for (i, chi2, refined) in [(0, chi_3, refined_3), (1, chi_40, refined_40)] {
        let of = |stack: &[f64]| stack[i * half..(i + 1) * half].to_vec();
        let (predicted, observed, clean) = (of(&predicted), of(&observed), of(&clean));
        let (before, after) = (correlation(&observed, &clean), correlation(&predicted, &clean));
        assert!(after > 0.985 && after > before + 0.01, "{before} {after}");
        // Parseval: the noise is white
        let square: f64 = predicted.iter().zip(&observed).map(|(p, o)| (p - o) * (p - o)).sum();
        let in_noise = square / half as f64 / (noise * noise);
        assert!((in_noise / chi2 - 1.0).abs() < 0.05, "{in_noise} {chi2}");
        assert!((chi2 / refined - 1.0).abs() < 0.01, "{chi2} {refined}");
    }
}

/// Pixels of an MRC file in 32-bit floats.
fn mrc_pixels(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    bytes[1024..].chunks_exact(4).map(|value| f64::from(f32::from_le_bytes(value.try_into().unwrap()))).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn residuals_show_a_wrong_pose_and_pulls_a_bell() {
    let script = String::from(REFINED)
        + r#"
        plot::residuals(particles, refined, #{ images: [7] }).save("right.png");
        // the pose of another image
        let quaternions = refined.poses.quaternions();
        quaternions[7] = quaternions[8];
        let wrong = refined + #{ poses: orient::from_quaternions(quaternions, refined.poses.shifts()) };
        plot::residuals(particles, wrong, #{ images: [7] }).save("wrong.png");
        plot::residuals(particles, wrong).save("three.png");
        plot::pulls([refined.atoms, refined.atoms], truth).save("pulls.png");
        print(model::predicted(wrong, particles, #{ images: [7] }).chi2[7] / refined.residuals[7]);
        "#;
    let (folder, _) = drawn(FAR, &script);
    let open = |name: &str| Picture::open(&folder.path().join(name));
    let [right, wrong, three] = ["right.png", "wrong.png", "three.png"].map(open);
    assert_eq!((right.width, right.height), (1600, wrong.height));
    assert!(three.height > right.height + 600);
    // the third column: full colours, which noise does not have
    let full = |picture: &Picture| {
        let tile = 130..470;
        picture.count([200, 70, 0], tile.clone(), 1100..1430) + picture.count([0, 90, 170], tile, 1100..1430)
    };
    assert!(full(&right) < 50 && full(&wrong) > 1000, "{} {}", full(&right), full(&wrong));
    let pulls = open("pulls.png");
    assert!(pulls.count(BLUE, 120..880, 0..1600) > 50_000);
}

/// Uncertainties that are those of a particle at rest: with so few atoms the motion that lays them on the true ones would show by 9 %.
#[test]
fn pulls_of_few_atoms_have_a_standard_deviation_of_one() {
    let result = numbers(
        r#"
        let truth = structure::fcc(["Pt"], 3.92).sphere(7);
        let sum = 0.0;
        let square = 0.0;
        let count = 0;
        let by_hand = 0.0;
        for seed in 1..=40 {
            let images = microscope::simulate(truth, microscope::paper(#{ cell_height: 50 }), #{
                method: "kinematic", n: 60, size: 80, seed: seed,
            }).invert().normalize().add_noise(#{ snr: 0.5, seed: seed });
            let particles = images.prepare(#{ diameter: 9, tolerance: 0 });
            let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1 });
            let atoms = model::refine(model::trace(map.volume, #{ species: ["Pt"] }), particles, images.true_poses(), #{}).atoms;
            let pulls = atoms.pulls(truth);
            for pull in pulls { sum += pull; square += pull * pull; }
            count += pulls.len();
            let sigma = atoms.columns().sigma_A;
            let mean = 0.0;
            for value in sigma { mean += value * value / sigma.len(); }
            let rmsd = atoms.compare(truth).rmsd_pm / 100;
            by_hand += rmsd * rmsd / (3 * mean) / 40;
        }
        print(`${count} ${sum / count} ${(square / count).sqrt()} ${by_hand.sqrt()}`);
        "#,
    );
    let [count, mean, deviation, by_hand] = result[..] else { panic!("{result:?}") };
    assert_eq!(count, 40.0 * 39.0);
    // errors of the mean and of the standard deviation: 0.025 and 0.018
    assert!(mean.abs() < 0.08, "{result:?}");
    assert!((deviation - 1.0).abs() < 0.055, "{result:?}");
    assert!((deviation / by_hand - 1.0).abs() < 0.05, "{result:?}");
}

#[test]
fn what_cannot_be_drawn_is_said_in_words() {
    let cases = [
        ("plot::spheres(truth, #{ views: [] })", "the number of views is 0; it must be from 1 to 6"),
        ("plot::spheres(truth, #{ views: [[0, 0, 0]] })", "the length of a view is 0; it must be that of a direction"),
        ("plot::spheres(truth, #{ views: [[0, 1]] })", "option \"views\": "),
        ("plot::spheres(truth, #{ radius: -1 })", "radius is -1; it must be from 0.05 to 10 Å"),
        ("plot::spheres(truth, #{ view: [[1, 0, 0]] })", "did you mean \"views\"?"),
        ("plot::spheres(truth, #{ truth: 3 })", "option \"truth\" must be a Structure"),
        (
            "plot::atoms_in_density(density, truth, #{ planes: 0 })",
            "the number of planes is 0; it must be from 1 to 24",
        ),
        (
            "plot::atoms_in_density(density, truth, #{ at: [99] })",
            "at is 99; it must be a height [Å] inside the density",
        ),
        ("plot::atoms_in_density(density, truth, #{ axis: \"w\" })", "option \"axis\": there is no \"w\""),
        ("plot::atoms_in_density(density, far)", "no atom lies within the density; are both of one reconstruction?"),
        ("plot::pulls(atoms, truth)", "124 of 124 atoms have no sigma_A, how uncertain they are; refine them first"),
        ("atoms.pulls(truth)", "refine them first (model::refine)"),
        ("plot::pulls([truth], truth)", "pulls are of refined models, as model::refine gives them, not of a Structure"),
        ("plot::pulls([], truth)", "there is nothing to draw: no pulls"),
        ("model::predicted(#{}, particles)", "the refinement has no atoms; give the map that model::refine gave"),
        (
            "model::predicted(refined, particles, #{ images: [60] })",
            "there are 60 images, numbered from 0, and none has number 60",
        ),
        (
            "plot::residuals(particles, unfit, #{ images: [60] })",
            "there are 60 images, numbered from 0, and none has number 60",
        ),
        ("model::predicted(refined, particles, #{ images: many })", "GiB of memory"),
        ("model::hand(short, scope)", "a transfer has as many even, odd and deviations as frequencies"),
        ("model::predicted(finer, particles)", "the transfers are of spatial frequencies up to 1."),
        ("plot::residuals(particles, refined, #{ count: 0 })", "the number of images is 0; it must be from 1 to 12"),
        ("plot::residuals(particles.half(0), refined)", "there are 30 images and 60 poses"),
        ("plot::residuals(other, refined)", "a transfer has "),
        (
            "plot::residuals(particles, refined + #{ transfers: [refined.transfers[0]] })",
            "there are atoms of Pt, but no transfer for them",
        ),
    ];
    let mut script = String::from(REFINED)
        + r#"
        let density = volume::of_structure(truth);
        let far = store::structure("atoms.xyz");
        let other = images.prepare(#{ diameter: 12, tolerance: 0, low_pass: 1.2 });
        let unfit = changed(refined, "even", |even| even.map(|value| 0.0 / 0.0));
        let short = changed(refined, "odd", |odd| [odd[0]]);
        let finer = changed(refined, "frequencies", |frequencies| frequencies.map(|k| 1.4 * k));
        let many = [0];
        many.pad(2000000, 0);
        fn changed(refined, name, values) {
            let transfers = refined.transfers;
            for i in 0..transfers.len() { transfers[i][name] = values.call(transfers[i][name]); }
            refined + #{ transfers: transfers }
        }
        "#;
    for (call, _) in &cases {
        script += &format!("try {{ {call}; print(\"drawn\"); }} catch (error) {{ print(error); }}\n");
    }
    let (_folder, said) = drawn(FAR, &script);
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), cases.len(), "{said:?}");
    for ((call, message), said) in cases.iter().zip(said) {
        assert!(said.contains(message), "{call}: {said}");
    }
}
