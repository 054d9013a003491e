//! A job that every machine starts and one does: the others see that it is taken and leave.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example nightly`

use std::error::Error;
use std::time::Duration;

use quorlock::Redlock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let machine = |number: usize| -> Result<_, quorlock::Error> {
        let redlock = Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build()?;
        Ok(nightly(number, redlock))
    };
    let (a, b, c) = tokio::try_join!(machine(1)?, machine(2)?, machine(3)?)?;
    let did = [a, b, c].iter().filter(|did| **did).count();
    println!("{did} of 3 machines did it");
    assert_eq!(did, 1, "one does it");
    Ok(())
}

/// Says whether this machine did the job.
async fn nightly(machine: usize, redlock: Redlock) -> Result<bool, quorlock::Error> {
    // The hold ends after a minute even if the job hangs.
    let lock = redlock.lock("cron:nightly").max_hold(Duration::from_secs(60));
    // Waits a moment, far shorter than it is held: of machines that ask once and at the same moment, it may be that none gets
    // a majority.
    let guard = match lock.wait_for(Duration::from_millis(200)).await {
        Ok(guard) => guard,
        Err(quorlock::Error::Held { .. }) => {
            println!("machine {machine}: somebody else does it");
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    guard.run(async { println!("machine {machine}: doing it") }).await?;
    // Held a moment longer than the job takes, so that a machine that starts late still finds it taken. A lock keeps two
    // from doing it at once; that it was done today is for the job to note.
    tokio::time::sleep(Duration::from_secs(1)).await;
    guard.release().await?;
    redlock.close(Duration::from_secs(1)).await?;
    Ok(true)
}
