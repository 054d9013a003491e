//! Nodes that say of themselves what a lock may not like, or that can less. What they say unasked-for is in `commands`.

use quorlock_testkit::embedded::{EmbeddedNode, Mode, Reply, Role};

use crate::raw::Raw;
use crate::tracking::say_hello;

#[track_caller]
fn assert_says(node: &EmbeddedNode, section: &str, line: &str) {
    for command in [
        &["INFO", section][..],
        &["INFO"],
        &["EVAL", "return redis.call('INFO', ARGV[1])", "0", section],
    ] {
        let reply = node.run(command);
        let text = reply.text().expect("text");
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

const READONLY: &str = "READONLY You can't write against a read only replica.";

#[tokio::test(start_paused = true)]
async fn a_replica_says_so_and_refuses_writes_also_those_of_scripts() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    client.ask("SET k v", "+OK\r\n").await;
    node.set_role(Role::Replica);
    assert_says(&node, "replication", "role:slave");
    for command in ["SET k w", "DEL absent", "PEXPIRE k 5", "FLUSHALL", "SET k v PX abc"] {
        client.ask(command, &format!("-{READONLY}\r\n")).await;
    }
    client.ask("SET k", "-ERR wrong number of arguments for 'set' command\r\n").await;
    client.ask("GET k", "$1\r\nv\r\n").await;
    client.ask("EVAL return(redis.call('GET',KEYS[1])) 1 k", "$1\r\nv\r\n").await;
    client
        .ask("EVAL return(redis.pcall('DEL','k').err) 0", &format!("$53\r\n{READONLY}\r\n"))
        .await;
    client.ask("EVAL redis.call('DEL','k') 0", &format!("-{READONLY} script: ")).await;
    assert_eq!(node.run(&["SET", "k", "w"]), Reply::Status("OK".to_owned()), "as its master would");
    node.set_role(Role::Master);
    assert_says(&node, "replication", "role:master");
}

#[tokio::test(start_paused = true)]
async fn a_node_says_what_it_was_told_to_say_also_after_a_restart() {
    let node = EmbeddedNode::pipe("node");
    node.set_mode(Mode::Cluster);
    node.set_eviction_policy("volatile-lru");
    node.set_max_memory(1 << 20);
    node.bounce().unwrap();
    assert_says(&node, "cluster", "cluster_enabled:1");
    assert_says(&node, "server", "redis_mode:cluster");
    assert_says(&node, "memory", "maxmemory_policy:volatile-lru");
    assert_says(&node, "memory", "maxmemory:1048576");
    let Reply::Map(greeting) = node.run(&["HELLO"]) else { panic!("HELLO answers with a map") };
    assert!(greeting.contains(&("mode".to_owned(), Reply::Bulk(b"cluster".to_vec()))));
}

#[tokio::test(start_paused = true)]
async fn a_node_may_refuse_to_track() {
    let node = EmbeddedNode::pipe("node");
    let mut client = Raw(node.connect().unwrap());
    say_hello(&mut client).await;
    node.refuse_tracking();
    let refused = "-NOPERM this user has no permissions to run the 'client|tracking' command\r\n";
    client.ask("CLIENT TRACKING ON OPTIN", refused).await;
    client.send("CLIENT CACHING YES").await;
    client
        .expect("-ERR CLIENT CACHING can be called only when the client is in tracking mode")
        .await;
    client.expect(" with OPTIN or OPTOUT mode enabled\r\n").await;
    node.allow_tracking();
    client.ask("CLIENT TRACKING ON OPTIN", "+OK\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_may_know_the_older_protocol_only() {
    let node = EmbeddedNode::pipe("node");
    node.know_resp2_only();
    let mut client = Raw(node.connect().unwrap());
    client.ask("HELLO 3", "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n").await;
    let unknown = "-ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.\r\n";
    client.ask("CLIENT TRACKING ON OPTIN", unknown).await;
    client.ask("GET k", "$-1\r\n").await;
}
