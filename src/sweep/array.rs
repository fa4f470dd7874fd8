//! A sweep as job arrays of SLURM, and what happens when a task dies.
//!
//! The points that are left are dealt out to the tasks of one array, each of which runs this program and appends what becomes of its points to a file of its
//! own; the folder of the sweep is on a file system that all computers share. When no task is left in SLURM's queue but points are, they
//! are given to a new array: a point that was at work in [`TRIES`] tasks that died has failed. When the sweep itself is killed the array works
//! on, and the next run finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::array_folder::{self as files, folders};
use super::lines::Tail;
use super::slurm::{Job, Slurm, State};
use super::workers::TRIES;
use super::{News, Order, Report, SlurmError, WorkError};

/// Tasks for each that is at work at a time, so that none waits long for the last.
const SHARE: usize = 4;
/// What SLURM takes where it is not told otherwise.
const MOST_TASKS: usize = 1000;
/// How many arrays in a row may end before one of their tasks has begun.
const MOST_VAIN: usize = 2;
/// How often it is looked whether the sweep is to stop.
const TICK: Duration = Duration::from_millis(20);
/// How often a file is read; many are read less often.
const LISTEN: Duration = Duration::from_millis(200);
const LISTEN_EACH: Duration = Duration::from_millis(5);
/// How often SLURM is asked: the first time, and at last.
const ASK: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// After how many questions the user is told why nothing has begun.
const WAITED: usize = 3;
/// How long what a task wrote last may be under way.
const ARRIVAL: Duration = Duration::from_secs(2);
/// Bytes of the end of a log that are shown.
const LOG: usize = 500;

/// How a sweep is given to a cluster.
pub struct Cluster<'a> {
    pub slurm: &'a Slurm,
    /// Of the sweep, as an absolute path.
    pub folder: &'a Path,
    /// Program and arguments of a worker.
    pub command: &'a [OsString],
    /// Whether an array that an earlier run has left is waited for.
    pub resume: bool,
    /// Whether the sweep is to stop; asked fifty times a second.
    pub stopped: &'a dyn Fn() -> bool,
}

/// Has all `orders` done and tells `take` of each as it ends, in no certain order.
///
/// # Errors
/// If SLURM takes no jobs, no task can begin, the sweep is stopped, or `take` fails. The array is cancelled then.
pub fn work_in_cluster<E>(
    orders: Vec<Order>,
    cluster: &Cluster,
    mut take: impl FnMut(News) -> Result<(), E>,
) -> Result<(), WorkError<E>> {
    let mut left: BTreeMap<usize, Order> = orders.into_iter().map(|order| (order.index, order)).collect();
    let mut tries: BTreeMap<usize, usize> = BTreeMap::new();
    let mut vain = 0;
    let mut found = if cluster.resume { Array::left_in(cluster.folder, &mut left, &mut take)? } else { None };
    while !left.is_empty() {
        let (mut array, begun) = match found.take() {
            Some(array) => (array, "of the last run is still at work: "),
            None => (Array::submit(cluster, &left)?, ""),
        };
        let (points, tasks) = (left.len(), array.members.len());
        let most = cluster.slurm.tasks.min(tasks);
        let text = format!("SLURM job {}: {begun}{points} points in {tasks} tasks, {most} at a time", array.job);
        take(News::Tell(text)).map_err(WorkError::Other)?;
        if let Err(error) = array.watch(&mut left, cluster, &mut take) {
            let cancelled = array.job.cancel().map_or_else(|error| error.to_string(), |()| "cancelled".into());
            // of what fails now the first error is the reason
            let _ = take(News::Tell(format!("SLURM job {}: {cancelled}", array.job)));
            let _ = array.hear(&mut left, &mut take);
            return Err(error);
        }
        for (order, how) in array.lost(&left) {
            let count = tries.entry(order.index).or_default();
            *count += 1;
            if *count >= TRIES {
                left.remove(&order.index);
                let why = format!("its task died {count} times (the last time {how})");
                take(News::Done(order.failed(why, 0.0))).map_err(WorkError::Other)?;
            }
        }
        vain = if array.members.iter().any(|member| member.is_ready) { 0 } else { vain + 1 };
        if let Some(how) = array.how_it_ended(&left) {
            if vain == MOST_VAIN {
                return Err(WorkError::Vain { job: array.job.to_string(), how });
            }
            let text = format!(
                "warning: SLURM job {} has ended ({how}) with {} points left; they are submitted again",
                array.job,
                left.len()
            );
            take(News::Tell(text)).map_err(WorkError::Other)?;
        }
        files::remove(&array.folder);
    }
    Ok(())
}

