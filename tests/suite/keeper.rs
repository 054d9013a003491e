//! The keeper: what a guard does by itself while it lives, through many TTLs, restarts of nodes, and a limit.

use std::time::Duration;

use quorlock::{Error, Event, LostReason};

use crate::support::{
    BOUND, Events, TTL, assert_no_residue, builder, cluster, eventually, owners, patient, pipes,
};

fn extended(event: &Event) -> bool {
    matches!(event, Event::Extended { .. })
}

fn lost(event: &Event) -> bool {
    matches!(event, Event::Lost { .. })
}

#[tokio::test]
async fn g1_a_guard_outlives_many_ttls_and_nobody_else_gets_in() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let holder = builder(&cluster).time_limit(BOUND).observer(events.clone()).build().unwrap();
    let rival = patient(&cluster).build().unwrap();
    let guard = holder.lock("invoice:42").await.unwrap();
    // Three in each TTL.
    for extends in 1..=9 {
        eventually("it is extended", async || events.count(extended) >= extends).await;
        assert!(rival.try_lock("invoice:42").await.unwrap().is_none());
        assert!(guard.is_valid());
    }
    assert_eq!(events.count(lost), 0);
    assert!(guard.release().await.unwrap().deleted() >= 3);
    rival.close(BOUND).await.unwrap();
    assert_no_residue(&holder, &cluster).await;
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_valid_at_every_moment_of_a_hundred_ttls() {
    let (_nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    for _ in 0..1_000 {
        tokio::time::sleep(TTL / 10).await;
        assert!(guard.is_valid() && guard.valid_for() > TTL / 2, "{:?}", guard.valid_for());
    }
    // Every third of a TTL, up to a tenth earlier.
    assert!((300..=334).contains(&events.count(extended)), "{} extends", events.count(extended));
}

#[tokio::test]
async fn g6_a_node_that_restarts_is_given_the_keys_again_by_the_keeper() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let redlock = builder(&cluster).ttl(2 * TTL).time_limit(BOUND).observer(events.clone());
    let redlock = redlock.build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    for index in [1, 3] {
        cluster.node(index).bounce().await.unwrap();
    }
    let both = async || owners(&cluster, "invoice:42", 0).await == "ooooo";
    eventually("both are repaired", both).await;
    eventually("it is told", async || {
        events.count(|event| matches!(event, Event::Repaired { .. })) == 2
    })
    .await;
    assert!(guard.is_valid());
    guard.release().await.unwrap();
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g1_one_guard_survives_the_restart_of_every_node_one_after_the_other() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let holder = builder(&cluster)
        .without_quarantine()
        .ttl(2 * TTL)
        .time_limit(BOUND)
        .observer(events.clone());
    let (holder, rival) =
        (holder.build().unwrap(), patient(&cluster).without_quarantine().build().unwrap());
    let guard = holder.lock("invoice:42").await.unwrap();
    eventually("all hold it", async || owners(&cluster, "invoice:42", 0).await == "ooooo").await;
    let token = cluster.node(0).get("invoice:42").await.unwrap();
    for node in cluster.nodes() {
        node.bounce().await.unwrap();
        assert!(rival.try_lock("invoice:42").await.unwrap().is_none(), "{}", node.name());
        let repaired = async || node.get("invoice:42").await.unwrap() == token;
        eventually("it is repaired", repaired).await;
        assert!(guard.is_valid(), "{}", node.name());
    }
    assert_eq!(events.count(lost), 0);
    assert!(guard.release().await.unwrap().deleted() >= 3);
    rival.close(BOUND).await.unwrap();
    assert_no_residue(&holder, &cluster).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_hold_ends_a_lock_that_could_be_extended() {
    let (_nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let (start, longest) = (tokio::time::Instant::now(), Duration::from_secs(9));
    let guard = redlock.lock("invoice:42").max_hold(longest).await.unwrap();
    guard.extend_for(Duration::from_secs(60)).await.unwrap();
    assert!(guard.valid_for() <= longest, "{:?}", guard.valid_for());
    assert_eq!(guard.lost().await, LostReason::MaxHold);
    // A hundredth of the TTL before the end, promise G5.
    let told = start.elapsed();
    assert!(told < longest && told > longest - TTL / 50, "{told:?}");
    let more = guard.extend().await;
    assert!(matches!(more, Err(Error::Lost { reason: LostReason::MaxHold, .. })), "{more:?}");
}

#[tokio::test]
async fn a_lock_held_for_its_longest_goes_to_the_next_although_its_guard_lives() {
    let cluster = cluster(5).await;
    let [first, second] = [(); 2].map(|()| patient(&cluster).build().unwrap());
    let guard = first.lock("invoice:42").ttl(TTL).max_hold(TTL / 2).await.unwrap();
    let next = second.lock("invoice:42").wait_for(BOUND).await.unwrap();
    assert!(!guard.is_valid(), "two hold it");
    assert_eq!(guard.lost().await, LostReason::MaxHold);
    drop(guard);
    first.close(BOUND).await.unwrap();
    let held = owners(&cluster, "invoice:42", 0).await;
    assert!(held.matches('o').count() >= 3, "the next holder's keys stay: {held}");
    next.release().await.unwrap();
    assert_no_residue(&second, &cluster).await;
}
