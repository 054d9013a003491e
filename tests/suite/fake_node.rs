//! A node that answers as it is told: it greets like a server, then gives whatever bytes a test wants in place of an answer.
//! Nothing is asserted here.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorlock::seam::text;
use redis::Script;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What a fake node asks for at the login; it takes any.
pub(crate) const PASSWORD: &str = "open-sesame";
/// In what a node says: the token of the command that it answers.
pub(crate) const TOKEN: &str = "{token}";
/// Between two bytes that come one at a time, so that each comes in a piece of its own.
const PACE: Duration = Duration::from_millis(1);

/// How a node answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Grants everything, and confirms every release.
    Well,
    /// These bytes.
    Says(&'static [u8]),
    /// These bytes, one at a time.
    Spells(&'static [u8]),
    /// These bytes, and then nothing more on this connection, to whatever it is asked.
    Hangs(&'static [u8]),
    /// These bytes, and then the end of the connection.
    Closes(&'static [u8]),
    /// A string of so many bytes.
    Huge(usize),
    /// A status that does not end.
    Endless,
}

/// What is answered in that manner; the rest is answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What takes a lock.
    Acquires,
    /// The greeting of the newer protocol.
    Greetings,
    /// Whatever is asked about a lock.
    Locks,
    /// Everything, the login included; where a connection ends or hangs, it does so before it was asked anything.
    Everything,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Acquire,
    Extend,
    Repair,
    Release,
}

/// A command about a lock that a node got.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) verb: Verb,
    pub(crate) key: String,
    pub(crate) token: String,
    by_script: bool,
}

/// The node; it ends with all its connections when it is dropped.
pub(crate) struct FakeNode {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Bytes of answers without end that the other side's system took.
    poured: AtomicU64,
}

struct State {
    manner: (Scope, Manner),
    heard: Vec<Heard>,
    scripts: HashMap<String, Verb>,
    accepted: u64,
}

impl Default for State {
    fn default() -> Self {
        let manner = (Scope::Everything, Manner::Well);
        Self { manner, heard: Vec::new(), scripts: HashMap::new(), accepted: 0 }
    }
}

impl FakeNode {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::<Shared>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { port, shared, serving }
    }

    pub(crate) async fn start_some(count: usize) -> Vec<Self> {
        futures::future::join_all((0..count).map(|_| Self::start())).await
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// What the library calls it.
    pub(crate) fn name(&self) -> String {
        format!("127.0.0.1:{}/0", self.port)
    }

    /// Answers in this manner from now on.
    pub(crate) fn answers(&self, scope: Scope, manner: Manner) {
        self.shared.state().manner = (scope, manner);
    }

    /// All that it was asked about locks.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.state().heard.clone()
    }

    /// How often it was asked this about a lock.
    pub(crate) fn count(&self, verb: Verb, key: &str) -> usize {
        let state = self.shared.state();
        state.heard.iter().filter(|heard| heard.verb == verb && heard.key == key).count()
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }

    /// How much of answers without end it got rid of.
    pub(crate) fn poured(&self) -> u64 {
        self.shared.poured.load(Ordering::SeqCst)
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the command; says how it is to be answered, and with what if that is well.
    fn hear(&self, words: &[String]) -> (Manner, Vec<u8>, String) {
        let mut state = self.state();
        let is = |index: usize, word: &str| {
            words.get(index).is_some_and(|it| it.eq_ignore_ascii_case(word))
        };
        if is(0, "SCRIPT") && is(1, "LOAD") {
            let hash = Script::new(&words[2]).get_hash().to_owned();
            state.scripts.extend(verb_of(&words[2]).map(|verb| (hash, verb)));
        }
        let heard = state.lock_command(words);
        let (scope, manner) = state.manner;
        let is_meant = match heard.as_ref().map(|heard| heard.verb) {
            Some(Verb::Acquire) => scope != Scope::Greetings,
            Some(_) => matches!(scope, Scope::Locks | Scope::Everything),
            None if is(0, "HELLO") => matches!(scope, Scope::Greetings | Scope::Everything),
            None => scope == Scope::Everything,
        };
        let manner = if is_meant { manner } else { Manner::Well };
        let well = heard.as_ref().map_or_else(|| greeting(words, state.accepted), well);
        let token = heard.as_ref().map(|heard| heard.token.clone()).unwrap_or_default();
        state.heard.extend(heard);
        (manner, well, token)
    }
}

impl State {
    fn lock_command(&self, words: &[String]) -> Option<Heard> {
        match words[0].as_str() {
            "SET" => {
                let (key, token) = (words[1].clone(), words[2].clone());
                Some(Heard { verb: Verb::Acquire, key, token, by_script: false })
            }
            script @ ("EVAL" | "EVALSHA") => {
                let verb = match script {
                    "EVAL" => verb_of(&words[1])?,
                    _ => *self.scripts.get(&words[1])?,
                };
                let keys: usize = words[2].parse().ok()?;
                let (key, token) = (words[3].clone(), words[3 + keys].clone());
                Some(Heard { verb, key, token, by_script: true })
            }
            _ => None,
        }
    }
}

/// Nobody asks it for a fenced lock, and nobody joins it. Releases together it does not know, and is asked each alone.
fn verb_of(script: &str) -> Option<Verb> {
    match script {
        text::ACQUIRE | text::ACQUIRE_FENCED | text::CERTIFY => Some(Verb::Acquire),
        text::EXTEND => Some(Verb::Extend),
        text::REPAIR => Some(Verb::Repair),
        text::RELEASE => Some(Verb::Release),
        text::JOIN | text::RELEASE_TOGETHER => None,
        other => panic!("a script that this node does not know: {other}"),
    }
}

fn well(heard: &Heard) -> Vec<u8> {
    match heard.verb {
        Verb::Acquire if !heard.by_script => b"+OK\r\n".to_vec(),
        Verb::Acquire | Verb::Repair => b":1\r\n".to_vec(),
        Verb::Extend => b"*2\r\n:1\r\n:1000\r\n".to_vec(),
        Verb::Release => b"*3\r\n:1\r\n:0\r\n:0\r\n".to_vec(),
    }
}

/// The answer to what is no question about a lock.
fn greeting(words: &[String], number: u64) -> Vec<u8> {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    let answer = match (words[0].as_str(), second) {
        ("HELLO", _) => format!("%1\r\n{}:3\r\n", bulk("proto")),
        ("PING", _) => "+PONG\r\n".to_owned(),
        ("INFO", _) => bulk(&format!("# Server\r\nrun_id:{}\r\n", "0".repeat(40))),
        ("CLIENT", "ID") => format!(":{number}\r\n"),
        ("CLIENT", "KILL") => ":1\r\n".to_owned(),
        ("COMMAND", _) => "*2\r\n*-1\r\n*-1\r\n".to_owned(),
        ("EVALSHA", hash) if hash == Script::new(text::RELEASE_TOGETHER).get_hash() => {
            "-NOSCRIPT No matching script.\r\n".to_owned()
        }
        ("SCRIPT", _) => bulk(Script::new(&words[2]).get_hash()),
        ("AUTH" | "SELECT" | "CLIENT", _) => "+OK\r\n".to_owned(),
        _ => panic!("what nobody should ask a node: {words:?}"),
    };
    answer.into_bytes()
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        shared.state().accepted += 1;
        connections.spawn(converse(stream, Arc::clone(&shared)));
    }
}

