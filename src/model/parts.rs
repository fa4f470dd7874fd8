//! A model taken apart into tables of numbers, and put together from them with the same bits.

use std::sync::Arc;

use nalgebra::{Point3, Vector3};
use ndarray::{Array2, ArrayView1};

use super::{Class, HalfMaps, Inner, Model, Peak, TracedAtom, Trend, Variable};
use crate::structure::Element;

/// All that a [`Model`] is, as numbers; lengths in Å.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// A row an atom: atomic number, its probability, radius, then as in `rejected`.
    pub atoms: Array2<f64>,
    /// A row a rejected peak: x, y, z, intensity, width, residual, deviations of position and intensity, B factor and its
    /// deviation, shift and difference of the half maps (not a number where they are unknown).
    pub rejected: Array2<f64>,
    /// A row a class: atomic number, number of atoms, mean, deviation.
    pub classes: Array2<f64>,
    /// x, y, z of the centre of mass.
    pub center: [f64; 3],
    /// Noise cut, noise gap, minimum separation, which trend (by its place in `Variable::ALL`) and how much, slope along x, y and z.
    pub limits: [f64; 8],
}

impl From<&Model> for Parts {
    fn from(model: &Model) -> Self {
        let Inner { atoms, rejected, center, classes, noise_cut, noise_gap, min_separation, trend, slope } = &*model.0;
        let atoms = atoms.iter().map(|atom| {
            let peak = row_of(&atom.peak);
            let mut row = [0.0; 3 + PEAK];
            row[..3].copy_from_slice(&[f64::from(atom.element.atomic_number()), atom.probability, atom.radius]);
            row[3..].copy_from_slice(&peak);
            row
        });
        let class =
            |class: &Class| [f64::from(class.element.atomic_number()), class.count as f64, class.mean, class.deviation];
        Self {
            atoms: atoms.collect::<Vec<_>>().into(),
            rejected: rejected.iter().map(row_of).collect::<Vec<_>>().into(),
            classes: classes.iter().map(class).collect::<Vec<_>>().into(),
            center: center.coords.into(),
            limits: [
                *noise_cut,
                *noise_gap,
                *min_separation,
                f64::from(trend.variable as u8),
                trend.amount,
                slope.x,
                slope.y,
                slope.z,
            ],
        }
    }
}

impl TryFrom<Parts> for Model {
    type Error = String;

    fn try_from(parts: Parts) -> Result<Self, String> {
        let atom = |row: ArrayView1<f64>| match row.as_slice() {
            Some(&[number, probability, radius, ref peak @ ..]) => {
                Some(TracedAtom { element: element(number)?, probability, peak: peak_of(peak)?, radius })
            }
            _ => None,
        };
        let class = |row: ArrayView1<f64>| match row.as_slice() {
            Some(&[number, count, mean, deviation]) => {
                Some(Class { element: element(number)?, count: count as usize, mean, deviation })
            }
            _ => None,
        };
        let peak = |row: ArrayView1<f64>| peak_of(row.as_slice()?);
        let [noise_cut, noise_gap, min_separation, variable, amount, x, y, z] = parts.limits;
        let variable = *Variable::ALL.get(variable as usize).ok_or("its trend is none that there is")?;
        Ok(Self(Arc::new(Inner {
            atoms: rows(&parts.atoms, atom).ok_or("the rows of atoms are not those of a model")?,
            rejected: rows(&parts.rejected, peak).ok_or("the rows of rejected peaks are not those of a model")?,
            center: Point3::from(parts.center),
            classes: rows(&parts.classes, class).ok_or("the rows of classes are not those of a model")?,
            noise_cut,
            noise_gap,
            min_separation,
            trend: Trend { variable, amount },
            slope: Vector3::new(x, y, z),
        })))
    }
}

/// Numbers of a peak.
const PEAK: usize = 12;

/// An unknown deviation is not a number there.
fn row_of(peak: &Peak) -> [f64; PEAK] {
    let Peak { position, intensity, width, residual, deviation, intensity_deviation, b_factor, halves } = *peak;
    let [b, of_b] = b_factor.unwrap_or([f64::NAN; 2]);
    let known = |deviation: Option<f64>| deviation.unwrap_or(f64::NAN);
    let [x, y, z] = position.coords.into();
    let [shift, difference] = halves.map_or([f64::NAN; 2], |half| [half.shift, half.difference]);
    [x, y, z, intensity, width, residual, known(deviation), known(intensity_deviation), b, of_b, shift, difference]
}

fn peak_of(row: &[f64]) -> Option<Peak> {
    let &[x, y, z, intensity, width, residual, of_position, of_intensity, b, of_b, shift, difference] = row else {
        return None;
    };
    let known = |deviation: f64| (!deviation.is_nan()).then_some(deviation);
    let (deviation, intensity_deviation) = (known(of_position), known(of_intensity));
    let b_factor = known(b).map(|b| [b, of_b]);
    let halves = known(shift).map(|shift| HalfMaps { shift, difference });
    let position = Point3::new(x, y, z);
    Some(Peak { position, intensity, width, residual, deviation, intensity_deviation, b_factor, halves })
}

fn element(number: f64) -> Option<Element> {
    Element::from_atomic_number(number as u8)
}

fn rows<T>(table: &Array2<f64>, read: impl Fn(ArrayView1<f64>) -> Option<T>) -> Option<Vec<T>> {
    table.as_standard_layout().rows().into_iter().map(read).collect()
}
