//! `model::` atoms read from a density, and their comparison with known ones.

use nalgebra::{Quaternion, UnitQuaternion, Vector3};
use rhai::plugin::*;
use rhai::{Array, Map};
use serde::{Deserialize, Serialize};

use super::{array, atoms_of};
use crate::images::Particles;
use crate::microscope::Microscope;
use crate::model::{
    self, Class, CompareOptions, Comparison, Fitted, Model, Pair, Predicted, Predictor, RefineOptions, Refinement,
    Residuals, TraceOptions, TransferCurve,
};
use crate::pose::Poses;
use crate::script::{ScriptResult, fault, options, run, saved};
use crate::structure::{Element, Structure};
use crate::volume::Volume;

/// Options of `predicted`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PredictedOptions {
    images: Option<Vec<usize>>,
}

/// Atoms: traced in a density, told apart by element, compared with known ones.
#[export_module(manifest)]
pub mod api {
    use crate::store;

    /// Traces the atoms of a density: peaks, 3D Gaussian fits with the neighbours subtracted, noise cut, elements by intensity.
    ///
    /// * `species` (needed): one to three symbols in any order; the heavier an element, the brighter its atoms;
    /// * `radius` (Å, default: as far as the box allows): atoms are sought within it;
    /// * `halves` (default none): two Volumes, each from half of the images, as `volume::reconstruct` and the strategies give them: what both say of each atom is in the `columns`;
    /// * `min_separation` (Å, default: 0.55 of the distance between neighbours among the bright peaks, 1 to 2): of two nearer peaks the brighter one stays, at the place of both where one atom
    ///   explains them as well; a peak that one atom explains badly becomes two atoms farther apart than this, where they are clearly needed;
    /// * `noise_cut` (default: the largest gap between 0.06 and 0.38): peaks below this part of the bright ones are noise;
    /// * `largest_gap` (Å, default 4): what is farther from all other atoms is not part of the particle;
    /// * `composition` (default: left to the intensities): parts of the species, in any unit;
    /// * `trend` (default `"auto"`): decline or growth of intensity towards the surface, fitted with the species: `"radial"` by the distance from the centre, `"surface"` by that
    ///   from the nearest surface atom, `"coordination"` by the number of neighbours; `"auto"` is radial unless another is clearly better; or `"none"`. A slope from side to side is
    ///   fitted too, if there clearly is one, but with `"none"`;
    /// * `voxel` (Å, default 0.25): of the grid that the density is interpolated on; `fit_radius` (Å, default 1).
    ///
    /// An unknown or repeated element, a density without peaks, fewer atoms than species, and half maps of another size are errors.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"] }));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"], trend: "surface" }).info());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn trace(call: NativeCallContext, volume: Volume, options: Map) -> ScriptResult<Model> {
        let mut options = options;
        let halves = super::halves(&mut options)?;
        let options: TraceOptions = options::parse(&call, &options)?;
        run(&call, |task| {
            let model = model::trace(&volume, &options, task)?;
            match &halves {
                Some([one, two]) => model::with_halves(model, &volume, [one, two], &options, task),
                None => Ok(model),
            }
        })
    }

    /// Refines atoms and poses against the raw images, by Newton's method on all positions.
    ///
    /// * `atoms`, `poses`: of the same reconstruction; `particles`: the images it was made from.
    /// * options: `low_pass` (Å, default 1.0, or what the particles carry), resolution to which images and atoms are compared; `rounds` (default 30), at most; `energy` (kV, default
    ///   200); `refine_poses` (default true), false where they are known, as those of a tilt series; `max_shift` (Å, default 2.0); `trend` and `composition` (parts, lightest element first) as for `trace`.
    ///
    /// In each round the transfer function of each element is found from the images, with the defocus that an atom has by its height along the beam; then
    /// poses and contrasts; then all positions and strengths. After three rounds with one transfer for all, elements are told apart anew by the strengths; from then on
    /// each atom has a B factor of its own in place of a strength.
    ///
    /// Gives a map: `low_pass`, `energy`, `atoms` (its `columns` hold `sigma_A`, the standard deviation of a position along an axis that the noise
    /// allows, and `relative_B_A2`), `poses`, `chi2` (mean squared residual in units of the noise), `unexplained` (share of the signal that is left),
    /// `bound_pm` (RMSD that the noise allows, Cramér–Rao), `rounds`, `last_step_pm` (change of the positions in the last one), `settled` (false if more
    /// rounds would move them on), one number an image: `residuals` (χ²) and `weights`; and `transfers`, one an element: maps with `element`,
    /// `frequencies`, `even`, `odd`, and their standard deviations `even_deviation` and `odd_deviation`. An atom at height z has the transfer
    /// even·cos(πλk²z) + odd·sin(πλk²z).
    ///
    /// Poses that are no more images than there are, a limit finer than what the particles were prepared for, and no atoms are errors.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
    /// let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    /// let refined = model::refine(atoms, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 });
    /// print(refined.atoms.compare(truth).text);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn refine(
        call: NativeCallContext,
        atoms: Model,
        particles: Particles,
        poses: Poses,
        options: Map,
    ) -> ScriptResult<Map> {
        let options: RefineOptions = options::parse(&call, &options)?;
        run(&call, |task| model::refine(&atoms, &particles, &poses, &options, task)).map(super::refinement_map)
    }

    /// The images as refined atoms explain them, beside the images as they are, and how much is left.
    ///
    /// * `refined`: the map that `model::refine` gave, or `multislice_model::refine`; `particles`: those that were refined.
    /// * `images` (default: all): numbers of the images that are wanted.
    ///
    /// Gives a map: `observed` and `predicted`, Images up to the refinement's limit of resolution on one scale, with the contrast that explains each best; `noise`,
    /// the standard deviation of the noise in a pixel of them; `chi2`, one an image of all, the mean squared residual in units of the noise; and means over all
    /// images by spatial frequency: `frequencies` (1/Å), `residual_power` and `image_power`, in units of the noise.
    ///
    /// A number that no image has, more images than fit into memory, and particles other than the refined ones are errors.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
    /// let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    /// let refined = model::refine(atoms, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 });
    /// let shown = model::predicted(refined, particles, #{ images: [0, 5] });
    /// print(shown.predicted);
    /// print(model::predicted(refined, particles).chi2.len());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn predicted(call: NativeCallContext, refined: Map, particles: Particles, options: Map) -> ScriptResult<Map> {
        let PredictedOptions { images } = options::parse(&call, &options)?;
        let fitted = super::fitted(&refined)?;
        let numbers = images.unwrap_or_else(|| (0..particles.len()).collect());
        run(&call, |task| {
            let predictor = Predictor::new(&fitted, &particles, task)?;
            Ok::<_, model::Error>((predictor.pictures(&numbers, task)?, predictor.residuals(task)?))
        })
        .map(super::predicted_map)
    }

    #[rhai_fn(name = "predicted", return_raw)]
    pub fn predicted_default(call: NativeCallContext, refined: Map, particles: Particles) -> ScriptResult<Map> {
        predicted(call, refined, particles, Map::new())
    }

    /// Errors of refined atoms in units of their uncertainties: an array, (found − true)/σ along x, y and z for each pair.
    ///
    /// * `truth`: a structure; compared as `compare` does, with `sigma_A` of the `columns` for σ.
    ///
    /// Numbers of a standard deviation of 1 say that the uncertainties are right. Motions of the whole particle are in neither: `compare` takes them off the errors,
    /// and `sigma_A` is that of a particle at rest. Atoms that are not refined, and fewer than three pairs, are errors.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let images = microscope::simulate(truth, microscope::paper(), #{ method: "kinematic", n: 40, size: 100 })
    ///     .invert().normalize().add_noise(#{ snr: 1, seed: 1 });
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
    /// let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    /// let refined = model::refine(atoms, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 });
    /// let square = 0.0;
    /// for pull in refined.atoms.pulls(truth) { square += pull * pull / (3 * truth.len()); }
    /// print(square.sqrt());
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn pulls(call: NativeCallContext, model: Model, truth: Structure) -> ScriptResult<Array> {
        run(&call, |task| model::pulls(&model, &truth, task)).map(|pulls| super::array(&pulls))
    }

    /// Which of the two mirror images refined atoms are.
    ///
    /// * `refined`: the map of `refine`, from images with white atoms; `microscope`: as they were taken.
    ///
    /// Atoms at another height along the beam have another defocus, by which the images tell a particle from its mirror image, if the microscope's own defocus is
    /// known to some ten Å. Gives a map: `mirrored`, whether the mirror image explains the images better; `chi2` and `chi2_mirrored`, what each leaves unexplained,
    /// in squared standard deviations of the noise: a difference of 25 is no accident.
    ///
    /// `atoms.mirrored()`, `poses.mirrored()` and `volume.mirrored()` belong together.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let scope = microscope::paper();
    /// let images = microscope::simulate(truth, scope, #{ method: "kinematic", n: 40, size: 100 }).invert();
    /// let particles = images.prepare(#{ diameter: 15, low_pass: 1.5 });
    /// let map = volume::reconstruct(particles, images.true_poses(), #{ low_pass: 1.5 });
    /// let atoms = model::trace(map.volume, #{ species: ["Fe", "Pt"] });
    /// let refined = model::refine(atoms, particles, images.true_poses(), #{ low_pass: 1.5, rounds: 4 });
    /// print(model::hand(refined, scope).mirrored);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hand(refined: Map, microscope: Microscope) -> ScriptResult<Map> {
        let found = model::hand(&super::fitted(&refined)?.transfers, &microscope);
        Ok(Map::from([
            ("mirrored".into(), found.is_mirrored().into()),
            ("chi2".into(), found.chi2.into()),
            ("chi2_mirrored".into(), found.chi2_mirrored.into()),
        ]))
    }

    /// The mirror image of atoms: z reversed.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let atoms = model::trace(density, #{ species: ["Fe", "Pt"] });
    /// print(atoms.mirrored().compare(atoms.structure()).rmsd_pm);
    /// ```
    #[rhai_fn(global)]
    pub fn mirrored(atoms: Model) -> Model {
        atoms.mirrored()
    }

    /// Refined atoms without what the model of their images gets wrong.
    ///
    /// * `misled`: what the same refinement made of images that were simulated from these atoms; `options`: that it was made with, those of
    ///   `model::refine`.
    ///
    /// Each atom goes back by how far its double went from it; intensities are divided by their doubles', and the elements told apart anew. See
    /// `multislice_model` in the stdlib, which does all of it.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let atoms = model::trace(density, #{ species: ["Fe", "Pt"] });
    /// print(atoms.corrected(atoms, #{}));
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn corrected(call: NativeCallContext, atoms: Model, misled: Model, options: Map) -> ScriptResult<Model> {
        let options: RefineOptions = options::parse(&call, &options)?;
        model::corrected(&atoms, &misled, &options).map_err(fault)
    }

    /// Checks a list of one to three different elements, and gives their symbols as they are written in tables.
    ///
    /// Symbols may come in any case; an unknown or repeated one is an error. For scripts that want to know before a long run.
    ///
    /// ```rhai
    /// print(model::species(["fe", "Pt"]));        // ["Fe", "Pt"]
    /// ```
    #[rhai_fn(return_raw)]
    pub fn species(symbols: Array) -> ScriptResult<Array> {
        let parse = |symbol: &Dynamic| symbol.to_string().parse::<Element>().map_err(fault);
        let elements: Vec<Element> = symbols.iter().map(parse).collect::<ScriptResult<_>>()?;
        model::check_species(&elements).map_err(fault)?;
        Ok(elements.iter().map(|element| element.symbol().into()).collect())
    }

    /// Compares atoms with the true ones, after the best motion of either hand.
    ///
    /// * `atoms`: a Model or a Structure; `truth`: a Structure;
    /// * `tolerance` (Å, default 0.7): atoms farther apart are not a pair.
    ///
    /// Gives a map: `found`, `missing`, `extra`, `rmsd_pm`, `species_accuracy` (0 to 1), `radius_A` (the tolerance), `mirrored`,
    /// and `text`, all of it in one line. Also the motion, first of all r → −r if mirrored, then the `rotation` (unit quaternion `[w, x, y, z]`), then the
    /// `translation` (Å); `pairs`, `[i, j]` with the number of an atom and of the true one; and `distances_A` of the pairs.
    ///
    /// All rotations, both hands and all shifts are tried. Best is the motion with most pairs; of those, with most elements right; of
    /// those, with the lowest RMSD. Without pairs `rmsd_pm` and `species_accuracy` are not numbers.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let result = truth.rotated([1, 2, 3], 40).compare(truth, #{ tolerance: 0.5 });
    /// print(result.rmsd_pm);
    /// print(truth.compare(truth).text);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn compare(call: NativeCallContext, atoms: Dynamic, truth: Structure, options: Map) -> ScriptResult<Map> {
        let (atoms, options) = (atoms_of(&atoms)?, options::parse::<CompareOptions>(&call, &options)?);
        run(&call, |task| model::compare(&atoms, &truth, &options, task)).map(super::comparison_map)
    }

    #[rhai_fn(global, name = "compare", return_raw)]
    pub fn compare_default(call: NativeCallContext, atoms: Dynamic, truth: Structure) -> ScriptResult<Map> {
        compare(call, atoms, truth, Map::new())
    }

    /// Atoms laid on those that they were compared with, as a structure.
    ///
    /// * `atoms`: a Model or a Structure; `comparison`: the map that `compare` gave for them.
    ///
    /// ```rhai
    /// let truth = structure::bundled("fept_1.5nm");
    /// let turned = truth.rotated([1, 2, 3], 40);
    /// let back = turned.superposed(turned.compare(truth));
    /// print(back.positions()[0]);
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn superposed(atoms: Dynamic, comparison: Map) -> ScriptResult<Structure> {
        let atoms = atoms_of(&atoms)?;
        Ok(super::comparison(&comparison)?.superpose(&atoms))
    }

    /// The atoms of a model as a structure, in the frame of the density.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let atoms = model::trace(density, #{ species: ["Fe", "Pt"] });
    /// print(atoms.structure().formula());
    /// ```
    #[rhai_fn(global)]
    pub fn structure(model: Model) -> Structure {
        model.structure()
    }

    /// Number of atoms.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"] }).len());
    /// ```
    #[rhai_fn(global)]
    pub fn len(model: Model) -> i64 {
        model.len() as i64
    }

    /// The groups of intensity, lightest element first: an array of maps with `element`, `count`, `mean`, `deviation`.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let atoms = model::trace(density, #{ species: ["Fe", "Pt"] });
    /// for class in atoms.classes() { print(`${class.count} ${class.element}: ${class.mean}`); }
    /// ```
    #[rhai_fn(global)]
    pub fn classes(model: Model) -> Array {
        model.classes().iter().map(|class| Dynamic::from_map(super::class_map(class))).collect()
    }

    /// How many groups of intensity the atoms show, one to three, whatever species were given.
    ///
    /// For who does not know how many elements there are, or wants to know whether the intensities show them. Gives a map: `count`, and `evidence`, the integrated completed
    /// log-likelihoods of one, two and three groups less that of `count`: −5 and less speaks clearly against a number. Groups of fewer than five atoms do not count.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Pt"] }).groups().count);      // 2
    /// ```
    #[rhai_fn(global)]
    pub fn groups(model: Model) -> Map {
        let found = model.groups();
        Map::from([("count".into(), (found.count as i64).into()), ("evidence".into(), array(&found.evidence).into())])
    }

    /// Columns of numbers, one an atom.
    ///
    /// `probability` (of its element, by the intensities of all atoms, and in a density their widths where these say more), `intensity`, `width_A` (standard
    /// deviation of the Gaussian in the density), `radius_A` (from the centre of mass), `fit_residual`, and of
    /// refined atoms `sigma_A` and `sigma_intensity`, the standard deviations of a position along an axis and of the intensity; `relative_B_A2`, the B factor (Å²)
    /// less the mean of the element's, and `sigma_B_A2`; and of atoms traced with `halves`, as the half maps show them, `half_shift_A`, how far its places in both are apart (0.5 where one shows no
    /// peak), and `half_difference`, the difference of its intensities over their mean. Where electrons scatter more than once outer atoms seem to vibrate more: see `multislice_model`.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"] }).columns().intensity[0]);
    /// ```
    #[rhai_fn(global)]
    pub fn columns(model: Model) -> Map {
        let array = |values: Vec<f64>| Dynamic::from_array(values.into_iter().map(Dynamic::from).collect());
        model.columns().into_iter().map(|(name, values)| (name.into(), array(values))).collect()
    }

    /// Intensity below which a peak was taken for noise, in units of the density.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"] }).noise_cut());
    /// ```
    #[rhai_fn(global)]
    pub fn noise_cut(model: Model) -> f64 {
        model.noise_cut()
    }

    /// What speaks against the model, one sentence each.
    ///
    /// Species that intensity hardly tells apart, atoms as faint as noise. An empty array if nothing does.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// for doubt in model::trace(density, #{ species: ["Fe", "Pt"] }).doubts() { print(doubt); }
    /// ```
    #[rhai_fn(global)]
    pub fn doubts(model: Model) -> Array {
        model.doubts().into_iter().map(Dynamic::from).collect()
    }

    /// Saves the atoms with what is known of each.
    ///
    /// * `path`: extended XYZ (`.xyz`: species x y z, then the columns), PDB (`.pdb`), CIF (`.cif`) or HDF5 (`.h5`, with the rejected peaks).
    ///
    /// In PDB and CIF the occupancy is `probability`; of refined atoms the B factor of PDB is 8π²σ² and U of CIF σ², with σ = `sigma_A`: the uncertainty of a position, no
    /// thermal motion (B is 0.00 where σ is not known). PDB holds positions to 0.001 Å. The cell of the CIF is an empty box around the particle, whose middle programs
    /// move the particle to.
    ///
    /// The file appears only when complete. A folder that does not exist or cannot be written is an error, and what a format has no room for (PDB: 99,999 atoms,
    /// positions from −999.999 to 9999.999 Å).
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// let atoms = model::trace(density, #{ species: ["Fe", "Pt"] });
    /// for ending in ["xyz", "pdb", "cif"] { atoms.save(`atoms.${ending}`); }
    /// ```
    #[rhai_fn(global, return_raw)]
    pub fn save(call: NativeCallContext, model: Model, path: &str) -> ScriptResult<()> {
        saved(&call, path, store::Value::Model((&model).into()))
    }

    /// One line: atoms and intensities of each element, peaks rejected.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"] }).to_string());
    /// ```
    #[rhai_fn(global)]
    pub fn to_string(model: Model) -> String {
        model.to_string()
    }

    /// A few lines: what `to_string` says, what the decisions rest on, and doubts.
    ///
    /// ```rhai
    /// let density = volume::of_structure(structure::bundled("fept_1.5nm"));
    /// print(model::trace(density, #{ species: ["Fe", "Pt"] }).info());
    /// ```
    #[rhai_fn(global)]
    pub fn info(model: Model) -> String {
        let mut text = format!(
            "{model}\nweakest atom over strongest noise {:.2}; species {:.1} standard deviations apart; intensity {}",
            model.noise_gap(),
            model.separation(),
            model.trend(),
        );
        if model.slope().norm() > 0.0 {
            text += &format!("; by {:.1} % an Å from side to side", 100.0 * model.slope().norm());
        }
        for doubt in model.doubts() {
            text += "\ndoubtful: ";
            text += &doubt;
        }
        text
    }
}

