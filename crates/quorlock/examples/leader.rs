//! Leader election among three processes: the first leader is killed, the second resigns, and each time another one takes over.
//! Where a store has to refuse what leaders of old still send, ask for the lock with `.fenced()`: see `fenced_store`.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example leader`

use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use quorlock::Redlock;
use tokio::sync::oneshot;

fn main() -> Result<(), Box<dyn Error>> {
    std::env::args().nth(1).map_or_else(watch, |name| stand(&name))
}

/// One candidate: waits to be the leader, and leads until its input ends.
#[tokio::main]
async fn stand(name: &str) -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    // For so long there is no leader after one has died.
    let redlock = Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(1)).build()?;
    let office = redlock.lock("leader").wait_for(Duration::from_secs(10)).await?;
    println!("{name} leads");
    let (resign, resigned) = oneshot::channel();
    // A thread of its own, since a runtime does not end as long as one of its own reads.
    std::thread::spawn(|| resign.send(io::read_to_string(io::stdin())));
    tokio::select! {
        biased;
        reason = office.lost() => return Err(format!("{name} is deposed: {reason}").into()),
        _ = resigned => println!("{name} resigns"),
    }
    office.release().await?;
    // A node that is down is owed its release: the office is given up all the same.
    if let Err(undrained) = redlock.close(Duration::from_secs(1)).await {
        eprintln!("{undrained}");
    }
    Ok(())
}

/// Starts the candidates and hears what they say; fails where two lead at a time, or none.
fn watch() -> Result<(), Box<dyn Error>> {
    let (hears, says) = io::pipe()?;
    let mut candidates = Vec::new();
    for name in 0..3 {
        let mut candidate = Command::new(std::env::current_exe()?);
        candidate.arg(name.to_string()).stdin(Stdio::piped()).stdout(says.try_clone()?);
        candidates.push(candidate.spawn()?);
    }
    // Only the candidates have it now, so what is heard ends with the last of them.
    drop(says);
    let mut lines = BufReader::new(hears).lines();
    let mut hear = |what| -> Result<usize, Box<dyn Error>> {
        let line = lines.next().ok_or("no candidate is left")??;
        println!("candidate {line}");
        let name = line.strip_suffix(what).ok_or_else(|| format!("not one that{what}"))?;
        Ok(name.parse()?)
    };
    let first = hear(" leads")?;
    candidates[first].kill()?;
    candidates[first].wait()?;
    println!("candidate {first} is killed; its lock stays on the nodes for a TTL");
    for _ in 0..2 {
        let leader = hear(" leads")?;
        // Long enough for a second one to be heard, if two could lead.
        std::thread::sleep(Duration::from_millis(200));
        drop(candidates[leader].stdin.take());
        hear(" resigns")?;
        assert!(candidates[leader].wait()?.success(), "it has given the lock back");
    }
    Ok(())
}
