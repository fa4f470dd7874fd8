//! What the analysis of atoms finds, against what is known of crystals, of noise and of chance.
//!
//! With `PEDESIS_FIGURES=DIR` the figures are kept there, to be looked at.

mod common;

use std::path::Path;
use std::time::Instant;

use common::{folder_with, pedesis, run_script};
use nalgebra::{Matrix3, Point3, UnitQuaternion, Vector3};
use pedesis::model::analysis::{
    CoreShellOptions, Error, LatticeFit, LatticeOptions, NeighbourOptions, OrderOptions, PairOptions, StrainOptions,
    core_shell, fit_lattice, neighbours, pair_distribution, short_range_order, strain,
};
use pedesis::random::{self, stream};
use pedesis::structure::{Alloy, Atom, Element, Lattice, LatticeKind, Sphere, Structure, bundled, bundled_names};
use rand::RngExt;
use rand_distr::StandardNormal;

/// A machine that does other things at the same time takes this many times longer.
const BUSY: f64 = 5.0;

fn element(symbol: &str) -> Element {
    symbol.parse().unwrap()
}

const KINDS: [LatticeKind; 4] =
    [LatticeKind::Fcc, LatticeKind::Rocksalt, LatticeKind::ZincBlende, LatticeKind::Wurtzite];

/// A crystal of each kind; wurtzite with constants that are not ideal.
fn crystal(kind: LatticeKind) -> (Lattice, [f64; 3]) {
    let (species, a, c, u) = match kind {
        LatticeKind::Fcc => (vec!["Pt"], 3.924, None, None),
        LatticeKind::Rocksalt => (vec!["Pb", "Se"], 6.124, None, None),
        LatticeKind::ZincBlende => (vec!["Cd", "Se"], 6.077, None, None),
        LatticeKind::Wurtzite => (vec!["Cd", "Se"], 4.30, Some(6.95), Some(0.379)),
    };
    let species: Vec<Element> = species.into_iter().map(element).collect();
    (Lattice::new(kind, &species, a, c, u).unwrap(), [a, c.unwrap_or(0.0), u.unwrap_or(0.0)])
}

fn sphere(kind: LatticeKind, diameter: f64) -> Structure {
    let options = Sphere { random_centre: true, min_neighbours: 2, seed: 5, ..Sphere::default() };
    crystal(kind).0.sphere(diameter, &options).unwrap()
}

fn mapped(structure: &Structure, map: impl Fn(Vector3<f64>) -> Vector3<f64>) -> Structure {
    let atoms = structure.atoms().iter().map(|atom| Atom { position: map(atom.position.coords).into(), ..*atom });
    Structure::new(structure.name(), atoms.collect())
}

fn shaken(structure: &Structure, sigma: f64, seed: u64) -> Structure {
    let mut rng = stream(seed, "analysis noise", 0);
    let atoms = structure.atoms().iter().map(|atom| {
        let noise = Vector3::from_fn(|_, _| sigma * rng.sample::<f64, _>(StandardNormal));
        Atom { position: atom.position + noise, ..*atom }
    });
    Structure::new(structure.name(), atoms.collect())
}

fn fit(structure: &Structure, lattice: &str) -> LatticeFit {
    fit_lattice(structure, &LatticeOptions { lattice: lattice.to_owned(), ..LatticeOptions::default() }).unwrap()
}

fn spread(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (values.len() - 1) as f64).sqrt())
}

/// What a script prints, one number a word.
fn printed(script: &str) -> Vec<f64> {
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    run.stdout
        .split_whitespace()
        .map(|word| word.parse().unwrap_or_else(|_| panic!("{word} in {}", run.stdout)))
        .collect()
}

// ---- bonds ----

