//! The shape that all atoms of a density share, and the density without them.
//!
//! In Fourier space a map of atoms is F(k) ≈ T(|k|)·S(k), S(k) = Σ aⱼ e^(−2πi k·rⱼ): T is the transfer from atoms to density (envelope,
//! contrast transfer, limit of resolution). With atoms given, T follows by least squares shell by shell, T = Σ F·S* / Σ |S|².

use nalgebra::Vector3;
use ndarray::{Array3, Axis, s};
use rayon::prelude::*;

use crate::fourier::{Complex32, Fft3};
use crate::volume::Volume;

/// Shells of the transfer per Fourier voxel: fine enough to follow a sharp limit of resolution.
const SHELLS_PER_VOXEL: f64 = 2.0;
/// A shell whose mean power is below this part of the strongest one holds nothing but rounding errors.
const EMPTY_SHELL: f64 = 1e-9;
/// Step and number of points of the tabulated profile: 0 … 2 Å.
const PROFILE_STEP: f64 = 0.005;
const PROFILE_POINTS: usize = 401;

/// Fourier coefficients of a density up to its band limit.
pub(super) struct Spectrum {
    /// Edge of the box \[Å\].
    length: f64,
    /// Edge of the box [voxels].
    size: usize,
    /// Largest frequency kept [Fourier voxels].
    limit: usize,
    /// `[z][y][x]`, frequencies −limit … limit, −limit … limit, 0 … limit.
    values: Array3<Complex32>,
}

/// T by shell, spacing 1/[`SHELLS_PER_VOXEL`].
pub(super) struct Transfer(Vec<f64>);

/// Density of an atom against the distance from it, one at its centre.
pub(super) struct Profile(Vec<f64>);

/// An atom as the model of the density sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub position: Vector3<f64>,
    pub amplitude: f64,
}

impl Spectrum {
    pub fn of(volume: &Volume) -> Self {
        let even = even_sized(volume.data());
        let size = even.dim().0;
        let full = Fft3::new(size).forward(&even);
        let half = size / 2;
        let limit = band_limit(&full, half);
        let (from, to) = (half - limit, half + limit + 1);
        let values = full.slice(s![from..to, from..to, ..=limit]).to_owned();
        Self { length: size as f64 * volume.pixel_size(), size, limit, values }
    }

    /// Edge of the box [voxels], even.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Independent values of the density in 1 Å³: Fourier coefficients within the limit, over the volume of the box.
    pub fn freedom(&self) -> f64 {
        4.0 / 3.0 * std::f64::consts::PI * (self.limit as f64 / self.length).powi(3)
    }

    /// The density on a grid of `fft`'s size over the same box.
    pub fn density(&self, size: usize, fft: &Fft3) -> Array3<f32> {
        self.on_grid(&self.values, size, fft)
    }

