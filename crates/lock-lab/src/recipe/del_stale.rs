//! Recipe 6: `SETNX` with a time stamp, and `DEL` of a lock that is over. Seed 001, which says itself what is wrong with it.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 6,
    name: "del-stale",
    title: "SETNX with a time stamp, DEL of a lock that is over; released by DEL",
    seed: "001 (against deadlocks)",
    servers: Servers::One,
    ends: Ends::TimeStamp,
    waits: Waits::Sleeps(Duration::from_millis(1)),
    client: |seat| Box::new(DelStale(seat)),
};

struct DelStale(Seat);

impl DelStale {
    async fn set(&self) -> Result<bool> {
        let stamp = self.0.now() + self.0.ttl().as_secs();
        Ok(self.0.ask::<i64>(&["SETNX", self.0.key(), &stamp.to_string()]).await? == 1)
    }
}

impl Recipe for DelStale {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(async {
            if self.set().await? {
                return Ok(Answer::Held);
            }
            let found: Option<u64> = self.0.ask(&["GET", self.0.key()]).await?;
            if found.unwrap_or(0) >= self.0.now() {
                return Ok(false.into());
            }
            let _: i64 = self.0.ask(&["DEL", self.0.key()]).await?;
            // The seed's loop goes round at once after this.
            Ok(self.set().await?.into())
        })
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.0.ask::<i64>(&["DEL", self.0.key()]).await.map(drop) })
    }
}
