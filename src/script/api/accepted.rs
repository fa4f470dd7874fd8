//! Which options each function takes, for messages, the manual, and `pedesis check`, which must know them without a call.
//!
//! The names and defaults are those of the struct that the function reads its options into. A test runs every example of
//! the manual and compares what was read with this table.

use super::analysis::Lattice;
use super::cell::Draw;
use super::model::PredictedOptions;
use super::orient::MatchOptions;
use super::plot::TablePlot;
use super::poses::DirectionOptions;
use super::structure::Constants;
use super::sweep::Seed;
use super::volume::DensityOptions;
use crate::cell::{Cell, RadialOptions};
use crate::images::{
    AlignOptions, ChooseOptions, DeformOptions, Detector, LagOptions, LineOptions, Noise, PrepareOptions,
    RemoveLatticeOptions, RepairOptions, WindowOptions,
};
use crate::microscope::{Brownian, Microscope, Simulation};
use crate::model::analysis::{
    CoreShellOptions, LatticeOptions, NeighbourOptions, OrderOptions, PairOptions, StrainOptions,
};
use crate::model::{self, CompareOptions, TraceOptions};
use crate::orient::{
    self, AbInitioOptions, AgreementOptions, BreakOptions, CandidateOptions, DrawOptions, PseudoSymmetryOptions,
    ReprojectOptions, SearchOptions, TiltSeriesOptions,
};
use crate::plot::{
    CoverageOptions, DisplacementsPlot, ImagesOptions, LinesOptions, LocalResolutionPlot, PanelsOptions, PowerOptions,
    ReprojectionsOptions, ResidualsOptions, SectionsOptions, SlicesOptions, SpheresOptions, StrainPlot, Titled,
};
use crate::script::options::{Accepted, Both};
use crate::store::{LiquidOptions, StarOptions};
use crate::structure::{Alloy, Displacement, Sphere};
use crate::sweep::Minimize;
use crate::volume::{FscOptions, LocalResolutionOptions, ProjectOptions, ReconstructOptions};

type OnLattice<A> = Both<Lattice, A>;

