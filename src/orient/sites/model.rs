//! A particle as amplitudes on the sites of a lattice: what it looks like from a direction, and which amplitudes the images ask for.

use std::f64::consts::TAU;

use nalgebra::{Matrix3, Point3, Vector2};
use rayon::prelude::*;

use crate::fourier::{Complex32, Fft2, fast_even_size};
use crate::images::{Particles, Samples};
use crate::pose::Pose;
use crate::task::{Cancelled, Task};
use crate::volume::{Spectrum, Volume, density_of_atoms, grid_size};

/// Standard deviation of the Gaussian that stands for an atom \[Å\].
const WIDTH: f64 = 0.45;
/// Share of the signal's own power that counts as noise: the model is never exact.
const MODEL_ERROR: f64 = 0.1;
/// Frequencies below this carry the envelope of the particle, and none of its order [1/Å].
const LOWEST: f64 = 0.08;
/// Weight, relative to the diagonal, that keeps amplitudes which the images do not determine small.
const RIDGE: f64 = 0.05;
/// Steps of conjugate gradients for the amplitudes: each begins at the last solution.
const SOLVER_STEPS: usize = 15;
/// Bins of the table of the sites' point spread function per Å.
const TABLE: f64 = 20.0;
/// Longest distance in that table \[Å\].
const LONGEST: f64 = 80.0;

/// The images' Fourier coefficients within the limit, with the weight of each, moved back by the shift of its image.
pub struct Data {
    pub samples: Samples,
    /// Weight of each sample: independent share over noise and model error.
    weights: Vec<f32>,
    /// Ring of each sample in the transfer function.
    rings: Vec<usize>,
    ring_step: f64,
    edge: f64,
    /// Edge of a model's density: the smaller, the faster it is read \[Å\].
    model_edge: f64,
    low_pass: f64,
}

/// The amplitudes of all sites and the transfer function that turns them into images.
#[derive(Clone)]
pub struct Model {
    pub amplitudes: Vec<f32>,
    /// Ratio of images to Gaussian atoms of unit weight on each ring.
    pub transfer: Vec<f32>,
}

impl Data {
    pub fn new(particles: &Particles, low_pass: f64, task: &Task) -> Result<Self, Cancelled> {
        let samples = Samples::new(particles, low_pass, task)?;
        let edge = particles.edge();
        let ring_step = 1.0 / edge;
        let rings: Vec<usize> = samples.lengths.iter().map(|&s| (f64::from(s) / ring_step).round() as usize).collect();
        let mut power = Rings::new(&rings);
        for image in 0..samples.images() {
            for ((ring, value), noise) in rings.iter().zip(samples.image(image)).zip(&samples.noise) {
                power.add(*ring, f64::from(value.norm_sqr() / noise));
            }
        }
        let signal: Vec<f64> = power.means().into_iter().map(|power| (power - 1.0).max(0.0)).collect();
        let independence = std::f64::consts::PI * particles.mask_radius().powi(2) / (edge * edge);
        let weights = rings
            .iter()
            .zip(samples.noise.iter().zip(&samples.lengths))
            .map(|(&ring, (&noise, &length))| {
                let used = f64::from(length) >= LOWEST;
                if used { (independence / (f64::from(noise) * (1.0 + MODEL_ERROR * signal[ring]))) as f32 } else { 0.0 }
            })
            .collect();
        let model_edge = edge.min(2.0 * particles.mask_radius() + 2.0);
        Ok(Self { samples, weights, rings, ring_step, edge, model_edge, low_pass })
    }

    /// The transfer function that gives `volume`, seen as the images are, the images' power on each ring, noise subtracted.
    pub fn transfer_by_power(&self, spectrum: &Spectrum, poses: &[Pose]) -> Vec<f32> {
        let (mut seen, mut wanted) = (Rings::new(&self.rings), Rings::new(&self.rings));
        for (image, pose) in poses.iter().enumerate().take(200) {
            let slice = spectrum.slice(&pose.matrix());
            for (index, [kx, ky]) in self.samples.frequencies.iter().enumerate() {
                let power = self.samples.image(image)[index].norm_sqr() - self.samples.noise[index];
                wanted.add(self.rings[index], f64::from(power));
                seen.add(self.rings[index], f64::from(slice.value(*kx, *ky).norm_sqr()));
            }
        }
        let (seen, wanted) = (seen.means(), wanted.means());
        let faintest = 1e-2 * seen.iter().copied().fold(0.0, f64::max);
        let transfer: Vec<f32> = wanted
            .iter()
            .zip(&seen)
            .map(|(wanted, seen)| (wanted.max(0.0) / (seen + faintest)).sqrt() as f32)
            .collect();
        // the innermost rings hold few samples
        let first = transfer.get(3).copied().unwrap_or(0.0);
        transfer.iter().enumerate().map(|(ring, &value)| if ring < 3 { first } else { value }).collect()
    }

