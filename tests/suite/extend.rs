//! Extending a lock: what is kept, what is lost for good, what is repaired, and what is never touched.

use std::time::Duration;

use futures::FutureExt;
use quorlock::{Error, Event, Guard, LostReason, Redlock};
use quorlock_testkit::Cluster;

use crate::support::{
    Events, MINUTE, SOMEBODY, TTL, assert_no_residue, cluster, delete, eventually, gray_code, has,
    occupy, owners, patient, pattern, pipes, pttls,
};

/// What a slow wire takes, each way.
const LATER: Duration = Duration::from_millis(10);

/// A handle on the nodes, and what it tells.
fn watched(cluster: &Cluster) -> (Redlock, Events) {
    let events = Events::default();
    let redlock = patient(cluster).observer(events.clone()).build().expect("the settings are good");
    (redlock, events)
}

/// A lock for a minute that nobody but the test extends, once every node holds it.
async fn held_by_all(cluster: &Cluster, redlock: &Redlock, key: &str) -> Guard {
    let guard = redlock.lock(key).ttl(MINUTE).without_keeper().await.expect("it is free");
    eventually("all hold it", async || owners(cluster, key, 0).await == "ooooo").await;
    guard
}

/// Waits until every node has answered whatever it was sent before, and what was sent upon those answers: twice, a lock is
/// seen to come and go behind it, on every node but those of `dead`.
async fn settle(cluster: &Cluster, redlock: &Redlock, dead: usize) {
    let [taken, free] = ['o', '-'].map(|owner| pattern(5, dead, '!', owner));
    for _ in 0..2 {
        let fence = redlock.lock("fence").await.expect("a quorum is alive");
        // A node that came back empty has no vote on a new lock, and gets a held one.
        fence.extend().await.expect("a quorum is alive");
        eventually(&taken, async || owners(cluster, "fence", dead).await == taken).await;
        fence.release().await.expect("a quorum is alive");
        eventually(&free, async || owners(cluster, "fence", dead).await == free).await;
    }
}

fn minorities() -> impl Iterator<Item = usize> {
    gray_code(5).filter(|set| (1..=2).contains(&set.count_ones()))
}

fn is_lost<T>(result: &Result<T, Error>, by: LostReason) -> bool {
    matches!(result, Err(Error::Lost { reason, .. }) if *reason == by)
}

