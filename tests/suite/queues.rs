//! The order in which those who wait for one lock get it: of one handle, and of several. All in paused time. How they are told of
//! a release is in `told.rs`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use quorlock::{Error, Redlock, Retry};
use quorlock_testkit::embedded::EmbeddedNode;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{TTL, pipes};
use crate::told::{ANYWAY, MS, commands, handle, held, rounds, wait, waiting_as};

/// Takes the lock so often, holds it for longer than a slot, and notes each time who has it.
async fn take_turns(redlock: Redlock, who: usize, order: Arc<Mutex<Vec<usize>>>, turns: usize) {
    for _ in 0..turns {
        let guard = redlock.lock("r").await.expect("its turn comes");
        order.lock().expect("nobody panics with it").push(who);
        sleep(5 * MS).await;
        guard.release().await.expect("all nodes are well");
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_of_one_handle_get_it_in_the_order_in_which_they_came_and_one_asks_for_all() {
    const WAITERS: usize = 20;
    let (nodes, net, _) = pipes(5);
    let redlock = handle(&nodes, &net);
    let guard = redlock.lock("r").await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for index in 0..WAITERS {
        let (redlock, order) = (redlock.clone(), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            let guard = redlock.lock("r").await.unwrap();
            order.lock().unwrap().push(index);
            // All of it is longer than anybody waits without asking.
            sleep(100 * MS).await;
            guard.release().await.unwrap();
        }));
        sleep(MS).await;
    }
    let before = rounds(&nodes);
    assert!(before <= 2, "who comes to a queue does not ask: {before}");
    guard.release().await.unwrap();
    join_all(waiting).await.into_iter().for_each(|waited| waited.unwrap());
    assert_eq!(*order.lock().unwrap(), (0..WAITERS).collect::<Vec<_>>());
    assert_eq!(rounds(&nodes) - before, WAITERS);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_hands_on_his_turn() {
    let (_nodes, guard, other) = held().await;
    let first = wait(&other);
    sleep(MS).await;
    let second = wait(&other);
    let third = wait(&other);
    sleep(MS).await;
    second.abort();
    first.abort();
    sleep(MS).await;
    let released = Instant::now();
    guard.release().await.unwrap();
    let (had, _guard) = third.await.unwrap();
    assert_eq!(had - released, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_not_polled_any_more_hold_up_nobody_for_long() {
    for stuck in 1..=3_u32 {
        let (nodes, net, _) = pipes(5);
        let holder = handle(&nodes, &net);
        let other = waiting_as(Retry::DEFAULT, &nodes, &net);
        let guard = holder.lock("r").await.unwrap();
        let mut ahead: Vec<_> =
            (0..stuck).map(|_| Box::pin(other.lock("r").into_future())).collect();
        for waiter in &mut ahead {
            assert!(timeout(MS, waiter).await.is_err());
        }
        let behind = wait(&other);
        sleep(MS).await;
        let released = Instant::now();
        guard.release().await.unwrap();
        let (had, _guard) = behind.await.unwrap();
        assert!(had - released <= stuck * ANYWAY[1], "{stuck}: {:?}", had - released);
        assert!(ahead.iter_mut().all(|waiter| waiter.now_or_never().is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_come_to_stand_behind_waiters_that_are_not_polled_do_not_wait_for_their_old_place()
 {
    let (nodes, net, _) = pipes(5);
    let holder = handle(&nodes, &net);
    let other = waiting_as(Retry::DEFAULT, &nodes, &net);
    let guard = holder.lock("r").await.unwrap();
    let ahead: Vec<_> = (0..48).map(|_| wait(&other)).collect();
    sleep(MS).await;
    let mut stuck: Vec<_> = (0..2).map(|_| Box::pin(other.lock("r").into_future())).collect();
    for waiter in &mut stuck {
        assert!(timeout(MS, waiter).await.is_err());
    }
    let behind = wait(&other);
    sleep(MS).await;
    guard.release().await.unwrap();
    let mut last = Instant::now();
    for waiter in ahead {
        let (had, guard) = waiter.await.unwrap();
        guard.release().await.unwrap();
        last = had;
    }
    let (had, _guard) = behind.await.unwrap();
    assert!(had - last <= 4 * ANYWAY[1], "{:?}", had - last);
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn the_first_asks_nothing_when_others_leave_the_queue() {
    let (nodes, net, _) = pipes(5);
    let (holder, other) = (handle(&nodes, &net), handle(&nodes, &net));
    let _guard = holder.lock("r").await.unwrap();
    let _first = wait(&other);
    sleep(MS).await;
    let before = commands(&nodes);
    for _ in 0..10 {
        let others = [wait(&other), wait(&other)];
        sleep(MS).await;
        others.iter().for_each(tokio::task::JoinHandle::abort);
        sleep(MS).await;
    }
    assert_eq!(commands(&nodes), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_could_only_wait_behind_others_is_told_that_it_is_held() {
    let (nodes, net, _) = pipes(5);
    let (holder, other) = (handle(&nodes, &net), waiting_as(Retry::DEFAULT, &nodes, &net));
    let _guard = holder.lock("r").await.unwrap();
    let _first = wait(&other);
    sleep(MS).await;
    // Its one question, at the end of its time, is not answered in it.
    nodes.iter().for_each(|node| net.relay(&node.name()).slow(20 * MS));
    let (limit, begun) = (400 * MS, Instant::now());
    let held = other.lock("r").wait_for(limit).await;
    assert!(matches!(held, Err(Error::Held { .. })), "{held:?}");
    assert!((limit..limit + 2 * MS).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_handles_that_both_want_it_take_turns() {
    const TURNS: usize = 100;
    let (nodes, net, _) = pipes(5);
    // So that both have to wait for it at first: who never does knows of nobody.
    nodes.iter().for_each(|node| drop(node.run(&["SET", "r", "somebody", "PX", "20"])));
    let order = Arc::new(Mutex::new(Vec::new()));
    let all = (0..2).map(|index| {
        tokio::spawn(take_turns(handle(&nodes, &net), index, Arc::clone(&order), TURNS))
    });
    let begun = Instant::now();
    join_all(all).await.into_iter().for_each(|all| all.unwrap());
    let order = order.lock().unwrap();
    let twice = order.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // Not before each has seen the other have it, which takes luck, and not when one has had all his turns.
    assert!(twice <= TURNS, "{twice} times in a row of {order:?}");
    let idle = begun.elapsed() - 5 * MS * u32::try_from(order.len()).unwrap();
    assert!(idle < MS * u32::try_from(TURNS).unwrap(), "nobody had it for {idle:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_had_it_last_gives_no_way_to_those_who_are_gone() {
    let (nodes, net, _) = pipes(5);
    let (one, other) = (handle(&nodes, &net), handle(&nodes, &net));
    let guard = one.lock("r").await.unwrap();
    let waiting = wait(&other);
    sleep(5 * MS).await;
    guard.release().await.unwrap();
    drop(waiting.await.unwrap());
    let mut took = Vec::new();
    for _ in 0..20 {
        sleep(5 * MS).await;
        let begun = Instant::now();
        drop(other.lock("r").await.unwrap());
        took.push(begun.elapsed());
    }
    assert!(took[0] > Duration::ZERO, "he gives way at first: {took:?}");
    assert_eq!(took[19], Duration::ZERO, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_is_closed_ends_every_wait_at_once() {
    let (_nodes, guard, other) = held().await;
    let waits = (0..3).map(|_| {
        let other = other.clone();
        tokio::spawn(async move { other.lock("r").await })
    });
    let waits: Vec<_> = waits.collect();
    sleep(MS).await;
    let begun = Instant::now();
    other.close(TTL).await.unwrap();
    for ended in join_all(waits).await {
        assert!(matches!(ended.unwrap(), Err(Error::Closed)));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn whoever_may_wait_but_for_a_moment_asks_although_others_are_expected() {
    let (_nodes, guard, other) = held().await;
    let waiting = wait(&other);
    sleep(5 * MS).await;
    guard.release().await.unwrap();
    let (_, guard) = waiting.await.unwrap();
    sleep(5 * MS).await;
    guard.release().await.unwrap();
    // Longer than all that a lock takes, and shorter than the shortest delay.
    let got = other.lock("r").wait_for(50 * MS).await;
    assert!(got.is_ok(), "it is free: {got:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_nodes_fail_is_none() {
    const WAITERS: usize = 50;
    let (nodes, net, _) = pipes(5);
    let redlock = waiting_as(Retry::DEFAULT, &nodes, &net);
    let guard = redlock.lock("r").await.unwrap();
    let waits: Vec<_> = (0..WAITERS)
        .map(|_| {
            let redlock = redlock.clone();
            tokio::spawn(async move { redlock.lock("r").await.map(drop) })
        })
        .collect();
    sleep(MS).await;
    let begun = Instant::now();
    nodes.iter().for_each(EmbeddedNode::crash);
    for ended in join_all(waits).await {
        let ended = ended.unwrap();
        assert!(matches!(ended, Err(Error::NoQuorum { .. })), "{ended:?}");
    }
    // Ten seconds for each, nearly all at once.
    assert!(begun.elapsed() < 11_000 * MS, "{:?}", begun.elapsed());
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_many_wait_on_takes_turns_with_another() {
    const TURNS: usize = 60;
    let (nodes, net, _) = pipes(5);
    nodes.iter().for_each(|node| drop(node.run(&["SET", "r", "somebody", "PX", "20"])));
    let order = Arc::new(Mutex::new(Vec::new()));
    let handles = [handle(&nodes, &net), handle(&nodes, &net)];
    // Four wait on the first handle, and one on the second.
    let all = [0, 0, 0, 0, 1].map(|index| {
        tokio::spawn(take_turns(handles[index].clone(), index, Arc::clone(&order), TURNS))
    });
    join_all(all).await.into_iter().for_each(|all| all.unwrap());
    let order = order.lock().unwrap();
    let last = order.iter().rposition(|index| *index == 1).unwrap();
    assert!(last < 3 * TURNS, "one of two has half of the turns: {order:?}");
}
