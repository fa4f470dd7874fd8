//! Strain around each atom.
//!
//! For each atom on a site the map F from the lattice to the atoms is found that takes the vectors u between its site and the occupied sites around it to the
//! vectors v between the atoms: the least of Σ w |v − F·u|² (Falk & Langer 1998, Phys. Rev. E 57, 7192, eqs. 2.11–2.14; Shimizu, Ogata & Li 2007, Mater. Trans. 48,
//! 2923, eq. 1), weighted with w = 1/|u|², so that a near neighbour and a far one count by how much they are out of place *in proportion*.
//!
//! F = R·U splits it into a rotation R and a stretch U. The strain is U − 1 (Biot), for the small strains of crystals the usual (F + Fᵀ)/2 − 1, but free of
//! any rotation; its components are along the lattice's axes (cubic axes; in wurtzite x along a₁, z along c). The rotation is that against the lattice of
//! all atoms, the volumetric strain det F − 1.
//!
//! The reference is the fitted lattice, unless a (and c) of another are given: strain against the bulk.
//!
//! Where positions scatter by σ along each axis, a component scatters by σ·√(Σg² + (Σg)²) with the weights g of the fit; the first sum is over the
//! neighbours, the second is the atom's own part, and vanishes in a symmetric surrounding.

use std::fmt;

use nalgebra::{Matrix3, Vector3};
use serde::{Deserialize, Serialize};

use super::lattice::{LatticeFit, Nearby};
use super::{Error, Summary, positive};
use crate::rotation::quaternion_of;
use crate::structure::{LatticeKind, Structure};

/// Options of [`strain`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrainOptions {
    /// Lattice constant that strain is against \[Å\]; default: the fitted one.
    pub a: Option<f64>,
    /// The same for c of wurtzite.
    pub c: Option<f64>,
    /// Shells of sites around an atom that are used; default 2, in wurtzite 3 (which has its second shell split).
    pub shells: Option<usize>,
    /// Atoms with fewer occupied sites around them have no strain; default 6.
    pub min_neighbours: usize,
    /// Standard deviation of a position along an axis \[Å\], for that of the strain; default: not known.
    pub sigma: Option<f64>,
}

impl Default for StrainOptions {
    fn default() -> Self {
        Self { a: None, c: None, shells: None, min_neighbours: 6, sigma: None }
    }
}

/// Names of the components, in the order of [`LocalStrain::components`].
pub const COMPONENTS: [&str; 8] = ["xx", "yy", "zz", "xy", "xz", "yz", "volumetric", "rotation"];

/// Strain around one atom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalStrain {
    /// U − 1, symmetric, in the lattice's axes.
    pub tensor: Matrix3<f64>,
    /// det F − 1.
    pub volumetric: f64,
    /// Angle by which the lattice is turned here \[rad\].
    pub rotation: f64,
    /// Number of occupied sites that it was found from.
    pub neighbours: usize,
    /// Standard deviations of the tensor's components, if that of the positions is known.
    pub deviation: Option<Matrix3<f64>>,
}

impl LocalStrain {
    /// xx, yy, zz, xy, xz, yz, volumetric (all 1 = 100 %), rotation \[rad\].
    pub fn components(&self) -> [f64; 8] {
        let t = &self.tensor;
        [t[(0, 0)], t[(1, 1)], t[(2, 2)], t[(0, 1)], t[(0, 2)], t[(1, 2)], self.volumetric, self.rotation]
    }
}

/// Strain of a particle.
#[derive(Debug, Clone, PartialEq)]
pub struct StrainField {
    pub fit: LatticeFit,
    /// Constants of the lattice that strain is against: a, and c of wurtzite \[Å\].
    pub reference: [f64; 2],
    /// One an atom; none for atoms without a site, with too few neighbours, or with all of them near one plane.
    pub atoms: Vec<Option<LocalStrain>>,
}

impl StrainField {
    /// Mean and standard deviation of a component over the atoms.
    pub fn summary(&self, component: usize) -> Summary {
        Summary::of(self.atoms.iter().flatten().map(|strain| strain.components()[component]))
    }
}

impl fmt::Display for StrainField {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [a, c] = self.reference;
        let constants =
            if self.fit.c.is_some() { format!("a = {a:.4}, c = {c:.4} Å") } else { format!("a = {a:.4} Å") };
        let strained = self.atoms.iter().flatten().count();
        write!(
            f,
            "strain of {strained} of {} atoms against {} of {constants} (mean ± s.d., %):",
            self.atoms.len(),
            self.fit.kind
        )?;
        for (i, name) in COMPONENTS[..7].iter().enumerate() {
            let Summary { mean, deviation, .. } = self.summary(i);
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma} {name} {:.2} ± {:.2}", 100.0 * mean, 100.0 * deviation)?;
        }
        Ok(())
    }
}

/// The weakest direction of the neighbours has at least this share of the mean weight; in a full shell it is 1, on a flat surface 0.3 to 0.5.
const FLATTEST: f64 = 0.1;

