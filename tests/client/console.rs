//! Lines in and lines out: how the suite and this process talk. What they mean does not live here.

use std::fmt::Display;
use std::io::{Write, stdin, stdout};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The lines that the suite sends.
pub(crate) struct Console(UnboundedReceiver<String>);

impl Console {
    pub(crate) fn open() -> Self {
        let (sender, receiver) = unbounded_channel();
        // A thread of its own: a runtime waits for its blocking reads when it ends, and this one may never return.
        std::thread::spawn(move || {
            for line in stdin().lines() {
                if line.is_ok_and(|line| sender.send(line).is_ok()) {
                    continue;
                }
                return;
            }
        });
        Self(receiver)
    }

    /// The next line; `None` when the suite has no more to say.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.0.recv().await
    }
}

/// Tells the suite.
pub(crate) fn say(what: impl Display) {
    // A suite that is gone reads no more: the end of the input says so too.
    writeln!(stdout(), "{what}").ok();
}