    /// S(k) of the atoms, at the frequencies of this spectrum.
    pub fn structure_factor(&self, atoms: &[Source]) -> Array3<Complex32> {
        let limit = self.limit as isize;
        let width = self.limit + 1;
        // e^(−2πi k x) of every atom for k = 0 … limit, real and imaginary parts apart so that the loop over k vectorises
        let waves: Vec<(Vec<f32>, Vec<f32>)> = atoms
            .iter()
            .map(|atom| (0..width).map(|k| self.wave(k as isize, atom.position.x)).map(|w| (w.re, w.im)).unzip())
            .collect();
        let mut factor = Array3::zeros(self.values.dim());
        factor.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(z, mut plane)| {
            let kz = z as isize - limit;
            let (mut re, mut im) = (vec![0.0f32; width], vec![0.0f32; width]);
            for (y, mut row) in plane.rows_mut().into_iter().enumerate() {
                let ky = y as isize - limit;
                re.fill(0.0);
                im.fill(0.0);
                for (atom, (wave_re, wave_im)) in atoms.iter().zip(&waves) {
                    let phase = self.wave(kz, atom.position.z) * self.wave(ky, atom.position.y) * atom.amplitude as f32;
                    for x in 0..width {
                        re[x] += phase.re * wave_re[x] - phase.im * wave_im[x];
                        im[x] += phase.re * wave_im[x] + phase.im * wave_re[x];
                    }
                }
                for (x, value) in row.iter_mut().enumerate() {
                    *value = Complex32::new(re[x], im[x]);
                }
            }
        });
        factor
    }

    /// The transfer that explains this spectrum best by the structure factor `factor`.
    pub fn transfer(&self, factor: &Array3<Complex32>) -> Transfer {
        let shells = self.shell(self.limit as f64).ceil() as usize + 1;
        let (mut product, mut power) = (vec![0.0f64; shells], vec![0.0f64; shells]);
        self.for_each_inside(|index, k, multiplicity| {
            let shell = self.shell(k).round() as usize;
            let (density, atoms) = (self.values[index], factor[index]);
            product[shell] += multiplicity * f64::from((density * atoms.conj()).re);
            power[shell] += multiplicity * f64::from(atoms.norm_sqr());
        });
        let mut transfer: Vec<f64> = Vec::with_capacity(shells);
        for shell in (0..shells).rev() {
            // a shell without coefficients (there is one between k = 0 and 1) takes its outer neighbour's value
            let outer = transfer.last().copied().unwrap_or(0.0);
            transfer.push(if power[shell] > 0.0 { product[shell] / power[shell] } else { outer });
        }
        transfer.reverse();
        Transfer(transfer)
    }

    /// The density that `transfer` does not explain by the atoms of `factor`, on a grid of `size` voxels.
    pub fn residual(&self, factor: &Array3<Complex32>, transfer: &Transfer, size: usize, fft: &Fft3) -> Array3<f32> {
        let mut left = self.values.clone();
        self.for_each_inside(|index, k, _| {
            left[index] = self.values[index] - factor[index] * transfer.at(self.shell(k)) as f32;
        });
        self.on_grid(&left, size, fft)
    }

    /// Shape of an atom, h(r) = Σ T(k)·sinc(2kr) over the coefficients, and its height: the density at the centre of an atom of
    /// amplitude one.
    pub fn profile(&self, transfer: &Transfer) -> (Profile, f64) {
        let shells = transfer.0.len();
        let mut weights = vec![0.0; shells];
        let mut radii = vec![0.0; shells];
        self.for_each_inside(|_, k, multiplicity| {
            let shell = self.shell(k).round() as usize;
            weights[shell] += multiplicity * transfer.at(self.shell(k));
            radii[shell] = shell as f64 / SHELLS_PER_VOXEL / self.length;
        });
        let voxels = (self.size as f64).powi(3);
        let value = |i: usize| {
            let r = i as f64 * PROFILE_STEP;
            weights.iter().zip(&radii).map(|(w, k)| w * sinc(2.0 * std::f64::consts::PI * k * r)).sum::<f64>() / voxels
        };
        let height = value(0);
        let scale = if height > 0.0 { 1.0 / height } else { 0.0 };
        (Profile((0..PROFILE_POINTS).map(|i| scale * value(i)).collect()), height)
    }

    /// e^(−2πi k x/L) for the frequency `k` [Fourier voxels] and the coordinate `x` \[Å\].
    fn wave(&self, k: isize, x: f64) -> Complex32 {
        let (sin, cos) = (-2.0 * std::f64::consts::PI * k as f64 * x / self.length).sin_cos();
        Complex32::new(cos as f32, sin as f32)
    }

    fn shell(&self, k: f64) -> f64 {
        k * SHELLS_PER_VOXEL
    }

    /// Calls with (index, |k| in Fourier voxels, how many coefficients of the full spectrum it stands for) inside the limit.
    fn for_each_inside(&self, mut call: impl FnMut([usize; 3], f64, f64)) {
        let limit = self.limit as isize;
        for (z, kz) in (-limit..=limit).enumerate() {
            for (y, ky) in (-limit..=limit).enumerate() {
                for x in 0..=self.limit {
                    let squared = kz * kz + ky * ky + (x * x) as isize;
                    if squared <= limit * limit {
                        call([z, y, x], (squared as f64).sqrt(), if x == 0 { 1.0 } else { 2.0 });
                    }
                }
            }
        }
    }

    /// Coefficients inside the limit, as a density on a grid of `size` voxels over the same box.
    fn on_grid(&self, values: &Array3<Complex32>, size: usize, fft: &Fft3) -> Array3<f32> {
        let mut full = Array3::zeros((size, size, size / 2 + 1));
        let scale = (size as f32 / self.size as f32).powi(3);
        let corner = size / 2 - self.limit;
        self.for_each_inside(|[z, y, x], _, _| full[[corner + z, corner + y, x]] = values[[z, y, x]] * scale);
        fft.inverse(full)
    }
}

impl Transfer {
    fn at(&self, shell: f64) -> f64 {
        let (i, t) = (shell as usize, shell.fract());
        let next = self.0.get(i + 1).or(self.0.last()).copied().unwrap_or(0.0);
        self.0.get(i).copied().unwrap_or(next) * (1.0 - t) + next * t
    }
}

impl Profile {
    /// Value at distance `r` \[Å\], linear between points; zero beyond 2 Å.
    pub fn at(&self, r: f64) -> f64 {
        let position = r / PROFILE_STEP;
        let (i, t) = (position as usize, position.fract());
        if i + 1 < self.0.len() { self.0[i] * (1.0 - t) + self.0[i + 1] * t } else { 0.0 }
    }

    /// Its slope there [1/Å].
    pub fn slope(&self, r: f64) -> f64 {
        let i = (r / PROFILE_STEP) as usize;
        if i + 1 < self.0.len() { (self.0[i + 1] - self.0[i]) / PROFILE_STEP } else { 0.0 }
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-6 { 1.0 } else { x.sin() / x }
}

/// The same density with an even edge: an odd one gets a layer of zeros in front, which leaves voxel N/2 where it was.
fn even_sized(data: &Array3<f32>) -> Array3<f32> {
    let n = data.dim().0;
    if n.is_multiple_of(2) {
        return data.clone();
    }
    let mut padded = Array3::zeros((n + 1, n + 1, n + 1));
    padded.slice_mut(s![1.., 1.., 1..]).assign(data);
    padded
}

/// Outermost shell [Fourier voxels] that holds more than rounding errors, one more for its rim, below Nyquist.
fn band_limit(full: &Array3<Complex32>, half: usize) -> usize {
    let (mut power, mut count) = (vec![0.0f64; half], vec![0.0f64; half]);
    for ((z, y, x), value) in full.indexed_iter() {
        let k = [z as f64 - half as f64, y as f64 - half as f64, x as f64];
        let shell = k.iter().map(|k| k * k).sum::<f64>().sqrt().round() as usize;
        if shell < half {
            power[shell] += f64::from(value.norm_sqr());
            count[shell] += 1.0;
        }
    }
    let mean: Vec<f64> = power.iter().zip(&count).map(|(power, count)| power / f64::max(*count, 1.0)).collect();
    let strongest = mean.iter().skip(1).fold(0.0, |a: f64, &b| a.max(b));
    let outermost = mean.iter().rposition(|&power| power > EMPTY_SHELL * strongest).unwrap_or(1);
    (outermost + 1).clamp(1, half - 1)
}
