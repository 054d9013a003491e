//! Taking a lock: who gets it, who does not, and on which nodes it stands.

use std::ops::Range;
use std::time::Duration;

use futures::future::{join, join_all};
use quorlock::{Error, LostReason, NodeErrorKind, Redlock};
use quorlock_testkit::Cluster;

use crate::support::{
    BOUND, Events, MINUTE, TTL, assert_no_residue, cluster, eventually, gray_code, has, holders,
    node_name, occupy, on, owners, patient, pattern, pipes,
};

/// The nodes, the handle on them, and what it tells.
async fn watched() -> (Cluster, Redlock, Events) {
    let (cluster, events) = (cluster(5).await, Events::default());
    let redlock = patient(&cluster)
        .without_quarantine()
        .observer(events.clone())
        .build()
        .expect("the settings are good");
    (cluster, redlock, events)
}

/// A handle on some of the nodes only.
fn client(cluster: &Cluster, nodes: Range<usize>) -> Redlock {
    let urls = cluster.urls()[nodes].to_vec();
    let builder = on(urls).without_quarantine().ttl(MINUTE).time_limit(BOUND);
    builder.build().expect("the settings are good")
}

#[tokio::test(start_paused = true)]
async fn many_locks_at_once_are_all_answered_for() {
    let (_nodes, _net, builder) = pipes(5);
    let redlock = builder.without_quarantine().build().unwrap();
    let names = (0..1_000).map(|number| format!("lock-{number}"));
    let taken = join_all(names.map(async |name| redlock.try_lock(name).await)).await;
    assert!(taken.iter().all(|taken| matches!(taken, Ok(Some(_)))), "a quorum has said yes");
}

#[tokio::test]
async fn a_lock_is_held_on_every_node_and_by_one_holder() {
    let (cluster, redlock, _) = watched().await;
    let guard = redlock.lock("invoice:42").await.unwrap();
    assert!(guard.is_valid());
    assert!(redlock.try_lock("invoice:42").await.unwrap().is_none());
    eventually("all hold it", async || holders(&cluster, "invoice:42").await == "11111").await;
    guard.release().await.unwrap();
    assert!(redlock.try_lock("invoice:42").await.unwrap().is_some());
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g8_every_set_of_dead_nodes_is_locked_around_or_else_named() {
    let (cluster, redlock, events) = watched().await;
    redlock.lock("first").await.unwrap().release().await.unwrap();
    let mut dead = 0;
    for set in gray_code(5) {
        let changed = (dead ^ set).trailing_zeros() as usize;
        match dead ^ set {
            0 => {}
            _ if has(set, changed) => cluster.node(changed).crash().await.unwrap(),
            _ => cluster.node(changed).restart().await.unwrap(),
        }
        dead = set;
        events.until_only_gone(&cluster, dead).await;
        try_with_dead_nodes(&cluster, &redlock, dead).await;
    }
}

async fn try_with_dead_nodes(cluster: &Cluster, redlock: &Redlock, dead: usize) {
    let key = format!("dead:{dead:05b}");
    let round = async { redlock.try_lock(&key).await };
    let tried = tokio::time::timeout(BOUND, round).await.expect("it is bounded");
    if dead.count_ones() <= 2 {
        let guard = tried.expect("a quorum is alive").expect("nobody else is here");
        let expected = pattern(5, dead, '!', 'o');
        eventually(&expected, async || owners(cluster, &key, dead).await == expected).await;
        guard.release().await.expect("a quorum is alive");
    } else {
        let Err(Error::NoQuorum { needed: 3, total: 5, failures, .. }) = tried else {
            panic!("{dead:05b}: {tried:?}");
        };
        for index in (0..5).filter(|index| has(dead, *index)) {
            let name = node_name(cluster, index);
            assert!(failures.iter().any(|failure| failure.node() == name), "{name}: {failures:?}");
        }
        assert!(
            failures.iter().filter(|failure| failure.kind() == NodeErrorKind::Down).count() > 2
        );
    }
    let free = pattern(5, dead, '!', '-');
    eventually(&free, async || owners(cluster, &key, dead).await == free).await;
}

#[tokio::test(start_paused = true)]
async fn g3_no_set_of_dead_nodes_costs_a_millisecond() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.without_quarantine().build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    for dead in gray_code(5) {
        for (index, node) in nodes.iter().enumerate() {
            if has(dead, index) { node.crash() } else { node.restart().unwrap() }
        }
        // Long enough for every connection that can be had to be there again.
        tokio::time::sleep(BOUND).await;
        let start = tokio::time::Instant::now();
        match redlock.try_lock("resource").await {
            Ok(Some(guard)) => drop(guard.release().await.unwrap()),
            Err(Error::NoQuorum { .. }) => assert!(dead.count_ones() > 2, "{dead:05b}"),
            other => panic!("{dead:05b}: {other:?}"),
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "{dead:05b}");
    }
}

