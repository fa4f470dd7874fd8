//! Values of a script as checkpoints hold them: what is read is what was written, in type and in every bit.
//!
//! [`stored`](super::stored) writes for other programs, and makes one kind of number of all that share an array, a stack of images of particles.

use std::collections::BTreeMap;

use nalgebra::Point3;
use ndarray::Array2;
use rhai::{Array, Dynamic, Map};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Table;
use super::stored::{self, columns, from_stored, table, type_of};
use crate::cell::{Cell, Liquid};
use crate::images::{Images, Measures, NoiseSpectrum, Particles};
use crate::microscope::Microscope;
use crate::model::{Model, Parts};
use crate::store::Value;
use crate::structure::{Element, Lattice};

/// Values inside values deeper than this are not written: no file would be read so deep.
const DEEPEST: usize = 48;

/// The names of the parts of a value.
type Named = BTreeMap<String, Value>;

/// A script's value for a checkpoint.
///
/// # Errors
/// If the value, or one inside it, is of a type that cannot be kept; the message says where it is.
pub fn to_exact(value: &Dynamic) -> Result<Value, String> {
    value_to_exact(value, 0)
}

/// As [`to_exact`], for each entry of a map.
pub fn map_to_exact(map: &Map) -> Result<Value, String> {
    entries(map, 0)
}

fn value_to_exact(value: &Dynamic, depth: usize) -> Result<Value, String> {
    if depth > DEEPEST {
        return Err(format!("values inside values more than {DEEPEST} deep cannot be kept"));
    }
    if let Some(exact) = native(value).or_else(|| number(value)) {
        return Ok(exact);
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return if holdable(&text) {
            Ok(Value::Text(text.to_string()))
        } else {
            Err("a string with a zero in it cannot be kept".into())
        };
    }
    if let Ok(items) = value.as_array_ref() {
        return array(&items, depth);
    }
    if let Some(table) = value.read_lock::<Table>() {
        return Ok(Value::Table(exact_columns(&table)));
    }
    match value.as_map_ref() {
        Ok(map) => entries(&map, depth),
        Err(_) => Err(format!("a {} cannot be kept", type_of(value))),
    }
}

/// HDF5 ends a text at its first zero.
fn holdable(text: &str) -> bool {
    !text.contains('\0')
}

fn entries(map: &Map, depth: usize) -> Result<Value, String> {
    let entry = |(name, value): (&rhai::Identifier, &Dynamic)| {
        if matches!(name.as_str(), "" | ".") || name.contains(['/', '\0']) {
            return Err(format!("{name:?} cannot name a value in a file: it is empty, a dot, or has a / in it"));
        }
        match value_to_exact(value, depth + 1) {
            Ok(value) => Ok((name.to_string(), value)),
            Err(problem) => Err(format!("{name}: {problem}")),
        }
    };
    map.iter().map(entry).collect::<Result<_, _>>().map(Value::Group)
}

fn array(items: &[Dynamic], depth: usize) -> Result<Value, String> {
    fn all<T>(items: &[Dynamic], read: impl Fn(&Dynamic) -> Option<T>) -> Option<Vec<T>> {
        items.iter().map(read).collect()
    }
    // Rows of one length, none of them empty, make a matrix; only floats, or the type of a number would be lost.
    let rows = || {
        let rows = all(items, |row| all(&row.as_array_ref().ok()?, |item| item.as_float().ok()))?;
        let width = rows[0].len();
        (width > 0 && rows.iter().all(|row| row.len() == width))
            .then(|| Array2::from_shape_fn((rows.len(), width), |(i, j)| rows[i][j]))
    };
    if items.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    if let Some(integers) = all(items, |item| item.as_int().ok()) {
        return Ok(Value::Integers(integers));
    }
    if let Some(numbers) = all(items, |item| item.as_float().ok()) {
        return Ok(Value::Numbers(numbers));
    }
    if let Some(texts) = all(items, |item| item.clone().into_string().ok().filter(|text| holdable(text))) {
        return Ok(Value::Texts(texts));
    }
    if let Some(matrix) = rows() {
        return Ok(Value::Matrix(matrix));
    }
    let item = |(i, item)| value_to_exact(item, depth + 1).map_err(|problem| format!("item {i}: {problem}"));
    items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::List)
}

fn number(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Nothing);
    }
    None.or_else(|| value.as_bool().ok().map(Value::Boolean))
        .or_else(|| value.as_int().ok().map(Value::Integer))
        .or_else(|| value.as_float().ok().map(Value::Number))
}

