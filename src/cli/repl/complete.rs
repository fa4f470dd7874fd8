//! What could stand where the cursor is: for Tab, and for the hint behind the cursor.

use std::collections::BTreeSet;
use std::path::Path;

use rhai::{AST, Dynamic, Map, Scope};

use super::commands::COMMANDS;
use super::context::{Call, Place, Receiver, place_at};
use super::knowledge::{Function, Knowledge};
use super::options::Choice;
use crate::script::help::Method;
use crate::script::lex::KEYWORDS;
use crate::script::{stdlib, type_of};
use crate::structure::bundled_names;

/// What the lines so far have made.
pub struct Made {
    pub scope: Scope<'static>,
    /// Functions, and the import statements, which Rhai forgets from one evaluation to the next.
    pub kept: AST,
}

/// One thing that could stand here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// In place of the word that has been begun.
    pub text: String,
    /// As a list shows it.
    pub shown: String,
}

impl Candidate {
    fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: text.clone(), text }
    }

    fn with(text: impl Into<String>, about: &str) -> Self {
        let text = text.into();
        let shown = if about.is_empty() { text.clone() } else { format!("{text}  {about}") };
        Self { text, shown }
    }
}

/// What could stand at the end of `line`, and where the word there begins.
pub fn candidates(line: &str, knowledge: &Knowledge, made: &Made) -> (usize, Vec<Candidate>) {
    if let Some((start, names)) = of_command(line, knowledge) {
        return (start, names);
    }
    let of_line = Line { knowledge, made };
    let (start, mut found) = match place_at(line) {
        Place::Nothing => (line.len(), Vec::new()),
        Place::Text { start, call, option, import } => return of_line.texts(line, start, call, option, import),
        Place::Member { start, receiver } => (start, of_line.members(receiver.as_ref())),
        Place::Path { start, namespace } => (start, of_line.functions_in(&namespace)),
        Place::Option { start, call, taken } => (start, of_line.options(&call, &taken)),
        Place::Word { start, .. } => (start, of_line.names(start == line.len())),
    };
    found.retain(|candidate| candidate.text.starts_with(&line[start..]));
    found.dedup();
    (start, found)
}

/// The commands of the prompt, their files, and names after `help`.
fn of_command(line: &str, knowledge: &Knowledge) -> Option<(usize, Vec<Candidate>)> {
    if line.starts_with(':') {
        let Some((command, rest)) = line.split_once(' ') else {
            let found = COMMANDS.iter().filter(|(name, ..)| name.starts_with(line));
            return Some((
                0,
                found
                    .map(|(name, arguments, about)| Candidate {
                        text: (*name).into(),
                        shown: format!("{name} {arguments}  {about}"),
                    })
                    .collect(),
            ));
        };
        let start = line.len() - rest.trim_start().len();
        return matches!(command, ":load" | ":save").then(|| files(&line[start..], start));
    }
    let start = line.len() - line.strip_prefix("help ")?.len();
    let names = knowledge
        .namespaces
        .iter()
        .map(|(name, _)| name)
        .chain(knowledge.functions.iter().map(|function| &function.full));
    let found = names.filter(|name| name.starts_with(&line[start..]));
    Some((start, found.map(Candidate::plain).collect()))
}

/// What there is to know about a line.
pub struct Line<'a> {
    pub knowledge: &'a Knowledge,
    pub made: &'a Made,
}

