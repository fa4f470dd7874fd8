//! The window that a film should be averaged over, from the film itself.
//!
//! The correlation of frames against lag ([`LagCorrelation`]) says at each frequency how strong the particle is, how strong its surroundings, and how fast either is
//! forgotten: a rotational and a translational diffusion coefficient are fitted to all of it together. A window of weights hᵢ then
//!
//! * keeps the part A = Σhᵢρ(i − t) of the amplitude at the time t whose pose is found, that of the middle, ρ the particle's correlation;
//! * adds, as noise, what the particle shows in other poses: S·(Σhᵢhⱼρ(i − j) − A²);
//! * leaves Σhᵢhⱼ·N(i − j) of the surroundings, and 1/Σhᵢ² times fewer independent images.
//!
//! With known poses one frame an image would be best, since a reconstruction averages anyway. But poses come from the images: the Fisher information of
//! rotation and shift in an image of this signal and noise gives the variance with which they are found at best (Kay, Fundamentals of Statistical Signal Processing, vol. 1
//! (1993), chapter 3), which blurs the density as a B factor would; and an image with too little signal is taken for one of another direction, the more easily the more
//! directions can be told apart. What is left of Fisher information on the positions of atoms, Σ n·(2πk)²·SNR·blur over all images, is what the window is
//! chosen by; its inverse square root is the r.m.s. error of positions up to a factor that all windows share.

use std::f64::consts::{PI, TAU};

use serde::{Deserialize, Serialize};

use super::lag::kept;
use super::{LagCorrelation, LagOptions, Shape};
use crate::images::{Error, Images};
use crate::task::Task;

/// The liquid's ring in the power spectrum, below graphene's first peaks [1/Å].
const HALO: [f64; 2] = [0.12, 0.42];
/// Resolution elements across the particle below which its image is an outline, which hardly turns.
const OUTLINE: f64 = 2.5;
/// Share by which a particle's liquid may differ from that around it: it takes its place.
const DISPLACED: f64 = 0.05;
/// Least χ² by which a particle that moves explains frames better than none.
const EVIDENT: f64 = 30.0;

/// Options of [`Choice::of`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChooseOptions {
    /// Diameter of the particle \[Å\]; must be given.
    pub diameter: f64,
    /// Resolution wanted of the reconstruction \[Å\]. Default: 1.0, or three pixels where that is coarser.
    pub low_pass: Option<f64>,
    /// Resolution at which directions are first told apart \[Å\], below the lattice's. Default: 2.7.
    pub first_low_pass: f64,
    /// Largest lag that is looked at, in frames. Default: 32, or a quarter of the film.
    pub max_lag: Option<usize>,
    /// Widest window tried. Default: 64, or a third of the film.
    pub max_width: Option<usize>,
    /// Of the frames in a window: "flat" (default), "triangular" or "gaussian".
    pub weights: Shape,
}

impl Default for ChooseOptions {
    fn default() -> Self {
        Self {
            diameter: f64::NAN,
            low_pass: None,
            first_low_pass: 2.7,
            max_lag: None,
            max_width: None,
            weights: Shape::Flat,
        }
    }
}

/// What a window does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trade {
    /// Frames.
    pub width: usize,
    /// Power of the particle that is kept, a share of a frame's.
    pub signal: f64,
    /// Power of the surroundings in the liquid's ring, a share of a frame's.
    pub halo: f64,
    /// Power of signal over that of all noise, over the particle.
    pub snr: f64,
    /// Standard deviation of a rotation about an axis in the image, at best \[°\].
    pub pose_error: f64,
    /// Share of images whose direction can be told.
    pub told: f64,
    /// Expected r.m.s. error of positions, in units of the least of all windows.
    pub rmsd: f64,
}

/// The best window, and what it was chosen by.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub width: usize,
    /// ⟨α²⟩/2 about each axis from one frame to the next \[rad²\]: D·Δt.
    pub rotational_diffusion: f64,
    /// ⟨x²⟩/2 along each axis from one frame to the next \[Å²\]: D·Δt.
    pub translational_diffusion: f64,
    /// Power of the particle in each ring of `lag`.
    pub power: Vec<f64>,
    /// Of widths 1, 2, ….
    pub trades: Vec<Trade>,
    pub lag: LagCorrelation,
}

