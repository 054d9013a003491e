//! Waiting under contention, in paused time: how often a waiter asks where no node tells of a release, that it gets its turn, and
//! that votes split between several clients come together. Being told is in `told.rs`. Who holds when is judged in `contention.rs`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use quorlock::{Builder, Redlock, Retry};
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Dice, MAX_TTL, TTL, pipes};
use crate::told::ANYWAY;

const MS: Duration = Duration::from_millis(1);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn where_no_node_tells_a_waiter_sends_no_more_and_no_fewer_commands_than_its_retry_says() {
    const WAIT: Duration = Duration::from_secs(10);
    // Handles, and waiters of each: the first of each asks, and any other once in a while.
    for (handles, waiters) in [(1, 1), (3, 1), (1, 3)] {
        let (nodes, net, _) = pipes(5);
        nodes.iter().for_each(EmbeddedNode::refuse_tracking);
        let retry = Retry::between(SHORTEST, LONGEST);
        let all = (0..handles).map(|_| client(&nodes, &net).retry(retry).build().unwrap());
        let all: Vec<_> = all.collect();
        for redlock in &all {
            drop(redlock.try_lock("warm-up").await.unwrap());
        }
        sleep(TTL).await;
        take_by_hand(&nodes, 60_000);
        let before: Vec<_> = nodes.iter().map(EmbeddedNode::commands).collect();
        let waits = all.iter().flat_map(|redlock| {
            (0..waiters).map(|_| redlock.lock("r").wait_for(WAIT).into_future())
        });
        assert!(join_all(waits).await.iter().all(Result::is_err));
        // An attempt is a script, since nobody tells of the marker either, and a release where it was sent.
        let attempts = |rest: Duration| u64::try_from(WAIT.as_millis() / rest.as_millis()).unwrap();
        let others = handles * (waiters - 1) * (attempts(ANYWAY[0]) + 2);
        let most = 2 * (handles * (attempts(SHORTEST) + 2) + others);
        let fewest = handles * attempts(LONGEST);
        for (node, before) in nodes.iter().zip(before) {
            let sent = node.commands() - before;
            assert!((fewest..=most).contains(&sent), "{sent} commands, not {fewest} to {most}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_backs_off_from_the_shortest_delay_to_the_longest() {
    let (nodes, _net, builder) = pipes(5);
    nodes.iter().for_each(EmbeddedNode::refuse_tracking);
    let redlock = builder.retry(Retry::between(MS, 64 * MS)).build().unwrap();
    drop(redlock.try_lock("warm-up").await.unwrap());
    sleep(TTL).await;
    take_by_hand(&nodes, 60_000);
    let asked = async |wait: Duration| {
        let before = nodes[0].commands();
        redlock.lock("r").wait_for(wait).await.unwrap_err();
        nodes[0].commands() - before
    };
    let (soon, later) = (asked(64 * MS).await, asked(64 * 20 * MS).await);
    // Twenty times as long, and by far not twenty times as many questions.
    assert!(later < 10 * soon, "{soon} commands at first, {later} in 20 times that time");
    assert!(later > soon);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_lock_is_not_starved_by_clients_that_never_wait() {
    for seed in 0..10 {
        let (nodes, net, builder) = pipes(5);
        let waiter = builder.seed(seed).build().unwrap();
        let greedy = [seed + 100, seed + 200].map(|seed| {
            let redlock = client(&nodes, &net).seed(seed).build().unwrap();
            tokio::spawn(grab(redlock, Dice::new(seed)))
        });
        let bound = Duration::from_secs(20);
        let got = timeout(bound, waiter.lock("r").into_future()).await;
        assert!(got.is_ok_and(|got| got.is_ok()), "seed {seed}: not within {bound:?}");
        greedy.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Takes the lock whenever it can be had, holds it for most of the time, and never waits.
async fn grab(redlock: Redlock, mut dice: Dice) {
    loop {
        if let Ok(Some(guard)) = redlock.try_lock("r").await {
            sleep(40 * MS).await;
            drop(guard);
        }
        sleep(MS + dice.below(30 * MS)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn g1_a_kept_lock_keeps_others_out_for_twenty_ttls() {
    let (nodes, net, builder) = pipes(5);
    let holder = builder.build().unwrap();
    let others: Vec<_> = (0..2).map(|_| client(&nodes, &net).build().unwrap()).collect();
    let guard = holder.lock("r").await.unwrap();
    let end = Instant::now() + 20 * TTL;
    while Instant::now() < end {
        for other in &others {
            assert!(other.try_lock("r").await.unwrap().is_none());
        }
        sleep(TTL / 5).await;
    }
    assert!(guard.is_valid());
    guard.release().await.unwrap();
    assert!(others[0].try_lock("r").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn three_clients_whose_first_votes_are_split_all_get_it_in_turn() {
    for seed in 0..30 {
        let (nodes, _net, _) = pipes(5);
        // Each is nearest to nodes of its own: two, two, and one.
        let near = [[0, 1], [2, 3], [4, 4]];
        let clients = near.map(|near| {
            let net = PipeNet::new(nodes.iter().cloned());
            let far = nodes.iter().enumerate().filter(|(i, _)| !near.contains(i));
            far.for_each(|(_, node)| net.relay(&node.name()).slow(5 * MS));
            client(&nodes, &net)
        });
        let clients = (0..).zip(clients).map(|(i, client)| client.seed(3 * seed + i).build());
        let clients: Vec<_> = clients.map(Result::unwrap).collect();
        for client in &clients {
            drop(client.try_lock("warm-up").await.unwrap());
        }
        sleep(TTL).await;
        let begun = Instant::now();
        let took = join_all(clients.iter().map(|client| take_turn(client, begun))).await;
        // The first round of each was split, or somebody would have it without a second question.
        assert!(took.iter().all(|took| *took > 10 * MS), "seed {seed}: {took:?}");
        assert!(nodes.iter().all(|node| node.keys().is_empty()), "seed {seed}");
    }
}

/// Takes the lock, gives it back, and says when it had it.
async fn take_turn(client: &Redlock, begun: Instant) -> Duration {
    let guard = client.lock("r").wait_for(5 * TTL).await.expect("its turn comes");
    let took = begun.elapsed();
    sleep(MS).await;
    guard.release().await.expect("all nodes are well");
    took
}

#[tokio::test(start_paused = true)]
async fn votes_that_others_have_split_among_them_are_waited_for_until_they_expire() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    // Two, two, and one: none of the three has it, and none will give it back.
    for (owner, node) in ["a", "a", "b", "b", "c"].iter().zip(&nodes) {
        node.run(&["SET", "r", owner, "PX", "1500"]);
    }
    let begun = Instant::now();
    let ended = join_all((0..3).map(|_| take_turn(&redlock, begun))).await;
    assert!(ended.iter().all(|ended| *ended >= 1500 * MS), "{ended:?}");
    assert!(ended.iter().all(|ended| *ended < 1500 * MS + TTL), "{ended:?}");
}

/// Somebody who never gives it back has the key on every node.
fn take_by_hand(nodes: &[EmbeddedNode], millis: u32) {
    for node in nodes {
        node.run(&["SET", "r", "somebody else", "PX", &millis.to_string()]);
    }
}

/// One more client of the same nodes.
fn client(nodes: &[EmbeddedNode], net: &PipeNet) -> Builder {
    let urls: Vec<_> = nodes.iter().map(EmbeddedNode::url).collect();
    Redlock::builder(urls).max_ttl(MAX_TTL).ttl(TTL).connector(Arc::new(net.clone()))
}
