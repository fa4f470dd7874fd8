//! The particles that come with the program.
//!
//! `NAME` is relaxed with CHGNet 0.3.0 and `NAME_sevennet` with SevenNet-0 (potentials trained on density-functional data);
//! `NAME_ideal` has the unrelaxed lattice sites of the same atoms in the same order. The comment line of each file under
//! `stdlib/structures` says how it was made.

use super::Structure;

/// No bundled particle, or more than one, answers to the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownBundle {
    #[error("no bundled particle is called \"{name}\"; the nearest is \"{nearest}\" (there are {})", bundled_names().join(", "))]
    Unknown { name: String, nearest: &'static str },
    #[error("several bundled particles begin with \"{name}\": {}", candidates.join(", "))]
    Ambiguous { name: String, candidates: Vec<&'static str> },
}

macro_rules! bundle {
    ($stem:literal) => {
        ($stem, include_str!(concat!("../../stdlib/structures/", $stem, ".xyz")))
    };
}

/// File stem and XYZ text of every bundled particle.
const BUNDLED: [(&str, &str); 24] = [
    bundle!("CdSe_wz_2.5nm"),
    bundle!("CdSe_wz_2.5nm_ideal"),
    bundle!("CdSe_wz_2.5nm_sevennet"),
    bundle!("CdSe_zb_2.5nm"),
    bundle!("CdSe_zb_2.5nm_ideal"),
    bundle!("CdSe_zb_2.5nm_sevennet"),
    bundle!("FePt_1.5nm_Fe50Pt50"),
    bundle!("FePt_1.5nm_Fe50Pt50_ideal"),
    bundle!("FePt_1.7nm_Fe40Pt60"),
    bundle!("FePt_1.7nm_Fe40Pt60_ideal"),
    bundle!("FePt_1.8nm_disordered"),
    bundle!("FePt_1.8nm_disordered_ideal"),
    bundle!("FePt_2.0nm_Fe50Pt50"),
    bundle!("FePt_2.0nm_Fe50Pt50_ideal"),
    bundle!("FePt_3.0nm_Fe50Pt50"),
    bundle!("FePt_3.0nm_Fe50Pt50_ideal"),
    bundle!("PbSe_2.5nm"),
    bundle!("PbSe_2.5nm_ideal"),
    bundle!("PbSe_2.5nm_sevennet"),
    bundle!("PbSe_3.0nm"),
    bundle!("PbSe_3.0nm_ideal"),
    bundle!("PbSe_3.0nm_sevennet"),
    bundle!("Pt_2.5nm"),
    bundle!("Pt_2.5nm_ideal"),
];

/// Names of the bundled particles.
pub fn bundled_names() -> Vec<&'static str> {
    BUNDLED.iter().map(|&(stem, _)| stem).collect()
}

/// The bundled particle called `name`: the file stem in any case, or a beginning of it that leaves no choice. Of several
/// names with the same beginning, one that all the others extend is meant: `"pbse_2.5nm"` is not `PbSe_2.5nm_ideal`.
///
/// # Errors
/// If no particle, or more than one, is meant; the message lists them.
pub fn bundled(name: &str) -> Result<Structure, UnknownBundle> {
    let wanted = name.trim().to_lowercase();
    let matches = |stem: &str| !wanted.is_empty() && stem.to_lowercase().starts_with(&wanted);
    let candidates: Vec<_> = BUNDLED.iter().filter(|(stem, _)| matches(stem)).collect();
    let Some(&&(stem, text)) = candidates.iter().min_by_key(|(stem, _)| stem.len()) else {
        let distance = |stem: &str| strsim::damerau_levenshtein(&stem.to_lowercase(), &wanted);
        let nearest = bundled_names().into_iter().min_by_key(|stem| distance(stem)).expect("the list is not empty");
        return Err(UnknownBundle::Unknown { name: name.to_owned(), nearest });
    };
    if !candidates.iter().all(|(other, _)| other.starts_with(stem)) {
        let candidates = candidates.iter().map(|&&(stem, _)| stem).collect();
        return Err(UnknownBundle::Ambiguous { name: name.to_owned(), candidates });
    }
    let particle = Structure::from_xyz(text).expect("bundled files are valid, as a test shows");
    Ok(Structure { name: stem.into(), ..particle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_particle_is_read_and_is_physical() {
        for name in bundled_names() {
            let particle = bundled(name).unwrap();
            assert_eq!(particle.name(), name);
            assert!(particle.min_distance() > 2.0, "{name}: {}", particle.min_distance());
            assert!((12.0..35.0).contains(&particle.diameter()), "{name}: {}", particle.diameter());
            assert!(particle.centroid().coords.norm() < 0.5, "{name} is not centred: {}", particle.centroid());
        }
    }

    #[test]
    fn names_may_be_shortened_while_they_leave_no_choice() {
        assert_eq!(bundled("fept_1.5nm").unwrap().name(), "FePt_1.5nm_Fe50Pt50");
        assert_eq!(bundled("PBSE_2.5NM").unwrap().name(), "PbSe_2.5nm");
        assert_eq!(bundled("pbse_2.5nm_i").unwrap().name(), "PbSe_2.5nm_ideal");
        assert_eq!(bundled("pt").unwrap().name(), "Pt_2.5nm");
        let message = bundled("pbse").unwrap_err().to_string();
        assert!(message.contains("PbSe_2.5nm") && message.contains("PbSe_3.0nm"), "{message}");
        let message = bundled("fept_1.5mn").unwrap_err().to_string();
        assert!(message.contains("FePt_1.5nm"), "{message}");
        assert!(bundled("").is_err());
    }
}
