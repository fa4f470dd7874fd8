//! The transform of a density on a padded grid, read between its points by trilinear interpolation.
//!
//! By the central-slice theorem the transform of a projection is a plane through this spectrum. The density is padded
//! with zeros, which makes the spectrum smooth, and divided beforehand by the transform of the interpolation kernel (sinc² an
//! axis), which corrects what trilinear interpolation takes away towards the edge of the box.

use nalgebra::Matrix3;
use ndarray::Array3;
use wide::f32x4;

use super::Volume;
use crate::fourier::{Complex32, Fft3};

/// Spectrum of a density, in density · Å³, up to a limit.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// Middle of the centred half spectrum `[z][y][x ≥ 0]`.
    data: Array3<Complex32>,
    /// Edge of the padded cube \[Å\]: grid points an 1/Å.
    edge: f64,
    /// Points along z and y of the whole spectrum before the first that is kept.
    first: usize,
}

/// Value of a spectrum at a point, and how it changes along each axis (x, y, z) of the body frame.
#[derive(Debug, Clone, Copy)]
pub struct Gradient {
    pub value: Complex32,
    pub slope: [Complex32; 3],
}

/// Least ratio of the padded cube to the density's box.
const PADDING: f64 = 2.0;

impl Spectrum {
    /// Transform of `volume`, padded to at least twice its edge, for frequencies up to 1/`low_pass` (Å; 0: all that its voxels carry). Others must not be
    /// read: the fewer are kept, the sooner they are made and found.
    pub fn new(volume: &Volume, low_pass: f64) -> Self {
        let (n, padded) = (volume.size(), padded_size(volume.size()));
        let edge = padded as f64 * volume.pixel_size();
        // of −reach … reach − 1 interpolation reads the next point too, and rounding may go one beyond
        let reach = ((edge / low_pass).min(padded as f64) as usize + 3).min(padded / 2);
        let kernel = kernel_transform(n, padded);
        let mut inner = volume.data().clone();
        inner.indexed_iter_mut().for_each(|((z, y, x), value)| *value /= kernel[z] * kernel[y] * kernel[x]);
        let mut data = Fft3::new(padded).forward_padded(&inner, reach);
        let voxel = volume.pixel_size().powi(3) as f32;
        data.par_mapv_inplace(|value| value * voxel);
        Self { data, edge, first: padded / 2 - reach }
    }

    /// Largest frequency that can be read in every direction [1/Å].
    pub fn limit(&self) -> f64 {
        (self.data.dim().0 / 2 - 2) as f64 / self.edge
    }

    /// A reader of the slice that an image with rotation `rotation` (laboratory = R·body) shows.
    pub fn slice(&self, rotation: &Matrix3<f64>) -> Slice<'_> {
        let (_, ny, nx) = self.data.dim();
        // places are counted from the corner of the whole spectrum, so that they are rounded alike whatever is kept
        let half = (ny / 2 + self.first) as f32;
        // body frequency = Rᵀ·(kx, ky, 0), in grid points
        let row = |row| {
            let points = |axis| (rotation[(row, axis)] * self.edge) as f32;
            f32x4::new([points(0), points(1), points(2), 0.0])
        };
        Slice {
            data: self.data.as_slice().expect("standard layout"),
            stride: [nx, nx * ny],
            skipped: self.first * (nx + nx * ny),
            origin: f32x4::new([0.0, half, half, 0.0]),
            x: row(0),
            y: row(1),
            edge: self.edge as f32,
        }
    }
}

/// One central slice of a [`Spectrum`].
pub struct Slice<'a> {
    data: &'a [Complex32],
    /// Grid points from one to the next along y and z.
    stride: [usize; 2],
    /// Points from the whole spectrum's corner to the first that is kept, at these strides.
    skipped: usize,
    /// The grid's centre, and what one 1/Å along the image's x and y is, in grid points along x, y, z of the body.
    origin: f32x4,
    x: f32x4,
    y: f32x4,
    edge: f32,
}

