//! Nodes that may not vote for other reasons than having forgotten: replicas, parts of a cluster, servers that are another
//! node too, and those whose other clients have other nodes. What becomes of nodes that forget is `quarantine.rs`'s.

use quorlock::seam::MARKERS;
use quorlock::{Builder, Error, Event, NodeErrorKind, Redlock, Standing};
use quorlock_testkit::Backend;
use quorlock_testkit::embedded::{EmbeddedNode, Mode, Role};

use crate::support::{
    Events, MAX_TTL, MINUTE, cluster, cluster_in_plain, eventually, node_name, on, patient, pipes,
};

/// How the last node stands.
fn last(redlock: &Redlock) -> Standing {
    redlock.nodes().pop().expect("there are some").1
}

/// A handle whose last node votes.
async fn voting(builder: Builder) -> Redlock {
    let redlock = builder.build().expect("the settings are good");
    drop(redlock.lock("a").await.expect("a quorum votes"));
    eventually("it votes", async || matches!(last(&redlock), Standing::Voting)).await;
    redlock
}

/// What the last node is refused for, once it is.
async fn refused_for(redlock: &Redlock) -> NodeErrorKind {
    eventually("it is refused", async || matches!(last(redlock), Standing::Refused(_))).await;
    match last(redlock) {
        Standing::Refused(error) => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_that_is_a_replica_or_part_of_a_cluster_or_evicts_is_refused_and_used_when_it_is_not()
 {
    type Change = fn(&EmbeddedNode);
    let cases: [(NodeErrorKind, Change, Change); 3] = [
        (
            NodeErrorKind::Replica,
            |node| node.set_role(Role::Replica),
            |node| node.set_role(Role::Master),
        ),
        (
            NodeErrorKind::Cluster,
            |node| node.set_mode(Mode::Cluster),
            |node| node.set_mode(Mode::Standalone),
        ),
        (
            NodeErrorKind::MayEvict,
            |node| node.set_eviction_policy("volatile-lru"),
            |node| node.set_eviction_policy("noeviction"),
        ),
    ];
    for (kind, change, back) in cases {
        let (nodes, _net, builder) = pipes(3);
        nodes[2].set_max_memory(1 << 20);
        change(&nodes[2]);
        let events = Events::default();
        let redlock = builder.refuse_evicting_nodes().observer(events.clone()).build().unwrap();
        drop(redlock.lock("a").await.expect("the other two vote"));
        assert_eq!(refused_for(&redlock).await, kind);
        let told = |event: &Event| matches!(event, Event::NodeRefused { error, .. } if error.kind() == kind);
        assert_eq!(events.count(told), 1, "{kind:?}");
        back(&nodes[2]);
        let refused = || matches!(redlock.nodes()[2].1, Standing::Refused(_));
        eventually("it is used", async || !refused()).await;
        // Who was a replica may have forgotten locks since.
        let votes = matches!(redlock.nodes()[2].1, Standing::Voting);
        assert_eq!(votes, kind != NodeErrorKind::Replica, "{kind:?}");
    }
}

#[tokio::test]
async fn a_node_that_was_refused_while_it_was_bootstrapped_is_looked_at_again() {
    let (nodes, _net, builder) = pipes(3);
    nodes[2].set_max_memory(1 << 20);
    let redlock = voting(builder.refuse_evicting_nodes()).await;
    nodes[2].set_eviction_policy("volatile-lru");
    redlock.bootstrap().await.expect("a quorum votes already");
    assert_eq!(refused_for(&redlock).await, NodeErrorKind::MayEvict);
    nodes[2].set_eviction_policy("noeviction");
    eventually("it votes again", async || matches!(last(&redlock), Standing::Voting)).await;
}

/// Its marker, which came back with the data of its master, is of its own run. Nobody can say what else came.
#[tokio::test]
async fn g1_a_node_that_was_a_replica_meanwhile_does_not_vote_at_once() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = voting(builder).await;
    let marker = nodes[2].run(&["GET", MARKERS]);
    nodes[2].set_role(Role::Replica);
    nodes[2].run(&["FLUSHALL"]);
    assert_eq!(refused_for(&redlock).await, NodeErrorKind::Replica);
    nodes[2].run(&["SET", MARKERS, marker.text().unwrap()]);
    nodes[2].set_role(Role::Master);
    eventually("it is looked at", async || !matches!(last(&redlock), Standing::Refused(_))).await;
    assert!(matches!(last(&redlock), Standing::Quarantined { .. }), "{:?}", last(&redlock));
}

/// Its marker came with its master's data, and is of its master's run, as after a restart. Disks vouch for restarts only.
#[tokio::test]
async fn g1_a_replica_that_was_promoted_does_not_vote_at_once_whatever_is_vouched_for() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = voting(builder.durable_nodes()).await;
    let restarted = async |and_then: fn(&EmbeddedNode)| {
        nodes[2].crash_intact();
        let is_down = || matches!(last(&redlock), Standing::Down(_));
        eventually("it is seen", async || is_down()).await;
        nodes[2].restart().expect("a node without a port needs none");
        and_then(&nodes[2]);
        eventually("it is back", async || !is_down()).await;
        last(&redlock)
    };
    let standing = restarted(|_| ()).await;
    assert!(matches!(standing, Standing::Voting), "{standing:?}");
    let promoted = |node: &EmbeddedNode| {
        node.set_role(Role::Replica);
        node.set_role(Role::Master);
    };
    let standing = restarted(promoted).await;
    assert!(matches!(standing, Standing::Quarantined { .. }), "{standing:?}");
}

