//! A lock that goes from one process to another without being free in between: one begins the job, lets go of the lock as data,
//! and ends; this same program, started again, takes the lock up, does the rest, and gives it back.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --features serde --example handover`

use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use quorlock::{Lease, Redlock};

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).is_some_and(|word| word == "finish") {
        return finish(&io::read_to_string(io::stdin())?);
    }
    let lease = begin()?;
    // From here on nobody extends the lock: the other process has a TTL to take it up.
    let mut finisher = Command::new(std::env::current_exe()?);
    let mut finisher = finisher.arg("finish").stdin(Stdio::piped()).spawn()?;
    // A pipe, which nobody else reads: whoever has the lease has the lock.
    finisher.stdin.take().ok_or("it is piped")?.write_all(lease.as_bytes())?;
    let status = finisher.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the other process: {status}").into()) }
}

/// The first process: returns the lease.
#[tokio::main]
async fn begin() -> Result<String, Box<dyn Error>> {
    let redlock = connect()?;
    let guard = redlock.lock("migration").await?;
    guard.run(async { println!("process {}: first half", std::process::id()) }).await?;
    let lease = guard.into_lease()?;
    println!("let go of {} with {:?} to take it up", lease.resources(), lease.ttl());
    redlock.close(Duration::from_secs(1)).await?;
    Ok(serde_json::to_string(&lease)?)
}

/// The second process.
#[tokio::main]
async fn finish(lease: &str) -> Result<(), Box<dyn Error>> {
    let redlock = connect()?;
    let lease: Lease = serde_json::from_str(lease)?;
    let somebody_else = redlock.try_lock("migration").await?;
    assert!(somebody_else.is_none(), "it is not free on the way");
    // Fails where it came too late: then somebody else may have it.
    let guard = redlock.take_up(&lease).await?;
    guard.run(async { println!("process {}: second half", std::process::id()) }).await?;
    guard.release().await?;
    let free = redlock.try_lock("migration").await?;
    println!("given back: {}", free.ok_or("the lock stayed behind")?.resources());
    redlock.close(Duration::from_secs(1)).await?;
    Ok(())
}

fn connect() -> Result<Redlock, Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    Ok(Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build()?)
}
