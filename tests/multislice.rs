//! The multislice against an independent exact one in double precision, and against what physics demands.

use std::f64::consts::PI;

use nalgebra::Point3;
use ndarray::Array2;
use pedesis::microscope::lens::{self, Coherence, Cone, Lens, Spread};
use pedesis::microscope::multislice::{Beam, Grid, Multislice};
use pedesis::microscope::{self, Aberrations, Dynamics, Method, Microscope, ScatteringFactors, Simulation, electron};
use pedesis::pose::{Pose, Poses};
use pedesis::structure::{Atom, Element, Structure};
use pedesis::task::Task;
use rand::RngExt;
use rustfft::num_complex::{Complex32, Complex64};
use rustfft::{FftDirection, FftPlanner};

/// Arrays of `tests/data/multislice_reference.h5`, turned to [y][x].
struct Reference {
    group: hdf5::Group,
}

impl Reference {
    fn new(case: &str) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/multislice_reference.h5");
        Self { group: hdf5::File::open(path).unwrap().group(case).unwrap() }
    }

    fn atoms(&self) -> Vec<Atom> {
        let positions: Array2<f64> = self.group.dataset("positions").unwrap().read_2d().unwrap();
        let numbers: Vec<u8> = self.group.dataset("atomic_numbers").unwrap().read_raw().unwrap();
        let atom = |(position, number): (ndarray::ArrayView1<f64>, u8)| Atom {
            element: Element::from_atomic_number(number).unwrap(),
            position: Point3::new(position[0], position[1], position[2]),
        };
        positions.rows().into_iter().zip(numbers).map(atom).collect()
    }

    fn image(&self, name: &str) -> Array2<f32> {
        let turned: Array2<f32> = self.group.dataset(name).unwrap().read_2d().unwrap();
        turned.reversed_axes()
    }

    fn wave(&self, name: &str) -> Array2<Complex32> {
        let parts: ndarray::Array3<f32> = self.group.dataset(name).unwrap().read().unwrap();
        let (nx, ny, _) = parts.dim();
        Array2::from_shape_fn((ny, nx), |(y, x)| Complex32::new(parts[[x, y, 0]], parts[[x, y, 1]]))
    }
}

/// Difference of two images, r.m.s. over the standard deviation of the expected one.
fn rms_over_sd(got: &Array2<f32>, expected: &Array2<f32>) -> f64 {
    let n = expected.len() as f64;
    let mean = expected.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = expected.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let error = got.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / n;
    (error / variance).sqrt()
}

/// The image `[y][x]` of some atoms in a box, as the paper's microscope shows it with these `settings`.
fn image(
    atoms: &[Atom],
    cell: (usize, f64, f64),
    factors: ScatteringFactors,
    defocus: f64,
    coherence: &Coherence,
) -> Array2<f32> {
    let (pixels, edge, height) = cell;
    let grid = Grid { nx: pixels, ny: pixels, lx: edge, ly: edge };
    let microscope = Microscope { defocus, ..microscope::paper() };
    let multislice = Multislice::new(grid, height, 1.0, 200.0, &elements(atoms), factors);
    let lens = Lens::new(&microscope, multislice.fft(), coherence);
    let beams = lens::beams(&microscope, grid, coherence.cone).into_iter().map(|tilt| multislice.beam(tilt));
    let beams: Vec<Beam> = beams.collect();
    let waves = multislice.exit_waves(atoms, &beams, &mut multislice.workspace(), &Task::silent()).unwrap();
    let mut pixels = Array2::zeros((grid.ny, grid.nx));
    for wave in &waves {
        lens.add_image(wave, 1.0 / beams.len() as f32, &mut lens.workspace(), pixels.as_slice_mut().unwrap());
    }
    pixels
}

fn elements(atoms: &[Atom]) -> Vec<Element> {
    let mut elements: Vec<Element> = atoms.iter().map(|atom| atom.element).collect();
    elements.sort_by_key(|element| element.atomic_number());
    elements.dedup();
    elements
}

fn exit_wave(atoms: &[Atom], pixels: usize, edge: f64, height: f64, factors: ScatteringFactors) -> Array2<Complex32> {
    let grid = Grid { nx: pixels, ny: pixels, lx: edge, ly: edge };
    let multislice = Multislice::new(grid, height, 1.0, 200.0, &elements(atoms), factors);
    wave_of(&multislice, atoms, [0, 0])
}

