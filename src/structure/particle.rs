//! Particles made: spheres cut from a crystal, species drawn for alloys, atoms displaced.

use nalgebra::{Point3, Vector3};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{Atom, Element, Error, Lattice, LatticeKind, Structure, neighbours};
use crate::random::stream;

/// Largest particle that is built: about 40 nm of platinum.
const MAX_ATOMS: usize = 2_000_000;

/// Two sites are neighbours up to this multiple of the nearest-neighbour distance; the next shell begins at √2 (fcc, rock salt) or further.
const NEIGHBOUR_REACH: f64 = 1.2;

/// How a sphere is cut from a lattice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sphere {
    /// Centre of the sphere in fractional coordinates of the conventional cell. Default: the origin, a site of the first sublattice (not in wurtzite).
    pub centre: [f64; 3],
    /// Draw the centre uniformly from the cell instead. Default: false.
    pub random_centre: bool,
    /// Atoms with fewer nearest neighbours are removed, again and again until none is left. Default: 0.
    pub min_neighbours: usize,
    /// Puts the origin at the centroid of the atoms instead of the sphere's centre. Default: true.
    pub centred: bool,
    /// Fractions of the species of an fcc alloy, in any unit. Default: equal.
    pub composition: Vec<f64>,
    /// Seed of the random centre and of the alloy. Default: 0.
    pub seed: u64,
}

/// Species drawn at random.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alloy {
    /// Fractions of the species, in any unit. Default: equal.
    pub composition: Vec<f64>,
    /// Default: 0.
    pub seed: u64,
}

/// Random displacements of the atoms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Displacement {
    /// Root mean square length, all three axes together \[Å\]. Default: 0.
    pub rms: f64,
    /// Default: 0.
    pub seed: u64,
}

impl Default for Sphere {
    fn default() -> Self {
        Self {
            centre: [0.0; 3],
            random_centre: false,
            min_neighbours: 0,
            centred: true,
            composition: Vec::new(),
            seed: 0,
        }
    }
}

impl Lattice {
    /// The particle left when a sphere of `diameter` \[Å\] is cut from the crystal.
    ///
    /// # Errors
    /// If the diameter is not positive or holds no atom or absurdly many, or an option does not fit the lattice.
    pub fn sphere(&self, diameter: f64, options: &Sphere) -> Result<Structure, Error> {
        if !(diameter.is_finite() && diameter > 0.0) {
            return Err(Error::Diameter(diameter));
        }
        if options.centre.iter().any(|x| !x.is_finite()) {
            return Err(Error::Centre(options.centre));
        }
        let atoms = self.site_density() * std::f64::consts::PI / 6.0 * diameter.powi(3);
        if atoms > MAX_ATOMS as f64 {
            return Err(Error::TooManyAtoms { diameter, atoms, limit: MAX_ATOMS });
        }
        let centre = if options.random_centre {
            let mut rng = stream(options.seed, "sphere centre", 0);
            std::array::from_fn(|_| rng.random())
        } else {
            options.centre.map(|x| x - x.floor())
        };
        let mut sites = self.sites_in_sphere(diameter, Vector3::from(centre));
        drop_undercoordinated(&mut sites, NEIGHBOUR_REACH * self.nearest_distance(), options.min_neighbours);
        if sites.is_empty() {
            return Err(Error::Empty { diameter, min_neighbours: options.min_neighbours });
        }
        let atom =
            |&(position, sublattice): &(Point3<f64>, usize)| Atom { element: self.species()[sublattice], position };
        let name = format!("{} {} sphere {diameter} Å", self.species_label(), self.kind());
        let particle = Structure::new(name, sites.iter().map(atom).collect());
        let particle = if options.centred { particle.centred() } else { particle };
        match self.kind() {
            LatticeKind::Fcc => {
                let alloy = Alloy { composition: options.composition.clone(), seed: options.seed };
                particle.alloyed(self.species(), &alloy)
            }
            _ if options.composition.is_empty() => Ok(particle),
            kind => Err(Error::FixedComposition(kind)),
        }
    }

    fn species_label(&self) -> String {
        self.species().iter().map(|element| element.symbol()).collect()
    }
}

/// Removes sites with fewer than `least` others within `cutoff`, until every one that is left has as many.
fn drop_undercoordinated(sites: &mut Vec<(Point3<f64>, usize)>, cutoff: f64, least: usize) {
    loop {
        let points: Vec<_> = sites.iter().map(|site| site.0).collect();
        let lists = neighbours::within(&points, cutoff);
        let before = sites.len();
        let mut list = lists.iter();
        sites.retain(|_| list.next().is_some_and(|near| near.len() >= least));
        if sites.len() == before {
            return;
        }
    }
}

impl Structure {
    /// The same positions with species drawn at random, in counts as near to the composition as whole atoms allow.
    ///
    /// # Errors
    /// If there is no species, or the composition is not one fraction a species, none negative, with a positive sum.
    pub fn alloyed(&self, species: &[Element], options: &Alloy) -> Result<Self, Error> {
        let equal = vec![1.0; species.len()];
        let fractions = if options.composition.is_empty() { &equal } else { &options.composition };
        let total: f64 = fractions.iter().sum();
        let valid = fractions.iter().all(|&x| x >= 0.0) && total.is_finite() && total > 0.0;
        if fractions.len() != species.len() || !valid {
            return Err(Error::Composition { fractions: fractions.clone(), species: species.len() });
        }
        let mut elements = Vec::with_capacity(self.len());
        for (&element, count) in species.iter().zip(largest_remainders(fractions, self.len())) {
            elements.extend(std::iter::repeat_n(element, count));
        }
        elements.shuffle(&mut stream(options.seed, "alloy", 0));
        let atoms = self.atoms.iter().zip(elements).map(|(atom, element)| Atom { element, ..*atom });
        Ok(Self::new(self.name.clone(), atoms.collect()))
    }

    /// The particle with every atom moved by a Gaussian displacement.
    ///
    /// # Errors
    /// If the root mean square is negative or not a number.
    pub fn displaced(&self, options: &Displacement) -> Result<Self, Error> {
        let rms = options.rms;
        if !(rms.is_finite() && rms >= 0.0) {
            return Err(Error::Displacement(rms));
        }
        let per_axis = rms / 3f64.sqrt();
        let mut rng = stream(options.seed, "displacement", 0);
        let mut atoms = self.atoms.to_vec();
        for atom in &mut atoms {
            atom.position += Vector3::from_fn(|_, _| per_axis * rng.sample::<f64, _>(StandardNormal));
        }
        Ok(Self::new(self.name.clone(), atoms))
    }
}

/// Whole numbers in the proportion of `fractions` that add up to `total`: the largest remainders are rounded up.
fn largest_remainders(fractions: &[f64], total: usize) -> Vec<usize> {
    let sum: f64 = fractions.iter().sum();
    let exact: Vec<f64> = fractions.iter().map(|fraction| fraction / sum * total as f64).collect();
    let mut counts: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|&i, &j| exact[j].fract().total_cmp(&exact[i].fract()));
    let missing = total.saturating_sub(counts.iter().sum());
    for &i in order.iter().take(missing) {
        counts[i] += 1;
    }
    counts
}
