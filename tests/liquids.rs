//! One's own liquids, from the trajectories of molecular dynamics programs, through scripts.

mod common;

use std::path::Path;

use common::{Run, folder_with, pedesis, run_script};
use pedesis::store::{self, LiquidOptions};
use proptest::prelude::*;

/// Two molecules of water and a sodium ion in a box of 12 × 13 × 14 Å, the second molecule cut by two faces.
const ATOMS: [(&str, u32, [f64; 3]); 7] = [
    ("O", 1, [5.0, 5.0, 5.0]),
    ("H", 1, [5.957, 5.0, 5.0]),
    ("H", 1, [4.76, 5.927, 5.0]),
    ("O", 2, [11.8, 6.5, 13.9]),
    ("H", 2, [0.757, 6.5, 13.9]),
    ("H", 2, [11.56, 7.427, 0.1]),
    ("Na", 3, [7.3, 4.0, 4.2]),
];
const BOX: [f64; 3] = [12.0, 13.0, 14.0];

/// `frames` frames as a dump, atoms in reverse, in these `units`; where the box begins does not matter.
fn dump(frames: usize, columns: &str, units: Option<(&str, f64)>) -> String {
    let (style, unit) = units.unwrap_or(("", 1.0));
    let mut text = if style.is_empty() { String::new() } else { format!("ITEM: UNITS\n{style}\n") };
    for frame in 0..frames {
        text += &format!("ITEM: TIMESTEP\n{frame}\nITEM: NUMBER OF ATOMS\n7\nITEM: BOX BOUNDS pp pp pp\n");
        for edge in BOX {
            text += &format!("{} {}\n", -1.0 / unit, (edge - 1.0) / unit);
        }
        text += &format!("ITEM: ATOMS {columns}\n");
        for (i, (symbol, molecule, place)) in ATOMS.iter().enumerate().rev() {
            let place: [f64; 3] = std::array::from_fn(|axis| place[axis] + 0.1 * frame as f64);
            let word = |column: &str| match column {
                "id" => (i + 1).to_string(),
                "mol" => molecule.to_string(),
                "element" => (*symbol).to_owned(),
                "type" => (["O", "H", "Na"].iter().position(|known| known == symbol).unwrap() + 1).to_string(),
                "xs" | "ys" | "zs" => {
                    let axis = usize::from(column.as_bytes()[0] - b'x');
                    format!("{:.9}", place[axis] / BOX[axis])
                }
                "x" | "y" | "z" => format!("{:.9}", place[usize::from(column.as_bytes()[0] - b'x')] / unit),
                _ => "0.5".to_owned(),
            };
            let row: Vec<String> = columns.split_whitespace().map(word).collect();
            text += &format!("{}\n", row.join(" "));
        }
    }
    text
}

fn xyz() -> String {
    let rows = ATOMS.map(|(symbol, _, [x, y, z])| format!("{symbol} {x} {y} {z}\n"));
    format!("7\nLattice=\"12 0 0 0 13 0 0 0 14\" Properties=species:S:1:pos:R:3\n{}", rows.concat())
}

fn gro(decimals: usize) -> String {
    let row = |(i, (symbol, molecule, place)): (usize, &(&str, u32, [f64; 3]))| {
        let name = if *symbol == "Na" { "NA".to_owned() } else { format!("{symbol}W") };
        let width = decimals + 5;
        let numbers = place.map(|x| format!("{:width$.decimals$}", x / 10.0)).concat();
        let residue = if *symbol == "Na" { "NA" } else { "SOL" };
        format!("{molecule:5}{residue:<5}{name:>5}{:5}{numbers}\n", i + 1)
    };
    let site = format!(
        "{:5}{:<5}{:>5}{:5}{}\n",
        2,
        "SOL",
        "MW",
        8,
        format!("{:1$.2$}", 1.0, decimals + 5, decimals).repeat(3)
    );
    let mut rows: Vec<String> = ATOMS.iter().enumerate().map(row).collect();
    rows.insert(6, site);
    format!("Water, t= 0.0\n    8\n{}   1.20000   1.30000   1.40000\n", rows.concat())
}

/// As molecular dynamics programs write it: with or without elements, in models.
fn pdb(models: usize, has_elements: bool) -> String {
    let row = |(i, (symbol, molecule, [x, y, z])): (usize, &(&str, u32, [f64; 3]))| {
        let (name, residue) =
            if *symbol == "Na" { ("NA  ".to_owned(), "NA ") } else { (format!(" {symbol:<3}"), "HOH") };
        let element = if has_elements { format!("{:>2}", symbol.to_uppercase()) } else { String::new() };
        format!(
            "ATOM  {:5} {name} {residue} A{molecule:4}    {x:8.3}{y:8.3}{z:8.3}  1.00  0.00          {element}\n",
            i + 1
        )
    };
    let atoms: String = ATOMS.iter().enumerate().map(row).collect();
    let models = (1..=models).map(|model| format!("MODEL     {model:4}\n{atoms}ENDMDL\n"));
    format!(
        "REMARK water\nCRYST1   12.000   13.000   14.000  90.00  90.00  90.00 P 1           1\n{}END\n",
        models.collect::<String>()
    )
}

