//! One image and the model of it: residual, the best small change of its pose, and what it asks of the atoms.

use std::f64::consts::TAU;

use nalgebra::{SMatrix, Vector3};
use ndarray::Array2;

use super::transfer::Transfers;
use super::views::Views;
use super::waves::{Atoms, MOMENTS, Waves};
use crate::fourier::{Complex32, Complex64};
use crate::orient::{Matrix5, Normal, Vector5, damped_step, moved};
use crate::pose::Pose;

/// Part by which the diagonal of the normal matrix is raised.
const DAMPING: f64 = 1e-4;

/// Rotation and shift of a pose, and the three coordinates of each atom and its amplitude or B factor: how they act on each other.
pub type Coupling = Vec<SMatrix<f64, 4, 5>>;

/// What all images are compared with.
pub struct Forward<'a> {
    views: &'a Views,
    atoms: &'a Atoms,
    /// For each group and sample, (P − iQ)/2.
    factors: Vec<Vec<Complex32>>,
}

/// Buffers of one thread.
pub struct Workspace {
    pub waves: Waves,
    /// Coefficients that the model gives, then the same weighted by the atoms' x, y and z: `[moment][sample]`.
    shown: Vec<Vec<Complex32>>,
    residual: Vec<Complex32>,
    square: Array2<Complex32>,
    contracted: Vec<[Complex64; 4]>,
}

impl Workspace {
    pub fn new(atoms: usize, views: &Views, wavelength: f64) -> Self {
        let samples = views.places.len();
        Self {
            waves: Waves::new(atoms, views, wavelength),
            shown: vec![vec![Complex32::default(); samples]; MOMENTS],
            residual: vec![Complex32::default(); samples],
            square: Array2::zeros((views.width(), views.width())),
            contracted: vec![[Complex64::default(); 4]; atoms],
        }
    }

    /// Coefficients that the model gives, one a sample.
    pub fn shown(&self) -> &[Complex32] {
        &self.shown[0]
    }
}

/// What one image asks of the atoms.
pub struct Request {
    /// Gradient of the log-likelihood, with respect to the position of each atom [1/Å].
    pub positions: Vec<Vector3<f64>>,
    /// And with respect to its amplitude.
    pub amplitudes: Vec<f64>,
    /// And with respect to its B factor [1/Å²].
    pub b_factors: Vec<f64>,
}

impl Request {
    pub fn nothing(atoms: usize) -> Self {
        Self { positions: vec![Vector3::zeros(); atoms], amplitudes: vec![0.0; atoms], b_factors: vec![0.0; atoms] }
    }

    /// Adds what another image asks, with a weight.
    pub fn add(&mut self, other: &Self, weight: f64) {
        self.positions.iter_mut().zip(&other.positions).for_each(|(sum, more)| *sum += more * weight);
        self.amplitudes.iter_mut().zip(&other.amplitudes).for_each(|(sum, more)| *sum += more * weight);
        self.b_factors.iter_mut().zip(&other.b_factors).for_each(|(sum, more)| *sum += more * weight);
    }
}

impl<'a> Forward<'a> {
    pub fn new(views: &'a Views, atoms: &'a Atoms, transfers: &Transfers) -> Self {
        let factors = (0..atoms.groups.len()).map(|group| transfers.factors(views, group)).collect();
        Self { views, atoms, factors }
    }

    /// Brings what the model shows at a pose into the workspace, with its moments if asked for.
    pub fn show(&self, pose: &Pose, moments: bool, workspace: &mut Workspace) {
        let Workspace { waves, shown, .. } = workspace;
        waves.set(self.atoms, pose, self.views);
        let count = if moments { MOMENTS } else { 1 };
        shown.iter_mut().take(count).for_each(|row| row.fill(Complex32::default()));
        let width = self.views.width();
        for (group, factors) in self.factors.iter().enumerate() {
            waves.sum(self.atoms, group, moments);
            let sums = waves.sums.as_slice().expect("contiguous");
            for (shown, sums) in shown.iter_mut().take(count).zip(sums.chunks_exact(width * width)) {
                for ((value, factor), &place) in shown.iter_mut().zip(factors).zip(&self.views.places) {
                    *value += factor * sums[place] + (factor * sums[self.views.mirror(place)]).conj();
                }
            }
        }
    }

    /// Contrast that explains the image best, as it was shown.
    pub fn contrast(&self, image: usize, workspace: &Workspace) -> f64 {
        let (mut overlap, mut power) = (0.0, 0.0);
        for ((value, shown), weight) in self.views.image(image).iter().zip(&workspace.shown[0]).zip(&self.views.weights)
        {
            overlap += f64::from((value * shown.conj()).re * weight);
            power += f64::from(shown.norm_sqr() * weight);
        }
        overlap / f64::max(power, f64::MIN_POSITIVE)
    }

    /// Leaves the residual in the workspace. Gives the mean of its square in units of the noise.
    pub fn subtract(&self, image: usize, scale: f64, workspace: &mut Workspace) -> f64 {
        let mut sum = 0.0;
        let values = self.views.image(image);
        let rows = values.iter().zip(&workspace.shown[0]).zip(&self.views.weights).zip(&mut workspace.residual);
        for (((value, shown), weight), residual) in rows {
            *residual = value - shown * scale as f32;
            sum += f64::from(residual.norm_sqr() * weight);
        }
        sum / values.len().max(1) as f64
    }

