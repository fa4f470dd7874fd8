//! Results of a run that are kept while it goes on, so that a run that was killed continues where it was.
//!
//! [`open`] opens a folder for the session; from then on [`checkpoint`] keeps what each closure gave in a file of its own, and gives that
//! instead of calling the closure where the file is there already. [`done`] removes the files. A checkpoint belongs to a *run*: a digest of
//! the program, the scripts, and the key that the script gave (its arguments and images). A *place* in the run is the names of the checkpoint
//! and of those around it, each with the number of times it was met there: what is skipped inside one checkpoint cannot shift the others.
//!
//! A file, `NAME-PLACE-RUN.h5`, appears when it is complete, and holds a digest of its value: a file that was damaged later is noticed. The
//! options that kernels were called with and the files that were read are kept too, so that the provenance of a continued run is that of an unbroken one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rhai::{Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext};

use super::exact::{from_exact, map_to_exact, to_exact};
use super::{KernelCall, ScriptResult, Session, fault, stdlib};
use crate::store::{self, Digest, Value};
use crate::task::Task;

/// Digits of a digest in the names of files.
const PLACE_DIGITS: usize = 8;
const RUN_DIGITS: usize = 16;
/// Longest part of a file's name that is taken from the checkpoint's name, in bytes.
const LONGEST_NAME: usize = 100;

/// An open folder of checkpoints.
pub struct Checkpoints {
    folder: PathBuf,
    /// Digest of all that decides the results.
    run: String,
    /// Names of the scripts that `run` covers.
    sources: BTreeSet<String>,
    /// The run itself, then every checkpoint whose closure is being called, the innermost last.
    stack: Vec<Frame>,
}

/// A checkpoint whose closure is being called, or the run as a whole.
#[derive(Default)]
struct Frame {
    place: Place,
    /// How often each name was met here.
    met: BTreeMap<String, usize>,
    /// Files of the checkpoints directly inside, and of those inside them that stand for themselves.
    inner: Vec<PathBuf>,
}

/// Where in the run a checkpoint is.
#[derive(Default, Clone)]
struct Place {
    /// As messages show it, with the checkpoints around it.
    name: String,
    /// Digest of the same, in which no two names run into each other.
    digest: String,
}

/// One checkpoint that a script has asked for.
struct Checkpoint {
    place: Place,
    path: PathBuf,
    run: String,
}

/// What a file of a checkpoint holds.
struct Kept {
    value: Dynamic,
    /// What kernels were called with.
    calls: Vec<KernelCall>,
    /// Digests of the files that were read.
    inputs: BTreeMap<String, String>,
}

/// Opens a folder of checkpoints for the session, in place of one that was open before; `key` is all that decides the results beside the
/// scripts and the program. Checkpoints of other runs in the folder are removed.
///
/// # Errors
/// If a closure of a checkpoint is being called, if the key holds what has no digest, or if the folder cannot be written.
pub fn open(session: &Session, folder: &str, key: &Map) -> ScriptResult<()> {
    refuse_inside(session, "opened")?;
    let key = map_to_exact(key).map_err(|problem| fault(format!("the key of the checkpoints: {problem}")))?;
    let folder = session
        .permit()
        .write(folder)
        .map_err(|refusal| fault(format!("cannot keep checkpoints in {folder}: {}", refusal.reason)))?;
    let cannot = |error| fault(format!("cannot keep checkpoints in {}: {error}", folder.display()));
    let existed = folder.is_dir();
    fs::create_dir_all(&folder).map_err(cannot)?;
    // A file that is gone at once shows now, not after hours of work, whether the folder can be written.
    tempfile::tempfile_in(&folder).map_err(cannot)?;

    let run = run_digest(session, &key);
    let others = strays(&folder, |digits| !run.starts_with(digits)).map_err(cannot)?;
    if others.iter().any(|path| path.extension().is_some_and(|extension| extension == "h5")) {
        let folder = folder.display();
        session.tell(&format!(
            "checkpoints in {folder} are of another run (other images, arguments, scripts or program): removed"
        ));
    }
    others.iter().try_for_each(fs::remove_file).map_err(cannot)?;
    if !existed {
        // It is made again when there is something to keep: a run that fails at once leaves nothing. Should that fail, it is harmless.
        let _ = fs::remove_dir(&folder);
    }
    let sources = session.sources().into_keys().collect();
    *session.checkpoints() = Some(Checkpoints { folder, run, sources, stack: vec![Frame::default()] });
    Ok(())
}

/// Removes the checkpoints of this run, and the folder if nothing else is in it; nothing happens if none is open.
///
/// # Errors
/// If a closure of a checkpoint is being called, or a file cannot be removed.
pub fn done(session: &Session) -> ScriptResult<()> {
    refuse_inside(session, "removed")?;
    let Some(Checkpoints { folder, run, .. }) = session.checkpoints().take() else { return Ok(()) };
    if !folder.is_dir() {
        return Ok(());
    }
    let cannot = |error| fault(format!("cannot remove the checkpoints in {}: {error}", folder.display()));
    let own = strays(&folder, |digits| run.starts_with(digits)).map_err(cannot)?;
    own.iter().try_for_each(fs::remove_file).map_err(cannot)?;
    // What others have put there stays, and the folder with it.
    let _ = fs::remove_dir(&folder);
    Ok(())
}

