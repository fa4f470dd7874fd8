//! Crystal lattices as conventional cells: vectors, and a basis of sites at fractional coordinates.

use std::fmt;
use std::str::FromStr;

use nalgebra::{Matrix3, Point3, Vector3};
use serde::{Deserialize, Serialize};

use super::{Element, Error};

/// A lattice type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatticeKind {
    /// Rock salt, B1 (PbSe).
    Rocksalt,
    /// Zinc blende, B3 (cubic CdSe).
    ZincBlende,
    /// Wurtzite, B4 (hexagonal CdSe).
    Wurtzite,
    /// Face-centred cubic, A1 (Pt, disordered FePt).
    Fcc,
}

impl FromStr for LatticeKind {
    type Err = Error;

    /// "rocksalt", "zincblende", "wurtzite" or "fcc", in any case.
    fn from_str(name: &str) -> Result<Self, Error> {
        match name.to_lowercase().as_str() {
            "rocksalt" => Ok(Self::Rocksalt),
            "zincblende" => Ok(Self::ZincBlende),
            "wurtzite" => Ok(Self::Wurtzite),
            "fcc" => Ok(Self::Fcc),
            _ => Err(Error::UnknownLattice(name.to_owned())),
        }
    }
}

impl fmt::Display for LatticeKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Rocksalt => "rocksalt",
            Self::ZincBlende => "zincblende",
            Self::Wurtzite => "wurtzite",
            Self::Fcc => "fcc",
        })
    }
}

/// One site of the conventional cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site {
    /// Fractional coordinates.
    pub fractional: Vector3<f64>,
    /// Which sublattice it belongs to: 0 or, in the binary lattices, 1. Its species is `species[sublattice]`, but in fcc any of them.
    pub sublattice: usize,
}

/// Ideal value of wurtzite's internal parameter: with c/a = √(8/3) all four bonds are equal.
pub const IDEAL_U: f64 = 3.0 / 8.0;

const FCC: [[f64; 3]; 4] = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]];

/// A crystal: lattice type, constants and species.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lattice {
    kind: LatticeKind,
    a: f64,
    c: Option<f64>,
    u: f64,
    species: Vec<Element>,
}

impl Lattice {
    /// A lattice from its type, constants \[Å\] and species.
    ///
    /// The binary lattices take two species, fcc one, or several for a random alloy. `c` is needed by wurtzite and refused
    /// by the cubic lattices; `u` is wurtzite's internal parameter (the ideal 3/8 if `None`).
    ///
    /// # Errors
    /// If a constant is not positive, missing or out of place, or the number of species is wrong.
    pub fn new(kind: LatticeKind, species: &[Element], a: f64, c: Option<f64>, u: Option<f64>) -> Result<Self, Error> {
        let hexagonal = kind == LatticeKind::Wurtzite;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(a) {
            return Err(Error::LatticeConstant { name: "a", value: a });
        }
        match c {
            Some(_) if !hexagonal => return Err(Error::NoConstantC { kind }),
            None if hexagonal => return Err(Error::MissingC),
            Some(value) if !positive(value) => return Err(Error::LatticeConstant { name: "c", value }),
            _ => {}
        }
        let u = u.unwrap_or(IDEAL_U);
        if !(u > 0.0 && u < 0.5) {
            return Err(Error::InternalParameter(u));
        }
        let (fits, expected) = match kind {
            LatticeKind::Fcc => (!species.is_empty(), "one or more"),
            _ => (species.len() == 2, "two"),
        };
        if !fits {
            return Err(Error::SpeciesCount { kind, expected, found: species.len() });
        }
        Ok(Self { kind, a, c, u, species: species.to_vec() })
    }

    pub fn kind(&self) -> LatticeKind {
        self.kind
    }

    /// Species in the order of the sublattices; for fcc, those of the alloy.
    pub fn species(&self) -> &[Element] {
        &self.species
    }

