//! Multislice: the wave passes the cell in thin slices, each a phase grating, with free space between them.
//!
//! With V_n the projected potential of the atoms in slice n and q the tilt of the beam,
//!
//! ψ_{n+1} = F⁻¹[ A(k)·P(k)·F(t_n·ψ_n) ],   t_n = F⁻¹[ A·F(e^(iσV_n)) ],   P(k) = e^(−iπλΔz(|k|² − |q|²)),
//!
//! also after the last slice: the wave that comes out is that at the exit face. A(k) is 1 up to two thirds of the Nyquist frequency, where products
//! of transmission function and wave begin to alias, and falls to 0 along a cosine 1 % of the sampling rate wide. An atom is
//! wholly in the slice that its centre is in. The frame is periodic. Where only liquid is, merged planes may stand for several slices.
//!
//! Source: E. J. Kirkland, *Advanced Computing in Electron Microscopy*, 2nd ed. (2010), sections 6.4 to 6.8; J. M. Cowley and A. F. Moodie, Acta Cryst.
//! 10 (1957) 609–619.

mod grid;
mod merged;
mod pointwise;
mod potential;

use std::f64::consts::PI;
use std::ops::Range;

use ndarray::Array2;
use rustfft::num_complex::{Complex32, Complex64};

pub use grid::{BandFft, Grid};

use super::{ScatteringFactors, electron};
use crate::structure::{Atom, Element};
use crate::task::{Cancelled, Task};
use merged::{Merged, Share};
use potential::{Potential, PotentialWorkspace};

/// Width of the edge of the band limit, in units of the sampling rate.
const EDGE: f64 = 0.01;

/// What the beam goes through: a box of atoms, cut into slices of one thickness, on a grid of pixels.
pub struct Multislice {
    fft: BandFft,
    potential: Potential,
    elements: Vec<Element>,
    slices: usize,
    slice_thickness: f64,
    wavelength: f64,
    /// Of all beams [Å⁻¹].
    tilt: [f64; 2],
    /// Interaction parameter [rad/(V Å)].
    sigma: f32,
    /// A(k) over the number of pixels, `[kx][ky]`.
    limit: Vec<f32>,
    merging: Option<Merging>,
}

/// How slices far from the particle are merged.
struct Merging {
    merged: Merged,
    /// Most slices from one plane to the next.
    stride: usize,
}

/// A direction of the beam, as the transverse frequency of its plane wave [Å⁻¹] in units of the frame's: a periodic wave.
pub type Tilt = [i32; 2];

/// A beam made ready.
pub struct Beam {
    /// Place of its plane wave in a spectrum.
    incident: usize,
    /// A·P over the number of pixels, `[kx][ky]`, for one slice, two, ….
    propagators: Vec<Vec<Complex32>>,
}

/// Buffers of one thread.
pub struct Workspace {
    potential: PotentialWorkspace,
    /// Projected potential of a slice [V Å].
    projected: Vec<f32>,
    transmission: Vec<Complex32>,
    wave: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    /// Spectrum of a plane's potential; empty where no slices are merged.
    plane: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

/// Where the wave meets atoms.
enum Layer {
    /// Those of a slice.
    Slice(Slice),
    /// Those of several slices, in part.
    Plane(Vec<Share>),
}

impl Multislice {
    /// Plans for atoms of these `elements` in a box of the grid's width and `height` Å, the beam of `energy` kV.
    ///
    /// The slices are as thick as `slice_thickness` Å, or a little thinner so that a whole number fills the box.
    pub fn new(
        grid: Grid,
        height: f64,
        slice_thickness: f64,
        energy: f64,
        elements: &[Element],
        factors: ScatteringFactors,
    ) -> Self {
        let band = 2.0 / 3.0 * grid.nyquist();
        let fft = BandFft::new(grid, band);
        let edge = EDGE * 2.0 * grid.nyquist();
        let pixels = grid.pixels() as f64;
        let limit = fft.table(|kx, ky| (taper(kx.hypot(ky), band, edge) / pixels) as f32);
        let slices = (height / slice_thickness - 1e-9).ceil().max(1.0) as usize;
        Self {
            potential: Potential::new(grid, elements, factors),
            elements: elements.to_vec(),
            slices,
            slice_thickness: height / slices as f64,
            wavelength: electron::wavelength(energy),
            tilt: [0.0; 2],
            sigma: electron::interaction_parameter(energy) as f32,
            fft,
            limit,
            merging: None,
        }
    }

