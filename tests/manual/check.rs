//! `pedesis check` and `pedesis help --search`.

use crate::common::{Run, folder_with, pedesis, run_script};

fn assert_fails(run: &Run, status: i32, parts: &[&str]) {
    assert_eq!(run.status, Some(status), "{}", run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{part:?} is missing in:\n{}", run.stderr);
    }
}

#[test]
fn check_finds_mistakes_without_running_and_exits_with_1_for_errors_alone() {
    let check = |text: &str| -> Run {
        let folder = folder_with("script.rhai", text);
        let run = Run::from(pedesis(folder.path()).args(["check", "script.rhai"]).output().unwrap());
        assert!(!folder.path().join("made").exists(), "the script ran");
        run
    };
    let wrong = check("path::make_dirs(\"made\");\nlet unused = 1;\nstructure::bundle(\"x\");");
    assert_fails(&wrong, 1, &["Error: there is no function structure::bundle", "script.rhai:3:12", "Warning: unused"]);
    assert_eq!(wrong.stdout, "script.rhai: 1 error, 1 warning\n");
    let warned = check("let unused = 1;");
    assert_eq!((warned.status, warned.stdout.as_str()), (Some(0), "script.rhai: 0 errors, 1 warning\n"));
    assert_fails(&check("let x = ;"), 1, &["syntax error", "script.rhai:1:9"]);
}

#[test]
fn check_has_nothing_to_say_of_our_own_scripts() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = ["scripts", "scripts/paper", "stdlib"].map(|folder| root.join(folder).read_dir().unwrap());
    let scripts = scripts.into_iter().flatten().map(|file| file.unwrap().path());
    let mut count = 0;
    for script in scripts.filter(|file| file.extension().is_some_and(|ending| ending == "rhai")) {
        let run = Run::from(pedesis(root).arg("check").arg(&script).output().unwrap());
        assert!(run.status == Some(0) && run.stderr.is_empty(), "{}: {}", script.display(), run.stderr);
        count += 1;
    }
    assert!(count >= 27, "{count}");
}

#[test]
fn help_is_searched_by_words_in_names_and_texts() {
    let folder = tempfile::tempdir().unwrap();
    let help =
        |arguments: &[&str]| -> Run { pedesis(folder.path()).arg("help").args(arguments).output().unwrap().into() };
    let found = help(&["--search", "noise"]).stdout;
    assert!(found.starts_with("images::add_noise"), "{found}");
    assert!(found.contains("model::noise_cut") && found.lines().count() > 5, "{found}");
    assert!(help(&["--search", "Cramér"]).stdout.contains("model::refine"));
    assert!(help(&["--search", "random starts"]).stdout.contains("two_step::"), "words in any order, strategies too");
    assert_fails(&help(&["--search", "normalise"]), 2, &["did you mean \"normalize\"?"]);
    assert!(help(&["two_step"]).stdout.contains("reconstruct  Reconstructs a particle"));
    assert!(help(&["two_step::reconstruct"]).stdout.contains("two_step::reconstruct(images, options)"));
}

#[test]
fn a_division_that_is_cut_runs_and_is_warned_about_before() {
    assert_eq!(run_script("print(1 / 2);", &[]).stdout, "0\n");
    let folder = folder_with("script.rhai", "print(1 / 2);");
    let run = Run::from(pedesis(folder.path()).args(["check", "script.rhai"]).output().unwrap());
    assert!(run.status == Some(0) && run.stderr.contains("1 / 2 is 0"), "{}", run.stderr);
}
