//! What happens to locks, as lines of a log: taken, denied, given back, lost.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --features tracing --example traced`

use std::error::Error;
use std::future::pending;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quorlock::{Redlock, TracingObserver};
use tracing_subscriber::filter::LevelFilter;

// One thread, so that the lines come in the order in which things happen.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    // Without the level, a log has only what happens to nodes, and the locks that are lost.
    tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_writer(|| Log).init();
    let redlock = Redlock::builder(nodes.split(','))
        .ttl(Duration::from_secs(10))
        .observer(TracingObserver::default())
        .build()?;

    let guard = redlock.lock("invoice:42").await?;
    let denied = redlock.try_lock("invoice:42").await?;
    assert!(denied.is_none(), "it is held");
    guard.release().await?;
    // Work that never ends: the lock is taken from it.
    let guard = redlock.lock("invoice:43").max_hold(Duration::from_millis(200)).await?;
    let lost = guard.run(pending::<()>()).await.err().ok_or("what never ends has ended")?;
    println!("the holder hears: {lost}");
    drop(guard);
    redlock.close(Duration::from_secs(1)).await?;

    let log = String::from_utf8_lossy(&WRITTEN.lock()?).into_owned();
    for what in ["node connected", "acquired", "denied", "released", "lost"] {
        let is_told = log.lines().any(|line| line.contains(&format!(" quorlock: {what}")));
        assert!(is_told, "the log says `{what}`");
    }
    Ok(())
}

/// Shows what is written, and keeps it for the check at the end: a service needs no writer of its own.
struct Log;

static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        io::stdout().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
