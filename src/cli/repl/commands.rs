//! What can be typed that is not a script: `help`, `name?` and commands that begin with a colon.

use crate::script::lex::is_of_name;

/// Commands: name, arguments, what they do.
pub const COMMANDS: [(&str, &str, &str); 7] = [
    (":vars", "", "lists the variables"),
    (":time", "EXPR", "evaluates and tells wall and CPU seconds"),
    (":plot", "EXPR [FILE.png]", "shows a figure, images, a density, poses or atoms here, and saves the figure"),
    (":load", "FILE [NAME=VALUE …]", "runs a script; its variables and functions stay"),
    (":save", "FILE", "writes the lines that worked as a script"),
    (":help", "", "lists these commands"),
    (":quit", "", "leaves, as Ctrl-D does"),
];

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A piece of script.
    Script(String),
    /// The manual on a name, or on all.
    Help(String),
    Vars,
    Time(String),
    Plot(String),
    Load {
        file: String,
        given: Vec<(String, String)>,
    },
    Save(String),
    Commands,
    Quit,
    /// A command that is misspelt or lacks something, in words.
    Fault(String),
}

/// Reads a line.
pub fn request(line: &str) -> Request {
    let trimmed = line.trim();
    if let Some(command) = trimmed.strip_prefix(':') {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        return of_command(name, rest.trim());
    }
    let name = trimmed.strip_suffix('?').or_else(|| trimmed.strip_prefix('?')).map(str::trim);
    if let Some(name) = name.filter(|name| name.chars().all(|c| is_of_name(c) || c == ':' || c == '.')) {
        return Request::Help(name.to_owned());
    }
    match trimmed.strip_prefix("help") {
        Some("" | "()") => Request::Help(String::new()),
        Some(rest) if rest.starts_with(' ') && !rest.contains(['(', '"', '=']) => Request::Help(rest.trim().to_owned()),
        _ => Request::Script(line.to_owned()),
    }
}

fn of_command(name: &str, rest: &str) -> Request {
    let rest = rest.to_owned();
    let needs = |what: &str| Request::Fault(format!(":{name} needs {what}"));
    match name {
        "vars" => Request::Vars,
        "time" | "plot" if rest.is_empty() => needs("an expression"),
        "time" => Request::Time(rest),
        "plot" => Request::Plot(rest),
        "load" | "save" if rest.is_empty() => needs("a file"),
        "load" => load(&rest),
        "save" => Request::Save(unquoted(&rest).to_owned()),
        "help" => Request::Commands,
        "quit" | "exit" | "q" => Request::Quit,
        _ => {
            let names: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
            Request::Fault(format!("there is no command :{name} (commands: {})", names.join(", ")))
        }
    }
}

/// A file, and arguments for it as on the command line. Quotes are needed only around a name with white space in it.
fn load(rest: &str) -> Request {
    let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let (file, rest) = quoted.or_else(|| rest.split_once(char::is_whitespace)).unwrap_or((rest, ""));
    let mut given = Vec::new();
    for argument in rest.split_whitespace() {
        match argument.split_once('=') {
            Some((name, value)) if !name.is_empty() => given.push((name.to_owned(), unquoted(value).to_owned())),
            _ => return Request::Fault(format!("arguments of a script are written NAME=VALUE, not {argument}")),
        }
    }
    Request::Load { file: file.to_owned(), given }
}

/// A text without the quotes around it.
pub fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// The commands, one a line.
pub fn list() -> String {
    let rows: Vec<(String, &str)> =
        COMMANDS.iter().map(|(name, arguments, about)| (format!("{name} {arguments}"), *about)).collect();
    let more = [
        ("name?", "says what a function, namespace or variable is, as help name does"),
        ("Tab", "completes: names, methods, options, files"),
        ("→", "takes over what stands in grey"),
    ];
    let rows = rows.into_iter().chain(more.map(|(key, about)| (key.to_owned(), about)));
    rows.map(|(key, about)| format!("{key:26}  {about}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_scripts() {
        assert_eq!(request(" :vars "), Request::Vars);
        assert_eq!(request(":time  a + 1"), Request::Time("a + 1".into()));
        assert_eq!(request(":q"), Request::Quit);
        assert_eq!(request("help"), Request::Help(String::new()));
        assert_eq!(request("help images::normalize"), Request::Help("images::normalize".into()));
        assert_eq!(request("images::normalize?"), Request::Help("images::normalize".into()));
        assert_eq!(request("run.volume ?"), Request::Help("run.volume".into()));
        for script in ["help(\"x\")", "helper", "let help = 1", "a ?? b", "print(\"a?\")"] {
            assert_eq!(request(script), Request::Script(script.into()), "{script}");
        }
    }

    #[test]
    fn files_and_arguments_of_load_are_told_apart() {
        let load = |line: &str| request(line);
        assert_eq!(load(":load a.rhai"), Request::Load { file: "a.rhai".into(), given: vec![] });
        let given = vec![("n".into(), "3".into()), ("out".into(), "x y".replace(' ', "_"))];
        assert_eq!(load(":load \"a b.rhai\" n=3 out=x_y"), Request::Load { file: "a b.rhai".into(), given });
        assert!(matches!(load(":load a.rhai n"), Request::Fault(fault) if fault.contains("NAME=VALUE")));
        assert!(matches!(load(":load"), Request::Fault(fault) if fault.contains("needs a file")));
        assert!(matches!(load(":lod x"), Request::Fault(fault) if fault.contains(":load")));
    }
}
