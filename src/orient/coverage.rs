//! How evenly a set of poses looks at the particle.
//!
//! A projection along v and one along −v show mirror images, which hold the same plane of the particle's transform: directions are
//! counted on the projective sphere, v and −v as one.

use nalgebra::{Matrix3, SymmetricEigen, Vector3};
use rayon::prelude::*;

use super::Error;
use super::partition::Partition;
use crate::pose::Poses;
use crate::task::Task;

/// What the viewing directions of a set of poses leave out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coverage {
    /// Radius of the largest cap, with its antipode, that holds no viewing direction [°]; to 0.02°.
    pub largest_gap: f64,
    /// Direction in the body frame at its centre.
    pub gap_at: Vector3<f64>,
    /// The radius that as many random directions leave, in the middle of many draws [°].
    pub random_gap: f64,
    /// Half-angle of the largest cone of spatial frequencies that no image shows [°]; to 2°. A view along v shows the plane across v: a hole among the
    /// directions need not leave a cone, and a tilt series without end leaves none.
    pub missing_cone: f64,
    /// Smallest over largest second moment of the directions along any axis: 1 if even, 0 if all lie in a plane.
    pub evenness: f64,
    /// χ² per degree of freedom of the counts in `patches` against even ones: about 1 where the directions are random.
    pub chi2: f64,
    /// Fraction of `patches` that hold no direction.
    pub empty: f64,
    /// Patches of equal area that half the sphere is cut into: ten poses a patch, 10 to 1000.
    pub patches: usize,
}

/// Probes of the sphere from which gaps are sought.
const PROBES: usize = 40_000;
/// Axes of cones that are tried.
const CONES: usize = 4000;
/// The emptiest probes, from which the largest gap is climbed to.
const CLIMBS: usize = 32;
/// Step at which a climb ends \[rad\].
const FINEST_STEP: f64 = 1e-5;

/// How the viewing directions of `poses` cover the sphere.
///
/// # Errors
/// If there are no poses; or when interrupted.
pub fn coverage(poses: &Poses, task: &Task) -> Result<Coverage, Error> {
    if poses.is_empty() {
        return Err(Error::TooFewImages { images: 0, needed: 1 });
    }
    let views: Vec<Vector3<f64>> = poses.as_slice().iter().map(|pose| pose.viewing_direction()).collect();
    let (gap_at, largest_gap) = largest_gap(&views, task)?;
    let moments = views.iter().fold(Matrix3::zeros(), |sum, view| sum + view * view.transpose());
    let moments = SymmetricEigen::new(moments).eigenvalues;
    let patches = default_patches(views.len());
    let partition = Partition::new(patches, true);
    let mut counts = vec![0.0f64; patches];
    views.iter().for_each(|view| counts[partition.cell_of(view)] += 1.0);
    let even = views.len() as f64 / patches as f64;
    let chi2: f64 = counts.iter().map(|count| (count - even).powi(2) / even).sum();
    Ok(Coverage {
        largest_gap: largest_gap.to_degrees(),
        gap_at,
        random_gap: random_gap(views.len()).to_degrees(),
        missing_cone: missing_cone(&views).to_degrees(),
        evenness: (moments.min() / moments.max()).max(0.0),
        chi2: chi2 / (patches - 1) as f64,
        empty: counts.iter().filter(|&&count| count == 0.0).count() as f64 / patches as f64,
        patches,
    })
}

/// Patches of the half sphere for `count` directions: about ten directions a patch.
pub fn default_patches(count: usize) -> usize {
    (count / 10).clamp(10, 1000)
}

