//! Bonds, core and surface, pair distribution, short-range order.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pedesis::task::Cancelled;

use super::*;

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

#[test]
fn bonds_and_angles_that_do_not_exist_are_not_told() {
    let texts = run_script(
        r#"
        print(structure::bundled("pt_2.5nm").neighbours(#{ cutoff: 1.5 }).text);
        "#,
        &[],
    );
    assert_eq!(texts.status, Some(0), "{}", texts.stderr);
    assert!(texts.stdout.contains("0 bonds up to 1.50 Å, 0.00 an atom\n"), "{}", texts.stdout);
    let at = |x: f64| Atom { element: element("Pt"), position: Point3::new(x, 0.0, 0.0) };
    let of = |places: &[f64]| {
        let atoms = Structure::new("row", places.iter().map(|&x| at(x)).collect());
        neighbours(&atoms, &NeighbourOptions { cutoff: Some(3.0), unlike: None }).unwrap().to_string()
    };
    assert_eq!(of(&[0.0, 2.5]), "1 bonds up to 3.00 Å, 1.00 an atom; Pt–Pt 2.500 Å");
    let three = of(&[0.0, 2.5, 5.0]);
    assert_eq!(three, "2 bonds up to 3.00 Å, 1.33 an atom; Pt–Pt 2.500 ± 0.000 Å; angles 180.0°");
}

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
        let layers = core_shell(&shaken(&cube, sigma, 1), None, &CoreShellOptions::default()).unwrap();
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
    let layers = core_shell(&Structure::new("core", layered.collect()), None, &CoreShellOptions::default()).unwrap();
    let iron = |shell: &pedesis::model::analysis::Shell| shell.composition[0].1;
    assert_eq!((iron(&layers.shells[0]), iron(layers.shells.last().unwrap())), (0.0, 1.0));
    let mut pulls = Vec::new();
    for seed in 0..60 {
        let alloy = Alloy { composition: vec![0.4, 0.6], seed };
        let random = particle.alloyed(&[element("Fe"), element("Pt")], &alloy).unwrap();
        let layers = core_shell(&random, None, &CoreShellOptions::default()).unwrap();
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
    let layers = core_shell(&contracted, Some(&fit(&contracted, "fcc")), &CoreShellOptions::default()).unwrap();
    let (outer, inner) = (&layers.shells[0], layers.shells.last().unwrap());
    assert!(outer.bond_length.mean < inner.bond_length.mean - 5.0 * outer.bond_length.error());
    assert!((inner.bond_length.mean - 3.924 / 2f64.sqrt()).abs() < 0.002);
    assert!(outer.outward.unwrap().mean < -0.1 && outer.displacement_rms > inner.displacement_rms);
}

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

#[test]
fn the_last_bin_holds_all_its_pairs() {
    let particle = shaken(&sphere(LatticeKind::Fcc, 30.0), 0.1, 3);
    let apart = |i: usize, j: usize| (particle.atoms()[i].position - particle.atoms()[j].position).norm();
    // 25.7 bins, rounded up to 26
    let options = PairOptions { step: 0.35, max: Some(9.0), sigma: 0.0 };
    let pairs = pair_distribution(&particle, &options).unwrap();
    assert_eq!(pairs.r.len(), 26);
    let last =
        |i: usize| (0..particle.len()).filter(|&j| i != j && (25.0..26.0).contains(&(apart(i, j) / 0.35))).count();
    let counted = (0..particle.len()).map(last).sum::<usize>() as f64 / particle.len() as f64;
    let found = pairs.coordination[25] - pairs.coordination[24];
    assert!((found - counted).abs() < 1e-9, "{found} {counted}");
    // what is smeared in from beyond too
    let smeared =
        |max: f64| pair_distribution(&particle, &PairOptions { sigma: 0.4, max: Some(max), ..options.clone() });
    let (short, long) = (smeared(9.0).unwrap(), smeared(15.0).unwrap());
    assert!(short.g.iter().zip(&long.g).all(|(a, b)| (a - b).abs() < 1e-12));
}

fn order(atoms: &Structure, interior: bool) -> Vec<(f64, f64)> {
    let options = OrderOptions { interior, permutations: 100, ..OrderOptions::default() };
    let found = short_range_order(atoms, &fit(atoms, "fcc"), &options, &Task::silent()).unwrap();
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
fn random_alloys_are_the_same_on_any_number_of_threads_and_stop_when_asked() {
    let atoms = bundled("fept_2.0nm_fe50pt50").unwrap();
    let options = OrderOptions { permutations: 300, ..OrderOptions::default() };
    let fit = fit(&atoms, "fcc");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| short_range_order(&atoms, &fit, &options, &Task::silent())).unwrap()
    };
    let bits = |order: &pedesis::model::analysis::ShortRangeOrder| {
        order.orders.iter().flat_map(|one| one.random.map(f64::to_bits)).collect::<Vec<_>>()
    };
    let one = on(1);
    for threads in [2, 3, 7] {
        assert_eq!(bits(&one), bits(&on(threads)), "{threads} threads");
    }
    let stopped = Task::new(Arc::new(AtomicBool::new(true)), |_| {});
    assert_eq!(short_range_order(&atoms, &fit, &options, &stopped).unwrap_err(), Error::Cancelled(Cancelled));
}

#[test]
fn a_random_alloy_is_not_ordered_within_the_predicted_scatter() {
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
