//! Atoms in the formats of crystallographers, through scripts: PDB, CIF and POSCAR.

mod common;

use std::f64::consts::PI;
use std::fs;
use std::path::Path;

use common::{Run, folder_with, pedesis, run_script};
use nalgebra::Point3;
use pedesis::store::{self, StoredModel, Value};
use pedesis::structure::{Atom, Element, Structure};
use pedesis::task::Task;
use proptest::prelude::*;

/// Runs a script in a folder.
fn run(folder: &Path, script: &str) -> Run {
    fs::write(folder.join("script.rhai"), script).unwrap();
    pedesis(folder).args(["run", "script.rhai"]).output().unwrap().into()
}

/// What a script that must fail says, without line breaks.
fn complaint(folder: &Path, script: &str) -> String {
    let run = run(folder, script);
    assert_eq!(run.status, Some(1), "{script}: {}", run.stdout);
    run.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn refined_atoms_take_probability_and_uncertainty_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        let truth = structure::bundled("fept_1.5nm");
        let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 })
            .invert().add_noise(#{ snr: 1, seed: 1 });
        let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
        let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
        let traced = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
        let atoms = model::refine(traced, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 }).atoms;
        for ending in ["xyz", "pdb", "cif"] {
            atoms.save(`atoms.${ending}`);
            let read = store::structure(`atoms.${ending}`);
            let result = read.compare(atoms.structure());
            print(result.found == atoms.len() && result.extra == 0 && result.species_accuracy == 1.0 && result.rmsd_pm < 0.06);
            print((read.positions()[0][2] - atoms.structure().positions()[0][2]).abs() < 0.00051);
        }
        traced.save("traced.pdb");
        traced.save("traced.cif");
        let columns = atoms.columns();
        for i in [0, 50, 100] { print(columns.probability[i]); print(columns.sigma_A[i]); }
    "#;
    let run = run(folder.path(), script);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(&lines[..6], ["true"; 6], "{}", run.stdout);
    let numbers: Vec<f64> = lines[6..].iter().map(|line| line.parse().unwrap()).collect();
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let (pdb, cif) = (text("atoms.pdb"), text("atoms.cif"));
    let pdb: Vec<&str> = pdb.lines().filter(|line| line.starts_with("HETATM")).collect();
    let cif: Vec<Vec<&str>> = cif.lines().map(|line| line.split_whitespace().collect()).collect();
    let cif: Vec<&Vec<&str>> =
        cif.iter().filter(|words| words.len() == 10 && ["Fe", "Pt"].contains(&words[1])).collect();
    for (i, known) in [0, 50, 100].into_iter().zip(numbers.chunks(2)) {
        let (probability, sigma) = (known[0], known[1]);
        assert!(sigma > 0.0 && sigma < 0.5, "{sigma}");
        let column = |from: usize, to: usize| pdb[i][from..to].trim().parse::<f64>().unwrap();
        assert!((column(54, 60) - probability).abs() < 0.0051, "{}", pdb[i]);
        assert!((column(60, 66) - 8.0 * PI * PI * sigma * sigma).abs() < 0.0051, "{}", pdb[i]);
        let word = |at: usize| cif[i][at].parse::<f64>().unwrap();
        assert!((word(8) - probability).abs() < 1e-4 && (word(9) - sigma * sigma).abs() < 1e-8, "{:?}", cif[i]);
    }
    assert!(text("traced.pdb").contains("B FACTOR: 0.00") && !text("traced.cif").contains("U_iso"));
}

