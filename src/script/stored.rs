//! Between the values of a script and those of a file.

use std::collections::BTreeMap;

use ndarray::Array2;
use rhai::{Array, Dynamic, Map};
use serde_json::{Value as Json, json};

use super::options::to_json;
use super::table::{Table, to_cell};
use crate::images::{Images, Particles};
use crate::model::Model;
use crate::pose::Poses;
use crate::store::Value;
use crate::structure::Structure;
use crate::volume::Volume;

/// A script's value as a file holds it: an array of numbers is one dataset, a table one a column.
///
/// # Errors
/// If the value, or one inside it, is of a type that files do not hold; the message says where it is.
pub fn to_stored(value: &Dynamic) -> Result<Value, String> {
    if let Some(stored) = native(value).or_else(|| plain(value)) {
        return Ok(stored);
    }
    if let Ok(items) = value.as_array_ref() {
        return array(&items);
    }
    match value.as_map_ref() {
        Ok(map) => map_to_stored(&map).map(Value::Group),
        Err(_) => Err(format!("a {} cannot be stored", type_of(value))),
    }
}

/// As [`to_stored`], for each entry of a map.
pub fn map_to_stored(map: &Map) -> Result<BTreeMap<String, Value>, String> {
    let stored = |(name, value): (&rhai::Identifier, &Dynamic)| match to_stored(value) {
        Ok(value) => Ok((name.to_string(), value)),
        Err(problem) => Err(format!("{name}: {problem}")),
    };
    map.iter().map(stored).collect()
}

/// The types of pedesis.
fn native(value: &Dynamic) -> Option<Value> {
    fn get<T: Clone + Send + Sync + 'static>(value: &Dynamic) -> Option<T> {
        value.read_lock::<T>().map(|value| value.clone())
    }
    None.or_else(|| get(value).map(Value::Images))
        .or_else(|| get(value).map(|particles: Particles| Value::Images(prepared(&particles))))
        .or_else(|| get(value).map(Value::Volume))
        .or_else(|| get(value).map(Value::Poses))
        .or_else(|| get(value).map(Value::Structure))
        .or_else(|| get(value).map(|model: Model| Value::Model((&model).into())))
        .or_else(|| get(value).map(|table: Table| Value::Table(columns(&table))))
}

/// Particles are kept as the images they are: cropped, on larger pixels, atoms white.
fn prepared(particles: &Particles) -> Images {
    Images::new(particles.data().clone(), particles.pixel_size()).with_redundancy(particles.redundancy())
}

fn plain(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Nothing);
    }
    let text = || value.as_immutable_string_ref().ok().map(|text| Value::Text(text.to_string()));
    None.or_else(|| value.as_bool().ok().map(Value::Boolean))
        .or_else(|| value.as_int().ok().map(Value::Integer))
        .or_else(|| value.as_float().ok().map(Value::Number))
        .or_else(text)
}

fn array(items: &[Dynamic]) -> Result<Value, String> {
    fn all<T>(items: &[Dynamic], read: impl Fn(&Dynamic) -> Option<T>) -> Option<Vec<T>> {
        items.iter().map(read).collect()
    }
    let number = |item: &Dynamic| item.as_float().or_else(|_| item.as_int().map(|integer| integer as f64)).ok();
    if items.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    if let Some(integers) = all(items, |item| item.as_int().ok()) {
        return Ok(Value::Integers(integers));
    }
    if let Some(numbers) = all(items, number) {
        return Ok(Value::Numbers(numbers));
    }
    if let Some(texts) = all(items, |item| item.clone().into_string().ok()) {
        return Ok(Value::Texts(texts));
    }
    if let Some(rows) = all(items, |row| all(&row.as_array_ref().ok()?, number)) {
        let width = rows[0].len();
        if width > 0 && rows.iter().all(|row| row.len() == width) {
            return Ok(Value::Matrix(Array2::from_shape_fn((rows.len(), width), |(i, j)| rows[i][j])));
        }
    }
    let item = |(i, item)| to_stored(item).map_err(|problem| format!("item {i}: {problem}"));
    items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::List)
}

/// One dataset a column, if its cells are of one kind: empty cells are NaN or empty texts then.
pub(super) fn columns(table: &Table) -> Vec<(String, Value)> {
    let column = |i: usize| {
        let cells = || table.rows().iter().map(move |row| &row[i]);
        let all = |is: fn(&Json) -> bool| cells().all(is);
        if all(Json::is_i64) {
            return Value::Integers(cells().filter_map(Json::as_i64).collect());
        }
        if all(|cell| cell.is_number() || cell.is_null()) {
            return Value::Numbers(cells().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect());
        }
        if all(|cell| cell.is_string() || cell.is_null()) {
            return Value::Texts(cells().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect());
        }
        Value::List(cells().map(cell).collect())
    };
    table.columns().iter().enumerate().map(|(i, name)| (name.clone(), column(i))).collect()
}

