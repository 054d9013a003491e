//! One worker process: takes the lock, goes into the ledger, comes out, gives the lock back, again and again. It ends
//! with its standard input, so that nothing is left when the demo is killed. Judges nothing.

use std::{
    io::{self, BufRead, Read, Write},
    path::PathBuf,
    time::Duration,
};

use quorlock_testkit::history::Event;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::sleep};

use crate::{
    clock::Clock,
    error::Result,
    holding::{Client, Holding, Log},
    ledger::Pen,
    reach::Reach,
};

/// How long a worker waits for the lock before it asks anew.
const WAIT_FOR: Duration = Duration::from_secs(1);
/// How long a worker stays inside, in milliseconds.
const INSIDE_MS: std::ops::Range<u64> = 2..30;
/// How long it stays away afterwards, in milliseconds.
const AWAY_MS: std::ops::Range<u64> = 1..10;
/// How long the last releases may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What a worker is told, as one line on its standard input: URLs may have passwords, and arguments are public.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// The worker's name, unique in its demo.
    pub(crate) name: String,
    /// What to lock.
    pub(crate) resource: String,
    /// The file to append to while holding the lock.
    pub(crate) ledger: PathBuf,
    /// The nodes.
    pub(crate) reach: Reach,
}

/// Works until the standard input ends.
///
/// # Errors
///
/// No assignment, or the ledger cannot be written.
pub(crate) async fn work() -> Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let assignment: Assignment = serde_json::from_str(&line)?;
    let ended = end_of_input();
    let redlock = assignment.reach.handle()?;
    let client = Client::new(&assignment.name, redlock.clone(), Clock::new()?, Lines);
    let mut worker = Worker {
        client,
        pen: Pen::new(&assignment.ledger, &assignment.name)?,
        clock: Clock::new()?,
        resource: assignment.resource,
        ended,
    };
    while let Turn::Over = worker.turn().await? {}
    // What does not get through in time expires; the demo looks for what is left.
    redlock.close(CLOSE_WITHIN).await.ok();
    Ok(())
}

struct Worker {
    client: Client<Lines>,
    pen: Pen,
    clock: Clock,
    resource: String,
    ended: watch::Receiver<()>,
}

/// What came of a turn.
enum Turn {
    /// The next one may come.
    Over,
    /// There is to be no next one.
    Last,
}

impl Worker {
    /// One time into the ledger and out again, or one vain attempt.
    async fn turn(&mut self) -> Result<Turn> {
        let taken = tokio::select! {
            biased;
            _ = self.ended.changed() => return Ok(Turn::Last),
            taken = self.client.lock(&self.resource, WAIT_FOR) => taken,
        };
        if let Ok(mut holding) = taken {
            visit(&mut holding, &mut self.pen, &self.clock).await?;
            // A release that failed is the history's business: its begin is noted, the keys expire.
            holding.release().await.ok();
        }
        let away = Duration::from_millis(rand::rng().random_range(AWAY_MS));
        tokio::select! {
            biased;
            _ = self.ended.changed() => Ok(Turn::Last),
            () = sleep(away) => Ok(Turn::Over),
        }
    }
}

/// Stays inside for a moment, or until the lock is lost.
async fn visit(holding: &mut Holding<'_, Lines>, pen: &mut Pen, clock: &Clock) -> Result<()> {
    if !holding.is_valid() {
        return Ok(());
    }
    let attempt = holding.attempt();
    pen.enter(attempt, clock.now())?;
    let inside = Duration::from_millis(rand::rng().random_range(INSIDE_MS));
    tokio::select! {
        biased;
        _ = holding.lost() => {}
        () = sleep(inside) => {}
    }
    Ok(pen.exit(attempt, clock.now())?)
}

/// Events as lines on the standard output.
#[derive(Debug)]
struct Lines;

impl Log for Lines {
    fn note(&mut self, event: Event) {
        let line = event.to_line().expect("the machine has not been up for 584 years");
        // A demo that is gone reads no more: the end of the input says so too.
        writeln!(io::stdout(), "{line}").ok();
    }
}

/// Something that changes when the standard input has ended.
fn end_of_input() -> watch::Receiver<()> {
    let (sender, receiver) = watch::channel(());
    // A thread of its own: a runtime waits for its blocking reads when it ends, and this one may never return.
    std::thread::spawn(move || {
        let sender = sender;
        io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink()).ok();
        drop(sender);
    });
    receiver
}
