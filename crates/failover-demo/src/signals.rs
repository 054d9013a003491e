//! What the terminal or the system says: stop. How everything is cleaned up does not live here.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the demo is asked to end: by Ctrl-C, or by SIGTERM.
pub(crate) async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers both signals end the process at once: there is nothing to wait for.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
