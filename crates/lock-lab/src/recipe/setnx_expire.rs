//! Recipe 3: `SETNX`, then `EXPIRE` for who won. Seeds 001 (its last listing) and 003 (first wrong way). In 004
//! the loser sends `EXPIRE` as well, as in recipe 1.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 3,
    name: "setnx-expire",
    title: "SETNX, then EXPIRE; released by TTL and DEL",
    seed: "001 (last listing), 003 (first wrong way)",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::Sleeps(Duration::from_secs(1)),
    client: |seat| Box::new(SetnxExpire(seat)),
};

struct SetnxExpire(Seat);

impl Recipe for SetnxExpire {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(async {
            let stamp = self.0.now() + self.0.ttl().as_secs();
            let set: i64 = self.0.ask(&["SETNX", self.0.key(), &stamp.to_string()]).await?;
            if set == 0 {
                return Ok(false.into());
            }
            let _: i64 = self.0.ask(&["EXPIRE", self.0.key(), &self.0.seconds()]).await?;
            Ok(Answer::Held)
        })
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            // As in the seed: -2 and -1 are as true as any number, so this check passes always but for the last half second.
            if self.0.ask::<i64>(&["TTL", self.0.key()]).await? != 0 {
                let _: i64 = self.0.ask(&["DEL", self.0.key()]).await?;
            }
            Ok(())
        })
    }
}