impl Line<'_> {
    fn names(&self, all: bool) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        for (name, _, value) in self.made.scope.iter_raw() {
            found.push(Candidate::with(name, type_of(value)));
        }
        let own = self.made.kept.iter_functions().filter(|function| !function.name.contains('$'));
        for function in own {
            let brackets = if function.params.is_empty() { "()" } else { "(" };
            let shown = format!("{}({})", function.name, function.params.join(", "));
            found.push(Candidate { text: format!("{}{brackets}", function.name), shown });
        }
        for (name, about) in &self.knowledge.namespaces {
            found.push(Candidate::with(format!("{name}::"), about));
        }
        found.extend(self.functions_in(""));
        if !all {
            found.extend(KEYWORDS.iter().map(|word| Candidate::plain(*word)));
        }
        // a variable hides an earlier one of its name
        let mut seen = BTreeSet::new();
        found.retain(|candidate| seen.insert(candidate.text.clone()));
        found
    }

    fn functions_in(&self, namespace: &str) -> Vec<Candidate> {
        let candidate = |function: &Function| {
            let prefix = if namespace.is_empty() { 0 } else { namespace.len() + 2 };
            let shown = &function.longest()[prefix..];
            Candidate { text: opened(&function.name, shown), shown: described(shown, &function.summary) }
        };
        self.knowledge.functions_in(namespace).map(candidate).collect()
    }

    /// What can follow a dot.
    fn members(&self, receiver: Option<&Receiver>) -> Vec<Candidate> {
        let mut found = Vec::new();
        if let Some(Receiver::Path(path)) = receiver {
            visit(&self.made.scope, path, &mut |value| {
                if let Ok(map) = value.as_map_ref() {
                    found.extend(map.iter().map(|(name, value)| Candidate::with(name.as_str(), type_of(value))));
                }
            });
        }
        let Some(kind) = receiver.and_then(|receiver| self.kind(receiver)) else { return found };
        let mut methods: Vec<&Method> = self.knowledge.methods_of(&kind).collect();
        // of the forms of one function the longest says most
        methods.sort_by(|a, b| {
            (a.namespace.is_empty(), &a.name)
                .cmp(&(b.namespace.is_empty(), &b.name))
                .then(b.signature.len().cmp(&a.signature.len()))
        });
        methods.dedup_by(|a, b| a.name == b.name);
        found.extend(methods.into_iter().map(|method| {
            let function = self.knowledge.function(&format!("{}::{}", method.namespace, method.name));
            let summary = function.map_or("", |function| &function.summary);
            Candidate { text: opened(&method.name, &method.signature), shown: described(&method.signature, summary) }
        }));
        found
    }

    fn options(&self, call: &Call, taken: &[String]) -> Vec<Candidate> {
        let choices = self.choices(call);
        let left = choices.iter().filter(|choice| !taken.contains(&choice.name));
        left.map(|choice| Candidate {
            text: format!("{}: ", choice.name),
            shown: described(&choice.name, &choice.line()),
        })
        .collect()
    }

    fn texts(
        &self,
        line: &str,
        start: usize,
        call: Option<Call>,
        option: Option<String>,
        import: bool,
    ) -> (usize, Vec<Candidate>) {
        let typed = &line[start..];
        let mut words: Vec<String> = Vec::new();
        if import {
            words.extend(
                self.knowledge.namespaces.iter().map(|(name, _)| name.clone()).filter(|name| stdlib::is_strategy(name)),
            );
        }
        if let Some(call) = &call {
            match &option {
                Some(option) => words
                    .extend(self.choices(call).iter().filter(|choice| choice.name == *option).flat_map(Choice::words)),
                None if call.name == "bundled" => words.extend(bundled_names().into_iter().map(str::to_owned)),
                None => {}
            }
        }
        words.retain(|word| word.starts_with(typed));
        if words.is_empty() { files(typed, start) } else { (start, words.into_iter().map(Candidate::plain).collect()) }
    }

    /// The options of the function that is called, if the argument that is due is a map of them.
    pub fn choices(&self, call: &Call) -> Vec<Choice> {
        let index = call.argument + usize::from(call.receiver.is_some());
        let taking = self.functions(call).into_iter().filter(|function| function.takes_options_at(index));
        taking.map(|function| function.options.clone()).find(|options| !options.is_empty()).unwrap_or_default()
    }

    /// The functions that a call may mean.
    pub fn functions(&self, call: &Call) -> Vec<&Function> {
        if let Some(namespace) = &call.namespace {
            return self.knowledge.function(&format!("{namespace}::{}", call.name)).into_iter().collect();
        }
        match call.receiver.as_ref().map(|receiver| self.kind(receiver)) {
            None => self.knowledge.functions.iter().filter(|function| function.full == call.name).collect(),
            Some(Some(kind)) => {
                let methods = self.knowledge.methods_of(&kind).filter(|method| method.name == call.name);
                methods
                    .filter_map(|method| self.knowledge.function(&format!("{}::{}", method.namespace, method.name)))
                    .take(1)
                    .collect()
            }
            Some(None) => self.knowledge.functions.iter().filter(|function| function.name == call.name).collect(),
        }
    }

    /// The type of a value, if it can be told.
    pub fn kind(&self, receiver: &Receiver) -> Option<String> {
        match receiver {
            Receiver::Path(path) => {
                let mut kind = None;
                visit(&self.made.scope, path, &mut |value| kind = Some(type_of(value).to_owned()));
                kind
            }
            Receiver::Literal(kind) => Some((*kind).to_owned()),
            Receiver::Result(call) => {
                let of_method = || {
                    let kind = self.kind(call.receiver.as_ref()?)?;
                    let method = self.knowledge.methods_of(&kind).find(|method| method.name == call.name)?;
                    method.signature.rsplit_once(" -> ").map(|(_, result)| result.to_owned())
                };
                of_method().or_else(|| self.functions(call).first()?.result().map(str::to_owned))
            }
        }
    }
}

