//! Motions worth a closer look, from congruent triangles.

use nalgebra::{Matrix3, Unit, UnitQuaternion, Vector3};
use rand::RngExt;
use rayon::prelude::*;

use super::assign::Neighbours;
use super::motion::Motion;
use crate::random;
use crate::task::{Cancelled, Task};

/// Triangles tried: this number over that of the points, which keeps the time in bounds, but no fewer and no more than these.
const TRIANGLES_TIMES_POINTS: usize = 12_000;
const TRIANGLES: (usize, usize) = (16, 96);
/// Sides of a triangle may differ by this from its image's \[Å\]: twice the scatter of a distance between atoms that are 0.2 Å off.
const SIDE_TOLERANCE: f64 = 0.5;
/// Sides sought, in parts of the radius of the set, and at most \[Å\]: long sides fix the rotation, longer ones have too many images.
const SIDES: (f64, f64) = (0.4, 1.1);
const LONGEST_SIDES: (f64, f64) = (5.0, 10.0);
/// Points by which a motion is first judged, how many of them come first, and the part of the score to beat they must reach.
const SAMPLE: usize = 48;
const FIRST_OF_SAMPLE: usize = 16;
const PROMISING: f32 = 0.75;
/// Motions that go on from one triangle, and from all of them to improvement.
const KEEP: usize = 128;
const IMPROVE: usize = 400;
/// Sets of up to this many points are also laid on each other pair by pair and point by point.
const FEW: usize = 12;
/// Motions nearer than this to a better one are not looked at again [rad, Å].
const SAME_ROTATION: f64 = 0.07;
const SAME_PLACE: f64 = 0.4;

/// Motions that take `moving` near `fixed`, best first, no two alike.
pub(super) fn candidates(
    moving: &[Vector3<f64>],
    fixed: &[Vector3<f64>],
    tolerance: f64,
    task: &Task,
) -> Result<Vec<Motion>, Cancelled> {
    if moving.is_empty() || fixed.is_empty() {
        return Ok(Vec::new());
    }
    // every atom of the smaller set should find a partner: it goes into the larger one
    let inward = moving.len() <= fixed.len();
    let (base, target) = if inward { (moving, fixed) } else { (fixed, moving) };
    let field = Field::new(target, tolerance);
    let triangles = triangles(base);
    let stage = task.stage("compare: search", triangles.len());
    let sample = sample(base);
    let found: Vec<Vec<(f32, Motion)>> = triangles
        .par_iter()
        .map(|triangle| {
            let motions = images_of(triangle, target, &field, &sample);
            stage.advance(1)?;
            Ok(motions)
        })
        .collect::<Result<_, Cancelled>>()?;
    let mut scored = found.concat();
    if scored.is_empty() || base.len() <= FEW {
        scored.extend(lines(base, target).into_iter().map(|motion| (0.0, motion)));
    }
    let all: Vec<Vector3<f32>> = base.iter().map(|point| point.cast()).collect();
    scored.par_iter_mut().for_each(|(score, motion)| {
        *score = field.score(&motion.matrix().cast(), &motion.translation.cast(), &all);
    });
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let distinct = distinct(&scored, &(base.iter().sum::<Vector3<f64>>() / base.len() as f64));
    Ok(if inward { distinct } else { distinct.iter().map(inverse).collect() })
}

