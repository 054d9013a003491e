//! Each failure says what happened, on which node, and what may be done next (promise G8). Refused input is `bad_input.rs`'s,
//! what no message may say is `secrets.rs`'s.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use quorlock::{Error, LostReason, NodeError, NodeErrorKind, Redlock, Resources};
use quorlock_testkit::Cluster;
use quorlock_testkit::embedded::EmbeddedNode;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    BOUND, Events, MINUTE, SOMEBODY, TTL, builder, cluster, connected, eventually, node_name,
    pipes, proxied,
};

const MS: Duration = Duration::from_millis(1);
/// Nodes 0, 1, and 2.
const MAJORITY: usize = 0b00111;

#[tokio::test]
async fn g8_held_says_what_is_held_and_how_long_it_was_waited_for() {
    let cluster = cluster(5).await;
    let redlock = builder(&cluster).time_limit(BOUND).build().unwrap();
    let _guard = redlock.lock("report").await.unwrap();
    let limit = TTL / 4;
    let held = redlock.lock("report").wait_for(limit).await.unwrap_err();
    let Error::Held { resources, waited, .. } = &held else { panic!("{held:?}") };
    assert_eq!(*resources, Resources::from("report"));
    assert!(*waited >= limit, "{waited:?}");
    assert_says(&held, &["report", "held by somebody else"]);
}

#[tokio::test(start_paused = true)]
async fn g8_held_is_said_also_where_the_wait_ends_in_the_middle_of_a_round() {
    for seed in 0..50 {
        let (nodes, net, builder) = pipes(5);
        for node in &nodes {
            net.relay(&node.name()).slow(10 * MS);
            node.run(&["SET", "report", SOMEBODY, "PX", "60000"]);
        }
        let redlock = builder.seed(seed).build().unwrap();
        let held = redlock.lock("report").wait_for(TTL / 4).await;
        assert!(matches!(held, Err(Error::Held { .. })), "seed {seed}: {held:?}");
    }
}

#[tokio::test]
async fn g8_no_quorum_names_the_nodes_that_do_not_answer() {
    let (cluster, redlock, events) = stage().await;
    for index in 0..3 {
        cluster.node(index).pause().await.unwrap();
    }
    let silent = redlock.try_lock("report").await;
    assert_no_quorum(&cluster, &silent, &[NodeErrorKind::NoAnswer; 3]);
    assert_says(&silent.unwrap_err(), &["report", "3 of 5", "no answer within the time limit"]);
    // Given up by now, or soon: then nothing is sent to them any more.
    events.until_only_gone(&cluster, MAJORITY).await;
    let down = redlock.try_lock("report").await;
    assert_no_quorum(&cluster, &down, &[NodeErrorKind::Down; 3]);
    assert_says(&down.unwrap_err(), &["not connected", "no answer within the time limit"]);
}

#[tokio::test]
async fn g8_no_quorum_names_the_nodes_that_are_down() {
    let (cluster, redlock, events) = stage().await;
    for index in 0..3 {
        cluster.node(index).crash().await.unwrap();
    }
    events.until_only_gone(&cluster, MAJORITY).await;
    let down = redlock.try_lock("report").await;
    assert_no_quorum(&cluster, &down, &[NodeErrorKind::Down; 3]);
    let waited = redlock.lock("report").wait_for(50 * MS).await;
    assert_no_quorum(&cluster, &waited, &[NodeErrorKind::Down; 3]);
    assert_says(&waited.unwrap_err(), &["report", "3 of 5", "not connected"]);
}

#[tokio::test]
async fn g8_no_quorum_names_the_nodes_whose_connection_broke() {
    let (cluster, redlock, _events) = stage().await;
    let sent: Vec<_> = (0..3).map(|index| cluster.proxy(index).requests()).collect();
    (0..3).for_each(|index| cluster.proxy(index).hold());
    let trying = tokio::spawn(redlock.try_lock("report").into_future());
    eventually("all are asked", async || {
        (0..3).all(|index| cluster.proxy(index).requests() > sent[index])
    })
    .await;
    (0..3).for_each(|index| cluster.proxy(index).reset());
    let broken = trying.await.unwrap();
    assert_no_quorum(&cluster, &broken, &[NodeErrorKind::Disconnected; 3]);
    assert_says(&broken.unwrap_err(), &["disconnected before it answered"]);
}

