//! MRC files: image stacks and volumes.
//!
//! The 1024 bytes of the header are decoded and encoded by the crate `mrc`. The pixels are converted here, one image at
//! a time, so that a stack is in memory once, as f32, whatever its mode and byte order; and the length of the file is
//! compared with the header before anything is allocated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ndarray::Array3;

use super::statistics::Statistics;
use super::{Error, atomic};
use crate::images::Images;
use crate::task::{Cancelled, Task};
use crate::volume::Volume;

/// Modes that are read, as a message lists them.
const MODES: &str = "0 (int8), 1 (int16), 2 (float32), 6 (uint16) and 12 (float16)";

/// An open MRC file whose header agrees with its length.
pub(super) struct MrcFile {
    path: PathBuf,
    header: mrc::Header,
    mode: mrc::Mode,
    /// Stands at the first byte of the first section.
    data: BufReader<File>,
}

impl MrcFile {
    /// Opens the file and checks its header.
    ///
    /// # Errors
    /// If it is not an MRC file, of a mode that is not read, or shorter or longer than the header says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |cause| Error::Read { path: path.to_owned(), cause };
        let not_mrc = |problem| Error::NotMrc { path: path.to_owned(), problem };
        let file = File::open(path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?.len();
        let mut data = BufReader::with_capacity(1 << 20, file);
        let mut bytes = Vec::with_capacity(1024);
        data.by_ref().take(1024).read_to_end(&mut bytes).map_err(unreadable)?;
        let bytes: [u8; 1024] = bytes
            .try_into()
            .map_err(|bytes: Vec<u8>| not_mrc(format!("it has {} bytes, its header alone needs 1024", bytes.len())))?;
        let (header, _) = mrc::Header::decode_from_bytes_with_info(&bytes);
        let mode = check(&header).map_err(not_mrc)?;
        let mut file = Self { path: path.to_owned(), header, mode, data };
        file.check_length(found)?;
        file.data.seek_relative(i64::from(header.nsymbt)).map_err(unreadable)?;
        Ok(file)
    }

    fn check_length(&self, found: u64) -> Result<(), Error> {
        let data = self.header.data_size().ok_or_else(|| Error::NotMrc {
            path: self.path.clone(),
            problem: format!("{}×{}×{} pixels are not possible", self.header.nx, self.header.ny, self.header.nz),
        })?;
        let expected = 1024 + self.header.nsymbt as u64 + data as u64;
        if expected == found {
            return Ok(());
        }
        let (columns, rows, sections) = self.shape();
        Err(Error::Length { path: self.path.clone(), columns, rows, sections, mode: self.header.mode, expected, found })
    }

    /// Columns, rows and sections: pixels along x, along y, and the number of images (or pixels along z).
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.header.nx as usize, self.header.ny as usize, self.header.nz as usize)
    }

    pub fn mode(&self) -> i32 {
        self.header.mode
    }

    /// The header's space group: 0 for images, 1 for a volume.
    pub fn space_group(&self) -> i32 {
        self.header.ispg
    }

    /// Texts in the header, most often saying which program wrote the file.
    pub fn labels(&self) -> Vec<String> {
        self.header.get_labels()
    }

    /// Width and height of a pixel \[Å\] where the header gives them; its depth means nothing in a stack.
    pub fn pixel(&self) -> Option<(f64, f64)> {
        let edge = |length: f32, samples: i32| f64::from(length) / f64::from(samples);
        let (x, y) = (edge(self.header.xlen, self.header.mx), edge(self.header.ylen, self.header.my));
        [x, y].iter().all(|edge| edge.is_finite() && *edge > 0.0).then_some((x, y))
    }

    /// Edge of a pixel \[Å\] from the header, if there is one.
    ///
    /// # Errors
    /// If width and height differ by more than 1 %.
    pub fn pixel_size(&self) -> Result<Option<f64>, Error> {
        match self.pixel() {
            Some((x, y)) if (x - y).abs() > 0.01 * x => Err(Error::OblongPixels { path: self.path.clone(), x, y }),
            pixel => Ok(pixel.map(|(x, _)| x)),
        }
    }

    /// Calls `take` with the pixels `[y][x]` of each section in turn.
    pub fn read_sections(mut self, mut take: impl FnMut(&[f32]) -> Result<(), Error>) -> Result<(), Error> {
        let (columns, rows, sections) = self.shape();
        let mut bytes = vec![0; columns * rows * self.mode.byte_size()];
        let mut pixels = Vec::with_capacity(columns * rows);
        for _ in 0..sections {
            self.data.read_exact(&mut bytes).map_err(|cause| Error::Read { path: self.path.clone(), cause })?;
            pixels.clear();
            self.decode(&bytes, &mut pixels);
            take(&pixels)?;
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8], pixels: &mut Vec<f32>) {
        let big = self.header.detect_endian() == mrc::FileEndian::BigEndian;
        let two = |&[a, b]: &[u8; 2]| if big { [b, a] } else { [a, b] };
        let four = |&[a, b, c, d]: &[u8; 4]| if big { [d, c, b, a] } else { [a, b, c, d] };
        let pairs = bytes.as_chunks::<2>().0.iter().map(two);
        // Old files of IMOD hold unsigned bytes, and say so.
        let unsigned = self.header.detect_imod().is_some_and(|imod| !imod.bytes_are_signed);
        match self.mode {
            mrc::Mode::Int8 if unsigned => pixels.extend(bytes.iter().map(|&byte| f32::from(byte))),
            mrc::Mode::Int8 => pixels.extend(bytes.iter().map(|&byte| f32::from(byte.cast_signed()))),
            mrc::Mode::Int16 => pixels.extend(pairs.map(|pair| f32::from(i16::from_le_bytes(pair)))),
            mrc::Mode::Uint16 => pixels.extend(pairs.map(|pair| f32::from(u16::from_le_bytes(pair)))),
            mrc::Mode::Float16 => pixels.extend(pairs.map(|pair| mrc::f16::from_le_bytes(pair).to_f32())),
            _ => pixels.extend(bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(four(word)))),
        }
    }
}

