//! Lattice and strain.

use super::*;

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

fn against(kind: LatticeKind) -> StrainOptions {
    let [a, c, _] = crystal(kind).1;
    let c = (kind == LatticeKind::Wurtzite).then_some(c);
    StrainOptions { a: Some(a), c, ..StrainOptions::default() }
}

/// The strain on the lattice of this kind.
fn strained(atoms: &Structure, kind: LatticeKind, options: &StrainOptions) -> StrainField {
    strain(atoms, &fit(atoms, &kind.to_string()), options).unwrap()
}

#[test]
fn homogeneous_strain_comes_back_exactly() {
    let applied = Matrix3::new(0.02, 0.004, -0.003, 0.004, -0.01, 0.006, -0.003, 0.006, 0.005);
    for kind in [LatticeKind::Fcc, LatticeKind::Rocksalt, LatticeKind::ZincBlende] {
        let particle = sphere(kind, 24.0);
        let stretched = mapped(&particle, |r| (Matrix3::identity() + applied) * r);
        let field = strained(&stretched, kind, &against(kind));
        let known = field.atoms.iter().flatten().count();
        assert!(known as f64 > 0.8 * particle.len() as f64, "{kind}: {known} of {}", particle.len());
        for local in field.atoms.iter().flatten() {
            assert!((local.tensor - applied).norm() < 1e-7, "{kind}: {}", local.tensor);
            assert!((local.volumetric - ((Matrix3::identity() + applied).determinant() - 1.0)).abs() < 1e-7);
        }
        // turned as well: the components along the lattice's axes stay
        let turn = UnitQuaternion::from_scaled_axis(Vector3::new(0.2, 0.1, -0.15));
        let field = strained(&mapped(&stretched, |r| turn * r), kind, &against(kind));
        assert!(field.atoms.iter().flatten().all(|local| (local.tensor - applied).norm() < 1e-7), "{kind}");
        // and without a reference it is the fitted lattice's own, which has the mean strain
        let field = strained(&stretched, kind, &StrainOptions::default());
        let trace: f64 = (0..3).map(|i| field.summary(i).mean).sum();
        assert!(trace.abs() < 0.004, "{kind}: {trace}");
    }
}

#[test]
fn a_twist_shows_as_rotation_and_not_as_strain() {
    let particle = sphere(LatticeKind::Fcc, 26.0);
    let twist = 0.002;
    let twisted = mapped(&particle, |r| UnitQuaternion::from_scaled_axis(Vector3::z() * (twist * r.z)) * r);
    let field = strained(&twisted, LatticeKind::Fcc, &against(LatticeKind::Fcc));
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
            let field = strained(&shaken(&particle, sigma, seed), kind, &options);
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
    let field = strained(&Structure::new("one apart", atoms), LatticeKind::Fcc, &StrainOptions::default());
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

#[test]
fn a_lattice_is_found_once_and_given_to_what_needs_it() {
    for (name, kind) in [("pt_2.5nm", "fcc"), ("pbse_2.5nm", "rocksalt"), ("cdse_wz_2.5nm", "wurtzite")] {
        let script = format!(
            r#"
            let atoms = structure::bundled("{name}");
            let fit = atoms.fit_lattice(#{{ lattice: "{kind}" }});
            for find in [|options| atoms.strain(options), |options| atoms.core_shell(options)] {{
                let given = find.call(#{{ lattice: fit }});
                let fitted = find.call(#{{ lattice: "{kind}" }});
                print(`${{given.table.to_string() == fitted.table.to_string()}} ${{given.text == fitted.text}}`);
            }}
            print(atoms.core_shell(#{{ lattice: fit }}).shells.info().contains("outward_pm"));
            plot::displacements(atoms, #{{ lattice: fit, range: 5 }});
            let turned = atoms.rotated([0, 0, 1], 30);
            for wrong in [|| turned.strain(#{{ lattice: fit }}), || structure::bundled("fept_1.5nm").core_shell(#{{ lattice: fit }}),
                || atoms.strain(#{{ lattice: fit, tolerance: 0.3 }}), || atoms.strain(#{{ lattice: #{{ lattice: "fcc" }} }})] {{
                try {{ wrong.call(); print("taken"); }} catch (error) {{ print(error); }}
            }}
            "#
        );
        let run = run_script(&script, &[]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert_eq!(lines[..3], ["true true", "true true", "true"], "{name}: {}", run.stdout);
        assert!(lines[3..5].iter().all(|line| line.contains("not that of these atoms")), "{name}: {}", run.stdout);
        assert!(lines[5].contains("\"tolerance\" is for a lattice that is to be fitted"), "{name}: {}", run.stdout);
        assert!(lines[6].contains("the map that fit_lattice gave"), "{name}: {}", run.stdout);
    }
}