/// What `closure` gives, or what it gave when this run was begun before; see [`super::api`] for what a script is told.
///
/// # Errors
/// What the closure throws (then nothing is kept), or if its value cannot be kept.
pub fn checkpoint(call: &NativeCallContext, name: &str, closure: &FnPtr) -> ScriptResult<Dynamic> {
    if name.is_empty() {
        return Err(fault("a checkpoint needs a name"));
    }
    let session = Session::of(call);
    // Points of a sweep have a journal of their own, and may be anywhere.
    let open =
        if session.sweeps().in_point() { None } else { session.checkpoints().as_mut().map(|open| open.meet(name)) };
    let Some(checkpoint) = open else {
        return value_of(call, closure);
    };
    let at = checkpoint.place.name.clone();
    match checkpoint.load(&session) {
        Ok(Some(kept)) => {
            session.tell(&format!("{at}: kept from the last run"));
            kept.calls.into_iter().for_each(|call| session.record_call(call));
            session.reads().add(&kept.inputs);
            leave(&session, &[checkpoint.path]);
            return Ok(kept.value);
        }
        Ok(None) => {}
        Err(problem) => session.tell(&format!("{at}: computed again, its checkpoint cannot be used ({problem})")),
    }
    let before = (session.calls(), session.reads().inputs().clone());
    enter(&session, &checkpoint);
    let result = value_of(call, closure);
    let inner = end(&session);
    let kept = result.and_then(|value| {
        let exact = to_exact(&value).map_err(|problem| fault(format!("checkpoint {at:?}: {problem}")))?;
        Ok((value, exact))
    });
    let (value, exact) = kept.inspect_err(|_| leave(&session, &inner))?;
    let calls = calls_since(&before.0, &session.calls());
    let mut inputs = session.reads().inputs().clone();
    inputs.retain(|name, _| !before.1.contains_key(name));
    match checkpoint.save(&session, exact, &calls, &inputs) {
        Ok(()) => {
            // What is inside this one is not needed any more; should one stay, it is harmless.
            inner.iter().for_each(|path| drop(fs::remove_file(path)));
            leave(&session, &[checkpoint.path]);
        }
        // The run has its value, and goes on.
        Err(problem) => {
            session.tell(&format!("warning: {at}: not kept for a later run: {problem}"));
            leave(&session, &inner);
        }
    }
    Ok(value)
}

fn value_of(call: &NativeCallContext, closure: &FnPtr) -> ScriptResult<Dynamic> {
    closure.call_within_context::<Dynamic>(call, ()).map(Dynamic::flatten).map_err(|error| match *error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) if signature.starts_with(closure.fn_name()) => {
            fault("a checkpoint calls its closure without parameters; write it as || …")
        }
        _ => error,
    })
}

fn refuse_inside(session: &Session, verb: &str) -> ScriptResult<()> {
    match session.checkpoints().as_ref().and_then(|open| open.stack.get(1..)?.last()) {
        Some(frame) => Err(fault(format!("checkpoints cannot be {verb} inside one ({:?})", frame.place.name))),
        None => Ok(()),
    }
}

fn enter(session: &Session, checkpoint: &Checkpoint) {
    if let Some(open) = session.checkpoints().as_mut() {
        open.stack.push(Frame { place: checkpoint.place.clone(), ..Frame::default() });
    }
}

/// Ends the innermost checkpoint and gives the files of those inside it.
fn end(session: &Session) -> Vec<PathBuf> {
    session.checkpoints().as_mut().and_then(|open| open.stack.pop()).map_or_else(Vec::new, |frame| frame.inner)
}

/// Notes files that the checkpoint around them makes superfluous once it is complete.
fn leave(session: &Session, files: &[PathBuf]) {
    if let Some(frame) = session.checkpoints().as_mut().and_then(|open| open.stack.last_mut()) {
        frame.inner.extend_from_slice(files);
    }
}

impl Checkpoints {
    /// The checkpoint of this name that is met next.
    fn meet(&mut self, name: &str) -> Checkpoint {
        let frame = self.stack.last_mut().expect("the run itself is always there");
        let met = frame.met.entry(name.to_owned()).or_default();
        *met += 1;
        let digest = Digest::default().and_text(&frame.place.digest).and_text(name).and(&Value::Integer(*met as i64));
        let own = if *met == 1 { name.to_owned() } else { format!("{name} ({met})") };
        let around = &frame.place.name;
        let name = if around.is_empty() { own } else { format!("{around} / {own}") };
        let place = Place { name, digest: digest.finish() };
        let path = self.folder.join(format!(
            "{}-{}-{}.h5",
            file_name(&place.name),
            &place.digest[..PLACE_DIGITS],
            &self.run[..RUN_DIGITS]
        ));
        Checkpoint { place, path, run: self.run.clone() }
    }
}

