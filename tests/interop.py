"""Python's readers and writers against those of pedesis; called by tests/store/interop.rs.

    interop.py check FOLDER    open what pedesis wrote there, and compare with the formulas below
    interop.py make FOLDER     write there what pedesis shall read
    interop.py liquids FOLDER  write liquids there, or if pedesis has read and written them, compare
    interop.py structures FOLDER
                               open the atoms that pedesis wrote there and write others, or if pedesis has read and written them, compare
    interop.py project FOLDER  reproduce images.mrcs there from the angles in poses.star and the atoms in atoms.xyz

Prints "ok", or fails with what differs.
"""

import io
import json
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import ase
import ase.io
import ase.io.cif
import h5py
import mrcfile
import numpy as np
from ase.constraints import FixAtoms
from ase.geometry import get_distances
from ase.spacegroup import Spacegroup, crystal

warnings.simplefilter("error")  # a warning of a reader is a fault of the file


def wave(n, y, x):
    n, y, x = np.ogrid[:n, :y, :x]
    return np.sin(0.1 * n + 0.2 * y + 0.3 * x).astype(np.float32)


IMAGES, VOLUME = wave(5, 12, 12), wave(9, 9, 9)
I = np.arange(10)
POSITIONS = np.stack([1.5 * I, -0.25 * I, 0.001 * I**2], axis=1)
SYMBOLS = ["Pt" if i % 3 == 0 else "Fe" for i in I]


def close(found, expected, tolerance=1e-6):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def check_mrc(path, data, voxel, is_stack):
    report = io.StringIO()
    assert mrcfile.validate(path, print_file=report), report.getvalue()
    with mrcfile.open(path) as mrc:
        assert mrc.data.dtype == np.float32
        close(mrc.data, data)
        assert mrc.is_image_stack() == is_stack and mrc.is_volume() != is_stack
        assert int(mrc.header.ispg) == (0 if is_stack else 1)
        close([mrc.voxel_size.x, mrc.voxel_size.y], voxel)
        if not is_stack:
            close(mrc.voxel_size.z, voxel)
        close(float(mrc.header.dmin), data.min())
        close(float(mrc.header.dmax), data.max())
        close(float(mrc.header.dmean), data.mean(dtype=np.float64))
        close(float(mrc.header.rms), data.std(dtype=np.float64))


def check_poses(group):
    quaternions = np.array([[1, 0, i, 2] for i in range(5)], dtype=float)
    quaternions /= np.linalg.norm(quaternions, axis=1)[:, None]
    close(group["quaternions"], quaternions, 1e-14)
    close(group["shifts"], [[0.5 * i, -1] for i in range(5)], 1e-14)
    close(group["scores"], 0.1 * np.arange(5), 1e-14)
    assert group["shifts"].attrs["units"] == "Å"


def check_h5(path):
    with h5py.File(path) as file:
        images = file["images"]
        assert images.attrs["pedesis_type"] == "images" and images.attrs["pixel_size"] == 0.25
        assert images["data"].chunks == (1, 12, 12) and images["data"].dtype == np.float32
        close(images["data"], IMAGES)
        check_poses(images["true_poses"])
        close(file["volume/data"], VOLUME)
        atoms = file["atoms"]
        close(atoms["positions"], POSITIONS, 1e-12)
        assert list(atoms["symbols"].asstr()) == SYMBOLS and atoms.attrs["name"] == "ten atoms"
        assert list(atoms["atomic_numbers"]) == [78 if symbol == "Pt" else 26 for symbol in SYMBOLS]
        assert list(file["run/fsc"]) == [1, 0.5, 0.25]
        assert file["run/note"].asstr()[()] == "pm: 1e-12 m"
        assert file["rmsd_pm"][()] == 7.5 and file["found"][()] == 124 and file["doubtful"][()] == True
        assert list(file["species"].asstr()) == ["Fe", "Pt"]
        origin = file["provenance"]
        assert origin["script"].asstr()[()] == 'print("Å");'
        assert origin.attrs["script_path"] == "a.rhai" and origin.attrs["seed"] == 7
        assert json.loads(origin.attrs["arguments"]) == {"seed": 7}


