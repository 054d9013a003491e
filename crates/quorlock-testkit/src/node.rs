//! One node of a cluster, of whatever kind: its faults, and what an observer sees. Faults of the
//! wire between client and node live in the proxy.

use std::net::SocketAddr;

use quorlock::seam::MARKERS;
use redis::{FromRedisValue, Value};
use tokio::sync::Mutex;

use crate::backend::Backend;
use crate::container::ContainerNode;
use crate::embedded::EmbeddedNode;
use crate::entrance::{Door, Entrance};
use crate::error::Error;
use crate::observer::{self, READY_WITHIN};
use crate::process::ProcessNode;

/// Commands that leave more behind than `FLUSHALL` takes away: a cluster that got one is not used
/// again.
const ALTERING: [&str; 8] =
    ["CONFIG", "ACL", "REPLICAOF", "SLAVEOF", "FUNCTION", "MODULE", "DEBUG", "SHUTDOWN"];

/// One independent Redis or Valkey server.
///
/// Every verb returns when it has taken effect, and does nothing where the node is in that state
/// already.
#[derive(Debug)]
pub struct Node {
    index: usize,
    kind: Kind,
    condition: Mutex<Condition>,
    altered: std::sync::atomic::AtomicBool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Container(ContainerNode),
    Process(ProcessNode),
    Embedded(EmbeddedNode, SocketAddr),
}

#[derive(Debug, Clone, Copy, Default)]
struct Condition {
    frozen: bool,
    down: bool,
    cut_off: bool,
}

impl Node {
    pub(crate) fn new(index: usize, kind: Kind) -> Self {
        Self { index, kind, condition: Mutex::default(), altered: false.into() }
    }

    /// Its name: `node-0` and so on.
    pub fn name(&self) -> String {
        format!("node-{}", self.index)
    }

    /// What it is.
    pub fn backend(&self) -> Backend {
        match self.kind {
            Kind::Container(_) => Backend::Containers,
            Kind::Process(_) => Backend::Processes,
            Kind::Embedded(..) => Backend::Embedded,
        }
    }

    /// Where the server itself listens. The same for as long as the cluster lives.
    pub fn addr(&self) -> SocketAddr {
        match &self.kind {
            Kind::Container(node) => node.addr(),
            Kind::Process(node) => node.addr(),
            Kind::Embedded(_, addr) => *addr,
        }
    }

    /// Its URL, past any proxy, for those who may do everything. Clients under test use
    /// [`Cluster::urls`](crate::Cluster::urls).
    pub fn url(&self) -> String {
        self.door().url()
    }

    /// Its URL, past any proxy, for clients under test.
    pub fn client_url(&self) -> String {
        self.entrance().url(self.addr())
    }

    /// The Unix socket that it listens on as well, if it is a process.
    pub fn socket(&self) -> Option<std::path::PathBuf> {
        match &self.kind {
            Kind::Process(node) => Some(node.socket()),
            Kind::Container(_) | Kind::Embedded(..) => None,
        }
    }

    pub(crate) fn entrance(&self) -> Entrance {
        match &self.kind {
            Kind::Process(node) => node.entrance(),
            Kind::Container(_) | Kind::Embedded(..) => Entrance::Open,
        }
    }

    fn door(&self) -> Door {
        match &self.kind {
            Kind::Process(node) => node.door(),
            Kind::Container(_) | Kind::Embedded(..) => self.addr().into(),
        }
    }

    /// The node inside this process, for what only that kind can do.
    pub fn embedded(&self) -> Option<&EmbeddedNode> {
        match &self.kind {
            Kind::Embedded(node, _) => Some(node),
            _ => None,
        }
    }

    /// Freezes it: connections are accepted, commands are taken in, nothing is executed or
    /// answered.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] or [`Error::Io`] where the machine refuses.
    pub async fn pause(&self) -> Result<(), Error> {
        let mut condition = self.condition.lock().await;
        if condition.frozen || condition.down {
            return Ok(());
        }
        match &self.kind {
            Kind::Container(node) => node.pause().await?,
            Kind::Process(node) => node.pause()?,
            Kind::Embedded(node, _) => node.pause(),
        }
        condition.frozen = true;
        Ok(())
    }

    /// Wakes it up: what it has taken in meanwhile is executed, also for clients that have gone
    /// away.
    ///
    /// # Errors
    ///
    /// Those of [`pause`](Self::pause).
    pub async fn resume(&self) -> Result<(), Error> {
        let mut condition = self.condition.lock().await;
        if !condition.frozen {
            return Ok(());
        }
        match &self.kind {
            Kind::Container(node) => node.resume().await?,
            Kind::Process(node) => node.resume()?,
            Kind::Embedded(node, _) => node.resume(),
        }
        condition.frozen = false;
        Ok(())
    }

    /// Kills it at once, also when it is frozen. Its memory is lost: no node keeps anything on
    /// disk.
    ///
    /// # Errors
    ///
    /// Those of [`pause`](Self::pause).
    pub async fn crash(&self) -> Result<(), Error> {
        let mut condition = self.condition.lock().await;
        if condition.down {
            return Ok(());
        }
        match &self.kind {
            Kind::Container(node) => node.crash().await?,
            Kind::Process(node) => node.crash()?,
            Kind::Embedded(node, _) => node.crash(),
        }
        condition.down = true;
        condition.frozen = false;
        Ok(())
    }