impl Checkpoint {
    /// The value in the file; none if there is no file.
    fn load(&self, session: &Session) -> Result<Option<Kept>, String> {
        if !self.path.exists() {
            return Ok(None);
        }
        // it may be a link that leads elsewhere
        let path = session.permit().write(&self.path).map_err(|error| error.to_string())?;
        let mut values = store::read_h5(&path).map_err(|error| error.to_string())?.values;
        let mut text = |name: &str| match values.remove(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(format!("{} has no {name}", self.path.display())),
        };
        let (run, place, digest) = (text("run")?, text("place")?, text("digest")?);
        let calls = serde_json::from_str(&text("calls")?).map_err(|error| error.to_string())?;
        let inputs = serde_json::from_str(&text("inputs")?).map_err(|error| error.to_string())?;
        let later: BTreeMap<String, String> =
            serde_json::from_str(&text("scripts")?).map_err(|error| error.to_string())?;
        let value = values.remove("value").ok_or_else(|| format!("{} has no value", self.path.display()))?;
        if run != self.run || place != self.place.digest {
            return Err(format!("{} is of another run", self.path.display()));
        }
        let known = session.sources();
        for (script, digest) in later {
            let text = known.get(&script).cloned().or_else(|| stdlib::text_of(session, &script));
            if text.is_none_or(|text| Digest::of_text(&text) != digest) {
                return Err(format!("{script} has changed"));
            }
        }
        if Digest::of(&value) != digest {
            return Err(format!("{} is damaged", self.path.display()));
        }
        Ok(Some(Kept { value: from_exact(value)?, calls, inputs }))
    }

    fn save(
        &self,
        session: &Session,
        value: Value,
        calls: &[KernelCall],
        inputs: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let covered = session.checkpoints().as_ref().map(|open| open.sources.clone()).unwrap_or_default();
        let later: BTreeMap<String, String> = session
            .sources()
            .into_iter()
            .filter(|(name, _)| !covered.contains(name))
            .map(|(name, text)| (name, Digest::of_text(&text)))
            .collect();
        let json = |value: serde_json::Result<String>| value.map(Value::Text).map_err(|error| error.to_string());
        let values = BTreeMap::from([
            ("name".to_owned(), Value::Text(self.place.name.clone())),
            ("place".to_owned(), Value::Text(self.place.digest.clone())),
            ("run".to_owned(), Value::Text(self.run.clone())),
            ("digest".to_owned(), Value::Text(Digest::of(&value))),
            ("calls".to_owned(), json(serde_json::to_string(calls))?),
            ("inputs".to_owned(), json(serde_json::to_string(inputs))?),
            ("scripts".to_owned(), json(serde_json::to_string(&later))?),
            ("value".to_owned(), value),
        ]);
        let folder = self.path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        let path = session.permit().write(&self.path).map_err(|error| error.to_string())?;
        // what is finished is kept, even if the user wishes to stop now
        store::write_h5(&path, &values, &session.provenance(), &Task::silent()).map_err(|error| error.to_string())
    }
}

/// Digest of all that decides the results of this run.
fn run_digest(session: &Session, key: &Value) -> String {
    // Scripts by their texts alone: the same script may be called by another name, from another folder.
    let scripts: BTreeSet<String> = session.sources().values().map(|text| Digest::of_text(text)).collect();
    let scripts = scripts.into_iter().map(Value::Text).collect();
    Digest::of_program().and(&Value::List(scripts)).and(key).finish()
}

/// Files of checkpoints in a folder whose run's digits are `unwanted`, and files that were left half written.
fn strays(folder: &Path, unwanted: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if store::is_half_written(name) || run_of(name).is_some_and(&unwanted) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The digits of the run in the name of a checkpoint's file.
fn run_of(file: &str) -> Option<&str> {
    let mut parts = file.strip_suffix(".h5")?.rsplit('-');
    let digits = |part: &&str, count| part.len() == count && part.chars().all(|c| c.is_ascii_hexdigit());
    let run = parts.next().filter(|part| digits(part, RUN_DIGITS))?;
    parts.next().filter(|part| digits(part, PLACE_DIGITS))?;
    parts.next().map(|_| run)
}

/// A checkpoint's name as part of a file's name.
fn file_name(name: &str) -> String {
    let mut file = String::new();
    for character in name.chars() {
        let kept = character.is_alphanumeric() || matches!(character, '.' | '-');
        let character = if kept && !(file.is_empty() && character == '.') { character } else { '_' };
        if file.len() + character.len_utf8() > LONGEST_NAME {
            break;
        }
        if character != '_' || !file.ends_with('_') {
            file.push(character);
        }
    }
    file
}

/// What kernels were called with between two looks at a session.
pub(super) fn calls_since(before: &[KernelCall], after: &[KernelCall]) -> Vec<KernelCall> {
    let earlier = before.iter().map(|call| call.count).chain(std::iter::repeat(0));
    let since = after.iter().zip(earlier).map(|(call, count)| KernelCall { count: call.count - count, ..call.clone() });
    since.filter(|call| call.count > 0).collect()
}
