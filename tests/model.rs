//! Tracing atoms in densities whose atoms are known, and comparing structures whose relation is known.

use std::f64::consts::PI;

use nalgebra::Vector3;
use ndarray::Array3;
use pedesis::model::{self, Model, TraceOptions, Trend, TrendChoice, Variable};
use pedesis::random;
use pedesis::structure::{Atom, Element, Structure, bundled};
use pedesis::task::Task;
use pedesis::volume::Volume;
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;

fn element(symbol: &str) -> Element {
    symbol.parse().unwrap()
}

/// Density at distance r of an atom of unit weight whose transform is `transfer`, up to the frequency `limit` [1/Å]: the
/// integral of 4πk²·T(k)·sinc(2kr), tabulated every 0.01 Å up to 80 Å.
fn atom_shape(limit: f64, transfer: impl Fn(f64) -> f64) -> Vec<f64> {
    let steps = 800;
    (0..8000)
        .map(|i| {
            let r = f64::from(i) * 0.01;
            (0..steps)
                .map(|j| {
                    let k = (f64::from(j) + 0.5) / f64::from(steps) * limit;
                    let x = 2.0 * PI * k * r;
                    let sinc = if x < 1e-9 { 1.0 } else { x.sin() / x };
                    4.0 * PI * k * k * transfer(k) * sinc * limit / f64::from(steps)
                })
                .sum()
        })
        .collect()
}

/// A Gaussian of standard deviation `width` [Å] in real space, as a transform.
fn bell(width: f64) -> impl Fn(f64) -> f64 {
    move |k| (-2.0 * (PI * width * k).powi(2)).exp()
}

/// Phase contrast: low frequencies are lost, atoms have negative rings.
fn phase_contrast(width: f64) -> impl Fn(f64) -> f64 {
    move |k| bell(width)(k) * k * k / (k * k + 0.09)
}

/// Sum of the atoms' shapes on n³ voxels.
fn density(atoms: &[(Vector3<f64>, f64)], shape: &[f64], n: usize, voxel: f64) -> Array3<f32> {
    let values: Vec<f32> = (0..n * n * n)
        .into_par_iter()
        .map(|i| {
            let index = Vector3::new((i % n) as f64, (i / n % n) as f64, (i / n / n) as f64);
            let place = (index - Vector3::repeat((n / 2) as f64)) * voxel;
            let sum: f64 = atoms
                .iter()
                .map(|(position, weight)| {
                    let step = (place - position).norm() * 100.0;
                    let (j, t) = (step as usize, step.fract());
                    weight * (shape[j] * (1.0 - t) + shape[j + 1] * t)
                })
                .sum();
            sum as f32
        })
        .collect();
    Array3::from_shape_vec((n, n, n), values).unwrap()
}

/// Random points in a ball, no two nearer than `separation` [Å].
fn scattered(count: usize, radius: f64, separation: f64, seed: u64) -> Vec<Vector3<f64>> {
    let mut rng = random::stream(seed, "scatter", 0);
    let mut points: Vec<Vector3<f64>> = Vec::new();
    for _ in 0..200_000 {
        let point = Vector3::from_fn(|_, _| radius * (2.0 * rng.random::<f64>() - 1.0));
        if point.norm() < radius && points.iter().all(|other| (other - point).norm() >= separation) {
            points.push(point);
        }
        if points.len() == count {
            break;
        }
    }
    points
}

/// White noise of the given standard deviation.
fn add_noise(density: &mut Array3<f32>, deviation: f64, seed: u64) {
    let mut rng = random::stream(seed, "test noise", 0);
    density.mapv_inplace(|value| value + (deviation * rng.sample::<f64, _>(StandardNormal)) as f32);
}

fn trace(density: Array3<f32>, voxel: f64, options: &TraceOptions) -> Model {
    model::trace(&Volume::new(density, voxel), options, &Task::silent()).unwrap()
}

fn species(symbols: &[&str]) -> TraceOptions {
    TraceOptions { species: symbols.iter().map(|symbol| element(symbol)).collect(), ..TraceOptions::default() }
}

