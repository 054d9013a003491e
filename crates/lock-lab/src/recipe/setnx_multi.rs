//! Recipe 4: `SETNX` and `EXPIRE` in one transaction. Seed 004, section 2, second way.

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 4,
    name: "setnx-multi",
    title: "SETNX and EXPIRE in MULTI/EXEC; released by DEL",
    seed: "004, section 2, second way",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::NoLoop,
    client: |seat| Box::new(SetnxMulti(seat)),
};

struct SetnxMulti(Seat);

impl Recipe for SetnxMulti {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(async {
            let _: String = self.0.ask(&["MULTI"]).await?;
            let _: String = self.0.ask(&["SETNX", self.0.key(), self.0.name()]).await?;
            // As in the seed: a transaction cannot ask what its own SETNX said, so who has lost does this as well.
            let _: String = self.0.ask(&["EXPIRE", self.0.key(), &self.0.seconds()]).await?;
            let (set, _): (i64, i64) = self.0.ask(&["EXEC"]).await?;
            Ok((set == 1).into())
        })
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.0.ask::<i64>(&["DEL", self.0.key()]).await.map(drop) })
    }
}
