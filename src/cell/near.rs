//! What is near the particle, and the room it takes.

use std::collections::{HashMap, HashSet};

use nalgebra::{Point3, Vector3};

use crate::structure::Atom;

/// Volume within `radius` of some atoms \[Å³\], counted on a grid of half an Å.
pub fn volume_of(atoms: &[Atom], radius: f64) -> f64 {
    const STEP: f64 = 0.5;
    if atoms.is_empty() {
        return 0.0;
    }
    let cells = atoms.iter().flat_map(|atom| {
        let reach = (radius / STEP).ceil() as i64;
        let home: [i64; 3] = std::array::from_fn(|axis| (atom.position[axis] / STEP).round() as i64);
        let offsets = (-reach..=reach)
            .flat_map(move |x| (-reach..=reach).flat_map(move |y| (-reach..=reach).map(move |z| [x, y, z])));
        offsets.filter_map(move |offset| {
            let cell: [i64; 3] = std::array::from_fn(|axis| home[axis] + offset[axis]);
            let place = Point3::from(cell.map(|x| x as f64 * STEP));
            ((place - atom.position).norm() <= radius).then_some(cell)
        })
    });
    cells.collect::<HashSet<_>>().len() as f64 * STEP.powi(3)
}

/// Atoms sorted into cubes, to find whether any is near a place, across the edges of the frame too.
pub struct Near {
    cubes: HashMap<[i64; 3], Vec<Point3<f64>>>,
    distance: f64,
    /// Corners of the box outside of which nothing is near.
    corners: [Point3<f64>; 2],
}

impl Near {
    /// For places within `distance` \[Å\] of `atoms`, in a frame that is periodic in x and y.
    pub fn new(atoms: &[Atom], distance: f64, frame: [f64; 2]) -> Self {
        let mut near = Self { cubes: HashMap::new(), distance, corners: [Point3::origin(); 2] };
        let inside =
            |image: &Point3<f64>| (0..2).all(|axis| (-distance..frame[axis] + distance).contains(&image[axis]));
        let mut images: Vec<Point3<f64>> = Vec::new();
        for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
            let offset = Vector3::new(f64::from(dx) * frame[0], f64::from(dy) * frame[1], 0.0);
            images.extend(atoms.iter().map(|atom| atom.position + offset).filter(inside));
        }
        let corner = |pick: fn(f64, f64) -> f64, start: f64| {
            Point3::from(std::array::from_fn(|axis| images.iter().map(|image| image[axis]).fold(start, pick)))
        };
        let margin = Vector3::repeat(distance);
        near.corners = [corner(f64::min, f64::MAX) - margin, corner(f64::max, f64::MIN) + margin];
        if distance > 0.0 {
            images.into_iter().for_each(|image| near.cubes.entry(near.cube(&image)).or_default().push(image));
        }
        near
    }

    fn cube(&self, place: &Point3<f64>) -> [i64; 3] {
        std::array::from_fn(|axis| (place[axis] / self.distance).floor() as i64)
    }

    /// Whether an atom is nearer to `place` than the distance.
    pub fn any(&self, place: &Point3<f64>) -> bool {
        let [low, high] = self.corners;
        if !(0..3).all(|axis| (low[axis]..=high[axis]).contains(&place[axis])) {
            return false;
        }
        let [x, y, z] = self.cube(place);
        let around = (0..27).map(|n| [x + n % 3 - 1, y + n / 3 % 3 - 1, z + n / 9 - 1]);
        let mut atoms = around.filter_map(|cube| self.cubes.get(&cube)).flatten();
        atoms.any(|atom| (atom - place).norm_squared() < self.distance * self.distance)
    }
}