impl Choice {
    /// For a film.
    ///
    /// # Errors
    /// As [`LagCorrelation::of`], and if the frames do not show a particle that moves.
    pub fn of(frames: &Images, options: &ChooseOptions, task: &Task) -> Result<Self, Error> {
        let ChooseOptions { diameter, low_pass, first_low_pass, max_lag, max_width, weights } = *options;
        let widest = max_width.unwrap_or((frames.len() / 3).min(64)).max(1);
        if widest > frames.len() {
            let range = "at most the number of frames";
            return Err(Error::Option { name: "max_width", range, value: widest as f64 });
        }
        if !(first_low_pass.is_finite() && first_low_pass > 0.0) {
            return Err(Error::LowPass { low_pass: first_low_pass, finest: 2.0 * frames.pixel_size() });
        }
        let lag = LagCorrelation::of(frames, &LagOptions { diameter, low_pass, max_lag }, task)?;
        let fit = Fit::of(&lag)?;
        let film = Film { lag: &lag, fit: &fit, first: 1.0 / first_low_pass };
        let mut judged: Vec<(Trade, f64)> =
            (1..=widest).map(|width| film.judge_best(&weights.weights(width))).collect();
        let best = judged.iter().fold(0.0f64, |best, (_, information)| best.max(*information));
        for (trade, information) in &mut judged {
            trade.rmsd = (best / information.max(1e-12 * best)).sqrt();
        }
        let trades: Vec<Trade> = judged.into_iter().map(|(trade, _)| trade).collect();
        let least = trades.iter().min_by(|a, b| a.rmsd.total_cmp(&b.rmsd)).expect("a window of one frame at least");
        Ok(Self {
            width: least.width,
            rotational_diffusion: fit.turn,
            translational_diffusion: fit.step,
            power: fit.power,
            trades,
            lag,
        })
    }
}

/// How the particle moves, and how strong it is.
struct Fit {
    turn: f64,
    step: f64,
    power: Vec<f64>,
}

/// What is measured in one ring: correlations and their inverse variances, by lag.
struct Ring {
    frequency: f64,
    values: Vec<f64>,
    weights: Vec<f64>,
}

impl Fit {
    /// Least squares over all lags and rings; the power of each ring follows from the motion.
    fn of(lag: &LagCorrelation) -> Result<Self, Error> {
        let rings: Vec<Ring> = (0..lag.frequencies.len()).map(|ring| measured(lag, ring)).collect();
        let radius = lag.diameter / 2.0;
        let shown: Vec<&Ring> = rings.iter().filter(|ring| ring.frequency * lag.diameter >= OUTLINE).collect();
        let gain = |turn: f64, step: f64| shown.iter().map(|ring| ring.power(radius, turn, step).1).sum::<f64>();
        // decades of coefficients, by quarters and halves
        let turns = (-28..=2).map(|i| 10f64.powf(f64::from(i) / 4.0));
        let steps: Vec<f64> = std::iter::once(0.0).chain((-10..=1).map(|i| 10f64.powf(f64::from(i) / 2.0))).collect();
        let tried = turns.flat_map(|turn| steps.iter().map(move |&step| (turn, step)));
        let (mut best, mut at) = (0.0, (0.0, 0.0));
        for (turn, step) in tried {
            let gain = gain(turn, step);
            if gain > best {
                (best, at) = (gain, (turn, step));
            }
        }
        if best < EVIDENT {
            return Err(Error::NoMotion(
                "no signal stands out of the noise within the diameter; give more frames, or the right diameter",
            ));
        }
        let mut factor = 10f64.powf(0.125);
        while factor > 1.005 {
            let (turn, step) = at;
            let near = [(turn * factor, step), (turn / factor, step), (turn, step * factor), (turn, step / factor)];
            match near.into_iter().map(|at| (gain(at.0, at.1), at)).max_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((more, better)) if more > best => (best, at) = (more, better),
                _ => factor = factor.sqrt(),
            }
        }
        let (turn, step) = at;
        Ok(Self { turn, step, power: rings.iter().map(|ring| ring.power(radius, turn, step).0).collect() })
    }
}