/// The cell of the grid around a point: its first corner, the fractions along x, y, z, and whether the point was mirrored.
struct Cell {
    corner: usize,
    fraction: [f32; 3],
    mirrored: bool,
}

/// Two neighbours along x in one vector register: re, im, re, im.
type Pair = f32x4;

// Inlined always: a call costs as much as what it does.
impl Slice<'_> {
    /// Whether the cell at a place, counted from the whole spectrum's corner, is kept.
    fn keeps(&self, [x, y, z]: [usize; 3]) -> bool {
        let [nx, ny] = [self.stride[0], self.stride[1] / self.stride[0]];
        let first = self.skipped / (self.stride[0] + self.stride[1]);
        let inside = |place: usize| place >= first && place - first + 1 < ny;
        x + 1 < nx && inside(y) && inside(z)
    }

    #[inline(always)]
    fn cell(&self, kx: f32, ky: f32) -> Cell {
        let place = self.x * kx + self.y * ky;
        let mirrored = place.to_array()[0] < 0.0;
        let place = place * if mirrored { -1.0 } else { 1.0 } + self.origin;
        let whole = place.fast_trunc_int();
        let [fx, fy, fz, _] = (place - whole.round_float()).to_array();
        let [x, y, z] = [0, 1, 2].map(|axis| whole.to_array()[axis] as usize);
        debug_assert!(self.keeps([x, y, z]), "frequency ({kx}, {ky}) is beyond the limit");
        Cell { corner: z * self.stride[1] + y * self.stride[0] + x - self.skipped, fraction: [fx, fy, fz], mirrored }
    }

    /// Values at the eight corners of a cell, `[z][y]`.
    #[inline(always)]
    fn corners(&self, cell: &Cell) -> [[Pair; 2]; 2] {
        let pair = |start: usize| {
            let pair = &self.data[start..start + 2];
            Pair::new([pair[0].re, pair[0].im, pair[1].re, pair[1].im])
        };
        let (near, far) = (cell.corner, cell.corner + self.stride[1]);
        [[pair(near), pair(near + self.stride[0])], [pair(far), pair(far + self.stride[0])]]
    }

    /// Spectrum at image frequency (kx, ky) [1/Å].
    #[inline(always)]
    pub fn value(&self, kx: f32, ky: f32) -> Complex32 {
        let cell = self.cell(kx, ky);
        let [fx, fy, fz] = cell.fraction;
        let [near, far] = self.corners(&cell).map(|[low, high]| mix(low, high, fy));
        let value = along_x(mix(near, far, fz), fx);
        if cell.mirrored { value.conj() } else { value }
    }

    /// Spectrum at image frequency (kx, ky) [1/Å] and its slope [per 1/Å] along the axes of the body frame.
    #[inline(always)]
    pub fn gradient(&self, kx: f32, ky: f32) -> Gradient {
        let cell = self.cell(kx, ky);
        let [fx, fy, fz] = cell.fraction;
        let [[c00, c01], [c10, c11]] = self.corners(&cell);
        let (near, far) = (mix(c00, c01, fy), mix(c10, c11, fy));
        let along_z = mix(near, far, fz);
        let value = along_x(along_z, fx);
        let slope = [step_along_x(along_z), along_x(mix(c01 - c00, c11 - c10, fz), fx), along_x(far - near, fx)]
            .map(|step| step * self.edge);
        if cell.mirrored {
            // V(−q) = conj V(q): the value is conjugated, the slope also changes its sign
            Gradient { value: value.conj(), slope: slope.map(|step| -step.conj()) }
        } else {
            Gradient { value, slope }
        }
    }
}

/// The values a fraction `f` of the way from `a` to `b`.
#[inline(always)]
fn mix(a: Pair, b: Pair, f: f32) -> Pair {
    a + (b - a) * f
}