/// For each point the distance to the nearest atom of the model [pm].
fn errors(model: &Model, points: &[Vector3<f64>]) -> Vec<f64> {
    let nearest = |point: &Vector3<f64>| {
        model.atoms().iter().map(|atom| (atom.peak.position.coords - point).norm()).fold(f64::INFINITY, f64::min)
    };
    points.iter().map(|point| 100.0 * nearest(point)).collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Weights by element.
fn weighted(structure: &Structure, weights: &[(&str, f64)]) -> Vec<(Vector3<f64>, f64)> {
    let weight = |e: Element| weights.iter().find(|(symbol, _)| *symbol == e.symbol()).unwrap().1;
    structure.atoms().iter().map(|atom| (atom.position.coords, weight(atom.element))).collect()
}

/// The part of the atoms whose element is the one nearest in the structure; all must be within 0.3 Å of one.
fn species_accuracy(model: &Model, truth: &Structure) -> f64 {
    let right = model.atoms().iter().filter(|traced| {
        let distance = |atom: &&Atom| (atom.position - traced.peak.position).norm();
        let nearest = truth.atoms().iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
        assert!(distance(&nearest) < 0.3);
        nearest.element == traced.element
    });
    right.count() as f64 / model.len() as f64
}

#[test]
fn positions_are_exact_to_a_picometre_without_noise() {
    for (case, (limit, width, voxel, phase)) in
        [(1.0, 0.45, 0.4, false), (1.4, 0.45, 0.5, false), (1.0, 0.4, 0.5, true), (1.4, 0.4, 0.35, true)]
            .into_iter()
            .enumerate()
    {
        let points = scattered(60, 7.0, 2.3, case as u64);
        let shape =
            if phase { atom_shape(1.0 / limit, phase_contrast(width)) } else { atom_shape(1.0 / limit, bell(width)) };
        let atoms: Vec<_> = points.iter().map(|&point| (point, 1.0)).collect();
        let n = (28.0 / voxel) as usize;
        let model = trace(density(&atoms, &shape, n, voxel), voxel, &species(&["Pt"]));
        let errors = errors(&model, &points);
        println!("case {case}: {} of {} atoms, worst {:.3} pm", model.len(), points.len(), largest(&errors));
        assert_eq!(model.len(), points.len(), "case {case}");
        assert!(largest(&errors) <= 1.0, "case {case}: {:.2} pm", largest(&errors));
    }
}

#[test]
fn iron_and_platinum_are_told_apart_in_a_noisy_density() {
    let truth = bundled("fept_1.5nm").unwrap();
    let shape = atom_shape(1.0 / 1.2, phase_contrast(0.45));
    let mut map = density(&weighted(&truth, &[("Fe", 0.35), ("Pt", 1.0)]), &shape, 60, 0.5);
    let highest = map.iter().copied().fold(0.0f32, f32::max);
    add_noise(&mut map, 0.08 * f64::from(highest), 1);
    let model = trace(map, 0.5, &species(&["Fe", "Pt"]));
    let positions: Vec<_> = truth.atoms().iter().map(|atom| atom.position.coords).collect();
    let rms = (errors(&model, &positions).iter().map(|e| e * e).sum::<f64>() / truth.len() as f64).sqrt();
    println!("{model}\nRMS {rms:.1} pm, noise gap {:.2}, doubts {:?}", model.noise_gap(), model.doubts());
    assert_eq!(model.len(), truth.len());
    assert_eq!(species_accuracy(&model, &truth), 1.0);
    assert!(rms < 12.0, "{rms:.1} pm");
    assert!(model.rejected().iter().all(|peak| peak.intensity < model.noise_cut()));
}

#[test]
fn a_trend_towards_the_surface_does_not_mix_the_species_up() {
    let truth = bundled("pbse_2.5nm").unwrap();
    let outermost = truth.atoms().iter().map(|atom| atom.position.coords.norm()).fold(0.0, f64::max);
    let shape = atom_shape(1.0 / 1.2, phase_contrast(0.45));
    // at the surface lead becomes as faint as selenium at the centre, or selenium as bright as lead at the centre
    for trend in [0.55, -0.9] {
        let changed: Vec<_> = weighted(&truth, &[("Se", 0.5), ("Pb", 1.0)])
            .into_iter()
            .map(|(position, weight)| (position, weight * (1.0 - trend * (position.norm() / outermost).powi(2))))
            .collect();
        let map = density(&changed, &shape, 72, 0.5);
        let with_trend = trace(map.clone(), 0.5, &species(&["Pb", "Se"]));
        assert_eq!((with_trend.len(), species_accuracy(&with_trend, &truth)), (truth.len(), 1.0), "{with_trend}");
        assert!((with_trend.trend().amount - trend).abs() < 0.08, "{}", with_trend.trend().amount);
        assert!(with_trend.doubts().is_empty(), "{:?}", with_trend.doubts());
        let without = trace(map, 0.5, &TraceOptions { trend: TrendChoice::None, ..species(&["Pb", "Se"]) });
        assert!(species_accuracy(&without, &truth) < 0.98, "a trend of {trend} is too weak to show anything");
    }
}

/// Peaks at places, with intensities and widths.
fn peaks_at(places: &[Vector3<f64>], values: impl Fn(usize) -> [f64; 2]) -> Vec<model::Peak> {
    let peak = |(i, &place): (usize, &Vector3<f64>)| {
        let [intensity, width] = values(i);
        model::Peak {
            position: place.into(),
            intensity,
            width,
            residual: 0.01,
            deviation: None,
            intensity_deviation: None,
            b_factor: None,
            halves: None,
        }
    };
    places.iter().enumerate().map(peak).collect()
}

/// Places on a simple cubic lattice of 3 Å within a block of three half edges [Å].
fn block(edges: [f64; 3]) -> Vec<Vector3<f64>> {
    let steps = edges.map(|edge| (edge / 3.0).floor() as i32);
    let rows = (-steps[0]..=steps[0]).flat_map(|x| (-steps[1]..=steps[1]).map(move |y| (x, y)));
    rows.flat_map(|(x, y)| (-steps[2]..=steps[2]).map(move |z| Vector3::new(x as f64, y as f64, z as f64) * 3.0))
        .collect()
}

/// Whether each atom of a model is platinum; the model's atoms lie at `places`, in any order.
fn heavy_at(model: &Model, places: &[Vector3<f64>]) -> Vec<(bool, f64)> {
    let at = |place: &Vector3<f64>| {
        let atom = model.atoms().iter().find(|atom| (atom.peak.position.coords - place).norm() < 1e-6).unwrap();
        (atom.element.symbol() == "Pt", atom.probability)
    };
    places.iter().map(at).collect()
}

#[test]
fn widths_tell_elements_apart_only_where_they_differ() {
    let places = block([9.0, 9.0, 6.0]);
    let (mut by_both, mut by_intensity, mut said, mut count) = (0.0, 0.0, 0.0, 0.0);
    for seed in 0..8 {
        let mut rng = random::stream(seed, "widths", 0);
        let mut normal = || rng.sample::<f64, _>(StandardNormal);
        let drawn: Vec<(bool, [f64; 3])> =
            places.iter().map(|_| (normal() > 0.0, [normal(), normal(), normal()])).collect();
        let of = |width: &dyn Fn(usize) -> f64| {
            let intensity = |i: usize| if drawn[i].0 { 1.3 } else { 1.0 } + 0.12 * drawn[i].1[0];
            let peaks = peaks_at(&places, |i| [intensity(i), width(i)]);
            heavy_at(&model::classify(peaks, &species(&["Pd", "Pt"])).unwrap(), &places)
        };
        let right = |found: &[(bool, f64)]| {
            found.iter().zip(&drawn).filter(|((heavy, _), (truth, _))| heavy == truth).count() as f64
        };
        let alike = of(&|_| 0.5);
        // noise, and what grows towards the surface, say nothing: not a bit changes
        assert_eq!(of(&|i| 0.5 + 0.02 * drawn[i].1[1]), alike, "seed {seed}");
        assert_eq!(of(&|i| 0.5 + 1e-3 * places[i].norm() + 0.005 * drawn[i].1[1]), alike, "seed {seed}");
        let told = of(&|i| if drawn[i].0 { 0.54 } else { 0.5 } + 0.02 * drawn[i].1[1]);
        by_both += right(&told);
        by_intensity += right(&alike);
        said += told.iter().map(|(_, probability)| probability).sum::<f64>();
        count += places.len() as f64;
    }
    let [by_both, by_intensity, said] = [by_both, by_intensity, said].map(|sum| sum / count);
    println!("right by intensity {by_intensity:.3}, by both {by_both:.3}, said {said:.3}");
    // bells 2.5 and 2 standard deviations apart: 10.6 % and, together, 5.5 % are on the wrong side
    assert!((by_intensity - 0.894).abs() < 0.03 && (by_both - 0.945).abs() < 0.025, "{by_intensity} {by_both}");
    assert!((said - by_both).abs() < 0.02, "{said} {by_both}");
}

#[test]
fn the_trend_follows_what_the_intensities_follow() {
    // a plate: its faces are near the centre, and its rim is far
    let places = block([12.0, 12.0, 4.0]);
    let truth: Vec<bool> = (0..places.len()).map(|i| (i * 7 + i / 5) % 3 == 0).collect();
    let neighbours = |place: &Vector3<f64>| {
        places.iter().filter(|other| (0.1..3.1).contains(&(*other - place).norm())).count() as f64
    };
    let (edges, at_rim) = ([12.0, 12.0, 3.0], |place: &Vector3<f64>, i: usize| place[i].abs());
    let depth = |place: &Vector3<f64>| (0..3).map(|i| edges[i] - at_rim(place, i)).fold(f64::INFINITY, f64::min);
    let deepest = places.iter().map(depth).fold(0.0, f64::max);
    let outermost = places.iter().map(Vector3::norm).fold(0.0, f64::max);
    let mut rng = random::stream(4, "trend", 0);
    let noise: Vec<f64> = places.iter().map(|_| 0.03 * rng.sample::<f64, _>(StandardNormal)).collect();
    let traced = |exposure: &dyn Fn(&Vector3<f64>) -> f64, amount: f64, trend: TrendChoice| {
        let intensity = |i: usize| {
            let inside: f64 = if truth[i] { 1.0 } else { 0.77 };
            inside * (1.0 - amount * exposure(&places[i])) + noise[i]
        };
        let peaks = peaks_at(&places, |i| [intensity(i), 0.5]);
        let options = TraceOptions { trend, ..species(&["Pd", "Pt"]) };
        let model = model::classify(peaks, &options).unwrap();
        let found = heavy_at(&model, &places);
        let right = found.iter().zip(&truth).filter(|((heavy, _), truth)| heavy == *truth).count() as f64;
        (model, right / places.len() as f64)
    };
    let radial = |place: &Vector3<f64>| (place.norm() / outermost).powi(2);
    let surface = |place: &Vector3<f64>| (1.0 - depth(place) / deepest).powi(2);
    let coordination = |place: &Vector3<f64>| 1.0 - neighbours(place) / 6.0;
    type Exposure<'a> = &'a dyn Fn(&Vector3<f64>) -> f64;
    let cases: [(Exposure, f64, Variable); 3] = [
        (&radial, 0.4, Variable::Radial),
        (&surface, 0.3, Variable::Surface),
        (&coordination, 0.6, Variable::Coordination),
    ];
    for (exposure, amount, variable) in cases {
        let (model, right) = traced(exposure, amount, TrendChoice::Auto);
        println!("{variable:?}: {:?}, {right:.3} right", model.trend());
        assert_eq!(model.trend().variable, variable);
        assert!((model.trend().amount - amount).abs() < 0.06, "{:?}", model.trend());
        assert!(right > 0.99, "{variable:?} {right}");
        let without = traced(exposure, amount, TrendChoice::None).1;
        assert!(without < 0.97, "{variable:?}: the trend is too weak to show anything: {without}");
    }
    // nothing to follow: none is found
    assert_eq!(traced(&|_| 0.0, 0.0, TrendChoice::Auto).0.trend(), Trend { variable: Variable::Radial, amount: 0.0 });
    // and who asks for one gets that one
    let asked = traced(&coordination, 0.6, TrendChoice::Surface).0;
    assert_eq!(asked.trend().variable, Variable::Surface);
}

#[test]
fn three_species_are_told_apart_and_their_order_does_not_matter() {
    let points = scattered(90, 8.0, 2.3, 9);
    let symbols = ["Fe", "Pd", "Pt"];
    let atoms: Vec<_> = points.iter().enumerate().map(|(i, &point)| (point, [0.4, 0.7, 1.0][i % 3])).collect();
    let map = density(&atoms, &atom_shape(1.0 / 1.2, phase_contrast(0.45)), 64, 0.5);
    let model = trace(map.clone(), 0.5, &species(&["Pt", "Fe", "Pd"]));
    for (i, point) in points.iter().enumerate() {
        let nearest = |traced: &&model::TracedAtom| (traced.peak.position.coords - point).norm();
        let traced = model.atoms().iter().min_by(|a, b| nearest(a).total_cmp(&nearest(b))).unwrap();
        assert_eq!(traced.element.symbol(), symbols[i % 3]);
    }
    assert_eq!(model, trace(map, 0.5, &species(&["Fe", "Pd", "Pt"])));
}

#[test]
fn noise_outside_the_particle_and_ringing_are_not_atoms() {
    let points = scattered(40, 6.0, 2.3, 4);
    let mut atoms: Vec<_> = points.iter().map(|&point| (point, 1.0)).collect();
    // a bright ghost apart from the particle, and a hard limit of resolution that rings
    atoms.push((Vector3::new(11.5, 0.0, 0.0), 0.9));
    let map = density(&atoms, &atom_shape(1.0 / 1.4, phase_contrast(0.3)), 60, 0.5);
    let model = trace(map, 0.5, &species(&["Pt"]));
    assert_eq!(model.len(), points.len(), "{model}");
    assert!(largest(&errors(&model, &points)) < 1.0);
    assert!(model.rejected().iter().any(|peak| (peak.position.x - 11.5).abs() < 0.1));
}

#[test]
fn composition_settles_what_intensity_leaves_open() {
    let points = scattered(60, 7.0, 2.3, 6);
    // every sixth atom is heavy; both classes scatter so widely that least squares would halve the larger one
    let mut rng = random::stream(2, "scatter of weights", 0);
    let mut atoms: Vec<_> = Vec::new();
    for (i, &point) in points.iter().enumerate() {
        let mean = if i % 6 == 0 { 1.15 } else { 0.75 };
        atoms.push((point, mean + 0.3 * (rng.random::<f64>() - 0.5)));
    }
    let map = density(&atoms, &atom_shape(1.0 / 1.2, bell(0.45)), 56, 0.5);
    let options =
        TraceOptions { composition: Some(vec![1.0, 5.0]), trend: TrendChoice::None, ..species(&["Pt", "Fe"]) };
    let model = trace(map, 0.5, &options);
    assert_eq!(model.classes()[0].element.symbol(), "Fe");
    assert_eq!((model.classes()[0].count, model.classes()[1].count), (50, 10));
}

#[test]
fn an_odd_grid_and_any_number_of_threads_give_the_same_atoms() {
    let points = scattered(30, 5.5, 2.3, 8);
    let atoms: Vec<_> = points.iter().map(|&point| (point, 1.0)).collect();
    let shape = atom_shape(1.0 / 1.2, phase_contrast(0.45));
    let odd = trace(density(&atoms, &shape, 49, 0.5), 0.5, &species(&["Pt"]));
    assert_eq!(odd.len(), 30);
    assert!(largest(&errors(&odd, &points)) < 1.0, "{}", largest(&errors(&odd, &points)));
    let map = density(&atoms, &shape, 48, 0.5);
    let with_threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| trace(map.clone(), 0.5, &species(&["Pt"])))
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn the_model_tells_what_it_was_decided_by() {
    let points = scattered(30, 5.5, 2.3, 12);
    let atoms: Vec<_> = points.iter().enumerate().map(|(i, &point)| (point, [0.5, 1.0][i % 2])).collect();
    let map = density(&atoms, &atom_shape(1.0 / 1.2, bell(0.45)), 48, 0.5);
    let model = trace(map, 0.5, &species(&["Se", "Pb"]));
    assert_eq!(model.structure().len(), 30);
    assert!((model.classes()[1].mean / model.classes()[0].mean - 2.0).abs() < 0.05, "{model}");
    assert!(model.separation() > 10.0 && model.doubts().is_empty(), "{model}");
    assert_eq!(model.columns().iter().map(|(_, values)| values.len()).collect::<Vec<_>>(), [30; 5]);
    let center = model.center();
    assert!(model.atoms().iter().all(|atom| ((atom.peak.position - center).norm() - atom.radius).abs() < 1e-9));
    // one population called two: the doubt is raised
    let mut rng = random::stream(1, "one population", 0);
    let peaks: Vec<_> = model.atoms().iter().map(|atom| atom.peak).collect();
    let blurred = peaks.iter().map(|&peak| {
        let intensity = 1.0 + 0.1 * rng.sample::<f64, _>(StandardNormal);
        model::Peak { intensity, ..peak }
    });
    let doubtful = model::classify(blurred.collect(), &species(&["Se", "Pb"])).unwrap();
    assert_eq!(doubtful.doubts().len(), 1, "{doubtful} {:?}", doubtful.doubts());
    assert!(doubtful.doubts()[0].contains("the intensities show 1 group, not 2"), "{:?}", doubtful.doubts());
}

#[test]
fn bad_requests_are_refused_in_one_sentence() {
    let map = density(&[(Vector3::zeros(), 1.0)], &atom_shape(1.0 / 1.2, bell(0.45)), 32, 0.5);
    let refusal = |options: &TraceOptions| {
        model::trace(&Volume::new(map.clone(), 0.5), options, &Task::silent()).unwrap_err().to_string()
    };
    let pt = || species(&["Pt"]);
    assert!(refusal(&TraceOptions::default()).contains("no species given"));
    assert!(refusal(&species(&["Fe", "Co", "Ni", "Pt"])).contains("4 species given"));
    assert!(refusal(&species(&["Pt", "Fe", "Pt"])).contains("Pt is given twice"));
    assert!(refusal(&species(&["Fe", "Pt"])).contains("1 atoms were found"));
    assert!(refusal(&TraceOptions { radius: Some(-1.0), ..pt() }).contains("radius is -1"));
    assert!(refusal(&TraceOptions { min_separation: Some(f64::NAN), ..pt() }).contains("min_separation is NaN"));
    assert!(refusal(&TraceOptions { noise_cut: Some(2.0), ..pt() }).contains("noise_cut is 2"));
    assert!(refusal(&TraceOptions { composition: Some(vec![1.0, 1.0]), ..pt() }).contains("2 numbers for 1 species"));
    assert!(refusal(&TraceOptions { composition: Some(vec![0.0]), ..pt() }).contains("composition is 0"));
    let empty = Volume::new(Array3::zeros((32, 32, 32)), 0.5);
    assert!(matches!(model::trace(&empty, &pt(), &Task::silent()), Err(model::Error::NoPeaks { .. })));
    let tiny = Volume::new(Array3::ones((2, 2, 2)), 0.5);
    assert!(model::trace(&tiny, &pt(), &Task::silent()).is_err());
    let mut broken = map.clone();
    broken[[1, 2, 3]] = f32::NAN;
    assert_eq!(model::trace(&Volume::new(broken, 0.5), &pt(), &Task::silent()), Err(model::Error::NotFinite));
}

#[test]
fn the_minimum_separation_is_that_of_the_data() {
    let lattice = |a: f64| -> Vec<(Vector3<f64>, f64)> {
        block([9.0; 3])
            .into_iter()
            .map(|place| (place * (a / 3.0), 1.0))
            .filter(|(place, _)| place.norm() < 8.0)
            .collect()
    };
    for (a, expected) in [(2.25, 1.24), (3.0, 1.65), (4.0, 2.0)] {
        let map = density(&lattice(a), &atom_shape(1.0 / 1.2, phase_contrast(0.45)), 52, 0.5);
        let options = TraceOptions { largest_gap: 5.0, ..species(&["Pt"]) };
        let model = trace(map.clone(), 0.5, &options);
        assert!((model.min_separation() - expected).abs() < 0.01, "{a}: {}", model.min_separation());
        assert_eq!(model.len(), lattice(a).len());
        let asked = trace(map, 0.5, &TraceOptions { min_separation: Some(1.9), ..options });
        assert_eq!(asked.min_separation(), 1.9);
    }
}

/// Scattered atoms, the first 20 with a neighbour 1.9 Å away that the limit of 2.6 Å does not part from it.
fn doublets() -> (Vec<Vector3<f64>>, Vec<Vector3<f64>>) {
    let mut singles = scattered(24, 10.0, 3.9, 5);
    let mut rng = random::stream(6, "neighbours", 0);
    let mut pairs = Vec::new();
    for place in singles.split_off(20) {
        let direction = Vector3::from_fn(|_, _| rng.sample::<f64, _>(StandardNormal)).normalize();
        pairs.extend([place - direction * 0.95, place + direction * 0.95]);
    }
    (singles, pairs)
}

#[test]
fn a_spot_is_two_atoms_only_where_one_explains_it_badly() {
    let (singles, pairs) = doublets();
    let shape = atom_shape(1.0 / 2.6, bell(0.6));
    let all: Vec<_> = singles.iter().chain(&pairs).map(|&place| (place, 1.0)).collect();
    for noise in [0.0, 0.01] {
        let mut map = density(&all, &shape, 60, 0.5);
        let highest = map.iter().copied().fold(0.0f32, f32::max);
        add_noise(&mut map, noise * f64::from(highest), 3);
        let options =
            TraceOptions { min_separation: Some(1.5), largest_gap: 6.0, noise_cut: Some(0.3), ..species(&["Pt"]) };
        let model = trace(map.clone(), 0.5, &options);
        let places: Vec<_> = all.iter().map(|(place, _)| *place).collect();
        println!(
            "noise {noise}: {} of {} atoms, worst {:.1} pm",
            model.len(),
            all.len(),
            largest(&errors(&model, &places))
        );
        assert_eq!(model.len(), all.len(), "noise {noise}");
        assert!(largest(&errors(&model, &places)) < 30.0, "noise {noise}");
        // two are not put nearer than what is asked for
        let farther = trace(map, 0.5, &TraceOptions { min_separation: Some(2.4), ..options });
        assert_eq!(farther.len(), singles.len() + pairs.len() / 2, "noise {noise}");
    }
}

#[test]
fn groups_are_counted_without_knowing_the_species() {
    let places = block([9.0, 9.0, 6.0]);
    let counted = |means: &[f64], seed: u64| {
        let mut rng = random::stream(seed, "groups", 0);
        let intensities: Vec<f64> = (0..places.len())
            .map(|i| {
                (means[i % means.len()] + 0.05 * rng.sample::<f64, _>(StandardNormal))
                    * (1.0 + 1e-3 * places[i].norm_squared())
            })
            .collect();
        let peaks = peaks_at(&places, |i| [intensities[i], 0.5]);
        ["Pt", "Fe Pt", "Fe Pd Pt"].map(|symbols| {
            let symbols: Vec<&str> = symbols.split(' ').collect();
            model::classify(peaks.clone(), &species(&symbols)).unwrap().groups().count
        })
    };
    for seed in 0..5 {
        assert_eq!(counted(&[1.0], seed), [1; 3], "seed {seed}");
        assert_eq!(counted(&[0.7, 1.0], seed), [2; 3], "seed {seed}");
        assert_eq!(counted(&[0.5, 0.75, 1.0], seed), [3; 3], "seed {seed}");
        // two standard deviations apart: they are there, but who is who cannot be told
        assert_eq!(counted(&[0.9, 1.0], seed), [1; 3], "seed {seed}");
    }
}