/// The wave `[y][x]` at the exit face, of a beam with this tilt.
fn wave_of(multislice: &Multislice, atoms: &[Atom], tilt: [i32; 2]) -> Array2<Complex32> {
    let beam = multislice.beam(tilt);
    multislice
        .wave(multislice.exit_waves(atoms, &[beam], &mut multislice.workspace(), &Task::silent()).unwrap().remove(0))
}

fn relative_l2(got: &Array2<Complex32>, expected: &Array2<Complex32>) -> f64 {
    let norm = |a: &Array2<Complex32>| a.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>();
    (norm(&(got - expected)) / norm(expected)).sqrt()
}

#[test]
fn exit_waves_match_an_exact_multislice_to_5e_5() {
    let reference = Reference::new("pbse4");
    for (factors, name) in [(ScatteringFactors::Kirkland, "kirkland"), (ScatteringFactors::Lobato, "lobato")] {
        let got = exit_wave(&reference.atoms(), 120, 30.0, 30.0, factors);
        let error = relative_l2(&got, &reference.wave(&format!("{name}_wave_exact")));
        assert!(error < 5e-5, "{name}: {error}");
    }
    let reference = Reference::new("liquid_cell");
    let got = exit_wave(&reference.atoms(), 200, 50.0, 100.0, ScatteringFactors::Kirkland);
    let error = relative_l2(&got, &reference.wave("wave_exact"));
    assert!(error < 5e-5, "liquid cell: {error}");
}

#[test]
fn images_match_an_exact_multislice_to_1e_3() {
    let small = (Reference::new("pbse4"), (120, 30.0, 30.0));
    let cell = (Reference::new("liquid_cell"), (200, 50.0, 100.0));
    let parallel = |spread_range: f64| Coherence { spread_range, cone: Cone::None, ..Coherence::default() };
    let (sharp, paper, wide) = (parallel(0.0), parallel(2.5), parallel(3.0));
    let tilted = Coherence { cone: Cone::Tilts, ..paper };
    for ((reference, cell), name, defocus, coherence) in [
        (&small, "kirkland_coh_under_exact", 60.0, sharp),
        (&small, "kirkland_coh_over_exact", -60.0, sharp),
        (&small, "kirkland_spread21_under_exact", 60.0, paper),
        (&small, "kirkland_spread25_under_exact", 60.0, wide),
        (&small, "kirkland_illum5_spread21_under_exact", 60.0, tilted),
        (&small, "lobato_spread21_under_exact", 60.0, paper),
        (&cell, "coh_exact", 60.0, sharp),
        (&cell, "spread21_exact", 60.0, paper),
        (&cell, "illum9_spread21_exact", 60.0, tilted),
    ] {
        let factors = if name.starts_with("lobato") { ScatteringFactors::Lobato } else { ScatteringFactors::Kirkland };
        let got = image(&reference.atoms(), *cell, factors, defocus, &coherence);
        let error = rms_over_sd(&got, &reference.image(name));
        assert!(error < 1e-3, "{name}: {error}");
    }
}

/// Merged slices are good to a hundredth of an image's contrast where only liquid is; exact where `core` is all.
#[test]
fn merged_slices_of_liquid_make_nearly_the_same_image() {
    let reference = Reference::new("liquid_cell");
    let atoms = reference.atoms();
    let heavy = atoms.iter().filter(|atom| atom.element.atomic_number() > 10).map(|atom| atom.position.z);
    let core = heavy.clone().fold(f64::MAX, f64::min)..heavy.fold(f64::MIN, f64::max);
    let grid = Grid { nx: 200, ny: 200, lx: 50.0, ly: 50.0 };
    let multislice =
        Multislice::new(grid, 100.0, 1.0, 200.0, &elements(&atoms), ScatteringFactors::Kirkland).merging(5.0);
    let parallel = |spread_range: f64| Coherence { spread_range, cone: Cone::None, ..Coherence::default() };
    let tilted = Coherence { cone: Cone::Tilts, ..Coherence::default() };
    for (name, coherence, bound) in [
        ("coh_exact", parallel(0.0), 1e-2),
        ("spread21_exact", parallel(2.5), 1e-2),
        ("illum9_spread21_exact", tilted, 1e-2),
    ] {
        let lens = Lens::new(&microscope::paper(), multislice.fft(), &coherence);
        let beams = lens::beams(&microscope::paper(), grid, coherence.cone);
        let beams: Vec<Beam> = beams.into_iter().map(|tilt| multislice.beam(tilt)).collect();
        let waves = multislice
            .exit_waves_about(core.clone(), &atoms, &beams, &mut multislice.workspace(), &Task::silent())
            .unwrap();
        let mut pixels = Array2::zeros((200, 200));
        for wave in &waves {
            lens.add_image(wave, 1.0 / beams.len() as f32, &mut lens.workspace(), pixels.as_slice_mut().unwrap());
        }
        let error = rms_over_sd(&pixels, &reference.image(name));
        assert!(error < bound, "{name}: {error}");
    }
}

