//! Every setting: what it does, its default, how it fails. Does no I/O.

use std::error::Error as StdError;
use std::fmt;
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::attempt::Core;
use crate::clock::{Clock, Spawner, SystemClock, TokioSpawner};
use crate::crowd::Crowd;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::event::{Audience, Observer};
use crate::fan_out::Nodes;
use crate::invalid::InvalidInput;
use crate::membership::{Durability, Eviction};
use crate::node::Node;
use crate::one_task::OneTask;
#[cfg(feature = "tls")]
use crate::redis_node::Certificates;
use crate::redis_node::{
    Address, AskCredentials, Connector, Joining, Parts, RedisNode, Servers, Sockets, parse_all,
};
use crate::redlock::Redlock;
use crate::retry::Retry;
use crate::settings::{Quarantine, Settings};

/// Collects the settings of a [`Redlock`]; made by [`Redlock::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    urls: Vec<String>,
    settings: Settings,
    seams: Seams,
    audience: Audience,
    credentials: Option<AskCredentials>,
    #[cfg(feature = "tls")]
    certificates: Certificates,
}

/// What a test puts in the place of the operating system.
#[derive(Debug)]
struct Seams {
    clock: Arc<dyn Clock>,
    spawner: Arc<dyn Spawner>,
    connector: Option<Arc<dyn Connector>>,
    seed: Option<u64>,
    nodes: Option<Vec<Box<dyn Node>>>,
}

