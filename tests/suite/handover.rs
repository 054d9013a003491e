//! Leases that go from one process to another: taken up only while a quorum holds them, given back by whoever has them.

use std::time::Duration;

use quorlock::{Error, Event, Lease, LostReason, NodeRelease};
use tokio::time::{advance, sleep};

use crate::support::{
    Events, TTL, cluster, connected, delete, eventually, holders, owners, patient, pipes, redlock,
};

#[tokio::test]
async fn a_lease_is_taken_up_by_another_handle_and_excludes_all_the_while() {
    let cluster = cluster(5).await;
    let (here, there) = (redlock(&cluster), redlock(&cluster));
    let guard = here.lock(["a", "b"]).await.unwrap();
    eventually("all hold it", async || holders(&cluster, "a").await == "11111").await;
    let owner = owners(&cluster, "a", 0).await;
    let lease = guard.into_lease().unwrap();
    assert!(here.try_lock("a").await.unwrap().is_none(), "held by nobody, and not free");

    let written = serde_json::to_string(&lease).unwrap();
    let lease: Lease = serde_json::from_str(&written).unwrap();
    let guard = there.take_up(&lease).await.unwrap();
    assert!(guard.is_valid());
    assert_eq!(owners(&cluster, "a", 0).await, owner, "it is the same lock");
    assert!(here.try_lock("b").await.unwrap().is_none());
    let report = guard.release().await.unwrap();
    assert!(report.deleted() >= 3, "{report}");
    drop(here.try_lock(["a", "b"]).await.unwrap().expect("it is free"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_up_is_kept_and_one_that_was_not_expires() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.build().unwrap();
    let held = || nodes.iter().filter(|node| !node.keys().is_empty()).count();
    let lease = redlock.lock("a").await.unwrap().into_lease().unwrap();
    let guard = redlock.take_up(&lease).await.unwrap();
    sleep(5 * TTL).await;
    assert!(guard.is_valid() && held() == 3);
    let lease = guard.into_lease().unwrap();
    sleep(TTL + Duration::from_millis(10)).await;
    assert_eq!(held(), 0, "nobody keeps it");
    let late = redlock.take_up(&lease).await.unwrap_err();
    // By which of the two clocks it is over first is not for this test: the time of day is not paused.
    assert!(matches!(late, Error::Lost { .. }), "{late}");
    assert_eq!(held(), 0, "nothing is brought back");
}

#[tokio::test]
async fn g6_a_lease_that_a_majority_has_lost_is_not_taken_up() {
    let cluster = cluster(5).await;
    let (redlock, _) = connected(patient(&cluster), 5).await;
    let lease = redlock.lock("a").await.unwrap().into_lease().unwrap();
    eventually("all hold it", async || holders(&cluster, "a").await == "11111").await;
    delete(&cluster, 0b00111, "a").await;
    let refused = redlock.take_up(&lease).await.unwrap_err();
    assert!(matches!(refused, Error::Lost { reason: LostReason::MajorityGone, .. }), "{refused}");
    // Nothing is brought back, and the rest is not left to expire.
    eventually("nothing is left", async || holders(&cluster, "a").await == "00000").await;
    let report = redlock.give_back(&lease).await.unwrap();
    assert!(report.nodes().all(|(_, node)| !matches!(node, NodeRelease::NotHeld)), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_waits_for_a_quorum_as_long_as_it_is_valid() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.build().unwrap();
    let lease = redlock.lock("a").await.unwrap().into_lease().unwrap();
    nodes[..2].iter().for_each(|node| node.fail_with(Some("LOADING not yet".to_owned())));
    let refused = redlock.take_up(&lease).await.unwrap_err();
    assert!(matches!(refused, Error::NoQuorum { .. }), "{refused}");
    nodes[..2].iter().for_each(|node| node.fail_with(None));
    assert!(redlock.take_up(&lease).await.unwrap().is_valid());
}

#[tokio::test(start_paused = true)]
async fn letting_go_deletes_nothing_and_what_is_lost_cannot_be_handed_over() {
    let (nodes, _net, builder) = pipes(3);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let guard = redlock.lock("a").await.unwrap();
    let lost = guard.lost();
    let lease = guard.into_lease().unwrap();
    assert_eq!(lost.await, LostReason::Released);
    assert_eq!(events.count(|event| matches!(event, Event::HandedOver { .. })), 1);
    assert_eq!(events.count(|event| matches!(event, Event::Released { .. })), 0);
    assert!(nodes.iter().all(|node| node.keys() == ["a"]));
    redlock.give_back(&lease).await.unwrap();
    assert_eq!(events.count(|event| matches!(event, Event::Released { .. })), 0);

    let guard = redlock.lock("a").without_keeper().await.unwrap();
    advance(2 * TTL).await;
    let error = guard.into_lease().unwrap_err();
    assert!(matches!(error, Error::Lost { reason: LostReason::Expired, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn g1_a_lease_at_the_end_of_its_maximum_hold_time_is_taken_up_only_from_a_quorum() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("a").max_hold(TTL / 2).await.unwrap();
    let until = guard.valid_until().unwrap();
    let lease = guard.into_lease().unwrap();
    let guard = redlock.take_up(&lease).await.unwrap();
    assert!(guard.valid_until().unwrap() <= until + Duration::from_millis(1), "it goes along");
    drop(guard);
    eventually("it is given back", async || nodes.iter().all(|node| node.keys().is_empty())).await;
    let refused = redlock.take_up(&lease).await.unwrap_err();
    assert!(matches!(refused, Error::Lost { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn g4_a_lease_that_is_over_when_it_is_taken_up_or_given_back_leaves_no_key_and_is_not_lost_again()
 {
    let (nodes, _net, builder) = pipes(3);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let over = async || {
        let lease = redlock.lock("a").await.unwrap().into_lease().unwrap();
        let mut written = serde_json::to_value(&lease).unwrap();
        written["until_ms"] = 0.into();
        serde_json::from_value::<Lease>(written).unwrap()
    };
    let is_empty = async || nodes.iter().all(|node| node.keys().is_empty());

    let lease = over().await;
    assert!(!is_empty().await, "its keys outlast it");
    let refused = redlock.take_up(&lease).await.unwrap_err();
    assert!(matches!(refused, Error::Lost { reason: LostReason::Expired, .. }), "{refused}");
    eventually("taken up too late", is_empty).await;

    let lease = over().await;
    redlock.give_back(&lease).await.unwrap();
    eventually("given back too late", is_empty).await;
    assert_eq!(events.count(|event| matches!(event, Event::Lost { .. })), 0);
}