/// Finds the strain around each atom, on the lattice that was fitted to the atoms.
///
/// # Errors
/// If an option makes no sense, or the lattice is that of other atoms.
pub fn strain(structure: &Structure, fit: &LatticeFit, options: &StrainOptions) -> Result<StrainField, Error> {
    fit.check(structure)?;
    let sigma = options.sigma.map(|value| positive("sigma", value, "a positive number of Å")).transpose()?;
    let shells = options.shells.unwrap_or(if fit.kind == LatticeKind::Wurtzite { 3 } else { 2 });
    if !(1..=5).contains(&shells) {
        let requirement = "a whole number from 1 to 5";
        return Err(Error::OutOfRange { name: "shells", value: shells as f64, requirement });
    }
    let (stretch, reference) = reference(fit, options)?;
    let sites = fit.surroundings(shells)?;
    let place = |atom: usize| structure.atoms()[atom].position;
    let least = options.min_neighbours.max(3);
    let local = |(atom, around): (usize, &Vec<Nearby>)| {
        let pairs: Vec<(Vector3<f64>, Vector3<f64>)> =
            around.iter().map(|near| (stretch.component_mul(&near.vector), place(near.atom) - place(atom))).collect();
        if pairs.len() < least { None } else { local_strain(&pairs, fit, sigma) }
    };
    let atoms = sites.iter().enumerate().map(local).collect();
    Ok(StrainField { fit: fit.clone(), reference, atoms })
}

/// Factors from the fitted lattice to the reference along its axes, and the constants of the reference.
fn reference(fit: &LatticeFit, options: &StrainOptions) -> Result<(Vector3<f64>, [f64; 2]), Error> {
    let requirement = "within 20 % of the fitted one [Å]";
    let near = |name: &'static str, given: Option<f64>, fitted: f64| match given {
        Some(value) if !(value.is_finite() && (value / fitted - 1.0).abs() <= 0.2) => {
            Err(Error::OutOfRange { name, value, requirement })
        }
        given => Ok(given.unwrap_or(fitted)),
    };
    let a = near("a", options.a, fit.a.value)?;
    let across = a / fit.a.value;
    match (fit.c, options.c) {
        (None, Some(value)) => {
            let requirement = "left out: only wurtzite has it";
            Err(Error::OutOfRange { name: "c", value, requirement })
        }
        (None, None) => Ok((Vector3::repeat(across), [a, a])),
        (Some(fitted), given) => {
            let c = near("c", given, fitted.value)?;
            Ok((Vector3::new(across, across, c / fitted.value), [a, c]))
        }
    }
}

/// Strain from pairs of vectors between sites, in the lattice's axes, and between atoms.
fn local_strain(pairs: &[(Vector3<f64>, Vector3<f64>)], fit: &LatticeFit, sigma: Option<f64>) -> Option<LocalStrain> {
    let (mut vu, mut uu) = (Matrix3::zeros(), Matrix3::zeros());
    for (u, v) in pairs {
        let weight = 1.0 / u.norm_squared();
        vu += v * u.transpose() * weight;
        uu += u * u.transpose() * weight;
    }
    if uu.symmetric_eigenvalues().min() < FLATTEST * uu.trace() / 3.0 {
        return None;
    }
    let inverse = uu.try_inverse()?;
    let gradient = vu * inverse;
    let stretched = (gradient.transpose() * gradient).symmetric_eigen();
    let roots = Matrix3::from_diagonal(&stretched.eigenvalues.map(|value| value.max(0.0).sqrt()));
    let stretch = stretched.eigenvectors * roots * stretched.eigenvectors.transpose();
    let turn = gradient * stretch.try_inverse()?;
    let rotation = fit.rotation.inverse() * quaternion_of(&turn);
    Some(LocalStrain {
        tensor: stretch - Matrix3::identity(),
        volumetric: gradient.determinant() - 1.0,
        rotation: rotation.angle(),
        neighbours: pairs.len(),
        deviation: sigma.map(|sigma| deviations(pairs, &inverse, sigma)),
    })
}

/// Standard deviations of the strain's components where positions scatter by `sigma` along each axis.
fn deviations(pairs: &[(Vector3<f64>, Vector3<f64>)], inverse: &Matrix3<f64>, sigma: f64) -> Matrix3<f64> {
    let (mut squares, mut own) = (Matrix3::zeros(), Vector3::zeros());
    for (u, _) in pairs {
        let g = inverse * u / u.norm_squared();
        squares += g * g.transpose();
        own += g;
    }
    let scatter = squares + own * own.transpose();
    // a shear is the mean of two gradients along different axes, whose errors are independent
    Matrix3::from_fn(|i, j| {
        let variance = if i == j { scatter[(i, i)] } else { 0.25 * (scatter[(i, i)] + scatter[(j, j)]) };
        sigma * variance.sqrt()
    })
}
