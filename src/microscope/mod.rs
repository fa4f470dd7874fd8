//! From a particle to its images: fast electrons pass through it, lenses magnify what leaves, a camera counts.
//!
//! In: a [`Structure`](crate::structure::Structure), a [`Microscope`], and where the particle is in each image. Out: a stack of
//! [`Images`](crate::images::Images) as intensities (1 where there is no atom) with the poses they were made at.
//!
//! The file names follow the electron: [`electron`] (wavelength and interaction), [`scattering`] (what an atom does), `vibration` (where it is just
//! then), [`multislice`] (the way through the cell), [`Transfer`] with [`Aberrations`] and [`lens`] (what the lenses do), and [`simulate`] (all, for
//! many poses, which may be those of a [`trajectory`]). Two methods: `kinematic`, the weak-phase approximation with sub-pixel positions and each
//! atom's own defocus, and `dynamical`, by multislice.
//!
//! Conventions: Fourier transforms with e^(−2πi k·r); aberrations χ(α) = 2π/λ·(½C1α² + ¼C3α⁴ + ⅙C5α⁶) with α = λk, the
//! wave multiplied by e^(−iχ); `defocus` = −C1, positive = underfocus, counted from the exit face of the cell.
//! With the paper's settings atoms come out black.
//!
//! Source: E. J. Kirkland, *Advanced Computing in Electron Microscopy*, 2nd ed. (2010), chapters 2, 3 and 5.

mod aberrations;
mod dynamical;
pub mod electron;
mod kinematic;
pub mod lens;
pub mod multislice;
pub mod scattering;
mod simulate;
mod trajectory;
mod transfer;
mod vibration;

use std::f64::consts::PI;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use aberrations::Aberrations;
pub use dynamical::Dynamics;
pub use scattering::ScatteringFactors;
pub use simulate::{Method, Simulation, Simulator, exit_waves, random_poses, simulate};
pub use trajectory::{Brownian, trajectory};
pub use transfer::Transfer;
pub use vibration::{AtomDisplacement, Surface};

use crate::cell;
use crate::memory;
use crate::structure::Element;
use crate::task::Cancelled;

/// Why images cannot be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("{name} = {value}{}{unit} is out of range: it must be {range}", if unit.is_empty() { "" } else { " " })]
    Setting { name: &'static str, value: f64, unit: &'static str, range: &'static str },
    #[error(
        "name the method of simulation: method: \"kinematic\" (weak phase, fast) or \"multislice\" (all scattering, slower)"
    )]
    NoMethod,
    #[error(
        "cell, liquids, slice_thickness, fast, configurations, temperature, displacements, atom_displacements, surface, spread and cone are of method: \"multislice\"; \
         leave them out of a kinematic one"
    )]
    NotKinematic,
    #[error("b_factor is of method: \"kinematic\"; multislice moves the atoms: give temperature or displacements")]
    NotMultislice,
    #[error("a tilted beam is of method: \"multislice\": leave beam_tilt out of a microscope for kinematic images")]
    TiltedKinematic,
    #[error("{given} displacements of atoms are given for a particle of {atoms} atoms: give one an atom, in its order")]
    AtomDisplacements { given: usize, atoms: usize },
    #[error(
        "the displacement tensor of atom {0} (counted from 0) cannot be: its smallest mean square displacement is negative"
    )]
    Tensor(usize),
    #[error("a kinematic image has no exit wave: leave method out, or name \"multislice\"")]
    NoExitWave,
    #[error(
        "no Debye–Waller factor is known for {0}: give displacements: #{{ {0}: 0.08 }} (Å r.m.s. along an axis), or temperature: 0"
    )]
    NoDebyeWaller(Element),
    #[error(
        "the particle reaches {reach:.1} Å from its origin, but the cell is only {height} Å high: give the microscope a larger cell_height"
    )]
    CellTooThin { height: f64, reach: f64 },
    #[error("how many images? Give n (at least 1), or poses")]
    NoImages,
    #[error("n = {n}, but {poses} poses are given: leave n out")]
    CountMismatch { n: usize, poses: usize },
    #[error("the structure \"{0}\" has no atoms")]
    NoAtoms(String),
    #[error(
        "the image, {frame:.1} Å wide, is too small for a particle that reaches {reach:.1} Å from its origin with shifts up to \
         {shift:.1} Å: choose size ≥ {least}"
    )]
    FrameTooSmall { frame: f64, reach: f64, shift: f64, least: usize },
    #[error(transparent)]
    Cell(#[from] cell::Error),
    #[error("the cell is {cell} Å high, the microscope is told {microscope} Å: give paper(#{{ cell_height: {cell} }})")]
    Height { cell: f64, microscope: f64 },
    #[error(
        "the cell is {x} × {y} Å wide: images must be square, and the whole of it; leave size out, or choose size · pixel_size = {x}"
    )]
    Width { x: f64, y: f64 },
    #[error(transparent)]
    Memory(#[from] memory::NotEnough),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Fails unless `value` is within `from..=to`.
fn within(
    name: &'static str,
    value: f64,
    unit: &'static str,
    (from, to): (f64, f64),
    range: &'static str,
) -> Result<(), Error> {
    if (from..=to).contains(&value) { Ok(()) } else { Err(Error::Setting { name, value, unit, range }) }
}

/// The settings of a transmission electron microscope and the height of the cell in it. The defaults are the paper's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Microscope {
    /// Accelerating voltage \[kV\]. Default: 200.
    pub energy: f64,
    /// Mean defocus from the exit face of the cell \[Å\], positive = underfocus. Default: 60.
    pub defocus: f64,
    /// Standard deviation of the defocus while an image is taken \[Å\]. Default: 40.
    pub defocus_spread: f64,
    /// Spherical aberration of third order C3 \[mm\]. Default: −0.01.
    pub c3: f64,
    /// Spherical aberration of fifth order C5 \[mm\]. Default: 3.
    pub c5: f64,
    /// Half-angle of the objective aperture \[mrad\]. Default: 30.
    pub aperture: f64,
    /// Width of the aperture's edge \[mrad\], over which it falls along half a cosine, centred on its half-angle. Default: 0, sharp.
    pub aperture_edge: f64,
    /// Aberrations that are not round. Default: none.
    pub aberrations: Aberrations,
    /// Tilt of the beam against the lens's axis along x and y \[mrad\]; multislice only. Default: 0, 0.
    pub beam_tilt: [f64; 2],
    /// Half-angle of the illumination, a uniformly filled cone \[mrad\]. Default: 1.
    pub illumination: f64,
    /// Height of the cell with the particle at half of it \[Å\]. Default: 100.
    pub cell_height: f64,
}

