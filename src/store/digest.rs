//! Digests: short texts that are equal where, and as good as only where, values are equal bit for bit.
//!
//! BLAKE3 (O'Connor, Aumasson, Neves & Wilcox-O'Hearn 2020) over an unambiguous sequence of bytes: every value begins with its kind, every
//! list with its length.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{StoredModel, Value};
use crate::images::Images;
use crate::pose::Poses;
use crate::structure::Structure;
use crate::task::Task;

/// A digest in the making: what is added, and in which order, decides it.
#[derive(Default)]
pub struct Digest(blake3::Hasher);

/// Bytes until the user wishes no more.
struct Stoppable<'a> {
    bytes: File,
    task: &'a Task,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.task.check().map_err(std::io::Error::other)?;
        self.bytes.read(buffer)
    }
}

impl Digest {
    /// Digest of one value.
    pub fn of(value: &Value) -> String {
        Self::default().and(value).finish()
    }

    /// Digest of one text.
    pub fn of_text(text: &str) -> String {
        Self::default().and_text(text).finish()
    }

    /// Digest of the bytes of a file, BLAKE3 as `b3sum` gives it.
    ///
    /// # Errors
    /// If they cannot be read, or when interrupted.
    pub fn of_file(path: &Path, task: &Task) -> std::io::Result<String> {
        let bytes = Stoppable { bytes: File::open(path)?, task };
        Ok(Self::default().and_bytes(bytes)?.finish())
    }

    /// Begins with the program itself, since a version does not tell two builds apart; without it, its version must do.
    pub fn of_program() -> Self {
        let program = std::env::current_exe().and_then(File::open);
        let program = program.and_then(|file| Self::default().and_bytes(file)).unwrap_or_default();
        Self::default().and_text(env!("CARGO_PKG_VERSION")).and_text(&program.finish())
    }

    /// The digest: 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }

    /// Adds a value.
    #[must_use]
    pub fn and(mut self, value: &Value) -> Self {
        self.value(value);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn and_text(mut self, text: &str) -> Self {
        self.text(text);
        self
    }

    /// Adds all bytes of a file or the like.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn and_bytes(mut self, reader: impl Read) -> std::io::Result<Self> {
        self.0.update_reader(reader)?;
        Ok(self)
    }

    fn value(&mut self, value: &Value) {
        self.text(value.kind());
        match value {
            Value::Images(images) => self.images(images),
            Value::Volume(volume) => {
                self.floats(std::iter::once(volume.pixel_size()));
                self.shape(volume.data().shape());
                self.pixels(volume.data().iter());
            }
            Value::Poses(poses) => self.poses(poses),
            Value::Structure(structure) => self.structure(structure),
            Value::Model(model) => self.model(model),
            Value::Number(number) => self.floats(std::iter::once(*number)),
            Value::Integer(integer) => self.integers(std::iter::once(*integer)),
            Value::Boolean(boolean) => self.integers(std::iter::once(i64::from(*boolean))),
            Value::Text(text) => self.text(text),
            Value::Numbers(numbers) => {
                self.shape(&[numbers.len()]);
                self.floats(numbers.iter().copied());
            }
            Value::Integers(integers) => {
                self.shape(&[integers.len()]);
                self.integers(integers.iter().copied());
            }
            Value::Texts(texts) => {
                self.shape(&[texts.len()]);
                texts.iter().for_each(|text| self.text(text));
            }
            Value::Matrix(matrix) => {
                self.shape(matrix.shape());
                self.floats(matrix.iter().copied());
            }
            Value::List(items) => {
                self.shape(&[items.len()]);
                items.iter().for_each(|item| self.value(item));
            }
            Value::Group(values) | Value::Record(_, values) => {
                self.named(values, |digest, value| digest.value(value));
            }
            Value::Table(columns) => {
                self.shape(&[columns.len()]);
                for (name, column) in columns {
                    self.text(name);
                    self.value(column);
                }
            }
            Value::Nothing => {}
        }
    }

    fn images(&mut self, images: &Images) {
        self.floats(std::iter::once(images.pixel_size()));
        self.shape(images.data().shape());
        self.pixels(images.data().iter());
        self.shape(&[usize::from(images.true_poses().is_some())]);
        images.true_poses().iter().for_each(|poses| self.poses(poses));
        self.floats(std::iter::once(images.redundancy()));
    }