impl Builder {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let seams = Seams {
            clock: Arc::new(SystemClock),
            spawner: Arc::new(TokioSpawner::default()),
            connector: None,
            seed: None,
            nodes: None,
        };
        Self {
            urls,
            settings: Settings::default(),
            seams,
            audience: Audience::default(),
            credentials: None,
            #[cfg(feature = "tls")]
            certificates: Certificates::default(),
        }
    }

    /// How long a lock lasts on nodes that hear nothing more of its holder; whole milliseconds. A holder that dies
    /// blocks others for so long; a guard is extended at a third of it. Defaults to 10 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// How long one node may take to answer, in every operation. Small against the TTL: what a round waits for comes off
    /// the validity. Defaults to a twentieth of the lock's TTL, at least 5 ms and at most 500 ms; zero is refused.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.settings.time_limit = Some(limit);
        self
    }

    /// The share of the TTL that the nodes' clocks may gain on this process's; it is taken off the validity, with 2 ms
    /// more. Defaults to 0.01. A clock that chrony slews can gain 8.3% (`maxslewrate`): set 0.1 where you cannot bound
    /// that. Refused outside of `0.0..1.0`.
    pub fn drift_factor(mut self, factor: f64) -> Self {
        self.settings.drift_factor = factor;
        self
    }

    /// How a waiting lock spaces its attempts where no node tells it of a release, and without a quorum; see [`Retry`].
    /// Defaults to [`Retry::DEFAULT`]; delays of zero are refused.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }

    /// How long each `lock` waits that is not told otherwise by its own [`wait_for`](crate::LockRequest::wait_for), whether the
    /// lock is held by somebody else or too few nodes can be reached. Defaults to no limit while it is held, and to ten
    /// seconds without a quorum.
    pub fn wait_for(mut self, limit: Duration) -> Self {
        self.settings.wait_for = Some(limit);
        self
    }

    /// The longest that each lock is held in all that is not told otherwise by its own
    /// [`max_hold`](crate::LockRequest::max_hold): against work that never ends. One that is [taken up](Redlock::take_up) brings its
    /// own limit along. Defaults to no limit; zero is refused.
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.settings.max_hold = Some(max_hold);
        self
    }

    /// Put before every resource to make its key. Defaults to nothing, so that other Redlock libraries that lock the same
    /// name exclude us and we them.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// The longest TTL of any lock on these nodes, and so for how long a node that may have forgotten locks does not vote on
    /// new ones: a node that is new, has restarted, or was flushed. The same for all clients of these nodes. Defaults to
    /// 60 s; longer TTLs are refused. At most 365 days.
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.settings.max_ttl = max_ttl;
        self
    }

    /// What the nodes are called, in the order of the URLs: in errors and events, and in the markers by which all clients
    /// see whether they have the same nodes. Needed where clients reach the same nodes by other addresses. Defaults to
    /// `host:port/db`.
    pub fn node_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.settings.node_names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Says that no node ever forgets a part of what it has confirmed: `appendonly yes` and `appendfsync always`, on disks
    /// that keep their word. A node that restarts with its marker votes at once then; one that restarts without it does not.
    /// The same for all clients of these nodes: the first to come after a restart decides for all. What came from elsewhere (a
    /// backup, a replica that was promoted and has restarted since) is not what that says: `DEL` the marker there first.
    /// Defaults to no such trust.
    pub fn durable_nodes(mut self) -> Self {
        self.settings.durability = Durability::AllOrNothing;
        self
    }

    /// Refuses nodes whose server may throw locks away to make room for other keys (`maxmemory` without `noeviction`).
    /// Looked at when a node is connected or joined anew, not when its configuration is changed later. Defaults to an
    /// [event](crate::Event::NodeMayEvict).
    pub fn refuse_evicting_nodes(mut self) -> Self {
        self.settings.eviction = Eviction::Refused;
        self
    }

    /// Lets nodes vote whatever they may have forgotten, be they replicas, parts of a cluster, or used by clients with
    /// other nodes: no marker is written, and none is looked at. One node that restarts empty can give a lock that is held
    /// to somebody else, so this is for nodes that cannot forget, and for tests. For all clients of these nodes or for none: one
    /// without it can get a lock that another one holds, and its TTLs are not bounded by the others' `max_ttl`. It is then not
    /// seen either that two addresses lead to one server, or that a server may evict:
    /// [`refuse_evicting_nodes`](Self::refuse_evicting_nodes), [`durable_nodes`](Self::durable_nodes) and
    /// [`bootstrap`](Redlock::bootstrap) do nothing then. Defaults to the quarantine.
    pub fn without_quarantine(mut self) -> Self {
        self.settings.quarantine = Quarantine::Off;
        self
    }

    /// How many nodes certify a fencing token, at least a quorum of them and at most all. With `a` of `n`, the tokens
    /// grow even where `2 * a - n - 1` nodes forget their counters between two holders; and a fenced lock is only had
    /// where so many nodes can be reached. All clients of a resource need the same. Defaults to a quorum.
    pub fn certify_on(mut self, nodes: usize) -> Self {
        self.settings.certify_on = Some(nodes);
        self
    }

    /// Who hears what happens: one observer, the one given last; two are told as a pair, `(a, b)`. Defaults to nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.audience = Audience::new(Arc::new(observer));
        self
    }

    /// Who tells user and password, asked with the node's name (`host:port/db`, or what [`node_names`](Self::node_names)
    /// calls it) for every new connection: for passwords that are changed while the process runs. It goes before what is in the URL; an empty user is the default one. Defaults
    /// to nobody: then the URL's are used.
    ///
    /// Connections that are logged in stay so. Where it fails, or takes longer than two seconds with the rest of the
    /// login, the node is down with that as its reason, and is tried again. What it returns is shown nowhere.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), quorlock::Error> {
    /// let redlock = quorlock::Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"])
    ///     .credentials(|_node| async {
    ///         let password = std::fs::read_to_string("/run/secrets/redis")?;
    ///         Ok(("locker".to_owned(), password.trim_end().to_owned()))
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn credentials<A, F>(mut self, ask: A) -> Self
    where
        A: Fn(&str) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(String, String), Box<dyn StdError + Send + Sync>>>
            + Send
            + 'static,
    {
        self.credentials = Some(Arc::new(move |node| Box::pin(ask(node))));
        self
    }

    /// A PEM file with the certificates of those who may have signed for `rediss://` nodes, instead of the system's. Read
    /// anew for every connection; where that fails, the node is down with that as its reason.
    #[cfg(feature = "tls")]
    pub fn tls_roots(mut self, file: impl Into<PathBuf>) -> Self {
        self.certificates.roots = Some(file.into());
        self
    }

    /// PEM files with the certificate that we show to `rediss://` nodes that ask for one, and those who signed it, and
    /// with its key. Read anew for every connection, so both can be renewed while the process runs.
    #[cfg(feature = "tls")]
    pub fn tls_identity(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificates.identity = Some((certificates.into(), key.into()));
        self
    }

    /// Replaces the clock, the start of tasks, the sockets, the randomness and the nodes: for quorlock's own test kit,
    /// without any promise of stability.
    #[doc(hidden)]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.seams.clock = clock;
        self
    }

    #[doc(hidden)]
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.seams.spawner = spawner;
        self
    }

    #[doc(hidden)]
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.seams.connector = Some(connector);
        self
    }

    #[doc(hidden)]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seams.seed = Some(seed);
        self
    }

    #[doc(hidden)]
    pub fn nodes(mut self, nodes: Vec<Box<dyn Node>>) -> Self {
        self.seams.nodes = Some(nodes);
        self
    }

    /// Checks every setting and makes the handle. Connects to nothing: that is done by the first lock, or by
    /// [`Redlock::connect`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with what is wrong; [`Error::NoRandomness`] if the operating system gives none.
    pub fn build(self) -> Result<Redlock, Error> {
        self.settings.check()?;
        let sockets = Sockets {
            #[cfg(feature = "tls")]
            certificates: self.certificates,
        };
        let Self { urls, settings, seams, audience, credentials, .. } = self;
        let Seams { clock, spawner, connector, seed, nodes } = seams;
        let addresses = if nodes.is_some() { Vec::new() } else { parse_all(&urls)? };
        let connector = connector.unwrap_or_else(|| Arc::new(sockets));
        let entropy = Arc::new(match seed {
            Some(seed) => Entropy::seeded(seed),
            None => Entropy::system()
                .map_err(|source| Error::NoRandomness { source: Arc::new(source) })?,
        });
        let client = uuid::Builder::from_random_bytes(entropy.bytes()).into_uuid();
        let names = names(&addresses, settings.node_names.as_deref())?;
        let assertion = match &nodes {
            Some(_) => None,
            None => settings.assertion(names.iter().cloned())?,
        };
        let servers = Arc::new(Servers::default());
        let crowd = Crowd::default();
        let services = Arc::new(OneTask::new(Arc::clone(&spawner), crowd.clone()));
        let connected = |(index, (address, name)): (usize, (Address, String))| -> Box<dyn Node> {
            let joining = assertion.clone().map(|assertion| Joining {
                assertion,
                servers: Arc::clone(&servers),
                index,
                db: address.db(),
            });
            Box::new(RedisNode::new(Parts {
                name,
                address,
                joining,
                client_name: client_name(client),
                credentials: credentials.clone(),
                connector: Arc::clone(&connector),
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                spawner: Arc::clone(&spawner),
                services: Arc::clone(&services),
                audience: audience.clone(),
            }))
        };
        let own = addresses.into_iter().zip(names).enumerate();
        let list = nodes.unwrap_or_else(|| own.map(connected).collect());
        settings.check_certify_on(list.len())?;
        let nodes = Nodes::new(list, clock, spawner, audience, crowd);
        Ok(Redlock::new(Core::new(nodes, settings, entropy, client)))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs may have passwords in them.
        let Self { urls, settings, seams, audience, .. } = self;
        f.debug_struct("Builder")
            .field("nodes", &urls.len())
            .field("settings", settings)
            .field("seams", seams)
            .field("audience", audience)
            .finish_non_exhaustive()
    }
}

/// What the nodes are called: as they were named, else by their addresses.
fn names(addresses: &[Address], given: Option<&[String]>) -> Result<Vec<String>, InvalidInput> {
    match given {
        None => Ok(addresses.iter().map(Address::name).collect()),
        Some(names) if names.len() == addresses.len() => Ok(names.to_vec()),
        Some(names) => Err(InvalidInput::NodeNames { names: names.len(), nodes: addresses.len() }),
    }
}

/// What an operator sees in `CLIENT LIST`; the tokens of this client begin with the same UUID.
fn client_name(client: Uuid) -> String {
    format!("quorlock:{client}")
}
