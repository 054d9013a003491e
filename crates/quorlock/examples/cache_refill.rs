//! A cache that is refilled once while many ask for what it lacks: the first to come refills it under a lock, and the
//! others, who wait for that lock, look again before they do the same.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example cache_refill`

use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use futures::future::try_join_all;
use quorlock::Redlock;
use tokio::time::sleep;

/// Stands for a cache that all machines share, with one entry in it.
#[derive(Default)]
struct Cache {
    front_page: OnceLock<String>,
    refills: AtomicU32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let machine = || Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build();
    let (a, b, c) = (machine()?, machine()?, machine()?);
    let cache = Cache::default();

    let visitors = [&a, &b, &c].into_iter().cycle().take(30);
    let pages = try_join_all(visitors.map(|machine| front_page(machine, &cache))).await?;
    let refills = cache.refills.load(Relaxed);
    println!("{} visitors on 3 machines, {refills} refill", pages.len());
    assert!(pages.iter().all(|page| page == "news"), "all have the page");
    assert_eq!(refills, 1, "one refill for all");
    for machine in [a, b, c] {
        machine.close(Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// The page from the cache, which is refilled where it has none.
async fn front_page(redlock: &Redlock, cache: &Cache) -> Result<String, quorlock::Error> {
    if let Some(page) = cache.front_page.get() {
        return Ok(page.clone());
    }
    // Apart from the cache's own key: a lock is no place for data.
    let guard = redlock.lock("refill:front-page").wait_for(Duration::from_secs(5)).await?;
    let page = match cache.front_page.get() {
        // Somebody has refilled it while we waited.
        Some(page) => page.clone(),
        None => guard.run(refill(cache)).await?,
    };
    guard.release().await?;
    Ok(page)
}

/// What takes long, and is not to be done by all at once.
async fn refill(cache: &Cache) -> String {
    sleep(Duration::from_millis(100)).await;
    cache.refills.fetch_add(1, Relaxed);
    cache.front_page.get_or_init(|| "news".to_owned()).clone()
}