    /// Starts it again after a crash, empty, under the same address, and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] and those of [`pause`](Self::pause).
    pub async fn restart(&self) -> Result<(), Error> {
        let mut condition = self.condition.lock().await;
        if !condition.down {
            return Ok(());
        }
        match &self.kind {
            Kind::Container(node) => node.start_again().await?,
            Kind::Process(node) => node.restart().await?,
            Kind::Embedded(node, addr) => node.restart().map_err(Error::io(addr.to_string()))?,
        }
        condition.down = false;
        self.until_reachable(*condition).await
    }

    /// Crashes it and starts it again.
    ///
    /// # Errors
    ///
    /// Those of [`restart`](Self::restart).
    pub async fn bounce(&self) -> Result<(), Error> {
        self.crash().await?;
        self.restart().await
    }

    /// Deletes every key: `FLUSHALL`.
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub async fn wipe(&self) -> Result<(), Error> {
        self.command(&["FLUSHALL"]).await.map(drop)
    }

    /// Makes it forget every script: `SCRIPT FLUSH`.
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub async fn flush_scripts(&self) -> Result<(), Error> {
        self.command(&["SCRIPT", "FLUSH"]).await.map(drop)
    }

    /// Whether it answers a `PING` within half a second.
    pub async fn is_alive(&self) -> bool {
        observer::answers(&self.door()).await
    }

    /// Waits until it answers, then sends one command once, past any proxy, over a connection of
    /// its own.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] where it does not answer within ten seconds; [`Error::Command`] where it
    /// refuses, or is gone before it has answered: then the command may have been executed.
    pub async fn command(&self, args: &[&str]) -> Result<Value, Error> {
        let name = args.first().copied().unwrap_or_default();
        if ALTERING.iter().any(|altering| altering.eq_ignore_ascii_case(name)) {
            self.altered.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        self.until_answers().await?;
        let answer = observer::ask(&self.door(), args, READY_WITHIN).await;
        answer.map_err(|source| self.refused(name, source))
    }

    /// The names of all its keys (of database 0), sorted.
    ///
    /// Markers, which are no locks, are left out.
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).await?;
        keys.retain(|key| !key.starts_with(MARKERS));
        keys.sort();
        Ok(keys)
    }

    /// The value of one key.
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        self.ask(&["GET", key]).await
    }

    /// What it has said since it was first started; of an embedded node, the commands that it got.
    pub fn logs(&self) -> String {
        match &self.kind {
            Kind::Container(node) => node.log(),
            Kind::Process(node) => node.log(),
            Kind::Embedded(node, _) => node.log().join("\n"),
        }
    }

    /// Takes a container out of its network. Of the other kinds, none has a network to be taken out
    /// of.
    pub(crate) async fn disconnect(&self) -> Result<(), Error> {
        let mut condition = self.condition.lock().await;
        if let (Kind::Container(node), false) = (&self.kind, condition.cut_off) {
            node.disconnect().await?;
            condition.cut_off = true;
        }
        Ok(())
    }

    pub(crate) async fn reconnect(&self) -> Result<(), Error> {
        let mut condition = self.condition.lock().await;
        if let (Kind::Container(node), true) = (&self.kind, condition.cut_off) {
            node.connect().await?;
            condition.cut_off = false;
        }
        self.until_reachable(*condition).await
    }

    /// Makes it as new: awake, reachable, empty, without anybody's connection.
    pub(crate) async fn reset(&self) -> Result<(), Error> {
        self.resume().await?;
        self.restart().await?;
        self.reconnect().await?;
        // First the connections, then the keys: nothing that is still in flight may set one later.
        for kind in ["normal", "pubsub"] {
            self.command(&["CLIENT", "KILL", "TYPE", kind]).await?;
        }
        self.wipe().await?;
        self.flush_scripts().await?;
        match self.keys().await?.as_slice() {
            [] => Ok(()),
            left => Err(self.not_ready(&format!("keys after FLUSHALL: {left:?}"))),
        }
    }

    /// Whether a test has changed more than [`reset`](Self::reset) takes back.
    pub(crate) fn is_altered(&self) -> bool {
        self.altered.load(std::sync::atomic::Ordering::Relaxed)
    }

    async fn until_reachable(&self, condition: Condition) -> Result<(), Error> {
        if condition.frozen || condition.down || condition.cut_off {
            return Ok(());
        }
        self.until_answers().await
    }

    async fn until_answers(&self) -> Result<(), Error> {
        observer::until_answers(&self.door())
            .await
            .map_err(|error| self.not_ready(&error.to_string()))
    }

    async fn ask<T: FromRedisValue>(&self, args: &[&str]) -> Result<T, Error> {
        let answer = self.command(args).await?;
        redis::from_redis_value(answer).map_err(|error| self.refused(args[0], error.into()))
    }

    fn refused(&self, command: &str, source: redis::RedisError) -> Error {
        Error::Command {
            node: self.described(),
            command: command.to_owned(),
            source: Box::new(source),
        }
    }

    fn not_ready(&self, problem: &str) -> Error {
        Error::NotReady { node: self.described(), problem: problem.to_owned(), log: self.logs() }
    }

    fn described(&self) -> String {
        let place = match &self.kind {
            Kind::Container(node) => node.place(),
            Kind::Process(node) => node.place(),
            Kind::Embedded(_, addr) => format!("{addr}, embedded"),
        };
        format!("{} ({place})", self.name())
    }
}
