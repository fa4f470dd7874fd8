//! What a sweep has done so far, in a file that a kill at any moment leaves readable.
//!
//! `journal.jsonl` in the sweep's folder: a header, then one line a point, appended as it is done ([`super::lines`]). What tasks of a cluster have
//! left in files of their own goes into it when it is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{Lines, line, whole};
use super::{Outcome, Record, array_folder, describe};
use crate::store;

/// Name of the file in a sweep's folder.
pub const FILE: &str = "journal.jsonl";
/// What was begun anew.
const OLD: &str = "journal.old.jsonl";

/// What a journal is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Digest of all that decides the results.
    pub run: String,
    /// As the user wrote it.
    pub script: String,
    pub parameters: Vec<String>,
    /// How many points there will be; `None` if that is not known before.
    pub points: Option<usize>,
}

/// A journal that is written.
pub struct Journal(Lines);

/// What was found when a journal was opened.
#[derive(Debug, Default, PartialEq)]
pub struct Kept {
    /// Points that need not be done again.
    pub records: Vec<Record>,
    /// What the user should know of it.
    pub message: Option<String>,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if need be: what is there is continued with `resume`, and put aside without.
    ///
    /// # Errors
    /// If another run is at it, if what is there is of another run and `resume` is asked for, or if it cannot be written. In words.
    pub fn open(folder: &Path, header: &Header, resume: bool) -> Result<(Self, Kept), String> {
        let shown = folder.display();
        let cannot = |error: io::Error| format!("cannot keep the results of the sweep in {shown}: {error}");
        let path = folder.join(FILE);
        fs::create_dir_all(folder).map_err(cannot)?;
        let mut kept = Kept::default();
        if let Some(mut found) = Found::read(&path).map_err(cannot)? {
            let mut lines = Lines::append(&path).map_err(cannot)?;
            if found.header.is_some() {
                lines.cut(found.whole).map_err(cannot)?;
                found.merge(array_folder::records(folder), |record| lines.add(record)).map_err(cannot)?;
            }
            if resume && found.header.as_ref() == Some(header) {
                kept.records = found.finished();
                return Ok((Self(lines), kept));
            }
            let done = found.finished().len();
            if resume && found.header.is_some() {
                return Err(format!(
                    "cannot resume the sweep in {shown}: it is of another run (the script, the parameters, what the closure uses or the program changed); its {done} finished points do not fit. Run without --resume to begin anew"
                ));
            }
            if done > 0 {
                fs::rename(&path, folder.join(OLD)).map_err(cannot)?;
                kept.message = Some(format!(
                    "the sweep begins anew; {done} points that an earlier run has finished are put aside as {}/{OLD} (--resume would have kept them)",
                    folder.display()
                ));
            }
        }
        store::write_text(&path, &line(header)).map_err(|error| error.to_string())?;
        Ok((Self(Lines::append(&path).map_err(cannot)?), kept))
    }

    /// Adds what is known of a point.
    ///
    /// # Errors
    /// If the disk is full or the like.
    pub fn add(&mut self, record: &Record) -> io::Result<()> {
        self.0.add(record)
    }
}

/// What is in a journal.
struct Found {
    /// `None` if it is damaged.
    header: Option<Header>,
    records: Vec<Record>,
    /// Bytes of the lines that are whole.
    whole: u64,
}

