//! Recipe 7: `SET NX EX`, released by plain `DEL`. Seeds 003 (first wrong release) and 004, sections 3 and 5; the last one has a `GET`
//! before the work, which says nothing about the time of the `DEL` behind it.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const ABOUT: About = About {
    number: 7,
    name: "set-del",
    title: "SET NX EX; released by DEL",
    seed: "003 (first wrong release), 004, sections 3 and 5",
    servers: Servers::One,
    ends: Ends::Expiry,
    waits: Waits::Sleeps(Duration::from_millis(5)),
    client: |seat| Box::new(SetDel(seat)),
};

/// What this and the next three have in common.
pub(super) async fn set(seat: &Seat) -> Result<Answer> {
    let words = ["SET", seat.key(), seat.name(), "NX", "EX", &seat.seconds()];
    let set: Option<String> = seat.ask(&words).await?;
    Ok(set.is_some().into())
}

struct SetDel(Seat);

impl Recipe for SetDel {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(set(&self.0))
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.0.ask::<i64>(&["DEL", self.0.key()]).await.map(drop) })
    }
}
