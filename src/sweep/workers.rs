//! Worker processes that take points, and what happens when one dies.
//!
//! A worker reads [`Order`]s from its standard input and writes [`Report`]s to its standard output. If that ends before a point is done, the
//! process was killed or has crashed: the point goes back to the others, and a new worker takes the place of the dead one. A point that was
//! tried [`TRIES`] times in vain has failed. When the sweep itself is killed its workers see their input end.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::{Order, Record, Report, SlurmError, describe, listen};

/// How often a point is begun before it is given up.
pub const TRIES: usize = 3;
/// How many workers in a row may die before one of them is ready.
const MOST_STILLBORN: usize = 20;
/// How often it is looked whether the sweep is to stop.
const TICK: Duration = Duration::from_millis(20);

/// Why a sweep cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError<E> {
    #[error("cannot start a worker: {0}")]
    Start(io::Error),
    #[error("a worker cannot work: {0}")]
    Refused(String),
    #[error("{MOST_STILLBORN} workers in a row died before they could begin (the last: {0})")]
    Stillborn(String),
    #[error(transparent)]
    Cluster(SlurmError),
    #[error("cannot write what SLURM is to do: {0}")]
    Write(io::Error),
    #[error("no task of SLURM job {job} could begin, nor of that before ({how})")]
    Vain { job: String, how: String },
    #[error("stopped")]
    Stopped,
    #[error("{0}")]
    Other(E),
}

/// What comes out of workers while they work.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A script printed this.
    Print(String),
    /// A message that is not a result.
    Tell(String),
    Done(Record),
}

/// How workers are started and stopped.
pub struct Workers<'a> {
    pub count: usize,
    /// Starts one, its input and output being pipes.
    pub start: &'a dyn Fn() -> io::Result<Child>,
    /// Whether the sweep is to stop; asked fifty times a second.
    pub stopped: &'a dyn Fn() -> bool,
}

/// Has all `orders` done and tells `take` of each as it ends, in no certain order.
///
/// # Errors
/// If workers cannot be started, the sweep is stopped, or `take` fails. No worker is left then.
pub fn work<E>(
    orders: Vec<Order>,
    workers: &Workers,
    mut take: impl FnMut(News) -> Result<(), E>,
) -> Result<(), WorkError<E>> {
    let (sender, receiver) = mpsc::channel();
    let mut crew = Crew { members: BTreeMap::new(), hired: 0, sender, left: orders.into(), tries: BTreeMap::new() };
    let mut stillborn = 0;
    loop {
        while crew.members.len() < workers.count.min(crew.left.len() + crew.busy()) {
            crew.hire(workers.start).map_err(WorkError::Start)?;
        }
        if crew.members.is_empty() {
            return Ok(());
        }
        let (id, said) = next(&receiver, workers.stopped).ok_or(WorkError::Stopped)?;
        match said {
            Some(Report::Print(text)) => take(News::Print(text)).map_err(WorkError::Other)?,
            Some(Report::Tell(text)) => take(News::Tell(text)).map_err(WorkError::Other)?,
            Some(Report::Refused(why)) => return Err(WorkError::Refused(why)),
            Some(Report::Ready) => {
                stillborn = 0;
                crew.give(id);
            }
            Some(Report::Done(record)) => {
                crew.free(id);
                take(News::Done(record)).map_err(WorkError::Other)?;
            }
            None => {
                let Some(Buried { was_ready, how, point }) = crew.bury(id) else { continue };
                stillborn += usize::from(!was_ready);
                if stillborn >= MOST_STILLBORN {
                    return Err(WorkError::Stillborn(how));
                }
                let news = match point {
                    Fate::None => continue,
                    Fate::Again(point) => {
                        News::Tell(format!("warning: the worker at {point} died ({how}); the point is done again"))
                    }
                    Fate::Lost(record) => News::Done(record),
                };
                take(news).map_err(WorkError::Other)?;
            }
        }
    }
}