/// The value a fraction `f` of the way from a pair's first to its second.
#[inline(always)]
fn along_x(pair: Pair, f: f32) -> Complex32 {
    let [re, im, next_re, next_im] = pair.to_array();
    Complex32::new(re + (next_re - re) * f, im + (next_im - im) * f)
}

/// From a pair's first to its second.
#[inline(always)]
fn step_along_x(pair: Pair) -> Complex32 {
    let [re, im, next_re, next_im] = pair.to_array();
    Complex32::new(next_re - re, next_im - im)
}

/// Edge of the padded cube for a density of `n` voxels an edge.
pub(super) fn padded_size(n: usize) -> usize {
    crate::fourier::fast_even_size((n as f64 * PADDING).ceil() as usize)
}

/// Transform of the trilinear kernel at each voxel of a box of `n` in a padded cube: sinc²(r / padded edge).
pub(super) fn kernel_transform(n: usize, padded: usize) -> Vec<f32> {
    (0..n)
        .map(|i| {
            let u = std::f64::consts::PI * (i as f64 - (n / 2) as f64) / padded as f64;
            if u == 0.0 { 1.0 } else { (u.sin() / u).powi(2) as f32 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use nalgebra::{Rotation3, Vector3};
    use rand::RngExt;

    use super::*;
    use crate::orient::random_poses;
    use crate::volume::density_of_atoms;

    fn volume() -> Volume {
        let atoms = [([1.0, 2.0, 3.0].into(), 1.0), ([-4.0, 0.5, 1.0].into(), 2.0), ([2.0, -3.0, -2.0].into(), 1.5)];
        density_of_atoms(&atoms, 0.6, 41, 0.5)
    }

    fn assert_same(slices: &[Slice; 2], kx: f32, ky: f32) {
        let [whole, part] = slices.each_ref().map(|slice| {
            let Gradient { value, slope } = slice.gradient(kx, ky);
            (slice.value(kx, ky), value, slope)
        });
        assert_eq!(whole, part, "at ({kx}, {ky})");
    }

    #[test]
    fn up_to_its_limit_a_spectrum_is_the_whole_one() {
        let spectra = [0.0, 2.3].map(|low_pass| Spectrum::new(&volume(), low_pass));
        assert!(2 * spectra[1].data.len() < spectra[0].data.len());
        let mut rng = crate::random::stream(5, "spectrum test", 0);
        for pose in random_poses(50, 1).as_slice() {
            let slices = spectra.each_ref().map(|spectrum| spectrum.slice(&pose.matrix()));
            for _ in 0..50 {
                let (length, angle) =
                    (rng.random_range(0.0..=1.0f32) / 2.3, rng.random_range(0.0..std::f32::consts::TAU));
                assert_same(&slices, length * angle.cos(), length * angle.sin());
            }
        }
    }

    #[test]
    fn the_limit_itself_is_read_along_every_axis() {
        let edge = padded_size(41) as f64 * 0.5;
        // on a point of the grid, next to it, and the finest there is
        for low_pass in [edge / 12.0, edge / 12.0 * (1.0 + 1e-7), edge / (padded_size(41) as f64 / 2.0 - 2.0)] {
            let spectra = [0.0, low_pass].map(|low_pass| Spectrum::new(&volume(), low_pass));
            let limit = (1.0 / low_pass) as f32;
            for (axis, turns) in [(0, 0), (0, 1), (1, 1), (1, 3), (2, 1), (0, 3)] {
                let turn = Vector3::ith(axis, f64::from(turns) * std::f64::consts::FRAC_PI_2);
                let rotation = Rotation3::from_scaled_axis(turn).into_inner();
                let slices = spectra.each_ref().map(|spectrum| spectrum.slice(&rotation));
                for (kx, ky) in [(limit, 0.0), (-limit, 0.0), (0.0, limit), (0.0, -limit)] {
                    assert_same(&slices, kx, ky);
                }
            }
        }
    }
}
