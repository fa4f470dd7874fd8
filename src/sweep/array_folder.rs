//! The files of a job array, and what its tasks do with them.
//!
//! In the folder of the sweep each array has a folder: `orders.jsonl`, a line for each task with its [`Order`]s; `batch.sh`; `job`, SLURM's number of it; and of
//! each task `N.jsonl`, its [`Report`]s, and `N.log`, what else it said.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::lines::{self, Lines, Tail};
use super::slurm::Job;
use super::{Order, Record, Report};
use crate::store;

/// How the names of the folders of arrays begin.
const PREFIX: &str = "array-";
const ORDERS: &str = "orders.jsonl";
const JOB: &str = "job";
/// What a task runs.
pub const SCRIPT: &str = "batch.sh";

/// Makes the folder of a new array whose tasks get these orders; `command` is that of a worker.
///
/// # Errors
/// If it cannot be written.
pub fn make(sweep: &Path, dealt: &[Vec<Order>], command: &[OsString]) -> io::Result<PathBuf> {
    let folder = fresh(sweep)?;
    let written = || -> io::Result<()> {
        let text: String = dealt.iter().map(lines::line).collect();
        fs::write(folder.join(ORDERS), text)?;
        // Where they are made by another computer, it may take long until they are seen.
        (0..dealt.len()).try_for_each(|task| File::create(reports(&folder, task)).map(drop))?;
        fs::write(folder.join(SCRIPT), script(command, &folder))
    };
    match written() {
        Ok(()) => Ok(folder),
        Err(error) => {
            remove(&folder);
            Err(error)
        }
    }
}

/// A folder of a name that none has had: tasks of old arrays must not find it.
fn fresh(sweep: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let folder = sweep.join(format!("{PREFIX}{now}"));
    fs::create_dir(&folder).map(|()| folder)
}

fn script(command: &[OsString], folder: &Path) -> Vec<u8> {
    let mut script = b"#!/bin/sh\nexec".to_vec();
    let mut add = |word: &OsStr| {
        script.push(b' ');
        script.extend(quoted(word));
    };
    command.iter().for_each(|word| add(word));
    [OsStr::new("--worker"), folder.as_os_str()].into_iter().for_each(add);
    script.extend(b" --threads \"${SLURM_CPUS_PER_TASK:-1}\" --task \"$SLURM_ARRAY_TASK_ID\"\n");
    script
}

/// A word that a shell takes as it is.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = b"'".to_vec();
    for byte in word.as_encoded_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The file with the reports of a task.
pub fn reports(folder: &Path, task: usize) -> PathBuf {
    folder.join(format!("{task}.jsonl"))
}

/// The file with what SLURM catches of a task's output.
pub fn log(folder: &Path, task: usize) -> PathBuf {
    folder.join(format!("{task}.log"))
}

/// The orders of all tasks.
pub fn orders(folder: &Path) -> Vec<Vec<Order>> {
    Tail::new(folder.join(ORDERS)).read().unwrap_or_default()
}

/// Keeps the number of an array.
pub fn set_job(folder: &Path, job: &Job) {
    // Without it the job is done all the same; only a later run would not find it.
    let _ = store::write_text(&folder.join(JOB), &job.text());
}

pub fn job(folder: &Path) -> Option<Job> {
    Job::parse(&fs::read_to_string(folder.join(JOB)).ok()?)
}

/// Removes the folder of an array.
pub fn remove(folder: &Path) {
    // A file that is still open somewhere may hinder it; what stays is harmless, and goes with the sweep.
    let _ = fs::remove_dir_all(folder);
}

/// The folders of all arrays of a sweep, in the order of their age.
pub fn folders(sweep: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sweep).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_array =
        |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(PREFIX));
    let mut folders: Vec<PathBuf> = entries.filter(|path| is_array(path) && path.is_dir()).collect();
    folders.sort();
    folders
}

