//! Whatever does not end in a guard leaves no key, and neither does a guard that is gone (promise G4): futures dropped
//! at any await, tasks aborted, panics, lost rounds. Keys live for an hour here, so that none goes by itself.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use quorlock::{Builder, Error, Event, Guard, Redlock};
use quorlock_testkit::Cluster;
use quorlock_testkit::embedded::{EmbeddedNode, Reply};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::support::{
    self, BOUND, TTL, assert_no_residue, cluster, connected, delete, eventually, pipes, proxied,
};

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(1);

fn lasting(builder: Builder) -> Builder {
    builder.ttl(HOUR).time_limit(LIMIT)
}

/// A handle on a cluster, with keys that last, connected with every node.
async fn handle(cluster: &Cluster) -> Redlock {
    connected(lasting(support::builder(cluster)), cluster.len()).await.0
}

/// What is begun, and dropped half way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    TryLock,
    Lock,
    LockTwo,
    Extend,
    Release,
    Run,
}

const DEEDS: [Deed; 6] =
    [Deed::TryLock, Deed::Lock, Deed::LockTwo, Deed::Extend, Deed::Release, Deed::Run];

impl Deed {
    fn needs_guard(self) -> bool {
        matches!(self, Self::Extend | Self::Release | Self::Run)
    }

    fn begin(self, redlock: &Redlock, guard: Option<Guard>) -> BoxFuture<'static, ()> {
        let redlock = redlock.clone();
        let guard = move || guard.expect("it was locked");
        match self {
            Self::TryLock => Box::pin(async move { drop(redlock.try_lock("a").await) }),
            Self::Lock => Box::pin(async move { drop(redlock.lock("a").await) }),
            Self::LockTwo => Box::pin(async move { drop(redlock.lock(["a", "b"]).await) }),
            Self::Extend => Box::pin(async move { drop(guard().extend().await) }),
            Self::Release => Box::pin(async move { drop(guard().release().await) }),
            Self::Run => Box::pin(async move { drop(guard().run(pending::<()>()).await) }),
        }
    }
}

/// Polls that many times with progress of everything else in between, and drops the future. Says whether it was done
/// before.
async fn drop_after(polls: usize, mut future: BoxFuture<'static, ()>) -> bool {
    for _ in 0..polls {
        if (&mut future).now_or_never().is_some() {
            return true;
        }
        yield_now().await;
    }
    false
}

/// How the nodes are when it is begun.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plight {
    Healthy,
    NeverConnected,
    MinorityHeldByAnother,
    MajorityHeldByAnother,
    OneFrozen,
    TwoDown,
    OneEmpty,
    ScriptsForgotten,
}

const PLIGHTS: [Plight; 8] = [
    Plight::Healthy,
    Plight::NeverConnected,
    Plight::MinorityHeldByAnother,
    Plight::MajorityHeldByAnother,
    Plight::OneFrozen,
    Plight::TwoDown,
    Plight::OneEmpty,
    Plight::ScriptsForgotten,
];

impl Plight {
    fn befall(self, nodes: &[EmbeddedNode]) {
        let hold = |node: &EmbeddedNode| drop(node.run(&["SET", "a", "another's"]));
        match self {
            Self::Healthy | Self::NeverConnected => {}
            Self::MinorityHeldByAnother => nodes[..2].iter().for_each(hold),
            Self::MajorityHeldByAnother => nodes[..3].iter().for_each(hold),
            Self::OneFrozen => nodes[1].pause(),
            Self::TwoDown => nodes[3..].iter().for_each(EmbeddedNode::crash_intact),
            Self::OneEmpty => nodes[0].wipe(),
            Self::ScriptsForgotten => nodes.iter().for_each(EmbeddedNode::flush_scripts),
        }
    }

    fn heal(nodes: &[EmbeddedNode]) {
        for node in nodes {
            node.resume();
            node.restart().expect("pipes need no port");
        }
    }
}

/// Nothing of ours is on any node.
fn assert_clean(nodes: &[EmbeddedNode], why: &str) {
    let theirs = Reply::Bulk(b"another's".to_vec());
    for (i, node) in nodes.iter().enumerate() {
        let ours = |key: &&String| node.run(&["GET", key.as_str()]) != theirs;
        let keys = node.keys();
        assert_eq!(keys.iter().filter(ours).count(), 0, "node {i} has {keys:?}: {why}");
    }
}

