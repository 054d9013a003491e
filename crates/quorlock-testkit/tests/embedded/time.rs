//! The node's clock under paused time: expiry to the millisecond, jumps, rates, late replies.

use std::time::Duration;

use quorlock_testkit::embedded::{ClockJump, EmbeddedNode};
use tokio::time::{Instant, advance};

use crate::raw::Raw;

const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[tokio::test(start_paused = true)]
async fn a_key_is_there_until_its_time_is_over_and_not_a_millisecond_longer() {
    let node = EmbeddedNode::pipe("node");
    node.run(&["SET", "k", "v", "PX", "100"]);
    advance(ms(40)).await;
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(60));
    advance(ms(60)).await;
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(0));
    assert_eq!(node.keys(), ["k"]);
    advance(ms(1)).await;
    assert!(node.keys().is_empty());
    assert_eq!(node.run(&["DEL", "k"]).int(), Some(0));
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(-2));
}

#[tokio::test(start_paused = true)]
async fn a_jump_forward_expires_early_and_one_backward_late() {
    let node = EmbeddedNode::pipe("node");
    node.run(&["SET", "k", "v", "PX", "1000"]);
    node.jump_clock(ms(400), ClockJump::Forward);
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(600));
    node.jump_clock(ms(900), ClockJump::Backward);
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(1500));
    node.jump_clock(ms(1501), ClockJump::Forward);
    assert!(node.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fast_clock_expires_early() {
    let node = EmbeddedNode::pipe("node");
    node.run(&["SET", "k", "v", "PX", "1000"]);
    node.set_clock_rate(2.0);
    advance(ms(300)).await;
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(400));
}

#[tokio::test(start_paused = true)]
async fn slow_replies_are_late_by_exactly_that_much_and_overlap() {
    let node = EmbeddedNode::pipe("node");
    node.slow(ms(30));
    let mut client = Raw(node.connect().unwrap());
    let start = Instant::now();
    client.send("SET k v").await;
    client.send("GET k").await;
    client.expect("+OK\r\n").await;
    assert_eq!(start.elapsed(), ms(30));
    client.expect("$1\r\nv\r\n").await;
    assert_eq!(start.elapsed(), ms(30));
    node.slow(Duration::ZERO);
    client.ask("PING", "+PONG\r\n").await;
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test(start_paused = true)]
async fn a_reply_never_overtakes_a_slower_one() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    node.slow(ms(50));
    client.send("ECHO first").await;
    crate::raw::eventually("it has arrived", || node.commands() == 1).await;
    node.slow(Duration::ZERO);
    client.send("ECHO second").await;
    client.expect("$5\r\nfirst\r\n$6\r\nsecond\r\n").await;
}
