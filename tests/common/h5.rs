//! Looks into HDF5 files, for tests that compare runs bit for bit.

use std::path::Path;

/// The bytes of every dataset below a group of an HDF5 file, with their names.
pub fn datasets(file: &Path, group: &str) -> Vec<(String, Vec<u8>)> {
    let file = hdf5::File::open(file).unwrap();
    let mut found = Vec::new();
    collect(&file.group(group).unwrap(), &mut found);
    assert!(!found.is_empty(), "{group} holds datasets");
    found
}

fn collect(group: &hdf5::Group, found: &mut Vec<(String, Vec<u8>)>) {
    for dataset in group.datasets().unwrap() {
        let bytes = match dataset.dtype().unwrap().to_descriptor() {
            Ok(hdf5::types::TypeDescriptor::Float(_)) => {
                dataset.read_raw::<f64>().unwrap().iter().flat_map(|v| v.to_bits().to_le_bytes()).collect()
            }
            Ok(hdf5::types::TypeDescriptor::Integer(_) | hdf5::types::TypeDescriptor::Unsigned(_)) => {
                dataset.read_raw::<i64>().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect()
            }
            _ => continue,
        };
        found.push((dataset.name(), bytes));
    }
    for group in group.groups().unwrap() {
        collect(&group, found);
    }
}
