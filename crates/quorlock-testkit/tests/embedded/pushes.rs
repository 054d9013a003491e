//! The pushes of the embedded node against those of a real server: the same commands over two connections, the same bytes on
//! each, in the same order. What a reply says is compared in `differential`, with which this shares its server.

use std::time::Duration;

use quorlock_testkit::embedded::{ClockJump, EmbeddedNode, Role};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::{Value, cmd};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::differential::RealServer;
use super::scripts::{ACQUIRE, EXTEND, RELEASE, RELEASE_TOGETHER, REPAIR};
use super::tracking::{read_through, say_hello};
use crate::raw::Raw;

/// Connections to both, and what was sent over them.
struct Pair<'a> {
    server: &'a RealServer,
    node: EmbeddedNode,
    connections: Vec<(Raw<UnixStream>, Raw<TcpStream>)>,
    time_us: i64,
    /// How many have come.
    pushes: usize,
    story: Vec<String>,
}

/// A `CLIENT` command: it does not end what `CLIENT CACHING YES` has begun.
const MARK: [&str; 2] = ["CLIENT", "GETNAME"];
const MARKED: &str = "$4\r\nmark\r\n";

impl<'a> Pair<'a> {
    /// Connections of these protocols.
    async fn new(server: &'a RealServer, protocols: &[u8]) -> Self {
        let mut real = server.try_connect("").await.expect("the server answers");
        assert_eq!(cmd("FLUSHALL").query_async(&mut real).await, Ok(Value::Okay));
        let node = EmbeddedNode::tcp().await.expect("loopback");
        node.set_clock_rate(0.0);
        let mut pair = Self {
            server,
            node,
            connections: Vec::new(),
            time_us: 0,
            pushes: 0,
            story: Vec::new(),
        };
        pair.time_us = pair.node_time_us();
        server.show(pair.time_us);
        for protocol in protocols {
            pair.connect(*protocol).await;
        }
        pair
    }

    fn node_time_us(&self) -> i64 {
        let script = "local t = redis.call('TIME') return t[1] * 1000000 + t[2]";
        self.node.run(&["EVAL", script, "0"]).int().expect("a number")
    }

    async fn connect(&mut self, protocol: u8) {
        let addr = self.node.url().replace("redis://", "");
        let mut real = Raw(UnixStream::connect(self.server.socket()).await.expect("the server"));
        let mut embedded = Raw(TcpStream::connect(addr).await.expect("the node"));
        if protocol == 3 {
            say_hello(&mut real).await;
            say_hello(&mut embedded).await;
        }
        self.connections.push((real, embedded));
        self.ask(self.connections.len() - 1, &["CLIENT", "SETNAME", "mark"]).await;
    }

    /// Moves both clocks by so many milliseconds.
    fn step(&mut self, by_ms: u64) {
        self.story.push(format!("(clock +{by_ms} ms)"));
        self.node.jump_clock(Duration::from_millis(by_ms), ClockJump::Forward);
        self.time_us += 1000 * i64::try_from(by_ms).expect("it is small");
        self.server.show(self.time_us);
    }

    /// Asserts that the same comes over each connection, up to the reply to a command that is sent over it afterwards.
    async fn ask(&mut self, asking: usize, words: &[&str]) {
        self.story.push(format!("{asking}: {}", words.join(" ")));
        send(&mut self.connections[asking], words).await;
        let order = (asking..self.connections.len()).chain(0..asking);
        for connection in order {
            send(&mut self.connections[connection], &MARK).await;
            let (real, embedded) = &mut self.connections[connection];
            let real = read_through(real, MARKED).await;
            let embedded = read_through(embedded, MARKED).await;
            let story = self.story.join("\n");
            assert_eq!(embedded, real, "connection {connection} of the embedded node:\n{story}");
            self.pushes += real.matches("\r\ninvalidate\r\n").count();
        }
    }
}

async fn send(connection: &mut (Raw<UnixStream>, Raw<TcpStream>), words: &[&str]) {
    send_words(&mut connection.0, words).await;
    send_words(&mut connection.1, words).await;
}

async fn send_words<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Raw<S>, words: &[&str]) {
    let bytes = cmd(words[0]).arg(&words[1..]).get_packed_command();
    client.0.write_all(&bytes).await.expect("the connection is open");
}

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