impl Found {
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let mut found = Self { header: None, records: Vec::new(), whole: 0 };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = whole(line) else { break };
            let is_known = match found.header {
                None => {
                    found.header = serde_json::from_str(text).ok();
                    found.header.is_some()
                }
                Some(_) => serde_json::from_str(text).map(|record| found.records.push(record)).is_ok(),
            };
            if !is_known {
                break;
            }
            found.whole += line.len() as u64;
        }
        Ok(Some(found))
    }

    /// Adds records of points that are not finished, and tells `add` of each.
    fn merge(&mut self, records: Vec<Record>, mut add: impl FnMut(&Record) -> io::Result<()>) -> io::Result<()> {
        let done: BTreeSet<usize> = self.finished().iter().map(|record| record.index).collect();
        for record in records.into_iter().filter(|record| !done.contains(&record.index)) {
            add(&record)?;
            self.records.push(record);
        }
        Ok(())
    }

    /// The last record of each point that has results, in the order of the points.
    fn finished(&self) -> Vec<Record> {
        let mut latest: BTreeMap<usize, &Record> = BTreeMap::new();
        latest.extend(self.records.iter().map(|record| (record.index, record)));
        let finished = latest.into_values().filter(|record| matches!(record.outcome, Outcome::Values(_)));
        finished.cloned().collect()
    }

    fn failed(&self) -> Vec<&Record> {
        let done: Vec<usize> = self.finished().iter().map(|record| record.index).collect();
        let failed = self.records.iter().filter(|record| !done.contains(&record.index));
        let mut latest: BTreeMap<usize, &Record> = BTreeMap::new();
        latest.extend(failed.map(|record| (record.index, record)));
        latest.into_values().collect()
    }
}

/// Whether this is a journal, or a folder with one.
pub fn is_journal(path: &Path) -> bool {
    file_of(path).is_some()
}

fn file_of(path: &Path) -> Option<PathBuf> {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let named = file.file_name().is_some_and(|name| name == FILE || name == OLD);
    (named && file.is_file()).then_some(file)
}

/// Says how far a sweep is, from its journal or the folder with it: one line a fact, no line break at the end.
///
/// # Errors
/// If it cannot be read or is damaged.
pub fn info(path: &Path) -> Result<String, store::Error> {
    let file = file_of(path).unwrap_or_else(|| path.to_owned());
    let unreadable = |cause| store::Error::Read { path: file.clone(), cause };
    let mut found =
        Found::read(&file).map_err(unreadable)?.ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
    let Some(header) = found.header.clone() else {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is not the journal of a sweep")));
    };
    let mut jobs = Vec::new();
    if file.ends_with(FILE) {
        let folder = file.with_file_name("");
        let folder = if folder == Path::new("") { Path::new(".") } else { &folder };
        found.merge(array_folder::records(folder), |_| Ok(())).map_err(unreadable)?;
        jobs.extend(
            array_folder::folders(folder).iter().filter_map(|array| Some(array_folder::job(array)?.to_string())),
        );
    }
    let finished = found.finished();
    let failed = found.failed();
    let seconds = finished.iter().map(|record| record.seconds).sum::<f64>() / finished.len().max(1) as f64;
    let of = header.points.map(|points| format!(" of {points}")).unwrap_or_default();
    let mut text = format!("{}: sweep of {}", path.display(), header.script);
    let mut fact = |name: &str, fact: &str| text += &format!("\n  {name:<14} {fact}");
    fact("parameters", &header.parameters.join(", "));
    let each = if finished.is_empty() { String::new() } else { format!(", {seconds:.3} s each") };
    fact("done", &format!("{}{of} points{each}", finished.len()));
    if !failed.is_empty() {
        fact("failed", &failed.len().to_string());
    }
    if !jobs.is_empty() {
        fact("SLURM job", &format!("{}, which may be at work", jobs.join(", ")));
    }
    for Record { index, point, outcome, .. } in failed {
        if let Outcome::Failed(why) = outcome {
            fact(&format!("point {index}"), &format!("{}: {why}", describe(point)));
        }
    }
    Ok(text)
}

