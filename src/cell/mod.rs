//! The liquid cell: a box with the particle in its middle, a liquid around it, and graphene above and below.
//!
//! A [`Cell`] says how large the box is and what is in it; [`Cell::fill`] puts a particle into an independent liquid and gives every atom's place. The
//! [`Liquid`] is cut to the room between the sheets, and molecules that would overlap the particle are removed whole; it does not relax
//! around what is put into it. The box is periodic in x and y; z runs along the beam from the entrance face.
//!
//! Simulations of a liquid cell count the defocus from the plane where the electrons leave it, z = height, while the
//! particle floats in the middle: [`defocus_at`].

mod bundled;
mod graphene;
mod liquid;
mod near;
mod radial;

use std::fmt;

use nalgebra::{Point3, Vector3};
use serde::{Deserialize, Serialize};

pub use bundled::bundled;
pub use graphene::{Fit, Graphene, strain};
pub use liquid::Liquid;
pub use radial::{RadialDistribution, RadialOptions};

use crate::random;
use crate::structure::{Atom, Element, Structure};
use near::{Near, volume_of};

/// Why a cell or its liquid cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("\"{name}\" is not a liquid that comes with pedesis (there are {known})")]
    UnknownLiquid { name: String, known: String },
    #[error("the edges of a box must be positive numbers of Å, got {0:?}")]
    Box([f64; 3]),
    #[error("the molecules of \"{name}\" do not add up to its {atoms} atoms at every time")]
    Molecules { name: String, atoms: usize },
    #[error("\"{0}\" has no positions, or some that are not numbers")]
    Positions(String),
    #[error("{name} = {value} Å is out of range: it must be {range}")]
    Setting { name: &'static str, value: f64, range: &'static str },
    #[error("{0} layers of graphene do not fit into the cell: give fewer, or a higher cell")]
    Layers(usize),
    #[error("the liquid has no {0}")]
    NoSuchAtom(String),
    #[error(
        "the particle reaches {reach:.1} Å from its origin: it does not fit between the sheets of a cell {height} Å high; give a higher one"
    )]
    TooHigh { reach: f64, height: f64 },
}

/// The defocus \[Å\] (positive = underfocus) at an atom `z` \[Å\] above the particle's centre (towards the exit face), in a cell of `height` \[Å\] and a
/// microscope focused `defocus` \[Å\] with respect to the exit face: defocus − (height − height of the atom).
pub fn defocus_at(height: f64, defocus: f64, z: f64) -> f64 {
    defocus - (height - (height / 2.0 + z))
}

/// Distance of the outermost graphene from the faces of the cell \[Å\].
const MARGIN: f64 = 1.0;

/// Room between graphene and the nearest atoms of the liquid \[Å\]: a little less than between layers of graphite.
const WALL: f64 = 2.6;

/// A liquid cell. The default is the paper's box without liquid and graphene: vacuum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cell {
    /// Edges of the box \[Å\]. Default: 50, 50, 100.
    pub size: [f64; 3],
    /// Liquid between the sheets. Default: none.
    #[serde(skip)]
    pub liquid: Option<Liquid>,
    /// Graphene on either face. Default: none.
    pub graphene: Option<Graphene>,
    /// Molecules with an atom nearer than this to an atom of the particle are removed \[Å\]. Default: 2.5.
    pub clearance: f64,
}

impl Default for Cell {
    fn default() -> Self {
        Self { size: [50.0, 50.0, 100.0], liquid: None, graphene: None, clearance: 2.5 }
    }
}

/// The cell of the paper: 50 × 50 × 100 Å of toluene between single sheets of graphene.
pub fn paper() -> Cell {
    Cell { liquid: bundled("toluene").ok(), graphene: Some(Graphene::default()), ..Cell::default() }
}

/// A particle in its cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// The atoms in the box \[Å\]: the particle's in their order, then the liquid's, then the graphene's.
    pub atoms: Vec<Atom>,
    /// How many of them are the particle's, the liquid's and the graphene's.
    pub counts: [usize; 3],
    /// Molecules that had to make room for the particle.
    pub molecules_removed: usize,
}

impl Cell {
    /// Height of the cell along the beam \[Å\].
    pub fn height(&self) -> f64 {
        self.size[2]
    }

    /// Every element that the cell adds to those of the particle.
    pub fn elements(&self) -> Vec<Element> {
        let mut elements = self.liquid.as_ref().map_or(Vec::new(), |liquid| liquid.elements().to_vec());
        if self.graphene.is_some() {
            elements.push(carbon());
        }
        elements.sort_unstable();
        elements.dedup();
        elements
    }

    /// Fails, naming the setting, if one is out of range.
    pub fn check(&self) -> Result<(), Error> {
        if !self.size.iter().all(|edge| (1.0..=10_000.0).contains(edge)) {
            return Err(Error::Box(self.size));
        }
        if !(0.0..=20.0).contains(&self.clearance) {
            return Err(Error::Setting { name: "clearance", value: self.clearance, range: "from 0 to 20 Å" });
        }
        match self.graphene {
            Some(graphene) if graphene.layers == 0 || self.room().is_none() => Err(Error::Layers(graphene.layers)),
            _ => Ok(()),
        }
    }