#[tokio::test(start_paused = true)]
async fn g8_a_dead_node_is_called_down_and_a_node_that_was_not_waited_for_is_not_blamed() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.without_quarantine().build().unwrap();
    redlock.lock("first").await.unwrap().release().await.unwrap();
    for dead in gray_code(5).filter(|dead| dead.count_ones() > 2) {
        for (index, node) in nodes.iter().enumerate() {
            if has(dead, index) { node.crash() } else { node.restart().unwrap() }
        }
        tokio::time::sleep(BOUND).await;
        let Err(Error::NoQuorum { failures, .. }) = redlock.try_lock("resource").await else {
            panic!("{dead:05b}: no quorum is alive");
        };
        let named: Vec<_> =
            failures.iter().map(|failure| (failure.node().to_owned(), failure.kind())).collect();
        let down: Vec<_> = (0..5)
            .filter(|index| has(dead, *index))
            .map(|index| (format!("node-{index}:6379/0"), NodeErrorKind::Down))
            .collect();
        assert_eq!(named, down, "the dead nodes and no others");
    }
}

#[tokio::test]
async fn g6_every_set_of_nodes_held_by_another_is_decided_and_left_alone() {
    let (cluster, redlock, _) = watched().await;
    for held in gray_code(5) {
        let key = format!("held:{held:05b}");
        occupy(&cluster, held, &key).await;
        let tried = redlock.try_lock(&key).await.unwrap();
        assert_eq!(tried.is_some(), held.count_ones() <= 2, "{held:05b}");
        if let Some(guard) = tried {
            let ours = pattern(5, held, 's', 'o');
            eventually(&ours, async || owners(&cluster, &key, 0).await == ours).await;
            guard.release().await.unwrap();
        }
        let theirs = pattern(5, held, 's', '-');
        eventually(&theirs, async || owners(&cluster, &key, 0).await == theirs).await;
    }
    redlock.close(BOUND).await.unwrap();
    for held in gray_code(5) {
        let (key, theirs) = (format!("held:{held:05b}"), pattern(5, held, 's', '-'));
        assert_eq!(owners(&cluster, &key, 0).await, theirs, "nothing was left or taken later");
    }
}

#[tokio::test]
async fn half_of_an_even_number_of_nodes_is_not_enough_on_any_split() {
    let cluster = cluster(6).await;
    for nodes in [2, 4, 6] {
        let redlock = client(&cluster, 0..nodes);
        for held in gray_code(nodes) {
            let key = format!("even:{nodes}:{held:06b}");
            occupy(&cluster, held, &key).await;
            let tried = redlock.try_lock(&key).await.unwrap();
            let free = nodes - held.count_ones() as usize;
            assert_eq!(tried.is_some(), free > nodes / 2, "{key}");
            drop(tried);
        }
        redlock.close(BOUND).await.unwrap();
        for held in gray_code(nodes) {
            let key = format!("even:{nodes}:{held:06b}");
            assert_eq!(owners(&cluster, &key, 0).await, pattern(6, held, 's', '-'), "{key}");
        }
    }
}

#[tokio::test]
async fn g1_two_clients_of_an_even_number_of_nodes_get_the_lock_in_turn() {
    let cluster = cluster(6).await;
    for nodes in [2, 4, 6] {
        let inside = std::cell::Cell::new(false);
        let rounds = async |redlock: Redlock| {
            for _ in 0..10 {
                let guard = redlock.lock("even").wait_for(BOUND).await.expect("it settles");
                assert!(!inside.replace(true), "two inside, of {nodes} nodes");
                tokio::task::yield_now().await;
                inside.set(false);
                guard.release().await.expect("all nodes are there");
            }
        };
        join(rounds(client(&cluster, 0..nodes)), rounds(client(&cluster, 0..nodes))).await;
    }
}

