//! One lock on several resources: all or nothing on each node, and sets that overlap exclude each other.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use quorlock::Error;

use crate::support::{
    BOUND, assert_no_residue, cluster, delete, eventually, occupy, owners, patient,
};

#[tokio::test]
async fn a_set_of_resources_is_sorted_and_each_is_a_key_of_its_own() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let guard = redlock.lock(["b", "a", "b"]).await.unwrap();
    assert_eq!(guard.resources().names().collect::<Vec<_>>(), ["a", "b"]);
    for node in cluster.nodes() {
        eventually("both keys are there", async || node.keys().await.unwrap() == ["a", "b"]).await;
    }
    let tokens = [cluster.node(0).get("a").await.unwrap(), cluster.node(4).get("b").await.unwrap()];
    assert_eq!(tokens[0], tokens[1], "one token for all");
    guard.extend().await.unwrap();
    let report = guard.release().await.unwrap();
    assert!(report.deleted() >= 3, "{report}");
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g1_sets_that_overlap_exclude_each_other_and_others_do_not() {
    let cluster = cluster(5).await;
    let [first, second] = [(); 2].map(|()| patient(&cluster).build().unwrap());
    let guard = first.lock(["a", "b"]).await.unwrap();
    assert!(second.try_lock(["b", "c"]).await.unwrap().is_none());
    assert!(second.try_lock("a").await.unwrap().is_none());
    let c = second.try_lock("c").await.unwrap().expect("a denied set takes nothing");
    assert!(first.try_lock(["c", "d"]).await.unwrap().is_none());
    let d = second.try_lock(["d", "e"]).await.unwrap().expect("nobody has these");
    guard.release().await.unwrap();
    drop(c);
    assert!(second.try_lock(["a", "b", "c"]).await.unwrap().is_some());
    drop(d);
    first.close(BOUND).await.unwrap();
    assert_no_residue(&second, &cluster).await;
}

#[tokio::test]
async fn g6_on_each_node_a_set_is_taken_whole_or_not_at_all() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    occupy(&cluster, 0b0_0011, "b").await;
    let guard = redlock.lock(["a", "b", "c"]).await.unwrap();
    for (key, expected) in [("a", "--ooo"), ("b", "ssooo"), ("c", "--ooo")] {
        eventually(expected, async || owners(&cluster, key, 0).await == expected).await;
    }
    guard.extend().await.unwrap();
    guard.release().await.unwrap();
    // One more, and no set with `b` can be had.
    occupy(&cluster, 0b1_0000, "b").await;
    assert!(redlock.try_lock(["a", "b", "c"]).await.unwrap().is_none());
    redlock.close(BOUND).await.unwrap();
    for (key, expected) in [("a", "-----"), ("b", "ss--s"), ("c", "-----")] {
        assert_eq!(owners(&cluster, key, 0).await, expected, "{key}");
    }
}

#[tokio::test]
async fn g6_a_node_that_lost_one_key_of_a_set_is_given_that_one_again() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let guard = redlock.lock(["a", "b"]).without_keeper().await.unwrap();
    eventually("all hold it", async || owners(&cluster, "b", 0).await == "ooooo").await;
    delete(&cluster, 0b0_0011, "b").await;
    guard.extend().await.unwrap();
    eventually("it is repaired", async || owners(&cluster, "b", 0).await == "ooooo").await;
    assert_eq!(owners(&cluster, "a", 0).await, "ooooo");
    guard.release().await.unwrap();
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g1_philosophers_with_overlapping_pairs_all_eat_and_never_share_a_fork() {
    let cluster = cluster(5).await;
    let forks: [AtomicU32; 4] = Default::default();
    let dine = async |seat: usize| {
        let redlock = patient(&cluster).build().expect("the settings are good");
        let pair = [seat, (seat + 1) % forks.len()];
        for _ in 0..5 {
            let names = pair.map(|fork| format!("fork:{fork}"));
            let eating: Result<_, Error> = redlock.lock(names).wait_for(BOUND).await;
            let guard = eating.expect("everybody gets to eat");
            for fork in pair {
                assert_eq!(forks[fork].fetch_add(1, Ordering::Relaxed), 0, "fork {fork} is taken");
            }
            tokio::task::yield_now().await;
            for fork in pair {
                forks[fork].fetch_sub(1, Ordering::Relaxed);
            }
            guard.release().await.expect("all nodes are there");
        }
    };
    join_all((0..forks.len()).map(dine)).await;
}
