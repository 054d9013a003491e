//! What each command answers, word for word as the server does. Scripts and connections have files of their own.

use quorlock_testkit::embedded::{EmbeddedNode, Reply};

/// A reply as `redis-cli` would show it, with the type in front.
fn show(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::Status(text) => format!("+{text}"),
        Reply::Error(line) => format!("-{line}"),
        Reply::Int(number) => format!(":{number}"),
        Reply::Verbatim(text) => format!("={text}"),
        Reply::Bulk(bytes) => format!("${}", String::from_utf8_lossy(bytes)),
        Reply::Array(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        Reply::Map(pairs) => format!("{} pairs", pairs.len()),
    }
}

/// Runs the commands in order on one node.
#[track_caller]
fn check(story: &[(&str, &str)]) {
    let node = EmbeddedNode::pipe("node");
    for (command, expected) in story {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(show(&node.run(&words)), *expected, "{command}");
    }
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";

#[tokio::test(start_paused = true)]
async fn values_are_set_read_and_counted() {
    check(&[
        ("GET k", "nil"),
        ("SET k v", "+OK"),
        ("get k", "$v"),
        ("SET k w NX", "nil"),
        ("SET k w XX", "+OK"),
        ("SET k x GET", "$w"),
        ("SET new x GET", "nil"),
        ("SET k y NX GET", "$x"),
        ("GET k", "$x"),
        ("SET absent x XX", "nil"),
        ("SET k a NX XX", "-ERR syntax error"),
        ("SET k a PX", "-ERR syntax error"),
        ("SET k a KEEPTTL PX 1", "-ERR syntax error"),
        ("SET k a PX 1 EX 1", "-ERR syntax error"),
        ("SET k a PX 0", "-ERR invalid expire time in 'set' command"),
        ("SET k a EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
        ("SET k a PX ten", NOT_AN_INTEGER),
        ("INCR n", ":1"),
        ("INCR n", ":2"),
        ("INCR k", NOT_AN_INTEGER),
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_the_wrong_type_for_a_lock() {
    check(&[
        ("LPUSH l a b", ":2"),
        ("TYPE l", "+list"),
        ("GET l", WRONG_TYPE),
        ("INCR l", WRONG_TYPE),
        ("SET l x GET", WRONG_TYPE),
        ("SET k v", "+OK"),
        ("LPUSH k a", WRONG_TYPE),
        ("TYPE k", "+string"),
        ("TYPE absent", "+none"),
        ("SET l x", "+OK"),
        ("GET l", "$x"),
    ]);
}

#[tokio::test(start_paused = true)]
async fn keys_are_counted_listed_and_deleted_each_database_for_itself() {
    check(&[
        ("SET lock:a 1", "+OK"),
        ("SET lock:b 1", "+OK"),
        ("SET other 1", "+OK"),
        ("EXISTS lock:a lock:a absent", ":2"),
        ("KEYS *", "[$lock:a $lock:b $other]"),
        ("KEYS lock:*", "[$lock:a $lock:b]"),
        ("KEYS other", "[$other]"),
        ("SCAN 0 MATCH lock:* COUNT 5", "[$0 [$lock:a $lock:b]]"),
        ("SCAN x", "-ERR invalid cursor"),
        ("DBSIZE", ":3"),
        ("DEL lock:a lock:a absent", ":1"),
        ("DBSIZE", ":2"),
        ("FLUSHDB", "+OK"),
        ("DBSIZE", ":0"),
        ("FLUSHALL ASYNC", "+OK"),
        ("FLUSHALL NOW", "-ERR syntax error"),
        ("SELECT 15", "+OK"),
        ("SELECT 16", "-ERR DB index is out of range"),
        ("SELECT one", NOT_AN_INTEGER),
    ]);
}

#[tokio::test(start_paused = true)]
async fn expiry_is_set_read_and_taken_away() {
    check(&[
        ("SET k v PX 1500", "+OK"),
        ("PTTL k", ":1500"),
        ("TTL k", ":2"),
        ("SET k w KEEPTTL", "+OK"),
        ("PTTL k", ":1500"),
        ("INCR n", ":1"),
        ("PTTL n", ":-1"),
        ("TTL absent", ":-2"),
        ("PEXPIRE k 2000 GT", ":1"),
        ("PEXPIRE k 1000 GT", ":0"),
        ("PEXPIRE k 1000 LT", ":1"),
        ("PEXPIRE k 1000 NX", ":0"),
        ("PEXPIRE n 1000 XX", ":0"),
        ("PEXPIRE k 1 XX BOGUS", "-ERR Unsupported option BOGUS"),
        ("PEXPIRE k ten", NOT_AN_INTEGER),
        ("PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
        ("EXPIRE k 3", ":1"),
        ("PTTL k", ":3000"),
        ("PERSIST k", ":1"),
        ("PERSIST k", ":0"),
        ("TTL k", ":-1"),
        ("EXPIRE k 0", ":1"),
        ("EXISTS k", ":0"),
        ("EXPIRE k 1", ":0"),
        ("SET k v PXAT 1700000000250", "+OK"),
        ("PTTL k", ":250"),
        ("SET k v", "+OK"),
        ("PTTL k", ":-1"),
        ("TIME", "[$1700000000 $0]"),
    ]);
}

#[tokio::test(start_paused = true)]
async fn unknown_and_misused_commands_are_refused_in_the_servers_words() {
    check(&[
        ("PING", "+PONG"),
        ("PING hello", "$hello"),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("ECHO hello", "$hello"),
        ("COMMAND", "[]"),
        ("FOO a b", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
        ("FOO", "-ERR unknown command 'FOO', with args beginning with: "),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("SET k", "-ERR wrong number of arguments for 'set' command"),
        ("CLIENT bogus", "-ERR unknown subcommand 'bogus'. Try CLIENT HELP."),
    ]);
}

#[tokio::test(start_paused = true)]
async fn info_tells_what_a_lock_asks_a_node() {
    let node = EmbeddedNode::pipe("node");
    let info = node.run(&["INFO"]);
    let info = info.text().expect("text");
    for line in [
        "redis_version:7.0.15",
        "tcp_port:6379",
        "role:master",
        "maxmemory_policy:noeviction",
        "cluster_enabled:0",
        "# Keyspace",
        &format!("run_id:{}", node.run_id()),
    ] {
        assert!(info.lines().any(|found| found == line), "{line} in {info}");
    }
    assert_eq!(node.run_id().len(), 40);
    let server = node.run(&["INFO", "server"]);
    assert!(server.text().is_some_and(|text| text.contains("run_id:") && !text.contains("role:")));
}

#[tokio::test(start_paused = true)]
async fn info_counts_the_keys_that_have_not_expired_also_for_a_script() {
    check(&[
        ("INFO keyspace", "=# Keyspace\r\n"),
        ("SET a v", "+OK"),
        ("SET b v PX 2000", "+OK"),
        ("SET c v PX 4000", "+OK"),
        ("INFO keyspace", "=# Keyspace\r\ndb0:keys=3,expires=2,avg_ttl=3000\r\n"),
        (
            "INFO keyspace cluster",
            "=# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=2,avg_ttl=3000\r\n",
        ),
        ("INFO bogus", "="),
        ("EVAL return(redis.call('INFO','cluster')) 0", "$# Cluster\r\ncluster_enabled:0\r\n"),
        ("EVAL return(redis.call('TIME')) 0", "[$1700000000 $0]"),
    ]);
}