#[tokio::test]
async fn g8_no_quorum_names_the_nodes_that_refuse_and_why() {
    let (cluster, redlock, _events) = stage().await;
    for index in 0..3 {
        refuse(&cluster, index).await;
    }
    let refused = redlock.try_lock("report").await;
    assert_no_quorum(&cluster, &refused, &[NodeErrorKind::Refused; 3]);
    assert_says(&refused.unwrap_err(), &["refused", "OOM"]);
}

#[tokio::test]
async fn g8_no_quorum_tells_the_nodes_apart() {
    use NodeErrorKind::{Down, NoAnswer, Refused};
    let (cluster, redlock, events) = stage().await;
    cluster.node(0).crash().await.unwrap();
    events.until_only_gone(&cluster, 0b00001).await;
    refuse(&cluster, 2).await;
    cluster.node(1).pause().await.unwrap();
    let mixed = redlock.try_lock("report").await;
    assert_no_quorum(&cluster, &mixed, &[Down, NoAnswer, Refused]);
    let names: Vec<_> = (0..3).map(|index| node_name(&cluster, index)).collect();
    assert_says(&mixed.unwrap_err(), &[&names[0], &names[1], &names[2]]);
}

#[tokio::test(start_paused = true)]
async fn g8_no_quorum_of_an_extend_leaves_the_lock_as_valid_as_it_was() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("report").without_keeper().await.unwrap();
    let until = guard.valid_until();
    let refusal = "OOM command not allowed when used memory > 'maxmemory'.";
    nodes[..3].iter().for_each(|node| node.fail_with(Some(refusal.into())));
    let extended = guard.extend().await;
    let Err(Error::NoQuorum { failures, needed: 3, total: 5, .. }) = &extended else {
        panic!("{extended:?}")
    };
    assert_eq!(kinds(failures), [NodeErrorKind::Refused; 3]);
    assert!(guard.is_valid());
    assert_eq!(guard.valid_until(), until);
}