    /// The same for beams that are all tilted by the transverse frequency `tilt` [Å⁻¹], which need not be one of the frame's. Waves are then those
    /// behind the cell over e^(2πi tilt·r), which leaves them periodic.
    pub fn tilted(self, tilt: [f64; 2]) -> Self {
        Self { tilt, ..self }
    }

    /// The same with slices far from the particle merged into planes up to `distance` Å apart, for [`Multislice::exit_waves_about`].
    ///
    /// With 5 Å between planes images of liquid cells differ from exact ones by up to a hundredth of their standard deviation.
    pub fn merging(mut self, distance: f64) -> Self {
        let stride = (distance / self.slice_thickness + 1e-9).max(1.0) as usize;
        let mut workspace = self.workspace();
        let shapes = (0..self.elements.len()).map(|element| self.shape_alone(element, &mut workspace)).collect();
        self.merging = Some(Merging { merged: Merged::new(&self.fft, shapes), stride });
        self
    }

    /// Spectrum over the number of pixels of the complex w of [`merged`], for an atom at the origin.
    fn shape_alone(&self, element: usize, workspace: &mut Workspace) -> Vec<Complex32> {
        let counts = (0..self.elements.len()).map(|i| usize::from(i == element)).collect();
        self.transmit(&Layer::Slice(Slice { places: vec![[0.0; 2]], counts }), workspace);
        let Workspace { transmission, spectrum, scratch, .. } = workspace;
        transmission.iter_mut().for_each(|value| *value = value.ln() / Complex32::new(0.0, self.sigma));
        self.fft.forward(transmission, spectrum, scratch);
        pointwise::scale(spectrum, &self.limit);
        spectrum.clone()
    }

    /// The transforms that waves and their spectra are related by.
    pub fn fft(&self) -> &BandFft {
        &self.fft
    }

    pub fn workspace(&self) -> Workspace {
        let pixels = self.fft.grid.pixels();
        Workspace {
            potential: self.potential.workspace(),
            projected: vec![0.0; pixels],
            transmission: vec![Complex32::ZERO; pixels],
            wave: vec![Complex32::ZERO; pixels],
            spectrum: vec![Complex32::ZERO; self.fft.spectrum_len()],
            plane: vec![Complex32::ZERO; if self.merging.is_some() { self.fft.spectrum_len() } else { 0 }],
            scratch: self.fft.scratch(),
        }
    }

    /// A beam that comes in as a plane wave of amplitude 1.
    ///
    /// # Panics
    /// If its tilt is beyond the band limit.
    pub fn beam(&self, tilt: Tilt) -> Beam {
        let grid = self.fft.grid;
        let [x, y] = [tilt[0].rem_euclid(grid.nx as i32) as usize, tilt[1].rem_euclid(grid.ny as i32) as usize];
        let column = self.fft.columns.iter().position(|&ix| ix == x).expect("a tilt within the band limit");
        let [x0, y0] = self.tilt;
        let square = |kx: f64, ky: f64| (kx + x0).powi(2) + (ky + y0).powi(2);
        let q2 = square(f64::from(tilt[0]) / grid.lx, f64::from(tilt[1]) / grid.ly);
        let propagator = |slices: usize| {
            let phase = -PI * self.wavelength * self.slice_thickness * slices as f64;
            let phases = self.fft.table(|kx, ky| Complex64::cis(phase * (square(kx, ky) - q2)));
            let limited = |(phase, limit): (Complex64, &f32)| Complex32::new(phase.re as f32, phase.im as f32) * limit;
            phases.into_iter().zip(&self.limit).map(limited).collect()
        };
        let longest = self.merging.as_ref().map_or(1, |merging| merging.stride);
        Beam { incident: column * grid.ny + y, propagators: (1..=longest).map(propagator).collect() }
    }

