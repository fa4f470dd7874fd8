//! Time and memory of a run, looked at from a thread of its own.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{FAULT, output};
use crate::memory::Memory;
use crate::script::Session;

/// How often.
const TICK: Duration = Duration::from_millis(25);

/// How long a script that was stopped may take to end before the process does: files appear only when complete, so that nothing is left half done.
pub const GRACE: Duration = Duration::from_secs(10);

/// Free share of the computer's memory below which the largest program is near its end.
const LEAST_FREE: f64 = 0.03;

/// A program that holds less of the computer's memory than this is not what fills it.
const SMALL_SHARE: f64 = 0.1;

/// How much more than it may a script can hold before the process ends, though it was told to stop.
const TOO_MUCH: f64 = 1.5;

/// What a run may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// GiB. `None`: as much as the computer has.
    pub memory: Option<f64>,
    /// `None`: as long as it takes.
    pub seconds: Option<f64>,
}

/// Stops `session` when a limit is exceeded; with a `grace` the process ends if that does not help.
pub fn watch(session: &Arc<Session>, limits: Limits, grace: Option<Duration>) {
    let watched = Arc::downgrade(session);
    let look = move || {
        let mut stopped: Option<Instant> = None;
        while let Some(session) = watched.upgrade() {
            let memory = Memory::now();
            if let Some(exceeded) = exceeded(limits, session.wall_seconds(), memory) {
                session.stop(&exceeded);
                let since = *stopped.get_or_insert_with(Instant::now);
                let hopeless = limits.memory.zip(memory).is_some_and(|(most, now)| now.held > TOO_MUCH * most);
                if grace.is_some_and(|grace| since.elapsed() > grace || hopeless) {
                    output::complain(&format!("error: {exceeded}"));
                    std::process::exit(i32::from(FAULT));
                }
            }
            drop(session);
            thread::sleep(TICK);
        }
    };
    if let Err(error) = thread::Builder::new().name("watch".into()).spawn(look) {
        output::complain(&format!("warning: time and memory are not bounded: {error}"));
    }
}

/// What is exceeded, in words.
fn exceeded(limits: Limits, seconds: f64, memory: Option<Memory>) -> Option<String> {
    if let Some(most) = limits.seconds.filter(|most| seconds > *most) {
        return Some(format!("stopped after {most} s, as --max-time says"));
    }
    let Memory { total, free, held } = memory?;
    if let Some(most) = limits.memory.filter(|most| held > *most) {
        return Some(format!("stopped: the script holds more than the {most} GiB of memory that --max-memory says"));
    }
    (free < LEAST_FREE * total && held > SMALL_SHARE * total).then(|| {
        format!(
            "stopped: the script holds {held:.1} GiB of memory, and the computer has {free:.1} of {total:.1} GiB left"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_exceeded_stops_a_run() {
        let memory = |free, held| Some(Memory { total: 100.0, free, held });
        let limits = Limits { memory: Some(4.0), seconds: Some(10.0) };
        assert_eq!(exceeded(limits, 9.9, memory(50.0, 3.9)), None);
        assert!(exceeded(limits, 10.1, None).unwrap().contains("--max-time"));
        assert!(exceeded(limits, 9.9, memory(50.0, 4.1)).unwrap().contains("--max-memory"));
        assert!(exceeded(Limits::default(), 1e9, memory(2.0, 80.0)).unwrap().contains("2.0 of 100.0 GiB left"));
        assert_eq!(exceeded(Limits::default(), 1e9, memory(2.0, 5.0)), None);
        assert_eq!(exceeded(Limits::default(), 1e9, None), None);
    }
}
