//! The images as a refinement's model has them, beside the images as they are: what is left is noise, or what the model does not know.

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use super::forward::{Forward, Workspace};
use super::transfer::Transfers;
use super::views::Views;
use super::waves::Atoms;
use super::{TransferCurve, apart};
use crate::fourier::{Complex32, Fft2};
use crate::images::{Images, Particles};
use crate::memory;
use crate::microscope::electron::wavelength;
use crate::model::{Error, Model};
use crate::pose::Poses;
use crate::structure::Element;
use crate::task::{Cancelled, Task};

/// What of a [`Refinement`](super::Refinement) its images are predicted from.
#[derive(Debug, Clone)]
pub struct Fitted {
    pub model: Model,
    /// One an image.
    pub poses: Poses,
    pub transfers: Vec<TransferCurve>,
    /// Resolution to which images and atoms were compared \[Å\].
    pub low_pass: f64,
    /// Energy of the electrons \[kV\].
    pub energy: f64,
}

/// How much of all images the model leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Residuals {
    /// Mean |residual|² of each image in units of the expected noise.
    pub chi2: Vec<f64>,
    /// Spatial frequency of each ring, without the origin [1/Å].
    pub frequencies: Vec<f64>,
    /// Mean |residual|² of each ring over all images, in units of the expected noise: 1 where nothing but noise is left.
    pub residual: Vec<f64>,
    /// The same of the images themselves, before anything is subtracted.
    pub image: Vec<f64>,
}

/// Some images up to the limit of the comparison, beside what the model predicts.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// As the particles: background 0, noise of an original pixel 1.
    pub observed: Images,
    /// On the same scale, with the contrast that explains the image best.
    pub predicted: Images,
    /// Standard deviation of the noise in a pixel of `observed`.
    pub noise: f64,
}

/// Part by which the highest frequency of a transfer may differ from that of the images.
const SAME_FREQUENCY: f64 = 1e-4;

/// Predicts the images of one refinement.
pub struct Predictor {
    views: Views,
    atoms: Atoms,
    transfers: Transfers,
    wavelength: f64,
    poses: Poses,
    size: usize,
    pixel_size: f64,
}

impl Predictor {
    /// For the images that were refined.
    ///
    /// # Errors
    /// If numbers of images and poses differ, the model has no atoms or an element without a transfer, or the transfers are not those of these particles.
    pub fn new(fitted: &Fitted, particles: &Particles, task: &Task) -> Result<Self, Error> {
        let Fitted { model, poses, transfers, low_pass, energy } = fitted;
        particles.check_limit(*low_pass)?;
        if particles.len() != poses.len() {
            return Err(Error::PoseCount { images: particles.len(), poses: poses.len() });
        }
        if model.is_empty() || particles.is_empty() {
            return Err(Error::NoAtoms);
        }
        if !(1.0..=2000.0).contains(energy) {
            return Err(Error::OutOfRange { name: "energy", value: *energy, requirement: "from 1 to 2000 kV" });
        }
        let elements: Vec<Element> = transfers.iter().map(|curve| curve.element).collect();
        if let Some(atom) = model.atoms().iter().find(|atom| !elements.contains(&atom.element)) {
            return Err(Error::NoTransfer(atom.element));
        }
        let views = Views::new(particles, *low_pass, task)?;
        let transfers = gathered(transfers, &views)?;
        let (atoms, _) = apart(model, &elements);
        let shows = |values: &Array2<f64>| values.iter().any(|&value| value != 0.0);
        if !(shows(&transfers.even) || shows(&transfers.odd)) {
            return Err(Error::EmptyTransfers);
        }
        Ok(Self {
            views,
            atoms,
            transfers,
            wavelength: wavelength(*energy),
            poses: poses.clone(),
            size: particles.size(),
            pixel_size: particles.pixel_size(),
        })
    }

    /// What is left of every image and on every ring.
    pub fn residuals(&self, task: &Task) -> Result<Residuals, Cancelled> {
        let model = Forward::new(&self.views, &self.atoms, &self.transfers);
        let images = self.views.len();
        let stage = task.stage("residuals", images);
        let rings = self.views.ring_count();
        let of_image = |workspace: &mut Workspace, image: usize| {
            stage.advance(1)?;
            let scale = self.show(&model, image, workspace);
            let mut sums = vec![[0.0; 2]; rings];
            let values = self.views.image(image);
            let samples = values.iter().zip(workspace.shown()).zip(&self.views.weights);
            for (((value, shown), weight), &ring) in samples.zip(&self.views.rings) {
                sums[ring][0] += f64::from((value - shown * scale).norm_sqr() * weight);
                sums[ring][1] += f64::from(value.norm_sqr() * weight);
            }
            Ok(sums)
        };
        let sums: Vec<Vec<[f64; 2]>> =
            (0..images).into_par_iter().map_init(|| self.workspace(), of_image).collect::<Result<_, Cancelled>>()?;
        let mut counts = vec![0usize; rings];
        self.views.rings.iter().for_each(|&ring| counts[ring] += 1);
        let mean = |part: usize, ring: usize| {
            sums.iter().map(|sums| sums[ring][part]).sum::<f64>() / (counts[ring] * images) as f64
        };
        let filled: Vec<usize> = (0..rings).filter(|&ring| counts[ring] > 0).collect();
        let samples = self.views.places.len().max(1) as f64;
        Ok(Residuals {
            chi2: sums.iter().map(|sums| sums.iter().map(|sum| sum[0]).sum::<f64>() / samples).collect(),
            frequencies: filled.iter().map(|&ring| ring as f64 / self.views.edge).collect(),
            residual: filled.iter().map(|&ring| mean(0, ring)).collect(),
            image: filled.iter().map(|&ring| mean(1, ring)).collect(),
        })
    }

