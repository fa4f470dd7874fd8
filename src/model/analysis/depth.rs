//! Core and surface: how deep each atom lies, and what changes with depth.
//!
//! An atom is at the surface if an empty cone opens from it: no other atom within the cone of a half angle of 50° and a length of 2.1 bonds around some
//! direction (the cone algorithm of Wang, Teitel & Dellago 2005, J. Chem. Phys. 122, 214722, here with all directions tried: a cone that is empty can be moved until
//! two atoms lie on its mantle). A vacancy inside opens none, since there are atoms behind it, nor does the particle have to be convex. The depth of an atom is its
//! distance from the nearest surface atom; the first shell is the surface itself, the others are
//! one width thick each, but that an innermost one of fewer than five atoms is joined to the next.
//!
//! Errors of a composition are binomial, √(p(1 − p)/n); of a bond length and a displacement, those of a mean. A bond belongs to the shell of
//! each of its atoms.

use std::fmt;

use nalgebra::{Point3, Vector3};
use serde::{Deserialize, Serialize};

use super::lattice::{LatticeFit, SiteOfAtom};
use super::neighbours::{Bond, NeighbourOptions, Neighbours, neighbours};
use super::{Error, Summary, elements, kinds, positions};
use crate::structure::{Element, Structure, within};

/// Options of [`core_shell`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoreShellOptions {
    /// Thickness of a shell \[Å\]; default: 1.1 mean bond lengths.
    pub width: Option<f64>,
    /// As [`NeighbourOptions::cutoff`].
    pub cutoff: Option<f64>,
}

/// The atoms of a range of depths.
#[derive(Debug, Clone, PartialEq)]
pub struct Shell {
    /// Least and largest depth \[Å\]; both 0 for the surface.
    pub depth: [f64; 2],
    pub atoms: usize,
    /// Share of each element (0 … 1) and its standard error, in alphabetical order.
    pub composition: Vec<(Element, f64, f64)>,
    /// Number of neighbours.
    pub coordination: Summary,
    /// \[Å\]
    pub bond_length: Summary,
    /// Of the displacements of atoms on sites, root mean square \[Å\].
    pub displacement_rms: Option<f64>,
    /// Their component away from the centroid \[Å\].
    pub outward: Option<Summary>,
}

/// Depths of the atoms, and what changes with them.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreShell {
    /// Thickness of a shell \[Å\].
    pub width: f64,
    /// Distance of each atom from the nearest surface atom \[Å\].
    pub depths: Vec<f64>,
    /// Whether each atom is at the surface.
    pub surface: Vec<bool>,
    /// From the surface inwards; shells without atoms are left out.
    pub shells: Vec<Shell>,
}

impl fmt::Display for CoreShell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let surface = self.surface.iter().filter(|outer| **outer).count();
        let deepest = self.depths.iter().copied().fold(0.0, f64::max);
        write!(f, "{surface} of {} atoms at the surface, the deepest {deepest:.1} Å below it", self.depths.len())?;
        let whole = |shells: &mut dyn Iterator<Item = &Shell>, element: usize| {
            let (share, atoms) = shells.fold((0.0, 0.0), |(share, atoms), shell| {
                (share + shell.composition[element].1 * shell.atoms as f64, atoms + shell.atoms as f64)
            });
            100.0 * share / atoms
        };
        let (outer, inner): (Vec<&Shell>, Vec<&Shell>) = self.shells.iter().partition(|shell| shell.depth[1] == 0.0);
        if outer.is_empty() || inner.is_empty() || outer[0].composition.len() < 2 {
            return Ok(());
        }
        for (i, (element, _, _)) in outer[0].composition.iter().enumerate() {
            let [surface, inside] = [&outer, &inner].map(|shells| whole(&mut shells.iter().copied(), i));
            write!(f, "; {element} {surface:.1} % at the surface, {inside:.1} % below")?;
        }
        Ok(())
    }
}

