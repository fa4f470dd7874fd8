//! What intensities change with towards the surface: how exposed each atom is.
//!
//! Blurred poses make outer atoms fainter, atoms that vibrate more too, and dynamical scattering makes them brighter. In a sphere any measure of where an atom lies will do; in a
//! rod or on facets the distance from the surface, or the number of neighbours, may say more than that from the centre.

use std::fmt;

use nalgebra::{Point3, Vector3};
use serde::{Deserialize, Serialize};

use super::analysis::{CoreShellOptions, NeighbourOptions, core_shell, neighbours};
use crate::structure::{Atom, Element, Structure};

/// Which trend of the intensities is fitted together with the species.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrendChoice {
    /// The radial one, unless another explains the intensities clearly better; none unless it is clear.
    #[default]
    Auto,
    Radial,
    Surface,
    Coordination,
    None,
}

/// What a trend follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// Distance from the centre r, as (r/r_max)².
    Radial,
    /// Distance from the nearest surface atom d, as (1 − d/d_max)²: in a sphere the same as the radial one.
    Surface,
    /// Number n of neighbours within the first shell, as 1 − n/n_max.
    Coordination,
}

/// How intensity changes: by 1 − amount·exposure, exposure from 0 inside to 1 for the most exposed atom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    pub variable: Variable,
    /// Part of the intensity lost by the most exposed atom; negative if it gains (−1 … 0.6).
    pub amount: f64,
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let verb = if self.amount < 0.0 { "grows" } else { "falls" };
        let from = match self.variable {
            Variable::Radial => "from centre to surface",
            Variable::Surface => "from the deepest atoms to the surface",
            Variable::Coordination => "from the most neighbours to none",
        };
        write!(f, "{verb} by {:.0} % {from}", 100.0 * self.amount.abs())
    }
}

impl TrendChoice {
    fn variables(self) -> &'static [Variable] {
        match self {
            Self::Auto => &[Variable::Radial, Variable::Surface, Variable::Coordination],
            Self::Radial => &[Variable::Radial],
            Self::Surface => &[Variable::Surface],
            Self::Coordination => &[Variable::Coordination],
            Self::None => &[],
        }
    }

    /// How exposed the atoms at some points are, by every measure that comes into question and can be had.
    pub(super) fn exposures(self, points: &[Point3<f64>]) -> Vec<Exposure> {
        self.variables().iter().filter_map(|&variable| Exposure::of(points, variable)).collect()
    }
}

impl Variable {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 3] = [Self::Radial, Self::Surface, Self::Coordination];
}

/// A variable at each atom.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    pub variable: Variable,
    /// Å, or a number of neighbours.
    pub values: Vec<f64>,
    /// Of the values.
    pub largest: f64,
}

impl Exposure {
    /// Nothing if the points are too few, or too far from each other, to have neighbours or an inside.
    pub(super) fn of(points: &[Point3<f64>], variable: Variable) -> Option<Self> {
        // one element, as all neighbours count
        let atoms = || {
            points.iter().map(|&position| Atom { element: Element::from_atomic_number(1).expect("hydrogen"), position })
        };
        let structure = || Structure::new("points", atoms().collect());
        let values: Vec<f64> = match variable {
            Variable::Radial => {
                let count = points.len().max(1) as f64;
                let centroid = points.iter().map(|point| point.coords).sum::<Vector3<f64>>() / count;
                points.iter().map(|point| (point.coords - centroid).norm()).collect()
            }
            Variable::Surface => core_shell(&structure(), None, &CoreShellOptions::default()).ok()?.depths,
            Variable::Coordination => {
                let all = NeighbourOptions { unlike: Some(false), ..NeighbourOptions::default() };
                neighbours(&structure(), &all).ok()?.coordination().into_iter().map(|count| count as f64).collect()
            }
        };
        let largest = values.iter().copied().fold(0.0, f64::max);
        (largest > 0.0 || variable == Variable::Radial).then_some(Self { variable, values, largest })
    }

    /// From 0 inside to 1 for the most exposed atom, for a value of the variable.
    pub fn at(&self, value: f64) -> f64 {
        let part = value / self.largest.max(1e-9);
        match self.variable {
            Variable::Radial => part * part,
            Variable::Surface => (1.0 - part) * (1.0 - part),
            Variable::Coordination => 1.0 - part,
        }
    }

    /// The same of every atom.
    pub(super) fn parts(&self) -> Vec<f64> {
        self.values.iter().map(|&value| self.at(value)).collect()
    }
}
