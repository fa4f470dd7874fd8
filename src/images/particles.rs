//! Images made ready for reconstruction: cropped to the particle, on the pixels its limit needs, noise measured.
//!
//! The border of each image, outside the particle, gives its background (subtracted) and the standard deviation of its
//! noise (divided out), so that images of different exposure weigh alike. The noise spectrum is the mean power of
//! what is left outside the mask. Around the particle a square of about 1.6 diameters is kept, on larger pixels
//! if the low-pass limit allows: everything later costs as the square of these two numbers.

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, Axis};
use rand::seq::index::sample;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::extent::measured_diameter;
use super::{Error, Images, RadialPower};
use crate::fourier::{Fft2, fast_size, resample, signed_index};
use crate::random;
use crate::task::Task;

/// Least rim of the mask beyond the particle's radius: delocalised signal \[Å\].
const MASK_MARGIN: f64 = 2.5;
/// Least rim in diameters: atoms that stand out of a large particle.
const RELATIVE_MARGIN: f64 = 0.09;
/// Smaller particles than this have no atoms to speak of; a diameter in nanometres looks like one \[Å\].
const SMALLEST_DIAMETER: f64 = 4.0;
/// Width of the mask's soft edge \[Å\].
pub const MASK_EDGE: f64 = 1.0;

/// Options of [`Particles::prepare`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrepareOptions {
    /// Nominal diameter of the particle \[Å\]; required.
    pub diameter: f64,
    /// Share by which the nominal diameter may be wrong: it is measured within it; default 0.2. With 0 it is taken as given.
    pub tolerance: f64,
    /// Finest resolution that will be asked of these images \[Å\]; default 1.0.
    pub low_pass: f64,
    /// Edge of the kept square in diameters; default 1.6, never more than the image.
    pub crop: f64,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self { diameter: f64::NAN, tolerance: 0.2, low_pass: 1.0, crop: 1.6 }
    }
}

/// Prepared images `[n][y][x]` of one particle, in units of the noise of an original pixel. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Particles {
    images: Arc<Array3<f32>>,
    pixel_size: f64,
    mask_radius: f64,
    diameter: f64,
    noise: Arc<NoiseSpectrum>,
    contrast: f64,
    redundancy: f64,
}

impl Particles {
    /// Crops, resamples and normalises `images`.
    ///
    /// # Errors
    /// If the diameter, its tolerance, the crop or the limit make no sense for these images, or one is flat outside the particle.
    pub fn prepare(images: &Images, options: &PrepareOptions, task: &Task) -> Result<Self, Error> {
        let PrepareOptions { diameter, tolerance, low_pass, crop } = *options;
        check_diameter(images, diameter)?;
        check_low_pass(images, low_pass)?;
        if !(1.3..=10.0).contains(&crop) {
            return Err(Error::Crop(crop));
        }
        if !(0.0..=0.5).contains(&tolerance) {
            return Err(Error::Tolerance(tolerance));
        }
        let diameter = if tolerance > 0.0 {
            measured_diameter(images, diameter, tolerance, mask_radius(images, diameter * (1.0 + tolerance)))
        } else {
            diameter
        };
        let mask_radius = mask_radius(images, diameter);
        let outside = outside_mask(images.size(), images.pixel_size(), mask_radius);
        let grid = CropGrid::new(images, (diameter * crop).max(2.0 * (mask_radius + MASK_EDGE)), low_pass);
        let plans = (Fft2::new(grid.cropped), Fft2::new(grid.size));

        let stage = task.stage("prepare images", images.len());
        let mut data = Array3::zeros((images.len(), grid.size, grid.size));
        data.axis_iter_mut(Axis(0)).into_par_iter().zip(images.data().axis_iter(Axis(0))).enumerate().try_for_each(
            |(index, (mut target, image))| -> Result<(), Error> {
                let flat = normalized_by_border(image, &outside).ok_or(Error::FlatBorder(index))?;
                let offset = images.size() / 2 - grid.cropped / 2;
                let window = flat.slice(ndarray::s![offset..offset + grid.cropped, offset..offset + grid.cropped]);
                let small = resample(window, &plans.0, &plans.1);
                target.iter_mut().zip(small).for_each(|(to, from)| *to = from);
                Ok(stage.advance(1)?)
            },
        )?;
        let noise = NoiseSpectrum::measure(images, &outside);
        let contrast = contrast(&data, grid.pixel_size, mask_radius);
        Ok(Self {
            images: Arc::new(data),
            pixel_size: grid.pixel_size,
            mask_radius,
            diameter,
            noise: Arc::new(noise),
            contrast,
            redundancy: images.redundancy(),
        })
    }

