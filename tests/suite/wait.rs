//! Waiting for a lock: while it is held, while there is no quorum, and for how long.

use std::time::Duration;

use futures::future::join;
use quorlock::{Error, Event, Redlock, Retry};

use crate::support::{
    BOUND, Events, MINUTE, assert_no_residue, cluster, eventually, owners, patient, pipes,
};

/// The time that an await takes by tokio's clock, and what comes of it.
async fn timed<T>(work: impl IntoFuture<Output = T>) -> (Duration, T) {
    let start = tokio::time::Instant::now();
    let output = work.await;
    (start.elapsed(), output)
}

fn denials(events: &Events) -> usize {
    events.count(|event| matches!(event, Event::Denied { .. }))
}

#[tokio::test(start_paused = true)]
async fn g7_a_wait_ends_when_its_caller_said() {
    let (_nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    for limit in [1, 50, 300, 5_000].map(Duration::from_millis) {
        let (took, waited) = timed(redlock.lock("invoice:42").wait_for(limit)).await;
        let Err(Error::Held { waited, .. }) = waited else { panic!("{waited:?}") };
        assert_eq!(waited, took);
        // tokio's timers count in whole milliseconds.
        assert!(
            (limit..limit + Duration::from_millis(2)).contains(&took),
            "{took:?} for {limit:?}"
        );
    }
    assert!(guard.is_valid());
}

#[tokio::test(start_paused = true)]
async fn to_wait_for_no_time_is_to_ask_once() {
    let (nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    let (took, held) = timed(redlock.lock("invoice:42").wait_for(Duration::ZERO)).await;
    assert!(matches!(held, Err(Error::Held { .. })), "{held:?}");
    assert_eq!((took, denials(&events)), (Duration::ZERO, 1));
    drop(guard);
    let free = redlock.lock("invoice:42").wait_for(Duration::ZERO).await;
    assert!(free.is_ok(), "what is free is had at once: {free:?}");
    drop(free);

    nodes[..3].iter().for_each(|node| node.crash());
    tokio::time::sleep(BOUND).await;
    let (took, none) = timed(redlock.lock("invoice:42").wait_for(Duration::ZERO)).await;
    assert!(matches!(none, Err(Error::NoQuorum { .. })), "{none:?}");
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test]
async fn g1_a_waiting_lock_gets_it_when_it_is_released_and_not_before() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let (holder, waiter) = (patient(&cluster), patient(&cluster).observer(events.clone()));
    let (holder, waiter) = (holder.build().unwrap(), waiter.build().unwrap());
    let guard = holder.lock("invoice:42").await.unwrap();
    let waiting = tokio::spawn(waiter.lock("invoice:42").into_future());
    eventually("it asked and was denied", async || denials(&events) >= 3).await;
    assert!(guard.is_valid() && !waiting.is_finished());
    guard.release().await.unwrap();
    let next = tokio::time::timeout(BOUND, waiting).await.expect("it is free").unwrap().unwrap();
    assert!(next.is_valid());
    next.release().await.unwrap();
    assert_no_residue(&waiter, &cluster).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_waited_for_without_end_and_its_release_is_seen_within_the_longest_delay() {
    let (_nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    let waiting = async {
        let got = redlock.lock("invoice:42").await.expect("no limit was set");
        (tokio::time::Instant::now(), got)
    };
    let releasing = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(guard.is_valid());
        drop(guard);
        tokio::time::Instant::now()
    };
    let ((got_at, _next), released_at) = join(waiting, releasing).await;
    let hand_over = got_at - released_at;
    assert!(hand_over <= Retry::DEFAULT_LONGEST + Duration::from_millis(1), "{hand_over:?}");
}

#[tokio::test]
async fn g7_without_a_quorum_a_lock_gives_up_when_its_caller_said() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    for index in 0..3 {
        cluster.node(index).crash().await.unwrap();
    }
    let limit = Duration::from_millis(300);
    let (took, none) = timed(redlock.lock("invoice:42").wait_for(limit)).await;
    let Err(Error::NoQuorum { needed: 3, total: 5, failures, .. }) = none else {
        panic!("{none:?}");
    };
    assert!(failures.len() >= 3, "{failures:?}");
    assert!(took >= limit, "it was tried again until then: {took:?}");
    eventually("nothing is left", async || owners(&cluster, "invoice:42", 0b111).await == "!!!--")
        .await;
}

/// Also where it waits for nodes, and not in a queue.
#[tokio::test(start_paused = true)]
async fn a_lock_that_waits_for_a_quorum_ends_when_its_handle_is_closed() {
    // Between two rounds, and behind the last that there is time for.
    for wait_for in [10 * MINUTE, MINUTE / 2] {
        let (nodes, _net, builder) = pipes(3);
        let redlock = builder.retry(Retry::between(MINUTE, MINUTE)).build().unwrap();
        drop(redlock.lock("a").await.unwrap());
        nodes.iter().for_each(|node| node.fail_with(Some("LOADING not yet".to_owned())));
        let waiting = tokio::spawn(redlock.lock("a").wait_for(wait_for).into_future());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = tokio::time::Instant::now();
        drop(redlock.close(Duration::ZERO).await);
        let ended = waiting.await.unwrap();
        assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn g7_without_a_quorum_a_lock_gives_up_after_ten_seconds_by_default() {
    let (nodes, _net, builder) = pipes(5);
    let events = Events::default();
    let redlock = builder.observer(events.clone()).build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    nodes[..3].iter().for_each(|node| node.crash());
    let (took, none) = timed(redlock.lock("invoice:42")).await;
    assert!(matches!(none, Err(Error::NoQuorum { .. })), "{none:?}");
    let ten = Duration::from_secs(10);
    assert!((ten..ten + Duration::from_millis(2)).contains(&took), "{took:?}");
    let tries = events.count(|event| matches!(event, Event::AcquireFailed { .. }));
    // The longest delay is 100 ms; about half of that on the average.
    assert!((100..1_000).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn a_waiting_lock_outlasts_the_loss_of_the_majority() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let builder = patient(&cluster).without_quarantine();
    let redlock = builder.observer(events.clone()).build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    for index in 0..3 {
        cluster.node(index).crash().await.unwrap();
    }
    let waiting = tokio::spawn(redlock.lock("invoice:42").wait_for(BOUND).into_future());
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    eventually("it was tried", async || events.count(failed) > 0).await;
    cluster.node(1).restart().await.unwrap();
    waiting.await.unwrap().expect("three nodes are back").release().await.unwrap();
}

#[tokio::test]
async fn a_waiting_lock_ends_when_its_handle_is_closed() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let redlock: Redlock = patient(&cluster).observer(events.clone()).build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    let waiting = tokio::spawn(redlock.lock("invoice:42").into_future());
    eventually("it waits", async || denials(&events) > 0).await;
    redlock.close(BOUND).await.unwrap();
    let ended = tokio::time::timeout(BOUND, waiting).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
    assert!(guard.is_valid(), "a guard that is held is kept");
}
