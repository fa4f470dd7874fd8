//! Values out of an HDF5 file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, Group, H5Type, Location, LocationType};
use nalgebra::Point3;
use ndarray::{Array2, Array3, s};

use super::{PROVENANCE, Problem, contained};
use crate::images::Images;
use crate::memory;
use crate::pose::Poses;
use crate::store::{Error, Provenance, RECORDS, StoredModel, Value, structure};
use crate::structure::{Element, Structure};
use crate::volume::Volume;

/// Groups inside groups deeper than this mean a file whose links go in circles.
const DEEPEST: usize = 64;

/// What an HDF5 file of ours holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    pub values: BTreeMap<String, Value>,
    /// `None` in files of other programs.
    pub provenance: Option<Provenance>,
}

/// Reads every value of a file that [`write_h5`](super::write_h5) wrote. Files of other programs are read as far as
/// they hold numbers, texts, and arrays of one or two dimensions.
///
/// # Errors
/// If the file is not HDF5, is damaged, or holds something that is none of the known values.
pub fn read_h5(path: &Path) -> Result<Contents, Error> {
    let read = |file: &hdf5::File| {
        let mut values = read_members(file, 0)?;
        values.remove(PROVENANCE);
        Ok(Contents { values, provenance: provenance_of(file)? })
    };
    read(&open(path)?).map_err(|Problem(problem)| Error::Hdf5Read { path: path.to_owned(), problem })
}

/// Reads where a file came from, and none of its values; `None` in files of other programs.
///
/// # Errors
/// As [`read_h5`].
pub fn read_provenance(path: &Path) -> Result<Option<Provenance>, Error> {
    provenance_of(&open(path)?).map_err(|Problem(problem)| Error::Hdf5Read { path: path.to_owned(), problem })
}

/// Reads the only value of one of the types `kinds` in a file, wherever in its groups it is; `pick` takes it out of the
/// [`Value`].
///
/// # Errors
/// As [`read_h5`], and if the file has no such value or more than one.
pub fn read_only<T>(path: &Path, kinds: &[&str], pick: impl Fn(Value) -> Option<T>) -> Result<T, Error> {
    let read = |file: &hdf5::File| {
        let name = only(&find(file, kinds)?, kinds[0])?;
        let value = read_value(file, &name, 0)?;
        pick(value).ok_or_else(|| Problem(format!("{name} is not of the type {}", kinds[0])))
    };
    read(&open(path)?).map_err(|Problem(problem)| Error::Hdf5Read { path: path.to_owned(), problem })
}

/// Opens a file for reading.
///
/// # Errors
/// If it is not there, is not HDF5, is damaged, or points to data in other files.
pub fn open(path: &Path) -> Result<hdf5::File, Error> {
    let unreadable = |cause| Error::Read { path: path.to_owned(), cause };
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(8).read_to_end(&mut start)).map_err(unreadable)?;
    let problem = if start != *b"\x89HDF\r\n\x1a\n" {
        "it is not an HDF5 file".to_owned()
    } else {
        match hdf5::File::open(path) {
            Ok(file) => match contained::check(&file) {
                Ok(()) => return Ok(file),
                Err(Problem(problem)) => problem,
            },
            Err(error) => format!("the HDF5 file is damaged ({})", Problem::from(error).0),
        }
    };
    Err(Error::Hdf5Read { path: path.to_owned(), problem })
}

/// A stack of images in an HDF5 file, read block by block.
pub struct Stack {
    path: PathBuf,
    data: Dataset,
    shape: [usize; 3],
    pixel_size: Option<f64>,
    redundancy: f64,
}

