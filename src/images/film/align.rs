//! Frames brought to rest before they are averaged: drift of each, and a deformation that all share smoothly in place and time.
//!
//! What the beam does to a sample is a motion that varies over the field of view, smooth in place and in time: a polynomial of both, as in Zheng et al., Nat.
//! Methods 14 (2017) 331. Here its coefficients are found together from all frames, as those for which the sum of ⟨y_t, y_t'⟩ over pairs of frames y, each warped by its
//! displacement, is largest. By Gauss–Newton: a pair pulls at the difference of its two displacements alone, with the gradient ½Σφ(y_t'∇y_t − y_t∇y_t'),
//! to which noise, independent in the two, adds nothing in the mean, and the curvature Σφφ'∇y_t·∇y_t'. A frame never meets its own noise. Jumps of
//! single frames are found before and after by cross-correlation with the mean of the others, to a part of a pixel.
//!
//! Frequencies count by what two frames have in common there, measured anew as they come to rest: fine ones come in as they can be trusted. First frames meet their near
//! neighbours only, from which they have moved less than half a lattice spacing; then all, or those within `window` frames where the particle turns.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::motion::{Motion, check_orders, legendre, terms, time};
use super::warp::{Prepared, Warp};
use crate::fourier::{Fft2, signed_index};
use crate::images::{Error, Images};
use crate::memory;
use crate::task::{Stage, Task};

/// Frames on either side that a frame meets first.
const NEAREST: usize = 2;
/// Gauss–Newton steps between two measurements of what frames have in common.
const STEPS: usize = 3;
/// Directions of motion in which the frames curve less than this part of the most are not moved in.
const FLATTEST: f64 = 1e-3;
/// Rounds in which frames meet all that they may.
const ROUNDS: usize = 3;

/// Options of [`Images::aligned`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignOptions {
    /// Finest resolution that is used \[Å\]. Default: 2.0, or three pixels where that is coarser.
    pub low_pass: Option<f64>,
    /// Highest order of the deformation as a polynomial of place; 0 is drift alone. Default: 2.
    pub order: usize,
    /// Highest order of its course in time. Default: 3.
    pub time_order: usize,
    /// Frames on either side that a frame is compared with. Default: all, for a particle that does not turn.
    pub window: Option<usize>,
    /// Largest jump of a frame from the smooth course \[Å\]. Default: 1.0, half a lattice spacing; 0: none.
    pub max_jump: f64,
}

impl Default for AlignOptions {
    fn default() -> Self {
        Self { low_pass: None, order: 2, time_order: 3, window: None, max_jump: 1.0 }
    }
}

/// Frames at rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    pub images: Images,
    /// What was taken back, mean 0 over the frames.
    pub motion: Motion,
}

impl Images {
    /// Frames of one view with drift and smooth deformation taken back.
    ///
    /// # Errors
    /// If there are too few frames, an option is out of range, or memory does not suffice; or when interrupted.
    pub fn aligned(&self, options: &AlignOptions, task: &Task) -> Result<Aligned, Error> {
        let (frames, pixel) = (self.len(), self.pixel_size());
        let low_pass = options.low_pass.unwrap_or((3.0 * pixel).max(2.0));
        if !(low_pass.is_finite() && low_pass >= 2.0 * pixel) {
            return Err(Error::LowPass { low_pass, finest: 2.0 * pixel });
        }
        check_orders(options.order, options.time_order)?;
        let fewest = options.time_order + 2;
        if frames < fewest {
            return Err(Error::TooFewFrames(frames, fewest));
        }
        let edge = self.size() as f64 * pixel;
        if !(0.0..=edge / 8.0).contains(&options.max_jump) {
            let range = "from 0 to an eighth of a frame's edge [Å]";
            return Err(Error::Option { name: "max_jump", range, value: options.max_jump });
        }
        let window = options.window.unwrap_or(frames).min(frames);
        if window == 0 {
            return Err(Error::Option { name: "window", range: "at least one frame", value: 0.0 });
        }
        let bytes = 28.0 * frames as f64 * (self.size() as f64).powi(2);
        memory::require(bytes, &format!("{frames} frames while they are aligned"))?;
        let schedule = schedule(window);
        let stage = task.stage("align frames", schedule.len() * (STEPS + 3) * frames);
        let mut search = Search::new(self, options, low_pass / pixel);
        let last = schedule.len() - 1;
        for (round, &window) in schedule.iter().enumerate() {
            search.weigh(window, &stage)?;
            if options.max_jump > 0.0 && (round == 0 || round == last) {
                search.jump(window, options.max_jump / pixel, &stage)?;
            }
            for _ in 0..STEPS {
                search.step(window, &stage)?;
            }
        }
        if options.max_jump > 0.0 {
            search.jump(window, options.max_jump / pixel, &stage)?;
        }
        let motion = search.motion.about_its_mean();
        drop(stage);
        let (images, _) = self.remade("deform back", task, |frame, image, pixels| {
            let prepared = search.warp.prepared(image.as_slice().expect("images are contiguous"), |_| 1.0);
            pixels.copy_from_slice(&prepared.warped(&motion.of_pixels(frame, self.size())));
            Ok(())
        })?;
        Ok(Aligned { images, motion })
    }
}