/// Runs a script in a folder with one file.
fn run_with(name: &str, text: &str, script: &str) -> (Run, tempfile::TempDir) {
    let folder = folder_with(name, text);
    std::fs::write(folder.path().join("script.rhai"), script).unwrap();
    let run = pedesis(folder.path()).args(["run", "script.rhai"]).output().unwrap().into();
    (run, folder)
}

/// The atoms that a script finds in a file, which must be those above, the cut molecule whole.
fn check(name: &str, text: &str, options: &str, times: usize, tolerance: f64) {
    let script = format!(
        "let liquid = cell::liquid(\"{name}\", {options}); print(liquid.molecules()); print(liquid); liquid.save(\"read.xyz\");"
    );
    let (run, folder) = run_with(name, text, &script);
    assert_eq!(run.status, Some(0), "{name}: {}", run.stderr);
    let snapshots = format!("{times} snapshot{}", if times == 1 { "" } else { "s" });
    assert!(run.stdout.starts_with("3\n") && run.stdout.contains("12.0 × 13.0 × 14.0 Å"), "{name}: {}", run.stdout);
    assert!(run.stdout.trim_end().ends_with(&snapshots), "{name}: {}", run.stdout);
    let read = std::fs::read_to_string(folder.path().join("read.xyz")).unwrap();
    let atoms: Vec<(&str, [f64; 3])> = read
        .lines()
        .skip(2)
        .take(ATOMS.len())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0], std::array::from_fn(|axis| words[axis + 1].parse().unwrap()))
        })
        .collect();
    for ((symbol, _, place), (found, position)) in ATOMS.iter().zip(&atoms) {
        assert_eq!(symbol, found, "{name}");
        for ((found, place), edge) in position.iter().zip(place).zip(BOX) {
            let apart = (found - place) / edge;
            assert!((apart - apart.round()).abs() * edge < tolerance, "{name}: {position:?}, not {place:?}");
        }
    }
    for pair in [[3, 4], [3, 5]] {
        let [a, b] = pair.map(|i| atoms[i].1);
        let bond = (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt();
        assert!((bond - 0.98).abs() < 0.05, "{name}: a bond of {bond} Å");
    }
}