/// Takes the half maps out of a map of options.
fn halves(options: &mut Map) -> ScriptResult<Option<[Volume; 2]>> {
    let Some(halves) = options::take::<Array>(options, "halves", "an array of two Volumes")? else { return Ok(None) };
    let wrong = || fault("option \"halves\" must be an array of two Volumes, each from half of the images");
    let volumes: Option<Vec<Volume>> = halves.into_iter().map(Dynamic::try_cast).collect();
    volumes.and_then(|volumes| volumes.try_into().ok()).map(Some).ok_or_else(wrong)
}

fn class_map(class: &Class) -> Map {
    Map::from([
        ("element".into(), class.element.symbol().into()),
        ("count".into(), (class.count as i64).into()),
        ("mean".into(), class.mean.into()),
        ("deviation".into(), class.deviation.into()),
    ])
}

fn refinement_map(refined: Refinement) -> Map {
    let array = |values: &[f64]| Dynamic::from_array(array(values));
    let transfer = |curve: &TransferCurve| {
        Dynamic::from_map(Map::from([
            ("element".into(), curve.element.symbol().into()),
            ("frequencies".into(), array(&curve.frequencies)),
            ("even".into(), array(&curve.even)),
            ("odd".into(), array(&curve.odd)),
            ("even_deviation".into(), array(&curve.even_deviation)),
            ("odd_deviation".into(), array(&curve.odd_deviation)),
        ]))
    };
    let chi2 = refined.chi2.iter().sum::<f64>() / refined.chi2.len().max(1) as f64;
    Map::from([
        ("atoms".into(), Dynamic::from(refined.model)),
        ("poses".into(), Dynamic::from(refined.poses)),
        ("chi2".into(), chi2.into()),
        ("residuals".into(), array(&refined.chi2)),
        ("weights".into(), array(&refined.weights)),
        ("unexplained".into(), refined.unexplained.into()),
        ("low_pass".into(), refined.low_pass.into()),
        ("energy".into(), refined.energy.into()),
        ("bound_pm".into(), (100.0 * refined.bound).into()),
        ("rounds".into(), (refined.rounds as i64).into()),
        ("last_step_pm".into(), (100.0 * refined.last_step).into()),
        ("settled".into(), refined.settled.into()),
        ("transfers".into(), refined.transfers.iter().map(transfer).collect::<Array>().into()),
    ])
}