    /// All that particles are beside their pixels.
    pub fn measures(&self) -> Measures {
        let Self { images: _, pixel_size, mask_radius, diameter, noise, contrast, redundancy } = self;
        Measures {
            pixel_size: *pixel_size,
            mask_radius: *mask_radius,
            diameter: *diameter,
            noise: (**noise).clone(),
            contrast: *contrast,
            redundancy: *redundancy,
        }
    }

    /// Particles from pixels `[n][y][x]` that were prepared before, and what was measured of them then.
    ///
    /// # Panics
    /// If the images are not square, or the noise has fewer than two rings.
    pub fn from_measures(data: Array3<f32>, measures: Measures) -> Self {
        let (_, ny, nx) = data.dim();
        assert!(ny == nx, "images are square, got {ny}×{nx}");
        let Measures { pixel_size, mask_radius, diameter, noise, contrast, redundancy } = measures;
        assert!(noise.rings.len() >= 2, "a noise spectrum has at least two rings");
        Self { images: Arc::new(data), pixel_size, mask_radius, diameter, noise: Arc::new(noise), contrast, redundancy }
    }

    /// Pixels `[n][y][x]`, background 0, noise of an original pixel 1.
    pub fn data(&self) -> &Array3<f32> {
        &self.images
    }

    /// The same particles with other pixels (shifted, for instance).
    pub fn with_data(&self, data: Array3<f32>) -> Self {
        assert_eq!(data.dim(), self.images.dim(), "the same shape");
        Self { images: Arc::new(data), ..self.clone() }
    }

    /// The particles whose indices are given, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self { images: Arc::new(self.images.select(Axis(0), indices)), ..self.clone() }
    }

    /// Every second particle, from number `first` (0 or 1) on: the half sets of a reconstruction.
    pub fn half(&self, first: usize) -> Self {
        self.select(&(first..self.len()).step_by(2).collect::<Vec<_>>())
    }

    /// `count` particles drawn at random, in the order of the stack, or all if there are fewer.
    pub fn subset(&self, count: usize, seed: u64) -> Self {
        let mut indices = sample(&mut random::stream(seed, "subset", 0), self.len(), count.min(self.len())).into_vec();
        indices.sort_unstable();
        // those that share frames are thinned out with the others
        let redundancy = 1.0 + (self.redundancy - 1.0) * indices.len() as f64 / self.len().max(1) as f64;
        Self { redundancy, ..self.select(&indices) }
    }

    /// The same particles, of whose own signal a `share` counts as noise: for comparison with models that are wrong by about its square root,
    /// which would else be judged by the strongest frequencies alone.
    ///
    /// # Errors
    /// If the share is negative or not finite, or when interrupted.
    pub fn with_model_error(&self, share: f64, task: &Task) -> Result<Self, Error> {
        if !(share.is_finite() && share >= 0.0) {
            return Err(Error::ModelError(share));
        }
        let power = RadialPower::of(self, 2.0 * self.pixel_size, task)?;
        let step = 1.0 / self.edge();
        let rings = power.frequencies.iter().zip(&power.power).map(|(s, power)| {
            let signal = (power - 1.0).max(0.0);
            self.noise_density(*s) * (1.0 + share * signal)
        });
        Ok(Self { noise: Arc::new(NoiseSpectrum { rings: rings.collect(), step, first: 0.0 }), ..self.clone() })
    }

    /// The same particles as if their noise were that of `other` ones: where both are to weigh frequencies alike.
    pub fn with_noise_of(&self, other: &Self) -> Self {
        Self { noise: other.noise.clone(), ..self.clone() }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.dim().0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels along one edge.
    pub fn size(&self) -> usize {
        self.images.dim().1
    }

    /// Edge of a pixel \[Å\].
    pub fn pixel_size(&self) -> f64 {
        self.pixel_size
    }

    /// Edge of an image \[Å\].
    pub fn edge(&self) -> f64 {
        self.size() as f64 * self.pixel_size
    }

    /// Radius inside which the particle is looked for, to the middle of the mask's soft edge \[Å\].
    pub fn mask_radius(&self) -> f64 {
        self.mask_radius
    }

    /// Diameter \[Å\]: as measured, or as given where it was to be taken so.
    pub fn diameter(&self) -> f64 {
        self.diameter
    }

    /// Power spectral density of the noise \[Å²\] at spatial frequency `s` [1/Å].
    pub fn noise_density(&self, s: f64) -> f64 {
        self.noise.density(s)
    }

    /// How many times as many images there are as independent ones (see [`Images::redundancy`]).
    pub fn redundancy(&self) -> f64 {
        self.redundancy
    }

    /// Sign test of the contrast, in standard deviations: positive if atoms are white, negative if they are black.
    pub fn contrast(&self) -> f64 {
        self.contrast
    }

    /// Fails where `low_pass` \[Å\] is finer than the pixels kept here can carry, or so coarse that nothing is left.
    pub fn check_limit(&self, low_pass: f64) -> Result<(), Error> {
        let coarsest = self.edge() / 4.0;
        if low_pass > coarsest {
            return Err(Error::TooCoarse { low_pass, coarsest });
        }
        if low_pass.is_finite() && low_pass >= 2.0 * self.pixel_size {
            Ok(())
        } else {
            Err(Error::BeyondPrepared { low_pass, finest: 2.0 * self.pixel_size })
        }
    }
}

