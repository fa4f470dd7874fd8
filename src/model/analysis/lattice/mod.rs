//! The lattice that the atoms sit on: its kind, orientation and constants, and the way of each atom from its site.
//!
//! No orientation is searched. `grow` reads it from the directions of the neighbours of one atom, and gives out sites from there along the bonds, so that
//! vacancies, atoms between sites and a relaxed surface do no harm. `solve` then lays one rigid lattice through all atoms that have a site: rotation,
//! origin, a, and in wurtzite c and u, by least squares (Gauss and Newton). Atoms more than half a bond from their site are then on none. The standard errors are those of independent displacements of equal size.
//! The four lattices are their own mirror images, so that a particle of either hand is fitted by a rotation.
//!
//! Several rotations give the same lattice; the one nearest to none is taken (of 24 for fcc and rock salt, 12 for zinc blende, whose
//! bonds lead from the first element along [111], 6 for wurtzite, where they lead along +c), with the origin at a cell near the centroid.
//!
//! To find the kind, all are fitted. Compared is the mean square displacement per degree of freedom, Σ min(|d|², t²)/(3N − p), where t is half a bond, also for
//! atoms without a site, and p counts rotation, origin and constants: 7, for wurtzite 9.

mod grow;
mod solve;
mod template;

use std::collections::HashMap;
use std::fmt;

use nalgebra::{Matrix3, Point3, UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};

use super::neighbours::{NeighbourOptions, neighbours};
use super::{Error, elements, positions};
use crate::rotation::{cubic, quaternion_of};
use crate::structure::{Element, LatticeKind, Structure, within};

use grow::{Cloud, Seed};
use solve::{Rigid, Solution};

pub(super) use template::{FARTHEST, Place, Template};

/// Options of [`fit_lattice`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatticeOptions {
    /// `"fcc"`, `"rocksalt"`, `"zincblende"`, `"wurtzite"`, or `"find"` (default): the one that fits best.
    pub lattice: String,
    /// How far an atom may be from where its neighbours say its site is \[Å\]; default: 0.35 of the mean bond length.
    pub tolerance: Option<f64>,
}

impl Default for LatticeOptions {
    fn default() -> Self {
        Self { lattice: "find".to_owned(), tolerance: None }
    }
}

/// A fitted number and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub error: f64,
}

/// The site of an atom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SiteOfAtom {
    /// Number of the cell along each of its vectors.
    pub cell: [i32; 3],
    /// Which of the cell's sites it is, in the order of [`Lattice::basis`](crate::structure::Lattice::basis).
    pub basis: usize,
    /// 0, or 1 for the second element of a compound.
    pub sublattice: usize,
    /// Position of the site in the frame of the atoms \[Å\].
    pub position: Point3<f64>,
    /// From the site to the atom, in the frame of the atoms \[Å\].
    pub displacement: Vector3<f64>,
    /// Whether the atom's element is that of the sublattice; none for fcc, whose sites take any.
    pub agrees: Option<bool>,
}

/// An atom on a site near that of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Nearby {
    pub atom: usize,
    /// Shell of the ideal lattice, from 0.
    pub shell: usize,
    /// To its site, in the lattice's axes, with the fitted constants \[Å\].
    pub vector: Vector3<f64>,
}

/// The lattice of a particle.
///
/// The site of fractional coordinates f is at `rotation`·(vectors·f) + `origin`, with the cell's vectors as [`Lattice::vectors`](crate::structure::Lattice::vectors)
/// has them: cubic axes, or a₁ along x and c along z.
#[derive(Debug, Clone, PartialEq)]
pub struct LatticeFit {
    pub kind: LatticeKind,
    /// \[Å\]
    pub a: Estimate,
    /// Of wurtzite \[Å\].
    pub c: Option<Estimate>,
    /// Of wurtzite: bond along c over c.
    pub u: Option<Estimate>,
    /// From the lattice's axes to the frame of the atoms.
    pub rotation: UnitQuaternion<f64>,
    /// \[Å\]
    pub origin: Point3<f64>,
    /// The elements of the sublattices; of fcc, those of the alloy.
    pub species: Vec<Element>,
    /// One an atom; none for one that is on no site.
    pub sites: Vec<Option<SiteOfAtom>>,
    /// Mean length of a bond \[Å\].
    pub bond: f64,
    vectors: Matrix3<f64>,
}

