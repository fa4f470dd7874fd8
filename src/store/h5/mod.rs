//! HDF5: one file a run, readable by h5py and every other HDF5 reader without our help.
//!
//! A value of the run is a group, or for single numbers, texts and short arrays a dataset, under its name in the script.
//! The attribute `pedesis_type` says what it is, `units` and `pixel_size` \[Å\] what its numbers mean:
//!
//! | `pedesis_type` | members |
//! | --- | --- |
//! | `images` | `data` `[n][y][x]` float32, one chunk an image; perhaps `true_poses`, and the attribute `redundancy`: how many times as many images there are as independent ones |
//! | `volume` | `data` `[z][y][x]` float32 |
//! | `poses` | `quaternions` `[n][w, x, y, z]`, `shifts` `[n][x, y]` Å, `scores` `[n]` |
//! | `structure` | `positions` `[n][x, y, z]` Å, `atomic_numbers` `[n]`, `symbols` `[n]`; attribute `name` |
//! | `model` | a structure, and in the group `columns` one number an atom (`intensity`, …), in `rejected` one a rejected peak |
//! | `number`, `integer`, `boolean`, `text` | a dataset of one element |
//! | `numbers`, `integers`, `texts`, `matrix` | a dataset of one or two dimensions |
//! | `list` | its items in order, named `000000`, `000001`, … |
//! | `group` | values under their names |
//! | `table` | a dataset a column under its name, or a list where its cells are of several kinds; attribute `columns`: their names in order (JSON). Empty cells are NaN or empty texts |
//! | `cell`, `lattice`, `liquid`, `microscope`, `particles`, `traced` | the parts of a value in a checkpoint, as in a group |
//!
//! `/provenance` holds the script's text as a dataset, and in the group `modules` those of the user's own modules, each with its `path`; its attributes
//! are the script's path, the arguments as they were `given` and as they hold, and options (JSON), `inputs`: BLAKE3 of each file it has read, by name (JSON), the version,
//! the seed, the number of threads, and the times of start and end. Datasets do not record when they were written, and
//! nothing is compressed, so that the same run gives the same bits in every dataset.

mod contained;
mod read;
mod stream;
mod write;

pub use read::{Contents, read_h5, read_provenance};
pub(super) use read::{Member, Stack, open, provenance_of, read_only, read_table, sized, text, walk};
pub use stream::{StackPlan, StackWriter};
pub use write::write_h5;

/// Number of the layout described above, in the root's attribute `pedesis_layout`.
const LAYOUT: i64 = 1;

/// The group of a file that says where it came from.
const PROVENANCE: &str = "provenance";

/// What is wrong with an HDF5 file, in words.
#[derive(Debug)]
pub(super) struct Problem(pub String);

impl Problem {
    /// The same, with the place in the file.
    fn within(self, location: &hdf5::Location) -> Self {
        Self(format!("in {}: {}", location.name(), self.0))
    }
}

impl From<hdf5::Error> for Problem {
    /// The innermost cause in the library's stack of errors: of a full disk, what the operating system said.
    fn from(error: hdf5::Error) -> Self {
        let frames = error.stack();
        let frames = frames.as_deref().unwrap_or_default();
        let from_system = frames.iter().find_map(|frame| {
            let (_, message) = frame.desc().split_once("error message = '")?;
            Some(message.split_once('\'')?.0.to_owned())
        });
        let innermost = || frames.last().map(|frame| frame.desc().to_owned());
        Self(from_system.or_else(innermost).unwrap_or_else(|| error.to_string()))
    }
}
