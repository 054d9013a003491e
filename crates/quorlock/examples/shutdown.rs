//! Graceful shutdown: at a SIGTERM, or when all is done, a service begins nothing new, finishes what it has begun, and leaves
//! when the nodes have confirmed that its locks are given back. The next one need not wait for a TTL.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example shutdown`

use std::error::Error;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use quorlock::Redlock;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

const INVOICES: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let client = || Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(60)).build();

    let (charged, ()) = tokio::try_join!(serve(client()?), terminate())?;
    println!("left after {charged} of {INVOICES} invoices");
    assert!((1..INVOICES).contains(&charged), "the signal came in the middle");

    let next = client()?;
    let all: Vec<_> = (0..INVOICES).map(|invoice| format!("invoice:{invoice}")).collect();
    let guard = next.try_lock(all).await?.ok_or("a lock was left behind")?;
    println!("the next one has every invoice at once");
    guard.release().await?;
    if let Err(undrained) = next.close(Duration::from_secs(1)).await {
        eprintln!("{undrained}");
    }
    Ok(())
}

/// Charges one invoice after the other, and says how many.
async fn serve(redlock: Redlock) -> Result<usize, Box<dyn Error>> {
    let mut stop = signal(SignalKind::terminate())?;
    let mut charged = 0;
    while charged < INVOICES {
        // A lock that is waited for when the signal comes is not wanted any more. The dropped request leaves no key behind.
        let guard = tokio::select! {
            biased;
            _ = stop.recv() => break,
            guard = redlock.lock(format!("invoice:{charged}")) => guard?,
        };
        // The signal is not looked at here: what is begun is finished.
        guard.run(sleep(Duration::from_millis(100))).await?;
        println!("charged invoice {charged}");
        charged += 1;
        // The guard is dropped, its release on the way.
    }
    // The runtime ends with `main`, and what is on the way with it: wait for it, but not for ever. A node that is down is owed
    // its release: the work is done all the same.
    if let Err(undrained) = redlock.close(Duration::from_secs(2)).await {
        eprintln!("{undrained}");
    }
    Ok(charged)
}

/// What sends the signal where this runs by itself; an orchestrator does it from outside.
async fn terminate() -> Result<(), Box<dyn Error>> {
    sleep(Duration::from_millis(250)).await;
    println!("SIGTERM");
    Ok(raise(Signal::SIGTERM)?)
}
