//! Workers that take turns on nine jobs. One of them dies while it has the lock, and does not give it back: the others wait
//! for one TTL, and go on.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example workers`

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use quorlock::Redlock;
use tokio::time::sleep;

const JOBS: u32 = 9;

/// Stands for a store: what is read and written in two steps, two workers at a time would spoil.
#[derive(Default)]
struct Work {
    done: AtomicU32,
    one_has_died: AtomicBool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let work = Work::default();
    let worker = |number: u32| -> Result<_, quorlock::Error> {
        // How long a dead worker is waited for.
        let redlock = Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(1)).build()?;
        Ok(take_turns(number, redlock, &work))
    };
    let (a, b, c) = tokio::try_join!(worker(1)?, worker(2)?, worker(3)?)?;
    println!("turns: {a}, {b} and {c}");
    assert_eq!(a + b + c, JOBS, "each job was done once");
    assert!(work.one_has_died.load(Relaxed), "the rest was done after one had died");
    Ok(())
}

/// Returns how many jobs this worker did.
async fn take_turns(number: u32, redlock: Redlock, work: &Work) -> Result<u32, quorlock::Error> {
    let mut turns = 0;
    loop {
        // Who has just had a turn lets the others go first.
        sleep(Duration::from_millis(100)).await;
        let guard = redlock.lock("jobs").wait_for(Duration::from_secs(10)).await?;
        let done = work.done.load(Relaxed);
        if done == JOBS {
            guard.release().await?;
            // A node that is down is owed its release: the work is done all the same.
            if let Err(undrained) = redlock.close(Duration::from_secs(1)).await {
                eprintln!("{undrained}");
            }
            return Ok(turns);
        }
        if done == 3 && !work.one_has_died.swap(true, Relaxed) {
            println!("worker {number} dies with the lock");
            // Leaves what a killed process leaves: keys on the nodes that nobody extends. A task that is only aborted, or
            // panics, drops its guard, and so gives its lock back.
            let _left_behind = guard.into_lease()?;
            return Ok(turns);
        }
        let job = async {
            sleep(Duration::from_millis(50)).await;
            work.done.store(done + 1, Relaxed);
        };
        guard.run(job).await?;
        turns += 1;
        println!("worker {number} did job {}", done + 1);
        guard.release().await?;
    }
}