impl LatticeFit {
    /// A lattice that was fitted earlier: kind, constants (a, and of wurtzite c and u), rotation and origin, and of each atom the cell and which of its sites
    /// it is on.
    ///
    /// # Errors
    /// If it is not the lattice of these atoms.
    pub fn again(
        structure: &Structure,
        kind: LatticeKind,
        constants: [Option<Estimate>; 3],
        (rotation, origin): (UnitQuaternion<f64>, Point3<f64>),
        places: &[Option<([i32; 3], usize)>],
    ) -> Result<Self, Error> {
        let template = Template::new(kind, grow::REACH)?;
        if places.len() != structure.len() || places.iter().flatten().any(|(_, site)| *site >= template.basis.len()) {
            return Err(Error::OtherLattice);
        }
        let bond = neighbours(structure, &NeighbourOptions::default())?.lengths().mean;
        let rigid = Rigid {
            kind,
            rotation,
            origin: origin.coords,
            constants: constants.map(|one| one.map_or(f64::NAN, |one| one.value)),
        };
        let errors = constants.map(|one| one.map_or(f64::NAN, |one| one.error));
        let places: Vec<_> = places.iter().map(|place| place.map(|(cell, basis)| Place { cell, basis })).collect();
        let fit = describe(structure, &Solution { rigid, errors }, &template, &places, bond)?;
        let is_near = |site: &SiteOfAtom| site.displacement.norm() <= ON_SITE * bond;
        if fit.on_sites() > 0 && fit.sites.iter().flatten().all(is_near) { Ok(fit) } else { Err(Error::OtherLattice) }
    }

    /// Whether these are as many atoms as it was fitted to.
    pub(super) fn check(&self, structure: &Structure) -> Result<(), Error> {
        if self.sites.len() == structure.len() { Ok(()) } else { Err(Error::OtherLattice) }
    }

    /// Number of atoms on sites.
    pub fn on_sites(&self) -> usize {
        self.sites.iter().flatten().count()
    }

    /// Share of the atoms that are on sites (0 … 1).
    pub fn share(&self) -> f64 {
        self.on_sites() as f64 / self.sites.len() as f64
    }

    /// Root mean square displacement of the atoms on sites, all three axes together \[Å\].
    pub fn rms(&self) -> f64 {
        let squares: f64 = self.sites.iter().flatten().map(|site| site.displacement.norm_squared()).sum();
        (squares / self.on_sites() as f64).sqrt()
    }

    /// Share of the atoms on sites whose element is that of the sublattice (0 … 1); none for fcc.
    pub fn agreement(&self) -> Option<f64> {
        let judged: Option<Vec<bool>> = self.sites.iter().flatten().map(|site| site.agrees).collect();
        judged.map(|judged| judged.iter().filter(|agrees| **agrees).count() as f64 / judged.len() as f64)
    }

    /// Of each atom, the sites around its own up to `shells` shells of the ideal lattice, as far as there are atoms on them.
    pub(super) fn surroundings(&self, shells: usize) -> Result<Vec<Vec<Nearby>>, Error> {
        let template = Template::new(self.kind, FARTHEST)?;
        let place = |site: &SiteOfAtom| Place { cell: site.cell, basis: site.basis };
        let atom_at: HashMap<Place, usize> =
            self.sites.iter().enumerate().filter_map(|(i, site)| site.as_ref().map(|site| (place(site), i))).collect();
        let crystal = |place: &Place| self.vectors * self.rigid().fractional(&template, place);
        let around = |site: &Option<SiteOfAtom>| {
            let Some(here) = site.as_ref().map(place) else { return Vec::new() };
            let steps = template.steps[here.basis].iter().take_while(|step| step.shell < shells);
            let occupied = steps.filter_map(|step| {
                let there = here.after(step);
                let vector = crystal(&there) - crystal(&here);
                atom_at.get(&there).map(|&atom| Nearby { atom, shell: step.shell, vector })
            });
            occupied.collect()
        };
        Ok(self.sites.iter().map(around).collect())
    }

    fn rigid(&self) -> Rigid {
        let value = |estimate: Option<Estimate>| estimate.map_or(f64::NAN, |estimate| estimate.value);
        let constants = [self.a.value, value(self.c), value(self.u)];
        Rigid { kind: self.kind, rotation: self.rotation, origin: self.origin.coords, constants }
    }