/// Centre and radius \[rad\] of the largest cap of the projective sphere without a direction.
fn largest_gap(views: &[Vector3<f64>], task: &Task) -> Result<(Vector3<f64>, f64), Error> {
    let sky = Sky::new(views);
    let grid = Partition::new(PROBES, true);
    let stage = task.stage("coverage", PROBES);
    let mut probes: Vec<(Vector3<f64>, f64)> = (0..PROBES)
        .into_par_iter()
        .map(|cell| {
            let probe = centre(&grid, cell);
            stage.advance(1)?;
            Ok((probe, sky.nearest(&probe)))
        })
        .collect::<Result<_, Error>>()?;
    probes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let first_step = grid.cell_area().sqrt();
    let climbs: Vec<_> = probes[..CLIMBS].par_iter().map(|&probe| climb(&sky, probe, first_step)).collect();
    Ok(climbs.into_iter().reduce(|best, other| if other.1 > best.1 { other } else { best }).expect("there are climbs"))
}

/// Half-angle \[rad\] of the largest cone of frequencies that no view shows.
fn missing_cone(views: &[Vector3<f64>]) -> f64 {
    let grid = Partition::new(CONES, true);
    let to_nearest_plane = |axis: Vector3<f64>| views.iter().map(|view| view.dot(&axis).abs()).fold(1.0, f64::min);
    let largest =
        (0..grid.len()).into_par_iter().map(|cell| to_nearest_plane(centre(&grid, cell))).reduce(|| 0.0, f64::max);
    largest.asin()
}

/// Direction at the centre of a cell.
fn centre(grid: &Partition, cell: usize) -> Vector3<f64> {
    let (z, azimuth) = grid.centre(cell);
    let ring = (1.0 - z * z).sqrt();
    Vector3::new(ring * azimuth.cos(), ring * azimuth.sin(), z)
}

/// Moves a probe away from all directions until no step of [`FINEST_STEP`] leads farther.
fn climb(sky: &Sky, (mut probe, mut distance): (Vector3<f64>, f64), mut step: f64) -> (Vector3<f64>, f64) {
    const WAYS: usize = 16;
    while step > FINEST_STEP {
        let across = probe.cross(&Vector3::ith(probe.iamin(), 1.0)).normalize();
        let along = probe.cross(&across);
        let tried = (0..WAYS).map(|way| {
            let (sin, cos) = (std::f64::consts::TAU * way as f64 / WAYS as f64).sin_cos();
            let moved = (probe + step * (cos * across + sin * along)).normalize();
            (moved, sky.nearest(&moved))
        });
        let best = tried.reduce(|best, other| if other.1 > best.1 { other } else { best }).expect("there are ways");
        if best.1 > distance {
            (probe, distance) = best;
        } else {
            step *= 0.6;
        }
    }
    (probe, distance)
}

/// Directions and their antipodes in order of colatitude, to find the nearest one of.
struct Sky(Vec<(f64, Vector3<f64>)>);

impl Sky {
    fn new(views: &[Vector3<f64>]) -> Self {
        let both = views.iter().flat_map(|view| [*view, -view]);
        let mut sky: Vec<_> = both.map(|view| (colatitude(&view), view)).collect();
        sky.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(sky)
    }

    /// Angle from `probe` to the nearest direction or antipode \[rad\]; it cannot be farther than a right angle.
    fn nearest(&self, probe: &Vector3<f64>) -> f64 {
        let here = colatitude(probe);
        let middle = self.0.partition_point(|(colatitude, _)| *colatitude < here);
        let mut best = f64::MAX;
        // outwards from the probe's own colatitude, until that alone is farther than the best
        let mut scan = |star: &(f64, Vector3<f64>)| {
            let near = (star.0 - here).abs() < best;
            if near {
                best = best.min(2.0 * ((star.1 - probe).norm() / 2.0).min(1.0).asin());
            }
            near
        };
        let (mut below, mut above) = (self.0[..middle].iter().rev(), self.0[middle..].iter());
        let (mut going_down, mut going_up) = (true, true);
        while going_down || going_up {
            going_down = going_down && below.next().is_some_and(&mut scan);
            going_up = going_up && above.next().is_some_and(&mut scan);
        }
        best
    }
}