/// What `model::predicted` and `plot::residuals` need of the map that `model::refine` gives; atoms that were corrected later are there beside those that
/// were fitted.
pub(super) fn fitted(refined: &Map) -> ScriptResult<Fitted> {
    Ok(Fitted {
        model: entry(refined, if refined.contains_key("fitted") { "fitted" } else { "atoms" })?,
        poses: entry(refined, "poses")?,
        transfers: entry::<Array>(refined, "transfers")?.iter().map(transfer_curve).collect::<ScriptResult<_>>()?,
        low_pass: entry(refined, "low_pass")?,
        energy: entry(refined, "energy")?,
    })
}

fn transfer_curve(value: &Dynamic) -> ScriptResult<TransferCurve> {
    let map = value.clone().try_cast::<Map>().ok_or_else(|| fault("a transfer is a map, as model::refine gives it"))?;
    let column = |name: &str| options::numbers(&entry::<Array>(&map, name)?, name);
    let curve = TransferCurve {
        element: entry::<rhai::ImmutableString>(&map, "element")?.parse().map_err(fault)?,
        frequencies: column("frequencies")?,
        even: column("even")?,
        odd: column("odd")?,
        even_deviation: column("even_deviation")?,
        odd_deviation: column("odd_deviation")?,
    };
    let rings = curve.frequencies.len();
    if [&curve.even, &curve.odd, &curve.even_deviation, &curve.odd_deviation].iter().any(|values| values.len() != rings)
    {
        return Err(fault(
            "a transfer has as many even, odd and deviations as frequencies; give what model::refine gave",
        ));
    }
    Ok(curve)
}

