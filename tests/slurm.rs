//! Sweeps on a real SLURM, begun by the test on this computer alone: controller, one node, munge.
//!
//! Where the programs are missing or cannot start (Debian: slurmctld, slurmd, slurm-client, munge) the tests say so and are skipped.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{Run, folder_with, pedesis, run_script};

/// One at a time: each has a SLURM of its own, and this computer few processors.
static ALONE: Mutex<()> = Mutex::new(());

/// A SLURM with one node of four processors; it ends with the value.
struct Cluster {
    folder: tempfile::TempDir,
    programs: Vec<Child>,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// `None`, after a message, where there is no SLURM.
    fn start() -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cluster = Self { folder: tempfile::tempdir().unwrap(), programs: Vec::new(), _alone: alone };
        match cluster.set_up() {
            Ok(()) => Some(cluster),
            Err(why) => {
                eprintln!("skipped: no SLURM here: {why}");
                None
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set_up(&mut self) -> Result<(), String> {
        let folder = self.folder.path().to_owned();
        let user =
            String::from_utf8(Command::new("id").arg("-un").output().map_err(|e| e.to_string())?.stdout).unwrap();
        for name in ["state", "spool", "cgroup"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        write_private(&folder.join("munge.key"), &"0123456789abcdef".repeat(8));
        fs::write(folder.join("slurm.conf"), conf(&folder, user.trim())).unwrap();
        // the plugin is started whether it is used or not
        let cgroup = format!("CgroupPlugin=cgroup/v1\nCgroupMountpoint={}\n", folder.join("cgroup").display());
        fs::write(folder.join("cgroup.conf"), cgroup).unwrap();
        let file = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
        let munge = [
            "--foreground".to_owned(),
            "--force".to_owned(),
            file("key-file", "munge.key"),
            file("socket", "munge.socket"),
            file("pid-file", "munged.pid"),
            file("log-file", "munged.log"),
            file("seed-file", "munge.seed"),
        ];
        self.begin("munged", &munge.each_ref().map(String::as_str))?;
        self.wait("munged", |cluster| cluster.path("munge.socket").exists())?;
        self.begin("slurmctld", &["-D", "-i"])?;
        self.wait("slurmctld", |cluster| cluster.ask("scontrol", &["ping"]).contains("UP"))?;
        self.begin("slurmd", &["-D", "-N", "localhost"])?;
        self.wait("slurmd", |cluster| cluster.ask("sinfo", &["-h", "-o", "%T"]).trim() == "idle")
    }

    fn begin(&mut self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let log = fs::File::create(self.path(&format!("{program}.out"))).unwrap();
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
        let mut command = Command::new(found.ok_or(format!("{program} is not installed"))?);
        command.args(arguments).env("SLURM_CONF", self.path("slurm.conf"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.programs.push(command.spawn().map_err(|error| format!("{program}: {error}"))?);
        Ok(())
    }

    /// Waits until the program that was begun last is there.
    fn wait(&mut self, program: &str, is_there: impl Fn(&Self) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !is_there(self) {
            let ended = self.programs.last_mut().unwrap().try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > Duration::from_secs(20) {
                let log = fs::read_to_string(self.path(&format!("{program}.out"))).unwrap_or_default();
                return Err(format!("{program} does not start: {log}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("SLURM_CONF", self.path("slurm.conf")).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// `pedesis run script.rhai --executor slurm` in a folder.
    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = pedesis(folder);
        command.args(["run", "script.rhai", "--executor", "slurm"]).args(arguments);
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command
    }

    fn run(&self, folder: &Path, arguments: &[&str]) -> Run {
        self.command(folder, arguments).output().unwrap().into()
    }

    /// The jobs that are in the queue.
    fn queue(&self) -> String {
        self.ask("squeue", &["--noheader", "--format=%F %T"])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // without a controller it would wait for one
        if self.programs.len() == 3 {
            self.ask("scancel", &["--state=RUNNING", "--signal=KILL", "--full"]);
        }
        for program in self.programs.iter_mut().rev() {
            let _ = Command::new("kill").args(["-TERM", &program.id().to_string()]).status();
            let begun = Instant::now();
            while program.try_wait().is_ok_and(|ended| ended.is_none()) && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(path, mode).unwrap();
}

fn conf(folder: &Path, user: &str) -> String {
    let free = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [controller, node] = free.map(|listener| listener.local_addr().unwrap().port());
    let folder = folder.display();
    format!(
        "ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
MailProg=/bin/true
NodeName=localhost NodeAddr=127.0.0.1 CPUs=4
PartitionName=test Nodes=localhost Default=YES State=UP
"
    )
}

/// Captures values of several types, calls functions of a module, prints; one point fails; results with all bits.
const RICH: &str = r#"
import "lib" as lib;
let a = args(#{ scale: 3.0, secret: "" });
const OFFSET = 10;
let images = microscope::simulate(structure::bundled("fept_1.5nm"), microscope::paper(), #{ method: "kinematic", n: 3, size: 64, seed: 3 });
let t = sweep::grid(#{ seed: 0..10, snr: [0.1, 0.2, 0.4] }, |p| {
    if p.seed == 7 && p.snr == 0.4 { lib::refuse(p.seed) }
    print(`${p.seed} ${p.snr}`);
    #{ third: p.seed / a.scale * p.snr, text: images.add_noise(#{ snr: p.snr, seed: p.seed }).info(), twice: lib::twice(p.seed),
       secret: if a.secret == "" { 0 } else { table::read(a.secret + "/t.csv").len() } }
});
t.save("t.csv");
t.save("t.h5");
"#;
const LIB: &str = "fn twice(x) { 2 * x }\nfn refuse(n) {\n    fail(`no ${n}`)\n}\n";

fn table(folder: &Path) -> String {
    fs::read_to_string(folder.join("t.csv")).unwrap_or_default()
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_table_from_slurm_is_that_of_an_unbroken_local_run() {
    let Some(cluster) = Cluster::start() else { return };
    let folders = [folder_with("script.rhai", RICH), folder_with("script.rhai", RICH)];
    folders.iter().for_each(|folder| fs::write(folder.path().join("lib.rhai"), LIB).unwrap());
    let [local, slurm] = folders.each_ref().map(|folder| folder.path());
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("t.csv"), "a\n1\n2\n").unwrap();
    // one argument that a shell would not leave as it is
    let closed = secret.path().join("it's $HERE");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("t.csv"), "a\n1\n2\n").unwrap();
    let secret = format!("secret={}", closed.display());
    let rest = ["scale=7.0", secret.as_str(), "--allow-read", closed.to_str().unwrap()];
    let here: Run = pedesis(local).args(["run", "script.rhai"]).args(rest).output().unwrap().into();
    let there = cluster.run(slurm, &[&rest[..], &["--workers", "2", "--sbatch", "--time=5"]].concat());
    assert_eq!((here.status, there.status), (Some(1), Some(1)), "{}\n{}", here.stderr, there.stderr);
    assert_eq!(table(local).lines().count(), 31);
    assert_eq!(table(local), table(slurm), "{}", there.stderr);
    assert!(table(slurm).contains("no 7 (lib.rhai:3:5)") && table(slurm).contains(",2,"), "{}", table(slurm));
    assert_eq!(lines(&here.stdout), lines(&there.stdout));
    for part in ["30 points in 8 tasks, 2 at a time", "1 of 30 points failed; the first (seed 7, snr 0.4): no 7"] {
        assert!(there.stderr.contains(part), "{}", there.stderr);
    }
    let options = |run: &Path| pedesis::store::read_h5(run).unwrap().provenance.unwrap().options;
    assert_eq!(options(&local.join("t.h5")), options(&slurm.join("t.h5")));
    // the point that failed is done again, and no other
    let again = cluster.run(slurm, &[&rest[..], &["--resume"]].concat());
    assert!(again.stderr.contains("1 points in 1 tasks") && again.stdout.is_empty(), "{}", again.stderr);
    assert_eq!(table(local), table(slurm));
}

/// Points that last, and say that they have begun.
const SLOW: &str = r#"
let t = sweep::grid(#{ n: 0..8 }, |p| { path::make_dirs(`begun/${p.n}`); print(p.n); sleep(0.5); p.n / 3.0 });
t.save("t.csv");
"#;

fn slow_table() -> String {
    let rows = (0..8).map(|n| format!("{n},{:?}\n", f64::from(n) / 3.0));
    std::iter::once("n,value\n".to_owned()).chain(rows).collect()
}

/// The processes of tasks whose command line has this folder in it.
fn tasks(folder: &Path) -> Vec<u32> {
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("--task") && line.contains(folder.to_str().unwrap())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(named).collect()
}

fn kill(signal: &str, pid: u32) {
    // it may have ended in the meantime
    let _ = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

fn begun_points(folder: &Path) -> usize {
    fs::read_dir(folder.join("begun")).map_or(0, Iterator::count)
}

/// Waits until so many points have begun.
fn wait_for(folder: &Path, count: usize, child: &mut Child) {
    let begun = Instant::now();
    while begun_points(folder) < count {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_task_loses_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = folder_with("script.rhai", SLOW);
    let mut child = cluster.command(folder.path(), &["--workers", "1"]).spawn().unwrap();
    wait_for(folder.path(), 4, &mut child);
    let victims = tasks(folder.path());
    assert_eq!(victims.len(), 1);
    kill("-KILL", victims[0]);
    let ran: Run = child.wait_with_output().unwrap().into();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("FAILED") && ran.stderr.contains("they are submitted again"), "{}", ran.stderr);
    assert_eq!(table(folder.path()), slow_table());
    // what was done is not done again: each point is begun once, but those that were at work
    assert!(ran.stdout.lines().count() <= 9, "{}", ran.stdout);
    assert!(!folder.path().join("script.sweep-1").exists());
}

#[test]
fn an_interrupt_cancels_the_job_and_resume_does_the_rest() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = folder_with("script.rhai", SLOW);
    let mut child = cluster.command(folder.path(), &["--workers", "1"]).spawn().unwrap();
    wait_for(folder.path(), 4, &mut child);
    kill("-INT", child.id());
    let ran: Run = child.wait_with_output().unwrap().into();
    assert_eq!(ran.status, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("cancelled"), "{}", ran.stderr);
    let begun = Instant::now();
    while !cluster.queue().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", cluster.queue());
        std::thread::sleep(Duration::from_millis(50));
    }
    let info: Run = pedesis(folder.path()).args(["info", "script.sweep-1"]).output().unwrap().into();
    let done = (3..=4).find(|done| info.stdout.contains(&format!("{done} of 8 points")));
    let done = done.unwrap_or_else(|| panic!("{}{}", info.stdout, info.stderr));
    let resumed = cluster.run(folder.path(), &["--workers", "2", "--resume"]);
    assert_eq!((resumed.status, resumed.stdout.lines().count()), (Some(0), 8 - done), "{}", resumed.stderr);
    assert!(resumed.stderr.contains(&format!("{done} of 8 points kept from the last run")), "{}", resumed.stderr);
    assert_eq!(table(folder.path()), slow_table());
}

#[test]
fn a_job_outlives_the_run_and_the_next_one_finds_it() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = folder_with("script.rhai", SLOW);
    let mut child = cluster.command(folder.path(), &["--workers", "1"]).spawn().unwrap();
    wait_for(folder.path(), 2, &mut child);
    kill("-KILL", child.id());
    child.wait().unwrap();
    let job = cluster.queue().split(' ').next().unwrap().to_owned();
    let begun = Instant::now();
    while begun_points(folder.path()) < 4 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    for (place, file) in [("", "script.sweep-1"), ("script.sweep-1", "journal.jsonl")] {
        let info: Run = pedesis(&folder.path().join(place)).args(["info", file]).output().unwrap().into();
        let counted = info.stdout.contains("2 of 8 points") || info.stdout.contains("3 of 8 points");
        let told = info.stdout.contains(&format!("SLURM job      {job}, which may be at work"));
        assert!(counted && told, "{}{}", info.stdout, info.stderr);
    }
    let resumed = cluster.run(folder.path(), &["--workers", "1", "--resume"]);
    assert_eq!(resumed.status, Some(0), "{}", resumed.stderr);
    let found = format!("SLURM job {job}: of the last run is still at work: ");
    assert!(resumed.stderr.contains(&found), "{}", resumed.stderr);
    assert_eq!(table(folder.path()), slow_table());
    assert!(resumed.stdout.lines().count() < 7, "{}", resumed.stdout);

    // a run that does not want it cancels it
    fs::remove_dir_all(folder.path().join("begun")).unwrap();
    let mut child = cluster.command(folder.path(), &["--workers", "1"]).spawn().unwrap();
    wait_for(folder.path(), 3, &mut child);
    kill("-KILL", child.id());
    child.wait().unwrap();
    let mut here = pedesis(folder.path());
    here.args(["run", "script.rhai", "--resume"]).env("SLURM_CONF", cluster.path("slurm.conf"));
    let here: Run = here.output().unwrap().into();
    assert_eq!(here.status, Some(0), "{}", here.stderr);
    assert!(here.stderr.contains("of the last run is cancelled"), "{}", here.stderr);
    assert!(here.stdout.lines().count() < 7, "{}", here.stdout);
    assert_eq!(table(folder.path()), slow_table());
}

#[test]
fn what_slurm_refuses_and_tasks_that_cannot_begin_are_told() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = folder_with("script.rhai", SLOW);
    let refused = cluster.run(folder.path(), &["--sbatch", "--partition=none"]);
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("sbatch says: ") && refused.stderr.contains("invalid partition"),
        "{}",
        refused.stderr
    );
    let large = cluster.run(folder.path(), &["--workers", "1", "--max-memory", "0.001"]);
    assert_eq!(large.status, Some(1), "{}", large.stderr);
    assert!(large.stderr.contains("--max-memory"), "{}", large.stderr);

    // held jobs, cancelled by somebody else
    let mut child = cluster.command(folder.path(), &["--sbatch=--hold"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(9));
    let mut last = String::new();
    for _ in 0..2 {
        let begun = Instant::now();
        loop {
            let job = cluster.queue().split(' ').next().unwrap_or_default().to_owned();
            if !job.is_empty() && job != last {
                last = job;
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30) && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster.ask("scancel", &[&last]);
    }
    let ran: Run = child.wait_with_output().unwrap().into();
    assert!(ran.stderr.contains("it waits in the queue (JobHeldUser"), "{}", ran.stderr);
    let told = format!("no task of SLURM job {last} could begin, nor of that before (task 0: CANCELLED");
    assert!(ran.status == Some(1) && ran.stderr.contains(&told), "{}", ran.stderr);
}

#[test]
fn without_slurm_or_with_what_it_cannot_do_the_run_does_not_begin() {
    let folder = folder_with("script.rhai", "print(1);");
    let mut command = pedesis(folder.path());
    let ran: Run = command.args(["run", "script.rhai", "--executor", "slurm"]).env("PATH", "").output().unwrap().into();
    assert!(ran.status == Some(2) && ran.stdout.is_empty(), "{}", ran.stderr);
    assert!(ran.stderr.contains("--executor slurm: there is no sbatch here. Run pedesis where jobs"), "{}", ran.stderr);
    for (arguments, part) in [
        (&["--executor", "slurm", "--sbatch", "--array=1"][..], "--array is what a sweep sets itself"),
        (&["--executor", "slurm", "--sbatch", "long"], "\"long\" is not an option of sbatch"),
        (&["--sbatch", "--time=1"], "--sbatch is for --executor slurm alone"),
        (&["--executor", "pbs"], "invalid value 'pbs'"),
    ] {
        let ran = run_script("print(1);", arguments);
        assert!(ran.status == Some(2) && ran.stdout.is_empty(), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    }
}
