//! The operations that map a set of sites onto itself, whatever sits on them: those of a lattice, or those that a particle almost has.

use nalgebra::{Matrix3, Point3, UnitQuaternion, Vector3};

use crate::orient::mirrored_in_plane;
use crate::pose::Pose;
use crate::rotation::{quaternion_of, superposing};

/// A rotation or rotoinversion about the origin, followed by a small translation, that takes sites to sites.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The rotation; where it `inverts`, an inversion follows.
    pub rotation: UnitQuaternion<f64>,
    pub inverts: bool,
    /// Translation \[Å\].
    pub offset: Vector3<f64>,
    /// For each site the index of the site it is taken to, if there is one.
    pub image: Vec<Option<usize>>,
    /// Share of the inner sites that are taken to sites.
    pub closure: f64,
}

impl Operation {
    /// What leaves all of `count` sites where they are.
    fn identity(count: usize) -> Self {
        Self {
            rotation: UnitQuaternion::identity(),
            inverts: false,
            offset: Vector3::zeros(),
            image: (0..count).map(Some).collect(),
            closure: 1.0,
        }
    }

    /// Where a point is taken.
    pub fn apply(&self, point: &Point3<f64>) -> Point3<f64> {
        Point3::from(place_of(&self.matrix(), &self.offset, point))
    }

    /// The pose from which a particle that the operation leaves as it is looks as from `pose`.
    pub fn moved(&self, pose: &Pose) -> Pose {
        let turned = pose.rotation * self.rotation;
        let carried = pose.rotation * self.offset;
        Pose {
            // an inverted particle's projection is that of the particle, turned by 180° in the plane
            rotation: if self.inverts { mirrored_in_plane() * turned } else { turned },
            shift: pose.shift + carried.xy(),
        }
    }

    /// Orthogonal matrix, determinant ±1.
    fn matrix(&self) -> Matrix3<f64> {
        self.rotation.to_rotation_matrix().into_inner() * if self.inverts { -1.0 } else { 1.0 }
    }

    /// Whether it carries sites much as (`matrix`, `offset`) does.
    fn is(&self, matrix: &Matrix3<f64>, offset: &Vector3<f64>) -> bool {
        (self.matrix() - matrix).abs().max() < 0.15 && (self.offset - offset).norm() < 2.0 * TOLERANCE
    }
}

/// Two sites are one if they are nearer than this \[Å\]: atoms of a particle are not exactly where its symmetry would have them.
const TOLERANCE: f64 = 0.35;
/// Sites near the centre from each of which operations are sought: one of them may lack its images.
const ANCHORS: usize = 3;
/// Distance from the anchor beyond which its two companions are taken \[Å\]: the longer, the better they fix a rotation.
const BASELINE: f64 = 3.5;
/// Atoms are never nearer to each other than this \[Å\].
const APART: f64 = 1.2;
/// Sites that are looked at before all are.
const SAMPLE: usize = 30;

/// All operations that take at least the share `closure` of the inner sites to sites, with a translation of at most `largest_offset` Å; the
/// identity first. Inner are those that the translation leaves within the sphere about the origin that holds all sites.
///
/// Three sites are taken to all places with the same distances between them; what fits the others is improved by least squares.
pub fn operations(sites: &[Point3<f64>], largest_offset: f64, closure: f64) -> Vec<Operation> {
    let mut order: Vec<usize> = (0..sites.len()).collect();
    order.sort_by(|&a, &b| sites[a].coords.norm().total_cmp(&sites[b].coords.norm()));
    let sample: Vec<usize> = order.iter().copied().step_by(order.len().div_ceil(SAMPLE).max(1)).collect();
    let mut found = vec![Operation::identity(sites.len())];
    for &anchor in order.iter().take(ANCHORS) {
        let Some(triple) = triple_at(sites, anchor) else { continue };
        for (matrix, offset) in carried(sites, triple, largest_offset) {
            let is_known = |matrix, offset| found.iter().any(|known: &Operation| known.is(matrix, offset));
            let is_near =
                |site: usize| nearest(sites, &place_of(&matrix, &offset, &sites[site]), 2.0 * TOLERANCE).is_some();
            if is_known(&matrix, &offset) || share_of_inner(sites, &sample, &offset, is_near) < closure - 0.1 {
                continue;
            }
            let operation = settled(sites, matrix, offset);
            let short = operation.offset.norm() <= largest_offset;
            if short && operation.closure >= closure && !is_known(&operation.matrix(), &operation.offset) {
                found.push(operation);
            }
        }
    }
    found[1..].sort_by(|a, b| {
        b.matrix().trace().total_cmp(&a.matrix().trace()).then(a.offset.norm().total_cmp(&b.offset.norm()))
    });
    found
}