/// One attempt on nodes of its own; says whether the deed was done before it could be dropped.
async fn attempt(deed: Deed, plight: Plight, polls: usize) -> bool {
    let (nodes, _net, builder) = pipes(5);
    let builder = lasting(builder);
    let redlock = match plight {
        Plight::NeverConnected => builder.build().expect("the settings are good"),
        _ => connected(builder, 5).await.0,
    };
    let guard = match deed.needs_guard() {
        true => Some(redlock.lock(["a", "b"]).await.expect("all is well")),
        false => None,
    };
    plight.befall(&nodes);
    let done = drop_after(polls, deed.begin(&redlock, guard)).await;
    Plight::heal(&nodes);
    let why = format!("{deed:?} was dropped after {polls} polls, {plight:?}");
    redlock.close(BOUND).await.unwrap_or_else(|error| panic!("{error}: {why}"));
    assert_clean(&nodes, &why);
    done
}

#[tokio::test(start_paused = true)]
async fn g4_a_future_dropped_at_any_await_leaves_no_key_whatever_befalls_the_nodes() {
    for (deed, plight) in DEEDS.iter().flat_map(|deed| PLIGHTS.map(|plight| (*deed, plight))) {
        // Neither ends by itself, so it is not polled to its end.
        let endless =
            deed == Deed::Run || plight == Plight::MajorityHeldByAnother && !deed.needs_guard();
        let mut polls = 0;
        while polls < 20 || !endless {
            if attempt(deed, plight, polls).await {
                break;
            }
            polls += 1;
        }
        assert!(polls > 1, "{deed:?} was done at once: {plight:?}");
    }
}

#[tokio::test]
async fn g4_a_future_dropped_at_any_await_leaves_no_key() {
    let cluster = cluster(5).await;
    for deed in DEEDS {
        let mut polls = 0;
        while polls < 1_000 {
            let redlock = handle(&cluster).await;
            let guard = match deed.needs_guard() {
                true => Some(redlock.lock(["a", "b"]).await.unwrap()),
                false => None,
            };
            let done = drop_after(polls, deed.begin(&redlock, guard)).await;
            assert_no_residue(&redlock, &cluster).await;
            if done || (deed == Deed::Run && polls > 20) {
                break;
            }
            // Mostly it is polled in vain, while replies are on their way.
            polls += 1 + polls / 4;
        }
    }
}

#[tokio::test]
async fn g4_locks_that_time_out_at_any_moment_leave_no_key() {
    let cluster = proxied(5).await;
    let redlock = handle(&cluster).await;
    for i in 0..5 {
        cluster.proxy(i).slow(Duration::from_millis(1));
    }
    let (mut done, mut dropped) = (0, 0);
    for round in 0..200 {
        let resource = format!("round {round}");
        let work = async {
            let guard = redlock.lock(resource).await?;
            guard.extend().await?;
            guard.release().await
        };
        // Ends at any of twelve moments of a work that takes at least six milliseconds.
        let limit = Duration::from_millis(round * 7 % 12);
        match tokio::time::timeout(limit, work).await {
            Ok(released) => done += usize::from(released.is_ok()),
            Err(_) => dropped += 1,
        }
    }
    assert!(dropped >= 100, "{dropped} dropped, {done} done: this shows little");
    assert_no_residue(&redlock, &cluster).await;
}

