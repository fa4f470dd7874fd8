//! What helps while a line is typed: Tab, hints, colours, and more lines while brackets are open.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use rustyline::completion::{Completer, Pair};
use rustyline::config::CompletionType;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::complete::{Line, Made, candidates};
use super::context::{Place, place_at};
use super::highlight;
use super::knowledge::{Function, Knowledge};
use super::thumbnail::Screen;
use crate::script::lex::is_unfinished;

/// Longer lines are pasted, not typed: nothing is hinted at their end.
const LONGEST_HINTED: usize = 2000;

/// As many candidates are shown one a line with what they are for; more are shown by name alone.
const MOST_DESCRIBED: usize = 30;

/// Read from the manual in a thread of its own, so that the prompt need not wait.
pub type Lazy = Arc<LazyLock<Knowledge>>;

/// Looks over the shoulder of who types.
pub struct Assistant {
    knowledge: Lazy,
    made: Rc<RefCell<Made>>,
    history: HistoryHinter,
    screen: Rc<Cell<Screen>>,
    /// Where the cursor stands, for its bracket's partner; `None` once the line is done.
    cursor: Cell<Option<usize>>,
}

impl Assistant {
    pub fn new(knowledge: Lazy, made: Rc<RefCell<Made>>, screen: Rc<Cell<Screen>>) -> Self {
        Self { knowledge, made, history: HistoryHinter::new(), screen, cursor: Cell::new(None) }
    }
}

impl Helper for Assistant {}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let line = context.input();
        let more = !line.starts_with(':') && is_unfinished(line);
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = candidates(&line[..at], &self.knowledge, &self.made.borrow());
        let by_name_alone = found.len() > MOST_DESCRIBED;
        let room = self.screen.get().columns.saturating_sub(3);
        let pair = |candidate: super::complete::Candidate| {
            let shown = if by_name_alone { &candidate.text } else { &candidate.shown };
            Pair { display: cut(shown, room), replacement: candidate.text }
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

/// What stands in grey behind the cursor; the arrow to the right takes over `completion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    display: String,
    completion: Option<String>,
}

impl Hint for Shown {
    fn display(&self) -> &str {
        &self.display
    }

    fn completion(&self) -> Option<&str> {
        self.completion.as_deref()
    }
}

impl Hinter for Assistant {
    type Hint = Shown;

    fn hint(&self, line: &str, at: usize, context: &Context) -> Option<Shown> {
        if at < line.len() || line.trim().is_empty() || line.len() > LONGEST_HINTED {
            return None;
        }
        let made = self.made.borrow();
        let hint = hint(line, &self.knowledge, &made).or_else(|| {
            let rest = self.history.hint(line, at, context)?;
            Some(Shown { display: rest.clone(), completion: Some(rest) })
        })?;
        // two columns for the prompt; a hint that wraps would push the line up
        let last = line.rsplit('\n').next().unwrap_or(line);
        let room = self.screen.get().columns.saturating_sub(last.chars().count() + 3);
        let first = hint.display.lines().next().unwrap_or("");
        (room > 3).then(|| Shown { display: cut(first, room), ..hint })
    }
}

/// What is expected at the end of a line.
fn hint(line: &str, knowledge: &Knowledge, made: &Made) -> Option<Shown> {
    let of_line = Line { knowledge, made };
    let remark = |text: String| Some(Shown { display: text, completion: None });
    match place_at(line) {
        Place::Option { call, taken, start } if start == line.len() => {
            let choices = of_line.choices(&call);
            let left: Vec<&str> = choices
                .iter()
                .map(|choice| choice.name.as_str())
                .filter(|name| !taken.iter().any(|known| known == name))
                .collect();
            if left.is_empty() { None } else { remark(left.join(", ")) }
        }
        Place::Word { call: Some(call), option: Some(option), start } if start == line.len() => {
            let choices = of_line.choices(&call);
            let choice = choices.iter().find(|choice| choice.name == option)?;
            remark(format!(" {}", choice.line()))
        }
        Place::Word { call: Some(call), option: None, start } if start == line.len() => {
            let function = *of_line.functions(&call).first()?;
            remark(parameters_left(function, call.argument + usize::from(call.receiver.is_some())))
        }
        Place::Text { .. } | Place::Nothing => None,
        _ => {
            let (start, found) = candidates(line, knowledge, made);
            let typed = line.len() - start;
            let candidate = found.first().filter(|_| typed > 1 || found.len() == 1)?;
            let rest = candidate.text[typed..].to_owned();
            let about = || candidate.shown.split_once("  ").map_or("", |(_, about)| about);
            let more = candidate.shown.strip_prefix(candidate.text.as_str()).unwrap_or_else(about);
            let more = if found.len() == 1 { more } else { "" };
            (!rest.is_empty()).then(|| Shown { display: format!("{rest}{more}"), completion: Some(rest) })
        }
    }
}

/// The parameters of a function from the one that is due.
fn parameters_left(function: &Function, from: usize) -> String {
    let longest = function.longest();
    let Some((_, rest)) = longest.split_once('(') else { return String::new() };
    let (inside, result) = rest.rsplit_once(')').unwrap_or((rest, ""));
    let left: Vec<&str> = inside.split(", ").skip(from).collect();
    format!("{}){result}", left.join(", "))
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned(highlight::coloured(line, self.cursor.get()))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("{}{hint}{}", highlight::GREY, highlight::PLAIN))
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        match candidate.split_once("  ") {
            Some((name, about)) => Cow::Owned(format!("{name}  {}{about}{}", highlight::GREY, highlight::PLAIN)),
            None => Cow::Borrowed(candidate),
        }
    }

    fn highlight_char(&self, _: &str, at: usize, kind: CmdKind) -> bool {
        self.cursor.set((kind != CmdKind::ForcedRefresh).then_some(at));
        true
    }
}

/// A text in at most `room` characters.
pub fn cut(text: &str, room: usize) -> String {
    match text.char_indices().nth(room) {
        None => text.to_owned(),
        Some(_) => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::complete::tests::{knowledge, made};
    use super::*;

    fn display(line: &str) -> String {
        hint(line, knowledge(), &made()).map(|hint| hint.display).unwrap_or_default()
    }

    #[test]
    fn hints_say_which_parameters_and_options_are_due() {
        assert_eq!(display("images::add_noise("), "images: Images, options: map) -> Images");
        assert_eq!(display("stack.add_noise("), "options: map) -> Images");
        assert_eq!(display("stack.add_noise(#{ "), "snr, region, diameter, seed");
        assert_eq!(display("stack.add_noise(#{ snr: 1, "), "region, diameter, seed");
        assert!(
            display("stack.add_noise(#{ snr: ").starts_with(" must be given"),
            "{}",
            display("stack.add_noise(#{ snr: ")
        );
        assert!(display("stack.add_noise(#{ reg").starts_with("ion: default"));
    }

    #[test]
    fn a_word_is_completed_in_grey() {
        let hint = hint("stack.norm", knowledge(), &made()).unwrap();
        assert_eq!(hint.completion(), Some("alize()"));
        assert_eq!(display("\"sta"), "");
        assert_eq!(display("1.5"), "");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(cut("é23456", 4), "é23…");
        assert_eq!(cut("é234", 4), "é234");
    }
}