/// Where an atom's potential is put on the pixels.
#[derive(Clone, Copy)]
enum Placing {
    /// Where it is.
    Exact,
    /// As abTEM 1.0.11 does: shared by the four pixels around, and divided by sin(u)/u with u = |k| times the pixel.
    Shared,
}

/// The same in double precision, as plainly as it can be said: a sum over atoms for every frequency, whole transforms, no tables.
struct Twin {
    n: usize,
    edge: f64,
    thickness: f64,
    placing: Placing,
}

impl Twin {
    fn frequency(&self, i: usize) -> f64 {
        let signed = if i < self.n.div_ceil(2) { i as f64 } else { i as f64 - self.n as f64 };
        signed / self.edge
    }

    /// e^(−2πi k·r) of an atom.
    fn phase(&self, kx: f64, ky: f64, atom: &Atom) -> Complex64 {
        let at = |x: f64, y: f64| Complex64::cis(-2.0 * PI * (kx * x + ky * y));
        let (x, y) = (atom.position.x, atom.position.y);
        match self.placing {
            Placing::Exact => at(x, y),
            Placing::Shared => {
                let pixel = self.edge / self.n as f64;
                let split = |x: f64| ((x / pixel).floor() * pixel, (x / pixel).fract());
                let ((x, right), (y, up)) = (split(x), split(y));
                let corners = [(0.0, 0.0), (pixel, 0.0), (0.0, pixel), (pixel, pixel)];
                let weights = [(1.0 - right) * (1.0 - up), right * (1.0 - up), (1.0 - right) * up, right * up];
                let shared = corners.iter().zip(weights).map(|((dx, dy), weight)| weight * at(x + dx, y + dy));
                let u = kx.hypot(ky) * pixel;
                shared.sum::<Complex64>() / if u > 0.0 { u.sin() / u } else { 1.0 }
            }
        }
    }

    fn table(&self, value: impl Fn(f64, f64) -> Complex64) -> Vec<Complex64> {
        let all = (0..self.n * self.n).map(|i| (self.frequency(i % self.n), self.frequency(i / self.n)));
        all.map(|(kx, ky)| value(kx, ky)).collect()
    }

    fn transform(&self, values: &mut [Complex64], direction: FftDirection) {
        let plan = FftPlanner::new().plan_fft(self.n, direction);
        for _ in 0..2 {
            plan.process(values);
            let turned: Vec<Complex64> = (0..values.len()).map(|i| values[i % self.n * self.n + i / self.n]).collect();
            values.copy_from_slice(&turned);
        }
        if direction == FftDirection::Inverse {
            values.iter_mut().for_each(|value| *value /= (self.n * self.n) as f64);
        }
    }

    fn limited(&self, values: &mut [Complex64], factors: &[Complex64]) {
        self.transform(values, FftDirection::Forward);
        values.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
        self.transform(values, FftDirection::Inverse);
    }

    /// Band limit: 1 up to two thirds of Nyquist, its edge 1 % of the sampling rate wide.
    fn limit(&self) -> Vec<Complex64> {
        let rate = self.n as f64 / self.edge;
        let (end, width) = (rate / 3.0, 0.01 * rate);
        self.table(|kx, ky| {
            let t = ((kx.hypot(ky) - end + width) / width).max(0.0);
            (if t > 1.0 { 0.0 } else { 0.5 + 0.5 * (PI * t).cos() }).into()
        })
    }

    fn transmission(&self, atoms: &[Atom], limit: &[Complex64]) -> Vec<Complex64> {
        let sigma = electron::interaction_parameter(200.0);
        let mut values = self.table(|kx, ky| {
            let term = |atom: &Atom| {
                self.phase(kx, ky, atom) * ScatteringFactors::Kirkland.projected_potential(atom.element, kx.hypot(ky))
            };
            atoms.iter().map(term).sum::<Complex64>()
        });
        self.transform(&mut values, FftDirection::Inverse);
        let area = (self.edge / self.n as f64).powi(2);
        values.iter_mut().for_each(|value| *value = Complex64::cis(sigma * value.re / area));
        self.limited(&mut values, limit);
        values
    }

