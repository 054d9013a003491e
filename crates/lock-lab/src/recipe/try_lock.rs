//! Recipe 10: recipe 9 with a loop that tries, sleeps a random while, and gives up after a time limit. Seed 002 (`TryLock`), whose
//! own attempt is recipe 5.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::{About, Answer, Ends, Recipe, Servers, Waits, set_script::SetScript};
use crate::error::Result;

pub(super) const ABOUT: About = About {
    number: 10,
    name: "try-lock",
    title: "recipe 9, tried again every 100 ms or so, up to a time limit",
    seed: "002 (TryLock)",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::ByItself,
    client: |seat| Box::new(TryLock(SetScript(seat))),
};

/// 100 ms in the seed; a random one keeps waiters from going in step.
const REST_MS: std::ops::Range<u64> = 50..150;

struct TryLock(SetScript);

impl Recipe for TryLock {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        self.0.acquire()
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        self.0.release()
    }

    fn wait(&mut self, limit: Duration) -> Option<BoxFuture<'_, Result<Answer>>> {
        Some(Box::pin(async move {
            let end = Instant::now() + limit;
            loop {
                let answer = self.0.acquire().await?;
                let rest = Duration::from_millis(rand::random_range(REST_MS));
                if answer == Answer::Held || Instant::now() + rest >= end {
                    return Ok(answer);
                }
                sleep(rest).await;
            }
        }))
    }
}