/// Also where it was not when it was connected.
#[tokio::test]
async fn a_node_that_may_evict_locks_from_now_on_is_told_once_when_it_is_joined_anew() {
    let (nodes, _net, builder) = pipes(3);
    let events = Events::default();
    let _redlock = voting(builder.observer(events.clone())).await;
    nodes[2].set_max_memory(1 << 20);
    nodes[2].set_eviction_policy("volatile-lru");
    let told = |event: &Event| matches!(event, Event::NodeMayEvict { policy, .. } if policy == "volatile-lru");
    // One look begins when all that comes of the one before was told.
    for _ in 0..4 {
        nodes[2].run(&["FLUSHALL"]);
        let marker = || nodes[2].run(&["GET", MARKERS]).text().map(str::to_owned);
        eventually("it is joined anew", async || marker().is_some()).await;
        eventually("it is told", async || events.count(told) >= 1).await;
    }
    assert_eq!(events.count(told), 1);
}

#[tokio::test]
async fn a_node_that_may_evict_locks_is_told_and_votes() {
    let cluster = cluster(3).await;
    for (name, value) in [("maxmemory", "100mb"), ("maxmemory-policy", "volatile-ttl")] {
        if cluster.node(1).command(&["CONFIG", "SET", name, value]).await.is_err() {
            return eprintln!("skipped: these nodes have no memory to set");
        }
    }
    let events = Events::default();
    let redlock = patient(&cluster).observer(events.clone()).build().unwrap();
    drop(redlock.lock("a").await.unwrap());
    let name = node_name(&cluster, 1);
    let told = |event: &Event| {
        matches!(event, Event::NodeMayEvict { node, policy, .. }
            if **node == *name && policy == "volatile-ttl")
    };
    eventually("it is told", async || events.count(told) == 1).await;
    let strict = patient(&cluster).refuse_evicting_nodes().build().unwrap();
    drop(strict.lock("a").await.unwrap());
    eventually("it is refused", async || matches!(strict.nodes()[1].1, Standing::Refused(_))).await;
}

#[tokio::test]
async fn g1_one_server_is_never_two_nodes_whatever_its_addresses() {
    let cluster = cluster_in_plain(3).await;
    if cluster.backend() == Backend::Containers {
        return eprintln!("skipped: a container has one address");
    }
    // Three servers given as four nodes.
    let mut urls = cluster.urls();
    urls.push(urls[0].replace("127.0.0.1", "localhost"));
    let redlock = on(urls).prefix("four/").ttl(MINUTE).build().unwrap();
    redlock.bootstrap().await.unwrap();
    let count = |kind: Option<NodeErrorKind>| {
        let of = |(_, standing): &(String, Standing)| match standing {
            Standing::Refused(error) => Some(error.kind()) == kind,
            Standing::Voting => kind.is_none(),
            _ => false,
        };
        redlock.nodes().iter().filter(|node| of(node)).count()
    };
    let counted = || (count(None), count(Some(NodeErrorKind::SameServer)));
    eventually("each server votes once", async || counted() == (3, 1)).await;
    let guard = redlock.lock("a").without_keeper().await.unwrap();
    guard.extend().await.expect("three servers are three of four");
    // Counted twice, the one would make up for another that is gone.
    cluster.node(1).crash().await.unwrap();
    let gone = || matches!(redlock.nodes()[1].1, Standing::Down(_));
    eventually("one is gone", async || gone()).await;
    assert!(guard.extend().await.is_err(), "two servers are no three of four");
    assert!(redlock.try_lock("b").await.is_err(), "two servers are no three of four");
}

#[tokio::test]
async fn g1_clients_that_disagree_about_the_nodes_are_told_and_get_no_lock() {
    let cluster = cluster(3).await;
    let ours = patient(&cluster).build().unwrap();
    let _guard = ours.lock("a").await.unwrap();
    let two = on(cluster.urls().into_iter().take(2)).build().unwrap();
    let other_ttl = patient(&cluster).max_ttl(2 * MAX_TTL).build().unwrap();
    let renamed = patient(&cluster).node_names(["a", "b", "c"]).build().unwrap();
    for (who, redlock) in [("two", two), ("another max_ttl", other_ttl), ("renamed", renamed)] {
        // Not waited for: no time will change it.
        let refused = redlock.lock("b").wait_for(MINUTE).await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &refused else { panic!("{who}: {refused}") };
        let kinds = failures.iter().all(|node| node.kind() == NodeErrorKind::ConfigMismatch);
        assert!(kinds, "{who}: {refused}");
        assert!(refused.to_string().contains(&node_name(&cluster, 0)), "{who}: {refused}");
    }
    // Behind another prefix nobody knows of them.
    let elsewhere = patient(&cluster).max_ttl(MINUTE).prefix("else/").build().unwrap();
    assert!(matches!(elsewhere.try_lock("a").await, Err(Error::Quarantined { .. })));
}