    /// Mean square displacement a degree of freedom, atoms without a site as if half a bond away from one \[Å²\].
    fn misfit(&self) -> f64 {
        let most = (0.5 * self.bond).powi(2);
        let square = |site: &Option<SiteOfAtom>| site.map_or(most, |site| site.displacement.norm_squared().min(most));
        let spare = (3 * self.sites.len()).saturating_sub(Rigid::freedom(self.kind)).max(1);
        self.sites.iter().map(square).sum::<f64>() / spare as f64
    }
}

impl fmt::Display for LatticeFit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let species: String = self.species.iter().map(|element| element.symbol()).collect();
        write!(f, "{species} {}: a = {:.4} ± {:.4} Å", self.kind, self.a.value, self.a.error)?;
        if let (Some(c), Some(u)) = (self.c, self.u) {
            write!(f, ", c = {:.4} ± {:.4} Å, u = {:.4} ± {:.4}", c.value, c.error, u.value, u.error)?;
        }
        write!(f, "; {} of {} atoms on sites, ", self.on_sites(), self.sites.len())?;
        if let Some(agreement) = self.agreement() {
            write!(f, "{:.1} % of them of the right element, ", 100.0 * agreement)?;
        }
        write!(f, "RMS displacement {:.1} pm", 100.0 * self.rms())
    }
}

/// All kinds, in the order they are tried.
const KINDS: [LatticeKind; 4] =
    [LatticeKind::Fcc, LatticeKind::Rocksalt, LatticeKind::ZincBlende, LatticeKind::Wurtzite];
/// Fewer atoms fix no lattice.
const FEWEST: usize = 8;
/// Default of the tolerance [mean bond lengths].
const TOLERANCE: f64 = 0.35;
/// Farther from a site an atom is not on it [mean bond lengths].
const ON_SITE: f64 = 0.5;
/// With a smaller share of the atoms on sites it is not their lattice.
const LEAST_SHARE: f64 = 0.25;
/// Atoms nearest to the centroid that are looked at for a seed.
const SEEDS: usize = 32;
/// Growths from seeds apart, and the share of the atoms from which one is enough: grains and twins.
const GROWTHS: usize = 3;
const ENOUGH: f64 = 0.8;

/// Fits a lattice to atoms, in any orientation, at any place, of either hand.
///
/// # Errors
/// If there are fewer than eight atoms, the lattice is unknown or of other numbers of elements, the tolerance makes no sense, or less than a quarter of the
/// atoms lie on a common lattice.
pub fn fit_lattice(structure: &Structure, options: &LatticeOptions) -> Result<LatticeFit, Error> {
    let points = positions(structure, FEWEST, "fitting a lattice")?;
    let bond = neighbours(structure, &NeighbourOptions::default())?.lengths().mean;
    let tolerance = options.tolerance.unwrap_or(TOLERANCE * bond);
    if !(tolerance > 0.0 && tolerance <= 0.5 * bond) {
        let requirement = "above 0 and at most half a bond length [Å]";
        return Err(Error::OutOfRange { name: "tolerance", value: tolerance, requirement });
    }
    let near = within(&points, grow::REACH * bond);
    let atoms = Atoms { structure, cloud: Cloud { points: &points, bond, near: &near, tolerance } };
    if options.lattice.eq_ignore_ascii_case("find") {
        let fits = KINDS.iter().filter_map(|&kind| atoms.fit(kind).ok());
        return fits.min_by(|one, two| one.misfit().total_cmp(&two.misfit())).ok_or(Error::NoLatticeAtAll);
    }
    let kind = options.lattice.parse().map_err(|_| Error::UnknownLattice(options.lattice.clone()))?;
    atoms.fit(kind)
}

/// What all kinds of lattices are fitted to.
struct Atoms<'a> {
    structure: &'a Structure,
    cloud: Cloud<'a>,
}

