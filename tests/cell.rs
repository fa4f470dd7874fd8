//! The liquid cell through scripts: liquids, graphene, and a particle among them.

mod common;

use common::run_script;

fn output(script: &str) -> String {
    let run = run_script(script, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    run.stdout
}

fn numbers(script: &str) -> Vec<f64> {
    output(script).split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn bundled_liquids_have_the_densities_of_their_simulations() {
    let found = numbers(r#"print(cell::liquid("toluene").density()); print(cell::liquid("Water").density());"#);
    assert!((found[0] / 0.862 - 1.0).abs() < 0.005 && (found[1] / 0.997 - 1.0).abs() < 0.005, "{found:?}");
}

/// Of the same simulations by another program (all 21 snapshots, intermolecular).
#[test]
fn radial_distributions_agree_with_another_program() {
    for (liquid, element, reference) in [
        ("water", "O", [(2.75, 3.063), (3.45, 0.801), (4.45, 1.107), (8.05, 0.98)]),
        ("toluene", "C", [(3.65, 0.493), (5.05, 1.1), (6.25, 1.137), (8.05, 0.966)]),
    ] {
        let script = format!(
            r#"let found = cell::liquid("{liquid}").radial_distribution("{element}", "{element}", #{{ r_max: 9, bin: 0.1 }});
            for g in found.g {{ print(g); }}"#
        );
        let g = numbers(&script);
        for (r, expected) in reference {
            let found = g[(r / 0.1) as usize];
            assert!((found - expected).abs() < 0.03 * expected.max(1.0), "{liquid} at {r} Å: {found}, not {expected}");
        }
    }
}

#[test]
fn a_moved_liquid_is_another_with_the_same_structure() {
    let found = numbers(
        r#"
        let water = cell::liquid("water");
        let g = |liquid| liquid.radial_distribution("O", "O", #{ r_max: 5, bin: 0.2 }).g[13];
        print(g.call(water.snapshot(1)));
        print(g.call(water.snapshot(2)));
        print(g.call(water.snapshot(1)));
        print(g.call(water));
        "#,
    );
    let [first, second, again, all] = found[..] else { panic!("{found:?}") };
    assert!((first / all - 1.0).abs() < 0.1 && (second / all - 1.0).abs() < 0.1, "{found:?}");
    assert_ne!(first, second, "two liquids");
    assert_eq!(first, again, "the same seed, the same liquid");
}

/// Elements and places of the atoms of a cell, by script.
fn filled(script: &str) -> Vec<(String, [f64; 3])> {
    let folder = common::folder_with("fill.rhai", &format!("{script}\nfilled.structure.save(\"cell.xyz\");"));
    let run = common::pedesis(folder.path()).args(["run", "fill.rhai"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = std::fs::read_to_string(folder.path().join("cell.xyz")).unwrap();
    let atom = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0].to_owned(), std::array::from_fn(|axis| words[axis + 1].parse().unwrap()))
    };
    text.lines().skip(2).map(atom).collect()
}

#[test]
fn molecules_make_room_for_the_particle_and_stay_whole() {
    let script = r#"
        let particle = structure::bundled("pbse_2.5nm");
        let filled = cell::paper(#{ clearance: 2.7 }).fill(particle, #{ seed: 3, index: 5 });
        if filled.particle != particle.len() { throw "atoms of the particle are missing"; }
        if filled.molecules_removed < 40 || filled.molecules_removed > 150 { throw `${filled.molecules_removed} molecules removed`; }
        if filled.liquid_density < 0.75 || filled.liquid_density > 0.87 { throw `${filled.liquid_density} g/cm³`; }
    "#;
    let atoms = filled(script);
    let particle: Vec<&[f64; 3]> =
        atoms.iter().filter(|atom| atom.0 == "Pb" || atom.0 == "Se").map(|atom| &atom.1).collect();
    assert_eq!(particle.len(), 292);
    let carbons = atoms.iter().filter(|atom| atom.0 == "C").count();
    let hydrogens = atoms.iter().filter(|atom| atom.0 == "H").count();
    assert_eq!(hydrogens % 8, 0, "toluene is C7H8");
    let sheets = carbons - 7 * hydrogens / 8;
    assert!((sheets as f64 / 2.0 / 2500.0 / 0.3816 - 1.0).abs() < 0.03, "{sheets} atoms of graphene");
    let apart = |a: &[f64; 3], b: &[f64; 3]| {
        let step: [f64; 3] = std::array::from_fn(|axis| {
            let step = a[axis] - b[axis];
            if axis < 2 { step - (step / 50.0).round() * 50.0 } else { step }
        });
        step.iter().map(|x| x * x).sum::<f64>().sqrt()
    };
    let mut nearest = f64::MAX;
    for atom in &atoms[292..] {
        nearest = particle.iter().map(|place| apart(place, &atom.1)).fold(nearest, f64::min);
        assert!((0.9..=99.1).contains(&atom.1[2]), "an atom at height {}", atom.1[2]);
    }
    assert!((2.7..3.0).contains(&nearest), "the nearest atom of the liquid is {nearest} Å away");
}

#[test]
fn each_image_has_a_liquid_of_its_own() {
    let script = |index: usize| {
        format!(r#"let filled = cell::paper().fill(structure::bundled("fept_1.5nm"), #{{ seed: 1, index: {index} }});"#)
    };
    let [first, again, other] = [4, 4, 5].map(|index| filled(&script(index)));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn small_and_large_boxes_are_cut_or_repeated() {
    let density = |size: &str| {
        numbers(&format!(
            r#"print(cell::build(#{{ size: {size}, liquid: "water", clearance: 0 }}).fill(structure::bundled("fept_1.5nm"), #{{}}).liquid_density);"#
        ))[0]
    };
    assert!((density("[40, 30, 60]") / 0.997 - 1.0).abs() < 0.06);
    assert!((density("[70, 70, 120]") / 0.997 - 1.0).abs() < 0.04);
}

#[test]
fn what_cannot_be_a_cell_is_refused() {
    for (script, message) in [
        (r#"cell::liquid("tolulene")"#, "toluene, water"),
        (r#"cell::build(#{ size: [50, 50, -1] })"#, "positive"),
        (r#"cell::build(#{ sizes: [50, 50, 100] })"#, "size"),
        (r#"cell::build(#{ liquid: 3 })"#, "Liquid"),
        (r#"cell::paper(#{ graphene: #{ layers: 20 } })"#, "layers"),
        (r#"cell::paper(#{ clearance: -1 })"#, "clearance"),
        (
            r#"cell::build(#{ size: [50, 50, 20], graphene: #{} }).fill(structure::bundled("pbse_2.5nm"), #{})"#,
            "reaches",
        ),
        (r#"cell::liquid("water").radial_distribution("C", "O", #{})"#, "no C"),
        (r#"cell::liquid("water").radial_distribution("O", "O", #{ r_max: 30 })"#, "r_max"),
        (
            r#"microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 1, cell: cell::paper() })"#,
            "multislice",
        ),
        (
            r#"microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(#{ cell_height: 50 }), #{ method: "multislice", n: 1, cell: cell::paper() })"#,
            "cell_height: 100",
        ),
        (
            r#"microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "multislice", n: 1, size: 160, cell: cell::paper() })"#,
            "size",
        ),
    ] {
        let run = run_script(script, &[]);
        assert_eq!(run.status, Some(1), "{script}");
        assert!(run.stderr.contains(message), "{script}: {}", run.stderr);
    }
}

/// Settings of single atoms reach the simulation: one atom that swings along the beam's axis x of the particle is smeared along it.
#[test]
fn atoms_vibrate_as_the_script_says() {
    let simulate = |options: &str| {
        format!(
            r#"
            let atom = structure::bundled("fept_1.5nm");
            let microscope = microscope::paper(#{{ cell_height: 30, beam_tilt: [2, 0] }});
            let common = #{{ method: "multislice", n: 1, size: 100, slice_thickness: 2, configurations: 2, spread: "envelope" }};
            print(microscope::simulate(atom, microscope, common + {options}).radial_power().power[30]);
            "#
        )
    };
    let power = |options: &str| numbers(&simulate(options))[0];
    let (usual, surface) = (power("#{}"), power("#{ surface: #{ factor: 3, depth: 4 } }"));
    assert!(surface < 0.95 * usual, "a loose surface scatters less: {surface}, {usual}");
    let still = power("#{ temperature: 0 }");
    let given = format!("#{{ atom_displacements: [{}] }}", vec!["0.0"; 124].join(", "));
    assert_eq!(power(&given), still, "given displacements of 0 are still atoms");
    let tensors = format!("#{{ atom_displacements: [{}] }}", vec!["[0.05, 0.05, 0.05, 0, 0, 0]"; 124].join(", "));
    assert!(power(&tensors) < 0.9 * still);
    for (options, message) in [
        ("#{ atom_displacements: [0.1] }", "1 displacements of atoms are given for a particle of 124"),
        ("#{ atom_displacements: [\"0.1\"] }", "r.m.s. displacements"),
        ("#{ surface: #{ factor: -1 } }", "surface.factor"),
        ("#{ surface: #{ fakter: 1 } }", "fakter"),
        ("#{ method: \"kinematic\" }", "multislice"),
    ] {
        let run = run_script(&simulate(options), &[]);
        let stderr = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(run.status == Some(1) && stderr.contains(message), "{options}: {}", run.stderr);
    }
}
