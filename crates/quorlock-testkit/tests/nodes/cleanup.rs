//! A test process leaves nothing behind, however it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use quorlock_testkit::{Backend, Cluster};

use crate::{Checked, backends, serves, until};

pub(crate) const HELPER: &str = "cleanup::helper_with_two_nodes";
pub(crate) const ROLE: &str = "QUORLOCK_TESTKIT_HELPER";
pub(crate) const STARTED: &str = "helper has nodes at ";

/// Not a test of its own: what the tests below run as another process. It starts two nodes, says
/// where they are, and then ends, or does not.
#[tokio::test]
async fn helper_with_two_nodes() -> Checked {
    let Ok(role) = std::env::var(ROLE) else { return Ok(()) };
    let cluster = Cluster::start(2).await.inspect_err(|error| eprintln!("{error}"))?;
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.url()).collect();
    cluster.node(1).pause().await?;
    println!("{STARTED}{}", nodes.join(" "));
    if role == "stays" {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// The other process; killed if the test fails.
struct Helper {
    child: Child,
    nodes: Vec<String>,
}

impl Helper {
    fn start(backend: Backend, role: &str) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", HELPER, "--nocapture"])
            .env(ROLE, role)
            .env("QUORLOCK_BACKEND", backend.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut printed = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut helper = Self { child, nodes: Vec::new() };
        for line in printed.by_ref() {
            let line = line?;
            // The test harness prints the test's name before it.
            if let Some((_, nodes)) = line.split_once(STARTED) {
                helper.nodes = nodes.split(' ').map(str::to_owned).collect();
                break;
            }
        }
        // It goes on printing, and fails where nobody reads. This ends with it.
        std::thread::spawn(move || printed.for_each(drop));
        assert_eq!(helper.nodes.len(), 2, "the helper has not started its nodes");
        Ok(helper)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn end(&mut self, signal: Signal) -> std::io::Result<()> {
        kill(self.pid(), signal);
        self.child.wait().map(drop)
    }

    /// What is still there of it: servers that answer, containers, networks, its folder.
    async fn residue(&self, backend: Backend) -> Vec<String> {
        let folders = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        let mut left: Vec<_> =
            folders.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect();
        if backend == Backend::Containers {
            left.extend(docker(&["ps", "--all", "--format", "{{.Names}}"]));
            left.extend(docker(&["network", "ls", "--format", "{{.Name}}"]));
        }
        let mine = format!("-{}-", self.pid());
        left.retain(|name| name.starts_with("quorlock-") && name.contains(&mine));
        for url in &self.nodes {
            if serves(url).await {
                left.push(url.clone());
            }
        }
        left
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn docker(args: &[&str]) -> Vec<String> {
    let output =
        Command::new("docker").args(args).output().expect("containers were available a moment ago");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn kill(pid: u32, with: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process number"));
    signal::kill(pid, with).expect("it was started here and not waited for");
}

async fn is_cleaned_up(helper: &Helper, backend: Backend) {
    until("nothing is left of the other process", async || {
        helper.residue(backend).await.is_empty()
    })
    .await;
}

async fn real_backends() -> Result<Vec<Backend>, quorlock_testkit::Error> {
    let mut backends = backends().await?;
    backends.retain(|backend| *backend != Backend::Embedded);
    if backends.is_empty() {
        eprintln!("skipped: no real servers here");
    }
    Ok(backends)
}

#[tokio::test]
async fn a_killed_process_leaves_nothing_behind() -> Checked {
    for backend in real_backends().await? {
        for signal in [Signal::SIGKILL, Signal::SIGTERM] {
            let mut helper = Helper::start(backend, "stays")?;
            assert!(
                !helper.residue(backend).await.is_empty(),
                "{backend}: the test looks at the wrong things"
            );
            helper.end(signal)?;
            is_cleaned_up(&helper, backend).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_process_that_ends_by_itself_leaves_nothing_behind() -> Checked {
    for backend in real_backends().await? {
        let mut helper = Helper::start(backend, "ends")?;
        assert!(helper.child.wait()?.success());
        is_cleaned_up(&helper, backend).await;
    }
    Ok(())
}

#[tokio::test]
async fn the_next_process_cleans_up_where_the_reaper_was_killed_too() -> Checked {
    if !Path::new("/proc/self/cmdline").exists() {
        eprintln!("skipped: no /proc here, the reaper cannot be found");
        return Ok(());
    }
    for backend in real_backends().await? {
        let mut helper = Helper::start(backend, "stays")?;
        assert!(
            !helper.residue(backend).await.is_empty(),
            "{backend}: the test looks at the wrong things"
        );
        kill(reaper_of(helper.pid()), Signal::SIGKILL);
        helper.end(Signal::SIGKILL)?;

        let mut next = Helper::start(backend, "ends")?;
        assert!(next.child.wait()?.success());
        is_cleaned_up(&helper, backend).await;
        is_cleaned_up(&next, backend).await;
    }
    Ok(())
}

fn reaper_of(pid: u32) -> u32 {
    let mine = format!("-{pid}-");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .find(|process| {
            let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            command.contains("quorlock-testkit-reaper") && command.contains(&mine)
        })
        .expect("every process with nodes has a reaper")
}