    /// Vectors of the conventional cell as columns \[Å\]; the hexagonal cell has a₁ along x, c along z, 120° between a₁ and a₂.
    pub fn vectors(&self) -> Matrix3<f64> {
        let a = self.a;
        match self.c {
            None => Matrix3::from_diagonal_element(a),
            Some(c) => Matrix3::new(a, -a / 2.0, 0.0, 0.0, a * 0.75f64.sqrt(), 0.0, 0.0, 0.0, c),
        }
    }

    /// Sites of the conventional cell.
    pub fn basis(&self) -> Vec<Site> {
        let site = |sublattice: usize, shift: [f64; 3]| {
            move |at: &[f64; 3]| Site { fractional: Vector3::from(*at) + Vector3::from(shift), sublattice }
        };
        let (framework, offset): (&[[f64; 3]], _) = match self.kind {
            LatticeKind::Fcc => return FCC.iter().map(site(0, [0.0; 3])).collect(),
            LatticeKind::Rocksalt => (&FCC, [0.5; 3]),
            LatticeKind::ZincBlende => (&FCC, [0.25; 3]),
            LatticeKind::Wurtzite => (&[[1.0 / 3.0, 2.0 / 3.0, 0.0], [2.0 / 3.0, 1.0 / 3.0, 0.5]], [0.0, 0.0, self.u]),
        };
        framework.iter().map(site(0, [0.0; 3])).chain(framework.iter().map(site(1, offset))).collect()
    }

    /// Distance between nearest neighbours \[Å\].
    pub fn nearest_distance(&self) -> f64 {
        let a = self.a;
        match (self.kind, self.c) {
            (LatticeKind::Fcc, _) => a * 0.5f64.sqrt(),
            (LatticeKind::Rocksalt, _) => a / 2.0,
            (LatticeKind::Wurtzite, Some(c)) => {
                // One bond along c of length u·c, three inclined ones.
                let inclined = (a * a / 3.0 + ((0.5 - self.u) * c).powi(2)).sqrt();
                inclined.min(self.u * c)
            }
            _ => a * 0.1875f64.sqrt(),
        }
    }

    /// Sites per Å³.
    pub fn site_density(&self) -> f64 {
        self.basis().len() as f64 / self.vectors().determinant()
    }

    /// All sites within `diameter`/2 \[Å\] of the point at fractional coordinates `centre`: position relative to that point \[Å\], and sublattice.
    pub fn sites_in_sphere(&self, diameter: f64, centre: Vector3<f64>) -> Vec<(Point3<f64>, usize)> {
        let radius = diameter / 2.0;
        let vectors = self.vectors();
        let reciprocal = vectors.try_inverse().expect("a cell with positive constants has a volume");
        // A sphere reaches radius·|b_i| cells along axis i, b_i being the i-th reciprocal vector; sites lie within one more.
        let reach: [f64; 3] = std::array::from_fn(|i| radius * reciprocal.row(i).norm() + 1.0);
        let cells = |i: usize| ((centre[i] - reach[i]).floor() as i64)..=((centre[i] + reach[i]).ceil() as i64);
        let basis = self.basis();
        let mut sites = Vec::new();
        for (n0, n1, n2) in cells(0).flat_map(|i| cells(1).flat_map(move |j| cells(2).map(move |k| (i, j, k)))) {
            let cell = Vector3::new(n0 as f64, n1 as f64, n2 as f64);
            for site in &basis {
                let position = vectors * (cell + site.fractional - centre);
                if position.norm_squared() <= radius * radius {
                    sites.push((Point3::from(position), site.sublattice));
                }
            }
        }
        sites
    }
}

impl fmt::Display for Lattice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let species: String = self.species.iter().map(|element| element.symbol()).collect();
        write!(f, "{species} {}, a = {} Å", self.kind, self.a)?;
        self.c.map_or(Ok(()), |c| write!(f, ", c = {c} Å, u = {}", self.u))
    }
}

