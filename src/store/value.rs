//! What an HDF5 file of ours can hold.

use std::collections::BTreeMap;

use ndarray::Array2;

use crate::images::Images;
use crate::model::Model;
use crate::pose::Poses;
use crate::structure::Structure;
use crate::volume::Volume;

/// A model traced in a density, as files hold it: its atoms, and numbers in columns.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredModel {
    pub structure: Structure,
    /// One number an atom, such as its intensity, by the name of the column.
    pub columns: BTreeMap<String, Vec<f64>>,
    /// The same for peaks that were taken for noise, with their positions in columns too.
    pub rejected: BTreeMap<String, Vec<f64>>,
}

impl From<&Model> for StoredModel {
    fn from(model: &Model) -> Self {
        let named = |columns: Vec<(&str, Vec<f64>)>| {
            columns.into_iter().map(|(name, numbers)| (name.to_owned(), numbers)).collect()
        };
        Self {
            structure: model.structure(),
            columns: named(model.columns()),
            rejected: named(model.rejected_columns()),
        }
    }
}

/// One value of a run, or a group of them under names.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Images(Images),
    Volume(Volume),
    Poses(Poses),
    Structure(Structure),
    Model(StoredModel),
    Number(f64),
    Integer(i64),
    Boolean(bool),
    Text(String),
    /// A curve or a column, such as a Fourier shell correlation.
    Numbers(Vec<f64>),
    Integers(Vec<i64>),
    Texts(Vec<String>),
    /// `[row][column]`.
    Matrix(Array2<f64>),
    /// Values in order, of any kind.
    List(Vec<Value>),
    Group(BTreeMap<String, Value>),
    /// Columns of one length under their names, in order: `Numbers`, `Integers`, `Texts` or `List`.
    Table(Vec<(String, Value)>),
    /// A value of a type that only some of the program knows (see [`RECORDS`]), by its parts.
    Record(&'static str, BTreeMap<String, Value>),
    /// A name without a value.
    Nothing,
}

/// The types of [`Value::Record`]; files read elsewhere hold such values as the groups that they are.
pub const RECORDS: [&str; 6] = ["cell", "lattice", "liquid", "microscope", "particles", "traced"];

impl Value {
    /// How many items a list or an array of one dimension has.
    pub fn items(&self) -> Option<usize> {
        match self {
            Self::Numbers(numbers) => Some(numbers.len()),
            Self::Integers(integers) => Some(integers.len()),
            Self::Texts(texts) => Some(texts.len()),
            Self::List(items) => Some(items.len()),
            _ => None,
        }
    }

    /// The word for this kind of value in the attribute `pedesis_type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Images(_) => "images",
            Self::Volume(_) => "volume",
            Self::Poses(_) => "poses",
            Self::Structure(_) => "structure",
            Self::Model(_) => "model",
            Self::Number(_) => "number",
            Self::Integer(_) => "integer",
            Self::Boolean(_) => "boolean",
            Self::Text(_) => "text",
            Self::Numbers(_) => "numbers",
            Self::Integers(_) => "integers",
            Self::Texts(_) => "texts",
            Self::Matrix(_) => "matrix",
            Self::List(_) => "list",
            Self::Group(_) => "group",
            Self::Table(_) => "table",
            Self::Record(kind, _) => kind,
            Self::Nothing => "nothing",
        }
    }
}
