//! `microscope::` from a particle to its images.

use rhai::Map;
use rhai::plugin::*;

use crate::cell::Cell;
use crate::microscope::{Microscope, Simulation};
use crate::pose::Poses;
use crate::script::{ScriptResult, options};
use crate::store::{Digest, Value};
use crate::structure::Structure;

/// Options of a simulation.
fn simulation(call: &NativeCallContext, mut options: Map) -> ScriptResult<Simulation> {
    let poses = options::take::<Poses>(&mut options, "poses", "a Poses")?;
    let cell = options::take::<Cell>(&mut options, "cell", "a Cell")?;
    let has_size = options.contains_key("size");
    let mut simulation = Simulation { poses, ..options::parse(call, &options)? };
    if let (Some(cell), false) = (&cell, has_size) {
        simulation.size = (cell.size[0] / simulation.pixel_size).round() as usize;
    }
    Ok(Simulation { cell, ..simulation })
}

/// A digest of everything that decides the pixels of a simulation.
fn key_of(structure: &Structure, microscope: &Microscope, options: &Simulation, poses: &Poses) -> String {
    let settings = serde_json::json!({ "microscope": microscope, "options": options, "cell": options.cell });
    let mut digest = Digest::of_program()
        .and_text(&settings.to_string())
        .and(&Value::Structure(structure.clone()))
        .and(&Value::Poses(poses.clone()));
    if let Some(liquid) = options.cell.as_ref().and_then(|cell| cell.liquid.as_ref()) {
        digest = digest.and_text(&liquid.to_string());
        let places = liquid.snapshots().iter().flatten().flat_map(|place| [place.x, place.y, place.z]);
        digest = digest.and(&Value::Numbers(places.collect()));
    }
    digest.finish()
}

/// Images of a particle as an electron microscope shows it.
#[export_module(manifest)]
pub mod api {

    use rhai::Map;

    use super::{key_of, simulation};
    use crate::images::Images;
    use crate::microscope::{self, Microscope, ScatteringFactors, Simulator};
    use crate::pose::Poses;
    use crate::script::{ScriptResult, Session, fault, options, run, writable};
    use crate::store;
    use crate::structure::{Element, Structure};