    /// The wave at the exit of some slices, each given by its atoms.
    fn exit_wave(&self, slices: &[Vec<Atom>]) -> Vec<Complex64> {
        let limit = self.limit();
        let wavelength = electron::wavelength(200.0);
        let free = self.table(|kx, ky| Complex64::cis(-PI * wavelength * self.thickness * (kx * kx + ky * ky)));
        let propagator: Vec<Complex64> = free.iter().zip(&limit).map(|(a, b)| a * b).collect();
        let mut wave = vec![Complex64::ONE; self.n * self.n];
        for slice in slices {
            let transmission = self.transmission(slice, &limit);
            wave.iter_mut().zip(&transmission).for_each(|(wave, factor)| *wave *= factor);
            self.limited(&mut wave, &propagator);
        }
        wave
    }
}

/// A few atoms of heavy and light elements in a box of 12 Å, 6 Å high.
fn cluster(seed: u64) -> Vec<Atom> {
    let mut rng = pedesis::random::stream(seed, "test cluster", 0);
    let symbols = ["Pb", "C", "Fe", "Se", "H", "Pt"];
    let atom = |symbol: &&str| Atom {
        element: symbol.parse().unwrap(),
        position: Point3::new(rng.random_range(0.0..12.0), rng.random_range(0.0..12.0), rng.random_range(0.0..6.0)),
    };
    symbols.iter().map(atom).collect()
}

fn in_slices(atoms: &[Atom], thickness: f64, count: usize) -> Vec<Vec<Atom>> {
    let inside = |slice: usize| move |atom: &&Atom| (atom.position.z / thickness) as usize == slice;
    (0..count).map(|slice| atoms.iter().filter(inside(slice)).copied().collect()).collect()
}

#[test]
fn the_fast_kernel_agrees_with_a_plain_twin_in_double_precision() {
    for (seed, n) in [(1, 48), (2, 45), (3, 50)] {
        let atoms = cluster(seed);
        let twin =
            Twin { n, edge: 12.0, thickness: 1.0, placing: Placing::Exact }.exit_wave(&in_slices(&atoms, 1.0, 6));
        let twin = Array2::from_shape_vec((n, n), twin).unwrap().mapv(|v| Complex32::new(v.re as f32, v.im as f32));
        let error = relative_l2(&exit_wave(&atoms, n, 12.0, 6.0, ScatteringFactors::Kirkland), &twin);
        assert!(error < 2e-5, "{n} pixels: {error}");
    }
}

/// abTEM shares an atom among four pixels. With its way of placing them, the twin gives its wave to rounding; with the exact one both of ours differ
/// from it by what that costs.
#[test]
fn waves_and_images_differ_from_abtem_s_by_its_way_of_placing_atoms_alone() {
    let reference = Reference::new("pbse4");
    let atoms = reference.atoms();
    let theirs = reference.wave("kirkland_wave_abtem");
    let twin = Twin { n: 120, edge: 30.0, thickness: 1.0, placing: Placing::Shared };
    let shared = Array2::from_shape_vec((120, 120), twin.exit_wave(&in_slices(&atoms, 1.0, 30))).unwrap();
    let error = relative_l2(&shared.mapv(|v| Complex32::new(v.re as f32, v.im as f32)), &theirs);
    assert!(error < 2e-6, "with shared pixels: {error}");
    let error = relative_l2(&exit_wave(&atoms, 120, 30.0, 30.0, ScatteringFactors::Kirkland), &theirs);
    assert!((error / 0.0178 - 1.0).abs() < 0.05, "exactly placed: {error}");
    let paper = Coherence::default();
    let image_of_theirs = reference.image("kirkland_angspread0.707_spread21_under_abtem");
    let grid = Grid { nx: 120, ny: 120, lx: 30.0, ly: 30.0 };
    let optics = Multislice::new(grid, 30.0, 1.0, 200.0, &elements(&atoms), ScatteringFactors::Kirkland);
    let lens = Lens::new(&microscope::paper(), optics.fft(), &paper);
    let fft = optics.fft();
    let mut spectrum = vec![Complex32::ZERO; fft.spectrum_len()];
    fft.forward(theirs.mapv(|value| value / 14400.0).as_slice_mut().unwrap(), &mut spectrum, &mut fft.scratch());
    let mut pixels = Array2::zeros((120, 120));
    lens.add_image(&spectrum, 1.0, &mut lens.workspace(), pixels.as_slice_mut().unwrap());
    let error = rms_over_sd(&pixels, &image_of_theirs);
    assert!(error < 3e-4, "their wave through our lens: {error}");
    let got = image(&atoms, (120, 30.0, 30.0), ScatteringFactors::Kirkland, 60.0, &paper);
    let error = rms_over_sd(&got, &image_of_theirs);
    assert!((error / 0.0701 - 1.0).abs() < 0.05, "exactly placed: {error}");
}