/// Brings each motion to a fixed point of pairing and superposing.
pub(super) fn improve(
    motions: &[Motion],
    moving: &[Vector3<f64>],
    fixed: &[Vector3<f64>],
    neighbours: &Neighbours,
    tolerance: f64,
    task: &Task,
) -> Result<Vec<Motion>, Cancelled> {
    let stage = task.stage("compare: refine", motions.len());
    let closest_points = |motion: &Motion| {
        let mut motion = *motion;
        let moved = |motion: &Motion| -> Vec<_> { moving.iter().map(|point| motion.apply(point)).collect() };
        let superpose = |pairs: &[(usize, usize)], mirrored| {
            let points: Vec<_> = pairs.iter().map(|&(i, j)| (moving[i], fixed[j])).collect();
            Motion::superposing(&points, mirrored)
        };
        // from afar: nearest neighbours, with a reach that closes in
        for reach in [1.5, 1.2, 1.0] {
            let pairs = neighbours.mutual(&moved(&motion), f64::max(reach, tolerance));
            if pairs.len() >= 3 {
                motion = superpose(&pairs, motion.mirrored);
            }
        }
        let mut pairs = neighbours.pairs(&moved(&motion), tolerance);
        for _ in 0..30 {
            let next = superpose(&pairs, motion.mirrored);
            let next_pairs = neighbours.pairs(&moved(&next), tolerance);
            if next_pairs.len() < pairs.len() {
                break;
            }
            motion = next;
            if next_pairs == pairs {
                break;
            }
            pairs = next_pairs;
        }
        stage.advance(1)?;
        Ok(motion)
    };
    motions.par_iter().map(closest_points).collect()
}

fn inverse(motion: &Motion) -> Motion {
    let back = motion.matrix().transpose();
    Motion::from_matrix(back, &motion.translation, &Vector3::zeros())
}

type Triangle = [Vector3<f64>; 3];

/// Triangles of the set: all if there are few, else random ones of good size (the same ones each time). None if the points lie on a
/// line.
fn triangles(points: &[Vector3<f64>]) -> Vec<Triangle> {
    let n = points.len();
    let wanted = (TRIANGLES_TIMES_POINTS / n.max(1)).clamp(TRIANGLES.0, TRIANGLES.1);
    if n * n.saturating_sub(1) * n.saturating_sub(2) / 6 <= wanted {
        let triples = (0..n).flat_map(|a| (a + 1..n).flat_map(move |b| (b + 1..n).map(move |c| [a, b, c])));
        return triples.map(|t| t.map(|i| points[i])).filter(|t| height(t) > 0.3).collect();
    }
    let center = points.iter().sum::<Vector3<f64>>() / n as f64;
    let radius = points.iter().map(|point| (point - center).norm()).fold(0.0, f64::max);
    let sides = (SIDES.0 * radius).min(LONGEST_SIDES.0)..=(SIDES.1 * radius).min(LONGEST_SIDES.1);
    let good = |t: &Triangle| {
        [0, 1, 2].iter().all(|&i| sides.contains(&(t[i] - t[(i + 1) % 3]).norm())) && height(t) > 0.5 * sides.start()
    };
    let draw = |index: usize| {
        let mut rng = random::stream(0, "triangles", index as u64);
        let mut widest: Option<Triangle> = None;
        for _ in 0..500 {
            let triangle: Triangle = std::array::from_fn(|_| points[rng.random_range(0..n)]);
            if good(&triangle) {
                return Some(triangle);
            }
            if widest.is_none_or(|widest| height(&triangle) > height(&widest)) {
                widest = Some(triangle);
            }
        }
        widest.filter(|triangle| height(triangle) > 0.3)
    };
    (0..wanted).filter_map(draw).collect()
}

/// Distance of the third point from the line through the others \[Å\]; zero if two coincide.
fn height(triangle: &Triangle) -> f64 {
    let side = triangle[1] - triangle[0];
    let length = side.norm();
    if length < 0.1 { 0.0 } else { side.cross(&(triangle[2] - triangle[0])).norm() / length }
}

/// Points spread through the set by a stride that shares no rhythm with a lattice.
fn sample(points: &[Vector3<f64>]) -> Vec<Vector3<f32>> {
    let mut rng = random::stream(0, "compare sample", 0);
    let mut order: Vec<usize> = (0..points.len()).collect();
    let count = SAMPLE.min(order.len());
    for i in 0..count {
        let j = rng.random_range(i..order.len());
        order.swap(i, j);
    }
    order[..count].iter().map(|&i| points[i].cast()).collect()
}