/// Shows the value that a path of names leads to.
fn visit(scope: &Scope, path: &[String], see: &mut dyn FnMut(&Dynamic)) {
    let Some((first, rest)) = path.split_first() else { return };
    if let Some(value) = scope.get(first) {
        descend(value, rest, see);
    }
}

fn descend(value: &Dynamic, path: &[String], see: &mut dyn FnMut(&Dynamic)) {
    let Some((first, rest)) = path.split_first() else { return see(value) };
    if let Some(map) = value.read_lock::<Map>()
        && let Some(inner) = map.get(first.as_str())
    {
        descend(inner, rest, see);
    }
}

/// A name with the brackets of its call, closed if there is nothing to put in.
fn opened(name: &str, signature: &str) -> String {
    let empty = signature.get(name.len()..).is_some_and(|rest| rest.starts_with("()"));
    format!("{name}{}", if empty { "()" } else { "(" })
}

fn described(what: &str, about: &str) -> String {
    if about.is_empty() { what.to_owned() } else { format!("{what}  {about}") }
}

/// Files and folders whose path begins with what is typed; the last name of it is what gets completed.
fn files(typed: &str, start: usize) -> (usize, Vec<Candidate>) {
    let name_at = typed.rfind('/').map_or(0, |slash| slash + 1);
    let (folder, beginning) = typed.split_at(name_at);
    let shown_folder = if folder.is_empty() { Path::new(".") } else { Path::new(folder) };
    let entries = std::fs::read_dir(shown_folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let shown = name.starts_with(beginning) && (!name.starts_with('.') || beginning.starts_with('.'));
            let plain = !name.contains(['"', '\\', '`']) && !name.contains(char::is_control);
            (shown && plain).then(|| if entry.path().is_dir() { name + "/" } else { name })
        })
        .collect();
    names.sort();
    (start + name_at, names.into_iter().map(Candidate::plain).collect())
}

#[cfg(test)]
pub mod tests {
    use std::sync::LazyLock;

    use rhai::Engine;

    use super::*;
    use crate::images::Images;

    static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(Knowledge::new);