    /// The microscope of the paper, with the settings given here changed.
    ///
    /// * `energy` (kV, default 200); `defocus` (Å, default 60): from the exit face of the cell, positive = underfocus;
    /// * `defocus_spread` (Å, default 40): standard deviation; `c3` (mm, default −0.01); `c5` (mm, default 3);
    /// * `beam_tilt` (mrad, default `[0, 0]`): along x and y, for multislice;
    /// * `aperture` (mrad, default 30); `illumination` (mrad, default 1): half-angles; `aperture_edge` (mrad, default 0): width of a soft edge;
    /// * `aberrations`: those that are not round, to fifth order, in Krivanek's notation, as `#{ c12: 20, phi12: 45 }` (Å and degrees);
    /// * `cell_height` (Å, default 100): the particle is at half of it, so that its centre sees `defocus − cell_height/2`.
    ///
    /// ```rhai
    /// let thinner = microscope::paper(#{ cell_height: 50 });
    /// print(microscope::paper());
    /// print(thinner);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn paper(call: NativeCallContext, settings: Map) -> ScriptResult<Microscope> {
        let microscope: Microscope = options::parse(&call, &settings)?;
        microscope.check().map_err(fault)?;
        Ok(microscope)
    }

    #[rhai_fn(name = "paper", return_raw)]
    pub fn paper_default(call: NativeCallContext) -> ScriptResult<Microscope> {
        paper(call, Map::new())
    }

    /// Simulates images of a particle, without noise.
    ///
    /// The pixels are intensities, 1 where there is no contrast; with the paper's settings atoms are black.
    ///
    /// * `method` (must be named): `"kinematic"`, the weak-phase approximation with each atom at its own defocus, or `"multislice"`;
    /// * `n`: number of images, in poses drawn from all rotations; or `poses`: the poses to use;
    /// * `seed` (default 0): of the random poses and of the vibration; `max_shift` (Å, default 0): shifts are uniform in ± `max_shift`;
    /// * `size` (pixels, default 160, or what a cell needs) and `pixel_size` (Å, default 0.25): of the images;
    /// * `scattering_factors` (default `"kirkland"`): or `"lobato"`;
    /// * `b_factor` (Å², default 0; kinematic only): thermal motion of all atoms.
    ///
    /// The options from `cell` on are for multislice only.
    ///
    /// * `cell` (default none: vacuum): from `cell::paper` or `cell::build`, as wide as the image; every image has a liquid of its own;
    /// * `liquids` (default 1): independent liquids in the cell whose images are added, as the paper's averages of ten;
    /// * `slice_thickness` (Å, default 1);
    /// * `fast` (default false): slices above and below the particle are merged into planes 5 Å apart; images differ from exact ones by
    ///   less than a hundredth of their standard deviation;
    /// * `configurations` (default 5): frozen moments of the vibrating atoms, added; `temperature` (K, default 273; 0: still atoms);
    ///   `displacements` (Å, as `#{ Pb: 0.13 }`): r.m.s. along an axis, in place of the tabulated Debye–Waller factors;
    /// * `surface` (default none): `#{ factor: 1.5, depth: 2 }`, atoms at the particle's surface move `factor` times as far, the excess falling to 1/e
    ///   `depth` Å below it; `atom_displacements`: one an atom of the particle, r.m.s. (Å) or a tensor `[U11, U22, U33, U23, U13, U12]` (Å²);
    /// * `spread` (default `"sum"`, or `"envelope"`): how `defocus_spread` enters; the sum reaches `spread_range` (default 2.5) standard deviations in
    ///   steps of `spread_step` (Å, default 10);
    /// * `cone` (default `"envelope"`, or `"tilts"`, `"none"`): how `illumination` enters; `"tilts"` adds the frame's own beams within it.
    ///
    /// A particle that does not fit the frame, and images that do not fit into memory, are errors.
    ///
    /// ```rhai
    /// let particle = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(particle, microscope::paper(), #{ method: "kinematic", n: 10, seed: 1 });
    /// print(images);
    /// let still = #{ method: "multislice", n: 1, size: 100, slice_thickness: 2, temperature: 0 };
    /// print(microscope::simulate(particle, microscope::paper(#{ cell_height: 30 }), still));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn simulate(
        call: NativeCallContext,
        structure: Structure,
        microscope: Microscope,
        options: Map,
    ) -> ScriptResult<Images> {
        let options = simulation(&call, options)?;
        run(&call, |task| microscope::simulate(&structure, &microscope, &options, task))
    }

    /// Simulates images straight into an HDF5 file: more than fit into memory, and going on where a kill or Ctrl-C broke off.
    ///
    /// Options as for `simulate`. The file appears under its name when it is complete; until then what is done waits in two files beside it, with
    /// `.partial` in their names, for the same call to be made again. The pixels are the same bits as those of `simulate`.
    ///
    /// ```rhai
    /// let particle = structure::bundled("fept_1.5nm");
    /// microscope::simulate_to("raw.h5", particle, microscope::paper(), #{ method: "kinematic", n: 10, size: 80 });
    /// print(store::images("raw.h5"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn simulate_to(
        call: NativeCallContext,
        path: &str,
        structure: Structure,
        microscope: Microscope,
        options: Map,
    ) -> ScriptResult<()> {
        let options = simulation(&call, options)?;
        let path = writable(&call, path)?;
        if path.extension().is_none_or(|extension| extension != "h5") {
            return Err(fault(format!("images are simulated into HDF5: {} must end in .h5", path.display())));
        }
        let simulator = Simulator::new(&structure, &microscope, &options).map_err(fault)?;
        let plan = store::StackPlan {
            size: options.size,
            pixel_size: options.pixel_size,
            poses: simulator.poses(),
            key: key_of(&structure, &microscope, &options, simulator.poses()),
        };
        let mut writer = store::StackWriter::open(&path, &plan, &Session::of(&call).provenance()).map_err(fault)?;
        let total = simulator.poses().len();
        // a chunk of 32 MiB is soon made again after a kill; a mean of several liquids takes as many times as long, but every thread has to be kept busy
        let most = ((32 << 20) / (4 * options.size * options.size)).clamp(1, 256);
        let chunk = most.div_ceil(options.dynamics.liquids.max(1)).max(4 * rayon::current_num_threads()).min(most);
        run(&call, |task| -> ScriptResult<()> {
            let stage = task.stage("simulate images", total);
            stage.advance(writer.done()).map_err(fault)?;
            while writer.done() < total {
                let range = writer.done()..(writer.done() + chunk).min(total);
                let images = simulator.render(range, &stage).map_err(fault)?;
                writer.push(&images).map_err(fault)?;
            }
            Ok(())
        })?;
        writer.finish().map_err(fault)
    }

    /// Waves at the exit face of the cell, before any lens, of one frozen configuration in each pose.
    ///
    /// Options as for the multislice method of `simulate`. Gives a map: `real` and `imaginary` parts as Images.
    ///
    /// ```rhai
    /// let particle = structure::bundled("fept_1.5nm");
    /// let wave = microscope::exit_waves(particle, microscope::paper(#{ cell_height: 30 }), #{ n: 1, size: 100, temperature: 0 });
    /// print(wave.real);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn exit_waves(
        call: NativeCallContext,
        structure: Structure,
        microscope: Microscope,
        options: Map,
    ) -> ScriptResult<Map> {
        let options = simulation(&call, options)?;
        let [real, imaginary] = run(&call, |task| microscope::exit_waves(&structure, &microscope, &options, task))?;
        Ok(Map::from([("real".into(), Dynamic::from(real)), ("imaginary".into(), Dynamic::from(imaginary))]))
    }

    /// Poses of consecutive frames of a particle that tumbles by Brownian motion.
    ///
    /// * `n`: number of frames; `rotational_diffusion` (rad²/s, default 1), `translational_diffusion` (Å²/s in the plane of the image, default 0);
    /// * `frame_time` (s, default 0.0025); `max_shift` (Å, default 1): shifts beyond are reflected, as the camera follows the particle;
    /// * `seed` (default 0).
    ///
    /// The first pose is drawn from all rotations. A viewing direction is forgotten as e^(−2·D·t).
    ///
    /// ```rhai
    /// let poses = microscope::trajectory(#{ n: 50, rotational_diffusion: 2 });
    /// let film = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", poses: poses, size: 100 });
    /// print(film);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn trajectory(call: NativeCallContext, options: Map) -> ScriptResult<Poses> {
        let options: microscope::Brownian = options::parse(&call, &options)?;
        microscope::trajectory(&options).map_err(fault)
    }

    /// Wavelength of the electrons (Å).
    ///
    /// ```rhai
    /// print(microscope::paper().wavelength());
    /// ```
    #[rhai_fn(global)]
    pub fn wavelength(microscope: Microscope) -> f64 {
        microscope.wavelength()
    }

    /// Energy of the electrons (kV).
    ///
    /// ```rhai
    /// print(microscope::paper().energy());
    /// ```
    #[rhai_fn(global)]
    pub fn energy(microscope: Microscope) -> f64 {
        microscope.energy
    }

    /// Electron scattering factor (Å) of an element in Kirkland's table.
    ///
    /// * `element`: symbol; `frequency` (Å⁻¹).
    ///
    /// ```rhai
    /// print(microscope::scattering_factor("Pt", 0.5) / microscope::scattering_factor("Fe", 0.5));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn scattering_factor(element: &str, frequency: f64) -> ScriptResult<f64> {
        let element: Element = element.parse().map_err(fault)?;
        Ok(ScatteringFactors::Kirkland.f_e(element, frequency))
    }

    /// One line: all settings.
    ///
    /// ```rhai
    /// print(microscope::paper().to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(microscope: Microscope) -> String {
        microscope.to_string()
    }

    /// One line: all settings, the wavelength, and the resolution that the aperture allows.
    ///
    /// ```rhai
    /// print(microscope::paper().info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(microscope: Microscope) -> String {
        let (wavelength, limit) = (microscope.wavelength(), microscope.aperture_frequency().recip());
        format!("{microscope}; wavelength {wavelength:.6} Å, aperture limit {limit:.2} Å")
    }
}