#[test]
fn bonds_of_the_four_crystals_are_those_of_the_textbook() {
    let numbers = printed(
        r#"
        let crystals = [
            structure::fcc(["Pt"], 4.0), structure::rocksalt(["Pb", "Se"], 6.0),
            structure::zincblende(["Cd", "Se"], 6.0), structure::wurtzite(["Cd", "Se"], 4.0, 4.0 * (8.0 / 3.0).sqrt()),
        ];
        for crystal in crystals {
            let bonds = crystal.sphere(24, #{ min_neighbours: 2 }).rotated([1, 2, 3], 50).displaced(#{ rms: 1e-7 }).neighbours();
            let most = 0;
            for n in bonds.coordination { most = max(most, n); }
            print(`${bonds.cutoff} ${most} ${bonds.lengths.len()} ${bonds.mean_coordination} ${bonds.like_pairs}`);
        }
        "#,
    );
    // cutoff: the middle between the first and the second shell; the smoothing hides a part of the gap on both sides
    let shells = [(2f64.sqrt() * 2.0, 4.0, 12.0), (3.0, 18f64.sqrt(), 6.0), (2.598, 4.243, 4.0), (2.449, 4.0, 4.0)];
    for (row, (first, second, coordination)) in numbers.chunks(5).zip(shells) {
        assert!((row[0] - 0.5 * (first + second)).abs() < 0.08 * first, "{row:?}");
        assert_eq!((row[1], row[4]), (coordination, 0.0), "{row:?}");
        assert!(row[2] > 100.0 && row[3] < coordination);
    }
}

#[test]
fn bond_angles_of_the_crystals_are_exact() {
    for (kind, expected) in [
        (LatticeKind::Fcc, &[60usize, 90, 120, 180][..]),
        (LatticeKind::Rocksalt, &[90, 180]),
        (LatticeKind::ZincBlende, &[109]),
    ] {
        let bonds = neighbours(&sphere(kind, 25.0), &NeighbourOptions::default()).unwrap();
        let seen: Vec<usize> = (0..181).filter(|&angle| bonds.angle_counts[angle] > 0).collect();
        assert_eq!(seen, expected, "{kind}");
        if kind == LatticeKind::ZincBlende {
            let tetrahedral = (-1.0f64 / 3.0).acos().to_degrees();
            assert!((bonds.angles.mean - tetrahedral).abs() < 1e-5 && bonds.angles.deviation < 1e-4);
        }
        let whole = bonds.lists.iter().position(|list| list.len() == 12);
        if kind == LatticeKind::Fcc {
            // an atom inside has 24 pairs of neighbours at 60°, 12 at 90°, 24 at 120° and 6 at 180°
            assert!(whole.is_some());
            let alone = bonds.angle_counts[60] as f64 / bonds.angle_counts[180] as f64;
            assert!(alone > 4.0, "{alone}");
        }
    }
}

#[test]
fn coordination_agrees_with_a_double_loop_and_survives_noise() {
    for name in ["fept_2.0nm_fe50pt50", "pbse_2.5nm", "cdse_wz_2.5nm"] {
        let atoms = bundled(name).unwrap();
        let bonds = neighbours(&atoms, &NeighbourOptions::default()).unwrap();
        for (i, list) in bonds.lists.iter().enumerate() {
            let near = |j: &usize| {
                let unlike = !bonds.unlike || atoms.atoms()[*j].element != atoms.atoms()[i].element;
                *j != i && unlike && (atoms.atoms()[*j].position - atoms.atoms()[i].position).norm() <= bonds.cutoff
            };
            assert_eq!(*list, (0..atoms.len()).filter(near).collect::<Vec<_>>(), "{name}");
        }
        assert_eq!(bonds.unlike, name != "fept_2.0nm_fe50pt50");
        let ideal = bundled(&format!("{name}_ideal")).unwrap();
        let count = |structure: &Structure| neighbours(structure, &NeighbourOptions::default()).unwrap().bonds.len();
        assert_eq!(count(&shaken(&ideal, 0.08, 1)), count(&ideal), "{name}");
    }
}

// ---- lattice ----

#[test]
fn a_perfect_particle_is_fitted_exactly_in_any_rotation_at_any_place_and_of_either_hand() {
    for kind in KINDS {
        let particle = sphere(kind, 22.0);
        let [a, c, u] = crystal(kind).1;
        for index in 0..6 {
            let mut rng = stream(2, "analysis rotation", index);
            let (turn, hand) = (random::rotation(&mut rng), if index % 2 == 0 { 1.0 } else { -1.0 });
            let shift = Vector3::from_fn(|_, _| 30.0 * rng.random::<f64>());
            let moved = mapped(&particle, |r| turn * (hand * r) + shift);
            let fit = fit(&moved, "find");
            assert_eq!((fit.kind, fit.share(), fit.agreement().unwrap_or(1.0)), (kind, 1.0, 1.0), "{kind} {index}");
            assert!(fit.rms() < 1e-6 && (fit.a.value - a).abs() < 1e-6 && fit.a.error < 1e-6, "{kind}: {fit}");
            if kind == LatticeKind::Wurtzite {
                let (found_c, found_u) = (fit.c.unwrap().value, fit.u.unwrap().value);
                assert!((found_c - c).abs() < 1e-6 && (found_u - u).abs() < 1e-6, "{fit}");
            }
            // sites are where the description says, and elements where they are expected
            let lattice =
                Lattice::new(kind, crystal(kind).0.species(), a, fit.c.map(|c| c.value), fit.u.map(|u| u.value));
            let lattice = lattice.unwrap();
            for (site, atom) in fit.sites.iter().flatten().zip(moved.atoms()) {
                let basis = lattice.basis()[site.basis];
                let fractional = basis.fractional + Vector3::from(site.cell.map(f64::from));
                let place = fit.rotation * (lattice.vectors() * fractional) + fit.origin.coords;
                assert!((place - atom.position.coords).norm() < 1e-5);
                assert_eq!(lattice.species()[basis.sublattice], atom.element);
            }
        }
    }
}

#[test]
fn the_rotation_nearest_to_none_is_given() {
    for kind in KINDS {
        let turn = UnitQuaternion::from_scaled_axis(Vector3::new(0.12, -0.05, 0.08));
        let fit = fit(&mapped(&sphere(kind, 22.0), |r| turn * r), "find");
        assert!(fit.rotation.angle_to(&turn) < 1e-6, "{kind}: {}", fit.rotation.angle_to(&turn).to_degrees());
    }
}

/// Every tenth atom removed, noise of `sigma` along each axis, and some atoms that belong nowhere; the true sites of those that are left.
fn damaged(kind: LatticeKind, sigma: f64, seed: u64) -> (Structure, Vec<Point3<f64>>) {
    let mut rng = stream(seed, "analysis damage", 0);
    let turn = random::rotation(&mut rng);
    let whole = mapped(&sphere(kind, 24.0), |r| turn * r);
    let mut kept: Vec<Atom> = whole.atoms().to_vec();
    kept.retain(|_| rng.random::<f64>() > 0.1);
    let sites: Vec<Point3<f64>> = kept.iter().map(|atom| atom.position).collect();
    for atom in &mut kept {
        atom.position += Vector3::from_fn(|_, _| sigma * rng.sample::<f64, _>(StandardNormal));
    }
    while kept.len() < sites.len() + 5 {
        let position = Point3::from(Vector3::from_fn(|_, _| 26.0 * rng.random::<f64>() - 13.0));
        let is_free = kept.iter().all(|atom| (atom.position - position).norm() > 1.5);
        let is_near_a_site = whole.atoms().iter().any(|atom| (atom.position - position).norm() < 1.0);
        if is_free && !is_near_a_site {
            kept.push(Atom { element: kept[0].element, position });
        }
    }
    (Structure::new("damaged", kept), sites)
}

#[test]
fn vacancies_noise_and_extra_atoms_do_no_harm() {
    let sigma = 0.05;
    for kind in KINDS {
        for seed in 0..5 {
            let (atoms, sites) = damaged(kind, sigma, seed);
            let fit = fit(&atoms, "find");
            assert_eq!(fit.kind, kind);
            let on_sites = sites.iter().zip(&fit.sites).filter_map(|(&truth, site)| site.map(|site| (truth, site)));
            let wrong = on_sites.clone().filter(|(truth, site)| (site.position - truth).norm() > 0.03).count();
            let right = on_sites.count() - wrong;
            assert!(
                wrong <= 2 && right as f64 > 0.97 * sites.len() as f64,
                "{kind} {seed}: {right} right, {wrong} wrong of {}",
                sites.len()
            );
        }
    }
}

#[test]
fn standard_errors_of_the_constants_are_right() {
    let particle = sphere(LatticeKind::Wurtzite, 20.0);
    let [a, c, u] = crystal(LatticeKind::Wurtzite).1;
    let mut pulls = vec![Vec::new(); 3];
    for seed in 0..120 {
        let fit = fit(&shaken(&particle, 0.05, seed), "wurtzite");
        let (fitted_c, fitted_u) = (fit.c.unwrap(), fit.u.unwrap());
        pulls[0].push((fit.a.value - a) / fit.a.error);
        pulls[1].push((fitted_c.value - c) / fitted_c.error);
        pulls[2].push((fitted_u.value - u) / fitted_u.error);
    }
    for pulls in pulls {
        let (mean, deviation) = spread(&pulls);
        // 120 draws: ± 0.09 of the mean, ± 0.065 of the deviation
        assert!(mean.abs() < 0.36 && (deviation - 1.0).abs() < 0.26, "{mean} {deviation}");
    }
}

#[test]
fn relaxed_particles_are_put_on_the_sites_they_came_from() {
    let kinds =
        [("CdSe_wz", "wurtzite"), ("CdSe_zb", "zincblende"), ("PbSe", "rocksalt"), ("FePt", "fcc"), ("Pt", "fcc")];
    let mut rng = stream(4, "analysis rotation", 0);
    for name in bundled_names().into_iter().filter(|name| !name.contains("ideal")) {
        let kind = kinds.iter().find(|(start, _)| name.starts_with(start)).unwrap().1;
        let turn = random::rotation(&mut rng);
        let fit = fit(&mapped(&bundled(name).unwrap(), |r| turn * r), "find");
        assert_eq!(fit.kind.to_string(), kind, "{name}");
        assert!(fit.share() > 0.75 && fit.agreement().unwrap_or(1.0) == 1.0, "{name}: {fit}");
        // brought to the size of the unrelaxed lattice, sites are as far from each other as the unrelaxed atoms are
        let ideal = bundled(&format!("{}_ideal", name.replace("_sevennet", ""))).unwrap();
        let unrelaxed = self::fit(&ideal, "find");
        let across = unrelaxed.a.value / fit.a.value;
        let up = unrelaxed.c.map_or(across, |c| c.value / fit.c.unwrap().value);
        let scaled = |i: usize| {
            let relative = fit.rotation.inverse() * (fit.sites[i]?.position - fit.origin);
            Some((relative.component_mul(&Vector3::new(across, across, up)), ideal.atoms()[i].position))
        };
        let members: Vec<_> = (0..ideal.len()).filter_map(scaled).collect();
        let (mut same, mut all) = (0.0, 0.0);
        for (i, (site, atom)) in members.iter().enumerate() {
            for (other_site, other_atom) in &members[..i] {
                all += 1.0;
                let apart = (site - other_site).norm() - (atom - other_atom).norm();
                same += f64::from(u8::from(apart.abs() < 0.15));
            }
        }
        // one side of the disordered particle has slipped
        let least = if name.starts_with("FePt_1.8nm") { 0.85 } else { 0.97 };
        assert!(same / all > least, "{name}: {}", same / all);
    }
}

// ---- strain ----

fn against(kind: LatticeKind) -> StrainOptions {
    let [a, c, _] = crystal(kind).1;
    let c = (kind == LatticeKind::Wurtzite).then_some(c);
    StrainOptions { lattice: kind.to_string(), a: Some(a), c, ..StrainOptions::default() }
}

#[test]
fn homogeneous_strain_comes_back_exactly() {
    let applied = Matrix3::new(0.02, 0.004, -0.003, 0.004, -0.01, 0.006, -0.003, 0.006, 0.005);
    for kind in [LatticeKind::Fcc, LatticeKind::Rocksalt, LatticeKind::ZincBlende] {
        let particle = sphere(kind, 24.0);
        let stretched = mapped(&particle, |r| (Matrix3::identity() + applied) * r);
        let field = strain(&stretched, &against(kind)).unwrap();
        let known = field.atoms.iter().flatten().count();
        assert!(known as f64 > 0.8 * particle.len() as f64, "{kind}: {known} of {}", particle.len());
        for local in field.atoms.iter().flatten() {
            assert!((local.tensor - applied).norm() < 1e-7, "{kind}: {}", local.tensor);
            assert!((local.volumetric - ((Matrix3::identity() + applied).determinant() - 1.0)).abs() < 1e-7);
        }
        // turned as well: the components along the lattice's axes stay
        let turn = UnitQuaternion::from_scaled_axis(Vector3::new(0.2, 0.1, -0.15));
        let field = strain(&mapped(&stretched, |r| turn * r), &against(kind)).unwrap();
        assert!(field.atoms.iter().flatten().all(|local| (local.tensor - applied).norm() < 1e-7), "{kind}");
        // and without a reference it is the fitted lattice's own, which has the mean strain
        let options = StrainOptions { lattice: kind.to_string(), ..StrainOptions::default() };
        let field = strain(&stretched, &options).unwrap();
        let trace: f64 = (0..3).map(|i| field.summary(i).mean).sum();
        assert!(trace.abs() < 0.004, "{kind}: {trace}");
    }
}

#[test]
fn a_twist_shows_as_rotation_and_not_as_strain() {
    let particle = sphere(LatticeKind::Fcc, 26.0);
    let twist = 0.002;
    let twisted = mapped(&particle, |r| UnitQuaternion::from_scaled_axis(Vector3::z() * (twist * r.z)) * r);
    let field = strain(&twisted, &against(LatticeKind::Fcc)).unwrap();
    let rotation = |height: f64| {
        let near =
            field.atoms.iter().zip(particle.atoms()).filter(|(_, atom)| {
                (atom.position.z - height).abs() < 1.5 && atom.position.x.hypot(atom.position.y) < 4.0
            });
        spread(&near.filter_map(|(local, _)| local.map(|local| local.rotation)).collect::<Vec<_>>()).0
    };
    for height in [-9.0, 9.0] {
        assert!((rotation(height) - twist * 9.0).abs() < 0.004, "{height}: {}", rotation(height));
    }
    assert!(field.summary(2).deviation < 1e-3);
}

#[test]
fn noise_scatters_the_strain_as_predicted() {
    let sigma = 0.02;
    for kind in KINDS {
        let particle = sphere(kind, 24.0);
        let mut pulls = vec![Vec::new(); 6];
        for seed in 0..4 {
            let options = StrainOptions { sigma: Some(sigma), ..against(kind) };
            let field = strain(&shaken(&particle, sigma, seed), &options).unwrap();
            for local in field.atoms.iter().flatten() {
                let deviation = local.deviation.unwrap();
                for (pulls, place) in pulls.iter_mut().zip([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]) {
                    pulls.push(local.tensor[place] / deviation[place]);
                }
            }
        }
        for pulls in pulls {
            // u of this wurtzite is fitted, so that its own error is part of the reference
            let (mean, deviation) = spread(&pulls);
            assert!(mean.abs() < 0.1 && (deviation - 1.0).abs() < 0.07, "{kind}: {mean} {deviation}");
        }
    }
}

#[test]
fn atoms_with_too_few_neighbours_have_no_strain() {
    let mut atoms = sphere(LatticeKind::Fcc, 18.0).atoms().to_vec();
    atoms.push(Atom { element: atoms[0].element, position: Point3::new(40.0, 0.0, 0.0) });
    let field = strain(&Structure::new("one apart", atoms), &StrainOptions::default()).unwrap();
    assert!(field.atoms.last().unwrap().is_none());
    assert!(field.atoms.iter().flatten().all(|local| local.components().iter().all(|value| value.is_finite())));
    let script = r#"
        let field = structure::fcc(["Pt"], 3.92).sphere(14).strain(#{ min_neighbours: 12 });
        let none = 0;
        for value in field.xx { if value == () { none += 1; } }
        print(`${field.xx.len()} ${none} ${field.strained}`);
    "#;
    let numbers = printed(script);
    assert!(numbers[1] > 0.0 && numbers[0] == numbers[1] + numbers[2], "{numbers:?}");
}

// ---- core and surface ----

#[test]
fn the_surface_of_a_cube_is_its_outer_layer_and_a_vacancy_inside_is_none() {
    let a = 4.0;
    let (edge, mut atoms) = (4, Vec::new());
    for (i, j, k) in
        (0..=2 * edge).flat_map(|i| (0..=2 * edge).flat_map(move |j| (0..=2 * edge).map(move |k| (i, j, k))))
    {
        if (i + j + k) % 2 == 0 && (i, j, k) != (edge, edge, edge) {
            let position = Point3::new(f64::from(i), f64::from(j), f64::from(k)) * (0.5 * a);
            atoms.push(Atom { element: element("Pt"), position });
        }
    }
    let far = f64::from(edge) * a;
    let outer: Vec<bool> = atoms.iter().map(|atom| atom.position.iter().any(|&x| x == 0.0 || x == far)).collect();
    let cube = Structure::new("cube", atoms);
    for sigma in [0.0, 0.08] {
        let layers = core_shell(&shaken(&cube, sigma, 1), &CoreShellOptions::default()).unwrap();
        assert_eq!(layers.surface, outer, "{sigma}");
        // planes are half a lattice constant apart
        let deepest = layers.depths.iter().copied().fold(0.0, f64::max);
        assert!((deepest - (0.5 * far - 0.5 * a)).abs() < 1.0, "{deepest}");
    }
}

#[test]
fn composition_by_depth_finds_core_and_shell_and_its_errors_are_those_of_chance() {
    let particle = sphere(LatticeKind::Fcc, 34.0);
    let layered = particle.atoms().iter().map(|atom| {
        let symbol = if atom.position.coords.norm() > 10.0 { "Pt" } else { "Fe" };
        Atom { element: element(symbol), ..*atom }
    });
    let layers = core_shell(&Structure::new("core", layered.collect()), &CoreShellOptions::default()).unwrap();
    let iron = |shell: &pedesis::model::analysis::Shell| shell.composition[0].1;
    assert_eq!((iron(&layers.shells[0]), iron(layers.shells.last().unwrap())), (0.0, 1.0));
    let mut pulls = Vec::new();
    for seed in 0..60 {
        let alloy = Alloy { composition: vec![0.4, 0.6], seed };
        let random = particle.alloyed(&[element("Fe"), element("Pt")], &alloy).unwrap();
        let layers = core_shell(&random, &CoreShellOptions::default()).unwrap();
        let inner = layers.shells.iter().skip(1).filter(|shell| shell.atoms > 30);
        pulls.extend(inner.map(|shell| (shell.composition[0].1 - 0.4) / shell.composition[0].2));
    }
    let (mean, deviation) = spread(&pulls);
    assert!(mean.abs() < 0.2 && (0.75..1.15).contains(&deviation), "{mean} {deviation}");
}

#[test]
fn bond_lengths_and_displacements_by_depth_see_a_contracted_surface() {
    let particle = sphere(LatticeKind::Fcc, 30.0);
    let contracted = mapped(&particle, |r| if r.norm() > 12.5 { r * 0.98 } else { r });
    let options = CoreShellOptions { lattice: Some("fcc".into()), ..CoreShellOptions::default() };
    let layers = core_shell(&contracted, &options).unwrap();
    let (outer, inner) = (&layers.shells[0], layers.shells.last().unwrap());
    assert!(outer.bond_length.mean < inner.bond_length.mean - 5.0 * outer.bond_length.error());
    assert!((inner.bond_length.mean - 3.924 / 2f64.sqrt()).abs() < 0.002);
    assert!(outer.outward.unwrap().mean < -0.1 && outer.displacement_rms > inner.displacement_rms);
}

// ---- pair distribution ----

#[test]
fn peaks_of_fcc_lie_at_the_roots_of_whole_numbers_and_hold_their_neighbours() {
    let particle = sphere(LatticeKind::Fcc, 40.0);
    let a = 3.924;
    for sigma in [0.0, 0.06] {
        let options = PairOptions { sigma: 0.04, step: 0.02, max: Some(9.0) };
        let pairs = pair_distribution(&shaken(&particle, sigma, 1), &options).unwrap();
        let maxima: Vec<f64> = (1..pairs.g.len() - 1)
            .filter(|&i| pairs.g[i] > pairs.g[i - 1] && pairs.g[i] >= pairs.g[i + 1] && pairs.g[i] > 0.8)
            .map(|i| pairs.r[i])
            .collect();
        for n in 1..=6 {
            let expected = a * (f64::from(n) / 2.0).sqrt();
            let nearest = maxima.iter().map(|r| (r - expected).abs()).fold(9.0, f64::min);
            assert!(nearest < if sigma == 0.0 { 0.02 } else { 0.06 }, "{n} at {sigma}: {nearest}");
        }
        let [mean, inside, with_surface] = pairs.first_shell;
        assert!((mean - a / 2f64.sqrt()).abs() < 0.01 && (inside - 12.0).abs() < 0.15, "{mean} {inside}");
        let bonds = neighbours(&shaken(&particle, sigma, 1), &NeighbourOptions::default()).unwrap();
        assert!((with_surface - bonds.mean_coordination().mean).abs() < 1e-9);
        let end = pairs.r.iter().position(|&r| r > pairs.shell_end).unwrap();
        assert!((pairs.coordination[end] - with_surface).abs() < 0.01);
        // the integral of the curve itself
        let integral: f64 = pairs.g[..end].iter().zip(&pairs.r).map(|(g, r)| g * r * r * options.step).sum();
        assert!((4.0 * std::f64::consts::PI * pairs.density * integral - 12.0).abs() < 0.2);
        assert!((pairs.density * a.powi(3) / 4.0 - 1.0).abs() < 0.02);
    }
}

#[test]
fn far_pairs_are_as_many_as_in_a_gas_and_partials_add_up() {
    let particle = sphere(LatticeKind::Fcc, 40.0).alloyed(&[element("Fe"), element("Pt")], &Alloy::default()).unwrap();
    let options = PairOptions { step: 0.1, max: Some(30.0), sigma: 0.8 };
    let pairs = pair_distribution(&particle, &options).unwrap();
    for (&r, &g) in pairs.r.iter().zip(&pairs.g).filter(|(r, _)| (12.0..28.0).contains(*r)) {
        assert!((g - 1.0).abs() < 0.06, "{r} Å: {g}");
    }
    let count = |partial: &pedesis::model::analysis::Partial| {
        partial.elements.map(|element| particle.atoms().iter().filter(|atom| atom.element == element).count() as f64)
    };
    for bin in (0..pairs.g.len()).step_by(7) {
        let sum: f64 = pairs
            .partials
            .iter()
            .map(|partial| {
                let [one, two] = count(partial);
                one * two * partial.g[bin] * if partial.elements[0] == partial.elements[1] { 1.0 } else { 2.0 }
            })
            .sum();
        assert!((sum / (particle.len() as f64).powi(2) - pairs.g[bin]).abs() < 1e-9);
    }
}

// ---- short-range order ----

fn order(atoms: &Structure, interior: bool) -> Vec<(f64, f64)> {
    let options = OrderOptions { lattice: "fcc".into(), interior, permutations: 100, ..OrderOptions::default() };
    let found = short_range_order(atoms, &options).unwrap();
    let unlike = found.orders.iter().filter(|one| one.elements[0] != one.elements[1]);
    unlike.map(|one| (one.alpha, one.z())).collect()
}

#[test]
fn layers_of_l1_0_have_the_known_order_and_halves_avoid_each_other() {
    let fcc = sphere(LatticeKind::Fcc, 30.0);
    let fitted = fit(&fcc, "fcc");
    let layered = |is_iron: &dyn Fn(usize) -> bool| {
        let atoms = fcc.atoms().iter().enumerate();
        let atoms = atoms.map(|(i, atom)| Atom { element: element(if is_iron(i) { "Fe" } else { "Pt" }), ..*atom });
        Structure::new("ordered", atoms.collect())
    };
    // planes along z in turn: sites 0 and 3 of the cell lie at z = 0
    let l1_0 = layered(&|i| [0, 3].contains(&fitted.sites[i].unwrap().basis));
    let counts = l1_0.composition();
    let n = l1_0.len() as f64;
    let found = order(&l1_0, true);
    let expected = |alike: [f64; 3]| {
        // per shell: neighbours of the other kind of all, the same for both kinds
        let [one, two] = [counts[0].1 as f64, counts[1].1 as f64].map(|count| count / (n - 1.0));
        alike.map(|unlike| 1.0 - 2.0 * unlike / (one + two))
    };
    // shells of 12, 6 and 24 with 8, 0 and 16 unlike neighbours; both kinds have as many full shells but for the surface
    for ((alpha, _), expected) in found.iter().zip(expected([2.0 / 3.0, 0.0, 2.0 / 3.0])) {
        assert!((alpha - expected).abs() < 0.01, "{found:?} {expected}");
    }
    assert!((found[0].0 + 1.0 / 3.0).abs() < 0.01 && (found[1].0 - 1.0).abs() < 1e-9);
    let with_surface = order(&l1_0, false);
    assert!((with_surface[0].0 + 1.0 / 3.0).abs() < 0.02 && with_surface[0].1 < -10.0, "{with_surface:?}");
    let halves = order(&layered(&|i| fcc.atoms()[i].position.x > 0.0), false);
    assert!(halves.iter().all(|(alpha, z)| *alpha > 0.5 && *z > 10.0), "{halves:?}");
}

#[test]
fn a_random_alloy_is_not_ordered_even_if_one_element_gathers_at_the_surface() {
    let fcc = sphere(LatticeKind::Fcc, 22.0);
    let mut zs = vec![Vec::new(); 3];
    for seed in 0..60 {
        let random =
            fcc.alloyed(&[element("Fe"), element("Pt")], &Alloy { composition: vec![0.3, 0.7], seed }).unwrap();
        for (zs, (alpha, z)) in zs.iter_mut().zip(order(&shaken(&random, 0.05, seed), false)) {
            assert!(alpha.abs() < 0.2);
            zs.push(z);
        }
    }
    for zs in zs {
        let (mean, deviation) = spread(&zs);
        assert!(mean.abs() < 0.5 && (deviation - 1.0).abs() < 0.35, "{mean} {deviation}");
    }
}

// ---- scripts ----

#[test]
fn a_traced_model_is_analysed_like_a_structure() {
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
        print(`${atoms.neighbours().lengths.len()} ${truth.neighbours().lengths.len()}`);
        print(`${atoms.fit_lattice().a} ${truth.fit_lattice().a} ${atoms.strain().strained} ${truth.strain().strained}`);
        print(`${atoms.core_shell().depths.len()} ${atoms.pair_distribution().r.len()} ${atoms.short_range_order().text.len()}`);
    "#;
    let numbers = printed(script);
    assert!((numbers[0] - numbers[1]).abs() < 4.0 && (numbers[2] - numbers[3]).abs() < 0.003, "{numbers:?}");
    assert!((numbers[4] - numbers[5]).abs() < 4.0 && numbers[6] == 124.0, "{numbers:?}");
}

#[test]
fn what_cannot_be_analysed_is_refused_with_the_reason() {
    for (call, words) in [
        (r#"structure::bundled("pt_2.5nm").fit_lattice(#{ lattice: "bcc" })"#, "\"bcc\" is not a lattice"),
        (
            r#"structure::bundled("pt_2.5nm").fit_lattice(#{ lattice: "wurtzite" })"#,
            "wurtzite has two elements, the atoms have 1",
        ),
        (
            r#"structure::bundled("pbse_2.5nm").fit_lattice(#{ lattice: "wurtzite" })"#,
            "lie on a common wurtzite lattice",
        ),
        (r#"structure::bundled("pt_2.5nm").fit_lattice(#{ latice: "fcc" })"#, "did you mean \"lattice\""),
        (
            r#"structure::fcc(["Pt"], 3.92).sphere(2).neighbours()"#,
            "there are 1 atoms; looking for neighbours needs at least 2",
        ),
        (r#"structure::fcc(["Pt"], 3.92).sphere(2).core_shell()"#, "needs at least 4"),
        (r#"structure::bundled("pt_2.5nm").neighbours(#{ cutoff: 1e9 })"#, "cutoff is 1000000000"),
        (r#"structure::bundled("pt_2.5nm").strain(#{ a: 9 })"#, "a is 9; it must be within 20 %"),
        (r#"structure::bundled("pt_2.5nm").short_range_order()"#, "order is between elements"),
        (r#"structure::bundled("pt_2.5nm").pair_distribution(#{ max: 500 })"#, "max is 500"),
        (r#"structure::bundled("pt_2.5nm").pair_distribution(#{ step: 1e-9 })"#, "step is 0.000000001"),
        (r#"structure::bundled("fept_1.5nm").short_range_order(#{ shells: 0 })"#, "shells is 0"),
        (r#"structure::bundled("pt_2.5nm").core_shell(#{ width: -1 })"#, "width is -1"),
        (r#"plot::strain(structure::bundled("pt_2.5nm"), #{ component: "x" })"#, "one of xx, yy"),
        (r#"plot::strain(structure::bundled("pt_2.5nm"), #{ componen: "xx" })"#, "unknown option \"componen\""),
        (r#"model::neighbours(5)"#, "atoms are a Model or a Structure"),
    ] {
        let run = run_script(&format!("print({call});"), &[]);
        assert_eq!(run.status, Some(1), "{call}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{call}: {}", run.stderr);
    }
    let at = |x: f64| Atom { element: element("Pt"), position: Point3::new(x, 0.0, 0.0) };
    let of = |places: &[f64]| {
        neighbours(&Structure::new("bad", places.iter().map(|&x| at(x)).collect()), &NeighbourOptions::default())
    };
    assert_eq!(of(&[1.0, 1.0, 3.0]).unwrap_err(), Error::SamePlace { first: 0, second: 1 });
    assert!(matches!(of(&[1.0, f64::NAN]).unwrap_err(), Error::Position { index: 1, .. }));
    assert!(matches!(of(&[1.0, 1e12]).unwrap_err(), Error::Position { index: 1, .. }));
    // atoms on a line, and atoms of no lattice
    let line = Structure::new("line", (0..40).map(|i| at(2.7 * f64::from(i))).collect());
    assert!(fit_lattice(&line, &LatticeOptions::default()).is_err());
    let mut rng = stream(9, "analysis", 0);
    let cloud = (0..200).map(|_| Atom {
        element: element("Pt"),
        position: Point3::from(Vector3::from_fn(|_, _| 16.0 * rng.random::<f64>())),
    });
    assert!(fit_lattice(&Structure::new("gas", cloud.collect()), &LatticeOptions::default()).is_err());
}

#[test]
fn the_script_writes_its_figures_and_tables() {
    let folder = folder_with(
        "read.rhai",
        r#"
        let run = store::read("out/analysis.h5");
        print(`${run.lattice.a} ${run.lattice.table.displacement_pm.len()} ${run.core_shell.shells.atoms.len()} ${run.atoms.len()}`);
    "#,
    );
    let particle = mapped(&bundled("cdse_zb_2.5nm").unwrap(), |r| {
        UnitQuaternion::from_scaled_axis(Vector3::new(1.0, 0.4, 0.2)) * r
    });
    std::fs::write(folder.path().join("atoms.xyz"), particle.to_xyz()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/analysis.rhai");
    let output = pedesis(folder.path())
        .arg("run")
        .arg(script)
        .args(["atoms=atoms.xyz", "a=6.077", "sigma=0.01", "out=out"])
        .output();
    let run: common::Run = output.unwrap().into();
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("CdSe zincblende: a = ") && run.stdout.contains("volumetric"), "{}", run.stdout);
    let figures = [
        "neighbours",
        "pair_distribution",
        "displacements",
        "strain_volumetric",
        "strain_xx",
        "strain_rotation",
        "short_range_order",
        "core_shell",
    ];
    for figure in figures.map(|name| format!("{name}.png")) {
        let path = folder.path().join("out").join(&figure);
        assert!(path.exists(), "{figure}");
        if let Some(kept) = std::env::var_os("PEDESIS_FIGURES") {
            std::fs::copy(path, Path::new(&kept).join(figure)).unwrap();
        }
    }
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("out/analysis.json")).unwrap()).unwrap();
    assert_eq!(json["lattice"]["lattice"], "zincblende");
    assert_eq!(json["lattice"]["table"].as_array().unwrap().len(), 278);
    let run: common::Run = pedesis(folder.path()).args(["run", "read.rhai"]).output().unwrap().into();
    let numbers: Vec<f64> = run.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(
        (numbers[0] - json["lattice"]["a"].as_f64().unwrap()).abs() < 1e-9
            && numbers[1] == 278.0
            && numbers[3] == 278.0
    );
}

#[test]
fn five_thousand_atoms_take_less_than_a_second_each() {
    let atoms = sphere(LatticeKind::Fcc, 53.0).alloyed(&[element("Fe"), element("Pt")], &Alloy::default()).unwrap();
    assert!(atoms.len() > 5000);
    let timed = |what: &str, work: &dyn Fn()| {
        let start = Instant::now();
        work();
        let seconds = start.elapsed().as_secs_f64();
        println!("{what}: {seconds:.2} s");
        assert!(seconds < BUSY, "{what} took {seconds} s");
    };
    timed("neighbours", &|| drop(neighbours(&atoms, &NeighbourOptions::default())));
    timed("fit_lattice", &|| drop(fit_lattice(&atoms, &LatticeOptions::default())));
    timed("strain", &|| drop(strain(&atoms, &StrainOptions { lattice: "fcc".into(), ..StrainOptions::default() })));
    timed("core_shell", &|| drop(core_shell(&atoms, &CoreShellOptions::default())));
    timed("pair_distribution", &|| drop(pair_distribution(&atoms, &PairOptions::default())));
    timed("short_range_order", &|| {
        drop(short_range_order(&atoms, &OrderOptions { lattice: "fcc".into(), ..OrderOptions::default() }))
    });
}
