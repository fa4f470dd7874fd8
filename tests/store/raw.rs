//! MRC files put together byte by byte from the published format, without the code under test.

use std::fs;
use std::path::{Path, PathBuf};

/// The fields of a header that the tests vary.
pub struct RawMrc {
    /// Columns, rows, sections.
    pub shape: [i32; 3],
    pub mode: i32,
    pub space_group: i32,
    /// Samples along x, y, z, and edges of the cell [Å].
    pub samples: [i32; 3],
    pub cell: [f32; 3],
    pub extended_header: usize,
    pub big_endian: bool,
    /// Pixels, in the byte order of the file.
    pub data: Vec<u8>,
}

impl RawMrc {
    /// A stack of `count` float32 images of `size`×`size` pixels of 0.25 Å, no two pixels of an image equal.
    pub fn stack(count: i32, size: i32) -> Self {
        let data = (0..count * size * size).flat_map(|i| (i as f32).to_le_bytes()).collect();
        Self {
            shape: [size, size, count],
            mode: 2,
            space_group: 0,
            samples: [size, size, 1],
            cell: [0.25 * size as f32, 0.25 * size as f32, 0.25],
            extended_header: 0,
            big_endian: false,
            data,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        let mut put = |word: usize, value: [u8; 4]| bytes[4 * (word - 1)..4 * word].copy_from_slice(&value);
        let int = |value: i32| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let real = |value: f32| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        // Words are numbered from 1, as in the table of the format.
        for i in 0..3 {
            put(1 + i, int(self.shape[i]));
            put(8 + i, int(self.samples[i]));
            put(11 + i, real(self.cell[i]));
            put(14 + i, real(90.0));
            put(17 + i, int(1 + i as i32));
        }
        put(4, int(self.mode));
        put(23, int(self.space_group));
        put(24, int(self.extended_header as i32));
        put(28, int(20141));
        put(53, *b"MAP ");
        put(54, if self.big_endian { [0x11, 0x11, 0, 0] } else { [0x44, 0x44, 0, 0] });
        bytes.extend(std::iter::repeat_n(0xAB, self.extended_header));
        bytes.extend(&self.data);
        bytes
    }

    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("raw.mrcs");
        fs::write(&path, self.bytes()).unwrap();
        path
    }
}