/// What a worker said (nothing, if it says no more); `None` if the sweep is to stop.
fn next(receiver: &Receiver<(usize, Option<Report>)>, stopped: &dyn Fn() -> bool) -> Option<(usize, Option<Report>)> {
    loop {
        if stopped() {
            return None;
        }
        match receiver.recv_timeout(TICK) {
            Ok(said) => return Some(said),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// A worker that says no more.
struct Buried {
    /// Whether it ever was.
    was_ready: bool,
    /// How it ended.
    how: String,
    point: Fate,
}

/// What becomes of the point that a worker was at when it died.
enum Fate {
    /// It was at none.
    None,
    /// It is done again; this one, in words.
    Again(String),
    /// It was tried often enough.
    Lost(Record),
}

struct Member {
    child: Child,
    /// `None` once it has nothing left to do.
    input: Option<ChildStdin>,
    is_ready: bool,
    task: Option<(Order, Instant)>,
}

/// The workers there are, and what is left to do.
struct Crew {
    members: BTreeMap<usize, Member>,
    hired: usize,
    sender: Sender<(usize, Option<Report>)>,
    left: VecDeque<Order>,
    /// How often each point was begun.
    tries: BTreeMap<usize, usize>,
}

impl Crew {
    /// How many workers are not idle: at a point, or about to take one.
    fn busy(&self) -> usize {
        self.members.values().filter(|member| member.task.is_some()).count()
    }

    fn hire(&mut self, start: &dyn Fn() -> io::Result<Child>) -> io::Result<()> {
        let mut child = start()?;
        let id = self.hired;
        self.hired += 1;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        self.members.insert(id, Member { child, input, is_ready: false, task: None });
        let output = output.ok_or_else(|| io::Error::other("it has no output"))?;
        let to_crew = self.sender.clone();
        thread::Builder::new().name(format!("worker {id}")).spawn(move || {
            listen(output, |report| to_crew.send((id, Some(report))).is_ok());
            // nobody may be there any more
            drop(to_crew.send((id, None)));
        })?;
        Ok(())
    }

    /// Takes note that a worker has done its point. It may end then: it gets another once it says that it is ready.
    fn free(&mut self, id: usize) {
        if let Some(member) = self.members.get_mut(&id) {
            member.task = None;
        }
    }

    /// Gives a worker that is ready its next point, or sends it home.
    fn give(&mut self, id: usize) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.is_ready = true;
        let Some(order) = self.left.pop_front() else {
            member.input = None;
            return;
        };
        *self.tries.entry(order.index).or_default() += 1;
        let line = serde_json::json!(order).to_string() + "\n";
        member.task = Some((order, Instant::now()));
        if let Some(input) = &mut member.input {
            // a worker that is dead is noticed by its silence
            let _ = input.write_all(line.as_bytes());
        }
    }

    /// Takes a worker that says no more out of the list.
    fn bury(&mut self, id: usize) -> Option<Buried> {
        let mut member = self.members.remove(&id)?;
        // it may have closed its output alone
        let _ = member.child.kill();
        let how = member.child.wait().map_or_else(|error| error.to_string(), in_words);
        let Some((order, begun)) = member.task.take() else {
            return Some(Buried { was_ready: member.is_ready, how, point: Fate::None });
        };
        let tries = self.tries.get(&order.index).copied().unwrap_or(0);
        if tries < TRIES {
            let point = Fate::Again(describe(&order.point));
            self.left.push_front(order);
            return Some(Buried { was_ready: true, how, point });
        }
        let why = format!("its worker died {tries} times (the last time {how})");
        let record = order.failed(why, begun.elapsed().as_secs_f64());
        Some(Buried { was_ready: true, how, point: Fate::Lost(record) })
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            let _ = member.child.kill();
        }
        for member in self.members.values_mut() {
            let _ = member.child.wait();
        }
    }
}

#[cfg(unix)]
fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}

#[cfg(not(unix))]
fn in_words(status: ExitStatus) -> String {
    status.to_string()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sweep::{Outcome, Point};

    /// Runs `count` points with a worker that is a line of shell; the records, the warnings, and how it ended.
    fn run(shell: &str, count: usize) -> (Vec<Record>, Vec<String>, Result<(), String>) {
        let orders = (0..count).map(|index| Order { index, point: Point::new() }).collect();
        let start = || Command::new("sh").args(["-c", shell]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let workers = Workers { count: 2, start: &start, stopped: &|| false };
        let (mut records, mut warnings) = (Vec::new(), Vec::new());
        let result = work(orders, &workers, |news| {
            match news {
                News::Done(record) => records.push(record),
                News::Tell(text) | News::Print(text) => warnings.push(text),
            }
            Ok::<_, String>(())
        });
        records.sort_by_key(|record| record.index);
        (records, warnings, result.map_err(|error| error.to_string()))
    }

    /// Answers an order with its own number as the result.
    const ANSWER: &str = r#"i=$(echo "$line" | sed 's/.*"index":\([0-9]*\).*/\1/'); echo "{\"done\":{\"index\":$i,\"point\":{},\"outcome\":{\"values\":{\"i\":$i}},\"seconds\":0}}""#;

    #[test]
    fn all_points_come_back_though_workers_end_after_each() {
        // slow to end: no point may be given to one that is ending
        let (records, warnings, result) = run(&format!("echo '\"ready\"'; read line; {ANSWER}; sleep 0.05"), 9);
        assert_eq!((warnings, result), (vec![], Ok(())));
        let values = records.iter().map(|record| match &record.outcome {
            Outcome::Values(values) => values["i"].as_u64().unwrap(),
            Outcome::Failed(why) => panic!("{why}"),
        });
        assert!(values.eq(0..9));
    }

    #[test]
    fn a_point_that_kills_its_workers_is_given_up_alone() {
        let deadly =
            format!("while echo '\"ready\"'; read line; do case $line in *:1,*) kill -9 $$;; esac; {ANSWER}; done");
        let (records, warnings, result) = run(&deadly, 4);
        assert_eq!((result, records.len(), warnings.len()), (Ok(()), 4, TRIES - 1), "{warnings:?}");
        for record in &records {
            let failed = Outcome::Failed("its worker died 3 times (the last time killed by signal 9)".into());
            assert_eq!(record.outcome == failed, record.index == 1, "{record:?}");
        }
    }

    #[test]
    fn workers_that_cannot_begin_end_the_sweep() {
        assert!(run("exit 3", 2).2.unwrap_err().contains("20 workers in a row died"));
        let refusal = run(r#"echo '{"refused":"no memory"}'"#, 2).2.unwrap_err();
        assert_eq!(refusal, "a worker cannot work: no memory");
    }
}
