//! The embedded node against a real server: the same commands, the same replies. Skipped, and said aloud, where no
//! `redis-server` is on PATH.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quorlock_testkit::embedded::EmbeddedNode;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd};
use tempfile::TempDir;

use super::connections::{over_tcp, patient};
use super::scripts::{ACQUIRE, EXTEND, RELEASE, REPAIR};

/// A real server on a socket in a folder of its own, so that nobody else can be asked by mistake. Ended when dropped.
struct RealServer {
    child: Child,
    folder: TempDir,
}

impl RealServer {
    /// None where there is no server to start.
    async fn start() -> Option<Self> {
        let folder = TempDir::new().expect("a folder for the socket");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(folder.path().join("socket"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok()?;
        let server = Self { child, folder };
        for _ in 0..1000 {
            if server.try_connect("").await.is_ok() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server is on PATH but does not answer");
    }

    async fn try_connect(&self, query: &str) -> RedisResult<MultiplexedConnection> {
        let socket = self.folder.path().join("socket");
        let client = redis::Client::open(format!("redis+unix://{}{query}", socket.display()))?;
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

/// A real server and an embedded node, asked the same.
struct Pair {
    real: MultiplexedConnection,
    embedded: MultiplexedConnection,
    node: EmbeddedNode,
    story: Vec<String>,
}

impl Pair {
    async fn new(server: &RealServer, query: &str) -> Self {
        let node = EmbeddedNode::tcp().await.expect("loopback");
        let embedded = over_tcp(&node, query).await;
        let real = server.try_connect(query).await.expect("the server answers");
        let mut pair = Self { real, embedded, node, story: Vec::new() };
        pair.ask(&["FLUSHALL"]).await;
        pair.ask(&["SCRIPT", "FLUSH"]).await;
        pair
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
            Ok(value) => Ok(rounded(value)),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Times are asked in steps of 100 s, so that a moment between two servers does not show but a wrong TTL does.
fn rounded(value: Value) -> Value {
    match value {
        Value::Int(number) if number > 10_000 => Value::Int((number + 25_000) / 50_000),
        Value::Array(items) => Value::Array(items.into_iter().map(rounded).collect()),
        other => other,
    }
}

/// Past the test harness, which keeps the words of tests that pass to itself.
fn say_skipped() {
    writeln!(std::io::stderr(), "differential test skipped: no redis-server on PATH")
        .expect("standard error is open");
}

/// A random command of a lock, over few keys and tokens, so that they meet.
fn random_command(rng: &mut StdRng, step: u32, shas: &[String]) -> Vec<String> {
    fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
        from[rng.random_range(0..from.len())]
    }
    let keys = ["a", "b", "c"];
    // Unlike every TTL set before: which of two equal ones is later, the millisecond would decide.
    let unlike = [140_000, 240_000].map(|ttl| (ttl + 1000 * step).to_string());
    let unlike = [unlike[0].as_str(), unlike[1].as_str()];
    let ttls = ["100000", "200000", "300000", "0", "-1", "x"];
    let (key, other) = (pick(rng, &keys), pick(rng, &keys));
    let (token, ttl) = (pick(rng, &["t1", "t2"]), pick(rng, &ttls));
    let words: Vec<&str> = match rng.random_range(0..18) {
        0 | 1 => vec!["SET", key, token, "NX", "PX", ttl],
        2 => vec!["SET", key, token, pick(rng, &["XX", "GET", "KEEPTTL", "NX"])],
        3 => vec!["GET", key],
        4 => vec!["DEL", key, other],
        5 => vec!["PTTL", key],
        6 => vec!["PEXPIRE", key, ttl],
        7 => vec!["PEXPIRE", key, ttl, pick(rng, &["NX", "XX"])],
        8 => vec!["PEXPIRE", key, pick(rng, &unlike), pick(rng, &["GT", "LT"])],
        9 => vec!["EXISTS", key, other],
        10 => vec![pick(rng, &["INCR", "TYPE", "PERSIST"]), key],
        11 => vec!["LPUSH", key, "x"],
        12 => vec!["EVAL", "return redis.call('INCR', KEYS[1])", "1", key],
        13 => vec!["EVAL", "return redis.pcall('GET', KEYS[1])", "1", key],
        _ => {
            let script = rng.random_range(0..shas.len());
            vec!["EVALSHA", &shas[script], "2", key, other, token, ttl]
        }
    };
    words.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn random_commands_of_a_lock_are_answered_as_by_a_real_server() {
    let Some(server) = RealServer::start().await else {
        return say_skipped();
    };
    for seed in 0..300 {
        let query = if seed % 2 == 0 { "" } else { "?protocol=resp3" };
        let mut pair = Pair::new(&server, query).await;
        pair.story.push(format!("seed {seed}"));
        let mut shas = Vec::new();
        for script in [ACQUIRE, EXTEND, RELEASE, REPAIR] {
            pair.ask(&["SCRIPT", "LOAD", script]).await;
            let sha = pair.node.run(&["SCRIPT", "LOAD", script]);
            shas.push(sha.text().expect("the script compiles").to_owned());
        }
        pair.story.clear();
        let mut rng = StdRng::seed_from_u64(seed);
        for step in 0..20 {
            let words = random_command(&mut rng, step, &shas);
            pair.ask(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
}

#[tokio::test]
async fn odd_commands_are_answered_as_by_a_real_server() {
    let Some(server) = RealServer::start().await else {
        return say_skipped();
    };
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

const ODD: &[&str] = &[
    "FOO a b",
    "FOO",
    "GET",
    "PING a b",
    "ECHO",
    "TYPE nokey",
    "KEYS",
    "DBSIZE x",
    "TIME x",
    "SET k v",
    "SET k v NX XX",
    "SET k v PX 0",
    "SET k v PX abc",
    "SET k v EX -1",
    "SET k v PX",
    "SET k v PX 9223372036854775807",
    "SET k v PX 9223372036854775808",
    "SET k v KEEPTTL PX 1",
    "SET k v EX 9223372036854775",
    "SET k v bogus",
    "SET k v PX 1 NX PX 2",
    "SET k v NX NX",
    "SET k v PX 010",
    "SET k v PXAT 1",
    "GET k",
    "SET k v PXAT 0",
    "SET k v",
    "SET k v GET NX",
    "SET q v NX GET",
    "LPUSH l a b",
    "GET l",
    "INCR l",
    "SET l v GET",
    "LPUSH k a",
    "INCR k",
    "TTL k",
    "PTTL nokey",
    "PEXPIRE k 9223372036854775807",
    "PEXPIRE k -9223372036854775808",
    "EXPIRE k 9223372036854775",
    "PEXPIRE k 1 bogus",
    "PEXPIRE k 1 NX XX",
    "PEXPIRE k 1 GT LT",
    "PEXPIRE nokey abc",
    "PEXPIRE nokey 5",
    "PEXPIRE k -5",
    "EXISTS k",
    "SET n 9223372036854775807",
    "INCR n",
    "SET n 007",
    "INCR n",
    "SET n -1",
    "INCR n",
    "SCAN x",
    "SCAN 0 COUNT",
    "SELECT 99",
    "SELECT abc",
    "AUTH x",
    "AUTH a b c",
    "AUTH default x",
    "AUTH me x",
    "HELLO 4",
    "HELLO abc",
    "HELLO 2 bogus",
    "HELLO 2 SETNAME",
    "CLIENT bogus",
    "CLIENT",
    "CLIENT KILL ID abc",
    "CLIENT KILL ID 0",
    "CLIENT KILL ID 99999",
    "CLIENT KILL 1.2.3.4:5",
    "CLIENT GETNAME",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "SCRIPT bogus",
    "SCRIPT EXISTS a b",
    "SCRIPT FLUSH bogus",
    "SCRIPT FLUSH SYNC",
    "SCRIPT LOAD return+",
    "EVAL 1 x",
    "EVAL 1 -1",
    "EVAL 1 2 a",
    "EVALSHA abc 0",
    "EVALSHA abc 1",
    "FLUSHALL bogus",
    "FLUSHDB SYNC",
    "KEYS *",
];

const ODD_SCRIPTS: &[&str] = &[
    "return redis.call('NOPE')",
    "return redis.call('GET')",
    "return redis.call()",
    "return redis.pcall()",
    "return redis.call('SET', 'a', {})",
    "return redis.call('EVAL', 'return 1', 0)",
    "return redis.call('CLIENT', 'ID')",
    "error('boom')",
    "error({err = 'ab cd'})",
    "error({err = 'ab'})",
    "error()",
    "return nil + 1",
    "\n\nreturn KEYS[1] + nil",
    "return redis.error_reply('MY err')",
    "return redis.error_reply('single')",
    "return redis.error_reply('-DASH err')",
    "return {err = 'x y'}",
    "return {ok = 'fine'}",
    "return {1.9, -1.9, true, false, 3}",
    "return {1, nil, 3}",
    "return {{}, {1}}",
    "return 1e300",
    "return -1e300",
    "return 0/0",
    "return 2^53",
    "return 1/3",
    "return {KEYS[1], ARGV[1], KEYS[2] == nil}",
    "foo = 1",
    "return foo",
    "local x = print",
    "syntax error here",
    "return 1 +",
    "return #ARGV",
    "return function() end",
    "redis.call('SET', KEYS[1], 1.5) return redis.call('GET', KEYS[1])",
    "redis.call('SET', KEYS[1], 1e15) return redis.call('GET', KEYS[1])",
    "redis.call('SET', KEYS[1], 0.1) return redis.call('GET', KEYS[1])",
    "return redis.call('SET', KEYS[1], 'v', 'PX', 'abc')",
    "return redis.pcall('SET', KEYS[1], 'v', 'PX', 'abc')",
    "return redis.pcall('SET', KEYS[1], 'v', 'PX', 'abc').err",
    "return redis.call('TYPE', KEYS[1])",
    "return redis.call('TYPE', KEYS[1]).ok",
    "return type(redis.call('GET', 'nokey'))",
    "redis.call('LPUSH', 'list', 'x') return redis.call('GET', 'list')",
    "local ok, e = pcall(redis.call, 'GET', 'list') return {type(e), e.err}",
    "redis.call('SET', 'half', 'v') error('then')",
    "return redis.call('EXISTS', 'half')",
    "KEYS[1] = 'z' return KEYS[1]",
    "return tostring(redis.call('SELECT', 3).ok)",
    "return redis.call('DBSIZE')",
    "return string.format('%d|%s', 3, 'x')",
    "return tonumber('0x10')",
    "return tonumber(ARGV[1]) == nil",
    "return {tostring(1e15), tostring(123456789012)}",
    "return unpack({7, 8})",
    "return redis.sha1hex('abc')",
    "return redis.status_reply('S')",
    "return {redis.status_reply('S'), redis.error_reply('E x')}",
    "local t = {} t[1] = 'a' t[3] = 'c' return t",
    "return redis.call('PING')",
    "return redis.call('ECHO', 'x')",
    "return math.floor(3.7)",
    "return table.concat({'a', 'b'}, ',')",
    "redis.x = 1",
    "string.x = 1",
    "return select('#', 1, nil)",
];
