//! SLURM's commands, as far as a sweep needs them: a job array is submitted (`sbatch`), watched (`squeue`), cancelled (`scancel`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// States in which a task will do nothing any more.
const DEAD: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];

/// Stands for the state of a task that SLURM knows no more.
const GONE: &str = "gone from SLURM";

/// Options of `sbatch` that a sweep sets itself, and cannot do its work with others.
const OWN: [&str; 8] = ["-a", "--array", "-D", "--chdir", "--wrap", "-W", "--wait", "--test-only"];

/// How a sweep is given to SLURM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slurm {
    /// How many tasks are at work at a time. Default: 25.
    pub tasks: usize,
    /// CPUs of each task, and threads in it. Default: 1.
    pub threads: usize,
    /// Further options of `sbatch`. Default: none.
    pub options: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Self {
        Self { tasks: 25, threads: 1, options: Vec::new() }
    }
}

/// What SLURM does not do.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    #[error(
        "there is no {0} here. Run pedesis where jobs of the cluster are submitted (its login node), or install the commands of SLURM (Debian: slurm-client)"
    )]
    Missing(&'static str),
    #[error("cannot run {program}: {cause}")]
    Start { program: &'static str, cause: io::Error },
    #[error("{program} says: {said}")]
    Refused { program: &'static str, said: String },
    #[error("{0:?} is not an option of sbatch; write it as --name=value, such as --sbatch=--time=2:00:00")]
    NoOption(String),
    #[error("{0} is what a sweep sets itself; give sbatch such options as --partition, --time, --mem, --account")]
    OwnOption(String),
}

impl Slurm {
    /// Fails if there is no SLURM here, or an option cannot be meant.
    ///
    /// # Errors
    /// As said, in words for the user.
    pub fn check(&self) -> Result<(), SlurmError> {
        for option in &self.options {
            if !option.starts_with('-') || option.trim_matches('-').is_empty() {
                return Err(SlurmError::NoOption(option.clone()));
            }
            let name = option.split('=').next().unwrap_or_default();
            let short = if name.starts_with("--") { name } else { name.get(..2).unwrap_or(name) };
            if OWN.contains(&short) {
                return Err(SlurmError::OwnOption(short.to_owned()));
            }
        }
        run("sbatch", ["--version"]).map(drop)
    }

    /// Submits `script` as an array of `tasks` tasks, numbered from 0, whose output goes to the folder `log`.
    pub(super) fn submit(&self, script: &Path, tasks: usize, name: &str, log: &Path) -> Result<Job, SlurmError> {
        // % begins a placeholder
        let mut output = OsString::from("--output=");
        output.push(log.to_string_lossy().replace('%', "%%") + "/%a.log");
        let own = [
            "--parsable".to_owned(),
            // the sweep sees to what has died
            "--no-requeue".to_owned(),
            format!("--job-name={name}"),
            format!("--cpus-per-task={}", self.threads),
            format!("--array=0-{}%{}", tasks - 1, self.tasks),
        ];
        let own = own.iter().map(OsStr::new).chain([output.as_os_str()]);
        let given = self.options.iter().map(OsStr::new);
        let said = run("sbatch", own.chain(given).chain([script.as_os_str()]))?;
        Job::parse(&said).ok_or(SlurmError::Refused { program: "sbatch", said })
    }
}

/// A submitted job array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    id: String,
    cluster: Option<String>,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl Job {
    /// From what `sbatch --parsable` prints last: `17`, or `17;cluster`.
    pub(super) fn parse(said: &str) -> Option<Self> {
        let (id, cluster) = match said.trim().lines().last()?.split_once(';') {
            Some((id, cluster)) => (id, Some(cluster.to_owned())),
            None => (said.trim().lines().last()?, None),
        };
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self { id: id.to_owned(), cluster })
    }

    /// What [`Self::parse`] reads.
    pub(super) fn text(&self) -> String {
        self.cluster.iter().fold(self.id.clone(), |id, cluster| format!("{id};{cluster}"))
    }

    /// The state of each task that SLURM still knows.
    pub(super) fn states(&self) -> Result<BTreeMap<usize, State>, SlurmError> {
        let job = format!("--jobs={}", self.id);
        let options = ["--noheader", "--array", "--states=all", "--format=%K %T %r", job.as_str()].map(str::to_owned);
        match run("squeue", self.on_cluster().into_iter().chain(options)) {
            Ok(said) => Ok(states(&said)),
            // forgotten a while after its end
            Err(SlurmError::Refused { said, .. }) if said.contains("Invalid job id") => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn cancel(&self) -> Result<(), SlurmError> {
        run("scancel", self.on_cluster().into_iter().chain([self.id.clone()])).map(drop)
    }

    fn on_cluster(&self) -> Option<String> {
        self.cluster.as_ref().map(|cluster| format!("--clusters={cluster}"))
    }
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// SLURM's word for it.
    pub word: String,
    /// Why it is so, as for a task that waits.
    pub reason: String,
}

impl Default for State {
    fn default() -> Self {
        Self { word: "PENDING".into(), reason: String::new() }
    }
}

impl State {
    /// Of a task that SLURM knows no more.
    pub fn gone() -> Self {
        Self { word: GONE.into(), reason: String::new() }
    }

    /// Whether it is still to do something, or at it.
    pub fn is_alive(&self) -> bool {
        self.word != GONE && !DEAD.contains(&self.word.as_str())
    }
}

/// From lines `task STATE reason`.
fn states(said: &str) -> BTreeMap<usize, State> {
    let state = |line: &str| {
        let mut words = line.split_whitespace();
        let task = words.next()?.parse().ok()?;
        let word = words.next()?.to_owned();
        Some((task, State { word, reason: words.collect::<Vec<_>>().join(" ") }))
    };
    said.lines().filter_map(state).collect()
}

/// What a command prints.
fn run(program: &'static str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<String, SlurmError> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => SlurmError::Missing(program),
        _ => SlurmError::Start { program, cause },
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { format!("nothing, but ends with {}", output.status) } else { said };
    Err(SlurmError::Refused { program, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_states_are_read_as_slurm_prints_them() {
        let job = Job::parse("17;north\n").unwrap();
        assert_eq!(
            (job.to_string(), job.text(), job.on_cluster().unwrap()),
            ("17".into(), "17;north".into(), "--clusters=north".into())
        );
        assert_eq!(Job::parse("sbatch: note\n18\n").unwrap().text(), "18");
        assert_eq!(Job::parse("Submitted"), None);
        let said = "CLUSTER: north\n0 COMPLETED None\n 12 PENDING Nodes required are DOWN\nN/A RUNNING None\n";
        let states = states(said);
        assert_eq!(states.keys().copied().collect::<Vec<_>>(), [0, 12]);
        assert_eq!(states[&12].reason, "Nodes required are DOWN");
        assert!(states[&12].is_alive() && !states[&0].is_alive() && !State::gone().is_alive());
    }

    #[test]
    fn options_that_would_break_a_sweep_are_refused() {
        for (option, part) in [
            ("partition=long", "is not an option of sbatch; write it as --name=value"),
            ("--", "is not an option"),
            ("--array=1-3", "--array is what a sweep sets itself"),
            ("-a1-3", "-a is what a sweep sets itself"),
        ] {
            let slurm = Slurm { options: vec![option.into()], ..Slurm::default() };
            let error = slurm.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