/// A random command about few keys, so that they meet.
fn random_command(rng: &mut StdRng) -> Vec<&'static str> {
    let (key, other) = (pick(rng, &["a", "b"]), pick(rng, &["a", "b"]));
    let (token, ttl) = (pick(rng, &["t1", "t2"]), pick(rng, &["1000", "1001", "5000"]));
    match rng.random_range(0..20) {
        0 | 1 => vec!["SET", key, token, "NX", "PX", ttl],
        2 => vec!["SET", key, token, pick(rng, &["XX", "GET", "KEEPTTL", "NX"])],
        3 => vec!["DEL", key, other],
        4 => vec!["PEXPIRE", key, ttl, pick(rng, &["NX", "XX", "GT", "LT"])],
        5 => vec![pick(rng, &["INCR", "PERSIST"]), key],
        6 => vec!["LPUSH", key, "x"],
        7 => vec!["PEXPIRE", key, pick(rng, &["-1", "0", "1", "x"])],
        8 => vec![pick(rng, &["FLUSHALL", "FLUSHDB"])],
        9 => vec!["SELECT", pick(rng, &["0", "0", "0", "1"])],
        10 => vec!["CLIENT", "TRACKING", pick(rng, &["OFF", "OFF", "MAYBE"])],
        11 | 12 => vec!["CLIENT", "TRACKING", "ON", "OPTIN"],
        13 => vec!["CLIENT", "CACHING", pick(rng, &["NO", "MAYBE"])],
        14 => vec![pick(rng, &["PING", "NOPE", "TIME", "GET"])],
        15 => ["CLIENT NOPE", "CLIENT SETNAME mark"][rng.random_range(0..2)].split(' ').collect(),
        16 => vec!["EVAL", "return redis.call('DEL', KEYS[1])", "1", key],
        17 => vec![
            "EVAL",
            "redis.call('SET', KEYS[2], 1) redis.call('FLUSHALL') redis.call('SET', KEYS[1], 2)",
            "2",
            key,
            other,
        ],
        _ => random_script(rng, key, other, token, ttl),
    }
}

fn random_script(
    rng: &mut StdRng,
    key: &'static str,
    other: &'static str,
    token: &'static str,
    ttl: &'static str,
) -> Vec<&'static str> {
    let script = pick(rng, &[ACQUIRE, EXTEND, RELEASE, REPAIR, RELEASE_TOGETHER]);
    let second = if script == RELEASE_TOGETHER { token } else { ttl };
    vec!["EVAL", script, "2", key, other, token, second]
}

/// A random command that reads keys, or may.
fn random_read(rng: &mut StdRng) -> Vec<&'static str> {
    let (key, other) = (pick(rng, &["a", "b"]), pick(rng, &["a", "b"]));
    let scripts = [
        "return redis.call('GET', KEYS[1])",
        "return redis.call('GET', 'b')",
        "return redis.pcall('GET', 'a') and 1",
        "return redis.call('EXISTS', KEYS[1]) + redis.call('DEL', KEYS[1], KEYS[2])",
        "redis.call('SET', KEYS[1], 1) return redis.call('EXISTS', KEYS[1])",
        "redis.call('TIME') redis.call('PING') return 1",
        "return redis.call('DBSIZE') and 1",
        "return redis.pcall('GET').err",
    ];
    match rng.random_range(0..9) {
        0..3 => vec!["GET", key],
        3 => vec!["EXISTS", key, other],
        4 => vec![pick(rng, &["PTTL", "TTL", "TYPE"]), key],
        8 => vec!["GETRANGE", key, "0", "35"],
        5 => vec!["SET", key, "v", "GET"],
        6 => random_script(rng, key, other, "t1", "1000"),
        _ => vec!["EVAL", pick(rng, &scripts), "2", key, other],
    }
}

