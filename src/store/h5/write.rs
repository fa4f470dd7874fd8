//! Values into an HDF5 file.

use std::collections::BTreeMap;
use std::path::Path;

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, Group, H5Type, Location};
use ndarray::{Array1, Array2, Array3, ArrayView, Dimension, s};
use tempfile::NamedTempFile;

use super::{LAYOUT, PROVENANCE, Problem};
use crate::images::Images;
use crate::pose::Poses;
use crate::store::atomic::{self, Watch};
use crate::store::{Error, Provenance, StoredModel, Value};
use crate::structure::Structure;
use crate::task::Task;

/// Writes `values` under their names, and where they came from, in one step (see [`super`] for the layout).
///
/// # Errors
/// If a name cannot be one in HDF5 (empty, `.`, with a `/`) or is `provenance`, if the file cannot be written, or when interrupted; then
/// a file that was there before is as it was.
pub fn write_h5(
    path: &Path,
    values: &BTreeMap<String, Value>,
    provenance: &Provenance,
    task: &Task,
) -> Result<(), Error> {
    check_names(values)?;
    if values.contains_key(PROVENANCE) {
        return Err(Error::Name { name: PROVENANCE.to_owned(), why: "that is where the origin of the file is kept" });
    }
    atomic::write(path, |temporary| {
        let failed =
            |Problem(problem)| atomic::interrupted(task).unwrap_or(Error::Hdf5Write { path: path.to_owned(), problem });
        fill(temporary, values, provenance, task).map_err(failed)
    })
}

fn fill(
    temporary: &NamedTempFile,
    values: &BTreeMap<String, Value>,
    provenance: &Provenance,
    task: &Task,
) -> Result<(), Problem> {
    let file = hdf5::File::create(temporary.path())?;
    let mut watch = Watch::new(temporary.as_file(), task);
    write_layout(&file)?;
    write_provenance(&file, provenance)?;
    for (name, value) in values {
        write_value(&file, name, value, &mut watch)?;
    }
    file.flush()?;
    Ok(file.close()?)
}

pub(super) fn write_layout(file: &hdf5::File) -> Result<(), Problem> {
    Ok(file.new_attr::<i64>().create("pedesis_layout")?.write_scalar(&LAYOUT)?)
}

fn check_names(values: &BTreeMap<String, Value>) -> Result<(), Error> {
    values.iter().try_for_each(|(name, value)| check_name(name).and_then(|()| check_nested(value)))
}

fn check_name(name: &str) -> Result<(), Error> {
    let why = match name {
        "" => "it is empty",
        "." => "it means the group itself",
        name if name.contains(['/', '\0']) => "it has a / in it, or a zero",
        _ => return Ok(()),
    };
    Err(Error::Name { name: name.to_owned(), why })
}

fn check_nested(value: &Value) -> Result<(), Error> {
    match value {
        Value::Group(values) | Value::Record(_, values) => check_names(values),
        Value::List(items) => items.iter().try_for_each(check_nested),
        Value::Table(columns) => columns.iter().try_for_each(|(name, _)| check_name(name)),
        Value::Model(model) => model.columns.keys().chain(model.rejected.keys()).try_for_each(|name| check_name(name)),
        _ => Ok(()),
    }
}

pub(super) fn write_provenance(file: &hdf5::File, provenance: &Provenance) -> Result<(), Problem> {
    let group = new_group(file, PROVENANCE, PROVENANCE)?;
    let texts = [
        ("script_path", &provenance.script_path),
        ("arguments", &provenance.arguments.to_string()),
        ("options", &provenance.options.to_string()),
        ("inputs", &serde_json::json!(provenance.inputs).to_string()),
        ("version", &provenance.version),
        ("start", &provenance.start),
        ("end", &provenance.end),
    ];
    for (name, text) in texts {
        text_attribute(&group, name, text)?;
    }
    if let Some(given) = &provenance.given {
        text_attribute(&group, "given", &serde_json::json!(given).to_string())?;
    }
    for (name, number) in [("seed", provenance.seed), ("threads", provenance.threads)] {
        if let Some(number) = number {
            group.new_attr::<u64>().create(name)?.write_scalar(&number)?;
        }
    }
    write_text(&group, "script", &provenance.script)?;
    let modules = new_group(&group, "modules", "group")?;
    for (i, (name, text)) in provenance.modules.iter().enumerate() {
        // a path cannot be the name of a dataset
        let module = write_text(&modules, &format!("{i:06}"), text)?;
        text_attribute(&module, "path", name)?;
    }
    Ok(())
}