#[test]
fn the_transmitted_beam_does_not_know_which_way_it_went() {
    let twin = Twin { n: 48, edge: 12.0, thickness: 1.0, placing: Placing::Exact };
    let mut slices = in_slices(&cluster(4), 1.0, 6);
    let transmitted = |slices: &[Vec<Atom>]| twin.exit_wave(slices).iter().sum::<Complex64>() / (48.0 * 48.0);
    let there = transmitted(&slices);
    slices.reverse();
    let back = transmitted(&slices);
    assert!((there - back).norm() < 1e-6, "{there} {back}");
    assert!((there - 1.0).norm() > 0.005, "the cluster scatters: {there}");
}

#[test]
fn in_vacuum_a_tilted_plane_wave_stays_one() {
    let grid = Grid { nx: 40, ny: 36, lx: 10.0, ly: 9.0 };
    let multislice = Multislice::new(grid, 50.0, 1.0, 200.0, &[], ScatteringFactors::Kirkland);
    for tilt in [[0, 0], [2, -1]] {
        for ((iy, ix), value) in wave_of(&multislice, &[], tilt).indexed_iter() {
            let (x, y) = (ix as f64 / 40.0, iy as f64 / 36.0);
            let expected = Complex64::cis(2.0 * PI * (f64::from(tilt[0]) * x + f64::from(tilt[1]) * y));
            assert!(
                (f64::from(value.re) - expected.re).abs() < 1e-6 && (f64::from(value.im) - expected.im).abs() < 1e-6
            );
        }
    }
}

#[test]
fn a_single_slice_is_the_phase_grating() {
    // No propagation in a slice without thickness: |ψ| is 1 but for the band limit, its phase σV.
    let atoms = cluster(5);
    let twin = Twin { n: 48, edge: 12.0, thickness: 0.0, placing: Placing::Exact };
    let limit = twin.limit();
    let mut grating = twin.transmission(&atoms, &limit);
    twin.limited(&mut grating, &limit);
    let grid = Grid { nx: 48, ny: 48, lx: 12.0, ly: 12.0 };
    let height = 1e-6;
    let multislice = Multislice::new(grid, height, height, 200.0, &elements(&atoms), ScatteringFactors::Kirkland);
    let got = wave_of(&multislice, &atoms, [0, 0]);
    let expected =
        Array2::from_shape_vec((48, 48), grating).unwrap().mapv(|v| Complex32::new(v.re as f32, v.im as f32));
    let error = relative_l2(&got, &expected);
    assert!(error < 1e-5, "{error}");
}

fn mean_intensity(wave: &Array2<Complex32>) -> f64 {
    wave.iter().map(|value| f64::from(value.norm_sqr())).sum::<f64>() / wave.len() as f64
}

#[test]
fn no_electron_is_lost_where_the_band_limit_does_not_bite() {
    let light: Vec<Atom> = cluster(6).into_iter().map(|atom| Atom { element: "H".parse().unwrap(), ..atom }).collect();
    let fine = exit_wave(&light, 240, 12.0, 6.0, ScatteringFactors::Kirkland);
    assert!((mean_intensity(&fine) - 1.0).abs() < 1e-4, "{}", mean_intensity(&fine));
    let coarse = exit_wave(&cluster(6), 48, 12.0, 6.0, ScatteringFactors::Kirkland);
    assert!(
        mean_intensity(&coarse) < 0.9997,
        "a coarse grid loses what heavy atoms scatter far: {}",
        mean_intensity(&coarse)
    );
}

