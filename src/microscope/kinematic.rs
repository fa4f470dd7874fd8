//! Kinematic images: the weak-phase approximation, exact in the atoms' positions.
//!
//! A thin particle multiplies the wave by 1 + iσV. The wave of an atom at height z above the particle's centre reaches the image with the
//! aberration phase χ(k) − πλk²z, χ being that of the centre, so the image is I = 1 + C with
//!
//! C(k) = Σ_atoms W(k)·sin(χ − πλk²z)·e^(−2πi k·r),   W = 2σ·V(k)·E(k),
//!
//! V the Fourier transform of the atom's projected potential and E the envelopes (taken at the centre's defocus) within the aperture.
//! Writing the sine as exponentials leaves one sum, T(k) = Σ e^(−2πi k·r − iπλk²z), once at k and once conjugated at −k:
//! C = W·(e^(iχ(−k))·T(k) − e^(−iχ(k))·T(−k)*)/(2i), which holds for aberrations of odd symmetry too. As k² = kx² + ky², every term of T
//! is a product of a factor in kx and one in ky, and T over the whole grid is a *matrix product* (ky × atoms)·(atoms × kx) for each element.
//! Positions enter through these phases only: there is no interpolation and no sampling of a potential.

use std::f64::consts::PI;
use std::sync::Arc;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Array3, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner};
use rustfft::num_complex::{Complex32, Complex64};
use rustfft::{Fft, FftPlanner};

use super::{Microscope, Simulation, Transfer, electron};
use crate::pose::Pose;
use crate::structure::{Element, Structure};
use crate::task::{Cancelled, Stage};

/// Atoms of one element and their common weight.
struct Species {
    /// Positions in the particle's frame \[Å\].
    positions: Vec<nalgebra::Point3<f64>>,
    /// W(k)/area on the half plane `[ky + reach][kx]`, kx = 0…reach: zero beyond the band limit.
    weight: Array2<f32>,
}

/// What all images share.
pub struct Plan {
    /// Pixels along an edge.
    size: usize,
    pixel_size: f64,
    /// Largest index of a frequency within the band limit, along either axis.
    reach: usize,
    wavelength: f64,
    species: Vec<Species>,
    /// e^(iχ) at the defocus of the particle's centre times the illumination's envelope, on the half plane of `weight`: at k and at −k.
    aberration: [Array2<Complex32>; 2],
    columns: Arc<dyn Fft<f32>>,
    rows: Arc<dyn ComplexToReal<f32>>,
}

/// Buffers of one thread.
struct Workspace {
    /// Phase factors `[atom][kx]` and `[atom][ky]` of the element with most atoms.
    along_x: Array2<Complex32>,
    along_y: Array2<Complex32>,
    /// T(k) `[ky + reach][kx + reach]`.
    sum: Array2<Complex32>,
    /// The image's Fourier transform by columns, `[kx][ky mod size]`.
    spectrum: Array2<Complex32>,
    row: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Workspace {
    fn new(plan: &Plan) -> Self {
        let width = 2 * plan.reach + 1;
        let most = plan.species.iter().map(|species| species.positions.len()).max().unwrap_or(0);
        let scratch = plan.columns.get_inplace_scratch_len().max(plan.rows.get_scratch_len());
        Self {
            along_x: Array2::zeros((most, width)),
            along_y: Array2::zeros((most, width)),
            sum: Array2::zeros((width, width)),
            spectrum: Array2::zeros((plan.reach + 1, plan.size)),
            row: plan.rows.make_input_vec(),
            scratch: vec![Complex32::ZERO; scratch],
        }
    }
}

impl Plan {
    /// For `structure` in any pose. The arguments have been checked by the caller.
    pub fn new(structure: &Structure, microscope: &Microscope, options: &Simulation) -> Self {
        let size = options.size;
        let edge = size as f64 * options.pixel_size;
        let limit = microscope.aperture_end();
        // Strictly below the Nyquist frequency, where a sum and its conjugate could not be told apart.
        let reach = ((limit * edge).floor() as usize).min((size - 1) / 2);
        let transfer = Transfer::new(microscope, microscope.defocus_at_centre());
        let frequency = |iy: usize, ix: usize| (ix as f64).hypot(iy as f64 - reach as f64) / edge;
        let half_plane = (2 * reach + 1, reach + 1);
        let common = Array2::from_shape_fn(half_plane, |(iy, ix)| {
            let k = frequency(iy, ix);
            if k > 0.5 / options.pixel_size {
                return 0.0;
            }
            let motion = (-options.b_factor * k * k / 4.0).exp();
            let phase = 2.0 * electron::interaction_parameter(microscope.energy);
            phase * microscope.aperture_at(k) * transfer.temporal_envelope((k, 0.0)) * motion / (edge * edge)
        });
        let species = |element: Element| Species {
            positions: structure.atoms().iter().filter(|a| a.element == element).map(|a| a.position).collect(),
            weight: Array2::from_shape_fn(half_plane, |(iy, ix)| {
                let potential = options.scattering_factors.projected_potential(element, frequency(iy, ix));
                (common[(iy, ix)] * potential) as f32
            }),
        };
        Self {
            size,
            pixel_size: options.pixel_size,
            reach,
            wavelength: microscope.wavelength(),
            species: structure.composition().into_iter().map(|(element, _)| species(element)).collect(),
            aberration: [1.0, -1.0].map(|sign| {
                Array2::from_shape_fn(half_plane, |(iy, ix)| {
                    let k = (sign * ix as f64 / edge, sign * (iy as f64 - reach as f64) / edge);
                    let value = Complex64::cis(transfer.chi(k)) * transfer.spatial_envelope(k);
                    Complex32::new(value.re as f32, value.im as f32)
                })
            }),
            columns: FftPlanner::new().plan_fft_inverse(size),
            rows: RealFftPlanner::new().plan_fft_inverse(size),
        }
    }

