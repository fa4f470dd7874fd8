//! Which atom belongs to which site: found from one atom outwards.
//!
//! At a seed the directions to the neighbours are laid on those of the lattice: two of them on every pair of the lattice's with about the same angle,
//! which gives a rotation each; the one under which most of the surroundings fit is taken. From there the sites are given out along bonds, those that
//! fit best first. Every atom carries its own local frame, the least-squares map from the lattice's steps to its bonds, so that
//! a lattice that is bent, relaxed at the surface or stretched far from the seed is followed where one rigid lattice laid over all atoms would slip.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use nalgebra::{Matrix3, Point3, Vector3};

use super::template::{Place, Step, Template};

/// The atoms, their distances and what is near them.
pub struct Cloud<'a> {
    pub points: &'a [Point3<f64>],
    /// Mean length of a bond \[Å\].
    pub bond: f64,
    /// Of each atom, the others within 2.1 bond lengths.
    pub near: &'a [Vec<usize>],
    /// How far an atom may be from where its neighbours say the site is \[Å\].
    pub tolerance: f64,
}

/// Reach of [`Cloud::near`] [bond lengths]: the surroundings compared at a seed, and the tolerance.
pub const REACH: f64 = 2.1;
/// Steps up to this length [nearest distances] are compared at a seed: first and second shell of every lattice here.
const SURROUNDINGS: f64 = 1.68;
/// Bonds at a seed are this long [bond lengths].
const BONDED: [f64; 2] = [0.7, 1.3];
/// Cosine of the largest angle between two directions that fix a rotation well.
const STRAIGHT: f64 = 0.8;
/// Angles between two bonds and between the lattice's that are laid on each other differ by no more [rad].
const SAME_ANGLE: f64 = 0.35;
/// Bonds tried as the second one; and the score that the bonds reach under a rotation worth more work, as a share of the best.
const SECONDS: usize = 4;
const MATCHED: f64 = 0.4;
/// How much the frame of the neighbours counts beside the bonds of an atom itself [bonds].
const PRIOR: f64 = 2.0;

/// How well the surroundings of an atom fit the lattice, and under which map of the lattice's steps to Å.
pub struct Seed {
    pub atom: usize,
    pub place: Place,
    pub frame: Matrix3<f64>,
    /// Number of surrounding sites that are filled, those that fit badly in part.
    pub score: f64,
}

/// Lays the lattice on the surroundings of `atom`, which is on a site `basis` of the cell; none if it has too few bonds.
pub fn seed(cloud: &Cloud, template: &Template, atom: usize, basis: usize) -> Option<Seed> {
    let steps: Vec<&Step> = template.steps[basis].iter().filter(|step| step.vector.norm() < SURROUNDINGS).collect();
    let bonds: Vec<&Step> = steps.iter().copied().filter(|step| step.shell == 0).collect();
    let around: Vec<Vector3<f64>> = cloud.near[atom].iter().map(|&j| cloud.points[j] - cloud.points[atom]).collect();
    let mut first: Vec<Vector3<f64>> = around.clone();
    first.retain(|vector| (BONDED[0] * cloud.bond..BONDED[1] * cloud.bond).contains(&vector.norm()));
    first.sort_by(|a, b| a.norm().total_cmp(&b.norm()));
    let (leading, others) = first.split_first()?;
    let mut best: Option<(f64, Matrix3<f64>)> = None;
    let is_apart = |other: &&Vector3<f64>| leading.normalize().dot(&other.normalize()).abs() < STRAIGHT;
    for other in others.iter().filter(is_apart).take(SECONDS) {
        for one in &bonds {
            for two in
                bonds.iter().filter(|two| (one.vector.angle(&two.vector) - leading.angle(other)).abs() < SAME_ANGLE)
            {
                let turn = triad(leading, other) * triad(&one.vector, &two.vector).transpose() * cloud.bond;
                // most rotations do not even lay the bonds on each other
                if agreement(cloud, &first, &bonds, &turn).0 < MATCHED * first.len().min(bonds.len()) as f64 {
                    continue;
                }
                let score = agreement(cloud, &around, &steps, &turn).0;
                if best.as_ref().is_none_or(|best| score > best.0) {
                    best = Some((score, turn));
                }
            }
        }
    }
    let (_, turn) = best?;
    // twice: the first frame is that of two bonds alone
    let frame = agreement(cloud, &around, &steps, &turn).1;
    let (score, frame) = agreement(cloud, &around, &steps, &frame);
    Some(Seed { atom, place: Place { cell: [0; 3], basis }, frame, score })
}

/// Right-handed axes of which the first is along `a`, the third normal to both.
fn triad(a: &Vector3<f64>, b: &Vector3<f64>) -> Matrix3<f64> {
    let (x, z) = (a.normalize(), a.cross(b).normalize());
    Matrix3::from_columns(&[x, z.cross(&x), z])
}