def check(folder):
    check_mrc(folder / "images.mrcs", IMAGES, 0.25, is_stack=True)
    check_mrc(folder / "volume.mrc", VOLUME, 0.3, is_stack=False)
    atoms = ase.io.read(folder / "atoms.xyz")
    assert atoms.get_chemical_symbols() == SYMBOLS and not atoms.pbc.any()
    close(atoms.positions, POSITIONS)
    close(atoms.arrays["intensity"], 0.5 + 0.1 * I)
    rows = (folder / "atoms.xyz").read_text().splitlines()[2:]
    assert [row.split()[0] for row in rows] == SYMBOLS
    close([[float(word) for word in row.split()[1:4]] for row in rows], POSITIONS)
    check_h5(folder / "run.h5")


def make_mrc(path, data, is_stack=True):
    with mrcfile.new(path) as mrc:
        mrc.set_data(data)
        if is_stack:
            mrc.set_image_stack()
        mrc.voxel_size = 0.25


def make(folder):
    make_mrc(folder / "int8.mrcs", np.rint(100 * IMAGES).astype(np.int8))
    make_mrc(folder / "int16.mrcs", np.rint(1000 * IMAGES).astype(np.int16))
    make_mrc(folder / "float32.mrcs", IMAGES)
    make_mrc(folder / "float32_big.mrcs", IMAGES.astype(">f4"))
    make_mrc(folder / "volume.mrc", VOLUME, is_stack=False)
    with h5py.File(folder / "stack.h5", "w") as file:
        stack = file.create_dataset("entry/frames", data=IMAGES.astype(np.float64), chunks=True, compression="gzip")
        stack.attrs["pixel_size"] = 0.25
    with h5py.File(folder / "values.h5", "w") as file:
        file["text"], file["fixed"], file["count"], file["single"] = "Å", np.bytes_("fixed"), 3, np.float32(0.5)
    ase.io.write(folder / "atoms.xyz", ase.Atoms(SYMBOLS, positions=POSITIONS, info={"name": "ten"}))


def liquid(moved):
    """Three molecules of water in a box, one of them cut by its faces."""
    water = ase.Atoms("OHH", positions=[[0, 0, 0], [0.957, 0, 0], [-0.24, 0.927, 0]])
    atoms = ase.Atoms(cell=[12, 13, 14], pbc=True)
    for place in ([5, 5, 5], [11.8, 12.5, 13.9], [2, 9, 7]):
        molecule = water.copy()
        molecule.translate(np.add(place, moved))
        atoms += molecule
    atoms.wrap()
    return atoms


FILMS = {"film.xyz": 2, "film.pdb": 2, "still.gro": 1}


def liquids(folder):
    for name, count in FILMS.items():
        frames = [liquid(0.1 * i) for i in range(count)]
        path = folder / name
        back = path.with_name(path.suffix[1:] + "_read.xyz")
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of ASE about its own velocities and residues
                ase.io.write(path, frames if count > 1 else frames[0])
            continue
        read = ase.io.read(back, index=":")
        assert len(read) == count
        for found, expected in zip(read, frames):
            assert found.pbc.all() and found.symbols.get_chemical_formula() == expected.symbols.get_chemical_formula()
            close(found.cell.lengths(), expected.cell.lengths(), 1e-5)
            # of each atom, the way to the one it should be is none, or whole edges of the box
            away = (found.positions - expected.positions) / expected.cell.lengths()
            close((away - np.rint(away)) * expected.cell.lengths(), 0, 2e-2 if path.suffix == ".gro" else 1e-3)
            bonds = [np.linalg.norm(found.positions[3 * i + j] - found.positions[3 * i]) for i in range(3) for j in (1, 2)]
            close(bonds, 0.957, 2e-2)  # molecules are whole


