//! Guards and handles that leave their runtime, outlive it, or outlive each other.

use std::thread;

use futures::FutureExt;
use quorlock::{Error, Event, Guard, Redlock};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use crate::support::{
    BOUND, Events, TTL, builder, cluster, connected, eventually, holders, patient, pipes, redlock,
};

/// One of each kind.
fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().expect("a runtime"))
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn lock_once(redlock: &Redlock) {
    let guard = redlock.lock("a").await.expect("it is free");
    guard.release().await.expect("it is held");
}

#[test]
fn a_handle_goes_on_in_another_runtime_when_the_first_has_ended() {
    let home = runtime();
    let cluster = home.block_on(cluster(3));
    let redlock = redlock(&cluster);
    for _ in 0..3 {
        let passing = runtime();
        passing.block_on(lock_once(&redlock));
        drop(passing);
    }
    home.block_on(async {
        lock_once(&redlock).await;
        drop(cluster);
    });
}

/// A guard, and its handle, whose runtime has ended.
fn outlived(builder: quorlock::Builder) -> (Redlock, Guard) {
    let redlock = builder.build().expect("the settings are good");
    let guard = runtime().block_on(async { redlock.lock("a").await.expect("it is free") });
    (redlock, guard)
}

#[test]
fn a_guard_that_outlives_its_runtime_is_lost_in_silence_and_harms_nobody() {
    let home = runtime();
    let cluster = home.block_on(cluster(3));
    let (redlock, guard) = outlived(builder(&cluster));
    assert!(guard.valid_for() <= TTL);
    drop(guard);
    home.block_on(async {
        // It may be free at once or after its TTL: the releases had no runtime to go out in.
        lock_once(&redlock).await;
        drop(cluster);
    });
}

#[test]
fn g4_a_guard_dropped_on_a_thread_without_a_runtime_gives_the_lock_back() {
    for runtime in runtimes() {
        let (cluster, redlock, guard) = runtime.block_on(async {
            let cluster = cluster(3).await;
            let redlock = redlock(&cluster);
            let guard = redlock.lock("a").await.unwrap();
            (cluster, redlock, guard)
        });
        thread::spawn(move || drop(guard)).join().expect("a drop does not panic");
        runtime.block_on(async {
            eventually("it is given back", async || holders(&cluster, "a").await == "000").await;
            lock_once(&redlock).await;
            drop(cluster);
        });
    }
}

#[test]
fn g4_close_sends_what_is_owed_also_where_the_runtime_of_the_connections_has_ended() {
    let home = runtime();
    let cluster = home.block_on(cluster(3));
    let (redlock, guard) = outlived(patient(&cluster));
    thread::spawn(move || drop(guard)).join().expect("a drop does not panic");
    home.block_on(async {
        assert_ne!(holders(&cluster, "a").await, "000", "it had no runtime to go out in");
        redlock.close(BOUND).await.unwrap();
        assert_eq!(holders(&cluster, "a").await, "000");
        drop(cluster);
    });
}

#[test]
fn g7_nobody_waits_for_ever_for_connections_of_a_runtime_that_stands_still() {
    let home = runtime();
    let cluster = home.block_on(cluster(3));
    let redlock = redlock(&cluster);
    let [still, other] =
        [(); 2].map(|()| Builder::new_current_thread().enable_all().build().expect("a runtime"));
    // It has begun to connect, and goes on with nothing.
    still.block_on(async { drop(redlock.try_lock("a").into_future().now_or_never()) });
    other.block_on(async {
        let tried = timeout(BOUND, redlock.try_lock("a")).await.expect("it ends");
        assert!(matches!(tried, Err(Error::NoQuorum { .. })), "{tried:?}");
        let refused = timeout(BOUND, redlock.bootstrap()).await.expect("it ends");
        assert!(refused.is_err(), "nothing is connected");
    });
    drop(still);
    other.block_on(lock_once(&redlock));
    home.block_on(async { drop(cluster) });
}