fn colatitude(v: &Vector3<f64>) -> f64 {
    v.x.hypot(v.y).atan2(v.z)
}

/// Radius \[rad\] of the largest gap that `count` random directions leave in half of all draws.
///
/// The corners of the Voronoi cells of a Poisson process, two a direction, have circumscribed discs whose expected number of points is
/// distributed as Γ(2): the largest of 2N of them exceeds x with the chance 2N·(1 + x)·e^(−x) (Calka & Chenavier, Extremes 17 (2014) 359).
fn random_gap(count: usize) -> f64 {
    let n = count as f64;
    let mut x = 1.0f64;
    for _ in 0..60 {
        x = (2.0 * n / std::f64::consts::LN_2).ln() + x.ln_1p();
    }
    (1.0 - x / n).max(0.0).acos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient::random_poses;

    #[test]
    fn gaps_of_known_arrangements_are_found() {
        let gap = |views: &[Vector3<f64>]| largest_gap(views, &Task::silent()).unwrap();
        let axes = [Vector3::x(), Vector3::y(), Vector3::z()];
        let (at, radius) = gap(&axes);
        // the corners of a cube
        assert!((radius - (1.0 / 3f64.sqrt()).acos()).abs() < 2e-4, "{}", radius.to_degrees());
        assert!(at.iter().all(|x| (x.abs() - 1.0 / 3f64.sqrt()).abs() < 1e-3), "{at}");
        assert!((gap(&axes[..1]).1.to_degrees() - 90.0).abs() < 0.02);
        assert!((gap(&axes[..2]).1.to_degrees() - 90.0).abs() < 0.02);
    }

    #[test]
    fn missing_cones_of_known_arrangements_are_found() {
        let cone = |views: &[Vector3<f64>]| missing_cone(views).to_degrees();
        let tilted = |degrees: i32| {
            Vector3::new(f64::from(degrees).to_radians().sin(), 0.0, f64::from(degrees).to_radians().cos())
        };
        assert!((88.0..=90.0).contains(&cone(&[Vector3::z()])));
        let series: Vec<_> = (-60..=60).map(tilted).collect();
        assert!((28.0..=30.5).contains(&cone(&series)), "{}", cone(&series));
        let whole: Vec<_> = (-90..90).map(tilted).collect();
        assert!(cone(&whole) < 1.0, "{}", cone(&whole));
        // a hole of 40° among the directions leaves none, for planes pass through it
        let views = random_poses(2000, 7);
        let views: Vec<_> = views.as_slice().iter().map(|pose| pose.viewing_direction()).collect();
        let (near, far): (Vec<_>, Vec<_>) = views.iter().partition(|view| view.z.abs() > 40f64.to_radians().cos());
        assert!(cone(&far) < 3.0, "{}", cone(&far));
        assert!((48.0..=53.0).contains(&cone(&near)), "{}", cone(&near));
    }

    #[test]
    fn random_directions_are_as_uneven_as_chance_has_it_and_a_sector_is_more() {
        let of = |poses: &Poses| coverage(poses, &Task::silent()).unwrap().chi2;
        let random = random_poses(600, 5);
        assert!((0.5..1.5).contains(&of(&random)), "{}", of(&random));
        let in_sector = |index: &usize| {
            let view = random.as_slice()[*index].viewing_direction();
            (view.y * view.x.signum()).atan2(view.x.abs()).abs() < 1.0
        };
        let sector: Vec<usize> = (0..600).filter(in_sector).collect();
        assert!(of(&random.select(&sector)) > 3.0, "{}", of(&random.select(&sector)));
    }

    #[test]
    fn the_gap_of_random_directions_is_as_foretold() {
        let ratio = |seed| {
            let found = coverage(&random_poses(1000, seed), &Task::silent()).unwrap();
            found.largest_gap / found.random_gap
        };
        let mean = (1..=20).map(ratio).sum::<f64>() / 20.0;
        assert!((0.93..1.07).contains(&mean), "{mean}");
    }
}
