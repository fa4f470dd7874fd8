//! From the wave at the exit face to the image: the objective lens, its aperture, and the partial coherence of the beam.
//!
//! A coherent image is |F⁻¹[ψ̂(k)·a(k)·e^(−iχ(k))]|², with a the aperture. A defocus that varies while the image is taken, and an illumination
//! cone, are *incoherent*: images at many defoci, and of many tilted beams, are added. Both sums can be replaced by envelopes on the wave, exact
//! to first order in the spreads where one beam is much stronger than all others ([`Transfer`]); they cost nothing.
//!
//! Source: Kirkland 2010, sections 3.2 and 5.4.

use rustfft::num_complex::{Complex32, Complex64};
use serde::{Deserialize, Serialize};

use super::multislice::{BandFft, Grid, Tilt};
use super::{Microscope, Transfer};

/// How partial coherence enters an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coherence {
    /// How the defocus spread enters. Default: as a sum.
    pub spread: Spread,
    /// Standard deviations of the defocus that the sum reaches. Default: 2.5.
    pub spread_range: f64,
    /// Distance between the defoci of the sum \[Å\]. Default: 10.
    pub spread_step: f64,
    /// How the illumination cone enters. Default: as an envelope.
    pub cone: Cone,
}

impl Default for Coherence {
    fn default() -> Self {
        Self { spread: Spread::Sum, spread_range: 2.5, spread_step: 10.0, cone: Cone::Envelope }
    }
}

/// How the defocus spread enters an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// A weighted sum of images at many defoci.
    Sum,
    /// An envelope on the wave.
    Envelope,
}

/// How the illumination cone enters an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cone {
    /// None: parallel illumination.
    None,
    /// A sum over the beams of the frame's frequencies within the cone.
    Tilts,
    /// An envelope on the wave.
    Envelope,
}

/// The lens for one frame: what each wave is multiplied by.
pub struct Lens {
    fft: BandFft,
    /// Places of the aperture's columns in a spectrum of the wave.
    columns: Vec<usize>,
    /// For each defocus its weight, and the transfer `[kx][ky]`.
    transfers: Vec<(f32, Vec<Complex32>)>,
}

/// Buffers of one thread.
pub struct Workspace {
    spectrum: Vec<Complex32>,
    rows: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Lens {
    /// The lens of `microscope` for waves with spectra on `wave`'s columns.
    pub fn new(microscope: &Microscope, wave: &BandFft, coherence: &Coherence) -> Self {
        let [tilt_x, tilt_y] = microscope.tilt_frequency();
        let fft = wave.narrower(microscope.aperture_end() + tilt_x.abs());
        let columns = (0..wave.columns.len()).filter(|&place| fft.columns.contains(&wave.columns[place])).collect();
        let defoci = defoci(microscope, coherence);
        let transfer = |(weight, defocus): (f64, f64)| {
            let transfer = Transfer::new(microscope, defocus);
            let value = |kx: f64, ky: f64| {
                let aperture = microscope.aperture_at((kx + tilt_x).hypot(ky + tilt_y));
                if aperture == 0.0 {
                    return Complex32::ZERO;
                }
                let temporal =
                    if coherence.spread == Spread::Envelope { transfer.temporal_envelope((kx, ky)) } else { 1.0 };
                let spatial = if coherence.cone == Cone::Envelope { transfer.spatial_envelope((kx, ky)) } else { 1.0 };
                let value = Complex64::cis(-transfer.chi((kx, ky))) * aperture * temporal * spatial;
                Complex32::new(value.re as f32, value.im as f32)
            };
            (weight as f32, fft.table(value))
        };
        let transfers = defoci.into_iter().map(transfer).collect();
        Self { fft, columns, transfers }
    }

    pub fn workspace(&self) -> Workspace {
        Workspace {
            spectrum: vec![Complex32::ZERO; self.fft.spectrum_len()],
            rows: vec![Complex32::ZERO; self.fft.grid.pixels()],
            scratch: self.fft.scratch(),
        }
    }

    /// Adds `weight` times the image `[y][x]` of a wave, given as its spectrum, to `image`.
    pub fn add_image(&self, wave: &[Complex32], weight: f32, workspace: &mut Workspace, image: &mut [f32]) {
        let ny = self.fft.grid.ny;
        let Workspace { spectrum, rows, scratch } = workspace;
        for (share, transfer) in &self.transfers {
            let columns = spectrum.chunks_exact_mut(ny).zip(transfer.chunks_exact(ny)).zip(&self.columns);
            for ((column, transfer), &place) in columns {
                let wave = &wave[place * ny..][..ny];
                for ((value, wave), transfer) in column.iter_mut().zip(wave).zip(transfer) {
                    *value = wave * transfer;
                }
            }
            self.fft.inverse(spectrum, rows, scratch);
            let weight = weight * share;
            image.iter_mut().zip(rows.iter()).for_each(|(pixel, value)| *pixel += weight * value.norm_sqr());
        }
    }
}

/// Defoci \[Å\] with their weights, which add up to 1.
fn defoci(microscope: &Microscope, coherence: &Coherence) -> Vec<(f64, f64)> {
    let Microscope { defocus, defocus_spread, .. } = *microscope;
    if coherence.spread == Spread::Envelope || defocus_spread == 0.0 {
        return vec![(1.0, defocus)];
    }
    let step = coherence.spread_step;
    let steps = (coherence.spread_range * defocus_spread / step + 1e-9).floor() as i64;
    let offsets = (-steps..=steps).map(|i| i as f64 * step);
    let weight = |offset: f64| (-0.5 * (offset / defocus_spread).powi(2)).exp();
    let total: f64 = offsets.clone().map(weight).sum();
    offsets.map(|offset| (weight(offset) / total, defocus + offset)).collect()
}

/// The beams of an illumination cone: the frame's own frequencies within it.
pub fn beams(microscope: &Microscope, grid: Grid, cone: Cone) -> Vec<Tilt> {
    let radius = microscope.illumination * 1e-3 / microscope.wavelength();
    if cone != Cone::Tilts {
        return vec![[0, 0]];
    }
    let reach = |length: f64| (radius * length).floor() as i32;
    let (x, y) = (reach(grid.lx), reach(grid.ly));
    let all = (-y..=y).flat_map(|iy| (-x..=x).map(move |ix| [ix, iy]));
    all.filter(|[ix, iy]| (f64::from(*ix) / grid.lx).hypot(f64::from(*iy) / grid.ly) <= radius).collect()
}
