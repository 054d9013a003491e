//! Giving a lock back: what each node made of it, what is left alone, and that nothing stays behind.

use futures::FutureExt;
use quorlock::{Error, LostReason, NodeErrorKind, NodeRelease, ReleaseReport};

use crate::support::{
    BOUND, Events, SOMEBODY, TTL, assert_no_residue, cluster, delete, eventually, gray_code, has,
    node_name, occupy, owners, patient, pattern, proxied,
};

#[tokio::test]
async fn g8_the_report_names_every_node_and_what_it_did() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    let report = guard.release().await.unwrap();
    let names: Vec<_> = report.nodes().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, (0..5).map(|index| node_name(&cluster, index)).collect::<Vec<_>>());
    // It returns when a quorum has answered: the rest is on its way.
    assert!(report.deleted() >= 3, "{report}");
    let rest = report.nodes().filter(|(_, release)| matches!(release, NodeRelease::Pending));
    assert_eq!(rest.count() + report.deleted(), 5, "{report}");
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g6_a_release_touches_no_key_of_another_on_any_set_of_nodes() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    for taken in gray_code(5) {
        let key = format!("taken:{taken:05b}");
        let guard = redlock.lock(&key).without_keeper().await.unwrap();
        eventually("all hold it", async || owners(&cluster, &key, 0).await == "ooooo").await;
        occupy(&cluster, taken, &key).await;
        let report = guard.release().await.unwrap();
        let mut answers = 0;
        for (index, (_, release)) in report.nodes().enumerate() {
            match release {
                NodeRelease::Deleted => assert!(!has(taken, index), "{key}: {report}"),
                NodeRelease::HeldByAnother => assert!(has(taken, index), "{key}: {report}"),
                NodeRelease::Pending => continue,
                _ => panic!("{key}: {report}"),
            }
            answers += 1;
        }
        assert!(answers >= 3, "{key}: {report}");
    }
    redlock.close(BOUND).await.unwrap();
    for taken in gray_code(5) {
        let key = format!("taken:{taken:05b}");
        assert_eq!(owners(&cluster, &key, 0).await, pattern(5, taken, 's', '-'), "{SOMEBODY}'s");
    }
}

#[tokio::test]
async fn g8_keys_that_were_gone_already_are_told_from_deleted_ones() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    delete(&cluster, 0b1_1111, "invoice:42").await;
    let report = guard.release().await.unwrap();
    assert_eq!(report.deleted(), 0, "{report}");
    let gone = report.nodes().filter(|(_, release)| matches!(release, NodeRelease::AlreadyGone));
    assert!(gone.count() >= 3, "{report}");
}

#[tokio::test]
async fn g4_the_release_of_an_expired_lock_says_so_and_deletes_its_keys() {
    let cluster = cluster(5).await;
    // Nine tenths are taken off for drift: the lock is over long before its keys are.
    let redlock = patient(&cluster).ttl(5 * TTL).drift_factor(0.9).build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    assert_eq!(guard.lost().await, LostReason::Expired);
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "ooooo");
    let released = guard.release().await;
    let Err(Error::Lost { reason: LostReason::Expired, resources, .. }) = released else {
        panic!("{released:?}");
    };
    assert_eq!(resources.names().collect::<Vec<_>>(), ["invoice:42"]);
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_the_release_of_a_lost_lock_says_so_and_deletes_what_is_left() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    delete(&cluster, 0b0_0111, "invoice:42").await;
    assert!(guard.extend().await.is_err());
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "---oo");
    let released = guard.release().await;
    let lost = matches!(released, Err(Error::Lost { reason: LostReason::MajorityGone, .. }));
    assert!(lost, "{released:?}");
    assert_no_residue(&redlock, &cluster).await;
}

