//! `plot::` figures of the atomic model.

use rhai::plugin::*;
use rhai::{Array, Map};

use super::atoms_of;
use super::model::{comparison, fitted};
use crate::images::Particles;
use crate::model::{self, CompareOptions, Comparison, Model};
use crate::plot::{self, Figure, ResidualsOptions, SectionsOptions, SpheresOptions};
use crate::script::{ScriptResult, fault, options, run};
use crate::structure::Structure;
use crate::volume::Volume;

#[export_module(manifest)]
pub mod api {
    /// The intensity of each traced atom against what its trend follows, coloured by element.
    ///
    /// Atoms whose element is less than 90 % sure (`probability` of `columns`) have a dark edge, and the greyer their colour the less sure they are. The lines
    /// are the mean of each element with the trend that was fitted: along the distance from the centre of mass, or from the surface, or the number of neighbours (`trend` of
    /// `model::trace`).
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let atoms = model::trace(density, #{ species: ["Fe", "Pt"] });
    /// plot::radial_intensity(atoms).save("intensity.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn radial_intensity(model: Model) -> ScriptResult<Figure> {
        plot::radial_intensity(&model).map_err(fault)
    }

    /// Traced atoms laid on the true ones, seen along z, x and y; atoms that are missing, extra or of the wrong element in red.
    ///
    /// * `found`: a Model or a Structure; `truth`: a Structure; `comparison`: the map that `compare` gave for both, if it is there already.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
    /// plot::against_truth(atoms, truth).save("atoms.png");
    /// plot::against_truth(atoms, truth, atoms.compare(truth, #{ tolerance: 0.3 })).save("atoms.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn against_truth(found: Dynamic, truth: Structure, comparison: Map) -> ScriptResult<Figure> {
        plot::against_truth(&atoms_of(&found)?, &truth, &super::comparison(&comparison)?).map_err(fault)
    }

    #[rhai_fn(name = "against_truth", return_raw)]
    pub fn against_truth_default(call: NativeCallContext, found: Dynamic, truth: Structure) -> ScriptResult<Figure> {
        let found = atoms_of(&found)?;
        let comparison = super::compared(&call, &found, &truth)?;
        plot::against_truth(&found, &truth, &comparison).map_err(fault)
    }

    /// Atoms as shaded spheres seen along zone axes, with the true ones below if they are known.
    ///
    /// * `atoms`: a Model or a Structure.
    /// * options: `views` (default `[[0, 0, 1], [1, 0, 0], [0, 1, 0]]`), one to six directions towards the viewer; `radius` (Å, default 0.8 of each element's
    ///   covalent radius) of the spheres; `truth`, a Structure; `comparison`, the map that `compare` gave for both, if it is there already; `title`.
    ///
    /// Directions are in the frame of the atoms, z up; far atoms are paler. With a truth the atoms are laid on it as `compare` does, and directions are in its
    /// frame, where zone axes have their meaning: extra atoms and wrong elements are marked in red in the first row, missing atoms in the second.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// plot::spheres(truth, #{ views: [[0, 0, 1], [1, 1, 0], [1, 1, 1]] }).save("spheres.png");
    /// print(plot::spheres(truth));
    /// let atoms = model::trace(volume::of_structure(truth), #{ species: ["Fe", "Pt"] });
    /// plot::spheres(atoms, #{ truth: truth }).save("spheres.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn spheres(call: NativeCallContext, atoms: Dynamic, options: Map) -> ScriptResult<Figure> {
        let (atoms, mut options) = (atoms_of(&atoms)?, options);
        let truth = options::take::<Structure>(&mut options, "truth", "a Structure")?;
        let comparison = options::take::<Map>(&mut options, "comparison", "the map that compare gives")?;
        let options: SpheresOptions = options::parse(&call, &options)?;
        let compared = match (&truth, &comparison) {
            (Some(truth), None) => Some(super::compared(&call, &atoms, truth)?),
            (Some(_), Some(comparison)) => Some(super::comparison(comparison)?),
            (None, Some(_)) => return Err(fault("option \"comparison\" says nothing without truth")),
            (None, None) => None,
        };
        plot::spheres(&atoms, truth.as_ref().zip(compared.as_ref()), &options).map_err(fault)
    }

    #[rhai_fn(name = "spheres", return_raw)]
    pub fn spheres_default(call: NativeCallContext, atoms: Dynamic) -> ScriptResult<Figure> {
        spheres(call, atoms, Map::new())
    }

    /// Slices through a density with the atoms that lie in them.
    ///
    /// * `volume`: a density; `atoms`: a Model or a Structure in its frame.
    /// * options: `axis` (default `"z"`) that the slices lie across; `planes` (default 6), how many at most; `even` (default false) spreads them evenly through the
    ///   particle instead of where most atoms lie; `at` (Å, heights from the centre) says where they lie; `title`.
    ///
    /// A ring, coloured by element, is about each atom within half the distance between slices, at most 1 Å. All slices are on one grey scale.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let density = volume::of_structure(truth);
    /// plot::atoms_in_density(density, truth).save("sections.png");
    /// plot::atoms_in_density(density, truth, #{ axis: "x", planes: 4, even: true }).save("sections.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn atoms_in_density(
        call: NativeCallContext,
        volume: Volume,
        atoms: Dynamic,
        options: Map,
    ) -> ScriptResult<Figure> {
        let options: SectionsOptions = options::parse(&call, &options)?;
        plot::atoms_in_density(&volume, &atoms_of(&atoms)?, &options).map_err(fault)
    }

    #[rhai_fn(name = "atoms_in_density", return_raw)]
    pub fn atoms_in_density_default(call: NativeCallContext, volume: Volume, atoms: Dynamic) -> ScriptResult<Figure> {
        atoms_in_density(call, volume, atoms, Map::new())
    }

    /// Images beside what refined atoms say they should show, and where in the spectrum the two differ.
    ///
    /// * `particles`: those that were refined; `refined`: the map that `model::refine` gave, or `multislice_model::refine`.
    /// * options: `count` of images (default 3), from the best explained to the worst; `images`, their numbers instead; `title`.
    ///
    /// A row shows the image up to the refinement's limit of resolution, the model of it, and the difference, all in units of the noise's standard deviation: what
    /// is left of the particle in the difference, the model does not explain. The curves below are means over all images by spatial frequency: χ², the power
    /// of the difference over that of the noise, and which share of the signal that is.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
    /// let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    /// let refined = model::refine(atoms, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 });
    /// plot::residuals(particles, refined, #{ count: 2 }).save("residuals.png");
    /// print(plot::residuals(particles, refined));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn residuals(
        call: NativeCallContext,
        particles: Particles,
        refined: Map,
        options: Map,
    ) -> ScriptResult<Figure> {
        let options: ResidualsOptions = options::parse(&call, &options)?;
        let fitted = fitted(&refined)?;
        run(&call, |task| plot::residuals(&particles, &fitted, &options, task))
    }

    #[rhai_fn(name = "residuals", return_raw)]
    pub fn residuals_default(call: NativeCallContext, particles: Particles, refined: Map) -> ScriptResult<Figure> {
        residuals(call, particles, refined, Map::new())
    }

    /// A histogram of the errors of refined atoms in units of their uncertainties, with the normal curve that right uncertainties give.
    ///
    /// * `atoms`: a refined model, or an array of several, as of several draws of the noise; `truth`: a structure.
    ///
    /// The numbers are those of `pulls`; a standard deviation above 1 says that atoms are less certain than `sigma_A` has it. Atoms that are not refined are an error.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 })
    ///     .invert().normalize().add_noise(#{ snr: 1, seed: 1 });
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
    /// let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    /// let refined = model::refine(atoms, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 });
    /// plot::pulls(refined.atoms, truth).save("pulls.png");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pulls(call: NativeCallContext, atoms: Model, truth: Structure) -> ScriptResult<Figure> {
        let pulls = run(&call, |task| model::pulls(&atoms, &truth, task))?;
        plot::pulls(&pulls).map_err(fault)
    }

    #[rhai_fn(name = "pulls", return_raw)]
    pub fn pulls_of_several(call: NativeCallContext, atoms: Array, truth: Structure) -> ScriptResult<Figure> {
        let mut all = Vec::new();
        for atoms in atoms {
            let found = options::describe(&atoms);
            let wrong = || fault(format!("pulls are of refined models, as model::refine gives them, not of {found}"));
            let atoms = atoms.try_cast::<Model>().ok_or_else(wrong)?;
            all.extend(run(&call, |task| model::pulls(&atoms, &truth, task))?);
        }
        plot::pulls(&all).map_err(fault)
    }
}

fn compared(call: &NativeCallContext, found: &Structure, truth: &Structure) -> ScriptResult<Comparison> {
    run(call, |task| model::compare(found, truth, &CompareOptions::default(), task))
}