/// A ring's correlations. Those of a few coefficients in F − τ pairs of frames vary as their power allows; at lag 0 the noise under the particle may differ from that around it.
fn measured(lag: &LagCorrelation, ring: usize) -> Ring {
    let [inside, outside] = [lag.signal[[0, ring]] + lag.noise[[0, ring]], lag.noise[[0, ring]]];
    let coefficients = lag.coefficients[ring].max(0.5);
    let elsewhere = coefficients * lag.areas[1] / lag.areas[0];
    let variance = |tau: usize| {
        let pairs = (lag.frames - tau) as f64;
        let of_noise = (inside * inside / coefficients + outside * outside / elsewhere) / (2.0 * pairs);
        if tau == 0 { of_noise + (DISPLACED * outside).powi(2) } else { of_noise }
    };
    let lags = lag.signal.nrows();
    Ring {
        frequency: lag.frequencies[ring],
        values: (0..lags).map(|tau| lag.signal[[tau, ring]]).collect(),
        // a film that shows nothing but zeros weighs nothing
        weights: (0..lags).map(variance).map(|v| if v > 0.0 { 1.0 / v } else { 0.0 }).collect(),
    }
}

impl Ring {
    /// The power that explains the ring best, not below 0, and the χ² that it explains.
    fn power(&self, radius: f64, turn: f64, step: f64) -> (f64, f64) {
        let (mut overlap, mut square) = (0.0, 0.0);
        for (tau, (value, weight)) in self.values.iter().zip(&self.weights).enumerate() {
            let kept = kept(self.frequency, radius, turn * tau as f64, step * tau as f64);
            overlap += weight * value * kept;
            square += weight * kept * kept;
        }
        if overlap <= 0.0 || square <= 0.0 { (0.0, 0.0) } else { (overlap / square, overlap * overlap / square) }
    }
}

/// A film as it was measured.
struct Film<'a> {
    lag: &'a LagCorrelation,
    fit: &'a Fit,
    /// Highest frequency by which directions are first told apart [1/Å].
    first: f64,
}

/// What a window leaves of one ring.
struct Left {
    frequency: f64,
    /// Independent real numbers.
    count: f64,
    signal: f64,
    noise: f64,
    /// Of the noise, that of the surroundings.
    surroundings: f64,
}