/// What a refinement's map holds under a name.
fn entry<T: Clone + Send + Sync + 'static>(refined: &Map, name: &str) -> ScriptResult<T> {
    let value = refined.get(name).and_then(|value| value.clone().try_cast::<T>());
    value.ok_or_else(|| fault(format!("the refinement has no {name}; give the map that model::refine gave")))
}

fn predicted_map((pictures, left): (Predicted, Residuals)) -> Map {
    Map::from([
        ("observed".into(), Dynamic::from(pictures.observed)),
        ("predicted".into(), Dynamic::from(pictures.predicted)),
        ("noise".into(), pictures.noise.into()),
        ("chi2".into(), array(&left.chi2).into()),
        ("frequencies".into(), array(&left.frequencies).into()),
        ("residual_power".into(), array(&left.residual).into()),
        ("image_power".into(), array(&left.image).into()),
    ])
}

fn comparison_map(comparison: Comparison) -> Map {
    let [x, y, z, w] = comparison.rotation.coords.into();
    let pair = |pair: &Pair| Dynamic::from_array(vec![(pair.found as i64).into(), (pair.truth as i64).into()]);
    Map::from([
        ("text".into(), comparison.to_string().into()),
        ("found".into(), (comparison.found as i64).into()),
        ("missing".into(), (comparison.missing as i64).into()),
        ("extra".into(), (comparison.extra as i64).into()),
        ("rmsd_pm".into(), comparison.rmsd_pm.into()),
        ("species_accuracy".into(), comparison.species_accuracy.into()),
        ("radius_A".into(), comparison.radius.into()),
        ("mirrored".into(), comparison.mirrored.into()),
        ("rotation".into(), array(&[w, x, y, z]).into()),
        ("translation".into(), array(comparison.translation.as_slice()).into()),
        ("pairs".into(), comparison.pairs.iter().map(pair).collect::<Array>().into()),
        ("distances_A".into(), comparison.pairs.iter().map(|pair| pair.distance.into()).collect::<Array>().into()),
    ])
}

