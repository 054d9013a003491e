//! A cluster as a test sees it: some nodes, and a proxy before each where it asks for one. Where
//! the nodes come from does not live here.

use std::path::{Path, PathBuf};

use crate::backend::Backend;
use crate::entrance::{Entrance, Tls};
use crate::error::Error;
use crate::node::Node;
use crate::pool::{self, Lease};
use crate::proxy::Proxy;

/// The size of a cluster that can be asked for.
const SIZES: std::ops::RangeInclusive<usize> = 1..=16;

/// Some independent nodes, empty and answering when it is started; gone when it is dropped.
///
/// Real servers wait for the next test of this process in between, and are removed when the process
/// ends, however it ends. A cluster that is dropped by a panicking test is removed at once; its
/// nodes' logs are kept, and their place is printed.
#[derive(Debug)]
pub struct Cluster {
    backend: Backend,
    proxies: Vec<Proxy>,
    lease: Lease,
}

impl Cluster {
    /// Starts that many nodes of the kind that `QUORLOCK_BACKEND` says.
    ///
    /// # Errors
    ///
    /// Those of [`ClusterBuilder::start`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), quorlock_testkit::Error> {
    /// use quorlock_testkit::Cluster;
    ///
    /// let cluster = Cluster::start(5).await?;
    /// cluster.node(3).pause().await?;
    /// assert!(!cluster.node(3).is_alive().await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(size: usize) -> Result<Self, Error> {
        Self::builder(size).start().await
    }

    /// Begins to say what cluster it is to be.
    pub fn builder(size: usize) -> ClusterBuilder {
        ClusterBuilder {
            size,
            backend: None,
            proxied: false,
            pooled: true,
            clients: Clients::Anybody,
        }
    }

    /// What its nodes are.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Node number `index`, from 0.
    ///
    /// # Panics
    ///
    /// Where there are not that many.
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes()[index]
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        self.lease.nodes()
    }

    /// How many nodes there are.
    #[expect(clippy::len_without_is_empty, reason = "a cluster has at least one node")]
    pub fn len(&self) -> usize {
        self.nodes().len()
    }

    /// The URLs that a client under test uses: the proxies', where there are any.
    pub fn urls(&self) -> Vec<String> {
        let proxied = self.proxies.iter().zip(self.nodes());
        match self.is_proxied() {
            true => proxied.map(|(proxy, node)| node.entrance().url(proxy.addr())).collect(),
            false => self.nodes().iter().map(Node::client_url).collect(),
        }
    }

    /// Whether every node is behind a proxy of its own.
    pub fn is_proxied(&self) -> bool {
        !self.proxies.is_empty()
    }

    /// The proxy before node number `index`.
    ///
    /// # Panics
    ///
    /// Where the cluster was not started with [`ClusterBuilder::proxied`].
    pub fn proxy(&self, index: usize) -> &Proxy {
        self.proxies
            .get(index)
            .expect("only a cluster that was started with `proxied()` has proxies")
    }

    fn keep_logs(&self) -> std::io::Result<PathBuf> {
        let folder = new_log_folder()?;
        for node in self.nodes() {
            std::fs::write(folder.join(format!("{}.log", node.name())), node.logs())?;
        }
        Ok(folder)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        match self.keep_logs() {
            Ok(folder) => {
                eprintln!("quorlock-testkit: the nodes' logs are kept in {}", folder.display())
            }
            Err(error) => eprintln!("quorlock-testkit: the nodes' logs could not be kept: {error}"),
        }
        // Whatever made the test fail may be one of these servers.
        self.lease.never_again();
    }
}

fn new_log_folder() -> std::io::Result<PathBuf> {
    let name = |number| format!("quorlock-failed-{}-{number}", std::process::id());
    let temp = std::env::temp_dir();
    let mut number = 0;
    loop {
        let folder: PathBuf = Path::new(&temp).join(name(number));
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| folder),
        }
    }
}

/// Says what cluster it is to be. Made by [`Cluster::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start`"]
pub struct ClusterBuilder {
    size: usize,
    backend: Option<Backend>,
    proxied: bool,
    pooled: bool,
    clients: Clients,
}

/// Who gets into the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clients {
    Anybody,
    LeastRights,
    LeastRightsInPlain,
}

impl ClusterBuilder {
    /// What the nodes are to be. Defaults to what `QUORLOCK_BACKEND` says.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Puts a proxy before every node, for faults of the wire. Defaults to none.
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Has clients under test log in as the user of `docs/operations.md`, over TLS where
    /// `QUORLOCK_TLS` names a folder. For processes without a proxy: it has to read what passes, so
    /// there clients log in without TLS. The other kinds have no such user yet.
    pub fn least_rights(mut self) -> Self {
        self.clients = Clients::LeastRights;
        self
    }

    /// The same, never over TLS.
    pub fn least_rights_in_plain(mut self) -> Self {
        self.clients = Clients::LeastRightsInPlain;
        self
    }

    /// Servers that no other test has used, and that end when the cluster is dropped. Defaults to
    /// servers that may have been used before, and were reset. Those of other clusters are not
    /// counted against the limit.
    pub fn unpooled(mut self) -> Self {
        self.pooled = false;
        self
    }

    /// Starts the nodes and waits until each of them answers. Waits before that while too many
    /// clusters are in use.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownBackend`], [`Error::BackendUnavailable`], [`Error::ClusterSize`],
    /// [`Error::PoolExhausted`], and [`Error::NotReady`] with its log for a node that does not come
    /// up.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was started is ended, by the reaper at the latest.
    pub async fn start(self) -> Result<Cluster, Error> {
        if !SIZES.contains(&self.size) {
            return Err(Error::ClusterSize(self.size));
        }
        let backend = self.chosen().await?;
        let lease = if self.pooled {
            pool::pooled(backend, self.entrance(backend), self.size).await?
        } else {
            pool::fresh(backend, self.entrance(backend), self.size).await?
        };
        let mut proxies = Vec::new();
        for node in lease.nodes().iter().filter(|_| self.proxied) {
            proxies.push(Proxy::start(node.addr()).await.map_err(Error::io("a loopback port"))?);
        }
        Ok(Cluster { backend, proxies, lease })
    }

    fn entrance(&self, backend: Backend) -> Entrance {
        match (self.clients, Tls::from_env()) {
            _ if backend != Backend::Processes => Entrance::Open,
            (Clients::Anybody, _) => Entrance::Open,
            (Clients::LeastRights, Some(tls)) if !self.proxied => Entrance::Tls(tls),
            (Clients::LeastRights | Clients::LeastRightsInPlain, in_place) => {
                if in_place.is_some() {
                    eprintln!("quorlock-testkit: these nodes are logged in to without TLS");
                }
                Entrance::LeastRights
            }
        }
    }

    async fn chosen(&self) -> Result<Backend, Error> {
        match self.backend {
            Some(backend) => backend.check().await.map(|()| backend),
            None => Backend::from_env().await,
        }
    }
}
