//! A node that is a server process on loopback. Which node a test means, and what state it is in,
//! does not live here.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::entrance::{self, Door, Entrance, NEWER_RIGHTS, USER};
use crate::error::Error;
use crate::observer::{self, READY_WITHIN};
use crate::port;
use crate::reaper::Run;

const SERVERS: [&str; 2] = ["redis-server", "valkey-server"];
const PORT_TRIES: usize = 10;
const POLL_EVERY: std::time::Duration = std::time::Duration::from_millis(2);

/// The number of the process is written before it becomes a server: the reaper finds every server
/// that ever ran.
const LAUNCHER: &str = r#"cd "$1" && echo $$ > pid && shift && exec "$@""#;

/// The server to start: `QUORLOCK_REDIS_SERVER`, or the first one on `PATH`. Else the reason why
/// there is none.
pub(crate) fn find_server() -> Result<PathBuf, String> {
    if let Some(server) =
        std::env::var_os("QUORLOCK_REDIS_SERVER").filter(|value| !value.is_empty())
    {
        let server = PathBuf::from(server);
        return match Command::new(&server).arg("--version").output() {
            Ok(said) if said.status.success() => Ok(server),
            Ok(said) => Err(format!(
                "QUORLOCK_REDIS_SERVER={} does not run: {}",
                server.display(),
                said.status
            )),
            Err(error) => {
                Err(format!("QUORLOCK_REDIS_SERVER={} does not run: {error}", server.display()))
            }
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    SERVERS
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            "neither redis-server nor valkey-server is on PATH, install one or name it in QUORLOCK_REDIS_SERVER"
                .to_owned()
        })
}

#[derive(Debug)]
pub(crate) struct ProcessNode {
    server: PathBuf,
    folder: PathBuf,
    addr: SocketAddr,
    entrance: Entrance,
    /// Rights that this server knows beyond the least.
    more: Vec<String>,
    child: Mutex<Option<Child>>,
}

/// Why one start of a server came to nothing.
enum Failure {
    PortTaken,
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl ProcessNode {
    /// Starts a server on a free port and waits until it answers.
    pub(crate) async fn start(server: &Path, entrance: Entrance) -> Result<Self, Error> {
        let folder = Run::current()?.new_folder()?;
        let mut node = Self {
            server: server.to_owned(),
            folder,
            addr: ([127, 0, 0, 1], 0).into(),
            entrance,
            more: Vec::new(),
            child: Mutex::new(None),
        };
        for _ in 0..PORT_TRIES {
            node.addr =
                port::free_loopback().ok_or_else(|| node.not_ready("no loopback port is free"))?;
            match node.try_start().await {
                Ok(()) => {
                    node.give_newer_rights().await;
                    return Ok(node);
                }
                Err(Failure::PortTaken) => {}
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        Err(node.not_ready("every port that was tried was taken by somebody else"))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn entrance(&self) -> Entrance {
        self.entrance
    }

    pub(crate) fn socket(&self) -> PathBuf {
        entrance::socket(&self.folder)
    }

    pub(crate) fn door(&self) -> Door {
        self.entrance.door(self.addr, &self.folder)
    }

    /// Versions differ in which commands they know, and none starts with the right to one that it
    /// does not. What it takes here it is started with from then on.
    async fn give_newer_rights(&mut self) {
        if !matches!(self.entrance, Entrance::LeastRights) {
            return;
        }
        for right in NEWER_RIGHTS {
            let give = ["ACL", "SETUSER", USER, right];
            if observer::ask(&self.door(), &give, READY_WITHIN).await.is_ok() {
                self.more.push(right.to_owned());
            }
        }
    }

    pub(crate) fn place(&self) -> String {
        match self.child().as_ref() {
            Some(child) => format!("{}, process {}", self.addr, child.id()),
            None => format!("{}, no process", self.addr),
        }
    }

    pub(crate) fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::SIGSTOP)
    }

    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::SIGCONT)
    }

    /// Ends the process at once and returns when it has ended.
    pub(crate) fn crash(&self) -> Result<(), Error> {
        let Some(mut child) = self.child().take() else { return Ok(()) };
        child.kill().and_then(|()| child.wait()).map_err(Error::io(&self.server))?;
        self.forget_pid();
        Ok(())
    }

    /// Starts the server again on its port, which somebody else may hold for a moment.
    pub(crate) async fn restart(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match self.try_start().await {
                Ok(()) => return Ok(()),
                Err(Failure::PortTaken) if Instant::now() < deadline => sleep(POLL_EVERY).await,
                Err(Failure::PortTaken) => {
                    return Err(self.not_ready("somebody else took its port"));
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_else(|error| format!("no log: {error}"))
    }

    async fn try_start(&self) -> Result<(), Failure> {
        let said_before = fs::metadata(self.log_file()).map_or(0, |log| log.len());
        let pid = self.launch()?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if self.has_ended()? {
                let said = self
                    .log()
                    .get(usize::try_from(said_before).unwrap_or(0)..)
                    .unwrap_or("")
                    .to_owned();
                self.crash()?;
                return Err(if said.contains("Address already in use") {
                    Failure::PortTaken
                } else {
                    self.not_ready("the server ended at once").into()
                });
            }
            if self.answers_as(pid).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.not_ready(&format!("no answer within {READY_WITHIN:?}")).into());
            }
            sleep(POLL_EVERY).await;
        }
    }

    fn launch(&self) -> Result<u32, Error> {
        let log = File::options().create(true).append(true).open(self.log_file());
        let log = log.map_err(Error::io(self.log_file()))?;
        let errors = log.try_clone().map_err(Error::io(self.log_file()))?;
        let file = self.folder.join("conf");
        let text = self.entrance.configuration(self.addr, &self.folder, &self.more);
        fs::write(&file, text).map_err(Error::io(&file))?;
        let child = Command::new("sh")
            .args(["-c", LAUNCHER, "sh"])
            .arg(&self.folder)
            .arg(&self.server)
            .arg(&file)
            // In a group of its own: what ends the tests from a terminal leaves the end to whoever
            // started it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(Error::io("sh"))?;
        let pid = child.id();
        *self.child() = Some(child);
        Ok(pid)
    }

    /// Whether this very process answers on the port, and not somebody else's server.
    async fn answers_as(&self, pid: u32) -> bool {
        let answer = observer::ask(&self.door(), &["INFO", "server"], READY_WITHIN).await;
        let info = answer.and_then(|value| Ok(redis::from_redis_value::<String>(value)?));
        info.is_ok_and(|info| info.lines().any(|line| line == format!("process_id:{pid}")))
    }

    fn has_ended(&self) -> Result<bool, Error> {
        match self.child().as_mut() {
            Some(child) => Ok(child.try_wait().map_err(Error::io(&self.server))?.is_some()),
            None => Ok(true),
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let child = self.child();
        let Some(pid) = child.as_ref().and_then(|child| i32::try_from(child.id()).ok()) else {
            return Ok(());
        };
        signal::kill(Pid::from_raw(pid), signal)
            .map_err(|error| Error::io(&self.server)(error.into()))
    }

    fn forget_pid(&self) {
        // Already gone when the server never came up.
        let _ = fs::remove_file(self.folder.join("pid"));
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn not_ready(&self, problem: &str) -> Error {
        Error::NotReady { node: self.place(), problem: problem.to_owned(), log: self.log() }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProcessNode {
    fn drop(&mut self) {
        // A server that cannot be killed or a folder that cannot be removed is left to the reaper.
        let _ = self.crash();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
