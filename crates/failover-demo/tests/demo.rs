//! The demo as a person runs it: the binary, on embedded nodes, with its real workers. What a step does is seen in its
//! report; what the modules do is tested beside them.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long anything may take here, on a loaded machine.
const WITHIN: Duration = Duration::from_secs(120);

/// A running demo. Killed when dropped; its workers end by themselves.
struct Demo(Child);

impl Demo {
    fn start(more: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_failover-demo"))
            .args(["--backend", "embedded", "--headless", "--seconds", "1", "--workers", "2"])
            .args(more)
            .stdout(Stdio::null())
            .spawn()
            .expect("cargo has built the demo");
        Self(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("process numbers are small"))
    }

    fn end(&mut self) -> ExitStatus {
        until("the demo has ended", || self.0.try_wait().expect("it is our child"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Already gone is fine.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until there is something.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WITHIN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_short_demo_passes_and_writes_it_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.json");
    let mut demo = Demo::start(&["--json", file.to_str().unwrap()]);
    let status = demo.end();
    let report: serde_json::Value = read(&file);
    assert!(status.success(), "{report:#}");
    for zero in ["violations", "lost_late", "residue_keys"] {
        assert_eq!(report[zero], 0, "{zero}");
    }
    assert!(report["acquisitions"].as_u64().unwrap() > 0);
    assert_eq!(report["backend"], "embedded");
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 9);
    assert!(steps.iter().all(|step| step["ok"] == true), "{report:#}");
}

#[test]
fn nonsense_on_the_command_line_is_refused() {
    let mut demo = Demo::start(&["--nodes", "nonsense"]);
    assert_eq!(demo.end().code(), Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_demo_ends_its_workers_and_says_so() {
    let mut demo = Demo::start(&[]);
    let workers = until("two workers run", || workers_of(demo.0.id()));
    kill(demo.pid(), Signal::SIGINT).unwrap();
    assert_eq!(demo.end().code(), Some(130));
    // Interrupted while it was still hiring, it has killed them and not waited: a loaded machine needs a moment for that.
    until("no worker runs", || workers.iter().all(|worker| !runs(*worker)).then_some(()));
}

#[cfg(target_os = "linux")]
#[test]
fn the_workers_of_a_killed_demo_end_by_themselves() {
    let mut demo = Demo::start(&[]);
    let workers = until("two workers run", || workers_of(demo.0.id()));
    kill(demo.pid(), Signal::SIGKILL).unwrap();
    demo.end();
    until("no worker runs", || workers.iter().all(|worker| !runs(*worker)).then_some(()));
}

fn read(file: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(file).expect("the demo has written it"))
        .expect("it is JSON")
}

/// Both workers of a demo, once both run.
#[cfg(target_os = "linux")]
fn workers_of(demo: u32) -> Option<Vec<u32>> {
    let tasks = std::fs::read_dir(format!("/proc/{demo}/task")).ok()?;
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let pids: Vec<u32> = children
        .flat_map(|line| {
            line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    let workers: Vec<u32> =
        pids.into_iter().filter(|pid| command_line(*pid).ends_with("worker")).collect();
    (workers.len() == 2).then_some(workers)
}

#[cfg(target_os = "linux")]
fn command_line(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).trim_end_matches('\0').to_owned()
}

/// Whether a process is there and not only waiting to be buried.
#[cfg(target_os = "linux")]
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