#[tokio::test]
async fn random_changes_are_told_to_the_same_connections_in_the_same_order() {
    let Some(server) = RealServer::start().await else { return };
    let mut pushes = 0;
    for seed in 0..200 {
        let protocols: &[u8] = if seed % 5 == 0 { &[3, 2] } else { &[3, 3] };
        let mut pair = Pair::new(&server, protocols).await;
        pair.story.push(format!("seed {seed}"));
        let mut rng = StdRng::seed_from_u64(seed);
        for connection in 0..2 {
            pair.ask(connection, &["CLIENT", "TRACKING", "ON", "OPTIN"]).await;
        }
        for _ in 0..40 {
            let asking = rng.random_range(0..2);
            if rng.random_ratio(1, 5) {
                pair.step([1, 999, 1000, 1001, 5000][rng.random_range(0..5)]);
            }
            if rng.random_ratio(1, 2) {
                pair.ask(asking, &["CLIENT", "CACHING", "YES"]).await;
                if rng.random_ratio(1, 4) {
                    pair.ask(asking, &random_command(&mut rng)).await;
                }
                pair.ask(asking, &random_read(&mut rng)).await;
            } else {
                pair.ask(asking, &random_command(&mut rng)).await;
            }
        }
        pushes += pair.pushes;
    }
    assert!(pushes > 1000, "only {pushes}");
}

/// What a lock does: a marker is read, others change it, it expires, all is flushed.
#[tokio::test]
async fn a_marker_is_told_of_whatever_becomes_of_it() {
    let Some(server) = RealServer::start().await else { return };
    let mut pair = Pair::new(&server, &[3, 3, 2]).await;
    let all = 0..3;
    for connection in all.clone() {
        pair.ask(connection, &["CLIENT", "TRACKING", "ON", "OPTIN"]).await;
    }
    let flushing = "redis.call('FLUSHALL') return redis.call('SET', 'lock', 't')";
    let changes: &[&[&str]] = &[
        &["SET", "marker", "x"],
        &["DEL", "marker"],
        &["FLUSHALL"],
        &["FLUSHDB", "ASYNC"],
        &["PEXPIRE", "marker", "1"],
        &["PERSIST", "marker"],
        &["EVAL", flushing, "0"],
        &["GET", "marker"],
        &["SET", "marker", "x", "NX"],
    ];
    for (change, by) in changes.iter().flat_map(|change| all.clone().map(move |by| (change, by))) {
        pair.ask(by, &["SET", "marker", "m", "PX", "1000"]).await;
        for connection in all.clone() {
            pair.ask(connection, &["CLIENT", "CACHING", "YES"]).await;
            pair.ask(connection, &["GET", "marker"]).await;
        }
        if ["GET", "NX"].iter().any(|word| change.contains(word)) {
            pair.step(1001);
        }
        pair.ask(by, change).await;
        pair.ask(by, change).await;
    }
    assert!(pair.pushes > changes.len() * 3, "{}", pair.pushes);
}

#[tokio::test]
async fn a_replica_refuses_what_a_real_one_refuses() {
    let Some(server) = RealServer::start().await else { return };
    let mut pair = Pair::new(&server, &[3, 2]).await;
    pair.ask(0, &["SET", "k", "v"]).await;
    pair.ask(1, &["SET", "n", "1"]).await;
    let mut real = server.try_connect("").await.expect("the server answers");
    // Nobody is there: it stays as it is.
    let copied: Value =
        cmd("REPLICAOF").arg("127.0.0.1").arg(0).query_async(&mut real).await.unwrap();
    assert_eq!(copied, Value::Okay);
    pair.node.set_role(Role::Replica);
    for words in [
        &["SET", "k", "w"][..],
        &["SET", "k", "w", "PX", "abc"],
        &["SET", "k"],
        &["DEL", "absent"],
        &["INCR", "n"],
        &["PEXPIRE", "k", "1"],
        &["FLUSHALL"],
        &["GET", "k"],
        &["PTTL", "k"],
        &["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"],
        &["EVAL", "return redis.call('DEL', KEYS[1])", "1", "k"],
        &["EVAL", "return redis.pcall('DEL', KEYS[1])", "1", "k"],
        &["EVAL", RELEASE, "1", "k", "v"],
        &["EVAL", ACQUIRE, "1", "k", "t", "1000"],
        &["EVAL", ACQUIRE, "1", "new", "t", "1000"],
    ] {
        pair.ask(0, words).await;
        pair.ask(1, words).await;
    }
}
