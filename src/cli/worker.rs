//! A process that does points of a sweep for another: orders come through standard input, results leave through standard output. As a task of a
//! job array it finds its orders in a file, and writes results to one.

use std::io::{Write, stdin, stdout};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use super::run::Request;
use super::watch;
use super::{Console, FAULT, output};
use crate::script::diagnostic::Diagnostic;
use crate::script::{Setup, sweep};
use crate::sweep::{Chunk, Order, Report, listen};

/// Where reports go.
type Say = Arc<dyn Fn(Report) + Send + Sync>;

/// Does points of the sweep in `folder` until there are no more; returns the exit status.
pub fn work(request: Request, folder: &Path) -> u8 {
    let (sender, orders) = mpsc::channel();
    let reading = thread::Builder::new().name("orders".into()).spawn(move || {
        listen(stdin(), |order| sender.send(order).is_ok());
        // There is nobody left to work for: what is half done would be lost anyway.
        std::process::exit(i32::from(FAULT));
    });
    // One line to who gave the orders; if nobody reads it, the end of the orders says so too.
    let say = |report: Report| {
        let line = serde_json::json!(report).to_string() + "\n";
        let mut out = stdout().lock();
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    };
    if let Err(error) = reading {
        say(Report::Refused(format!("cannot start a thread: {error}")));
        return FAULT;
    }
    // Ctrl-C goes to all processes of a terminal; the one that gave the orders decides.
    if let Err(error) = ctrlc::set_handler(|| {}) {
        output::complain(&format!("warning: Ctrl-C will end this worker at once: {error}"));
    }
    serve(request, folder, orders, Arc::new(say))
}

/// Does the points of one task of the job array in `folder`, which is in that of the sweep; returns the exit status.
pub fn work_as_task(request: Request, folder: &Path, task: usize) -> u8 {
    let mut chunk = match Chunk::open(folder, task) {
        Ok(chunk) => chunk,
        Err(error) => return output::fail(&format!("cannot do task {task} of {}: {error}", folder.display()), FAULT),
    };
    let orders = std::mem::take(&mut chunk.orders);
    let chunk = Mutex::new(chunk);
    let say = move |report: Report| {
        let mut chunk = chunk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = chunk.report(&report) {
            // What comes after it would be lost too.
            std::process::exit(i32::from(output::fail(&format!("cannot write results: {error}"), FAULT)));
        }
    };
    serve(request, folder.parent().unwrap_or(Path::new("")), orders, Arc::new(say))
}

fn serve(request: Request, folder: &Path, orders: impl IntoIterator<Item = Order> + Send + 'static, say: Say) -> u8 {
    let refuse = |why: String| {
        say(Report::Refused(why));
        FAULT
    };
    let setup = match request.recorded().and_then(|recorded| request.setup(recorded.as_ref())) {
        Ok(setup) => setup,
        Err(status) => return status,
    };
    let above = say.clone();
    let tell = Box::new(move |text: &str| above(Report::Tell(text.to_owned())));
    let console = match Console::new(Setup { tell, ..setup }) {
        Ok(console) => console,
        Err(error) => return refuse(error.to_string()),
    };
    let Console { mut engine, session, .. } = console;
    let above = say.clone();
    engine.on_print(move |text| above(Report::Print(text.to_owned())));
    let above = say.clone();
    engine.on_debug(move |text, source, position| {
        let place = source.map(|source| format!("{source}:")).unwrap_or_default();
        above(Report::Tell(format!("{place}{position:?}: {text}")));
    });
    watch::watch(&session, request.limits, Some(watch::GRACE));
    let above = say.clone();
    match sweep::serve(engine, &session, folder, orders, move |report| above(report)) {
        Ok(()) => 0,
        Err(error) => {
            let sources = session.sources();
            refuse(Diagnostic::new(*error, &session.script().path, &sources).line())
        }
    }
}