/// Radius of the mask about a particle of `diameter` Å, at most what the images hold \[Å\].
fn mask_radius(images: &Images, diameter: f64) -> f64 {
    let box_edge = images.size() as f64 * images.pixel_size();
    let margin = MASK_MARGIN.max(RELATIVE_MARGIN * diameter);
    (diameter / 2.0 + margin).min(box_edge / 2.0 - MASK_EDGE)
}

/// The square kept of each image and its new pixels.
struct CropGrid {
    /// Original pixels along the edge of the kept square.
    cropped: usize,
    /// New pixels along the same edge.
    size: usize,
    pixel_size: f64,
}

impl CropGrid {
    fn new(images: &Images, edge: f64, low_pass: f64) -> Self {
        let wanted = (edge / images.pixel_size()).ceil() as usize;
        let cropped = fast_size(wanted).min(images.size());
        let kept = cropped as f64 * images.pixel_size();
        // One part in four beyond Nyquist keeps the interpolation of the spectrum good up to the limit.
        let size = fast_size((2.5 * kept / low_pass).ceil() as usize).min(cropped);
        Self { cropped, size, pixel_size: kept / size as f64 }
    }
}

fn check_diameter(images: &Images, diameter: f64) -> Result<(), Error> {
    let edge = images.size() as f64 * images.pixel_size();
    if !(diameter.is_finite() && diameter >= SMALLEST_DIAMETER) {
        return Err(Error::Diameter { diameter, smallest: SMALLEST_DIAMETER });
    }
    if diameter * 1.3 > edge * (1.0 + 1e-9) {
        return Err(Error::BoxTooSmall { diameter, edge, needed: 1.3 * diameter });
    }
    Ok(())
}

fn check_low_pass(images: &Images, low_pass: f64) -> Result<(), Error> {
    let finest = 2.0 * images.pixel_size();
    if low_pass.is_finite() && low_pass >= finest { Ok(()) } else { Err(Error::LowPass { low_pass, finest }) }
}

/// Weight of each pixel outside the mask: 0 within, 1 beyond its soft edge.
pub(super) fn outside_mask(size: usize, pixel_size: f64, radius: f64) -> Array2<f32> {
    Array2::from_shape_fn((size, size), |(y, x)| 1.0 - soft_disc(y, x, size, pixel_size, radius))
}

/// Value at pixel (y, x) of a disc of `radius` Å around pixel N/2 with an edge [`MASK_EDGE`] wide.
pub fn soft_disc(y: usize, x: usize, size: usize, pixel_size: f64, radius: f64) -> f32 {
    let centre = (size / 2) as f64;
    let r = (y as f64 - centre).hypot(x as f64 - centre) * pixel_size;
    ((radius + MASK_EDGE / 2.0 - r) / MASK_EDGE).clamp(0.0, 1.0) as f32
}

/// `image` with the mean of its border subtracted and divided by the border's standard deviation; none if the border is flat.
pub(super) fn normalized_by_border(image: ArrayView2<f32>, outside: &Array2<f32>) -> Option<Array2<f32>> {
    let (mut weight, mut sum, mut squares) = (0.0f64, 0.0f64, 0.0f64);
    for (&value, &w) in image.iter().zip(outside) {
        let (value, w) = (f64::from(value), f64::from(w));
        weight += w;
        sum += w * value;
        squares += w * value * value;
    }
    let mean = sum / weight;
    let deviation = (squares / weight - mean * mean).max(0.0).sqrt();
    let largest = image.iter().fold(0.0f64, |largest, &value| largest.max(f64::from(value).abs()));
    // below single precision there is no noise to measure
    let measurable = deviation > 1e-6 * largest;
    measurable.then(|| image.mapv(|value| ((f64::from(value) - mean) / deviation) as f32))
}