    /// Intensities `[n][y][x]` in these poses.
    pub fn render(&self, poses: &[Pose], stage: &Stage) -> Result<Array3<f32>, Cancelled> {
        let mut pixels = Array3::zeros((poses.len(), self.size, self.size));
        pixels.axis_iter_mut(Axis(0)).into_par_iter().zip(poses).try_for_each_init(
            || Workspace::new(self),
            |workspace, (image, pose)| {
                self.draw(pose, workspace, image);
                stage.advance(1)
            },
        )?;
        Ok(pixels)
    }

    /// One image.
    fn draw(&self, pose: &Pose, workspace: &mut Workspace, mut image: ArrayViewMut2<f32>) {
        workspace.spectrum.fill(Complex32::ZERO);
        for species in &self.species {
            self.sum_phases(species, pose, workspace);
            self.add_contrast(species, workspace);
        }
        let Workspace { spectrum, row, scratch, .. } = workspace;
        for mut column in spectrum.rows_mut() {
            let column = column.as_slice_mut().expect("rows are contiguous");
            self.columns.process_with_scratch(column, &mut scratch[..self.columns.get_inplace_scratch_len()]);
        }
        for (y, mut pixels) in image.rows_mut().into_iter().enumerate() {
            row.fill(Complex32::ZERO);
            for (value, column) in row.iter_mut().zip(spectrum.rows()) {
                *value = column[y];
            }
            // The column kx = 0 of a real image is real; rounding must not say otherwise.
            row[0].im = 0.0;
            let pixels = pixels.as_slice_mut().expect("an image is contiguous");
            let scratch = &mut scratch[..self.rows.get_scratch_len()];
            self.rows.process_with_scratch(row, pixels, scratch).expect("lengths come from the plan");
            pixels.iter_mut().for_each(|pixel| *pixel += 1.0);
        }
    }

    /// T(k) of one element in one pose into `workspace.sum`.
    fn sum_phases(&self, species: &Species, pose: &Pose, workspace: &mut Workspace) {
        let step = 1.0 / (self.size as f64 * self.pixel_size);
        let origin = (self.size / 2) as f64 * self.pixel_size;
        let rotation = pose.matrix();
        let atoms = species.positions.len();
        let mut along_x = workspace.along_x.slice_mut(s![..atoms, ..]);
        let mut along_y = workspace.along_y.slice_mut(s![..atoms, ..]);
        for (i, position) in species.positions.iter().enumerate() {
            let lab = rotation * position.coords;
            let height = Complex64::cis(-PI * self.wavelength * step * step * lab.z);
            for (axis, factors) in [&mut along_x, &mut along_y].into_iter().enumerate() {
                let place = Complex64::cis(-2.0 * PI * step * (lab[axis] + pose.shift[axis] + origin));
                let factors = factors.row_mut(i).into_slice().expect("rows are contiguous");
                fill_phases(factors, self.reach, place, height);
            }
        }
        let one = Complex32::ONE;
        general_mat_mul(one, &along_y.t(), &along_x, Complex32::ZERO, &mut workspace.sum);
    }

    /// Adds W·(e^(iχ(−k))·T(k) − e^(−iχ(k))·T(−k)*)/(2i) of one element to the spectrum.
    fn add_contrast(&self, species: &Species, workspace: &mut Workspace) {
        let reach = self.reach;
        let sum = &workspace.sum;
        for iy in 0..=2 * reach {
            let y = (iy + self.size - reach) % self.size;
            for ix in 0..=reach {
                let weight = species.weight[(iy, ix)];
                if weight == 0.0 {
                    continue;
                }
                let [aberration, across] = [0, 1].map(|side| self.aberration[side][(iy, ix)]);
                let here = across * sum[(iy, ix + reach)];
                let opposite = (aberration * sum[(2 * reach - iy, reach - ix)]).conj();
                let difference = here - opposite;
                // (a + ib)/(2i) = (b − ia)/2
                workspace.spectrum[(ix, y)] += Complex32::new(difference.im, -difference.re) * (0.5 * weight);
            }
        }
    }
}

/// `place`ⁿ·`height`^(n²) for n = −reach…reach, by recurrence in double precision: its error stays near 10⁻¹⁶·n².
fn fill_phases(factors: &mut [Complex32], reach: usize, place: Complex64, height: Complex64) {
    let curve = height * height;
    let mut fill = |place: Complex64, index: &dyn Fn(usize) -> usize| {
        let (mut value, mut step) = (Complex64::ONE, place * height);
        for n in 0..=reach {
            factors[index(n)] = Complex32::new(value.re as f32, value.im as f32);
            value *= step;
            step *= curve;
        }
    };
    fill(place, &|n| reach + n);
    fill(place.conj(), &|n| reach - n);
}