/// The best motions, of both hands, that lay the triangle on a congruent one of `target`.
fn images_of(
    triangle: &Triangle,
    target: &[Vector3<f64>],
    field: &Field,
    sample: &[Vector3<f32>],
) -> Vec<(f32, Motion)> {
    let [a, b, c] = *triangle;
    let (ab, ac, bc) = ((b - a).norm(), (c - a).norm(), (c - b).norm());
    let fits = |distance: f64, side: f64| (distance - side).abs() <= SIDE_TOLERANCE;
    let from = frame(triangle).transpose();
    let middle = (a + b + c) / 3.0;
    let flip = Matrix3::from_diagonal(&Vector3::new(1.0, 1.0, -1.0));
    let (first, rest) = sample.split_at(FIRST_OF_SAMPLE.min(sample.len()));
    let part = first.len() as f32 / sample.len() as f32;
    let mut best: Vec<(f32, Motion)> = Vec::new();
    let mut threshold = 0.0;
    for p in target {
        let at_distance = |side: f64| target.iter().filter(move |q| fits((*q - p).norm(), side));
        let thirds: Vec<&Vector3<f64>> = at_distance(ac).collect();
        for q in at_distance(ab) {
            for r in thirds.iter().copied().filter(|r| fits((*r - q).norm(), bc)) {
                let image = [*p, *q, *r];
                if height(&image) < 0.3 {
                    continue;
                }
                let to = frame(&image);
                let place = (p + q + r) / 3.0;
                for matrix in [to * from, to * flip * from] {
                    let shift = place - matrix * middle;
                    let (turn, step) = (matrix.cast(), shift.cast());
                    let early = field.score(&turn, &step, first);
                    if early < PROMISING * threshold * part {
                        continue;
                    }
                    let score = early + field.score(&turn, &step, rest);
                    if score > threshold {
                        best.push((score, Motion::from_matrix(matrix, &middle, &place)));
                    }
                }
                if best.len() >= 4 * KEEP {
                    threshold = cut_to_best(&mut best);
                }
            }
        }
    }
    cut_to_best(&mut best);
    best
}

/// Keeps the best [`KEEP`]; the score of the last of them.
fn cut_to_best(motions: &mut Vec<(f32, Motion)>) -> f32 {
    motions.sort_by(|a, b| b.0.total_cmp(&a.0));
    motions.truncate(KEEP);
    motions.last().map_or(0.0, |last| last.0)
}

/// Orthonormal frame of a triangle: along its first side, across it in its plane, normal to it.
fn frame(triangle: &Triangle) -> Matrix3<f64> {
    let along = (triangle[1] - triangle[0]).normalize();
    let normal = along.cross(&(triangle[2] - triangle[0])).normalize();
    Matrix3::from_columns(&[along, normal.cross(&along), normal])
}

/// Motions that lay two points on two points, and one on one, for sets without triangles in common (one or two points, or all
/// on a line). The roll about the line is free.
fn lines(base: &[Vector3<f64>], target: &[Vector3<f64>]) -> Vec<Motion> {
    let mut motions = Vec::new();
    for (i, a) in base.iter().take(FEW).enumerate() {
        for p in target {
            motions.push(Motion { translation: p - a, ..Motion::identity() });
            for b in base.iter().take(FEW).skip(i + 1) {
                let side = b - a;
                for q in target.iter().filter(|q| ((*q - p).norm() - side.norm()).abs() <= SIDE_TOLERANCE) {
                    if let (Some(from), Some(to)) = (Unit::try_new(side, 0.1), Unit::try_new(q - p, 0.1)) {
                        let matrix = turn(&from, &to).to_rotation_matrix().into_inner();
                        motions.push(Motion::from_matrix(matrix, &(0.5 * (a + b)), &(0.5 * (p + q))));
                    }
                }
            }
        }
    }
    motions
}