/// What must hold before the length of the file can be judged. Returns the mode.
fn check(header: &mrc::Header) -> Result<mrc::Mode, String> {
    use mrc::Mode::{Float16, Float32, Int8, Int16, Uint16};
    if !header.map.starts_with(b"MAP") {
        return Err("the word MAP is missing from its header".to_owned());
    }
    if header.nx <= 0 || header.ny <= 0 || header.nz <= 0 {
        let (nx, ny, nz) = (header.nx, header.ny, header.nz);
        return Err(format!("its header announces {nz} images of {nx}×{ny} pixels; there must be at least 1 of each"));
    }
    if header.nsymbt < 0 {
        return Err(format!("its header announces an extended header of {} bytes", header.nsymbt));
    }
    if (header.mapc, header.mapr, header.maps) != (1, 2, 3) {
        let axes = format!("{}, {}, {}", header.mapc, header.mapr, header.maps);
        return Err(format!("its axes are in the order {axes}; only 1, 2, 3 (x fastest) is read"));
    }
    mrc::Mode::from_i32(header.mode)
        .filter(|mode| matches!(mode, Int8 | Int16 | Float32 | Uint16 | Float16))
        .ok_or_else(|| format!("its mode is {}; modes {MODES} are read", header.mode))
}

/// Writes a stack of images as float32, space group 0.
///
/// # Errors
/// If the file cannot be written, or when interrupted.
pub fn write_images(path: &Path, images: &Images, task: &Task) -> Result<(), Error> {
    write(path, images.data(), images.pixel_size(), false, task)
}

/// Writes a volume as float32, space group 1.
///
/// # Errors
/// If the file cannot be written, or when interrupted.
pub fn write_volume(path: &Path, volume: &Volume, task: &Task) -> Result<(), Error> {
    write(path, volume.data(), volume.pixel_size(), true, task)
}

fn write(path: &Path, data: &Array3<f32>, pixel_size: f64, is_volume: bool, task: &Task) -> Result<(), Error> {
    let mut bytes = [0; 1024];
    header(data, pixel_size, is_volume, task)?.encode_to_bytes(&mut bytes);
    atomic::write_bytes(path, task, |writer| {
        writer.write_all(&bytes)?;
        let mut row = Vec::with_capacity(4 * data.dim().2);
        for pixels in data.rows() {
            row.clear();
            row.extend(pixels.iter().flat_map(|pixel| pixel.to_le_bytes()));
            writer.write_all(&row)?;
        }
        Ok(())
    })
}

fn header(data: &Array3<f32>, pixel_size: f64, is_volume: bool, task: &Task) -> Result<mrc::Header, Cancelled> {
    let (nz, ny, nx) = data.dim();
    let count = |n: usize| i32::try_from(n).expect("an array in memory has fewer than 2³¹ pixels along an axis");
    let mut header = mrc::Header::new();
    (header.nx, header.ny, header.nz) = (count(nx), count(ny), count(nz));
    (header.mx, header.my, header.mz) = (header.nx, header.ny, if is_volume { header.nz } else { 1 });
    let edge = |samples: i32| (f64::from(samples) * pixel_size) as f32;
    (header.xlen, header.ylen, header.zlen) = (edge(header.mx), edge(header.my), edge(header.mz));
    header.ispg = i32::from(is_volume);
    let mut statistics = Statistics::default();
    for section in data.outer_iter() {
        task.check()?;
        section.rows().into_iter().for_each(|row| statistics.add(row.iter().copied()));
    }
    (header.dmin, header.dmax) = (statistics.min(), statistics.max());
    (header.dmean, header.rms) = (statistics.mean() as f32, statistics.deviation() as f32);
    header.add_label(concat!("pedesis ", env!("CARGO_PKG_VERSION")));
    Ok(header)
}