    fn poses(&mut self, poses: &Poses) {
        self.shape(&[poses.len()]);
        for pose in poses.as_slice() {
            let quaternion = pose.rotation.quaternion();
            self.floats(quaternion.coords.iter().chain(pose.shift.iter()).copied());
        }
        self.floats(poses.scores().iter().copied());
    }

    fn structure(&mut self, structure: &Structure) {
        self.text(structure.name());
        self.shape(&[structure.len()]);
        for atom in structure.atoms() {
            self.integers(std::iter::once(i64::from(atom.element.atomic_number())));
            self.floats(atom.position.iter().copied());
        }
    }

    fn model(&mut self, model: &StoredModel) {
        self.structure(&model.structure);
        for columns in [&model.columns, &model.rejected] {
            self.named(columns, |digest, numbers| {
                digest.shape(&[numbers.len()]);
                digest.floats(numbers.iter().copied());
            });
        }
    }

    fn named<T>(&mut self, values: &BTreeMap<String, T>, mut add: impl FnMut(&mut Self, &T)) {
        self.shape(&[values.len()]);
        for (name, value) in values {
            self.text(name);
            add(self, value);
        }
    }

    fn text(&mut self, text: &str) {
        self.shape(&[text.len()]);
        self.0.update(text.as_bytes());
    }

    fn shape(&mut self, shape: &[usize]) {
        for &length in shape {
            self.0.update(&(length as u64).to_le_bytes());
        }
    }

    fn floats(&mut self, numbers: impl Iterator<Item = f64>) {
        for number in numbers {
            self.0.update(&number.to_bits().to_le_bytes());
        }
    }

    fn integers(&mut self, integers: impl Iterator<Item = i64>) {
        for integer in integers {
            self.0.update(&integer.to_le_bytes());
        }
    }

    /// Many numbers: by the block, which is what makes the hash fast.
    fn pixels<'a>(&mut self, mut pixels: impl Iterator<Item = &'a f32>) {
        const BLOCK: usize = 1 << 16;
        let mut block = Vec::with_capacity(4 * BLOCK);
        loop {
            block.clear();
            block.extend(pixels.by_ref().take(BLOCK).flat_map(|pixel| pixel.to_bits().to_le_bytes()));
            if block.is_empty() {
                return;
            }
            self.0.update(&block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_in_kind_or_in_one_bit_have_different_digests() {
        let group = |values: &[(&str, f64)]| {
            Value::Group(values.iter().map(|(name, value)| ((*name).to_owned(), Value::Number(*value))).collect())
        };
        let values = [
            Value::Number(1.0),
            Value::Number(1.0 + f64::EPSILON),
            Value::Number(0.0),
            Value::Number(-0.0),
            Value::Number(f64::NAN),
            Value::Number(f64::INFINITY),
            Value::Integer(1),
            Value::Boolean(true),
            Value::Nothing,
            Value::Text("1".into()),
            Value::Texts(vec!["1".into()]),
            Value::Texts(vec!["1".into(), String::new()]),
            Value::Numbers(vec![1.0]),
            Value::Integers(vec![1]),
            Value::List(vec![Value::Number(1.0)]),
            Value::List(vec![Value::List(vec![]), Value::List(vec![])]),
            Value::List(vec![Value::List(vec![Value::List(vec![])])]),
            group(&[("a", 1.0)]),
            group(&[("b", 1.0)]),
            group(&[("a", 1.0), ("b", 1.0)]),
            Value::Record("traced", BTreeMap::from([("a".into(), Value::Number(1.0))])),
            Value::Table(vec![("a".into(), Value::Number(1.0))]),
        ];
        let digests: std::collections::BTreeSet<String> = values.iter().map(Digest::of).collect();
        assert_eq!(digests.len(), values.len());
        assert_eq!(Digest::of(&Value::Number(f64::NAN)), Digest::of(&Value::Number(f64::NAN)));
    }

    #[test]
    fn one_pixel_of_many_changes_the_digest() {
        let images = |pixel: f32| {
            let mut data = ndarray::Array3::zeros((3, 200, 200));
            data[(2, 199, 199)] = pixel;
            Digest::of(&Value::Images(Images::new(data, 0.25)))
        };
        assert_eq!(images(0.5), images(0.5));
        assert_ne!(images(0.0), images(-0.0));
    }
}
