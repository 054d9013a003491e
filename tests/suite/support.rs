//! What every test needs: nodes, a handle on them, what happened, and how to wait. No test lives here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorlock::{Builder, Event, Observer, Redlock, Standing};
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};
use quorlock_testkit::{Cluster, ClusterBuilder, Tls};

/// No lock of a test lasts longer: some keys must not go by themselves.
pub(crate) const MAX_TTL: Duration = Duration::from_secs(3600);
/// Long enough for a loaded machine, short enough for a test that waits for its end.
pub(crate) const TTL: Duration = Duration::from_secs(2);
/// The bound of everything that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Longer than a third of [`MINUTE`]: then a keeper brings its lock to nodes that had no vote when it was taken.
const EVENTUALLY: Duration = Duration::from_secs(30);

/// `size` nodes of the kind that was chosen, straight; clients have the least rights there.
pub(crate) async fn cluster(size: usize) -> Cluster {
    started(Cluster::builder(size).least_rights()).await
}

/// The same, never over TLS: for tests with streams of their own.
pub(crate) async fn cluster_in_plain(size: usize) -> Cluster {
    started(Cluster::builder(size).least_rights_in_plain()).await
}

/// `size` nodes where nobody has to log in: for tests of logins of their own.
pub(crate) async fn open_cluster(size: usize) -> Cluster {
    started(Cluster::builder(size)).await
}

async fn started(builder: ClusterBuilder) -> Cluster {
    let cluster = builder.start().await.unwrap_or_else(|error| panic!("no cluster: {error}"));
    // Past any proxy: what they count is a test's own.
    let direct = cluster.nodes().iter().map(quorlock_testkit::Node::client_url);
    let redlock = by(&cluster, direct).build().expect("the settings are good");
    redlock.bootstrap().await.expect("the nodes are brand-new");
    cluster
}

/// `size` nodes of the kind that was chosen, each behind a proxy.
pub(crate) async fn proxied(size: usize) -> Cluster {
    started(Cluster::builder(size).least_rights().proxied()).await
}

/// A handle's builder on nodes, which are trusted, and shown a certificate, where they speak TLS.
pub(crate) fn on(urls: impl IntoIterator<Item = String>) -> Builder {
    let builder = Redlock::builder(urls).max_ttl(MAX_TTL);
    let Some(tls) = Tls::from_env() else { return builder };
    let (certificate, key) = tls.identity();
    builder.tls_roots(tls.roots()).tls_identity(certificate, key)
}

/// A handle's builder on a cluster whose nodes it reaches by other addresses.
pub(crate) fn by(cluster: &Cluster, urls: impl IntoIterator<Item = String>) -> Builder {
    on(urls).node_names(node_names(cluster))
}

/// What the library calls the nodes of a cluster by default.
pub(crate) fn node_names(cluster: &Cluster) -> Vec<String> {
    (0..cluster.len()).map(|index| node_name(cluster, index)).collect()
}

/// A handle's builder on a cluster, with [`TTL`].
pub(crate) fn builder(cluster: &Cluster) -> Builder {
    on(cluster.urls()).ttl(TTL)
}

/// A handle on a cluster, with [`TTL`].
pub(crate) fn redlock(cluster: &Cluster) -> Redlock {
    builder(cluster).build().expect("the settings are good")
}

/// Embedded nodes behind pipes, for paused time: the nodes, their network, and a builder on them.
pub(crate) fn pipes(size: usize) -> (Vec<EmbeddedNode>, PipeNet, Builder) {
    let nodes: Vec<_> = (0..size).map(|i| EmbeddedNode::pipe(format!("node-{i}"))).collect();
    let net = PipeNet::new(nodes.iter().cloned());
    EmbeddedNode::bootstrap(&nodes, MAX_TTL);
    let urls: Vec<_> = nodes.iter().map(EmbeddedNode::url).collect();
    let builder = Redlock::builder(urls).ttl(TTL).max_ttl(MAX_TTL).connector(Arc::new(net.clone()));
    (nodes, net, builder)
}

/// Sets a user on all nodes, who logs in with `secret`.
pub(crate) async fn set_user(cluster: &Cluster, name: &str, rules: &[&str]) {
    for node in cluster.nodes() {
        let user = [&["ACL", "SETUSER", name, "on", ">secret"], rules].concat();
        node.command(&user).await.expect("the node knows users");
    }
}

/// A patient handle of that user.
pub(crate) fn of_user(cluster: &Cluster, name: &str) -> Redlock {
    let urls = cluster.nodes().iter().map(|node| format!("redis://{name}:secret@{}", node.addr()));
    let builder = Redlock::builder(urls).without_quarantine().ttl(MINUTE).time_limit(BOUND);
    builder.build().expect("it is in order")
}

/// Which nodes hold `key`, as `1` and `0` in the order of the nodes.
pub(crate) async fn holders(cluster: &Cluster, key: &str) -> String {
    let mut held = String::new();
    for node in cluster.nodes() {
        let value = node.get(key).await.expect("the node answers");
        held.push(if value.is_some() { '1' } else { '0' });
    }
    held
}

/// Closes the handle, and asserts that every release has been confirmed and no key is left on any node (promise G4).
pub(crate) async fn assert_no_residue(redlock: &Redlock, cluster: &Cluster) {
    redlock.close(BOUND).await.expect("every release is confirmed");
    for node in cluster.nodes() {
        let keys = node.keys().await.expect("the node answers");
        assert!(keys.is_empty(), "{} still has {keys:?}", node.name());
    }
}

/// Waits until `condition` holds; `what` says which, when it never does.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(EVENTUALLY, poll).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Remembers every event.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(crate) fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.all().iter().filter(|event| matches(event)).count()
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Events {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    }
}