impl Stack {
    /// The only value of type `images` in the file, else its only three-dimensional dataset.
    ///
    /// # Errors
    /// If there is none or more than one, or the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read = |file: &hdf5::File| {
            let ours = find(file, &["images"])?;
            let name = if ours.is_empty() {
                only(&find_stacks(file)?, "three-dimensional dataset")?
            } else {
                format!("{}/data", only(&ours, "images")?)
            };
            let data = file.dataset(&name)?;
            let shape: [usize; 3] = data
                .shape()
                .try_into()
                .map_err(|shape| Problem(format!("{name} has the shape {shape:?}, not [images, rows, columns]")))?;
            if shape.contains(&0) {
                return Err(Problem(format!("{name} is empty: its shape is {shape:?}")));
            }
            let parent = match name.rsplit_once('/') {
                Some((parent, _)) if !parent.is_empty() => file.group(parent)?,
                _ => file.as_group()?,
            };
            let given = [number(&data, "pixel_size"), number(&parent, "pixel_size")];
            let pixel_size = given.into_iter().flatten().find(|size| size.is_finite() && *size > 0.0);
            let redundancy = redundancy(&parent);
            Ok(Self { path: path.to_owned(), data, shape, pixel_size, redundancy })
        };
        read(&open(path)?).map_err(|Problem(problem)| Error::Hdf5Read { path: path.to_owned(), problem })
    }

    /// Images, rows, columns.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Edge of a pixel \[Å\], where an attribute `pixel_size` of the dataset or its group gives it.
    pub fn pixel_size(&self) -> Option<f64> {
        self.pixel_size
    }

    /// How many times as many images there are as independent ones, as the file says; else 1.
    pub fn redundancy(&self) -> f64 {
        self.redundancy
    }

    /// Calls `take` with the pixels `[y][x]` of each image in turn.
    pub fn read_sections(&self, mut take: impl FnMut(&[f32]) -> Result<(), Error>) -> Result<(), Error> {
        let [count, rows, columns] = self.shape;
        // As many images at a time as share a chunk, or every chunk would be read once for each of them.
        let block = self.data.chunk().map_or(1, |chunk| chunk[0]).clamp(1, count);
        for first in (0..count).step_by(block) {
            let last = (first + block).min(count);
            let pixels: Vec<f32> = self
                .data
                .read_slice::<f32, _, ndarray::IxDyn>(s![first..last, .., ..])
                .map(|pixels| pixels.into_raw_vec_and_offset().0)
                .map_err(|error| Error::Hdf5Read { path: self.path.clone(), problem: Problem::from(error).0 })?;
            pixels.chunks_exact(rows * columns).try_for_each(&mut take)?;
        }
        Ok(())
    }
}

/// The one name in `found`.
fn only(found: &[String], kind: &str) -> Result<String, Problem> {
    match found {
        [name] => Ok(name.clone()),
        [] => Err(Problem(format!("it holds no {kind}"))),
        names => {
            let count = names.len();
            Err(Problem(format!("it holds {count} values of the type {kind} ({}), not one", names.join(", "))))
        }
    }
}