    /// Fourier coefficients `[kx][ky]` of the wave of each beam at the exit face.
    ///
    /// Positions of `atoms` are in the box, z along the beam from the entrance face; they may lie outside of it in x and y.
    ///
    /// # Errors
    /// When interrupted.
    ///
    /// # Panics
    /// If an atom is of no planned element.
    pub fn exit_waves(
        &self,
        atoms: &[Atom],
        beams: &[Beam],
        workspace: &mut Workspace,
        task: &Task,
    ) -> Result<Vec<Vec<Complex32>>, Cancelled> {
        let slices = self.sort_into_slices(atoms).into_iter().map(Layer::Slice);
        self.pass(&slices.enumerate().collect::<Vec<_>>(), beams, workspace, task)
    }

    /// The same, exact where the particle is, for z in `core` \[Å\]; elsewhere slices are merged, if [`Multislice::merging`] says so.
    ///
    /// # Errors
    /// When interrupted.
    ///
    /// # Panics
    /// If an atom is of no planned element.
    pub fn exit_waves_about(
        &self,
        core: Range<f64>,
        atoms: &[Atom],
        beams: &[Beam],
        workspace: &mut Workspace,
        task: &Task,
    ) -> Result<Vec<Vec<Complex32>>, Cancelled> {
        match &self.merging {
            Some(merging) => self.pass(&self.sort_into_layers(atoms, core, merging.stride), beams, workspace, task),
            None => self.exit_waves(atoms, beams, workspace, task),
        }
    }

    /// The waves of all beams behind some layers, each given with the number of slices before it.
    fn pass(
        &self,
        layers: &[(usize, Layer)],
        beams: &[Beam],
        workspace: &mut Workspace,
        task: &Task,
    ) -> Result<Vec<Vec<Complex32>>, Cancelled> {
        let incident = |beam: &Beam| {
            let mut wave = vec![Complex32::ZERO; self.fft.spectrum_len()];
            wave[beam.incident] = Complex32::ONE;
            wave
        };
        let mut waves: Vec<Vec<Complex32>> = beams.iter().map(incident).collect();
        for (i, (place, layer)) in layers.iter().enumerate() {
            task.check()?;
            let next = layers.get(i + 1).map_or(self.slices, |(next, _)| *next);
            let is_empty = layer.is_empty();
            if !is_empty {
                self.transmit(layer, workspace);
            }
            for (wave, beam) in waves.iter_mut().zip(beams) {
                if !is_empty {
                    let Workspace { transmission, wave: rows, scratch, .. } = &mut *workspace;
                    self.fft.inverse(wave, rows, scratch);
                    pointwise::multiply(rows, transmission);
                    self.fft.forward(rows, wave, scratch);
                }
                pointwise::multiply(wave, &beam.propagators[next - place - 1]);
                if is_empty {
                    // there was no transform whose factor the propagator could undo
                    let pixels = self.fft.grid.pixels() as f32;
                    wave.iter_mut().for_each(|value| *value *= pixels);
                }
            }
        }
        Ok(waves)
    }

    /// The wave `[y][x]` of some Fourier coefficients.
    pub fn wave(&self, mut coefficients: Vec<Complex32>) -> Array2<Complex32> {
        let Grid { nx, ny, .. } = self.fft.grid;
        let mut rows = vec![Complex32::ZERO; nx * ny];
        self.fft.inverse(&mut coefficients, &mut rows, &mut self.fft.scratch());
        Array2::from_shape_vec((ny, nx), rows).expect("a frame")
    }

    /// The band-limited transmission function of a layer, into `workspace.transmission`.
    fn transmit(&self, layer: &Layer, workspace: &mut Workspace) {
        let Workspace { potential, projected, transmission, spectrum, plane, scratch, .. } = workspace;
        match layer {
            Layer::Slice(slice) => {
                self.potential.project(&slice.places, &slice.counts, potential, projected);
                pointwise::cis(projected, self.sigma, transmission);
                self.fft.forward(transmission, spectrum, scratch);
                pointwise::scale(spectrum, &self.limit);
                self.fft.inverse(spectrum, transmission, scratch);
            }
            Layer::Plane(atoms) => {
                let merging = self.merging.as_ref().expect("planes come from merging");
                merging.merged.project(atoms, &self.fft, [spectrum, transmission, scratch], plane);
                self.fft.inverse(plane, transmission, scratch);
                pointwise::exp_i(transmission, self.sigma);
            }
        }
    }