fn write_value(parent: &Group, name: &str, value: &Value, watch: &mut Watch) -> Result<(), Problem> {
    let dataset = match value {
        Value::Images(images) => return write_images(parent, name, images, watch),
        Value::Volume(volume) => {
            let group = new_group(parent, name, value.kind())?;
            number_attribute(&group, "pixel_size", volume.pixel_size())?;
            text_attribute(&group, "units", "arbitrary")?;
            let builder = group.new_dataset_builder().obj_track_times(false).empty::<f32>();
            return write_sections(&builder.shape(volume.data().dim()).create("data")?, volume.data(), watch);
        }
        Value::Poses(poses) => return write_poses(parent, name, poses),
        Value::Structure(structure) => return write_structure(&new_group(parent, name, value.kind())?, structure),
        Value::Model(model) => return write_model(&new_group(parent, name, value.kind())?, model),
        Value::Number(number) => write_scalar(parent, name, number)?,
        Value::Integer(integer) => write_scalar(parent, name, integer)?,
        Value::Boolean(boolean) => write_scalar(parent, name, boolean)?,
        Value::Text(text) => write_text(parent, name, text)?,
        Value::Numbers(numbers) => write_array(parent, name, ArrayView::from(numbers))?,
        Value::Integers(integers) => write_array(parent, name, ArrayView::from(integers))?,
        Value::Texts(texts) => write_texts(parent, name, texts.iter().map(String::as_str))?,
        Value::Matrix(matrix) => write_array(parent, name, matrix.as_standard_layout().view())?,
        Value::List(items) => {
            let group = new_group(parent, name, value.kind())?;
            return items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| write_value(&group, &format!("{i:06}"), item, watch));
        }
        Value::Group(values) | Value::Record(_, values) => {
            let group = new_group(parent, name, value.kind())?;
            return values.iter().try_for_each(|(name, value)| write_value(&group, name, value, watch));
        }
        Value::Table(columns) => {
            let group = new_group(parent, name, value.kind())?;
            let names: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
            text_attribute(&group, "columns", &serde_json::json!(names).to_string())?;
            return columns.iter().try_for_each(|(name, column)| write_value(&group, name, column, watch));
        }
        Value::Nothing => return new_group(parent, name, value.kind()).map(|_| ()),
    };
    text_attribute(&dataset, "pedesis_type", value.kind())
}

/// The group of an image stack, for its `data`.
pub(super) fn new_images(parent: &Group, name: &str, pixel_size: f64) -> Result<Group, Problem> {
    let group = new_group(parent, name, "images")?;
    number_attribute(&group, "pixel_size", pixel_size)?;
    text_attribute(&group, "units", "arbitrary")?;
    Ok(group)
}

fn write_images(parent: &Group, name: &str, images: &Images, watch: &mut Watch) -> Result<(), Problem> {
    let group = new_images(parent, name, images.pixel_size())?;
    let builder = group.new_dataset_builder().obj_track_times(false);
    // A chunk has no edge of length zero.
    let edge = images.size().max(1);
    let dataset = builder.chunk((1, edge, edge)).empty::<f32>().shape(images.data().dim()).create("data")?;
    write_sections(&dataset, images.data(), watch)?;
    if images.redundancy() > 1.0 {
        number_attribute(&group, "redundancy", images.redundancy())?;
    }
    match images.true_poses() {
        Some(poses) => write_poses(&group, "true_poses", poses),
        None => Ok(()),
    }
}

/// Fills a dataset, one image or section after the other.
fn write_sections(dataset: &Dataset, data: &Array3<f32>, watch: &mut Watch) -> Result<(), Problem> {
    for (i, section) in data.outer_iter().enumerate() {
        dataset.write_slice(section.as_standard_layout().view(), s![i, .., ..])?;
        watch.wrote(size_of::<f32>() * section.len()).map_err(|error| Problem(error.to_string()))?;
    }
    Ok(dataset.flush()?)
}

