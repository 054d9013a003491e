//! Recipe 1: `INCR`, then `EXPIRE`, whoever won. Seed 004, section 1.

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 1,
    name: "incr-expire",
    title: "INCR, then EXPIRE; released by DEL",
    seed: "004, section 1",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::NoLoop,
    client: |seat| Box::new(IncrExpire(seat)),
};

struct IncrExpire(Seat);

impl Recipe for IncrExpire {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(async {
            let count: i64 = self.0.ask(&["INCR", self.0.key()]).await?;
            // As in the seed: also who has lost gives the winner's key a new end.
            let _: i64 = self.0.ask(&["EXPIRE", self.0.key(), &self.0.seconds()]).await?;
            Ok((count == 1).into())
        })
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.0.ask::<i64>(&["DEL", self.0.key()]).await.map(drop) })
    }
}
