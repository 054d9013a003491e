//! Who is told when a key changes that it has read, in which order with the replies, and who is not. What the real server
//! does is compared in `differential`.

use std::time::Duration;

use quorlock_testkit::embedded::{ClockJump, EmbeddedNode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, advance, timeout};

use crate::raw::{LIMIT, Raw, eventually};

const OF_K: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
const OF_ALL: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

/// Changes to RESP3; what the node says of itself, in whichever order, is passed over.
pub(crate) async fn say_hello<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>) {
    client.send("HELLO 3").await;
    client.send("ECHO hello").await;
    read_through(client, "$5\r\nhello\r\n").await;
}

/// What comes up to these bytes, and with them; nothing may follow.
pub(crate) async fn read_through<S: AsyncRead + Unpin>(client: &mut Raw<S>, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let result = timeout(LIMIT, client.0.read_buf(&mut read)).await;
        let so_far = String::from_utf8_lossy(&read);
        assert!(matches!(result, Ok(Ok(1..))), "{end:?} was expected, but: {result:?}; {so_far:?}");
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Switches tracking on.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>) {
    say_hello(client).await;
    client.ask("CLIENT TRACKING ON OPTIN", "+OK\r\n").await;
}

/// A connection that tracks `k`, which is not there.
async fn tracker(node: &EmbeddedNode) -> Raw<DuplexStream> {
    let mut client = Raw(node.connect().expect("the node is up"));
    begin(&mut client).await;
    read(&mut client, "_\r\n").await;
    client
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>, value: &str) {
    client.ask("CLIENT CACHING YES", "+OK\r\n").await;
    client.ask("GET k", value).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_once_and_before_the_next_reply() {
    let node = EmbeddedNode::pipe("node");
    let mut client = tracker(&node).await;
    let mut other = Raw(node.connect().unwrap());
    other.ask("SET k v", "+OK\r\n").await;
    client.ask("PING", &format!("{OF_K}+PONG\r\n")).await;
    node.run(&["SET", "k", "w"]);
    client.ask("PING", "+PONG\r\n").await;
    read(&mut client, "$1\r\nw\r\n").await;
    node.run(&["DEL", "k"]);
    client.expect(OF_K).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn over_tcp_as_well() {
    let node = EmbeddedNode::tcp().await.unwrap();
    let addr = node.url().replace("redis://", "");
    let mut client = Raw(TcpStream::connect(addr).await.unwrap());
    begin(&mut client).await;
    read(&mut client, "_\r\n").await;
    node.run(&["SET", "k", "v"]);
    client.ask("GET k", &format!("{OF_K}$1\r\nv\r\n")).await;
}

#[tokio::test(start_paused = true)]
async fn of_its_own_change_a_connection_is_told_behind_the_reply() {
    let node = EmbeddedNode::pipe("node");
    let mut client = tracker(&node).await;
    for command in ["PING", "SET k v", "PING", "FLUSHALL", "PING"] {
        client.send(command).await;
    }
    client.expect(&format!("+PONG\r\n+OK\r\n{OF_K}+PONG\r\n+OK\r\n{OF_ALL}+PONG\r\n")).await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_is_told_to_all_who_track_whatever_they_read() {
    let node = EmbeddedNode::pipe("node");
    let (mut first, mut second) = (tracker(&node).await, Raw(node.connect().unwrap()));
    begin(&mut second).await;
    let mut third = Raw(node.connect().unwrap());
    third.ask("CLIENT TRACKING ON OPTIN", "+OK\r\n").await;
    node.wipe();
    node.run(&["SET", "k", "v"]);
    for client in [&mut first, &mut second] {
        client.ask("PING", &format!("{OF_ALL}+PONG\r\n")).await;
    }
    third.ask("PING", "+PONG\r\n").await;
    for flush in [&["FLUSHDB"][..], &["FLUSHALL"], &["EVAL", "redis.call('FLUSHALL')", "0"]] {
        node.run(flush);
        second.expect(OF_ALL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_is_told_when_the_node_notices() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    begin(&mut client).await;
    for notice in
        [(|node| drop(node.run(&["GET", "k"]))) as fn(&EmbeddedNode), EmbeddedNode::notice_expired]
    {
        node.run(&["SET", "k", "v", "PX", "100"]);
        client.ask("PING", "+PONG\r\n").await;
        read(&mut client, "$1\r\nv\r\n").await;
        advance(Duration::from_millis(101)).await;
        client.ask("PING", "+PONG\r\n").await;
        notice(&node);
        client.ask("PING", &format!("{OF_K}+PONG\r\n")).await;
    }
    node.run(&["SET", "k", "v", "PX", "100"]);
    read(&mut client, "$1\r\nv\r\n").await;
    node.jump_clock(Duration::from_secs(1), ClockJump::Forward);
    client.ask("GET k", &format!("_\r\n{OF_K}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_tells_when_it_goes_on_and_before_what_it_has_taken_in() {
    let node = EmbeddedNode::pipe("node");
    let mut client = tracker(&node).await;
    node.pause();
    client.send("PING").await;
    eventually("it has arrived", || node.log().last().is_some_and(|line| line == "PING")).await;
    node.wipe();
    client.expect_silence().await;
    node.resume();
    client.expect(&format!("{OF_ALL}+PONG\r\n")).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_tells_as_late_as_it_answers() {
    let node = EmbeddedNode::pipe("node");
    let mut client = tracker(&node).await;
    let start = Instant::now();
    node.slow(Duration::from_millis(30));
    node.run(&["SET", "k", "v"]);
    node.slow(Duration::ZERO);
    client.send("PING").await;
    client.expect(OF_K).await;
    assert_eq!(start.elapsed(), Duration::from_millis(30));
    client.expect("+PONG\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_a_run_that_has_ended() {
    let node = EmbeddedNode::pipe("node");
    tracker(&node).await;
    node.bounce().unwrap();
    let mut client = Raw(node.connect().unwrap());
    begin(&mut client).await;
    node.run(&["SET", "k", "v"]);
    client.ask("PING", "+PONG\r\n").await;
}
