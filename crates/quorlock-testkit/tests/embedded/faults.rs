//! The node's faults: frozen, crashed, wiped, failing; and that nothing stays behind.

use std::io::ErrorKind;

use quorlock_testkit::embedded::{EmbeddedNode, Reply};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::raw::{Raw, eventually};

#[tokio::test(start_paused = true)]
async fn a_frozen_node_takes_commands_in_and_runs_them_when_it_goes_on() {
    let node = EmbeddedNode::pipe("node");
    let mut old = Raw(node.connect().unwrap());
    old.ask("PING", "+PONG\r\n").await;
    node.pause();
    let mut new = Raw(node.connect().expect("a frozen node accepts"));
    old.send("SET k v").await;
    eventually("it has arrived", || node.commands() == 2).await;
    new.send("GET k").await;
    old.expect_silence().await;
    new.expect_silence().await;
    assert_eq!((node.commands(), node.answered()), (3, 1));
    assert!(node.keys().is_empty(), "nothing has run");
    node.resume();
    old.expect("+OK\r\n").await;
    new.expect("$1\r\nv\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn an_orphan_runs_after_its_client_has_closed() {
    let node = EmbeddedNode::pipe("node");
    node.pause();
    let mut client = Raw(node.connect().unwrap());
    client.send("SET k orphan").await;
    drop(client);
    eventually("the close was seen", || node.connections() == 0).await;
    node.resume();
    assert_eq!(node.run(&["GET", "k"]).text(), Some("orphan"));
}

#[tokio::test(start_paused = true)]
async fn an_orphan_whose_connection_was_killed_does_not_run() {
    let node = EmbeddedNode::pipe("node");
    node.pause();
    let mut client = Raw(node.connect().unwrap());
    client.send("SET k orphan").await;
    drop(client);
    eventually("the close was seen", || node.connections() == 0).await;
    assert_eq!(node.run(&["CLIENT", "KILL", "ID", "1"]), Reply::Int(1));
    node.resume();
    assert!(node.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kill_that_arrived_first_spares_the_commands_behind_it() {
    let node = EmbeddedNode::pipe("node");
    let (mut victim, mut killer) = (Raw(node.connect().unwrap()), Raw(node.connect().unwrap()));
    node.pause();
    victim.send("SET before v").await;
    eventually("it has arrived", || node.commands() == 1).await;
    killer.send("CLIENT KILL ID 1").await;
    eventually("it has arrived", || node.commands() == 2).await;
    victim.send("SET behind v").await;
    eventually("it has arrived", || node.commands() == 3).await;
    node.resume();
    killer.expect(":1\r\n").await;
    assert_eq!(node.keys(), ["before"], "in the order of arrival");
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_connections_refuses_new_ones_and_loses_the_data() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    client.ask("SET k v", "+OK\r\n").await;
    let run_id = node.run_id();
    node.crash();
    client.end().await;
    assert_eq!(node.connect().expect_err("nobody is there").kind(), ErrorKind::ConnectionRefused);
    assert!(!node.is_up());
    node.restart().unwrap();
    assert!(node.is_up());
    assert!(node.keys().is_empty());
    assert_ne!(node.run_id(), run_id);
    let mut client = Raw(node.connect().unwrap());
    client.ask("CLIENT ID", ":1\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_intact_keeps_the_data_and_their_expiry() {
    let node = EmbeddedNode::pipe("node");
    node.run(&["SET", "k", "v", "PX", "1000"]);
    node.crash_intact();
    tokio::time::advance(std::time::Duration::from_millis(400)).await;
    node.restart().unwrap();
    assert_eq!(node.run(&["PTTL", "k"]).int(), Some(600));
}

#[tokio::test(start_paused = true)]
async fn a_crash_forgets_what_a_frozen_node_had_taken_in() {
    let node = EmbeddedNode::pipe("node");
    node.pause();
    let mut client = Raw(node.connect().unwrap());
    client.send("SET k v").await;
    eventually("it has arrived", || node.commands() == 1).await;
    node.bounce().unwrap();
    client.end().await;
    assert!(node.keys().is_empty());
    Raw(node.connect().unwrap()).ask("PING", "+PONG\r\n").await;
}

#[tokio::test]
async fn over_tcp_a_crash_resets_refuses_and_comes_back_on_the_same_port() {
    let node = EmbeddedNode::tcp().await.unwrap();
    let addr = node.url().replace("redis://", "");
    for _ in 0..20 {
        let mut client = Raw(TcpStream::connect(&addr).await.unwrap());
        client.ask("SET k v", "+OK\r\n").await;
        node.crash();
        let refused = std::net::TcpStream::connect(&addr).expect_err("refused at once");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(client.end().await, ErrorKind::ConnectionReset);
        node.restart().unwrap();
        let mut client = Raw(TcpStream::connect(&addr).await.unwrap());
        client.ask("GET k", "$-1\r\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wipe_forgets_keys_and_nothing_else() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    client.ask("SET k v", "+OK\r\n").await;
    let run_id = node.run_id();
    node.wipe();
    client.ask("GET k", "$-1\r\n").await;
    assert_eq!(node.run_id(), run_id);
}

#[tokio::test(start_paused = true)]
async fn a_failing_node_refuses_data_commands_and_runs_none() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    node.fail_with(Some("OOM command not allowed when used memory > 'maxmemory'.".to_owned()));
    for command in ["SET k v", "EVAL return(1) 0"] {
        client.ask(command, "-OOM command not allowed when used memory > 'maxmemory'.\r\n").await;
    }
    client.ask("PING", "+PONG\r\n").await;
    assert_eq!(node.run(&["GET", "k"]), Reply::Nil, "the observer still sees");
    node.fail_with(None);
    client.ask("SET k v", "+OK\r\n").await;
}

#[tokio::test]
async fn when_the_last_handle_goes_everything_ends() {
    let node = EmbeddedNode::tcp().await.unwrap();
    let addr = node.url().replace("redis://", "");
    let mut over_tcp = Raw(TcpStream::connect(&addr).await.unwrap());
    let mut over_pipe = Raw(node.connect().unwrap());
    over_tcp.ask("PING", "+PONG\r\n").await;
    over_pipe.ask("PING", "+PONG\r\n").await;
    let second = node.clone();
    drop(node);
    over_pipe.ask("PING", "+PONG\r\n").await;
    drop(second);
    over_tcp.end().await;
    over_pipe.end().await;
    assert!(std::net::TcpStream::connect(&addr).is_err());
    eventually("no task is left", || Handle::current().metrics().num_alive_tasks() == 0).await;
}