#[test]
fn thinner_slices_converge() {
    let atoms = Reference::new("pbse4").atoms();
    let wave = |thickness: f64| {
        let grid = Grid { nx: 120, ny: 120, lx: 30.0, ly: 30.0 };
        let multislice = Multislice::new(grid, 30.0, thickness, 200.0, &elements(&atoms), ScatteringFactors::Kirkland);
        wave_of(&multislice, &atoms, [0, 0])
    };
    let waves = [2.0, 1.0, 0.5].map(wave);
    let (first, second) = (relative_l2(&waves[0], &waves[1]), relative_l2(&waves[1], &waves[2]));
    assert!(first > 1.5 * second, "{first} {second}");
}

#[test]
fn in_the_weak_limit_friedel_s_law_holds() {
    // One layer of weak scatterers: |ψ̂(k)| = |ψ̂(−k)|; heavy atoms at different heights break it.
    let asymmetry = |atoms: &[Atom]| {
        let grid = Grid { nx: 48, ny: 48, lx: 12.0, ly: 12.0 };
        let multislice = Multislice::new(grid, 6.0, 1.0, 200.0, &elements(atoms), ScatteringFactors::Kirkland);
        let wave = multislice
            .exit_waves(atoms, &[multislice.beam([0, 0])], &mut multislice.workspace(), &Task::silent())
            .unwrap()
            .remove(0);
        let place = |ix: usize| multislice.fft().columns.iter().position(|&column| column == ix).unwrap();
        let at = |x: i32, y: i32| wave[place(x.rem_euclid(48) as usize) * 48 + y.rem_euclid(48) as usize].norm();
        let pairs = (-8..=8).flat_map(|x| (1..=8).map(move |y| (x, y)));
        let (mut difference, mut sum) = (0.0, 0.0);
        for (x, y) in pairs {
            difference += (at(x, y) - at(-x, -y)).abs();
            sum += at(x, y) + at(-x, -y);
        }
        difference / sum
    };
    let weak: Vec<Atom> = cluster(7)
        .into_iter()
        .map(|atom| Atom {
            element: "H".parse().unwrap(),
            position: Point3::new(atom.position.x, atom.position.y, 2.5),
        })
        .collect();
    assert!(asymmetry(&weak) < 0.01, "{}", asymmetry(&weak));
    assert!(asymmetry(&cluster(7)) > 0.02, "{}", asymmetry(&cluster(7)));
}

/// Weak atoms, one beam, envelopes: there both methods make the same image, whatever the lens.
#[test]
fn a_weak_particle_looks_the_same_kinematically_through_any_lens() {
    let atoms =
        cluster(8).into_iter().map(|atom| Atom { element: "H".parse().unwrap(), position: atom.position * 0.5 });
    let particle = Structure::new("weak", atoms.collect());
    let odd = Aberrations {
        c12: 60.0,
        phi12: 25.0,
        c21: 3000.0,
        phi21: 70.0,
        c23: 2000.0,
        phi23: 10.0,
        c34: 4e5,
        ..Default::default()
    };
    let soft = Microscope { aberrations: odd, aperture: 22.0, aperture_edge: 6.0, ..microscope::paper() };
    let poses = Poses::unscored(vec![Pose { shift: nalgebra::Vector2::new(0.33, -0.21), ..Pose::default() }]);
    let common = Simulation { size: 96, poses: Some(poses), ..Simulation::default() };
    let envelopes = Coherence { spread: Spread::Envelope, ..Coherence::default() };
    let still = Dynamics { temperature: 0.0, coherence: envelopes, ..Dynamics::default() };
    let contrast = |microscope: &Microscope, method, dynamics| {
        let options = Simulation { method: Some(method), dynamics, ..common.clone() };
        let images = microscope::simulate(&particle, microscope, &options, &Task::silent()).unwrap();
        images.data().index_axis(ndarray::Axis(0), 0).mapv(|pixel| pixel - 1.0)
    };
    for microscope in [microscope::paper(), soft] {
        let kinematic = contrast(&microscope, Method::Kinematic, Dynamics::default());
        let multislice = contrast(&microscope, Method::Multislice, still.clone());
        let error = rms_over_sd(&multislice, &kinematic);
        assert!(error < 0.03, "{microscope}: {error}");
    }
}