PROBABILITY, SIGMA = 1 - 0.05 * I, 0.01 * (I + 1)
B_FACTOR = 8 * np.pi**2 * SIGMA**2


def check_pdb(path, occupancy, b_factor):
    atoms = ase.io.read(path)
    assert atoms.get_chemical_symbols() == SYMBOLS and not atoms.pbc.any()
    close(atoms.positions, POSITIONS, 5.1e-4)
    close(atoms.arrays["occupancy"], occupancy, 5.1e-3)
    close(atoms.arrays["bfactor"], b_factor, 5.1e-3)
    lines = path.read_text().split("\n")
    assert lines.pop() == "" and lines[-1].strip() == "END" and all(len(line) == 80 for line in lines)
    assert any(line.startswith("REMARK") and "PEDESIS" in line for line in lines)
    rows = [line for line in lines if line.startswith("HETATM")]
    for i, (row, symbol) in enumerate(zip(rows, SYMBOLS, strict=True)):
        # the columns of the format's documentation, counted from 1
        column = lambda first, last: row[first - 1 : last]
        assert int(column(7, 11)) == i + 1 and int(column(23, 26)) == i + 1 and column(22, 22) == "A"
        assert column(13, 16) == f"{symbol.upper():<4}" and column(18, 20) == "UNX" and column(77, 78) == symbol.upper()
        close([float(column(first, first + 7)) for first in (31, 39, 47)], POSITIONS[i], 5.1e-4)
        assert [column(blank, blank) for blank in (12, 17, 21, 27)] == [" "] * 4 and column(67, 76).isspace()


def check_cif(path, occupancy, u):
    atoms = ase.io.read(path)
    assert atoms.get_chemical_symbols() == SYMBOLS
    close(atoms.cell.angles(), 90)
    (block,) = ase.io.cif.parse_cif(str(path))
    corner = [block[f"_atom_sites_cartn_tran_vector_{i}"] for i in (1, 2, 3)]
    close(np.array([[block[f"_atom_sites_cartn_tran_matrix_{i}{j}"] for j in (1, 2, 3)] for i in (1, 2, 3)]), atoms.cell.array)
    close(atoms.positions + corner, POSITIONS)
    assert np.all(atoms.positions > 4.999) and np.all(atoms.cell.lengths() - atoms.positions > 4.999)
    close(np.transpose([block[f"_atom_site_cartn_{axis}"] for axis in "xyz"]), POSITIONS)
    kinds = atoms.arrays["spacegroup_kinds"]
    close([atoms.info["occupancy"][str(kind)][symbol] for kind, symbol in zip(kinds, SYMBOLS)], occupancy)
    assert (u is None) == ("_atom_site_u_iso_or_equiv" not in block)
    if u is not None:
        close(block["_atom_site_u_iso_or_equiv"], u, 1e-8)


def operation(rotation, translation):
    """As x,1/2-y,z."""
    parts = []
    for row, shift in zip(rotation, translation):
        part = str(Fraction(shift).limit_denominator(12)) if shift else ""
        parts.append(part + "".join(f"{'+' if factor > 0 else '-'}{axis}" for factor, axis in zip(row, "xyz") if factor))
    return ",".join(parts)


ICSD = """#(C) nobody
data_1234-ICSD
_publ_section_title
;
It's a refinement; of
loop_ _nothing
;
_audit_author_name 'Möller, B.'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90.
_cell_angle_beta 90.
_cell_angle_gamma {gamma}
_cell_volume ?
_symmetry_space_group_name_H-M '{name}'
_symmetry_Int_Tables_number {number}
loop_
_symmetry_equiv_pos_site_id
_symmetry_equiv_pos_as_xyz
{operations}
loop_
_atom_type_symbol
_atom_type_oxidation_number
{first}2+ 2
Se2- -2
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_symmetry_multiplicity
_atom_site_Wyckoff_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_B_iso_or_equiv
_atom_site_occupancy
{first}1 {first}2+ 4 a {x} {y} 0 . 1.
Se1 Se2- 4 b {u} ? 1.
#End of TTTT
"""