/// The types of pedesis.
fn native(value: &Dynamic) -> Option<Value> {
    fn get<T: Clone + Send + Sync + 'static>(value: &Dynamic) -> Option<T> {
        value.read_lock::<T>().map(|value| value.clone())
    }
    None.or_else(|| get(value).map(Value::Images))
        .or_else(|| get(value).map(Value::Volume))
        .or_else(|| get(value).map(Value::Poses))
        .or_else(|| get(value).map(Value::Structure))
        .or_else(|| get(value).map(|particles: Particles| record_of_particles(&particles)))
        .or_else(|| get(value).map(|model: Model| record_of_model(&model)))
        .or_else(|| get(value).and_then(|microscope: Microscope| record_of("microscope", &microscope)))
        .or_else(|| get(value).and_then(|lattice: Lattice| record_of("lattice", &lattice)))
        .or_else(|| get(value).and_then(|liquid: Liquid| record_of_liquid(&liquid)))
        .or_else(|| get(value).and_then(|cell: Cell| record_of_cell(&cell)))
}

/// A value of a checkpoint as a script sees it.
///
/// # Errors
/// If parts of a value are missing, or do not fit together.
pub fn from_exact(value: Value) -> Result<Dynamic, String> {
    Ok(match value {
        Value::List(items) => items.into_iter().map(from_exact).collect::<Result<Array, _>>()?.into(),
        Value::Group(values) => {
            let entry = |(name, value): (String, Value)| Ok((name.into(), from_exact(value)?));
            values.into_iter().map(entry).collect::<Result<Map, String>>()?.into()
        }
        Value::Table(columns) => Dynamic::from(table(columns)?),
        Value::Record("microscope", parts) => Dynamic::from(Taken(parts).settings::<Microscope>()?),
        Value::Record("lattice", parts) => Dynamic::from(Taken(parts).settings::<Lattice>()?),
        Value::Record("liquid", parts) => Dynamic::from(liquid(Taken(parts))?),
        Value::Record("cell", parts) => Dynamic::from(cell(Taken(parts))?),
        Value::Record("particles", parts) => Dynamic::from(particles(Taken(parts))?),
        Value::Record(_, parts) => Dynamic::from(model(Taken(parts))?),
        Value::Model(_) => return Err("a model without all its parts".into()),
        plain => from_stored(plain),
    })
}

fn named<const N: usize>(parts: [(&str, Value); N]) -> Named {
    parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Parts of a value, to be taken out by name.
struct Taken(Named);

impl Taken {
    fn part<T>(&mut self, name: &str, pick: impl Fn(Value) -> Option<T>) -> Result<T, String> {
        self.0.remove(name).and_then(pick).ok_or_else(|| format!("its part {name} is missing or of another type"))
    }

    fn number(&mut self, name: &str) -> Result<f64, String> {
        self.part(name, |value| if let Value::Number(number) = value { Some(number) } else { None })
    }

    fn numbers(&mut self, name: &str) -> Result<Vec<f64>, String> {
        self.part(name, |value| if let Value::Numbers(numbers) = value { Some(numbers) } else { None })
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        self.part(name, |value| if let Value::Text(text) = value { Some(text) } else { None })
    }

    /// What [`settings_of`] has written.
    fn settings<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        serde_json::from_str(&self.text("settings")?).map_err(|error| error.to_string())
    }

    fn matrix(&mut self, name: &str) -> Result<Array2<f64>, String> {
        self.part(name, |value| if let Value::Matrix(matrix) = value { Some(matrix) } else { None })
    }
}

/// Cells are of few types, and empty ones of a type of their own: where a column has several, each is a value.
fn exact_columns(table: &Table) -> Vec<(String, Value)> {
    let as_it_is = |(i, (name, column)): (usize, (String, Value))| {
        let cells = || table.rows().iter().map(move |row| &row[i]);
        let plain = match &column {
            Value::Integers(_) | Value::List(_) => true,
            Value::Numbers(_) => cells().all(serde_json::Value::is_f64),
            // an empty text is not an empty cell
            _ => cells().all(|cell| cell.as_str().is_some_and(|text| !text.is_empty() && holdable(text))),
        };
        let column = if plain { column } else { Value::List(cells().map(stored::cell).collect()) };
        (name, column)
    };
    columns(table).into_iter().enumerate().map(as_it_is).collect()
}

fn record_of_particles(particles: &Particles) -> Value {
    let Measures { pixel_size, mask_radius, diameter, noise, contrast, redundancy } = particles.measures();
    let parts = [
        ("images", Value::Images(Images::new(particles.data().clone(), pixel_size))),
        ("mask_radius", Value::Number(mask_radius)),
        ("diameter", Value::Number(diameter)),
        ("contrast", Value::Number(contrast)),
        ("redundancy", Value::Number(redundancy)),
        ("noise", Value::Numbers(noise.rings)),
        ("noise_step", Value::Number(noise.step)),
        ("noise_first", Value::Number(noise.first)),
    ];
    Value::Record("particles", named(parts))
}

