//! The operations that map a set of lattice sites onto itself, whatever sits on them.

use nalgebra::{Matrix3, Point3, Vector3};

/// A rotation or rotoinversion about the particle's centre, followed by a small translation, that takes sites to sites.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Orthogonal matrix, determinant ±1.
    pub matrix: Matrix3<f64>,
    /// Translation \[Å\].
    pub offset: Vector3<f64>,
    /// For each site the index of the site it is taken to, if there is one.
    pub image: Vec<Option<usize>>,
}

impl Operation {
    /// The proper rotation S with matrix = ±S.
    pub fn rotation(&self) -> Matrix3<f64> {
        self.matrix * self.matrix.determinant().signum()
    }

    /// Whether the operation inverts.
    pub fn inverts(&self) -> bool {
        self.matrix.determinant() < 0.0
    }
}

/// Two sites are one if they are nearer than this \[Å\].
const TOLERANCE: f64 = 0.15;
/// Share of the inner sites that an operation has to take to sites.
const CLOSURE: f64 = 0.98;

/// All operations of the cubic (48) and the hexagonal holohedry (24, axis along z) that map `sites`, a sphere about the origin, onto itself with a
/// translation of at most `largest_offset` Å; the identity first.
pub fn operations(sites: &[Point3<f64>], largest_offset: f64) -> Vec<Operation> {
    let mut found: Vec<Operation> =
        holohedries().iter().filter_map(|matrix| operation(sites, matrix, largest_offset)).collect();
    // cubic and hexagonal matrices have some in common
    let mut distinct: Vec<Operation> = Vec::new();
    found.sort_by(|a, b| {
        (b.matrix.trace(), a.offset.norm()).partial_cmp(&(a.matrix.trace(), b.offset.norm())).expect("finite")
    });
    for candidate in found {
        if distinct.iter().all(|known| (known.matrix - candidate.matrix).abs().max() > 1e-6) {
            distinct.push(candidate);
        }
    }
    distinct
}

/// The operation with this matrix and the shortest translation, if there is one.
fn operation(sites: &[Point3<f64>], matrix: &Matrix3<f64>, largest_offset: f64) -> Option<Operation> {
    let radius = sites.iter().map(|site| site.coords.norm()).fold(0.0, f64::max);
    let innermost = sites.iter().min_by(|a, b| a.coords.norm().total_cmp(&b.coords.norm()))?;
    let turned = matrix * innermost.coords;
    let mut offsets: Vec<Vector3<f64>> =
        sites.iter().map(|site| site.coords - turned).filter(|offset| offset.norm() <= largest_offset).collect();
    offsets.sort_by(|a, b| a.norm().total_cmp(&b.norm()));
    offsets.into_iter().find_map(|offset| {
        let image: Vec<Option<usize>> =
            sites.iter().map(|site| nearest(sites, &(matrix * site.coords + offset))).collect();
        let inner = |site: &Point3<f64>| site.coords.norm() < radius - offset.norm() - TOLERANCE;
        let (kept, all) = sites
            .iter()
            .zip(&image)
            .filter(|(site, _)| inner(site))
            .fold((0, 0), |(kept, all), (_, image)| (kept + usize::from(image.is_some()), all + 1));
        (kept as f64 >= CLOSURE * f64::from(all)).then_some(Operation { matrix: *matrix, offset, image })
    })
}

fn nearest(sites: &[Point3<f64>], place: &Vector3<f64>) -> Option<usize> {
    sites.iter().position(|site| (site.coords - place).norm_squared() < TOLERANCE * TOLERANCE)
}

/// The matrices of m3̄m and 6/mmm.
pub fn holohedries() -> Vec<Matrix3<f64>> {
    let mut all = Vec::new();
    for permutation in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8 {
            let sign = |axis: usize| if signs >> axis & 1 == 0 { 1.0 } else { -1.0 };
            all.push(Matrix3::from_fn(|row, column| if permutation[row] == column { sign(row) } else { 0.0 }));
        }
    }
    for sixth in 0..6 {
        let (sin, cos) = (std::f64::consts::FRAC_PI_3 * f64::from(sixth)).sin_cos();
        for mirror in [1.0, -1.0] {
            for up in [1.0, -1.0] {
                all.push(Matrix3::new(cos, -sin * mirror, 0.0, sin, cos * mirror, 0.0, 0.0, 0.0, up));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Element, Lattice, LatticeKind};

    fn sites(kind: LatticeKind, species: &[&str], a: f64, c: Option<f64>, centre: [f64; 3]) -> Vec<Point3<f64>> {
        let elements: Vec<Element> = species.iter().map(|symbol| symbol.parse().unwrap()).collect();
        let lattice = Lattice::new(kind, &elements, a, c, None).unwrap();
        lattice.sites_in_sphere(22.0, Vector3::from(centre)).into_iter().map(|(site, _)| site).collect()
    }

    #[test]
    fn each_lattice_has_the_operations_of_its_sites() {
        // rock salt without species is simple cubic, about a site and about the middle of a small cube alike
        for centre in [[0.0; 3], [0.25; 3]] {
            let found = operations(&sites(LatticeKind::Rocksalt, &["Pb", "Se"], 6.12, None, centre), 1.0);
            assert_eq!(found.len(), 48, "{centre:?}");
            assert!(found.iter().all(|operation| operation.offset.norm() < 1e-9));
        }
        assert_eq!(operations(&sites(LatticeKind::Fcc, &["Fe"], 3.82, None, [0.0; 3]), 1.0).len(), 48);
        // off the symmetry's centre each operation carries the particle a little
        assert_eq!(operations(&sites(LatticeKind::Fcc, &["Fe"], 3.82, None, [0.125, 0.0, 0.0]), 1.0).len(), 48);
        // zinc blende: −43m about a site; about the middle of a bond the inversion that swaps the species, too
        let about_site = operations(&sites(LatticeKind::ZincBlende, &["Cd", "Se"], 6.05, None, [0.0; 3]), 1.0);
        assert_eq!(about_site.len(), 24);
        let about_bond = operations(&sites(LatticeKind::ZincBlende, &["Cd", "Se"], 6.05, None, [0.125; 3]), 0.1);
        assert!(about_bond.iter().any(|operation| (operation.matrix + Matrix3::identity()).abs().max() < 1e-9));
        // wurtzite: 3m about a site, 6mm with the screw's translation of c/2
        let wurtzite = sites(LatticeKind::Wurtzite, &["Cd", "Se"], 4.3, Some(7.0), [0.0; 3]);
        assert!(operations(&wurtzite, 0.1).len() >= 6);
    }

    #[test]
    fn images_of_sites_are_where_the_operation_takes_them() {
        let sites = sites(LatticeKind::Rocksalt, &["Pb", "Se"], 6.12, None, [0.1, 0.2, 0.05]);
        for operation in operations(&sites, 1.5) {
            for (site, image) in sites.iter().zip(&operation.image) {
                if let Some(image) = image {
                    let taken = operation.matrix * site.coords + operation.offset;
                    assert!((taken - sites[*image].coords).norm() < TOLERANCE);
                }
            }
        }
    }
}
