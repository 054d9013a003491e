//! Clients that hammer one recipe in real time: how often it hands over, what it costs, and whether an oracle sees two inside. What
//! must be forced lives in `hazard`.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::{Instant, sleep};

use crate::actor::Actor;
use crate::error::Result;
use crate::hazard::commands;
use crate::recipe::{About, Waits};
use crate::stage::{LASTS, Needs, Stage};

/// Between two tries, where the recipe does not say.
const DEFAULT_REST: Duration = Duration::from_millis(5);

/// How often a holder looks whether it still is one: more often than a loss is told ahead of its time.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a race is.
#[derive(Debug, Clone, Copy)]
pub struct Race {
    /// How many clients.
    pub clients: usize,
    /// For how long.
    pub length: Duration,
    /// How long each holder works.
    pub hold: Duration,
    /// How long the lock is asked for.
    pub ttl: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// How often somebody came in.
    pub acquired: u64,
    /// How often somebody was inside already.
    pub violations: u64,
    /// How many commands the servers were sent.
    pub commands: u64,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |count: u64| count as f64 / self.took.as_secs_f64();
        let each = self.commands as f64 / self.acquired.max(1) as f64;
        writeln!(f, "{:>10}  acquired, {:.0} a second", self.acquired, rate(self.acquired))?;
        writeln!(
            f,
            "{:>10}  commands, {:.0} a second, {each:.1} for each lock",
            self.commands,
            rate(self.commands)
        )?;
        write!(f, "{:>10}  violations", self.violations)
    }
}

/// Who is inside.
#[derive(Debug, Default)]
struct Oracle {
    inside: AtomicUsize,
    acquired: AtomicU64,
    violations: AtomicU64,
}

impl Race {
    /// Runs it on servers of its own.
    ///
    /// # Errors
    ///
    /// Where the servers fail.
    pub async fn run(self, about: &'static About) -> Result<Outcome> {
        let stage = Stage::set(about, Needs { ttl: self.ttl, ..LASTS }).await?;
        let mut clients = Vec::new();
        for number in 0..self.clients {
            clients.push(stage.client(&format!("client-{number}")).await?);
        }
        stage.story.stop();
        stage.run_clock();
        let before = commands(&stage, &clients).await?;
        let (oracle, begun) = (Oracle::default(), Instant::now());
        let end = begun + self.length;
        try_join_all(
            clients.iter_mut().map(|client| self.hammer(client, about.waits, &oracle, end)),
        )
        .await?;
        let took = begun.elapsed();
        let [acquired, violations] =
            [&oracle.acquired, &oracle.violations].map(|count| count.load(Ordering::SeqCst));
        Ok(Outcome {
            acquired,
            violations,
            commands: commands(&stage, &clients).await? - before,
            took,
        })
    }

    async fn hammer(
        self,
        client: &mut Actor,
        waits: Waits,
        oracle: &Oracle,
        end: Instant,
    ) -> Result<()> {
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            let held = match waits {
                Waits::ByItself => client.wait(left).await?,
                _ => client.acquire().await?,
            };
            if !held {
                match waits {
                    // As its seed does; but one thread has all clients here, so the others get their turn.
                    Waits::Spins => tokio::task::yield_now().await,
                    Waits::Sleeps(rest) => sleep(rest.min(left)).await,
                    Waits::NoLoop | Waits::ByItself => sleep(DEFAULT_REST).await,
                }
                continue;
            }
            oracle.acquired.fetch_add(1, Ordering::SeqCst);
            if oracle.inside.fetch_add(1, Ordering::SeqCst) > 0 {
                oracle.violations.fetch_add(1, Ordering::SeqCst);
            }
            work(client, self.hold).await;
            oracle.inside.fetch_sub(1, Ordering::SeqCst);
            client.release().await?;
        }
        Ok(())
    }
}

/// Works for so long, or until it is told that the lock is lost.
async fn work(client: &Actor, hold: Duration) {
    let end = Instant::now() + hold;
    while client.holds() && Instant::now() < end {
        sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now()))).await;
    }
}
