use ndarray::Array3;
use pedesis::images::Images;
use pedesis::store;
use pedesis::task::Task;
use pedesis::volume::Volume;
use proptest::prelude::*;

use crate::raw::RawMrc;

/// `mode` and pixels as bytes of that mode in the given byte order, with the values they stand for.
fn encode(mode: i32, big_endian: bool, values: &[i16]) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = Vec::new();
    let mut meant = Vec::new();
    for &value in values {
        let (little, value) = match mode {
            0 => ((value as i8).to_le_bytes().to_vec(), f32::from(value as i8)),
            1 => (value.to_le_bytes().to_vec(), f32::from(value)),
            6 => ((value as u16).to_le_bytes().to_vec(), f32::from(value as u16)),
            _ => ((f32::from(value) / 7.0).to_le_bytes().to_vec(), f32::from(value) / 7.0),
        };
        if big_endian {
            bytes.extend(little.iter().rev())
        } else {
            bytes.extend(&little)
        }
        meant.push(value);
    }
    (bytes, meant)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_mode_shape_and_byte_order_gives_the_numbers_that_are_in_the_file(
        mode in prop::sample::select(vec![0, 1, 2, 6]),
        big_endian: bool,
        count in 2..5i32,
        size in 2..9i32,
        extended_header in prop::sample::select(vec![0usize, 80, 4096]),
        pixel_size in 0.01..5.0f32,
        seed: u16,
    ) {
        // An odd multiplier: no two neighbours are equal, so no image is all-equal.
        let values: Vec<i16> = (0..count * size * size)
            .map(|i| (i as u16).wrapping_mul(40503).wrapping_add(seed).cast_signed())
            .collect();
        let (data, meant) = encode(mode, big_endian, &values);
        let edge = pixel_size * size as f32;
        // The depth of a voxel means nothing in a stack.
        let cell = [edge, edge, 99.0 * edge];
        let raw = RawMrc { mode, big_endian, extended_header, cell, data, ..RawMrc::stack(count, size) };
        let folder = tempfile::tempdir().unwrap();
        let stack = store::read_images(&raw.write(folder.path()), None, &Task::silent()).unwrap();
        prop_assert_eq!(stack.images.data().dim(), (count as usize, size as usize, size as usize));
        prop_assert_eq!(stack.images.data().as_slice().unwrap(), &meant[..]);
        prop_assert!((stack.images.pixel_size() / f64::from(pixel_size) - 1.0).abs() < 1e-6);
        prop_assert_eq!(stack.dropped, Vec::<usize>::new());
    }

    #[test]
    fn images_come_back_from_mrc_bit_for_bit(count in 2..5usize, size in 2..9usize, pixel_size in 0.01..5.0f64) {
        let data = Array3::from_shape_fn((count, size, size), |(n, y, x)| (0.3 * (n + 7 * y + 31 * x) as f32).sin());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.mrcs");
        store::write_images(&path, &Images::new(data.clone(), pixel_size), &Task::silent()).unwrap();
        let images = store::read_images(&path, None, &Task::silent()).unwrap().images;
        prop_assert_eq!(images.data(), &data);
        prop_assert!((images.pixel_size() / pixel_size - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_volume_comes_back_from_mrc_bit_for_bit(size in 1..9usize, pixel_size in 0.01..5.0f64) {
        let data = Array3::from_shape_fn((size, size, size), |(z, y, x)| (0.3 * (z + 7 * y + 31 * x) as f32).sin());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volume.mrc");
        store::write_volume(&path, &Volume::new(data.clone(), pixel_size), &Task::silent()).unwrap();
        let volume = store::read_volume(&path, None).unwrap();
        prop_assert_eq!(volume.data(), &data);
        prop_assert!((volume.pixel_size() / pixel_size - 1.0).abs() < 1e-6);
    }
}

#[test]
fn half_precision_is_read() {
    // 1, -2, 0.5, 65504 as IEEE binary16.
    let data: Vec<u8> = [0x3C00u16, 0xC000, 0x3800, 0x7BFF].iter().flat_map(|half| half.to_le_bytes()).collect();
    let raw = RawMrc { mode: 12, data: data.repeat(2), ..RawMrc::stack(2, 2) };
    let folder = tempfile::tempdir().unwrap();
    let images = store::read_images(&raw.write(folder.path()), None, &Task::silent()).unwrap().images;
    assert_eq!(images.data().as_slice().unwrap()[..4], [1.0, -2.0, 0.5, 65504.0]);
}

#[test]
fn a_given_pixel_size_takes_the_place_of_the_headers() {
    let folder = tempfile::tempdir().unwrap();
    let stack = store::read_images(&RawMrc::stack(2, 4).write(folder.path()), Some(0.3), &Task::silent()).unwrap();
    assert_eq!((stack.images.pixel_size(), stack.header_pixel_size), (0.3, Some(0.25)));
    assert_eq!(stack.warnings(), ["the file gives a pixel size of 0.2500 Å; 0.3 Å is used, as asked for"]);
    let nearly = store::read_images(&RawMrc::stack(2, 4).write(folder.path()), Some(0.252), &Task::silent()).unwrap();
    assert_eq!(nearly.warnings(), [""; 0]);
}

#[test]
fn images_whose_pixels_are_all_equal_are_left_out_and_listed() {
    let mut raw = RawMrc::stack(4, 3);
    for image in [1, 3] {
        raw.data[36 * image..36 * (image + 1)].fill(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let stack = store::read_images(&raw.write(folder.path()), None, &Task::silent()).unwrap();
    assert_eq!(stack.dropped, [1, 3]);
    assert!(stack.warnings()[0].starts_with("2 images are left out"));
    assert_eq!(
        stack.images.data().iter().map(|&pixel| pixel as usize).collect::<Vec<_>>(),
        [(0..9).collect::<Vec<_>>(), (18..27).collect()].concat()
    );
}

#[test]
fn the_description_of_a_stack_counts_what_is_wrong_with_it() {
    let mut raw = RawMrc::stack(4, 3);
    raw.data[36..72].fill(0);
    raw.data[72..76].copy_from_slice(&f32::NAN.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let text = store::info(&raw.write(folder.path())).unwrap();
    assert!(text.contains("MRC image stack\n  images         4 of 3×3 pixels, float32"), "{text}");
    assert!(text.contains("pixel size     0.25 Å"), "{text}");
    assert!(text.contains("values         0 … 35, mean "), "{text}");
    assert!(text.contains("all-equal      1 sections"), "{text}");
    assert!(text.contains("NaN or infinite 1 sections"), "{text}");
}

#[test]
fn the_stacks_of_another_program_are_read() {
    let shared = std::env::var_os("PEDESIS_SHARED").map_or_else(|| "../shared".into(), std::path::PathBuf::from);
    let stacks = shared.join("data/stacks");
    if !stacks.is_dir() {
        println!("skipped: there is no {}", stacks.display());
        return;
    }
    let stack = store::read_images(&stacks.join("fept_1.5nm.mrcs"), None, &Task::silent()).unwrap();
    assert_eq!((stack.images.data().dim(), stack.images.pixel_size()), ((600, 160, 160), 0.25));
    // From mrcfile: the header's own mean and deviation.
    let data = stack.images.data();
    let mean = data.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / data.len() as f64;
    assert!((mean - 0.175297).abs() < 1e-6, "{mean}");
    let truth = store::read_truth(&stacks.join("fept_1.5nm.json")).unwrap();
    assert_eq!((truth.structure.len(), truth.poses.unwrap().len(), truth.pixel_size), (124, 600, Some(0.25)));
}

#[test]
fn reading_a_stack_stops_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let task = Task::silent();
    task.stop();
    let read = store::read_images(&RawMrc::stack(2, 4).write(folder.path()), None, &task);
    assert!(matches!(read, Err(store::Error::Cancelled(_))), "{read:?}");
}
