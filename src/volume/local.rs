//! Local resolution: to what frequency two half-set densities agree around each voxel.
//!
//! The Fourier shell correlation within a moving window (Cardone, Heymann & Steven, J. Struct. Biol. 184 (2013) 226–236), turned
//! round to be cheap: both halves are filtered to a band of frequencies, and their correlation around every voxel comes from three
//! convolutions with the window. The resolution of a voxel is where the correlation first falls below the threshold.

use ndarray::{Array3, Zip, s};
use serde::{Deserialize, Serialize};

use super::{Error, Volume, centred_in};
use crate::fourier::{Complex32, Fft3};
use crate::task::Task;

/// Default limit in voxels: the sampling of reconstructed densities.
const VOXELS_A_LIMIT: f64 = 2.5;
/// Default width of the window in units of the limit: some tens of independent coefficients a band.
const LIMITS_A_WINDOW: f64 = 6.0;
/// Where the power around a voxel is below this part of the highest there is no density, only rounding.
const EMPTY: f32 = 1e-6;

/// Options of [`local_resolution`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalResolutionOptions {
    /// Full width at half maximum of the Gaussian window \[Å\]; default 6 × `low_pass`. Bands are 1/`window` wide.
    pub window: Option<f64>,
    /// Correlation at which the halves cease to agree; default 0.5.
    pub threshold: f64,
    /// Finest resolution that is looked at \[Å\]; default 2.5 voxels.
    pub low_pass: Option<f64>,
    /// Number of frequencies, evenly spaced from 1/`window` to 1/`low_pass`; default 20.
    pub shells: usize,
}

impl Default for LocalResolutionOptions {
    fn default() -> Self {
        Self { window: None, threshold: 0.5, low_pass: None, shells: 20 }
    }
}

impl LocalResolutionOptions {
    /// Window and limit \[Å\].
    fn checked(&self, volume: &Volume) -> Result<(f64, f64), Error> {
        let low_pass = self.low_pass.unwrap_or(VOXELS_A_LIMIT * volume.pixel_size());
        let window = self.window.unwrap_or(LIMITS_A_WINDOW * low_pass);
        let checks = [
            ("low_pass", "at least 2 voxels [Å]", low_pass, low_pass >= 2.0 * volume.pixel_size()),
            ("window", "from 2 × low_pass to half the box [Å]", window, window >= 2.0 * low_pass),
            ("window", "from 2 × low_pass to half the box [Å]", window, window <= 0.5 * volume.edge()),
            (
                "threshold",
                "a correlation between 0 and 1",
                self.threshold,
                self.threshold > 0.0 && self.threshold < 1.0,
            ),
            ("shells", "from 2 to 200", self.shells as f64, (2..=200).contains(&self.shells)),
        ];
        match checks.into_iter().find(|(.., good)| !good) {
            Some((name, range, value, _)) => Err(Error::Option { name, range, value }),
            None => Ok((window, low_pass)),
        }
    }
}

/// Resolution \[Å\] of each voxel `[z][y][x]`, from `low_pass` (the halves agree throughout) to `window` (they do not agree at all).
///
/// The halves must not have been masked tightly, and be independent: see [`CorrectedFsc`](super::CorrectedFsc).
///
/// # Errors
/// If the two do not share size and pixel size, hold values that are not finite, or an option is out of range.
pub fn local_resolution(
    half_1: &Volume,
    half_2: &Volume,
    options: &LocalResolutionOptions,
    task: &Task,
) -> Result<Volume, Error> {
    half_1.check_same_grid(half_2)?;
    half_1.check_finite()?;
    half_2.check_finite()?;
    let (window, low_pass) = options.checked(half_1)?;
    let (n, size) = (half_1.size().next_multiple_of(2), half_1.size());
    let bands = Bands::new(half_1, half_2, n, window);
    let (first, last) = (1.0 / window, 1.0 / low_pass);
    let step = (last - first) / (options.shells - 1) as f64;

    let stage = task.stage("local resolution", options.shells);
    let mut limits = Array3::<f32>::zeros((n, n, n));
    let mut before = Array3::<f32>::ones((n, n, n));
    for shell in 0..options.shells {
        let frequency = first + shell as f64 * step;
        let correlation = bands.correlation(frequency);
        Zip::from(&mut limits).and(&before).and(&correlation).par_for_each(|limit, &c0, &c1| {
            let threshold = options.threshold as f32;
            if *limit == 0.0 && c1 < threshold {
                let back = f64::from((threshold - c1) / (c0 - c1));
                *limit = (1.0 / (frequency - step * back).max(first)) as f32;
            }
        });
        before = correlation;
        stage.advance(1)?;
    }
    limits.par_mapv_inplace(|limit| if limit == 0.0 { low_pass as f32 } else { limit });
    let start = n / 2 - size / 2;
    let inner = s![start..start + size, start..start + size, start..start + size];
    Ok(Volume::new(limits.slice(inner).to_owned(), half_1.pixel_size()))
}

/// Two densities' transforms, and the window that their products are averaged over.
struct Bands {
    spectra: [Array3<Complex32>; 2],
    fft: Fft3,
    /// Spatial frequency a step of the grid [1/Å].
    grid: f64,
    window: f64,
}

impl Bands {
    fn new(a: &Volume, b: &Volume, n: usize, window: f64) -> Self {
        let fft = Fft3::new(n);
        let spectra = [a, b].map(|volume| fft.forward(&centred_in(volume, n)));
        Self { spectra, fft, grid: 1.0 / (n as f64 * a.pixel_size()), window }
    }

    /// Correlation around each voxel of what lies in a raised-cosine band 1/`window` to either side of `frequency` [1/Å].
    fn correlation(&self, frequency: f64) -> Array3<f32> {
        let band = |s: f64| {
            let distance = (s - frequency).abs() * self.window;
            if distance < 1.0 { (0.5 * std::f64::consts::PI * distance).cos().powi(2) } else { 0.0 }
        };
        let [a, b] = self.spectra.each_ref().map(|spectrum| self.filtered(spectrum.clone(), band));
        let mut cross = self.averaged(&(&a * &b));
        let (power_a, power_b) = (self.averaged(&(&a * &a)), self.averaged(&(&b * &b)));
        let empty = |power: &Array3<f32>| EMPTY * power.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let (empty_a, empty_b) = (empty(&power_a), empty(&power_b));
        Zip::from(&mut cross).and(&power_a).and(&power_b).par_for_each(|c, &pa, &pb| {
            *c = if pa > empty_a && pb > empty_b { (*c / (pa * pb).sqrt()).clamp(-1.0, 1.0) } else { 0.0 };
        });
        cross
    }

    /// The mean of the values around each voxel, weighted by the Gaussian window.
    fn averaged(&self, values: &Array3<f32>) -> Array3<f32> {
        // a Gaussian of s.d. σ has the transform exp(−2π²σ²s²)
        let sigma = self.window / (8.0 * 2f64.ln()).sqrt();
        let decay = 2.0 * (std::f64::consts::PI * sigma).powi(2);
        self.filtered(self.fft.forward(values), |s| (-decay * s * s).exp())
    }

    fn filtered(&self, mut spectrum: Array3<Complex32>, transfer: impl Fn(f64) -> f64 + Sync) -> Array3<f32> {
        let half = (spectrum.dim().0 / 2) as f64;
        Zip::indexed(&mut spectrum).par_for_each(|(z, y, x), value| {
            let square = (z as f64 - half).powi(2) + (y as f64 - half).powi(2) + (x as f64).powi(2);
            *value *= transfer(square.sqrt() * self.grid) as f32;
        });
        self.fft.inverse(spectrum)
    }
}
