//! The prompt in a real terminal: tmux presses the keys and reads the screen.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{pedesis, run_script};
use tempfile::TempDir;

/// A terminal in which the prompt runs.
struct Terminal {
    socket: String,
    folder: TempDir,
}

/// Longest wait for anything but an interrupt; the computer may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ctrl-C has to give the prompt back within this. What is measured here includes two runs of tmux.
const INTERRUPT: Duration = Duration::from_millis(300);

impl Terminal {
    /// `None`, with a message, where there is no tmux.
    fn new(environment: &[(&str, &str)]) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        if Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: there is no tmux to press the keys");
            return None;
        }
        let socket = format!("pedesis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let terminal = Self { socket, folder: tempfile::tempdir().unwrap() };
        terminal.sit_down(environment);
        Some(terminal)
    }

    /// Starts a sitting in a new window, and waits for the prompt.
    fn sit_down(&self, environment: &[(&str, &str)]) {
        let data = self.folder.path().join("data");
        let mut set = vec![format!("XDG_DATA_HOME={}", data.display()), "COLORTERM=truecolor".into()];
        set.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        let mut arguments = vec!["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "45", "-c"];
        let folder = self.folder.path().to_string_lossy();
        arguments.extend([&*folder, "env"]);
        arguments.extend(set.iter().map(String::as_str));
        arguments.push(env!("CARGO_BIN_EXE_pedesis"));
        self.tmux(&arguments);
        self.tmux(&["set-option", "history-limit", "10000"]);
        self.wait_for_prompt(1);
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap()
    }

    /// Types text as it is.
    fn write(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key by its name.
    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line and waits until it is done.
    fn line(&self, text: &str) {
        let prompts = self.prompts();
        self.write(text);
        self.press("Enter");
        self.wait_for_prompt(prompts + 1);
    }

    /// Empties the line that is being typed; what is typed before the next prompt would be lost.
    fn give_up(&self) {
        let prompts = self.prompts();
        self.press("C-c");
        self.wait_for_prompt(prompts + 1);
    }

    /// How many prompts there have been.
    fn prompts(&self) -> usize {
        self.screen().lines().filter(|line| line.starts_with('>')).count()
    }

    /// All that was shown, without empty lines at the end.
    fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn colours(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-e", "-S", "-"]).stdout).into_owned()
    }

    fn wait(&self, what: &str, there: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if there(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "no {what:?} in\n{screen}");
            sleep(Duration::from_millis(5));
        }
    }

    fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Waits for the prompt of this number, empty and at the end.
    fn wait_for_prompt(&self, number: usize) {
        self.wait("prompt", |screen| {
            let prompts = screen.lines().filter(|line| line.starts_with('>'));
            prompts.count() >= number && screen.lines().last() == Some(">")
        });
    }

    /// Starts a line that takes long, presses Ctrl-C a little later, and gives how long it takes until the prompt is back.
    fn interrupt(&self, line: &str, after: Duration) -> Duration {
        let prompts = self.prompts();
        self.write(line);
        self.press("Enter");
        sleep(after);
        let running = self.screen();
        assert_ne!(running.lines().last(), Some(">"), "{line} is done too soon:\n{running}");
        let start = Instant::now();
        self.press("C-c");
        self.wait_for_prompt(prompts + 1);
        start.elapsed()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[track_caller]
fn assert_has(screen: &str, parts: &[&str]) {
    for part in parts {
        assert!(screen.contains(part), "no {part:?} in\n{screen}");
    }
}

/// Help, completion, a mistake made and mended, a picture, Ctrl-C in a reconstruction, what is left after it, a script of it all.
#[test]
fn a_newcomer_finds_the_way() {
    let Some(terminal) = Terminal::new(&[]) else { return };
    terminal.line("help");
    assert_has(&terminal.screen(), &["microscope  ", "two_step  ", "help NAMESPACE lists its functions"]);
    // a name, a file's worth of particles, an option
    terminal.write("let truth = struc");
    terminal.press("Tab");
    terminal.wait_for("let truth = structure::");
    terminal.write("bundled(\"FePt_1.5");
    terminal.press("Tab");
    terminal.wait_for("bundled(\"FePt_1.5nm_Fe50Pt50");
    terminal.line("\")");
    terminal.line("truth");
    assert_has(&terminal.screen(), &["FePt_1.5nm_Fe50Pt50: 124 atoms (Fe62Pt62), 15.1 Å across"]);
    // a mistake, its help, and the line mended with the arrow up
    terminal.line("let raw = microscope::simulate(truth, microscope::paper(), #{ methd: \"kinematic\", n: 300 })");
    assert_has(&terminal.screen(), &["unknown option \"methd\"", "did you mean \"method\"?"]);
    terminal.line("microscope::simulate?");
    assert_has(&terminal.screen(), &["microscope::simulate(", "`\"multislice\"`"]);
    terminal.write("let raw = microscope::simulate(truth, microscope::paper(), #{ meth");
    terminal.wait_for("od: must be named");
    terminal.press("Tab");
    terminal.line("\"kinematic\", n: 300 })");
    terminal.write("let images = raw.invert().nor");
    terminal.press("Tab");
    terminal.wait_for("normalize()");
    terminal.line(".add_noise(#{ snr: 1.0 })");
    assert_has(&terminal.screen(), &["SNR 1.000 over the frame"]);
    terminal.line("images");
    assert_has(&terminal.screen(), &["300 images of 160×160 pixels, 0.25 Å/pixel, values -", "▀▀▀▀▀▀▀▀▀▀▀▀"]);
    terminal.line(":plot plot::images(images) images.png");
    assert_has(&terminal.screen(), &["saved Figure of "]);
    assert!(terminal.folder.path().join("images.png").exists());
    // a reconstruction, given up
    terminal.line("import \"two_step\" as two_step");
    let took =
        terminal.interrupt("let run = two_step::reconstruct(images, #{ diameter: 15 })", Duration::from_millis(1500));
    assert!(took < INTERRUPT, "{took:?}");
    assert_has(&terminal.screen(), &["interrupted"]);
    terminal.line(":vars");
    let screen = terminal.screen();
    assert_has(&screen, &["truth   Structure  FePt", "raw     Images     300", "images  Images     300"]);
    terminal.line(":time images.info()");
    assert_has(&terminal.screen(), &[" s, CPU "]);
    terminal.line(":save first");
    assert_has(&terminal.screen(), &["lines saved as first.rhai: pedesis run first.rhai"]);
    let saved = std::fs::read_to_string(terminal.folder.path().join("first.rhai")).unwrap();
    let run = run_script(&saved, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{saved}\n{}", run.stderr);
    if let Some(file) = std::env::var_os("PROMPT_TRANSCRIPT") {
        std::fs::write(file, terminal.screen() + "\n").unwrap();
    }
    terminal.press("C-d");
    let start = Instant::now();
    while terminal.tmux(&["has-session"]).status.success() {
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn an_interrupt_gives_the_prompt_back_with_all_variables() {
    let Some(terminal) = Terminal::new(&[]) else { return };
    for line in [
        "let truth = structure::bundled(\"FePt_1.5nm_Fe50Pt50\"); let scope = microscope::paper()",
        "let images = microscope::simulate(truth, scope, #{ method: \"kinematic\", n: 600 }).invert()",
        "let particles = images.prepare(#{ diameter: 15 }); let poses = images.true_poses()",
        "let density = volume::reconstruct(particles, poses, #{}).volume",
        "let atoms = model::trace(density, #{ species: [\"Fe\", \"Pt\"] })",
        "images.save(\"images.h5\")",
    ] {
        terminal.line(line);
    }
    let mut slow = Vec::new();
    for (line, after) in [
        ("let x = 5; loop { x += 1; }", 300),
        ("orient::ab_initio(particles, #{ starts: 9 })", 1000),
        ("orient::refine(particles, [density], poses, #{ low_pass: 1, steps: 1000 })", 300),
        ("microscope::simulate(truth, scope, #{ method: \"multislice\", n: 300, cell: cell::paper() })", 1500),
        ("orient::search(particles, density, #{ low_pass: 1, directions: 60000 })", 700),
        ("for i in 0..1000 { model::refine(atoms, particles, poses, #{}); }", 700),
        ("for i in 0..1000 { store::images(\"images.h5\"); }", 700),
        ("sleep(1000)", 200),
    ] {
        let took = terminal.interrupt(line, Duration::from_millis(after));
        eprintln!("{:5.0} ms  {line}", 1e3 * took.as_secs_f64());
        if took >= INTERRUPT {
            slow.push((line, took));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
    let screen = terminal.screen();
    assert!(!screen.contains(['█', '░']), "progress that is over is still shown:\n{screen}");
    terminal.line("[x > 5, images.len(), atoms.len()]");
    assert_has(&terminal.screen(), &["[true, 600, 124]"]);
}

#[test]
fn what_is_typed_survives_mistakes_and_sittings() {
    let Some(terminal) = Terminal::new(&[]) else { return };
    // brackets, comments and templates go on over lines
    terminal.write("fn twice(x) {");
    terminal.press("Enter");
    terminal.write("    /* not yet");
    terminal.press("Enter");
    terminal.write("    ready */ 2 * x");
    terminal.press("Enter");
    terminal.line("}");
    terminal.line("twice(21)");
    assert_has(&terminal.screen(), &["\n42\n"]);
    // what was done before a mistake stays; Ctrl-C empties the line
    terminal.line("let size = 7; let b = nothing_of_the_kind(size)");
    terminal.write("let c = [1, 2");
    terminal.give_up();
    terminal.line("size + 1");
    assert_has(&terminal.screen(), &["there is no function nothing_of_the_kind(int)", "\n8\n"]);
    // an import that fails is no import
    terminal.line("import numpy as np");
    terminal.line("let d = 20; import \"none_such\" as none_such");
    terminal.line("d + 2");
    assert_has(&terminal.screen(), &["an import names a script in quotes", "\n22\n"]);
    terminal.line("import \"two_step\" as ts");
    terminal.line("help --search unevenness zzz");
    terminal.line("help --search equal-area");
    terminal.line("ts::reconstruct?");
    let screen = terminal.screen();
    assert_has(&screen, &["nothing in the manual has", "plot::coverage", "two_step::reconstruct(images, options)"]);
    // many lines pasted at once, and a very long one
    terminal.tmux(&["set-buffer", "let a = 1;\nlet b = [\n  a,\n  2,\n];\nb.len() + 40"]);
    terminal.tmux(&["paste-buffer", "-p"]);
    terminal.wait_for("b.len() + 40");
    terminal.press("Enter");
    terminal.wait_for("\n42\n>");
    let long = format!("let long = \"{}\"", "é".repeat(3000));
    terminal.tmux(&["set-buffer", &long]);
    let prompts = terminal.prompts();
    terminal.tmux(&["paste-buffer", "-p"]);
    terminal.press("Enter");
    terminal.wait_for_prompt(prompts + 1);
    terminal.line("long.len()");
    assert_has(&terminal.screen(), &["\n3000\n"]);
    // a script keeps what it made, and its mistakes are told by its own lines
    let write = |name: &str, text: &str| std::fs::write(terminal.folder.path().join(name), text).unwrap();
    std::fs::create_dir(terminal.folder.path().join("mine")).unwrap();
    write("mine/lib.rhai", "fn one() { 1 }");
    write(
        "mine/script.rhai",
        "import \"lib\" as lib;\nlet a = args(#{ n: 2 });\nlet loaded = a.n + lib::one();\nfn broken(x) {\n    x.nope()\n}\n",
    );
    terminal.line(":load mine/script.rhai n=41");
    terminal.line("loaded");
    terminal.line("lib::one() + 99");
    terminal.line("broken(1)");
    assert_has(&terminal.screen(), &["\n42\n", "\n100\n", "mine/script.rhai:5:7"]);
    terminal.line(":load none.rhai");
    assert_has(&terminal.screen(), &["cannot read the script none.rhai"]);
    // another sitting remembers the lines
    terminal.press("C-d");
    sleep(Duration::from_millis(300));
    terminal.sit_down(&[]);
    terminal.press("Up");
    terminal.press("Up");
    terminal.wait_for("> broken(1)");
}

#[test]
fn completion_lists_signatures_options_and_files() {
    let Some(terminal) = Terminal::new(&[]) else { return };
    std::fs::write(terminal.folder.path().join("stack.mrcs"), "").unwrap();
    terminal.line("let v = volume::of_structure(structure::bundled(\"FePt_1.5nm_Fe50Pt50\"))");
    terminal.write("v.m");
    terminal.press("Tab");
    terminal.wait_for("masked(");
    terminal.wait_for("mirrored() -> Volume");
    terminal.give_up();
    terminal.write("microscope::simulate(v, v, #{ n: 2, ");
    terminal.wait_for("method, poses, seed");
    terminal.press("Tab");
    terminal.wait_for("size  pixels, default 160");
    terminal.give_up();
    terminal.write("store::images(\"sta");
    terminal.press("Tab");
    terminal.wait_for("store::images(\"stack.mrcs");
    terminal.give_up();
    terminal.write("images::add_noise(");
    terminal.wait_for("add_noise(images: Images, options: map) -> Images");
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() {
    let Some(plain) = Terminal::new(&[("NO_COLOR", "1")]) else { return };
    let line = "microscope::simulate(structure::bundled(\"FePt_1.5nm_Fe50Pt50\"), microscope::paper(), #{ method: \"kinematic\", n: 2 })";
    plain.line(line);
    plain.line("nope");
    assert_has(&plain.screen(), &["2 images of", "there is no variable"]);
    assert!(!plain.colours().contains('\u{1b}') && !plain.screen().contains('▀'), "{}", plain.colours());
    let Some(coloured) = Terminal::new(&[]) else { return };
    coloured.line("let a = \"x\"");
    coloured.line(line);
    assert_has(&coloured.colours(), &["\u{1b}[35mlet", "\u{1b}[32m\"x\"", "▀", "\u{1b}[38;2;"]);
}

#[test]
fn a_history_that_cannot_be_kept_is_told_once() {
    let Some(terminal) = Terminal::new(&[("XDG_DATA_HOME", "/dev/null/nowhere")]) else { return };
    terminal.line("1 + 1");
    terminal.line("2 + 2");
    let screen = terminal.screen();
    assert_eq!(screen.matches("cannot keep the history").count(), 1, "{screen}");
    assert_has(&screen, &["\n4\n"]);
}

#[test]
fn the_prompt_is_there_at_once() {
    let Some(terminal) = Terminal::new(&[]) else { return };
    let start = |folder: &Path| {
        let start = Instant::now();
        let mut child = pedesis(folder).stdin(Stdio::piped()).spawn().unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        start.elapsed()
    };
    let fastest = (0..5).map(|_| start(terminal.folder.path())).min().unwrap();
    assert!(fastest < Duration::from_millis(60), "{fastest:?}");
}
