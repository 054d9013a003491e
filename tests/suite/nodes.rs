//! The life of a node as a handle sees it: it goes, it comes back, it freezes, it forgets. What it is asked meanwhile
//! fails at once, and what it is owed it gets first of all.

use std::time::Duration;

use futures::FutureExt;
use quorlock::{Error, Event, NodeErrorKind};
use quorlock_testkit::embedded::EmbeddedNode;
use tokio::time::Instant;

use crate::other_process::OtherProcess;
use crate::support::{
    BOUND, Events, MINUTE, TTL, assert_no_residue, builder, cluster, cluster_in_plain, connected,
    eventually, holders, node_name, patient, pipes, proxied,
};

const LIMIT: Duration = Duration::from_millis(100);

/// Why the handle last gave up its connection with the node of this name.
fn why_down(events: &Events, name: &str) -> Option<String> {
    events.all().into_iter().rev().find_map(|event| match event {
        Event::NodeDown { error, .. } if error.node() == name => {
            assert_eq!(error.kind(), NodeErrorKind::Down);
            Some(error.to_string())
        }
        _ => None,
    })
}

#[tokio::test]
async fn a_node_that_was_away_is_used_again() {
    let cluster = cluster(5).await;
    let (redlock, events) = connected(patient(&cluster), 5).await;
    let name = node_name(&cluster, 4);
    for _ in 0..3 {
        cluster.node(4).crash().await.unwrap();
        eventually("it is told", async || !events.is_connected(&name)).await;
        let why = why_down(&events, &name).unwrap();
        assert!(why.contains("disconnected") || why.contains("refused"), "{why}");
        redlock.lock("a").await.unwrap().release().await.unwrap();

        cluster.node(4).restart().await.unwrap();
        eventually("it is connected", async || events.is_connected(&name)).await;
        // It came back empty, so it has no vote on a new lock; a held one it is asked about, and gets.
        let guard = redlock.lock("a").await.unwrap();
        guard.extend().await.unwrap();
        eventually("it is asked", async || holders(&cluster, "a").await == "11111").await;
        guard.release().await.unwrap();
    }
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn a_frozen_node_is_given_up_and_used_again_when_it_goes_on() {
    let cluster = cluster(5).await;
    let (redlock, events) = connected(patient(&cluster).time_limit(LIMIT), 5).await;
    let name = node_name(&cluster, 2);
    cluster.node(2).pause().await.unwrap();
    drop(redlock.lock("a").await.unwrap());
    eventually("it is given up", async || !events.is_connected(&name)).await;
    let why = why_down(&events, &name).unwrap();
    assert!(why.ends_with("not connected (no answer within the time limit)"), "{why}");

    cluster.node(2).resume().await.unwrap();
    eventually("it is connected", async || events.is_connected(&name)).await;
    let guard = redlock.lock("a").await.unwrap();
    eventually("it is asked", async || holders(&cluster, "a").await == "11111").await;
    guard.release().await.unwrap();
    assert_no_residue(&redlock, &cluster).await;
}

/// Tasks of this runtime: each command that waits for a reply keeps one alive.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn g7_a_frozen_node_that_was_given_up_collects_nothing() {
    let cluster = proxied(5).await;
    let (redlock, events) = connected(patient(&cluster).time_limit(LIMIT), 5).await;
    let name = node_name(&cluster, 0);
    cluster.node(0).pause().await.unwrap();
    drop(redlock.lock("a").await.unwrap());
    eventually("it is given up", async || !events.is_connected(&name)).await;

    let proxy = cluster.proxy(0);
    let before = (tasks(), proxy.requests(), proxy.accepted());
    for _ in 0..2_000 {
        drop(redlock.lock("a").await.unwrap());
    }
    // What is still sent to it are attempts to connect: a handful of commands each, and one at a time.
    let attempts = || usize::try_from(proxy.accepted() - before.2).expect("they are few") + 1;
    let sent = usize::try_from(proxy.requests() - before.1).expect("they are few");
    assert!(sent <= 5 * attempts(), "{sent} commands in {} attempts", attempts());
    assert!(proxy.connections() <= 1);
    eventually("no task waits for it", async || tasks() <= before.0 + 10 * attempts()).await;

    cluster.node(0).resume().await.unwrap();
    eventually("it is connected", async || events.is_connected(&name)).await;
    assert_no_residue(&redlock, &cluster).await;
}

