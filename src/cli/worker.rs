//! A process that does points of a sweep for another: orders come through standard input, results leave through standard output.

use std::io::{Write, stdin, stdout};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::run::Request;
use super::watch;
use super::{Console, FAULT, output};
use crate::script::diagnostic::Diagnostic;
use crate::script::{Setup, sweep};
use crate::sweep::{Report, listen};

/// Does points of the sweep in `folder` until there are no more; returns the exit status.
pub fn work(request: Request, folder: &Path) -> u8 {
    let (sender, orders) = mpsc::channel();
    let reading = thread::Builder::new().name("orders".into()).spawn(move || {
        listen(stdin(), |order| sender.send(order).is_ok());
        // There is nobody left to work for: what is half done would be lost anyway.
        std::process::exit(i32::from(FAULT));
    });
    if let Err(error) = reading {
        return refuse(&format!("cannot start a thread: {error}"));
    }
    let setup = match request.setup() {
        Ok(setup) => setup,
        Err(status) => return status,
    };
    let tell = Box::new(|text: &str| say(&Report::Tell(text.to_owned())));
    let console = match Console::new(Setup { tell, ..setup }) {
        Ok(console) => console,
        Err(error) => return refuse(&error.to_string()),
    };
    let Console { mut engine, session, .. } = console;
    engine.on_print(|text| say(&Report::Print(text.to_owned())));
    engine.on_debug(|text, source, position| {
        let place = source.map(|source| format!("{source}:")).unwrap_or_default();
        say(&Report::Tell(format!("{place}{position:?}: {text}")));
    });
    // Ctrl-C goes to all processes of a terminal; the one that gave the orders decides.
    if let Err(error) = ctrlc::set_handler(|| {}) {
        output::complain(&format!("warning: Ctrl-C will end this worker at once: {error}"));
    }
    watch::watch(&session, request.limits, Some(watch::GRACE));
    match sweep::serve(engine, &session, folder, orders, |report| say(&report)) {
        Ok(()) => 0,
        Err(error) => {
            let sources = session.sources();
            refuse(&Diagnostic::new(*error, &session.script().path, &sources).line())
        }
    }
}

fn refuse(why: &str) -> u8 {
    say(&Report::Refused(why.to_owned()));
    FAULT
}

/// One line to who gave the orders; if nobody reads it, the end of the orders says so too.
fn say(report: &Report) {
    let line = serde_json::json!(report).to_string() + "\n";
    let mut out = stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
