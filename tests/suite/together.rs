//! Locks that are given back at once: one command for each node, and of each lock what would be told of it alone. What a
//! line does with them is `redis_node/line.rs`'s.

use std::future::IntoFuture;

use futures::future::join_all;
use quorlock::{Guard, NodeRelease, Redlock, ReleaseReport};
use quorlock_testkit::embedded::EmbeddedNode;
use quorlock_testkit::{Backend, Cluster};

use crate::native::{count, native, runs};
use crate::support::{
    BOUND, assert_no_residue, cluster, cluster_in_plain, delete, eventually, occupy, of_user,
    patient, pipes, set_user,
};

const LOCKS: usize = 16;

/// Locks `lock-0` and so on; returns when every node holds all of them.
async fn hold(redlock: &Redlock, nodes: &[EmbeddedNode]) -> Vec<Guard> {
    let names = (0..LOCKS).map(|number| format!("lock-{number}"));
    let guards =
        join_all(names.map(|name| redlock.lock(name).without_keeper().into_future())).await;
    eventually("all hold all", async || nodes.iter().all(|node| node.keys().len() == LOCKS)).await;
    guards.into_iter().map(|guard| guard.expect("all is well")).collect()
}

async fn release(guards: Vec<Guard>) -> Vec<ReleaseReport> {
    let reports = join_all(guards.into_iter().map(Guard::release)).await;
    reports.into_iter().map(|report| report.expect("a quorum answers")).collect()
}

/// How often each node has got `word` since its log was so long.
fn taken(nodes: &[EmbeddedNode], before: &[usize], word: &str) -> Vec<usize> {
    let logs = nodes.iter().map(EmbeddedNode::log).zip(before);
    logs.map(|(log, before)| count(&log[*before..], word) as usize).collect()
}

fn lengths(nodes: &[EmbeddedNode]) -> Vec<usize> {
    nodes.iter().map(|node| node.log().len()).collect()
}

#[tokio::test(start_paused = true)]
async fn locks_that_are_given_back_at_once_cost_one_command_a_node() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.without_quarantine().build().unwrap();
    for is_dropped in [false, true] {
        let guards = hold(&redlock, &nodes).await;
        let before = lengths(&nodes);
        if is_dropped {
            drop(guards);
        } else {
            for report in release(guards).await {
                assert!(said(&report, |it| matches!(it, NodeRelease::Deleted)) >= 3, "{report}");
            }
        }
        eventually("all are free", async || nodes.iter().all(|node| node.keys().is_empty())).await;
        assert_eq!(taken(&nodes, &before, "EVALSHA"), [1; 5], "dropped: {is_dropped}");
    }
    redlock.close(BOUND).await.expect("every release is confirmed");
}

/// A loop that gives back and takes again must not stand in its own way.
#[tokio::test(start_paused = true)]
async fn a_lock_that_is_taken_again_in_the_same_turn_is_behind_its_release() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.without_quarantine().build().unwrap();
    let guards = hold(&redlock, &nodes).await;
    let before = lengths(&nodes);
    // Both are asked before anything is sent: nothing else runs between the two.
    let again = redlock.try_lock("lock-3").without_keeper().into_future();
    let (released, again) = tokio::join!(release(guards), again);
    assert_eq!(released.len(), LOCKS);
    let again = again.expect("all nodes answer").expect("nobody holds it");
    drop(again);
    eventually("all are free", async || nodes.iter().all(|node| node.keys().is_empty())).await;
    assert_eq!(taken(&nodes, &before, "SET"), [1; 5]);
    redlock.close(BOUND).await.expect("every release is confirmed");
}

/// How many nodes said what.
fn said(report: &ReleaseReport, what: impl Fn(&NodeRelease) -> bool) -> usize {
    report.nodes().filter(|(_, answer)| what(answer)).count()
}

/// How many keys are on each node.
async fn held(cluster: &Cluster) -> Vec<usize> {
    let keys = join_all(cluster.nodes().iter().map(|node| node.keys())).await;
    keys.into_iter().map(|keys| keys.expect("the node answers").len()).collect()
}

