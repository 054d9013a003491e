//! Being told of a release: a waiter asks nothing while nothing changes, and asks when something does. All in paused time, so
//! that what takes no time is what was told. Who gets it of several who wait is in `queues.rs`.

use std::sync::Arc;
use std::time::Duration;

use quorlock::{Error, Event, Redlock, Retry};
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{BOUND, Events, MAX_TTL, TTL, builder, cluster, eventually, pipes};

pub(crate) const MS: Duration = Duration::from_millis(1);
/// Whoever waits asks once in a while whatever he is told: not sooner, and not later.
pub(crate) const ANYWAY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];

/// One more handle on the nodes. Polling, and asking whatever it is told, would take it a minute.
pub(crate) fn handle(nodes: &[EmbeddedNode], net: &PipeNet) -> Redlock {
    waiting_as(Retry::between(60_000 * MS, 60_000 * MS), nodes, net)
}

pub(crate) fn waiting_as(retry: Retry, nodes: &[EmbeddedNode], net: &PipeNet) -> Redlock {
    let urls: Vec<_> = nodes.iter().map(EmbeddedNode::url).collect();
    let builder = Redlock::builder(urls).max_ttl(MAX_TTL).ttl(TTL).connector(Arc::new(net.clone()));
    builder.retry(retry).build().expect("the settings are fine")
}

pub(crate) fn commands(nodes: &[EmbeddedNode]) -> u64 {
    nodes.iter().map(EmbeddedNode::commands).sum()
}

/// Nodes, the lock held on them, and a handle that wants it.
pub(crate) async fn held() -> (Vec<EmbeddedNode>, quorlock::Guard, Redlock) {
    let (nodes, net, _) = pipes(5);
    let guard = handle(&nodes, &net).lock("r").await.expect("it is free");
    let other = handle(&nodes, &net);
    (nodes, guard, other)
}

/// How often the nodes were asked for the lock, by the one that was asked the most.
pub(crate) fn rounds(nodes: &[EmbeddedNode]) -> usize {
    let asked = |line: &&String| line.starts_with("SET r ");
    nodes.iter().map(|node| node.log().iter().filter(asked).count()).max().unwrap_or_default()
}

/// Waits for the lock in a task of its own; says when it had it, and keeps it.
pub(crate) fn wait(redlock: &Redlock) -> tokio::task::JoinHandle<(Instant, quorlock::Guard)> {
    let redlock = redlock.clone();
    tokio::spawn(async move {
        let guard = redlock.lock("r").await.expect("its turn comes");
        (Instant::now(), guard)
    })
}