#[test]
fn what_does_not_fit_into_a_pdb_file_is_refused_and_says_where_it_would() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).exists();
    let large =
        r#"let large = structure::rocksalt(["Pb", "Se"], 6.124).sphere(180); print(large.len()); large.save("a.pdb");"#;
    let said = complaint(folder.path(), large);
    assert!(said.contains("a.pdb: a PDB file numbers at most 99999 atoms, these are 10"), "{said}");
    assert!(said.contains("save as .xyz or .cif"), "{said}");
    fs::write(folder.path().join("far.xyz"), "2\n\nPt 0 0 0\nPt 0 -999.9996 0\n").unwrap();
    let said = complaint(folder.path(), r#"store::structure("far.xyz").save("a.pdb")"#);
    assert!(said.contains("y of atom 2 (Pt) is -999.9996, which the columns of a PDB file cannot hold"), "{said}");
    assert!(!at("a.pdb"));
    let fine =
        run(folder.path(), r#"store::structure("far.xyz").save("a.cif"); print(store::structure("a.cif").info());"#);
    assert!(fine.stdout.ends_with("atoms at least 1000.00 Å apart\n"), "{} {}", fine.stdout, fine.stderr);
    fs::write(folder.path().join("far.xyz"), "2\n\nPt 0 0 0\nPt 0 0 2e5\n").unwrap();
    let said = complaint(folder.path(), r#"store::structure("far.xyz").save("b.cif")"#);
    assert!(said.contains("the atoms are spread over 200010 Å") && said.contains("save as .xyz"), "{said}");
    assert!(!at("b.cif"));
}

#[test]
fn numbers_that_are_none_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = |x: f64, probability: f64, sigma: f64| {
        let atom = Atom { element: "Pt".parse().unwrap(), position: Point3::new(x, 0.0, 0.0) };
        let columns = [("probability".to_owned(), vec![probability]), ("sigma_A".to_owned(), vec![sigma])];
        Value::Model(StoredModel {
            structure: Structure::new("Pt µ ", vec![atom]),
            columns: columns.into(),
            rejected: [].into(),
        })
    };
    let refused = |name: &str, value: Value, said: &str| {
        let message =
            store::save(&path(name), &value, &store::Provenance::default(), &Task::silent()).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains(name), "{message}");
        assert!(!path(name).exists());
    };
    refused("a.pdb", model(f64::NAN, 1.0, 0.1), "x of atom 1 (Pt) is NaN");
    refused("a.cif", model(f64::INFINITY, 1.0, 0.1), "the position of atom 1 is not finite");
    refused("a.pdb", model(0.0, f64::NAN, 0.1), "the probability of the element of atom 1 (Pt) is NaN");
    refused("a.pdb", model(0.0, 1.0, f64::INFINITY), "the B factor of atom 1 (Pt) is inf");
    refused("a.pdb", model(0.0, 1.0, 3.6), "the B factor of atom 1 (Pt) is 1023.");
    let nothing = || Value::Structure(Structure::new("nothing", Vec::new()));
    refused("a.pdb", nothing(), "there are no atoms");
    refused("a.cif", nothing(), "there are no atoms");
    store::save(&path("b.cif"), &model(0.0, f64::NAN, f64::INFINITY), &store::Provenance::default(), &Task::silent())
        .unwrap();
    let text = fs::read_to_string(path("b.cif")).unwrap();
    assert!(text.is_ascii() && text.contains("\ndata_Pt___\n") && text.ends_with(" ? ?\n"), "{text}");
    store::save(&path("b.pdb"), &model(-999.999, 1.0, 3.55), &store::Provenance::default(), &Task::silent()).unwrap();
    assert!(fs::read_to_string(path("b.pdb")).unwrap().is_ascii());
}

const PDB: &str = "\
REMARK two atoms
HETATM    1 PT   UNX A   1       1.000   2.000   3.000  1.00  0.00          PT
HETATM    2 FE   UNX A   2       4.000   2.000   3.000  1.00  0.00          FE
END
";

const CIF: &str = "\
data_pair
_cell_length_a 6.0(1)
_cell_length_b 6
_cell_length_c 6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P -1'
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'-x, -y, -z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Pt1 Pt 0 0 0
Fe1 Fe3+ 0.25 0.5 .5(2)
";

const POSCAR: &str = "pair\n1.0\n6 0 0\n0 6 0\n0 0 6\nPt Fe\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n";

