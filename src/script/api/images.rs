//! `images::` stacks of images.

use rhai::Map;
use rhai::plugin::*;

use super::array;
use crate::images::PowerProfile;
use crate::script::{ScriptResult, fault, readable};
use crate::store;

/// A profile as a script reads it.
fn profile_map(profile: PowerProfile) -> Map {
    let PowerProfile { frequencies, power } = profile;
    Map::from([("frequency".into(), array(&frequencies).into()), ("power".into(), array(&power).into())])
}

/// Options of a detector with the MTF of a file in place of its name.
fn with_mtf_read(call: &NativeCallContext, mut options: Map) -> ScriptResult<Map> {
    if let Some(Ok(file)) = options.get("mtf").map(|mtf| mtf.clone().into_immutable_string()) {
        let curve = store::read_mtf(&readable(call, &file)?).map_err(fault)?;
        let curve: rhai::Array = curve.iter().map(|point| Dynamic::from(array(point))).collect();
        options.insert("mtf".into(), curve.into());
    }
    Ok(options)
}

/// Stacks of images: contrast, grey values, noise.
#[export_module(manifest)]
pub mod api {
    use rhai::Map;

    use super::{profile_map, with_mtf_read};
    use crate::images::{Detector, Images, LineOptions, Noise, Particles, PowerSpectrum, PrepareOptions, RadialPower};
    use crate::pose::Poses;
    use crate::script::{ScriptResult, Session, fault, options, run, saved};
    use crate::store;

    /// Inverts the contrast: black atoms become white.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// let white = raw.invert();
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn invert(call: NativeCallContext, images: Images) -> ScriptResult<Images> {
        run(&call, |task| images.invert(task))
    }

    /// Gives every image mean 0 and variance 1.
    ///
    /// An image whose pixels are all equal is an error.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// let prepared = raw.invert().normalize();
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn normalize(call: NativeCallContext, images: Images) -> ScriptResult<Images> {
        run(&call, |task| images.normalize(task))
    }

    /// Adds white Gaussian noise to noise-free images, each at the same signal-to-noise ratio.
    ///
    /// * `snr` (must be given): variance of the noise-free image / variance of the noise;
    /// * `region` (default `"frame"`): where the signal's variance is measured, or `"particle"`: a disc of the particle's diameter;
    /// * `diameter` (Å, default: from the images): of that disc; give it where there is liquid around the particle;
    /// * `seed` (default 0).
    ///
    /// The ratio over both regions is written to standard error and kept for the provenance.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// let noisy = raw.invert().normalize().add_noise(#{ snr: 0.5, seed: 2 });
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn add_noise(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Images> {
        let options: Noise = options::parse(&call, &options)?;
        let (noisy, report) = run(&call, |task| images.add_noise(&options, task))?;
        let session = Session::of(&call);
        session.tell(&report.to_string());
        session.record("signal_to_noise", serde_json::to_value(report).map_err(fault)?);
        Ok(noisy)
    }

    /// Images as a detector records them: shot noise, and contrast lost at high frequencies.
    ///
    /// For images as simulated, intensities that are 1 where there is no contrast; so are those that come back.
    ///
    /// * `dose` (electrons an Å² in an image, default: no shot noise);
    /// * `mtf` (default: 1 everywhere): list of [frequency, contrast], in cycles a pixel from 0, straight lines between; or a STAR file as for RELION;
    /// * `readout` (default `"counting"`): white shot noise; or `"integrating"`: noise blurred by the MTF as the image is;
    /// * `seed` (default 0).
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// let recorded = raw.detect(#{ dose: 200, mtf: [[0, 1], [0.25, 0.8], [0.5, 0.5]], seed: 1 });
    /// print(recorded.invert().normalize());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn detect(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Images> {
        let detector: Detector = options::parse(&call, &with_mtf_read(&call, options)?)?;
        run(&call, |task| images.detect(&detector, task))
    }

