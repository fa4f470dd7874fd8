//! `pedesis run run.h5`: the run that made a file, once more.
//!
//! The script, its modules and its arguments are those that the file has kept; nothing of them is read from the disk. A file may come from a
//! stranger: its script may read and write what one beside the file could, and what the recorded arguments name is not opened with them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::output;
use super::repl::PROMPT;
use crate::script::permit::{Permit, Refusal};
use crate::script::{Script, is_script_length};
use crate::store::{self, Provenance};
use crate::task::Task;

/// Every HDF5 file begins with it.
const SIGNATURE: &[u8] = b"\x89HDF";
/// Digits of a digest that tell two files apart at sight.
const DIGITS: usize = 16;

/// Why a run cannot be repeated.
#[derive(Debug, thiserror::Error)]
pub enum RepeatError {
    #[error(transparent)]
    File(#[from] store::Error),
    #[error("{} cannot be repeated: {why}", .path.display())]
    Record { path: PathBuf, why: &'static str },
    #[error("{} cannot be repeated: its input {name} {problem}", .path.display())]
    Input { path: PathBuf, name: String, problem: String },
    #[error("{} cannot be repeated with its out={out}: {refusal}; or give out=… yourself", .path.display())]
    Out { path: PathBuf, out: String, refusal: Refusal },
}

/// A run as a file of its results remembers it.
pub struct Recorded {
    path: PathBuf,
    given: BTreeMap<String, String>,
    provenance: Provenance,
}

impl Recorded {
    /// The run that made the file at `path`; `None` if that is no HDF5 file.
    ///
    /// # Errors
    /// If it is one by its first bytes or its name, but cannot be read, or does not hold all of a script.
    pub fn open(path: &Path) -> Result<Option<Self>, RepeatError> {
        if !is_hdf5(path) {
            return Ok(None);
        }
        let refuse = |why| Err(RepeatError::Record { path: path.to_owned(), why });
        let Some(mut provenance) = store::read_provenance(path)? else {
            return refuse("it does not say what made it, as files of other programs do not");
        };
        if provenance.script_path == PROMPT {
            return refuse("it was written at the prompt, which is no script; :save there writes one");
        }
        if provenance.script.is_empty() {
            return refuse("it holds no script");
        }
        let Some(given) = provenance.given.take() else {
            return refuse("it was written by a version that did not keep all that is needed; run its script itself");
        };
        if !std::iter::once(&provenance.script).chain(provenance.modules.values()).all(|text| is_script_length(text)) {
            return refuse("its script, or a module, is longer than a script may be");
        }
        Ok(Some(Self { path: path.to_owned(), given, provenance }))
    }

    /// The script with its modules.
    pub fn script(&self) -> Script {
        let Provenance { script, script_path, modules, .. } = &self.provenance;
        Script { path: script_path.clone(), text: script.clone(), modules: Some(modules.clone()) }
    }

    /// The arguments of that run, but those that are given `anew`.
    pub fn given(&self, anew: &[(String, String)]) -> Vec<(String, String)> {
        self.kept(anew).map(|(name, value)| (name.clone(), value.clone())).chain(anew.iter().cloned()).collect()
    }

    /// Fails if an input is not what it was, or the results could not be written; what is named by an argument that is given `anew` is not looked at.
    pub fn check(&self, anew: &[(String, String)], permit: &Permit) -> Result<(), RepeatError> {
        let replaced: Vec<&str> = anew.iter().filter_map(|(name, _)| Some(self.given.get(name)?.as_str())).collect();
        let names = |input: &str| {
            let of = |value: &str| Path::new(input).starts_with(value);
            // an argument may be a list
            let values =
                replaced.iter().flat_map(|value| std::iter::once(*value).chain(value.split(',').map(str::trim)));
            values.filter(|value| !value.is_empty()).any(of)
        };
        let mut inputs = self.provenance.inputs.iter().filter(|(name, _)| !names(name));
        inputs.try_for_each(|(name, digest)| self.check_input(name, digest, anew, permit))?;
        match self.kept(anew).find(|(name, _)| *name == "out") {
            Some((_, out)) if !out.is_empty() => {
                let closed = |refusal| RepeatError::Out { path: self.path.clone(), out: out.clone(), refusal };
                permit.write(out).map(drop).map_err(closed)
            }
            _ => Ok(()),
        }
    }

    fn check_input(
        &self,
        name: &str,
        digest: &str,
        anew: &[(String, String)],
        permit: &Permit,
    ) -> Result<(), RepeatError> {
        let argument = self.kept(anew).find(|(_, value)| *value == name).map(|(argument, _)| argument);
        let refuse = |problem| Err(RepeatError::Input { path: self.path.clone(), name: name.to_owned(), problem });
        let file = match permit.read(name) {
            Ok(file) => file,
            Err(Refusal { reason, .. }) => {
                let or = argument.map(|argument| format!("; or give it as {argument}=…")).unwrap_or_default();
                return refuse(format!("cannot be read: {reason}{or}"));
            }
        };
        if digest == Provenance::UNKNOWN {
            output::complain(&format!("warning: it is not known what was in {name} when it was read"));
            return Ok(());
        }
        let now = Provenance::digest_of(&file, &Task::silent()).unwrap_or_default();
        if now == digest {
            return Ok(());
        }
        let [was, is] = [digest, &now].map(|digest| digest.get(..DIGITS).unwrap_or(digest));
        let remedy = match argument {
            Some(argument) => format!("put it there, or give a file as {argument}=…"),
            None => "put it there, or go to the directory in which the script ran".to_owned(),
        };
        refuse(match (digest, now.as_str()) {
            (_, Provenance::ABSENT) => format!("is not there (when it was read its BLAKE3 was {was}…); {remedy}"),
            (_, Provenance::UNKNOWN) => {
                "cannot be compared with what was read: it is larger than the memory, or no file".into()
            }
            (Provenance::ABSENT, _) => "was not there then, but is now; move it away".to_owned(),
            _ => format!("has changed (when it was read its BLAKE3 was {was}…, now it is {is}…); {remedy}"),
        })
    }

    /// Says in one line what runs now, with its arguments; warns if the program is another.
    pub fn announce(&self, given: &[(String, String)]) {
        let Provenance { script_path, start, version, .. } = &self.provenance;
        let own = env!("CARGO_PKG_VERSION");
        if version != own {
            let path = self.path.display();
            output::complain(&format!(
                "warning: {path} was made by pedesis {version}, this is {own}: results may not be the same to the bit"
            ));
        }
        let day = start.split('T').next().unwrap_or_default();
        let with = if given.is_empty() { "" } else { " with" };
        let given: String = given.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let line = format!("repeating {script_path} of {day}{with}{given}");
        // whoever made the file does not command the terminal
        output::complain(&line.replace(char::is_control, "?"));
    }

    fn kept(&self, anew: &[(String, String)]) -> impl Iterator<Item = (&String, &String)> {
        self.given.iter().filter(|(name, _)| anew.iter().all(|(other, _)| other != *name))
    }
}

/// Whether a file is HDF5, or is called so: a file that lost its beginning is no script.
fn is_hdf5(path: &Path) -> bool {
    // what is read from a pipe is gone
    if !path.is_file() {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SIGNATURE.len() as u64).read_to_end(&mut start));
    let is_called_so = path.extension().is_some_and(|end| end == "h5" || end == "hdf5");
    read.is_ok() && (start == SIGNATURE || is_called_so)
}