    /// The transfer function that fits the images best at these poses, none negative.
    pub fn transfer_by_fit(&self, spectrum: &Spectrum, images: &[usize], poses: &[Pose]) -> Vec<f32> {
        let sums: Vec<(Rings, Rings)> = images
            .par_iter()
            .zip(poses)
            .map(|(&image, pose)| {
                let (mut overlap, mut power) = (Rings::new(&self.rings), Rings::new(&self.rings));
                let slice = spectrum.slice(&pose.matrix());
                for (index, [kx, ky]) in self.samples.frequencies.iter().enumerate() {
                    let model = slice.value(*kx, *ky);
                    let value = self.samples.image(image)[index] * back(&pose.shift, [*kx, *ky]);
                    overlap.add(self.rings[index], f64::from((value * model.conj()).re));
                    power.add(self.rings[index], f64::from(model.norm_sqr()));
                }
                (overlap, power)
            })
            .collect();
        let (mut overlap, mut power) = (Rings::new(&self.rings), Rings::new(&self.rings));
        for (a, b) in &sums {
            overlap.join(a);
            power.join(b);
        }
        let faintest = 1e-4 * power.sums.iter().copied().fold(0.0, f64::max);
        overlap.sums.iter().zip(&power.sums).map(|(a, b)| (a / (b + faintest)).max(0.0) as f32).collect()
    }

    /// ‖M‖² of the model seen at `rotation`, in the samples' weights.
    pub fn norm(&self, spectrum: &Spectrum, transfer: &[f32], rotation: &Matrix3<f64>) -> f32 {
        let slice = spectrum.slice(rotation);
        let mut sum = 0.0;
        for ((&[kx, ky], &ring), &weight) in self.samples.frequencies.iter().zip(&self.rings).zip(&self.weights) {
            sum += slice.value(kx, ky).norm_sqr() * weight * transfer[ring] * transfer[ring];
        }
        sum
    }

    /// What image `image`, moved back by its shift, shows at the sites' places as seen at `pose`: its correlation with an atom of unit
    /// amplitude on each site.
    pub fn seen_at_sites(
        &self,
        sites: &[Point3<f64>],
        transfer: &[f32],
        image: usize,
        pose: &Pose,
        filter: &Filter,
    ) -> Vec<f32> {
        let columns = filter.fft.columns();
        let mut spectrum = vec![Complex32::default(); filter.size * columns];
        for (index, &[kx, ky]) in self.samples.frequencies.iter().enumerate() {
            let gain = self.weights[index] * transfer[self.rings[index]] * filter.atom[index];
            let value = self.samples.image(image)[index] * back(&pose.shift, [kx, ky]) * gain;
            let (column, row) = filter.places[index];
            spectrum[row * columns + column] = value;
            if column == 0 {
                spectrum[(filter.size - row) % filter.size * columns] = value.conj();
            }
        }
        let picture = filter.fft.inverse(&spectrum);
        // twice the real part over half the plane, without the inverse's division
        let scale = 0.5 * (filter.size * filter.size) as f32;
        let pixel = self.edge / filter.size as f64;
        let rotation = pose.matrix();
        let centre = (filter.size / 2) as f64;
        sites
            .iter()
            .map(|site| {
                let seen = rotation * site.coords;
                scale * cubic(&picture, filter.size, seen.x / pixel + centre, seen.y / pixel + centre)
            })
            .collect()
    }

    /// The density of a model, with the images' strength.
    pub fn volume(&self, sites: &[Point3<f64>], model: &Model) -> Volume {
        let (step, transfer) = (self.ring_step, &model.transfer);
        self.plain_volume(sites, &model.amplitudes).filtered(|s| {
            let place = s / step;
            let ring = place as usize;
            let value = |ring: usize| transfer.get(ring).copied().map_or(0.0, f64::from);
            if s * self.low_pass > 1.0 + 1e-9 {
                0.0
            } else {
                value(ring) + (value(ring + 1) - value(ring)) * (place - ring as f64)
            }
        })
    }

