//! Progress on standard error: bars on a terminal, a line now and then elsewhere.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::output;
use crate::task::{Progress, Task};

/// One bar for each stage that is under way.
pub struct Bars {
    screen: MultiProgress,
    stages: Mutex<HashMap<String, ProgressBar>>,
    /// When a line was last written instead.
    last_line: Mutex<Instant>,
}

/// Time between two lines of progress in a file.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

impl Default for Bars {
    fn default() -> Self {
        let terminal = Term::buffered_stderr();
        let target = match terminal.features().is_attended() {
            true => ProgressDrawTarget::term_like(Box::new(Narrow(terminal))),
            false => ProgressDrawTarget::hidden(),
        };
        Self {
            screen: MultiProgress::with_draw_target(target),
            stages: Mutex::default(),
            last_line: Mutex::new(Instant::now()),
        }
    }
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
            return self.write_line(&news);
        }
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            Progress::Begin { stage, total } => {
                let bar = self.screen.add(ProgressBar::new(total).with_style(style()).with_message(stage.to_owned()));
                // of two stages of one name that go on side by side the younger is shown
                if let Some(older) = stages.insert(stage.to_owned(), bar) {
                    self.clear(&older);
                }
            }
            Progress::Advance { stage, done, .. } => {
                if let Some(bar) = stages.get(stage) {
                    bar.set_position(done);
                }
            }
            Progress::End { stage } => {
                if let Some(bar) = stages.remove(stage) {
                    self.clear(&bar);
                }
            }
        }
    }

    fn write_line(&self, news: &Progress) {
        let Progress::Advance { stage, done, total } = news else { return };
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= BETWEEN_LINES {
            *last = Instant::now();
            output::complain(&format!("{stage}: {done} of {total}"));
        }
    }

    fn clear(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.screen.remove(bar);
    }
}

fn style() -> ProgressStyle {
    let template = "{msg:24} {bar:32} {pos}/{len} {eta}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A terminal that keeps room at the end of its lines. Bars are drawn as wide as the terminal: the `^C` that it shows at Ctrl-C would begin a line below, and
/// the bar would be left on the screen.
#[derive(Debug)]
struct Narrow(Term);

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        TermLike::width(&self.0).saturating_sub(4)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
