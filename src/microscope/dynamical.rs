//! Multislice images of a particle in many poses: frozen configurations, beams and defoci, added up.

use std::collections::BTreeMap;

use nalgebra::{Point3, Vector3};
use ndarray::{Array2, Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;
use rustfft::num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::lens::{self, Coherence, Lens};
use super::multislice::{self, Beam, Grid, Multislice};
use super::vibration::{AtomDisplacement, Surface, Vibration};
use super::{Error, Microscope, Simulation, within};
use crate::cell::Cell;
use crate::pose::Pose;
use crate::structure::{Atom, Element, Structure};
use crate::task::{Cancelled, Stage, Task};

/// How a multislice image is computed. The defaults are the paper's, but for the illumination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dynamics {
    /// Thickness of a slice \[Å\]. Default: 1.
    pub slice_thickness: f64,
    /// Frozen configurations of the vibrating atoms whose images are added. Default: 5.
    pub configurations: usize,
    /// Independent liquids whose images are added, where the cell has one. Default: 1.
    pub liquids: usize,
    /// Temperature \[K\] that the displacements follow from; 0: still atoms. Default: 273.
    pub temperature: f64,
    /// R.m.s. displacement along an axis \[Å\] of some elements, in place of the tabulated ones. Default: none.
    pub displacements: BTreeMap<Element, f64>,
    /// How much more the particle's atoms vibrate near its surface. Default: not at all.
    pub surface: Option<Surface>,
    /// Displacements of each of the particle's atoms, in place of those of their elements. Default: none.
    pub atom_displacements: Vec<AtomDisplacement>,
    /// Whether slices of nothing but liquid are merged: several times faster, with an error below a hundredth of an image's standard deviation.
    /// Default: no.
    pub fast: bool,
    /// How defocus spread and illumination enter.
    #[serde(flatten)]
    pub coherence: Coherence,
}

impl Default for Dynamics {
    fn default() -> Self {
        Self {
            slice_thickness: 1.0,
            configurations: 5,
            liquids: 1,
            temperature: 273.0,
            displacements: BTreeMap::new(),
            surface: None,
            atom_displacements: Vec::new(),
            fast: false,
            coherence: Coherence::default(),
        }
    }
}

impl Dynamics {
    /// Fails, naming the option, if one is out of range.
    pub fn check(&self) -> Result<(), Error> {
        within("slice_thickness", self.slice_thickness, "Å", (0.05, 20.0), "from 0.05 to 20 Å")?;
        within("configurations", self.configurations as f64, "", (1.0, 1000.0), "from 1 to 1000")?;
        within("liquids", self.liquids as f64, "", (1.0, 1000.0), "from 1 to 1000")?;
        let still = self.temperature == 0.0;
        let warmest = (if still { 0.0 } else { 100.0 }, 2000.0);
        within("temperature", self.temperature, "K", warmest, "0, or from 100 to 2000 K")?;
        within("spread_range", self.coherence.spread_range, "", (0.0, 10.0), "from 0 to 10 standard deviations")?;
        within("spread_step", self.coherence.spread_step, "Å", (0.1, 1e4), "from 0.1 to 10000 Å")?;
        self.displacements.values().try_for_each(|&u| within("displacements", u, "Å", (0.0, 2.0), "from 0 to 2 Å"))?;
        self.atom_displacements.iter().try_for_each(AtomDisplacement::check)?;
        self.surface.map_or(Ok(()), |surface| surface.check())
    }
}

/// Distance of the planes that slices of liquid are merged into \[Å\].
const MERGED: f64 = 5.0;

/// What all images share.
pub struct Plan {
    structure: Structure,
    multislice: Multislice,
    lens: Lens,
    beams: Vec<Beam>,
    untilted: Beam,
    vibration: Vibration,
    configurations: usize,
    liquids: usize,
    cell: Cell,
    seed: u64,
    grid: Grid,
}

/// Buffers of one thread.
struct Workspace {
    wave: multislice::Workspace,
    lens: lens::Workspace,
    moved: Vec<Atom>,
}

impl Plan {
    /// For `structure` in any pose; the frame is that of the images. The arguments have been checked by the caller.
    ///
    /// # Errors
    /// If the vibration of an element is not known.
    pub fn new(structure: &Structure, microscope: &Microscope, options: &Simulation) -> Result<Self, Error> {
        let Simulation { dynamics, size, pixel_size, scattering_factors, seed, .. } = options;
        let edge = *size as f64 * pixel_size;
        let grid = Grid { nx: *size, ny: *size, lx: edge, ly: edge };
        let vacuum = Cell { size: [edge, edge, microscope.cell_height], ..Cell::default() };
        let cell = options.cell.clone().unwrap_or(vacuum);
        let mut elements = cell.elements();
        elements.extend(structure.composition().into_iter().map(|(element, _)| element));
        elements.sort_unstable();
        elements.dedup();
        let vibration = Vibration::new(&elements, dynamics.temperature, &dynamics.displacements);
        let vibration = vibration.map_err(Error::NoDebyeWaller)?;
        let vibration = vibration.of_particle(structure, dynamics.surface, &dynamics.atom_displacements)?;
        let height = microscope.cell_height;
        let exact =
            Multislice::new(grid, height, dynamics.slice_thickness, microscope.energy, &elements, *scattering_factors)
                .tilted(microscope.tilt_frequency());
        let multislice = if dynamics.fast { exact.merging(MERGED) } else { exact };
        let beams = lens::beams(microscope, grid, dynamics.coherence.cone);
        Ok(Self {
            structure: structure.clone(),
            liquids: if cell.liquid.is_some() { dynamics.liquids } else { 1 },
            lens: Lens::new(microscope, multislice.fft(), &dynamics.coherence),
            beams: beams.into_iter().map(|tilt| multislice.beam(tilt)).collect(),
            untilted: multislice.beam([0, 0]),
            configurations: if vibration.is_none() { 1 } else { dynamics.configurations },
            multislice,
            vibration,
            cell,
            seed: *seed,
            grid,
        })
    }

