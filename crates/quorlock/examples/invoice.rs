//! Charges an invoice at most once at a time, whichever machine gets there first.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example invoice`, or with nodes of your own:
//! `QUORLOCK_NODES=redis://a,redis://b,redis://c cargo run -p quorlock --example invoice`.

use std::error::Error;
use std::time::Duration;

use quorlock::Redlock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let redlock = Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build()?;

    let guard = redlock.lock("invoice:42").wait_for(Duration::from_secs(5)).await?;
    println!("held: {:?} is valid for {:?}", guard.resources(), guard.valid_for());

    // Dropped at the notice of loss: what it has sent by then it has sent.
    guard.run(charge()).await?;

    let report = guard.release().await?;
    println!("released: {report}");
    // A node that is down is owed its release: the work is done all the same.
    if let Err(undrained) = redlock.close(Duration::from_secs(1)).await {
        eprintln!("{undrained}");
    }
    Ok(())
}

async fn charge() {
    println!("charged");
}
