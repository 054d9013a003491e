//! A key under the lock's name that is no lock: without expiry on a majority it is told, because nobody could wait for it; anything else
//! is somebody's lock.

use quorlock::{Error, Event, NodeErrorKind, Redlock, Resources};
use quorlock_testkit::Cluster;

use crate::support::{
    BOUND, Events, MINUTE, TTL, cluster, connected, eventually, has, holders, node_name, patient,
    proxied,
};

/// Nodes 0, 1, and 2.
const MAJORITY: usize = 0b00111;
/// Nodes 3 and 4.
const MINORITY: usize = 0b11000;

/// What is there, and the commands that set it; the key is the second word.
type Kind = (&'static str, &'static [&'static [&'static str]]);

const ETERNAL: [Kind; 2] = [
    ("a text", &[&["SET", "report", "their data"]]),
    ("a list", &[&["LPUSH", "report", "their data"]]),
];
const EXPIRING: [Kind; 2] = [
    ("a text that expires", &[&["SET", "report", "theirs", "PX", "60000"]]),
    ("a list that expires", &[&["LPUSH", "report", "theirs"], &["PEXPIRE", "report", "60000"]]),
];

async fn put(cluster: &Cluster, set: usize, kind: Kind) {
    for (_, node) in cluster.nodes().iter().enumerate().filter(|(index, _)| has(set, *index)) {
        for command in kind.1 {
            node.command(command).await.expect("the node does it");
        }
    }
}

async fn wipe(cluster: &Cluster) {
    for node in cluster.nodes() {
        node.wipe().await.expect("the node does it");
    }
}

/// Which nodes have a key, as bits, and no node has more than the one.
async fn having(cluster: &Cluster) -> usize {
    let mut having = 0;
    for (index, node) in cluster.nodes().iter().enumerate() {
        let keys = node.keys().await.expect("the node answers");
        assert!(keys.is_empty() || keys == ["report"], "{keys:?}");
        having |= usize::from(!keys.is_empty()) << index;
    }
    having
}

async fn stage() -> (Cluster, Redlock, Events) {
    let cluster = cluster(5).await;
    let (redlock, events) = connected(patient(&cluster).without_quarantine(), 5).await;
    (cluster, redlock, events)
}

#[track_caller]
fn assert_foreign(cluster: &Cluster, error: &Error, asked: &Resources, set: usize, what: &str) {
    let Error::ForeignKey { resources, failures, .. } = error else { panic!("{what}: {error:?}") };
    assert_eq!(resources, asked, "{what}");
    let message = error.to_string();
    assert!(message.contains("is a foreign key: without expiry"), "{message}");
    assert!(failures.iter().all(|failure| failure.kind() == NodeErrorKind::ForeignKey));
    let named: Vec<_> = failures.iter().map(|failure| failure.node().to_owned()).collect();
    let expected: Vec<_> =
        (0..5).filter(|index| has(set, *index)).map(|index| node_name(cluster, index)).collect();
    assert_eq!(named, expected, "{what}");
    assert!(named.iter().all(|node| message.contains(node.as_str())), "{message}");
}

#[tokio::test]
async fn g8_a_key_without_expiry_on_a_majority_is_told_with_its_nodes_and_not_waited_for() {
    let (cluster, redlock, events) = stage().await;
    for kind in ETERNAL {
        for asked in [Resources::from("report"), Resources::from(["another", "report"])] {
            wipe(&cluster).await;
            put(&cluster, MAJORITY, kind).await;
            let told = events.count(|event| matches!(event, Event::AcquireFailed { .. }));
            let tried = redlock.try_lock(asked.clone()).await.unwrap_err();
            assert_foreign(&cluster, &tried, &asked, MAJORITY, kind.0);
            // Without a limit: it would wait for ever.
            let waited = redlock.lock(asked.clone()).await.unwrap_err();
            assert_foreign(&cluster, &waited, &asked, MAJORITY, kind.0);
            let told = events.count(|event| matches!(event, Event::AcquireFailed { .. })) - told;
            assert_eq!(told, 2, "{}", kind.0);
        }
    }
    redlock.close(BOUND).await.unwrap();
    assert_eq!(having(&cluster).await, MAJORITY, "theirs is untouched, and nothing of ours left");
}