    /// From where to where liquid can be along z \[Å\]; none if the sheets leave no room.
    fn room(&self) -> Option<(f64, f64)> {
        let below = self.graphene.map_or(0.0, |graphene| {
            MARGIN + graphene::LAYER_DISTANCE * graphene.layers.saturating_sub(1) as f64 + WALL
        });
        (2.0 * below < self.height()).then_some((below, self.height() - below))
    }

    /// Puts `particle`, given relative to its centre in the laboratory's axes, into the middle of the cell (`centre` in x and y), with the sheets of
    /// `seed` and its liquid number `index`: other indices are independent liquids, equal ones the same.
    ///
    /// # Errors
    /// If a setting is out of range, or the particle does not fit between the sheets.
    pub fn fill(&self, particle: &[Atom], centre: [f64; 2], seed: u64, index: u64) -> Result<Filled, Error> {
        self.check()?;
        let middle = Vector3::new(centre[0], centre[1], 0.5 * self.height());
        let mut atoms: Vec<Atom> =
            particle.iter().map(|atom| Atom { position: atom.position + middle, ..*atom }).collect();
        let (low, high) = self.room().ok_or(Error::Layers(0))?;
        let reach = particle.iter().map(|atom| atom.position.z.abs()).fold(0.0, f64::max);
        if reach > middle.z - low {
            return Err(Error::TooHigh { reach, height: self.height() });
        }
        let mut molecules_removed = 0;
        let of_particle = atoms.len();
        if let Some(liquid) = &self.liquid {
            let room = [self.size[0], self.size[1], high - low];
            let near = Near::new(&atoms, self.clearance, [self.size[0], self.size[1]]);
            for mut molecule in liquid.snapshot(seed, index).fill(room) {
                molecule.iter_mut().for_each(|atom| atom.position.z += low);
                if !molecule.iter().all(|atom| (low..=high).contains(&atom.position.z)) {
                    continue;
                }
                if molecule.iter().any(|atom| near.any(&atom.position)) {
                    molecules_removed += 1;
                    continue;
                }
                atoms.extend(molecule);
            }
        }
        let of_liquid = atoms.len() - of_particle;
        self.add_graphene(seed, &mut atoms);
        let counts = [of_particle, of_liquid, atoms.len() - of_particle - of_liquid];
        Ok(Filled { atoms, counts, molecules_removed })
    }

    /// The sheets are those of one cell: the same for all liquids under a seed.
    fn add_graphene(&self, seed: u64, atoms: &mut Vec<Atom>) {
        let Some(graphene) = self.graphene else { return };
        let mut rng = random::stream(seed, "graphene", 0);
        for is_exit in [false, true] {
            for (layer, places) in graphene.layers(self.size[0], self.size[1], &mut rng).into_iter().enumerate() {
                let depth = MARGIN + graphene::LAYER_DISTANCE * layer as f64;
                let z = if is_exit { self.height() - depth } else { depth };
                let atom = |place: nalgebra::Point2<f64>| Atom {
                    element: carbon(),
                    position: Point3::new(place.x, place.y, z),
                };
                atoms.extend(places.into_iter().map(atom));
            }
        }
    }

    /// Density of a liquid that fills a cell [g/cm³]: its mass over the room between the sheets that the particle does not take.
    pub fn liquid_density(&self, filled: &Filled) -> f64 {
        let [particle, liquid, _] = filled.counts;
        let (low, high) = self.room().unwrap_or((0.0, self.height()));
        let room = self.size[0] * self.size[1] * (high - low);
        // each atom of the particle takes a sphere whose radius is the clearance, of which neighbours share much
        let taken = volume_of(&filled.atoms[..particle], self.clearance);
        liquid::density(filled.atoms[particle..particle + liquid].iter().map(|atom| atom.element), room - taken)
    }
}

fn carbon() -> Element {
    "C".parse().expect("an element")
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [x, y, z] = self.size;
        write!(f, "{x} × {y} × {z} Å")?;
        match &self.liquid {
            Some(liquid) => write!(f, ", {}", liquid.name())?,
            None => write!(f, ", no liquid")?,
        }
        match self.graphene {
            Some(graphene) if graphene.layers == 1 => write!(f, ", a sheet of graphene on either face"),
            Some(graphene) => write!(f, ", {} layers of graphene on either face", graphene.layers),
            None => write!(f, ", no graphene"),
        }
    }
}

impl Filled {
    /// All atoms as one structure, in the coordinates of the box.
    pub fn structure(&self, name: &str) -> Structure {
        Structure::new(name, self.atoms.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_of_the_paper_s_cell_is_ten_angstrom_underfocus() {
        assert_eq!(defocus_at(100.0, 60.0, 0.0), 10.0);
        assert_eq!(defocus_at(100.0, 60.0, 50.0), 60.0);
        assert_eq!(defocus_at(50.0, 60.0, 0.0), 35.0);
    }
}