/// What is known of [`Particles`] beside their pixels; each is described at the function of its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    pub pixel_size: f64,
    pub mask_radius: f64,
    pub diameter: f64,
    pub noise: NoiseSpectrum,
    pub contrast: f64,
    pub redundancy: f64,
}

/// Mean power spectral density of the noise against spatial frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseSpectrum {
    /// Density \[Å²\] of ring i, at frequency `first` + i·`step`.
    pub rings: Vec<f64>,
    /// [1/Å].
    pub step: f64,
    /// [1/Å].
    pub first: f64,
}

impl NoiseSpectrum {
    /// Mean spectrum of what lies outside the mask, over at most 200 images spread through the stack.
    fn measure(images: &Images, outside: &Array2<f32>) -> Self {
        const RINGS: usize = 16;
        let (n, pixel) = (images.size(), images.pixel_size());
        let fft = Fft2::new(n);
        let stride = images.len().div_ceil(200).max(1);
        let chosen: Vec<usize> = (0..images.len()).step_by(stride).collect();
        let nyquist_rings = |y: usize, x: usize| {
            let s = (signed_index(y, n) as f64).hypot(x as f64) / (n as f64 / 2.0);
            (s * RINGS as f64) as usize
        };
        let per_image: Vec<Vec<f64>> = chosen
            .par_iter()
            .map(|&i| {
                let image = images.data().index_axis(Axis(0), i);
                let flat = normalized_by_border(image, outside).expect("every border was checked before") * outside;
                let spectrum = fft.forward(flat.as_slice().expect("standard layout"));
                let mut power = vec![0.0; RINGS];
                for (index, value) in spectrum.iter().enumerate() {
                    let ring = nyquist_rings(index / fft.columns(), index % fft.columns());
                    if ring < RINGS {
                        power[ring] += f64::from(value.norm_sqr());
                    }
                }
                power
            })
            .collect();
        let mut counts = [0usize; RINGS];
        for index in 0..n * fft.columns() {
            let ring = nyquist_rings(index / fft.columns(), index % fft.columns());
            if ring < RINGS {
                counts[ring] += 1;
            }
        }
        let area: f64 = outside.iter().map(|w| f64::from(w * w)).sum();
        let rings = (0..RINGS)
            .map(|ring| {
                let power: f64 = per_image.iter().map(|image| image[ring]).sum();
                power / (counts[ring].max(1) * chosen.len().max(1)) as f64 / area * pixel * pixel
            })
            .collect();
        let step = 0.5 / pixel / RINGS as f64;
        Self { rings, step, first: 0.5 * step }
    }

    /// Density at frequency `s`, linear between rings.
    fn density(&self, s: f64) -> f64 {
        let position = ((s - self.first) / self.step).clamp(0.0, (self.rings.len() - 1) as f64);
        let low = (position as usize).min(self.rings.len() - 2);
        let fraction = position - low as f64;
        (self.rings[low] * (1.0 - fraction) + self.rings[low + 1] * fraction).max(f64::MIN_POSITIVE)
    }
}

/// Sign of the contrast from the third moment of the pixels within the mask, in standard deviations over the images.
///
/// Atoms are small and bright on a broad background, so that the distribution is skewed towards them; the noise, being
/// symmetric, adds nothing.
fn contrast(images: &Array3<f32>, pixel_size: f64, radius: f64) -> f64 {
    let size = images.dim().1;
    let disc = Array2::from_shape_fn((size, size), |(y, x)| soft_disc(y, x, size, pixel_size, radius));
    let moments: Vec<f64> = images
        .axis_iter(Axis(0))
        .into_par_iter()
        .map(|image| {
            let moment = |power: i32, centre: f64| -> f64 {
                let (mut weight, mut sum) = (0.0, 0.0);
                for (&value, &w) in image.iter().zip(&disc) {
                    weight += f64::from(w);
                    sum += f64::from(w) * (f64::from(value) - centre).powi(power);
                }
                sum / weight
            };
            let mean = moment(1, 0.0);
            moment(3, mean)
        })
        .collect();
    let n = moments.len() as f64;
    let mean = moments.iter().sum::<f64>() / n;
    let variance = moments.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / n;
    mean / (variance / n).sqrt().max(f64::MIN_POSITIVE)
}