    /// Normal equations of the pose, as it was shown with moments and subtracted. How the height's phase turns is left out: λk/2 of the rest, 1 %.
    pub fn normal(&self, scale: f64, workspace: &Workspace) -> Normal {
        let mut normal = Normal { cost: 0.0, matrix: Matrix5::zeros(), gradient: Vector5::zeros() };
        for (sample, weight) in self.views.weights.iter().enumerate() {
            let slopes = self.slopes(sample, scale, workspace);
            let residual = workspace.residual[sample];
            let weight = 2.0 * f64::from(*weight);
            normal.cost += weight * f64::from(residual.norm_sqr());
            for i in 0..5 {
                normal.gradient[i] += weight * f64::from((residual * slopes[i].conj()).re);
                for j in 0..=i {
                    normal.matrix[(i, j)] += weight * f64::from((slopes[i] * slopes[j].conj()).re);
                }
            }
        }
        normal.matrix.fill_upper_triangle_with_lower_triangle();
        normal
    }

    /// Derivatives of a coefficient with respect to a rotation about the image's x, y and z, and to the shift.
    fn slopes(&self, sample: usize, scale: f64, workspace: &Workspace) -> [Complex32; 5] {
        let [kx, ky] = self.views.frequencies[sample].map(|k| Complex32::new(0.0, -(TAU * scale) as f32 * k));
        let [plain, x, y, z] = [0, 1, 2, 3].map(|moment| workspace.shown[moment][sample]);
        [-ky * z, kx * z, ky * x - kx * y, kx * plain, ky * plain]
    }

    /// What the residual in the workspace asks of the atoms; of B factors only if `blurred`.
    pub fn request(&self, pose: &Pose, scale: f64, blurred: bool, workspace: &mut Workspace) -> Request {
        let residual = std::mem::take(&mut workspace.residual);
        self.contract(&residual, scale, blurred, workspace);
        workspace.residual = residual;
        Request {
            positions: self.pulls(pose, workspace).collect(),
            amplitudes: workspace.contracted.iter().map(|sums| sums[0].re).collect(),
            b_factors: self.blurs(workspace).collect(),
        }
    }

    /// How the pose and what is sought of each atom, with its B factor if `blurred`, else its amplitude, act on each other, as shown with moments.
    pub fn coupling(&self, pose: &Pose, scale: f64, blurred: bool, workspace: &mut Workspace) -> Coupling {
        let slopes: Vec<[Complex32; 5]> =
            (0..self.views.weights.len()).map(|sample| self.slopes(sample, scale, workspace)).collect();
        let mut coupling: Coupling = vec![SMatrix::zeros(); self.atoms.len()];
        for parameter in 0..5 {
            let column: Vec<Complex32> = slopes.iter().map(|slopes| slopes[parameter]).collect();
            self.contract(&column, scale, blurred, workspace);
            for (coupling, pull) in coupling.iter_mut().zip(self.pulls(pose, workspace)) {
                coupling.fixed_view_mut::<3, 1>(0, parameter).copy_from(&pull);
            }
            if blurred {
                coupling
                    .iter_mut()
                    .zip(self.blurs(workspace))
                    .for_each(|(coupling, blur)| coupling[(3, parameter)] = blur);
            } else {
                let strengths = workspace.contracted.iter().map(|sums| sums[0].re);
                coupling.iter_mut().zip(strengths).for_each(|(coupling, pull)| coupling[(3, parameter)] = pull);
            }
        }
        coupling
    }

    /// For each atom, how what was contracted pulls at its position.
    fn pulls(&self, pose: &Pose, workspace: &Workspace) -> impl Iterator<Item = Vector3<f64>> {
        let back = pose.matrix().transpose();
        let pull = move |(sums, amplitude): (&[Complex64; 4], &f64)| {
            back * Vector3::new(sums[1].im, sums[2].im, 0.0) * (TAU * amplitude)
        };
        workspace.contracted.iter().zip(&self.atoms.amplitudes).map(pull)
    }

    /// For each atom, how what was contracted with squares pulls at its B factor.
    fn blurs(&self, workspace: &Workspace) -> impl Iterator<Item = f64> {
        workspace.contracted.iter().zip(&self.atoms.amplitudes).map(|(sums, amplitude)| -0.25 * amplitude * sums[3].re)
    }

    /// For each atom, the sums over all frequencies of what `values`, one a sample, have in common with the atom's wave.
    fn contract(&self, values: &[Complex32], scale: f64, squares: bool, workspace: &mut Workspace) {
        let Workspace { waves, square, contracted, .. } = workspace;
        for (group, factors) in self.factors.iter().enumerate() {
            let square_values = square.as_slice_mut().expect("contiguous");
            for (sample, (value, factor)) in values.iter().zip(factors).enumerate() {
                let place = self.views.places[sample];
                let factor = factor * (2.0 * scale as f32 * self.views.weights[sample]);
                square_values[place] = value.conj() * factor;
                square_values[self.views.mirror(place)] = value * factor;
            }
            waves.contract(square, self.atoms, group, self.views.edge, squares, contracted);
        }
    }
}

/// The pose after the step that normal equations ask for, the shift within `max_shift` \[Å\]; none if they are singular.
pub fn stepped(pose: &Pose, normal: &Normal, max_shift: f64) -> Option<Pose> {
    let mut step = damped_step(normal, DAMPING, true)?;
    // the rotation is about the image's axes here, about the particle's there
    let turn = pose.matrix().transpose() * step.fixed_rows::<3>(0);
    step.fixed_rows_mut::<3>(0).copy_from(&turn);
    Some(moved(pose, &step, max_shift))
}
