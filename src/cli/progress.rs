//! Progress bars on standard error; invisible when it is not a terminal.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::task::{Progress, Task};

/// One bar for each stage that is under way.
#[derive(Default)]
pub struct Bars {
    screen: MultiProgress,
    stages: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// A task that draws its progress here and stops once `cancel` is true.
    pub fn task(self: &Arc<Self>, cancel: Arc<AtomicBool>) -> Task {
        let bars = self.clone();
        Task::new(cancel, move |news| bars.show(news))
    }

    /// Writes other text to the screen without tearing the bars.
    pub fn suspend(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    fn show(&self, news: Progress) {
        if self.screen.is_hidden() {
            return;
        }
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            Progress::Begin { stage, total } => {
                let bar = self.screen.add(ProgressBar::new(total).with_style(style()).with_message(stage.to_owned()));
                stages.insert(stage.to_owned(), bar);
            }
            Progress::Advance { stage, done, .. } => {
                if let Some(bar) = stages.get(stage) {
                    bar.set_position(done);
                }
            }
            Progress::End { stage } => {
                if let Some(bar) = stages.remove(stage) {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
            }
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{msg:24} {bar:32} {pos}/{len} {eta}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