#[tokio::test(start_paused = true)]
async fn g8_too_late_says_how_long_it_took_and_what_the_lock_was_good_for() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.time_limit(5 * TTL).build().unwrap();
    drop(redlock.try_lock("warm-up").await.unwrap());
    // The answers come, and this task is not there to take them.
    let mut trying = pin!(redlock.try_lock("report").into_future());
    assert!(trying.as_mut().now_or_never().is_none());
    sleep(TTL).await;
    let late = trying.await.unwrap_err();
    let Error::TooLate { took, validity, .. } = &late else { panic!("{late:?}") };
    assert!(took >= validity && *took >= TTL && *validity < TTL);
    assert_says(&late, &["report", "too late", &format!("{took:?}"), &format!("{validity:?}")]);
    redlock.close(BOUND).await.unwrap();
    assert!(nodes.iter().all(|node| node.keys().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn g8_lost_says_how_whichever_call_tells_of_it() {
    type Loss = fn(&[EmbeddedNode]);
    let freeze: Loss = |nodes| nodes[..3].iter().for_each(EmbeddedNode::pause);
    let wipe: Loss = |nodes| nodes[..3].iter().for_each(EmbeddedNode::wipe);
    let nothing: Loss = |_| ();
    for (loss, max_hold, expected, words) in [
        (freeze, MINUTE, LostReason::Expired, "could not be extended in time"),
        (wipe, MINUTE, LostReason::MajorityGone, "a majority of the nodes no longer holds it"),
        (nothing, TTL, LostReason::MaxHold, "held for its maximum time"),
    ] {
        let (nodes, _net, builder) = pipes(5);
        let redlock = builder.build().unwrap();
        let guard = redlock.lock("report").max_hold(max_hold).await.unwrap();
        loss(&nodes);
        let ran = guard.run(std::future::pending::<()>()).await.unwrap_err();
        let again = guard.run(async {}).await.unwrap_err();
        let extended = guard.extend().await.unwrap_err();
        let extended_for = guard.extend_for(TTL).await.unwrap_err();
        nodes.iter().for_each(EmbeddedNode::resume);
        sleep(2 * TTL).await;
        let released = guard.release().await.unwrap_err();
        for error in [ran, again, extended, extended_for, released] {
            let Error::Lost { resources, reason, .. } = &error else { panic!("{error:?}") };
            assert_eq!((resources, *reason), (&Resources::from("report"), expected));
            assert_says(&error, &["report", words]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g8_a_closed_handle_says_so_and_sends_nothing() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("report").await.unwrap();
    let waiting = tokio::spawn(redlock.lock("report").into_future());
    sleep(10 * MS).await;
    redlock.clone().close(TTL).await.unwrap();
    let waited = timeout(TTL, waiting).await.expect("it does not wait on").unwrap();
    assert!(matches!(waited, Err(Error::Closed)), "{waited:?}");
    let sent: Vec<_> = nodes.iter().map(EmbeddedNode::commands).collect();
    for outcome in [redlock.lock("other").await.map(Some), redlock.try_lock("other").await] {
        assert!(matches!(outcome, Err(Error::Closed)), "{outcome:?}");
    }
    assert_eq!(nodes.iter().map(EmbeddedNode::commands).collect::<Vec<_>>(), sent);
    // What is held is kept, and can be given back.
    sleep(3 * TTL).await;
    assert!(guard.is_valid());
    assert_eq!(guard.release().await.unwrap().deleted(), 3);
}

#[tokio::test]
async fn g8_undrained_names_the_nodes_that_have_not_confirmed() {
    let cluster = cluster(5).await;
    let (redlock, _events) = connected(builder(&cluster).ttl(MINUTE), 5).await;
    let guard = redlock.lock("report").await.unwrap();
    cluster.node(3).pause().await.unwrap();
    drop(guard);
    let undrained = redlock.close(TTL / 4).await.unwrap_err();
    let Error::Undrained { nodes, .. } = &undrained else { panic!("{undrained:?}") };
    assert_eq!(*nodes, [node_name(&cluster, 3)]);
    assert_says(&undrained, &[&node_name(&cluster, 3)]);
    cluster.node(3).resume().await.unwrap();
    redlock.close(BOUND).await.unwrap();
    assert_eq!(cluster.node(3).get("report").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_when_the_keys_of_what_is_owed_have_expired() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock("report").await.unwrap();
    nodes[4].crash();
    drop(guard);
    let begun = Instant::now();
    redlock.close(10 * TTL).await.unwrap();
    assert!(begun.elapsed() <= TTL + TTL / 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_what_is_no_release() {
    let (nodes, _net, builder) = pipes(5);
    let redlock = builder.build().unwrap();
    drop(redlock.try_lock("warm-up").await.unwrap());
    sleep(TTL).await;
    nodes[4].pause();
    let guard = redlock.lock("report").await.unwrap();
    // Node 4 has not answered the acquire, which the others have decided.
    redlock.close(10 * MS).await.unwrap();
    assert!(guard.is_valid());
}

/// A proxied cluster, and a handle that is connected with all of it and patient enough for a busy machine.
async fn stage() -> (Cluster, Redlock, Events) {
    let cluster = proxied(5).await;
    let (redlock, events) = connected(builder(&cluster).time_limit(TTL / 8), 5).await;
    (cluster, redlock, events)
}

/// From now on the node takes no more keys.
async fn refuse(cluster: &Cluster, index: usize) {
    let node = cluster.node(index);
    match node.embedded() {
        Some(node) => {
            node.fail_with(Some("OOM command not allowed when used memory > 'maxmemory'.".into()));
        }
        None => {
            for setting in [["maxmemory-policy", "noeviction"], ["maxmemory", "1"]] {
                let set = node.command(&["CONFIG", "SET", setting[0], setting[1]]).await;
                set.expect("the node can be configured");
            }
        }
    }
}

/// The first nodes failed in these ways, and no other node is said to have failed.
#[track_caller]
fn assert_no_quorum<T: Debug>(
    cluster: &Cluster,
    outcome: &Result<T, Error>,
    expected: &[NodeErrorKind],
) {
    let Err(Error::NoQuorum { resources, needed, total, failures, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((resources, *needed, *total), (&Resources::from("report"), 3, 5));
    let seen: Vec<_> = failures.iter().map(|f| (f.node().to_owned(), f.kind())).collect();
    let expected: Vec<_> =
        (0..).zip(expected).map(|(i, kind)| (node_name(cluster, i), *kind)).collect();
    assert_eq!(seen, expected);
}

fn kinds(failures: &[NodeError]) -> Vec<NodeErrorKind> {
    failures.iter().map(NodeError::kind).collect()
}

#[track_caller]
fn assert_says(error: &Error, words: &[&str]) {
    let message = error.to_string();
    let missing: Vec<_> = words.iter().filter(|word| !message.contains(**word)).collect();
    assert!(missing.is_empty(), "`{message}` does not say {missing:?}");
}
