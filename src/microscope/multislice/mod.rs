//! Multislice: the wave passes the cell in thin slices, each a phase grating, with free space between them.
//!
//! With V_n the projected potential of the atoms in slice n and q the tilt of the beam,
//!
//! ψ_{n+1} = F⁻¹[ A(k)·P(k)·F(t_n·ψ_n) ],   t_n = F⁻¹[ A·F(e^(iσV_n)) ],   P(k) = e^(−iπλΔz(|k|² − |q|²)),
//!
//! also after the last slice: the wave that comes out is that at the exit face. A(k) is 1 up to two thirds of the Nyquist frequency, where products
//! of transmission function and wave begin to alias, and falls to 0 along a cosine 1 % of the sampling rate wide. An atom is
//! wholly in the slice that its centre is in. The frame is periodic.
//!
//! Source: E. J. Kirkland, *Advanced Computing in Electron Microscopy*, 2nd ed. (2010), sections 6.4 to 6.8; J. M. Cowley and A. F. Moodie, Acta Cryst.
//! 10 (1957) 609–619.

mod grid;
mod pointwise;
mod potential;

use std::f64::consts::PI;

use ndarray::Array2;
use rustfft::num_complex::{Complex32, Complex64};

pub use grid::{BandFft, Grid};

use super::{ScatteringFactors, electron};
use crate::structure::{Atom, Element};
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
    /// Interaction parameter [rad/(V Å)].
    sigma: f32,
    /// A(k) over the number of pixels, `[kx][ky]`.
    limit: Vec<f32>,
}

/// A direction of the beam, as the transverse frequency of its plane wave [Å⁻¹] in units of the frame's: a periodic wave.
pub type Tilt = [i32; 2];

/// A beam made ready.
pub struct Beam {
    /// Place of its plane wave in a spectrum.
    incident: usize,
    /// A·P over the number of pixels, `[kx][ky]`.
    propagator: Vec<Complex32>,
}

/// Buffers of one thread.
pub struct Workspace {
    potential: PotentialWorkspace,
    /// Projected potential of a slice [V Å].
    projected: Vec<f32>,
    transmission: Vec<Complex32>,
    wave: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
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
            sigma: electron::interaction_parameter(energy) as f32,
            fft,
            limit,
        }
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
        let q2 = (f64::from(tilt[0]) / grid.lx).powi(2) + (f64::from(tilt[1]) / grid.ly).powi(2);
        let phases = self.fft.table(|kx, ky| {
            let phase = Complex64::cis(-PI * self.wavelength * self.slice_thickness * (kx * kx + ky * ky - q2));
            Complex32::new(phase.re as f32, phase.im as f32)
        });
        let propagator = phases.into_iter().zip(&self.limit).map(|(phase, limit)| phase * limit).collect();
        Beam { incident: column * grid.ny + y, propagator }
    }

    /// Fourier coefficients `[kx][ky]` of the wave of each beam at the exit face.
    ///
    /// Positions of `atoms` are in the box, z along the beam from the entrance face; they may lie outside of it in x and y.
    ///
    /// # Panics
    /// If an atom is of no planned element.
    pub fn exit_waves(&self, atoms: &[Atom], beams: &[Beam], workspace: &mut Workspace) -> Vec<Vec<Complex32>> {
        let incident = |beam: &Beam| {
            let mut wave = vec![Complex32::ZERO; self.fft.spectrum_len()];
            wave[beam.incident] = Complex32::ONE;
            wave
        };
        let mut waves: Vec<Vec<Complex32>> = beams.iter().map(incident).collect();
        for slice in self.sort_into_slices(atoms) {
            let is_empty = slice.places.is_empty();
            if !is_empty {
                self.transmit(&slice, workspace);
            }
            for (wave, beam) in waves.iter_mut().zip(beams) {
                if !is_empty {
                    let Workspace { transmission, wave: rows, scratch, .. } = &mut *workspace;
                    self.fft.inverse(wave, rows, scratch);
                    pointwise::multiply(rows, transmission);
                    self.fft.forward(rows, wave, scratch);
                }
                pointwise::multiply(wave, &beam.propagator);
                if is_empty {
                    // there was no transform whose factor the propagator could undo
                    let pixels = self.fft.grid.pixels() as f32;
                    wave.iter_mut().for_each(|value| *value *= pixels);
                }
            }
        }
        waves
    }

    /// The wave `[y][x]` of some Fourier coefficients.
    pub fn wave(&self, mut coefficients: Vec<Complex32>) -> Array2<Complex32> {
        let Grid { nx, ny, .. } = self.fft.grid;
        let mut rows = vec![Complex32::ZERO; nx * ny];
        self.fft.inverse(&mut coefficients, &mut rows, &mut self.fft.scratch());
        Array2::from_shape_vec((ny, nx), rows).expect("a frame")
    }

    /// The band-limited transmission function of a slice, into `workspace.transmission`.
    fn transmit(&self, slice: &Slice, workspace: &mut Workspace) {
        let Workspace { potential, projected, transmission, spectrum, scratch, .. } = workspace;
        self.potential.project(&slice.places, &slice.counts, potential, projected);
        pointwise::cis(projected, self.sigma, transmission);
        self.fft.forward(transmission, spectrum, scratch);
        pointwise::scale(spectrum, &self.limit);
        self.fft.inverse(spectrum, transmission, scratch);
    }

    /// Atoms by slice, and within a slice by element.
    fn sort_into_slices(&self, atoms: &[Atom]) -> Vec<Slice> {
        let mut slices: Vec<Vec<Vec<[f64; 2]>>> = vec![vec![Vec::new(); self.elements.len()]; self.slices];
        for atom in atoms {
            let element = self.elements.iter().position(|element| *element == atom.element).expect("a planned element");
            let slice = (atom.position.z / self.slice_thickness).floor().clamp(0.0, (self.slices - 1) as f64) as usize;
            slices[slice][element].push([atom.position.x, atom.position.y]);
        }
        let gather =
            |atoms: Vec<Vec<[f64; 2]>>| Slice { counts: atoms.iter().map(Vec::len).collect(), places: atoms.concat() };
        slices.into_iter().map(gather).collect()
    }
}

/// Atoms of a slice: places (x, y) \[Å\], sorted by element, and how many there are of each.
struct Slice {
    places: Vec<[f64; 2]>,
    counts: Vec<usize>,
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
