//! Makes brand-new nodes vote at once, and prints what each node is: once, when the nodes are set up.
//!
//! `QUORLOCK_NODES=redis://a,redis://b,redis://c cargo run -p quorlock --example bootstrap`

use std::error::Error;

use quorlock::Redlock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let redlock = Redlock::builder(nodes.split(',')).build()?;
    let bootstrapped = redlock.bootstrap().await;
    for (node, standing) in redlock.nodes() {
        println!("{node}: {standing}");
    }
    Ok(bootstrapped?)
}