pub(super) fn write_poses(parent: &Group, name: &str, poses: &Poses) -> Result<(), Problem> {
    let group = new_group(parent, name, "poses")?;
    let all = poses.as_slice();
    let quaternions = Array2::from_shape_fn((all.len(), 4), |(i, component)| {
        let quaternion = all[i].rotation.quaternion();
        [quaternion.w, quaternion.i, quaternion.j, quaternion.k][component]
    });
    let shifts = Array2::from_shape_fn((all.len(), 2), |(i, axis)| all[i].shift[axis]);
    let quaternions = write_array(&group, "quaternions", quaternions.view())?;
    text_attribute(&quaternions, "columns", "w, x, y, z")?;
    let shifts = write_array(&group, "shifts", shifts.view())?;
    text_attribute(&shifts, "units", "Å")?;
    write_array(&group, "scores", ArrayView::from(poses.scores()))?;
    Ok(())
}

fn write_structure(group: &Group, structure: &Structure) -> Result<(), Problem> {
    text_attribute(group, "name", structure.name())?;
    let atoms = structure.atoms();
    let positions = Array2::from_shape_fn((atoms.len(), 3), |(i, axis)| atoms[i].position[axis]);
    let numbers: Array1<u8> = atoms.iter().map(|atom| atom.element.atomic_number()).collect();
    let positions = write_array(group, "positions", positions.view())?;
    text_attribute(&positions, "units", "Å")?;
    write_array(group, "atomic_numbers", numbers.view())?;
    write_texts(group, "symbols", atoms.iter().map(|atom| atom.element.symbol()))?;
    Ok(())
}

fn write_model(group: &Group, model: &StoredModel) -> Result<(), Problem> {
    write_structure(group, &model.structure)?;
    for (name, lists) in [("columns", &model.columns), ("rejected", &model.rejected)] {
        let group = new_group(group, name, "group")?;
        for (name, numbers) in lists {
            let column = write_array(&group, name, ArrayView::from(numbers))?;
            text_attribute(&column, "pedesis_type", "numbers")?;
        }
    }
    Ok(())
}

fn new_group(parent: &Group, name: &str, kind: &str) -> Result<Group, Problem> {
    let group = parent.create_group(name)?;
    text_attribute(&group, "pedesis_type", kind)?;
    Ok(group)
}

fn write_array<T: H5Type, D: Dimension>(parent: &Group, name: &str, data: ArrayView<T, D>) -> Result<Dataset, Problem> {
    let dataset = parent.new_dataset_builder().obj_track_times(false).with_data(data).create(name)?;
    dataset.flush()?;
    Ok(dataset)
}

fn write_scalar<T: H5Type>(parent: &Group, name: &str, value: &T) -> Result<Dataset, Problem> {
    let dataset = parent.new_dataset::<T>().obj_track_times(false).create(name)?;
    dataset.write_scalar(value)?;
    Ok(dataset)
}

fn write_text(parent: &Group, name: &str, text: &str) -> Result<Dataset, Problem> {
    write_scalar(parent, name, &unicode(text)?)
}

fn write_texts<'a>(parent: &Group, name: &str, texts: impl Iterator<Item = &'a str>) -> Result<Dataset, Problem> {
    let texts: Vec<VarLenUnicode> = texts.map(unicode).collect::<Result<_, _>>()?;
    write_array(parent, name, ArrayView::from(&texts))
}

fn text_attribute(location: &Location, name: &str, text: &str) -> Result<(), Problem> {
    Ok(location.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(text)?)?)
}

fn number_attribute(location: &Location, name: &str, number: f64) -> Result<(), Problem> {
    Ok(location.new_attr::<f64>().create(name)?.write_scalar(&number)?)
}

fn unicode(text: &str) -> Result<VarLenUnicode, Problem> {
    text.parse().map_err(|_| Problem(format!("HDF5 cannot hold a text with a zero in it: {text:?}")))
}