#[tokio::test]
async fn an_extend_moves_the_deadline_and_every_node_goes_along() {
    let cluster = cluster(5).await;
    let (redlock, _) = watched(&cluster);
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    let first = guard.valid_until().unwrap();
    guard.extend().await.unwrap();
    let second = guard.valid_until().unwrap();
    assert!(second > first);
    guard.extend_for(10 * MINUTE).await.unwrap();
    assert!(guard.valid_until().unwrap() > second && guard.valid_for() > 5 * MINUTE);
    settle(&cluster, &redlock, 0).await;
    let left = pttls(&cluster, "invoice:42").await;
    assert!(left.iter().all(|left| *left > 300_000), "{left:?}");
    assert!(guard.release().await.unwrap().deleted() >= 3);
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn a_shorter_ttl_shortens_nothing() {
    let cluster = cluster(5).await;
    let (redlock, _) = watched(&cluster);
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    let until = guard.valid_until();
    guard.extend_for(TTL / 2).await.unwrap();
    assert!(guard.valid_until() >= until);
    settle(&cluster, &redlock, 0).await;
    let left = pttls(&cluster, "invoice:42").await;
    assert!(left.iter().all(|left| *left > 30_000), "{left:?}");
    assert!(guard.is_valid());
}

#[tokio::test]
async fn a_later_extend_takes_back_nothing_that_one_dropped_half_way_has_done() {
    let cluster = cluster(5).await;
    let (redlock, _) = watched(&cluster);
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    let half_way = guard.extend_for(10 * MINUTE).now_or_never();
    assert!(half_way.is_none(), "no node answers at once");
    assert!(guard.valid_for() <= MINUTE, "its caller was told nothing");
    guard.extend().await.unwrap();
    assert!(guard.valid_for() <= MINUTE);
    settle(&cluster, &redlock, 0).await;
    let left = pttls(&cluster, "invoice:42").await;
    assert!(left.iter().all(|left| *left > 300_000), "{left:?}");
    drop(guard);
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g6_a_lock_whose_keys_are_all_gone_is_lost_for_good() {
    let cluster = cluster(5).await;
    let (redlock, _) = watched(&cluster);
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    delete(&cluster, 0b1_1111, "invoice:42").await;
    assert!(is_lost(&guard.extend().await, LostReason::MajorityGone));
    assert!(!guard.is_valid() && guard.valid_for().is_zero() && guard.valid_until().is_none());
    assert_eq!(guard.lost().await, LostReason::MajorityGone);
    assert!(is_lost(&guard.extend().await, LostReason::MajorityGone));
    assert!(is_lost(&guard.extend_for(10 * MINUTE).await, LostReason::MajorityGone));
    assert!(is_lost(&guard.run(async {}).await, LostReason::MajorityGone));
    settle(&cluster, &redlock, 0).await;
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "-----");
}

#[tokio::test]
async fn g6_a_lock_whose_majority_is_gone_is_not_brought_back() {
    let cluster = cluster(5).await;
    for gone in gray_code(5).filter(|set| set.count_ones() == 3) {
        let (key, redlock) = (format!("gone:{gone:05b}"), watched(&cluster).0);
        let guard = held_by_all(&cluster, &redlock, &key).await;
        delete(&cluster, gone, &key).await;
        assert!(is_lost(&guard.extend().await, LostReason::MajorityGone), "{key}");
        settle(&cluster, &redlock, 0).await;
        assert_eq!(owners(&cluster, &key, 0).await, pattern(5, gone, '-', 'o'), "{key}");
    }
}

#[tokio::test]
async fn g5_the_keeper_tells_that_the_majority_is_gone_before_the_validity_ends() {
    let cluster = cluster(5).await;
    let (redlock, events) = watched(&cluster);
    let guard = redlock.lock("invoice:42").ttl(2 * TTL).await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    let deadline = guard.valid_until().unwrap();
    delete(&cluster, 0b0_0111, "invoice:42").await;
    assert_eq!(guard.lost().await, LostReason::MajorityGone);
    assert!(tokio::time::Instant::now().into_std() < deadline, "the keeper asked in time");
    settle(&cluster, &redlock, 0).await;
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "---oo", "nothing is repaired");
    let repaired = events.count(|event| matches!(event, Event::Repaired { .. }));
    assert_eq!(repaired, 0);
    drop(guard);
}

#[tokio::test]
async fn g6_no_node_is_repaired_while_the_majority_is_unproven() {
    let cluster = cluster(5).await;
    let (redlock, events) = watched(&cluster);
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    let until = guard.valid_until();
    cluster.node(4).crash().await.unwrap();
    events.until_only_gone(&cluster, 0b1_0000).await;
    delete(&cluster, 0b0_0011, "invoice:42").await;
    // Two kept it, two have lost it, one cannot be asked.
    let extended = guard.extend().await;
    assert!(matches!(extended, Err(Error::NoQuorum { .. })), "{extended:?}");
    assert!(guard.is_valid(), "a failed extend harms nothing");
    assert_eq!(guard.valid_until(), until);
    assert_eq!(owners(&cluster, "invoice:42", 0b1_0000).await, "--oo!");
    cluster.node(4).restart().await.unwrap();
    events.until_only_gone(&cluster, 0).await;
    assert!(is_lost(&guard.extend().await, LostReason::MajorityGone));
    settle(&cluster, &redlock, 0).await;
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "--oo-");
}