/// How many frames on either side are met, round by round.
fn schedule(window: usize) -> Vec<usize> {
    let growing = std::iter::successors(Some(NEAREST), |near| Some(4 * near)).take_while(|&near| near < window);
    growing.chain([window; ROUNDS]).collect()
}

/// What is known in the course of the search.
struct Search<'a> {
    frames: &'a Images,
    time_order: usize,
    /// Pixels of the finest resolution.
    finest: f64,
    warp: Warp,
    fft: Fft2,
    /// Frames filtered by what they have in common.
    prepared: Vec<Prepared>,
    motion: Motion,
}

impl<'a> Search<'a> {
    fn new(frames: &'a Images, options: &AlignOptions, finest: f64) -> Self {
        let edge = frames.size() as f64 * frames.pixel_size();
        Self {
            frames,
            time_order: options.time_order,
            finest,
            warp: Warp::new(frames.size()),
            fft: Fft2::new(frames.size()),
            prepared: Vec::new(),
            motion: Motion::none(frames.len(), edge, options.order),
        }
    }

    fn size(&self) -> usize {
        self.frames.size()
    }

    /// Filters frames by what near ones have in common at each frequency, as they are now: √(S/(S + N/m)/N), for the product of a frame with the mean of m others.
    fn weigh(&mut self, window: usize, stage: &Stage) -> Result<(), Error> {
        let size = self.size();
        let ring_of = |cycles: f64| (cycles * size as f64).round() as usize;
        let rings = ring_of(1.0 / self.finest) + 1;
        let limit = 1.0 / self.finest;
        let within = |cycles: f64| if cycles > 0.0 && cycles <= limit { 1.0 } else { 0.0 };
        self.prepared = self.all_prepared(within, stage)?;
        let still = self.warped(stage)?;
        let others = sums_of_others(&still, window);
        let power = |frame: usize| {
            let (one, rest) = (self.transformed(still.row(frame)), self.transformed(others.row(frame)));
            let mut sums = vec![[0.0; 2]; rings];
            for (place, (a, b)) in one.iter().zip(&rest).enumerate() {
                let (ky, kx) = (signed_index(place / self.fft.columns(), size), place % self.fft.columns());
                if let Some(sum) = sums.get_mut((ky as f64).hypot(kx as f64).round() as usize) {
                    sum[0] += f64::from(a.re * b.re + a.im * b.im);
                    sum[1] += f64::from(a.norm_sqr());
                }
            }
            sums
        };
        let of_frames: Vec<Vec<[f64; 2]>> = (0..self.frames.len()).into_par_iter().map(power).collect();
        let met = met(self.frames.len(), window);
        let total = |ring: usize, which: usize| of_frames.iter().map(|sums| sums[ring][which]).sum::<f64>();
        let common: Vec<f64> = (0..rings).map(|ring| total(ring, 0) / met.iter().sum::<f64>()).collect();
        let whole: Vec<f64> = (0..rings).map(|ring| total(ring, 1) / met.len() as f64).collect();
        let mean_met = met.iter().sum::<f64>() / met.len() as f64;
        let weight = |ring: usize| {
            let near = ring.saturating_sub(1)..(ring + 2).min(rings);
            let mean = |values: &[f64]| near.clone().map(|i| values[i]).sum::<f64>() / near.len() as f64;
            let (signal, all) = (mean(&common), mean(&whole));
            // without noise all frequencies would have to agree alike: a hundredth of the signal stands for what is not foreseen
            let noise = (all - signal).max(0.01 * signal).max(f64::MIN_POSITIVE);
            if ring == 0 || signal <= 0.0 { 0.0 } else { (signal / (signal + noise / mean_met) / noise).sqrt() }
        };
        let weights: Vec<f64> = (0..rings).map(weight).collect();
        // grey values about 1, whatever those of the frames are
        let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let filter = |cycles: f64| within(cycles) * weights.get(ring_of(cycles)).map_or(0.0, |weight| weight / largest);
        self.prepared = self.all_prepared(filter, stage)?;
        Ok(())
    }

