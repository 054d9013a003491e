//! The embedded node against a real server: the same commands at the same time, the same replies. The clocks of both
//! stand still but for the steps that a test makes, so times are compared to the millisecond. Skipped, and said aloud,
//! where no `redis-server` is on PATH, or where it cannot be given another clock.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quorlock_testkit::embedded::{ClockJump, EmbeddedNode};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd};
use tempfile::TempDir;

use super::connections::{over_tcp, patient};
use super::odd::{ODD, ODD_SCRIPTS};
use super::scripts::{ACQUIRE, ACQUIRE_FENCED, CERTIFY, EXTEND, RELEASE, RELEASE_TOGETHER, REPAIR};

/// A real server on a socket in a folder of its own, so that nobody else can be asked by mistake. Ended when dropped.
pub(crate) struct RealServer {
    child: Child,
    folder: TempDir,
}

impl RealServer {
    /// None, said aloud, where there is no server to start, or none that takes this clock.
    pub(crate) async fn start() -> Option<Self> {
        let folder = TempDir::new().expect("a folder for the socket");
        let clock = folder.path().join("clock");
        std::fs::write(&clock, START_US.to_ne_bytes()).expect("the folder is writable");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.args(["--enable-debug-command", "local"]);
        command.arg("--unixsocket").arg(folder.path().join("socket"));
        command.env("QUORLOCK_CLOCK", &clock).env("LD_PRELOAD", still_clock(&folder)?);
        let Ok(child) = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() else {
            return skipped("no redis-server on PATH");
        };
        let server = Self { child, folder };
        for _ in 0..1000 {
            if let Ok(mut connection) = server.try_connect("").await {
                if time_us(&mut connection).await != START_US {
                    return skipped("this redis-server does not take another clock");
                }
                // It is to notice that a key has expired when it is asked for, as the embedded node does, and at no other
                // time: what it had deleted meanwhile would not come back when the clock is set back.
                let mut quiet = cmd("DEBUG");
                quiet.arg("SET-ACTIVE-EXPIRE").arg(0);
                assert_eq!(quiet.query_async(&mut connection).await, Ok(Value::Okay));
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server is on PATH but does not answer");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn show(&self, time_us: i64) {
        let clock = std::fs::File::options().write(true).open(self.folder.path().join("clock"));
        clock.and_then(|clock| clock.write_all_at(&time_us.to_ne_bytes(), 0)).expect("its clock");
    }

    pub(crate) async fn try_connect(&self, query: &str) -> RedisResult<MultiplexedConnection> {
        let url = format!("redis+unix://{}{query}", self.socket().display());
        let client = redis::Client::open(url)?;
        client.get_multiplexed_async_connection_with_config(&patient()).await
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds what shows a server the time of a file. None, said aloud, without a C compiler.
fn still_clock(folder: &TempDir) -> Option<PathBuf> {
    let library = folder.path().join("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embedded/clock.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", source, "-o"]).arg(&library).status();
    match built {
        Ok(status) if status.success() => Some(library),
        _ => skipped("the clock that the server is to be shown cannot be built with cc"),
    }
}

/// What the server's clock begins with: microseconds since 1970.
pub(crate) const START_US: i64 = 1_700_000_000_000_000;

pub(crate) async fn time_us(connection: &mut MultiplexedConnection) -> i64 {
    let time: (i64, i64) = cmd("TIME").query_async(connection).await.expect("it says the time");
    time.0 * 1_000_000 + time.1
}

/// A real server and an embedded node, asked the same at the same time.
struct Pair<'a> {
    server: &'a RealServer,
    real: MultiplexedConnection,
    embedded: MultiplexedConnection,
    node: EmbeddedNode,
    time_us: i64,
    story: Vec<String>,
}

impl<'a> Pair<'a> {
    async fn new(server: &'a RealServer, query: &str) -> Self {
        let node = EmbeddedNode::tcp().await.expect("loopback");
        node.set_clock_rate(0.0);
        let mut embedded = over_tcp(&node, query).await;
        let time_us = time_us(&mut embedded).await;
        let real = server.try_connect(query).await.expect("the server answers");
        server.show(time_us);
        let mut pair = Self { server, real, embedded, node, time_us, story: Vec::new() };
        pair.ask(&["FLUSHALL"]).await;
        pair.ask(&["SCRIPT", "FLUSH"]).await;
        pair
    }

    /// Moves both clocks by so many milliseconds.
    fn step(&mut self, by_ms: i64) {
        self.story.push(format!("(clock {by_ms:+} ms)"));
        let direction = if by_ms < 0 { ClockJump::Backward } else { ClockJump::Forward };
        self.node.jump_clock(Duration::from_millis(by_ms.unsigned_abs()), direction);
        self.time_us += 1000 * by_ms;
        self.server.show(self.time_us);
    }

    /// Asserts that both answer the same.
    async fn ask(&mut self, words: &[&str]) {
        self.story.push(words.join(" "));
        let [embedded, real] = self.answers(words).await;
        assert_eq!(
            embedded,
            real,
            "the embedded node against the server:\n{}",
            self.story.join("\n")
        );
    }

    /// What the embedded node answers, and the server.
    async fn answers(&mut self, words: &[&str]) -> [Result<Value, String>; 2] {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        let embedded = command.query_async::<Value>(&mut self.embedded).await;
        let real = command.query_async::<Value>(&mut self.real).await;
        [embedded, real].map(|answer| match answer {
            Ok(value) => Ok(value),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Past the test harness, which keeps the words of tests that pass to itself.
fn skipped<T>(why: &str) -> Option<T> {
    writeln!(std::io::stderr(), "skipped: the embedded node against a real server: {why}")
        .expect("standard error is open");
    None
}

/// A random command of a lock, over few keys and tokens, so that they meet.
fn random_command(rng: &mut StdRng, shas: &[String]) -> Vec<String> {
    fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
        from[rng.random_range(0..from.len())]
    }
    let keys = ["a", "b", "c"];
    let ttls = ["1000", "1001", "2000", "5000", "0", "-1", "x"];
    let (key, other) = (pick(rng, &keys), pick(rng, &keys));
    let (token, ttl) = (pick(rng, &["t1", "t2"]), pick(rng, &ttls));
    let words: Vec<&str> = match rng.random_range(0..25) {
        0 | 1 => vec!["SET", key, token, "NX", "PX", ttl],
        2 => vec!["SET", key, token, pick(rng, &["XX", "GET", "KEEPTTL", "NX"])],
        3 => vec!["GET", key],
        4 => vec!["DEL", key, other],
        5 => vec!["PTTL", key],
        6 => vec!["PEXPIRE", key, ttl],
        7 => vec!["PEXPIRE", key, ttl, pick(rng, &["NX", "XX"])],
        8 => vec!["PEXPIRE", key, ttl, pick(rng, &["GT", "LT"])],
        9 => vec!["EXISTS", key, other],
        10 => vec![pick(rng, &["INCR", "TYPE", "PERSIST"]), key],
        11 => vec!["LPUSH", key, "x"],
        12 => vec!["EVAL", "return redis.call('INCR', KEYS[1])", "1", key],
        13 => vec!["EVAL", "return redis.pcall('GET', KEYS[1])", "1", key],
        14 | 15 => {
            let script = rng.random_range(0..shas.len());
            let numbers = ["1", "2", "3", "1700000000000000", "9007199254740990", "x"];
            let (one, two) = (pick(rng, &numbers), pick(rng, &numbers));
            let [lock, counter] = [key, other];
            vec!["EVALSHA", &shas[script], "2", lock, counter, token, ttl, one, two, "86400000"]
        }
        22 => vec![pick(rng, &["SETNX", "GETSET"]), key, token],
        24 => vec![
            "GETRANGE",
            key,
            pick(rng, &["0", "1", "-1", "-9", "x"]),
            pick(rng, &["0", "35", "-1", "-3"]),
        ],
        23 => vec![pick(rng, &["MULTI", "EXEC", "EXEC", "DISCARD"])],
        16 => vec![
            "EVALSHA", &shas[4], "4", key, other, "fence:1", "fence:2", token, ttl, "7", "60000",
        ],
        17 => vec!["EVALSHA", &shas[5], "2", key, "fence:1", token, "7", "9", "60000"],
        _ => {
            let script = [0, 1, 2, 3, 6, 6][rng.random_range(0..6)];
            let ttl = if script == 6 { pick(rng, &["t1", "t2"]) } else { ttl };
            vec!["EVALSHA", &shas[script], "2", key, other, token, ttl]
        }
    };
    words.into_iter().map(str::to_owned).collect()
}

/// In this order: without fencing, with it only, and of several locks.
const SCRIPTS: [&str; 7] =
    [ACQUIRE, EXTEND, RELEASE, REPAIR, ACQUIRE_FENCED, CERTIFY, RELEASE_TOGETHER];

const STEPS_MS: [i64; 9] = [1, 1, 499, 999, 1000, 1001, 3000, -1, -1500];

#[tokio::test]
async fn random_commands_of_a_lock_are_answered_as_by_a_real_server() {
    let Some(server) = RealServer::start().await else { return };
    for seed in 0..300 {
        let query = if seed % 2 == 0 { "" } else { "?protocol=resp3" };
        let mut pair = Pair::new(&server, query).await;
        pair.story.push(format!("seed {seed}"));
        let mut shas = Vec::new();
        for script in SCRIPTS {
            pair.ask(&["SCRIPT", "LOAD", script]).await;
            let sha = pair.node.run(&["SCRIPT", "LOAD", script]);
            shas.push(sha.text().expect("the script compiles").to_owned());
        }
        pair.story.clear();
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..30 {
            if rng.random_ratio(1, 3) {
                // Around every TTL, so that a key is asked about in the last millisecond it has and the first it has not.
                pair.step(STEPS_MS[rng.random_range(0..STEPS_MS.len())]);
            }
            let words = random_command(&mut rng, &shas);
            pair.ask(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
}

#[tokio::test]
async fn odd_commands_are_answered_as_by_a_real_server() {
    let Some(server) = RealServer::start().await else { return };
    let mut pair = Pair::new(&server, "").await;
    let commands = ODD.iter().map(|command| command.split(' ').collect());
    let scripts = ODD_SCRIPTS.iter().map(|script| vec!["EVAL", script, "1", "k", "arg"]);
    let mut different = Vec::new();
    for words in commands.chain(scripts) {
        let words: Vec<&str> = words;
        let [embedded, real] = pair.answers(&words).await;
        if embedded != real {
            different
                .push(format!("{}\n  embedded {embedded:?}\n  server   {real:?}", words.join(" ")));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