    /// Atoms by slice, and within a slice by element.
    fn sort_into_slices(&self, atoms: &[Atom]) -> Vec<Slice> {
        let mut slices: Vec<Vec<Vec<[f64; 2]>>> = vec![vec![Vec::new(); self.elements.len()]; self.slices];
        for atom in atoms {
            slices[self.slice_at(atom.position.z)][self.element(atom)].push([atom.position.x, atom.position.y]);
        }
        slices.into_iter().map(Slice::new).collect()
    }

    /// Single slices for z in `core`, elsewhere planes up to `stride` slices apart; each with the number of slices before it.
    fn sort_into_layers(&self, atoms: &[Atom], core: Range<f64>, stride: usize) -> Vec<(usize, Layer)> {
        let core = self.slice_at(core.start)..self.slice_at(core.end) + 1;
        let before = spaced(0..core.start, stride);
        let places: Vec<usize> =
            before.into_iter().chain(core.clone()).chain(spaced(core.end..self.slices, stride)).collect();
        let mut slices = vec![vec![Vec::new(); self.elements.len()]; core.len()];
        let mut planes = vec![Vec::new(); places.len()];
        for atom in atoms {
            let (slice, element, place) =
                (self.slice_at(atom.position.z), self.element(atom), [atom.position.x, atom.position.y]);
            if core.contains(&slice) {
                slices[slice - core.start][element].push(place);
                continue;
            }
            // the last plane at or before the slice, and the next one: both outside of the core, which has planes next to it
            let first = places.partition_point(|&place| place <= slice) - 1;
            let second = (first + 1).min(places.len() - 1);
            let beyond = if slice == places[first] {
                0.0
            } else {
                (slice - places[first]) as f32 / (places[second] - places[first]) as f32
            };
            for (plane, weight) in [(first, 1.0 - beyond), (second, beyond)] {
                if weight > 0.0 {
                    planes[plane].push(Share { place, element, weight });
                }
            }
        }
        let mut slices = slices.into_iter().map(Slice::new);
        let layer = |(place, shares): (usize, Vec<Share>)| {
            let layer = if core.contains(&place) { slices.next().map(Layer::Slice) } else { None };
            (place, layer.unwrap_or(Layer::Plane(shares)))
        };
        places.into_iter().zip(planes).map(layer).collect()
    }

    /// The slice that a height \[Å\] is in; beyond the faces the first or last.
    fn slice_at(&self, z: f64) -> usize {
        (z / self.slice_thickness).floor().clamp(0.0, (self.slices - 1) as f64) as usize
    }

    /// Which of the planned elements an atom is of.
    fn element(&self, atom: &Atom) -> usize {
        self.elements.iter().position(|element| *element == atom.element).expect("a planned element")
    }
}

/// Some of the numbers in a range, the first and the last among them, evenly spaced by at most `stride`.
fn spaced(range: Range<usize>, stride: usize) -> Vec<usize> {
    let Some(reach) = range.len().checked_sub(1) else { return Vec::new() };
    let steps = reach.div_ceil(stride).max(1);
    let mut places: Vec<usize> = (0..=steps).map(|i| range.start + (i * reach + steps / 2) / steps).collect();
    places.dedup();
    places
}

impl Layer {
    fn is_empty(&self) -> bool {
        match self {
            Self::Slice(slice) => slice.places.is_empty(),
            Self::Plane(shares) => shares.is_empty(),
        }
    }
}

/// Atoms of a slice: places (x, y) \[Å\], sorted by element, and how many there are of each.
struct Slice {
    places: Vec<[f64; 2]>,
    counts: Vec<usize>,
}

impl Slice {
    /// From the places of the atoms of each element.
    fn new(places: Vec<Vec<[f64; 2]>>) -> Self {
        Self { counts: places.iter().map(Vec::len).collect(), places: places.concat() }
    }
}

/// 1 up to `limit` less `edge`, 0 beyond `limit`, half a cosine between.
fn taper(k: f64, limit: f64, edge: f64) -> f64 {
    let start = limit - edge;
    if k <= start {
        1.0
    } else if k > limit {
        0.0
    } else {
        0.5 * (1.0 + (PI * (k - start) / edge).cos())
    }
}
