//! What observers hear, and who hears it: numbers that events carry, two observers of one handle, and one of two handles.

use std::sync::Arc;

use quorlock::{Event, Observer};

use crate::support::{
    BOUND, Events, MINUTE, TTL, assert_no_residue, cluster, connected, eventually, patient, pipes,
};

/// The margins of all locks acquired so far.
fn margins(events: &Events) -> Vec<usize> {
    let margin = |event| match event {
        Event::Acquired { margin, .. } => Some(margin),
        _ => None,
    };
    events.all().into_iter().filter_map(margin).collect()
}

#[tokio::test]
async fn an_acquired_lock_tells_how_many_nodes_more_could_have_failed() {
    let cluster = cluster(5).await;
    let (redlock, events) = connected(patient(&cluster), 5).await;
    let warm_up = margins(&events).len();
    for dead in 0..=2_usize {
        if let Some(next) = dead.checked_sub(1) {
            cluster.node(next).crash().await.unwrap();
        }
        let gone = (0..dead).fold(0, |gone, index| gone | 1 << index);
        events.until_only_gone(&cluster, gone).await;
        redlock.lock("a").await.unwrap().release().await.unwrap();
        assert_eq!(margins(&events).last(), Some(&(2 - dead)), "{dead} are dead");
    }
    assert_eq!(margins(&events).len(), warm_up + 3);
    for index in 0..2 {
        cluster.node(index).restart().await.unwrap();
    }
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn a_release_tells_how_long_the_lock_would_still_have_been_valid() {
    let cluster = cluster(3).await;
    let (redlock, events) = connected(patient(&cluster), 3).await;
    let left = || {
        let all = events.all();
        all.into_iter().rev().find_map(|event| match event {
            Event::Released { valid_for, .. } => Some(valid_for),
            _ => None,
        })
    };
    let guard = redlock.lock("a").await.unwrap();
    let most = guard.valid_for();
    guard.release().await.unwrap();
    let told = left().unwrap();
    assert!(told <= most && told > MINUTE / 2, "{told:?}");

    let guard = redlock.lock("b").ttl(TTL / 4).without_keeper().await.unwrap();
    guard.lost().await;
    drop(guard);
    assert!(left().unwrap().is_zero());
    assert_no_residue(&redlock, &cluster).await;
}

/// Panics over everything.
struct Panics;

impl Observer for Panics {
    fn observe(&self, event: &Event) {
        panic!("on purpose, over {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_keeps_nothing_from_being_done_and_no_other_from_hearing_it() {
    let (nodes, _net, builder) = pipes(3);
    let events = Events::default();
    let redlock = builder.observer((Panics, events.clone())).build().unwrap();
    for ends_by_itself in [false, true] {
        let guard = redlock.lock("a").without_keeper().await.unwrap();
        if ends_by_itself {
            tokio::time::sleep(TTL).await;
        }
        drop(guard);
        eventually("it is free", async || nodes.iter().all(|node| node.keys().is_empty())).await;
    }
    redlock.close(BOUND).await.unwrap();
    let count = |what: fn(&Event) -> bool| events.count(what);
    assert_eq!(count(|it| matches!(it, Event::Acquired { .. })), 2);
    assert_eq!(count(|it| matches!(it, Event::Lost { .. })), 1);
    assert_eq!(count(|it| matches!(it, Event::Released { .. })), 2);
}

#[tokio::test]
async fn two_observers_hear_the_same_and_one_may_hear_two_handles() {
    let cluster = cluster(3).await;
    let (first, second) = (Events::default(), Events::default());
    let shared: Arc<dyn Observer> = Arc::new(second.clone());
    let pair = || (first.clone(), (Arc::clone(&shared), Arc::new(Events::default())));
    for _ in 0..2 {
        let redlock = patient(&cluster).observer(pair()).build().unwrap();
        redlock.lock("a").await.unwrap().release().await.unwrap();
        assert_no_residue(&redlock, &cluster).await;
    }
    let releases = |events: &Events| events.count(|it| matches!(it, Event::Released { .. }));
    assert_eq!([releases(&first), releases(&second)], [2, 2]);
    assert_eq!(first.all().len(), second.all().len());
}