def make_icsd(path, number, name, cell, first, x, y, u, places):
    group = Spacegroup(number)
    rows = "\n".join(f"{i} '{operation(*op)}'" for i, op in enumerate(group.get_symop(), 1))
    text = ICSD.format(number=number, name=name, operations=rows, first=first, x=x, y=y, u=u, **cell)
    path.write_text(text, encoding="latin-1")
    a, c, gamma = (float(str(cell[key]).split("(")[0]) for key in ("a", "c", "gamma"))
    return crystal([first, "Se"], places, spacegroup=number, cellpar=[a, a, c, 90, 90, gamma])


def make_structures(folder):
    """Writes files; gives what they must hold, by their names."""
    cluster = ase.Atoms(SYMBOLS, positions=POSITIONS, cell=[20, 21, 22])
    slanted = ase.Atoms(SYMBOLS, positions=POSITIONS + 3, cell=[[16, 0, 0], [2, 12, 0], [-1, 3, 14]], pbc=True)
    slanted.set_constraint(FixAtoms([0, 3]))
    ase.io.write(folder / "ase.pdb", cluster)
    ase.io.write(folder / "slanted.cif", slanted)
    ase.io.write(folder / "free.cif", ase.Atoms(SYMBOLS, positions=POSITIONS))
    sort = {"format": "vasp", "sort": False}
    ase.io.write(folder / "direct.vasp", slanted, direct=True, **sort)
    ase.io.write(folder / "POSCAR_cartesian", slanted, direct=False, **sort)
    scaled = (folder / "direct.vasp").read_text().split("\n")
    scaled[1] = f"{-slanted.get_volume() * 1.1**3:.9f}"
    (folder / "CONTCAR").write_text("\n".join(scaled) + "\n" + "  0.0 0.0 0.0\n" * 10)
    larger = slanted.copy()
    larger.set_cell(1.1 * slanted.cell, scale_atoms=True)
    rocksalt = {"a": "6.124(2)", "c": 6.124, "gamma": 90}
    wurtzite = {"a": "4.30", "c": "7.01(3)", "gamma": "120."}
    return {
        "ase.pdb": cluster,
        "slanted.cif": slanted,
        "free.cif": ase.Atoms(SYMBOLS, positions=POSITIONS),
        "direct.vasp": slanted,
        "POSCAR_cartesian": slanted,
        "CONTCAR": larger,
        "rocksalt.cif": make_icsd(
            folder / "rocksalt.cif", 225, "F m -3 m", rocksalt, "Pb", "0", "0", "0.5 .5 5.0e-1", [(0, 0, 0), (0.5, 0.5, 0.5)]
        ),
        "wurtzite.cif": make_icsd(
            folder / "wurtzite.cif", 186, "P 63 m c", wurtzite, "Cd", "0.3333", "0.6667", "0.3333 0.6667 0.3755(3)",
            [(1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, 0.3755)],
        ),
    }


def same_crystal(found, expected):
    """One atom of the same element for each, over the faces of the cell too."""
    assert len(found) == len(expected)
    _, apart = get_distances(found.positions, expected.positions, cell=expected.cell, pbc=expected.pbc)
    partner = apart.argmin(axis=1)
    assert sorted(partner) == list(range(len(expected))) and (found.numbers == expected.numbers[partner]).all()
    close(apart.min(axis=1), 0, 1.5e-3)