/// All that tasks have left in the folder of a sweep.
pub fn records(sweep: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for folder in folders(sweep) {
        for task in 0..orders(&folder).len() {
            let reports: Vec<Report> = Tail::new(reports(&folder, task)).read().unwrap_or_default();
            records.extend(reports.into_iter().filter_map(|report| match report {
                Report::Done(record) => Some(record),
                _ => None,
            }));
        }
    }
    records
}

/// Cancels and removes all arrays of a sweep; the jobs that may have been at work.
pub fn abandon(sweep: &Path) -> Vec<Job> {
    let mut jobs = Vec::new();
    for folder in folders(sweep) {
        if let Some(job) = job(&folder) {
            // One that has ended is not there any more; one that goes on finds its folder gone.
            let _ = job.cancel();
            jobs.push(job);
        }
        remove(&folder);
    }
    jobs
}

/// What one task of an array is to do, and where it says what comes of it.
pub struct Chunk {
    /// Points that are not done.
    pub orders: Vec<Order>,
    reports: Lines,
}

impl Chunk {
    /// Opens the chunk of a task; where SLURM has begun it before, that goes on.
    ///
    /// # Errors
    /// If the folder of the array is not there, or not whole.
    pub fn open(folder: &Path, task: usize) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the sweep has no such task any more");
        let orders = orders(folder).into_iter().nth(task).ok_or_else(missing)?;
        let path = reports(folder, task);
        let mut before = Tail::new(path.clone());
        let is_record = |report| if let Report::Done(Record { index, .. }) = report { Some(index) } else { None };
        let done: BTreeSet<usize> = before.read()?.into_iter().filter_map(is_record).collect();
        let reports = Lines::append(&path)?;
        reports.cut(before.at)?;
        Ok(Self { orders: orders.into_iter().filter(|order| !done.contains(&order.index)).collect(), reports })
    }

    /// Adds a report.
    ///
    /// # Errors
    /// If the disk is full or the like.
    pub fn report(&mut self, report: &Report) -> io::Result<()> {
        self.reports.add(report)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::*;
    use crate::sweep::{Outcome, Point};

    #[test]
    fn a_task_that_is_begun_again_does_what_is_left() {
        let sweep = tempfile::tempdir().unwrap();
        let order = |index| Order { index, point: Point::new() };
        let folder = make(sweep.path(), &[vec![order(0), order(2)], vec![order(1)]], &[]).unwrap();
        let record = |index| {
            let outcome = Outcome::Values(Point::new());
            Record {
                index,
                point: Point::new(),
                outcome,
                seconds: 1.0,
                files: BTreeMap::new(),
                calls: serde_json::Value::Null,
            }
        };
        let mut chunk = Chunk::open(&folder, 0).unwrap();
        assert_eq!(chunk.orders.len(), 2);
        [Report::Ready, Report::Done(record(0))].iter().for_each(|report| chunk.report(report).unwrap());
        drop(chunk);
        // the next line is cut off
        let path = reports(&folder, 0);
        let half = fs::read_to_string(&path).unwrap() + "0123456789abcdef {\"done\":";
        fs::write(&path, half).unwrap();
        let mut chunk = Chunk::open(&folder, 0).unwrap();
        assert_eq!(chunk.orders, [order(2)]);
        chunk.report(&Report::Done(record(2))).unwrap();
        assert_eq!(records(sweep.path()), [record(0), record(2)]);
        assert!(Chunk::open(&folder, 2).is_err());
        assert_eq!(abandon(sweep.path()), []);
        assert!(Chunk::open(&folder, 0).is_err() && folders(sweep.path()).is_empty());
    }

    #[test]
    fn a_shell_gets_words_as_they_are() {
        let word = "it's $HOME \"x\" \\ é";
        let line = [b"printf %s ".to_vec(), quoted(OsStr::new(word))].concat();
        let said = Command::new("sh").arg("-c").arg(String::from_utf8(line).unwrap()).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
    }
}