/// One task of an array.
struct Member {
    /// Points that it has not done.
    left: BTreeSet<usize>,
    reports: Tail,
    /// Whether it ever was.
    is_ready: bool,
    /// As SLURM knows it.
    state: State,
}

impl Member {
    fn hear(&mut self) -> Vec<Report> {
        // what cannot be read now can be later, or its points are done again
        let reports: Vec<Report> = self.reports.read().unwrap_or_default();
        for report in &reports {
            match report {
                Report::Done(record) => drop(self.left.remove(&record.index)),
                Report::Ready => self.is_ready = true,
                _ => {}
            }
        }
        reports
    }

    fn is_at_work(&self) -> bool {
        !self.left.is_empty() && self.state.is_alive()
    }
}

/// A submitted array.
struct Array {
    folder: PathBuf,
    job: Job,
    members: Vec<Member>,
}

impl Array {
    /// Submits an array for these points.
    fn submit<E>(cluster: &Cluster, left: &BTreeMap<usize, Order>) -> Result<Self, WorkError<E>> {
        let tasks = left.len().min(SHARE * cluster.slurm.tasks).min(MOST_TASKS);
        // neighbours, which may take equally long, go to different tasks
        let share = |task| left.values().skip(task).step_by(tasks).cloned().collect();
        let dealt: Vec<Vec<Order>> = (0..tasks).map(share).collect();
        let folder = files::make(cluster.folder, &dealt, cluster.command).map_err(WorkError::Write)?;
        let name = cluster.folder.file_name().unwrap_or_default().to_string_lossy();
        match cluster.slurm.submit(&folder.join(files::SCRIPT), tasks, &name, &folder) {
            Ok(job) => {
                files::set_job(&folder, &job);
                Ok(Self::new(folder, job, &dealt))
            }
            Err(error) => {
                files::remove(&folder);
                Err(WorkError::Cluster(error))
            }
        }
    }

    fn new(folder: PathBuf, job: Job, dealt: &[Vec<Order>]) -> Self {
        let member = |(task, orders): (usize, &Vec<Order>)| Member {
            left: orders.iter().map(|order| order.index).collect(),
            reports: Tail::new(files::reports(&folder, task)),
            is_ready: false,
            state: State::default(),
        };
        Self { members: dealt.iter().enumerate().map(member).collect(), folder, job }
    }

    /// The array of an earlier run, if it is at work; those that are not are removed.
    fn left_in<E>(
        sweep: &Path,
        left: &mut BTreeMap<usize, Order>,
        take: &mut impl FnMut(News) -> Result<(), E>,
    ) -> Result<Option<Self>, WorkError<E>> {
        for folder in folders(sweep) {
            let Some(job) = files::job(&folder) else {
                files::remove(&folder);
                continue;
            };
            let mut array = Self::new(folder.clone(), job, &files::orders(&folder));
            // what it printed was shown then; what it has done since the journal was read is news
            for report in array.members.iter_mut().flat_map(Member::hear) {
                if let Report::Done(record) = report
                    && left.remove(&record.index).is_some()
                {
                    take(News::Done(record)).map_err(WorkError::Other)?;
                }
            }
            array.ask().map_err(WorkError::Cluster)?;
            if array.members.iter().any(Member::is_at_work) {
                return Ok(Some(array));
            }
            files::remove(&folder);
        }
        Ok(None)
    }

