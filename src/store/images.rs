//! Image stacks and volumes as input: read from MRC or HDF5, and checked.

use std::path::Path;

use ndarray::Array3;

use super::mrc::MrcFile;
use super::{Error, Format, Value, h5};
use crate::images::Images;
use crate::memory;
use crate::task::Task;
use crate::volume::Volume;

/// A stack as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageStack {
    /// The images that can be used, in the order of the file.
    pub images: Images,
    /// Edge of a pixel \[Å\] that the file itself gives, if it does.
    pub header_pixel_size: Option<f64>,
    /// Indices in the file, from 0, of images that were left out because all their pixels are equal.
    pub dropped: Vec<usize>,
}

impl ImageStack {
    /// What the user should know about the file, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let used = self.images.pixel_size();
        if let Some(header) = self.header_pixel_size.filter(|header| (header / used - 1.0).abs() > 0.01) {
            warnings.push(format!("the file gives a pixel size of {header:.4} Å; {used} Å is used, as asked for"));
        }
        if !self.dropped.is_empty() {
            let (dropped, first, kept) = (self.dropped.len(), self.dropped[0], self.images.len());
            warnings.push(format!(
                "{dropped} images are left out since all their pixels are equal (the first is image {first}, counted \
                 from 0); {kept} remain"
            ));
        }
        warnings
    }
}

/// Reads a stack of square images from MRC (modes 0, 1, 2, 6 and 12, either byte order) or HDF5 (ours, or any file with
/// exactly one three-dimensional dataset `[n][y][x]`).
///
/// `pixel_size` \[Å\] takes the place of the one in the file. Images whose pixels are all equal (blank frames) are left
/// out and listed in the result.
///
/// # Errors
/// If the file is not a stack of at least two usable square images of finite pixels, is truncated or longer than its
/// header says, if no pixel size is known, or if the task is stopped.
pub fn read_images(path: &Path, pixel_size: Option<f64>, task: &Task) -> Result<ImageStack, Error> {
    let pixel_size = pixel_size.map(check_pixel_size).transpose()?;
    if Format::of(path) == Format::H5 {
        read_images_h5(path, pixel_size, task)
    } else {
        read_images_mrc(path, pixel_size, task)
    }
}

fn read_images_mrc(path: &Path, pixel_size: Option<f64>, task: &Task) -> Result<ImageStack, Error> {
    let file = MrcFile::open(path)?;
    if file.space_group() != 0 {
        return Err(Error::VolumeAsStack { path: path.to_owned(), space_group: file.space_group() });
    }
    let (columns, rows, count) = file.shape();
    let header_pixel_size = match pixel_size {
        Some(_) => file.pixel().map(|(x, _)| x),
        None => file.pixel_size()?,
    };
    let mut gathered = Gathered::new(path, columns, rows, count, task)?;
    file.read_sections(|pixels| gathered.take(pixels))?;
    gathered.finish(pixel_size, header_pixel_size)
}

fn read_images_h5(path: &Path, pixel_size: Option<f64>, task: &Task) -> Result<ImageStack, Error> {
    let stack = h5::Stack::open(path)?;
    let [count, rows, columns] = stack.shape();
    let mut gathered = Gathered::new(path, columns, rows, count, task)?;
    stack.read_sections(|pixels| gathered.take(pixels))?;
    let mut read = gathered.finish(pixel_size, stack.pixel_size())?;
    read.images = read.images.with_redundancy(stack.redundancy());
    Ok(read)
}