/// Removes what a sweep has kept, and the folder if nothing else is in it.
pub fn forget(folder: &Path, others: &[&str]) {
    // Should one stay, it is harmless: the next run puts it aside.
    for name in [FILE, OLD].iter().chain(others) {
        let _ = fs::remove_file(folder.join(name));
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(store::is_half_written) {
            let _ = fs::remove_file(entry.path());
        }
    }
    array_folder::folders(folder).iter().for_each(|array| array_folder::remove(array));
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sweep::Point;

    fn header(run: &str) -> Header {
        Header { run: run.into(), script: "s.rhai".into(), parameters: vec!["x".into()], points: Some(3) }
    }

    fn record(index: usize, value: f64) -> Record {
        let map = |name: &str, value: Value| Point::from_iter([(name.to_owned(), value)]);
        let outcome = Outcome::Values(map("y", value.into()));
        Record {
            index,
            point: map("x", index.into()),
            outcome,
            seconds: 0.5,
            files: BTreeMap::new(),
            calls: Value::Null,
        }
    }

    fn open(folder: &Path, run: &str, resume: bool) -> Result<Kept, String> {
        Journal::open(folder, &header(run), resume).map(|(_, kept)| kept)
    }

    #[test]
    fn a_journal_cut_at_any_byte_gives_its_whole_points_in_all_their_bits() {
        let folder = tempfile::tempdir().unwrap();
        let records = [record(0, 1.0 / 3.0), record(2, -0.0), record(1, 5e-324)];
        let (mut journal, _) = Journal::open(folder.path(), &header("a"), false).unwrap();
        let path = folder.path().join(FILE);
        let mut ends = vec![fs::metadata(&path).unwrap().len() as usize];
        for record in &records {
            journal.add(record).unwrap();
            ends.push(fs::metadata(&path).unwrap().len() as usize);
        }
        drop(journal);
        let bytes = fs::read(&path).unwrap();
        for length in ends[0]..=bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let kept = open(folder.path(), "a", true).unwrap().records;
            let whole = ends[1..].iter().filter(|end| **end <= length).count();
            let mut expected = records[..whole].to_vec();
            expected.sort_by_key(|record| record.index);
            assert_eq!(kept, expected, "{length}");
            let bits = |record: &Record| match &record.outcome {
                Outcome::Values(values) => values["y"].as_f64().unwrap().to_bits(),
                Outcome::Failed(_) => panic!(),
            };
            assert!(kept.iter().map(bits).eq(expected.iter().map(bits)));
        }
        // and what is added after a cut is found again
        fs::write(&path, &bytes[..ends[2] + 5]).unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &header("a"), true).unwrap();
        journal.add(&records[2]).unwrap();
        drop(journal);
        assert_eq!(open(folder.path(), "a", true).unwrap().records.len(), 3);
    }

    #[test]
    fn a_changed_byte_ends_what_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &header("a"), false).unwrap();
        [record(0, 1.0), record(1, 2.0)].iter().for_each(|record| journal.add(record).unwrap());
        drop(journal);
        let path = folder.path().join(FILE);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("2.0", "3.0")).unwrap();
        assert_eq!(open(folder.path(), "a", true).unwrap().records, [record(0, 1.0)]);
    }

    #[test]
    fn failed_points_are_done_again_and_shown() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &header("a"), false).unwrap();
        journal.add(&record(0, 1.0)).unwrap();
        journal.add(&Record { outcome: Outcome::Failed("no atoms".into()), ..record(1, 0.0) }).unwrap();
        assert!(open(folder.path(), "a", true).unwrap_err().contains("another run is at work"));
        drop(journal);
        let text = info(folder.path()).unwrap();
        for part in ["sweep of s.rhai", "1 of 3 points, 0.500 s each", "point 1        x 1: no atoms"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(open(folder.path(), "a", true).unwrap().records, [record(0, 1.0)]);
    }

    #[test]
    fn a_journal_of_another_run_is_refused_or_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &header("a"), false).unwrap();
        journal.add(&record(0, 1.0)).unwrap();
        drop(journal);
        let refused = open(folder.path(), "b", true).unwrap_err();
        assert!(refused.contains("of another run") && refused.contains("1 finished points"), "{refused}");
        let kept = open(folder.path(), "b", false).unwrap();
        assert!(kept.records.is_empty() && kept.message.as_ref().unwrap().contains("--resume would have kept them"));
        assert!(info(&folder.path().join(OLD)).unwrap().contains("1 of 3 points"));
        forget(folder.path(), &[]);
        assert!(!folder.path().exists());
        assert_eq!(json!(header("a"))["points"], 3);
    }
}
