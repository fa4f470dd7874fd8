//! A run as one web page: figures, tables, numbers, atoms to turn and to look into, and where all of it came from.
//!
//! The page is one file that needs nothing else: figures are PNG inside of it, the three-dimensional view is a small script of its own
//! (`view.js`) that draws shaded spheres on a canvas, and a content security policy keeps the page from asking for anything.
//! Every text is escaped, and only the page's own scripts run.

mod html;
mod view;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, Figure};
use crate::store::{self, Provenance};
use crate::structure::Structure;

pub use html::{escape, heading};

/// A title, and what belongs under it, in the order of the fields. Whatever is empty is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    pub title: String,
    /// What the text is: good news or bad.
    pub verdict: Option<Verdict>,
    /// Paragraphs, with empty lines between; a line that begins with `* ` is a point of a list.
    pub text: String,
    /// Names and values.
    pub values: Vec<(String, String)>,
    pub tables: Vec<Sheet>,
    pub views: Vec<AtomsView>,
    pub figures: Vec<Figure>,
}

/// What became of a run, shown as a colour, a sign and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Converged,
    Doubtful,
    Failed,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Converged, Self::Doubtful, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Doubtful => "doubtful",
            Self::Failed => "failed",
        }
    }
}

/// A table as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheet {
    /// Names of the columns, and whether they hold numbers.
    pub columns: Vec<(String, bool)>,
    pub rows: Vec<Vec<String>>,
}

/// Atoms to be turned, in colours of their elements or of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct AtomsView {
    pub structure: Structure,
    /// A name, as `sigma_A`, and a number an atom; NaN where it has none.
    pub columns: Vec<(String, Vec<f64>)>,
}

/// More atoms than this are no longer turned smoothly.
const MOST_ATOMS: usize = 50_000;

impl AtomsView {
    fn check(&self) -> Result<(), Error> {
        let len = self.structure.len();
        if len == 0 {
            return Err(Error::Empty("there are no atoms"));
        }
        if len > MOST_ATOMS {
            let requirement = "at most 50000 in a view that is turned";
            return Err(Error::OutOfRange { name: "the number of atoms", value: len as f64, requirement });
        }
        if !self.structure.atoms().iter().all(|atom| atom.position.iter().all(|x| x.is_finite())) {
            return Err(Error::NotFinite("an atom's position".to_owned()));
        }
        match self.columns.iter().find(|(_, values)| values.len() != len) {
            Some((name, values)) => Err(Error::PerAtom { name: name.clone(), values: values.len(), atoms: len }),
            None => Ok(()),
        }
    }
}

/// A page that is ready to be written. Immutable and cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Report {
    title: Arc<str>,
    sections: Arc<Vec<Section>>,
}

impl Report {
    /// A page of these sections, in their order.
    ///
    /// # Errors
    /// If there is no section, if a view has no atoms or more than 50 000, a position that is not finite, or another number of values than atoms.
    pub fn new(title: &str, sections: Vec<Section>) -> Result<Self, Error> {
        if sections.is_empty() {
            return Err(Error::Empty("a report needs a section"));
        }
        sections.iter().flat_map(|section| &section.views).try_for_each(AtomsView::check)?;
        let title = if title.trim().is_empty() { "Report" } else { title };
        Ok(Self { title: title.into(), sections: Arc::new(sections) })
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// The page as HTML, with `provenance` at its end.
    ///
    /// # Errors
    /// If a figure cannot be encoded.
    pub fn to_html(&self, provenance: &Provenance) -> Result<String, Error> {
        html::page(&self.title, &self.sections, provenance)
    }

    /// Writes the page to a file ending in `.html`, which appears under its name only when complete.
    ///
    /// # Errors
    /// If the name ends otherwise, or the file cannot be written.
    pub fn save(&self, path: &Path, provenance: &Provenance) -> Result<(), Error> {
        let ends = |wanted: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
        if !ends("html") && !ends("htm") {
            return Err(Error::NotHtml(PathBuf::from(path)));
        }
        Ok(store::write_text(path, &self.to_html(provenance)?)?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let sum = |count: fn(&Section) -> usize| self.sections.iter().map(count).sum::<usize>();
        let counts = [
            (self.sections.len(), "section", "sections"),
            (sum(|section| section.figures.len()), "figure", "figures"),
            (sum(|section| section.tables.len()), "table", "tables"),
            (sum(|section| section.views.len()), "view of atoms", "views of atoms"),
        ];
        let said = counts.iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| {
            let word = if *count == 1 { one } else { many };
            format!("{count} {word}")
        });
        write!(f, "Report \"{}\": {}", self.title, said.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