    /// Whether there are images of these numbers.
    ///
    /// # Errors
    /// If there is none of one of them.
    pub fn check(&self, numbers: &[usize]) -> Result<(), Error> {
        let images = self.views.len();
        match numbers.iter().find(|&&number| number >= images) {
            Some(&number) => Err(Error::ImageNumber { number, images }),
            None => Ok(()),
        }
    }

    /// The images of these numbers as pictures.
    ///
    /// # Errors
    /// If there is no image of a number; if they do not fit into memory; or when interrupted.
    pub fn pictures(&self, numbers: &[usize], task: &Task) -> Result<Predicted, Error> {
        self.check(numbers)?;
        let bytes = (2 * size_of::<f32>() * self.size * self.size * numbers.len()) as f64;
        memory::require(
            bytes,
            &format!("{0} images of {1}×{1} pixels and as many predicted ones", numbers.len(), self.size),
        )?;
        let model = Forward::new(&self.views, &self.atoms, &self.transfers);
        let stage = task.stage("predict images", numbers.len());
        let fft = Fft2::new(self.size);
        let mut observed = Array3::zeros((numbers.len(), self.size, self.size));
        let mut predicted = observed.clone();
        let targets = observed.axis_iter_mut(Axis(0)).into_par_iter().zip(predicted.axis_iter_mut(Axis(0)));
        targets.zip(numbers).try_for_each_init(
            || self.workspace(),
            |workspace, ((mut observed, mut predicted), &image)| {
                stage.advance(1)?;
                let scale = self.show(&model, image, workspace);
                let scaled: Vec<Complex32> = workspace.shown().iter().map(|value| value * scale).collect();
                observed
                    .iter_mut()
                    .zip(self.picture(&self.views.image(image).to_vec(), &fft))
                    .for_each(|(a, b)| *a = b);
                predicted.iter_mut().zip(self.picture(&scaled, &fft)).for_each(|(a, b)| *a = b);
                Ok::<(), Cancelled>(())
            },
        )?;
        // each sample stands for a pair of frequencies
        let variance: f64 = self.views.weights.iter().map(|&weight| 2.0 / f64::from(weight)).sum();
        Ok(Predicted {
            observed: Images::new(observed, self.pixel_size),
            predicted: Images::new(predicted, self.pixel_size),
            noise: variance.sqrt() / (self.views.edge * self.views.edge),
        })
    }

    fn workspace(&self) -> Workspace {
        Workspace::new(self.atoms.len(), &self.views, self.wavelength)
    }

    /// Leaves the model of an image in the workspace; gives the contrast that explains the image best.
    fn show(&self, model: &Forward, image: usize, workspace: &mut Workspace) -> f32 {
        model.show(&self.poses.as_slice()[image], false, workspace);
        model.contrast(image, workspace).max(0.0) as f32
    }

    /// Pixels of an image whose coefficients are given, one a sample.
    fn picture(&self, values: &[Complex32], fft: &Fft2) -> Vec<f32> {
        let (n, columns) = (self.size, fft.columns());
        let mut spectrum = vec![Complex32::default(); n * columns];
        let area = (self.pixel_size * self.pixel_size) as f32;
        for (value, &place) in values.iter().zip(&self.views.places) {
            let (width, reach) = (self.views.width(), self.views.reach);
            let (ky, kx) = (place / width + n - reach, place % width - reach);
            spectrum[ky % n * columns + kx] = value / area;
            if kx == 0 {
                spectrum[(n - ky % n) % n * columns] = value.conj() / area;
            }
        }
        fft.inverse(&spectrum)
    }
}

/// Transfers of groups as a refinement gave them.
fn gathered(curves: &[TransferCurve], views: &Views) -> Result<Transfers, Error> {
    let rings = views.ring_count();
    let expected = rings.saturating_sub(1) as f64 / views.edge;
    let nothing = Array2::zeros((rings, curves.len()));
    let mut transfers = Transfers {
        even: nothing.clone(),
        odd: nothing.clone(),
        deviations: [nothing.clone(), nothing],
        strengths: vec![1.0; curves.len()],
    };
    for (group, curve) in curves.iter().enumerate() {
        for (of, values) in [(&mut transfers.even, &curve.even), (&mut transfers.odd, &curve.odd)] {
            if values.len() != rings {
                return Err(Error::OtherTransfers { rings: values.len(), expected: rings });
            }
            of.column_mut(group).iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        }
        let highest = curve.frequencies.last().copied().unwrap_or(f64::NAN);
        // written to a file and read again it may have lost digits
        let is_same = (highest - expected).abs() <= SAME_FREQUENCY * expected;
        if !is_same {
            return Err(Error::OtherFrequencies { highest, expected });
        }
    }
    Ok(transfers)
}
