//! Image stacks that are written while they are made: more images than fit into memory, and hours that survive a kill.
//!
//! The HDF5 file is laid out whole before the first image is there, in a file beside its target, and closed; pixels then go straight to their place
//! in it, so that there is no moment at which a kill leaves a broken file. How many images are done stands in a second file, written
//! when they are on the disk. The target appears when all are.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hdf5::dataset::{AllocTime, Layout};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::write::{new_images, write_layout, write_poses, write_provenance};
use crate::pose::Poses;
use crate::store::{Error, Provenance, atomic, write_json};

/// What an image stack will be.
pub struct StackPlan<'a> {
    /// Pixels along the edge of an image.
    pub size: usize,
    /// Edge of a pixel \[Å\].
    pub pixel_size: f64,
    /// Pose of every image.
    pub poses: &'a Poses,
    /// Equal for, and only for, stacks with the same pixels: a digest of all that decides them.
    pub key: String,
}

/// An image stack in the making.
pub struct StackWriter {
    target: PathBuf,
    partial: PathBuf,
    progress: PathBuf,
    file: File,
    state: State,
    bytes_per_image: u64,
}

/// What the second file says.
#[derive(Serialize, Deserialize)]
struct State {
    key: String,
    done: usize,
    /// Place of the first pixel in the file.
    start: u64,
}

impl StackWriter {
    /// Begins the stack `path`, or goes on with one of the same key that was broken off.
    ///
    /// # Errors
    /// If the folder does not exist, or nothing can be written there.
    pub fn open(path: &Path, plan: &StackPlan, provenance: &Provenance) -> Result<Self, Error> {
        let (target, _) = atomic::target(path)?;
        let beside = |end: &str| {
            let mut name = target.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let (partial, progress) = (beside(".partial"), beside(".partial.json"));
        // a link would lead the pixels to another place
        if let Some(link) = [&partial, &progress].into_iter().find(|path| path.is_symlink()) {
            return Err(Error::NotRegular { path: link.clone() });
        }
        let bytes_per_image = 4 * (plan.size as u64).pow(2);
        let kept = fs::read_to_string(&progress).ok().and_then(|text| serde_json::from_str::<State>(&text).ok());
        let whole = |state: &State| {
            let end = state.start + plan.poses.len() as u64 * bytes_per_image;
            fs::metadata(&partial).is_ok_and(|file| file.len() >= end)
        };
        let kept = kept.filter(|state| state.key == plan.key && state.done <= plan.poses.len() && whole(state));
        let state = match kept {
            Some(state) => state,
            None => {
                let failed = |Problem(problem)| Error::Hdf5Write { path: path.to_owned(), problem };
                let start = lay_out(&partial, plan, provenance).map_err(failed)?;
                State { key: plan.key.clone(), done: 0, start }
            }
        };
        let file = OpenOptions::new().write(true).open(&partial);
        let file = file.map_err(|cause| Error::Write { path: path.to_owned(), cause })?;
        let writer = Self { target, partial, progress, file, state, bytes_per_image };
        writer.save_state()?;
        Ok(writer)
    }

    /// Images that are in the file.
    pub fn done(&self) -> usize {
        self.state.done
    }

    /// Adds the next images `[n][y][x]`.
    ///
    /// # Errors
    /// If the disk is full or the like; what was written before is kept.
    pub fn push(&mut self, images: &Array3<f32>) -> Result<(), Error> {
        let bytes: Vec<u8> = images.iter().flat_map(|pixel| pixel.to_ne_bytes()).collect();
        let place = self.state.start + self.state.done as u64 * self.bytes_per_image;
        let written = self.file.write_all_at(&bytes, place).and_then(|()| self.file.sync_data());
        written.map_err(|cause| Error::Write { path: self.target.clone(), cause })?;
        self.state.done += images.dim().0;
        self.save_state()
    }

    /// Gives the finished file its name.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn finish(self) -> Result<(), Error> {
        let failed = |cause| Error::Write { path: self.target.clone(), cause };
        self.file.sync_all().map_err(failed)?;
        fs::rename(&self.partial, &self.target).map_err(failed)?;
        // without its images it means nothing
        let _ = fs::remove_file(&self.progress);
        Ok(())
    }

    fn save_state(&self) -> Result<(), Error> {
        write_json(&self.progress, &serde_json::json!(self.state))
    }
}

/// The file with everything but the pixels in it. Gives the place of the first.
fn lay_out(path: &Path, plan: &StackPlan, provenance: &Provenance) -> Result<u64, Problem> {
    let file = hdf5::File::create(path)?;
    write_layout(&file)?;
    write_provenance(&file, provenance)?;
    let group = new_images(&file, "images", plan.pixel_size)?;
    let builder = group.new_dataset_builder().obj_track_times(false);
    let builder = builder.layout(Layout::Contiguous).alloc_time(Some(AllocTime::Early)).empty::<f32>();
    let data = builder.shape((plan.poses.len(), plan.size, plan.size)).create("data")?;
    let start = data.offset().ok_or_else(|| Problem("HDF5 gave the images no place in the file".into()))?;
    write_poses(&group, "true_poses", plan.poses)?;
    drop((data, group));
    file.flush()?;
    file.close()?;
    Ok(start)
}