/// What [`comparison_map`] was made from, for figures.
pub(super) fn comparison(map: &Map) -> ScriptResult<Comparison> {
    let wrong = |name: &str| fault(format!("the comparison has no {name}; give the map that compare gave"));
    let value = |name: &str| map.get(name).cloned().ok_or_else(|| wrong(name));
    let list = |name: &str| value(name)?.try_cast::<Array>().ok_or_else(|| wrong(name));
    let numbers = |name: &str| options::numbers(&list(name)?, name);
    let number = |name: &str| options::numbers(&[value(name)?], name).map(|numbers| numbers[0]);
    let count = |value: &Dynamic, name: &str| {
        value.as_int().ok().and_then(|count| usize::try_from(count).ok()).ok_or_else(|| wrong(name))
    };
    let pair = |(pair, &distance): (&Dynamic, &f64)| {
        let [found, truth] = &pair.as_array_ref().map_err(|_| wrong("pairs"))?[..] else { return Err(wrong("pairs")) };
        Ok(Pair { found: count(found, "pairs")?, truth: count(truth, "pairs")?, distance })
    };
    let [w, x, y, z] = numbers("rotation")?[..] else { return Err(wrong("rotation")) };
    let [dx, dy, dz] = numbers("translation")?[..] else { return Err(wrong("translation")) };
    let distances = numbers("distances_A")?;
    Ok(Comparison {
        found: count(&value("found")?, "found")?,
        missing: count(&value("missing")?, "missing")?,
        extra: count(&value("extra")?, "extra")?,
        rmsd_pm: number("rmsd_pm")?,
        species_accuracy: number("species_accuracy")?,
        radius: number("radius_A")?,
        mirrored: value("mirrored")?.as_bool().map_err(|_| wrong("mirrored"))?,
        rotation: UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z)),
        translation: Vector3::new(dx, dy, dz),
        pairs: list("pairs")?.iter().zip(&distances).map(pair).collect::<ScriptResult<_>>()?,
    })
}
