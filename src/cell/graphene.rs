//! Graphene: the sheets that close the cell.

use nalgebra::{Point2, Rotation2, Vector2};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Lattice constant of graphene \[Å\].
pub const LATTICE_CONSTANT: f64 = 2.46;

/// Distance between layers \[Å\].
pub const LAYER_DISTANCE: f64 = 3.35;

/// Atoms of a cut sheet that would be nearer than this across the frame's edges are left out \[Å\].
const NEAREST: f64 = 1.0;

/// How a sheet fills a periodic frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Its own lattice at any angle, cut at the edges: a seam, and no strain.
    #[default]
    Trimmed,
    /// Stretched as little as makes it periodic, the zigzag direction along x: no seam.
    Commensurate,
}

/// Sheets on one face of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graphene {
    /// Layers, each shifted by a bond as in graphite. Default: 1.
    pub layers: usize,
    pub fit: Fit,
    /// Angle of the zigzag direction from x \[°\], for trimmed sheets; none: at random. Default: none.
    pub rotation: Option<f64>,
}

impl Default for Graphene {
    fn default() -> Self {
        Self { layers: 1, fit: Fit::Trimmed, rotation: None }
    }
}

/// Lattice vectors and the places of the atoms between them.
struct Sheet {
    vectors: [Vector2<f64>; 2],
    atoms: Vec<Vector2<f64>>,
    origin: Vector2<f64>,
}

impl Graphene {
    /// Places (x, y) of the atoms \[Å\] of each layer in a frame of `lx` × `ly` Å.
    pub(super) fn layers(&self, lx: f64, ly: f64, rng: &mut ChaCha8Rng) -> Vec<Vec<Point2<f64>>> {
        let angle = rng.random::<f64>() * 60.0;
        let origin = Vector2::new(rng.random::<f64>() * lx, rng.random::<f64>() * ly);
        let sheet = match self.fit {
            Fit::Trimmed => trimmed(self.rotation.unwrap_or(angle).to_radians(), origin),
            Fit::Commensurate => commensurate(lx, ly, origin),
        };
        (0..self.layers).map(|layer| sheet.within(lx, ly, layer, self.fit == Fit::Trimmed)).collect()
    }
}

fn trimmed(angle: f64, origin: Vector2<f64>) -> Sheet {
    let turn = Rotation2::new(angle);
    let vectors = [Vector2::new(1.0, 0.0), Vector2::new(0.5, 0.75f64.sqrt())].map(|v| turn * v * LATTICE_CONSTANT);
    let atoms = vec![Vector2::zeros(), (vectors[0] + vectors[1]) / 3.0];
    Sheet { vectors, atoms, origin }
}

/// The rectangular cell of four atoms, whole numbers of which fill the frame.
fn commensurate(lx: f64, ly: f64, origin: Vector2<f64>) -> Sheet {
    let fitted = |length: f64, period: f64| length / (length / period).round().max(1.0);
    let (x, y) = (fitted(lx, LATTICE_CONSTANT), fitted(ly, 3.0f64.sqrt() * LATTICE_CONSTANT));
    let places = [(0.0, 0.0), (0.5, 0.5), (0.0, 1.0 / 3.0), (0.5, 5.0 / 6.0)];
    let atoms = places.iter().map(|&(a, b)| Vector2::new(a * x, b * y)).collect();
    Sheet { vectors: [Vector2::new(x, 0.0), Vector2::new(0.0, y)], atoms, origin }
}

/// Strain along x and y of a commensurate sheet in a frame of `lx` × `ly` Å.
pub fn strain(lx: f64, ly: f64) -> [f64; 2] {
    let [x, y] = commensurate(lx, ly, Vector2::zeros()).vectors;
    [x.x / LATTICE_CONSTANT - 1.0, y.y / (3.0f64.sqrt() * LATTICE_CONSTANT) - 1.0]
}