/// The site `anchor` and the two nearest beyond the baseline that make a wide triangle with it.
fn triple_at(sites: &[Point3<f64>], anchor: usize) -> Option<[usize; 3]> {
    let far = |other: usize| (sites[other] - sites[anchor]).norm();
    let mut others: Vec<usize> = (0..sites.len()).filter(|&other| far(other) > BASELINE).collect();
    others.sort_by(|&a, &b| far(a).total_cmp(&far(b)));
    let second = *others.first()?;
    let along = (sites[second] - sites[anchor]).normalize();
    let wide = |&other: &usize| (sites[other] - sites[anchor]).normalize().dot(&along).abs() < 0.8;
    Some([anchor, second, others.into_iter().find(wide)?])
}

/// Rotations and rotoinversions, each with its translation, that take three sites to three others with the same distances.
fn carried(
    sites: &[Point3<f64>],
    [a, b, c]: [usize; 3],
    largest_offset: f64,
) -> impl Iterator<Item = (Matrix3<f64>, Vector3<f64>)> {
    let distance = |i: usize, j: usize| (sites[i] - sites[j]).norm();
    let alike = |i: usize, j: usize, wanted: f64| (distance(i, j) - wanted).abs() < TOLERANCE;
    let (ab, ac, bc) = (distance(a, b), distance(a, c), distance(b, c));
    let from = frame(&sites[a], &sites[b], &sites[c]);
    let reach = largest_offset + TOLERANCE;
    let mut all = Vec::new();
    // the offset bounds how far from its own distance to the centre a site can be taken
    let reachable = |site: usize, to: usize| (sites[to].coords.norm() - sites[site].coords.norm()).abs() <= reach;
    for to_a in (0..sites.len()).filter(|&to| reachable(a, to)) {
        for to_b in (0..sites.len()).filter(|&to| alike(to_a, to, ab) && reachable(b, to)) {
            for to_c in (0..sites.len()).filter(|&to| alike(to_a, to, ac) && alike(to_b, to, bc) && reachable(c, to)) {
                let to = frame(&sites[to_a], &sites[to_b], &sites[to_c]);
                for hand in [1.0, -1.0] {
                    let matrix = to * Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, hand)) * from.transpose();
                    all.push((matrix, sites[to_a].coords - matrix * sites[a].coords));
                }
            }
        }
    }
    all.into_iter().filter(move |(_, offset)| offset.norm() <= reach)
}

/// Orthonormal axes of a triangle: along its first side, in its plane, and normal to it.
fn frame(a: &Point3<f64>, b: &Point3<f64>, c: &Point3<f64>) -> Matrix3<f64> {
    let x = (b - a).normalize();
    let across = c - a;
    let y = (across - x * x.dot(&across)).normalize();
    Matrix3::from_columns(&[x, y, x.cross(&y)])
}

/// The operation near (`matrix`, `offset`) that takes sites nearest to sites, by least squares.
fn settled(sites: &[Point3<f64>], mut matrix: Matrix3<f64>, mut offset: Vector3<f64>) -> Operation {
    for reach in [2.0 * TOLERANCE, TOLERANCE, TOLERANCE] {
        let pairs: Vec<(Vector3<f64>, Vector3<f64>)> = sites
            .iter()
            .filter_map(|site| {
                let to = nearest(sites, &place_of(&matrix, &offset, site), reach)?;
                Some((site.coords, sites[to].coords))
            })
            .collect();
        if pairs.len() < 3 {
            break;
        }
        (matrix, offset) = superposing(&pairs, matrix.determinant().signum());
    }
    let image: Vec<Option<usize>> =
        sites.iter().map(|site| nearest(sites, &place_of(&matrix, &offset, site), TOLERANCE)).collect();
    let all: Vec<usize> = (0..sites.len()).collect();
    let closure = share_of_inner(sites, &all, &offset, |site| image[site].is_some());
    let hand = matrix.determinant().signum();
    Operation { rotation: quaternion_of(&(matrix * hand)), inverts: hand < 0.0, offset, image, closure }
}

fn place_of(matrix: &Matrix3<f64>, offset: &Vector3<f64>, point: &Point3<f64>) -> Vector3<f64> {
    matrix * point.coords + offset
}

/// Share of those that are kept among the inner of the sites `looked_at`.
fn share_of_inner(
    sites: &[Point3<f64>],
    looked_at: &[usize],
    offset: &Vector3<f64>,
    is_kept: impl Fn(usize) -> bool,
) -> f64 {
    let radius = sites.iter().map(|site| site.coords.norm()).fold(0.0, f64::max);
    let is_inner = |&&site: &&usize| sites[site].coords.norm() <= radius - offset.norm() + 1e-6;
    let (mut kept, mut all) = (0u32, 0u32);
    for &site in looked_at.iter().filter(is_inner) {
        all += 1;
        kept += u32::from(is_kept(site));
    }
    f64::from(kept) / f64::from(all.max(1))
}

