//! Folders that are open or closed to a script, and what is expected of attempts to leave them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{Run, pedesis};

/// A particle of two atoms.
pub const XYZ: &str = "2\nsecret\nFe 0 0 0\nPt 0 0 2\n";

/// A folder with `work`, where scripts run, `scripts`, where one may lie, and `outside`, which is closed to them.
pub struct Place {
    root: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        for folder in ["work/inside", "work2", "scripts/data", "outside/folder"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        for folder in ["work", "work2", "scripts", "outside"] {
            fs::write(place.path(folder).join("secret.xyz"), XYZ).unwrap();
            fs::write(place.path(folder).join("secret.rhai"), "fn f() { 42 }\n").unwrap();
        }
        fs::write(place.path("outside/other.json"), "{}").unwrap();
        fs::write(
            place.path("outside/mtf.star"),
            "data_\nloop_\n_rlnResolutionInversePixel #1\n_rlnMtfValue #2\n0 1\n0.5 0.5\n",
        )
        .unwrap();
        hdf5_file(&place.path("outside/secret.h5"));
        symlink(place.path("outside"), place.path("work/folder_link")).unwrap();
        symlink(place.path("outside/secret.xyz"), place.path("work/link.xyz")).unwrap();
        symlink("link.xyz", place.path("work/link_to_link.xyz")).unwrap();
        symlink(place.path("outside/new.h5"), place.path("work/dangling.h5")).unwrap();
        symlink(place.path("outside/pixels"), place.path("work/raw.h5.partial")).unwrap();
        symlink("/proc/self/root", place.path("work/root_link")).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn text_of(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Runs a script that lies in `work` from there; `OUTSIDE` and `ROOT` stand for the folders.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Run {
        fs::write(self.path("work/script.rhai"), self.filled(script)).unwrap();
        self.run_file("script.rhai", arguments)
    }

    pub fn run_file(&self, script: &str, arguments: &[&str]) -> Run {
        let arguments = arguments.iter().map(|argument| self.filled(argument));
        let mut command = pedesis(&self.path("work"));
        command.args(["run", &self.filled(script)]).args(arguments).output().expect("the binary starts").into()
    }

    pub fn filled(&self, text: &str) -> String {
        text.replace("OUTSIDE", &self.text_of("outside")).replace("ROOT", &self.root.path().to_string_lossy())
    }

    /// Every file outside with its bytes, every folder without.
    pub fn outside(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = ["outside", "work2", "scripts"].map(|name| self.path(name)).to_vec();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
        found
    }

    /// Runs a script that must be refused with all of `parts` in the message, and change nothing outside.
    pub fn refuses(&self, script: &str, arguments: &[&str], parts: &[&str]) {
        let before = self.outside();
        let run = self.run(script, arguments);
        assert_refused(script, &run, parts);
        assert_eq!(self.outside(), before, "{script} changed what is outside");
    }
}

pub fn assert_refused(what: &str, run: &Run, parts: &[&str]) {
    assert_eq!(run.status, Some(1), "{what}: {}{}", run.stdout, run.stderr);
    for part in parts {
        assert!(run.stderr.contains(part), "{what}: no {part:?} in\n{}", run.stderr);
    }
    for sign in ["panicked", "overflowed", "internal error"] {
        assert!(!run.stderr.contains(sign), "{what}: {}", run.stderr);
    }
    assert!(!run.stdout.contains("REACHED"), "{what} went on");
}

pub fn assert_done(run: &Run, stdout: &str) {
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), stdout), "{}", run.stderr);
}

pub fn hdf5_file(path: &Path) {
    let file = hdf5::File::create(path).unwrap();
    file.new_dataset_builder().with_data(&[1.0, 2.0, 3.0]).create("numbers").unwrap();
}

/// Makes images, a particle and the like for attempts to write them.
pub const IMAGES: &str = r#"let particle = structure::bundled("fept_1.5nm");
       let options = #{ method: "kinematic", n: 2, size: 80 };
       let images = microscope::simulate(particle, microscope::paper(), options); "#;
