//! What can happen to an embedded node. What happens to the wire in front of it is the proxy's.

use std::io;
use std::time::Duration;

use super::changes::Changes;
use super::clock::ClockJump;
use super::keyspace::{DATABASES, Entry};
use super::node::EmbeddedNode;
use super::server::State;
use super::view::lossy;

/// Faults. Each has taken effect when the method returns.
impl EmbeddedNode {
    /// Freezes the node as SIGSTOP does: connections are accepted and commands taken in, nothing is run or
    /// answered until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.with(|server| {
            if server.state == State::Running {
                server.state = State::Frozen;
            }
        });
    }

    /// Goes on: what came in while frozen is run in the order of its arrival, also for clients that have closed
    /// meanwhile, as a real server does. A connection killed before loses what it had sent.
    pub fn resume(&self) {
        self.with(|server| {
            if server.state == State::Frozen {
                server.thaw();
            }
        });
    }

    /// Ends the process: connections are reset, new ones refused, memory is lost.
    pub fn crash(&self) {
        self.with(|server| {
            server.die();
            server.keyspace.clear_all();
            server.forget_changes();
        });
    }

    /// Ends the process; the data survive, as with a log on disk that was written before every reply.
    pub fn crash_intact(&self) {
        self.with(super::server::Server::die);
    }

    /// From now on keeps what [`crash_rolled_back`](Self::crash_rolled_back) needs, at the cost of a copy of all keys
    /// per command.
    pub(crate) fn remember_changes(&self) {
        self.with(|server| server.changes = Some(Changes::default()));
    }

    /// From now on keeps what [`touched_others`](Self::touched_others) tells.
    pub(crate) fn watch_others(&self) {
        self.with(|server| server.touched_others = Some(Vec::new()));
    }

    /// Keys that clients changed or deleted although their command did not name what they held, if that was
    /// [watched](Self::watch_others).
    pub(crate) fn touched_others(&self) -> Vec<String> {
        self.with(|server| server.touched_others.clone().unwrap_or_default())
    }

    /// Ends the process; what the last `changes` commands changed is lost, of those that were
    /// [remembered](Self::remember_changes). Returns the keys that came back by it, or are what they were before, with
    /// their texts.
    pub(crate) fn crash_rolled_back(&self, changes: usize) -> Vec<(String, String)> {
        self.with(|server| {
            server.die();
            let before = server.changes.as_mut().and_then(|known| known.take_back(changes));
            let Some(mut before) = before else { return Vec::new() };
            let now_ms = server.now_ms();
            // What has expired is not loaded, so that no jump of the clock revives it.
            before.purge(now_ms);
            let lost = std::mem::replace(&mut server.keyspace, before);
            let is_back = |db, key: &Vec<u8>, entry: &Entry| {
                lost.entries(db, i64::MIN).all(|(other, was)| (other, was) != (key, entry))
            };
            let back = (0..DATABASES).flat_map(|db| {
                let entries = server.keyspace.entries(db, now_ms);
                entries.filter(move |(key, entry)| is_back(db, key, entry))
            });
            back.filter_map(|(key, entry)| Some((lossy(key), entry.text()?))).collect()
        })
    }

    /// Starts a crashed node again, on the same port: a new run id, client ids from 1, no scripts. A node that
    /// is up stays as it is.
    ///
    /// # Errors
    /// Where the port was taken by another process; not on Linux, where it stays reserved.
    pub fn restart(&self) -> io::Result<()> {
        self.with(|server| {
            if server.state != State::Down {
                return Ok(());
            }
            if let Some(port) = &mut server.port {
                port.reopen(self.server())?;
            }
            server.boot();
            Ok(())
        })
    }

    /// [`crash`](Self::crash), then [`restart`](Self::restart).
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn bounce(&self) -> io::Result<()> {
        self.crash();
        self.restart()
    }

    /// Forgets all keys: FLUSHALL. The process goes on.
    pub fn wipe(&self) {
        self.with(|server| {
            server.wipe();
            server.forget_changes();
        });
    }

    /// Forgets what has expired by now and tells those who track it: what a server does in its spare time, and this node
    /// only when it is told to. Otherwise it notices when the key is asked for. A node that is frozen or down does nothing.
    pub fn notice_expired(&self) {
        self.with(|server| {
            if server.state == State::Running {
                server.notice_expired();
            }
        });
    }

    /// Forgets all scripts: SCRIPT FLUSH.
    pub fn flush_scripts(&self) {
        self.with(|server| server.scripts.flush());
    }

    /// Answers every command that touches keys with this error line, without running it, until told `None`.
    pub fn fail_with(&self, line: Option<String>) {
        self.with(|server| server.failing = line);
    }

    /// Gives it a compare-and-delete of its own, as newer servers have: `delex` or `delifeq`.
    pub fn add_native_delete(&self, name: &'static str) {
        self.with(|server| server.native = Some(name));
    }

    /// Whether it refuses its own compare-and-delete, as it does where the user has no right to it. It still tells of it.
    pub fn refuse_native_delete(&self, refuses: bool) {
        self.with(|server| server.refuses_native = refuses);
    }

    /// Whether it answers `CLIENT KILL` as it does where the user has no right to it. Says whether it did before.
    pub(crate) fn refuse_kill(&self, refuses: bool) -> bool {
        self.with(|server| std::mem::replace(&mut server.refuses_kill, refuses))
    }

    /// Sends every reply this much later; commands run at once.
    pub fn slow(&self, delay: Duration) {
        self.with(|server| server.delay = delay);
    }

    /// Moves the node's clock once.
    pub fn jump_clock(&self, by: Duration, direction: ClockJump) {
        self.with(|server| server.clock.jump(by, direction));
    }

    /// Makes the node's clock run at this rate from now on; 1.0 is right.
    pub fn set_clock_rate(&self, rate: f64) {
        self.with(|server| server.clock.set_rate(rate));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn send(node: &EmbeddedNode, command: &str) -> String {
        let mut pipe = node.connect().unwrap();
        let words: Vec<_> = command.split(' ').collect();
        let mut bytes = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| bytes += &format!("${}\r\n{word}\r\n", word.len()));
        pipe.write_all(bytes.as_bytes()).await.unwrap();
        let mut reply = vec![0; 256];
        let length = pipe.read(&mut reply).await.unwrap();
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_takes_the_last_changes_back_and_no_command_that_changed_nothing() {
        let node = EmbeddedNode::pipe("n");
        node.remember_changes();
        send(&node, "SET a t NX PX 1000").await;
        send(&node, "DEL a").await;
        send(&node, "SET a u NX PX 1000").await;
        send(&node, "SET a v NX PX 1000").await;
        assert_eq!(node.crash_rolled_back(2), [("a".to_owned(), "t".to_owned())]);
        node.restart().unwrap();
        assert_eq!(node.texts(), [("a".into(), "t".into(), Duration::from_secs(1))]);
        assert!(node.crash_rolled_back(5).is_empty());
        assert!(node.texts().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_wiped_does_not_come_back() {
        let node = EmbeddedNode::pipe("n");
        node.remember_changes();
        send(&node, "SET a t NX PX 1000").await;
        node.wipe();
        assert!(node.crash_rolled_back(8).is_empty());
        assert!(node.texts().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_can_refuse_to_kill() {
        let node = EmbeddedNode::pipe("n");
        assert!(!node.refuse_kill(true));
        assert!(send(&node, "CLIENT KILL ID 7").await.starts_with("-NOPERM"));
        assert!(node.refuse_kill(false));
        assert_eq!(send(&node, "CLIENT KILL ID 7").await, ":0\r\n");
    }
}