/// A handle that is connected with all of its `nodes`, and what it tells.
pub(crate) async fn connected(builder: Builder, nodes: usize) -> (Redlock, Events) {
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().expect("the settings are good");
    drop(redlock.lock("warm-up").await.expect("a quorum is well"));
    let connections = || events.count(|event| matches!(event, Event::NodeConnected { .. }));
    eventually("every node is connected", async || connections() >= nodes).await;
    all_vote(&redlock, nodes).await;
    (redlock, events)
}

/// Waits until so many nodes vote: one that was just connected, or was not well, is looked at first, and is not asked for a lock until then.
pub(crate) async fn all_vote(redlock: &Redlock, nodes: usize) {
    let voting = || {
        redlock.nodes().iter().filter(|(_, standing)| matches!(standing, Standing::Voting)).count()
    };
    eventually("every node votes", async || voting() >= nodes).await;
}

/// A TTL that no test outlives.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A handle's builder for tests in which time does not matter: no answer is late, however loaded the machine is, and
/// nothing expires or is extended by itself.
pub(crate) fn patient(cluster: &Cluster) -> Builder {
    builder(cluster).ttl(MINUTE).time_limit(BOUND)
}

/// What somebody who is not us sets a key to.
pub(crate) const SOMEBODY: &str = "somebody else";

/// All sets of `nodes` nodes as bits, each differing from the one before in one node; the empty one first.
pub(crate) fn gray_code(nodes: usize) -> impl Iterator<Item = usize> {
    (0..1usize << nodes).map(|i| i ^ (i >> 1))
}

/// Whether `set` has node number `index`.
pub(crate) fn has(set: usize, index: usize) -> bool {
    set & (1 << index) != 0
}

/// What the library calls node number `index`.
pub(crate) fn node_name(cluster: &Cluster, index: usize) -> String {
    let url = &cluster.urls()[index];
    let server = url.rsplit(['/', '@']).next().expect("it names a server");
    format!("{server}/0")
}

/// Gives `key` to [`SOMEBODY`] for a minute, whoever had it, on the nodes of `set`.
pub(crate) async fn occupy(cluster: &Cluster, set: usize, key: &str) {
    on_each(cluster, set, &["SET", key, SOMEBODY, "PX", "60000"]).await;
}

/// Deletes `key` on the nodes of `set`.
pub(crate) async fn delete(cluster: &Cluster, set: usize, key: &str) {
    on_each(cluster, set, &["DEL", key]).await;
}

/// Sends one command, past any proxy, to the nodes of `set`.
async fn on_each(cluster: &Cluster, set: usize, command: &[&str]) {
    let nodes = cluster.nodes().iter().enumerate().filter(|(i, _)| has(set, *i));
    let sent = futures::future::join_all(nodes.map(|(_, node)| node.command(command))).await;
    sent.into_iter().for_each(|answer| drop(answer.expect("the node does it")));
}

/// Who holds `key` on each node, in the order of the nodes: `-` nobody, `s` [`SOMEBODY`], `o` one of us, `!` a node that
/// is in `dead` and was not asked.
pub(crate) async fn owners(cluster: &Cluster, key: &str, dead: usize) -> String {
    let ask = async |(index, node): (usize, &quorlock_testkit::Node)| {
        if has(dead, index) {
            return '!';
        }
        match node.get(key).await.expect("the node answers").as_deref() {
            None => '-',
            Some(SOMEBODY) => 's',
            Some(_) => 'o',
        }
    };
    futures::future::join_all(cluster.nodes().iter().enumerate().map(ask))
        .await
        .into_iter()
        .collect()
}

/// A string like that of [`owners`]: `inside` for the nodes of `set`, `outside` for the others.
pub(crate) fn pattern(nodes: usize, set: usize, inside: char, outside: char) -> String {
    (0..nodes).map(|index| if has(set, index) { inside } else { outside }).collect()
}

/// How long `key` still lives on each node, in milliseconds: see `PTTL`.
pub(crate) async fn pttls(cluster: &Cluster, key: &str) -> Vec<i64> {
    let ask = async |node: &quorlock_testkit::Node| match node
        .command(&["PTTL", key])
        .await
        .expect("the node answers")
    {
        redis::Value::Int(left) => left,
        other => panic!("PTTL answered {other:?}"),
    };
    futures::future::join_all(cluster.nodes().iter().map(ask)).await
}

impl Events {
    /// Whether the last that was heard of a node is that it is connected.
    pub(crate) fn is_connected(&self, node: &str) -> bool {
        let about = |event: &Event| match event {
            Event::NodeConnected { node: it, .. } => (**it == *node).then_some(true),
            Event::NodeDown { error, .. } => (error.node() == node).then_some(false),
            _ => None,
        };
        self.all().iter().rev().find_map(about).unwrap_or(false)
    }

    /// Waits until the handle is connected with every node but those of `dead`, and knows that those are gone.
    pub(crate) async fn until_only_gone(&self, cluster: &Cluster, dead: usize) {
        let knows = |index| self.is_connected(&node_name(cluster, index)) != has(dead, index);
        eventually("the handle knows which nodes are up", async || (0..cluster.len()).all(knows))
            .await;
    }
}

/// How long before the end of its validity a lock tells of its loss (promise G5), said again from the promise.
pub(crate) fn margin(ttl: Duration) -> Duration {
    Duration::from_millis(5).max(ttl / 100)
}

/// Draws from a seed (SplitMix64), so that a failing case can be had again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, below `end`.
    pub(crate) fn up_to(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).expect("it is below `end`")
    }

    /// Whole milliseconds from zero, below `end`.
    pub(crate) fn below(&mut self, end: Duration) -> Duration {
        let end = u64::try_from(end.as_millis()).expect("no test lasts that long");
        Duration::from_millis(self.draw() % end)
    }
}