/// Every function that takes options.
pub const ACCEPTED: &[Accepted] = &[
    Accepted::of::<Constants>("structure::lattice"),
    Accepted::of::<Sphere>("structure::sphere"),
    Accepted::of::<Alloy>("structure::alloyed"),
    Accepted::of::<Displacement>("structure::displaced"),
    Accepted::of::<Cell>("cell::build").and(&["liquid"]),
    Accepted::of::<Cell>("cell::paper").and(&["liquid"]),
    Accepted::of::<LiquidOptions>("cell::liquid"),
    Accepted::of::<RadialOptions>("cell::radial_distribution"),
    Accepted::of::<Draw>("cell::fill"),
    Accepted::of::<Microscope>("microscope::paper"),
    Accepted::of::<Simulation>("microscope::simulate").and(&["poses", "cell"]),
    Accepted::of::<Simulation>("microscope::simulate_to").and(&["poses", "cell"]),
    Accepted::of::<Simulation>("microscope::exit_waves").and(&["poses", "cell"]),
    Accepted::of::<Brownian>("microscope::trajectory"),
    Accepted::of::<Noise>("images::add_noise"),
    Accepted::of::<Detector>("images::detect"),
    Accepted::of::<LineOptions>("images::line_power"),
    Accepted::of::<PrepareOptions>("images::prepare"),
    Accepted::of::<WindowOptions>("images::average"),
    Accepted::of::<LagOptions>("images::lag_correlation"),
    Accepted::of::<ChooseOptions>("images::choose_window"),
    Accepted::of::<AlignOptions>("images::align_frames"),
    Accepted::of::<DeformOptions>("images::deformed"),
    Accepted::of::<RepairOptions>("images::repair"),
    Accepted::of::<RemoveLatticeOptions>("images::remove_lattice"),
    Accepted::of::<AbInitioOptions>("orient::ab_initio"),
    Accepted::of::<SearchOptions>("orient::search"),
    Accepted::of::<CandidateOptions>("orient::candidates"),
    Accepted::of::<orient::RefineOptions>("orient::refine"),
    Accepted::of::<BreakOptions>("orient::break_symmetry"),
    Accepted::of::<PseudoSymmetryOptions>("orient::pseudo_symmetry"),
    Accepted::of::<PseudoSymmetryOptions>("orient::equivalents"),
    Accepted::of::<MatchOptions>("orient::match_power"),
    Accepted::of::<AgreementOptions>("orient::agreement"),
    Accepted::of::<DrawOptions>("orient::draw"),
    Accepted::of::<DirectionOptions>("orient::directions"),
    Accepted::of::<ReprojectOptions>("orient::correlations"),
    Accepted::of::<TiltSeriesOptions>("orient::tilt_series").and(&["shifts"]),
    Accepted::of::<StarOptions>("orient::save"),
    Accepted::of::<ReconstructOptions>("volume::reconstruct").and(&["weights", "scales"]),
    Accepted::of::<FscOptions>("volume::fsc"),
    Accepted::of::<LocalResolutionOptions>("volume::local_resolution"),
    Accepted::of::<ProjectOptions>("volume::project"),
    Accepted::of::<DensityOptions>("volume::of_structure"),
    Accepted::of::<DensityOptions>("volume::of_model"),
    Accepted::of::<TraceOptions>("model::trace").and(&["halves"]),
    Accepted::of::<model::RefineOptions>("model::refine"),
    Accepted::of::<model::RefineOptions>("model::corrected"),
    Accepted::of::<PredictedOptions>("model::predicted"),
    Accepted::of::<CompareOptions>("model::compare"),
    Accepted::of::<NeighbourOptions>("model::neighbours"),
    Accepted::of::<LatticeOptions>("model::fit_lattice"),
    Accepted::of::<OnLattice<StrainOptions>>("model::strain"),
    Accepted::of::<OnLattice<CoreShellOptions>>("model::core_shell"),
    Accepted::of::<PairOptions>("model::pair_distribution"),
    Accepted::of::<OnLattice<OrderOptions>>("model::short_range_order"),
    Accepted::of::<Seed>("sweep::random"),
    Accepted::of::<Minimize>("sweep::minimize"),
    Accepted::of::<super::store::api::Reading>("store::images"),
    Accepted::of::<super::store::api::Reading>("store::volume"),
    Accepted::of::<super::store::api::Reading>("store::poses"),
    Accepted::of::<ImagesOptions>("plot::images"),
    Accepted::of::<PowerOptions>("plot::power_spectrum"),
    Accepted::of::<SlicesOptions>("plot::slices"),
    Accepted::of::<LocalResolutionPlot>("plot::local_resolution"),
    Accepted::of::<CoverageOptions>("plot::coverage"),
    Accepted::of::<ReprojectionsOptions>("plot::reprojections"),
    Accepted::of::<LinesOptions>("plot::lines"),
    Accepted::of::<TablePlot>("plot::table"),
    Accepted::of::<PanelsOptions>("plot::panels"),
    Accepted::of::<SpheresOptions>("plot::spheres").and(&["truth", "comparison"]),
    Accepted::of::<SectionsOptions>("plot::atoms_in_density"),
    Accepted::of::<ResidualsOptions>("plot::residuals"),
    Accepted::of::<Both<Titled, NeighbourOptions>>("plot::neighbours"),
    Accepted::of::<OnLattice<DisplacementsPlot>>("plot::displacements"),
    Accepted::of::<OnLattice<Both<StrainPlot, StrainOptions>>>("plot::strain"),
    Accepted::of::<OnLattice<Both<Titled, CoreShellOptions>>>("plot::core_shell"),
    Accepted::of::<Both<Titled, PairOptions>>("plot::pair_distribution"),
    Accepted::of::<OnLattice<Both<Titled, OrderOptions>>>("plot::short_range_order"),
    Accepted::of::<Titled>("plot::report"),
];