    /// Spectrum of Gaussian atoms alone.
    pub fn spectrum(&self, sites: &[Point3<f64>], amplitudes: &[f32]) -> Spectrum {
        Spectrum::new(&self.plain_volume(sites, amplitudes), self.low_pass)
    }

    /// The density of Gaussian atoms alone.
    fn plain_volume(&self, sites: &[Point3<f64>], amplitudes: &[f32]) -> Volume {
        let size = grid_size(self.model_edge, self.low_pass);
        let atoms: Vec<(Point3<f64>, f64)> =
            sites.iter().zip(amplitudes).map(|(site, &amplitude)| (*site, f64::from(amplitude))).collect();
        density_of_atoms(&atoms, WIDTH, size, self.model_edge / size as f64)
    }
}

/// What is the same for all images when they are filtered for atoms.
pub struct Filter {
    size: usize,
    fft: Fft2,
    /// Column and row of each sample in the half spectrum.
    places: Vec<(usize, usize)>,
    /// Transform of the Gaussian atom at each sample.
    atom: Vec<f32>,
}

impl Filter {
    pub fn new(data: &Data) -> Self {
        // two pixels for the shortest half wave: cubic interpolation is then good to a hundredth
        let size = fast_even_size((4.0 * data.edge / data.low_pass).ceil() as usize);
        let place = |[kx, ky]: &[f32; 2]| {
            let (x, y) = ((f64::from(*kx) * data.edge).round() as i64, (f64::from(*ky) * data.edge).round() as i64);
            (x as usize, y.rem_euclid(size as i64) as usize)
        };
        let atom = |&s: &f32| (-2.0 * (std::f64::consts::PI * WIDTH * f64::from(s)).powi(2)).exp() as f32;
        Self {
            size,
            fft: Fft2::new(size),
            places: data.samples.frequencies.iter().map(place).collect(),
            atom: data.samples.lengths.iter().map(atom).collect(),
        }
    }
}

/// What images show at the sites.
pub struct Shown<'a> {
    /// Sum over the images, weighed over the operations.
    pub seen: &'a [f32],
    pub images: usize,
    /// The transfer function with which they were looked at.
    pub transfer: &'a [f32],
}

/// The linear equations of the amplitudes: how much an atom on one site looks like an atom on another, averaged over all directions.
pub struct Equations {
    /// Bin of the distance between each two sites.
    bins: Vec<u16>,
    sites: usize,
}

impl Equations {
    /// Bytes that the equations of `sites` sites take while they are solved.
    pub fn bytes(sites: usize) -> usize {
        (size_of::<u16>() + size_of::<f32>()) * sites * sites
    }

    pub fn new(sites: &[Point3<f64>]) -> Self {
        let bin = |a: &Point3<f64>, b: &Point3<f64>| ((a - b).norm().min(LONGEST) * TABLE).round() as u16;
        let bins = sites.iter().flat_map(|a| sites.iter().map(move |b| bin(a, b))).collect();
        Self { bins, sites: sites.len() }
    }

    /// Amplitudes whose model agrees best with what images show; clipped to what atoms can be, with the mean amplitude `mean`. Begins at `start`.
    pub fn solve(&self, data: &Data, filter: &Filter, shown: &Shown, start: &[f32], mean: f32) -> Vec<f32> {
        let table = self.table(data, filter, shown.transfer);
        let ridge = RIDGE as f32 * table[0];
        let matrix: Vec<f32> = self.bins.iter().map(|&bin| table[usize::from(bin)]).collect();
        let apply = |x: &[f32]| -> Vec<f32> {
            let row = |(i, row): (usize, &[f32])| row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>() + ridge * x[i];
            matrix.par_chunks_exact(self.sites).enumerate().map(row).collect()
        };
        let target: Vec<f32> = shown.seen.iter().map(|value| value / shown.images as f32).collect();
        let mut x = conjugate_gradients(apply, &target, start);
        let mut sorted = x.clone();
        sorted.sort_by(f32::total_cmp);
        let highest = 2.0 * sorted[sorted.len() * 9 / 10].max(0.0);
        x.iter_mut().for_each(|value| *value = value.clamp(0.0, highest));
        let found = x.iter().sum::<f32>() / x.len() as f32;
        if found > 0.0 {
            x.iter_mut().for_each(|value| *value *= mean / found);
        }
        x
    }