    fn all_prepared(&self, filter: impl Fn(f64) -> f64 + Sync, stage: &Stage) -> Result<Vec<Prepared>, Error> {
        let prepare = |frame: usize| {
            stage.advance(0)?;
            let image = self.frames.data().index_axis(Axis(0), frame);
            Ok(self.warp.prepared(image.to_slice().expect("images are contiguous"), &filter))
        };
        (0..self.frames.len()).into_par_iter().map(prepare).collect()
    }

    /// Filtered frames with the motion taken back `[frame][pixel]`.
    fn warped(&self, stage: &Stage) -> Result<Array2<f32>, Error> {
        let pixels = self.size() * self.size();
        let mut still = Array2::zeros((self.frames.len(), pixels));
        still.outer_iter_mut().into_par_iter().enumerate().try_for_each(|(frame, mut row)| {
            let values = self.prepared[frame].warped(&self.motion.of_pixels(frame, self.size()));
            row.iter_mut().zip(values).for_each(|(to, from)| *to = from);
            stage.advance(1)
        })?;
        Ok(still)
    }

    fn transformed(&self, pixels: ndarray::ArrayView1<f32>) -> Vec<crate::fourier::Complex32> {
        self.fft.forward(pixels.as_slice().expect("rows are contiguous"))
    }

    /// Moves each frame as a whole to where it agrees best with the mean of those around it, by at most `reach` pixels.
    fn jump(&mut self, window: usize, reach: f64, stage: &Stage) -> Result<(), Error> {
        let still = self.warped(stage)?;
        let others = sums_of_others(&still, window);
        let pixel = self.frames.pixel_size();
        let jumps: Vec<[f64; 2]> = (0..self.frames.len())
            .into_par_iter()
            .map(|frame| {
                let (one, rest) = (self.transformed(still.row(frame)), self.transformed(others.row(frame)));
                let product: Vec<_> = one.iter().zip(&rest).map(|(a, b)| a * b.conj()).collect();
                peak(&self.fft.inverse(&product), self.size(), reach)
            })
            .collect();
        for (frame, [dx, dy]) in jumps.into_iter().enumerate() {
            self.motion.coefficients[[frame, 0, 0]] += dx * pixel;
            self.motion.coefficients[[frame, 1, 0]] += dy * pixel;
        }
        Ok(())
    }

    /// A step of Gauss–Newton in all coefficients of the smooth motion.
    fn step(&mut self, window: usize, stage: &Stage) -> Result<(), Error> {
        let (frames, size) = (self.frames.len(), self.size());
        let still = self.warped(stage)?;
        let others = sums_of_others(&still, window);
        let basis = Basis::new(self.motion.order, size);
        let blocks: Vec<usize> = (0..frames).step_by(BLOCK).collect();
        let of_blocks = blocks
            .into_par_iter()
            .map(|first| {
                let mut slopes = Slopes { pulls: Vec::new(), products: vec![[0.0; 3]; size * size] };
                for frame in first..(first + BLOCK).min(frames) {
                    stage.advance(0)?;
                    let row = |values: &Array2<f32>| values.row(frame).to_vec();
                    slopes.add(&basis, &row(&still), &row(&others));
                }
                Ok(slopes)
            })
            .collect::<Result<Vec<Slopes>, Error>>()?;
        let mut products = vec![[0.0; 3]; size * size];
        for of_block in &of_blocks {
            products.iter_mut().zip(&of_block.products).for_each(|(sum, part)| (0..3).for_each(|i| sum[i] += part[i]));
        }
        let pulls: Vec<&Vec<f64>> = of_blocks.iter().flat_map(|slopes| &slopes.pulls).collect();
        let curvature = basis.curvature(&products) / met(frames, window).iter().sum::<f64>();
        let steps = self.solved(curvature, &pulls, window);
        // displacements were in pixels
        let (pixel, count) = (self.frames.pixel_size(), basis.terms.len());
        for frame in 0..frames {
            let of_time = &legendre(self.time_order, time(frame, frames))[1..];
            for (j, p) in of_time.iter().enumerate() {
                for axis in 0..2 {
                    for term in 0..count {
                        self.motion.coefficients[[frame, axis, term]] += steps[(axis * count + term, j)] * p * pixel;
                    }
                }
            }
        }
        Ok(())
    }