#[test]
fn dumps_are_read_whatever_their_columns_order_and_units() {
    check("a.lammpstrj", &dump(2, "id mol element xs ys zs", None), "#{}", 2, 1e-4);
    check(
        "b.dump",
        &dump(3, "x y z q type id", Some(("nano", 10.0))),
        r#"#{ elements: ["O", "H", "Na"], every: 2 }"#,
        2,
        1e-4,
    );
    check("c.dump", &dump(1, "id type x y z", None), r#"#{ elements: #{ "1": "O", "2": "H", "3": "Na" } }"#, 1, 1e-4);
}

#[test]
fn xyz_pdb_and_gro_are_read() {
    check("a.xyz", &xyz(), "#{}", 1, 1e-4);
    check("b.extxyz", &format!("{0}{0}\n", xyz()), "#{}", 2, 1e-4);
    check("c.pdb", &pdb(1, true), "#{}", 1, 1e-3);
    check("d.pdb", &pdb(3, false), "#{ every: 2 }", 2, 1e-3);
    let folder = folder_with("c.pdb", &pdb(1, true));
    let info = Run::from(pedesis(folder.path()).args(["info", "c.pdb"]).output().unwrap());
    assert!(info.stdout.contains("3 molecules in 12.0 × 13.0 × 14.0 Å"), "{} {}", info.stdout, info.stderr);
    check("e.gro", &gro(3), "#{ elements: #{ MW: () } }", 1, 6e-3);
    check("f.gro", &format!("{0}{0}", gro(6)), "#{ elements: #{ MW: () } }", 2, 1e-4);
}

#[test]
fn a_saved_liquid_is_read_back_and_fills_a_cell() {
    let run = run_script(
        r#"
        let water = cell::liquid("water");
        water.save("water.xyz");
        let again = cell::liquid("water.xyz");
        let g = |liquid| liquid.radial_distribution("O", "H", #{ r_max: 4, bin: 0.5 }).g;
        let apart = g.call(water)[5] - g.call(again)[5];
        print(water.molecules() == again.molecules() && apart.abs() < 0.001);
        let fill = |liquid| cell::build(#{ liquid: liquid }).fill(structure::bundled("fept_1.5nm"), #{ seed: 1 });
        let a = fill.call(water);
        let b = fill.call("water.xyz");
        print(a.liquid == b.liquid && a.molecules_removed == b.molecules_removed);
        "#,
        &[],
    );
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), "true\ntrue\n"), "{}", run.stderr);
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    let slanted = dump(1, "id element x y z", None).replace("-1 11\n", "-1 11 2\n");
    let cut: String = gro(3).lines().take(6).map(|line| format!("{line}\n")).collect();
    let grown = format!("{}{}", xyz(), xyz().replace("12 0 0", "12.5 0 0"));
    let cases = [
        ("a.dump", dump(1, "id type x y z", None), "a.dump, line 10: which element is type 3?"),
        ("a.dump", dump(1, "element x y z", None), "have no id"),
        ("a.dump", dump(1, "id element x y", None), "no positions x y z"),
        ("a.dump", slanted, "not rectangular"),
        ("a.dump", dump(1, "id element x y z", None).replace("pp pp pp", "pp pp ff"), "not periodic along z"),
        ("a.dump", dump(1, "id element x y z", Some(("lj", 1.0))), "line 2: units \"lj\""),
        (
            "a.dump",
            dump(1, "id element x y z", None).replace("\n7\n", "\n999999999999\n"),
            "a.dump, line 16: the file ends after this line, where atom 8",
        ),
        ("a.dump", dump(1, "id element x y z", None).replace("4 O", "5 O"), "have the id 5"),
        ("a.dump", dump(1, "id element x y z", None).replace("13.900000000", "nan"), "z must be a number, not \"nan\""),
        (
            "a.dump",
            dump(1, "id element x y z", None).replace("13.900000000", "-1e9"),
            "line 16: in the frame that ends here, z of the atom is -1e9 Å: an atom must be nearer than 1e9 Å",
        ),
        ("a.xyz", xyz().replace("Lattice", "Lattuce"), "a.xyz, line 2: the comment has no Lattice"),
        ("a.xyz", xyz().replace("14\"", "0\""), "every edge must be"),
        ("a.xyz", xyz().replace("Na", "Nq"), "line 9: \"Nq\""),
        ("a.xyz", grown, "frame 2 of the file has a box of"),
        ("a.xyz", format!("{}{}", xyz(), xyz().replace("Na", "K")), "7 are not the same element"),
        ("a.xyz", String::new(), "a.xyz is not a liquid: it has no atoms"),
        ("a.gro", gro(3), "which element is atom \"MW\""),
        ("a.gro", cut, "a.gro, line 6: the file ends after this line, where atom 5 of 8"),
        ("a.pdb", pdb(1, true).replace("CRYST1", "CRYSTX"), "no CRYST1"),
        ("a.pdb", pdb(1, true).replace("90.00  90.00  90.00", "90.00  90.00 120.00"), "angles"),
        ("a.pdb", pdb(1, true).replace("12.000   13.000   14.000", " 1.000    1.000    1.000"), "stands for no box"),
        ("a.pdb", pdb(1, true).replace("   5.000   5.000   5.000", "   5.000   5.0"), "must be a number"),
        ("a.txt", xyz(), "\"a.txt\" is not a liquid that comes with pedesis"),
        (
            "a.xyz",
            "6\nLattice=\"4 0 0 0 12 0 0 0 12\"\nC 0 1 1\nC 1.4 1 1\nC 2.8 1 1\nC 0 5 5\nC 1.4 5 5\nC 2.8 5 5\n".into(),
            "not a liquid of small molecules",
        ),
    ];
    for (name, text, message) in cases {
        let (run, _folder) = run_with(name, &text, &format!("cell::liquid(\"{name}\")"));
        assert_eq!(run.status, Some(1), "{name}: {message}");
        let stderr = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stderr.contains(message), "{message} is not in\n{}", run.stderr);
    }
    let run = run_script("cell::liquid(\"none.gro\")", &[]);
    assert!(run.status == Some(1) && run.stderr.contains("none.gro"), "{}", run.stderr);
    let (run, _folder) = run_with("a.xyz", &xyz(), "cell::liquid(\"a.xyz\", #{ every: 0 })");
    assert!(run.status == Some(1) && run.stderr.contains("at least 1"), "{}", run.stderr);
    let run = run_script("cell::liquid(\"water\", #{ every: 2 })", &[]);
    assert!(
        run.status == Some(1)
            && run.stderr.contains("cannot read a liquid from water: the name must end in .lammpstrj"),
        "{}",
        run.stderr
    );
}

proptest! {
    /// Files cut anywhere, and with any byte changed, are read or refused.
    #[test]
    fn damaged_files_never_break_the_program(which in 0usize..5, cut in 0.0..1.0f64, place in 0.0..1.0f64, byte in any::<u8>()) {
        let (name, text) = match which {
            0 => ("a.dump", dump(2, "id mol element xs ys zs", None)),
            1 => ("a.xyz", xyz()),
            2 => ("a.pdb", pdb(2, false)),
            3 => ("a.gro", gro(3)),
            _ => ("b.pdb", pdb(1, true)),
        };
        let mut bytes = text.into_bytes();
        let changed = (place * bytes.len() as f64) as usize;
        bytes[changed] = byte;
        bytes.truncate(1 + (2.0 * cut * bytes.len() as f64) as usize);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = store::read_liquid(Path::new(&path), &LiquidOptions::default()) {
            prop_assert!(error.to_string().contains(name));
        }
    }
}
