//! Files that are wrong in one way each: refused with a message that names the file, what is wrong, and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Dimension;
use pedesis::store;
use pedesis::task::Task;

use crate::raw::RawMrc;

/// The message that reading `bytes` as a stack gives, which must begin with or hold the name of the file.
fn refusal(bytes: &[u8]) -> String {
    refusal_of("stack.mrcs", bytes)
}

fn refusal_of(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    message(&path)
}

fn message(path: &Path) -> String {
    let message = store::read_images(path, None, &Task::silent()).unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
}

#[test]
fn a_missing_file() {
    assert_says(&message(&PathBuf::from("/no/such/stack.mrcs")), &["cannot read", "No such file"]);
    assert_says(&message(&PathBuf::from("/no/such/stack.h5")), &["cannot read", "No such file"]);
}

#[test]
fn a_folder_in_place_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&message(folder.path()), &["cannot read", "Is a directory"]);
}

#[test]
fn a_file_that_is_not_mrc() {
    assert_says(&refusal(b"hello"), &["not an MRC file", "has 5 bytes", "1024"]);
    assert_says(&refusal(&[7; 4096]), &["not an MRC file", "MAP"]);
}

#[test]
fn a_truncated_stack() {
    let bytes = RawMrc::stack(3, 8).bytes();
    let said = refusal(&bytes[..bytes.len() - 100]);
    assert_says(&said, &["is truncated", "3 images of 8×8 pixels in mode 2", "1792 bytes", "has 1692"]);
}

#[test]
fn a_stack_that_is_longer_than_its_header_says() {
    let mut bytes = RawMrc::stack(3, 8).bytes();
    bytes.extend([0; 256]);
    assert_says(&refusal(&bytes), &["longer than it says", "3 images", "1792 bytes", "has 2048"]);
}

#[test]
fn dimensions_of_zero_or_less() {
    let raw = RawMrc { shape: [8, 8, 0], data: Vec::new(), ..RawMrc::stack(1, 8) };
    assert_says(&refusal(&raw.bytes()), &["0 images of 8×8 pixels"]);
    let raw = RawMrc { shape: [-8, 8, 3], ..RawMrc::stack(3, 8) };
    assert_says(&refusal(&raw.bytes()), &["3 images of -8×8 pixels"]);
}

#[test]
fn dimensions_whose_product_overflows() {
    let raw = RawMrc { shape: [i32::MAX; 3], ..RawMrc::stack(3, 8) };
    assert_says(&refusal(&raw.bytes()), &["2147483647×2147483647×2147483647 pixels are not possible"]);
    let raw = RawMrc { shape: [1 << 20, 1 << 20, 2], ..RawMrc::stack(3, 8) };
    assert_says(&refusal(&raw.bytes()), &["truncated", "8796093023232 bytes"]);
}

#[test]
fn an_extended_header_of_negative_length() {
    let mut bytes = RawMrc::stack(3, 8).bytes();
    bytes[92..96].copy_from_slice(&(-80i32).to_le_bytes());
    assert_says(&refusal(&bytes), &["extended header of -80 bytes"]);
}

#[test]
fn a_mode_of_complex_numbers() {
    let raw = RawMrc { mode: 4, ..RawMrc::stack(2, 8) };
    assert_says(&refusal(&raw.bytes()), &["mode is 4", "0 (int8)", "2 (float32)"]);
}

