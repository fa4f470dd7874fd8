//! Films: consecutive frames of one particle that tumbles in a liquid, made into images that a reconstruction can use.
//!
//! A frame shows little: the liquid, the sheets that close the cell, shot noise, and somewhere in it a particle. Frames that follow each other
//! show it in nearly the same direction, so that their mean keeps it and loses the rest (the paper's moving average); too long a mean blurs it as it
//! turns. [`LagCorrelation`] measures on the frames themselves how fast that happens at each frequency, [`Choice`] weighs it against the noise, and
//! [`Images::average`](super::Images::average) makes the means. Before: [`Images::repair`](super::Images::repair) replaces pixels that are broken,
//! [`Images::without_lattice`](super::Images::without_lattice) takes graphene off, [`Images::aligned`](super::Images::aligned) takes back what the beam
//! and the stage moved.

mod align;
mod choice;
mod lag;
mod lattice;
mod motion;
mod repair;
mod warp;
mod window;

pub use align::{AlignOptions, Aligned};
pub use choice::{Choice, ChooseOptions, Trade};
pub use lag::{LagCorrelation, LagOptions};
pub use lattice::{LatticeRemoved, RemoveLatticeOptions, Sheet};
pub use motion::{DeformOptions, Motion};
pub use repair::{RepairOptions, Repaired};
pub use window::{Order, Shape, WindowOptions};
