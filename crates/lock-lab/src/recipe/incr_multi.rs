//! Recipe 2: `INCR` and `EXPIRE` in one transaction. Seed 004, section 2, first way.

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 2,
    name: "incr-multi",
    title: "INCR and EXPIRE in MULTI/EXEC; released by DEL",
    seed: "004, section 2, first way",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::NoLoop,
    client: |seat| Box::new(IncrMulti(seat)),
};

struct IncrMulti(Seat);

impl Recipe for IncrMulti {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(async {
            let _: String = self.0.ask(&["MULTI"]).await?;
            let _: String = self.0.ask(&["INCR", self.0.key()]).await?;
            let _: String = self.0.ask(&["EXPIRE", self.0.key(), &self.0.seconds()]).await?;
            let (count, _): (i64, i64) = self.0.ask(&["EXEC"]).await?;
            Ok((count == 1).into())
        })
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.0.ask::<i64>(&["DEL", self.0.key()]).await.map(drop) })
    }
}
