//! What a simpler model of the images gets wrong, taken off again.
//!
//! Thick atoms in a row scatter an electron more than once, which the refinement's model does not know: it finds the outer atoms of a metal particle 2 to 3 pm
//! too far out. Images simulated from the refined atoms by multislice are led astray in the same way, by an amount that is known exactly; taking that off
//! leaves second-order errors only (indirect inference: Gouriéroux, Monfort and Renault, J. Appl. Econometrics 8 (1993) S85).

use super::RefineOptions;
use crate::model::{Error, Model, Peak, TraceOptions, reclassify};
use crate::structure::Element;

/// Farthest that the simulation leads an atom astray \[Å\]; what is farther is another atom.
const FARTHEST: f64 = 0.5;

/// `refined` atoms moved back by how far the same refinement of images simulated from them, `misled`, went from them; and their intensities by how much
/// those of their element differ there, and their B factors by those that atoms at rest seem to have; after which elements are told apart anew as in the refinement, whose `options` these are.
///
/// # Errors
/// If the composition is not one of as many species.
pub fn corrected(refined: &Model, misled: &Model, options: &RefineOptions) -> Result<Model, Error> {
    let partner = |peak: &Peak| {
        let distance = |other: &&Peak| (other.position - peak.position).norm();
        let others = misled.atoms().iter().map(|atom| &atom.peak);
        others.min_by(|a, b| distance(a).total_cmp(&distance(b))).filter(|other| distance(other) < FARTHEST)
    };
    let partners: Vec<Option<&Peak>> = refined.atoms().iter().map(|atom| partner(&atom.peak)).collect();
    let mean = |element: Element| {
        let of_element = refined.atoms().iter().zip(&partners).filter(|(atom, _)| atom.element == element);
        let intensities: Vec<f64> = of_element.filter_map(|(_, partner)| partner.map(|peak| peak.intensity)).collect();
        intensities.iter().sum::<f64>() / intensities.len().max(1) as f64
    };
    let elements: Vec<Element> = refined.classes().iter().map(|class| class.element).collect();
    let means: Vec<(Element, f64)> = elements.iter().map(|&element| (element, mean(element))).collect();
    let peaks = refined.atoms().iter().zip(&partners).map(|(atom, partner)| {
        let Some(partner) = partner.filter(|partner| partner.intensity > 0.0) else { return atom.peak };
        let typical =
            means.iter().find(|(element, _)| *element == atom.element).map_or(partner.intensity, |(_, mean)| *mean);
        let scale = typical / partner.intensity;
        Peak {
            position: atom.peak.position - (partner.position - atom.peak.position),
            intensity: atom.peak.intensity * scale,
            intensity_deviation: atom.peak.intensity_deviation.map(|deviation| deviation * scale),
            b_factor: atom.peak.b_factor.zip(partner.b_factor).map(|([b, sigma], [misled, _])| [b - misled, sigma]),
            ..atom.peak
        }
    });
    let classes = TraceOptions { min_separation: Some(refined.min_separation()), ..options.classes(&elements) };
    classes.check()?;
    let model = reclassify(peaks.collect(), refined.rejected().to_vec(), refined.noise_cut(), &classes);
    Ok(model.with_relative_b_factors())
}