/// Half angle of the empty cone \[°\], above the 45° that second layers of open faces see, and its length [mean bond lengths].
const CONE: f64 = 50.0;
const CONE_LENGTH: f64 = 2.1;
/// Default thickness of a shell [mean bond lengths].
const WIDTH: f64 = 1.1;
/// An innermost shell of fewer atoms is joined to the one around it: a single atom has no composition.
const FEWEST_INSIDE: usize = 5;
/// Fewer atoms have no inside.
const FEWEST: usize = 4;

/// Finds the surface, and what changes with the depth below it; displacements too if a lattice was fitted to the atoms.
///
/// # Errors
/// If there are fewer than four atoms, none are bonded, an option makes no sense, or the lattice is that of other atoms.
pub fn core_shell(
    structure: &Structure,
    fit: Option<&LatticeFit>,
    options: &CoreShellOptions,
) -> Result<CoreShell, Error> {
    fit.map_or(Ok(()), |fit| fit.check(structure))?;
    let points = positions(structure, FEWEST, "telling core and surface apart")?;
    let bonds = neighbours(structure, &NeighbourOptions { cutoff: options.cutoff, unlike: None })?;
    if bonds.bonds.is_empty() {
        return Err(Error::NoBonds { cutoff: bonds.cutoff });
    }
    let bond = bonds.lengths().mean;
    let width = options.width.unwrap_or(WIDTH * bond);
    if !(width >= 0.1 * bond && width <= 100.0 * bond) {
        let requirement = "from a tenth of a bond length to a hundred [Å]";
        return Err(Error::OutOfRange { name: "width", value: width, requirement });
    }
    let surface = surface_atoms(&points, CONE_LENGTH * bond);
    let depths = depths(&points, &surface);
    let displacement = |site: &Option<SiteOfAtom>| site.map(|site| site.displacement);
    let displacements = fit.map(|fit| fit.sites.iter().map(displacement).collect());
    // depths are multiples of spacings: rounding must not move an atom across the border of a shell
    let shell_of = |&depth: &f64| if depth > 0.0 { 1 + (depth / width - 1e-6).max(0.0) as usize } else { 0 };
    let mut shell: Vec<usize> = depths.iter().map(shell_of).collect();
    while let Some(innermost) = shell.iter().copied().max().filter(|&n| n > 1)
        && shell.iter().filter(|&&n| n == innermost).count() < FEWEST_INSIDE
    {
        shell.iter_mut().filter(|n| **n == innermost).for_each(|n| *n -= 1);
    }
    let elements = elements(structure);
    let kinds = kinds(structure, &elements);
    let centre = structure.centroid();
    let particle = Particle {
        points: &points,
        centre,
        elements,
        kinds,
        bonds: &bonds,
        displacements,
        depths: &depths,
        shell: &shell,
    };
    let deepest = shell.iter().copied().max().unwrap_or(0);
    let shells = (0..=deepest).filter(|n| shell.contains(n)).map(|n| particle.describe(n, width)).collect();
    Ok(CoreShell { width, depths, surface, shells })
}

/// What the description of a shell is made from.
struct Particle<'a> {
    points: &'a [Point3<f64>],
    centre: Point3<f64>,
    elements: Vec<Element>,
    kinds: Vec<usize>,
    bonds: &'a Neighbours,
    displacements: Option<Vec<Option<Vector3<f64>>>>,
    depths: &'a [f64],
    /// Of each atom, 0 for the surface.
    shell: &'a [usize],
}