#[tokio::test]
async fn one_node_alone_decides() {
    let (cluster, events) = (cluster(5).await, Events::default());
    let urls = cluster.urls().into_iter().take(1);
    let redlock = on(urls).without_quarantine().time_limit(BOUND).observer(events.clone());
    let redlock = redlock.build().unwrap();
    let guard = redlock.lock("invoice:42").await.unwrap();
    assert!(redlock.try_lock("invoice:42").await.unwrap().is_none());
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "o----");
    assert_eq!(guard.release().await.unwrap().deleted(), 1);
    assert!(redlock.try_lock("invoice:42").await.unwrap().is_some());

    cluster.node(0).crash().await.unwrap();
    let name = node_name(&cluster, 0);
    eventually("it is known to be down", async || !events.is_connected(&name)).await;
    let tried = redlock.try_lock("invoice:42").await;
    assert!(matches!(tried, Err(Error::NoQuorum { needed: 1, total: 1, .. })), "{tried:?}");
}

#[tokio::test]
async fn g1_a_lock_that_nobody_extends_is_lost_and_only_then_another_gets_it() {
    let (cluster, first, events) = watched().await;
    let second = patient(&cluster).build().unwrap();
    let guard = first.lock("invoice:42").ttl(TTL / 2).without_keeper().await.unwrap();
    let next = second.lock("invoice:42").wait_for(BOUND).await.unwrap();
    assert!(!guard.is_valid(), "two hold it");
    assert!(guard.valid_for().is_zero() && guard.valid_until().is_none());
    assert_eq!(guard.lost().await, LostReason::Expired);
    assert_eq!(events.count(|event| matches!(event, quorlock::Event::Extended { .. })), 0);
    drop(guard);
    first.close(BOUND).await.unwrap();
    let held = owners(&cluster, "invoice:42", 0).await;
    assert!(held.matches('o').count() >= 3, "the next holder's keys stay: {held}");
    assert!(next.is_valid());
}

#[tokio::test]
async fn g4_what_a_split_attempt_took_does_not_stand_in_the_way_of_the_next() {
    let (cluster, redlock, _) = watched().await;
    // Two nodes that a rival holds for a while, and two that stay held: the next attempt needs the one left.
    occupy(&cluster, 0b1_0010, "split").await;
    let rival = client(&cluster, 2..4);
    for round in 0..50 {
        let held = rival.lock("split").wait_for(BOUND).await.unwrap();
        assert!(redlock.try_lock("split").await.unwrap().is_none(), "round {round}");
        assert_eq!(held.release().await.unwrap().deleted(), 2, "round {round}");
        let guard = redlock.try_lock("split").await.unwrap();
        guard.expect("its own leftover is gone").release().await.unwrap();
    }
    redlock.close(BOUND).await.unwrap();
    assert_eq!(owners(&cluster, "split", 0).await, "-s--s");
}

#[tokio::test]
async fn the_prefix_is_part_of_the_key() {
    let cluster = cluster(5).await;
    let plain = patient(&cluster).build().unwrap();
    let shop = patient(&cluster).prefix("shop/").build().unwrap();
    shop.bootstrap().await.unwrap();
    let guard = shop.lock("invoice:42").await.unwrap();
    assert_eq!(guard.resources().names().collect::<Vec<_>>(), ["invoice:42"]);
    let all = async || owners(&cluster, "shop/invoice:42", 0).await == "ooooo";
    eventually("all hold it", all).await;
    assert_eq!(owners(&cluster, "invoice:42", 0).await, "-----");
    assert!(plain.try_lock("shop/invoice:42").await.unwrap().is_none());
    assert!(plain.try_lock("invoice:42").await.unwrap().is_some());
    guard.release().await.unwrap();
    assert!(plain.try_lock("shop/invoice:42").await.unwrap().is_some());
}