/// More of them than a connection's queue takes at once, so that some still stand before it when they are dropped.
#[tokio::test(start_paused = true)]
async fn g4_hundreds_of_futures_dropped_at_once_leave_no_key() {
    for (count, yields) in [60, 80, 99, 300].iter().flat_map(|n| (0..6).map(|y| (*n, y))) {
        let (nodes, _net, builder) = pipes(5);
        let (redlock, _) = connected(lasting(builder), 5).await;
        let lock = |i| redlock.try_lock(format!("number {i}")).into_future();
        let mut futures: Vec<_> = (0..count).map(lock).collect();
        for future in &mut futures {
            drop(future.now_or_never());
        }
        for _ in 0..yields {
            yield_now().await;
        }
        futures.into_iter().rev().for_each(drop);
        redlock.close(BOUND).await.unwrap();
        assert_clean(&nodes, &format!("{count} futures were dropped after {yields} yields"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g4_hundreds_of_guards_dropped_at_once_leave_no_key() {
    let cluster = cluster(5).await;
    let redlock = handle(&cluster).await;
    let lock = |i| redlock.try_lock(format!("number {i}")).into_future();
    let guards = futures::future::join_all((0..200).map(lock)).await;
    assert!(guards.iter().filter(|guard| matches!(guard, Ok(Some(_)))).count() > 0);
    drop(guards);
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_a_guard_dropped_outside_of_the_runtime_leaves_no_key() {
    let cluster = cluster(5).await;
    let redlock = handle(&cluster).await;
    let guard = redlock.lock("a").await.unwrap();
    std::thread::spawn(|| drop(guard)).join().expect("dropping does not panic");
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_a_future_dropped_outside_of_the_runtime_leaves_no_key() {
    let cluster = cluster(5).await;
    for polls in 0..10 {
        let redlock = handle(&cluster).await;
        let mut future = redlock.lock(["a", "b"]).into_future();
        for _ in 0..polls {
            if (&mut future).now_or_never().is_some() {
                future = redlock.lock(["a", "b"]).into_future();
            }
            yield_now().await;
        }
        std::thread::spawn(|| drop(future)).join().expect("dropping does not panic");
        assert_no_residue(&redlock, &cluster).await;
    }
}

#[tokio::test]
async fn g4_a_panic_inside_run_leaves_no_key() {
    let cluster = cluster(5).await;
    let redlock = handle(&cluster).await;
    let guard = redlock.lock("a").await.unwrap();
    let work = tokio::spawn(async move { guard.run(async { panic!("as planned") }).await });
    assert!(work.await.expect_err("it panics").is_panic());
    assert!(redlock.try_lock("a").await.unwrap().is_some());
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_a_task_aborted_while_it_holds_or_acquires_leaves_no_key() {
    let cluster = cluster(5).await;
    let redlock = handle(&cluster).await;
    for yields in 0..40 {
        let mine = redlock.clone();
        let task = tokio::spawn(async move {
            let _guard = mine.lock("a").await;
            pending::<()>().await;
        });
        for _ in 0..yields {
            yield_now().await;
        }
        task.abort();
        assert!(task.await.expect_err("it was aborted").is_cancelled());
    }
    assert_no_residue(&redlock, &cluster).await;
}

#[tokio::test]
async fn g4_a_lost_round_leaves_nothing_of_ours() {
    let cluster = cluster(5).await;
    for held in [1..4, 0..5] {
        let redlock = handle(&cluster).await;
        for i in held.clone() {
            cluster.node(i).command(&["SET", "a", "another's", "EX", "600"]).await.unwrap();
        }
        for _ in 0..20 {
            assert!(redlock.try_lock("a").await.unwrap().is_none());
            assert!(redlock.try_lock(["a", "b"]).await.unwrap().is_none());
        }
        let waited = redlock.lock("a").wait_for(Duration::from_millis(50)).await;
        assert!(matches!(waited, Err(Error::Held { .. })));
        redlock.close(BOUND).await.unwrap();
        for (i, node) in cluster.nodes().iter().enumerate() {
            let theirs = if held.contains(&i) { vec!["a"] } else { vec![] };
            assert_eq!(node.keys().await.unwrap(), theirs);
        }
        delete(&cluster, 0b1_1111, "a").await;
    }
}

/// What a frozen node has taken in it runs when it thaws, and sets the key for a full TTL from then on: a release is
/// owed for longer than the key could have lived.
#[tokio::test(start_paused = true)]
async fn g4_a_freeze_longer_than_the_ttl_leaves_no_key() {
    let (nodes, _net, builder) = pipes(5);
    let (redlock, events) = connected(builder, 5).await;
    nodes[..2].iter().for_each(EmbeddedNode::pause);
    let guard = redlock.lock("a").await.unwrap();
    tokio::time::sleep(10 * TTL).await;
    drop(guard);
    tokio::time::sleep(10 * TTL).await;
    nodes[..2].iter().for_each(EmbeddedNode::resume);
    let thawed = Instant::now();
    let back = || events.count(|event| matches!(event, Event::NodeConnected { .. })) >= 7;
    eventually("both are connected", async || back()).await;
    eventually("both are clean", async || nodes.iter().all(|node| node.keys().is_empty())).await;
    assert!(thawed.elapsed() < TTL, "a key expired after {:?}", thawed.elapsed());
}