    pub fn knowledge() -> &'static Knowledge {
        &KNOWLEDGE
    }

    pub fn made() -> Made {
        let images = || Images::new(ndarray::Array3::zeros((2, 4, 4)), 0.25);
        let mut scope = Scope::new();
        scope.push("stack", images());
        scope.push("count", 3_i64);
        scope.push("run", Map::from([("poses".into(), 1_i64.into()), ("frames".into(), Dynamic::from(images()))]));
        let kept = Engine::new().compile("fn twice(x) { 2 * x } fn now() { 1 }").unwrap();
        Made { scope, kept }
    }

    fn texts(line: &str) -> Vec<String> {
        candidates(line, knowledge(), &made()).1.into_iter().map(|candidate| candidate.text).collect()
    }

    fn shown(line: &str) -> String {
        candidates(line, knowledge(), &made()).1.into_iter().map(|candidate| candidate.shown + "\n").collect()
    }

    #[test]
    fn names_of_variables_functions_and_namespaces_are_completed() {
        assert_eq!(texts("let a = sta"), ["stack"]);
        assert_eq!(texts("twi"), ["twice("]);
        assert_eq!(texts("no"), ["now()"]);
        assert_eq!(texts("micr"), ["microscope::"]);
        assert_eq!(texts("structure::bundled_"), ["bundled_names()"]);
        assert!(texts("").contains(&"images::".to_owned()) && !texts("").contains(&"while".to_owned()));
        assert_eq!(texts("whi"), ["while"]);
        assert!(texts("1.5").is_empty() && texts("// sta").is_empty() && texts("zzz").is_empty());
        assert!(shown("count").contains("int"), "{}", shown("count"));
    }

    #[test]
    fn methods_follow_the_type_of_the_value() {
        assert_eq!(texts("stack.norm"), ["normalize()"]);
        assert!(shown("stack.add").contains("add_noise(options: map) -> Images"), "{}", shown("stack.add"));
        assert_eq!(
            texts("run."),
            ["frames", "poses"].into_iter().chain(texts("#{}.").iter().map(String::as_str)).collect::<Vec<_>>()
        );
        assert_eq!(texts("run.frames.norm"), ["normalize()"]);
        assert_eq!(texts("stack.invert().norm"), ["normalize()"]);
        assert!(shown("structure::bundled(\"x\").diameter").contains("-> float"));
        assert!(texts("[1].pus").contains(&"push(".to_owned()));
        assert!(texts("unknown.").is_empty());
    }

    #[test]
    fn options_of_the_function_being_called_are_completed() {
        assert_eq!(texts("stack.add_noise(#{ s"), ["snr: ", "seed: "]);
        assert_eq!(texts("images::add_noise(stack, #{ snr: 1, s"), ["seed: "]);
        assert!(shown("stack.add_noise(#{ ").contains("snr  must be given"), "{}", shown("stack.add_noise(#{ "));
        assert_eq!(texts("microscope::simulate(t, m, #{ method: \"k"), ["kinematic"]);
        assert!(texts("two_step::reconstruct(stack, #{ ").contains(&"first_low_pass: ".to_owned()));
        assert_eq!(texts("structure::bundled(\"FePt_3"), ["FePt_3.0nm_Fe50Pt50", "FePt_3.0nm_Fe50Pt50_ideal"]);
        assert!(texts("plot::lines(#{ ").is_empty() && texts("f(#{ ").is_empty());
    }

    #[test]
    fn files_are_completed_inside_quotes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["stack one.mrcs", "stack.json", ".hidden"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let line = format!("store::images(\"{}/s", folder.path().display());
        assert_eq!(texts(&line), ["stack one.mrcs", "stack.json", "sub/"]);
        assert_eq!(candidates(&line, knowledge(), &made()).0, line.len() - 1);
        assert_eq!(texts(&format!(":load {}/stack.", folder.path().display())), ["stack.json"]);
        assert!(texts("store::images(\"/no/such/folder/").is_empty());
    }

    #[test]
    fn commands_and_names_after_help_are_completed() {
        assert_eq!(texts(":lo"), [":load"]);
        assert_eq!(texts(":time stack.norm"), ["normalize()"]);
        assert_eq!(texts("help images::norm"), ["images::normalize"]);
        assert!(texts("import \"two").contains(&"two_step".to_owned()));
    }
}