impl Default for Microscope {
    fn default() -> Self {
        Self {
            energy: 200.0,
            defocus: 60.0,
            defocus_spread: 40.0,
            c3: -0.01,
            c5: 3.0,
            aperture: 30.0,
            aperture_edge: 0.0,
            aberrations: Aberrations::default(),
            beam_tilt: [0.0; 2],
            illumination: 1.0,
            cell_height: 100.0,
        }
    }
}

/// The microscope of the paper: 200 kV, C3 = −0.01 mm, C5 = 3 mm, defocus 60 ± 40 Å, aperture 30 mrad, illumination 1 mrad, a cell of 100 Å.
pub fn paper() -> Microscope {
    Microscope::default()
}

impl Microscope {
    /// The defocus that the particle's centre sees \[Å\], in the middle of the cell.
    pub fn defocus_at_centre(&self) -> f64 {
        cell::defocus_at(self.cell_height, self.defocus, 0.0)
    }

    /// Wavelength of the electrons \[Å\].
    pub fn wavelength(&self) -> f64 {
        electron::wavelength(self.energy)
    }

    /// Spatial frequency of a tilted beam's plane wave along x and y [Å⁻¹].
    pub fn tilt_frequency(&self) -> [f64; 2] {
        self.beam_tilt.map(|tilt| tilt * 1e-3 / self.wavelength())
    }

    /// Highest spatial frequency that passes the objective aperture [Å⁻¹].
    pub fn aperture_frequency(&self) -> f64 {
        self.aperture * 1e-3 / self.wavelength()
    }

    /// Share of a beam that the objective aperture lets through at the spatial frequency `k` [Å⁻¹].
    pub fn aperture_at(&self, k: f64) -> f64 {
        let beyond = (k * self.wavelength() * 1e3 - self.aperture) / self.aperture_edge;
        match self.aperture_edge {
            0.0 => f64::from(k <= self.aperture_frequency()),
            _ => 0.5 - 0.5 * (PI * beyond.clamp(-0.5, 0.5)).sin(),
        }
    }

    /// Frequency beyond which the objective aperture stops everything [Å⁻¹].
    pub fn aperture_end(&self) -> f64 {
        (self.aperture + 0.5 * self.aperture_edge) * 1e-3 / self.wavelength()
    }

    /// Fails, naming the setting, if one is not a number or out of every reason.
    pub fn check(&self) -> Result<(), Error> {
        within("energy", self.energy, "kV", (1.0, 1e4), "from 1 to 10000 kV")?;
        within("defocus", self.defocus, "Å", (-1e6, 1e6), "at most 100 µm either way")?;
        within("defocus_spread", self.defocus_spread, "Å", (0.0, 1e5), "from 0 to 100000 Å")?;
        within("c3", self.c3, "mm", (-100.0, 100.0), "at most 100 mm either way")?;
        within("c5", self.c5, "mm", (-1e5, 1e5), "at most 100 m either way")?;
        within("aperture", self.aperture, "mrad", (0.1, 500.0), "from 0.1 to 500 mrad")?;
        within(
            "aperture_edge",
            self.aperture_edge,
            "mrad",
            (0.0, 2.0 * self.aperture),
            "from 0 to twice the aperture",
        )?;
        let finite = if self.aberrations.is_finite() { 0.0 } else { f64::NAN };
        within("aberrations", finite, "Å", (0.0, 0.0), "finite numbers")?;
        self.beam_tilt
            .iter()
            .try_for_each(|&tilt| within("beam_tilt", tilt, "mrad", (-50.0, 50.0), "from −50 to 50 mrad"))?;
        within("illumination", self.illumination, "mrad", (0.0, 50.0), "from 0 to 50 mrad")?;
        within("cell_height", self.cell_height, "Å", (0.0, 1e6), "from 0 to 100 µm")
    }
}

impl fmt::Display for Microscope {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{} kV, defocus {} ± {} Å, C3 {} mm, C5 {} mm, aperture {} mrad, illumination {} mrad, cell {} Å",
            self.energy,
            self.defocus,
            self.defocus_spread,
            self.c3,
            self.c5,
            self.aperture,
            self.illumination,
            self.cell_height
        )?;
        if self.beam_tilt != [0.0; 2] {
            write!(f, ", beam tilted by {} and {} mrad", self.beam_tilt[0], self.beam_tilt[1])?;
        }
        if !self.aberrations.is_none() {
            write!(f, ", and aberrations that are not round")?;
        }
        Ok(())
    }
}