/// Reads a cubic volume from MRC, or from HDF5 that holds exactly one.
///
/// `pixel_size` \[Å\] takes the place of the one in the file.
///
/// # Errors
/// If the file is not one cubic volume of finite values, is truncated or longer than its header says, or if no pixel
/// size is known.
pub fn read_volume(path: &Path, pixel_size: Option<f64>) -> Result<Volume, Error> {
    let pixel_size = pixel_size.map(check_pixel_size).transpose()?;
    if Format::of(path) == Format::H5 {
        let volume = h5::read_only(path, &["volume"], |value| match value {
            Value::Volume(volume) => Some(volume),
            _ => None,
        })?;
        let pixel_size = pixel_size.unwrap_or(volume.pixel_size());
        return Ok(Volume::new(volume.data().clone(), pixel_size));
    }
    let file = MrcFile::open(path)?;
    let (columns, rows, sections) = file.shape();
    if columns != rows || rows != sections {
        return Err(Error::NotCubic { path: path.to_owned(), columns, rows, sections });
    }
    let from_header = if pixel_size.is_none() { file.pixel_size()? } else { None };
    let pixel_size = pixel_size.or(from_header).ok_or_else(|| Error::NoPixelSize { path: path.to_owned() })?;
    memory::require(4.0 * (columns as f64).powi(3), &format!("the values of {columns}³ voxels"))
        .map_err(|cause| Error::Memory { path: path.to_owned(), cause })?;
    let mut values = Vec::with_capacity(columns * rows * sections);
    let mut section = 0;
    file.read_sections(|pixels| {
        check_finite(path, section, columns, pixels)?;
        section += 1;
        values.extend_from_slice(pixels);
        Ok(())
    })?;
    let data = Array3::from_shape_vec((sections, rows, columns), values).expect("every section was read");
    Ok(Volume::new(data, pixel_size))
}

/// Images as they come in, one after the other.
struct Gathered<'a> {
    path: &'a Path,
    size: usize,
    taken: usize,
    kept: Vec<f32>,
    dropped: Vec<usize>,
    task: &'a Task,
}

impl<'a> Gathered<'a> {
    fn new(path: &'a Path, columns: usize, rows: usize, count: usize, task: &'a Task) -> Result<Self, Error> {
        if columns != rows {
            return Err(Error::NotSquare { path: path.to_owned(), columns, rows });
        }
        let bytes = 4.0 * count as f64 * rows as f64 * columns as f64;
        memory::require(bytes, &format!("{count} images of {columns}×{rows} pixels"))
            .map_err(|cause| Error::Memory { path: path.to_owned(), cause })?;
        let kept = Vec::with_capacity(count * rows * columns);
        Ok(Self { path, size: columns, taken: 0, kept, dropped: Vec::new(), task })
    }

    fn take(&mut self, pixels: &[f32]) -> Result<(), Error> {
        self.task.check()?;
        check_finite(self.path, self.taken, self.size, pixels)?;
        if pixels.iter().all(|pixel| *pixel == pixels[0]) {
            self.dropped.push(self.taken);
        } else {
            self.kept.extend_from_slice(pixels);
        }
        self.taken += 1;
        Ok(())
    }

    fn finish(self, pixel_size: Option<f64>, header_pixel_size: Option<f64>) -> Result<ImageStack, Error> {
        let path = self.path.to_owned();
        let count = self.taken - self.dropped.len();
        if count == 0 && self.taken > 0 {
            return Err(Error::AllEqual { path, count: self.taken });
        }
        if count == 0 {
            return Err(Error::NoImages { path });
        }
        let pixel_size = pixel_size.or(header_pixel_size).ok_or(Error::NoPixelSize { path })?;
        let shape = (count, self.size, self.size);
        let data = Array3::from_shape_vec(shape, self.kept).expect("only whole images were kept");
        Ok(ImageStack { images: Images::new(data, pixel_size), header_pixel_size, dropped: self.dropped })
    }
}

fn check_finite(path: &Path, image: usize, columns: usize, pixels: &[f32]) -> Result<(), Error> {
    match pixels.iter().position(|pixel| !pixel.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let (row, column) = (at / columns, at % columns);
            Err(Error::NotFinitePixel { path: path.to_owned(), image, row, column, value: pixels[at] })
        }
    }
}

pub(super) fn check_pixel_size(value: f64) -> Result<f64, Error> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(Error::PixelSize { value }) }
}
