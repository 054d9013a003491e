//! Several resources at once, all or nothing: nobody is left with a part of what was asked for, and nobody has to think of the
//! order in which to ask.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example several`

use std::error::Error;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use futures::future::try_join_all;
use quorlock::Redlock;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let redlock = Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build()?;

    let one = redlock.lock("account:1").await?;
    let all = redlock.try_lock(["account:0", "account:1", "account:2"]).await?;
    assert!(all.is_none(), "a part of it is held");
    println!("{} is held: nothing", one.resources());
    // What the request had taken of the others it has given back.
    let rest = redlock.try_lock(["account:0", "account:2"]).await?.ok_or("a part was kept")?;
    println!("{} are free: all", rest.resources());
    one.release().await?;
    rest.release().await?;

    // Each pair in both orders, at the same time: locks that are taken one after the other could wait for each other.
    let accounts = [100, 100, 100].map(AtomicI64::new);
    let pairs = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)];
    try_join_all(pairs.map(|(from, to)| transfer(&redlock, &accounts, from, to))).await?;
    let balances = accounts.map(AtomicI64::into_inner);
    println!("six transfers in a circle: {balances:?}");
    assert_eq!(balances, [100, 100, 100], "no money was lost or made");
    redlock.close(Duration::from_secs(1)).await?;
    Ok(())
}

/// Reads both accounts, and writes both: what another does in between would be lost.
async fn transfer(
    redlock: &Redlock,
    accounts: &[AtomicI64; 3],
    from: usize,
    to: usize,
) -> Result<(), quorlock::Error> {
    let both = [format!("account:{from}"), format!("account:{to}")];
    let guard = redlock.lock(both).wait_for(Duration::from_secs(10)).await?;
    let move_ten = async {
        let (payer, payee) = (accounts[from].load(Relaxed), accounts[to].load(Relaxed));
        sleep(Duration::from_millis(20)).await;
        accounts[from].store(payer - 10, Relaxed);
        accounts[to].store(payee + 10, Relaxed);
    };
    guard.run(move_ten).await?;
    guard.release().await?;
    Ok(())
}