/// The same as [`hold`], on nodes of whichever kind.
async fn hold_all<const N: usize>(
    cluster: &Cluster,
    redlock: &Redlock,
    names: [&str; N],
) -> Vec<Guard> {
    let guards =
        join_all(names.map(|name| redlock.lock(name).without_keeper().into_future())).await;
    eventually("all hold all", async || held(cluster).await == [N; 5]).await;
    guards.into_iter().map(|guard| guard.expect("all is well")).collect()
}

#[tokio::test]
async fn of_locks_that_are_given_back_at_once_each_is_told_what_has_become_of_it() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).without_quarantine().build().unwrap();
    let names = ["gone", "kept", "list", "taken"];
    let before = runs(&cluster, "evalsha").await;
    let guards = hold_all(&cluster, &redlock, names).await;
    for report in release(guards).await {
        assert!(said(&report, |it| matches!(it, NodeRelease::Deleted)) >= 3, "{report}");
    }
    eventually("all are free", async || held(&cluster).await == [0; 5]).await;
    if native(&cluster).await.is_none() {
        assert_eq!(runs(&cluster, "evalsha").await - before, 5, "one for each node");
    }
    let guards = hold_all(&cluster, &redlock, names).await;
    delete(&cluster, 0b1_1111, "gone").await;
    delete(&cluster, 0b1_1111, "list").await;
    for node in cluster.nodes() {
        node.command(&["LPUSH", "list", "x"]).await.unwrap();
    }
    occupy(&cluster, 0b1_1111, "taken").await;
    let reports = release(guards).await;
    let [gone, kept, list, taken] = &reports[..] else { panic!("{reports:?}") };
    assert!(said(gone, |it| matches!(it, NodeRelease::AlreadyGone)) >= 3, "{gone}");
    assert!(said(kept, |it| matches!(it, NodeRelease::Deleted)) >= 3, "{kept}");
    for foreign in [list, taken] {
        assert!(said(foreign, |it| matches!(it, NodeRelease::HeldByAnother)) >= 3, "{foreign}");
    }
    redlock.close(BOUND).await.expect("every release is confirmed");
    for node in cluster.nodes() {
        let mut keys = node.keys().await.unwrap();
        keys.sort();
        assert_eq!(keys, ["list", "taken"], "what is somebody else's stays");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_not_the_script_is_asked_for_each_alone_from_then_on() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.without_quarantine().build().unwrap();
    // Once together in vain, each by its hash in vain, each by its text; then each by its hash.
    for expected in [(1 + LOCKS, LOCKS), (LOCKS, 0)] {
        let guards = hold(&redlock, &nodes).await;
        if expected.1 > 0 {
            nodes.iter().for_each(|node| drop(node.run(&["SCRIPT", "FLUSH"])));
        }
        let before = lengths(&nodes);
        drop(guards);
        eventually("all are free", async || nodes.iter().all(|node| node.keys().is_empty())).await;
        let by = |word| taken(&nodes, &before, word);
        assert_eq!((by("EVALSHA"), by("EVAL")), ([expected.0; 5].into(), [expected.1; 5].into()));
    }
    redlock.close(BOUND).await.expect("every release is confirmed");
}

/// Where one of several keys is not allowed, a server refuses the whole command.
#[tokio::test]
async fn a_lock_that_a_node_refuses_does_not_stand_in_the_way_of_the_others() {
    let cluster = cluster_in_plain(5).await;
    if cluster.backend() == Backend::Embedded {
        return eprintln!("skipped: embedded nodes know no users, see the test before");
    }
    let allow = async |keys| set_user(&cluster, "some", &["resetkeys", keys, "+@all"]).await;
    allow("~*").await;
    let redlock = of_user(&cluster, "some");
    let names = ["a-1", "a-2", "a-3", "b"];
    let mut guards = hold_all(&cluster, &redlock, names).await;
    allow("~a-*").await;
    let b = guards.pop().expect("there are four");
    let (refused, released) = tokio::join!(b.release(), release(guards));
    let refused = refused.expect("it was held");
    assert!(!refused.is_confirmed(), "nobody may touch it: {refused}");
    for report in released {
        assert!(said(&report, |it| matches!(it, NodeRelease::Deleted)) >= 3, "{report}");
    }
    allow("~*").await;
    assert_no_residue(&redlock, &cluster).await;
}