/// It is not even given up here: the time limit is longer than the test.
#[tokio::test(start_paused = true)]
async fn g7_a_frozen_node_collects_a_bounded_number_of_commands() {
    let (nodes, net, builder) = pipes(3);
    let (redlock, _) = connected(builder.ttl(60 * MINUTE).time_limit(10 * MINUTE), 3).await;
    nodes[0].pause();
    for _ in 0..6_000 {
        drop(redlock.lock("a").await.unwrap());
    }
    assert!(net.relay("node-0").unanswered() < 10_000, "{}", net.relay("node-0").unanswered());
    nodes[0].resume();
    redlock.close(BOUND).await.unwrap();
    assert_eq!(nodes[0].keys(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn every_operation_fails_at_once_where_the_nodes_are_down() {
    for size in [1, 2, 5] {
        let (nodes, _net, builder) = pipes(size);
        let (redlock, events) = connected(builder, size).await;
        let [extended, released] = [redlock.lock("a").await, redlock.lock("b").await];
        nodes.iter().for_each(EmbeddedNode::crash);
        let downs = || events.count(|event| matches!(event, Event::NodeDown { .. }));
        eventually("all nodes are down", async || downs() >= size).await;
        let start = Instant::now();
        let errors = [
            redlock.try_lock("c").await.map(drop).unwrap_err(),
            extended.unwrap().extend().await.unwrap_err(),
        ];
        let report = released.unwrap().release().await.expect("it was valid");
        assert!(!report.is_confirmed(), "{report}");
        assert_eq!(start.elapsed(), Duration::ZERO);
        for error in errors {
            let Error::NoQuorum { failures, .. } = error else { panic!("{error:?}") };
            assert!(failures.iter().any(|failure| failure.kind() == NodeErrorKind::Down));
        }
    }
}

/// What a script cache that is flushed at any moment makes of a lock on two resources.
#[tokio::test]
async fn flushed_scripts_cost_no_operation() {
    let cluster = cluster(5).await;
    let (redlock, events) = connected(patient(&cluster), 5).await;
    let flush = async || {
        for node in cluster.nodes() {
            node.flush_scripts().await.unwrap();
        }
    };
    let before = events.all().len();
    flush().await;
    let guard = redlock.lock(["a", "b"]).await.unwrap();
    eventually("all have it", async || holders(&cluster, "b").await == "11111").await;
    flush().await;
    guard.extend().await.unwrap();
    cluster.node(0).wipe().await.unwrap();
    flush().await;
    guard.extend().await.unwrap();
    eventually("the lost one is repaired", async || holders(&cluster, "a").await == "11111").await;
    flush().await;
    assert!(guard.release().await.unwrap().deleted() >= 3);

    let tell = |event: &Event| matches!(event, Event::Acquired { .. } | Event::Extended { .. });
    assert_eq!(events.count(tell) - 1, 3, "each took one round: {:?}", &events.all()[before..]);
    assert_eq!(events.count(is_failure), 0);
    assert_no_residue(&redlock, &cluster).await;
    // The text was sent once after each flush, and then known again.
    for node in cluster.nodes().iter().filter_map(|node| node.embedded()) {
        // Those about the node itself are not meant.
        let is_meant =
            |line: &&String| line.starts_with("EVAL ") && !line.contains("quorlock:marker:");
        let texts = node.log().iter().filter(is_meant).count();
        assert!(texts <= 5, "{texts}");
    }
}

fn is_failure(event: &Event) -> bool {
    matches!(
        event,
        Event::Denied { .. }
            | Event::AcquireFailed { .. }
            | Event::ExtendFailed { .. }
            | Event::Lost { .. }
            | Event::NodeDown { .. }
    )
}

/// In what order these commands first came, by what their lines begin with.
fn order(log: &[String], commands: &[&'static str]) -> Vec<&'static str> {
    let first = |command: &&str| log.iter().position(|line| line.starts_with(*command));
    let mut found: Vec<_> =
        commands.iter().filter_map(|command| Some((first(command)?, *command))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, command)| command).collect()
}

/// It answers, so that nothing of ours comes behind; and the keys are over.
#[tokio::test(start_paused = true)]
async fn g7_releases_that_a_node_refuses_are_owed_until_their_keys_are_over() {
    let (nodes, _net, builder) = pipes(3);
    let (redlock, events) = connected(builder.durable_nodes(), 3).await;
    let mut guards = Vec::new();
    for i in 0..10 {
        guards.push(redlock.lock(format!("held {i}")).await.expect("all is well"));
    }
    eventually("all hold all", async || nodes.iter().all(|node| node.keys().len() == 10)).await;
    nodes[0].fail_with(Some("BUSY Redis is busy running a script.".to_owned()));
    drop(guards);
    let owed = async || {
        let back = events.count(|event| matches!(event, Event::NodeConnected { .. }));
        nodes[0].crash_intact();
        nodes[0].restart().expect("a node without a port needs none");
        let connected = |event: &Event| matches!(event, Event::NodeConnected { .. });
        eventually("it is back", async || events.count(connected) > back).await;
        events.all().into_iter().rev().find_map(|event| match event {
            Event::NodeConnected { owed, .. } => Some(owed),
            _ => None,
        })
    };
    eventually("the others have released", async || nodes[1].keys().is_empty()).await;
    assert_eq!(owed().await, Some(10));
    tokio::time::sleep(2 * TTL).await;
    assert_eq!(owed().await, Some(0));
}

/// A new connection sends all that is owed; whoever waited to send it again on the one before does not.
#[tokio::test(start_paused = true)]
async fn a_refused_release_is_sent_again_on_one_connection_only() {
    let (nodes, _net, builder) = pipes(3);
    let (redlock, events) = connected(builder.durable_nodes().ttl(MINUTE), 3).await;
    let guard = redlock.lock("a").without_keeper().await.expect("all is well");
    eventually("all hold it", async || nodes.iter().all(|node| node.keys().len() == 1)).await;
    nodes[0].fail_with(Some("BUSY Redis is busy running a script.".to_owned()));
    drop(guard);
    let sent = async || {
        let before = nodes[0].log().len();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let is_release = |line: &&String| line.starts_with("EVALSHA ") && line.contains(" a ");
        nodes[0].log()[before..].iter().filter(is_release).count()
    };
    let at_first = sent().await;
    let connections = || events.count(|event| matches!(event, Event::NodeConnected { .. }));
    for _ in 0..8 {
        let before = connections();
        nodes[0].crash_intact();
        nodes[0].restart().expect("a node without a port needs none");
        eventually("it is back", async || connections() > before).await;
        // For so long that it is connected again at once, before any is sent again.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    let after = sent().await;
    assert!(at_first > 5 && after < 3 * at_first, "{at_first} and {after} times");
}

/// What waits to be sent again is an entry in a table: it takes no task, and what is confirmed meanwhile does not wake it.
#[tokio::test(start_paused = true)]
async fn g7_many_releases_that_a_node_refuses_take_no_task_each() {
    const MANY: usize = 1_000;
    let (nodes, _net, builder) = pipes(3);
    let (redlock, _) = connected(builder.ttl(MINUTE), 3).await;
    let mut guards = Vec::new();
    for number in 0..MANY {
        let guard = redlock.lock(format!("held {number}")).without_keeper().await;
        guards.push(guard.expect("all is well"));
    }
    eventually("all hold all", async || nodes.iter().all(|node| node.keys().len() == MANY)).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    nodes[0].fail_with(Some("READONLY You can't write against a read only replica.".to_owned()));
    drop(guards);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(tasks() < before + 10, "{} tasks, and {before} before", tasks());
    assert_eq!(nodes[0].keys().len(), MANY);
    nodes[0].fail_with(None);
    redlock.close(BOUND).await.expect("every release is confirmed");
    assert_eq!(nodes[0].keys(), Vec::<String>::new());
}

/// Guards go while two nodes are away; then these are back, and somebody else asks all the time. Returns the commands
/// that the two got when they were back, up to the first new lock.
async fn commands_after(away: fn(&EmbeddedNode, bool), owed: usize) -> [Vec<String>; 2] {
    let (nodes, _net, builder) = pipes(5);
    let (redlock, events) =
        connected(builder.durable_nodes().ttl(MINUTE).time_limit(LIMIT), 5).await;
    let mut guards = Vec::new();
    for i in 0..owed {
        guards.push(redlock.lock(format!("held {i}")).await.expect("all is well"));
    }
    nodes[..2].iter().for_each(|node| away(node, true));
    drop(redlock.try_lock("noticed").await);
    let downs = || events.count(|event| matches!(event, Event::NodeDown { .. }));
    eventually("both are given up", async || downs() >= 2).await;
    drop(guards);
    let before = [0, 1].map(|i| nodes[i].log().len());
    nodes[..2].iter().for_each(|node| away(node, false));
    // Asked at every turn, so that a new lock comes in as early as it can.
    let is_new = |line: &String| line.starts_with("SET new");
    eventually("both are asked for a new lock", async || {
        drop(redlock.try_lock("new").into_future().now_or_never());
        (0..2).all(|i| nodes[i].log()[before[i]..].iter().any(is_new))
    })
    .await;
    redlock.close(BOUND).await.expect("every release is confirmed");
    for node in &nodes {
        assert_eq!(node.keys(), Vec::<String>::new());
    }
    [0, 1].map(|i| nodes[i].log().split_off(before[i]))
}

fn assert_owed_first(log: &[String], owed: usize) {
    let first_new =
        log.iter().position(|line| line.starts_with("SET ")).expect("it was waited for");
    let scripts = log[..first_new].iter().filter(|line| line.starts_with("EVAL"));
    // Several go in one.
    let releases: usize = scripts.map(|line| line.matches(" held ").count()).sum();
    assert!(releases >= owed, "{releases} of {owed} came before a new lock");
}

/// The releases that went to the old connection count too: they are repeated on the new one.
#[tokio::test(start_paused = true)]
async fn a_node_that_froze_first_loses_its_old_connection_then_gets_what_it_is_owed() {
    for owed in [1, 3, 100] {
        let freeze = |node: &EmbeddedNode, away| if away { node.pause() } else { node.resume() };
        for log in commands_after(freeze, owed).await {
            let seen = order(&log, &["INFO", "CLIENT KILL ID", "EVALSHA", "SET "]);
            assert_eq!(seen, ["INFO", "CLIENT KILL ID", "EVALSHA", "SET "]);
            assert_owed_first(&log, owed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarted_with_its_keys_gets_what_it_is_owed_and_nobody_is_killed() {
    for owed in [1, 3, 100] {
        let restart = |node: &EmbeddedNode, away| match away {
            true => node.crash_intact(),
            false => node.restart().expect("pipes need no port"),
        };
        for log in commands_after(restart, owed).await {
            // Client ids start again after a restart: the id of old would be somebody's.
            let seen = order(&log, &["INFO", "CLIENT KILL ID", "EVALSHA", "SET "]);
            assert_eq!(seen, ["INFO", "EVALSHA", "SET "]);
            assert_owed_first(&log, owed);
        }
    }
}

/// A lock is given back while a node is down; says how long `close` took, and what it said.
async fn close_while_a_node_is_down(limit: Duration) -> (Duration, Result<(), Error>) {
    let (nodes, _net, builder) = pipes(5);
    let (redlock, _) = connected(builder, 5).await;
    let guard = redlock.lock("a").await.expect("all is well");
    nodes[3].crash();
    guard.release().await.expect("four nodes are well");
    let start = Instant::now();
    let closed = redlock.close(limit).await;
    assert!(matches!(redlock.try_lock("a").await, Err(Error::Closed)));
    (start.elapsed(), closed)
}

#[tokio::test(start_paused = true)]
async fn close_ends_at_its_limit_and_names_the_node_that_is_owed_something() {
    let (took, closed) = close_while_a_node_is_down(TTL / 2).await;
    assert_eq!(took, TTL / 2);
    let Err(Error::Undrained { nodes, .. }) = closed else { panic!("{closed:?}") };
    assert_eq!(nodes, ["node-3:6379/0"]);
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_keys_that_have_expired() {
    let (took, closed) = close_while_a_node_is_down(BOUND).await;
    assert!(closed.is_ok(), "{closed:?} after {took:?}");
    assert!(took < 2 * TTL, "{took:?}");
}

#[tokio::test]
async fn a_process_that_ends_while_nodes_are_frozen_ends_in_time_and_frees_the_lock() {
    // Over TLS a server reads one record after the other: it may answer the lock, find nobody there, and drop the release
    // behind it. Then the key lasts for its TTL.
    let cluster = cluster_in_plain(5).await;
    let options = [("--resource", "a"), ("--ttl", "2000")];
    let mut process = OtherProcess::start("hold", &cluster.urls(), &options);
    process.expect("acquired").await;
    // One that is stopped before it has answered the lock may find nobody there when it does, and drop the release behind it.
    eventually("all nodes hold it", async || holders(&cluster, "a").await == "11111").await;
    for i in [1, 3] {
        cluster.node(i).pause().await.unwrap();
    }
    // Drops its guard, waits for a second at most until all releases are confirmed, and ends.
    assert_eq!(process.end().await, Vec::<String>::new());
    let (redlock, _) = connected(builder(&cluster), 3).await;
    assert!(redlock.try_lock("a").await.unwrap().is_some(), "a majority had the release");
    for i in [1, 3] {
        cluster.node(i).resume().await.unwrap();
    }
    // The releases for the frozen nodes were in their sockets when the process ended.
    assert_no_residue(&redlock, &cluster).await;
}