#[cfg(test)]
mod tests {
    use super::super::neighbours::{smallest_distance, within};
    use super::*;

    fn lattice(kind: &str, species: &[&str], a: f64, c: Option<f64>) -> Result<Lattice, Error> {
        let species: Vec<Element> = species.iter().map(|s| s.parse().unwrap()).collect();
        Lattice::new(kind.parse()?, &species, a, c, None)
    }

    #[test]
    fn each_atom_has_the_neighbours_of_its_crystal() {
        let ideal_c = Some(4.3 * (8.0f64 / 3.0).sqrt());
        for (kind, species, c, coordination, alike) in [
            ("rocksalt", &["Pb", "Se"][..], None, 6, false),
            ("zincblende", &["Cd", "Se"], None, 4, false),
            ("wurtzite", &["Cd", "Se"], ideal_c, 4, false),
            ("fcc", &["Pt"], None, 12, true),
        ] {
            let lattice = lattice(kind, species, 4.3, c).unwrap();
            let sites = lattice.sites_in_sphere(24.0, Vector3::new(0.1, -7.3, 0.45));
            let points: Vec<_> = sites.iter().map(|site| site.0).collect();
            let distance = lattice.nearest_distance();
            assert!((smallest_distance(&points) - distance).abs() < 1e-9, "{kind}");
            let lists = within(&points, 1.1 * distance);
            for (i, list) in lists.iter().enumerate().filter(|(i, _)| points[*i].coords.norm() < 11.0 - distance) {
                assert_eq!(list.len(), coordination, "{kind}");
                assert!(list.iter().all(|&j| (sites[j].1 == sites[i].1) == alike), "{kind}");
            }
        }
    }

    #[test]
    fn a_large_sphere_holds_as_many_sites_as_its_volume_says() {
        let lattice = lattice("wurtzite", &["Cd", "Se"], 4.3, Some(7.01)).unwrap();
        let sites = lattice.sites_in_sphere(80.0, Vector3::new(0.2, 0.7, 0.4));
        let expected = lattice.site_density() * std::f64::consts::PI / 6.0 * 80f64.powi(3);
        assert!((sites.len() as f64 / expected - 1.0).abs() < 0.01);
        assert!(sites.iter().all(|(position, _)| position.coords.norm() <= 40.0));
    }

    #[test]
    fn a_centre_one_cell_further_gives_the_same_sphere() {
        let lattice = lattice("zincblende", &["Cd", "Se"], 6.077, None).unwrap();
        let here = lattice.sites_in_sphere(25.0, Vector3::new(0.93, 0.24, 0.15));
        let there = lattice.sites_in_sphere(25.0, Vector3::new(5.93, -3.76, 0.15));
        assert_eq!(here.len(), there.len());
        for (p, q) in here.iter().zip(&there) {
            assert!((p.0 - q.0).norm() < 1e-9 && p.1 == q.1);
        }
    }

    #[test]
    fn impossible_lattices_are_refused_with_the_reason() {
        let message = |kind, species, a, c| lattice(kind, species, a, c).unwrap_err().to_string();
        assert!(message("hcp", &["Pt"], 4.0, None).contains("\"hcp\""));
        assert!(message("fcc", &["Pt"], -4.0, None).contains("a = -4"));
        assert!(message("fcc", &["Pt"], f64::NAN, None).contains("a = NaN"));
        assert!(message("fcc", &[], 4.0, None).contains("one or more"));
        assert!(message("rocksalt", &["Pb"], 6.0, None).contains("two"));
        assert!(message("rocksalt", &["Pb", "Se"], 6.0, Some(6.0)).contains("no lattice constant c"));
        assert!(message("wurtzite", &["Cd", "Se"], 4.3, None).contains("needs the lattice constant c"));
        assert!(message("wurtzite", &["Cd", "Se"], 4.3, Some(0.0)).contains("c = 0"));
    }
}