#[test]
fn what_no_machine_could_do_is_refused_in_words() {
    let iron = Structure::new("iron", vec![Atom { element: "Fe".parse().unwrap(), position: Point3::origin() }]);
    let ask = |microscope: Microscope, options: Simulation| {
        let options = Simulation { method: Some(Method::Multislice), n: Some(1), ..options };
        microscope::simulate(&iron, &microscope, &options, &Task::silent()).unwrap_err().to_string()
    };
    let with = |dynamics: Dynamics| ask(microscope::paper(), Simulation { dynamics, ..Simulation::default() });
    let coherence = Coherence { cone: Cone::Tilts, ..Coherence::default() };
    let tilts = Simulation { dynamics: Dynamics { coherence, ..Dynamics::default() }, ..Simulation::default() };
    let bright = Microscope { illumination: 40.0, ..microscope::paper() };
    assert!(ask(bright, tilts).contains("envelope"));
    assert!(with(Dynamics { slice_thickness: f64::NAN, ..Dynamics::default() }).contains("slice_thickness = NaN"));
    assert!(with(Dynamics { temperature: 3.0, ..Dynamics::default() }).contains("temperature = 3 K"));
    assert!(with(Dynamics { configurations: 0, ..Dynamics::default() }).contains("configurations = 0"));
    let tower = Microscope { cell_height: 1e6, ..microscope::paper() };
    assert!(ask(tower, Simulation::default()).contains("100000 slices"));
    let kinematic = Simulation { method: Some(Method::Kinematic), n: Some(1), ..Simulation::default() };
    let tilted = Microscope { beam_tilt: [1.0, 0.0], ..microscope::paper() };
    let error = microscope::simulate(&iron, &tilted, &kinematic, &Task::silent()).unwrap_err().to_string();
    assert!(error.contains("beam_tilt"), "{error}");
    let error = microscope::exit_waves(&iron, &microscope::paper(), &kinematic, &Task::silent()).unwrap_err();
    assert!(error.to_string().contains("multislice"), "{error}");
    let b_factor = Simulation { b_factor: 0.5, ..Simulation::default() };
    assert!(ask(microscope::paper(), b_factor).contains("displacements"));
    let rare = Structure::new("rare", vec![Atom { element: "Lr".parse().unwrap(), position: Point3::origin() }]);
    let options = Simulation { method: Some(Method::Multislice), n: Some(1), ..Simulation::default() };
    let error = microscope::simulate(&rare, &microscope::paper(), &options, &Task::silent()).unwrap_err().to_string();
    assert!(error.contains("displacements: #{ Lr: 0.08 }"), "{error}");
}

/// A beam tilted by a frequency of the frame can be said in two ways: as that plane wave of the frame, or as the microscope's tilt.
/// The band limit is about the beam in one, about the axis in the other, which matters the less the finer the pixels are.
#[test]
fn a_tilted_beam_sees_the_same_as_the_frame_s_own_plane_wave() {
    let atoms = Reference::new("pbse4").atoms();
    let grid = Grid { nx: 300, ny: 300, lx: 30.0, ly: 30.0 };
    let wavelength = electron::wavelength(200.0);
    let beam_tilt = [3.0, -2.0].map(|order| order / 30.0 * wavelength * 1e3);
    let tilted = Microscope { beam_tilt, ..microscope::paper() };
    let coherence = Coherence { cone: Cone::None, ..Coherence::default() };
    let render = |tilt: [i32; 2], beam: &Microscope, lens: &Microscope| {
        let multislice = Multislice::new(grid, 30.0, 1.0, 200.0, &elements(&atoms), ScatteringFactors::Kirkland)
            .tilted(beam.tilt_frequency());
        let lens = Lens::new(lens, multislice.fft(), &coherence);
        let wave = multislice
            .exit_waves(&atoms, &[multislice.beam(tilt)], &mut multislice.workspace(), &Task::silent())
            .unwrap()
            .remove(0);
        let mut pixels = Array2::zeros((300, 300));
        lens.add_image(&wave, 1.0, &mut lens.workspace(), pixels.as_slice_mut().unwrap());
        pixels
    };
    let straight = microscope::paper();
    let (of_frame, of_microscope) = (render([3, -2], &straight, &straight), render([0, 0], &tilted, &tilted));
    let error = rms_over_sd(&of_microscope, &of_frame);
    assert!(error < 1e-3, "{error}");
    let untilted = rms_over_sd(&render([0, 0], &straight, &straight), &of_frame);
    assert!(untilted > 0.1, "a tilt of {beam_tilt:?} mrad changes the image: {untilted}");
}