impl Atoms<'_> {
    fn fit(&self, kind: LatticeKind) -> Result<LatticeFit, Error> {
        let species = species(self.structure, kind)?;
        let template = Template::new(kind, grow::REACH)?;
        let sublattice = |atom: usize| sublattice(self.structure, kind, &species, atom);
        let mut places = self.largest_growth(&template, &sublattice);
        let solution = self.solve(&template, &mut places)?;
        let (rigid, places) = canonical(&solution.rigid, &template, &places, &self.structure.centroid())?;
        describe(self.structure, &Solution { rigid, ..solution }, &template, &places, self.cloud.bond)
    }

    /// The lattice through the atoms on sites; atoms that turn out to be far from theirs lose them.
    fn solve(&self, template: &Template, places: &mut [Option<Place>]) -> Result<Solution, Error> {
        loop {
            let with_site = |(&point, place): (&Point3<f64>, &Option<Place>)| place.map(|place| (point, place));
            let members: Vec<_> = self.cloud.points.iter().zip(places.iter()).filter_map(with_site).collect();
            let (on_sites, atoms) = (members.len(), places.len());
            let nothing = Error::NoLattice { lattice: name(template.kind), on_sites, atoms };
            if on_sites < FEWEST || (on_sites as f64) < LEAST_SHARE * atoms as f64 {
                return Err(nothing);
            }
            let solution = solve::solve(template, &members, self.cloud.bond).ok_or(nothing)?;
            let rigid = &solution.rigid;
            let vectors = rigid.vectors()?;
            let mut lost = false;
            for (point, place) in self.cloud.points.iter().zip(places.iter_mut()) {
                let is_far = |site: &Place| {
                    let way =
                        point.coords - rigid.origin - rigid.rotation * (vectors * rigid.fractional(template, site));
                    way.norm() > ON_SITE * self.cloud.bond
                };
                if place.as_ref().is_some_and(is_far) {
                    *place = None;
                    lost = true;
                }
            }
            if !lost {
                return Ok(solution);
            }
        }
    }

    /// The sites given out from the seed that reaches most atoms.
    fn largest_growth(&self, template: &Template, sublattice: &impl Fn(usize) -> usize) -> Vec<Option<Place>> {
        let points = self.cloud.points;
        let centre = self.structure.centroid();
        let mut central: Vec<usize> = (0..points.len()).collect();
        central.sort_by(|&i, &j| (points[i] - centre).norm().total_cmp(&(points[j] - centre).norm()));
        central.truncate(SEEDS);
        let basis = |of: usize| template.basis.iter().position(|site| site.sublattice == of).unwrap_or(0);
        let plant = |atom: usize, of: usize| grow::seed(&self.cloud, template, atom, basis(of));
        let mut seeds: Vec<Seed> = central.iter().filter_map(|&atom| plant(atom, sublattice(atom))).collect();
        seeds.sort_by(|one, two| two.score.total_cmp(&one.score));
        let reached = |places: &[Option<Place>]| places.iter().flatten().count();
        let mut taken = vec![false; points.len()];
        let mut largest = vec![None; points.len()];
        for _ in 0..GROWTHS {
            let Some(seed) = seeds.iter().find(|seed| !taken[seed.atom]) else { break };
            let mut places = grow::grow(&self.cloud, template, seed);
            // the seed's own element may be the odd one out
            let right = |(atom, place): (usize, &Option<Place>)| {
                place.is_some_and(|place| template.sublattice(&place) == sublattice(atom))
            };
            if 2 * places.iter().enumerate().filter(|&pair| right(pair)).count() < reached(&places)
                && let Some(other) = plant(seed.atom, 1 - template.sublattice(&seed.place))
            {
                places = grow::grow(&self.cloud, template, &other);
            }
            taken[seed.atom] = true;
            taken.iter_mut().zip(&places).for_each(|(taken, place)| *taken |= place.is_some());
            if reached(&places) > reached(&largest) {
                largest = places;
            }
            if reached(&largest) as f64 >= ENOUGH * points.len() as f64 {
                break;
            }
        }
        largest
    }
}

/// The elements of a structure that can be on a lattice of this kind.
fn species(structure: &Structure, kind: LatticeKind) -> Result<Vec<Element>, Error> {
    let species = elements(structure);
    if kind != LatticeKind::Fcc && species.len() != 2 {
        return Err(Error::Elements { lattice: name(kind), elements: species.len() });
    }
    Ok(species)
}

/// The sublattice that the element of an atom belongs on.
fn sublattice(structure: &Structure, kind: LatticeKind, species: &[Element], atom: usize) -> usize {
    usize::from(kind != LatticeKind::Fcc && structure.atoms()[atom].element != species[0])
}

