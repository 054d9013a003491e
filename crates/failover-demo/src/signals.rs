//! What the terminal or the system says: stop. How everything is cleaned up does not live here.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears the signals that ask the demo to end, from the moment it exists.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The system gives no handlers.
    pub(crate) fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate })
    }

    /// Resolves when the demo is asked to end: by Ctrl-C, or by SIGTERM.
    pub(crate) async fn interrupted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
