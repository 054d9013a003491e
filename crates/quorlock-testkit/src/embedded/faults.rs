//! What can happen to an embedded node. What happens to the wire in front of it is the proxy's.

use std::io;
use std::time::Duration;

use super::clock::ClockJump;
use super::node::EmbeddedNode;
use super::server::State;

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
        });
    }

    /// Ends the process; the data survive, as with a log on disk that was written before every reply.
    pub fn crash_intact(&self) {
        self.with(super::server::Server::die);
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
        self.with(|server| server.keyspace.clear_all());
    }

    /// Forgets all scripts: SCRIPT FLUSH.
    pub fn flush_scripts(&self) {
        self.with(|server| server.scripts.flush());
    }

    /// Answers every command that touches keys with this error line, without running it, until told `None`.
    pub fn fail_with(&self, line: Option<String>) {
        self.with(|server| server.failing = line);
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