impl Particle<'_> {
    fn describe(&self, n: usize, width: f64) -> Shell {
        let members: Vec<usize> = (0..self.shell.len()).filter(|&atom| self.shell[atom] == n).collect();
        let atoms = members.len();
        let share = |kind: usize| {
            let share = members.iter().filter(|&&atom| self.kinds[atom] == kind).count() as f64 / atoms as f64;
            (self.elements[kind], share, (share * (1.0 - share) / atoms as f64).sqrt())
        };
        let is_counted = |bond: &&Bond| bond.atoms.iter().any(|&atom| self.shell[atom] == n);
        let lists = &self.bonds.lists;
        let centre = self.centre;
        let moved = self.displacements.as_ref().map(|all| {
            let on_sites = members.iter().filter_map(|&atom| all[atom].map(|displacement| (atom, displacement)));
            on_sites.collect::<Vec<_>>()
        });
        let outward = |&(atom, displacement): &(usize, Vector3<f64>)| {
            displacement.dot(&(self.points[atom] - centre).try_normalize(1e-9).unwrap_or_default())
        };
        let rms = |moved: &Vec<(usize, Vector3<f64>)>| {
            let squares: f64 = moved.iter().map(|(_, displacement)| displacement.norm_squared()).sum();
            (squares / moved.len() as f64).sqrt()
        };
        let deepest = members.iter().map(|&atom| self.depths[atom]).fold(0.0, f64::max);
        let depth = if n == 0 { [0.0; 2] } else { [(n - 1) as f64 * width, deepest.max(n as f64 * width)] };
        Shell {
            depth,
            atoms,
            composition: (0..self.elements.len()).map(share).collect(),
            coordination: Summary::of(members.iter().map(|&atom| lists[atom].len() as f64)),
            bond_length: Summary::of(self.bonds.bonds.iter().filter(is_counted).map(|bond| bond.length)),
            displacement_rms: moved.as_ref().map(rms),
            outward: moved.as_ref().map(|moved| Summary::of(moved.iter().map(outward))),
        }
    }
}

/// Distance of each point from the nearest one at the surface.
fn depths(points: &[Point3<f64>], surface: &[bool]) -> Vec<f64> {
    let outer: Vec<&Point3<f64>> =
        points.iter().zip(surface).filter(|(_, outer)| **outer).map(|(point, _)| point).collect();
    let depth =
        |point: &Point3<f64>| outer.iter().map(|other| (*other - point).norm_squared()).fold(f64::INFINITY, f64::min);
    points.iter().map(|point| depth(point).sqrt()).collect()
}

/// Which points see an empty cone of the given length.
fn surface_atoms(points: &[Point3<f64>], length: f64) -> Vec<bool> {
    let lists = within(points, length);
    let is_open = |(i, list): (usize, &Vec<usize>)| {
        let directions: Vec<Vector3<f64>> = list.iter().map(|&j| (points[j] - points[i]).normalize()).collect();
        has_empty_cone(&directions, CONE.to_radians())
    };
    lists.iter().enumerate().map(is_open).collect()
}

/// Whether some direction is at least `half_angle` away from all given ones.
fn has_empty_cone(directions: &[Vector3<f64>], half_angle: f64) -> bool {
    let cosine = half_angle.cos();
    let is_empty = |axis: &Vector3<f64>| directions.iter().all(|direction| direction.dot(axis) <= cosine + 1e-9);
    for (i, one) in directions.iter().enumerate() {
        let mut alone = true;
        for (j, two) in directions.iter().enumerate() {
            let between = one.dot(two);
            // axes at the half angle from both
            let along = cosine / (1.0 + between);
            let rest = 1.0 - along * along * 2.0 * (1.0 + between);
            let Some(normal) = one.cross(two).try_normalize(1e-9) else { continue };
            if rest < 0.0 {
                continue;
            }
            alone = false;
            let middle = (one + two) * along;
            // each pair once; the other order only says that the first is not alone
            if j > i && (is_empty(&(middle + normal * rest.sqrt())) || is_empty(&(middle - normal * rest.sqrt()))) {
                return true;
            }
        }
        // a cone that touches this atom can be turned around it freely
        if alone {
            return true;
        }
    }
    directions.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cone_is_found_where_directions_leave_room_and_not_where_they_do_not() {
        let octahedron: Vec<Vector3<f64>> =
            (0..3).flat_map(|axis| [1.0, -1.0].map(|sign| Vector3::ith(axis, sign))).collect();
        // the largest empty cone looks along [111], 54.74° from three of the six
        assert!(has_empty_cone(&octahedron, 54.7f64.to_radians()));
        assert!(!has_empty_cone(&octahedron, 54.8f64.to_radians()));
        assert!(has_empty_cone(&octahedron[..5], 89.9f64.to_radians()));
        assert!(has_empty_cone(&octahedron[..1], 89.9f64.to_radians()));
        assert!(has_empty_cone(&[], 1.0));
    }
}