#[test]
fn a_files_ending_or_name_says_how_it_is_read() {
    for (name, text, atoms, described) in [
        ("a.pdb", PDB, "2 atoms (Fe1Pt1)", "PDB structure"),
        ("a.PDB", PDB, "2 atoms (Fe1Pt1)", "PDB structure"),
        ("a.cif", CIF, "3 atoms (Fe2Pt1)", "cell           6.000 × 6.000 × 6.000 Å, 90.0°, 90.0°, 90.0°"),
        ("a.vasp", POSCAR, "2 atoms (Fe1Pt1)", "POSCAR structure"),
        ("POSCAR", POSCAR, "2 atoms (Fe1Pt1)", "cell           6.000"),
        ("CONTCAR.relaxed", POSCAR, "2 atoms (Fe1Pt1)", "within 2.6 Å of their centre"),
    ] {
        let folder = folder_with(name, text);
        let read = run(folder.path(), &format!("print(store::structure(\"{name}\")); print(store::info(\"{name}\"));"));
        assert!(
            read.stdout.contains(atoms) && read.stdout.contains(described),
            "{name}: {} {}",
            read.stdout,
            read.stderr
        );
        let info = Run::from(pedesis(folder.path()).args(["info", name]).output().unwrap());
        assert!(info.stdout.contains(described) && info.status == Some(0), "{name}: {} {}", info.stdout, info.stderr);
    }
    let folder = folder_with("a.doc", PDB);
    let said = complaint(folder.path(), "store::structure(\"a.doc\")");
    assert!(
        said.contains("must end in .xyz, .pdb, .cif, .vasp, .poscar, .json or .h5, or begin with POSCAR"),
        "{said}"
    );
    let info = Run::from(pedesis(folder.path()).args(["info", "a.doc"]).output().unwrap());
    assert!(info.stderr.contains(".pdb, .cif, .vasp") && info.status == Some(1), "{}", info.stderr);
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    let without =
        |names: &str| CIF.lines().filter(|line| !line.starts_with(names)).map(|line| format!("{line}\n")).collect();
    let two = [CIF, &CIF.replace("data_pair", "data_other")].concat();
    let mmcif = "data_1ABC\n_cell.length_a 5\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 2.0\n";
    let cases: [(&str, String, &str); 27] = [
        ("a.pdb", String::new(), "a.pdb does not hold a particle: no line begins with ATOM or HETATM"),
        ("a.pdb", PDB[..120].to_owned(), "a.pdb, line 3: \"HETATM"),
        ("a.pdb", PDB[..120].to_owned(), "is too short for an atom"),
        ("a.pdb", PDB.replace("4.000", "  nan"), "line 3: x must be a number, not \"nan\""),
        ("a.pdb", PDB.replace("          FE", "          QQ"), "line 3: \"QQ\" is not the symbol of an element"),
        ("a.pdb", PDB.repeat(2), "line 6: a second model begins here"),
        ("a.cif", String::new(), "no data_ block has atoms"),
        (
            "a.cif",
            CIF[..CIF.len() - 7].to_owned(),
            "line 20: the loop of _atom_site_label ends here in the middle of a row",
        ),
        (
            "a.cif",
            CIF.lines().take(18).map(|line| format!("{line}\n")).collect(),
            "line 13: the loop of _atom_site_label has no values",
        ),
        ("a.cif", CIF.replace("0.25", "nan"), "line 20: _atom_site_fract_x must be a number, not \"nan\""),
        (
            "a.cif",
            CIF.replace("0.25", "?"),
            "line 20: the site has no _atom_site_fract_x: add it, or leave the site out",
        ),
        ("a.cif", CIF.replace("Fe3+", "Xx3+"), "line 20: \"Xx3+\" (_atom_site_type_symbol) names no element"),
        ("a.cif", without("_cell"), "line 1: data_pair has no cell (_cell_length_a"),
        ("a.cif", without("_cell_angle_beta"), "line 2: the cell that begins here has no _cell_angle_beta"),
        ("a.cif", CIF.replace("gamma 90", "gamma 180"), "line 2: no cell has the edges"),
        ("a.cif", CIF.replace("6.0(1)", "?"), "line 3: the cell that begins here has no _cell_length_a"),
        ("a.cif", CIF.replace("'-x, -y, -z'", "'-x, -y, -w'"), "line 12: \"-x, -y, -w\" is not a symmetry operation"),
        (
            "a.cif",
            CIF.replace("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-x, -y, -z'\n", ""),
            "line 8: the space group is \"P -1\", but its operations are not listed",
        ),
        (
            "a.cif",
            CIF.replace("0.25 0.5 .5(2)", "0 0 0.01"),
            "line 20: atoms of the sites Pt1 and Fe1 are 0.06 Å apart",
        ),
        ("a.cif", CIF.replace("0.25 0.5", "0.03 0.5"), "atoms of the sites Fe1 and Fe1 are 0.36 Å apart"),
        ("a.cif", two, "line 21: data_pair, data_other have atoms: leave one of them in the file"),
        ("a.cif", mmcif.to_owned(), "this is mmCIF, the format of macromolecules"),
        ("a.vasp", String::new(), "a.vasp does not hold a particle: it is empty"),
        ("a.vasp", POSCAR.replace("Pt Fe\n", ""), "line 6: counts stand here, where VASP 5 names the elements"),
        (
            "a.vasp",
            POSCAR.replace("0.5 0.5 0.5\n", ""),
            "line 9: the file ends after this line, where atom 2 of 2 must follow",
        ),
        ("POSCAR", POSCAR.replace("1 1\n", "0 0\n"), "line 8: there are no atoms"),
        ("CONTCAR", POSCAR.replace("0.5 0.5 0.5", "0.5 NaN 0.5"), "CONTCAR, line 10: y must be a number, not \"NaN\""),
    ];
    for (name, text, message) in cases {
        let folder = folder_with(name, &text);
        let said = complaint(folder.path(), &format!("store::structure(\"{name}\")"));
        assert!(said.contains(message), "{message} is not in\n{said}");
    }
    let missing = run_script("store::structure(\"none.cif\")", &[]);
    assert!(missing.stderr.contains("cannot read none.cif: No such file"), "{}", missing.stderr);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_particle_comes_back_from_pdb_and_cif(
        atoms in proptest::collection::vec((1u8..=103, -999.0..9999.0f64, proptest::array::uniform2(-99.0..99.0f64)), 1..40),
    ) {
        let atom = |(i, (number, x, [y, z])): (usize, &(u8, f64, [f64; 2]))| Atom {
            element: Element::from_atomic_number(*number).unwrap(),
            // no two in one place
            position: Point3::new(*x, *y, z + 200.0 * i as f64),
        };
        let structure = Structure::new("any", atoms.iter().enumerate().map(atom).collect());
        let folder = tempfile::tempdir().unwrap();
        for (name, tolerance) in [("any.pdb", 5.001e-4), ("any.cif", 5.001e-7)] {
            let path = folder.path().join(name);
            store::save(&path, &Value::Structure(structure.clone()), &store::Provenance::default(), &Task::silent()).unwrap();
            let read = store::read_structure(&path).unwrap();
            prop_assert_eq!(read.len(), structure.len());
            for (found, expected) in read.atoms().iter().zip(structure.atoms()) {
                prop_assert_eq!(found.element, expected.element);
                prop_assert!((found.position - expected.position).amax() < tolerance, "{:?} {:?}", found, expected);
            }
        }
    }

    /// Files cut anywhere, and with any byte changed, are read or refused.
    #[test]
    fn damaged_files_never_break_the_program(which in 0usize..4, cut in 0.0..1.0f64, place in 0.0..1.0f64, byte in any::<u8>()) {
        let (name, text) = [("a.pdb", PDB), ("a.cif", CIF), ("a.vasp", POSCAR), ("POSCAR", POSCAR)][which];
        let mut bytes = text.as_bytes().to_vec();
        let changed = (place * bytes.len() as f64) as usize;
        bytes[changed] = byte;
        bytes.truncate(1 + (2.0 * cut * bytes.len() as f64) as usize);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        if let Err(error) = store::read_structure(&path) {
            prop_assert!(error.to_string().contains(name));
        }
    }
}