/// Locks, loses the nodes of `dead`, and returns what the release says.
async fn release_without(dead: usize, reached: &str) -> ReleaseReport {
    let (cluster, events) = (cluster(5).await, Events::default());
    let redlock =
        patient(&cluster).observer(events.clone()).build().expect("the settings are good");
    let guard = redlock.lock("invoice:42").without_keeper().await.expect("it is free");
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    for index in (0..5).filter(|index| has(dead, *index)) {
        cluster.node(index).crash().await.expect("it can be killed");
    }
    events.until_only_gone(&cluster, dead).await;
    let released = tokio::time::timeout(BOUND, guard.release()).await.expect("it is bounded");
    eventually(reached, async || owners(&cluster, "invoice:42", dead).await == reached).await;
    for index in (0..5).filter(|index| has(dead, *index)) {
        cluster.node(index).restart().await.expect("it can be started");
    }
    assert_no_residue(&redlock, &cluster).await;
    released.expect("it was valid")
}

/// Which nodes were not known to be down.
fn reached(report: &ReleaseReport) -> Vec<bool> {
    let is_down = |release: &NodeRelease| match release {
        NodeRelease::Unreachable(error) => error.kind() == NodeErrorKind::Down,
        _ => false,
    };
    report.nodes().map(|(_, release)| !is_down(release)).collect()
}

#[tokio::test]
async fn g8_a_release_with_a_dead_minority_names_what_it_could_not_reach() {
    let report = release_without(0b0_0101, "!-!--").await;
    assert!(report.is_confirmed(), "{report}");
    assert_eq!(reached(&report), [false, true, false, true, true], "{report}");
    assert_eq!(report.deleted(), 3, "{report}");
}

#[tokio::test]
async fn g7_a_release_with_a_dead_majority_ends_and_says_that_it_is_not_confirmed() {
    let report = release_without(0b0_0111, "!!!--").await;
    assert!(!report.is_confirmed(), "{report}");
    assert_eq!(reached(&report)[..3], [false; 3], "{report}");
}

#[tokio::test]
async fn g4_a_release_dropped_after_one_poll_or_before_it_leaves_no_key() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    for polls in [0, 1] {
        for _ in 0..10 {
            let guard = redlock.lock("invoice:42").await.unwrap();
            let mut releasing = Box::pin(guard.release());
            if polls == 1 {
                assert!(releasing.as_mut().now_or_never().is_none(), "no node answers at once");
            }
            drop(releasing);
            let free = redlock.try_lock("invoice:42").await.unwrap();
            drop(free.expect("the release is in front of the next acquire"));
        }
    }
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_a_dropped_guard_is_free_for_the_next_try_of_the_same_task() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    for round in 0..100 {
        let guard = redlock.try_lock(["a", "b"]).await.unwrap();
        drop(guard.unwrap_or_else(|| panic!("round {round}: the last one is still there")));
    }
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_closing_waits_until_the_releases_of_dropped_guards_are_confirmed() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let clone = redlock.clone();
    let locks = (0..50).map(|i| redlock.lock(format!("invoice:{i}")).into_future());
    let guards = futures::future::try_join_all(locks).await.unwrap();
    drop(guards);
    redlock.close(BOUND).await.unwrap();
    for node in cluster.nodes() {
        assert_eq!(node.keys().await.unwrap(), Vec::<String>::new(), "{}", node.name());
    }
    assert!(matches!(clone.lock("more").await, Err(Error::Closed)));
    assert!(matches!(clone.try_lock("more").await, Err(Error::Closed)));
}

#[tokio::test]
async fn g8_closing_names_the_node_that_has_not_confirmed_and_leaves_held_guards_alone() {
    let cluster = proxied(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let held = redlock.lock("held").ttl(TTL).await.unwrap();
    let dropped = redlock.lock("dropped").await.unwrap();
    eventually("all hold it", async || owners(&cluster, "dropped", 0).await == "ooooo").await;
    cluster.proxy(3).hold();
    drop(dropped);
    let named = async || match redlock.close(TTL / 20).await {
        Err(Error::Undrained { nodes, .. }) => nodes == [node_name(&cluster, 3)],
        closed => panic!("the node has not confirmed: {closed:?}"),
    };
    eventually("it is named, and it alone", named).await;
    cluster.proxy(3).release();
    redlock.close(BOUND).await.unwrap();
    assert_eq!(owners(&cluster, "dropped", 0).await, "-----");
    let deadline = held.valid_until().unwrap();
    let extended = async || held.valid_until().is_some_and(|until| until > deadline);
    eventually("what is held is kept", extended).await;
    held.release().await.unwrap();
    assert_no_residue(&redlock, &cluster).await;
}
