//! The smallest: take a lock, see that nobody else gets it, give it back.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example hello`, or with nodes of your own in
//! `QUORLOCK_NODES=redis://a,redis://b,redis://c`.

use std::error::Error;
use std::time::Duration;

use quorlock::Redlock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let redlock = Redlock::builder(nodes.split(',')).build()?;

    // Waits for its turn; then the lock is extended in the background until it is given back.
    let guard = redlock.lock("hello").await?;
    println!("held: {} is ours for {:?}, and longer", guard.resources(), guard.valid_for());

    // Does not wait. A lock is no more open to its own holder than to anybody else.
    let second = redlock.try_lock("hello").await?;
    assert!(second.is_none(), "it is held");
    println!("asked again: somebody has it");

    guard.release().await?;
    let next = redlock.try_lock("hello").await?.ok_or("it was given back, and is not free")?;
    println!("released: the next one has it");
    // A guard that is dropped gives its lock back too; `close` waits until the nodes have heard of it.
    drop(next);
    redlock.close(Duration::from_secs(1)).await?;
    Ok(())
}