#[test]
fn a_guard_is_extended_and_released_in_another_runtime_of_any_kind() {
    let alike = runtimes().into_iter().zip(runtimes());
    let crossed = runtimes().into_iter().rev().zip(runtimes());
    for (home, other) in alike.chain(crossed) {
        let cluster = home.block_on(cluster(3));
        let redlock = patient(&cluster).build().unwrap();
        let guard = home.block_on(async { redlock.lock("a").await.unwrap() });
        // The connections are the first runtime's: it has to run.
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let driver = thread::spawn(move || {
            home.block_on(async { drop(stopped.await) });
            home
        });
        other.block_on(async {
            guard.extend().await.unwrap();
            guard.release().await.unwrap();
            lock_once(&redlock).await;
        });
        drop(stop);
        let home = driver.join().expect("it only waits");
        home.block_on(async { drop(cluster) });
    }
}

/// The first lock of a handle starts its keeper, and whoever took it may block the thread that is to run it.
#[test]
fn g5_a_task_that_blocks_its_thread_leaves_the_locks_of_others_kept() {
    let home = runtime();
    let cluster = home.block_on(cluster(3));
    let events = Events::default();
    let redlock =
        builder(&cluster).ttl(TTL).time_limit(BOUND).observer(events.clone()).build().unwrap();
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (go_on, blocked) = std::sync::mpsc::channel::<()>();
    let (holds, held) = tokio::sync::oneshot::channel::<()>();
    let first = redlock.clone();
    let blocks = two.spawn(async move {
        let guard = first.lock("a").await.unwrap();
        drop(holds);
        // Until the other end is dropped, without giving the thread back.
        assert!(blocked.recv().is_err());
        drop(guard);
    });
    two.block_on(async {
        assert!(held.await.is_err());
        let guard = redlock.lock("b").await.unwrap();
        let extended = |event: &Event| match event {
            Event::Extended { resources, .. } => *resources == "b".into(),
            _ => false,
        };
        eventually("the other lock is extended", async || events.count(extended) > 0).await;
        assert!(guard.is_valid());
        drop(go_on);
        blocks.await.unwrap();
    });
    home.block_on(async { drop(cluster) });
}

/// Whoever drops a guard may block the thread that is to send its release.
#[test]
fn g4_a_guard_that_is_dropped_before_its_thread_blocks_is_given_back_meanwhile() {
    let home = runtime();
    let cluster = home.block_on(cluster(3));
    let redlock = patient(&cluster).build().unwrap();
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (go_on, blocked) = std::sync::mpsc::channel::<()>();
    let (dropped, is_dropped) = tokio::sync::oneshot::channel::<()>();
    let first = redlock.clone();
    let blocks = two.spawn(async move {
        drop(first.lock("a").await.unwrap());
        drop(dropped);
        assert!(blocked.recv().is_err());
    });
    two.block_on(async {
        assert!(is_dropped.await.is_err());
        let guard = timeout(BOUND, redlock.lock("a").into_future()).await;
        drop(guard.expect("it is given back").expect("a quorum is well"));
        drop(go_on);
        blocks.await.unwrap();
    });
    home.block_on(async { drop(cluster) });
}

#[tokio::test(start_paused = true)]
async fn a_guard_outlives_its_handle_and_closes_the_connections_at_its_end() {
    let (nodes, _net, builder) = pipes(3);
    let (redlock, _) = connected(builder, 3).await;
    let guard = redlock.lock("a").await.unwrap();
    drop(redlock);
    sleep(5 * TTL).await;
    assert!(guard.is_valid(), "it is extended");
    guard.release().await.unwrap();
    eventually("the connections are closed", async || {
        nodes.iter().all(|node| node.connections() == 0 && node.keys().is_empty())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn close_leaves_guards_that_are_held_alone() {
    let (nodes, _net, builder) = pipes(3);
    let (redlock, _) = connected(builder, 3).await;
    let guard = redlock.lock("a").await.unwrap();
    redlock.close(TTL).await.unwrap();
    assert!(matches!(redlock.try_lock("b").await, Err(Error::Closed)));
    sleep(3 * TTL).await;
    guard.extend().await.unwrap();
    guard.release().await.unwrap();
    eventually("it is given back", async || nodes.iter().all(|node| node.keys().is_empty())).await;
}