#[tokio::test(start_paused = true)]
async fn g5_a_gone_majority_is_told_also_while_another_node_is_dead() {
    let (nodes, net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    nodes[4].crash();
    tokio::time::sleep(LATER).await;
    nodes[..3].iter().for_each(|node| drop(node.run(&["DEL", "invoice:42"])));
    // Three have lost it, one kept it, one cannot be asked: whatever that one holds, no majority holds the lock. The
    // third answer comes a little later, as it may; two and the dead node already say that the extend has failed.
    net.relay("node-2").slow(LATER);
    assert!(is_lost(&guard.extend().await, LostReason::MajorityGone));
}

#[tokio::test(start_paused = true)]
async fn g6_a_repair_on_its_way_touches_no_key_that_another_took_meanwhile() {
    let (nodes, net, builder) = pipes(5);
    let (redlock, key) = (builder.build().unwrap(), "invoice:42");
    let guard = redlock.lock(key).without_keeper().await.unwrap();
    tokio::time::sleep(LATER).await;
    let (far, before) = (&nodes[0], nodes[0].commands());
    far.run(&["DEL", key]);
    net.relay("node-0").slow(LATER);
    guard.extend().await.unwrap();
    // The answer "missing" is on its way back, and the repair will be its answer.
    tokio::time::sleep(LATER + LATER / 2).await;
    far.run(&["SET", key, SOMEBODY, "PX", "60000"]);
    tokio::time::sleep(5 * LATER).await;
    assert_eq!(far.commands() - before, 2, "the extend and the repair: {:?}", far.log());
    assert_eq!(far.run(&["GET", key]).text(), Some(SOMEBODY));
    assert!(far.run(&["PTTL", key]).int() > Some(50_000));
    assert!(guard.is_valid());
}

#[tokio::test]
async fn every_minority_that_has_lost_the_keys_is_repaired_by_the_next_extend() {
    let cluster = cluster(5).await;
    let (redlock, events) = watched(&cluster);
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    let token = cluster.node(0).get("invoice:42").await.unwrap();
    let mut repairs = 0;
    for gone in minorities() {
        delete(&cluster, gone, "invoice:42").await;
        guard.extend().await.unwrap();
        repairs += gone.count_ones() as usize;
        let repaired = async || owners(&cluster, "invoice:42", 0).await == "ooooo";
        eventually("it is repaired", repaired).await;
        for node in cluster.nodes() {
            assert_eq!(node.get("invoice:42").await.unwrap(), token, "with the same token");
        }
    }
    assert!(guard.release().await.unwrap().deleted() >= 3);
    assert_no_residue(&redlock, &cluster).await;
    assert_eq!(events.count(|event| matches!(event, Event::Repaired { .. })), repairs);
}

#[tokio::test]
async fn g6_another_holders_key_on_a_minority_is_never_touched() {
    let cluster = cluster(5).await;
    let (redlock, _) = watched(&cluster);
    for taken in minorities() {
        let key = format!("taken:{taken:05b}");
        let guard = held_by_all(&cluster, &redlock, &key).await;
        occupy(&cluster, taken, &key).await;
        // Twice: the first might plan what the second does.
        guard.extend_for(5 * MINUTE).await.unwrap();
        guard.extend_for(5 * MINUTE).await.unwrap();
        assert_eq!(owners(&cluster, &key, 0).await, pattern(5, taken, 's', 'o'));
        drop(guard);
    }
    settle(&cluster, &redlock, 0).await;
    for taken in minorities() {
        let key = format!("taken:{taken:05b}");
        assert_eq!(owners(&cluster, &key, 0).await, pattern(5, taken, 's', '-'));
        for (index, left) in pttls(&cluster, &key).await.into_iter().enumerate() {
            assert!(!has(taken, index) || left <= 60_000, "it was given {left} ms");
        }
    }
}

#[tokio::test]
async fn g6_a_restarted_majority_does_not_bring_a_lock_back() {
    let (cluster, events) = (cluster(5).await, Events::default());
    // What the nodes have forgotten is to be seen by a lock.
    let redlock = patient(&cluster).without_quarantine().observer(events.clone()).build().unwrap();
    let guard = held_by_all(&cluster, &redlock, "invoice:42").await;
    let until = guard.valid_until();
    for index in 0..3 {
        cluster.node(index).crash().await.unwrap();
    }
    events.until_only_gone(&cluster, 0b0_0111).await;
    let extended = guard.extend().await;
    assert!(matches!(extended, Err(Error::NoQuorum { needed: 3, total: 5, .. })), "{extended:?}");
    assert_eq!((guard.is_valid(), guard.valid_until()), (true, until), "as valid as before");
    for index in 0..3 {
        cluster.node(index).restart().await.unwrap();
    }
    events.until_only_gone(&cluster, 0).await;
    assert!(is_lost(&guard.extend().await, LostReason::MajorityGone));
    settle(&cluster, &redlock, 0).await;
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "---oo");
}