    /// Correlation of two atoms' images against their distance, averaged over all directions: a sample at k contributes sinc(2πk·r).
    fn table(&self, data: &Data, filter: &Filter, transfer: &[f32]) -> Vec<f32> {
        let mut strength = vec![0.0f64; transfer.len()];
        for ((&ring, &weight), &atom) in data.rings.iter().zip(&data.weights).zip(&filter.atom) {
            strength[ring] += f64::from(weight * (transfer[ring] * atom).powi(2));
        }
        (0..=(LONGEST * TABLE) as usize)
            .into_par_iter()
            .map(|bin| {
                let r = bin as f64 / TABLE;
                let at = |(ring, strength): (usize, &f64)| {
                    let x = TAU * ring as f64 * data.ring_step * r;
                    strength * if x < 1e-9 { 1.0 } else { x.sin() / x }
                };
                strength.iter().enumerate().map(at).sum::<f64>() as f32
            })
            .collect()
    }
}

/// Solution of a symmetric positive definite system, [`SOLVER_STEPS`] steps from `start` (Hestenes & Stiefel 1952).
fn conjugate_gradients(apply: impl Fn(&[f32]) -> Vec<f32>, target: &[f32], start: &[f32]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let mut x = start.to_vec();
    let mut residual: Vec<f32> = target.iter().zip(apply(&x)).map(|(b, ax)| b - ax).collect();
    let mut direction = residual.clone();
    let mut power = dot(&residual, &residual);
    for _ in 0..SOLVER_STEPS {
        let applied = apply(&direction);
        let curvature = dot(&direction, &applied);
        if curvature <= 0.0 || power <= 0.0 {
            break;
        }
        let step = (power / curvature) as f32;
        x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
        residual.iter_mut().zip(&applied).for_each(|(r, a)| *r -= step * a);
        let next = dot(&residual, &residual);
        let ratio = (next / power) as f32;
        direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + ratio * *d);
        power = next;
    }
    x
}

/// The phase that moves an image back by `shift`, at one frequency.
fn back(shift: &Vector2<f64>, [kx, ky]: [f32; 2]) -> Complex32 {
    let phase = TAU * (f64::from(kx) * shift.x + f64::from(ky) * shift.y);
    let (sin, cos) = (phase as f32).sin_cos();
    Complex32::new(cos, sin)
}

/// Value of a square picture between its pixels (Keys, IEEE Trans. ASSP 29 (1981) 1153); 0 at and beyond its rim.
fn cubic(picture: &[f32], size: usize, x: f64, y: f64) -> f32 {
    let inside = |v: f64| v >= 1.0 && v < size as f64 - 2.0;
    if !(inside(x) && inside(y)) {
        return 0.0;
    }
    let weights = |f: f32| {
        let (f2, f3) = (f * f, f * f * f);
        [
            0.5 * (-f3 + 2.0 * f2 - f),
            0.5 * (3.0 * f3 - 5.0 * f2 + 2.0),
            0.5 * (-3.0 * f3 + 4.0 * f2 + f),
            0.5 * (f3 - f2),
        ]
    };
    let (column, row) = (x as usize, y as usize);
    let (wx, wy) = (weights((x - column as f64) as f32), weights((y - row as f64) as f32));
    let line = |(dy, wy): (usize, f32)| {
        let start = (row + dy - 1) * size + column - 1;
        picture[start..start + 4].iter().zip(wx).map(|(value, wx)| value * wx).sum::<f32>() * wy
    };
    wy.into_iter().enumerate().map(line).sum()
}

/// Sums on rings.
struct Rings {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Rings {
    fn new(rings: &[usize]) -> Self {
        // one more, for interpolation beyond the last
        let count = rings.iter().max().map_or(1, |ring| ring + 2);
        Self { sums: vec![0.0; count], counts: vec![0.0; count] }
    }

    fn add(&mut self, ring: usize, value: f64) {
        self.sums[ring] += value;
        self.counts[ring] += 1.0;
    }

    fn join(&mut self, other: &Self) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| *a += b);
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    fn means(&self) -> Vec<f64> {
        self.sums.iter().zip(&self.counts).map(|(sum, count)| sum / count.max(1.0)).collect()
    }
}
