//! One test process's identity and folder, and the child that cleans up behind it. What is cleaned
//! up, and by whom while the process lives, does not live here.
//!
//! Statics are not dropped when a Rust process ends, and nothing is when it is killed. So a shell
//! (`reaper.sh`) waits on a pipe from this process: it breaks whenever and however this process
//! ends.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal;
use nix::unistd::Pid;

use crate::error::Error;

const SCRIPT: &str = include_str!("reaper.sh");
const FOLDER: &str = "quorlock-testkit-";

/// This process, as long as it lives: a name that no other process on this machine has, and a
/// folder.
#[derive(Debug)]
pub(crate) struct Run {
    id: RunId,
    folder: PathBuf,
    serial: AtomicUsize,
    // Its standard input is the pipe whose end the shell waits for: kept open by never being
    // touched.
    _reaper: Child,
}

impl Run {
    /// Returns this process's run; the first call starts the reaper and sweeps what killed runs
    /// have left.
    pub(crate) fn current() -> Result<&'static Self, Error> {
        static RUN: OnceLock<Run> = OnceLock::new();
        static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(run) = RUN.get() {
            return Ok(run);
        }
        sweep_folders();
        let run = Self::start()?;
        Ok(RUN.get_or_init(|| run))
    }

    /// The value of the label `quorlock-testkit.run` of everything that belongs to this run.
    pub(crate) fn id(&self) -> String {
        self.id.to_string()
    }

    /// Makes a new folder for one server.
    pub(crate) fn new_folder(&self) -> Result<PathBuf, Error> {
        let folder = self.folder.join(self.next_serial().to_string());
        fs::create_dir(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }

    /// A number that this run has not used yet.
    pub(crate) fn next_serial(&self) -> usize {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that this run uses the container engine, for the reaper.
    pub(crate) fn uses_containers(&self) -> Result<(), Error> {
        let note = self.folder.join("containers");
        fs::write(&note, "").map_err(Error::io(note))
    }

    fn start() -> Result<Self, Error> {
        let id = RunId::of_this_process();
        let temp =
            fs::canonicalize(std::env::temp_dir()).map_err(Error::io(std::env::temp_dir()))?;
        let folder = temp.join(format!("{FOLDER}{id}"));
        fs::create_dir(&folder).map_err(Error::io(&folder))?;
        let reaper = reap(&folder, &id, Stdio::piped(), "").map_err(Error::io("sh"))?;
        Ok(Self { id, folder, serial: AtomicUsize::new(0), _reaper: reaper })
    }
}

/// Cleans up behind runs of this machine that ended without their reaper, given the ids that were
/// seen on containers.
pub(crate) fn sweep_containers<'a>(seen: impl Iterator<Item = &'a str>) {
    for id in seen.filter_map(RunId::parse).filter(RunId::is_over) {
        let folder = std::env::temp_dir().join(format!("{FOLDER}{id}"));
        finish(reap(&folder, &id, Stdio::null(), "containers"));
    }
}

fn sweep_folders() {
    let Ok(temp) = fs::canonicalize(std::env::temp_dir()) else { return };
    for entry in fs::read_dir(temp).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(FOLDER)).and_then(RunId::parse);
        if let Some(id) = id.filter(RunId::is_over) {
            finish(reap(&entry.path(), &id, Stdio::null(), ""));
        }
    }
}

fn reap(folder: &Path, id: &RunId, until: Stdio, more: &str) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", SCRIPT, "quorlock-testkit-reaper"])
        .arg(folder)
        .args([&id.to_string(), more])
        // In a group of its own, what ends the tests from a terminal does not end it.
        .process_group(0)
        .stdin(until)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Collects a sweeping shell's exit status in the background. A sweep that fails leaves what was
/// there before.
fn finish(sweeper: std::io::Result<Child>) {
    if let Ok(mut sweeper) = sweeper {
        std::thread::spawn(move || sweeper.wait());
    }
}

/// Names a process for good: its machine, its number and when it started.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RunId {
    machine: String,
    pid: u32,
    started: u64,
}

impl RunId {
    fn of_this_process() -> Self {
        let pid = std::process::id();
        Self { machine: machine(), pid, started: start_time(pid).unwrap_or(0) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let id = Self {
            machine: parts.next()?.to_owned(),
            pid: parts.next()?.parse().ok()?,
            started: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(id)
    }

    /// Whether it is known that the process has ended: never of another machine's process.
    fn is_over(&self) -> bool {
        self.machine == machine() && !self.lives()
    }

    fn lives(&self) -> bool {
        match start_time(self.pid) {
            Some(started) => started == self.started,
            None => i32::try_from(self.pid).is_ok_and(|pid| {
                signal::kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
            }),
        }
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.machine, self.pid, self.started)
    }
}

/// Tells machines apart that share a container engine or a folder: process numbers mean nothing
/// across them.
fn machine() -> String {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let processes = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (boot, processes).hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}

/// When a process started, in ticks since boot: field 22 of its `stat`, 20 after the name, which
/// may hold anything.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_survives_being_written_and_read() {
        let id = RunId::of_this_process();
        assert_eq!(RunId::parse(&id.to_string()), Some(id));
        for not_an_id in ["", "a-1", "a-1-x", "failed-1-2-3"] {
            assert_eq!(RunId::parse(not_an_id), None, "{not_an_id}");
        }
    }

    #[test]
    fn only_a_process_of_this_machine_that_has_ended_is_over() {
        let this = RunId::of_this_process();
        assert!(!this.is_over());

        let mut child = Command::new("true").spawn().expect("`true` is everywhere");
        let ended = RunId { pid: child.id(), started: start_time(child.id()).unwrap_or(0), ..this };
        child.wait().expect("the child was not waited for before");
        assert!(ended.is_over());
        assert!(!RunId { machine: "elsewhere".to_owned(), ..ended }.is_over());
    }

    #[test]
    fn a_number_that_was_given_to_another_process_is_over() {
        let this = RunId::of_this_process();
        if start_time(this.pid).is_none() {
            eprintln!("skipped: no /proc here, start times are not known");
            return;
        }
        assert!(RunId { started: this.started + 1, ..this }.is_over());
    }
}