/// Full names of the groups and datasets whose `pedesis_type` is one of `kinds`.
fn find(file: &hdf5::File, kinds: &[&str]) -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    walk(file, "", 0, &mut |name, member| {
        if text(member.location(), "pedesis_type").is_some_and(|kind| kinds.contains(&kind.as_str())) {
            found.push(name.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// Full names of the three-dimensional datasets of numbers.
fn find_stacks(file: &hdf5::File) -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    walk(file, "", 0, &mut |name, member| {
        if let Member::Dataset(dataset) = member
            && dataset.ndim() == 3
        {
            let kind = dataset.dtype()?.to_descriptor()?;
            if matches!(kind, TypeDescriptor::Float(_) | TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)) {
                found.push(name.to_owned());
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Something in a group.
pub enum Member {
    Group(Group),
    Dataset(Dataset),
}

impl Member {
    fn location(&self) -> &Location {
        match self {
            Self::Group(group) => group,
            Self::Dataset(dataset) => dataset,
        }
    }
}

/// Calls `visit` with the full name of every group and dataset below `group`, parents first.
pub fn walk(
    group: &Group,
    prefix: &str,
    depth: usize,
    visit: &mut impl FnMut(&str, &Member) -> Result<(), Problem>,
) -> Result<(), Problem> {
    check_depth(depth)?;
    for name in group.member_names()? {
        let full_name = format!("{prefix}/{name}");
        match group.loc_type_by_name(&name)? {
            LocationType::Group => {
                let member = group.group(&name)?;
                visit(&full_name, &Member::Group(member.clone()))?;
                walk(&member, &full_name, depth + 1, visit)?;
            }
            LocationType::Dataset => visit(&full_name, &Member::Dataset(group.dataset(&name)?))?,
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn check_depth(depth: usize) -> Result<(), Problem> {
    if depth < DEEPEST { Ok(()) } else { Err(Problem(format!("its groups are nested more than {DEEPEST} deep"))) }
}

fn read_members(group: &Group, depth: usize) -> Result<BTreeMap<String, Value>, Problem> {
    check_depth(depth)?;
    let names = group.member_names()?.into_iter();
    names.map(|name| read_value(group, &name, depth).map(|value| (name, value))).collect()
}

fn read_value(parent: &Group, name: &str, depth: usize) -> Result<Value, Problem> {
    match parent.loc_type_by_name(name)? {
        LocationType::Group => {
            let group = parent.group(name)?;
            let kind = text(&group, "pedesis_type");
            if let Some(record) = RECORDS.into_iter().find(|record| kind.as_deref() == Some(record)) {
                return Ok(Value::Record(record, read_members(&group, depth + 1)?));
            }
            match kind.as_deref() {
                None | Some("group" | PROVENANCE) => Ok(Value::Group(read_members(&group, depth + 1)?)),
                Some("table") => {
                    Ok(Value::Table(read_table(&group, depth + 1).map_err(|problem| problem.within(&group))?))
                }
                Some("list") => Ok(Value::List(read_members(&group, depth + 1)?.into_values().collect())),
                Some(kind) => read_group(&group, kind).map_err(|problem| problem.within(&group)),
            }
        }
        LocationType::Dataset => {
            let dataset = sized(parent, name)?;
            read_dataset(&dataset).map_err(|problem| problem.within(&dataset))
        }
        other => Err(Problem(format!("{name} is a {other:?}, which is not a value"))),
    }
}

fn read_group(group: &Group, kind: &str) -> Result<Value, Problem> {
    Ok(match kind {
        "images" => Value::Images(read_images(group)?),
        "volume" => Value::Volume(read_volume(group)?),
        "poses" => Value::Poses(read_poses(group)?),
        "structure" => Value::Structure(read_structure(group)?),
        "model" => Value::Model(read_model(group)?),
        "nothing" => Value::Nothing,
        _ => return Err(Problem(format!("values of the type \"{kind}\" are not known to this version"))),
    })
}

/// The columns of a table, in order; all of one length.
pub fn read_table(group: &Group, depth: usize) -> Result<Vec<(String, Value)>, Problem> {
    check_depth(depth)?;
    let names = text(group, "columns").ok_or_else(|| Problem("the attribute columns is missing".to_owned()))?;
    let names: Vec<String> =
        serde_json::from_str(&names).map_err(|error| Problem(format!("the attribute columns: {error}")))?;
    let mut columns = Vec::new();
    for name in names {
        let column = read_value(group, &name, depth)?;
        if column.items().is_none()
            || columns.first().is_some_and(|(_, first): &(_, Value)| first.items() != column.items())
        {
            return Err(Problem(format!("{name} is not a column as long as the others")));
        }
        columns.push((name, column));
    }
    Ok(columns)
}

/// A dataset that fits into memory: a small file can announce a large one.
pub fn sized(group: &Group, name: &str) -> Result<Dataset, Problem> {
    let dataset = group.dataset(name)?;
    let bytes = dataset.shape().iter().map(|&n| n as f64).product::<f64>() * dataset.dtype()?.size() as f64;
    memory::require(bytes, &format!("the values of {name}")).map_err(|cause| Problem(cause.to_string()))?;
    Ok(dataset)
}

fn read_dataset(dataset: &Dataset) -> Result<Value, Problem> {
    use TypeDescriptor::{Boolean, FixedAscii, FixedUnicode, Float, Integer, Unsigned, VarLenAscii, VarLenUnicode};
    Ok(match (dataset.dtype()?.to_descriptor()?, dataset.ndim()) {
        (Float(_), 0) => Value::Number(dataset.read_scalar()?),
        (Float(_), 1) => Value::Numbers(dataset.read_raw()?),
        (Float(_) | Integer(_) | Unsigned(_), 2) => Value::Matrix(dataset.read_2d()?),
        (Integer(_) | Unsigned(_), 0) => Value::Integer(dataset.read_scalar()?),
        (Integer(_) | Unsigned(_), 1) => Value::Integers(dataset.read_raw()?),
        (Boolean, 0) => Value::Boolean(dataset.read_scalar()?),
        (FixedAscii(_) | FixedUnicode(_) | VarLenAscii | VarLenUnicode, 0) => {
            Value::Text(read_texts(dataset)?.pop().ok_or_else(|| Problem("there is no text in it".to_owned()))?)
        }
        (FixedAscii(_) | FixedUnicode(_) | VarLenAscii | VarLenUnicode, 1) => Value::Texts(read_texts(dataset)?),
        (kind, _) => {
            let shape = dataset.shape();
            return Err(Problem(format!(
                "a dataset of the type {kind:?} and the shape {shape:?} is not a known value"
            )));
        }
    })
}

fn read_images(group: &Group) -> Result<Images, Problem> {
    let data: Array3<f32> = sized(group, "data")?.read()?;
    let (count, rows, columns) = data.dim();
    if rows != columns {
        return Err(Problem(format!("images must be square, these have {columns}×{rows} pixels")));
    }
    let images = Images::new(data, pixel_size(group)?).with_redundancy(redundancy(group));
    if !group.link_exists("true_poses") {
        return Ok(images);
    }
    let poses = read_poses(&group.group("true_poses")?)?;
    match poses.len() {
        found if found == count => Ok(images.with_true_poses(poses)),
        found => Err(Problem(format!("there are {count} images and {found} true poses"))),
    }
}

/// How many times as many images there are as independent ones.
fn redundancy(group: &Group) -> f64 {
    number(group, "redundancy").filter(|value| value.is_finite() && *value >= 1.0).unwrap_or(1.0)
}

fn read_volume(group: &Group) -> Result<Volume, Problem> {
    let data: Array3<f32> = sized(group, "data")?.read()?;
    match data.dim() {
        (z, y, x) if z == y && y == x => Ok(Volume::new(data, pixel_size(group)?)),
        (z, y, x) => Err(Problem(format!("a volume must be cubic, this one has {x}×{y}×{z} voxels"))),
    }
}

fn read_poses(group: &Group) -> Result<Poses, Problem> {
    let quaternions = read_columns(group, "quaternions", 4)?;
    let shifts = read_columns(group, "shifts", 2)?;
    let scores: Vec<f64> = sized(group, "scores")?.read_raw()?;
    let (count, shifted, scored) = (quaternions.nrows(), shifts.nrows(), scores.len());
    if shifted != count || scored != count {
        return Err(Problem(format!("there are {count} quaternions, {shifted} shifts and {scored} scores")));
    }
    let rows = quaternions.rows().into_iter().zip(shifts.rows());
    let poses = rows.map(|(q, shift)| structure::pose([q[0], q[1], q[2], q[3]], [shift[0], shift[1]]));
    Ok(Poses::new(poses.collect::<Result<_, _>>().map_err(Problem)?, scores))
}

fn read_structure(group: &Group) -> Result<Structure, Problem> {
    let positions = read_columns(group, "positions", 3)?;
    let numbers: Vec<u8> = sized(group, "atomic_numbers")?.read_raw()?;
    if positions.nrows() != numbers.len() {
        let (atoms, numbers) = (positions.nrows(), numbers.len());
        return Err(Problem(format!("there are {atoms} positions and {numbers} atomic numbers")));
    }
    let atoms = (1..).zip(positions.rows()).zip(numbers).map(|((i, position), z)| {
        let element =
            Element::from_atomic_number(z).ok_or_else(|| Problem(format!("no element has the number {z}")))?;
        let atom = structure::atom(element, Point3::new(position[0], position[1], position[2]));
        atom.map_err(|problem| Problem(format!("atom {i}: {problem}")))
    });
    Ok(Structure::new(text(group, "name").unwrap_or_default(), atoms.collect::<Result<_, Problem>>()?))
}

fn read_model(group: &Group) -> Result<StoredModel, Problem> {
    let structure = read_structure(group)?;
    let columns = read_lists(&group.group("columns")?)?;
    let rejected = read_lists(&group.group("rejected")?)?;
    match columns.iter().find(|(_, numbers)| numbers.len() != structure.len()) {
        None => Ok(StoredModel { structure, columns, rejected }),
        Some((name, numbers)) => {
            let (atoms, found) = (structure.len(), numbers.len());
            Err(Problem(format!("there are {atoms} atoms and {found} numbers in the column {name}")))
        }
    }
}

fn read_lists(group: &Group) -> Result<BTreeMap<String, Vec<f64>>, Problem> {
    let names = group.member_names()?.into_iter();
    names.map(|name| Ok((name.clone(), sized(group, &name)?.read_raw()?))).collect()
}

fn read_columns(group: &Group, name: &str, columns: usize) -> Result<Array2<f64>, Problem> {
    let data: Array2<f64> = sized(group, name)?.read_2d()?;
    if data.ncols() == columns {
        return Ok(data);
    }
    Err(Problem(format!("{name} must have {columns} columns, it has {}", data.ncols())))
}

/// Where a file came from, if it says so.
pub fn provenance_of(file: &hdf5::File) -> Result<Option<Provenance>, Problem> {
    if !file.link_exists(PROVENANCE) {
        return Ok(None);
    }
    let group = &file.group(PROVENANCE)?;
    let script = sized(group, "script")?;
    let read = |name| text(group, name).unwrap_or_default();
    let json = |name| serde_json::from_str(&read(name)).unwrap_or_default();
    let number = |name| group.attr(name).and_then(|number| number.read_scalar()).ok();
    Ok(Some(Provenance {
        script: read_texts(&script)?.pop().unwrap_or_default(),
        script_path: read("script_path"),
        modules: read_modules(group)?,
        given: text(group, "given").and_then(|given| serde_json::from_str(&given).ok()),
        arguments: json("arguments"),
        options: json("options"),
        version: read("version"),
        seed: number("seed"),
        threads: number("threads"),
        inputs: read_inputs(json("inputs")),
        start: read("start"),
        end: read("end"),
    }))
}

/// The texts of a script's modules by their paths.
fn read_modules(provenance: &Group) -> Result<BTreeMap<String, String>, Problem> {
    if !provenance.link_exists("modules") {
        return Ok(BTreeMap::new());
    }
    let group = provenance.group("modules")?;
    let read = |name: String| {
        let module = sized(&group, &name)?;
        let missing = |what| Problem(format!("{} has no {what}", module.name()));
        let path = text(&module, "path").ok_or_else(|| missing("path"))?;
        Ok((path, read_texts(&module)?.pop().ok_or_else(|| missing("text"))?))
    };
    group.member_names()?.into_iter().map(read).collect()
}

/// Digests by name; of old files the names alone.
fn read_inputs(json: serde_json::Value) -> BTreeMap<String, String> {
    let names: Vec<String> = serde_json::from_value(json.clone()).unwrap_or_default();
    let digests: BTreeMap<String, String> = serde_json::from_value(json).unwrap_or_default();
    names.into_iter().map(|name| (name, String::new())).chain(digests).collect()
}

fn pixel_size(group: &Group) -> Result<f64, Problem> {
    match number(group, "pixel_size") {
        Some(size) if size.is_finite() && size > 0.0 => Ok(size),
        Some(size) => Err(Problem(format!("the attribute pixel_size must be a positive number of Å, it is {size}"))),
        None => Err(Problem("the attribute pixel_size is missing".to_owned())),
    }
}

fn number(location: &Location, name: &str) -> Option<f64> {
    location.attr(name).and_then(|attribute| attribute.read_scalar()).ok()
}

/// The text of an attribute, if there is such an attribute and it is a text.
pub fn text(location: &Location, name: &str) -> Option<String> {
    let attribute = location.attr(name).ok()?;
    read_texts(&attribute).ok()?.pop()
}

/// Longest text of fixed length that is read, in bytes.
const LONGEST: usize = 4096;

/// The texts of a dataset or an attribute, whichever way they are stored.
fn read_texts(container: &hdf5::Container) -> Result<Vec<String>, Problem> {
    fn all<T: H5Type + ToString>(container: &hdf5::Container) -> Result<Vec<String>, Problem> {
        Ok(container.read_raw::<T>()?.iter().map(T::to_string).collect())
    }
    match container.dtype()?.to_descriptor()? {
        TypeDescriptor::VarLenUnicode => all::<VarLenUnicode>(container),
        TypeDescriptor::VarLenAscii => all::<VarLenAscii>(container),
        TypeDescriptor::FixedAscii(length) if length <= LONGEST => all::<FixedAscii<LONGEST>>(container),
        TypeDescriptor::FixedUnicode(length) if length <= LONGEST => all::<FixedUnicode<LONGEST>>(container),
        kind => Err(Problem(format!("{kind:?} is not a text, or one of more than {LONGEST} bytes"))),
    }
}