/// A rotation that takes one direction to another.
fn turn(from: &Unit<Vector3<f64>>, to: &Unit<Vector3<f64>>) -> UnitQuaternion<f64> {
    UnitQuaternion::rotation_between_axis(from, to).unwrap_or_else(|| {
        // opposite directions: half a turn about any axis across the line
        let across = Unit::try_new(from.cross(&Vector3::x()), 1e-3).unwrap_or_else(Vector3::y_axis);
        UnitQuaternion::from_axis_angle(&across, std::f64::consts::PI)
    })
}

fn distinct(scored: &[(f32, Motion)], center: &Vector3<f64>) -> Vec<Motion> {
    let mut kept: Vec<(Motion, Vector3<f64>)> = Vec::new();
    for (_, motion) in scored {
        if kept.len() == IMPROVE {
            break;
        }
        let place = motion.apply(center);
        let known = kept.iter().any(|(other, other_place)| {
            other.mirrored == motion.mirrored
                && (place - other_place).norm() < SAME_PLACE
                && other.rotation.angle_to(&motion.rotation) < SAME_ROTATION
        });
        if !known {
            kept.push((*motion, place));
        }
    }
    kept.into_iter().map(|(motion, _)| motion).collect()
}

/// For every place, how near the nearest point of a set is: one on it, zero beyond the reach, on a grid.
struct Field {
    corner: Vector3<f32>,
    per_length: f32,
    size: [usize; 3],
    values: Vec<u8>,
}

/// Distance at which nearness has fallen to zero \[Å\], voxel \[Å\], and the most voxels along an edge.
const FIELD_REACH: f64 = 1.2;
const FIELD_VOXEL: f64 = 0.4;
const FIELD_EDGE: f64 = 300.0;

impl Field {
    fn new(points: &[Vector3<f64>], tolerance: f64) -> Self {
        let reach = FIELD_REACH.max(tolerance);
        let low = points.iter().copied().reduce(|a, b| a.inf(&b)).unwrap_or_default().add_scalar(-reach);
        let high = points.iter().copied().reduce(|a, b| a.sup(&b)).unwrap_or_default().add_scalar(reach);
        let voxel = FIELD_VOXEL.max((high - low).max() / FIELD_EDGE);
        let size = [0, 1, 2].map(|axis| ((high[axis] - low[axis]) / voxel).ceil() as usize + 1);
        let mut values = vec![0u8; size[0] * size[1] * size[2]];
        let span = (reach / voxel).ceil() as isize;
        for point in points {
            let home = (point - low) / voxel;
            let range = |axis: usize| {
                let middle = home[axis] as isize;
                (middle - span).max(0) as usize..((middle + span + 1) as usize + 1).min(size[axis])
            };
            for x in range(0) {
                for y in range(1) {
                    for z in range(2) {
                        let place = Vector3::new(x as f64, y as f64, z as f64).add_scalar(0.5);
                        let squared = (place - home).norm_squared() * voxel * voxel;
                        let nearness = (255.0 * (1.0 - squared / (reach * reach))).max(0.0) as u8;
                        let value = &mut values[(x * size[1] + y) * size[2] + z];
                        *value = nearness.max(*value);
                    }
                }
            }
        }
        Self { corner: low.cast(), per_length: (1.0 / voxel) as f32, size, values }
    }

    /// Sum of the nearness of the moved points.
    fn score(&self, matrix: &Matrix3<f32>, shift: &Vector3<f32>, points: &[Vector3<f32>]) -> f32 {
        let (matrix, shift) = (matrix * self.per_length, (shift - self.corner) * self.per_length);
        let nearness = |point: &Vector3<f32>| {
            let place = matrix * point + shift;
            let [x, y, z] = [place.x as usize, place.y as usize, place.z as usize];
            let inside = place.min() >= 0.0 && x < self.size[0] && y < self.size[1] && z < self.size[2];
            if inside { u32::from(self.values[(x * self.size[1] + y) * self.size[2] + z]) } else { 0 }
        };
        points.iter().map(nearness).sum::<u32>() as f32
    }
}
