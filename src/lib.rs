//! # pedesis
//!
//! From thousands of noisy TEM images of *one* nanoparticle tumbling in a graphene liquid cell to the 3D position and
//! the element of *each of its atoms*: Brownian one-particle reconstruction, composed in Rhai scripts from native kernels.
//!
//! ```text
//! structure ──► cell ──► microscope ──► images ──► orient ◄──► volume ──► model
//! (atoms of     (liquid,  (kinematic,    (stacks,   (directions, (density:   (atoms again:
//!  a particle)   graphene) multislice,    films,     search,      gridding,   positions,
//!                          optics, noise) samples)   refinement)  FSC)        species)
//!
//!                store (HDF5, MRC, XYZ, …)   plot (PNG, SVG, HTML)   sweep (many runs)
//! ──────────────────────────────────────────────────────────────────────────
//! script: the Rhai embedding, binding files by namespace, what a script may touch, errors, check, help, manual
//! cli:    repl · run · check · help · docs · info
//! ```
//!
//! Arrows point down only: a kernel module imports modules to its left and the foundation below it, `store` and `plot`
//! import kernels, `script` imports all of them, and nothing imports `script` but `cli`. The foundation is eight small
//! files: [`pose`] (where the particle is), [`rotation`] (matrices of rotations), [`fourier`] (transforms on one convention), [`product`] (matrix products),
//! [`memory`] (refusing what does not fit), `statistics` (middles that odd values do not move), [`random`] (streams that do not depend on threads) and [`task`] (progress and
//! cancellation).
//!
//! Lengths are in Å, images are `[n][y][x]`, volumes `[z][y][x]`; the particle's centre is pixel N/2 (integer division).

pub mod fourier;
pub mod memory;
pub mod pose;
pub mod product;
pub mod random;
pub mod rotation;
pub(crate) mod statistics;
pub mod task;

pub mod cell;
pub mod images;
pub mod microscope;
pub mod model;
pub mod orient;
pub mod plot;
pub mod store;
pub mod structure;
pub mod sweep;
pub mod volume;

pub mod cli;
pub mod script;