/// The site nearest to `place`, if it is within `tolerance`.
fn nearest(sites: &[Point3<f64>], place: &Vector3<f64>, tolerance: f64) -> Option<usize> {
    let distances = sites.iter().map(|site| (site.coords - place).norm_squared()).enumerate();
    let (site, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
    (distance < tolerance * tolerance).then_some(site)
}

/// The sites, and the places without one that the operations take them to, each with the index of its site. The result need not be closed under the
/// operations.
pub fn completed(sites: &[Point3<f64>], operations: &[Operation]) -> Vec<(Point3<f64>, usize)> {
    let mut all: Vec<(Point3<f64>, usize)> = sites.iter().copied().zip(0..).collect();
    for operation in operations {
        for (index, site) in sites.iter().enumerate().filter(|(index, _)| operation.image[*index].is_none()) {
            let place = operation.apply(site);
            let room = all.iter().all(|(other, _)| (other - place).norm() > APART);
            if room {
                all.push((place, index));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Element, Lattice, LatticeKind};
    use nalgebra::Vector2;

    fn sites(kind: LatticeKind, species: &[&str], a: f64, c: Option<f64>, centre: [f64; 3]) -> Vec<Point3<f64>> {
        let elements: Vec<Element> = species.iter().map(|symbol| symbol.parse().unwrap()).collect();
        let lattice = Lattice::new(kind, &elements, a, c, None).unwrap();
        lattice.sites_in_sphere(22.0, Vector3::from(centre)).into_iter().map(|(site, _)| site).collect()
    }

    #[test]
    fn each_lattice_has_the_operations_of_its_sites() {
        // rock salt without species is simple cubic, about a site and about the middle of a small cube alike
        for centre in [[0.0; 3], [0.25; 3]] {
            let found = operations(&sites(LatticeKind::Rocksalt, &["Pb", "Se"], 6.12, None, centre), 1.0, 0.98);
            assert_eq!(found.len(), 48, "{centre:?}");
            assert!(found.iter().all(|operation| operation.offset.norm() < 1e-9));
        }
        assert_eq!(operations(&sites(LatticeKind::Fcc, &["Fe"], 3.82, None, [0.0; 3]), 1.0, 0.98).len(), 48);
        // off the symmetry's centre each operation carries the particle a little
        assert_eq!(operations(&sites(LatticeKind::Fcc, &["Fe"], 3.82, None, [0.125, 0.0, 0.0]), 1.0, 0.98).len(), 48);
        // zinc blende: −43m about a site; about the middle of a bond the inversion that swaps the species, too
        let about_site = operations(&sites(LatticeKind::ZincBlende, &["Cd", "Se"], 6.05, None, [0.0; 3]), 1.0, 0.98);
        assert_eq!(about_site.len(), 24);
        let about_bond = operations(&sites(LatticeKind::ZincBlende, &["Cd", "Se"], 6.05, None, [0.125; 3]), 0.1, 0.98);
        assert!(about_bond.iter().any(|operation| operation.inverts && operation.rotation.angle() < 1e-6));
        // wurtzite: 3m about a site, 6mm with the screw's translation of c/2
        let wurtzite = sites(LatticeKind::Wurtzite, &["Cd", "Se"], 4.3, Some(7.0), [0.0; 3]);
        assert!(operations(&wurtzite, 0.1, 0.98).len() >= 6);
    }

    #[test]
    fn images_of_sites_are_where_the_operation_takes_them() {
        let sites = sites(LatticeKind::Rocksalt, &["Pb", "Se"], 6.12, None, [0.1, 0.2, 0.05]);
        for operation in operations(&sites, 1.5, 0.98) {
            for (site, image) in sites.iter().zip(&operation.image) {
                if let Some(image) = image {
                    let taken = operation.apply(site);
                    assert!((taken - sites[*image]).norm() < TOLERANCE);
                }
            }
        }
    }

    #[test]
    fn equivalent_poses_see_sites_at_the_same_places() {
        let sites = sites(LatticeKind::Wurtzite, &["Cd", "Se"], 4.3, Some(7.0), [0.02, 0.01, 0.2]);
        let pose = Pose { rotation: UnitQuaternion::from_euler_angles(0.4, -1.1, 2.0), shift: Vector2::new(0.3, -0.2) };
        let seen = |pose: &Pose, site: &Point3<f64>| (pose.rotation * site.coords).xy() + pose.shift;
        let places: Vec<Vector2<f64>> = sites.iter().map(|site| seen(&pose, site)).collect();
        let found = operations(&sites, 1.0, 0.98);
        assert!(found.len() >= 6 && found.iter().any(|operation| operation.inverts));
        for operation in found {
            let moved = operation.moved(&pose);
            for (site, image) in sites.iter().zip(&operation.image) {
                if let Some(image) = image {
                    // the particle that has the operation shows at its image what it shows here
                    assert!((seen(&moved, site) - places[*image]).norm() < 0.02);
                }
            }
        }
    }
}
