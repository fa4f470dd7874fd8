//! What a long computation owes its caller: news of its progress, and a prompt end when asked to stop.
//!
//! A kernel receives a [`Task`], opens a [`Stage`] for each of its long loops and calls
//! [`Stage::advance`] as items are finished (at least ten times a second). The call fails with [`Cancelled`] once
//! the user has asked to stop; the kernel passes that error on and leaves nothing half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The work was stopped on request, not by a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// One piece of news about a stage of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A stage begins, with the number of items it will go through.
    Begin { stage: &'a str, total: u64 },
    /// `done` of `total` items are finished.
    Advance { stage: &'a str, done: u64, total: u64 },
    /// The stage is over.
    End { stage: &'a str },
}

type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// Handle that a kernel uses to report progress and to learn that it should stop.
#[derive(Clone, Default)]
pub struct Task {
    cancel: Arc<AtomicBool>,
    observer: Option<Observer>,
}

impl Task {
    /// A task that nobody watches and nobody stops: for tests and short work.
    pub fn silent() -> Self {
        Self::default()
    }

    /// A task that stops once `cancel` is true and tells `observer` what happens.
    pub fn new(cancel: Arc<AtomicBool>, observer: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { cancel, observer: Some(Arc::new(observer)) }
    }

    /// The same task without its observer: for a kernel that another kernel uses within a stage of its own.
    pub fn unseen(&self) -> Self {
        Self { cancel: self.cancel.clone(), observer: None }
    }

    /// Asks the work to stop, as the user may.
    pub fn stop(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Fails if the user has asked to stop.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.cancel.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }

    /// Opens a stage of `total` items, named as a user would call it (`"refine poses"`).
    pub fn stage<'a>(&'a self, name: &'a str, total: usize) -> Stage<'a> {
        let total = total as u64;
        self.tell(Progress::Begin { stage: name, total });
        Stage { task: self, name, total, done: AtomicU64::new(0) }
    }

    fn tell(&self, news: Progress) {
        if let Some(observer) = &self.observer {
            observer(news);
        }
    }
}

/// One loop of a kernel, shared by the threads that run it.
pub struct Stage<'a> {
    task: &'a Task,
    name: &'a str,
    total: u64,
    done: AtomicU64,
}

impl Stage<'_> {
    /// Counts `items` more as finished; fails if the user has asked to stop.
    pub fn advance(&self, items: usize) -> Result<(), Cancelled> {
        let done = self.done.fetch_add(items as u64, Ordering::Relaxed) + items as u64;
        self.task.tell(Progress::Advance { stage: self.name, done, total: self.total });
        self.task.check()
    }

    /// The task, for items that take long enough for somebody to want to stop.
    pub fn task(&self) -> &Task {
        self.task
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.task.tell(Progress::End { stage: self.name });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_task_stops_its_stage() {
        let cancel = Arc::new(AtomicBool::new(false));
        let task = Task::new(cancel.clone(), |_| {});
        let stage = task.stage("count", 2);
        assert_eq!(stage.advance(1), Ok(()));
        cancel.store(true, Ordering::Relaxed);
        assert_eq!(stage.advance(1), Err(Cancelled));
    }
}
