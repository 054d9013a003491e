//! Recipe 8: `SET NX EX`, released by `GET`, a comparison, and `DEL`. Seed 003 (second wrong release).

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits, set_del::set};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 8,
    name: "set-get-del",
    title: "SET NX EX; released by GET and DEL",
    seed: "003 (second wrong release)",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::NoLoop,
    client: |seat| Box::new(SetGetDel(seat)),
};

struct SetGetDel(Seat);

impl Recipe for SetGetDel {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(set(&self.0))
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let owner: Option<String> = self.0.ask(&["GET", self.0.key()]).await?;
            if owner.as_deref() == Some(self.0.name()) {
                let _: i64 = self.0.ask(&["DEL", self.0.key()]).await?;
            }
            Ok(())
        })
    }
}