/// One connection, to its end: an error is that the other side has left.
async fn converse(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let mut voice = Voice { write, shared: Arc::clone(&shared), hangs: false };
    let (scope, manner) = shared.state().manner;
    if scope == Scope::Everything
        && matches!(manner, Manner::Hangs(_) | Manner::Closes(_))
        && !voice.give(manner, &[], "").await?
    {
        return Ok(());
    }
    let mut read = BufReader::new(read);
    while let Some(words) = command(&mut read).await? {
        let (manner, well, token) = shared.hear(&words);
        if !voice.give(manner, &well, &token).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// What a connection says.
struct Voice {
    write: OwnedWriteHalf,
    shared: Arc<Shared>,
    hangs: bool,
}

impl Voice {
    /// Answers; whether the connection goes on.
    async fn give(&mut self, manner: Manner, well: &[u8], token: &str) -> io::Result<bool> {
        if self.hangs {
            return Ok(true);
        }
        match manner {
            Manner::Well => self.write.write_all(well).await?,
            Manner::Says(bytes) => self.write.write_all(&with_token(bytes, token)).await?,
            Manner::Spells(bytes) => {
                for byte in with_token(bytes, token) {
                    self.write.write_all(&[byte]).await?;
                    tokio::time::sleep(PACE).await;
                }
            }
            Manner::Hangs(bytes) => {
                self.write.write_all(bytes).await?;
                self.hangs = true;
            }
            Manner::Closes(bytes) => {
                self.write.write_all(bytes).await?;
                self.write.shutdown().await?;
                return Ok(false);
            }
            Manner::Huge(length) => {
                self.write.write_all(format!("${length}\r\n").as_bytes()).await?;
                self.pour(length).await?;
                self.write.write_all(b"\r\n").await?;
            }
            Manner::Endless => {
                self.write.write_all(b"+").await?;
                self.pour(usize::MAX).await?;
            }
        }
        Ok(true)
    }

    async fn pour(&mut self, length: usize) -> io::Result<()> {
        let chunk = [b'x'; 1 << 16];
        let mut left = length;
        while left > 0 {
            let written = self.write.write(&chunk[..left.min(chunk.len())]).await?;
            self.shared.poured.fetch_add(written as u64, Ordering::SeqCst);
            left -= written;
        }
        Ok(())
    }
}

fn with_token(bytes: &[u8], token: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace(TOKEN, token).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

/// The next command: a list of strings. None at the end of the connection.
async fn command(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<String>>> {
    let Some(length) = number(read, '*').await? else { return Ok(None) };
    let mut words = Vec::with_capacity(length);
    for _ in 0..length {
        let Some(length) = number(read, '$').await? else { return Ok(None) };
        let mut word = vec![0; length + 2];
        read.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(String::from_utf8(word).expect("all that the library sends is text"));
    }
    Ok(Some(words))
}

async fn number(read: &mut BufReader<OwnedReadHalf>, mark: char) -> io::Result<Option<usize>> {
    let mut line = String::new();
    read.read_line(&mut line).await?;
    Ok(line.trim_end().strip_prefix(mark).and_then(|number| number.parse().ok()))
}