fn describe(
    structure: &Structure,
    solution: &Solution,
    template: &Template,
    places: &[Option<Place>],
    bond: f64,
) -> Result<LatticeFit, Error> {
    let rigid = &solution.rigid;
    let vectors = rigid.vectors()?;
    let species = species(structure, rigid.kind)?;
    let site = |(atom, place): (usize, &Option<Place>)| {
        let place = place.as_ref()?;
        let position = Point3::from(rigid.rotation * (vectors * rigid.fractional(template, place)) + rigid.origin);
        let of_site = template.sublattice(place);
        let agrees = sublattice(structure, rigid.kind, &species, atom) == of_site;
        Some(SiteOfAtom {
            cell: place.cell,
            basis: place.basis,
            sublattice: of_site,
            position,
            displacement: structure.atoms()[atom].position - position,
            agrees: (rigid.kind != LatticeKind::Fcc).then_some(agrees),
        })
    };
    let estimate = |i: usize| Estimate { value: rigid.constants[i], error: solution.errors[i] };
    let hexagonal = rigid.kind == LatticeKind::Wurtzite;
    let sites = places.iter().enumerate().map(site).collect();
    Ok(LatticeFit {
        kind: rigid.kind,
        a: estimate(0),
        c: hexagonal.then(|| estimate(1)),
        u: hexagonal.then(|| estimate(2)),
        rotation: rigid.rotation,
        origin: rigid.origin.into(),
        species,
        sites,
        bond,
        vectors,
    })
}

fn name(kind: LatticeKind) -> &'static str {
    match kind {
        LatticeKind::Rocksalt => "rocksalt",
        LatticeKind::ZincBlende => "zincblende",
        LatticeKind::Wurtzite => "wurtzite",
        LatticeKind::Fcc => "fcc",
    }
}

/// Proper operations that map a lattice onto itself, on fractional coordinates: f → matrix·f + shift.
fn operations(kind: LatticeKind) -> Vec<(Matrix3<f64>, Vector3<f64>)> {
    if kind == LatticeKind::Wurtzite {
        // the screw axis 6₃ along c
        let screw = Matrix3::new(1.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0);
        return (0..6).map(|n| (screw.pow(n), Vector3::new(0.0, 0.0, 0.5 * f64::from(n)))).collect();
    }
    // those that keep the tetrahedron of bonds, too, change the signs of two axes or none
    let keeps_bonds = |matrix: &Matrix3<f64>| kind != LatticeKind::ZincBlende || matrix.column_sum().product() > 0.0;
    let proper = cubic().into_iter().filter(|matrix| matrix.determinant() > 0.0 && keeps_bonds(matrix));
    proper.map(|matrix| (matrix, Vector3::zeros())).collect()
}

/// The same lattice by the rotation nearest to none and with the origin near `centre`, and the sites as it calls them.
fn canonical(
    rigid: &Rigid,
    template: &Template,
    places: &[Option<Place>],
    centre: &Point3<f64>,
) -> Result<(Rigid, Vec<Option<Place>>), Error> {
    let vectors = rigid.vectors()?;
    let inverse = vectors.try_inverse().expect("a cell with positive constants has a volume");
    let turned = |matrix: &Matrix3<f64>| {
        let back = matrix.try_inverse().expect("an operation can be undone");
        let undone = vectors * back * inverse;
        rigid.rotation * quaternion_of(&undone)
    };
    let candidates = operations(rigid.kind).into_iter().map(|(matrix, shift)| (turned(&matrix), matrix, shift));
    let (rotation, matrix, shift) =
        candidates.min_by(|one, two| one.0.angle().total_cmp(&two.0.angle())).expect("there are operations");
    let origin = rigid.origin - rotation * (vectors * shift);
    let cells = (inverse * (rotation.inverse() * (centre.coords - origin))).map(f64::round);
    let rename = |place: &Place| {
        let fractional = matrix * template.fractional(place) + shift - cells;
        place_at(template, &fractional)
    };
    let places = places.iter().map(|place| place.as_ref().map(rename)).collect();
    Ok((Rigid { rotation, origin: origin + rotation * (vectors * cells), ..*rigid }, places))
}

/// The site at fractional coordinates.
fn place_at(template: &Template, fractional: &Vector3<f64>) -> Place {
    let from_site = |basis: usize| {
        let cell = (fractional - template.basis[basis].fractional).map(f64::round);
        let place = Place { cell: std::array::from_fn(|axis| cell[axis] as i32), basis };
        ((template.fractional(&place) - fractional).norm(), place)
    };
    let sites = (0..template.basis.len()).map(from_site);
    sites.min_by(|one, two| one.0.total_cmp(&two.0)).expect("a cell has sites").1
}