#[tokio::test(start_paused = true)]
async fn a_waiter_asks_nothing_until_it_is_told_and_then_has_it_at_once() {
    let (nodes, guard, other) = held().await;
    let waiting = wait(&other);
    sleep(MS).await;
    let before = commands(&nodes);
    sleep(ANYWAY[0] - 10 * MS).await;
    assert_eq!(commands(&nodes), before, "nothing has changed");
    let released = Instant::now();
    guard.release().await.unwrap();
    let (had, guard) = waiting.await.unwrap();
    assert_eq!(had - released, Duration::ZERO);
    assert!(guard.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_whose_holder_is_gone_has_it_when_it_expires() {
    let (nodes, net, _) = pipes(5);
    nodes
        .iter()
        .for_each(|node| drop(node.run(&["SET", "r", "somebody who is gone", "PX", "300"])));
    let begun = Instant::now();
    let (had, _guard) = wait(&handle(&nodes, &net)).await.unwrap();
    let took = had - begun;
    assert!((300 * MS..310 * MS).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn waiters_on_several_resources_are_told_of_each() {
    for order in [["a", "b"], ["b", "a"]] {
        let (nodes, net, _) = pipes(5);
        let (holder, other) = (handle(&nodes, &net), handle(&nodes, &net));
        let [first, last] = order;
        let first = holder.lock(first).await.unwrap();
        let last = holder.lock(last).await.unwrap();
        let waiting = tokio::spawn(async move { other.lock(["a", "b", "c"]).await.unwrap() });
        sleep(MS).await;
        first.release().await.unwrap();
        sleep(50 * MS).await;
        assert!(!waiting.is_finished());
        let sets = |line: &&String| line.starts_with("EVALSHA");
        let asked = nodes[0].log().iter().filter(sets).count();
        let released = Instant::now();
        last.release().await.unwrap();
        drop(waiting.await.unwrap());
        assert!(released.elapsed() < 10 * MS, "{order:?}: {:?}", released.elapsed());
        // Two for joining, two for each round in vain, two releases, and what took it.
        assert!(asked < 20, "{order:?}: {asked} scripts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_hears_the_end_of_the_node_that_was_to_tell_it_and_listens_to_another() {
    for down in 0..5 {
        let (nodes, guard, other) = held().await;
        let waiting = wait(&other);
        sleep(MS).await;
        nodes[down].crash();
        sleep(100 * MS).await;
        let released = Instant::now();
        guard.release().await.unwrap();
        let (had, _guard) = waiting.await.unwrap();
        // It has asked in vain when that node fell, and may hold back for that.
        assert!(had - released <= 10 * MS, "node {down}: {:?}", had - released);
    }
}

#[tokio::test(start_paused = true)]
async fn g7_a_waiter_does_not_depend_on_the_node_that_was_to_tell_it() {
    for frozen in 0..5 {
        let (nodes, net, _) = pipes(5);
        let holder = handle(&nodes, &net);
        let other = waiting_as(Retry::DEFAULT, &nodes, &net);
        let guard = holder.lock("r").await.unwrap();
        let waiting = wait(&other);
        sleep(MS).await;
        nodes[frozen].pause();
        let released = Instant::now();
        guard.release().await.unwrap();
        let (had, _guard) = waiting.await.unwrap();
        assert!(had - released <= ANYWAY[1] + 10 * MS, "node {frozen}: {:?}", had - released);
        nodes[frozen].resume();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_changes_hands_voids_no_vote_and_a_marker_that_changes_does() {
    for quarantine in [true, false] {
        let (nodes, _net, builder) = pipes(5);
        let events = Events::default();
        let builder = builder.observer(events.clone());
        let redlock = if quarantine { builder } else { builder.without_quarantine() };
        let redlock = redlock.build().unwrap();
        for _ in 0..10 {
            let guard = redlock.lock("r").await.unwrap();
            let waiting = wait(&redlock);
            sleep(5 * MS).await;
            guard.release().await.unwrap();
            drop(waiting.await.unwrap());
        }
        let guard = redlock.lock("r").await.unwrap();
        let waiting = redlock.lock("r").into_future();
        nodes.iter().for_each(|node| node.wipe());
        let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
        assert_eq!(events.count(failed), 0);
        // Where nobody remembers anything, nothing is forgotten.
        match waiting.await {
            Err(Error::Quarantined { .. }) => assert!(quarantine),
            Ok(_) => assert!(!quarantine),
            Err(error) => panic!("{error}"),
        }
        drop(guard);
    }
}

#[tokio::test(start_paused = true)]
async fn g7_a_node_that_falls_silent_before_it_can_say_that_it_will_tell_delays_nobody() {
    for frozen in 0..5 {
        let (nodes, net, _) = pipes(5);
        let holder = handle(&nodes, &net);
        let other = waiting_as(Retry::DEFAULT, &nodes, &net);
        drop(other.lock("warm-up").await.unwrap());
        let guard = holder.lock("r").await.unwrap();
        let first = wait(&other);
        sleep(MS).await;
        let begun = Instant::now();
        let limit = 100 * MS;
        let second = tokio::spawn({
            let other = other.clone();
            async move { other.lock("r").wait_for(limit).await }
        });
        let third = wait(&other);
        sleep(MS).await;
        // The second is to listen now, where the first did.
        nodes[frozen].pause();
        first.abort();
        let held = second.await.unwrap();
        assert!(matches!(held, Err(Error::Held { .. })), "{held:?}");
        assert!((limit..limit + 2 * MS).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        sleep(100 * MS).await;
        let released = Instant::now();
        guard.release().await.unwrap();
        let (had, _guard) = third.await.unwrap();
        assert!(had - released <= 10 * MS, "node {frozen}: {:?}", had - released);
        nodes[frozen].resume();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_waited_long_is_not_late_for_it() {
    let (_nodes, guard, other) = held().await;
    let waiting = wait(&other);
    // Extended again and again, and asked for again and again.
    sleep(60_000 * MS).await;
    let released = Instant::now();
    guard.release().await.unwrap();
    let (had, _guard) = waiting.await.unwrap();
    assert!(had - released <= 2 * MS, "{:?}", had - released);
}

#[tokio::test(start_paused = true)]
async fn a_big_value_under_the_name_of_a_lock_is_not_read() {
    let (nodes, net, _) = pipes(5);
    let events = Events::default();
    let urls: Vec<_> = nodes.iter().map(EmbeddedNode::url).collect();
    let builder = Redlock::builder(urls).max_ttl(MAX_TTL).ttl(TTL).connector(Arc::new(net));
    let redlock = builder.observer(events.clone()).build().unwrap();
    let big = "x".repeat(5 << 20);
    nodes.iter().for_each(|node| drop(node.run(&["SET", "r", &big, "PX", "3000"])));
    let begun = Instant::now();
    drop(redlock.lock("r").await.unwrap());
    assert!((3_000 * MS..3_010 * MS).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(events.count(|event| matches!(event, Event::NodeDown { .. })), 0);
}

#[tokio::test(start_paused = true)]
async fn what_changes_all_the_time_is_not_asked_for_all_the_time() {
    let (nodes, net, _) = pipes(5);
    let (holder, other) = (handle(&nodes, &net), waiting_as(Retry::DEFAULT, &nodes, &net));
    let guard = holder.lock("a").await.unwrap();
    let waiting = tokio::spawn(async move { other.lock(["a", "b"]).await.unwrap() });
    sleep(MS).await;
    let asked =
        |node: &EmbeddedNode| node.log().iter().filter(|line| line.starts_with("EVALSHA")).count();
    let before = asked(&nodes[0]);
    assert!(before > 0, "it has asked for several, which is a script");
    for _ in 0..200 {
        nodes.iter().for_each(|node| drop(node.run(&["SET", "b", "somebody", "PX", "60000"])));
        sleep(MS).await;
        nodes.iter().for_each(|node| drop(node.run(&["DEL", "b"])));
        sleep(MS).await;
    }
    let rounds = asked(&nodes[0]) - before;
    assert!(rounds < 10, "{rounds} questions");
    guard.release().await.unwrap();
    drop(waiting.await.unwrap());
}

/// On whatever nodes the suite runs on, with no more than the rights that are documented.
#[tokio::test]
async fn real_nodes_tell_of_a_release_too() {
    let cluster = cluster(3).await;
    let events = Events::default();
    let never = Retry::between(60 * BOUND, 60 * BOUND);
    let [holder, other] = [0, 1].map(|_| {
        let builder = builder(&cluster).observer(events.clone()).retry(never);
        builder.build().expect("the settings are fine")
    });
    let guard = holder.lock("r").await.unwrap();
    let waiting = wait(&other);
    let denied = |event: &Event| matches!(event, Event::Denied { .. });
    eventually("it was denied", async || events.count(denied) > 0).await;
    guard.release().await.unwrap();
    let (_, guard) = timeout(BOUND, waiting).await.expect("it is told").unwrap();
    guard.release().await.unwrap();
}