fn particles(mut parts: Taken) -> Result<Particles, String> {
    let images = parts.part("images", |value| if let Value::Images(images) = value { Some(images) } else { None })?;
    let noise = NoiseSpectrum {
        rings: parts.numbers("noise")?,
        step: parts.number("noise_step")?,
        first: parts.number("noise_first")?,
    };
    if noise.rings.len() < 2 {
        return Err("its noise has fewer than two rings".into());
    }
    let measures = Measures {
        pixel_size: images.pixel_size(),
        mask_radius: parts.number("mask_radius")?,
        diameter: parts.number("diameter")?,
        noise,
        contrast: parts.number("contrast")?,
        redundancy: parts.number("redundancy")?,
    };
    Ok(Particles::from_measures(images.data().clone(), measures))
}

/// As JSON, which gives back every bit of a finite number; `None` if one is not finite.
fn settings_of<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Option<Value> {
    let settings = serde_json::to_string(value).ok()?;
    serde_json::from_str(&settings).is_ok_and(|read: T| read == *value).then_some(Value::Text(settings))
}

fn record_of<T: Serialize + DeserializeOwned + PartialEq>(kind: &'static str, value: &T) -> Option<Value> {
    Some(Value::Record(kind, named([("settings", settings_of(value)?)])))
}

/// Its settings without the liquid, and the liquid.
fn record_of_cell(cell: &Cell) -> Option<Value> {
    let liquid = cell.liquid.as_ref().map_or(Some(Value::Nothing), record_of_liquid)?;
    let settings = settings_of(&Cell { liquid: None, ..cell.clone() })?;
    Some(Value::Record("cell", named([("settings", settings), ("liquid", liquid)])))
}

fn cell(mut parts: Taken) -> Result<Cell, String> {
    let inside = parts.part("liquid", |value| match value {
        Value::Nothing => Some(None),
        Value::Record("liquid", parts) => Some(Some(parts)),
        _ => None,
    })?;
    Ok(Cell { liquid: inside.map(|parts| liquid(Taken(parts))).transpose()?, ..parts.settings()? })
}

/// `None` if it would not come back in all its bits, as a molecule on the face of its box may not.
fn record_of_liquid(liquid: &Liquid) -> Option<Value> {
    let matrix = |positions: &Vec<Point3<f64>>| {
        Value::Matrix(Array2::from_shape_fn((positions.len(), 3), |(atom, axis)| positions[atom][axis]))
    };
    let parts = || {
        named([
            ("name", Value::Text(liquid.name().into())),
            ("size", Value::Numbers(liquid.size().into())),
            ("elements", Value::Texts(liquid.elements().iter().map(|element| element.symbol().into()).collect())),
            ("molecules", Value::Integers(liquid.molecules().map(|atoms| atoms.len() as i64).collect())),
            ("snapshots", Value::List(liquid.snapshots().iter().map(matrix).collect())),
        ])
    };
    self::liquid(Taken(parts())).is_ok_and(|read| read == *liquid).then(|| Value::Record("liquid", parts()))
}

fn liquid(mut parts: Taken) -> Result<Liquid, String> {
    let texts = parts.part("elements", |value| if let Value::Texts(texts) = value { Some(texts) } else { None })?;
    let elements = texts.iter().map(|text| text.parse()).collect::<Result<Vec<Element>, _>>();
    let sizes = |value| if let Value::Integers(sizes) = value { Some(sizes) } else { None };
    let molecules: Vec<usize> = parts.part("molecules", sizes)?.into_iter().map(|size| size as usize).collect();
    let positions = |value: Value| match value {
        Value::Matrix(rows) if rows.ncols() == 3 => {
            Some(rows.rows().into_iter().map(|row| Point3::new(row[0], row[1], row[2])).collect())
        }
        _ => None,
    };
    let snapshots = parts.part("snapshots", |value| match value {
        Value::List(items) => items.into_iter().map(positions).collect::<Option<Vec<_>>>(),
        _ => None,
    })?;
    let size = parts.numbers("size")?.try_into().map_err(|_| "its size is three numbers")?;
    let elements = elements.map_err(|error| error.to_string())?;
    Liquid::new(&parts.text("name")?, size, elements, &molecules, snapshots).map_err(|error| error.to_string())
}

fn record_of_model(model: &Model) -> Value {
    let Parts { atoms, rejected, classes, center, limits } = model.into();
    let parts = [
        ("atoms", Value::Matrix(atoms)),
        ("rejected", Value::Matrix(rejected)),
        ("classes", Value::Matrix(classes)),
        ("center", Value::Numbers(center.into())),
        ("limits", Value::Numbers(limits.into())),
    ];
    Value::Record("traced", named(parts))
}

fn model(mut parts: Taken) -> Result<Model, String> {
    fn as_many<const N: usize>(numbers: Vec<f64>) -> Result<[f64; N], String> {
        numbers.try_into().map_err(|_| format!("{N} numbers are needed"))
    }
    let parts = Parts {
        atoms: parts.matrix("atoms")?,
        rejected: parts.matrix("rejected")?,
        classes: parts.matrix("classes")?,
        center: as_many(parts.numbers("center")?)?,
        limits: as_many(parts.numbers("limits")?)?,
    };
    parts.try_into()
}