    /// Steps `[term and axis][order of time]`: of the curvature of a pair in place, times that of all pairs' differences in time.
    fn solved(&self, curvature: DMatrix<f64>, pulls: &[&Vec<f64>], window: usize) -> DMatrix<f64> {
        let (frames, orders) = (pulls.len(), self.time_order);
        let of_time: Vec<DVector<f64>> =
            (0..frames).map(|t| DVector::from_column_slice(&legendre(orders, time(t, frames))[1..])).collect();
        // Σ over pairs (ψ(t) − ψ(t'))(ψ(t) − ψ(t'))ᵀ
        let mut in_time = DMatrix::<f64>::zeros(orders, orders);
        for t in 0..frames {
            for other in t + 1..frames.min(t + window + 1) {
                let apart = &of_time[t] - &of_time[other];
                in_time += &apart * apart.transpose();
            }
        }
        let mut right = DMatrix::<f64>::zeros(curvature.nrows(), orders);
        for (pull, of_time) in pulls.iter().zip(&of_time) {
            right += DVector::from_column_slice(pull) * of_time.transpose();
        }
        inverse(curvature) * right * inverse(in_time)
    }
}

/// The polynomials of place on the pixels of a frame.
struct Basis {
    size: usize,
    terms: Vec<(usize, usize)>,
    /// Legendre polynomials at each pixel along an axis.
    along: Vec<Vec<f64>>,
}

impl Basis {
    fn new(order: usize, size: usize) -> Self {
        let place = |i: usize| (i as f64 - (size / 2) as f64) / (size as f64 / 2.0);
        Self { size, terms: terms(order), along: (0..size).map(|i| legendre(order, place(i))).collect() }
    }

    /// Σφφ' × the products of slopes xx, xy, yy: `[axis and term][axis and term]`.
    fn curvature(&self, products: &[[f64; 3]]) -> DMatrix<f64> {
        let count = self.terms.len();
        let shape = |term: usize, i: usize| {
            self.along[i % self.size][self.terms[term].0] * self.along[i / self.size][self.terms[term].1]
        };
        let mut curvature = DMatrix::<f64>::zeros(2 * count, 2 * count);
        for p in 0..count {
            for q in 0..=p {
                let mut sums = [0.0; 3];
                for (i, product) in products.iter().enumerate() {
                    let both = shape(p, i) * shape(q, i);
                    (0..3).for_each(|k| sums[k] += both * product[k]);
                }
                for (row, column, value) in [(0, 0, sums[0]), (0, 1, sums[1]), (1, 0, sums[1]), (1, 1, sums[2])] {
                    curvature[(row * count + p, column * count + q)] = value;
                    curvature[(row * count + q, column * count + p)] = value;
                }
            }
        }
        curvature
    }
}

/// What some frames say of the motion.
struct Slopes {
    /// Gradient by axis and term, of each frame.
    pulls: Vec<Vec<f64>>,
    /// Products xx, xy, yy of the slopes of a frame and of its others, summed over frames, at each pixel.
    products: Vec<[f64; 3]>,
}

impl Slopes {
    /// Adds what a frame and the sum of its others say.
    fn add(&mut self, basis: &Basis, frame: &[f32], others: &[f32]) {
        let (size, count) = (basis.size, basis.terms.len());
        let (of_frame, of_others) = (gradient(frame, size), gradient(others, size));
        let mut pull = vec![0.0; 2 * count];
        for (y, of_y) in basis.along.iter().enumerate() {
            // products of a row with each polynomial of x
            let mut of_row = vec![[0.0; 2]; of_y.len()];
            for (x, of_x) in basis.along.iter().enumerate() {
                let i = y * size + x;
                for axis in 0..2 {
                    let g = 0.5 * f64::from(others[i] * of_frame[i][axis] - frame[i] * of_others[i][axis]);
                    of_row.iter_mut().zip(of_x).for_each(|(sum, p)| sum[axis] += g * p);
                }
            }
            for (term, &(a, b)) in basis.terms.iter().enumerate() {
                for axis in 0..2 {
                    pull[axis * count + term] += of_row[a][axis] * of_y[b];
                }
            }
        }
        self.pulls.push(pull);
        for ((sum, a), b) in self.products.iter_mut().zip(&of_frame).zip(&of_others) {
            let [ax, ay, bx, by] = [a[0], a[1], b[0], b[1]].map(f64::from);
            *sum = [sum[0] + ax * bx, sum[1] + 0.5 * (ax * by + ay * bx), sum[2] + ay * by];
        }
    }
}