    /// Waits until no task has anything left, or is there to do it.
    fn watch<E>(
        &mut self,
        left: &mut BTreeMap<usize, Order>,
        cluster: &Cluster,
        take: &mut impl FnMut(News) -> Result<(), E>,
    ) -> Result<(), WorkError<E>> {
        let (mut heard, mut asked, mut pause) = (Instant::now(), Instant::now(), ASK[0]);
        let (mut is_silent, mut times) = (false, 0);
        let listen = LISTEN.max(LISTEN_EACH * self.members.len() as u32);
        loop {
            if (cluster.stopped)() {
                return Err(WorkError::Stopped);
            }
            if heard.elapsed() >= listen {
                self.hear(left, take)?;
                heard = Instant::now();
            }
            if self.members.iter().all(|member| member.left.is_empty()) {
                return Ok(());
            }
            if asked.elapsed() >= pause {
                let answer = self.ask();
                times += 1;
                let note = match &answer {
                    Err(error) if !is_silent => Some(format!("warning: {error}; what the job does is awaited")),
                    Ok(()) if times == WAITED => self.waits_for(),
                    _ => None,
                };
                if let Some(note) = note {
                    take(News::Tell(format!("SLURM job {}: {note}", self.job))).map_err(WorkError::Other)?;
                }
                is_silent = answer.is_err();
                (asked, pause) = (Instant::now(), (2 * pause).min(ASK[1]));
                if !self.members.iter().any(Member::is_at_work) {
                    let ended = Instant::now();
                    while ended.elapsed() < ARRIVAL && !(cluster.stopped)() {
                        thread::sleep(TICK);
                    }
                    self.hear(left, take)?;
                    return if (cluster.stopped)() { Err(WorkError::Stopped) } else { Ok(()) };
                }
            }
            thread::sleep(TICK);
        }
    }

    /// Takes what tasks have written since the last time.
    fn hear<E>(
        &mut self,
        left: &mut BTreeMap<usize, Order>,
        take: &mut impl FnMut(News) -> Result<(), E>,
    ) -> Result<(), WorkError<E>> {
        for report in self.members.iter_mut().filter(|member| !member.left.is_empty()).flat_map(Member::hear) {
            let news = match report {
                Report::Ready => continue,
                Report::Refused(why) => return Err(WorkError::Refused(why)),
                Report::Print(text) => News::Print(text),
                Report::Tell(text) => News::Tell(text),
                Report::Done(record) if left.remove(&record.index).is_some() => News::Done(record),
                Report::Done(_) => continue,
            };
            take(news).map_err(WorkError::Other)?;
        }
        Ok(())
    }

    /// Asks SLURM how the tasks are.
    fn ask(&mut self) -> Result<(), SlurmError> {
        let mut states = self.job.states()?;
        for (task, member) in self.members.iter_mut().enumerate() {
            // one that SLURM knows no more has ended
            match states.remove(&task) {
                Some(state) => member.state = state,
                None if member.state.is_alive() => member.state = State::gone(),
                None => {}
            }
        }
        Ok(())
    }

    /// In words, why no task has begun.
    fn waits_for(&self) -> Option<String> {
        let first = self.members.iter().find(|member| member.is_at_work())?;
        let has_begun = self.members.iter().any(|member| member.is_ready);
        (!has_begun).then(|| format!("it waits in the queue ({}; squeue tells more)", first.state.reason))
    }

    /// The points that dead tasks were at, with how these ended.
    fn lost(&self, left: &BTreeMap<usize, Order>) -> Vec<(Order, String)> {
        let begun = self.members.iter().filter(|member| member.is_ready);
        let at = begun.filter_map(|member| {
            Some((member.left.first().and_then(|index| left.get(index))?.clone(), member.state.word.clone()))
        });
        at.collect()
    }

    /// In words, of the first task with points left: its state, and the end of its log.
    fn how_it_ended(&self, left: &BTreeMap<usize, Order>) -> Option<String> {
        let is_short = |member: &&Member| member.left.iter().any(|index| left.contains_key(index));
        let (task, member) = self.members.iter().enumerate().find(|(_, member)| is_short(member))?;
        let log = fs::read(files::log(&self.folder, task)).unwrap_or_default();
        let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG)..]).trim().to_owned();
        let said = if end.is_empty() { String::new() } else { format!(", saying: {end}") };
        Some(format!("task {task}: {}{said}", member.state.word))
    }
}
