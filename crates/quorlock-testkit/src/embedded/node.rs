//! The handle of an embedded node: how it is started, reached and observed. Its faults are in `faults.rs`.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorlock::seam::MARKERS;
use quorlock::seam::text::BOOTSTRAP;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;

use super::clock::NodeClock;
use super::keyspace::Entry;
use super::reply::Reply;
use super::server::{Server, State};
use super::session::Session;
use super::transport::{Port, Shared, admit};
use super::view::lossy;
use crate::proxy::wire::{Stream, lock};

/// What a pipe holds before its writer waits, about as much as a socket.
pub(super) const PIPE: usize = 64 << 10;

/// A node inside this process. Clones are handles to the same node; when the last one is dropped, the node ends
/// with all its connections.
///
/// Nodes are made inside a tokio runtime; every other method may be called anywhere.
#[derive(Clone)]
pub struct EmbeddedNode(Arc<Owner>);

struct Owner {
    server: Shared,
    runtime: Handle,
}

impl EmbeddedNode {
    /// Starts a node that listens on a loopback port of its own.
    ///
    /// # Errors
    /// Where no loopback port can be had.
    pub async fn tcp() -> io::Result<Self> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let clock = NodeClock::system();
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        // Only has to differ from every other node's: run ids are made from it.
        let name = format!("embedded-{}-{number}-{}", std::process::id(), clock.now_us());
        let node = Self::start(name, clock);
        let port = Port::open(&node.0.server)?;
        let mut server = lock(&node.0.server);
        server.facts.port = port.number();
        server.port = Some(port);
        drop(server);
        Ok(node)
    }

    /// Starts a node that is reached over pipes only, by this name. Two runs are alike: the node's clock begins
    /// at a fixed date and its run ids follow from the name.
    pub fn pipe(name: impl Into<String>) -> Self {
        Self::start(name.into(), NodeClock::repeatable())
    }

    fn start(name: String, clock: NodeClock) -> Self {
        let server = Arc::new(Mutex::new(Server::new(name, clock)));
        Self(Arc::new(Owner { server, runtime: Handle::current() }))
    }

    /// Opens an in-memory connection to the node.
    ///
    /// # Errors
    /// `ConnectionRefused` where the node has crashed.
    pub fn connect(&self) -> io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(PIPE);
        let _runtime = self.0.runtime.enter();
        match admit(&self.0.server, Stream::Pipe(far), "pipe".to_owned()) {
            true => Ok(near),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// `redis://127.0.0.1:PORT` for TCP, `redis://NAME:6379` for pipes.
    pub fn url(&self) -> String {
        self.with(|server| match &server.port {
            Some(port) => format!("redis://127.0.0.1:{}", port.number()),
            None => format!("redis://{}:6379", server.name),
        })
    }

    /// The name that [`pipe`](Self::pipe) was given.
    pub fn name(&self) -> String {
        self.with(|server| server.name.clone())
    }

    /// Runs a command at once and without a network, also while the node is paused, failing or down: an
    /// observer's view, on database 0. It is not counted.
    pub fn run(&self, command: &[&str]) -> Reply {
        let args: Vec<Vec<u8>> = command.iter().map(|word| word.as_bytes().to_vec()).collect();
        if args.is_empty() {
            return Reply::error("ERR empty command");
        }
        self.with(|server| {
            let reply = server.execute(&mut Session::observer(), &args);
            server.tell();
            reply
        })
    }

    /// Makes brand-new nodes vote for handles that have just these, without a `prefix` and with this `max_ttl`: see
    /// `quorlock::Redlock::bootstrap`.
    pub fn bootstrap(nodes: &[Self], max_ttl: Duration) {
        let mut names: Vec<_> =
            nodes.iter().map(|node| format!("{}/0", node.url().replace("redis://", ""))).collect();
        names.sort();
        let (names, max_ttl) = (names.join(","), max_ttl.as_millis().to_string());
        for node in nodes {
            let said = node.run(&["EVAL", BOOTSTRAP, "1", MARKERS, &names, &max_ttl, "0", ""]);
            assert!(matches!(said, Reply::Array(_)), "{}: {said:?}", node.name());
        }
    }

    /// The keys that are there now, of all databases, sorted; but for markers, which are no locks.
    pub fn keys(&self) -> Vec<String> {
        self.with(|server| {
            let mut keys: Vec<String> =
                server.keyspace.all_keys(server.now_ms()).map(|key| lossy(key)).collect();
            keys.retain(|key| !key.starts_with(MARKERS));
            keys.sort();
            keys
        })
    }

    /// The keys of database 0 that hold a text and expire, with the text and the time that is left, by the node's clock;
    /// also while it is paused or down.
    pub(crate) fn texts(&self) -> Vec<(String, String, Duration)> {
        self.with(|server| {
            let now_ms = server.now_ms();
            let entries = server.keyspace.entries(0, now_ms);
            let text = |(key, entry): (&Vec<u8>, &Entry)| {
                let left = u64::try_from(entry.expires_at? - now_ms).unwrap_or_default();
                Some((lossy(key), entry.text()?, Duration::from_millis(left)))
            };
            entries.filter_map(text).collect()
        })
    }

    /// Commands that came from clients so far, run or not.
    pub fn commands(&self) -> u64 {
        self.with(|server| server.tally.commands)
    }

    /// The last few thousand of them with their arguments, oldest first, one a line.
    pub fn log(&self) -> Vec<String> {
        self.with(|server| server.tally.log.iter().cloned().collect())
    }

    /// Commands that were run and answered so far.
    pub fn answered(&self) -> u64 {
        self.with(|server| server.tally.answered)
    }

    /// How often several locks were given back by one command.
    pub(crate) fn together(&self) -> u64 {
        self.with(|server| server.tally.together)
    }

    /// Connections that are open: those that a client has closed do not count, even where the paused node has
    /// not noticed yet.
    pub fn connections(&self) -> usize {
        self.with(|server| server.clients.values().filter(|client| client.open).count())
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.with(|server| server.tally.accepted)
    }

    /// The id of the present run, 40 hexadecimal digits; another after every restart.
    pub fn run_id(&self) -> String {
        self.with(|server| server.facts.run_id.clone())
    }

    /// What its clock shows, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.with(|server| server.now_ms())
    }

    /// Neither crashed nor ended; it may be paused.
    pub fn is_up(&self) -> bool {
        self.with(|server| server.state != State::Down)
    }

    /// Neither crashed nor paused.
    pub(crate) fn is_running(&self) -> bool {
        self.with(|server| server.state == State::Running)
    }

    /// Asks new connections for this password, as `requirepass` does; open ones stay as they are.
    pub fn set_password(&self, password: Option<&str>) {
        self.with(|server| server.password = password.map(str::to_owned));
    }

    pub(super) fn server(&self) -> &Shared {
        &self.0.server
    }

    /// Inside the runtime, because the node's clock is the runtime's.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Server) -> T) -> T {
        let _runtime = self.0.runtime.enter();
        f(&mut lock(&self.0.server))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        lock(&self.server).die();
    }
}

impl fmt::Debug for EmbeddedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|server| {
            f.debug_struct("EmbeddedNode")
                .field("name", &server.name)
                .field("state", &server.state)
                .finish_non_exhaustive()
        })
    }
}
