//! What every test needs: nodes, a handle on them, what happened, and how to wait. No test lives here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorlock::{Builder, Event, Observer, Redlock};
use quorlock_testkit::Cluster;
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};

/// Long enough for a loaded machine, short enough for a test that waits for its end.
pub(crate) const TTL: Duration = Duration::from_secs(2);
/// The bound of everything that a test waits for.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// `size` nodes of the kind that was chosen, straight.
pub(crate) async fn cluster(size: usize) -> Cluster {
    Cluster::start(size).await.unwrap_or_else(|error| panic!("no cluster: {error}"))
}

/// `size` nodes of the kind that was chosen, each behind a proxy.
pub(crate) async fn proxied(size: usize) -> Cluster {
    let cluster = Cluster::builder(size).proxied().start().await;
    cluster.unwrap_or_else(|error| panic!("no cluster: {error}"))
}

/// A handle's builder on a cluster, with [`TTL`].
pub(crate) fn builder(cluster: &Cluster) -> Builder {
    Redlock::builder(cluster.urls()).ttl(TTL)
}

/// A handle on a cluster, with [`TTL`].
pub(crate) fn redlock(cluster: &Cluster) -> Redlock {
    builder(cluster).build().expect("the settings are good")
}

/// Embedded nodes behind pipes, for paused time: the nodes, their network, and a builder on them.
pub(crate) fn pipes(size: usize) -> (Vec<EmbeddedNode>, PipeNet, Builder) {
    let nodes: Vec<_> = (0..size).map(|i| EmbeddedNode::pipe(format!("node-{i}"))).collect();
    let net = PipeNet::new(nodes.iter().cloned());
    let urls: Vec<_> = nodes.iter().map(EmbeddedNode::url).collect();
    let builder = Redlock::builder(urls).ttl(TTL).connector(Arc::new(net.clone()));
    (nodes, net, builder)
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
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, poll).await.unwrap_or_else(|_| panic!("never: {what}"));
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