def structures(folder):
    check_pdb(folder / "model.pdb", PROBABILITY, B_FACTOR)
    check_pdb(folder / "given.pdb", 1, 0)
    check_cif(folder / "model.cif", PROBABILITY, SIGMA**2)
    check_cif(folder / "given.cif", 1, None)
    atoms = ase.io.read(folder / "model.xyz")
    close(atoms.positions, POSITIONS)
    close(atoms.arrays["probability"], PROBABILITY)
    close(atoms.arrays["sigma_A"], SIGMA)
    for name, expected in make_structures(folder).items():
        same_crystal(ase.io.read(folder / name, format=None if "." in name else "vasp"), expected)
        back = folder / f"{name}_read.xyz"
        if back.exists():
            same_crystal(ase.io.read(back, format="extxyz"), expected)


def read_star(path):
    """Rows of data_particles as dictionaries, pixel size from data_optics; nothing but split."""
    tables, labels = {}, None
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith("data_"):
            rows = tables[words[0]] = []
        elif words[0] == "loop_":
            labels = []
        elif words[0].startswith("_"):
            labels.append(words[0][1:])
        else:
            rows.append(dict(zip(labels, words, strict=True)))
    return tables["data_particles"], float(tables["data_optics"][0]["rlnImagePixelSize"])


def euler_matrix(rot, tilt, psi):
    """RELION's matrix A: the coordinate axes turned by rot about Z, tilt about the new Y, psi about the new Z."""

    def about_z(angle):
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])

    c, s = np.cos(tilt), np.sin(tilt)
    return about_z(psi) @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ about_z(rot)


def projection(row, atoms, weights, size, pixel, change=lambda matrix: matrix, origin_sign=-1):
    """Gaussian atoms where the STAR file says: rows 0 and 1 of A·r, moved by minus the origin, around pixel N/2."""
    angles = np.radians([float(row["rlnAngle" + name]) for name in ("Rot", "Tilt", "Psi")])
    origin = np.array([float(row[f"rlnOrigin{axis}Angst"]) for axis in "XY"])
    places = (atoms @ change(euler_matrix(*angles)).T)[:, :2] + origin_sign * origin
    grid = (np.arange(size) - size // 2) * pixel
    bells = [np.exp(-((grid - places[:, axis, None]) ** 2) / (2 * 0.35**2)) for axis in (0, 1)]
    return np.einsum("a,ay,ax->yx", weights, bells[1], bells[0])


def project(folder):
    rows, pixel = read_star(folder / "poses.star")
    particle = ase.io.read(folder / "atoms.xyz")
    with mrcfile.open(folder / "images.mrcs") as mrc:
        images = np.array(mrc.data)
    # the microscope passes no low frequencies: atoms stand in dark rings, which are left out
    images = np.maximum(images - np.median(images), 0)
    assert len(rows) == len(images) and [row["rlnImageName"] for row in rows] == [
        f"{i + 1:06d}@images.mrcs" for i in range(len(rows))
    ]

    def correlation(**convention):
        arguments = particle.positions, particle.numbers.astype(float), images.shape[1], pixel
        each = [np.corrcoef(projection(row, *arguments, **convention).ravel(), image.ravel())[0, 1] for row, image in zip(rows, images)]
        return np.array(each)

    right = correlation()
    assert right.min() > 0.95, right
    flip = np.diag([1, -1, 1])
    wrong = {
        "transposed": {"change": lambda matrix: matrix.T},
        "other hand": {"change": lambda matrix: flip @ matrix},
        "x and y swapped": {"change": lambda matrix: matrix[[1, 0, 2]]},
        "projected along x": {"change": lambda matrix: matrix[[1, 2, 0]]},
        "origins taken for shifts": {"origin_sign": 1},
    }
    for name, convention in wrong.items():
        assert np.median(correlation(**convention)) < 0.6, (name, correlation(**convention))


if __name__ == "__main__":
    {"check": check, "make": make, "liquids": liquids, "structures": structures, "project": project}[sys.argv[1]](Path(sys.argv[2]))
    print("ok")