/// Frames summed up together; fixed, so that sums do not depend on threads.
const BLOCK: usize = 16;

/// Inverse of a symmetric matrix on the directions in which it is not flat.
fn inverse(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(matrix);
    let least = FLATTEST * eigen.eigenvalues.max();
    let inverse = eigen.eigenvalues.map(|value| if value > least && value > 0.0 { 1.0 / value } else { 0.0 });
    &eigen.eigenvectors * DMatrix::from_diagonal(&inverse) * eigen.eigenvectors.transpose()
}

/// How many others each frame meets.
fn met(frames: usize, window: usize) -> Vec<f64> {
    (0..frames).map(|t| (t.min(window) + (frames - 1 - t).min(window)) as f64).collect()
}

/// For each frame the sum of those within `window` frames of it, without itself.
fn sums_of_others(frames: &Array2<f32>, window: usize) -> Array2<f32> {
    let count = frames.nrows();
    let mut sums = Array2::zeros(frames.dim());
    sums.axis_chunks_iter_mut(Axis(1), 256).into_par_iter().zip(frames.axis_chunks_iter(Axis(1), 256)).for_each(
        |(mut sums, frames)| {
            let mut running = vec![0.0f64; frames.ncols()];
            let add = |running: &mut Vec<f64>, frame: usize, sign: f64| {
                running.iter_mut().zip(frames.row(frame)).for_each(|(sum, value)| *sum += sign * f64::from(*value));
            };
            (0..window.min(count)).for_each(|frame| add(&mut running, frame, 1.0));
            for t in 0..count {
                if t + window < count {
                    add(&mut running, t + window, 1.0);
                }
                if t > window {
                    add(&mut running, t - window - 1, -1.0);
                }
                for ((sum, all), own) in sums.row_mut(t).iter_mut().zip(&running).zip(frames.row(t)) {
                    *sum = (all - f64::from(*own)) as f32;
                }
            }
        },
    );
    sums
}

/// Derivatives along x and y, of fourth order (central differences); a frame goes on at its other edge.
fn gradient(values: &[f32], size: usize) -> Vec<[f32; 2]> {
    let along = |base: usize, i: usize, stride: usize| {
        let at = |off: isize| values[base + (i as isize + off).rem_euclid(size as isize) as usize * stride];
        (8.0 * (at(1) - at(-1)) - (at(2) - at(-2))) / 12.0
    };
    (0..size * size)
        .map(|index| {
            let (y, x) = (index / size, index % size);
            [along(y * size, x, 1), along(x, y, size)]
        })
        .collect()
}

/// Place \[pixels\] (x, y) from the centre of the highest value within `reach`, between pixels by a parabola along either axis.
fn peak(values: &[f32], size: usize, reach: f64) -> [f64; 2] {
    let (centre, whole) = ((size / 2) as isize, reach.ceil() as isize);
    let value = |dy: isize, dx: isize| {
        let row = (centre + dy).rem_euclid(size as isize) as usize;
        f64::from(values[row * size + (centre + dx).rem_euclid(size as isize) as usize])
    };
    let places = (-whole..=whole).flat_map(|dy| (-whole..=whole).map(move |dx| (dy, dx)));
    let within = places.filter(|&(dy, dx)| (dy as f64).hypot(dx as f64) <= reach.max(1.0));
    let (dy, dx) = within.max_by(|a, b| value(a.0, a.1).total_cmp(&value(b.0, b.1))).unwrap_or((0, 0));
    let between = |before: f64, here: f64, after: f64| {
        let bend = before - 2.0 * here + after;
        if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 }
    };
    let here = value(dy, dx);
    [
        dx as f64 + between(value(dy, dx - 1), here, value(dy, dx + 1)),
        dy as f64 + between(value(dy - 1, dx), here, value(dy + 1, dx)),
    ]
}