    fn workspace(&self) -> Workspace {
        Workspace { wave: self.multislice.workspace(), lens: self.lens.workspace(), moved: Vec::new() }
    }

    /// Intensities `[n][y][x]` in these poses, the first of them that of image number `first`.
    pub fn render(&self, poses: &[Pose], first: usize, stage: &Stage) -> Result<Array3<f32>, Error> {
        let mut pixels = Array3::zeros((poses.len(), self.grid.ny, self.grid.nx));
        pixels.axis_iter_mut(Axis(0)).into_par_iter().zip(poses).enumerate().try_for_each_init(
            || self.workspace(),
            |workspace, (i, (image, pose))| {
                self.draw(pose, first + i, workspace, image, stage)?;
                Ok::<(), Error>(stage.advance(1)?)
            },
        )?;
        Ok(pixels)
    }

    /// Real and imaginary parts `[n][y][x]` of the exit waves of one frozen configuration of the first liquid in each pose.
    pub fn exit_waves_of(&self, poses: &[Pose], stage: &Stage) -> Result<[Array3<f32>; 2], Error> {
        let mut parts = [(); 2].map(|()| Array3::zeros((poses.len(), self.grid.ny, self.grid.nx)));
        let [real, imaginary] = &mut parts;
        let images = real.axis_iter_mut(Axis(0)).into_par_iter().zip(imaginary.axis_iter_mut(Axis(0)));
        images.zip(poses).enumerate().try_for_each_init(
            || self.workspace(),
            |workspace, (index, ((real, imaginary), pose))| {
                let wave = self.exit_wave(pose, index, workspace, stage.task())?;
                let split = |re: &mut f32, im: &mut f32, value: &Complex32| (*re, *im) = (value.re, value.im);
                ndarray::Zip::from(real).and(imaginary).and(&wave).for_each(split);
                Ok::<(), Error>(stage.advance(1)?)
            },
        )?;
        Ok(parts)
    }

    /// Image number `index`, in one pose.
    fn draw(
        &self,
        pose: &Pose,
        index: usize,
        workspace: &mut Workspace,
        mut image: ArrayViewMut2<f32>,
        stage: &Stage,
    ) -> Result<(), Error> {
        let pixels = image.as_slice_mut().expect("an image is contiguous");
        let share = 1.0 / (self.liquids * self.configurations * self.beams.len()) as f32;
        for liquid in index * self.liquids..(index + 1) * self.liquids {
            let atoms = self.place(pose, liquid)?;
            for configuration in 0..self.configurations {
                let part = [liquid, configuration];
                for wave in self.exit_waves(&atoms, pose, part, &self.beams, workspace, stage.task())? {
                    self.lens.add_image(&wave, share, &mut workspace.lens, pixels);
                }
            }
        }
        Ok(())
    }

    /// The wave at the exit face `[y][x]`, of one frozen configuration and the untilted beam.
    fn exit_wave(
        &self,
        pose: &Pose,
        index: usize,
        workspace: &mut Workspace,
        task: &Task,
    ) -> Result<Array2<Complex32>, Error> {
        let liquid = index * self.liquids;
        let atoms = self.place(pose, liquid)?;
        let beam = std::slice::from_ref(&self.untilted);
        let wave = self.exit_waves(&atoms, pose, [liquid, 0], beam, workspace, task)?.remove(0);
        Ok(self.multislice.wave(wave))
    }

    /// Of one liquid and one configuration in it.
    fn exit_waves(
        &self,
        atoms: &[Atom],
        pose: &Pose,
        [liquid, configuration]: [usize; 2],
        beams: &[Beam],
        workspace: &mut Workspace,
        task: &Task,
    ) -> Result<Vec<Vec<Complex32>>, Cancelled> {
        let draw = (liquid * self.configurations + configuration) as u64;
        self.vibration.displace(atoms, &pose.matrix(), self.seed, draw, &mut workspace.moved);
        // the particle's atoms come first
        let heights = workspace.moved[..self.structure.len()].iter().map(|atom| atom.position.z);
        let core = heights.clone().fold(f64::MAX, f64::min)..heights.fold(f64::MIN, f64::max);
        self.multislice.exit_waves_about(core, &workspace.moved, beams, &mut workspace.wave, task)
    }

    /// All atoms in the box, with liquid number `liquid`; the particle's centre is at pixel N/2 and half the height.
    fn place(&self, pose: &Pose, liquid: usize) -> Result<Vec<Atom>, Error> {
        let pixel = [self.grid.lx / self.grid.nx as f64, self.grid.ly / self.grid.ny as f64];
        let centre = [(self.grid.nx / 2) as f64 * pixel[0], (self.grid.ny / 2) as f64 * pixel[1]];
        let rotation = pose.matrix();
        let shift = Vector3::new(pose.shift.x, pose.shift.y, 0.0);
        let turned = |atom: &Atom| Atom { position: Point3::from(rotation * atom.position.coords + shift), ..*atom };
        let particle: Vec<Atom> = self.structure.atoms().iter().map(turned).collect();
        Ok(self.cell.fill(&particle, centre, self.seed, liquid as u64)?.atoms)
    }
}