    /// These images less others: each less the one of its number, or all less the only one.
    ///
    /// ```rhai
    /// let options = #{ method: "kinematic", n: 3, seed: 1 };
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), options);
    /// let noise = raw.add_noise(#{ snr: 0.5 }).minus(raw);
    /// print(noise);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn minus(call: NativeCallContext, images: Images, other: Images) -> ScriptResult<Images> {
        run(&call, |task| images.minus(&other, task))
    }

    /// The poses that images were simulated at; an error if they were not simulated.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// let same = microscope::simulate(structure::bundled("fept_1.5nm_fe50pt50_ideal"), microscope::paper(),
    ///     #{ method: "kinematic", poses: raw.true_poses() });
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn true_poses(images: Images) -> ScriptResult<Poses> {
        images
            .true_poses()
            .cloned()
            .ok_or_else(|| fault("these images have no true poses: they were not simulated here"))
    }

    /// Number of images.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// print(raw.len());
    /// ```
    #[rhai_fn(global)]
    pub fn len(images: Images) -> i64 {
        images.len() as i64
    }

    /// Pixels along an edge.
    ///
    /// ```rhai
    /// print(microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2, size: 96 }).size());
    /// ```
    #[rhai_fn(global)]
    pub fn size(images: Images) -> i64 {
        images.size() as i64
    }

    /// Edge of a pixel (Å).
    ///
    /// ```rhai
    /// print(microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2, size: 96 }).pixel_size());
    /// ```
    #[rhai_fn(global)]
    pub fn pixel_size(images: Images) -> f64 {
        images.pixel_size()
    }

    /// Mean power spectrum of the images, averaged over all directions.
    ///
    /// The power of a frequency is the mean of |F(image − mean)|²/N², N the number of pixels; summed over all frequencies it is the variance.
    ///
    /// Gives a map: `frequency` (Å⁻¹) and `power`.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// print(raw.radial_power().power.len());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn radial_power(call: NativeCallContext, images: Images) -> ScriptResult<Map> {
        Ok(profile_map(run(&call, |task| PowerSpectrum::of(&images, task))?.radial()))
    }

    /// Mean power spectrum of the images along a line through the frequency 0.
    ///
    /// * `angle` (°, default 0): from x towards y; `width` (Å⁻¹, default one pixel): over which the power is averaged.
    ///
    /// Gives a map: `frequency` (Å⁻¹, negative ones too) and `power`.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// print(raw.line_power(#{ angle: 30 }).power.len());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn line_power(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Map> {
        let options: LineOptions = options::parse(&call, &options)?;
        Ok(profile_map(run(&call, |task| PowerSpectrum::of(&images, task))?.line(&options)))
    }

    /// One line: number, size, pixel size and range of values of the images.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// print(raw.to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(images: Images) -> String {
        let (low, high) = images.range();
        let (count, size, pixel_size) = (images.len(), images.size(), images.pixel_size());
        format!("{count} images of {size}×{size} pixels, {pixel_size} Å/pixel, values {low:.3} to {high:.3}")
    }

    /// One line: what `to_string` says, mean and standard deviation of the pixels, and whether the true poses are known.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// print(raw.info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(images: Images) -> String {
        let (mean, variance) = images.moments();
        let known = if images.true_poses().is_some() { ", true poses known" } else { "" };
        format!("{}, mean {mean:.4}, standard deviation {:.4}{known}", to_string(images), variance.sqrt())
    }

    /// Saves images as MRC (`.mrcs`, `.mrc`) or HDF5 (`.h5`), as the name of the file ends.
    ///
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// raw.save("raw.mrcs");
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, images: Images, path: &str) -> ScriptResult<()> {
        saved(&call, path, store::Value::Images(images))
    }

    /// Makes images ready for reconstruction: measures the particle and the noise, crops to the particle, enlarges the pixels to what the limit needs.
    ///
    /// * options: `diameter` of the particle (Å; must be given); `tolerance` (default 0.2), the share by which it may be wrong: it is
    ///   measured within that, as where the variance of the images falls to that of their border; 0 takes it as given; `low_pass` (Å,
    ///   default 1.0), the finest resolution that will be asked of them; `crop` (default 1.6), edge of the kept square in diameters.
    ///
    /// Gives Particles. It is an error if the diameter is not positive, or larger than the images less a border, or if `tolerance` (0 to 0.5) or
    /// `crop` (1.3 to 10) are out of range.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 2 });
    /// print(raw.invert().prepare(#{ diameter: 15, low_pass: 2 }));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn prepare(call: NativeCallContext, images: Images, options: Map) -> ScriptResult<Particles> {
        let options: PrepareOptions = options::parse(&call, &options)?;
        run(&call, |task| Particles::prepare(&images, &options, task))
    }

    /// Number of particles.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// let particles = raw.invert().prepare(#{ diameter: 15, low_pass: 2 });
    /// print(particles.len());
    /// ```
    #[rhai_fn(global, name = "len")]
    pub fn particles_len(particles: Particles) -> i64 {
        particles.len() as i64
    }

    /// One line: number, size and pixel size of the particles.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// let particles = raw.invert().prepare(#{ diameter: 15, low_pass: 2 });
    /// print(particles.to_string());
    /// ```
    #[rhai_fn(global, name = "to_string")]
    pub fn particles_to_string(particles: Particles) -> String {
        format!(
            "{0} particles of {1}×{1} pixels of {2:.3} Å, mask radius {3:.1} Å",
            particles.len(),
            particles.size(),
            particles.pixel_size(),
            particles.mask_radius()
        )
    }

    /// Diameter of the particle in Å, as `prepare` measured it.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// let particles = raw.invert().prepare(#{ diameter: 15, low_pass: 2 });
    /// print(particles.diameter());
    /// ```
    #[rhai_fn(global)]
    pub fn diameter(particles: Particles) -> f64 {
        particles.diameter()
    }

    /// Edge of the kept squares in Å.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// let particles = raw.invert().prepare(#{ diameter: 15, low_pass: 2 });
    /// print(particles.edge());
    /// ```
    #[rhai_fn(global)]
    pub fn edge(particles: Particles) -> f64 {
        particles.edge()
    }

    /// Finest limit to which the particles can be compared (Å): two of their pixels.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// print(raw.invert().prepare(#{ diameter: 15, low_pass: 2 }).finest());
    /// ```
    #[rhai_fn(global)]
    pub fn finest(particles: Particles) -> f64 {
        2.0 * particles.pixel_size()
    }

    /// One half set: the even particles (0) or the odd ones (1), as `volume::reconstruct` divides them.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 5 });
    /// print(raw.invert().prepare(#{ diameter: 15, low_pass: 2 }).half(1).len());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn half(particles: Particles, index: i64) -> ScriptResult<Particles> {
        match index {
            0 | 1 if particles.len() > 1 => Ok(particles.half(index as usize)),
            0 | 1 => Err(fault("one particle has no halves")),
            _ => Err(fault(format!("a half set is 0 (even particles) or 1 (odd ones), not {index}"))),
        }
    }

    /// Some of the particles, by their numbers from 0, in the order given.
    ///
    /// A number beyond the last particle is an error, and so is no number at all.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 5 });
    /// print(raw.invert().prepare(#{ diameter: 15, low_pass: 2 }).select([0, 4]).len());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn select(particles: Particles, numbers: rhai::Array) -> ScriptResult<Particles> {
        let numbers = crate::script::api::indices(&numbers, particles.len(), "particle")?;
        if numbers.is_empty() {
            return Err(fault("no particles are selected; give their numbers, as in [0, 1, 2]"));
        }
        Ok(particles.select(&numbers))
    }

    /// Some of the particles, `count` of them drawn at random under `seed`, in the order of the stack.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// print(raw.invert().prepare(#{ diameter: 15, low_pass: 2 }).subset(2, 1).len());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn subset(particles: Particles, count: i64, seed: i64) -> ScriptResult<Particles> {
        let seed = options::seed(seed)?;
        match usize::try_from(count) {
            Ok(count) if count > 0 => Ok(particles.subset(count, seed)),
            _ => Err(fault(format!("the number of particles must be positive, not {count}"))),
        }
    }

    /// The same particles, of whose own signal a share counts as noise.
    ///
    /// For comparison with a model that is wrong by about the square root of the share, an ideal lattice for one: it would else be judged by the strongest
    /// frequencies alone. A negative share is an error.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 });
    /// print(raw.invert().prepare(#{ diameter: 15, low_pass: 2 }).with_model_error(0.1).edge());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn with_model_error(call: NativeCallContext, particles: Particles, share: f64) -> ScriptResult<Particles> {
        run(&call, |task| particles.with_model_error(share, task))
    }

    /// The same particles as if their noise were that of other ones: where both are to weigh frequencies alike.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 4 }).invert();
    /// let noisy = raw.normalize().add_noise(#{ snr: 0.5, seed: 1 }).prepare(#{ diameter: 15 });
    /// print(raw.prepare(#{ diameter: 15 }).with_noise_of(noisy).edge());
    /// ```
    #[rhai_fn(global)]
    pub fn with_noise_of(particles: Particles, other: Particles) -> Particles {
        particles.with_noise_of(&other)
    }

    /// Sign test of the contrast, in standard deviations: positive where atoms are white, negative where they are black.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 9 });
    /// print(raw.prepare(#{ diameter: 15 }).contrast() < 0.0);
    /// ```
    #[rhai_fn(global)]
    pub fn contrast(particles: Particles) -> f64 {
        particles.contrast()
    }

    /// Frequency (1/Å) of the first strong peak in the radial power of the particles.
    ///
    /// It is that of their first strong lattice spacing; `()` if none stands out.
    ///
    /// ```rhai
    /// let raw = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 9 });
    /// print(1 / raw.invert().prepare(#{ diameter: 15, low_pass: 1.5 }).first_peak());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn first_peak(call: NativeCallContext, particles: Particles) -> ScriptResult<Dynamic> {
        let finest = 2.2 * particles.pixel_size();
        let power = run(&call, |task| RadialPower::of(&particles, finest, task))?;
        Ok(power.first_peak().map_or(Dynamic::UNIT, Dynamic::from))
    }
}