impl Film<'_> {
    /// As `judge`, of the pose that explains an image best: that in the middle of its window, or of the frame before, which is sharper where frames hardly agree.
    fn judge_best(&self, weights: &[f64]) -> (Trade, f64) {
        let middle = (weights.len() as f64 - 1.0) / 2.0;
        let (between, on_frame) = (self.judge(weights, middle), self.judge(weights, middle.floor()));
        if on_frame.1 > between.1 { on_frame } else { between }
    }

    /// What a window of such weights does if its pose is that at the time `at`, in frames from its first, and the information that it leaves.
    fn judge(&self, weights: &[f64], at: f64) -> (Trade, f64) {
        let left: Vec<Left> = (1..self.lag.frequencies.len()).map(|ring| self.left(ring, weights, at)).collect();
        let radius = self.lag.diameter / 2.0;
        let square = |left: &Left| (TAU * left.frequency).powi(2);
        let snr = |left: &Left| if left.signal > 0.0 { left.signal / left.noise.max(f64::MIN_POSITIVE) } else { 0.0 };
        let sum = |f: &dyn Fn(&Left) -> f64| left.iter().map(f).sum::<f64>();
        let slopes = sum(&|left| left.count * snr(left) * square(left)).max(1e-12);
        let [about_beam, across, shift] = pose_information(slopes, radius);
        let blur = radius * radius / 5.0 * (1.0 / about_beam + 1.0 / across) + 1.0 / shift;
        let first = |left: &Left| if left.frequency <= self.first { left.count * snr(left) } else { 0.0 };
        let evidence = sum(&first).max(1e-12);
        // hypotheses are as far apart as one takes to lose the evidence
        let [beam, axis, _] = pose_information(sum(&|left| first(left) * square(left)), radius);
        let directions = 8.0 * PI * PI * (beam * axis * axis).sqrt() / evidence.powf(1.5);
        let told = 1.0 / (1.0 + directions.max(1.0) * tail((evidence / 2.0).sqrt()));
        let information = sum(&|left| left.count * snr(left) * square(left) * (-square(left) * blur).exp());
        let power: f64 = weights.iter().map(|weight| weight * weight).sum();
        let of_frame = |ring: usize| self.left(ring, &[1.0], 0.0);
        let share = |part: &dyn Fn(&Left) -> f64| {
            let whole: f64 = (1..self.lag.frequencies.len()).map(|ring| part(&of_frame(ring))).sum();
            if whole > 0.0 { sum(part) / whole } else { 0.0 }
        };
        let in_halo = |left: &Left| {
            if (HALO[0]..HALO[1]).contains(&left.frequency) { left.count * left.surroundings } else { 0.0 }
        };
        let signal = |left: &Left| left.count * left.signal;
        let trade = Trade {
            width: weights.len(),
            signal: share(&signal),
            halo: share(&in_halo),
            snr: sum(&signal) / sum(&|left| left.count * left.noise).max(f64::MIN_POSITIVE),
            pose_error: across.recip().sqrt().to_degrees(),
            told,
            rmsd: f64::NAN,
        };
        (trade, information * power * told * told)
    }

    fn left(&self, ring: usize, weights: &[f64], at: f64) -> Left {
        let lag = self.lag;
        let frequency = lag.frequencies[ring];
        let kept = |time: f64| kept(frequency, lag.diameter / 2.0, self.fit.turn * time, self.fit.step * time);
        let amplitude: f64 = weights.iter().enumerate().map(|(i, weight)| weight * kept((i as f64 - at).abs())).sum();
        // Σhᵢhⱼ over pairs that are so far apart
        let apart = |tau: usize| {
            let pairs: f64 = weights.iter().zip(&weights[tau..]).map(|(a, b)| a * b).sum();
            if tau == 0 { pairs } else { 2.0 * pairs }
        };
        let (mut mean_power, mut noise) = (0.0, 0.0);
        for tau in 0..weights.len() {
            mean_power += apart(tau) * kept(tau as f64);
            noise += apart(tau) * self.surroundings(tau, ring);
        }
        let power = self.fit.power[ring];
        let others = power * (mean_power - amplitude * amplitude).max(0.0);
        Left {
            frequency,
            count: 2.0 * lag.coefficients[ring],
            signal: power * amplitude * amplitude,
            noise: noise.max(0.0) + others,
            surroundings: noise,
        }
    }

    /// Correlation of the surroundings; beyond the lags that were measured, that of the last quarter of them.
    fn surroundings(&self, tau: usize, ring: usize) -> f64 {
        let lags = self.lag.noise.nrows();
        if tau < lags {
            return self.lag.noise[[tau, ring]];
        }
        let last = 3 * lags / 4..lags;
        let count = last.len().max(1) as f64;
        last.map(|tau| self.lag.noise[[tau, ring]]).sum::<f64>() / count
    }
}

/// Fisher information on a turn about the beam, about an axis across it, and on a shift, of an image whose n·SNR·(2πk)² sums up to `slopes`: a turn by α about the beam
/// displaces atoms along q by α²R²/5 in the mean square, one about an axis across it by half of that.
fn pose_information(slopes: f64, radius: f64) -> [f64; 3] {
    [slopes * radius * radius / 5.0, slopes * radius * radius / 10.0, slopes / 2.0]
}

/// Probability that a normal number exceeds `z` ≥ 0, to some per cent (Sampford, Ann. Math. Stat. 24 (1953) 130).
fn tail(z: f64) -> f64 {
    4.0 * (-z * z / 2.0).exp() / (TAU.sqrt() * (3.0 * z + (z * z + 8.0).sqrt()))
}