/// A cell as a value of its own.
pub(super) fn cell(cell: &Json) -> Value {
    match cell {
        Json::Bool(boolean) => Value::Boolean(*boolean),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text.clone()),
        _ => Value::Nothing,
    }
}

/// The table of some columns of one length.
///
/// # Errors
/// If an item of a list is none that a cell can hold.
pub fn table(columns: Vec<(String, Value)>) -> Result<Table, String> {
    let number = |number: f64| serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number);
    let text = |text: String| if text.is_empty() { Json::Null } else { text.into() };
    let mut rows: Vec<Vec<Json>> =
        vec![Vec::new(); columns.first().and_then(|(_, column)| column.items()).unwrap_or(0)];
    let mut names = Vec::new();
    for (name, column) in columns {
        let cells: Vec<Json> = match column {
            Value::Integers(integers) => integers.into_iter().map(Json::from).collect(),
            Value::Numbers(numbers) => numbers.into_iter().map(number).collect(),
            Value::Texts(texts) => texts.into_iter().map(text).collect(),
            Value::List(items) => {
                items.into_iter().map(|item| to_cell(&from_stored(item))).collect::<Result<_, _>>()?
            }
            other => return Err(format!("{name}: {} is no column of a table", other.kind())),
        };
        rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
        names.push(name);
    }
    Table::from_cells(names, rows).map_err(|error| error.to_string())
}

/// A file's value as a script sees it. A model comes back as a map of its `atoms`, `columns` and `rejected` peaks.
pub fn from_stored(value: Value) -> Dynamic {
    fn array<T>(items: Vec<T>, item: impl Fn(T) -> Dynamic) -> Dynamic {
        items.into_iter().map(item).collect::<Array>().into()
    }
    let lists = |lists: BTreeMap<String, Vec<f64>>| {
        map_from_stored(lists.into_iter().map(|(name, numbers)| (name, Value::Numbers(numbers))).collect())
    };
    match value {
        Value::Images(images) => Dynamic::from::<Images>(images),
        Value::Volume(volume) => Dynamic::from::<Volume>(volume),
        Value::Poses(poses) => Dynamic::from::<Poses>(poses),
        Value::Structure(structure) => Dynamic::from::<Structure>(structure),
        Value::Model(model) => Dynamic::from_map(Map::from([
            ("atoms".into(), Dynamic::from(model.structure)),
            ("columns".into(), lists(model.columns).into()),
            ("rejected".into(), lists(model.rejected).into()),
        ])),
        Value::Number(number) => number.into(),
        Value::Integer(integer) => integer.into(),
        Value::Boolean(boolean) => boolean.into(),
        Value::Text(text) => text.into(),
        Value::Numbers(numbers) => array(numbers, Dynamic::from),
        Value::Integers(integers) => array(integers, Dynamic::from),
        Value::Texts(texts) => array(texts, Dynamic::from),
        Value::Matrix(matrix) => array(matrix.rows().into_iter().collect(), |row| array(row.to_vec(), Dynamic::from)),
        Value::List(items) => array(items, from_stored),
        Value::Group(values) | Value::Record(_, values) => map_from_stored(values).into(),
        // A table of another program, with columns that are none of ours, is the map that it seems.
        Value::Table(columns) => match table(columns.clone()) {
            Ok(table) => Dynamic::from(table),
            Err(_) => map_from_stored(columns.into_iter().collect()).into(),
        },
        Value::Nothing => Dynamic::UNIT,
    }
}

/// As [`from_stored`], for each value of a file.
pub fn map_from_stored(values: BTreeMap<String, Value>) -> Map {
    values.into_iter().map(|(name, value)| (name.into(), from_stored(value))).collect()
}

/// A map as JSON, tables as arrays of rows; a number that is not finite, which JSON does not have, becomes null.
///
/// # Errors
/// If the map holds something that has no counterpart in JSON, such as a volume; the message says where it is.
pub fn map_to_json(map: &Map) -> Result<serde_json::Value, String> {
    let entry = |(name, value): (&rhai::Identifier, &Dynamic)| match json_of(value) {
        Ok(value) => Ok((name.to_string(), value)),
        Err(problem) => Err(format!("{name}: {problem}")),
    };
    map.iter().map(entry).collect()
}

pub(super) fn json_of(value: &Dynamic) -> Result<serde_json::Value, String> {
    if let Ok(map) = value.as_map_ref() {
        return map_to_json(&map);
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().map(json_of).collect();
    }
    if let Some(table) = value.read_lock::<Table>() {
        return Ok(table.to_json());
    }
    match value.as_float() {
        Ok(number) => Ok(json!(number)),
        Err(_) => to_json(value).map_err(|_| format!("JSON cannot hold a {}", type_of(value))),
    }
}

/// The name of a value's type as a script's author knows it.
pub fn type_of(value: &Dynamic) -> &'static str {
    super::help::type_in_words(value.type_name())
}