impl Sheet {
    /// Atoms in the frame: folded into it, or cut at its edges.
    fn within(&self, lx: f64, ly: f64, layer: usize, cut: bool) -> Vec<Point2<f64>> {
        let bond = self.atoms.get(if cut { 1 } else { 2 }).copied().unwrap_or_else(Vector2::zeros);
        let start = self.origin + bond * layer as f64;
        let frame = Vector2::new(lx, ly);
        if !cut {
            let repeats = [(lx / self.vectors[0].x).round() as usize, (ly / self.vectors[1].y).round() as usize];
            let cells = (0..repeats[0]).flat_map(|i| (0..repeats[1]).map(move |j| (i as f64, j as f64)));
            let places = cells.flat_map(|(i, j)| {
                let corner = start + self.vectors[0] * i + self.vectors[1] * j;
                self.atoms.iter().map(move |atom| corner + atom)
            });
            return places.map(|place| Point2::new(place.x.rem_euclid(lx), place.y.rem_euclid(ly))).collect();
        }
        let start = start - frame;
        let reach = ((2.0 * frame).norm() / (LATTICE_CONSTANT * 0.75f64.sqrt())).ceil() as i64 + 1;
        let cells = (-reach..=reach).flat_map(|i| (-reach..=reach).map(move |j| (i as f64, j as f64)));
        let places = cells.flat_map(|(i, j)| {
            let corner = start + self.vectors[0] * i + self.vectors[1] * j;
            self.atoms.iter().map(move |atom| corner + atom)
        });
        let inside = places.filter(|place| (0.0..lx).contains(&place.x) && (0.0..ly).contains(&place.y));
        without_overlaps(inside.map(Point2::from).collect(), frame)
    }
}

/// Leaves out atoms that are too near to one across the frame's edges.
fn without_overlaps(places: Vec<Point2<f64>>, frame: Vector2<f64>) -> Vec<Point2<f64>> {
    let near_edge =
        |place: &Point2<f64>| (0..2).any(|axis| place[axis] < NEAREST || place[axis] > frame[axis] - NEAREST);
    let mut kept: Vec<Point2<f64>> = Vec::new();
    let mut seam: Vec<Point2<f64>> = Vec::new();
    for place in places {
        if near_edge(&place) {
            let apart = |other: &Point2<f64>| {
                let mut step = place - other;
                (0..2).for_each(|axis| step[axis] -= (step[axis] / frame[axis]).round() * frame[axis]);
                step.norm()
            };
            if seam.iter().any(|other| apart(other) < NEAREST) {
                continue;
            }
            seam.push(place);
        }
        kept.push(place);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    fn distances(places: &[Point2<f64>], frame: [f64; 2]) -> Vec<Vec<f64>> {
        let apart = |a: &Point2<f64>, b: &Point2<f64>| {
            let mut step = a - b;
            (0..2).for_each(|axis| step[axis] -= (step[axis] / frame[axis]).round() * frame[axis]);
            step.norm()
        };
        places.iter().map(|a| places.iter().map(|b| apart(a, b)).filter(|d| *d > 1e-9 && *d < 1.8).collect()).collect()
    }

    #[test]
    fn a_commensurate_sheet_has_three_bonds_an_atom_across_the_edges_too() {
        let graphene = Graphene { fit: Fit::Commensurate, layers: 2, ..Graphene::default() };
        for layer in graphene.layers(50.0, 50.0, &mut stream(1, "test", 0)) {
            assert_eq!(layer.len(), 4 * 20 * 12);
            for bonds in distances(&layer, [50.0, 50.0]) {
                assert_eq!(bonds.len(), 3);
                assert!(bonds.iter().all(|bond| (bond / 1.42 - 1.0).abs() < 0.03), "{bonds:?}");
            }
        }
        assert!(strain(50.0, 50.0).iter().all(|strain| strain.abs() < 0.025));
    }

    #[test]
    fn a_trimmed_sheet_has_graphene_s_own_density_at_any_angle_and_no_overlaps() {
        for seed in 0..5 {
            let sheet = Graphene::default().layers(50.0, 40.0, &mut stream(seed, "test", 0)).remove(0);
            // two atoms in a cell of 5.24 Å²
            assert!((sheet.len() as f64 / 2000.0 / 0.3816 - 1.0).abs() < 0.03, "{}", sheet.len());
            let bonds = distances(&sheet, [50.0, 40.0]);
            assert!(bonds.iter().flatten().all(|bond| *bond >= NEAREST));
            assert!(bonds.iter().filter(|bonds| bonds.len() == 3).count() as f64 > 0.75 * sheet.len() as f64);
        }
    }
}