#[tokio::test]
async fn a_key_that_expires_is_somebodys_lock_whatever_its_type() {
    let (cluster, redlock, _events) = stage().await;
    for kind in EXPIRING {
        for asked in [Resources::from("report"), Resources::from(["another", "report"])] {
            wipe(&cluster).await;
            put(&cluster, MAJORITY, kind).await;
            let tried = redlock.try_lock(asked.clone()).await;
            assert!(matches!(tried, Ok(None)), "{}: {tried:?}", kind.0);
            let waited = redlock.lock(asked).wait_for(TTL / 20).await;
            assert!(matches!(waited, Err(Error::Held { .. })), "{}: {waited:?}", kind.0);
        }
    }
    redlock.close(BOUND).await.unwrap();
    assert_eq!(having(&cluster).await, MAJORITY);
}

#[tokio::test]
async fn a_foreign_key_on_a_minority_keeps_nobody_from_the_lock_and_is_left_alone() {
    let (cluster, redlock, _events) = stage().await;
    for kind in [ETERNAL, EXPIRING].concat() {
        wipe(&cluster).await;
        put(&cluster, MINORITY, kind).await;
        for asked in [Resources::from("report"), Resources::from(["another", "report"])] {
            let tried = redlock.try_lock(asked.clone()).await.unwrap();
            let guard = tried.unwrap_or_else(|| panic!("{}: denied", kind.0));
            guard.extend().await.unwrap();
            guard.release().await.unwrap();
            redlock.lock(asked).await.unwrap().release().await.unwrap();
        }
    }
    redlock.close(BOUND).await.unwrap();
    assert_eq!(having(&cluster).await, MINORITY);
}

/// Two foreign keys and a dead node keep everybody from the lock now, but not when that node is back.
#[tokio::test]
async fn foreign_keys_that_keep_nobody_from_the_lock_by_themselves_are_not_blamed() {
    let (cluster, redlock, events) = stage().await;
    put(&cluster, MINORITY, ETERNAL[0]).await;
    put(&cluster, 0b00001, EXPIRING[0]).await;
    let tried = redlock.try_lock("report").await;
    assert!(matches!(tried, Ok(None)), "one of three may expire: {tried:?}");
    cluster.node(0).crash().await.unwrap();
    events.until_only_gone(&cluster, 0b00001).await;
    let tried = redlock.try_lock("report").await;
    assert!(matches!(tried, Err(Error::NoQuorum { .. }) | Ok(None)), "one of three: {tried:?}");
    let waited = redlock.lock("report").wait_for(TTL / 20).await.unwrap_err();
    assert!(matches!(waited, Error::NoQuorum { .. } | Error::Held { .. }), "{waited:?}");
    cluster.node(0).restart().await.unwrap();
    redlock.lock("report").await.unwrap().release().await.unwrap();
    redlock.close(BOUND).await.unwrap();
    assert_eq!(having(&cluster).await, MINORITY);
}

/// A lock that is had and given back on every node: whatever was asked before has been answered then.
async fn settle(cluster: &Cluster, redlock: &Redlock) {
    let guard = redlock.lock("settle").await.expect("all is well");
    eventually("all have it", async || holders(cluster, "settle").await == "11111").await;
    guard.release().await.expect("all is well");
    eventually("none has it", async || holders(cluster, "settle").await == "00000").await;
}

#[tokio::test]
async fn to_be_denied_costs_an_attempt_and_its_undo_and_not_one_command_more() {
    const TO_SETTLE: u64 = 2;
    let cluster = proxied(5).await;
    let (redlock, _) = connected(patient(&cluster).without_quarantine().ttl(10 * MINUTE), 5).await;
    let requests = || -> Vec<u64> { (0..5).map(|i| cluster.proxy(i).requests()).collect() };
    for kind in [ETERNAL, EXPIRING].concat() {
        wipe(&cluster).await;
        put(&cluster, MAJORITY, kind).await;
        settle(&cluster, &redlock).await;
        let before = requests();
        drop(redlock.try_lock("report").await);
        settle(&cluster, &redlock).await;
        for (before, after) in before.into_iter().zip(requests()) {
            assert_eq!(after - before - TO_SETTLE, 2, "{}", kind.0);
        }
    }
}