#[test]
fn axes_in_another_order() {
    let mut bytes = RawMrc::stack(3, 8).bytes();
    bytes[64..76].copy_from_slice(&[3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    assert_says(&refusal(&bytes), &["axes are in the order 3, 2, 1"]);
}

#[test]
fn a_pixel_that_is_not_a_number_or_infinite() {
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut raw = RawMrc::stack(3, 8);
        let pixel = 2 * 64 + 5 * 8 + 3;
        raw.data[4 * pixel..4 * pixel + 4].copy_from_slice(&value.to_le_bytes());
        assert_says(&refusal(&raw.bytes()), &["image 2 (counted from 0)", name, "x = 3, y = 5"]);
    }
}

#[test]
fn images_that_are_all_blank() {
    let mut raw = RawMrc::stack(3, 8);
    raw.data.fill(0);
    assert_says(&refusal(&raw.bytes()), &["in each of its 3 images all pixels are equal"]);
}

#[test]
fn a_stack_without_images() {
    assert_says(&refusal(&RawMrc::stack(0, 8).bytes()), &["announces 0 images", "at least 1"]);
}

#[test]
fn one_volume_in_place_of_a_stack() {
    let raw = RawMrc { space_group: 1, samples: [8, 8, 8], ..RawMrc::stack(8, 8) };
    assert_says(&refusal(&raw.bytes()), &["is a volume (space group 1", "store::volume", "ISPG"]);
}

#[test]
fn images_that_are_not_square() {
    let raw = RawMrc { shape: [16, 4, 3], ..RawMrc::stack(3, 8) };
    assert_says(&refusal(&raw.bytes()), &["must be square", "16×4 pixels"]);
}

#[test]
fn pixels_that_are_not_square() {
    let raw = RawMrc { cell: [2.0, 2.1, 1.0], ..RawMrc::stack(3, 8) };
    assert_says(&refusal(&raw.bytes()), &["0.2500 Å wide and 0.2625 Å high", "pixel_size"]);
}

#[test]
fn no_pixel_size_anywhere() {
    let raw = RawMrc { cell: [0.0; 3], ..RawMrc::stack(3, 8) };
    assert_says(&refusal(&raw.bytes()), &["does not give a pixel size", "#{ pixel_size: 0.25 }"]);
}

#[test]
fn a_pixel_size_that_is_not_positive() {
    let folder = tempfile::tempdir().unwrap();
    let path = RawMrc::stack(3, 8).write(folder.path());
    for (value, name) in [(0.0, "0"), (-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let said = store::read_images(&path, Some(value), &Task::silent()).unwrap_err().to_string();
        assert_eq!(said, format!("the pixel size must be a positive number of Å, got {name}"));
    }
}

#[test]
fn a_stack_in_place_of_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = RawMrc::stack(3, 8).write(folder.path());
    let said = store::read_volume(&path, None).unwrap_err().to_string();
    assert_says(&said, &["must be cubic", "8×8×3 voxels"]);
}

#[test]
fn a_file_that_is_not_hdf5() {
    assert_says(&refusal_of("stack.h5", &RawMrc::stack(3, 8).bytes()), &["it is not an HDF5 file"]);
    assert_says(&refusal_of("stack.h5", b""), &["it is not an HDF5 file"]);
}

/// An HDF5 file of another program with the given datasets.
fn foreign(folder: &Path, datasets: &[(&str, &[usize])]) -> PathBuf {
    let path = folder.join("foreign.h5");
    let file = hdf5::File::create(&path).unwrap();
    for (name, shape) in datasets {
        let data = ndarray::ArrayD::from_shape_fn(*shape, |at| at.slice().iter().sum::<usize>() as i16);
        file.new_dataset_builder().with_data(&data).create(*name).unwrap();
    }
    path
}

#[test]
fn an_hdf5_file_without_a_stack_or_with_two() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&message(&foreign(folder.path(), &[("a", &[3, 4])])), &["holds no three-dimensional dataset"]);
    let two = foreign(folder.path(), &[("a", &[3, 4, 4]), ("b/c", &[3, 4, 4]), ("d", &[3])]);
    assert_says(&message(&two), &["holds 2 values", "/a, /b/c"]);
}

#[test]
fn an_hdf5_stack_that_is_not_square_or_has_no_pixel_size() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&message(&foreign(folder.path(), &[("a", &[3, 4, 5])])), &["must be square", "5×4 pixels"]);
    assert_says(&message(&foreign(folder.path(), &[("a", &[3, 4, 4])])), &["does not give a pixel size"]);
}

#[test]
fn an_hdf5_stack_that_does_not_fit_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.h5");
    let file = hdf5::File::create(&path).unwrap();
    // No pixel of it is on the disk: the file is small.
    file.new_dataset::<f32>().chunk((1, 64, 64)).shape((1 << 30, 4096, 4096)).create("images").unwrap();
    file.close().unwrap();
    assert_says(&message(&path), &["1073741824 images of 4096×4096 pixels need", "GiB"]);
}

#[test]
fn a_truncated_hdf5_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = foreign(folder.path(), &[("a", &[3, 40, 40])]);
    let bytes = fs::read(&path).unwrap();
    for length in [9, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_says(&message(&path), &["the HDF5 file is damaged"]);
    }
}

#[test]
fn malformed_xyz_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.xyz");
    fs::write(&path, "2\n\nPt 0 0 0\nPt 1 nan 2\n").unwrap();
    let said = store::read_structure(&path).unwrap_err().to_string();
    assert_says(&said, &["bad.xyz: line 4", "y = \"nan\""]);
}

#[test]
fn atoms_in_a_file_of_an_unknown_kind() {
    let said = store::read_structure(Path::new("atoms.doc")).unwrap_err().to_string();
    let known = ".xyz, .pdb, .cif, .vasp, .poscar, .json or .h5, or begin with POSCAR or CONTCAR";
    assert_eq!(said, format!("cannot read atoms from atoms.doc: the name must end in {known}"));
}