/// How many steps lead to an atom, and the least-squares frame of those that do.
fn agreement(cloud: &Cloud, around: &[Vector3<f64>], steps: &[&Step], frame: &Matrix3<f64>) -> (f64, Matrix3<f64>) {
    let mut sum = Sums::from(frame);
    let mut score = 0.0;
    for step in steps {
        let expected = frame * step.vector;
        let nearest = around.iter().min_by(|a, b| (*a - expected).norm().total_cmp(&(*b - expected).norm()));
        let Some(found) = nearest else { continue };
        let misfit = (found - expected).norm() / cloud.tolerance;
        if misfit < 1.0 {
            score += 1.0 - misfit * misfit;
            sum.add(found, &step.vector);
        }
    }
    (score, sum.frame())
}

/// Sums of a least-squares map from steps u to vectors v.
struct Sums {
    vu: Matrix3<f64>,
    uu: Matrix3<f64>,
}

impl Sums {
    fn from(prior: &Matrix3<f64>) -> Self {
        Self { vu: prior * PRIOR, uu: Matrix3::identity() * PRIOR }
    }

    fn add(&mut self, v: &Vector3<f64>, u: &Vector3<f64>) {
        self.vu += v * u.transpose();
        self.uu += u * u.transpose();
    }

    fn frame(&self) -> Matrix3<f64> {
        self.vu * self.uu.try_inverse().expect("the prior alone makes it positive")
    }
}

/// An atom that may be on a site.
struct Claim {
    misfit: f64,
    atom: usize,
    place: Place,
}

impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Claim {}

impl PartialOrd for Claim {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Claim {
    /// The heap gives out the largest first: the claim with the smallest misfit; ties in the order of atoms and sites.
    fn cmp(&self, other: &Self) -> Ordering {
        other.misfit.total_cmp(&self.misfit).then_with(|| (other.atom, other.place).cmp(&(self.atom, self.place)))
    }
}

/// The sites of the atoms as far as they hang together, from a seed outwards; none for an atom that is on no site.
pub fn grow(cloud: &Cloud, template: &Template, seed: &Seed) -> Vec<Option<Place>> {
    let mut growth = Growth {
        cloud,
        template,
        places: vec![None; cloud.points.len()],
        frames: vec![seed.frame; cloud.points.len()],
        atoms: HashMap::new(),
        claims: BinaryHeap::new(),
    };
    growth.settle(seed.atom, seed.place);
    while let Some(claim) = growth.claims.pop() {
        let free = growth.places[claim.atom].is_none() && !growth.atoms.contains_key(&claim.place);
        if free && growth.misfit(claim.atom, &claim.place) < 1.0 {
            growth.settle(claim.atom, claim.place);
        }
    }
    growth.places
}

struct Growth<'a> {
    cloud: &'a Cloud<'a>,
    template: &'a Template,
    places: Vec<Option<Place>>,
    frames: Vec<Matrix3<f64>>,
    atoms: HashMap<Place, usize>,
    claims: BinaryHeap<Claim>,
}

impl Growth<'_> {
    /// Bonds of a site that lead to atoms with a site: the atom, and the step to it.
    fn settled<'s>(&'s self, place: &'s Place) -> impl Iterator<Item = (usize, &'s Step)> {
        let bonds = self.template.steps[place.basis].iter().take_while(|step| step.shell == 0);
        bonds.filter_map(|step| self.atoms.get(&place.after(step)).map(|&atom| (atom, step)))
    }

    /// Distance of an atom from where all settled neighbours of the site expect it, in tolerances.
    fn misfit(&self, atom: usize, place: &Place) -> f64 {
        let (mut sum, mut count) = (Vector3::zeros(), 0);
        for (neighbour, step) in self.settled(place) {
            sum += self.cloud.points[neighbour].coords - self.frames[neighbour] * step.vector;
            count += 1;
        }
        (self.cloud.points[atom].coords - sum / f64::from(count)).norm() / self.cloud.tolerance
    }

    /// Puts an atom on a site, and lets the sites bonded to it be claimed.
    fn settle(&mut self, atom: usize, place: Place) {
        let points = self.cloud.points;
        let neighbours: Vec<(usize, Vector3<f64>)> =
            self.settled(&place).map(|(neighbour, step)| (neighbour, step.vector)).collect();
        if !neighbours.is_empty() {
            let total: Matrix3<f64> = neighbours.iter().map(|(neighbour, _)| self.frames[*neighbour]).sum();
            let mut sums = Sums::from(&(total / neighbours.len() as f64));
            for (neighbour, vector) in &neighbours {
                sums.add(&(points[*neighbour] - points[atom]), vector);
            }
            self.frames[atom] = sums.frame();
        }
        self.places[atom] = Some(place);
        self.atoms.insert(place, atom);
        let template = self.template;
        for step in template.steps[place.basis].iter().take_while(|step| step.shell == 0) {
            let target = place.after(step);
            if self.atoms.contains_key(&target) {
                continue;
            }
            let expected = points[atom] + self.frames[atom] * step.vector;
            for &other in &self.cloud.near[atom] {
                if self.places[other].is_none() && (points[other] - expected).norm() < self.cloud.tolerance {
                    let misfit = self.misfit(other, &target);
                    self.claims.push(Claim { misfit, atom: other, place: target });
                }
            }
        }
    }
}
